"""A hand at the page: what a person does there, with the clicks counted and the waiting timed."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

ANSWER_SECONDS = 240.0
ANSWERED = """n => {  // whether there are n questions, and the last is answered, or said why not
  const turns = document.querySelectorAll(".turn"), last = turns[turns.length - 1];
  return turns.length === n && last.querySelector(".actions") && !last.querySelector(".working");
}"""


class Hand:
    """One person's page. `clicks` counts what was clicked or chosen, `seconds` the waiting for what they asked for."""

    def __init__(self, browser: Browser, address: str, files: Path, made: Path):
        """`files`: where the files to add lie; `made`: a folder for files that a task makes."""
        self.browser, self.address, self.files, self.made = browser, address, files, made
        self.page: Page = browser.new_context(
            viewport={"width": 1440, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
        ).new_page()
        self.clicks, self.seconds = 0, 0.0
        self.page.goto(address)
        self.page.locator(".documents li").first.wait_for()

    def begin(self) -> None:
        self.clicks, self.seconds = 0, 0.0

    def click(self, what: Locator) -> None:
        self.clicks += 1
        what.click()

    def button(self, name: str) -> None:
        self.click(self.page.get_by_role("button", name=name).first)

    def item(self, name: str) -> None:
        """Choose an entry of an open menu."""
        self.click(
            self.page.get_by_role("menuitem", name=name).or_(self.page.get_by_role("menuitemradio", name=name)).first
        )

    def wait(self, what: Locator, seconds: float = 30.0) -> Locator:
        """Wait for something to be seen; that time counts."""
        began = time.monotonic()
        what.first.wait_for(timeout=seconds * 1000)
        self.seconds += time.monotonic() - began
        return what.first

    @property
    def turn(self) -> Locator:
        return self.page.locator(".turn").last

    def new(self) -> None:
        """Begin a conversation; counts nothing: it is not part of the task."""
        self.page.get_by_role("button", name="New question").click()
        self.page.locator(".talk .empty").wait_for()
        chips = self.page.locator(".scope-chip button")
        while chips.count():
            chips.first.click()

    def type(self, question: str) -> None:
        box = self.page.get_by_role("textbox", name="Question", exact=True)
        box.fill(question)
        box.press("Enter")

    def ask(self, question: str) -> str:
        """Ask with Enter, wait for the answer, and give what it says: its sentences, or why there is none."""
        asked = self.page.locator(".turn").count()
        self.type(question)
        self.answered(asked + 1)
        return self.said()

    def answered(self, turns: int) -> None:
        began = time.monotonic()
        self.page.wait_for_function(ANSWERED, arg=turns, timeout=ANSWER_SECONDS * 1000)
        self.seconds += time.monotonic() - began

    def said(self) -> str:
        """The last answer's words, without its chips."""
        found = self.turn.locator(".answer :is(p, li)")
        if not found.count():
            return self.turn.locator(".told").inner_text().split("\n")[0]
        texts = found.evaluate_all(
            """all => all.map(e => {
              const copy = e.cloneNode(true);
              copy.querySelectorAll(".chip").forEach(chip => chip.remove());
              return copy.textContent;
            })"""
        )
        return re.sub(r"\s+", " ", " ".join(texts)).strip()

    def add(self, *files: Path, seconds: float = 240.0) -> list[str]:
        """Add files with the chooser, and wait until each has ended; what their rows say."""
        self.clicks += 1
        before = self.page.locator(".documents li.ready").count()
        self.page.locator(".side input[type=file]").set_input_files(list(files))
        began = time.monotonic()
        self.page.wait_for_timeout(800)
        self.page.wait_for_function(
            """() => !document.querySelector(
              ".upload:is(.waiting, .reading, .preparing), .upload progress, .documents li.preparing")""",
            timeout=seconds * 1000,
        )
        self.seconds += time.monotonic() - began
        rows = [" ".join(row.inner_text().split()) for row in self.page.locator(".upload").all()]
        return [*rows, f"{self.page.locator('.documents li.ready').count() - before} ready"]
