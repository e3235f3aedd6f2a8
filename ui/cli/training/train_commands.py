"""The commands of `train`: the sampler's text side, readers, from questions with evidence or from chapters."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from eval.legal import precedents_trained
from eval.multihop.alignment import records_of
from eval.multihop.hotpotqa import open_pool
from eval.multihop.questions import Question, read_questions, sample
from eval.pdf.paperpdf import examples_of, read_paperpdf
from eval.pdf.pdf_questions import open_library
from eval.podcast.chapter_scores import read_cases
from ingest.podcast import podtile_training
from ingest.podcast.podtile import Room
from rag.legal.casebook import Parts, open_precedents, vectors_of
from rag.read.entailment import open_judge
from rag.train import dense_training, note_training, precedent_training, quote_training
from rag.train.adapters import open_chat_model
from rag.train.checkpoints import checkpoint_of
from rag.train.common import check_out
from rag.train.policy import Policy
from ui.cli.extras import require
from ui.cli.options import (
    EpisodesOption,
    FolderOption,
    JsonOption,
    LibraryOption,
    LimitOption,
    SectionName,
    SeedOption,
)
from ui.cli.shared import load_settings, open_indexes, print_result, progress, scratch_library
from ui.cli.training.train_reader import train_reader
from ui.cli.training.train_sparse import train_sparse

log = logging.getLogger("glossator")

EpochsOption = Annotated[int, typer.Option("--epochs", min=1, help="How often each example is seen.")]
ModelOption = Annotated[str, typer.Option("--model", help="A causal chat model: a folder or hub id for transformers.")]
ReaderOutOption = Annotated[Path, typer.Option("--out", help="A new folder, which reader.model can name.")]


def train_sampler(
    data: Annotated[Path, typer.Option("--data", help="Questions with evidence, in PaperPDF's layout.")],
    folder: FolderOption,
    out: Annotated[Path, typer.Option("--out", help="A new folder, which dense.model can name.")],
    epochs: EpochsOption = 1,
    seed: SeedOption = 0,
    full: Annotated[bool, typer.Option("--full", help="Train the whole text encoder, not a projection.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring questions near their evidence: a projection behind the dense encoder, or the encoder itself."""
    began = time.monotonic()
    settings = load_settings()
    check_out(out)
    questions = read_paperpdf(data)
    dense = settings.dense
    with scratch_library(None) as scratch, progress() as report:
        library = open_library(folder, scratch, settings, report).library
        found = examples_of(questions, library)
        if left := found.without_pdf + found.without_evidence:
            log.warning(
                "%d of %d questions are left out: %d whose PDF is not in %s, %d whose evidence is not found in it",
                left, len(questions), found.without_pdf, folder, found.without_evidence,
            )  # fmt: skip
        encoder = dense_training.open_for_training(dense.model, dense.max_tokens, dense.batch_size, full)
        trained = dense_training.train(found.examples, encoder, library.picture, epochs, seed, full, report)
        dense_training.save(trained, dense.model, out, data.name)
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
    text = _format(f"{trained.examples} questions", "loss by epoch", trained.losses, f"dense.model={out}")
    print_result(result, as_json, lambda _: text)


