"""Training a dictionary of concepts: a sparse autoencoder over vectors, in numpy, in seconds.

TopK as of Gao et al., arXiv 2406.04093: an encoder W_e and a decoder W_d of unit-length atoms, z = topk(W_e (x - b)),
loss |x - b - W_d z|^2, Adam. The atoms begin as the directions of clusters, from which trainings of other seeds agree
more than from single vectors. Concepts that nothing has had for a while begin again where the worst errors are.
Gradients are written out: the tests compare them with torch's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rag.concepts.concept_dictionary import Dictionary, Kind
from rag.concepts.sparse_codes import abs_top_k, top_k
from rag.protocols import Report, silent

Rows = NDArray[np.float32]
ACTIVE = 16  # concepts of a vector, at most
A_CONCEPT = 10  # passages for each concept: with 5, fewer names hold on passages that did not choose them (eval/log.md)
FEWEST, MOST = 32, 1024  # concepts of a library
STEPS, BATCH, RATE = 500, 256, 2e-3
ROUNDS = 5  # of k-means
IDLE = 50  # steps after which a concept that nothing had begins again, in the first two thirds of the training


@dataclass(slots=True)
class _Adam:
    """Kingma and Ba's Adam of one matrix."""

    values: Rows
    first: Rows = field(init=False)
    second: Rows = field(init=False)
    steps: int = 0

    def __post_init__(self) -> None:
        self.first, self.second = np.zeros_like(self.values), np.zeros_like(self.values)

    def step(self, gradient: Rows) -> None:
        self.steps += 1
        self.first += 0.1 * (gradient - self.first)
        self.second += 0.001 * (gradient**2 - self.second)
        size = RATE * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        self.values -= size * self.first / (np.sqrt(self.second) + 1e-8)

    def begin_again(self, rows: NDArray[np.int64]) -> None:
        self.first[rows] = self.second[rows] = 0


def train(
    vectors: Rows, size: int, active: int = ACTIVE, kind: Kind = "topk", seed: int = 0, report: Report = silent,
    steps: int = STEPS,
) -> Dictionary:  # fmt: skip
    """A dictionary of `size` concepts of the vectors (n, d), each of which has at most `active` of them.

    The same bytes for the same arguments on one machine. `kind` as of Dictionary; "afa" is trained as "topk".
    """
    mean: Rows = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = vectors - mean
    rng = np.random.default_rng(seed)
    if kind == "pca":
        return _principal(mean, centred, size, active)
    atoms = unit(rng.standard_normal((size, vectors.shape[1])).astype(np.float32))
    if kind == "random":
        return Dictionary(kind, mean, atoms, atoms, active)
    atoms = clusters(centred, size, rng)
    decoder, encoder = _Adam(atoms), _Adam(atoms.copy())
    used = np.zeros(size, dtype=np.int64)
    for step in range(1, steps + 1):
        batch = centred[rng.integers(0, len(centred), BATCH)]
        if kind == "pursuit":
            codes, of_atoms = pursuit_gradient(batch, decoder.values, active)
        else:
            codes, of_atoms, of_encoder = gradients(batch, encoder.values, decoder.values, active, kind)
            encoder.step(of_encoder)
        decoder.step(of_atoms)
        decoder.values[:] = unit(decoder.values)
        used += (codes != 0).sum(axis=0)
        if step % IDLE == 0 and step <= steps * 2 // 3:
            if len(idle := np.flatnonzero(used == 0)):
                _begin_again(idle, centred, encoder, decoder, kind, active, rng)
            used[:] = 0
            report("concepts", step, steps)
    reading = decoder.values if kind == "pursuit" else encoder.values
    report("concepts", steps, steps)
    return Dictionary(kind, mean, decoder.values, reading, active)


def clusters(centred: Rows, size: int, rng: np.random.Generator) -> Rows:
    """Directions (size, d) of clusters by spherical k-means, begun as k-means++ does; a few rounds of it."""
    directions = unit(centred)
    chosen = [directions[rng.integers(len(directions))]]
    distance = 1 - directions @ chosen[0]
    while len(chosen) < size:
        odds = np.maximum(distance, 0).astype(np.float64)
        odds = odds if odds.sum() else np.ones(len(odds))
        chosen.append(directions[rng.choice(len(directions), p=odds / odds.sum())])
        distance = np.minimum(distance, 1 - directions @ chosen[-1])
    centres = np.asarray(chosen, dtype=np.float32)
    for _ in range(ROUNDS):
        sums = np.zeros_like(centres)
        np.add.at(sums, (directions @ centres.T).argmax(axis=1), directions)
        filled = np.linalg.norm(sums, axis=1) > 0
        centres[filled] = unit(sums[filled])
    return centres


