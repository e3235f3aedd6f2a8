"""rag/library/mentions/references.py: a reference leads to its section's heading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.library.mentions.references import references
from tests.parts import assert_linear
from tests.test_mentions import TEXTS

PAPER = """A Paper
1 Introduction
{reference}
2 Model
Words on the model.
2.1 Overview
Words.
2.2 Training and a long
title
Words.
3 Results
2 Rows here
Words.
Appendix
A Details
Words.
B.1 Not after A
B More
B.1 Still more
Words.
"""


def lines_linked(text: str, reference: str) -> list[str]:
    """The lines that a reference leads to, if every line is a passage."""
    spans, at = [], 0
    for line in text.splitlines(keepends=True):
        spans.append((at, at + len(line.rstrip())))
        at += len(line)
    first = text.index(reference)
    behind = first + len(reference)
    found = [link for link in references(text, spans) if link.start >= first and link.end <= behind]
    return [text[slice(*spans[link.target])] for link in found]


@pytest.mark.parametrize(
    ("reference", "lines"),
    [
        ("see Section 2.1.", ["2.1 Overview"]),
        ("(Section 2)", ["2 Model"]),
        ("as in section 3, where", ["3 Results"]),
        ("Sec. 2.2 says", ["2.2 Training and a long"]),
        ("(see §3)", ["3 Results"]),
        ("in § 2.1", ["2.1 Overview"]),
        ("Appendix B.1", ["B.1 Still more"]),
        ("Section B", ["B More"]),
        ("Sections 2.1, 2.2 and 3", ["2.1 Overview", "2.2 Training and a long", "3 Results"]),
        ("Section 2 of this paper", ["2 Model"]),
        ("Section 2.1-2.2", ["2.1 Overview"]),
        ("Section 2 and 3 rows", ["2 Model"]),
        ("Section 9", []),
        ("Section 2.7", []),
        ("Section 33", []),
        ("Section 2 of the Act", []),
        ("17 U.S. Code, section 2", []),
        ("section 2(4)", []),
        ("Section 2 (h)", []),
        ("Section 2 § 1", []),
        ("Section 2-11-33", []),
        ("Article 2 § 3", []),
        ("no. 12345/67, § 3", []),
        ("Chapter 2, section 3", []),
        ("(Smith, 2019, Section 2)", []),
        ("Smith et al., Section 2", []),
        ("Table 2 and Figure 3", []),
        ("subsection 2", []),
        ("dissection 2", []),
    ],
)
def test_a_reference_leads_to_the_heading(reference: str, lines: list[str]) -> None:
    assert lines_linked(PAPER.format(reference=f"Words {reference} words"), reference) == lines


@pytest.mark.parametrize(
    ("before", "lines"),
    [
        ("1. Introduction\n2. Model\n2.1. Part\n3. Results\n", ["3. Results"]),
        ("1. Introduction\n2. Model\n2.1 Part\n3. Results\n3 Mbytes used\n", ["3. Results"]),
        ("Section 1: One\nSection 2: Two\nSection 3: Three\n", ["Section 3: Three"]),
        ("1 One ..... 4\n2 Two ..... 5\n3 Three ..... 6\n1 One\n2 Two\n3 Three\n", ["3 Three"]),  # contents, then body
        ("1 One\n2 Two\n3 Three\n3 Four\n", []),  # which?
        ("1 One\n2 Two\n3 Three said.\n", []),  # a sentence
        ("1 One\n2 Two\n3 and more\n", []),
        ("3 Three\n", []),  # a number alone
        ("1 HEAD\n2 HEAD\n3 HEAD\n4 HEAD\n", []),  # a running head
        ("", []),
    ],
)
def test_what_is_a_heading(before: str, lines: list[str]) -> None:
    assert lines_linked(f"{before}Words, see Section 3 for more.", "see Section 3") == lines


def test_a_passage_that_holds_the_heading_needs_no_link_and_of_two_the_last_is_the_target() -> None:
    text = "1 One\nSee Section 2.\n2 Two\nSee Section 1.\n3 Three\nSee Section 2."
    two, three, end = text.index("2 Two"), text.index("3 Three"), len(text)
    found = references(text, [(0, two), (6, two + 5), (two, three), (three, end)])
    assert [(link.source, link.target) for link in found] == [(0, 2), (2, 0), (3, 2)]
    assert [text[link.start : link.end] for link in found] == ["Section 2", "Section 1", "Section 2"]
    assert references(text, []) == []


@given(text=TEXTS | st.lists(st.sampled_from(["\n1 One", "\n2 Two", "\n2.1 A", " Section 2", "\n3 B", " §§ 1 and 3",
                                              "\nA Foo", "\nB. Bar", "(§3)", "."])).map("".join),
       size=st.integers(1, 40))  # fmt: skip
def test_references_quote_the_text_in_their_passage(text: str, size: int) -> None:
    spans = [(at, min(at + 2 * size, len(text))) for at in range(0, len(text), size)]
    for link in references(text, spans):
        assert spans[link.source][0] <= link.start < link.end <= spans[link.source][1]
        assert link.source != link.target


@pytest.mark.parametrize(
    "piece",
    ["Section 1 ", "§ 1, 2 and 3 ", "1 One\n", "1.1.1.1 One\n", "A " * 50 + "\n", "1" + " " * 500, "Sections 1,"],
)
def test_sections_cost_linear_time(piece: str) -> None:
    text = "1 One\n2 Two\n3 Three\n" + piece * (200_000 // len(piece))

    def find(text: str) -> object:
        return references(text, [(at, at + 900) for at in range(0, len(text), 700)])

    assert_linear(find, text[:25_000], text)
