"""Answers in sentences: the reader writes from excerpts, every sentence is matched to the words that support it.

What nothing supports is left out or marked (`reader.unsupported`); the excerpts that are nearest to the question
follow in their own words. So each sentence is cited, whatever the reader does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from rag.protocols import DenseEncoder
from rag.read.cite import MARKER
from rag.read.compose.excerpts import Sentences, choose_excerpts, inside, read_sentences
from rag.read.compose.sentence_prompts import excerpt_messages
from rag.read.compose.sentence_support import find_support
from rag.read.compose.style import Style
from rag.read.match import content_words
from rag.read.notes import selection_note
from rag.read.quotes import QUOTED, AnswerSentence, Quote
from rag.read.strategies import Event, Reading
from rag.read.support import declines
from rag.records import Hit
from rag.sentences import sentence_spans

READ_WORDS = 320  # of the excerpts that the reader gets
QUOTED_WORDS: dict[Style, int] = {"explain": 200, "list": 200, "compare": 200, "summary": 220}
WRITTEN_TOKENS = 160
REPEATED = 0.8  # of a sentence's words that an earlier one has: it says the same again


class Choose(Protocol):
    """Chooses excerpts of so many words at most, without the sentences of what is known already."""

    def __call__(self, words: int, known: Sequence[Quote] = ()) -> list[Quote]: ...


OWN_WORDS = "(the reader's own words: no passage says so)"
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
BULLET = re.compile(r"^\s*(?:[-*•–]|\d{1,2}[.)])\s+")


def excerpts_of(question: str, evidence: Sequence[Hit], encoder: DenseEncoder) -> tuple[Sentences, Choose]:
    """The sentences of the evidence, and how many words' worth of excerpts are chosen from them."""
    read = read_sentences(question, evidence, encoder)
    return read, lambda words, known=(): choose_excerpts(question, read, words, known)


def compose(
    reading: Reading, style: Style, encoder: DenseEncoder, markers: bool, read: Sentences, choose: Choose
) -> Iterator[Event]:
    """An answer in a style other than "short"; its sentences stand in reading.answer_sentences.

    `choose` gives the excerpts of so many words, of which the reader writes, and which are quoted. `markers`: the
    reader is asked to write [n] behind its sentences, which helps large ones; they are checked and written anew.
    """
    excerpts = choose(READ_WORDS)
    draft = ""
    for piece in reading.reader.stream(
        excerpt_messages(reading.question, style, excerpts, markers), WRITTEN_TOKENS, reading.usage
    ):
        draft += piece
        yield piece
    reading.draft = draft.strip()
    written = "" if declines(reading.draft) else reading.draft
    mark = reading.settings.unsupported == "mark"
    matched = matched_sentences(written, reading.question, read, encoder)
    told = without_repeats([each for each in matched if each.quotes or mark])
    cited = [quote for each in told for quote in each.quotes]
    wanted = sentences_wanted(reading.question) if style == "summary" else None
    if not cited and style != "summary":  # the reader found no answer in what it was given
        told = []
    elif wanted is None:
        told += _quoted(choose(QUOTED_WORDS[style], cited), read)
    else:
        more = _quoted(choose(QUOTED_WORDS[style], cited), read)
        told = [*told, *(replace(each, item=False, heading="") for each in more)][:wanted]
    reading.answer_in(told)
    yield selection_note(reading.question, excerpts)


def matched_sentences(draft: str, question: str, read: Sentences, encoder: DenseEncoder) -> list[AnswerSentence]:
    """The sentences of what a reader wrote, each with the quotes from `read` that support it, or without any."""
    written = written_sentences(draft)
    supports = find_support([text for text, _ in written], question, read, encoder)
    return [
        AnswerSentence(text, support.quotes, support.value, item)
        for (text, item), support in zip(written, supports, strict=True)
    ]


def written_sentences(draft: str) -> list[tuple[str, bool]]:
    """The sentences of what a reader wrote, each with whether it is an item of a list, without markers and Markdown.

    A line that only introduces a list ("The baselines are:") and a last sentence without an end are left out.

    >>> written_sentences("They are:\\n- one **mill**\\n- two barns [3]")
    [('one mill', True), ('two barns', True)]
    """
    found: list[tuple[str, bool]] = []
    for line in draft.splitlines():
        item = bool(BULLET.match(line))
        text = re.sub(r"[*_`#]{1,3}", "", MARKER.sub("", BULLET.sub("", line))).strip()
        if not text or (text.endswith(":") and not item):
            continue
        spans = [(0, len(text))] if item else sentence_spans(text)
        found += [(text[start:end], item) for start, end in spans]
    if len(found) > 1 and not found[-1][1] and found[-1][0][-1] not in ".!?”\"')":
        found.pop()
    return found


def sentences_wanted(question: str) -> int | None:
    """How many sentences a question asks for; None where it does not say.

    >>> sentences_wanted("Summarise the SPECTER paper in five sentences"), sentences_wanted("What is it about?")
    (5, None)
    """
    match = re.search(rf"\b({'|'.join(NUMBERS)}|\d{{1,2}}) (?:full |short )?(?:sentences?|lines)\b", question.lower())
    if match is None:
        return None
    return max(1, int(match[1])) if match[1].isdigit() else NUMBERS.index(match[1]) + 1


def without_repeats(told: Sequence[AnswerSentence]) -> list[AnswerSentence]:
    """Each sentence once: small readers say the same again, with a word more or less."""
    kept: list[AnswerSentence] = []
    for each in told:
        words = content_words(each.text)
        if words and not any(len(words & content_words(other.text)) >= REPEATED * len(words) for other in kept):
            kept.append(each)
    return kept


def _quoted(excerpts: Sequence[Quote], read: Sentences) -> list[AnswerSentence]:
    """The excerpts sentence by sentence, each of which cites its whole excerpt."""
    found = []
    for excerpt in excerpts:
        quotes = [quote for quote in read.quotes if inside(quote, excerpt)] or [excerpt]
        found += [
            AnswerSentence(" ".join(quote.text.split()), (excerpt,), 1.0, i == 0, QUOTED)
            for i, quote in enumerate(quotes)
        ]
    return found
