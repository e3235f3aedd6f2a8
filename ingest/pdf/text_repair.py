"""Correct the text that a PDF extractor returns, and keep the map back to it; and whether it is fit for use. Pure.

Corrected are words cut at a line end, dates and numbers cut at a dash, ligatures, soft hyphens, and characters that
no text should hold. Line breaks stay: they are white space to everything downstream.
"""

from __future__ import annotations

import re
import unicodedata
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


def repair_text(text: str, known: frozenset[str] = frozenset()) -> tuple[str, list[tuple[int, int]]]:
    """The repaired text, and sorted (repaired offset, offset in `text`) wherever their difference changes.

    A word cut at a line end is joined without its hyphen, unless the next line starts with a capital, the document
    writes the word with the hyphen elsewhere, or it has another hyphen and the document does not write it without
    ("peer-to-\\npeer"). `known` is what words_in says of the document.

    >>> repair_text("ﬁrst evalu-\\nation")
    ('first evaluation', [(0, 0), (2, 1), (11, 12)])
    """
    pieces: list[str] = []
    offsets = [(0, 0)]
    length, after = 0, 0
    for match in BROKEN.finditer(text):
        new = _replacement(match, text, known)
        pieces += [text[after : match.start()], new]
        length += match.start() - after + len(new)
        after = match.end()
        if len(new) != match.end() - match.start():
            offsets.append((length, after))
    pieces.append(text[after:])
    return "".join(pieces), offsets


def _replacement(match: re.Match[str], text: str, known: frozenset[str]) -> str:
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
    """The words inside the lines of a document, and each two that are joined with a hyphen; in lower case.

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


# -- is a text layer fit for use? --------------------------------------------------------------------------------------

SHORTEST = 20  # visible characters; less says nothing
MAX_BAD = 0.1  # of the visible characters. Formulas have up to 0.02: pieces of large brackets in private codes
BAD = {"Co", "Cc", "Cn", "Cs"}  # private, control, unassigned, half a character
CID = re.compile(r"\(cid:\d+\)")
MOJIBAKE = re.compile("(?:[\u00c2-\u00df][\u0080-\u00bf]|[\u00e0-\u00ef][\u0080-\u00bf]{2}|\u00f0[\u0080-\u00bf]{3})+")
MIN_MOJIBAKE = 0.01  # of the visible characters: in German one letter in fifty is not ASCII
MIN_READABLE = 0.3  # letters and digits of the visible characters; source code and formulas have 0.5 and more
LEAST_PAIRS = 50
# Pairs of letters that are common in the languages of Europe in Latin, Cyrillic and Greek letters: 0.45 and more of the
# pairs in their words, source code included; after a shift or an exchange of letters 0.1 to 0.3.
MIN_COMMON = 0.3
COMMON_PAIRS = frozenset(
    """
    th he in er an re nd on en at ou ed ha to or it is hi es ng st ar te se al ti nt as le ve me de ri ro ne ea ra ce li
    ch co io ic la ta ma el si om ur ie ei un ge be ec tr ns et di us ss il ll na no pr lo ca ac so po qu os do ai ab ol
    ad ct
    ст но то на ен ов ни ра во ко по ер го ре ал ли не ос от та пр ро ес ка ть ет ны де ин ол ан ва ом ор ел ои ит ло ла
    ки
    ου το αι τα ησ τη να ει ια οσ ισ στ ερ αν ικ εν απ ρο τι μα ον ασ με κα ων αρ τε ετ ατ εσ οι αλ ορ πο σε λο ηρ ση υσ
    πα
    """.split()
)
WITH_PAIRS = re.compile(r"[a-zα-ωа-я]+")
ACCENTED = re.compile("[^\\W\\d_a-zA-Z\u0300-\U0010ffff]")  # and phonetic signs
MAX_ACCENTED = 0.5  # of the letters; Vietnamese has 0.3


def is_garbled(text: str) -> bool:
    """Whether a page's text layer is not to be trusted. A text of fewer than 20 visible characters is never garbled.

    It is if 10 % of the characters are private, unassigned, control or replacement characters or (cid:12) marks; if 1 %
    are UTF-8 read as Latin-1; if fewer than 30 % are letters or digits; if more than half of the letters are accented;
    or if fewer than 30 % of the pairs of Latin, Cyrillic or Greek letters are common ones. Exchanged letters of other
    scripts, and digits, are not noticed.

    >>> is_garbled("Wkh txlfn eurzq ira mxpsv ryhu wkh odcb grj, dqg wkhq wkh grj mxpsv ryhu wkh txlfn eurzq ira.")
    True
    """
    plain, marks = CID.subn("", text)
    # U+FFFE is how pdfium says that a word goes on in the next line.
    visible = "".join(c for c in plain if not c.isspace() and c != "\ufffe")
    total = len(visible) + marks
    if total < SHORTEST:
        return False
    kinds = [unicodedata.category(c) for c in visible]
    bad = marks + visible.count("\ufffd") + sum(kind in BAD for kind in kinds)
    if bad >= MAX_BAD * total:
        return True
    if sum(len(found) for found in MOJIBAKE.findall(_to_latin_1(visible))) >= MIN_MOJIBAKE * total:
        return True
    once = re.sub(r"([^\w])\1+", r"\1", visible)  # the dots of a table of contents
    if sum(unicodedata.category(c)[0] in "LMN" for c in once) < MIN_READABLE * len(once):
        return True
    letters = sum(kind[0] == "L" for kind in kinds)
    if len(ACCENTED.findall(visible)) > max(MAX_ACCENTED * letters, LEAST_PAIRS):
        return True
    return _has_uncommon_pairs(plain, letters)


def _to_latin_1(text: str) -> str:
    """Windows' typographic signs as the bytes that they stand for."""
    return text.encode("cp1252", "replace").decode("latin-1") if any("\u0152" <= c <= "\u2122" for c in text) else text


def _has_uncommon_pairs(text: str, letters: int) -> bool:
    folded = "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
    words = WITH_PAIRS.findall(folded)
    pairs = [word[i : i + 2] for word in words for i in range(len(word) - 1)]
    if len(pairs) < LEAST_PAIRS or 2 * sum(map(len, words)) < letters:
        return False
    return sum(pair in COMMON_PAIRS for pair in pairs) < MIN_COMMON * len(pairs)
