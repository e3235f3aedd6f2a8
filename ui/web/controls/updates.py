"""What the handlers of the page's controls give back to Gradio, and how its events are bound."""

from __future__ import annotations

from typing import Any

import gradio as gr

Update = dict[Any, Any]  # component -> its new value
UPDATE_SECONDS = 0.15  # between two versions of the page while something is under way
OFF, ON = gr.update(interactive=False), gr.update(interactive=True)
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}  # of every event
MANY: dict[str, Any] = {"concurrency_limit": 16, "trigger_mode": "multiple"}  # of events that wait for a worker


def seen(yes: bool) -> list[str]:
    """The `elem_classes` of a part of the page that is seen, or not.

    A class, not Gradio's `visible`: a part with visible=False is built only when it is to be seen, and what is said to
    several parts at once in that moment is lost on a slow machine, for good (6.31: an answer without sources).
    """
    return [] if yes else ["absent"]


def show(yes: bool) -> Any:
    """An update by which a part of the page is seen from now on, or not."""
    return gr.update(elem_classes=seen(yes))


def sentence(text: str) -> str:
    """With a capital letter, and without the command line's name for a filter.

    >>> sentence("--filter date: 'soon' is no date")
    "Date: 'soon' is no date"
    """
    text = text.removeprefix("--filter ")
    return text[:1].upper() + text[1:]
