"""hotpotqa.py and its report: evidence, supporting facts, scores, files; and the command with an endpoint."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eval.core.cache import Replies
from eval.core.trials import BM25, CLOSED_BOOK, ORACLE, RANDOM, Trial
from eval.multihop.hotpotqa import (
    DEPTH,
    MultihopOutcome,
    Pool,
    evaluate,
    facts_of,
    open_pool,
    predicted,
    rows_of,
    scores,
)
from eval.multihop.hotpotqa_report import (
    CAUSES,
    FAILURES,
    cause,
    instructive,
    line,
    predictions,
    report,
    result_json,
    write,
)
from eval.multihop.questions import Benchmark, ContextParagraph, Fact, Question, read_questions
from eval.retrieval.corpus import Corpus
from rag.errors import DataError, ReaderError
from rag.llm.chat import Messages, Usage
from rag.locator import PageSpan
from rag.pipeline import Pipeline
from rag.protocols import silent
from rag.records import Answer, Citation, Hit, Note
from rag.settings import Settings, load_settings
from tests import official
from tests.benchmarks import Endpoint, Fields, answering, hotpot, musique, written
from tests.conftest import LIGHT_READER, Run, command
from tests.parts import passage
from tests.test_answer import ScriptedReader, ScriptedRetriever

SETTINGS = load_settings()
Q = [record["question"] for record in hotpot()]
# question -> (reply, probability of yes): right, half right, right, right but kept back, wrong, "no" for yes
REPLIES = {
    Q[0]: ("Aalborg", 0.9), Q[1]: ("Bergen in Norway", 0.9), Q[2]: ("Yes.", 0.9), Q[3]: ("Dover", 0.2),
    Q[4]: ("Lisbon", 0.9), Q[5]: ("no", 0.9),
}  # fmt: skip
SLEEPS = "reader scripted did not answer: it <sleeps> | snores"


class Replying(ScriptedReader):
    """Says of each question what REPLIES says, and fails on some ("all" of them)."""

    def __init__(self, *failing: str):
        super().__init__()
        self.failing = failing

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        question = messages[-1][1].rpartition("Question: ")[2]
        if question in self.failing or "all" in self.failing:
            raise ReaderError(SLEEPS)
        self.reply, self.yes = REPLIES.get(question, ("Ys", 0.9))
        yield from super().stream(messages, max_tokens, usage)


@dataclass
class Evaluation:
    """Questions over a pool that bm25 can search, and how to ask them."""

    benchmark: Benchmark
    pool: Pool

    def ask(
        self, cache: Path, reader: ScriptedReader, controls: bool = True, k: int = 5, settings: Settings = SETTINGS
    ) -> dict[str, list[MultihopOutcome]]:
        questions = self.benchmark.questions
        rows = rows_of(questions, self.pool, BM25, k, 0, controls, silent)
        locate = self.pool.corpus.indexes.library.locate
        pipeline = Pipeline(ScriptedRetriever([]), reader, locate, "18 passages", settings)  # type: ignore[arg-type]
        return evaluate(questions, self.pool, pipeline, rows, k, "notes", Replies(cache, SETTINGS.reader))

    def result(self, outcomes: dict[str, list[MultihopOutcome]]) -> dict[str, Any]:
        asked = {"setting": "distractor", "of": 9, "passages": 18, "reader": "notes", "k": 5, "seed": 0}
        return result_json(self.benchmark.name, asked, outcomes, SETTINGS)


def opened(
    folder: Path, records: list[Fields], setting: str = "distractor", retrievers: Sequence[str] = (), *files: Path
) -> Evaluation:
    benchmark = read_questions(written(folder / "questions.jsonl", records))
    return Evaluation(benchmark, open_pool(benchmark, setting, folder / "cache", SETTINGS, retrievers, *files))


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return opened(tmp_path_factory.mktemp("six"), hotpot(), "distractor", [BM25])


@pytest.fixture(scope="module")
def outcomes(six: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[MultihopOutcome]]:
    return six.ask(tmp_path_factory.mktemp("replies"), Replying())


def titles(outcome: MultihopOutcome) -> list[str]:
    return [hit.passage.title for hit in outcome.trial.hits]


# -- supporting facts ------------------------------------------------------------------------------------------


def question(*paragraphs: ContextParagraph, **fields: Any) -> Question:
    values: dict[str, Any] = {"gold": (0,), "gold_titles": ("t",), "facts": frozenset({("t", 0)})} | fields
    return Question("q", "Why?", ("Ys",), "bridge", paragraphs, **values)


class Stored(Corpus):
    """What a corpus of these paragraphs tells of its passages, without a library."""

    def __init__(self, *paragraphs: ContextParagraph, own_ids: bool = False):
        self.ids = {f"d{i}#0": f"w{i}" if own_ids else p.entry.id for i, p in enumerate(paragraphs)}
        self.passages = {
            self.ids[f"d{i}#0"]: passage(0, html.unescape(p.text), f"d{i}", html.unescape(p.title))
            for i, p in enumerate(paragraphs)
        }

    def citation(self, number: int, start: int, end: int) -> Citation:
        of = self.passages[self.ids[f"d{number}#0"]]
        return Citation("[1]", of.passage_id, of.document_id, "", of.title, PageSpan(), of.text[start:end], start, end)


def facts(paragraph: ContextParagraph, quote: str, asked: Question | None = None) -> dict[Fact, int | None]:
    corpus, start = Stored(paragraph), html.unescape(paragraph.text).index(quote)
    return facts_of([corpus.citation(0, start, start + len(quote))], asked or question(paragraph), corpus)


ORM = ContextParagraph(
    "R&amp;D &lt;Orm&gt;",
    (
        "The Orm is a river of &quot;Ys&quot; &amp; of Is.",
        " It ends in the sea.",
        " Its length, which was measured by the town's surveyors in the year of the flood, is 84 km, and its source is"
        " in the hills of the north.",
    ),
)


@pytest.mark.parametrize(
    ("quote", "indices"),
    [
        ('The Orm is a river of "Ys" & of Is.', [0]),
        ("It ends in the sea.", [1]),
        ("ends in the", [1]),  # part of a sentence
        ("is 84 km", [2]),  # a small part of a long one
        ('a river of "Ys" & of Is. It ends in the sea.', [0, 1]),
        ('The Orm is a river of "Ys" & of Is. It ends in the sea. Its length', [0, 1]),  # too little of the third
        ("of Is. It ends in", [1]),  # a third of it stands in the first
    ],
)
def test_a_quote_stands_for_the_sentences_that_it_shares_half_with(quote: str, indices: list[int]) -> None:
    assert facts(ORM, quote) == {("R&amp;D &lt;Orm&gt;", index): 0 for index in indices}  # the title as the file has it


PIECES = [
    "One.",
    " Two &amp; more.",
    "&quot;Three&quot;",
    " Caf\u00e9 &eacute;.",
    "x &lt; y. ",
    "\u00a0Four.",
    "&#39;5",
]


@hypothesis_settings(max_examples=60)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), st.data())
def test_each_sentence_is_found_wherever_it_stands(sentences: list[str], data: st.DataObject) -> None:
    paragraph, index = ContextParagraph("t", tuple(sentences)), data.draw(st.integers(0, len(sentences) - 1))
    end = len(html.unescape(ContextParagraph("t", tuple(sentences[: index + 1])).text))
    start = end - len(html.unescape(sentences[index]).lstrip())
    citation = Stored(paragraph).citation(0, start, end)
    assert citation.quote == html.unescape(sentences[index]).lstrip()
    assert facts_of([citation], question(paragraph), Stored(paragraph)) == {("t", index): 0}


def test_paragraphs_of_one_title_are_told_apart() -> None:
    two = ContextParagraph("t", ("A moor.",)), ContextParagraph("t", ("A lake.", "A sea."))
    assert facts(two[1], "A sea.", question(*two)) == {("t", 1): 1}
    assert facts(two[0], "A moor.", question(*two)) == {("t", 0): 0}


def test_a_passage_of_the_pool_that_is_not_the_questions_is_cited_by_its_title_and_our_sentences() -> None:
    other = ContextParagraph("R&amp;D", ("It is old.", " It was built by Clyde. It is red.", " It fell."))
    assert facts(other, "It is red.", question(ORM)) == {("R&D", 2): None}
    assert facts(other, "It is old.", question(ORM)) == {("R&D", 0): None}


def test_a_corpus_may_have_ids_of_its_own_and_other_blanks() -> None:
    asked, there = (
        ContextParagraph("A &amp; B", ("It is  old.", " It fell.")),
        ContextParagraph("A & B", ("It is old. It fell.",)),
    )
    corpus = Stored(there, own_ids=True)
    citation = corpus.citation(0, 11, 19)
    assert citation.quote == "It fell."
    assert facts_of([citation], question(asked), corpus) == {("A &amp; B", 1): 0}


def test_facts_are_those_of_all_citations_once() -> None:
    corpus = Stored(ORM)
    one, two = corpus.citation(0, 0, 35), corpus.citation(0, 36, 55)
    assert facts_of([two, one, two], question(ORM), corpus) == {(ORM.title, 1): 0, (ORM.title, 0): 0}
    assert facts_of([], question(ORM), corpus) == {}


# -- scores ----------------------------------------------------------------------------------------------------


def trial(draft: str, abstained: bool = False, row: str = "dense", found: str = "", error: str | None = None) -> Trial:
    hits = tuple(Hit(rank, 1.0, passage(0, "x", key)) for rank, key in enumerate(found, start=1))
    said = Answer("Why?", f"{draft} [1]", abstained, (), (), hits, 0.7, "m", "h", {}, {"prompt": 9, "generated": 2})
    seconds = {"retrieve": 0.5, "reader": 1.0, "first_token": 0.75}
    return Trial(0, row, hits, draft, None if error else said, error, seconds, 0.0)


def keys(letters: str) -> frozenset[str]:
    return frozenset(f"{letter}#0" for letter in letters)


def test_scores_by_hand() -> None:
    asked = question(facts=frozenset({("t", 0), ("u", 1)}))
    assert scores(trial("Ys town [2]", found="axbcde"), asked, keys("abez"), {("t", 0)}) == pytest.approx(
        {
            "em": 0, "f1": 2 / 3, "sp_em": 0, "sp_f1": 2 / 3, "joint_em": 0, "joint_f1": 1 / 2, "draft_em": 0,
            "draft_f1": 2 / 3, "R@2": 1 / 4, "R@5": 2 / 4, "all_gold@5": 0, "abstained": 0, "failed": 0,
            "prompt_tokens": 9, "generated_tokens": 2, "reader_calls": 0,
        }
    )  # fmt: skip
    right = scores(trial("the Ys", found="ab"), asked, keys("ab"), {("u", 1), ("t", 0)})
    assert all(right[name] == 1 for name in ("em", "f1", "sp_em", "sp_f1", "joint_em", "joint_f1", "R@2", "all_gold@5"))


def test_what_the_note_holds_and_what_was_made_up_are_counted() -> None:
    asked = question(ORM, facts=frozenset({(ORM.title, 0), (ORM.title, 1)}))
    sentence = " ".join(html.unescape(ORM.sentences[1]).split())
    noted = trial("Ys", found="a")
    assert noted.answer is not None
    answer = replace(noted.answer, notes=(Note(1, "Why?", f"[1] {sentence}"),), copied=(5, 2))
    values = scores(replace(noted, answer=answer, calls=3), asked, keys("a"), ())
    assert [values[name] for name in ("note_recall", "copied", "invented", "reader_calls")] == [0.5, 5, 2, 3]


def test_an_abstention_is_handed_in_as_noanswer_and_its_draft_is_scored_beside() -> None:
    kept_back = trial("Ys", abstained=True, found="a")
    assert predicted(kept_back) == "noanswer"
    values = scores(kept_back, question(), keys("a"), ())
    assert [values[name] for name in ("em", "f1", "draft_em", "draft_f1", "abstained", "sp_f1")] == [0, 0, 1, 1, 1, 0]


@pytest.mark.parametrize(("draft", "handed_in"), [("Ys [1]", "Ys"), ("Ys [1, 3] of Is[2]", "Ys of Is"), ("[1]", "")])
def test_markers_are_not_handed_in(draft: str, handed_in: str) -> None:
    assert predicted(trial(draft)) == handed_in


def test_a_trial_that_failed_scores_nothing() -> None:
    values = scores(trial("Ys", error="it sleeps", found="a"), question(), keys("a"), ())
    assert [values[name] for name in ("em", "f1", "sp_em", "joint_f1", "abstained", "failed")] == [0, 0, 0, 0, 0, 1]
    assert (values["prompt_tokens"], values["R@2"]) == (None, 1)
    assert predicted(trial("Ys", error="it sleeps")) == ""


def test_without_gold_no_ranking_has_it_and_the_ranks_close_up(six: Evaluation) -> None:
    asked, pool = six.benchmark.questions, six.pool
    whole, left = (
        rows_of(asked, pool, BM25, 5, 0, False, silent, without).evidence[BM25](0, asked[0].question)
        for without in (False, True)
    )
    gold = pool.gold[asked[0].id]
    assert gold & {hit.passage.passage_id for hit in whole}
    rest = [hit.passage.passage_id for hit in whole if hit.passage.passage_id not in gold]
    assert [hit.passage.passage_id for hit in left][: len(rest)] == rest
    assert [hit.rank for hit in left] == list(range(1, len(left) + 1))


def test_what_does_not_apply_has_no_score() -> None:
    values = scores(trial("Ker-Ys"), question(facts=None), keys("a"), ())
    assert not [name for name in values if name.startswith(("sp_", "joint_"))]
    by_heart = scores(trial("Ys", row=CLOSED_BOOK), question(), keys("a"), ())
    assert not [name for name in by_heart if "@" in name] and by_heart["em"] == 1


# -- evidence --------------------------------------------------------------------------------------------------


def test_each_row_gets_the_evidence_it_should(six: Evaluation, outcomes: dict[str, list[MultihopOutcome]]) -> None:
    assert list(outcomes) == [BM25, ORACLE, RANDOM, CLOSED_BOOK]
    for i, asked in enumerate(six.benchmark.questions):
        own = [html.unescape(paragraph.title) for paragraph in asked.paragraphs]
        assert sorted(titles(outcomes[BM25][i])) == sorted(
            own
        )  # the word garden is in all 18, so no other was searched
        assert titles(outcomes[ORACLE][i]) == own[:2]
        assert sorted(titles(outcomes[RANDOM][i])) == sorted(own)
        assert titles(outcomes[CLOSED_BOOK][i]) == []
        assert outcomes[ORACLE][i].scores["all_gold@5"] == 1 == outcomes[ORACLE][i].scores["R@2"]
    orders = [
        [own.index(title) for title in titles(outcomes[RANDOM][i])]
        for i, own in enumerate([html.unescape(p.title) for p in q.paragraphs] for q in six.benchmark.questions)
    ]
    assert len({tuple(order) for order in orders}) > 1  # drawn, and for each question anew


def test_k_is_what_the_reader_sees_and_the_ranking_goes_deeper(six: Evaluation, tmp_path: Path) -> None:
    for row, some in six.ask(tmp_path, Replying(), k=1).items():
        for outcome in some:
            assert outcome.trial.answer is not None
            assert len(outcome.trial.answer.evidence) == (row != CLOSED_BOOK)
            assert len(outcome.trial.hits) == {ORACLE: 2, CLOSED_BOOK: 0}.get(row, 3) < DEPTH


def test_in_the_open_setting_all_paragraphs_of_the_file_are_searched(tmp_path: Path) -> None:
    open_pool_of_six = opened(tmp_path, hotpot(), "open", [BM25])
    outcomes = open_pool_of_six.ask(tmp_path, Replying())
    place, person, company = (html.unescape(title) for title, _ in hotpot()[0]["context"])
    for row in (BM25, RANDOM):
        assert all(len(outcome.trial.hits) == DEPTH for outcome in outcomes[row])
    assert titles(outcomes[BM25][0])[0] == place
    assert set(titles(outcomes[BM25][0])) - {place, person, company}
    assert titles(outcomes[ORACLE][0]) == [place, person]
    assert len({title for outcome in outcomes[RANDOM] for title in titles(outcome)}) > 9  # of 18


def test_a_paragraph_that_stands_twice_in_a_context_is_read_once(tmp_path: Path) -> None:
    records = hotpot(1)
    records[0]["context"] = records[0]["context"] * 2
    twice = opened(tmp_path, records, "distractor", [BM25])
    assert len(twice.pool.passage_ids(twice.benchmark.questions[0])) == 3
    outcomes = twice.ask(tmp_path, Replying())
    for row, number in ((BM25, 3), (ORACLE, 2), (RANDOM, 3)):
        assert len(titles(outcomes[row][0])) == len(set(titles(outcomes[row][0]))) == number


def test_a_gold_paragraph_out_of_the_context_counts_against_recall(tmp_path: Path) -> None:
    records = hotpot(2)
    moved = records[0]["context"].pop(1)  # q0 lacks a gold paragraph, as in the fullwiki files
    outcomes = opened(tmp_path, records, "distractor", [BM25]).ask(tmp_path, Replying())
    for row in (BM25, ORACLE):
        assert [outcomes[row][0].scores[name] for name in ("R@2", "R@5", "all_gold@5")] == [0.5, 0.5, 0]
        assert outcomes[row][1].scores["all_gold@5"] == 1
    records[1]["context"].append(moved)  # where all paragraphs are one pool, it may be found among another question's
    pool = opened(tmp_path / "open", records, "open").pool
    assert pool.gold["q0"] <= set(pool.corpus.ids) and len(pool.gold["q0"]) == 2


CORPUS = [
    {"id": "w1", "title": "Alder Garden & Park", "text": "Alder Garden was laid out by Ada Lind in 1900."},
    {"id": "w2", "title": "Ada Lind", "text": "Ada Lind was a gardener. She was born in Aalborg."},
    {"id": "w3", "title": "Alder", "text": "The alder is a tree of gardens and of parks."},
    {"id": "w4", "title": "Bo Krantz", "text": "Bo Krantz was a gardener. He was born in Bergen."},
]


def test_with_a_corpus_gold_is_what_has_the_title_or_what_the_qrels_say(tmp_path: Path) -> None:
    corpus = written(tmp_path / "corpus.jsonl", CORPUS)
    by_title = opened(tmp_path / "titles", hotpot(2), "open", [BM25], corpus)
    ids = {entry: key for key, entry in by_title.pool.corpus.ids.items()}
    assert set(ids) == {"w1", "w2", "w3", "w4"}
    assert by_title.pool.gold["q0"] == {ids["w1"], ids["w2"]}
    assert ids["w4"] in by_title.pool.gold["q1"] and len(by_title.pool.gold["q1"]) == 2  # its garden is not there
    outcomes = by_title.ask(tmp_path, Replying())
    assert outcomes[BM25][0].scores["all_gold@5"] == 1 and outcomes[BM25][1].scores["R@5"] == 0.5
    assert titles(outcomes[ORACLE][0]) == ["Alder Garden & Park", "Ada Lind"]
    assert set(outcomes[BM25][0].facts) <= {("Alder Garden &amp; Park", 0), ("Ada Lind", 0), ("Ada Lind", 1)}
    assert outcomes[BM25][0].facts
    qrels = written(tmp_path / "qrels.tsv", "query\tpassage\tgrade\nq0\tw3\t1\nq0\tw1\t0\nq1\tw4\t2\nq9\tw1\t1\n")
    judged = opened(tmp_path / "qrels", hotpot(2), "open", [], corpus, qrels).pool
    assert judged.gold == {"q0": {ids["w3"]}, "q1": {ids["w4"]}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("q\tp\tg\nq0\tw1\t1\n", "no passage is gold for question q1. Name"),
        ("q\tp\tg\nq9\tw1\t1\n", "no passage is gold for question q0 (and 1 more)"),
        ("q\tp\tg\nq0\tw1\t0\nq1\tw4\t1\n", "no passage is gold for question q0. Name"),
        ("q\tp\tg\nq0\tw9\t1\n", "line 2: passage 'w9' is not in the corpus"),
    ],
)
def test_qrels_of_something_else_are_named_before_anything_is_indexed(tmp_path: Path, text: str, says: str) -> None:
    corpus, qrels = written(tmp_path / "corpus.jsonl", CORPUS), written(tmp_path / "qrels.tsv", text)
    with pytest.raises(DataError) as caught:
        opened(tmp_path, hotpot(2), "open", [BM25], corpus, qrels)
    assert str(qrels) in str(caught.value) and says in str(caught.value)
    assert not (tmp_path / "cache").exists()


# -- what is written -------------------------------------------------------------------------------------------

COMMON = {"em": "em", "f1": "f1", "sp_em": "sp_em", "sp_f1": "sp_f1", "joint_em": "joint_em", "joint_f1": "joint_f1"}


def assert_official(result: dict[str, Any], handed_in: str, records: list[Fields]) -> dict[str, float]:
    """The figures of the result are those of the official script on what is handed in."""
    theirs = official.score(json.loads(handed_in), records)
    for name in COMMON:
        assert result["metrics"][name] == pytest.approx(theirs[name], abs=1e-9)
    return theirs


def test_what_is_handed_in_scores_officially_what_we_say(
    six: Evaluation, outcomes: dict[str, list[MultihopOutcome]]
) -> None:
    result = six.result(outcomes)
    for row, some in outcomes.items():
        theirs = assert_official(
            result if row == BM25 else result["controls"][row], predictions("hotpotqa", some), hotpot()
        )
        if row == BM25:  # 1, half of three words, 1, noanswer, 0, 0
            assert theirs["em"] == pytest.approx(2 / 6) and theirs["f1"] == pytest.approx((2 + 1 / 2) / 6)
            assert 0 < theirs["joint_f1"] < theirs["f1"] and 0 < theirs["sp_f1"] < 1


DRAFTS = st.sampled_from(["yes", "No.", "the Ys", "Ys [1]", "Ys of Is", "", "noanswer", "Ker–Ys", "ys ys"])
SOME_FACTS = st.dictionaries(st.tuples(st.sampled_from(["t", "u &amp; v"]), st.integers(0, 2)), st.none(), max_size=4)


@given(
    st.lists(st.tuples(DRAFTS, st.booleans(), SOME_FACTS, DRAFTS.filter(str.strip), SOME_FACTS), min_size=1, max_size=4)
)
def test_any_predictions_score_officially_what_we_say(
    cases: list[tuple[str, bool, dict[Fact, None], str, dict[Fact, None]]],
) -> None:
    some, records = [], []
    for i, (draft, abstained, ours, gold, theirs) in enumerate(cases):
        asked = replace(question(facts=frozenset(theirs)), id=f"q{i}", answers=(gold,))
        said = trial(draft, abstained)
        some.append(MultihopOutcome(asked, said, dict(ours), scores(said, asked, keys("a"), ours)))
        records.append({"_id": f"q{i}", "answer": gold, "supporting_facts": [list(fact) for fact in theirs]})
    assert_official(result_json("hotpotqa", {}, {"dense": some}, SETTINGS), predictions("hotpotqa", some), records)


def test_predictions_of_hotpotqa_and_2wiki(outcomes: dict[str, list[MultihopOutcome]]) -> None:
    handed_in = json.loads(predictions("hotpotqa", outcomes[BM25]))
    assert list(handed_in) == ["answer", "sp"]
    assert handed_in["answer"] == {
        "q0": "Aalborg", "q1": "Bergen in Norway", "q2": "Yes.", "q3": "noanswer", "q4": "Lisbon", "q5": "no",
    }  # fmt: skip
    assert list(handed_in["sp"]) == list(handed_in["answer"])
    assert handed_in["sp"]["q3"] == [] and ["Ada Lind", 1] in handed_in["sp"]["q0"]
    in_files = {
        (title, i) for record in hotpot() for title, sentences in record["context"] for i in range(len(sentences))
    }
    assert {(title, i) for cited in handed_in["sp"].values() for title, i in cited} <= in_files
    assert json.loads(predictions("2wiki", outcomes[BM25])) == handed_in | {"evidence": {f"q{i}": [] for i in range(6)}}


def test_predictions_and_scores_of_musique(tmp_path: Path) -> None:
    records = musique(2)
    records[0] |= {"answer": "Is", "answer_aliases": ["Ker-Ys", "Ys"]}
    lakes = opened(tmp_path, records, "distractor", [BM25])

    class Careful(ScriptedReader):
        def stream(
            self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
        ) -> Iterator[str]:
            self.yes = 0.9 if "lake 0" in messages[-1][1] else 0.1
            yield from super().stream(messages, max_tokens, usage)

    outcomes = lakes.ask(tmp_path, Careful("Ys"), controls=False)
    lines = [json.loads(line) for line in predictions("musique", outcomes[BM25]).splitlines()]
    assert [line["predicted_answer"] for line in lines] == ["Ys", "noanswer"]
    assert [line["predicted_answerable"] for line in lines] == [True, False]
    assert [list(line) for line in lines] == [
        ["id", "predicted_answer", "predicted_support_idxs", "predicted_answerable"]
    ] * 2
    assert [line["id"] for line in lines] == ["2hop__0", "3hop__1"]
    assert [line["predicted_support_idxs"] for line in lines] == [[2], []]  # "The Orm of 0 ends in Ys."
    result = lakes.result(outcomes)
    assert (result["task"], result["metrics"]["em"]) == ("musique", 0.5)  # by an alias
    assert "sp_f1" not in result["metrics"] and result["metrics"]["R@5"] == 1
    assert list(result["by_type"]) == ["2hop", "3hop"]
    write(tmp_path / "out", "MuSiQue", "musique", result, outcomes, lakes.pool.gold)
    assert "| - |" in (tmp_path / "out" / "report.md").read_text()  # no sentence is gold


def test_a_line_a_question_tells_all_that_led_to_its_scores(
    six: Evaluation, outcomes: dict[str, list[MultihopOutcome]]
) -> None:
    told = [line(outcome, six.pool.gold[outcome.question.id]) for outcome in outcomes[BM25]]
    assert [one["id"] for one in told] == [f"q{i}" for i in range(6)]
    kept_back = told[3]
    assert (kept_back["answer"], kept_back["draft"], kept_back["abstained"]) == ("noanswer", "Dover", True)
    assert kept_back["gold"] == ["Dover"] and kept_back["gold_facts"] == [
        ("Dan Urquhart", 1),
        ("Dogwood Garden &amp; Park", 1),
    ]
    assert kept_back["support"] == 0.2 and kept_back["citations"] == [] and "Dan Urquhart" in kept_back["note"]
    assert [(e["rank"], e["gold"]) for e in told[0]["evidence"]] == [
        (rank, title != "Aalborg | <Tea>") for rank, title in enumerate(titles(outcomes[BM25][0]), start=1)
    ]
    assert told[0]["scores"] == outcomes[BM25][0].scores and told[0]["error"] is None
    assert json.loads(json.dumps(told[0]))["facts"] == [list(fact) for fact in outcomes[BM25][0].facts]


def test_the_same_again_is_the_same_but_for_the_time(six: Evaluation, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        asked = six.ask(tmp_path / folder, Replying())  # nothing is kept of the first
        write(tmp_path / folder / "out", "t", "hotpotqa", six.result(asked), asked, six.pool.gold)
    one, two = (
        {file.relative_to(out): file.read_bytes() for file in out.rglob("*.*")}
        for out in (tmp_path / "one" / "out", tmp_path / "two" / "out")
    )
    assert {str(file) for file in one} == {"report.md"} | {
        f"{folder}{name}"
        for folder in ("", "oracle/", "random/", "closed-book/")
        for name in ("predictions.json", "per_question.jsonl")
    }
    for file, content in one.items():
        if file.name == "predictions.json":
            assert two[file] == content
        if file.name == "per_question.jsonl":
            timeless = [
                [json.loads(line) | {"seconds": 0} for line in some.splitlines()] for some in (content, two[file])
            ]
            assert timeless[0] == timeless[1]


# -- the report ------------------------------------------------------------------------------------------------


def outcome(draft: str, found: str = "ab", **more: Any) -> MultihopOutcome:
    said = trial(draft, found=found, **more)
    return MultihopOutcome(question(), said, {}, scores(said, question(), keys("ab"), ()))


@pytest.mark.parametrize(
    ("wrong", "alone", "why"),
    [
        (outcome("the Ys"), None, None),
        (outcome("the Ys"), outcome("Is"), None),
        (outcome("Ys", error="it sleeps"), outcome("Ys"), "failed"),
        (outcome("Ys", abstained=True), outcome("Ys"), "kept back"),
        (outcome("Ys", abstained=True, found="a"), outcome("Ys"), "kept back"),
        (outcome("Is", abstained=True, found="a"), outcome("Ys"), "missing"),
        (outcome("Is", found="axyz"), outcome("Is"), "missing"),
        (outcome("Ys town"), outcome("Ys"), "form"),  # F1 2/3
        (outcome("Ys it is now"), outcome("Ys"), "distracted"),  # F1 2/5
        (outcome("Is"), outcome("Ys"), "distracted"),
        (outcome("Is"), outcome("Ys", abstained=True), "distracted"),
        (outcome("Is"), outcome("Us"), "hard"),
        (outcome("Is"), None, "misread"),
        (outcome("Is"), outcome("", error="it sleeps"), "misread"),
    ],
)
def test_why_an_answer_is_wrong(wrong: MultihopOutcome, alone: MultihopOutcome | None, why: str | None) -> None:
    assert cause(wrong, keys("ab"), alone) == why
    assert why is None or why in CAUSES


def test_at_most_ten_failures_are_told_the_causes_in_turn_and_the_surest_first() -> None:
    def wrong(number: int, draft: str, support: float, **more: Any) -> MultihopOutcome:
        one = outcome(draft, **more)
        assert one.trial.answer is not None
        answer = replace(one.trial.answer, support=support)
        return replace(one, question=replace(question(), id=f"q{number}"), trial=replace(one.trial, answer=answer))

    many = [wrong(i, "Is", (i % 7) / 10) for i in range(20)]
    many[4], many[8] = wrong(4, "Is", 0.1, found="a"), wrong(8, "Is", 0.0, found="b")
    many[9] = wrong(9, "Ys town", 0.1)
    many[11] = wrong(11, "Ys", 0.9)  # right
    told = instructive(many, {f"q{i}": keys("ab") for i in range(20)}, None)
    assert len(told) == FAILURES == 10
    assert [name for name, _ in told] == ["missing", "form", "misread", "missing", *["misread"] * 6]
    assert [one.question.id for _, one in told[:5]] == ["q4", "q9", "q6", "q8", "q13"]
    misread = [one.trial.answer.support for name, one in told if name == "misread" and one.trial.answer]
    assert misread == [0.6, 0.6, 0.5, 0.5, 0.5, 0.4, 0.3]


def test_the_report_has_every_row_the_charts_and_the_failures(
    six: Evaluation, outcomes: dict[str, list[MultihopOutcome]]
) -> None:
    text = report("hp.json, distractor setting", six.result(outcomes), outcomes, six.pool.gold)
    assert text.startswith("# hp.json, distractor setting\n") and "6 of 9 questions (seed 0" in text
    for row in ("**bm25**", "oracle", "random", "closed book"):
        assert f"\n| {row} | 6 | " in text
    assert "\n| **bm25** | 6 | 0.333 [0.00, 0.67] | 0.417 [0.08, 0.75] | 0.500 [" in text
    for row, difference in ((ORACLE, "+0.000 ["), (RANDOM, "+0.000 ["), (CLOSED_BOOK, "-0.167 [")):
        assert (
            f"\n- {row}: " in text and f"\n| {row} | {difference}" in text
        )  # by heart it answers, and is right once more
    latency, types = text.split("```")[1:4:2]
    assert sum(int(line.rsplit("  ", 1)[1].split()[0]) for line in latency.strip().splitlines()) == 6
    assert [line.split("  ")[0].strip() for line in types.strip().splitlines()] == ["bridge", "comparison yes/no"]
    assert types.splitlines()[2].endswith("0.50  n 2, F1 0.50")  # yes for yes, and no for yes
    below = text[text.index("## Failures") :]
    assert below.count("\n### ") == 4  # all that were wrong
    kept_back = below[below.index("it had the right answer".capitalize()) :].partition("###")[0]
    assert "gold: **Dover**" in kept_back and "said: **abstained; its draft: Dover**, support 0.20" in kept_back
    assert "- with the gold paragraphs alone: Dover\n" in kept_back and "Dan Urquhart (gold)" in kept_back
    assert below.count(f"\n| 1 | {CAUSES['kept back']} |") == 1


def test_words_of_documents_cannot_break_the_report(tmp_path: Path) -> None:
    evil = "x | <script>alert(1)</script>\n```\n| # [a](javascript:b) **"
    records = hotpot(4)
    records[0] |= {"question": f"{records[0]['question']} {evil}", "type": evil, "_id": evil, "answer": f"Ys {evil}"}
    records[1]["context"][0][0] = evil
    records[1]["supporting_facts"][0][0] = evil
    records[1]["context"][1][1][1] += f" {evil}"
    evaluation = opened(tmp_path, records, "distractor", [BM25])
    outcomes = evaluation.ask(tmp_path, Replying(Q[2]))
    text = report(evil, evaluation.result(outcomes), outcomes, evaluation.pool.gold)
    in_block, blocks = False, 0
    for one in text.splitlines():
        if one == "```":
            in_block, blocks = not in_block, blocks + 1
        elif not in_block:
            assert "<" not in one and "`" not in one.replace("\\`", "")
            assert "[a]" not in one.replace("\\[", "").replace("\\]", "")
            if one.startswith("|"):
                assert one.count("|") - one.count("\\|") in (3, 4, 6, 7, 8, 11)
    assert blocks == 4 and not in_block
    assert "1 questions failed" in text and "it &lt;sleeps&gt; \\| snores" in text


def test_half_a_character_of_a_reader_breaks_no_file(six: Evaluation, tmp_path: Path) -> None:
    outcomes = six.ask(tmp_path, ScriptedReader("Aal \ud83d borg"), controls=False)
    write(tmp_path / "out", "t", "hotpotqa", six.result(outcomes), outcomes, six.pool.gold)
    assert len((tmp_path / "out" / "per_question.jsonl").read_text("utf-8").splitlines()) == 6
    assert json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))["answer"].keys() >= {"q0", "q5"}


# -- failures of the reader ------------------------------------------------------------------------------------


def test_a_failed_question_is_an_outcome_and_all_failed_is_an_error(six: Evaluation, tmp_path: Path) -> None:
    outcomes = six.ask(tmp_path, Replying(Q[2]))
    result = six.result(outcomes)
    assert (result["failed"], result["controls"][ORACLE]["failed"], result["n"]) == (1, 1, 6)
    assert json.loads(predictions("hotpotqa", outcomes[BM25]))["answer"]["q2"] == ""
    assert "**1 questions failed** and count as wrong." in report("t", result, outcomes, six.pool.gold)
    assert line(outcomes[BM25][2], six.pool.gold["q2"])["error"] == SLEEPS
    with pytest.raises(ReaderError, match=r"every question failed, the first \d+ so: reader scripted did not answer"):
        six.ask(tmp_path / "all", Replying("all"))


def test_a_control_that_fails_everywhere_costs_no_other_row(six: Evaluation, tmp_path: Path) -> None:
    class NothingByHeart(Replying):
        def stream(
            self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
        ) -> Iterator[str]:
            if messages[-1][1].startswith("Question:"):
                raise ReaderError(SLEEPS)
            yield from super().stream(messages, max_tokens, usage)

    outcomes = six.ask(tmp_path, NothingByHeart())
    result = six.result(outcomes)
    assert (result["failed"], result["controls"][CLOSED_BOOK]["failed"]) == (0, 6)
    assert result["controls"][CLOSED_BOOK]["metrics"]["em"] == 0
    assert f"\n| {CLOSED_BOOK} | 6 | 0.000 " in report("t", result, outcomes, six.pool.gold)


def test_another_threshold_asks_nothing(six: Evaluation, tmp_path: Path) -> None:
    six.ask(tmp_path, Replying())
    silent_reader = Replying("all")
    outcomes = six.ask(tmp_path, silent_reader, settings=load_settings(["reader.support_threshold=0"]))
    assert silent_reader.asked == [] and six.result(outcomes)["metrics"]["em"] == pytest.approx(3 / 6)


# -- the command, with an endpoint -----------------------------------------------------------------------------


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with answering(REPLIES) as running:
        yield running


@dataclass
class Baseline:
    """A whole run of the command with its controls: what it printed and wrote, and the cache it left."""

    done: subprocess.CompletedProcess[str]
    folder: Path
    asked: list[str]

    @property
    def predictions(self) -> bytes:
        return (self.folder / "out" / "predictions.json").read_bytes()


def called(endpoint: Endpoint, data: Path, cache: Path, *more: object) -> list[object]:
    # The endpoint's port is another in each test; what is kept of its replies goes by its name.
    asked = ["eval", "hotpotqa", "--data", data, "--retriever", "bm25", "--cache", cache, "--json"]
    return ["--set", f"reader.model={endpoint.address}", *asked, *more]


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[tuple[Baseline, Endpoint]]:
    folder = tmp_path_factory.mktemp("baseline")
    data = written(folder / "hp.json.gz", hotpot())
    with answering(REPLIES) as running:
        done = glossator(*called(running, data, folder / "cache", "--out", folder / "out"))
        assert done.returncode == 0, done.stderr
        yield Baseline(done, folder, list(running.asked)), running


@pytest.fixture
def indexed(baseline: tuple[Baseline, Endpoint], tmp_path: Path) -> Path:
    """A cache with the baseline's index and none of its replies."""
    shutil.copytree(baseline[0].folder / "cache" / "corpora", tmp_path / "cache" / "corpora")
    return tmp_path / "cache"


