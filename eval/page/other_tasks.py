"""What a lawyer (L), a listener (P) and a sceptic (S) try: judgments, episodes, and what ought to go wrong."""

from __future__ import annotations

import time
import wave
from pathlib import Path

from eval.page.hand import Hand
from eval.page.task import EXAMPLES, GOLDEN, LOSS, Served, Task, adding_to, check, graded, row_of

ARTICLE_8 = "Was there a violation of Article 8 in Ćosić v. Croatia?"
OTHERS: list[Task] = []
task = adding_to(OTHERS)


@task("L", f"“{ARTICLE_8}” while another question is answered", "0", "106", "right, after waiting for the other")
def finding(hand: Hand, server: Served) -> str:
    other = Hand(hand.browser, server.address, hand.files, hand.made)
    other.type("Explain how SPECTER selects hard negatives.")
    other.page.locator(".found .chip").first.wait_for()
    hand.new()
    said = hand.ask(ARTICLE_8)
    other.page.context.close()
    return graded(said, "yes", "violation") + "; it overtook the other"


@task("L", "sections, cited by, timeline", "1 each", "<1", "very good")
def sections(hand: Hand, server: Served) -> str:
    hand.click(row_of(hand, "OSIĆ v. CROATIA").locator(".row-button"))
    for name in ("Operative part", "Cited by", "Timeline"):
        hand.click(hand.page.get_by_role("tab", name=name))
        hand.wait(hand.page.locator(".judgment [role=tabpanel]:not([hidden])"))
    return "as before, beside the conversation"


@task("L", "filter Ukraine, Facts, from 2010, then a why-question", "7", "69", "right case; “Abandoned” to a why")
def filters(hand: Hand, server: Served) -> str:
    hand.new()
    hand.button("Filters and answer style")
    for label, value in (("Section", "facts"), ("Respondent state", "Ukraine")):
        hand.clicks += 1
        hand.page.get_by_label(label, exact=True).select_option(label=next_label(hand, label, value))
    hand.page.get_by_label("From", exact=True).fill("2010")
    hand.page.get_by_label("From", exact=True).press("Enter")
    said = hand.ask("Why did the applicant lose the right to the flat?")
    within = "Searched:" in hand.turn.inner_text()
    check(within, "the answer does not say what was searched")
    return f"{said[:120]}"


def next_label(hand: Hand, label: str, part: str) -> str:
    """The first choice of a select whose name has this part."""
    options = hand.page.get_by_label(label, exact=True).locator("option").all_inner_texts()
    return next(option for option in options if part.lower() in option.lower())


@task("L", "a date “last year”", "-", "1.5", "told after asking; the form closes")
def bad_date(hand: Hand, server: Served) -> str:
    box = hand.page.get_by_label("From", exact=True)
    if not box.is_visible():
        hand.button("Filters and answer style")
    box.fill("last year")
    box.press("Enter")
    hand.type("Why was the flat lost?")
    said = hand.wait(hand.page.locator(".composer .problem")).inner_text()
    check(hand.page.locator(".options").is_visible(), "the form closed")
    box.fill("")
    box.press("Enter")
    hand.page.get_by_role("textbox", name="Question", exact=True).fill("")
    hand.page.get_by_role("button", name="Filters and answer style").click()
    hand.new()
    return f"at the question box, the form stays: {said[:60]}"


@task("L", "precedents of a pasted case", "2", "<2.5", "excellent list, below an unrelated answer's sources")
def precedents(hand: Hand, server: Served) -> str:
    facts = (EXAMPLES / "judgments" / "sadovyak-v-ukraine-2018.txt").read_text("utf-8")[1500:6000]
    hand.button("Menu")
    hand.item("Precedents of a new case")
    hand.page.get_by_role("textbox", name="Facts of the new case").fill(facts)
    hand.button("Find precedents")
    hand.wait(hand.page.locator(".found-precedents .judgment"), 60)
    return "in the reading pane, best first and by year"


@task("P", "a question on the episode", "0", "75", "good sentence with four places")
def episode(hand: Hand, server: Served) -> str:
    hand.new()
    said = hand.ask("What do the hosts say about the frequency of publishing episodes?")
    return f"{said[:110]} ({hand.turn.locator('.answer .chip').count()} places)"


@task("P", "add a .vtt with chapters", "1", "6", "added, called as its file")
def transcript(hand: Hand, server: Served) -> str:
    talk = hand.made / "hives.vtt"
    talk.write_text("WEBVTT\n\n00:00.000 --> 00:20.000\n<v Holt>I keep forty hives by the river.\n\n"
                    "00:20.000 --> 00:40.000\n<v Ann>The ferry brings the honey to town each Friday.\n")  # fmt: skip
    chapters = hand.made / "hives.chapters.json"
    chapters.write_text('{"version": "1.2.0", "chapters": [{"startTime": 0, "title": "Hives"}, '
                        '{"startTime": 20, "title": "The ferry"}]}')  # fmt: skip
    return "; ".join(hand.add(talk, chapters))


