"""The sampler's trainer: questions and text blocks are brought near the evidence, in the frozen space of the pictures.

After PDF-WuKong (arXiv 2410.05970), section 3.3. The paper trains the whole text encoder, together with the language
model; here the default is a linear projection behind the text side, which a processor can train, and the reader is left
alone.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from rag.encode.checkpoint import base_of
from rag.encode.dense_encoder import (
    PROJECTION,
    TRAINED,
    Base,
    PictureTextEncoder,
    TransformerEncoder,
    folder_of,
    open_base,
    open_in_transformers,
    trained_record,
)
from rag.errors import DataError, UsageError
from rag.protocols import DenseEncoder, PictureEncoder, Report, silent
from rag.records import Passage
from rag.train.common import write_folder

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE = 0.05  # the paper does not say; what sentence encoders are commonly trained with
NEGATIVES = 2  # text blocks, and as many pictures
BATCH = 16  # questions a step
PICTURES = 64  # read at a time, each a file of some 100 kB
FULL_RATE = 4e-5  # the paper's
# The fastest that cost no MRR when a projection behind MiniLM was trained on 120 questions of HotpotQA and tried on 80
# others, of the rates 1e-5 to 1e-2; 1e-3 cost 0.01 of it, 1e-2 0.05 and more.
PROJECTION_RATE = 3e-4
Trainable = TransformerEncoder | PictureTextEncoder


@dataclass(frozen=True, slots=True)
class EvidenceExample:
    """A question, the passages that are evidence for it, and the other passages of the same document."""

    query: str
    positives: tuple[Passage, ...]
    rest: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class TrainedTextSide:
    """What training gave: a projection (d, d) or an encoder; and the mean loss of each epoch."""

    projection: NDArray[np.float32] | None
    encoder: Trainable | None
    examples: int
    epochs: int
    seed: int
    losses: list[float]


def contrastive_loss(positives: Tensor, negatives: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """The mean over the positives i of -log(exp(p_i / t) / (exp(p_i / t) + sum over the negatives j of exp(n_j / t))).

    Similarities with one question: positives (p,), negatives (n,), p at least 1. Other positives are in no denominator.
    PDF-WuKong, section 3.3.
    """
    import torch

    # -log(a / (a + b)) = softplus(log b - log a), which does not overflow; without negatives it is 0.
    return torch.nn.functional.softplus(torch.logsumexp(negatives / temperature, 0) - positives / temperature).mean()


def draw_negatives(example: EvidenceExample, sees: bool, draw: random.Random) -> list[Passage]:
    """NEGATIVES text blocks and as many pictures of the rest of the document, fewer where there are fewer."""
    chosen = {passage.passage_id for passage in example.positives}
    rest = [passage for passage in example.rest if passage.passage_id not in chosen]
    drawn = []
    for side in (False, True):
        subset = [passage for passage in rest if is_picture(passage, sees) is side]
        drawn += draw.sample(subset, min(NEGATIVES, len(subset)))
    return drawn


def is_picture(passage: Passage, sees: bool) -> bool:
    """Whether it is on the frozen side: as the dense index has it, by its picture or by what stands for a picture."""
    return passage.picture is not None if sees else passage.kind != "text"


def open_for_training(model: str, max_tokens: int, batch_size: int, full: bool) -> Base:
    """The encoder that dense.model names. Raises ModelError, and UsageError for one that is trained already."""
    folder = folder_of(model)
    if trained_record(folder) is not None:
        raise UsageError(f"dense.model {model} is trained already. Set the model that it was trained from")
    if full:
        return open_in_transformers(folder, max_tokens, batch_size, exact=True)
    return open_base(folder, max_tokens, batch_size)


def train(
    examples: Sequence[EvidenceExample],
    encoder: DenseEncoder,
    picture: Callable[[str], bytes],
    epochs: int = 1,
    seed: int = 0,
    full: bool = False,
    report: Report = silent,
) -> TrainedTextSide:
    """Train the text side: a projection, or with `full` all of the encoder's (which must be Trainable then).

    `picture` gives the PNG file with a sha256. The same seed gives the same weights. Raises DataError without an
    example.
    """
    import torch

    if not examples:
        raise DataError("there is no question with evidence to train from. Name other data, or the folder of its PDFs")
    rounds = _rounds(examples, isinstance(encoder, PictureEncoder), epochs, seed)
    frozen = _frozen(rounds, encoder, picture, report)
    if full:
        assert isinstance(encoder, Trainable)
        losses = _fit(rounds, encoder.features, frozen, torch.optim.AdamW(encoder.parameters(), lr=FULL_RATE), report)
        return TrainedTextSide(None, encoder, len(examples), epochs, seed, losses)
    vectors = _texts(rounds, encoder, report)
    size = len(next(iter(vectors.values())))
    # Kept as the difference to the identity, so that weight decay pulls towards the space as it was.
    change = torch.zeros(size, size, requires_grad=True)

    def projected(texts: list[str]) -> Tensor:
        rows = torch.stack([vectors[text] for text in texts])
        return torch.nn.functional.normalize(rows + rows @ change.T, dim=1)

    losses = _fit(rounds, projected, frozen, torch.optim.AdamW([change], lr=PROJECTION_RATE), report)
    return TrainedTextSide((torch.eye(size) + change.detach()).numpy(), None, len(examples), epochs, seed, losses)


# -- what is trained from --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Step:
    """A question with its evidence and the negatives drawn for it: (is it on the frozen side, its key)."""

    query: str
    positives: tuple[tuple[bool, str], ...]
    negatives: tuple[tuple[bool, str], ...]


def _rounds(examples: Sequence[EvidenceExample], sees: bool, epochs: int, seed: int) -> list[list[_Step]]:
    """The steps of each epoch, in a drawn order and with negatives of its own."""
    draw = random.Random(seed)

    def blocks(passages: Sequence[Passage]) -> tuple[tuple[bool, str], ...]:
        sides = [(is_picture(passage, sees), passage) for passage in passages]
        return tuple((side, _key(passage, sees) if side else passage.searched) for side, passage in sides)

    return [
        [
            _Step(example.query, blocks(example.positives), blocks(draw_negatives(example, sees, draw)))
            for example in draw.sample(list(examples), len(examples))
        ]
        for _ in range(epochs)
    ]


def _key(passage: Passage, sees: bool) -> str:
    return passage.picture or "" if sees else passage.searched


def _blocks(rounds: Sequence[Sequence[_Step]]) -> Iterator[tuple[bool, str]]:
    for steps in rounds:
        for step in steps:
            yield from step.positives
            yield from step.negatives


def _frozen(
    rounds: Sequence[Sequence[_Step]], encoder: DenseEncoder, picture: Callable[[str], bytes], report: Report
) -> dict[str, Tensor]:
    """Key -> vector (d,) of what is on the frozen side; by its picture where the encoder sees."""
    import torch

    keys = list(dict.fromkeys(key for side, key in _blocks(rounds) if side))
    vectors: dict[str, Tensor] = {}
    for first in range(0, len(keys), PICTURES):
        subset = keys[first : first + PICTURES]
        if isinstance(encoder, PictureEncoder):
            rows = encoder.encode_pictures([picture(key) for key in subset])
        else:
            rows = encoder.encode(subset)
        vectors.update(zip(subset, torch.from_numpy(rows), strict=True))
        report("pictures", len(vectors), len(keys))
    return vectors


def _texts(rounds: Sequence[Sequence[_Step]], encoder: DenseEncoder, report: Report) -> dict[str, Tensor]:
    """Text -> vector (d,) before the projection, of questions and text blocks."""
    import torch

    queries = [step.query for steps in rounds for step in steps]
    texts = list(dict.fromkeys([*queries, *(key for side, key in _blocks(rounds) if not side)]))
    rows = encoder.encode(texts, lambda done: report("vectors", done, len(texts)))
    return dict(zip(texts, torch.from_numpy(rows), strict=True))


# -- the training ----------------------------------------------------------------------------------------------------


def _fit(
    rounds: Sequence[Sequence[_Step]],
    text: Callable[[list[str]], Tensor],
    frozen: dict[str, Tensor],
    optimiser: Any,
    report: Report,
) -> list[float]:
    """The mean loss of each epoch. `text` gives unit rows with gradients; `frozen` has those of the other side."""
    losses = []
    total = sum(map(len, rounds))
    done = 0
    for steps in rounds:
        summed = 0.0
        for first in range(0, len(steps), BATCH):
            batch = steps[first : first + BATCH]
            loss = _loss(batch, text, frozen)
            optimiser.zero_grad()
            if loss.requires_grad:  # all evidence and negatives may be missing on the trained side
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            summed += loss.item() * len(batch)
            done += len(batch)
            report("training", done, total)
        losses.append(round(summed / len(steps), 6))
    return losses


def _loss(batch: Sequence[_Step], text: Callable[[list[str]], Tensor], frozen: dict[str, Tensor]) -> Tensor:
    """The mean loss of the questions of a batch."""
    import torch

    own = [key for side, key in _blocks([batch]) if not side]
    texts = list(dict.fromkeys([*(step.query for step in batch), *own]))
    rows = dict(zip(texts, text(texts), strict=True))

    def similarities(step: _Step, blocks: Sequence[tuple[bool, str]]) -> Tensor:
        if not blocks:
            return torch.zeros(0)
        scores: Tensor = torch.stack([frozen[key] if side else rows[key] for side, key in blocks]) @ rows[step.query]
        return scores

    losses = [
        contrastive_loss(similarities(step, step.positives), similarities(step, step.negatives)) for step in batch
    ]
    return torch.stack(losses).mean()


# -- the folder ------------------------------------------------------------------------------------------------------


def save(trained: TrainedTextSide, base: str, out: Path, data: str) -> None:
    """Write the folder that dense.model can name: trained from `base` (a dense.model, too) with `data`.

    Raises UsageError if `out` is there.
    """

    def write(folder: Path) -> dict[str, Any]:
        if trained.encoder is not None:
            trained.encoder.save(folder)
        if trained.projection is not None:
            save_file({"projection": trained.projection}, folder / PROJECTION)
        weights = sorted(file for file in folder.iterdir() if file.suffix == ".safetensors")
        return {
            "base": base_of(base),
            "full": trained.encoder is not None,
            "data": data,
            "examples": trained.examples,
            "epochs": trained.epochs,
            "seed": trained.seed,
            "rate": FULL_RATE if trained.encoder is not None else PROJECTION_RATE,
            "temperature": TEMPERATURE,
            "losses": trained.losses,
            # Two trainings differ in their weights, and so in this record, by which an index knows its encoder.
            "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in weights},
        }

    write_folder(out, write, TRAINED)
