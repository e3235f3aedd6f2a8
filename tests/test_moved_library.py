"""stored_files.py: a library's own files are found wherever its folder lies, and nothing else is taken for one."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.build import build
from ingest.child_process import Limits
from ingest.legal import case_reading
from ingest.page_pictures import page_picture
from ingest.pdf import pdf_reading
from ingest.podcast import episode_reading
from ingest.podcast.rechapter import rechapter
from ingest.podcast.sidecars import sidecars_hash
from ingest.read import content_id
from rag.errors import DocumentError, LibraryError
from rag.library.catalogue import Library
from rag.library.stored_files import UNOWNED_SECONDS, Locations
from tests.pdfs import make_pdf
from tests.test_links_catalogue import held_by_another
from tests.test_podcasts_ingest import NoIndexes
from ui.cli.commands import document_commands as cli
from ui.web.panels.recordings import Recordings
from ui.web.workers.upload_worker import UploadWorker

VTT = """WEBVTT

00:00:01.000 --> 00:00:05.000
<v Ada Lind>Welcome to the show about water mills.

00:00:05.000 --> 00:00:11.000
<v Bo Aas>The Rill mill was built of larch in 1884.

00:10:00.000 --> 00:10:09.000
<v Ada Lind>And how is the rye sifted today?
"""
CHAPTERS = {"version": "1.2.0", "chapters": [{"startTime": 0, "title": "The mill"}, {"startTime": 600, "title": "Rye"}]}
NAMES = ["cases.json", "ships.pdf", "talk.chapters.json", "talk.mp3", "talk.vtt"]


def a_judgment(name: str, number: str, facts: str) -> str:
    return (
        f"FIRST SECTION\nCASE OF {name}\n(Application no. {number})\nJUDGMENT\nSTRASBOURG\n4 May 2001\n"
        "The European Court of Human Rights (First Section), sitting as a Chamber,\nPROCEDURE\n1. The case originated "
        f"in an application.\nTHE FACTS\nI. THE CIRCUMSTANCES OF THE CASE\n2. {facts}\nTHE LAW\nI. ALLEGED VIOLATION "
        "OF ARTICLE 8 OF THE CONVENTION\nA. Merits\n3. Noise at night may disturb a home.\n"
        "FOR THESE REASONS, THE COURT, UNANIMOUSLY,\nHolds that there has been a violation of Article 8.\n"
    )


CASES = [
    {"itemid": "a", "text": a_judgment("A. v. AUSTRIA", "1/01", "The applicant's mill was closed.")},
    {"itemid": "b/2", "text": a_judgment("B. v. MALTA", "2/05", "The forge made noise at night.")},
]


def write_files(folder: Path) -> list[Path]:
    """A PDF, a transcript with audio and chapters, a file of two judgments: those of tests/layout4.sql."""
    folder.mkdir(parents=True)
    make_pdf(folder / "ships.pdf", [["The frigate sailed from Lisbon."]], "Ships")
    (folder / "talk.vtt").write_text(VTT)
    (folder / "talk.mp3").write_bytes(b"ID3")
    (folder / "talk.chapters.json").write_text(json.dumps(CHAPTERS))
    (folder / "cases.json").write_text(json.dumps(CASES))
    return sorted(folder.iterdir())


def own_file(folder: Path) -> Path:
    folder.mkdir()
    return make_pdf(folder / "own.pdf", [["Bees dance to show where the clover is."]], "Bees")


@pytest.fixture
def indexes_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Library], Any]:
    monkeypatch.setattr(NoIndexes, "updating", lambda *_: nullcontext(lambda: None))
    monkeypatch.setattr(NoIndexes, "problems", lambda _: [], raising=False)
    return lambda library: NoIndexes(library)


def added(indexes: Any, folder: Path) -> list[tuple[str, str]]:
    """(name, status or error) of each document after the page took the files."""
    intake = UploadWorker(indexes)
    try:
        found = intake.start([str(file) for file in write_files(folder)], []).result.result(60)
    finally:
        intake.close(5)
    return sorted((name, outcome.error or outcome.status) for name, outcome in found)


def statuses(status: str) -> list[tuple[str, str]]:
    names = ["cases.json#a", "cases.json#b/2", "ships.pdf", "talk.vtt, talk.chapters.json, talk.mp3"]
    return [(name, status) for name in names]


def new_library(folder: Path, indexes_of: Callable[[Library], Any]) -> Library:
    """A library with the files put in through the page and one of the user's own, ../own/own.pdf."""
    library = Library.open(folder, create=True)
    indexes = indexes_of(library)
    assert added(indexes, folder.parent / "given") == statuses("added")
    own = own_file(folder.parent / "own")
    build([own], library, indexes, indexes.settings.ingest)
    return library


