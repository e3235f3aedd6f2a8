"""episode.py: sentences keep every word, times run forwards, chapters are the maker's, and what lies beside."""

from __future__ import annotations

import difflib
import json
import re
import time
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.podcast.episode import read_podcast
from ingest.podcast.formats.cues import Cue
from ingest.podcast.formats.transcript import read_transcript
from ingest.podcast.maker_chapters import chapters_in_notes, chapters_of_json, chapters_of_psc, maker_chapters
from ingest.podcast.sidecars import sidecars
from ingest.podcast.utterances import RATE, UNBROKEN, sentences, unrolled, with_times
from rag.document import Chapter, Document, Episode, Utterance
from rag.errors import DocumentError
from tests.conftest import DATA, ROOT, needs_data

FORMS = ROOT / "tests" / "golden" / "transcripts"
PODCASTS = DATA / "podcasts"
NAMES = "voices.vtt subtitles.srt words.json page.html bold.md initials.md times.txt untimed.md rolling.vtt".split()
EPISODES = (
    [json.loads(line) for line in (PODCASTS / "episodes.jsonl").read_text("utf-8").splitlines()]
    if DATA.is_dir()
    else []
)

SRT = "1\n00:00:00,000 --> 00:00:01,000\nMills.\n"
WORDS = st.sampled_from(
    [
        "mills",
        "turn.",
        "Dr.",
        "Why?",
        "e.g.",
        "wind",
        "“No!”",
        "3.5",
        "中文。",
        "so....NET",
        "it...'81?",
        "🎙",
        "and",
        "...",
        "U.S.",
    ]
)
TEXT = st.lists(WORDS, min_size=1, max_size=12).map(" ".join) | st.lists(WORDS, min_size=50, max_size=200).map(" ".join)
SECONDS = st.none() | st.floats(0, 5000).map(lambda second: round(second, 3)) | st.integers(0, 20).map(float)
CUES = st.lists(st.builds(Cue, TEXT, SECONDS, SECONDS, st.sampled_from(["", "A", "B"])), min_size=1, max_size=25)
MADE = st.lists(st.tuples(st.floats(0, 6000), st.sampled_from(["Winds", "Mills", "Sails"])), max_size=8)


def assert_lawful(text: str, utterances: tuple[Utterance, ...], chapters: tuple[Chapter, ...]) -> None:
    after, second = 0, 0.0
    for utterance in utterances:
        assert after <= utterance.start < utterance.end
        assert not text[after : utterance.start].strip()  # what is between sentences is white space
        assert text[utterance.start : utterance.end].strip() == text[utterance.start : utterance.end]
        assert second <= utterance.start_seconds <= utterance.end_seconds
        after, second = utterance.end, utterance.end_seconds
    assert after == len(text)
    if chapters:
        assert (chapters[0].start, chapters[-1].end) == (0, len(text))
        assert chapters[0].start_seconds == utterances[0].start_seconds
        assert chapters[-1].end_seconds == utterances[-1].end_seconds
    begins = {utterance.start: utterance.start_seconds for utterance in utterances}
    for chapter, following in pairwise(chapters):
        assert (chapter.end, chapter.end_seconds) == (following.start, following.start_seconds)
    for chapter in chapters:
        assert chapter.start < chapter.end
        assert begins[chapter.start] == chapter.start_seconds


def episode_of(document: Document) -> Episode:
    assert document.episode is not None
    return document.episode


# ---- laws


