"""The commands of a question: search finds passages, ask answers from them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.errors import UsageError
from rag.read.compose.style import AUTO, style_for
from rag.records import Answer, MarkedAnswer
from ui.cli import json_layouts as layouts
from ui.cli.draft import Draft
from ui.cli.options import (
    BoostOption,
    JsonOption,
    KOption,
    LibraryOption,
    MuteOption,
    ReaderOption,
    ReaderStyle,
    RetrieverOption,
    StyleOption,
)
from ui.cli.shared import load_settings, open_indexes, print_json, progress, until_interrupted
from ui.cli.text import answer_text, attribution_text, estimate_text, hits_text, what_if_text
from ui.wording import marked_text, printable

if TYPE_CHECKING:
    from rag.read.compose.scope import Scope

FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        help="FIELD=VALUE: document_id, title, kind, label, path, page; of podcasts show, chapter, speaker (whoever "
        "speaks in the passage); of judgments part (facts, law, operative, ...), article, country, importance, court, "
        "application_number, cites (a number, or the id of a document); of both date=2023-02-27, date>=2023, "
        "date<=2023-06. Repeatable: all must hold.",
    ),
]

FEW_PARTS = 12  # about as many as one document has: these need no announcement


class AttributeLevel(str, Enum):
    none = "none"
    document = "document"
    clause = "clause"
    word = "word"


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    library: LibraryOption,
    retriever: RetrieverOption = None,
    k: KOption = None,
    filters: FilterOption = None,
    mute: MuteOption = None,
    boost: BoostOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that bear on a question."""
    from rag.concepts.steering import Steering, ranks_before
    from rag.pipeline import check_question
    from rag.search import open_retriever

    settings = load_settings()
    count = settings.retrieve.k if k is None else k
    query = check_question(query, count, settings)
    indexes = open_indexes(library)
    name = retriever.value if retriever else settings.retrieve.retriever
    within = indexes.library.select(filters or ())
    steering = Steering(tuple(mute or ()), tuple(boost or ()))
    with progress() as report:
        finder = open_retriever(indexes, name, report, steering)
    began = time.perf_counter()
    hits = finder.search([query], count, within)[0]
    milliseconds = (time.perf_counter() - began) * 1000
    before = ranks_before(hits, open_retriever(indexes, name), query, within) if steering else None
    if as_json:
        print_json(layouts.search_json(query, name, hits, milliseconds, before))
    else:
        print(hits_text(hits, before))


InOption = Annotated[
    list[str] | None,
    typer.Option("--in", help="Ask only this document: an id, a path, or words of its name. Repeatable."),
]
ConversationOption = Annotated[
    Path | None,
    typer.Option("--conversation", help="A JSON file of the turns before; this one is written behind them."),
]


def ask(
    question: Annotated[str, typer.Argument(help="Your question.")],
    library: LibraryOption,
    reader: ReaderOption = ReaderStyle.notes,
    style: StyleOption = "auto",
    within: InOption = None,
    conversation: ConversationOption = None,
    retriever: RetrieverOption = None,
    k: KOption = None,
    filters: FilterOption = None,
    mute: MuteOption = None,
    boost: BoostOption = None,
    attribute: Annotated[
        AttributeLevel, typer.Option("--attribute", help="What made the answer what it is, down to which parts.")
    ] = AttributeLevel.none,
    change: Annotated[
        bool,
        typer.Option("--what-if", help="What would change the answer, by edited copies of its sources."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from a library, with citations."""
    from rag.answer import ask as answer_question
    from rag.concepts.steering import Steering
    from rag.explain import estimated, explain, what_if
    from rag.pipeline import build_pipeline, check_question
    from rag.read.compose.scope import Scopes
    from rag.read.compose.understand import PastTurn, append_turn, read_turns, understand

    settings = load_settings()
    count = settings.retrieve.k if k is None else k
    question = check_question(question, count, settings)
    asking_again = "--attribute" if attribute is not AttributeLevel.none else "--what-if" if change else ""
    if asking_again and reader is ReaderStyle.extract:
        raise UsageError(f"{asking_again} asks a language model again. Leave it out, or --reader extract")
    if asking_again:  # of what made a phrase
        if style not in (AUTO, "short"):
            raise UsageError(f"{asking_again} is for short answers. Leave out --style {style}, or {asking_again}")
        style = "short"
    turns = read_turns(conversation) if conversation else []
    indexes = open_indexes(library)
    numbers = indexes.library.select(filters or ())
    scopes = Scopes(indexes.library)
    chosen = scopes.chosen(within or ())
    with progress() as report:
        pipeline = build_pipeline(
            indexes, retriever.value if retriever else None, report, reader.value,
            Steering(tuple(mute or ()), tuple(boost or ())), owner="",
        )  # fmt: skip
    understood = understand(question, turns, pipeline.reader, scopes, pipeline.retriever)
    scope = chosen or understood.scope
    if not as_json:
        _say_how_understood(question, understood.question, scope)
    wanted = style_for(question, style, understood.question) if reader is not ReaderStyle.extract else style
    with until_interrupted() if wanted == "summary" else nullcontext(lambda: False) as stop:
        steps = answer_question(
            understood.question, pipeline, count, numbers, reader.value, wanted, scope, understood.searched, stop
        )
        answer = _shown_while_written(steps, Draft(not as_json and sys.stdout.isatty()))
    if conversation:
        append_turn(conversation, turns, PastTurn.of(answer))
    if not as_json:
        print(answer_text(answer), flush=True)
    if attribute is not AttributeLevel.none:
        if not as_json and (guess := estimated(answer, pipeline, attribute.value)) and guess.attribution:
            print(estimate_text(guess.attribution), file=sys.stderr)
        with progress() as report, until_interrupted() as stop:
            answer = explain(answer, pipeline, reader.value, attribute.value, report=report, stop=stop)
    if change:
        with progress() as report, until_interrupted() as stop:
            answer = what_if(answer, pipeline, reader.value, report, stop)
    if as_json:
        print_json(layouts.answer_json(answer))
        return
    if answer.attribution is not None:
        print(attribution_text(answer.attribution))
    if answer.what_if is not None:
        print(what_if_text(answer.what_if))


def _shown_while_written(steps: Iterable[object], draft: Draft) -> Answer:
    """The answer that the steps of rag.answer.ask end with; what comes before it is shown as it comes."""
    from rag.answer import Evidence, Token
    from rag.read.strategies import PartProgress

    answer: Answer | None = None
    try:
        for step in steps:
            if isinstance(step, Token):
                draft.write(step.text)
            elif isinstance(step, MarkedAnswer):
                draft.write(f"{said} …\n" if (said := marked_text(step)) else "")
            elif isinstance(step, PartProgress):
                if not step.done and step.total > FEW_PARTS:
                    print(f"Reading {step.total} parts. Ctrl-C ends it with what was read until then.", file=sys.stderr)
                draft.report("parts", step.done, step.total, step.part)
            elif isinstance(step, Evidence):
                draft.erase()
            elif isinstance(step, Answer):
                answer = step
    finally:
        draft.erase()
    assert answer is not None
    return answer


def _say_how_understood(question: str, understood: str, scope: Scope | None) -> None:
    """On standard error: the question that a follow-up was taken for, and the only documents that are searched."""
    if understood != question:
        print(f"Understood as: {printable(understood)}", file=sys.stderr)
    if scope is not None:
        print(f"Searched only: {'; '.join(map(printable, scope.titles))}", file=sys.stderr)
