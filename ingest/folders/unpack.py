"""Archives (.zip, .tar, .tar.gz, .tgz) and e-mails with attachments: unpacked within limits into the library's folder.

Names that lead out of the archive, links, devices and hidden files are left out. An archive that was unpacked before,
to its end, is not unpacked again: its folder holds a file DONE with the paths of the archives that it came from.
"""

from __future__ import annotations

import email
import hashlib
import io
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from email.message import EmailMessage
from email.policy import default
from pathlib import Path, PurePosixPath
from typing import IO, cast

from rag.errors import DocumentError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
MOST_FILES = 10_000
MOST_BYTES = 8 << 30  # of all files unpacked
MOST_RATIO = 500  # unpacked to packed, of more than a megabyte: text reaches 20, a bomb 1,000
DONE = ".unpacked"
MAIL = ".eml"
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
        folder = _folder_of(archive, below)
        if (folder / DONE).exists():
            _remember(folder, archive)
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with archive.open("rb") as stream:
            reader = {".zip": _zipped, MAIL: _attached}.get(archive.suffix.lower(), _tarred)
            most = min(MOST_BYTES, max(CHUNK, MOST_RATIO * archive.stat().st_size))
            for number, (name, data) in enumerate(reader(stream)):
                if number == MOST_FILES:
                    raise DocumentError(f"packs more than {MOST_FILES:,} files. Unpack it, and name its folders")
                most -= _keep(folder, name, data, most)
        _remember(folder, archive)
    except OSError as error:
        raise DocumentError(
            f"cannot be unpacked: {error.strerror or error}. Check its permissions and the disk"
        ) from error
    except (
        zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, LookupError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise DocumentError(
            "is damaged, or has a password: it cannot be unpacked. Unpack it, and name its folder"
        ) from error
    return folder


def has_attachments(mail: Path) -> bool:
    """Whether an e-mail has files attached. Raises OSError."""
    return any(True for _ in _attachments(mail.read_bytes()))


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


def _attached(stream: IO[bytes]) -> Iterator[tuple[str, IO[bytes]]]:
    names = set[str]()
    for number, part in enumerate(_attachments(stream.read()), start=1):
        name = PurePosixPath((part.get_filename() or "").replace("\\", "/").replace("\0", "")).name.lstrip(".")
        whole = part.get_content_type() == "message/rfc822"
        try:
            payload = part.get_payload(0) if whole else part.get_payload(decode=True)
            data = payload.as_bytes() if isinstance(payload, EmailMessage) else payload
        except (AttributeError, LookupError, TypeError, ValueError):  # the parser's own, of odd messages
            continue
        if isinstance(data, bytes):
            name = name or f"attached{MAIL if whole else ''}"
            name = f"{number} {name}" if name in names else name
            names.add(name)
            yield name, io.BytesIO(data)


def _attachments(data: bytes) -> list[EmailMessage]:
    try:
        message = email.message_from_bytes(data, policy=default)
        return cast(list[EmailMessage], list(message.iter_attachments()))
    except (AttributeError, ValueError, LookupError, TypeError):  # the parser's own, of odd messages
        return []


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
