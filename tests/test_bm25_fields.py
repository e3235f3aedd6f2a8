"""The fields of transcripts in rag/index/bm25.py: a weighted sum of BM25, and other passages' scores unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.document import Document, Episode
from rag.index.bm25 import FIELDS, Bm25Index
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.locator import TimeSpan
from rag.protocols import silent
from rag.records import Passage, Removal
from rag.settings import load_settings
from tests.parts import passage
from tests.test_bm25 import EIGHT, K1, TEXTS, B, assert_same, reference

ALL = {"title": 0.5, "chapter": 1, "description": 0.25}


def said(number: int, text: str, chapter: str, description: str = "", title: str = "", show: str = "e") -> Passage:
    """A passage of a transcript."""
    return replace(passage(number, text, show, title), locator=TimeSpan(chapter=chapter), description=description)


def write(folder: Path, passages: Sequence[Passage], removals: Sequence[Removal] = ()) -> None:
    index = Bm25Index(folder, K1, B, {})
    index.apply(removals, list(enumerate(passages)), silent)
    index.commit()
    index.close()


def opened(folder: Path, weights: Mapping[str, float]) -> Bm25Index:
    index = Bm25Index(folder, K1, B, weights)
    index.open()
    return index


def field_of(p: Passage, field: str) -> str:
    return {"title": p.title, "chapter": p.locator.searched, "description": p.description}[field]


def weighted(passages: Sequence[Passage], query: str, weights: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Passage id -> term -> contribution, in plain Python: each field is a collection of its own."""
    scores = reference(passages, query)
    for field, weight in weights.items():
        held = [p for p in passages if p.locator.searched or p.description]
        alone = [passage(int(p.passage_id.partition("#")[2]), field_of(p, field), p.document_id) for p in held]
        for passage_id, terms in reference(alone, query).items() if weight else ():
            sums = scores.setdefault(passage_id, {})
            for term, contribution in terms.items():
                sums[term] = sums.get(term, 0.0) + weight * contribution
    return scores


SHOW = [
    said(0, "kat fish", "dog", "xylo q7"),
    said(1, "fish fish", "dog", "xylo q7"),
    said(2, "kat fish", "mouse wolf", "xylo q7"),
    said(0, "fish", "", "xylo", show="f"),
]


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fields") / "lexical"
    write(folder, SHOW)
    return folder


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bm25Index]:
    """Ordinary passages beside transcripts that have their words in every field but the text."""
    folder = tmp_path_factory.mktemp("mixed") / "lexical"
    write(folder, [*EIGHT, *(said(i, "", "cats chase", "cats, weather", show="z") for i in range(3))])
    index = opened(folder, ALL)
    yield index
    index.close()


# ---- values


def test_a_score_worked_by_hand(show: Path) -> None:
    index = opened(show, {"chapter": 2.0, "description": 0.5})
    # "dog": in 2 of the 3 chapter titles, idf = ln(1 + 1.5/2.5) = ln 1.6 = 0.47000. Lengths 1, 1 and 2, average 4/3:
    # tf = 1 / (1 + 0.9 * (0.6 + 0.4 * 3/4)) = 1 / 1.81. Twice 0.25967.
    assert index.search("dog", 5) == [
        (f"e#{i}", pytest.approx(0.51934, abs=1e-4), {"dog": pytest.approx(0.51934, abs=1e-4)}) for i in (0, 1)
    ]
    # "xylo": in all 4 descriptions, idf = ln(1 + 0.5/4.5) = 0.10536. Lengths 2, 2, 2 and 1, average 7/4:
    # tf = 1 / (1 + 0.9 * (0.6 + 0.4 * 1 / 1.75)) for the short one, 0.4 * 2 / 1.75 in it for the others.
    assert [(i, score) for i, score, _ in index.search("xylo", 5)] == [
        ("f#0", pytest.approx(0.5 * 0.10536 / (1 + 0.9 * (0.6 + 0.4 / 1.75)), abs=1e-4)),
        *((f"e#{i}", pytest.approx(0.5 * 0.10536 / (1 + 0.9 * (0.6 + 0.8 / 1.75)), abs=1e-4)) for i in range(3)),
    ]
    index.close()


@given(
    spoken=st.lists(st.tuples(TEXTS, TEXTS, TEXTS, TEXTS), max_size=6),
    written=st.lists(TEXTS, max_size=4),
    query=TEXTS,
    weights=st.fixed_dictionaries({field: st.sampled_from([0.0, 0.3, 1.0, 4.0]) for field in FIELDS}),
    k=st.integers(1, 10),
)
@settings(max_examples=25, deadline=None)
def test_agrees_with_plain_python(
    spoken: list[tuple[str, str, str, str]], written: list[str], query: str, weights: dict[str, float], k: int
) -> None:
    """Also: the contributions add up, and a term counts once, whatever the fields that have it. All as of English."""
    passages = [said(i, *texts) for i, texts in enumerate(spoken)] + [passage(i, t) for i, t in enumerate(written)]
    with TemporaryDirectory() as folder, patch("rag.index.bm25.language_of", return_value="en"):
        write(Path(folder), passages)
        index = opened(Path(folder), weights)
        expected = weighted(passages, query, weights)
        assert_same(index.search(query, k), expected, k)
        ids = [p.passage_id for p in passages]
        assert index.terms(query, ids) == [pytest.approx(expected.get(i, {}), abs=1e-4) for i in ids]
        index.close()


