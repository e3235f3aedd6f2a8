"""The command line. Names, options and JSON are a contract: other programs call them.

Heavy libraries are imported inside the commands that use them, so that --help is there at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag.errors import RagError, UsageError
from ui.cli.bench_commands import bench_app
from ui.cli.eval_precedents import eval_app
from ui.cli.shared import (
    AttributeLevel,
    JsonOption,
    KOption,
    LibraryOption,
    ReaderStyle,
    RetrieverOption,
    SectionName,
    State,
    load_settings,
    open_indexes,
    print_json,
    progress,
    until_interrupted,
)
from ui.cli.train_commands import train_app
from ui.cli.train_sparse import train_sparse
from ui.cli.user_commands import users_app

if TYPE_CHECKING:
    from ingest.build import Outcome
    from rag.legal.precedents import CourtCase
    from rag.records import Answer
    from rag.settings import Settings

app = typer.Typer(
    name="glossator",
    help="Ask your long documents; every answer says on which page it stands.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(no_args_is_help=True, help="The weights that the commands use: list them, fetch them.")
app.add_typer(models_app, name="models")
app.add_typer(users_app, name="users")
app.add_typer(eval_app, name="eval")
app.add_typer(bench_app, name="bench")
app.add_typer(train_app, name="train")
train_app.command("sparse")(train_sparse)


INTERRUPTED = "interrupted. What was stored is kept; run the same command again"
TYPER_INTERRUPTED = 130  # the exit code by which typer tells of a KeyboardInterrupt in a command


class Kind(str, Enum):
    auto = "auto"
    pdf = "pdf"
    legal = "legal"
    podcast = "podcast"


class ChapterMethod(str, Enum):
    cohesion = "cohesion"
    reader = "reader"
    combined = "combined"


class ChapterFormat(str, Enum):
    text = "text"
    podcasting = "podcasting"
    webvtt = "webvtt"


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


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, as in settings.toml.")
    ] = None,
) -> None:
    State.debug = debug
    State.overrides = tuple(overrides or ())


def main() -> None:
    """The console script: every error becomes one line and an exit code."""
    logging.basicConfig(format="glossator: %(message)s", level=logging.ERROR)
    logging.getLogger("glossator").setLevel(logging.INFO)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers' own bar; stderr is for our lines
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold bytes that are no text
    try:
        app()
    except KeyboardInterrupt:
        _fail(INTERRUPTED, 1)
    except SystemExit as end:
        if end.code != TYPER_INTERRUPTED:
            raise
        _fail(INTERRUPTED, 1)
    except UsageError as error:
        _fail(str(error), 2)
    except RagError as error:
        _fail(str(error), 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output went away
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _fail(f"{error.strerror or error}{where}. Mend that and run the command again; nothing stored is lost", 1)


def _interrupt(number: int, frame: object) -> None:
    State.interrupted = True
    raise KeyboardInterrupt


def _fail(line: str, code: int) -> None:
    if State.debug:
        raise
    from ui.render import printable

    print(f"glossator: {printable(line)}", file=sys.stderr)
    # A Java machine or a model server may still have threads; there is nothing left to save.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):  # closed by whoever called us, or never open
            stream.flush()
    os._exit(code)


# -- documents -----------------------------------------------------------------------------------------------


@app.command()
def ingest(
    paths: Annotated[  # readable or not: one that is not must not keep the others out
        list[Path], typer.Argument(help="PDFs, judgments, transcripts, or folders.", metavar="PATH...", readable=False)
    ],
    library: LibraryOption,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Documents parsed at the same time.")] = 2,
    kind: Annotated[Kind, typer.Option("--kind", help="What the files are; of folders only these.")] = Kind.auto,
    password: Annotated[list[str] | None, typer.Option("--password", help="For encrypted files; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring PDFs, judgments and transcripts of podcasts into a library: new ones are added, changed ones replaced, the
    rest left alone. Judgments are PDF, HTML, text, or JSON with a record each. Show notes, chapters and audio beside a
    transcript, under its name, go with it."""
    from ingest.build import build
    from ui import render
    from ui.cli import json_layouts as layouts

    indexes = open_indexes(library, create=True)
    with progress() as report:
        summary = build(
            paths, indexes.library, indexes, indexes.settings.ingest, password or (), jobs, report, kind.value
        )
    if as_json:
        print_json(layouts.summary_json(summary))
    else:
        print(render.summary_text(summary))
    if summary.count("failed"):
        bad = [outcome for outcome in summary.documents if outcome.status == "failed"]
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise RagError(f"{_where(bad[0])}{more}")
    if before := [outcome for outcome in summary.documents if outcome.error]:
        log = logging.getLogger("glossator")
        log.warning("%d unchanged files could not be read before either, such as %s", len(before), _where(before[0]))


