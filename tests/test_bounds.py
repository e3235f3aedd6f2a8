"""What stands beside a text is bounded (rag/bounds.py): so a library grows in proportion to what was put in.

A new field of a record that holds strings fails here until it has a bound.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast, get_args, get_type_hints
from zlib import crc32

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ingest.chunk import chunk
from ingest.legal.case_files import CaseFile
from ingest.legal.judgment import of_record
from ingest.pdf import extract as pdf
from ingest.pdf.assemble import assemble
from ingest.pdf.extract import read_outline
from ingest.pdf.page_store import PageFile
from ingest.pdf.pdf_reading import page_warnings
from ingest.plain_text import title_of
from ingest.podcast.chapters import chapters_of
from ingest.podcast.episode import read_podcast
from ingest.podcast.keyphrases import Keyphrases
from rag import bounds
from rag.bounds import shortened
from rag.document import Document, Page
from rag.errors import DocumentError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.records import Passage
from tests.made import Sheet, read_made
from tests.test_judgment import ECTHR, WHOLE
from ui.cli.main import app

if TYPE_CHECKING:
    from numpy.typing import NDArray

HASH, DATE, WORD = 64, 10, 20  # a sha256, YYYY-MM-DD, and a word of ours: a kind, a source
WITHOUT = {"Document.text", "Passage.text"}
LIMITS = {
    "Document.document_id": HASH, "Document.kind": WORD, "Document.title": bounds.TITLE,
    "Document.warnings": bounds.WARNING,
    "Region.kind": WORD, "Region.label": bounds.NAME, "Region.section": bounds.SECTION, "Region.picture": HASH,
    "Utterance.speaker": bounds.NAME, "Chapter.title": bounds.TITLE, "Chapter.source": WORD,
    "Episode.show": bounds.TITLE, "Episode.description": bounds.DESCRIPTION, "Episode.date": DATE,
    "Episode.audio": bounds.ADDRESS,
    "Section.kind": WORD, "Section.author": bounds.TITLE,
    "CaseCitation.words": bounds.CITATION, "CaseCitation.application_numbers": bounds.NAME,
    "CaseCitation.name": bounds.TITLE, "CaseCitation.pinpoint": bounds.TITLE, "CaseCitation.date": DATE,
    "Finding.article": bounds.NAME,
    "Case.court": WORD, "Case.title": bounds.TITLE, "Case.parties": bounds.TITLE,
    "Case.application_numbers": bounds.NAME, "Case.date": DATE, "Case.articles": bounds.NAME,
    "Case.warnings": bounds.WARNING,
    "Passage.passage_id": HASH, "Passage.document_id": HASH, "Passage.title": bounds.TITLE, "Passage.path": 0,
    "Passage.kind": WORD, "Passage.label": bounds.NAME, "Passage.section": bounds.SECTION,
    "Passage.caption": bounds.CAPTION, "Passage.context": bounds.REFERENCES * (bounds.REFERENCE + 1),
    "Passage.picture": HASH, "Passage.description": 0,
    "TimeSpan.speaker": bounds.NAME, "TimeSpan.chapter": bounds.TITLE,
    "ParagraphSpan.part": WORD, "ParagraphSpan.heading": bounds.SECTION,
    "PartSpan.unit": WORD, "PartSpan.heading": bounds.HEADING, "Document.facts": bounds.TITLE,
}  # fmt: skip
COUNTS = {
    "Document.warnings": bounds.WARNINGS, "Episode.chapters": bounds.CHAPTERS,
    "Case.application_numbers": bounds.NUMBERS, "Case.articles": bounds.ARTICLES, "Case.outcome": bounds.ARTICLES,
    "Case.citations": bounds.CITATIONS, "CaseCitation.application_numbers": bounds.CITED_NUMBERS,
}  # fmt: skip


def strings(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """("Record.field", text) of every string in a record, and in the records in it."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, tuple):
        assert len(value) <= COUNTS.get(name, len(value)), f"{name}: {len(value)}"
        for part in value:
            yield from strings(part, name)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from strings(getattr(value, field.name), f"{type(value).__name__}.{field.name}")


