"""player.py and recordings.py: captions, the panel, and which audio is served; what is kept beside an upload."""

from __future__ import annotations

import html
import json
import re
from contextlib import nullcontext
from html.parser import HTMLParser
from io import StringIO
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from ingest.build import build
from ingest.podcast import chapter_store as chaptering
from ingest.podcast.sidecars import AUDIO, sidecars
from rag.document import Chapter, Document, Episode, Page, Utterance
from rag.errors import LibraryError
from rag.library.catalogue import Library
from rag.locator import TimeSpan
from rag.records import Citation
from tests.test_podcasts_ingest import MAKERS, SRT, VTT, NoIndexes, halves
from ui.cli.commands import document_commands as cli
from ui.web.panels import player
from ui.web.panels.recordings import AUDIO_TYPES, Recordings
from ui.web.workers.upload_worker import UploadWorker

HOSTILE = "<script>window.owned = 1</script> --> ' \" & </v></mark>"


class Parsed(HTMLParser):
    """(tag, attributes) of all elements in order, and the text that is shown; all elements that must be are closed."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self.open: list[str] = []
        self.feed(str(text))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("input", "track"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown += data


def episode(
    said: list[tuple[str, str, float, float]], cuts: dict[int, str] | None = None, show: str = "", audio: str = ""
) -> Document:
    """Of (speaker, sentence, first second, last second); `cuts`: a chapter's first sentence and its title."""
    text, utterances = "", []
    for speaker, words, start, end in said:
        text += " " if text else ""
        utterances.append(Utterance(len(text), len(text) + len(words), start, end, speaker))
        text += words
    begins = sorted(cuts or {})
    chapters = []
    for first, behind in pairwise([*begins, len(said)]):
        a, z = utterances[first], utterances[behind - 1]
        end = utterances[behind].start if behind < len(said) else len(text)
        chapters.append(Chapter((cuts or {})[first], a.start, end, a.start_seconds, z.end_seconds))
    found = Episode(show, "", "2023-02-27", audio, tuple(utterances), tuple(chapters))
    return Document("0123456789abcdef", "podcast", "A talk", text, (Page(1, 0, len(text)),), episode=found)


def cited(document: Document, number: int) -> Citation:
    assert document.episode
    said = document.episode.utterances[number]
    return Citation(
        "[1]", "d#0", document.document_id, "", document.title,
        TimeSpan(said.start_seconds, said.end_seconds, said.speaker), document.text[said.start : said.end],
        said.start, said.end,
    )  # fmt: skip


words = st.text(st.sampled_from("ab <>&-'\"\u2028\u00e9\n\0"), min_size=1, max_size=200).filter(str.strip)
times = st.lists(st.integers(0, 40_000_000), min_size=16, max_size=16).map(lambda all: sorted(ms / 1000 for ms in all))


@given(st.lists(st.tuples(words, words), min_size=1, max_size=8), times)
def test_captions_are_webvtt_that_says_each_word_once_in_order(said: list[tuple[str, str]], times: list[float]) -> None:
    talk = [(who, what, times[2 * i], times[2 * i + 1]) for i, (who, what) in enumerate(said)]
    written = player.captions(episode(talk))
    cues = list(webvtt.from_buffer(StringIO(written)))
    wanted = "".join(what for _, what in said).replace("\0", "")
    spoken = (re.sub("^<v [^>]*>|</v>$", "", cue.raw_text) for cue in cues)
    assert "".join(html.unescape("".join(spoken)).split()) == "".join(wanted.split())
    stamps = [line.split(" --> ") for line in written.split("\n") if "-->" in line]
    assert len(stamps) == len(cues), "no words are taken for a time"
    assert all(start < end for start, end in stamps) and stamps == sorted(stamps, key=lambda pair: pair[0])


