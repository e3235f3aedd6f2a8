"""eval/retrieval/systems.py: what is remembered is what was found, and a row is what a search by itself gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.core.bootstrap import paired_difference
from eval.core.trials import as_hits
from eval.retrieval.corpus import Corpus, open_corpus
from eval.retrieval.measures import DEPTH, run
from eval.retrieval.systems import TIMED_K, Remembered, Systems, compare_systems, systems_text
from rag.errors import UsageError
from rag.protocols import Retriever
from rag.records import Hit, Passage
from tests.parts import passage
from tests.test_retrieval_eval import COLLECTION, ENTRIES, QRELS, SETTINGS

MEASURES = ("R@5", "nDCG@10")


class Counting:
    """A Retriever that finds passages 0, 1, ... k - 1 of those that it may, scored by the query, and counts."""

    def __init__(self) -> None:
        self.searched: list[tuple[str, int]] = []

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        self.searched += [(query, k) for query in queries]
        numbers = list(range(9) if within is None else within)[:k]
        return [[Hit(i, len(query) / i, passage(n, "x")) for i, n in enumerate(numbers, start=1)] for query in queries]


ASKED = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["a", "bb", "ccc"]), max_size=4),
        st.integers(1, 3),
        st.sampled_from([None, (), (4,), (4, 5), [5, 4]]),
    ),
    max_size=8,
)


@given(asked=ASKED)
def test_what_is_remembered_is_what_is_found(asked: list[tuple[list[str], int, Sequence[int] | None]]) -> None:
    counting, plain = Counting(), Counting()
    remembered = Remembered(counting)
    for queries, k, within in asked:
        found = remembered.search(queries, k, within)
        assert found == plain.search(queries, k, within)
        for hits in found:
            hits.clear()  # what a caller does with its list is its own affair
    wanted = {(query, k, str(within and list(within))) for queries, k, within in asked for query in queries}
    assert len(counting.searched) == len(wanted)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return open_corpus(ENTRIES, tmp_path_factory.mktemp("cache"), SETTINGS, ["bm25"])


class Fixed:
    """A Retriever that finds the same passages for every query, and keeps each k that it was asked for."""

    def __init__(self, passages: Sequence[Passage]):
        self.passages = passages
        self.ks: list[int] = []

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        self.ks += [k] * len(queries)
        return [as_hits(self.passages[:k]) for _ in queries]


class Joined:
    """A Retriever that finds what the first finds, and then what the second does."""

    def __init__(self, first: Retriever, second: Retriever):
        self.first, self.second = first, second

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        pairs = zip(self.first.search(queries, DEPTH), self.second.search(queries, DEPTH), strict=True)
        return [as_hits(list(dict.fromkeys(hit.passage for hits in pair for hit in hits))[:k]) for pair in pairs]


def test_the_rows_are_those_of_each_system_by_itself(corpus: Corpus) -> None:
    made: list[Fixed] = []

    def build(keep: Callable[[Retriever], Retriever]) -> Systems:
        made.append(Fixed([corpus.passages["copy/2"], corpus.passages["doc/1"]]))
        bm25, fixed = keep(corpus.indexes.retriever("bm25")), keep(made[-1])
        return {"fixed": fixed, "bm25": bm25, "both": Joined(fixed, bm25)}

    told: list[tuple[int, int, str]] = []
    result = compare_systems(COLLECTION, corpus, build, MEASURES, "bm25", report=lambda *step: told.append(step))
    fixed, bm25, both = result["rows"]
    assert [row["system"] for row in result["rows"]] == ["fixed", "bm25", "both"]
    assert (result["n"], result["passages"], result["baseline"], result["timed"]) == (4, 20, "bm25", 4)
    assert [step[:2] for step in told] == [(done, 12) for done in range(1, 13)]
    alone = run(COLLECTION, corpus, SETTINGS, "bm25", controls=False)
    assert bm25["metrics"] == alone["metrics"] and bm25["intervals"] == alone["intervals"]
    assert fixed["metrics"]["R@5"] == (1 / 2 + 1 / 2) / 4 and both["metrics"]["R@5"] == (1 + 1) / 4
    ranking, clock = made
    assert ranking.ks == [DEPTH] * len(QRELS)  # the fusion searched nothing again
    assert clock.ks == [TIMED_K, DEPTH] * (3 + 4)  # the clock remembers nothing
    assert all(row["p50_ms"] > 0 for row in (bm25, both))
    assert json.loads(json.dumps(result)) == result


def test_differences_are_paired_and_to_the_baseline(corpus: Corpus) -> None:
    bm25 = corpus.indexes.retriever("bm25")
    result = compare_systems(COLLECTION, corpus, lambda keep: {"none": Fixed([]), "bm25": bm25})
    none, found = (row["differences"]["R@5"] for row in result["rows"])
    assert result["baseline"] == "none" and none == {"mean": 0, "low": 0, "high": 0, "p": 1, "n": 4}
    wanted = paired_difference([1, 1, 0, 0], [0] * 4)  # BM25 finds all for tea and beer
    assert found == asdict(wanted) and wanted.mean == 0.5
    text = systems_text(result, "Tea | beer")
    assert "## Tea \\| beer: 4 queries, 20 passages" in text
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows == ["", "none", "bm25", "", "bm25"]
    assert f"+0.500 [{wanted.low:+.2f}, {wanted.high:+.2f}], p {wanted.p:.3f}" in text
    with pytest.raises(UsageError, match="choose one of none"):
        compare_systems(COLLECTION, corpus, lambda keep: {"none": Fixed([])}, baseline="bm25")
