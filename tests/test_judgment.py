"""Judgments: sections under headings of many forms, numbered paragraphs, text from HTML and PDF, and bad input."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.legal.courts import Court, court_of, read_courts
from ingest.legal.html_text import plain, text_of_html
from ingest.legal.judgment import of_record, read_judgment
from rag.document import Case
from rag.errors import DataError, DocumentError
from tests.parts import assert_linear

COURTS = read_courts()
ECTHR, CJEU = COURTS["ecthr"], COURTS["cjeu"]

HEADER = """THIRD SECTION
CASE OF A. AND OTHERS v. AUSTRIA
(Applications nos. 12/03 and 13/03)
JUDGMENT
STRASBOURG
4 May 2010
FINAL
04/08/2010
In the case of A. and Others v. Austria,
The European Court of Human Rights (Third Section), sitting as a Chamber,
Delivers the following judgment:
"""
BODY = """PROCEDURE
1. The case originated in two applications.
2. The applicants were represented by a lawyer.
THE FACTS
I. THE CIRCUMSTANCES OF THE CASE
3. The first applicant owned a mill. The order said:
“The following rules hold:
4. Mills are closed on Sundays.
5. Nobody repairs them.”
4. The mill was closed.
THE LAW
I. ALLEGED VIOLATION OF ARTICLE 8 OF THE CONVENTION
5. The applicants complained under Article 8. They listed:
1. the noise;
2. the smell;
3. the closing.
A. Admissibility
6. The Court declares it admissible.
8. The Court finds a breach.
"""
OPERATIVE = """FOR THESE REASONS, THE COURT, UNANIMOUSLY,
1. Declares the applications admissible;
2. Holds that there has been a violation of Article 8 of the Convention;
3. Dismisses the remainder.
Done in English, and notified in writing on 4 May 2010.
"""
OPINIONS = """CONCURRING OPINION OF JUDGE X
1. I agree.
JOINT PARTLY DISSENTING OPINION OF JUDGES
Y AND ZZ
(Translation)
1. We do not agree.
THE LAW
2. It is otherwise.
APPENDIX
List of applicants
[1] A note.
[2] Another.
"""
WHOLE = HEADER + BODY + OPERATIVE + OPINIONS


def sections(text: str, court: Court = ECTHR) -> list[tuple[str, str]]:
    """(kind, first line) of each section."""
    return [
        (section.kind, text[section.start : section.end].split("\n")[0])
        for section in read_judgment(text, court).sections
    ]


def kinds(text: str, court: Court = ECTHR) -> list[str]:
    return [kind for kind, _ in sections(text, court)]


def numbers(case: Case) -> list[int]:
    return [paragraph.number for paragraph in case.paragraphs]


def test_a_whole_judgment() -> None:
    case = read_judgment(WHOLE, ECTHR)
    assert sections(WHOLE) == [
        ("header", "THIRD SECTION"),
        ("procedure", "PROCEDURE"),
        ("facts", "THE FACTS"),
        ("law", "THE LAW"),
        ("operative", "FOR THESE REASONS, THE COURT, UNANIMOUSLY,"),
        ("opinion", "CONCURRING OPINION OF JUDGE X"),
        ("opinion", "JOINT PARTLY DISSENTING OPINION OF JUDGES"),
        ("annex", "APPENDIX"),
    ]
    assert [section.author for section in case.sections if section.kind == "opinion"] == ["X", "Y AND ZZ"]
    assert (case.title, case.parties) == ("A. AND OTHERS v. AUSTRIA", ("A. AND OTHERS", "AUSTRIA"))
    assert (case.application_numbers, case.date, case.importance) == (("12/03", "13/03"), "2010-05-04", None)
    assert case.articles == ("Article 8",)
    assert [(found.article, found.violation) for found in case.outcome] == [("Article 8", True)]
    assert [WHOLE[note.start : note.end] for note in case.notes] == ["[1] A note.", "[2] Another."]
    assert not case.warnings


def test_paragraphs_are_the_series_of_the_judgment_and_no_list_in_it() -> None:
    case = read_judgment(WHOLE, ECTHR)
    assert numbers(case) == [1, 2, 3, 4, 5, 6, 8]
    texts = [WHOLE[paragraph.start : paragraph.end] for paragraph in case.paragraphs]
    assert texts[3] == "4. The mill was closed."
    assert texts[4].endswith("3. the closing.")  # the list is in the paragraph, the subheading behind it is not
    assert case.paragraph_at(WHOLE.index("the smell")) == case.paragraphs[4]
    assert case.paragraph_at(WHOLE.index("1. Declares")) is None
    assert case.section_at(WHOLE.index("the smell")).kind == "law"
    with pytest.raises(ValueError, match="no section"):
        case.section_at(len(WHOLE))


@pytest.mark.parametrize(
    ("facts", "law", "operative"),
    [
        ("AS TO THE FACTS", "AS TO THE LAW", "FOR THESE REASONS, THE COURT"),
        ("THE FACTS", "THE LAW", "FOR THESE REASONS, THE COURT,UNANIMOUSLY,"),
        ("II. AS TO THE FACTS", "III. AS TO THE LAW", "FOR THESE REASONS THE COURT holds that"),
        ("The facts", "The law", "For these reasons, the Court, unanimously,"),
        ("SUBJECT MATTER OF THE CASE", "THE COURT’S ASSESSMENT", "FOR THESE REASONS, THE COURT, UNANIMOUSLY,"),
        ("EN FAIT", "EN DROIT", "PAR CES MOTIFS, LA COUR, À L’UNANIMITÉ,"),
        ("  THE FACTS  ", "\tTHE LAW", " FOR THESE REASONS, THE COURT"),
    ],
)
def test_headings_in_their_variety(facts: str, law: str, operative: str) -> None:
    text = f"PROCEDURE\n1. One.\n{facts}\n2. Two.\n{law}\n3. Three.\n{operative}\n1. Holds.\n"
    case = read_judgment(text, ECTHR)
    assert kinds(text) == ["procedure", "facts", "law", "operative"]
    assert text[case.sections[3].start :].startswith(operative)
    assert numbers(case) == [1, 2, 3]


def test_what_the_commission_thought_is_not_facts() -> None:
    text = (
        "PROCEDURE\n1. One.\nAS TO THE FACTS\n2. Two.\nPROCEEDINGS BEFORE THE COMMISSION\n3. It found a breach.\n"
        "FINAL SUBMISSIONS TO THE COURT\n4. They ask.\nAS TO THE LAW\n5. Five.\n"
    )
    assert kinds(text) == ["procedure", "facts", "procedure", "law"]


def test_headings_count_only_where_they_may_come() -> None:
    """A statute quoted in the facts has an appendix, the law quotes facts, an opinion has a law of its own."""
    text = (
        "THE FACTS\n1. One.\nAPPENDIX\nof the statute\nTHE LAW\n2. Two.\nTHE FACTS\nPROCEDURE\n3. Three.\n"
        "FOR THESE REASONS, THE COURT\n1. Holds.\nDISSENTING OPINION OF JUDGE X\nTHE FACTS\n"
        "FOR THESE REASONS, I dissent\n"
    )
    assert kinds(text) == ["facts", "law", "operative", "opinion"]


def test_a_table_of_contents_is_of_the_header() -> None:
    contents = (
        "TABLE OF CONTENTS\nPROCEDURE\nTHE FACTS\nTHE LAW\nFOR THESE REASONS, THE COURT\nDISSENTING OPINION OF X\n"
    )
    text = HEADER + contents + BODY + OPERATIVE
    assert kinds(text) == ["header", "procedure", "facts", "law", "operative"]
    assert contents in text[: read_judgment(text, ECTHR).sections[0].end]


@pytest.mark.parametrize(
    ("heading", "author"),
    [
        ("DISSENTING OPINION OF JUDGE X", "X"),
        ("CONCURRING OPINION \nOF JUDGE X", "X"),
        ("JOINT DISSENTING OPINION OF JUDGES X, Y\nAND ZZ", "X, Y AND ZZ"),
        ("PARTLY CONCURRING AND PARTLY DISSENTING OPINION OF JUDGE X, JOINED BY JUDGE Y", "X, JOINED BY JUDGE Y"),
        ("Partly dissenting opinion of Judge X", "X"),
        ("OPINION DISSIDENTE DE M. LE JUGE X", "M. LE JUGE X"),
        ("DECLARATION BY JUDGE X", "X"),
        ("SEPARATE OPINION", ""),
    ],
)
def test_separate_opinions_and_their_authors(heading: str, author: str) -> None:
    text = f"THE LAW\n1. One.\nFOR THESE REASONS, THE COURT\n1. Holds.\n{heading}\n1. I do not agree.\n"
    last = read_judgment(text, ECTHR).sections[-1]
    assert (last.kind, last.author) == ("opinion", author)
    assert text[last.start :].startswith(heading)


def test_text_from_a_pdf_has_broken_lines() -> None:
    text = (
        "CASE OF A. AND\nOTHERS v. AUSTRIA\n(Application no. 12/03)\n4 May 2010\nTHE FACTS\n1. The mill was closed by\n"
        "order of 3 May and reopened in\n1999. It then burned.\n2. Nothing is left, as the\nlaw says.\n\nTHE LAW\n"
        "3. Three.\n"
        "FOR THESE REASONS, THE COURT,\nUNANIMOUSLY,\n1. Holds that there has been no\nviolation of Article 6 § 1\n"
        "of the Convention;\n"
    )
    case = read_judgment(text, ECTHR)
    assert kinds(text) == ["header", "facts", "law", "operative"]
    assert numbers(case) == [1, 2, 3]
    assert case.title == "A. AND OTHERS v. AUSTRIA"
    assert [(found.article, found.violation) for found in case.outcome] == [("Article 6 § 1", False)]


def test_html_keeps_blocks_and_drops_markup() -> None:
    lines = "".join(f"<p class=x>{line}</p>\n" for line in BODY.split("\n"))
    page = (
        f"<html><head><title>no text</title><style>p {{}}</style></head><body><div>{HEADER}</div>{lines}</body></html>"
    )
    text = text_of_html(page)
    assert kinds(text) == ["header", "procedure", "facts", "law"]
    assert numbers(read_judgment(text, ECTHR)) == [1, 2, 3, 4, 5, 6, 8]
    assert (
        text_of_html("<table><tr><td>a</td><td>b &amp; c</td></tr></table><p>1<sup>er</sup>\n<i>x</i>")
        == "a\nb & c\n1er x"
    )
    assert text_of_html("a < b <unclosed") is not None
    assert text_of_html("") == ""


# -- another court ---------------------------------------------------------------------------------------------


def test_another_court_by_its_profile() -> None:
    text = """JUDGMENT OF THE COURT (Third Chamber)
