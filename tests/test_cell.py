"""rag/read/rules/table_cell.py: the cell that a question names, or nothing."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.read.rules.table_cell import Cell, read_cell
from rag.records import Hit
from tests.parts import passage

LAMPS = "Table 1: Lamps over seven nights."
LAMP_ROWS = [
    "Oil lamp | Indoor light Early Lux: 14.0 | Indoor light Late Lux: 9.5 | Indoor light Co-Late Lux: 8.5 "
    "| Cost ($): 12",
    "Gas lamp (2019) | Indoor light Early Lux: 33.1 | Indoor light Late Lux: 31.0* | Indoor light Co-Late Lux: – "
    "| Cost ($): 1,200 (±40)",
    "Arc lamp (ours) | Indoor light Early Lux: **88.2** | Indoor light Late Lux: 71.0 72.0 "
    "| Indoor light Co-Late Lux: 70.4 | Cost ($): 980",
]
PARTS = "Table 2: Ablations: BRT: brightness, LSP: life span."
PART_ROWS = [
    "Arc lamp | BRT: 88.2 | LSP: 40 | # tests: 7 | % tests: 70%",
    "− mirror | BRT: 61.5 | LSP: 41 | # tests: 2 | % tests: 20%",
    "+ shade | BRT: 80.0 | LSP: 52 | # tests: 1 | % tests: 10%",
]


def table(caption: str, rows: Sequence[str], rank: int = 1, document: str = "d") -> Hit:
    label = caption.partition(":")[0]
    text = "\n".join([caption, *rows])
    whole = replace(passage(rank, text, document, start=10_000 * rank), kind="table", label=label, caption=caption)
    return Hit(rank, 1 / rank, whole)


EVIDENCE = [table(LAMPS, LAMP_ROWS, 1), table(PARTS, PART_ROWS, 2)]


def text_of(cell: Cell | None) -> str | None:
    if cell is None:
        return None
    assert cell.text in cell.quote.text and cell.column in cell.quote.text and cell.quote.holds
    return cell.text


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("What early lux does the oil lamp reach?", "14.0"),
        ("How high is the Late lux of the gas lamp?", "31.0"),  # without the mark of a footnote
        ("What is the co-late lux of the oil lamp?", "8.5"),
        ("What is the colate lux of the oil-lamp?", "8.5"),
        ("What was the arc lamp's early indoor light?", "88.2"),  # without the marks of bold type
        ("In Table 1, what is the cost of the gas lamp?", "1,200 (±40)"),
        ("What brightness has the arc lamp without the mirror?", "61.5"),
        ("What is the life span with the shade?", "52"),
        ("What LSP does the arc lamp get in Table 2?", "40"),
        ("How many tests are given for the arc lamp in the ablations?", "7"),
        ("What percentage of tests is reported for the arc lamp?", "70%"),
    ],
)
def test_a_cell_is_named_by_its_row_and_its_column(question: str, text: str) -> None:
    assert text_of(read_cell(question, EVIDENCE)) == text


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Which lamp has the highest early lux?", None),  # lamps need not be the rows
        ("Which model has the highest early lux?", "Arc lamp"),
        ("Which model has the lowest cost?", "Oil lamp"),
        ("What is the highest cost?", "1,200 (±40)"),
        ("What is the lowest BRT in Table 2?", "61.5"),
        ("Which variant has the fewest tests?", None),  # number or share?
        ("Which model has the highest late lux?", None),  # not every row has one number
        ("Which model has the second highest early lux?", None),
        ("What is the best cost?", None),  # the best is not the highest
        ("What is the highest lux?", None),
    ],
)
def test_the_highest_is_a_row_or_a_number(question: str, text: str | None) -> None:
    assert text_of(read_cell(question, EVIDENCE)) == text


@pytest.mark.parametrize(
    "question",
    [
        "What lux does the oil lamp reach?",  # three columns
        "What is the early lux of the lamp?",  # three rows
        "What is the early lux of the candle?",
        "What is the early lux of the oil lamp without a mirror?",
        "What BRT does the arc lamp reach with the mirror?",
        "What is the weight of the oil lamp?",
        "What is the early lux of the oil lamp on the test set?",
        "What is the difference in early lux between the oil lamp and the gas lamp?",
        "How much higher is the early lux of the arc lamp?",
        "What is the co-late lux of the gas lamp?",  # a dash
        "What is the late lux of the arc lamp?",  # two cells in one
        "In Table 2, what is the early lux of the oil lamp?",
        "In Table 7, what is the early lux of the oil lamp?",
        "Is the early lux of the oil lamp 14.0?",
        "Why is the early lux of the oil lamp low?",
        "Who measured the early lux of the oil lamp?",
        "Which band did the singer of Early Lux found?",
        "",
    ],
)
def test_what_is_not_clear_is_left_to_the_reader(question: str) -> None:
    assert read_cell(question, EVIDENCE) is None


def test_the_same_words_without_a_table_are_no_cell() -> None:
    prose = [replace(hit, passage=replace(hit.passage, kind="text")) for hit in EVIDENCE]
    assert read_cell("What early lux does the oil lamp reach?", prose) is None
    assert read_cell("What early lux does the oil lamp reach?", []) is None


def test_without_is_not_taken_from_what_the_caption_says() -> None:
    hits = [table("Table 1: Lamps with and without mirror.", ["Oil lamp | Lux: 14.0", "Average | Lux: 99.0"])]
    assert text_of(read_cell("What lux does the oil lamp reach?", hits)) == "14.0"
    assert read_cell("What lux does the oil lamp reach without mirror?", hits) is None


def test_an_average_is_no_rival_of_what_it_sums_up() -> None:
    rows = ["Oil lamp | Lux: 14.0", "All-night lamp | Lux: 20.0", "Average | Lux: 99.0"]
    assert text_of(read_cell("Which model has the highest lux?", [table("Table 1: A.", rows)])) == "All-night lamp"


def test_a_head_twice_is_not_clear_in_rows_in_columns_or_in_tables() -> None:
    question = "What is the weight of the oil lamp?"
    row = "Oil lamp | weight: 3"
    assert text_of(read_cell(question, [table("Table 1: A.", [row])])) == "3"
    assert read_cell(question, [table("Table 1: A.", [row, "Oil lamp | weight: 4"])]) is None
    assert read_cell(question, [table("Table 1: A.", ["Oil lamp | weight: 3 | weight: 4"])]) is None
    both = [table("Table 1: A.", [row], 1), table("Table 2: B.", ["Oil lamp | weight: 4"], 2)]
    assert read_cell(question, both) is None
    assert text_of(read_cell("What is the weight of the oil lamp in Table 2?", both)) == "4"
    alike = read_cell(question, [table("Table 1: A.", [row], 1), table("Table 2: B.", [row], 2)])
    assert alike is not None and alike.quote.hit.rank == 1


def test_a_table_with_a_gap_is_not_read() -> None:
    question = "What early lux does the oil lamp reach?"
    first = EVIDENCE[0].passage
    rows = "Lime lamp | Indoor light Early Lux: 20.0"
    behind = replace(first, text=rows, start=first.end + 1, end=first.end + 1 + len(rows))
    assert text_of(read_cell(question, [Hit(1, 1.0, first), Hit(2, 0.5, behind)])) == "14.0"
    assert read_cell(question, [Hit(1, 1.0, behind)]) is None, "its beginning is missing"
    later = replace(behind, start=behind.start + 40, end=behind.end + 40)
    assert read_cell(question, [Hit(1, 1.0, first), Hit(2, 0.5, later)]) is None


def test_the_scale_is_what_the_caption_says_but_not_of_shares() -> None:
    evidence = [table("Table 1: People (numbers in thousands)", ["Rural | Number: 291 | Percent: 18.7"])]
    number, share = (read_cell(f"What is the {column} of rural people?", evidence) for column in ("number", "percent"))
    assert number is not None and (number.text, number.scale) == ("291", "thousands")
    assert share is not None and (share.text, share.scale) == ("18.7", "")


RESULTS = ["2018 | Revenue: 120 | Staff: 28 | Margin (%): 12", "2019 | Revenue: 140 | Staff: 30 | Margin (%): 14"]
UNCLEAR = (None, None, "14")


@pytest.mark.attack
@pytest.mark.parametrize(
    ("caption", "answers"),
    [
        ("Table 1: Results.", ("140", "30", "14")),
        ("Table 1: Results in millions.", UNCLEAR),
        ("Table 1: Results (US$ million).", UNCLEAR),
        ("Table 1: Results (€m).", UNCLEAR),
        ("Table 1: All figures in millions.", UNCLEAR),
        ("Table 1: Revenue and staff (in millions).", UNCLEAR),
        ("Table 1: Revenue, staff and margin, in thousands.", UNCLEAR),
        ("Table 1: Revenue in millions, staff in thousands.", UNCLEAR),
        ("Table 1: Results of Million Dollar Baby.", UNCLEAR),
        ("Table 1: Revenue per thousand people.", UNCLEAR),
        ("Table 1: Revenue (in millions) and staff.", ("140 (in millions)", None, "14")),
        ("Table 1: Revenue, expressed in millions.", ("140 (in millions)", None, "14")),
        ("Table 1: Revenue (US$ million) of the shops.", ("140 (in millions)", None, "14")),
        ("Table 1: Staff (in thousands).", (None, "30 (in thousands)", "14")),
    ],
)
def test_a_scale_is_said_only_of_the_numbers_that_it_names(caption: str, answers: tuple[str | None, ...]) -> None:
    for heads, answer in zip(("revenue", "number of staff", "margin"), answers, strict=True):
        cell = read_cell(f"What was the {heads} in 2019?", [table(caption, RESULTS)])
        assert (cell and cell.answer) == answer


@pytest.mark.attack
@pytest.mark.parametrize(
    ("row", "question", "answer"),
    [
        ("2019 | Revenue (in millions): 140 | Staff: 30", "What was the revenue in 2019?", "140 (in millions)"),
        ("2019 | Revenue ($ million): 140 | Staff: 30", "What was the revenue in 2019?", "140 (in millions)"),
        ("2019 | Revenue (in millions): 140 | Staff: 30", "How many staff were there in 2019?", "30"),
        ("Revenue (in thousands) | 2019: 140", "What was the revenue in 2019?", "140 (in thousands)"),
        ("Deaths (per thousand) | 2019: 140", "How many deaths were there in 2019?", "140"),
        ("Million Dollar Baby | Year: 2004", "What year is Million Dollar Baby?", "2004"),
    ],
)
def test_a_head_says_the_scale_of_its_own_numbers(row: str, question: str, answer: str) -> None:
    cell = read_cell(question, [table("Table 1: Results.", [row, "Other | 2019: 3"])])
    assert cell is not None and cell.answer == answer


@pytest.mark.attack
def test_what_is_no_number_has_no_scale() -> None:
    rows = ["Alpha | Staff: 30 | Head: Ann Moor", "2019 | Staff: 40 | Head: Bea Orm"]
    evidence = [table("Table 1: Staff and heads (in millions).", rows)]
    for question, answer in (("Which model has the most staff?", "2019"), ("What is the head of Alpha?", "Ann Moor")):
        cell = read_cell(question, evidence)
        assert cell is not None and cell.answer == answer


PLANETS = [
    "Mars | Moons: 2 | Radius (km): 3,390 | Discoverers: 1 | People: 0 | Rank: 4",
    "Saturn | Moons: 146 | Radius (km): 58,232 | Discoverers: 60 | People: 0 | Rank: 6",
]


@pytest.mark.attack
@pytest.mark.parametrize(
    "question",
    [
        "What are the names of Mars's moons?",
        "What is the name of the moon of Mars?",
        "State the names of the moons of Saturn.",
        "What are the moons of Mars?",
        "What are the moons of Mars called?",
        "What is the moon of Mars?",
        "Which moons does Mars have?",
        "What moons has Saturn got?",
        "Which moons of Saturn are listed?",
        "Name the moons of Mars.",
        "Give the discoverers of Saturn.",
        "Which people of Mars are listed?",
        "What is the largest moon?",
        "WHAT ARE THE MOONS OF MARS?",
        "In Table 1, what are the moons of Mars?",
    ],
)
def test_names_and_lists_are_not_answered_by_how_many_there_are(question: str) -> None:
    across = ["Moons | Mars: 2 | Saturn: 146", "Discoverers | Mars: 1 | Saturn: 60", "People | Mars: 0 | Saturn: 0"]
    for rows in (PLANETS, across):
        assert read_cell(question, [table("Table 1: Planets.", rows)]) is None


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How many moons does Mars have?", "2"),
        ("What is the number of moons of Saturn?", "146"),
        ("What is the highest number of moons?", "146"),
        ("What is the radius of Mars?", "3,390"),
        ("What is the rank of Mars?", "4"),
    ],
)
def test_a_question_for_a_number_is_answered_by_it(question: str, text: str) -> None:
    assert text_of(read_cell(question, [table("Table 1: Planets.", PLANETS)])) == text


@pytest.mark.attack
def test_how_many_is_not_answered_by_names() -> None:
    rows = ["Mars | Moons: Phobos, Deimos", "Saturn | Moons: Titan"]
    assert read_cell("How many moons does Mars have?", [table("Table 1: Planets.", rows)]) is None
    assert text_of(read_cell("What moons does Saturn have?", [table("Table 1: Planets.", rows)])) == "Titan"


def test_a_row_of_cells_taken_for_heads_spoils_the_table() -> None:
    rows = ["Cable | Makers: Senders | Guarded: No", "Tape | Makers: Makers | Guarded: Yes"]
    assert read_cell("What is guarded of cable?", [table("Table 1: A.", rows)]) is None


# ---- laws

NAMES = st.lists(
    st.text(string.ascii_lowercase, min_size=4, max_size=9).map(lambda word: f"q{word}"), min_size=6, max_size=6,
    unique_by=lambda word: word[:4],
)  # fmt: skip


@st.composite
def grids(draw: st.DrawFn) -> tuple[list[str], list[str], list[list[str]]]:
    """Three rows by three columns of numbers that are all different."""
    names = draw(NAMES)
    numbers = draw(st.lists(st.integers(1, 9999), min_size=9, max_size=9, unique=True))
    cells = [[f"{number / 10:.1f}" for number in numbers[3 * i : 3 * i + 3]] for i in range(3)]
    return names[:3], names[3:], cells


def written(rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[str]]) -> list[Hit]:
    lines = [
        " | ".join([row, *(f"{column}: {cell}" for column, cell in zip(columns, of_row, strict=True))])
        for row, of_row in zip(rows, cells, strict=True)
    ]
    return [table("Table 1: Lamps.", lines)]


@settings(max_examples=60, deadline=None)
@given(grids(), st.permutations(range(3)), st.permutations(range(3)), st.integers(0, 2), st.integers(0, 2))
def test_a_cell_is_found_wherever_its_row_and_column_stand(
    grid: tuple[list[str], list[str], list[list[str]]], down: list[int], across: list[int], i: int, j: int
) -> None:
    rows, columns, cells = grid
    moved = [[cells[row][column] for column in across] for row in down]
    evidence = written([rows[row] for row in down], [columns[column] for column in across], moved)
    assert text_of(read_cell(f"What {columns[j]} does {rows[i]} have?", evidence)) == cells[i][j]
    assert read_cell(f"What {columns[j]} does {rows[i]} or {rows[i - 1]} have?", evidence) is None
    assert read_cell(f"What {columns[j]} and {columns[j - 1]} does {rows[i]} have?", evidence) is None


@settings(max_examples=40, deadline=None)
@given(grids(), st.integers(0, 2), st.integers(0, 2))
def test_a_row_or_column_that_is_not_there_is_not_made_up_for(
    grid: tuple[list[str], list[str], list[list[str]]], i: int, j: int
) -> None:
    rows, columns, cells = grid
    question = f"What {columns[j]} does {rows[i]} have?"
    kept = [k for k in range(3) if k != i]
    assert read_cell(question, written([rows[k] for k in kept], columns, [cells[k] for k in kept])) is None
    kept = [k for k in range(3) if k != j]
    assert read_cell(question, written(rows, [columns[k] for k in kept], [[r[k] for k in kept] for r in cells])) is None


@settings(max_examples=40, deadline=None)
@given(st.text(), st.lists(st.text(), max_size=4), st.text())
def test_whatever_is_returned_stands_in_the_quoted_row(question: str, rows: list[str], caption: str) -> None:
    for asked in (question, f"What is the {question}?", f"What is the highest {question}?"):
        text_of(read_cell(asked, [table(caption, rows), *EVIDENCE]))
