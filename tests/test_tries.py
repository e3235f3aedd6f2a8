"""rag/llm/tries.py: a tree is what its sequences' beginnings are, and a walk follows what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag.llm.tries import Trie

Sequences = list[list[int]]
sequences = st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=12)


def grown(inserted: Sequence[Sequence[int]]) -> Trie:
    trie = Trie()
    for sequence in inserted:
        trie.insert(sequence)
    return trie


def beginnings(inserted: Sequence[Sequence[int]]) -> set[tuple[int, ...]]:
    return {tuple(sequence[:length]) for sequence in inserted for length in range(len(sequence) + 1)} | {()}


@given(sequences)
def test_the_nodes_are_the_beginnings_of_what_was_inserted(inserted: Sequences) -> None:
    trie = grown(inserted)
    nodes = [tuple(trie.sequence(node)) for node in range(len(trie))]
    assert len(set(nodes)) == len(trie) and set(nodes) == beginnings(inserted)
    for node, beginning in enumerate(nodes):
        assert trie.find(beginning) == node and trie.depths[node] == len(beginning)
        assert trie.seen[node] == sum(tuple(sequence[: len(beginning)]) == beginning for sequence in inserted)
        if node:
            assert trie.parents[node] < node and nodes[trie.parents[node]] == beginning[:-1]
            assert trie.tokens[node] == beginning[-1]


@given(sequences, st.lists(st.integers(0, 3), max_size=6))
def test_what_was_not_inserted_is_not_found(inserted: Sequences, other: list[int]) -> None:
    assert (grown(inserted).find(other) is not None) == (tuple(other) in beginnings(inserted))


@given(sequences)
def test_a_node_sees_itself_and_what_it_begins_with(inserted: Sequences) -> None:
    trie = grown(inserted)
    nodes = [trie.sequence(node) for node in range(len(trie))]
    sees = [[node[: len(other)] == other for other in nodes] for node in nodes]
    assert np.array_equal(trie.ancestors(), sees)


@given(sequences, st.lists(st.integers(0, 3), min_size=7, max_size=7), st.integers(0, 7), st.data())
def test_a_walk_ends_where_the_truth_leaves_the_tree(
    inserted: Sequences, truth: list[int], deepest: int, data: st.DataObject
) -> None:
    trie = grown(inserted)
    chosen = {  # off the truth's path anything may have been chosen
        node: truth[trie.depths[node]]
        if trie.sequence(node) == truth[: trie.depths[node]]
        else data.draw(st.integers(0, 3))
        for node in range(len(trie))
    }
    found = max(length for length in range(deepest + 1) if tuple(truth[:length]) in beginnings(inserted))
    assert trie.sequence(trie.walk(chosen, deepest)) == truth[:found]
    known = {node: token for node, token in chosen.items() if trie.depths[node] < 2}
    assert trie.sequence(trie.walk(known, deepest)) == truth[: min(found, 2)]


@given(sequences, st.data())
def test_the_likeliest_leaf_is_reached_by_the_most_often_seen(inserted: Sequences, data: st.DataObject) -> None:
    trie = grown(inserted)
    start = data.draw(st.integers(0, len(trie) - 1))
    leaf = trie.likeliest(start)
    steps = [start, *(node for node in trie.path(leaf) if trie.depths[node] > trie.depths[start])]
    assert leaf not in trie.parents and trie.sequence(leaf)[: trie.depths[start]] == trie.sequence(start)
    for node, child in pairwise(steps):
        assert trie.seen[child] == max(trie.seen[other] for other in range(len(trie)) if trie.parents[other] == node)
