"""templating.py: every value is escaped, nothing comes from other hosts, and indentation leaves no trace."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateNotFound, UndefinedError

from ui.web.app import ROOM
from ui.web.templating import STATIC, render

TEMPLATES = sorted(STATIC.with_name("templates").iterdir())
TEXTS = sorted(file for file in STATIC.rglob("*") if file.suffix in (".css", ".js"))
FILES = [*TEMPLATES, *TEXTS]


@given(st.text())
def test_a_value_is_text_whatever_stands_in_it(text: str) -> None:
    shown = str(render("coloured.html", words=text, score=0.5, strength=0.5, number="+0.50"))
    assert len(re.findall("<[^>]*>", shown)) == 2
    assert html.unescape(re.sub("<[^>]*>", "", shown)) == html.unescape(html.escape(text))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_nothing_is_taken_for_html_unasked_or_fetched_from_elsewhere(file: Path) -> None:
    text = file.read_text("utf-8")
    assert not re.search(r"\|\s*safe\b|autoescape|https?:|@import|//cdn|url\((?!\"fonts/)", text)
    if file.suffix == ".html":
        assert not re.search(r"\son\w+=", text), "scripts stand in static/"


def test_every_style_sheet_and_script_is_used() -> None:
    head = str(render("head.html", assets="/room/v", scripts=[], has_login=True))
    wanted = set(re.findall(r'(?:href|src)="/room/v/([\w.]+\.(?:css|js))"', head))
    for script in [file for file in TEXTS if file.suffix == ".js"]:
        for name in re.findall(r'from "\./([\w./]+)"', script.read_text("utf-8")):
            wanted.add((script.parent / name).relative_to(ROOM).as_posix())
    assert {file.relative_to(ROOM).as_posix() for file in TEXTS if file.is_relative_to(ROOM)} == wanted


def test_both_languages_have_the_same_words_with_the_same_places() -> None:
    words = [
        dict(re.findall(r'"([\w. ]+)": "((?:[^"\\]|\\.)*)"', (ROOM / "words" / f"{name}.js").read_text("utf-8")))
        for name in ("en", "de")
    ]
    assert words[0].keys() == words[1].keys() and len(words[0]) > 100
    for key, text in words[0].items():
        assert set(re.findall(r"{(\w+)}", text)) == set(re.findall(r"{(\w+)}", words[1][key])), key


def test_every_word_of_the_page_is_known() -> None:
    known = (ROOM / "words" / "en.js").read_text("utf-8")
    keys = set(re.findall(r'"([\w. ]+)": "', known))
    for script in ROOM.glob("*.js"):
        for key in re.findall(r'\bt\("([\w. ]+)"', script.read_text("utf-8")):
            assert key in keys or f"{key}.one" in keys, (script.name, key)


def test_a_misspelt_name_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("coloured.html", words="")
    with pytest.raises(TemplateNotFound):
        render("colours.html")
