"""ALR²: the reader first chooses the sentences that a question needs, then answers from them.

After Li et al., arXiv 2410.03227. The paper trains its model to copy sentences, because a reader that is only prompted
invents some. Here nothing that the reader writes is kept: its numbers or copies say which sentences of the evidence to
take, so no chosen sentence is invented, and what fits none is dropped and counted. Training: quote_training.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from rag.errors import UsageError
from rag.llm.chat import ChatModel, Usage
from rag.llm.tokens import prompt_tokens, tokens_of
from rag.read.match import EDGES, NUMBER, content_words, fold
from rag.read.prompts import NONE, copy_messages, number_messages
from rag.read.quotes import Quote, overlap, units
from rag.records import Hit, Passage

How = Literal["numbers", "words"]
SAME = 0.9  # Levenshtein similarity (0..1) from which a copy counts as that sentence
REPLY_TOKENS: dict[How, int] = {"numbers": 64, "words": 400}
BULLET = re.compile(r"\s*(?:[-*\u2022\u2013\u00b7]\s*|[0-9]+[.)]\s+)")


@dataclass(frozen=True, slots=True)
class Selection:
    """The sentences that a reader chose, in the order of the evidence.

    `generated` counts the different numbers or copies in its replies, window by window; `dropped` those of them that
    are no sentence of the window.
    """

    quotes: tuple[Quote, ...]
    generated: int
    dropped: int

    @property
    def hallucination_rate(self) -> float | None:
        """The share of what the reader wrote that is not in the evidence, 0..1; None where it wrote nothing.

        It is the reader's, and the paper's measure; of the quotes it is 0.
        """
        return self.dropped / self.generated if self.generated else None


def select(
    reader: ChatModel,
    question: str,
    evidence: Sequence[Hit],
    how: How,
    window_tokens: int,
    usage: Usage,
    count: Callable[[str], int] = tokens_of,
) -> Selection:
    """Have the reader choose sentences, window by window: by their "numbers", or by copying their "words".

    A prompt has at most `window_tokens` tokens by `count`; the reply, at most REPLY_TOKENS[how], comes on top. Raises
    UsageError for a window that cannot hold the question and a word, ReaderError as the reader does.
    """
    messages_of = number_messages if how == "numbers" else copy_messages

    def fits(chosen: Sequence[Quote]) -> bool:
        return prompt_tokens(messages_of(question, chosen), count) <= window_tokens

    quotes: list[Quote] = []
    generated = dropped = 0
    for window in windows(sentences(question, evidence), fits):
        reply = "".join(reader.stream(messages_of(question, window), REPLY_TOKENS[how], usage))
        found = _numbered(reply, window) if how == "numbers" else _copied(reply, window)
        quotes += [window[i] for i in sorted({i for i in found if i is not None})]
        generated += len(found)
        dropped += found.count(None)
    return Selection(tuple(quotes), generated, dropped)


def join(selected: Sequence[Quote], others: Sequence[Quote], most: int) -> list[Quote]:
    """What the reader chose, then the retrievers' best sentences (best first, as choose_quotes gives them).

    At most `most`, none of the same words twice, in document order: by each document's best rank, then as it is read.
    A small reader misses the second hop (sentence recall 0.32 at 1.5B), which words shared with the question may find.
    """
    joined: list[Quote] = []
    for quote in (*selected, *others):
        if len(joined) < most and not any(overlap(quote, other) for other in joined):
            joined.append(quote)
    ranks: dict[str, int] = {}
    for quote in joined:
        document = quote.hit.passage.document_id
        ranks[document] = min(quote.hit.rank, ranks.get(document, quote.hit.rank))

    def place(quote: Quote) -> tuple[int, str, int]:
        passage = quote.hit.passage
        return ranks[passage.document_id], passage.document_id, passage.start + quote.start

    return sorted(joined, key=place)


# -- what may be chosen -----------------------------------------------------------------------------------------------


def sentences(question: str, evidence: Sequence[Hit]) -> list[Quote]:
    """All sentences of the evidence, of tables the rows, in its order; none of the same words twice.

    Where passages overlap, the words are the better-ranked one's. The score is the share of the question's words in a
    sentence, plus a little for the passage's rank; no answer is known yet that it could hold.
    """
    wanted = content_words(question)
    taken: dict[str, list[tuple[int, int]]] = {}
    found = []
    for hit in evidence:
        seen = taken.setdefault(hit.passage.document_id, [])
        for free_start, free_end in _free(hit.passage, seen):
            for start, end in units(hit.passage):
                start, end = _stripped(hit.passage.text, max(start, free_start), min(end, free_end))
                if start < end:
                    shared = len(wanted & content_words(hit.passage.text[start:end]))
                    found.append(Quote(hit, start, end, False, shared / max(1, len(wanted)) + 0.1 / hit.rank))
        seen.append((hit.passage.start, hit.passage.end))
    return found


def _free(passage: Passage, taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The stretches of the passage's text outside those spans of its document."""
    free = [(0, len(passage.text))]
    for start, end in ((start - passage.start, end - passage.start) for start, end in taken):
        pieces = [piece for a, b in free for piece in ((a, min(b, start)), (max(a, end), b))]
        free = [(a, b) for a, b in pieces if a < b]
    return free


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - (len(piece) - len(piece.rstrip()))


