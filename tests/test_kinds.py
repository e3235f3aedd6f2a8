"""A new kind of document is functions and an entry in KINDS: its files are recognised, read, cut, stored and found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from ingest import child_process
from ingest.build import Outcome, build
from ingest.child_process import first_reply
from ingest.child_replies import checked_text_reply, checking
from ingest.kinds import AUTO, KINDS, DocumentKind, kind_of
from ingest.read import content_id, find_files
from ingest.read_context import ReadContext, ReadDocument
from ingest.text_passages import packed, passage_of, table_rows
from rag.document import Document, Page
from rag.errors import DocumentError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.locator import PageSpan
from rag.records import Citation, Passage
from rag.settings import load_settings
from tests.parts import encoder
from tests.pdfs import make_pdf
from ui.cli.commands.document_commands import Kind
from ui.web.panels.page_view import PageViews

HEATH = "NOTE Walk on the heath\n* The curlew nests in the wet heather.\n* Sundew grows beside the black pool.\n"
HARBOUR = "NOTE Harbour\n* The ferry is painted green.\n"

# What the child process runs, as a module of its own: it alone looks into a file.
CHILD = """
from pathlib import Path
from rag.errors import DocumentError

def serve(request, numbers):
    head, _, text = Path(request["path"]).read_text("utf-8").partition("\\n")
    if "LARGE" in head:
        bytearray(8 << 30)
    if not text.strip():
        raise DocumentError("holds no entries. Write some")
    yield "open", {"title": head.removeprefix("NOTE "), "text": text, "warnings": 7 if "LIE" in head else []}
"""


def read_note(file: Path, document_id: str, context: ReadContext) -> ReadDocument:
    reply = first_reply("note_format", {"path": str(file)}, context.limits, context.children)
    with checking("a note"):
        title, text, warnings = checked_text_reply(reply, None)
    return ReadDocument(Document(document_id, "note", title, text, (Page(1, 0, len(text)),), warnings))


def note_passages(document: Document, max_tokens: int, overlap_tokens: int) -> list[Passage]:
    """A passage for each entry."""
    entries = table_rows(document.text, 0, len(document.text))
    spans = [span for entry in entries for span in packed(document.text, [entry], max_tokens, overlap_tokens)]
    return [passage_of(document, number, start, end, None, {}) for number, (start, end) in enumerate(spans)]


NOTE = DocumentKind(
    plural="notes",
    version="note 1",
    sniff=lambda name, head: name.endswith(".note") and head.startswith(b"NOTE "),
    recipe=lambda file, document_id, context: f"note 1, {context.settings.passage_tokens}",
    read=read_note,
    passages=note_passages,
    forced=False,
    endings=(".note",),
    refusal="is no note. Begin it with NOTE",
)
Ingested = Callable[..., Sequence[Outcome]]


@pytest.fixture
def indexes(tmp_path: Path) -> Indexes:
    settings = load_settings(["ingest.passage_tokens=40", "ingest.overlap_tokens=0"])
    indexes = Indexes(Library.open(tmp_path / "library", create=True), settings)
    indexes.encoders._dense = encoder()
    return indexes


@pytest.fixture
def ingested(tmp_path: Path, indexes: Indexes, monkeypatch: pytest.MonkeyPatch) -> Ingested:
    """Ingest files where notes are a kind. Children find the module of notes in a folder, as they find our packages."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "note_format.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    monkeypatch.setattr(child_process, "python", lambda *arguments: [sys.executable, "-P", *arguments])
    monkeypatch.setitem(KINDS, "note", NOTE)

    def ingest(*paths: Path, kind: str = AUTO) -> Sequence[Outcome]:
        return build(paths, indexes.library, indexes, indexes.settings.ingest, kind=kind).documents

    return ingest


