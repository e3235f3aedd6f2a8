"""PaperPDF's layout (PDF-WuKong, arXiv 2410.05970): questions over papers whose evidence is given by its words.

A record has the PDF's name, a category, a query, answers, and evidence {"texts": [[idx, text], ...], "figures": [[idx,
caption, file], ...]}; a table is a figure there. The spelling of the released files is not known beyond that, so these
are read alike: the PDF's name in pdf, pdf_name, file or name, with or without ".pdf" and folders; query or question;
answers or answer, a list or one text; texts or text, figures, images or figure; and of each of these one entry or a
list of them, an entry being a list as above, an object with text or caption, or the text itself. The category, the
indices and the picture files are not used: blocks and figures are those of our own ingestion.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rapidfuzz import fuzz

from eval.core.files import Record, read_records
from rag.library.catalogue import Library
from rag.records import Passage
from rag.train.dense_training import EvidenceExample

# Share of the shorter one's words (0..100, rapidfuzz's partial ratio over words) from which passage and evidence
# overlap: 50 is a third of the shorter one where the other ends, and passages of other pages have at most 44 from 12
# words on. Fewer words agree by accident, so most of them must be there.
OVERLAP, FEW_WORDS, OVERLAP_OF_FEW = 50.0, 12, 80.0


@dataclass(frozen=True, slots=True)
class PaperQuestion:
    """A record: `texts` are its evidence paragraphs, `captions` those of its evidence figures and tables."""

    id: str
    file: str
    query: str
    answers: tuple[str, ...]
    texts: tuple[str, ...]
    captions: tuple[str, ...]

    @property
    def where(self) -> str:
        """text, or table or figure where one is among the evidence."""
        if not self.captions:
            return "text"
        return "table" if self.captions[0].lstrip().casefold().startswith("tab") else "figure"


def is_paperpdf(record: Record) -> bool:
    """Whether the record has evidence in this layout's way."""
    return isinstance(record.fields.get("evidence"), dict)


def question_of(record: Record) -> PaperQuestion:
    """Raises DataError naming record and field of a broken one."""
    name = Path(record.text("pdf", "pdf_name", "file", "name")).name
    evidence = record.get(dict, "evidence")
    texts = _entries(record, evidence, ("texts", "text"), "text")
    captions = _entries(record, evidence, ("figures", "images", "figure"), "caption")
    if not texts and not captions:
        raise record.error("evidence holds no text and no caption")
    answers = record.fields.get("answers") or record.text("answer")
    answers = [answers] if isinstance(answers, str) else answers
    if not isinstance(answers, list) or not all(isinstance(answer, str) and answer.strip() for answer in answers):
        raise record.error("answers is not a list of texts")
    return PaperQuestion(
        str(record.fields.get("id") or f"paperpdf-{record.number}"),
        name if name.lower().endswith(".pdf") else f"{name}.pdf",
        record.text("query", "question"),
        tuple(answers),
        texts,
        captions,
    )


def _entries(record: Record, evidence: dict[str, Any], names: Sequence[str], field: str) -> tuple[str, ...]:
    """The texts or captions under the first of these names that is there."""
    value: Any = next((evidence[name] for name in names if evidence.get(name)), [])
    if not isinstance(value, list) or (value and isinstance(value[0], int)):
        value = [value]  # one entry, not a list of them
    found = []
    for entry in value:
        if isinstance(entry, dict):
            entry = entry.get(field) or ""
        elif isinstance(entry, list):
            entry = entry[1] if len(entry) > 1 else "".join(map(str, entry))
        if not isinstance(entry, str):
            raise record.error(f"evidence: {names[0]} has an entry without a {field}")
        if entry.strip():
            found.append(entry)
    return tuple(found)


def read_paperpdf(file: Path) -> list[PaperQuestion]:
    """The records of a file. Raises UsageError without one, DataError naming record and field of a broken one."""
    return [question_of(record) for record in read_records(file)]


# -- finding the evidence ----------------------------------------------------------------------------------------------


def overlaps(text: str, evidence: str) -> bool:
    """Whether the two have a run of words in common, give or take what two extractors read differently.

    >>> overlaps("We train for one epoch.", "we train for one  epoch"), overlaps("Figure 3", "Figure 4")
    (True, False)
    """
    words = _words(text), _words(evidence)
    fewest = min(map(len, words))
    if not fewest:
        return False
    return fuzz.partial_ratio(*words) >= (OVERLAP if fewest >= FEW_WORDS else OVERLAP_OF_FEW)


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


@dataclass(frozen=True, slots=True)
class Examples:
    """What can be trained from, and how many records cannot: their PDF, or their evidence in it, is not there."""

    examples: list[EvidenceExample]
    without_pdf: int
    without_evidence: int


def examples_of(questions: Sequence[PaperQuestion], library: Library) -> Examples:
    """Each question with the passages of its PDF that overlap its evidence, and the others.

    A caption's passages are tables and figures if one of these overlaps it, else texts; a question is left out if a
    piece of its evidence is not found.
    """
    documents = {Path(path).name: entry.document_id for entry in library.documents() for path in entry.paths}
    passages: dict[str, list[Passage]] = {}
    for _, passage in library.passages_since(0):
        passages.setdefault(passage.document_id, []).append(passage)
    made: list[EvidenceExample] = []
    without_pdf = without_evidence = 0
    for question in questions:
        blocks = passages.get(documents.get(question.file, ""), [])
        found = [[block for block in blocks if overlaps(block.text, text)] for text in question.texts]
        for caption in question.captions:
            subset = [block for block in blocks if overlaps(block.text, caption)]
            found.append([block for block in subset if block.kind != "text"] or subset)
        if not blocks:
            without_pdf += 1
        elif not all(found):
            without_evidence += 1
        else:
            chosen = {block.passage_id: block for subset in found for block in subset}
            rest = tuple(block for block in blocks if block.passage_id not in chosen)
            made.append(EvidenceExample(question.query, tuple(chosen.values()), rest))
    return Examples(made, without_pdf, without_evidence)
