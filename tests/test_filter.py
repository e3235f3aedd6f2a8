"""relevance_filter.py: what is weakly related is asked about, ignored with its reason, and never silently gone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.llm.chat import ChatModel, Messages, Usage
from rag.read.relevance_filter import candidates, filter_passages
from rag.records import Hit
from tests.parts import passage


def unit(*angles: float) -> NDArray[np.float32]:
    """Vectors in the plane, one a row, at so many degrees."""
    turned = np.radians(angles)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


class Plane:
    """An encoder of texts that begin with their angle."""

    def encode(self, texts: Sequence[str], report: object = None) -> NDArray[np.float32]:
        return unit(*(float(text.split()[-1]) for text in texts))


class Chooser(ChatModel):
    name = "chooser"

    def __init__(self, reply: str):
        self.reply, self.asked = reply, list[str]()

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.asked.append(messages[-1][1])
        yield self.reply


def hits(*angles: int) -> list[Hit]:
    return [Hit(rank, 1 / rank, passage(rank, f"text at {angle}")) for rank, angle in enumerate(angles, start=1)]


def sifted(reply: str, *angles: int, threshold: float = 0.5) -> tuple[list[Hit], Chooser]:
    reader = Chooser(reply)
    return filter_passages(reader, Plane(), "what at 0", hits(*angles), threshold, Usage()), reader  # type: ignore[arg-type]


def test_a_candidate_is_far_from_the_question_or_from_the_others_on_average() -> None:
    # to the question: 1, .98, .94, 0; to the others: (.98 + .94 + 0) / 3 ...
    assert candidates(unit(0)[0], unit(0, 10, 20, 90), 0.5) == {3: "to the question (0.00)"}
    # 60 and -60 degrees: each .5 to the question, and -.5 to the other
    assert candidates(unit(0)[0], unit(59, -59), 0.5) == {
        0: "to the other passages (-0.47)", 1: "to the other passages (-0.47)"
    }  # fmt: skip
    assert candidates(unit(0)[0], unit(30), 0.5) == {}, "alone there are no others"


def test_what_the_reader_does_not_need_is_ignored_and_says_why() -> None:
    found, reader = sifted("NONE", 0, 10, 20, 90)
    assert [hit.rank for hit in found] == [1, 2, 3, 4]
    assert [bool(hit.ignored) for hit in found] == [False, False, False, True]
    assert found[3].ignored == "weakly related to the question (0.00), and the reader does not need it"
    assert len(reader.asked) == 1
    assert "[4]" in reader.asked[0] and "[1]" not in reader.asked[0], "all doubtful ones at once, and only them"


def test_what_the_reader_names_is_kept() -> None:
    found, _ = sifted("4", 0, 10, 20, 90)
    assert not any(hit.ignored for hit in found)


def test_where_nothing_is_weak_the_reader_is_not_asked() -> None:
    found, reader = sifted("NONE", 0, 10, 20)
    assert found == hits(0, 10, 20) and reader.asked == []


def test_never_all_of_the_evidence_is_ignored() -> None:
    found, _ = sifted("NONE", 90, 95)
    assert not any(hit.ignored for hit in found)


@given(
    angles=st.lists(st.integers(-180, 180), min_size=1, max_size=6),
    reply=st.text("0123456789, NOE", max_size=12),
    threshold=st.floats(0, 1),
)
def test_the_evidence_stays_as_it_was_but_for_the_reasons(angles: list[int], reply: str, threshold: float) -> None:
    found, _ = sifted(reply, *angles, threshold=threshold)
    assert [hit.passage for hit in found] == [hit.passage for hit in hits(*angles)]
    assert any(not hit.ignored for hit in found)


def test_a_higher_threshold_doubts_more() -> None:
    vectors = unit(0, 20, 50, 80, 120)
    doubted = [set(candidates(vectors[0], vectors, threshold)) for threshold in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert all(fewer <= more for fewer, more in pairwise(doubted))
    assert doubted[0] < doubted[-1]
