"""The sparse encoder: a method of the taxonomy (heads.py) over any transformers backbone.

A text becomes weights over the tokenizer's vocabulary; a query's score for a passage is the sum over their common terms
of the products of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag.encode.bert import FEW, Bert, is_plain_bert
from rag.encode.functional import one_thread
from rag.encode.heads import METHODS, Side, binary, echo, epic_importance, epic_quality, mlm, mlp
from rag.encode.inference_free import Vocabulary, cannot_load, tokenizer_of
from rag.encode.vocabulary_slice import SLICE
from rag.errors import ModelError, summary_of
from rag.protocols import SparseVector

if TYPE_CHECKING:
    from torch import Tensor

HEADS = "heads.safetensors"  # beside the backbone's files, with the parameter names of the framework's code
CHARACTERS = 20  # a token, at most: English has 4 to 6, the longest word of most vocabularies 18
NO_CACHE = {"use_cache": False}  # a decoder would keep what it could go on from
ECHO_MARKS = 1  # a decoder's tokenizer may put one mark before the text


class Backbone:
    """A transformers model with its tokenizer, as far as one kind of head needs it."""

    def __init__(
        self,
        folder: Path | str,
        side: Side,
        max_tokens: int,
        dtype: str,
        training: bool = False,
        device: str = "cpu",
    ):
        """`folder` may be a hub id. For `training` weights keep their gradients, and an encoder without a masked
        language model's head is given one that passes its states on. Raises ModelError.
        """
        import torch
        import transformers
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.name = str(folder)
        self._torch = torch
        self._mlp = side.head in ("MLP", "expMLP")
        auto = "AutoModelForCausalLM" if side.echo else "AutoModel" if self._mlp else "AutoModelForMaskedLM"
        try:
            tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
            model, found = getattr(transformers, auto).from_pretrained(
                folder, dtype=getattr(torch, dtype), output_loading_info=True
            )
            vocabulary = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())  # a copy: calls set its truncation
        except Exception as error:  # transformers raises many kinds, and all mean that it cannot be loaded
            raise cannot_load(folder, error) from error
        if training:
            pass_on(model, found["missing_keys"])
        elif auto == "AutoModelForMaskedLM" and found["missing_keys"]:
            raise ModelError(
                f"sparse encoder {folder} has no masked language model's head ({sorted(found['missing_keys'])[0]} is "
                "missing): set the name of a SPLADE-like model"
            )
        self._tokenizer, self._model, self.device = tokenizer, model.eval().to(device), device
        self.vocabulary = Vocabulary(vocabulary, tokenizer.all_special_ids)
        self.dimensions = int(self._model.config.vocab_size)
        special = [term_id for term_id in self.vocabulary.special if term_id < self.dimensions]  # some add more later
        self._special = torch.tensor(special, dtype=torch.long).to(device)
        longest = min(getattr(self._model.config, "max_position_embeddings", max_tokens), tokenizer.model_max_length)
        self._max_tokens = min(max_tokens, (longest - ECHO_MARKS) // 2 if side.echo else longest)
        wanted = {"MLP": ["linear"], "expMLP": ["linear"], "EPIC": ["term_importance.linear", "doc_quality.linear"]}
        self._heads = {name: self._linear(name) for name in wanted.get(side.head, [])}
        if not self._mlp:
            weight, bias = self._output_layer(side)
            self._weight, self._bias = (weight, bias) if training else (weight.detach(), bias.detach())

    def weights(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        """(batch, vocabulary) weights of texts, cut at the limit; zeros for one that is empty or of unknown tokens."""
        with self._torch.inference_mode():
            weights: NDArray[np.float32] = self.features(texts, side).cpu().numpy()
            return weights

    def features(self, texts: Sequence[str], side: Side, max_tokens: int | None = None) -> Tensor:
        """As `weights`, with gradients where torch keeps them; cut sooner, after `max_tokens`, where that is less."""
        most = self._max_tokens if max_tokens is None else min(max_tokens, self._max_tokens)
        # Cut before the tokenizer, which would read a whole book to give us its first page. The first max_tokens
        # tokens are the same, unless they have over 20 characters each in the mean, as long runs of spaces would have.
        cut = [text[: CHARACTERS * most] for text in texts]
        inputs, own = self._echoed(cut, most) if side.echo else self._tokenized(cut, most)
        weights = self._head(inputs, own, side).float()
        weights[:, self._special] = 0
        return weights

    def named_parameters(self) -> dict[str, Any]:
        """What a trainer may change, by name."""
        return dict(self._model.named_parameters())

    def save(self, folder: Path) -> None:
        """Write model, in float16, and tokenizer, so that the folder can be loaded again."""
        deepcopy(self._model).half().save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)

    def _tokenized(self, texts: list[str], most: int) -> tuple[dict[str, Any], Tensor]:
        """Model inputs, and which positions, (batch, tokens), are the text's own."""
        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=most, return_tensors="pt")
        inputs = inputs.to(self.device)
        special = self._torch.isin(inputs["input_ids"], self._special)  # [UNK] too: nothing is known of it
        return inputs, inputs["attention_mask"].bool() & ~special

    def _echoed(self, texts: list[str], most: int) -> tuple[dict[str, Any], Tensor]:
        first = self._tokenizer("").input_ids[:ECHO_MARKS]
        before = first if first == [self._tokenizer.bos_token_id] else []
        lists = self._tokenizer(texts, add_special_tokens=False, truncation=True, max_length=most).input_ids
        copies = [echo(tokens, before) for tokens in lists]
        longest = max([1, *(len(ids) for ids, _ in copies)])
        ids, attended, own = (self._torch.zeros(len(copies), longest, dtype=self._torch.long) for _ in range(3))
        for row, (tokens, pooled) in enumerate(copies):
            ids[row, : len(tokens)] = self._torch.tensor(tokens, dtype=self._torch.long)
            attended[row, : len(tokens)] = 1
            own[row, : len(tokens)] = self._torch.tensor(pooled, dtype=self._torch.long)
        inputs = {"input_ids": ids.to(self.device), "attention_mask": attended.to(self.device), **NO_CACHE}
        return inputs, own.bool().to(self.device)

    def _head(self, inputs: dict[str, Any], own: Tensor, side: Side) -> Tensor:
        ids = inputs["input_ids"]
        if side.head == "BINARY":
            return binary(ids, own, self.dimensions, side.merge)
        if self._mlp:
            hidden = self._model(**inputs).last_hidden_state.float()
            return mlp(hidden, ids, own, *self._heads["linear"], self.dimensions, side)
        keep = inputs["attention_mask"].bool() & own.any(1, keepdim=True) if side.marks else own
        if side.head == "CLS-MLM":
            keep = self._torch.zeros_like(own)
            keep[:, 0] = own.any(1)
        output = self._model(**inputs, output_hidden_states=side.head == "EPIC")
        if side.head != "EPIC":
            return mlm(output.logits, keep, self._weight, self._bias, side)
        hidden = output.hidden_states[-1].float()
        importance = epic_importance(hidden, *self._heads["term_importance.linear"])
        weights = mlm(output.logits, keep, self._weight, self._bias, side, importance)
        return weights * epic_quality(hidden, *self._heads["doc_quality.linear"])

    def _output_layer(self, side: Side) -> tuple[Tensor, Tensor]:
        """Take the output layer out of the model, whose "logits" are from now on what goes into that layer."""
        torch, layer = self._torch, self._model.get_output_embeddings()
        odd = ModelError(
            f"sparse encoder {self.name} makes logits with more than an output matrix (as soft-capping does), so its "
            "weights would be wrong here: set the name of another model"
        )
        if layer is None:
            raise odd
        probe = {
            "input_ids": torch.tensor([[0, 1]]).to(self.device),
            "attention_mask": torch.ones(1, 2).to(self.device),
            **(NO_CACHE if side.echo else {}),
        }
        with torch.no_grad():  # not inference_mode: of tensors made in that, a bias of zeros, there are no gradients
            if side.echo:  # an untied output matrix is made the input embeddings again, so that logits read as terms
                layer.weight = self._model.get_input_embeddings().weight
            whole = self._model(**probe).logits.float()
            layer.forward = lambda states: states
            states = self._model(**probe).logits
            weight = layer.weight
            bias = weight.new_zeros(len(weight)) if layer.bias is None else layer.bias
            close = 1e-4 if weight.dtype == torch.float32 else 0.05
            if states.shape[-1] != weight.shape[-1] or not torch.allclose(
                torch.nn.functional.linear(states, weight, bias).float(), whole, rtol=close, atol=close
            ):
                raise odd
        return weight, bias

    def _linear(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight (1, d) and bias (1,) of a linear unit in heads.safetensors. Raises ModelError."""
        from safetensors.torch import load_file
        from transformers.utils import cached_file

        try:
            tensors = load_file(cached_file(self.name, HEADS))
            weight, bias = tensors[f"{name}.weight"].float(), tensors[f"{name}.bias"].float()
            if (size := int(self._model.config.hidden_size)) != weight.numel() or bias.numel() != 1:
                raise ValueError(f"{name}.weight has shape {tuple(weight.shape)}, not {(1, size)}")
            return weight.reshape(1, -1).to(self.device), bias.reshape(1).to(self.device)
        except Exception as error:  # no such file, no such tensor, no such format
            raise ModelError(
                f"sparse encoder {self.name} has no usable {HEADS} with {name}.weight and {name}.bias "
                f"({summary_of(error)}). Use a trained folder, or a method with an MLM head"
            ) from error


def pass_on(model: Any, missing: Sequence[str]) -> None:
    """Make the layers that a model has no weights for change nothing: a square matrix one, a norm's scale 1, a bias 0.

    So a head that a model lacks gives its hidden states to the output matrix, which is tied to the input embeddings.
    """
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in missing and weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
                torch.nn.init.eye_(weight)
            elif name in missing and weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)


class BertBackbone:
    """A Backbone for a plain BERT with a masked language model's head, without transformers, and so without its start.

    Not for training.
    """

    def __init__(self, bert: Bert, folder: Path | str, max_tokens: int):
        self.name = str(folder)
        self._bert = bert
        self._characters = CHARACTERS * max_tokens
        self.vocabulary = Vocabulary(*tokenizer_of(folder))
        self.dimensions = len(bert.output_layer()[1])
        self._special = [term_id for term_id in self.vocabulary.special if term_id < self.dimensions]

    def weights(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        """As Backbone.weights."""
        ids, real = self._bert.tokens([text[: self._characters] for text in texts])
        own = real & ~np.isin(ids, self._special)
        keep = real & own.any(1, keepdims=True) if side.marks else own
        few = len(texts) <= FEW and (side.activation, side.saturation, side.merge) == ("relu", "log1p", "max")
        weights = self._in_numpy(ids, real, keep) if few else self._in_torch(ids, real, keep, side)
        weights[:, self._special] = 0
        return weights

    def _in_numpy(self, ids: Any, real: Any, keep: Any) -> NDArray[np.float32]:
        """As heads.mlm."""
        with one_thread():
            states = self._bert.predicted(self._bert.hidden(ids, real))
        matrix, bias = self._bert.output_layer()
        weights = np.zeros((len(ids), len(bias)), dtype=np.float32)
        for row, kept in enumerate(keep):
            for first in range(0, len(bias) if kept.any() else 0, SLICE):
                terms = slice(first, first + SLICE)
                weights[row, terms] = (states[row, kept] @ matrix[terms].T + bias[terms]).max(0)
        return np.log1p(np.maximum(weights, 0))

    def _in_torch(self, ids: Any, real: Any, keep: Any, side: Side) -> NDArray[np.float32]:
        import torch

        bert = self._bert.in_torch("float32")
        with torch.inference_mode():
            states = bert.predicted(bert.hidden(torch.from_numpy(ids), torch.from_numpy(real)))
            weights: NDArray[np.float32] = mlm(states, torch.from_numpy(keep), *bert.output_layer(), side).numpy()
            return weights


class TermWeightingModel(Protocol):
    """A term-weighting model: a Backbone or a BertBackbone."""

    name: str
    vocabulary: Vocabulary
    dimensions: int

    def weights(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]: ...


class SparseTextEncoder:
    """A method of METHODS over term-weighting models, for documents and for queries (see SparseEncoder)."""

    def __init__(self, method: str, document: TermWeightingModel, query: TermWeightingModel, batch_size: int):
        self.method = METHODS[method]
        self._document, self._query, self._batch_size = document, query, batch_size
        self.dimensions = document.dimensions

    def encode_documents(
        self, texts: Sequence[str], report: Callable[[int], None] = lambda encoded: None
    ) -> list[SparseVector]:
        """One vector per text, in order; an empty one for an empty text. `report` gets the count so far.

        expMLP heads want each text with its expansion appended, by whoever expands. Raises ModelError where the model
        gives a weight that is negative or no number.
        """
        return self._encode(self._document, texts, self.method.document, report)

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """One vector per text, in order; an empty one for an empty text. Raises ModelError as `encode_documents`.

        Not for the inference-free method, whose queries are InferenceFreeQuery's.
        """
        return self._encode(self._query, texts, self.method.query, lambda encoded: None)

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's own tokens, unique and ascending, without special ones: what document frequencies count."""
        return self._document.vocabulary.token_ids(texts)

    def term(self, term_id: int) -> str:
        """The token as people read it; "##" marks a WordPiece that continues a word."""
        return self._document.vocabulary.term(term_id)

    def _encode(
        self, backbone: TermWeightingModel, texts: Sequence[str], side: Side, report: Callable[[int], None]
    ) -> list[SparseVector]:
        vectors: list[SparseVector] = [(np.zeros(0, np.int32), np.zeros(0, np.float32))] * len(texts)
        # Texts of like length share a batch, so little is padded.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for first in range(0, len(order), self._batch_size):
            batch = order[first : first + self._batch_size]
            weights = backbone.weights([texts[i] for i in batch], side)
            if not np.isfinite(weights).all() or weights.min() < 0:
                raise ModelError(
                    f"sparse encoder {backbone.name} gives weights that are negative or no numbers: its files are "
                    "damaged or fit another method. Fetch it again: glossator models fetch"
                )
            for i, row in zip(batch, weights, strict=True):
                terms = np.flatnonzero(row).astype(np.int32)
                vectors[i] = (terms, row[terms])
            report(first + len(batch))
        return vectors


class TransformerSparseEncoder(SparseTextEncoder):
    """A method of METHODS over any transformers backbone."""

    _document: Backbone

    def __init__(
        self,
        method: str,
        folder: Path | str,
        query_folder: Path | str | None = None,
        max_tokens: int = 256,
        batch_size: int = 32,
        dtype: str = "float32",
        training: bool = False,
        device: str = "cpu",
    ):
        """`folder` (or a hub id) holds the document side, and the query side of tied methods; `query_folder` holds the
        query side where a method has two models.

        `device` is one of torch's: where the models run, whose vectors come back to the processor.

        dtype "bfloat16" is about twice as fast where the processor has it, but moves weights by up to 0.08, and then by
        which texts share a batch: an index that grew would not be one built afresh. Raises ModelError.
        """
        sides = METHODS[method]
        document = query = Backbone(folder, sides.document, max_tokens, dtype, training, device)
        if not sides.tied and sides.query.head not in ("BINARY", "IDF"):
            if query_folder is None:
                raise ModelError(f"{method} has a model of its own for queries: name its folder beside {folder}")
            query = Backbone(query_folder, sides.query, max_tokens, dtype, device=device)
        if query.dimensions != document.dimensions:
            raise ModelError(
                f"{query_folder} has a vocabulary of {query.dimensions}, {folder} of {document.dimensions}: set two "
                "models with the same tokenizer"
            )
        super().__init__(method, document, query, batch_size)


def open_sparse_encoder(
    method: str, folder: Path | str, query_folder: Path | str | None, max_tokens: int, batch_size: int
) -> SparseTextEncoder:
    """The method over models of folders or hub ids; by transformers only where it must be. Raises ModelError."""
    sides = METHODS[method]
    if (sides.tied or sides.query.head == "IDF") and sides.document.head == "MLM" and is_plain_bert(folder):
        try:
            bert = Bert(folder, max_tokens)
        except Exception as error:  # safetensors and tokenizers raise kinds of their own
            raise cannot_load(folder, error) from error
        if bert.predicts:
            backbone = BertBackbone(bert, folder, max_tokens)
            return SparseTextEncoder(method, backbone, backbone, batch_size)
    return TransformerSparseEncoder(method, folder, query_folder, max_tokens, batch_size)
