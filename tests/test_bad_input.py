"""Bad files, wrong words, full disks, kills and interruptions, through the program as a user runs it.

A command ends with 0 (done), 1 (failed: one line on stderr that says what, where and what to do) or 2 (wrong usage),
never with a traceback; with --json its stdout is one JSON document; and what was stored before is still there.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.build import build
from rag.errors import ReaderError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.database import VERSION
from rag.library.documents import DocumentEntry
from rag.llm.open import open_reader
from rag.search import open_retriever
from rag.settings import ReaderSettings, load_settings
from tests.conftest import DATA, PDFS, ROOT, Run, command, needs_data
from tests.pdfs import make_pdf

HAVE_PROC = Path("/proc/self/environ").exists()
NO_OVERRIDE = "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"


# -- what the tests share ----------------------------------------------------------------------------------------------


def story(file: Path, animal: str, pages: int = 2) -> Path:
    """A PDF about an animal that no other test document names."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [[f"The {animal} of page {page} swims in the river.", "It eats fish."] for page in range(1, pages + 1)]
    return make_pdf(file, lines, f"Tales of the {animal}")


def entries(library: Path) -> list[DocumentEntry]:
    return Library.open(library).documents()


def by_path(summary: str) -> dict[str, Any]:
    """The outcomes in an ingest's JSON, by path."""
    return {outcome["path"]: outcome for outcome in json.loads(summary)["documents"]}


def found(library: Path, word: str) -> list[str]:
    """Titles of the passages that bm25 finds, in this process."""
    hits = Indexes(Library.open(library), load_settings()).retriever("bm25").search([word], 10)[0]
    return [hit.passage.title for hit in hits]


def problems(library: Path) -> list[str]:
    """What `glossator check` would say, in this process."""
    opened = Library.open(library)
    return opened.problems() + Indexes(opened, load_settings()).problems()


def line(result: subprocess.CompletedProcess[str], *words: str) -> str:
    """The one line of a failed command, which holds these words; progress (a line every 10 s) may stand before it."""
    assert result.returncode == 1, (result.returncode, result.stdout, result.stderr)
    lines = [text for text in result.stderr.splitlines() if not re.match(r"\d+ s: ", text)]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("glossator: "), lines
    for word in words:
        assert word in lines[0]
    return lines[0]


def copied(folder: Path, to: Path) -> Path:
    """A copy of a folder, without what SQLite lays beside a catalogue for as long as somebody reads it."""
    return Path(shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*-wal", "*-shm")))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine the encoder's threads spend their time waiting for each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Path:
    """A library of two documents, for `library` to copy; and how long its making took, in seconds.txt beside it."""
    folder = tmp_path_factory.mktemp("template")
    story(folder / "docs" / "otter.pdf", "otter")
    story(folder / "docs" / "beaver.pdf", "beaver")
    started = time.monotonic()
    result = glossator("ingest", folder / "docs", "--library", folder / "library")
    assert result.returncode == 0, result.stderr
    (folder / "seconds.txt").write_text(str(time.monotonic() - started))
    return folder


@pytest.fixture
def library(template: Path, tmp_path: Path) -> Path:
    """A copy of the template, to break."""
    return copied(template / "library", tmp_path / "library")


@pytest.fixture(scope="module")
def kept(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One copy of the template for all the commands that must change nothing."""
    folder = copied(template / "library", tmp_path_factory.mktemp("kept") / "library")
    before = entries(folder)
    yield folder
    assert entries(folder) == before
    assert problems(folder) == []
    assert found(folder, "otter") == ["Tales of the otter"]


def without_rights(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the program so that permission bits count, for root too."""
    drop: list[str] = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("run by root, and there is no setpriv to take root's rights away")
        drop = ["setpriv", *NO_OVERRIDE]
    return subprocess.run([*drop, *command(*arguments)], cwd=ROOT, text=True, capture_output=True, timeout=240)


# -- wrong usage -------------------------------------------------------------------------------------------------------

LONG = "where does the otter swim? " * 1_900  # 50,000 characters


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ([], ["search", "  "], "the question is empty"),
        ([], ["ask", ""], "the question is empty"),
        ([], ["search", LONG], "characters, at most 4,000 are read"),
        ([], ["ask", LONG], "characters, at most 4,000 are read"),
        ([], ["search", "otter", "-k", "0"], "-k 0"),
        ([], ["search", "otter", "-k", "-1"], "-k -1"),
        ([], ["ask", "otter", "-k", "0"], "-k 0"),
        ([], ["search", "otter", "--filter", "colour=brown"], "colour=brown"),
        ([], ["search", "otter", "--filter", "page"], "FIELD=VALUE"),
        ([], ["search", "otter", "--retriever", "oracle"], "oracle"),
        (["--set", "retrieve.retriever=oracle"], ["search", "otter"], "retrieve.retriever"),
        (["--set", "retrieve.depth=3"], ["search", "otter"], "retrieve.depth"),
        (["--set", "retrieve.k=many"], ["search", "otter"], "retrieve.k"),
        (["--set", "k"], ["search", "otter"], "section.key=value"),
    ],
)
def test_wrong_usage_ends_with_2(kept: Path, glossator: Run, before: list[str], after: list[str], says: str) -> None:
    result = glossator(*before, *after, "--library", kept, "--json")
    assert result.returncode == 2
    assert result.stdout == ""
    assert says in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("content", [b"[retrieve\nk = = 3", b"\xff\xfe", b"[retrieve]\nneck = 3", None])
