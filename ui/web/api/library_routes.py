"""The libraries to switch between: /v1/libraries."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from ui.web.access.audit import AuditLog
from ui.web.access.identity import Identity
from ui.web.api.problems import AllLibraries, Audit, Body, Who
from ui.web.library.libraries import ListedLibrary
from ui.wording import printable

Json = dict[str, Any]
routes = APIRouter()


@routes.get("/audit")
def audit_log(request: Request, limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> Json:
    """The last entries of the audit log, the newest first: who asked, added, removed and changed what, when."""
    log: AuditLog | None = request.app.state.audit
    return {"entries": log.last(limit) if log else []}


class NewLibrary(Body):
    title: str = Field(max_length=300)


class LibraryChange(Body):
    """`shared`: whether all who log in may read it, ask it, and add documents to it."""

    title: str | None = Field(None, max_length=300)
    shared: bool | None = None


@routes.get("/libraries")
def listed(libraries: AllLibraries, who: Who) -> Json:
    """All libraries; the one that the server was started with first, whose name is ""."""
    return {"libraries": [library_view(each, who) for each in libraries.listed(who)]}


def library_view(found: ListedLibrary, who: Identity) -> Json:
    """`own`: whether whoever asks may rename, share and remove it; `owner` is "" where it is everybody's."""
    return {
        "name": found.name, "title": printable(found.title), "owner": found.owner, "shared": found.shared,
        "own": bool(found.name) and found.is_of(who),
    }  # fmt: skip


@routes.post("/libraries", status_code=201)
def create(new: NewLibrary, libraries: AllLibraries, who: Who, audit: Audit) -> Json:
    """Make an empty library; its name stands in the addresses of what is in it: /v1/libraries/NAME/..."""
    name = libraries.create(new.title, who)
    audit("created a library", new.title)
    return {"name": name}


@routes.patch("/libraries/{library_name}", status_code=204)
def change(library_name: str, changed: LibraryChange, libraries: AllLibraries, who: Who, audit: Audit) -> None:
    """Rename a library, or share it with all who log in, or no longer."""
    libraries.change(library_name, who, changed.title, changed.shared)
    audit("changed a library", changed.model_dump_json(exclude_none=True))


@routes.delete("/libraries/{library_name}", status_code=204)
def remove(library_name: str, libraries: AllLibraries, who: Who, audit: Audit) -> None:
    """Delete a library that was made in the page, with all that is in it. There is no undo."""
    libraries.remove(library_name, who)
    audit("removed a library")
