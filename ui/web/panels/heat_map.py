"""An answer's attribution -> HTML: a heat map over the evidence, and the same as a table. Pure, as render.py is."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from itertools import groupby
from math import sqrt

from rag.attribute.attribute import LEVELS, THRESHOLDS, Level
from rag.records import Answer, AttributedPlayer, Attribution, Hit
from ui.render import error_text, many, place_text, printable

NAMES: dict[str, Level] = {"Documents": "document", "Clauses": "clause", "Words": "word"}  # as the page offers them
LONGEST = 120  # characters of a part in the table

# Red, green and blue by day and by lamplight: the ink, and what is laid under it at its strongest. Blue and orange are
# told apart by nearly everyone; at every strength the ink keeps a contrast of at least 4.5 to 1.
COLOURS = {
    "ink": ("28 25 23", "245 245 244"),
    "plus": ("110 165 245", "30 85 170"),
    "minus": ("240 160 80", "150 80 10"),
}
# A line below the words says the sign, too: for those who see no hue. (Gradio 6.31 takes rules apart and loses a
# shorthand with a variable beside its longhands, and commas inside :is().)
STYLE = f"""
#why {{ align-items: center; gap: .4rem .6rem; }}
#why > * {{ flex: 0 0 auto !important; width: auto; min-width: 0 !important; }}
.heat {{ {" ".join(f"--{name}: {light};" for name, (light, _) in COLOURS.items())} overflow-wrap: anywhere; }}
.dark .heat {{ {" ".join(f"--{name}: {dark};" for name, (_, dark) in COLOURS.items())} }}
.heat h2, .heat h3, .heat p {{ margin: 0 0 .4rem; }}
.heat h2 {{ font-size: 1.1rem; font-weight: 600; }}
.heat h3 {{ font-size: 1rem; font-weight: 600; margin-top: .9rem; }}
.heat summary {{ cursor: pointer; }}
.heat details, .heat .legend {{ margin-bottom: .4rem; }}
.heat .text {{ white-space: pre-wrap; line-height: 1.7; }}
.heat .plus, .heat .minus {{ color: rgb(var(--ink)); padding: .1em 0; }}
.heat .plus {{ background-color: rgb(var(--plus) / var(--heat)); border-bottom: 2px solid rgb(var(--ink) / .5); }}
.heat .minus {{ background-color: rgb(var(--minus) / var(--heat)); border-bottom: 2px dashed rgb(var(--ink) / .5); }}
.heat table {{ width: 100%; border-collapse: collapse; margin-top: 1rem; }}
.heat table, .heat thead, .heat tbody, .heat tr {{ border-width: 0 !important; }}
.heat caption {{ text-align: left; font-weight: 600; padding-bottom: .3rem; }}
.heat tr > * {{ text-align: left; vertical-align: top; font-weight: normal; padding: .25rem .7rem .25rem 0 !important;
  border-width: 0 0 1px !important; border-color: var(--border-color-primary) !important; }}
.heat tr > :not(:first-child) {{ overflow-wrap: normal; }}
.heat thead tr > * {{ font-weight: 600; }}
.heat td.number {{ white-space: nowrap; font-variant-numeric: tabular-nums; }}
"""


def attribution_html(answer: Answer) -> str:
    """What made the answer what it is; the answer's attribution must be there.

    First in sentences, then each passage that the reader got, coloured, then a table with a row for each part.
    """
    found = answer.attribution
    assert found is not None
    said = [f"<p{_problem(found)}>{html.escape(line)}</p>" for line in _stopped(found)]
    said += [f"<p>{html.escape(line)}</p>" for line in _findings(found)]
    said.append(f"<p class='hint'>{html.escape(_cost(answer, found))}</p>")
    hits = [hit for hit in answer.evidence if not hit.ignored]
    shown = [_legend(), *(passage_html(hit, found.players) for hit in hits), table_html(found, hits)]
    title = f"What made the answer “{printable(found.answer)}”: {_name(found.level).lower()}"
    parts = ["<h2>", html.escape(title), "</h2>", *said, *(shown if found.players else ())]
    return f"<section class='heat' aria-label='What made this answer'>{''.join(parts)}</section>"


def passage_html(hit: Hit, players: Sequence[AttributedPlayer]) -> str:
    """A passage's title, coloured as far as it is a part of its own, and its whole text, each part in its colour."""
    passage = hit.passage
    mine = [player for player in players if player.passage_id == passage.passage_id]
    title = html.escape(printable(passage.title) or "untitled")
    for player in mine:
        title = _coloured(title, player.score) if _is_title(player) else title
    owner: list[AttributedPlayer | None] = [None] * len(passage.text)  # of each character
    for player in _smallest(mine):
        start, end = (min(max(0, at - passage.start), len(owner)) for at in (player.start, player.end))
        owner[start:end] = [player] * (end - start)
    for start, end in hit.withheld:  # the reader did not get it
        owner[start:end] = [None] * (end - start)
    text = []
    for player, run in groupby(zip(passage.text, owner, strict=True), key=lambda pair: pair[1]):
        piece = html.escape("".join(character for character, _ in run))
        text.append(piece if player is None else _coloured(piece, player.score))
    place = html.escape(printable(place_text(passage)))
    return f"<h3>[{hit.rank}] {title}, {place}</h3><p class='text'>{''.join(text)}</p>"


