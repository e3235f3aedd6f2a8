"""Judgments on the web page: a real browser opens one at the cited words, goes through its tabs, and to cited cases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Run, needs_browser
from tests.pages import HARBOUR, Endpoint, Site, visit
from tests.pdfs import make_pdf
from tests.test_legal_ingest import a_judgment
from tests.test_readers import says
from tests.test_web_forms import contrasts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MILL = a_judgment("A. v. AUSTRIA", "1/01", "4 May 2001", "The applicant's mill was closed for its noise at night.",
                  "The noise of a mill at night may disturb a home beyond what must be borne.")  # fmt: skip
LONG = "\n".join(
    f"{number}. In week {number} the applicant wrote to the town once more, and had no answer."
    for number in range(3, 60)
)
FORGE = a_judgment(
    "B. v. MALTA", "2/05", "4 May 2005", f"The forge stood nine metres from the applicant's bedroom.\n{LONG}",
    "The Court recalls that noise may disturb a home (see A. v. Austria, no. 1/01, § 3).",
).replace("\n3. The Court", "\n60. The Court").replace("\n4. The Court", "\n61. The Court")  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("case")
    files = [make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book"), folder / "mill.txt", folder / "forge.txt"]
    files[1].write_text(MILL)
    files[2].write_text(FORGE)
    done = glossator("ingest", *files, "--library", folder / "library")
    assert done.returncode == 0, done.stderr
    with Endpoint(says("nine metres")) as reader:
        site = Site(folder / "library", folder / "log", reader)
        yield site
        site.interrupt()


def in_view(page, part: str) -> bool:
    """Whether an element stands in the box of its tab, as that is scrolled."""
    return page.evaluate(
        """(part) => { const inner = document.querySelector(part).getBoundingClientRect();
           const outer = document.querySelector(part).closest("[role=tabpanel]").getBoundingClientRect();
           return inner.height > 0 && inner.top >= outer.top && inner.bottom <= outer.bottom; }""",
        part,
    )


@needs_browser
def test_a_citation_opens_the_judgment_and_the_cases_around_it(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        visited.ask("How far from the bedroom of the applicant did the forge stand?")
        assert "B. v. MALTA, THE FACTS, § 2" in page.locator("#sources label").first.inner_text()
        panel = page.get_by_role("region", name="Judgment")
        assert panel.locator("h2").inner_text() == "B. v. MALTA"
        assert "European Court of Human Rights, 2005-05-04" in panel.inner_text()
        assert panel.locator("dd").all_inner_texts() == ["2/05", "Article 8", "Article 8: violation"]
        assert "nine metres" in " ".join(panel.locator("mark").all_inner_texts())
        assert in_view(page, ".judgment mark") and not page.get_by_role("button", name="Next page").is_visible()
        tab, shown = panel.get_by_role("tab", selected=True), panel.get_by_role("tabpanel")
        assert (tab.inner_text(), panel.get_by_role("status").inner_text()) == ("Facts", "§ 2")
        page.screenshot(path=str(site.log.parent / "case-1280.png"))

        tab.focus()
        page.keyboard.press("ArrowRight")
        assert tab.inner_text() == "The law" and "The Court recalls" in shown.inner_text()
        assert page.evaluate("document.activeElement.innerText") == "The law", "the focus goes with the choice"
        page.keyboard.press("End")
        assert tab.inner_text() == "Timeline"
        years = [row.split() for row in shown.inner_text().split("\n") if row.strip()]
        assert [words[0] for words in years if len(words) == 1] == ["2001", "2005"]
        assert ["2001-05-04", "A.", "v.", "AUSTRIA", "cited", "here"] in years
        page.keyboard.press("ArrowRight")
        assert tab.inner_text() == "Header", "from the last to the first"

        panel.get_by_label("Go to §").fill("48")
        page.keyboard.press("Enter")
        assert tab.inner_text() == "Facts" and in_view(page, "#case-paragraph-48")
        assert panel.get_by_role("status").inner_text() == "§ 48"
        page.get_by_role("link", name="Paragraph 49.").click()
        assert page.locator(".judgment [aria-current]").get_attribute("id") == "case-paragraph-49"

        panel.get_by_role("tab", name="Cites (1)").click()
        assert "on § 3" in shown.inner_text()
        page.screenshot(path=str(site.log.parent / "case-cites-1280.png"))
        shown.get_by_role("button", name="A. v. AUSTRIA").press("Enter")
        page.wait_for_function("document.querySelector('.judgment h2').innerText == 'A. v. AUSTRIA'")
        assert panel.locator("mark").all_inner_texts() == ["3." + MILL.split("\n3.")[1].split("\n")[0]]
        assert tab.inner_text() == "The law" and page.evaluate("document.activeElement.innerText") == "The law"
        panel.get_by_role("tab", name="Cited by (1)").click()
        shown.get_by_role("button", name="B. v. MALTA").click()
        page.wait_for_function("document.querySelector('.judgment h2').innerText == 'B. v. MALTA'")
        assert "A. v. Austria, no. 1/01, § 3" in " ".join(panel.locator("mark").all_inner_texts())
        page.get_by_role("button", name="Back to the page").click()
        page.get_by_role("tab", name="Facts", selected=True).wait_for()
        assert "nine metres" in " ".join(panel.locator("mark").all_inner_texts())


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_panel_has_names_contrast_and_room(browser, site: Site, width: int) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.set_viewport_size({"width": width, "height": 900})
        visited.ask("How far from the bedroom of the applicant did the forge stand?")
        panel = page.get_by_role("region", name="Judgment")
        panel.get_by_role("tab", name="Cites (1)").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
        roles = {"button", "tab", "tabpanel", "tablist", "link", "spinbutton", "region"}
        shown = [node for node in tree["nodes"] if not node["ignored"] and node.get("role", {}).get("value") in roles]
        named = {(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in shown}
        assert [role for role, name in named if not name] == []
        assert {("tab", "The law"), ("tabpanel", "Cites (1)"), ("spinbutton", "Go to §")} <= named
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            for name in ("Facts", "Cites (1)", "Timeline"):
                panel.get_by_role("tab", name=name).click()
                seen = contrasts(panel.locator(":is(p, dt, dd, mark, a, button, .date, li)"))
                assert min(seen) >= 4.5, (scheme, name)
            page.locator(".judgment").scroll_into_view_if_needed()
            page.screenshot(path=str(site.log.parent / f"case-{width}-{scheme}.png"))


@needs_browser
def test_filters_narrow_what_is_searched_say_so_and_are_cleared_at_once(browser, site: Site) -> None:
    question = "How far from the bedroom of the applicant did the forge stand?"

    def pick(label: str, option: str) -> None:
        page.get_by_label(label, exact=True).click()
        page.get_by_role("option", name=option, exact=True).click()

    with visit(browser, site) as visited:
        page = visited.page
        folded = page.locator("#filters button").first
        assert folded.inner_text().startswith("Filters: none")
        assert not page.get_by_label("Respondent state").is_visible(), "they are folded"
        folded.click()
        page.get_by_label("Respondent state").click()
        assert [name.split("\n")[-1] for name in page.get_by_role("option").all_inner_texts()] == [
            "any", "Austria", "Malta",
        ]  # fmt: skip
        page.get_by_role("option", name="Malta").click()
        assert not page.get_by_label("Speaker").is_visible(), "there is no podcast"
        pick("Section", "Facts")
        page.get_by_label("From", exact=True).fill("2005-05")
        page.get_by_text("Filters: Facts, from 2005-05, Malta").wait_for()
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.screenshot(path=str(site.log.parent / f"filters-{width}.png"))
        page.set_viewport_size({"width": 1280, "height": 800})
        assert "Searched: Facts, from 2005-05, Malta." in visited.ask(question)
        assert not page.get_by_label("Respondent state").is_visible(), "folded again: there is the answer to read"
        page.locator("#sources label").first.wait_for()  # they come after the answer
        assert all("B. v. MALTA, THE FACTS" in source for source in page.locator("#sources label").all_inner_texts())

        folded.click()
        pick("Respondent state", "Austria")
        page.get_by_text("Filters: Facts, from 2005-05, Austria").wait_for()
        calls = len(site.reader.chats)
        said = visited.ask(question)
        assert "No answer. Nothing in this library is within: Facts, from 2005-05, Austria. Change the filters" in said
        assert len(site.reader.chats) == calls
        page.wait_for_function("q => document.querySelector('#question textarea').value == q", arg=question)
        page.get_by_role("button", name="Clear filters").click()
        page.get_by_text("Filters: none").wait_for()
        page.get_by_role("button", name="Ask", exact=True).click()
        visited.finished(3)
        assert "Searched:" not in page.locator("#chat").inner_text().rpartition(question)[2]
        folded.click()
        page.get_by_label("From", exact=True).wait_for()
        assert [page.get_by_label(label, exact=True).input_value() for label in ("Section", "From")] == ["any", ""]
        assert not page.get_by_role("button", name="Clear filters").is_visible()


@needs_browser
def test_precedents_of_a_pasted_text_are_found_opened_and_kept_to_the_filters(browser, site: Site) -> None:
    def pick(label: str, option: str) -> None:
        page.get_by_label(label, exact=True).click()
        page.get_by_role("option", name=option, exact=True).click()

    with visit(browser, site) as visited:
        page = visited.page
        page.get_by_role("button", name="Precedents of a new case").click()
        find = page.get_by_role("button", name="Find precedents")
        find.click()
        page.get_by_role("alert").get_by_text("There is no text. Paste the facts of the new case").wait_for()
        page.get_by_label("Facts of a new case").fill("A mill made <b>noise</b> at night beside a bedroom.\n" * 40)
        page.get_by_label("Dated before").fill("May 2004")
        find.click()
        page.get_by_role("alert").get_by_text("'May 2004' is no date. Write 2023").wait_for()
        page.get_by_label("Dated before").fill("2004-05")
        find.click()
        found = page.get_by_role("region", name="Precedents")
        found.get_by_text("Searched: the facts and law of 1 judgment, dated before 2004-05.").wait_for()
        assert not page.get_by_role("alert").is_visible() and "made <b>noise</b> at" in found.inner_text()
        assert page.evaluate("document.activeElement.innerText") == "Best first (1)", "the focus goes to what was found"
        row = found.get_by_role("list", name="best first").locator("> li")
        assert row.inner_text().startswith("2001-05-04 A. v. AUSTRIA score ") and "§" in row.inner_text()
        found.get_by_role("tab", name="Timeline").click()
        years = [line.split() for line in found.get_by_role("tabpanel").inner_text().split("\n") if line.strip()]
        assert [words[0] for words in years if len(words) == 1] == ["2001", "2004"]
        assert years[-1] == ["2004-05", "the", "new", "case"]
        found.get_by_role("button", name="A. v. AUSTRIA").click()
        panel = page.get_by_role("region", name="Judgment")
        panel.get_by_role("heading", name="A. v. AUSTRIA").wait_for()
        assert "mill" in " ".join(panel.locator("mark").all_inner_texts()) and in_view(page, ".judgment mark")
        page.get_by_role("button", name="Back to the precedents").click()
        found.get_by_role("tab", name="Best first (1)", selected=True).wait_for()
        assert not page.get_by_role("button", name="Back to the precedents").is_visible()

        page.locator("#filters button").first.click()
        pick("Respondent state", "Malta")
        page.get_by_text("Filters: Malta").wait_for()
        find.click()
        page.get_by_role("alert").get_by_text("No judgment dated before 2004-05 is within: Malta.").wait_for()
        page.get_by_label("Dated before").fill("")
        find.click()
        found.get_by_text("Left out by the filters (Malta): 1 judgment.").wait_for()
        found.get_by_role("button", name="B. v. MALTA").click()
        panel.get_by_role("tab", name="Timeline").click()
        around = panel.get_by_role("tabpanel")
        assert "Left out by the filters (Malta): 1 judgment." in around.inner_text()
        assert "A. v. AUSTRIA" not in around.inner_text() and "B. v. MALTA (this case)" in around.inner_text()
        page.get_by_role("button", name="Clear filters").click()
        around.get_by_role("button", name="A. v. AUSTRIA").wait_for()
        assert (
            "Left out" not in around.inner_text() and panel.get_by_role("tab", selected=True).inner_text() == "Timeline"
        )
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