# ---- laws


def test_a_word_of_the_chapter_title_alone_finds_all_of_the_chapter_unless_it_weighs_nothing(show: Path) -> None:
    for weights, ids in [({"chapter": 0.1}, ["e#0", "e#1"]), ({"chapter": 0.0}, []), ({"description": 1.0}, [])]:
        index = opened(show, weights)
        assert [passage_id for passage_id, _, _ in index.search("dog", 9)] == ids
        assert [passage_id for passage_id, _, _ in index.search("dog", 9, within=[1, 2])] == ids[1:]
        index.close()


@pytest.mark.parametrize("field", ["chapter", "description"])
def test_more_weight_is_more_score_for_who_has_the_word_there_and_changes_no_other(show: Path, field: str) -> None:
    scores = []
    for weight in (0.0, 0.25, 1.0, 3.0):
        index = opened(show, {field: weight})
        scores.append({passage_id: score for passage_id, score, _ in index.search("kat fish dog q7", 9)})
        index.close()
    word = {"chapter": "dog", "description": "q7"}[field]
    for p in SHOW:
        rising = [score[p.passage_id] for score in scores]
        assert rising == sorted(rising)
        assert len(set(rising)) == (4 if word in field_of(p, field) else 1)


# ---- passages without chapter and description

# As the index with one field for all gave them (commit 9be24bf).
BEFORE = {
    "chase, chase the cats": [
        ("a#1", 1.3520359992980957, {"cat": 0.5431528091430664, "chase": 0.8088831305503845}),
        ("a#0", 1.3460898399353027, {"cat": 0.4486966133117676, "chase": 0.8973932266235352}),
        ("c#6", 1.1633529663085938, {"chase": 1.1633529663085938}),
        ("a#2", 0.4486966133117676, {"cat": 0.4486966133117676}),
    ],
    "weather 検索 façade": [
        ("b#4", 1.5609625577926636, {"索": 0.7804812788963318, "検": 0.7804812788963318}),
        ("a#2", 0.908584713935852, {"weather": 0.908584713935852}),
        ("b#5", 0.908584713935852, {"façad": 0.908584713935852}),
    ],
}


@pytest.mark.parametrize("query", BEFORE)
def test_they_score_to_the_last_digit_what_they_did(tmp_path: Path, mixed: Bm25Index, query: str) -> None:
    write(tmp_path, EIGHT)
    alone = opened(tmp_path, ALL)
    assert alone.search(query, 9) == BEFORE[query]
    alone.close()
    beside = [hit for hit in mixed.search(query, 99) if not hit[0].startswith("z")]
    assert [passage_id for passage_id, _, _ in beside] == [passage_id for passage_id, _, _ in BEFORE[query]]
    assert [score for _, score, _ in beside] == pytest.approx([score for _, score, _ in BEFORE[query]], rel=1e-6)


def test_an_index_made_before_takes_transcripts_and_gives_them_up(tmp_path: Path) -> None:
    """So that it need not be made anew when the first transcript comes: what it is built with depends on none."""
    assert Bm25Index(tmp_path, K1, B, {}).built_with == Bm25Index(tmp_path, K1, B, ALL).built_with
    grown, plain, fresh = tmp_path / "grown", tmp_path / "plain", tmp_path / "fresh"
    write(grown, EIGHT)
    write(grown, SHOW)
    write(fresh, [*EIGHT, *SHOW])
    write(plain, EIGHT)
    query = "cats chase the dog, kat or xylo"
    for folder, other, removals in [(grown, fresh, []), (grown, plain, [Removal(show, 0, 9) for show in "ef"])]:
        write(folder, [], removals)
        index, expected = opened(folder, ALL), opened(other, ALL)
        assert index.search(query, 99) == expected.search(query, 99)
        index.close()
        expected.close()


# ---- settings


def test_the_settings_have_the_weights(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "L", create=True)
    spoken = said(0, "kat", "dog", "xylo", title="wolf")
    library.put(
        Document("e", "podcast", "wolf", "kat", (), episode=Episode(description="xylo")), [spoken], "e.vtt", "", ""
    )
    words = {"title": "wolf", "chapter": "dog", "description": "xylo"}
    off = {field: [f"bm25.{other}_weight=0" for other in words if other != field] for field in words}
    with Indexes(library, load_settings()).updating(names=["lexical"]):
        pass
    for field, word in words.items():
        alone = Indexes(library, load_settings([f"bm25.{field}_weight=2", *off[field]])).retriever("bm25")
        none = Indexes(library, load_settings([f"bm25.{field}_weight=0", *off[field]])).retriever("bm25")
        [hit] = alone.search([word], 5)[0]
        without = sum(found.score for found in none.search([word], 5)[0])  # the title is in the text, too
        assert hit.score == pytest.approx(without + 2 * 0.28768 / 1.9, abs=1e-4)  # ln(4/3), tf of one word of one
        assert (without > 0) == (field == "title")
