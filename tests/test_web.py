"""The web page as people use it: a real server, a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.conftest import Run, needs_browser
from tests.pages import GUILD, HARBOUR, Endpoint, Site, prompt_of, replies, visit
from tests.pdfs import make_pdf
from tests.test_page_handlers import a_page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

MARKUP = [
    [
        "<script>window.owned = 1</script> <img src=x onerror='window.owned = 1'> is a note in the margin.",
        "The ferry to Inverloch costs **nine** shillings ![x](http://example.com/x.png) [here](javascript:alert(1)).",
    ]
]
TITLE = "<b>Ferries</b> ${window.owned = 1} {{value}} <script>window.owned = 1</script>"
TAKE_BACK = ("in all documents", "exactly as typed")
WHOLE = "Who built the lighthouse at Port Merrow?"
REPLIES = {
    "Who built it?": WHOLE, WHOLE: "two brothers", "Who stole it?": "Who stole the jewels?",
    "crowns": "412 crowns", "lighthouse": "1871", "tide": "1902", "ferry": "nine shillings",
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("web")
    harbour = make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book")
    markup = make_pdf(folder / "markup.pdf", MARKUP, TITLE)
    assert glossator("ingest", harbour, markup, "--library", folder / "library").returncode == 0
    with Endpoint(replies(REPLIES)) as reader:
        site = Site(folder / "library", folder / "log", reader)
        yield site
        site.interrupt()


def yellow(picture: Image.Image) -> int:
    """Pixels of the marker's colour."""
    return sum(count for count, colour in picture.getcolors(1 << 20) or () if colour == (255, 228, 60))