def table_html(attribution: Attribution, hits: Sequence[Hit]) -> str:
    """A row for each part of the evidence, the strongest first."""
    hit_of = {hit.passage.passage_id: hit for hit in hits}
    rows = [
        _row(player, hit_of[player.passage_id], error_text(player, attribution))
        for player in _strongest_first(attribution.players)
    ]
    columns = "".join(f"<th scope='col'>{name}</th>" for name in ("Part", "Score", "± (standard error)", "Where"))
    return (
        "<table><caption>The parts and their scores, the strongest first</caption>"
        f"<thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def number(score: float) -> str:
    """Two decimals with the sign, which is left out where they are all zero.

    >>> number(0.5), number(-0.254), number(-0.001)
    ('+0.50', '-0.25', '0.00')
    """
    return f"{score:+.2f}" if round(score, 2) else "0.00"


def _row(player: AttributedPlayer, hit: Hit, error: str) -> str:
    text = printable(player.text) or "(no words of its own)"
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    kind = "title" if _is_title(player) else player.kind
    where = f"{kind} {'' if kind == 'document' else 'in '}[{hit.rank}], {place_text(hit.passage)}"
    cells = [
        f"<th scope='row'>{html.escape(text)}</th>",
        f"<td class='number'>{_coloured(number(player.score), player.score)}</td>",
        f"<td class='number'>{error}</td>",
        f"<td>{html.escape(printable(where))}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _coloured(escaped: str, score: float) -> str:
    """The root of a score is its strength, for most are small; what rounds to nothing has no colour."""
    if not round(score, 2):
        return escaped
    kind, strength = ("plus" if score > 0 else "minus"), sqrt(min(1.0, abs(score)))
    return f"<span class='{kind}' style='--heat: {strength:.2f}' title='{number(score)}'>{escaped}</span>"


def _smallest(players: Sequence[AttributedPlayer]) -> Iterator[AttributedPlayer]:
    """The parts that were not opened to smaller ones."""
    depths = {player: LEVELS.index(player.kind) for player in players}
    for player, depth in depths.items():
        inside = (p for p, deeper in depths.items() if deeper == depth + 1 and p.start < p.end)
        if not any(player.start <= part.start and part.end <= player.end for part in inside):
            yield player


def _is_title(player: AttributedPlayer) -> bool:
    return player.kind == "clause" and player.start == player.end


def _strongest_first(players: Sequence[AttributedPlayer]) -> list[AttributedPlayer]:
    return sorted(players, key=lambda player: -abs(player.score))


def _name(level: str) -> str:
    return next(name for name, each in NAMES.items() if each == level)


def _problem(found: Attribution) -> str:
    return " class='problem'" if found.stopped else ""


def _stopped(found: Attribution) -> list[str]:
    return [f"Not complete: {printable(found.stopped)}."] if found.stopped else []


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
        smaller = _name(LEVELS[depth + 1]).lower()
        yield f"No {LEVELS[depth]} scores {THRESHOLDS[depth]:.2f} or more, so none was opened to its {smaller}."


def _cost(answer: Answer, found: Attribution) -> str:
    seconds = round(answer.seconds.get("attribute", 0))
    calls = f"{many(found.reader_calls, 'call')} of the reader, {many(seconds, 'second')}"
    unit = " Scores are nats of the answer's log-probability." if found.value == "likelihood" else ""
    return f"{calls} ({many(found.naive_reader_calls, 'call')} without a cache).{unit}"


def _legend() -> str:
    opened = " and ".join(
        f"{_name(level).lower()} of at least {threshold:.2f} to {_name(smaller).lower()}"
        for level, smaller, threshold in zip(LEVELS, LEVELS[1:], THRESHOLDS, strict=False)
    )
    return (
        f"<p class='legend'>{_coloured('likelier with it', 0.5)} {_coloured('likelier without it', -0.5)}</p>"
        "<details><summary>What the colours mean</summary>"
        "<p>The reader was asked again with parts of the evidence left out. A score says how much likelier this answer "
        "is with the part than without it, from +1 to -1, and the colour is the stronger, the further it is from 0. "
        f"Only what matters is opened: {opened}.</p>"
        "<p>So the colours say what the model’s words depended on, not whether the answer is true: a passage that is "
        "wrong can carry an answer, and two that say the same share the score.</p></details>"
    )
