"""Records -> text and HTML for people. Pure: nothing here reads, opens or decides anything.

Whatever comes from a document or a reader is data: it is escaped here, once, for the place it goes to.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from rag.place import place_in
from rag.records import Answer, AttributedPlayer, Attribution, Citation, Hit, Note, Passage
from rag.timecodes import timecode

if TYPE_CHECKING:
    from ingest.build import Outcome, Summary
    from rag.library.catalogue import DocumentEntry

EXACT = "exact"  # all coalitions were asked

# -- text ----------------------------------------------------------------------------------------------------


def pages_text(first_page: int, last_page: int) -> str:
    return f"page {first_page}" if first_page == last_page else f"pages {first_page}-{last_page}"


def place_text(source: Passage | Citation) -> str:
    """Where it stands: "page 7, Table 1", and whether a machine read it there; or where it is said or decided."""
    if place := place_in(source):
        return place
    place = pages_text(source.first_page, source.last_page) + (f", {source.label}" if source.label else "")
    if source.ocr_confidence is None:
        return place
    return f"{place} (read by OCR, confidence {source.ocr_confidence:.0%})".replace("%", " %")


def printable(text: str) -> str:
    """On one line, without the control characters by which a document could speak to a terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", " ".join(text.split()))


def hits_text(hits: Sequence[Hit]) -> str:
    if not hits:
        return "nothing found"
    lines = []
    for hit in hits:
        passage = hit.passage
        place = printable(place_text(passage))
        lines.append(
            f"{hit.rank:2}  {printable(passage.title)}, {place}  (score {hit.score:.3f})  {printable(passage.path)}"
        )
        lines.append(f"    {printable(passage.text)[:300]}")
        if hit.terms:
            lines.append(f"    because: {printable(reasons_text(hit))}")
    return "\n".join(lines)


# What of a hybrid's score comes from no word.
WITHOUT_WORDS = {
    "dense": "meaning", "named": "named in the question", "linked": "linked", "label": "asked for by its label"
}  # fmt: skip


def reasons_text(hit: Hit, most: int = 6) -> str:
    """Why a passage came up: the terms that weigh most, each with its share of the score, and the links to it.

    >>> from rag.records import Passage
    >>> passage = Passage("d#0", "d", "", "", "", 0, 0, 1, 1)
    >>> reasons_text(Hit(1, 4.0, passage, {"otter": 3.0, "+river": 1.0}, ("“Rivers” mentions “Otters”",)))
    'otter 75 %, river (added by the model) 25 %; “Rivers” mentions “Otters”'
    """
    shares = sorted((hit.terms or {}).items(), key=lambda entry: -entry[1])[:most]
    told = []
    for term, share in shares:
        word = WITHOUT_WORDS.get(term, f"{term[1:]} (added by the model)" if term[:1] == "+" and term[1:] else term)
        told.append(f"{word} {share / (hit.score or 1):.0%}".replace("%", " %"))
    return "; ".join([", ".join(told), *hit.links])


def answer_text(answer: Answer) -> str:
    lines = [printable(answer.answer), ""]
    for citation in answer.citations:
        place = printable(place_text(citation))
        lines.append(f"{citation.marker} {printable(citation.title)}, {place}  ({printable(citation.path)})")
        lines.append(f"    “{printable(citation.quote)}”")
    if answer.support is not None:
        lines.append(f"support {answer.support:.2f} (an estimate)")
    lines += [
        f"no support for: {printable(answer.answer[statement.start : statement.end])}"
        for statement in answer.statements
        if not statement.supported
    ]
    lines += [
        f"ignored [{hit.rank}] {printable(hit.passage.title)}: {hit.ignored}" for hit in answer.evidence if hit.ignored
    ]
    lines += [f"withheld, as it tells the reader what to do: {words}" for words in withheld_texts(answer.evidence)]
    if answer.copied is not None:
        lines.append(copied_text(answer))
    return "\n".join(lines).strip()


def withheld_texts(hits: Sequence[Hit]) -> list[str]:
    """The sentences and names of the evidence that the reader did not get, each with its passage's rank."""
    return [f"[{hit.rank}] “{printable(words)[:200]}”" for hit in hits for words in hit.withheld_words]