def string_fields(record: type) -> set[str]:
    """The fields that hold strings of a record, and of those in it."""

    def mentioned(hint: object) -> set[type]:
        return set().union(*map(mentioned, get_args(hint))) if get_args(hint) else {cast(type, hint)}

    found = set()
    for name, hint in get_type_hints(record).items():
        for kind in mentioned(hint):
            if kind is str:
                found.add(f"{record.__name__}.{name}")
            elif dataclasses.is_dataclass(kind):
                found |= string_fields(kind)
    return found


def assert_bounded(document: Document) -> None:
    """The document, and its passages of any size."""
    for record in (document, *chunk(document, 180, 30), *chunk(document, 20, 0)):
        for name, text in strings(record):
            assert name in WITHOUT or len(text) <= LIMITS[name], f"{name}: {len(text)} characters"


def test_every_field_that_holds_strings_has_a_bound() -> None:
    assert string_fields(Document) | string_fields(Passage) == LIMITS.keys() | WITHOUT


@given(text=st.text(max_size=60), most=st.integers(2, 60))
def test_what_is_shortened_is_a_beginning(text: str, most: int) -> None:
    cut = shortened(text, most)
    assert len(cut) <= most
    assert cut == text if len(text) <= most else (cut.endswith("…") and text.startswith(cut[:-1]))


# -- whatever a file says ----------------------------------------------------------------------------------------------

# Long ones from short ones: what is drawn is repeated, so that each may exceed every bound.
LONG = st.tuples(st.text(st.characters(codec="utf-8"), max_size=30), st.sampled_from([1, 1, 7, 200, 3_000])).map(
    lambda drawn: drawn[0] * drawn[1]
)


