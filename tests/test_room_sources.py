"""What the room shows beside the conversation: tables, figures and scans on pages, episodes, judgments, precedents."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from tests.conftest import Run, needs_browser
from tests.pages import Site, contrasts, visit
from tests.room import BEES, FIGURE, HEIGHT, MILL, STEP, STORMS, TALK, WIDTH, open_room

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SACKS = "How many sacks of flour do the bakers of Lund buy?"
FORGED = "How far from the bedroom of the applicant did the forge stand?"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    with open_room(tmp_path_factory.mktemp("sources"), glossator) as opened:
        yield opened


def first_source(visited) -> str:
    return visited.turn.locator(".chip").first.get_attribute("aria-label")


# ---- pages


def box_of(page, what: str) -> tuple[float, ...]:
    """Left, bottom, right, top in points of an element on the sheet."""
    sheet, found = page.locator(".sheet").bounding_box(), page.locator(what).first.bounding_box()
    scale = WIDTH / sheet["width"]
    left, top = (found["x"] - sheet["x"]) * scale, HEIGHT - (found["y"] - sheet["y"]) * scale
    return left, top - found["height"] * scale, left + found["width"] * scale, top


def near(box: tuple[float, ...], wanted: tuple[float, ...], points: float) -> bool:
    return all(abs(a - b) <= points for a, b in zip(box, wanted, strict=True))


def has_ink(picture: Image.Image) -> bool:
    return bool((np.asarray(picture.convert("L")) < 100).any())


@needs_browser
def test_a_citation_opens_its_page_with_the_table_figure_or_scanned_words_marked(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        visited.ask("According to Table 1, how many people were the crew of the boat Gannet?")
        assert "page 2, Table 1" in first_source(visited)
        visited.turn.locator(".chip").first.click()
        page.locator(".sheet .framed").wait_for()
        assert has_ink(visited.picture())
        assert near(box_of(page, ".sheet .framed"), (80, 585, 400, 712), 12)  # around caption and rows
        left, bottom, right, top = box_of(page, ".sheet .mark")
        assert left >= 78 and right <= 402 and bottom >= 585 and top <= 700

        visited.ask("In Figure 1, which tank is drawn in the lamp room?")
        assert "page 3, Figure 1" in first_source(visited)
        visited.turn.locator(".chip").first.click()
        page.get_by_text("page 3 of 4").wait_for()
        assert near(box_of(page, ".sheet .framed"), FIGURE, 12)

        visited.ask("Who kept the night watch alone?")
        assert "page 4 (read by OCR" in first_source(visited) and "Quillfeather" in first_source(visited)
        visited.turn.locator(".chip").first.click()
        page.get_by_text("page 4 of 4").wait_for()
        left, bottom, right, top = box_of(page, ".sheet .mark")
        assert near((left, top), (100, HEIGHT - 225), 8) and top - bottom < 30  # 450 of 1684 pixels from the top
        page.get_by_role("button", name="Larger").click()
        assert page.locator(".sheet").bounding_box()["width"] > page.locator(".frame").bounding_box()["width"]
        page.get_by_role("button", name="Smaller").click()
        line = page.locator(".letters span", has_text="Quillfeather").first
        line.evaluate("span => getSelection().selectAllChildren(span)")
        assert "Quillfeather" in page.evaluate("getSelection().toString()")


# ---- episodes

HEARD = """
window.heard = [];
for (const event of ["playing", "seeked"])
  document.addEventListener(event, ({ target }) => { if (!target.paused) heard.push(target.currentTime); }, true);
