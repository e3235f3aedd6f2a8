"""answer_markdown.py, text.py, page_view.py: what comes from a document or a reader is shown, never obeyed."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from rag.locator import PageSpan
from rag.records import Answer, Citation, Hit, Note, Statement
from tests.parts import passage
from ui.cli import json_layouts as layouts
from ui.cli.text import answer_text
from ui.web import answer_markdown as render
from ui.web.panels.page_view import page_address, page_text_figure
from ui.wording import printable

HOSTILE = st.text(st.sampled_from(list("ab 1[](){}<>!*_`#&;:/\\|~$\"'\n-+=.^@hjps\x1b\x07")), max_size=60)


def plain(markdown: str) -> str:
    """What a reader of the rendered Markdown sees; fails if anything in it became more than text."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(markdown)
    assert {token.type for token in tokens} <= {"paragraph_open", "inline", "paragraph_close"}, tokens
    children = [child for token in tokens for child in token.children or []]
    assert {child.type for child in children} <= {"text", "text_special", "softbreak"}, children
    return "".join(child.content for child in children)


@given(HOSTILE)
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    assert plain(render.markdown(text)) == printable(text).strip()


@given(HOSTILE)
def test_a_quote_stays_text_in_html(text: str) -> None:
    citation = an_answer("x", title=text).citations[0]
    shown = str(page_text_figure(citation, 3, 4, f"damaged {text}", text, 1, max(1, len(text) - 1)))
    tags = re.findall(r"<[^>]*>", shown)
    assert tags[:2] == ['<figure class="page">', "<figcaption>"] and len(tags) == 10
    assert tags[5:] == ['<pre class="page-text">', "<mark>", "</mark>", "</pre>", "</figure>"]
    assert html.unescape(re.sub(r"<[^>]*>", "", shown.partition("<pre")[2].partition(">")[2])) == text


@given(st.text())
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", shown)


def an_answer(text: str, title: str = "A <b>Title</b>") -> Answer:
    cited = Citation("[2]", "d#1", "d", "a.pdf", title, PageSpan(3, 3), "the *quote*", 10, 21)
    hit = Hit(2, 0.5, passage(1, "x the *quote* y", "d", start=8), {"quote": 0.5})
    return Answer(
        "q?", text, False, (Note(1, "q?", "[2] the *quote*", ("quote",)),), (cited,), (hit,), 0.75, "m", "h",
        {"retrieve": 0.1, "note": 0.2, "answer": 0.3, "attribute": 0.0}, {"prompt": 10, "generated": 2},
    )  # fmt: skip


def test_a_marker_becomes_a_link_to_its_citation_and_nothing_else_does() -> None:
    shown = render.answer_markdown(an_answer("see [here](http://x) <script> [2]"))
    links = [
        child.attrs["href"]
        for token in MarkdownIt("commonmark").parse(shown)
        for child in token.children or []
        if child.type == "link_open"
    ]
    assert links == ["#citation-1"]
    assert "<script>" not in shown.replace("\\<script\\>", "")


@given(HOSTILE)
def test_an_answer_in_sentences_has_the_lists_that_we_made_and_no_others(text: str) -> None:
    said = f"x{' '.join(printable(text).split())}"  # where a control character stood blanks may meet, which fold
    lines = [said, "", "In the documents’ words:", f"- {said} [2]", f"- {said}"]
    whole = "\n".join(lines)
    first = whole.index("- x") + 2
    statements = (Statement(0, len(said), 0.9, True), Statement(first, first + len(said) + 4, 0.9, True))
    shown = render.answer_markdown(replace(an_answer(whole), statements=statements, support=None, style="explain"))
    tokens = MarkdownIt("commonmark", {"html": True}).parse(shown)
    kinds = ["paragraph", "bullet_list", "list_item"]
    assert {t.type for t in tokens} <= {"inline", *(f"{kind}_{end}" for kind in kinds for end in ("open", "close"))}
    assert [t.type for t in tokens].count("list_item_open") == 2
    children = [child for token in tokens for child in token.children or []]
    assert [c.attrs["href"] for c in children if c.type == "link_open"] == ["#citation-1"]
    plain_text = "".join("\n" if c.type == "softbreak" else c.content for c in children)
    assert plain_text.count(said) == 3


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
    shown = render.answer_markdown(answer)
    assert shown.startswith("**The bridge is old [\\[2\\]](#citation-1")
    assert "<span class='unsupported'>It is red\\.</span> <small>\\(not supported\\)</small>**" in shown
    assert "4 sentences chosen by the reader, 1 of them not in the evidence" in shown
    reasons = render.reasons_markdown(answer.evidence)
    assert reasons.startswith("- <span class='ignored'>Not read, weakly related to the \\<b\\>question")
    assert render.reasons_title(answer.evidence).endswith("(1 not read)")
    assert "not read" not in render.reasons_title(whole.evidence)


