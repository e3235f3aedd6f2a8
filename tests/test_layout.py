"""What is drawn on a page is read whole, in the order in which it is read, as what it is, and known by its place."""

from __future__ import annotations

import io
import json
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader

from rag.document import Box, Region
from rag.records import Passage
from tests.conftest import PDFS, needs_data
from tests.made import (
    A4,
    BOLD,
    REGULAR,
    Flow,
    Grid,
    Made,
    Sheet,
    Words,
    dejavu,
    letters_of,
    read_by_children,
    read_made,
    strips,
    wrapped,
)

LEFT, RIGHT = 60.0, 535.0
WIDTH = RIGHT - LEFT


def flat(text: str) -> str:
    return " ".join(text.split())


def tokens(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def holders(passages: Sequence[Passage], words: str) -> list[Passage]:
    """The passages that hold all these words, one after the other."""
    return [passage for passage in passages if words in flat(passage.text)]


def one(made: Made, kind: str, label: str = "") -> Region:
    """The only region of this kind and label."""
    found = [region for region in made.of_kind(kind) if region.label == label]
    assert len(found) == 1, [(region.kind, region.label) for region in made.document.regions]
    return found[0]


def rows_of(made: Made, table: Region) -> list[str]:
    return made.text[table.caption_end : table.end].strip().split("\n")


# -- reading order -----------------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    columns=st.integers(1, 3),
    titled=st.booleans(),
    bottoms=st.lists(st.integers(60, 300), min_size=3, max_size=3),
    lengths=st.lists(st.integers(1, 6), min_size=3, max_size=8),
)
def test_columns_are_read_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, columns: int, titled: bool, bottoms: list[int], lengths: list[int]
) -> None:
    words = Words()
    sheet = Sheet(tmp_path_factory.mktemp("made") / "a.pdf")
    if titled:
        sheet.middle(A4[0] / 2, 780, words.words(5).title(), 18, BOLD)
    there = [(x, y, bottom, width) for (x, y, _, width), bottom in zip(strips(columns, 740, 0), bottoms, strict=False)]
    flow = Flow(sheet, [*there, None, *strips(columns, 780, 60)])
    flow.pour([words.paragraph(length) for length in lengths])
    made = read_made(sheet.save())
    assert tokens(made.text) == words.given
    assert {region.kind for region in made.document.regions} <= {"heading", "text"}


@pytest.mark.parametrize(("columns", "seed"), [(2, 1), (2, 4), (2, 7), (2, 16), (3, 5), (3, 10)])
def test_the_ragged_columns_of_an_index_are_read_one_after_the_other(tmp_path: Path, columns: int, seed: int) -> None:
    words, chance, drawn = Words(), random.Random(seed), list[str]()
    sheet = Sheet(tmp_path / "a.pdf")
    for x, y, bottom, width in strips(columns, 740, 80):
        while y > bottom:
            pages = "".join(f", {chance.randint(1, 340)}" for _ in range(chance.choice([1, 1, 2, 3, 5, 8])))
            entry = f"{words.words(chance.choice([1, 2, 2, 3]))}{pages}"
            drawn += tokens(entry)
            indent = chance.choice([0, 12])
            first, *rest = wrapped(entry, width - 36, 9)
            y = sheet.lines(x + indent, y, [first], 9)
            y = sheet.lines(x + indent + 12, y, rest, 9)
    assert tokens(read_made(sheet.save()).text) == drawn


@pytest.mark.parametrize("gap", [4, 10, 30])
@pytest.mark.parametrize("where", ["left", "middle", "right"])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("columns", [2, 3])
def test_a_short_title_above_the_columns_is_read_before_them(
    tmp_path: Path, columns: int, count: int, where: str, gap: float
) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    titles = [words.words(count).title(), words.word()]
    top = 740.0
    for title, size, font in zip(titles, (16, 11), (BOLD, REGULAR), strict=True):
        place = {"left": sheet.text, "middle": sheet.middle, "right": sheet.right}[where]
        place({"left": LEFT, "middle": A4[0] / 2, "right": RIGHT}[where], top, title, size, font)
        top -= 1.2 * size
    bodies = [words.paragraph(16) for _ in range(columns)]
    for (x, y, _, width), body in zip(strips(columns, top - gap, 0), bodies, strict=True):
        sheet.text(x, y, "1", 11, BOLD)
        sheet.prose(x, y - 14, width, body)
    made = read_made(sheet.save())
    assert [token for token in tokens(made.text) if token != "1"] == words.given
    assert {passage.section for passage in made.passages()} == {titles[0]}


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize(("above", "lower"), [("", 1), ("", 2), ("", 8), ("", 20), ("drawing", 8), ("drawing", 20)])
def test_a_column_that_begins_above_the_first_is_still_read_after_it(
    tmp_path: Path, columns: int, above: str, lower: int
) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    (x, y, bottom, width), *others = strips(columns, 700, 60)
    y -= 12 * lower
    if above:
        sheet.canvas.rect(x, y + 20, width, 12 * lower - 8, fill=1)
    Flow(sheet, [(x, y, bottom, width)]).pour([words.paragraph(12)])
    for left, top, _, wide in others:
        if above:  # then a heading there may part from what is below it
            sheet.text(left, top, words.words(2).title(), 11, BOLD)
        Flow(sheet, [(left, top - (16 if above else 0), 60, wide)]).pour([words.paragraph(20)])
    assert tokens(read_made(sheet.save()).text) == words.given


