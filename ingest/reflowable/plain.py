"""Markdown and plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt

from ingest.plain_text import decoded, one_line
from ingest.podcast.formats.cues import FRONT, front_matter
from ingest.reflowable.content import Content, Piece
from ingest.reflowable.markup import pieces_of_html, root_of, title_of_page

LINE_A_PARAGRAPH = 120  # characters that lines have on average where each is a paragraph, and none is empty


def read_markdown(data: bytes) -> Content:
    """CommonMark with tables; its front matter names title, author and date."""
    text = _lines(data)
    front: dict[str, str] = {}
    if match := FRONT.match(text):
        front, text = front_matter(match.group(1)), text[match.end() :]
    root = root_of(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    facts = {key: one_line(front[key]) for key in ("author", "date", "doi") if front.get(key)}
    return Content(one_line(front.get("title", "")) or title_of_page(root), pieces_of_html(root), facts)


def read_text(data: bytes) -> Content:
    """Paragraphs stand between empty lines; where there are none, and lines are long, each line is a paragraph."""
    return Content("", _paragraphs(_lines(data)))


def _lines(data: bytes) -> str:
    return decoded(data).replace("\r\n", "\n").replace("\r", "\n")


def _paragraphs(text: str) -> Iterator[Piece]:
    lines = text.count("\n") + 1
    long_lines = not re.search(r"\n\s*\n", text.strip()) and len(text) > LINE_A_PARAGRAPH * lines
    for match in re.finditer(r"[^\n]+" if long_lines else r"(?:[^\n]*\S[^\n]*\n?)+", text):
        yield Piece("text", match[0])
