"""Zip files that documents are packed in: opened within limits, their members read by name."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from ingest.reflowable.content import line_of
from ingest.reflowable.markup import Element, attribute, descendants, first, parsed_xml
from rag.errors import DocumentError

MOST_MEMBERS = 20_000
MOST_BYTES = 1 << 30  # of all members unpacked; a book with pictures has a tenth of it
MOST_OF_ONE = 256 << 20  # bytes of one member
MOST_RATIO = 500  # unpacked to packed, of a member of more than a megabyte: text reaches 20, a bomb 1,000


@contextmanager
def refusing(why: str) -> Iterator[None]:
    """Raise DocumentError with `why` for what zipfile, zlib and the readers of others raise of a damaged file."""
    try:
        yield
    except (
        ArithmeticError, AttributeError, LookupError, OSError, EOFError, RuntimeError, SyntaxError, TypeError,
        ValueError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise DocumentError(why) from error


class Archive:
    """A zip file in memory. Raises DocumentError for one that is damaged, or would unpack to more than the limits."""

    def __init__(self, data: bytes):
        with refusing("is damaged: it cannot be unpacked. Open and save it again"):
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            members = self._zip.infolist()
        if len(members) > MOST_MEMBERS:
            raise DocumentError(f"packs {len(members):,} files, more than any document. Leave it out")
        if sum(member.file_size for member in members) > MOST_BYTES or any(
            member.file_size > 1 << 20 and member.file_size > MOST_RATIO * max(1, member.compress_size)
            for member in members
        ):
            raise DocumentError("would unpack to far more than it holds, as files that mean harm do. Leave it out")
        self.names = {member.filename for member in members}

    def read(self, name: str) -> bytes | None:
        """The bytes of a member; None for none of this name."""
        name = name.lstrip("/")
        if name not in self.names:
            return None
        why = f"is damaged, or has a password: {line_of(name)} cannot be unpacked. Save it again"
        with refusing(why), self._zip.open(name) as stream:
            data = stream.read(MOST_OF_ONE + 1)
        if len(data) > MOST_OF_ONE:
            raise DocumentError(f"holds more than {MOST_OF_ONE >> 20} MB in one part. Cut it in parts")
        return data

    def xml(self, name: str) -> Element | None:
        """The root of a member; None for none of this name."""
        data = self.read(name)
        return None if data is None else parsed_xml(data)

    def check_xml(self, leave_out: str = "") -> None:
        """Raise DocumentError for a member that defines entities, before another library reads the file."""
        for name in self.names:
            if name.endswith(".xml") and not (leave_out and leave_out in name):
                self.xml(name)

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part of an Office file refers to: id -> (type, member); what lies outside of the file is left out."""
        folder, name = posixpath.split(part)
        root = self.xml(posixpath.join(folder, "_rels", f"{name}.rels"))
        found = {}
        for each in descendants(root, "Relationship") if root is not None else ():
            if attribute(each, "TargetMode") != "External":
                kind = attribute(each, "Type").rpartition("/")[2]
                found[attribute(each, "Id")] = (kind, beside(part, attribute(each, "Target")))
        return found


def beside(part: str, target: str) -> str:
    """A member's name as another member names it: by a path from its own folder, or from the root.

    >>> beside("word/document.xml", "media/a.png"), beside("word/document.xml", "/word/b.xml")
    ('word/media/a.png', 'word/b.xml')
    >>> beside("OEBPS/text/one.xhtml", "../images/a%20b.png#x")
    'OEBPS/images/a b.png'
    """
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join(posixpath.dirname(part), path)).lstrip("/")


def core_facts(archive: Archive) -> dict[str, str]:
    """What an Office file says of itself: title, author, date (YYYY-MM-DD)."""
    root = archive.xml("docProps/core.xml")
    said: dict[str, str] = {}
    for name, key in (("title", "title"), ("creator", "author"), ("created", "date")):
        found = first(root, name) if root is not None else None
        if found is not None and (found.text or "").strip():
            said[key] = " ".join((found.text or "").split())
    if "date" in said:
        said["date"] = said["date"][:10]
    return said
