"""What a page waits for: uploads on their way into the library, questions on their way to an answer. No Gradio here."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from ingest.build import Outcome, build
from ingest.read import content_id
from ingest.worker import Stopped
from rag.answer import Evidence, Token, open_road
from rag.answer import ask as answer_question
from rag.answer import explain as explain_answer
from rag.attribute.attribute import Level
from rag.attribute.shapley import Value
from rag.errors import DocumentError, LibraryError, RagError
from rag.indexes import Indexes
from rag.records import Answer
from ui import render


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

    def _take(self, batch: Batch) -> list[tuple[str, Outcome]]:
        """Keep the files and ingest them; (name, outcome) in the order they came."""
        kept: dict[Path, Path | Outcome] = {}
        try:
            for file in batch.files:
                kept[file] = self._keep(file)
            paths = list(dict.fromkeys(path for path in kept.values() if isinstance(path, Path)))
            batch.state = {path.name: (0, 0) for path in paths}
            outcomes = {outcome.path: outcome for outcome in self._ingest(paths, batch)}
            return [(file.name, outcomes[str(k)] if isinstance(k, Path) else k) for file, k in kept.items()]
        finally:
            for path in kept.values():
                self._forget(path)
            for file in (*batch.files, self._folder / ".incoming"):
                file.unlink(missing_ok=True)

    def _ingest(self, paths: Sequence[Path], batch: Batch) -> Sequence[Outcome]:
        if not paths:
            return ()
        library, settings = self._indexes.library, self._indexes.settings.ingest
        return build(paths, library, self._indexes, settings, batch.passwords, report=batch.report).documents

    def _keep(self, upload: Path) -> Path | Outcome:
        """Where the bytes lie from now on: where they already did, or in the library's uploads folder."""
        try:
            document_id = content_id(upload)
        except DocumentError as error:
            return Outcome(upload.name, error=str(error))
        for known in self._indexes.library.files_of(document_id):
            if _holds(known, document_id):
                return known
        for number in count(1):
            target = self._folder / safe_name(upload.name, number)
            if _holds(target, document_id):
                return target
            if not target.exists():
                break
        self._folder.mkdir(exist_ok=True)
        shutil.copyfile(upload, self._folder / ".incoming")
        os.replace(self._folder / ".incoming", target)
        return target

    def _forget(self, kept: Path | Outcome) -> None:
        """Delete a copy that did not become a document."""
        if isinstance(kept, Path) and kept.is_relative_to(self._folder):
            with suppress(LibraryError, OSError):
                if not self._indexes.library.document_at(str(kept)):
                    kept.unlink()


def _holds(file: Path, document_id: str) -> bool:
    try:
        return content_id(file) == document_id
    except DocumentError:
        return False


def safe_name(name: str, number: int = 1) -> str:
    """A file name without folders, control characters or a leading dot, of a length that every disk takes.

    >>> safe_name("../../etc/pass\\nwd.PDF", 2)
    'passwd (2).pdf'
    """
    stem = Path(name.replace("\\", "/").rpartition("/")[2]).stem
    stem = "".join(letter for letter in stem if letter.isprintable()).strip(". ")
    stem = stem.encode()[:180].decode(errors="ignore") or "document"
    return f"{stem}{f' ({number})' if number > 1 else ''}.pdf"


class Turn(Job):
    """Work for the reader; `status` is what is happening to it, for people."""

    def __init__(self) -> None:
        super().__init__()
        self.status = "Waiting until the reader is free …"

    def report(self, what: str, done: int, total: int) -> None:
        super().report(what, done, total)
        self.status = f"Bringing the index up to date: {done:,} of {total:,} {what} …"


class Question(Turn):
    """A question on its way: the draft of its answer so far, and afterwards what was found to have made the answer."""

    def __init__(self, text: str, style: str):
        super().__init__()
        self.text = text
        self.style = style  # as of rag.answer.ask
        self.draft = ""
        self.explanation: Explanation | None = None  # the last one
        self.explained: dict[Level, Answer] = {}
        self.readings: dict[str, Value] = {}  # of parts of its evidence, so that going deeper reads none twice


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


class Reading(Worker):
    """Questions are answered, each from the newest state of the library, and answers explained."""

    def __init__(self, indexes: Indexes):
        super().__init__()
        self._indexes = indexes
        self._loading = Job()
        self._begin(self._loading, self._load)

    def start(self, text: str, style: str) -> Question:
        question = Question(text, style)
        if not self._loading.result.done():
            question.status = "Loading the models …"
        self._begin(question, self._answer)
        return question

    def explain(self, question: Question, level: Level) -> Explanation:
        """Begin to explain the question's answer; it has one."""
        question.explanation = Explanation(question, level)
        self._begin(question.explanation, self._explain)
        return question.explanation

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
        road = open_road(self._indexes, report=question.report)
        for step in answer_question(question.text, road, self._indexes.settings.retrieve.k, style=question.style):
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
