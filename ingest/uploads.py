"""Uploaded files -> documents: the library's folder `uploads` keeps the files, and loses them with their document.

A transcript is kept with the files that came with it (audio, chapters, show notes) beside it under the same name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from ingest.audio.recording_kind import ENDINGS as RECORDED
from ingest.build import Outcome, build
from ingest.folders.unpack import DONE, packed_name
from ingest.folders.unpack import ENDINGS as ARCHIVES
from ingest.kinds import kind_of
from ingest.podcast.sidecars import AUDIO, ENDINGS, USUAL, sidecars
from ingest.read import content_id, is_packed
from ingest.reflowable.formats import ENDINGS as REFLOWABLE
from rag.errors import DocumentError, LibraryError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.protocols import Report

SPOKEN = (".vtt", ".srt", ".json", ".html", ".htm", ".md", ".txt")  # endings of transcripts
JUDGED = (".txt", ".html", ".htm", ".json", ".jsonl", ".gz")  # of judgments that are no PDF
UPLOADED = tuple(
    dict.fromkeys(
        (".pdf", *REFLOWABLE, *RECORDED, *SPOKEN, *JUDGED, *(f".{e.rpartition('.')[2]}" for e in (*ENDINGS, *ARCHIVES)))
    )
)
TWICE = "is added twice at once: its documents stand beside the other one"
ALONE = "belongs beside a transcript. Add the two together, with the same name: talk.vtt and talk.mp3"


class UploadFolder:
    """The library's folder `uploads`. One thread at a time may ingest into it."""

    def __init__(self, indexes: Indexes):
        self._indexes = indexes
        self._library = indexes.library
        self._folder = (indexes.library.folder / "uploads").resolve()

    def ingest(
        self, files: Sequence[Path], passwords: Sequence[str], begin: Callable[[Sequence[str]], None], report: Report
    ) -> list[tuple[str, Outcome]]:
        """Keep copies of the files and ingest them; the files themselves are deleted.

        Gives (name, outcome) of each document in the order of the files. A transcript's name is followed by the names
        of its sidecars, the name of a file of many documents (judgments, an archive, an e-mail with attachments) by "#"
        and each one's key. `begin` is called once, with the names of the copies that are about to be read.
        """
        parts = [file for file in files if sidecar_ending(file.name)]
        others = [file.name for file in files if file not in parts]
        parts = [part for part in parts if not _is_alone(part.name, others)]  # a recording alone is heard
        kept: dict[Path, Path | Outcome] = {}
        names: dict[Path, str] = {}
        try:
            for file in files:
                if file not in parts:
                    beside = [part for part in parts if belongs(part.name, file.name)]
                    kept[file], names[file] = self._keep(file, beside), ", ".join(p.name for p in (file, *beside))
            for part in parts:
                if not any(belongs(part.name, file.name) for file in kept):
                    kept[part], names[part] = Outcome(part.name, error=ALONE), part.name
            paths = list(dict.fromkeys(path for path in kept.values() if isinstance(path, Path)))
            begin([path.name for path in paths])
            outcomes = outcomes_by_file(self._build(paths, passwords, report), map(str, paths))
            found: list[tuple[str, Outcome]] = []
            for file, copy in kept.items():
                if isinstance(copy, Path):
                    those = outcomes[str(copy)] or [Outcome(str(copy), error=TWICE)]
                    found += [(names[file] + each.path.removeprefix(str(copy)), each) for each in those]
                else:
                    found.append((names[file], copy))
            return found
        finally:
            for copy in kept.values():
                if isinstance(copy, Path):
                    _delete_unless_used(self._library, copy)
            for file in (*files, self._folder / ".incoming"):
                file.unlink(missing_ok=True)

    def _build(self, paths: Sequence[Path], passwords: Sequence[str], report: Report) -> Sequence[Outcome]:
        if not paths:
            return ()
        settings = self._indexes.settings.ingest
        outcomes = build(paths, self._library, self._indexes, settings, passwords, report=report).documents
        below = self._library.folder / "unpacked"
        return [replace(outcome, path=packed_name(Path(outcome.path), below)) for outcome in outcomes]

    def _keep(self, upload: Path, beside: Sequence[Path]) -> Path | Outcome:
        """Where the upload's bytes are kept: at a file that the library knows already, or in the uploads folder.

        A transcript with sidecars goes to the uploads folder in any case: nothing is put beside people's own files.
        """
        try:
            if is_packed(upload):
                return self._copied(upload)
            document_id = content_id(upload)
            beside = beside if kind_of(upload) in ("podcast", "audio") else ()
        except DocumentError as error:
            return Outcome(upload.name, error=str(error))
        target = self._known(document_id, anywhere=not beside) or self._free(upload.name, document_id)
        if not target.exists():
            self._copy(upload, target)
        for part in beside:
            self._copy(part, target.with_name(target.name.removesuffix(target.suffix) + sidecar_ending(part.name)))
        return target

    def _known(self, document_id: str, anywhere: bool) -> Path | None:
        """A file with these bytes that the library knows: anywhere, or in the uploads folder only."""
        files = self._library.files_of(document_id)
        for file in files:
            if anywhere or self._library.is_upload(file):
                self._library.bring(file)
                if _holds(file, document_id):
                    return file
        return None

    def _free(self, name: str, document_id: str) -> Path:
        """A path in the uploads folder that has these bytes, or that is free and would have no foreign sidecars."""
        taken_names = [file.name for file in self._folder.glob("*")]
        for number in count(1):
            target = self._folder / safe_name(name, number)
            taken = any(kept.startswith(f"{target.stem}.") for kept in taken_names) or sidecars(target)
            if _holds(target, document_id) or not taken:
                break
        return target

    def _copied(self, archive: Path) -> Path:
        """A copy of an archive under a free name, which the uploads folder holds until it is unpacked."""
        target = next(path for n in count(1) if not (path := self._folder / safe_name(archive.name, n)).exists())
        self._copy(archive, target)
        return target

    def _copy(self, upload: Path, target: Path) -> None:
        self._folder.mkdir(exist_ok=True)
        shutil.copyfile(upload, self._folder / ".incoming")
        os.replace(self._folder / ".incoming", target)