def rule_table(sheet: Sheet, left: float, right: float, top: float, number: int) -> Box:
    """A table of numbers below its caption; its rectangle."""
    sheet.text(left, top - 10, f"Table {number}: Weights of the parts.", 9)
    grid = Grid(left, [(right - left) / 4] * 4)
    head, rows = ["Part", "Iron", "Brass", "Oak"], [[f"part{i}", f"{i}.5", f"{i}.6", f"{i}.7"] for i in range(1, 5)]
    bottom = grid.draw(sheet, top - 16, [head], rows)
    return (left, bottom, right, top)


def framed_figure(sheet: Sheet, left: float, right: float, top: float, number: int) -> Box:
    """A drawing of a frame, a curve and a word inside, above its caption; the drawing's rectangle."""
    canvas = sheet.canvas
    canvas.setLineWidth(1)
    canvas.rect(left, top - 80, right - left, 80)
    canvas.bezier(left + 10, top - 70, left + 40, top - 10, right - 60, top - 70, right - 10, top - 10)
    sheet.middle((left + right) / 2, top - 20, "pressure", 7)
    sheet.text(left, top - 94, f"Figure {number}: The curve of the parts.", 9)
    return (left, top - 80, right, top)


def assert_boxed(region: Region, drawn: Box) -> None:
    """A figure is where its drawing is; a table where its letters are, within its rules."""
    if region.kind == "figure":
        assert region.box == pytest.approx(drawn, abs=6)
    else:
        assert (*region.box[:2], region.box[3]) == pytest.approx((*drawn[:2], drawn[3]), abs=6)
        assert drawn[2] - 60 < region.box[2] <= drawn[2] + 6


@pytest.mark.parametrize("draw", [rule_table, framed_figure])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_what_runs_across_all_columns_parts_the_page(
    tmp_path: Path, columns: int, draw: Callable[[Sheet, float, float, float, int], Box]
) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    sheet.middle(A4[0] / 2, 790, words.words(4).title(), 18, BOLD)
    drawn = draw(sheet, LEFT, RIGHT, 470, 1)
    flow = Flow(sheet, [*strips(columns, 750, 490), *strips(columns, 340, 60)])
    flow.pour([words.paragraph(6) for _ in range(7)])
    made = read_made(sheet.save())
    region = one(made, "table" if draw is rule_table else "figure", "Table 1" if draw is rule_table else "Figure 1")
    assert tokens(made.prose()) == words.given
    assert_boxed(region, drawn)


@pytest.mark.parametrize("draw", [rule_table, framed_figure])
@pytest.mark.parametrize(("column", "top"), [(0, 780), (0, 500), (0, 160), (1, 780), (1, 500), (1, 160)])
def test_a_table_or_figure_in_a_column_stays_in_it(
    tmp_path: Path, draw: Callable[[Sheet, float, float, float, int], Box], column: int, top: float
) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    columns = strips(2, 780, 60)
    x, _, _, width = columns[column]
    drawn = draw(sheet, x, x + width, top, 1)
    parts = []
    for i, (left, high, low, wide) in enumerate(columns):
        if i != column:
            parts.append((left, high, low, wide))
            continue
        parts += [(left, a, b, wide) for a, b in ((high, top + 14), (top - 120, low)) if a - b > 24]
    Flow(sheet, parts).pour([words.paragraph(6) for _ in range(9)])
    made = read_made(sheet.save())
    region = one(made, "table" if draw is rule_table else "figure", "Table 1" if draw is rule_table else "Figure 1")
    assert tokens(made.prose()) == words.given
    assert_boxed(region, drawn)


@pytest.mark.parametrize("side", [0, 1])
def test_a_figure_beside_the_text_is_taken_out_of_it(tmp_path: Path, side: int) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    columns = strips(2, 780, 60)
    x, _, _, width = columns[side]
    drawn = framed_figure(sheet, x, x + width, 600, 1)
    Flow(sheet, [columns[1 - side]]).pour([words.paragraph(5) for _ in range(6)])
    made = read_made(sheet.save())
    figure = one(made, "figure", "Figure 1")
    assert tokens(made.prose()) == words.given
    assert_boxed(figure, drawn)
    assert "pressure" in made.words_of(figure)


