"""What the tests of the server's protocols share: a library of a few documents in front of a scripted reader."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import Run
from tests.pages import HARBOUR, Endpoint, Site, prompt_of
from tests.pdfs import make_pdf
from tests.room import FORGE, MILL, podcasts, reads
from tests.test_readers import Handler, says

PAPER = [
    ["SPECTER learns representations of documents from the citations between them."],
    ["We then train the model using the following triplet margin loss function.", "It needs no labels but citations."],
]
CROWNS_QUESTION = "How many crowns had the Merrow Guild saved?"
BUILT_QUESTION = "When was the lighthouse at Port Merrow built?"


def answers(handler: Handler) -> None:
    """As the room's reader, and one answer from the paper."""
    asked = prompt_of(handler.server.chats[-1]).rpartition("Question:")[2]
    (says("Triplet margin loss function") if "loss function" in asked else reads)(handler)


@contextmanager
def serving(folder: Path, glossator: Run, options: Sequence[object] = ()) -> Iterator[Site]:
    """A site over two PDFs, two judgments, of which one cites the other, and two episodes."""
    files = [
        make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book"),
        make_pdf(folder / "specter.pdf", PAPER, "SPECTER"),
        folder / "mill.txt", folder / "forge.txt",
    ]  # fmt: skip
    files[2].write_text(MILL)
    files[3].write_text(FORGE)
    done = glossator("ingest", *files, podcasts(folder / "shows"), "--library", folder / "library")
    assert done.returncode == 0, done.stderr
    with Endpoint(answers) as reader:
        site = Site(folder / "library", folder / "log", reader, options=options)
        try:
            yield site
        finally:
            site.interrupt()


def events_in(reply: httpx.Response) -> list[tuple[str, Any]]:
    """(name, data) of each server-sent event of a reply that has ended; comments are left out."""
    found = []
    for block in reply.text.split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines() if not line.startswith(":")]
        fields = {name: value for name, _, value in lines}
        if "data" in fields:
            data = fields["data"]
            found.append((fields.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found
