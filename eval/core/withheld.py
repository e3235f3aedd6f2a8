"""What our figures are measured on, files by their content and questions by their words: nobody may train on them."""

from __future__ import annotations

import gzip
import hashlib
import tomllib
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path

from rag.errors import UsageError
from rag.train.near_duplicates import words_of

LIST = Path(__file__).with_suffix(".toml")
QUESTIONS = Path(__file__).with_name("withheld-questions.txt")  # a digest a line, ascending


@cache
def withheld() -> dict[str, str]:
    """sha256 of a file's content, decompressed -> where the file stands among the benchmarks."""
    return {digest: name for name, digest in tomllib.loads(LIST.read_text("utf-8"))["sha256"].items()}


def check_not_withheld(file: Path) -> None:
    """UsageError for a file that holds the bytes of one of them, gzipped or not. Of a file that is not there: nothing.

    Another selection of the same questions has other bytes: `is_withheld` knows these.
    """
    if not file.is_file():
        return
    raw = file.read_bytes()
    contents = [raw]
    if raw[:2] == b"\x1f\x8b":
        with suppress(gzip.BadGzipFile, EOFError, zlib.error):  # whoever reads it will say so
            contents.append(gzip.decompress(raw))
    for content in contents:
        name = withheld().get(hashlib.sha256(content).hexdigest())
        if name is not None:
            raise UsageError(
                f"--data {file}: it holds {name}, on which encoders are measured: one that has seen it would be "
                "measured on what it knows. Name a training file"
            )


def is_withheld(question: str) -> bool:
    """Whether it is one of the questions that we measure on, in whatever case and punctuation."""
    return digest_of(question) in _questions()


def digest_of(question: str) -> str:
    """The first twelve hex digits of the sha256 of its words, by which two thousand questions are told apart."""
    return hashlib.sha256(" ".join(words_of(question)).encode()).hexdigest()[:12]


@cache
def _questions() -> frozenset[str]:
    return frozenset(QUESTIONS.read_text("utf-8").split())
