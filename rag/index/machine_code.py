"""Numba, which compiles the loops of the Seismic index; the extra `large` installs it.

A library without it is searched by the exact sparse index (sparse.py).
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.util import find_spec
from typing import Any

from rag.errors import UsageError

INSTALL = "pip install 'glossator[large]'"
log = logging.getLogger("glossator")


@cache
def is_installed() -> bool:
    """Whether Numba can be imported; where it cannot, the log says once what to install."""
    if find_spec("numba"):
        return True
    log.warning("this library is large and is searched exactly, which takes longer. To search it faster: %s", INSTALL)
    return False


def numba() -> Any:
    """The module, imported when it is first needed: that takes half a second. Raises UsageError without it."""
    try:
        import numba as module
    except ModuleNotFoundError as error:
        raise UsageError(f"the Seismic index needs Numba, which is not installed: {INSTALL}") from error
    return module


def read_only(kind: Any) -> Any:
    """The type of a one-dimensional array that is only read: one memory-mapped or not."""
    return numba().types.Array(kind, 1, "C", readonly=True)


def writable(kind: Any) -> Any:
    """The type of a one-dimensional array that is written into."""
    return numba().types.Array(kind, 1, "C")
