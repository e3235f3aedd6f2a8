"""Replies of readers, kept: the same reader asked the same words costs nothing the second time.

A file of JSON lines per reader, a line per question asked, written when the question is through. So a run that was
killed at question 300 goes on at 301, and another metric, threshold or style of note needs no reader at all. The key
of a reply is all that it depends on: the reader's weights, its messages (instructions, evidence, question) and the
length allowed; of a reader that goes on from its last prompt, all replies before it, too.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

from platformdirs import user_cache_path

from rag.attribute.tree_reader import as_tree, coalition_reader
from rag.llm.chat import ChatModel, Messages, Usage
from rag.models.registry import catalogue, fingerprint
from rag.records import Hit
from rag.settings import ReaderSettings


def default_cache() -> Path:
    """Beside the weights, in the platform's cache folder."""
    return user_cache_path("glossator") / "eval"


class Replies:
    """The replies of one reader, in a file below `cache`. Safe to use from several threads."""

    def __init__(self, cache: Path, settings: ReaderSettings):
        identity = json.dumps([_weights(settings.model), settings.context_tokens])
        self._file = cache / "replies" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.jsonl"
        self._lock = Lock()
        self._replies: dict[str, dict[str, Any]] = {}
        self._whole = True  # the file ends with a line's end
        if self._file.is_file():
            raw = self._file.read_text("utf-8", "replace")
            self._whole = raw.endswith("\n") or not raw
            for line in raw.split("\n"):
                try:
                    self._replies |= json.loads(line)
                except (ValueError, TypeError):
                    continue  # the line that a killed run was writing; its question is asked again

    def get(self, key: str) -> dict[str, Any] | None:
        return self._replies.get(key)

    def add(self, replies: dict[str, dict[str, Any]]) -> None:
        """Keep the replies to one question, all or none of them."""
        with self._lock:
            self._replies |= replies
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(
                    ("" if self._whole else "\n") + json.dumps(replies) + "\n"
                )  # in ASCII: it may be half a character
            self._whole = True


def _weights(model: str) -> list[str]:
    """What stands for the weights behind a name: their hash, a file's size and date, or an endpoint's own words."""
    if model in catalogue():
        return [fingerprint(model), version("xllamacpp")]
    if model.endswith(".gguf") and Path(model).is_file():
        status = Path(model).stat()
        return [model, str(status.st_size), str(status.st_mtime_ns), version("xllamacpp")]
    return [model]


