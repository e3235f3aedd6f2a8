"""The library's documents: /v1/documents, and uploads on their way to it: /v1/uploads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from ingest.kinds import KINDS
from ingest.uploads import UPLOADED
from rag.errors import UsageError
from rag.library.documents import DocumentEntry
from ui.web.api.paging import After, Limit, part_of_list
from ui.web.api.problems import AllLibraries, Audit, Body, InLibrary, Owner
from ui.web.library.arrivals import Arrivals
from ui.web.library.idempotency import FirstReplies
from ui.web.library.libraries import Libraries
from ui.web.library.open_library import OpenLibrary
from ui.web.panels.filter_choices import FIELDS
from ui.web.workers.upload_job import UploadRow
from ui.wording import extent, for_page, printable

Json = dict[str, Any]
routes = APIRouter()
arriving = APIRouter()  # where uploads arrive, for all libraries
Key = Annotated[str | None, Header(max_length=1_000)]
FILE_BODY = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}
GROUPS = {"pdf": "documents", "legal": "judgments", "podcast": "episodes"}


class NewDocuments(Body):
    """Files that were uploaded, by the ids that their uploads were answered with; a password for encrypted ones.

    Or a `folder` of this machine, where whoever runs the server allows it.
    """

    uploads: list[str] = Field([], max_length=1000)
    folder: str = Field("", max_length=4000)
    password: str = Field("", max_length=1000)


class DocumentChange(Body):
    title: str = Field(min_length=1, max_length=300)


@routes.get("/documents")
def documents(
    request: Request, library: InLibrary, libraries: AllLibraries, limit: Limit = None, after: After = ""
) -> Response:
    """All documents by title, and the uploads that are under way. Answers 304 to what has not changed.

    With `limit` a part of them; `next` is what the next part is asked for with, as `after`.
    """
    searchable = library.indexes.searchable_generation
    version = f'"{library.library.generation}-{searchable}-{library.uploads.version}"'
    if request.headers.get("if-none-match") == version:
        return Response(status_code=304, headers={"etag": version})
    entries = library.documents.entries()
    leaving = library.uploads.leaving
    found = [document_view(entry, searchable) for entry in entries if entry.document_id not in leaving]
    found.sort(key=lambda view: (view["title"].casefold(), view["id"]))
    found, following = part_of_list(found, limit, after)
    uploads = [upload_view(row) for row in library.uploads.rows()]
    body = {
        "documents": found,
        "next": following,
        "uploads": uploads,
        "endings": list(UPLOADED),
        "filters": filters_view(library),
    }
    body["folders"] = [str(folder) for folder in libraries.folders]
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
        "passages": entry.passages,
        "generation": entry.generation,
        "extent": extent(entry),
        "has_pictures": entry.kind in KINDS and KINDS[entry.kind].page_pictures,
        "error": for_page(entry.error or ""),
        "warnings": [printable(warning) for warning in entry.warnings],
    }


def upload_view(row: UploadRow) -> Json:
    return {
        "id": row.upload_id, "name": printable(row.name), "state": row.state, "done": row.done, "total": row.total,
        "error": for_page(row.error), "documents": list(row.documents),
    }  # fmt: skip


def filters_view(library: OpenLibrary) -> list[Json]:
    """The filters that this library can serve, each with its values."""
    return [
        {"name": field.name, "label": field.label, "typed": field.typed, "values": [list(pair) for pair in values]}
        for field, values in zip(FIELDS, library.filters.choices(), strict=True)
        if values
    ]


@arriving.put("/uploads/{name:path}", status_code=201, openapi_extra=FILE_BODY)
async def upload(name: str, request: Request, owner: Owner, idempotency_key: Key = None) -> Json:
    """Take a file, as the body of the request. Its id names it where documents are added, to whichever library."""
    arrivals: Arrivals = request.app.state.arrivals
    replies: FirstReplies = request.app.state.first_replies
    what = f"upload {name} {request.headers.get('content-length', '')}"
    before = replies.find(owner, idempotency_key, what)
    if before is not None and arrivals.file(before["id"]) is not None:
        return before
    return replies.keep(owner, idempotency_key, what, {"id": await arrivals.receive(name, request.stream())})


@routes.post("/documents", status_code=202)
def add(
    new: NewDocuments, request: Request, library: InLibrary, libraries: AllLibraries, owner: Owner,
    audit: Audit, idempotency_key: Key = None,
) -> Json:  # fmt: skip
    """Begin to read files that were uploaded, or those of a folder; the list of documents tells how far they are."""
    replies: FirstReplies = request.app.state.first_replies
    what = f"add {request.url.path} {new.model_dump_json()}"
    if (before := replies.find(owner, idempotency_key, what)) is not None:
        return before
    files = [file.name for upload_id in new.uploads if (file := library.arrivals.file(upload_id))]
    reply = {"job": _begin(new, library, libraries)}
    audit("added", new.folder or "; ".join(files))
    return replies.keep(owner, idempotency_key, what, reply)


def _begin(new: NewDocuments, library: OpenLibrary, libraries: Libraries) -> str:
    """Begin to read; the id of the job, with which the ids of its rows begin."""
    if new.folder:
        return library.uploads.start_folder(allowed(new.folder, libraries.folders)).job_id
    if not new.uploads:
        raise UsageError("there is no file to add. Choose some")
    files = [library.arrivals.file(upload_id) for upload_id in new.uploads]
    if None in files:
        raise UsageError("an uploaded file is no longer here. Add it again")
    return library.uploads.start([str(file) for file in files], [new.password] if new.password else []).job_id


def allowed(folder: str, folders: Sequence[Path]) -> Path:
    """A folder that may be added by its path. Raises UsageError, the same for what is not there and what may not be."""
    try:
        path = Path(folder).expanduser().resolve()
        if any(path.is_relative_to(root) for root in folders) and path.is_dir():
            return path
    except (OSError, RuntimeError, ValueError):
        pass
    raise UsageError(
        f"{printable(folder)[:200]}: no folder that may be added. See the list, or add the files themselves"
    )


@routes.delete("/uploads/{upload_id}", status_code=204)
def forget(upload_id: str, library: InLibrary) -> None:
    """Stop what is under way, or clear the row of what has ended."""
    library.uploads.forget(upload_id)


@routes.patch("/documents/{document_id}", status_code=204)
def rename(document_id: str, changed: DocumentChange, library: InLibrary, audit: Audit) -> None:
    title = " ".join(changed.title.split())
    if not title:
        raise UsageError("a document needs a name. Type one")
    library.uploads.rename(document_id, title)
    audit("renamed", f"{document_id}: {title}")


@routes.delete("/documents/{document_id}", status_code=202)
def remove(document_id: str, library: InLibrary, audit: Audit) -> Json:
    """Take a document out of the list; it leaves the library after some seconds, unless that is undone."""
    seconds = library.uploads.remove_soon(document_id)
    audit("removed", f"{document_id}: {library.library.documents([document_id])[0].title}")
    return {"seconds": seconds}


@routes.post("/documents/{document_id}/restore", status_code=204)
def restore(document_id: str, library: InLibrary, audit: Audit) -> None:
    """Undo a removal. It is too late when the document has left."""
    if not library.uploads.keep(document_id):
        raise UsageError("it has left the library already. Add the file again")
    audit("restored", document_id)
