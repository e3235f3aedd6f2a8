"""pruning.py: just the smallest weights go, 8 bits are half a step off at most, a report has all its rows."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.retrieval import pruning as measured
from eval.retrieval.changeable_encoder import ALL, LAYERS, Changeable, csr_kernel, int8_kernel, scales
from eval.retrieval.collection import Collection, Query
from eval.retrieval.corpus import Entry
from eval.retrieval.pruning import essential_sparsity, in_turn, pool_of, pruning, pruning_text
from eval.retrieval.weight_changes import (
    AS_IT_IS,
    bytes_of,
    prune,
    round_to_float16,
    round_to_int8,
    variants,
)
from rag.errors import UsageError
from rag.settings import load_settings
from tests.test_sparse_encoder import VOCABULARY, tiny_bert

TEXTS = ["Tea is brewed from the leaves of a shrub.", "A lake " * 60, "", "Coffee, roasted and ground ☕"]


@cache
def folder() -> Path:
    return tiny_bert(Path(mkdtemp()) / "tiny", "BertForMaskedLM")


def tiny(dtype: str = "float32") -> Changeable:
    return Changeable("inference-free", folder(), None, 64, 2, dtype)


def matrices(seed: int, sizes: list[tuple[int, int]]) -> list[torch.Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    return [torch.randn(*size, generator=drawn) for size in sizes]


def same(a: Any, b: Any, within: float = 1e-6) -> bool:
    return all(
        np.array_equal(terms, others) and np.allclose(weights, theirs, atol=within)
        for (terms, weights), (others, theirs) in zip(a, b, strict=True)
    )


# ---- weights


SIZES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4)


@given(seed=st.integers(0, 2**31), sizes=SIZES, share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_pruning_takes_exactly_the_share_of_smallest_magnitudes(seed: int, sizes: Any, share: float) -> None:
    before, after = matrices(seed, sizes), matrices(seed, sizes)
    prune(after, share)
    flat, left = (torch.cat([matrix.flatten() for matrix in some]) for some in (before, after))
    count = round(share * len(flat))
    assert int((left == 0).sum()) == count
    assert torch.equal(left[left != 0], flat[left != 0])  # what stays, stays as it was
    if 0 < count < len(flat):  # over all matrices together
        assert flat[left == 0].abs().max() <= left[left != 0].abs().min()


def test_pruning_by_chance_takes_as_many_and_others() -> None:
    by_size, by_chance, again = (matrices(1, [(40, 30), (7, 7)]) for _ in range(3))
    prune(by_size, 0.3)
    prune(by_chance, 0.3, seed=5)
    prune(again, 0.3, seed=5)
    zeros = [sum(int((matrix == 0).sum()) for matrix in some) for some in (by_size, by_chance)]
    assert zeros == [round(0.3 * 1249)] * 2
    assert all(torch.equal(a, b) for a, b in zip(by_chance, again, strict=True))
    assert not torch.equal(by_size[0] == 0, by_chance[0] == 0)


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 9), columns=st.integers(1, 40), size=st.floats(1e-4, 1e4))
@settings(max_examples=60, deadline=None)
def test_8_bits_are_half_a_step_of_the_row_off_at_most(seed: int, rows: int, columns: int, size: float) -> None:
    (before,) = matrices(seed, [(rows, columns)])
    before *= size * torch.arange(1, rows + 1).unsqueeze(1)  # rows of unlike size
    after = before.clone()
    round_to_int8([after])
    step = before.abs().amax(1, keepdim=True) / 127
    assert ((after - before).abs() <= step * (0.5 + 1e-4)).all()
    whole = after / step
    assert torch.allclose(whole, whole.round(), atol=1e-3) and whole.abs().max() <= 127.01
    again = after.clone()
    round_to_int8([again])
    assert torch.allclose(again, after, rtol=1e-5)


def test_a_row_of_zeros_stays_one() -> None:
    matrix = torch.zeros(2, 3)
    round_to_int8([matrix])
    assert not matrix.any() and (scales(matrix) > 0).all()


def test_float16_keeps_11_bits() -> None:
    (before,) = matrices(3, [(20, 20)])
    after = before.clone()
    round_to_float16([after])
    assert 0 < (after / before - 1).abs().max() <= 2**-11


def test_bytes_by_hand() -> None:
    full, vector = torch.ones(10, 20), torch.ones(20)
    assert bytes_of([full, vector], 4) == 4 * 220
    assert bytes_of([full, vector], 2) == 2 * 220
    assert bytes_of([full, vector], 1) == 200 + 10 * 4 + 20 * 4
    few = torch.zeros(10, 20)
    few[0, :7] = 1
    assert bytes_of([few], 4) == 7 * 6 + 11 * 4
    assert bytes_of([few], 1) == 7 * 3 + 11 * 4 + 10 * 4


# ---- kernels


def test_kernels_multiply() -> None:
    weight, states = matrices(2, [(50, 16), (6, 16)])
    bias = torch.arange(50) / 10
    exact = torch.nn.functional.linear(states, weight, bias)
    prune([weight], 0.6)
    pruned = torch.nn.functional.linear(states, weight, bias)
    assert torch.allclose(csr_kernel(weight, bias)(states), pruned, atol=1e-5)
    assert torch.allclose(csr_kernel(weight, None)(states.view(2, 3, 16)), (pruned - bias).view(2, 3, 50), atol=1e-5)
    rounded = int8_kernel(weight, bias)(states)
    # Steps of weights and of states, each half a step off at most, over 16 products.
    bound = 16 * (scales(weight).max() / 2 * states.abs().max() + states.abs().max() / 127 * weight.abs().max())
    assert 0 < (rounded - pruned).abs().max() < bound
    assert (exact - pruned).abs().max() > 1e-3


# ---- the encoder


def test_groups_of_matrices() -> None:
    encoder = tiny()
    layers, both = encoder.matrices(LAYERS), encoder.matrices(ALL)
    # query, key, value, output, two of the feed-forward part, and the head's own: all 8 x 8
    assert [tuple(matrix.shape) for matrix in layers] == [(8, 8)] * 7
    assert sorted(len(matrix) for matrix in both if len(matrix) != 8) == [2, 512, VOCABULARY]
    assert len(both) == len(layers) + 3


def test_what_is_written_is_computed_with() -> None:
    plain = tiny().encode_documents(TEXTS)
    untouched, pruned = tiny(), tiny()
    prune(untouched.matrices(ALL), 0)
    assert same(untouched.encode_documents(TEXTS), plain, 0)
    prune(pruned.matrices(ALL), 0.5)
    assert not same(pruned.encode_documents(TEXTS), plain)
    nothing = tiny()
    prune(nothing.matrices(ALL), 1)
    assert all(len(terms) == 0 for terms, _ in nothing.encode_documents(TEXTS))  # the biases are 0


@pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-6), ("bfloat16", 0.02)])
def test_narrowed_vectors_are_the_whole_ones_at_these_terms(dtype: str, within: float) -> None:
    terms = np.sort(np.random.default_rng(1).choice(VOCABULARY, 5000, replace=False))
    whole, narrow = (rows(encoder.encode_documents(TEXTS)) for encoder in (tiny(dtype), tiny(dtype).narrowed(terms)))
    assert np.count_nonzero(whole[:, terms]) > 1000
    assert narrow[:, terms] == pytest.approx(whole[:, terms], abs=within)
    assert not np.delete(narrow, terms, axis=1).any()


def test_sparse_rows_compute_the_pruned_encoder() -> None:
    dense, sparse = tiny(), tiny()
    for encoder in (dense, sparse):
        prune(encoder.matrices(ALL), 0.6)
    sparse.compute_with(csr_kernel)
    expected, terms = dense.encode_documents(TEXTS), np.arange(0, VOCABULARY, 7)
    assert rows(sparse.encode_documents(TEXTS)) == pytest.approx(rows(expected), abs=1e-5)
    narrow = rows(sparse.narrowed(terms).encode_documents(TEXTS))
    assert narrow[:, terms] == pytest.approx(rows(expected)[:, terms], abs=1e-5)


def test_int8_is_near() -> None:
    (variant,) = [variant for variant in variants([0.5], 0) if variant.name == "computed in int8"]
    encoder = tiny()
    variant.change(encoder)
    found, exact = rows(encoder.encode_documents(TEXTS)), rows(tiny().encode_documents(TEXTS))
    assert not found[2].any() and not exact[2].any()  # an empty text
    some = [0, 1, 3]
    cosine = (found * exact)[some].sum(1) / np.linalg.norm(found[some], axis=1) / np.linalg.norm(exact[some], axis=1)
    assert 0.99 < cosine.min() < 1


def rows(vectors: Any) -> Any:
    made = np.zeros((len(vectors), VOCABULARY), np.float32)
    for row, (terms, weights) in zip(made, vectors, strict=True):
        row[terms] = weights
    return made


# ---- the report


def row(share: float, loss: float, high: float, group: str = LAYERS) -> dict[str, Any]:
    return {"group": group, "share": share, "within_1_percent": loss <= 0.01, "certainly_lower": high < 0}


def test_essential_sparsity_ends_at_the_first_drop() -> None:
    some = [row(0.3, 0.05, 0.01), row(0.1, 0.0, 0.1), row(0.2, 0.01, 0.0), row(0.4, 0.0, 0.1), row(0.5, 0.2, -0.01)]
    assert essential_sparsity(some, LAYERS) == 0.2  # 0.4 came back by chance
    assert essential_sparsity(some, LAYERS, certainly=True) == 0.4
    assert essential_sparsity([row(0.1, 0.5, -0.2)], LAYERS) == 0 == essential_sparsity(some, ALL)


def collection(passages: int = 12, asked: int = 4) -> Collection:
    words = ["tea", "lake", "coffee", "bridge", "river", "garden", "town", "iron", "north", "wall", "chapter", "moor"]
    entries = [Entry(f"p{i}", words[i].title(), f"{words[i]} &amp; {words[i - 1]}") for i in range(passages)]
    queries = [Query(f"q{i}", f"{words[i]} and {words[i - 1]}") for i in range(asked)]
    return Collection(entries, queries, {f"q{i}": {f"p{i}": 1} for i in range(asked)}, 0)


def test_a_limit_keeps_what_is_judged() -> None:
    some = collection()
    assert pool_of(some, None) == pool_of(some, 12) == pool_of(some, 99) == list(some.entries)
    assert [entry.id for entry in pool_of(some, 1)] == ["p0", "p1", "p2", "p3"]
    seven, nine = ({entry.id for entry in pool_of(some, limit)} for limit in (7, 9))
    assert len(seven) == 7 and len(nine) == 9 and {"p0", "p1", "p2", "p3"} <= seven < nine


def test_speeds_are_passages_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    class Slow:
        dimensions = 9

        def __init__(self, *seconds: float):
            self.seconds = list(seconds)

        def encode_documents(self, texts: Any) -> Any:
            nonlocal now
            now += self.seconds.pop(0)
            return [(np.arange(i + 1), np.ones(i + 1)) for i in range(len(texts))]

    monkeypatch.setattr(measured.time, "process_time", lambda: now)
    base: Any = Slow(2, 3, 4)
    other: Any = Slow(1, 1, 4)
    assert in_turn(base, other, ["a", "b", "c", "d"]) == {
        "terms_a_passage": 2.5, "passages_per_cpu_second": 4.0, "times_as_it_is": 2.0, "range": [1.0, 3.0],
    }  # fmt: skip


def test_a_report_has_all_its_rows() -> None:
    chosen = load_settings([f"sparse.model={folder()}", "sparse.max_tokens=16"])
    threads = torch.get_num_threads()
    result = pruning(collection(), chosen, 8, shares=(0.2, 0.7))
    assert torch.get_num_threads() == threads
    assert (result["n"], result["passages"], result["of"]) == (4, 8, 12)
    assert [row["row"] for row in result["rows"]] == [variant.name for variant in variants((0.2, 0.7), 0)]
    first, *others = result["rows"]
    assert first["row"] == AS_IT_IS and first["difference"]["mean"] == 0 and first["within_1_percent"]
    assert result["metrics"] == first["metrics"]
    for row in result["rows"]:
        low, high = row["intervals"]["nDCG@10"]
        assert 0 <= low <= row["metrics"]["nDCG@10"] <= high <= 1
        assert row["difference"]["mean"] == pytest.approx(row["metrics"]["nDCG@10"] - first["metrics"]["nDCG@10"])
        assert row["passages_per_cpu_second"] > 0 and row["range"][0] <= row["times_as_it_is"] <= row["range"][1]
        assert 0 <= row["terms_a_passage"] <= VOCABULARY
    assert all(row["bytes"] <= first["bytes"] for row in others)
    sizes = {row["row"]: row["bytes"] for row in result["rows"]}
    assert sizes["stored in float16"] == sizes["computed in bfloat16"] == first["bytes"] // 2
    assert sizes["stored in int8"] == sizes["computed in int8"] < first["bytes"] // 2
    assert sizes[f"{ALL}, 70% pruned"] < sizes[f"{LAYERS}, 70% pruned"] < first["bytes"] == sizes[f"{ALL}, 20% pruned"]
    shares = {row["row"]: row["zeros"] for row in result["rows"]}
    embeddings = (VOCABULARY + 512 + 2) * 8
    weights = sum(weight.numel() for weight in tiny().parameters().values())
    assert shares[f"{ALL}, 70% pruned"] >= 0.7 * embeddings / weights
    assert shares[f"{LAYERS}, 70% pruned"] - first["zeros"] == pytest.approx(round(0.7 * 7 * 64) / weights, abs=2e-4)
    assert shares[f"{ALL}, 30% by chance"] == pytest.approx(
        0.3 * (embeddings + 448) / weights + first["zeros"], abs=0.01
    )
    assert json.loads(json.dumps(result)) == result
    text = pruning_text(result)
    assert text.count("\n| ") == 1 + len(result["rows"]) and "Of 12 passages" in text and "Essential sparsity" in text


def test_other_methods_and_no_passages_are_refused() -> None:
    with pytest.raises(UsageError, match=r"sparse\.method 'SPLADE'"):
        pruning(collection(), load_settings(["sparse.method=SPLADE"]))
    with pytest.raises(UsageError, match="--limit 0"):
        pruning(collection(), load_settings([]), 0)
