"""rag/read/comparison.py: two things side by side, each by its own evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from rag.read.comparison import DATE, alone, compare, settle, sides_of
from rag.read.generate import Messages, Usage
from rag.read.notes import compared_note
from rag.records import Hit
from tests.parts import passage


def hits(*texts: tuple[str, str]) -> list[Hit]:
    return [
        Hit(rank, 1 / rank, passage(0, text, f"d{rank}", title=title))
        for rank, (title, text) in enumerate(texts, start=1)
    ]


LOCK = ("Old Lock", "The Old Lock is a canal lock. It was opened on 3 May 1821 and has seven gates.")
WEIR = ("New Weir (river)", "New Weir was completed in June 1901. It has 12 gates and is 1,200 m long.")
MILL = ("Tide Mill", "The Tide Mill grinds flour. It is 900 feet long.")


class Judge:
    """A reader that says yes with a probability, and a phrase, by what stands in the evidence it is shown."""

    name = "judge"

    def __init__(self, likely: dict[str, float] | None = None, said: dict[str, str] | None = None):
        self.likely, self.said = likely or {}, said or {}
        self.asked: list[str] = []

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        self.asked.append(messages[-1][1])
        return next(p for words, p in self.likely.items() if words in messages[-1][1])

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.asked.append(messages[-1][1])
        yield next(text for words, text in self.said.items() if words in messages[-1][1])


def asked(question: str, evidence: list[Hit], reader: Judge | None = None):
    return compare(reader or Judge(), question, evidence, Usage())  # type: ignore[arg-type]


# ---- sides


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Which is older, Old Lock or New Weir?", ("Old Lock", "New Weir")),
        ("Is the new weir or the Old Lock older?", ("new weir", "Old Lock")),
        ("Is the new weir older than the Old Lock?", None),
        ("Are both Old Lock and the New Weir on one river?", ("Old Lock", "New Weir")),
        ("Who built Old Lock?", None),
        ("Did the builder of Old Lock, who was born there, know of New Weir?", None),
    ],
)
def test_the_sides_are_the_two_titles_that_the_question_joins(question: str, names: tuple[str, str] | None) -> None:
    sides = sides_of(question, hits(LOCK, WEIR, MILL))
    assert (None if sides is None else tuple(side.name for side in sides)) == names


def test_a_title_inside_another_is_no_side_and_of_namesakes_the_best_ranked_is_meant() -> None:
    evidence = hits(LOCK, ("Lock", "A lock."), ("New Weir (film)", "A film of 1950."), WEIR)
    sides = sides_of("Which is older, Old Lock or New Weir?", evidence)
    assert sides is not None
    assert [[hit.passage.title for hit in side.hits] for side in sides] == [["Old Lock"], ["New Weir (film)"]]


def test_a_side_is_named_as_its_evidence_introduces_it() -> None:
    evidence = hits(LOCK, ("New Weir", "New Weir of the Lower River (opened 1800) is a weir."))
    answer = asked("Which was opened first, Old Lock or New Weir?", evidence)
    assert answer is not None and answer.answer == "New Weir of the Lower River"
    evidence = hits(LOCK, ("New Weir", "The dam (opened 1800) is called so."))
    answer = asked("Which was opened first, Old Lock or New Weir?", evidence)
    assert answer is not None and answer.answer == "New Weir"


# ---- dates and numbers, read off


@pytest.mark.parametrize(
    ("question", "answer", "found"),
    [
        ("Which was opened first, Old Lock or New Weir?", "Old Lock", ("3 May 1821", "June 1901")),
        ("Is Old Lock or New Weir older?", "Old Lock", ("3 May 1821", "June 1901")),
        ("Which is younger, New Weir or Old Lock?", "New Weir", ("June 1901", "3 May 1821")),
        ("Which has more gates, Old Lock or New Weir?", "New Weir", ("seven", "12")),
        ("Which has fewer gates, Old Lock or New Weir?", "Old Lock", ("seven", "12")),
        ("Which is longer, Tide Mill or New Weir?", "New Weir", ("900 feet", "1,200 m")),
    ],
)
def test_what_both_sides_say_is_compared_without_the_reader(question: str, answer: str, found: tuple[str, str]) -> None:
    compared = asked(question, hits(LOCK, WEIR, MILL))
    assert compared is not None
    assert answer in compared.answer and compared.found == found
    for quote, words in zip(compared.quotes, found, strict=True):
        assert words in quote.text and quote.text in quote.hit.passage.text


@pytest.mark.parametrize(
    "question",
    [
        "Which was opened first, Old Lock or Tide Mill?",  # the mill has no date
        "Which has more doors, Old Lock or New Weir?",
        "Which is prettier, Old Lock or New Weir?",
    ],
)
def test_what_cannot_be_read_off_is_the_likelier_of_the_two_each_by_itself(question: str) -> None:
    evidence = hits(LOCK, WEIR, MILL)
    for lock, other in ((0.4, 0.6), (0.6, 0.4), (0.5, 0.5)):
        reader = Judge({"seven gates": lock, "": other})
        compared = asked(question, evidence, reader)
        assert compared is not None
        assert ("Lock" in compared.answer) == (lock >= other) and compared.support == max(lock, other)
        assert compared.found == (f"{lock:.2f} likely", f"{other:.2f} likely")
        assert len(reader.asked) == 2
        assert all(sum(text in message for _, text in (LOCK, WEIR, MILL)) == 1 for message in reader.asked)


def test_a_question_about_one_thing_or_about_both_is_left_to_the_reader() -> None:
    for question in ("Which has more gates, Old Lock or Old Lock?", "What do Old Lock and New Weir have in common?"):
        assert asked(question, hits(LOCK, WEIR, MILL)) is None


def test_what_is_alike_is_not_read_off() -> None:
    twin = ("New Weir", "New Weir was opened on 3 May 1821.")
    sides = sides_of("Which was opened first, Old Lock or New Weir?", hits(LOCK, twin))
    assert sides is not None and settle("Which was opened first, Old Lock or New Weir?", sides) is None


def test_lives_are_compared_by_the_years_between_their_two_dates() -> None:
    evidence = hits(
        ("Clyde Foundry", "Clyde Foundry (2 March 1800 – 1 April 1850) made bells."),
        ("Ashby Foundry", "Ashby Foundry (1830 – 1890) made anchors."),
    )
    compared = asked("Who lived longer, Clyde Foundry or Ashby Foundry?", evidence)
    assert compared is not None and compared.answer == "Ashby Foundry"
    compared = asked("Who died first, Clyde Foundry or Ashby Foundry?", evidence)
    assert compared is not None and compared.found == ("1 April 1850", "1890")


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("on July 31, 1963 and 31 July 1963", ["July 31, 1963", "31 July 1963"]),
        ("in Sept. 1899, then 1900", ["1899", "1900"]),
        ("in Sep 1899, then May 1900", ["Sep 1899", "May 1900"]),
        ("11,963 of 1963.5 and 19634", []),
    ],
)
def test_dates_are_found_and_numbers_are_none(text: str, dates: list[str]) -> None:
    assert [match[0] for match in DATE.finditer(text)] == dates


def test_a_date_sorts_by_year_then_month_then_day() -> None:
    def first(one: str, other: str) -> str:
        evidence = hits(("A Lock", f"A Lock was opened {one}."), ("B Lock", f"B Lock was opened {other}."))
        sides = sides_of("Which was first, A Lock or B Lock?", evidence)
        assert sides is not None
        compared = settle("Which was first, A Lock or B Lock?", sides)
        return "" if compared is None else compared.answer

    assert first("in December 1820", "in January 1821") == "A Lock"
    assert first("on 12 May 1821", "on May 3, 1821") == "B Lock"
    assert first("in 1821", "in 1820") == "B Lock"


# ---- yes or no


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Are both Old Lock and New Weir canals?", "Is Old Lock canals?"),
        ("Are Old Lock and New Weir both canals?", "Is Old Lock canals?"),
        ("Were the Old Lock and New Weir built before 1900?", "Was the Old Lock built before 1900?"),
        ("Do Old Lock and New Weir have gates?", "Does Old Lock have gates?"),
    ],
)
def test_a_question_about_both_is_asked_of_each(question: str, first: str) -> None:
    sides = sides_of(question, hits(LOCK, WEIR))
    assert sides is not None
    assert alone(question, *sides) == first
    assert "Old Lock" not in alone(question, sides[1], sides[0])


@pytest.mark.parametrize(
    ("lock", "weir", "answer", "support"),
    [(0.9, 0.8, "yes", 0.8), (0.9, 0.2, "no", 0.8), (0.1, 0.3, "no", 0.9), (0.5, 0.5, "yes", 0.5)],
)
def test_both_are_so_where_each_is_more_likely_than_not(lock: float, weir: float, answer: str, support: float) -> None:
    reader = Judge({"canal lock": lock, "completed": weir})
    compared = asked("Are both Old Lock and New Weir canals?", hits(LOCK, WEIR), reader)
    assert compared is not None
    assert (compared.answer, compared.support) == (answer, pytest.approx(support))
    assert all(text.count("Old Lock") * text.count("New Weir") == 0 for text in reader.asked), "each by itself"


@pytest.mark.parametrize(
    ("lock", "weir", "answer"), [("Thames", "the Thames.", "yes"), ("Thames", "Severn", "no"), ("Thames", "", None)]
)
def test_the_same_is_what_has_a_word_in_common(lock: str, weir: str, answer: str | None) -> None:
    reader = Judge(said={"river of Old Lock": lock, "river of New Weir": weir})
    compared = asked("Are Old Lock and New Weir on the same river?", hits(LOCK, WEIR), reader)
    assert (compared and compared.answer) == answer


def test_the_note_quotes_both_sides_and_says_what_was_found() -> None:
    compared = asked("Which was opened first, Old Lock or New Weir?", hits(LOCK, WEIR))
    assert compared is not None
    note = compared_note("Which was opened first, Old Lock or New Weir?", compared)
    assert note.text.splitlines() == [
        "[1] It was opened on 3 May 1821 and has seven gates.",
        "[2] New Weir was completed in June 1901.",
        "Old Lock: 3 May 1821; New Weir: June 1901",
    ]
    assert note.key_spans == ("3 May 1821", "June 1901")
