"""A podcast's episode -> HTML of its player, and its captions as WebVTT. Pure, as render.py is.

The panel: the audio where we serve it, a line of captions, the chapters, and the transcript with the cited sentences
marked. SCRIPT takes the audio and the transcript to the place that is clicked, and follows the audio.
"""

from __future__ import annotations

import html
import textwrap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from rag.records import Chapter, Citation, Document, Episode, Utterance
from rag.timecodes import place_in_recording, timecode, timestamp
from ui.chapter_formats import without_gaps
from ui.render import printable

LINE = 84  # characters of a caption: two lines of a film's
SHORTEST = 1.0  # seconds of a caption, so that it can be read
PARAGRAPH = 90.0  # seconds after which the same speaker's next sentence is shown with its time

# The current chapter and sentence, and the cited ones, are told by a sign or a line as well as by colour.
STYLE = """
.player { overflow-wrap: anywhere; }
.player h2, .player h3, .player h4, .player p, .player ol { margin: 0 !important; padding: 0; }
.player h2 { font-size: 1.15rem; font-weight: 600; }
.player h3 { font-size: 1rem; font-weight: 600; padding: .7rem 0 .2rem; }
.player h4 { font-size: 1rem; font-style: italic; font-weight: 600; padding: .7rem 0 .2rem; }
.player audio { display: block; width: 100%; height: 2.6rem; margin: .5rem 0; }
.player .captioned { display: flex; gap: .75rem; align-items: flex-start; }
.player .captioned label { flex: none; }
.player .caption { flex: 1; height: 3em; line-height: 1.5; overflow-y: auto; }
.dark .player audio { color-scheme: dark; }
.player ol { list-style: none; max-height: 10rem; overflow-y: auto; }
.player li { margin: 0; padding: 0; border-bottom: 1px solid var(--border-color-primary); }
.player li button { display: flex; gap: .6rem; width: 100%; padding: .25rem .3rem !important;
  text-align: left; font: inherit; border: 0 !important; border-radius: 0 !important; background: none !important;
  outline-offset: -3px !important; }
.player li button::before { content: "▸" / ""; visibility: hidden; }
.player li button[aria-current]::before { visibility: visible; }
.player li button[aria-current] { font-weight: 700; background: var(--color-accent-soft) !important; }
.player .time { font-variant-numeric: tabular-nums; color: var(--body-text-color-subdued); flex: none; }
.player button { cursor: pointer; }
.player button:hover { text-decoration: underline; }
.player .transcript button { padding: 0 .2rem 0 0 !important; border: 0 !important; background: none !important;
  font: inherit; font-variant-numeric: tabular-nums; text-decoration: underline dotted; text-underline-offset: .2em; }
.player .transcript { position: relative; height: max(14rem, calc(100dvh - 36rem)); overflow-y: auto; line-height: 1.6;
  padding: 0 .6rem .6rem; border: 1px solid var(--border-color-primary); }
.player .transcript p { padding: .25rem 0; }
.player .transcript mark { background: #ffe43c; color: #1c1917; outline: 1px solid #965a00; }
.player .transcript [aria-current] { text-decoration: underline; text-decoration-thickness: 2px;
  text-underline-offset: .2em; }
@media (max-width: 999px) { .player .caption { height: 6em; } }
"""

