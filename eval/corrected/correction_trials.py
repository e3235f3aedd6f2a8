"""`glossator eval corrections`: made-up rules that the documents contradict, asked with and without their corrections.

Of each of 60 rules a passage says one thing and a correction another; the question is put in other words than the
correction has it. 40 questions about other things must be asked in the same prompts to the byte, and 20 repeats of
corrected questions must get what was said to be right. Nothing of it is in any document or benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.core.bootstrap import bootstrap_interval
from eval.core.metrics import contains_gold
from rag.answer import ask
from rag.index.manager import NothingIndexed
from rag.llm.chat import ChatModel, Messages, Usage
from rag.locator import FIRST_PAGE
from rag.pipeline import Pipeline
from rag.protocols import Report, silent
from rag.read.corrected.near_corrections import nearest
from rag.records import Answer, Correction, Hit, Passage
from rag.settings import Settings

# Places and kinds on which `about_another` was not chosen (eval/log.md has those).
PLACES = ("Maltray", "Nordhaven", "Oxcombe", "Penwarren", "Quernby", "Ravelstone", "Skelmoor", "Thurnby", "Ulverham",
          "Westray")  # fmt: skip
PEOPLE = ("Ada Lind", "Bo Aas", "Cora Venn", "Dag Moe", "Edda Rask", "Finn Ulv", "Greta Holm", "Hans Brekk", "Ida Sund",
          "Jon Vik")  # fmt: skip
# (what the passage says, the question of the correction, the same in other words); {place}, {wrong}
KINDS = (
    ("The mayor of {place} is {wrong}.", "Who is the mayor of {place}?",
     "Which person leads the town council of {place} as its mayor?"),
    ("The museum of {place} opens at {wrong}.", "At what hour does the museum of {place} open?",
     "When can one enter the {place} museum in the morning?"),
    ("The bridge at {place} is {wrong} metres long.", "How long is the bridge at {place}?",
     "What is the length of the {place} bridge in metres?"),
    ("The chapel of {place} was consecrated in {wrong}.", "When was the chapel of {place} consecrated?",
     "In which year did the {place} chapel receive its consecration?"),
    ("The inn of {place} is known for its {wrong}.", "What is the inn of {place} known for?",
     "Which dish has made the {place} inn famous?"),
    ("The library of {place} lends {wrong} books a week.", "How many books does the library of {place} lend a week?",
     "What is the weekly number of loans of the {place} library?"),
)  # fmt: skip
DISHES = ("eel pie", "oat cakes", "barley soup", "smoked trout", "apple tart", "goat stew", "rye bread", "plum pudding",
          "pea soup", "roast goose")  # fmt: skip
OTHERS = (
    "Who painted the altar of the church in {place}?", "What is the name of the river that flows through {place}?",
    "Which bank lent the money for the bridge near {place}?", "Why was the railway to {place} closed?",
)  # fmt: skip
UNRELATED, REPEATS = 40, 20
Json = dict[str, Any]
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Rule:
    passage: str
    asked: str
    question: str
    wrong: str
    right: str


def rules() -> list[Rule]:
    """The 60 rules: 6 kinds of things in 10 places."""
    made = []
    for kind, (says, asked, question) in enumerate(KINDS):
        for i, place in enumerate(PLACES):
            wrong, right = _values(kind, i), _values(kind, (i + 3) % len(PLACES))
            made.append(Rule(says.format(place=place, wrong=wrong), asked.format(place=place),
                             question.format(place=place), wrong, right))  # fmt: skip
    return made


def _values(kind: int, i: int) -> str:
    return (
        PEOPLE[i], f"{6 + i}:{10 + 3 * i}", str(140 + 17 * i), str(1811 + 13 * i), DISHES[i], str(23 + 9 * i)
    )[kind]  # fmt: skip


def corrections_of(made: Sequence[Rule]) -> list[Correction]:
    return [
        Correction(f"c{i}", rule.asked, rule.right, "", rule.wrong, "", "", None, float(i))
        for i, rule in enumerate(made)
    ]


class _Passages:
    """A retriever that finds the passages about one place."""

    def __init__(self, made: Sequence[Rule], place: str):
        self._texts = [rule.passage for rule in made if place in rule.passage]

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        hits = [
            Hit(rank, 1 / rank, Passage(f"d{rank}#0", f"d{rank}", "The Coast Guide", "", text, 0, len(text)))
            for rank, text in enumerate(self._texts, start=1)
        ]
        return [hits[:k] for _ in queries]


class _Recorder(ChatModel):
    """Keeps the prompts that it is given, and says nothing."""

    name = "recorder"

    def __init__(self, like: ChatModel):
        self._like, self.prompts = like, list[object]()

    def count(self, messages: Messages) -> int:
        return self._like.count(messages)

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        self.prompts.append(list(messages))
        yield "nothing"

    def yes_probability(self, messages: Messages, usage: Usage | None = None, goes_on: bool = False) -> float:
        self.prompts.append(list(messages))
        return 0.0

    def log_probability(self, messages: Messages, text: str, usage: Usage | None = None) -> float:
        return 0.0

    def going_on(self) -> ChatModel:
        return self


def run(reader: ChatModel, encode: Encode, settings: Settings, seed: int = 0, report: Report = silent) -> Json:
    """All figures. The reader is asked of every rule twice, with all 60 corrections and without any."""
    began = time.monotonic()
    made = rules()
    kept = corrections_of(made)
    base = Pipeline(NothingIndexed(), reader, lambda passage, start, end: FIRST_PAGE, "", settings)

    def answer(question: str, place: str, with_them: bool, by: ChatModel = reader) -> Answer:
        pipeline = replace(base, reader=by, retriever=_Passages(made, place))
        if with_them:
            pipeline = replace(pipeline, corrections=lambda asked: nearest(asked, kept, encode))
        step = list(ask(question, pipeline, 5))[-1]
        assert isinstance(step, Answer)
        return step

    right: dict[bool, list[float]] = {True: [], False: []}
    near = 0
    for i, rule in enumerate(made):
        report("rules", i, len(made))
        place = PLACES[i % len(PLACES)]
        for with_them in (True, False):
            found = answer(rule.question, place, with_them)
            right[with_them].append(float(not found.abstained and contains_gold(found.answer, [rule.right])))
            near += bool(found.corrections)
    repeats = [answer(rule.asked, PLACES[i % len(PLACES)], True) for i, rule in list(enumerate(made))[::3][:REPEATS]]
    wanted = [rule.right for rule in made[::3][:REPEATS]]
    repeated = [float(contains_gold(a.answer, [w])) for a, w in zip(repeats, wanted, strict=True)]
    same = []
    for i in range(UNRELATED):
        question, place = OTHERS[i % len(OTHERS)].format(place=PLACES[i // len(OTHERS)]), PLACES[i // len(OTHERS)]
        prompts = []
        for with_them in (True, False):
            recorder = _Recorder(reader)
            answer(question, place, with_them, recorder)
            prompts.append(recorder.prompts)
        same.append(float(prompts[0] == prompts[1]))
    metrics = {"with": _mean(right[True]), "without": _mean(right[False]), "repeats": _mean(repeated),
               "unrelated_unchanged": _mean(same)}  # fmt: skip
    return {
        "task": "corrections", "n": len(made), "shown": near, "repeats": len(repeated), "unrelated": len(same),
        "metrics": metrics,
        "intervals": {
            "with": [round(v, 4) for v in bootstrap_interval(right[True], seed)],
            "without": [round(v, 4) for v in bootstrap_interval(right[False], seed)],
        },
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(len(values), 1), 4)


def corrections_text(result: Json) -> str:
    metrics, intervals = result["metrics"], result["intervals"]
    return "\n".join([
        f"{result['n']} made-up rules, asked in other words: right with corrections {metrics['with']:.2f} "
        f"{intervals['with']}, without {metrics['without']:.2f} {intervals['without']}",
        f"a correction was near enough to be shown in {result['shown']} of {result['n']}",
        f"repeats answered as corrected: {metrics['repeats']:.2f} of {result['repeats']}",
        f"unrelated questions whose prompts are the same to the byte: {metrics['unrelated_unchanged']:.2f} of "
        f"{result['unrelated']}",
    ])  # fmt: skip