def error_text(player: AttributedPlayer, attribution: Attribution) -> str:
    """The standard error of a score, EXACT, or "±?" of one order alone, which tells nothing of it."""
    if not (attribution.permutations or any(some.standard_error for some in attribution.players)):
        return EXACT
    return "±?" if attribution.permutations == 1 and not player.standard_error else f"±{player.standard_error:.2f}"


def attribution_text(attribution: Attribution) -> str:
    """A line for each part of the evidence, with a bar as long as its score; colours say nothing that words do not."""
    calls = many(attribution.reader_calls, "call")
    unit = "; scores in nats of its log-probability" if attribution.value == "likelihood" else ""
    lines = ["", f"what made the answer what it is ({calls} of the reader{unit})"]
    if attribution.stopped:
        lines.append(f"not complete: {printable(attribution.stopped)}")
    indent = {"document": "", "clause": "  ", "word": "    "}
    for player in attribution.players:
        bar = ("+" if player.score > 0 else "-") * round(abs(player.score) * 10)
        error = error_text(player, attribution)
        error = "" if error == EXACT else f" {error}"
        text = printable(player.text)[:90]
        lines.append(f"{player.score:+.2f}{error}  {bar:10}  {indent[player.kind]}{text}")
    if attribution.baseline_answer is not None:
        said = printable(attribution.baseline_answer) or "nothing"
        lines.append(f"without any document the model says: {said}")
    if attribution.players and not any(player.score for player in attribution.players):
        lines.append("no part of the evidence changes the answer")
    return "\n".join(lines)


def copied_text(answer: Answer) -> str:
    """How many quotes the reader chose, and how many of these do not exist."""
    chosen, invented = answer.copied or (0, 0)
    return f"{many(chosen, 'sentence')} chosen by the reader, {invented} of them not in the evidence and left out"


def is_paged(source: Outcome | DocumentEntry) -> bool:
    """Whether it has pages that people know of: a transcript has none, nor a judgment that is no PDF."""
    return source.kind == "pdf" or (source.kind == "legal" and source.pages > 1)


def extent(source: Outcome | DocumentEntry) -> str:
    """How long it is, or what: "12 pages", "podcast", "judgment"."""
    name = {"legal": "judgment"}.get(source.kind or "", source.kind or "")
    return many(source.pages, "page") if is_paged(source) else name


def _outcome_line(outcome: Outcome) -> str:
    counts = {
        "pages": outcome.pages if is_paged(outcome) else 0,
        "passages": outcome.passages,
        "tables": outcome.tables,
        "figures": outcome.figures,
    }
    what = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{outcome.status:9} {printable(outcome.path)}  {what}".rstrip()


def summary_text(summary: Summary) -> str:
    lines = []
    for outcome in summary.documents:
        lines.append(_outcome_line(outcome))
        lines += [f"          {printable(text)}" for text in (*outcome.warnings, outcome.error or "") if text]
    counts = ", ".join(f"{summary.count(status)} {status}" for status in ("added", "updated", "unchanged", "failed"))
    return "\n".join([*lines, f"{counts} in {summary.seconds:.1f} s, at most {summary.peak_memory_mb} MB"])


def documents_text(entries: Sequence[DocumentEntry]) -> str:
    if not entries:
        return "no documents yet"
    lines = []
    for entry in entries:
        pages = f"{entry.pages:4} pages" if is_paged(entry) else f"{extent(entry):>10}"
        lines.append(
            f"{entry.document_id}  {entry.status:6} {pages} {entry.passages:5} passages  "
            f"{printable(entry.title)}  ({', '.join(map(printable, entry.paths))})"
        )
        if entry.error:
            lines.append(f"{'':18}{printable(entry.error)}")
    return "\n".join(lines)


# -- web page ------------------------------------------------------------------------------------------------


