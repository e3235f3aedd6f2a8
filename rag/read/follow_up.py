"""Follow-ups ("And on MAG?", "When was she born?"): recognised by their English words, and rewritten by a reader.

A search has no memory, so a follow-up is asked as a question that stands by itself; one that does already is left as it
is. A rewriting is checked: it keeps the question's own words, and adds only words of the question and answer before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from rag.llm.chat import ChatModel, first_line
from rag.read.cite import MARKER
from rag.read.prompts import instead_messages, rewrite_messages
from rag.read.rules import pronouns
from rag.read.rules.pronouns import Parsed, Tier, Word, words_of
from rag.records import Answer

TOKENS = 64  # of a reply
SAME = 4  # letters with which two forms of a word begin alike: "painted", "paint"
FRAGMENT = 5  # words at most of a question that is a prepositional phrase alone: "On MAG?"
# Not "But for the strike, ...", "So far, ..." or "Then-president ...".
OPENING = re.compile(
    r"(?:(?:and|but(?! for\b)|so(?! (?:far|many|much|called|long|that)\b)|then|or(?! else\b)|also)\b(?![-/])[\s,]*)+",
    re.IGNORECASE,
)
CONTINUES = re.compile(r"(?:and|but|then)\b", re.IGNORECASE)  # "So" and "Or" may begin a conversation, too
ABOUT = re.compile(r"(?:what|how) about\b\s*", re.IGNORECASE)
CAUSING = words_of("makes made causes caused leads led keeps kept prevents prevented allows allowed attracts attracted")
BARE = (
    pronouns.ASKING
    | pronouns.COORDINATORS
    | words_of("since not exactly else long much many come for often then in to by from with that")
)
REQUESTS = words_of("tell give explain elaborate continue go more detail details example examples")
KINDS = words_of("kind sort type")
WORD = re.compile(r"[^\W_]+")
# Words that any question may have, whatever it is about.
COMMON = words_of(
    "a an the of in on at by for to from with about against as and or but so then is are was were be been do does did "
    "has have had can could will would shall should may might must what which who whom whose when where why how many "
    "much long it its they their them he his him she her this that these those there one ones former latter same s t"
)

LIGHT = words_of(
    "make made making take took taken place happen happened"
)  # a rewriting may say "was the decision made"


def classify(question: str) -> tuple[Tier, str]:
    """Whether a question is a follow-up, and which words of it point to another one ("" where none does alone).

    A question that is not recognised as English is taken to stand by itself.

    >>> classify("What year did it open?"), classify("How does BERT read a text and what does it return?")
    ((<Tier.FOLLOW_UP: 2>, 'it'), (<Tier.STANDALONE: 0>, ''))
    """
    parsed = Parsed(question)
    if not parsed.english():
        return Tier.STANDALONE, ""
    found = [*parsed.pointers(), _form(question, parsed)]
    tier, words = max(found, key=lambda each: each[0])  # the first of the surest
    return tier, words if tier else ""


def is_follow_up(question: str) -> bool:
    """Whether it is certainly a follow-up.

    >>> [is_follow_up(q) for q in ("And on MAG?", "When was she born?", "Why?", "When did Marie Curie get her prize?")]
    [True, True, True, False]
    """
    return classify(question)[0] is Tier.FOLLOW_UP


def rewrite_standalone(question: str, before: Answer, reader: ChatModel) -> str | None:
    """Query rewriting: the follow-up as a standalone question; None where the reader's rewrite is not one.

    Raises ReaderError.
    """
    reply, stands_alone = rewrite(question, before, reader)
    return reply if stands_alone else None


def rewrite(question: str, before: Answer, reader: ChatModel) -> tuple[str, bool]:
    """What a reader makes of a follow-up, and whether it stands by itself.

    "" where it is neither that nor the question with words of the turn before put behind it ("Why did they switch"
    "from C++ to Rust"), which says more than the question does, within the documents cited before. Raises ReaderError.
    """
    said = "" if before.abstained else MARKER.sub("", before.answer)
    messages = _messages(question, before.question, said)
    reply = first_line("".join(reader.stream(messages, TOKENS)))
    stands_alone = _only_completes(reply, question, (before.question, said))
    return reply if stands_alone or _adds_to(reply, question, (before.question, said)) else "", stands_alone


def _adds_to(reply: str, question: str, before: Sequence[str]) -> bool:
    """Whether it is the question, and behind it words of the turn before.

    >>> _adds_to("Why did they switch from C to Rust?", "And why did they switch?", ("Rust; at first it was in C.",))
    True
    """
    own, new = (WORD.findall(text.casefold()) for text in (_opened(question)[1], reply))
    known = _has(" ".join(before))
    added = [word for word in new[len(own) :] if word not in COMMON | LIGHT]
    return new[: len(own)] == own and bool(added) and all(map(known, added)) and reply.count("?") <= 1


def clarification(question: str, before: str) -> str:
    """What to say of a follow-up that was not understood, with an example where the one `before` is about one name.

    >>> clarification("Where was he born?", "Who directed Ed Wood?")
    'I wasn’t sure who “he” refers to. Please ask again and name it, e.g. “Where was Ed Wood born?”'
    """
    pointing = classify(question)[1]
    if not pointing:
        return "I wasn’t sure what this question refers to. Please ask again and say what it is about."
    asked = "who" if pointing in pronouns.OF_PEOPLE else "what"
    ask = f"I wasn’t sure {asked} “{pointing}” refers to. Please ask again and name it"
    parsed = Parsed(before)
    phrases = [parsed.phrase(each) for each in parsed.antecedents]
    if len(phrases) != 1 or parsed.antecedents[0].kind != "name" or pointing not in pronouns.PERSONAL - {"her"}:
        return f"{ask}."
    example = re.sub(rf"\b{pointing}\b", lambda _: phrases[0], question, count=1, flags=re.IGNORECASE)
    return f"{ask}, e.g. “{example}”"


# -- what the form of a question says ----------------------------------------------------------------------------------


def _form(question: str, parsed: Parsed) -> tuple[Tier, str]:
    """What the opening and the length of a question say; its pronouns come on top."""
    words = [word.low for word in parsed.words if word.low[0].isalnum()]
    opening, rest = _opened(question)
    definite = re.search(r"\bthe [^\W_]+", rest)
    what = definite[0] if definite else ""
    content = [word for word in words if word not in pronouns.FUNCTION | KINDS]
    if words and ({*words} <= BARE or (content and {*content} <= REQUESTS)):
        return Tier.FOLLOW_UP, ""  # "Why?", "Tell me more."
    if _elliptical(question):
        return Tier.FOLLOW_UP, what
    common = pronouns.PERSONS | pronouns.BODIES
    named = any(
        word.low[0].isdigit() or (name and word.low not in common)
        for word, name in zip(parsed.words, parsed.names, strict=True)
    )
    if opening and not ABOUT.match(rest):
        return Tier.FOLLOW_UP if CONTINUES.match(opening) and not named else Tier.UNCLEAR, what
    short = len(content) <= 1 and pronouns.ASKING & {*words} and not pronouns.AUXILIARIES & {*words}  # "Which states?"
    asked = pronouns.ASKING | pronouns.DETERMINERS
    more = any(a in asked and b in ("else", "other", "others") for a, b in pairwise(words)) and "than" not in words
    return Tier.UNCLEAR if not named and (short or more) else Tier.STANDALONE, ""


def _opened(question: str) -> tuple[str, str]:
    """The conjunctions that a question opens with, and its rest."""
    opening = OPENING.match(question)
    return (opening[0], question[opening.end() :]) if opening else ("", question)


def _elliptical(question: str) -> bool:
    """Whether it has no verb of its own: "And on MAG?", "What about theft?", "For women?"."""
    opening, rest = _opened(question)
    if about := ABOUT.match(rest):
        return not _has_verb(Parsed(rest[about.end() :]).words)
    words = [word.casefold() for word in WORD.findall(rest)]
    if not words or (pronouns.AUXILIARIES | pronouns.ASKING) & {*words}:
        return False
    return bool(opening) or (words[0] in pronouns.PREPOSITIONS and len(words) <= FRAGMENT)


def _has_verb(words: Sequence[Word]) -> bool:
    """Whether "What about X ..." goes on to a verb: "the weather makes the ferry late".

    An object betrays a verb that is in no list: a determiner behind a noun, before any relative clause.
    """
    objects = pronouns.DETERMINERS | pronouns.PERSONAL | {"this", "you"}
    for before, word in pairwise(words):
        if word.low in pronouns.SUBORDINATORS:
            return False
        noun = before.low not in pronouns.FUNCTION and before.low[0].isalnum()
        if word.low in pronouns.AUXILIARIES - {"s"} or (noun and word.low in CAUSING | objects):
            return True
    return False


# -- rewriting ---------------------------------------------------------------------------------------------------------


def _messages(question: str, asked: str, answer: str) -> Sequence[tuple[str, str]]:
    """What has no verb of its own is the question before over again, of something else.

    A small reader puts a question that opens with "And" behind the one before instead of rewriting it.
    """
    rest = _opened(question)[1] or question
    what = ABOUT.sub("", rest, count=1)
    points = ((pronouns.PERSONAL - {"her"}) | pronouns.DEMONSTRATIVE) & {word.casefold() for word in WORD.findall(what)}
    if what and _elliptical(question) and (what != rest or not points):
        return instead_messages(asked, what.strip().rstrip("?").strip())
    words = {word.casefold() for word in WORD.findall(rest)}
    definite = "the" in words and not words & (pronouns.PERSONAL | pronouns.POSSESSIVE | pronouns.DEMONSTRATIVE)
    return rewrite_messages(asked, answer, rest[:1].upper() + rest[1:], definite)


def _only_completes(reply: str, question: str, before: Sequence[str]) -> bool:
    """Whether it is one question, that says all of this one, something of what came before, and nothing else.

    >>> _only_completes("Where was Tim Burton born?", "And where was he born?", ("Who directed Ed Wood?", "Tim Burton"))
    True
    """
    known, own = _has(" ".join((question, *before))), _has(question)
    named = [word for word in WORD.findall(question[1:]) if word[0].isupper() or word[0].isdigit()]
    kept = named or [word for word in WORD.findall(question) if word.casefold() not in COMMON | BARE | REQUESTS]
    kept = kept or [word for word in WORD.findall(question) if word.casefold() in pronouns.ASKING][:1]  # "Why?"
    content = [word for word in WORD.findall(reply) if word.casefold() not in COMMON | LIGHT]
    return (
        classify(reply)[0] is Tier.STANDALONE
        and reply.count("?") <= 1
        and not all(map(own, content))
        and all(map(known, content))
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
