"""The sections of a judgment by their headings: procedure, facts, law, operative part, opinions, annex. Pure.

Text that came from a PDF has its lines broken, and a heading may go on in the next line; text from HTML has a block on
each line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ingest.legal.courts import SECTION_KINDS, Court
from rag import bounds
from rag.bounds import shortened
from rag.document import Section

LONGEST_HEADING = 300
AFTER = {kind: i for i, kind in enumerate(SECTION_KINDS)} | {"opinion": 4, "annex": 4}  # these two in either order
CONTENTS = re.compile(
    r"^[ \t\xa0]*(?:TABLE OF )?(?:CONTENTS|Contents)[ \t\xa0]*$|^[ \t\xa0]*TABLE DES MATI[EÈ]RES[ \t\xa0]*$", re.M
)
Heading = tuple[int, str, str]  # offset of its line, kind, author


def sections_of(text: str, court: Court) -> tuple[Section, ...]:
    """The sections, which cover the text: the text before the first heading is the header.

    A heading counts only where its kind may occur: the facts are not headed again in the law, nor an annex before the
    operative part. Headings listed in a table of contents count only where they are repeated after it.
    """
    if not text:
        return ()
    found = _in_order(_behind_contents(text, list(_headings(text, court))))
    if not found:
        return (Section("text", 0, len(text)),)
    has_body = any(kind in ("procedure", "facts", "law") for _, kind, _ in found)
    starts = [(0, "header" if has_body else "text", ""), *found] if found[0][0] else found
    ends = [offset for offset, _, _ in starts[1:]] + [len(text)]
    return tuple(Section(kind, offset, end, author) for (offset, kind, author), end in zip(starts, ends, strict=True))


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
    """The author of an opinion, whom its heading may name in the next lines, in capitals like the heading."""
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
    """The headings that stand where their kind may occur."""
    bodies = [offset for offset, kind, _ in headings if kind in ("facts", "law")]
    operative = next(
        (offset for offset, kind, _ in headings if kind == "operative" and bodies and offset > min(bodies)), None
    )
    law = next((offset for offset, kind, _ in headings if kind == "law"), None)
    if law is not None:
        operative = next((offset for offset, kind, _ in headings if kind == "operative" and offset > law), operative)
    elif not bodies:
        operative = next((offset for offset, kind, _ in headings if kind == "operative"), None)
    found: list[Heading] = []
    for offset, kind, author in headings:
        last = found[-1][1] if found else "procedure"
        if kind == "operative" and offset != operative:
            continue
        if kind in ("opinion", "annex") and operative is not None and offset < operative:
            continue
        if kind == "procedure":  # before the facts, or between the facts and the law
            if last not in ("procedure", "facts"):
                continue
        elif AFTER[kind] < AFTER[last] or (kind == "facts" and any(other == "facts" for _, other, _ in found)):
            continue
        if found and kind == last and kind != "opinion":
            continue
        found.append((offset, kind, author))
    return found
