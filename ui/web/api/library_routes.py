"""The libraries to switch between: /v1/libraries."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ui.web.api.problems import AllLibraries
from ui.wording import printable

Json = dict[str, Any]
routes = APIRouter()


class NewLibrary(BaseModel):
    title: str = Field(max_length=300)


@routes.get("/libraries")
def listed(libraries: AllLibraries) -> Json:
    """All libraries; the one that the server was started with first, whose name is ""."""
    return {"libraries": [{"name": name, "title": printable(title)} for name, title in libraries.listed()]}


@routes.post("/libraries", status_code=201)
def create(new: NewLibrary, libraries: AllLibraries) -> Json:
    """Make an empty library; its name stands in the addresses of what is in it."""
    return {"name": libraries.create(new.title)}


@routes.delete("/libraries/{library_name}", status_code=204)
def remove(library_name: str, libraries: AllLibraries) -> None:
    """Delete a library that was made in the page, with all that is in it. There is no undo."""
    libraries.remove(library_name)
