"""Gradio's Blocks for a page that strangers may reach: no file that was not uploaded is read, and no bug is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from rag.errors import RagError
from ui.web.library.arrivals import Arrivals
from ui.web.workers.jobs import CALLED_OFF, logged

NOT_UPLOADED = "Only files that were uploaded to this page are read. Add the file again."


class GuardedBlocks(gr.Blocks):
    """Blocks that believe no path or address that a client names: only what it has uploaded is read.

    Gradio checks that only where its own server was launched, lets addresses through even then, and fetches them
    (6.31). The refusal is the same whether or not there is such a file.
    """

    def __init__(self, arrivals: Arrivals):
        super().__init__(title="Glossator", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600))
        self._arrivals = arrivals
        self.has_launched = True

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        """As Gradio's, behind the check. Raises gr.Error."""
        for path in _paths_in(inputs):
            if not self._arrivals.holds(path):
                raise gr.Error(NOT_UPLOADED, print_exception=False)
        processed: list[Any] = await super().preprocess_data(block_fn, inputs, state, explicit_call)
        return processed

    async def call_function(self, *arguments: Any, **named: Any) -> Any:
        """As Gradio's, but a bug in a handler is logged, and shown as an internal error: Gradio shows its message."""
        try:
            return await super().call_function(*arguments, **named)
        except (gr.Error, RagError, OSError, *CALLED_OFF):
            raise
        except Exception as error:
            raise gr.Error(str(logged(error)), print_exception=False) from error


def _paths_in(value: Any) -> Iterator[Any]:
    """What a client says of where files lie, however deep in its data.

    >>> list(_paths_in([{"path": "/a", "meta": {}}, [{"b": {"path": "/c", "url": "d"}}], "e"]))
    ['/a', '/c']
    """
    if isinstance(value, dict):
        if "path" in value:
            yield value["path"]
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _paths_in(part)
