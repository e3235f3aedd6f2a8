"""Bibliographies beside documents: BibTeX (.bib), RIS (.ris) and CSL JSON, as Zotero and its like export them.

An entry belongs to a document that it names as its file, that has its DOI, or its title. Pure but for read_list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.plain_text import decoded, one_line
from rag.bounds import TITLE, shortened

LISTS = (".bib", ".ris", ".json")
DATE = re.compile(r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?")
ENTRY = re.compile(r"@(\w+)\s*[{(]\s*([^\s,{}]*)\s*,")
FIELD = re.compile(r"\s*([\w-]+)\s*=\s*")
TEX = re.compile(r"\\[`'^\"~=.uvHcdb]\s*\{?([A-Za-z])\}?|\\([a-zA-Z]+)\s?|[{}]")  # accents, commands, braces
RIS = {"TI": "title", "T1": "title", "AU": "author", "A1": "author", "PY": "date", "Y1": "date", "DA": "date",
       "DO": "doi", "L1": "file", "L4": "file"}  # fmt: skip
Field = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a bibliography says of one document: title, author, date, doi; its files, each as NAME and FOLDER/NAME."""

    facts: Mapping[str, str]
    files: frozenset[str]


class ReferenceList:
    """The references of one list, found by a document's file, DOI or title in the same time however many there are."""

    def __init__(self, references: Iterable[Reference]):
        self._by_file: dict[str, Reference | None] = {}  # None: it names several
        self._by_doi: dict[str, Reference] = {}
        self._by_title: dict[str, Reference] = {}
        for reference in references:
            for name in reference.files:
                self._by_file[name] = reference if self._by_file.get(name, reference) == reference else None
            if doi := reference.facts.get("doi", "").lower():
                self._by_doi.setdefault(doi, reference)
            if len(letters := _letters(reference.facts.get("title", ""))) > 15:
                self._by_title.setdefault(letters, reference)

    def find(self, title: str, doi: str, file: Path) -> Reference | None:
        """The reference of a document: of its file in its folder, of its file, of its DOI (or ""), of its title."""
        return (
            self._by_file.get(f"{file.parent.name}/{file.name}")
            or self._by_file.get(file.name)
            or self._by_doi.get(doi.lower())
            or self._by_title.get(_letters(title))
        )


def read_list(file: Path) -> ReferenceList:
    """The references in a file of LISTS. Raises OSError."""
    text = decoded(file.read_bytes())
    entries = {".bib": bibtex_entries, ".ris": ris_entries, ".json": csl_entries}[file.suffix.lower()](text)
    return ReferenceList(filter(None, map(reference_of, entries)))


def _letters(title: str) -> str:
    return re.sub(r"[\W_]+", "", title.lower())


def reference_of(fields: Sequence[Field]) -> Reference | None:
    """What the fields of an entry say; None without a title or a DOI."""
    said: dict[str, list[str]] = {}
    for name, value in fields:
        said.setdefault(name, []).append(value)
    year = next((m[0] for text in said.get("date", []) if (m := DATE.search(text.replace("/", "-")))), "")
    facts = {
        "title": one_line((said.get("title") or [""])[0]), "author": "; ".join(said.get("author", [])), "date": year,
        "doi": (said.get("doi") or [""])[0].rpartition("doi.org/")[2],
    }  # fmt: skip
    kept = {key: shortened(one_line(value), TITLE) for key, value in facts.items() if value.strip()}
    paths = [re.split(r"[\\/]", part) for text in said.get("file", []) for part in re.split(r"[:;]", text)]
    names = {"/".join(path[-count:]) for path in paths for count in (1, 2) if path[-1] and len(path) >= count}
    return Reference(kept, frozenset(names)) if kept.get("title") or kept.get("doi") else None


