"""A judgment -> HTML of its panel. Pure, as render.py is.

The panel: what the case is and how it ended, and as tabs its sections, the cases that it cites and that cite it, and
all of them by year. SCRIPT chooses tabs, brings the cited words into view, and asks for another case through `#marker`;
a timeline that was drawn anew, for other filters, it takes from `#timeline`.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from rag.records import Case, Document, Finding, Paragraph, Section
from ui.render import many, printable

NAMES = {
    "header": "Header", "procedure": "Procedure", "facts": "Facts", "law": "The law", "operative": "Operative part",
    "opinion": "Separate opinion", "annex": "Annex", "text": "Text",
}  # fmt: skip
IMPORTANCE = {1: "key case (1 of 4)", 2: "high (2 of 4)", 3: "medium (3 of 4)", 4: "low (4 of 4)"}
CITES, CITED_BY = "cites", "is cited by"

# Which tab is chosen is told by its line and weight as well as by colour; so is the paragraph that was gone to.
STYLE = """
.judgment { overflow-wrap: anywhere; }
.judgment :is(h2, h3, p, ol, ul, dl, dd) { margin: 0 !important; padding: 0; }
.judgment h2 { font-size: 1.15rem; font-weight: 600; }
.judgment dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; padding: .4rem 0; }
.judgment dt { color: var(--body-text-color-subdued); }
.judgment dd { max-height: 5rem; overflow-y: auto; }
.judgment .goto { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline;
  justify-content: space-between; padding-bottom: .3rem; }
.judgment .goto input { width: 5rem; font: inherit; padding: .1rem .3rem; color: inherit;
  background: var(--input-background-fill); border: 1px solid var(--input-border-color); }
.judgment [role=tablist] { display: flex; flex-wrap: wrap; border-bottom: 1px solid var(--border-color-primary); }
.judgment [role=tab] { padding: .3rem .6rem !important; font: inherit; cursor: pointer; background: none !important;
  border: 0 !important; border-bottom: 3px solid transparent !important; border-radius: 0 !important;
  outline-offset: -3px !important; }
.judgment [role=tab][aria-selected=true] { font-weight: 700; border-bottom-color: currentcolor !important; }
.judgment [role=tabpanel] { position: relative; height: max(16rem, calc(100dvh - 27rem)); overflow-y: auto;
  line-height: 1.6; padding: .3rem .6rem .6rem; border: 1px solid var(--border-color-primary) !important;
  border-top: 0 !important; }
