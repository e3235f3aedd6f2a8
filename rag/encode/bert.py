"""BERT's encoder in a page (Devlin et al., arXiv 1810.04805), for numpy and for torch.

The numbers are transformers' own, whose start takes longer than a question: five seconds of a processor.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from rag.encode import functional

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def is_plain_bert(folder: Path | str) -> bool:
    """Whether a folder holds all that is needed here, and its architecture is the paper's: MiniLM, BGE, SPLADE and kin.

    Any other model is transformers' to open, and to complain about.
    """
    if not all(Path(folder, name).is_file() for name in FILES):
        return False
    try:
        config = json.loads(Path(folder, "config.json").read_text("utf-8"))
        return (
            config["model_type"] == "bert"
            and config["hidden_act"] == "gelu"
            and config.get("position_embedding_type", "absolute") == "absolute"
            and config.get("tie_word_embeddings", True)
            and "bfloat16" not in (config.get("dtype"), config.get("torch_dtype"))  # which numpy has not
            and not config.get("is_decoder", False)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


FEW = 8  # texts that numpy has done before torch is imported


class Bert:
    """Texts to the last hidden states of their tokens, and to what a masked language model makes of those.

    In numpy, or `in_torch`: arrays of the one or the other go in and come out.
    """

    def __init__(self, folder: Path | str, max_tokens: int):
        """`folder` is_plain_bert; texts are cut at `max_tokens`, or at the model's last position. Raises what json,
        safetensors and tokenizers raise for damaged files, and KeyError where a weight is missing."""
        config = json.loads(Path(folder, "config.json").read_text("utf-8"))
        self.dimensions: int = config["hidden_size"]
        self._heads: int = config["num_attention_heads"]
        self._epsilon: float = config["layer_norm_eps"]
        self._layers = range(config["num_hidden_layers"])
        self._tokenizer: Any = Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
        padding = self._tokenizer.id_to_token(config["pad_token_id"])
        # Once and for all: while one thread tokenizes, no other may set anything.
        self._tokenizer.enable_padding(pad_id=config["pad_token_id"], pad_token=padding)
        self._tokenizer.enable_truncation(min(max_tokens, config["max_position_embeddings"]))
        tensors = load_file(Path(folder, "model.safetensors")).items()
        self.weights: dict[str, Any] = {
            _name_of(name): tensor.astype(np.float32, copy=False)
            for name, tensor in tensors
            if tensor.dtype.kind == "f"  # some have position ids, too
        }
        self._functional: Any = functional
        self._torch: dict[str, Bert] = {}
        self.hidden(*self.tokens([""]))  # what is missing is missed here
        self.predicts = "cls.predictions.transform.dense.weight" in self.weights

    def in_torch(self, dtype: str) -> Bert:
        """The same in torch, in its numbers of that name; made once."""
        import torch

        if dtype not in self._torch:
            number = getattr(torch, dtype)
            weights = {name: torch.from_numpy(weight).to(number) for name, weight in self.weights.items()}
            self._torch[dtype] = self.of_tensors(weights)
        return self._torch[dtype]

    def of_tensors(self, weights: dict[str, Any], functional: Any = None) -> Bert:
        """The same in torch with these tensors by name, which a trainer may go on changing.

        `functional` has the functions of torch.nn.functional, or is that itself.
        """
        import torch

        other = copy(self)
        other.weights = weights
        other._functional = functional or torch.nn.functional
        return other

    def tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Token ids, and which of them are no padding: both (texts, tokens)."""
        encodings = self._tokenizer.encode_batch(list(texts))
        return (
            np.asarray([encoding.ids for encoding in encodings]),
            np.asarray([encoding.attention_mask for encoding in encodings], dtype=np.bool_),
        )

    def hidden(self, ids: Any, real: Any, types: Any = 0) -> Any:
        """The last layer's states of what `tokens` gives: (texts, tokens, dimensions). `types`, shaped as ids, are the
        token types of two texts in one: 0 for the first text, 1 for the second."""
        texts, tokens = ids.shape
        seen = real[:, None, None, :]  # by every head and every token
        states = self.weights["embeddings.word_embeddings.weight"][ids]
        states = states + self.weights["embeddings.token_type_embeddings.weight"][types]
        states = states + self.weights["embeddings.position_embeddings.weight"][:tokens]
        states = self._normal("embeddings.LayerNorm", states)
        for number in self._layers:
            layer = f"encoder.layer.{number}"
            query, key, value = (
                self.linear(f"{layer}.attention.self.{part}", states)
                .reshape(texts, tokens, self._heads, -1)
                .swapaxes(1, 2)
                for part in ("query", "key", "value")
            )
            heads = self._functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
            joined = heads.swapaxes(1, 2).reshape(texts, tokens, self.dimensions)
            attended = self.linear(f"{layer}.attention.output.dense", joined)
            states = self._normal(f"{layer}.attention.output.LayerNorm", states + attended)
            wide = self._functional.gelu(self.linear(f"{layer}.intermediate.dense", states))
            states = self._normal(f"{layer}.output.LayerNorm", states + self.linear(f"{layer}.output.dense", wide))
        return states

    def predicted(self, states: Any) -> Any:
        """What a masked language model multiplies with `output_layer`: (texts, tokens, dimensions). For `predicts`."""
        head = "cls.predictions.transform"
        return self._normal(f"{head}.LayerNorm", self._functional.gelu(self.linear(f"{head}.dense", states)))

    def output_layer(self) -> tuple[Any, Any]:
        """The matrix (terms, dimensions), the input embeddings again, and the bias (terms,), of the logits of terms."""
        return self.weights["embeddings.word_embeddings.weight"], self.weights["cls.predictions.bias"]

    def linear(self, name: str, states: Any) -> Any:
        """The states times the matrix of that name, plus its bias: (..., outputs)."""
        return self._functional.linear(states, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _normal(self, name: str, states: Any) -> Any:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return self._functional.layer_norm(states, (self.dimensions,), weight, bias, self._epsilon)


def _name_of(name: str) -> str:
    """A BertForSomething has its encoder below "bert."; what was first TensorFlow's has other names in its norms."""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
