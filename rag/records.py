"""The project's words: frozen records that every other file passes around. Imports nothing of ours."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

Box = tuple[float, float, float, float]  # left, bottom, right, top: points of the page as it is shown, y upwards


@dataclass(frozen=True, slots=True)
class Page:
    """One page's share of a document's text: document.text[start:end] is page `number` (1-based)."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Region:
    """What is read as one in a document's text, document.text[start:end], in reading order, and where it is shown.

    `kind` is text, heading, footnote, aside, table or figure. The first characters of a table or figure, up to
    `caption_end`, are its caption.
    """

    kind: str
    start: int
    end: int
    page: int
    box: Box
    label: str = ""  # "Table 3"
    section: str = ""  # the headings above it, outermost first: "2 Method > 2.1 Data"
    caption_end: int = 0
    picture: str | None = None  # sha256 of its picture
    ocr_confidence: float | None = None  # 0..1 where the words were read from a picture


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence of a transcript, document.text[start:end], who says it and from which second to which."""

    start: int
    end: int
    start_seconds: float
    end_seconds: float
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of an episode, document.text[start:end]: whole utterances, the next chapter begins where it ends."""

    title: str
    start: int
    end: int
    start_seconds: float
    end_seconds: float
    source: str = "ours"  # or "maker"


