"""A reader from which passages are hidden by masks over their tokens, and whose replies are kept by what is hidden."""

from __future__ import annotations

import json
from collections.abc import Sequence

from eval.core.cache import RecordingReader, Replies
from rag.attribute.players import Player
from rag.attribute.tree_reader import as_tree, coalition_reader
from rag.llm.chat import ChatModel, Messages
from rag.records import Hit


class MaskedReader(RecordingReader):
    """A recording reader over weights in this process. Raises UsageError for a reader whose tokens cannot be masked.

    The prompt is the same whoever is absent, so what is kept is kept by who is.
    """

    def __init__(self, reader: ChatModel, replies: Replies):
        tree = as_tree(coalition_reader(reader, "masked"))
        super().__init__(tree, replies)
        self._tree = tree
        self._hidden: list[str] = []

    def hide(self, hits: Sequence[Hit], absent: Sequence[Player]) -> None:
        """What is asked from now on is asked as if these players' tokens were not there; see TreeReader.masking."""
        self._reader = self._tree.masking(hits, absent)
        self._hidden = [f"{player.kind} {player.rank} {player.start} {player.end}" for player in absent]

    def _key_of(self, kind: str, messages: Messages, detail: int | str | list[int | str]) -> str:
        return super()._key_of(kind, messages, ["masked", *self._hidden, json.dumps(detail)])
