"""What programs that speak OpenAI's protocol send, and what of it is a question here.

Fields that this server does not know are let be, for clients send many: temperature, tools they do not use, names of
their own. What would change the answer and cannot be done is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.errors import UsageError
from rag.read.cite import MARKER
from rag.read.compose.understand import PastTurn
from ui.web.api.ask_routes import HowAsked
from ui.web.openai.cited_text import FOOTNOTES

MODEL = "glossator"  # and "glossator/NAME" for a library that was made in the page
LONGEST = 200_000  # characters of a message


class LenientBody(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Part(LenientBody):
    type: str
    text: str = Field("", max_length=LONGEST)


class Message(LenientBody):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Annotated[str, Field(max_length=LONGEST)] | list[Part] | None = None


class LibraryFields(LenientBody, HowAsked):
    """The fields of ours beside OpenAI's: as of /v1/ask. `footnotes`: the text ends with its sources, for people."""

    model: str = Field(MODEL, max_length=200)
    library: str | None = Field(None, max_length=80)
    footnotes: bool = False
    stream: bool = False

    def library_name(self, in_path: str) -> str:
        """The library that is asked: of the request's path, of `library`, else of the model's name.

        Raises UsageError for another model.
        """
        if in_path or self.library is not None:
            return in_path or self.library or ""
        first, _, name = self.model.partition("/")
        if first != MODEL:
            raise UsageError(f"model {self.model}: there is none of this name. See /v1/models")
        return name


@dataclass(frozen=True, slots=True)
class Asked:
    """The question of a conversation, and the turns before it."""

    question: str
    turns: tuple[PastTurn, ...]


def asked_in(messages: Sequence[Message]) -> Asked:
    """The last message, which is the user's, and the questions before it with their answers.

    What the system says is left out: the answer comes from the documents, whatever is said about it. Raises UsageError
    where the last message is not the user's, or holds something else than text.

    >>> asked = asked_in([Message(role="user", content="Who built it?"), Message(role="assistant", content="Ada [1]"),
    ...                   Message(role="user", content="When?")])
    >>> asked.question, [(turn.question, turn.answer) for turn in asked.turns]
    ('When?', [('Who built it?', 'Ada')])
    """
    said = [(message.role, text_of(message)) for message in messages if message.role in ("user", "assistant")]
    if not said or said[-1][0] != "user":
        raise UsageError("messages: the last one has to be the user's")
    turns: list[PastTurn] = []
    for (role, text), (following, reply) in pairwise(said):
        if role == "user":
            answer = reply if following == "assistant" else ""
            turns.append(PastTurn(text, MARKER.sub("", answer.partition(FOOTNOTES)[0]).strip()))
    return Asked(said[-1][1], tuple(turns))


def text_of(message: Message) -> str:
    """The text of a message. Raises UsageError for pictures and files, which cannot be asked with."""
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    if other := [part.type for part in message.content if part.type not in ("text", "input_text", "output_text")]:
        raise UsageError(f"messages: a part of type {other[0][:40]!r} cannot be read. Send text")
    return "\n".join(part.text for part in message.content)


def refuse(body: Any, **impossible: Any) -> None:
    """Raises UsageError where a field has another value than the only one that is possible."""
    for name, only in impossible.items():
        value = getattr(body, name)
        if value not in (None, only, [], {}):
            raise UsageError(f"{name}: this server does not support it. Leave it out")
