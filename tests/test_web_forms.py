"""The ways of reading on the web page: what reaches the reader, and how doubt, silence and invention are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from rag.read.prompts import ANSWER, CHOOSE, CLAIM, FROM_SENTENCES, NEEDED, SUPPORT
from tests.conftest import Run, needs_browser
from tests.pages import GUILD, HARBOUR, Endpoint, Site, Visit, prompt_of, visit
from tests.pdfs import make_pdf
from tests.test_readers import Handler, says

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

GARDEN = [["Tomatoes want sun and much water.", "Carrots are sown in April, in loose soil."]]
INVENTED = "They were spent on a new lamp"
ANSWERED = f"The Merrow Guild had saved 412 crowns. {INVENTED}."
NOTED = "The Merrow Guild had saved *412 crowns* when the light closed, -perhaps in 1901-."
LOOP = "You find information."
SETTINGS = ("experimental.notes=written", "experimental.filter_threshold=1.0", "retrieve.links=false")


def reply_to(prompt: str) -> str:
    """Of a reader that needs no garden, picks a sentence that is not there, and adds one to its answer."""
    if prompt.startswith(NEEDED):
        return ", ".join(re.findall(r"^\[(\d+)\](?!.*Tomatoes)", prompt, re.MULTILINE)) or "NONE"
    if prompt.startswith(CHOOSE):
        return "1, 3, 99"
    if prompt.startswith(LOOP):
        return f"I have it. <summary>{NOTED}</summary> <answer>{ANSWERED}</answer>"
    if prompt.endswith(CLAIM):
        return "no" if f"Claim: {INVENTED}" in prompt else "yes"
    return "yes" if prompt.endswith(SUPPORT) else ANSWERED


def reads(handler: Handler) -> None:
    request = handler.server.chats[-1]
    reply = reply_to(prompt_of(request))
    if request.get("stream"):
        says(reply)(handler)
        return
    choice = {"index": 0, "message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
    handler.whole({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("forms")
    files = [
        make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book"),
        make_pdf(folder / "garden.pdf", GARDEN, "A Garden Book"),
    ]
    assert glossator("ingest", *files, "--library", folder / "library").returncode == 0
    with Endpoint(reads) as reader:
        site = Site(folder / "library", folder / "log", reader, *SETTINGS)
        yield site
        site.interrupt()


def _unfolded(visited: Visit, title: str) -> Locator:
    """The last note or list with this title, once it is open."""
    group = visited.page.locator("#chat .thought-group", has_text=title).last
    group.locator(".title").click()
    group.locator("li").first.wait_for()
    return group


def _contrast(element: Locator) -> float:
    """Of the text to what is behind it, as WCAG 2.2 has it: 4.5 is wanted, 21 is black on white."""
    (found,) = contrasts(element)
    return found


def contrasts(elements: Locator) -> list[float]:
    """The contrast of each of these elements that is visible, all of them asked of the browser at once."""
    all_colours = elements.evaluate_all(
        """async all => {  // colours that still change to another scheme's are nobody's
          const changing = document.getAnimations().filter(a => a instanceof CSSTransition);
          await Promise.all(changing.map(a => a.finished.catch(() => 0)));
          const visible = e => {
            const box = e.getBoundingClientRect();
            return box.width > 0 && box.height > 0 && getComputedStyle(e).visibility == "visible";
          };
          return all.filter(visible).map(e => {
            const own = getComputedStyle(e).color, chain = [];
            for (let n = e; n; n = n.parentElement) chain.push(getComputedStyle(n));
            const behind = chain.map(s => s.backgroundColor).find(c => !c.startsWith("rgba(0, 0, 0, 0"));
            return [own, behind, chain.reduce((all, s) => all * s.opacity, 1)];
          });
        }"""
    )
    return [_ratio(*colours) for colours in all_colours]


def _ratio(own: str, behind: str, opacity: float) -> float:
    ink, paper = ([int(number) for number in re.findall(r"\d+", colour)[:3]] for colour in (own, behind))
    seen = [opacity * a + (1 - opacity) * b for a, b in zip(ink, paper, strict=True)]
    dark, light = sorted((_luminance(seen), _luminance(paper)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Sequence[float]) -> float:
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _underline(element: Locator) -> str:
    return element.evaluate("e => getComputedStyle(e).textDecorationStyle")


def _asked(visited: Visit, site: Site, way: str) -> tuple[str, list[str]]:
    """Ask in the way that is chosen: what the answer's own message says, and the prompts that the reader got."""
    page = visited.page
    page.get_by_role("button", name=f"How to read: {way}").wait_for()
    assert page.get_by_role("radio", name=f"{way}: ").is_checked()
    before = len(site.reader.chats)
    box = page.get_by_role("textbox", name="Question")
    box.fill(GUILD)
    box.press("Enter")
    visited.finished(page.locator("#chat .user").count() + 1)
    answer = page.locator("#chat .bot .message:not(.thought)").last
    return answer.inner_text(), [prompt_of(request) for request in site.reader.chats[before:]]


