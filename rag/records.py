"""The project's records: what is stored, found, cited and answered. Frozen, and passed around by every other file."""

from __future__ import annotations

from dataclasses import dataclass, field

from rag.document import Box
from rag.locator import FIRST_PAGE, Locator


@dataclass(frozen=True, slots=True)
class Passage:
    """A contiguous span of one document: the unit we index, retrieve and cite.

    Offsets count Unicode code points of the document's text and are half-open, so
    document.text[start:end] == text. `locator` says where that is for people.

    A table or a figure is a passage of its own: its caption, and its rows or the text inside it; a long one is several,
    of which only the first begins with the caption. `context` is what the rest of the document says about it.
    Caption and context are searched with the passage and never quoted from it.
    """

    passage_id: str  # "<document_id>#<ordinal>": unique in the library, the same after re-ingesting
    document_id: str
    title: str
    path: str
    text: str
    start: int
    end: int
    locator: Locator = FIRST_PAGE
    kind: str = "text"  # text, table or figure
    label: str = ""  # what the document calls it: "Table 3", "Figure 7-26"
    section: str = ""  # the headings it stands under, outermost first: "2 Method > 2.1 Data"
    boxes: tuple[tuple[int, Box], ...] = ()  # (page, rectangle) of its paragraphs, its table or its figure
    caption: str = ""  # of the whole table or figure
    context: str = ""  # the sentences elsewhere that refer to it by its label
    picture: str | None = None  # sha256 of its picture, stored once in the library
    ocr_confidence: float | None = None  # 0..1 where its text was read from a picture
    description: str = ""  # of its whole document: searched as a field of its own (rag/index/bm25.py)

    @property
    def searched(self) -> str:
        """What indexes hold of it: title, chapter, caption, text and context, a line each."""
        caption = "" if self.text.startswith(self.caption) else self.caption
        return "\n".join(filter(None, (self.title, self.locator.searched, caption, self.text, self.context)))

    def __post_init__(self) -> None:
        if self.end - self.start != len(self.text):
            raise ValueError(f"{self.passage_id}: span {self.start}:{self.end} but {len(self.text)} characters of text")


@dataclass(frozen=True, slots=True)
class Removal:
    """A document that left the library, and the (contiguous, inclusive) catalogue numbers its passages had."""

    document_id: str
    first_number: int
    last_number: int


