"""judgment_panel.py and case_list.py: the panel of a judgment, the cases around it; uploads of files with many."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.legal.case_files import case_of
from ingest.podcast import chapter_store as chaptering
from rag.document import Case, Document, Finding, Page, Paragraph, Section
from rag.errors import LibraryError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from tests.pdfs import make_pdf
from tests.test_judgment import WHOLE
from tests.test_legal_ingest import FORGE, LETTER, MILL, a_judgment, a_record
from tests.test_player import HOSTILE, Parsed
from tests.test_podcasts_ingest import NoIndexes, halves, ingested
from ui.web.api.reading_routes import view_of
from ui.web.panels import judgment_panel as judgment
from ui.web.panels.case_list import JudgmentPanels
from ui.web.panels.judgment_panel import CaseMention, Neighbour, timeline
from ui.web.workers.upload_worker import UploadWorker


class Panel(Parsed):
    """Also the marked words, and for each element with an id the id of the tab panel that it is in."""

    def __init__(self, text: str):
        self.marked, self.within, self._panel = "", dict[str, str](), ""
        super().__init__(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attributes)
        said = dict(attributes)
        name = said.get("id") or ""
        self._panel = name if said.get("role") == "tabpanel" else self._panel
        assert name not in self.within, f"two elements are called {name}"
        self.within[name or f"#{len(self.elements)}"] = self._panel

    def handle_data(self, data: str) -> None:
        super().handle_data(data)
        self.marked += data if "mark" in self.open else ""

    def of_role(self, role: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.elements if attributes.get("role") == role]

    def chosen(self) -> str:
        """The id of the panel that is shown: the law of tabs (WAI-ARIA, the tabs pattern)."""
        tabs, panels = self.of_role("tab"), self.of_role("tabpanel")
        assert [tab["aria-controls"] for tab in tabs] == [panel["id"] for panel in panels]
        assert [tab["id"] for tab in tabs] == [panel["aria-labelledby"] for panel in panels]
        assert {tab["aria-selected"] for tab in tabs} <= {"true", "false"}
        (shown,) = (tab["aria-controls"] for tab in tabs if tab["aria-selected"] == "true")
        assert [tab["aria-controls"] for tab in tabs if tab["tabindex"] == "0"] == [shown]
        assert [panel["id"] for panel in panels if "hidden" not in panel] == [shown]
        return str(shown)


def a_document(text: str, case: Case | None = None) -> Document:
    case = case or case_of(text)
    return Document("0123456789abcdef", "legal", case.title, text, (Page(1, 0, len(text)),), case=case)


def shown(document: Document, span: tuple[int, int] = (0, 0), **around: list[Neighbour]) -> Panel:
    cited, citing = around.get("cited", []), around.get("citing", [])
    return Panel(judgment.panel(document, "A Court", span, cited, citing, timeline(document, cited, citing), 1))


@st.composite
def divided(draw: st.DrawFn) -> Document:
    """A text with sections that cover it and numbered paragraphs inside them, some of which are cut by their end."""
    text = draw(st.text(st.sampled_from("ab. <&>'\n\t\0\u2028é1"), min_size=1, max_size=120))
    at = st.integers(0, len(text))
    cuts = sorted({0, len(text), *draw(st.lists(at, max_size=4))})
    kinds = draw(st.lists(st.sampled_from([*judgment.NAMES]), min_size=len(cuts), max_size=len(cuts)))
    sections = tuple(Section(kind, *pair) for kind, *pair in zip(kinds, cuts, cuts[1:], strict=False))
    places = sorted(draw(st.lists(at, max_size=12, unique=True)))
    spans = [pair for pair in zip(places[::2], places[1::2], strict=False) if not text[pair[0]].isspace()]
    paragraphs = tuple(Paragraph(2 * i + 1, *pair) for i, pair in enumerate(spans))
    case = replace(case_of(WHOLE), sections=sections, paragraphs=paragraphs)
    return a_document(text, case)


def squeezed(text: str) -> str:
    return "".join(text.replace("\0", "").split())


@given(divided(), st.integers(0, 120), st.integers(0, 120))
def test_every_paragraph_has_its_anchor_and_the_marks_are_the_cited_words(document: Document, a: int, b: int) -> None:
    case, length = cast(Case, document.case), len(document.text)
    span = (min(a, b, length), min(max(a, b), length))
    found = shown(document, span)
    tabs = [s for s in case.sections if document.text[s.start : s.end].strip()]
    for paragraph in case.paragraphs:
        first = next(s for s in case.sections if s.end > paragraph.start)
        assert found.within[f"case-paragraph-{paragraph.number}"] == f"case-part-{tabs.index(first)}"
    assert squeezed(found.marked) == squeezed(document.text[slice(*span)])
    chosen = int(found.chosen().removeprefix("case-part-"))
    assert chosen == max([i for i, s in enumerate(tabs) if s.start <= span[0]], default=0)
    assert squeezed(document.text) in squeezed(found.shown), "all of the text, in its order"


def test_what_a_judgment_says_is_text_and_nothing_else() -> None:
    text = f"{HOSTILE}\n1. {HOSTILE}\nEnd."
    end = text.index("\nEnd.")
    case = Case(
        HOSTILE, HOSTILE, ("", ""), (HOSTILE,), HOSTILE, 1, (HOSTILE,),
        (Section("law", 0, len(text) - 4), Section("opinion", len(text) - 4, len(text), HOSTILE)),
        (Paragraph(1, len(HOSTILE) + 1, end),), (), (), (Finding(HOSTILE, None, ()),),
    )  # fmt: skip
    around = [Neighbour(HOSTILE, HOSTILE, HOSTILE, (CaseMention(HOSTILE, 3, HOSTILE, HOSTILE, (HOSTILE,)),))]
    document = a_document(text, case)
    line = timeline(document, around, around, HOSTILE)
    page = judgment.panel(replace(document, document_id=HOSTILE), HOSTILE, (0, end), around, around, line, 1)
    found = Panel(page)
    known = {"section", "h2", "h3", "p", "dl", "dt", "dd", "div", "label", "input", "button", "mark", "a", "ul", "ol"}
    assert {tag for tag, _ in found.elements} <= known | {"li", "span", "small"}
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert not any(tag == "a" and not (a["href"] or "").startswith("#case-") for tag, a in found.elements)
    assert found.shown.count(HOSTILE) >= 20 and found.marked.count(HOSTILE) == 2


def test_the_panel_says_what_the_case_is_and_how_it_ended() -> None:
    document = a_document(FORGE)
    start = FORGE.index("noise may disturb")
    found = shown(document, (start, start + 17))
    for told in (
        "B. v. MALTAA Court, 2005-05-04", "Application2/05", "ArticlesArticle 8", "OutcomeArticle 8: violation",
        "§ 3Go to § ",
    ):  # fmt: skip
        assert told in found.shown, told
    assert "Importance" not in found.shown, "none is known"
    tabs = [e for tag, e in found.elements if tag == "button" and e.get("role") == "tab"]
    assert len(tabs) == 8 and found.chosen() == found.within["case-paragraph-3"]
    links = [a["aria-label"] for tag, a in found.elements if tag == "a"]
    assert links == [f"Paragraph {number}." for number in (1, 2, 3, 4)]
    (box,) = (a for tag, a in found.elements if tag == "input")
    assert (box["min"], box["max"]) == ("1", "4")
    unknown = replace(
        cast(Case, document.case), date="", outcome=(), importance=1, application_numbers=("1/01", "2/02")
    )
    told = shown(a_document(FORGE, unknown)).shown
    assert "no date is known" in told and "no finding could be read" in told
    assert "Importancekey case (1 of 4)" in told and "Applications1/01, 2/02" in told


def test_the_cases_around_it_are_listed_and_stand_on_a_line_of_years() -> None:
    cited = [Neighbour("c1", "A. v. Austria", "2001-05-04", (
        CaseMention("A. v. Austria, no. 1/01", 3, "§ 7", "7"),
        CaseMention("the A. case", None, "", "-", ("A. v. Spain, 2000",)),
    ))]  # fmt: skip
    citing = [Neighbour("c3", "D. v. Spain", "2009-01-02", (CaseMention("see B.", 12, "", "4:9"),))]
    found = shown(a_document(FORGE), cited=cited, citing=citing)
    for told in (
        "Cites (1)", "Cited by (1)", "§ 3: “A. v. Austria, no. 1/01”, on § 7",
        "“the A. case” (ambiguous: may also mean A. v. Spain, 2000)", "its § 12: “see B.”",
        "20012001-05-04 A. v. Austria cited here, 2 times20052005-05-04 B. v. MALTA (this case)"
        "20092009-01-02 D. v. Spain cites this case",
    ):  # fmt: skip
        assert told in found.shown, told
    opened = [(e["data-case"], e["data-place"]) for tag, e in found.elements if "data-case" in e]
    assert opened == [("c1", "7"), ("c3", "4:9"), ("c1", "7"), ("c3", "4:9")]
    alone = shown(a_document(FORGE)).shown
    assert "In this library it cites no case." in alone and "is cited by none" in alone


# ---- from the library


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Indexes:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    monkeypatch.setattr(NoIndexes, "updating", lambda *_: nullcontext(lambda: None))
    return cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))


def test_a_casebook_knows_which_cases_a_case_means_and_which_mean_it(indexes: Indexes, tmp_path: Path) -> None:
    again = MILL.replace("4 May 2001", "5 June 2002")  # another version with the number of the first
    named = a_judgment("D. v. SPAIN", "4/07", "4 May 2007", "A saw.", "See B. v. Malta, no. 2/05, § 4, on noise.")
    records = [a_record(name, text) for name, text in (("a", MILL), ("b", FORGE), ("c", again), ("d", named))]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    pages = [line for line in LETTER.split("\n") if line]
    pdf = make_pdf(tmp_path / "letter.pdf", [pages], "Letter")
    ingested(indexes, tmp_path / "some.jsonl")
    ingested(indexes, pdf)
    library, casebook = indexes.library, JudgmentPanels(indexes.library)
    mill, forge, second, saw = (library.find(f"{tmp_path}/some.jsonl#{key}") for key in "abcd")
    document = library.document(forge)
    letter = next(entry for entry in library.documents() if entry.title == "C. v. SPAIN")
    assert letter.kind == "legal" and view_of(letter) == "pages", "a PDF shows its page"
    assert view_of(library.documents([forge])[0]) == "judgment"

    start = document.text.index("noise may disturb a home")
    found = Panel(casebook.open(forge, f"{start}:{start + 24}"))
    assert found.marked == "noise may disturb a home"
    opened = [(e["data-case"], e["data-place"]) for _, e in found.elements if "data-case" in e]
    at = library.document(saw).text.index("B. v. Malta, no. 2/05")
    assert opened[:2] == [(mill, "3"), (second, "3")] and opened[2][0] == saw
    assert int(str(opened[2][1]).split(":")[0]) == at
    assert "(ambiguous: may also mean A. v. AUSTRIA, 2002-06-05)" in found.shown
    assert "B. v. Malta, no. 2/05" in Panel(casebook.open(saw, str(opened[2][1]))).marked
    assert Panel(casebook.open(mill, "3")).marked == "3. Noise at night may disturb a home."
    for place in ("-", "99", "7:3", "999999999:1", "9" * 30, "x"):
        assert Panel(casebook.open(mill, place)).marked == ""
    for nothing in ("0123456789abcdef", "../x"):
        with pytest.raises(LibraryError):
            casebook.open(nothing, "-")

    def around(*chosen: str) -> tuple[set[str], str]:
        """The cases on the timeline of the second, and what stands above it."""
        panel = Panel(casebook.open(forge, "-", chosen))
        assert "Cites (2)" in panel.shown and "Cited by (1)" in panel.shown
        whole = str(casebook.open(forge, "-", chosen))
        (line,) = re.findall(r'<div class="line">.*?</div>', whole, re.DOTALL)
        drawn = Panel(line)
        titles = {str(e["data-case"]) for _, e in drawn.elements if "data-case" in e}
        return titles, drawn.shown.partition("20")[0] if "applied" not in drawn.shown else drawn.shown

    assert around() == around("law", "", "", "", "", "", "a show") == ({mill, second, saw}, "")
    assert around("", "", "", "", "austria") == (
        {mill, second}, "Left out by the filters (Austria): 1 judgment.",
    )  # fmt: skip
    assert around("", "Article 6")[0] == set() and "Article 6): 3 judgments." in around("", "Article 6")[1]
    assert around("", "", "2002", "2006")[0] == {second}
    kept, told = around("", "", "last year")
    assert kept == {mill, second, saw} and "The filters are not applied: date: 'last year' is no date" in told


# ---- uploads


@pytest.fixture
def intake(indexes: Indexes) -> Iterator[UploadWorker]:
    found = UploadWorker(indexes)
    yield found
    found.close(5)


def added(intake: UploadWorker, folder: Path, **files: str) -> list[tuple[str, Any]]:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    batch = intake.start([str(folder / name.replace("_", ".")) for name in files], [])
    return [(name, outcome.error or outcome.status) for name, outcome in batch.result.result(60)]


def test_a_file_of_judgments_is_uploaded_and_goes_with_the_last_of_them(intake: UploadWorker, tmp_path: Path) -> None:
    library, uploads = intake._indexes.library, tmp_path / "library" / "uploads"
    two = "".join(json.dumps(a_record(key, text)) + "\n" for key, text in (("a", MILL), ("b", FORGE)))
    found = added(intake, tmp_path / "1", two_jsonl=two, one_txt=LETTER, none_json=json.dumps([{"text": "Words."}]))
    assert found[:3] == [("two.jsonl#a", "added"), ("two.jsonl#b", "added"), ("one.txt", "added")]
    assert found[3][0] == "none.json" and "no kind that is read" in found[3][1] and len(found) == 4
    assert sorted(file.name for file in uploads.iterdir()) == ["one.txt", "two.jsonl"]
    again = added(intake, tmp_path / "2", two_jsonl=two)
    assert again == [("two.jsonl#a", "unchanged"), ("two.jsonl#b", "unchanged")]
    for key in "ab":
        assert (uploads / "two.jsonl").exists()
        intake.remove(library.find(f"{uploads.resolve()}/two.jsonl#{key}"))
    assert [file.name for file in uploads.iterdir()] == ["one.txt"]
