"""Recordings as sound: 16,000 samples a second, one channel, as floats from -1 to 1, piece by piece.

miniaudio decodes MP3, FLAC, Ogg Vorbis and WAV. What it does not know (M4A, MP4, Opus, WebM) the system's ffmpeg
decodes, told to read this one file and nothing else.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import miniaudio
import numpy as np
from numpy.typing import NDArray

from rag.children import program
from rag.errors import DocumentError, RagError

RATE = 16_000  # samples a second
PIECE_SECONDS = 1
NEEDS_FFMPEG = (
    "is in a format that needs ffmpeg, which is not installed. Install it (apt-get install ffmpeg), or save it as .mp3"
)
Samples = NDArray[np.float32]


def sound(file: Path, from_seconds: float = 0.0) -> Iterator[Samples]:
    """The samples of a recording from a second on, in pieces of at most a second. Raises DocumentError."""
    try:
        info = miniaudio.get_file_info(str(file))
    except miniaudio.MiniaudioError:
        yield from _by_ffmpeg(file, from_seconds)
        return
    try:
        pieces = miniaudio.stream_file(
            str(file), miniaudio.SampleFormat.FLOAT32, 1, RATE, PIECE_SECONDS * RATE,
            seek_frame=int(from_seconds * info.sample_rate),
        )  # fmt: skip
        for piece in pieces:
            yield np.frombuffer(piece, dtype=np.float32)
    except miniaudio.MiniaudioError as error:
        raise DocumentError("is a damaged recording: its sound cannot be decoded. Save it again") from error


def seconds_of_file(file: Path) -> float:
    """How long a recording is; 0 where its head does not say. Raises DocumentError for one without sound."""
    try:
        return float(miniaudio.get_file_info(str(file)).duration)
    except miniaudio.MiniaudioError:
        return _ffprobe_seconds(file)


def _need_ffmpeg() -> None:
    try:
        program("ffmpeg"), program("ffprobe")
    except RagError as error:
        raise DocumentError(NEEDS_FFMPEG) from error


def _ffprobe_seconds(file: Path) -> float:
    _need_ffmpeg()
    command = program(
        "ffprobe", "-v", "error", "-protocol_whitelist", "file", "-select_streams", "a:0", "-show_entries",
        "stream=index:format=duration", "-of", "csv=p=0", f"file:{file}",
    )  # fmt: skip
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    lines = said.stdout.split()
    if said.returncode:
        raise DocumentError("is a damaged recording, or none. Save it again")
    if len(lines) < 2:
        raise DocumentError("has no sound. Leave it out")
    with contextlib.suppress(ValueError):
        return float(lines[-1])
    return 0.0


def _by_ffmpeg(file: Path, from_seconds: float) -> Iterator[Samples]:
    seconds = _ffprobe_seconds(file)
    command = program(
        "ffmpeg", "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-ss", f"{from_seconds:.3f}",
        "-i", f"file:{file}", "-map", "0:a:0", "-f", "f32le", "-ac", "1", "-ar", str(RATE), "pipe:1",
    )  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as ffmpeg:
        assert ffmpeg.stdout is not None
        heard = False
        try:
            while piece := ffmpeg.stdout.read(4 * RATE * PIECE_SECONDS):
                heard = True
                yield np.frombuffer(piece[: len(piece) // 4 * 4], dtype=np.float32)
        finally:
            ffmpeg.kill()
    if not heard and from_seconds < max(seconds - 1, 1e-9):
        raise DocumentError("is a damaged recording: its sound cannot be decoded. Save it again")
