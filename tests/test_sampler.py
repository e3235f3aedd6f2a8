"""rag/retrieve/sampler.py: one ranking over all kinds, named tables and figures ahead, no evidence twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.document import Document, Page
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.records import Hit, Passage
from rag.retrieve.sampler import LABEL, READ, SEEN, SamplingRetriever, joint_top_k, labels_in, spellings
from rag.retrieve.term_scores import ExplainedRetriever
from rag.search import open_retriever
from rag.settings import load_settings
from tests.parts import encoder, passage

# ---- the ranking

SCORES = st.dictionaries(st.integers(0, 40).map(lambda n: f"p{n}"), st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@given(texts=SCORES, pictures=SCORES, k=st.integers(0, 100))
def test_joint_top_k_is_the_ranking_of_all_scores(texts: dict[str, float], pictures: dict[str, float], k: int) -> None:
    by_kind = {
        "text": {f"t{key}": score for key, score in texts.items()},
        "figure": {f"f{key}": score for key, score in pictures.items()},
    }
    found = joint_top_k(by_kind, k)
    every = {**by_kind["text"], **by_kind["figure"]}
    assert len(found) == min(k, len(every)) == len(dict(found))  # k > n + m: all of them, once
    assert all(every[key] == score for key, score in found)
    assert found == sorted(found, key=lambda entry: (-entry[1], entry[0]))
    left_out = [(-score, key) for key, score in every.items() if key not in dict(found)]
    assert not found or not left_out or min(left_out) > (-found[-1][1], found[-1][0])
    assert found == joint_top_k({"all": every}, k)  # kinds do not matter


def test_joint_top_k_by_hand() -> None:
    texts, figures, tables = {"t1": 0.5, "t2": 0.75}, {"f1": 0.75, "f2": 0.25}, {"b1": 0.5}
    kinds = {"text": texts, "figure": figures, "table": tables}
    assert joint_top_k(kinds, 3) == [("f1", 0.75), ("t2", 0.75), ("b1", 0.5)]
    assert [key for key, _ in joint_top_k(kinds, 99)] == ["f1", "t2", "b1", "t1", "f2"]
    no_images = [("t2", 0.75), ("t1", 0.5)]
    assert joint_top_k({"text": texts}, 5) == joint_top_k({"text": texts, "figure": {}}, 5) == no_images
    assert joint_top_k({}, 5) == joint_top_k({"text": {}}, 5) == joint_top_k(kinds, 0) == []


# ---- the labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("What does Table 3 say?", ["Table 3"]),
        ("what does table 3 say?", ["Table 3"]),
        ("In Fig. 7-26, who", ["Figure 7-26"]),
        ("In Fig. 7–26.", ["Figure 7-26"]),
        ("see figure 2.1.", ["Figure 2.1"]),
        ("Tab. IV and TABLE iv", ["Table IV"]),
        ("Figures 2, 3 and 5; Tables A1 & B.2", ["Figure 2", "Figure 3", "Figure 5", "Table A1", "Table B.2"]),
        ("Fig 3b", ["Figure 3b", "Figure 3"]),
        ("Figure 3(b)", ["Figure 3"]),
        ("Figure 12 and 2 others", ["Figure 12", "Figure 2"]),
        ("How many tables are there? The figure is 7 high; a stable 3, the 2nd table, tab 4, Table 3rd", []),
    ],
)
def test_what_a_question_calls_by_its_label(text: str, labels: list[str]) -> None:
    assert labels_in(text) == labels


def test_every_spelling_is_the_same_label() -> None:
    for label in ("Table 3", "Figure 7-26", "Table IV", "Figure A.1"):
        assert all(labels_in(f"({spelling})") == [label] for spelling in spellings(label)), label


# ---- the retriever


def labelled(number: int, label: str, document_id: str = "d", kind: str = "table") -> Passage:
    start = 1_000 + 100 * number
    return replace(passage(number, f"{label}: words", document_id, start=start), kind=kind, label=label)


class First:
    """A first retriever with these passages and scores, and a library that holds more; numbers are the ordinals."""

    def __init__(self, scores: Sequence[tuple[Passage, float]], others: Sequence[Passage] = ()):
        self.hits = [Hit(rank, score, p, {"dense": score}) for rank, (p, score) in enumerate(scores, start=1)]
        self.all = [p for p, _ in scores] + list(others)
        self.asked: list[int] = []
        self.labels: list[str] = []

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        self.asked.append(k)
        numbers = self.numbers_of([p.passage_id for p in self.all])
        allowed = [hit for hit in self.hits if within is None or numbers[hit.passage.passage_id] in within]
        return [allowed[:k] for _ in queries]

    def labelled(self, labels: Sequence[str]) -> list[Passage]:
        self.labels = list(labels)
        return [p for p in self.all if p.label.casefold() in {label.casefold() for label in labels}]

    def numbers_of(self, passage_ids: Sequence[str]) -> dict[str, int]:
        return {key: int(key.split("#")[1]) for key in passage_ids}


def sample(first: First, query: str, k: int = 9, within: Sequence[int] | None = None, sees: bool = False) -> list[Hit]:
    retriever = SamplingRetriever(first, 50, first.labelled, first.numbers_of, lambda: sees)
    hits = retriever.search([query], k, within)[0]
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert sum((hit.terms or {}).values()) == pytest.approx(hit.score)
    return hits


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.passage.passage_id for hit in hits]


def test_without_a_label_it_is_the_first_ranking() -> None:
    texts = [(passage(i, "text", start=100 * i), score) for i, score in ((3, 0.9), (1, 0.5), (2, 0.5), (4, 0.1))]
    first = First(texts, [labelled(9, "Table 3")])
    assert sample(first, "a question about tables") == first.hits  # ties too: d#1 and d#2 in the order they came
    assert sample(first, "a question", k=2) == first.hits[:2]
    assert first.asked == [50, 50] and first.labels == []
    assert sample(First([]), "a question") == sample(First([]), "Table 3") == []


def test_what_the_question_names_comes_first() -> None:
    texts = [(passage(i, "text", start=100 * i), score) for i, score in ((1, 1.0), (2, 0.6), (3, 0.2))]
    candidate, other = labelled(4, "Table 3"), labelled(5, "TABLE 3", kind="figure")
    hits = sample(First([*texts[:2], (candidate, 0.4), texts[2]], [other]), "What does Tab. 3 say?")
    assert ids(hits) == ["d#4", "d#5", "d#1", "d#2", "d#3"]
    lift = LABEL * (1.0 - 0.2)
    assert hits[0].terms == {"dense": 0.4, "label": pytest.approx(lift)}
    assert hits[1].terms == {"label": pytest.approx(0.2 + lift)}
    assert hits[2] == Hit(3, 1.0, texts[0][0], {"dense": 1.0})


def test_of_several_documents_those_go_first_that_the_candidates_favour() -> None:
    near, far, nowhere = (labelled(i, "Figure 2", name) for i, name in ((1, "near"), (2, "far"), (3, "nowhere")))
    texts = [(passage(4, "t", "near"), 1.0), (passage(5, "t", "other"), 0.8), (passage(6, "t", "far"), 0.3)]
    last = passage(7, "t", "other", start=9)
    hits = sample(First([*texts, (last, 0.0)], [nowhere, far, near]), "Figure 2?")
    assert ids(hits)[:2] == ["near#1", "near#4"]
    assert ids(hits).index("far#2") > ids(hits).index("other#5")  # 0.3 of the range lifts it to 0.45
    assert "nowhere#3" not in ids(hits)
    by_label_alone = sample(First([], [nowhere, far, near]), "Figure 2?")
    assert ids(by_label_alone) == ["far#2", "near#1", "nowhere#3"]


def test_scores_of_any_size_and_sign() -> None:
    for scores in ([-3.0, -7.5], [-3.0], [0.0], [0.016, 0.015], [12.0, 12.0]):
        texts = [(passage(i, "t", start=100 * i), score) for i, score in enumerate(scores)]
        assert ids(sample(First(texts, [labelled(8, "Table 1")]), "Table 1?"))[0] == "d#8", scores


def test_within_holds_for_labelled_passages_too() -> None:
    first = First([(passage(1, "text"), 0.9)], [labelled(2, "Table 3"), labelled(3, "Table 3")])
    assert ids(sample(first, "Table 3?", within=[1, 3])) == ["d#3", "d#1"]
    assert ids(sample(first, "Table 3?", within=[2])) == ["d#2"]  # no candidate is left
    assert sample(first, "Table 3?", within=[]) == []


def test_no_evidence_comes_twice() -> None:
    whole = passage(1, "abcdefghij", start=10)
    inside, same = passage(2, "cde", start=12), passage(3, "abcdefghij", start=10)
    beyond, elsewhere = passage(4, "ij, and more", start=18), passage(5, "cde", "other", start=12)
    empty = passage(6, "", start=12)
    everything = [whole, inside, same, beyond, elsewhere, empty]
    first = First([(p, 1 - i / 10) for i, p in enumerate(everything)])
    assert ids(sample(first, "q")) == ["d#1", "d#4", "other#5", "d#6"]
    assert ids(sample(first, "q", k=2)) == ["d#1", "d#4"]  # the next one takes the place
    first = First([(inside, 0.9), (whole, 0.8), (same, 0.7)])
    assert ids(sample(first, "q")) == ["d#2", "d#1"]  # what says more is no repetition


def test_a_figure_says_how_it_was_found() -> None:
    seen = replace(labelled(1, "Figure 1", kind="figure"), picture="0" * 64)
    bare, table = labelled(2, "Figure 2", kind="figure"), replace(labelled(3, "Table 1"), picture="1" * 64)
    first = First([(seen, 0.9), (bare, 0.8), (table, 0.7), (passage(4, "text"), 0.6)])
    assert [hit.links for hit in sample(first, "q", sees=True)] == [(SEEN,), (READ,), (), ()]
    assert [hit.links for hit in sample(first, "q", sees=False)] == [(READ,), (READ,), (), ()]
    first.hits[0] = replace(first.hits[0], terms={"bm25": 0.9}, links=("a path",))
    assert sample(first, "q", sees=True)[0].links == ("a path", READ)  # dense search did not find it


def test_the_label_stays_a_contribution_when_the_others_are_explained() -> None:
    class Words:
        def terms(self, query: str, passages: Sequence[Passage]) -> list[dict[str, float]]:
            return [{"one": 3.0, "two": 1.0} for _ in passages]

    first = First([(passage(1, "t"), 0.8), (labelled(2, "Table 3"), 0.4)])
    sampler = SamplingRetriever(first, 50, first.labelled, first.numbers_of, lambda: False)
    hit = ExplainedRetriever(sampler, {"dense": Words()}).search(["Table 3"], 1)[0][0]
    assert hit.terms == pytest.approx({"label": LABEL * 0.4, "one": 0.3, "two": 0.1})
    assert sum((hit.terms or {}).values()) == pytest.approx(hit.score)


def test_the_hybrid_ends_in_the_sampler(tmp_path: Path) -> None:
    texts = ["Spans of bridges were measured.", "Table 2: 84 metres", "Roads of the north", "Figure 1: A map of rivers"]
    whole = " ".join(texts)
    blocks = []
    for i, text in enumerate(texts):
        kind, _, number = text.partition(":")[0].lower().partition(" ")
        kind, label = (kind, f"{kind.capitalize()} {number}") if kind in ("table", "figure") else ("text", "")
        blocks.append(replace(passage(i, text, "1" * 16, start=whole.index(text)), kind=kind, label=label))
    indexes = Indexes(Library.open(tmp_path, create=True), load_settings())
    indexes.encoders._dense = encoder()
    library = indexes.library
    document = Document("1" * 16, "pdf", "", whole, (Page(1, 0, len(whole)),))
    with library.writing("a test"), indexes.updating():
        library.put(document, blocks, "/bridges.pdf", "bridges.pdf", "")
    hybrid = open_retriever(indexes, "hybrid")
    ours, plain, map_of_rivers = (
        hybrid.search([query], 4)[0]
        for query in ("What of bridges is in Tab. 2?", "What of bridges?", "a map of rivers")
    )
    assert ours[0].passage.label == "Table 2" and "label" in (ours[0].terms or {})
    assert plain[0].passage.text == texts[0] and "label" not in (plain[0].terms or {})
    for hit in (*ours, *plain):
        assert sum((hit.terms or {}).values()) == pytest.approx(hit.score)
    assert map_of_rivers[0].passage.label == "Figure 1" and map_of_rivers[0].links[-1] == READ
