"""The command line, put together. Names, options and JSON are a contract: other programs call them.

Libraries that are slow to load are imported inside the functions that use them, and the files of `eval`, `bench` and
`train` when one of their commands is called, so that --help is there at once.
"""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from rag.errors import RagError, UsageError
from ui.cli.commands.backup_commands import backup, move, restore
from ui.cli.commands.chapter_commands import chapters
from ui.cli.commands.concept_command import concepts
from ui.cli.commands.correction_commands import correct, corrections
from ui.cli.commands.doctor_command import doctor
from ui.cli.commands.document_commands import check, documents, ingest, remove
from ui.cli.commands.mcp_command import mcp
from ui.cli.commands.model_commands import models_app
from ui.cli.commands.precedent_commands import precedents
from ui.cli.commands.question_commands import ask, search
from ui.cli.commands.serve_command import serve
from ui.cli.commands.user_commands import users_app
from ui.cli.commands.worker_command import worker
from ui.cli.extras import what_is_missing
from ui.cli.shared import CommandState
from ui.wording import printable

INTERRUPTED = "interrupted. What was stored is kept; run the same command again"
TYPER_INTERRUPTED = 130  # typer's exit code for a KeyboardInterrupt in a command
DEFERRED = {  # group of commands -> (the module whose `app` they are, help)
    "eval": ("ui.cli.benchmarks.eval_commands", "Benchmarks."),
    "bench": ("ui.cli.benchmarks.bench_commands", "How long things take on this machine."),
    "train": ("ui.cli.training.train_commands", "Train what finds passages, and readers."),
}


class DeferredGroup(TyperGroup):
    """A group of commands whose module is imported when one of them, or the group's help, is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        self._load()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        self._load()
        return super().get_command(ctx, cmd_name)

    def _load(self) -> None:
        if not self.commands:
            module, _ = DEFERRED[self.name or ""]
            self.commands.update(get_group(import_module(module).app).commands)


app = typer.Typer(
    name="glossator",
    help="Ask your long documents; every answer says on which page it stands.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    ingest, documents, remove, check, backup, restore, move, chapters, precedents, search, ask, concepts, correct,
    corrections, serve, worker, mcp, doctor,
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)
app.add_typer(models_app, name="models")
app.add_typer(users_app, name="users")
for name, (_, what) in DEFERRED.items():
    app.add_typer(typer.Typer(cls=DeferredGroup, no_args_is_help=True), name=name, help=what)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, as in settings.toml.")
    ] = None,
) -> None:
    CommandState.debug = debug
    CommandState.overrides = tuple(overrides or ())


def main() -> None:
    """The console script: every error becomes one line and an exit code."""
    logging.basicConfig(format="glossator: %(message)s", level=logging.ERROR)
    logging.getLogger("glossator").setLevel(logging.INFO)
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # transformers' own bar; stderr is for our lines
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold bytes that are no text
    try:
        try:
            app()
        finally:  # what a pipe does not take is found out here, not when Python ends
            if sys.stdout is not None:
                sys.stdout.flush()
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
    except ModuleNotFoundError as error:
        if (line := what_is_missing(error)) is None:
            raise
        _fail(line, 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output went away
        sys.exit(1)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _fail(f"{error.strerror or error}{where}. Mend that and run the command again; nothing stored is lost", 1)


def _interrupt(number: int, frame: object) -> None:
    CommandState.interrupted = True
    raise KeyboardInterrupt


def _fail(line: str, code: int) -> None:
    if CommandState.debug:
        raise
    print(f"glossator: {printable(line)}", file=sys.stderr)
    # A Java machine or a model server may still have threads; there is nothing left to save.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):  # closed by whoever called us, or never open
            stream.flush()
    os._exit(code)
