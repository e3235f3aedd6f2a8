"""A transcript of ten hours takes little more memory than one of an hour: to ingest, and to make its chapters anew.

Each is done in a process of its own, by the reading child, the catalogue, the index by words and the cohesion that the
program uses. Vectors come from a stand-in of the encoder's width: a model's weights and batches, which do not grow with
an episode, would hide what does.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import pytest

from ingest.build import build
from ingest.podcast.rechapter import rechapter
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.protocols import Report, silent
from rag.settings import load_settings
from tests.conftest import ROOT

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXAMPLE = ROOT / "examples" / "podcasting-q-and-a.srt"
LASTS = 755  # seconds
TIME = re.compile(r"(\d\d):(\d\d):(\d\d),(\d{3})")
WIDTH = 384  # of all-minilm-l6-v2's vectors
MOST_MB = 100  # by which nine hours more may raise the peak


class WithoutModels(Indexes):
    """The indexes of which only that by words is kept up to date."""

    @contextmanager
    def updating(self, report: Report = silent, names: Sequence[str] = ()) -> Iterator[Callable[[], None]]:
        with super().updating(report, ["lexical"]) as update:
            yield update

    def encoder(self) -> StandIn:  # type: ignore[override]
        return StandIn()


class StandIn:
    """A unit vector for each text, by chance."""

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda count: None) -> NDArray[np.float32]:
        rows = np.stack([np.random.default_rng(crc32(text.encode())).standard_normal(WIDTH) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def stitched(file: Path, hours: float) -> Path:
    """The example again and again, each time behind the last, until so many hours are full."""

    def later(time: re.Match[str], seconds: int) -> str:
        h, m, s = (int(part) for part in time.groups()[:3])
        total = h * 3600 + m * 60 + s + seconds
        return f"{total // 3600:02}:{total // 60 % 60:02}:{total % 60:02},{time[4]}"

    once = EXAMPLE.read_text("utf-8").strip()
    starts = range(0, int(hours * 3600), LASTS)
    parts = [TIME.sub(lambda time, start=start: later(time, start), once) for start in starts]  # type: ignore[misc]
    file.write_text("\n\n".join(parts) + "\n", "utf-8")
    return file


@dataclass(frozen=True, slots=True)
class Done:
    """What a process says of itself: its memory at the largest, passages, and the seconds of each chapter."""

    peak_mb: float
    passages: int
    spans: list[list[float]]


def main(what: str, file: str, folder: str) -> None:
    library = Library.open(Path(folder), create=what == "ingest")
    indexes = WithoutModels(library, load_settings())
    if what == "ingest":
        peak_mb: float = build([Path(file)], library, indexes, indexes.settings.ingest).peak_memory_mb
    else:
        list(rechapter(indexes, library.documents()[0].document_id, "cohesion"))
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, KiB elsewhere
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    episode = library.episode(library.documents()[0].document_id)
    assert episode
    spans = [(chapter.start_seconds, chapter.end_seconds) for chapter in episode.chapters]
    print(json.dumps([peak_mb, len(library.numbers()), spans]))


def run(what: str, file: Path, folder: Path) -> Done:
    """Linux counts the memory of whoever starts a program to it: that is a shell here, and not pytest."""
    program = [sys.executable, "-m", "tests.test_long_transcript", what, str(file), str(folder)]
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit', "sh", *program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Done(*json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_hardly_grows_with_the_hours(tmp_path: Path) -> None:
    peaks: dict[tuple[str, int], float] = {}
    for hours in (1, 10):
        file, folder = stitched(tmp_path / f"{hours}.srt", hours), tmp_path / f"library-{hours}"
        for what in ("ingest", "chapters"):
            done = run(what, file, folder)
            assert done.spans[0][0] < 1 and hours * 3600 <= done.spans[-1][1] < hours * 3600 + LASTS
            assert all(before[1] == behind[0] for before, behind in pairwise(done.spans))
            assert done.passages > 50 * hours and len(done.spans) > 1
            peaks[what, hours] = done.peak_mb
    print(peaks)  # pytest -s
    for what in ("ingest", "chapters"):
        assert peaks[what, 10] - peaks[what, 1] < MOST_MB, peaks


if __name__ == "__main__":
    main(*sys.argv[1:])
