"""Support: how sure it is that the evidence bears an answer out, and each of its sentences. An estimate, not a proof.

By a judge of natural language inference where one is named (`reader.judge`), else by the reader's own yes or no. Its
sibling in training, which knows the gold answer, is rag/read/reward.py's EQR.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rag.read.cite import MARKER
from rag.read.generate import ChatReader, Usage
from rag.read.match import fold, mentioned
from rag.read.notes import NAME
from rag.read.prompts import NO_PICTURES, claim_messages, statement_messages, support_messages
from rag.read.quotes import Quote
from rag.read.reward import Judge, hypothesis
from rag.records import Hit, Statement
from rag.sentences import sentence_spans

# What a reader says instead of an answer: "not mentioned", "The answer is not given in the passages", "I don't know".
NO_ANSWER = re.compile(
    r"((it|this|that|the (answer|question|information|passages?|text|evidence))\b.{0,60}?\s)?"
    r"((is|are|was|were|does|do|did|has|have|can|could)\s)?"
    r"(n/?a|none|unknown|unclear|unanswerable|no (answer|information|mention|relevant|evidence)\b.*"
    r"|(not|cannot|can't|don't|doesn't|isn't)\s(be\s)?(mention|state|give|given|specif|provid|avail|applic|found|known|answer|say|tell|"
    r"contain|in the (passages?|text))\w*\b.*"
    r"|i (do not|don't|cannot|can't) .*|there is no .*)?"
)


def unmentioned(question: str, evidence: Sequence[Hit]) -> list[str]:
    """The names in the question that the evidence does not speak of: half of their words at most stand there.

    Only names of two words or more, as a language may write all its nouns with a capital. Of 160 questions of HotpotQA
    there are such names in none with its gold passages among five, and in 35 without them (eval/log.md).
    """
    texts = [f"{hit.passage.title} {hit.passage.searched}" for hit in evidence]
    names = [_after(match[0].strip("."), match.start() == 0) for match in NAME.finditer(question)]
    return [name for name in dict.fromkeys(names) if " " in name and mentioned(name, texts) <= 0.5]


def _after(name: str, first: bool) -> str:
    """A name without "The", and without the word that begins the question, which has a capital anyway."""
    return name.partition(" ")[2] if first or name.startswith("The ") else name


def support_score(
    reader: ChatReader,
    question: str,
    evidence: Sequence[Hit],
    answer: str,
    quotes: Sequence[Quote],
    usage: Usage,
    pictures: Mapping[int, bytes] = NO_PICTURES,
    goes_on: bool = True,
    judge: Judge | None = None,
) -> float:
    """0..1; 0 without a quote, or where the evidence does not speak of what the question names.

    With a judge: whether the quotes entail that this is the answer.

    Without one the mean of two probabilities of "yes". One is asked in the conversation that gave the answer, all
    passages before it (`goes_on`: it was the one just held), one of the best quote's passage alone. Together they tell
    right answers from answers without gold evidence with an AUC of 0.94, where the first alone has 0.91 and the second
    0.87 (HotpotQA train, 1.5B, 11 against 16; eval/log.md).
    """
    if not quotes or unmentioned(question, evidence):
        return 0.0
    if judge is not None:
        premise = " ".join(f"{quote.hit.passage.title}: {quote.text}" for quote in quotes)
        return float(judge([premise], [hypothesis(question, answer)])[0])
    in_all = reader.yes_probability(support_messages(question, evidence, answer, pictures), usage, goes_on=goes_on)
    in_best = reader.yes_probability(claim_messages(question, answer, quotes[0].hit.passage), usage)
    return (in_all + in_best) / 2


def statements(
    reader: ChatReader,
    cited: str,
    quotes: Sequence[Quote],
    support: float | None,
    threshold: float,
    usage: Usage,
    judge: Judge | None = None,
) -> tuple[Statement, ...]:
    """The sentences of a cited answer, each with its support by what it cites, or by all quotes if it cites nothing.

    An answer of one sentence has the support that it was given as a whole (None: it was not asked for, and there are no
    statements); of several, each is asked about by itself.
    """
    spans = sentence_spans(re.sub("[\ud800-\udfff]", "?", cited))  # a reader's reply may hold half a character
    if support is None or not spans:
        return ()
    if len(spans) == 1:
        return (Statement(*spans[0], round(support, 4), support >= threshold),)
    found = []
    for start, end in spans:
        ranks = {int(rank) for marker in MARKER.finditer(cited, start, end) for rank in re.findall(r"\d+", marker[1])}
        some = [quote for quote in quotes if quote.hit.rank in ranks] or list(quotes)
        passages = list({quote.hit.passage.passage_id: quote.hit for quote in some}.values())
        sentence = MARKER.sub("", cited[start:end]).strip()
        if judge is not None:
            value = float(judge([" ".join(hit.passage.text for hit in passages)], [sentence])[0])
        else:
            value = reader.yes_probability(statement_messages(sentence, passages), usage)
        found.append(Statement(start, end, round(value, 4), value >= threshold))
    return tuple(found)


def declines(draft: str) -> bool:
    """Whether the reader's reply says that it has no answer (or says nothing).

    >>> declines("It is not mentioned in the passages."), declines("Not Without My Daughter")
    (True, False)
    """
    return bool(NO_ANSWER.fullmatch(fold(draft).strip(" .")))
