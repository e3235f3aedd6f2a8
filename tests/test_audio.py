"""Recordings without a transcript (ingest/audio/): what is heard, when, how certainly, and what is left out."""

from __future__ import annotations

import shutil
import threading
import wave
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rapidfuzz import fuzz

from ingest.audio import recording_reading
from ingest.audio.heard_file import HeardFile
from ingest.audio.mel import CHANNELS, FFT, FRAMES, filters, log_mel
from ingest.audio.recording_kind import is_recording, transcript_beside
from ingest.audio.sound import RATE, seconds_of_file, sound
from ingest.audio.voice import LEAST_SPEECH, SPEAKS, WINDOW, spoken
from ingest.build import build
from ingest.child_process import ChildProcess, Children, Limits
from ingest.kinds import kind_of
from ingest.podcast import chapter_store as chaptering
from ingest.read import find_files
from ingest.read_context import ReadContext
from rag.document import Document, Page
from rag.errors import DocumentError, ModelError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.models.registry import path_of
from rag.settings import load_settings
from tests.test_podcasts_ingest import VTT, NoIndexes, halves

SPEECH = Path(cast(Any, find_spec("gradio")).origin).parent / "media_assets" / "audio"  # comes with gradio
DAGGER = SPEECH / "cate_blanch.mp3"
HEARD = "sleep with the dagger"  # a film's line, eight seconds of it


def has_models() -> bool:
    try:
        return bool(path_of("whisper-base") and path_of("silero-vad"))
    except ModelError:
        return False


needs_whisper = pytest.mark.skipif(not has_models(), reason="weights: make test-weights")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def context(folder: Path) -> ReadContext:
    library = Library.open(folder / "library", create=True)
    children = Children(threading.Semaphore(), 1, threading.Event())
    indexes = SimpleNamespace(settings=load_settings([]))
    return cast(ReadContext, SimpleNamespace(
        children=children, library=library, limits=Limits(60, 2048), indexes=indexes, report=lambda *_: None,
        settings=indexes.settings.ingest,
    ))  # fmt: skip


def heard(file: Path, folder: Path) -> Document:
    return recording_reading.read_recording(file, "d" * 16, context(folder)).document


