"""The command `train sparse`: it fits a sparse encoder to a library or to questions, and installs it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from eval.retrieval.sparse_gain import fit, report_of, teachers_of
from eval.retrieval.training_data import read_training_data
from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.llm.open import open_reader
from rag.records import Passage
from rag.train.checkpoints import checkpoint_of
from rag.train.common import check_out
from rag.train.sparse import generated_queries
from rag.train.sparse.pairs import Pair, TrainingSet
from rag.train.sparse.referring_sentences import ReferringSentence, references_of
from rag.train.sparse.self_made_queries import SELF_MADE, training_set
from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.sparse_training import save
from ui.cli.options import JsonOption, SeedOption
from ui.cli.shared import load_settings, open_indexes, print_result, progress

TrainingLibraryOption = Annotated[
    Path | None, typer.Option("--library", help="Learn from its passages, and use what came of it there.")
]


def train_sparse(
    library: TrainingLibraryOption = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", help="Questions with paragraphs (HotpotQA, 2Wiki, MuSiQue), or a BEIR folder. Repeatable."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new folder, which sparse.model can name (default: in the library).")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Search the library with the settings' encoder again.")] = False,
    self_made: Annotated[
        int, typer.Option("--self-made", min=0, help="At most N queries made of titles, headings, sentences, ...")
    ] = SELF_MADE,
    written: Annotated[int, typer.Option("--written", min=0, help="N questions written by the reader, as well.")] = 0,
    recipe: Annotated[
        list[str] | None,
        typer.Option(
            "--recipe",
            help="NAME=VALUE of a recipe's fields, as steps=300 (rag/train/sparse/sparse_recipe.py). Repeatable.",
        ),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Fit the sparse encoder to a library or to questions, and report by how much it finds held-out passages better.

    An encoder whose gain is not certain is not kept. An interrupted training goes on when it is called again.
    """
    if undo:
        print_result(_undo(library), as_json, lambda result: f"{result['library']} uses {result['sparse_model']} again")
        return
    if library is None and not data:
        raise UsageError("train sparse: nothing to learn from. Name a library with --library, or files with --data")
    if library is None and out is None:
        raise UsageError("train sparse: nowhere to write to. Name a new folder with --out")
    result = _train(library, data or [], out, self_made, written, recipe or [], seed)
    print_result(result, as_json, lambda _: _format(result, library if out is None else None))


def _train(
    library: Path | None,
    data: list[Path],
    out: Path | None,
    self_made: int,
    written: int,
    changes: list[str],
    seed: int,
) -> dict[str, Any]:
    """Train, keep the encoder if it is better, and give the report as JSON."""
    began, settings, recipe = time.monotonic(), load_settings(), recipe_of(changes, seed)
    indexes = None if library is None else open_indexes(library)
    target = _target(indexes, out)
    checkpoint = checkpoint_of(target)
    with progress() as report:
        passages, references, given = _read_material(indexes, data)
        training = _training_set(passages, references, given, self_made, written, recipe.seed, report)
        outcome = fit(training, settings, recipe, checkpoint, report)
        if outcome.better:
            sources = {"files": [file.name for file in data], "queries": outcome.learnt.sources()}
            keep = partial(save, outcome.student, outcome.state, recipe, sources, target)
            _install(keep, indexes if out is None else None, report)
        shutil.rmtree(checkpoint, ignore_errors=True)
    return {
        "task": "train sparse",
        **report_of(outcome, recipe.seed),
        "base": settings.sparse.model,
        "kept": outcome.better,
        "out": str(target) if outcome.better else None,
        "seconds": round(time.monotonic() - began, 1),
    }


def _target(indexes: Indexes | None, out: Path | None) -> Path:
    """The folder to be written: `out`, or the library's own. UsageError for one that is there already."""
    if out is not None:
        check_out(out)
        return out
    assert indexes is not None
    if indexes.own_encoder.exists():
        library = indexes.library.folder
        raise UsageError(
            f"{library} has an encoder of its own. Take it away first: train sparse --library {library} --undo"
        )
    return indexes.own_encoder


