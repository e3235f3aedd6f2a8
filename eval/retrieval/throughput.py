"""Passages that a sparse encoder reads in a second of processor time, at each step of how that was raised.

One thread, and processor time (all threads of the process), so that other programs matter little; what they take of
caches and memory they take from all steps alike, for these take turns.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.core.report import table
from rag.encode.dense_encoder import open_base
from rag.encode.sparse_encoder import TransformerSparseEncoder, open_sparse_encoder
from rag.protocols import Report, SparseVector, silent

REPEAT = 3
BATCH, MAX_TOKENS = 32, 256
# The steps, each with those before it; DENSE is there to compare.
PLAIN, MAX_FIRST, SORTED = "plain", "the maximum before the logarithm", "texts of like length share a batch"
OURS, OURS_BF16, DENSE = "one text and slice of the vocabulary at a time: rag/encode", "bfloat16", "dense: rag/encode"

Encode = Callable[[Sequence[str]], Any]


class PlainEncoder:
    """SPLADE as its definition reads (arXiv 2109.10086), over a transformers model: the whole batch's logits at once.

    Weights of a text: the maximum over its positions of log(1 + relu(logit)).
    """

    def __init__(self, folder: Path | str):
        """`folder`, or a hub id, holds a masked language model."""
        import transformers
        from transformers.utils import logging

        logging.disable_progress_bar()
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
        self._model: Any = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()

    def encode(self, texts: Sequence[str], max_first: bool, by_length: bool) -> list[SparseVector]:
        """One vector per text, in order. A batch of 32 texts of 256 tokens needs 1 GB for each array of logits.

        `max_first` takes the maximum before the logarithm, which rises and so leaves it where it is; `by_length` lets
        texts of like length share a batch.
        """
        import torch

        order = sorted(range(len(texts)), key=lambda i: len(texts[i])) if by_length else list(range(len(texts)))
        vectors: dict[int, SparseVector] = {}
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            inputs = self._tokenizer(
                [texts[i] for i in batch], padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
            )
            with torch.inference_mode():
                logits = self._model(**inputs).logits  # (batch, tokens, vocabulary)
                mask = inputs["attention_mask"].unsqueeze(-1)
                if max_first:
                    weights = logits.masked_fill_(mask == 0, 0).amax(1).relu().log1p()
                else:
                    weights = (logits.relu().log1p() * mask).amax(1)
                weights[:, self._tokenizer.all_special_ids] = 0
            for i, row in zip(batch, weights.numpy(), strict=True):
                terms = np.flatnonzero(row).astype(np.int32)
                vectors[i] = (terms, row[terms])
        return [vectors[i] for i in range(len(texts))]


def throughput(
    texts: Sequence[str], sparse: Path | str, dense: Path | str, repeat: int = REPEAT, report: Report = silent
) -> dict[str, Any]:
    """A row for each step, to be printed as JSON: medians of `repeat` rounds in which the steps take turns.

    `sparse` and `dense` are folders of models, or hub ids. `largest_difference` is that of any term's weight in any
    text to the plain step's; None for dense vectors. Loading is not counted, nor a first batch that warms up.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = _steps(sparse, dense)
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        vectors: dict[str, Any] = {}
        for encode in steps.values():
            encode(texts[:BATCH])
        for done in range(1, repeat + 1):
            for name, encode in steps.items():
                began = time.process_time()
                vectors[name] = encode(texts)
                seconds[name].append(time.process_time() - began)
            report("rounds", done, repeat)
    finally:
        torch.set_num_threads(threads)
    plain = statistics.median(seconds[PLAIN])
    rows = [
        {
            "step": name,
            "passages_per_cpu_second": round(len(texts) / statistics.median(subset), 1),
            "range": [round(len(texts) / most, 1) for most in (max(subset), min(subset))],
            "times_plain": round(plain / statistics.median(subset), 2),
            "largest_difference": None if name == DENSE else largest_difference(vectors[PLAIN], vectors[name]),
        }
        for name, subset in seconds.items()
    ]
    return {"task": "throughput", "passages": len(texts), "repeat": repeat, "rows": rows}


def _steps(sparse: Path | str, dense: Path | str) -> dict[str, Encode]:
    plain = PlainEncoder(sparse)
    ours = open_sparse_encoder("SPLADE", sparse, None, MAX_TOKENS, BATCH)
    in_bf16 = TransformerSparseEncoder("SPLADE", sparse, None, MAX_TOKENS, BATCH, "bfloat16")
    return {
        PLAIN: lambda texts: plain.encode(texts, max_first=False, by_length=False),
        MAX_FIRST: lambda texts: plain.encode(texts, max_first=True, by_length=False),
        SORTED: lambda texts: plain.encode(texts, max_first=True, by_length=True),
        OURS: ours.encode_documents,
        OURS_BF16: in_bf16.encode_documents,
        DENSE: open_base(dense, MAX_TOKENS, BATCH).encode,
    }


def largest_difference(a: Sequence[SparseVector], b: Sequence[SparseVector]) -> float:
    """The largest difference of any term's weight in any of the texts; a term that is not there weighs 0."""
    most = 0.0
    for (terms, weights), (others, their_weights) in zip(a, b, strict=True):
        both = np.union1d(terms, others)
        apart = np.zeros(len(both))
        apart[both.searchsorted(terms)] = weights
        apart[both.searchsorted(others)] -= their_weights
        most = max(most, float(np.abs(apart).max(initial=0)))
    return most


def throughput_text(result: Mapping[str, Any]) -> str:
    """The result of throughput as Markdown."""
    rows = [
        [
            row["step"],
            f"{row['passages_per_cpu_second']:.1f} ({row['range'][0]:.1f} to {row['range'][1]:.1f})",
            f"{row['times_plain']:.2f}",
            "-" if row["largest_difference"] is None else f"{row['largest_difference']:.1e}",
        ]
        for row in result["rows"]
    ]
    lines = [
        f"## Encoding {result['passages']:,} passages, one thread, medians of {result['repeat']} rounds (range)",
        "",
        *table(["", "passages a CPU-second", "times plain", "largest difference of a weight"], rows),
    ]
    return "\n".join(lines) + "\n"
