"""The answering strategies: how evidence becomes a draft, its quotes and its notes. One generator a strategy.

A strategy yields pieces of the draft (str) and its notes, and a new ranking whenever it has searched again; the result
stands in the Reading that it was given. STRATEGIES names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rag.llm.chat import ChatModel, Usage, first_line
from rag.read.entailment import Judge
from rag.read.evinote.loop_prompts import information_message, loop_messages
from rag.read.evinote.marks import parse_marks
from rag.read.evinote.trajectory import parse_trajectory
from rag.read.instant_answer import Mark, same_answer
from rag.read.match import EDGES, fold, holds_answer, in_form
from rag.read.notes import next_query, proposal_note, says_nothing, selection_note, write_note
from rag.read.prompts import answer_messages, quotes_messages
from rag.read.quote_selection import REPLY_TOKENS, How, join, select
from rag.read.quotes import AnswerSentence, Quote, choose_quotes, overlap
from rag.read.rules.base import Rule, confirm
from rag.read.support import declines, support_score
from rag.records import Correction, Hit, Note
from rag.settings import ReaderSettings


@dataclass(frozen=True, slots=True)
class PartProgress:
    """How far the reading of something long is: `done` of `total` parts are read, and `part` is read now."""

    done: int
    total: int
    part: str


Event = str | Note | PartProgress | tuple[Hit, ...]
MOST_QUOTES = 6  # sentences that an answer is read from by "quotes"
NOTE_TOKENS = 400  # of a turn of the loop: reasoning, a note, and a search or the answer


@dataclass(slots=True)
class Reading:
    """One question being read: what is given, and what has come of it so far.

    `search` gives hits for another query, best first. `copied` counts the sentences that the reader wrote or numbered,
    and those of them that are not in the evidence. `support` is None where the strategy asks for none.
    """

    question: str
    reader: ChatModel
    settings: ReaderSettings
    search: Callable[[str], Sequence[Hit]]
    fit: Callable[[Sequence[Hit]], list[Hit]]
    pictures: Callable[[Sequence[Hit]], Mapping[int, bytes]]
    evidence: tuple[Hit, ...]
    usage: Usage = field(default_factory=Usage)
    judge: Judge | None = None
    rules: Sequence[Rule] = ()  # those that propose answers, in their order
    rounds: int = 1  # searches for one question, at most
    draft: str = ""
    quotes: list[Quote] = field(default_factory=list)
    support: float | None = None
    copied: tuple[int, int] | None = None
    answer_sentences: tuple[AnswerSentence, ...] = ()  # of an answer in sentences
    mark: Mark | None = None  # what the reading model marked
    proposed: bool = False  # a rule proposed the answer, and the reader confirmed it
    probability: float | None = None  # that the answer is right; None: not known
    corrections: tuple[Correction, ...] = ()  # of near questions, masked: they stand before the passages

    def answer_in(self, sentences: Sequence[AnswerSentence]) -> None:
        """Make these the answer: their quotes are its quotes, the best of their supports is its support."""
        self.answer_sentences = tuple(sentences)
        self.quotes = [quote for each in sentences for quote in each.quotes]
        self.support = max((each.support for each in sentences if each.quotes), default=0.0)

    @property
    def read(self) -> list[Hit]:
        """The evidence that the reader gets: all but what is ignored."""
        return [hit for hit in self.evidence if not hit.ignored]

    @property
    def found(self) -> bool:
        """Whether there is an answer, likely enough to be right or, where that is not known, supported enough."""
        if self.probability is not None:
            enough = self.probability >= self.settings.min_probability
        else:
            enough = self.support is None or self.support >= self.settings.support_threshold
        return bool(self.evidence) and not declines(self.draft) and enough


def direct(reading: Reading) -> Iterator[Event]:
    """The answer at once; its citations are found afterwards."""
    yield from _draft(reading, _asked(reading))
    reading.quotes = choose_quotes(reading.question, reading.draft, reading.read)


def notes(reading: Reading) -> Iterator[Event]:
    """An answer, then the note that supports it; where nothing does, another search with what the note names.

    The order is turned round from EviNote-RAG's: a small reader that writes its note first invents it (eval/log.md).
    Where a rule proposes an answer and the reader confirms it, that is the answer.
    """
    yield from _by_rule(reading)
    if reading.draft:
        return
    query = reading.question
    for number in range(1, reading.rounds + 1):
        yield from _draft(reading, _asked(reading))
        reading.quotes = choose_quotes(reading.question, reading.draft, reading.read)
        yield write_note(query, reading.draft, reading.quotes, number)
        reading.support = None if follows_correction(reading) else _support(reading, goes_on=True)
        if reading.found or number == reading.rounds:
            return
        query = next_query(reading.question, reading.draft, reading.quotes)
        if not (new := _search_again(reading, query)):
            return
        # What the note stands on stays, before what is new.
        held = {quote.hit.passage.passage_id for quote in reading.quotes[:2]}
        kept = [hit for hit in reading.evidence if hit.passage.passage_id in held]
        yield _take(reading, [*kept, *new])


def quotes(reading: Reading) -> Iterator[Event]:
    """ALR²: the reader chooses sentences, and answers from them.

    One that was trained to (`train quotes`) copies them, and has the passages before it when it answers; there is no
    answer where it copies none. Any other chooses them by number, and the best-ranked ones join them.
    """
    selected = _selected(reading)
    yield selection_note(reading.question, selected)
    yield from _draft(reading, _from_selected(reading, selected))
    held = [
        replace(quote, holds=True, score=quote.score + 1)
        for quote in selected
        if holds_answer(quote.text, reading.draft)
    ]
    reading.quotes = sorted(held, key=lambda quote: -quote.score) or choose_quotes(
        reading.question, reading.draft, reading.read
    )
    if reading.reader.copies and reading.judge is None:  # its training left it no yes (eval/log.md)
        written, dropped = reading.copied or (0, 0)
        reading.support = None if written > dropped else 0.0
    else:
        reading.support = _support(reading)


def loop(reading: Reading) -> Iterator[Event]:
    """EviNote-RAG as its paper has it: the model writes a note on what was found, then searches again or answers.

    For readers that can (arXiv 2509.00877; the first search is the question itself). The turns of the environment are
    turns of the user's here, as every endpoint knows them. A note that says nothing useful was found, or an answer
    without a note, is no answer; a query that was asked before ends the loop.
    """
    messages = loop_messages(reading.question, reading.read)
    asked, numbered = {fold(reading.question)}, 1
    query = reading.question
    while reading.reader.count(messages) + NOTE_TOKENS <= reading.settings.context_tokens:
        said = "".join(reading.reader.stream(messages, NOTE_TOKENS, reading.usage, stop=("</search>", "</answer>")))
        turn = parse_trajectory(_closed(said))
        note = parse_marks(turn.notes[-1]) if turn.notes else None
        if note is not None:
            yield Note(numbered, query, note.text, note.key_spans, note.uncertain_spans)
        useful = note is not None and not says_nothing(note.text)
        if turn.answer and useful:
            reading.draft = turn.answer.strip(EDGES)
            yield reading.draft
            break
        numbered += 1
        query = turn.searches[-1] if turn.searches else reading.question
        if numbered > reading.rounds or fold(query) in asked:
            break
        asked.add(fold(query))
        before = len(reading.evidence)
        yield _take(reading, [*reading.evidence, *_search_again(reading, query)])
        if len(reading.evidence) <= before:  # nothing new, or it does not fit
            break
        messages = [*messages, ("assistant", _closed(said)), information_message(reading.evidence[before:])]
    reading.quotes = choose_quotes(reading.question, reading.draft, reading.read)
    if reading.draft:
        reading.support = _support(reading)


def extract(reading: Reading) -> Iterator[Event]:
    """What the reading model marked, and nothing else: no language model is asked. Its probability is the support."""
    mark = reading.mark
    if mark is None or mark.quote is None:
        return
    reading.draft = mark.text
    yield reading.draft
    others = choose_quotes(reading.question, mark.text, reading.read)
    reading.quotes = [mark.quote, *(quote for quote in others if not overlap(quote, mark.quote))]
    yield write_note(reading.question, mark.text, reading.quotes, 1)
    reading.support = mark.probability


STRATEGIES: Mapping[str, Callable[[Reading], Iterator[Event]]] = {
    "direct": direct, "notes": notes, "quotes": quotes, "loop": loop, "extract": extract
}  # fmt: skip


def _by_rule(reading: Reading) -> Iterator[Event]:
    """The first answer that a rule proposes and the reader confirms; what it quotes joins the evidence."""
    before = reading.evidence
    for rule in reading.rules:
        proposal = rule.propose(reading.question, reading.read, reading.reader, reading.usage)
        if proposal is None:
            continue
        quotes = _joined(reading, proposal.quotes)
        support = confirm(proposal, reading.reader, reading.usage, reading.judge) if quotes else 0.0
        if support < reading.settings.support_threshold or not quotes:
            reading.evidence = before
            continue
        if reading.evidence != before:
            yield reading.evidence
        reading.draft, reading.quotes, reading.support = proposal.answer, quotes, support
        reading.proposed = True
        yield reading.draft
        yield proposal_note(reading.question, proposal, quotes)
        return


def _joined(reading: Reading, quotes: Sequence[Quote]) -> list[Quote]:
    """The quotes, their passages among the evidence; none where they do not fit, or are masked as injections."""
    known = {hit.passage.passage_id: hit for hit in reading.evidence}
    new = {quote.hit.passage.passage_id: quote.hit for quote in quotes if quote.hit.passage.passage_id not in known}
    if new:
        known = {hit.passage.passage_id: hit for hit in _take(reading, [*reading.evidence, *new.values()])}
    present = [replace(q, hit=known[q.hit.passage.passage_id]) for q in quotes if q.hit.passage.passage_id in known]
    return present if [quote.text for quote in present] == [quote.text for quote in quotes] else []


def redraft(reading: Reading, strategy: str) -> str:
    """The draft that a strategy makes of this evidence alone: no note, no support, no other search."""
    if strategy == "quotes":
        messages = _from_selected(reading, _selected(reading))
    else:
        for rule in reading.rules if strategy == "notes" else ():
            proposal = rule.propose(reading.question, reading.read, reading.reader, reading.usage)
            if proposal is None or not proposal.stands_in(reading.read):
                continue
            if confirm(proposal, reading.reader, reading.usage, reading.judge) >= reading.settings.support_threshold:
                return proposal.answer
        messages = _asked(reading)
    for _ in _draft(reading, messages):
        pass
    return reading.draft


def _selected(reading: Reading) -> list[Quote]:
    """The sentences that the reader chooses; with the best-ranked ones where it was not trained to choose."""
    how: How = "words" if reading.reader.copies else "numbers"
    window = reading.settings.context_tokens - REPLY_TOKENS[how]

    def count(text: str) -> int:
        return reading.reader.count([("user", text)])

    chosen = select(reading.reader, reading.question, reading.read, how, window, reading.usage, count)
    reading.copied = (chosen.generated, chosen.dropped)
    if chosen.quotes and reading.reader.copies:
        return list(chosen.quotes)
    return join(chosen.quotes, choose_quotes(reading.question, "", reading.read), MOST_QUOTES)


def _from_selected(reading: Reading, selected: Sequence[Quote]) -> list[tuple[str, str]]:
    """The prompt that answers from the chosen sentences, in the form that the reader knows."""
    if not reading.reader.copies:
        return quotes_messages(reading.question, selected)
    room = reading.settings.context_tokens - reading.settings.answer_tokens
    passages = reading.read
    while passages and reading.reader.count(quotes_messages(reading.question, selected, passages)) > room:
        passages = passages[:-1]
    return quotes_messages(reading.question, selected, passages)


def _asked(reading: Reading) -> list[tuple[str, Any]]:
    """What the reader is asked: the corrections, the passages, the question."""
    pictures = reading.pictures(reading.read)
    return answer_messages(reading.question, reading.read, pictures, reading.corrections)


def follows_correction(reading: Reading) -> bool:
    """Whether the draft is what a correction says: then the passages need not support it."""
    return bool(reading.draft) and any(same_answer(reading.draft, each.answer) for each in reading.corrections)


def _draft(reading: Reading, messages: Sequence[tuple[str, object]]) -> Iterator[str]:
    draft = ""
    for piece in reading.reader.stream(messages, reading.settings.answer_tokens, reading.usage):
        draft += piece
        yield piece
    reading.draft = in_form(reading.question, first_line(draft))


def _support(reading: Reading, goes_on: bool = False) -> float:
    return support_score(
        reading.reader, reading.question, reading.read, reading.draft, reading.quotes, reading.usage,
        reading.pictures(reading.read), goes_on, reading.judge,
    )  # fmt: skip


def _search_again(reading: Reading, query: str) -> list[Hit]:
    """What another query finds and the question had not found."""
    known = {hit.passage.passage_id for hit in reading.evidence}
    return [hit for hit in reading.search(query) if hit.passage.passage_id not in known]


def _take(reading: Reading, hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """These as the evidence from now on, as far as the reader can hold them, ranked in this order."""
    reading.evidence = tuple(reading.fit([replace(hit, rank=rank) for rank, hit in enumerate(hits, start=1)]))
    return reading.evidence


def _closed(said: str) -> str:
    """A turn that ended at a stop string, with its tag closed."""
    for tag in ("search", "answer"):
        if said.rfind(f"<{tag}>") > said.rfind(f"</{tag}>"):
            return f"{said}</{tag}>"
    return said
