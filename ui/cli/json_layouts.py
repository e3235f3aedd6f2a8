"""Records -> JSON, in the layouts of the contract in the README. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rag.locator import locator_json
from rag.records import Answer, Citation, Hit, MarkedAnswer, Passage

if TYPE_CHECKING:
    from ingest.build import Summary
    from rag.library.documents import DocumentEntry


def hit_json(hit: Hit) -> dict[str, Any]:
    passage = _located(hit.passage)
    del passage["description"]  # of the whole episode, with each of its passages
    concepts = {"concepts": concepts_json(hit)} if hit.concepts else {}
    terms = {} if hit.terms is None else {"terms": hit.terms}
    links = {"links": list(hit.links)} if hit.links else {}
    ignored: dict[str, Any] = {"ignored": hit.ignored} if hit.ignored else {}
    if hit.withheld_words:
        ignored["withheld"] = list(hit.withheld_words)
    return {"rank": hit.rank, "score": hit.score, **passage, **terms, **concepts, **links, **ignored}


def concepts_json(hit: Hit) -> list[dict[str, Any]]:
    """Of the dense part of a hit's score: the concepts' shares; the last, with the id "", is what none explains."""
    return [asdict(share) for share in hit.concepts]


def _located(source: Passage | Citation) -> dict[str, Any]:
    """The record's fields, with those of its locator in place of it."""
    fields = asdict(source)
    del fields["locator"]
    place = locator_json(source.locator)
    return {**fields, **place, "paragraph": place["first_paragraph"]}


def search_json(
    query: str, retriever: str, hits: Sequence[Hit], milliseconds: float, before: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """`before`: the ranks without steering, where there was any; null for a hit that was not among the first 100."""
    found = [hit_json(hit) for hit in hits]
    if before is not None:
        found = [each | {"rank_before": before.get(each["passage_id"])} for each in found]
    return {
        "query": query,
        "retriever": retriever,
        "hits": found,
        "milliseconds": round(milliseconds, 2),
    }


def precedents_json(document: str, section: str, hits: Sequence[Hit]) -> dict[str, Any]:
    return {"document_id": document, "section": section, "hits": [hit_json(hit) for hit in hits]}


def answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question,
        "answer": answer.answer,
        "abstained": answer.abstained,
        "style": answer.style,
        "scope": list(answer.scope),
        "notes": [asdict(note) for note in answer.notes],
        "citations": [_located(citation) for citation in answer.citations],
        "evidence": [hit_json(hit) for hit in answer.evidence],
        "marked": None if answer.marked is None else marked_json(answer.marked),
        "support": answer.support,
        "probability": answer.probability,
        "statements": [asdict(statement) for statement in answer.statements],
        "quotes": copied_json(answer),
        "attribution": None if answer.attribution is None else asdict(answer.attribution),
        "corrections": [asdict(correction) for correction in answer.corrections],
        "what_if": None if answer.what_if is None else asdict(answer.what_if),
        "model": answer.model,
        "settings_hash": answer.settings_hash,
        "seconds": answer.seconds,
        "tokens": answer.tokens,
    }


def marked_json(marked: MarkedAnswer) -> dict[str, Any]:
    """What the reading model marked: `start` and `end` are characters of the citation's quote."""
    citation = None if marked.citation is None else _located(marked.citation)
    return {
        "text": marked.text,
        "probability": round(marked.probability, 4),
        "citation": citation,
        "start": marked.start,
        "end": marked.end,
        "agrees": marked.agrees,
    }


def copied_json(answer: Answer) -> dict[str, Any] | None:
    """Sentences that the reader chose as quotes, and the share that is not in the evidence; None: not asked to."""
    if answer.copied is None:
        return None
    chosen, invented = answer.copied
    return {"chosen": chosen, "invented": invented, "hallucination_rate": invented / chosen if chosen else None}


def summary_json(summary: Summary) -> dict[str, Any]:
    documents = [asdict(outcome) | {"seconds": round(outcome.seconds, 3)} for outcome in summary.documents]
    counts = {status: summary.count(status) for status in ("added", "updated", "unchanged", "failed")}
    return {
        "documents": documents,
        **counts,
        "seconds": round(summary.seconds, 3),
        "peak_memory_mb": summary.peak_memory_mb,
    }


def documents_json(entries: Sequence[DocumentEntry]) -> dict[str, Any]:
    fields = ("document_id", "paths", "kind", "title", "status", "pages", "passages", "error", "warnings")
    return {"documents": [{field: getattr(entry, field) for field in fields} for entry in entries]}