def test_captions_by_hand() -> None:
    long = "oak " * 42 + "mill."  # 173 characters: three cues of 84, 83 and 4 letters
    found = player.captions(episode([("Ada & <b>", "Is 1 < 2?", 3723.5, 3725.0), ("", long.strip(), 3730.0, 3747.3)]))
    assert found.startswith(
        "WEBVTT\n\n01:02:03.500 --> 01:02:05.000\n<v Ada &amp; &lt;b&gt;>Is 1 &lt; 2?</v>\n\n01:02:10.000 --> 01:02:"
    )
    _, *later = list(webvtt.from_buffer(StringIO(found)))
    assert [len(cue.text) <= player.LINE for cue in later] == [True] * 3
    assert later[0].end == later[1].start and later[-1].end == "01:02:27.300"


def test_what_is_said_is_text_and_nothing_else() -> None:
    document = episode([(HOSTILE, HOSTILE, 0.0, 2.0), ("Bo", HOSTILE, 2.0, 4.0)], {0: HOSTILE, 1: "b"}, show=HOSTILE)
    named = Document(document.document_id, "podcast", HOSTILE, document.text, document.pages, episode=document.episode)
    for has_audio in (True, False):
        found = Parsed(player.panel(named, cited(named, 1), has_audio, play=True, address="/v1/documents/d", visit=1))
        known = {
            "section", "h2", "h3", "h4", "p", "audio", "track", "div", "label", "input", "ol", "li", "button", "span",
            "mark", "b",
        }  # fmt: skip
        assert {tag for tag, _ in found.elements} <= known
        assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
        assert found.shown.count(HOSTILE) >= 5
    names = [attributes["aria-label"] for tag, attributes in Parsed(
        player.panel(named, cited(named, 1), True, True, "", 1)
    ).elements if tag == "audio"]  # fmt: skip
    assert names == [f"Audio: {HOSTILE}"]


@pytest.mark.parametrize(
    ("audio", "link"),
    [
        ("https://example.org/a.mp3?x='><b>", "https://example.org/a.mp3?x='><b>"),
        ("javascript:alert(1)", None),
        ("/gone.mp3", None),
        ("", None),
    ],
)
def test_audio_elsewhere_is_a_link_and_is_never_fetched(audio: str, link: str | None) -> None:
    document = episode([("Ada", "Hello.", 0.0, 2.0)], audio=audio)
    found = Parsed(player.panel(document, cited(document, 0), has_audio=False, play=True, address="", visit=1))
    assert not any("src" in attributes for _, attributes in found.elements)
    assert [attributes["href"] for tag, attributes in found.elements if tag == "a"] == ([link] if link else [])


def test_the_panel_shows_chapters_turns_and_the_cited_sentence() -> None:
    said = [("Ada", "One.", 1.0, 2.0), ("Ada", "Two.", 2.0, 3.0), ("Bo", "Three.", 3.5, 9.0), ("Bo", "Four.", 100, 101)]
    document = episode(said, {0: "Oak", 2: "Silk"}, show="Old Trades")
    found = Parsed(player.panel(document, cited(document, 1), True, False, "", 7))
    assert "A talkOld Trades, 2023-02-27" in found.shown and "00:02, Ada" in found.shown
    assert "Oak00:01 Ada: One. Two.Silk00:03 Bo: Three.01:40 Bo: Four." in found.shown
    chapters = [a for tag, a in found.elements if tag == "button" and "title" in a]
    assert [(a["data-at"], a["title"], a.get("aria-current")) for a in chapters] == [
        ("1.000", "to 00:03", "true"),  # up to where the next begins: the silence between is no chapter's end
        ("3.500", "to 01:41", None),
    ]
    assert [a["data-at"] for tag, a in found.elements if tag == "mark"] == ["2.000"]
    assert found.elements[0][1] == {
        "class": "player", "aria-label": "Player", "data-start": "2.000", "data-visit": "7",
    }  # fmt: skip


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=20, unique=True).map(sorted), st.floats(-1, 2e5))
def test_the_current_chapter_is_the_last_that_has_begun(starts: list[float], second: float) -> None:
    chapters = [Chapter("c", i, i + 1, start, start) for i, start in enumerate(starts)]
    now = player.chapter_at(chapters, second)
    assert now == max((i for i, start in enumerate(starts) if start <= second), default=0)


