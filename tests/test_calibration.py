"""How likely an answer is right: rag/read/calibration.py, and the measures by which it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.core.calibration_scores import auc, calibration, expected_calibration_error
from rag.answer import ask
from rag.read.calibration import BIAS, LEAST, SAME, SUPPORT, probability_right
from rag.read.instant_answer import Mark
from rag.read.quotes import Quote
from rag.read.rules.base import Claim, Proposal
from rag.records import Answer, Hit
from tests.test_answer import QUESTION, ScriptedReader
from tests.test_instant_answer import last, looking_for, pipeline
from ui.cli.text import answer_text
from ui.web.api.answer_view import backed

SHARE = st.floats(0, 1)


def mark(same: float) -> Mark:
    return Mark("May", same, likely=(("in May", same), ("June", (1 - same) / 2)))


@given(support=st.floats(0.01, 1), same=SHARE, more=st.floats(0, 0.5))
def test_it_is_a_probability_that_rises_with_what_speaks_for_the_answer(
    support: float, same: float, more: float
) -> None:
    p = probability_right(support, mark(same), "May")
    assert 0 < p < 1
    assert probability_right(min(1, support + more), mark(same), "May") >= p
    assert probability_right(support, mark(min(1, same + more)), "May") >= p
    assert probability_right(0.0, mark(same), "May") == 0


def test_the_probability_by_hand() -> None:
    assert probability_right(0.5, mark(0.5), "May") == pytest.approx(1 / (1 + exp(-(BIAS + SUPPORT / 2))))
    never = BIAS + SUPPORT * 0.5 + SAME * log(LEAST / (1 - LEAST))
    assert probability_right(0.5, Mark("", 0.9), "May") == pytest.approx(1 / (1 + exp(-never)))


def test_the_reading_models_view_of_an_answer_is_the_sum_of_what_says_the_same() -> None:
    seen = Mark("May 1900", 0.5, likely=(("May 1900", 0.5), ("in May 1900", 0.3), ("June", 0.1), ("yes", 0.05)))
    assert seen.probability_of("May 1900") == pytest.approx(0.8)
    assert seen.probability_of("It was May 1900.") == pytest.approx(0.5)
    assert seen.probability_of("June 1901") == pytest.approx(0.1) and seen.probability_of("1899") == 0
    assert seen.probability_of("Yes") == pytest.approx(0.05) and Mark("", 0.9).probability_of("May") == 0


def asked(marked: str, *overrides: str, yes: float = 0.9) -> Answer:
    return last(list(ask(QUESTION, pipeline(looking_for(marked), ScriptedReader(yes=yes), *overrides), 5)))


def test_an_answer_that_both_give_is_likelier_and_says_how_likely() -> None:
    same, other = asked("Clyde Foundry"), asked("1911", "reader.min_probability=0")
    assert same.support == other.support and same.probability is not None and other.probability is not None
    assert same.probability > 0.9 and other.probability < 0.5
    said = f"{100 * same.probability:.0f} % likely to be right (an estimate)"
    assert said in answer_text(same)
    assert backed(same) == {"level": "strong", "figure": round(same.probability, 3), "of": "probability"}


def test_an_unlikely_answer_is_kept_back_and_what_it_was_worth_is_said() -> None:
    answer = asked("1911", "reader.min_probability=0.99")
    assert answer.abstained and answer.probability is not None and not answer.citations
    assert "the best answer found was only" in answer_text(answer)
    assert not asked("1911", "reader.min_probability=0").abstained


def test_without_a_reading_model_the_support_decides() -> None:
    asking = replace(pipeline(looking_for("1911"), ScriptedReader(yes=0.3)), span_model=None)
    answer = last(list(ask(QUESTION, asking, 5)))
    assert answer.abstained and answer.probability is None and "support 30 %" in answer_text(answer)


class Proposing:
    """A rule that proposes what no reading model would mark."""

    name = "court_finding"

    def propose(self, question: str, evidence: Sequence[Hit], reader: object, usage: object) -> Proposal:
        hit = evidence[0]
        quote = Quote(hit, 0, len(hit.passage.text), holds=True, score=1.0)
        return Proposal("Yes", (quote,), (), (Claim(question, "Yes", hit, hit.passage.text),))


def test_of_what_a_rule_proposes_the_readers_yes_decides_alone() -> None:
    asking = replace(pipeline(looking_for("1911"), ScriptedReader(yes=0.6)), rules=(Proposing(),))
    answer = last(list(ask(QUESTION, asking, 5)))
    assert answer.answer.startswith("Yes") and (answer.support, answer.probability) == (0.6, None)


def test_a_judge_of_inference_has_its_own_scale() -> None:
    asking = replace(
        pipeline(looking_for("1911"), ScriptedReader()), judge=lambda premises, claims: [0.9] * len(claims)
    )
    answer = last(list(ask(QUESTION, asking, 5)))
    assert answer.support == 0.9 and answer.probability is None


def test_calibration_by_hand() -> None:
    """Bins .1 (one, wrong) and .9 (two, one right): |0 - .15| / 3 + |.5 - .95| 2 / 3."""
    found = calibration([False, True, False], [0.15, 0.95, 0.95])
    assert found["n"] == 3 and found["ece"] == pytest.approx(0.05 + 0.3) and found["auc"] == 0.75
    assert found["reliability"] == [
        {"n": 1, "probability": 0.15, "right": 0.0}, {"n": 2, "probability": 0.95, "right": 0.5}
    ]  # fmt: skip
    assert found["risk"][0] == {"threshold": 0.2, "shown": 0.6667, "wrong": 0.5}
    assert calibration([], []) == {}


@given(st.lists(st.tuples(st.booleans(), SHARE), min_size=1, max_size=30))
def test_laws_of_the_measures(pairs: list[tuple[bool, float]]) -> None:
    right, said = np.asarray([r for r, _ in pairs]), np.asarray([p for _, p in pairs])
    assert 0 <= expected_calibration_error(right, said) <= 1
    assert expected_calibration_error(right, right.astype(float)) == 0
    assert auc(right, said) + auc(~right, said) == pytest.approx(1)
    assert sum(row["n"] for row in calibration(right.tolist(), said.tolist())["reliability"]) == len(pairs)
