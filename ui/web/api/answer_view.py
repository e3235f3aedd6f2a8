"""Answers, sources and marks -> the JSON that a page shows. Pure; text is as the documents have it, not escaped."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from rag.locator import PageSpan, start_seconds
from rag.read.cite import MARKER
from rag.records import Answer, Citation, Correction, Hit, MarkedAnswer, Note, WhatIf
from ui.wording import (
    SHOWN_FROM,
    correction_text,
    place_text,
    printable,
    reasons_text,
    second_answer,
    what_if_sentences,
    withheld_texts,
)  # fmt: skip

STRONG, FAIR = 0.8, 0.55  # how well an answer is backed: from which figure on it is called so
Json = dict[str, Any]


def answer_view(answer: Answer, by_reader: bool = True) -> Json:
    """All that is shown of an answer: its lines with their citations, what backs it, why its passages were found.

    `by_reader`: a language model gave it, of which it can be asked what it depended on.
    """
    second = second_answer(answer)
    return {
        "lines": lines_of(answer),
        "abstained": answer.abstained,
        "style": answer.style,
        "citations": [citation_view(citation, n) for n, citation in enumerate(answer.citations, start=1)],
        "backed": None if answer.abstained else backed(answer),
        "rests_on": [] if answer.abstained else [note_view(note) for note in answer.notes],
        "reasons": [hit_view(hit) for hit in answer.evidence],
        "withheld": withheld_texts(answer.evidence),
        "nearest": [hit_view(hit) for hit in answer.evidence[:3]] if answer.abstained else [],
        "scope": list(answer.scope),
        "second": marked_view(second) if second and not answer.abstained else None,
        "chosen": None if answer.copied is None else {"chosen": answer.copied[0], "invented": answer.copied[1]},
        "corrections": [correction_view(correction) for correction in answer.corrections],
        "what_if": None if answer.what_if is None else what_if_view(answer.what_if),
        "explainable": not answer.abstained and answer.style == "short" and by_reader,
        "seconds": answer.seconds,
        "model": answer.model,
    }


def backed(answer: Answer) -> Json | None:
    """How well the sources back an answer: strong, fair or weak, with the figure, 0..1, and what the figure is of."""
    if answer.probability is not None:
        figure, of = answer.probability, "probability"
    elif answer.support is not None:
        figure, of = answer.support, "support"
    else:
        return None
    level = "strong" if figure >= STRONG else "fair" if figure >= FAIR else "weak"
    return {"level": level, "figure": round(figure, 3), "of": of}


def lines_of(answer: Answer) -> list[Json]:
    """The answer's lines, each {"item": whether it is of a list, "runs": [{"text", "cites", "unsupported"}]}.

    `cites` are numbers of citations, counted from 1, that stand behind the text.
    """
    numbers: dict[str, list[int]] = {}
    for number, citation in enumerate(answer.citations, start=1):
        numbers.setdefault(citation.marker.strip("[]"), []).append(number)
    lines, start = list[Json](), 0
    for line in answer.answer.splitlines(keepends=True):
        is_item = line.startswith("- ") and bool(line[2:].strip())
        begin, end = start + 2 * is_item, start + len(line.rstrip("\n"))
        if answer.answer[begin:end].strip():
            lines.append({"item": is_item, "runs": _runs(answer, begin, end, numbers)})
        start += len(line)
    return lines


def _runs(answer: Answer, begin: int, end: int, numbers: dict[str, list[int]]) -> list[Json]:
    """The stretches of text[begin:end] between markers and statements."""
    text = answer.answer
    marks = [m for m in MARKER.finditer(text, begin, end) if any(n.strip() in numbers for n in re.split("[,;]", m[1]))]
    cuts = {begin, end, *(at for mark in marks for at in mark.span())}
    cuts |= {at for each in answer.statements for at in (each.start, each.end) if begin < at < end}
    at_mark = {mark.start(): mark for mark in marks}
    runs = list[Json]()
    for first, last in pairwise(sorted(cuts)):
        if (mark := at_mark.get(first)) is not None:
            cites = [number for each in re.split("[,;]", mark[1]) for number in numbers.get(each.strip(), ())]
            if not runs:
                runs.append({"text": "", "cites": [], "unsupported": False})
            runs[-1]["cites"] += cites
        else:
            doubted = any(s.start <= first and last <= s.end and not s.supported for s in answer.statements)
            runs.append({"text": printable_keeping_ends(text[first:last]), "cites": [], "unsupported": doubted})
    return runs


def printable_keeping_ends(text: str) -> str:
    """As printable, with a blank at an end where there was white space.

    >>> printable_keeping_ends("\\ta\\x00b  c ")
    ' ab c '
    """
    shown = printable(text)
    return (" " if text[:1].isspace() and shown else "") + shown + (" " if text[-1:].isspace() else "")


def note_view(note: Note) -> Json:
    """A note's sentences, each as runs {"text", "key", "uncertain"}."""
    key, uncertain = ({span for span in spans if span.strip()} for spans in (note.key_spans, note.uncertain_spans))
    return {
        "query": note.query,
        "sentences": [_note_runs(line, key, uncertain) for line in note.text.splitlines() if line.strip()],
    }