def test_a_broken_settings_file_is_named(kept: Path, glossator: Run, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "settings.toml"
    if content is not None:
        file.write_bytes(content)
    result = glossator("search", "otter", "--library", kept, env={"GLOSSATOR_SETTINGS": str(file)})
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "neck" in result.stderr or str(file) in result.stderr


def test_a_long_question_is_searched_where_the_settings_allow_it(kept: Path, glossator: Run) -> None:
    allow = "--set", "retrieve.max_query_characters=60000"
    result = glossator(*allow, "search", LONG, "--library", kept, "--retriever", "bm25", "-k", 10**12, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["hits"][0]["title"] == "Tales of the otter"


def test_a_question_may_hold_bytes_that_are_no_text(kept: Path, glossator: Run) -> None:
    result = glossator("search", os.fsdecode(b"otter caf\xe9"), "--library", kept, "--retriever", "bm25", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["query"] == "otter caf\N{REPLACEMENT CHARACTER}"


# -- libraries and documents that are not there ------------------------------------------------------------------------


def test_there_must_be_a_library(glossator: Run, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "note.txt").write_text("not a library")
    missing, notes, file = tmp_path / "nowhere", tmp_path / "notes", tmp_path / "notes" / "note.txt"
    for folder in (missing, notes, file):
        line(glossator("documents", "--library", folder, "--json"), str(folder), "holds no library")
    line(glossator("ingest", ROOT / "tests", "--library", notes), str(notes), "not empty")
    line(glossator("ingest", ROOT / "tests", "--library", file), str(file))
    assert [entry.name for entry in notes.iterdir()] == ["note.txt"]
    assert not missing.exists()


def test_a_library_without_documents_answers(glossator: Run, tmp_path: Path) -> None:
    Library.open(tmp_path / "library", create=True)
    result = glossator("search", "otter", "--library", tmp_path / "library", "--retriever", "bm25", "--json")
    assert (result.returncode, json.loads(result.stdout)["hits"]) == (0, [])


def test_a_newer_layout_is_left_alone(library: Path, glossator: Run) -> None:
    with sqlite3.connect(library / "catalogue.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = (library / "catalogue.sqlite").read_bytes()
    line(glossator("search", "otter", "--library", library), f"layout {VERSION + 1}")
    line(glossator("ingest", ROOT / "tests", "--library", library), f"layout {VERSION + 1}")
    assert (library / "catalogue.sqlite").read_bytes() == before


@pytest.mark.parametrize("where", ["head", "middle", "end"])
def test_a_damaged_catalogue_is_said_and_costs_no_index(
    library: Path, glossator: Run, template: Path, where: str
) -> None:
    content = bytearray((library / "catalogue.sqlite").read_bytes())
    ranges = {"head": (0, 4096), "middle": (4096, len(content) - 4096), "end": (len(content) // 2, len(content))}
    start, end = ranges[where]
    content[start:end] = b"x" * (end - start) if where != "end" else b""
    (library / "catalogue.sqlite").write_bytes(content)
    indexes = sorted(file.name for file in library.glob("*/*"))
    line(glossator("ingest", template / "docs", "--library", library, "--json"), "catalogue.sqlite is damaged")
    line(glossator("check", "--library", library, "--repair"), "catalogue.sqlite is damaged")
    assert sorted(file.name for file in library.glob("*/*")) == indexes


def test_a_document_must_be_meant_by_its_name(library: Path, glossator: Run, tmp_path: Path) -> None:
    before = entries(library)
    line(glossator("remove", "nothing.pdf", "--library", library, "--json"), "no document is 'nothing.pdf'")
    line(glossator("remove", "", "--library", library, "--json"), "no document is ''")
    with Library.open(library).writing("a test"):
        for name in ("aa11", "aa22"):
            Library.open(library).put_failure(name, "pdf", name, "is empty", f"/{name}.pdf", f"{name}.pdf", "")
    line(glossator("remove", "aa", "--library", library), "2 documents are meant by 'aa'")
    line(glossator("remove", before[0].document_id, "zz", "--library", library), "no document is 'zz'")
    assert [entry for entry in entries(library) if entry.status == "ready"] == before
    result = glossator("remove", "aa1", "aa22.pdf", "--library", library, "--json")
    assert (result.returncode, json.loads(result.stdout)) == (0, {"removed": ["aa11", "aa22"]})
    assert entries(library) == before


def test_nothing_stays_of_a_removed_document(library: Path, glossator: Run, template: Path) -> None:
    result = glossator("remove", template / "docs" / "otter.pdf", "--library", library, "--json")
    assert result.returncode == 0, result.stderr
    assert [entry.title for entry in entries(library)] == ["Tales of the beaver"]
    assert problems(library) == []
    assert found(library, "otter") == []
    assert not [file for file in library.rglob("*") if file.is_file() and b"otter" in file.read_bytes().lower()]


def test_a_port_in_use_is_named(kept: Path, glossator: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line(glossator("serve", "--library", kept, "--port", port), f"127.0.0.1:{port}", "--port")


def test_output_that_nobody_reads_is_no_error_of_ours(kept: Path) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for arguments in (["documents"], ["documents", "--json"], ["remove", "nothing.pdf"], ["check"]):
        read, write = os.pipe()
        os.close(read)
        called = command(*arguments, "--library", kept)
        result = subprocess.run(
            called, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, env=buffered
        )
        os.close(write)
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        assert "BrokenPipe" not in result.stderr
    head = subprocess.Popen(["head", "-c1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    called = command("documents", "--library", kept)
    result = subprocess.run(called, cwd=ROOT, stdout=head.stdin, stderr=subprocess.PIPE, text=True, timeout=60)
    assert head.communicate() and result.stderr == ""
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command("remove", "no", "--library", kept)],
                            cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=60)  # fmt: skip
    assert closed.stderr.startswith("glossator: ") and len(closed.stderr.splitlines()) == 1


# -- files that are no documents, and files that change ----------------------------------------------------------------

ODD_NAMES = b"two words", b'quote\'s "x"', b"new\nline", b"caf\xe9", b"--help", b"[red]mark[@x"


@dataclass
class Story:
    """Two ingests of one folder that changed in between, both with --json, run in the folder above."""

    folder: Path
    library: Path
    first: subprocess.CompletedProcess[str]
    entries_first: list[DocumentEntry]
    library_first: Path  # a copy of the library as it was between the two
    second: subprocess.CompletedProcess[str]


def tree_loop(file: Path) -> None:
    """A PDF whose page tree contains itself."""
    content = make_pdf(file, [["The loop."]]).read_bytes()
    file.write_bytes(content.replace(b"/Kids [5 0 R]", b"/Kids [2 0 R]"))


def fill(docs: Path) -> None:
    story(docs / "good.pdf", "ferret")
    shutil.copy(docs / "good.pdf", docs / "good-copy.pdf")
    story(docs / "report.bin", "weasel")  # judged by content
    story(docs / "changes.pdf", "badger")
    story(docs / "becomes-garbage.pdf", "heron")
    story(docs / "becomes-text.pdf", "stork")
    (docs / "zero.pdf").write_bytes(b"")
    (docs / "text.pdf").write_text("This is no PDF at all.\n" * 100)
    (docs / "notes.bin").write_bytes(b"\0 Nor is this, and its name does not say so.")
    (docs / "garbage.pdf").write_bytes(b"%PDF-1.7\n" + random.Random(7).randbytes(5000))
    tree_loop(docs / "loop-inside.pdf")
    (docs / "dangling.pdf").symlink_to("nowhere.pdf")
    (docs / "sub").mkdir()
    (docs / "sub" / "up").symlink_to(docs, target_is_directory=True)
    (docs / "itself").symlink_to(docs / "itself")
    story(docs / ".hidden" / "secret.pdf", "secret")
    story(docs / "sub" / ".secret.pdf", "secret")
    os.mkfifo(docs / "pipe.pdf")
    for number, name in enumerate(ODD_NAMES):
        story(docs / "sub" / "x.pdf", f"bird{number}").rename(
            os.fsdecode(b"%s/%s.pdf" % (os.fsencode(docs / "sub"), name))
        )
    if DATA.is_dir():
        for name in ("malformed-pdfjsbad1586.pdf", "encrypted-aes256.pdf"):
            shutil.copyfile(PDFS / name, docs / name)
        whole = (PDFS / "specter-acl2020.pdf").read_bytes()
        (docs / "truncated.pdf").write_bytes(whole[: len(whole) // 3])


@pytest.fixture(scope="module")
def folder_story(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Story:
    folder = tmp_path_factory.mktemp("story")
    docs, library = folder / "docs", folder / "library"
    fill(docs)
    first = glossator("ingest", "docs", "--library", "library", "--json", cwd=folder)
    entries_first = entries(library)
    copied(library, folder / "library-first")
    story(docs / "changes.pdf", "walrus")
    story(docs / "good-copy.pdf", "marmot")
    (docs / "becomes-garbage.pdf").write_bytes((docs / "garbage.pdf").read_bytes())
    (docs / "becomes-text.pdf").write_text("no PDF any more")
    passwords = ["--password", "wrong", "--password", "baz"]
    second = glossator("ingest", "docs", "--library", "library", "--json", *passwords, cwd=folder)
    return Story(folder, library, first, entries_first, folder / "library-first", second)


def test_a_bad_file_is_reported_and_keeps_no_other_out(folder_story: Story) -> None:
    outcomes = by_path(folder_story.first.stdout)
    says = {
        "zero": "empty", "text": "not a PDF", "garbage": "damaged", "loop-inside": "none of its pages",
        "dangling": "cannot be read", "pipe": "not a file",
    }  # fmt: skip
    for name, words in says.items():
        outcome = outcomes[f"docs/{name}.pdf"]
        assert (outcome["status"], outcome["passages"]) == ("failed", 0)
        assert words in outcome["error"]
        assert outcome["error"].count(". ") == 1  # what, and what to do
    for name in ("good-copy.pdf", "changes.pdf", "report.bin"):
        assert outcomes[f"docs/{name}"]["status"] == "added"
        assert outcomes[f"docs/{name}"]["error"] is None


def test_ingest_with_a_failure_prints_one_json_and_one_line(folder_story: Story) -> None:
    for result in (folder_story.first, folder_story.second):
        summary = json.loads(result.stdout)
        assert summary["failed"] == sum(outcome["status"] == "failed" for outcome in summary["documents"]) > 1
        line(result, "docs/", f"(and {summary['failed'] - 1} more)")


def test_links_and_hidden_files_are_not_followed(folder_story: Story) -> None:
    paths = by_path(folder_story.first.stdout)
    assert not [path for path in paths if "secret" in path or "/up/" in path or "itself" in path or "notes" in path]


def test_file_names_may_be_anything(folder_story: Story, glossator: Run) -> None:
    outcomes = by_path(folder_story.first.stdout)
    for number, name in enumerate(ODD_NAMES):
        path = f"docs/sub/{os.fsdecode(name)}.pdf"
        assert outcomes[path]["status"] == "added"
        assert found(folder_story.library, f"bird{number}") == [f"Tales of the bird{number}"]
    path = os.fsdecode(b"docs/sub/caf\xe9.pdf")
    listed = glossator("documents", "--library", folder_story.library, "--json")
    assert [path] in [entry["paths"] for entry in json.loads(listed.stdout)["documents"]]
    arguments = "search", "swims", "--filter", f"path={path}", "--retriever", "bm25", "--library", folder_story.library
    hits = json.loads(glossator(*arguments, "--json").stdout)["hits"]
    assert {hit["path"] for hit in hits} == {path}
    assert glossator(*arguments).returncode == 0


def test_the_same_bytes_are_one_document_with_two_paths(folder_story: Story) -> None:
    ferret = next(entry for entry in folder_story.entries_first if entry.title == "Tales of the ferret")
    assert ferret.paths == ("docs/good-copy.pdf", "docs/good.pdf")
    second = by_path(folder_story.first.stdout)["docs/good.pdf"]
    assert (second["status"], second["document_id"]) == ("unchanged", ferret.document_id)
    assert not list(folder_story.library.glob("reading/*"))
    assert "the same bytes as docs/good-copy.pdf" in second["warnings"][0]
    assert len([e for e in folder_story.entries_first if e.title == ferret.title]) == 1


class NoIndexes:
    """For what ends in the catalogue."""

    library = SimpleNamespace(numbers=list, folder=Path("/nowhere"))  # too small for concepts

    def updating(self, report: object) -> contextlib.AbstractContextManager[Callable[[], None]]:
        return contextlib.nullcontext(lambda: None)

    def encoder(self) -> None:
        pass


def test_copies_are_read_side_by_side_into_one_document(tmp_path: Path) -> None:
    pages = [[f"Line {number} of page {page}: a polecat." for number in range(30)] for page in range(30)]
    make_pdf(tmp_path / "docs.pdf", pages, "Tales of the polecat")
    files = [Path(shutil.copy(tmp_path / "docs.pdf", tmp_path / f"{name}.pdf")) for name in "abc"]
    library = Library.open(tmp_path / "library", create=True)
    summary = build(files, library, NoIndexes(), load_settings().ingest)  # type: ignore[arg-type]
    assert [(outcome.status, outcome.pages) for outcome in summary.documents] == [("added", 30)] + 2 * [
        ("unchanged", 30)
    ]
    assert library.problems() == []
    assert not list((tmp_path / "library" / "reading").iterdir())


def test_removing_one_of_two_paths_removes_the_document(folder_story: Story, glossator: Run, tmp_path: Path) -> None:
    library = copied(folder_story.library_first, tmp_path / "library")
    result = glossator("remove", "docs/good-copy.pdf", "--library", library, "--json", cwd=folder_story.folder)
    assert result.returncode == 0, result.stderr
    left = [entry.document_id for entry in entries(library)]
    assert json.loads(result.stdout)["removed"] == [
        entry.document_id for entry in folder_story.entries_first if entry.document_id not in left
    ]
    assert found(library, "ferret") == []
    assert problems(library) == []


def test_a_changed_copy_releases_its_path_only(folder_story: Story) -> None:
    assert by_path(folder_story.second.stdout)["docs/good-copy.pdf"]["status"] == "updated"
    paths = {entry.title: entry.paths for entry in entries(folder_story.library)}
    assert paths["Tales of the ferret"] == ("docs/good.pdf",)
    assert paths["Tales of the marmot"] == ("docs/good-copy.pdf",)
    assert found(folder_story.library, "ferret") == ["Tales of the ferret"]


def test_a_changed_file_replaces_its_passages_everywhere(folder_story: Story) -> None:
    assert by_path(folder_story.second.stdout)["docs/changes.pdf"]["status"] == "updated"
    assert "Tales of the badger" not in [entry.title for entry in entries(folder_story.library)]
    assert (found(folder_story.library, "badger"), found(folder_story.library, "walrus")) == (
        [],
        ["Tales of the walrus"],
    )
    assert not [
        file for file in folder_story.library.rglob("*") if file.is_file() and b"badger" in file.read_bytes().lower()
    ]
    import faiss

    indexes = [faiss.read_index(str(file)) for file in (folder_story.library / "dense").glob("*.faiss")]
    numbers = [number for index in indexes for number in faiss.vector_to_array(index.id_map).tolist()]
    assert sorted(numbers) == Library.open(folder_story.library).numbers()


def test_a_file_that_became_garbage_keeps_its_earlier_version(folder_story: Story) -> None:
    outcomes = by_path(folder_story.second.stdout)
    for name, bird in (("becomes-garbage", "heron"), ("becomes-text", "stork")):
        assert outcomes[f"docs/{name}.pdf"]["status"] == "failed"
        assert "version read before stays" in outcomes[f"docs/{name}.pdf"]["error"]
        assert found(folder_story.library, bird) == [f"Tales of the {bird}"]


def test_a_file_that_failed_before_is_unchanged_and_says_why_again(folder_story: Story) -> None:
    first, second = by_path(folder_story.first.stdout), by_path(folder_story.second.stdout)
    for name, status in (("garbage", "unchanged"), ("zero", "failed"), ("text", "failed")):
        assert first[f"docs/{name}.pdf"]["status"] == "failed"
        assert second[f"docs/{name}.pdf"]["status"] == status  # what is no PDF at all never came into the library
        assert second[f"docs/{name}.pdf"]["error"] == first[f"docs/{name}.pdf"]["error"]


def test_after_all_that_the_library_is_whole(folder_story: Story, glossator: Run) -> None:
    assert problems(folder_story.library_first) == []
    checked = glossator("check", "--library", folder_story.library, "--json")
    assert (checked.returncode, json.loads(checked.stdout)["ok"]) == (0, True)


@needs_data
def test_damaged_and_truncated_pdfs_of_the_world(folder_story: Story) -> None:
    outcomes = by_path(folder_story.first.stdout)
    assert outcomes["docs/malformed-pdfjsbad1586.pdf"]["status"] == "added"
    truncated = outcomes["docs/truncated.pdf"]
    assert truncated["error"] if truncated["status"] == "failed" else truncated["warnings"]


@needs_data
def test_an_encrypted_file_needs_its_password(folder_story: Story, glossator: Run, tmp_path: Path) -> None:
    path = "docs/encrypted-aes256.pdf"
    refused = by_path(folder_story.first.stdout)[path]
    assert refused["status"] == "failed"
    assert "--password" in refused["error"]
    library = copied(folder_story.library_first, tmp_path / "library")
    wrong = glossator("ingest", path, "--library", library, "--password", "no", "--json", cwd=folder_story.folder)
    line(wrong, path, "no password that was given opens it")
    assert by_path(wrong.stdout)[path]["status"] == "failed"
    opened = by_path(folder_story.second.stdout)[path]
    assert (opened["status"], opened["error"], opened["pages"]) == ("updated", None, 1)


@needs_data
def test_a_document_that_can_no_longer_be_read_anew_stays(folder_story: Story, glossator: Run, tmp_path: Path) -> None:
    library = copied(folder_story.library, tmp_path / "library")
    before = entries(library)
    arguments = "ingest", "docs/encrypted-aes256.pdf", "--library", library, "--json"
    result = glossator("--set", "ingest.passage_tokens=100", *arguments, cwd=folder_story.folder)
    line(result, "encrypted", "version read before stays")
    assert entries(library) == before


@pytest.mark.parametrize("what", ["an empty folder", "a folder without documents", "a missing path"])
def test_nothing_to_ingest(kept: Path, glossator: Run, tmp_path: Path, what: str) -> None:
    path = tmp_path / "docs"
    if what != "a missing path":
        path.mkdir()
    if what == "a folder without documents":
        (path / "notes.bin").write_bytes(b"\0 words")
    result = glossator("ingest", path, "--library", kept, "--json")
    line(result, str(path), "no such file or folder" if what == "a missing path" else "no documents")
    assert json.loads(result.stdout)["failed"] == 1


def test_what_may_not_be_read_is_named_and_the_rest_is_read(library: Path, template: Path, tmp_path: Path) -> None:
    docs = copied(template / "docs", tmp_path / "docs")
    story(docs / "locked.pdf", "lynx").chmod(0)
    story(docs / "cellar" / "x.pdf", "lynx").parent.chmod(0)
    story(docs / "attic" / "x.pdf", "lynx").chmod(0)
    paths = [docs, docs / "locked.pdf", docs / "cellar" / "x.pdf"]
    result = without_rights("ingest", *paths, "--library", library, "--json")
    (docs / "cellar").chmod(0o755)
    summary = json.loads(result.stdout)
    assert (summary["failed"], summary["unchanged"]) == (5, 2)
    assert all("ermission" in outcome["error"] for outcome in summary["documents"] if outcome["status"] == "failed")
    line(result, "ermission")
    assert problems(library) == []


# -- folders, disks and memory -----------------------------------------------------------------------------------------


def test_a_library_that_may_not_be_written_can_be_read(library: Path, tmp_path: Path) -> None:
    new, before = story(tmp_path / "new.pdf", "lynx"), entries(library)
    gc.collect()  # closes our own connection, which takes its -shm file along
    folders = [library, library / "lexical", library / "sparse", library / "dense"]
    for path in [*library.rglob("*"), library]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    line(without_rights("ingest", new, "--library", library, "--json"), str(library), "ermission")
    line(without_rights("ingest", new, "--library", library / "below"), str(library / "below"), "ermission")
    listed = without_rights("documents", "--library", library, "--json")
    assert len(json.loads(listed.stdout)["documents"]) == 2
    hits = without_rights("search", "otter", "--library", library, "--retriever", "bm25", "--json")
    assert len(json.loads(hits.stdout)["hits"]) == 1
    for path in [*folders, *library.rglob("*")]:
        path.chmod(0o755)
    assert entries(library) == before
    assert problems(library) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "glossator-test", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (that takes root)")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_loses_nothing(small_disk: Path, template: Path, glossator: Run, tmp_path: Path) -> None:
    """At 0 KB free nothing can be written; at 250 the document does not fit the catalogue; at 400 not the indexes.

    Somebody reads the library all along: SQLite's file for that cannot be made on a full disk.
    """
    before = entries(template / "library")
    reader = Library.open(template / "library")
    words = " ".join(f"word{number}" for number in range(10))
    large = make_pdf(tmp_path / "large.pdf", [[f"{words} {page} {n}" for n in range(50)] for page in range(9)], "Large")
    in_catalogue = []
    for free_kb in (0, 250, 400):
        assert len(reader.documents()) == len(before)
        library = Path(shutil.copytree(template / "library", small_disk / str(free_kb)))
        with (small_disk / "ballast").open("wb") as ballast:
            ballast.write(b"x" * (shutil.disk_usage(small_disk).free - (free_kb << 10)))
        line(glossator("ingest", large, "--library", library, "--json"), str(library), "again")
        in_catalogue.append(len(entries(library)) > len(before))
        assert [entry for entry in entries(library) if entry.title != "Large"] == before
        search = glossator("search", "otter", "--library", library, "--retriever", "bm25", "--json")
        assert json.loads(search.stdout)["hits"][0]["title"] == "Tales of the otter"
        (small_disk / "ballast").unlink()
    assert in_catalogue == [False, False, True]
    again = glossator("ingest", large, "--library", library, "--json")
    assert again.returncode == 0, again.stderr
    assert problems(library) == []
    assert found(library, "word3")[0] == "Large"


def replace_pages(whole: Path, bad: Path, contents: dict[int, bytes]) -> Path:
    """A copy of a PDF in which some pages have this content, deflated."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, NameObject

    writer = PdfWriter(clone_from=whole)
    for page, content in contents.items():
        stream = DecodedStreamObject()
        stream.set_data(content)
        writer.pages[page - 1][NameObject("/Contents")] = writer._add_object(stream.flate_encode())
    writer.write(bad)
    return bad


def test_a_page_that_hangs_or_eats_memory_is_left_out(tmp_path: Path, glossator: Run) -> None:
    hangs = b"BT /F1 11 Tf " + b"(a) Tj\n" * 1_500_000 + b" ET"
    bomb = b"BT /F1 11 Tf (" + b"a" * (60 << 20) + b") Tj ET"
    whole = make_pdf(tmp_path / "whole.pdf", [[f"The lynx sits on page {page}."] for page in range(1, 7)], "Bad pages")
    bad = replace_pages(whole, tmp_path / "bad.pdf", {2: hangs, 4: bomb, 6: b" " * (200 << 20)})
    limits = "--set", "ingest.page_seconds=2", "--set", "ingest.memory_mb=256"
    result = glossator(*limits, "ingest", bad, "--library", tmp_path / "library", "--json")
    assert result.returncode == 0, result.stderr
    outcome = by_path(result.stdout)[str(bad)]
    assert (outcome["pages"], [warning.split(":")[0] for warning in outcome["warnings"]]) == (
        6,
        ["page 2", "page 4", "page 6"],
    )
    assert "took longer than 2 s" in outcome["warnings"][0] or "memory" in outcome["warnings"][0]
    hits = Indexes(Library.open(tmp_path / "library"), load_settings()).retriever("bm25").search(["lynx"], 5)[0]
    assert (hits[0].passage.locator.first_page, hits[-1].passage.locator.last_page) == (1, 5)


# -- interruptions -----------------------------------------------------------------------------------------------------


def running(mark: str) -> list[str]:
    """The command lines of the processes whose environment holds the mark, children of children too."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it ended meanwhile
            continue
    return [line for line in lines if line]


def assert_ended(mark: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while HAVE_PROC and running(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not HAVE_PROC or running(mark) == []


def start(mark: str, *arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "GLOSSATOR_TEST_MARK": mark}
    return subprocess.Popen(
        command(*arguments),
        env=environment,
        cwd=ROOT,
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_what_was_finished(
    library: Path, template: Path, tmp_path: Path, glossator: Run, number: signal.Signals
) -> None:
    docs, mark = copied(template / "docs", tmp_path / "docs"), uuid.uuid4().hex
    for animal in ("lynx", "marten", "stoat", "vole"):
        story(docs / f"{animal}.pdf", animal, pages=40)
    process = start(mark, "ingest", docs, "--library", library, "--jobs", "1", "--json")
    wait_for(lambda: len(entries(library)) > 2)
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate(timeout=30)
    line(subprocess.CompletedProcess([], process.returncode, stdout, stderr), "interrupted", "run the same command")
    assert stdout == ""
    assert_ended(mark, 1)
    done = entries(library)
    assert len(done) > 2
    if number == signal.SIGTERM:
        return
    again = glossator("ingest", docs, "--library", library, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["added"] == 6 - len(done)
    assert problems(library) == []
    for animal in ("otter", "beaver", "lynx", "marten", "stoat", "vole"):
        assert set(found(library, animal)) == {f"Tales of the {animal}"}


def killed(docs: Path, library: Path, seconds: float) -> Path:
    """The library, after an ingest that was killed this long after its start and left no process behind."""
    mark = uuid.uuid4().hex
    process = start(mark, "ingest", docs, "--library", library)
    time.sleep(seconds)
    process.kill()
    process.communicate()
    assert_ended(mark, 10)
    return library


def ingest_here(docs: Path, library: Path) -> None:
    """What `glossator ingest` does, in this process, where the encoder's libraries are loaded once only."""
    indexes = Indexes(Library.open(library), load_settings())
    assert build([docs], indexes.library, indexes, indexes.settings.ingest).count("failed") == 0


@pytest.mark.slow
def test_killed_at_any_moment(template: Path, tmp_path: Path, glossator: Run) -> None:
    """Two new documents and a changed one; killed at four moments between start and end, two libraries at a time."""
    docs = copied(template / "docs", tmp_path / "docs")
    first = copied(template / "library", tmp_path / "first")
    with contextlib.closing(sqlite3.connect(first / "catalogue.sqlite")) as connection:  # as if read from our copy
        connection.execute("UPDATE paths SET path = replace(path, ?, ?)", (str(template / "docs"), str(docs)))
        connection.commit()
    story(docs / "otter.pdf", "stoat")
    for animal in ("lynx", "marten"):
        story(docs / f"{animal}.pdf", animal, pages=30)
    chance, seconds = random.Random(20), float((template / "seconds.txt").read_text())
    moments = [seconds * (number + chance.random()) / 4 for number in range(4)]
    libraries = [copied(first, tmp_path / f"killed-{number}") for number in range(4)]
    with ThreadPoolExecutor(2) as two:
        for number, library in enumerate(two.map(killed, [docs] * 4, libraries, moments)):
            if number == 3:
                again = glossator("ingest", docs, "--library", library, "--json")
                assert again.returncode == 0, again.stderr
            else:
                ingest_here(docs, library)
            assert problems(library) == []
            pages = {entry.title.split()[-1]: entry.pages for entry in entries(library)}
            assert pages == {"beaver": 2, "lynx": 30, "marten": 30, "stoat": 2}
            for animal in pages:
                assert set(found(library, animal)) == {f"Tales of the {animal}"}
            assert found(library, "otter") == []


def test_there_is_one_writer_and_it_has_a_name(library: Path, template: Path, glossator: Run) -> None:
    with Library.open(library).writing("a test that takes its time"):
        for arguments in (["ingest", template / "docs"], ["remove", template / "docs" / "otter.pdf"]):
            line(glossator(*arguments, "--library", library, "--json"), f"process {os.getpid()} on", "takes its time")
        search = glossator("search", "otter", "--library", library, "--retriever", "bm25", "--json")
        assert json.loads(search.stdout)["hits"][0]["title"] == "Tales of the otter"
        assert len(json.loads(glossator("documents", "--library", library, "--json").stdout)["documents"]) == 2
    assert glossator("ingest", template / "docs", "--library", library).returncode == 0


# -- indexes -----------------------------------------------------------------------------------------------------------


def small_encoder(folder: Path) -> Path:
    """A BERT of 16 dimensions that has learned nothing."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(1)
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "otter", "river", "swims", "fish"]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_another_encoder_is_said_before_it_does_harm(library: Path, glossator: Run, tmp_path: Path) -> None:
    other = "--set", f"dense.model={small_encoder(tmp_path / 'encoder')}"
    new = story(tmp_path / "new.pdf", "lynx")
    for arguments in (["search", "otter"], ["ingest", new]):
        line(glossator(*other, *arguments, "--library", library, "--json"), "was built with", "check --library")
    lexical = glossator(*other, "search", "otter", "--retriever", "bm25", "--library", library, "--json")
    assert len(json.loads(lexical.stdout)["hits"]) == 1
    checked = glossator(*other, "check", "--library", library, "--json")
    assert (checked.returncode, json.loads(checked.stdout)["ok"]) == (1, False)
    mended = glossator(*other, "check", "--library", library, "--repair", "--json")
    assert mended.returncode == 0, mended.stderr
    assert json.loads(mended.stdout)["ok"]
    assert len(json.loads(mended.stdout)["repaired"]) == 1
    line(glossator("search", "otter", "--library", library), "was built with")  # the default is the other one now
    assert len(entries(library)) == 2


def test_an_index_of_another_sparse_encoder_is_refused_by_name(library: Path, glossator: Run) -> None:
    other = "--set", "sparse.max_tokens=64"
    told = glossator(*other, "search", "otter", "--library", library, "--retriever", "sparse", "--json")
    line(told, "glossator-sparse", "256 tokens", "64 tokens", "check --library")
    # How queries are made is no part of it.
    siamese = glossator(
        "--set", "sparse.method=SPLADE", "search", "otter", "--library", library, "--retriever", "sparse", "--json"
    )
    assert [hit["title"] for hit in json.loads(siamese.stdout)["hits"]][:1] == ["Tales of the otter"]
    unknown = glossator("--set", "sparse.method=SPLAD", "search", "otter", "--library", library)
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "SPLAD" in unknown.stderr and "uniCOIL" in unknown.stderr


def test_questions_of_odd_words_are_searched_without_a_crash(library: Path) -> None:
    indexes = Indexes(Library.open(library), load_settings())
    for name in ("sparse", "hybrid"):
        retriever = open_retriever(indexes, name)
        for query in ("😀 🦦", "?!", "the of and", "紅樓夢", "x" * 3_999):
            hits = retriever.search([query], 5)[0]
            assert name == "hybrid" or query not in ("😀 🦦", "?!") or hits == []
        assert retriever.search(["otter " * 600], 5)[0][0].passage.title == "Tales of the otter"


def overwrite(file: Path, start: int, end: int) -> None:
    content = bytearray(file.read_bytes())
    content[start:end] = random.Random(3).randbytes(len(content[start:end]))
    file.write_bytes(content)


def make_stale(library: Path) -> None:
    record = json.loads((library / "lexical" / "built.json").read_text())
    (library / "lexical" / "built.json").write_text(json.dumps(record | {"generation": 1}))


def make_unknown(library: Path) -> None:
    for name in ("lexical", "sparse", "dense"):
        (library / name / "built.json").unlink()
    overwrite(library / "lexical" / "_0.cfs", 0, 10_000)


def make_unreadable(library: Path) -> None:
    for file in (library / "lexical").glob("segments_*"):
        overwrite(file, 0, 20)


BREAK: dict[str, Callable[[Path], None]] = {
    "stale": make_stale,
    "no record": lambda library: (library / "lexical" / "built.json").unlink(),
    "nonsense for a record": lambda library: overwrite(library / "lexical" / "built.json", 3, 30),
    "a file overwritten": lambda library: overwrite(library / "lexical" / "_0.cfs", 700, 720),
    "a file emptied": lambda library: overwrite(library / "lexical" / "_0.cfs", 0, 10_000),
    "the head overwritten": make_unreadable,
    "a folder gone": lambda library: shutil.rmtree(library / "lexical"),
}


@pytest.mark.parametrize("how", BREAK)
def test_a_bad_lexical_index_is_noticed_and_mended(library: Path, glossator: Run, how: str) -> None:
    BREAK[how](library)
    assert problems(library) != []
    result = glossator("search", "otter", "--library", library, "--retriever", "bm25", "--json")
    assert result.returncode == 0, result.stderr
    assert [hit["title"] for hit in json.loads(result.stdout)["hits"]] == ["Tales of the otter"]
    assert all(text.startswith("glossator: ") and "lexical" in text for text in result.stderr.splitlines())
    assert result.stderr
    assert problems(library) == []


def test_a_search_by_words_needs_no_encoder(library: Path, glossator: Run, tmp_path: Path) -> None:
    for name in ("lexical", "sparse", "dense"):
        (library / name / "built.json").unlink()
    arguments = "search", "otter", "--library", library, "--json", "--retriever"
    nothing_fetched = {"GLOSSATOR_MODELS": str(tmp_path / "models")}
    result = glossator(*arguments, "bm25", env=nothing_fetched)
    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)["hits"]) == 1
    dense = glossator(*arguments, "dense", env=nothing_fetched)
    assert (dense.returncode, dense.stdout) == (1, "")
    assert "glossator models fetch" in dense.stderr.splitlines()[-1]


def test_bad_indexes_are_mended_from_the_catalogue(library: Path, glossator: Run) -> None:
    make_unknown(library)
    os.truncate(library / "dense" / "vectors.faiss", 300)
    checked = glossator("check", "--library", library, "--json")
    assert (checked.returncode, json.loads(checked.stdout)["ok"]) == (1, False)
    result = glossator("search", "an animal that swims", "--library", library, "--json")
    assert result.returncode == 0, result.stderr
    assert len(json.loads(result.stdout)["hits"]) == 2
    assert "lexical and sparse and dense not up to date" in result.stderr
    assert problems(library) == []


def test_a_damaged_dense_index_is_said_in_one_line(library: Path, glossator: Run, template: Path) -> None:
    os.truncate(library / "dense" / "vectors.faiss", 300)
    with Library.open(library).writing("a test"):  # so it cannot be mended
        line(glossator("search", "otter", "--library", library), "is being written by")
        lexical = glossator("search", "otter", "--library", library, "--retriever", "bm25", "--json")
    assert len(json.loads(lexical.stdout)["hits"]) == 1
    assert len(problems(library)) == 1
    assert "its end is damaged" in problems(library)[0]


def test_a_library_is_found_whatever_the_locale(template: Path, tmp_path: Path, glossator: Run) -> None:
    library = copied(template / "library", tmp_path / "Bücher 本")
    search = "search", "otter", "--library", library, "--retriever", "bm25"
    for arguments in (search, (*search, "--json"), ("documents", "--library", library)):
        result = glossator(*arguments, env={"LC_ALL": "C"})
        assert (result.returncode, result.stderr) == (0, "")
    no_text = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    line(glossator("ingest", template / "docs", "--library", no_text), "no text")


# -- readers -----------------------------------------------------------------------------------------------------------


def event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": [choice]}
    return b"data: %s\n\n" % json.dumps(chunk).encode()


REPLIES: dict[str, tuple[int, str, bytes, int]] = {  # path -> status, type, body, bytes announced but never sent
    "page": (200, "text/html", b"<html>Please log in</html>", 0),
    "no-choices": (200, "application/json", b'{"hello": 1}', 0),
    "error": (500, "application/json", b'{"error": {"message": "out of order"}}', 0),
    "empty": (200, "text/event-stream", b"", 0),
    "only-done": (200, "text/event-stream", b"data: [DONE]\n\n", 0),
    "torn": (200, "text/event-stream", b'data: {"choi\n\n', 0),
    "cut": (200, "text/event-stream", event("in the ri"), 100),
    "stopped": (200, "text/event-stream", event("in the ri"), 0),
    "whole": (200, "text/event-stream", event("in the river") + event("", "stop") + b"data: [DONE]\n\n", 0),
    "hanging": (200, "text/event-stream", b"", -1),
}


class Nonsense(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, kind, body, missing = REPLIES[self.path.split("/")[1]]
        if missing < 0:
            time.sleep(8)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) + max(missing, 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Nonsense)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("reply", ["page", "hanging", "nobody there"])
def test_an_endpoint_that_talks_nonsense_is_named(kept: Path, glossator: Run, endpoint: str, reply: str) -> None:
    model = "http://127.0.0.1:9/v1#x" if reply == "nobody there" else f"{endpoint}/{reply}/v1#x"
    settings = "--set", f"reader.model={model}", "--set", f"reader.timeout_seconds={0.5 if reply == 'hanging' else 20}"
    arguments = "ask", "where does the otter swim?", "--library", kept, "--retriever", "bm25", "--json"
    result = glossator(*settings, *arguments, timeout=60)
    assert result.stdout == ""
    line(result, f"reader {model} did not answer", "Check that it is running")


@pytest.mark.parametrize("reply", [name for name in REPLIES if name not in ("whole", "hanging")])
def test_nonsense_is_never_an_answer(endpoint: str, reply: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.llm.retries.FIRST_WAIT", 0.01)
    reader = open_reader(ReaderSettings(model=f"{endpoint}/{reply}/v1#x"))
    with pytest.raises(ReaderError, match=f"/{reply}/v1#x did not answer"):
        list(reader.stream([("user", "where does the otter swim?")], 8))
    with pytest.raises(ReaderError, match=f"/{reply}/v1#x did not answer"):
        reader.yes_probability([("user", "does the otter swim?")])


def test_an_endpoint_that_answers_is_believed(kept: Path, glossator: Run, endpoint: str) -> None:
    arguments = "ask", "where does the otter swim?", "--library", kept, "--retriever", "bm25", "--reader", "direct"
    result = glossator("--set", f"reader.model={endpoint}/whole/v1#x", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["answer"].startswith("in the river")


def test_a_reader_that_is_not_there_is_named(kept: Path, glossator: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    for says in ("no such file", "cannot load"):
        settings = "--set", f"reader.model={bad}"
        line(glossator(*settings, "ask", "otter?", "--library", kept, "--retriever", "bm25"), f"{bad}: ", says)
        bad.write_bytes(b"GGUF" + b"x" * 1000)