def test_the_command_says_in_json_what_the_files_hold(baseline: tuple[Baseline, Endpoint]) -> None:
    one, _ = baseline
    result = json.loads(one.done.stdout)
    assert one.done.stderr == ""
    assert set(result) >= {"task", "n", "metrics", "intervals", "latency_ms", "settings", "models", "seconds"}
    assert (result["task"], result["n"], result["of"], result["passages"]) == ("hotpotqa", 6, 6, 18)
    assert set(result["latency_ms"]) == {"p50", "p95"} and list(result["controls"]) == [ORACLE, RANDOM, CLOSED_BOOK]
    assert "api_key" not in one.done.stdout
    for row in (result, *result["controls"].values()):
        for name, (low, high) in row["intervals"].items():
            assert low <= row["metrics"][name] <= high and (name.endswith(("tokens", "calls")) or 0 <= low <= high <= 1)
    assert_official(result, one.predictions.decode(), hotpot())
    lines = [json.loads(line) for line in (one.folder / "out" / "per_question.jsonl").read_text().splitlines()]
    for name in ("em", "f1", "sp_f1", "joint_f1", "R@2"):
        assert sum(line["scores"][name] for line in lines) / 6 == pytest.approx(result["metrics"][name], abs=1e-9)
    assert "| **bm25** | 6 |" in (one.folder / "out" / "report.md").read_text()