.precedents [role=tabpanel] { height: max(16rem, calc(100dvh - 22rem)); }
.judgment [role=tabpanel][hidden] { display: none; }
.judgment [role=tabpanel] p { padding: .2rem 0; min-height: .6em; }
.judgment mark { background: #ffe43c; color: #1c1917; outline: 1px solid #965a00; }
.judgment .paragraph { padding-left: .6rem; border-left: 3px solid transparent; }
.judgment .paragraph[aria-current] { border-left-color: currentcolor; }
.judgment .paragraph a { color: inherit; padding: 0 !important; margin: 0 !important;
  text-decoration: underline dotted; text-underline-offset: .2em; }
.judgment :is(ul, ol) { list-style: none; }
.judgment li { margin: 0 !important; font-size: inherit; }
.judgment .cases > li { padding: .4rem 0; border-bottom: 1px solid var(--border-color-primary); }
.judgment .cases li li { padding: 0 0 0 1rem !important; }
.judgment .date { font-variant-numeric: tabular-nums; color: var(--body-text-color-subdued); }
.judgment [role=tabpanel] button { padding: 0 .2rem !important; font: inherit; text-align: left; cursor: pointer;
  border: 0 !important; background: none !important; text-decoration: underline; text-underline-offset: .2em; }
.judgment .timeline > li { display: grid; grid-template-columns: 4rem 1fr; }
.judgment .timeline h3 { font-size: 1rem; font-weight: 600; font-variant-numeric: tabular-nums; padding: .3rem 0; }
.judgment .timeline ul { border-left: 2px solid var(--border-color-primary); padding: .3rem 0 .3rem .8rem !important; }
.judgment .timeline ul li::before { content: "←" / ""; display: inline-block; width: 1.3rem; }
.judgment .timeline ul li.later::before { content: "→" / ""; }
.judgment .timeline ul li.this::before { content: "●" / ""; }
.judgment .timeline ul li.this { font-weight: 700; }
"""

# As the player's: `data-visit` tells a panel from the one before. `opened`: it was asked for from within a panel, and
# takes the focus, which the one before had; so do the precedents of a new text, which are asked for elsewhere.
SCRIPT = """
<script>
(() => {
  const all = (part, what) => [...part.querySelectorAll(what)];
  const choose = (panel, tab) => all(panel, "[role=tab]").forEach((other) => {
    other.setAttribute("aria-selected", String(other === tab));
    other.tabIndex = other === tab ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = other !== tab;
  });
  const bring = (part) => {
    const box = part.closest("[role=tabpanel]");
    choose(box.closest(".judgment"), document.getElementById(box.getAttribute("aria-labelledby")));
    const outer = box.getBoundingClientRect(), inner = part.getBoundingClientRect();
    box.scrollTop += inner.top - outer.top - 0.3 * (outer.height - Math.min(inner.height, outer.height));
    return box;
  };
  const go = (panel, number) => {
    const part = document.getElementById(`case-paragraph-${number}`), told = panel.querySelector(".now");
    all(panel, ".paragraph[aria-current]").forEach((other) => other.removeAttribute("aria-current"));
    told.textContent = part ? `§ ${number}` : `There is no § ${number}.`;
    if (!part) return;
    part.setAttribute("aria-current", "true");
    bring(part).focus();
  };
  const marked = (panel) => {
    const mark = panel.querySelector("mark");
    if (mark) bring(mark);
  };
  let seen = "", drawn = "", opened = false;
  const redraw = (panel) => {
    const line = document.querySelector("#timeline [data-visit]");
    if (!line || line.dataset.visit === drawn) return;
    drawn = line.dataset.visit;
    if (line.dataset.of === panel.dataset.of) panel.querySelector(".line").innerHTML = line.innerHTML;
  };
  new MutationObserver(() => {
    const panel = document.querySelector(".judgment");
    if (panel) redraw(panel);
    if (!panel || panel.dataset.visit === seen) return;
    seen = panel.dataset.visit;
    marked(panel);
    const found = panel.matches(".precedents");
    if (found) panel.scrollIntoView();
    if (opened || found) panel.querySelector("[role=tab][aria-selected=true]").focus();
    opened = false;
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-visit"] });
  const on = (event, what, act) => document.addEventListener(event, (happened) => {
    const part = happened.target.closest?.(what);
    if (part) act(part, part.closest(".judgment"), happened);
  });
  on("click", ".judgment [role=tab]", (tab, panel) => choose(panel, tab));
  on("keydown", ".judgment [role=tab]", (tab, panel, pressed) => {
    const tabs = all(panel, "[role=tab]"), now = tabs.indexOf(tab), last = tabs.length - 1;
    const next = { ArrowRight: now < last ? now + 1 : 0, ArrowLeft: now ? now - 1 : last, Home: 0, End: last };
    if (!(pressed.key in next)) return;
    pressed.preventDefault();
    choose(panel, tabs[next[pressed.key]]);
    tabs[next[pressed.key]].focus();
  });
  on("click", ".judgment a[href^='#case-paragraph-']", (link, panel, clicked) => {
    clicked.preventDefault();
    go(panel, link.hash.slice("#case-paragraph-".length));
  });
  on("click", ".judgment button[data-paragraph]", (button, panel) => go(panel, button.dataset.paragraph));
  on("change", ".judgment .goto input", (box, panel) => { if (box.value) go(panel, Number(box.value)); });
  on("click", "#sources input:checked", () => {  // the source that is shown already
    const panel = document.querySelector(".judgment");
    if (panel) marked(panel);
  });
  on("click", ".judgment button[data-case]", (button) => {
    const box = document.querySelector("#marker textarea, #marker input");
    opened = true;
    box.value = `case ${button.dataset.case} ${button.dataset.place} ${Date.now()}`;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  });
})();
</script>
"""

# The judgment that is open, in place of the first of an event's inputs.
OPEN_CASE = "(_, ...rest) => [document.querySelector('.judgment')?.dataset.of ?? '', ...rest]"


@dataclass(frozen=True, slots=True)
class Mention:
    """Words by which one case cites another, and the numbered paragraph of the citing one in which they stand.

    `place` is where to look in the case that is opened: "120:140" (offsets), a paragraph's number, or "-".
    `others`: titles of what the words may mean as well.
    """

    words: str
    paragraph: int | None
    pinpoint: str
    place: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A case that cites this one, or that this one cites."""

    document_id: str
    title: str
    date: str
    mentions: tuple[Mention, ...]


def outcome_text(outcome: Sequence[Finding]) -> str:
    """What was found under each article, in words.

    >>> outcome_text([Finding("Article 8", True, ()), Finding("Article 6 § 1", None, ())])
    'Article 8: violation; Article 6 § 1: violation in part'
    """
    said = {True: "violation", False: "no violation", None: "violation in part"}
    return "; ".join(f"{found.article}: {said[found.violation]}" for found in outcome)


def tab_names(sections: Sequence[Section]) -> list[str]:
    """A name for each section, numbered where several would have the same.

    >>> tab_names([Section("law", 0, 1), Section("opinion", 1, 2, "JUDGE A."), Section("law", 2, 3)])
    ['The law', 'Opinion of JUDGE A.', 'The law (2)']
    """
    names: list[str] = []
    for section in sections:
        author = printable(section.author)
        name = f"Opinion of {author}" if author and section.kind == "opinion" else NAMES[section.kind]
        before = sum(each == name or each.startswith(f"{name} (") for each in names)
        names.append(f"{name} ({before + 1})" if before else name)
    return names


def panel(
    document: Document,
    court: str,
    span: tuple[int, int],
    cited: Sequence[Neighbour],
    citing: Sequence[Neighbour],
    line: str,
    visit: int,
) -> str:
    """HTML of a judgment with text[span] marked; an empty span marks nothing. `line`: its timeline.

    `visit` is another one each time, so that the browser notices a panel that is the same.
    """
    case = document.case
    if case is None:
        raise ValueError(f"{document.document_id} is no judgment")
    shown = [section for section in case.sections if document.text[section.start : section.end].strip()]
    parts = [
        (name, f"<div class='text'>{''.join(_section(document.text, section, case.paragraphs, span))}</div>")
        for name, section in zip(tab_names(shown), shown, strict=True)
    ]
    parts.append((f"Cites ({len(cited)})", _cases(cited, CITES, "Cited cases")))
    parts.append((f"Cited by ({len(citing)})", _cases(citing, CITED_BY, "Citing cases")))
    parts.append(("Timeline", f"<div class='line'>{line}</div>"))
    starts = [section.start for section in shown]
    chosen = max(0, bisect_right(starts, span[0]) - 1)
    return (
        f"<section class='judgment' aria-label='Judgment' data-of='{escaped(document.document_id)}' "
        f"data-visit='{visit}'><h2>{escaped(document.title) or 'untitled'}</h2>"
        f"<p class='hint'>{escaped(', '.join(filter(None, (court, case.date or 'no date is known'))))}</p>"
        f"{_about(case)}{_goto(case, span)}{''.join(tabs(parts, 'Parts of the judgment', chosen))}</section>"
    )


def escaped(text: str) -> str:
    """On one line, as HTML."""
    return html.escape(printable(text))


def _about(case: Case) -> str:
    numbers, importance = case.application_numbers, IMPORTANCE.get(case.importance or 0, "")
    rows = {
        "Applications" if len(numbers) > 1 else "Application": ", ".join(numbers),
        "Importance": importance,
        "Articles": ", ".join(case.articles),
        "Outcome": outcome_text(case.outcome) or "no finding could be read from the operative part",
    }
    told = (f"<dt>{name}</dt><dd>{escaped(said)}</dd>" for name, said in rows.items() if said)
    return f"<dl>{''.join(told)}</dl>"


def _goto(case: Case, span: tuple[int, int]) -> str:
    """Where the marked words stand, and a box for the number of another paragraph."""
    numbers = case.paragraphs_in(*span) if span[0] < span[1] else None
    first, last = numbers or (0, 0)
    now = "" if numbers is None else f"§ {first}" if first == last else f"§§ {first}-{last}"
    box = ""
    if case.paragraphs:
        least, most = case.paragraphs[0].number, case.paragraphs[-1].number
        box = f"<label>Go to § <input type='number' min='{least}' max='{most}'></label>"
    return f"<div class='goto'><p class='now' role='status'>{now}</p>{box}</div>"


def tabs(parts: Sequence[tuple[str, str]], called: str, chosen: int = 0) -> Iterator[str]:
    """The list of (name, HTML), and a panel for each; only the chosen one is shown, and reached with the Tab key."""
    yield f"<div role='tablist' aria-label='{called}'>"
    for number, (name, _) in enumerate(parts):
        selected, index = ("true", 0) if number == chosen else ("false", -1)
        yield (
            f"<button type='button' role='tab' id='case-tab-{number}' aria-controls='case-part-{number}' "
            f"aria-selected='{selected}' tabindex='{index}'>{escaped(name)}</button>"
        )
    yield "</div>"
    for number, (_, shown) in enumerate(parts):
        hidden = "" if number == chosen else " hidden"
        yield (
            f"<div role='tabpanel' id='case-part-{number}' aria-labelledby='case-tab-{number}' tabindex='0'{hidden}>"
            f"{shown}</div>"
        )


# -- a section's text --------------------------------------------------------------------------------------------------


def _section(text: str, section: Section, paragraphs: Sequence[Paragraph], span: tuple[int, int]) -> Iterator[str]:
    """A block for each numbered paragraph that begins in the section, and lines for what else stands there."""
    inside = [p for p in paragraphs if p.start < section.end and section.start < p.end]
    cuts = {section.start, section.end, *(max(section.start, p.start) for p in inside)}
    ends = {min(section.end, p.end) for p in inside}
    numbered = {p.start: p for p in inside}
    for start, end in pairwise(sorted(cuts | ends)):
        if paragraph := numbered.get(start):
            lines = "".join(_lines(text, start, end, span, paragraph.number))
            yield f"<div class='paragraph' id='case-paragraph-{paragraph.number}'>{lines}</div>"
        else:
            yield from _lines(text, start, end, span)


def _lines(text: str, start: int, end: int, span: tuple[int, int], number: int | None = None) -> Iterator[str]:
    """text[start:end], an element a line; with `number` its first word is the paragraph's, and a link to it."""
    first_word = re.match(r"\S*", text[start:end])
    at, number_end = start, start + (len(first_word[0]) if first_word and number is not None else 0)
    for line in text[start:end].split("\n"):
        stop = at + len(line)
        cuts = sorted({at, stop, *(cut for cut in (*span, number_end) if at < cut < stop)})
        shown = ""
        for first, last in pairwise(cuts):
            words = html.escape(_plain(text[first:last]))
            if last <= number_end:
                words = f"<a href='#case-paragraph-{number}' tabindex='-1' aria-label='Paragraph {words}'>{words}</a>"
            shown += f"<mark>{words}</mark>" if span[0] <= first and last <= span[1] and words.strip() else words
        if shown.strip():
            yield f"<p>{shown.replace('</mark><mark>', '')}</p>"
        at = stop + 1


def _plain(text: str) -> str:
    """Without control characters, and any space as one that a browser may collapse."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", re.sub(r"\s", " ", text))


# -- other cases -------------------------------------------------------------------------------------------------------


def opens(document_id: str, title: str, place: str) -> str:
    """A case's title, which opens it at a place (see Mention)."""
    name = escaped(title) or "untitled"
    return f"<button type='button' data-case='{escaped(document_id)}' data-place='{escaped(place)}'>{name}</button>"


def _cases(cases: Sequence[Neighbour], how: str, name: str) -> str:
    if not cases:
        return f"<p class='hint'>In this library it {'cites no case' if how == CITES else 'is cited by none'}.</p>"
    rows = []
    for case in cases:
        said = "".join(f"<li>{_mention(mention, how)}</li>" for mention in case.mentions)
        opened = opens(case.document_id, case.title, case.mentions[0].place if case.mentions else "-")
        rows.append(f"<li><span class='date'>{escaped(case.date)}</span> {opened}<ul>{said}</ul></li>")
    return f"<ul class='cases' aria-label='{name}'>{''.join(rows)}</ul>"


def _mention(mention: Mention, how: str) -> str:
    """Words that cite: those of this case are gone to in it, with the paragraph's number."""
    at = ""
    if mention.paragraph is not None:
        number = f"§ {mention.paragraph}"
        here = f"<button type='button' data-paragraph='{mention.paragraph}'>{number}</button>"
        at = f"{here if how == CITES else f'its {number}'}: "
    pinpoint = f", on {escaped(mention.pinpoint)}" if mention.pinpoint else ""
    also = f" <small>(ambiguous: may also mean {escaped('; '.join(mention.others))})</small>" if mention.others else ""
    return f"{at}“{escaped(mention.words)}”{pinpoint}{also}"


def timeline(document: Document, cited: Sequence[Neighbour], citing: Sequence[Neighbour], note: str = "") -> str:
    """A judgment among the cases around it; each entry says in words which way the citation goes.

    `note` stands above them: what is not among them.
    """
    date = document.case.date if document.case else ""
    entries = [(date, 1, f"<li class='this'>{escaped(date)} {escaped(document.title) or 'untitled'} (this case)</li>")]
    for order, cases, name, way in ((0, cited, "earlier", "cited here"), (2, citing, "later", "cites this case")):
        for case in cases:
            opened = opens(case.document_id, case.title, case.mentions[0].place if case.mentions else "-")
            times = f", {many(len(case.mentions), 'time')}" if len(case.mentions) > 1 else ""
            shown = f"<li class='{name}'><span class='date'>{escaped(case.date)}</span> {opened} {way}{times}</li>"
            entries.append((case.date, order, shown))
    return (f"<p class='hint'>{escaped(note)}</p>" if note else "") + by_year(entries)


def by_year(entries: Iterable[tuple[str, int, str]]) -> str:
    """(date, order on one day, <li>...</li>) under the years, the oldest first."""
    rows = []
    for year, some in groupby(sorted(entries), key=lambda entry: entry[0][:4]):
        listed = "".join(entry for _, _, entry in some)
        rows.append(f"<li><h3>{escaped(year) or 'undated'}</h3><ul>{listed}</ul></li>")
    return f"<ol class='timeline' aria-label='Precedents by year'>{''.join(rows)}</ol>"