@dataclass(frozen=True, slots=True)
class Link:
    """Words of a passage that name another document, a judgment by its application number, or a section of its own.

    `kind` is "title", "citation" or "section". Offsets are the source document's: document.text[start:end] == words.
    """

    passage_id: str  # where the words stand
    document_id: str  # the document they name; their own for a section
    target_passage_id: str | None  # where the section begins; None for a whole document
    kind: str
    words: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ConceptShare:
    """What a concept of the library (rag/concepts/) adds to the dense part of a hit's score.

    `label` is "" for one without a name; `concept_id` is "" for the remainder, which no concept explains.
    """

    concept_id: str
    label: str
    share: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry of a ranking. Rank counts from 1; a higher score is better.

    `terms` maps each matched term to its contribution ("+term": the model added it to the passage), and of a hybrid
    also "dense", "named" and "linked"; the contributions add up to the score. `links` are the paths that led here, a
    readable line each. `concepts` split the dense part, the remainder last; () where it has none, or the library.
    """

    rank: int
    score: float
    passage: Passage
    terms: dict[str, float] | None = None
    links: tuple[str, ...] = ()
    ignored: str = ""  # why the reader did not get it, though it was found
    withheld: tuple[tuple[int, int], ...] = ()  # spans of the passage that speak to the reader, which did not get them
    withheld_names: tuple[str, ...] = ()  # "title", "label": fields of the passage that prompts print masked, too
    concepts: tuple[ConceptShare, ...] = ()

    @property
    def withheld_words(self) -> tuple[str, ...]:
        """What the reader did not get, as the document has it: sentences of the passage, then names of its fields."""
        sentences = (self.passage.text[start:end] for start, end in self.withheld)
        return (*sentences, *(getattr(self.passage, name) for name in self.withheld_names))


@dataclass(frozen=True, slots=True)
class Note:
    """What the evidence says on the question: sentences copied from it, with the decisive spans marked."""

    round: int
    query: str
    text: str
    key_spans: tuple[str, ...] = ()
    uncertain_spans: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A marker in the answer, the passage it points to, and the words there that say so.

    `start` and `end` are offsets in the document's text: document.text[start:end] == quote.
    """

    marker: str
    passage_id: str
    document_id: str
    path: str
    title: str
    locator: Locator  # of the quote alone
    quote: str
    start: int
    end: int
    kind: str = "text"  # as of the passage: text, table or figure
    label: str = ""
    section: str = ""
    ocr_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of the answer, answer[start:end], and how sure it is that what it cites supports it, 0..1."""

    start: int
    end: int
    support: float
    supported: bool


@dataclass(frozen=True, slots=True)
class AttributedPlayer:
    """A part of the evidence, document.text[start:end], and what it does for the answer; a title alone is empty.

    `score` (-1..1): how much likelier the answer is with it, on average over the orders in which the parts can come.
    """

    kind: str  # document, clause or word
    passage_id: str
    text: str
    start: int
    end: int
    score: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class Attribution:
    """Which parts of the evidence made the answer what it is: Shapley values of the generated text.

    `baseline_answer`: what the reader says without any of it; None if that was not reached. `naive_reader_calls`: what
    the same permutations cost without a cache. `stopped`: why it is not complete, or ""; what should have been exact
    has then half the width of what is open as its standard errors.
    """

    level: str
    players: tuple[AttributedPlayer, ...]
    answer: str
    baseline_answer: str | None
    reader_calls: int
    naive_reader_calls: int
    permutations: int  # 0: the values are exact
    absence: str
    stopped: str = ""
    value: str = "votes"  # or likelihood: scores are in nats, the baseline is decoded for itself


@dataclass(frozen=True, slots=True)
class Correction:
    """What a user says is the right answer to a question, in place of a `wrong` one, and why.

    `passage_id` and `quote` are what was cited, "" for nothing; `contradicts`: that passage says otherwise, None where
    that was not looked at. `created` is seconds since 1970.
    """

    correction_id: str
    question: str
    answer: str
    reason: str
    wrong: str
    passage_id: str
    quote: str
    contradicts: bool | None
    created: float


@dataclass(frozen=True, slots=True)
class Change:
    """An edit of a copy of the evidence, `new` for `old`, and what the reader says then.

    `decisive`: what the answer rests on was edited; else the control, another of its kind. `flipped`: the reader says
    something else than of the evidence as it is. `before` and `after` are the sentence of the document, unchanged and
    as it was read; `start` and `end` offsets of `old` in it.
    """

    kind: str  # date, number or name
    old: str
    new: str
    answer: str
    flipped: bool
    decisive: bool
    document_id: str
    title: str
    start: int
    end: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would change an answer. `baseline`: what the reader says of the evidence as it is, when it is asked again.

    `from_memory`: what it says without any; None where that was not asked.
    """

    baseline: str
    changes: tuple[Change, ...]
    from_memory: str | None
    readings: int


@dataclass(frozen=True, slots=True)
class MarkedAnswer:
    """The answer as the reading model marks it in a passage, before anything is written.

    `text` is words of the quote of `citation`, quote[start:end], or "yes" or "no" with an empty span; "" where the
    model finds no answer, and then there is no citation. `probability`, 0..1, is that of this answer. `agrees`: the
    reader's answer says the same.
    """

    text: str
    probability: float
    citation: Citation | None
    start: int = 0
    end: int = 0
    agrees: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question with everything that led to it. An abstention is an answer too."""

    question: str
    answer: str
    abstained: bool
    notes: tuple[Note, ...]
    citations: tuple[Citation, ...]
    evidence: tuple[Hit, ...]
    support: float | None  # how sure it is that the evidence supports the answer, 0..1; None: not asked
    model: str
    settings_hash: str
    seconds: dict[str, float] = field(default_factory=dict)  # retrieve, first_token, note, answer, attribute
    tokens: dict[str, int] = field(default_factory=dict)  # prompt, generated
    statements: tuple[Statement, ...] = ()
    copied: tuple[int, int] | None = (
        None  # sentences that the reader chose as quotes, and those of them not in the evidence
    )
    attribution: Attribution | None = None
    style: str = "short"  # the way of answering: rag/read/compose/style.py
    scope: tuple[str, ...] = ()  # titles of the only documents that were searched; (): all were
    marked: MarkedAnswer | None = None  # what the reading model marked; None: it was not asked
    probability: float | None = None  # that the answer is right, 0..1; None: not known
    what_if: WhatIf | None = None
    corrections: tuple[Correction, ...] = ()  # of earlier answers, that the reader was shown, or that are the answer
