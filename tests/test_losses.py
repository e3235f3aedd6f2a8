"""rag/train/sparse/losses.py and pooled.py: by hand, against finite differences, and against all logits at once."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.encode.max_logits import MaxLogits
from rag.train.sparse.losses import SCALE, contrastive, ensemble, flops, kl_divergence, l1, margin_mse, ramp

INF = math.inf
NUMBERS = st.floats(-5, 5, width=32)


def rows(*values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# -- by hand


def test_contrastive_by_hand() -> None:
    scores = rows([math.log(1), math.log(3)], [math.log(6), math.log(2)])
    positive = torch.tensor([[False, True], [True, False]])
    assert contrastive(scores, positive).item() == pytest.approx(-(math.log(3 / 4) + math.log(6 / 8)) / 2)
    both = torch.tensor([[True, True], [True, True]])
    assert contrastive(scores, both).item() == pytest.approx(0)


def test_each_positive_must_beat_the_negatives_by_itself() -> None:
    # Shares 3 / (3 + 2) and 1 / (1 + 2) against the negative 2: the second is not excused by the first.
    scores = rows([math.log(3), math.log(1), math.log(2)], [math.log(3), math.log(2), -INF]).requires_grad_()
    positive = torch.tensor([[True, True, False], [True, False, False]])
    loss = contrastive(scores, positive)
    assert loss.item() == pytest.approx(-((math.log(3 / 5) + math.log(1 / 3)) / 2 + math.log(3 / 5)) / 2)
    loss.backward()  # type: ignore[no-untyped-call]
    slope = scores.grad
    assert slope is not None and slope.isfinite().all()
    assert slope[0, 1] < slope[0, 0] < 0 < slope[0, 2]  # the one that lags is pulled more


def test_margin_mse_by_hand() -> None:
    # Margins 1 and 3 of the student, 2 and 5 of the teacher; the second query has one candidate beside its positive.
    student, teacher = rows([4, 3, 1], [2, 1, -INF]), rows([9, 7, 4], [5, 5, 0])
    assert margin_mse(student, teacher).item() == pytest.approx((1 + 4 + 1) / 3)


def test_kl_by_hand() -> None:
    student, teacher = rows([0, 0, -INF]), rows([math.log(3), 0, 99])
    assert kl_divergence(student, teacher).item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert kl_divergence(teacher, teacher).item() == pytest.approx(0)


def test_penalties_by_hand() -> None:
    weights = rows([1, 0, 2], [3, 0, 0])
    assert flops(weights).item() == 2**2 + 0 + 1**2
    assert l1(weights).item() == 3


def test_flops_is_what_queries_like_the_texts_would_cost() -> None:
    """The mean over all pairs of a text as a query and a text, of their inner product (arXiv 2004.05665, section 4)."""
    weights = torch.rand(7, 11, dtype=torch.float64)
    assert flops(weights).item() == pytest.approx((weights @ weights.T).mean().item())


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(1, 40))
def test_the_ramp_rises_to_one(step: int, steps: int) -> None:
    assert 0 <= ramp(step, steps) <= ramp(step + 1, steps) <= 1
    assert (ramp(step, steps) == 1) == (step >= steps)
    assert ramp(step, 0) == 1


# -- the ensemble


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=3, max_size=6), st.floats(0.5, 20), NUMBERS)
def test_a_teachers_scale_and_zero_do_not_matter(scores: list[float], times: float, plus: float) -> None:
    teacher = rows(scores)
    there = torch.ones(teacher.shape, dtype=torch.bool)
    if teacher.max() - teacher.min() < 0.01:
        return  # what does not tell candidates apart is noise under any scale
    other = rows([1.0, *[0.0] * (len(scores) - 1)])
    once, again = ensemble([teacher, other], there), ensemble([teacher * times + plus, other], there)
    torch.testing.assert_close(once, again, atol=1e-3, rtol=1e-4)


def test_the_ensemble_by_hand() -> None:
    there = torch.tensor([[True, True, True, False]])
    one, other = rows([2, 4, 3, 99]), rows([0, 0.5, 1, -99])
    found = ensemble([one, other], there)
    torch.testing.assert_close(found, rows([0, 0.75 * SCALE, 0.75 * SCALE, 0]), check_dtype=False)
    assert ensemble([rows([5, 5])], torch.ones(1, 2, dtype=torch.bool)).eq(0).all()  # tells nothing apart


# -- gradients


@pytest.mark.parametrize("name", ["contrastive", "kl", "margin", "flops", "l1", "ensemble of nothing there"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    torch.manual_seed(0)
    teacher, positive = torch.rand(3, 5, dtype=torch.float64), torch.eye(3, 5, dtype=torch.bool)
    absent = torch.zeros(3, 5, dtype=torch.bool)
    absent[1, 4] = True
    loss = {
        "contrastive": lambda scores: contrastive(scores, positive),
        "kl": lambda scores: kl_divergence(scores, teacher),
        "margin": lambda scores: margin_mse(scores, teacher),
        "flops": flops,
        "l1": l1,
        "ensemble of nothing there": lambda scores: kl_divergence(scores.masked_fill(absent, -INF), teacher),
    }[name]
    scores = torch.rand(3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(loss, (scores,))


@pytest.mark.parametrize("seed", range(3))
def test_pooled_logits_and_their_gradients_are_those_of_all_logits(seed: int) -> None:
    torch.manual_seed(seed)
    texts, tokens, size, terms = 11, 6, 4, 5000  # more texts and terms than are done at a time
    states, weight, bias = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((texts, tokens, size), (terms, size), (terms,))
    )
    keep = torch.rand(texts, tokens) > 0.4
    keep[2] = False  # an empty text
    into = torch.randn(texts, terms, dtype=torch.float64)

    def plainly() -> torch.Tensor:
        logits = (states @ weight.T + bias).masked_fill(~keep.unsqueeze(-1), -1e9)
        return logits.amax(1).relu()

    found = []
    for pooled in (plainly(), MaxLogits.apply(states, keep, weight, bias, False)):
        found.append((pooled.detach(), *torch.autograd.grad((pooled * into).sum(), (states, weight, bias))))
    for plain, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)


def test_half_precision_moves_weights_little() -> None:
    torch.manual_seed(0)
    states, weight, bias = torch.randn(3, 5, 16), torch.randn(200, 16) / 4, torch.zeros(200)
    keep = torch.ones(3, 5, dtype=torch.bool)
    whole, half = (MaxLogits.apply(states, keep, weight, bias, some) for some in (False, True))
    assert (whole - half).abs().max() < 0.05
    assert not torch.equal(whole, half)
