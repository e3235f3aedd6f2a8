"""What rag/train/sparse/sparse_training.py saves: of any backbone, with its idf, and as a library's own encoder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from eval.retrieval.sparse_gain import teachers_of
from rag.encode.checkpoint import TRAINED
from rag.encode.inference_free import CHANGES, InferenceFreeQuery, idf
from rag.encode.sparse_encoder import TransformerSparseEncoder
from rag.errors import IndexMismatch, ModelError, UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.settings import load_settings
from rag.train.sparse.losses import flops
from rag.train.sparse.sparse_training import save
from rag.train.sparse.student import Student
from rag.train.sparse.training_state import Curve, State
from rag.train.sparse.training_step import Steps, loss_of_step
from tests.test_train_sparse import line, mined, moved, recipe, same, student, tiny, toy, trained, weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("tiny") / "base")


# -- other models


def loads_as_saved(some: Student, state: State, method: str, out: Path) -> TransformerSparseEncoder:
    """The saved folder as an encoder: its weights are those of the student."""
    save(some, state, recipe(), {}, out)
    loaded = TransformerSparseEncoder(method, out, None, 16, 8)
    for (terms, theirs), (ids, ours) in zip(
        loaded.encode_documents(toy().texts), some.encode_documents(toy().texts), strict=True
    ):
        assert np.array_equal(terms, ids) and len(terms)
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
    return loaded


def test_an_encoder_without_a_head_learns_through_its_embeddings(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "headless", "BertModel")
    with pytest.raises(ModelError, match="has no masked language model's head"):
        TransformerSparseEncoder("inference-free", folder)
    some, state = trained(folder, tmp_path / "checkpoint", recipe(), moved)
    assert state.curve[-1].ndcg > 0
    loads_as_saved(some, state, "inference-free", tmp_path / "out")
    with pytest.raises(ModelError, match=r"--recipe teachers=bm25,dense"):
        teachers_of(toy(), ("sparse",), load_settings([f"sparse.model={folder}"]), lambda what, done, total: None)


@pytest.mark.parametrize(("kind", "method"), [("LlamaForCausalLM", "Mistral-SPLADE"), ("BertForMaskedLM", "SPLADE")])
def test_tied_methods_learn(tmp_path: Path, kind: str, method: str) -> None:
    folder = tiny(tmp_path / "base", kind)
    start = weights(student(folder, method))
    some, state = trained(folder, tmp_path / "checkpoint", recipe(steps=2, every=2), lambda some: float(not same(
        weights(some), start)), method=method)  # fmt: skip
    assert math.isfinite(state.curve[-1].loss) and state.best_step == 2
    loaded = loads_as_saved(some, state, method, tmp_path / "out")
    queries = [pair.query for pair in toy().pairs]
    for (terms, theirs), (ids, ours) in zip(loaded.encode_queries(queries), some.encode_queries(queries), strict=True):
        assert np.array_equal(terms, ids)
        np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("method", ["SPLADE", "inference-free"])
def test_the_penalty_is_on_what_a_model_made(model: Path, method: str) -> None:
    some, data = student(model, method), toy()
    how = recipe(labels=0.0, distillation="none", penalty_weight=0.5, ramp_steps=0)
    drawn = Steps(data, mined(data), how).drawn(0)
    loss, texts = loss_of_step(0, drawn, data, mined(data), some, how, False)
    queries = flops(some.query_features([data.pairs[place].query for place, _ in drawn])).detach()
    assert texts > 0 and queries > 0
    assert loss.item() == pytest.approx(0.5 * (texts + queries * (method == "SPLADE")).item(), rel=1e-5)


@pytest.mark.parametrize("method", ["DeepImpact", "SPLADE-sep", "SPARTA", "TILDE", "EPIC", "uniCOIL", "nonsense"])
def test_other_methods_are_refused(model: Path, method: str) -> None:
    with pytest.raises(UsageError, match=f"'{method}' cannot be trained. Choose inference-free") as error:
        student(model, method)
    line(error)


# -- the idf of queries


def test_a_trained_idf_is_applied_where_queries_are_made(model: Path, tmp_path: Path) -> None:
    some, state = trained(model, tmp_path / "checkpoint", recipe(train_idf=True), moved)
    out = tmp_path / "out"
    loads_as_saved(some, state, "inference-free", out)
    frequency = np.zeros(some.dimensions)
    for ids in some.token_ids(toy().texts):
        frequency[ids] += 1
    table = idf(frequency, len(toy().texts))
    queries = [pair.query for pair in toy().pairs]
    plain = InferenceFreeQuery(model, table).encode_queries(queries)
    ours, theirs = some.encode_queries(queries), InferenceFreeQuery(out, table).encode_queries(queries)
    for (terms, before), (ids, weighed), (same_ids, factor) in zip(plain, ours, theirs, strict=True):
        assert np.array_equal(terms, ids) and np.array_equal(ids, same_ids)
        np.testing.assert_allclose(weighed, factor, rtol=1e-5)
        assert not np.allclose(before, factor)
    for damage in ({"change": torch.zeros(3)}, {"other": torch.zeros(some.dimensions)},
                   {"change": torch.full((some.dimensions,), math.nan)}):  # fmt: skip
        save_file(damage, out / CHANGES)
        with pytest.raises(ModelError, match=rf"{CHANGES} cannot be loaded") as error:
            InferenceFreeQuery(out, table)
        line(error)
    (out / CHANGES).write_bytes(b"garbage")
    with pytest.raises(ModelError, match=rf"{CHANGES} cannot be loaded"):
        InferenceFreeQuery(out, table)


def test_an_idf_that_is_not_trained_leaves_no_file(model: Path, tmp_path: Path) -> None:
    some, state = trained(model, tmp_path / "checkpoint", recipe(steps=1))
    save(some, state, recipe(), {}, tmp_path / "out")
    assert not some.change.any() and not (tmp_path / "out" / CHANGES).exists()


# -- the folder


def library_of(folder: Path, base: Path) -> Indexes:
    """An empty library whose sparse index was made."""
    indexes = Indexes(Library.open(folder, create=not folder.exists()), load_settings([f"sparse.model={base}"]))
    with indexes.library.writing("a test"), indexes.updating(names=["sparse"]):
        pass
    return indexes


def saved(model: Path | str, out: Path, **changes: Any) -> Path:
    some, state = trained(model, out.with_name(f"{out.name}.checkpoint"), recipe(steps=2, every=2, **changes), moved)
    save(some, state, recipe(steps=2, **changes), {"files": ["a.json"]}, out)
    return out


def test_a_saved_folder_says_what_it_is(model: Path, tmp_path: Path) -> None:
    out = saved(model, tmp_path / "out")
    record = json.loads((out / TRAINED).read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert set(record) == {"base", "data", "recipe", "steps", "best_step", "curve", "sha256"}
    assert (record["base"], record["data"]) == (str(model), {"files": ["a.json"]})
    assert record["recipe"]["rate"] == 1e-2 and record["steps"] == record["best_step"] == 2
    assert [set(point) for point in record["curve"]] == [set(Curve.__slots__)] * 2
    assert list(record["sha256"]) == ["model.safetensors"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out", "out.checkpoint"]
    with pytest.raises(UsageError, match="is there already"):
        saved(model, out)
    assert json.loads((saved("splade-tiny", tmp_path / "by name") / TRAINED).read_text())["base"] == "splade-tiny"


def test_an_index_knows_its_training(model: Path, tmp_path: Path) -> None:
    one, other = saved(model, tmp_path / "one"), saved(model, tmp_path / "other", seed=7)
    library_of(tmp_path / "library", one).check_settings(["sparse"])
    with pytest.raises(IndexMismatch, match=r"built with 'trained@[0-9a-f]{12}, .* ask for 'trained@") as error:
        library_of(tmp_path / "library", other)
    line(error)


def test_a_library_uses_its_own_encoder_while_the_settings_name_its_base(model: Path, tmp_path: Path) -> None:
    indexes = library_of(tmp_path / "library", model)
    before = indexes.sparse_encoder()
    assert indexes.sparse_model == str(model) and indexes.sparse_encoder() is before
    with indexes.library.writing("a test"):
        indexes.rebuild_sparse(lambda: str(saved(model, indexes.own_encoder)) and None)
    assert indexes.sparse_model == str(indexes.own_encoder)
    assert indexes.sparse_encoder() is not before  # in a server, too, that had the old one open
    indexes.check_settings(["sparse"])
    (tmp_path / "library").rename(tmp_path / "elsewhere")
    library_of(tmp_path / "elsewhere", model).check_settings(["sparse"])
    for another in (tiny(tmp_path / "another"), saved(model, tmp_path / "trained", seed=7)):
        elsewhere = Indexes(Library.open(tmp_path / "elsewhere"), load_settings([f"sparse.model={another}"]))
        assert elsewhere.sparse_model == str(another)
        with pytest.raises(IndexMismatch):
            elsewhere.check_settings(["sparse"])
    (tmp_path / "elsewhere" / "encoder" / TRAINED).write_text("{")
    assert Indexes(Library.open(tmp_path / "elsewhere"), load_settings([f"sparse.model={model}"])).sparse_model == str(
        model
    )
