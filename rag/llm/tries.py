"""The answers seen so far for a question, as one tree of tokens: what a decoder can verify in one pass.

After the speculative decoding of TextGenSHAP (arXiv 2312.01279). A coalition of documents rarely has an answer of its
own, so that the next answer is most likely in the tree already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


class Trie:
    """Token sequences that share their beginnings. Nodes are numbered as they come, a parent before its children.

    Node 0 is the root: the empty sequence, which has no token. Of every other node, `tokens`, `parents`, `depths`
    (the length of the sequence that ends there) and `seen` (how many insertions passed it) tell, all by its number.

    >>> trie = Trie()
    >>> for sequence in ([7, 8], [7, 9], [7, 9]):
    ...     trie.insert(sequence)
    >>> trie.tokens, trie.parents, trie.depths
    ([-1, 7, 8, 9], [-1, 0, 1, 1], [0, 1, 2, 2])
    >>> trie.sequence(trie.walk({0: 7, 1: 9}, deepest=20))  # an argmax at the root and at node 1; none at node 3
    [7, 9]
    """

    def __init__(self) -> None:
        self.tokens = [-1]
        self.parents = [-1]
        self.depths = [0]
        self.seen = [0]
        self._children: list[dict[int, int]] = [{}]  # of each node: token -> node

    def __len__(self) -> int:
        """How many nodes there are, the root among them."""
        return len(self.tokens)

    def insert(self, sequence: Sequence[int]) -> None:
        """Have the sequence in the tree, or count it once more."""
        node = 0
        self.seen[0] += 1
        for token in sequence:
            child = self._children[node].get(token)
            if child is None:
                child = len(self)
                self._children[node][token] = child
                self._children.append({})
                self.tokens.append(token)
                self.parents.append(node)
                self.depths.append(self.depths[node] + 1)
                self.seen.append(0)
            node = child
            self.seen[node] += 1

    def find(self, sequence: Sequence[int]) -> int | None:
        """The node at which the sequence ends; None if it is neither an inserted one nor the beginning of one."""
        node = 0
        for token in sequence:
            if token not in self._children[node]:
                return None
            node = self._children[node][token]
        return node

    def path(self, node: int) -> list[int]:
        """The nodes from the root's child down to this one; of the root, none."""
        nodes = []
        while node:
            nodes.append(node)
            node = self.parents[node]
        return nodes[::-1]

    def sequence(self, node: int) -> list[int]:
        """The tokens from the root to this node."""
        return [self.tokens[step] for step in self.path(node)]

    def walk(self, chosen: Mapping[int, int], deepest: int) -> int:
        """The node that is reached from the root by the token chosen at each node, as long as there is such a child.

        `chosen` has the reader's argmax by node. It ends also at a node without one, and at depth `deepest`.
        """
        node = 0
        while self.depths[node] < deepest and node in chosen:
            child = self._children[node].get(chosen[node])
            if child is None:
                break
            node = child
        return node

    def likeliest(self, node: int) -> int:
        """The leaf below this node by way of the most often seen children; of those as often, the first."""
        while self._children[node]:
            node = max(self._children[node].values(), key=self.seen.__getitem__)
        return node

    def ancestors(self) -> NDArray[np.bool_]:
        """(nodes, nodes): whether the second is the first or stands above it, so that the first may attend to it."""
        mask = np.eye(len(self), dtype=bool)
        for node, parent in enumerate(self.parents[1:], 1):
            mask[node] |= mask[parent]
        return mask
