"""A judgment -> HTML of its panel. Pure.

The panel: what the case is and how it ended, and as tabs its sections, the cases that it cites and that cite it, and
all of them by year. static/room/judgment.js chooses tabs, brings the cited words into view, and asks for another case.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from markupsafe import Markup

from rag.document import Case, Document, Finding, Paragraph, Section
from ui.web.templating import render
from ui.wording import many, printable

NAMES = {
    "header": "Header", "procedure": "Procedure", "facts": "Facts", "law": "The law", "operative": "Operative part",
    "opinion": "Separate opinion", "annex": "Annex", "text": "Text",
}  # fmt: skip
IMPORTANCE = {1: "key case (1 of 4)", 2: "high (2 of 4)", 3: "medium (3 of 4)", 4: "low (4 of 4)"}


@dataclass(frozen=True, slots=True)
class CaseMention:
    """Words by which one case cites another, and the numbered paragraph of the citing one in which they stand.

    `place` is where to look in the case that is opened: "120:140" (offsets), a paragraph's number, or "-".
    `others`: titles of what the words may mean as well.
    """

    words: str
    paragraph: int | None
    pinpoint: str
    place: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A case that cites this one, or that this one cites."""

    document_id: str
    title: str
    date: str
    mentions: tuple[CaseMention, ...]

    @property
    def place(self) -> str:
        """Where the case is opened: at its first mention."""
        return self.mentions[0].place if self.mentions else "-"


def outcome_text(outcome: Sequence[Finding]) -> str:
    """What was found under each article, in words.

    >>> outcome_text([Finding("Article 8", True, ()), Finding("Article 6 § 1", None, ())])
    'Article 8: violation; Article 6 § 1: violation in part'
    """
    words = {True: "violation", False: "no violation", None: "violation in part"}
    return "; ".join(f"{found.article}: {words[found.violation]}" for found in outcome)


def tab_names(sections: Sequence[Section]) -> list[str]:
    """A name for each section, numbered where several would have the same.

    >>> tab_names([Section("law", 0, 1), Section("opinion", 1, 2, "JUDGE A."), Section("law", 2, 3)])
    ['The law', 'Opinion of JUDGE A.', 'The law (2)']
    """
    names: list[str] = []
    for section in sections:
        author = printable(section.author)
        name = f"Opinion of {author}" if author and section.kind == "opinion" else NAMES[section.kind]
        before = sum(each == name or each.startswith(f"{name} (") for each in names)
        names.append(f"{name} ({before + 1})" if before else name)
    return names


def panel(
    document: Document,
    court: str,
    span: tuple[int, int],
    cited: Sequence[Neighbour],
    citing: Sequence[Neighbour],
    line: Markup,
    visit: int,
) -> Markup:
    """HTML of a judgment with text[span] marked; an empty span marks nothing. `line`: HTML of its timeline.

    `visit` is another one each time, so that the browser notices a panel that is the same.
    """
    case = document.case
    if case is None:
        raise ValueError(f"{document.document_id} is no judgment")
    sections = [section for section in case.sections if document.text[section.start : section.end].strip()]
    tabs = [
        (name, render("judgment_text.html", blocks=list(_blocks(document.text, section, case.paragraphs, span))))
        for name, section in zip(tab_names(sections), sections, strict=True)
    ]
    tabs += [
        (f"Cites ({len(cited)})", render("judgment_cases.html", cases=cited, is_citing=True)),
        (f"Cited by ({len(citing)})", render("judgment_cases.html", cases=citing, is_citing=False)),
        ("Timeline", render("timeline_box.html", timeline=line)),
    ]
    return render(
        "judgment.html",
        document_id=document.document_id,
        title=document.title,
        about=", ".join(filter(None, (court, case.date or "no date is known"))),
        rows=_about(case),
        now=_paragraphs_text(case, span),
        paragraphs=case.paragraphs,
        tabs=tabs,
        chosen=max(0, bisect_right([section.start for section in sections], span[0]) - 1),
        visit=visit,
    )


def _about(case: Case) -> dict[str, str]:
    return {
        "Applications" if len(case.application_numbers) > 1 else "Application": ", ".join(case.application_numbers),
        "Importance": IMPORTANCE.get(case.importance or 0, ""),
        "Articles": ", ".join(case.articles),
        "Outcome": outcome_text(case.outcome) or "no finding could be read from the operative part",
    }


