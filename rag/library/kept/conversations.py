"""Conversations: questions with their answers, kept in the catalogue beside the documents that they are about.

They are written without the writer's lock and leave the generation as it is, so that a question can be asked, and its
answer kept, while documents are added. What is removed stays restorable until `purge`.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from rag.bounds import shortened
from rag.errors import LibraryError
from rag.library.database import Database
from rag.records import Answer

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = """
CREATE TABLE conversations (
    conversation_id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, created REAL NOT NULL,
    changed REAL NOT NULL, draft TEXT NOT NULL DEFAULT '', scope TEXT NOT NULL DEFAULT '{}', removed REAL);
CREATE TABLE turns (
    turn_id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
    number INTEGER NOT NULL, question TEXT NOT NULL, options TEXT NOT NULL, state TEXT NOT NULL,
    understood TEXT NOT NULL DEFAULT '{}', answer TEXT, error TEXT NOT NULL DEFAULT '', began REAL NOT NULL,
    seconds REAL, rating INTEGER, reason TEXT NOT NULL DEFAULT '', removed REAL);
CREATE INDEX turns_of_conversation ON turns (conversation_id, number);
"""
State = Literal["waiting", "running", "done", "stopped", "failed", "interrupted"]
OPEN: tuple[State, State] = ("waiting", "running")
TITLE = 80  # characters of a question that name its conversation
MOST_CONVERSATIONS = 1000  # that are listed


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as it is listed. Times are seconds since 1970; `scope` is what its next question is asked of."""

    conversation_id: str
    owner: str
    title: str
    created: float
    changed: float
    draft: str = ""  # what is typed, and not asked yet
    scope: dict[str, Any] = field(default_factory=dict)
    turns: int = 0
    state: State | None = None  # of its last turn


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a conversation, and what became of it.

    `options` are how it was asked, `understood` what it was taken for; `answer` is None while there is none, and where
    a version of this program wrote it that this one cannot read. `rating` is 1, -1 or None.
    """

    turn_id: str
    conversation_id: str
    number: int
    question: str
    options: dict[str, Any]
    state: State
    understood: dict[str, Any]
    answer: Answer | None
    error: str
    began: float
    seconds: float | None
    rating: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question that was asked, whether it got an answer, and the passages that were read for it."""

    question: str
    answered: bool
    evidence: tuple[str, ...]


