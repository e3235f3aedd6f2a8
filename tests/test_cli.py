"""The command line as contract.md writes it: names, JSON, exit codes, manners."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import LIGHT_READER, Run
from tests.pdfs import make_pdf


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "docs").mkdir()
    make_pdf(folder / "docs" / "ships.pdf", [
        ["The frigate Amaranth sailed from Lisbon in 1702.", "Her home port was Cadiz."],
        ["The cargo was nutmeg and blue cloth."],
    ], "The Amaranth")  # fmt: skip
    make_pdf(
        folder / "docs" / "bees.pdf",
        [["Bees dance to show where the clover is.", "Wax is made by young bees."]],
        "Bees",
    )
    done = glossator("ingest", "docs", "--library", "library", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_ingest_says_what_became_of_every_file(library: Path, glossator: Run) -> None:
    done = glossator("ingest", "docs", "--library", "library", "--json", cwd=library)
    summary = json.loads(done.stdout)
    assert set(summary) >= {"documents", "added", "updated", "unchanged", "failed", "seconds", "peak_memory_mb"}
    assert (summary["unchanged"], summary["failed"], done.returncode) == (2, 0, 0)
    for outcome in summary["documents"]:
        assert set(outcome) >= {
            "path", "document_id", "kind", "title", "status", "pages", "passages", "figures", "tables", "warnings",
            "error", "seconds",
        }  # fmt: skip
    assert [outcome["path"] for outcome in summary["documents"]] == ["docs/bees.pdf", "docs/ships.pdf"]


def test_documents_lists_them(library: Path, glossator: Run) -> None:
    done = glossator("documents", "--json", env={"GLOSSATOR_LIBRARY": str(library / "library")})
    bees, ships = json.loads(done.stdout)["documents"]
    assert ships["title"] == "The Amaranth" and ships["pages"] == 2 and ships["status"] == "ready"
    assert bees["paths"] == ["docs/bees.pdf"] and bees["error"] is None


@pytest.mark.parametrize("retriever", ["bm25", "sparse", "dense", "hybrid"])
def test_search_finds_the_page(library: Path, glossator: Run, retriever: str) -> None:
    done = glossator(
        "search", "nutmeg cargo", "--library", library / "library", "--retriever", retriever, "-k", 2, "--json"
    )
    found = json.loads(done.stdout)
    assert found["retriever"] == retriever and found["milliseconds"] > 0
    assert [hit["rank"] for hit in found["hits"]] == list(range(1, len(found["hits"]) + 1))
    best = found["hits"][0]
    assert best["path"] == "docs/ships.pdf" and best["first_page"] <= 2 <= best["last_page"]
    assert best["end"] - best["start"] == len(best["text"])
    assert "terms" in best or retriever == "dense"
    for hit in found["hits"] if retriever != "dense" else ():
        assert sum(hit["terms"].values()) == pytest.approx(hit["score"], abs=1e-4)


def test_search_tells_people_why(library: Path, glossator: Run) -> None:
    told = glossator("search", "nutmeg cargo", "--library", library / "library", "-k", 1)
    because = next(line for line in told.stdout.splitlines() if line.startswith("    because: "))
    assert "cargo" in because and "meaning" in because and " %" in because


@pytest.mark.parametrize(
    ("condition", "titles"),
    [("title=The Amaranth", {"The Amaranth"}), ("kind=pdf", {"The Amaranth", "Bees"}), ("page=9", set())],
)
def test_a_filter_limits_the_search(library: Path, glossator: Run, condition: str, titles: set[str]) -> None:
    done = glossator(
        "search", "bees or port", "--library", library / "library", "--retriever", "bm25", "--filter", condition,
        "--json",
    )  # fmt: skip
    assert {hit["title"] for hit in json.loads(done.stdout)["hits"]} == titles


@pytest.mark.slow
def test_ask_answers_and_cites_the_page(library: Path, glossator: Run) -> None:
    done = glossator(
        "--set", LIGHT_READER, "--set", "reader.support_threshold=0", "ask", "What was the home port of the Amaranth?",
        "--library", library / "library", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "Cadiz" in answer["answer"] and not answer["abstained"]
    [citation, *_] = answer["citations"]
    assert citation["first_page"] == 1 and "Cadiz" in citation["quote"] and citation["marker"] in answer["answer"]
    assert answer["model"] == "qwen2.5-coder-0.5b" and answer["tokens"]["prompt"] > 50


def test_direct_gives_no_note(library: Path, glossator: Run) -> None:
    done = glossator(
        "--set", LIGHT_READER, "ask", "What was the cargo?", "--library", library / "library", "--reader", "direct",
        "--retriever", "bm25", "--json",
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["notes"] == [] and answer["support"] is None


def test_remove_by_path_and_check(library: Path, glossator: Run, tmp_path: Path) -> None:
    make_pdf(tmp_path / "gone.pdf", [["An obsidian mirror."]])
    kept = tmp_path / "kept"
    glossator("ingest", tmp_path / "gone.pdf", "--library", kept)
    done = glossator("remove", tmp_path / "gone.pdf", "--library", kept, "--json")
    assert len(json.loads(done.stdout)["removed"]) == 1
    checked = json.loads(glossator("check", "--library", kept, "--json").stdout)
    assert checked == {"ok": True, "problems": [], "repaired": []}
    assert not any(b"obsidian" in file.read_bytes() for file in kept.rglob("*") if file.is_file())


def test_models_list_names_licence_and_place(glossator: Run) -> None:
    models = json.loads(glossator("models", "list", "--json").stdout)["models"]
    assert {model["name"] for model in models} >= {"qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b", "all-minilm-l6-v2"}
    assert all(model["licence"] in ("Apache-2.0", "CC-BY-SA-4.0", "MIT") and model["bytes"] > 0 for model in models)


def test_help_is_there_at_once(glossator: Run) -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        assert glossator("--help").returncode == 0
        times.append(time.perf_counter() - began)
    assert min(times) < 0.5  # the others measure what else the machine does


def test_a_search_waits_for_no_large_library(library: Path) -> None:
    """torch, transformers and numba take seconds to be imported, one question's answer a tenth of one."""
    code = (
        "import sys\n"
        "from ui.cli.main import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'transformers', 'numba'} & set(sys.modules)"
    )
    search = ["search", "Where did the frigate sail from?", "--library", library / "library", "--retriever", "hybrid"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, search)], capture_output=True, text=True)
    assert done.returncode == 0 and "Amaranth" in done.stdout, done.stderr


@pytest.mark.parametrize("command", ["ask x --library y", "eval pdf --questions x --folder y"])
def test_an_unknown_answering_strategy_is_a_usage_error_of_one_line(glossator: Run, command: str) -> None:
    done = glossator(*command.split(), "--reader", "nonsense")
    line = "--reader nonsense: no answering strategy has this name. Choose one of notes, quotes, direct, extract"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"glossator: {line}\n")


@pytest.mark.parametrize(
    "command",
    ["ingest", "documents", "remove", "check", "search", "ask", "chapters", "serve", "models fetch", "eval pdf"],
)
def test_every_command_has_help(glossator: Run, command: str) -> None:
    done = glossator(*command.split(), "--help")
    assert done.returncode == 0 and "Usage" in done.stdout