STYLE = """
.gradio-container { max-width: 1900px !important; }
.gradio-container > .main { padding: .75rem 1rem !important; }
.gradio-container main { padding: 0 !important; }
.sign-out { position: absolute; top: 0; right: 0; }
.sign-out button { font-size: .85rem; padding: .25rem .7rem; }
#heading h1 { display: inline; font-size: 1.5rem; font-weight: 600; }
#heading p { display: inline; margin-left: .75rem; color: var(--body-text-color-subdued); }
#library h2, #heading h1, .gradio-container .html-container { margin: 0; padding: 0; }
#library h2 { font-size: 1.1rem; font-weight: 600; }
#chat .message a { font-weight: 600; text-decoration: underline; padding: 0 .15em; }
#chat .placeholder, #chat .placeholder-content { color: var(--body-text-color-subdued); padding: 1rem; }
#sources label { align-items: flex-start; }
#sources label, #style label { width: 100%; }
#sources label span, #style label span { white-space: normal; overflow-wrap: anywhere; line-height: 1.4; }
#style label { padding: .3rem .6rem; }
#style > [data-testid=block-info] { position: absolute; clip-path: inset(50%); }  /* the panel around it says it, too */
#sources .wrap { max-height: 13rem; overflow-y: auto; flex-wrap: nowrap; flex-direction: column; }
#filters button { text-align: left; }
#filters button span:last-child { flex-shrink: 0; }
#filters .form { border: 0; }
figure.page, figure.page * { margin: 0 !important; padding: 0; }
figure.page a { display: block; }
#chat .bot em { animation: waiting 1.8s ease-in-out infinite; }  /* only a status is set in italics */
@keyframes waiting { 50% { opacity: .45; } }
@media (prefers-reduced-motion: reduce) { #chat .bot em { animation: none; } }
figure.page figcaption { font-style: italic; padding-bottom: .4rem; background: var(--body-background-fill); }
figure.page img { display: block; width: 100%; min-height: 8rem; border: 1px solid var(--border-color-primary); }
pre.page-text { white-space: pre-wrap; overflow-wrap: anywhere; font-family: inherit; line-height: 1.5; }
pre.page-text mark { background: #ffe43c; color: #1c1917; outline: 1px solid #965a00; }
#library ul { list-style: none; margin: 0; padding: 0; overflow-wrap: anywhere; line-height: 1.35; }
#library li { padding: .35rem 0; border-bottom: 1px solid var(--border-color-primary); }
#library small { display: block; color: var(--body-text-color-subdued); }
#library ul.documents { max-height: 42dvh; overflow-y: auto; }
#library progress { appearance: none; display: block; width: 100%; height: .35rem; margin-top: .3rem; border: 0; }
#library progress, #library progress::-webkit-progress-bar { background: var(--border-color-primary); }
#library progress::-webkit-progress-value { background: var(--color-accent); }
#library progress::-moz-progress-bar { background: var(--color-accent); }
.absent, .form:not(:has(> :not(.absent))) { display: none !important; }
.hint { color: var(--body-text-color-subdued); margin: 0; }
#chat .message-content, #chat .prose { opacity: 1; }  /* Gradio's .8 of .8 leaves too little of what is grey anyway */
#chat .thought-group { background: var(--body-background-fill); }
#chat small { color: var(--body-text-color-subdued); font-weight: normal; }
#chat .ignored, #chat .uncertain { color: var(--body-text-color-subdued); }
#chat .uncertain, #chat .unsupported { text-decoration: underline dotted; text-underline-offset: .2em; }
.problem, #library small.problem { color: var(--error-text-color); }
:focus-visible { outline: 3px solid var(--color-accent) !important; outline-offset: 1px; }
@media (min-width: 1000px) {
  #desk { flex-wrap: nowrap; height: calc(100dvh - 5.25rem); }
  #desk > .column { height: 100%; flex-wrap: nowrap; }
  #library > * { flex-shrink: 0; }
  #library { order: -1; overflow-y: auto; flex: 0 0 17rem !important; min-width: 0 !important; }
  #conversation { overflow-y: auto; }
  #conversation > * { flex-shrink: 0; }
  #chat { flex: 1 1 0 !important; min-height: 9rem; height: auto !important; }
  #page figcaption { position: sticky; top: 0; }
  #page { flex: 1 1 0; min-height: 0; overflow-y: auto !important; }
}
@media (max-width: 999px) { #chat { height: 60dvh !important; } #desk > .column { flex-basis: 100% !important; } }
"""
# A click or Enter on a marker chooses its source. A page's picture is scrolled to the quote. What Gradio 6.31 leaves
# out: one name for the radio buttons of a group (for the arrow keys), and names for the group and the note's button.
# What it adds: as the name of a message its Markdown, signs and tags and all, which would be read out instead of it.
SCRIPT = """
<script>
document.addEventListener("click", (event) => {
  const link = event.target.closest && event.target.closest('a[href*="#citation-"]');
  const box = document.querySelector("#marker textarea, #marker input");
  if (!link || !box) return;
  event.preventDefault();
  event.stopPropagation();
  box.value = link.getAttribute("href").split("#citation-")[1] + " " + Date.now();
  box.dispatchEvent(new Event("input", { bubbles: true }));
}, true);
document.addEventListener("load", (event) => {
  const picture = event.target, page = document.getElementById("page");
  if (picture.dataset && picture.dataset.at && page)
    page.scrollTop = (0.1 + 0.8 * picture.dataset.at) * picture.height - page.clientHeight / 2;
}, true);
new MutationObserver(() => {
  const page = document.getElementById("page");  // what is too long to be read out unasked
  page?.setAttribute("aria-live", page.querySelector(".heat, .player, .judgment") ? "off" : "polite");
  const asked = document.querySelector("#why:not([role]) span[aria-hidden]");
  if (asked) Object.assign(asked.closest("#why"), { role: "group", ariaLabel: asked.textContent });
  document.querySelectorAll("fieldset > [data-testid=block-info]").forEach((label) => {
    if (label.parentElement.ariaLabel != label.innerText) label.parentElement.ariaLabel = label.innerText;
  });
  for (const [group, name] of [["sources", "source"], ["style", "style"]])
    document.querySelectorAll(`#${group} input:not([name=${name}])`).forEach((radio) => { radio.name = name; });
  document.querySelectorAll('#chat button[aria-label=""]').forEach((button) => {
    button.setAttribute("aria-label", "Show or hide the note");
  });
  document.querySelectorAll("#chat [data-testid=bot][aria-label]").forEach((said) => {
    said.removeAttribute("aria-label");
  });
}).observe(document, { childList: true, subtree: true, attributeFilter: ["name", "aria-label"] });
</script>
"""


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: no image, link, tag or emphasis of a document's making."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$&:@^=])", r"\\\1", printable(text))


