"""The wording of prompts for answers in sentences. As in rag/read/prompts.py, passages are data, never obeyed."""

from __future__ import annotations

from collections.abc import Sequence

from rag.read.prompts import name_line, plain, under_titles
from rag.read.quotes import AnswerSentence, Quote

# By style (rag/read/compose/style.py).
IN_SENTENCES = {
    "explain": "Answer the question in two to four full sentences.",
    "list": 'Answer with a list of all that the question asks for, each item on a line of its own after "- ".',
    "compare": (
        "Compare in three to five full sentences: first what the passages say of the one, then of the other, then in "
        "what they differ or agree."
    ),
    "summary": "Summarise what the passages say in four to six full sentences, the most important first.",
}
ONLY_PASSAGES = "Say only what the passages say, in your own words."
# Asked for a summary, a small reader writes of the text ("the passage discusses") in place of what it says.
OF_A_PART = (
    "Write down the three most important facts of this part of a document, each in one short sentence with the names "
    "and figures that belong to it."
)
WITH_NUMBERS = "Behind each sentence or item write the numbers of the passages that say so, such as [2]."


def excerpt_messages(
    question: str, style: str, excerpts: Sequence[Quote], numbered: bool = False
) -> list[tuple[str, str]]:
    """Excerpts under their titles, numbered from 1, then the question, to be answered in sentences of a style.

    `numbered`: the reader is asked to name the excerpts behind its sentences.
    """
    asked = " ".join((IN_SENTENCES[style], ONLY_PASSAGES, *([WITH_NUMBERS] if numbered else [])))
    listed = under_titles(excerpts, lambda number: f"[{number}]")
    return [("system", asked), ("user", plain(f"Passages:\n{listed}\n\nQuestion: {question}"))]


def part_messages(excerpts: Sequence[Quote]) -> list[tuple[str, str]]:
    """Excerpts of one part of a document, to be summed up in a sentence or two."""
    listed = under_titles(excerpts, lambda number: f"[{number}]")
    return [("system", f"{OF_A_PART} {ONLY_PASSAGES}"), ("user", plain(f"Passages:\n{listed}"))]


def whole_messages(
    question: str, title: str, parts: Sequence[tuple[str, Sequence[AnswerSentence]]]
) -> list[tuple[str, str]]:
    """What was written of each part of a document, under the part's heading, to be summed up together."""
    listed = "\n".join(
        f"[{number}] {_lead(heading)}{' '.join(each.text for each in sentences)}"
        for number, (heading, sentences) in enumerate(parts, start=1)
    )
    asked = f"{IN_SENTENCES['summary']} {ONLY_PASSAGES}"
    return [("system", asked), ("user", plain(f"Passages:\n# {name_line(title)}\n{listed}\n\nQuestion: {question}"))]


def _lead(heading: str) -> str:
    """What stands before the summary of a part: its heading, if it has one."""
    line = name_line(heading)
    return f"{line}: " if line else ""
