"""A library as one file: a tar archive of its folder, with the sha256 of each file in it, made while it is served.

The writer's lock is held, so nothing is added or removed meanwhile; searching, asking and conversations go on. The
catalogue is copied by SQLite's own backup, as it stood at one moment. Left out is what is under way (uploads that
wait, readings that were cut off), and the index of precedents, which is made when it is needed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

from rag.errors import DataError
from rag.library.catalogue import Library
from rag.library.shared import bucket
from rag.library.shared.replica import FILE
from rag.library.stored_files import PICTURES, UPLOADS
from rag.protocols import Report, silent

CATALOGUE = "catalogue.sqlite"
MANIFEST = "glossator-backup.json"  # the last member: what is cut has none
FORMAT = 1
LIBRARIES = "libraries"  # those that were made in the page, each a folder like this one
LEFT_OUT = {
    "reading",
    "arriving",
    "precedents",
    LIBRARIES,
    "writer.lock",
    "writer.json",
    "write.lock",
    FILE,
    bucket.FILE,
}
UNFINISHED = (".new", ".part", ".incoming", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds."""

    file: Path
    documents: int
    libraries: int  # made in the page, beside the one itself
    files: int
    bytes: int
    seconds: float


def write_backup(library: Library, file: Path, report: Report = silent) -> Backup:
    """Write a library, and those made in its page, to `file`: whole or, killed or on a full disk, not at all.

    Raises LibraryBusy where another process writes to one of them, LibraryError for one that is damaged, DataError for
    a file that cannot be written or that lies in the library.
    """
    started = time.monotonic()
    if file.absolute().is_relative_to(library.folder.absolute()):
        raise DataError(f"{file} lies in the library itself. Name a file elsewhere")
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as stream:
            with tarfile.open(fileobj=stream, mode="w|gz" if file.suffix == ".gz" else "w|") as archive:
                writer = _Writer(archive, report)
                folders = _libraries_of(library.folder)
                for number, (prefix, folder) in enumerate([("", library.folder), *folders]):
                    report("libraries", number, len(folders) + 1)
                    writer.add_library(prefix, library if not number else Library.open(folder))
                writer.close()
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    except OSError as error:
        raise DataError(
            f"{file}: the backup cannot be written: {error.strerror or error}. Check the disk and permissions"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    documents = len(library.documents())
    return Backup(file, documents, len(folders), len(writer.files), writer.bytes, time.monotonic() - started)


def _libraries_of(folder: Path) -> list[tuple[str, Path]]:
    below = folder / LIBRARIES
    found = sorted(below.iterdir()) if below.is_dir() else []
    return [(f"{LIBRARIES}/{each.name}/", each) for each in found if (each / CATALOGUE).is_file()]


class _Writer:
    """Adds files to an archive, and keeps their hashes for its manifest."""

    def __init__(self, archive: tarfile.TarFile, report: Report):
        self._archive, self._report = archive, report
        self.files: dict[str, str] = {}  # name -> sha256
        self.bytes = 0

    def add_library(self, prefix: str, library: Library) -> None:
        with library.writing("glossator backup"), tempfile.TemporaryDirectory() as beside:
            copy = Path(beside, CATALOGUE)
            library.copy_to(copy)
            library.bring_all()
            self.add(prefix + CATALOGUE, copy)
            for name, file in _files(library.folder):
                self.add(prefix + name, file)

    def add(self, name: str, file: Path) -> None:
        with file.open("rb") as stream:
            info = self._archive.gettarinfo(arcname=name, fileobj=stream)
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            reading = Hashing(stream)
            self._archive.addfile(info, reading)
        self.files[name] = reading.digest.hexdigest()
        self.bytes += info.size
        self._report("files", len(self.files), len(self.files))

    def close(self) -> None:
        about = {"format": FORMAT, "made": time.strftime("%FT%TZ", time.gmtime()), "program": version("glossator")}
        data = json.dumps({**about, "files": self.files}).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(data)
        self._archive.addfile(info, io.BytesIO(data))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that a backup has, but for the catalogue: their names in it, and where they lie."""
    for path in sorted(folder.iterdir()):
        is_elsewhere = path.is_symlink() and path.name not in (UPLOADS, PICTURES)  # which may lie on another disk
        if path.name in LEFT_OUT or path.name.startswith(CATALOGUE) or is_elsewhere:
            continue
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            left_out = file.name in LEFT_OUT or file.name.endswith(UNFINISHED)
            if not left_out and file.is_file() and not file.is_symlink():
                yield file.relative_to(folder).as_posix(), file


class Hashing(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]):
        self._stream, self.digest = stream, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.digest.update(data)
        return data
