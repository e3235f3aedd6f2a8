"""Podcasts on the web page: a real browser plays from the chapter or citation that is clicked, or shows the text."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Run, needs_browser
from tests.pages import HARBOUR, Endpoint, Site, replies, visit
from tests.pdfs import make_pdf
from tests.test_web_forms import contrasts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

STEP = 37  # seconds of an utterance
MILL = [
    ("Ada Lind", "Welcome to the show about wind mills and the people who keep them."),
    ("Bo Aas", "The Kolm mill was built of oak in 1871, and its sails were made of linen."),
    ("Ada Lind", "How often do the sails have to be mended?"),
    ("Bo Aas", "Twice a year, in spring and in autumn, and after each storm."),
    ("Ada Lind", "And how is the flour sifted today?"),
    ("Bo Aas", "We filter_passages it through silk, as the old miller did."),
    ("Ada Lind", "Who buys the flour?"),
    ("Bo Aas", "The bakers of Lund buy nine sacks a week, and the rest goes to the market."),
]
MARKUP = "<b>Storms</b> & <script>window.owned = 1</script>"
CHAPTERS = [(0, "The mill"), (90, MARKUP), (150, "Flour")]
BEES = [
    f"Bees dance to show the others where the clover is, and this is dance number {number}." for number in range(30)
]
BEES += ["The queen of the Harlow hive was called Ottilie.", *BEES]


def stamp(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000"


def podcasts(folder: Path) -> Path:
    """An episode with chapters and its audio, and one with chapters and without."""
    folder.mkdir()
    cues = [
        f"{stamp(i * STEP)} --> {stamp((i + 1) * STEP)}\n<v {who}>{said}</v>\n" for i, (who, said) in enumerate(MILL)
    ]
    (folder / "mill.vtt").write_text("\n".join(["WEBVTT\n", *cues]))
    _chapters(folder / "mill.chapters.json", CHAPTERS)
    (folder / "mill.meta.md").write_text("---\ntitle: The Kolm mill\nshow: Old Trades\npublished: 2023-02-27\n---\n")
    with wave.open(str(folder / "mill.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(bytes(128 + (i // 20 % 2) for i in range(8000)) * STEP * len(MILL))
    cues = [f"{stamp(10 * i)} --> {stamp(10 * i + 10)}\n{said}\n" for i, said in enumerate(BEES)]
    (folder / "bees.vtt").write_text("\n".join(["WEBVTT\n", *cues]))
    _chapters(folder / "bees.chapters.json", [(0, "Clover"), (300, "The queen"), (500, "Goodbye")])
    return folder


def _chapters(file: Path, chapters: list[tuple[int, str]]) -> None:
    listed = [{"startTime": second, "title": title} for second, title in chapters]
    file.write_text(json.dumps({"version": "1.2.0", "chapters": listed}))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("podcast")
    harbour = make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book")
    done = glossator("ingest", harbour, podcasts(folder / "shows"), "--library", folder / "library")
    assert done.returncode == 0, done.stderr
    with Endpoint(replies({"queen": "Ottilie", "": "nine sacks a week"})) as reader:
        site = Site(folder / "library", folder / "log", reader)
        yield site
        site.interrupt()


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


def shown_in_transcript(page, words: str) -> bool:
    """Whether these words of the transcript stand in its box, as it is scrolled."""
    return page.evaluate(
        """(words) => { const box = document.querySelector(".player .transcript");
           const outer = box.getBoundingClientRect();
           const part = [...box.querySelectorAll("mark, span")].find((part) => part.textContent.includes(words));
           const inner = part.getBoundingClientRect();
           return inner.top >= outer.top && inner.bottom <= outer.bottom; }""",
        words,
    )


@needs_browser
def test_a_slow_browser_shows_the_sources_too(browser, site: Site) -> None:
    """They come, and what follows them, while it still draws the answer."""
    with visit(browser, site) as visited:
        page = visited.page
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 6})
        visited.ask("How many sacks of flour do the bakers of Lund buy?")
        page.locator("#sources label").first.wait_for(timeout=10_000)
        page.get_by_role("group", name="What made this answer?").wait_for(timeout=10_000)


@needs_browser
def test_a_citation_or_a_chapter_starts_the_audio_there(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.evaluate(HEARD)
        visited.ask("How many sacks of flour do the bakers of Lund buy?")
        begins = 7 * STEP
        assert "Flour, 04:19, Bo Aas" in page.locator("#sources label").first.inner_text()
        player = page.get_by_role("region", name="Player")
        assert player.inner_text().split("\n\n")[:2] == ["The Kolm mill", "Old Trades, 2023-02-27"]
        assert page.evaluate("document.querySelector('.player audio').paused"), "nobody has asked for sound yet"
        assert chapter_of(page) == "02:28 Flour"  # where the sentence nearest to the maker's time begins
        marked = player.locator("mark").all_inner_texts()
        assert any("nine sacks" in said for said in marked) and not any("oak" in said for said in marked)
        assert player.locator("b").all_inner_texts() == [who for who, _ in MILL], "no markup of a chapter's title"
        assert not page.get_by_role("button", name="Next page").is_visible()

        page.locator('#chat a[href="#citation-1"]').click()
        plays_from(page, begins)
        page.locator(".player .caption").get_by_text("Bo Aas: The bakers of Lund").wait_for()
        assert shown_in_transcript(page, "nine sacks")
        assert player.get_by_role("status").inner_text() == "Flour, 04:19, Bo Aas"

        page.get_by_role("button", name="Storms").click()
        plays_from(page, 2 * STEP)
        assert chapter_of(page) == f"01:14 {MARKUP}"
        assert page.evaluate("window.owned") is None

        page.get_by_role("button", name="The mill").press("Enter")  # from the keyboard
        plays_from(page, 0)
        page.locator(".player .transcript button[tabindex='0']").press("ArrowDown")
        assert page.evaluate("document.activeElement.textContent") == "00:37"
        page.keyboard.press("Enter")
        plays_from(page, 37)
        page.evaluate("document.querySelector('.player audio').currentTime = 147")
        page.wait_for_function("document.querySelector('.player .chapters [aria-current]').innerText.includes('Flour')")
        page.locator("#sources input:checked").click()
        plays_from(page, begins)

        cues = page.evaluate(
            """() => { const { track } = document.querySelector(".player track");
               return [track.kind, track.mode, [...track.cues].map((cue) => cue.getCueAsHTML().textContent)]; }"""
        )
        assert cues[:2] == ["captions", "showing"]
        assert " ".join(cues[2]) == " ".join(said for _, said in MILL)
        page.get_by_label("Captions").uncheck()
        assert not page.locator(".player .caption").is_visible()
        page.screenshot(path=str(site.log.parent / "podcast-1280.png"))


@needs_browser
def test_without_audio_the_transcript_is_shown_at_the_place(browser, site: Site) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        visited.ask("What was the queen of the Harlow hive called?")
        assert "The queen, 05:00" in page.locator("#sources label").first.inner_text()
        assert page.locator(".player audio").count() == 0
        assert "There is no audio" in page.locator(".player").inner_text()
        assert shown_in_transcript(page, "Ottilie") and chapter_of(page) == "05:00 The queen"
        page.get_by_role("button", name="Goodbye").click()
        here = page.locator(".player .transcript [aria-current]")
        assert here.inner_text() == BEES[50] and chapter_of(page) == "08:20 Goodbye"
        assert not shown_in_transcript(page, "Ottilie")
        page.locator('#chat a[href="#citation-1"]').click()
        page.wait_for_function("document.querySelector('.player .transcript mark[aria-current]')")
        assert shown_in_transcript(page, "Ottilie") and "Ottilie" in here.inner_text()


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_every_control_has_a_name_and_nothing_is_cut_off(browser, site: Site, width: int) -> None:
    with visit(browser, site) as visited:
        page = visited.page
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(HEARD)
        visited.ask("How many sacks of flour do the bakers of Lund buy?")
        page.locator('#chat a[href="#citation-1"]').click()
        plays_from(page, 7 * STEP)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
        roles = {"button", "checkbox", "link", "slider", "radio", "textbox", "Audio", "group", "list", "region"}
        shown = [node for node in tree["nodes"] if not node["ignored"] and node.get("role", {}).get("value") in roles]
        named = {(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in shown}
        assert [role for role, name in named if not name and role not in ("group", "list")] == []
        wanted = {
            ("Audio", "Audio: The Kolm mill"), ("checkbox", "Captions"), ("button", "02:28 Flour"),
            ("region", "Player"), ("group", "Transcript"), ("list", "Chapters"),
        }  # fmt: skip
        assert wanted <= named, wanted - named
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("dark => document.body.classList.contains('dark') == dark", arg=scheme == "dark")
            seen = contrasts(page.locator(".player :is(.time, .title, .hint, .now, .caption, mark, b)"))
            assert min(seen) >= 4.5, scheme
            page.locator(".player").scroll_into_view_if_needed()
            page.screenshot(path=str(site.log.parent / f"podcast-{width}-{scheme}.png"), full_page=width < 999)


@needs_browser
def test_a_transcript_is_uploaded_with_what_belongs_to_it(browser, site: Site, tmp_path: Path) -> None:
    files = {
        "wells-transcript.srt": "1\n00:00:01,000 --> 00:00:09,000\nThe well of Ystad is forty metres deep.\n",
        "wells.chapters.json": json.dumps({"chapters": [{"startTime": 0, "title": "A deep well"}]}),
        "tune.mp3": "ID3",
        "prose.txt": "It was a dark night.\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with visit(browser, site) as visited:
        page = visited.page
        page.locator("#library input[type=file]").set_input_files([tmp_path / name for name in files])
        page.locator("ul.outcomes").wait_for()
        said = page.locator("ul.outcomes").inner_text()
        assert "wells-transcript.srt, wells.chapters.json: added, podcast, 1 passage" in said
        assert "tune.mp3: belongs beside a transcript" in said and "prose.txt: is neither a PDF nor" in said
    kept = sorted(file.name for file in (site.library / "uploads").iterdir())
    assert kept == ["wells-transcript.chapters.json", "wells-transcript.srt"]


def test_audio_and_captions_are_served_by_id_alone(site: Site) -> None:
    mill, bees = site.document_id("The Kolm mill"), site.document_id("bees")
    with httpx.Client(base_url=site.address, trust_env=False) as client:
        whole = client.get(f"/episode/{mill}/audio")
        assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
        assert whole.headers["accept-ranges"] == "bytes" and whole.headers["x-content-type-options"] == "nosniff"
        part = client.get(f"/episode/{mill}/audio", headers={"range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, whole.content[100:200])
        assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
        captions = client.get(f"/episode/{mill}/captions.vtt")
        assert captions.headers["content-type"] == "text/vtt; charset=utf-8" and captions.text.startswith("WEBVTT\n")
        for path in (
            f"/episode/{bees}/audio",
            "/episode/0123456789abcdef/audio",
            "/episode/0123456789abcdef/captions.vtt",
            "/episode/..%2f..%2fcatalogue.sqlite/audio",
            f"/episode/{mill}/..%2f..%2flibrary%2fcatalogue.sqlite",
            "/episode/%2fetc%2fpasswd/audio",
            "/episode/../../catalogue.sqlite",
        ):
            reply = client.get(path)
            assert (reply.status_code, len(reply.text.splitlines())) == (404, 1), path
        assert client.get(f"/episode/{mill}/audio", headers={"host": "evil.example"}).status_code == 400
        sound = site.log.parent / "shows" / "mill.wav"
        sound.rename(sound.with_suffix(".away"))
        assert client.get(f"/episode/{mill}/audio").status_code == 404
        sound.with_suffix(".away").rename(sound)
