"""The reading model as an ONNX graph with int8 weights: what onnxruntime reads three times as fast as numpy.

Matrices are quantised by onnxruntime, per output, and what they are multiplied with while it runs; word embeddings per
word. Weights have 7 bits, so that products are the same on processors without VNNI (AVX2 adds pairs of them in 16
bits). The graph is BERT's (Devlin et al., arXiv 1810.04805) as in rag/encode/bert.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.span.span_model import INPUTS, OUTPUTS, SPAN_HEAD

OPSET, IR = 20, 10  # the first with Gelu; both are known to onnxruntime 1.20
UNSEEN = -1e4  # added to the score of a key that is padding


def write_onnx(weights: Mapping[str, NDArray[np.float32]], config: Mapping[str, Any], file: Path, int8: bool) -> None:
    """Write the model of these weights, named as in rag/encode/bert.py, and config.json; in float32 without `int8`.

    Needs the extra `train`, for which `train reader` asks before it begins (ui/cli/extras.py).
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = _Graph(weights, config, int8)
    if not int8:
        onnx.save(graph.model(), file)
        return
    with TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.onnx"
        onnx.save(graph.model(), whole)
        logging.disable(logging.WARNING)  # it advises a step that a graph without shapes does not need
        try:
            quantize_dynamic(
                whole, file, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True,
                weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
            )  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)


class _Graph:
    """Nodes and initialisers of the graph, in the order in which they are made."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], config: Mapping[str, Any], int8: bool):
        self._weights, self._config, self._int8 = weights, config, int8
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        from onnx import TensorProto, checker, helper

        states = self._embeddings()
        for layer in range(self._config["num_hidden_layers"]):
            states = self._layer(f"encoder.layer.{layer}", states)
        first = self._op("Gather", states, self._constant("first", np.asarray(0)), axis=1)  # the state of [CLS]
        for name in OUTPUTS:
            self._linear(name, states if name == SPAN_HEAD else first, output=name)
        kinds = {"ids": TensorProto.INT64, "types": TensorProto.INT64, "real": TensorProto.BOOL}
        inputs = [helper.make_tensor_value_info(name, kinds[name], ["windows", "tokens"]) for name in INPUTS]
        shapes = {name: (["windows", "tokens"] if name == SPAN_HEAD else ["windows"]) for name in OUTPUTS}
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [*shapes[name], count])
            for name, count in OUTPUTS.items()
        ]
        graph = helper.make_graph(self._nodes, "glossator-reader", inputs, outputs, list(self._constants.values()))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        checker.check_model(made)
        return made

    def _embeddings(self) -> str:
        words = self._weights["embeddings.word_embeddings.weight"]
        if self._int8:
            scale = np.maximum(np.abs(words).max(axis=1, keepdims=True), 1e-9) / np.float32(127)
            whole = self._constant("words", np.rint(words / scale).astype(np.int8))
            picked = self._op("Cast", self._op("Gather", whole, "ids"), to=1)  # 1: FLOAT
            states = self._op("Mul", picked, self._op("Gather", self._constant("word scales", scale), "ids"))
        else:
            states = self._op("Gather", self._constant("words", words), "ids")
        kinds = self._constant("token types", self._weights["embeddings.token_type_embeddings.weight"])
        states = self._op("Add", states, self._op("Gather", kinds, "types"))
        tokens = self._op("Slice", self._op("Shape", "ids"), *(self._constant(f"{n}", np.asarray([n])) for n in (1, 2)))
        places = self._constant("positions", self._weights["embeddings.position_embeddings.weight"])
        places = self._op("Slice", places, self._constant("0", np.asarray([0])), tokens)
        unreal = self._op("Cast", self._op("Not", "real"), to=1)
        bias = self._op("Mul", unreal, self._constant("unseen", np.asarray(UNSEEN, np.float32)))
        self._mask = self._op("Unsqueeze", bias, self._constant("axes", np.asarray([1, 2])))
        return self._normal("embeddings.LayerNorm", self._op("Add", states, places))

    def _layer(self, name: str, states: str) -> str:
        size, heads = self._config["hidden_size"], self._config["num_attention_heads"]
        split = self._constant("split", np.asarray([0, 0, heads, size // heads]))
        query, key, value = (
            self._op(
                "Transpose", self._op("Reshape", self._linear(f"{name}.attention.self.{part}", states), split),
                perm=[0, 2, 3, 1] if part == "key" else [0, 2, 1, 3],
            )
            for part in ("query", "key", "value")
        )  # fmt: skip
        scale = self._constant("scale", np.asarray((size // heads) ** -0.5, np.float32))
        scores = self._op("Add", self._op("Mul", self._op("MatMul", query, key), scale), self._mask)
        joined = self._op("MatMul", self._op("Softmax", scores, axis=-1), value)
        joined = self._op("Transpose", joined, perm=[0, 2, 1, 3])
        joined = self._op("Reshape", joined, self._constant("join", np.asarray([0, 0, size])))
        attended = self._linear(f"{name}.attention.output.dense", joined)
        states = self._normal(f"{name}.attention.output.LayerNorm", self._op("Add", states, attended))
        wide = self._op("Gelu", self._linear(f"{name}.intermediate.dense", states))
        narrow = self._linear(f"{name}.output.dense", wide)
        return self._normal(f"{name}.output.LayerNorm", self._op("Add", states, narrow))

    def _linear(self, name: str, states: str, output: str = "") -> str:
        matrix = self._constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        bias = self._constant(f"{name}.bias", self._weights[f"{name}.bias"])
        return self._op("Add", self._op("MatMul", states, matrix), bias, output=output)

    def _normal(self, name: str, states: str) -> str:
        weight, bias = (
            self._constant(f"{name}.{part}", self._weights[f"{name}.{part}"]) for part in ("weight", "bias")
        )
        return self._op("LayerNormalization", states, weight, bias, axis=-1, epsilon=self._config["layer_norm_eps"])

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.array(values, order="C"), name)
        return name

    def _op(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or f"{kind} {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output
