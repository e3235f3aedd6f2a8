"""precedent_search.py, precedent_panel.py: precedents of a text that is pasted into the page, within its filters."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from ingest.podcast import chapter_store as chaptering
from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.legal.casebook import open_parts, open_precedents
from rag.legal.precedents import DEFAULT
from rag.library.catalogue import Library
from rag.locator import ParagraphSpan
from rag.records import Hit, Passage
from rag.settings import load_settings
from tests.test_case_panel import Panel
from tests.test_legal_ingest import FORGE, LETTER, MILL, a_judgment, a_record
from tests.test_player import HOSTILE
from tests.test_podcasts_ingest import NoIndexes, halves, ingested
from ui.web.panels.case_list import JudgmentPanels
from ui.web.panels.precedent_panel import panel
from ui.web.workers import precedent_search
from ui.web.workers.precedent_search import PrecedentQuery, PrecedentResults, find, precedent_query

FACTS = "A forge made noise at night beside the home of a family; their letters to the guards were read by nobody."
UNDATED = a_judgment("D. v. SPAIN", "4/07", "", "A forge made noise at night.", "Noise at night disturbs a home.")
SETTINGS = load_settings().ingest
TITLES = {"A. v. AUSTRIA": "2001-05-04", "C. v. SPAIN": "2003-05-04", "B. v. MALTA": "2005-05-04", "D. v. SPAIN": ""}


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Indexes:
    """Four judgments: of 2001, 2003 and 2005, and one without a date."""
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    catalogue = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))
    texts = {"a": MILL, "b": FORGE, "c": LETTER, "d": UNDATED}
    file = tmp_path / "some.jsonl"
    file.write_text("".join(json.dumps(a_record(key, text)) + "\n" for key, text in texts.items()))
    ingested(catalogue, file)
    assert {case.title: case.date for case in catalogue.library.cases()} == TITLES
    return Indexes(catalogue.library, load_settings())


def titles(found: PrecedentResults) -> set[str]:
    return {title for _, title, _ in found.hits}


def test_a_pasted_text_finds_what_the_search_finds_each_with_its_place(indexes: Indexes) -> None:
    found = find(precedent_query(FACTS, "both", ""), indexes)
    assert (titles(found), found.searched, [*filter(None, found.notes)]) == (set(TITLES), 4, [])
    query = precedent_search._read(FACTS, SETTINGS)
    with open_precedents(indexes.library, open_parts(indexes, DEFAULT)) as (searching, _):
        assert [hit for hit, _, _ in found.hits] == searching.search(query, 4)
    shown, casebook = Panel(panel(found)), JudgmentPanels(indexes.library)
    links = [(str(e["data-case"]), str(e["data-place"])) for _, e in shown.elements if "data-case" in e]
    assert len(links) == 8 and set(links[:4]) == set(links[4:]), "in both orders"
    for (hit, title, date), link in zip(found.hits, links, strict=False):
        opened = Panel(casebook.open(*link))
        assert title in opened.shown and "".join(opened.marked.split()) == "".join(hit.passage.text.split())
        place = "THE FACTS, §\N{NO-BREAK SPACE}2" if hit.passage.locator.part == "facts" else "THE LAW, §"
        for told in (f"{date or 'undated'} {title} score {hit.score:.2f}{place}", f"score {hit.score:.2f}, {place}"):
            assert told in shown.shown


@pytest.mark.parametrize(
    ("before", "found_there", "dateless"),
    [("2005-05-05", 3, 1), ("2005-05-04", 2, 1), ("2005-05", 2, 1), ("2005", 2, 1), ("2003", 1, 1), ("", 4, 0)],
)
def test_all_are_dated_before_the_day_that_is_said(
    indexes: Indexes, before: str, found_there: int, dateless: int
) -> None:
    found = find(precedent_query(FACTS, "both", before), indexes)
    assert len(found.hits) == found.searched == found_there
    assert all("" < date < before for _, _, date in found.hits) or not before
    assert found.notes[1] == ("Left out because no date is known: 1 judgment." if dateless else "")
    line = Panel(panel(found)).shown
    assert (f"{before} the new case" in line) if before else "2005 the new case" not in line


def test_filters_narrow_what_is_searched_and_the_rest_is_counted(indexes: Indexes) -> None:
    spain = ("law", "", "", "", "spain", "", "a show", "a speaker")  # sections and podcasts say nothing of a case
    found = find(precedent_query(FACTS, "law", "", spain), indexes)
    assert titles(found) == {"C. v. SPAIN", "D. v. SPAIN"} and {h.passage.locator.part for h, _, _ in found.hits} == {
        "law"
    }
    told = Panel(panel(found)).shown
    assert "Searched: the law of 2 judgments." in told
    assert "Left out by the filters (Spain): 2 judgments." in told
    dated = find(precedent_query(FACTS, "both", "2005-05-05", spain), indexes)
    assert (titles(dated), dated.searched) == ({"C. v. SPAIN"}, 1)
    assert dated.notes[0] == "Left out by the filters (Spain): 2 judgments.", "of those that are early enough"


def test_a_whole_judgment_asks_by_its_facts_and_never_finds_itself(indexes: Indexes) -> None:
    found = find(precedent_query(FORGE.replace("4 May 2005", "1 May 1990"), "both", ""), indexes)
    assert titles(found) == set(TITLES) - {"B. v. MALTA"}, "a day in a text is not its date"
    with open_precedents(indexes.library, open_parts(indexes, DEFAULT)) as (searching, cases):
        (own,) = (case for case in cases if case.application_numbers == ("2/05",))
        assert [hit for hit, _, _ in found.hits] == searching.search(replace(own, date=""), 4)


@pytest.mark.parametrize(
    ("text", "field", "before", "chosen", "why"),
    [
        (" \n\t", "both", "", (), "there is no text. Paste the facts"),
        ("§ … !", "both", "", (), "there is no text"),
        ("word " * 200_001, "both", "", (), "1,000,004 characters; 1,000,000 is the most"),
        (FACTS, "header", "", (), "'header' is no part of a judgment. Choose one of facts, law, both"),
        (FACTS, "both", "4 May 2005", (), "'4 May 2005' is no date. Write 2023"),
        (FACTS, "both", "2005-13", (), "'2005-13' is no date"),
        (FACTS, "both", "2005-02-30", (), "is no date"),
        (FACTS, "both", "٢٠٠٥", (), "is no date"),
        (FACTS, "both", "1950", (), "no other judgment dated before 1950 with facts or law"),
        (FACTS, "both", "2004", ("", "", "", "", "malta"), "no judgment dated before 2004 is within: Malta."),
        (FACTS, "both", "", ("", "", "soon"), "'soon' is no date"),
        ("ⵣⵣⵣ ⵜⵜⵜ", "both", "", (), "no word of this text is in the judgments searched"),
        ("PROCEDURE\n1. One.\nTHE LAW\n2. Two.\n", "both", "", (), "and no facts under them"),
    ],
)
def test_bad_input_is_one_line(
    indexes: Indexes, text: str, field: str, before: str, chosen: tuple[str, ...], why: str
) -> None:
    with pytest.raises(UsageError, match=r"^[^\n]*$") as error:
        find(precedent_query(text, field, before, chosen), indexes)
    assert why in str(error.value)


def test_a_library_without_judgments_says_so(indexes: Indexes, tmp_path: Path) -> None:
    empty = Library.open(tmp_path / "empty", create=True)
    with pytest.raises(UsageError, match="no judgments in this library"):
        find(precedent_query(FACTS, "both", ""), Indexes(empty, load_settings()))


def test_what_texts_and_people_say_is_text_and_nothing_else() -> None:
    passage = Passage(
        "p", HOSTILE, "", HOSTILE, HOSTILE, 0, len(HOSTILE), ParagraphSpan("law", HOSTILE), section=HOSTILE
    )
    hits = ((Hit(1, 0.5, passage, {}, (HOSTILE,)), HOSTILE, HOSTILE),)
    found = Panel(panel(PrecedentResults(PrecedentQuery(HOSTILE, "law", HOSTILE), hits, 1, (HOSTILE, ""))))
    known = {"section", "h2", "h3", "p", "div", "button", "ul", "ol", "li", "span"}
    assert {tag for tag, _ in found.elements} <= known
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert found.shown.count(HOSTILE) >= 10 and found.chosen() == "case-part-0"
