"""The page's map of the library, concepts that count less, what would change an answer, and a correction that stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, Run, needs_browser
from tests.pages import Endpoint, Site, prompt_of, visit
from tests.test_readers import Handler, says

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
CASES = ("dees-v-hungary-2010", "moreno-gomez-v-spain-2004", "dakus-v-ukraine-2017", "pibernik-v-croatia-2004")
ASKED = "In what year did Mr Deés lodge his application with the Court?"
NEAR = "In which year was the application of Mr Deés lodged with the Court?"


def year(handler: Handler) -> None:
    """The year that stands behind "on" in the sentence of the application, or what a correction says."""
    prompt = prompt_of(handler.server.chats[-1])
    corrected = re.search(r'The answer to ".*" is "(.*?)"', prompt)
    found = re.search(r"lodged with the Court.{0,300}?on \d+ \w+ (\d{4})", prompt, re.DOTALL)
    says(corrected[1] if corrected else found[1] if found else "1900")(handler)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("concepts")
    files = [Path(ROOT / "examples" / "judgments" / f"{name}.txt") for name in CASES]
    assert glossator("ingest", *files, "--library", folder / "library").returncode == 0
    with Endpoint(year) as reader:
        opened = Site(folder / "library", folder / "log", reader, "reader.rules=")
        try:
            yield opened
        finally:
            opened.interrupt()


@needs_browser
@pytest.mark.parametrize("width", [1300, 400])
def test_the_map_shows_what_the_documents_have_in_common_and_opens_passages(site: Site, browser, width: int) -> None:
    with visit(browser, site, viewport={"width": width, "height": 800}) as visited:
        page = visited.page
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("menuitem", name="Map of the library").click()
        page.locator(".concept-map tbody tr").first.wait_for()
        assert page.locator(".concept-map thead th").count() == 4
        dots = page.locator(".concept-map td button")
        name = dots.first.get_attribute("aria-label") or ""
        assert re.search(r": \d+ of \d+ passages in ", name)
        dots.first.click()
        page.locator(".concept-passages li .hit").first.click()
        page.locator("mark").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@needs_browser
def test_a_concept_counts_less_until_it_is_taken_back(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("menuitem", name="Map of the library").click()
        concept = page.locator(".concept-map tbody th button").first
        concept.wait_for()
        name = concept.inner_text()
        page.fill("#search", name.split(",")[0])
        page.locator(".results .hit").first.wait_for()
        before = page.locator(".results .hit b + .hint").all_inner_texts()
        page.locator(".results .concept", has_text=name).first.click()
        page.get_by_role("menuitem", name="Less of this").click()
        page.locator(".results .moved").first.wait_for()
        assert page.locator(".results .hit b + .hint").all_inner_texts() != before
        page.get_by_role("button", name=re.compile("No longer change")).first.click()
        page.locator(".results .moved").first.wait_for(state="detached")
        assert page.locator(".results .hit b + .hint").all_inner_texts() == before


@needs_browser
def test_what_would_change_an_answer_is_told_with_the_changed_words(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        answer = visited.ask(ASKED)
        right = re.search(r"\d{4}", answer.inner_text())
        assert right
        page.get_by_role("button", name="What would change it?").click()
        change = page.locator(".change").first
        change.wait_for(timeout=60_000)
        told = change.inner_text()
        assert re.search(rf"With “.*” for “.*{right[0]}.*” the answer becomes “\d{{4}}”", told), told
        assert change.locator("mark").count() >= 1 and page.get_by_text("Your documents are not changed").count() == 1


@needs_browser
def test_a_correction_stays_is_used_and_can_be_taken_back(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        answer = visited.ask(ASKED)
        page.get_by_role("button", name="Bad answer").click()
        page.get_by_label("What is the right answer?").fill("1777")
        page.get_by_label("Where does it stand?").select_option("1")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("The cited passage says otherwise").wait_for()
        answer = visited.ask(ASKED)
        assert "1777" in answer.inner_text()
        page.locator(".correction").last.wait_for()
        answer = visited.ask(NEAR)
        assert "1777" in answer.inner_text()
        shown = page.locator(".turn").last.locator(".correction")
        assert "by your correction of" in shown.inner_text() and "says otherwise" in shown.inner_text()
        shown.get_by_role("button", name="Remove").click()
        shown.wait_for(state="detached")
        assert "1777" not in visited.ask(ASKED).inner_text()
