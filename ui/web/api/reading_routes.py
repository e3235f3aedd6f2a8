"""What is read beside the conversation: pages of PDFs with their text, judgments, episodes; and where words stand."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from rag.errors import DocumentError, LibraryError, UsageError
from rag.library.documents import DocumentEntry
from rag.locator import FIRST_PAGE, UNIT_OF, PageSpan, TimeSpan
from rag.records import Citation
from ui.web.api.document_routes import document_view
from ui.web.api.problems import InLibrary
from ui.web.library.open_library import OpenLibrary
from ui.web.panels.document_text import text_panel
from ui.web.panels.filter_choices import FIELDS
from ui.wording import printable

MOST_FOUND = 500
MOST_TEXT = 1_000_000  # characters of a reply
DAY = "private, max-age=86400"
Json = dict[str, Any]
Offset = Annotated[int, Query(ge=0, le=1 << 40)]
routes = APIRouter()


@routes.get("/documents/{document_id}")
def document(document_id: str, library: InLibrary) -> Json:
    """A document, with how it is shown: as "pages", or as the HTML of a "judgment", an "episode" or a "text"."""
    entry = entry_of(library, document_id)
    return document_view(entry, library.indexes.searchable_generation) | {"view": view_of(entry)}


def entry_of(library: OpenLibrary, document_id: str) -> DocumentEntry:
    """A document's entry. Raises LibraryError for one that is not there (any more)."""
    entries = library.library.documents([document_id])
    if not entries:
        raise LibraryError("there is no such document (any more)")
    return entries[0]


def view_of(entry: DocumentEntry) -> str:
    if entry.kind == "podcast":
        return "episode"
    if entry.kind in UNIT_OF:
        return "text"
    return "judgment" if entry.kind == "legal" and ", pdf " not in entry.recipe else "pages"  # ingest/build.py


@routes.get("/documents/{document_id}/pages/{page}.png")
def picture(document_id: str, page: int, request: Request, library: InLibrary) -> Response:
    if not library.pages.are_drawn(entry_of(library, document_id).kind):
        raise LibraryError("its pages have no pictures. Read its text instead")
    png = library.pages.picture(document_id, page).png
    tag = f'"{sha256(png).hexdigest()[:20]}"'
    headers = {"etag": tag, "cache-control": DAY}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(png, media_type="image/png", headers=headers)


@routes.get("/documents/{document_id}/pages/{page}")
def page(document_id: str, page: int, request: Request, library: InLibrary) -> Json:
    """A page: its size in points, its lines with their rectangles (left, bottom, right, top), its picture's address.

    Of a page that cannot be drawn the picture is null, and `why` says why; its text stands in `text`.
    """
    found = library.library.document(document_id)
    if not 1 <= page <= len(found.pages):
        raise LibraryError(f"there is no page {page}: the document has {len(found.pages)}")
    span = found.pages[page - 1]
    shown: Json = {
        "number": page, "pages": len(found.pages), "title": printable(found.title) or "untitled",
        "start": span.start, "end": span.end, "lines": [], "picture": None, "width": 0, "height": 0, "why": "",
    }  # fmt: skip
    if library.pages.are_drawn(found.kind):
        try:
            picture = library.pages.picture(document_id, page)
            lines = library.library.text_lines(document_id, page)
            shown |= {
                "width": picture.width, "height": picture.height,
                "picture": f"{request.url.path}.png",
                "lines": [{"text": found.text[a:b], "start": a, "end": b, "box": box} for a, b, box in lines],
            }  # fmt: skip
        except DocumentError as error:
            shown["why"] = printable(str(error))
    if shown["picture"] is None:
        shown["text"] = found.text[span.start : span.end]
    return shown


@routes.get("/documents/{document_id}/text")
def text(document_id: str, library: InLibrary, start: Offset = 0, end: Offset | None = None) -> Json:
    """text[start:end] of a document, at most MOST_TEXT characters at a time, and how long the whole is."""
    entry_of(library, document_id)
    found = library.library.document(document_id)
    last = min(len(found.text) if end is None else end, start + MOST_TEXT, len(found.text))
    return {"text": found.text[start:last], "start": start, "end": max(start, last), "length": len(found.text)}