def test_without_a_choice_of_quotes_there_is_no_rate() -> None:
    assert layouts.answer_json(an_answer("yes [2]"))["quotes"] is None
    assert layouts.answer_json(replace(an_answer("yes [2]"), copied=(0, 0)))["quotes"]["hallucination_rate"] is None


@pytest.mark.parametrize(
    ("text", "key", "uncertain", "shown"),
    [
        ("by Clyde, it seems", ("Clyde",), ("it seems",), "by <b>Clyde</b>, <u>it seems</u> (uncertain)"),
        ("Ada or Eda Lind", ("Ada or Eda Lind",), ("or Eda",), "<b>Ada <u>or Eda</u> (uncertain) Lind</b>"),
        ("a span of class", (), ("span", "class"), "a <u>span</u> (uncertain) of <u>class</u> (uncertain)"),
        ("1 of 11, not 1911", ("1",), (), "<b>1</b> of 11, not 1911"),
        ("It is <b>", ("<b>",), (), "It is <b>&lt;b&gt;</b>"),
        ("It is old", (), ("1911",), "It is old|In none of these sentences: <u>1911</u> (uncertain)"),
        ("", (), (" ",), "No sentence was found."),
    ],
)
def test_key_spans_are_bold_and_uncertain_ones_marked_with_a_word(
    text: str, key: tuple[str, ...], uncertain: tuple[str, ...], shown: str
) -> None:
    made = MarkdownIt("commonmark", {"html": True}).render(render.note_markdown(Note(1, "q?", text, key, uncertain)))
    made = re.sub("<span class='uncertain'>(.*?)</span> <small>(.*?)</small>", r"<u>\1</u> \2", made)
    made = made.replace("<strong>", "<b>").replace("</strong>", "</b>")
    assert "|".join(re.findall("<li>(.*)</li>", made)) == shown


def test_a_title_that_holds_a_marker_is_no_marker() -> None:
    answer = an_answer("old [2] and red [3]", title="Of [3] bridges")
    answer = replace(answer, citations=(*answer.citations, replace(answer.citations[0], marker="[3]", title="Red")))
    (paragraph, _, _, _) = MarkdownIt("commonmark").parse(render.answer_markdown(answer))[1:5]
    links = [child.attrs for child in paragraph.children or [] if child.type == "link_open"]
    assert [link["href"] for link in links] == ["#citation-1", "#citation-2"]
    assert links[0]["title"] == "Of [3] bridges, page 3"


def test_several_notes_say_which_search_they_are_of_and_quotes_what_they_are() -> None:
    answer = an_answer("yes [2]")
    (note,) = answer.notes
    assert render.note_title(note, answer) == "Evidence note: what the passages say"
    assert render.note_title(note, replace(answer, notes=(note, note))).endswith(", search 1 of 2")
    assert render.note_title(note, replace(answer, copied=(1, 0))).startswith("Quotes: ")


def test_the_address_of_a_picture_holds_the_quote_as_numbers_only() -> None:
    citation = an_answer("x").citations[0]
    assert page_address(citation, 3) == "/page/d/3.png?start=10&end=21"
