"""The trainer of sparse encoders: weights that find what a query asks for, and few of them.

Two losses rank: the queries' labels, over all texts of a step (InfoNCE with in-batch negatives), and, where it is asked
for, an ensemble of teachers, over each query's own candidates (KL or MarginMSE); a penalty makes weights few (Geng,
Wang, Ru and Yang, arXiv 2411.04403, whose inference-free queries are the default; SPLADE's tied queries and echo
decoders train alike).
A step is a function of the seed and its number, so that a training that was cut off goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rag.encode.dense_encoder import folder_of
from rag.encode.heads import METHODS
from rag.encode.inference_free import CHANGES, idf_of
from rag.encode.sparse_encoder import TransformerSparseEncoder
from rag.errors import DataError, LibraryError, ModelError, UsageError, first_line_of
from rag.protocols import SparseVector
from rag.train.common import base_of, write_folder
from rag.train.sparse.losses import contrastive, ensemble, flops, kl_divergence, l1, margin_mse, ramp
from rag.train.sparse.pairs import Candidates, TrainingSet

if TYPE_CHECKING:
    from torch import Tensor

TRAINED = "trained.json"
CHECKPOINT = "checkpoint.safetensors"
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # of AdamW, of each weight
LEAST = {
    "steps": 1, "epochs": 1, "queries": 1, "given": 0, "negatives": 0, "rate": 0, "warm_up": 0, "max_tokens": 8,
    "labels": 0, "penalty_weight": 0, "ramp_steps": 0, "share": 0, "every": 1, "patience": 1,
}  # fmt: skip
Noted = Callable[[str, int, int, str], None]  # progress: (what, done, total, a running score)
Measure = Callable[["Student"], float]  # nDCG@10 of what is held out, 0..1


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; eval/log.md says how the defaults were chosen."""

    steps: int = 500
    epochs: int = 5  # no more steps than come to so many times each query: a small library is soon known by heart
    queries: int = 20  # a step
    given: float = 0.6  # share of them that are given, not self-made, where there are both
    negatives: int = 7  # a query's own; those of the step's other queries come on top
    rate: float = 3e-4
    warm_up: int = 20  # steps
    max_tokens: int = 128  # learnt of a text, however many are indexed and measured; twice as many cost twice the time
    teachers: tuple[Literal["bm25", "dense", "sparse"], ...] = ("bm25", "dense", "sparse")
    # "none": the teachers only find the hard negatives. With labels alone libraries gained more, see eval/log.md.
    distillation: Literal["kl", "margin", "none"] = "none"
    # Of the student's scores in the losses. It changes no ranking, but at 1 the softmax is so sharp that the first
    # steps do nothing but make all weights smaller.
    scale: float = 0.3
    labels: float = 2.0  # weight of the contrastive loss beside the distillation's and the penalty's
    penalty: Literal["flops", "l1"] = "flops"
    penalty_weight: float = 0.01
    free_terms: int = 150  # a text with fewer pays nothing
    ramp_steps: int = 30
    idf_aware: bool = True  # the penalty is on the weights, and not on weight times idf
    train_idf: bool = False
    # Of the way from the base's weights to the trained ones, which is what is measured and kept: what the base knows of
    # other texts is not lost (WiSE-FT: Wortsman et al., arXiv 2109.01903).
    share: float = 0.7
    every: int = 100  # steps between two measurements, each with a checkpoint
    patience: int = 4  # measurements without a new best, after which it ends early: the first is often below the base
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for a number that is too small to train with."""
        for name, least in LEAST.items():
            if not getattr(self, name) >= least:  # nor is it, of what is no number
                raise UsageError(f"recipe: {name} is {getattr(self, name)}. Give {least} or more")
        for name in ("given", "share"):
            if getattr(self, name) > 1:
                raise UsageError(f"recipe: {name} is {getattr(self, name)}, and a share. Give 1 or less")

    def fitted(self, queries: int) -> Recipe:
        """The recipe for so many queries to learn from. What has fewer steps is measured five times, too."""
        steps = math.ceil(self.epochs * queries / self.queries)
        return self if steps >= self.steps else replace(self, steps=steps, every=min(self.every, math.ceil(steps / 5)))


@dataclass(frozen=True, slots=True)
class Curve:
    """What was seen at one measurement: the mean loss and FLOPs since the last one, and the held-out nDCG@10."""

    step: int
    loss: float
    flops: float
    ndcg: float


@dataclass(slots=True)
class State:
    """How far a training is. `best` has the weights at the highest nDCG@10 so far, as they were measured."""

    step: int = 0
    curve: list[Curve] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: int = 0
    losses: list[float] = field(default_factory=list)  # since the last measurement
    penalties: list[float] = field(default_factory=list)


class Student(TransformerSparseEncoder):
    """A sparse encoder with gradients: of a masked language model, of an encoder without its head, or of a decoder.

    Inference-free queries weigh each token by its idf in `texts`, and where that is trained by e^change of it.
    """

    def __init__(
        self,
        method: str,
        folder: Path | str,
        max_tokens: int,
        batch_size: int,
        texts: Sequence[str],
        device: str = "cpu",
    ):
        """`folder` may be a name in models.toml, or a hub id; `device` is one of torch's. `max_tokens` of a text are
        encoded; of those a step may learn fewer.

        Raises ModelError, and UsageError for a method whose two sides are two models.
        """
        import torch

        if method not in METHODS or METHODS[method].document.head != "MLM" or method in ("SPLADE-sep", "SPARTA"):
            raise UsageError(
                f"settings: sparse.method {method!r} cannot be trained. Choose inference-free, SPLADE or Mistral-SPLADE"
            )
        super().__init__(method, folder_of(str(folder)), None, max_tokens, batch_size, training=True, device=device)
        self.name, self.max_tokens = method, max_tokens
        self.base = base_of(str(folder))
        self._idf = torch.from_numpy(idf_of(self.token_ids(texts), self.dimensions)).to(device)
        # Of the logarithm of each term's idf.
        self.change = torch.zeros(self.dimensions, device=device, requires_grad=True)

    @property
    def device(self) -> str:
        return self._document.device

    @property
    def inference_free(self) -> bool:
        return self.method.query.head == "IDF"

    @property
    def idf(self) -> Tensor:
        """What a term of a query weighs, (vocabulary,)."""
        return self._idf * self.change.exp()

    def encode_queries(self, texts: Sequence[str]) -> list[SparseVector]:
        """As TransformerSparseEncoder.encode_queries, for inference-free queries, too."""
        import numpy as np

        if not self.inference_free:
            return super().encode_queries(texts)
        weights = self.idf.detach().cpu().numpy()
        return [(np.asarray(ids, dtype=np.int32), weights[ids]) for ids in self.token_ids(texts)]

    def query_features(self, queries: Sequence[str]) -> Tensor:
        """(queries, vocabulary), with gradients."""
        import torch

        if not self.inference_free:
            return self._document.features(queries, self.method.query)
        there = torch.zeros(len(queries), self.dimensions)
        for row, ids in enumerate(self.token_ids(queries)):
            there[row, ids] = 1
        return there.to(self.device) * self.idf

    def text_features(self, texts: Sequence[str], max_tokens: int, half: bool = False) -> Tensor:
        """(texts, vocabulary), with gradients, of at most `max_tokens` of each text; in bfloat16 as far as that is safe
        where `half`. The same text twice is read once."""
        import torch

        # Of like length in a batch: little is padded. A set's own order is another in every process.
        order = sorted(set(texts), key=lambda text: (len(text), text))
        rows = []
        with torch.autocast(self.device, torch.bfloat16, enabled=half):
            for first in range(0, len(order), self._batch_size):
                batch = order[first : first + self._batch_size]
                rows.append(self._document.features(batch, self.method.document, max_tokens))
        place = {text: row for row, text in enumerate(order)}
        return torch.cat(rows)[torch.tensor([place[text] for text in texts]).to(self.device)]

    def named_parameters(self) -> dict[str, Any]:
        """What a trainer may change, by name."""
        return {**self._document.named_parameters(), "idf change": self.change}

    def save(self, folder: Path) -> None:
        """Write all that sparse.model needs of the folder."""
        from safetensors.torch import save_file

        self._document.save(folder)
        if self.inference_free and self.change.any():
            save_file({"change": self.change.detach().cpu()}, folder / CHANGES)


def train(
    data: TrainingSet,
    candidates: Sequence[Candidates],
    student: Student,
    recipe: Recipe,
    measure: Measure,
    checkpoint: Path,
    report: Noted,
) -> State:
    """Train `student` on the pairs of `data`, whose `candidates` are in their order, and leave it at its best.

    `checkpoint` is a folder: a training of the same data and recipe that was cut off is gone on with from there.
    Raises ModelError for a loss that is no number, LibraryError where memory is short, UsageError where the folder is
    of another training, DataError where there is nothing to tell a positive from.
    """
    import torch

    recipe = recipe.fitted(len(data.pairs))
    torch.manual_seed(recipe.seed)
    named = student.named_parameters()
    if not recipe.train_idf:
        del named["idf change"]
    # A tiny epsilon would make full steps of the penalty's tiny gradients, whatever its weight.
    optimiser = torch.optim.AdamW(named.values(), lr=recipe.rate, eps=1e-6, weight_decay=0.0)
    steps = _Steps(data, candidates, recipe)
    whose = _digest(data, candidates, recipe, student)
    base = _copied(named)
    state = _resumed(checkpoint, whose, named, optimiser) or State()
    half = _has_bfloat16(student.device)
    if not state.step:
        _measured(state, student, measure, named, base, recipe.share)
        report("training", 0, recipe.steps, f"nDCG@10 {state.curve[-1].ndcg:.3f}")
    while state.step < recipe.steps and not _done(state, recipe):
        with _failing_in_one_line(state, recipe, checkpoint):
            loss, penalty = _step(state.step, steps.drawn(state.step), data, candidates, student, recipe, half)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(named.values(), 5.0)
            if not math.isfinite(loss.item()) or not math.isfinite(norm.item()):
                raise FloatingPointError
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * _schedule(state.step, recipe)
            optimiser.step()
            state.step += 1
            state.losses.append(loss.item())
            state.penalties.append(penalty.item())
            if state.step % recipe.every == 0 or state.step == recipe.steps:
                _measured(state, student, measure, named, base, recipe.share)
                _write(checkpoint, whose, state, named, optimiser)
        seen = f"loss {loss.item():.3f}, FLOPs {penalty.item():.1f}, nDCG@10 {state.curve[-1].ndcg:.3f}"
        report("training", state.step, recipe.steps, seen)
    _put(named, {name: weight.half() for name, weight in state.best.items()})  # as it is written
    return state


def faster_device() -> str:
    """Where torch trains the sooner here: "cuda" where there is one (CUDA_VISIBLE_DEVICES= hides it), else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _has_bfloat16(device: str) -> bool:
    """Whether bfloat16 is arithmetic there, and not only a format."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


@contextmanager
def _failing_in_one_line(state: State, recipe: Recipe, checkpoint: Path) -> Iterator[None]:
    """What can go wrong in a step, as our own errors. A training that failed for good leaves no checkpoint."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(some in str(error) for some in ("allocat", "enough memory")):
            raise
        raise LibraryError(
            f"training: out of memory at step {state.step + 1}, {recipe.queries} queries a step "
            f"({first_line_of(error)}). Close other programs, or try --recipe queries={max(1, recipe.queries // 2)}"
        ) from error
    except (FloatingPointError, ModelError) as error:  # ModelError: of a measurement, whose weights are no numbers
        shutil.rmtree(checkpoint, ignore_errors=True)
        raise ModelError(
            f"training: the loss is no number any more at step {state.step + 1}. Nothing was changed. "
            f"Train with a lower rate: --recipe rate={recipe.rate / 10:g}"
        ) from error


