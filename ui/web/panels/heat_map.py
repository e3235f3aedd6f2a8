"""An answer's attribution -> HTML: a heat map over the evidence, and the same as a table. Pure.

The colours stand in static/colours.css, what is done with them in static/heat_map.css.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt

from markupsafe import Markup

from rag.attribute.attribute import LEVELS, THRESHOLDS
from rag.records import Answer, AttributedPlayer, Attribution, Hit
from ui.web.templating import render
from ui.wording import error_text, many, place_text, printable

NAMES: dict[str, str] = {"document": "document", "clause": "sentence", "word": "word"}  # for people
LONGEST = 120  # characters of a part in the table


def attribution_html(answer: Answer) -> Markup:
    """What made the answer what it is; the answer's attribution must be there.

    First in sentences, then each passage that the reader got, coloured, then a table with a row for each part.
    """
    found = answer.attribution
    assert found is not None
    hits = [hit for hit in answer.evidence if not hit.ignored] if found.players else []
    return render(
        "heat_map.html",
        title=f"What the answer “{printable(found.answer)}” depended on: {NAMES[found.level]}s",
        stopped=f"Not complete: {printable(found.stopped)}." if found.stopped else "",
        findings=list(_findings(found)),
        cost=_cost(answer, found),
        likelier=_coloured("supports this answer", 0.5),
        unlikelier=_coloured("speaks against it", -0.5),
        opened=_opened(),
        passages=[passage_html(hit, found.players) for hit in hits],
        table=table_html(found, hits) if found.players else "",
        has_players=bool(found.players),
    )


def passage_html(hit: Hit, players: Sequence[AttributedPlayer]) -> Markup:
    """A passage's title, coloured if it is a part of its own, and its whole text, each part in its colour."""
    passage = hit.passage
    inside = [player for player in players if player.passage_id == passage.passage_id]
    title: str = printable(passage.title) or "untitled"
    for player in inside:
        title = _coloured(title, player.score) if _is_title(player) else title
    owner: list[AttributedPlayer | None] = [None] * len(passage.text)  # of each character
    for player in _smallest(inside):
        start, end = (min(max(0, at - passage.start), len(owner)) for at in (player.start, player.end))
        owner[start:end] = [player] * (end - start)
    for start, end in hit.withheld:  # the reader did not get it
        owner[start:end] = [None] * (end - start)
    pieces = []
    for player, run in groupby(zip(passage.text, owner, strict=True), key=lambda pair: pair[1]):
        words = "".join(character for character, _ in run)
        pieces.append(words if player is None else _coloured(words, player.score))
    place = printable(place_text(passage))
    return render("heat_passage.html", rank=hit.rank, title=title, place=place, pieces=pieces)


@dataclass(frozen=True, slots=True)
class PartRow:
    """A row of the table: a part's words, its score and standard error, and where it stands."""

    text: str
    score: str
    error: str
    where: str


def table_html(attribution: Attribution, hits: Sequence[Hit]) -> Markup:
    """A row for each part of the evidence, the strongest first."""
    hit_of = {hit.passage.passage_id: hit for hit in hits}
    rows = [
        _row(player, hit_of[player.passage_id], error_text(player, attribution))
        for player in sorted(attribution.players, key=lambda player: -abs(player.score))
    ]
    return render("heat_table.html", rows=rows)


def number(score: float) -> str:
    """Two decimals with the sign, which is left out where they are all zero.

    >>> number(0.5), number(-0.254), number(-0.001)
    ('+0.50', '-0.25', '0.00')
    """
    return f"{score:+.2f}" if round(score, 2) else "0.00"


def _row(player: AttributedPlayer, hit: Hit, error: str) -> PartRow:
    text = printable(player.text) or "(no words of its own)"
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    kind = "title" if _is_title(player) else NAMES[player.kind]
    where = f"{kind} {'' if kind == 'document' else 'in '}[{hit.rank}], {place_text(hit.passage)}"
    return PartRow(text, _coloured(number(player.score), player.score), error, printable(where))


def _coloured(words: str, score: float) -> str:
    """The words in the colour of a score, from -1 to 1. What rounds to zero has none.

    The colour's strength is the root of the score: most scores are small.
    """
    if not round(score, 2):
        return words
    return render("coloured.html", words=words, score=score, strength=sqrt(min(1.0, abs(score))), number=number(score))


def _smallest(players: Sequence[AttributedPlayer]) -> Iterator[AttributedPlayer]:
    """The parts that were not opened to smaller ones."""
    depths = {player: LEVELS.index(player.kind) for player in players}
    for player, depth in depths.items():
        inside = (p for p, deeper in depths.items() if deeper == depth + 1 and p.start < p.end)
        if not any(player.start <= part.start and part.end <= player.end for part in inside):
            yield player


def _is_title(player: AttributedPlayer) -> bool:
    return player.kind == "clause" and player.start == player.end


def _findings(found: Attribution) -> Iterator[str]:
    if found.baseline_answer is not None:
        yield f"Without any document the model says: {printable(found.baseline_answer) or 'nothing'}"
    if not found.players:
        return
    if not any(player.score for player in found.players):
        yield "No part of the evidence changes the answer."
        return
    depth = max(LEVELS.index(player.kind) for player in found.players)
    if depth < LEVELS.index(found.level) and not found.stopped:
        larger, smaller = NAMES[LEVELS[depth]], NAMES[LEVELS[depth + 1]]
        clear = f"a clear effect ({THRESHOLDS[depth]:.2f} or more)"
        yield f"No {larger} has {clear}, so none was broken down into {smaller}s."


def _cost(answer: Answer, found: Attribution) -> str:
    seconds = round(answer.seconds.get("attribute", 0))
    calls = f"Asked {many(found.reader_calls, 'time')} without parts of the sources, in {many(seconds, 'second')}"
    unit = " Scores are nats of the answer's log-probability." if found.value == "likelihood" else ""
    return f"{calls} ({many(found.naive_reader_calls, 'time')} without shared work).{unit}"


def _opened() -> str:
    """Which parts were broken down: "documents with a clear effect (0.30 or more) into sentences, ..."."""
    return ", ".join(
        f"{NAMES[level]}s with a clear effect ({threshold:.2f} or more) into {NAMES[smaller]}s"
        for level, smaller, threshold in zip(LEVELS, LEVELS[1:], THRESHOLDS, strict=False)
    )
