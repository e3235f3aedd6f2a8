"""Speech to words with seconds: Whisper (Radford et al. 2022) in CTranslate2, a stretch of speech at a time.

What Whisper makes of silence, and loops into which it falls, is left out: a stretch is heard again with other settings
where it says the same again and again (its text packs too well), and left out if that does not help, or if the model
itself thinks that nobody speaks and is unsure of each word (section 4.5 there).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from ingest.audio.mel import HOP, log_mel
from ingest.audio.sound import RATE, Samples

PACKS = 2.4  # bytes of a text to its bytes packed, from which it repeats itself
NOBODY, UNSURE = 0.6, -1.0  # probability of no speech, and mean log probability of its tokens, of what is left out
BEAMS = 5  # 1: 10.0 % of words wrong for 8.8 %, in two thirds of the time (2026-11-30, eval/log.md)
LEAST = 0.25  # mean probability of the words of a stretch that is kept: of music it is less
MOST_TOKENS = 220  # of a stretch
START, TRANSCRIBE, NO_TIMES = "<|startoftranscript|>", "<|transcribe|>", "<|notimestamps|>"
LANGUAGE_SURE = 0.5
TOKEN_SECONDS = 2 * HOP / RATE  # a step of the alignment
JOINED = ("zh", "ja", "th", "lo", "my", "yue", "km")  # written without spaces between words


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it was heard: its seconds in the recording, and the probability that the model gives it (0..1)."""

    text: str
    start_seconds: float
    end_seconds: float
    probability: float


class Ear:
    """The model, opened once; `language` is the one it takes what it hears for, found in the first stretch."""

    def __init__(self, folder: Path, threads: int = 2):
        self._model: Any = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._first_special = self._tokenizer.token_to_id("<|endoftext|>") or 0
        self.language = "" if self._model.is_multilingual else "en"

    def hear(self, samples: Samples, begin: float) -> list[Word]:
        """The words of at most 30 seconds of speech that begin at a second of the recording."""
        features = ctranslate2.StorageView.from_array(log_mel(samples)[None])
        encoded = self._model.encode(features)
        if not self.language:
            language, probability = self._model.detect_language(encoded)[0][0]
            if probability >= LANGUAGE_SURE:
                self.language = language.strip("<|>")
            else:
                return self._words(encoded, language.strip("<|>"), samples, begin)
        return self._words(encoded, self.language, samples, begin)

    def _words(self, encoded: Any, language: str, samples: Samples, begin: float) -> list[Word]:
        start = [START, f"<|{language}|>", TRANSCRIBE, NO_TIMES] if self._model.is_multilingual else [START, NO_TIMES]
        prompt = [self._tokenizer.token_to_id(token) for token in start]
        tokens: Sequence[int] = ()
        for settings in ({}, {"no_repeat_ngram_size": 4}):
            found = self._model.generate(
                encoded, [prompt], max_length=len(prompt) + MOST_TOKENS, return_scores=True, return_no_speech_prob=True,
                beam_size=BEAMS, **settings,
            )[0]  # fmt: skip
            tokens = [token for token in found.sequences_ids[0] if token < self._first_special]
            text = self._tokenizer.decode(tokens)
            if not text.strip() or (found.no_speech_prob > NOBODY and found.scores[0] < UNSURE):
                return []
            if not repeats(text):
                break
        else:
            return []
        frames = min(len(samples) // HOP, 3000)
        aligned = self._model.align(encoded, prompt, [list(tokens)], [frames])[0]
        words = self._timed(tokens, aligned, language, begin, begin + len(samples) / RATE)
        return words if np.mean([word.probability for word in words] or [0.0]) >= LEAST else []

    def _timed(self, tokens: Sequence[int], aligned: Any, language: str, begin: float, end: float) -> list[Word]:
        """The words of the tokens: a word ends where the next one begins."""
        first_step: dict[int, int] = {}
        for token, step in aligned.alignments:
            first_step.setdefault(token, step)
        starts = [min(first_step.get(i, 0) * TOKEN_SECONDS, end - begin) for i in range(len(tokens))] + [end - begin]
        words = []
        for first, last, text in self._grouped(tokens, language):
            probability = float(np.mean(aligned.text_token_probs[first:last] or [0.0]))
            words.append(
                Word(text, round(begin + starts[first], 2), round(begin + starts[last], 2), round(probability, 3))
            )
        return words

    def _grouped(self, tokens: Sequence[int], language: str) -> list[tuple[int, int, str]]:
        """(first token, one behind the last, text) of each word; of a language without spaces one for the stretch."""
        if language in JOINED:
            return [(0, len(tokens), self._tokenizer.decode(list(tokens)).strip())]
        groups: list[tuple[int, int, str]] = []
        first = 0
        for i in range(1, len(tokens) + 1):
            if i < len(tokens) and not self._tokenizer.decode([tokens[i]]).startswith(" "):
                continue
            if text := self._tokenizer.decode(list(tokens[first:i])).strip():
                groups.append((first, i, text))
            first = i
        return groups


def repeats(text: str) -> bool:
    """Whether a text says the same again and again.

    >>> repeats("Thank you. " * 12), repeats("The mill at Kolm was built by two brothers of oak from the wood nearby.")
    (True, False)
    """
    data = text.encode()
    return len(data) / len(zlib.compress(data)) > PACKS
