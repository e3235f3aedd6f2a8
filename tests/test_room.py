"""The reading room as people use it: a real server, a real browser; asking, conversations, documents, search."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rag.library.catalogue import Library
from tests.conftest import Run, needs_browser
from tests.pages import GUILD, Endpoint, Site, contrasts, prompt_of, replies, visit
from tests.pdfs import make_pdf
from tests.room import REPLIES, TITLE, WHOLE, held, open_room, slowly

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LIGHTHOUSE = "When was the lighthouse at Port Merrow built?"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    with open_room(tmp_path_factory.mktemp("room"), glossator) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _let_go() -> Iterator[None]:
    yield
    held.set()
    slowly.clear()


@needs_browser
def test_an_answer_stands_beside_its_page_and_leads_to_each_source(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        assert (page.title(), page.locator("html").get_attribute("lang")) == ("Glossator", "en")
        page.locator(".examples button").nth(2).wait_for()
        assert page.locator(".examples button").count() == 3
        answer = visited.ask(GUILD)
        assert "412 crowns" in answer.inner_text() and "backed by the sources" in answer.inner_text()
        page.get_by_text("page 2 of 3").wait_for()
        assert page.locator(".sheet .mark").count() >= 1
        page.get_by_role("button", name="Next page").click()
        page.get_by_text("page 3 of 3").wait_for()
        assert page.locator(".sheet .mark").count() == 0
        answer.locator(".chip").first.hover()
        assert answer.locator(".chip .card").first.is_visible()
        answer.locator(".chip").first.click()
        page.get_by_text("page 2 of 3").wait_for()
        mark, words = (
            page.locator(what).first.bounding_box() for what in (".sheet .mark", ".letters span >> text=412")
        )
        assert mark and words and mark["y"] < words["y"] + words["height"] and words["y"] < mark["y"] + mark["height"]
        page.get_by_text("Sentences this rests on").click()
        assert answer.locator(".rests b").first.inner_text() == "412 crowns"


@needs_browser
def test_a_link_from_another_program_opens_the_page_with_its_words_marked(site: Site, browser) -> None:
    document = site.document_id("The Harbour Book")
    start = Library.open(site.library).document(document).text.index("412 crowns")
    with visit(browser, site, path=f"/?d={document}&s={start}&e={start + 10}") as visited:
        visited.page.get_by_text("page 2 of 3").wait_for()
        assert visited.page.locator(".sheet .mark").count() == 1
    with visit(browser, site, path=f"/?d={document}") as visited:
        visited.page.get_by_text("page 1 of 3").wait_for()
    with visit(browser, site, path="/?d=nothing&s=1&e=2", expected_errors=["404"]) as visited:
        visited.page.get_by_text("there is no such document", exact=False).first.wait_for()


@needs_browser
def test_the_answer_is_kept_across_reloads_and_has_an_address(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        visited.ask(GUILD)
        address = page.url
        assert "/?c=" in address
        page.get_by_role("textbox", name="Question", exact=True).press_sequentially("And who owned")
        page.wait_for_timeout(1000)
        began = time.monotonic()
        page.reload()
        page.locator(".turn .answer").wait_for()
        assert time.monotonic() - began < 5, "1.5 s on a quiet machine"
        assert "412 crowns" in page.locator(".turn").inner_text()
        assert page.get_by_role("textbox", name="Question", exact=True).input_value() == "And who owned"
        page.get_by_role("button", name="New question").click()
        page.locator(".talk .empty").wait_for()
        row = page.get_by_role("list", name="Conversations").get_by_role("button", name=GUILD).first
        row.click()
        page.locator(".turn .answer").wait_for()
        assert page.url == address
        page.get_by_role("button", name=f"More: {GUILD}").first.click()
        page.get_by_role("menuitem", name="Rename").click()
        page.get_by_role("textbox", name="Name of the conversation").fill("The <b>guild</b>")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("button", name="More: The <b>guild</b>").click()
        page.get_by_role("menuitem", name="Remove").click()
        page.locator(".talk .empty").wait_for()
        page.get_by_role("button", name="Undo").click()
        page.locator(".turn .answer").wait_for()
        with page.expect_download() as started:
            page.get_by_role("button", name="Export the conversation").click()
            page.get_by_role("menuitem", name="Markdown").click()
        text = Path(started.value.path()).read_text("utf-8")
        assert text.startswith("# The \\<b\\>guild\\</b\\>\n") and "The Harbour Book, page 2: “" in text


@needs_browser
def test_a_reload_in_the_middle_finds_the_answer_being_made(site: Site, browser) -> None:
    held.clear()
    with visit(browser, site) as visited:
        page = visited.page
        box = page.get_by_role("textbox", name="Question", exact=True)
        box.fill(GUILD)
        box.press("Enter")
        page.locator(".found .chip").first.wait_for()
        assert re.match(r"Reading .*The Harbour Book", page.locator(".doing").inner_text())
        page.locator(".clock", has_text="s").wait_for()
        page.reload()
        page.locator(".turn .working").wait_for()
        page.locator(".found .chip").first.wait_for()
        held.set()
        assert "412 crowns" in visited.answered(1).inner_text()


@needs_browser
def test_two_people_ask_at_once_and_each_is_told_what_is_ahead(site: Site, browser) -> None:
    held.clear()
    with visit(browser, site) as first, visit(browser, site) as second:
        for visited in (first, second):
            visited.page.get_by_role("textbox", name="Question", exact=True).fill(GUILD)
            visited.page.get_by_role("textbox", name="Question", exact=True).press("Enter")
            visited.page.locator(".found .chip").first.wait_for()
        second.page.get_by_text("Another question is being answered; 1 ahead of yours").wait_for()
        first.page.get_by_role("button", name="Stop").click()
        held.set()
        assert "412 crowns" in second.answered(1).inner_text()
        assert "Stopped." in first.answered(1).inner_text()
        first.page.get_by_role("button", name="Try again").click()
        first.turn.locator(".answer", has_text="412 crowns").wait_for()


@needs_browser
def test_a_follow_up_says_how_it_was_understood_and_that_can_be_taken_back(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        visited.ask(LIGHTHOUSE)
        said = visited.ask("Who built it?").inner_text()
        assert f"Understood as: {WHOLE}" in said and "two brothers" in said
        assert WHOLE in prompt_of(site.reader.chats[-1])  # whether the passages support it
        said = visited.ask("Who stole it?").inner_text()
        assert "asked after" in said and "Searched only: The Harbour Book (cited before)" in said
        visited.turn.get_by_role("button", name="Ask in all documents").click()
        visited.page.wait_for_timeout(300)
        assert "Searched only" not in visited.answered(3).inner_text()
        visited.page.locator(".turn").nth(1).get_by_role("button", name="Ask exactly as typed").click()
        visited.page.wait_for_timeout(300)
        assert "Understood as" not in visited.answered(2).inner_text(), "and what came after it went with it"
        visited.turn.hover()
        visited.turn.get_by_role("button", name="Edit the question").click()
        visited.page.locator("dialog textarea").fill(GUILD)
        visited.page.locator("dialog").get_by_role("button", name="Ask").click()
        visited.page.locator(".turn .question", has_text=GUILD).wait_for()
        assert "412 crowns" in visited.answered(2).inner_text()


@needs_browser
def test_what_cannot_be_asked_is_said_at_the_box_and_stays_in_it(site: Site, browser) -> None:
    with visit(browser, site, expected_errors=["422"]) as visited:
        page = visited.page
        box = page.get_by_role("textbox", name="Question", exact=True)
        box.fill("x" * 100_000)
        box.press("Enter")
        page.get_by_role("alert").get_by_text("The question has 100,000 characters").wait_for()
        assert len(box.input_value()) == 100_000
        box.fill("   ")
        box.press("Enter")
        assert page.locator(".turn").count() == 0
        said = visited.ask("What is the airspeed of a swallow?").inner_text()
        assert "Not found" in said and "Closest places" in said and "backed" not in said


@needs_browser
def test_documents_are_chosen_opened_renamed_and_removed(site: Site, browser, tmp_path: Path) -> None:
    wrecks = make_pdf(tmp_path / "wrecks.pdf", [["The Corriemoor sank in 1888."]], "A List of Wrecks")
    with visit(browser, site) as visited:
        page = visited.page
        page.locator(".side input[type=file]").set_input_files([wrecks])
        row = page.locator(".documents li.ready", has_text="A List of Wrecks")
        row.wait_for(timeout=60_000)
        row.get_by_role("button", name="A List of Wrecks", exact=False).first.click()
        page.get_by_text("page 1 of 1").wait_for()
        page.get_by_role("searchbox", name="Find in this document").fill("corriemoor  SANK")
        page.locator(".sheet .mark").first.wait_for()
        assert page.locator(".finds .count").inner_text() == "1 of 1"
        row.get_by_role("checkbox").check()
        page.locator(".scope-chip", has_text="A List of Wrecks").wait_for()
        said = visited.ask(GUILD).inner_text()
        assert "Searched only: A List of Wrecks" in said or "Not found" in said
        page.get_by_role("button", name="No longer only A List of Wrecks").click()
        assert "412 crowns" in visited.ask(GUILD).inner_text()
        row.hover()
        row.get_by_role("button", name="More: A List of Wrecks").click()
        page.get_by_role("menuitem", name="Rename").click()
        page.get_by_role("textbox", name="Name of the document").fill("Wrecks")
        page.get_by_role("button", name="Save", exact=True).click()
        renamed = page.locator(".documents li.ready", has=page.get_by_text("Wrecks", exact=True))
        renamed.wait_for(timeout=30_000)
        renamed.hover()
        renamed.get_by_role("button", name="More: Wrecks").click()
        page.get_by_role("menuitem", name="Remove").click()
        page.get_by_role("button", name="Undo").click()
        renamed.wait_for()


@needs_browser
def test_uploads_say_how_they_went_where_they_stand(site: Site, browser, tmp_path: Path) -> None:
    good = make_pdf(tmp_path / "tides.pdf", [["The spring tide of 1902 flooded the market."]], "A Book of Tides")
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4\nnothing of the kind")
    notes = tmp_path / "notes.xyz"
    notes.write_text("It was a dark night.")
    with visit(browser, site) as visited:
        page = visited.page
        page.locator(".side input[type=file]").set_input_files([good, broken, notes])
        page.locator(".documents li.ready", has_text="A Book of Tides").wait_for(timeout=60_000)
        page.locator(".upload.failed", has_text="broken.pdf").get_by_text("Could not be read: damaged").wait_for()
        page.locator(".upload.failed", has_text="notes.xyz").wait_for()
        page.get_by_role("button", name="Close: broken.pdf").click()
        page.locator(".upload", has_text="broken.pdf").wait_for(state="detached")
        page.locator(".side input[type=file]").set_input_files([good])
        page.locator(".upload.unchanged", has_text="tides.pdf").wait_for()
        assert "1902" in visited.ask("In which year did the spring tide flood the market?").inner_text()
    kept = {file.name for file in (site.library / "uploads").iterdir()}
    assert "tides.pdf" in kept and "broken.pdf" not in kept, "what could not be read is not kept"


@needs_browser
def test_search_finds_as_one_types_without_a_reader(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page, calls = visited.page, len(site.reader.chats)
        page.locator("body").press("/")
        assert page.evaluate("document.activeElement.id") == "search"
        page.keyboard.type("oak mill sails")
        hit = page.locator(".hit").first
        hit.wait_for()
        assert "The Kolm mill" in hit.inner_text() and hit.locator("mark").count() >= 1
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.get_by_role("region", name="Player").wait_for()
        every = page.locator(".hit").count()
        page.get_by_label("Kind of document").select_option("judgments")
        shown = page.locator(".hit b").all_inner_texts()
        assert 0 < len(shown) < every and {*shown} <= {"A. v. AUSTRIA", "B. v. MALTA"}
        page.get_by_label("Kind of document").select_option("")
        page.locator(".facet").first.click()
        page.wait_for_function("document.querySelector('.facet').getAttribute('aria-pressed') === 'true'")
        page.get_by_role("searchbox", name="Search the documents").press("Escape")
        assert not page.locator(".results").is_visible() and page.locator("#turns").is_visible()
        assert len(site.reader.chats) == calls


@needs_browser
def test_what_a_document_or_a_question_says_stays_text(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        markup = "<img src=x onerror='window.owned=1'> [a](javascript:b)"
        assert markup in visited.ask(f"What does the ferry to Inverloch cost? {markup}").inner_text()
        page.get_by_text("Sentences this rests on").click()
        page.get_by_text("![x](http://example.com/x.png)").first.wait_for()
        assert TITLE in page.locator(".documents").inner_text()
        unsafe = ".turns img, .turns script, .side script, .side b, #room a[href^='javascript']"
        assert page.locator(unsafe).count() == 0
        assert page.evaluate("window.owned") is None


@needs_browser
def test_what_an_answer_depended_on_is_shown_level_by_level_and_can_be_called_off(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        visited.ask(GUILD)
        visited.turn.get_by_role("button", name="What did it depend on?").click()
        page.locator(".heat table").wait_for(timeout=60_000)  # of an estimate, at first
        page.locator(".explanation .working").wait_for(state="detached", timeout=60_000)
        assert page.locator(".reading header h2").inner_text() == "Which parts did the answer depend on?"
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            assert min(contrasts(page.locator(".heat :is(.plus, .minus, .hint)"))) >= 4.5, scheme
        slowly.set()
        page.get_by_role("button", name="Look closer: sentences").click()
        page.get_by_text(re.compile(r"Testing the answer without each source: \d+ of \d+")).wait_for()
        page.locator(".heat table").wait_for()
        page.locator(".explanation").get_by_role("button", name="Cancel").click()
        page.locator(".explanation .working").wait_for(state="detached", timeout=30_000)


@needs_browser
@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_at_every_width_nothing_is_cut_off_and_all_has_a_name(site: Site, browser, width: int) -> None:
    with visit(browser, site, viewport={"width": width, "height": 844}) as visited:
        page = visited.page
        visited.ask(GUILD)
        if width < 1000:
            assert not page.locator(".reading").is_visible()
            visited.turn.locator(".chip").first.click()
            page.locator(".sheet .mark").first.wait_for()
            assert not page.locator(".talk").is_visible(), "a tapped citation shows its source"
            page.get_by_role("tab", name="Ask").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            seen = contrasts(page.locator("#room :is(p, h2, h3, small, .chip, .backed, .title, button.text)"))
            page.screenshot(path=str(site.log.parent / f"room-{width}-{scheme}.png"))
            assert min(seen) >= 4.5, scheme
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
        roles = {"button", "textbox", "checkbox", "link", "searchbox", "tab", "progressbar", "navigation", "region"}
        controls = [n for n in tree["nodes"] if not n["ignored"] and n.get("role", {}).get("value") in roles]
        nameless = [node for node in controls if not node.get("name", {}).get("value", "").strip()]
        assert len(controls) > 10 and nameless == []


@needs_browser
def test_the_keyboard_is_enough_and_the_first_citation_is_one_tab_from_the_answer(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        assert page.evaluate("document.activeElement.id") == "question", "one may type at once"
        page.keyboard.type(GUILD)
        page.keyboard.press("Enter")
        visited.answered(1)
        page.locator(".turn .answer").focus()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches('.chip')")
        page.keyboard.press("Enter")
        page.get_by_text("page 2 of 3").wait_for()
        line = page.get_by_role("separator", name="Width of the column").first
        width = page.locator(".side").bounding_box()["width"]
        line.focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".side").bounding_box()["width"] > width


@needs_browser
def test_ten_tabs_are_served_and_a_lost_server_is_said_and_found_again(site: Site, browser, tmp_path: Path) -> None:
    with visit(browser, site, expected_errors=["Failed to load", "ERR_"]) as visited:
        context = visited.page.context
        others = [context.new_page() for _ in range(9)]
        for other in others:
            other.goto(site.address)
        visited.page.bring_to_front()
        assert "412 crowns" in visited.ask(GUILD).inner_text()
        context.set_offline(True)
        box = visited.page.get_by_role("textbox", name="Question", exact=True)
        box.fill(LIGHTHOUSE)
        box.press("Enter")
        visited.page.get_by_role("alert").get_by_text("The server cannot be reached").first.wait_for()
        assert box.input_value() == LIGHTHOUSE
        context.set_offline(False)
        box.press("Enter")
        assert "1871" in visited.answered(2).inner_text()


def test_nothing_outside_the_library_is_served(site: Site) -> None:
    document_id = site.document_id("The Harbour Book")
    with httpx.Client(base_url=site.address, trust_env=False) as client:
        good = client.get(f"/v1/documents/{document_id}/pages/1.png")
        assert (good.status_code, good.headers["content-type"]) == (200, "image/png")
        assert good.headers["x-content-type-options"] == "nosniff"
        again = client.get(good.url.path, headers={"if-none-match": good.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        refused = {
            "/v1/documents/0123456789abcdef/pages/1.png": 404,
            f"/v1/documents/{document_id}/pages/0.png": 404,
            f"/v1/documents/{document_id}/pages/99.png": 404,
            f"/v1/documents/{document_id}/pages/one.png": 422,
            "/v1/documents/..%2f..%2fcatalogue.sqlite/pages/1.png": 404,
            "/room/../../catalogue.sqlite": 404,
            "/gradio_api/file=/etc/passwd": 403,
            f"/gradio_api/file={site.library}/catalogue.sqlite": 403,
            "/gradio_api/file=http://127.0.0.1:1/": 403,
            "/gradio_api/upload": 403,
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


def test_an_interrupt_ends_it_cleanly_and_what_was_open_says_so(tmp_path: Path) -> None:
    with Endpoint(replies(REPLIES)) as reader:
        site = Site(tmp_path / "empty", tmp_path / "log", reader)
        try:
            assert httpx.get(site.address, trust_env=False).status_code == 200
            assert site.interrupt() == 0
        finally:
            site.process.kill()
        assert site.log.read_text().splitlines() == [f"glossator: open {site.address}"]


@needs_browser
def test_the_menu_evaluates_compares_and_sets(site: Site, browser, tmp_path: Path) -> None:
    questions = tmp_path / "mine.csv"
    questions.write_text(f"question,answer\n{GUILD},412 crowns\nWho flew?,nobody\n{LIGHTHOUSE},1871\n")
    with visit(browser, site, expected_errors=["422"]) as visited:
        page = visited.page
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("menuitem", name="Evaluate").click()
        dialog = page.locator("dialog")
        dialog.locator("input[type=file]").set_input_files([questions])
        dialog.get_by_label("Answer style").nth(1).select_option("direct")
        dialog.get_by_role("button", name="Begin").click()
        page.locator(".evaluation table").wait_for(timeout=60_000)
        shown = page.locator(".evaluation").inner_text()
        assert "3 questions" in shown and "67%" in shown and "No clear difference" in shown
        page.locator(".asked-questions .wrong summary").first.click()
        assert "Expected: nobody" in page.locator(".asked-questions .wrong").first.inner_text()
        page.locator(".asked-questions .right summary").first.click()
        page.locator(".asked-questions .right .link").first.click()
        page.locator(".sheet .mark").first.wait_for()
        page.locator(".evaluation").get_by_role("button", name="Close").click()
        page.get_by_role("textbox", name="Question", exact=True).wait_for()
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("menuitem", name="Settings").click()
        dialog.get_by_label("Language model").select_option("")
        dialog.get_by_label("Address of the endpoint").fill(f"http://127.0.0.1:{site.reader.server_port}/v1#scripted")
        dialog.get_by_role("button", name="Test it").click()
        dialog.get_by_text("It answers “no idea”").wait_for()
        dialog.get_by_label("Passages that are read for an answer").fill("4")
        dialog.get_by_label("Language", exact=True).select_option("de")
        dialog.get_by_role("button", name="Save").click()
        page.get_by_placeholder("Fragen Sie Ihre Dokumente …").wait_for()
        page.get_by_role("button", name="Menü").click()
        page.get_by_role("menuitem", name="Einstellungen").click()
        assert dialog.get_by_label("Stellen, die für eine Antwort").input_value() == "4"


@needs_browser
def test_libraries_are_switched_between_on_the_page(site: Site, browser) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.get_by_role("button", name="Library: library").click()
        page.get_by_role("menuitem", name="New library …").click()
        page.locator("dialog input").fill("Ships <b>only</b>")
        page.get_by_role("button", name="Make it").click()
        page.get_by_text("Add a document to begin").wait_for()
        assert page.locator(".documents li").count() == 0
        page.get_by_role("button", name="Library: Ships <b>only</b>").click()
        page.get_by_role("menuitem", name="Remove “Ships").click()
        page.locator("dialog").get_by_role("button", name="Remove").click()
        page.locator(".documents li", has_text="The Harbour Book").wait_for()
        page.get_by_role("button", name="Library: library").click()
        page.get_by_role("menuitemradio", name="library").wait_for()
        assert page.get_by_role("menuitemradio").count() == 1


@needs_browser
def test_a_server_that_was_killed_says_so_and_nothing_typed_is_lost(site: Site, browser, tmp_path: Path) -> None:
    library = tmp_path / "library"
    shutil.copytree(site.library, library)
    served = Site(library, tmp_path / "log", site.reader)
    held.clear()
    try:
        with visit(browser, served, expected_errors=["Failed to load", "ERR_"]) as visited:
            page = visited.page
            box = page.get_by_role("textbox", name="Question", exact=True)
            box.fill(GUILD)
            box.press("Enter")
            page.locator(".found .chip").first.wait_for()
            box.fill("And who owned")
            served.process.kill()
            served.process.wait()
            page.get_by_text("The server cannot be reached").first.wait_for()
            held.set()
            again = Site(library, tmp_path / "log2", site.reader, port=served.port)
            try:
                page.get_by_text("The server was stopped while this was being answered.").wait_for()
                assert box.input_value() == "And who owned"
                page.get_by_role("button", name="Try again").click()
                visited.turn.locator(".answer", has_text="412 crowns").wait_for()
                assert box.input_value() == "And who owned"
            finally:
                again.interrupt()
    finally:
        served.process.kill()


@needs_browser
def test_a_slow_network_and_a_slow_processor_are_enough(site: Site, browser, tmp_path: Path) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        client = page.context.new_cdp_session(page)
        client.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        client.send("Network.enable")
        slow = {"offline": False, "latency": 300, "downloadThroughput": 60_000, "uploadThroughput": 60_000}
        client.send("Network.emulateNetworkConditions", slow)
        assert "412 crowns" in visited.ask(GUILD).inner_text()
        page.locator(".sheet .mark").first.wait_for()
        long = make_pdf(tmp_path / "long.pdf", [[f"Stone {n} lies in field {n}."] for n in range(40)], "Stones")
        page.locator(".side input[type=file]").set_input_files([long])
        arrived = ".upload.waiting, .upload.reading, .upload.preparing, .documents li.ready:has-text('Stones')"
        page.locator(arrived).first.wait_for(timeout=60_000)
        page.reload()
        page.locator(".documents li.ready", has_text="Stones").wait_for(timeout=60_000)