def windows(sentences: Sequence[Quote], fits: Callable[[Sequence[Quote]], bool]) -> Iterator[list[Quote]]:
    """Cut into stretches that fit, in order; a sentence that does not fit alone is cut by words, a word by letters.

    Raises UsageError where not even a letter fits.
    """
    window: list[Quote] = []
    for sentence in sentences:
        for piece in _pieces(sentence, fits):
            if window and not fits([*window, piece]):
                yield window
                window = []
            window.append(piece)
    if window:
        yield window


def _pieces(sentence: Quote, fits: Callable[[Sequence[Quote]], bool]) -> list[Quote]:
    """The sentence, or its halves, or theirs: whatever fits."""
    if fits([sentence]):
        return [sentence]
    text = sentence.text
    if len(text) < 2:
        raise UsageError("the reader's window cannot hold the question. Shorten it, or raise reader.context_tokens")
    middle = len(text) // 2
    blanks = [match.span() for match in re.finditer(r"\s+", text)]
    end, start = min(blanks, key=lambda blank: abs(blank[0] - middle), default=(middle, middle))
    first = replace(sentence, end=sentence.start + end)
    return [*_pieces(first, fits), *_pieces(replace(sentence, start=sentence.start + start), fits)]


# -- what the reader chose --------------------------------------------------------------------------------------------


def _numbered(reply: str, window: Sequence[Quote]) -> list[int | None]:
    """Places in the window of the numbers in a reply, each number once; None for one out of range."""
    numbers = dict.fromkeys(int(digits[:9]) for digits in re.findall("[0-9]+", reply))  # no window has that many
    return [number - 1 if 1 <= number <= len(window) else None for number in numbers]


def _copied(reply: str, window: Sequence[Quote]) -> list[int | None]:
    """Places in the window of the sentences in a reply, one a line, each copy once; None for one that is not there.

    Lines without a bullet count only where no line has one: else they introduce the list.
    """
    lines = [line for line in reply.splitlines() if _key(BULLET.sub("", line)) not in ("", fold(NONE))]
    lines = [line for line in lines if BULLET.match(line)] or lines
    copies = {_key(BULLET.sub("", line)): _key(line) for line in lines}
    keys = [_key(quote.text) for quote in window]
    # A sentence may itself begin with what looks like a bullet, so the whole line is tried, too.
    tried = [[_aligned(text, keys) for text in both] for both in copies.items()]
    return [stripped if stripped is not None else whole for stripped, whole in tried]


def _key(text: str) -> str:
    return fold(text).strip(EDGES)


def _aligned(copy: str, keys: Sequence[str]) -> int | None:
    """The place of the most similar key, if it is the SAME, give or take some letters, but not a digit."""
    numbers = set(NUMBER.findall(copy))
    choices = {i: key for i, key in enumerate(keys) if set(NUMBER.findall(key)) == numbers}
    best = process.extractOne(copy, choices, scorer=Levenshtein.normalized_similarity, score_cutoff=SAME)
    return best[2] if best else None
