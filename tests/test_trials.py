"""eval/core/trials.py: a question asked with each kind of evidence, in one order, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.core.cache import Replies
from eval.core.trials import CLOSED_BOOK, GIVE_UP, Evidence, Trial, TrialRows, as_hits, draw, latency_ms, run_trials
from rag.answer import ask
from rag.errors import LibraryError, ReaderError
from rag.llm.chat import Messages, Usage
from rag.read.prompts import answer_messages, memory_messages
from rag.records import Answer, Hit
from rag.settings import ReaderSettings, load_settings
from tests.parts import passage
from tests.test_answer import HITS, QUESTION, ScriptedReader, pipeline

SETTINGS = ReaderSettings(model="http://127.0.0.1:9/v1#m")
QUESTIONS = [f"Who was the engineer of bridge {i}?" for i in range(6)]


def run(
    cache: Path,
    reader: ScriptedReader,
    evidence: Mapping[str, Evidence | None],
    questions: Sequence[str] = (QUESTION,),
    k: int = 5,
    strategy: str = "notes",
    jobs: int = 1,
) -> list[list[Trial]]:
    replies = Replies(cache, SETTINGS)
    return list(run_trials(TrialRows(questions, evidence), pipeline(reader), k, strategy, replies, jobs))


def both(place: int, query: str) -> list[Hit]:
    return HITS


class Slow(ScriptedReader):
    """Answers the questions of a set only when all others were answered; says "number" and the question's number."""

    def __init__(self, last: set[str]):
        super().__init__()
        self.last, self.others, self.lock = last, threading.Semaphore(0), threading.Lock()

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        question = messages[-1][1].rpartition("Question: ")[2]
        if question in self.last:
            assert self.others.acquire(timeout=20)
        yield f"number {QUESTIONS.index(question)}"
        if question not in self.last:
            self.others.release()


# -- what is asked ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["notes", "direct"])
def test_a_trial_is_the_answer_that_a_user_gets(tmp_path: Path, strategy: str) -> None:
    ((trial,),) = run(tmp_path, ScriptedReader("Clyde Foundry [2]\nor so"), {"system": both}, k=1, strategy=strategy)
    *_, expected = ask(QUESTION, pipeline(ScriptedReader("Clyde Foundry [2]\nor so")), 1, strategy=strategy)
    assert isinstance(expected, Answer) and trial.answer is not None
    assert replace(trial.answer, seconds={}) == replace(expected, seconds={})
    assert (trial.row, trial.place, trial.error) == ("system", 0, None)
    assert trial.hits == tuple(HITS) and trial.answer.evidence == tuple(
        HITS[:1]
    )  # the whole ranking, and what was read
    assert trial.draft == "Clyde Foundry [2]"
    assert trial.seconds.keys() == {"retrieve", "reader", "first_token"}


def test_the_draft_of_an_abstention_is_told(tmp_path: Path) -> None:
    ((trial,),) = run(tmp_path, ScriptedReader(yes=0.1), {"system": both})
    assert trial.answer is not None
    assert (trial.draft, trial.answer.abstained) == ("Clyde Foundry", True)


def test_without_a_book_only_the_question_is_asked(tmp_path: Path) -> None:
    reader = ScriptedReader("\n Ada Lind \nI guess")
    ((trial,),) = run(tmp_path, reader, {CLOSED_BOOK: None})
    assert reader.asked == [("stream", memory_messages(QUESTION), 64)]
    assert trial.answer is not None
    assert (trial.draft, trial.answer.answer, trial.answer.abstained) == ("Ada Lind", "Ada Lind", False)
    assert (trial.hits, trial.answer.evidence, trial.answer.tokens) == ((), (), {"prompt": 100, "generated": 5})
    ((silent,),) = run(tmp_path / "other", ScriptedReader("I do not know."), {CLOSED_BOOK: None})
    assert silent.answer is not None and silent.answer.abstained


def test_each_row_gets_its_own_evidence_question_by_question(tmp_path: Path) -> None:
    places: list[tuple[str, int]] = []

    def row(name: str, hits: list[Hit]) -> Evidence:
        def evidence(place: int, query: str) -> list[Hit]:
            places.append((name, place))
            return hits

        return evidence

    reader = ScriptedReader()
    rows = {"one": row("one", HITS), "none": row("none", []), "two": row("two", HITS[::-1])}
    trials = run(tmp_path, reader, rows, QUESTIONS[:2], strategy="direct")
    assert [[(t.row, t.place) for t in some] for some in trials] == [[(row, i) for row in rows] for i in range(2)]
    assert places == [(row, i) for i in range(2) for row in rows]
    assert [messages for _, messages, _ in reader.asked] == [
        answer_messages(question, hits) for question in QUESTIONS[:2] for hits in (HITS, HITS[::-1])
    ]
    assert trials[0][1].answer is not None and trials[0][1].answer.abstained and trials[0][1].draft == ""


