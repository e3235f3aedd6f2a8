"""What it costs to share a catalogue in PostgreSQL: writing beside a library of one machine, following, a new machine.

    python -m eval.server.shared_figures --address postgresql://user@host/database --corpus FILE.jsonl.gz

The database gets a library of a random name, which is left there.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from eval.server.growth import PASSAGES, document, texts_of
from rag.document import Document
from rag.library.catalogue import Library
from rag.library.kept.conversations import Conversations
from rag.records import Passage

TURNS = 100
CHANGES = 20  # of one machine that another is asked for


def measure(address: str, corpus: Path, count: int) -> dict[str, float]:
    """Seconds of each, with `count` passages in documents of PASSAGES."""
    texts = list(texts_of(corpus, count))
    documents = [document(n, texts[n * PASSAGES : (n + 1) * PASSAGES]) for n in range(count // PASSAGES)]
    name, figures = f"figures-{secrets.token_hex(4)}", dict[str, float]()
    with tempfile.TemporaryDirectory() as scratch:
        folders = {machine: Path(scratch, machine, name) for machine in ("alone", "one", "two")}
        for machine, shared in (("alone", ""), ("one", address)):
            library = Library.open(folders[machine], create=True, shared=shared)
            taken = [_taken(partial(_put, library, *each)) for each in documents]
            figures[f"document of {PASSAGES} passages, {machine}"] = median(taken)
            figures[f"turn of a conversation, {machine}"] = _turns(folders[machine])
        began = time.monotonic()
        one, two = library, Library.open(folders["two"], create=True, shared=address)
        figures[f"a new machine, {count:,} passages"] = time.monotonic() - began
        waits = []
        for number in range(CHANGES):
            _put(one, *document(10**6 + number, texts[:PASSAGES]))
            wanted, began = one.generation, time.monotonic()
            while two.generation < wanted:
                time.sleep(0.005)
            waits.append(time.monotonic() - began)
        figures["seen by another machine after"] = median(waits)
        figures["reading a row, one machine"] = _reading(Library.open(folders["alone"]))
        figures["reading a row, shared"] = _reading(two)
    return figures


def _put(library: Library, made: Document, passages: Sequence[Passage]) -> None:
    with library.writing("figures"):
        library.put(made, passages, f"/{made.document_id}", "", "")


def _turns(folder: Path) -> float:
    kept = Conversations(folder)
    conversation = kept.create("").conversation_id
    return median(_taken(lambda: kept.add_turn(conversation, "", "How long is it?", {})) for _ in range(TURNS))


def _reading(library: Library) -> float:
    began = time.monotonic()
    for _ in range(2000):
        library.generation  # noqa: B018 - it reads a row
    return (time.monotonic() - began) / 2000


def _taken(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="What it costs to share a catalogue in PostgreSQL.")
    parser.add_argument("--address", required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--passages", type=int, default=10_000)
    given = parser.parse_args()
    print(json.dumps({n: round(v, 5) for n, v in measure(given.address, given.corpus, given.passages).items()}))


if __name__ == "__main__":
    main()
