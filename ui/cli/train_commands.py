"""The commands of training: the sampler's text side, and readers, from questions with evidence or from chapters."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ui.cli.shared import (
    JsonOption,
    LibraryOption,
    SectionName,
    load_settings,
    open_indexes,
    print_result,
    progress,
    scratch_library,
)

train_app = typer.Typer(no_args_is_help=True, help="Train what finds passages, and readers.")
log = logging.getLogger("glossator")

EpochsOption = Annotated[int, typer.Option("--epochs", min=1, help="How often each question is seen.")]
ModelOption = Annotated[str, typer.Option("--model", help="A causal chat model: a folder or hub id for transformers.")]
ReaderOutOption = Annotated[Path, typer.Option("--out", help="A new folder, which reader.model can name.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="How many questions, drawn by --seed.")]


@train_app.command("sampler")
def train_sampler(
    data: Annotated[Path, typer.Option("--data", help="Questions with evidence, in PaperPDF's layout.")],
    folder: Annotated[Path, typer.Option("--folder", help="The folder with their PDFs.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder, which dense.model can name.")],
    epochs: EpochsOption = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the order and the negatives.")] = 0,
    full: Annotated[bool, typer.Option("--full", help="Train the whole text encoder, not a projection.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring questions near their evidence: a projection behind the dense encoder, or the encoder itself."""
    from eval.pdf.paperpdf import examples_of, read_paperpdf
    from eval.pdf.pdf_questions import open_library
    from rag.train import dense_training as trainer
    from rag.train.common import check_out

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
        encoder = trainer.open_for_training(dense.model, dense.max_tokens, dense.batch_size, full)
        trained = trainer.train(found.examples, encoder, library.picture, epochs, seed, full, report)
        trainer.save(trained, dense.model, out, data.name)
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
    text = _text(f"{trained.examples} questions", "loss by epoch", trained.losses, f"dense.model={out}")
    print_result(result, as_json, lambda _: text)