def old_library(folder: Path) -> None:
    """The same as it was made under layout 4 (tests/layout4.sql)."""
    write_files(folder / "uploads")
    own = own_file(folder.parent / "own")
    dump = (Path(__file__).parent / "layout4.sql").read_text("utf-8")
    for then, now in (
        ("pdf 3", pdf_reading.VERSION),
        ("podcast 1", episode_reading.VERSION),
        ("legal 1", case_reading.VERSION),
    ):
        dump = dump.replace(f"'{then}, ", f"'{now}, ")  # what is asked here is not what another version reads anew
    sidecars = sidecars_hash(folder.resolve() / "uploads" / "talk.vtt")
    places = {"{folder}": str(folder.resolve()), "{own}": str(own.parent.resolve()), "{sidecars}": sidecars}
    for name, value in places.items():
        dump = dump.replace(name, value)
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection:
        connection.executescript(dump)


def check_all(given: Path, own: Path, indexes_of: Callable[[Library], Any], tmp_path: Path) -> None:
    """All that a page and the command line do with the library whose folder is given as this."""
    library, uploads = Library.open(given), given.resolve() / "uploads"
    indexes = indexes_of(library)
    entries = {entry.title: entry for entry in library.documents()}
    shown = {title: entry.paths for title, entry in entries.items()}
    assert shown == {
        "A. v. AUSTRIA": (f"{uploads}/cases.json#a",), "B. v. MALTA": (f"{uploads}/cases.json#b/2",),
        "Bees": (str(own),), "Ships": (f"{uploads}/ships.pdf",), "talk": (f"{uploads}/talk.vtt",),
    }  # fmt: skip
    assert {p.title: (p.path,) for _, p in library.passages_since(0)} == shown
    for title, (path,) in shown.items():
        document_id = entries[title].document_id
        assert library.files_of(document_id) == [Path(path)]
        spellings = [path, path.replace(str(given.resolve()), str(given.absolute()))]
        for spelling in spellings:
            assert library.document_at(spelling) == library.find(spelling) == document_id
            passages = library.passages_numbered(library.select([f"path={spelling}"]) or ()).values()
            assert {passage.document_id for passage in passages} == {document_id}
        assert title == "Bees" or library.find(os.path.relpath(path)) == document_id
    ships, talk = entries["Ships"].document_id, entries["talk"].document_id
    assert page_picture(library, ships, 1, Limits(30, 1024)).png.startswith(b"\x89PNG")
    assert Recordings(library).audio(talk) == (uploads / "talk.mp3", "audio/mpeg")
    assert library.problems() == []

    generation = library.generation
    assert added(indexes, tmp_path / "again") == statuses("unchanged")
    assert library.generation == generation and sorted(file.name for file in uploads.iterdir()) == NAMES
    (uploads / "talk.chapters.json").write_text(json.dumps(CHAPTERS).replace("Rye", "Wheat"))
    for status in ("updated", "unchanged"):
        (outcome,) = build([uploads / "talk.vtt"], library, indexes, indexes.settings.ingest).documents
        assert outcome.status == status
    assert Recordings(library).audio(talk) == (uploads / "talk.mp3", "audio/mpeg")
    assert library.problems() == []

    left = set(NAMES)
    for title, gone in (("A. v. AUSTRIA", set()), ("B. v. MALTA", {"cases.json"}), ("Ships", {"ships.pdf"}),
                        ("talk", {name for name in NAMES if name.startswith("talk")}), ("Bees", set())):  # fmt: skip
        cli.remove([library.find(shown[title][0])], given)
        left -= cast(set[str], gone)
        assert {file.name for file in uploads.iterdir()} == left
    assert library.documents() == [] and own.exists()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch, indexes_of: Callable[[Library], Any]) -> Callable[[Library], Any]:
    """As indexes_of; the command line works with them too."""
    monkeypatch.setattr(cli, "open_indexes", lambda folder: indexes_of(Library.open(folder)))
    return indexes_of


