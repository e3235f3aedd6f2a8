"""The text of a judgment -> its structure: sections by their headings, numbered paragraphs, notes, what it decides.

Text that came from a PDF has its lines broken, and a heading may go on in the next one; text from HTML has a block a
line. All offsets count code points of the text given, and are half-open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

from ingest.legal.citations import application_numbers, citations
from ingest.legal.courts import KINDS, Court
from ingest.legal.operative_part import articles_in, findings
from rag import bounds
from rag.bounds import shortened
from rag.errors import DocumentError
from rag.library.cited import iso_date
from rag.records import Case, Footnote, Paragraph, Section

LONGEST_HEADING = 300
DEEPEST = 6  # subheadings behind one another
AFTER = {kind: place for place, kind in enumerate(KINDS)} | {"opinion": 4, "annex": 4}  # these two in either order
NUMBERED = ("text", "procedure", "facts", "law")  # the sections that share one series of paragraph numbers
CONTENTS = re.compile(
    r"^[ \t\xa0]*(?:TABLE OF )?(?:CONTENTS|Contents)[ \t\xa0]*$|^[ \t\xa0]*TABLE DES MATI[EÈ]RES[ \t\xa0]*$", re.M
)
NOTE = re.compile(r"^[ \t\xa0]*\[(\d{1,4})\]\.?(?=\s)", re.M)
SUBHEADING = re.compile(r"[ \t\xa0]*(?:(?:[IVXLC]+|[A-Z]|\d{1,2})\.|\([a-z]{1,4}\)|[α-ω]\))[ \t\xa0]+\S.{0,200}")
ALLEGED = re.compile(r"^.{0,12}\b(?:ALLEGED VIOLATIONS?|VIOLATIONS? ALLÉGUÉES?) (?:OF|DE) .*$", re.M)
DATE_LINE = re.compile(r"^[ \t\xa0]*(\d{1,2}(?:er)?\s+\w+\s+\d{4})[ \t\xa0]*$", re.M)


def read_judgment(text: str, court: Court) -> Case:
    """The structure of a judgment's text. Takes time in proportion to its length; never raises for odd texts.

    What could not be found is a warning: the headings, the operative part, the date.
    """
    sections = sections_of(text, court)
    body = [section for section in sections if section.kind in NUMBERED]
    operative = next((section for section in sections if section.kind == "operative"), None)
    outcome = findings(text, operative.start, operative.end) if operative else ()
    header = text[: min(5_000, sections[0].end if sections else 0)]
    title, parties = _title(header, court)
    law = "\n".join(text[section.start : section.end] for section in body)
    alleged = [article for line in ALLEGED.finditer(law) for article in articles_in(line[0])]
    date = next((iso_date(match[1]) for match in DATE_LINE.finditer(header)), "")
    return Case(
        court.name,
        title,
        parties,
        _own_numbers(header, court),
        date,
        None,
        tuple(dict.fromkeys([*(finding.article for finding in outcome), *alleged]))[: bounds.ARTICLES],
        sections,
        _paragraphs(text, body, court),
        _notes(text, sections),
        citations(text, court.citations),
        outcome,
        _warnings(sections, date),
    )


def of_record(record: Mapping[str, Any], court: Court) -> tuple[str, Case]:
    """(text, case) of a record in the layout of the corpus "Mining Legal Arguments": `text`, and what is known of it.

    What the record says of title, numbers, date and importance holds, as far as bounds.py lets it; sections and
    findings are read from the text. Raises DocumentError for a record without text, or with a field of another kind.
    """
    text, named = record.get("text"), shortened(str(record.get("itemid", "a record")), bounds.NAME)
    if not isinstance(text, str) or not text.strip():
        raise DocumentError(f"{named}: no text in its field text. Leave it out, or mend it")
    text = plain(text)
    case = read_judgment(text, court)
    title, date, importance = (record.get(name) for name in ("title", "date", "importance"))
    numbers = record.get("application_numbers") or []
    if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
        raise DocumentError(f"{named}: application_numbers is not a list of texts. Mend it")
    if isinstance(title, str) and title.strip():
        title = " ".join(title.split())
        case = replace(case, title=shortened(title, bounds.TITLE), parties=_parties(title))
    if isinstance(date, str) and iso_date(date):
        warnings = tuple(warning for warning in case.warnings if warning != NO_DATE)
        case = replace(case, date=iso_date(date), warnings=warnings)
    if isinstance(importance, int) and not isinstance(importance, bool) and 1 <= importance <= 4:
        case = replace(case, importance=importance)
    numbers = tuple(shortened(number, bounds.NAME) for number in numbers[: bounds.NUMBERS])
    return text, replace(case, application_numbers=numbers) if numbers else case


def plain(text: str) -> str:
    """Text with one kind of line end and no byte order mark: what offsets count in.

    >>> plain("\\ufeffTHE LAW\\r\\n1. First")
    'THE LAW\\n1. First'
    """
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


# -- sections --------------------------------------------------------------------------------------------------


def sections_of(text: str, court: Court) -> tuple[Section, ...]:
    """The sections, which cover the text: what stands before the first heading is the header.

    A heading counts only where its kind may come: the facts are not headed again in the law, nor an annex before the
    operative part. After a table of contents the headings in it come again, and only then count.
    """
    if not text:
        return ()
    found = _in_order(_behind_contents(text, list(_headings(text, court))))
    if not found:
        return (Section("text", 0, len(text)),)
    has_body = any(kind in ("procedure", "facts", "law") for _, kind, _ in found)
    starts = [(0, "header" if has_body else "text", ""), *found] if found[0][0] else found
    ends = [place for place, _, _ in starts[1:]] + [len(text)]
    return tuple(Section(kind, place, end, author) for (place, kind, author), end in zip(starts, ends, strict=True))


Heading = tuple[int, str, str]  # offset of its line, kind, author


def _headings(text: str, court: Court) -> Iterator[Heading]:
    for start, line in _lines(text):
        if len(line) <= LONGEST_HEADING and line.strip():
            for kind, pattern in court.headings.items():
                if match := pattern.fullmatch(line.strip()):
                    yield start, kind, _author(text, start + len(line), match) if kind == "opinion" else ""
                    break


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def _author(text: str, end: int, match: re.Match[str]) -> str:
    """Who wrote an opinion, which its heading may say in the next lines, in capitals as itself."""
    words = next((value for name, value in match.groupdict().items() if name.startswith("author") and value), "")
    for line in text[end + 1 : end + 600].split("\n")[:3]:
        goes_on = (
            not words
            or re.search(r"(?:\b(?:AND|OF|BY|JUDGES?|ET)|,)$", words)
            or re.match(r"\s*(?:AND|JOINED)\b", line)
        )
        if not goes_on or not line.strip() or line.upper() != line or not re.search(r"[^\W\d_]{2}", line):
            break
        words = f"{words} {line.strip()}".strip()
    name = re.sub(r"^(?:(?:OF|BY|DE|DES|DU)\s+)?(?:(?:THE\s+)?(?:JUDGE|JUGE)S?\s+)?", "", words, flags=re.I)
    return shortened(name.rstrip(" *."), bounds.TITLE)


def _behind_contents(text: str, headings: Sequence[Heading]) -> list[Heading]:
    contents = CONTENTS.search(text)
    if not contents:
        return list(headings)
    before = [heading for heading in headings if heading[0] < contents.start()]
    behind = [heading for heading in headings if heading[0] > contents.start()]
    if not behind:
        return before
    first = _line_at(text, behind[0][0])
    again = next((i for i in range(1, len(behind)) if _line_at(text, behind[i][0]) == first), 0)
    return before + behind[again:]


def _line_at(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)].strip()


def _in_order(headings: Sequence[Heading]) -> list[Heading]:
    """Those that stand where their kind may come."""
    bodies = [place for place, kind, _ in headings if kind in ("facts", "law")]
    operative = next(
        (place for place, kind, _ in headings if kind == "operative" and bodies and place > min(bodies)), None
    )
    law = next((place for place, kind, _ in headings if kind == "law"), None)
    if law is not None:
        operative = next((place for place, kind, _ in headings if kind == "operative" and place > law), operative)
    elif not bodies:
        operative = next((place for place, kind, _ in headings if kind == "operative"), None)
    found: list[Heading] = []
    for place, kind, author in headings:
        last = found[-1][1] if found else "procedure"
        if kind == "operative" and place != operative:
            continue
        if kind in ("opinion", "annex") and operative is not None and place < operative:
            continue
        if kind == "procedure":  # before the facts, or between the facts and the law
            if last not in ("procedure", "facts"):
                continue
        elif AFTER[kind] < AFTER[last] or (kind == "facts" and any(other == "facts" for _, other, _ in found)):
            continue
        if found and kind == last and kind != "opinion":
            continue
        found.append((place, kind, author))
    return found


# -- paragraphs ------------------------------------------------------------------------------------------------

FAR = 6  # numbers missing, from where on a gap costs no more
MISSING, START = 0.25, 1.5  # what a missing number costs, and at most what is missing before the first
QUOTED = 0.375  # what a line inside a quotation costs
ASIDE = 0.0625  # what a leap over numbered lines costs, twice at the start, and a line that goes on a list begun at 1


def _paragraphs(text: str, body: Sequence[Section], court: Court) -> tuple[Paragraph, ...]:
    """The numbered lines that make the series of the judgment: increasing, nearly without gaps.

    Numbered lines are many more (statutes quoted, lists). The series is the chain of increasing numbers with the
    highest score: 1 for a paragraph, less what a gap, a quotation and a leap over other numbered lines cost. The best
    chain through each line comes from the six numbers below it or, far back, from a prefix maximum (Fenwick 1994).
    """
    lines = list(_numbered_lines(text, body, court))
    scores, before = [0.0] * len(lines), [-1] * len(lines)
    best: dict[int, int] = {}  # number -> the line of that number whose chain scores best
    prefix = _PrefixMaximum(max((number for number, _, _ in lines), default=0))
    listed = False
    for i, (number, _, quoted) in enumerate(lines):
        options = [(best[smaller], number - smaller) for smaller in range(number - FAR, number) if smaller in best]
        if (far := prefix.best(number - 1)) is not None:
            options.append((far, FAR + 1))
        if i and lines[i - 1][0] < number:
            options.append((i - 1, number - lines[i - 1][0]))
        score, source = -min(START, MISSING * abs(number - 1)) - (2 * ASIDE if i else 0.0), -1
        for other, step in options:
            reached = scores[other] - MISSING * (min(step, FAR + 1) - 1) - (ASIDE if other != i - 1 else 0.0)
            if reached > score:
                score, source = reached, other
        listed = i > 0 and (number == 1 or (listed and number == lines[i - 1][0] + 1))
        scores[i], before[i] = score + 1 - (QUOTED if quoted else 0.0) - (ASIDE if listed else 0.0), source
        if number not in best or scores[i] > scores[best[number]]:
            best[number] = i
            prefix.add(number, i, scores[i])
    last = max(range(len(lines)), key=scores.__getitem__, default=-1)
    chain: list[tuple[int, int]] = []
    while last >= 0 and (chain or scores[last] > 0):
        chain.append(lines[last][:2])
        last = before[last]
    return tuple(_ended(text, chain[::-1], body))


class _PrefixMaximum:
    """Which line of a number from 1 to `most` has the highest score, in logarithmic time (a Fenwick tree)."""

    def __init__(self, most: int) -> None:
        self._tree: list[tuple[float, int] | None] = [None] * (most + 1)

    def add(self, number: int, line: int, score: float) -> None:
        while 0 < number < len(self._tree):
            held = self._tree[number]
            if held is None or held[0] < score:
                self._tree[number] = (score, line)
            number += number & -number

    def best(self, number: int) -> int | None:
        """The line with the highest score among the numbers up to this one."""
        found: tuple[float, int] | None = None
        while number > 0:
            held = self._tree[number]
            if held and (found is None or held[0] > found[0]):
                found = held
            number -= number & -number
        return found[1] if found else None


def _numbered_lines(text: str, body: Sequence[Section], court: Court) -> Iterator[tuple[int, int, bool]]:
    """(number, offset, whether it stands in a quotation that an earlier line opened) of each line with a number."""
    for section in body:
        quoted, place = False, section.start
        for match in court.paragraph.finditer(text, section.start, section.end):
            for end in re.finditer("[“”]", text[place : match.start()]):
                quoted = end[0] == "“"
            place = match.start()
            if int(match[1]):
                yield int(match[1]), match.start(1), quoted


def _ended(text: str, chain: Sequence[tuple[int, int]], body: Sequence[Section]) -> Iterator[Paragraph]:
    """Each paragraph goes on to the next one or the end of its section, without the subheadings behind it."""
    section = 0
    for i, (number, start) in enumerate(chain):
        while body[section].end <= start:
            section += 1
        end = min(chain[i + 1][1] if i + 1 < len(chain) else body[section].end, body[section].end)
        yield Paragraph(number, start, _without_subheadings(text, start, end))


def _without_subheadings(text: str, start: int, end: int) -> int:
    for _ in range(DEEPEST + 1):
        while end > start and text[end - 1].isspace():
            end -= 1
        line = text.rfind("\n", start, end) + 1
        last = text[line:end] if line > start and end - line <= LONGEST_HEADING else ""
        capitals = last.upper() == last and re.search(r"[^\W\d_]{4}", last)
        if not (capitals or SUBHEADING.fullmatch(last)) or last.endswith((".", ";", ":", ",", "”", ")")):
            break
        end = line
    return end


# -- header and notes ------------------------------------------------------------------------------------------

NO_HEADINGS = "no headings were found: the whole text is one section"
NO_OPERATIVE = "no operative part was found: what was decided is not known; the judgment may be cut off"
NO_DATE = "no date was found: it cannot be compared with earlier and later cases"


def _warnings(sections: Sequence[Section], date: str) -> tuple[str, ...]:
    kinds = {section.kind for section in sections}
    found = {
        NO_HEADINGS: kinds <= {"text"},
        NO_OPERATIVE: "operative" not in kinds and not kinds <= {"text"},
        NO_DATE: not date,
    }
    return tuple(warning for warning, holds in found.items() if holds)


def _title(header: str, court: Court) -> tuple[str, tuple[str, str]]:
    match = court.case_name.search(header)
    title = " ".join(match["name"].split()).rstrip(" ,") if match else ""
    return shortened(title, bounds.TITLE), _parties(title)


def _parties(title: str) -> tuple[str, str]:
    """
    >>> _parties("A. AND OTHERS v. COUNTRY")
    ('A. AND OTHERS', 'COUNTRY')
    """
    parts = re.split(r"\s+(?:v\.?|c\.)\s+", " ".join(title.split()), maxsplit=1)
    applicant, respondent = parts if len(parts) == 2 else ("", "")
    return shortened(applicant, bounds.TITLE), shortened(respondent, bounds.TITLE)


def _own_numbers(header: str, court: Court) -> tuple[str, ...]:
    for match in court.own_numbers.finditer(header):
        if numbers := court.citations.numbers.match(header, match.end()):
            return tuple(dict.fromkeys(application_numbers(numbers[0], court.citations)))[: bounds.NUMBERS]
    return ()


def _notes(text: str, sections: Sequence[Section]) -> tuple[Footnote, ...]:
    """The notes stand at the end, a mark at the beginning of a line each; those of a quotation stand elsewhere."""
    tail = max(
        (section.start for section in sections if section.kind in ("operative", "opinion", "annex")), default=None
    )
    if tail is None:
        tail = sections[-1].start if sections else 0
    marks = list(NOTE.finditer(text, tail))
    ends = [mark.start() for mark in marks[1:]] + [len(text)] * bool(marks)
    return tuple(
        Footnote(int(mark[1]), mark.start(), mark.start() + len(text[mark.start() : end].rstrip()))
        for mark, end in zip(marks, ends, strict=True)
    )


# -- HTML ------------------------------------------------------------------------------------------------------

SILENT = ("script", "style", "head", "template", "noscript")
INLINE = frozenset(
    "a abbr b bdi bdo cite code dfn em font i ins del kbd mark q s small span strong sub sup u var wbr".split()
)


def text_of_html(html: str) -> str:
    """The text of a page, a block or a cell of a table a line. Never raises for odd markup.

    >>> text_of_html("<h1>THE&nbsp;LAW</h1><p>1.&nbsp; The <b>Court</b><br>notes</p><script>x</script>")
    'THE LAW\\n1. The Court\\nnotes'
    """
    page = _Page()
    page.feed(plain(html))
    page.close()
    lines = (" ".join(line.split()) for line in "".join(page.parts).split(BREAK))
    return "\n".join(line for line in lines if line)


BREAK = "\x00"  # between blocks, until the white space of the source, line ends among it, is taken together


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in SILENT:
            self._silent.append(tag)
        elif tag not in INLINE:
            self.parts.append(BREAK)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif tag not in INLINE:
            self.parts.append(BREAK)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data.replace(BREAK, " "))
