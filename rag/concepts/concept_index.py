"""The concepts of one library: a derived index in its folder, made from the dense vectors at the end of ingestion.

One file, replaced by renaming: a kill leaves the one before. A library that grows keeps its concepts, and with them
what is muted and boosted, and new passages are encoded with them; when it has grown or shrunk by half, or has another
dense encoder, it gets new ones. Without the file, or with a damaged one, nothing is lost but the explanation.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.concepts.concept_dictionary import Dictionary
from rag.concepts.concept_labels import (
    MOST_SHOWN,
    Label,
    Vocabulary,
    best_labels,
    clear_concepts,
    clear_weights,
    held_out,
    is_clear,
    label_all,
)  # fmt: skip
from rag.concepts.dictionary_training import distinct, size_for, train
from rag.concepts.reader_names import FILE as NAMES
from rag.concepts.reader_names import ReaderName, read_names
from rag.errors import LibraryError, UsageError, first_line_of
from rag.index.manager import Indexes
from rag.protocols import Report, silent

FOLDER, FILE = "concepts", "concepts.npz"
FEWEST_PASSAGES = 50  # a smaller library has none: there is nothing to tell apart
GROWTH = 1.5  # of what a dictionary was made from: with more passages, or fewer by that, there is a new one
MOST_VECTORS = 20_000  # that it is trained and named on
log = logging.getLogger("glossator")


@dataclass(frozen=True, slots=True)
class Concepts:
    """The concepts of a library.

    `numbers` (n,) are the catalogue numbers of its passages, ascending; `ids` and `weights` (n, active) their concepts,
    heaviest first, weight 0 for none. `least` (concepts,) is the weight from which a passage clearly has each.
    `trained_on` is how many passages there were when the dictionary was made. `names`: the reader's.
    """

    dictionary: Dictionary
    labels: tuple[Label, ...]
    least: NDArray[np.float32]
    numbers: NDArray[np.int64]
    ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    built_with: str
    generation: int
    trained_on: int
    fingerprint: str
    names: dict[int, ReaderName]

    def concept_id(self, concept: int) -> str:
        """How programs and settings name it: another one when the dictionary is another one."""
        return f"{self.fingerprint}-{concept}"

    def label(self, concept: int) -> str:
        """How people name it: the reader's name or its words, the first that holds; "" where neither does."""
        name = self.names.get(concept)
        if name is not None and name.holds:
            return name.text
        return self.labels[concept].text if self.labels[concept].holds else ""

    def quality(self, concept: int) -> tuple[float, float]:
        """The precision and recall of its name, or of the words that would be."""
        name = self.names.get(concept)
        if name is not None and name.holds:
            return name.precision, name.recall
        return self.labels[concept].precision, self.labels[concept].recall

    @property
    def shown(self) -> list[int]:
        """The concepts that have a name, the best first, MOST_SHOWN at most."""
        named = sorted(concept for concept, name in self.names.items() if name.holds)
        found = dict.fromkeys([*best_labels(self.labels), *named])
        distinct_names = {self.label(concept): concept for concept in reversed(found)}
        return [concept for concept in found if distinct_names[self.label(concept)] == concept][:MOST_SHOWN]

    def find(self, name: str) -> int:
        """The concept with this id, or with this name, or whose name alone has these words.

        Raises UsageError, which names some of them.
        """
        wanted = name.strip()
        of, _, number = wanted.rpartition("-")
        if number.isdecimal() and of == self.fingerprint and int(number) < len(self.labels):
            return int(number)
        folded = wanted.casefold()
        named = [(concept, self.label(concept).casefold()) for concept in range(len(self.labels))]
        exact = [concept for concept, label in named if label and label == folded]
        words = [concept for concept, label in named if folded and set(folded.split()) <= set(_words(label))]
        if exact or len(words) == 1:
            return (exact or words)[0]
        some = "; ".join(self.label(concept) for concept in (words or self.shown)[:6])
        if len(of) == len(self.fingerprint) and number.isdecimal() and not words:
            raise UsageError(
                f"concept {name!r}: this library has other concepts now, for it has changed. Choose again: {some}"
            )
        what = "several concepts have that in their name" if words else "no concept of this library has that name"
        raise UsageError(f"concept {name!r}: {what}. Choose one: {some or 'glossator concepts lists their ids'}")

    def strengths(self, numbers: Sequence[int], concepts: Sequence[int]) -> NDArray[np.float32]:
        """How strongly passages have concepts, 0..1: (numbers, concepts). 1 from what is a great weight of it."""
        rows = np.searchsorted(self.numbers, numbers).clip(max=max(len(self.numbers) - 1, 0))
        known = self.numbers[rows] == numbers if len(self.numbers) else np.zeros(len(numbers), dtype=np.bool_)
        strengths = np.zeros((len(numbers), len(concepts)), dtype=np.float32)
        for column, concept in enumerate(concepts):
            weights = np.where(self.ids[rows] == concept, self.weights[rows], 0).max(axis=1, initial=0) * known
            strengths[:, column] = np.clip(weights / (2 * self.least[concept]), 0, 1)
        return strengths

    def having(self, concepts: Sequence[int]) -> NDArray[np.bool_]:
        """Which passages clearly have these concepts: (passages, concepts)."""
        clear = is_clear(self.ids, self.weights, self.least)
        columns = [((self.ids == concept) & clear).any(axis=1) for concept in concepts]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.ids), 0), dtype=np.bool_)

    def counts(self, rows: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """How many passages, of these rows of all, clearly have each concept: (all concepts,)."""
        ids, weights = (self.ids, self.weights) if rows is None else (self.ids[rows], self.weights[rows])
        return np.bincount(ids[is_clear(ids, weights, self.least)], minlength=len(self.labels))


def _words(label: str) -> list[str]:
    return label.replace(",", " ").split()


def update_concepts(indexes: Indexes, report: Report = silent) -> None:
    """Bring the concepts up to date with the dense index, which is. The caller holds the writer's lock."""
    library, folder = indexes.library, indexes.library.folder / FOLDER
    numbers = library.numbers()
    if len(numbers) < FEWEST_PASSAGES:
        shutil.rmtree(folder, ignore_errors=True)
        return
    built_with, generation = _built_with(indexes), library.generation
    try:
        before = _read(folder / FILE) if (folder / FILE).exists() else None
    except LibraryError as error:
        log.warning("%s. They are made again", error)
        before = None
    if before and before.built_with == built_with and before.generation == generation:
        return
    if before and before.built_with == built_with and _is_near(before.trained_on, len(numbers)):
        fresh = _grown(before, numbers, indexes, generation)
    else:
        fresh = _made(indexes, numbers, built_with, generation, report)
    if fresh is not None:
        _write(folder / FILE, fresh)


def rebuild_concepts(indexes: Indexes, report: Report = silent) -> None:
    """Make them again. The caller holds the writer's lock."""
    (indexes.library.folder / FOLDER / FILE).unlink(missing_ok=True)
    update_concepts(indexes, report)


def lacks_concepts(indexes: Indexes) -> bool:
    """Whether the library is large enough for concepts and has none: it was made by a version without."""
    file = indexes.library.folder / FOLDER / FILE
    return not file.exists() and len(indexes.library.numbers()) >= FEWEST_PASSAGES


def concept_problems(indexes: Indexes) -> list[str]:
    """What is wrong with them: damaged, behind the catalogue, or of another encoder. To have none is no fault."""
    file, count = indexes.library.folder / FOLDER / FILE, len(indexes.library.numbers())
    if count < FEWEST_PASSAGES or not file.exists():
        return []
    try:
        found = _read(file)
    except LibraryError as error:
        return [str(error)]
    if found.built_with != _built_with(indexes):
        return [f"{FOLDER}: built with {found.built_with!r}, the settings ask for {_built_with(indexes)!r}"]
    if found.generation < indexes.library.generation:
        return [f"{FOLDER}: stale, made at generation {found.generation} of {indexes.library.generation}"]
    return (
        [] if len(found.numbers) == count else [f"{FOLDER}: {len(found.numbers)} passages, the catalogue has {count}"]
    )


def open_concepts(indexes: Indexes) -> Concepts | None:
    """The concepts of the library as they are now; None where it has none that fit its dense vectors."""
    file = indexes.library.folder / FOLDER / FILE
    try:
        status = file.stat()
    except OSError:
        return None
    found = _opened(str(file), status.st_mtime_ns, status.st_size, names_stamp(file.parent))
    return found if found and found.built_with == _built_with(indexes) else None


def names_stamp(folder: Path) -> int:
    """Changes when the reader has named concepts."""
    try:
        return (folder / NAMES).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _opened(file: str, changed: int, size: int, named: int) -> Concepts | None:
    try:
        return _read(Path(file))
    except LibraryError as error:
        log.warning("%s. Passages are found all the same, without their concepts", error)
        return None


def _built_with(indexes: Indexes) -> str:
    return indexes.built_with("dense")


def _is_near(before: int, now: int) -> bool:
    return before / GROWTH <= now <= before * GROWTH


def _grown(before: Concepts, numbers: Sequence[int], indexes: Indexes, generation: int) -> Concepts | None:
    """The same concepts for other passages: what is gone is left out, what is new is encoded."""
    wanted = np.asarray(numbers, dtype=np.int64)
    stays = np.isin(before.numbers, wanted)
    new = wanted[~np.isin(wanted, before.numbers)]
    vectors = indexes.dense().unit_vectors(new.tolist())
    if vectors is None:
        return None
    ids, weights = before.dictionary.main_codes(vectors)
    merged = np.concatenate([before.numbers[stays], new])
    order = np.argsort(merged)
    return Concepts(
        before.dictionary, before.labels, before.least, merged[order],
        np.concatenate([before.ids[stays], ids])[order], np.concatenate([before.weights[stays], weights])[order],
        before.built_with, generation, before.trained_on, before.fingerprint, before.names,
    )  # fmt: skip


def _made(
    indexes: Indexes, numbers: Sequence[int], built_with: str, generation: int, report: Report
) -> Concepts | None:
    vectors = indexes.dense().unit_vectors(numbers)
    if vectors is None:
        return None
    learnt_from = distinct(vectors, MOST_VECTORS)
    dictionary = train(learnt_from, size_for(len(learnt_from)), report=report)
    ids, weights = dictionary.main_codes(vectors)
    least = clear_weights(ids, weights, len(dictionary.atoms))
    rows = np.arange(len(numbers))
    if len(rows) > MOST_VECTORS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_VECTORS, replace=False))
    chosen = [numbers[row] for row in rows.tolist()]
    passages = indexes.library.passages_numbered(chosen)
    judged_on = held_out(chosen, 0.5)
    labels = label_all(
        Vocabulary([passages[number] for number in chosen]), clear_concepts(ids[rows], weights[rows], least),
        ~judged_on, judged_on,
    )  # fmt: skip
    return Concepts(
        dictionary, tuple(labels), least, np.asarray(numbers, dtype=np.int64), ids, weights, built_with, generation,
        len(numbers), _fingerprint(dictionary), {},
    )  # fmt: skip


