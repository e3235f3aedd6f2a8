"""rag/read/rules/comparison.py: two things side by side, each by its own evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from rag.llm.chat import ChatModel, Messages, Usage
from rag.read.notes import proposal_note
from rag.read.rules.base import Proposal, confirm
from rag.read.rules.compared_order import settle
from rag.read.rules.compared_sides import sides_of, without_names
from rag.read.rules.comparison import Comparison, alone
from rag.read.rules.facts import DATE, count, dates, measures
from rag.records import Hit
from tests.parts import assert_linear, passage


def hits(*texts: tuple[str, str]) -> list[Hit]:
    return [
        Hit(rank, 1 / rank, passage(0, text, f"d{rank}", title=title))
        for rank, (title, text) in enumerate(texts, start=1)
    ]


LOCK = ("Old Lock", "The Old Lock is a canal lock. It was opened on 3 May 1821 and has seven gates.")
WEIR = ("New Weir (river)", "New Weir was completed in June 1901. It has 12 gates and is 1,200 m long.")
MILL = ("Tide Mill", "The Tide Mill grinds flour. It is 900 feet long.")


class Judge(ChatModel):
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


def asked(question: str, evidence: list[Hit], reader: Judge | None = None) -> Proposal | None:
    return Comparison().propose(question, evidence, reader or Judge(), Usage())


def settle_question(question: str, evidence: list[Hit]) -> Proposal | None:
    sides = sides_of(question, evidence)
    return settle(without_names(question, sides), sides) if sides else None


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
    answer = asked("Which is prettier, Old Lock or New Weir?", evidence, Judge({"canal lock": 0.2, "dam": 0.9}))
    assert answer is not None and (answer.answer, answer.judged) == ("New Weir", 0.9)


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
        assert ("Lock" in compared.answer) == (lock >= other) and compared.judged == max(lock, other)
        assert compared.found == (f"{lock:.2f} likely", f"{other:.2f} likely")
        assert len(reader.asked) == 2
        assert all(sum(text in message for _, text in (LOCK, WEIR, MILL)) == 1 for message in reader.asked)


def test_a_question_about_one_thing_or_about_both_is_left_to_the_reader() -> None:
    for question in ("Which has more gates, Old Lock or Old Lock?", "What do Old Lock and New Weir have in common?"):
        assert asked(question, hits(LOCK, WEIR, MILL)) is None


def test_what_is_alike_is_not_read_off() -> None:
    twin = ("New Weir", "New Weir was opened on 3 May 1821.")
    assert settle_question("Which was opened first, Old Lock or New Weir?", hits(LOCK, twin)) is None


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
        compared = settle_question("Which was first, A Lock or B Lock?", evidence)
        return "" if compared is None else compared.answer

    assert first("in December 1820", "in January 1821") == "A Lock"
    assert first("on 12 May 1821", "on May 3, 1821") == "B Lock"
    assert first("in 1821", "in 1820") == "B Lock"


# ---- only where that is all the question asks

RED = ("Red Harbour", "Red Harbour is a novel by Ann Moor, published in 1950. It has 300 pages and is 20 cm tall.")
BLUE = ("Blue Harbour", "Blue Harbour is a novel. It was published in Ys in 1960. It has 200 pages and is 10 cm tall.")


def settled(question: str, first: tuple[str, str], second: tuple[str, str]) -> str | None:
    """The title of the side that wins; None where nothing is decided, or the question has no two sides."""
    compared = settle_question(question, hits(first, second))
    assert compared is None or len(compared.claims) == 2
    return compared and next(title for title, _ in (first, second) if title.split()[0] in compared.answer)


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("Which was published first, {}?", True),
        ("Which novel was published earlier, {}?", True),
        ("Which is the older novel, {}?", True),
        ("Which was the first to be published, {}?", True),
        ("Did {} come out first?", True),
        ("{}: which is older?", True),
        ("Which one of the two novels came out first, {}?", True),
        ("Which novel, {}, was published later?", False),
        ("Which is newer, {}?", False),
        ("Which is the more recent novel, {}?", False),
        ("Which has the most pages, {}?", True),
        ("Does {} have fewer pages?", False),
        ("Which is the taller novel, {}?", True),
        ("Which is shorter, {}?", False),
    ],
)
def test_the_order_that_a_question_asks_for_is_read_off_however_it_is_put(question: str, first: bool) -> None:
    for names in ("Red Harbour or Blue Harbour", "Red Harbour or the novel Blue Harbour"):
        assert settled(question.format(names), RED, BLUE) == (RED if first else BLUE)[0]


@pytest.mark.parametrize(
    "question", ["Between {}, which came first?", "Which of {} is older?", "Of {}, which is older?"]
)
def test_the_two_may_stand_before_what_is_asked_of_them(question: str) -> None:
    assert settled(question.format("Red Harbour and Blue Harbour"), RED, BLUE) == "Red Harbour"


@pytest.mark.attack
@pytest.mark.parametrize(
    "question",
    [
        "Which has a first-person narrator, {}?",
        "Which was written before 1960, {}?",
        "Which is set before the war, {}?",
        "Whose first novel is set at sea, {}?",
        "Which was its author's first novel, {}?",
        "Which is about the First World War, {}?",
        "Which has an older hero, {}?",
        "Which has the author who is older, {}?",
        "Which novel whose author was born first, {}?",
        "Which author is older, {}?",
        "Which author of {} is older?",
        "Which author's first book was published earlier, {}?",
        "Which features a younger brother, {}?",
        "Which book's author has the last name Orm, {}?",
        "Which is her latest novel, {}?",
        "Which takes place over the last days of summer, {}?",
        "Which was published last year, {}?",
        "Which was published first in Germany, {}?",
        "Which came out first in colour, {}?",
        "Which was first translated into French, {}?",
        "Which was the first to win a prize, {}?",
        "Who won a prize first, {}?",
        "Which was more popular at first, {}?",
        "Which was not published first, {}?",
        "Which never was published first, {}?",
        "Which was published first, the sequel to {}?",
        "Which was published first, {}'s sequel?",
        "Was the author of {} born first?",
        "Which has more than 300 pages, {}?",
        "Which has more famous pages, {}?",
        "Which has fewer pages than 250, {}?",
        "Which sold more copies, {}?",
        "Which is taller than 15 cm, {}?",
        "Which is larger than 5 m, {}?",
        "Which has a taller spine, {}?",
        "Which is higher up the list, {}?",
        "Which is longer lasting, {}?",
    ],
)
def test_what_only_sounds_like_a_comparison_is_left_to_the_reader(question: str) -> None:
    for evidence in ((RED, BLUE), (BLUE, RED)):
        assert settled(question.format("Red Harbour or Blue Harbour"), *evidence) is None


@pytest.mark.attack
def test_the_sequel_to_a_side_is_no_side() -> None:
    assert sides_of("Which came out first, Red Harbour or the sequel to Blue Harbour?", hits(RED, BLUE)) is None


# ---- only dates of the thing itself, and of one kind


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("is a novel published in 1815.", True),
        ("(published 1815) is a novel.", True),
        ("is a novel by Ann Moor and was first published on 3 May 1815.", True),
        ("was published between 1890 and 1895.", True),
        ("was first published in London by Moor & Sons in 1815, and again in 1990.", True),
        ("is a magazine. The magazine has been published since 1815.", True),
        ("is a 1990 novel about the war of 1815.", False),
        ("is a novel set in 1815. It was published in 1990.", False),
        (", a novel about the war of 1815, was published in 1990.", False),
        ("was written in 1815 and published in 1990.", False),
        ("was censored in 1815 and was published in 1990.", False),
    ],
)
def test_a_date_behind_the_verb_is_the_events(text: str, first: bool) -> None:
    other = ("Blue Harbour", "Blue Harbour is a novel published in 1900.")
    red = ("Red Harbour", f"Red Harbour{'' if text[0] == ',' else ' '}{text}")
    winner = settled("Which was published first, Red Harbour or Blue Harbour?", red, other)
    assert winner == ("Red Harbour" if first else "Blue Harbour")


@pytest.mark.attack
@pytest.mark.parametrize(
    "text",
    [
        "is a novel about the war of 1815, published 1990.",  # silence will do
        "is a novel that was begun in 1815 and published in 1990.",
        "is a novel by Ann Moor (1850-1899).",
        "is a novel about a newspaper published in 1815.",
        "is the sequel to a novel published in 1815.",
        "is an edition of a book first published in 1815.",
        "is the best magazine published since 1815.",
        "is a biography of a man born in 1815.",
        "is a 1815 proposed magazine.",
        "(1815) is a novel.",
        "(about 1815) is a novel.",
        "was published as a reply to the events of 1815.",
        "was published in the year after the fire of 1815.",
        "was published in the 1815 style.",
        "was published in the 1810s.",
        "was published under the title 'Storm 1815'.",
        "was published by John Smith, who was born in 1815.",
        "was not published in 1815.",
        "was probably published in 1815.",
        "was due to be published in 1815.",
        "was re-published in 1815.",
        "was published long before 1899.",
        "was published in 1200 BC.",
        "was published between 1890 and 1905.",
        "was published in 1900.",
        "was published in May 1900.",
        "was published in 1815. It was published in 1990.",
        "is a novel. The film was released in 1815.",
        "II was published in 1815.",
        "Press was published in 1815.",
        "was founded in 1815.",
    ],
)
def test_a_date_of_something_else_or_in_doubt_is_not_compared(text: str) -> None:
    other = ("Blue Harbour", "Blue Harbour is a novel published in 1900.")
    question = "Which was published first, Red Harbour or Blue Harbour?"
    assert settled(question, ("Red Harbour", f"Red Harbour {text}"), other) is None
    assert settled(question, ("Red Harbour", f"The novel after Red Harbour {text}"), other) is None


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Ann Moor (1900 – 1980) was a poet.", True),
        ("Ann Moor( born 4 July 1900 in Ys, Orm) was a poet.", True),
        ("Ann Mary Moor (née Smith; 4 July 1900 – 3 March 1980) was a poet.", True),
        ("Anna Smith (July 4, 1900 – 1980), better known as Ann Moor, was a poet.", True),
        ("Ann Moor was born in Ys on 4 July 1900.", True),
        ("Ann Moor (Born 4 October 1951) is a poet.", False),
    ],
)
def test_people_are_older_by_their_births(text: str, first: bool) -> None:
    other = ("Bea Orm", "Bea Orm (born 3 May 1950) is a poet. It is a 1920 name.")
    for question in ("Who is older, Ann Moor or Bea Orm?", "Was Ann Moor or Bea Orm born first?"):
        assert settled(question, ("Ann Moor", text), other) == ("Ann Moor" if first else "Bea Orm")


@pytest.mark.attack
@pytest.mark.parametrize(
    "text",
    [
        "Ann Moor (reigned 1900-1980) was a queen.",
        "Ann Moor (c. 1900 - 1980) was a poet.",
        "Ann Moor (president 1900-1904) was a politician.",
        "Ann Moor (baptised 3 May 1900 - 1980) was a poet.",
        "Ann Moor (born 1899 or 1951) is a poet.",
        "Ann Moor (26 September 188926 May 1976) was a poet.",
        "Ann Moor (died 1940) was a poet.",
        "Ann Moor (born 1950) is a poet.",
        "Ann Moor is a poet. Her father was born in 1900.",
        "Ann Moor is a daughter of Cid Moor. She was born in 1900.",  # which of the two?
        "Ann Moor was born to John Moor (1870-1900).",
        "Ann Moor is a 1936 Olympic champion.",
        "Ann Moor is a ship built in 1900.",
        "Ann Moor's Mill (1900-1950) was a mill.",
    ],
)
def test_no_one_is_older_by_another_date_than_a_birth(text: str) -> None:
    other = ("Bea Orm", "Bea Orm (born 3 May 1950) is a poet.")
    assert settled("Who is older, Ann Moor or Bea Orm?", ("Ann Moor", text), other) is None


@pytest.mark.attack
def test_a_length_of_life_needs_both_its_ends() -> None:
    ann, bea = ("Ann Moor", "Ann Moor (1900 - 1980) was a poet."), ("Bea Orm", "Bea Orm (1950 - 1999) was a poet.")
    assert settled("Who lived longer, Ann Moor or Bea Orm?", ann, bea) == "Ann Moor"
    assert settled("Who died first, Ann Moor or Bea Orm?", ann, bea) == "Ann Moor"
    assert settled("Who lived longer in Ys, Ann Moor or Bea Orm?", ann, bea) is None
    for alive in ("Bea Orm (born 1950) is a poet.", "Bea Orm (active 1850 - 1999) was a poet."):
        assert settled("Who lived longer, Ann Moor or Bea Orm?", ann, ("Bea Orm", alive)) is None
    same_year = ("Bea Orm", "Bea Orm (May 1900 - May 1980) was a poet.")
    assert settled("Who lived longer, Ann Moor or Bea Orm?", ann, same_year) is None


@pytest.mark.attack
@pytest.mark.parametrize(
    ("question", "red", "blue", "winner"),
    [
        ("Which is older, {}?", "was founded in 1900.", "was released in 1950.", None),
        ("Which is older, {}?", "was founded in 1900.", "was founded in 1950.", "Red Harbour"),
        ("Which was founded first, {}?", "is a bank in Ys, founded in 1900.", "was founded in 1950.", None),
        ("Which band formed first, {}?", "is a band from Ys, formed in 1997.", "was formed in 2006.", "Red Harbour"),
        ("Which opened first, {}?", "opened in 1950.", "opened in May 1950.", None),
        ("Which opened first, {}?", "opened on 1 May 1950.", "opened on 2 May 1950.", "Red Harbour"),
        ("Which opened first, {}?", "opened in 1900 a second shop.", "opened in 1950.", None),
        ("Which happened first, {}?", "took place in 1815.", "was fought from May 1816 to June 1817.", "Red Harbour"),
        ("Which film is older, {}?", "is a 1936 Olympic film critic.", "is a 1940 ship.", None),
    ],
)
def test_dates_are_compared_within_one_kind_of_event(question: str, red: str, blue: str, winner: str | None) -> None:
    sides = ("Red Harbour", f"Red Harbour {red}"), ("Blue Harbour", f"Blue Harbour {blue}")
    assert settled(question.format("Red Harbour or Blue Harbour"), *sides) == winner


# ---- lengths with lengths, areas with areas


@pytest.mark.parametrize(
    ("question", "red", "blue", "first"),
    [
        ("Which is taller, {}?", "is 1,000 ft tall.", "stands 300 m high.", True),
        ("Which is higher, {}?", "has a height of 0.4 km.", "is a 300-metre-tall tower in Ys.", True),
        ("Which is shorter, {}?", "is 400 metres (1,312 ft) tall.", "is a tower and is 300 m tall.", False),
        ("Which is taller, {}?", "is more than 400 m tall.", "is about 300 m tall.", True),
        ("Which river is longer, {}?", "is 50 km long.", "is a river. The river has a length of 50 miles.", False),
        ("Which is larger, {}?", "is a 5-acre park.", "covers an area of 3 ha.", False),
        ("Which is bigger, {}?", "covers 2 square miles.", "covers 3 square kilometres (300 ha).", True),
        ("Which is smaller in area, {}?", "has a total area of 12 km2.", "has an area of 13 km².", True),
        ("Which is deeper, {}?", "is 3 m deep.", "has a maximum depth of 2 m.", True),
    ],
)
def test_sizes_are_compared_in_any_unit(question: str, red: str, blue: str, first: bool) -> None:
    sides = ("Red Harbour", f"Red Harbour {red}"), ("Blue Harbour", f"Blue Harbour {blue}")
    winner = settled(question.format("Red Harbour or Blue Harbour"), *sides)
    assert winner == ("Red Harbour" if first else "Blue Harbour")


@pytest.mark.attack
@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Which is taller, {}?", "covers 5 acres."),
        ("Which is taller, {}?", "is 5 acres in area."),
        ("Which is taller, {}?", "is 1 km long."),
        ("Which is taller, {}?", "is 400 m above sea level."),
        ("Which is taller, {}?", "is 984 feet tall."),  # 300 m, give or take half a foot
        ("Which is taller, {}?", "is about 310 m tall."),
        ("Which is taller, {}?", "is up to 400 m tall."),
        ("Which is taller, {}?", "is between 200 and 400 m tall."),
        ("Which is taller, {}?", "is 200-400 m tall."),
        ("Which is taller, {}?", "is not 400 m tall."),
        ("Which is taller, {}?", "was planned to be 400 m tall."),
        ("Which is taller, {}?", "is 400 m tall including its mast."),
        ("Which is taller, {}?", "has a 400 m tall mast."),
        ("Which is taller, {}?", "is near a 400 m tall hill."),
        ("Which is taller, {}?", "was 100 m tall and now is 400 m tall."),
        ("Which is taller, {}?", "stands 5 km from the sea."),
        ("Which is longer, {}?", "is 400 m tall."),
        ("Which is longer, {}?", "is a film. It is 400 minutes long."),
        ("Which is larger, {}?", "is 400 m tall."),
        ("Which is larger, {}?", "covers part of a 50 acre estate."),
        ("Which is larger, {}?", "has a lake that covers 50 acres."),
        ("Which is larger, {}?", "covers 50 acres. It has a population of 300."),
    ],
)
def test_what_measures_something_else_is_not_compared(question: str, text: str) -> None:
    blue = "Blue Harbour is 300 m tall. It is 300 m long. It covers 6 acres."
    sides = ("Red Harbour", f"Red Harbour {text}"), ("Blue Harbour", blue)
    assert settled(question.format("Red Harbour or Blue Harbour"), *sides) is None


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("has 30 albums and 12 members.", False),
        ("has twelve members.", False),
        ("has fewer than 10 members.", False),
        ("has more than 30 members.", True),
        ("is a club with 3,000 members.", True),
        ("was founded in 1990 and has about 30 members.", True),
    ],
)
def test_a_number_right_before_a_noun_counts_it(text: str, more: bool) -> None:
    sides = ("Red Harbour", f"Red Harbour {text}"), ("Blue Harbour", "Blue Harbour has 20 members.")
    winner = settled("Which has more members, Red Harbour or Blue Harbour?", *sides)
    assert winner == ("Red Harbour" if more else "Blue Harbour")


@pytest.mark.attack
@pytest.mark.parametrize(
    "text",
    [
        "has 10 to 30 members.",
        "has 10-30 members.",
        "has between 10 and 30 members.",
        "has more than 10 members.",
        "has up to 30 members.",
        "has two hundred members.",
        "has forty-five members.",
        "has 1.2 million members.",
        "has 30 former members.",
        "has 30 members in Ys.",
        "has members in 30 countries.",
        "has a choir of 30 members.",
        "has 12 of its 30 members.",
        "has two clubs with 30 members.",
        "lost 30 members.",
        "was a duo of members of Blur.",
        "had 30 members. It has 10 members.",
        "is old. Its fan club has 30 members.",
    ],
)
def test_a_number_that_does_not_count_the_noun_is_not_compared(text: str) -> None:
    sides = ("Red Harbour", f"Red Harbour {text}"), ("Blue Harbour", "Blue Harbour has 20 members.")
    assert settled("Which has more members, Red Harbour or Blue Harbour?", *sides) is None


@pytest.mark.parametrize("piece", ["and was opened in X ", "by A B ", "(1 ", "3 doors, ", "Ab, ", "as a b "])
def test_facts_are_looked_for_in_linear_time(piece: str) -> None:
    def work(text: str) -> None:
        evidence = hits(("Old Lock", f"Old Lock is a lock built {text}"))
        dates("Old Lock", evidence, "")
        measures("Old Lock", evidence)
        count("Old Lock", evidence, "gates")

    assert_linear(work, piece * 200, piece * 1600)


# ---- dates that the reader says

BORN = {"Ann Moor": "3 May 1900", "Bea Orm": "1 May 1950"}


def people(*texts: tuple[str, str]) -> list[Hit]:
    films = [
        (f"{film} Harbour", f"{film} Harbour is a film by {name}.")
        for film, name in zip(("Red", "Blue"), BORN, strict=True)
    ]
    return hits(*texts, *films)


WORDY = [(name, f"{name} is a poet. On {day} she saw the light of day.") for name, day in BORN.items()]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who was born first, Ann Moor or Bea Orm?", "Ann Moor"),
        ("Who is younger, Ann Moor or Bea Orm?", "Bea Orm"),
        ("Which film has the director who was born later, Red Harbour or Blue Harbour?", "Blue Harbour"),
        ("Which film whose director is older, Red Harbour or Blue Harbour?", "Red Harbour"),
        ("Whose author was born earlier, Red Harbour or Blue Harbour?", "Red Harbour"),
    ],
)
def test_dates_in_other_words_are_asked_for_one_by_one_and_compared_here(question: str, answer: str) -> None:
    """Also of who has a part in each of the two, where there is evidence about them."""
    said = {f"When was {name} born?": f"on {day}" for name, day in BORN.items()}
    said |= {
        f"{role} of {film}": name
        for role in ("director", "author")
        for film, name in zip(("Red", "Blue"), BORN, strict=True)
    }
    compared = asked(question, people(*WORDY), Judge(said=said))
    assert compared is not None and compared.answer == answer and compared.found == tuple(BORN.values())
    assert all(claim.answer in claim.text for claim in compared.claims)
    quoted = {quote.hit.passage.title for quote in compared.quotes}
    assert quoted == set(BORN) | ({"Red Harbour", "Blue Harbour"} if "Harbour" in question else set())
    assert [claim.hit.passage.title for claim in compared.claims] == [q.hit.passage.title for q in compared.quotes]


@pytest.mark.attack
@pytest.mark.parametrize("reply", ["1800", "Not stated", "", "between 1899 and 1950", "3 May 1901"])
def test_a_date_that_the_evidence_does_not_state_is_not_compared(reply: str) -> None:
    said = {"When was Ann Moor born?": reply, "When was Bea Orm born?": "1 May 1950"}
    assert asked("Who was born first, Ann Moor or Bea Orm?", people(*WORDY), Judge(said=said)) is None


@pytest.mark.attack
@pytest.mark.parametrize("question", ["Which director is older, {}?", "Which author came first, {}?"])
def test_nobody_is_asked_for_dates_of_what_the_two_are_not(question: str) -> None:
    reader = Judge()
    assert asked(question.format("Red Harbour or Blue Harbour"), people(*WORDY), reader) is None and not reader.asked


@pytest.mark.attack
def test_without_evidence_about_who_has_the_part_nothing_is_compared() -> None:
    reader = Judge(said={"director of Red": "Ann Moor", "director of Blue": "Cid Alt"})
    for question in (
        "Which film has the director born first, {}?",
        "Do both films {} have the directors from the same country?",
    ):
        names = "Red Harbour or Blue Harbour" if "first" in question else "Red Harbour and Blue Harbour"
        assert asked(question.format(names), people(*WORDY), reader) is None


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
    assert (compared.answer, compared.judged) == (answer, pytest.approx(support)) and not compared.claims
    assert all(text.count("Old Lock") * text.count("New Weir") == 0 for text in reader.asked), "each by itself"


# ---- the same


THAMES = ("Old Lock", "The Old Lock is a lock on the River Thames in England.")
SEVERN = ("New Weir", "New Weir is a weir on the Severn in England.")
THAMES_TOO = ("New Weir", "New Weir is a weir on the river Thames.")


def same(lock: str, weir: str, evidence: list[Hit], likely: float) -> tuple[Proposal | None, Judge]:
    said = {"river of Old Lock": lock, "river of New Weir": weir}
    reader = Judge({"One river": likely}, said)
    return asked("Are Old Lock and New Weir on the same river?", evidence, reader), reader


def test_the_same_words_are_the_same_without_a_judgement() -> None:
    compared, reader = same("River Thames", "the river Thames.", hits(THAMES, THAMES_TOO), 0.0)
    assert compared is not None and (compared.answer, compared.judged) == ("yes", 1.0)
    assert len(reader.asked) == 2, "what each is, and nothing else"


@pytest.mark.attack
@pytest.mark.parametrize("likely", [0.9, 0.2, 1.0, 0.0])
def test_whether_different_words_are_the_same_is_the_readers_judgement(likely: float) -> None:
    compared, _ = same("River Thames", "Severn", hits(THAMES, SEVERN), likely)
    assert compared is not None and compared.answer == ("yes" if likely >= 0.5 else "no")
    assert compared.judged == pytest.approx(max(likely, 1 - likely))


@pytest.mark.parametrize(("first", "second"), [(0.9, 0.4), (0.3, 0.8)])
def test_a_proposal_is_as_sure_as_its_least_certain_claim(first: float, second: float) -> None:
    """Each claim is put beside the words that are to say so, and no others."""
    compared, _ = same("River Thames", "Severn", hits(THAMES, SEVERN), 0.1)
    assert compared is not None
    reader = Judge({'river of Old Lock?" is "River Thames"': first, 'river of New Weir?" is "Severn"': second})
    assert confirm(compared, reader, Usage()) == min(first, second)
    assert [text.split("\n")[0] for text in reader.asked] == [
        f"Text: {title}: {text}" for title, text in (THAMES, SEVERN)
    ]


@pytest.mark.attack
@pytest.mark.parametrize("nothing", ["", "Not mentioned", "Unknown.", "None", "I don't know"])
def test_two_sides_of_which_nothing_is_said_are_not_the_same(nothing: str) -> None:
    compared, _ = same(nothing, nothing, hits(LOCK, WEIR), 0.9)
    assert compared is None


@pytest.mark.attack
@pytest.mark.parametrize(
    ("what", "first", "second"),
    [
        ("country", "South Korea", "South Africa"),
        ("publisher", "Oxford University Press", "Cambridge University Press"),
        ("city", "New York", "York"),
        ("author", "John Smith", "John Brown"),
        ("nationality", "American", "the United States"),
        ("state", "West Virginia", "Virginia"),
        ("county", "North Yorkshire", "South Yorkshire"),
        ("party", "Labour Party", "Conservative Party"),
        ("language", "Old English", "English"),
    ],
)
def test_a_word_in_common_or_none_decides_nothing(what: str, first: str, second: str) -> None:
    evidence = hits(("Old Lock", f"Old Lock has {first}."), ("New Weir", f"New Weir has {second}."))
    for likely in (0.7, 0.2):
        reader = Judge({f"One {what}: {first}\nOther {what}: {second}": likely}, {"Old Lock": first, "Weir": second})
        compared = asked(f"Do Old Lock and New Weir have the same {what}?", evidence, reader)
        assert compared is not None and compared.judged == pytest.approx(max(likely, 1 - likely))
        assert compared.answer == ("yes" if likely > 0.5 else "no")


@pytest.mark.attack
@pytest.mark.parametrize(
    "question",
    [
        "Were Old Lock and New Weir opened in the same year?",
        "Are Old Lock and New Weir of the same size as Tide Mill?",
        "Are Old Lock and New Weir the same kind of building?",
        "Were Old Lock and New Weir built by the same man?",
        "Are Old Lock and New Weir open at the same time?",
    ],
)
def test_what_more_is_said_of_the_same_is_left_to_the_reader(question: str) -> None:
    reader = Judge(said={"": "1821"})
    assert asked(question, hits(THAMES, THAMES_TOO), reader) is None and not reader.asked


def test_the_note_quotes_both_sides_and_says_what_was_found() -> None:
    compared = asked("Which was opened first, Old Lock or New Weir?", hits(LOCK, WEIR))
    assert compared is not None
    note = proposal_note("Which was opened first, Old Lock or New Weir?", compared, compared.quotes)
    assert note.text.splitlines() == [
        "[1] It was opened on 3 May 1821 and has seven gates.",
        "[2] New Weir was completed in June 1901.",
        "Old Lock: 3 May 1821; New Weir: June 1901",
    ]
    assert note.key_spans == ("3 May 1821", "June 1901")
