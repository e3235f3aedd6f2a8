"""Which words of an English question point to another question: pronouns whose antecedent does not stand in it.

No parts of speech are tagged. The rules go by function words, determiners and capital letters, and say "unclear" where
these are not enough. A question that is not recognised as English points to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice
from typing import Literal, NamedTuple


class Tier(IntEnum):
    """How sure it is that a question is a follow-up."""

    STANDALONE = 0
    UNCLEAR = 1  # something points, perhaps to what the question itself names
    FOLLOW_UP = 2


def words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOST = 200  # words that are looked at: what is longer points to nothing else
ABBREVIATION = 3  # letters at most of a word whose full stop ends no sentence: "v.", "Mrs."
# Contractions are split at their apostrophe: "it's" is "it", "s".
BE = words_of("is are was were be been s re isn aren wasn weren")
AUXILIARIES = BE | words_of(
    "am do does did has have had ve can could will would ll d shall should may might must don doesn didn hasn haven "
    "hadn couldn wouldn shouldn won"
)
ASKING = words_of("why how when where who whom whose which what")
PREPOSITIONS = words_of(
    "of in on at by for to from with about against into onto over under between among through during within without "
    "across per via near around behind above below toward towards despite besides regarding concerning as than after "
    "before since until upon beyond"
)
CLAUSES = words_of("when while because if whether although though unless once")  # a subject follows
SUBORDINATORS = ASKING | CLAUSES | {"that"}
TIMED = words_of("after before since until than as like")  # subordinators, or prepositions: "before it"
COORDINATORS = words_of("and but or so")
POSSESSIVE = words_of("its their his her hers theirs itself himself herself themselves")
DETERMINERS = words_of(
    "a an the each every some any no all both either neither another two three four five six seven eight nine ten many "
    "several few most my your our its their his her"
)
PERSONAL = words_of("it they them he him she her")
SUBJECTS = words_of("they he she")  # forms that are no object
OF_PEOPLE = words_of("he him she her his hers himself herself")
DEMONSTRATIVE = words_of("this these those that")
ADVERBS = words_of(
    "not also still ever even just only really exactly then now already yet often usually too very more so much first "
    "again else there here t"
)
FUNCTION = frozenset().union(
    AUXILIARIES, PREPOSITIONS, SUBORDINATORS, TIMED, COORDINATORS, POSSESSIVE, DETERMINERS, PERSONAL, DEMONSTRATIVE,
    ADVERBS, words_of("i you we me us one ones other others same such yes nor"),
)  # fmt: skip
# "He" and "she" stand for these for certain; for what another noun names, perhaps.
PERSONS = words_of(
    "man woman boy girl child person people mother father son daughter brother sister wife husband parent friend "
    "author writer poet painter artist composer musician singer actor actress director producer editor journalist "
    "reporter host guest speaker presenter interviewer narrator listener founder owner inventor scientist researcher "
    "professor teacher student doctor nurse patient lawyer judge applicant defendant claimant plaintiff respondent "
    "appellant petitioner prosecutor witness victim prisoner detainee accused suspect officer soldier general captain "
    "president minister king queen prince princess emperor bishop pope priest mayor governor senator manager employee "
    "employer worker assistant tenant landlord buyer seller user reader customer passenger driver"
)
# "This paper", "this year": what is being searched, or the present, and no word of another question.
HERE = words_of(
    "paper document article text book report study judgment judgement case decision ruling episode podcast show talk "
    "interview recording transcript chapter file pdf library collection contract agreement lease policy handbook "
    "manual guide thesis dissertation publication year month week morning evening"
)
# In judgments capital letters make no name of these: "the Court".
BODIES = words_of("court government state chamber commission committee council board company parliament")
VAGUE = words_of("time year month week day date moment end beginning start reason lot")  # "at the time": no antecedent
# "It" stands for the clause that follows one of these ("necessary to award damages"), or for nothing.
EVALUATIVE = words_of(
    "true possible impossible likely unlikely unlawful necessary unnecessary common uncommon rare important essential "
    "correct right wrong fair unfair safe unsafe dangerous risky hard difficult easy easier harder simple better best "
    "worse worst good bad ok okay fine clear unclear obvious evident apparent certain sure enough worth worthwhile "
    "useless advisable compulsory optional valid sufficient appropriate reasonable unreasonable justified acceptable "
    "permissible feasible wise foolish cheap cheaper expensive faster slower healthy strange odd surprising inevitable "
    "desirable polite rude against"
)
EVALUATING = ("al", "ful", "ous", "ary")  # endings: "legal", "useful", "dangerous", "customary"
COSTING = words_of("take takes took taken cost costs mean means meant feel feels pay pays help helps hurt hurts makes")
SEEMING = words_of("seem seems seemed appear appears appeared turn turns turned follow follows happen happens happened")
SAYING = words_of("said known thought shown found say says state states mention mentions")
WEATHER = words_of("rain rains rained raining snow snows snowed snowing dark cold hot warm late summer winter")
LINKS = words_of("to that whether if when")
# Words that English has and German, French and Spanish have not ("was", "so", "or", "he" and "her" are theirs, too);
# and words of those three.
ENGLISH = words_of(
    "what who whom whose which when where why how the and but are were did does do had could would should it its they "
    "them their she this these those that there with about from for by you then tell explain more"
)
ELSEWHERE = words_of(
    "wer wie wo wann warum wieso weshalb welche welcher welches welchen hat haben ist sind wird wurde wurden der den "
    "dem das ein eine einen und nicht für von zu zum zur mit auf im qui que quoi quel quelle quels quelles quand où "
    "comment pourquoi est ont été dans les des une du et la le qué quién quiénes cuál cuáles cuándo cuánto dónde cómo "
    "por es son fue ha han los las el del y"
)
ENGLISH_VERB = re.compile(r"\b(?:is|was|has|can|will|may|must)\s+(?:he|her|his)\b", re.IGNORECASE)
QUOTED = re.compile(r"[\"“„«][^\"“”„«»]{1,200}[\"”“»]|(?<!\w)['‘][^'‘’]{1,80}['’](?!\w)")
TOKEN = re.compile(r"[^\W_]+|[,;:.?!()]")


class Word(NamedTuple):
    text: str
    low: str
    start: int  # in the question


class Antecedent(NamedTuple):
    """A noun phrase, words[start:end]. A verb behind it may be taken along: "the mill closed"."""

    start: int
    end: int
    kind: Literal["name", "person", "thing"]
    subject: bool  # it stands where subjects do: "Did the mill ...", "when the mill ..."


class Parsed:
    """A question's words, the noun phrases that a pronoun in it may stand for, and the words that point."""

    def __init__(self, question: str):
        self._question = question
        text = QUOTED.sub(lambda quoted: "Q" + "q" * (len(quoted[0]) - 1), question)  # a name
        text = text.lower() if text.isupper() else text
        self.words = [
            Word(found[0], found[0].casefold(), found.start()) for found in islice(TOKEN.finditer(text), MOST)
        ]
        self.names = [self._is_name(i) for i in range(len(self.words))]
        self._asked = self._interrogative()
        self.antecedents = list(self._noun_phrases())

    def english(self) -> bool:
        """Whether it has more words that only English has than words of other languages."""
        seen = [word.low for i, word in enumerate(self.words) if i == 0 or word.text == word.low]
        english = sum(word in ENGLISH for word in seen) + len(ENGLISH_VERB.findall(self._question))
        return english > sum(word in ELSEWHERE for word in seen)

    def pointers(self) -> Iterator[tuple[Tier, str]]:
        """What each word that points says, and which it is; where some sentences ask, only those do."""
        ends = [i for i in range(len(self.words)) if i + 1 == len(self.words) or self._begins(i + 1)]
        asks = [i for i in ends if self._low(i) == "?"] or ends
        for i, word in enumerate(self.words):
            name = word.text in ("IT", "US") or (word.text != word.low and not self._begins(i))  # "the IT department"
            if not name and next(end for end in ends if end >= i) in asks and (what := self._points(i)):
                yield self._resolve(i), what

    def phrase(self, each: Antecedent) -> str:
        """As it stands in the question."""
        last = self.words[each.end - 1]
        return self._question[self.words[each.start].start : last.start + len(last.text)]

    # -- words

    def _low(self, i: int) -> str:
        """The word in small letters, "?" beyond either end."""
        return self.words[i].low if 0 <= i < len(self.words) else "?"

    def _is_content(self, i: int) -> bool:
        return self._low(i)[0].isalnum() and self._low(i) not in FUNCTION

    def _begins(self, i: int) -> bool:
        """Whether a sentence begins here."""
        return i == 0 or self._low(i - 1) in "?!" or (self._low(i - 1) == "." and len(self._low(i - 2)) > ABBREVIATION)

    def _is_name(self, i: int) -> bool:
        text, low, _ = self.words[i]
        if text == low or low == "i":
            return False
        following = self.words[i + 1].text if i + 1 < len(self.words) else ""
        looks = text[1:] != low[1:] or following != following.casefold()  # "SPECTER ...", "Tim Burton ..."
        acts = self._is_content(i + 1) and following.endswith(("s", "ed"))  # "Heather discusses her ..."
        return not self._begins(i) or (low not in FUNCTION and (looks or acts))

    # -- noun phrases

    def _interrogative(self) -> set[int]:
        """Places of what is asked for, which is no antecedent: "What year" of "What year did it open?"."""
        places: set[int] = set()
        for i, word in enumerate(self.words):
            if word.low in ASKING:
                j = i + 1
                while (self._is_content(j) and not self.names[j]) or self._low(j) in ("many", "much", "few", "of"):
                    j += 1 + (self._low(j) == "of" and self._low(j + 1) in DETERMINERS)
                if i <= 1 or self._low(j) in AUXILIARIES:
                    places.update(range(i, j))
        return places

    def _noun_phrases(self) -> Iterator[Antecedent]:
        lower = all(word.text == word.low for word in self.words[1:])  # as many people type: no name shows
        end = 0
        for i in range(len(self.words)):
            subject = i == 0 or self._low(i - 1) in AUXILIARIES | SUBORDINATORS | COORDINATORS | {","}
            if i < end or i in self._asked or not self._low(i)[0].isalpha():
                continue
            first = i + (self._low(i) in DETERMINERS)
            if self.names[first : first + 1] == [True]:
                end = first + 1
                while end < len(self.words) and (self.names[end] or self._low(end)[0].isdigit() or self._joins(end)):
                    end += 1
                yield Antecedent(i, end, "name", subject)
            elif first > i:
                if self._is_content(first) and self._low(first) not in VAGUE:
                    yield self._noun(i, first, subject)
            elif self._is_content(i) and self._low(i) not in VAGUE:
                if self._bare_subject(i):
                    noun = self._noun(i, i, True)
                    yield noun._replace(kind="name") if lower and subject else noun
                elif self._low(i - 1) in PREPOSITIONS - {"to"} and not self._low(i).endswith("ing"):
                    yield self._noun(i, i, False)

    def _joins(self, i: int) -> bool:
        """Whether "v." stands between two names."""
        return self._low(i) in ("v", "vs", ".") and not self._begins(i + 1) and any(self.names[i + 1 : i + 3])

    def _noun(self, start: int, first: int, subject: bool) -> Antecedent:
        end = self._run(first)
        person = any(word.low in PERSONS or word.low.removesuffix("s") in PERSONS for word in self.words[first:end][:3])
        return Antecedent(start, end, "person" if person else "thing", subject)

    def _run(self, i: int) -> int:
        """Where the content words that begin here end, or a name begins."""
        while self._is_content(i) and not self.names[i]:
            i += 1
        return i

    def _bare_subject(self, i: int) -> bool:
        """Whether a noun without determiner is a subject: "Do cats ...", "Why are cats ...", "when cats ..."."""
        verb, before = self._low(i - 1), self._low(i - 2)
        if verb in CLAUSES and i > 1:
            return True
        if verb not in AUXILIARIES:
            return False
        if verb in ("do", "does", "did") or before in ("when", "where", "why", "how", "and", ",", "?"):
            return True
        ends = self._low(self._run(i)) in COORDINATORS | CLAUSES | TIMED | {","}
        return ends and i - 2 in self._asked  # "What is gallium and ...", "how old was dickens when ..."

    # -- words that point

    def _points(self, i: int) -> str:
        """What points here, "" where nothing does."""
        low, before, after = self._low(i), self._low(i - 1), self._low(i + 1)
        ends = not after[0].isalnum()
        if low == "it":
            return "" if self._is_expletive(i) else low
        if {",", ":"} & (behind := {word.low for word in self.words[i:]}) and "or" in behind:
            return ""  # "Which of these is older: A or B?"
        if low in DEMONSTRATIVE:
            return self._demonstrative(i)
        if low == "there":
            be = before in BE | {"where"} or "been" in (after, self._low(i + 2))
            expletive = be or after in AUXILIARIES | words_of("exist exists seem seems used")
            return "" if expletive or before in ("out", "up", "over") else low
        if low in ("one", "ones") and (ends or after in AUXILIARIES | PREPOSITIONS - {"of"}):
            chosen = before in words_of("which the other first second third last next")
            return f"{before} {low}" if chosen else ""
        if low in ("former", "latter") and before == "the":  # not "the former president"
            return f"the {low}" if ends or low == "latter" or after in AUXILIARIES | PREPOSITIONS else ""
        return low if low in PERSONAL | POSSESSIVE else ""

    def _demonstrative(self, i: int) -> str:
        low, before, after = self._low(i), self._low(i - 1), self._low(i + 1)
        ends = not after[0].isalnum()
        if low == "that":  # else a conjunction, or a relative pronoun
            if before == "in":
                points = self._is_content(i + 1) and not self.names[i + 1]
            elif i == 0 or before in ASKING:
                points = after in AUXILIARIES
            else:
                points = ends or before in AUXILIARIES | PREPOSITIONS - {"than", "as"}
            if not points:
                return ""
        if after in ASKING | {"that", "of"} or (low in ("those", "that") and after in PREPOSITIONS):
            return ""  # "those who", "that of"
        if low == "those" and (after in PERSONAL or after.endswith(("ed", "ing"))):
            return ""  # "those affected", "those it has evicted"
        if low != "that" and any(word in HERE or word.removesuffix("s") in HERE for word in (after, self._low(i + 2))):
            return ""
        return low if ends or after in FUNCTION else f"{low} {self.words[i + 1].text}"

    def _is_expletive(self, i: int) -> bool:
        """Whether an "it" stands for a clause that follows, or for nothing: "Is it legal to park here?"."""
        before = [self._low(j) for j in range(max(0, i - 3), i)]
        rest = [self._low(j) for j in range(i + 1, len(self.words))]
        if before and before[-1] in BE and {"time", "day", "date", "far"} & {*before}:
            return True  # "What time is it?"
        while rest and (rest[0] in AUXILIARIES | ADVERBS or rest[0].endswith("ly")):
            rest = rest[1:]
        first = rest[0] if rest else "?"
        if first in WEATHER or (BE & {*before} and "who" in rest):  # "Is it the tenant who pays?"
            return True
        link = next((j for j, word in enumerate(rest) if word in LINKS and (j or word != "if")), len(rest))
        if link == len(rest):
            return False
        noun = link + 1 < len(rest) and rest[link + 1] in DETERMINERS | PERSONAL | DEMONSTRATIVE
        infinitive = rest[link] != "to" or not noun  # not "Did they add it to the list?"
        asked = before[-1:] != [] and before[-1] in AUXILIARIES
        if link == 0 or first in ("a", "an"):  # "How hard is it to train?", "Is it a crime to park here?"
            return infinitive and asked
        said = first.endswith("ed") or first in SAYING
        return (
            ((first in EVALUATIVE or first.endswith(EVALUATING)) and infinitive and (link <= 3 or rest[1] == "for"))
            or (first in COSTING and infinitive)
            or (first in SEEMING and rest[link] == "that")
            or (first in ("called", "like") and rest[link] != "that")
            or (first in ("for", "up") and "to" in rest[2:])  # "Is it for the State to prove ...?"
            or (said and rest[1] in ASKING | {"that", "whether"})  # "Was it decided that ...?"
        )

    # -- antecedents

    def _resolve(self, i: int) -> Tier:
        """Whether the antecedent of the pronoun words[i] stands in the question."""
        low = self._low(i)
        adjective = self._low(i + 1) in ("first", "own", "most", "very")
        is_object = low == "her" and not (self._is_content(i + 1) or adjective)
        owning = low in POSSESSIVE and not is_object
        before = [each for each in self.antecedents if each.end <= i and not self._inverted(each, i)]
        tier = Tier.FOLLOW_UP
        for each in before:
            if (each.end == i - 1 and self._low(i - 1) == "of") or (each.end == i and self._reduced(each, i)):
                continue  # "the name of it", "the way they pick": a phrase that holds the pronoun
            fits = each.kind != "thing" or low not in OF_PEOPLE
            if fits and (self._clause_between(each.end, i) or (owning and (each.subject or each.kind == "name"))):
                return Tier.STANDALONE
            tier = Tier.UNCLEAR
        if tier is Tier.UNCLEAR and len(before) == 1 and not owning and self._co_argument(before[0], i):
            return Tier.FOLLOW_UP
        return tier if tier is Tier.UNCLEAR else min(self._asked_for(i, owning), self._behind(i, owning))

    def _inverted(self, each: Antecedent, i: int) -> bool:
        """Whether a noun phrase belongs to what is asked for: "Where in Asia did they go?"."""
        if self._low(i - 1) not in AUXILIARIES:
            return False
        asking = max((k for k in range(i - 1) if self._low(k) in ASKING), default=i)
        return asking < each.start and not any(self._low(k) in AUXILIARIES for k in range(asking, i - 1))

    def _reduced(self, each: Antecedent, i: int) -> bool:
        """Whether a pronoun begins a relative clause without a relative pronoun: "the claim it makes"."""
        return not each.subject and (self._low(i) in SUBJECTS or self._is_content(i + 1) or self._acts(i))

    def _acts(self, i: int) -> bool:
        """Whether an "it" is a subject behind a noun: "those it has evicted"."""
        behind = self._is_content(i - 1) or self._low(i - 1) == "those"
        return self._low(i) == "it" and behind and self._low(i + 1) in AUXILIARIES

    def _clause_between(self, start: int, i: int) -> bool:
        """Whether another clause begins in words[start:i], or with the pronoun words[i]."""
        if (self._low(i) in SUBJECTS and self._is_content(i - 1)) or self._acts(i):
            return True  # "Did Smith say he lied?"
        phrase = not self._low(i + 1)[0].isalnum() or self._low(i + 1) in PREPOSITIONS  # no verb follows
        for k in range(start, i):
            low, after = self._low(k), self._low(k + 1)
            if low in SUBORDINATORS or low in ",;:?!" or (low == "." and self._begins(k + 1)):
                return True
            if low in TIMED and not (k + 1 == i and phrase):
                return True
            joined = after in ASKING | AUXILIARIES or k + 1 == i or (k + 2 == i and after not in DETERMINERS)
            if low in COORDINATORS and joined:  # not "the judge and the lawyers"
                return True
        return False

    def _co_argument(self, each: Antecedent, i: int) -> bool:
        """Whether the only noun phrase is the subject of the pronoun's own verb: "Did Lessig write it?"."""
        between = {self._low(k) for k in range(each.end, i)}
        separate = between & (PREPOSITIONS | COORDINATORS | ASKING)
        return each.subject and self._low(i - 1) not in AUXILIARIES and not separate

    def _asked_for(self, i: int, owning: bool) -> Tier:
        """Who or what is asked for may be the antecedent: "Which judge resigned when he was ill?"."""
        if self._low(0) not in ASKING or self._low(1) in AUXILIARIES:
            return Tier.FOLLOW_UP
        if self._low(0) == "who" and self._low(i) in ("it", "its", "itself", "there"):
            return Tier.FOLLOW_UP
        return Tier.UNCLEAR if owning or self._clause_between(1, i) else Tier.FOLLOW_UP

    def _behind(self, i: int, owning: bool) -> Tier:
        """The antecedent may stand behind a clause or phrase that comes first: "When he died, how old was Dickens?"."""
        comma = next((k for k in range(i, len(self.words)) if self._low(k) == ","), None)
        if comma is None or self._low(0) not in SUBORDINATORS | PREPOSITIONS | {"other", "aside", "apart"}:
            return Tier.FOLLOW_UP
        behind = [each for each in self.antecedents if each.start > comma]
        sure = any(each.kind == "name" or owning for each in behind)
        return Tier.STANDALONE if sure else Tier.UNCLEAR if behind else Tier.FOLLOW_UP
