"""A long list in parts: `limit` entries behind the one with the id `after`, and the id to ask on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query

from rag.errors import UsageError

Limit = Annotated[int | None, Query(ge=1, le=1_000)]
After = Annotated[str, Query(max_length=200)]


def part_of_list(entries: Sequence[dict[str, Any]], limit: int | None, after: str) -> tuple[list[dict[str, Any]], str]:
    """Entries with an "id" each, and the id behind which the next part begins; "" behind the last.

    Raises UsageError for an `after` that is not in the list.

    >>> part_of_list([{"id": "a"}, {"id": "b"}, {"id": "c"}], 2, "")
    ([{'id': 'a'}, {'id': 'b'}], 'b')
    >>> part_of_list([{"id": "a"}, {"id": "b"}, {"id": "c"}], 2, "b")
    ([{'id': 'c'}], '')
    """
    first = 0
    if after:
        places = [number for number, entry in enumerate(entries, start=1) if entry["id"] == after]
        if not places:
            raise UsageError("after: there is no such entry (any more). Begin again without it")
        first = places[0]
    last = len(entries) if limit is None else first + limit
    part = list(entries[first:last])
    return part, str(part[-1]["id"]) if part and last < len(entries) else ""
