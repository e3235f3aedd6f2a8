"""Archives and e-mails with attachments (ingest/folders/unpack.py): unpacked within limits, whatever they hold."""

from __future__ import annotations

import email
import io
import tarfile
import threading
import zipfile
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import cast

import pytest

from ingest.build import build
from ingest.child_process import Children, Limits
from ingest.folders import unpack as unpacking
from ingest.folders.packed_files import may_have_attachments
from ingest.folders.unpack import is_archive
from ingest.uploads import UploadFolder, remove_document
from rag.errors import DocumentError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from tests.reflowable_files import CONTRACT, packed
from tests.test_podcasts_ingest import NoIndexes


def tarred(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return made.getvalue()


LIMITS = Limits(20.0, 512)


def unpack(archive: Path, below: Path, limits: Limits = LIMITS) -> Path:
    return unpacking.unpack(archive, below, limits, Children(threading.Semaphore(), 1, threading.Event()))


def below(folder: Path) -> list[str]:
    return sorted(
        str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file.name != ".unpacked"
    )


MEMBERS = {"a.txt": b"Words.\n", "deep/b.docx": CONTRACT, ".hidden.txt": b"x", "__MACOSX/c.txt": b"x"}


@pytest.mark.parametrize("name", ["papers.zip", "papers.tar.gz"])
def test_the_documents_in_an_archive_are_ingested_and_not_unpacked_twice(tmp_path: Path, name: str) -> None:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / name).write_bytes(packed(MEMBERS) if name.endswith("zip") else tarred(MEMBERS))
    indexes = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))

    def statuses() -> dict[str, str]:
        made = build([tmp_path / "shelf"], indexes.library, indexes, indexes.settings.ingest)
        return {Path(outcome.path).name: outcome.status for outcome in made.documents}

    assert statuses() == {"a.txt": "added", "b.docx": "added"}
    assert statuses() == {"a.txt": "unchanged", "b.docx": "unchanged"}
    (folder,) = (tmp_path / "library" / "unpacked").iterdir()
    assert below(folder) == ["a.txt", "deep/b.docx"]


def test_nothing_is_written_outside_of_its_folder(tmp_path: Path) -> None:
    hostile = {"../out.txt": b"x", "/etc/out.txt": b"x", "a/../../out.txt": b"x", "..\\out.txt": b"x", "in.txt": b"x"}
    (tmp_path / "a.zip").write_bytes(packed(hostile))
    (tmp_path / "b.tar.gz").write_bytes(tarred(hostile, {"link.txt": "/etc/passwd", "dir": "/etc"}))
    for name in ("a.zip", "b.tar.gz"):
        assert below(unpack(tmp_path / name, tmp_path / "below")) == ["in.txt"]
    assert below(tmp_path / "below") and not list(tmp_path.rglob("out.txt"))


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("in.txt", "x")
    assert below(unpack(tmp_path / "a.zip", tmp_path / "below")) == ["in.txt"]


def test_a_bomb_too_many_files_and_a_cut_archive_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bomb.zip").write_bytes(packed({"a.txt": b"0" * (40 << 20)}))
    (tmp_path / "cut.zip").write_bytes(packed(MEMBERS)[:200])
    (tmp_path / "cut.tar.gz").write_bytes(tarred(MEMBERS)[:100])
    monkeypatch.setattr(unpacking, "MOST_FILES", 2)
    (tmp_path / "many.zip").write_bytes(packed({f"{n}.txt": b"x" for n in range(3)}))
    for name, line in {
        "bomb.zip": "far more than it holds",
        "cut.zip": "is damaged",
        "cut.tar.gz": "is damaged",
        "many.zip": "more than 2 files",
    }.items():
        with pytest.raises(DocumentError, match=line):
            unpack(tmp_path / name, tmp_path / "below")


def test_what_a_kill_left_half_unpacked_is_unpacked_anew(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed({"a.txt": b"x", "b.txt": b"y"}))
    folder = unpack(tmp_path / "a.zip", tmp_path / "below")
    (folder / ".unpacked").unlink()
    (folder / "b.txt").unlink()
    (folder / "junk.txt").write_text("torn")
    assert below(unpack(tmp_path / "a.zip", tmp_path / "below")) == ["a.txt", "b.txt"]


