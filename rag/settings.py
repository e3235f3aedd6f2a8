"""settings.toml -> one frozen record per stage. An unknown key is an error; the whole has a hash.

The values below are the defaults; settings.toml at the top of the repository lists the same ones with a remark each.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.errors import UsageError


class _Stage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Ingest(_Stage):
    passage_tokens: int = Field(default=180, ge=20, le=2000)
    overlap_tokens: int = Field(default=30, ge=0, le=1000)
    ocr: bool = True
    page_seconds: float = Field(default=60.0, gt=0)
    memory_mb: int = Field(default=2048, ge=128)


class Chapters(_Stage):
    method: Literal["cohesion", "reader", "combined"] = "cohesion"


class Dense(_Stage):
    model: str = "all-minilm-l6-v2"
    max_tokens: int = Field(default=256, ge=8)
    batch_size: int = Field(default=32, ge=1)


class Sparse(_Stage):
    model: str = "glossator-sparse"
    method: str = "inference-free"
    query_model: str = ""
    max_tokens: int = Field(default=256, ge=8)
    batch_size: int = Field(default=32, ge=1)


class Bm25(_Stage):
    k1: float = Field(default=0.9, ge=0)
    b: float = Field(default=0.4, ge=0, le=1)
    title_weight: float = Field(default=0.0, ge=0, le=1000)
    chapter_weight: float = Field(default=0.2, ge=0, le=1000)
    description_weight: float = Field(default=0.3, ge=0, le=1000)


class Retrieve(_Stage):
    retriever: str = Field(default="hybrid", pattern="^(bm25|sparse|dense|hybrid)$")
    k: int = Field(default=5, ge=1, le=1000)
    fusion: Literal["linear", "rrf"] = "linear"
    bm25_weight: float = Field(default=1.0, ge=0)
    sparse_weight: float = Field(default=0.7, ge=0)
    dense_weight: float = Field(default=1.2, ge=0)
    rank_constant: int = Field(default=60, ge=1)
    fusion_depth: int = Field(default=100, ge=1)
    links: bool = True
    max_query_characters: int = Field(default=4000, ge=1)


class Feedback(_Stage):
    method: Literal["none", "average", "rocchio"] = "none"
    interpolation: Literal["none", "before", "after", "both"] = "both"


class PrecedentSettings(_Stage):
    pooling: str = ""


class Rerank(_Stage):
    model: str = ""
    depth: int = Field(default=20, ge=1)


class ReaderSettings(_Stage):
    model: str = "qwen2.5-coder-1.5b"
    api_key: str = Field(default="", exclude=True, repr=False)  # never part of the hash, never printed
    context_tokens: int = Field(default=4096, ge=512)
    answer_tokens: int = Field(default=64, ge=1)
    vision: bool = False
    timeout_seconds: float = Field(default=120.0, gt=0)
    support_threshold: float = Field(default=0.48, ge=0, le=1)
    form: Literal["built", "written"] = "built"
    rounds: int = Field(default=1, ge=1, le=9)
    filter_threshold: float = Field(default=0.0, ge=0, le=1)
    judge: str = ""


class Attribute(_Stage):
    calls: int = Field(default=300, ge=1)
    absence: Literal["deleted", "filler", "swapped", "masked"] = "deleted"
    permutations: int = Field(default=0, ge=0)
    runtime: Literal["torch", "reader"] = "torch"
    value: Literal["votes", "likelihood"] = "votes"


class Settings(_Stage):
    """All settings. `hash` changes whenever a value that can change an answer does."""

    ingest: Ingest = Ingest()
    chapters: Chapters = Chapters()
    dense: Dense = Dense()
    sparse: Sparse = Sparse()
    bm25: Bm25 = Bm25()
    retrieve: Retrieve = Retrieve()
    feedback: Feedback = Feedback()
    precedents: PrecedentSettings = PrecedentSettings()
    rerank: Rerank = Rerank()
    reader: ReaderSettings = ReaderSettings()
    attribute: Attribute = Attribute()

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


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
            raise UsageError(f"settings file {named} cannot be read: {error}. Mend it or unset it") from error
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
