"""The program of the child process that hears a recording: a stretch for each number that it is asked for.

The number is the millisecond from which to go on. The reply has the stretch's words and the millisecond behind it, so
that a reading that was cut off goes on there. A stretch ends in a pause, at the latest after 28 seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ingest.audio.hearing import Ear
from ingest.audio.sound import RATE, Samples, seconds_of_file, sound
from ingest.audio.voice import WINDOW, VoiceDetector, spoken

LONGEST, SHORTEST = 28.0, 8.0  # seconds of a stretch; it ends in the longest pause between them
LEAD = 0.15  # seconds of silence heard before and behind what is spoken


def serve(request: dict[str, Any], numbers: Iterator[int]) -> Iterator[tuple[str, Any]]:
    """("open", {"seconds"}), then ("heard", {"until", "words", "language"}) for each millisecond asked for.

    `request` is {"path", "whisper", "voice", "threads"}: the recording, and the folders of the models.
    """
    file = Path(request["path"])
    seconds = seconds_of_file(file)
    ear, detector = Ear(Path(request["whisper"]), request["threads"]), VoiceDetector(Path(request["voice"]))
    yield "open", {"seconds": seconds}
    stretches: _Stretches | None = None
    for number in numbers:
        if stretches is None or stretches.at != number:
            stretches = _Stretches(file, number / 1000, detector)
        words = []
        piece = stretches.next()
        if piece is not None:
            begin, samples = piece
            words = [[w.text, w.start_seconds, w.end_seconds, w.probability] for w in ear.hear(samples, begin)]
        yield "heard", {"until": stretches.at, "done": stretches.done, "words": words, "language": ear.language}


class _Stretches:
    """The stretches of speech of a recording from a second on, in order; `at` is the millisecond it has come to."""

    def __init__(self, file: Path, begin: float, detector: VoiceDetector):
        self._sound, self._detector = sound(file, begin), detector
        detector.reset()
        self._begin = begin  # the second at which what is waiting begins
        self._waiting: Samples = np.zeros(0, dtype=np.float32)
        self._probabilities = np.zeros(0, dtype=np.float32)
        self._ended = False

    @property
    def at(self) -> int:
        return round(self._begin * 1000)

    @property
    def done(self) -> bool:
        return self._ended and not len(self._waiting)

    def next(self) -> tuple[float, Samples] | None:
        """The next stretch: the second at which it begins, and its samples; None for half a minute of silence."""
        self._fill(LONGEST)
        step = WINDOW / RATE
        speech = spoken(self._probabilities)
        if not speech:
            self._pass(len(self._waiting) if self._ended else len(self._probabilities) * WINDOW)
            return None
        first = max(0.0, speech[0][0] - LEAD)
        cut = len(self._waiting) / RATE
        if not self._ended or cut > LONGEST:
            pauses = [(b - a, a, b) for (_, a), (b, _) in pairwise(speech) if a >= SHORTEST]
            last = speech[-1][1]
            if last < len(self._probabilities) * step - 2 * step and last >= SHORTEST:
                pauses.append((len(self._probabilities) * step - last, last, len(self._probabilities) * step))
            cut = (max(pauses)[1] + max(pauses)[2]) / 2 if pauses else min(cut, LONGEST)
        end = min(cut, max((b for a, b in speech if a < cut), default=cut) + LEAD)
        samples = self._waiting[int(first * RATE) : int(end * RATE)]
        begin = self._begin + first
        self._pass(min(len(self._waiting), int(cut * RATE)))
        return begin, samples

    def _fill(self, seconds: float) -> None:
        while not self._ended and len(self._waiting) < seconds * RATE:
            piece = next(self._sound, None)
            if piece is None:
                self._ended = True
            else:
                self._waiting = np.concatenate([self._waiting, piece])
        heard = len(self._probabilities) * WINDOW
        if len(self._waiting) - heard >= WINDOW:
            self._probabilities = np.concatenate(
                [self._probabilities, self._detector.probabilities(self._waiting[heard:])]
            )

    def _pass(self, samples: int) -> None:
        windows = min(samples // WINDOW, len(self._probabilities))
        samples = len(self._waiting) if self._ended and samples >= len(self._waiting) - WINDOW else windows * WINDOW
        self._begin += samples / RATE
        self._waiting = self._waiting[samples:]
        self._probabilities = self._probabilities[windows:]
