"""rag/train/reward.py: trajectories read, the reward's truth table, and the judge's place in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import exp
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ModelError
from rag.read.entailment import hypothesis, open_judge
from rag.read.evinote.trajectory import Trajectory, parse_trajectory
from rag.train.reward import evidence_quality, last_note, reward
from tests.parts import assert_linear

GOLD = ["Oslo", "the city of Oslo"]


def trajectory(answer: str | None, *notes: str) -> Trajectory:
    return Trajectory((), (), notes, answer)


# ---- reading a trajectory

WHOLE = """I must find her birthplace. <search> Ada Lind born </search>

<information>Doc 1(Title: Ada Lind) She was born in Oslo. <answer>Bergen</answer></information>

<summary>*Oslo*, -perhaps-</summary> Once more. <search>Oslo</search><information></information>
<summary>She was born in *Oslo*.</summary><answer> Oslo </answer>"""


def test_a_trajectory_has_its_parts_in_order() -> None:
    read = parse_trajectory(WHOLE)
    assert read.searches == ("Ada Lind born", "Oslo")
    assert read.informations == ("Doc 1(Title: Ada Lind) She was born in Oslo. <answer>Bergen</answer>",)
    assert read.notes == ("*Oslo*, -perhaps-", "She was born in *Oslo*.")
    assert read.answer == "Oslo"
    assert last_note(read) == "She was born in *Oslo*."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", None),
        ("Oslo", None),
        ("<answer>Oslo", None),
        ("Oslo</answer>", None),
        ("<answer></answer>", None),
        ("<answer> </answer><answer>...</answer>", None),
        ("<answer></answer> echoed <answer>Oslo</answer>", "Oslo"),
        ("<answer>Oslo</answer><answer>Bergen</answer>", "Oslo"),
        ("<answer>Oslo</answer><answer>Bergen</answer><answer>bergen.</answer>", "Bergen"),
        ("<answer>so <answer>Oslo</answer>", "Oslo"),
        ("<answer>Oslo<search>x</search></answer>", None),
        ("<summary>it is <answer>Oslo</answer></summary>", "Oslo"),
        ("<information><answer>Oslo</answer>", "Oslo"),  # of the model's own making: no environment leaves it open
        ("</answer></answer><answer>Oslo</answer>", "Oslo"),
        ("<answer>two\nlines</answer>", "two\nlines"),
        ("<answer>Oslo</answer>" * 500, "Oslo"),
        ("<ANSWER>Oslo</ANSWER>", None),
    ],
)
def test_the_answer_is_the_one_meant(text: str, answer: str | None) -> None:
    assert parse_trajectory(text).answer == answer


@given(st.lists(st.sampled_from([f"<{s}{n}>" for n in ("search", "information", "answer") for s in ("", "/")] + ["a"])))
def test_no_part_holds_a_tag_but_information(pieces: list[str]) -> None:
    read = parse_trajectory("".join(pieces))
    assert not any("<" in part for part in (*read.searches, read.answer or ""))
    assert all("</information>" not in part for part in read.informations)


def test_loops_are_read_in_linear_time() -> None:
    for piece in ("<information>a", "<answer>a", "<answer>a</answer>", "<search></information>"):
        assert_linear(parse_trajectory, piece * 2_000, piece * 16_000)


# ---- the truth table

MARKED, UNBALANCED, UNMARKED = "She was born in *Oslo*.", "She was born in *Oslo.", "She was born in Oslo."


@pytest.mark.parametrize("quality", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    ("given_answer", "notes", "answer", "form"),
    [
        (None, [MARKED], 0, 0),
        ("Oslo", [], 0, 0),
        ("Oslo", [MARKED], 1, 0),
        ("Oslo", [UNMARKED], 1, 0),
        ("oslo.", [MARKED], 1, 0),  # HotpotQA's normalisation
        ("City of Oslo", [UNMARKED], 1, 0),  # an alias
        ("Bergen", [MARKED], 0, 0.1),
        ("Bergen", ["-Oslo-, or so"], 0, 0.1),
        ("Bergen", [UNBALANCED], 0, 0),
        ("Bergen", ["*Oslo -or* Bergen-"], 0, 0),
        ("Bergen", [UNMARKED], 0, 0),
        ("Bergen", [MARKED, UNMARKED], 0, 0),  # the last note only
        ("Bergen", [UNBALANCED, MARKED], 0, 0.1),
        ("Oslo or Bergen", [UNMARKED], 0, 0),
    ],
)
def test_truth_table(given_answer: str | None, notes: list[str], answer: float, form: float, quality: float) -> None:
    result = reward(trajectory(given_answer, *notes), GOLD, quality)
    assert (result.answer, result.format) == (answer, form)
    assert result.evidence_quality == (quality if notes else 0)
    assert result.total == pytest.approx(answer + form + result.evidence_quality)


@pytest.mark.parametrize(
    ("given_answer", "note", "answer", "form"),
    [
        ("Oslo", UNMARKED, 1, 0),
        ("Oslo Norway", UNMARKED, 2 / 3, 0),
        ("Oslo Norway", MARKED, 2 / 3, 0),
        ("Bergen", MARKED, 0, 0.1),
        ("Bergen", UNMARKED, 0, 0),
        (" ".join(["so"] * 39 + ["Oslo"]), MARKED, 2 / 41, 0.1 - 2 / 41),  # marks give a tenth, an F1 below takes none
    ],
)
def test_the_variant_by_f1(given_answer: str, note: str, answer: float, form: float) -> None:
    result = reward(trajectory(given_answer, note), ["Oslo"], 0.5, by_f1=True)
    assert (result.answer, result.format) == (pytest.approx(answer), pytest.approx(form))
    assert result.total == pytest.approx(answer + form + 0.5)


@given(st.text("Osl *-.", max_size=9) | st.none(), st.lists(st.text("Osl *-.", max_size=9)), st.floats(0, 1))
def test_the_reward_is_bounded_and_its_parts_add_up(answer: str | None, notes: list[str], quality: float) -> None:
    for by_f1 in (False, True):
        result = reward(trajectory(answer, *notes), GOLD, quality, by_f1)
        assert 0 <= result.total <= 2
        assert result.total == pytest.approx(result.answer + result.format + result.evidence_quality)


# ---- evidence quality

QUESTION = "Where was Ada Lind born"


def test_the_hypothesis_is_in_the_papers_words() -> None:
    wanted = 'Oslo is the answer to the question:"Where was Ada Lind born?"'
    assert {hypothesis(QUESTION + end, "Oslo") for end in ("", "?", " ?", "? ", "??")} == {wanted}


class Stub:
    """A judge with a fixed logit for each word of the premise that stands in the hypothesis."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, premises: Sequence[str], hypotheses: Sequence[str]) -> list[float]:
        self.asked += zip(premises, hypotheses, strict=True)
        logits = [
            -1 + 2 * len(set(premise.split()) & set(claim.split()))
            for premise, claim in zip(premises, hypotheses, strict=True)
        ]
        return [1 / (1 + exp(-logit)) for logit in logits]


