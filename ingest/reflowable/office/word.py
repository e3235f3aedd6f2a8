"""Word documents (.docx, .docm): headings, numbered clauses, lists, tables, notes, captions and pictures.

Macros are never run and links never followed. Tracked insertions are read, deletions are not. Of content that Word
keeps twice for older programs (mc:AlternateContent) one copy is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.reflowable.archive import Archive, core_facts
from ingest.reflowable.content import Content, Piece, clean, line_of
from ingest.reflowable.markup import Element, attribute, child, descendants, first, name_of
from ingest.reflowable.office.clause_numbers import ClauseNumbers
from rag.errors import DocumentError

LEFT_OUT = frozenset(("del", "moveFrom", "Fallback", "instrText", "delText", "txbxContent", "pPr", "rPr", "sdtPr"))
HEADING = re.compile(r"heading (\d)$", re.I)
CONTENTS = re.compile(r"toc(?: heading| \d)$|table of (?:figures|contents)", re.I)
NO_TITLE = re.compile(r"(?:microsoft )?word\b.*|document\d*|.*\.docx?$|untitled", re.I)


def read_word(data: bytes) -> Content:
    """The body of a document. Raises DocumentError for a damaged one."""
    archive = Archive(data)
    root = archive.xml("_rels/.rels")
    name = next(
        (attribute(each, "Target").lstrip("/") for each in descendants(root, "Relationship")
         if attribute(each, "Type").endswith("/officeDocument")), "",
    ) if root is not None else ""  # fmt: skip
    document = archive.xml(name) if name else None
    body = first(document, "body") if document is not None else None
    if body is None:
        raise DocumentError("is no Word document, whatever its name says. Save it again as .docx")
    facts = core_facts(archive)
    title = facts.pop("title", "")
    reader = _Reader(archive, name)
    return Content(reader.title_in(body) or ("" if NO_TITLE.match(title) else title), reader.pieces(body), facts)


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    level: int  # of a heading, 1 for the highest; 0: it is none
    numbering: tuple[str, int] | None  # (list, level)


class _Reader:
    def __init__(self, archive: Archive, part: str):
        self._archive, self._related = archive, archive.related(part)
        self._styles = _styles(self._part("styles"))
        self._numbers = ClauseNumbers(self._part("numbering"))
        self._notes = {
            (kind, attribute(note, "id")): note
            for kind in ("footnote", "endnote")
            if (root := self._part(f"{kind}s")) is not None
            for note in descendants(root, kind)
        }

    def _part(self, kind: str) -> Element | None:
        name = next((name for each, name in self._related.values() if each == kind), "")
        return self._archive.xml(name) if name else None

    def title_in(self, body: Element) -> str:
        """The paragraph in the style of titles."""
        for paragraph in descendants(body, "p"):
            if self._style(paragraph).name == "title" and (text := line_of(_text(paragraph))):
                return text
        return ""

    def pieces(self, parent: Element) -> Iterator[Piece]:
        for element in parent:
            name = name_of(element)
            if name == "p":
                yield from self._paragraph(element)
            elif name == "tbl":
                yield from self._table(element)
            elif name == "sdt":  # a control, such as a table of contents
                gallery = first(element, "docPartGallery")
                if gallery is None or "Contents" not in attribute(gallery, "val"):
                    for content in (each for each in element if name_of(each) == "sdtContent"):
                        yield from self.pieces(content)
            elif name in ("ins", "moveTo", "customXml", "smartTag"):
                yield from self.pieces(element)

    def _style(self, paragraph: Element) -> _Style:
        style = child(child(paragraph, "pPr"), "pStyle")
        return self._styles.get(attribute(style, "val") if style is not None else "", PLAIN)

    def _paragraph(self, paragraph: Element) -> Iterator[Piece]:
        style = self._style(paragraph)
        if CONTENTS.match(style.name):
            return
        text = clean(_text(paragraph))
        own = child(child(paragraph, "pPr"), "numPr")
        numbering = _numbering(own) if own is not None else style.numbering
        if text and numbering:
            text = self._numbers.next(*numbering) + text
        pictures = list(self._pictures(paragraph))
        if style.level and text:
            yield Piece("heading", text, style.level)
        elif style.name == "title" and text:
            yield Piece("heading", text, 0)
        elif text:
            yield Piece("caption" if style.name == "caption" else "text", text)
        yield from pictures
        yield from self._notes_of(paragraph)
        for box in (each for each in paragraph.iter() if name_of(each) == "txbxContent" and not _is_fallback(each)):
            yield from self.pieces(box)

    def _notes_of(self, paragraph: Element) -> Iterator[Piece]:
        for kind in ("footnote", "endnote"):
            for reference in descendants(paragraph, f"{kind}Reference"):
                number = attribute(reference, "id")
                note = self._notes.get((kind, number))
                text = clean("\n".join(_text(each) for each in descendants(note, "p"))) if note is not None else ""
                if text:
                    yield Piece("footnote", f"{number} {text}")

    def _pictures(self, paragraph: Element) -> Iterator[Piece]:
        for drawing in (each for each in descendants(paragraph, "drawing") if not _is_boxed(each, paragraph)):
            about = first(drawing, "docPr")
            blip = first(drawing, "blip")
            _, name = self._related.get(attribute(blip, "embed") if blip is not None else "", ("", ""))
            data = self._archive.read(name) if name else None
            if data is not None:
                words = line_of(attribute(about, "descr")) if about is not None else ""
                yield Piece("figure", words if len(words.split()) > 2 else "", picture=data)

    def _table(self, table: Element) -> Iterator[Piece]:
        """A table, merged cells repeated; one of a single column is a frame around paragraphs."""
        rows: list[list[str]] = []
        named = False
        for row in (each for each in _children(table, "tr")):
            cells: list[str] = []
            named = named or (not rows and any(True for _ in descendants(row, "tblHeader")))
            for cell in _children(row, "tc"):
                across, down = (child(child(cell, "tcPr"), name) for name in ("gridSpan", "vMerge"))
                text = line_of(" ".join(_text(each) for each in descendants(cell, "p")))
                if down is not None and attribute(down, "val") != "restart" and rows and len(cells) < len(rows[-1]):
                    text = rows[-1][len(cells)]
                width = attribute(across, "val") if across is not None else ""
                cells += [text] * (min(int(width), 100) if width.isdigit() and int(width) else 1)
            rows.append(cells)
        if max(map(len, rows), default=0) > 1:
            yield Piece("table", rows=tuple(map(tuple, rows)), head=True if named else None)
            return
        for row in _children(table, "tr"):
            for cell in _children(row, "tc"):
                yield from self.pieces(cell)


PLAIN = _Style("", 0, None)


def _children(element: Element, name: str) -> Iterator[Element]:
    """The children of this name, also those that were inserted, or stand in a control."""
    for each in element:
        if name_of(each) == name:
            yield each
        elif name_of(each) in ("sdt", "sdtContent", "ins", "customXml"):
            yield from _children(each, name)


def _is_boxed(element: Element, paragraph: Element) -> bool:
    """Whether an element stands in a text box within the paragraph."""
    for each in element.iterancestors():
        if each is paragraph:
            return False
        if name_of(each) == "txbxContent":
            return True
    return False


def _is_fallback(element: Element) -> bool:
    return any(name_of(each) == "Fallback" for each in element.iterancestors())


def _text(paragraph: Element) -> str:
    """The words of a paragraph with its line breaks; notes, boxes and what was deleted are not among them."""
    parts: list[str] = []
    waiting = [paragraph]
    while waiting:
        element = waiting.pop()
        name = name_of(element)
        if name in LEFT_OUT:
            continue
        if name == "t":
            parts.append(element.text or "")
        elif name in ("tab", "ptab"):
            parts.append(" ")
        elif name in ("br", "cr"):
            parts.append("\n")
        elif name == "noBreakHyphen":
            parts.append("-")
        else:
            waiting += reversed(element)
    return "".join(parts)


def _styles(root: Element | None) -> dict[str, _Style]:
    """The paragraph styles by id: each has what the style that it is based on has, unless it says otherwise."""
    found = {attribute(style, "styleId"): style for style in descendants(root, "style")} if root is not None else {}
    return {key: _inherited(key, found) for key in found}


def _inherited(key: str, styles: dict[str, Element]) -> _Style:
    name, level, numbering, seen = "", 0, None, set[str]()
    while key in styles and key not in seen:
        seen.add(key)
        style = styles[key]
        own = child(style, "name")
        called = attribute(own, "val").lower() if own is not None else ""
        name = name or called
        if name not in ("title", "caption") and called in ("title", "caption"):
            name = called
        outline = child(child(style, "pPr"), "outlineLvl")
        if not level and (match := HEADING.match(called)):
            level = int(match[1])
        elif not level and outline is not None and attribute(outline, "val").isdigit():
            level = int(attribute(outline, "val")) + 1 if int(attribute(outline, "val")) < 9 else 0
        own_list = child(child(style, "pPr"), "numPr")
        if numbering is None and own_list is not None:
            numbering = _numbering(own_list)
        based = child(style, "basedOn")
        key = attribute(based, "val") if based is not None else ""
    return _Style(name, level, numbering)


def _numbering(element: Element) -> tuple[str, int] | None:
    """(list, level) that a paragraph or style is numbered in; None for none ("0" takes it out of its style's list)."""
    found = {name_of(each): attribute(each, "val") for each in element}
    number, level = found.get("numId", ""), found.get("ilvl", "0")
    return (number, int(level) if level.isdigit() else 0) if number and number != "0" else None
