"""What a researcher (R) tries: papers, tables, figures, follow-ups, their own PDFs, and the page itself."""

from __future__ import annotations

import time

from eval.page.hand import Hand
from eval.page.task import DOCS, GOLDEN, LOSS, SPECTER, Served, Task, adding_to, check, graded, row_of

RESEARCHER: list[Task] = []
task = adding_to(RESEARCHER)


@task("R", f"ask “{LOSS}”", "0", "81", "right, its page beside it; one unmoving line for 79 s")
def ask_first(hand: Hand, server: Served) -> str:
    said = hand.ask(LOSS)
    hand.wait(hand.page.locator(".sheet .mark"))
    hand.page.screenshot(path=DOCS / "page.png")
    return graded(said, "triplet")


@task("R", "click the citation", "1", "<1", "nothing visibly changes: the page was open already")
def click_citation(hand: Hand, server: Served) -> str:
    hand.click(hand.turn.locator(".chip").first)
    hand.wait(hand.page.locator(".sheet .mark"))
    return hand.page.locator(".reading .place").inner_text()


@task("R", "follow-up “And how large is the margin?”", "0", "89", "WRONG: “Narrow”, out of two judgments")
def margin(hand: Hand, server: Served) -> str:
    return graded(hand.ask("And how large is the margin?"), "1", "sure what", "asked after")


@task("R", "follow-up “And on MAG?” after a question on MeSH", "0", "15", "right: 82.0")
def follow_up(hand: Hand, server: Served) -> str:
    hand.new()
    hand.ask("What F1 does SPECTER reach on MeSH classification?")
    hand.begin()
    return graded(hand.ask("And on MAG?"), "82.0")


@task("R", "a table's cell (F1 on MeSH)", "0", "1.5-3.4", "right: 86.4; the whole row marked")
def cell(hand: Hand, server: Served) -> str:
    hand.new()
    return graded(hand.ask("What F1 does SPECTER reach on MeSH classification?"), "86.4")


@task("R", "“What does Figure 1 show?”", "0", "121", "its caption; the figure cut off")
def figure(hand: Hand, server: Served) -> str:
    hand.new()
    return graded(hand.ask("What does Figure 1 of the SPECTER paper show?"), "overview")


@task("R", "“Summarise the SPECTER paper in three sentences.”", "0", "~330", "2, one not supported, one on a baseline")
def summary(hand: Hand, server: Served) -> str:
    hand.new()
    said = hand.ask("Summarise the SPECTER paper in three sentences.")
    return f"{said.count('. ') + said.endswith('.')} sentences: {said[:110]}"


@task("R", "“Who are the authors of SPECTER?”", "0", "82", "“Not found”; they stand on page 1")
def authors(hand: Hand, server: Served) -> str:
    hand.new()
    return graded(hand.ask("Who are the authors of SPECTER?"), "Cohan", "Feldman")


@task("R", "“What is the main contribution of the paper?”", "0", "79", "an additional one, with a footnote's mark")
def contribution(hand: Hand, server: Served) -> str:
    hand.new()
    said = hand.ask("What is the main contribution of the SPECTER paper?")
    return graded(said, "document", "embedding", "representation")


@task("R", "add three PDFs", "1", "~150", "all added; shown after all are done")
def upload_three(hand: Hand, server: Served) -> str:
    names = ["longeval-eacl2023.pdf", "timp-jss2007.pdf", "census-disability-2010-excerpt.pdf"]
    here = [hand.files / name for name in names if (hand.files / name).is_file()]
    wanted = here or [GOLDEN / "non-text-searchable.pdf"]
    return "; ".join(hand.add(*wanted)) + ", a row each while they are read"


@task("R", "ask an own PDF (“How many papers did LongEval survey?”)", "0", "~100", "right: 162")
def ask_own(hand: Hand, server: Served) -> str:
    check(row_of(hand, "LONGEVAL").count() > 0, "the PDF is not on this machine")
    hand.new()
    return graded(hand.ask("How many papers did LongEval survey?"), "162")


@task("R", "restrict to one document", "-", "-", "impossible")
def restrict(hand: Hand, server: Served) -> str:
    hand.new()
    hand.click(row_of(hand, SPECTER).get_by_role("checkbox"))
    hand.wait(hand.page.locator(".scope-chip", has_text="SPECTER"))
    hand.ask("What is it initialised with?")
    check("Searched only: SPECTER" in hand.turn.inner_text(), "the answer does not say so")
    return "done; the answer says so"


@task("R", "open a document from the list to read it", "-", "-", "impossible")
def open_one(hand: Hand, server: Served) -> str:
    hand.click(row_of(hand, SPECTER).locator(".row-button"))
    hand.wait(hand.page.get_by_text("page 1 of 13"))
    return "done"


@task("R", "rename; find in the list; select several", "-", "-", "impossible")
def rename(hand: Hand, server: Served) -> str:
    hand.new()
    row = row_of(hand, "DAKUS v. UKRAINE")
    row.hover()
    hand.click(row.get_by_role("button", name="More:"))
    hand.item("Rename")
    hand.page.get_by_role("textbox", name="Name of the document").fill("Dakus v. Ukraine (2017)")
    hand.button("Save")
    hand.wait(hand.page.locator(".documents li.ready", has_text="Dakus v. Ukraine (2017)"))
    find = hand.page.get_by_role("searchbox", name="Find a document")
    find.fill("croatia")
    hand.wait(hand.page.locator(".documents li", has_text="CROATIA"))
    for box in hand.page.locator(".documents input[type=checkbox]").all()[:2]:
        hand.click(box)
    chosen = hand.page.locator(".scope-chip").count()
    find.fill("")
    hand.new()
    check(chosen == 2, "two were not chosen")
    return "done"