class Conversations(Database):
    """The conversations of one library. Safe from any thread. Every method raises LibraryError as the catalogue does.

    `owner` is the name of whoever is logged in, "" without a login: nobody reads or changes another's conversations.
    """

    # -- conversations ---------------------------------------------------------------------------------------------

    def create(self, owner: str) -> Conversation:
        """A new conversation, without a title until its first question."""
        now, conversation_id = time.time(), secrets.token_urlsafe(9)
        with self._atomic() as connection:
            connection.execute(
                "INSERT INTO conversations (conversation_id, owner, title, created, changed) VALUES (?, ?, '', ?, ?)",
                (conversation_id, owner, now, now),
            )
        return Conversation(conversation_id, owner, "", now, now)

    def listed(self, owner: str, words: str = "") -> list[Conversation]:
        """The conversations of `owner`, the last changed first; with `words` those in which all of them stand."""
        where, values = "", list[object]()
        for word in words.casefold().split():
            where += (
                " AND (instr(casefold(c.title), ?) OR EXISTS (SELECT 1 FROM turns t WHERE t.conversation_id = "
                "c.conversation_id AND t.removed IS NULL AND (instr(casefold(t.question), ?) OR "
                "instr(casefold(json_extract(t.answer, '$.answer')), ?))))"
            )
            values += [word] * 3
        rows = self._rows(
            f"{_SELECT} WHERE c.owner = ? AND c.removed IS NULL{where} ORDER BY c.changed DESC, c.conversation_id "
            "LIMIT ?",
            (owner, *values, MOST_CONVERSATIONS),
        )
        return [_conversation(row) for row in rows]

    def conversation(self, conversation_id: str, owner: str) -> Conversation:
        rows = self._rows(
            f"{_SELECT} WHERE c.conversation_id = ? AND c.owner = ? AND c.removed IS NULL", (conversation_id, owner)
        )
        if not rows:
            raise _no_conversation(conversation_id)
        return _conversation(rows[0])

    def change(
        self, conversation_id: str, owner: str, title: str | None = None, draft: str | None = None,
        scope: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Set what is given. A draft or a scope leaves the conversation where it stands in the list."""
        stored = None if scope is None else json.dumps(scope, ensure_ascii=False)
        named = {"title": title, "draft": draft, "scope": stored}
        columns = [name for name, value in named.items() if value is not None]
        if columns:
            assignments = ", ".join(f"{name} = ?" for name in columns)
            self._update(
                f"UPDATE conversations SET {assignments} WHERE conversation_id = ? AND owner = ? AND removed IS NULL",
                (*(named[name] for name in columns), conversation_id, owner), _no_conversation(conversation_id),
            )  # fmt: skip
        else:
            self.conversation(conversation_id, owner)

    def remove(self, conversation_id: str, owner: str) -> None:
        """Take it out of the list; `restore` undoes it until it is purged."""
        self._update(
            "UPDATE conversations SET removed = ? WHERE conversation_id = ? AND owner = ? AND removed IS NULL",
            (time.time(), conversation_id, owner), _no_conversation(conversation_id),
        )  # fmt: skip

    def restore(self, conversation_id: str, owner: str) -> None:
        self._update(
            "UPDATE conversations SET removed = NULL WHERE conversation_id = ? AND owner = ?",
            (conversation_id, owner), _no_conversation(conversation_id),
        )  # fmt: skip

    def purge(self, before: float) -> None:
        """Delete for good what was removed before a time, and conversations from then that nothing was asked in."""
        with self._atomic() as connection:
            connection.execute("DELETE FROM conversations WHERE removed < ?", (before,))
            connection.execute("DELETE FROM turns WHERE removed < ?", (before,))
            connection.execute(
                "DELETE FROM conversations WHERE changed < ? AND draft = '' AND NOT EXISTS "
                "(SELECT 1 FROM turns t WHERE t.conversation_id = conversations.conversation_id)",
                (before,),
            )

    # -- turns -----------------------------------------------------------------------------------------------------

    def add_turn(
        self, conversation_id: str, owner: str, question: str, options: dict[str, Any], instead_of: int | None = None
    ) -> Turn:
        """Ask in a conversation; its draft is then empty, and its first question names it.

        With `instead_of` the turn of that number and those after it are removed: the question was edited, or is asked
        again.
        """
        turn_id, now = secrets.token_urlsafe(9), time.time()
        with self._atomic() as connection:
            conversation = connection.execute(
                "SELECT title FROM conversations WHERE conversation_id = ? AND owner = ? AND removed IS NULL",
                (conversation_id, owner),
            ).fetchone()
            if conversation is None:
                raise _no_conversation(conversation_id)
            if instead_of is not None:
                connection.execute(
                    "UPDATE turns SET removed = ? WHERE conversation_id = ? AND number >= ? AND removed IS NULL",
                    (now, conversation_id, instead_of),
                )
            (last,) = connection.execute(
                "SELECT coalesce(max(number), 0) FROM turns WHERE conversation_id = ? AND removed IS NULL",
                (conversation_id,),
            ).fetchone()
            title = conversation["title"] or shortened(" ".join(question.split()), TITLE)
            connection.execute(
                "UPDATE conversations SET changed = ?, draft = '', title = ? WHERE conversation_id = ?",
                (now, title, conversation_id),
            )
            connection.execute(
                "INSERT INTO turns (turn_id, conversation_id, number, question, options, state, began) "
                "VALUES (?, ?, ?, ?, ?, 'waiting', ?)",
                (turn_id, conversation_id, last + 1, question, json.dumps(options, ensure_ascii=False), now),
            )
        return Turn(
            turn_id, conversation_id, last + 1, question, options, "waiting", {}, None, "", now, None, None, ""
        )  # fmt: skip

    def turns(self, conversation_id: str, owner: str) -> list[Turn]:
        """The turns of a conversation, oldest first."""
        self.conversation(conversation_id, owner)
        rows = self._rows(
            "SELECT * FROM turns WHERE conversation_id = ? AND removed IS NULL ORDER BY number", (conversation_id,)
        )
        return [_turn(row) for row in rows]

    def turn(self, turn_id: str, owner: str) -> Turn:
        rows = self._rows(
            "SELECT t.* FROM turns t JOIN conversations c USING (conversation_id) WHERE t.turn_id = ? AND c.owner = ?",
            (turn_id, owner),
        )
        if not rows:
            raise _no_turn()
        return _turn(rows[0])

    def begin_turn(self, turn_id: str, understood: dict[str, Any]) -> None:
        """Its turn has come. `understood` is what it was taken for, as far as that is known."""
        self._update(
            "UPDATE turns SET state = 'running', understood = ? WHERE turn_id = ?",
            (json.dumps(understood, ensure_ascii=False), turn_id), _no_turn(),
        )  # fmt: skip

    def end_turn(
        self, turn_id: str, state: State, understood: dict[str, Any], answer: Answer | None = None, error: str = "",
        seconds: float | None = None,
    ) -> None:  # fmt: skip
        """What became of it. An answer is kept whole, so that it can be shown, exported and gone on from."""
        stored = None if answer is None else _stored(answer)
        row = (state, json.dumps(understood, ensure_ascii=False), stored, error, seconds, turn_id)
        self._update(
            "UPDATE turns SET state = ?, understood = ?, answer = ?, error = ?, seconds = ? WHERE turn_id = ?",
            row, _no_turn(),
        )  # fmt: skip

    def keep_answer(self, turn_id: str, answer: Answer) -> None:
        """The same answer with more known of it: its attribution."""
        self._update("UPDATE turns SET answer = ? WHERE turn_id = ?", (_stored(answer), turn_id), _no_turn())

    def rate(self, turn_id: str, owner: str, rating: int | None, reason: str) -> None:
        """1: good, -1: bad, None: no rating; with a reason in the user's words."""
        self.turn(turn_id, owner)
        self._update("UPDATE turns SET rating = ?, reason = ? WHERE turn_id = ?", (rating, reason, turn_id), _no_turn())

    def interrupt(self) -> int:
        """Mark what a server left open that ended in the middle; how many questions these are."""
        with self._atomic() as connection:
            return connection.execute(
                "UPDATE turns SET state = 'interrupted' WHERE state IN (?, ?)", OPEN
            ).rowcount  # fmt: skip

    def past_seconds(self, most: int = 40) -> list[tuple[dict[str, Any], dict[str, float], dict[str, int]]]:
        """(options, seconds, tokens) of the last answers: what an estimate of the next one's time is learnt from."""
        rows = self._rows(
            "SELECT options, json_extract(answer, '$.seconds') AS seconds, json_extract(answer, '$.tokens') AS tokens "
            "FROM turns WHERE json_type(answer, '$.seconds') = 'object' AND json_type(answer, '$.tokens') = 'object' "
            "ORDER BY began DESC LIMIT ?",
            (most,),
        )
        return [(json.loads(r["options"]), json.loads(r["seconds"]), json.loads(r["tokens"])) for r in rows]

    def asked(self, owner: str | None = None, most: int = 2_000) -> list[AskedQuestion]:
        """The last questions of `owner`, or of everybody, that have ended: what was asked, and what came of it."""
        if self._layout() < 7:
            return []
        whose, values = ("", ()) if owner is None else ("c.owner = ? AND ", (owner,))
        rows = self._rows(
            "SELECT coalesce(json_extract(t.understood, '$.standalone'), t.question) AS question, "
            "json_extract(t.answer, '$.abstained') AS abstained, "
            "(SELECT json_group_array(json_extract(e.value, '$.passage.passage_id')) "
            "FROM json_each(t.answer, '$.evidence') e) AS evidence "
            "FROM turns t JOIN conversations c USING (conversation_id) "
            f"WHERE {whose}t.removed IS NULL AND c.removed IS NULL AND t.state = 'done' ORDER BY t.began DESC LIMIT ?",
            (*values, most),
        )
        return [
            AskedQuestion(row["question"], row["abstained"] == 0, tuple(filter(None, json.loads(row["evidence"]))))
            for row in rows
        ]

    def _update(self, statement: str, values: Sequence[object], missing: LibraryError) -> None:
        """Run it; `missing` is raised where it changes nothing."""
        with self._atomic() as connection:
            if not connection.execute(statement, values).rowcount:
                raise missing


_SELECT = """
SELECT c.*, (SELECT count(*) FROM turns t WHERE t.conversation_id = c.conversation_id AND t.removed IS NULL) AS turns,
    (SELECT state FROM turns t WHERE t.conversation_id = c.conversation_id AND t.removed IS NULL
     ORDER BY number DESC LIMIT 1) AS state
FROM conversations c
"""


def _no_conversation(conversation_id: str) -> LibraryError:
    return LibraryError(f"there is no conversation {conversation_id[:40]!r} of yours (any more)")


def _no_turn() -> LibraryError:
    return LibraryError("there is no such question in your conversations (any more)")


def _conversation(row: Any) -> Conversation:
    return Conversation(
        row["conversation_id"], row["owner"], row["title"], row["created"], row["changed"], row["draft"],
        json.loads(row["scope"]), row["turns"], row["state"],
    )  # fmt: skip


def _turn(row: Any) -> Turn:
    return Turn(
        row["turn_id"], row["conversation_id"], row["number"], row["question"], json.loads(row["options"]),
        row["state"], json.loads(row["understood"]), _answer(row["answer"]), row["error"], row["began"],
        row["seconds"], row["rating"], row["reason"],
    )  # fmt: skip


@cache
def _answers() -> TypeAdapter[Answer]:
    """Between answers and JSON: made when it is first needed, for it takes longer than to open a library."""
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)


def _stored(answer: Answer) -> str:
    return _answers().dump_json(answer).decode()


def _answer(stored: str | None) -> Answer | None:
    try:
        return None if stored is None else _answers().validate_json(stored)
    except ValueError:  # pydantic's ValidationError is one
        return None
