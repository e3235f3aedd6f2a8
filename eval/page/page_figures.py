"""The page in figures: weight, first paint, layout shift, a citation's page, a reload, streaming, ten sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil

from eval.page.hand import Hand
from eval.page.task import LOSS
from rag.library.catalogue import Library
from rag.library.kept.conversations import Conversations

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SESSIONS, LONG = 10, 200
SHIFTS = """window.shifted = 0;
new PerformanceObserver(list => list.getEntries().forEach(e => { if (!e.hadRecentInput) window.shifted += e.value; }))
  .observe({ type: "layout-shift", buffered: true });"""
NEXT_PAGE = """() => new Promise(done => {
  const began = performance.now(), before = document.querySelector(".sheet img")?.src;
  document.querySelector("[aria-label='Next page']").click();
  const look = () => {
    const now = document.querySelector(".sheet img");
    if (now && now.src !== before && now.complete && now.naturalWidth) done(performance.now() - began);
    else requestAnimationFrame(look);
  };
  look();
})"""


def figures(browser: Browser, address: str, library: Path, server: int) -> str:
    """A table of the figures. `server`: the process id of the server at `address`, over the `library`."""
    rows: list[tuple[str, str, str]] = []

    def add(what: str, value: str, aim: str) -> None:
        rows.append((what, value, aim))
        print(f"{what}: {value} ({aim})", flush=True)

    weight, first = _visit(browser, address, again=False)
    add(
        "weight of the first visit, without the picture of the document's page",
        f"{weight / 1000:.0f} KB",
        "under 600 KB",
    )
    add("first visit: first paint, usable", f"{first[0]:.2f} s, {first[1]:.2f} s", "")
    _, second = _visit(browser, address, again=True)
    add("second visit: first paint, usable", f"{second[0]:.2f} s, {second[1]:.2f} s", "under 1 s")
    hand = Hand(browser, address, Path(), Path())
    hand.page.add_init_script(SHIFTS)
    hand.page.goto(address)
    hand.page.locator(".examples button").first.wait_for()
    hand.page.wait_for_timeout(1500)
    add("layout shift", f"{hand.page.evaluate('window.shifted'):.3f}", "under 0.05")
    updates, cost = _streaming(hand)
    add("updates while streaming", f"{updates:.1f} a second", "5 to 10")
    hand.page.locator(".documents li.ready .row-button", has_text="SPECTER").click()
    hand.page.locator(".sheet img").wait_for()
    clicks = [hand.page.evaluate(NEXT_PAGE) for _ in range(11)]
    again = [hand.page.evaluate(NEXT_PAGE.replace("Next", "Previous")) for _ in range(11)]
    add(
        "click to a page's picture, first and later, p50",
        f"{median(clicks):.0f} ms, {median(again):.0f} ms",
        "under 300 ms",
    )
    reloads = [_timed(hand.page.reload, hand.page.locator(".turn .actions").last.wait_for) for _ in range(5)]
    add("reload to the restored conversation, p50", f"{median(reloads):.2f} s", "under 1.5 s")
    _fill(library, hand)
    began = time.monotonic()
    hand.page.reload()
    hand.page.locator(".turn .actions").last.wait_for()
    add(f"reload of {LONG} messages", f"{time.monotonic() - began:.2f} s", "")
    long_updates, long_cost = _streaming(hand)
    add("the browser's work an update: first message, 200th", f"{cost:.1f} ms, {long_cost:.1f} ms", "flat")
    add("updates while streaming the 200th", f"{long_updates:.1f} a second", "5 to 10")
    process = psutil.Process(server)
    one = process.memory_info().rss
    others = [Hand(browser, address, Path(), Path()) for _ in range(SESSIONS - 1)]
    for other in others:
        other.page.locator(".examples button").first.wait_for()
    ten = process.memory_info().rss
    for done in (hand, *others):
        done.page.context.close()
    add("server's memory with one session, with ten", f"{one / 1e6:.0f} MB, {ten / 1e6:.0f} MB", "")
    lines = ["| figure | measured | aim |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def _timed(*steps: Callable[[], Any]) -> float:
    began = time.monotonic()
    for step in steps:
        step()
    return time.monotonic() - began


def _visit(browser: Browser, address: str, again: bool) -> tuple[int, tuple[float, float]]:
    """(bytes without the picture of the open page, (first paint, usable) in seconds) of a first or second visit."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    if again:
        before = context.new_page()
        before.goto(address)
        before.locator(".documents li").first.wait_for()
        before.wait_for_timeout(1000)
        before.close()
    page, received, pictures = context.new_page(), list[float](), set[str]()
    client = context.new_cdp_session(page)
    client.send("Network.enable")

    def came(event: dict[str, Any]) -> None:
        if event["response"]["url"].endswith(".png"):
            pictures.add(event["requestId"])

    client.on("Network.responseReceived", came)
    client.on("Network.loadingFinished", lambda event: received.append(
        0.0 if event["requestId"] in pictures else event["encodedDataLength"]
    ))  # fmt: skip
    began = time.monotonic()
    page.goto(address, wait_until="commit")
    page.locator("#question").wait_for()
    page.locator(".documents li").first.wait_for()
    usable = time.monotonic() - began
    page.wait_for_timeout(1500)
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
    context.close()
    return int(sum(received)), (painted, usable)


def _streaming(hand: Hand) -> tuple[float, float]:
    """(updates a second, the browser's milliseconds an update) while an answer in sentences is written."""
    page: Page = hand.page
    page.evaluate("""() => {
      window.updates = [];
      const isDraft = change => change.target.parentElement?.closest(".draft");
      new MutationObserver(list => { if (list.some(isDraft)) updates.push(performance.now()); })
        .observe(document.getElementById("turns"), { subtree: true, characterData: true });
    }""")
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")

    def spent() -> float:
        metrics = client.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    asked = page.locator(".turn").count()
    hand.type(f"Explain: {LOSS} Why was it chosen?")
    page.wait_for_function("updates.length > 0", timeout=120_000)
    before, first = spent(), page.evaluate("updates.length")
    hand.answered(asked + 1)
    times = page.evaluate("updates")
    many = max(1, len(times) - first)
    rate = (len(times) - 1) / max(0.1, (times[-1] - times[0]) / 1000) if len(times) > 1 else 0.0
    return rate, 1000 * (spent() - before) / many


def _fill(library: Path, hand: Hand) -> None:
    """Put LONG turns with an answer into the conversation that is open."""
    opened = hand.page.evaluate("new URLSearchParams(location.search).get('c')")
    kept = Conversations(Library.open(library).folder)
    answer = next(turn.answer for turn in kept.turns(opened, "") if turn.answer)
    for number in range(LONG):
        turn = kept.add_turn(opened, "", f"Question {number}?", {})
        kept.begin_turn(turn.turn_id, {})
        kept.end_turn(turn.turn_id, "done", {}, answer, "", 1.0)
