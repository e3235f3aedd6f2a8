"""The page's HTML: templates/ filled in by Jinja2, which escapes every value, and the files of static/.

A line break between two tags or expressions of a template counts for nothing, so that templates can be indented.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.ext import Extension
from markupsafe import Markup

from rag.locator import timecode
from ui.wording import extent, many, place_text, printable

STATIC = Path(__file__).with_name("static")
_BETWEEN_TAGS = re.compile(r"(?<=[>}])\s*\n\s*(?=[<{])|\s+\Z")


class _WithoutIndentation(Extension):
    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return _BETWEEN_TAGS.sub("", source)


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    extensions=[_WithoutIndentation],
    auto_reload=False,
)
_ENVIRONMENT.filters |= {
    "extent": extent, "many": many, "place": place_text, "printable": printable, "timecode": timecode,
}  # fmt: skip


def render(template: str, /, **values: Any) -> Markup:
    """The HTML of a template with these values: text of documents and readers is escaped, Markup is taken as it is."""
    return Markup(_ENVIRONMENT.get_template(template).render(values))


@cache
def static(name: str) -> Markup:
    """The text of a style sheet or script in static/."""
    return Markup((STATIC / name).read_text("utf-8"))