class RecordingReader(ChatModel):
    """A reader for one question: says what is kept, asks the real one for the rest, and counts what it cost.

    `seconds` is the time all replies took when they were made, `first_seconds` the time to the first piece of the
    first. `spent` is the time that the real reader was busy now. `calls` counts the replies, `prompt_tokens` and
    `generated_tokens` are the sums over them.
    """

    def __init__(self, reader: ChatModel, replies: Replies):
        self._reader = reader
        self._replies = replies
        self._new: dict[str, dict[str, Any]] = {}
        self._behind: tuple[Messages, int, Sequence[str]] | None = None  # kept, and not just given by the real reader
        self.name, self.judges, self.sees = reader.name, reader.judges, reader.sees
        self.seconds = self.spent = 0.0
        self.calls = self.prompt_tokens = self.generated_tokens = 0
        self.first_seconds: float | None = None

    def count(self, messages: Messages) -> int:
        """As ChatModel.count. Never kept: it takes milliseconds."""
        return self._reader.count(messages)

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """As ChatModel.stream; a kept reply comes in one piece. One that was not heard to its end is not kept."""
        key = self._key_of("stream", messages, [max_tokens, *stop] if stop else max_tokens)
        kept = self._replies.get(key)
        self._behind = (messages, max_tokens, stop) if kept else None
        if kept is None:
            kept = yield from self._ask(messages, max_tokens, stop)
            self._new[key] = kept
        else:
            yield kept["text"]
        self._count(kept, usage)
        if self.first_seconds is None:
            self.first_seconds = kept["first_seconds"]

    def _ask(self, messages: Messages, max_tokens: int, stop: Sequence[str]) -> Generator[str, None, dict[str, Any]]:
        reader = self._asked()
        began, own, text, first = time.monotonic(), Usage(), "", None
        try:
            for piece in reader.stream(messages, max_tokens, own, stop):
                first = time.monotonic() - began if first is None else first
                text += piece
                yield piece
        finally:
            seconds = time.monotonic() - began
            self.spent += seconds
        return _reply(own, seconds, text=text, first_seconds=round(seconds if first is None else first, 3))

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        """As ChatModel.yes_probability."""
        key = _key("yes", messages, goes_on)
        kept = self._replies.get(key)
        if kept is None:
            began, own = time.monotonic(), Usage()
            try:
                if (
                    goes_on and self._behind
                ):  # the conversation must be held before it goes on, or the figure may differ
                    list(self._reader.stream(self._behind[0], self._behind[1], None, self._behind[2]))
                    self._behind = None
                asked = time.monotonic()
                probability = self._reader.yes_probability(messages, own, goes_on)
            finally:
                self.spent += time.monotonic() - began
            kept = self._new[key] = _reply(own, time.monotonic() - asked, probability=probability)
        self._count(kept, usage)
        return float(kept["probability"])

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        """As ChatModel.log_probability."""
        key = self._key_of("log", messages, text)
        kept = self._replies.get(key)
        if kept is None:
            reader = self._asked()
            began, own = time.monotonic(), Usage()
            try:
                value = reader.log_probability(messages, text, own)
            finally:
                self.spent += time.monotonic() - began
            kept = self._new[key] = _reply(own, time.monotonic() - began, log_probability=value)
        self._count(kept, usage)
        return float(kept["log_probability"])

    def attended(self, messages: Messages, text: str, hits: Sequence[Hit]) -> list[float] | None:
        """As TreeReader.attended; None where the reader's weights are not in this process."""
        reader = coalition_reader(self._reader)
        if not reader.masks:
            return None
        key = _key("attention", messages, text)
        kept = self._replies.get(key)
        if kept is None:
            began = time.monotonic()
            shares = as_tree(reader).attended(messages, text, hits)
            kept = self._new[key] = _reply(Usage(), time.monotonic() - began, attention=shares)
        return list(kept["attention"])

    def going_on(self) -> RecordingReader:
        """As ChatModel.going_on: another recording reader, with counts of its own, to be kept by itself."""
        return _GoingOnReader(self._reader, self._replies)

    def _key_of(self, kind: str, messages: Messages, detail: int | str | list[int | str]) -> str:
        return _key(kind, messages, detail)

    def _asked(self) -> ChatModel:
        """The real reader, for a reply that is not kept."""
        return self._reader

    def _count(self, reply: dict[str, Any], usage: Usage | None) -> None:
        self.seconds += reply["seconds"]
        self.calls += 1
        self.prompt_tokens += reply["prompt"]
        self.generated_tokens += reply["generated"]
        if usage is not None:
            usage.add({"input_tokens": reply["prompt"], "output_tokens": reply["generated"]})

    def keep(self) -> None:
        """Keep what is new; to be called when the question is through."""
        if self._new:
            self._replies.add(self._new)
            self._new = {}


class _GoingOnReader(RecordingReader):
    """The first prompt is computed from the start, so that no reply depends on what the real reader read before it.

    From there each goes on from the one before, and what is kept are replies in their place in this chain. Where what
    is kept ends, the prompt before is read once more: a reply then differs by as much as `ChatModel.going_on` says.
    A reader whose weights are in this process does all that by itself.
    """

    def __init__(self, reader: ChatModel, replies: Replies):
        super().__init__(reader, replies)
        self._going_on = coalition_reader(reader)
        self._chain = ""
        self._before: Messages | None = None
        self._now: Messages | None = None
        self._before_is_held = self._now_is_held = False  # by the real reader

    def _key_of(self, kind: str, messages: Messages, detail: int | str | list[int | str]) -> str:
        self._before, self._before_is_held = self._now, self._now_is_held
        self._now, self._now_is_held = messages, False
        self._chain = _key(kind, messages, [self._chain, json.dumps(detail)])
        return self._chain

    def _asked(self) -> ChatModel:
        self._now_is_held = True
        if self._going_on.masks:
            return self._going_on
        if self._before is None:
            return self._reader
        if not self._before_is_held:
            list(self._reader.stream(self._before, 1))
        return self._going_on


def _key(kind: str, messages: Messages, detail: int | bool | str | list[int | str]) -> str:
    text = json.dumps([kind, [list(message) for message in messages], detail], ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _reply(usage: Usage, seconds: float, **more: Any) -> dict[str, Any]:
    return {**more, "prompt": usage.prompt, "generated": usage.generated, "seconds": round(seconds, 3)}
