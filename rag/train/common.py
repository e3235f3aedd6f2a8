"""What all trainers share: a folder that is written whole or not at all, and whether bfloat16 is arithmetic."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rag.errors import UsageError


def check_out(out: Path) -> None:
    """UsageError if there is something already: a trained folder is never changed, indexes were built with it."""
    if out.exists():
        raise UsageError(f"--out {out}: is there already. Name a new folder")


def has_bfloat16(device: str) -> bool:
    """Whether bfloat16 is arithmetic there ("cpu" or "cuda"), and not only a format."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def write_folder(out: Path, save: Callable[[Path], dict[str, Any]], record: str = "trained.json") -> None:
    """Have `save` write its files into a new folder, and in the file `record` what it returns: what it is trained from.

    It is written beside and renamed, so that a kill leaves nothing half. Raises UsageError if `out` is there.
    """
    check_out(out)
    fresh = out.with_name(f"{out.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)  # of one that was killed
    fresh.mkdir(parents=True)
    (fresh / record).write_text(json.dumps(save(fresh), indent=1) + "\n", "utf-8")
    for file in fresh.iterdir():
        with file.open("r+b") as written:
            os.fsync(written.fileno())
    os.replace(fresh, out)