@settings(deadline=None)
@given(CUES, MADE)
def test_sentences_hold_every_word_and_times_run_forwards(cues: list[Cue], made: list[tuple[float, str]]) -> None:
    timed, _ = with_times(cues)
    text, utterances = sentences(timed)
    chapters, warnings = maker_chapters(made, text, utterances)
    assert text.split() == " ".join(cue.text for cue in cues).split()
    assert_lawful(text, utterances, chapters)
    assert len(chapters) == len(made) or warnings
    # each word is its speaker's
    speakers = [cue.speaker for cue in cues for _ in cue.text.split()]
    assert speakers == [u.speaker for u in utterances for _ in text[u.start : u.end].split()]
    # from a sentence's time back to it
    starts = [utterance.start_seconds for utterance in utterances]
    for number, utterance in enumerate(utterances):
        if utterance.start_seconds < utterance.end_seconds:
            middle = (utterance.start_seconds + utterance.end_seconds) / 2
            assert bisect_right(starts, middle) - 1 == number


@given(CUES)
def test_cues_keep_their_order_and_known_times(cues: list[Cue]) -> None:
    timed, warnings = with_times(cues)
    assert [cue for cue, _, _ in timed] == cues
    seconds = [second for _, start, end in timed for second in (start, end)]
    assert seconds == sorted(seconds)
    highest = -1.0
    for cue, start, _ in timed:
        if cue.start_seconds is not None and cue.start_seconds > highest:
            assert start == cue.start_seconds
            highest = cue.start_seconds
    assert any("estimated" in warning for warning in warnings) == all(cue.start_seconds is None for cue in cues)


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4), min_size=8, max_size=20))
def test_rolling_captions_give_what_was_said_once(lines: list[list[str]]) -> None:
    said = [[f"{word}{number}" for word in line] for number, line in enumerate(lines)]  # no line is like another
    rolling = [
        Cue(" ".join([*before, *line]), float(n), n + 1.0)
        for n, (before, line) in enumerate(zip([[], *said], said, strict=False))
    ]
    assert [cue.text for cue in unrolled(rolling)] == [" ".join(line) for line in said]
    still = [Cue(" ".join(line), float(n), n + 1.0) for n, line in enumerate(said)]
    assert unrolled(still) == still


# ---- values worked by hand


def test_seconds_within_a_cue_go_by_characters() -> None:
    text, found = sentences(
        with_times([Cue("Mills turn. Wind blows.", 10, 33), Cue("So", 40, None), Cue("what?", 41, 42)])[0]
    )
    assert text == "Mills turn. Wind blows. So what?"
    assert [(u.start_seconds, u.end_seconds) for u in found] == [(10, 21), (22, 33), (40, 42)]


def test_times_that_are_missing_are_interpolated() -> None:
    cues = [Cue("a" * 30, None, None), Cue("b" * 10, 12, None), Cue("c" * 30, None, None), Cue("d" * 15, 20, None)]
    times = [(start, end) for _, start, end in with_times(cues)[0]]
    assert times == [(12 - 30 / RATE, 12), (12, 14), (14, 20), (20, 20 + 15 / RATE)]


def test_times_that_run_backwards_are_counted_once() -> None:
    timed, warnings = with_times([Cue("a", 5, 6), Cue("b", 3, 4), Cue("c", 4, None), Cue("d", 9, 10)])
    assert [start for _, start, _ in timed] == sorted(start for _, start, _ in timed)
    assert len(warnings) == 1 and warnings[0].startswith("times that run backwards: 2;")


def test_a_transcript_without_punctuation_is_cut_at_pauses_and_after_forty_words() -> None:
    cues = [
        Cue(" ".join(f"w{n}x{i}" for i in range(10)), n * 5.0 + 3 * (n >= 3), n * 5.0 + 5 + 3 * (n >= 3))
        for n in range(12)
    ]
    text, found = sentences(with_times(cues)[0])
    lengths = [len(text[u.start : u.end].split()) for u in found]
    assert lengths[0] == 30  # three seconds of silence
    assert max(lengths) <= UNBROKEN and sum(lengths) == 120


def test_a_change_of_speaker_ends_a_sentence() -> None:
    text, found = sentences(with_times([Cue("Mills and", 0, 1, "A"), Cue("wind.", 1, 2, "B")])[0])
    assert text == "Mills and\nwind."
    assert [u.speaker for u in found] == ["A", "B"]


