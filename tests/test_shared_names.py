"""shared_names.py: what shares a name with the best passages comes up if it has what they lack, and only then."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log1p
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.records import Hit, Passage
from rag.retrieve.second_hop import FREQUENCY, NEW, OLD, RANK
from rag.retrieve.shared_names import COMMON, SHARED, SharedNamesRetriever, names_in
from rag.search import open_retriever
from rag.settings import load_settings
from tests.test_second_hop import Words, put


def passage(title: str, text: str) -> Passage:
    return Passage(f"{title}#0", title, title, "", text, 0, len(text))


class Ranked:
    """These passages and scores, best first, whatever is asked; `numbers` of them are their places."""

    def __init__(self, *scored: tuple[Passage, float]):
        self.scored = scored

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        some = [each for number, each in enumerate(self.scored) if within is None or number in within]
        hits = [Hit(rank, score, one, {"first": score}) for rank, (one, score) in enumerate(some[:k], start=1)]
        return [hits for _ in queries]


def find(question: str, first: Sequence[tuple[Passage, float]], rest: Sequence[Passage] = ()) -> list[Hit]:
    everything = Ranked(*first, *((one, 0.0) for one in rest))
    return SharedNamesRetriever(Ranked(*first), everything, Words()).search([question], 99)[0]  # type: ignore[arg-type]


SONG = passage("Song", "the song was written by Ada Moss in spring")
TOWN = passage("Harbour towns", "after a harbour town where Ada Moss was born")
OTHER = passage("Other", "another harbour where she was born")


def test_a_name_of_the_best_passage_leads_to_what_says_more_of_it() -> None:
    hits = find("song born harbour", [(SONG, 4.0), (OTHER, 3.0)], [TOWN])
    edge = SHARED + NEW * 2 / 3 + OLD * 1 / 3 + RANK * log1p(0) + FREQUENCY * log1p(2)
    assert [hit.passage.title for hit in hits] == ["Harbour towns", "Song", "Other"]
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert hits[0].score == pytest.approx(log1p(exp(edge)))
    assert hits[0].links == ("“Song” and “Harbour towns” name Ada Moss",)
    assert hits[1].links == hits[2].links == ()


def test_names_of_the_question_and_names_that_add_nothing_lead_nowhere() -> None:
    assert [hit.passage.title for hit in find("song of Ada Moss born harbour", [(SONG, 4.0)], [TOWN])] == ["Song"]
    assert [hit.passage.title for hit in find("song written", [(SONG, 4.0)], [TOWN])] == ["Song"]


def test_a_common_name_leads_nowhere() -> None:
    rest = [passage(f"Town{i}", "a harbour where Ada Moss was born") for i in range(COMMON)]
    assert len(find("song born harbour", [(SONG, 4.0)], rest[: COMMON - 1])) == COMMON
    assert len(find("song born harbour", [(SONG, 4.0)], rest)) == 1


def test_what_a_link_leads_to_gains_nothing_more() -> None:
    linked = Hit(2, 1.0, TOWN, {"linked": 1.0})

    class First:
        def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
            return [[Hit(1, 4.0, SONG, {}), linked] for _ in queries]

    hits = SharedNamesRetriever(First(), Ranked((TOWN, 1.0)), Words()).search(["song born harbour"], 9)[0]  # type: ignore[arg-type]
    assert hits[1] == linked


@pytest.mark.parametrize(
    ("title", "text", "names"),
    [
        ("Rome", "When Ada met Bo Lee. He saw the Isle of Man.", {"Rome", "Ada", "Bo Lee", "Isle of Man"}),
        ("", "Spring came. The Red Barn fell; Lyon did not.", {"Red Barn", "Lyon"}),
        ("", "im Haus war Émile Zola, in Москва auch", {"Haus", "Émile Zola", "Москва"}),
        ("", "1914 a b C. 東京 d", set()),
        ("", "", set()),
    ],
)
def test_names(title: str, text: str, names: set[str]) -> None:
    assert set(names_in(passage(title, text), " ").values()) == names


TEXTS = st.lists(st.sampled_from(["Ada Moss", "Old Mill", "Bo", "song", "born", "harbour"]), min_size=1, max_size=6)


@given(
    texts=st.lists(TEXTS.map(" ".join), min_size=5, max_size=5), k=st.integers(1, 5), allowed=st.sets(st.integers(0, 4))
)
def test_laws(texts: list[str], k: int, allowed: set[int]) -> None:
    """Nothing loses, terms add up, k cuts, filters hold, and without names the order is the first retriever's."""
    scored = [(passage(f"t{i}", text), 5.0 - i) for i, text in enumerate(texts)]
    within = sorted(allowed)
    retriever = SharedNamesRetriever(Ranked(*scored[:3]), Ranked(*scored), Words())  # type: ignore[arg-type]
    hits = retriever.search(["song born harbour"], 5, within)[0]
    first = {one.passage_id: score for number, (one, score) in enumerate(scored[:3]) if number in allowed}
    assert {hit.passage.passage_id for hit in hits} <= {scored[i][0].passage_id for i in allowed}
    assert set(first) <= {hit.passage.passage_id for hit in hits}
    for hit in hits:
        assert hit.score == pytest.approx(sum((hit.terms or {}).values()))
        assert hit.score >= first.get(hit.passage.passage_id, 0.0)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert retriever.search(["song born harbour"], k, within)[0] == hits[:k]
    if not any("A" in text or "O" in text or "B" in text for text in texts):
        assert [hit.passage.passage_id for hit in hits] == list(first)


def test_the_default_search_follows_names(tmp_path: Path) -> None:
    """Over real indexes: a passage says that a name led to it."""
    library = Library.open(tmp_path / "library", create=True)
    put(
        library,
        "Winter Letters",
        "Winter Letters is a cycle of songs. Its music was written by Johan Stenhammer in 1931.",
    )
    put(library, "Vesla choir", "The town of Vesla has a choir, which Johan Stenhammer led for many years.")
    for i in range(12):
        put(
            library,
            f"Choir {i}",
            f"The choir of the {i}th district sang in its hall for many years.",
        )
    indexes = Indexes(library, load_settings())
    with library.writing("test"), indexes.updating(lambda *_: None):
        pass
    question = "In which town did the composer of Winter Letters lead a choir?"
    [hits] = open_retriever(indexes, "hybrid").search([question], 2)
    assert [hit.passage.title for hit in hits] == ["Winter Letters", "Vesla choir"]
    assert hits[1].links == ("“Winter Letters” and “Vesla choir” name Johan Stenhammer",)
