"""What an open answer is worth: facts found, sentences cited, citations at a place that holds a fact, right refusals.

The measures are those of the scorer that comes with the questions (data/open/score.py); tests compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from eval.open.nuggets import Nugget, OpenQuestion, Place
from rag.locator import PageSpan, ParagraphSpan, TimeSpan
from rag.records import Answer, Citation

MARKER = re.compile(r"\s*\[\d+(?:\s*[,;–-]\s*\d+)*\]")
PLAIN = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "‑": "-", "−": "-", "\u00ad": None}
                      | dict.fromkeys("\u00a0\u202f\u2009", " "))  # fmt: skip
ITEM = r"(?:[-•+]|\d{1,2}[.)]|\([a-z0-9]\))\s"
ABBREVIATIONS = re.compile(
    r"\b(v|vs|no|nos|e\.g|i\.e|etc|cf|Mr|Ms|Mrs|Dr|Prof|Art|para|St|U\.S|al|Inc|Fig|approx|p|pp)\."
)
NEAR_PAGES, NEAR_SECONDS, NEAR_PARAGRAPHS = 1, 90, 1
SECTIONS = (  # what the names of a judgment's sections have in common
    ("annex", r"annex|opinion|dissent|concurr"),
    ("operative", r"operative|for these reasons|holds|dispositif"),
    ("law", r"\blaw\b|assessment|merits|alleged violation|article 41|damage|costs and|submissions"),
    ("facts", r"fact|circumstances|background|domestic law|relevant|international material"),
    ("procedure", r"procedure"),
    ("header", r"header"),
)


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation as it is judged: the names of its document, where it points, and the words it quotes."""

    names: tuple[str, ...]
    place: Place
    quote: str

    @classmethod
    def of(cls, citation: Citation) -> Cited:
        """One of our own answers'."""
        locator, place = citation.locator, Place()
        if isinstance(locator, TimeSpan):
            place = Place(second=locator.start_seconds)
        elif isinstance(locator, ParagraphSpan):
            place = Place(section=locator.part, paragraph=locator.first_paragraph)
        elif isinstance(locator, PageSpan):
            place = Place(page=locator.first_page)
        return cls((citation.path.rpartition("/")[2], citation.title), place, citation.quote)


def scores(question: OpenQuestion, answer: Answer | None) -> dict[str, float | None]:
    """Every measure of one answer; None where it does not apply. No answer counts as an empty one."""
    text, abstained = (answer.answer, answer.abstained) if answer else ("", False)
    cited = [Cited.of(citation) for citation in answer.citations] if answer else []
    found = score_text(question, text, abstained, cited)
    if answer is not None:
        waited = answer.seconds.get("first_token") or None
        found |= {"first_seconds": waited, "seconds": sum(answer.seconds.get(part, 0.0) for part in PARTS)}
    return found


PARTS = ("retrieve", "answer", "note")


def score_text(question: OpenQuestion, text: str, abstained: bool, cited: Sequence[Cited]) -> dict[str, float | None]:
    """`vital` and `all`: the share of (vital) facts that the text states, 0 for a wrong refusal.

    `abstention`: 1 for a refusal of what cannot be answered, and for an answer to the rest. `cited_sentences`: the
    share of sentences of three words or more with a marker. `citation_precision`: the share of citations of a place
    where a fact stands. `wrong`: whether it says what typical wrong answers say.
    """
    plain = plain_text(text)
    found: dict[str, float | None] = {
        "vital": None,
        "all": None,
        "cited_sentences": None,
        "citation_precision": None,
        "abstention": float(abstained != question.answerable),
        "wrong": float(any(pattern.search(plain) for pattern in question.wrong)),
        "words": float(len(MARKER.sub("", text).split())),
    }
    if question.answerable:
        for name, nuggets in (("all", question.nuggets), ("vital", [n for n in question.nuggets if n.vital])):
            if nuggets:
                stated = sum(nugget.stands_in(plain) for nugget in nuggets) / len(nuggets)
                found[name] = 0.0 if abstained else stated
    if question.answerable and not abstained:
        told = sentences(text)
        if told:
            found["cited_sentences"] = sum(bool(MARKER.search(sentence)) for sentence in told) / len(told)
        if cited:
            found["citation_precision"] = sum(points_to_fact(each, question) for each in cited) / len(cited)
    return found


