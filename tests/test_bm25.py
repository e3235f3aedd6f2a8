"""rag/index/bm25.py agrees with BM25 in plain Python, and an index that changed with one built fresh."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import LibraryError
from rag.index.bm25 import Bm25Index, Bm25Retriever
from rag.protocols import silent
from rag.records import Passage, Removal
from tests.conftest import ROOT
from tests.parts import passage

K1, B = 0.9, 0.4
Found = list[tuple[str, float, dict[str, float]]]

# Words that Porter's stemmer leaves as they are, so that the reference needs none; and two stop words of Lucene's.
WORDS = ["kat", "dog", "fish", "xylo", "q7", "42", "été", "мир", "the", "of"]
STOPWORDS = {"the", "of"}
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)  # short: Lucene stores lengths above 40 roughly


def terms_of(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text.lower()) if word not in STOPWORDS]


def reference(passages: Sequence[Passage], query: str, k1: float = K1, b: float = B) -> dict[str, dict[str, float]]:
    """Passage id -> term -> contribution: BM25 as Lucene has it, in plain Python."""
    counts = {p.passage_id: Counter(terms_of(f"{p.title}\n{p.text}")) for p in passages}
    lengths = {passage_id: count.total() for passage_id, count in counts.items()}
    filled = [length for length in lengths.values() if length]
    average = sum(filled) / max(1, len(filled))  # Lucene's N and average leave out passages without a term
    scores: dict[str, dict[str, float]] = {}
    for term, times in Counter(terms_of(query)).items():
        n = sum(term in count for count in counts.values())
        idf = math.log(1 + (len(filled) - n + 0.5) / (n + 0.5))
        for passage_id, count in counts.items():
            if f := count[term]:
                tf = f / (f + k1 * (1 - b + b * lengths[passage_id] / average))
                scores.setdefault(passage_id, {})[term] = times * idf * tf
    return scores


def assert_same(found: Found, expected: dict[str, dict[str, float]], k: int) -> None:
    """The same passages, scores and contributions as `expected` has, best first, ties by passage_id."""
    totals = {passage_id: sum(terms.values()) for passage_id, terms in expected.items()}
    assert len(found) == min(k, len(totals))
    for passage_id, score, terms in found:
        assert score == pytest.approx(totals[passage_id], abs=1e-4)
        assert terms == pytest.approx(expected[passage_id], abs=1e-4)
        assert sum(terms.values()) == pytest.approx(score, abs=1e-4)
    assert [p for p, _, _ in found] == [p for p, _, _ in sorted(found, key=lambda hit: (-hit[1], hit[0]))]
    worst = min((score for _, score, _ in found), default=0.0)
    left_out = totals.keys() - {passage_id for passage_id, _, _ in found}
    assert all(totals[passage_id] <= worst + 1e-4 for passage_id in left_out)


def build(folder: Path, passages: Sequence[Passage], removals: Sequence[Removal] = ()) -> Bm25Index:
    """Apply, commit, and open again as a reader does; passage number = place in `passages`."""
    index = Bm25Index(folder, K1, B, {})
    index.apply(removals, list(enumerate(passages)), silent)
    index.commit()
    index.close()
    index.open()
    return index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lexical"


EIGHT = [
    passage(0, "cats chase mice", "a"),
    passage(1, "dogs chase cats, and cats again", "a"),
    passage(2, "the weather is fine", "a", title="Cats"),
    passage(3, "검색 시스템", "b"),
    passage(4, "日本語の検索", "b"),
    passage(5, "Übergröße, naïve façade", "b"),
    passage(6, "chasing the chased chaser", "c"),
    passage(7, "", "c"),
]


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bm25Index]:
    index = build(tmp_path_factory.mktemp("bm25") / "lexical", EIGHT)
    yield index
    index.close()


# ---- values


def test_a_score_worked_by_hand(folder: Path) -> None:
    index = build(folder, [passage(0, "kat kat dog"), passage(1, "kat fish fish fish fish")])
    # "dog": one of two passages has it, idf = ln(1 + 1.5/1.5) = ln 2. Lengths 3 and 5, average 4:
    # tf = 1 / (1 + 0.9 * (1 - 0.4 + 0.4 * 3/4)) = 1 / 1.81.
    assert index.search("dog", 5) == [
        ("d#0", pytest.approx(0.69315 / 1.81, abs=1e-4), {"dog": pytest.approx(0.38296, abs=1e-4)})
    ]
    # "kat": both have it, idf = ln(1 + 0.5/2.5) = ln 1.2 = 0.18232.
    # tf = 2 / (2 + 0.81) in the first and 1 / (1 + 0.9 * (0.6 + 0.4 * 5/4)) = 1 / 1.99 in the second.
    assert [(p, pytest.approx(score, abs=1e-4)) for p, score, _ in index.search("kat", 5)] == [
        ("d#0", 0.12977),
        ("d#1", 0.09162),
    ]
    # Twice in the question counts twice.
    assert index.search("dog, dog", 5)[0][1] == pytest.approx(2 * 0.38296, abs=1e-4)


@given(texts=st.lists(TEXTS, min_size=1, max_size=12), query=TEXTS, k=st.integers(1, 15))
@settings(max_examples=40, deadline=None)
def test_agrees_with_plain_python(texts: list[str], query: str, k: int) -> None:
    """As of English, whatever language such words may be taken for: of others tests/test_languages.py has examples."""
    passages = [passage(i, text, title="fish" if i % 3 == 0 else "") for i, text in enumerate(texts)]
    with TemporaryDirectory() as folder, patch("rag.index.bm25.language_of", return_value="en"):
        index = build(Path(folder), passages)
        assert_same(index.search(query, k), reference(passages, query), k)
        index.close()


@given(k1=st.sampled_from([0.0, 0.5, 1.2, 3.0]), b=st.sampled_from([0.0, 0.75, 1.0]))
@settings(max_examples=6, deadline=None)
def test_k1_and_b_are_those_of_the_reader(k1: float, b: float) -> None:
    passages = [passage(0, "kat kat dog"), passage(1, "kat fish fish fish"), passage(2, "dog")]
    with TemporaryDirectory() as folder:
        build(Path(folder), passages).close()  # built with other values, which are no part of the index
        index = Bm25Index(Path(folder), k1, b, {})
        index.open()
        assert_same(index.search("kat dog", 5), reference(passages, "kat dog", k1, b), 5)
        index.close()


# ---- what matches


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("chase", ["c#6", "a#0", "a#1"]),  # Porter: chasing, chased, chase are one
        ("CHASING", ["c#6", "a#0", "a#1"]),
        ("cat", ["a#1", "a#0", "a#2"]),  # the title counts
        ("검색", ["b#3"]),
        ("検索", ["b#4"]),
        ("übergröße", ["b#5"]),
        ("the is of", []),
        ("", []),
        (" \n ?!", []),
        ("submarine", []),
        ('cats^5 AND (dogs~ OR *) -mice "', ["a#1", "a#0", "a#2"]),  # no query language: words
    ],
)
def test_what_matches(eight: Bm25Index, query: str, ids: list[str]) -> None:
    assert [passage_id for passage_id, _, _ in eight.search(query, 10)] == ids


def test_ties_are_in_the_order_of_passage_ids(folder: Path) -> None:
    index = build(folder, [passage(i, "same words", document) for document in "cab" for i in (2, 10, 1)])
    ids = [passage_id for passage_id, _, _ in index.search("words", 9)]
    assert ids == ["a#1", "a#10", "a#2", "b#1", "b#10", "b#2", "c#1", "c#10", "c#2"]
    assert [passage_id for passage_id, _, _ in index.search("words", 4)] == ids[:4]


@pytest.mark.parametrize("k", [1, 2, 3, 10**9])
def test_at_most_k(eight: Bm25Index, k: int) -> None:
    assert eight.search("chase", k) == eight.search("chase", 8)[:k]


@pytest.mark.parametrize(
    ("within", "ids"),
    [
        ([1], ["a#1"]),
        ([0, 1, 3], ["a#1", "a#0"]),
        ([], []),
        ([3, 4], []),
        ([99], []),
        (range(30_000), ["a#1", "a#0", "a#2"]),
    ],
)
def test_within_leaves_scores_and_order_as_they_are(eight: Bm25Index, within: Sequence[int], ids: list[str]) -> None:
    everything = {hit[0]: hit for hit in eight.search("cat", 10)}
    assert eight.search("cat", 10, within) == [everything[passage_id] for passage_id in ids]


def test_a_query_as_long_as_a_book(eight: Bm25Index) -> None:
    found = eight.search(" ".join(f"word{i} cats" for i in range(5_000)) + " " + "x" * 100_000, 10)
    assert [passage_id for passage_id, _, _ in found] == ["a#1", "a#0", "a#2"]
    assert found[0][1] == pytest.approx(5_000 * eight.search("cats", 1)[0][1], rel=1e-4)


# ---- change

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "crash"]), st.sampled_from("ab"), st.lists(TEXTS, max_size=4)),
    max_size=5,
)


@given(operations=OPERATIONS, query=TEXTS)
@settings(max_examples=25, deadline=None)
def test_an_index_that_changed_is_like_one_built_fresh(
    operations: list[tuple[str, str, list[str]]], query: str
) -> None:
    held: dict[str, list[Passage]] = {"always": [passage(0, "kat dog fish", "always")]}
    with TemporaryDirectory() as folder, TemporaryDirectory() as fresh:
        build(Path(folder), held["always"]).close()
        for what, document_id, texts in operations:
            passages = [passage(i, text, document_id) for i, text in enumerate(texts)] if what != "remove" else []
            index = Bm25Index(Path(folder), K1, B, {})
            index.apply([Removal(document_id, 0, 99)], list(enumerate(passages)), silent)
            if what != "crash":
                index.commit()
                held[document_id] = passages
            index.close()
        changed, new = (
            Bm25Index(Path(folder), K1, B, {}),
            build(Path(fresh), [p for some in held.values() for p in some]),
        )
        changed.open()
        assert changed.count == new.count == sum(map(len, held.values()))
        assert changed.search(query, 10) == new.search(query, 10)
        changed.close()
        new.close()


def test_applying_the_same_twice_is_the_same_as_once(folder: Path, tmp_path: Path) -> None:
    build(folder, EIGHT).close()
    twice, once = build(folder, EIGHT, [Removal("a", 0, 2)]), build(tmp_path / "once", EIGHT)
    assert twice.count == once.count == 8
    assert twice.search("cats chase", 9) == once.search("cats chase", 9)


def test_a_removed_document_leaves_no_word_in_the_files(folder: Path) -> None:
    build(folder, [passage(i, f"common {'zanzibarleft' if i == 7 else 'words'}", f"d{i}") for i in range(100)]).close()
    assert any(b"zanzibarleft" in file.read_bytes() for file in folder.iterdir())
    index = build(folder, [], [Removal("d7", 7, 7)])
    assert index.count == 99
    assert not any(b"zanzibarleft" in file.read_bytes() for file in folder.iterdir())


def test_what_was_not_committed_is_lost_and_the_index_usable(folder: Path) -> None:
    before = build(folder, EIGHT)
    index = Bm25Index(folder, K1, B, {})
    index.apply([Removal("a", 0, 2)], [(20, passage(0, "submarine", "new"))], silent)
    assert before.search("submarine", 5) == []  # a reader sees the last commit
    index.close()
    index.open()
    assert index.search("submarine", 5) == []
    assert index.search("cats", 5) == before.search("cats", 5)


def test_a_folder_that_holds_no_index_says_so(tmp_path: Path) -> None:
    (tmp_path / "segments_1").write_text("not Lucene's")
    with pytest.raises(LibraryError, match="Lucene cannot"):
        Bm25Index(tmp_path, K1, B, {}).open()


# ---- the retriever


def test_hits_have_ranks_terms_and_passages_and_none_that_left_the_catalogue(eight: Bm25Index) -> None:
    catalogue = {p.passage_id: p for p in EIGHT if p.passage_id != "a#0"}
    retriever = Bm25Retriever(eight, lambda ids: {i: catalogue[i] for i in ids if i in catalogue})
    cats, nothing, chase = retriever.search(["cats", "submarine", "chase"], 2)
    assert [(hit.rank, hit.passage) for hit in cats] == [(1, EIGHT[1])]  # a#0 was the second
    assert nothing == []
    assert [hit.rank for hit in chase] == [1]
    assert cats[0].terms == {"cat": pytest.approx(cats[0].score, abs=1e-4)}


MANY_THREADS = """
from concurrent.futures import ThreadPoolExecutor
from tests.parts import small_library

retriever = small_library().retriever("bm25")
queries = ["carrots in April", "honey of the monastery", "Who opened the Tarn bridge?", "towers of red granite"]
alone = {query: retriever.search([query], 3) for query in queries}
assert all(hits[0] for hits in alone.values())
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(lambda query: (query, retriever.search([query], 3)), queries * 100))
assert all(hits == alone[query] for query, hits in found)
"""


def test_threads_find_what_one_finds() -> None:
    """In a process of its own: where two threads meet in Java, it ends the process or hands out the other's object."""
    done = subprocess.run([sys.executable, "-c", MANY_THREADS], cwd=ROOT, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_hits_that_were_not_explained_can_be_explained_afterwards(eight: Bm25Index) -> None:
    explained = eight.search("the cat chases a dog", 5)
    bare = eight.search("the cat chases a dog", 5, explain=False)
    assert [(passage_id, score, {}) for passage_id, score, _ in explained] == bare
    ids = [passage_id for passage_id, _, _ in explained]
    assert eight.terms("the cat chases a dog", [*ids, "nowhere#1"]) == [*(terms for _, _, terms in explained), {}]
