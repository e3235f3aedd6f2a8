"""How far a sparse encoder's weights can be pruned or quantised before nDCG@10 drops, and whether that buys CPU time.

Pruning is one-shot, by magnitude, over all matrices of a group together, and nothing is trained afterwards. Essential
sparsity (Jaiswal, Liu, Chen and Wang, arXiv 2306.03805) is how much may go before quality drops by more than 1 %.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from html import unescape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eval.core.bootstrap import summarise
from eval.core.report import table, with_interval
from eval.retrieval.collection import Collection
from eval.retrieval.corpus import Entry
from eval.retrieval.measures import DEPTH, measure
from eval.retrieval.systems import differences, signed
from rag.encode.dense_encoder import folder_of
from rag.encode.heads import SLICE, Side, saturate
from rag.encode.inference_free import InferenceFreeQuery, idf_of
from rag.encode.sparse_encoder import Backbone, TransformerSparseEncoder
from rag.errors import UsageError
from rag.protocols import Report, SparseEncoder, SparseVector, silent
from rag.settings import Settings
from rag.train.sparse.hard_negatives import Postings, best
from rag.train.sparse.pairs import hash_of

if TYPE_CHECKING:
    from torch import Tensor

NDCG = "nDCG@10"
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of the weights of a group that become 0
BY_CHANCE = 0.3  # the share at which weights drawn by chance are pruned, too: a control
ALLOWED = 0.01  # of the nDCG@10 as it is: what a row may lose, as in the paper
FASTER = 1.1  # times as fast in every round: less may be chance on a busy machine
TIMED, REPEAT = 32, 3  # passages that are timed, and rounds in which each row and the encoder as it is take turns
AS_IT_IS = "as it is"
# The output matrix of most encoders is their token embeddings, so the second group has it, and the first has not.
LAYERS, ALL = "layers", "layers and embeddings"
GROUPS = (LAYERS, ALL)

Kernel = Callable[["Tensor"], "Tensor"]  # (..., d) -> (..., rows of the matrix)
Make = Callable[["Tensor", "Tensor | None"], Kernel]  # of a matrix (rows, d) and its bias (rows,)
Scores = Mapping[str, Mapping[str, float]]  # query id -> {NDCG: value}


# -- encoders whose weights change -----------------------------------------------------------------------------


class Changeable(TransformerSparseEncoder):
    """An inference-free encoder whose weights can be changed where they lie, and multiplied in other ways."""

    def parameters(self) -> dict[str, Tensor]:
        """Each once, by name; what is written there is computed with. A tied output matrix is the embeddings."""
        return {name: weight.detach() for name, weight in self._document.named_parameters().items()}

    def matrices(self, group: str) -> list[Tensor]:
        """The matrices of LAYERS (the transformer's and the head's own) or of ALL (those and all embeddings)."""
        return [
            weight
            for name, weight in self.parameters().items()
            if weight.ndim == 2 and (group == ALL or not ("embed" in name or len(weight) == self.dimensions))
        ]

    def compute_with(self, kernel: Make) -> None:
        """Multiply by every matrix as `kernel`, of a matrix and its bias, says."""
        self._document = Computed(self._document, kernel)

    def narrowed(self, terms: NDArray[np.int64]) -> Changeable:
        """With the weights of these terms only, which for a small model costs a fifth: a search needs no others."""
        other = copy(self)
        kernel = self._document.kernel if isinstance(self._document, Computed) else dense_kernel
        other._document = Computed(self._document, kernel, terms)
        return other


class Computed(Backbone):
    """A backbone with an MLM head, with products of linear layers by another kernel, and weights of some terms only."""

    def __init__(self, backbone: Backbone, kernel: Make, terms: NDArray[np.int64] | None = None):
        import torch

        vars(self).update(vars(backbone))
        self.kernel = kernel
        self._terms = torch.arange(self.dimensions) if terms is None else torch.from_numpy(terms)
        output = self._model.get_output_embeddings()  # passes its states on: see Backbone
        for layer in self._model.modules():
            if isinstance(layer, torch.nn.Linear) and layer is not output:
                bias = None if layer.bias is None else layer.bias.detach()
                vars(layer)["forward"] = kernel(layer.weight.detach(), bias)
        matrix, shift = (self._weight, self._bias) if terms is None else (self._weight[terms], self._bias[terms])
        parts = zip(torch.split(matrix, SLICE), torch.split(shift, SLICE), strict=True)
        self._parts = [kernel(weight, bias) for weight, bias in parts]

    def _head(self, inputs: dict[str, Tensor], own: Tensor, side: Side) -> Tensor:
        """As heads.mlm does, a text and a slice of the vocabulary at a time."""
        import torch

        keep = inputs["attention_mask"].bool() & own.any(1, keepdim=True)
        states = self._model(**inputs).logits
        pooled = torch.zeros(len(states), self.dimensions)
        for row, kept in enumerate(keep):
            if kept.any():
                pooled[row, self._terms] = torch.cat([part(states[row, kept]).amax(0) for part in self._parts]).float()
        return saturate(pooled, side)


def dense_kernel(weight: Tensor, bias: Tensor | None) -> Kernel:
    """As it is."""
    import torch

    return lambda states: torch.nn.functional.linear(states, weight, bias)


def int8_kernel(weight: Tensor, bias: Tensor | None) -> Kernel:
    """Weights in 8 bits with a scale a row, states in 8 bits with a scale a product (torch's dynamic quantisation)."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to move these operators elsewhere
        rows = torch.zeros(len(weight), dtype=torch.long)
        quantised = torch.quantize_per_channel(weight, scales(weight).double(), rows, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, bias)
    return lambda states: torch.ops.quantized.linear_dynamic(states, packed)


def csr_kernel(weight: Tensor, bias: Tensor | None) -> Kernel:
    """Only the weights that are not 0 are multiplied: compressed sparse rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls them a beta
        rows = weight.to_sparse_csr()

    def product(states: Tensor) -> Tensor:
        made = (rows @ states.reshape(-1, states.shape[-1]).T.contiguous()).T.reshape(*states.shape[:-1], -1)
        return made if bias is None else made + bias

    return product


# -- what is done to weights -----------------------------------------------------------------------------------


def prune(matrices: Sequence[Tensor], share: float, seed: int | None = None) -> None:
    """Make the `share` (0..1) of smallest magnitude 0, over all matrices together, where they lie.

    With a seed as many that are drawn by chance.
    """
    import torch

    magnitudes = torch.cat([matrix.abs().flatten() for matrix in matrices])
    count = round(share * len(magnitudes))
    if seed is None:
        pruned = torch.topk(magnitudes, count, largest=False, sorted=False).indices
    else:
        pruned = torch.randperm(len(magnitudes), generator=torch.Generator().manual_seed(seed))[:count]
    gone = torch.zeros(len(magnitudes), dtype=torch.bool)
    gone[pruned] = True
    ends = np.cumsum([matrix.numel() for matrix in matrices])[:-1].tolist()
    for matrix, part in zip(matrices, torch.tensor_split(gone, ends), strict=True):
        matrix.masked_fill_(part.view_as(matrix), 0)


def scales(matrix: Tensor) -> Tensor:
    """The step of 8 bits of each row, (rows,): its largest magnitude is 127 steps."""
    return (matrix.abs().amax(1) / 127).clamp_min(1e-12)


def round_to_int8(matrices: Iterable[Tensor]) -> None:
    """Each weight to the next whole number of its row's steps, where it lies: what 8 bits a weight would keep."""
    for matrix in matrices:
        step = scales(matrix).unsqueeze(1)
        matrix.copy_((matrix / step).round() * step)


def round_to_float16(weights: Iterable[Tensor]) -> None:
    """Each weight to the next 16-bit float, where it lies, as our trainer's files keep it."""
    for weight in weights:
        weight.copy_(weight.half().float())


def bytes_of(weights: Iterable[Tensor], value: int) -> int:
    """Of weights with `value` bytes each; with 1 byte (int8) matrices have 4 more a row, and vectors stay at 4.

    A matrix of many zeros is counted as compressed sparse rows: value and 2 bytes of column for each that is none, and
    4 bytes a row.
    """
    total = 0
    for weight in weights:
        if weight.ndim != 2:
            total += weight.numel() * (4 if value == 1 else value)
            continue
        sparse = int(weight.count_nonzero()) * (value + 2) + 4 * (len(weight) + 1)
        total += min(weight.numel() * value, sparse) + (4 * len(weight) if value == 1 else 0)
    return total


@dataclass(frozen=True, slots=True)
class Variant:
    """A row: what is done to the encoder, and bytes a weight as stored. `group` where it is pruned by magnitude."""

    name: str
    change: Callable[[Changeable], None] = lambda encoder: None
    value: int = 4
    dtype: str = "float32"
    group: str = ""
    share: float = 0.0


def variants(shares: Sequence[float], seed: int) -> list[Variant]:
    """The rows, the encoder as it is first."""

    def pruned(group: str, share: float, chance: int | None, encoder: Changeable) -> None:
        prune(encoder.matrices(group), share, chance)

    def sparse(encoder: Changeable) -> None:
        prune(encoder.matrices(ALL), shares[-1])
        encoder.compute_with(csr_kernel)

    rows = [Variant(AS_IT_IS)]
    for group in GROUPS:
        for share in shares:
            name = f"{group}, {share:.0%} pruned"
            rows.append(Variant(name, partial(pruned, group, share, None), group=group, share=share))
        rows.append(Variant(f"{group}, {BY_CHANCE:.0%} by chance", partial(pruned, group, BY_CHANCE, seed)))
    return [
        *rows,
        Variant(f"{ALL}, {shares[-1]:.0%} pruned, sparse kernels", sparse),
        # float16 arithmetic is nobody's gain here: without instructions for it a head's product takes 176 ms for 26 ms
        # (the size of splade-tiny, a passage, one thread, 2026-11-26).
        Variant("stored in float16", lambda encoder: round_to_float16(encoder.parameters().values()), value=2),
        Variant("stored in int8", lambda encoder: round_to_int8(encoder.matrices(ALL)), value=1),
        Variant("computed in bfloat16", value=2, dtype="bfloat16"),
        Variant("computed in int8", _in_int8, value=1),
    ]


def _in_int8(encoder: Changeable) -> None:
    round_to_int8(encoder.matrices(ALL))  # the embeddings, too, which are looked up
    encoder.compute_with(int8_kernel)


# -- the measurement -------------------------------------------------------------------------------------------


def pool_of(collection: Collection, limit: int | None) -> list[Entry]:
    """All passages; with a limit those with a judgement, and of the others the first by a hash up to so many in all."""
    if limit is None:
        return list(collection.entries)
    judged = {key for judgements in collection.qrels.values() for key in judgements}
    others = sorted((entry.id for entry in collection.entries if entry.id not in judged), key=hash_of)
    kept = judged.union(others[: max(0, limit - len(judged))])
    return [entry for entry in collection.entries if entry.id in kept]


def pruning(
    collection: Collection,
    settings: Settings,
    limit: int | None = None,
    seed: int = 0,
    shares: Sequence[float] = SHARES,
    report: Report = silent,
) -> dict[str, Any]:
    """A row for each of `variants`, to be printed as JSON; the search is exact, with idf from the pool's own tokens.

    Speed is of one thread's processor time. Raises UsageError for another method than inference-free, and for a limit
    below 1; ModelError for an encoder that is not to be had.
    """
    import torch

    if settings.sparse.method != "inference-free":
        raise UsageError(f"settings: sparse.method {settings.sparse.method!r}: only inference-free is measured here")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: name at least 1 passage")
    pool = pool_of(collection, limit)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = _rows(collection, pool, settings, shares, seed, report)
    finally:
        torch.set_num_threads(threads)
    return {
        "task": "pruning",
        "model": settings.sparse.model,
        "n": len(collection.queries),
        "passages": len(pool),
        "of": len(collection.entries),
        "timed": min(TIMED, len(pool)),
        "repeat": REPEAT,
        "seed": seed,
        "metrics": rows[0]["metrics"],
        "intervals": rows[0]["intervals"],
        "rows": rows,
        "essential_sparsity": {group: essential_sparsity(rows, group) for group in GROUPS},
        "not_certainly_lower": {group: essential_sparsity(rows, group, certainly=True) for group in GROUPS},
        "worth_it": [
            row["row"] for row in rows if row["range"][0] >= FASTER and row["within_1_percent"]
        ],
    }  # fmt: skip


def _rows(
    collection: Collection,
    pool: Sequence[Entry],
    settings: Settings,
    shares: Sequence[float],
    seed: int,
    report: Report,
) -> list[dict[str, Any]]:
    texts = ["\n".join(filter(None, (unescape(entry.title), unescape(entry.text)))) for entry in pool]
    timed = sorted(texts, key=hash_of)[:TIMED]
    base = _open(settings, "float32")
    queries = _queries(base, settings, texts, [query.text for query in collection.queries])
    rows: list[dict[str, Any]] = []
    scores_as_it_is: Scores = {}
    rows_to_do = variants(shares, seed)
    for done, variant in enumerate(rows_to_do):
        report("rows", done, len(rows_to_do))
        encoder = _open(settings, variant.dtype)
        variant.change(encoder)
        scores = _scores(encoder, collection, pool, texts, queries)
        scores_as_it_is = scores_as_it_is or scores
        rows.append(_row(variant, encoder, scores, scores_as_it_is, seed) | in_turn(base, encoder, timed))
    report("rows", len(rows_to_do), len(rows_to_do))
    return rows


def _row(variant: Variant, encoder: Changeable, scores: Scores, scores_as_it_is: Scores, seed: int) -> dict[str, Any]:
    """What is found with the changed encoder, and its size."""
    weights = list(encoder.parameters().values())
    metrics, intervals = summarise(list(scores.values()), seed)
    difference = differences(scores, scores_as_it_is, [NDCG], seed)[NDCG]
    return {
        "row": variant.name,
        "group": variant.group,
        "share": variant.share,
        "metrics": metrics,
        "intervals": intervals,
        "difference": difference,
        "within_1_percent": -difference["mean"] <= ALLOWED * (metrics[NDCG] - difference["mean"]),
        "certainly_lower": difference["high"] < 0,
        "bytes": bytes_of(weights, variant.value),
        "zeros": round(sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights), 4),
    }