4 May 2017
In Case C‑12/16,
REQUEST for a preliminary ruling
A
v
Office of B,
THE COURT (Third Chamber), gives the following
Judgment
1        This request concerns a directive.
Legal context
2        Article 3 provides:
‘1. Mills are open.’
The dispute in the main proceedings and the question referred for a preliminary ruling
3        A has a mill.
Consideration of the question referred
4        It must be recalled (judgment of 3 June 2010, D and E, C‑1/09 and C‑2/09, EU:C:2010:1, paragraphs 5 and 6).
On those grounds, the Court (Third Chamber) hereby rules:
Article 3 must be interpreted as meaning that mills are open.
"""
    assert court_of(text, COURTS) is CJEU
    case = read_judgment(text, CJEU)
    assert kinds(text, CJEU) == ["header", "procedure", "facts", "law", "operative"]
    assert (case.title, case.application_numbers, case.date) == ("A v Office of B", ("C-12/16",), "2017-05-04")
    assert numbers(case) == [1, 2, 3, 4]
    cited = case.citations[-1]
    assert (cited.name, cited.application_numbers) == ("D and E", ("C-1/09", "C-2/09"))
    assert (cited.pinpoint, cited.date) == ("paragraphs 5 and 6", "2010-06-03")
    assert court_of(WHOLE, COURTS) is court_of("nobody's", COURTS) is ECTHR


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("[x]\n", "x is not a court with a title"),
        ("[x", "not a profile of courts"),
        ("[x]\ntitle = 'X'\n[x.citations]\nnumber = '('\n", "not a regular expression"),
        ("[x]\ntitle = 'X'\n[x.headings]\nsummary = ['S']\n", "summary is no kind of section"),
        ("[x]\ntitle = 'X'\n[x.citations]\nnumber = '1'\n", "x has no text as its"),
    ],
)
def test_a_wrong_profile_says_what_is_wrong(tmp_path: Path, profile: str, message: str) -> None:
    file = tmp_path / "courts.toml"
    file.write_text(profile)
    with pytest.raises(DataError, match=message):
        read_courts(file)


# -- bad input -------------------------------------------------------------------------------------------------


def test_text_without_headings_is_one_section() -> None:
    case = read_judgment("1. One.\n2. Two.\n", ECTHR)
    assert [section.kind for section in case.sections] == ["text"]
    assert numbers(case) == [1, 2]
    assert [warning.split(":")[0] for warning in case.warnings] == ["no headings were found", "no date was found"]
    assert read_judgment("", ECTHR).sections == ()


def test_a_judgment_cut_off_has_no_outcome_and_says_so() -> None:
    case = read_judgment(HEADER + BODY, ECTHR)
    assert [section.kind for section in case.sections][-1] == "law"
    assert case.outcome == ()
    assert any("no operative part" in warning for warning in case.warnings)
    tail = read_judgment("40. Forty.\n41. And one.\n42. And two.\n" + OPERATIVE, ECTHR)
    assert [section.kind for section in tail.sections] == ["text", "operative"]
    assert numbers(tail) == [40, 41, 42]


def test_french() -> None:
    text = """AFFAIRE A. c. AUTRICHE
