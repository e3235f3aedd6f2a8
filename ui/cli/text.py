"""Search results, answers, attributions and documents as the plain text that the command line prints. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rag.records import Answer, Attribution, Citation, Hit, WhatIf
from ui.wording import (
    EXACT,
    copied_text,
    correction_text,
    error_text,
    extent,
    is_paged,
    many,
    marked_beside,
    place_text,
    printable,
    printable_lines,
    reasons_text,
    sure_text,
    what_if_sentences,
    withheld_texts,
)  # fmt: skip

if TYPE_CHECKING:  # a search needs no ingestion
    from ingest.build import Outcome, Summary
    from rag.library.documents import DocumentEntry

WITHHELD_CHARACTERS = 200  # of each masked sentence


def hits_text(hits: Sequence[Hit], before: Mapping[str, int] | None = None) -> str:
    """Each hit on two or three lines: rank, title, place, score and path; its text's beginning; why it was found.

    `before` has the ranks by passage id that they had before concepts were muted or boosted.
    """
    if not hits:
        return "nothing found"
    lines = []
    for hit in hits:
        passage = hit.passage
        place = printable(place_text(passage))
        was = "" if before is None else f", was {before.get(passage.passage_id, 'not among the first 100')}"
        lines.append(
            f"{hit.rank:2}  {printable(passage.title)}, {place}  (score {hit.score:.3f}{was})  "
            f"{printable(passage.path)}"
        )
        lines.append(f"    {printable(passage.text)[:300]}")
        if hit.terms or hit.concepts:
            lines.append(f"    because: {printable(reasons_text(hit))}")
    return "\n".join(lines)


def answer_text(answer: Answer) -> str:
    """The answer, its citations with their quotes, and what of it is unsupported, ignored, masked or invented."""
    said = printable_lines(answer.answer)
    lines = [said, ""]
    for citation in answer.citations:
        place = printable(place_text(citation))
        lines.append(f"{citation.marker} {printable(citation.title)}, {place}  ({printable(citation.path)})")
        if not _quoted_in(citation, said):
            lines.append(f"    “{printable(citation.quote)}”")
    for correction in answer.corrections:
        lines.append(f"of “{printable(correction.question)}”: {correction_text(correction)}")
    if beside := marked_beside(answer):
        lines.append(beside)
    if sure := sure_text(answer):
        lines.append(sure)
    lines += [
        f"no support for: {printable(answer.answer[statement.start : statement.end])}"
        for statement in answer.statements
        if not statement.supported
    ]
    lines += [
        f"ignored [{hit.rank}] {printable(hit.passage.title)}: {hit.ignored}" for hit in answer.evidence if hit.ignored
    ]
    withheld = withheld_texts(answer.evidence, WITHHELD_CHARACTERS)
    lines += [f"withheld, as it tells the reader what to do: {words}" for words in withheld]
    if any(words.endswith("…”") for words in withheld):
        lines.append("withheld in full: with --json")
    if answer.copied is not None:
        lines.append(copied_text(answer))
    return "\n".join(lines).strip()


def _quoted_in(citation: Citation, said: str) -> bool:
    """Whether an answer in sentences has the citation's words already, each sentence with a marker behind it."""
    return "\n" in said and printable(citation.quote) in said.replace(f" {citation.marker}", "")


def attribution_text(attribution: Attribution) -> str:
    """A line for each player (document, clause or word), with a bar as long as its score."""
    calls = many(attribution.reader_calls, "call")
    unit = "; scores in nats of its log-probability" if attribution.value == "likelihood" else ""
    lines = ["", f"what made the answer what it is ({calls} of the reader{unit})"]
    if attribution.stopped:
        lines.append(f"not complete: {printable(attribution.stopped)}")
    indent = {"document": "", "clause": "  ", "word": "    "}
    for player in attribution.players:
        bar = ("+" if player.score > 0 else "-") * round(abs(player.score) * 10)
        error = error_text(player, attribution)
        error = "" if error == EXACT else f" {error}"
        text = printable(player.text)[:90]
        lines.append(f"{player.score:+.2f}{error}  {bar:10}  {indent[player.kind]}{text}")
    if attribution.baseline_answer is not None:
        said = printable(attribution.baseline_answer) or "nothing"
        lines.append(f"without any document the model says: {said}")
    if attribution.players and not any(player.score for player in attribution.players):
        lines.append("no part of the evidence changes the answer")
    return "\n".join(lines)


def estimate_text(attribution: Attribution, most: int = 3) -> str:
    """The parts that a first estimate calls the best, on a line."""
    finest = [part for part in attribution.players if part.kind == attribution.level and part.score > 0]
    best = sorted(finest, key=lambda part: -part.score)[:most]
    told = ", ".join(f"“{printable(part.text)[:60]}” {part.score:+.2f}" for part in best) or "no part"
    return f"First estimate, by the reading model: {told}. The reader is asked now."


def what_if_text(what_if: WhatIf) -> str:
    """What would change the answer: a sentence each, and the edited words of the document below."""
    lines = ["", f"what would change it ({many(what_if.readings, 'reading')})"]
    sentences = what_if_sentences(what_if)
    for i, sentence in enumerate(sentences):
        lines.append(sentence)
        if i < len(what_if.changes):
            lines.append(f"    “{printable(what_if.changes[i].after)}” ({printable(what_if.changes[i].title)}, edited)")
    return "\n".join(lines)


def summary_text(summary: Summary) -> str:
    """A line for each ingested file with its warnings below, then the counts, seconds and memory of the run."""
    lines = []
    for outcome in summary.documents:
        lines.append(_outcome_line(outcome))
        lines += [f"          {printable(text)}" for text in (*outcome.warnings, outcome.error or "") if text]
    counts = ", ".join(f"{summary.count(status)} {status}" for status in ("added", "updated", "unchanged", "failed"))
    return "\n".join([*lines, f"{counts} in {summary.seconds:.1f} s, at most {summary.peak_memory_mb} MB"])


def _outcome_line(outcome: Outcome) -> str:
    counts = {
        "pages": outcome.pages if is_paged(outcome) else 0,
        "passages": outcome.passages,
        "tables": outcome.tables,
        "figures": outcome.figures,
    }
    what = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{outcome.status:9} {printable(outcome.path)}  {what}".rstrip()


def documents_text(entries: Sequence[DocumentEntry]) -> str:
    """A line for each document: id, status, length, passages, title and paths; below a failed one, why."""
    if not entries:
        return "no documents yet"
    lines = []
    for entry in entries:
        pages = f"{entry.pages:4} pages" if is_paged(entry) else f"{extent(entry):>10}"
        lines.append(
            f"{entry.document_id}  {entry.status:6} {pages} {entry.passages:5} passages  "
            f"{printable(entry.title)}  ({', '.join(map(printable, entry.paths))})"
        )
        if entry.error:
            lines.append(f"{'':18}{printable(entry.error)}")
    return "\n".join(lines)
