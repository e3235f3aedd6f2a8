"""Records in the words that the command line and the page both use. Plain text, escaped for neither."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.locator import UNIT_OF, TimeSpan
from rag.records import Answer, AttributedPlayer, Attribution, Citation, Correction, Hit, MarkedAnswer, Passage, WhatIf

if TYPE_CHECKING:  # every command imports this file, few need ingestion
    from ingest.build import Outcome
    from rag.library.documents import DocumentEntry

HEARD_WELL = 0.7  # mean probability of words from which nothing is said of how certainly they were heard
EXACT = "exact"  # the standard error of a score for which all coalitions were evaluated
CONCEPTS_TOLD, CONCEPT_FROM = 2, 0.02  # concepts of a hit that are told, from which share of its score on
SHOWN_FROM = 0.35  # probability of a marked answer that is shown at all, before the reader's or beside it
# Parts of a hybrid's score that come from no term: as the retrievers call them -> for people.
WITHOUT_TERMS = {
    "dense": "meaning", "named": "named in the question", "linked": "linked", "label": "asked for by its label",
    "muted": "muted", "boosted": "boosted",
}  # fmt: skip


def printable(text: str) -> str:
    """The text on one line, without the control characters by which a document could command a terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", " ".join(text.split()))


def for_page(message: str) -> str:
    """A message as the page shows it: without what it says of options, which only the command line has.

    >>> for_page("is no transcript. Leave it out; of another form: --kind podcast, or legal")
    'Is no transcript. Leave it out.'
    >>> for_page("needs a password. Give the right one (--password TEXT)"), for_page("--filter date: 'soon' is no date")
    ('Needs a password. Give the right one', "Date: 'soon' is no date")
    """
    text = re.sub(r"\s*\([^()]*--\w[^()]*\)", "", re.sub(r"^--(?:filter|in) ", "", printable(message)))
    parts = [part for part in re.split(r"(?<=[.;])\s", text) if not re.search(r"(?<!\S)--\w", part)] or [text]
    shown = " ".join(parts)
    shown = shown[:-1] + "." if shown.endswith(";") else shown
    return shown[:1].upper() + shown[1:]


def printable_lines(text: str) -> str:
    """As printable, line by line, for text whose lines we made: an answer in sentences with its lists."""
    return "\n".join(printable(line) for line in text.splitlines())


def many(number: int, thing: str) -> str:
    """A number of things, in the singular or the plural.

    >>> many(1, "call"), many(1200, "call")
    ('1 call', '1,200 calls')
    """
    return f"{number:,} {thing}{'s' * (number != 1)}"


def place_text(source: Passage | Citation) -> str:
    """Where a source stands: "page 7, Table 1", with OCR's confidence if it was read by OCR; a time; a paragraph."""
    place = source.locator.label() + (f", {source.label}" if source.label else "")
    if source.ocr_confidence is None:
        return place
    if isinstance(source.locator, TimeSpan):
        sure = source.ocr_confidence >= HEARD_WELL
        return place if sure else f"{place} (heard with a certainty of {percent(source.ocr_confidence)})"
    return f"{place} (read by OCR, confidence {percent(source.ocr_confidence)})"


def marked_text(marked: MarkedAnswer) -> str:
    """What the reading model marked, and where: "“46.5 %” in SPECTER, page 8 (62 % likely)"; "" if that is unlikely."""
    if marked.citation is None or marked.probability < SHOWN_FROM:
        return ""
    place = f"{printable(marked.citation.title)}, {printable(place_text(marked.citation))}"
    return f"“{printable(marked.text)}” in {place} ({likely(marked)})"


def likely(marked: MarkedAnswer) -> str:
    """The probability of what is marked: "62 % likely"."""
    return f"{percent(marked.probability)} likely"


def sure_text(answer: Answer) -> str:
    """How likely the answer is right, where that is known, else how well it is supported; "" for neither."""
    if answer.probability is not None and answer.abstained:
        return f"the best answer found was only {percent(answer.probability)} likely to be right (an estimate)"
    if answer.probability is not None:
        return f"{percent(answer.probability)} likely to be right (an estimate)"
    return "" if answer.support is None else f"support {percent(answer.support)} (an estimate)"


def percent(share: float) -> str:
    """
    >>> percent(0.618)
    '62 %'
    """
    return f"{share:.0%}".replace("%", " %")


def second_answer(answer: Answer) -> MarkedAnswer | None:
    """What the reading model marked, where that is another answer than the reader's, and likely enough to be shown."""
    marked = answer.marked
    return marked if marked is not None and marked_text(marked) and not marked.agrees else None


def marked_beside(answer: Answer) -> str:
    """A sentence on what the reading model marked beside the reader's answer; "" where there is nothing to say."""
    if (second := second_answer(answer)) is not None:
        return f"Another answer is marked in a passage: {marked_text(second)}."
    marked = answer.marked
    by_reader = answer.tokens.get("generated", 0) > 0  # else it is the mark itself that was answered
    if marked is None or not marked.agrees or not by_reader or not marked_text(marked):
        return ""
    return f"The reading model marks the same words ({likely(marked)})."