# ---- which audio is served


def recordings(document: Document) -> Recordings:
    def held(document_id: str) -> Document:
        if document_id != document.document_id:
            raise LibraryError("holds no such document")
        return document

    library = SimpleNamespace(
        document=held,
        episode=lambda document_id: held(document_id).episode if document_id[0] == "0" else None,
        bring=lambda file: None,  # all files are here
    )
    return Recordings(cast(Library, library))


def test_only_audio_that_is_there_is_served(tmp_path: Path) -> None:
    assert set(AUDIO_TYPES) == set(AUDIO)
    talk, secret = tmp_path / "talk.MP3", tmp_path / "secret.txt"
    talk.write_bytes(b"ID3")
    secret.write_text("a secret")
    (tmp_path / "linked.mp3").symlink_to(secret)
    (tmp_path / "circle.mp3").symlink_to(tmp_path / "circle.mp3")
    (tmp_path / "folder.mp3").mkdir()

    def audio(where: object) -> tuple[Path, str]:
        return recordings(episode([("", "Hello.", 0.0, 1.0)], audio=str(where))).audio("0123456789abcdef")

    assert audio(talk) == (talk.resolve(), "audio/mpeg")
    names = ("linked.mp3", "circle.mp3", "folder.mp3", "secret.txt", "gone.mp3")
    for refused in ("", "talk.MP3", "https://example.org/talk.mp3", *(tmp_path / name for name in names)):
        with pytest.raises(LibraryError):
            audio(refused)
    with pytest.raises(LibraryError):
        recordings(episode([("", "Hello.", 0.0, 1.0)], audio=str(talk))).audio("f123456789abcdef")


# ---- uploads


@pytest.fixture
def intake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(NoIndexes, "updating", lambda *_: nullcontext(lambda: None))
    found = UploadWorker(cast(Any, NoIndexes(Library.open(tmp_path / "library", create=True))))
    yield found
    found.close(5)


def added(intake: UploadWorker, folder: Path, **files: str) -> list[tuple[str, str]]:
    """(name, status or error) of each document after uploading copies of these files."""
    folder.mkdir()
    names = {name.replace("__", "-").replace("_", "."): text for name, text in files.items()}
    for name, text in names.items():
        (folder / name).write_text(text)
    batch = intake.start([str(folder / name) for name in names], [])
    return [(name, outcome.error or outcome.status) for name, outcome in batch.result.result(60)]


def test_a_transcript_is_kept_with_what_came_with_it(intake: UploadWorker, tmp_path: Path) -> None:
    library, uploads = intake._indexes.library, tmp_path / "library" / "uploads"
    makers = json.dumps(MAKERS)
    other = VTT.replace("oak", "elm")
    assert added(intake, tmp_path / "a", talk_mp3="ID3", talk__transcript_vtt=VTT, talk_chapters_json=makers) == [
        ("talk-transcript.vtt, talk.mp3, talk.chapters.json", "added")
    ]
    assert sorted(file.name for file in uploads.iterdir()) == [
        "talk-transcript.chapters.json", "talk-transcript.mp3", "talk-transcript.vtt",
    ]  # fmt: skip
    (first,) = library.documents()
    found = library.episode(first.document_id)
    assert found and [chapter.title for chapter in found.chapters] == ["The mill", "Flour"]
    assert found.audio == str(uploads / "talk-transcript.mp3")

    assert added(intake, tmp_path / "b", talk__transcript_vtt=other, talk_chapters_json=makers) == [
        ("talk-transcript.vtt, talk.chapters.json", "added")
    ]
    second = next(entry for entry in library.documents() if entry.document_id != first.document_id)
    assert library.files_of(second.document_id) == [uploads / "talk-transcript (2).vtt"]
    assert (found := library.episode(second.document_id)) and found.audio == "", "it is the first one's"

    intake.remove(first.document_id)
    assert sorted(file.name for file in uploads.iterdir()) == [
        "talk-transcript (2).chapters.json", "talk-transcript (2).vtt",
    ]  # fmt: skip


