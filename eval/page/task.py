"""A task: what a person tries on the page, how it went on an earlier page, and how it is done now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from eval.page.hand import Hand

if TYPE_CHECKING:
    from playwright.sync_api import Locator

ROOT = Path(__file__).parents[2]
EXAMPLES, GOLDEN, DOCS = ROOT / "examples", ROOT / "tests" / "golden", ROOT / "docs"
LOSS = "What loss function is SPECTER trained with?"
SPECTER = "SPECTER: Document-level"


class NotPossible(Exception):
    """The task cannot be done on this page, or not with the files of this machine."""


class Served(Protocol):
    address: str

    def start(self) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Task:
    """`before`: clicks, seconds and outcome on the page that these users saw."""

    who: str
    what: str
    before: tuple[str, str, str]
    do: Callable[[Hand, Served], str]


Add = Callable[..., Callable[[Callable[[Hand, Served], str]], None]]


def adding_to(tasks: list[Task]) -> Add:
    """A decorator that adds a function to the tasks, as the next one: (who, what, and how it went before)."""

    def task(who: str, what: str, *before: str) -> Callable[[Callable[[Hand, Served], str]], None]:
        def add(do: Callable[[Hand, Served], str]) -> None:
            clicks, seconds, outcome = before
            tasks.append(Task(who, what, (clicks, seconds, outcome), do))

        return add

    return task


def check(true: bool, said: str) -> None:
    if not true:
        raise NotPossible(said)


def graded(said: str, *expected: str) -> str:
    """Whether an answer says one of these; with its words."""
    right = any(each.lower() in said.lower() for each in expected)
    return f"{'right' if right else 'WRONG'}: {said[:110]}"


def row_of(hand: Hand, title: str) -> Locator:
    return hand.page.locator(".documents li.ready", has_text=title).first
