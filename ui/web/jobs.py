"""What a page waits for: uploads on their way into the library, questions on their way to an answer. No Gradio here."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from ingest.build import Outcome, build
from ingest.podcast.episode import ENDINGS, USUAL, sidecars
from ingest.read import content_id, kind_of
from ingest.worker import Stopped
from rag.answer import Evidence, Token, open_road
from rag.answer import ask as answer_question
from rag.answer import explain as explain_answer
from rag.attribute.attribute import Level
from rag.attribute.shapley import Value
from rag.errors import DocumentError, LibraryError, RagError, UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.llm.chat import ChatReader
from rag.llm.fusion_in_decoder import FusionReader
from rag.read.follow_up import clarification, classify, made_whole
from rag.read.pronouns import Tier
from rag.records import Answer
from ui import render
from ui.web.panels import precedent_panel as precedents
from ui.web.panels.filter_choices import Choice, filters_of, words_of

SPOKEN = (".vtt", ".srt", ".json", ".html", ".htm", ".md", ".txt")  # endings of transcripts
JUDGED = (".txt", ".html", ".htm", ".json", ".jsonl", ".gz")  # of judgments that are no PDF
UPLOADED = tuple(dict.fromkeys((".pdf", *SPOKEN, *JUDGED, *(f".{ending.rpartition('.')[2]}" for ending in ENDINGS))))


class Job:
    """Something under way. Setting `stop` calls it off; its thread looks at that as often as it can."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.result: Future[Any]

    def report(self, what: str, done: int, total: int) -> None:
        """A Report that also calls the job off."""
        if self.stop.is_set():
            raise Stopped

    def ended(self, seconds: float) -> bool:
        """Wait so long for its end; whether it is done, or called off."""
        return bool(wait([self.result], seconds).done) or self.stop.is_set()


