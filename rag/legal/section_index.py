"""BM25 over whole sections of judgments."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from rag.index.bm25 import Bm25Index
from rag.legal.court_cases import FIELDS, CourtCase, Field, Scores
from rag.protocols import silent
from rag.records import Passage


class SectionIndex:
    """BM25 over whole sections: under `folder`, an index for the facts, one for the law and one for both.

    k1 and b as Lucene's defaults, which later work on ECtHR-PCR uses too: sections are long, and so are queries.
    """

    def __init__(self, folder: Path, k1: float = 1.2, b: float = 0.75):
        self._folder = folder
        self._indexes = {field: Bm25Index(folder / field, k1, b, {}) for field in FIELDS}

    def build(self, cases: Sequence[CourtCase]) -> None:
        """Build it again. A case is numbered by its index in `cases`; one without the section is left out."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for field, index in self._indexes.items():
            sections = ((number, _section(case, field)) for number, case in enumerate(cases))
            try:
                index.apply([], ((number, section) for number, section in sections if section.text), silent)
                index.commit()
            finally:
                index.close()

    def open(self) -> None:
        """Raises LibraryError for an index that is damaged, or was not built."""
        for index in self._indexes.values():
            index.open()

    def close(self) -> None:
        for index in self._indexes.values():
            index.close()

    def search(self, text: str, field: Field, within: Sequence[int]) -> Scores:
        """Every case of these numbers that has a word of the text, however long it is."""
        if not within or not text.strip():
            return {}
        found = self._indexes[field].search(text, len(within), within, explain=False)
        return {case_id: score for case_id, score, _ in found}


def _section(case: CourtCase, field: Field) -> Passage:
    """A section as one passage, without the title, which names the parties."""
    text = case.text(field)
    return Passage(case.case_id, case.case_id, "", "", text, 0, len(text))
