"""Citations: their forms one by one, and which known cases they mean."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.legal.citations import citations
from ingest.legal.courts import read_courts
from rag.document import CaseCitation
from rag.library.mentions.cited import KnownCase, KnownCases, edges, iso_date

STYLE = read_courts()["ecthr"].citations
EU = read_courts()["cjeu"].citations
Parts = tuple[str | None, tuple[str, ...], str | None, str]


def parts(text: str) -> list[Parts]:
    return [(found.name, found.application_numbers, found.pinpoint, found.date) for found in citations(text, STYLE)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(see A. v. Austria, no. 1/01, § 45, 3 May 2004).", ("A. v. Austria", ("1/01",), "§ 45", "2004-05-03")),
        ("Xo v. the Netherlands [GC], no. 1/01, ECHR 2004-I", ("Xo v. the Netherlands", ("1/01",), None, "")),
        (
            "(Xo and Others v. Italy, nos. 1/01 and 2/02, §§ 5-7)",
            ("Xo and Others v. Italy", ("1/01", "2/02"), "§§ 5-7", ""),
        ),
        ("Xo v. Italy, nos. 1/01, 2/02 and 3/03", ("Xo v. Italy", ("1/01", "2/02", "3/03"), None, "")),
        ("Xo v. Italy, nos. 1/01 and 2 others", ("Xo v. Italy", ("1/01",), None, "")),
        ("Xo v. Italy (dec.), no. 1/01, 3 May 2004", ("Xo v. Italy", ("1/01",), None, "2004-05-03")),
        ("Xo v. Italy ((dec.), no. 1/01, 3 May 2004)", ("Xo v. Italy", ("1/01",), None, "2004-05-03")),
        ("Xo v. Italy ([GC], no. 1/01, § 9)", ("Xo v. Italy", ("1/01",), "§ 9", "")),
        ("Xo v. Italy (just satisfaction) [GC], no. 1/01", ("Xo v. Italy", ("1/01",), None, "")),
        ("Xo v. Italy (no. 2), no. 1/01", ("Xo v. Italy (no. 2)", ("1/01",), None, "")),
        ("Xo [v. Italy, no. 1/01], §§ 43 and 45", ("Xo v. Italy", ("1/01",), "§§ 43 and 45", "")),
        ("Xo v Italy, no.1/01", ("Xo v Italy", ("1/01",), None, "")),
        ("Xo v. Italy, 1/01, § 2", ("Xo v. Italy", ("1/01",), "§ 2", "")),
        ("Xo v. Italy (no. 1/01, 3 May 2004)", ("Xo v. Italy", ("1/01",), None, "2004-05-03")),
        ("Xo and\nYo\nv. the United\nKingdom, no.\n1/01", ("Xo and Yo v. the United Kingdom", ("1/01",), None, "")),
        ("Xo v. Italy, 3 May 1984, §§ 67 to 69, Series A no. 82", ("Xo v. Italy", (), "§§ 67 to 69", "1984-05-03")),
        ("Xo v. Italy judgment of 3 May 1984, § 6", ("Xo v. Italy", (), "§ 6", "1984-05-03")),
        ("as the Court held in the Xo and Yo judgment of 3 May 1984", ("Xo and Yo", (), None, "1984-05-03")),
        ("Xo v. Serbia and Montenegro, no. 1/01", ("Xo v. Serbia and Montenegro", ("1/01",), None, "")),
        ("Xo v. Romania and Bulgaria, no. 1/01", ("Xo v. Romania and Bulgaria", ("1/01",), None, "")),
        ("Xo c. la France, no 1/01, § 3", ("Xo c. la France", ("1/01",), "§ 3", "")),
        ("in application no. 1/01 the Court", (None, ("1/01",), None, "")),
        ("applications nos. 1/01 and 2/01", (None, ("1/01", "2/01"), None, "")),
        ("Xo v. Italy, no. 1/01, paragraph 7", ("Xo v. Italy", ("1/01",), "paragraph 7", "")),
    ],
)
def test_forms(text: str, expected: Parts) -> None:
    assert parts(text) == [expected]


@pytest.mark.parametrize(
    ("before", "name"),
    [
        ("(see, mutatis mutandis, ", "Xo"),
        ("See ", "Xo"),
        ("Citing ", "Xo"),
        ("The Court refers to ", "Xo"),
        ("Article 8; ", "Xo"),
        ("as it held. ", "Xo"),
        ("ECHR 2004-I, and ", "Xo"),
        ("", "A.B., C. and D."),
        ("see ", "Xo, Yo and Zo"),
        ("see ", "Association of Mills and Others"),
        ("see ", "Xo Co. Ltd"),
        ("see ", "Van der Xo"),
        ("see ", "The Mill"),
        ("“", "Xo"),
    ],
)
def test_where_a_name_begins(before: str, name: str) -> None:
    assert [found[0] for found in parts(f"{before}{name} v. Austria, no. 1/01")] == [f"{name} v. Austria"]


def test_several_in_a_row_are_parted() -> None:
    text = (
        "(see A. v. Austria, no. 1/01, § 2; B. v. Belgium and C. v. Cyprus, no. 3/03, and D. v. Denmark (no. 2), "
        "3 May 1984)"
    )
    assert parts(text) == [
        ("A. v. Austria", ("1/01",), "§ 2", ""),
        ("B. v. Belgium", (), None, ""),
        ("C. v. Cyprus", ("3/03",), None, ""),
        ("D. v. Denmark (no. 2)", (), None, "1984-05-03"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Official Gazette no. 1/01",
        "the Law no. 1/01 and Decree no. 2/02",
        "(file no. 2 BvR 1/01)",
        "Directive 95/46 applies",
        "registered as case no. 14/04",
        "on 3/04/2001 and 12/2001",
        "Xo v. Yo [2001] 1 AC 1",  # a domestic case
        "Case C‑131/12 of another court",
        "A v. b, no",
        "v. Austria",
    ],
)
def test_what_is_no_citation(text: str) -> None:
    assert parts(text) == []


def test_cited_above_means_the_citation_above() -> None:
    text = (
        "See Xo and Others v. Italy, no. 1/01, § 2; Xo v. Malta, no. 2/02; and Yo Mills v. Spain [GC], no. 3/03. "
        "As in Xo, cited above, § 9, and Yo, cited above; Xo and Others v. Italy, cited above, §§ 3-4. Zo, cited above."
    )
    assert parts(text)[3:] == [
        ("Xo v. Malta", ("2/02",), "§ 9", ""),
        ("Yo Mills v. Spain", ("3/03",), None, ""),
        ("Xo and Others v. Italy", ("1/01",), "§§ 3-4", ""),
    ]


def test_another_court_cites_by_number() -> None:
    text = (
        "see, to that effect, judgments of 3 May 2014, A, C‑1/12, paragraph 5, and of 4 May 2015, B and C, C-2/13 P; "
        "Case T-3/09"
    )
    found = citations(text, EU)
    assert [(cited.name, cited.application_numbers, cited.pinpoint, cited.date) for cited in found] == [
        ("A", ("C-1/12",), "paragraph 5", "2014-05-03"),
        ("B and C", ("C-2/13 P",), None, "2015-05-04"),
        (None, ("T-3/09",), None, ""),
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("3 May 2004", "2004-05-03"),
        ("le 12 février 2004", "2004-02-12"),
        ("30 February 2004", ""),
        ("3 Foo 2004", ""),
        ("", ""),
    ],
)
def test_dates(words: str, expected: str) -> None:
    assert iso_date(words) == expected


# -- resolving -------------------------------------------------------------------------------------------------

KNOWN = KnownCases(
    [
        KnownCase("a-chamber", "XO v. ITALY", ("1/01",), "2004-05-03"),
        KnownCase("a-grand", "XO v. ITALY", ("1/01",), "2006-05-03"),
        KnownCase("b", "XO v. ITALY", ("2/01",), "2005-05-03"),
        KnownCase("c", "YŞİ AND OTHERS v. THE NETHERLANDS", ("3/01", "4/01"), "1984-05-03"),
        KnownCase("undated", "ZO v. MALTA", ("5/01",), ""),
        KnownCase("d", "ZO v. MALTA (No. 2)", ("6/01",), "2005-01-01"),
    ]
)
LATER = KnownCase("later", "LATER v. ITALY", ("9/09",), "2010-01-01")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Xo v. Italy, no. 2/01", [("b",)]),
        ("Xo v. Italy, no. 1/01", [("a-chamber", "a-grand")]),  # two versions: left open
        ("Xo v. Italy, no. 1/01, 3 May 2006", [("a-grand",)]),  # and the date decides
        ("Xo v. Italy", [("a-chamber", "a-grand", "b")]),
        ("Xo v. Italy, 3 May 2005", [("b",)]),
        ("Xo v. Italy, no. 77/07", []),  # another case of the name
        ("Yşi and Others v. the Netherlands", [("c",)]),
        ("YSI AND OTHERS v. NETHERLANDS", [("c",)]),
        ("Foo v. Italy, nos. 4/01 and 77/07", [("c",)]),
        ("the Yşi and Others judgment of 3 May 1984", [("c",)]),
        ("the Yşi and Others judgment of 4 May 1984", []),
        ("Zo v. Malta, no. 5/01", []),  # no date, so it cannot be told to be earlier
        ("Zo v. Malta (no. 2)", [("d",)]),
        ("Later v. Italy, no. 9/09", []),  # itself
    ],
)
def test_which_known_cases_are_meant(text: str, expected: list[tuple[str, ...]]) -> None:
    assert [edge.targets for edge in edges(citations(text, STYLE), LATER, KNOWN)] == expected


def test_a_case_cites_no_version_of_itself() -> None:
    grand = KNOWN.cases["a-grand"]
    assert KNOWN.meant(CaseCitation("", 0, 0, ("1/01",)), grand) == ()
    assert KNOWN.meant(CaseCitation("", 0, 0, (), "Xo v. Italy"), grand) == ("b",)
    assert KNOWN.meant(CaseCitation("", 0, 0, ("2/01",)), KnownCase("x", "X", ("7/07",), "")) == ()


NUMBERS = st.sampled_from(["1/01", "2/01", "3/01", "4/01"])
CASES = st.builds(
    KnownCase,
    st.uuids().map(str),
    st.sampled_from(["Xo v. Italy", "XO v. ITALY", "Yo v. Malta", "Zo"]),
    st.lists(NUMBERS, max_size=2).map(tuple),
    st.sampled_from(["", "2001-01-01", "2001-01-02", "2002-01-01"]),
)
CITED = st.builds(
    CaseCitation,
    st.just(""),
    st.just(0),
    st.just(0),
    st.lists(NUMBERS, max_size=2).map(tuple),
    st.sampled_from([None, "Xo v. Italy", "Yo v. Malta", "Zo"]),
    st.none(),
    st.sampled_from(["", "2001-01-01", "2001-01-02"]),
)


@settings(deadline=None)
@given(st.lists(CASES, min_size=1, max_size=8, unique_by=lambda case: case.key), st.lists(CITED, max_size=6))
def test_no_case_means_itself_or_a_later_one(cases: list[KnownCase], found: list[CaseCitation]) -> None:
    """Whatever cites whatever, in circles too: edges lead strictly back in time, so none lead round."""
    known = KnownCases(cases)
    for citing in cases:
        for edge in edges(found, citing, known):
            for key in edge.targets:
                assert key != citing.key
                assert "" < known.cases[key].date < citing.date
                assert not set(known.cases[key].application_numbers) & set(citing.application_numbers)


PIECES = st.sampled_from(
    "Xo v. Italy|, no. 1/01|, nos. 1/01 and 2/02|; | and |Xo, cited above|, § 4| (dec.)|\n|(|)| [GC]|"
    "Yo judgment of 3 May 2004|application no. 3/03|, 3 May 2004|The Court |Official Gazette no. 5/05|v.|C‑1/12".split(
        "|"
    )
)


@settings(deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=25), st.sampled_from([STYLE, EU]))
def test_citations_quote_the_text_apart_and_in_order(pieces: list[str], style: object) -> None:
    text = "".join(pieces)
    found = citations(text, EU if style is EU else STYLE)
    assert all(text[cited.start : cited.end] == cited.words and cited.words for cited in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(cited.name or cited.application_numbers for cited in found)
