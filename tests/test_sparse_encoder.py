"""rag/encode/sparse_encoder.py: each head against hand arithmetic, splade-tiny against its plain recipe."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file

from rag.encode.heads import (
    METHODS,
    Side,
    binary,
    echo,
    epic_importance,
    epic_quality,
    mlm,
    mlp,
    saturate,
    scatter,
)
from rag.encode.inference_free import InferenceFreeQuery, idf, idf_of
from rag.encode.sparse_encoder import BertBackbone, SparseTextEncoder, TransformerSparseEncoder, open_sparse_encoder
from rag.encode.vocabulary_slice import SLICE
from rag.errors import ModelError
from rag.models.registry import path_of
from rag.protocols import SparseVector
from tests.conftest import ROOT

LOG2, LOG3, LOG4 = math.log(2), math.log(3), math.log(4)
VOCABULARY = 30_522


def tensor(*rows: Sequence[Any]) -> torch.Tensor:
    return torch.tensor(rows)


def close(found: torch.Tensor, *rows: Sequence[float]) -> bool:
    return torch.allclose(found, torch.tensor(rows, dtype=torch.float32), atol=1e-6)


def logits_mlm(logits: torch.Tensor, keep: torch.Tensor, side: Side, *more: torch.Tensor) -> torch.Tensor:
    """With the unit matrix for an output layer, the states are the logits."""
    return mlm(logits, keep, torch.eye(logits.shape[-1]), torch.zeros(logits.shape[-1]), side, *more)


# ---- the heads, by hand

IDS = tensor([1, 3, 3, 0], [2, 4, 0, 0])  # 0 stands for what is not to be kept: a special token, or padding
KEEP = tensor([True, True, True, False], [True, False, False, False])


@pytest.mark.parametrize(
    ("activation", "saturation", "expected"),
    [
        ("relu", "log1p", [0, LOG2]),
        ("relu", "none", [0, 1]),
        ("softplus", "none", [math.log1p(math.exp(-1)), math.log1p(math.e)]),
        ("softplus", "log1p", [math.log1p(math.log1p(math.exp(-1))), math.log1p(math.log1p(math.e))]),
        ("none", "none", [-1, 1]),
    ],
)
def test_activation_and_saturation(activation: Any, saturation: Any, expected: list[float]) -> None:
    assert close(saturate(torch.tensor([-1.0, 1.0]), Side("MLM", activation, saturation)), *expected)


def test_binary() -> None:
    assert close(binary(IDS, KEEP, 5), [0, 1, 0, 1, 0], [0, 0, 1, 0, 0])
    assert close(binary(IDS, KEEP, 5, "sum"), [0, 1, 0, 2, 0], [0, 0, 1, 0, 0])  # plain counts
    assert close(binary(IDS, KEEP, 5, scale=0.3), [0, 0.3, 0, 0.3, 0], [0, 0, 0.3, 0, 0])


def test_a_repeated_token_weighs_its_maximum_or_its_sum() -> None:
    weights = tensor([1.0, 2.0, 5.0, 9.0], [3.0, 9.0, 9.0, float("nan")])
    assert close(scatter(weights, IDS, KEEP, 5, "max"), [0, 1, 0, 5, 0], [0, 0, 3, 0, 0])
    assert close(scatter(weights, IDS, KEEP, 5, "sum"), [0, 1, 0, 7, 0], [0, 0, 3, 0, 0])


def test_mlp() -> None:
    hidden = tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [9.0, 9.0]], [[0.0, -1.0], [9.0, 9.0], [9.0, 9.0], [9.0, 9.0]])
    weight, bias = tensor([1.0, 2.0]), torch.tensor([-0.5])  # logits 0.5, 1.5, 1.5 and -2.5
    unit = (hidden, IDS, KEEP, weight, bias, 5)
    assert close(mlp(*unit, Side("MLP", "relu", "none")), [0, 0.5, 0, 1.5, 0], [0] * 5)
    assert close(mlp(*unit, Side("MLP", "relu", "none", "sum")), [0, 0.5, 0, 3, 0], [0] * 5)
    assert close(mlp(*unit, Side("MLP")), [0, math.log(1.5), 0, math.log(2.5), 0], [0] * 5)
    softly = math.log1p(math.log1p(math.exp(-2.5)))
    assert close(mlp(*unit, Side("MLP", "softplus"))[1:], [0, 0, softly, 0, 0])
    assert close(mlp(*unit, Side("MLP", "none", "none"))[1:], [0] * 5)  # DeepCT: below 0 is 0


LOGITS = tensor(
    [[9.0, 9.0, 9.0], [1.0, -1.0, 0.0], [2.0, 0.0, -5.0], [9.0, 9.0, 9.0]],  # a mark, two tokens, padding
    [[9.0, 9.0, 9.0], [3.0, -2.0, -1.0], [9.0, 9.0, 9.0], [9.0, 9.0, 9.0]],
    [[9.0, 9.0, 9.0], [9.0, 9.0, 9.0], [9.0, 9.0, 9.0], [9.0, 9.0, 9.0]],  # an empty text
)
KEPT = tensor([False, True, True, False], [False, True, False, False], [False] * 4)


def test_mlm() -> None:
    assert close(logits_mlm(LOGITS, KEPT, Side("MLM")), [LOG3, 0, 0], [LOG4, 0, 0], [0, 0, 0])
    assert close(logits_mlm(LOGITS, KEPT, Side("MLM", merge="sum")), [LOG2 + LOG3, 0, 0], [LOG4, 0, 0], [0, 0, 0])
    assert close(logits_mlm(LOGITS, KEPT, Side("MLM", "none", "none")), [2, 0, 0], [3, -2, -1], [0, 0, 0])
    weight, bias = tensor([1.0, 0.0, 0.0], [0.0, 0.0, -1.0]), torch.tensor([0.0, 2.0])
    assert close(mlm(LOGITS, KEPT, weight, bias, Side("MLM")), [LOG3, math.log(8)], [LOG4, LOG4], [0, 0])


def test_cls_mlm_keeps_the_first_position_only() -> None:
    first = tensor([True, False, False, False], [True, False, False, False], [False] * 4)
    ten = math.log(10)
    assert close(logits_mlm(LOGITS, first, Side("CLS-MLM")), [ten] * 3, [ten] * 3, [0] * 3)


def test_epic() -> None:
    hidden = tensor([[1.0], [0.0], [2.0]])  # (1 text, 3 tokens, d = 1)
    importance = epic_importance(hidden, tensor([1.0]), torch.tensor([0.0]))
    assert close(importance, [math.log1p(math.log1p(math.exp(x))) for x in (1, 0, 2)])
    quality = epic_quality(hidden, tensor([1.0]), torch.tensor([0.0]))
    assert close(quality, [1 / (1 + math.exp(-1))])
    logits, keep = tensor([[9.0, 9.0], [1.0, -1.0], [0.5, -3.0]]), tensor([False, True, True])
    side = Side("EPIC", "softplus", "log1p")
    weights = logits_mlm(logits, keep, side, tensor([1.0, 1.0, 4.0])) * quality  # the tokens' logits: 1, -1 and 2, -12
    expected = [math.log1p(math.log1p(math.exp(x))) / (1 + math.exp(-1)) for x in (2, -1)]
    assert close(weights, expected)


@given(seed=st.integers(0, 2**31), tokens=st.integers(1, 9), merge=st.sampled_from(["max", "sum"]))
@settings(max_examples=40, deadline=None)
def test_the_order_of_positions_does_not_matter(seed: int, tokens: int, merge: Any) -> None:
    drawn = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, tokens, 7, generator=drawn)
    keep = torch.rand(2, tokens, generator=drawn) < 0.7
    order = torch.randperm(tokens, generator=drawn)
    side = Side("MLM", merge=merge)
    there, again = logits_mlm(logits, keep, side), logits_mlm(logits[:, order], keep[:, order], side)
    assert torch.allclose(there, again, atol=1e-6)


@pytest.mark.parametrize(("activation", "saturation"), [("relu", "log1p"), ("softplus", "log1p"), ("none", "none")])
def test_the_maximum_may_come_before_the_logarithm(activation: Any, saturation: Any) -> None:
    torch.manual_seed(1)
    side = Side("MLM", activation, saturation)
    keep = torch.ones(3, 6, dtype=torch.bool)
    weight, bias = torch.randn(2 * SLICE + 5, 8), torch.randn(2 * SLICE + 5)
    states = torch.randn(3, 6, 8)
    logits = torch.nn.functional.linear(states, weight, bias)
    assert torch.allclose(mlm(states, keep, weight, bias, side), saturate(logits, side).amax(1), atol=1e-5)


# ---- the table


def test_the_named_methods_are_the_papers_pairs() -> None:
    pairs = {name: (method.query.head, method.document.head, method.tied) for name, method in METHODS.items()}
    assert pairs == {
        "uniCOIL": ("MLP", "MLP", True),
        "uniCOIL+TILDE": ("MLP", "expMLP", True),
        "DeepImpact": ("BINARY", "expMLP", False),
        "TILDEv2": ("BINARY", "expMLP", False),
        "TILDE": ("BINARY", "CLS-MLM", False),
        "SPARTA": ("BINARY", "MLM", False),
        "EPIC": ("MLP", "EPIC", False),
        "SPLADE": ("MLM", "MLM", True),
        "SPLADE-sep": ("MLM", "MLM", False),
        "DeepCT": ("BINARY", "MLP", False),
        "inference-free": ("IDF", "MLM", False),
        "Mistral-SPLADE": ("MLM", "MLM", True),
    }
    functions = {name: (m.document.activation, m.document.saturation) for name, m in METHODS.items()}
    assert {name for name, pair in functions.items() if pair == ("relu", "none")} == {
        "uniCOIL", "uniCOIL+TILDE", "DeepImpact", "TILDEv2",
    }  # fmt: skip
    assert functions["EPIC"] == ("softplus", "log1p") == (METHODS["EPIC"].query.activation, "log1p")
    assert functions["DeepCT"] == ("none", "none")
    assert functions["SPLADE"] == functions["SPARTA"] == functions["TILDE"] == ("relu", "log1p")
    assert [name for name, method in METHODS.items() if method.document.echo] == ["Mistral-SPLADE"]
    assert all(method.document.merge == "max" for method in METHODS.values())


# ---- splade-tiny

TEXTS = [
    "The Tarn bridge was opened in 1911 by Clyde Foundry, then the largest ironworks of the north.",
    "who designed the bridge?",
    "the of and",
    "일본어 검색",
    "A 😀 on the wall, and [SEP] as a word",
    " ".join(f"chapter {i} tells of river {i * 7919 % 1000}." for i in range(2_000)),  # 90,000 characters
    "word " * 120,
]


@cache
def encoder(batch_size: int = 32) -> SparseTextEncoder:
    found = open_sparse_encoder("SPLADE", path_of("splade-tiny"), None, 256, batch_size)
    assert isinstance(found._document, BertBackbone)
    return found


@cache
def by_transformers() -> TransformerSparseEncoder:
    return TransformerSparseEncoder("SPLADE", path_of("splade-tiny"))


def dense(vectors: Sequence[SparseVector]) -> NDArray[np.float32]:
    rows = np.zeros((len(vectors), VOCABULARY), dtype=np.float32)
    for row, (ids, weights) in zip(rows, vectors, strict=True):
        assert (ids.dtype, weights.dtype) == (np.int32, np.float32)
        assert (np.diff(ids) > 0).all() and (weights > 0).all()
        row[ids] = weights
    return rows


def words(vector: SparseVector) -> set[str]:
    return {encoder().term(int(term)) for term in vector[0]}


def test_splade_tiny_agrees_with_the_plain_recipe() -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = path_of("splade-tiny")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    inputs = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.inference_mode():
        weights = torch.log1p(torch.relu(model(**inputs).logits)) * inputs["attention_mask"].unsqueeze(-1)
    expected = weights.amax(1).numpy()
    expected[:, tokenizer.all_special_ids] = 0
    np.testing.assert_allclose(dense(encoder().encode_documents(TEXTS)), expected, atol=1e-5)
    np.testing.assert_allclose(dense(by_transformers().encode_documents(TEXTS)), expected, atol=1e-5)
    many = dense(encoder().encode_documents([text for text in TEXTS for _ in range(3)]))  # not in numpy any more
    np.testing.assert_allclose(many[::3], expected, atol=1e-5)


def test_the_batch_that_a_text_is_in_does_not_matter() -> None:
    together = dense(encoder().encode_documents(TEXTS))
    order = random.Random(1).sample(range(len(TEXTS)), len(TEXTS))
    shuffled = dense(encoder(2).encode_documents([TEXTS[i] for i in order]))
    alone = dense([encoder().encode_queries([text])[0] for text in TEXTS])  # tied: queries are encoded alike
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_what_says_nothing_has_an_empty_vector() -> None:
    vectors = encoder().encode_documents(["", " \n", "😀", "[CLS] [SEP]", "a\u0301\u200b"])
    assert [len(ids) > 0 for ids, _ in vectors] == [False, False, False, False, True]
    assert encoder().encode_documents([]) == []
    heard: list[int] = []
    encoder(2).encode_documents(["a", "b", "c"], heard.append)
    assert heard == [2, 3]


def test_a_book_costs_no_more_than_its_first_page(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watched(tokenize: Callable[..., Any]) -> Callable[..., Any]:
        return lambda texts, *most: seen.extend(map(len, texts)) or tokenize(texts, *most)

    ours, theirs = encoder()._document, by_transformers()._document
    assert isinstance(ours, BertBackbone)
    monkeypatch.setattr(ours._bert, "tokens", watched(ours._bert.tokens))
    monkeypatch.setattr(theirs, "_tokenized", watched(theirs._tokenized))
    for some in (encoder(), by_transformers()):
        seen.clear()
        page, book = some.encode_documents(["word " * 256, "word " * 100_000])
        assert max(seen) == 20 * 256
        np.testing.assert_allclose(dense([book]), dense([page]), atol=1e-5)


def test_expansion_is_what_the_text_does_not_say() -> None:
    text = "The Tarn bridge was opened in 1911 by Clyde Foundry, then the largest ironworks of the north."
    vector = encoder().encode_documents([text])[0]
    own = {encoder().term(term) for term in encoder().token_ids([text])[0]}
    assert {"bridge", "tar", "##n", "iron", "##works", "clyde"} <= words(vector) & own
    assert words(vector) - own
    assert encoder().dimensions == VOCABULARY


def test_bfloat16_is_near() -> None:
    fast = TransformerSparseEncoder("SPLADE", path_of("splade-tiny"), dtype="bfloat16")
    found, exact = dense(fast.encode_documents(TEXTS)), dense(encoder().encode_documents(TEXTS))
    cosine = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosine.min() > 0.995


@pytest.mark.parametrize("damage", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(monkeypatch: pytest.MonkeyPatch, damage: float) -> None:
    matrix, bias = encoder()._document._bert.output_layer()
    bias = np.where(np.arange(len(bias)) == 2_000, np.float32(damage), bias)
    monkeypatch.setattr(encoder()._document._bert, "output_layer", lambda: (matrix, bias))
    with pytest.raises(ModelError, match="splade-tiny gives weights"):
        encoder().encode_documents(["text"])


def test_negative_weights_are_refused() -> None:
    negative = Side("MLM", "none", "none")
    with pytest.raises(ModelError, match="negative"):
        encoder()._encode(encoder()._document, ["text"], negative, lambda done: None)


# ---- queries without a model


def test_idf_is_the_formula() -> None:
    assert idf([0, 3, 10], 10).tolist() == pytest.approx(
        [math.log(1 + 10.5 / 0.5), math.log(1 + 7.5 / 3.5), math.log(1 + 0.5 / 10.5)]
    )
    assert idf(np.zeros(4, int), 0).tolist() == pytest.approx([LOG2] * 4)


def test_an_inference_free_query_is_a_look_up() -> None:
    folder = path_of("splade-tiny")
    corpus = ["a bridge and a bridge", "the town", "the bridge of the town"]
    bare = InferenceFreeQuery(folder, np.ones(VOCABULARY, np.float32))
    query = InferenceFreeQuery(folder, idf_of(bare.token_ids(corpus), VOCABULARY))
    (vector, nothing, unknown) = query.encode_queries(["Bridge, the bridge over the Tarn?", "", "😀"])
    table = {query.term(int(term)): float(weight) for term, weight in zip(*vector, strict=True)}
    seen = {"bridge": math.log(1 + 1.5 / 2.5), "the": math.log(1 + 1.5 / 2.5)}
    unseen = math.log(1 + 3.5 / 0.5)
    assert table == pytest.approx(seen | dict.fromkeys(["over", "tar", "##n", ",", "?"], unseen))
    assert (np.diff(vector[0]) > 0).all() and (vector[0].dtype, vector[1].dtype) == (np.int32, np.float32)
    assert len(nothing[0]) == len(unknown[0]) == 0
    assert query.dimensions == VOCABULARY
    repeated = query.encode_queries(["Bridge, the bridge"])
    np.testing.assert_array_equal(dense(repeated), dense(query.encode_queries(["bridge , the"])))


def test_an_idf_table_of_another_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = path_of("splade-tiny")
    for table in (np.ones(5), np.full(VOCABULARY, np.nan), np.full(VOCABULARY, -1.0)):
        with pytest.raises(ModelError, match=r"idf table for .*splade-tiny"):
            InferenceFreeQuery(folder, table.astype(np.float32))
    with pytest.raises(ModelError, match="nowhere"):
        InferenceFreeQuery(tmp_path / "nowhere", np.ones(5, np.float32))


def test_an_inference_free_query_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys\n"
        "from rag.encode.inference_free import InferenceFreeQuery, idf; from rag.models.registry import path_of\n"
        "query = InferenceFreeQuery(path_of('splade-tiny'), idf([1] * 30522, 9))\n"
        "assert len(query.encode_queries(['the bridge'])[0][0]) == 2\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_method_inference_free_encodes_passages_as_splade_does() -> None:
    folder = path_of("splade-tiny")
    queries = InferenceFreeQuery(folder, np.ones(VOCABULARY, np.float32))
    both = TransformerSparseEncoder("inference-free", folder)
    np.testing.assert_allclose(
        dense(both.encode_documents(TEXTS[:2])), dense(encoder().encode_documents(TEXTS[:2])), atol=1e-5
    )
    assert dense(queries.encode_queries(["the bridge"])).sum() == 2
    assert both.token_ids(["bridge the bridge"]) == queries.token_ids(["the bridge"])


# ---- other backbones: tiny random ones, with splade-tiny's tokenizer


def save(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(path_of("splade-tiny") / name, folder)
    return folder


def tiny_bert(folder: Path, head: str, vocabulary: int = VOCABULARY) -> Path:
    import transformers

    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=vocabulary, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    return save(getattr(transformers, head)(config), folder)


def inputs_of(folder: Path, texts: list[str]) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")


def test_mlp_methods_take_their_linear_unit_from_the_folder(tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = tiny_bert(tmp_path / "mlp", "BertModel")
    with pytest.raises(ModelError, match=r"mlp has no usable heads\.safetensors with linear\.weight"):
        TransformerSparseEncoder("uniCOIL", folder)
    save_file({"linear.weight": torch.ones(1, 9), "linear.bias": torch.ones(1)}, folder / "heads.safetensors")
    with pytest.raises(ModelError, match=r"shape \(1, 9\), not \(1, 8\)"):
        TransformerSparseEncoder("uniCOIL", folder)
    weight, bias = torch.randn(1, 8), torch.full((1,), 0.2)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "heads.safetensors")

    unicoil, text = TransformerSparseEncoder("uniCOIL", folder), "bridge over bridge over bridge"
    inputs = inputs_of(folder, [text])
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state
    tokens = torch.relu(hidden @ weight.T + bias)[0, 1:-1, 0].numpy()  # without [CLS] and [SEP]
    bridge, over = int(inputs.input_ids[0, 1]), int(inputs.input_ids[0, 2])
    document, query = dense(unicoil.encode_documents([text, ""])), dense(unicoil.encode_queries([text]))
    assert document[0, [bridge, over]].tolist() == pytest.approx([tokens[::2].max(), tokens[1::2].max()], abs=1e-6)
    assert query[0, [bridge, over]].tolist() == pytest.approx([tokens[::2].sum(), tokens[1::2].sum()], abs=1e-6)
    assert not document[1].any() and document[0].sum() == pytest.approx(document[0, [bridge, over]].sum())

    counts = dense(TransformerSparseEncoder("DeepImpact", folder).encode_queries([text]))
    assert counts[0, [bridge, over]].tolist() == [3, 2] and counts.sum() == 5


def test_tilde_and_epic_and_sparta(tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM

    folder = tiny_bert(tmp_path / "mlm", "BertForMaskedLM")
    query_folder = tiny_bert(tmp_path / "query", "BertModel")
    units = {name: (torch.randn(1, 8), torch.randn(1)) for name in ("term_importance.linear", "doc_quality.linear")}
    tensors = {f"{name}.{what}": unit[i] for name, unit in units.items() for i, what in enumerate(("weight", "bias"))}
    save_file(tensors, folder / "heads.safetensors")
    save_file({"linear.weight": torch.ones(1, 8), "linear.bias": torch.zeros(1)}, query_folder / "heads.safetensors")
    texts = ["the bridge over the river", "a town"]
    inputs = inputs_of(folder, texts)
    with torch.inference_mode():
        output = AutoModelForMaskedLM.from_pretrained(folder).eval()(**inputs, output_hidden_states=True)
    logits, hidden = output.logits, output.hidden_states[-1]
    special = [0, 100, 101, 102, 103]
    own = ~torch.isin(inputs.input_ids, torch.tensor(special))

    first = torch.log1p(torch.relu(logits[:, 0])).numpy()
    first[:, special] = 0
    tilde = TransformerSparseEncoder("TILDE", folder).encode_documents(texts)
    np.testing.assert_allclose(dense(tilde), first, atol=1e-5)

    pooled = torch.log1p(torch.relu(logits.masked_fill(~own.unsqueeze(-1), -99).amax(1))).numpy()
    pooled[:, special] = 0
    sparta = TransformerSparseEncoder("SPARTA", folder).encode_documents(texts)  # without [CLS] and [SEP]
    np.testing.assert_allclose(dense(sparta), pooled, atol=1e-5)

    with pytest.raises(ModelError, match="model of its own for queries"):
        TransformerSparseEncoder("EPIC", folder)
    epic = TransformerSparseEncoder("EPIC", folder, query_folder)
    importance = epic_importance(hidden, *units["term_importance.linear"])
    weighed = torch.nn.functional.softplus(logits * importance.unsqueeze(-1)).log1p() * own.unsqueeze(-1)
    expected = (weighed.amax(1) * epic_quality(hidden, *units["doc_quality.linear"])).numpy()
    expected[:, special] = 0
    np.testing.assert_allclose(dense(epic.encode_documents(texts)), expected, atol=1e-5)
    assert len(epic.encode_queries(texts)[1][0]) == 2


def test_models_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere cannot be loaded"):
        open_sparse_encoder("SPLADE", tmp_path / "nowhere", None, 256, 32)
    with pytest.raises(ModelError, match="headless has no masked language model's head"):
        open_sparse_encoder("SPLADE", tiny_bert(tmp_path / "headless", "BertModel"), None, 256, 32)
    damaged = tiny_bert(tmp_path / "damaged", "BertForMaskedLM")
    (damaged / "model.safetensors").write_bytes(b"garbage" * 99)
    with pytest.raises(ModelError, match="damaged cannot be loaded"):
        open_sparse_encoder("SPLADE", damaged, None, 256, 32)
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        vocab_size=VOCABULARY, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1,
        head_dim=8, intermediate_size=8, initializer_range=2.0,
    )  # fmt: skip
    with pytest.raises(ModelError, match="soft-capping"):
        TransformerSparseEncoder("Mistral-SPLADE", save(Gemma2ForCausalLM(config), tmp_path / "capped"))
    two = tiny_bert(tmp_path / "mlm", "BertForMaskedLM"), tiny_bert(tmp_path / "few", "BertForMaskedLM", 50)
    with pytest.raises(ModelError, match=f"vocabulary of 50, .*mlm of {VOCABULARY}"):
        TransformerSparseEncoder("SPLADE-sep", *two)


# ---- decoders


def tiny_decoder(folder: Path) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        tie_word_embeddings=False, initializer_range=0.5, max_position_embeddings=64,
    )  # fmt: skip
    return save(LlamaForCausalLM(config), folder)


def test_a_token_of_the_second_copy_knows_what_comes_later(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path)).eval()

    def first_token(tokens: list[int], copies: int) -> torch.Tensor:
        """The logits at the first token, of the only copy or of the second."""
        ids, keep = echo(tokens) if copies == 2 else (tokens, [True] * len(tokens))
        with torch.inference_mode():
            return model(input_ids=torch.tensor([ids])).logits[0, keep.index(True)]

    river, money = [2_924, 1_997, 2_314], [2_924, 1_997, 2_769]  # "bank of river", "bank of money"
    assert torch.allclose(first_token(river, 1), first_token(money, 1), atol=1e-6)
    assert not torch.allclose(first_token(river, 2), first_token(money, 2), atol=1e-2)


def test_echo_pools_the_second_copy_over_the_input_embeddings(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = tiny_decoder(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    mistral = TransformerSparseEncoder("Mistral-SPLADE", folder)
    texts = ["bank of river", "a town", ""]
    expected = []
    for ids in inputs_of(folder, texts).input_ids.tolist()[:2]:
        tokens = [token for token in ids if token not in (0, 101, 102)]
        with torch.inference_mode():
            hidden = model.model(input_ids=torch.tensor([tokens + tokens])).last_hidden_state[0, len(tokens) :]
            weights = torch.relu(hidden @ model.get_input_embeddings().weight.T).log1p().amax(0).numpy()
        weights[[0, 100, 101, 102, 103]] = 0
        expected.append(weights)
    found = dense(mistral.encode_documents(texts))
    np.testing.assert_allclose(found[:2], expected, atol=1e-5)
    assert not found[2].any()
    long = dense(mistral.encode_documents(["bank " * 9_000]))  # 64 positions: twice 31 tokens and a mark
    np.testing.assert_allclose(long, dense(mistral.encode_queries(["bank " * 31])), atol=1e-5)
