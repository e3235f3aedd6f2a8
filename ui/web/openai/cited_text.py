"""An answer as text with its citations: OpenAI's annotations, our array of citations, and footnotes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from rag.locator import locator_json
from rag.read.cite import MARKER
from rag.records import Answer, Citation
from ui.wording import place_text, printable, printable_lines

FOOTNOTES = "\n\nSources:\n"  # between a text and its footnotes
Json = dict[str, Any]


def cited_text(answer: Answer, footnotes: Sequence[Json] = ()) -> str:
    """The answer's text with its markers; behind it its sources, as Markdown, where `footnotes` are given."""
    text = printable_lines(answer.answer)
    if not footnotes or answer.abstained:
        return text
    lines = [
        f"{each['marker']} [{_plain(each['title'])}, {each['place']}]({each['url']}): “{each['quote']}”"
        for each in footnotes
    ]
    return text + FOOTNOTES + "\n".join(f"- {line}" for line in lines)


def _plain(title: str) -> str:
    """A title that ends no link of Markdown."""
    return re.sub(r"[\[\]()]", "", title)


def citations_of(answer: Answer, site: str, library: str) -> list[Json]:
    """Each citation: its marker, quote, document, title and place, and the address of the page that opens it.

    `site` is where browsers reach this server; "" where there is none, and then the address is left out.
    """
    return [citation_json(citation, site, library) for citation in answer.citations]


def citation_json(citation: Citation, site: str, library: str) -> Json:
    """As citations_of."""
    url = {"url": link_to(citation.document_id, citation.start, citation.end, site, library)} if site else {}
    return {
        "marker": citation.marker,
        "quote": printable(citation.quote),
        "document_id": citation.document_id,
        "passage_id": citation.passage_id,
        "title": printable(citation.title) or "untitled",
        "place": printable(place_text(citation)),
        "start": citation.start,
        "end": citation.end,
        **locator_json(citation.locator),
        **url,
    }


def link_to(document_id: str, start: int, end: int, site: str, library: str) -> str:
    """The address that opens a document on the page with text[start:end] marked.

    >>> link_to("ab12", 3, 9, "http://127.0.0.1:7860", "")
    'http://127.0.0.1:7860/?d=ab12&s=3&e=9'
    """
    named = {"l": library} if library else {}
    return f"{site}/?{urlencode({**named, 'd': document_id, 's': start, 'e': end})}"


def annotations_of(text: str, citations: Sequence[Json], nested: bool) -> list[Json]:
    """OpenAI's url_citation annotations: one for each source of each marker in the text, whose place they give.

    Offsets count code points. `nested`: as chat completions have them, else as responses do.
    """
    found = []
    for start, end, citation in _marked(text, citations):
        fields = {"start_index": start, "end_index": end, "title": citation["title"], "url": citation.get("url", "")}
        found.append({"type": "url_citation", **({"url_citation": fields} if nested else fields)})
    return found


def _marked(text: str, citations: Sequence[Json]) -> Iterator[tuple[int, int, Json]]:
    body = text.partition(FOOTNOTES)[0]
    for match in MARKER.finditer(body):
        for number in re.split("[,;]", match[1]):
            for citation in citations:
                if citation["marker"].strip("[]") == number.strip():
                    yield match.end() - len(match[0].lstrip()), match.end(), citation


def pieces(text: str) -> list[str]:
    """A text in pieces to stream, a few words each; joined they are the text.

    >>> pieces("The lamp was lit in 1871 by two brothers. [1]")
    ['The lamp was lit ', 'in 1871 by two ', 'brothers. [1]']
    """
    words = re.findall(r"\s*\S+\s*", text) or [text]
    return ["".join(words[first : first + 4]) for first in range(0, len(words), 4)]