@train_app.command("quotes")
def train_quotes(
    data: Annotated[Path, typer.Option("--data", help="Questions with gold sentences, in HotpotQA's layout.")],
    model: ModelOption,
    out: ReaderOutOption,
    limit: LimitOption = None,
    epochs: EpochsOption = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the sample, the order and the adapters.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Teach a reader to copy the sentences that a question needs, and to answer from them (ALR²)."""
    from eval.multihop.alignment import records_of
    from eval.multihop.questions import read_questions, sample
    from rag.train import quote_training as trainer
    from rag.train.common import check_out, open_chat_model

    began = time.monotonic()
    check_out(out)
    questions = sample(read_questions(data).questions, limit, seed)
    records = records_of(questions)
    reader, tokenizer = open_chat_model(model)
    with progress() as report:
        trained = trainer.train(records, reader, tokenizer, epochs, seed, report)
    if left := len(questions) - trained.examples:
        log.warning(
            "%d of %d questions are left out: %d without gold sentences among their paragraphs, %d too long for %s",
            left, len(questions), len(questions) - len(records), trained.left_out, model,
        )  # fmt: skip
    trainer.save(trained, model, out, data.name)
    result = {
        "task": "train quotes",
        "out": str(out),
        "base": model,
        "examples": trained.examples,
        "left_out": {"without_evidence": len(questions) - len(records), "too_long": trained.left_out},
        "losses": trained.losses,
        "seconds": round(time.monotonic() - began, 1),
    }
    text = _text(f"{trained.examples} questions", "loss by epoch", trained.losses, f"reader.model={out}")
    print_result(result, as_json, lambda _: text)


@train_app.command("notes")
def train_notes(
    data: Annotated[Path, typer.Option("--data", help="Questions with their paragraphs, in HotpotQA's layout.")],
    model: ModelOption,
    judge: Annotated[str, typer.Option("--judge", help="A classifier of natural language inference, likewise.")],
    out: ReaderOutOption,
    limit: LimitOption = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Of training (default: each question once).")] = (
        None
    ),
    seed: Annotated[int, typer.Option("--seed", help="Of the sample, the order and the rollouts.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Teach a reader to search, take notes and answer, by reward (EviNote-RAG). It searches with BM25."""
    from dataclasses import replace

    from eval.multihop.hotpotqa import open_pool
    from eval.multihop.questions import Question, read_questions, sample
    from rag.train import note_training as trainer
    from rag.train.common import check_out
    from rag.train.reward import open_judge

    began = time.monotonic()
    settings = load_settings()
    check_out(out)
    benchmark = read_questions(data)
    benchmark = replace(benchmark, questions=tuple(sample(benchmark.questions, limit, seed)))
    entailment = open_judge(judge)
    policy = trainer.Policy(model, seed=seed)
    with tempfile.TemporaryDirectory(prefix="glossator-") as scratch, progress() as report:
        pool = open_pool(benchmark, "distractor", Path(scratch), settings, ["bm25"], report=report)
        bm25 = pool.corpus.indexes.retriever("bm25", report)

        def searching(question: Question) -> trainer.Search:
            """Among the question's own paragraphs."""
            within = pool.within[question.id] if pool.within else []

            def search(query: str) -> list[tuple[str, str]]:
                hits = bm25.search([query[: settings.retrieve.max_query_characters]], trainer.TOP, within)[0]
                return [(hit.passage.title, hit.passage.text) for hit in hits]

            return search

        examples = [trainer.Example(q.question, q.answers, searching(q)) for q in benchmark.questions]
        trained = trainer.train(examples, policy, entailment, steps, seed, report)
        trainer.save(trained, out, data.name, judge)
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
    text = _text(f"{trained.questions} questions", "mean reward by step", trained.rewards, f"reader.model={out}")
    print_result(result, as_json, lambda _: text)


@train_app.command("chapters")
def train_chapters(
    episodes: Annotated[Path, typer.Option("--episodes", help="Records as for `eval chapters`.")],
    model: ModelOption,
    out: ReaderOutOption,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How often each part of an episode is seen.")] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the order and the adapters.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Teach a reader to write chapters as the makers of these episodes did (PODTILE)."""
    from eval.podcast.chapter_scores import read_cases
    from ingest.podcast import podtile_training as trainer
    from ingest.podcast.podtile import Room
    from rag.train.common import check_out, open_chat_model

    began = time.monotonic()
    room = Room.of(load_settings().reader.context_tokens)
    check_out(out)
    cases = read_cases(episodes)
    reader, tokenizer = open_chat_model(model)
    with progress() as report:
        examples = [example for case in cases for example in trainer.examples_of(case.document, tokenizer, room)]
        trained = trainer.train(examples, reader, tokenizer, epochs, seed, report)
    if trained.left_out:
        log.warning("%d of %d parts of episodes are too long for %s", trained.left_out, len(examples), model)
    trainer.save(trained, model, out, episodes.name, room)
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
    text = _text(f"{trained.examples} parts of episodes", "loss by epoch", trained.losses, setting)
    print_result(result, as_json, lambda _: text)


@train_app.command("precedents")
def train_precedents(
    library: LibraryOption,
    out: Annotated[Path, typer.Option("--out", help="A new folder, which precedents.pooling can name.")],
    field: Annotated[
        SectionName, typer.Option("--field", help="The section of the cited judgments.")
    ] = SectionName.both,
    negatives: Annotated[
        str, typer.Option("--negatives", help="Judgments not cited: some of random, bm25, mined, batch.")
    ] = "random,bm25,mined,batch",
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="How often each citing judgment is seen.")] = 10,
    seed: Annotated[int, typer.Option("--seed", help="Of the order and the negatives.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Bring the facts of judgments near the judgments that they cite, over the vectors of passages (ECtHR-PCR).

    The later half of the library's citing judgments is held out: what they cite is looked for before and after.
    """
    from eval.legal.precedents_trained import before_and_after, citing_cases, halves
    from eval.legal.precedents_trained import text as written
    from rag.legal.casebook import Parts, open_precedents, vectors_of
    from rag.train import precedent_training as trainer
    from rag.train.common import check_out

    began = time.monotonic()
    kinds = trainer.kinds_of(negatives)
    check_out(out)
    indexes = open_indexes(library)
    with progress() as report:
        vectors = vectors_of(indexes, report)
        with open_precedents(indexes.library, Parts(vectors)) as (searching, cases):
            split = halves(citing_cases(indexes.library, cases))
            examples = trainer.examples_of(split.trained_on, cases, "facts", field.value)
            by_bm25 = {
                example.query.case_id: list(searching.rank(example.query, "facts", field.value, "bm25"))
                for example in (examples if "bm25" in kinds else ())
            }
        trained = trainer.train(
            examples, cases, vectors, "facts", field.value, kinds, by_bm25, epochs, seed, report
        )  # fmt: skip
        with open_precedents(indexes.library, Parts(vectors, pooling=trained.pooling)) as (searching, _):
            held_out = before_and_after(searching, split.held_out, "facts", field.value, seed)
        trainer.save(trained, indexes.settings.dense.model, out, library.name)
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
    text = _text(f"{trained.examples} judgments", "loss by epoch", trained.losses, setting)
    print_result(result, as_json, lambda _: f"{text}\n\n{written(held_out)}")


def _text(seen: str, measure: str, values: Sequence[float], setting: str) -> str:
    curve = ", ".join(map(str, values))
    return f"trained from {seen}, {measure}: {curve}\nto use it: --set {setting}"
