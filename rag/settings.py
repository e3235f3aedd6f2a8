"""settings.toml -> one frozen record per stage. An unknown key is an error; the whole has a hash.

The records are the one place of each key, its default and its description: settings.toml and docs/settings.md are
written from them (python -m rag.settings).
"""

from __future__ import annotations

import hashlib
import json
import os
import textwrap
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from rag.errors import UsageError

ROOT = Path(__file__).parents[1]
WIDTH = 120  # of settings.toml


class _Stage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Ingest(_Stage):
    """How documents become passages."""

    passage_tokens: int = Field(default=180, ge=20, le=2000, description="about how long a passage is, in tokens")
    overlap_tokens: int = Field(
        default=30, ge=0, le=1000, description="how much of a passage's end the next one repeats"
    )
    ocr: bool = Field(default=True, description="recognise the words of scanned pages and of figures")
    page_seconds: float = Field(default=60.0, gt=0, description="a page that takes longer is left out, with a warning")
    memory_mb: int = Field(default=2048, ge=128, description="limit of the child process that parses a document")


class Chapters(_Stage):
    """Chapters of episodes whose makers gave none."""

    method: Literal["cohesion", "reader", "combined"] = Field(
        default="cohesion", description="where the subject changes: by vectors of sentences, by the reader, or both"
    )


class Audio(_Stage):
    """Recordings without a transcript."""

    model: Literal["whisper-base", "whisper-tiny-en"] = Field(
        default="whisper-base", description="the model that hears them: in 99 languages, or light and in English alone"
    )


class Dense(_Stage):
    """The dense encoder."""

    model: str = Field(
        default="all-minilm-l6-v2",
        description="a name from `glossator models list`, a folder, or a hub id in the hub's cache",
    )
    max_tokens: int = Field(default=256, ge=8, description="tokens that are read of a passage")
    batch_size: int = Field(default=32, ge=1, description="passages encoded together")


class Sparse(_Stage):
    """The learned sparse encoder."""

    model: str = Field(
        default="glossator-sparse", description="ours, which comes with the package; else as dense.model"
    )
    method: str = Field(
        default="inference-free", description="queries by a table of idf; or SPLADE, and others of rag/encode/heads.py"
    )
    query_model: str = Field(default="", description="where the method has a second model, for queries")
    max_tokens: int = Field(default=256, ge=8, description="tokens that are read of a passage")
    batch_size: int = Field(default=32, ge=1, description="passages encoded together")


class Bm25(_Stage):
    """BM25, and the fields of transcripts that it searches besides the text."""

    k1: float = Field(default=0.9, ge=0, description="how fast more of the same word stops counting")
    b: float = Field(default=0.4, ge=0, le=1, description="how much long passages are discounted")
    title_weight: float = Field(
        default=0.0, ge=0, le=1000, description="weight of a transcript's title as a field of its own"
    )
    chapter_weight: float = Field(default=0.2, ge=0, le=1000, description="weight of the title of its chapter")
    description_weight: float = Field(default=0.3, ge=0, le=1000, description="weight of its episode's description")


class Retrieve(_Stage):
    """Which passages are found."""

    retriever: str = Field(
        default="hybrid",
        pattern="^(bm25|sparse|dense|hybrid)$",
        description="bm25, sparse, dense, or hybrid: all three fused",
    )
    k: int = Field(default=5, ge=1, le=1000, description="passages given to the reader")
    bm25_weight: float = Field(default=1.0, ge=0, description="weight of BM25 in the hybrid")
    sparse_weight: float = Field(default=0.7, ge=0, description="weight of the learned sparse vectors")
    dense_weight: float = Field(default=1.2, ge=0, description="weight of the dense vectors")
    fusion_depth: int = Field(default=100, ge=1, description="how far down each ranking fusion looks")
    links: bool = Field(
        default=True, description="the hybrid follows links to what the best passages name (second hop)"
    )
    max_query_characters: int = Field(default=4000, ge=1, description="a longer question is refused")


class PrecedentSettings(_Stage):
    """The search for precedents."""

    pooling: str = Field(
        default="", description="of `precedents --scorer trained`: a folder made by `glossator train precedents`"
    )


