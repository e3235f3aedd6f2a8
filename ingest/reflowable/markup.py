"""HTML and XML -> pieces of a document. The one owner of lxml; nothing is fetched, no entity is resolved."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any

from lxml import etree, html

from ingest.plain_text import decoded
from ingest.reflowable.content import Piece, clean, line_of
from rag.errors import DocumentError

Element = Any  # lxml's are not typed
SILENT = frozenset(
    "script style noscript template iframe frame object embed head nav button select option textarea input svg canvas "
    "audio video map area".split()
)
BLOCKS = frozenset(
    "address article aside blockquote body center dd details div dl dt fieldset figure figcaption footer form header "
    "hgroup hr html legend li main ol p pre section summary table tbody td tfoot th thead tr ul title".split()
)
HEADING = re.compile(r"h([1-6])$")
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?([\w-]{2,40})""", re.I)
FURNITURE = ("nav", "footer", "aside")  # of a web page, around what it says
MAIN_SHARE = 0.4  # of a page's words, from which its main element is what it says
# characters that lxml reads, and will not write
UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Picture = Callable[[str], bytes | None]


def parsed_xml(data: bytes) -> Element:
    """The root of an XML file. Raises DocumentError for what is none, and for one that defines entities."""
    head = data[: 1 << 20]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        head = head.decode("utf-16", "replace").encode("utf-8", "replace")
    if re.search(rb"<!(?:ENTITY|ELEMENT|ATTLIST)", head):
        raise DocumentError("defines entities of its own, as files that mean harm do. Save it again, or leave it out")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DocumentError("is damaged: a part of it is no XML. Open and save it again") from error
    if root is None:
        raise DocumentError("is damaged: a part of it is empty. Open and save it again")
    return root


def name_of(element: Element) -> str:
    """The name of an element without its namespace; "" for comments and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: Element, name: str) -> str:
    """An attribute by its name without a namespace; "" for none.

    >>> attribute(parsed_xml(b'<a xmlns:x="urn:x" x:href="b"/>'), "href")
    'b'
    """
    return next((value for key, value in element.attrib.items() if re.split("[}:]", key)[-1] == name), "")


def first(element: Element, name: str) -> Element | None:
    """The first element of this name below an element."""
    return next(descendants(element, name), None)


def child(element: Element | None, name: str) -> Element | None:
    """The first child of this name; None for none, or of no element."""
    return next((each for each in element if name_of(each) == name), None) if element is not None else None


def descendants(element: Element, *names: str) -> Iterator[Element]:
    """The elements of these names below an element, in order, whatever their namespaces."""
    return (each for each in element.iter() if name_of(each) in names)


def parsed_html(data: bytes) -> Element:
    """The root of a web page's bytes, however odd. Raises DocumentError for one without any element."""
    return root_of(_text_of(data))