def _paragraphs_text(case: Case, span: tuple[int, int]) -> str:
    """The numbered paragraphs in which the marked words stand: "§ 3", "§§ 3-4"; "" where they stand in none."""
    numbers = case.paragraphs_in(*span) if span[0] < span[1] else None
    if numbers is None:
        return ""
    first, last = numbers
    return f"§ {first}" if first == last else f"§§ {first}-{last}"


# -- a section's text --------------------------------------------------------------------------------------------------

Line = list[
    tuple[bool, list[tuple[str, bool]]]
]  # runs of (is marked, [(words, whether they are a paragraph's number)])


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Lines of a section: a numbered paragraph's, or (None) those between two."""

    number: int | None
    lines: tuple[Line, ...]


def _blocks(text: str, section: Section, paragraphs: Sequence[Paragraph], span: tuple[int, int]) -> Iterator[TextBlock]:
    """A block for each numbered paragraph that begins in the section, and for what else stands there."""
    inside = [p for p in paragraphs if p.start < section.end and section.start < p.end]
    cuts = {section.start, section.end, *(max(section.start, p.start) for p in inside)}
    ends = {min(section.end, p.end) for p in inside}
    numbered = {p.start: p.number for p in inside}
    for start, end in pairwise(sorted(cuts | ends)):
        number = numbered.get(start)
        yield TextBlock(number, tuple(_lines(text, start, end, span, number is not None)))


def _lines(text: str, start: int, end: int, span: tuple[int, int], is_numbered: bool) -> Iterator[Line]:
    """The lines of text[start:end] that are not blank; with `is_numbered` its first word is the paragraph's number."""
    first_word = re.match(r"\S*", text[start:end])
    at, number_end = start, start + (len(first_word[0]) if first_word and is_numbered else 0)
    for line in text[start:end].split("\n"):
        stop = at + len(line)
        cuts = sorted({at, stop, *(cut for cut in (*span, number_end) if at < cut < stop)})
        pieces = []
        for first, last in pairwise(cuts):
            words = _plain(text[first:last])
            pieces.append((span[0] <= first and last <= span[1] and bool(words.strip()), words, last <= number_end))
        if any(words.strip() or is_number for _, words, is_number in pieces):
            yield [
                (is_marked, [(words, is_number) for _, words, is_number in run])
                for is_marked, run in groupby(pieces, key=lambda piece: piece[0])
            ]
        at = stop + 1


def _plain(text: str) -> str:
    """Without control characters, and any space as one that a browser may collapse."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", re.sub(r"\s", " ", text))


# -- by year -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A case on a timeline. `kind`: "earlier" or "later", which opens at `place`; or "this", which does not.

    `note` stands behind its title; `order` is that of entries of one day.
    """

    date: str
    order: int
    kind: str
    title: str
    document_id: str = ""
    place: str = "-"
    note: str = ""


def timeline(document: Document, cited: Sequence[Neighbour], citing: Sequence[Neighbour], note: str = "") -> Markup:
    """A judgment among the cases around it; each entry says in words which way the citation goes.

    `note` stands above them: what is not among them.
    """
    date = document.case.date if document.case else ""
    entries = [TimelineEntry(date, 1, "this", document.title, note=" (this case)")]
    for order, cases, kind, way in ((0, cited, "earlier", "cited here"), (2, citing, "later", "cites this case")):
        for case in cases:
            times = f", {many(len(case.mentions), 'time')}" if len(case.mentions) > 1 else ""
            entries.append(
                TimelineEntry(case.date, order, kind, case.title, case.document_id, case.place, f" {way}{times}")
            )
    return by_year(entries, note)


def by_year(entries: Iterable[TimelineEntry], note: str = "") -> Markup:
    """The entries under their years, the oldest first."""
    by_date = sorted(entries, key=lambda entry: (entry.date, entry.order, entry.document_id, entry.place))
    years = [(year, list(group)) for year, group in groupby(by_date, key=lambda entry: entry.date[:4])]
    return render("timeline.html", years=years, note=note)