def _fingerprint(dictionary: Dictionary) -> str:
    return sha256(dictionary.mean.tobytes() + dictionary.atoms.tobytes()).hexdigest()[:4]


def _write(file: Path, concepts: Concepts) -> None:
    labels = [astuple(label) for label in concepts.labels]
    about = {
        "kind": concepts.dictionary.kind, "active": concepts.dictionary.active, "built_with": concepts.built_with,
        "generation": concepts.generation, "trained_on": concepts.trained_on, "labels": labels,
    }  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{FILE}.new")
    with fresh.open("wb") as out:
        np.savez(
            out, mean=concepts.dictionary.mean, atoms=concepts.dictionary.atoms, reading=concepts.dictionary.reading,
            least=concepts.least, numbers=concepts.numbers, ids=concepts.ids.astype(np.int16), weights=concepts.weights,
            about=np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), dtype=np.uint8),
        )  # fmt: skip
    os.replace(fresh, file)


def _read(file: Path) -> Concepts:
    """Raises LibraryError for a damaged file: a zip has a checksum of each of its arrays."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            dictionary = Dictionary(
                about["kind"], arrays["mean"], arrays["atoms"], arrays["reading"], int(about["active"])
            )
            labels = tuple(Label(tuple(words), *counts) for words, *counts in about["labels"])
            fingerprint = _fingerprint(dictionary)
            return Concepts(
                dictionary, labels, arrays["least"], arrays["numbers"], arrays["ids"].astype(np.int32),
                arrays["weights"], about["built_with"], about["generation"], about["trained_on"], fingerprint,
                read_names(file.parent, fingerprint),
            )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise LibraryError(
            f"{file} cannot be read: {first_line_of(error)}. "
            f"Make it again: glossator check --library {file.parents[1]} --repair"
        ) from error