@needs_browser
def test_an_answer_shows_its_page_with_the_quote_marked(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        assert (page.title(), page.locator("html").get_attribute("lang")) == ("Glossator", "en")
        assert "412" in visited.ask(GUILD)
        assert page.get_by_role("radio", name="The Harbour Book, page 2").first.is_checked()
        assert yellow(visited.picture()) > 1000
        assert page.locator("figcaption").inner_text() == "The Harbour Book, page 2 of 3, the quoted words marked"
        page.get_by_role("button", name="Next page").click()
        page.get_by_text("The Harbour Book, page 3 of 3", exact=True).wait_for()
        assert yellow(visited.picture()) == 0
        page.locator('#chat a[href="#citation-1"]').click()
        page.get_by_text("page 2 of 3, the quoted words marked").wait_for()


@needs_browser
def test_a_marker_leads_to_the_sources_of_its_own_answer(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        visited.ask(GUILD)
        visited.ask("When was the lighthouse at Port Merrow built?")
        visited.page.get_by_text("page 1 of 3, the quoted words marked").wait_for()
        visited.page.locator('#chat a[href="#citation-1"]').press("Enter")
        visited.page.get_by_text("page 2 of 3, the quoted words marked").wait_for()


@needs_browser
def test_a_question_may_lean_on_the_one_before_and_says_how_it_was_understood(site: Site, browser) -> None:
    with visit(browser, site) as visited, visit(browser, site) as another:
        visited.ask("When was the lighthouse at Port Merrow built?")
        said = visited.ask("Who built it?")
        assert f"Understood as: {WHOLE}" in said and said.index("two brothers") > said.index("Understood as")
        assert WHOLE in prompt_of(site.reader.chats[-1])  # whether the passages bear it out
        visited.page.get_by_text("page 1 of 3, the quoted words marked").wait_for()
        visited.page.get_by_role("button", name="Clear", exact=True).click()
        for new in (visited, another):  # conversations of their own
            said = new.ask("Who built it?")
            assert "Understood as" not in said and "I wasn’t sure" not in said


@needs_browser
def test_a_follow_up_that_cannot_be_rewritten_is_asked_with_the_turn_before_it(site: Site, browser) -> None:
    lighthouse = "When was the lighthouse at Port Merrow built?"
    with visit(browser, site) as visited:
        visited.ask(lighthouse)
        said = visited.ask("Who stole it?")
        assert f"Understood as: Who stole it? (This is asked after “{lighthouse}”" in said
        assert "Searched only: The Harbour Book (cited before)." in said
        assert f"Who stole it? (This is asked after “{lighthouse}”" in prompt_of(site.reader.chats[-1])
        assert f"Understood as: {WHOLE}" in visited.ask("Who built it?")  # of the last answer
        everywhere, as_typed = (visited.page.get_by_role("button", name=f"Ask {how}") for how in TAKE_BACK)
        everywhere.click()
        visited.finished(4)
        answer = visited.page.locator("#chat .bot .message:not(.thought)").last
        assert f"Understood as: {WHOLE}" in answer.inner_text() and "Searched only" not in answer.inner_text()
        assert not everywhere.is_visible(), "there is nothing left to take back"
        as_typed.click()
        visited.finished(5)
        assert "Understood as" not in answer.inner_text() and not as_typed.is_visible()
        assert "Who built it?" in prompt_of(site.reader.chats[-1])


@needs_browser
def test_documents_are_chosen_and_dropped_with_a_click(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        asked = page.get_by_role("combobox", name="Ask only in")
        assert asked.get_attribute("placeholder") == "all documents"
        asked.click()
        page.get_by_role("option", name="Ferries").click()
        assert "Searched: <b>Ferries</b>" in visited.ask(GUILD), "what is not in it is not found"
        page.get_by_role("button", name="Remove <b>Ferries</b>").click()
        assert "412" in visited.ask(GUILD) and page.locator("#asked .token").count() == 0


@needs_browser
def test_uploads_are_ingested_and_a_broken_one_says_why(site: Site, browser, tmp_path: Path) -> None:
    good = make_pdf(tmp_path / "tides.pdf", [["The spring tide of 1902 flooded the market."]], "A Book of Tides")
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4\nnothing of the kind")
    with visit(browser, site) as visited:
        visited.page.locator("#library input[type=file]").set_input_files([good, broken])
        visited.page.locator("ul.outcomes").wait_for()
        outcomes = visited.page.locator("ul.outcomes").inner_text()
        assert "tides.pdf: added, 1 page, 1 passage" in outcomes
        assert "broken.pdf: damaged" in outcomes
        assert "A Book of Tides" in visited.page.locator("ul.documents").inner_text()
        visited.page.locator("#library input[type=file]").set_input_files([good])
        visited.page.get_by_text("tides.pdf: unchanged").wait_for()
        other = {"name": "../../tides.pdf", "mimeType": "", "buffer": good.read_bytes() + b"% other bytes"}
        visited.page.locator("#library input[type=file]").set_input_files([other])
        visited.page.get_by_text("tides.pdf: added").wait_for()
        assert "1902" in visited.ask("In which year did the spring tide flood the market?")
    kept = sorted(file.name for file in (site.library / "uploads").iterdir())
    assert kept == ["tides (2).pdf", "tides.pdf"], "what could not be read is not kept"
    assert not list(site.library.parent.parent.glob("*.pdf"))


@needs_browser
def test_a_document_can_be_removed(site: Site, browser, tmp_path: Path) -> None:
    wrecks = make_pdf(tmp_path / "wrecks.pdf", [["The Corriemoor sank in 1888."]], "A List of Wrecks")
    with visit(browser, site) as visited:
        page = visited.page
        page.locator("#library input[type=file]").set_input_files([wrecks])
        page.get_by_text("wrecks.pdf: added").wait_for()
        page.get_by_role("button", name="Remove a document").click()
        page.get_by_label("Document", exact=True).click()
        page.get_by_role("option", name="A List of Wrecks").click()
        page.get_by_role("button", name="Remove", exact=True).click()
        page.get_by_text("Removed.").wait_for()
        assert "A List of Wrecks" not in page.locator("ul.documents").inner_text()
    assert not (site.library / "uploads" / "wrecks.pdf").exists()


@needs_browser
def test_the_keyboard_is_enough(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.evaluate("document.activeElement.blur()")

        def tab_to(wanted: str, key: str = "Tab") -> None:
            passed = []
            while len(passed) < 30:
                page.keyboard.press(key)
                passed.append(visited.focus())
                if passed[-1] == wanted:
                    return
            raise AssertionError(f"{key} does not reach {wanted}, only {passed}")

        tab_to("question")
        page.keyboard.type(GUILD)
        page.keyboard.press("Enter")
        visited.finished(1)
        tab_to("source")
        assert page.evaluate("document.activeElement.checked")
        if page.get_by_role("radio").count() > 1:
            page.keyboard.press("ArrowDown")
            page.wait_for_function("document.querySelectorAll('#sources input')[1].checked")


@needs_browser
def test_every_control_has_a_name(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        visited.ask(GUILD)
        for name in ("Password for encrypted PDFs", "Remove a document"):
            visited.page.get_by_role("button", name=name).click()
        visited.page.get_by_role("textbox", name="Password").wait_for()
        tree = visited.page.context.new_cdp_session(visited.page).send("Accessibility.getFullAXTree")
        roles = {"button", "textbox", "radio", "combobox", "checkbox", "link", "listbox", "progressbar"}
        controls = [n for n in tree["nodes"] if not n["ignored"] and n.get("role", {}).get("value") in roles]
        nameless = [node for node in controls if not node.get("name", {}).get("value", "").strip()]
        assert len(controls) > 10
        assert nameless == []


@needs_browser
def test_what_a_document_says_stays_text(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        markup = "<img src=x onerror='window.owned=1'> [a](javascript:b)"
        assert markup in visited.ask(f"What does the ferry to Inverloch cost? {markup}")
        page.locator("#chat button[aria-label='Show or hide the note']").first.click()
        page.get_by_text("![x](http://example.com/x.png)").first.wait_for()
        assert TITLE in page.locator("ul.documents").inner_text()
        assert page.locator("#chat img, #chat script, #library script, #library b, a[href^='javascript']").count() == 0
        assert page.evaluate("window.owned") is None


@needs_browser
def test_questions_wait_for_each_other_and_an_empty_one_gets_a_hint(site: Site, browser) -> None:
    with visit(browser, site) as first, visit(browser, site) as second:
        for visited in (first, second):
            visited.page.get_by_label("Question").fill(GUILD)
            visited.page.get_by_label("Question").press("Enter")
        for visited in (first, second):
            visited.finished(1)
            assert "412" in visited.page.locator("#chat").inner_text()
        second.page.get_by_label("Question").press("Enter")
        second.page.get_by_text("The question is empty").wait_for()
        assert "412" in second.page.locator("#chat").inner_text()


def test_no_part_is_built_only_when_it_is_to_be_seen() -> None:
    """Gradio 6.31 loses updates of such parts, see ui/web/controls/updates.py."""
    assert {getattr(block, "visible", True) for block in a_page(None).blocks().blocks.values()} == {True}


@needs_browser
def test_nothing_is_cut_off(site: Site, browser) -> None:
    with visit(browser, site, color_scheme="dark") as visited:
        for width in (400, 1280):
            visited.page.set_viewport_size({"width": width, "height": 800})
            assert visited.page.evaluate("document.documentElement.scrollWidth") <= width
        assert not visited.page.get_by_text("Filters:").is_visible(), "PDFs have nothing to choose from"


def test_a_page_outside_the_library_is_not_served(site: Site) -> None:
    document_id = site.document_id("The Harbour Book")
    with httpx.Client(base_url=site.address, trust_env=False) as client:
        good = client.get(f"/page/{document_id}/1.png")
        assert (good.status_code, good.headers["content-type"]) == (200, "image/png")
        assert good.headers["x-content-type-options"] == "nosniff"
        refused = {
            "/page/0123456789abcdef/1.png": 404,
            f"/page/{document_id}/0.png": 404,
            f"/page/{document_id}/99.png": 404,
            f"/page/{document_id}/one.png": 422,
            f"/page/{document_id}/1.png?start=x": 422,
            "/page/..%2f..%2fcatalogue.sqlite/1.png": 404,
            "/page/../../catalogue.sqlite": 404,
            "/gradio_api/file=/etc/passwd": 403,
            f"/gradio_api/file={site.library}/catalogue.sqlite": 403,
            "/gradio_api/file=http://127.0.0.1:1/": 403,
            "/gradio_api/proxy=http://127.0.0.1:1/": 403,
        }
        for path, status in refused.items():
            reply = client.get(path)
            assert reply.status_code == status, path
            assert len(reply.text.splitlines()) == 1, path
        assert client.get("/", headers={"host": "evil.example"}).status_code == 400


def test_a_taken_port_is_one_line(site: Site, glossator: Run) -> None:
    done = glossator("serve", "--library", site.library, "--port", site.port)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert f":{site.port}: Address already in use" in done.stderr


def test_an_interrupt_ends_it_cleanly(tmp_path: Path) -> None:
    with Endpoint(replies(REPLIES)) as reader:
        site = Site(tmp_path / "empty", tmp_path / "log", reader)
        try:
            assert httpx.get(site.address, trust_env=False).status_code == 200
            with httpx.Client(trust_env=False).stream("GET", f"{site.address}/gradio_api/heartbeat/x") as open_tab:
                assert open_tab.status_code == 200
                assert site.interrupt() == 0
        finally:
            site.process.kill()
        assert site.log.read_text().splitlines() == [f"glossator: open {site.address}"]