def remove_document(library: Library, document_id: str) -> None:
    """Remove a document with its files in the uploads folder or unpacked, and no file elsewhere. Raises LibraryError.

    Called by the library's writer. A file of many documents goes with the last of them.
    """
    files = library.files_of(document_id)
    beside = [part for file in files for part in _sidecars_of(library, file)]
    library.remove(document_id)
    library.delete_files([*beside, *_unpacked(library, files)])
    for whole in library.uploads.glob("*"):
        if any(str(file).startswith(f"{whole}#") for file in files):
            _delete_unless_used(library, whole)


def _unpacked(library: Library, files: Sequence[Path]) -> list[Path]:
    """The files that were unpacked, and the marks that their archives need no unpacking."""
    below = (library.folder / "unpacked").absolute()
    found = [(file, file.relative_to(below)) for file in files if file.is_relative_to(below)]
    inside = [(file, inner) for file, inner in found if ".." not in inner.parts and len(inner.parts) > 1]
    return [path for file, inner in inside for path in (file, below / inner.parts[0] / DONE)]


def _sidecars_of(library: Library, kept: Path) -> list[Path]:
    """The files beside an upload that belong to it and to no other upload."""
    if not library.is_upload(kept):
        return []
    others = [file for file in kept.parent.glob("*") if file.name != kept.name and not sidecar_ending(file.name)]
    shared = {part for other in others for part in sidecars(other)}
    return [part for part in sidecars(kept) if part not in shared]


def _delete_unless_used(library: Library, kept: Path) -> None:
    """Delete a copy of which no document was read (any more), and its sidecars."""
    if library.is_upload(kept):
        with suppress(LibraryError, OSError):
            if not _has_document_from(library, kept):
                library.delete_files([*_sidecars_of(library, kept), kept])


def _has_document_from(library: Library, kept: Path) -> bool:
    """Whether the library has a document that was read from a file, or from a part of it, without failing."""
    entries = library.documents(library.documents_below(kept))
    return any(entry.status == "ready" for entry in entries)


def _holds(file: Path, document_id: str) -> bool:
    try:
        return content_id(file) == document_id
    except DocumentError:
        return False


def outcomes_by_file(outcomes: Sequence[Outcome], files: Iterable[str]) -> dict[str, list[Outcome]]:
    """The outcomes of each file; those of the many documents in one file are called FILE#KEY (ingest/build.py).

    >>> found = outcomes_by_file([Outcome("a.json#1"), Outcome("a.json#2"), Outcome("b#1.txt")], ["a.json", "b#1.txt"])
    >>> {file: len(outcomes) for file, outcomes in found.items()}
    {'a.json': 2, 'b#1.txt': 1}
    """
    found: dict[str, list[Outcome]] = {file: [] for file in files}
    for outcome in outcomes:
        file = outcome.path
        while file not in found and "#" in file:
            file = file.rpartition("#")[0]
        found[file].append(outcome)
    return found


def sidecar_ending(name: str) -> str:
    """The ending by which a name is that of a transcript's sidecar (ingest/podcast/episode.py), else "".

    >>> sidecar_ending("A talk.Chapters.JSON"), sidecar_ending("talk.MP3"), sidecar_ending("talk.json")
    ('.chapters.json', '.mp3', '')
    """
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")


def belongs(part: str, document: str) -> bool:
    """Whether a sidecar's name says that it belongs to the document of that name.

    >>> belongs("talk.mp3", "talk-transcript.vtt"), belongs("talk.mp3", "talks.vtt")
    (True, False)
    """
    stem = Path(document).stem
    return part[: len(part) - len(sidecar_ending(part))] in (stem, USUAL.sub("", stem))


def _is_alone(part: str, documents: Sequence[str]) -> bool:
    """Whether a file is a recording, and no document's that was added with it."""
    return sidecar_ending(part) in AUDIO and not any(belongs(part, document) for document in documents)


def safe_name(name: str, number: int = 1) -> str:
    """A file name without folders, control characters or a leading dot, of a length that every disk takes.

    Its ending is in small letters, and one of UPLOADED or none. A number above 1 is written behind the stem.

    >>> safe_name("../../etc/pass\\nwd.PDF", 2), safe_name("talk.vtt"), safe_name("talk.exe")
    ('passwd (2).pdf', 'talk.vtt', 'talk')
    """
    file = Path(name.replace("\\", "/").rpartition("/")[2])
    stem = "".join(letter for letter in file.stem if letter.isprintable()).strip(". ")
    stem = stem.encode()[:180].decode(errors="ignore") or "document"
    ending = file.suffix.lower() if file.suffix.lower() in UPLOADED else ""
    return f"{stem}{f' ({number})' if number > 1 else ''}{ending}"