# -- a step ----------------------------------------------------------------------------------------------------------


class _Steps:
    """Which candidates each step is of: every one once before any again, those given and those self-made each apart."""

    def __init__(self, data: TrainingSet, candidates: Sequence[Candidates], recipe: Recipe):
        self._recipe = recipe
        self._candidates = candidates
        self._orders: dict[tuple[int, int], list[int]] = {}  # (kind, epoch) -> places, of this epoch and the last
        by_kind: dict[bool, list[int]] = {True: [], False: []}
        for place, pair in enumerate(data.pairs):
            if len(candidates[place].passages) > candidates[place].positives or len(data.pairs) > 1:
                by_kind[pair.source == "given"].append(place)
        if not any(by_kind.values()):
            raise DataError(
                "training: there is no passage to tell the right one of the only query from. Ingest more documents, "
                "or name more data with --data"
            )
        given = recipe.given if all(by_kind.values()) else float(bool(by_kind[True]))
        count = round(recipe.queries * given)
        self._parts = [(by_kind[True], count), (by_kind[False], recipe.queries - count)]

    def drawn(self, step: int) -> list[tuple[int, tuple[int, ...]]]:
        """(place of a pair, places among its candidates: the positives, at most two, and its own negatives)."""
        chosen = []
        for kind, (places, count) in enumerate(self._parts):
            for nth in range(step * count, (step + 1) * count):
                epoch, place = divmod(nth, len(places))
                order = self._order(kind, epoch, len(places))
                some = places[order[place]]
                chosen.append((some, self._some_of(self._candidates[some], f"{self._recipe.seed} {kind} {nth}")))
        return chosen

    def _order(self, kind: int, epoch: int, count: int) -> list[int]:
        orders = self._orders
        if (kind, epoch) not in orders:
            for old in [key for key in orders if key[0] == kind and key[1] < epoch - 1]:
                del orders[old]
            draw = random.Random(f"{self._recipe.seed} {kind} {epoch}")
            orders[kind, epoch] = draw.sample(range(count), count)
        return orders[kind, epoch]

    def _some_of(self, mined: Candidates, seed: str) -> tuple[int, ...]:
        draw = random.Random(seed)
        positives = draw.sample(range(mined.positives), min(2, mined.positives))
        rest = range(mined.positives, len(mined.passages))
        return (*positives, *draw.sample(rest, min(self._recipe.negatives, len(rest))))


