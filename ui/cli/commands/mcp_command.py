"""The command `mcp`: a library as tools of an assistant, over standard input and output."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ui.cli.options import LibraryOption
from ui.cli.shared import open_indexes

if TYPE_CHECKING:
    from rag.index.manager import Indexes
    from ui.web.workers.answer_worker import AnswerWorker


@dataclass(frozen=True, slots=True)
class _Asked:
    indexes: Indexes
    answers: AnswerWorker


def mcp(library: LibraryOption) -> None:
    """Give an assistant (Claude, an IDE) tools that look things up in a library: MCP over standard input and output.

    Over HTTP the same tools stand at /mcp of `glossator serve`.
    """
    indexes = open_indexes(library)
    # what a library prints goes to standard error: standard output is the protocol's
    protocol = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(protocol, "w", encoding="utf-8")
    from rag.errors import LibraryError
    from ui.mcp_server import LibraryServer  # mcp
    from ui.web.workers.answer_worker import AnswerWorker
    from ui.web.workers.reader_queue import ReaderQueue

    asked = _Asked(indexes, AnswerWorker(indexes, None, ReaderQueue()))

    def library_of(request: object, name: str) -> _Asked:
        if name:
            raise LibraryError("there is one library here. Leave its name out")
        return asked

    try:
        LibraryServer(library_of).run("stdio")
    finally:
        asked.answers.close(2.0)
