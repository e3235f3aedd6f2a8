"""The colours and fonts of Gradio's controls. Those of marks stand in static/colours.css."""

from __future__ import annotations

import gradio as gr

SERIF = ["Iowan Old Style", "Palatino Linotype", "Palatino", "Georgia", "DejaVu Serif", "serif"]
COLOURS = {  # Gradio's names of colours -> by day, by lamplight
    "body_background_fill": ("#faf7f0", "#1b1917"),
    "body_text_color_subdued": ("#6b6259", "#b8aea3"),
    "block_background_fill": ("#fffdf8", "#24211e"),
    "border_color_primary": ("#ddd5c6", "#45403a"),
    "input_background_fill": ("#ffffff", "#1b1917"),
    "input_border_color": ("#cfc5b2", "#57514a"),
    "input_border_width": ("1px", "1px"),
    "color_accent_soft": ("#f3ecdd", "#332e29"),
    "background_fill_secondary": ("#fffdf8", "#24211e"),
    "button_primary_background_fill": ("#7a2626", "#8c3030"),
    "button_primary_background_fill_hover": ("#8f3232", "#a33a3a"),
    "button_primary_text_color": ("#ffffff", "#ffffff"),
    "button_secondary_background_fill": ("#ece5d6", "#3a3530"),
    "button_secondary_background_fill_hover": ("#e0d6c1", "#4a443d"),
    "checkbox_border_color": ("#8a7f70", "#9a9086"),
    "checkbox_label_background_fill": ("#f6f1e5", "#2d2925"),
    "checkbox_label_background_fill_hover": ("#efe7d6", "#38332e"),
    "checkbox_label_background_fill_selected": ("#f1e6cf", "#40382d"),
    "link_text_color": ("#7a2626", "#f0b47a"),
    "link_text_color_hover": ("#a33a3a", "#ffd0a0"),
    "link_text_color_visited": ("#7a2626", "#f0b47a"),
    "error_text_color": ("#9b1c1c", "#ffb4a8"),
}


def theme() -> gr.themes.Base:
    """Ink on paper, and the same by lamplight; only fonts that the reader's machine has."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.red, neutral_hue=gr.themes.colors.stone, font=SERIF, font_mono=["monospace"]
    )
    light = {name: colour for name, (colour, _) in COLOURS.items()}
    dark = {f"{name}_dark": colour for name, (_, colour) in COLOURS.items()}
    return base.set(color_accent="#a34545", **light, **dark)
