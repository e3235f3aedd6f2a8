"""A document as it is read: its text, and where its pages, regions, utterances or sections lie in it."""

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
    box: Box | None  # None where there are no pages to draw
    label: str = ""  # "Table 3"
    section: str = ""  # the headings above it, outermost first: "2 Method > 2.1 Data"
    caption_end: int = 0
    picture: str | None = None  # sha256 of its picture
    ocr_confidence: float | None = None  # 0..1 where the words were read from a picture


@dataclass(frozen=True, slots=True)
class Utterance:
    """A sentence of a transcript, document.text[start:end], who says it and from which second to which.

    `certainty`, 0 to 1, of a sentence that was heard by a model: the mean probability of its words.
    """

    start: int
    end: int
    start_seconds: float
    end_seconds: float
    speaker: str = ""
    certainty: float | None = None


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


def counted(text: str, start: int, end: int, rows: bool = False) -> tuple[int, int]:
    """The numbers of the first and last paragraph that text[start:end] touches, or of the first and last row.

    Empty lines stand between paragraphs, rows are lines. `text` begins where the counting does: at its page.

    >>> counted("One.\\n\\nTwo.\\nGoes on.\\n\\nThree.", 6, 12), counted("a | b\\n\\nc | d", 7, 12, rows=True)
    ((2, 2), (3, 3))
    """
    mark = between(rows)
    return text.count(mark, 0, start) + 1, text.count(mark, 0, max(start, end - 1)) + 1


def between(rows: bool) -> str:
    """What stands between two paragraphs, or two rows, in the text of a document without pages."""
    return "\n" if rows else "\n\n"


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
    facts: dict[str, str] = field(default_factory=dict)  # what it says of itself: author, date, doi

    def pages_of(self, start: int, end: int) -> tuple[int, int]:
        """First and last page (1-based, inclusive) that text[start:end] touches; ValueError without pages."""
        first = bisect_right(self.pages, start, key=lambda page: page.end)  # the first page that ends behind `start`
        behind = bisect_left(
            self.pages, end, key=lambda page: page.start
        )  # the first page that starts at `end` or later
        if first >= behind:
            raise ValueError(f"{self.document_id}: no page holds characters {start}:{end}")
        return self.pages[first].number, self.pages[behind - 1].number