# A panel arrives with each click on a citation, `data-visit` tells it from the one before. What is said in `now` is
# read out, so it changes only with a jump or a chapter. A tenth of a second: seeking lands a little before or behind.
SCRIPT = """
<script>
(() => {
  const all = (player, what) => [...player.querySelectorAll(what)];
  const last = (parts, second) => parts.filter((part) => part.dataset.at <= second + 0.1).at(-1) ?? parts[0];
  const timecode = (second) => {
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    const hours = Math.floor(second / 3600), minutes = (second / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(second % 60)}` : `${two(minutes)}:${two(second % 60)}`;
  };
  const mark = (parts, now) => parts.forEach((part) => {
    if (part === now) part.setAttribute("aria-current", "true"); else part.removeAttribute("aria-current");
  });
  const inside = (box, part) => {
    const outer = box.getBoundingClientRect(), inner = part.getBoundingClientRect();
    return inner.bottom > outer.top && inner.top < outer.bottom;
  };
  const scroll = (box, part, share) => {
    const outer = box.getBoundingClientRect(), inner = part.getBoundingClientRect();
    box.scrollTop += inner.top - outer.top - share * (outer.height - Math.min(inner.height, outer.height));
  };
  // Marks the place; after a jump always brings it into view, else only if what was said before is in view.
  const follow = (player, second, jumped) => {
    const chapters = all(player, ".chapters button"), chapter = last(chapters, second);
    const sentences = all(player, ".transcript [data-at]:not(button)"), sentence = last(sentences, second);
    const before = sentences.find((part) => part.ariaCurrent), box = player.querySelector(".transcript");
    const changed = chapter && !chapter.ariaCurrent;
    mark(chapters, chapter);
    if (chapter && (jumped || changed)) scroll(chapter.closest("ol"), chapter, 0.5);
    if (sentence && (jumped || sentence !== before)) {
      const followed = jumped || !before || inside(box, before);
      mark(sentences, sentence);
      all(player, ".transcript button").forEach((button) => { button.tabIndex = -1; });
      sentence.closest("p").querySelector("button").tabIndex = 0;
      if (followed) scroll(box, sentence, 0.3);
    }
    if (jumped || changed) {
      const who = sentence?.closest("p").querySelector("b")?.textContent;
      const title = chapter?.querySelector(".title").textContent;
      player.querySelector(".now").textContent = [title, timecode(second), who].filter(Boolean).join(", ");
    }
  };
  const go = (player, second, play) => {
    const audio = player.querySelector("audio");
    if (audio && (play || second > 0)) audio.currentTime = second;
    if (audio && play) audio.play().catch((problem) => {
      if (problem.name === "NotAllowedError") tell(player, "Press play: the browser does not start audio by itself.");
    });
    follow(player, second, true);
  };
  const tell = (player, problem) => {
    player.querySelector(".wrong").textContent = problem;
  };
  let seen = "";
  new MutationObserver(() => {
    const player = document.querySelector(".player");
    if (!player || player.dataset.visit === seen) return;
    seen = player.dataset.visit;
    go(player, Number(player.dataset.start), "play" in player.dataset);
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-visit"] });
  const on = (event, what, act) => document.addEventListener(event, (happened) => {
    const part = happened.target.closest?.(what);
    if (part) act(part, part.closest(".player"), happened);
  }, true);  // in the capturing phase: what happens to media does not bubble
  on("click", ".player button[data-at]", (button, player) => go(player, Number(button.dataset.at), true));
  on("click", "#sources input:checked", () => {  // the source that is shown already
    const player = document.querySelector(".player");
    if (player) go(player, Number(player.dataset.start), true);
  });
  on("keydown", ".player .transcript button", (button, player, pressed) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[pressed.key], buttons = all(player, ".transcript button");
    if (!step) return;
    pressed.preventDefault();
    buttons[buttons.indexOf(button) + step]?.focus();
  });
  on("timeupdate", ".player audio", (audio, player) => {
    if (!audio.seeking) follow(player, audio.currentTime, false);
    caption(player, audio);
  });
  on("playing", ".player audio", (audio, player) => tell(player, ""));
  on("error", ".player audio", (audio, player) => {
    tell(player, "The audio cannot be played: the file is gone, or this browser does not know its form.");
  });
  // By the time: where playing starts at a place, Chromium still counts the cue before as an active one.
  const caption = (player, audio) => {
    const cues = [...(audio.textTracks[0].cues ?? [])], now = audio.currentTime;
    const said = cues.filter((cue) => cue.startTime <= now + 0.1 && now + 0.1 < cue.endTime).map((cue) => {
      const shown = cue.getCueAsHTML(), who = shown.querySelector("[title]")?.title;
      return (who ? who + ": " : "") + shown.textContent;
    });
    const box = player.querySelector(".caption"), told = said.join(" ");
    if (box.textContent !== told) box.textContent = told;
  };
  on("cuechange", ".player track", (track, player) => caption(player, track.parentElement));
  on("seeked", ".player audio", (audio, player) => caption(player, audio));
  on("change", ".player .captioned input", (box, player) => {
    const track = player.querySelector("track").track, caption = player.querySelector(".caption");
    track.mode = box.checked ? "showing" : "disabled";
    caption.hidden = !box.checked;
  });
})();
</script>
"""


def chapter_at(chapters: Sequence[Chapter], second: float) -> int:
    """The number of the chapter that is on at a second: the last one begun, before the first begins the first.

    >>> two = [Chapter("Oak", 0, 9, 4.0, 60.0), Chapter("Silk", 9, 20, 60.0, 90.0)]
    >>> [chapter_at(two, second) for second in (0, 59.9, 60, 1000)]
    [0, 0, 1, 1]
    """
    return max(0, bisect_right(chapters, second, key=lambda chapter: chapter.start_seconds) - 1)


def captions(document: Document) -> str:
    """An episode's WebVTT (https://www.w3.org/TR/webvtt1/): its sentences, with their speakers as voices.

    A sentence longer than LINE is several cues, which share its time by their characters.
    """
    cues = []
    for said in document.episode.utterances if document.episode else ():
        voice = html.escape(printable(said.speaker).rstrip("- "), quote=False)  # "-->" must not stand in a cue
        for start, end, words in _cues(said, printable(document.text[said.start : said.end])):
            shown = html.escape(words, quote=False)
            cues.append(f"\n{timestamp(start)} --> {timestamp(end)}\n{f'<v {voice}>{shown}</v>' if voice else shown}\n")
    return "WEBVTT\n" + "".join(cues)


