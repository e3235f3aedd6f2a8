"""Judgments in the catalogue: what comes back, edges in any order of arrival, links, filters, older layouts."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.document import Case, CaseCitation, Document, Finding, Footnote, Page, Paragraph, Section
from rag.errors import UsageError
from rag.library import cases, schema
from rag.library.catalogue import Library
from rag.library.mentions import cited
from rag.library.mentions.cited import KnownCase, KnownCases
from rag.library.mentions.cited import edges as edges_among
from rag.locator import PageSpan, ParagraphSpan
from rag.records import Passage
from tests.test_links_catalogue import held_by_another, to_layout_1, to_layout_3


def a_case(title: str, numbers: Iterable[str], date: str, cited: Iterable[CaseCitation] = ()) -> Case:
    parties = tuple(title.split(" v. ")) if " v. " in title else ("", "")
    return Case("ecthr", title, (parties[0], parties[1]), tuple(numbers), date, 2, (), (), (), (), tuple(cited), ())


def a_document(document_id: str, case: Case) -> Document:
    """Its text is its citations, each in a line."""
    text, cited = "", []
    for citation in case.citations:
        cited.append(replace(citation, start=len(text), end=len(text) + len(citation.words)))
        text += citation.words + "\n"
    text = text or "-\n"
    case = replace(case, citations=tuple(cited), sections=(Section("law", 0, len(text)),))
    return Document(document_id, "legal", case.title, text, (Page(1, 0, len(text)),), case=case)


def put(library: Library, document: Document) -> None:
    place = ParagraphSpan("law", "THE LAW") if document.case else PageSpan()
    passage = Passage(f"{document.document_id}#0", document.document_id, document.title, "", document.text, 0,
                      len(document.text), place, section="THE LAW" if document.case else "")  # fmt: skip
    library.put(document, [passage], f"/{document.document_id}", document.document_id, "recipe")


def by_number(*numbers: str, date: str = "") -> CaseCitation:
    return CaseCitation(f"no. {', '.join(numbers)}", 0, 0, numbers, date=date)


def by_name(name: str, date: str = "") -> CaseCitation:
    return CaseCitation(name, 0, 0, (), name, date=date)


def targets(library: Library, document_id: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(edge.citation.words, edge.targets) for edge in library.citations_of(document_id)]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open(tmp_path / "library", create=True)


OLD = a_document("old", a_case("A. v. Austria", ["1/01"], "2001-05-04"))
NEW = a_document("new", a_case("B. v. Malta", ["2/09"], "2009-05-04", [by_number("1/01"), by_name("C. v. Spain")]))


def test_a_case_comes_back_as_it_was(library: Library) -> None:
    text = "Header\nTHE LAW\n1. See A. v. Austria, no. 1/01, § 4.\nFOR THESE REASONS\nviolation\n[1] Note"
    start = text.index("A. v.")
    case = Case(
        *("cjeu", "B. v. the Netherlands (No. 2)", ("B.", "the Netherlands (No. 2)"), ("9/02", "3/01"), "", None),
        ("Article 8", "Article 6 § 1"),
        (Section("header", 0, 7), Section("law", 7, 50), Section("opinion", 50, len(text), "X")),
        (Paragraph(1, 15, 49),),
        (Footnote(1, text.index("[1]"), len(text)),),
        (CaseCitation("A. v. Austria", start, start + 13, ("1/01", "0/99"), "A. v. Austria", "§ 4", "2001-05-04"),),
        (Finding("Article 8", None, ((50, 60), (61, 70))), Finding("Article 6 § 1", False, ())),
    )
    put(library, Document("d", "legal", "B.", text, (Page(1, 0, len(text)),), case=case))
    assert library.case("d") == case == library.document("d").case
    assert cases.from_json(json.loads(json.dumps(cases.to_json(case)))) == case
    assert (library.paragraphs_of("d", 20, 60), library.paragraphs_of("d", 49, 60)) == ((1, 1), None)
    assert library.case("x") is None and library.problems() == []
    put(library, Document("d", "pdf", "B.", text, (Page(1, 0, len(text)),)))
    assert library.case("d") is None


@pytest.mark.parametrize("order", [(OLD, NEW), (NEW, OLD), (NEW, OLD, NEW), (OLD, NEW, OLD)])
def test_edges_do_not_depend_on_the_order_of_arrival(library: Library, order: tuple[Document, ...]) -> None:
    for document in order:
        put(library, document)
    assert targets(library, "new") == [("no. 1/01", ("old",))]
    assert library.citation_graph() == {"new": {"old": 1}}
    (link,) = library.links_from(["new#0"])["new#0"]
    assert (link.kind, link.document_id, link.words, link.start) == ("citation", "old", "no. 1/01", 0)
    assert library.links_to(["old"])["old"] == [link] and library.mention_counts(["old", "new"]) == {"old": 1, "new": 0}
    assert library.problems() == []


def test_a_removed_case_takes_its_edges_and_leaves_citations_to_be_resolved_again(library: Library) -> None:
    put(library, OLD)
    put(library, NEW)
    library.remove("old")
    assert targets(library, "new") == [] and library.links_from(["new#0"]) == {}
    case = library.case("new")
    assert case is not None and len(case.citations) == 2
    put(library, replace(OLD, document_id="again"))
    assert targets(library, "new") == [("no. 1/01", ("again",))]
    library.remove("new")
    library.remove("again")
    with closing(sqlite3.connect(library.folder / "catalogue.sqlite")) as connection:
        for table in cases.TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table


def test_versions_of_a_case_are_both_meant_until_a_date_tells(library: Library) -> None:
    put(library, OLD)
    put(library, a_document("grand", a_case("A. v. Austria", ["1/01"], "2003-01-01", [by_number("1/01")])))
    cited = [by_number("1/01"), by_number("1/01", date="2003-01-01"), by_name("A. v. Austria")]
    put(library, a_document("new", a_case("B. v. Malta", ["2/09"], "2009-05-04", cited)))
    both = ("grand", "old")
    assert [found for _, found in targets(library, "new")] == [both, ("grand",), both]
    assert targets(library, "grand") == []  # of its own case
    library.remove("grand")
    assert [found for _, found in targets(library, "new")] == [("old",)] * 3


def test_later_cases_and_cases_without_a_date_are_not_meant(library: Library) -> None:
    put(library, a_document("later", a_case("L. v. Italy", ["3/10"], "2010-01-01")))
    put(library, a_document("same", a_case("S. v. Italy", ["4/08"], "2009-05-04")))
    put(library, a_document("dateless", a_case("D. v. Italy", ["5/01"], "", [by_number("1/01")])))
    put(library, OLD)
    cited = [by_number("3/10"), by_number("4/08"), by_number("5/01"), by_name("L. v. Italy"), by_number("2/09")]
    put(library, a_document("new", a_case("B. v. Malta", ["2/09"], "2009-05-04", cited)))
    assert library.citation_graph() == {}
    assert [case.key for case in library.cases()] == ["dateless", "old", "new", "same", "later"]


NUMBERS = st.lists(st.sampled_from(["1/01", "2/02", "3/03"]), max_size=2, unique=True)
DATES = st.sampled_from(["", "2001-01-01", "2002-02-02", "2003-03-03"])
NAMES = st.sampled_from(["A. v. Italy", "A. v. Spain", "B. v. the Italy", "A.", "B."])
CITED = st.lists(
    st.one_of(st.builds(lambda n, d: by_number(*n, date=d), NUMBERS, DATES), st.builds(by_name, NAMES, DATES)),
    max_size=3,
)
CASES = st.builds(a_case, NAMES, NUMBERS, DATES, CITED)
STEPS = st.lists(st.tuples(st.sampled_from("abcd"), st.none() | CASES), min_size=1, max_size=8)


@settings(deadline=None)
@given(STEPS, st.sampled_from([1, 2, cited.MOST_BEARERS]))
def test_edges_are_those_of_the_cases_that_are_here_and_lead_back_in_time(
    steps: list[tuple[str, Case | None]], most: int
) -> None:
    """After any arrivals, replacements and removals the stored edges are what all the cases together would give."""
    held: dict[str, Case] = {}
    with closing(sqlite3.connect(":memory:")) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cited, "MOST_BEARERS", most)
        patch.setattr(cases, "MOST_BEARERS", most)
        connection.row_factory = sqlite3.Row
        schema.create(connection)
        connection.execute("PRAGMA foreign_keys=ON")
        for key in "abcd":
            values = (key, "legal", "", "ready", None, "[]", "", 1, "", "[]", "[]")
            connection.execute(f"INSERT INTO documents VALUES ({','.join('?' * len(values))})", values)
        for key, case in steps:
            cases.forget(connection, key)
            held.pop(key, None)
            if case is not None:
                document = a_document(key, case)
                cases.enter(connection, key, document.case)
                held[key] = case
        known = KnownCases(KnownCase(k, case.title, case.application_numbers, case.date) for k, case in held.items())
        for key, case in held.items():
            stored = [(edge.citation.words, set(edge.targets)) for edge in cases.edges(connection, key)]
            expected = edges_among(case.citations, known.cases[key], known)
            assert stored == [(edge.citation.words, set(edge.targets)) for edge in expected]
        for source, found in cases.graph(connection).items():
            assert all("" < held[target].date < held[source].date for target in found)


def test_a_case_is_linked_by_its_citations_and_other_documents_by_names_too(library: Library) -> None:
    put(library, OLD)
    head = Document("head", "legal", "A. v. Austria", "(Application no. 1/01)\n", (Page(1, 0, 23),))
    put(library, replace(head, case=a_case("A. v. Austria", ["1/01"], "2001-05-04")))
    text = "As was said in no. 1/01.\n"
    put(library, Document("paper", "pdf", "A paper", text, (Page(1, 0, len(text)),)))
    later = a_document("later", a_case("L. v. Italy", ["3/99"], "1999-01-01", [by_number("1/01")]))
    put(library, later)  # an earlier judgment that names a later one's number cites nothing
    assert {link.document_id for link in library.links_from(["paper#0"])["paper#0"]} == {"head"}
    assert library.links_from(["later#0"]) == {}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Two judgments with articles, and a document that is none."""
    library = Library.open(tmp_path_factory.mktemp("cases") / "library", create=True)
    articles = {"old": ("Article 1 of Protocol No. 1",), "new": ("Article 8", "Article 6 § 1")}
    cited = [by_number("1/01"), by_number("7/77")]
    new = a_document("new", a_case("B. v. THE NETHERLANDS (No. 2)", ["2/09"], "2009-05-04", cited))
    for document in (OLD, new):
        assert document.case
        put(library, replace(document, case=replace(document.case, articles=articles[document.document_id])))
    put(library, Document("paper", "pdf", "A paper", "Words.", (Page(1, 0, 6),)))
    return library


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("part=law", ["new", "old"]),
        ("part=facts", []),
        ("article=8", ["new"]),
        ("article=Article 6", ["new"]),
        ("article=6 § 1", ["new"]),
        ("article=6 § 3", []),
        ("article=P1-1", ["old"]),
        ("article=1", []),
        ("country=austria", ["old"]),
        ("country=the Netherlands", ["new"]),
        ("country=Nether", []),
        ("importance=2", ["new", "old"]),
        ("importance=1", []),
        ("court=ECtHR", ["new", "old"]),
        ("application_number=2/09", ["new"]),
        ("cites=1/01", ["new"]),
        ("cites=old", ["new"]),
        ("cites=7/77", ["new"]),
        ("cites=2/09", []),
        ("date>=2005", ["new"]),
        ("date=2001-05", ["old"]),
        ("date<=2001", ["old"]),
    ],
)
def test_filters_by_hand(shelf: Library, text: str, found: list[str]) -> None:
    numbers = shelf.select([text])
    assert numbers is not None
    documents = {passage.document_id for passage in shelf.passages_numbered(numbers).values()}
    assert documents == set(found)