(Requête no 12/03)
ARRÊT
STRASBOURG
1er août 2010
PROCÉDURE
1. À l’origine de l’affaire se trouve une requête.
EN FAIT
2. Le requérant possède un moulin.
EN DROIT
3. La Cour rappelle (B. et autres c. Belgique, no 45/01, § 7, 3 mai 2004).
PAR CES MOTIFS, LA COUR, À L’UNANIMITÉ,
1. Dit qu’il y a eu violation de l’article 8 de la Convention ;
2. Dit qu’il n’y a pas eu violation de l’article 6 § 1 de la Convention.
"""
    case = read_judgment(text, ECTHR)
    assert kinds(text) == ["header", "procedure", "facts", "law", "operative"]
    assert (case.title, case.application_numbers, case.date) == ("A. c. AUTRICHE", ("12/03",), "2010-08-01")
    assert [(found.article, found.violation) for found in case.outcome] == [
        ("Article 8", True),
        ("Article 6 § 1", False),
    ]
    assert [(cited.name, cited.date) for cited in case.citations if cited.pinpoint] == [
        ("B. et autres c. Belgique", "2004-05-03")
    ]


def test_a_record_overrides_what_its_text_says() -> None:
    record = {
        "text": WHOLE,
        "title": "B. v. AUSTRIA",
        "date": "5 May 2010",
        "importance": 2,
        "application_numbers": ["14/03"],
    }
    text, case = of_record(record, ECTHR)
    assert text == WHOLE
    assert (case.title, case.parties, case.date) == ("B. v. AUSTRIA", ("B.", "AUSTRIA"), "2010-05-05")
    assert (case.importance, case.application_numbers) == (2, ("14/03",))
    kept = of_record({"text": WHOLE, "date": "unknown", "importance": None}, ECTHR)[1]
    assert (kept.date, kept.importance, kept.title) == ("2010-05-04", None, "A. AND OTHERS v. AUSTRIA")


@pytest.mark.parametrize("record", [{}, {"text": " "}, {"text": 5}, {"text": "x", "application_numbers": "14/03"}])
def test_a_broken_record_is_named(record: dict[str, object]) -> None:
    with pytest.raises(DocumentError, match="001-1"):
        of_record({"itemid": "001-1", **record}, ECTHR)


@pytest.mark.parametrize(
    "piece",
    [
        BODY + OPERATIVE,
        " ",
        "1. ",
        "A. v. Austria, no. 1/01, § 2; A., cited above; ",
        "THE LAW\n",
        "“" * 50 + "\n5. x\n",
        "(Application no. 1/01, ",
        "there has been a violation ",
        "DISSENTING OPINION OF JUDGE X\n",
    ],
)
def test_takes_time_in_proportion(piece: str) -> None:
    count = 20_000 // len(piece)
    assert_linear(lambda raw: read_judgment(raw, ECTHR), HEADER + piece * count, HEADER + piece * count * 8)


def test_four_megabytes_are_read() -> None:
    """Four million characters take seconds, where their square would take hours."""
    facts = "".join(f"{number}. The mill was closed, then opened.{' It burned.' * 40}\n" for number in range(1, 9_000))
    text = HEADER + "THE FACTS\n" + facts + "THE LAW\n9000. So it is.\n" + OPERATIVE
    assert len(text) > 4_000_000
    case = read_judgment(text, ECTHR)
    assert [section.kind for section in case.sections] == ["header", "facts", "law", "operative"]
    assert numbers(case) == list(range(1, 9_001))


# -- laws ------------------------------------------------------------------------------------------------------

LINES = st.sampled_from(
    [line + "\n" for text in (HEADER, BODY, OPERATIVE, OPINIONS) for line in text.split("\n")]
    + [
        "CONTENTS\n",
        "“",
        "7. Seven.\n",
        "999. No.\n",
        "\r\n",
        "A. v. Austria, no. 1/01",
        "\ufeff",
        "EN DROIT\n",
        "0. Nothing\n",
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(LINES, st.text(max_size=8)), max_size=25), st.sampled_from([ECTHR, CJEU]))
def test_laws_of_structure(lines: list[str], court: Court) -> None:
    """Sections cover the text in order; paragraphs lie in sections, apart; their numbers increase and begin them."""
    text = plain("".join(lines))
    case = read_judgment(text, court)
    assert "".join(text[section.start : section.end] for section in case.sections) == text
    assert all(section.start < section.end for section in case.sections)
    assert all(a.end == b.start for a, b in pairwise(case.sections))
    assert all(a.number < b.number and a.end <= b.start for a, b in pairwise(case.paragraphs))
    for paragraph in case.paragraphs:
        section = case.section_at(paragraph.start)
        assert paragraph.end <= section.end
        assert section.kind in ("text", "procedure", "facts", "law")
        assert text[paragraph.start : paragraph.end].startswith(str(paragraph.number)) or text[paragraph.start] == "0"
        assert case.paragraph_at(paragraph.start) == paragraph
    for note in case.notes:
        assert text[note.start : note.end].startswith("[")
    for cited in case.citations:
        assert text[cited.start : cited.end] == cited.words
    for found in case.outcome:
        assert all(case.section_at(start).kind == "operative" and end <= len(text) for start, end in found.spans)


@settings(deadline=None)
@given(st.lists(st.integers(1, 3), max_size=30))
def test_a_series_with_small_gaps_is_found_whole(steps: list[int]) -> None:
    series = [1 + sum(steps[:i]) for i in range(len(steps) + 1)]
    text = "THE LAW\n" + "".join(f"{number}. It is so.\n" for number in series)
    assert numbers(read_judgment(text, ECTHR)) == series


@settings(deadline=None)
@given(st.integers(6, 14), st.integers(1, 5), st.integers(1, 5))
def test_a_list_inside_a_paragraph_is_no_paragraphs(count: int, holder: int, length: int) -> None:
    text, starts = "THE LAW\n", []
    for number in range(1, count + 1):
        starts.append(len(text))
        text += f"{number}. Paragraph:\n"
        if number == holder:
            text += "".join(f"{item}. item\n" for item in range(1, length + 1))
    assert [paragraph.start for paragraph in read_judgment(text, ECTHR).paragraphs] == starts
