"""Saved web pages: what they say, without navigation, scripts and forms. Nothing that they name is fetched."""

from __future__ import annotations

import base64
import binascii
import re

from ingest.reflowable.content import Content
from ingest.reflowable.markup import facts_of_page, parsed_html, pieces_of_html, said_part, title_of_page

INSIDE = re.compile(r"data:image/[\w.+-]+;base64,", re.I)


def read_web_page(data: bytes) -> Content:
    """The page's main part; pictures only where their bytes stand in the page itself."""
    root = parsed_html(data)
    title, facts = title_of_page(root), facts_of_page(root)
    return Content(title, pieces_of_html(said_part(root), _inside), facts)


def _inside(source: str) -> bytes | None:
    match = INSIDE.match(source)
    try:
        return base64.b64decode(source[match.end() :], validate=True) if match else None
    except (binascii.Error, ValueError):
        return None
