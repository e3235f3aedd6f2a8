"""rag/train/precedent_training.py and pooling.py: who is a negative, a made-up court that is learned, the folder."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eval.legal.precedents_trained import before_and_after, halves
from rag.errors import DataError, ModelError, UsageError
from rag.legal.court_cases import FIELDS, CourtCase, Field
from rag.legal.pooling import RECORD, WEIGHTS, Pooling, mean_pool, open_pooling
from rag.legal.precedents import Precedents
from rag.records import Passage
from rag.train import precedent_training as trainer
from rag.train.precedent_training import (
    DRAWN,
    HARDEST,
    NEGATIVES,
    Kind,
    PrecedentExample,
    TrainedPooling,
    draw_negatives,
    examples_of,
    kinds_of,
    train,
)
from tests.test_precedents import CommonWords, case, libraries

pytestmark = pytest.mark.usefixtures("one_thread")
MINILM = "all-minilm-l6-v2"
kinds = st.lists(st.sampled_from(NEGATIVES), min_size=1, unique=True)

# ---- negatives


@settings(max_examples=100, deadline=None)
@given(libraries(), st.sampled_from(FIELDS), st.sampled_from(FIELDS), kinds, st.randoms(use_true_random=False))
def test_no_negative_is_cited_or_later_or_a_version_of_the_case(
    cases: list[CourtCase], asked: Field, field: Field, some: list[Kind], draw: random.Random
) -> None:
    """Whatever BM25 and the model rank: here they rank all cases of the court, in any order."""
    examples = examples_of(cases, cases, asked, field)
    by_id = {one.case_id: one for one in cases}
    orders = {one.case_id: draw.sample(sorted(by_id), len(by_id)) for one in cases}
    drawn = draw_negatives(examples, some, {"bm25": orders, "mined": orders}, draw)
    for example, negatives in zip(examples, drawn, strict=True):
        query = example.query
        assert len(set(negatives)) == len(negatives)
        assert set(example.positives) <= set(query.cites)
        for case_id in negatives:
            other = by_id[case_id]
            assert case_id not in query.cites and case_id != query.case_id
            assert not set(other.application_numbers) & set(query.application_numbers)
            assert "" < other.date < query.date and other.passages(field)


def example(query: str, positives: Sequence[str], others: Sequence[str]) -> PrecedentExample:
    return PrecedentExample(case(query, "2000-01-01", facts=["x"]), tuple(positives), tuple(others))


def test_each_kind_draws_its_own() -> None:
    names = [f"c{i:03}" for i in range(100)]
    one, two = example("q1", ["p1"], [*names, "p2"]), example("q2", ["p2"], names)
    rankings: dict[Kind, dict[str, list[str]]] = {"bm25": {"q1": ["p1", *names]}, "mined": {"q1": names[::-1]}}

    def drawn(*some: Kind) -> tuple[set[str], set[str]]:
        both: tuple[set[str], set[str]] = set(), set()
        for seed in range(60):
            for seen, negatives in zip(
                both, draw_negatives([one, two], some, rankings, random.Random(seed)), strict=True
            ):
                assert len(negatives) <= DRAWN * len(some)
                seen.update(negatives)
        return both

    assert drawn("random") == ({*names, "p2"}, set(names))
    assert drawn("bm25") == (set(names[:HARDEST]), set())  # a positive is passed over, q2 has no ranking
    assert drawn("mined") == (set(names[-HARDEST:]), set())
    assert drawn("batch") == ({"p2"}, set())  # p1 is not among the others of q2
    assert drawn("batch", "mined")[0] == {"p2", *names[-HARDEST:]}


def test_what_is_no_example() -> None:
    cited = case("cited", "1990-01-01", law=["y"])
    other = case("other", "1991-01-01", facts=["x"], law=["y"])
    asks = {"facts": ["x"], "cites": ["cited"]}
    (found,) = examples_of([case("q", "2000-01-01", **asks)], [cited, other], "facts", "law")
    assert (found.positives, found.others) == (("cited",), ("other",))
    for query in (case("q", "", **asks), case("q", "1989-01-01", **asks), case("q", "2000-01-01", cites=["cited"])):
        assert examples_of([query], [cited, other], "facts", "law") == []
    assert examples_of([case("q", "2000-01-01", **asks)], [cited, other], "facts", "facts") == []  # cited has none
    assert examples_of([case("q", "2000-01-01", **asks)], [cited], "facts", "law") == []  # nothing else is there


def test_names_of_negatives() -> None:
    assert kinds_of("batch,random , mined,bm25") == NEGATIVES
    for wrong in ("", "random,", "hard"):
        with pytest.raises(UsageError, match=r"--negatives .*choose some of random, bm25, mined, batch"):
            kinds_of(wrong)


# ---- a court whose cases cite by a word that the story drowns

STORIES, DOCTRINES = 6, 6
VOCABULARY = [*(f"story{i}" for i in range(STORIES)), *(f"doctrine{i}" for i in range(DOCTRINES)), "procedure"]


def vectors(passages: Sequence[Passage]) -> NDArray[np.float32]:
    """A tiny encoder: counts of words, at unit length."""
    rows = np.asarray([[p.text.split().count(word) for word in VOCABULARY] for p in passages], dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-9)


def court(count: int, seed: int = 0) -> list[CourtCase]:
    draw = random.Random(seed)
    cases: list[CourtCase] = []
    for i in range(count):
        doctrine, story = draw.randrange(DOCTRINES), draw.randrange(STORIES)
        cites = [one.case_id for one in cases if one.case_id.endswith(f"d{doctrine}")]
        told = [f"story{story} " * 3 + f"doctrine{doctrine}", f"story{draw.randrange(STORIES)} " * 2, "procedure"]
        cases.append(case(f"c{i:03}d{doctrine}", f"{1900 + i}-01-01", [f"{i}/00"], draw.sample(told, 3), [], cites))
    return cases


def trained(cases: Sequence[CourtCase], queries: Sequence[CourtCase], *some: Kind, seed: int = 0) -> TrainedPooling:
    examples = examples_of(queries, cases, "facts", "facts")
    ranks = Precedents(cases, CommonWords(cases))
    by_bm25 = {one.query.case_id: list(ranks.rank(one.query, "facts", "facts", "bm25")) for one in examples}
    return train(examples, cases, vectors, "facts", "facts", some or NEGATIVES, by_bm25, 12, seed)


@pytest.mark.parametrize("some", [NEGATIVES, *((kind,) for kind in NEGATIVES)])
def test_the_court_is_learned(some: tuple[Kind, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """With each kind of negatives: a lower loss, and cases held out find more of what they cite."""
    monkeypatch.setattr(trainer, "RATE", 1e-2)  # in few steps
    cases = court(100)
    split = halves([one for one in cases if one.cites])
    made = trained(cases, split.trained_on, *some)
    assert len(made.losses) == 12 and made.losses[-1] < made.losses[0] / 2
    finder = Precedents(cases, CommonWords(cases), vectors, pooling=made.pooling)
    found = before_and_after(finder, split.held_out, "facts", "facts")
    before, after = (found["rows"][row]["metrics"]["AP"] for row in ("mean", "trained"))
    assert after > before + 0.08 and found["more_than_mean"]["AP"]["interval"][0] > 0
    assert found["more_than_mean"]["AP"]["difference"] == pytest.approx(after - before, abs=1e-4)


def test_the_same_seed_gives_the_same_weights() -> None:
    cases = court(40)
    one, same, other = (trained(cases, cases, seed=seed) for seed in (3, 3, 4))
    assert one.losses == same.losses != other.losses
    for name in ("projection", "attention"):
        assert np.array_equal(getattr(one.pooling, name), getattr(same.pooling, name))
        assert not np.array_equal(getattr(one.pooling, name), getattr(other.pooling, name))
    with pytest.raises(DataError, match=r"no case cites an earlier one"):
        train([], cases, vectors)


@settings(max_examples=50, deadline=None)
@given(libraries())
def test_what_is_held_out_is_later_and_shares_no_case(cases: list[CourtCase]) -> None:
    split = halves(cases)
    dated = [one.case_id for one in cases if one.date]
    assert len(split.held_out) == (len(dated) + 1) // 2
    for held in split.held_out:
        for one in split.trained_on:
            assert "" < one.date < held.date and not set(one.application_numbers) & set(held.application_numbers)
    by_number = {number for held in split.held_out for number in held.application_numbers}
    first = min((held.date for held in split.held_out), default="")
    told = {one.case_id for one in (*split.trained_on, *split.held_out)}
    for one in cases:  # nothing is left out without need
        assert one.case_id in told or not one.date or one.date >= first or by_number & set(one.application_numbers)


# ---- pooling, and its folder


def test_pooling_by_hand() -> None:
    rows = np.asarray([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    nothing_learned = Pooling(np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32))
    assert nothing_learned(rows) == pytest.approx(mean_pool(rows))
    turned = Pooling(np.asarray([[0, 2], [1, 0]], np.float32), np.asarray([3, 0], np.float32))
    a = np.exp([3, 1.8, 0])
    a /= a.sum()
    x, y = a @ rows
    assert turned(rows) == pytest.approx(np.asarray([2 * y, x]) / np.hypot(2 * y, x))
    assert not turned(np.zeros((0, 2), np.float32)).any()
    with pytest.raises(ModelError, match=r"for vectors of 2 dimensions, dense.model gives 3"):
        turned(np.zeros((1, 3), np.float32))


def saved(out: Path) -> Pooling:
    made = trained(court(30), court(30))
    trainer.save(made, MINILM, out, "library")
    return made.pooling


def test_the_folder_holds_what_was_trained(tmp_path: Path) -> None:
    pooling = saved(tmp_path / "out")
    again = open_pooling(tmp_path / "out", MINILM)
    assert np.array_equal(again.projection, pooling.projection)
    assert np.array_equal(again.attention, pooling.attention) and again.attention.any()
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    assert record["base"] == MINILM and record["negatives"] == list(NEGATIVES) and len(record["losses"]) == 12
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    with pytest.raises(UsageError, match=r"is there already"):
        saved(tmp_path / "out")


def test_damage_gives_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    saved(folder)
    with pytest.raises(ModelError, match=r"was trained on vectors of all-minilm-l6-v2, dense.model is another"):
        open_pooling(folder, "another")
    whole, record = (folder / WEIGHTS).read_bytes(), (folder / RECORD).read_bytes()
    wrong = Pooling(np.eye(3, dtype=np.float32), np.zeros(2, dtype=np.float32))
    endless = Pooling(np.full((2, 2), np.nan, dtype=np.float32), np.zeros(2, dtype=np.float32))
    for name, content in (
        (WEIGHTS, b"garbage"), (WEIGHTS, whole[:-9]), (WEIGHTS, wrong), (WEIGHTS, endless), (WEIGHTS, None),
        (RECORD, b"{"), (RECORD, b"[]"), (RECORD, b"{}"), (RECORD, b"\xff"), (RECORD, None),
    ):  # fmt: skip
        (folder / WEIGHTS).write_bytes(whole)
        (folder / RECORD).write_bytes(record)
        if isinstance(content, Pooling):
            content.save(folder)
        elif content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        with pytest.raises(ModelError, match=r"cannot be used: .* Name a folder of: glossator train") as caught:
            open_pooling(folder, MINILM)
        assert "\n" not in str(caught.value)