def essential_sparsity(rows: Iterable[Mapping[str, Any]], group: str, certainly: bool = False) -> float:
    """The largest share pruned such that it, and every smaller one measured, is within 1 % of the nDCG@10 as it is.

    With `certainly`, such that none has a paired difference whose interval is below 0: few queries then allow more.
    0 where the smallest share measured is too much.
    """
    largest = 0.0
    for row in sorted((row for row in rows if row["group"] == group), key=lambda row: row["share"]):
        if row["certainly_lower"] if certainly else not row["within_1_percent"]:
            break
        largest = row["share"]
    return largest


def in_turn(base: SparseEncoder, other: SparseEncoder, texts: Sequence[str]) -> dict[str, Any]:
    """Passages `other` reads in a second of processor time, how many times as fast as `base` it is, and its terms.

    They take turns for REPEAT rounds: medians, and of the ratio the lowest and highest.
    """
    seconds: list[tuple[float, float]] = []
    for _ in range(REPEAT):
        began = time.process_time()
        base.encode_documents(texts)
        between = time.process_time()
        vectors = other.encode_documents(texts)
        seconds.append((between - began, time.process_time() - between))
    ratios = sorted(as_it_is / changed for as_it_is, changed in seconds)
    return {
        "terms_a_passage": round(float(np.mean([len(terms) for terms, _ in vectors])), 1),
        "passages_per_cpu_second": round(len(texts) / statistics.median(changed for _, changed in seconds), 1),
        "times_as_it_is": round(statistics.median(ratios), 2),
        "range": [round(ratios[0], 2), round(ratios[-1], 2)],
    }