def _next_way(visited: Visit) -> None:
    """With the keyboard: from the way that is chosen to the one below it."""
    visited.page.locator("#style input:checked").focus()
    visited.page.keyboard.press("ArrowDown")


@needs_browser
def test_the_chosen_way_reaches_the_reader_and_its_doubts_are_seen_and_said(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.get_by_role("button", name="How to read: Notes").press("Enter")
        ways = page.get_by_role("group", name="How to read").get_by_role("radio")
        ways.first.wait_for()
        assert ways.count() == 4

        answer, prompts = _asked(visited, site, "Notes")
        assert [prompt.startswith(LOOP) for prompt in prompts].count(True) == 1
        assert answer.startswith("The Merrow Guild had saved 412 crowns. ")
        assert f"{INVENTED} [1] (not supported)" in answer and "Support 100 % (an estimate)" in answer
        (unsupported,) = page.locator("#chat .unsupported").all()
        assert unsupported.inner_text() == f"{INVENTED} [1]" and _underline(unsupported) == "dotted"
        note = _unfolded(visited, "Evidence note: what the passages say")
        assert "when the light closed, perhaps in 1901 (uncertain)." in note.inner_text()
        assert note.locator("strong").inner_text() == "412 crowns"
        uncertain = note.locator(".uncertain")
        assert uncertain.inner_text() == "perhaps in 1901" and _underline(uncertain) == "dotted"
        reasons = _unfolded(visited, "Why these passages: words, meaning, links (1 not read)")
        ignored = reasons.locator(".ignored")
        assert re.fullmatch(
            r"Not read, weakly related to the question \(.*\), .*: A Garden Book, .*", ignored.inner_text()
        )
        assert "Tomatoes" not in "".join(prompt for prompt in prompts if not prompt.startswith(NEEDED))
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            assert 4.5 <= _contrast(ignored) < _contrast(reasons.locator("li").first), scheme
            assert min(map(_contrast, page.locator("#chat small, #chat .uncertain").all())) >= 4.5, scheme

        _next_way(visited)
        answer, prompts = _asked(visited, site, "Quotes")
        assert [prompt.split("\n")[0] for prompt in prompts[:3]] == [NEEDED, CHOOSE, FROM_SENTENCES]
        assert "(not supported)" in answer
        assert "3 sentences chosen by the reader, 1 of them not in the evidence and left out." in answer
        assert "412 crowns" in _unfolded(visited, "Quotes: what the answer was read from").inner_text()

        _next_way(visited)
        answer, prompts = _asked(visited, site, "Direct")
        assert [prompt.split("\n")[0] for prompt in prompts] == [NEEDED, ANSWER]
        assert "Support" not in answer and "(not supported)" not in answer

        spoken = page.get_by_role("log").aria_snapshot()
        assert "(not supported)" in spoken and "(uncertain)" in spoken and "Not read, weakly related" in spoken
        assert "span class" not in spoken and "**" not in spoken, "an answer is read out, not its Markdown"
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
