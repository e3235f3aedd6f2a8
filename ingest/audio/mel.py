"""The log-mel spectrogram that Whisper hears (Radford et al. 2022, section 2.2). Pure.

80 channels on Slaney's mel scale, windows of 25 ms every 10 ms, logarithms within 8 of the largest, made about -1..1.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ingest.audio.sound import RATE, Samples

CHANNELS, FFT, HOP = 80, 400, 160
SECONDS = 30  # that the model takes at a time
FRAMES = SECONDS * RATE // HOP


@cache
def filters() -> NDArray[np.float32]:
    """(channels, FFT / 2 + 1): triangles of equal area, linear up to 1 kHz and logarithmic above (Slaney 1998)."""
    step, knee, slope = 200 / 3, 15.0, np.log(6.4) / 27
    highest = knee + np.log(RATE / 2 / 1000) / slope
    mels = np.linspace(0, highest, CHANNELS + 2)
    hertz = np.where(mels < knee, mels * step, 1000 * np.exp(slope * (mels - knee)))
    frequencies = np.linspace(0, RATE / 2, FFT // 2 + 1)
    rising = (frequencies - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    falling = (hertz[2:, None] - frequencies) / np.diff(hertz)[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (hertz[2:] - hertz[:-2]))[:, None]).astype(np.float32)


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """(channels, FRAMES) of at most 30 seconds of sound, silence behind it."""
    padded = np.zeros(SECONDS * RATE, dtype=np.float32)
    padded[: len(samples)] = samples[: len(padded)]
    padded = np.pad(padded, FFT // 2, mode="reflect")
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP][:FRAMES]
    power = np.abs(np.fft.rfft(frames * window, axis=1)).astype(np.float32) ** 2
    mel = np.log10(np.maximum(filters() @ power.T, 1e-10))
    return np.ascontiguousarray((np.maximum(mel, mel.max() - 8) + 4) / 4, dtype=np.float32)
