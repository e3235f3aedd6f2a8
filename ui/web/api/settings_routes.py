"""The settings that a page can change, /v1/settings, and a test of the reader that they name."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from rag.errors import MissingWeights, ModelError, UsageError
from rag.llm.ollama import running_models
from rag.llm.open import open_reader
from rag.models.registry import catalogue, path_of
from ui.web.api.problems import Audit, Body, InLibrary, identity_of
from ui.web.library.page_settings import changed, is_offered, values_of
from ui.wording import printable

ENDPOINT = "http://127.0.0.1:8080/v1#name"  # how one is written
TEST_SECONDS = 20.0  # for which an endpoint may be silent when it is tested
Json = dict[str, Any]
routes = APIRouter()


class Changes(Body):
    """ "section.key" -> value."""

    values: dict[str, str | float | int] = Field(max_length=20)


class Reader(Body):
    model: str = Field(max_length=1000)


@routes.get("/settings")
def settings(request: Request, library: InLibrary) -> Json:
    """The values, the readers that there are on this machine, and whether the page may change them."""
    values = values_of(library.indexes.settings)
    return {
        "values": values, "readers": readers(str(values["reader.model"])), "example": ENDPOINT,
        "changeable": is_changeable(request),
    }  # fmt: skip


@routes.patch("/settings")
def change(new: Changes, request: Request, library: InLibrary, audit: Audit) -> Json:
    """Change settings of this library, for all its questions from now on; they are kept."""
    if not is_changeable(request):
        raise UsageError("whoever runs this server sets these. Ask them")
    library.change_settings(new.values)
    audit("changed settings", new.model_dump_json())
    return {"values": values_of(library.indexes.settings)}


@routes.post("/settings/test")
def test(reader: Reader, request: Request, library: InLibrary) -> Json:
    """Ask a reader for a word: what it says, and after how many seconds. Raises ModelError, ReaderError."""
    if not is_changeable(request) or not is_offered(reader.model):
        raise UsageError(f"{reader.model}: name a model of the list, or an endpoint: http://host:port/v1#model")
    wanted = changed(library.indexes.settings, {"reader.model": reader.model}).reader
    began = time.monotonic()
    opened = open_reader(wanted.model_copy(update={"timeout_seconds": TEST_SECONDS}))
    said = "".join(opened.stream([("user", "Answer with one word: what colour is grass?")], 8))
    return {"said": printable(said).strip()[:80], "seconds": round(time.monotonic() - began, 1)}


def is_changeable(request: Request) -> bool:
    """Where people log in only by an admin: what one changes is changed for all."""
    return identity_of(request).may("admin")


def readers(current: str) -> list[Json]:
    """The readers to choose from: ours with whether their weights are here, those of a running Ollama, the current."""
    found = []
    for name, model in catalogue().items():
        if model.role.startswith("reader"):
            found.append({"name": name, "megabytes": model.megabytes, "here": _is_here(name)})
    found += [{"name": m.name, "megabytes": round(m.bytes / 1e6), "here": True} for m in running_models()]
    if current not in {each["name"] for each in found}:
        found.append({"name": current, "megabytes": None, "here": True})
    return found


def _is_here(name: str) -> bool:
    try:
        return path_of(name).is_dir()
    except (ModelError, MissingWeights):
        return False