def test_what_cannot_be_kept_says_why_in_one_line(intake: UploadWorker, tmp_path: Path) -> None:
    found = dict(added(intake, tmp_path / "a", tune_mp3="ID3", prose_bin="\0\n", blank_vtt="WEBVTT\n"))
    assert list(found) == ["tune.mp3", "prose.bin", "blank.vtt"]
    assert "of no kind that is read here" in found["prose.bin"]
    assert "recording" in found["tune.mp3"] or "ffmpeg" in found["tune.mp3"]
    assert found["blank.vtt"] not in ("added", "updated") and all(len(why.splitlines()) == 1 for why in found.values())
    uploads = tmp_path / "library" / "uploads"
    assert [file.name for file in uploads.glob("*") if not file.name.startswith("blank")] == []


def test_nothing_is_put_among_the_files_of_others(intake: UploadWorker, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "talk.vtt").write_text(VTT)
    (mine / "talk.chapters.json").write_text(json.dumps(MAKERS))
    indexes = intake._indexes
    build([mine], indexes.library, indexes, indexes.settings.ingest)
    assert added(intake, tmp_path / "a", talk_vtt=VTT) == [("talk.vtt", "unchanged")]
    assert not (tmp_path / "library" / "uploads").exists()
    added(intake, tmp_path / "b", talk_vtt=VTT, talk_mp3="ID3", talk_chapters_json=json.dumps(MAKERS))
    assert sorted(file.name for file in mine.iterdir()) == ["talk.chapters.json", "talk.vtt"]
    kept = tmp_path / "library" / "uploads" / "talk.vtt"
    assert [file.name for file in sidecars(kept)] == ["talk.chapters.json", "talk.mp3"]


def test_the_command_removes_what_came_with_an_upload_and_nobodys_own_file(
    intake: UploadWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    indexes, uploads = intake._indexes, tmp_path / "library" / "uploads"
    library = indexes.library
    monkeypatch.setattr(cli, "open_indexes", lambda folder: indexes)
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, text in (("own.vtt", VTT), ("own.mp3", "ID3"), ("dots.srt", SRT), ("dots.mp3", "ID3")):
        (mine / name).write_text(text)
    other = VTT.replace("oak", "elm")
    added(intake, tmp_path / "a", talk_vtt=other, talk_mp3="ID3", talk_shownotes_md="Of elm.\n")
    added(intake, tmp_path / "b", talk_vtt=VTT, talk_mp3="ID3")  # a copy of own.vtt, called talk (2).vtt
    through = uploads / ".." / ".." / "mine" / "dots.srt"  # a path that only begins in the uploads folder
    build([mine / "own.vtt", through], library, indexes, indexes.settings.ingest)
    talks = {entry.document_id: entry.paths for entry in library.documents()}
    assert sorted(len(paths) for paths in talks.values()) == [1, 1, 2]
    kept = {"talk.vtt", "talk.mp3", "talk.shownotes.md", "talk (2).vtt", "talk (2).mp3"}
    assert {file.name for file in uploads.iterdir()} == kept

    cli.remove([library.find(f"{uploads}/talk.vtt")], tmp_path / "library")
    assert {file.name for file in uploads.iterdir()} == {"talk (2).vtt", "talk (2).mp3"}, "the others stay"
    cli.remove([library.find(str(mine / "own.vtt")), library.find(str(through))], tmp_path / "library")
    assert library.documents() == [] and not list(uploads.iterdir())
    assert sorted(file.name for file in mine.iterdir()) == ["dots.mp3", "dots.srt", "own.mp3", "own.vtt"]