def test_evidence_quality_takes_the_best_alias_and_asks_once() -> None:
    judge = Stub()
    first, second, nothing = evidence_quality(QUESTION, GOLD, ["Oslo", "city of Oslo", " "], judge)
    assert 0 < first < second < 1 and nothing == 0
    assert [premise for premise, _ in judge.asked] == ["Oslo"] * 2 + ["city of Oslo"] * 2
    assert {claim for _, claim in judge.asked} == {hypothesis(QUESTION, gold) for gold in GOLD}
    assert evidence_quality(QUESTION, GOLD, [], judge) == [] and len(judge.asked) == 4


def test_more_entailment_is_more_reward() -> None:
    judge = Stub()
    notes = ["nothing", "Oslo", "Oslo is", "Oslo is the", "Oslo is the answer"]
    qualities = evidence_quality(QUESTION, ["Oslo"], notes, judge)
    assert qualities == sorted(set(qualities))
    totals = [reward(trajectory("Bergen", n), GOLD, q).total for n, q in zip(notes, qualities, strict=True)]
    assert totals == qualities


# ---- a judge by transformers

LABELS = ["neutral", "ENTAILMENT", "contradiction"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "oslo", "is", "the", "answer", "to", "question", "a", "b"]


def small_judge(folder: Path, labels: Sequence[str] = LABELS, positions: int = 64) -> Path:
    """A BERT with random weights that tells pairs apart."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=positions, id2label=dict(enumerate(labels)), initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def test_which_output_means_entailment_is_read_from_the_config(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = small_judge(tmp_path / "judge")
    premises, hypotheses = ["a b oslo", "a", "b b b"], ["oslo is the answer", "a", "to the question"]
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder).eval(), None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        by_hand = [
            float(model(**tokenizer(*pair, return_tensors="pt")).logits.softmax(1)[0, 1])
            for pair in zip(premises, hypotheses, strict=True)
        ]
    assert open_judge(folder, batch_size=2)(premises, hypotheses) == pytest.approx(by_hand, abs=1e-5)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "Entailment", "1": "neutral", "2": "contradiction"}
    config["label2id"] = {label: int(i) for i, label in config["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    other = open_judge(folder)(premises, hypotheses)
    assert all(abs(a - b) > 1e-4 for a, b in zip(other, by_hand, strict=True))


def test_long_notes_are_cut_and_not_blanked(tmp_path: Path) -> None:
    judge = open_judge(small_judge(tmp_path / "judge"))
    claim = "oslo is the answer"  # 4 tokens of 64, and 3 are the model's own
    kept, cut, empty = judge([" ".join(["oslo"] * n) for n in (57, 900, 0)], [claim] * 3)
    assert kept == pytest.approx(cut, abs=1e-5) != pytest.approx(empty, abs=1e-5)
    start, end = judge(["a " * 57 + "oslo " * 99, "oslo " * 99 + "a " * 57], [claim] * 2)
    assert abs(start - end) > 1e-5  # the beginning is kept
    both = judge(["a " * 99] * 2, ["oslo " * 99, "b " * 99])
    assert all(0 < value < 1 for value in both) and abs(both[0] - both[1]) > 1e-5
    assert judge([], []) == []
    with pytest.raises(ValueError, match="1 premises, but 2 hypotheses"):
        judge(["a"], ["a", "b"])


def test_what_is_no_judge_is_said(tmp_path: Path) -> None:
    for name, labels in (("two", ["not_entailment", "other"]), ("plain", ["LABEL_0", "LABEL_1"])):
        with pytest.raises(ModelError, match=f"no output called entailment, but {labels[0]}"):
            open_judge(small_judge(tmp_path / name, labels))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="empty cannot be loaded"):
        open_judge(tmp_path / "empty")