class ReaderSettings(_Stage):
    """The model that answers."""

    model: str = Field(
        default="qwen2.5-coder-1.5b",
        description="a name from `glossator models list`, a .gguf file, http://host:port/v1#name, provider:model (for "
        "example ollama:qwen3:8b), or a hub id or folder",
    )
    # never part of the hash, never printed
    api_key: str = Field(default="", exclude=True, repr=False, description="the key of an endpoint or a provider")
    context_tokens: int = Field(default=4096, ge=512, description="tokens of a prompt and its answer together")
    answer_tokens: int = Field(default=64, ge=1, description="the longest answer")
    vision: bool = Field(
        default=False, description="send the pictures of tables and figures to an endpoint whose model sees"
    )
    timeout_seconds: float = Field(default=120.0, gt=0, description="how long an endpoint may be silent")
    support_threshold: float = Field(
        default=0.48,
        ge=0,
        le=1,
        description="a rule's proposal with less support is dropped, and an answer whose probability is not known "
        "becomes an abstention; for the 1.5B, 0 for never",
    )
    min_probability: float = Field(
        default=0.35, ge=0, le=1, description="an answer that is less likely to be right becomes an abstention"
    )
    rules: tuple[str, ...] = Field(
        default=("table_cell", "court_finding", "comparison"),
        description="rules that may propose an answer, in this order, which the reader confirms; with --set: a,b,c",
    )
    unsupported: Literal["drop", "mark"] = Field(
        default="drop", description="sentences of an answer that no passage supports: leave them out, or mark them"
    )
    judge: str = Field(
        default="",
        description="a model of natural language inference that judges support: a hub id or folder; else the reader",
    )

    @field_validator("rules", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        """Names with commas between them, as --set has them."""
        return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


class Extract(_Stage):
    """The reading model, which marks the answer in its passage before the reader begins; `--reader extract` asks it
    alone."""

    model: str = Field(
        default="glossator-reader",
        description='ours, which comes with the package; a folder made by `glossator train reader`; or "" for none',
    )
    threshold: float = Field(
        default=0.35,
        ge=0,
        le=1,
        description="with `--reader extract` a less likely answer is an abstention; of 100 HotpotQA questions 67 are "
        "then answered, over half of them right, and 41 where their passages are taken away",
    )


class Attribute(_Stage):
    """Which parts of the evidence made the answer (TextGenSHAP)."""

    calls: int = Field(default=300, ge=1, description="the reader is asked at most this often for one attribution")
    permutations: int = Field(
        default=0, ge=0, description="random orders; 0: 100 of documents, 10 of clauses and words"
    )
    value: Literal["votes", "likelihood"] = Field(
        default="votes", description="the value function: whether the answer is given, 0..1, or its log-probability"
    )
    runtime: Literal["torch", "reader"] = Field(
        default="torch", description="unpack a .gguf reader's weights once for torch, which reads faster; or do not"
    )


class Experimental(_Stage):
    """Published methods that did not improve our figures: off by default, here to be tried (docs/experiments.md)."""

    feedback: Literal["none", "average", "rocchio"] = Field(
        default="none", description="vector pseudo-relevance feedback: search again with the best passages' vectors"
    )
    feedback_interpolation: Literal["none", "before", "after", "both"] = Field(
        default="both", description="in which of the two searches words are fused in"
    )
    fusion: Literal["linear", "rrf"] = Field(
        default="linear", description="min-max scores, weighted; or reciprocal ranks"
    )
    rank_constant: int = Field(default=60, ge=1, description="of reciprocal rank fusion")
    rerank_model: str = Field(default="", description="a cross-encoder's hub id or folder, `reader`, or `attribution`")
    rerank_depth: int = Field(default=20, ge=1, description="how many of the best passages are reranked")
    filter_threshold: float = Field(
        default=0.0, ge=0, le=1, description="the reader is asked about passages whose cosine is lower (I3C); 0: none"
    )
    notes: Literal["built", "written"] = Field(
        default="built",
        description="notes from sentences of the evidence, or written by the model in a loop (EviNote-RAG)",
    )
    rounds: int = Field(
        default=1, ge=1, le=9, description="searches for one question, the later ones with words of the notes"
    )
    absence: Literal["deleted", "filler", "swapped", "masked"] = Field(
        default="deleted", description="what takes the place of absent words in attribution"
    )


class LibrarySettings(_Stage):
    """What searches a library, and who else has it."""

    engine: Literal["embedded", "milvus"] = Field(
        default="embedded", description="what searches: Lucene, FAISS and our own in the library's folder, or Milvus"
    )
    uri: str = Field(
        default="",
        description="of Milvus: its address, or a file for Milvus Lite; empty: a file in the library's folder",
    )
    catalogue: str = Field(
        default="",
        description="of PostgreSQL, postgresql://user@host/database, where several machines share the catalogue",
    )
    files: str = Field(
        default="",
        description="of a bucket, s3://bucket/prefix, that has the library's pictures and uploads; keys and endpoint "
        "stand in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL",
    )


class Settings(_Stage):
    """All settings. `hash` changes whenever a value that can change an answer does."""

    library: LibrarySettings = LibrarySettings()
    ingest: Ingest = Ingest()
    chapters: Chapters = Chapters()
    audio: Audio = Audio()
    dense: Dense = Dense()
    sparse: Sparse = Sparse()
    bm25: Bm25 = Bm25()
    retrieve: Retrieve = Retrieve()
    precedents: PrecedentSettings = PrecedentSettings()
    reader: ReaderSettings = ReaderSettings()
    extract: Extract = Extract()
    attribute: Attribute = Attribute()
    experimental: Experimental = Experimental()

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def settings_of(**values: Any) -> Settings:
    """The settings of $GLOSSATOR_SETTINGS with these values: retrieve_k=8 for retrieve.k.

    Raises UsageError as load_settings.

    >>> settings_of(retrieve_k=8).retrieve.k
    8
    """
    overrides = []
    for name, value in values.items():
        section, _, key = name.partition("_")
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        overrides.append(f"{section}.{key or '?'}={text}")
    return load_settings(overrides)


def load_settings(overrides: Sequence[str] = (), file: Path | None = None) -> Settings:
    """The defaults, then `file` (or $GLOSSATOR_SETTINGS), then overrides such as "retrieve.k=3".

    Raises UsageError naming the key for an unknown key, a wrong type, or a file that cannot be read.
    """
    named = file or (Path(os.environ["GLOSSATOR_SETTINGS"]) if os.environ.get("GLOSSATOR_SETTINGS") else None)
    values: dict[str, Any] = {}
    if named is not None:
        try:
            values = tomllib.loads(named.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"settings file {named} cannot be read: {error}. Fix it or unset it") from error
    for override in overrides:
        key, equals, text = override.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and section and name):
            raise UsageError(f"--set {override}: write it as section.key=value, for example retrieve.k=3")
        table = values.setdefault(section, {})
        if not isinstance(table, dict):
            raise UsageError(f"settings: {section} must be a table")
        table[name] = text.strip()
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        wrong = "no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise UsageError(f"settings: {where}: {wrong}. settings.toml lists the settings and their values") from error


