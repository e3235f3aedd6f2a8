"""When two texts say the same: how answers, quotes and questions are compared."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

from rapidfuzz import fuzz

SAME = 90.0  # rapidfuzz partial ratio (0..100) from which an answer counts as standing in a sentence
ALIKE = 80.0  # rapidfuzz ratio from which two words are one, spelled in two ways
STOPWORDS = frozenset(
    "a an and are as at be by did do does for from had has have how if in is it its many much of on or that the their "
    "they this to was were what when where which who whom whose why will with".split()
)
EDGES = " .,;:\"'"
WHICH_YEAR = re.compile(r"\b(?:what|which) year\b", re.IGNORECASE)
YEAR = re.compile(r"(?<!\d)[12]\d{3}(?!\d)")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
UNSPACED = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)  # Japanese, Chinese, Korean: words are not set apart
Scores = tuple[float, float, float, float]  # exact match, F1, precision, recall
NOTHING: Scores = (0.0, 0.0, 0.0, 0.0)


def fold(text: str) -> str:
    """For comparing: NFKC, lower case, all dashes one, single blanks."""
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(re.sub(r"[\u2018\u2019]", "'", re.sub(r"[\u201c\u201d]", '"', text)).split())


def content_words(text: str) -> set[str]:
    """Words that carry meaning, cut to six letters so that forms of one word meet."""
    return {word[:6] for word in re.findall(r"\w+", fold(text)) if word not in STOPWORDS}


def mentioned(name: str, texts: Sequence[str]) -> float:
    """The share of a name's words that stand in the texts, a word of four letters or more give or take a letter or two.

    >>> mentioned("Robert Suettinger", ["Suetinger was an officer."])
    0.5
    """
    wanted = re.findall(r"\w+", fold(name))
    present = {word for text in texts for word in re.findall(r"\w+", fold(text))}
    found = [
        word in present or (len(word) > 3 and any(fuzz.ratio(word, other) >= ALIKE for other in present))
        for word in wanted
    ]
    return sum(found) / len(wanted) if wanted else 1.0


def holds_answer(sentence: str, answer: str) -> bool:
    """Whether the words of the answer stand in the sentence, give or take a letter or two, but not a digit.

    Words stand whole ("art" is not in "party"), and so do numbers ("162" is not in "1,162", nor "18" in "18.5").
    """
    answer, sentence = fold(answer).strip(EDGES), fold(sentence)
    if not answer or len(answer) > len(sentence):
        return False
    before = "" if UNSPACED.match(answer[0]) else r"(?<!\w)(?<!\d[.,])" if answer[0].isdigit() else r"(?<!\w)"
    behind = "" if UNSPACED.match(answer[-1]) else r"(?!\w)(?![.,]\d)" if answer[-1].isdigit() else r"(?!\w)"
    if re.search(before + re.escape(answer) + behind, sentence):
        return True
    same_numbers = set(NUMBER.findall(answer)) <= set(NUMBER.findall(sentence))
    return len(answer) >= 8 and same_numbers and fuzz.partial_ratio(answer, sentence) >= SAME


def normalise_answer(text: str) -> str:
    """The official normalisation of HotpotQA and SQuAD: lower case, no ASCII punctuation, no articles, single blanks.

    >>> normalise_answer("The  A.B. of an é–x")
    'ab of é–x'
    """
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def answer_scores(prediction: str, gold: str) -> Scores:
    """HotpotQA's answer measures (hotpot_evaluate_v1.py): exact match, and F1 over words with their counts.

    Where one of the two is yes, no or noanswer and they differ, F1 is 0: "no" earns nothing from "no one".

    >>> answer_scores("the Eiffel Tower in Paris", "Eiffel Tower")
    (0.0, 0.6666666666666666, 0.5, 1.0)
    """
    ours, theirs = normalise_answer(prediction), normalise_answer(gold)
    if ours != theirs and {ours, theirs} & {"yes", "no", "noanswer"}:
        return NOTHING
    em = float(ours == theirs)
    shared = (Counter(ours.split()) & Counter(theirs.split())).total()
    if not shared:
        return (em, 0.0, 0.0, 0.0)
    precision, recall = shared / len(ours.split()), shared / len(theirs.split())
    return (em, 2 * precision * recall / (precision + recall), precision, recall)


def best_answer_scores(prediction: str, golds: Sequence[str]) -> Scores:
    """The best over the gold answer and its aliases: exact match and F1 each, precision and recall of the best F1."""
    each = [answer_scores(prediction, gold) for gold in golds]
    best = max(each, key=lambda scores: scores[1])
    return (max(scores[0] for scores in each), *best[1:])


def in_form(question: str, draft: str) -> str:
    """The draft in the form that the question asks for: of a date the year, where only that is wanted.

    >>> in_form("In what year was it opened?", "3 May 1821"), in_form("When was it opened?", "3 May 1821")
    ('1821', '3 May 1821')
    """
    years = YEAR.findall(draft)
    return years[0] if len(years) == 1 and WHICH_YEAR.search(question) and len(draft) < 40 else draft
