"""What a model that searches by itself says on its way to an answer: tagged searches, notes and the answer.

After EviNote-RAG (arXiv 2509.00877, code Da1yuqin/EviNoteRAG).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from rag.read.match import normalise_answer

TAG = re.compile(r"<(/?)(search|information|summary|answer)>")
SAYS_SOMETHING = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a model said on its way to an answer, in order, and what the searches brought."""

    searches: tuple[str, ...]
    informations: tuple[str, ...]
    notes: tuple[str, ...]
    answer: str | None


def parse_trajectory(text: str) -> Trajectory:
    """The parts of what stands behind the prompt: <search>, <information>, <summary> (a note) and <answer>.

    The answer is the one given most often, however it is written; of several given as often, the first. A part counts
    only if it is closed before the next begins, and if a letter or digit is in it: prompts show empty pairs of tags and
    dots between them, which models echo. Tags inside a closed <information> are what a document says, and do not count.

    >>> parse_trajectory("<search>Ada</search><summary>*Oslo*</summary><answer></answer><answer>Oslo</answer>")
    Trajectory(searches=('Ada',), informations=(), notes=('*Oslo*',), answer='Oslo')
    """
    parts: dict[str, list[str]] = {"search": [], "information": [], "summary": [], "answer": []}
    last_information = text.rfind("</information>")
    name, start = "", 0
    for tag in TAG.finditer(text):
        closes, this = bool(tag[1]), tag[2]
        if name == "information" and not (closes and this == name):
            continue
        if closes:
            if this == name and SAYS_SOMETHING.search(text, start, tag.start()):
                parts[name].append(text[start : tag.start()].strip())
            name = ""
        else:
            closed = this != "information" or tag.start() < last_information
            name, start = (this if closed else ""), tag.end()
    given = [normalise_answer(answer) for answer in parts["answer"]]
    most = Counter(given).most_common(1)  # the first of those as often
    answer = parts["answer"][given.index(most[0][0])] if most else None
    return Trajectory(tuple(parts["search"]), tuple(parts["information"]), tuple(parts["summary"]), answer)
