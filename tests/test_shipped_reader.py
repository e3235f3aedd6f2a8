"""The reading model we ship: small, there without a fetch, what its card says, and right about plain questions."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from eval.reading.reading_records import read_file
from eval.reading.reading_scores import not_learnt
from rag.models.registry import SHIPPED, catalogue, fetch, path_of
from rag.settings import Settings
from rag.span.claim_support import verdicts
from rag.span.span_model import open_span_model, shared_span_model
from rag.span.span_reader import read_span, read_spans
from rag.span.windows import PassageText
from rag.train.reading.reading_questions import answer_scores, is_held_out
from tests.conftest import DATA, ROOT, needs_data

NAME = "glossator-reader"
FOLDER = SHIPPED / NAME
PASSAGES = [
    PassageText("Tarn Bridge", "The Tarn Bridge was built in 1911. Its engineer was Clyde Foundry."),
    PassageText("Gardens", "Tomatoes want sun. Carrots are sown in April, onions in March."),
    PassageText("Marie Curie", "Marie Curie was born in Warsaw in 1867. She won two Nobel Prizes."),
    PassageText("Danube", "The Danube is the second-longest river of Europe. It flows through ten countries."),
]
ASKED = {
    "When was the Tarn Bridge built?": "1911",
    "Who was the engineer of the Tarn Bridge?": "Clyde Foundry",
    "When are carrots sown?": "April",
    "Where was Marie Curie born?": "Warsaw",
    "Through how many countries does the Danube flow?": "ten",
    "What is sown in March?": "onions",
}


def test_it_is_the_default_small_and_there_without_a_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOSSATOR_MODELS", str(tmp_path / "nothing"))
    assert Settings().extract.model == NAME
    assert path_of(NAME) == fetch(NAME) == FOLDER
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 60_000_000
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packaged = project["tool"]["setuptools"]["package-data"]["rag.models"]
    assert {path for pattern in packaged for path in (ROOT / "rag/models").glob(pattern)} >= set(FOLDER.iterdir())


def test_it_learnt_from_train_parts_alone_and_its_card_says_how() -> None:
    record, card = json.loads((FOLDER / "trained.json").read_text("utf-8")), (FOLDER / "README.md").read_text("utf-8")
    assert record["base"] == "all-minilm-l6-v2" and "make reader" in card and catalogue()[NAME].licence in card
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\nREADING =")[2].partition("\n\n")[0]
    for file in record["data"]["files"]:
        assert any(file.startswith(kind) and kind in recipe for kind in ("spans-", "multihop-", "yesno-", "support-"))
    for benchmark in ("SQuAD", "HotpotQA", "2Wiki", "MuSiQue", "BoolQ", "Natural Questions", "Quoref", "FEVER", "MNLI"):
        assert benchmark in card


def test_it_answers_plain_questions_among_passages_of_other_things() -> None:
    model = shared_span_model(NAME)
    answers = {question: read_span(model, question, PASSAGES) for question in ASKED}
    right = [gold in answers[question].text for question, gold in ASKED.items()]
    assert sum(right) >= 5, {question: answer.text for question, answer in answers.items()}
    backwards = {question: read_span(model, question, PASSAGES[::-1]) for question in ASKED}
    assert {q: a.text for q, a in backwards.items()} == {q: a.text for q, a in answers.items()}


def test_it_tells_what_a_text_supports() -> None:
    text = "The Tarn Bridge was built in 1911. Its engineer was Clyde Foundry."
    claims = ["The Tarn Bridge was built in 1911.", "The Tarn Bridge was never built.", "Carrots are sown in April."]
    said = [each["supports"] for each in verdicts(shared_span_model(NAME), claims, [text] * 3)]
    assert said[0] > max(said[1:])


@needs_data
def test_it_reads_articles_that_it_has_not_seen() -> None:
    file = DATA / "reading/train/spans-squad1-train.jsonl.gz"
    questions = not_learnt(read_file(file), file, FOLDER).questions[::4][:100]
    assert all(is_held_out(question) for question in questions)
    answers = read_spans(open_span_model(FOLDER), [(question.question, question.passages) for question in questions])
    f1 = sum(answer_scores(answer, question)[1] for answer, question in zip(answers, questions, strict=True)) / 100
    assert f1 > 0.5
