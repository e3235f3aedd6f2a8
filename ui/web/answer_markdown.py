"""Answers, notes and reasons -> the Markdown of the conversation. Pure.

Text of documents and readers is escaped here, so that Markdown shows it as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from rag.records import Answer, Citation, Hit, MarkedAnswer, Note, Statement
from ui.wording import (
    copied_text,
    likely,
    many,
    marked_beside,
    marked_text,
    place_text,
    printable,
    reasons_text,
    sure_text,
    withheld_texts,
)


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: no image, link, tag or emphasis of a document's making."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$&:@^=])", r"\\\1", printable(text))


def answer_markdown(answer: Answer, first_citation: int = 1, within: str = "", narrowed: str = "") -> str:
    """The answer, its markers as links to their citations, which are numbered from `first_citation`: #citation-1.

    `within` is what was searched, where that is not all; an abstention says so itself. `narrowed` is why only the
    documents of answer.scope were asked, where the user did not choose them.
    """
    first: dict[str, int] = {}
    for number, citation in enumerate(answer.citations):
        first.setdefault(markdown(citation.marker), number)

    def linked(match: re.Match[str]) -> str:
        number = first[match[0]]
        return f'[{match[0]}](#citation-{first_citation + number} "{_link_title(answer.citations[number])}")'

    text = _stated(answer)
    text = re.sub("|".join(map(re.escape, first)), linked, text) if first else text
    below = [f"Searched: {within}."] if within and not answer.abstained else []
    why = f" ({narrowed})" if narrowed else ""
    below += [f"Searched only: {'; '.join(answer.scope)}{why}."] if answer.scope else []
    below += [f"{sure[0].upper()}{sure[1:]}."] if (sure := sure_text(answer)) else []
    below += [beside] if (beside := marked_beside(answer)) else []
    below += [] if answer.copied is None else [f"{copied_text(answer)}."]
    small = f"\n\n<small>{markdown(' '.join(below))}</small>" if below else ""
    return (text if answer.abstained or "\n" in text else f"**{text}**") + small


def instant_markdown(marked: MarkedAnswer, citation: int) -> str:
    """What the reading model marked, to stand there until the reader begins; its place is a link to the citation."""
    if marked.citation is None or not marked_text(marked):
        return ""
    place = markdown(f"{marked.citation.title}, {place_text(marked.citation)}")
    how_likely = markdown(f"({likely(marked)})")
    return f"**{markdown(marked.text)}** <small>[{place}](#citation-{citation}) {how_likely}</small>\n\n"


def understood_markdown(question: str, standalone: str) -> str:
    """A follow-up's rewriting, to stand above its answer; "" where the question was asked as it is."""
    return f"<small>{markdown(f'Understood as: {standalone}')}</small>\n\n" if standalone != question else ""


def _stated(answer: Answer) -> str:
    """The answer's text, each sentence without support marked, and behind it words that say so; its lists as lists."""
    lines, start = list[str](), 0
    for line in answer.answer.splitlines(keepends=True):
        end, begin = start + len(line), start + (2 if line.startswith("- ") else 0)
        inside = [each for each in answer.statements if begin <= each.start and each.end <= end]
        lines.append(("- " if begin > start else "") + _line(answer.answer, begin, end, inside))
        start = end
    return "\n".join(lines).strip()


def _line(text: str, begin: int, end: int, statements: Sequence[Statement]) -> str:
    """Markdown of text[begin:end], in which these statements stand."""
    shown, at = "", begin
    for statement in statements:
        words = markdown(text[at : statement.end])
        shown += words if statement.supported else _doubted("unsupported", words, "not supported")
        shown += " " if text[statement.end : statement.end + 1].isspace() else ""
        at = statement.end
    return (shown + markdown(text[at:end])).strip()


def _doubted(kind: str, shown: str, why: str) -> str:
    """Markdown that the page marks (static/page.css: a rule for each kind), and says why in words."""
    return f"<span class='{kind}'>{shown}</span> <small>\\({why}\\)</small>"


def _link_title(citation: Citation) -> str:
    place = f"{citation.title}, {place_text(citation)}"
    return markdown(place).replace('"', '\\"')


def note_title(note: Note, answer: Answer) -> str:
    """The title of one of the answer's notes; of several it says of which search it is, or of which part."""
    what = "Evidence note: what the passages say" if answer.copied is None else "Quotes: what the answer was read from"
    if answer.style == "summary":
        return f"Notes on: {markdown(note.query)}"
    return what if len(answer.notes) == 1 else f"{what}, search {note.round} of {len(answer.notes)}"


def note_markdown(note: Note) -> str:
    """The note as a list, a line a sentence: key spans in bold, uncertain ones marked, even if no sentence has them."""
    key, uncertain = ({markdown(span) for span in spans} - {""} for spans in (note.key_spans, note.uncertain_spans))
    lines = [markdown(line) for line in note.text.splitlines() if line.strip()] or ["No sentence was found\\."]
    shown = [_marked(line, key, uncertain) for line in lines]
    shown += [
        f"In none of these sentences: {_marked(span, key, uncertain)}"
        for span in sorted(uncertain)
        if not any(span in line for line in lines)
    ]
    return "\n".join(f"- {line}" for line in shown)


def _marked(text: str, key: Set[str], uncertain: Set[str]) -> str:
    """The text with its key and uncertain spans marked, one inside the other or not. All of it Markdown already."""

    def mark(match: re.Match[str]) -> str:
        words = match[0]
        shown = _marked(words, key - {words}, uncertain - {words})
        shown = _doubted("uncertain", shown, "uncertain") if words in uncertain else shown
        return f"**{shown}**" if words in key else shown

    spans = "|".join(re.escape(span) for span in sorted(key | uncertain, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{spans})(?!\w)", mark, text) if spans else text


def reasons_title(hits: Sequence[Hit]) -> str:
    """The title of reasons_markdown, with the number of passages, and of parts of them, that the reader did not get."""
    ignored, withheld = sum(bool(hit.ignored) for hit in hits), len(withheld_texts(hits))
    left_out = [f"{ignored} not read"] if ignored else []
    left_out += [f"{many(withheld, 'sentence')} withheld"] if withheld else []
    return "Why these passages: words, meaning, links" + (f" ({', '.join(left_out)})" if left_out else "")


def reasons_markdown(hits: Sequence[Hit]) -> str:
    """Why each passage was found, a line a passage; of one that the reader did not get, first why not."""
    lines = []
    for hit in hits:
        why = markdown(": ".join(filter(None, (f"{hit.passage.title}, {place_text(hit.passage)}", reasons_text(hit)))))
        ignored = f"<span class='ignored'>Not read, {markdown(hit.ignored)}: {why}</span>"
        lines.append(f"- {ignored if hit.ignored else why}")
    for words in withheld_texts(hits):
        lines.append(f"- <span class='ignored'>Withheld, as it tells the reader what to do: {markdown(words)}</span>")
    return "\n".join(lines)
