"""A new library can be searched while it is ingested: from the first second, and finds more and more."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from rag.errors import LibraryError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.search import open_retriever
from rag.settings import load_settings
from tests.conftest import command

TALKS = 4


def transcript(number: int) -> str:
    cues = "".join(
        f"00:{i // 60:02}:{i % 60:02}.000 --> 00:{i // 60:02}:{i % 60:02}.900\n"
        f"Talk {number} says that harbour number {number * 100 + i} was closed by ice in the winter of {1700 + i}.\n\n"
        for i in range(20)
    )
    return f"WEBVTT\n\n{cues}"


@pytest.mark.attack
def test_a_new_library_is_searched_while_it_is_ingested(tmp_path: Path) -> None:
    shelf, folder = tmp_path / "shelf", tmp_path / "library"
    shelf.mkdir()
    for number in range(TALKS):
        (shelf / f"talk-{number:02}.vtt").write_text(transcript(number))
    ingesting = subprocess.Popen(
        command("ingest", shelf, "--library", folder, "--json"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    found: list[int] = []
    try:
        while not (folder / "catalogue.sqlite").is_file():
            assert ingesting.poll() is None
            time.sleep(0.02)
        indexes = Indexes(Library.open(folder), load_settings())
        while ingesting.poll() is None:
            for name in ("bm25", "sparse", "dense"):
                hits = open_retriever(indexes, name).search(["harbour closed by ice in the winter"], 100)[0]
                found.append(len({hit.passage.document_id for hit in hits}))
                if ingesting.poll() is not None:
                    break
            time.sleep(0.05)
        assert ingesting.returncode == 0
    except LibraryError as error:
        pytest.fail(f"search {len(found) + 1} failed: {error}")
    finally:
        ingesting.kill()
        ingesting.communicate()
    assert len(found) >= 6, "it was searched while it was written"
    assert found[0] == 0
    assert len(indexes.retriever("bm25").search(["harbour"], 1000)[0]) == indexes.library.passage_count
