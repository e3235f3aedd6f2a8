"""Players: the documents, clauses and words of the evidence, and what a reader gets when some of them are absent.

After TextGenSHAP (arXiv 2312.01279). The instruction, the question and the cue are never players.

Every hit here comes from `disjoint`: where neighbouring passages overlap, the shared words belong to one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Literal, TypeAlias

from rag.read.prompts import answer_messages
from rag.read.quotes import units
from rag.records import Hit, Passage

Kind: TypeAlias = Literal["document", "clause", "word"]
# What becomes of an absent player's words. deleted: they are gone, and ranks stay. filler: each is FILLER. swapped:
# each is the word that an unrelated passage has in its place. The paper's own (pad ids over the player's tokens,
# positions unmoved) is for a reader whose tokens can be masked: `absent_spans` says which.
Absence: TypeAlias = Literal["deleted", "filler", "swapped"]

FILLER = "_"
WORD = re.compile(r"\S+")
# A comma with white space behind it, so none inside a number ("1,162"), and with the quotation mark behind it.
COMMA = re.compile(r""",["'”’»)\]]*\s+(?=\S)""")


@dataclass(frozen=True, slots=True)
class Player:
    """A span of the passage of the hit at `rank`: passage.text[start:end].

    A document is its whole passage with the title line. The title line alone, the "header", is a clause 0:0.
    """

    kind: Kind
    rank: int
    start: int
    end: int

    @property
    def header(self) -> bool:
        return self.kind == "clause" and self.end == 0


def disjoint(hits: Sequence[Hit]) -> list[Hit]:
    """The hits without the words that a better-ranked neighbour shows; the prompt of both is the same.

    What `shown` (rag/read/prompts.py) leaves out only as long as the neighbour is there would else come back when the
    neighbour is absent. No passage contains another, as ingest/chunk.py makes them.
    """
    seen: dict[str, list[tuple[int, int]]] = {}
    cut = []
    for hit in hits:
        passage = hit.passage
        start, end = passage.start, passage.end
        for seen_start, seen_end in seen.get(passage.document_id, []):
            if seen_start <= start < seen_end:
                start = min(seen_end, end)
            if seen_start < end <= seen_end:
                end = max(start, seen_start)
        seen.setdefault(passage.document_id, []).append((passage.start, passage.end))
        text = passage.text[start - passage.start : end - passage.start]
        cut.append(hit if text == passage.text else replace(hit, passage=_with_text(passage, text, start)))
    return cut


def documents(hits: Sequence[Hit]) -> list[Player]:
    """A player for each hit."""
    return [Player("document", hit.rank, 0, len(hit.passage.text)) for hit in hits]


def clauses(hit: Hit) -> list[Player]:
    """The header, then clauses that tile the passage's text: it is cut behind sentences and commas, of a table by rows.

    The paper cuts at every "." and ",". A reader of text does not take those of "18.5", "1,162" or "J. K. Rowling" for
    the end of anything, so here sentencex says where sentences end, and a comma needs white space behind it. White
    space belongs to the clause before it.

    >>> text = "Built in 1911, it cost 1,162 pounds. Who paid?"
    >>> hit = Hit(1, 1.0, Passage("d#0", "d", "Tide Mill", "d.pdf", text, 0, len(text)))
    >>> [text_of(clause, hit) for clause in clauses(hit)]
    ['Tide Mill', 'Built in 1911, ', 'it cost 1,162 pounds. ', 'Who paid?']
    """
    passage = hit.passage
    cuts = {start for start, _ in units(passage)}
    if passage.kind != "table":
        cuts |= {comma.end() for comma in COMMA.finditer(passage.text)}
    spans = _tiles(passage.text, 0, len(passage.text), cuts)
    return [Player("clause", hit.rank, 0, 0), *(Player("clause", hit.rank, start, end) for start, end in spans)]


def words(clause: Player, hit: Hit) -> list[Player]:
    """The words of a clause between white space, each with what follows it, so that they tile the clause.

    None of the header, which stays whole, and none of a clause that is only white space.
    """
    starts = [word.start() for word in WORD.finditer(hit.passage.text, clause.start, clause.end)]
    if not starts:
        return []
    spans = _tiles(hit.passage.text, clause.start, clause.end, starts)
    return [Player("word", hit.rank, start, end) for start, end in spans]


def parts(player: Player, hits: Sequence[Hit]) -> list[Player]:
    """A document's clauses, a clause's words, nothing of a word."""
    if player.kind == "word":
        return []
    hit = next(hit for hit in hits if hit.rank == player.rank)
    return clauses(hit) if player.kind == "document" else words(player, hit)


def text_of(player: Player, hit: Hit) -> str:
    """What to show of a player; of the header, the title."""
    return hit.passage.title if player.header else hit.passage.text[player.start : player.end]


def _tiles(text: str, start: int, end: int, cuts: Collection[int]) -> list[tuple[int, int]]:
    """text[start:end] between the cuts; white space that would stand alone in front goes with what follows it."""
    inner = sorted(cut for cut in cuts if start < cut < end and not text[start:cut].isspace())
    return [(a, b) for a, b in pairwise([start, *inner, end]) if a < b]