def train_quotes(
    data: Annotated[Path, typer.Option("--data", help="Questions with gold sentences, in HotpotQA's layout.")],
    model: ModelOption,
    out: ReaderOutOption,
    limit: LimitOption = None,
    epochs: EpochsOption = 1,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Teach a reader to copy the sentences that a question needs, and to answer from them (ALR²).

    --limit draws a sample of the questions. An interrupted training goes on when it is called again.
    """
    began = time.monotonic()
    check_out(out)
    require("train quotes", "peft")
    questions = sample(read_questions(data).questions, limit, seed)
    records = records_of(questions)
    reader, tokenizer = open_chat_model(model)
    with progress() as report:
        trained = quote_training.train(records, reader, tokenizer, epochs, seed, report, checkpoint_of(out))
    if left := len(questions) - trained.examples:
        log.warning(
            "%d of %d questions are left out: %d without gold sentences among their paragraphs, %d too long for %s",
            left, len(questions), len(questions) - len(records), trained.left_out, model,
        )  # fmt: skip
    quote_training.save(trained, model, out, data.name)
    result = {
        "task": "train quotes",
        "out": str(out),
        "base": model,
        "examples": trained.examples,
        "left_out": {"without_evidence": len(questions) - len(records), "too_long": trained.left_out},
        "losses": trained.losses,
        "seconds": round(time.monotonic() - began, 1),
    }
    text = _format(f"{trained.examples} questions", "loss by epoch", trained.losses, f"reader.model={out}")
    print_result(result, as_json, lambda _: text)


def train_notes(
    data: Annotated[Path, typer.Option("--data", help="Questions with their paragraphs, in HotpotQA's layout.")],
    model: ModelOption,
    judge: Annotated[str, typer.Option("--judge", help="A classifier of natural language inference, likewise.")],
    out: ReaderOutOption,
    limit: LimitOption = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Training steps (default: each question once).")
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Teach a reader to search, take notes and answer, by reward (EviNote-RAG). It searches with BM25.

    --limit draws a sample of the questions.
    """
    began = time.monotonic()
    settings = load_settings()
    check_out(out)
    require("train notes", "peft")
    benchmark = read_questions(data)
    benchmark = replace(benchmark, questions=tuple(sample(benchmark.questions, limit, seed)))
    entailment = open_judge(judge)
    policy = Policy(model, seed=seed)
    with tempfile.TemporaryDirectory(prefix="glossator-") as scratch, progress() as report:
        pool = open_pool(benchmark, "distractor", Path(scratch), settings, ["bm25"], report=report)
        bm25 = pool.corpus.indexes.retriever("bm25", report)

        def searching(question: Question) -> note_training.Search:
            """Among the question's own paragraphs."""
            within = pool.within[question.id] if pool.within else []

            def search(query: str) -> list[tuple[str, str]]:
                hits = bm25.search([query[: settings.retrieve.max_query_characters]], note_training.TOP, within)[0]
                return [(hit.passage.title, hit.passage.text) for hit in hits]

            return search

        examples = [note_training.NoteExample(q.question, q.answers, searching(q)) for q in benchmark.questions]
        trained = note_training.train(examples, policy, entailment, steps, seed, report)
        note_training.save(trained, out, data.name, judge)
    result = {
        "task": "train notes",
        "out": str(out),
        "base": model,
        "judge": judge,
        "lora": policy.lora,
        "questions": trained.questions,
        "steps": trained.steps,
        "rewards": trained.rewards,
        "losses": trained.losses,
        "seconds": round(time.monotonic() - began, 1),
    }
    text = _format(f"{trained.questions} questions", "mean reward by step", trained.rewards, f"reader.model={out}")
    print_result(result, as_json, lambda _: text)


def train_chapters(
    episodes: EpisodesOption,
    model: ModelOption,
    out: ReaderOutOption,
    epochs: EpochsOption = 1,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Teach a reader to write chapters as the makers of these episodes did (PODTILE).

    An interrupted training goes on when it is called again.
    """
    began = time.monotonic()
    room = Room.of(load_settings().reader.context_tokens)
    check_out(out)
    require("train chapters", "peft")
    cases = read_cases(episodes)
    reader, tokenizer = open_chat_model(model)
    with progress() as report:
        examples = [
            example for case in cases for example in podtile_training.examples_of(case.document, tokenizer, room)
        ]
        trained = podtile_training.train(examples, reader, tokenizer, epochs, seed, report, checkpoint_of(out))
    if trained.left_out:
        log.warning("%d of %d parts of episodes are too long for %s", trained.left_out, len(examples), model)
    podtile_training.save(trained, model, out, episodes.name, room)
    result = {
        "task": "train chapters",
        "out": str(out),
        "base": model,
        "episodes": len(cases),
        "examples": trained.examples,
        "left_out": {"too_long": trained.left_out},
        "losses": trained.losses,
        "seconds": round(time.monotonic() - began, 1),
    }
    setting = f"reader.model={out} --set chapters.method=reader"
    text = _format(f"{trained.examples} parts of episodes", "loss by epoch", trained.losses, setting)
    print_result(result, as_json, lambda _: text)


def train_precedents(
    library: LibraryOption,
    out: Annotated[Path, typer.Option("--out", help="A new folder, which precedents.pooling can name.")],
    field: Annotated[
        SectionName, typer.Option("--field", help="The section of the cited judgments.")
    ] = SectionName.both,
    negatives: Annotated[
        str, typer.Option("--negatives", help="Judgments not cited: some of random, bm25, mined, batch.")
    ] = "random,bm25,mined,batch",
    epochs: EpochsOption = 10,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Bring the facts of judgments near the judgments that they cite, over the vectors of passages (ECtHR-PCR).

    The later half of the library's citing judgments is held out: what they cite is looked for before and after.
    """
    began = time.monotonic()
    kinds = precedent_training.kinds_of(negatives)
    check_out(out)
    indexes = open_indexes(library)
    with progress() as report:
        vectors = vectors_of(indexes, report)
        with open_precedents(indexes.library, Parts(vectors)) as (searching, cases):
            split = precedents_trained.halves(precedents_trained.citing_cases(indexes.library, cases))
            examples = precedent_training.examples_of(split.trained_on, cases, "facts", field.value)
            by_bm25 = {
                example.query.case_id: list(searching.rank(example.query, "facts", field.value, "bm25"))
                for example in (examples if "bm25" in kinds else ())
            }
        trained = precedent_training.train(
            examples, cases, vectors, "facts", field.value, kinds, by_bm25, epochs, seed, report
        )  # fmt: skip
        with open_precedents(indexes.library, Parts(vectors, pooling=trained.pooling)) as (searching, _):
            held_out = precedents_trained.before_and_after(searching, split.held_out, "facts", field.value, seed)
        precedent_training.save(trained, indexes.settings.dense.model, out, library.name)
    result = {
        "task": "train precedents",
        "out": str(out),
        "base": indexes.settings.dense.model,
        "field": field.value,
        "negatives": list(kinds),
        "examples": trained.examples,
        "losses": trained.losses,
        "held_out": held_out,
        "seconds": round(time.monotonic() - began, 1),
    }
    setting = f"precedents.pooling={out} precedents CASE --scorer trained"
    text = _format(f"{trained.examples} judgments", "loss by epoch", trained.losses, setting)
    print_result(result, as_json, lambda _: f"{text}\n\n{precedents_trained.text(held_out)}")


def _format(examples: str, measure: str, values: Sequence[float], setting: str) -> str:
    """What was trained, the measure by epoch or step, and the setting that uses it."""
    curve = ", ".join(map(str, values))
    return f"trained from {examples}, {measure}: {curve}\nto use it: --set {setting}"


app = typer.Typer()
app.command("sampler")(train_sampler)
app.command("quotes")(train_quotes)
app.command("notes")(train_notes)
app.command("chapters")(train_chapters)
app.command("precedents")(train_precedents)
app.command("sparse")(train_sparse)
app.command("reader")(train_reader)