class Worker:
    """Does its jobs one at a time, in the order they came, whether or not a browser still watches."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, type(self).__name__)
        self._jobs: list[Job] = []

    def _begin(self, job: Job, do: Callable[[Any], Any]) -> None:
        job.result = self._thread.submit(do, job)
        self._jobs = [earlier for earlier in self._jobs if not earlier.result.done()] + [job]

    def stop(self) -> None:
        for job in self._jobs:
            job.stop.set()

    def close(self, seconds: float) -> bool:
        """Stop, and wait so long for it; whether all has ended."""
        self.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)
        return not wait([job.result for job in self._jobs], seconds).not_done


class Batch(Job):
    """Files on their way into the library. `state` is (done, total) by stage."""

    def __init__(self, files: Sequence[str], passwords: Sequence[str]):
        super().__init__()
        self.files = [Path(file) for file in files]
        self.passwords = passwords
        self.state: dict[str, tuple[int, int]] = {file.name: (0, 0) for file in self.files}

    def report(self, what: str, done: int, total: int) -> None:
        super().report(what, done, total)
        self.state = {**self.state, what: (done, total)}


class Intake(Worker):
    """Uploads become documents."""

    def __init__(self, indexes: Indexes):
        super().__init__()
        self._indexes = indexes
        self._folder = (indexes.library.folder / "uploads").resolve()

    def start(self, files: Sequence[str], passwords: Sequence[str]) -> Batch:
        batch = Batch(files, passwords)
        self._begin(batch, self._take)
        return batch

    def claimed(self) -> set[Path]:
        """The uploads that are being ingested, or wait for that."""
        batches = [job for job in self._jobs if isinstance(job, Batch) and not job.result.done()]
        return {file for batch in batches for file in batch.files}

    def remove(self, document_id: str) -> None:
        """Take a document out of the library. Raises LibraryError."""
        with self._indexes.library.writing("glossator serve: remove"), self._indexes.updating():
            remove(self._indexes.library, document_id)

    def _take(self, batch: Batch) -> list[tuple[str, Outcome]]:
        """Keep the files and ingest them; (name, outcome) of each document in the order they came.

        A transcript's name is followed by the names of what came with it and is kept beside it, the name of a file of
        many judgments by "#" and what tells each from the others.
        """
        parts = [file for file in batch.files if ending_of(file.name)]
        kept: dict[Path, Path | Outcome] = {}
        named: dict[Path, str] = {}
        try:
            for file in batch.files:
                if file not in parts:
                    beside = [part for part in parts if belongs(part.name, file.name)]
                    kept[file], named[file] = self._keep(file, beside), ", ".join(p.name for p in (file, *beside))
            for part in parts:
                if not any(belongs(part.name, file.name) for file in kept):
                    kept[part], named[part] = Outcome(part.name, error=ALONE), part.name
            paths = list(dict.fromkeys(path for path in kept.values() if isinstance(path, Path)))
            batch.state = {path.name: (0, 0) for path in paths}
            outcomes = by_file(self._ingest(paths, batch), map(str, paths))
            found: list[tuple[str, Outcome]] = []
            for file, k in kept.items():
                if isinstance(k, Path):
                    found += [(named[file] + each.path.removeprefix(str(k)), each) for each in outcomes[str(k)]]
                else:
                    found.append((named[file], k))
            return found
        finally:
            for path in kept.values():
                if isinstance(path, Path):
                    _forget(self._indexes.library, path)
            for file in (*batch.files, self._folder / ".incoming"):
                file.unlink(missing_ok=True)

    def _ingest(self, paths: Sequence[Path], batch: Batch) -> Sequence[Outcome]:
        if not paths:
            return ()
        library, settings = self._indexes.library, self._indexes.settings.ingest
        return build(paths, library, self._indexes, settings, batch.passwords, report=batch.report).documents

    def _keep(self, upload: Path, beside: Sequence[Path]) -> Path | Outcome:
        """Where the bytes lie from now on: where they already did, or in the library's uploads folder.

        What belongs beside a transcript goes to the uploads folder, and so does the transcript itself then: nothing is
        put among the files of others.
        """
        try:
            document_id = content_id(upload)
            beside = beside if kind_of(upload) == "podcast" else ()
        except DocumentError as error:
            return Outcome(upload.name, error=str(error))
        target = self._known(document_id, anywhere=not beside) or self._free(upload.name, document_id)
        if not target.exists():
            self._put(upload, target)
        for part in beside:
            self._put(part, target.with_name(target.name.removesuffix(target.suffix) + ending_of(part.name)))
        return target

    def _known(self, document_id: str, anywhere: bool) -> Path | None:
        """A file with these bytes that the library knows: anywhere, or in the uploads folder."""
        files = self._indexes.library.files_of(document_id)
        mine = (file for file in files if anywhere or self._indexes.library.is_upload(file))
        return next((file for file in mine if _holds(file, document_id)), None)

    def _free(self, name: str, document_id: str) -> Path:
        """A place in the uploads folder that has these bytes; or none, and nothing of that name would be beside it."""
        names = [file.name for file in self._folder.glob("*")]
        for number in count(1):
            target = self._folder / safe_name(name, number)
            taken = any(kept.startswith(f"{target.stem}.") for kept in names) or sidecars(target)
            if _holds(target, document_id) or not taken:
                break
        return target

    def _put(self, upload: Path, target: Path) -> None:
        self._folder.mkdir(exist_ok=True)
        shutil.copyfile(upload, self._folder / ".incoming")
        os.replace(self._folder / ".incoming", target)


# -- what lies in the uploads folder: a document, what came with it, or a file of many documents -----------------------


def remove(library: Library, document_id: str) -> None:
    """Take a document out, with all that was kept of its uploads; no file of anybody's own. Raises LibraryError.

    The library's writer calls it. A file of many documents goes with the last of them.
    """
    files = library.files_of(document_id)
    beside = [part for file in files for part in _beside(library, file)]
    library.remove(document_id)
    _delete(beside)
    for whole in library.uploads.glob("*"):
        if any(str(file).startswith(f"{whole}#") for file in files):
            _forget(library, whole)


def _beside(library: Library, kept: Path) -> list[Path]:
    """What is kept beside an upload and belongs to no other."""
    if not library.is_upload(kept):
        return []
    others = [file for file in kept.parent.glob("*") if file.name != kept.name and not ending_of(file.name)]
    shared = {part for other in others for part in sidecars(other)}
    return [part for part in sidecars(kept) if part not in shared]


def _forget(library: Library, kept: Path) -> None:
    """Delete a copy that is no document (any more), and what was put beside it."""
    if library.is_upload(kept):
        with suppress(LibraryError, OSError):
            if not _holds_any_of(library, kept):
                _delete([*_beside(library, kept), kept])


def _holds_any_of(library: Library, kept: Path) -> bool:
    """Whether the library has a document that was read from a file, or one of the many in it; a failed one is none."""
    entries = library.documents(library.documents_from(kept))
    return any(entry.status == "ready" for entry in entries)


def by_file(outcomes: Sequence[Outcome], files: Iterable[str]) -> dict[str, list[Outcome]]:
    """The outcomes of each file; those of the many documents in one are called FILE#KEY (ingest/build.py).

    >>> found = by_file([Outcome("a.json#1"), Outcome("a.json#2"), Outcome("b#1.txt")], ["a.json", "b#1.txt"])
    >>> {file: len(some) for file, some in found.items()}
    {'a.json': 2, 'b#1.txt': 1}
    """
    found: dict[str, list[Outcome]] = {file: [] for file in files}
    for outcome in outcomes:
        file = outcome.path
        while file not in found and "#" in file:
            file = file.rpartition("#")[0]
        found[file].append(outcome)
    return found


def _holds(file: Path, document_id: str) -> bool:
    try:
        return content_id(file) == document_id
    except DocumentError:
        return False


def _delete(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


ALONE = "belongs beside a transcript. Add the two together, with the same name: talk.vtt and talk.mp3"


def ending_of(name: str) -> str:
    """How the name of what belongs beside a transcript ends (ingest/podcast/episode.py); "" for a document's.

    >>> ending_of("A talk.Chapters.JSON"), ending_of("talk.MP3"), ending_of("talk.json")
    ('.chapters.json', '.mp3', '')
    """
    return next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")


def belongs(part: str, document: str) -> bool:
    """Whether the one file's name says that it belongs beside the other.

    >>> belongs("talk.mp3", "talk-transcript.vtt"), belongs("talk.mp3", "talks.vtt")
    (True, False)
    """
    stem = Path(document).stem
    return part[: len(part) - len(ending_of(part))] in (stem, USUAL.sub("", stem))


def safe_name(name: str, number: int = 1) -> str:
    """A file name without folders, control characters or a leading dot, of a length that every disk takes.

    Its ending is in small letters, and one of UPLOADED or none.

    >>> safe_name("../../etc/pass\\nwd.PDF", 2), safe_name("talk.vtt"), safe_name("talk.exe")
    ('passwd (2).pdf', 'talk.vtt', 'talk')
    """
    file = Path(name.replace("\\", "/").rpartition("/")[2])
    stem = "".join(letter for letter in file.stem if letter.isprintable()).strip(". ")
    stem = stem.encode()[:180].decode(errors="ignore") or "document"
    ending = file.suffix.lower() if file.suffix.lower() in UPLOADED else ""
    return f"{stem}{f' ({number})' if number > 1 else ''}{ending}"


class Turn(Job):
    """Work for the reader; `status` is what is happening to it, for people."""

    def __init__(self) -> None:
        super().__init__()
        self.status = "Waiting until the reader is free …"

    def report(self, what: str, done: int, total: int) -> None:
        super().report(what, done, total)
        self.status = f"Bringing the index up to date: {done:,} of {total:,} {what} …"


class Question(Turn):
    """A question on its way: the draft of its answer so far, and afterwards what was found to have made the answer.

    `filters` limit what is searched, as Library.select takes them; `within` says so for people. `before` is the answer
    before it in the conversation, and `whole` what is asked: the text, or its rewriting if that is a follow-up.
    """

    def __init__(self, text: str, style: str, chosen: Choice, before: Answer | None = None):
        super().__init__()
        self.text = text
        self.before = before
        self.whole = text
        self.style = style  # as of rag.answer.ask
        self.filters, self.within = filters_of(chosen), words_of(chosen)
        self.draft = ""
        self.explanation: Explanation | None = None  # the last one
        self.explained: dict[Level, Answer] = {}
        self.readings: dict[str, Value] = {}  # of parts of its evidence, so that going deeper reads none twice

    @property
    def answer(self) -> Answer | None:
        """The last answer of the conversation: its own, or while it has none the one before it."""
        finished = self.result.done() and not self.result.cancelled() and not self.result.exception()
        return (self.result.result() if finished else None) or self.before


class Explanation(Turn):
    """The search for what made an answered question's answer, down to a level."""

    def __init__(self, question: Question, level: Level):
        super().__init__()
        self.question = question
        self.level = level

    def read(self, what: str, done: int, total: int) -> None:
        """A Report that calls nothing off: what was found before a stop is kept."""
        self.status = f"Reading parts of the evidence again: {what} {done:,} of {total:,} …"

    def ended(self, seconds: float) -> bool:
        """Wait so long for its end. One that is called off ends behind the reading under way."""
        wait([self.result], seconds)
        return self.result.done() or (self.stop.is_set() and not self.result.running())


