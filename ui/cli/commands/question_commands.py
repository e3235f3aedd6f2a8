"""The commands of a question: search finds passages, ask answers from them."""

from __future__ import annotations

import sys
import time
from enum import Enum
from typing import Annotated

import typer

from rag.records import Answer
from ui.cli import json_layouts as layouts
from ui.cli.options import JsonOption, KOption, LibraryOption, ReaderOption, ReaderStyle, RetrieverOption
from ui.cli.shared import load_settings, open_indexes, print_json, progress, until_interrupted
from ui.cli.text import answer_text, attribution_text, hits_text

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
    as_json: JsonOption = False,
) -> None:
    """Find the passages that bear on a question."""
    from rag.answer import check_question
    from rag.search import open_retriever

    settings = load_settings()
    count = settings.retrieve.k if k is None else k
    query = check_question(query, count, settings)
    indexes = open_indexes(library)
    name = retriever.value if retriever else settings.retrieve.retriever
    within = indexes.library.select(filters or ())
    with progress() as report:
        finder = open_retriever(indexes, name, report)
    began = time.perf_counter()
    hits = finder.search([query], count, within)[0]
    milliseconds = (time.perf_counter() - began) * 1000
    if as_json:
        print_json(layouts.search_json(query, name, hits, milliseconds))
    else:
        print(hits_text(hits))


def ask(
    question: Annotated[str, typer.Argument(help="Your question.")],
    library: LibraryOption,
    reader: ReaderOption = ReaderStyle.notes,
    retriever: RetrieverOption = None,
    k: KOption = None,
    filters: FilterOption = None,
    attribute: Annotated[
        AttributeLevel, typer.Option("--attribute", help="What made the answer what it is, down to which parts.")
    ] = AttributeLevel.none,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from a library, with citations."""
    from rag.answer import Evidence, Token, build_pipeline, check_question
    from rag.answer import ask as answer_question
    from rag.explain import explain

    settings = load_settings()
    count = settings.retrieve.k if k is None else k
    question = check_question(question, count, settings)
    indexes = open_indexes(library)
    within = indexes.library.select(filters or ())
    with progress() as report:
        pipeline = build_pipeline(indexes, retriever.value if retriever else None, report)
    answer: Answer | None = None
    for step in answer_question(question, pipeline, count, within, reader.value):
        if isinstance(step, Evidence | Token) and not as_json and sys.stdout.isatty():
            print(step.text if isinstance(step, Token) else "\r\033[K", end="", flush=True)
        if isinstance(step, Answer):
            answer = step
    assert answer is not None
    if not as_json:
        print(("\r\033[K" if sys.stdout.isatty() else "") + answer_text(answer), flush=True)
    if attribute is not AttributeLevel.none:
        with progress() as report, until_interrupted() as stop:
            answer = explain(answer, pipeline, reader.value, attribute.value, report=report, stop=stop)
    if as_json:
        print_json(layouts.answer_json(answer))
    elif answer.attribution is not None:
        print(attribution_text(answer.attribution))
