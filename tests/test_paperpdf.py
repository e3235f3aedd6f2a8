"""PaperPDF's layout: its variants read alike, evidence found in the PDFs, the evaluation and the training over it."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eval.core.files import Record
from eval.pdf import pdf_questions as pdf
from eval.pdf.paperpdf import examples_of, overlaps, question_of, read_paperpdf
from rag.encode.dense_encoder import TrainedEncoder
from rag.errors import DataError, UsageError
from rag.locator import PageSpan
from rag.settings import load_settings
from tests.parts import BRIDGE, GARDEN, passage, small_library
from tests.pdfs import make_pdf
from ui.cli.main import app

RECORD: dict[str, Any] = {
    "pdf": "bridge",
    "category": "text-only",
    "query": "Who opened the bridge?",
    "answers": ["Clyde Foundry"],
    "evidence": {"texts": [[4, "The Tarn bridge was opened in 1911 by Clyde Foundry."]], "figures": []},
}
CAPTION = "Figure 2: The towers are made of red granite"


def write(file: Path, *records: dict[str, Any]) -> Path:
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return file


@pytest.mark.parametrize(
    "changed",
    [
        {"pdf": "papers/bridge.pdf"},
        {"pdf": None, "pdf_name": "bridge"},
        {"pdf": None, "file": "bridge.pdf"},
        {"pdf": None, "name": "bridge"},
        {"query": None, "question": RECORD["query"]},
        {"answers": "Clyde Foundry"},
        {"answers": None, "answer": "Clyde Foundry"},
        {"evidence": {"texts": [4, RECORD["evidence"]["texts"][0][1]]}},
        {"evidence": {"texts": [RECORD["evidence"]["texts"][0][1]], "figures": None}},
        {"evidence": {"text": RECORD["evidence"]["texts"][0][1]}},
        {"evidence": {"texts": [{"idx": 4, "text": RECORD["evidence"]["texts"][0][1]}]}},
    ],
)
def test_other_spellings_are_read_alike(changed: dict[str, Any]) -> None:
    expected = question_of(Record(Path("f"), 1, RECORD))
    assert question_of(Record(Path("f"), 1, RECORD | changed)) == expected
    assert (expected.file, expected.answers, expected.captions) == ("bridge.pdf", ("Clyde Foundry",), ())
    assert (expected.id, expected.where) == ("paperpdf-1", "text")


@pytest.mark.parametrize(
    "figures", [[[2, CAPTION, "f2.png"]], [2, CAPTION, "f2.png"], [{"idx": 2, "caption": CAPTION}]]
)
def test_figures_are_read_by_their_captions(figures: list[Any]) -> None:
    made = question_of(Record(Path("f"), 1, RECORD | {"evidence": {"texts": [], "figures": figures}}))
    assert (made.texts, made.captions, made.where) == ((), (CAPTION,), "figure")
    table = question_of(Record(Path("f"), 1, RECORD | {"evidence": {"figures": [[1, "Table 1: Spans", "t.png"]]}}))
    assert table.where == "table"


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"pdf": None}, "pdf or pdf_name or file or name is missing"),
        ({"query": " "}, "query or question is empty"),
        ({"answers": None}, "answer is missing"),
        ({"answers": [3]}, "answers is not a list of texts"),
        ({"evidence": {}}, "evidence holds no text and no caption"),
        ({"evidence": {"texts": [[1, " "]]}}, "evidence holds no text and no caption"),
        ({"evidence": {"texts": [[1, 2]]}}, "evidence: texts has an entry without a text"),
        ({"evidence": {"figures": [[1, None, "f"]]}}, "evidence: figures has an entry without a caption"),
        ({"evidence": [1]}, r"evidence is \[1\], not an object"),
    ],
)
def test_a_record_that_is_no_question_is_named(changed: dict[str, Any], wrong: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"q.jsonl, record 2: {wrong}"):
        read_paperpdf(write(tmp_path / "q.jsonl", RECORD, RECORD | changed))


def test_lines_arrays_and_gzip(tmp_path: Path) -> None:
    lines = write(tmp_path / "q.jsonl", RECORD, RECORD)
    array = tmp_path / "q.json"
    array.write_text(json.dumps([RECORD, RECORD]))
    zipped = tmp_path / "q.json.gz"
    zipped.write_bytes(gzip.compress(array.read_bytes()))
    expected = read_paperpdf(lines)
    assert [question.id for question in expected] == ["paperpdf-1", "paperpdf-2"]
    assert read_paperpdf(array) == read_paperpdf(zipped) == expected


# ---- evidence


def test_what_overlaps() -> None:
    words = [f"word{i}" for i in range(100)]
    evidence = " ".join(words)
    assert overlaps(" ".join(words[40:60]), evidence)  # a part
    assert overlaps(" ".join(["other"] * 99 + words + ["other"] * 9), evidence)  # the whole in more
    assert overlaps(" ".join(["other"] * 60 + words[:40]), evidence)  # across the edge
    assert overlaps(" ".join(w if i % 6 else "mi-sread" for i, w in enumerate(words)), evidence)
    assert not overlaps(" ".join(["other"] * 90 + words[:10]), evidence)
    assert not overlaps("", evidence) and not overlaps("...", evidence)
    assert not overlaps("Figure 2: The whole", "Figure 3: The parts")


def test_evidence_becomes_positives_and_the_rest_of_the_document_the_rest() -> None:
    library = small_library().library
    both = [[1, BRIDGE[1][0]], [2, BRIDGE[2][1]]]
    figure = {"texts": [], "figures": [[3, CAPTION, "f.png"]]}
    questions = [
        question_of(Record(Path("f"), i, RECORD | changed))
        for i, changed in enumerate([
            {}, {"evidence": {"texts": both}}, {"pdf": "gone"},
            {"evidence": {"texts": [*both, [3, "Nothing like it"]]}},
            {"evidence": figure}, {"pdf": "garden", "evidence": figure},
        ])
    ]  # fmt: skip
    made = examples_of(questions, library)
    assert (made.without_pdf, made.without_evidence) == (1, 2)
    assert [[p.locator.first_page for p in example.positives] for example in made.examples] == [[2], [2, 3], [3]]
    assert [[p.locator.first_page for p in example.rest] for example in made.examples] == [[1, 3], [1], [1, 2]]
    assert {p.path for example in made.examples for p in example.rest} == {made.examples[0].positives[0].path}


def test_a_caption_is_the_figures_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    library = small_library().library
    held = list(library.passages_since(0))
    document = next(p.document_id for _, p in held if p.path.endswith("bridge.pdf"))
    figure = replace(passage(9, f"{CAPTION}.", document), kind="figure")
    monkeypatch.setattr(library, "passages_since", lambda generation: [*held, (99, figure)])
    question = question_of(Record(Path("f"), 1, RECORD | {"evidence": {"figures": [[1, CAPTION, "f.png"]]}}))
    (example,) = examples_of([question], library).examples
    assert example.positives == (figure,)


# ---- the evaluation


def test_questions_of_either_layout(tmp_path: Path) -> None:
    ours = {"id": "q1", "file": "a.pdf", "question": "How many?", "answer": "162", "page": 3, "where": "text"}
    first, second = pdf.read_questions(write(tmp_path / "q.jsonl", ours, RECORD))
    assert first.on_gold_page("x/a.pdf", PageSpan(3, 4), "whatever")
    assert not first.on_gold_page("x/a.pdf", PageSpan(4, 4), "whatever")
    assert (second.id, second.file, second.golds, second.page) == ("paperpdf-2", "bridge.pdf", ("Clyde Foundry",), 0)
    assert second.on_gold_page(
        "x/bridge.pdf", PageSpan(7, 7), "In short: the Tarn bridge was opened in 1911 by Clyde Foundry"
    )
    assert not second.on_gold_page("x/other.pdf", PageSpan(7, 7), BRIDGE[1][0])
    assert not second.on_gold_page("x/bridge.pdf", PageSpan(7, 7), BRIDGE[2][0])


def test_gold_and_oracle_are_the_passages_with_the_evidence() -> None:
    indexes = small_library()
    question = pdf._of_paperpdf(Record(Path("f"), 1, RECORD))
    rows = pdf.rows_of([question], indexes, "bm25", 3)
    oracle = rows.evidence["oracle"]
    assert oracle is not None
    assert [hit.passage.locator.first_page for hit in oracle(0, question.question)] == [2]


# ---- the command


def test_training_from_pdfs_to_a_model_that_searches(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    papers, out = tmp_path / "papers", tmp_path / "trained"
    papers.mkdir()
    make_pdf(papers / "bridge.pdf", BRIDGE, "The Tarn Bridge")
    make_pdf(papers / "garden.pdf", GARDEN, "A Garden Book")
    honey = RECORD | {"pdf": "garden", "query": "Who sold honey?", "evidence": {"texts": [[0, GARDEN[1][0]]]}}
    data = write(tmp_path / "train.jsonl", RECORD, honey, RECORD | {"pdf": "gone"})
    small = ["ingest.passage_tokens=30", "ingest.overlap_tokens=0"]
    request = [word for setting in small for word in ("--set", setting)]
    request += ["train", "sampler", "--data", str(data), "--folder", str(papers), "--out", str(out)]
    done = CliRunner().invoke(app, [*request, "--epochs", "2", "--json"])
    assert done.exit_code == 0, done.exception
    assert "1 of 3 questions are left out: 1 whose PDF is not in" in caplog.text
    result = json.loads(done.stdout)
    assert (result["examples"], result["left_out"]) == (2, {"without_pdf": 1, "without_evidence": 0})
    assert result["losses"][1] < result["losses"][0]
    assert sorted(file.name for file in out.iterdir()) == ["projection.safetensors", "sampler.json"]
    indexes = pdf.open_library(papers, tmp_path / "library", load_settings([*small, f"dense.model={out}"]))
    assert isinstance(indexes.encoder(), TrainedEncoder)
    assert indexes.retriever("dense").search(["Who sold honey?"], 1)[0][0].passage.title == "A Garden Book"
    with pytest.raises(UsageError, match="is there already"):
        CliRunner().invoke(app, request, catch_exceptions=False)