def write_wav(file: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file


def samples_of(file: Path) -> np.ndarray:
    return np.concatenate(list(sound(file)))


# -- what is computed --------------------------------------------------------------------------------------------------


def test_the_filters_are_slaneys_triangles_of_one_area() -> None:
    assert filters().shape == (CHANNELS, FFT // 2 + 1)
    areas = filters().sum(axis=1) * RATE / FFT
    assert np.all(areas[20:] > 0.9) and np.all(areas[20:] < 1.1), "wide enough for the steps of 40 Hz"
    peaks = filters().argmax(axis=1) * RATE / FFT
    assert np.all(np.diff(peaks) >= 0)
    assert peaks[-1] == pytest.approx(7_700, abs=100)


def test_a_tone_stands_in_its_channel_and_silence_in_none() -> None:
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE).astype(np.float32)
    mel = log_mel(tone)
    assert mel.shape == (CHANNELS, FRAMES)
    peaks = filters().argmax(axis=1) * RATE / FFT
    assert abs(peaks[mel[:, 50].argmax()] - 1_000) <= 60
    assert np.ptp(log_mel(np.zeros(RATE, dtype=np.float32))) == 0
    assert mel.max() - mel.min() == pytest.approx(2, abs=1e-5), "eight powers of ten, divided by four"


@given(arrays.arrays(np.float32, st.integers(0, 200), elements=st.sampled_from([0.0, 0.2, 0.4, 0.6, 1.0])))
def test_what_is_spoken_lies_in_spans_in_order(probabilities: np.ndarray) -> None:
    spans = spoken(probabilities)
    ends = [second for span in spans for second in span]
    assert ends == sorted(ends)
    assert not ends or (ends[0] >= 0 and ends[-1] <= len(probabilities) * WINDOW / RATE + 1e-3)
    loud = probabilities >= SPEAKS
    run = 0
    for i, speaks in enumerate(loud):
        run = run + 1 if speaks else 0
        if run * WINDOW / RATE > LEAST_SPEECH + WINDOW / RATE:
            second = i * WINDOW / RATE
            assert any(start - 1e-3 <= second <= end + 1e-3 for start, end in spans)


def test_a_reading_goes_on_behind_the_last_whole_stretch(tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    first = {"until": 20_000, "done": False, "words": [["mill", 1.0, 2.0, 0.9]], "language": "en"}
    file = HeardFile(library, "d", "base")
    file.keep(first)
    path = tmp_path / "library" / "reading" / "d.heard"
    path.write_bytes(path.read_bytes() + b'{"until": 40000, "done"')  # torn by a kill
    again = HeardFile(library, "d", "base")
    assert (again.at, again.stretches, again.done) == (20_000, [first], False)
    again.keep({"until": 30_000, "done": True, "words": [], "language": "en"})
    assert HeardFile(library, "d", "base").done
    assert HeardFile(library, "d", "another model").stretches == []


@pytest.mark.parametrize("change", [
    {"until": 5}, {"until": "9"}, {"done": 1}, {"language": 7}, {"words": [["a", 2.0, 1.0, 0.5]]},
    {"words": [["a", 0.0, 1.0, 2.0]]}, {"words": [["a", 5.0, 6.0, 0.5], ["b", 4.0, 6.0, 0.5]]}, {"words": "mill"},
    {"words": [["a", float("nan"), 1.0, 0.5]]},
])  # fmt: skip
def test_a_child_that_was_taken_over_is_not_believed(change: dict[str, Any]) -> None:
    honest = {"until": 10, "done": False, "words": [["a", 0.0, 1.0, 0.5]], "language": "en"}
    assert recording_reading.checked_stretch(honest, 5) == honest
    with pytest.raises(DocumentError, match="cannot be right"):
        recording_reading.checked_stretch(honest | change, 5)


# -- which files -------------------------------------------------------------------------------------------------------


def test_a_transcript_beside_a_recording_wins(tmp_path: Path) -> None:
    shutil.copy(DAGGER, tmp_path / "talk.mp3")
    shutil.copy(DAGGER, tmp_path / "alone.mp3")
    (tmp_path / "talk-transcript.vtt").write_text(VTT)
    (tmp_path / "broken.mp3").write_text("words")
    assert [cast(Path, file).name for file in find_files(tmp_path, tmp_path / "library")] == [
        "alone.mp3", "broken.mp3", "talk-transcript.vtt",
    ]  # fmt: skip
    assert kind_of(tmp_path / "alone.mp3") == "audio"
    with pytest.raises(DocumentError, match=r"read with the transcript beside it. Name that: talk-transcript.vtt"):
        kind_of(tmp_path / "talk.mp3")
    with pytest.raises(DocumentError, match="is no recording"):
        kind_of(tmp_path / "broken.mp3")
    assert transcript_beside(tmp_path / "alone.mp3", lambda file: True) is None


def test_a_transcript_that_comes_later_takes_the_place_of_what_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    indexes = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))
    library = indexes.library
    for name in ("talk.mp3", "other.mp3"):
        shutil.copy(DAGGER, tmp_path / name)
        with library.writing("a test"):
            heard = Document(name, "podcast", name, "Heard.", (Page(1, 0, 6),))
            library.put(heard, [], str(tmp_path / name), name, "audio 1")
    (tmp_path / "talk.vtt").write_text(VTT)
    build([tmp_path / "talk.vtt"], library, indexes, indexes.settings.ingest)
    shown = {path for entry in library.documents() for path in entry.paths}
    assert shown == {"other.mp3", str(tmp_path / "talk.vtt")}


def test_a_recording_is_known_by_its_first_bytes() -> None:
    heads = {
        "a.mp3": b"\xff\xfb\x90",
        "a.wav": b"RIFF0000WAVE",
        "a.flac": b"fLaC",
        "a.ogg": b"OggS",
        "a.m4a": b"0000ftypM4A",
    }
    assert all(is_recording(name, head) for name, head in heads.items())
    assert not any(is_recording(name, b"{}") for name in heads)


# -- what is heard -----------------------------------------------------------------------------------------------------


@needs_whisper
def test_speech_becomes_sentences_with_seconds_and_certainty(tmp_path: Path) -> None:
    document = heard(DAGGER, tmp_path)
    assert HEARD in document.text.lower()
    assert document.kind == "podcast" and document.episode is not None
    said = document.episode.utterances
    assert document.text[said[0].start : said[0].end].endswith(".")
    assert said[0].start_seconds < 1 and said[-1].end_seconds <= seconds_of_file(DAGGER) + 0.1
    assert all(0 < cast(float, each.certainty) <= 1 for each in said)
    assert document.episode.audio == str(DAGGER)


@needs_whisper
def test_a_pause_of_a_minute_is_passed_over_and_what_follows_keeps_its_second(tmp_path: Path) -> None:
    speech = samples_of(DAGGER)
    file = write_wav(tmp_path / "pause.wav", np.concatenate([speech, np.zeros(60 * RATE, dtype=np.float32), speech]))
    said = cast(Any, heard(file, tmp_path).episode).utterances
    second = len(speech) / RATE + 60
    later = [each for each in said if each.start_seconds > second - 1]
    early = [each for each in said if each.start_seconds <= second - 1]
    assert len(later) == len(early) > 1
    assert later[0].start_seconds - early[0].start_seconds == pytest.approx(second, abs=0.6)
    assert not any(len(speech) / RATE + 1 < each.start_seconds < second - 1 for each in said), "silence says nothing"


