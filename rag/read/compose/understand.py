"""A question in its conversation: what a follow-up asks, and which documents it is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import DataError
from rag.llm.chat import ChatModel
from rag.protocols import Retriever
from rag.read.compose.cite_sentences import own_words
from rag.read.compose.scope import Scope, Scopes, main_document
from rag.read.follow_up import classify, rewrite
from rag.read.prompts import ASKED_AFTER
from rag.read.rules.pronouns import Tier
from rag.records import Answer

SEARCHED = 5  # passages by which the documents of a turn without citations are found
LONGEST = 300  # characters of the question before a follow-up, and of its answer


@dataclass(frozen=True, slots=True)
class PastTurn:
    """A question as it was understood, what the reader wrote in answer, and the ids of the documents that it cites."""

    question: str
    answer: str
    documents: tuple[str, ...] = ()

    @classmethod
    def of(cls, answer: Answer) -> PastTurn:
        """The turn of one of our own answers."""
        said = "" if answer.abstained else own_words(answer.answer)
        return cls(answer.question, said, tuple(dict.fromkeys(citation.document_id for citation in answer.citations)))


@dataclass(frozen=True, slots=True)
class Understood:
    """What is asked, and where: `question` stands by itself, and is another one than was typed for a follow-up.

    `searched` is what is searched for in its place; "": the question. `guess`: a follow-up that could not be rewritten,
    and of which no document is known that it is about.
    """

    question: str
    scope: Scope | None = None
    searched: str = ""
    guess: bool = False


def understand(
    question: str,
    turns: Sequence[PastTurn],
    reader: ChatModel,
    scopes: Scopes | None,
    retriever: Retriever | None = None,
) -> Understood:
    """A question as it is to be asked, after the turns before it, oldest first.

    A follow-up is rewritten by the reader; where the rewriting is no good it is asked with the turn before it. It is
    about the documents cited before, unless it names others. `retriever` finds those of a turn that cites none. Without
    `scopes` it is about all that is searched. Raises ReaderError.
    """
    named = scopes.of_question(question) if scopes else None
    tier = classify(question)[0]
    if not turns or tier is Tier.STANDALONE:
        return Understood(question, named)
    before = turns[-1]
    shown = Answer(before.question, before.answer, not before.answer, (), (), (), None, "", "")
    rewritten, stands_alone = rewrite(question, shown, reader) if reader.judges else ("", False)
    if not stands_alone and tier is not Tier.FOLLOW_UP:
        return Understood(question, named)
    if named is None and scopes is not None:
        cited = [document for turn in reversed(turns[-2:]) for document in turn.documents]
        named = scopes.of_documents(cited or _found(before, retriever))
    if stands_alone or (rewritten and named):
        return Understood(rewritten, named)
    return Understood(after(before, question), named, question if named else "", guess=named is None)


def after(before: PastTurn, question: str) -> str:
    """A question with the turn before it, to be searched and read as one text.

    >>> after(PastTurn("In what is it written?", "Rust"), "why did they switch?")
    'why did they switch? (This is asked after “In what is it written?”, which was answered “Rust”.)'
    """
    said = before.answer.strip()[:LONGEST].rstrip(".")
    answered = f", which was answered “{said}”" if said else ""
    return f"{question}{ASKED_AFTER}“{before.question[:LONGEST]}”{answered}.)"


def _found(before: PastTurn, retriever: Retriever | None) -> list[str]:
    """The document that a turn is about, by what its words find; [] where that is several."""
    if retriever is None:
        return []
    hits = retriever.search([f"{before.question} {before.answer[:LONGEST]}"], SEARCHED)[0]
    document, share = main_document(hits)
    return [document] if share > 0.5 else []


# -- a conversation in a file ------------------------------------------------------------------------------------------


def read_turns(file: Path) -> list[PastTurn]:
    """The turns of a conversation's file, a JSON list of {"question", "answer"}, oldest first; [] without a file.

    Raises DataError for anything else.
    """
    if not file.exists():
        return []
    try:
        turns: Any = json.loads(file.read_text("utf-8"))
        return [
            PastTurn(str(turn["question"]), str(turn["answer"]), tuple(map(str, turn.get("documents", ()))))
            for turn in turns
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f'{file}: is no conversation (a JSON list of {{"question", "answer"}}). Mend it, or name a new file'
        ) from error


def append_turn(file: Path, turns: Sequence[PastTurn], new: PastTurn) -> None:
    """Write the turns with a new one behind them, as a whole or not at all. Raises DataError."""
    lines = [{"question": t.question, "answer": t.answer, "documents": list(t.documents)} for t in (*turns, new)]
    fresh = file.with_name(f"{file.name}.new")
    try:
        fresh.write_text(json.dumps(lines, ensure_ascii=False, indent=1), "utf-8")
        fresh.replace(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be written: {error.strerror}. Name another file") from error