# How to read, as the page offers it: `style` of rag.answer.ask -> its name, and what it does.
STYLES = {
    "notes": ("Notes", "answers and shows what bears it out."),
    "quotes": ("Quotes", "picks sentences and answers from them."),
    "direct": ("Direct", "answers at once; nothing is checked."),
}


def answer_markdown(answer: Answer, first_citation: int = 1, within: str = "") -> str:
    """The answer, its markers as links to their citations, which are numbered from `first_citation`: #citation-1.

    `within` is what was searched, where that is not all; an abstention says so itself.
    """
    first: dict[str, int] = {}
    for number, citation in enumerate(answer.citations):
        first.setdefault(markdown(citation.marker), number)

    def linked(match: re.Match[str]) -> str:
        number = first[match[0]]
        return f'[{match[0]}](#citation-{first_citation + number} "{_link_title(answer.citations[number])}")'

    text = _stated(answer)
    text = re.sub("|".join(map(re.escape, first)), linked, text) if first else text
    below = [f"Searched: {within}."] if within and not answer.abstained else []
    below += [] if answer.support is None else [f"Support: {answer.support:.0%} (an estimate)."]
    below += [] if answer.copied is None else [f"{copied_text(answer)}."]
    small = f"\n\n<small>{markdown(' '.join(below))}</small>" if below else ""
    return (text if answer.abstained else f"**{text}**") + small


def understood_markdown(question: str, whole: str) -> str:
    """What a follow-up was taken to mean, above its answer; "" where the question was asked as it is."""
    return f"<small>{markdown(f'Understood as: {whole}')}</small>\n\n" if whole != question else ""


def _stated(answer: Answer) -> str:
    """The answer's text, each sentence without support marked, and behind it words that say so."""
    text, at = "", 0
    for statement in answer.statements:
        said = markdown(answer.answer[at : statement.end])
        text += said if statement.supported else _doubted("unsupported", said, "not supported")
        text += " " if answer.answer[statement.end : statement.end + 1].isspace() else ""
        at = statement.end
    return (text + markdown(answer.answer[at:])).strip()


def _doubted(kind: str, shown: str, why: str) -> str:
    """Markdown that the page marks (STYLE has a rule for each kind), with words for those who do not see the mark."""
    return f"<span class='{kind}'>{shown}</span> <small>\\({why}\\)</small>"


