"""Records -> JSON, text and HTML for people. Pure: nothing here reads, opens or decides anything.

Whatever comes from a document or a reader is data: it is escaped here, once, for the place it goes to.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rag.records import Answer, Citation, Hit, Note

if TYPE_CHECKING:
    from ingest.build import Outcome, Summary
    from rag.library import DocumentEntry

# -- JSON (the layouts are in the README's contract) ---------------------------------------------------------


def hit_json(hit: Hit) -> dict[str, Any]:
    passage = asdict(hit.passage)
    terms = {} if hit.terms is None else {"terms": hit.terms}
    return {"rank": hit.rank, "score": hit.score, **passage, **terms}


def search_json(query: str, retriever: str, hits: Sequence[Hit], milliseconds: float) -> dict[str, Any]:
    return {
        "query": query,
        "retriever": retriever,
        "hits": [hit_json(hit) for hit in hits],
        "milliseconds": round(milliseconds, 2),
    }


def answer_json(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question,
        "answer": answer.answer,
        "abstained": answer.abstained,
        "notes": [asdict(note) for note in answer.notes],
        "citations": [asdict(citation) for citation in answer.citations],
        "evidence": [hit_json(hit) for hit in answer.evidence],
        "support": answer.support,
        "attribution": None,
        "model": answer.model,
        "settings_hash": answer.settings_hash,
        "seconds": answer.seconds,
        "tokens": answer.tokens,
    }


def summary_json(summary: Summary) -> dict[str, Any]:
    documents = [asdict(outcome) | {"seconds": round(outcome.seconds, 3)} for outcome in summary.documents]
    counts = {status: summary.count(status) for status in ("added", "updated", "unchanged", "failed")}
    return {
        "documents": documents,
        **counts,
        "seconds": round(summary.seconds, 3),
        "peak_memory_mb": summary.peak_memory_mb,
    }


def documents_json(entries: Sequence[DocumentEntry]) -> dict[str, Any]:
    fields = ("document_id", "paths", "kind", "title", "status", "pages", "passages", "error", "warnings")
    return {"documents": [{field: getattr(entry, field) for field in fields} for entry in entries]}


# -- text ----------------------------------------------------------------------------------------------------


def pages_text(first_page: int, last_page: int) -> str:
    return f"page {first_page}" if first_page == last_page else f"pages {first_page}-{last_page}"


def printable(text: str) -> str:
    """On one line, without the control characters by which a document could speak to a terminal."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", " ".join(text.split()))


def hits_text(hits: Sequence[Hit]) -> str:
    if not hits:
        return "nothing found"
    lines = []
    for hit in hits:
        passage = hit.passage
        place = pages_text(passage.first_page, passage.last_page)
        lines.append(f"{hit.rank:2}  {printable(passage.title)}, {place}  (score {hit.score:.3f})  {passage.path}")
        lines.append(f"    {printable(passage.text)[:300]}")
    return "\n".join(lines)


def answer_text(answer: Answer) -> str:
    lines = [printable(answer.answer), ""]
    for citation in answer.citations:
        place = pages_text(citation.first_page, citation.last_page)
        lines.append(f"{citation.marker} {printable(citation.title)}, {place}  ({citation.path})")
        lines.append(f"    “{printable(citation.quote)}”")
    if answer.support is not None:
        lines.append(f"support {answer.support:.2f} (the reader's own estimate)")
    return "\n".join(lines).strip()


def _outcome_line(outcome: Outcome) -> str:
    what = f"{outcome.pages} pages, {outcome.passages} passages" if outcome.pages else ""
    return f"{outcome.status:9} {outcome.path}  {what}".rstrip()


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
        lines.append(
            f"{entry.document_id}  {entry.status:6} {entry.pages:4} pages {entry.passages:5} passages  "
            f"{printable(entry.title)}  ({', '.join(entry.paths)})"
        )
        if entry.error:
            lines.append(f"{'':18}{printable(entry.error)}")
    return "\n".join(lines)


# -- web page ----------------------------------------------------------------------------------------------------------


