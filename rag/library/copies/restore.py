"""A backup back into a folder: each file is compared with its sha256; the folder is there whole, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import time
import zlib
from pathlib import Path
from typing import IO

from rag.errors import DataError, LibraryError
from rag.library.catalogue import Library
from rag.library.copies.backup import FORMAT, LIBRARIES, MANIFEST, Backup, Hashing
from rag.protocols import Report, silent

CHUNK = 1 << 20
MOST_MANIFEST = 1 << 30  # bytes


def read_backup(file: Path, folder: Path, report: Report = silent) -> Backup:
    """Make the library `folder` of a backup. Raises DataError for a file that is none, is cut, damaged or hostile, and
    LibraryError for a folder that cannot be made, or that holds something: nothing there is replaced."""
    started = time.monotonic()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LibraryError(f"{folder} is there already. Name a new folder, or move it away first")
    aside = folder.absolute().with_name(f".{folder.absolute().name}.restoring")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        size, names = _unpack(file, aside, report)
        documents = _documents(file, aside, names)
        if folder.is_dir():
            folder.rmdir()
        os.replace(aside, folder)
    except OSError as error:
        raise LibraryError(
            f"{folder}: cannot be restored: {error.strerror or error}. Check the disk and permissions"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    libraries = len({name.split("/")[1] for name in names if name.startswith(f"{LIBRARIES}/")})
    return Backup(file, documents, libraries, len(names), size, time.monotonic() - started)


def _unpack(file: Path, folder: Path, report: Report) -> tuple[int, list[str]]:
    """Write the files of a backup into a folder: their bytes in all, and their names."""
    hashes: dict[str, str] = {}
    manifest, size = None, 0
    try:
        with file.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isreg() else None
                if data is None or manifest is not None:
                    raise DataError(f"{file} is no backup of a library: it holds {member.name!r}. Do not use it")
                if member.name == MANIFEST:
                    manifest = json.loads(data.read(MOST_MANIFEST))
                    continue
                _check_name(member.name)
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                hashes[member.name] = _written(data, target)
                size += member.size
                report("files", len(hashes), len(hashes))
    except FileNotFoundError:
        raise DataError(f"{file}: no such file. Check the name") from None
    except LibraryError as error:
        raise DataError(f"{file}: {error}") from error
    except (tarfile.TarError, zlib.error, EOFError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{file} is no backup, or a damaged one: {error}. Use another") from error
    if not isinstance(manifest, dict) or not isinstance(files := manifest.get("files"), dict):
        raise DataError(f"{file} is no backup, or a cut one: its list of files is missing. Use another")
    if manifest.get("format") != FORMAT:
        raise DataError(f"{file} was made by a newer version of glossator. Use that to restore it")
    for name in sorted({*files, *hashes}):
        if files.get(name) != hashes.get(name):
            raise DataError(f"{file} is damaged: {name} is not as it was. Use another backup")
    return size, sorted(hashes)


def _written(data: IO[bytes], target: Path) -> str:
    """Write a file to the disk, and give its sha256."""
    reading = Hashing(data)
    with target.open("wb") as out:
        shutil.copyfileobj(reading, out, CHUNK)
        out.flush()
        os.fsync(out.fileno())
    return reading.digest.hexdigest()


def _documents(file: Path, folder: Path, names: list[str]) -> int:
    """How many documents a restored library has; DataError where its catalogue, or that of one below, is none."""
    below = {folder / LIBRARIES / name.split("/")[1] for name in names if name.startswith(f"{LIBRARIES}/")}
    try:
        for each in below:
            Library.open(each).documents()
        return len(Library.open(folder).documents())
    except LibraryError as error:
        raise DataError(f"{file} holds no library that can be read. Use another") from error


def _check_name(name: str) -> None:
    """LibraryError for a name in a backup that leads out of its folder."""
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise LibraryError(f"it names a file outside of its folder: {name!r}. Do not use it")
