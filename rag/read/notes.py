"""The evidence note: the sentences of the evidence that bear on an answer, copied, with the decisive words marked.

A small reader that writes its note freely rewrites the question as a statement and fills the hole (9 % of its sentences
are copies), so the note is built from the evidence after the answer, by string match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from rag.records import Hit, Note, Passage
from rag.sentences import sentence_spans

QUOTE_CHARACTERS = 320
NOTE_QUOTES = 3
SAME = 90.0  # rapidfuzz partial ratio (0..100) from which an answer counts as standing in a sentence
STOPWORDS = frozenset(
    "a an and are as at be by did do does for from had has have how if in is it its many much of on or that the their "
    "they this to was were what when where which who whom whose why will with".split()
)
EDGES = " .,;:\"'"
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
UNSPACED = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)  # Japanese, Chinese, Korean: words are not set apart


@dataclass(frozen=True, slots=True)
class Quote:
    """A span of one hit's passage: passage.text[start:end].

    `holds` says whether the answer's words stand in it; `score` is the share of the question's words in it, plus 1 if
    it holds the answer, plus a little for the passage's rank.
    """

    hit: Hit
    start: int
    end: int
    holds: bool
    score: float

    @property
    def text(self) -> str:
        return self.hit.passage.text[self.start : self.end]


def fold(text: str) -> str:
    """For comparing: NFKC, lower case, all dashes one, single blanks."""
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(re.sub(r"[\u2018\u2019]", "'", re.sub(r"[\u201c\u201d]", '"', text)).split())


def content_words(text: str) -> set[str]:
    """Words that carry meaning, cut to six letters so that forms of one word meet."""
    return {word[:6] for word in re.findall(r"\w+", fold(text)) if word not in STOPWORDS}


def holds_answer(sentence: str, answer: str) -> bool:
    """Whether the words of the answer stand in the sentence, give or take a letter or two, but not a digit.

    Words stand whole ("art" is not in "party"), and so do numbers ("162" is not in "1,162", nor "18" in "18.5").
    """
    answer, sentence = fold(answer).strip(EDGES), fold(sentence)
    if not answer or len(answer) > len(sentence):
        return False
    before = "" if UNSPACED.match(answer[0]) else r"(?<!\w)(?<!\d[.,])" if answer[0].isdigit() else r"(?<!\w)"
    behind = "" if UNSPACED.match(answer[-1]) else r"(?!\w)(?![.,]\d)" if answer[-1].isdigit() else r"(?!\w)"
    if re.search(before + re.escape(answer) + behind, sentence):
        return True
    same_numbers = set(NUMBER.findall(answer)) <= set(NUMBER.findall(sentence))
    return len(answer) >= 8 and same_numbers and fuzz.partial_ratio(answer, sentence) >= SAME


def choose_quotes(question: str, answer: str, evidence: Sequence[Hit], most: int = 5) -> list[Quote]:
    """The sentences that best show the answer, best first: those that hold it, then by words shared with the question.

    At most `most`, and none of the same words twice (neighbouring passages overlap).
    """
    wanted = content_words(question)
    ranked: list[Quote] = []
    for hit in evidence:
        for start, end in _units(hit.passage):
            sentence = hit.passage.text[start:end]
            holds = holds_answer(sentence, answer)
            shared = len(wanted & content_words(f"{hit.passage.title} {sentence}" if holds else sentence))
            score = shared / max(1, len(wanted)) + holds + 0.1 / hit.rank
            ranked.append(Quote(hit, *_window(hit.passage.text, start, end, answer, wanted), holds, score))
    ranked.sort(key=lambda quote: -quote.score)
    return _few(ranked, most)


def _units(passage: Passage) -> list[tuple[int, int]]:
    """The spans of a passage that may be quoted: sentences, and of a table its rows."""
    if passage.kind != "table":
        return sentence_spans(passage.text)
    body = len(passage.caption) if passage.text.startswith(passage.caption) else 0
    rows = [(body + row.start(), body + row.end()) for row in re.finditer(r"\S[^\n]*", passage.text[body:])]
    return [*sentence_spans(passage.text[:body]), *rows]


def _few(quotes: Sequence[Quote], most: int) -> list[Quote]:
    chosen: list[Quote] = []
    for quote in quotes:
        passage = quote.hit.passage
        start, end = passage.start + quote.start, passage.start + quote.end
        twice = any(
            c.hit.passage.document_id == passage.document_id
            and c.hit.passage.start + c.start < end
            and start < c.hit.passage.start + c.end
            for c in chosen
        )
        if len(chosen) < most and not twice:
            chosen.append(quote)
    return chosen


def _window(text: str, start: int, end: int, answer: str, wanted: set[str]) -> tuple[int, int]:
    """The sentence, or for a very long one (a table, a list) the stretch of it around the answer."""
    if end - start <= QUOTE_CHARACTERS:
        return start, end
    words = [match.span() for match in re.finditer(r"\S+", text[start:end])]
    aim = content_words(answer) or wanted
    near = [i for i, (s, e) in enumerate(words) if content_words(text[start + s : start + e]) & aim] or [0]
    middle = near[len(near) // 2]
    stretches = (_stretch(words, centre) for centre in (middle, *near, *range(len(words))))
    if holds_answer(text[start:end], answer):
        stretches = (span for span in stretches if holds_answer(text[start + span[0] : start + span[1]], answer))
    first, last = next(stretches, _stretch(words, middle))
    return start + first, start + last


def _stretch(words: Sequence[tuple[int, int]], centre: int) -> tuple[int, int]:
    """(start, end) of the words around one of them that fit a quote; a word too long for it is cut."""
    first = last = centre

    def fits(first: int, last: int) -> bool:
        return first >= 0 and last < len(words) and words[last][1] - words[first][0] <= QUOTE_CHARACTERS

    while (right := fits(first, last + 1)) or fits(first - 1, last):
        wider_left = words[last][1] - words[centre][1] <= words[centre][0] - words[first][0]
        if right and (wider_left or not fits(first - 1, last)):
            last += 1
        else:
            first -= 1
    return words[first][0], min(words[last][1], words[first][0] + QUOTE_CHARACTERS)


def write_note(query: str, answer: str, quotes: Sequence[Quote], round: int = 1) -> Note:
    """The note of one round: a line for each of the best quotes. Key spans: the answer as the first of them has it."""
    text = "\n".join(f"[{quote.hit.rank}] {' '.join(quote.text.split())}" for quote in quotes[:NOTE_QUOTES])
    keys = tuple(_words_of(quote.text, answer) for quote in quotes[:1] if quote.holds)
    uncertain = () if not answer or any(quote.holds for quote in quotes) else (answer,)
    return Note(round, query, text, keys, uncertain)


def _words_of(text: str, answer: str) -> str:
    """The fewest words of the text that hold the answer, as the text writes them."""
    words = text.split()
    for length in range(1, len(words) + 1):
        for first in range(len(words) - length + 1):
            some = " ".join(words[first : first + length])
            if holds_answer(some, answer):
                return some.strip(EDGES + "()[]\u2018\u2019\u201c\u201d")
    return answer