# -- the files that list them ------------------------------------------------------------------------------------


def _stages() -> list[tuple[str, BaseModel]]:
    settings = Settings()
    return [(name, getattr(settings, name)) for name in Settings.model_fields]


def _literal(value: object) -> str:
    """A value as TOML writes it: JSON does for strings, numbers and booleans."""
    return json.dumps(value)


def as_toml() -> str:
    """All settings with their defaults, each under its description."""
    lines = [
        "# All settings with their defaults, written by: python -m rag.settings",
        "# Name another file in GLOSSATOR_SETTINGS; change one value with --set section.key=value.",
    ]
    for name, stage in _stages():
        lines += ["", *(f"# {line}" for line in textwrap.wrap(type(stage).__doc__ or "", WIDTH - 2)), f"[{name}]"]
        for key, field in type(stage).model_fields.items():
            lines += [f"# {line}" for line in textwrap.wrap(field.description or "", WIDTH - 2)]
            lines.append(f"{key} = {_literal(getattr(stage, key))}")
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """docs/settings.md: one table a section."""
    lines = [
        "# Settings",
        "",
        "Every value that can change an answer is a setting. `settings.toml` lists them with their defaults.",
        "Name a file of your own in `GLOSSATOR_SETTINGS`; it need hold only what you change. Change one value for",
        "one command with `--set section.key=value`, before the command:",
        "",
        "```",
        'glossator --set retrieve.k=8 --set reader.model=ollama:qwen3:8b ask "Who may appeal?" --library library',
        "```",
        "",
        "An answer carries the hash of the settings that it was made with. `reader.api_key` is no part of it and is",
        "never printed. This page is written from `rag/settings.py` by `python -m rag.settings`.",
    ]
    for name, stage in _stages():
        lines += [
            "",
            f"## {name}",
            "",
            type(stage).__doc__ or "",
            "",
            "| key | default | what it is |",
            "|---|---|---|",
        ]
        for key, field in type(stage).model_fields.items():
            default = _literal(getattr(stage, key))
            lines.append(f"| `{key}` | `{default}` | {(field.description or '').replace('|', '/')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "settings.toml").write_text(as_toml(), "utf-8")
    (ROOT / "docs" / "settings.md").write_text(as_markdown(), "utf-8")