def root_of(text: str) -> Element:
    """The root of a web page's text. Raises DocumentError for one without any element."""
    parser = html.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=False)
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)  # lxml takes no text that names its encoding
    try:
        root = html.document_fromstring(text or "<p></p>", parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise DocumentError("is no web page that can be read. Open it in a browser and save it again") from error
    if "&#" in text or UNWRITABLE.search(text):
        for each in root.iter():
            each.text, each.tail = (UNWRITABLE.sub("", said) if said else said for said in (each.text, each.tail))
    return root


def _text_of(data: bytes) -> str:
    """UTF-8 if it is valid, whatever the page says: pages say what they were saved from. Else by what it says."""
    named = CHARSET.search(data[:4096])
    if named:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            try:
                return data.decode(named[1].decode("ascii"), "replace")
            except LookupError:  # a character set that nobody knows
                return decoded(data)
    return decoded(data)


def title_of_page(root: Element) -> str:
    """The title of a web page: the one of its head, else its first heading; "" for none."""
    for path in (".//title", ".//h1"):
        for element in root.iterfind(path):
            if title := line_of(element.text_content()):
                return title
    return ""


def facts_of_page(root: Element) -> dict[str, str]:
    """What a web page says of itself: its author and its date (YYYY-MM-DD)."""
    said: dict[str, str] = {}
    for meta in root.iterfind(".//meta"):
        key = (meta.get("name") or meta.get("property") or "").lower()
        said.setdefault(key, line_of(meta.get("content") or ""))
    author = said.get("citation_author") or said.get("author") or said.get("dc.creator") or ""
    dates = (said.get(key, "") for key in ("citation_publication_date", "article:published_time", "dc.date", "date"))
    date = next((match[0] for text in dates if (match := re.match(r"\d{4}-\d\d-\d\d", text.replace("/", "-")))), "")
    return {key: value for key, value in (("author", author), ("date", date)) if value}


def said_part(root: Element) -> Element:
    """The part of a web page that says something: its main element or only article, else its body without menus."""
    body = next(root.iterfind(".//body"), root)
    whole = len(body.text_content())
    for path in (".//main", ".//*[@role='main']", ".//article"):
        found = list(body.iterfind(path))
        if len(found) == 1 and len(found[0].text_content()) >= MAIN_SHARE * whole:
            return found[0]
    for element in list(descendants(body, *FURNITURE)):
        role = attribute(element, "type") + attribute(element, "role")
        if "footnote" not in role and element.getparent() is not None:
            element.drop_tree()
    return body


def pieces_of_html(root: Element, picture: Picture = lambda source: None) -> Iterator[Piece]:
    """The pieces of a web page, or of a part of one; `picture` gives the bytes of an image by its address."""
    return _Walk(picture).pieces(root)


class _Walk:
    """One walk over a page. Iterative: pages nest as deeply as they like."""

    def __init__(self, picture: Picture):
        self._picture = picture
        self._inline: list[str] = []
        self._kinds: list[tuple[str, int, str]] = [("text", 1, "")]  # kind, level, what stands before the next text
        self._counts: list[int | None] = []  # of the lists around: the number of the last item, None where dots are set

    def pieces(self, root: Element) -> Iterator[Piece]:
        done: Element = None  # with what is in it
        walk = etree.iterwalk(root, events=("start", "end"))
        for event, element in walk:
            if event == "start":
                pieces, whole = self._start(element)
                yield from pieces
                if whole:
                    done = element
                    walk.skip_subtree()
                else:
                    self._say(element.text)
                continue
            if element is done:
                done = None
            else:
                yield from self._end(element)
            if element is not root:
                self._say(element.tail)
        yield from self._flush()

    def _say(self, text: str | None) -> None:
        if text:
            self._inline.append(text if self._kinds[-1][0] == "pre" else re.sub(r"\s+", " ", text))

    def _start(self, element: Element) -> tuple[list[Piece], bool]:
        """The pieces that are complete where an element begins, and whether the element is one of them, or nothing."""
        name = name_of(element)
        if not name or name in SILENT or _is_hidden(element):
            return [], True
        if name == "br":
            self._inline.append("\n")
        elif name == "img":
            return self._image(element), True
        elif name == "table" and (rows := _rows(element)):
            return [*self._flush(), _table(element, rows)], True
        elif name in BLOCKS or HEADING.match(name):
            pieces = list(self._flush())
            self._kinds.append(self._kind(element, name))
            return pieces, False
        return [], False

    def _image(self, element: Element) -> list[Piece]:
        """A figure of an image whose bytes are there. Its words are its caption, else what stands for it."""
        figure = next((each for each in element.iterancestors() if name_of(each) == "figure"), None)
        has_caption = figure is not None and first(figure, "figcaption") is not None
        words = "" if has_caption else line_of(element.get("alt") or "")
        data = self._picture(element.get("src") or "") if words or has_caption else None
        return [] if data is None else [*self._flush(), Piece("figure", words, picture=data)]

    def _kind(self, element: Element, name: str) -> tuple[str, int, str]:
        """What the text in a block is: its kind, its level, and what stands before it."""
        kind, level, _ = self._kinds[-1]
        if match := HEADING.match(name):
            return "heading", int(match[1]), ""
        if name in ("ol", "ul"):
            self._counts.append(_first_number(element) if name == "ol" else None)
        if "footnote" in attribute(element, "type") + attribute(element, "role"):
            kind = "footnote"
        named = {"figcaption": "caption", "caption": "caption", "pre": "pre"}
        return named.get(name, kind), level, self._marker() if name == "li" else ""

    def _end(self, element: Element) -> Iterator[Piece]:
        name = name_of(element)
        if name in BLOCKS or HEADING.match(name):
            yield from self._flush()
            self._kinds.pop()
            if name in ("ol", "ul"):
                self._counts.pop()

    def _flush(self) -> Iterator[Piece]:
        kind, level, lead = self._kinds[-1]
        said = "".join(self._inline)
        text = said.strip("\n") if kind == "pre" else clean(said)
        self._inline.clear()
        if text.strip():
            self._kinds[-1] = (kind, level, "")  # a list's number stands before an item's first words alone
            yield Piece("code" if kind == "pre" else kind, lead + text, level)

    def _marker(self) -> str:
        if not self._counts or self._counts[-1] is None:
            return "• "
        number = self._counts[-1]
        self._counts[-1] = number + 1
        return f"{number}. "


def _table(element: Element, rows: list[list[str]]) -> Piece:
    caption = next((line_of(each.text_content()) for each in descendants(element, "caption")), "")
    top = next(descendants(element, "tr"))
    heads = [name_of(cell) == "th" for cell in top if name_of(cell) in ("td", "th")]
    in_head = top.getparent() is not None and name_of(top.getparent()) == "thead"
    return Piece(
        "table", caption, rows=tuple(map(tuple, rows)), head=True if in_head or (heads and all(heads)) else None
    )


def _is_hidden(element: Element) -> bool:
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or bool(HIDDEN.search(element.get("style") or ""))
    )


def _first_number(element: Element) -> int:
    start = element.get("start") or ""
    return int(start) if re.fullmatch(r"-?\d{1,6}", start) else 1


def _rows(table: Element) -> list[list[str]]:
    """The cells of a table of data, spanned ones repeated; none of a table that only lays out a page."""
    if any(True for each in descendants(table, "table") if each is not table):
        return []
    rows: list[list[str]] = []
    above: dict[int, tuple[int, str]] = {}  # column -> (rows it still spans, text)
    for row in descendants(table, "tr"):
        cells: list[str] = []
        for cell in (each for each in row if name_of(each) in ("td", "th")):
            while len(cells) in above:
                cells.append(_spanned(above, len(cells)))
            text = line_of(" ".join(cell.itertext()))
            across, down = (_span(cell, side) for side in ("colspan", "rowspan"))
            for _ in range(across):
                if down > 1:
                    above[len(cells)] = (down - 1, text)
                cells.append(text)
        while len(cells) in above:
            cells.append(_spanned(above, len(cells)))
        rows.append(cells)
    filled = [sum(map(bool, row)) for row in rows]
    return rows if len(rows) > 1 and max(filled, default=0) > 1 else []


def _spanned(above: dict[int, tuple[int, str]], column: int) -> str:
    rows, text = above.pop(column)
    if rows > 1:
        above[column] = (rows - 1, text)
    return text


def _span(cell: Element, side: str) -> int:
    given = cell.get(side) or ""
    return max(1, min(int(given), 100)) if re.fullmatch(r"\d{1,4}", given) else 1
