"""Dense encoders: text by any BERT-like model, text and pictures by a CLIP-like one, and what our trainer made of them.

All vectors of one encoder lie in one space: the cosine of a question and a text, or a picture, says how well they fit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from rag.encode.bert import FEW, Bert, is_plain_bert
from rag.encode.functional import one_thread
from rag.errors import LibraryError, ModelError, first_line_of, not_loaded
from rag.models.registry import catalogue, opening, path_of
from rag.protocols import DenseEncoder, PictureEncoder

if TYPE_CHECKING:
    from torch import Tensor

TRAINED = "sampler.json"  # in a folder that our trainer wrote: what it was trained from
PROJECTION = "projection.safetensors"
Item = TypeVar("Item", str, bytes)
Base: TypeAlias = "BertEncoder | TransformerEncoder | PictureTextEncoder"  # with nothing of our training in it


def _nobody(encoded: int) -> None:
    """A report for nobody."""


class BertEncoder:
    """Mean of the last hidden states over the real tokens, scaled to unit length; texts are cut at `max_tokens`.

    The recipe of all-MiniLM-L6-v2. Of a plain BERT only, which needs no transformers: one question is there at once.
    """

    def __init__(self, folder: Path | str, max_tokens: int, batch_size: int):
        self._batch_size = batch_size
        try:
            self._bert = Bert(folder, max_tokens)
        except Exception as error:  # safetensors and tokenizers raise kinds of their own
            raise _cannot_load(folder, error) from error
        self.dimensions = self._bert.dimensions

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = _nobody) -> NDArray[np.float32]:
        """One unit-length row per text, in order: shape (len(texts), dimensions). `report` gets the count so far."""
        vectors = self._in_numpy if len(texts) <= FEW else self._in_torch
        return _in_batches(texts, self._batch_size, vectors, self.dimensions, report)

    def _in_numpy(self, texts: list[str]) -> NDArray[np.float32]:
        ids, real = self._bert.tokens(texts)
        with one_thread():
            hidden = self._bert.hidden(ids, real)
        mean = (hidden * real[..., None]).sum(1) / real.sum(1, keepdims=True)
        unit: NDArray[np.float32] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        return unit

    def _in_torch(self, texts: list[str]) -> NDArray[np.float32]:
        import torch

        bert = self._bert.in_torch(_number_type(exact=False))
        ids, real = map(torch.from_numpy, bert.tokens(texts))
        with torch.inference_mode():
            return _mean(bert.hidden(ids, real), real).numpy()


class TransformerEncoder:
    """BertEncoder's recipe for whatever transformers can open.

    `exact` is for training: full precision on any processor.
    """

    def __init__(self, folder: Path | str, max_tokens: int, batch_size: int, exact: bool = False):
        from transformers import AutoModel, AutoTokenizer

        self._batch_size = batch_size
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
            self._model: Any = AutoModel.from_pretrained(folder, dtype=_number_type(exact)).eval()
        except Exception as error:  # transformers raises many kinds, and all mean that it cannot be loaded
            raise _cannot_load(folder, error) from error
        # No model reads on behind its last position, whatever the settings say.
        longest = getattr(self._model.config, "max_position_embeddings", max_tokens)
        self._max_tokens = min(max_tokens, longest, self._tokenizer.model_max_length)
        self.dimensions = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = _nobody) -> NDArray[np.float32]:
        """As BertEncoder.encode."""
        return _in_batches(texts, self._batch_size, _without_gradients(self.features), self.dimensions, report)

    def features(self, texts: list[str]) -> Tensor:
        """The rows of one batch, (len(texts), dimensions), with gradients where torch keeps them."""
        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt")
        return _mean(self._model(**inputs).last_hidden_state, inputs["attention_mask"])

    def parameters(self) -> list[Any]:
        """What a trainer may change."""
        return list(self._model.parameters())

    def save(self, folder: Path) -> None:
        """Write model and tokenizer, so that the folder can be loaded again."""
        self._model.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)


class PictureTextEncoder:
    """A transformers model with get_text_features and get_image_features (CLIP, SigLIP): one space for both.

    Texts are cut at the model's own limit (77 tokens of CLIP, 64 of SigLIP), or at `max_tokens`. `exact` as above.
    """

    def __init__(self, folder: Path | str, max_tokens: int, batch_size: int, exact: bool = False):
        from transformers import AutoModel, AutoProcessor

        self._batch_size = batch_size
        try:
            self._processor: Any = AutoProcessor.from_pretrained(folder)
            self._model: Any = AutoModel.from_pretrained(folder, dtype=_number_type(exact)).eval()
            if not (hasattr(self._model, "get_text_features") and hasattr(self._model, "get_image_features")):
                raise ValueError(f"{type(self._model).__name__} gives no features of texts and of pictures")
            text = self._model.config.text_config
            self._max_tokens = min(max_tokens, text.max_position_embeddings, self._processor.tokenizer.model_max_length)
            # SigLIP has seen no attention mask in training: its texts all have the full length.
            self._padding = "max_length" if self._model.config.model_type.startswith("siglip") else True
            self.dimensions = int(self.features([""]).shape[1])
        except Exception as error:  # as above
            raise _cannot_load(folder, error) from error

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = _nobody) -> NDArray[np.float32]:
        """As BertEncoder.encode."""
        return _in_batches(texts, self._batch_size, _without_gradients(self.features), self.dimensions, report)

    def encode_pictures(
        self, pictures: Sequence[bytes], report: Callable[[int], None] = _nobody
    ) -> NDArray[np.float32]:
        """One unit-length row per PNG file, in order: shape (len(pictures), dimensions).

        Raises LibraryError for bytes that are no picture.
        """
        return _in_batches(
            pictures, self._batch_size, _without_gradients(self._picture_features), self.dimensions, report
        )

    def features(self, texts: list[str]) -> Tensor:
        """As TransformerEncoder.features. Gradients go to the text side alone."""
        inputs = self._processor.tokenizer(
            texts, padding=self._padding, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        )
        return _unit(self._model.get_text_features(**inputs))

    def _picture_features(self, pictures: list[bytes]) -> Tensor:
        inputs = self._processor.image_processor([_opened(picture) for picture in pictures], return_tensors="pt")
        inputs = {name: value.to(self._model.dtype) for name, value in inputs.items() if name == "pixel_values"}
        return _unit(self._model.get_image_features(**inputs))

    def parameters(self) -> list[Any]:
        """As TransformerEncoder.parameters. Those of the picture side get no gradient from texts, and stay."""
        return list(self._model.parameters())

    def save(self, folder: Path) -> None:
        """As TransformerEncoder.save."""
        self._model.save_pretrained(folder)
        self._processor.save_pretrained(folder)


class TrainedEncoder:
    """An encoder whose text side our trainer changed; what stands for a picture goes through the frozen side.

    `projection` (d, d) is a linear map behind the text side: a text's vector v becomes W v, scaled to unit length.
    """

    def __init__(self, text: DenseEncoder, frozen: DenseEncoder, projection: NDArray[np.float32] | None):
        self._text = text
        self._frozen = frozen
        self._projection = projection

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = _nobody) -> NDArray[np.float32]:
        """As BertEncoder.encode."""
        vectors = self._text.encode(texts, report)
        if self._projection is None:
            return vectors
        projected = vectors @ self._projection.T
        unit: NDArray[np.float32] = projected / np.linalg.norm(projected, axis=1, keepdims=True).clip(min=1e-9)
        return unit

    def encode_captions(self, texts: Sequence[str], report: Callable[[int], None] = _nobody) -> NDArray[np.float32]:
        """As CaptionEncoder.encode_captions."""
        return self._frozen.encode(texts, report)


class TrainedPictureEncoder(TrainedEncoder):
    """A trained encoder over one that sees; pictures are as before the training."""

    def __init__(self, text: DenseEncoder, frozen: PictureEncoder, projection: NDArray[np.float32] | None):
        super().__init__(text, frozen, projection)
        self._seeing = frozen

    def encode_pictures(
        self, pictures: Sequence[bytes], report: Callable[[int], None] = _nobody
    ) -> NDArray[np.float32]:
        """As PictureTextEncoder.encode_pictures."""
        return self._seeing.encode_pictures(pictures, report)


# -- opening -------------------------------------------------------------------------------------------------------


def folder_of(model: str) -> Path | str:
    """Of a name in models.toml the folder of its weights; a folder or a hub id is itself. Raises ModelError."""
    return path_of(model) if model in catalogue() else model


def open_encoder(model: str, max_tokens: int, batch_size: int) -> DenseEncoder:
    """The encoder of a name in models.toml, a folder (of transformers or of our trainer), or a hub id.

    Raises ModelError for one that cannot be loaded, or is damaged.
    """
    with opening(model) as folder:
        record = trained_record(folder)
        if record is None:
            return open_base(folder, max_tokens, batch_size)
    with opening(record["base"]) as base:
        text = frozen = open_base(base, max_tokens, batch_size)
    projection = None
    if record["full"]:
        text = open_base(folder, max_tokens, batch_size)
    else:
        projection = _read_projection(Path(folder) / PROJECTION, frozen.dimensions)
    if text.dimensions != frozen.dimensions:
        raise ModelError(
            f"dense encoder {folder} has {text.dimensions} dimensions, its base {record['base']} has "
            f"{frozen.dimensions}. Train it again: glossator train sampler"
        )
    if isinstance(frozen, PictureTextEncoder):
        return TrainedPictureEncoder(text, frozen, projection)
    return TrainedEncoder(text, frozen, projection)


def open_base(folder: Path | str, max_tokens: int, batch_size: int) -> Base:
    """A model as it is, to encode with. Raises ModelError."""
    if is_plain_bert(folder):
        return BertEncoder(folder, max_tokens, batch_size)
    return open_in_transformers(folder, max_tokens, batch_size)


def open_in_transformers(
    folder: Path | str, max_tokens: int, batch_size: int, exact: bool = False
) -> TransformerEncoder | PictureTextEncoder:
    """A model of transformers: one that sees where its configuration says so. Raises ModelError."""
    from transformers import AutoConfig
    from transformers.utils import logging

    logging.disable_progress_bar()  # for six layers
    try:
        sees = hasattr(AutoConfig.from_pretrained(folder), "vision_config")
    except Exception as error:  # as above
        raise _cannot_load(folder, error) from error
    return (PictureTextEncoder if sees else TransformerEncoder)(folder, max_tokens, batch_size, exact)


def trained_record(folder: Path | str) -> dict[str, Any] | None:
    """What our trainer wrote of a folder; None of any other model. Raises ModelError for a damaged record."""
    file = Path(folder) / TRAINED
    if not file.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if not (isinstance(record["base"], str) and isinstance(record["full"], bool)):
            raise ValueError("base or full is of the wrong kind")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file}: not the record of a trained encoder: {error}. Train it again") from error
    return record


def fingerprint_of_trained(folder: str) -> str | None:
    """<folder>@<first 12 hex digits of its record's sha256> of what our trainer wrote; None of any other model."""
    if trained_record(folder) is None:
        return None
    return f"{folder}@{hashlib.sha256((Path(folder) / TRAINED).read_bytes()).hexdigest()[:12]}"


