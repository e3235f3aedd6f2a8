"""The text of an HTML page: a block, or a cell of a table, on each line."""

from __future__ import annotations

from html.parser import HTMLParser

SILENT = ("script", "style", "head", "template", "noscript")
INLINE = frozenset(
    "a abbr b bdi bdo cite code dfn em font i ins del kbd mark q s small span strong sub sup u var wbr".split()
)
BREAK = "\x00"  # between blocks, until the white space of the source, line ends among it, is taken together


def plain(text: str) -> str:
    """Text with "\\n" as its line ends and no byte order mark: offsets count in this text.

    >>> plain("\\ufeffTHE LAW\\r\\n1. First")
    'THE LAW\\n1. First'
    """
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def text_of_html(html: str) -> str:
    """The text of a page, a block or a cell of a table a line. Never raises for odd markup.

    >>> text_of_html("<h1>THE&nbsp;LAW</h1><p>1.&nbsp; The <b>Court</b><br>notes</p><script>x</script>")
    'THE LAW\\n1. The Court\\nnotes'
    """
    page = _Page()
    page.feed(plain(html))
    page.close()
    lines = (" ".join(line.split()) for line in "".join(page.parts).split(BREAK))
    return "\n".join(line for line in lines if line)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in SILENT:
            self._silent.append(tag)
        elif tag not in INLINE:
            self.parts.append(BREAK)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif tag not in INLINE:
            self.parts.append(BREAK)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data.replace(BREAK, " "))