def _step(
    step: int,
    drawn: Sequence[tuple[int, tuple[int, ...]]],
    data: TrainingSet,
    candidates: Sequence[Candidates],
    student: Student,
    recipe: Recipe,
    half: bool,
) -> tuple[Tensor, Tensor]:
    """The loss of a step, and the FLOPs of its texts."""
    import torch

    own = [[candidates[place].passages[i] for i in some] for place, some in drawn]
    texts = sorted({text for row in own for text in row})
    column = {text: i for i, text in enumerate(texts)}
    weights = student.text_features([data.texts[text] for text in texts], recipe.max_tokens, half)
    queries = student.query_features([data.pairs[place].query for place, _ in drawn])
    scores = recipe.scale * queries @ weights.T  # (queries, texts)
    loss = scores.new_zeros(())
    if recipe.labels:
        # A passage and what was made of it by cutting out words are one.
        answers = [{data.origins[text] for text in data.pairs[place].positives} for place, _ in drawn]
        positive = torch.tensor([[data.origins[text] in some for text in texts] for some in answers])
        loss = loss + recipe.labels * contrastive(scores, positive.to(scores.device))
    longest = max(map(len, own))
    if recipe.distillation != "none" and recipe.teachers and longest > 1:
        places = torch.tensor([[column[text] for text in row] + [-1] * (longest - len(row)) for row in own])
        places = places.to(scores.device)
        there = places >= 0
        mine = scores.gather(1, places.clamp(min=0)).masked_fill(~there, -torch.inf)
        taught = []
        for teacher in recipe.teachers:
            rows = [[candidates[place].scores[teacher][i] for i in some] for place, some in drawn]
            padded = torch.tensor([row + [0.0] * (longest - len(row)) for row in rows])
            taught.append(padded.to(scores.device))
        distil = kl_divergence if recipe.distillation == "kl" else margin_mse
        loss = loss + distil(mine, ensemble(taught, there))
    penalty = flops if recipe.penalty == "flops" else l1
    priced = weights if recipe.idf_aware or not student.inference_free else weights * student.idf.detach()
    priced = priced * ((weights > 0).sum(1, keepdim=True) > recipe.free_terms)
    price = penalty(priced) if student.inference_free else penalty(priced) + penalty(queries)
    return loss + recipe.penalty_weight * ramp(step, recipe.ramp_steps) * price, flops(weights.detach())