def test_a_second_round_searches_the_row_with_another_query(tmp_path: Path) -> None:
    asked: list[str] = []

    def evidence(place: int, query: str) -> list[Hit]:
        asked.append(query)
        return HITS[:1] if query == QUESTION else HITS[::-1]

    patient = replace(pipeline(ScriptedReader(yes=0.1)), settings=load_settings(["experimental.rounds=2"]))
    ((trial,),) = run_trials(
        TrialRows([QUESTION], {"system": evidence}), patient, 5, "notes", Replies(tmp_path, SETTINGS)
    )
    assert asked[0] == QUESTION and len(asked) == 2 and asked[1].startswith(f"{QUESTION} ")
    assert trial.hits == tuple(HITS[:1]), "the retriever's measures are of the question's own ranking"
    assert trial.answer is not None and len(trial.answer.notes) == len(trial.answer.evidence) == 2


# -- order, failures, resuming ---------------------------------------------------------------------------------


def without_time(trials: list[list[Trial]]) -> list[list[Trial]]:
    return [
        [replace(t, seconds={}, busy_seconds=0.0, answer=t.answer and replace(t.answer, seconds={})) for t in some]
        for some in trials
    ]


def test_the_order_does_not_depend_on_how_many_are_asked_at_a_time(tmp_path: Path) -> None:
    rows = {"system": both, CLOSED_BOOK: None}
    one = run(tmp_path / "1", Slow(set()), rows, QUESTIONS)
    three = run(tmp_path / "3", Slow(set(QUESTIONS[:2])), rows, QUESTIONS, jobs=3)  # the first two come last
    assert [[trial.draft for trial in some] for some in one] == [[f"number {i}"] * 2 for i in range(6)]
    assert without_time(three) == without_time(one)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_failure_is_one_trials_and_only_that_is_asked_again(tmp_path: Path, jobs: int) -> None:
    class Sleepy(ScriptedReader):
        def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
            if QUESTIONS[2] in messages[-1][1]:  # the claim, after its other requests went well
                raise ReaderError("reader scripted did not answer: it sleeps")
            return super().yes_probability(messages, usage, goes_on)

    trials = run(tmp_path, Sleepy(), {"system": both, CLOSED_BOOK: None}, QUESTIONS[:5], jobs=jobs)
    failures = [(t.place, t.row, t.error) for some in trials for t in some if t.error]
    assert failures == [(2, "system", "reader scripted did not answer: it sleeps")]
    failed = trials[2][0]
    assert failed.answer is None and failed.draft == "Clyde Foundry" and failed.hits == tuple(HITS)
    well = ScriptedReader()
    again = run(tmp_path, well, {"system": both, CLOSED_BOOK: None}, QUESTIONS[:5], jobs=jobs)
    assert not any(t.error for some in again for t in some)
    assert [what for what, _, _ in well.asked] == ["stream", "yes", "yes"]
    assert all(QUESTIONS[2] in str(messages) for _, messages, _ in well.asked)
    untroubled = run(tmp_path / "new", ScriptedReader(), {"system": both, CLOSED_BOOK: None}, QUESTIONS[:5])
    assert without_time(again) == without_time(untroubled)


def test_evidence_that_cannot_be_had_is_a_failure_too(tmp_path: Path) -> None:
    def damaged(place: int, query: str) -> list[Hit]:
        raise LibraryError("the index is damaged")

    ((trial, other),) = run(tmp_path, ScriptedReader(), {"system": both, "other": damaged})
    assert (other.error, other.answer, other.hits, trial.error) == ("the index is damaged", None, (), None)


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize(("there", "asked"), [(1, 1), (4, 4), (9, GIVE_UP)])
def test_a_system_that_failed_on_the_first_questions_is_given_up(
    there: int, asked: int, jobs: int, tmp_path: Path
) -> None:
    def damaged(place: int, query: str) -> list[Hit]:
        raise LibraryError("the index is damaged")

    questions = [f"Question {i}?" for i in range(there)]
    with pytest.raises(ReaderError, match=f"every question failed, the first {asked} so: the index is damaged"):
        run(tmp_path, ScriptedReader(), {"system": damaged, "other": both}, questions, jobs=jobs)