def test_the_same_command_again_asks_nothing_and_writes_the_same(
    baseline: tuple[Baseline, Endpoint], glossator: Run, tmp_path: Path
) -> None:
    one, running = baseline
    before = len(running.asked)
    data, cache = one.folder / "hp.json.gz", one.folder / "cache"
    done = glossator(*called(running, data, cache, "--out", tmp_path, "--limit", 99))
    assert (done.returncode, len(running.asked)) == (0, before)
    assert done.stderr == f"glossator: --limit 99: {data} holds 6 questions, all of them are asked\n"
    assert (tmp_path / "predictions.json").read_bytes() == one.predictions
    first, second = json.loads(one.done.stdout), json.loads(done.stdout)
    assert (first["metrics"], first["intervals"]) == (second["metrics"], second["intervals"])


def test_several_at_a_time_overlap_and_write_the_same(
    baseline: tuple[Baseline, Endpoint], indexed: Path, glossator: Run, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.together = threading.Barrier(3)  # no request is answered before three have come
    data = baseline[0].folder / "hp.json.gz"
    done = glossator(*called(endpoint, data, indexed, "--jobs", 3, "--no-controls", "--out", tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert endpoint.most_in_flight == 3 and not endpoint.together.broken
    assert len(endpoint.asked) == 3 * 6
    assert (tmp_path / "out" / "predictions.json").read_bytes() == baseline[0].predictions


def test_killed_in_the_fourth_question_it_goes_on_with_the_fourth(
    baseline: tuple[Baseline, Endpoint], indexed: Path, glossator: Run, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.stuck, endpoint.stuck_at = Q[3], 1  # its reply is there, what it is sure of is not
    data = baseline[0].folder / "hp.json.gz"
    arguments = called(endpoint, data, indexed, "--no-controls", "--out", tmp_path / "out")
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert endpoint.is_stuck.wait(60)
        running.kill()
    assert not (tmp_path / "out").exists()
    assert [endpoint.asked.count(question) for question in Q] == [3, 3, 3, 2, 0, 0]
    endpoint.let_go.set()
    endpoint.asked.clear()
    done = glossator(*arguments)
    assert done.returncode == 0, done.stderr
    assert [endpoint.asked.count(question) for question in Q] == [0, 0, 0, 3, 3, 3]
    assert (tmp_path / "out" / "predictions.json").read_bytes() == baseline[0].predictions


@pytest.mark.slow
def test_a_reader_that_fails_on_one_question_is_asked_that_one_again(
    baseline: tuple[Baseline, Endpoint], indexed: Path, glossator: Run, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.failing = {Q[2]}
    out, data = tmp_path / "out", baseline[0].folder / "hp.json.gz"
    arguments = called(endpoint, data, indexed, "--no-controls", "--out", out)
    done = glossator(*arguments)
    assert done.returncode == 0
    (said,) = done.stderr.splitlines()
    assert said.startswith("glossator: 1 of 6 questions failed and count as wrong; the same command asks them again.")
    assert said.endswith(f"See error in {out / 'per_question.jsonl'}")
    lines = [json.loads(line) for line in (out / "per_question.jsonl").read_text().splitlines()]
    assert [bool(line["error"]) for line in lines] == [i == 2 for i in range(6)]
    assert "the model is asleep" in lines[2]["error"]
    assert json.loads(done.stdout)["failed"] == 1
    endpoint.failing.clear()
    endpoint.asked.clear()
    again = glossator(*arguments)
    assert (again.returncode, again.stderr) == (0, "")
    assert endpoint.asked == [Q[2]] * 3
    assert (out / "predictions.json").read_bytes() == baseline[0].predictions


def test_where_every_question_fails_one_line_says_so(
    baseline: tuple[Baseline, Endpoint], indexed: Path, glossator: Run, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.failing = set(Q)
    done = glossator(
        *called(endpoint, baseline[0].folder / "hp.json.gz", indexed, "--jobs", 2, "--out", tmp_path / "out")
    )
    assert (done.returncode, done.stdout) == (1, "")
    (said,) = done.stderr.splitlines()
    assert said.startswith("glossator: every question failed, the first 5 so: reader http://127.0.0.1")
    assert "the model is asleep" in said and not (tmp_path / "out").exists()


GOOD, MISSING = hotpot(2), [*hotpot(1), {key: value for key, value in hotpot(2)[1].items() if key != "answer"}]


@pytest.mark.parametrize(
    ("content", "more", "code", "says"),
    [
        (None, [], 2, "questions.jsonl.gz: no such file"),
        (MISSING, [], 1, "questions.jsonl.gz, record 2: answer is missing"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab", [], 1, "questions.jsonl.gz: damaged gzip"),
        ([{"_id": "q", "text": "caf\ud83d"}], [], 1, "record 1: text holds half a character"),
        (GOOD, ["-k", 0], 2, "-k 0: ask for at least 1 passage"),
        (GOOD, ["--limit", 0], 2, "--limit"),
        (GOOD, ["--jobs", 2], 2, "--jobs 2: the reader qwen2.5-coder-0.5b answers one at a time"),
        (GOOD, ["--qrels", "x"], 2, "--corpus and --qrels are for --setting open"),
        (GOOD, ["--setting", "open", "--qrels", "x"], 2, "--qrels x: judges passages of a --corpus"),
        (GOOD, ["--setting", "open", "--corpus", "x.jsonl"], 2, "x.jsonl: no such file"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_code(
    glossator: Run, tmp_path: Path, content: Any, more: list[object], code: int, says: str
) -> None:
    file = tmp_path / "questions.jsonl.gz"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        written(file, "".join(f"{json.dumps(record)}\n" for record in content))
    asked = ["eval", "hotpotqa", "--data", file, "--cache", tmp_path / "cache", "--retriever", "bm25", "--json"]
    done = glossator("--set", LIGHT_READER, *asked, *more, cwd=Path(__file__).parents[1])
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1 or more[:1] == ["--limit"]  # typer draws a box
    assert not (tmp_path / "cache").exists()


# -- the command, with the reader that is here -----------------------------------------------------------------


@pytest.mark.slow
def test_the_light_reader_over_two_questions(glossator: Run, tmp_path: Path) -> None:
    records = hotpot(2)
    for record in records:
        record["context"] = record["context"][:2]
    data = written(tmp_path / "hp.json", records)
    done = glossator(
        "--set", LIGHT_READER, "--set", "reader.support_threshold=0", "eval", "hotpotqa", "--data", data, "--retriever",
        "bm25", "--no-controls", "--cache", tmp_path / "cache", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert_official(result, (tmp_path / "out" / "predictions.json").read_text(), records)
    assert result["models"]["reader"] == "qwen2.5-coder-0.5b" and result["metrics"]["all_gold@5"] == 1
    lines = [json.loads(line) for line in (tmp_path / "out" / "per_question.jsonl").read_text().splitlines()]
    assert all(0 <= one["support"] <= 1 and one["facts"] for one in lines)
    assert any(record["answer"] in one["answer"] for record, one in zip(records, lines, strict=True))