def _schedule(step: int, recipe: Recipe) -> float:
    """The share of the rate at a step: it rises over the warm-up and falls in a line to a twentieth."""
    return min(1.0, (step + 1) / max(1, recipe.warm_up)) * max(0.05, 1 - step / recipe.steps)


# -- measurements and checkpoints ------------------------------------------------------------------------------------


def _measured(
    state: State, student: Student, measure: Measure, named: dict[str, Any], base: dict[str, Tensor], share: float
) -> None:
    """Add a point to the curve: of weights a share of the way from `base`, kept if they are the best. The training goes
    on from those that it has."""
    trained = _copied(named)
    mixed = {name: weight.lerp(trained[name], share) for name, weight in base.items()}
    _put(named, mixed)
    ndcg = measure(student)
    _put(named, trained)
    losses, penalties = state.losses or [math.nan], state.penalties or [math.nan]
    state.curve.append(Curve(state.step, sum(losses) / len(losses), sum(penalties) / len(penalties), ndcg))
    state.losses, state.penalties = [], []
    if not state.best or ndcg > max(point.ndcg for point in state.curve[:-1]):
        state.best, state.best_step = mixed, state.step


def _copied(named: dict[str, Any]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in named.items()}


def _put(named: dict[str, Any], weights: dict[str, Tensor]) -> None:
    import torch

    with torch.no_grad():
        for name, weight in named.items():
            weight.copy_(weights[name])


