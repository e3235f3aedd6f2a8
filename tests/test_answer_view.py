"""answer_view.py, exports.py, text.py: what comes from a document or a reader is shown whole, as text, never obeyed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rag.library.kept.conversations import Conversation, Turn
from rag.locator import PageSpan, TimeSpan
from rag.read.cite import MARKER
from rag.records import Answer, Citation, Hit, MarkedAnswer, Note, Statement
from tests.parts import passage
from ui.cli import json_layouts as layouts
from ui.cli.text import answer_text
from ui.web.api import exports
from ui.web.api.answer_view import answer_view, backed, marked_view, note_view, printable_keeping_ends
from ui.wording import printable

HOSTILE = st.text(st.sampled_from(list("ab 1[](){}<>!*_`#&;:/\\|~$\"'\n-+=.^@hjps\x1b\x07")), max_size=60)


def an_answer(text: str, title: str = "A <b>Title</b>") -> Answer:
    cited = Citation("[2]", "d#1", "d", "a.pdf", title, PageSpan(3, 3), "the *quote*", 10, 21)
    hit = Hit(2, 0.5, passage(1, "x the *quote* y", "d", start=8), {"quote": 0.5})
    return Answer(
        "q?", text, False, (Note(1, "q?", "[2] the *quote*", ("quote",)),), (cited,), (hit,), 0.75, "m", "h",
        {"retrieve": 0.1, "note": 0.2, "answer": 0.3, "attribute": 0.0}, {"prompt": 10, "generated": 2},
    )  # fmt: skip


def said(view: dict[str, Any]) -> str:
    """The text of an answer's lines, without its chips."""
    return "\n".join("".join(run["text"] for run in line["runs"]) for line in view["lines"])


def cites(view: dict[str, Any]) -> list[int]:
    return [number for line in view["lines"] for run in line["runs"] for number in run["cites"]]


@given(HOSTILE)
def test_nothing_of_an_answer_is_lost_but_its_own_markers(text: str) -> None:
    whole = f"x{text} [2]"
    view = answer_view(an_answer(whole))
    lines = whole.splitlines(keepends=True)
    without_dashes = [line[2:] if line.startswith("- ") and line[2:].strip() else line for line in lines]
    expected = re.sub(r"\s*\[2\]", "", "".join(without_dashes))

    def letters(words: str) -> str:
        return re.sub(r"[\s\x00-\x1f]", "", words)

    others = [m for m in MARKER.finditer(text) if "2" in re.split(r"\D+", m[0])]
    if not others:
        assert letters(said(view)) == letters(expected)
    assert cites(view)[-1] == 1


def test_a_marker_becomes_a_chip_behind_its_sentence_and_nothing_else_does() -> None:
    view = answer_view(an_answer("see [here](http://x) <script> [2] and [7]"))
    assert said(view) == "see [here](http://x) <script> and [7]" and cites(view) == [1]
    (chip,) = view["citations"]
    assert (chip["short"], chip["title"], chip["quote"], chip["start"], chip["page"]) == (
        "p. 3", "A <b>Title</b>", "the *quote*", 10, 3,
    )  # fmt: skip


def test_several_sources_of_one_marker_and_several_markers_in_one_bracket() -> None:
    answer = an_answer("old [2, 3] and red [3]")
    cited = (*answer.citations, replace(answer.citations[0], marker="[3]"), replace(answer.citations[0], marker="[3]"))
    view = answer_view(replace(answer, citations=cited))
    assert [run["cites"] for run in view["lines"][0]["runs"]] == [[1, 2, 3], [2, 3]]


@given(HOSTILE)
def test_an_answer_in_sentences_has_the_items_that_we_made_and_no_others(text: str) -> None:
    line = f"x{' '.join(printable(text).split())}"
    view = answer_view(an_answer("\n".join([line, "", "In the documents’ words:", f"- {line} [2]", f"- {line}"])))
    assert [each["item"] for each in view["lines"]] == [False, False, True, True]