def _cues(said: Utterance, text: str) -> Iterator[tuple[float, float, str]]:
    length = max(said.end_seconds - said.start_seconds, SHORTEST)
    pieces = textwrap.wrap(text, LINE if length > SHORTEST else len(text) + 1)
    characters, done = sum(map(len, pieces)), 0
    for piece in pieces:
        start = said.start_seconds + length * done / characters
        done += len(piece)
        yield start, said.start_seconds + length * done / characters, piece


def panel(document: Document, citation: Citation, has_audio: bool, play: bool, visit: int) -> str:
    """HTML of an episode's player at a citation. `has_audio`: it is served by us; `play`: it starts at once.

    `visit` is another one each time, so that the browser notices a panel that is the same.
    """
    episode = document.episode or Episode()
    title = html.escape(printable(document.title) or "untitled")
    about = ", ".join(filter(None, (printable(episode.show), episode.date)))
    attributes = f"data-start='{citation.start_seconds or 0:.3f}' data-visit='{visit}'{' data-play' if play else ''}"
    parts = [
        f"<h2>{title}</h2>",
        f"<p class='hint'>{html.escape(about)}</p>" if about else "",
        f"<p class='now' role='status'>{html.escape(printable(place_in_recording(citation)))}</p>",
        _audio(document.document_id, title) if has_audio else _elsewhere(episode.audio),
        "<p class='problem wrong' role='alert'></p>",
        _chapters(episode.chapters, citation.start_seconds or 0.0),
        "<h3>Transcript</h3><div class='transcript' role='group' aria-label='Transcript'>",
        *_transcript(document, episode, citation),
        "</div>",
    ]
    return f"<section class='player' aria-label='Player' {attributes}>{''.join(parts)}</section>"


def _audio(document_id: str, title: str) -> str:
    """The element shows no captions of its own where there is no picture: the line below does."""
    address = f"/episode/{html.escape(document_id)}"
    return (
        f"<audio controls preload='none' src='{address}/audio' aria-label='Audio: {title}' title='{title}'>"
        f"<track kind='captions' label='Captions' src='{address}/captions.vtt' default></audio>"
        "<div class='captioned'><label><input type='checkbox' checked> Captions</label><p class='caption'></p></div>"
    )


def _elsewhere(audio: str) -> str:
    """A link to audio at another place: nothing is fetched from there unasked."""
    host = urlsplit(audio).netloc if audio.startswith(("https://", "http://")) else ""
    if not host:
        why = "The audio file is no longer there." if audio else "There is no audio."
        return f"<p class='hint'>{why} The chapters lead to the transcript.</p>"
    link = f"<a href='{html.escape(audio)}' target='_blank' rel='noopener noreferrer'>Listen at {html.escape(host)}</a>"
    return f"<p>{link}</p>"


def _chapters(chapters: Sequence[Chapter], second: float) -> str:
    if not chapters:
        return ""
    rows, now = [], chapter_at(chapters, second)
    for number, chapter in enumerate(without_gaps(chapters)):
        current = " aria-current='true'" if number == now else ""
        length = f"to {timecode(chapter.end_seconds)}"
        rows.append(
            f"<li><button type='button' data-at='{chapter.start_seconds:.3f}' title='{length}'{current}>"
            f"<span class='time'>{timecode(chapter.start_seconds)}</span> "
            f"<span class='title'>{html.escape(printable(chapter.title) or 'untitled')}</span></button></li>"
        )
    return f"<h3>Chapters</h3><ol class='chapters' aria-label='Chapters'>{''.join(rows)}</ol>"


def _transcript(document: Document, episode: Episode, citation: Citation) -> Iterator[str]:
    """A heading for each chapter, and a paragraph for each turn, with the time at which it begins."""
    heads = {chapter.start: chapter.title for chapter in episode.chapters}
    paragraph: list[Utterance] = []
    for said in (*episode.utterances, None):
        first = paragraph[0] if paragraph else None
        if first and (
            said is None
            or said.speaker != first.speaker
            or said.start in heads
            or said.start_seconds >= first.start_seconds + PARAGRAPH
        ):
            yield _paragraph(document.text, paragraph, citation)
            paragraph = []
        if said is not None and said.start in heads:
            yield f"<h4>{html.escape(printable(heads[said.start]) or 'untitled')}</h4>"
        paragraph += [said] if said else []


def _paragraph(text: str, said: Sequence[Utterance], citation: Citation) -> str:
    first = said[0]
    speaker = html.escape(printable(first.speaker))
    sentences = []
    for each in said:
        element = "mark" if each.start < citation.end and citation.start < each.end else "span"
        words = html.escape(printable(text[each.start : each.end]))
        sentences.append(f"<{element} data-at='{each.start_seconds:.3f}'>{words}</{element}>")
    return (
        f"<p><button type='button' class='time' tabindex='-1' data-at='{first.start_seconds:.3f}'>"
        f"{timecode(first.start_seconds)}</button> {f'<b>{speaker}</b>: ' if speaker else ''}{' '.join(sentences)}</p>"
    )
