"""A device that is not the processor, for machines without one: real numbers, and no tensor of two places in one step.

PyTorch lets Python be a backend (PrivateUse1). Tensors that are "elsewhere" hold one of the processor's; an operation
on tensors of both places fails as it does with a graphics card. The name is registered for the whole process, so it is
run apart: `python -m tests.elsewhere BERT LLAMA FOLDER` trains encoders on either
device and prints their curves as JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.sparse_training import train
from rag.train.sparse.student import Student
from tests.test_train_sparse import mined, ndcg, recipe, silent, toy

NAME = "elsewhere"
aten = torch.ops.aten
# What may read an index, or write a value, of the processor's into a tensor of another device: as with CUDA.
FROM_HERE = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}
TRANSFERS = {aten._to_copy.default, aten.copy_.default}


class Elsewhere(torch.Tensor):
    """A tensor of the other device; `here` has its numbers."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor) -> Elsewhere:
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, here.shape, strides=here.stride(), storage_offset=here.storage_offset(), dtype=here.dtype,
            device=f"{NAME}:0",
        )  # fmt: skip
        made.here = here
        return made

    @classmethod
    def __torch_dispatch__(
        cls, what: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _done(what, args, kwargs or {})


class Allocating(TorchDispatchMode):
    """Operations that make a tensor of no other know their device only from an argument."""

    def __torch_dispatch__(
        self, what: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _done(what, args, kwargs or {})


def _done(what: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, Elsewhere)]
    strays = [tensor for tensor in tensors if not isinstance(tensor, Elsewhere) and tensor.ndim]
    if there and strays and what not in FROM_HERE | TRANSFERS:
        raise RuntimeError(f"{what}: expected all tensors to be on the same device")
    named = kwargs.get("device")
    goes = bool(there) if named is None else torch.device(named).type == NAME
    if what is aten.copy_.default:
        goes = isinstance(args[0], Elsewhere)
    moved = {**kwargs, **({} if named is None else {"device": torch.device("cpu")})}
    plain: Callable[[Any], Any] = lambda leaf: leaf.here if isinstance(leaf, Elsewhere) else leaf  # noqa: E731
    result = what(*tree_map(plain, args), **tree_map(plain, moved))
    if what._schema.name.endswith("_") and isinstance(args[0], Elsewhere):
        return args[0]  # what is changed in place is the same tensor behind it
    return tree_map(lambda leaf: Elsewhere(leaf) if goes and isinstance(leaf, torch.Tensor) else leaf, result)


def _moved(model: Any, device: str) -> Any:
    """A model of weights that wrap others gets new ones for each layer; those that are one stay one elsewhere."""
    moved = torch.nn.Module.to(model, device)
    moved.tie_weights()
    return moved


def main(bert: str, llama: str, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.inference_mode = torch.no_grad  # type: ignore[misc,assignment]  # a wrapping tensor has no views in the former
    torch.cpu.get_capabilities = dict  # full precision, on both devices
    _setup_privateuseone_for_python_backend(NAME)
    transformers.PreTrainedModel.to = _moved
    getattr(torch, NAME).get_amp_supported_dtype = lambda: [torch.bfloat16]  # which is off: torch.autocast asks
    short = {"steps": 8, "queries": 4}
    ways = [
        ("inference-free", bert, recipe(train_idf=True, idf_aware=False, **short)),
        ("Mistral-SPLADE", llama, recipe(distillation="margin", penalty="l1", **short)),
    ]
    curves = [
        {device: _trained(method, model, how, device, folder / method / device) for device in ("cpu", NAME)}
        for method, model, how in ways
    ]
    print(json.dumps(curves))


def _trained(method: str, model: str, how: Recipe, device: str, checkpoint: Path) -> list[list[float]]:
    """Loss, FLOPs and nDCG@10 at each measurement of a training that is cut off in the middle and gone on with."""
    data = toy()

    def cut_off(what: str, done: int, total: int, note: str) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with Allocating():
        with contextlib.suppress(KeyboardInterrupt):
            train(data, mined(data), Student(method, model, 16, 8, data.texts, device), how, ndcg, checkpoint, cut_off)
        student = Student(method, model, 16, 8, data.texts, device)
        state = train(data, mined(data), student, how, ndcg, checkpoint, silent)
    places = {weight.device.type for weight in student.named_parameters().values()}
    assert places == {torch.device(device).type}, places
    return [[point.loss, point.flops, point.ndcg] for point in state.curve[1:]]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