def test_chapters_begin_with_the_nearest_sentence_and_odd_ones_are_told_of() -> None:
    text, found = sentences(with_times([Cue("One.", 2, 9), Cue("Two.", 10, 19), Cue("Three.", 20, 30)])[0])
    chapters, warnings = maker_chapters([(0, "a"), (19.6, "c"), (10.4, "b"), (20, "again"), (31, "late")], text, found)
    assert [(c.title, text[c.start : c.end].strip(), c.start_seconds, c.end_seconds, c.source) for c in chapters] == [
        ("a", "One.", 2, 10, "maker"),
        ("b", "Two.", 10, 20, "maker"),
        ("c", "Three.", 20, 30, "maker"),
    ]
    assert [re.sub(r"\d+", "N", warning)[:40] for warning in warnings] == [
        "the maker's chapters were not in the ord",
        "left out because the transcript ends bef",
        "left out because no sentence of their ow",
    ]


# ---- chapters as files have them


def test_podcasting_2_chapters() -> None:
    chapters = [
        *({"startTime": 0, "title": "a"}, {"startTime": "00:01:00", "title": " b\n"}),
        *({"startTime": 70, "toc": False, "title": "ad"}, {"startTime": 80}, {"title": "d"}, 7),
    ]
    found = chapters_of_json(json.dumps({"title": "t", "podcastName": "p", "chapters": chapters}))
    assert found == ([(0, "a"), (60, "b")], "t", "p", 3)


def test_podlove_chapters_and_what_they_may_not_hold() -> None:
    psc = b'<psc:chapter start="0" title="a &amp; b"/><psc:chapter start="00:01:00.5" title="c"/>'
    psc = b'<psc:chapters version="1.2">' + psc + b"</psc:chapters>"
    assert chapters_of_psc(psc) == [(0, "a & b"), (60.5, "c")]
    bomb = b'<!DOCTYPE a [<!ENTITY b "' + b"b" * 100 + b'">]><a>&b;</a>'
    for data in (bomb, b"<a>" + psc + psc + b"</a>", b"<a", b"", b'<?xml version="1.0" encoding="nonsense"?><a/>'):
        with pytest.raises(ValueError, match=r"."):
            chapters_of_psc(data)


def test_lists_in_notes_are_chapters_only_if_they_are_lists() -> None:
    assert chapters_in_notes("00:00 - Intro\n(1:02:03) **Wind**\n[1:10:00] Mills") == [
        (0, "Intro"),
        (3723, "Wind"),
        (4200, "Mills"),
    ]
    assert chapters_in_notes("At 12:30 we eat.\n12:30 Lunch") == []
    assert chapters_in_notes("12:30 Lunch\n11:00 Coffee") == []


# ---- what lies beside


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, "utf-8")


def test_what_lies_beside_is_found_with_and_without_the_usual_ending(tmp_path: Path) -> None:
    transcript = tmp_path / "7-mills-transcript.vtt"
    for name in (
        "7-mills-transcript.vtt",
        "7-mills.chapters.json",
        "7-mills-transcript.shownotes.md",
        "7-mills.mp3",
        "8-wind.mp3",
        "7-mills.pdf",
    ):
        (tmp_path / name).write_text("")
    assert [file.name for file in sidecars(transcript)] == [
        "7-mills-transcript.shownotes.md",
        "7-mills.chapters.json",
        "7-mills.mp3",
    ]