"""


def plays_from(page, second: float) -> None:
    """The audio plays, and the last place where it began is within half a second of this one."""
    page.wait_for_function(
        """second => { const audio = document.querySelector(".player audio");
           return !audio.paused && audio.readyState > 2 && !audio.seeking && window.heard.length
             && Math.abs(window.heard.at(-1) - second) <= 0.5 && audio.currentTime >= second - 0.5; }""",
        arg=second,
    )


def chapter_of(page) -> str:
    return page.locator(".player .chapters [aria-current]").inner_text().replace("\n", " ")


def in_view(page, part: str) -> bool:
    """Whether an element stands in the reading pane, as it is scrolled."""
    return page.evaluate(
        """(part) => { const inner = document.querySelector(part).getBoundingClientRect();
           const box = document.querySelector(part).closest("[role=tabpanel], .transcript");
           const outer = box.getBoundingClientRect();
           return inner.height > 0 && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1; }""",
        part,
    )


@needs_browser
def test_a_citation_or_a_chapter_starts_the_audio_there(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.evaluate(HEARD)
        visited.ask(SACKS)
        assert "Flour, 04:19, Bo Aas" in first_source(visited)
        player = page.get_by_role("region", name="Player")
        player.wait_for()
        assert page.evaluate("document.querySelector('.player audio').paused"), "nobody has asked for sound yet"
        assert chapter_of(page) == "02:28 Flour"  # where the sentence nearest to the maker's time begins
        marked = player.locator("mark").all_inner_texts()
        assert any("nine sacks" in said for said in marked) and not any("oak" in said for said in marked)
        assert player.locator("b").all_inner_texts() == [who for who, _ in TALK], "no markup of a chapter's title"

        visited.turn.locator(".chip").first.click()
        plays_from(page, 7 * STEP)
        page.locator(".player .caption").get_by_text("Bo Aas: The bakers of Lund").wait_for()
        assert player.get_by_role("status").inner_text() == "Flour, 04:19, Bo Aas"
        page.get_by_role("button", name="Storms").click()
        plays_from(page, 2 * STEP)
        assert chapter_of(page) == f"01:14 {STORMS}" and page.evaluate("window.owned") is None
        player.get_by_role("button", name="The mill").press("Enter")  # from the keyboard
        plays_from(page, 0)
        page.locator(".player .transcript button[tabindex='0']").press("ArrowDown")
        assert page.evaluate("document.activeElement.textContent") == "00:37"
        page.keyboard.press("Enter")
        plays_from(page, 37)
        page.get_by_label("Captions").uncheck()
        assert not page.locator(".player .caption").is_visible()
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            seen = contrasts(page.locator(".player :is(.time, .title, .hint, .now, .caption, mark, b)"))
            assert min(seen) >= 4.5, scheme


@needs_browser
def test_without_audio_the_transcript_is_shown_at_the_place(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        visited.ask("What was the queen of the Harlow hive called?")
        assert "The queen, 05:00" in first_source(visited)
        page.get_by_role("region", name="Player").wait_for()
        assert page.locator(".player audio").count() == 0
        assert "There is no audio" in page.locator(".player").inner_text()
        assert in_view(page, ".player mark") and chapter_of(page) == "05:00 The queen"
        page.get_by_role("button", name="Goodbye").click()
        here = page.locator(".player .transcript [aria-current]")
        assert here.inner_text() == BEES[50] and chapter_of(page) == "08:20 Goodbye"


def test_audio_and_captions_are_served_by_id_alone(site: Site) -> None:
    mill, bees = site.document_id("The Kolm mill"), site.document_id("bees")
    with httpx.Client(base_url=f"{site.address}/v1/documents", trust_env=False) as client:
        whole = client.get(f"/{mill}/audio")
        assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
        assert whole.headers["accept-ranges"] == "bytes" and whole.headers["x-content-type-options"] == "nosniff"
        part = client.get(f"/{mill}/audio", headers={"range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, whole.content[100:200])
        captions = client.get(f"/{mill}/captions.vtt")
        assert captions.headers["content-type"] == "text/vtt; charset=utf-8" and captions.text.startswith("WEBVTT\n")
        for path in (
            f"/{bees}/audio", "/0123456789abcdef/audio", "/0123456789abcdef/captions.vtt",
            "/..%2f..%2fcatalogue.sqlite/audio", f"/{mill}/..%2f..%2flibrary%2fcatalogue.sqlite",
            "/%2fetc%2fpasswd/audio",
        ):  # fmt: skip
            reply = client.get(path)
            assert (reply.status_code, len(reply.text.splitlines())) == (404, 1), path
        sound = site.log.parent / "shows" / "mill.wav"
        sound.rename(sound.with_suffix(".away"))
        assert client.get(f"/{mill}/audio").status_code == 404
        sound.with_suffix(".away").rename(sound)


# ---- judgments


@needs_browser
def test_a_citation_opens_the_judgment_and_the_cases_around_it(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        visited.ask(FORGED)
        assert "B. v. MALTA, THE FACTS, § 2" in first_source(visited)
        panel = page.get_by_role("region", name="Judgment")
        panel.wait_for()
        assert "European Court of Human Rights, 2005-05-04" in panel.inner_text()
        assert panel.locator("dd").all_inner_texts() == ["2/05", "Article 8", "Article 8: violation"]
        assert "nine metres" in " ".join(panel.locator("mark").all_inner_texts())
        assert in_view(page, ".judgment mark")
        tab, shown = panel.get_by_role("tab", selected=True), panel.get_by_role("tabpanel")
        assert (tab.inner_text(), panel.get_by_role("status").inner_text()) == ("Facts", "§ 2")
        tab.focus()
        page.keyboard.press("ArrowRight")
        assert tab.inner_text() == "The law" and "The Court recalls" in shown.inner_text()
        page.keyboard.press("End")
        assert tab.inner_text() == "Timeline"
        years = [row.split() for row in shown.inner_text().split("\n") if row.strip()]
        assert ["2001-05-04", "A.", "v.", "AUSTRIA", "cited", "here"] in years
        panel.get_by_label("Go to §").fill("48")
        page.keyboard.press("Enter")
        assert tab.inner_text() == "Facts" and in_view(page, "#case-paragraph-48")
        panel.get_by_role("tab", name="Cites (1)").click()
        shown.get_by_role("button", name="A. v. AUSTRIA").press("Enter")
        page.wait_for_function("document.querySelector('.judgment h2').innerText == 'A. v. AUSTRIA'")
        assert panel.locator("mark").all_inner_texts() == ["3." + MILL.split("\n3.")[1].split("\n")[0]]
        panel.get_by_role("tab", name="Cited by (1)").click()
        shown.get_by_role("button", name="B. v. MALTA").click()
        page.wait_for_function("document.querySelector('.judgment h2').innerText == 'B. v. MALTA'")
        assert "A. v. Austria, no. 1/01, § 3" in " ".join(panel.locator("mark").all_inner_texts())
        visited.turn.locator(".chip").first.click()
        page.get_by_role("tab", name="Facts", selected=True).wait_for()
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            assert min(contrasts(panel.locator(":is(p, dt, dd, mark, a, button, .date, li)"))) >= 4.5, scheme


@needs_browser
def test_filters_narrow_what_is_searched_and_say_so(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.get_by_role("button", name="Filters and answer style").click()
        state = page.locator(".options").get_by_label("Respondent state")
        assert state.locator("option").all_inner_texts() == ["any", "Austria", "Malta"]
        state.select_option("malta")
        page.locator(".options").get_by_label("Section").select_option("facts")
        page.locator(".scope-chip", has_text="Respondent state: Malta").wait_for()
        said = visited.ask(FORGED).inner_text()
        assert "Searched: Facts, Malta" in said and "B. v. MALTA, THE FACTS" in first_source(visited)
        page.locator(".options").get_by_label("Respondent state").select_option("austria")
        page.locator(".scope-chip", has_text="Austria").wait_for()
        page.get_by_role("button", name="No longer only Section: Facts").click()
        calls = len(site.reader.chats)
        page.locator(".options").get_by_label("From").fill("2003")
        page.locator(".options").get_by_label("From").press("Tab")
        said = visited.ask(FORGED).inner_text()
        assert "Nothing in this library is within: from 2003, Austria" in said.replace("nothing", "Nothing")
        assert len(site.reader.chats) == calls


@needs_browser
def test_precedents_of_a_pasted_text_are_found_and_opened(browser, site: Site) -> None:
    with visit(browser, site, expected_errors=["422"]) as visited:
        page = visited.page

        mill = site.document_id("A. v. AUSTRIA")  # the index of sections follows a new name
        named = httpx.patch(f"{site.address}/v1/documents/{mill}", json={"title": "A. v. AUSTRIA"}, trust_env=False)
        assert named.status_code == 204

        def find(text: str, before: str) -> None:
            page.get_by_role("button", name="Menu").click()
            page.get_by_role("menuitem", name="Precedents of a new case").click()
            page.get_by_role("textbox", name="Facts of the new case").fill(text)
            page.get_by_label("Judgments before").fill(before)
            page.get_by_role("button", name="Find precedents").click()

        find("", "")
        page.get_by_role("alert").get_by_text("There is no text. Paste the facts of the new case").wait_for()
        find("A mill.", "May 2004")
        page.get_by_role("alert").get_by_text("'May 2004' is no date. Write 2023").wait_for()
        find("A mill made <b>noise</b> at night beside a bedroom.\n" * 40, "2004-05")
        panel = page.get_by_role("region", name="Precedents")
        panel.wait_for()
        assert "dated before 2004-05" in panel.inner_text() and panel.locator("b").count() == 0
        panel.get_by_role("button", name="A. v. AUSTRIA").first.click()
        page.wait_for_function("document.querySelector('.judgment h2').innerText == 'A. v. AUSTRIA'")


# ---- accessibility


@needs_browser
def test_axe_finds_nothing_in_any_state_of_the_page(browser, site: Site) -> None:
    """axe-core, WCAG 2.2 A and AA and best practice, in the eight states in which four users saw the page."""

    def violations(state: str) -> list[str]:
        found = Axe().run(page).response["violations"]
        return [f"{state}: {each['id']}: {each['nodes'][0]['html'][:150]}" for each in found]

    with visit(browser, site) as visited:
        page = visited.page
        page.locator(".examples button").first.wait_for()
        found = violations("first")
        visited.ask("According to Table 1, how many people were the crew of the boat Gannet?")
        found += violations("answer and page")
        page.get_by_role("button", name="Filters and answer style").click()
        found += violations("filters")
        page.get_by_role("button", name="Filters and answer style").click()
        visited.ask(FORGED)
        page.locator(".judgment").wait_for()
        found += violations("judgment")
        page.get_by_role("button", name="Menu").click()
        found += violations("menu")
        page.get_by_role("menuitem", name="Precedents of a new case").click()
        page.get_by_role("textbox", name="Facts of the new case").fill("The forge stood beside the bedroom. " * 9)
        found += violations("dialog")
        page.get_by_role("button", name="Find precedents").click()
        page.locator(".found-precedents .judgment").wait_for()
        found += violations("precedents")
        visited.ask(SACKS)
        visited.turn.locator(".chip").first.click()
        page.locator(".player").wait_for()
        found += violations("player")
        page.locator("#search").fill("mill")
        page.locator(".hit").first.wait_for()
        found += violations("search")
        page.locator("#search").press("Escape")
        page.emulate_media(color_scheme="dark")
        page.wait_for_function("document.body.classList.contains('dark')")
        found += violations("dark")
        page.set_viewport_size({"width": 390, "height": 844})
        found += violations("phone, dark")
        page.get_by_role("tab", name="Documents").click()
        found += violations("phone, documents")
        assert found == []