def test_a_system_that_once_answered_is_not_given_up(tmp_path: Path) -> None:
    def damaged(place: int, query: str) -> list[Hit]:
        if place:
            raise LibraryError("the index is damaged")
        return both(place, query)

    trials = run(tmp_path, ScriptedReader(), {"system": damaged}, [f"Question {i}?" for i in range(9)])
    assert [trial.error is None for (trial,) in trials] == [True] + [False] * 8


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    class Interrupting(ScriptedReader):
        def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
            if len(self.asked) >= 10:  # in the fourth question
                raise Interrupted
            return super().yes_probability(messages, usage, goes_on)

    with pytest.raises(Interrupted):
        run(tmp_path, Interrupting(), {"system": both}, QUESTIONS)
    reader = ScriptedReader()
    rest = run(tmp_path, reader, {"system": both}, QUESTIONS)
    streamed = [messages for what, messages, _ in reader.asked if what == "stream"]
    assert streamed == [answer_messages(question, HITS) for question in QUESTIONS[3:]]
    assert len(reader.asked) == 9
    assert without_time(rest) == without_time(run(tmp_path / "new", ScriptedReader(), {"system": both}, QUESTIONS))


def test_time_is_the_readers_when_the_reply_was_made_and_a_kept_one_keeps_nobody_busy(tmp_path: Path) -> None:
    class Thinking(ScriptedReader):
        def stream(
            self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
        ) -> Iterator[str]:
            threading.Event().wait(0.2)
            yield from super().stream(messages, max_tokens, usage)

    ((cold,),) = run(tmp_path, Thinking(), {"system": both})
    ((warm,),) = run(tmp_path, Thinking(), {"system": both})
    assert 0.2 <= cold.seconds["reader"] < 0.7 and warm.seconds["reader"] == cold.seconds["reader"]
    assert warm.busy_seconds < 0.15 < 0.2 <= cold.busy_seconds < 0.7
    for trial in (cold, warm):
        assert 0.2 <= trial.seconds["first_token"] <= trial.seconds["retrieve"] + trial.seconds["reader"] + 0.01
    assert latency_ms([cold])["p50"] == pytest.approx(1000 * (cold.seconds["retrieve"] + cold.seconds["reader"]), abs=1)


def test_latency_by_hand() -> None:
    def trial(seconds: float, error: str | None = None) -> Trial:
        return Trial(0, "r", (), "", None, error, {"retrieve": 0.5, "reader": seconds, "first_token": 9.0}, 0.0)

    some = [trial(second) for second in (0.5, 1.5, 2.5, 3.5, 4.5)]
    assert latency_ms([*some, trial(99, "failed")]) == {"p50": 3000, "p95": 4800}  # 1 to 5 s; 5 - 0.2 of a step
    assert latency_ms([trial(1, "failed")]) == {"p50": 0, "p95": 0}


# -- chance ----------------------------------------------------------------------------------------------------

PASSAGES = [passage(i, f"text {i}") for i in range(12)]


@given(st.integers(0, 12), st.integers(0, 20), st.text(max_size=8), st.integers(0, 99))
def test_chance_draws_the_same_for_a_question_and_a_seed(there: int, count: int, identity: str, seed: int) -> None:
    drawn = draw(PASSAGES[:there], count, identity, seed)
    assert drawn == draw(PASSAGES[:there], count, identity, seed)
    assert len(drawn) == len({hit.passage.passage_id for hit in drawn}) == min(count, there)
    assert all(hit.passage in PASSAGES[:there] for hit in drawn)
    assert [hit.rank for hit in drawn] == list(range(1, len(drawn) + 1))
    assert [hit.score for hit in drawn] == sorted((hit.score for hit in drawn), reverse=True)


def test_chance_draws_anew_for_another_question_or_seed() -> None:
    drawn = {
        (question, seed): tuple(hit.passage.passage_id for hit in draw(PASSAGES, 5, question, seed))
        for question in ("a", "b", "c")
        for seed in (0, 1, 2)
    }
    assert len(set(drawn.values())) == 9
    often = [hit.passage.passage_id for i in range(1200) for hit in draw(PASSAGES, 1, f"q{i}", 0)]
    assert all(60 < often.count(p.passage_id) < 140 for p in PASSAGES)  # 100 each, give or take four deviations


def test_passages_in_an_order_are_a_ranking() -> None:
    assert [(hit.rank, hit.score, hit.passage) for hit in as_hits(PASSAGES[:3])] == [
        (1, 1.0, PASSAGES[0]), (2, 1 / 2, PASSAGES[1]), (3, 1 / 3, PASSAGES[2]),
    ]  # fmt: skip
