"""BM25 over whole sections of judgments."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rag.errors import LibraryError
from rag.index.bm25 import Bm25Index
from rag.legal.court_cases import FIELDS, CourtCase, Field, Scores
from rag.protocols import silent
from rag.records import Passage, Removal

RECORD = "cases.json"  # case id -> [its number in the indexes, the catalogue generation that it was read at]


class SectionIndex:
    """BM25 over whole sections: under `folder`, an index for the facts, one for the law and one for both.

    k1 and b as Lucene's defaults, which later work on ECtHR-PCR uses too: sections are long, and so are queries.
    """

    def __init__(self, folder: Path, k1: float = 1.2, b: float = 0.75):
        self._folder = folder
        self._indexes = {field: Bm25Index(folder / field, k1, b, {}) for field in FIELDS}
        self._numbers: dict[str, int] = {}

    def build(self, cases: Sequence[CourtCase]) -> None:
        """Build it from these cases alone. A case without a section is left out of that section's index."""
        shutil.rmtree(self._folder, ignore_errors=True)
        by_id = {case.case_id: case for case in cases}
        self.update(dict.fromkeys(by_id, 0), lambda ids: [by_id[case_id] for case_id in ids])

    def update(self, generations: Mapping[str, int], read: Callable[[Sequence[str]], Sequence[CourtCase]]) -> None:
        """Bring it to the cases of `generations`; `read` gets the ids of those that are new or have changed.

        The record is written last, so a kill leaves it behind the indexes, and the same changes are applied again.
        """
        if not (self._folder / RECORD).is_file():  # nothing, or of another version
            shutil.rmtree(self._folder, ignore_errors=True)
        if self.holds(generations):
            return
        known = self.recorded()
        changed = [key for key in generations if key not in known or known[key][1] != generations[key]]
        stale = {key: number for key, (number, _) in known.items() if key not in generations or key in changed}
        following = max((number for number, _ in known.values()), default=-1) + 1
        numbers = {key: number for number, key in enumerate(changed, start=following)}
        cases = read(changed)
        self._folder.mkdir(parents=True, exist_ok=True)
        removals = [Removal(key, number, number) for key, number in stale.items()]
        for field, index in self._indexes.items():
            sections = [(numbers[case.case_id], _section(case, field)) for case in cases]
            try:
                index.apply(removals, [(number, section) for number, section in sections if section.text], silent)
                index.commit()
            finally:
                index.close()
        kept = {key: entry for key, entry in known.items() if key not in stale}
        record = {**kept, **{key: (number, generations[key]) for key, number in numbers.items()}}
        fresh = self._folder / f"{RECORD}.new"
        fresh.write_text(json.dumps(record), "utf-8")
        os.replace(fresh, self._folder / RECORD)

    def holds(self, generations: Mapping[str, int]) -> bool:
        """Whether what was committed last are these cases, each as it was read at its generation."""
        return {case_id: generation for case_id, (_, generation) in self.recorded().items()} == generations

    def recorded(self) -> dict[str, tuple[int, int]]:
        """Case id -> (its number, the generation that it was read at), of what was committed last."""
        try:
            record = json.loads((self._folder / RECORD).read_text("utf-8"))
            return {str(key): (int(number), int(generation)) for key, (number, generation) in record.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def open(self) -> None:
        """Raises LibraryError for an index that is damaged, or was not built."""
        record = self.recorded()
        if not record:
            raise LibraryError(f"{self._folder} holds no index of judgments")
        self._numbers = {key: number for key, (number, _) in record.items()}
        for index in self._indexes.values():
            index.open()

    def close(self) -> None:
        for index in self._indexes.values():
            index.close()

    def search(self, text: str, field: Field, within: Sequence[str]) -> Scores:
        """Every case of these ids that has a word of the text, however long it is."""
        numbers = [self._numbers[case_id] for case_id in within if case_id in self._numbers]
        if not numbers or not text.strip():
            return {}
        found = self._indexes[field].search(text, len(numbers), numbers, explain=False)
        return {case_id: score for case_id, score, _ in found}


def _section(case: CourtCase, field: Field) -> Passage:
    """A section as one passage, without the title, which names the parties."""
    text = case.text(field)
    return Passage(case.case_id, case.case_id, "", "", text, 0, len(text))