@needs_whisper
def test_another_child_goes_on_where_one_was_killed(tmp_path: Path) -> None:
    speech = samples_of(DAGGER)
    gap = np.zeros(RATE, dtype=np.float32)
    file = write_wav(tmp_path / "long.wav", np.concatenate([speech, gap] * 5))
    request = {
        "path": str(file), "whisper": str(path_of("whisper-base")), "voice": str(path_of("silero-vad")), "threads": 2,
    }  # fmt: skip

    def stretches(at: int, most: int) -> Iterator[dict[str, Any]]:
        child = ChildProcess(recording_reading.CHILD, request, Limits(120, 4096), threading.Event())
        try:
            for _ in range(most):
                stretch = recording_reading.checked_stretch(child.ask(at)[1], at)
                at = stretch["until"]
                yield stretch
                if stretch["done"]:
                    return
        finally:
            child.close()

    whole = list(stretches(0, 20))
    first = list(stretches(0, 1))
    rest = list(stretches(first[0]["until"], 20))
    assert len(whole) > 1
    said, again = (" ".join(word[0] for stretch in made for word in stretch["words"]) for made in (whole, first + rest))
    assert rest[0]["words"][0][1] >= first[0]["until"] / 1000 - 0.5, "seconds count from the recording's beginning"
    assert again.lower().count("dagger") == said.lower().count("dagger") == 5
    assert fuzz.ratio(said, again) > 85, "what was heard before a stretch has its part in it"


@needs_whisper
@pytest.mark.parametrize("what", ["silence", "noise", "music"])
def test_what_nobody_says_is_not_heard(tmp_path: Path, what: str) -> None:
    rng = np.random.default_rng(0)
    sounds = {"silence": np.zeros(40 * RATE), "noise": rng.normal(0, 0.05, 40 * RATE), "music": None}
    made = sounds[what]
    file = SPEECH / "sax.wav" if made is None else write_wav(tmp_path / "a.wav", made)
    with pytest.raises(DocumentError, match="holds no speech that could be made out"):
        heard(file, tmp_path)


@needs_whisper
@pytest.mark.parametrize("name", ["cut.wav", "junk.mp3", "junk.m4a"])
def test_a_damaged_recording_is_one_line(tmp_path: Path, name: str) -> None:
    heads = {
        "cut.wav": b"RIFF\x00\x00\x00\x00WAVE",
        "junk.mp3": b"ID3" + b"\x00" * 9,
        "junk.m4a": b"\x00\x00\x00\x18ftypM4A ",
    }
    (tmp_path / name).write_bytes(heads[name] + b"\x13" * 4_000)
    with pytest.raises(DocumentError) as error:
        heard(tmp_path / name, tmp_path)
    assert "recording" in str(error.value) or "ffmpeg" in str(error.value) or "no sound" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@needs_whisper
@needs_ffmpeg
def test_what_miniaudio_does_not_know_ffmpeg_decodes(tmp_path: Path) -> None:
    import subprocess

    for name in ("talk.m4a", "talk.opus", "film.mp4"):
        picture = ["-f", "lavfi", "-i", "color=black:s=64x64:d=1"] if name.endswith("mp4") else []
        command = ["ffmpeg", "-v", "error", "-i", str(DAGGER), *picture, "-ac", "1", str(tmp_path / name)]
        assert subprocess.run(command, check=False).returncode == 0
        assert HEARD in heard(tmp_path / name, tmp_path / name.replace(".", "-")).text.lower()
    silent = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=black:s=64x64:d=1", str(tmp_path / "silent.mp4")]
    assert subprocess.run(silent, check=False).returncode == 0
    with pytest.raises(DocumentError, match="has no sound"):
        heard(tmp_path / "silent.mp4", tmp_path)


@needs_whisper
def test_a_recording_is_stored_cited_and_not_heard_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    indexes = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))
    shutil.copy(DAGGER, tmp_path / "film.mp3")
    (tmp_path / "film.meta.md").write_text("---\ntitle: A film\nshow: Films\n---\n")

    def ingested() -> str:
        return build([tmp_path / "film.mp3"], indexes.library, indexes, indexes.settings.ingest).documents[0].status

    assert (ingested(), ingested()) == ("added", "unchanged")
    (entry,) = indexes.library.documents()
    assert (entry.kind, entry.title) == ("podcast", "A film")
    (passage, *_) = [passage for _, passage in indexes.library.passages_since(0)]
    assert cast(Any, passage.locator).start_seconds < 1
    assert passage.ocr_confidence is not None and 0.5 < passage.ocr_confidence <= 1
    assert not list((tmp_path / "library" / "reading").glob("*.heard"))
    (tmp_path / "film.meta.md").unlink()
    assert ingested() == "updated"
