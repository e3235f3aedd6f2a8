"""templating.py: every value is escaped, nothing comes from other hosts, and indentation leaves no trace."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateNotFound, UndefinedError

from ui.web.app import SCRIPTS, STYLES
from ui.web.templating import STATIC, hint_html, problem_html, render, static
from ui.wording import printable

TEMPLATES = sorted(STATIC.with_name("templates").iterdir())
FILES = [*TEMPLATES, *sorted(STATIC.iterdir())]


@given(st.text())
def test_a_value_is_text_whatever_stands_in_it(text: str) -> None:
    shown = str(hint_html(text))
    assert re.findall("<[^>]*>", shown) == ['<p class="hint">', "</p>"]
    assert html.unescape(shown[len('<p class="hint">') : -len("</p>")]) == html.unescape(html.escape(text))
    assert (
        str(problem_html(text)).count("<") == 2
        and str(render("hint.html", text=hint_html(printable(text)))).count("<") == 4
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_is_taken_for_html_unasked_or_fetched_from_elsewhere(file: Path) -> None:
    text = file.read_text("utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|https?:|@import|url\(|//cdn", text)
    if file.suffix == ".html":
        assert not re.search(r"<script|\son\w+=", text), "scripts stand in static/"


def test_every_style_sheet_and_script_is_used() -> None:
    used = {*STYLES, *SCRIPTS, "colours.css", "login.css"}  # colours in the head, the login page's in its template
    assert {file.name for file in STATIC.iterdir()} == used
    assert all(static(name).strip() for name in used)


def test_a_misspelt_name_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("hint.html", words="")
    with pytest.raises(TemplateNotFound):
        render("hints.html")


def test_line_breaks_between_tags_leave_no_trace_and_those_in_texts_stay() -> None:
    shown = str(render("page_text.html", caption="c", why="w", before="a\n <", quote="\n", after="> \n b"))
    assert shown.endswith('<pre class="page-text">a\n &lt;<mark>\n</mark>&gt; \n b</pre></figure>')
    progress = str(render("progress.html", progress={"a.pdf": (1, 2), "vectors": (2, 2), "b.pdf": (0, 0)}))
    bar = '<progress aria-label="a.pdf" max="2" value="1"></progress>'
    assert progress == (
        f'<ul class="progress"><li>a.pdf: 1 of 2 pages read{bar}</li><li>vectors: 2 of 2 made</li>'
        "<li>b.pdf: waiting</li></ul>"
    )