def test_what_is_ignored_unsupported_or_invented_is_said_everywhere() -> None:
    whole = an_answer("The bridge is old [2]. It is red.")
    hit = replace(whole.evidence[0], ignored="weakly related to the <b>question</b> (0.12)")
    statements = (Statement(0, 22, 0.9, True), Statement(23, 33, 0.1, False))
    answer = replace(whole, evidence=(hit,), statements=statements, copied=(4, 1))
    made = layouts.answer_json(answer)
    assert made["quotes"] == {"chosen": 4, "invented": 1, "hallucination_rate": 0.25}
    assert made["statements"][1] == {"start": 23, "end": 33, "support": 0.1, "supported": False}
    assert made["evidence"][0]["ignored"] == hit.ignored
    text = answer_text(answer)
    assert "no support for: It is red." in text and "ignored [2]" in text and "1 of them not in the evidence" in text
    view = answer_view(answer)
    doubted = [run["text"].strip() for run in view["lines"][0]["runs"] if run["unsupported"]]
    assert doubted == ["It is red."] and view["chosen"] == {"chosen": 4, "invented": 1}
    assert view["reasons"][0]["ignored"] == hit.ignored


@pytest.mark.parametrize(
    ("text", "key", "uncertain", "shown"),
    [
        ("by Clyde, it seems", ("Clyde",), ("it seems",), [("by ", ""), ("Clyde", "k"), (", ", ""), ("it seems", "u")]),
        ("a span of class", (), ("span", "class"), [("a ", ""), ("span", "u"), (" of ", ""), ("class", "u")]),
        ("1 of 11, not 1911", ("1",), (), [("1", "k"), (" of 11, not 1911", "")]),
        ("It is <b>", ("<b>",), (), [("It is ", ""), ("<b>", "k")]),
        ("It is old", (" ",), ("",), [("It is old", "")]),
    ],
)
def test_key_spans_and_uncertain_ones_are_told_apart(
    text: str, key: tuple[str, ...], uncertain: tuple[str, ...], shown: list[tuple[str, str]]
) -> None:
    (sentence,) = note_view(Note(1, "q?", text, key, uncertain))["sentences"]
    assert [(run["text"], "k" * run["key"] + "u" * run["uncertain"]) for run in sentence] == shown


@given(st.text())
def test_no_control_character_reaches_a_terminal_or_the_page(text: str) -> None:
    for shown in (printable(text), printable_keeping_ends(text)):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f]", shown)


def test_how_well_an_answer_is_backed() -> None:
    answer = an_answer("yes [2]")
    assert backed(answer) == {"level": "fair", "figure": 0.75, "of": "support"}
    assert backed(replace(answer, probability=0.9)) == {"level": "strong", "figure": 0.9, "of": "probability"}
    assert backed(replace(answer, support=0.2)) == {"level": "weak", "figure": 0.2, "of": "support"}
    assert backed(replace(answer, support=None)) is None


def test_an_abstention_has_no_figures_and_no_notes_but_the_closest_places() -> None:
    view = answer_view(replace(an_answer("Not found in these documents."), abstained=True, citations=()))
    assert (view["backed"], view["rests_on"], view["second"], view["explainable"]) == (None, [], None, False)
    assert [place["place"] for place in view["nearest"]] == ["page 1"]


def test_what_is_unlikely_is_not_marked() -> None:
    (cited,) = an_answer("x [2]").citations
    likely = marked_view(MarkedAnswer("1911", 0.9, cited))
    assert likely and (likely["text"], likely["probability"], likely["source"]["place"]) == ("1911", 0.9, "page 3")
    assert marked_view(MarkedAnswer("1911", 0.2, cited)) is None and marked_view(MarkedAnswer("", 0.9, None)) is None