def test_title_date_description_and_audio_come_from_beside(tmp_path: Path) -> None:
    vtt = "WEBVTT\n\n00:00.000 --> 00:09.000\nMills turn. Wind blows. That is all.\n"
    meta = "---\ntitle: Mills\npublished: 2024-05-01T10:00\nshow: Winds\n---\nOf *mills*.\n"
    notes = "See [here](http://b.c).\n\n0:00 Turning\n0:03 Blowing\n"
    write(tmp_path, a__vtt=vtt, a__mp3="", a__meta__md=meta, a__shownotes__md=notes)
    document = read_podcast(tmp_path / "a.vtt", "d", "fallback")
    episode = episode_of(document)
    assert (document.kind, document.title, episode.show, episode.date) == ("podcast", "Mills", "Winds", "2024-05-01")
    assert episode.description.startswith("Of mills.\nSee here.")
    assert episode.audio == str(tmp_path / "a.mp3")
    assert [chapter.title for chapter in episode.chapters] == ["Turning", "Blowing"]
    assert document.pages_of(0, len(document.text)) == (1, 1)


@pytest.mark.parametrize(("podcast", "title"), [("", "fallback"), ("Winds", "Mills")])
def test_a_chapters_file_names_the_episode_only_if_it_names_the_podcast(
    tmp_path: Path, podcast: str, title: str
) -> None:
    chapters = {
        "title": "Mills",
        "chapters": [{"startTime": 0, "title": "a"}],
        **({"podcastName": podcast} if podcast else {}),
    }
    write(tmp_path, a__srt=SRT, a__chapters__json=json.dumps(chapters))
    document = read_podcast(tmp_path / "a.srt", "d", "fallback")
    assert (document.title, episode_of(document).show) == (title, podcast)


def test_a_broken_file_beside_is_a_warning_and_a_long_description_is_cut(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__srt=SRT,
        a__chapters__json="[" * 100000,
        a__psc="<!DOCTYPE a><a/>",
        a__shownotes__md="mills " * 1000,
    )
    document = read_podcast(tmp_path / "a.srt", "d", "")
    assert [warning.split()[0] for warning in document.warnings] == ["a.chapters.json", "a.psc"]
    assert 1900 < len(episode_of(document).description) <= 2000


def test_a_file_that_is_not_there_or_too_large_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"^cannot be read: No such file"):
        read_podcast(tmp_path / "a.vtt", "d", "")
    with (tmp_path / "b.vtt").open("wb") as large:
        large.truncate(100 << 20)
    with pytest.raises(DocumentError, match="larger than any transcript"):
        read_podcast(tmp_path / "b.vtt", "d", "")


