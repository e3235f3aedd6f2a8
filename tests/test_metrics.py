"""eval/core/metrics.py: whether an answer contains a gold string. The official measures are in test_official.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.core.metrics import contains_gold, normalise


@pytest.mark.parametrize(
    ("given_answer", "golds", "right"),
    [
        ("162 [1]", ("162",), True),
        ("1620", ("162",), False),
        ("The $12,000 [5]", ("$12,000",), True),
        ("AD 2018–23–51", ("2018-23-51",), True),
        ("SciBERT", ("scibert",), True),
        ("not SQuALITY", ("SQuALITY and PubMed",), False),
        ("anything", ("",), False),
    ],
)
def test_an_answer_contains_a_gold_string_as_whole_words(
    given_answer: str, golds: tuple[str, ...], right: bool
) -> None:
    assert contains_gold(given_answer, golds) is right


@given(st.text())
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
