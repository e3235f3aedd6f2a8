"""What a trained encoder's folder records of itself: the model that it was trained from, and its fingerprint."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

TRAINED = "trained.json"  # in a sparse encoder's folder


def base_of(model: str) -> str:
    """How a record names the model that a training began from: a folder by its whole path, a hub id as it is."""
    return str(Path(model).absolute()) if Path(model).is_dir() else model


def fingerprint_of_sparse(model: str) -> str | None:
    """Of a sparse encoder that our trainer wrote: the first 12 hex digits of its record's sha256; None of another.

    Without its folder's name: a library with an encoder of its own may be moved.
    """
    record = Path(model, TRAINED)
    return f"trained@{sha256(record.read_bytes()).hexdigest()[:12]}" if record.is_file() else None