def _read_projection(file: Path, dimensions: int) -> NDArray[np.float32]:
    """Raises ModelError for a file that is missing, damaged, or of another shape than (dimensions, dimensions)."""
    try:
        projection = np.asarray(load_file(file)["projection"], dtype=np.float32)
        if projection.shape != (dimensions, dimensions):
            raise ValueError(f"its shape is {projection.shape}, the base has {dimensions} dimensions")
    except Exception as error:  # no such file, no such tensor, no such format
        raise ModelError(f"{file} cannot be used: {first_line_of(error)}. Train it again") from error
    return projection


# -- parts ---------------------------------------------------------------------------------------------------------


def _number_type(exact: bool) -> str:
    import torch

    # bf16 halves the time where the processor has it (cosine to fp32 >= 0.9999) and is slow where it has not.
    half = torch.cpu.get_capabilities().get("avx512_bf16") and not exact
    return "bfloat16" if half else "float32"


def _in_batches(
    items: Sequence[Item],
    size: int,
    encode: Callable[[list[Item]], NDArray[np.float32]],
    dimensions: int,
    report: Callable[[int], None],
) -> NDArray[np.float32]:
    """encode() of all, `size` at a time, in order: (len(items), dimensions)."""
    vectors = np.zeros((len(items), dimensions), dtype=np.float32)
    # Texts of like length share a batch, so little is padded.
    order = sorted(range(len(items)), key=lambda i: len(items[i]))
    for first in range(0, len(order), size):
        batch = order[first : first + size]
        vectors[batch] = encode([items[i] for i in batch])
        report(first + len(batch))
    return vectors


def _without_gradients(features: Callable[[list[Item]], Tensor]) -> Callable[[list[Item]], NDArray[np.float32]]:
    import torch

    def encode(items: list[Item]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return features(items).numpy()

    return encode


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Of (batch, tokens, d) the mean over the tokens with 1 in the mask, (batch, tokens), scaled: (batch, d)."""
    import torch

    real = mask.unsqueeze(-1).float()
    mean = (hidden.float() * real).sum(1) / real.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(mean, dim=1)


def _unit(features: Any) -> Tensor:
    """Rows of unit length: (batch, d). Since transformers 5 features come with the rest of the model's output."""
    import torch

    return torch.nn.functional.normalize(getattr(features, "pooler_output", features).float(), dim=1)


def _opened(picture: bytes) -> Any:
    from PIL import Image

    try:
        return Image.open(BytesIO(picture)).convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise LibraryError(
            f"a picture of {len(picture)} bytes cannot be read: {first_line_of(error)}. Ingest its document again"
        ) from error


def _cannot_load(folder: Path | str, error: Exception) -> ModelError:
    remedy = "Set dense.model to a name from: glossator models list; or fetch it again: glossator models fetch"
    return not_loaded(f"dense encoder {folder}", error, remedy)
