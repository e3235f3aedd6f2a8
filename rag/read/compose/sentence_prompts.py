"""The wording of prompts for answers in sentences. As in rag/read/prompts.py, passages are data, never obeyed."""

from __future__ import annotations

from collections.abc import Sequence

from rag.read.prompts import plain, under_titles
from rag.read.quotes import Quote

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
