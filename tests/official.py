"""HotpotQA's official scoring, written a second time from its definition: what eval/core/metrics.py is held against.

The definition (hotpot_evaluate_v1.py): sums over the gold records, divided by their number. A record that the
predictions lack adds nothing. Imports nothing of ours.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

MEASURES = ("em", "f1", "prec", "recall")
SPECIAL = {"yes", "no", "noanswer"}


def normalised(text: str) -> str:
    """Lower case, then no ASCII punctuation, then no articles, then single blanks."""
    text = text.lower().translate({ord(sign): None for sign in string.punctuation})
    words_and_rest = re.split(r"(\w+)", text)
    return " ".join("".join(" " if part in {"a", "an", "the"} else part for part in words_and_rest).split())


def score(predictions: Mapping[str, Mapping[str, Any]], gold: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """em, f1, prec, recall of the answers, the same of the supporting facts (sp_*) and of both (joint_*)."""
    sums = {f"{kind}{name}": 0.0 for kind in ("", "sp_", "joint_") for name in MEASURES}
    for record in gold:
        key, answer, facts = record["_id"], None, None
        if key in predictions["answer"]:
            answer = of_answer(predictions["answer"][key], record["answer"])
            _add(sums, "", answer)
        if key in predictions["sp"]:
            facts = of_facts(predictions["sp"][key], record["supporting_facts"])
            _add(sums, "sp_", facts)
        if answer and facts:
            precision, recall = answer["prec"] * facts["prec"], answer["recall"] * facts["recall"]
            joint = {"em": answer["em"] * facts["em"], "f1": _harmonic(precision, recall)}
            _add(sums, "joint_", joint | {"prec": precision, "recall": recall})
    return {name: value / len(gold) for name, value in sums.items()}


def of_answer(prediction: str, gold: str) -> dict[str, float]:
    ours, theirs = normalised(prediction), normalised(gold)
    result = dict.fromkeys(MEASURES, 0.0) | {"em": float(ours == theirs)}
    if ours != theirs and (ours in SPECIAL or theirs in SPECIAL):
        return result
    left, same = theirs.split(), 0
    for word in ours.split():
        if word in left:
            left.remove(word)
            same += 1
    if same:
        precision, recall = same / len(ours.split()), same / len(theirs.split())
        result |= {"prec": precision, "recall": recall, "f1": _harmonic(precision, recall)}
    return result


def of_facts(prediction: Sequence[Sequence[Any]], gold: Sequence[Sequence[Any]]) -> dict[str, float]:
    ours, theirs = ({(title, index) for title, index in facts} for facts in (prediction, gold))
    true, false, missed = len(ours & theirs), len(ours - theirs), len(theirs - ours)
    precision = true / (true + false) if true + false else 0.0
    recall = true / (true + missed) if true + missed else 0.0
    return {
        "em": 0.0 if false + missed else 1.0,
        "f1": _harmonic(precision, recall),
        "prec": precision,
        "recall": recall,
    }


def _harmonic(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _add(sums: dict[str, float], kind: str, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        sums[f"{kind}{name}"] += value
