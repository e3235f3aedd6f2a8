"""A folder with a document of each format: one command reads it, and each answers with a citation that opens there."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.conftest import Run, needs_browser
from tests.pages import Site, contrasts, replies, visit
from tests.reflowable_files import write_all
from tests.test_readers import Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# kind -> a question, what its answer holds, where that is cited, the words marked, what stands beside them
QUESTIONS = {
    "word": ("What is the rent of the water mill at Kolm a year?", "4,800 crowns", "2. Rent, ¶ 7", "4,800"),
    "slides": ("Where was the turbine built?", "Graz", "slide 1, Turbines", "Graz"),
    "ebook": ("When did the dam break?", "April", "The flood, ¶ 2", "April"),
    "web": ("Who bought the mill in 1934?", "Józef Tarn", "History, ¶ 2", "Józef"),
    "email": ("When was the wheel repaired by the smith?", "3 April", "¶ 3", "3 April"),
    "sheet": ("How many sacks of oats are in stock?", "seven", "Stock, row 5", "oats"),
    "csv": ("How many wheels has Tarn?", "5", "row 4", "Tarn"),
    "text": ("When was the toll at the bridge ended?", "1870", "¶ 3", "1870"),
    "notes": ("How long is the mill race?", "412 metres", "Water, ¶ 2", "412"),
}

# whether the first mark that holds some words stands within the reading pane, as it is scrolled
IN_SIGHT = """words => {
  const mark = [...document.querySelectorAll(".document-text mark")].find((each) => each.textContent.includes(words));
  const frame = document.querySelector(".frame").getBoundingClientRect(), box = mark?.getBoundingClientRect();
  return box && box.height > 0 && box.top >= frame.top && box.bottom <= frame.bottom;
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("formats")
    files = write_all(folder / "papers")
    made = json.loads(glossator("ingest", folder / "papers", "--library", folder / "library", "--json").stdout)
    assert {each["status"] for each in made["documents"]} == {"added"}
    assert len(made["documents"]) == len(files)
    with Served(replies({question: answer for question, answer, *_ in QUESTIONS.values()})) as reader:
        served = Site(folder / "library", folder / "log", reader)
        try:
            yield served
        finally:
            served.interrupt()


@needs_browser
def test_each_format_answers_with_a_citation_that_opens_at_its_place(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        for kind, (question, answer, place, marked) in QUESTIONS.items():
            turn = visited.ask(question)
            assert answer in turn.locator(".answer").inner_text(), kind
            chip = turn.locator(".chip").first
            assert place in chip.get_attribute("aria-label"), kind
            chip.click()
            mark = page.locator(".document-text mark", has_text=marked).first
            mark.wait_for()
            page.wait_for_function(IN_SIGHT, arg=marked)
            page.screenshot(path=str(site.log.parent / f"format-{kind}.png"))
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            assert min(contrasts(page.locator(".document-text :is(p, h3, td, th, mark, .number)"))) >= 4.5, scheme
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.screenshot(path=str(site.log.parent / "format-phone.png"))


@needs_browser
def test_words_are_found_in_a_document_without_pages(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.locator(".documents li", has_text="Lease of the mill").get_by_role("button").first.click()
        page.locator(".document-text").wait_for()
        page.get_by_role("searchbox", name="Find in this document").fill("sluice")
        page.get_by_text("1 of 2").wait_for()
        assert page.locator(".document-text mark").first.inner_text().lower() == "sluice"
