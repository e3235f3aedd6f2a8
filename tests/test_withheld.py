"""withheld.py: no file that we report figures on can be trained on, whatever it is called and however packed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from eval.core import withheld
from eval.core.withheld import check_not_withheld, digest_of, is_withheld
from eval.retrieval.training_data import read_training_data
from rag.errors import DataError, UsageError
from tests.benchmarks import hotpot, written
from tests.conftest import DATA, needs_data

NAMES = sorted(withheld.withheld().values())


def test_the_list_is_of_files_by_their_sha256() -> None:
    assert len(set(NAMES)) == len(withheld.withheld()) == 12
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in withheld.withheld())


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_a_withheld_file_is_refused_under_any_name_and_packing(name: str, tmp_path: Path) -> None:
    raw = (DATA / name).read_bytes()
    content = gzip.decompress(raw) if name.endswith(".gz") else raw
    for i, data in enumerate([raw, content, gzip.compress(content, 1), gzip.compress(content, 9, mtime=0)]):
        (tmp_path / f"train-{i}").write_bytes(data)
        with pytest.raises(
            UsageError, match=rf"^--data .*train-{i}: it holds {name}, on which .* Name a training file$"
        ) as e:
            check_not_withheld(tmp_path / f"train-{i}")
        assert "\n" not in str(e.value)
        with pytest.raises(UsageError, match="it holds"):
            read_training_data([tmp_path / f"train-{i}"])
    (tmp_path / "other").write_bytes(content[:-1])
    check_not_withheld(tmp_path / "other")


@needs_data
def test_what_may_be_trained_on_is_not_refused() -> None:
    trained_on = [file for file in DATA.rglob("*train*") if file.is_file()]
    assert len(trained_on) >= 4
    for file in [*trained_on, *DATA.rglob("corpus*"), *DATA.rglob("queries.jsonl.gz"), *DATA.rglob("*.pdf")]:
        check_not_withheld(file)


@needs_data
def test_test_judgements_are_refused_as_train_judgements(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    for name in ("corpus.jsonl.gz", "queries.jsonl.gz"):
        (tmp_path / name).symlink_to(DATA / "beir/scifact" / name)
    test = (DATA / "beir/scifact/qrels/test.tsv").read_text()
    (tmp_path / "qrels/train.tsv").write_text(test)
    with pytest.raises(UsageError, match=r"it holds beir/scifact/qrels/test\.tsv"):
        read_training_data([tmp_path])
    (tmp_path / "qrels/train.tsv").write_text(test.replace("\n", "\r\n"))  # other bytes, but the queries say it
    with pytest.raises(DataError, match=r"split is 'test'"):
        read_training_data([tmp_path])


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress((DATA / name).read_bytes()).splitlines()]


def questions() -> list[str]:
    """All that stand in the withheld files."""
    found = []
    for name in ("hotpotqa/dev-a", "hotpotqa/dev-extra-paragraph-gold", "hotpotqa/fullwiki-a", "2wiki/dev-a"):
        found += [record["question"] for record in records(f"{name}.jsonl.gz")]
    found += [claim["text"] for claim in records("beir/scifact/queries.jsonl.gz") if claim["split"] == "test"]
    for file, key in (("pdf/questions", "question"), ("legal/ecthr/questions-a", "question")):
        found += [json.loads(line)[key] for line in (DATA / f"{file}.jsonl").read_text("utf-8").splitlines()]
    episodes = (DATA / "podcasts/chapter-queries.jsonl").read_text("utf-8")
    return found + [json.loads(line)["query"] for line in episodes.splitlines()]


@needs_data
def test_the_questions_are_known_by_their_words() -> None:
    assert sorted({digest_of(question) for question in questions()}) == withheld.QUESTIONS.read_text().splitlines()
    assert all(is_withheld(f" {question.upper()} !") for question in questions()[::50])


def test_questions_that_are_measured_on_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path / "mine.jsonl", hotpot())
    _, pairs = read_training_data([file])
    digests = tmp_path / "digests.txt"
    monkeypatch.setattr(withheld, "QUESTIONS", digests)
    for known in (pairs[:1], pairs):
        withheld._questions.cache_clear()
        digests.write_text("\n".join(digest_of(pair.query) for pair in known))
        if known == pairs:
            with pytest.raises(UsageError, match=r"there are no others\. Name a training file$"):
                read_training_data([file])
        else:
            assert read_training_data([file])[1] == pairs[1:]
            assert "measured on 1 of its questions, which are left out" in caplog.text
    withheld._questions.cache_clear()


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    check_not_withheld(tmp_path / "none.jsonl")
    check_not_withheld(tmp_path)
    check_not_withheld(written(tmp_path / "mine.jsonl.gz", hotpot()))
    damaged = tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(gzip.compress(b"{}" * 999)[:-9])
    check_not_withheld(damaged)
    with pytest.raises(DataError, match="damaged gzip"):
        read_training_data([damaged])
