"""EPUB 2 and 3: chapters in the order in which they are read, with their titles, notes and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ingest.reflowable.archive import Archive, beside
from ingest.reflowable.content import Content, Piece, line_of
from ingest.reflowable.markup import Element, attribute, descendants, first, parsed_html, pieces_of_html
from rag.errors import DocumentError

FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")  # obscured, which is no protection
PROTECTED = "is protected against copying (DRM), so it cannot be read. Take an edition without"


def read_ebook(data: bytes) -> Content:
    """The book: a part for each of its files that has words. Raises DocumentError for a protected or damaged one."""
    archive = Archive(data)
    _refuse_protected(archive)
    container = archive.xml("META-INF/container.xml")
    rootfile = first(container, "rootfile") if container is not None else None
    name = attribute(rootfile, "full-path") if rootfile is not None else ""
    package = archive.xml(name) if name else None
    if package is None:
        raise DocumentError("is damaged: no list of its chapters is in it. Fetch it again")
    facts = {}
    for tag, key in (("title", "title"), ("creator", "author"), ("date", "date"), ("identifier", "identifier")):
        found = next((line_of(each.text or "") for each in descendants(package, tag) if each.text), "")
        if found:
            facts[key] = found
    if "date" in facts:
        facts["date"] = facts["date"][:10]
    return Content(facts.pop("title", ""), _chapters(archive, name, package), facts)


def _refuse_protected(archive: Archive) -> None:
    if archive.read("META-INF/rights.xml") is not None:
        raise DocumentError(PROTECTED)
    encryption = archive.xml("META-INF/encryption.xml")
    for method in descendants(encryption, "EncryptionMethod") if encryption is not None else ():
        if attribute(method, "Algorithm") not in FONTS:
            raise DocumentError(PROTECTED)


def _chapters(archive: Archive, package_name: str, package: Element) -> Iterator[Piece]:
    items = {
        attribute(item, "id"): (beside(package_name, attribute(item, "href")), attribute(item, "properties"))
        for item in descendants(package, "item")
    }
    titles = _titles(archive, package_name, package, items)
    for reference in descendants(package, "itemref"):
        name, properties = items.get(attribute(reference, "idref"), ("", ""))
        data = archive.read(name) if name and "nav" not in properties.split() else None
        if data is None:
            continue
        root = parsed_html(data)
        pieces = pieces_of_html(root, lambda source, name=name: archive.read(beside(name, source)))  # type: ignore[misc]
        opening = next(pieces, None)
        if opening is None:
            continue
        title = titles.get(name, "") or (opening.text if opening.kind == "heading" else "")
        yield Piece("part", title)
        if opening.kind == "heading" and line_of(opening.text) == line_of(title):
            opening = replace(opening, level=0)  # the chapter's title, over all of its headings
        yield opening
        yield from pieces


def _titles(archive: Archive, package_name: str, package: Element, items: dict[str, tuple[str, str]]) -> dict[str, str]:
    """The first title that the table of contents gives to each file: of EPUB 3 (nav), else of EPUB 2 (ncx)."""
    found: dict[str, str] = {}
    nav = next((name for name, properties in items.values() if "nav" in properties.split()), "")
    if data := archive.read(nav) if nav else None:
        for link in descendants(parsed_html(data), "a"):
            found.setdefault(beside(nav, attribute(link, "href")), line_of("".join(link.itertext())))
    spine = first(package, "spine")
    ncx = items.get(attribute(spine, "toc") if spine is not None else "", ("", ""))[0]
    root = archive.xml(ncx) if ncx and not found else None
    for point in descendants(root, "navPoint") if root is not None else ():
        label, content = first(point, "text"), first(point, "content")
        if label is not None and content is not None:
            found.setdefault(beside(ncx, attribute(content, "src")), line_of(label.text or ""))
    return found
