"""What the browser tests share: the program's page in front of a reader, and a visit to it in a real browser.

The reader is scripted wherever the law is the page's: what the real ones say in it, test_make_run.py asks.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from rag.library.catalogue import Library
from tests.conftest import command
from tests.test_readers import Act, Handler, says
from tests.test_readers import Served as Endpoint

HARBOUR = [
    ["The lighthouse at Port Merrow was built in 1871 by two brothers.", "Its lamp could be seen for twenty miles."],
    [
        "The Merrow Guild kept the light for thirty years.",
        "The Merrow Guild had saved 412 crowns when the light closed.",
    ],
    ["The harbour master lived in a house of red brick."],
]
GUILD = "How many crowns had the Merrow Guild saved?"


def prompt_of(request: Mapping[str, Any]) -> str:
    """All messages of what a reader was asked."""
    return "\n".join(message["content"] for message in request["messages"])


def replies(by_word: Mapping[str, str]) -> Act:
    """A reader that gives the reply of the first word that is in the question, and "yes" where that is wanted."""

    def act(handler: Handler) -> None:
        question = prompt_of(handler.server.chats[-1]).rpartition("Question:")[2]
        says(next(reply for word, reply in by_word.items() if word in question))(handler)

    return act


class Site:
    """A running server over a library, in front of a scripted reader: its address, and what it has said on stderr."""

    def __init__(
        self, library: Path, log: Path, reader: Endpoint, *settings: str, options: Sequence[object] = (),
        descriptors: int = 0,
    ):  # fmt: skip
        """`options` of `glossator serve`; `descriptors`: how many files and sockets it may have open."""
        self.library, self.log, self.reader = library, log, reader
        chosen = [f"reader.model=http://127.0.0.1:{reader.server_port}/v1#scripted", *settings]
        sets = [word for setting in chosen for word in ("--set", setting)]
        with log.open("w") as said:
            serve = command(*sets, "serve", "--library", library, "--port", 0, *options)
            if descriptors:
                serve = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *serve]
            self.process = subprocess.Popen(serve, stderr=said, stdout=said)
        self.address = self._address()

    def _address(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if "glossator: open " in (said := self.log.read_text()) and said.endswith("\n"):
                return said.split("glossator: open ")[1].split()[0]
            time.sleep(0.1)
        raise AssertionError(f"the server did not start: {self.log.read_text()}")

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    def document_id(self, title: str) -> str:
        return next(e.document_id for e in Library.open(self.library).documents() if e.title == title)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()


class Visit:
    """A browser page, with what went wrong on it and whom it spoke to."""

    def __init__(self, browser, site: Site, **options):
        self.page = browser.new_context(viewport={"width": 1280, "height": 800}, **options).new_page()
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.goto(site.address)
        self.page.get_by_text("The Harbour Book", exact=True).wait_for()

    def ask(self, question: str) -> str:
        """Ask, wait for the sources' page, and return the conversation."""
        questions = self.page.locator("#chat .user").count()
        self.page.get_by_label("Question").fill(question)
        self.page.get_by_label("Question").press("Enter")
        self.finished(questions + 1)
        return self.page.locator("#chat").inner_text()

    def finished(self, questions: int) -> None:
        self.page.wait_for_function(
            """n => document.querySelectorAll("#chat .user").length == n && !document.querySelector("#chat .bot em")
               && [...document.querySelectorAll("#chat .user, #chat .bot")].at(-1).matches(".bot")
               && [...document.querySelectorAll("button")].some(b => b.innerText == "Ask" && !b.disabled)""",
            arg=questions,
            timeout=60_000,
        )

    def picture(self) -> Image.Image:
        """The page shown beside the conversation, once it has loaded."""
        self.page.wait_for_function("() => document.querySelector('figure.page img')?.naturalWidth > 0")
        source = self.page.locator("figure.page img").get_attribute("src")
        reply = self.page.request.get(f"{self.page.url.rstrip('/')}{source}")
        assert reply.headers["content-type"] == "image/png"
        return Image.open(BytesIO(reply.body())).convert("RGB")

    def focus(self) -> str:
        """The id or name of the control that has the focus."""
        return self.page.evaluate("document.activeElement.name || document.activeElement.closest('[id]')?.id || ''")


@contextmanager
def visit(browser, site: Site, **options) -> Iterator[Visit]:
    visited = Visit(browser, site, **options)
    yield visited
    visited.page.context.close()
    assert visited.errors == []
    assert visited.hosts == {urlsplit(site.address).netloc}
