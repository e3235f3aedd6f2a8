"""Findings: which articles the operative part says were violated."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.legal.operative_part import findings


def found(text: str) -> dict[str, bool | None]:
    return {finding.article: finding.violation for finding in findings(text, 0, len(text))}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("Holds that there has been a violation of Article 8 of the Convention;", {"Article 8": True}),
        ("Holds, by six votes to one, that there has been no violation of Article 6 § 1;", {"Article 6 § 1": False}),
        ("Holds that there has been no breach of Art. 5 § 4 (art. 5-4)", {"Article 5 § 4": False}),
        ("Holds that there has not been a violation of Article 3;", {"Article 3": False}),
        ("Holds that there would be a violation of Article 3 if he were expelled", {"Article 3": True}),
        ("Holds that there would have been a violation of Article 3 if he had been removed", {"Article 3": True}),
        (
            "Holds that there has been a violation of Articles 8 and 13 of the Convention",
            {"Article 8": True, "Article 13": True},
        ),
        ("Holds that there has been a violation of Articles 6 § 1 and 8", {"Article 6 § 1": True, "Article 8": True}),
        ("there has been no violation of Article 6 §§ 1 and 3 (c)", {"Article 6 § 1": False, "Article 6 § 3": False}),
        ("there has been a violation of Article 5 §§ 1 (e), 4-5", {f"Article 5 § {n}": True for n in (1, 4, 5)}),
        (
            "there has been a violation of Article 1 of Protocol No. 1 to the Convention",
            {"Article 1 of Protocol No. 1": True},
        ),
        ("there has been no violation of Article 1 (P1-1)", {"Article 1 of Protocol No. 1": False}),
        ("there has been a violation of Article 2 of the Fourth Protocol", {"Article 2 of Protocol No. 4": True}),
        (
            "there has been a violation of Article 8 of the Convention and Article 1 of Protocol No. 1",
            {"Article 8": True, "Article 1 of Protocol No. 1": True},
        ),
        ("there has been no violation of Article 14 taken in conjunction with Article 8", {"Article 14": False}),
        ("there has been a violation of Article 13 in relation to Article 8", {"Article 13": True}),
        (
            "there has been a violation of Article 10 in respect of his conviction under Article 8 of the Act",
            {"Article 10": True},
        ),
        ("there has been a violation of the procedural aspect of Article 8", {"Article 8": True}),
        ("there has been a violation of the applicants’ rights under Article 8", {"Article 8": True}),
        ("Holds that Article 8 has been violated;", {"Article 8": True}),
        ("Holds that Article 8 has not been violated;", {"Article 8": False}),
        ("that there has been no\nviolation of Article 6\n§ 1 of the Convention", {"Article 6 § 1": False}),
        ("Dit qu’il y a eu violation de l’article 8 de la Convention", {"Article 8": True}),
        (
            "Dit qu’il n’y a pas eu violation des articles 8 et 13 de la Convention",
            {"Article 8": False, "Article 13": False},
        ),
        ("Dit qu'il n'y a pas eu violation de l'article 10", {"Article 10": False}),
    ],
)
def test_what_is_found(rule: str, expected: dict[str, bool]) -> None:
    assert found(rule) == expected


@pytest.mark.parametrize(
    "rule",
    [
        "Holds that the finding of a violation constitutes in itself sufficient just satisfaction under Article 41;",
        "Holds that there is no need to examine whether there has been a violation of Article 13;",
        "Holds that it is not necessary to decide whether there has been a breach of Article 14;",
        "Declares the complaint that there has been a violation of Article 6 inadmissible;",
        "Declares the complaint under Article 8 admissible;",
        "Holds that there has been a violation;",
        "",
    ],
)
def test_what_is_no_finding(rule: str) -> None:
    assert found(rule) == {}


def test_a_mixed_finding_is_none_and_names_both_items() -> None:
    rules = (
        "1. Holds that there has been a violation of Article 8 in respect of State A;\n"
        "2. Holds that there has been no violation of Article 8 in respect of State B;\n"
        "3. Holds that there has been no violation of Article 3.\n"
    )
    first, second = findings(rules, 0, len(rules))
    assert (first.article, first.violation) == ("Article 8", None)
    assert [rules[start:end] for start, end in first.spans] == [
        "1. Holds that there has been a violation of Article 8 in respect of State A",
        "2. Holds that there has been no violation of Article 8 in respect of State B",
    ]
    assert (second.article, second.violation) == ("Article 3", False)
    assert rules[slice(*second.spans[0])] == "3. Holds that there has been no violation of Article 3"


def test_only_the_part_asked_for_is_read() -> None:
    text = "there has been a violation of Article 3; there has been a violation of Article 8;"
    assert [finding.article for finding in findings(text, text.index(";"), len(text))] == ["Article 8"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(2, 18), st.booleans()), max_size=8))
def test_findings_are_the_votes(votes: list[tuple[int, bool]]) -> None:
    rules = "".join(
        f"{i}. Holds that there has been {'a' if violation else 'no'} violation of Article {article};\n"
        for i, (article, violation) in enumerate(votes, start=1)
    )
    expected: dict[str, bool | None] = {}
    for article, violation in votes:
        name = f"Article {article}"
        expected[name] = violation if expected.get(name, violation) == violation else None
        if len({v for a, v in votes if a == article}) > 1:
            expected[name] = None
    assert found(rules) == expected
    for finding in findings(rules, 0, len(rules)):
        assert all(rules[start:end].endswith(f"of {finding.article}") for start, end in finding.spans)
