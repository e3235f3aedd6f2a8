"""How many words of a recording are heard wrongly: word error rate against what was said, seconds and memory.

    python -m eval.podcast.word_errors --episodes ../shared/data/podcasts/episodes.jsonl --count 2 --minutes 10

As no recordings of the episodes are at hand, the system's espeak-ng speaks their transcripts: a synthetic voice, so the
rate is of clear speech without accents or noise. How many of the words that were heard with the least and the most
certainty are not in the transcript at all shows what that certainty is worth.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

from ingest.audio.recording_reading import CHILD, VOICE, stretches
from ingest.child_process import ChildProcess, Limits
from ingest.podcast.episode import read_podcast
from rag.children import program
from rag.models.registry import path_of

WORDS_A_MINUTE = 160


def word_error_rate(said: str, heard: str) -> float:
    """Substitutions, deletions and insertions of words, over the words said. Case and punctuation do not count.

    >>> word_error_rate("The mill turns.", "the mills turn"), word_error_rate("The mill", "The mill")
    (0.6666666666666666, 0.0)
    """
    words, others = _words(said), _words(heard)
    return Levenshtein.distance(words, others) / max(1, len(words))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower().replace("’", "'"))


def hear(file: Path, model: str) -> tuple[list[list[Any]], float, float]:
    """The words of a recording as (text, start, end, probability), its seconds, and the child's processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    request = {"path": str(file), "whisper": str(path_of(model)), "voice": str(path_of(VOICE)), "threads": 2}
    child = ChildProcess(CHILD, request, Limits(300, 4096), threading.Event())
    seconds = float(child.opened["seconds"])
    try:
        words = [word for stretch in stretches(child, 0) for word in stretch["words"]]
    finally:
        child.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return words, seconds, spent


def spoken_file(text: str, folder: Path) -> Path:
    """The text as espeak-ng speaks it."""
    file = folder / "spoken.wav"
    command = program("espeak-ng", "-s", str(WORDS_A_MINUTE), "-v", "en-us", "-w", str(file))
    subprocess.run(command, input=text.encode(), check=True)
    return file


def measure(text: str, model: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = spoken_file(text, Path(folder))
        began = time.monotonic()
        words, seconds, spent = hear(file, model)
        heard = " ".join(word for word, *_ in words)
        by_certainty = sorted(words, key=lambda word: word[3])
        tenth = max(1, len(words) // 10)
        said = set(_words(text))

        def unknown(some: Sequence[list[Any]]) -> float:
            return sum(not set(_words(word[0])) <= said for word in some) / len(some)

        return {
            "words": len(_words(text)), "wer": round(word_error_rate(text, heard), 4), "seconds": round(seconds),
            "processor_seconds_an_hour": round(spent / seconds * 3600),
            "times_real_time": round(seconds / (time.monotonic() - began), 1),
            "never_said_of_the_least_certain_tenth": round(unknown(by_certainty[:tenth]), 3),
            "never_said_of_the_most_certain_tenth": round(unknown(by_certainty[-tenth:]), 3),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--model", default="whisper-base")
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.episodes.read_text("utf-8").splitlines()]
    for row in rows[: given.count]:
        file = given.episodes.parent / row["transcript"]
        text = read_podcast(file, "", "").text
        text = " ".join(text.split()[: int(given.minutes * WORDS_A_MINUTE)])
        print(json.dumps({"episode": file.name, "model": given.model} | measure(text, given.model)), flush=True)
    print(f"peak memory of the largest child: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MB",
          file=sys.stderr)  # fmt: skip


if __name__ == "__main__":
    main()
