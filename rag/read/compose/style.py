"""Which way of answering a question asks for, by its English words: a phrase, sentences, a list, two sides, a summary.

A rule proposes, the user decides (`ask --style`, and a choice on the page).
"""

from __future__ import annotations

import re
from typing import Literal, cast, get_args

Style = Literal["short", "explain", "list", "compare", "summary"]
STYLES: tuple[Style, ...] = get_args(Style)
AUTO = "auto"  # in place of a style: the one that the question asks for

NUMBER = r"(?:two|three|four|five|six|seven|eight|nine|ten|several|some|\d{1,2})"
PLURAL = (
    r"(?:(?!(?:has|does|was|is|this|its|his|us|as|always|less|plus|perhaps|series|species|news)\b)\w+(?:[^sui\W]s|ies|ses)"
    r"|criteria|people|data|media)"
)
# words between "which" and its noun: none that would begin another phrase
FILLER = (
    r"(?:(?!(?:of|in|on|at|by|for|to|from|with|than|that|who|which|what|is|are|was|were|do|does|did|has|have|had|can|could|"
    r"will|would|should|may|might|must|and|or|the|an?|his|her|its|their)\b)[\w'-]+ ){0,3}?"
)
AUXILIARY = r"(?:are|were|do|does|did|has|have|had|can|could|will|would|should|must|may|might|is|was)"
SUMMARY = re.compile(
    r"\bsummari[sz](?:e|ing)\b|\b(?:an?|in|short|brief) summary\b|\bsummary(?: of\b| please|[?,.:]|\W*$)"
    r"|\btl;? ?dr\b|\bin a nutshell\b|\bgist\b|\boverview\b"
    r"|\bsum (?:it |this |that )?up\b|\bin (?:a few|two|three|four|five|\d+) (?:lines|sentences|words)\b"
    r"|\b(?:main|key|central) (?:points?|findings?|ideas?|takeaways?|messages?|themes?|topics?|conclusions?|results?|"
    r"contributions?|claims?|arguments?)\b"
    r"|\bwhat(?:'s| is| was| are| were) [^?]{1,80}\babout\s*(?:[?,.;]|and\b|in\b|$)",
    re.IGNORECASE,
)
COMPARE = re.compile(
    r"\bdiffer(?:s|ed|ence|ences|ent|ently)?\b|\bcompar(?:e|es|ed|ing|ison)\b|\bversus\b|\bvs\b|\bcontrast(?:s|ed)?\b"
    r"|\b(?:better|worse) than\b|\bsimilar(?:ities|ity|ly)\b|\bsimilar and\b|\bas opposed to\b|\bpros and cons\b"
    r"|\badvantages? (?:of .* )?over\b|\bin (?:each|both) cases?\b",
    re.IGNORECASE,
)
LIST = re.compile(
    r"^\W*(?:please )?(?:list|name|enumerate|give (?:me )?(?:all|the|some|examples))\b"
    rf"|\b(?:what|which) (?:are|were) (?:all )?(?:the |its |their |his |her )?{FILLER}{PLURAL}\b"
    rf"|\b(?:what|which) {FILLER}{PLURAL} (?:{AUXILIARY}|in|of|to|for|that|come|came)\b"
    rf"|\b(?:what|which) {PLURAL} the\b"  # of "which loss function trains the model?" the word before is a verb
    rf"|(?<!\bin )(?<!\bof )(?<!\bfor )\bwhich {PLURAL} \w+"
    rf"|^\W*(?:the )?{NUMBER} {FILLER}{PLURAL}\b|\b(?:the|what|which|these) {NUMBER} {FILLER}{PLURAL}\b"
    r"|\b(?:criteria|requirements|conditions|principles|steps|factors|arguments) (?:for|of|that|to|the)\b",
    re.IGNORECASE,
)
LISTED_FIRST = re.compile(r"^\W*(?:please )?(?:list|name|enumerate|which|what) ", re.IGNORECASE)
WHY = re.compile(r"\bwhy\b|\bhow come\b|\bexplain\b|\bdescribe\b|\bwhat for\b", re.IGNORECASE)
EXPLAIN = re.compile(
    rf"\bhow (?:{AUXILIARY}|to|exactly)\b"
    r"|\bwhat(?:'?s| is| was)? (?:the |a )?(?:point|purpose|role|idea|meaning|use|story|reason)\b"
    r"|\bwhat (?:made|makes|caused|causes|happen(?:s|ed)?|led|leads|drove|drives)\b|\btell me\b"
    r"|\b(?:mean|means|meant)\b|\bdefin(?:e|ition)\b"
    r"|\bwhat(?:'?s| is| are) (?:an? |the )?[\w'-]+(?: [\w'-]+)?\s*(?:exactly|,|\?|$)"
    r"|\bwhat (?:do|does|did)\b(?!.*\b(?:stand for|cost|weigh|measure|pay|earn|call|sell|receive|win)\b)",
    re.IGNORECASE,
)
FACT = re.compile(
    r"\b(?:who|whom|whose|when|where|which|what|how (?:many|much|long|old|far|often|large|big|high|tall|fast|wide|deep|"
    rf"heavy|late|early|accurate|close|likely))\b|^\W*(?:(?:and|so|but|then)\b\W*)?{AUXILIARY}\b",
    re.IGNORECASE,
)


def style_of(question: str) -> Style:
    """The style that a question asks for. One that is not recognised gets sentences.

    >>> [style_of(q) for q in ("Who built it?", "Why was it built?", "Which baselines is it compared with?")]
    ['short', 'explain', 'list']
    >>> [style_of(q) for q in ("How does a differ from b?", "Summarise the paper in five sentences")]
    ['compare', 'summary']
    """
    if SUMMARY.search(question):
        return "summary"
    listed = bool(LIST.search(question))
    if COMPARE.search(question) and not (listed and LISTED_FIRST.match(question) and "differ" not in question.lower()):
        return "compare"
    if WHY.search(question):
        return "explain"
    if listed:
        return "list"
    if EXPLAIN.search(question) or not FACT.search(question):
        return "explain"
    return "short"


def style_for(question: str, style: str, standalone: str = "") -> Style:
    """The style that was chosen, one of STYLES, or for "auto" the one that a question asks for.

    A follow-up that does not say it asks for what the `standalone` question does that it was taken for.

    >>> style_for("And on MAG?", "auto", "What F1 does it reach on MAG?"), style_for("And on MAG?", "auto")
    ('short', 'explain')
    """
    if style != AUTO:
        return cast(Style, style)
    says_it = any(words.search(question) for words in (SUMMARY, COMPARE, LIST, WHY, EXPLAIN, FACT))
    return style_of(question if says_it or not standalone else standalone)