@st.composite
def transcripts(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    """(ending, text, ending -> text of what lies beside it), with long strings wherever one may stand."""
    name, said, title = draw(LONG), f"{draw(LONG)} and words.", draw(LONG)
    line, label = " ".join(title.split()), " ".join(name.split())
    segment = {"startTime": 0, "endTime": 9, "speaker": name, "body": said}
    forms = {
        ".vtt": f"WEBVTT - {line}\n\n00:00.000 --> 00:09.000\n<v {label}>{said}\n",
        ".srt": f"1\n00:00:00,000 --> 00:00:09,000\n{name}: {said}\n",
        ".json": json.dumps({"title": title, "segments": [segment]}),
        ".html": f"<title>{title}</title><cite>{name}</cite><time>0:00</time><p>{said}</p>",
        ".md": f"---\ntitle: {line}\n---\n# {line}\n\n**{name}:** {said}\n\n**Ada Lind:** Words.\n",
        ".txt": f"{name}\n\n[00:01] {said}\n\n[00:05] More words.\n\n[00:09] Words.\n",
    }
    ending = draw(st.sampled_from(sorted(forms)))
    chapters = [{"startTime": n, "title": draw(LONG)} for n in range(draw(st.integers(0, 2)))]
    beside = {
        ".chapters.json": json.dumps({"title": draw(LONG), "podcastName": draw(LONG), "chapters": chapters}),
        ".meta.md": f"---\ntitle: {line}\nshow: {line}\ndate: {line}\naudio: https://{line}\n---\n{draw(LONG)}\n",
        ".shownotes.md": f"0:00 {line}\n0:05 {line}\n",
        ".psc": f'<chapters><chapter start="0" title="{line}"/></chapters>',
        ".chapters.vtt": f"WEBVTT\n\n00:00.000 --> 00:09.000\n{said}\n",
    }
    some = draw(st.sets(st.sampled_from(sorted(beside))))
    return ending, forms[ending], {name: beside[name] for name in some}


@settings(max_examples=100, deadline=None)
@given(drawn=transcripts())
def test_whatever_a_transcript_says_its_bounds_hold(drawn: tuple[str, str, dict[str, str]]) -> None:
    ending, text, beside = drawn
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"talk{ending}"
        file.write_text(text, "utf-8")
        for name, said in beside.items():
            file.with_name(f"talk{name}").write_text(said, "utf-8")
        try:
            document = read_podcast(file, "d", "fallback")
        except DocumentError:
            return  # nothing but white space, or no words
    assert_bounded(document)
    assert_bounded(ours(document))


def ours(document: Document) -> Document:
    """With chapters by cohesion instead of its maker's."""
    assert document.episode
    bare = replace(document, episode=replace(document.episode, chapters=()))
    return replace(
        document, episode=replace(document.episode, chapters=tuple(chapters_of(bare, "cohesion", Hashed(), None)))
    )


@settings(max_examples=20, deadline=None)
@given(a=LONG, b=LONG, c=LONG, numbers=st.lists(LONG, max_size=3), importance=st.sampled_from([0, 1, 10**30, -1, "1"]))
@example(a="A" * 5000, b="1/01, " * 5000, c="§ " + "1" * 5000, numbers=["1/01"] * 2000, importance=10**30)
def test_whatever_a_judgment_says_its_bounds_hold(a: str, b: str, c: str, numbers: list[str], importance: Any) -> None:
    text = (
        f"CASE OF {a} v. {b}\n(Applications nos. {b})\nJUDGMENT\n4 May 2001\nPROCEDURE\n1. {a}\nTHE FACTS\n2. {b}\n"
        f"THE LAW\nALLEGED VIOLATION OF ARTICLE 8 {c} OF PROTOCOL No. {c}\n{a.upper()}\nI. {a}\nA. {b}\n3. See {a} v. "
        f"Austria, nos. {b}, §§ {c}, 3 May 2000. See {a}, cited above. See A v. Spain and {b}.\nFOR THESE REASONS\n"
        f"Holds that there has been a violation of Article 6 {c};\nANNEX {a}\nDISSENTING OPINION OF JUDGE {a.upper()}\n"
    )
    for record in ({"text": text}, {"text": WHOLE, "title": f"{a} v. {b}", "application_numbers": numbers}):
        text, case = of_record({**record, "importance": importance}, ECTHR)
        assert case.importance in (None, 1, 2, 3, 4)
        assert all(cited.words == text[cited.start : cited.end] for cited in case.citations)
        assert_bounded(Document("d", "legal", case.title, text, (Page(1, 0, len(text)),), case=case))


@given(title=LONG)
def test_a_record_with_a_long_itemid_is_told_by_its_number(
    tmp_path_factory: pytest.TempPathFactory, title: str
) -> None:
    file = tmp_path_factory.mktemp("records") / "cases.jsonl"
    file.write_text(json.dumps({"itemid": title, "text": WHOLE}))
    [member] = CaseFile(file).members
    assert 0 < len(member.key) <= bounds.NAME and len(member.error) <= bounds.WARNING


def block(kind: str, *lines: str, **more: object) -> dict[str, object]:
    plain = {"box": [0.0, 0.0, 1.0, 1.0], "label": "", "level": 0, "size": 10.0, "caption": 0, "picture": None}
    return {**plain, "kind": kind, "confidence": None, "lines": [[line, []] for line in lines], **more}


@settings(max_examples=30, deadline=None)
@given(words=st.lists(LONG, min_size=3, max_size=3), levels=st.lists(st.integers(1, 12), max_size=5))
def test_whatever_a_page_says_its_bounds_hold(words: list[str], levels: list[int]) -> None:
    a, b, c = (" ".join(some.split()) or "x" for some in words)
    blocks = [block("heading", f"{a} {level}", level=level) for level in levels]
    blocks += [
        block("table", f"Table 1. {b}", c, "x | y", label="Table 1", caption=2),
        block("text", f"{c} Table 1 {a}. See Table 1: {b}."),
        block("text", *[c] * 3),
    ]
    read = assemble(lambda: iter([{"width": 600.0, "height": 800.0, "ocr": False, "blocks": blocks}] * 2), [])
    assert_bounded(Document("d", "pdf", "", read.text, read.pages, (), read.raw_offsets, read.regions))
    for region in read.regions:
        assert region.start <= region.caption_end <= region.end


def test_a_pdf_is_cut_where_it_is_read(tmp_path: Path) -> None:
    sheet = Sheet(tmp_path / "long.pdf", title="Mills " * 500)
    for number in range(20):
        sheet.canvas.bookmarkPage(f"p{number}")
        sheet.canvas.addOutlineEntry("Wind " * 500, f"p{number}", level=min(number, 11))
    sheet.text(60, 700, "Figure 1" + ".1" * 200 + ": Drawn.", 10)
    sheet.canvas.rect(60, 720, 200, 60)
    sheet.text(60, 600, "The mill turns in the wind and makes flour of all the corn that is there.", 10)
    sheet.next_page()
    made = read_made(sheet.save())
    assert 250 < len(made.document.title) <= bounds.TITLE and made.document.title.endswith("Mills…")
    assert_bounded(made.document)


def test_an_outline_has_no_more_entries_than_may_be_and_costs_no_title(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = Sheet(tmp_path / "outline.pdf", title="Of Mills and Winds")
    for number in range(20):
        sheet.canvas.bookmarkPage(f"p{number}")
        sheet.canvas.addOutlineEntry(f"Wind {number}", f"p{number}")
    sheet.text(60, 700, "The mill turns.")
    sheet.next_page()
    file = sheet.save()
    monkeypatch.setattr(bounds, "OUTLINE", 3)
    assert [title for _, title, _ in read_outline(file, None)["outline"]] == ["Wind 0", "Wind 1", "Wind 2"]
    monkeypatch.setattr(pdf, "_outline", lambda *_: iter([1 / 0]))
    assert read_outline(file, None) == {"title": "Of Mills and Winds", "outline": [], "author": ""}


def test_of_many_bad_pages_some_are_named_and_all_are_counted() -> None:
    read = assemble(lambda: iter([{"width": 600.0, "height": 800.0, "ocr": False, "blocks": []}] * 4_000), [])
    bad = {number: f"why {number % 3}" for number in range(1, 2_001)}
    found = page_warnings(cast(PageFile, SimpleNamespace(bad=bad)), replace(read, ocr_pages=tuple(range(1, 2_000, 2))))
    assert len(found) <= bounds.WARNINGS and max(map(len, found)) <= bounds.WARNING
    assert found[0] == "page 1: could not be read: why 1"
    assert found[-3].endswith(" more pages, or runs of pages, could not be read")
    assert "pages 2001-4000 have no text that could be read" in found[-2]
    assert found[-1].startswith("pages 1, 3, ") and found[-1].endswith(
        "… were read from the picture (OCR): words may be wrong"
    )


def test_a_file_of_too_many_records_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RECORDS", 2)
    file = tmp_path / "cases.jsonl"
    file.write_text((json.dumps({"itemid": "1", "text": WHOLE}) + "\n") * 3)
    with pytest.raises(DocumentError, match="holds more than 2 records"):
        CaseFile(file)


def test_a_file_gives_its_name_as_a_title() -> None:
    assert title_of(Path("a" * 250 + ".vtt")) == "a" * 250
    assert len(title_of(Path("ﬃ" * 80 + ".vtt"))) <= bounds.TITLE  # three letters each, once mended


def test_words_that_nobody_says_are_in_no_title_of_ours() -> None:
    text = "The mill is of granite. A mill wants wind. " + "a" * 5000 + " Bees make honey. " + "b" * 5000 + "."
    keyphrases = Keyphrases(text)
    assert "aaa" not in keyphrases.title(0, len(text))
    start = text.index("b" * 5000)
    first = keyphrases.title(start, len(text))
    assert first.startswith("Bbb") and len(first) <= bounds.TITLE
    again = keyphrases.title(start, len(text), [first])
    assert again == f"{first} (2)" and len(again) <= bounds.TITLE


# -- on disk -----------------------------------------------------------------------------------------------------------


class Hashed:
    """In place of both encoders: vectors by the words' checksums."""

    dimensions = 1000

    def encode(self, texts: list[str], report: Any = None) -> NDArray[np.float32]:
        sums = np.array([crc32(text.encode()) for text in texts], np.int64)
        rows = (sums[:, None] >> np.arange(0, 32, 4) & 15) - 7.5  # (texts, 8)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def encode_documents(self, texts: list[str], report: Any = None) -> list[Any]:
        return [(np.array(ids, np.int32), np.ones(len(ids), np.float32)) for ids in self.token_ids(texts)]

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        return [sorted({crc32(word.encode()) % self.dimensions for word in text.split()}) for text in texts]


def cue(words: str) -> str:
    return f"WEBVTT\n\n00:00.000 --> 10:00.000\n{words}\n"


GROWING = {  # what -> (text, beside) of so many characters
    "an unbroken word": lambda size: (cue("a" * size), {}),
    "an unbroken title of a chapter": lambda size: (
        cue("The mill turns. " * (size // 64)),
        {".chapters.json": json.dumps({"chapters": [{"startTime": 0, "title": "a" * (size // 2)}]})},
    ),
    "an unbroken title": lambda size: (
        cue("The mill turns. " * (size // 64)),
        {".meta.md": f"---\ntitle: {'a' * (size // 2)}\nshow: {'b' * 9}\n---\n"},
    ),
    "an unbroken speaker": lambda size: (cue(f"<v {'a' * (size // 2)}>" + "The mill turns. " * (size // 64)), {}),
}


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.mark.attack
@pytest.mark.parametrize("what", GROWING)
def test_a_library_grows_in_proportion_to_what_is_put_in(tmp_path: Path, what: str) -> None:
    disk = []
    largest = 1 << (20 if what == "an unbroken word" else 18)
    for size in (largest // 4, largest // 2, largest):
        text, beside = GROWING[what](size)
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / "talk.vtt").write_text(text)
        for ending, said in beside.items():
            (folder / f"talk{ending}").write_text(said)
        document = read_podcast(folder / "talk.vtt", "d" * 16, "")
        document = document if document.episode and document.episode.chapters else ours(document)
        passages = chunk(document, 180, 30)
        assert sum(len(passage.searched) for passage in passages) < 4 * size
        library = Library.open(folder / "library", create=True)
        library.put(document, passages, "/talk.vtt", "talk.vtt", "")
        library.forget_removals(10)  # empties the write-ahead log
        disk.append(bytes_in(library.folder))
        assert disk[-1] < 20 * bytes_in(folder) and disk[-1] < 20 * size
    assert disk[1] < 2.2 * disk[0] and disk[2] < 2.2 * disk[1]


@pytest.mark.attack
def test_a_transcript_of_one_word_is_ingested_in_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Indexes, "encoder", lambda self: Hashed())
    monkeypatch.setattr(Indexes, "sparse_encoder", lambda self: Hashed())
    file, folder = tmp_path / "talk.vtt", tmp_path / "library"
    file.write_text(cue("a" * 300_000))
    done = CliRunner().invoke(app, ["ingest", str(file), "--library", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    [outcome] = json.loads(done.stdout)["documents"]
    assert outcome["status"] == "added" and outcome["passages"] > 200
    assert bytes_in(folder) < 20 * 300_000
    document = Library.open(folder).document(outcome["document_id"])
    assert document.text == "a" * 300_000  # the text itself is whole
    assert document.episode and [len(chapter.title) <= bounds.TITLE for chapter in document.episode.chapters] == [True]
