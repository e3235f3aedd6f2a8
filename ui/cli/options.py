"""The options that several commands share: each has one name, one type and one help text, and is defined here."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from rag.errors import UsageError
from rag.read.compose.style import AUTO
from rag.read.compose.style import STYLES as ANSWER_STYLES


class RetrieverName(str, Enum):
    bm25 = "bm25"
    sparse = "sparse"
    dense = "dense"
    hybrid = "hybrid"


class SectionName(str, Enum):
    facts = "facts"
    law = "law"
    both = "both"


class ReaderStyle(str, Enum):
    notes = "notes"
    quotes = "quotes"
    direct = "direct"
    extract = "extract"


STYLES = tuple(style.value for style in ReaderStyle)


def reader_style(name: str) -> ReaderStyle:
    """The answering strategy of this name. Raises UsageError where there is none."""
    if name not in STYLES:
        raise UsageError(f"--reader {name}: no answering strategy has this name. Choose one of {', '.join(STYLES)}")
    return ReaderStyle(name)


def answer_style(name: str) -> str:
    """The style of this name. Raises UsageError where there is none."""
    if name not in (AUTO, *ANSWER_STYLES):
        raise UsageError(f"--style {name}: choose one of {', '.join((AUTO, *ANSWER_STYLES))}")
    return name


# -- any command -----------------------------------------------------------------------------------------------

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
LibraryOption = Annotated[
    Path, typer.Option("--library", envvar="GLOSSATOR_LIBRARY", help="The library folder.", show_default=False)
]
RetrieverOption = Annotated[RetrieverName | None, typer.Option("--retriever", help="How passages are found.")]
KOption = Annotated[int | None, typer.Option("-k", help="How many passages.")]
ReaderOption = Annotated[
    ReaderStyle,
    typer.Option(
        "--reader",
        parser=reader_style,
        metavar=f"<{'|'.join(STYLES)}>",
        help="The answering strategy: with a note, from chosen quotes, or the answer alone.",
    ),
]
StyleOption = Annotated[
    str,
    typer.Option(
        "--style",
        parser=answer_style,
        metavar=f"<{'|'.join((AUTO, *ANSWER_STYLES))}>",
        help="The way of answering: what the question asks for, a phrase, sentences, a list, two sides, a summary.",
    ),
]
MuteOption = Annotated[
    list[str] | None,
    typer.Option("--mute", help="A concept that counts less: a name or id of `glossator concepts`. Repeatable."),
]
BoostOption = Annotated[
    list[str] | None, typer.Option("--boost", help="A concept that counts more, as --mute. Repeatable.")
]
SectionOption = Annotated[
    SectionName, typer.Option("--section", help="The section of a judgment that is used as the query.")
]
SearchedSectionOption = Annotated[
    SectionName, typer.Option("--by", help="The section of earlier judgments that is searched.")
]

# -- benchmarks and training -----------------------------------------------------------------------------------

CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Where indexes and replies are kept (default: the platform's cache).")
]
ControlsOption = Annotated[bool, typer.Option("--controls/--no-controls", help="Measure the controls in the same run.")]
EpisodesOption = Annotated[Path, typer.Option("--episodes", help="Records with id, transcript, chapters.")]
FolderOption = Annotated[Path, typer.Option("--folder", help="The folder with the PDFs.")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Questions sent to an endpoint at the same time.")]
KeptLibraryOption = Annotated[Path | None, typer.Option("--library", help="Keep the library there.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most N questions, episodes or passages of the data.")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder for predictions, per_question.jsonl, report.md.")]
PagesOption = Annotated[
    str, typer.Option("--pages", help="Measure documents of these numbers of pages, too, such as 5,50,100,200,400.")
]
QuestionsOption = Annotated[
    Path, typer.Option("--questions", help="JSONL with id, file, question, answer, page, where.")
]
RunOption = Annotated[Path | None, typer.Option("--run", help="Write the ranking there, in TREC's format.")]
SeedOption = Annotated[
    int, typer.Option("--seed", help="Seed of all that is drawn at random: samples, orders, baselines, intervals.")
]
WithoutGoldOption = Annotated[
    bool,
    typer.Option("--without-gold", help="Leave out the documents or passages with the answer: does it abstain?"),
]

_BEIR = typer.Option("--beir", help="A folder in BEIR's layout: corpus, queries, qrels/.")
BeirOption = Annotated[Path, _BEIR]
OptionalBeirOption = Annotated[Path | None, _BEIR]

_DATA = typer.Option(
    "--data",
    help="The benchmark's file: of HotpotQA, 2WikiMultihopQA or MuSiQue; of `eval injections`, records as in "
    "eval/injection/injections.jsonl.",
)
DataOption = Annotated[Path, _DATA]
OptionalDataOption = Annotated[Path | None, _DATA]

_QRELS = typer.Option("--qrels", help="Judgements, as TSV: query, relevant passage or case, grade.")
QrelsOption = Annotated[Path, _QRELS]
OptionalQrelsOption = Annotated[Path | None, _QRELS]
CorpusOption = Annotated[Path | None, typer.Option("--corpus", help="The passages: records with id, title, text.")]
QueriesOption = Annotated[
    Path | None,
    typer.Option(
        "--queries", help="Records with id and text, or a question; of `eval chapters` also episode, start, end."
    ),
]
