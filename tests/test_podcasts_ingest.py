"""Podcasts in the library: what is taken, when it is read again, passages, filters, places, chapters; the program."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.build import Summary, build
from ingest.child_process import Children, Limits, Stopped, first_reply
from ingest.chunk import chunk
from ingest.kinds import kind_of
from ingest.podcast import chapter_store as chaptering
from ingest.podcast import episode_reading
from ingest.podcast.rechapter import rechapter
from ingest.read import content_id, find_files
from ingest.text_passages import count_tokens
from rag.document import Chapter, Document, Episode, Page, Utterance
from rag.errors import DocumentError, UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.episodes import from_json, seconds_of, speakers_in, to_json
from rag.read.cite import cite
from rag.read.quotes import Quote
from rag.records import Hit
from rag.settings import load_settings
from tests.conftest import DATA, LIGHT_READER, Run, needs_data
from tests.pdfs import make_pdf
from tests.test_links_catalogue import held_by_another, to_layout_3
from ui import chapter_formats as written
from ui.cli import json_layouts as layouts
from ui.cli.text import hits_text
from ui.web.workers.answer_worker import places_of
from ui.wording import place_text, printable

VTT = """WEBVTT

00:00:01.000 --> 00:00:05.000
<v Ada Lind>Welcome to the show about wind mills.

00:00:05.000 --> 00:00:11.000
<v Bo Aas>The Kolm mill was built of oak in 1871.

01:02:03.000 --> 01:02:09.000
<v Ada Lind>And how is the flour sifted today?

01:02:09.000 --> 01:02:19.000
<v Bo Aas>We filter_passages it through silk, as the old miller did.
"""
SRT = """1
00:00:00,000 --> 00:00:04,000
Bees dance to show where the clover is.

