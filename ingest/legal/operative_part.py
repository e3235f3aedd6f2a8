"""The findings in the operative part of a judgment: which articles were violated, and which were not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from rag import bounds
from rag.document import Finding

ADJECTIVES = r"(?:\s+(?:a|an|any|separate|further|procedural|substantive|continuing))*"
FINDING = re.compile(
    rf"\bthere\s+(?:has|have|had|would|will)(?P<not>\s+not)?(?:\s+(?:therefore|accordingly|also|thus))?"
    rf"(?:\s+have)?\s+(?:been|be){ADJECTIVES}(?P<no>\s+no)?{ADJECTIVES}\s+(?:violation|breach|infringement)s?\b"
    r"|\bthere\s+(?:was|is)\s+(?:an?|(?P<was_no>no))\s+(?:violation|breach)\b"
    r"|\bdiscloses?\s+(?:an?|(?P<discloses_no>no))\s+(?:violation|breach)\b"
    r"|\bil\s+(?P<n>n.)?y\s+(?:a|avait|aurait)(?:\s+pas)?\s+eu(?:\s+(?:pas|aucune))?(?:\s+(?:de|une))?\s+violation\b",
    re.I,
)
PASSIVE = re.compile(
    r"\s{1,3}(?:has|have|had|would)(?P<not>\s+not)?(?:\s+have)?\s+(?:been|be)\s+(?:violated|breached|infringed)\b", re.I
)
NOT_FOUND = re.compile(r"\b(?:whether|not necessary|no need|unnecessary|nécessaire|claim|complaint)\b", re.I)
ARTICLE = re.compile(r"\b(?:art(?:icle)?s?\b\.?|articles?)\s*(?=\d)", re.I)
NUMBER = re.compile(  # "6 §§ 1 and 3 (c)"; but in "6 § 1 and 8", or before a protocol, the second is an article
    r"(\d{1,3}(?:\s*bis)?)(?P<paragraphs>\s*(?:(?:§§|paras\.|paragraphs)\s*\d{1,4}(?:\s*\([a-z]\))*"
    r"(?:(?:\s*,\s*|\s*[-–]\s*|\s+(?:and|et)\s+)\d{1,4}(?!\d|\s+(?:of|to|du)\s+(?:the\s+\w+\s+)?Protoc)(?:\s*\([a-z]\))*)*"
    r"|(?:§|para\.|paragraph)\s*\d{1,4}(?:\s*\([a-z]\))*))?"
)
NOTED = re.compile(r"\s*\(art(?:icle)?s?\.?\s+\d[^()]*\)")  # "Article 6 para. 1 (art. 6-1)"
AND = re.compile(r"\s*,\s*(?:and\s+|et\s+)?|\s+(?:and|et|or)\s+")
PROTOCOL = re.compile(  # "(P1-1)" was how the first protocols' articles were noted
    r"\s*\(P(?P<code>\d{1,2})-|\s*(?:\(\w[^)]{0,12}\)\s*)?(?:of|to|du|de)\s+(?:the\s+)?"
    r"(?P<which>(?:First|Fourth|Sixth|Seventh|Twelfth)\s+)?Protoco(?:l|le)(?:\s+(?:[Nn]os?\.?|n[°o]s?)\s*(?P<number>\d{1,3}))?",
    re.I,
)
ORDINALS = {"first": "1", "fourth": "4", "sixth": "6", "seventh": "7", "twelfth": "12"}
TOGETHER = re.compile(  # the articles that follow have no finding
    r"\b(?:in\s+conjunction|together|in\s+combination)\s+with|\bin\s+(?:relation\s+to|the\s+light\s+of)"
    r"|\bcombiné\w*\s+(?:avec|à)|\b(?:in\s+respect\s+of|as\s+regards|with\s+(?:regard|respect)\s+to|concerning|on\s+account\s+of"
    r"|in\s+(?:so\s+far|that)|for\s+(?:his|her|their|the)\s+complaint|as\s+well\s+as|quant\s+à|en\s+raison)\b",
    re.I,
)
BEGINS = re.compile(r"[;:]\s|\n\s{0,9}(?=\(?(?:\d{1,2}|[a-z]{1,4})[.)]\s|(?i:holds|dit)\b)")
ENDS = re.compile(r";|\.(?=\s{0,9}(?:\n|\Z))|\n\s{0,9}(?=\(?\d{1,2}[.)]\s)")
FARTHEST = 1_000  # characters from a finding to the ends of its item
REACH = 250  # characters behind "violation" in which its articles are named


def findings(text: str, start: int, end: int) -> tuple[Finding, ...]:
    """The findings of the operative part text[start:end], in the order of their first mention: bounds.ARTICLES at most.

    Of articles read in conjunction only the first has a finding: "Article 14 in conjunction with Article 8".

    >>> rules = "1. Holds that there has been no violation of Articles 8 and 13 of the Convention;"
    >>> [(found.article, found.violation) for found in findings(rules, 0, len(rules))]
    [('Article 8', False), ('Article 13', False)]
    """
    votes: dict[str, list[tuple[bool, tuple[int, int]]]] = {}
    for violation, articles, span in _statements(text, start, end):
        for article in articles:
            votes.setdefault(article, []).append((violation, span))
    return tuple(
        Finding(
            article,
            violations.pop() if len(violations := {violation for violation, _ in spans}) == 1 else None,
            tuple(dict.fromkeys(span for _, span in spans)),
        )
        for article, spans in islice(votes.items(), bounds.ARTICLES)
    )


def _statements(text: str, start: int, end: int) -> Iterator[tuple[bool, list[str], tuple[int, int]]]:
    for match in FINDING.finditer(text, start, end):
        first, last = _item(text, match.start(), start, end)
        if NOT_FOUND.search(text, first, match.start()):
            continue
        behind = text[match.end() : min(match.end() + REACH, last)]
        if articles := articles_in(behind):
            yield not any(match.groupdict().values()), articles, (first, last)
    for match in PASSIVE.finditer(text, start, end):
        first, last = _item(text, match.start(), start, end)
        before = text[max(first, match.start() - REACH) : match.start()]
        if not NOT_FOUND.search(before) and (articles := articles_in(before)):
            yield not match["not"], articles, (first, last)


def _item(text: str, offset: int, start: int, end: int) -> tuple[int, int]:
    """(start, end) of the numbered item, or the part of it between semicolons, around text[offset]."""
    first = max(start, offset - FARTHEST)
    begins = [match.end() for match in BEGINS.finditer(text, first, offset)]
    stop = ENDS.search(text, offset, min(end, offset + FARTHEST))
    return begins[-1] if begins else first, stop.start() if stop else min(end, offset + FARTHEST)


def articles_in(text: str) -> list[str]:
    """The articles named, up to those that are only read together with them.

    >>> articles_in(" of Article 6 §§ 1 and 3 (c) and Article 1 of Protocol No. 1 taken together with Article 8")
    ['Article 6 § 1', 'Article 6 § 3', 'Article 1 of Protocol No. 1']
    """
    text = NOTED.sub("", text)
    first = ARTICLE.search(text)
    if first and (together := TOGETHER.search(text, first.end())):
        text = text[: together.start()]
    found: list[str] = []
    for match in ARTICLE.finditer(text):
        numbers, offset = [], match.end()
        while number := NUMBER.match(text, offset):
            numbers.append(number)
            offset = number.end()
            joint = AND.match(text, offset)
            if not joint:
                break
            offset = joint.end()
        protocol = PROTOCOL.match(text, numbers[-1].end()) if numbers else None
        suffix = f" of Protocol No. {_number_of(protocol)}" if protocol else ""
        for number in numbers:
            name = f"Article {' '.join(number[1].split())}"
            paragraphs = _paragraphs(number["paragraphs"] or "")
            found += [f"{name} § {paragraph}{suffix}" for paragraph in paragraphs] or [f"{name}{suffix}"]
    return list(dict.fromkeys(found))


def _number_of(protocol: re.Match[str]) -> str:
    return protocol["code"] or protocol["number"] or ORDINALS.get((protocol["which"] or "first").strip().lower(), "1")


def _paragraphs(words: str) -> list[str]:
    """
    >>> _paragraphs(" §§ 1 (d) and 3-5")
    ['1', '3', '4', '5']
    """
    found: list[str] = []
    for match in re.finditer(r"(\d+)(?:\s*[-–]\s*(\d+))?", words):
        first, last = int(match[1]), int(match[2] or match[1])
        found += [str(number) for number in range(first, min(last, first + 20) + 1)]
    return found
