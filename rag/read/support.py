"""Support: how sure it is that the evidence bears an answer out, and each of its sentences. An estimate, not a proof.

By a judge of natural language inference where one is named (`reader.judge`), else by the reader's own yes or no. Its
sibling in training, which knows the gold answer, is rag/train/reward.py's EQR.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rag.llm.chat import ChatModel, Usage
from rag.read.cite import MARKER
from rag.read.entailment import Judge, hypothesis
from rag.read.match import fold, mentioned
from rag.read.notes import NAME
from rag.read.prompts import ASKED_AFTER, NO_PICTURES, claim_messages, statement_messages, support_messages
from rag.read.quotes import Quote
from rag.records import Hit, Statement
from rag.sentences import sentence_spans

# What a reader says in place of an answer: there is none, the passages do not say it, or it does not know.
_PASSAGES = (
    r"(?:(?:the|this|these|any|either)(?: of the)? )?(?:given |provided )?(?:passages?|text|context|documents?)\b"
)
_MISSING = r"(?:mentioned|stated|specified|given|provided|found|available|known|clear)"
_NOT = r"(?:\bnot|n't|\bcannot|\bnone|\bno (?:relevant )?(?:answer|information|mention|evidence))\b"
NO_ANSWER = tuple(
    re.compile(form)
    for form in (
        rf"(?:(?:the answer|it|this) is )?(?:none|n/?a|unknown|unclear|unanswerable|not (?:\w+ly )?{_MISSING})",
        r"(?:there is )?(?:no|not enough) (?:relevant )?(?:answer|information|mention)"
        r"(?: (?:(?:is )?(?:found|given)|about|on|of|to answer)\b.*)?",
        rf"[^.;]*{_NOT}[^.;]* (?:in|by|from|of) {_PASSAGES}.*|{_PASSAGES}(?: \d+)? (?:do|does) ?(?:not|n't)\b.*",
        r"i (?:do not|don't|cannot|can't) (?:know|answer|find|determine|have (?:enough|any) information)\b.*",
    )
)

# A text speaks of Mrs Zaykina without it: "the applicant, Ms Zaykina".
ADDRESS = re.compile(r"(?:(?:Mrs?|Ms|Miss|Mx|Dr|Prof(?:essor)?|Sir|Madam|Dame|Lord|Lady|Judge|Justice)\b\.?\s*)+")


def unmentioned(question: str, evidence: Sequence[Hit]) -> list[str]:
    """The names in the question that the evidence does not speak of: half of their words at most stand there.

    Only names of two words or more, as a language may write all its nouns with a capital. Of 160 questions of HotpotQA
    there are such names in none with its gold passages among five, and in 35 without them (eval/log.md).
    """
    texts = [f"{hit.passage.title} {hit.passage.searched}" for hit in evidence]
    asked = question.partition(ASKED_AFTER)[0]  # of the turn before a follow-up, much is said elsewhere
    names = [_after(match[0].strip("."), match.start() == 0) for match in NAME.finditer(asked)]
    return [name for name in dict.fromkeys(names) if " " in name and mentioned(name, texts) <= 0.5]


def _after(name: str, first: bool) -> str:
    """A name without "The", a form of address, and the word that begins the question, which has a capital anyway."""
    name = name.partition(" ")[2] if first or name.startswith("The ") else name
    return ADDRESS.sub("", name)


def support_score(
    reader: ChatModel,
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
    reader: ChatModel,
    cited: str,
    quotes: Sequence[Quote],
    support: float | None,
    threshold: float,
    usage: Usage,
    judge: Judge | None = None,
) -> tuple[Statement, ...]:
    """The sentences of a cited answer, each with its support by what it cites, or by all quotes if it cites nothing.

    An answer of one sentence has the support that it was given as a whole (None: it was not asked for, and there are no
    statements); of several, each is asked about by itself, where there is a judge or a reader that judges.
    """
    spans = sentence_spans(re.sub("[\ud800-\udfff]", "?", cited))  # a reader's reply may hold half a character
    if support is None or not spans:
        return ()
    if len(spans) == 1 or (judge is None and not reader.judges):
        return (Statement(spans[0][0], spans[-1][1], round(support, 4), support >= threshold),)
    found = []
    for start, end in spans:
        ranks = {int(rank) for marker in MARKER.finditer(cited, start, end) for rank in re.findall(r"\d+", marker[1])}
        relevant = [quote for quote in quotes if quote.hit.rank in ranks] or list(quotes)
        passages = list({quote.hit.passage.passage_id: quote.hit for quote in relevant}.values())
        sentence = MARKER.sub("", cited[start:end]).strip()
        if judge is not None:
            value = float(judge([" ".join(hit.passage.text for hit in passages)], [sentence])[0])
        else:
            value = reader.yes_probability(statement_messages(sentence, passages), usage)
        found.append(Statement(start, end, round(value, 4), value >= threshold))
    return tuple(found)


def declines(draft: str) -> bool:
    """Whether the reader's reply says that it has no answer (or says nothing).

    The prompt asks for the answer and for no such reply, since a small reader answers best so; the 1.5B never declines
    (none of 615 replies), and its abstentions are by support. These few forms are what larger readers say unasked. A
    "no" about anything but the passages is an answer.

    >>> declines("It is not mentioned in the passages."), declines("No evidence of violation")
    (True, False)
    """
    reply = fold(draft).strip(" .")
    first = re.split(r"[.;:] ", reply)[0]
    return not reply or any(form.fullmatch(first) for form in NO_ANSWER)
