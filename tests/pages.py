"""What the browser tests share: the program's page in front of a reader, and a visit to it in a real browser.

The reader is scripted wherever the law is the page's: what the real ones say in it, test_make_run.py asks.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from PIL import Image

from eval.page.hand import ANSWERED
from rag.library.catalogue import Library
from tests.conftest import command
from tests.test_readers import Act, Handler, says
from tests.test_readers import Served as Endpoint

if TYPE_CHECKING:
    from playwright.sync_api import Locator

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
        descriptors: int = 0, port: int = 0,
    ):  # fmt: skip
        """`options` of `glossator serve`; `descriptors`: how many files and sockets it may have open."""
        self.library, self.log, self.reader = library, log, reader
        chosen = [f"reader.model=http://127.0.0.1:{reader.server_port}/v1#scripted", *settings]
        sets = [word for setting in chosen for word in ("--set", setting)]
        with log.open("w") as said:
            serve = command(*sets, "serve", "--library", library, "--port", port, *options)
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

    def __init__(self, browser, site: Site, path: str = "", expected_errors: Sequence[str] = (), **options):
        self.page = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options}).new_page()
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.expected_errors = tuple(expected_errors)  # parts of messages that the browser itself writes
        self.page.on("console", lambda message: self._failed(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self._failed(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.goto(f"{site.address}{path}")
        self.page.locator(".documents li").first.wait_for(state="attached")

    def _failed(self, message: str) -> None:
        if not any(part in message for part in self.expected_errors):
            self.errors.append(message)

    @property
    def turn(self) -> Locator:
        """The last question with its answer."""
        return self.page.locator(".turn").last

    def ask(self, question: str) -> Locator:
        """Ask, and wait until it is answered, or said why not; the question with its answer."""
        asked = self.page.locator(".turn").count()
        box = self.page.get_by_role("textbox", name="Question", exact=True)
        box.fill(question)
        box.press("Enter")
        return self.answered(asked + 1)

    def answered(self, turns: int) -> Locator:
        self.page.wait_for_function(ANSWERED, arg=turns, timeout=60_000)
        return self.turn

    def picture(self) -> Image.Image:
        """The page that is shown, marks and all, as it is seen."""
        self.page.wait_for_function("() => document.querySelector('.sheet img')?.naturalWidth > 0")
        return Image.open(BytesIO(self.page.locator(".sheet").screenshot())).convert("RGB")

    def place(self) -> str:
        """What the reading pane says of where it is."""
        return self.page.locator(".reading .place").inner_text()


@contextmanager
def visit(browser, site: Site, **options) -> Iterator[Visit]:
    visited = Visit(browser, site, **options)
    yield visited
    visited.page.context.close()
    assert visited.errors == []
    assert visited.hosts == {urlsplit(site.address).netloc}


def contrasts(elements: Locator) -> list[float]:
    """The contrast of each of these elements that is visible, of its text to what is behind it (WCAG 2.2).

    4.5 is wanted, 21 is black on white. All are asked of the browser at once.
    """
    all_colours = elements.evaluate_all(
        """async all => {  // colours that still change to another scheme's are nobody's
          const changing = document.getAnimations().filter(a => a instanceof CSSTransition);
          await Promise.all(changing.map(a => a.finished.catch(() => 0)));
          const visible = e => {
            const box = e.getBoundingClientRect();
            return box.width > 0 && box.height > 0 && getComputedStyle(e).visibility == "visible";
          };
          return all.filter(visible).map(e => {
            const own = getComputedStyle(e).color, chain = [];
            for (let n = e; n; n = n.parentElement) chain.push(getComputedStyle(n));
            const behind = chain.map(s => s.backgroundColor).find(c => !c.startsWith("rgba(0, 0, 0, 0"));
            return [own, behind, chain.reduce((all, s) => all * s.opacity, 1)];
          });
        }"""
    )
    return [_ratio(*colours) for colours in all_colours]


def _ratio(own: str, behind: str, opacity: float) -> float:
    ink, paper = ([int(number) for number in re.findall(r"\d+", colour)[:3]] for colour in (own, behind))
    seen = [opacity * a + (1 - opacity) * b for a, b in zip(ink, paper, strict=True)]
    dark, light = sorted((_luminance(seen), _luminance(paper)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Sequence[float]) -> float:
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
