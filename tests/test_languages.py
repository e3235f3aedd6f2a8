"""Other languages than English: known, searched by their own stems, answered in (rag/encode/language.py, bm25.py)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.encode.language import ENGLISH, NAMES, language_of
from rag.index.bm25 import ANALYZERS, Bm25Index
from rag.read.prompts import ANSWER, answer_messages
from rag.records import Passage
from rag.settings import load_settings
from tests.conftest import DATA, PDFS, ROOT, Run, needs_data

MADE = ROOT / "eval" / "languages"
ASKED = {
    "de": "Wer hat die alte Mühle gebaut?", "fr": "Qui a construit le moulin ?", "es": "¿Quién construyó el molino?",
    "it": "Chi ha costruito il mulino?", "nl": "Wie heeft de molen gebouwd?",
    "ru": "Кто построил мельницу?", "ko": "누가 물레방아를 지었습니까?",
    "ja": "水車は誰が建てましたか？", "zh": "谁建造了水车？", "ar": "من بنى الطاحونة؟",
}  # fmt: skip


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (MADE / name).read_text("utf-8").splitlines()]


@pytest.mark.parametrize("language", ASKED)
def test_a_question_is_known_by_its_language(language: str) -> None:
    assert language_of(ASKED[language]) == language


@needs_data
def test_no_english_question_is_taken_for_another_language() -> None:
    asked = []
    for file in ("hotpotqa/dev-a.jsonl.gz", "2wiki/dev-a.jsonl.gz", "musique/train-100.jsonl.gz"):
        lines = gzip.decompress((DATA / file).read_bytes()).decode().splitlines()
        asked += [json.loads(line)["question"] for line in lines]
    assert len(asked) > 700
    assert [question for question in asked if language_of(question) != ENGLISH] == []


def test_every_language_has_an_analyser() -> None:
    assert set(ANALYZERS) == set(NAMES)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bm25Index]:
    passages = [Passage(row["id"], row["id"], "", "", row["text"], 0, len(row["text"])) for row in rows("corpus.jsonl")]
    english = [
        "The mill was built of oak in 1911 by two brothers.",
        "The Mueller family sold flour to the bakers of Kolm.",
    ]
    passages += [Passage(f"en{i}", f"en{i}", "", "", text, 0, len(text)) for i, text in enumerate(english)]
    made = Bm25Index(tmp_path_factory.mktemp("index") / "bm25", 0.9, 0.4, {})
    made.apply([], enumerate(passages, start=1), lambda *_: None)
    made.commit()
    made.close()
    made.open()
    yield made
    made.close()


@pytest.mark.parametrize("language", ["de", "fr", "ko"])
def test_other_forms_of_a_word_are_found(index: Bm25Index, language: str) -> None:
    found = [index.search(row["text"], 1)[0][0] == row["id"] for row in rows(f"questions-{language}.jsonl")]
    assert sum(found) >= 18, "of 20; with the English analyser 13 to 15"


def test_an_english_question_is_searched_as_if_there_were_no_other_language(index: Bm25Index, tmp_path: Path) -> None:
    found = index.search("Who built mills of oak?", 3)
    assert found[0][0] == "en0"
    assert set(found[0][2]) == {"built", "mill", "oak"}
    german = index.search("Wer errichtete 1911 Mühlen aus Eiche?", 1)[0]
    assert german[0] == "de0"
    assert sum(german[2].values()) == pytest.approx(german[1], rel=1e-5), "a score is the sum of its terms"


@needs_data
@pytest.mark.slow
def test_sentences_of_a_korean_pdf_are_found_in_it(glossator: Run, tmp_path: Path) -> None:
    others = ROOT / "examples" / "podcasting-q-and-a.srt", ROOT / "README.md"
    korean = PDFS / "korean-text-with-tables.pdf"
    ingested = glossator("ingest", korean, *others, "--library", tmp_path / "l")
    assert ingested.returncode == 0, ingested.stderr
    from rag.index.manager import Indexes
    from rag.library.catalogue import Library
    from rag.sentences import sentence_spans

    library = Library.open(tmp_path / "l")
    passages = [p for _, p in library.passages_since(0) if "korean" in p.path]
    sentences = [
        p.text[a:b] for p in passages for a, b in sentence_spans(p.text)
        if language_of(p.text[a:b]) == "ko" and 12 <= b - a <= 200
    ]  # fmt: skip
    assert len(sentences) >= 3
    rankings = Indexes(library, load_settings()).retriever("bm25").search(sentences[:6], 1)
    assert all("korean" in hits[0].passage.path for hits in rankings) and len(rankings) >= 3


def test_the_reader_is_told_the_language_of_the_question_alone() -> None:
    assert answer_messages("Who built the mill?", [])[0] == ("system", ANSWER)
    assert answer_messages(ASKED["de"], [])[0] == ("system", f"{ANSWER} Answer in German.")