def _done(state: State, recipe: Recipe) -> bool:
    """Whether it ends early: the best measurement lies `patience` measurements back."""
    best = max(range(len(state.curve)), key=lambda i: state.curve[i].ndcg)
    return len(state.curve) - 1 - best >= recipe.patience


def _write(folder: Path, whose: str, state: State, named: dict[str, Any], optimiser: Any) -> None:
    """One file, replaced as a whole. Of no pickle: tensors by name, the rest as JSON in its header."""
    from safetensors.torch import save_file

    tensors = {f"now/{name}": weight.detach().cpu().contiguous() for name, weight in named.items()}
    tensors |= {f"best/{name}": weight.cpu().contiguous() for name, weight in state.best.items()}
    for name, weight in named.items():
        for moment, values in optimiser.state[weight].items():
            tensors[f"{moment}/{name}"] = values.cpu().contiguous()
    record = {"whose": whose, "step": state.step, "best": state.best_step, "curve": [asdict(p) for p in state.curve]}
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{CHECKPOINT}.new"
    save_file(tensors, fresh, {"record": json.dumps(record)})
    os.replace(fresh, folder / CHECKPOINT)


def _resumed(folder: Path, whose: str, named: dict[str, Any], optimiser: Any) -> State | None:
    """The state of a training that was cut off, its weights put into `named`; None if there is none."""
    import torch
    from safetensors import safe_open

    if not (folder / CHECKPOINT).is_file():
        return None
    try:
        with safe_open(folder / CHECKPOINT, "pt") as file:
            record = json.loads(file.metadata()["record"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        if record["whose"] == whose:
            with torch.no_grad():
                for name, weight in named.items():
                    weight.copy_(tensors[f"now/{name}"])
                    if f"{MOMENTS[0]}/{name}" in tensors:  # a weight that nothing depends on has none
                        optimiser.state[weight] = {
                            # torch.optim keeps the count of steps on the processor.
                            moment: tensors[f"{moment}/{name}"].to("cpu" if moment == "step" else weight.device)
                            for moment in MOMENTS
                        }
            best = {name: tensors[f"best/{name}"] for name in named}
            return State(record["step"], [Curve(**point) for point in record["curve"]], best, record["best"])
    except Exception as error:  # no such format, no such tensor, no such record
        raise UsageError(
            f"{folder / CHECKPOINT} cannot be read: {first_line_of(error)}. Remove it, and begin anew"
        ) from error
    raise UsageError(f"{folder} holds a training of other data or with other options. Remove it, and begin anew")


def _digest(data: TrainingSet, candidates: Sequence[Candidates], recipe: Recipe, student: Student) -> str:
    # What is measured, too, depends on how much is read of a text.
    whose = [asdict(recipe), student.name, student.base, student.max_tokens]
    digest = hashlib.sha256(json.dumps(whose).encode())
    for text in data.texts:
        digest.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
    for pair, mined in zip(data.pairs, candidates, strict=True):
        what = f"{len(pair.query)}:{pair.query}{pair.positives}{pair.source}{mined.positives}{mined.passages}"
        digest.update(what.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


# -- the folder ------------------------------------------------------------------------------------------------------


def save(student: Student, state: State, recipe: Recipe, data: dict[str, Any], out: Path) -> None:
    """Write the folder that sparse.model can name, with a record of what it was trained from. UsageError if it is
    there."""

    def write(folder: Path) -> dict[str, Any]:
        student.save(folder)
        weights = sorted(file for file in folder.iterdir() if file.suffix == ".safetensors")
        return {
            "base": student.base,
            "data": data,
            "recipe": asdict(recipe),
            "steps": state.step,
            "best_step": state.best_step,
            "curve": [_recorded(point) for point in state.curve],
            # Two trainings differ in their weights, and so in this record, by which an index knows its encoder.
            "sha256": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in weights},
        }

    write_folder(out, write, TRAINED)


def _recorded(point: Curve) -> dict[str, float | None]:
    """Before the first step there is no loss, and JSON knows no nan."""
    return {name: None if math.isnan(value) else value for name, value in asdict(point).items()}
