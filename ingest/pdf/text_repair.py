"""Mend the text that a PDF extractor returns, and keep the map back to it. Pure.

What is mended: words cut at a line end, dates and numbers cut at a dash, ligatures, soft hyphens, and characters that
no text should hold. Line breaks stay: they are white space to everything downstream.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
TO_LETTERS = str.maketrans(LIGATURES)
BROKEN = re.compile(
    r"(?P<word>(?<=[^\W\d_])[-\u00ad\u2010][ \t\r\f\v]*\n[ \t\r\f\v]*(?=[^\W\d_]))"  # evalu-\nation, well-\nknown
    r"|(?P<dash>(?<=\d[-\u2010\u2013])[ \t\r\f\v]*\n[ \t\r\f\v]*(?=\d))"  # 2018-\n23-51
    r"|(?P<soft>\u00ad)"
    r"|(?P<ligature>[\ufb00-\ufb06])"
    r"|(?P<bad>[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff])"
)
WORD = re.compile(r"([^\W\d_]+)(?:(?=[-\u2010]([^\W\d_]+)))?")  # a word, and the one that a hyphen ties to it
TIED_BEFORE, TIED_BEHIND = re.compile(r"[^\W\d_][-\u2010]"), re.compile(r"[-\u2010][^\W\d_]")


def mend(text: str, known: frozenset[str] = frozenset()) -> tuple[str, list[tuple[int, int]]]:
    """The mended text, and sorted (mended offset, offset in `text`) wherever their difference changes.

    A word cut at a line end is joined without its hyphen, unless the next line starts with a capital, the document
    writes the word with the hyphen elsewhere, or it has another hyphen and the document does not write it without
    ("peer-to-\\npeer"). `known` is what words_in says of the document.

    >>> mend("ﬁrst evalu-\\nation")
    ('first evaluation', [(0, 0), (2, 1), (11, 12)])
    """
    pieces: list[str] = []
    offsets = [(0, 0)]
    length, after = 0, 0
    for match in BROKEN.finditer(text):
        new = _mended(match, text, known)
        pieces += [text[after : match.start()], new]
        length += match.start() - after + len(new)
        after = match.end()
        if len(new) != match.end() - match.start():
            offsets.append((length, after))
    pieces.append(text[after:])
    return "".join(pieces), offsets


def _mended(match: re.Match[str], text: str, known: frozenset[str]) -> str:
    if match.lastgroup == "ligature":
        return LIGATURES[match.group()]
    if match.lastgroup == "bad":
        return " " if match.group() in "\t\r\f\v" else "\ufffd"
    if match.lastgroup != "word" or match.group().startswith("\u00ad"):
        return ""
    before, behind = _letters_before(text, match.start()), _letters_after(text, match.end())
    if behind[0].isupper() or _fold(f"{before}-{behind}") in known:
        return "-"
    start, end = match.start() - len(before), match.end() + len(behind)
    tied = (start >= 2 and TIED_BEFORE.match(text, start - 2)) or TIED_BEHIND.match(text, end)
    return "-" if tied and _fold(before + behind) not in known else ""


def _letters_before(text: str, end: int) -> str:
    found = re.search(r"[^\W\d_]+\Z", text[max(0, end - 40) : end])
    return found.group() if found else ""


def _letters_after(text: str, start: int) -> str:
    found = re.match(r"[^\W\d_]+", text[start : start + 40])
    return found.group() if found else ""


def _fold(word: str) -> str:
    return word.translate(TO_LETTERS).lower()


def words_in(texts: Iterable[str]) -> frozenset[str]:
    """The words that the document writes inside a line, and each two that it ties with a hyphen; in lower case.

    >>> sorted(words_in(["Peer-to-peer."]))
    ['peer', 'peer-to', 'to', 'to-peer']
    """
    found = set()
    for text in texts:
        for word, behind in WORD.findall(text):
            found.add(_fold(word))
            if behind:
                found.add(_fold(f"{word}-{behind}"))
    return frozenset(found)
