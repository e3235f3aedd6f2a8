"""The files in an archive or an e-mail, piece by piece: the program of the child process that unpacks (worker.py).

The child writes nothing: each reply is ("piece", {"name", "data"}) with a name where a file begins and its next bytes
in base64, at most CHUNK of them; the last one is ("end", None).
"""

from __future__ import annotations

import base64
import email
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from rag.errors import DocumentError

CHILD = "ingest.folders.packed_files"
MAIL = ".eml"
CHUNK = 1 << 20
HEAD = 1 << 16  # bytes of an e-mail in which its own headers end
SEVERAL_PARTS = re.compile(rb"(?im)^content-type:\s*multipart/(?!alternative)")


def may_have_attachments(mail: Path) -> bool:
    """Whether an e-mail's headers say that it has parts of its own, beside other forms of its text. Raises OSError.

    It is not parsed for that: the child does.
    """
    with mail.open("rb") as stream:
        head = re.split(rb"\r?\n\r?\n", stream.read(HEAD), maxsplit=1)[0]
    return SEVERAL_PARTS.search(head) is not None


def serve(request: dict[str, Any], numbers: Iterator[int]) -> Iterator[tuple[str, Any]]:
    """The pieces of all files of the archive at request["path"], one for each number. Raises DocumentError."""
    yield "packed", None
    path = Path(request["path"])
    reader = {".zip": _zipped, MAIL: _attached}.get(path.suffix.lower(), _tarred)
    try:
        with path.open("rb") as stream:
            pieces = _pieces(reader(stream))
            for _ in numbers:
                name, data = next(pieces, (None, None))
                if data is None:
                    yield "end", None
                    return
                yield "piece", {"name": name, "data": base64.b64encode(data).decode()}
    except (
        zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, LookupError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise DocumentError(
            "is damaged, or has a password: it cannot be unpacked. Unpack it, and name its folder"
        ) from error


def _pieces(files: Iterator[tuple[str, IO[bytes]]]) -> Iterator[tuple[str | None, bytes]]:
    for name, data in files:
        yield name, data.read(CHUNK)
        while piece := data.read(CHUNK):
            yield None, piece


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