def reasons_text(hit: Hit, most: int = 6) -> str:
    """Why a passage was retrieved: its `most` heaviest terms, each with its share of the score, and the links to it.

    >>> from rag.records import Passage
    >>> passage = Passage("d#0", "d", "", "", "", 0, 0)
    >>> reasons_text(Hit(1, 4.0, passage, {"otter": 3.0, "+river": 1.0}, ("“Rivers” mentions “Otters”",)))
    'otter 75 %, river (added by the model) 25 %; “Rivers” mentions “Otters”'
    """
    shares = sorted((hit.terms or {}).items(), key=lambda entry: -entry[1])[:most]
    terms = []
    for term, share in shares:
        word = WITHOUT_TERMS.get(term, f"{term[1:]} (added by the model)" if term[:1] == "+" and term[1:] else term)
        concepts = concepts_text(hit) if term == "dense" else ""
        terms.append(f"{word} {percent(share / (hit.score or 1))}" + (f" ({concepts})" if concepts else ""))
    if hit.terms is None and (concepts := concepts_text(hit)):
        terms.append(concepts)
    return "; ".join(filter(None, [", ".join(terms), *hit.links]))


def concepts_text(hit: Hit) -> str:
    """The named concepts that its meaning owes most to, each with its share of the score; "" where none is named."""
    named: dict[str, float] = {}
    for each in hit.concepts:
        if each.label:
            label = "this document" if each.label == hit.passage.title else each.label
            named[label] = named.get(label, 0.0) + each.share
    whole = hit.score or 1.0
    told = [(label, share / whole) for label, share in named.items() if share / whole >= CONCEPT_FROM]
    told.sort(key=lambda entry: -entry[1])
    return "; ".join(f"{printable(label)} {percent(share)}" for label, share in told[:CONCEPTS_TOLD])


def withheld_texts(hits: Sequence[Hit], most: int | None = None) -> list[str]:
    """The parts of the evidence that were masked as instructions to the reader, each with its passage's rank.

    `most` characters of each, where a number is given.
    """

    def shown(words: str) -> str:
        return f"“{words}”" if most is None or len(words) <= most else f"“{words[:most]}…”"

    return [f"[{hit.rank}] {shown(printable(words))}" for hit in hits for words in hit.withheld_words]


def error_text(player: AttributedPlayer, attribution: Attribution) -> str:
    """A score's standard error: "±0.05", EXACT, or "±?" after one permutation alone, which cannot estimate it."""
    if not (attribution.permutations or any(other.standard_error for other in attribution.players)):
        return EXACT
    return "±?" if attribution.permutations == 1 and not player.standard_error else f"±{player.standard_error:.2f}"


def copied_text(answer: Answer) -> str:
    """How many quotes the reader chose, and how many of these are not in the evidence."""
    chosen, invented = answer.copied or (0, 0)
    return f"{many(chosen, 'sentence')} chosen by the reader, {invented} of them not in the evidence and left out"


NAMES = {"legal": "judgment", "word": "Word document", "web": "web page", "email": "e-mail"}  # of kinds of documents


def is_paged(source: Outcome | DocumentEntry) -> bool:
    """Whether a document has pages to count: a transcript has none, nor has a judgment that is no PDF."""
    return source.kind == "pdf" or (source.kind == "legal" and source.pages > 1)


def extent(source: Outcome | DocumentEntry) -> str:
    """A document's length, or its kind where it has no pages: "12 pages", "9 slides", "podcast", "judgment"."""
    kind = source.kind or ""
    if is_paged(source):
        return many(source.pages, "page")
    if (unit := UNIT_OF.get(kind, "paragraph")) != "paragraph":
        return many(source.pages, unit)
    return NAMES.get(kind, kind)


def what_if_sentences(what_if: WhatIf) -> list[str]:
    """What would change the answer, a sentence for each change, the decisive ones first.

    >>> from rag.records import Change
    >>> change = Change("date", "1911", "1934", "1934", True, True, "d", "Mill", 0, 4, "In 1911.", "In 1934.")
    >>> what_if_sentences(WhatIf("1911", (change,), None, 3))
    ['With “1934” for “1911” the answer becomes “1934”.']
    """
    if not what_if.changes:
        return ["Nothing was changed: no date, number or name stands in the words that the answer cites."]
    told = []
    for change in what_if.changes:
        edit = f"With “{printable(change.new)}” for “{printable(change.old)}”"
        said = f"becomes “{printable(change.answer)}”" if change.flipped else f"stays “{printable(change.answer)}”"
        told.append(
            f"{edit} the answer {said}." if change.decisive else f"{edit}, chosen at random, the answer {said}."
        )
    if what_if.from_memory is not None:
        memory = printable(what_if.from_memory)
        same = memory and memory.casefold() == printable(what_if.baseline).casefold()
        told.append(
            "It stays: the reader has it from memory." if same
            else f"Without any passage the reader says “{memory or 'nothing'}”: it is not from memory."
        )  # fmt: skip
    return told


def correction_text(correction: Correction) -> str:
    """A correction in a line: "“Ada Lind”, by your correction of 2026-11-30; the cited passage says otherwise"."""
    day = time.strftime("%Y-%m-%d", time.localtime(correction.created))
    why = f" ({printable(correction.reason)})" if correction.reason else ""
    otherwise = "; the cited passage says otherwise" if correction.contradicts else ""
    return f"“{printable(correction.answer)}”{why}, by your correction of {day}{otherwise}"