# -- what runs on ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("over", ["column", "page"])
@pytest.mark.parametrize("between", ["nothing", "figure", "table", "footnote", "figure and footnote"])
def test_a_sentence_that_runs_on_is_in_one_passage(tmp_path: Path, over: str, between: str) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    low = 110 if "footnote" in between else 60
    high = 640 if "figure" in between or "table" in between else 780
    first, second = strips(2, 780, low) if over == "column" else [strips(1, 780, low)[0]] * 2
    long = words.sentence(40)
    if "footnote" in between:
        sheet.rule(first[0], first[0] + 80, 92, 0.4)
        sheet.lines(first[0], 80, ["1 The weights were taken in spring."], 7.5)
    filled = fill_down(sheet, first, low + 22, words)
    right = second[0] + second[3]

    def decorate() -> None:
        if "figure" in between:
            framed_figure(sheet, second[0], right, 780, 1)
        if "table" in between:
            rule_table(sheet, second[0], right, 780, 1)

    if over == "column":
        decorate()
    flow = Flow(
        sheet,
        [(first[0], filled, low, first[3]), *([None] if over == "page" else []), (second[0], high, 60, second[3])],
    )
    flow.pour([f"{long} {words.paragraph(3)}"], indent=0)
    if over == "page":
        decorate()
    made = read_made(sheet.save())
    assert len(holders(made.passages(), long)) == 1, made.text
    assert holders(made.passages(), long)[0].kind == "text"


def fill_down(sheet: Sheet, column: tuple[float, float, float, float], bottom: float, words: Words) -> float:
    """Paragraphs of three lines from a column's top down to a height; y of the line that would follow."""
    x, y, _, width = column
    while y - 36 > bottom:
        y = sheet.prose(x, y, width, words.paragraph(2, 9 if width < 300 else 18))
    return y


# -- what recurs -------------------------------------------------------------------------------------------------------