def test_a_made_kind_is_recognised_read_cut_stored_and_found(
    tmp_path: Path, indexes: Indexes, ingested: Ingested
) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "heath.note").write_text(HEATH)
    (shelf / "harbour.note").write_text(HARBOUR)
    (shelf / "prose.bin").write_bytes(b"\0 of no kind at all")
    make_pdf(shelf / "ships.pdf", [["The frigate sailed from Lisbon."]], "Ships")
    outcomes = {Path(outcome.path).name: outcome for outcome in ingested(shelf)}
    assert {name: (outcome.kind, outcome.status) for name, outcome in outcomes.items()} == {
        "harbour.note": ("note", "added"), "heath.note": ("note", "added"), "ships.pdf": ("pdf", "added"),
    }  # fmt: skip
    document_id = content_id(shelf / "heath.note")
    document = indexes.library.document(document_id)
    assert (document.kind, document.title) == ("note", "Walk on the heath")
    passages = [p for _, p in indexes.library.passages_since(0) if p.document_id == document_id]
    assert [p.text for p in passages] == HEATH.splitlines()[1:]
    assert all(document.text[p.start : p.end] == p.text for p in passages)
    for name in ("bm25", "dense"):
        best = indexes.retriever(name).search(["where does sundew grow"], 1)[0][0].passage
        assert (best.document_id, best.text) == (document_id, "* Sundew grows beside the black pool.")
    assert indexes.library.problems() == []
    assert {outcome.status for outcome in ingested(shelf)} == {"unchanged"}


def test_a_made_kind_is_cited_on_its_text_where_no_panel_is_its_own(
    tmp_path: Path, indexes: Indexes, ingested: Ingested
) -> None:
    (tmp_path / "heath.note").write_text(HEATH)
    (outcome,) = ingested(tmp_path / "heath.note")
    text, quote = indexes.library.document(outcome.document_id).text, "black pool"
    start = text.index(quote)
    cited = Citation(
        "[1]", f"{outcome.document_id}#1", outcome.document_id, "heath.note", "Walk", PageSpan(), quote, start,
        start + len(quote),
    )  # fmt: skip
    assert not PageViews(indexes).are_drawn("note")
    assert indexes.library.document(cited.document_id).text[cited.start : cited.end] == quote


def test_a_made_kind_can_be_wanted_alone(tmp_path: Path, ingested: Ingested) -> None:
    file, pdf = tmp_path / "heath.note", make_pdf(tmp_path / "ships.pdf", [["The frigate sailed."]], "Ships")
    file.write_text(HEATH)
    assert find_files(tmp_path, tmp_path / "library", "note") == [file]
    assert kind_of(file, "note") == kind_of(file) == "note"
    with pytest.raises(DocumentError, match="is no note"):
        kind_of(pdf, "note")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DocumentError, match="holds no notes"):
        find_files(tmp_path / "empty", tmp_path, "note")
    with pytest.raises(DocumentError, match="holds no documents that can be read"):
        find_files(tmp_path / "empty", tmp_path)
    assert [outcome.kind for outcome in ingested(tmp_path, kind="note")] == ["note"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NOTE Blank\n", "holds no entries"),
        ("NOTE LARGE\n* x\n", "needed more than 2048 MB of memory"),
        ("NOTE LIE\n* x\n", "the parser returned a note that cannot be right"),
        ("No note.\n", "is no note. Begin it with NOTE"),
    ],
)
def test_a_bad_file_of_a_made_kind_fails_alone(tmp_path: Path, ingested: Ingested, text: str, says: str) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "bad.note").write_text(text)
    (shelf / "good.note").write_text(HARBOUR)
    bad, good = ingested(shelf)
    assert (bad.status, good.status) == ("failed", "added") and says in (bad.error or "")


def test_without_its_entry_it_is_no_document(tmp_path: Path) -> None:
    (tmp_path / "heath.note").write_text(HEATH)
    with pytest.raises(DocumentError, match="of no kind that is read"):
        kind_of(tmp_path / "heath.note")


def test_the_command_line_offers_the_kinds_there_are() -> None:
    assert [kind.value for kind in Kind] == [AUTO, *KINDS]
