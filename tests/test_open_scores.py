"""eval/open: questions are read as their scorer reads them, and answers score the same by both."""

from __future__ import annotations

import importlib.util
import json
import random
from pathlib import Path
from types import ModuleType

import pytest

from eval.open.nuggets import OpenQuestion, Place, read_open_questions
from eval.open.open_scores import Cited, is_held, plain_text, score_text, sentences
from rag.errors import DataError
from tests.conftest import DATA, needs_data

OPEN = DATA / "open"
FACT = {
    "text": "it was 1911",
    "any_of": ["\\b1911\\b"],
    "vital": True,
    "doc": "mills.pdf",
    "page": 3,
    "evidence": "in 1911",
}
RECORD = {
    "id": "q",
    "kind": "explain",
    "question": "Why?",
    "nuggets": [FACT, {**FACT, "any_of": ["tide"], "vital": False}],
}


def question_of(record: dict[str, object], folder: Path) -> OpenQuestion:
    (folder / "questions.jsonl").write_text(json.dumps(record))
    return read_open_questions(folder / "questions.jsonl")[0]


def test_scores_by_hand(tmp_path: Path) -> None:
    question = question_of(RECORD, tmp_path)
    right = Cited(("mills.pdf", "Tide Mills"), Place(page=4), "opened in 1911")
    far = Cited(("mills.pdf", "Tide Mills"), Place(page=6), "opened in 1911")
    text = "It opened in **1911** [1]. It has since been closed."
    found = score_text(question, text, False, [right, far])
    assert (found["vital"], found["all"], found["cited_sentences"]) == (1.0, 0.5, 0.5)
    assert (found["citation_precision"], found["abstention"], found["words"]) == (0.5, 1.0, 9.0)
    refused = score_text(question, text, True, [right])
    assert (refused["vital"], refused["abstention"], refused["citation_precision"]) == (0.0, 0.0, None)
    nothing = question_of({**RECORD, "kind": "unanswerable", "nuggets": []}, tmp_path)
    assert (score_text(nothing, "", True, [])["abstention"], score_text(nothing, "x", False, [])["vital"]) == (
        1.0,
        None,
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kind": "poem"}, "kind is poem"),
        ({"nuggets": []}, "has some"),
        ({"nuggets": [{"text": "x"}]}, "any_of"),
        ({"nuggets": [{**FACT, "any_of": ["("]}]}, "a pattern cannot be used"),
        ({"history": ["Who?"]}, "history"),
    ],
)
def test_a_record_that_is_no_question_is_named(changed: dict[str, object], says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"record 1: .*{says}"):
        question_of({**RECORD, **changed}, tmp_path)


@pytest.fixture(scope="module")
def scorer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", OPEN / "score.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_data
def test_answers_score_as_by_the_scorer_of_the_questions(scorer: ModuleType) -> None:
    """References with and without markers, cut, of other questions, in Markdown; citations right and moved."""
    records = scorer.load(OPEN / "a.jsonl")
    questions = read_open_questions(OPEN / "a.jsonl")
    chance = random.Random(7)
    for record, question in zip(records, questions, strict=True):
        others = [record, chance.choice(records)]
        for other in others:
            text = other["reference"].replace(". ", chance.choice((". ", " [1]. ", ". [1, 2] ", ".\n- ", " — ")))
            text = text[: chance.randint(10, len(text))]
            abstained = chance.random() < 0.2
            cited = []
            for nugget in other["nuggets"]:
                moved = chance.choice((0, 0, 1, 2, 100))
                fields = {"document": nugget["doc"].rpartition("/")[2], "title": chance.choice(("", "Some Paper"))}
                fields |= {"quote": nugget["evidence"]} | {
                    key: nugget[key] + moved if key != "section" else nugget[key]
                    for key in ("page", "second", "section", "para")
                    if key in nugget and chance.random() < 0.9
                }
                cited.append(fields)
            theirs = scorer.score_one(record, {"text": text, "abstained": abstained, "citations": cited})
            places = [Place(f.get("page"), f.get("second"), f.get("section"), f.get("para")) for f in cited]
            ours = score_text(
                question, text, abstained,
                [Cited((f["document"], f["title"]), place, f["quote"]) for f, place in zip(cited, places, strict=True)],
            )  # fmt: skip
            names = {
                "vital": "vital", "all": "all", "abstention": "abst_ok", "wrong": "must_not", "words": "words",
                "cited_sentences": "cited_sents", "citation_precision": "cit_ok",
            }  # fmt: skip
            assert {name: ours[name] for name in names} == {name: theirs[key] for name, key in names.items()}
            assert plain_text(text) == scorer.clean(text)
            assert sentences(text) == scorer.sentences(text)
            assert question.row == theirs["kind"]


def test_a_question_is_held_by_a_library_that_has_all_of_its_documents(tmp_path: Path) -> None:
    question = question_of({**RECORD, "nuggets": [FACT, {**FACT, "doc": "tolls/ferry-log.vtt"}]}, tmp_path)
    mills, ferry, other = ("Tide Mills", "mills.pdf"), ("ferry log", "ferry-log.vtt"), ("Rain in Oslo", "rain.pdf")
    assert is_held(question, [other, ferry, mills])
    assert not is_held(question, [other, mills]) and not is_held(question, [])
    assert is_held(question_of({**RECORD, "kind": "unanswerable", "nuggets": []}, tmp_path), [])
