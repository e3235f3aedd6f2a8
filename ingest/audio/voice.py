"""Where somebody speaks in a recording: Silero VAD (MIT), a recurrent network that looks at 32 ms at a time.

The model, its window and its context of 64 samples: github.com/snakers4/silero-vad, version 6.2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ingest.audio.sound import RATE, Samples

WINDOW = 512  # samples
CONTEXT = 64  # samples before the window
SPEAKS, SILENT = 0.5, 0.35  # probabilities from which speech begins, and below which it ends
LEAST_SPEECH, LEAST_SILENCE = 0.25, 0.4  # seconds: a shorter sound is no speech, a shorter pause none


class VoiceDetector:
    """The network with its memory of what it heard before; `reset` before another recording."""

    def __init__(self, folder: Path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # windows are tiny
        self._session = onnxruntime.InferenceSession(str(folder / "silero_vad.onnx"), options, ["CPUExecutionProvider"])
        self.reset()

    def reset(self) -> None:
        self._state = np.zeros((2, 1, 128), dtype=np.float32)
        self._context = np.zeros(CONTEXT, dtype=np.float32)

    def probabilities(self, samples: Samples) -> NDArray[np.float32]:
        """The probability of speech in each whole window of the samples."""
        found = np.zeros(len(samples) // WINDOW, dtype=np.float32)
        for i in range(len(found)):
            window = samples[i * WINDOW : (i + 1) * WINDOW]
            given = {"input": np.concatenate([self._context, window])[None], "state": self._state, "sr": np.int64(RATE)}
            output, self._state = self._session.run(None, {k: np.asarray(v) for k, v in given.items()})
            self._context = window[-CONTEXT:]
            found[i] = output[0, 0]
        return found


def spoken(probabilities: NDArray[np.float32]) -> list[tuple[float, float]]:
    """(start, end) in seconds of what is spoken, by the probability of each window.

    >>> spoken(np.repeat(np.float32([0.1, 0.9, 0.1, 0.9, 0.1]), [32, 32, 5, 32, 32]))
    [(1.024, 3.232)]
    """
    spans: list[tuple[float, float]] = []
    begin: int | None = None
    quiet = 0
    step = WINDOW / RATE
    for i, probability in enumerate([*probabilities, *[0.0] * (int(LEAST_SILENCE / step) + 1)]):
        if begin is None:
            begin, quiet = (i, 0) if probability >= SPEAKS else (None, 0)
        elif probability >= SILENT:
            quiet = 0
        else:
            quiet += 1
            if quiet * step >= LEAST_SILENCE:
                start, end = begin * step, (i + 1 - quiet) * step
                if end - start >= LEAST_SPEECH:
                    spans.append((round(start, 3), round(min(end, len(probabilities) * step), 3)))
                begin = None
    return spans
