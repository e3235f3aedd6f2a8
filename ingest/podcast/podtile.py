"""Chapters by the reader: boundaries and titles in one reply, chunk by chunk.

PODTILE (Ghazimatin et al., CIKM 2024, arXiv 2410.16148): a transcript that does not fit is cut into static consecutive
chunks, and each one's prompt begins with what is known of the whole episode: its title, its description, and the titles
of the chapters found so far. The reply lists the sentence that a chapter begins with, by number, and the title. Times
are those of the sentences, so no reply can make one up. The paper trains a LongT5 for this; here any reader is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingest.podcast.keyphrases import Keyphrases
from rag.document import Document, Utterance
from rag.errors import ReaderError
from rag.llm.chat import ChatModel, Messages

ROLE = "You write the table of contents of a recorded conversation."
MARK = (
    "The transcript has a number before each sentence. Where does a new subject begin? For each chapter write one "
    "line: the number of its first sentence, a colon, and a title of three to eight words. A chapter takes several "
    "minutes, so write few lines. Write nothing else."
)
NAME = (
    "Write a title of three to eight words for the chapter below: what it is about, with the names that matter. "
    "Write only the title."
)
REPLY = 128  # tokens of a chunk's reply, or a quarter of a small context: some ten lines for a quarter of an hour
SHARE = 8  # description and earlier titles each get at most 1/SHARE of the context
LONGEST_TITLE = 80  # characters
SHOWN_TITLE = 200  # characters of an episode's title
SHORTEST = 20.0  # seconds, of a chapter
NAME_TOKENS = 24  # of a reply that is a title
NAMED = 1200  # tokens of a chapter's text that its title is made from, as far as the context goes
NUMBERED = re.compile(r"\W{0,4}(\d{1,6})\s*(?:[\])}*]*\s*[:.\-–—|)]|[\])}])\s*(.*)")
LABEL = re.compile(r"^(?:chapter(?:\s+\d+)?|title|topic)\s*[:.\-–—]\s*", re.IGNORECASE)
EDGES = " \t\"'“”‘’«»*#_`<>[](){}|:;,.-–—"


@dataclass(frozen=True, slots=True)
class Room:
    """Tokens: of the reader's context, and of the reply in it."""

    context: int
    reply: int

    @classmethod
    def of(cls, context: int) -> Room:
        """The budget of a context of `context` tokens."""
        return cls(context, min(REPLY, context // 4))

    @property
    def prompt(self) -> int:
        return self.context - self.reply


class Chapteriser:
    """Asks a reader about one episode. `context`: whether prompts begin with what is known of the whole (PODTILE).

    Raises ReaderError where not even one sentence fits.
    """

    def __init__(self, document: Document, reader: ChatModel, room: Room, context: bool = True):
        self._document = document
        self._reader = reader
        self._room = room
        self._context = context
        self._utterances: Sequence[Utterance] = document.episode.utterances if document.episode else ()
        self._keyphrases = Keyphrases(document.text)
        self._about = self._head() if context else ""

    # -- chunks

    def chunks(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """(first, one past the last) sentence of each chunk from sentence `start` on, as many as fit in a prompt.

        The end of a chunk does not depend on the replies to those before it: tokens are reserved for earlier titles.
        """
        room = self._room.prompt - (self._room.context // SHARE if self._context else 0)
        n = len(self._utterances)
        while start < n:

            def fits(end: int, start: int = start) -> bool:
                return self._reader.count(self._marking(start, end, ())) <= room

            size = 1  # one sentence is a chunk even if it has to be cut
            while start + size < n and fits(min(n, start + 2 * size)):
                size *= 2
            low, high = start + min(size, n - start), min(n, start + 2 * size)
            while low < high:
                middle = (low + high + 1) // 2
                low, high = (middle, high) if fits(middle) else (low, middle - 1)
            yield start, low
            start = low

    def chapters(self, start: int, end: int, titles: Sequence[str], last: float | None) -> list[tuple[int, str]]:
        """(first sentence, title) of the chapters that begin in a chunk, ascending; titles are new and say something.

        `titles` are those so far, `last` is the second at which the chapter before begins, None if there is none: then
        the chunk is the first, whose first sentence begins a chapter in any case. Elsewhere it does only if the reader
        says so.
        """
        reply = "".join(self._reader.stream(self._within(start, end, titles), self._room.reply))
        found = repaired(parsed(reply), start, [u.start_seconds for u in self._utterances[start:end]], last)
        chapters: list[tuple[int, str]] = []
        taken = list(titles)
        for number, (sentence, title) in enumerate(found):
            behind = found[number + 1][0] if number + 1 < len(found) else end
            if not title or title.casefold() in {other.casefold() for other in taken}:
                title = self.keyphrase(sentence, behind, taken)
            taken.append(title)
            chapters.append((sentence, title))
        return chapters

    def _within(self, start: int, end: int, titles: Sequence[str]) -> Messages:
        """The prompt with as many of the latest titles as fit; of a single sentence too long, as much as fits."""
        for kept in range(len(titles) if self._context else 0, -1, -1):
            messages = self._marking(start, end, titles[len(titles) - kept :])
            if self._reader.count(messages) <= self._room.prompt:
                return messages
        most = self._utterances[end - 1].end - self._utterances[start].start
        while most := most // 2:
            messages = self._marking(start, end, (), most)
            if self._reader.count(messages) <= self._room.prompt:
                return messages
        raise self._too_small()

    def _too_small(self) -> ReaderError:
        return ReaderError(
            f"reader {self._reader.name}: {self._room.context} tokens hold no sentence of a transcript. "
            "Raise reader.context_tokens"
        )

    # -- titles

    def title(self, start: int, end: int, titles: Sequence[str]) -> str:
        """A title for sentences start to end, other than `titles`, which stand in the prompt: those so far."""
        reply = "".join(self._reader.stream(self._naming(start, end, titles), NAME_TOKENS, stop=["\n\n"]))
        title = next(filter(None, map(clean, reply.splitlines())), "")
        if not title or title.casefold() in {other.casefold() for other in titles}:
            return self.keyphrase(start, end, titles)
        return title

    def keyphrase(self, start: int, end: int, titles: Sequence[str]) -> str:
        """The same from its own words."""
        return self._keyphrases.title(self._utterances[start].start, self._utterances[end - 1].end, titles)

    def _naming(self, start: int, end: int, titles: Sequence[str]) -> Messages:
        """The prompt with the first NAMED tokens of the text, or what fits beside the latest titles."""
        room = self._room.context - NAME_TOKENS
        kept = titles if self._context else ()
        while kept and self._reader.count(self._asking(NAME, "", kept)) > room * 3 // 4:
            kept = kept[1:]
        limit = min(room, self._reader.count(self._asking(NAME, "", kept)) + NAMED)
        text = self._document.text[self._utterances[start].start : self._utterances[end - 1].end]
        while True:
            messages = self._asking(NAME, text, kept)
            count = self._reader.count(messages)
            if count <= limit:
                return messages
            if not text:
                raise self._too_small()
            text = text[: min(len(text) - 1, len(text) * limit // count)]

    # -- wording

    def _head(self) -> str:
        """Title and description, of which at most 1/SHARE of the context."""
        title = f"Episode: {' '.join(self._document.title.split())[:SHOWN_TITLE]}" if self._document.title else ""
        description = " ".join(self._document.episode.description.split()) if self._document.episode else ""
        while description:
            about = "\n".join(filter(None, (title, f"About it: {description}")))
            if self._reader.count([("user", about)]) <= self._room.context // SHARE:
                return about
            description = description[: len(description) * 3 // 4]
        return title

    def _asking(self, what: str, text: str, titles: Sequence[str]) -> Messages:
        so_far = [f"Chapters so far:\n{chr(10).join(f'- {title}' for title in titles)}"] if titles else []
        parts = [self._about, *so_far, f"Transcript:\n{text}", what]
        return [("system", ROLE), ("user", "\n\n".join(filter(None, parts)))]

    def _marking(self, start: int, end: int, titles: Sequence[str], most: int | None = None) -> Messages:
        lines = []
        speaker = None
        for number, utterance in enumerate(self._utterances[start:end], start):
            words = " ".join(self._document.text[utterance.start : utterance.end].split())[:most]
            who = f"{utterance.speaker}: " if utterance.speaker and utterance.speaker != speaker else ""
            speaker = utterance.speaker
            lines.append(f"[{number}] {who}{words}")
        return self._asking(MARK, "\n".join(lines), titles)


# -- replies ---------------------------------------------------------------------------------------------------------


def parsed(reply: str) -> list[tuple[int, str]]:
    """The lines "number: title" of a reply, in its order; others are left out.

    >>> parsed("Sure!\\n[0]: **Early years**\\n12 - The mill.\\nChapter 3")
    [(0, 'Early years'), (12, 'The mill')]
    """
    lines = filter(None, (NUMBERED.match(line.strip()) for line in reply.splitlines()))
    return [(int(line[1]), clean(line[2])) for line in lines]


def clean(title: str) -> str:
    """A title on one line, without what models wrap around one, at most LONGEST_TITLE characters of whole words."""
    words = LABEL.sub("", " ".join(title.split()).strip(EDGES)).strip(EDGES)
    if len(words) > LONGEST_TITLE:
        words = words[: LONGEST_TITLE + 1].rpartition(" ")[0] or words[:LONGEST_TITLE]
    return words if any(sign.isalnum() for sign in words) else ""


def repaired(
    listed: Sequence[tuple[int, str]], start: int, seconds: Sequence[float], last: float | None
) -> list[tuple[int, str]]:
    """(sentence, title), ascending, of the list that a model makes of a chunk: sentences from `start` on.

    They begin at `seconds`. Numbers out of range go, those out of order are sorted, of those twice the first counts. A
    line that repeats the title above it goes on with the same chapter. What begins less than SHORTEST seconds behind
    the chapter before is no chapter of its own. `last` as of Chapteriser.chapters: where there is none, the first
    chapter begins with the first sentence, without a title ("") if the first line is not near.

    >>> listed = [(7, "The mill"), (2, "Early years"), (9, "the mill"), (7, "Bees"), (99, "Honey")]
    >>> repaired(listed, 0, range(0, 300, 30), None)
    [(0, ''), (2, 'Early years'), (7, 'The mill')]
    """
    first: dict[int, str] = {}
    for number, title in listed:
        if start <= number < start + len(seconds):
            first.setdefault(number, title)
    ordered = sorted(first.items())
    if last is None:
        if ordered and seconds[ordered[0][0] - start] - seconds[0] < SHORTEST:
            ordered[0] = (start, ordered[0][1])
        else:
            ordered.insert(0, (start, ""))
    found: list[tuple[int, str]] = []
    before = ""
    for number, title in ordered:
        early = last is not None and seconds[number - start] - last < SHORTEST
        if early or (title and title.casefold() == before.casefold()):
            continue
        found.append((number, title))
        last, before = seconds[number - start], title
    return found