@pytest.mark.slow
def test_ten_hours_of_cues_take_seconds(tmp_path: Path) -> None:
    starts = [(n // 6000, n // 100 % 60, n % 100 * 0.6) for n in range(60_000)]
    times = [f"{h:02}:{m:02}:{s:06.3f} --> {h:02}:{m:02}:{s + 0.5:06.3f}" for h, m, s in starts]
    said = [f"<v {'AB'[n // 50 % 2]}>mills turn{'.' * (n % 7 == 0)}" for n in range(60_000)]
    text = "\n\n".join(f"{time}\n{words}" for time, words in zip(times, said, strict=True))
    write(tmp_path, long__vtt=f"WEBVTT\n\n{text}")
    started = time.thread_time()
    document = read_podcast(tmp_path / "long.vtt", "d", "")
    assert time.thread_time() - started < 20
    assert document.warnings == ()
    assert episode_of(document).utterances[-1].end_seconds == pytest.approx(35999.9)


# ---- files of our own, and real ones


def dump(document: Document) -> str:
    episode = episode_of(document)
    lines = [f"title: {document.title}", *(f"warning: {warning}" for warning in document.warnings), ""]
    for u in episode.utterances:
        lines.append(f"{u.start_seconds:.2f}-{u.end_seconds:.2f} {u.speaker or '?'}: {document.text[u.start : u.end]}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_is_read_as_it_was_reviewed(name: str, request: pytest.FixtureRequest) -> None:
    golden, found = FORMS / f"{name}.txt", dump(read_podcast(FORMS / name, "d", name))
    if request.config.getoption("regenerate"):
        golden.write_text(found, "utf-8")
        pytest.fail(f"{golden.name} is written: review it with `git diff tests/golden`", pytrace=False)
    reviewed = golden.read_text("utf-8")
    if reviewed != found:
        lines = difflib.unified_diff(reviewed.splitlines(), found.splitlines(), "reviewed", "found", lineterm="")
        pytest.fail(f"{golden.name} is another one now:\n" + "\n".join(lines), pytrace=False)


@needs_data
@pytest.mark.parametrize("about", EPISODES, ids=lambda about: about["id"])
def test_every_shared_episode_is_read(about: dict[str, object]) -> None:
    file = PODCASTS / str(about["transcript"])
    document = read_podcast(file, "d", "fallback")
    episode = episode_of(document)
    assert_lawful(document.text, episode.utterances, episode.chapters)
    cues = read_transcript(file.read_bytes(), file.name).cues
    assert document.text.split() == " ".join(cue.text for cue in cues).split()
    raw = re.findall(r"[^\W\d_]{4,}", re.sub(r"<v[^>]*>|\]\([^)]*\)|\*+[^*\n]*\*+:?", " ", file.read_text("utf-8")))
    assert len(set(raw) - {"WEBVTT"} - set(re.findall(r"[^\W\d_]{4,}", document.text))) <= 0.002 * len(set(raw))
    # names stand for initials, the show's pause is nobody; "s 5" is an accident in the transcript
    listed = {str(name).rstrip(":") for name in about["speakers"]}  # type: ignore[attr-defined]
    full = {name for name in listed if not (name.isupper() and " " not in name and len(name) < 4)} - {"Break"}
    assert {utterance.speaker for utterance in episode.utterances} - {"", "s 5"} == full
    assert len(episode.chapters) == about["n_chapters"]
    if "duration_s" in about:
        assert episode.utterances[-1].end_seconds == pytest.approx(about["duration_s"], abs=0.1)
    assert document.title == (about["title"] if "meta" in about else "fallback")
    assert document.warnings == ()


@needs_data
def test_the_makers_seconds_are_kept_but_for_a_sentence() -> None:
    for about in EPISODES:
        if about["chapters"]:
            made = json.loads((PODCASTS / about["chapters"]).read_text("utf-8"))["chapters"]
            found = episode_of(read_podcast(PODCASTS / about["transcript"], "d", "")).chapters
            assert [chapter.title for chapter in found] == [" ".join(chapter["title"].split()) for chapter in made]
            off = [abs(ours.start_seconds - its["startTime"]) for ours, its in zip(found[1:], made[1:], strict=True)]
            assert sorted(off)[len(off) // 2] < 5


@needs_data
@pytest.mark.parametrize(
    "name",
    ["transcripts-example.html", "transcripts-example.json", "transcripts-example.srt", "transcripts-example.vtt"],
)
def test_the_namespace_examples_are_read(name: str) -> None:
    document = read_podcast(PODCASTS / "podcast-namespace-examples" / name, "d", "fallback")
    assert_lawful(document.text, episode_of(document).utterances, ())
    speakers = {utterance.speaker for utterance in episode_of(document).utterances}
    expected = {
        "html": {"Travis", "Sarah", "Gilon"},
        "srt": {"Travis", "Sarah", "Gilon"},
        "vtt": {"Sarah", "Gillian"},
        "json": {"Darth Vader", "Luke"},
    }
    assert speakers == expected[name.rpartition(".")[2]]
    assert document.warnings == ()


@needs_data
def test_the_namespace_chapters_are_read() -> None:
    folder = PODCASTS / "podcast-namespace-examples"
    chapters, title, show, left_out = chapters_of_json((folder / "chapters-exampleComplex.json").read_text("utf-8"))
    assert (title, show) == ("Episode 7 - Making Progress", "John's Awesome Podcast")
    assert left_out == 0 and len(chapters) > 8 and 4826 not in [second for second, _ in chapters]  # "toc": false
    assert len(chapters_of_json((folder / "chapters-example.json").read_text("utf-8"))[0]) == 9
