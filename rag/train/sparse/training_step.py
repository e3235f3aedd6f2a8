"""One step of the training of a sparse encoder: which candidates it is of, its loss, and its rate."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.errors import DataError
from rag.train.sparse.losses import contrastive, ensemble, flops, kl_divergence, l1, margin_mse, ramp
from rag.train.sparse.pairs import Candidates, TrainingSet
from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.student import Student

if TYPE_CHECKING:
    from torch import Tensor


class Steps:
    """Which candidates each step is of: every one once before any again, those given and those self-made each apart."""

    def __init__(self, data: TrainingSet, candidates: Sequence[Candidates], recipe: Recipe):
        self._recipe = recipe
        self._candidates = candidates
        self._orders: dict[tuple[int, int], list[int]] = {}  # (kind, epoch) -> indices, of this epoch and the last
        by_kind: dict[bool, list[int]] = {True: [], False: []}
        for index, pair in enumerate(data.pairs):
            if len(candidates[index].passages) > candidates[index].positives or len(data.pairs) > 1:
                by_kind[pair.source == "given"].append(index)
        if not any(by_kind.values()):
            raise DataError(
                "training: there is no passage to tell the right one of the only query from. Ingest more documents, "
                "or name more data with --data"
            )
        given = recipe.given if all(by_kind.values()) else float(bool(by_kind[True]))
        count = round(recipe.queries * given)
        self._parts = [(by_kind[True], count), (by_kind[False], recipe.queries - count)]

    def drawn(self, step: int) -> list[tuple[int, tuple[int, ...]]]:
        """(index of a pair, indices among its candidates: the positives, at most two, and its own negatives)."""
        chosen = []
        for kind, (pairs, count) in enumerate(self._parts):
            for nth in range(step * count, (step + 1) * count):
                epoch, rank = divmod(nth, len(pairs))
                order = self._order(kind, epoch, len(pairs))
                pair = pairs[order[rank]]
                chosen.append((pair, self._sample_of(self._candidates[pair], f"{self._recipe.seed} {kind} {nth}")))
        return chosen

    def _order(self, kind: int, epoch: int, count: int) -> list[int]:
        orders = self._orders
        if (kind, epoch) not in orders:
            for old in [key for key in orders if key[0] == kind and key[1] < epoch - 1]:
                del orders[old]
            draw = random.Random(f"{self._recipe.seed} {kind} {epoch}")
            orders[kind, epoch] = draw.sample(range(count), count)
        return orders[kind, epoch]

    def _sample_of(self, mined: Candidates, seed: str) -> tuple[int, ...]:
        draw = random.Random(seed)
        positives = draw.sample(range(mined.positives), min(2, mined.positives))
        rest = range(mined.positives, len(mined.passages))
        return (*positives, *draw.sample(rest, min(self._recipe.negatives, len(rest))))


def loss_of_step(
    step: int,
    drawn: Sequence[tuple[int, tuple[int, ...]]],
    data: TrainingSet,
    candidates: Sequence[Candidates],
    student: Student,
    recipe: Recipe,
    half: bool,
) -> tuple[Tensor, Tensor]:
    """The loss of a step, and the FLOPs of its texts."""
    import torch

    own = [[candidates[pair].passages[i] for i in sample] for pair, sample in drawn]
    texts = sorted({text for row in own for text in row})
    column = {text: i for i, text in enumerate(texts)}
    weights = student.text_features([data.texts[text] for text in texts], recipe.max_tokens, half)
    queries = student.query_features([data.pairs[pair].query for pair, _ in drawn])
    scores = recipe.scale * queries @ weights.T  # (queries, texts)
    loss = scores.new_zeros(())
    if recipe.labels:
        # A passage and what was made of it by cutting out words are one.
        answers = [{data.origins[text] for text in data.pairs[pair].positives} for pair, _ in drawn]
        positive = torch.tensor([[data.origins[text] in origins for text in texts] for origins in answers])
        loss = loss + recipe.labels * contrastive(scores, positive.to(scores.device))
    longest = max(map(len, own))
    if recipe.distillation != "none" and recipe.teachers and longest > 1:
        columns = torch.tensor([[column[text] for text in row] + [-1] * (longest - len(row)) for row in own])
        columns = columns.to(scores.device)
        present = columns >= 0
        own_scores = scores.gather(1, columns.clamp(min=0)).masked_fill(~present, -torch.inf)
        taught = []
        for teacher in recipe.teachers:
            rows = [[candidates[pair].scores[teacher][i] for i in sample] for pair, sample in drawn]
            padded = torch.tensor([row + [0.0] * (longest - len(row)) for row in rows])
            taught.append(padded.to(scores.device))
        distil = kl_divergence if recipe.distillation == "kl" else margin_mse
        loss = loss + distil(own_scores, ensemble(taught, present))
    penalty = flops if recipe.penalty == "flops" else l1
    priced = weights if recipe.idf_aware or not student.inference_free else weights * student.idf.detach()
    priced = priced * ((weights > 0).sum(1, keepdim=True) > recipe.free_terms)
    price = penalty(priced) if student.inference_free else penalty(priced) + penalty(queries)
    return loss + recipe.penalty_weight * ramp(step, recipe.ramp_steps) * price, flops(weights.detach())


def rate_share(step: int, recipe: Recipe) -> float:
    """The share of the rate at a step: it rises over the warm-up and falls in a line to a twentieth."""
    return min(1.0, (step + 1) / max(1, recipe.warm_up)) * max(0.05, 1 - step / recipe.steps)
