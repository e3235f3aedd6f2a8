"""PODTILE's training: a causal language model learns to write the chapters of a chunk, boundaries and titles together.

After Ghazimatin et al., arXiv 2410.16148. The paper tunes a LongT5 on chapters that makers gave; here low-rank adapters
(LoRA, Hu et al., arXiv 2106.09685) of a causal model are trained and merged, so that what is saved is a plain folder
that reader.model can name. Such a reader is asked as it was trained: an example's prompt is the one that
podtile.py makes of the chunk where the replies before it were right, and its target is the right reply: the
lines that give the maker's chapters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ingest.podcast.podtile import Chapteriser, Room, clean
from rag.document import Document
from rag.errors import DataError
from rag.llm.chat import ChatModel, Messages, Usage
from rag.protocols import Report, silent
from rag.train.adapters import RATE, AdapterRecipe, Rows, TunedChatModel, prompt_ids, reply_loss, row_of, tune

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 4  # chunks a step; the paper has no adapters


@dataclass(frozen=True, slots=True)
class ChapterExample:
    """What a reader is asked of a chunk, and what it should say: a line "number: title" for each chapter, or ""."""

    messages: Messages
    target: str


class _Teacher:
    """In place of a reader: it gives the reply that is set, and keeps the prompt that it was asked with."""

    name = "teacher"

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        self.asked: Messages = ()
        self.reply = ""

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.asked = messages
        yield self.reply

    def count(self, messages: Messages) -> int:
        return len(prompt_ids(messages, self._tokenizer))


def examples_of(document: Document, tokenizer: Any, room: Room) -> list[ChapterExample]:
    """One of each chunk of an episode with chapters of its maker; [] for another. Raises ReaderError as Chapteriser.

    `room` is the token budget of the reader to be trained: the chunks are those that it will be asked about.
    """
    episode = document.episode
    if episode is None or not episode.chapters:
        return []
    numbers = {utterance.start: number for number, utterance in enumerate(episode.utterances)}
    theirs = [(numbers[chapter.start], title) for chapter in episode.chapters if (title := clean(chapter.title))]
    teacher = _Teacher(tokenizer)
    chapteriser = Chapteriser(document, cast("ChatModel", teacher), room)
    examples: list[ChapterExample] = []
    found: list[tuple[int, str]] = []
    for start, end in chapteriser.chunks():
        teacher.reply = "\n".join(f"{number}: {title}" for number, title in theirs if start <= number < end)
        last = episode.utterances[found[-1][0]].start_seconds if found else None
        found += chapteriser.chapters(start, end, [title for _, title in found], last)
        examples.append(ChapterExample(teacher.asked, teacher.reply))
    return examples


def chapter_loss(model: Any, rows: Rows) -> Tensor:
    """The mean over a reply's tokens of -log p(token | prompt, tokens before it), in nats. A scalar."""
    ((ids, begin),) = rows
    return reply_loss(model, (ids, begin)) / (len(ids) - begin)


def train(
    examples: Sequence[ChapterExample],
    model: Any,
    tokenizer: Any,
    epochs: int = 1,
    seed: int = 0,
    report: Report = silent,
    checkpoint: Path | None = None,
) -> TunedChatModel:
    """Train adapters to write each target, and merge them into the model, which is changed, as `tune`.

    Raises DataError without an example that is short enough for the model.
    """
    if not examples:
        raise DataError("there is no episode with chapters of its maker to train from. Name other data")
    return tune(
        model, tokenizer, [(row_of(each.messages, each.target, tokenizer),) for each in examples], chapter_loss,
        AdapterRecipe(BATCH, epochs, seed, RATE), "parts of episodes",
        "Lower reader.context_tokens, or name a model with a longer context", checkpoint, report,
    )  # fmt: skip


def save(trained: TunedChatModel, base: str, out: Path, data: str, room: Room) -> None:
    """As TunedChatModel.save, with the context that the examples were made for."""
    trained.save(out, "chapters", base, data, context_tokens=room.context)
