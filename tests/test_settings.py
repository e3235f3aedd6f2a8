"""rag/settings.py: settings.toml lists the defaults, a wrong setting is named, and the hash follows the values."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.errors import UsageError
from rag.settings import ReaderSettings, Settings, as_markdown, as_toml, load_settings
from tests.conftest import ROOT

# One other, valid value for every setting.
OTHER = {
    "library.engine": "milvus",
    "library.uri": "http://localhost:19530",
    "library.catalogue": "postgresql://me@localhost/db",
    "library.files": "s3://bucket/prefix",
    "ingest.ocr": "false",
    "audio.model": "whisper-tiny-en",
    "reader.unsupported": "mark",
    "reader.vision": "true",
    "reader.rules": "comparison,table_cell",
    "ingest.passage_tokens": "181",
    "ingest.overlap_tokens": "31",
    "ingest.page_seconds": "31.5",
    "ingest.memory_mb": "2049",
    "chapters.method": "combined",
    "dense.model": "another",
    "dense.max_tokens": "255",
    "dense.batch_size": "33",
    "sparse.model": "nearby/other-sparse",
    "sparse.method": "SPLADE",
    "sparse.query_model": "nearby/queries",
    "sparse.max_tokens": "16",
    "sparse.batch_size": "1",
    "bm25.k1": "1.2",
    "bm25.b": "0.75",
    "bm25.title_weight": "0.25",
    "bm25.chapter_weight": "0",
    "bm25.description_weight": "1",
    "retrieve.retriever": "bm25",
    "retrieve.k": "6",
    "experimental.fusion": "rrf",
    "retrieve.bm25_weight": "2",
    "retrieve.sparse_weight": "0",
    "retrieve.dense_weight": "0.5",
    "retrieve.links": "false",
    "experimental.rank_constant": "61",
    "retrieve.fusion_depth": "101",
    "retrieve.max_query_characters": "4001",
    "experimental.feedback": "rocchio",
    "experimental.feedback_interpolation": "after",
    "precedents.pooling": "nearby/pooling",
    "experimental.rerank_model": "nearby/cross-encoder",
    "experimental.rerank_depth": "10",
    "extract.model": "nearby/reading-model",
    "extract.threshold": "0.5",
    "attribute.calls": "200",
    "experimental.absence": "masked",
    "attribute.permutations": "20",
    "attribute.runtime": "reader",
    "attribute.value": "likelihood",
    "reader.model": "another",
    "reader.context_tokens": "4097",
    "reader.answer_tokens": "65",
    "reader.timeout_seconds": "121",
    "reader.support_threshold": "0.6",
    "reader.min_probability": "0.6",
    "experimental.notes": "written",
    "experimental.rounds": "2",
    "experimental.filter_threshold": "0.3",
    "reader.judge": "nearby/judge",
}


@pytest.fixture(autouse=True)
def no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLOSSATOR_SETTINGS", raising=False)


def all_of(settings: Settings) -> dict[str, dict[str, Any]]:
    values = settings.model_dump(mode="json")
    values["reader"]["api_key"] = settings.reader.api_key  # left out of every dump
    return values


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


# ---- defaults


def test_settings_toml_lists_exactly_the_defaults() -> None:
    listed = tomllib.loads((ROOT / "settings.toml").read_text("utf-8"))
    assert listed == all_of(Settings())
    for section, values in listed.items():
        for key, value in values.items():
            assert type(value) is type(all_of(Settings())[section][key]), key
    assert load_settings(file=ROOT / "settings.toml") == load_settings() == Settings()


@pytest.mark.parametrize(("file", "text"), [("settings.toml", as_toml), ("docs/settings.md", as_markdown)])
def test_the_files_are_those_that_the_records_write(file: str, text: Callable[[], str]) -> None:
    assert (ROOT / file).read_text("utf-8") == text(), "run: python -m rag.settings"


def test_every_setting_is_described() -> None:
    for name, stage in Settings.model_fields.items():
        record: Any = stage.annotation
        assert record.__doc__, name
        for key, field in record.model_fields.items():
            assert field.description and field.description[0] not in " .", f"{name}.{key}"


def test_every_setting_has_another_value_here() -> None:
    keys = {f"{section}.{key}" for section, values in all_of(Settings()).items() for key in values}
    assert keys == OTHER.keys() | {"reader.api_key"}


# ---- where values come from


def test_a_file_is_laid_over_the_defaults_and_set_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path / "s.toml", '[retrieve]\nk = 7\nretriever = "dense"\n[bm25]\nb = 1\n')
    settings = load_settings(["retrieve.k=9", " reader.model = http://localhost:1/v1#a=b "], file)
    assert (settings.retrieve.k, settings.retrieve.retriever, settings.bm25.b) == (9, "dense", 1.0)
    assert settings.reader.model == "http://localhost:1/v1#a=b"
    assert settings.bm25.k1 == Settings().bm25.k1
    assert load_settings(["retrieve.k=9", "retrieve.k=4"]).retrieve.k == 4  # the last one counts


def test_the_file_may_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOSSATOR_SETTINGS", str(written(tmp_path / "s.toml", "[retrieve]\nk = 7\n")))
    assert load_settings().retrieve.k == 7
    assert load_settings(file=written(tmp_path / "t.toml", "[retrieve]\nk = 8\n")).retrieve.k == 8
    monkeypatch.setenv("GLOSSATOR_SETTINGS", "")
    assert load_settings() == Settings()


@pytest.mark.parametrize("key", OTHER)
def test_every_setting_can_be_set(key: str) -> None:
    settings = load_settings([f"{key}={OTHER[key]}"])
    section, name = key.split(".")
    value = all_of(settings)[section][name]
    said = ",".join(value) if isinstance(value, list) else str(value)
    assert said.removesuffix(".0").lower() == OTHER[key].lower()
    assert settings.hash != Settings().hash


# ---- what is wrong is named


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("retrieve.kk=3", r"retrieve\.kk: no such setting"),
        ("retrive.k=3", "retrive: no such setting"),
        ("retrieve.k=three", r"retrieve\.k: "),
        ("retrieve.k=", r"retrieve\.k: "),
        ("retrieve.k=0", r"retrieve\.k: "),
        ("retrieve.k=2.5", r"retrieve\.k: "),
        ("retrieve.retriever=bm", r"retrieve\.retriever: "),
        ("bm25.b=1.1", r"bm25\.b: "),
        ("bm25.k1=nan", r"bm25\.k1: "),
        ("bm25.k1=inf", r"bm25\.k1: "),
        ("ingest.page_seconds=inf", r"ingest\.page_seconds: "),
        ("reader.timeout_seconds=0", r"reader\.timeout_seconds: "),
        ("reader.support_threshold=-0.1", r"reader\.support_threshold: "),
        ("k=3", "--set k=3: .*section.key=value"),
        ("retrieve.k", "--set retrieve.k: .*section.key=value"),
        ("retrieve.=3", "section.key=value"),
        (".k=3", "section.key=value"),
        ("", "section.key=value"),
    ],
)
def test_a_wrong_override_is_named(override: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        load_settings([override])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[retrieve]\nkk = 3\n", r"retrieve\.kk: no such setting"),
        ("[nonsense]\n", "nonsense: no such setting"),
        ('[retrieve]\nk = "x"\n', r"retrieve\.k: "),
        ("retrieve = 3\n", "retrieve: "),
        ("[reader]\nmodel = 3\n", r"reader\.model: "),
        ("[reader]\nmodel = [1]\n", r"reader\.model: "),
        ("[retrieve\n", r"s\.toml cannot be read"),
        ("k = \xff", r"s\.toml cannot be read"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "s.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=named):
        load_settings(file=file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        load_settings(file=tmp_path / "nowhere.toml")
    with pytest.raises(UsageError, match="must be a table"):
        load_settings(["retrieve.k=3"], written(tmp_path / "s.toml", "retrieve = 3\n"))


def test_settings_do_not_change_after_loading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().retrieve.k = 3
    with pytest.raises(ValueError, match="frozen"):
        Settings().reader = ReaderSettings()


# ---- the hash


def test_the_hash_is_the_same_everywhere_and_different_for_every_value() -> None:
    program = "from rag.settings import load_settings; print(load_settings(['retrieve.k=6']).hash)"
    elsewhere = subprocess.run([sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True)
    assert elsewhere.stdout.strip() == load_settings(["retrieve.k=6"]).hash
    hashes = {load_settings([f"{key}={value}"]).hash for key, value in OTHER.items()}
    assert len(hashes | {Settings().hash}) == len(OTHER) + 1
    assert load_settings(["retrieve.k=5"]).hash == Settings().hash  # the default, written out


def test_the_key_is_neither_in_the_hash_nor_printed_with_the_settings() -> None:
    secret = load_settings(["reader.api_key=hush-hush"])
    assert secret.reader.api_key == "hush-hush"
    assert secret.hash == Settings().hash
    assert "hush-hush" not in secret.model_dump_json()
    assert "hush-hush" not in str(secret.model_dump(mode="json"))
    assert "hush-hush" not in f"{secret!r} {secret}"