def _install(keep: Callable[[], None], indexes: Indexes | None, report: Any) -> None:
    """Write the encoder with `keep`; where it is a library's own, rebuild the library's sparse index with it."""
    if indexes is None:
        keep()
        return
    with indexes.library.writing("glossator train sparse"):
        indexes.rebuild_sparse(keep, report)


def recipe_of(changes: list[str], seed: int) -> Recipe:
    """The recipe with NAME=VALUE changes. Raises UsageError for an unknown name or a wrong value."""
    values: dict[str, Any] = {"seed": seed}
    names = [field.name for field in fields(Recipe)]
    for change in changes:
        name, _, value = change.partition("=")
        if name not in names or not value:
            raise UsageError(
                f"--recipe {change}: there is no such field. Choose one of {', '.join(names)}, as steps=300"
            )
        values[name] = tuple(value.split(",")) if name == "teachers" else value
    try:
        return TypeAdapter(Recipe).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--recipe {first['loc'][0]}: {first['msg']}") from error


def _read_material(
    indexes: Indexes | None, data: list[Path]
) -> tuple[list[Passage], list[ReferringSentence], list[Pair]]:
    """Passages, what their sentences refer to, and questions whose positives are indexes of these passages."""
    passages, given = read_training_data(data) if data else ([], [])
    if indexes is None:
        return passages, [], given
    stored = [passage for _, passage in indexes.library.passages_since(0)]
    moved = [replace(pair, positives=tuple(index + len(stored) for index in pair.positives)) for pair in given]
    return stored + passages, references_of(indexes.library, stored), moved


def _training_set(
    passages: list[Passage],
    references: list[ReferringSentence],
    given: list[Pair],
    self_made: int,
    written: int,
    seed: int,
    report: Any,
) -> TrainingSet:
    """The training set, with questions by the reader where they are asked for."""
    made = training_set(passages, references, given, self_made)
    if not written:
        return made
    settings = load_settings()
    passages_alone = made.part(made.whole, ())  # which come first: their indexes are the same
    teachers = teachers_of(passages_alone, ("bm25", "dense"), settings, report)
    pairs = generated_queries.written(passages_alone, open_reader(settings.reader), teachers, written, seed, report)
    return replace(made, pairs=(*made.pairs, *pairs))


def _undo(library: Path | None) -> dict[str, Any]:
    if library is None:
        raise UsageError("train sparse --undo: of which library? Name it with --library")
    indexes = open_indexes(library)
    if not indexes.own_encoder.exists():
        raise UsageError(f"{library} has no encoder of its own: it uses {indexes.settings.sparse.model}")
    with progress() as report, indexes.library.writing("glossator train sparse --undo"):
        indexes.rebuild_sparse(partial(_remove, indexes.own_encoder), report)
    return {"task": "train sparse --undo", "library": str(library), "sparse_model": indexes.settings.sparse.model}


def _remove(folder: Path) -> None:
    """Remove the folder under another name: half an encoder would be taken for a damaged one."""
    gone = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(gone, ignore_errors=True)
    folder.rename(gone)
    shutil.rmtree(gone)


def _format(result: dict[str, Any], library: Path | None) -> str:
    lines = [f"{result['n']} held-out queries; {result['steps']} steps, the best after {result['best_step']}"]
    for name, value in result["metrics"].items():
        low, high = result["intervals"][name]
        lines.append(f"{name:16} {value:.3f} [{low:.3f}, {high:.3f}]")
    gain = result["gain"]["before"]
    low, high = gain["interval"]
    lines.append(f"{'gain':16} {gain['difference']:+.3f} [{low:+.3f}, {high:+.3f}]")
    terms = result["terms_a_text"]
    lines.append(f"terms a text     {terms['before']:.0f} before, {terms['after']:.0f} after")
    if not result["kept"]:
        hint = ". With more documents there would be more queries to tell by" if gain["difference"] > 0 else ""
        lines.append(f"not better for certain: nothing was changed{hint}")
    elif library is not None:
        lines.append(
            f"{library} is searched with it from now on; back: glossator train sparse --library {library} --undo"
        )
    else:
        lines.append(f"to use it: --set sparse.model={result['out']}")
    return "\n".join(lines)
