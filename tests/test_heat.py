"""heat_map.py: every part of the evidence with its score, in legible colours and in words; nothing in it is obeyed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from rag.records import Answer, AttributedPlayer, Attribution, Hit
from tests.parts import passage
from ui.cli.text import attribution_text
from ui.web.panels import heat_map as heat
from ui.web.templating import static
from ui.wording import printable

HOSTILE = st.text(st.sampled_from(list("ab <>&'\"/=;!-$`{}\n\x1b")), max_size=40)
TEXT = "The guild had saved 412 crowns. Its lamp was seen far away."


class Shown(HTMLParser):
    """The tags and texts of HTML: the text of each evidence, the table's cells, and what is coloured how."""

    def __init__(self, html: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.rows: list[list[str]] = []
        self.marked: list[tuple[str, str]] = []  # (plus or minus, what)
        self.feed(str(html))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        assert set(given) <= {"class", "style", "title", "scope", "aria-label"}, given
        self.open.append(tag)
        self.tags.append(tag)
        if given.get("class") == "text":
            self.text.append("")
        if given.get("class") in ("plus", "minus"):
            assert re.fullmatch(r"--heat-strength: [01]\.\d\d", given["style"] or "")
            self.marked.append((str(given["class"]), ""))
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["span"]:
            kind, said = self.marked[-1]
            self.marked[-1] = (kind, said + data)
        if "h3" not in self.open and "p" in self.open and self.text:
            self.text[-1] += data
        if "tr" in self.open:
            self.rows[-1][-1] += data


def player(kind: str, text: str, score: float, of: str = TEXT, error: float = 0.1) -> AttributedPlayer:
    start = 100 + of.index(text)
    return AttributedPlayer(kind, "d#0", text, start, start + len(text), score, error)


def explained(players: Sequence[AttributedPlayer], text: str = TEXT, title: str = "A Book", **more: object) -> Answer:
    told = {"stopped": "", "permutations": 10, "baseline_answer": "9 crowns", "level": "word"} | more
    attribution = Attribution(
        told["level"], tuple(players), "412 crowns", told["baseline_answer"], 31, 1200, told["permutations"], "deleted",
        told["stopped"],
    )  # fmt: skip
    hit = Hit(1, 0.5, passage(0, text, "d", title, start=100, page=3))
    return Answer(
        "How many?",
        "412 crowns [1]",
        False,
        (),
        (),
        (hit,),
        0.9,
        "m",
        "h",
        {"attribute": 41.4},
        attribution=attribution,
    )


OPENED = [
    player("document", TEXT, 0.6),
    player("clause", "The guild had saved 412 crowns. ", 0.9),
    AttributedPlayer("clause", "d#0", "A Book", 100, 100, 0.25, 0.05),
    player("clause", "Its lamp was seen far away.", -0.3),
    *(player("word", word, 0.0) for word in ("The ", "guild ", "had ", "crowns. ")),
    *(player("word", word, 0.45) for word in ("saved ", "412 ")),
]  # fmt: skip


@st.composite
def evidence(draw: st.DrawFn) -> tuple[str, str, list[AttributedPlayer]]:
    """A passage's text and title, and parts of it: as they come, overlapping and outside of it, too."""
    kind, at, score = st.sampled_from(["document", "clause", "word"]), st.integers(90, 150), st.floats(-1, 1)
    drawn = st.lists(st.tuples(kind, HOSTILE, at, st.integers(0, 20), score, st.floats(0, 1)), max_size=8)
    text, title, parts = draw(HOSTILE), draw(HOSTILE), draw(drawn)
    players = [
        AttributedPlayer(kind, "d#0", words, start, start + length, score, error)
        for kind, words, start, length, score, error in parts
    ]
    return text, title, players


@settings(deadline=None)
@given(evidence())
def test_a_text_is_shown_whole_each_part_has_a_row_and_nothing_of_either_is_obeyed(
    made: tuple[str, str, list[AttributedPlayer]],
) -> None:
    text, title, players = made
    answer = explained(players, text, title)
    hit = answer.evidence[0]
    shown = Shown(heat.passage_html(hit, players))
    assert shown.text == [text] and set(shown.tags) <= {"h3", "p", "span"}
    table = Shown(heat.table_html(answer.attribution, [hit]))  # type: ignore[arg-type]
    assert sorted(row[0] for row in table.rows[1:]) == sorted(
        printable(each.text) or "(no words of its own)" for each in players
    )
    strengths = [abs(float(row[1])) for row in table.rows[1:]]
    assert strengths == sorted(strengths, reverse=True)
    assert set(Shown(heat.attribution_html(answer)).tags) <= {
        "section", "h2", "h3", "p", "span", "details", "summary",
        "table", "caption", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip


@settings(deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_what_the_model_and_the_document_say_stays_text(said: str, title: str, why: str) -> None:
    shown = heat.attribution_html(explained(OPENED, title=title, baseline_answer=said, stopped=why))
    assert escape(printable(title) or "untitled") in shown
    assert f"Without any document the model says: {escape(printable(said)) or 'nothing'}</p>" in shown
    assert (f"Not complete: {escape(printable(why))}." in shown) == bool(why)


def test_what_was_opened_is_coloured_in_its_parts_and_the_sign_is_in_the_table() -> None:
    shown = Shown(heat.passage_html(explained(OPENED).evidence[0], OPENED))
    assert shown.marked == [
        ("plus", "A Book"), ("plus", "saved "), ("plus", "412 "), ("minus", "Its lamp was seen far away."),
    ]  # fmt: skip
    table = Shown(heat.table_html(explained(OPENED).attribution, explained(OPENED).evidence))  # type: ignore[arg-type]
    assert table.rows[0] == ["Part", "Score", "± (standard error)", "Where"]
    assert table.rows[1] == ["The guild had saved 412 crowns.", "+0.90", "±0.10", "sentence in [1], page 3"]
    assert ["A Book", "+0.25", "±0.05", "title in [1], page 3"] in table.rows
    assert ["Its lamp was seen far away.", "-0.30", "±0.10", "sentence in [1], page 3"] in table.rows
    assert ["guild", "0.00", "±0.10", "word in [1], page 3"] in table.rows


def test_what_the_reader_did_not_get_has_no_colour() -> None:
    hit = replace(explained(OPENED).evidence[0], withheld=((TEXT.index("lamp"), TEXT.index(" far")),))
    minus = [words for kind, words in Shown(heat.passage_html(hit, OPENED)).marked if kind == "minus"]
    assert minus == ["Its ", " far away."]


def test_scores_of_all_coalitions_have_no_error() -> None:
    answer = explained([player("document", TEXT, 1.0, error=0.0)], level="document", permutations=0)
    (row,) = Shown(heat.table_html(answer.attribution, answer.evidence)).rows[1:]  # type: ignore[arg-type]
    assert row == [TEXT, "+1.00", "exact", "document [1], page 3"]


def test_one_order_alone_tells_no_error() -> None:
    answer = explained([player("document", TEXT, 1.0, error=0.0)], level="document", permutations=1)
    (row,) = Shown(heat.table_html(answer.attribution, answer.evidence)).rows[1:]  # type: ignore[arg-type]
    assert row == [TEXT, "+1.00", "±?", "document [1], page 3"]
    assert "\n+1.00 ±?  ++++++++++  " in attribution_text(answer.attribution)  # type: ignore[arg-type]
    agreed = replace(answer.attribution, permutations=2)  # type: ignore[type-var]
    assert "\n+1.00 ±0.00  ++++++++++  " in attribution_text(agreed)  # type: ignore[arg-type]


def test_the_sentences() -> None:
    shown = heat.attribution_html(explained(OPENED))
    assert "Without any document the model says: 9 crowns</p>" in shown
    assert "Asked 31 times without parts of the sources, in 41 seconds (1,200 times without shared work)." in shown
    assert "Not complete" not in shown and "No part of the evidence" not in shown and "opened to its" not in shown
    nothing = heat.attribution_html(explained([player("document", TEXT, 0.0)], baseline_answer=None))
    assert "No part of the evidence changes the answer." in nothing and "Without any" not in nothing
    little = heat.attribution_html(explained([player("document", TEXT, 0.2)]))
    assert "No document has a clear effect (0.30 or more), so none was broken down into sentences." in little
    stopped = heat.attribution_html(explained([], stopped="cancelled", baseline_answer=None))
    assert "Not complete: cancelled." in stopped and "<table>" not in stopped and "No part" not in stopped


@pytest.mark.parametrize(("scheme", "paper"), [(0, (250, 247, 240)), (1, (27, 25, 23))], ids=["light", "dark"])
@pytest.mark.parametrize("kind", ["plus", "minus"])
def test_the_ink_can_be_read_on_every_strength_of_a_colour(scheme: int, paper: tuple[int, ...], kind: str) -> None:
    found = [re.findall(rf"--heat-{name}: (\d+) (\d+) (\d+);", static("room/colours.css")) for name in ("ink", kind)]
    ink, hue = ([int(part) for part in by_scheme[scheme]] for by_scheme in found)
    for strength in range(101):
        under = [p + (h - p) * strength / 100 for p, h in zip(paper, hue, strict=True)]
        dark, light = sorted((luminance(ink), luminance(under)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: Sequence[float]) -> float:
    """Relative, as WCAG 2.2 has it."""
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
