"""second_hop.py: what the best passages are linked with comes up if it has what they lack, and only then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, log, log1p
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.document import Document, Page
from rag.library.catalogue import Library
from rag.locator import PageSpan
from rag.records import Hit, Passage
from rag.retrieve.second_hop import (
    FIRST_HOP,
    FORWARD,
    FREQUENCY,
    NAMED,
    NAMED_TOO,
    NEW,
    OLD,
    RANK,
    LinkedRetriever,
)


def put(library: Library, title: str, *texts: str) -> None:
    """A document with its title for an id, one passage a text."""
    whole, passages = "\n".join(texts), []
    for i, text in enumerate(texts):
        start = len("\n".join(texts[:i])) + (i > 0)
        passages.append(
            Passage(f"{title}#{i}", title, title, title, text, start, start + len(text), PageSpan(i + 1, i + 1))
        )
    pages = tuple(Page(p.locator.first_page, p.start, p.end) for p in passages)
    library.put(Document(title, "text", title, whole, pages), passages, f"/{title}", title, "")


class First:
    """The first hop: passage ids and scores, best first, whatever the question."""

    def __init__(self, library: Library, **scores: float):
        self.library = library
        self.scores = {key.replace("_", "#"): score for key, score in scores.items()}
        self.asked: list[int] = []

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        self.asked.append(k)
        passages = self.library.passages(list(self.scores))
        numbers = self.library.numbers_of(list(self.scores))
        keys = [key for key in self.scores if within is None or numbers[key] in within][:k]
        ranking = [
            Hit(rank, self.scores[key], passages[key], {"first": self.scores[key]})
            for rank, key in enumerate(keys, start=1)
        ]
        return [ranking for _ in queries]


class Words:
    """Every word of the question weighs 1; case is nothing."""

    def coverage(self, query: str, passages: Sequence[Passage]) -> tuple[dict[int, float], list[set[int]]]:
        words = dict.fromkeys(query.lower().split())
        ids = {word: i for i, word in enumerate(words)}
        said = [f"{passage.title} {passage.text}".lower().split() for passage in passages]
        return dict.fromkeys(ids.values(), 1.0), [{ids[word] for word in some if word in ids} for some in said]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "library", create=True)


def find(
    library: Library, question: str, k: int = 9, within: Sequence[int] | None = None, **scores: float
) -> list[Hit]:
    return LinkedRetriever(First(library, **scores), library, Words()).search([question], k, within)[0]  # type: ignore[arg-type]


def test_a_passage_that_the_best_one_names_comes_up_for_the_words_that_it_adds(library: Library) -> None:
    put(library, "Film", "the film was made by Ada Moss in spring")
    put(library, "Ada Moss", "she was born in a harbour town")
    put(library, "Other", "the film of another was born in spring")
    hits = find(library, "film born harbour", Film_0=0.5, Other_0=0.4)
    # Film has 1 of the 3 words, Ada Moss the other 2; it is not in the first hop at all.
    edge = FORWARD + NEW * 2 / 3 + OLD * 1 / 3 + RANK * log1p(0) + FREQUENCY * log1p(1 + 1)
    assert [hit.passage.title for hit in hits] == ["Ada Moss", "Film", "Other"]
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert hits[0].terms == {"first hop": 0.0, "linked": pytest.approx(log(1 + exp(edge)))} or hits[0].terms == {
        "linked": pytest.approx(log(1 + exp(edge)))
    }
    assert hits[0].links == ("“Film” mentions “Ada Moss”",)
    assert (hits[2].score, hits[2].links) == (pytest.approx(FIRST_HOP * 0.4 / 0.5), ())


def test_what_names_a_good_passage_comes_up_too_without_the_bonus_of_the_way_forward(library: Library) -> None:
    put(library, "Ada Moss", "she was born in a harbour town")
    put(library, "Film", "the film was made by Ada Moss in spring")
    hits = find(library, "film born harbour", **{"Ada Moss_0": 0.5})
    edge = NEW * 1 / 3 + OLD * 0.5 + FREQUENCY * log1p(1 + 1)
    assert [(hit.passage.title, hit.links) for hit in hits] == [
        ("Film", ("“Film” mentions “Ada Moss”",)),
        ("Ada Moss", ()),
    ]
    assert hits[0].score == pytest.approx(log(1 + exp(edge)))


def test_a_link_to_what_adds_nothing_adds_next_to_nothing(library: Library) -> None:
    put(library, "Film", "a film by Ada Moss born in a harbour")
    put(library, "Ada Moss", "she wrote nothing")
    put(library, "Other", "film")
    hits = find(library, "film born harbour", Film_0=1.0, Other_0=0.9)
    assert [hit.passage.title for hit in hits] == ["Film", "Other", "Ada Moss"]
    assert hits[2].score == pytest.approx(log1p(exp(FORWARD + FREQUENCY * log1p(2))))  # the film has all the words
    half = find(library, "film born harbour spring in autumn of 1911", Film_0=1.0, Other_0=0.9)
    edge = FORWARD + OLD * 0.5 + FREQUENCY * log1p(2)  # 5 of 9 words, but not more than a half counts
    assert [hit.score for hit in half if hit.passage.title == "Ada Moss"] == [pytest.approx(log1p(exp(edge)))]


def test_a_document_that_the_question_names_comes_up(library: Library) -> None:
    put(library, "Film", "the film")
    put(library, "Harbour Town", "first page", "second page with a film")
    hits = find(library, "film of Harbour Town", **{"Film_0": 1.0, "Harbour Town_1": 0.5})
    assert [hit.passage.passage_id for hit in hits] == ["Harbour Town#1", "Film#0"]
    assert hits[0].terms == {"first": pytest.approx(FIRST_HOP * 0.5), "named": NAMED}
    unfound = find(library, "film of Harbour Town", Film_0=1.0)  # its first page stands for it
    assert [(hit.passage.passage_id, hit.score) for hit in unfound] == [
        ("Film#0", FIRST_HOP),
        ("Harbour Town#0", NAMED),
    ]


def test_a_named_document_gains_less_by_a_link(library: Library) -> None:
    put(library, "Film", "a film by Ada Moss")
    put(library, "Ada Moss", "born in a harbour")
    named = find(library, "film born Ada Moss", Film_0=1.0)
    hit = next(hit for hit in named if hit.passage.title == "Ada Moss")
    edge = FORWARD + NAMED_TOO + NEW * 1 / 4 + OLD * 1 / 4 + RANK * log1p(0) + FREQUENCY * log1p(2)
    assert hit.terms is not None
    assert hit.terms["linked"] == pytest.approx(log1p(exp(edge)))


def test_a_section_reference_leads_to_the_section(library: Library) -> None:
    put(library, "Report", "1 Aims\nthe film, see Section 2", "2 Harbour\nborn there", "3 End\nnothing")
    hits = find(library, "film born", Report_0=1.0)
    assert [hit.passage.passage_id for hit in hits] == ["Report#1", "Report#0"]
    assert hits[0].links == ("page 1 says “see Section 2”",) or hits[0].links == ("page 1 says “Section 2”",)


def test_common_names_are_no_links_and_namesakes_mean_nobody(library: Library) -> None:
    put(library, "Spring Fair", "born in a harbour")
    for i in range(6):
        put(library, f"Film{i}", "the film of the Spring Fair")
    assert [hit.passage.title for hit in find(library, "film born harbour", Film0_0=1.0)] == ["Film0"]
    put(library, "Last", "the film of Ada Moss")
    for i in range(4):
        put(library, f"Ada Moss ({i})", "born in a harbour")
    assert [hit.passage.title for hit in find(library, "film born harbour", Last_0=1.0)] == ["Last"]
    library.remove("Ada Moss (3)")
    assert len(find(library, "film born harbour", Last_0=1.0)) == 4


def test_filters_hold_for_what_is_linked(library: Library) -> None:
    put(library, "Film", "a film by Ada Moss")
    put(library, "Ada Moss", "born in a harbour")
    numbers = library.numbers_of(["Film#0", "Ada Moss#0"])
    within = [numbers["Film#0"]]
    assert [h.passage.title for h in find(library, "film born of Ada Moss", 9, within, Film_0=1.0)] == ["Film"]


def test_the_first_hop_is_asked_deep_enough_and_nothing_found_is_nothing(library: Library) -> None:
    put(library, "Film", "a film by Ada Moss")
    first = First(library)
    assert LinkedRetriever(first, library, Words()).search(["film", "born"], 3) == [[], []]  # type: ignore[arg-type]
    LinkedRetriever(first, library, Words()).search(["film"], 300)  # type: ignore[arg-type]
    assert first.asked == [100, 300]


NAMES = ["Ada Moss", "Tarn Bridge", "Garden Book", "Old Mill", "Red Barn"]
TEXTS = st.lists(st.sampled_from([*NAMES, "film", "born", "harbour", "spring"]), max_size=5).map(" ".join)


@given(
    texts=st.lists(TEXTS, min_size=5, max_size=5),
    scores=st.permutations([1.0, 0.8, 0.5, 0.2, 0.1]),
    k=st.integers(1, 5),
)
@settings(max_examples=40, deadline=None)
def test_laws(texts: list[str], scores: list[float], k: int) -> None:
    """Terms add up; no score falls below the first hop's; k cuts; and the same is found again."""
    with TemporaryDirectory() as folder:
        library = Library.open(Path(folder) / "library", create=True)
        for name, text in zip(NAMES, texts, strict=True):
            put(library, name, text or "nothing")
        first = dict(sorted(zip((f"{name}#0" for name in NAMES), scores, strict=True), key=lambda entry: -entry[1]))
        hits = find(library, "film born harbour Old Mill", 5, **first)
        assert len(hits) == 5
        for hit in hits:
            assert hit.score == pytest.approx(sum((hit.terms or {}).values()))
            assert hit.score >= FIRST_HOP * first[hit.passage.passage_id] - 1e-9
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert find(library, "film born harbour Old Mill", k, **first) == [replace(hit) for hit in hits[:k]]
        unlinked = [hit for hit in hits if "linked" not in (hit.terms or {}) and "named" not in (hit.terms or {})]
        assert [hit.passage.passage_id for hit in unlinked] == [
            key for key in first if key in {hit.passage.passage_id for hit in unlinked}
        ]