@task("R", "delete one", "5", "0.8", "no “are you sure”, no undo")
def delete(hand: Hand, server: Served) -> str:
    row = row_of(hand, "Dakus v. Ukraine (2017)")
    row.hover()
    hand.click(row.get_by_role("button", name="More:"))
    hand.item("Remove")
    hand.wait(hand.page.get_by_role("button", name="Undo"))
    said = hand.page.locator(".notice").last.inner_text().split("\n")[0]
    hand.page.get_by_role("button", name="Undo").last.click()
    row.wait_for()
    return f"{said} Undo puts it back"


@task("R", "copy and export the conversation", "-", "-", "impossible")
def export(hand: Hand, server: Served) -> str:
    hand.ask("What F1 does SPECTER reach on MeSH classification?")
    hand.begin()
    hand.click(hand.turn.get_by_role("button", name="Copy"))
    hand.wait(hand.page.get_by_text("Copied, with its sources."))
    copied = hand.page.evaluate("navigator.clipboard.readText()")
    hand.button("Export the conversation")
    with hand.page.expect_download() as download:
        hand.item("Markdown")
    text = download.value.path().read_text("utf-8")
    check("[1] SPECTER" in copied and "Sources:" in text, "the sources are missing")
    return "both, with numbered sources and quotes"


@task("R", "yesterday's conversation; reload", "-", "-", "lost at every reload")
def reload(hand: Hand, server: Served) -> str:
    question = hand.turn.locator(".question").inner_text()
    began = time.monotonic()
    hand.page.reload()
    hand.page.locator(".turn .actions").last.wait_for()
    hand.seconds = time.monotonic() - began
    hand.page.locator(".side section").first.locator("li").first.wait_for()
    check(hand.turn.locator(".question").inner_text() == question, "another conversation is shown")
    return f"there again; {hand.page.locator('.side section').first.locator('li').count()} listed at the side"


@task("R", "stop in the middle", "1", "0.6", "stopped")
def stop(hand: Hand, server: Served) -> str:
    hand.new()
    hand.type("Why does SPECTER use citations?")
    hand.page.locator(".found .chip").first.wait_for()
    hand.button("Stop")
    hand.wait(hand.turn.get_by_text("Stopped."))
    return "stopped"


@task("R", "a second question while the first runs", "0", "-", "refused by a toast far away; text kept")
def second(hand: Hand, server: Served) -> str:
    hand.new()
    hand.type("Why does SPECTER use citations?")
    hand.page.locator(".turn .working").wait_for()
    box = hand.page.get_by_role("textbox", name="Question", exact=True)
    box.fill("And what are hard negatives?")
    box.press("Enter")
    kept = box.input_value()
    hand.answered(1)
    box.press("Enter")
    hand.answered(2)
    check(kept == "And what are hard negatives?", "the text was lost")
    return "kept in the box; Enter asks it when the first is done"


@task("R", "dark mode", "-", "-", "follows the system; no switch")
def dark(hand: Hand, server: Served) -> str:
    hand.button("Light or dark")
    hand.item("Dark")
    hand.page.wait_for_function("document.body.classList.contains('dark')")
    hand.page.screenshot(path=DOCS / "page-dark.png")
    hand.page.get_by_role("button", name="Light or dark").click()
    hand.page.get_by_role("menuitemradio", name="As the system").click()
    return "a switch: light, dark, as the system"


@task("R", "390 px: tap a citation", "0", "1.6", "looks dead: the page is 1,000 px below")
def phone(hand: Hand, server: Served) -> str:
    hand.page.set_viewport_size({"width": 390, "height": 844})
    try:
        hand.page.get_by_role("tab", name="Ask").click()
        hand.click(hand.page.locator(".turn .chip").first)
        hand.wait(hand.page.locator(".sheet .mark"))
        hand.page.screenshot(path=DOCS / "page-phone.png")
        wide = hand.page.evaluate("document.documentElement.scrollWidth")
        check(wide <= 390, "it scrolls sideways")
        return "the source is shown; Ask leads back"
    finally:
        hand.page.get_by_role("tab", name="Ask").click()
        hand.page.set_viewport_size({"width": 1440, "height": 900})


@task("R", "keyboard: from an answer to its citation", "-", "-", "15 Tabs forward or 8 back")
def keyboard(hand: Hand, server: Served) -> str:
    hand.turn.locator(".answer").focus()
    hand.page.keyboard.press("Tab")
    check(hand.page.evaluate("document.activeElement.matches('.chip')"), "the next stop is no citation")
    return "one Tab"


@task("R", "200 % zoom", "-", "-", "one column, nothing cut; the first screen is the empty box")
def zoom(hand: Hand, server: Served) -> str:
    hand.page.set_viewport_size({"width": 720, "height": 450})
    wide = hand.page.evaluate("document.documentElement.scrollWidth")
    seen = hand.page.get_by_role("textbox", name="Question", exact=True).is_visible()
    hand.page.set_viewport_size({"width": 1440, "height": 900})
    check(wide <= 720 and seen, "something is cut")
    return "one pane at a time, nothing cut, the question box in sight"