def markdown(text: str) -> str:
    """Text that Markdown shows as it is: no image, link, tag or emphasis of a document's making."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$&:@^=])", r"\\\1", printable(text))


def answer_markdown(answer: Answer, first_citation: int = 1) -> str:
    """The answer, its markers as links to their citations, which are numbered from `first_citation`: #citation-1."""
    text = markdown(answer.answer)
    first: dict[str, int] = {}
    for number, citation in enumerate(answer.citations):
        first.setdefault(citation.marker, number)
    for marker, number in first.items():
        link = f'(#citation-{first_citation + number} "{_link_title(answer.citations[number])}")'
        text = text.replace(markdown(marker), f"[{markdown(marker)}]{link}")
    support = "" if answer.support is None else f"\n\nSupport: {answer.support:.0%} (the reader's own estimate)"
    return f"**{text}**{support}" if not answer.abstained else text + support


def _link_title(citation: Citation) -> str:
    place = f"{citation.title}, {pages_text(citation.first_page, citation.last_page)}"
    return markdown(place).replace('"', '\\"')


def note_markdown(note: Note) -> str:
    """The note as a list, a line a sentence, with its key spans in bold."""
    text = "\n".join(f"- {markdown(line)}" for line in note.text.splitlines())
    for span in note.key_spans:
        text = text.replace(markdown(span), f"**{markdown(span)}**") if span.strip() else text
    return text


def evidence_text(hits: Sequence[Hit]) -> str:
    """Which passages were found, for people: "5 passages: Free Culture, page 65; …"."""
    places = dict.fromkeys(
        f"{printable(hit.passage.title)}, {pages_text(hit.passage.first_page, hit.passage.last_page)}" for hit in hits
    )
    return f"{len(hits)} passage{'s' * (len(hits) != 1)}: {'; '.join(places)}"


def source_label(number: int, citation: Citation) -> str:
    """What a source is called in the list: "1. Free Culture, page 65: “Jesse had saved $12,000 …”"."""
    quote = printable(citation.quote)
    shortened = quote if len(quote) <= 160 else quote[:157] + "…"
    return (
        f"{number}. {printable(citation.title)}, {pages_text(citation.first_page, citation.last_page)}: “{shortened}”"
    )


def page_address(citation: Citation, page: int) -> str:
    """The address of the picture of a page of a cited document, with the part of the quote on it marked."""
    address = f"/page/{citation.document_id}/{page}.png"
    if not citation.first_page <= page <= citation.last_page:
        return address
    return f"{address}?" + urlencode({"start": citation.start, "end": citation.end})


def page_caption(citation: Citation, page: int, pages: int) -> str:
    marked = ", the quoted words marked" if citation.first_page <= page <= citation.last_page else ""
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
        return hint_html("No documents yet. Add PDFs below.")
    rows = []
    for entry in entries:
        pages = f"{entry.pages} page{'s' * (entry.pages != 1)}" if entry.status == "ready" else "not readable"
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
        name, amount = html.escape(printable(what)), f"{done} of {total} {unit}" if total else "waiting"
        rows.append(
            f"<li>{name}: {amount}<progress aria-label='{name}' max='{total or 1}' value='{done}'></progress></li>"
        )
    return f"<ul class='progress'>{''.join(rows)}</ul>"


def outcomes_html(outcomes: Sequence[tuple[str, Outcome]]) -> str:
    """What became of each file: (its name, outcome)."""
    rows = []
    for name, outcome in outcomes:
        said = outcome.error or f"{outcome.status}, {outcome.pages} pages, {outcome.passages} passages"
        kind = "problem" if outcome.status == "failed" else "done"
        more = "".join(f"<small>{html.escape(printable(text))}</small>" for text in outcome.warnings)
        rows.append(f"<li class='{kind}'><span class='title'>{html.escape(printable(name))}</span>: ")
        rows.append(f"{html.escape(printable(said))}{more}</li>")
    return f"<ul class='outcomes' role='status'>{''.join(rows)}</ul>"
