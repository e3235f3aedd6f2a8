"""The files that our figures are measured on, by their content: nobody may train on them, however they are named."""

from __future__ import annotations

import gzip
import hashlib
import tomllib
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path

from rag.errors import UsageError

LIST = Path(__file__).with_suffix(".toml")


@cache
def withheld() -> dict[str, str]:
    """sha256 of a file's content, decompressed -> where the file stands among the benchmarks."""
    return {digest: name for name, digest in tomllib.loads(LIST.read_text("utf-8"))["sha256"].items()}


def check_not_withheld(file: Path) -> None:
    """UsageError for a file that holds the bytes of one of them, gzipped or not. Of a file that is not there: nothing.

    Another selection of the same questions has other bytes, and is not known.
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
