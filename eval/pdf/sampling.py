"""The effect of the sampler over PDFs: without tables and figures, with captions alone, without OCR, by chance, and for
every k; and whether evidence stays as small, and answers as quick, while a document grows.

Retrieval only, except for the growing document: is the gold page among the k passages, and how many tokens are they?
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.core.bootstrap import summarise
from eval.core.report import table, with_interval
from eval.core.trials import draw
from eval.pdf.extraction import pages_and_padding
from eval.pdf.pdf_questions import WHERE, PdfQuestion
from ingest.build import build
from ingest.text_passages import count_tokens
from rag.answer import ask
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.pipeline import build_pipeline
from rag.protocols import Report, silent
from rag.read.prompts import shown
from rag.records import Answer, Hit, Passage
from rag.search import open_retriever
from rag.settings import Settings

KS = (1, 3, 5, 10)
WHOLE, CHANCE = "all kinds", "by chance"
Change = Callable[[Passage], Passage | None]


def _text_only(passage: Passage) -> Passage | None:
    return passage if passage.kind == "text" else None


def _captions_only(passage: Passage) -> Passage | None:
    """A table or figure as its caption, once; the text that refers to it stays with it."""
    if passage.kind == "text":
        return passage
    if not passage.caption or not passage.text.startswith(passage.caption):
        return None
    return replace(passage, text=passage.caption, end=passage.start + len(passage.caption))


def _without_ocr(passage: Passage) -> Passage | None:
    """Scans are empty pages, and of a figure that was read from its picture the caption is left."""
    return passage if passage.ocr_confidence is None else (None if passage.kind == "text" else _captions_only(passage))


VARIANTS: dict[str, Change] = {
    WHOLE: lambda passage: passage,
    "text only": _text_only,
    "captions only": _captions_only,
    "without OCR": _without_ocr,
}


def ablation(
    questions: Sequence[PdfQuestion],
    library: Library,
    settings: Settings,
    k: int,
    seed: int = 0,
    report: Report = silent,
) -> dict[str, Any]:
    """Rows name -> {metrics, intervals}: page@k over all and by kind, and tokens of the evidence.

    Each variant is a library of its own with the same documents and other passages, gone afterwards.
    """
    rows: dict[str, Any] = {}
    for name, change in VARIANTS.items():
        with tempfile.TemporaryDirectory(prefix="glossator-") as folder:
            varied = _varied(library, Path(folder) / "library", settings, change, report)
            finder = open_retriever(varied, settings.retrieve.retriever, report)
            for depth in KS if name == WHOLE else (k,):
                found = [finder.search([question.question], depth)[0] for question in questions]
                row = f"{name}, k = {depth}"
                rows[row] = _scores(questions, found)
                report("rows", len(rows), len(VARIANTS) + len(KS))
    passages = [passage for _, passage in library.passages_since(0)]
    chance = [draw(passages, k, question.id, seed) for question in questions]
    rows[f"{CHANCE}, k = {k}"] = _scores(questions, chance)
    return {"task": "sampling", "n": len(questions), "rows": rows}


def _varied(library: Library, folder: Path, settings: Settings, change: Change, report: Report) -> Indexes:
    """The documents of a library with their passages changed, or left out."""
    indexes = Indexes(Library.open(folder, create=True), settings)
    of_document: dict[str, list[Passage]] = {}
    for _, passage in library.passages_since(0):
        of_document.setdefault(passage.document_id, []).append(passage)
    with indexes.library.writing("sampling"), indexes.updating(report):
        for document_id, passages in of_document.items():
            kept = [new for passage in passages if (new := change(passage)) is not None]
            path = passages[0].path
            indexes.library.put(library.document(document_id), kept, path, path, "sampling")
    return indexes


def _scores(questions: Sequence[PdfQuestion], found: Sequence[Sequence[Hit]]) -> dict[str, Any]:
    rows: list[dict[str, float | None]] = []
    for question, hits in zip(questions, found, strict=True):
        good = float(any(_is_gold(question, hit.passage) for hit in hits))
        kinds = {f"page/{kind}": good if question.where == kind else None for kind in WHERE}
        tokens = float(sum(map(count_tokens, shown(hits))))
        rows.append({"page": good, **kinds, "evidence_tokens": tokens})
    metrics, intervals = summarise(rows)
    return {"metrics": metrics, "intervals": intervals}


def _is_gold(question: PdfQuestion, passage: Passage) -> bool:
    return question.on_gold_page(passage.path, passage.locator, passage.text)


def ablation_text(result: dict[str, Any]) -> str:
    names = ["page", *(f"page/{kind}" for kind in WHERE)]
    rows = []
    for row, scores in result["rows"].items():
        metrics, intervals = scores["metrics"], scores["intervals"]
        kinds = [f"{metrics[name]:.2f}" if name in metrics else "" for name in names[1:]]
        rows.append([row, with_interval("page", metrics, intervals), *kinds, f"{metrics['evidence_tokens']:.0f}"])
    return "\n".join(table(["row", *names, "evidence tokens"], rows))


# -- a document that grows -------------------------------------------------------------------------------------------


def growth(
    questions: Sequence[PdfQuestion],
    files: Sequence[Path],
    padding: Path,
    counts: Sequence[int],
    settings: Settings,
    k: int,
    report: Report = silent,
) -> dict[str, Any]:
    """The same questions over one document of more and more pages: tokens of the evidence, seconds of each step.

    The document begins with the gold page of each question and goes on with pages of `padding`. The reader's own time
    moves with the length of its prompt alone, so that it is taken from the run itself.
    """
    sizes = []
    for done, count in enumerate(counts):
        with tempfile.TemporaryDirectory(prefix="glossator-") as scratch:
            file = Path(scratch) / "grown.pdf"
            _grown(questions, files, padding, count, file)
            indexes = Indexes(Library.open(Path(scratch) / "library", create=True), settings)
            build([file], indexes.library, indexes, settings.ingest)
            pipeline = build_pipeline(indexes)
            answers = []
            for question in [questions[0], *questions]:  # the first warms up
                began = time.perf_counter()
                *_, answer = ask(question.question, pipeline, k)
                assert isinstance(answer, Answer)
                answers.append((answer, time.perf_counter() - began))
            sizes.append({"pages": count, **_mean(answers[1:])})
        report("documents", done + 1, len(counts))
    first, last = sizes[0], sizes[-1]
    return {
        "task": "growth",
        "n": len(questions),
        "sizes": sizes,
        "ratios": {name: round(last[name] / first[name], 3) for name in ("evidence_tokens", "answer_seconds")},
    }


def _mean(answers: Sequence[tuple[Answer, float]]) -> dict[str, float]:
    count = len(answers)
    return {
        "evidence_tokens": round(sum(sum(map(count_tokens, shown(a.evidence))) for a, _ in answers) / count, 1),
        "prompt_tokens": round(sum(a.tokens["prompt"] for a, _ in answers) / count, 1),
        "retrieve_seconds": round(sum(a.seconds["retrieve"] for a, _ in answers) / count, 3),
        "answer_seconds": round(sum(seconds for _, seconds in answers) / count, 2),
    }


def _grown(questions: Sequence[PdfQuestion], files: Sequence[Path], padding: Path, count: int, out: Path) -> None:
    """A PDF of `count` pages: the questions' gold pages, then the first pages of `padding`, over and over."""
    gold = dict.fromkeys((question.file, question.page) for question in questions)
    wanted = [(next(f for f in files if f.name == name), page) for name, page in gold]
    pages_and_padding(wanted, padding, count, out)


def growth_text(result: dict[str, Any]) -> str:
    names = ["pages", "evidence_tokens", "prompt_tokens", "retrieve_seconds", "answer_seconds"]
    return "\n".join(
        table([n.replace("_", " ") for n in names], [[size[n] for n in names] for size in result["sizes"]])
    )