def test_the_answers_json_has_the_contracts_fields() -> None:
    made = layouts.answer_json(an_answer("yes [2]"))
    assert set(made) >= {
        "question", "answer", "abstained", "notes", "citations", "evidence", "support", "attribution", "model",
        "settings_hash", "seconds", "tokens",
    }  # fmt: skip
    assert set(made["notes"][0]) >= {"round", "query", "text", "key_spans", "uncertain_spans"}
    assert set(made["citations"][0]) >= {
        "marker", "passage_id", "document_id", "path", "first_page", "quote", "start", "end",
    }  # fmt: skip
    assert set(made["evidence"][0]) >= {
        "rank", "score", "passage_id", "document_id", "path", "title", "kind", "text", "start", "end", "first_page",
        "last_page", "terms",
    }  # fmt: skip
    assert set(made["seconds"]) >= {"retrieve", "note", "answer", "attribute"}


def test_without_a_choice_of_quotes_there_is_no_rate() -> None:
    assert layouts.answer_json(an_answer("yes [2]"))["quotes"] is None
    assert layouts.answer_json(replace(an_answer("yes [2]"), copied=(0, 0)))["quotes"]["hallucination_rate"] is None


# ---- exports


def exported(name: str, *answers: Answer | None, title: str = "T") -> str:
    conversation = Conversation("c", "", title, 0.0, 0.0)
    turns = [
        Turn(f"t{n}", "c", n, f"Question {n}?", {}, "done" if each else "failed", {}, each, "" if each else "no *disk*",
             0.0, 1.0, None, "")
        for n, each in enumerate(answers, start=1)
    ]  # fmt: skip
    facts = {"author": "Ada Brook; B. Field", "date": "2023-05-02", "doi": "10.1000/x_1"}
    return exports.EXPORTS[name].write(conversation, turns, lambda document: facts)


def test_markdown_has_each_answer_with_its_numbered_sources() -> None:
    text = exported("markdown", an_answer("yes [2]"), None)
    assert text.startswith("# T\n\n## Question 1?\n\nyes [2]\n\nSources:\n\n2. A \\<b\\>Title\\</b\\>, page 3: ")
    assert text.endswith("## Question 2?\n\n*no \\*disk\\**\n")


@given(HOSTILE)
def test_markdown_of_any_answer_has_no_markup_of_a_documents_making(text: str) -> None:
    made = exported("markdown", an_answer(f"x{text} [2]", title=text), title="T")
    tokens = MarkdownIt("commonmark", {"html": True}).parse(made)
    children = [child for token in tokens for child in token.children or []]
    assert not {child.type for child in children} & {"html_inline", "image", "code_inline", "em_open", "strong_open"}
    assert "html_block" not in {token.type for token in tokens}


def test_json_has_the_layout_of_the_command_line() -> None:
    made = json.loads(exported("json", an_answer("yes [2]"), None))
    assert made["turns"][0]["answer"] == json.loads(json.dumps(layouts.answer_json(an_answer("yes [2]"))))
    assert (made["turns"][1]["answer"], made["turns"][1]["error"]) == (None, "no *disk*")


def test_each_cited_document_is_one_entry_with_all_its_quotes() -> None:
    first = an_answer("yes [2]", title="50% of {Bridges} & more")
    other = replace(first, citations=(replace(first.citations[0], start=30, end=41, quote="another"),))
    spoken = replace(first, citations=(replace(first.citations[0], document_id="e", locator=TimeSpan(61.0, 70.0)),))
    bib = exported("bibtex", first, other, first, spoken)
    assert bib.count("@misc{") == 2 and "50\\% of \\{Bridges\\} \\& more" in bib
    assert "page 3: ``the *quote*''; page 3: ``another''" in bib and bib.count("the *quote*") == 2
    assert bib.count("{") - bib.count("\\{") == bib.count("}") - bib.count("\\}")
    ris = exported("ris", first, other, spoken)
    assert re.findall(r"TY  - (\w+)\r\n", ris) == ["GEN", "SOUND"] and ris.count("ER  - \r\n") == 2
    assert exported("bibtex", None) == exported("ris", None) == ""
