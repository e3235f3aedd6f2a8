"""Archives (.zip, .tar, .tar.gz, .tgz) among the files of a folder: unpacked within limits into the library's folder.

Names that lead out of the archive, links, devices and hidden files are left out. An archive that was unpacked before,
to its end, is not unpacked again.
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from rag.errors import DocumentError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
MOST_FILES = 10_000
MOST_BYTES = 8 << 30  # of all files unpacked
MOST_RATIO = 500  # unpacked to packed, of more than a megabyte: text reaches 20, a bomb 1,000
DONE = ".unpacked"
CHUNK = 1 << 20


def is_archive(name: str, head: bytes) -> bool:
    """Whether a file is an archive, by its name and first bytes.

    >>> is_archive("a.tar.gz", b"\\x1f\\x8b"), is_archive("a.docx", b"PK\\x03\\x04"), is_archive("a.zip", b"words")
    (True, False, False)
    """
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    starts = {".zip": b"PK\x03\x04", ".tar.gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b"}
    return (ending in starts and head.startswith(starts[ending])) or (ending == ".tar" and head[257:262] == b"ustar")


def unpack(archive: Path, below: Path) -> Path:
    """The folder below `below` that holds the archive's files. Raises DocumentError for a damaged or hostile one."""
    try:
        with archive.open("rb") as stream:
            key = hashlib.file_digest(stream, "sha256").hexdigest()[:12]
        folder = below / f"{archive.name.partition('.')[0] or 'archive'}-{key}"
        if (folder / DONE).exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with archive.open("rb") as stream:
            reader = _zipped if archive.name.lower().endswith(".zip") else _tarred
            most = min(MOST_BYTES, max(CHUNK, MOST_RATIO * archive.stat().st_size))
            for number, (name, data) in enumerate(reader(stream)):
                if number == MOST_FILES:
                    raise DocumentError(f"packs more than {MOST_FILES:,} files. Unpack it, and name its folders")
                most -= _keep(folder, name, data, most)
        (folder / DONE).touch()
    except OSError as error:
        raise DocumentError(
            f"cannot be unpacked: {error.strerror or error}. Check its permissions and the disk"
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DocumentError(
            "is damaged, or has a password: it cannot be unpacked. Unpack it, and name its folder"
        ) from error
    return folder


def _zipped(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            if not member.is_dir() and (member.external_attr >> 28) in (0, 8):  # a file: no link
                with archive.open(member) as data:
                    yield member.filename, data


def _tarred(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            if member.isreg() and (data := archive.extractfile(member)) is not None:
                yield member.name, data


def _keep(folder: Path, name: str, data: IO[bytes], most: int) -> int:
    """Write a member below the folder, and say how many bytes it had."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part not in ("/", ".")]
    if path.is_absolute() or ".." in parts or any(part.startswith((".", "__MACOSX")) for part in parts) or not parts:
        return 0
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("wb") as out:
        while chunk := data.read(CHUNK):
            written += len(chunk)
            if written > most:
                raise DocumentError(
                    "would unpack to far more than it holds, as archives that mean harm do. Leave it out"
                )
            out.write(chunk)
    return written
