"""The rules that the setting `reader.rules` names. A new rule is a file here, and a line in this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rag.errors import UsageError
from rag.library.catalogue import Library
from rag.read.rules.base import Rule
from rag.read.rules.comparison import Comparison
from rag.read.rules.court_finding import CourtFinding
from rag.read.rules.table_cell import TableCell

RULES: Mapping[str, Callable[[Library], Rule]] = {
    "table_cell": lambda library: TableCell(library.table_of),
    "court_finding": CourtFinding,
    "comparison": lambda library: Comparison(),
}


def open_rules(names: Sequence[str], library: Library) -> tuple[Rule, ...]:
    """The rules of these names, in this order. Raises UsageError for a name that is no rule."""
    for name in names:
        if name not in RULES:
            raise UsageError(f"settings: reader.rules: no such rule {name}. Choose from {', '.join(RULES)}")
    return tuple(RULES[name](library) for name in names)