def plain_text(text: str) -> str:
    """For patterns: straight quotes and hyphens, no markers, no Markdown, items of lists as sentences."""
    text = MARKER.sub("", text.translate(PLAIN))
    text = re.sub(r"[*_`#>]+", "", text)
    text = re.sub(rf"(?<![.!?:;,])[ \t]*\n\s*(?={ITEM})", ". ", text)
    text = re.sub(r"(?<![.!?:;,])[ \t]*\n\s*\n", ". ", text)
    return " ".join(text.split())


def sentences(text: str) -> list[str]:
    """The sentences of three words or more, with their markers; a line that ends with a colon only introduces.

    >>> sentences("It is open [1]. It was closed in 1911. [2]\\nThree are left:")
    ['It is open [1].', 'It was closed in 1911 [2].']
    """
    text = re.sub(r"([.!?])((?:\s*\[\d+(?:\s*[,;–-]\s*\d+)*\])+)", r"\2\1", text)
    text = ABBREVIATIONS.sub(lambda match: match[0][:-1] + "\u2024", text)
    found: list[str] = []
    for line in re.split(r"\n+", text):
        line = re.sub(r"^\s*(?:[-*•+]|\d{1,2}[.)])\s+", "", line.strip())
        found += re.split(r"(?<=[.!?])[\"')\]]?\s+(?=[A-Z0-9\"'(*])", line)
    return [
        sentence
        for sentence in found
        if len(re.findall(r"\w+", MARKER.sub("", sentence))) >= 3 and not sentence.strip().endswith(":")
    ]


# -- where a citation points -------------------------------------------------------------------------------------------


def points_to_fact(cited: Cited, question: OpenQuestion) -> bool:
    """Whether a citation names a document of a fact and a place near it; without a place, quotes its words."""
    for nugget in question.nuggets:
        if not _same_document(cited.names, nugget, question):
            continue
        near = _near(cited.place, nugget)
        if near or (near is None and _quotes(cited.quote, nugget)):
            return True
    return False


def is_held(question: OpenQuestion, documents: Sequence[tuple[str, ...]]) -> bool:
    """Whether all documents with facts of a question are among these, of which each has several names."""
    return all(any(_same_document(names, nugget, question) for names in documents) for nugget in question.nuggets)


def _same_document(names: Sequence[str], nugget: Nugget, question: OpenQuestion) -> bool:
    file = PurePosixPath(nugget.document).name
    wanted = (nugget.document, re.sub(r"\.[a-z0-9]{2,5}$", "", file), *question.names.get(nugget.document, ()))
    return any(_same_name(name, other) for name in filter(None, names) for other in wanted)


def _same_name(one: str, other: str) -> bool:
    a, b = _key(one), _key(other)
    if min(len(a), len(b)) >= 5 and (a in b or b in a):
        return True
    words, others = (set(re.findall(r"[a-z0-9]{3,}", name.lower())) for name in (one, other))
    shared = words & others
    return len(shared) >= 2 and len(shared) / min(len(words), len(others)) >= 0.7


def _near(place: Place, nugget: Nugget) -> bool | None:
    """Whether a place is near one of the fact's; None where it names none of the same kind."""
    places, first = nugget.places, nugget.places[0]
    if first.page is not None:
        pages = [each.page for each in places if each.page is not None]
        return None if place.page is None else any(abs(place.page - page) <= NEAR_PAGES for page in pages)
    if first.second is not None:
        seconds = [each.second for each in places if each.second is not None]
        return None if place.second is None else any(abs(place.second - at) <= NEAR_SECONDS for at in seconds)
    if first.section is None:
        return None
    paragraphs = [each.paragraph for each in places if each.paragraph is not None]
    if place.paragraph is not None and paragraphs:
        return any(abs(place.paragraph - number) <= NEAR_PARAGRAPHS for number in paragraphs)
    if not place.section:
        return None
    return any(_section(place.section) == _section(each.section) for each in places if each.section is not None)


def _section(name: str) -> str:
    name = name.lower()
    for section, pattern in SECTIONS:
        if re.search(pattern, name) and not (section == "law" and re.search(r"domestic law|relevant", name)):
            return section
    return _key(name)


def _quotes(quote: str, nugget: Nugget) -> bool:
    """Whether a quote of 20 letters or more holds words of the fact's evidence, or stands in it."""
    key = _key(quote)
    parts = filter(None, map(_key, nugget.evidence.split(" ... ")))
    return len(key) >= 20 and any(key in part or part in key for part in parts)


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