def _open(settings: Settings, dtype: str) -> Changeable:
    sparse = settings.sparse
    return Changeable(sparse.method, folder_of(sparse.model), None, sparse.max_tokens, sparse.batch_size, dtype)


def _queries(
    encoder: Changeable, settings: Settings, texts: Sequence[str], queries: Sequence[str]
) -> list[SparseVector]:
    """No row changes these: they are tokens with their idf in the texts."""
    weights = idf_of(encoder.token_ids(texts), encoder.dimensions)
    return InferenceFreeQuery(folder_of(settings.sparse.model), weights).encode_queries(queries)


def _scores(
    encoder: Changeable,
    collection: Collection,
    pool: Sequence[Entry],
    texts: Sequence[str],
    queries: Sequence[SparseVector],
) -> Scores:
    asked = np.unique(np.concatenate([terms for terms, _ in queries])).astype(np.int64)
    postings = Postings(encoder.narrowed(asked).encode_documents(texts))
    everywhere = np.ones(len(pool), dtype=np.bool_)
    rankings = {}
    for query, vector in zip(collection.queries, queries, strict=True):
        products = postings.products(vector)
        rankings[query.id] = [(pool[i].id, float(products[i])) for i in best(products, everywhere, DEPTH)]
    return {query: {NDCG: values[NDCG]} for query, values in measure(rankings, collection.qrels).items()}


