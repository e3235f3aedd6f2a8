"""Judgments in the library: what is taken, when it is read again, passages, places; the program."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.core.files import read_records
from eval.legal.judgments import given_of, set_scores
from ingest.chunk import chunk
from ingest.kinds import kind_of
from ingest.legal.case_files import CaseFile, case_of, is_judgment, is_legal
from ingest.legal.subheadings import blocks
from ingest.podcast import chapter_store as chaptering
from ingest.read import content_id, find_files
from ingest.text_passages import count_tokens
from rag.answer import _abstain
from rag.document import Document, Page
from rag.errors import DocumentError, LibraryError
from rag.index.manager import Indexes
from rag.legal.casebook import court_cases, open_precedents, section_problems, update_sections
from rag.library.catalogue import Library
from rag.read.cite import cite
from rag.read.quotes import Quote
from rag.records import Hit
from tests.conftest import DATA, ROOT, Run, needs_data
from tests.pdfs import make_pdf
from tests.test_judgment import BODY, HEADER, OPERATIVE, WHOLE
from tests.test_podcasts_ingest import VTT, NoIndexes, halves, ingested, statuses
from ui.cli import json_layouts as layouts
from ui.cli.text import documents_text, hits_text
from ui.wording import place_text

CASES_A = DATA / "legal" / "ecthr" / "cases-a.jsonl.gz"


def a_judgment(name: str, number: str, day: str, facts: str, law: str) -> str:
    return (
        f"FIRST SECTION\nCASE OF {name}\n(Application no. {number})\nJUDGMENT\nSTRASBOURG\n{day}\n"
        "The European Court of Human Rights (First Section), sitting as a Chamber,\nPROCEDURE\n1. The case originated "
        f"in an application.\nTHE FACTS\nI. THE CIRCUMSTANCES OF THE CASE\n2. {facts}\nTHE LAW\nI. ALLEGED VIOLATION "
        f"OF ARTICLE 8 OF THE CONVENTION\nA. Merits\n3. {law}\n4. The Court finds a breach.\n"
        "FOR THESE REASONS, THE COURT, UNANIMOUSLY,\nHolds that there has been a violation of Article 8.\n"
    )


MILL = a_judgment("A. v. AUSTRIA", "1/01", "4 May 2001", "The applicant's mill was closed for its noise at night.",
                  "Noise at night may disturb a home.")  # fmt: skip
FORGE = a_judgment("B. v. MALTA", "2/05", "4 May 2005", "The forge beside the applicant's home made noise at night.",
                   "The Court recalls that noise may disturb a home (see A. v. Austria, no. 1/01, § 3).")  # fmt: skip
LETTER = a_judgment("C. v. SPAIN", "3/03", "4 May 2003", "The letters of the prisoner were read by the guards.",
                    "Letters are correspondence.")  # fmt: skip


def a_record(itemid: str, text: str, **more: Any) -> dict[str, Any]:
    return {"itemid": itemid, "text": text, **more}


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Indexes:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    return cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with judgments of every form, one of each other kind, and what is none."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "whole.txt").write_text(WHOLE)
    (folder / "mill.html").write_text("".join(f"<p>{line}</p>\n" for line in MILL.split("\n")))
    records = [a_record("001-2", FORGE, importance=1), a_record("001-3", LETTER, title="C. v. Spain")]
    (folder / "two.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "talk.vtt").write_text(VTT)
    (folder / "odd.txt").write_text("Just a line of words on the law.\n")
    (folder / "data.json").write_text(json.dumps([{"text": "Words.", "label": 1}]))
    make_pdf(folder / "ships.pdf", [["The frigate sailed from Lisbon."]], "Ships")
    return folder


def cases_of(indexes: Indexes) -> dict[str, str]:
    """Name of the file -> title, of all judgments."""
    entries = indexes.library.documents()
    return {Path(entry.paths[0]).name: entry.title for entry in entries if entry.kind == "legal"}


# -- which files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("auto", ["mill.html", "odd.txt", "ships.pdf", "talk.vtt", "two.jsonl", "whole.txt"]),
        ("legal", ["mill.html", "ships.pdf", "two.jsonl", "whole.txt"]),
        ("podcast", ["talk.vtt"]),
        ("pdf", ["ships.pdf"]),
    ],
)
def test_a_folder_gives_its_documents_of_a_kind(shelf: Path, kind: str, names: list[str]) -> None:
    assert [cast(Path, file).name for file in find_files(shelf, shelf / "library", kind)] == names


def test_a_judgment_is_known_by_its_court_and_headings(shelf: Path) -> None:
    assert {kind_of(shelf / name) for name in ("whole.txt", "mill.html", "two.jsonl")} == {"legal"}
    assert kind_of(shelf / "odd.txt", "legal") == "legal"
    assert kind_of(shelf / "ships.pdf", "legal") == "pdf"
    assert is_judgment(HEADER + BODY) and not is_judgment(BODY) and not is_judgment(HEADER + "THE LAW\n1. Words.")
    french = "Cour européenne des droits de l'homme\nEN FAIT\n1. A.\nEN DROIT\n2. B."
    assert is_legal(french.encode("utf-16")) and is_legal(gzip.compress((shelf / "two.jsonl").read_bytes()))
    assert not is_legal(b"\0" * 100 + WHOLE.encode()) and not is_legal(b"")
    assert kind_of(shelf / "odd.txt") == "text"
    (shelf / "odd.bin").write_bytes(b"\0 words")
    with pytest.raises(DocumentError, match=r"no kind that is read.*--kind podcast, or legal"):
        kind_of(shelf / "odd.bin")


# -- what is stored, and when it is read again -----------------------------------------------------------------------


def test_judgments_of_every_form_are_stored_with_their_structure(indexes: Indexes, shelf: Path) -> None:
    summary = ingested(indexes, shelf)
    assert {outcome.status for outcome in summary.documents} == {"added"}
    assert cases_of(indexes) == {
        "whole.txt": "A. AND OTHERS v. AUSTRIA", "mill.html": "A. v. AUSTRIA", "two.jsonl#001-2": "B. v. MALTA",
        "two.jsonl#001-3": "C. v. Spain",
    }  # fmt: skip
    library = indexes.library
    whole = library.document(content_id(shelf / "whole.txt"))
    assert whole.case == case_of(WHOLE) and whole.text == WHOLE
    forge = library.case(library.find(f"{shelf}/two.jsonl#001-2"))
    assert forge and (forge.date, forge.importance, forge.outcome[0].article) == ("2005-05-04", 1, "Article 8")
    assert library.citation_graph() == {
        library.find(f"{shelf}/two.jsonl#001-2"): {content_id(shelf / "mill.html"): 1}
    }  # fmt: skip
    assert library.problems() == []


def test_what_changed_in_a_file_of_records_is_read_and_else_nothing(
    indexes: Indexes, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingested(indexes, shelf)
    generation, file = indexes.library.generation, shelf / "two.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr("ingest.legal.case_reading.CaseReading", None)  # whoever opened the file again would fail
        assert {outcome.status for outcome in ingested(indexes, shelf).documents} == {"unchanged"}
    assert indexes.library.generation == generation
    records = [a_record("001-2", FORGE, importance=2), a_record("001-3", LETTER, title="C. v. Spain")]
    file.write_text(json.dumps(records))
    assert statuses(ingested(indexes, file)) == {"two.jsonl#001-2": "updated", "two.jsonl#001-3": "unchanged"}
    case = indexes.library.case(indexes.library.find(f"{file}#001-2"))
    assert case and case.importance == 2
    records[1]["text"] += "More."
    file.write_text(json.dumps(records))
    assert statuses(ingested(indexes, file)) == {"two.jsonl#001-2": "unchanged", "two.jsonl#001-3": "updated"}
    assert len(indexes.library.cases()) == 4  # the text before is gone
    indexes.library.remove(indexes.library.find(f"{file}#001-2"))
    assert statuses(ingested(indexes, file)) == {"two.jsonl#001-2": "added", "two.jsonl#001-3": "unchanged"}


def test_a_bad_record_keeps_no_other_out(indexes: Indexes, tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    lines = [
        *(json.dumps(record) for record in (a_record("1", MILL), a_record("2", " "), a_record("1", LETTER))),
        "{broken", "[]", json.dumps({"text": FORGE + "\ud800", "application_numbers": ["9/09"]}),
        json.dumps(a_record("7", FORGE, application_numbers="9/09")),
    ]  # fmt: skip
    file.write_text("\n".join(lines))
    summary = ingested(indexes, file)
    errors = {Path(outcome.path).name: outcome.error or "" for outcome in summary.documents}
    assert {name for name, error in errors.items() if not error} == {"some.jsonl#1", "some.jsonl#6"}
    said = {"2": "no text", "3": "comes twice", "4": "no JSON", "5": "no object", "7": "not a list"}
    assert all(why in errors[f"some.jsonl#{name}"] for name, why in said.items())
    assert statuses(ingested(indexes, file))["some.jsonl#1"] == "unchanged"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"itemid": "1", "text": ', "no JSON that can be read"),
        (b"\x00\x01\x02 words", "is no text, HTML or JSON"),
        (b" \n ", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"<html><p></p></html>", "holds no text"),
        (b'[{"itemid": ' + b"[" * 100_000, "no JSON that can be read"),
    ],
)
def test_a_file_without_a_judgment_says_so(indexes: Indexes, tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "bad.txt").write_bytes(content)
    (outcome,) = ingested(indexes, tmp_path / "bad.txt", kind="legal").documents
    assert outcome.status == "failed" and outcome.error and why in outcome.error


def test_warnings_are_kept(indexes: Indexes, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("Words without any heading.\n")
    (outcome,) = ingested(indexes, tmp_path / "plain.txt", kind="legal").documents
    assert outcome.status == "added" and [text.split(":")[0] for text in outcome.warnings] == [
        "no court is named in its opening", "no headings were found", "no date was found",
    ]  # fmt: skip


def test_pdfs_are_judgments_if_they_read_as_ones_or_it_is_said(indexes: Indexes, tmp_path: Path) -> None:
    lines = [line for line in MILL.split("\n") if line]
    make_pdf(tmp_path / "mill.pdf", [lines[:9], lines[9:]], "A title")
    make_pdf(tmp_path / "ships.pdf", [["The frigate sailed from Lisbon."]], "Ships")
    steps = [
        ("auto", "added", "legal", "added", "pdf"),
        ("auto", "unchanged", "legal", "unchanged", "pdf"),
        ("pdf", "updated", "pdf", "unchanged", "pdf"),
        ("legal", "updated", "legal", "updated", "legal"),
        ("auto", "unchanged", "legal", "unchanged", "legal"),
    ]
    for kind, mill, kind_of_mill, ships, kind_of_ships in steps:
        outcomes = {Path(o.path).stem: o for o in ingested(indexes, tmp_path, kind=kind).documents}
        assert (outcomes["mill"].status, outcomes["mill"].kind) == (mill, kind_of_mill), kind
        assert (outcomes["ships"].status, outcomes["ships"].kind) == (ships, kind_of_ships), kind
    document = indexes.library.document(content_id(tmp_path / "mill.pdf"))
    assert document.case and len(document.pages) == 2 and document.title == "A. v. AUSTRIA"
    assert [paragraph.number for paragraph in document.case.paragraphs] == [1, 2, 3, 4]
    assert not list((indexes.library.folder / "reading").iterdir())


# -- passages ------------------------------------------------------------------------------------------------------

WORDS = st.lists(st.sampled_from(["noise", "at", "night.", "homes", "extraordinarily"]), min_size=1, max_size=40)


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, st.booleans()), min_size=1, max_size=8), st.integers(12, 60), st.integers(0, 20))
def test_passages_stay_in_a_section_and_begin_with_paragraphs(
    said: list[tuple[list[str], bool]], size: int, overlap: int
) -> None:
    """Also: nothing is left out, none is too long, and each tells the paragraphs that it touches."""
    facts, law = [], []
    for number, (words, is_law) in enumerate(sorted(said, key=lambda one: one[1]), start=1):
        (law if is_law else facts).append(f"{number}. The {' '.join(words)}\n")
    text = f"{HEADER}THE FACTS\nI. THE CIRCUMSTANCES\n{''.join(facts)}THE LAW\nA. Merits\n{''.join(law)}{OPERATIVE}"
    case = case_of(text)
    document = Document("d", "legal", case.title, text, (Page(1, 0, len(text)),), case=case)
    passages = chunk(document, size, overlap)
    covered = {i for p in passages for i in range(p.start, p.end)}
    assert all(i in covered or c.isspace() for i, c in enumerate(text))
    begins = [start for start, _ in blocks(case, text)]
    for number, p in enumerate(passages):
        assert p.passage_id == f"d#{number}" and p.text == text[p.start : p.end] and count_tokens(p.text) <= size
        section = case.section_at(p.start)
        assert p.end <= section.end and p.locator.part == section.kind
        touched = [q.number for q in case.paragraphs if q.start < p.end and p.start < q.end]
        assert (p.locator.first_paragraph, p.locator.last_paragraph) == (
            (touched[0], touched[-1]) if touched else (None, None)
        )
        inside = [start for start in begins if p.start < start < p.end]
        if inside and p.end not in {len(text[:start].rstrip()) for start in [*begins, section.end]}:
            # it ends within a paragraph: to end before it would have made it tiny
            assert count_tokens(text[p.start : max(inside)]) < size // 4


def test_sections_are_told_with_the_headings_above() -> None:
    case = case_of(WHOLE)
    paths = [path for _, path in blocks(case, WHOLE)]
    law = "THE LAW > I. ALLEGED VIOLATION OF ARTICLE 8 OF THE CONVENTION"
    facts = "THE FACTS > I. THE CIRCUMSTANCES OF THE CASE"
    assert paths[:8] == ["Header", "PROCEDURE", "PROCEDURE", facts, facts, law, f"{law} > A. Admissibility",
                         f"{law} > A. Admissibility"]  # fmt: skip
    assert paths[8:10] == ["Operative part", "Separate opinion of X"]


# -- places, answers -----------------------------------------------------------------------------------------------


def test_people_are_told_section_and_paragraph_in_place_of_a_page(indexes: Indexes, shelf: Path) -> None:
    ingested(indexes, shelf / "mill.html")
    library = indexes.library
    passage = next(p for _, p in library.passages_since(0) if p.locator.part == "law")
    assert (passage.locator.first_paragraph, passage.locator.last_paragraph, passage.locator.label()) == (
        3,
        4,
        "THE LAW, §§ 3-4",
    )
    start = passage.text.index("The Court finds")
    quote = Quote(Hit(1, 1.0, passage), start, len(passage.text), True, 2.0)
    _, (citation,) = cite("a breach", [quote], library.locate)
    assert (citation.locator.part, citation.locator.first_paragraph, place_text(citation)) == ("law", 4, "THE LAW, § 4")
    hit = layouts.hit_json(quote.hit)
    assert (hit["part"], hit["paragraph"], hit["section"].split(" > ")[0]) == ("law", 3, "THE LAW")
    assert "A. v. AUSTRIA, THE LAW, §§ 3-4" in hits_text([quote.hit])
    pipeline: Any = type("Pipeline", (), {"searched": "1 document"})
    assert "A. v. AUSTRIA, THE LAW, §§ 3-4" in _abstain(pipeline, "Who?", [quote.hit])
    operative = next(p for _, p in library.passages_since(0) if p.locator.part == "operative")
    assert operative.locator.label() == "Operative part"
    assert "judgment" in documents_text(library.documents())


# -- precedents ----------------------------------------------------------------------------------------------------


def test_precedents_are_earlier_cases_of_the_library_as_it_is_now(indexes: Indexes, shelf: Path) -> None:
    ingested(indexes, shelf / "mill.html", shelf / "two.jsonl")
    library = indexes.library
    forge, mill = library.find(f"{shelf}/two.jsonl#001-2"), content_id(shelf / "mill.html")
    with open_precedents(library) as (searching, cases):
        assert [case.date for case in cases] == ["2001-05-04", "2003-05-04", "2005-05-04"]
        query = next(case for case in cases if case.case_id == forge)
        assert query.cites == (mill,) and set(query.parts) == {"facts", "law"}
        assert [hit.passage.document_id for hit in searching.search(query, 1, scorer="graph")] == [mill]
    assert (library.folder / "precedents").is_dir()
    library.remove(mill)
    assert not (library.folder / "precedents").exists(), "no word of a judgment stays that left"
    assert section_problems(library) != []
    with (
        pytest.raises(LibraryError, match=r"no index of judgments\. Build it: glossator check"),
        open_precedents(library),
    ):
        pass
    with library.writing("a test"):
        update_sections(library)
    assert section_problems(library) == []
    with open_precedents(library) as (searching, cases):
        assert mill not in {hit.passage.document_id for hit in searching.search(query, 5, scorer="graph")}
    assert len(court_cases(library)) == 2


# -- the program ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_program_takes_searches_and_compares_judgments(shelf: Path, tmp_path: Path, glossator: Run) -> None:
    def run(*arguments: str) -> Any:
        done = glossator(*arguments, "--library", "L", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    taken = run("ingest", "shelf/mill.html", "shelf/two.jsonl")
    assert {document["kind"] for document in taken["documents"]} == {"legal"} and taken["added"] == 3
    assert {"shelf/two.jsonl#001-2"} in [set(d["paths"]) for d in run("documents")["documents"]]
    asked = ("search", "noise at night", "--retriever", "bm25", "--filter", "part=law", "--filter", "country=Austria")
    (hit, *_) = run(*asked)["hits"]
    assert (hit["title"], hit["part"], hit["paragraph"]) == ("A. v. AUSTRIA", "law", 3)
    found = run("precedents", "shelf/two.jsonl#001-2", "-k", "2")
    assert set(found) == {"document_id", "section", "hits"} and found["section"] == "facts"
    assert [hit["title"] for hit in found["hits"]] == ["A. v. AUSTRIA", "C. v. Spain"]
    (tmp_path / "new.txt").write_text("Noise at night disturbs the home of the applicant.")
    new = run("precedents", "new.txt", "--section", "both", "-k", "3")
    assert new["document_id"] == "new.txt" and new["hits"][0]["title"] in ("A. v. AUSTRIA", "B. v. MALTA")
    bad = glossator("precedents", "shelf/two.jsonl", "--library", "L", cwd=tmp_path)
    assert bad.returncode == 1 and "two.jsonl: is no text of one judgment" in bad.stderr


# -- the examples ------------------------------------------------------------------------------------------------


CITED = {
    "DAKUS": ["VINNIYCHUK"], "DEÉS": ["MORENO GÓMEZ"], "NOVOSELETSKIY": ["MORENO GÓMEZ"], "ORLIĆ": ["ĆOSIĆ"],
    "SADOVYAK": ["VINNIYCHUK", "ĆOSIĆ"], "VINNIYCHUK": ["NOVOSELETSKIY", "PIBERNIK"], "ZAYKINA": ["ĆOSIĆ"],
    "ŠKRTIĆ": ["ORLIĆ", "ĆOSIĆ"],
}  # fmt: skip
FOUND_TOO = {"DEÉS": "Article 6 § 1", "PIBERNIK": "Article 6 § 1", "VINNIYCHUK": "Article 13"}  # beside Article 8


def test_the_examples_are_eleven_judgments_that_cite_each_other(indexes: Indexes) -> None:
    """Dates, findings and citations as they were read by eye."""
    assert ingested(indexes, ROOT / "examples" / "judgments").count("added") == 11
    library, graph = indexes.library, indexes.library.citation_graph()
    entries = library.documents()
    name = {entry.document_id: entry.title.partition(" v. ")[0] for entry in entries}
    cases = {name[entry.document_id]: library.case(entry.document_id) for entry in entries}
    for applicant, case in cases.items():
        assert case is not None and {part.kind for part in case.sections} >= {"facts", "law", "operative"}
        found = {finding.article for finding in case.outcome if finding.violation}
        assert found == {"Article 8", *filter(None, [FOUND_TOO.get(applicant)])}
    dates = {applicant: case.date for applicant, case in cases.items() if case}
    assert (min(dates.values()), dates["ĆOSIĆ"], max(dates.values())) == ("2004-03-04", "2009-01-15", "2019-05-21")
    assert {name[one]: sorted(name[other] for other in cited) for one, cited in graph.items()} == CITED
    assert library.problems() == []


# -- the shared data -----------------------------------------------------------------------------------------------


@needs_data
@pytest.mark.slow
def test_all_cases_of_the_data_are_taken_with_their_edges(indexes: Indexes) -> None:
    """Edges against those given, which rest on numbers and unique names alone: ours has more, by names."""
    summary = ingested(indexes, CASES_A)
    assert summary.count("added") == len(summary.documents) == 221
    library, graph = indexes.library, indexes.library.citation_graph()
    ids = {entry.paths[0].partition("#")[2]: entry.document_id for entry in library.documents()}
    found, expected = set(), set()
    for record in read_records(CASES_A):
        source = record.text("itemid")
        found |= {(ids[source], target) for target in graph.get(ids[source], {})}
        expected |= {(ids[source], ids[target]) for target in given_of(record).cases if target in ids}
    scores = set_scores("edges", found, expected)
    assert len(expected) == 346 and len(found) > 330
    assert scores["edges_precision"] and scores["edges_precision"] > 0.95
    assert scores["edges_recall"] and scores["edges_recall"] > 0.95
    passages = [passage for _, passage in library.passages_since(0)]
    assert all(p.locator.part and p.section for p in passages)
    assert library.problems() == []
    assert ingested(indexes, CASES_A).count("unchanged") == 221


@needs_data
def test_a_record_of_the_data_is_read_as_it_is_given() -> None:
    file = CaseFile(CASES_A)
    assert len(file.members) == len({member.document_id for member in file.members}) == 221
    text, case = file.read(0)
    assert (case.application_numbers, case.date, case.importance) == (("1620/03",), "2010-09-23", 1)
    assert [section.start for section in case.sections[:2]] == [0, text.index("PROCEDURE")]
