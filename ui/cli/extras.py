"""The packages that a plain installation lacks, and the error where one of them is needed."""

from __future__ import annotations

from importlib.util import find_spec

from rag.errors import RagError

# module -> its package, and the extra of pyproject.toml that installs it
EXTRAS = {
    "ir_measures": ("ir-measures", "eval"),
    "nltk": ("nltk", "eval"),
    "scipy": ("scipy", "eval"),
    "peft": ("peft", "train"),
    "onnx": ("onnx", "train"),
    "numba": ("numba", "large"),
    "pymilvus": ("pymilvus", "milvus"),
    "pg8000": ("pg8000", "postgres"),
    "obstore": ("obstore", "s3"),
    "ctranslate2": ("ctranslate2", "audio"),
    "miniaudio": ("miniaudio", "audio"),
}


def require(command: str, *modules: str) -> None:
    """Raise RagError, naming the command and what installs it, for the first of these modules that is not installed.

    For the beginning of a command: nobody should read this after an hour's work.
    """
    for module in modules:
        if find_spec(module) is None:
            raise RagError(f"glossator {command} {_cure(module)}")


def what_is_missing(error: ModuleNotFoundError) -> str | None:
    """The line for an import that failed because an extra is not installed; None for any other module."""
    module = (error.name or "").partition(".")[0]
    return f"this {_cure(module)}" if module in EXTRAS else None


def _cure(module: str) -> str:
    package, extra = EXTRAS[module]
    return f"needs {package}. Install it: pip install 'glossator[{extra}]'"
