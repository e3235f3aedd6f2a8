"""No file beside the documents is executed, whatever it is called: children import nothing from the current folder."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ingest import child_process
from ingest.child_process import Children, Limits
from ingest.pdf.pdf_reading import PageReader
from rag import children
from rag.errors import DocumentError, RagError
from tests.conftest import ROOT
from tests.pdfs import make_pdf

PROGRAM = Path(sys.executable).with_name("glossator")  # as it is installed: `python -c` has the folder on its path
NAMES = ["selectors", "json", "logging", "sitecustomize", "usercustomize", "resource", "pypdfium2", "numpy", "_socket"]
PACKAGES = ["ingest", "rag", "ui", "encodings", "pip"]
MARK = 'import pathlib; pathlib.Path({mark!r}).joinpath(__name__).write_text("ran")\nraise SystemExit(7)\n'


@pytest.mark.attack
def test_nothing_beside_the_documents_is_executed(tmp_path: Path) -> None:
    shelf, mark = tmp_path / "shelf", tmp_path / "ran"
    shelf.mkdir()
    mark.mkdir()
    code = MARK.format(mark=str(mark))
    for name in NAMES:
        (shelf / f"{name}.py").write_text(code)
    for name in PACKAGES:
        (shelf / name).mkdir()
        for file in ("__init__.py", "worker.py", "__main__.py"):
            (shelf / name / file).write_text(code)
    make_pdf(shelf / "a.pdf", [["The harbour was closed by ice."]], "Ice")
    (shelf / "b.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:05.000\nThe harbour was open in May.\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for arguments in (["ingest", "."], ["search", "harbour", "--retriever", "bm25"], ["models", "fetch", "no-such"]):
        library = ["--library", "../library"] if arguments[0] != "models" else []
        done = subprocess.run(
            [PROGRAM, *arguments, *library], cwd=shelf, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == (1 if arguments[0] == "models" else 0), done.stderr
    for module in ("ingest.worker", "pip", "rag.llm.gguf_weights", "eval.pdf.extraction"):
        subprocess.run(children.python("-m", module), cwd=shelf, env=environment, capture_output=True, timeout=60)
    assert not list(mark.iterdir())


def is_ours(call: ast.Call, bound: dict[str, list[ast.expr]]) -> bool:
    """Whether a process is started by a command line of rag/children.py: our own, or a program where programs lie."""

    def begins(value: ast.expr) -> bool:
        if isinstance(value, ast.Starred):
            return begins(value.value)
        if isinstance(value, ast.List | ast.Tuple):
            return bool(value.elts) and begins(value.elts[0])
        if isinstance(value, ast.Name):
            return bool(bound.get(value.id)) and all(map(begins, bound[value.id]))
        made = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
        return made in ("python", "glossator", "program")

    return bool(call.args) and begins(call.args[0])


@pytest.mark.attack
def test_every_child_of_python_is_started_in_one_way() -> None:
    found = 0
    for file in sorted(path for room in ("rag", "ingest", "eval", "ui") for path in (ROOT / room).rglob("*.py")):
        tree, where = ast.parse(file.read_text("utf-8")), file.relative_to(ROOT)
        bound: dict[str, list[ast.expr]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        bound.setdefault(target.id, []).append(node.value)
        for node in ast.walk(tree):
            said = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
            if str(where) != "rag/children.py":
                assert said != "sys.executable", f"{where}:{getattr(node, 'lineno', 0)}: start it by rag/children.py"
            assert not said.startswith(("os.exec", "os.spawn", "os.system", "os.popen", "os.posix_spawn")), where
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                assert not {"multiprocessing", "pty", "commands"} & {name.partition(".")[0] for name in names}, where
                assert not (isinstance(node, ast.ImportFrom) and node.module == "subprocess"), where
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("subprocess."):
                if ast.unparse(node.func).rpartition(".")[2][:1].isupper() and "Popen" not in ast.unparse(node.func):
                    continue  # an exception
                found += 1
                assert is_ours(node, bound), f"{where}:{node.lineno}"
                assert not any(keyword.arg == "shell" for keyword in node.keywords), where
    assert found >= 6, "the walk finds what there is"


@pytest.mark.attack
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("pass", "before it answered"),
        ("print('no json')", "nonsense"),
        ("print('[' * 100_000)", "nonsense"),
        ("print('[1, 2]')", "nonsense"),
        ('print(\'["open", 1, "a lot"]\')', "nonsense"),
        ("print('[\"open\", 1, 1e999]')", "nonsense"),
        ("print('[\"error\", \"' + 'x' * 100_000 + '\", 1]')", "xxx"),
    ],
)
def test_a_child_that_was_taken_over_is_one_error_of_its_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    monkeypatch.setattr(child_process, "python", lambda *_: [sys.executable, "-I", "-c", code])
    children = Children(threading.Semaphore(), 1, threading.Event())
    reading = PageReader(tmp_path / "a.pdf", (), True, Limits(20, 512), children)
    with pytest.raises(DocumentError, match=says) as caught:
        reading.outline()
    assert "memory" not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.attack
def test_a_program_in_the_current_folder_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}")
    with pytest.raises(RagError, match="apt-get install ffmpeg"):
        children.program("ffmpeg")
