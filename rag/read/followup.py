"""A question that leans on the one before it ("And on MAG?", "When was she born?"), made whole: a search has no memory.

Whether it leans is told by its English words, so that a question that stands by itself is never touched. A reader makes
it whole, and its words are checked: it may take some from the question and the answer before, and leave none out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rag.read.cite import MARKER
from rag.read.generate import ChatReader, first_line
from rag.read.prompts import instead_messages, whole_messages
from rag.records import Answer

TOKENS = 64  # of a reply
OPENING = re.compile(r"(?:and|but|or|so|then)\b[\s,]*|(?:what|how) about\b\s*", re.IGNORECASE)
ABOUT = re.compile(r"(?:what|how) about\b", re.IGNORECASE)
# "How many are there?" and "Is it true that ..." point to nothing, "How many work there?" and "Is it true?" do.
POINTING = re.compile(
    r"\b(?:it(?! (?:true|possible|correct|likely|legal|lawful|necessary|common|takes?) (?:that|to|for)\b)"
    r"|they|them|theirs|he|him|she|hers|this|these|those|(?:which|the) ones?|the (?:former|latter|same)"
    r"|that(?=\W*$)|(?<!is )(?<!are )(?<!was )(?<!were )(?<!be )there)\b"
    r"|^(?:is|was|does|did|has|can|could|will|would) that\b",
    re.IGNORECASE,
)
# Of a name that stands before them ("When did Marie Curie get her prize?") these need no other question.
OWN = re.compile(r"\b(?:its|their|his|her|(?:it|him|her)self|themselves)\b", re.IGNORECASE)
NAME = re.compile(r"(?<=\s)[\"“']?[A-Z]")
VERB = re.compile(
    r"\b(?:is|are|was|were|be|been|do|does|did|has|have|had|can|could|will|would|shall|should|may|might|must)\b",
    re.IGNORECASE,
)
ASKING = frozenset("why how when where who whom which what".split())
BARE = ASKING | frozenset("since so not exactly else long much many come".split())
WORD = re.compile(r"[^\W_]+")
# Words that any question may have, whatever it is about.
COMMON = frozenset(
    "a an the of in on at by for to from with about against as and or but so then is are was were be been do does did "
    "has have had can could will would shall should may might must what which who whom whose when where why how many "
    "much long it its they them their he him his she her this that these those there one ones former latter "
    "same s t".split()
)
SAME = 4  # letters with which two forms of a word begin alike: "painted", "paint"


def leans(question: str) -> bool:
    """Whether it speaks of what another question named.

    >>> [leans(q) for q in ("And on MAG?", "When was she born?", "Why?", "When did Marie Curie get her prize?")]
    [True, True, True, False]
    """
    words = {word.casefold() for word in WORD.findall(question)}
    if OPENING.match(question) or POINTING.search(question) or (words and words <= BARE):
        return True
    own = OWN.search(question)
    return own is not None and not NAME.search(question[: own.start()])


def made_whole(question: str, before: Answer, reader: ChatReader) -> str | None:
    """The question as it would be asked with nothing before it; None where what the reader says is no such thing.

    Raises ReaderError.
    """
    said = "" if before.abstained else MARKER.sub("", before.answer)
    messages = _messages(question, before.question, said)
    reply = first_line("".join(reader.stream(messages, TOKENS)))
    return reply if _only_completes(reply, question, (before.question, said)) else None


def _messages(question: str, asked: str, answer: str) -> Sequence[tuple[str, str]]:
    """What has no verb of its own is the question before over again, of something else."""
    rest = OPENING.sub("", question, count=1) if OPENING.match(question) else ""
    if ABOUT.match(question) or (rest and not VERB.search(rest) and not POINTING.search(rest)):
        return instead_messages(asked, rest.strip().rstrip("?").strip())
    return whole_messages(asked, answer, question)


def _only_completes(reply: str, question: str, before: Sequence[str]) -> bool:
    """Whether it is one question, that says all of this one, and nothing that was not said.

    >>> _only_completes("Where was Tim Burton born?", "And where was he born?", ("Who directed Ed Wood?", "Tim Burton"))
    True
    """
    known = _has(" ".join((question, *before)))
    named = [word for word in WORD.findall(question[1:]) if word[0].isupper() or word[0].isdigit()]
    kept = named or [word for word in WORD.findall(question) if word.casefold() not in COMMON | BARE]
    kept = kept or [word for word in WORD.findall(question) if word.casefold() in ASKING][:1]  # "Why?"
    new = [word for word in WORD.findall(reply) if word.casefold() not in COMMON]
    return (
        not leans(reply)
        and reply.count("?") <= 1
        and len(new) > 0
        and all(map(known, new))
        and all(map(_has(reply), kept))
    )


def _has(text: str) -> Callable[[str], bool]:
    """Tells whether a word, or another form of it, is in the text."""
    words = {word.casefold() for word in WORD.findall(text)}
    begin = {word[:SAME] for word in words if len(word) >= SAME}

    def has(word: str) -> bool:
        word = word.casefold()
        return word in words or (len(word) >= SAME and word[:SAME] in begin)

    return has
