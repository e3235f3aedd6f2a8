"""Where something stands in its document, as people cite it: on pages, in paragraphs or rows, or in seconds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias


@dataclass(frozen=True, slots=True)
class PageSpan:
    """The pages of a paged document: 1-based and inclusive, as a reader cites them."""

    first_page: int = 1
    last_page: int = 1

    @property
    def searched(self) -> str:
        """Words of the place that are searched with what stands there."""
        return ""

    def short(self) -> str:
        """For a list of several places of one document.

        >>> PageSpan(3, 3).short(), PageSpan(3, 4).short()
        ('3', '3-4')
        """
        return str(self.first_page) if self.first_page == self.last_page else f"{self.first_page}-{self.last_page}"

    def label(self) -> str:
        """
        >>> PageSpan(3, 3).label(), PageSpan(3, 4).label()
        ('page 3', 'pages 3-4')
        """
        return f"{'page' if self.first_page == self.last_page else 'pages'} {self.short()}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ParagraphSpan:
    """The section of a judgment, and the paragraphs that the court numbered; None where none is touched.

    `part` is the kind of the section ("facts", "law", "operative", ...), `heading` its heading as the judgment has it.
    """

    part: str
    heading: str = ""
    first_paragraph: int | None = None
    last_paragraph: int | None = None
    first_page: ClassVar[int] = 1  # it has no pages, so it is one
    last_page: ClassVar[int] = 1

    @property
    def searched(self) -> str:
        return ""

    def short(self) -> str:
        """
        >>> ParagraphSpan("law", "THE LAW", 45, 47).short(), ParagraphSpan("law", "THE LAW").short()
        ('§§ 45-47', 'THE LAW')
        """
        first, last = self.first_paragraph, self.last_paragraph
        if first is None:
            return self.heading or "1"
        return f"§ {first}" if first == last else f"§§ {first}-{last}"

    def label(self) -> str:
        """
        >>> ParagraphSpan("law", "THE LAW", 45, 45).label(), ParagraphSpan("text").label()
        ('THE LAW, § 45', 'page 1')
        """
        numbers = "" if self.first_paragraph is None else self.short()
        return ", ".join(filter(None, (self.heading, numbers))) or "page 1"

    def to_json(self) -> dict[str, Any]:
        numbers = {"first_paragraph": self.first_paragraph, "last_paragraph": self.last_paragraph}
        return {"first_page": 1, "last_page": 1, "part": self.part, **numbers}


@dataclass(frozen=True, slots=True)
class PartSpan:
    """Paragraphs or rows of a document that has parts for pages: see UNITS. `heading` is the innermost it stands under.

    `first_page` and `last_page` count the parts (the slides, the sheets, the chapters of a book), the paragraphs count
    from 1 in each part.
    """

    unit: str  # a key of UNITS
    heading: str = ""
    first_page: int = 1
    last_page: int = 1
    first_paragraph: int | None = None
    last_paragraph: int | None = None

    @property
    def searched(self) -> str:
        return self.heading if self.unit == "sheet" else ""  # elsewhere the heading stands in the text

    def short(self) -> str:
        """
        >>> PartSpan("slide", "Results", 4, 4).short(), PartSpan("sheet", "Prices", 1, 1, 5, 9).short()
        ('slide 4', 'rows 5-9')
        >>> PartSpan("paragraph", "Scope", 1, 1, 12, 12).short()
        '¶ 12'
        """
        if self.unit == "slide" or self.first_paragraph is None:
            pages = _range(self.first_page, self.last_page)
            return f"{UNITS[self.unit]}{'s' * (self.first_page != self.last_page)} {pages}"
        numbers, several = (
            _range(self.first_paragraph, self.last_paragraph),
            self.first_paragraph != self.last_paragraph,
        )
        return f"row{'s' * several} {numbers}" if self.unit == "sheet" else f"{'¶' * (1 + several)} {numbers}"

    def label(self) -> str:
        """
        >>> PartSpan("slide", "Results", 4, 4).label(), PartSpan("sheet", "Prices", 1, 1, 5, 9).label()
        ('slide 4, Results', 'Prices, rows 5-9')
        >>> PartSpan("paragraph", "Scope", 1, 1, 12, 13).label(), PartSpan("chapter", "", 3, 3, 2, 2).label()
        ('Scope, ¶¶ 12-13', 'chapter 3, ¶ 2')
        """
        if self.unit == "slide":
            return ", ".join(filter(None, (self.short(), self.heading)))
        named = self.heading or (f"{UNITS[self.unit]} {self.first_page}" if self.unit == "chapter" else "")
        return ", ".join(filter(None, (named, self.short())))

    def to_json(self) -> dict[str, Any]:
        return {"part": self.unit, **{name: getattr(self, name) for name in _PLACES}}


UNITS = {"slide": "slide", "sheet": "sheet", "chapter": "chapter", "paragraph": "part"}  # what the parts are called
UNIT_OF = {  # kind of document -> what is counted in it
    "word": "paragraph", "slides": "slide", "sheet": "sheet", "ebook": "chapter", "web": "paragraph",
    "email": "paragraph", "text": "paragraph",
}  # fmt: skip
_PLACES = ("first_page", "last_page", "first_paragraph", "last_paragraph")


def _range(first: int, last: int | None) -> str:
    return str(first) if last in (None, first) else f"{first}-{last}"


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """When something is said in a recording, by whom, and in which chapter; None where the transcript has no times."""

    start_seconds: float | None = None
    end_seconds: float | None = None
    speaker: str = ""
    chapter: str = ""
    first_page: ClassVar[int] = 1  # it has no pages, so it is one
    last_page: ClassVar[int] = 1

    @property
    def searched(self) -> str:
        return self.chapter

    def short(self) -> str:
        """
        >>> TimeSpan(754.9, 760.0).short()
        '12:34'
        """
        return "1" if self.start_seconds is None else timecode(self.start_seconds)

    def label(self) -> str:
        """
        >>> TimeSpan(3723.0, 3730.0, "Ada", "The mill").label(), TimeSpan().label()
        ('The mill, 1:02:03, Ada', 'page 1')
        """
        if self.start_seconds is None:
            return "page 1"
        return ", ".join(filter(None, (self.chapter, timecode(self.start_seconds), self.speaker)))

    def to_json(self) -> dict[str, Any]:
        return {"first_page": 1, "last_page": 1, **asdict(self)}


Locator: TypeAlias = PageSpan | ParagraphSpan | PartSpan | TimeSpan
FIRST_PAGE = PageSpan(1, 1)
EVERYWHERE = {**TimeSpan().to_json(), **ParagraphSpan("").to_json(), **PageSpan().to_json()}  # every key, without value


def locator_json(locator: Locator) -> dict[str, Any]:
    """A locator with the keys of all kinds, so that a program finds each key with every hit and citation."""
    return {**EVERYWHERE, **locator.to_json()}


def start_seconds(locator: Locator) -> float | None:
    """When it begins to be said; None for what is not spoken, or has no times."""
    return locator.start_seconds if isinstance(locator, TimeSpan) else None


def heading_of(section: str) -> str:
    """The outermost of the headings that a text stands under.

    >>> heading_of("THE LAW > I. ALLEGED VIOLATION"), heading_of("")
    ('THE LAW', '')
    """
    return section.partition(" > ")[0]


def innermost(section: str) -> str:
    """The innermost of the headings that a text stands under.

    >>> innermost("2 Method > 2.1 Data"), innermost("")
    ('2.1 Data', '')
    """
    return section.rpartition(" > ")[2]


def part_of(locator: Locator) -> str:
    """The kind of the section of a judgment; "" elsewhere."""
    return locator.part if isinstance(locator, ParagraphSpan) else ""


def timecode(seconds: float) -> str:
    """Minutes and seconds, from an hour on with hours; fractions are cut off, so that nothing is missed by it.

    >>> timecode(0), timecode(754.9), timecode(3723)
    ('00:00', '12:34', '1:02:03')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"


def timestamp(seconds: float) -> str:
    """As WebVTT writes a time, to the millisecond.

    >>> timestamp(3723.5)
    '01:02:03.500'
    """
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"