@pytest.mark.attack
def test_a_library_that_was_moved_has_all_its_uploads(tmp_path: Path, used: Callable[[Library], Any]) -> None:
    new_library(tmp_path / "first" / "library", used)
    shutil.move(tmp_path / "first" / "library", tmp_path / "second")
    check_all(tmp_path / "second", tmp_path / "first" / "own" / "own.pdf", used, tmp_path)


@pytest.mark.attack
@pytest.mark.parametrize("order", ["move, upgrade", "upgrade, move", "upgrade", "copy, upgrade, move"])
def test_a_library_of_layout_4_has_all_its_uploads_moved_or_not(
    tmp_path: Path, used: Callable[[Library], Any], order: str
) -> None:
    at, was = tmp_path / "first" / "library", tmp_path / "nowhere"
    was.mkdir()
    old_library(at)
    for number, step in enumerate(order.split(", ")):
        if step == "move":
            at = Path(shutil.move(at, tmp_path / f"moved{number}"))
        elif step == "copy":  # and what it is a copy of goes away later
            was, at = at, Path(shutil.copytree(at, tmp_path / "copy"))
        else:
            Library.open(at)
            shutil.rmtree(was)
    check_all(at, tmp_path / "first" / "own" / "own.pdf", used, tmp_path)


def test_a_library_is_the_same_through_a_link_and_by_a_relative_path(
    tmp_path: Path, used: Callable[[Library], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    library = new_library(tmp_path / "link" / "library", used)
    own = tmp_path / "link" / "own" / "own.pdf"
    assert library.find("real/library/uploads/ships.pdf") == library.find("link/library/uploads/ships.pdf")
    shutil.move(tmp_path / "real" / "library", tmp_path / "real" / "second")
    check_all(Path("link/second"), own, used, tmp_path)


def test_uploads_may_lie_on_another_disk(tmp_path: Path, used: Callable[[Library], Any]) -> None:
    library = Library.open(tmp_path / "first" / "library", create=True)
    (tmp_path / "disk").mkdir()
    library.uploads.symlink_to(tmp_path / "disk")
    assert added(used(library), tmp_path / "given") == statuses("added")
    assert sorted(file.name for file in (tmp_path / "disk").iterdir()) == NAMES
    moved = Library.open(Path(shutil.move(library.folder, tmp_path / "second")))
    assert moved.problems() == []
    assert added(used(moved), tmp_path / "again") == statuses("unchanged")
    for entry in moved.documents():
        cli.remove([entry.document_id], moved.folder)
    assert list((tmp_path / "disk").iterdir()) == []


def test_layout_4_is_read_as_it_is_while_another_writes(tmp_path: Path) -> None:
    folder = tmp_path / "first" / "library"
    old_library(folder)
    with held_by_another(folder):
        library = Library.open(folder)
        ships, talk = (library.find(f"{folder}/uploads/{name}") for name in ("ships.pdf", "talk.vtt"))
        assert library.document_at(f"{folder}/uploads/ships.pdf") == ships
        assert library.files_of(ships) == [folder / "uploads" / "ships.pdf"]
        assert Recordings(library).audio(talk)[0] == folder / "uploads" / "talk.mp3"
        assert library.select([f"path={folder}/uploads/ships.pdf"]) == library.select([f"document_id={ships}"]) != []
        assert library.problems() == []


# -- what becomes relative, and what does not ------------------------------------------------------------------------


def paths_in(folder: Path) -> dict[str, str]:
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection:
        return dict(connection.execute("SELECT path, shown FROM paths"))


def change(folder: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection:
        connection.execute(statement, values)
        connection.commit()


def test_only_the_librarys_own_files_are_stored_relative(
    tmp_path: Path, indexes_of: Callable[[Library], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = new_library(tmp_path / "library", indexes_of)
    monkeypatch.chdir(tmp_path)
    mine = Path("uploads")  # of the user's own
    mine.mkdir()
    make_pdf(mine / "ships.pdf", [["Another frigate."]], "Another")
    build([mine / "ships.pdf"], library, indexes_of(library), indexes_of(library).settings.ingest)
    own, another = str(tmp_path / "own" / "own.pdf"), str(tmp_path / "uploads" / "ships.pdf")
    kept = [f"uploads/{name}" for name in ("cases.json#a", "cases.json#b/2", "ships.pdf", "talk.vtt")]
    assert paths_in(library.folder) == {path: path for path in [*kept, own]} | {another: "uploads/ships.pdf"}
    assert library.find("uploads/ships.pdf") == content_id(mine / "ships.pdf")
    found = library.passages_numbered(library.select(["path=uploads/ships.pdf"]) or ()).values()
    assert [(passage.title, passage.path) for passage in found] == [("Another", "uploads/ships.pdf")]


def test_a_moved_layout_4_keeps_paths_that_are_not_surely_its_own(tmp_path: Path) -> None:
    folder, was = tmp_path / "first" / "library", tmp_path / "first" / "library" / "uploads"
    old_library(folder)
    theirs = own_file(tmp_path / "uploads")  # of the user's own, in a folder of that name
    shutil.copy(theirs, was / "own.pdf")
    change(folder, "UPDATE paths SET path = ? WHERE path GLOB '*own.pdf'", str(theirs))
    moved = Path(shutil.move(folder, tmp_path / "second"))
    (moved / "uploads" / "ships.pdf").write_bytes(b"%PDF-1.4 of something else")
    (moved / "uploads" / "cases.json").write_text("[]")
    Library.open(moved)
    gone = [f"{was}/{name}" for name in ("cases.json#a", "cases.json#b/2", "ships.pdf")]
    assert set(paths_in(moved)) == {*gone, "uploads/talk.vtt", str(theirs)}


def test_an_upload_that_was_added_again_after_a_move_has_one_path(tmp_path: Path) -> None:
    folder = tmp_path / "first" / "library"
    old_library(folder)
    moved = Path(shutil.move(folder, tmp_path / "second"))
    again = f"{moved}/uploads/ships.pdf"
    change(moved, "INSERT INTO paths SELECT ?, document_id, ? FROM paths WHERE path GLOB '*ships.pdf'", again, again)
    library = Library.open(moved)
    assert library.files_of(library.find(again)) == [moved / "uploads" / "ships.pdf"]
    library.remove(library.find(again))
    assert not (moved / "uploads" / "ships.pdf").exists()


def test_chapters_made_anew_leave_the_paths(tmp_path: Path, indexes_of: Callable[[Library], Any]) -> None:
    library = new_library(tmp_path / "first" / "library", indexes_of)
    talk = library.find(f"{library.folder}/uploads/talk.vtt")
    moved = Library.open(Path(shutil.move(library.folder, tmp_path / "second")))
    before = paths_in(moved.folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.podcast.rechapter.make_chapters", lambda *_: [])
        list(rechapter(indexes_of(moved), talk, "cohesion"))
    assert paths_in(moved.folder) == before and Recordings(moved).audio(talk)[0] == moved.uploads / "talk.mp3"
    assert moved.documents([talk])[0].recipe == library_recipe(moved)


def library_recipe(library: Library) -> str:
    """Of the transcript, whose audio is named as the library names it."""
    said = sidecars_hash(library.uploads / "talk.vtt", library.stored_as)
    return f"{episode_reading.VERSION}, 180/30, chapters cohesion, sidecars {said}"


@given(
    folders=st.lists(st.sampled_from(["a", "C#", "uploads", "b c"]), max_size=3),
    name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=9),
    key=st.none() | st.sampled_from(["001-1", "b/2", "a#b", "http://x/y", "../../x", "/x", "uploads/y"]),
)
def test_what_is_stored_of_a_file_in_the_folder_leads_to_it_again(
    tmp_path_factory: pytest.TempPathFactory, folders: list[str], name: str, key: str | None
) -> None:
    if name in (".", ".."):
        return
    here = tmp_path_factory.getbasetemp() / "C#" / "library"
    for folder in (here / "uploads", here.parent / "moved"):
        folder.mkdir(parents=True, exist_ok=True)
    locations, moved = Locations(here), Locations(here.parent / "moved")
    rest = "/".join(["uploads", name]) + (f"#{key}" if key else "")
    assert locations.stored(f"{here}/{rest}") == rest
    assert locations.resolved(rest) == f"{here.resolve()}/{rest}"
    assert moved.resolved(rest) == f"{here.parent.resolve()}/moved/{rest}"
    outside = "/".join([str(here.parent), *folders, rest])
    assert locations.stored(outside) == outside == locations.resolved(outside)


# -- a catalogue that was tampered with ------------------------------------------------------------------------------


@pytest.mark.attack
def test_no_relative_path_leads_out_of_the_folder(tmp_path: Path, used: Callable[[Library], Any]) -> None:
    library = new_library(tmp_path / "library", used)
    secret = shutil.copy(tmp_path / "own" / "own.pdf", tmp_path / "secret.pdf")
    shutil.copy(library.uploads / "talk.mp3", tmp_path / "secret.mp3")
    (library.uploads / "out").symlink_to(tmp_path)
    for ending in ("pdf", "mp3"):
        for folder in (library.uploads, library.folder):
            (folder / f"linked.{ending}").symlink_to(tmp_path / f"secret.{ending}")
    own, talk = content_id(Path(secret)), library.find(f"{library.uploads}/talk.vtt")
    for path in ("../secret", "uploads/../../secret", "uploads/out/secret", "linked", "uploads/linked"):
        change(library.folder, "UPDATE paths SET path = ?, shown = path WHERE document_id = ?", f"{path}.pdf", own)
        change(library.folder, "UPDATE episodes SET audio = ?", f"{path}.mp3")
        assert library.files_of(own) == [] and own in {entry.document_id for entry in library.documents()}
        with pytest.raises(DocumentError, match="has moved or changed"):
            page_picture(library, own, 1, Limits(30, 1024))
        with pytest.raises(LibraryError, match="no audio"):
            Recordings(library).audio(talk)
        for ending in ("pdf", "mp3"):
            told = f"catalogue: {path}.{ending} leads out of the library's folder. Remove its document"
            assert told in library.problems()
    cli.remove([own, talk], library.folder)
    assert Path(secret).exists() and (tmp_path / "secret.mp3").exists()


def test_a_key_of_a_judgment_leads_nowhere(tmp_path: Path, used: Callable[[Library], Any]) -> None:
    library = Library.open(tmp_path / "library", create=True)
    (tmp_path / "victim").write_text("stays")
    (tmp_path / "given").mkdir()
    file = tmp_path / "given" / "cases.json"
    records = [CASES[0] | {"itemid": key} for key in ("../../victim", "/../../../victim", "x/../../victim")]
    file.write_text(json.dumps(records))
    intake = UploadWorker(used(library))
    outcomes = [outcome for _, outcome in intake.start([str(file)], []).result.result(60)]
    intake.close(5)
    assert [outcome.status for outcome in outcomes] == ["added"] * 3
    assert library.problems() == []
    moved = Library.open(Path(shutil.move(library.folder, tmp_path / "second")))
    assert moved.problems() == []
    cli.remove([outcome.document_id or "" for outcome in outcomes], moved.folder)
    assert (tmp_path / "victim").exists() and list(moved.uploads.iterdir()) == []


# -- what check finds ------------------------------------------------------------------------------------------------


def test_check_names_missing_uploads_and_those_of_no_document(
    tmp_path: Path, used: Callable[[Library], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    library = new_library(tmp_path / "library", used)
    cli.check(library.folder)
    assert capsys.readouterr().out == "all is well\n"
    for name in ("ships.pdf", "cases.json", "talk.mp3"):
        (library.uploads / name).unlink()
    missing = [f"uploads/{name}" for name in ("cases.json#a", "cases.json#b/2", "ships.pdf", "talk.mp3")]
    assert library.problems() == [
        f"catalogue: {path} is missing from the library's folder. Put it back there, or remove its document"
        for path in missing
    ]
    for name in ("left.pdf", "talk.wav", ".incoming", "fresh.pdf"):
        (library.uploads / name).write_bytes(b"x")
        if name != "fresh.pdf":  # which may be on its way
            long_ago = time.time() - UNOWNED_SECONDS - 60
            os.utime(library.uploads / name, (long_ago, long_ago))
    told = "catalogue: uploads/left.pdf belongs to no document. Delete it, or ingest it"
    assert library.problems()[4:] == [told]
    with library.writing("a test"):
        assert len(library.problems()) == 4, "an upload may be under way"
    with pytest.raises(Exception, match="5 problems"):
        cli.check(library.folder)
    assert told in capsys.readouterr().out
