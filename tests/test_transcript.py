"""transcript.py: every form gives its cues, what is no transcript is none, and no file hangs or surprises it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.plain_text import HEAD_BYTES
from ingest.podcast.formats.cues import Cue, plain, seconds_of
from ingest.podcast.formats.transcript import MOST_BYTES, is_transcript, read_transcript
from rag.errors import DocumentError
from tests.conftest import DATA, ROOT, needs_data

FORMS = ROOT / "tests" / "golden" / "transcripts"
PODCASTS = DATA / "podcasts"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\nCafé “mills”\n"


def cues(text: str | bytes, name: str) -> list[tuple[str, float | None, float | None, str]]:
    data = text.encode() if isinstance(text, str) else text
    return [(c.text, c.start_seconds, c.end_seconds, c.speaker) for c in read_transcript(data, name).cues]


# ---- which files are transcripts


@pytest.mark.parametrize(
    "file", [f for f in sorted(FORMS.glob("*.*")) if not f.name.endswith((".txt", "README.md"))] + [FORMS / "times.txt"]
)
def test_each_form_is_known_under_its_name_and_a_wrong_one(file: Path) -> None:
    data = file.read_bytes()
    for name in (file.name, "talk.txt", "talk", "talk.srt"):
        assert is_transcript(name, data[:HEAD_BYTES]), name
        assert read_transcript(data, name).cues == read_transcript(data, file.name).cues


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("talk.pdf", "%PDF-1.7\n00:01 Hello."),
        ("talk.vtt", "%PDF-1.7\n"),
        ("README.md", "**Note:** [00:01] a\n\n**Note:** b\n\n**Hint One:** c\n\n**Hint One:** d"),
        ("notes.md", "# Mills\n\nThey turn.\n\n**Note:** not at night.\n"),
        ("log.md", "**Added:** sails\n\n**Fixed:** a wheel\n\n**Added:** a door\n\n**Fixed:** the door\n"),
        ("talk.shownotes.md", "**Host:** \\[00:01\\] a"),
        ("talk.meta.md", "[00:01] a.\n[00:02] b.\n[00:03] c."),
        ("talk.chapters.json", '{"segments": [{"startTime": 1, "body": "a"}]}'),
        ("talk.chapters.vtt", VTT),
        ("package.json", '{"name": "a", "version": "1"}'),
        ("questions.jsonl", '{"id": 1, "segments": [], "text": "a", "start": 1}\n'),
        ("index.html", "<html><body><time>2024</time><p>Mills</p></body></html>"),
        ("chapters.txt", "00:00 Intro\n02:10 The wind\n05:00 The mills\n"),
        ("server.txt", "[13:00:01] It started.\n[13:00:02] It runs.\n[13:00:03] It stopped.\n"),
        ("server.log", "[00:00:01] It started.\n[00:00:02] It runs.\n[00:00:03] It stopped.\n"),
        ("empty.txt", ""),
    ],
)  # fmt: skip
def test_what_is_no_transcript_is_none(name: str, text: str) -> None:
    assert not is_transcript(name, text.encode())


@needs_data
def test_of_the_shared_files_only_transcripts_are_some() -> None:
    lines = (PODCASTS / "episodes.jsonl").read_text("utf-8").splitlines()
    transcripts = {PODCASTS / json.loads(line)["transcript"] for line in lines}
    transcripts |= set((PODCASTS / "podcast-namespace-examples").glob("transcripts-*"))
    files = [file for file in [*DATA.rglob("*.*"), *ROOT.glob("*.*"), *(ROOT / "docs").rglob("*.*")] if file.is_file()]
    found = set()
    for file in files:
        with file.open("rb") as opened:
            if is_transcript(file.name, opened.read(HEAD_BYTES)):
                found.add(file)
    assert len(transcripts) == 26
    assert found == transcripts


# ---- what each form holds (the files of tests/golden/transcripts have more)


def test_voices_share_a_caption_and_only_known_tags_are_taken_away() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:04.000\n<v.loud One Two:>A &lt;b> <c.x>c</c> <v Three>d<e> <00:02.000>f</v>\n"
    assert cues(text, "a.vtt") == [("A <b> c", 1, None, "One Two"), ("d<e> f", None, 4, "Three")]


@pytest.mark.parametrize(
    "timing", ["00:01,5 --> 00:02,25", "0:00:01.500 --> 0:0:02.25", "  00:01.500-->00:02.250 line:0"]
)
@pytest.mark.parametrize("head", ["WEBVTT\n\n", "", "7\n", "\n\n1\n"])
def test_captions_are_read_in_the_spellings_that_occur(timing: str, head: str) -> None:
    assert cues(f"{head}{timing}\nMills\n\nMills turn\n", "a.srt")[0] == (
        "Mills" + " Mills turn" * ("VTT" not in head),
        1.5,
        2.25,
        "",
    )


def test_an_end_that_is_not_behind_the_start_is_not_known_and_a_cue_without_a_time_is_told_of() -> None:
    read = read_transcript(
        b"WEBVTT\n\n00:05.000 --> 00:02.000\nOne\n\n00:06.000 -->\nTwo\n\nsoon --> late\nThree\n", "a"
    )
    assert read.cues == (Cue("One", 5, None), Cue("Two", 6, None))
    assert read.warnings == ("left out for a time that cannot be read: 1 of the cues",)


def test_names_in_the_text_are_believed_from_the_first_ones_on() -> None:
    def said(*lines: str) -> list[str]:
        text = "".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},500\n{line}\n\n" for n, line in enumerate(lines))
        return [f"{speaker}|{words}" for words, _, _, speaker in cues(text, "a.srt")]

    assert said("One Two: a", "b", "Note: c", "Guest: d", "Guest: e") == [
        "One Two|a", "One Two|b", "One Two|Note: c", "Guest|d", "Guest|e",
    ]  # fmt: skip
    assert said("a", "b", "c", "d", "e", "One Two: f") == ["|a", "|b", "|c", "|d", "|e", "|One Two: f"]


def test_whisper_json_is_read_too() -> None:
    text = (
        '{"text": " a b", "segments": [{"id": 0, "start": 0.0, "end": 1.5, "text": " a"}, {"start": 2, "text": "b"}]}'
    )
    assert cues(text, "a.json") == [("a", 0, 1.5, ""), ("b", 2, None, "")]


def test_initials_of_two_people_stay_initials() -> None:
    text = "*Ab Cd (0:01)*: a\n\n*Ae Cf (0:02)*: b\n\n*AC (0:03)*: c\n\n*Gh Ij (0:04)*: d\n\n*GI (0:05)*: e\n"
    assert [speaker for _, _, _, speaker in cues(text, "a.md")] == ["Ab Cd", "Ae Cf", "AC", "Gh Ij", "Gh Ij"]


def test_name_and_time_may_stand_above_the_words() -> None:
    assert cues("Speaker 1  00:01\nMills.\n\nSpeaker 2  00:05\nWind.\n", "a.txt") == [
        ("Mills.", 1, None, "Speaker 1"),
        ("Wind.", 5, None, "Speaker 2"),
    ]


def test_markdown_becomes_plain_text() -> None:
    assert plain("## A *b* __c__ `d*` \\*e\\* 2*3*4 snake_case_name [f (g)](http://h_(i)) ![j](k)") == (
        "A b c d* *e* 2*3*4 snake_case_name f (g) j"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding: str, end: str) -> None:
    assert cues(VTT.replace("\n", end).encode(encoding), "a.vtt") == [("Café “mills”", 1, 2, "")]


def test_a_head_cut_within_a_character_is_still_utf_8() -> None:
    data = ("[00:01] é.\n[00:02] b.\n[00:03] " + "é" * 200).encode()
    assert is_transcript("a.txt", data[:-1]) and is_transcript("a.txt", data[:-2])


@given(st.floats(0, 3e5).map(lambda s: round(s, 3)))
def test_a_time_written_is_the_time_read(seconds: float) -> None:
    minutes, rest = divmod(round(seconds * 1000), 60000)
    assert seconds_of(f"{minutes // 60}:{minutes % 60:02}:{rest / 1000:06.3f}") == pytest.approx(seconds, abs=1e-6)
    assert seconds_of(seconds) == seconds


@pytest.mark.parametrize("time", ["", "x", "1:x", -1, float("nan"), float("inf"), "1e999", True, None, [], ":"])
def test_what_is_no_time_is_none(time: object) -> None:
    assert seconds_of(time) is None
    assert seconds_of(10**5000) is None  # str refuses it


# ---- what cannot be read


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"", "a.vtt", "is empty"),
        (b" \n\t", "a.md", "is empty"),
        (b"WEBVTT\n\nNOTE nothing\n", "a.vtt", "without words"),
        (b"1\n00:00:01,000 --> 00:00:02,000\n\n", "a.srt", "without words"),
        (b"Mills.", "a.srt", "no transcript that this program can read"),
        (b"\x00\x01\x02", "a.vtt", "no transcript that this program can read"),
        (b'{"segments": []}', "a.json", "without words"),
        (b'{"segments": {"start": 1}}', "a.json", 'without a list "segments"'),
        (b'{"segments": [{"start": 1, "text": "a"', "a.json", "is no JSON"),
        (b'{"segments": ' + b"[" * 200000, "a.json", "no transcript"),
        (b'{"segments": [], "text": "a", "start": ' + b"[" * 200000, "a.json", "is no JSON"),
        (b"x" * (MOST_BYTES + 1), "a.vtt", "larger than any transcript"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_one_clear_line_says_what_is_wrong(data: bytes, name: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says) as error:
        read_transcript(data, name)
    assert "\n" not in str(error.value)


HEADS = [
    "WEBVTT\n\n00:01.000 --> 00:02.000\n",
    "1\n00:00:01,000 --> 00:00:02,000\n",
    "**A B:** \\[00:01\\] ",
    "*A B (0:01)*: a\n\n*A B (0:02)*: ",
    '{"segments": [{"startTime": 1, "body": "',
    "<cite>A</cite><time>0:01</time><p>",
    "[00:01] a.\n[00:02] b.\n[00:03] ",
    "---\n",
    "",
]
PIECES = [
    *(
        "<v ",
        "<",
        "<!--",
        "</",
        "[",
        "\\[",
        "](",
        "*a",
        "**",
        "_",
        "`",
        "&",
        "&#",
        ":",
        "00:01",
        "-->",
        "00:01.000 --> ",
    ),
    *("\n", "\n\n", " ", "- ", "---\n", "A B: ", "(0:01)", "**A:** ", '"', "\\", "{", "x", "\t", "<p>", "<time>"),
    *("<a href=", "7\n", "\ud800", "\x00", "é", "(", "a ", "[a](b ", ">>", "A "),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(HEADS),
    st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=30),
    st.sampled_from(["a.vtt", "a.md", "a.json", "a.html", "a"]),
)
def test_any_text_gives_cues_or_an_error(head: str, pieces: list[str], name: str) -> None:
    data = (head + "".join(pieces)).encode("utf-8", "surrogatepass")
    is_transcript(name, data)
    try:
        read = read_transcript(data, name)
    except DocumentError:
        return
    assert read.cues
    for cue in read.cues:
        assert cue.text == " ".join(cue.text.split()) != ""
        cue.text.encode(), cue.speaker.encode(), read.title.encode()  # no half of a surrogate pair


@pytest.mark.parametrize("head", HEADS[:7])
def test_no_text_takes_quadratic_time(head: str) -> None:
    def read(text: str) -> None:
        try:
            read_transcript((head + text).encode("utf-8", "surrogatepass"), "a.md" if head.startswith("*") else "a.txt")
        except DocumentError:
            return

    for piece in PIECES:
        started = time.thread_time()
        read(piece * (40_000 // len(piece)))
        assert time.thread_time() - started < 5, piece


@pytest.mark.parametrize(
    ("name", "head", "piece"),
    [
        ("a.vtt", "WEBVTT\n\n", "00:01.000 --> 00:02.000\n<v A>Mills turn.\n\n"),
        ("a.md", "", "**A B:** \\[00:01\\] Mills *turn* [here](b).\n\n"),
        ("a.html", "", "<cite>A:</cite><time>0:01</time><p>Mills <b>turn</b>.</p>\n"),
    ],
)
def test_long_files_of_each_form_take_seconds(name: str, head: str, piece: str) -> None:
    started = time.thread_time()
    assert len(read_transcript((head + piece * 20_000).encode(), name).cues) == 20_000
    assert time.thread_time() - started < 10
