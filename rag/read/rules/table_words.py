"""The words of a table's heads and of a question on one of its cells, as stems that can be compared."""

from __future__ import annotations

import re
import unicodedata

from rag.read.match import STOPWORDS, fold

# "R@3", "recall at 3"; "82.0", "1,200"; "avg."; words; what stands for a word
TOKEN = re.compile(r"[^\W\d_]+@\d+|\d+(?:[.,]\d+)*|[^\W_]+\.?|[%#+\u2212]")
SUPERSCRIPTS = re.compile("[\u00b2\u00b3\u00b9\u2070-\u2079]")
ALIKE = {  # words, signs and abbreviations that say the same in a head and in a question
    "%": "percent", "percentage": "percent", "share": "percent", "fraction": "percent", "proportion": "percent",
    "#": "number", "num": "number", "avg": "average", "acc": "accuracy", "secs": "second", "sec": "second",
    "params": "parameter", "param": "parameter", "max": "maximum", "min": "minimum",
    "without": "-", "minus": "-", "\u2212": "-", "removing": "-", "removed": "-", "dropping": "-", "excluding": "-",
    "with": "+", "plus": "+", "adding": "+", "added": "+", "including": "+",
}  # fmt: skip


def stem(word: str) -> str:
    """A word without its plural, participle or British spelling, the same for all its forms.

    >>> [stem(word) for word in ("scores", "scored", "score", "normalised", "normalized", "class", "f1")]
    ['scor', 'scor', 'scor', 'normaliz', 'normaliz', 'class', 'f1']
    """
    if not word.isalpha():
        return word
    if len(word) > 4 and word.endswith("ies"):
        word = f"{word[:-3]}y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 4 and word.endswith("ed"):
        word = word[:-1]
    elif len(word) > 5 and word.endswith("ing"):
        word = word[:-3]
    if len(word) > 4 and word.endswith("e"):
        word = word[:-1]
    return re.sub("is$", "iz", word) if len(word) > 5 else word


def words_in(text: str, head: bool = False) -> tuple[str, ...]:
    """The words that tell one cell from another, as stems; of a head, an abbreviation keeps its point ("acc.").

    A stopword in capitals is a name ("Group A"), but not at the beginning of a sentence.

    >>> words_in("What MAP does SPECTER's base reach on Co-View, and at P@1?")
    ('map', 'specter', 'base', 'reach', 'co', 'view', 'p@1')
    """
    text = re.sub(r"['\u2019]s\b", "", SUPERSCRIPTS.sub("", unicodedata.normalize("NFC", text)))
    text = re.sub(r"([^\W\d_])\s?(?:@|\bat\b)\s?(?=\d)", r"\1@", text)
    text = re.sub(r"\bhow many\b", "number", re.sub(r"\bper cent\b", "percent", text, flags=re.I), flags=re.I)
    words = []
    for match in TOKEN.finditer(text):
        written = match[0].rstrip(".")
        word = "\u2212" if written == "\u2212" else fold(written)
        if len(word) == 1 and "GREEK" in unicodedata.name(word, ""):
            word = unicodedata.name(word).split()[-1].lower()
        named = written.isupper() and (head or match.start() > 0)
        if word == "with" or word not in STOPWORDS or named:
            short = head and match[0].endswith(".") and written.isalpha() and len(word) > 2 and word not in ALIKE
            words.append(f"{stem(word)}." if short else stem(ALIKE.get(word, word)))
    return tuple(w for w in words if w != "+") if head else tuple(words)


def means_same(named: str, asked: str) -> bool:
    """Whether a head's word is the question's: itself, cut short ("acc."), or one letter of a measure ("r@3")."""
    if named == asked:
        return True
    if named.endswith("."):
        return asked.startswith(named[:-1])
    if "@" in named and "@" in asked:
        (one, at), (other, present) = named.split("@"), asked.split("@")
        return at == present and (one.startswith(other) or other.startswith(one))
    return False