@dataclass(frozen=True, slots=True)
class Episode:
    """What a podcast's document has besides its text. `utterances` and `chapters` are in order; both may be empty."""

    show: str = ""
    description: str = ""  # and show notes, as plain text
    date: str = ""  # YYYY-MM-DD
    audio: str = ""  # an absolute path or an address; "": none is known
    utterances: tuple[Utterance, ...] = ()
    chapters: tuple[Chapter, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a judgment, document.text[start:end]: header, procedure, facts, law, operative, opinion or annex.

    `author` of a separate opinion as its heading has it ("LEMMENS"). "text" is what stands under no heading at all.
    """

    kind: str
    start: int
    end: int
    author: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """The paragraph that the court numbered `number`, document.text[start:end], its number with it."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Footnote:
    """A judgment's footnote, document.text[start:end], with the mark it begins with."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CaseCitation:
    """words = document.text[start:end] cite another case, by its numbers, its name, or both.

    A name is as the text has it, "A. v. Country (no. 2)"; of "A., cited above" name and numbers are those of the
    citation above. `date` (YYYY-MM-DD) is the judgment's where the citation gives one, `pinpoint` the paragraphs cited.
    """

    words: str
    start: int
    end: int
    application_numbers: tuple[str, ...] = ()
    name: str | None = None
    pinpoint: str | None = None  # "§ 45", "§§ 45-47"
    date: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found under one article; `violation` is None where one part says yes and another no.

    `article` as the Convention is cited: "Article 6 § 1", "Article 1 of Protocol No. 1". `spans` are the offsets of the
    items that say so. That there would be a violation, were the applicant expelled, is a violation.
    """

    article: str
    violation: bool | None
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A judgment's structure. Sections cover the text in order; paragraphs' numbers only increase, with gaps.

    The separate opinions and the operative part count from 1 again: their items are no paragraphs of the judgment.
    """

    court: str
    title: str  # "A. v. Country"
    parties: tuple[str, str]  # applicant and respondent; both "" where the title does not part them
    application_numbers: tuple[str, ...]
    date: str  # YYYY-MM-DD; "": none is known
    importance: int | None  # 1 (a key case) to 4
    articles: tuple[str, ...]  # at issue: found on, or alleged in a heading
    sections: tuple[Section, ...]
    paragraphs: tuple[Paragraph, ...]
    notes: tuple[Footnote, ...]
    citations: tuple[CaseCitation, ...]
    outcome: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()

    def section_at(self, place: int) -> Section:
        """The section that holds text[place]; ValueError outside the text."""
        index = bisect_right(self.sections, place, key=lambda section: section.start) - 1
        if index < 0 or place >= self.sections[index].end:
            raise ValueError(f"no section holds character {place}")
        return self.sections[index]

    def paragraph_at(self, place: int) -> Paragraph | None:
        """The numbered paragraph that holds text[place]."""
        index = bisect_right(self.paragraphs, place, key=lambda paragraph: paragraph.start) - 1
        return self.paragraphs[index] if index >= 0 and place < self.paragraphs[index].end else None

    def paragraphs_in(self, start: int, end: int) -> tuple[int, int] | None:
        """The numbers of the first and the last paragraph that text[start:end] touches; None where it touches none."""
        first = bisect_right(self.paragraphs, start, key=lambda paragraph: paragraph.end)
        last = bisect_left(self.paragraphs, end, key=lambda paragraph: paragraph.start)
        return (self.paragraphs[first].number, self.paragraphs[last - 1].number) if first < last else None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read: its whole text, and where each page and each region lies in it.

    `document_id` is the first 16 hex digits of the content's sha256, so the same bytes under two names are one
    document. `raw_offsets` maps the text back to what the extractor returned: sorted (text offset, offset in the
    extractor's text), one entry wherever the difference between the two changes (a joined hyphen, a split ligature).
    """

    document_id: str
    kind: str
    title: str
    text: str
    pages: tuple[Page, ...]
    warnings: tuple[str, ...] = ()
    raw_offsets: tuple[tuple[int, int], ...] = ((0, 0),)
    regions: tuple[Region, ...] = ()
    episode: Episode | None = None  # of a podcast
    case: Case | None = None  # of a judgment

    def pages_of(self, start: int, end: int) -> tuple[int, int]:
        """First and last page (1-based, inclusive) that text[start:end] touches; ValueError without pages."""
        first = bisect_right(self.pages, start, key=lambda page: page.end)  # the first page that ends behind `start`
        behind = bisect_left(
            self.pages, end, key=lambda page: page.start
        )  # the first page that starts at `end` or later
        if first >= behind:
            raise ValueError(f"{self.document_id}: no page holds characters {start}:{end}")
        return self.pages[first].number, self.pages[behind - 1].number


@dataclass(frozen=True, slots=True)
class Passage:
    """A contiguous span of one document: the unit we index, retrieve and cite.

    Offsets count Unicode code points of the document's text and are half-open, so
    document.text[start:end] == text. Pages are 1-based and inclusive, as a reader cites them.

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
    first_page: int
    last_page: int
    kind: str = "text"  # text, table or figure
    label: str = ""  # what the document calls it: "Table 3", "Figure 7-26"
    section: str = ""  # the headings it stands under, outermost first: "2 Method > 2.1 Data"
    boxes: tuple[tuple[int, Box], ...] = ()  # (page, rectangle) of its paragraphs, its table or its figure
    caption: str = ""  # of the whole table or figure
    context: str = ""  # the sentences elsewhere that refer to it by its label
    picture: str | None = None  # sha256 of its picture, stored once in the library
    ocr_confidence: float | None = None  # 0..1 where its text was read from a picture
    chapter: str = ""  # of a transcript: the title of the chapter that it is in
    speaker: str = ""  # of a transcript: who says most of it
    start_seconds: float | None = None  # of a transcript: when its first sentence begins and its last one ends
    end_seconds: float | None = None
    description: str = ""  # of its episode: searched as a field of its own (rag/index/bm25.py)
    part: str = ""  # of a judgment: the kind of its section, "facts", "law", "operative", ...
    first_paragraph: int | None = None  # of a judgment: the numbers of the paragraphs that it touches
    last_paragraph: int | None = None

    @property
    def searched(self) -> str:
        """What indexes hold of it: title, chapter, caption, text and context."""
        caption = "" if self.text.startswith(self.caption) else self.caption
        return "\n".join(filter(None, (self.title, self.chapter, caption, self.text, self.context)))

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
class Hit:
    """One entry of a ranking. Rank counts from 1; a higher score is better.

    `terms` maps each matched term to its contribution ("+term": the model added it to the passage), and of a hybrid
    also "dense", "named" and "linked"; the contributions add up to the score. `links` are the paths that led here, a
    readable line each.
    """

    rank: int
    score: float
    passage: Passage
    terms: dict[str, float] | None = None
    links: tuple[str, ...] = ()
    ignored: str = ""  # why the reader did not get it, though it was found
    withheld: tuple[tuple[int, int], ...] = ()  # spans of the passage that speak to the reader, which did not get them
    withheld_names: tuple[str, ...] = ()  # "title", "label": fields of the passage that prompts print masked, too

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
    first_page: int
    last_page: int
    quote: str
    start: int
    end: int
    kind: str = "text"  # as of the passage: text, table or figure
    label: str = ""
    section: str = ""
    ocr_confidence: float | None = None
    chapter: str = ""  # of a transcript, as of the passage; but of the quote alone: who says it, and when
    speaker: str = ""
    start_seconds: float | None = None
    end_seconds: float | None = None
    part: str = ""  # of a judgment, as of the passage; but of the quote alone: in which numbered paragraphs it stands
    first_paragraph: int | None = None
    last_paragraph: int | None = None


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