@pytest.mark.parametrize("text", ["importance=high", "part=middle", "country", "cited=1/01"])
def test_a_filter_that_is_none_is_named(shelf: Library, text: str) -> None:
    with pytest.raises(UsageError, match="--filter"):
        shelf.select([text])


def test_layouts_1_and_3_get_their_cases_from_the_next_writer(library: Library) -> None:
    text = "Words of a paper."
    put(library, Document("paper", "pdf", "A paper", text, (Page(1, 0, len(text)),)))
    for age in (to_layout_3, to_layout_1):
        age(library.folder)
        with held_by_another(library.folder):
            opened = Library.open(library.folder)
            assert opened.cases() == opened.citations_of("paper") == opened.select(["court=ecthr"]) == []
            assert opened.case("paper") is None and opened.citation_graph() == {} and opened.problems() == []
            assert opened.links_to(["paper"]) == {} and opened.mention_counts(["paper"]) == {"paper": 0}
        put(Library.open(library.folder), OLD)
        assert [case.key for case in library.cases()] == ["old"] and library.problems() == []
        library.remove("old")


# -- many cases of one number or name ----------------------------------------------------------------------------------


def alike(number: int, same: str) -> Document:
    """The judgment of a day, which cites all before it by what they share: their number, or their name."""
    date = f"{1900 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}"
    if same == "number":
        return a_document(
            f"d{number}", a_case(f"A{number} v. Austria", [f"{number}/99", "1/01"], date, [by_number("1/01")])
        )
    if same == "name":
        return a_document(f"d{number}", a_case("A. v. Austria", [f"{number}/99"], date, [by_name("A. v. Austria")]))
    return a_document(
        f"d{number}", a_case("A. v. Austria", [f"{number}/99"], "2001-01-01", [by_name("A.", "2001-01-01")])
    )


