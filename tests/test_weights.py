"""rag/llm/gguf_weights.py: a .gguf file unpacked for torch, once and wholly, and two runtimes of the same weights."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rag.answer import ask
from rag.attribute.tree_reader import TreeReader, in_torch
from rag.errors import ModelError
from rag.explain import explain
from rag.llm.gguf_weights import unpacked
from rag.llm.open import open_reader
from rag.models.registry import models_folder
from rag.pipeline import Pipeline
from rag.records import Answer, Hit
from rag.settings import ReaderSettings, load_settings
from tests.conftest import LIGHT_READER
from tests.parts import passage
from tests.test_answer import ScriptedRetriever

TEXTS = ["The Tarn Bridge was opened in 1911.", "Tomatoes want sun and water.", "The mill was sold in 1950."]
HITS = [Hit(i, 1 / i, passage(0, text, f"d{i}", title=f"T{i}")) for i, text in enumerate(TEXTS, start=1)]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("GLOSSATOR_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_what_is_no_gguf_file_is_one_line_and_leaves_nothing(models: Path, tmp_path: Path) -> None:
    file = tmp_path / "odd.name.gguf"
    file.write_bytes(b"GGUF and nothing more")
    with pytest.raises(ModelError, match=r"odd\.name\.gguf: transformers cannot unpack it: \S") as caught:
        unpacked(file)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in models.iterdir() if not entry.name.startswith(".")] == []


def test_no_room_on_the_disk_is_said_before_anything_is_done(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(bytes(1000))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9999, 6001, 3999))  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=r"no room for 0\.0 GB"):
        unpacked(file)


def test_other_readers_have_no_file_to_unpack() -> None:
    assert in_torch(open_reader(ReaderSettings(model="http://127.0.0.1:9/v1#m"))) is None


def test_where_it_cannot_be_unpacked_the_reader_itself_explains(
    models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(reader: object, report: object) -> None:
        raise ModelError("no room")

    monkeypatch.setattr("rag.explain.in_torch", broken)
    settings = load_settings(["reader.model=http://127.0.0.1:9/v1#m"])
    reader = open_reader(settings.reader)
    answer = Answer("?", "1911", False, (), (), tuple(HITS), None, "m", "h")
    monkeypatch.setattr(type(reader), "stream", lambda self, messages, *rest: iter(["1911"]))
    some = Pipeline(ScriptedRetriever(HITS), reader, lambda *span: (1, 1), "", settings)  # type: ignore[arg-type]
    told = explain(answer, some, "direct", "document").attribution
    assert told is not None and told.reader_calls == 7 and [player.score for player in told.players] == [0, 0, 0]
    assert "several times as long: no room" in caplog.text


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_runtimes_of_the_same_weights_explain_alike() -> None:
    settings = load_settings([LIGHT_READER, "reader.support_threshold=0"])
    reader = open_reader(settings.reader)
    fast = in_torch(reader)
    assert isinstance(fast, TreeReader) and reader.file is not None
    assert unpacked(reader.file).parent == models_folder()
    some = Pipeline(ScriptedRetriever(HITS), reader, lambda *span: (1, 1), "", settings)  # type: ignore[arg-type]
    question = "In which year was the Tarn Bridge opened?"
    *_, answer = ask(question, some, 3, strategy="direct")
    assert isinstance(answer, Answer) and answer.answer.startswith("1911")
    told = explain(answer, some, "direct", "document").attribution
    slow = load_settings([LIGHT_READER, "reader.support_threshold=0", "attribute.runtime=reader"])
    plain = explain(answer, replace(some, settings=slow), "direct", "document").attribution
    assert told is not None and plain is not None and (told.reader_calls, plain.reader_calls) == (7, 7)
    assert [player.score for player in told.players] == pytest.approx([player.score for player in plain.players])
    assert told.players[0].score == max(player.score for player in told.players) > 0.5
