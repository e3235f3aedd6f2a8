"""The encoders that a library's indexes are built and searched with; each is loaded when it is first needed."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from rag.encode.checkpoint import TRAINED, base_of, fingerprint_of_sparse
from rag.encode.dense_encoder import fingerprint_of_trained, folder_of, open_encoder
from rag.encode.heads import METHODS, Method
from rag.encode.sparse_encoder import SparseTextEncoder, open_sparse_encoder
from rag.errors import UsageError
from rag.models.registry import catalogue, fingerprint, opening
from rag.protocols import DenseEncoder
from rag.settings import Settings


class Encoders:
    """The encoders of one library folder under one set of settings."""

    def __init__(self, folder: Path, settings: Settings):
        self.settings = settings
        self._folder = folder
        self._dense: DenseEncoder | None = None
        self._sparse: tuple[str, SparseTextEncoder] | None = None  # its model's fingerprint first
        self._lock = threading.Lock()

    def dense(self) -> DenseEncoder:
        """The dense encoder of the settings: a name in models.toml, a folder, or a hub id."""
        with self._lock:
            if self._dense is None:
                dense = self.settings.dense
                self._dense = open_encoder(dense.model, dense.max_tokens, dense.batch_size)
            return self._dense

    def sparse(self) -> SparseTextEncoder:
        """The library's own sparse encoder, or that of the settings, as `dense`."""
        with self._lock:
            model = self.sparse_model
            current = fingerprint_of(model)  # another process may have trained one since
            if self._sparse is None or self._sparse[0] != current:
                sparse = self.settings.sparse
                query_folder = folder_of(sparse.query_model) if sparse.query_model else None
                with opening(model) as folder:
                    encoder = open_sparse_encoder(
                        sparse.method, folder, query_folder, sparse.max_tokens, sparse.batch_size
                    )
                self._sparse = current, encoder
            return self._sparse[1]

    @property
    def own(self) -> Path:
        """Where the library's own sparse encoder lies, if one was trained (`glossator train sparse`)."""
        return self._folder / "encoder"

    @property
    def sparse_model(self) -> str:
        """The library's own sparse encoder while the settings name what it was trained from; else the settings'."""
        named = self.settings.sparse.model
        try:
            base = json.loads((self.own / TRAINED).read_text("utf-8"))["base"]
        except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is not one of ours
            return named
        return str(self.own) if base == base_of(named) else named

    @property
    def method(self) -> Method:
        """The sparse method of the settings. Raises UsageError for a name that is none."""
        name = self.settings.sparse.method
        if name not in METHODS:
            raise UsageError(f"settings: sparse.method {name!r}: choose one of {', '.join(METHODS)}")
        return METHODS[name]


def fingerprint_of(model: str) -> str:
    """What changes whenever an encoder's weights do; `model` is a name in models.toml, a folder, or a hub id."""
    if model in catalogue():
        return fingerprint(model)
    return fingerprint_of_trained(model) or fingerprint_of_sparse(model) or model
