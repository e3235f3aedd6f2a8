"""eval/attribution and its report: known games through scripted readers, budgets, what is kept, the command."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eval.attribution.attribution_report import report, result_json, text, write
from eval.attribution.coalition_readings import LOGIT, Readings, coalitions, read_coalitions
from eval.attribution.context_cite import _package, installed
from eval.attribution.faithfulness_trials import budgets, evaluate, measured
from eval.attribution.masked_reader import MaskedReader
from eval.attribution.methods import OURS, PACKAGE, RANDOM, RETRIEVER, SURROGATE, lasso, scored_by_all
from eval.core.cache import RecordingReader, Replies
from eval.core.compare import compare
from eval.core.trials import TrialRows
from eval.multihop.hotpotqa import Pool
from eval.multihop.questions import read_questions
from eval.retrieval.corpus import Corpus
from rag.attribute.players import documents
from rag.attribute.tree_reader import TreeReader, coalition_reader
from rag.errors import ReaderError, UsageError
from rag.llm.chat import ChatModel, Messages, Usage, first_line
from rag.llm.open import open_reader
from rag.read.prompts import answer_messages
from rag.records import Hit
from rag.settings import ReaderSettings, load_settings
from tests.benchmarks import answering, hotpot, written
from tests.conftest import Run
from tests.parts import passage
from tests.test_answer import ScriptedReader, pipeline
from tests.test_torch_game import save_reader
from ui.cli.benchmarks.eval_attribution import eval_attribution
from ui.cli.options import ReaderStyle

SETTINGS = load_settings(["reader.model=http://127.0.0.1:9/v1#m"])
TEXTS = ["One is old.", "Two is here.", "Three is a park.", "Four is far.", "Five is there."]
HITS = [Hit(i, 1 / i, passage(0, words, f"d{i}", title=f"T{i}")) for i, words in enumerate(TEXTS, start=1)]
Yes = Callable[[bool, bool], bool]
CASES: dict[str, Yes] = {
    "redundancy": lambda two, five: two or five,
    "complementarity": lambda two, five: two and five,
    "synergy": lambda two, five: two != five,
}


class Reader(ScriptedReader):
    """Says "yes" or "no" by whether passages two and five are there. log p is -1 of what it says, else -5."""

    def __init__(self, says: Yes, failing_at: int = -1):
        super().__init__()
        self.says, self.failing_at = says, failing_at
        self.fresh = True

    def going_on(self) -> Reader:
        other = Reader(self.says, self.failing_at)
        other.asked, other.fresh = self.asked, False
        return other

    def _said(self, messages: Messages) -> str:
        words = messages[-1][1]
        return "yes" if self.says("Two is here" in words, "Five is there" in words) else "no"

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        if len(self.asked) == self.failing_at:
            raise ReaderError("it fell asleep")
        self.asked.append(("stream" if self.fresh else "going on", messages, max_tokens))
        if usage:
            usage.add({"input_tokens": 100, "output_tokens": 5})
        yield self._said(messages)

    def log_probability(self, messages: Messages, answer: str, usage: Usage | None = None) -> float:
        self.asked.append(("log", messages, None))
        return -1.0 if self._said(messages) == answer else -5.0


def read(says: Yes, cache: Path, reader: Reader | None = None) -> Readings:
    reader = reader or Reader(says)
    recording = RecordingReader(reader, Replies(cache, SETTINGS.reader)).going_on()  # type: ignore[arg-type]
    shown = "yes" if says(True, True) else "no"
    readings = read_coalitions("Is it?", HITS, shown, recording, SETTINGS)
    recording.keep()
    return readings


# ---- two passages that say the same, two that are both needed, two that undo each other


@pytest.mark.parametrize(
    ("case", "value", "expected"),
    [  # of the second and of the fifth passage; by likelihood all is four times as much, -1 against -5
        ("redundancy", "Shapley", 0.5),
        ("redundancy", "Banzhaf 0.5", 0.5),
        ("redundancy", "Banzhaf 0.1", 0.9),  # what it does when little else is there
        ("redundancy", "leave-one-out", 0),  # the other is still there
        ("complementarity", "Shapley", 0.5),
        ("complementarity", "Banzhaf 0.5", 0.5),
        ("complementarity", "Banzhaf 0.1", 0.1),
        ("complementarity", "leave-one-out", 1),
        # both together say what nobody says, "no", and one alone "yes": what one brings the other takes away
        ("synergy", "Shapley", 0),
        ("synergy", "Banzhaf 0.5", 0),
        ("synergy", "Banzhaf 0.1", 0.1 - 0.9),
        ("synergy", "leave-one-out", 1),
    ],
)
def test_what_each_method_gives(case: str, value: str, expected: float, tmp_path: Path) -> None:
    rows = scored_by_all(read(CASES[case], tmp_path), 100, 0, [6, 16])
    for unit, name in ((1, f"{value}, votes"), (4, f"{value}, likelihood")):
        assert rows[name].scores == pytest.approx([0, unit * expected, 0, 0, unit * expected])


@pytest.mark.parametrize(("case", "weight"), [("redundancy", 0.5), ("complementarity", 0.5), ("synergy", 0.0)])
def test_what_the_surrogate_gives(case: str, weight: float, tmp_path: Path) -> None:
    """Half of the change where one matters if the other is so, less the lasso's penalty; nothing of an exclusive or."""
    readings = read(CASES[case], tmp_path)
    change = abs(readings.value_of(LOGIT, frozenset()) - readings.value_of(LOGIT, frozenset({1})))
    if case == "complementarity":
        change = readings.value_of(LOGIT, frozenset(range(5))) - readings.value_of(LOGIT, frozenset())
    shrunk = weight * change - 2 * 0.01 if weight else 0.0  # the columns' deviation is 1/2
    assert scored_by_all(readings, 10, 0, [])[SURROGATE].scores == pytest.approx([0, shrunk, 0, 0, shrunk], abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_permutations_share_out_all_at_any_budget(case: str, tmp_path: Path) -> None:
    readings = read(CASES[case], tmp_path)
    rows = scored_by_all(readings, 100, 7, [6, 16])
    for suffix in ("", ", 6 calls", ", 16 calls"):
        for value in ("votes", "likelihood"):
            scored = rows[f"permutation Shapley, {value}{suffix}"]
            changed = readings.value_of(value, frozenset(range(5))) - readings.value_of(value, frozenset())
            assert math.fsum(scored.scores) == pytest.approx(changed)
            assert [scored.scores[i] for i in (0, 2, 3)] == pytest.approx([0, 0, 0])


def test_the_measures_of_a_redundant_pair(tmp_path: Path) -> None:
    readings = read(CASES["redundancy"], tmp_path)
    rows = scored_by_all(readings, 100, 0, [6])

    def of(name: str) -> dict[str, float | None]:
        return measured(readings, rows[name], rows[OURS[1]], frozenset({1, 4}), 0, ["yes"])

    ours, left_out = of(OURS[0]), of("leave-one-out, likelihood")
    assert (ours["R@2"], ours["drop@1"], ours["drop@3"], ours["gap"], ours["kendall"]) == (1, 0, 4, 0, 1)
    assert ours["recall_area"] == pytest.approx((0.5 + 1 + 1 + 1 + 1) / 5)
    assert (ours["em@2"], ours["f1@3"], of(RETRIEVER)["em@2"], of(RETRIEVER)["f1@2"]) == (1, 1, 1, 1)
    # heights while the two go first: 1 1 0 0 0 0
    assert ours["deletion_auc"] == pytest.approx((1 / 2 + 1) / 5) and (ours["deletion_gain"] or 0) > 0
    assert left_out["R@2"] == left_out["R@2_right"] == pytest.approx(2 / 5), "all scores tie: a lottery"
    assert (left_out["LDS"], left_out["kendall"], left_out["deletion_gain"], left_out["gap"]) == (0, 0, 0, 4)
    assert ours["LDS_unseen"] is None and left_out["LDS_unseen"] == 0
    assert of(RETRIEVER)["gap"] is None and of(RETRIEVER)["R@2"] == 0.5 and of(RANDOM)["calls"] == 0


# ---- calls


def test_each_row_asks_what_it_may(tmp_path: Path) -> None:
    assert (budgets(5), budgets(2), budgets(8), budgets(1)) == ([6, 16], [3], [9, 16], [])
    readings = read(CASES["redundancy"], tmp_path)
    for seed in range(5):
        rows = scored_by_all(readings, 100, seed, [6, 16])
        assert all(len(row.asked) <= row.budget for row in rows.values())
        at_six = [name for name, row in rows.items() if row.budget == 6 and PACKAGE not in name]
        assert len(at_six) == 9 and all(len(rows[name].asked) == 6 for name in at_six)
        assert {len(rows[name].asked) for name in rows if name.startswith(("Shapley", SURROGATE + ", 16"))} == {32, 16}
        assert 10 < len(rows["permutation Shapley, votes, 16 calls"].asked) <= 16
    assert scored_by_all(readings, 100, 4, [6, 16]) == rows, "a seed reproduces"
    assert next(iter(rows)) == OURS[0]


def test_whole_evidence_counts_as_the_answer_shown() -> None:
    said = {c: "a" if len(c) == 2 else "b" for c in coalitions(2)}
    readings = Readings("c", 2, said, dict.fromkeys(said, -1.0))
    assert not readings.reproduced and readings.vote(frozenset({0, 1})) == "c"
    assert scored_by_all(readings, 10, 0, [])[OURS[0]].scores == (0.5, 0.5)


@hypothesis_settings(deadline=None, max_examples=25)
@given(st.integers(0, 999), st.integers(4, 20), st.sampled_from([0.01, 0.3, 2.0]))
def test_the_lasso_is_that_of_scikit_learn(seed: int, rows: int, penalty: float) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    generator = np.random.default_rng(seed)
    design = (generator.random((rows, 4)) < 0.5).astype(float)
    target = generator.normal(0, 3, rows) + 4 * design[:, 0]
    spread = design.std(axis=0)
    scaled = (design - design.mean(axis=0)) / np.where(spread, spread, 1)
    reference = linear_model.Lasso(alpha=penalty, tol=1e-12, max_iter=100_000).fit(scaled, target)
    # where columns are equal there is no one solution, so what they predict is compared
    ours, theirs = lasso(design, target, penalty), reference.coef_ / np.where(spread, spread, 1)
    assert design @ ours - (design @ ours).mean() == pytest.approx(design @ theirs - (design @ theirs).mean(), abs=1e-4)


# ---- what is kept


def test_readings_come_in_prefix_order_and_are_kept_as_a_chain(tmp_path: Path) -> None:
    reader = Reader(CASES["redundancy"])
    first = read(CASES["redundancy"], tmp_path, reader)
    assert [what for what, _, _ in reader.asked[:4]] == ["stream", "log", "going on", "log"], "the first is read anew"
    prompts = [messages[-1][1] for what, messages, _ in reader.asked if what != "log"]
    assert len(prompts) == 32 and len(reader.asked) == 64
    present = ["".join(str(i) for i in range(1, 6) if f"[{i}]" in prompt) for prompt in prompts]
    assert present == sorted(present) and set(map(len, present)) == {0, 1, 2, 3, 4, 5}
    silent = Reader(CASES["synergy"])
    assert read(CASES["redundancy"], tmp_path, silent) == first and silent.asked == []
    # the same prompt alone, or in another place of a chain, is another reply
    replies = Replies(tmp_path, SETTINGS.reader)
    alone = RecordingReader(silent, replies)  # type: ignore[arg-type]
    last = reader.asked[-2][1]
    assert "".join(alone.stream(last, 20)) and len(silent.asked) == 1
    assert "".join(alone.going_on().stream(last, 20)) and len(silent.asked) == 2


def test_where_a_chain_ends_the_prompt_before_is_read_again(tmp_path: Path) -> None:
    replies, messages = Replies(tmp_path, SETTINGS.reader), [[("user", words)] for words in ("a", "a b", "a b c")]
    first = RecordingReader(Reader(CASES["redundancy"]), replies).going_on()  # type: ignore[arg-type]
    for some in messages[:2]:
        list(first.stream(some, 20))
    first.keep()
    reader = Reader(CASES["redundancy"])
    second = RecordingReader(reader, replies).going_on()  # type: ignore[arg-type]
    for some in messages:
        list(second.stream(some, 20))
    assert [(what, some) for what, some, _ in reader.asked] == [("stream", messages[1]), ("going on", messages[2])]
    assert (second.calls, first.calls) == (3, 2)


def test_a_log_probability_is_kept_by_the_answer_too(tmp_path: Path) -> None:
    reader, replies = Reader(CASES["redundancy"]), Replies(tmp_path, SETTINGS.reader)
    for _ in range(2):
        recording = RecordingReader(reader, replies)  # type: ignore[arg-type]
        assert recording.log_probability([("user", "Two is here")], "yes") == -1
        assert recording.log_probability([("user", "Two is here")], "no") == -5
        recording.keep()
    assert len(reader.asked) == 2


# ---- the whole


def evaluated(reader: Reader, cache: Path, folder: Path) -> list[object]:
    """Six questions, all over the five passages, of which the second and the fifth are gold."""
    questions = read_questions(written(folder / "hp.json", hotpot())).questions
    gold = {question.id: frozenset({"d2#0", "d5#0"}) for question in questions}
    pool = Pool(Corpus.__new__(Corpus), None, gold)
    rows = TrialRows([question.question for question in questions], {"scripted": lambda place, query: list(HITS)})
    return evaluate(  # type: ignore[return-value]
        questions, pool, pipeline(reader), rows, 5, "direct", Replies(cache, SETTINGS.reader), 20, 0
    )


def test_a_run_says_which_method_finds_the_gold_passages(tmp_path: Path) -> None:
    outcomes = evaluated(Reader(CASES["redundancy"]), tmp_path / "cache", tmp_path)
    asked = {"data": "hp.json", "of": 6, "retriever": "bm25", "reader": "direct", "k": 5, "permutations": 20, "seed": 0}
    result = result_json(asked, outcomes, SETTINGS)  # type: ignore[arg-type]
    assert (result["n"], result["attributed"], result["failed"], result["abstained"]) == (6, 6, 0, 0)
    assert result["reproduced"] == 6 and result["metrics"]["R@2"] == 1 == result["intervals"]["R@2"][0]
    methods = result["methods"]
    assert methods["leave-one-out, votes"]["metrics"]["R@2"] == pytest.approx(0.4)
    assert methods[RETRIEVER]["metrics"]["R@2"] == 0.5
    d = result["differences"][OURS[0]]["leave-one-out, votes"]["R@2"]
    assert d["difference"] == 0.6 == d["interval"][0] and d["p"] < 0.01
    assert set(result["differences"][OURS[1]]) == set(methods) - {OURS[1]}
    told = text(result)
    assert "### At most 32 calls" in told and "### At most 6 calls" in told and "### Controls, no call" in told
    assert all(line.count("|") == 15 for line in told.splitlines() if line.startswith("|"))
    write(tmp_path / "out", "hp.json, attribution", result, outcomes)  # type: ignore[arg-type]
    lines = [json.loads(each) for each in (tmp_path / "out" / "per_question.jsonl").read_text().splitlines()]
    assert lines[0]["methods"][OURS[0]]["scores"] == [0, 0.5, 0, 0, 0.5] and len(lines[0]["readings"]) == 32
    assert lines[0]["readings"][0] == {"present": [], "said": "no", "log_probability": -5}
    assert compare(tmp_path / "out", tmp_path / "out")["metrics"]["R@2"]["difference"] == 0
    assert (tmp_path / "out" / "report.md").read_text() == report("hp.json, attribution", result)
    assert "| leave-one-out, votes | +0.600 [+0.60, +0.60]" in report("x", result)


def test_a_killed_run_goes_on_and_a_failure_is_an_outcome(tmp_path: Path) -> None:
    tired = Reader(CASES["redundancy"], failing_at=100)  # in the second question: each takes 65
    outcomes = evaluated(tired, tmp_path / "cache", tmp_path)
    result = result_json({"k": 5}, outcomes, SETTINGS)  # type: ignore[arg-type]
    assert (result["attributed"], result["failed"], len(tired.asked)) == (1, 5, 100)
    awake = Reader(CASES["redundancy"])
    again = evaluated(awake, tmp_path / "cache", tmp_path)
    assert len(awake.asked) == 6 * 65 - 65 - 1, "the first question is kept, and the second's answer"
    assert result_json({"k": 5}, again, SETTINGS)["attributed"] == 6  # type: ignore[arg-type]
    silent = Reader(CASES["redundancy"])
    evaluated(silent, tmp_path / "cache", tmp_path)
    assert silent.asked == []


def test_a_reader_that_is_not_there_ends_the_run_and_abstentions_are_no_failure(tmp_path: Path) -> None:
    with pytest.raises(ReaderError, match="every question failed"):
        evaluated(Reader(CASES["redundancy"], failing_at=0), tmp_path / "a", tmp_path)

    class Mute(Reader):
        def _said(self, messages: Messages) -> str:
            return ""

    outcomes = evaluated(Mute(CASES["redundancy"]), tmp_path / "b", tmp_path)
    result = result_json({"k": 5}, outcomes, SETTINGS)  # type: ignore[arg-type]
    assert (result["abstained"], result["failed"], result["methods"], result["metrics"]) == (6, 0, {}, {})
    assert "0 attributed (6 abstained" in text(result)


@pytest.mark.slow
def test_the_command(tmp_path: Path, glossator: Run) -> None:
    """An endpoint that says yes to everything: no document changes its answer, and the second run asks it nothing."""
    data = written(tmp_path / "hp.json.gz", hotpot())
    command = [
        "eval", "attribution", "--data", data, "--retriever", "bm25", "--limit", 2, "--cache", tmp_path / "cache",
        "--out", tmp_path / "out", "--json",
    ]  # fmt: skip
    with answering({"Garden": ("yes", 0.9)}) as endpoint:
        done = glossator("--set", f"reader.model={endpoint.address}", *command)
        assert done.returncode == 0, done.stderr
        asked = len(endpoint.asked)
        again = glossator("--set", f"reader.model={endpoint.address}", *command)
        endpoint.replies["Garden"] = ("no", 0.9)
        silent = glossator("--set", f"reader.model={endpoint.address}", *command[:-4], tmp_path / "other", "--json")
    result = json.loads(done.stdout)
    assert set(result) >= {"task", "n", "metrics", "intervals", "latency_ms", "settings", "models", "seconds"}
    assert (result["task"], result["n"], result["attributed"], result["k"]) == ("attribution", 2, 2, 5)
    assert not {"LDS", "kendall", "deletion_auc"} & set(result["metrics"]), "there is nothing to rank"
    assert result["metrics"]["R@2"] == pytest.approx(2 / 3), "three passages that tie, two of them gold"
    assert (result["metrics"]["gap"], result["metrics"]["drop@1"]) == (0, 0)
    lent = 2  # whether it lends a tokenizer, in either way, to count an answer's tokens
    assert asked == 2 * (1 + 2 * 2**3) + lent and json.loads(again.stdout)["methods"] == result["methods"]
    assert (tmp_path / "out" / "report.md").is_file() and (tmp_path / "out" / "per_question.jsonl").is_file()
    assert silent.returncode == 1 and silent.stdout == ""
    assert "cannot say how likely" in silent.stderr.splitlines()[-1]  # behind the progress of a slow machine


def test_what_cannot_be_attributed_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at most 8 passages"):
        eval_attribution(tmp_path / "none", k=9)
    with pytest.raises(UsageError, match="Name direct or notes"):
        eval_attribution(tmp_path / "none", reader=ReaderStyle.quotes)


# ---- ContextCite's package, where it is installed (the extra compare)


def test_the_surrogate_is_context_cites() -> None:
    if not installed():
        pytest.skip("context-cite is not installed (the extra compare)")
    solver = _package()[1]
    generator = np.random.default_rng(0)
    for rows, columns in ((32, 5), (16, 5), (8, 3)):
        design = (generator.random((rows, columns)) < 0.5).astype(float)
        target = design @ generator.normal(size=columns) * 3 + generator.normal(size=rows)
        weights, _ = solver.fit(design, target, 1)
        assert lasso(design, target) == pytest.approx(weights, abs=1e-3)


def test_the_package_gets_our_readings_of_what_it_draws(tmp_path: Path) -> None:
    """Against the ablations that its own class would read, and the fit that it would make of them."""
    if not installed():
        pytest.skip("context-cite is not installed (the extra compare)")
    solver = _package()[1]
    from context_cite import ContextCiter, utils

    keep = inspect.signature(ContextCiter).parameters["ablation_keep_prob"].default
    masks, _ = utils._create_regression_dataset(32, 5, lambda mask: [1], [2], keep)
    drawn = [frozenset(np.flatnonzero(mask).tolist()) for mask in masks]
    readings = read(CASES["redundancy"], tmp_path)
    rows = scored_by_all(readings, 10, 0, [6])
    weights, _ = solver.fit(masks, np.array([readings.value_of(LOGIT, c) for c in drawn]), readings.tokens)
    assert rows[PACKAGE].scores == pytest.approx(weights) and rows[PACKAGE].asked == set(drawn)
    assert rows[f"{PACKAGE}, 6 calls"].asked == set(drawn[:6]) and rows[PACKAGE].budget == 32
    assert readings.tokens == 2, "yes, and the end"


def test_the_report_says_whether_the_package_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(folder: str, there: bool) -> str:
        monkeypatch.setattr("eval.attribution.methods.installed", lambda: there)
        monkeypatch.setattr(
            "eval.attribution.methods.package_scores", lambda players, *_: ((0.0,) * players, frozenset())
        )
        outcomes = evaluated(Reader(CASES["redundancy"]), tmp_path / "cache", tmp_path)
        asked = {"of": 6, "retriever": "bm25", "reader": "direct", "k": 5, "permutations": 20, "seed": 0}
        return report("x", result_json(asked, outcomes, SETTINGS))  # type: ignore[arg-type]

    assert f"{PACKAGE}: its own ablations" in (with_it := told("a", True)) and f"| {PACKAGE} |" in with_it
    assert f"{PACKAGE}: not installed" in (without := told("b", False)) and f"| {PACKAGE}" not in without


# ---- passages masked where they stand


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    return open_reader(ReaderSettings(model=str(save_reader(tmp_path_factory.mktemp("reader") / "tiny"))))


def test_masked_passages_are_read_by_masks_and_kept_by_who_is_absent(
    tiny: ChatModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(["experimental.absence=masked", "reader.answer_tokens=6"])
    hits, question = HITS[:3], "Is it?"

    def readings() -> Readings:
        recording = MaskedReader(tiny, Replies(tmp_path, settings.reader))
        found = read_coalitions(question, hits, "old", recording, settings, strategy="notes")
        recording.keep()
        return found

    first = readings()
    tree = coalition_reader(tiny, "masked")
    assert isinstance(tree, TreeReader)
    roots, messages = documents(hits), answer_messages(question, hits)
    for coalition in coalitions(3):
        masking = tree.masking(hits, [player for i, player in enumerate(roots) if i not in coalition])
        assert first.replies[coalition] == first_line("".join(masking.stream(messages, 6)))
        assert first.log_p[coalition] == pytest.approx(masking.log_probability(messages, "old"), abs=1e-3)
    assert len(set(first.log_p.values())) == 8, "each mask is another reading"
    assert first.attention == pytest.approx(tree.attended(messages, "old", hits), abs=1e-4)
    for name in ("_decode", "log_probability", "attended"):
        monkeypatch.delattr(TreeReader, name)
    assert readings() == first, "all of it was kept"


def test_a_reader_whose_tokens_cannot_be_masked_is_named_before_anything_is_read(tmp_path: Path) -> None:
    reader = Reader(CASES["redundancy"])
    questions = read_questions(written(tmp_path / "hp.json", hotpot())).questions
    pool = Pool(Corpus.__new__(Corpus), None, {})
    rows = TrialRows([question.question for question in questions], {"scripted": lambda place, query: list(HITS)})
    masked = pipeline(reader, HITS, "experimental.absence=masked")
    with pytest.raises(UsageError, match="masked: no token of reader scripted can be masked"):
        evaluate(questions, pool, masked, rows, 5, "direct", Replies(tmp_path, SETTINGS.reader), 20, 0)
    assert reader.asked == []
