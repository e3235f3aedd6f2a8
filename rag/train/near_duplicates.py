"""Which texts say nearly the same: by the runs of eight words that they share. Linear in the length of the texts.

A text's shingles (Broder, "On the resemblance and containment of documents", 1997) are hashed to 64 bits; one of fewer
than eight words has a single shingle, all of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
RUN = 8  # words
CONTAINMENT = 0.6  # share of the shorter text's shingles above which two are near-duplicates
LOOKED_AT = 64  # texts with the same shingle, at most: else a phrase that all texts have would cost their square
FACTOR = 0x9E3779B97F4A7C15  # odd, so that each position in a run counts another way


def words_of(text: str) -> list[str]:
    """The words by which texts are compared, without case.

    >>> words_of("The Bees, 1911.")
    ['the', 'bees', '1911']
    """
    return WORD.findall(text.casefold())


def shingles_of(text: str) -> NDArray[np.uint64]:
    """The hashes of a text's shingles, ascending, without repetition, at least one: (shingles,)."""
    words = np.array([_hash(word) for word in words_of(text)], dtype=np.uint64)
    size = min(RUN, len(words))
    hashes = np.full(max(1, len(words) - size + 1), size, dtype=np.uint64)
    for offset in range(size):
        hashes = hashes * np.uint64(FACTOR) + words[offset : offset + len(hashes)]  # modulo 2**64
    return np.unique(hashes)


@lru_cache(maxsize=1 << 18)
def _hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class Shingles:
    """The shingles of some texts, which are named by their indices."""

    def __init__(self, texts: Sequence[str]):
        self._of = [shingles_of(text) for text in texts]

    def near(self, text: int, others: Sequence[int]) -> NDArray[np.bool_]:
        """Which of the others are near-duplicates of this text: (others,)."""
        if not len(others):
            return np.zeros(0, dtype=np.bool_)
        own = self._of[text]
        sizes = np.array([len(self._of[other]) for other in others])
        theirs = np.concatenate([self._of[other] for other in others])
        shared = np.add.reduceat(_among(theirs, own), np.concatenate([[0], np.cumsum(sizes)[:-1]]))
        near: NDArray[np.bool_] = shared > CONTAINMENT * np.minimum(sizes, len(own))
        return near

    def with_near(self, texts: Sequence[int], others: Sequence[int]) -> list[bool]:
        """For each text, whether a near-duplicate of it is among the others.

        Of a shingle that more than LOOKED_AT of the others have, only the first of them are looked at.
        """
        if not len(others):
            return [False] * len(texts)
        sizes = np.array([len(self._of[other]) for other in others])
        owners = np.repeat(np.arange(len(others)), sizes)
        hashes = np.concatenate([self._of[other] for other in others])
        order = np.argsort(hashes, kind="stable")
        owners, hashes = owners[order], hashes[order]
        found = []
        for text in texts:
            own = self._of[text]
            first = np.searchsorted(hashes, own, "left")
            counts = np.minimum(np.searchsorted(hashes, own, "right") - first, LOOKED_AT)
            places = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            candidates, shared = np.unique(owners[places], return_counts=True)
            found.append(bool((shared > CONTAINMENT * np.minimum(sizes[candidates], len(own))).any()))
        return found


def _among(hashes: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.int64]:
    """1 where a hash is among the known ones, which ascend, else 0."""
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    found: NDArray[np.int64] = (known[places] == hashes).astype(np.int64)
    return found
