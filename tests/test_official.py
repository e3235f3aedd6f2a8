"""metrics.py against the official definition (tests/official.py), on made cases and on values worked by hand."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.core.metrics import answer_scores, best_answer_scores, joint_scores, normalise_answer, set_scores
from tests import official

# Words that the definition treats in a way of its own, white space and signs that it does not see as such, and letters
# whose lower case is two characters.
PIECES = [
    "yes", "no", "noanswer", "Yes", "No one", "the", "The", "a", "an", "A.N.", "theatre", "Anna", "1911", "1,911",
    "O'Neill", "Zoë", "İ", "ẞ", "–", "—", "«a»", "the–a", "“the”", "_a_", "x", "y", "\u00a0", "\u2009", "\n",
    *string.punctuation,
]  # fmt: skip
ANSWERS = st.lists(st.sampled_from(PIECES), max_size=6).map(" ".join) | st.text(max_size=12)
FACTS = st.lists(st.tuples(st.sampled_from(["A", "a", "B &amp; C", ""]), st.integers(0, 2)), max_size=6)


def by_definition(prediction: str, gold: str) -> tuple[float, float, float, float]:
    scores = official.of_answer(prediction, gold)
    return scores["em"], scores["f1"], scores["prec"], scores["recall"]


@given(ANSWERS)
def test_an_answer_is_normalised_by_definition(text: str) -> None:
    assert normalise_answer(text) == official.normalised(text)


@given(ANSWERS, ANSWERS)
def test_an_answer_is_scored_by_definition(prediction: str, gold: str) -> None:
    assert answer_scores(prediction, gold) == pytest.approx(by_definition(prediction, gold), abs=1e-12)
    assert answer_scores(gold, gold)[0] == 1


@given(FACTS, FACTS, ANSWERS, ANSWERS)
def test_facts_and_both_together_are_scored_by_definition(
    ours: list[tuple[str, int]], theirs: list[tuple[str, int]], prediction: str, gold: str
) -> None:
    facts = set_scores(set(ours), set(theirs))
    expected = official.of_facts(ours, theirs)
    assert facts == pytest.approx((expected["em"], expected["f1"], expected["prec"], expected["recall"]), abs=1e-12)
    joint = joint_scores(answer_scores(prediction, gold), facts)
    records = [{"_id": "q", "answer": gold, "supporting_facts": theirs}]
    whole = official.score({"answer": {"q": prediction}, "sp": {"q": ours}}, records)
    assert joint == pytest.approx([whole[f"joint_{name}"] for name in official.MEASURES], abs=1e-12)


@pytest.mark.parametrize(
    ("prediction", "gold", "scores"),
    [
        ("The Eiffel Tower", "eiffel tower!", (1, 1, 1, 1)),
        ("the", "", (1, 0, 0, 0)),  # nothing is left of either: a match without a word in common
        ("", "Paris", (0, 0, 0, 0)),
        ("", "", (1, 0, 0, 0)),
        ("yes", "Yes.", (1, 1, 1, 1)),
        ("yes", "no", (0, 0, 0, 0)),
        ("yes it is", "yes", (0, 0, 0, 0)),  # one of three words, but yes must stand alone
        ("no", "no one", (0, 0, 0, 0)),
        ("noanswer", "no answer", (0, 0, 0, 0)),
        ("noanswer", "noanswer given", (0, 0, 0, 0)),
        ("yes it is", "yes it was", (0, 2 / 3, 2 / 3, 2 / 3)),
        ("to be or not to be", "to be to see", (0, 3 / 5, 1 / 2, 3 / 4)),  # "to" twice and "be" once, of 6 and of 4
        ("1,911", "1911", (1, 1, 1, 1)),
        ("U.S.A", "USA", (1, 1, 1, 1)),
        ("A.N. Other", "Other", (1, 1, 1, 1)),  # punctuation goes first, so A.N. becomes the article
        ("Zoë", "zoe", (0, 0, 0, 0)),  # no accent is folded
        ("ZOË", "zoë", (1, 1, 1, 1)),
        ("1990–2000", "1990-2000", (0, 0, 0, 0)),  # a dash is not the hyphen, and no ASCII sign: it stays
        ("x–the–y", "x– –y", (1, 1, 1, 1)),
        ("theatre Anna", "atre nna", (0, 0, 0, 0)),  # articles are whole words
        ("over\u00a0the\u2009moon", "over moon", (1, 1, 1, 1)),
    ],
)
def test_answers_by_hand(prediction: str, gold: str, scores: tuple[float, ...]) -> None:
    assert answer_scores(prediction, gold) == pytest.approx(scores)
    assert by_definition(prediction, gold) == pytest.approx(scores)


@pytest.mark.parametrize(
    ("ours", "theirs", "scores"),
    [
        ("ab", "ab", (1, 1, 1, 1)),
        ("abc", "ab", (0, 4 / 5, 2 / 3, 1)),
        ("a", "abcd", (0, 2 / 5, 1, 1 / 4)),
        ("xy", "ab", (0, 0, 0, 0)),
        ("", "ab", (0, 0, 0, 0)),
        ("ab", "", (0, 0, 0, 0)),
        ("", "", (1, 0, 0, 0)),  # nothing false and nothing missed
    ],
)
def test_facts_by_hand(ours: str, theirs: str, scores: tuple[float, ...]) -> None:
    assert set_scores(set(ours), set(theirs)) == pytest.approx(scores)


def test_both_together_by_hand() -> None:
    half_answer, facts = answer_scores("Ada Lind of Oslo", "Ada Lind"), set_scores({"a", "b", "c"}, {"a", "x"})
    assert (half_answer[2:], facts[2:]) == ((1 / 2, 1), (1 / 3, 1 / 2))
    assert joint_scores(half_answer, facts) == pytest.approx((0, 2 * (1 / 6) * (1 / 2) / (2 / 3), 1 / 6, 1 / 2))
    assert joint_scores((1, 1, 1, 1), (0, 0.5, 1, 1 / 3)) == pytest.approx((0, 0.5, 1, 1 / 3))
    assert joint_scores((1, 1, 1, 1), (1, 1, 1, 1)) == (1, 1, 1, 1)


def test_the_whole_by_hand() -> None:
    gold = [
        {"_id": "1", "answer": "Paris", "supporting_facts": [["A", 0], ["B", 1]]},
        {"_id": "2", "answer": "no", "supporting_facts": [["A", 0]]},
        {"_id": "3", "answer": "nobody knows", "supporting_facts": [["A", 0]]},
        {"_id": "4", "answer": "nobody", "supporting_facts": [["A", 0]]},
    ]
    predictions = {
        "answer": {"1": "Paris", "2": "no way", "3": "nobody"},  # the fourth is left out
        "sp": {"1": [["B", 1], ["A", 0], ["A", 0]], "2": [["A", 0]], "3": [["A", 0], ["B", 0]], "4": []},
    }
    assert official.score(predictions, gold) == pytest.approx(
        {
            "em": 1 / 4, "f1": (1 + 2 / 3) / 4, "prec": 2 / 4, "recall": 1.5 / 4,
            "sp_em": 2 / 4, "sp_f1": (2 + 2 / 3) / 4, "sp_prec": 2.5 / 4, "sp_recall": 3 / 4,
            "joint_em": 1 / 4, "joint_f1": (1 + 1 / 2) / 4, "joint_prec": 1.5 / 4, "joint_recall": 1.5 / 4,
        }
    )  # fmt: skip


def test_of_several_gold_answers_the_best_counts() -> None:
    assert best_answer_scores("the town of Ys", ["Ys", "Ker-Ys", "Town of Ys"]) == (1, 1, 1, 1)
    assert best_answer_scores("Ys town", ["Ker-Ys", "Ys town hall", "Ys"]) == pytest.approx((0, 4 / 5, 1, 2 / 3))
    assert best_answer_scores("yes", ["no"]) == (0, 0, 0, 0)


@given(ANSWERS, st.lists(ANSWERS, min_size=1, max_size=3), ANSWERS)
def test_another_gold_answer_never_costs(prediction: str, golds: list[str], more: str) -> None:
    few, all_of_them = best_answer_scores(prediction, golds), best_answer_scores(prediction, [*golds, more])
    assert all_of_them[0] >= few[0] and all_of_them[1] >= few[1]
    assert all_of_them[1] == pytest.approx(max(answer_scores(prediction, gold)[1] for gold in [*golds, more]))