2
00:00:04,000 --> 00:00:09,000
Wax is made by young bees in summer.
"""
META = "---\ntitle: The Kolm mill\nshow: Old Trades\npublished: 2023-02-27\n---\n\nA miller talks about oak and silk.\n"
MAKERS = {
    "version": "1.2.0",
    "chapters": [{"startTime": 0, "title": "The mill"}, {"startTime": 3723, "title": "Flour"}],
}


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with an episode and all that may lie beside it, one alone, a PDF, and what is no document."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "mill.vtt").write_text(VTT)
    (folder / "mill.meta.md").write_text(META)
    (folder / "mill.shownotes.md").write_text("00:00 Start\n1:02:03 Flour\n")
    (folder / "mill.chapters.json").write_text(json.dumps(MAKERS))
    (folder / "mill.mp3").write_bytes(b"ID3")
    (folder / "bees.srt").write_text(SRT)
    (folder / "README.md").write_text("# Of this folder\n\nIt holds two talks.\n")
    make_pdf(folder / "ships.pdf", [["The frigate sailed from Lisbon."]], "Ships")
    return folder


def halves(document: Document, *given: Any) -> Iterator[Chapter]:
    """In place of chapters_of: two chapters, without an encoder."""
    assert document.episode
    said = document.episode.utterances
    middle = said[len(said) // 2]
    yield Chapter("First half", 0, middle.start, said[0].start_seconds, middle.start_seconds)
    yield Chapter("Second half", middle.start, said[-1].end, middle.start_seconds, said[-1].end_seconds)


class NoIndexes:
    """In place of the indexes, where only the catalogue matters: no encoder is loaded."""

    def __init__(self, library: Library, *settings: str):
        self.library, self.settings = library, load_settings(settings)

    @contextlib.contextmanager
    def updating(self, report: object) -> Iterator[Callable[[], None]]:
        yield lambda: None

    def encoder(self) -> object:
        return SimpleNamespace()

    def built_with(self, name: str) -> str:
        return "nothing"

    def dense(self) -> object:
        return SimpleNamespace(vectors=lambda numbers: [], unit_vectors=lambda numbers: None)


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Indexes:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    return cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))


def ingested(indexes: Indexes, *paths: Path, kind: str = "auto", settings: Sequence[str] = ()) -> Summary:
    indexes.settings = load_settings(settings)
    return build(paths, indexes.library, indexes, indexes.settings.ingest, kind=kind)


def statuses(summary: Summary) -> dict[str, str]:
    return {Path(outcome.path).name: outcome.status for outcome in summary.documents}


def an_episode(indexes: Indexes, shelf: Path, name: str = "mill.vtt") -> Document:
    return indexes.library.document(content_id(shelf / name))


# -- which files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("auto", ["bees.srt", "mill.vtt", "ships.pdf"]),
        ("podcast", ["bees.srt", "mill.vtt"]),
        ("pdf", ["ships.pdf"]),
    ],
)
def test_a_folder_gives_its_documents_of_a_kind_and_nothing_beside_them(
    shelf: Path, kind: str, names: list[str]
) -> None:
    assert [cast(Path, file).name for file in find_files(shelf, shelf / "library", kind)] == names


def test_content_decides_what_a_file_is_and_a_kind_overrules_it(shelf: Path) -> None:
    (shelf / "talk.bin").write_text(VTT)
    (shelf / "odd.txt").write_text("Just a line of words.\n")
    (shelf / "odd.bin").write_bytes(b"\0 words")
    assert (kind_of(shelf / "talk.bin"), kind_of(shelf / "ships.pdf")) == ("podcast", "pdf")
    assert (kind_of(shelf / "odd.txt", "podcast"), kind_of(shelf / "odd.txt")) == ("podcast", "text")
    for name, kind, why in [
        ("odd.bin", "auto", "of no kind that is read here"),
        ("mill.vtt", "pdf", "is not a PDF"),
        ("mill.shownotes.md", "auto", "read with the transcript beside it"),
        ("mill.chapters.json", "podcast", "read with the transcript beside it"),
    ]:
        with pytest.raises(DocumentError, match=why):
            kind_of(shelf / name, kind)


@pytest.mark.parametrize(
    ("kind", "holds"),
    [("auto", "no documents that can be read"), ("pdf", "no PDFs"), ("podcast", "no transcripts")],
)
def test_an_empty_folder_says_what_it_does_not_hold(tmp_path: Path, kind: str, holds: str) -> None:
    with pytest.raises(DocumentError, match=f"holds {holds}. Name a folder"):
        find_files(tmp_path, tmp_path / "library", kind)


# -- what is stored, and when it is read again -----------------------------------------------------------------------


def test_an_episode_is_stored_with_all_that_lies_beside_it(indexes: Indexes, shelf: Path) -> None:
    summary = ingested(indexes, shelf)
    assert statuses(summary) == {"bees.srt": "added", "mill.vtt": "added", "ships.pdf": "added"}
    mill = an_episode(indexes, shelf)
    assert (mill.kind, mill.title, mill.pages) == ("podcast", "The Kolm mill", (Page(1, 0, len(mill.text)),))
    assert mill.episode is not None
    assert (mill.episode.show, mill.episode.date) == ("Old Trades", "2023-02-27")
    assert mill.episode.audio == str(shelf / "mill.mp3") and "oak and silk" in mill.episode.description
    assert [(c.title, c.source) for c in mill.episode.chapters] == [("The mill", "maker"), ("Flour", "maker")]
    bees = an_episode(indexes, shelf, "bees.srt").episode
    assert bees and [(c.title, c.source) for c in bees.chapters] == [("First half", "ours"), ("Second half", "ours")]
    assert indexes.library.episode(content_id(shelf / "ships.pdf")) is None
    passages = [p for _, p in indexes.library.passages_since(0) if p.document_id == mill.document_id]
    assert [(p.locator.searched, p.locator.start_seconds, p.locator.end_seconds) for p in passages] == [
        ("The mill", 1.0, 11.0), ("Flour", 3723.0, 3739.0),
    ]  # fmt: skip
    assert {p.description for p in passages} == {mill.episode.description}
    assert indexes.library.problems() == []
    assert not list((indexes.library.folder / "reading").glob("*.chapters"))


def test_what_changed_beside_a_transcript_is_read_and_else_nothing(indexes: Indexes, shelf: Path) -> None:
    ingested(indexes, shelf)
    generation = indexes.library.generation
    assert set(statuses(ingested(indexes, shelf)).values()) == {"unchanged"}
    assert indexes.library.generation == generation
    (shelf / "mill.meta.md").write_text(META.replace("The Kolm mill", "Another title"))
    again = ingested(indexes, shelf)
    assert statuses(again) == {"bees.srt": "unchanged", "mill.vtt": "updated", "ships.pdf": "unchanged"}
    assert an_episode(indexes, shelf).title == "Another title"
    (shelf / "mill.chapters.json").unlink()
    (shelf / "mill.shownotes.md").unlink()
    assert statuses(ingested(indexes, shelf))["mill.vtt"] == "updated"
    episode = an_episode(indexes, shelf).episode
    assert episode and {chapter.source for chapter in episode.chapters} == {"ours"}
    sizes = statuses(ingested(indexes, shelf, settings=["ingest.passage_tokens=20", "ingest.overlap_tokens=0"]))
    assert set(sizes.values()) == {"updated"}
    other = statuses(ingested(indexes, shelf, settings=["chapters.method=reader", "ingest.passage_tokens=20",
                                                        "ingest.overlap_tokens=0"]))  # fmt: skip
    assert other["ships.pdf"] == "unchanged"


def test_copies_are_one_document_and_what_lies_beside_the_first_counts(indexes: Indexes, shelf: Path) -> None:
    (shelf / "a-copy.vtt").write_text(VTT)
    for expected in ({"added", "unchanged"}, {"unchanged"}, {"unchanged"}):
        assert set(statuses(ingested(indexes, shelf, kind="podcast")).values()) == expected
    (entry,) = [e for e in indexes.library.documents() if len(e.paths) == 2]
    assert entry.title == "a-copy"


def test_a_transcript_that_can_no_longer_be_read_leaves_what_was_stored(indexes: Indexes, shelf: Path) -> None:
    ingested(indexes, shelf / "mill.vtt")
    before = an_episode(indexes, shelf)
    (shelf / "mill.vtt").write_text("WEBVTT\n\n")
    (outcome,) = ingested(indexes, shelf / "mill.vtt").documents
    assert outcome.status == "failed" and outcome.kind == "podcast"
    assert outcome.error and outcome.error.endswith("The version read before stays in the library")
    assert indexes.library.document(before.document_id) == before
    (empty,) = ingested(indexes, shelf / "mill.vtt", kind="podcast").documents
    assert empty.status == "failed"


def test_a_transcript_is_read_within_limits(indexes: Indexes, tmp_path: Path) -> None:
    cue = "00:{:02}:{:02}.000 --> 00:{:02}:{:02}.500\nHello there, all of you.\n\n"
    text = "WEBVTT\n\n" + "".join(cue.format(*divmod(i % 3600, 60), *divmod(i % 3600, 60)) for i in range(200_000))
    (tmp_path / "long.vtt").write_text(text)
    (outcome,) = ingested(indexes, tmp_path / "long.vtt", settings=["ingest.memory_mb=128"]).documents
    assert outcome.status == "failed" and outcome.error and "memory" in outcome.error


# -- passages ------------------------------------------------------------------------------------------------------

WORDS = st.lists(st.sampled_from(["wind", "mill", "a", "flour.", "oak?", "extraordinarily"]), min_size=1, max_size=30)
SAID = st.lists(st.tuples(st.sampled_from(["", "Ada", "Bo"]), WORDS, st.booleans()), min_size=1, max_size=12)


def an_episode_of(said: list[tuple[str, list[str], bool]]) -> Document:
    """An utterance each of (speaker, words, whether a chapter begins), one character a second."""
    text, utterances, begins = "", [], [0]
    for speaker, words, begin in said:
        start = len(text)
        if begin and start:
            begins.append(start)
        spoken = " ".join(words)
        utterances.append(Utterance(start, start + len(spoken), float(start), float(start + len(spoken)), speaker))
        text += spoken + "\n"
    text = text.rstrip("\n")
    ends = [*begins[1:], len(text)]
    chapters = [
        Chapter(f"Chapter {n}", a, b, float(a), float(b)) for n, (a, b) in enumerate(zip(begins, ends, strict=True))
    ]
    episode = Episode(utterances=tuple(utterances), chapters=tuple(chapters))
    return Document("d", "podcast", "T", text, (Page(1, 0, len(text)),), episode=episode)


@given(said=SAID, size=st.integers(4, 40), overlap=st.integers(0, 20))
def test_passages_are_whole_utterances_of_one_chapter(
    said: list[tuple[str, list[str], bool]], size: int, overlap: int
) -> None:
    document = an_episode_of(said)
    assert document.episode
    utterances, chapters = document.episode.utterances, document.episode.chapters
    passages = chunk(document, size, overlap)
    covered = {i for p in passages for i in range(p.start, p.end)}
    assert all(i in covered or c.isspace() for i, c in enumerate(document.text))
    long = [u for u in utterances if count_tokens(document.text[u.start : u.end]) > size]
    for number, p in enumerate(passages):
        assert p.passage_id == f"d#{number}" and p.text == document.text[p.start : p.end]
        assert count_tokens(p.text) <= size
        (chapter,) = [c for c in chapters if c.start < p.end and p.start < c.end]
        assert p.locator.searched == chapter.title
        assert p.start in {u.start for u in utterances} or any(u.start < p.start < u.end for u in long)
        assert p.end in {u.end for u in utterances} or any(u.start < p.end < u.end for u in long)
        # one character a second: also within an utterance that is cut
        assert (p.locator.start_seconds, p.locator.end_seconds) == (
            pytest.approx(p.start, abs=1e-3),
            pytest.approx(p.end, abs=1e-3),
        )
        spoken = {
            name: sum(max(0, min(p.end, u.end) - max(p.start, u.start)) for u in utterances if u.speaker == name)
            for name in ("", "Ada", "Bo")
        }
        assert spoken[p.locator.speaker] == max(spoken.values())


@given(said=SAID)
def test_an_episode_comes_back_from_json_as_it_was(said: list[tuple[str, list[str], bool]]) -> None:
    episode = replace(cast(Episode, an_episode_of(said).episode), show="S", audio="a.mp3", date="2023-02-27")
    assert from_json(json.loads(json.dumps(to_json(episode)))) == episode


def test_who_speaks_when_by_hand() -> None:
    said = (Utterance(0, 10, 2.0, 4.0, "Ada"), Utterance(11, 21, 6.0, 7.0, "Bo"))
    assert seconds_of(said, 0, 21) == (2.0, 7.0)
    assert seconds_of(said, 5, 16) == (3.0, 6.5)
    assert seconds_of(said, 10, 11) is None and speakers_in(said, 10, 11) == []
    assert speakers_in(said, 7, 21) == ["Bo", "Ada"]


# -- filters, places, citations ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["show=old trades"], ["The mill", "Flour"]),
        (["show=Old"], []),
        (["chapter=FLOUR"], ["Flour"]),
        (["speaker=ada lind"], ["The mill", "Flour"]),
        (["speaker=Cy"], []),
        (["date=2023-02-27"], ["The mill", "Flour"]),
        (["date=2023"], ["The mill", "Flour"]),
        (["date=2023-03"], []),
        (["date>=2023-02", "date<=2023-02-27"], ["The mill", "Flour"]),
        (["date>=2023-02-28"], []),
        (["date<=2022"], []),
        (["kind=podcast", "chapter=the mill"], ["The mill"]),
    ],
)
def test_filters_by_hand(indexes: Indexes, shelf: Path, filters: list[str], found: list[str]) -> None:
    ingested(indexes, shelf)
    numbers = indexes.library.select(filters)
    assert numbers is not None
    assert [
        p.locator.searched
        for p in indexes.library.passages_numbered(numbers).values()
        if "half" not in p.locator.searched
    ] == found


@pytest.mark.parametrize("text", ["speakers=Ada", "date", "date=yesterday", "date>2023", "date>=23"])
def test_a_filter_that_is_none_is_named(indexes: Indexes, text: str) -> None:
    with pytest.raises(UsageError, match="--filter"):
        indexes.library.select([text])


def test_a_citation_begins_where_its_words_are_said(indexes: Indexes, shelf: Path) -> None:
    ingested(indexes, shelf)
    library = indexes.library
    passage = next(p for _, p in library.passages_since(0) if p.locator.searched == "Flour")
    start = passage.text.index("We filter_passages")
    hit = Hit(1, 1.0, passage)
    quote = Quote(hit, start, len(passage.text), True, 2.0)
    _, (citation,) = cite("silk", [quote], library.locate)
    assert (citation.locator.speaker, citation.locator.start_seconds, citation.locator.end_seconds) == (
        "Bo Aas",
        3729.0,
        3739.0,
    )
    assert citation.locator.label() == "Flour, 1:02:09, Bo Aas" == place_text(citation)
    told = hits_text([hit])
    assert f"The Kolm mill, Flour, 1:02:03, {passage.locator.speaker}" in told and "page" not in told
    made = layouts.hit_json(hit)
    assert {key: made[key] for key in ("chapter", "start_seconds", "end_seconds")} == {
        "chapter": "Flour", "start_seconds": 3723.0, "end_seconds": 3739.0,
    }  # fmt: skip
    assert "1:02:03" in str(places_of([hit]))


# -- older catalogues, kills ---------------------------------------------------------------------------------------


def test_layout_3_is_read_as_it_is_and_gets_its_episodes_from_the_next_writer(indexes: Indexes, shelf: Path) -> None:
    ingested(indexes, shelf, kind="pdf")
    folder, before = indexes.library.folder, list(indexes.library.passages_since(0))
    to_layout_3(folder)
    with held_by_another(folder):
        opened = Library.open(folder)
        assert list(opened.passages_since(0)) == before != []
        assert opened.document(before[0][1].document_id).episode is None
        assert opened.select(["show=x"]) == opened.select(["date>=2023"]) == []
        assert opened.problems() == []
    opened = Library.open(folder)
    assert list(opened.passages_since(0)) == before
    indexes.library = opened
    assert statuses(ingested(indexes, shelf)) == {"bees.srt": "added", "mill.vtt": "added", "ships.pdf": "unchanged"}
    assert opened.problems() == []


def test_a_kill_while_an_episode_is_stored_leaves_none_of_it(indexes: Indexes, shelf: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from rag.library import episodes; from rag.library.catalogue import Library\n"
        "from ingest.podcast.episode import read_podcast\nfrom ingest.chunk import chunk\n"
        "enter = episodes.enter\n"
        "def killed(*given): enter(*given); os.kill(os.getpid(), signal.SIGKILL)\n"
        "episodes.enter = killed\n"
        "document = read_podcast(Path(sys.argv[2]), 'x', 't')\n"
        "Library.open(Path(sys.argv[1])).put(document, chunk(document, 180, 30), '/x', 'x', '')"
    )
    folder = indexes.library.folder
    ran = subprocess.run([sys.executable, "-c", code, folder, shelf / "mill.vtt"], cwd=Path(__file__).parents[1])
    assert ran.returncode == -signal.SIGKILL
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as connection:
        for table in ("documents", "passages", "episodes"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0
    assert statuses(ingested(indexes, shelf / "mill.vtt")) == {"mill.vtt": "added"}


def test_a_removed_episode_leaves_nothing(indexes: Indexes, shelf: Path) -> None:
    ingested(indexes, shelf)
    half_made = indexes.library.folder / "reading" / f"{content_id(shelf / 'mill.vtt')}.chapters"
    half_made.write_text("[]\n")
    for entry in indexes.library.documents():
        indexes.library.remove(entry.document_id)
    assert not half_made.exists()
    with closing(sqlite3.connect(indexes.library.folder / "catalogue.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM episodes").fetchone()[0] == 0


# -- chapters made anew --------------------------------------------------------------------------------------------


class Lost(Exception):
    pass


def test_chapters_that_were_interrupted_go_on_behind_the_last_one(
    indexes: Indexes, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingested(indexes, shelf)
    before, given = an_episode(indexes, shelf), list[int]()

    def breaking(document: Document, method: str, encoder: object, reader: object, report: object,
                 done: Sequence[Chapter], *more: object) -> Iterator[Chapter]:  # fmt: skip
        given.append(len(done))
        assert document.episode and document.episode.chapters == ()
        yield from list(halves(document))[len(done) : 1]
        if len(given) == 1:
            raise Lost
        yield from list(halves(document))[1:]

    monkeypatch.setattr(chaptering, "chapters_of", breaking)
    made = rechapter(indexes, before.document_id, "cohesion")
    assert next(made).title == "First half"
    with pytest.raises(Lost):
        next(made)
    assert an_episode(indexes, shelf) == before  # nothing is stored until all is made
    kept = indexes.library.folder / "reading" / f"{before.document_id}.chapters"
    kept.write_text(kept.read_text() + '["torn')
    assert [c.title for c in rechapter(indexes, before.document_id, "cohesion")] == ["First half", "Second half"]
    assert given == [0, 1] and not kept.exists()
    after = an_episode(indexes, shelf)
    assert after.episode and [c.title for c in after.episode.chapters] == ["First half", "Second half"]
    assert {p.locator.searched for _, p in indexes.library.passages_since(0)} == {"First half", "Second half", ""}
    assert [e.paths for e in indexes.library.documents([before.document_id])] == [(str(shelf / "mill.vtt"),)]
    assert statuses(ingested(indexes, shelf))["mill.vtt"] == "unchanged"  # what was asked for stays
    kept.write_text('["combined", "x"]\n[1]\n')  # made otherwise
    list(rechapter(indexes, before.document_id, "cohesion"))
    assert given == [0, 1, 0]


def test_a_document_that_is_no_podcast_has_no_chapters(indexes: Indexes, shelf: Path) -> None:
    ingested(indexes, shelf, kind="pdf")
    with pytest.raises(UsageError, match="Ships is no podcast"):
        list(rechapter(indexes, content_id(shelf / "ships.pdf"), "cohesion"))


TITLES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda title: printable(title))


@given(st.lists(st.tuples(TITLES, st.floats(0.01, 5000)), min_size=1, max_size=8))
def test_written_chapters_say_the_same_in_every_format(parts: list[tuple[str, float]]) -> None:
    chapters, at = [], 0.0
    for title, seconds in parts:
        chapters.append(Chapter(title, 0, 0, at, at + seconds / 2))
        at += seconds
    made = written.chapters_json("d", "T", chapters)["chapters"]
    assert [c["title"] for c in made] == [title for title, _ in parts]
    assert all(a["end_seconds"] == b["start_seconds"] for a, b in pairwise(made))
    app = json.loads(written.podcasting(chapters))
    assert app["version"] == "1.2.0"
    assert [(c["startTime"], c["endTime"], c["title"]) for c in app["chapters"]] == [
        (c["start_seconds"], c["end_seconds"], c["title"]) for c in made
    ]
    listed = written.text(chapters).splitlines()
    cues = written.webvtt(chapters).split("\n\n")
    assert cues[0] == "WEBVTT" and len(cues) - 1 == len(listed) == len(parts)
    for cue, said, (title, _) in zip(cues[1:], listed, parts, strict=True):
        assert cue.count("-->") == 1 and "<" not in cue
        assert said.partition(" ")[2] == printable(title)


# -- the program ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Path:
    folder = tmp_path_factory.mktemp("podcasts")
    (folder / "talks").mkdir()
    (folder / "talks" / "mill.vtt").write_text(VTT)
    (folder / "talks" / "mill.meta.md").write_text(META)
    (folder / "talks" / "bees.srt").write_text(SRT)
    make_pdf(folder / "talks" / "ships.pdf", [["The frigate sailed from Lisbon."]], "Ships")
    done = glossator("ingest", "talks", "--library", "library", "--kind", "podcast", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert {d["kind"] for d in json.loads(done.stdout)["documents"]} == {"podcast"}
    return folder


def test_search_says_who_says_it_and_when(library: Path, glossator: Run) -> None:
    arguments = ("search", "oak mill", "--library", "library", "--retriever", "bm25", "--filter", "speaker=Bo Aas")
    (hit, *_) = json.loads(glossator(*arguments, "--json", cwd=library).stdout)["hits"]
    assert set(hit) >= {"speaker", "start_seconds", "end_seconds", "chapter"} and "oak" in hit["text"]
    assert hit["start_seconds"] >= 1.0 and hit["chapter"]
    assert f"{hit['title']}, {hit['chapter']}, 00:0" in glossator(*arguments, cwd=library).stdout
    wrong = glossator("search", "oak", "--library", "library", "--filter", "show:x", cwd=library)
    assert wrong.returncode == 2 and "show" in wrong.stderr and "speaker" in wrong.stderr and "date>=" in wrong.stderr


def test_chapters_are_listed_written_and_made_anew(library: Path, glossator: Run) -> None:
    asked = ("chapters", "talks/mill.vtt", "--library", "library")
    stored = json.loads(glossator(*asked, "--json", cwd=library).stdout)
    assert set(stored) == {"document_id", "title", "chapters"} and stored["title"] == "The Kolm mill"
    assert stored["chapters"][0]["start_seconds"] == 1.0 and stored["chapters"][-1]["end_seconds"] == 3739.0
    plain = glossator(*asked, cwd=library).stdout.splitlines()
    assert plain[0].startswith("00:01 ") and len(plain) == len(stored["chapters"])
    done = glossator(*asked, "--format", "webvtt", "--out", "made.vtt", cwd=library)
    assert done.returncode == 0 and (library / "made.vtt").read_text().startswith("WEBVTT\n\n1\n00:00:01.000 --> ")
    anew = glossator(*asked, "--method", "cohesion", "--json", cwd=library)
    assert json.loads(anew.stdout) == stored
    assert json.loads(glossator("check", "--library", "library", "--json", cwd=library).stdout)["ok"]


@pytest.mark.slow
def test_ask_cites_who_says_it_and_when(library: Path, glossator: Run) -> None:
    done = glossator(
        "--set", LIGHT_READER, "--set", "reader.support_threshold=0", "ask", "When was the Kolm mill built?",
        "--library", "library", "--json", cwd=library,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    (citation, *_) = answer["citations"]
    assert "1871" in answer["answer"]
    assert (citation["speaker"], citation["start_seconds"], citation["end_seconds"]) == ("Bo Aas", 5.0, 11.0)
    assert citation["chapter"]


# -- the shared data -----------------------------------------------------------------------------------------------


@needs_data
def test_every_transcript_of_the_data_is_taken_and_nothing_else(indexes: Indexes) -> None:
    folder = DATA / "podcasts"
    lines = (folder / "episodes.jsonl").read_text("utf-8").splitlines()
    episodes = {folder / json.loads(line)["transcript"] for line in lines}
    examples = {
        path for path in (folder / "podcast-namespace-examples").iterdir() if path.stem == "transcripts-example"
    }
    files = cast(list[Path], find_files(folder, folder / "library"))
    assert set(files) == episodes | examples
    few = [folder / "haskell-interlude" / "22.md", folder / "changelog" / "the-changelog-301.md"]
    assert set(statuses(ingested(indexes, *few)).values()) == {"added"}
    for _, passage in indexes.library.passages_since(0):
        assert (
            passage.locator.chapter
            and passage.locator.start_seconds is not None
            and passage.locator.end_seconds is not None
        )
        assert passage.locator.start_seconds <= passage.locator.end_seconds
    assert indexes.library.problems() == []


def test_a_stopped_run_ends_the_child(indexes: Indexes, shelf: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        first_reply(
            episode_reading.CHILD,
            {"path": str(shelf / "mill.vtt")},
            Limits(5, 500),
            Children(threading.Semaphore(1), 1, stop),
        )
