"""The commands of training: the sampler's text side, from questions with evidence."""

from __future__ import annotations

import logging
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from ui.command import JsonOption, load_settings, print_json, progress

train_app = typer.Typer(no_args_is_help=True, help="Train what finds passages.")
log = logging.getLogger("glossator")


@train_app.command("sampler")
def train_sampler(
    data: Annotated[Path, typer.Option("--data", help="Questions with evidence, in PaperPDF's layout.")],
    folder: Annotated[Path, typer.Option("--folder", help="The folder with their PDFs.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder, which dense.model can name.")],
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How often each question is seen.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the order and the negatives.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Train the whole text encoder, not a projection.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring questions near their evidence: a projection behind the dense encoder, or the encoder itself."""
    from eval.paperpdf import examples_of, read_paperpdf
    from eval.pdf import open_library
    from rag.encode import train

    began = time.monotonic()
    settings = load_settings()
    train.check_out(out)
    questions = read_paperpdf(data)
    dense = settings.dense
    with tempfile.TemporaryDirectory(prefix="glossator-") as scratch, progress() as report:
        library = open_library(folder, Path(scratch) / "library", settings, report).library
        found = examples_of(questions, library)
        if left := found.without_pdf + found.without_evidence:
            log.warning(
                "%d of %d questions are left out: %d whose PDF is not in %s, %d whose evidence is not found in it",
                left, len(questions), found.without_pdf, folder, found.without_evidence,
            )  # fmt: skip
        encoder = train.open_for_training(dense.model, dense.max_tokens, dense.batch_size, full)
        trained = train.train(found.examples, encoder, library.picture, epochs, seed, full, report)
        train.save(trained, dense.model, out, data.name)
    result = {
        "task": "train sampler",
        "out": str(out),
        "base": dense.model,
        "full": full,
        "examples": trained.examples,
        "left_out": {"without_pdf": found.without_pdf, "without_evidence": found.without_evidence},
        "losses": trained.losses,
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        print_json(result)
        return
    print(f"trained from {trained.examples} questions, loss by epoch: {', '.join(map(str, trained.losses))}")
    print(f"to use it: --set dense.model={out}")
