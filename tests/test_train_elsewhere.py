"""sparse_training.py on a device that is not the processor: the same curve, and no tensor left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rag.train.sparse.sparse_training import faster_device
from tests.conftest import ROOT
from tests.elsewhere import NAME
from tests.test_train_sparse import tiny


@pytest.mark.slow
def test_a_training_elsewhere_is_the_same(tmp_path: Path) -> None:
    bert, llama = tiny(tmp_path / "bert"), tiny(tmp_path / "llama", "LlamaForCausalLM")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.elsewhere", bert, llama, tmp_path / "out"],
        cwd=ROOT, text=True, capture_output=True, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    curves = json.loads(ran.stdout)
    assert len(curves) == 2
    for curve in curves:
        assert len(curve["cpu"]) == 2
        for here, there in zip(curve["cpu"], curve[NAME], strict=True):
            assert there == pytest.approx(here, rel=1e-3), curve


def test_a_graphics_card_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faster_device() == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert faster_device() == "cuda"
