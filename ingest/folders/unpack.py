"""Archives (.zip, .tar, .tar.gz, .tgz) and e-mails with attachments: unpacked within limits into the library's folder.

Names that lead out of the archive, links, devices and hidden files are left out. An archive that was unpacked before,
to its end, is not unpacked again: its folder holds a file DONE with the paths of the archives that it came from.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path, PurePosixPath
from typing import IO

from ingest.child_process import ChildDied, ChildProcess, Children, Limits, too_large
from ingest.child_replies import checking
from ingest.folders.packed_files import CHILD, CHUNK
from rag.errors import DocumentError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
MOST_FILES = 10_000
MOST_BYTES = 8 << 30  # of all files unpacked
MOST_RATIO = 500  # unpacked to packed, of more than a megabyte: text reaches 20, a bomb 1,000
LONGEST_NAME = 10_000  # characters; the disk's own limit is far below
DONE = ".unpacked"


def is_archive(name: str, head: bytes) -> bool:
    """Whether a file is an archive, by its name and first bytes.

    >>> is_archive("a.tar.gz", b"\\x1f\\x8b"), is_archive("a.docx", b"PK\\x03\\x04"), is_archive("a.zip", b"words")
    (True, False, False)
    """
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    starts = {".zip": b"PK\x03\x04", ".tar.gz": b"\x1f\x8b", ".tgz": b"\x1f\x8b"}
    return (ending in starts and head.startswith(starts[ending])) or (ending == ".tar" and head[257:262] == b"ustar")


def unpack(archive: Path, below: Path, limits: Limits, children: Children) -> Path:
    """The folder below `below` that holds the archive's files, which a limited child process has unpacked.

    Raises DocumentError for a damaged or hostile one, and Stopped.
    """
    try:
        folder = _folder_of(archive, below)
        if (folder / DONE).exists():
            _remember(folder, archive)
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        most = min(MOST_BYTES, max(CHUNK, MOST_RATIO * archive.stat().st_size))
        _keep(folder, _pieces(archive, limits, children), most)
        _remember(folder, archive)
    except OSError as error:
        raise DocumentError(
            f"cannot be unpacked: {error.strerror or error}. Check its permissions and the disk"
        ) from error
    return folder


def _pieces(archive: Path, limits: Limits, children: Children) -> Iterator[tuple[str | None, bytes]]:
    """(name, bytes) of the archive's files, as its child sends them: a name where a file begins."""
    with children.slots:
        try:
            with closing(ChildProcess(CHILD, {"path": str(archive)}, limits, children.stop)) as child:
                for number in count():
                    what, value = child.ask(number)
                    if what == "end":
                        break
                    with checking("a packed file"):
                        name, data = value["name"], base64.b64decode(value["data"], validate=True)
                        if name is not None and (type(name) is not str or len(name) > LONGEST_NAME):
                            raise ValueError("a name that is none")
                    yield name, data
                children.peaks_kb.append(child.peak_kb)
        except ChildDied as died:
            raise too_large(died) from None


def packed_name(file: Path, below: Path) -> str:
    """ARCHIVE#NAME of a file that was unpacked below `below`, its own path of another."""
    if not file.is_relative_to(below) or len(parts := file.relative_to(below).parts) < 2:
        return str(file)
    archives = archives_of(below / parts[0])
    return f"{archives[-1]}#{'/'.join(parts[1:])}" if archives else str(file)


def archives_of(folder: Path) -> list[Path]:
    """The paths from which what is in a folder was unpacked, the latest last."""
    try:
        return [Path(os.fsdecode(line)) for line in (folder / DONE).read_bytes().split(b"\0") if line]
    except OSError:
        return []


def outdated(archives: Collection[Path], below: Path) -> list[Path]:
    """The folders unpacked from one of these archives, and from no other, that it holds no longer, or that is gone."""
    wanted, found = {archive.absolute() for archive in archives}, []
    for folder in sorted(below.iterdir()) if below.is_dir() else ():
        origins = archives_of(folder)
        if len(origins) == 1 and origins[0] in wanted:
            with suppress(OSError):
                if not origins[0].is_file() or _folder_of(origins[0], below) != folder:
                    found.append(folder)
    return found


def _folder_of(archive: Path, below: Path) -> Path:
    with archive.open("rb") as stream:
        key = hashlib.file_digest(stream, "sha256").hexdigest()[:12]
    return below / f"{archive.name.partition('.')[0] or 'archive'}-{key}"


def _remember(folder: Path, archive: Path) -> None:
    """Write that a folder is unpacked to its end, and from which archive."""
    others = [path for path in archives_of(folder) if path != archive.absolute()]
    lines = b"".join(os.fsencode(path) + b"\0" for path in (*others, archive.absolute()))
    (folder / f"{DONE}.new").write_bytes(lines)
    os.replace(folder / f"{DONE}.new", folder / DONE)


def _keep(folder: Path, pieces: Iterator[tuple[str | None, bytes]], most: int) -> None:
    """Write files below the folder, of at most `most` bytes together."""
    files, out = 0, None
    try:
        for name, data in pieces:
            if name is not None:
                files += 1
                if files > MOST_FILES:
                    raise DocumentError(f"packs more than {MOST_FILES:,} files. Unpack it, and name its folders")
                if out is not None:
                    out.close()
                out = _opened(folder, name)
            most -= len(data)
            if most < 0:
                raise DocumentError(
                    "would unpack to far more than it holds, as archives that mean harm do. Leave it out"
                )
            if out is not None:
                out.write(data)
    finally:
        if out is not None:
            out.close()


def _opened(folder: Path, name: str) -> IO[bytes] | None:
    """The new file of a member, below the folder; None for what is left out."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part not in ("/", ".")]
    if path.is_absolute() or ".." in parts or any(part.startswith((".", "__MACOSX")) for part in parts) or not parts:
        return None
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.open("wb")
