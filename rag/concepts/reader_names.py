"""Names that the reader gives to concepts, on request: from passages that have one, strongly and just, and that do not.

As sae-auto-interp does it (arXiv 2410.13928): the highest examples, some from the middle, and near misses, which the
dense vectors hold for near but which lack the concept. A name is judged on other passages, by embedding: how near its
own vector is to those of passages with the concept and without. It is kept beside the dictionary that it is of.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.concepts.concept_labels import PRECISION, RECALL
from rag.llm.chat import ChatModel, Usage, first_line
from rag.read.injection.mask import masked
from rag.read.prompts import plain

FILE = "names.json"
HIGHEST, MIDDLE, MISSES = 4, 2, 3
WORDS = 45  # of each example
REPLY_TOKENS = 24
MOST_WORDS = 8  # of a name: what is longer is a sentence
NAME = (
    "The first texts have a subject in common that the last ones lack. Name it in at most five words. Reply with the "
    "name alone."
)


@dataclass(frozen=True, slots=True)
class ReaderName:
    """A name with its precision and recall on passages that it was not made from."""

    text: str
    precision: float
    recall: float

    @property
    def holds(self) -> bool:
        return bool(self.text) and self.precision >= PRECISION and self.recall >= RECALL


def examples(
    has: NDArray[np.bool_], weights: NDArray[np.float32], near: NDArray[np.float32], allowed: NDArray[np.bool_]
) -> tuple[list[int], list[int]]:
    """Rows of passages that have a concept, the strongest first and then some from the middle; and of near misses.

    All are (n,): who has it, how strongly, and the cosine with its direction; only `allowed` rows are taken.
    """
    having = np.flatnonzero(has & allowed)
    having = having[np.argsort(-weights[having], kind="stable")]
    middle = having[len(having) // 2 :]
    lacking = np.flatnonzero(~has & allowed)
    lacking = lacking[np.argsort(-near[lacking], kind="stable")]
    taken = dict.fromkeys([*having[:HIGHEST].tolist(), *middle[:MIDDLE].tolist()])
    return list(taken), lacking[:MISSES].tolist()


def naming_messages(with_it: Sequence[str], without_it: Sequence[str]) -> list[tuple[str, str]]:
    """What the reader is asked: the examples, cut short, and what is wanted."""

    def listed(texts: Sequence[str]) -> str:
        return "\n".join(f"- {' '.join(masked(text).split()[:WORDS])}" for text in texts)

    lacking = f"\n\nTexts without it:\n{listed(without_it)}" if without_it else ""
    return [("user", plain(f"Texts with the subject:\n{listed(with_it)}{lacking}\n\n{NAME}"))]


def ask_name(with_it: Sequence[str], without_it: Sequence[str], reader: ChatModel, usage: Usage) -> str:
    """The reader's name; "" for a reply that is none. Raises ReaderError."""
    return parsed("".join(reader.stream(naming_messages(with_it, without_it), REPLY_TOKENS, usage)))


def parsed(reply: str) -> str:
    """
    >>> parsed('The subject is "eviction of tenants".'), parsed("Noise at night.\\nBecause ..."), parsed("x " * 20)
    ('eviction of tenants', 'Noise at night', '')
    """
    name = re.sub(r"^(?:the )?(?:common )?(?:subject|name|topic)(?: is|:)\s*", "", first_line(reply), flags=re.I)
    name = name.strip(" .\"'\u201c\u201d*:")
    return name if 0 < len(name.split()) <= MOST_WORDS else ""


def judged_name(
    text: str, vector: NDArray[np.float32], vectors: NDArray[np.float32], has: NDArray[np.bool_],
    chosen_on: NDArray[np.bool_],
) -> ReaderName:  # fmt: skip
    """The name with its precision and recall: a passage is told to have the concept where it is near the name enough.

    How near is chosen on some passages (n,) for the best F1, and judged on the others.
    """
    cosines = vectors @ vector
    order = np.sort(cosines[chosen_on & has])[::-1]
    best, least = 0.0, np.inf
    for threshold in order:
        told = cosines[chosen_on] >= threshold
        score = 2 * (told & has[chosen_on]).sum() / max(told.sum() + has[chosen_on].sum(), 1)
        if score > best:
            best, least = float(score), float(threshold)
    told, wanted = cosines[~chosen_on] >= least, has[~chosen_on]
    right = int((told & wanted).sum())
    return ReaderName(text, right / max(int(told.sum()), 1), right / max(int(wanted.sum()), 1))


def write_names(folder: Path, fingerprint: str, names: dict[int, ReaderName]) -> None:
    """Keep the names of the dictionary with this fingerprint."""
    stored = {"of": fingerprint, "names": {str(concept): asdict(name) for concept, name in names.items()}}
    fresh = folder / f"{FILE}.new"
    fresh.write_text(json.dumps(stored, ensure_ascii=False), "utf-8")
    os.replace(fresh, folder / FILE)


def read_names(folder: Path, fingerprint: str) -> dict[int, ReaderName]:
    """Those of the dictionary with this fingerprint; none where there are none, or they cannot be read."""
    try:
        stored = json.loads((folder / FILE).read_text("utf-8"))
        if stored["of"] != fingerprint:
            return {}
        return {int(concept): ReaderName(**name) for concept, name in stored["names"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