def roman(number: int) -> str:
    return ["", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"][number]


NUMBERS: dict[str, Callable[[int], str]] = {
    "arabic": lambda page: str(page + 8), "roman": roman, "of": lambda page: f"{page} of 6",
    "dashes": lambda page: f"- {page} -", "word": lambda page: f"Page {page}",
}  # fmt: skip


@pytest.mark.parametrize(
    ("style", "numbered_lines"), [*((style, False) for style in NUMBERS), ("arabic", True), ("of", True)]
)
def test_heads_feet_and_numbers_of_pages_and_lines_are_left_out_and_nothing_else(
    tmp_path: Path, style: str, numbered_lines: bool
) -> None:
    words, drawn = Words(), []
    sheet = Sheet(tmp_path / "a.pdf")
    heads = ["JOURNAL OF WEIGHTS, VOL. 12", "The Weights of Parts"]
    line = 0
    for page in range(1, 7):
        sheet.text(LEFT, 800, heads[page % 2], 8.5)
        sheet.right(RIGHT, 800, NUMBERS[style](page), 8.5)
        sheet.middle(A4[0] / 2, 40, f"Printed in the old mill, {1910 + page}", 8)
        sheet.middle(A4[0] / 2, 28, NUMBERS[style](page), 8)
        y = 770.0
        while y > 80:
            body = f"{words.paragraph(3)} In {1900 + len(drawn)} {words.sentence(8)}"
            drawn += tokens(body)
            below = sheet.prose(LEFT, y, WIDTH, body)
            while numbered_lines and y > below + 1:
                line += 1
                sheet.right(LEFT - 16, y, str(line), 7)
                y -= 12
            y = below
        sheet.next_page()
    made = read_made(sheet.save())
    assert tokens(made.text) == drawn
    said = " ".join(passage.text for passage in made.passages())
    for gone in ("JOURNAL", "Weights", "Printed", "mill", "Page "):
        assert gone not in said


@pytest.mark.parametrize("numbers", ["none", "head", "foot"])
@pytest.mark.parametrize("style", [str, roman])
def test_headings_that_are_counted_like_their_pages_are_no_running_heads(
    tmp_path: Path, numbers: str, style: Callable[[int], str]
) -> None:
    words, headings, drawn = Words(), list[str](), list[str]()
    sheet = Sheet(tmp_path / "a.pdf")
    for page in range(1, 7):
        if numbers != "none":
            sheet.right(RIGHT, 802 if numbers == "head" else 40, f"The Weights of Parts {page}", 8.5)
        headings.append(f"{style(page).upper()} {words.words(2).title()}")
        sheet.text(LEFT, 780, headings[-1], 13, BOLD)
        body = words.paragraph(20)
        drawn += tokens(f"{headings[-1]} {body}")
        sheet.prose(LEFT, 750, WIDTH, body)
        sheet.next_page()
    made = read_made(sheet.save())
    assert tokens(made.text) == drawn
    assert [made.words_of(region) for region in made.of_kind("heading")] == headings


def test_running_heads_of_short_chapters_are_left_out(tmp_path: Path) -> None:
    words, drawn, chapter = Words(), list[str](), ""
    sheet = Sheet(tmp_path / "a.pdf")
    for page in range(40, 48):
        chapter = chapter if page % 2 else words.words(2).upper()  # of two pages
        if page % 2:
            sheet.right(RIGHT, 800, f"{chapter} {page}", 8.5)
        else:
            sheet.text(LEFT, 800, f"{page} {chapter}", 8.5)
        body = words.paragraph(20)
        drawn += tokens(body)
        sheet.prose(LEFT, 770, WIDTH, body)
        sheet.next_page()
    assert tokens(read_made(sheet.save()).text) == drawn


def test_a_year_at_the_end_of_a_page_is_no_page_number(tmp_path: Path) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    for year in ("1911", "1884"):
        sheet.lines(LEFT, 90, [f"{words.words(9).capitalize()} in the year", f"{year}."])
        sheet.prose(LEFT, 780, WIDTH, words.paragraph(20))
        sheet.next_page()
    made = read_made(sheet.save())
    assert "in the year 1911." in flat(made.text) and "in the year 1884." in flat(made.text)


# -- headings ----------------------------------------------------------------------------------------------------------


def headed(
    sheet: Sheet, words: Words, headings: Sequence[tuple[str, float, str]], levels: Sequence[int] = ()
) -> list[str]:
    """Each heading (words, size, font) with a paragraph below it; the paragraphs. `levels` go into the outline."""
    y, bodies = 780.0, []
    for i, (heading, size, font) in enumerate(headings):
        if levels:
            sheet.canvas.bookmarkPage(str(i), fit="FitH", top=y + size)
            sheet.canvas.addOutlineEntry(heading, str(i), levels[i])
        sheet.text(LEFT, y - 8, heading, size, font)
        bodies.append(words.paragraph(4))
        y = sheet.prose(LEFT, y - 30, WIDTH, bodies[-1]) - 14
    return bodies


def sections(made: Made, bodies: Sequence[str]) -> list[str]:
    """The section path of the passages that hold the bodies, each in one."""
    passages = made.passages(60)
    found = []
    for body in bodies:
        first = flat(body).split(". ")[0]
        there = holders(passages, first)
        assert len(there) == 1
        found.append(there[0].section)
    return found


@pytest.mark.parametrize(
    ("headings", "paths"),
    [
        (  # by their size
            [("Weights and Measures", 18, BOLD), ("Of Iron", 12.5, BOLD), ("Of Brass", 12.5, BOLD), ("Wood", 18, BOLD)],
            ["Weights and Measures", "Weights and Measures > Of Iron", "Weights and Measures > Of Brass", "Wood"],
        ),
        (  # by their numbers, in letters of one size
            [("1 Weights", 10, BOLD), ("1.1 Of iron", 10, BOLD), ("1.1.1 Cast iron", 10, BOLD), ("2 Wood", 10, BOLD)],
            ["1 Weights", "1 Weights > 1.1 Of iron", "1 Weights > 1.1 Of iron > 1.1.1 Cast iron", "2 Wood"],
        ),
        (  # large and not bold
            [("The weights of many parts", 16, "Times-Roman"), ("The measures of others", 16, "Times-Roman")],
            ["The weights of many parts", "The measures of others"],
        ),
        (  # appendices
            [("3 Results", 12, BOLD), ("A Tables", 12, BOLD), ("A.1 Table of iron", 12, BOLD), ("B Sources", 12, BOLD)],
            ["3 Results", "A Tables", "A Tables > A.1 Table of iron", "B Sources"],
        ),
    ],
)
def test_a_passage_knows_the_headings_above_it(
    tmp_path: Path, headings: list[tuple[str, float, str]], paths: list[str]
) -> None:
    sheet, words = Sheet(tmp_path / "a.pdf"), Words()
    bodies = headed(sheet, words, headings)
    made = read_made(sheet.save())
    assert sections(made, bodies) == paths


def test_the_levels_of_the_outline_win(tmp_path: Path) -> None:
    sheet, words = Sheet(tmp_path / "a.pdf"), Words()
    headings = [("Weights", 14.0, BOLD), ("Of iron", 14.0, BOLD), ("Cast", 14.0, BOLD), ("Of brass", 14.0, BOLD)]
    bodies = headed(sheet, words, headings, [0, 1, 2, 1])
    assert sections(read_made(sheet.save()), bodies) == [
        "Weights",
        "Weights > Of iron",
        "Weights > Of iron > Cast",
        "Weights > Of brass",
    ]


def test_a_heading_of_two_lines_is_one(tmp_path: Path) -> None:
    sheet, words = Sheet(tmp_path / "a.pdf"), Words()
    sheet.lines(LEFT, 780, ["On the Weights and the Measures of Parts", "That Were Found in the Mill"], 16, BOLD)
    body = words.paragraph(4)
    sheet.prose(LEFT, 720, WIDTH, body)
    whole = "On the Weights and the Measures of Parts That Were Found in the Mill"
    assert sections(read_made(sheet.save()), [body]) == [whole]


# -- tables ------------------------------------------------------------------------------------------------------------

GROUPED = [["", "Summer>", "", "Winter>", ""], ["Method", "Iron", "Oak", "Iron", "Oak"]]
GROUPED_ROWS = [
    ["Lever", "61.2", "62.4", "71.3", "72.5"],
    ["Random forest", "63.1", "64.8", "", "74.6"],
    ["Long chain", "65.9", "66.7", "75.2", "76.1"],
    ["Pulley", "67.0", "68.3", "77.4", "78.8"],
]
PLAIN = [["Method", "Recall", "Precision", "Cost"]]
PLAIN_ROWS = [
    ["Lever", "61.2", "62.4", "1,300"],
    ["Random forest", "63.1", "64.8", "1,450"],
    ["Long chain", "65.9", "66.7", "990"],
]
TEXTS = [["Animal", "Home", "Food", "Colour"]]
TEXTS_ROWS = [
    ["Otter", "river bank", "fish", "brown"],
    ["Barn owl", "old barn", "mice", "white"],
    ["Beaver", "pond", "bark", "dark brown"],
]


def with_table(
    path: Path, rules: str, above: bool, head: Sequence[Sequence[str]], rows: Sequence[Sequence[str]], words: Words
) -> Made:
    """A page of prose with a table in the middle."""
    sheet = Sheet(path)
    y = sheet.prose(LEFT, 780, WIDTH, words.paragraph(6)) - 20
    caption = "Table 3: What the tools of the mill can do."
    grid = Grid(110, [110, *[66] * (len(head[-1]) - 1)], rules)
    if above:
        sheet.text(110, y - 9, caption, 9)
        y = grid.draw(sheet, y - 16, head, rows) - 30
    else:
        y = grid.draw(sheet, y, head, rows)
        sheet.text(110, y - 16, caption, 9)
        y -= 50
    sheet.prose(LEFT, y, WIDTH, words.paragraph(6))
    return read_made(sheet.save())


@pytest.mark.parametrize("above", [True, False])
@pytest.mark.parametrize("rules", ["all", "three", "none"])
@pytest.mark.parametrize(("head", "rows"), [(GROUPED, GROUPED_ROWS), (PLAIN, PLAIN_ROWS), (TEXTS, TEXTS_ROWS)])
def test_the_cells_of_a_table_stand_behind_their_heads(
    tmp_path: Path, above: bool, rules: str, head: list[list[str]], rows: list[list[str]]
) -> None:
    words = Words()
    made = with_table(tmp_path / "a.pdf", rules, above, head, rows, words)
    table = one(made, "table", "Table 3")
    assert len(made.of_kind("table")) == 1
    assert made.text[table.start : table.caption_end] == "Table 3: What the tools of the mill can do."
    names = [
        " ".join(filter(None, (row[i].rstrip(">") or row[i - 1].rstrip(">" if row[i - 1].endswith(">") else "")
                               for row in head))) for i in range(len(head[-1]))
    ]  # fmt: skip
    if len(head) == 2:
        names = ["Method", "Summer Iron", "Summer Oak", "Winter Iron", "Winter Oak"]
    expected = [
        " | ".join([row[0], *(f"{name}: {cell}" for name, cell in zip(names[1:], row[1:], strict=True) if cell)])
        for row in rows
    ]
    assert rows_of(made, table) == expected
    assert tokens(made.prose()) == words.given
    passages = [passage for passage in made.passages() if passage.kind == "table"]
    assert [(p.label, [box for _, box in p.boxes]) for p in passages] == [("Table 3", [table.box])]


def test_a_long_table_becomes_passages_that_each_say_what_they_are_part_of(tmp_path: Path) -> None:
    words = Words()
    rows = [[words.word().capitalize(), str(100 + i), str(200 + i), str(300 + i)] for i in range(36)]
    made = with_table(tmp_path / "a.pdf", "three", True, PLAIN, rows, Words())
    table = one(made, "table", "Table 3")
    passages = [passage for passage in made.passages(90) if passage.kind == "table"]
    assert len(passages) > 4
    for passage in passages:
        assert "Table 3: What the tools of the mill can do." in flat(passage.searched)
        assert passage.label == "Table 3"
        assert passage.boxes == ((1, table.box),)
        assert passage.picture == table.picture is not None
        for line in passage.text.split("\n"):
            assert line.startswith("Table 3") or re.fullmatch(
                r"\w+ \| Recall: 1\d\d \| Precision: 2\d\d \| Cost: 3\d\d", line
            )
    assert "\n".join(passage.text for passage in passages) == made.text[table.start : table.end]


# -- figures -----------------------------------------------------------------------------------------------------------


def raster(words: str = "") -> ImageReader:
    """A picture of grey stripes."""
    picture = Image.new("RGB", (240, 160), "white")
    draw = ImageDraw.Draw(picture)
    for x in range(0, 240, 24):
        draw.rectangle((x, 20, x + 12, 150), fill=(x, 90, 90))
    if words:
        draw.text((20, 4), words, fill="black")
    return ImageReader(picture)


def test_a_figure_is_its_drawing_its_labels_and_its_caption(tmp_path: Path) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    mentions = [f"As Figure {number} shows, {words.sentence(8).lower()}" for number in (1, 2)]
    y = sheet.prose(LEFT, 780, WIDTH, f"{words.paragraph(3)} {mentions[0]} {words.paragraph(2)}") - 30
    canvas = sheet.canvas
    canvas.setStrokeColorRGB(0.1, 0.2, 0.6)
    canvas.circle(200, y - 60, 60)
    canvas.circle(390, y - 60, 60)
    canvas.line(260, y - 60, 330, y - 60)
    sheet.middle(200, y - 60, "boiler", 8)
    sheet.middle(390, y - 60, "turbine", 8)
    sheet.middle(297, y - 140, "Figure 1: Steam flows as in Figure 2.", 9)
    drawn = (140, y - 120, 450, y)
    y = sheet.prose(LEFT, y - 175, WIDTH, f"{words.paragraph(3)} {mentions[1]}") - 20
    canvas.drawImage(raster(), 180, y - 150, 225, 150)
    sheet.middle(297, y - 166, "Figure 2: Stripes, unlike those of Figure 1.", 9)
    seen = (180, y - 150, 405, y)
    sheet.prose(LEFT, y - 200, WIDTH, words.paragraph(2))
    made = read_made(sheet.save())
    first, second = one(made, "figure", "Figure 1"), one(made, "figure", "Figure 2")
    assert first.box == pytest.approx(drawn, abs=6)
    assert second.box == pytest.approx(seen, abs=6)
    assert "boiler" in made.words_of(first) and "turbine" in made.words_of(first)
    assert made.text[first.start : first.caption_end] == "Figure 1: Steam flows as in Figure 2."
    assert made.text[second.start : second.caption_end] == "Figure 2: Stripes, unlike those of Figure 1."
    passages = {passage.label: passage for passage in made.passages() if passage.kind == "figure"}
    assert flat(passages["Figure 1"].context) == flat(mentions[0])
    assert flat(passages["Figure 2"].context) == flat(mentions[1])
    for passage, box in ((passages["Figure 1"], drawn), (passages["Figure 2"], seen)):
        assert passage.picture is not None
        png = Image.open(io.BytesIO(made.pictures[passage.picture]))
        assert png.width / png.height == pytest.approx((box[2] - box[0]) / (box[3] - box[1]), rel=0.1)
        assert len(png.convert("RGB").getcolors(1 << 20) or []) > 3


def drawing(sheet: Sheet, left: float, right: float, top: float, kind: str, caption: str) -> tuple[Box, float]:
    """A drawing or picture and its caption, above or below; the drawing's rectangle, and where it all ends."""
    high = top - 20 if caption == "above" else top
    drawn = (left + 20, high - 90, right - 20, high)
    if kind == "vector":
        sheet.canvas.rect(left + 20, high - 90, right - left - 40, 90)
        sheet.canvas.bezier(left + 30, high - 80, left + 60, high - 10, right - 80, high - 80, right - 30, high - 10)
        sheet.middle((left + right) / 2, high - 24, "pressure", 7)
    else:
        sheet.canvas.drawImage(raster(), left + 20, high - 90, right - left - 40, 90)
    sheet.middle((left + right) / 2, top - 10 if caption == "above" else high - 104, "Figure 1: The stripes.", 9)
    return drawn, drawn[1] - (0 if caption == "above" else 18)


@pytest.mark.parametrize("gap", [20, 40, 60, 80, 120])
@pytest.mark.parametrize("first", ["table", "figure"])
@pytest.mark.parametrize("rules", ["none", "three", "all"])
@pytest.mark.parametrize(
    ("kind", "place", "wide"),
    [
        ("vector", "below", 1.0),
        ("raster", "below", 1.0),
        ("vector", "above", 1.0),
        ("raster", "below", 0.4),
        ("raster", "column", 1.0),
    ],
)
def test_a_table_and_a_picture_without_prose_between_them_are_two(
    tmp_path: Path, kind: str, place: str, wide: float, rules: str, first: str, gap: float
) -> None:
    words, sheet = Words(), Sheet(tmp_path / "a.pdf")
    columns = strips(2 if place == "column" else 1, 780, 60)
    left, _, _, width = columns[-1]
    if place == "column":
        Flow(sheet, columns[:1]).pour([words.paragraph(6) for _ in range(5)])
    y = sheet.prose(left, 780, width, words.paragraph(3)) - 10
    heads = [["", "Summer>", "", "Winter>", ""], ["Mill", "Low", "High", "Low", "High"]]
    rows = [[f"mill{i}", *(f"{i}{column}" for column in range(4))] for i in range(1, 5)]
    drawn: Box = (0, 0, 0, 0)
    for what in (first, "figure" if first == "table" else "table"):
        if what == "table":
            sheet.text(left, y - 10, "Table 2: What the mills turn.", 9)
            y = Grid(left, [wide * width / 5] * 5, rules).draw(sheet, y - 16, heads, rows) - gap
        else:
            drawn, end = drawing(sheet, left, left + width, y, kind, "above" if place == "above" else "below")
            y = end - gap
    sheet.prose(left, y + gap - 30, width, words.paragraph(3))
    made = read_made(sheet.save())
    figure, table = one(made, "figure", "Figure 1"), one(made, "table", "Table 2")
    assert made.words_of(figure) == f"Figure 1: The stripes.{' pressure' if kind == 'vector' else ''}"
    assert figure.box == pytest.approx(drawn, abs=6)
    assert made.text[table.start : table.caption_end] == "Table 2: What the mills turn."
    assert rows_of(made, table) == [
        f"mill{i} | Summer Low: {i}0 | Summer High: {i}1 | Winter Low: {i}2 | Winter High: {i}3" for i in range(1, 5)
    ]
    assert tokens(made.prose()) == words.given


@pytest.mark.parametrize("kind", ["vector", "raster"])
def test_a_picture_that_is_drawn_twice_is_kept_once(tmp_path: Path, kind: str) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    for page in (1, 2):
        sheet.prose(LEFT, 780, WIDTH, words.paragraph(4))
        if kind == "vector":
            framed_figure(sheet, 150, 400, 600, page)
        else:
            sheet.canvas.drawImage(raster(), 150, 520, 250, 80)
            sheet.text(150, 506, f"Figure {page}: The stripes.", 9)
        sheet.prose(LEFT, 470, WIDTH, words.paragraph(4))
        sheet.next_page()
    made = read_made(sheet.save())
    pictures = {one(made, "figure", f"Figure {page}").picture for page in (1, 2)}
    assert len(pictures) == 1 and pictures == set(made.pictures)


def test_a_picture_without_a_caption_is_a_figure_and_a_background_is_none(tmp_path: Path) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    for page in (1, 2):
        if page == 1:
            sheet.canvas.drawImage(raster(), 150, 400, 250, 160)
        else:
            sheet.canvas.drawImage(raster(), 0, 0, *A4)
        sheet.prose(LEFT, 780, WIDTH, words.paragraph(5))
        sheet.prose(LEFT, 350, WIDTH, words.paragraph(5))
        sheet.next_page()
    made = read_made(sheet.save())
    assert tokens(made.prose()) == words.given
    pages = [page for page, blocks in enumerate(made.pages, start=1) for b in blocks["blocks"] if b["kind"] == "figure"]
    assert pages == [1]
    boxes = [block["box"] for block in made.pages[0]["blocks"] if block["kind"] == "figure"]
    assert boxes == [pytest.approx([150, 400, 400, 560], abs=6)]


# -- letters -----------------------------------------------------------------------------------------------------------


def test_ligatures_hyphens_and_soft_hyphens_are_mended(tmp_path: Path) -> None:
    sheet = Sheet(tmp_path / "a.pdf")
    lines = [
        "The ﬁrst oﬃcer of the ﬂeet had an eﬀect on the evalu-",
        "ation of the wind, and a well-known cap-",
        "tain of an old ship wrote down his obser\u00ad",
        "vations of it, in many a note\u00adbook.",
    ]
    sheet.lines(LEFT, 780, lines, 10, dejavu())
    assert flat(read_made(sheet.save()).text) == (
        "The first officer of the fleet had an effect on the evaluation of the wind, and a well-known captain of an "
        "old ship wrote down his observations of it, in many a notebook."
    )


def shown(words: str) -> str:
    """Words of Hebrew or Arabic as a PDF holds them: the shapes from left to right."""
    return words[::-1]


ARABIC = [("ﻛﺘﺎﺏ ﺟﺪﻳﺪ ﻋﻦ ﺍﻟﺮﻳﺎﺡ", "كتاب جديد عن الرياح"), ("ﻓﻲ ﺍﻟﺒﺤﺮ", "في البحر")]


def test_hebrew_and_arabic_are_read_as_they_are_written(tmp_path: Path) -> None:
    sheet, font = Sheet(tmp_path / "a.pdf"), dejavu()
    hebrew = ["ספר חדש על הרוחות של הים", "נכתב בשנת 1984 בעיר"]
    y = 780.0
    for words in hebrew:
        numbers = re.sub(r"\d+", lambda found: found.group()[::-1], words)
        sheet.right(RIGHT, y, shown(numbers), 11, font)
        y -= 16
    for shapes, _ in ARABIC:
        sheet.right(RIGHT, y - 20, shown(shapes), 11, font)
        y -= 16
    sheet.text(LEFT, 600, "The same in English follows on the next page of the book.", 10, font)
    text = flat(read_made(sheet.save()).text)
    for words in (*hebrew, *(letters for _, letters in ARABIC)):
        assert words in text


def turned_page(sheet: Sheet, words: Words, turn: int, rotate: int) -> None:
    """Two paragraphs turned by `turn` degrees anticlockwise on a page with /Rotate."""
    canvas = sheet.canvas
    canvas.setPageRotation(rotate)
    canvas.setPageSize(A4 if rotate in (0, 180) else A4[::-1])  # reportlab takes the size of the page as it is shown
    canvas.saveState()
    if turn == 90:
        canvas.translate(A4[0], 0)
    elif turn == 180:
        canvas.translate(*A4)
    elif turn == 270:
        canvas.translate(0, A4[1])
    canvas.rotate(turn)
    width, height = A4 if turn in (0, 180) else A4[::-1]
    y = sheet.prose(80, height - 80, width - 200, words.paragraph(5))
    sheet.prose(80, y - 20, width - 200, words.paragraph(5))
    canvas.restoreState()
    sheet.next_page()


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_turned_text_and_turned_pages_are_read_where_they_are_shown(tmp_path: Path, rotate: int) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    for turn in (0, 90, 180, 270):
        turned_page(sheet, words, turn, rotate)
    file = sheet.save()
    made = read_made(file)
    assert tokens(made.text) == words.given
    assert_places(made, range(1, 5), 30, random.Random(rotate))
    for page, blocks in enumerate(made.pages, start=1):
        for block in blocks["blocks"]:
            left, bottom, right, top = block["box"]
            assert 0 <= left < right <= blocks["width"] and 0 <= bottom < top <= blocks["height"], page


def test_turned_words_beside_the_text_are_an_aside(tmp_path: Path) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    for turn, x in ((90, 40), (270, 560)):
        sheet.canvas.saveState()
        sheet.canvas.translate(x, 400)
        sheet.canvas.rotate(turn)
        sheet.middle(0, 0, f"Stamped in the mill on day {turn}", 9)
        sheet.canvas.restoreState()
    sheet.prose(LEFT, 780, WIDTH, words.paragraph(30))
    made = read_made(sheet.save())
    asides = made.of_kind("aside")
    assert sorted(made.words_of(aside) for aside in asides) == [f"Stamped in the mill on day {n}" for n in (270, 90)]
    assert tokens("\n".join(made.words_of(region) for region in made.of_kind("text"))) == words.given
    assert_places(made, [1], 40, random.Random(4))


# -- places ------------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Letters alone, as they compare: without hyphens, ligatures, shapes and marks."""
    return "".join(
        c for c in unicodedata.normalize("NFKC", text) if not c.isspace() and c not in "-\u00ad\u2010\ufffe\x02"
    )


def assert_places(made: Made, numbers: Sequence[int] | range, spans: int, chance: random.Random) -> None:
    """The rectangles of random spans of text hold just the letters of the span, seen by pdfium alone.

    The text says a table's heads with each cell, which are not where the cell is; so spans lie inside of pieces.
    """
    from rag.library.boxes import raw_offset

    with pypdfium2.PdfDocument(made.file) as pdf:
        for number in numbers:
            letters = list(letters_of(pdf[number - 1]))
            page = made.document.pages[number - 1]
            text = made.text[page.start : page.end]
            if not text.strip():
                continue
            first = raw_offset(made.document.raw_offsets, page.start)
            covered = set()
            for at, _, _, _, edges in made.runs[number - 1]:
                covered |= set(range(at, at + len(edges) - 1))
            for _ in range(spans):
                start = chance.randrange(len(text))
                end = min(len(text), start + chance.choice((1, 5, 30, 120)))
                if not text[start:end].strip():
                    continue
                start, end = page.start + start, page.start + end
                said = "".join(
                    made.text[i]
                    for i in range(start, end)
                    if raw_offset(made.document.raw_offsets, i) - first in covered
                )
                found = ""
                for _, (left, bottom, right, top) in made.places(start, end):
                    inside = [p for p in letters if left <= p.x <= right and bottom <= p.y <= top]
                    found += "".join(letter.character for letter in inside)
                assert Counter(plain(found)) == Counter(plain(said)), (number, said, found)


def test_every_span_of_text_is_where_its_letters_are(tmp_path: Path) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    sheet.middle(A4[0] / 2, 790, words.words(4).title(), 18, BOLD)
    framed_figure(sheet, LEFT, 288, 740, 1)
    rule_table(sheet, 306, RIGHT, 740, 1)
    Flow(sheet, strips(2, 620, 60)).pour([words.paragraph(5) for _ in range(7)])
    sheet.next_page()
    sheet.lines(
        LEFT, 780, ["The first officer of the fleet was well-known for his evalu-", "ation of winds."], 10, dejavu()
    )
    sheet.right(RIGHT, 700, shown("ספר חדש על הרוחות של הים"), 11, dejavu())
    sheet.lines(LEFT, 600, ["Another line that is long enough for a paragraph to hold,", "and its end."], 10)
    made = read_made(sheet.save())
    assert_places(made, [1, 2], 120, random.Random(1))


@needs_data
@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("specter-acl2020", (1, 4, 7)),
        ("faa-737max-fr2020", (3,)),
        ("korean-text-with-tables", (1,)),
        ("timp-jss2007", (9,)),
        ("longeval-eacl2023", (2,)),
        ("faa-amt-handbook-p7-45", (1,)),
        ("census-disability-2010-excerpt", (3,)),
    ],
)
def test_every_span_of_a_real_page_is_where_its_letters_are(name: str, pages: tuple[int, ...], tmp_path: Path) -> None:
    from pypdf import PdfWriter

    writer = PdfWriter()
    for number in pages:
        writer.append(PDFS / f"{name}.pdf", pages=(number - 1, number), import_outline=False)
    writer.write(tmp_path / "some.pdf")
    assert_places(read_made(tmp_path / "some.pdf"), range(1, len(pages) + 1), 60, random.Random(name))


# -- the same again ----------------------------------------------------------------------------------------------------


def test_the_same_file_is_read_the_same_byte_for_byte_by_one_child_and_by_two(tmp_path: Path) -> None:
    words = Words()
    sheet = Sheet(tmp_path / "a.pdf")
    for page in range(1, 51):
        sheet.text(LEFT, 800, f"The mill, {page}", 8)
        if page % 17 == 0:
            framed_figure(sheet, 150, 400, 600, page)
            rule_table(sheet, 150, 400, 400, page)
        sheet.prose(LEFT, 780, WIDTH, words.paragraph(3))
        sheet.next_page()
    file = sheet.save()
    readings = [read_by_children(file, tmp_path / "reading", jobs) for jobs in (1, 2, 2)]
    assert readings[0] == readings[1] == readings[2]
    assert len({json.dumps(reading.geometry) for reading in readings}) == 1
    assert len(readings[0].pictures) == 3 and len(readings[0].document.pages) == 50
    assert list((tmp_path / "reading").iterdir()) == []