def complement(hits: Sequence[Hit], present: Collection[Player]) -> list[Player]:
    """What is absent when only `present` is there, in few players: whole documents, headers, and stretches of text.

    The same words are `present` whether a document is named or all its clauses are, so the levels may be mixed.
    """
    absent: list[Player] = []
    for document, hit in zip(documents(hits), hits, strict=True):
        here = [player for player in present if player.rank == hit.rank]
        if document in here:
            continue
        if not here:
            absent.append(document)
            continue
        if not any(player.header for player in here):
            absent.append(Player("clause", hit.rank, 0, 0))
        at = 0
        for start, end in [*_merged((p.start, p.end) for p in here if not p.header), (len(hit.passage.text),) * 2]:
            if at < start:
                absent.append(Player("clause", hit.rank, at, start))
            at = end
    return absent


def without(
    hits: Sequence[Hit], absent: Collection[Player], absence: Absence = "deleted", unrelated: Passage | None = None
) -> list[Hit]:
    """The evidence of a coalition: the hits without these players, ranks unchanged.

    "deleted": a hit of which nothing is left is gone. "filler" and "swapped" keep the number of words; swapped puts
    `unrelated` in place of what is absent, its title for the title and, word for word, its text, from its beginning
    again where it is shorter. A hit that changed has offsets at which no document has a text, since those of a
    passage decide what `shown` leaves out. ValueError if a player belongs to no hit, or nothing is given to swap in.
    """
    if strangers := {player.rank for player in absent} - {hit.rank for hit in hits}:
        raise ValueError(f"players of ranks {sorted(strangers)}, but no such hits")
    if absence == "swapped" and not (unrelated and unrelated.text.split()):
        raise ValueError("swapped needs an unrelated passage with words")
    put = _filling(absence, unrelated)
    free = max((hit.passage.end for hit in hits), default=0)
    evidence = []
    for hit in hits:
        here = [player for player in absent if player.rank == hit.rank]
        if not here:
            evidence.append(hit)
            continue
        whole = any(player.kind == "document" for player in here)
        passage = hit.passage
        spans = [(0, len(passage.text))] if whole else _merged((player.start, player.end) for player in here)
        changed = _with_text(passage, _edited(passage.text, spans, put), free)
        if whole or any(player.header for player in here):
            title = unrelated.title if absence == "swapped" and unrelated else put(passage.title, 0)
            changed = replace(changed, title=title, label="")
        if whole:
            changed = replace(changed, picture=None)
        free = changed.end
        nothing_left = whole or not (changed.title + changed.text).strip()
        if absence != "deleted" or not nothing_left:
            evidence.append(replace(hit, passage=changed))
    return evidence


def absent_spans(prompt: str, hits: Sequence[Hit], absent: Collection[Player]) -> list[tuple[int, int]]:
    """Where the absent players stand in a rendered prompt: sorted character spans, for a reader that masks tokens.

    `prompt` is what a chat template made of `answer_messages` with exactly these hits. A header is the line's marker
    and title. Prompt and passages differ only in white space, so characters are counted without it. ValueError where
    the prompt does not hold the hits, or they overlap.
    """
    places = [at for at, character in enumerate(prompt) if not character.isspace()]
    ends = [len(_listed(hits[:n])) for n in range(len(hits) + 1)]  # the lines of the first n hits, squeezed
    begin = _squeezed(prompt).find(_listed(hits))
    if begin < 0:
        raise ValueError("these hits are not in the prompt")
    spans = []
    for i, hit in enumerate(hits):
        text = hit.passage.text
        first = ends[i + 1] - len(_squeezed(text))  # where the line's text begins
        if first < ends[i] or not _listed(hits[: i + 1]).endswith(_squeezed(text)):
            raise ValueError(f"hit {hit.rank} shares words with another: take disjoint hits")
        for player in absent:
            if player.rank == hit.rank:
                whole = player.kind == "document"
                start = ends[i] if whole or player.header else first + len(_squeezed(text[: player.start]))
                end = first if player.header else first + len(_squeezed(text[: player.end]))
                if start < end:
                    spans.append((places[begin + start], places[begin + end - 1] + 1))
    return _merged(spans)


def _listed(hits: Sequence[Hit]) -> str:
    """The prompt as far as the last of these hits, squeezed."""
    return _squeezed(answer_messages("", hits)[-1][1]).removesuffix("Question:")


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _with_text(passage: Passage, text: str, start: int) -> Passage:
    """The passage with another text at `start`. One that began with its caption is not shown as "continued" for it."""
    caption = "" if passage.text.startswith(passage.caption) else passage.caption
    return replace(passage, text=text, start=start, end=start + len(text), caption=caption)


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, those that touch as one, empty ones left out."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        elif start < end:
            merged.append((start, end))
    return merged


def _edited(text: str, spans: Sequence[tuple[int, int]], put: Callable[[str, int], str]) -> str:
    """The text with put(piece, number of its first word) in place of each span's piece."""
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], put(text[start:end], len(text[:start].split()))]
        at = end
    return "".join([*pieces, text[at:]])


def _filling(absence: Absence, unrelated: Passage | None) -> Callable[[str, int], str]:
    """What stands in place of an absent piece of text, whose first word has a number."""
    if absence == "deleted":
        return lambda piece, number: ""
    if absence == "filler":
        return lambda piece, number: WORD.sub(FILLER, piece)
    others = unrelated.text.split() if unrelated else []

    def swap(piece: str, number: int) -> str:
        numbers = count(number)
        return WORD.sub(lambda _: others[next(numbers) % len(others)], piece)

    return swap