def gradients(batch: Rows, encoder: Rows, atoms: Rows, active: int, kind: Kind) -> tuple[Rows, Rows, Rows]:
    """The codes (n, m) of a batch (n, d), and the mean squared error's gradients by the atoms and by the encoder."""
    values = batch @ encoder.T
    codes = abs_top_k(values, active) if kind == "abstopk" else top_k(values, active)
    error = np.float32(2 / len(batch)) * (codes @ atoms - batch)
    of_codes = (error @ atoms.T) * (codes != 0)
    return codes, codes.T @ error, of_codes.T @ batch


def pursuit_gradient(batch: Rows, atoms: Rows, steps: int) -> tuple[Rows, Rows]:
    """The codes (n, m) of matching pursuit, and the mean squared error's gradient by the atoms, through all steps.

    With r' = r - (r.w) w for the atom w of a step and g the gradient by r', that by r is g - (g.w) w, and that by w is
    -((r.w) g + (g.w) r): which atom is taken is a choice, through which nothing flows.
    """
    rows, left = np.arange(len(batch)), batch
    codes, taken = np.zeros((len(batch), len(atoms)), dtype=np.float32), []
    for _ in range(steps):
        products = left @ atoms.T
        chosen = np.abs(products).argmax(axis=1)
        weights = products[rows, chosen]
        codes[rows, chosen] += weights
        taken.append((chosen, weights, left))
        left = left - weights[:, None] * atoms[chosen]
    gradient, of_atoms = np.float32(2 / len(batch)) * left, np.zeros_like(atoms)
    for chosen, weights, before in reversed(taken):
        along = (gradient * atoms[chosen]).sum(axis=1)
        np.add.at(of_atoms, chosen, -(weights[:, None] * gradient + along[:, None] * before))
        gradient = gradient - along[:, None] * atoms[chosen]
    return codes, of_atoms


def _begin_again(
    idle: NDArray[np.int64], centred: Rows, encoder: _Adam, decoder: _Adam, kind: Kind, active: int,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Point concepts that nothing has had at errors, the larger the likelier."""
    subset = centred[rng.choice(len(centred), min(len(centred), 2048), replace=False)]
    nothing = np.zeros(centred.shape[1], dtype=np.float32)
    sketch = Dictionary(kind, nothing, decoder.values, encoder.values, active)
    errors = subset - sketch.decoded(sketch.codes(subset))
    sizes = (errors**2).sum(axis=1, dtype=np.float64)
    if not sizes.sum():
        return
    chosen = errors[rng.choice(len(errors), len(idle), p=sizes / sizes.sum())]
    decoder.values[idle] = unit(chosen)
    encoder.values[idle] = decoder.values[idle] / 2
    for each in (decoder, encoder):
        each.begin_again(idle)


def size_for(passages: int) -> int:
    """How many concepts a library of so many passages gets.

    >>> size_for(50), size_for(659), size_for(200_000)
    (32, 65, 1024)
    """
    return min(max(passages // A_CONCEPT, FEWEST), MOST)


def distinct(vectors: Rows, most: int, seed: int = 0) -> Rows:
    """At most `most` of the vectors (n, d), by chance, each once: copies of one document teach nothing new."""
    rng = np.random.default_rng(seed)
    if len(vectors) > 2 * most:  # enough of them, without sorting them all
        vectors = vectors[np.sort(rng.choice(len(vectors), 2 * most, replace=False))]
    _, first = np.unique(vectors, axis=0, return_index=True)
    chosen = np.sort(first)
    if len(chosen) > most:
        chosen = np.sort(rng.choice(chosen, most, replace=False))
    return vectors[chosen]


def _principal(mean: Rows, centred: Rows, size: int, active: int) -> Dictionary:
    """The principal components, `size` of them or as many as there are dimensions; of a vector the `active` largest."""
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    atoms = components[:size].astype(np.float32)
    return Dictionary("pca", mean, atoms, atoms, active)


def unit(rows: Rows) -> Rows:
    """The rows at unit length; a row of zeros stays one."""
    scaled: Rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return scaled
