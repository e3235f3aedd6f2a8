"""The commands of `models`: the weights that the other commands use."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from rag.errors import RagError
from ui.cli.options import JsonOption
from ui.cli.shared import load_settings, print_json

models_app = typer.Typer(no_args_is_help=True, help="The weights that the commands use: list them, fetch them.")


@models_app.command("list")
def models_list(as_json: JsonOption = False) -> None:
    """The models, their licences and sizes, and whether they are here; also those of an Ollama that runs here."""
    from rag.llm.ollama import running_models
    from rag.models.registry import catalogue, path_of

    rows = []
    for name, model in catalogue().items():
        try:
            path: str | None = str(path_of(name))
        except RagError:
            path = None
        size = sum(file.bytes for file in model.files)
        rows.append((name, model.role, model.licence, size, path))
    rows += [(model.name, "reader", "see Ollama", model.bytes, "in Ollama") for model in running_models()]
    if as_json:
        keys = ("name", "role", "licence", "bytes", "path")
        print_json({"models": [dict(zip(keys, row, strict=True)) for row in rows]})
        return
    for name, role, licence, size, path in rows:
        state = path or f"not here: glossator models fetch {name}"
        print(f"{name:22} {role:14} {licence:11} {size / 1e6:6.0f} MB  {state}")


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
    used = [settings.dense.model, settings.sparse.model, settings.extract.model, settings.reader.model]
    used += [settings.audio.model, "silero-vad"] if find_spec("ctranslate2") else []  # the extra audio is installed
    wanted = names or [name for name in used if name in catalogue()]
    paths = {}
    for name in wanted:
        paths[name] = str(fetch(name, local, report=lambda line: print(f"glossator: {line}", file=sys.stderr)))
    if as_json:
        print_json({"models": [{"name": name, "path": path} for name, path in paths.items()]})
    else:
        for name, path in paths.items():
            print(f"{name}: {path}")
