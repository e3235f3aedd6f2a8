"""The library's documents: /v1/documents, and uploads on their way to it: /v1/uploads."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from ingest.kinds import KINDS
from ingest.uploads import UPLOADED
from rag.errors import UsageError
from rag.library.documents import DocumentEntry
from ui.web.api.problems import InLibrary
from ui.web.library.arrivals import Arrivals
from ui.web.library.open_library import OpenLibrary
from ui.web.panels.filter_choices import FIELDS
from ui.web.workers.upload_worker import UploadRow
from ui.wording import extent, printable

Json = dict[str, Any]
routes = APIRouter()
arriving = APIRouter()  # where uploads arrive, for all libraries
GROUPS = {"pdf": "documents", "legal": "judgments", "podcast": "episodes"}


class NewDocuments(BaseModel):
    """Files that were uploaded, by the ids that their uploads were answered with; a password for encrypted ones."""

    uploads: list[str] = Field(min_length=1, max_length=1000)
    password: str = Field("", max_length=1000)


class DocumentChange(BaseModel):
    title: str = Field(min_length=1, max_length=300)


@routes.get("/documents")
def documents(request: Request, library: InLibrary) -> Response:
    """All documents by kind and title, and the uploads that are under way. Answers 304 to what has not changed."""
    version = f'"{library.library.generation}-{library.indexes.searchable_generation}-{library.uploads.version}"'
    if request.headers.get("if-none-match") == version:
        return Response(status_code=304, headers={"etag": version})
    entries = library.documents.entries()
    searchable = library.indexes.searchable_generation
    leaving = library.uploads.leaving
    found = [document_view(entry, searchable) for entry in entries if entry.document_id not in leaving]
    found.sort(key=lambda view: (view["title"].casefold(), view["id"]))
    uploads = [upload_view(row) for row in library.uploads.rows()]
    body = {"documents": found, "uploads": uploads, "endings": list(UPLOADED), "filters": filters_view(library)}
    return JSONResponse(body, headers={"etag": version, "cache-control": "no-cache"})


def document_view(entry: DocumentEntry, searchable: int) -> Json:
    """A row of the list. `state`: ready, preparing (stored, but a search does not find it yet) or failed."""
    state = entry.status if entry.status == "failed" or entry.generation <= searchable else "preparing"
    return {
        "id": entry.document_id,
        "title": printable(entry.title) or "untitled",
        "kind": entry.kind,
        "group": GROUPS.get(entry.kind, "documents"),
        "state": state,
        "pages": entry.pages,
        "extent": extent(entry),
        "has_pictures": entry.kind in KINDS and KINDS[entry.kind].page_pictures,
        "error": printable(entry.error or ""),
        "warnings": [printable(warning) for warning in entry.warnings],
    }


def upload_view(row: UploadRow) -> Json:
    return {
        "id": row.upload_id, "name": printable(row.name), "state": row.state, "done": row.done, "total": row.total,
        "error": printable(row.error), "documents": list(row.documents),
    }  # fmt: skip


def filters_view(library: OpenLibrary) -> list[Json]:
    """The filters that this library can serve, each with its values."""
    return [
        {"name": field.name, "label": field.label, "typed": field.typed, "values": [list(pair) for pair in values]}
        for field, values in zip(FIELDS, library.filters.choices(), strict=True)
        if values
    ]


@arriving.put("/uploads/{name:path}", status_code=201)
async def upload(name: str, request: Request) -> Json:
    """Take a file, as the body of the request. Its id names it where documents are added, to whichever library."""
    arrivals: Arrivals = request.app.state.arrivals
    return {"id": await arrivals.receive(name, request.stream())}


@routes.post("/documents", status_code=202)
def add(new: NewDocuments, library: InLibrary) -> Json:
    """Begin to read files that were uploaded; the list of documents tells how far they are."""
    files = [library.arrivals.file(upload_id) for upload_id in new.uploads]
    if None in files:
        raise UsageError("an uploaded file is no longer here. Add it again")
    job = library.uploads.start([str(file) for file in files], [new.password] if new.password else [])
    return {"files": len(files), "job": job.job_id}


@routes.delete("/uploads/{upload_id}", status_code=204)
def forget(upload_id: str, library: InLibrary) -> None:
    """Stop what is under way, or clear the row of what has ended."""
    library.uploads.forget(upload_id)


@routes.patch("/documents/{document_id}", status_code=204)
def rename(document_id: str, changed: DocumentChange, library: InLibrary) -> None:
    title = " ".join(changed.title.split())
    if not title:
        raise UsageError("a document needs a name. Type one")
    library.uploads.rename(document_id, title)


@routes.delete("/documents/{document_id}", status_code=202)
def remove(document_id: str, library: InLibrary) -> Json:
    """Take a document out of the list; it leaves the library after some seconds, unless that is undone."""
    return {"seconds": library.uploads.remove_soon(document_id)}


@routes.post("/documents/{document_id}/restore", status_code=204)
def restore(document_id: str, library: InLibrary) -> None:
    """Undo a removal. It is too late when the document has left."""
    if not library.uploads.keep(document_id):
        raise UsageError("it has left the library already. Add the file again")