# -- what is written -------------------------------------------------------------------------------------------


def pruning_text(result: Mapping[str, Any]) -> str:
    """The result of pruning as Markdown."""
    rows = [
        [
            row["row"],
            with_interval(NDCG, row["metrics"], row["intervals"]),
            "-" if row["row"] == AS_IT_IS else signed(row["difference"]),
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['zeros']:.0%}",
            f"{row['terms_a_passage']:.0f}",
            f"{row['passages_per_cpu_second']:.1f}",
            f"{row['times_as_it_is']:.2f} ({row['range'][0]:.2f} to {row['range'][1]:.2f})",
        ]
        for row in result["rows"]
    ]
    smaller = ""
    if result["passages"] < result["of"]:
        smaller = (
            f" Of {result['of']:,} passages those with a judgement are searched, and others drawn by a hash: an easier "
            "search, so compare rows with each other only."
        )
    essential = "; ".join(
        f"{group}: {result['essential_sparsity'][group]:.0%} (not certainly lower up to "
        f"{result['not_certainly_lower'][group]:.0%})"
        for group in GROUPS
    )
    lines = [
        f"## Pruning and quantising {result['model']}: {result['n']:,} queries, {result['passages']:,} passages",
        "",
        f"95 % bootstrap intervals, differences paired to the encoder as it is. Terms and speed of {result['timed']} "
        f"passages, one thread, medians of {result['repeat']} rounds (range) in turn with the encoder as it is, whose "
        f"own row shows what chance does. MB as they would be stored.{smaller}",
        "",
        *table(["", NDCG, "difference", "MB", "zeros", "terms a passage", "a CPU-second", "times as it is"], rows),
        "",
        f"Essential sparsity (the most pruned without a drop of over 1 %): {essential}.",
        f"At least {FASTER} times as fast in every round and within 1 %: {'; '.join(result['worth_it']) or 'none'}.",
    ]
    return "\n".join(lines) + "\n"
