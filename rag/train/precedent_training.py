"""The trainer of the hierarchical encoder: cases are brought near those that they cite, over frozen passage vectors.

After ECtHR-PCR (Santosh T.Y.S.S., Haddad and Grabmair, arXiv 2404.00596): an encoder of passages, a small part over
their vectors that gives a vector a case, a contrastive loss, and negatives that are drawn, that BM25 finds, that the
model itself finds, or that are others' positives. The paper trains both encoders; here the passages' is frozen, and
the small part is attention with a learned query and a projection, which a processor trains in minutes.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rag.encode.checkpoint import base_of
from rag.errors import DataError, UsageError
from rag.legal.court_cases import CourtCase, Field, candidates
from rag.legal.pooling import RECORD, WEIGHTS, Pooling
from rag.legal.precedents import Vectors
from rag.protocols import Report, silent
from rag.train.common import write_folder
from rag.train.dense_training import contrastive_loss

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["random", "bm25", "mined", "batch"]
NEGATIVES: tuple[Kind, ...] = ("random", "bm25", "mined", "batch")
DRAWN = 8  # negatives of each kind for a query, but for those of its batch
HARDEST = 30  # of a ranking, from which hard ones are drawn
BATCH = 16  # queries a step
TEMPERATURE = 0.05  # of the loss, as in rag/train/dense_training.py
RATE = 3e-4


@dataclass(frozen=True, slots=True)
class PrecedentExample:
    """A case that asks, the earlier cases that it cites, and those that it does not: ids."""

    query: CourtCase
    positives: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainedPooling:
    """What training gave, from what, and the mean loss of each epoch."""

    pooling: Pooling
    examples: int
    asked: Field
    field: Field
    negatives: tuple[Kind, ...]
    epochs: int
    seed: int
    losses: list[float]


def kinds_of(names: str) -> tuple[Kind, ...]:
    """What "random,bm25" names, in the order of NEGATIVES. Raises UsageError for another name, and for none.

    >>> kinds_of("mined, random")
    ('random', 'mined')
    """
    given = {name.strip() for name in names.split(",")}
    if unknown := sorted(given - set(NEGATIVES)):
        raise UsageError(f"--negatives {unknown[0]}: choose some of {', '.join(NEGATIVES)}, with commas between them")
    return tuple(kind for kind in NEGATIVES if kind in given)


def examples_of(
    queries: Iterable[CourtCase], cases: Sequence[CourtCase], asked: Field, field: Field
) -> list[PrecedentExample]:
    """Of each query that has a date, what is asked, and both kinds of candidates with the section `field`.

    Positives and others are dated before the query and are no versions of its case; others are not cited by it.
    """
    found = []
    for query in queries:
        if not query.date or not query.passages(asked):
            continue  # without a date any other case may be later
        cited = set(query.cites)
        eligible = [case.case_id for case in candidates(query, cases) if case.passages(field)]
        positives = tuple(case_id for case_id in eligible if case_id in cited)
        others = tuple(case_id for case_id in eligible if case_id not in cited)
        if positives and others:
            found.append(PrecedentExample(query, positives, others))
    return found


def draw_negatives(
    batch: Sequence[PrecedentExample],
    kinds: Sequence[Kind],
    rankings: Mapping[Kind, Mapping[str, Sequence[str]]],
    draw: random.Random,
) -> list[list[str]]:
    """Each example's negatives, all of them among its `others`, no one twice.

    `rankings`: "bm25" and "mined" -> the query's id -> cases, best first; what is not among the others is passed over.
    """
    positives = list(dict.fromkeys(case_id for example in batch for case_id in example.positives))
    drawn = []
    for example in batch:
        others = set(example.others)
        subset: list[str] = []
        for kind in kinds:
            if kind == "batch":
                subset += [case_id for case_id in positives if case_id in others]
                continue
            pool = example.others
            if kind != "random":
                ranking = rankings[kind].get(example.query.case_id, ())
                pool = tuple(case_id for case_id in ranking if case_id in others)[:HARDEST]
            subset += draw.sample(pool, min(DRAWN, len(pool)))
        drawn.append(list(dict.fromkeys(subset)))
    return drawn


def train(
    examples: Sequence[PrecedentExample],
    cases: Sequence[CourtCase],
    vectors: Vectors,
    asked: Field = "facts",
    field: Field = "both",
    negatives: Sequence[Kind] = NEGATIVES,
    by_bm25: Mapping[str, Sequence[str]] | None = None,
    epochs: int = 10,
    seed: int = 0,
    report: Report = silent,
) -> TrainedPooling:
    """Train a Pooling that serves what asks and what is found. It begins as the mean.

    `by_bm25`: the query's id -> cases as BM25 ranks them, where "bm25" is among the negatives; "mined" ones are found
    by the model itself as it stands at the beginning of an epoch. The same seed gives the same weights. Raises
    DataError without an example.
    """
    import torch

    if not examples:
        raise DataError("no case cites an earlier one that is here, so there is nothing to train from. Add such cases")
    asking, found = _matrices(examples, cases, vectors, asked, field, report)
    size = next(iter(asking.values())).shape[1]
    # Kept as the difference to the identity, so that weight decay pulls towards the mean.
    change, attention = (torch.zeros(shape, requires_grad=True) for shape in ((size, size), (size,)))

    def pooled(matrices: Iterable[Tensor]) -> Tensor:
        rows = torch.stack([torch.softmax(matrix @ attention, 0) @ matrix for matrix in matrices])
        return torch.nn.functional.normalize(rows + rows @ change.T, dim=1)

    optimiser = torch.optim.AdamW([change, attention], lr=RATE)
    draw = random.Random(seed)
    losses = []
    for epoch in range(epochs):
        rankings: dict[Kind, Mapping[str, Sequence[str]]] = {"bm25": by_bm25 or {}}
        if "mined" in negatives:
            with torch.no_grad():
                rankings["mined"] = _mined(examples, pooled(asking.values()), pooled(found.values()), list(found))
        summed, order = 0.0, draw.sample(list(examples), len(examples))
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            loss = _loss(batch, draw_negatives(batch, negatives, rankings, draw), asking, found, pooled)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            summed += loss.item() * len(batch)
            report("training", epoch * len(order) + first + len(batch), epochs * len(order))
        losses.append(round(summed / len(order), 6))
    pooling = Pooling((torch.eye(size) + change.detach()).numpy(), attention.detach().numpy())
    return TrainedPooling(pooling, len(examples), asked, field, tuple(negatives), epochs, seed, losses)


def _loss(
    batch: Sequence[PrecedentExample],
    drawn: Sequence[Sequence[str]],
    asking: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    pooled: Callable[[Iterable[Tensor]], Tensor],
) -> Tensor:
    """The mean loss of a batch with these negatives. A case that several queries are shown is pooled once."""
    import torch

    ids = dict.fromkeys(
        i for example, negatives in zip(batch, drawn, strict=True) for i in (*example.positives, *negatives)
    )
    row = {case_id: index for index, case_id in enumerate(ids)}
    queries = pooled(asking[example.query.case_id] for example in batch)
    likeness = queries @ pooled(found[case_id] for case_id in ids).T  # (batch, ids)
    losses = [
        contrastive_loss(own[[row[i] for i in example.positives]], own[[row[i] for i in negatives]], TEMPERATURE)
        for own, example, negatives in zip(likeness, batch, drawn, strict=True)
    ]
    return torch.stack(losses).mean()


def _matrices(
    examples: Sequence[PrecedentExample],
    cases: Sequence[CourtCase],
    vectors: Vectors,
    asked: Field,
    field: Field,
    report: Report,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Case id -> passage vectors (n, d): of what the examples ask, and of every case that they may be shown."""
    import torch

    wanted = {case_id for example in examples for case_id in (*example.positives, *example.others)}
    subset = [case for case in cases if case.case_id in wanted]
    asking, found = {}, {}
    for example in examples:
        asking[example.query.case_id] = torch.from_numpy(vectors(example.query.passages(asked)))
        report("vectors", len(asking), len(examples) + len(subset))
    for case in subset:
        found[case.case_id] = torch.from_numpy(vectors(case.passages(field)))
        report("vectors", len(asking) + len(found), len(examples) + len(subset))
    return asking, found


def _mined(
    examples: Sequence[PrecedentExample], queries: Tensor, rows: Tensor, ids: Sequence[str]
) -> dict[str, list[str]]:
    """Each query's id -> all cases by likeness of their vectors, best first: queries (q, d), rows (n, d)."""
    orders = (queries @ rows.T).argsort(dim=1, descending=True, stable=True).tolist()
    return {example.query.case_id: [ids[i] for i in order] for example, order in zip(examples, orders, strict=True)}


def save(trained: TrainedPooling, base: str, out: Path, data: str) -> None:
    """Write the folder that precedents.pooling can name: over vectors of `base` (a dense.model), from library `data`.

    Raises UsageError if `out` is there.
    """

    def write(folder: Path) -> dict[str, Any]:
        trained.pooling.save(folder)
        return {
            "base": base_of(base),
            "data": data,
            "asked": trained.asked,
            "field": trained.field,
            "negatives": list(trained.negatives),
            "examples": trained.examples,
            "epochs": trained.epochs,
            "seed": trained.seed,
            "rate": RATE,
            "temperature": TEMPERATURE,
            "losses": trained.losses,
            "sha256": {WEIGHTS: hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()},
        }

    write_folder(out, write, RECORD)