class Search(Job):
    """A search for the precedents of a new text."""

    def __init__(self, asked: precedents.Asked):
        super().__init__()
        self.asked = asked


class Clerk(Worker):
    """Precedents are found beside the reading: they need no reader, and take a moment."""

    def __init__(self, indexes: Indexes):
        super().__init__()
        self._indexes = indexes

    def start(self, asked: precedents.Asked) -> Search:
        search = Search(asked)
        self._begin(search, self._find)
        return search

    def _find(self, search: Search) -> precedents.Found:
        if search.stop.is_set():
            raise Stopped
        return precedents.find(search.asked, self._indexes)


class Reading(Worker):
    """Questions are answered, each from the newest state of the library, and answers explained."""

    def __init__(self, indexes: Indexes):
        super().__init__()
        self._indexes = indexes
        self.clerk = Clerk(indexes)
        self._loading = Job()
        self._begin(self._loading, self._load)

    def start(self, text: str, style: str, chosen: Choice = (), before: Answer | None = None) -> Question:
        question = Question(text, style, chosen, before)
        if not self._loading.result.done():
            question.status = "Loading the models …"
        self._begin(question, self._answer)
        return question

    def explain(self, question: Question, level: Level) -> Explanation:
        """Begin to explain the question's answer; it has one."""
        question.explanation = Explanation(question, level)
        self._begin(question.explanation, self._explain)
        return question.explanation

    def stop(self) -> None:
        super().stop()
        self.clerk.stop()

    def close(self, seconds: float) -> bool:
        return all([super().close(seconds), self.clerk.close(seconds)])

    def has_documents(self) -> bool:
        return any(entry.status == "ready" for entry in self._indexes.library.documents())

    def _load(self, job: Job) -> None:
        """Load the models before they are needed; what is wrong with them is said when they are."""
        with suppress(RagError):
            if self.has_documents():
                open_road(self._indexes, report=job.report)

    def _answer(self, question: Question) -> Answer | None:
        if question.stop.is_set():
            return None
        question.status = "Searching …"
        searched = self._indexes.library.select(question.filters)
        if searched == []:
            raise UsageError(f"nothing in this library is within: {question.within}. Change the filters, or clear them")
        road = open_road(self._indexes, report=question.report)
        if searched is not None:
            road = replace(road, searched=f"{render.many(len(searched), 'passage')} ({question.within})")
        self._make_whole(question, road.reader)
        k = self._indexes.settings.retrieve.k
        for step in answer_question(question.whole, road, k, searched, question.style):
            if question.stop.is_set():
                return None
            if isinstance(step, Answer):
                return step
            if isinstance(step, Evidence):
                question.draft = ""
                read = [hit for hit in step.hits if not hit.ignored]
                question.status = f"Reading {render.evidence_text(read)} …"
            elif isinstance(step, Token):
                question.draft += step.text
            else:
                question.status = "Checking the draft against the passages …"
        return None

    def _make_whole(self, question: Question, reader: ChatReader) -> None:
        """Rewrite a follow-up; a reader that holds no conversation is not asked to.

        Raises UsageError for what is certainly a follow-up and was not understood: an answer would come from anywhere.
        """
        tier = classify(question.text)[0]
        if question.before is None or tier is Tier.STANDALONE:
            return
        whole = None
        if not isinstance(reader, FusionReader):
            question.status = "Reading it after the question before …"
            whole = made_whole(question.text, question.before, reader)
            question.status = "Searching …"
        if whole is None and tier is Tier.FOLLOW_UP:
            raise UsageError(clarification(question.text, question.before))
        question.whole = whole or question.text

    def _explain(self, explanation: Explanation) -> Answer | None:
        """The answer with its attribution; of one that is called off with as much as was found, or None."""
        if explanation.stop.is_set():
            return None
        question = explanation.question
        road = open_road(self._indexes, report=explanation.report)
        explanation.status = "Reading parts of the evidence again …"
        return explain_answer(
            question.result.result(), road, question.style, explanation.level,
            report=explanation.read, stop=explanation.stop.is_set, kept=question.readings,
        )  # fmt: skip