def test_a_number_of_too_many_cases_means_none_until_some_leave(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "MOST_BEARERS", 2)
    for number in (1, 2, 3):
        put(library, a_document(f"d{number}", a_case(f"{number} v. Austria", ["1/01"], f"200{number}-01-01")))
    cited_by = [by_number("1/01"), by_name("2 v. Austria")]
    put(library, a_document("new", a_case("B. v. Malta", ["2/09"], "2009-05-04", cited_by)))
    assert targets(library, "new") == [("2 v. Austria", ("d2",))]
    library.remove("d1")
    assert targets(library, "new") == [("no. 1/01", ("d2", "d3")), ("2 v. Austria", ("d2",))]
    put(library, a_document("d4", a_case("4 v. Austria", ["1/01"], "2004-01-01")))
    assert targets(library, "new") == [("2 v. Austria", ("d2",))]


def test_the_date_of_a_citation_chooses_among_too_many_of_one_name(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "MOST_BEARERS", 1)
    cited_by = [by_name("A. v. Austria", "2001-01-01"), by_name("A. v. Austria"), by_name("A", "2002-01-01")]
    put(library, a_document("new", a_case("B. v. Malta", ["2/09"], "2009-05-04", cited_by)))
    for number in (1, 2, 3):
        put(library, a_document(f"d{number}", a_case("A. v. Austria", [f"{number}/01"], f"200{number}-01-01")))
    assert targets(library, "new") == [("A. v. Austria", ("d1",)), ("A", ("d2",))]


@pytest.mark.attack
@pytest.mark.parametrize("same", ["number", "name", "applicant and date"])
def test_many_judgments_of_one_number_or_name_take_time_in_proportion(tmp_path: Path, same: str) -> None:
    def seconds(count: int) -> float:
        library = Library.open(tmp_path / str(count), create=True)
        for number in range(200):  # until no more may be meant each case is compared with all others
            put(library, alike(number, same))
        started = time.thread_time()
        for number in range(200, 200 + count):
            put(library, alike(number, same))
        took = time.thread_time() - started
        with closing(sqlite3.connect(library.folder / "catalogue.sqlite")) as connection:
            assert connection.execute("SELECT count(*) FROM citation_targets").fetchone()[0] == 0
        return took

    assert seconds(800) < 16 * seconds(100) + 0.1  # a quadratic way takes 64 times