def _note_runs(line: str, key: set[str], uncertain: set[str]) -> list[Json]:
    spans = sorted(key | uncertain, key=len, reverse=True)
    pattern = "|".join(re.escape(span) for span in spans)
    runs, at = list[Json](), 0
    for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", line) if spans else ():
        runs.append({"text": printable_keeping_ends(line[at : match.start()]), "key": False, "uncertain": False})
        runs.append({"text": printable(match[0]), "key": match[0] in key, "uncertain": match[0] in uncertain})
        at = match.end()
    runs.append({"text": printable_keeping_ends(line[at:]), "key": False, "uncertain": False})
    return [run for run in runs if run["text"]]


def citation_view(citation: Citation, number: int) -> Json:
    """A source: what its chip says, its quote, and where it opens."""
    return {
        "number": number,
        "document": citation.document_id,
        "title": printable(citation.title) or "untitled",
        "place": printable(place_text(citation)),
        "short": short_place(citation),
        "quote": printable(citation.quote),
        "start": citation.start,
        "end": citation.end,
        "page": citation.locator.first_page,
        "seconds": start_seconds(citation.locator),
        "ocr": citation.ocr_confidence,
    }


def short_place(source: Citation) -> str:
    """For a chip.

    >>> from rag.locator import ParagraphSpan
    >>> places = (PageSpan(3, 4), ParagraphSpan("law", "", 45, 45))
    >>> [short_place(Citation("", "", "", "", "", place, "", 0, 0)) for place in places]
    ['pp. 3-4', '§ 45']
    """
    short = source.locator.short()
    if isinstance(source.locator, PageSpan):
        return f"p. {short}" if source.locator.first_page == source.locator.last_page else f"pp. {short}"
    return printable(short)


def hit_view(hit: Hit) -> Json:
    """A passage that was found, and why."""
    passage = hit.passage
    as_citation = Citation(
        f"[{hit.rank}]", passage.passage_id, passage.document_id, passage.path, passage.title, passage.locator,
        passage.text, passage.start, passage.end, passage.kind, passage.label, passage.section, passage.ocr_confidence,
    )  # fmt: skip
    return citation_view(as_citation, hit.rank) | {
        "why": reasons_text(hit), "ignored": printable(hit.ignored), "concepts": named_concepts(hit),
    }  # fmt: skip


def named_concepts(hit: Hit) -> list[Json]:
    """The concepts with a name that its meaning owes something to, most first."""
    return [
        {"id": each.concept_id, "label": printable(each.label)}
        for each in sorted(hit.concepts, key=lambda each: -each.share)
        if each.label and each.share > 0
    ]


def marked_view(marked: MarkedAnswer) -> Json | None:
    """What the reading model marked; None where that is too unlikely to be shown."""
    if marked.citation is None or marked.probability < SHOWN_FROM:
        return None
    source = citation_view(marked.citation, 0)
    return {"text": printable(marked.text), "probability": round(marked.probability, 3), "source": source}


def what_if_view(what_if: WhatIf) -> Json:
    """What would change an answer: its sentences, each with the edited words of the document and where they stand."""
    sentences = what_if_sentences(what_if)
    changes = [
        {
            "sentence": sentence, "decisive": change.decisive, "flipped": change.flipped, "old": printable(change.old),
            "new": printable(change.new), "after": printable(change.after), "document": change.document_id,
            "title": printable(change.title), "start": change.start, "end": change.end,
        }
        for sentence, change in zip(sentences, what_if.changes, strict=False)
    ]  # fmt: skip
    return {"changes": changes, "more": sentences[len(changes) :], "readings": what_if.readings}


def correction_view(correction: Correction) -> Json:
    """A correction as it is shown."""
    return {
        "id": correction.correction_id, "question": printable(correction.question),
        "answer": printable(correction.answer), "reason": printable(correction.reason),
        "wrong": printable(correction.wrong), "quote": printable(correction.quote),
        "contradicts": correction.contradicts, "created": correction.created, "text": correction_text(correction),
    }  # fmt: skip