def bibtex_entries(text: str) -> Iterator[list[Field]]:
    """The fields of each entry, in time proportional to the text.

    >>> list(bibtex_entries('@article{a, title = {The {Mill}}, author = "B{\\\\"o}ck, Ada", year = 1911}'))
    [[('title', 'The Mill'), ('author', 'Ada Bock'), ('date', '1911')]]
    """
    at = 0
    while match := ENTRY.search(text, at):
        fields: list[Field] = []
        at = match.end()
        while field := FIELD.match(text, at):
            value, at = _value(text, field.end())
            name = {"year": "date"}.get(field[1].lower(), field[1].lower())
            if name == "author":
                fields += [(name, _turned(each)) for each in re.split(r"\s+and\s+", _plain(value)) if each.strip()]
            elif name == "file":
                fields.append((name, value.replace("\\", "")))
            elif name in ("title", "date", "doi"):
                fields.append((name, _plain(value)))
            if (comma := re.compile(r"\s*,").match(text, at)) is None:
                break
            at = comma.end()
        yield fields


def _value(text: str, at: int) -> tuple[str, int]:
    """The value that begins at an offset, in braces, in quotation marks or bare, and the offset behind it."""
    if text[at : at + 1] not in ("{", '"'):
        bare = re.compile(r"[^,{}\s]*").match(text, at)
        assert bare is not None
        return bare[0], bare.end()
    depth, begin, quoted = 0, at + 1, text[at] == '"'
    for i in range(at, len(text)):
        sign = text[i]
        if sign == "{" and text[i - 1] != "\\":
            depth += 1
        elif sign == "}" and text[i - 1] != "\\":
            depth -= 1
        if (quoted and sign == '"' and depth == 0 and i > at and text[i - 1] != "\\") or (not quoted and depth == 0):
            return text[begin:i], i + 1
    return text[begin:], len(text)


def _plain(value: str) -> str:
    return " ".join(TEX.sub(lambda match: match[1] or "", value).split())


def _turned(name: str) -> str:
    """ "Böck, Ada" as people say it: "Ada Böck"."""
    last, comma, first = name.partition(",")
    return f"{first.strip()} {last.strip()}" if comma else name.strip()


def ris_entries(text: str) -> Iterator[list[Field]]:
    """The fields of each record.

    >>> list(ris_entries("TY  - JOUR\\nTI  - The mill\\nAU  - Brook, Ada\\nPY  - 1911/05\\nER  - \\n"))
    [[('title', 'The mill'), ('author', 'Ada Brook'), ('date', '1911/05')]]
    """
    fields: list[Field] = []
    for line in text.splitlines():
        match = re.match(r"([A-Z][A-Z0-9])  ?- ?(.*)", line)
        if match is None:
            continue
        if match[1] == "ER":
            yield fields
            fields = []
        elif name := RIS.get(match[1]):
            fields.append((name, _turned(match[2]) if name == "author" else match[2].strip()))
    if fields:
        yield fields


def csl_entries(text: str) -> Iterator[list[Field]]:
    """The fields of each item of a CSL JSON list; none of any other JSON.

    >>> list(csl_entries('[{"id": 1, "type": "book", "title": "The mill", "author": [{"family": "Brook"}]}]'))
    [[('title', 'The mill'), ('author', 'Brook')]]
    """
    try:
        items: Any = json.loads(text)
    except (ValueError, RecursionError):
        return
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict) or "type" not in item or "id" not in item:
            continue
        fields = [("title", str(item["title"]))] if item.get("title") else []
        for person in item["author"] if isinstance(item.get("author"), list) else []:
            if isinstance(person, dict):
                given, family = str(person.get("given") or ""), str(person.get("family") or "")
                fields.append(("author", str(person.get("literal") or f"{given} {family}".strip())))
        issued = item.get("issued")
        parts = issued.get("date-parts") if isinstance(issued, dict) else None
        if isinstance(parts, list) and parts and isinstance(parts[0], list):
            fields.append(("date", "-".join(f"{int(part):02}" for part in parts[0] if str(part).isdigit())))
        if item.get("DOI"):
            fields.append(("doi", str(item["DOI"])))
        yield fields