def _link_title(citation: Citation) -> str:
    place = f"{citation.title}, {place_text(citation)}"
    return markdown(place).replace('"', '\\"')


def note_title(note: Note, answer: Answer) -> str:
    what = "Evidence note: what the passages say" if answer.copied is None else "Quotes: what the answer was read from"
    return what if len(answer.notes) == 1 else f"{what}, search {note.round} of {len(answer.notes)}"


def note_markdown(note: Note) -> str:
    """The note as a list, a line a sentence: key spans in bold, uncertain ones marked, even if no sentence has them."""
    key, uncertain = ({markdown(span) for span in spans} - {""} for spans in (note.key_spans, note.uncertain_spans))
    lines = [markdown(line) for line in note.text.splitlines() if line.strip()] or ["No sentence was found\\."]
    shown = [_marked(line, key, uncertain) for line in lines]
    shown += [
        f"In none of these sentences: {_marked(span, key, uncertain)}"
        for span in sorted(uncertain)
        if not any(span in line for line in lines)
    ]
    return "\n".join(f"- {line}" for line in shown)


def _marked(text: str, key: Set[str], uncertain: Set[str]) -> str:
    """The text with its key and uncertain spans marked, one inside the other or not. All of it Markdown already."""

    def mark(match: re.Match[str]) -> str:
        words = match[0]
        shown = _marked(words, key - {words}, uncertain - {words})
        shown = _doubted("uncertain", shown, "uncertain") if words in uncertain else shown
        return f"**{shown}**" if words in key else shown

    spans = "|".join(re.escape(span) for span in sorted(key | uncertain, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{spans})(?!\w)", mark, text) if spans else text


def reasons_title(hits: Sequence[Hit]) -> str:
    ignored = sum(bool(hit.ignored) for hit in hits)
    return "Why these passages: words, meaning, links" + (f" ({ignored} not read)" if ignored else "")


def reasons_markdown(hits: Sequence[Hit]) -> str:
    """Why each passage was found, a line a passage; of one that the reader did not get, first why not."""
    lines = []
    for hit in hits:
        told = [f"{hit.passage.title}, {place_text(hit.passage)}", reasons_text(hit)]
        why = markdown(": ".join(filter(None, told)))
        ignored = f"<span class='ignored'>Not read, {markdown(hit.ignored)}: {why}</span>"
        lines.append(f"- {ignored if hit.ignored else why}")
    for words in withheld_texts(hits):
        lines.append(f"- <span class='ignored'>Withheld, as it tells the reader what to do: {markdown(words)}</span>")
    return "\n".join(lines)


def evidence_text(hits: Sequence[Hit]) -> str:
    """Which passages were found, for people: "5 passages (Free Culture: 65, 210, 65-66; A talk: 12:34; …)"."""
    pages: dict[str, dict[str, None]] = {}
    for hit in hits:
        second = hit.passage.start_seconds
        numbers = pages_text(hit.passage.first_page, hit.passage.last_page).partition(" ")[2]
        place = numbers if second is None else timecode(second)
        pages.setdefault(printable(hit.passage.title)[:60], {})[place] = None
    found = "; ".join(f"{title}: {', '.join(places)}" for title, places in pages.items())
    return many(len(hits), "passage") + (f" ({found})" if found else "")


def many(number: int, thing: str) -> str:
    """
    >>> many(1, "call"), many(1200, "call")
    ('1 call', '1,200 calls')
    """
    return f"{number:,} {thing}{'s' * (number != 1)}"


def source_label(number: int, citation: Citation) -> str:
    """What a source is called in the list: "1. Free Culture, page 65: “Jesse had saved $12,000 …”"."""
    quote = printable(citation.quote)
    shortened = quote if len(quote) <= 160 else quote[:157] + "…"
    return f"{number}. {printable(citation.title)}, {printable(place_text(citation))}: “{shortened}”"


def page_address(citation: Citation, page: int) -> str:
    """The address of the picture of a page of a cited document, with the part of the quote on it marked."""
    address = f"/page/{citation.document_id}/{page}.png"
    if not citation.first_page <= page <= citation.last_page:
        return address
    return f"{address}?" + urlencode({"start": citation.start, "end": citation.end})


def page_caption(citation: Citation, page: int, pages: int) -> str:
    marked = ", the quoted words marked" if citation.first_page <= page <= citation.last_page else ""
    if marked and citation.kind != "text":
        marked = f", {printable(citation.label) or f'the {citation.kind}'} framed{marked}"
    if marked and citation.ocr_confidence is not None:
        marked += "; read by OCR"
    return f"{printable(citation.title)}, page {page} of {pages}{marked}"


def page_figure(citation: Citation, page: int, pages: int, at: float) -> str:
    """HTML of a page's picture with its caption; the picture is a link to itself, to see it large.

    `at` says about where on the page the quote starts, from 0 (its top) to 1.
    """
    address, caption = (
        html.escape(text) for text in (page_address(citation, page), page_caption(citation, page, pages))
    )
    picture = f"<img src='{address}' alt='{caption}' data-at='{at:.3f}'>"
    link = f"<a href='{address}' target='_blank' rel='noopener'>{picture}</a>"
    return f"<figure class='page'><figcaption>{caption}</figcaption>{link}</figure>"


def page_text_figure(citation: Citation, page: int, pages: int, why: str, quoted: str) -> str:
    """HTML of a page's text, `quoted` as quote_in_page made it, and why there is no picture."""
    caption, why = html.escape(page_caption(citation, page, pages)), html.escape(printable(why))
    return (
        f"<figure class='page'><figcaption>{caption}</figcaption>"
        f"<p class='problem'>The page's text; its picture cannot be shown: {why}</p>{quoted}</figure>"
    )


def quote_in_page(text: str, start: int, end: int) -> str:
    """HTML of a page's text with text[start:end] marked: for when the page itself cannot be shown."""
    before, quote, after = (html.escape(part) for part in (text[:start], text[start:end], text[end:]))
    return f"<pre class='page-text'>{before}<mark>{quote}</mark>{after}</pre>"


def hint_html(text: str) -> str:
    return f"<p class='hint'>{html.escape(text)}</p>"


def problem_html(text: str) -> str:
    return f"<p class='problem' role='alert'>{html.escape(printable(text))}</p>"


def documents_html(entries: Sequence[DocumentEntry]) -> str:
    """The list of documents: title, pages, and for a failed one why."""
    if not entries:
        return hint_html("No documents yet. Add PDFs, judgments or transcripts below.")
    rows = []
    for entry in entries:
        pages = extent(entry) if entry.status == "ready" else "not readable"
        more = "".join(f"<small class='problem'>{html.escape(printable(t))}</small>" for t in (entry.error,) if t)
        more += "".join(f"<small>{html.escape(printable(text))}</small>" for text in entry.warnings)
        name = html.escape(printable(entry.title) or "untitled")
        rows.append(f"<li><span class='title'>{name}</span> <small>{pages}, {entry.status}</small>{more}</li>")
    return f"<ul class='documents' tabindex='0' aria-label='Documents'>{''.join(rows)}</ul>"


def progress_html(state: Mapping[str, tuple[int, int]]) -> str:
    """What is under way, as (done, total) by file name; "vectors" and "documents" are stages of the whole."""
    rows = []
    for what, (done, total) in state.items():
        unit = {"vectors": "made", "documents": "done"}.get(what, "pages read")
        name, amount = html.escape(printable(what)), f"{done:,} of {total:,} {unit}" if total else "waiting"
        bar = f"<progress aria-label='{name}' max='{total}' value='{done}'></progress>" if done < total else ""
        rows.append(f"<li>{name}: {amount}{bar}</li>")
    return f"<ul class='progress'>{''.join(rows)}</ul>"


def outcomes_html(outcomes: Sequence[tuple[str, Outcome]]) -> str:
    """What became of each file: (its name, outcome)."""
    rows = []
    for name, outcome in outcomes:
        size = f"{extent(outcome)}, {many(outcome.passages, 'passage')}"
        said = outcome.error or f"{outcome.status}, {size}"
        kind = "problem" if outcome.status == "failed" else "done"
        more = "".join(f"<small>{html.escape(printable(text))}</small>" for text in outcome.warnings)
        rows.append(f"<li class='{kind}'><span class='title'>{html.escape(printable(name))}</span>: ")
        rows.append(f"{html.escape(printable(said))}{more}</li>")
    return f"<ul class='outcomes' role='status'>{''.join(rows)}</ul>"
