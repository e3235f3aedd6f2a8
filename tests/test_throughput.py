"""eval/retrieval/throughput.py: all steps make the same vectors, and a figure is texts over seconds."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from eval.retrieval.throughput import (
    DENSE,
    OURS,
    OURS_BF16,
    PLAIN,
    PlainEncoder,
    largest_difference,
    throughput,
    throughput_text,
)  # fmt: skip
from rag.models.registry import path_of

TEXTS = [
    "Tea\nTea is brewed from the leaves of a shrub.",
    "A lake. " * 80,  # cut at 256 tokens
    "Coffee\nCoffee is brewed from roasted beans, ☕ and so on.",
    "Lake",
]


def test_all_steps_make_the_same_vectors() -> None:
    threads = torch.get_num_threads()
    result = throughput(TEXTS, path_of("splade-tiny"), path_of("all-minilm-l6-v2"), repeat=2)
    assert torch.get_num_threads() == threads
    rows = {row["step"]: row for row in result["rows"]}
    assert next(iter(rows)) == PLAIN and rows[PLAIN]["times_plain"] == 1 and rows[PLAIN]["largest_difference"] == 0
    for name, row in rows.items():
        assert row["range"][0] <= row["passages_per_cpu_second"] <= row["range"][1]
        if name == DENSE:
            assert row["largest_difference"] is None
        else:
            assert row["largest_difference"] <= (0.1 if name == OURS_BF16 else 1e-4)
    assert rows[OURS_BF16]["largest_difference"] > 0
    assert json.loads(json.dumps(result)) == result
    text = throughput_text(result)
    assert text.count("\n| ") == 1 + len(rows) and f"| {OURS} |" in text


def test_the_plain_encoder_is_the_definition() -> None:
    encoder = PlainEncoder(path_of("splade-tiny"))
    inputs = encoder._tokenizer(TEXTS[0], return_tensors="pt")
    with torch.inference_mode():
        logits = encoder._model(**inputs).logits[0]
    wanted = torch.log1p(torch.relu(logits)).max(0).values.numpy()
    ((terms, weights),) = encoder.encode(TEXTS[:1], max_first=False, by_length=False)
    assert weights == pytest.approx(wanted[terms], abs=1e-5)
    assert set(terms) | set(encoder._tokenizer.all_special_ids) >= set(np.flatnonzero(wanted))


def test_the_largest_difference_by_hand() -> None:
    def vector(**weights: float) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray([int(t[1:]) for t in weights], np.int32), np.asarray(list(weights.values()), np.float32)

    a = [vector(t1=1.0, t5=2.0), vector()]
    assert largest_difference(a, a) == 0
    assert largest_difference(a, [vector(t1=1.5, t5=2.0), vector()]) == 0.5
    assert largest_difference(a, [vector(t1=1.0), vector(t2=0.25)]) == 2
    with pytest.raises(ValueError, match="shorter"):
        largest_difference(a, a[:1])