def mail(attached: Sequence[tuple[str, bytes]], forwarded: bytes = b"") -> bytes:
    """An e-mail with files, and perhaps another e-mail, attached."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "ada@example.org", "ben@example.org", "The lease"
    message.set_content("The lease is attached.\n")
    for name, data in attached:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    if forwarded:
        message.add_attachment(email.message_from_bytes(forwarded, policy=default))
    return message.as_bytes()


def test_what_is_attached_to_an_email_is_a_document_of_its_own(tmp_path: Path) -> None:
    files = [
        ("lease.docx", CONTRACT),
        ("lease.docx", CONTRACT + b"\n"),
        ("../../.out.txt", b"Words.\n"),
        ("s.p7s", b"\0\1"),
    ]
    (tmp_path / "the.eml").write_bytes(mail(files, mail([("deep.txt", b"x")])))
    indexes = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))
    made = build([tmp_path / "the.eml"], indexes.library, indexes, indexes.settings.ingest)
    assert [(Path(outcome.path).name, outcome.kind) for outcome in made.documents] == [
        ("the.eml", "email"), ("2 lease.docx", "word"), ("attached.eml", "email"), ("lease.docx", "word"),
        ("out.txt", "text"),
    ]  # fmt: skip
    (warning,) = made.documents[0].warnings
    assert warning.startswith("attached: lease.docx, ")
    again = build([tmp_path], indexes.library, indexes, indexes.settings.ingest)
    assert {outcome.status for outcome in again.documents} == {"unchanged"} and len(again.documents) == 5


def test_an_upload_of_an_archive_is_its_documents_and_what_is_removed_leaves_the_disk(tmp_path: Path) -> None:
    indexes = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))
    (tmp_path / "matter.ZIP").write_bytes(packed(MEMBERS))
    (tmp_path / "empty.tar.gz").write_bytes(tarred({"a.bin": b"\0"}))
    uploads = [tmp_path / "matter.ZIP", tmp_path / "empty.tar.gz"]
    found = UploadFolder(indexes).ingest(uploads, (), lambda names: None, lambda *_: None)
    assert [(name, outcome.status) for name, outcome in found] == [
        ("matter.ZIP#a.txt", "added"), ("matter.ZIP#deep/b.docx", "added"), ("empty.tar.gz", "failed"),
    ]  # fmt: skip
    assert list(indexes.library.uploads.iterdir()) == [], "an archive is not kept beside what was in it"
    (folder,) = (folder for folder in (tmp_path / "library" / "unpacked").iterdir() if "matter" in folder.name)
    with indexes.library.writing("a test"):
        remove_document(indexes.library, cast(str, found[0][1].document_id))
    assert below(folder) == ["deep/b.docx"]
    (tmp_path / "again.zip").write_bytes(packed(MEMBERS))
    ((_, first), (_, second)) = UploadFolder(indexes).ingest(
        [tmp_path / "again.zip"], (), lambda n: None, lambda *_: None
    )
    assert (first.status, second.status) == ("added", "unchanged"), "what was removed comes back with its archive"


def test_what_unpacks_is_a_limited_child(tmp_path: Path) -> None:
    """A mail of 300 MB takes more memory than it may; who unpacks it lives on."""
    (tmp_path / "large.eml").write_bytes(mail([("a.bin", b"0" * (60 << 20))]))
    with pytest.raises(DocumentError, match="needed more than 256 MB of memory"):
        unpack(tmp_path / "large.eml", tmp_path / "below", Limits(20.0, 256))
    assert not list((tmp_path / "below").rglob(".unpacked"))


def test_a_child_that_was_taken_over_writes_nowhere_else(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    pieces = [
        ("../out.txt", b"x"),
        (None, b"y"),
        ("a/.b/c.txt", b"x"),
        ("in.txt", b"x"),
        (None, b"y"),
        ("in.txt", b"z"),
    ]
    unpacking._keep(kept, iter(pieces), 100)
    assert below(tmp_path) == ["kept/in.txt"] and (kept / "in.txt").read_bytes() == b"z"
    with pytest.raises(DocumentError, match="far more than it holds"):
        unpacking._keep(kept, iter([(".hidden", b"x" * 60), (None, b"x" * 60)]), 100)


@pytest.mark.parametrize(
    ("headers", "has_some"),
    [
        (b"Content-Type: multipart/mixed; boundary=x", True),
        (b"Subject: a\r\ncontent-type:\r\n multipart/related; boundary=x", True),
        (b"Content-Type: multipart/alternative; boundary=x", False),
        (b"Content-Type: text/plain", False),
        (b"Subject: a\n\nContent-Type: multipart/mixed", False),
    ],
)
def test_the_headers_say_whether_there_may_be_attachments(tmp_path: Path, headers: bytes, has_some: bool) -> None:
    (tmp_path / "a.eml").write_bytes(headers + b"\n\nWords.\n")
    assert may_have_attachments(tmp_path / "a.eml") is has_some


def test_an_office_file_is_no_archive() -> None:
    assert not is_archive("a.docx", b"PK\x03\x04") and not is_archive("a.epub", b"PK\x03\x04")
