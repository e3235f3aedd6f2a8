"""Training a sparse encoder from passages: what is held out, who teaches, and by how much the held-out queries gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eval.core.bootstrap import bootstrap_interval, paired_difference
from rag.encode.dense_encoder import folder_of, open_encoder
from rag.encode.sparse_encoder import open_sparse_encoder
from rag.errors import ModelError
from rag.protocols import Report
from rag.settings import Settings
from rag.train.sparse.hard_negatives import (
    Bm25Teacher,
    DenseTeacher,
    SparseTeacher,
    Teacher,
    TrainingPostings,
    best,
    mine,
)
from rag.train.sparse.held_out import split
from rag.train.sparse.pairs import TrainingSet, hash_of, partly_uncut
from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.sparse_training import faster_device, train
from rag.train.sparse.student import Student
from rag.train.sparse.training_state import State

K = 10  # of nDCG
# Of five queries that all gain, the gain may be chance: a sign test says 2 / 2^5, which is above 0.05.
FEWEST = 6
# Measurements in training take at most WATCHED held-out queries, among at most AMONG texts. They choose when to end,
# so they are not among the queries that the gain is reported on.
WATCHED, AMONG = 200, 1500
WATCHED_SHARE = 1 / 3  # at most, of the held-out queries
Scores = Callable[[Sequence[str]], "np.ndarray[Any, Any]"]  # queries -> (queries, texts)


@dataclass(frozen=True, slots=True)
class FitOutcome:
    """A training and what it gave: nDCG@10 of each held-out query before, after, and by BM25 over the same texts."""

    student: Student
    state: State
    learnt: TrainingSet
    held_out: TrainingSet
    before: list[float]
    after: list[float]
    bm25: list[float]
    terms: tuple[float, float]  # a text of the held-out part has in the mean, before and after

    @property
    def better(self) -> bool:
        """Whether the gain is certain enough to change what a library is searched with."""
        return len(self.after) >= FEWEST and paired_difference(self.after, self.before).low > 0


def fit(
    data: TrainingSet, settings: Settings, recipe: Recipe, checkpoint: Path, report: Callable[..., None]
) -> FitOutcome:
    """Hold a part out, have the teachers score, train, and measure. Raises as split, train and the encoders do."""
    learnt, apart = split(data, recipe.seed)
    learnt = partly_uncut(learnt)
    watched, held_out = watched_and_reported(apart)
    sparse = settings.sparse
    passages = [data.texts[i] for i in data.whole]
    student = Student(sparse.method, sparse.model, sparse.max_tokens, sparse.batch_size, passages, faster_device())
    before, terms_before = _ndcg(student, held_out)
    candidates = mine(learnt, teachers_of(learnt, recipe.teachers, settings, report), seed=recipe.seed, report=report)
    state = train(
        learnt, candidates, student, recipe, lambda subset: _mean(_ndcg(subset, watched)[0]), checkpoint, report
    )
    after, terms_after = _ndcg(student, held_out)
    bm25 = ndcg_of(Bm25Teacher(held_out.texts).scores, held_out)
    return FitOutcome(student, state, learnt, held_out, before, after, bm25, (terms_before, terms_after))


def teachers_of(data: TrainingSet, names: Sequence[str], settings: Settings, report: Report) -> dict[str, Teacher]:
    """The teachers of a recipe over the texts: BM25, the settings' dense encoder, and their sparse one as it is, with
    queries of its own."""
    teachers: dict[str, Teacher] = {}
    dense, sparse = settings.dense, settings.sparse
    if "bm25" in names:
        teachers["bm25"] = Bm25Teacher(data.texts)
    if "dense" in names:
        teachers["dense"] = DenseTeacher(
            open_encoder(dense.model, dense.max_tokens, dense.batch_size), data.texts, report
        )
    if "sparse" in names:
        method = "SPLADE" if sparse.method == "inference-free" else sparse.method
        try:
            encoder = open_sparse_encoder(method, folder_of(sparse.model), None, sparse.max_tokens, sparse.batch_size)
        except ModelError as error:
            raise ModelError(f"{error}; or do without it as a teacher: --recipe teachers=bm25,dense") from error
        teachers["sparse"] = SparseTeacher(encoder, data.texts, report)
    return teachers


def ndcg_of(scores: Scores, data: TrainingSet) -> list[float]:
    """nDCG@10 of each pair's query among its pool: of positives alike, with 1 / log2(1 + rank) (Järvelin and Kekäläinen
    2002). Texts without a score above 0 are not found.

    Where words were cut out of the positives, the mean of asking for these and for the whole passages: drawing lots for
    each query would make a third more of an interval, for the same mean.
    """
    gain = 1 / np.log2(np.arange(2, K + 2))
    values = []
    for pair in data.pairs:
        scored = scores([pair.query])[0]
        found = []
        for asked in dict.fromkeys((pair, data.uncut(pair))):
            pool = np.zeros(len(data.texts), dtype=np.bool_)
            pool[data.pool(asked)] = True
            ranked = best(scored, pool, K)
            reached = sum(gain[rank] for rank, text in enumerate(ranked) if text in asked.positives)
            found.append(float(reached / gain[: len(asked.positives)].sum()))
        values.append(_mean(found))
    return values


def report_of(outcome: FitOutcome, seed: int) -> dict[str, Any]:
    """The held-out figures as JSON: means, intervals, and the paired differences that decide."""
    rows: Mapping[str, list[float]] = {"before": outcome.before, "after": outcome.after, "bm25": outcome.bm25}
    return {
        "n": len(outcome.after),
        "metrics": {f"nDCG@10 {name}": round(_mean(values), 4) for name, values in rows.items()},
        "intervals": {f"nDCG@10 {name}": _rounded(bootstrap_interval(values, seed)) for name, values in rows.items()},
        "gain": {name: paired_difference(outcome.after, rows[name], seed).to_json() for name in ("before", "bm25")},
        "terms_a_text": {"before": round(outcome.terms[0], 1), "after": round(outcome.terms[1], 1)},
        "queries": {"learnt": outcome.learnt.sources(), "held_out": outcome.held_out.sources()},
        "texts": {"learnt": len(outcome.learnt.whole), "held_out": len(outcome.held_out.whole)},
        "steps": outcome.state.step,
        "best_step": outcome.state.best_step,
    }


def _ndcg(student: Student, data: TrainingSet) -> tuple[list[float], float]:
    """Of each pair; and how many terms a text has in the mean."""
    vectors = student.encode_documents(data.texts)
    postings = TrainingPostings(vectors)

    def scores(queries: Sequence[str]) -> np.ndarray[Any, Any]:
        return np.stack([postings.products(vector) for vector in student.encode_queries(queries)])

    return ndcg_of(scores, data), _mean([float(len(terms)) for terms, _ in vectors])


def watched_and_reported(held_out: TrainingSet) -> tuple[TrainingSet, TrainingSet]:
    """(what measurements on the way are of, what the gain is reported on): no query is in both, drawn by a hash."""
    pairs = sorted(held_out.pairs, key=lambda pair: hash_of(pair.query))
    count = min(WATCHED, math.ceil(WATCHED_SHARE * len(pairs)))
    wanted = {text for pair in pairs[:count] for text in pair.positives}
    wanted |= {held_out.origins[text] for text in wanted}
    wanted.update(sorted(held_out.whole, key=lambda text: hash_of(held_out.texts[text]))[:AMONG])
    return held_out.part(wanted, pairs[:count]), replace(held_out, pairs=tuple(pairs[count:]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(bound, 4) for bound in interval]