@routes.get("/documents/{document_id}/marks")
def marks(document_id: str, library: InLibrary, start: Offset, end: Offset) -> Json:
    """Where text[start:end] stands: (page, rectangle) of its lines, and of tables and figures around it; in points."""
    entry_of(library, document_id)
    try:
        first, last = library.library.pages_of(document_id, start, end)
    except ValueError:
        raise UsageError("start, end: the document has no text there. Give offsets of a passage or a quote") from None
    return {
        "first_page": first,
        "last_page": last,
        "lines": library.library.places(document_id, start, end),
        "frames": library.library.frames(document_id, start, end),
    }


@routes.get("/documents/{document_id}/view")
def view(
    document_id: str, request: Request, library: InLibrary, start: Offset = 0, end: Offset = 0, place: str = "",
    play: bool = False, filters: str = "",
) -> Json:  # fmt: skip
    """The HTML of what has no pages, with text[start:end] marked; `place`: a judgment's paragraph in its stead."""
    entry = entry_of(library, document_id)
    kind = view_of(entry)
    if kind == "judgment":
        html = library.judgments.open(document_id, place or f"{start}:{end}", chosen_of(filters))
    elif kind == "text":
        kept = library.library
        html = text_panel(
            kept.document(document_id), kept.headings(document_id), kept.parts_of(document_id), (start, end)
        )
    elif kind == "episode":
        html = library.recordings.html(
            citation_at(library, entry, start, end), play, request.url.path.removesuffix("/view")
        )
    else:
        raise UsageError("this document has pages. Ask for one of them")
    return {"view": kind, "html": str(html)}


def chosen_of(filters: str) -> Sequence[str]:
    """Filters as a page sends them, a JSON object, in the order of FIELDS."""
    try:
        given = json.loads(filters or "{}")
        return [str(given.get(field.name, "")) for field in FIELDS]
    except (ValueError, AttributeError) as error:
        raise UsageError("filters are a JSON object of names and values") from error


def citation_at(library: OpenLibrary, entry: DocumentEntry, start: int, end: int) -> Citation:
    """text[start:end] of a document as a source: of an episode with the second at which it is said."""
    locator: PageSpan | TimeSpan = FIRST_PAGE
    if episode := library.library.episode(entry.document_id):
        said = next((u for u in episode.utterances if u.end > start), None)
        chapter = next((c.title for c in reversed(episode.chapters) if c.start <= start), "")
        if said is not None:
            locator = TimeSpan(said.start_seconds, said.end_seconds, said.speaker, chapter)
    return Citation("[1]", "", entry.document_id, "", entry.title, locator, "", start, end)


@routes.get("/documents/{document_id}/find")
def find(document_id: str, library: InLibrary, q: Annotated[str, Query(max_length=200)]) -> Json:
    """Where words stand in a document's text, whatever their case and the white space between them."""
    words = [re.escape(word) for word in q.split()]
    if not words:
        return {"found": [], "more": False}
    found = library.library.document(document_id)
    places: list[Json] = []
    for match in re.finditer(r"\s+".join(words), found.text, re.IGNORECASE):
        if len(places) == MOST_FOUND:
            return {"found": places, "more": True}
        places.append({"start": match.start(), "end": match.end(), "page": found.pages_of(*match.span())[0]})
    return {"found": places, "more": False}


@routes.get("/documents/{document_id}/audio")
def audio(document_id: str, library: InLibrary) -> Response:
    file, kind = library.recordings.audio(document_id)
    return FileResponse(file, media_type=kind)  # answers a Range, which a player asks for when it seeks


@routes.get("/documents/{document_id}/captions.vtt")
def captions(document_id: str, library: InLibrary) -> Response:
    return Response(library.recordings.captions(document_id), media_type="text/vtt")