@task("P", "add .srt with .wav, ask, play from there", "1", "6 + 53", "excellent")
def audio(hand: Hand, server: Served) -> str:
    sound, text = hand.made / "market.wav", hand.made / "market.srt"
    with wave.open(str(sound), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(1)
        out.setframerate(8000)
        out.writeframes(bytes(range(128, 130)) * 8000 * 20)
    text.write_text("1\n00:00:00,000 --> 00:00:20,000\nThe market opens at six.\n\n"
                    "2\n00:00:20,000 --> 00:00:40,000\nThe lute maker Orrin sells eleven lutes a year.\n")  # fmt: skip
    hand.add(text, sound)
    hand.new()
    said = hand.ask("How many lutes does Orrin sell a year?")
    hand.click(hand.turn.locator(".chip").first)
    hand.wait(hand.page.get_by_role("region", name="Player"))
    hand.page.wait_for_function("document.querySelector('.player audio').currentTime >= 19")
    return graded(said, "eleven", "11") + "; it plays from there"


@task("S", "not in the documents (World Cup 2014)", "0", "103", "right, but with “Support: 32%” and yellow marks")
def not_there(hand: Hand, server: Served) -> str:
    hand.new()
    hand.ask("Who won the football World Cup in 2014?")
    shown = hand.turn.inner_text()
    check("Not found" in shown or "couldn" in shown, f"it answers: {hand.said()[:80]}")
    check("backed" not in shown, "it says that something backs it")
    return "not found; no support figure, the closest places as links"


@task("S", "nonsense; “Hello, what can you do?”", "0", "64; 48", "“Not found”; 48 s for a hello")
def nonsense(hand: Hand, server: Served) -> str:
    hand.new()
    first = hand.ask("blorf gnash wibble?")
    return f"{first[:50]}; {hand.ask('Hello, what can you do?')[:60]}"


@task("S", "10,000 characters; nothing", "0", "0.3", "clear message at once, text kept")
def endless(hand: Hand, server: Served) -> str:
    hand.new()
    box = hand.page.get_by_role("textbox", name="Question", exact=True)
    box.fill("x" * 10_000)
    box.press("Enter")
    said = hand.wait(hand.page.locator(".composer .problem")).inner_text()
    check(len(box.input_value()) == 10_000, "the text was lost")
    box.fill("")
    box.press("Enter")
    return said[:80]


@task("S", "script in a question and in a file's name", "0", "98", "shown as text, nothing ran")
def script(hand: Hand, server: Served) -> str:
    hand.new()
    bad = hand.made / "<img src=q onerror=window.owned=1>.srt"
    bad.write_text("1\n00:00:00,000 --> 00:00:05,000\nThe bell rang.\n")
    hand.add(bad)
    hand.ask("When did the bell ring? <script>window.owned = 1</script>")
    check(hand.page.evaluate("window.owned") is None, "it ran")
    check("<script>" in hand.turn.inner_text(), "it is not shown as typed")
    return "shown as text, nothing ran"


@task("S", "what the answer depended on: documents", "1", "295", "very good, after five minutes without an estimate")
def depended(hand: Hand, server: Served) -> str:
    hand.new()
    hand.ask(LOSS)
    hand.begin()
    hand.click(hand.turn.get_by_role("button", name="What did it depend on?"))
    hand.wait(hand.page.locator(".explanation", has_text="left"), 120)
    estimate = hand.page.locator(".explanation .doing").inner_text()
    hand.wait(hand.page.locator(".heat table"), 500)
    hand.page.screenshot(path=Path(__file__).parents[2] / "docs" / "page-depended.png")
    return f"a heat map; it said “{estimate[:80]}”"


@task("S", "... sentences", "1", "stopped at 367", "no estimate; it would have taken hours")
def sentences(hand: Hand, server: Served) -> str:
    deeper = hand.page.get_by_role("button", name="Look closer")
    check(deeper.count() > 0, "nothing to look closer at")
    hand.click(deeper)
    hand.wait(hand.page.locator(".explanation", has_text="left"), 120)
    estimate = hand.page.locator(".explanation .doing").inner_text()
    hand.click(hand.page.locator(".explanation").get_by_role("button", name="Cancel"))
    hand.wait(hand.page.locator(".explanation .heat"), 90)
    return f"it says “{estimate[:80]}”; cancelled, it shows what it has"


@task("S", ".docx, .epub, .png", "1", "1", "refused with a list of 20 endings in a toast")
def other_kinds(hand: Hand, server: Served) -> str:
    files = []
    for ending in ("docx", "epub", "png"):
        files.append(hand.made / f"other.{ending}")
        files[-1].write_bytes(b"PK\x03\x04 nothing")
    return "each in its row: " + next((row for row in hand.add(*files) if ".docx" in row), "")[:110]


@task("S", ".md, .txt, .html notes", "1", "1", "refused, although the chooser offers them")
def notes(hand: Hand, server: Served) -> str:
    files = []
    for ending, text in (
        ("md", "# Notes\n\nThe kiln was lit in May."),
        ("txt", "It was a dark night."),
        ("html", "<p>Hi"),
    ):
        files.append(hand.made / f"notes.{ending}")
        files[-1].write_text(text)
    return next((row for row in hand.add(*files) if "notes.md" in row), "")[:150]


@task("S", ".mp3 alone", "1", "1", "clear")
def audio_alone(hand: Hand, server: Served) -> str:
    alone = hand.made / "alone.mp3"
    alone.write_bytes(b"ID3")
    return next(row for row in hand.add(alone) if "alone" in row)[:110]


@task(
    "S", "empty, malformed, encrypted, duplicate PDF", "1", "2-9", "empty named; a password only by a command's option"
)
def odd_pdfs(hand: Hand, server: Served) -> str:
    empty = hand.made / "empty.pdf"
    empty.write_bytes(b"")
    locked = GOLDEN / "encrypted-aes256.pdf"
    rows = hand.add(empty, GOLDEN / "malformed-pdfjsbad1586.pdf", locked, EXAMPLES / "specter-acl2020.pdf")
    box = hand.page.get_by_label("This PDF is locked. Type its password:")
    check(box.count() == 1, f"no place for the password: {rows}")
    check(any("already in your library" in row for row in rows), "the duplicate is not named")
    return "; ".join(row[:60] for row in rows)


@task("S", "352 pages while another asks", "1", "242 to 609", "the other is answered meanwhile; “ready” too early")
def long_book(hand: Hand, server: Served) -> str:
    book = hand.files / "free-culture-lessig2004.pdf"
    check(book.is_file(), "the book is not on this machine")
    hand.clicks += 1
    began = time.monotonic()
    hand.page.locator(".side input[type=file]").set_input_files([book])
    row = hand.page.locator(".upload", has_text="free-culture")
    hand.page.wait_for_function("document.querySelector('.upload.reading progress')?.value > 0", timeout=90_000)
    said = " ".join(row.first.inner_text().split())
    hand.new()
    other = hand.ask("What F1 does SPECTER reach on MeSH classification?")
    waited = hand.seconds
    hand.page.locator(".documents li.ready", has_text="Free Culture").first.wait_for(timeout=900_000)
    hand.seconds = time.monotonic() - began
    found = hand.ask("Who wrote Free Culture?")
    return f"“{said[:60]}”; the other was answered ({other[:12]}) after {waited:.0f} s; when ready: {found[:40]}"


@task("S", "two users", "-", "-", "chats apart; the idle one's list is not refreshed")
def two_users(hand: Hand, server: Served) -> str:
    other = Hand(hand.browser, server.address, hand.files, hand.made)
    row = row_of(other, "DEÉS")
    row.hover()
    row.get_by_role("button", name="More:").click()
    other.page.get_by_role("menuitem", name="Remove").click()
    hand.page.locator(".documents li.ready", has_text="DEÉS").first.wait_for(state="detached", timeout=15_000)
    other.page.get_by_role("button", name="Undo").last.click()
    hand.page.locator(".documents li.ready", has_text="DEÉS").first.wait_for(timeout=15_000)
    other.page.context.close()
    return "the idle one's list follows within seconds; with logins conversations are apart"


@task("S", "reload in the middle", "1", "-", "answer and conversation gone, no word")
def reload_in_the_middle(hand: Hand, server: Served) -> str:
    hand.new()
    hand.type("Why does SPECTER use citations?")
    hand.page.locator(".turn .working").wait_for()
    hand.page.wait_for_timeout(1500)
    hand.page.reload()
    hand.page.locator(".turn").wait_for()
    hand.answered(1)
    return f"attached again, answered: {hand.said()[:70]}"


@task("S", "the server is killed and started again", "-", "21", "conversation and the typed question gone; “Stopped.”")
def killed(hand: Hand, server: Served) -> str:
    hand.new()
    hand.type("Why does SPECTER use citations?")
    hand.page.locator(".turn .working").wait_for()
    box = hand.page.get_by_role("textbox", name="Question", exact=True)
    box.fill("And what is typed")
    server.kill()
    hand.page.wait_for_timeout(1500)
    began = time.monotonic()
    server.start()
    hand.wait(hand.turn.get_by_text("The server was stopped while this was being answered."), 60)
    hand.seconds = time.monotonic() - began
    check(box.input_value() == "And what is typed", "the typed question is gone")
    check(hand.turn.get_by_role("button", name="Try again").is_visible(), "nothing to try again with")
    return "says that the server was stopped; what was typed is there; Try again"
