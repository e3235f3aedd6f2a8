"""A podcast's episode -> HTML of its player, and its captions as WebVTT. Pure.

The player: the audio where we serve it, a line of captions, the chapters, and the transcript with the cited sentences
marked. static/player.js takes the audio and the transcript to the place that is clicked, and follows the audio.
"""

from __future__ import annotations

import html
import textwrap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from markupsafe import Markup

from rag.document import Chapter, Document, Episode, Utterance
from rag.locator import start_seconds, timestamp
from rag.records import Citation
from ui.chapter_formats import without_gaps
from ui.web.templating import render
from ui.wording import HEARD_WELL, percent, printable

LINE = 84  # characters of a caption: two lines of a film's
SHORTEST = 1.0  # seconds of a caption, so that it can be read
PARAGRAPH = 90.0  # seconds after which the same speaker's next sentence is shown with its time


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """A sentence of the transcript; `cited`: the citation quotes from it; `unsure`: how it was heard, or ""."""

    text: str
    start_seconds: float
    cited: bool
    unsure: str = ""


@dataclass(frozen=True, slots=True)
class SpokenParagraph:
    """What one speaker says, at most PARAGRAPH seconds of it. `heading`: the chapter that begins with it, or None."""

    heading: str | None
    speaker: str
    start_seconds: float
    sentences: tuple[SpokenSentence, ...]


def chapter_at(chapters: Sequence[Chapter], second: float) -> int:
    """The index of the chapter at a second: of the last one begun, or of the first before it begins.

    >>> two = [Chapter("Oak", 0, 9, 4.0, 60.0), Chapter("Silk", 9, 20, 60.0, 90.0)]
    >>> [chapter_at(two, second) for second in (0, 59.9, 60, 1000)]
    [0, 0, 1, 1]
    """
    return max(0, bisect_right(chapters, second, key=lambda chapter: chapter.start_seconds) - 1)


def captions(document: Document) -> str:
    """An episode as WebVTT (https://www.w3.org/TR/webvtt1/): its sentences, with their speakers as voices.

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


def panel(document: Document, citation: Citation, has_audio: bool, play: bool, address: str, visit: int) -> Markup:
    """HTML of an episode's player at a citation.

    `has_audio`: it is served by us, at `address`/audio; `play`: it starts at once. `visit` is another one each time, so
    that the browser notices a panel that is the same.
    """
    episode, second = document.episode or Episode(), start_seconds(citation.locator) or 0.0
    return render(
        "player.html",
        address=address,
        title=printable(document.title) or "untitled",
        about=", ".join(filter(None, (printable(episode.show), episode.date))),
        now=printable(citation.locator.label()) if start_seconds(citation.locator) is not None else "",
        start_seconds=second,
        has_audio=has_audio,
        audio=episode.audio,
        audio_host=_host(episode.audio),
        chapters=without_gaps(episode.chapters),
        current_chapter=chapter_at(episode.chapters, second),
        paragraphs=list(_transcript(document, episode, citation)),
        play=play,
        visit=visit,
    )


def _host(audio: str) -> str:
    """The host of audio at another place, which is linked to: nothing is fetched from there unasked."""
    return urlsplit(audio).netloc if audio.startswith(("https://", "http://")) else ""


def _transcript(document: Document, episode: Episode, citation: Citation) -> Iterator[SpokenParagraph]:
    headings = {chapter.start: chapter.title for chapter in episode.chapters}
    paragraph: list[Utterance] = []
    for utterance in (*episode.utterances, None):
        first = paragraph[0] if paragraph else None
        if first and (
            utterance is None
            or utterance.speaker != first.speaker
            or utterance.start in headings
            or utterance.start_seconds >= first.start_seconds + PARAGRAPH
        ):
            yield _paragraph(document.text, paragraph, citation, headings.get(first.start))
            paragraph = []
        paragraph += [utterance] if utterance else []


def _paragraph(text: str, utterances: Sequence[Utterance], citation: Citation, heading: str | None) -> SpokenParagraph:
    sentences = tuple(
        SpokenSentence(
            printable(text[each.start : each.end]),
            each.start_seconds,
            each.start < citation.end and citation.start < each.end,
            "" if each.certainty is None or each.certainty >= HEARD_WELL else percent(each.certainty),
        )
        for each in utterances
    )
    first = utterances[0]
    return SpokenParagraph(heading, printable(first.speaker), first.start_seconds, sentences)
