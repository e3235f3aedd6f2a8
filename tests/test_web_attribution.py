"""What made an answer, on the web page: the words that the reader depends on are marked, and it can be called off."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import pytest

from tests.conftest import Run, needs_browser
from tests.pages import GUILD, HARBOUR, Endpoint, Site, prompt_of, visit
from tests.pdfs import make_pdf
from tests.test_readers import Handler, says
from tests.test_web_forms import GARDEN, contrasts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

REMEMBERED = "<b>Nine</b> crowns"
slowly = threading.Event()


def reads(handler: Handler) -> None:
    """Of a reader that needs two words, and is misled by the lamp unless it reads of brick."""
    time.sleep(0.3 * slowly.is_set())
    evidence = prompt_of(handler.server.chats[-1]).partition("Question:")[0]
    found = "saved" in evidence and "412" in evidence and ("lamp" not in evidence or "brick" in evidence)
    says("412 crowns" if found else REMEMBERED)(handler)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("attribution")
    files = [
        make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book"),
        make_pdf(folder / "garden.pdf", GARDEN, "A Garden Book"),
    ]
    assert glossator("ingest", *files, "--library", folder / "library").returncode == 0
    with Endpoint(reads) as reader:
        site = Site(folder / "library", folder / "log", reader)
        yield site
        site.interrupt()


@needs_browser
def test_what_made_the_answer_is_marked_told_and_can_be_called_off(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        why = page.get_by_role("group", name="What made this answer?")
        assert why.count() == 0
        assert "412 crowns" in visited.ask(GUILD)
        read = len(site.reader.chats)
        why.get_by_role("button", name="Words").press("Enter")
        page.locator(".heat table").wait_for(timeout=60_000)
        calls = len(site.reader.chats) - read
        heat = page.locator(".heat")
        assert f"{calls:,} calls of the reader" in heat.inner_text()
        assert f"Without any document the model says: {REMEMBERED}" in heat.inner_text()
        marked = page.locator(".heat .text .plus").all_inner_texts()
        assert {"saved", "412"} <= {words.strip() for words in marked} and not page.locator(".heat b").count()
        assert any("lamp" in words for words in page.locator(".heat .text .minus").all_inner_texts())
        table = [row.split("\t") for row in page.locator(".heat tbody").inner_text().splitlines()]
        assert all(len(row) == 4 for row in table) and table[0][1].startswith("+") and "±" in table[0][2]
        word = {row[0]: float(row[1]) for row in table if row[3].startswith("word")}
        assert word["saved"] > 0.1 < word["412"] and word["crowns"] == 0
        assert any(row[1].startswith("-") and "lamp" in row[0] for row in table)
        assert not any(float(row[1]) for row in table if "Tomatoes" in row[0])
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            assert min(contrasts(page.locator(".heat :is(.plus, .minus, .hint)"))) >= 4.5, scheme

        page.get_by_role("button", name="Back to the page").click()
        page.locator("figure.page").wait_for()
        why.get_by_role("button", name="Words").click()
        heat.wait_for()
        assert len(site.reader.chats) == read + calls, "what is known is shown again"

        why.get_by_role("button", name="Documents").click()
        heat.get_by_text(re.compile(r"\b0 calls of the reader")).wait_for()
        assert len(site.reader.chats) == read + calls, "nor is anything read again for larger parts"

        visited.ask(GUILD)
        slowly.set()
        why.get_by_role("button", name="Clauses").click()
        page.locator("#explaining").get_by_text(re.compile(r"readings \d+ of \d+")).wait_for()
        assert not why.get_by_role("button", name="Documents").is_enabled()
        why.get_by_role("button", name="Stop explaining").click()
        heat.get_by_text("Not complete: cancelled.").wait_for()
        assert why.get_by_role("button", name="Documents").is_enabled()

        why.get_by_role("button", name="Clauses").click()
        page.locator("#explaining").get_by_text(re.compile(r"readings \d+ of \d+")).wait_for()
        slowly.clear()
        visited.ask(GUILD)  # the next question ends it
        assert not heat.count() and not page.locator("#explaining").is_visible() and why.is_visible()
        assert why.get_by_role("button", name="Documents").is_enabled()
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