def _where(outcome: Outcome) -> str:
    error = outcome.error or ""
    return error if error.startswith(outcome.path) else f"{outcome.path}: {error}"


@app.command()
def documents(library: LibraryOption, as_json: JsonOption = False) -> None:
    """List what is in a library."""
    from rag.library.catalogue import Library
    from ui import render
    from ui.cli import json_layouts as layouts

    entries = Library.open(library).documents()
    if as_json:
        print_json(layouts.documents_json(entries))
    else:
        print(render.documents_text(entries))


@app.command()
def remove(
    document: Annotated[
        list[str], typer.Argument(help="An id, a unique prefix of one, or a path.", metavar="DOCUMENT...")
    ],
    library: LibraryOption,
    as_json: JsonOption = False,
) -> None:
    """Take documents out of a library, wholly."""
    from ui.web.jobs import remove as take_out

    indexes = open_indexes(library)
    removed = [indexes.library.find(name) for name in document]
    removed = list(dict.fromkeys(removed))
    with indexes.library.writing("glossator remove"), indexes.updating():
        for document_id in removed:
            take_out(indexes.library, document_id)
    if as_json:
        print_json({"removed": removed})
    else:
        print(f"removed {', '.join(removed)}")


@app.command()
def check(
    library: LibraryOption,
    repair: Annotated[bool, typer.Option("--repair", help="Make the indexes anew from the catalogue.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the indexes with the catalogue."""
    indexes = open_indexes(library)
    problems = indexes.library.problems() + indexes.problems()
    repaired: list[str] = []
    if repair and problems:
        with progress() as report, indexes.library.writing("glossator check --repair"):
            indexes.rebuild(report)
        left = indexes.library.problems() + indexes.problems()
        repaired, problems = [problem for problem in problems if problem not in left], left
    if as_json:
        print_json({"ok": not problems, "problems": problems, "repaired": repaired})
    else:
        for line in [*(f"repaired: {text}" for text in repaired), *(f"problem: {text}" for text in problems)]:
            print(line)
        if not problems:
            print("all is well")
    if problems:
        raise RagError(f"{library}: {len(problems)} problems. Mend them: glossator check --library {library} --repair")


@app.command()
def chapters(
    document: Annotated[str, typer.Argument(help="An id, a unique prefix of one, or a path.", metavar="DOCUMENT")],
    library: LibraryOption,
    method: Annotated[
        ChapterMethod | None, typer.Option("--method", help="Make them anew, in place of those stored.")
    ] = None,
    form: Annotated[
        ChapterFormat, typer.Option("--format", help="For show notes, for podcast apps, or for players.")
    ] = ChapterFormat.text,
    out: Annotated[Path | None, typer.Option("--out", help="Write them to this file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the chapters of a podcast: the maker's, or ours where there are none."""
    from ingest.rechapter import episode_of, rechapter
    from ui import chapter_formats as written

    indexes = open_indexes(library)
    document_id = indexes.library.find(document)
    found = episode_of(indexes, document_id).chapters
    to_file = written.FORMATS[form.value]
    streamed = form is ChapterFormat.text and sys.stdout.isatty() and not (as_json or out)
    if method is not None:
        made = []
        with progress() as report:
            for chapter in rechapter(indexes, document_id, method.value, report):
                made.append(chapter)
                if streamed:
                    print(written.line(chapter), flush=True)
        found = tuple(made)
    if out is not None:
        out.write_text(to_file(found), "utf-8")
    if as_json:
        title = indexes.library.documents([document_id])[0].title
        print_json(written.chapters_json(document_id, title, found))
    elif out is None and not (method and streamed):
        print(to_file(found), end="")


@app.command()
def precedents(
    document: Annotated[
        str, typer.Argument(help="A judgment: an id, a unique prefix of one, a path; or a new text's file.")
    ],
    library: LibraryOption,
    section: Annotated[SectionName, typer.Option("--section", help="What of it is the question.")] = SectionName.facts,
    field: Annotated[
        SectionName, typer.Option("--by", help="The section of earlier judgments that is searched.")
    ] = SectionName.both,
    scorer: Annotated[
        str, typer.Option("--scorer", help='How they are found: hybrid, graph, bm25, late, ...; "?" lists all.')
    ] = "hybrid",
    k: KOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the earlier judgments that bear on a judgment in the library, or on a new text."""
    from rag.legal.casebook import open_parts, open_precedents
    from rag.legal.precedents import checked, undated
    from ui import render
    from ui.cli import json_layouts as layouts

    settings = load_settings()
    how = checked(scorer)
    indexes = open_indexes(library)
    path = Path(document)
    known = not path.is_file() or indexes.library.document_at(str(path.absolute()))
    found = indexes.library.find(document) if known else None
    with progress() as report:
        parts = open_parts(indexes, how, report)
    with open_precedents(indexes.library, parts) as (searching, cases):
        query = next((case for case in cases if case.case_id == found), None) if found else _new_case(path, settings)
        if query is None:
            raise UsageError(f"{document} is no judgment. Name one: glossator documents")
        hits = searching.search(query, settings.retrieve.k if k is None else k, section.value, field.value, how)
    log = logging.getLogger("glossator")
    if not query.passages(section.value):
        log.warning("%s: no %s were found in it, so nothing was asked", document, section.value)
    if refused := undated(query, cases):
        log.warning("left out because their dates are not known: %d judgments, such as %s", len(refused), refused[0])
    if as_json:
        print_json(layouts.precedents_json(found or document, section.value, hits))
    else:
        print(render.hits_text(hits))


def _new_case(path: Path, settings: Settings) -> CourtCase:
    """A text that is no document of the library, read as ingestion would."""
    from ingest.chunk import chunk
    from ingest.read import read_alone
    from rag.legal.casebook import new_case

    document = read_alone(path, settings.ingest)
    assert document.case
    return new_case(document.case, chunk(document, settings.ingest.passage_tokens, settings.ingest.overlap_tokens))


# -- questions -----------------------------------------------------------------------------------------------


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    library: LibraryOption,
    retriever: RetrieverOption = None,
    k: KOption = None,
    filters: FilterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that bear on a question."""
    import time

    from rag.answer import check_question
    from ui import render
    from ui.cli import json_layouts as layouts

    settings = load_settings()
    count = settings.retrieve.k if k is None else k
    query = check_question(query, count, settings)
    indexes = open_indexes(library)
    name = retriever.value if retriever else settings.retrieve.retriever
    within = indexes.library.select(filters or ())
    with progress() as report:
        finder = indexes.retriever(name, report)
    began = time.perf_counter()
    hits = finder.search([query], count, within)[0]
    milliseconds = (time.perf_counter() - began) * 1000
    if as_json:
        print_json(layouts.search_json(query, name, hits, milliseconds))
    else:
        print(render.hits_text(hits))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="Your question.")],
    library: LibraryOption,
    reader: Annotated[
        ReaderStyle, typer.Option("--reader", help="With a note, from chosen quotes, or the answer alone.")
    ] = (ReaderStyle.notes),
    retriever: RetrieverOption = None,
    k: KOption = None,
    filters: FilterOption = None,
    attribute: Annotated[
        AttributeLevel, typer.Option("--attribute", help="What made the answer what it is, down to which parts.")
    ] = AttributeLevel.none,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from a library, with citations."""
    from rag.answer import Evidence, Token, check_question, explain, open_road
    from rag.answer import ask as answer_question
    from rag.records import Answer
    from ui import render
    from ui.cli import json_layouts as layouts

    settings = load_settings()
    count = settings.retrieve.k if k is None else k
    question = check_question(question, count, settings)
    indexes = open_indexes(library)
    within = indexes.library.select(filters or ())
    with progress() as report:
        road = open_road(indexes, retriever.value if retriever else None, report)
    answer: Answer | None = None
    for step in answer_question(question, road, count, within, reader.value):
        if isinstance(step, Evidence | Token) and not as_json and sys.stdout.isatty():
            print(step.text if isinstance(step, Token) else "\r\033[K", end="", flush=True)
        if isinstance(step, Answer):
            answer = step
    assert answer is not None
    if not as_json:
        print(("\r\033[K" if sys.stdout.isatty() else "") + render.answer_text(answer), flush=True)
    if attribute is not AttributeLevel.none:
        with progress() as report, until_interrupted() as stop:
            answer = explain(answer, road, reader.value, attribute.value, report=report, stop=stop)
    if as_json:
        print_json(layouts.answer_json(answer))
    elif answer.attribution is not None:
        print(render.attribution_text(answer.attribution))


@app.command()
def serve(
    library: LibraryOption,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 7860,
    users: Annotated[
        Path | None,
        typer.Option("--users", envvar="GLOSSATOR_USERS", help="Who may log in: a file made by `glossator users add`."),
    ] = None,
    no_login: Annotated[
        bool,
        typer.Option(
            "--no-login",
            help="Listen beyond this machine without --users: whoever reaches it can read, add and remove documents.",
        ),
    ] = False,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", help="A name by which browsers reach the server, such as docs.example.org. Repeatable."),
    ] = None,
) -> None:
    """Open the web page over a library."""
    from ui.web.reach import check_reachable, listen
    from ui.web.users import Users

    check_reachable(host, users, no_login)
    listen(host, port).close()  # what is wrong is said before anything heavy is loaded
    known = Users(users) if users else None
    indexes = open_indexes(library, create=True)
    from ui.web.server import serve as serve_page

    serve_page(indexes, host, port, names or (), known)


# -- models --------------------------------------------------------------------------------------------------


@models_app.command("list")
def models_list(as_json: JsonOption = False) -> None:
    """The models, their licences and sizes, and whether they are here."""
    from rag.models.registry import catalogue, path_of

    rows = []
    for name, model in catalogue().items():
        try:
            path: str | None = str(path_of(name))
        except RagError:
            path = None
        size = sum(file.bytes for file in model.files)
        rows.append({"name": name, "role": model.role, "licence": model.licence, "bytes": size, "path": path})
    if as_json:
        print_json({"models": rows})
        return
    for row in rows:
        here = row["path"] or f"not here: glossator models fetch {row['name']}"
        print(f"{row['name']:22} {row['role']:14} {row['licence']:11} {row['bytes'] / 1e6:6.0f} MB  {here}")


@models_app.command("fetch")
def models_fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which (default: what the settings use).", metavar="[NAME]...")
    ] = None,
    local: Annotated[Path | None, typer.Option("--from", help="A file or folder to take the weights from.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch weights, check their sha256, and put them where the commands look for them."""
    from rag.models.registry import catalogue, fetch

    settings = load_settings()
    wanted = names or [
        name for name in (settings.dense.model, settings.sparse.model, settings.reader.model) if name in catalogue()
    ]
    paths = {}
    for name in wanted:
        paths[name] = str(fetch(name, local, report=lambda line: print(f"glossator: {line}", file=sys.stderr)))
    if as_json:
        print_json({"models": [{"name": name, "path": path} for name, path in paths.items()]})
    else:
        for name, path in paths.items():
            print(f"{name}: {path}")
