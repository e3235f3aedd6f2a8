"""A conversation as a file: Markdown with numbered sources, JSON, and its sources as BibTeX and RIS. Pure."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag.library.kept.conversations import Conversation, Turn
from rag.locator import ParagraphSpan, TimeSpan
from rag.records import Citation
from ui.cli.json_layouts import answer_json
from ui.wording import place_text, printable

FactsOf = Callable[[str], Mapping[str, str]]  # document_id -> what the document says of itself
Write = Callable[[Conversation, Sequence[Turn], FactsOf], str]


@dataclass(frozen=True, slots=True)
class Export:
    """A format: how it is written, the ending of its files, and its media type."""

    write: Write
    ending: str
    media_type: str


def markdown(conversation: Conversation, turns: Sequence[Turn], facts_of: FactsOf) -> str:
    """Questions, answers, and below each answer its sources: number, title, place and quote."""
    parts = [f"# {_escaped(conversation.title or 'Conversation')}"]
    for turn in turns:
        parts.append(f"## {_escaped(printable(turn.question))}")
        if turn.answer is None:
            parts.append(f"*{_escaped(turn.error) or 'No answer.'}*")
            continue
        parts.append("\n\n".join(_escaped(printable(line)) for line in turn.answer.answer.splitlines() if line.strip()))
        sources = [
            f"{citation.marker.strip('[]')}. {_escaped(printable(citation.title) or 'untitled')}, "
            f"{_escaped(printable(place_text(citation)))}: “{_escaped(printable(citation.quote))}”"
            for citation in turn.answer.citations
        ]
        parts += ["Sources:", "\n".join(sources)] if sources else []
    return "\n\n".join(parts) + "\n"


def as_json(conversation: Conversation, turns: Sequence[Turn], facts_of: FactsOf) -> str:
    """Every answer in the layout of `ask --json`."""
    asked = [
        {
            "question": turn.question,
            "state": turn.state,
            "asked": _iso(turn.began),
            "answer": answer_json(turn.answer) if turn.answer else None,
            "error": turn.error or None,
            "rating": turn.rating,
            "reason": turn.reason or None,
        }
        for turn in turns
    ]
    whole = {"title": conversation.title, "created": _iso(conversation.created), "turns": asked}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def bibtex(conversation: Conversation, turns: Sequence[Turn], facts_of: FactsOf) -> str:
    """An entry for each cited document with what it says of itself, its quotes as notes."""
    entries = []
    for number, (document, cited) in enumerate(_by_document(turns).items(), start=1):
        title = printable(cited[0].title) or "untitled"
        word = "".join(re.findall(r"[a-z0-9]+", title.lower())[:1])
        quotes = "; ".join(f"{place_text(each)}: ``{printable(each.quote)}''" for each in cited)
        kind = {ParagraphSpan: "judgment", TimeSpan: "recording"}.get(type(cited[0].locator), "document")
        facts = facts_of(document)
        fields = {
            "title": f"{{{_tex(title)}}}",
            "author": _tex(" and ".join(authors(facts))),
            "year": _tex(facts.get("date", "")[:4]),
            "doi": _tex(facts.get("doi", "")),
            "eprint": _tex(facts.get("arxiv", "")),
            "howpublished": _tex(kind),
            "note": _tex(quotes),
            "file": _tex(cited[0].path),
        }
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
        entries.append(f"@misc{{{word or 'document'}{number}-{document[:6]},\n{body}\n}}\n")
    return "\n".join(entries)


def ris(conversation: Conversation, turns: Sequence[Turn], facts_of: FactsOf) -> str:
    """A record for each cited document with what it says of itself, its quotes as notes."""
    records = []
    for document, cited in _by_document(turns).items():
        facts = facts_of(document)
        kind = {ParagraphSpan: "CASE", TimeSpan: "SOUND"}.get(type(cited[0].locator), "GEN")
        lines = [("TY", kind), ("TI", printable(cited[0].title) or "untitled")]
        lines += [("AU", author) for author in authors(facts)]
        lines += [
            (tag, value) for tag, value in (("PY", facts.get("date", "")[:4]), ("DO", facts.get("doi", ""))) if value
        ]
        lines += [("N1", f"{printable(place_text(each))}: “{printable(each.quote)}”") for each in cited]
        records.append("".join(f"{tag}  - {value}\r\n" for tag, value in (*lines, ("ER", ""))))
    return "\r\n".join(records)


def csl_json(conversation: Conversation, turns: Sequence[Turn], facts_of: FactsOf) -> str:
    """An item for each cited document, as citation processors and Zotero read them, its quotes as a note.

    Citation Style Language 1.0.2: github.com/citation-style-language/schema, csl-data.json.
    """
    items = []
    for document, cited in _by_document(turns).items():
        facts = facts_of(document)
        kind = {ParagraphSpan: "legal_case", TimeSpan: "broadcast"}.get(type(cited[0].locator), "document")
        item: dict[str, object] = {"id": document, "type": kind, "title": printable(cited[0].title) or "untitled"}
        if names := authors(facts):
            item["author"] = [{"literal": name} for name in names]
        if numbers := [int(part) for part in re.findall(r"\d+", facts.get("date", ""))[:3]]:
            item["issued"] = {"date-parts": [numbers]}
        if doi := facts.get("doi"):
            item["DOI"] = doi
        item["note"] = "\n".join(f"{printable(place_text(each))}: “{printable(each.quote)}”" for each in cited)
        items.append(item)
    return json.dumps(items, ensure_ascii=False, indent=1) + "\n"


def authors(facts: Mapping[str, str]) -> list[str]:
    """The names of a document's authors.

    >>> authors({"author": "Arman Cohan ; Sergey Feldman ; Iz Beltagy"}), authors({"author": "Ada Brook and B. Field"})
    (['Arman Cohan', 'Sergey Feldman', 'Iz Beltagy'], ['Ada Brook', 'B. Field'])
    """
    said = re.sub(r"\s*<[^<>]*@[^<>]*>", "", printable(facts.get("author", "")))
    return [name for part in re.split(r"\s*;\s*|\s+and\s+|\s+&\s+", said) if (name := part.strip(" ,"))]


EXPORTS: dict[str, Export] = {
    "markdown": Export(markdown, "md", "text/markdown; charset=utf-8"),
    "json": Export(as_json, "json", "application/json"),
    "bibtex": Export(bibtex, "bib", "application/x-bibtex; charset=utf-8"),
    "csl": Export(csl_json, "csl.json", "application/vnd.citationstyles.csl+json"),
    "ris": Export(ris, "ris", "application/x-research-info-systems; charset=utf-8"),
}


def _by_document(turns: Sequence[Turn]) -> dict[str, list[Citation]]:
    """The citations of all answers by document, each quote once, in the order they were cited."""
    found: dict[str, dict[tuple[int, int], Citation]] = {}
    for turn in turns:
        for citation in turn.answer.citations if turn.answer else ():
            found.setdefault(citation.document_id, {}).setdefault((citation.start, citation.end), citation)
    return {document: list(cited.values()) for document, cited in found.items()}


def _escaped(text: str) -> str:
    """As Markdown shows it: no markup of a document's making.

    >>> _escaped("a*b <i> [1]")
    'a\\\\*b \\\\<i\\\\> [1]'
    """
    return re.sub(r"([\\\\`*_{}<>#|~])", r"\\\1", text)


def _tex(text: str) -> str:
    """Without what TeX would take for commands.

    >>> _tex("50% of {A} & B")
    '50\\\\% of \\\\{A\\\\} \\\\& B'
    """
    text = text.replace("\\", "/")
    return re.sub(r"([&%$#_{}])", r"\\\1", text).replace("~", r"\textasciitilde{}").replace("^", r"\textasciicircum{}")


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
