"""What several test files build or measure."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

from rag.encode.dense import TransformerEncoder
from rag.models import path_of
from rag.records import Passage


def assert_linear(work: Callable[[str], object], text: str, eight_times: str) -> None:
    """Eight times the text may take 24 times as long, give or take a tick; a quadratic way takes 64 times."""

    def seconds(raw: str) -> float:
        def once() -> float:
            started = time.process_time()
            work(raw)
            return time.process_time() - started

        return min(once() for _ in range(2))

    assert seconds(eight_times) < 24 * seconds(text) + 0.02


def passage(number: int, text: str, document_id: str = "d", title: str = "", start: int = 0, page: int = 1) -> Passage:
    """A passage "<document_id>#<number>" on one page, at `start` in its document."""
    passage_id = f"{document_id}#{number}"
    return Passage(passage_id, document_id, title, f"{document_id}.pdf", text, start, start + len(text), page, page)


@cache
def encoder() -> TransformerEncoder:
    """The default encoder, loaded once in this process."""
    return TransformerEncoder(path_of("all-minilm-l6-v2"), 256, 32)
