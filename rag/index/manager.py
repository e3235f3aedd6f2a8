"""The indexes derived from a library's catalogue: bring them up to date, check them, open them.

Each index folder has a `built.json`: the catalogue generation it holds, what it was built with, and its size. It is
written after the index itself, so after a kill an index is at worst ahead of its record, and applying the same changes
again changes nothing. A stale index gets the changes since its generation; a damaged one is rebuilt; both are logged.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rag.encode.inference_free import InferenceFreeQuery, idf
from rag.encode.sparse_encoder import SparseTextEncoder
from rag.errors import EngineUnavailable, IndexMismatch, LibraryBusy, LibraryError, UsageError
from rag.index.bm25 import Bm25Index, Bm25Retriever
from rag.index.dense import DenseIndex, DenseRetriever
from rag.index.encoders import Encoders, fingerprint_of
from rag.index.leases import OpenIndex
from rag.index.milvus import MilvusIndex
from rag.index.sparse import SparseIndex, SparseRetriever
from rag.library.catalogue import Library
from rag.models.registry import opening
from rag.protocols import DenseEncoder, DerivedIndex, Report, Retriever, SparseQueries, silent
from rag.records import Hit
from rag.settings import Settings

RETRY_SECONDS = (0.05, 0.2, 0.5)
CHECKPOINT_SECONDS = 30.0
FIRST_CHECKPOINT_SECONDS = 1.0  # then twice as long each time, so that a new library can be searched while it grows
INDEXES = ("lexical", "sparse", "dense")
MILVUS = "milvus"  # in place of all three, where the settings name that engine
NEEDS = {"bm25": ["lexical"], "sparse": ["sparse"], "dense": ["dense"], "hybrid": INDEXES}  # retriever -> its indexes
log = logging.getLogger("glossator")


@dataclass(frozen=True, slots=True)
class Built:
    """What an index folder says of itself: see the top of this file."""

    generation: int = 0
    built_with: str = ""
    count: int = 0


class Indexes:
    """A library's indexes under one set of settings. An encoder is loaded when it is first needed."""

    def __init__(self, library: Library, settings: Settings):
        self.library = library
        self.settings = settings
        self.encoders = Encoders(library.folder, settings)
        self._lock = threading.RLock()  # threads of a server open and replace the same indexes
        self._table: tuple[DerivedIndex, InferenceFreeQuery] | None = None  # made from this opened index
        self._opened: dict[str, tuple[Built, OpenIndex]] = {}  # name -> its record when it was opened, index

    # -- the parts -----------------------------------------------------------------------------------------------

    def _folder(self, name: str) -> Path:
        return self.library.folder / name

    @property
    def names(self) -> Sequence[str]:
        """The indexes that the engine of the settings has."""
        return (MILVUS,) if self.settings.library.engine == MILVUS else INDEXES

    def _needed(self, retriever: str) -> Sequence[str]:
        return self.names if self.names == (MILVUS,) else NEEDS[retriever]

    def index(self, name: str) -> DerivedIndex:
        """The index of a name, closed."""
        folder = self._folder(name)
        if name == MILVUS:
            of_words = (self.settings.bm25.k1, self.settings.bm25.b)
            built_with = f"{self.index('sparse').built_with}; {self.index('dense').built_with}; BM25 {of_words}"
            uri, picture = self.settings.library.uri, self.library.picture
            return MilvusIndex(folder, uri, self.encoder, self.sparse_encoder, built_with, of_words, picture)
        if name == "lexical":
            bm25 = self.settings.bm25
            weights = {
                "title": bm25.title_weight,
                "chapter": bm25.chapter_weight,
                "description": bm25.description_weight,
            }
            return Bm25Index(folder, bm25.k1, bm25.b, weights)
        if name == "sparse":
            sparse = self.settings.sparse
            side = " ".join(map(str, astuple(self.encoders.method.document)))  # of queries nothing is indexed
            built_with = f"{fingerprint_of(self.sparse_model)}, {side}, {sparse.max_tokens} tokens"
            return SparseIndex(folder, self.sparse_encoder, built_with)
        dense = self.settings.dense
        built_with = f"{fingerprint_of(dense.model)} of {dense.max_tokens} tokens"
        return DenseIndex(folder, self.encoder, built_with, self.library.picture)

    def encoder(self) -> DenseEncoder:
        """As Encoders.dense."""
        return self.encoders.dense()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The dense vectors of texts: unit length, (texts, d)."""
        return self.encoder().encode(texts)

    def sparse_encoder(self) -> SparseTextEncoder:
        """As Encoders.sparse."""
        return self.encoders.sparse()

    @property
    def own_encoder(self) -> Path:
        """As Encoders.own."""
        return self.encoders.own

    @property
    def sparse_model(self) -> str:
        """As Encoders.sparse_model."""
        return self.encoders.sparse_model

    def built_with(self, name: str) -> str:
        """What an index of the settings is built with: another one is none of theirs."""
        return self.index(name).built_with

    def _built(self, name: str) -> Built:
        try:
            return Built(**json.loads((self._folder(name) / "built.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return Built()  # no record is the record of nothing: all is applied again

    def record(self, name: str, built: Built) -> None:
        """Write what an index holds from now on; the caller holds the writer's lock."""
        fresh = self._folder(name) / "built.json.new"
        fresh.write_text(json.dumps(asdict(built)), "utf-8")
        os.replace(fresh, self._folder(name) / "built.json")

    @property
    def searchable_generation(self) -> int:
        """The catalogue's generation that a search over all indexes finds."""
        return min(self._built(name).generation for name in self.names)

    def check_settings(self, names: Sequence[str]) -> None:
        """IndexMismatch if one of these was built with something else than the settings ask for."""
        for name in names:
            built_with, wanted = self._built(name).built_with, self.index(name).built_with
            if built_with and built_with != wanted:
                folder = self.library.folder
                raise IndexMismatch(
                    f"{folder}/{name} was built with {built_with!r}, the settings ask for {wanted!r}. "
                    f"Change the setting back, or rebuild: glossator check --library {folder} --repair"
                )

    def _damage(self, name: str) -> str | None:
        """Why the index cannot be used as it lies on disk, or None."""
        found = self._damage_now(name)
        for pause in RETRY_SECONDS:
            if found is None or not self._others_write():
                break
            time.sleep(pause)  # what another process replaces at this very moment is not damaged
            found = self._damage_now(name)
        return found

    def _others_write(self) -> bool:
        """Whether another process is writing to the library."""
        holder = self.library.holder()
        return holder is not None and holder != os.getpid()

    def _damage_now(self, name: str) -> str | None:
        built, index, generation = self._built(name), self.index(name), self.library.generation
        if not built.built_with:
            return None
        try:
            index.open()
            # Behind the catalogue it may be ahead of its record; level with it, the two must agree.
            if built.generation == generation and index.count != built.count:
                return f"{self._folder(name)}: {index.count} passages, its record says {built.count}"
        except EngineUnavailable:
            raise
        except LibraryError as error:
            return str(error)
        finally:
            index.close()
        return None

    # -- writing (the caller holds the writer's lock) ------------------------------------------------------------

    @contextmanager
    def updating(self, report: Report = silent, names: Sequence[str] = ()) -> Iterator[Callable[[], None]]:
        """Yields a function that applies the catalogue's changes.

        They are on disk after a second, two, four, ... at most 30, and at the end. With `names` only these indexes get
        them: a search by words needs no encoder.
        """
        names = names or self.names
        self.check_settings(names)
        for name in names:
            if damage := self._damage(name):
                log.warning("%s. It is rebuilt from the catalogue now", damage)
            if damage or not self._built(name).built_with:  # files without a record may be anything
                self._clear(name)
        indexes = {name: self.index(name) for name in names}
        applied = {name: self._built(name).generation for name in names}
        saved_at, saved = time.monotonic(), dict(applied)
        pause = FIRST_CHECKPOINT_SECONDS

        def save() -> None:
            nonlocal saved_at, pause
            for name, index in indexes.items():
                if applied[name] > saved[name] or not self._built(name).built_with:
                    index.commit()
                    self.record(name, Built(applied[name], index.built_with, index.count))
                    saved[name] = applied[name]
            self.library.forget_removals(min(self._built(name).generation for name in self.names))
            saved_at, pause = time.monotonic(), min(2 * pause, CHECKPOINT_SECONDS)

        def update() -> None:
            generation = self.library.generation
            for name, index in indexes.items():
                if applied[name] < generation:
                    since = applied[name]
                    index.apply(self.library.removals_since(since), self.library.passages_since(since), report)
                    applied[name] = generation
            if time.monotonic() - saved_at > pause:
                save()

        try:
            for index in indexes.values():
                if not isinstance(index, Bm25Index):  # whose writer opens by itself
                    index.open()
            yield update
            update()
            save()
        finally:
            for index in indexes.values():
                index.close()

    def _clear(self, name: str) -> None:
        index = self.index(name)
        if isinstance(index, MilvusIndex):
            index.drop()
        shutil.rmtree(self._folder(name), ignore_errors=True)

    def rebuild(self, report: Report = silent) -> None:
        """Rebuild every index from the catalogue, with the present settings."""
        for name in self.names:
            self._clear(name)
        with self.updating(report):
            pass

    def rebuild_sparse(self, change: Callable[[], None], report: Report = silent) -> None:
        """Rebuild the sparse index, if there is one, after `change` has put another encoder in its place.

        The old index goes first: after a kill there is none, and the next search makes it with whichever encoder lies
        there.
        """
        name = "sparse" if "sparse" in self.names else MILVUS
        built = bool(self._built(name).built_with)
        if built:
            self._clear(name)
        change()
        if built:
            with self.updating(report, [name]):
                pass

    def problems(self) -> list[str]:
        """What is wrong with the indexes: damage, staleness, other settings; by name, empty when all is well."""
        found = []
        for name in self.names:
            built, wanted, generation = self._built(name), self.index(name).built_with, self.library.generation
            if damage := self._damage(name):
                found.append(damage)
            elif built.built_with and built.built_with != wanted:
                found.append(f"{name}: built with {built.built_with!r}, the settings ask for {wanted!r}")
            elif built.generation < generation:
                found.append(f"{name}: stale, made at generation {built.generation} of {generation}")
            elif built.count != len(self.library.numbers()):
                found.append(f"{name}: {built.count} passages, the catalogue has {len(self.library.numbers())}")
        return found

    # -- reading -------------------------------------------------------------------------------------------------

    def retriever(self, name: str, report: Report = silent) -> Retriever:
        """The retriever bm25, sparse or dense over the newest state of its index; for hybrid see rag/search.py.

        Raises as `prepare`.
        """
        if not self.prepare(name, report):
            return NothingIndexed()
        opening: dict[str, Callable[[], Retriever]] = {"bm25": self.bm25, "sparse": self.sparse, "dense": self.dense}
        return opening[name]()

    def prepare(self, name: str, report: Report = silent) -> bool:
        """Bring up to date what the retriever `name` needs, unless another process is writing.

        Says whether there is anything to search: False where nothing is stored, or another process is about to write
        an index for the first time. Raises UsageError for an unknown retriever, IndexMismatch, and LibraryError for an
        index that cannot be repaired.
        """
        if name not in NEEDS:
            raise UsageError(f"--retriever {name}: choose one of {', '.join(NEEDS)}")
        needed = self._needed(name)
        self.check_settings(needed)
        if self.library.generation > 0:  # else whoever is about to fill the library would find it locked
            self._repair(needed, report)
        return all(self._built(each).built_with for each in needed)

    def _repair(self, names: Sequence[str], report: Report) -> None:
        generation = self.library.generation
        with self._lock:
            if all(name in self._opened and self._opened[name][0].generation == generation for name in names):
                return
        stale = [name for name in names if not self._is_current(name) or self._damage(name)]
        if not stale:
            return
        try:
            with self.library.writing("bringing indexes up to date"):
                log.warning("%s: %s not up to date; applying the changes", self.library.folder, " and ".join(stale))
                with self.updating(report, names):
                    pass
        except (LibraryError, OSError) as error:
            never_built = any(not self._built(name).built_with for name in names)
            if (never_built and not isinstance(error, LibraryBusy)) or any(map(self._damage, names)):
                raise  # nobody is about to build it
            log.warning("%s. Searching what is indexed so far", error)

    def _is_current(self, name: str) -> bool:
        built = self._built(name)
        return bool(built.built_with) and built.generation == self.library.generation

    def _open(self, name: str) -> OpenIndex:
        """The index as it lies on disk now; the one opened before is closed when its last retriever is gone."""
        with self._lock:
            built = self._built(name)
            if name in self._opened and self._opened[name][0] == built:
                return self._opened[name][1]
            index = self.index(name)
            for pause in (*RETRY_SECONDS, 0.0):
                try:
                    index.open()
                    break
                except LibraryError:
                    if not pause or not self._others_write():
                        raise
                    time.sleep(pause)
                    built = self._built(name)
            before = self._opened.get(name)
            self._opened[name] = built, OpenIndex(index)
        if before:
            before[1].replace()
        return self._opened[name][1]

    def bm25(self, explain: bool = True) -> Bm25Retriever:
        """A retriever over the BM25 index; with `explain`, hits say what each term contributed."""
        opened = self._open(self._needed("bm25")[0])
        index = opened.index.bm25 if isinstance(opened.index, MilvusIndex) else opened.index
        return opened.lend(Bm25Retriever(cast(Bm25Index, index), self.library.passages, explain))

    def sparse(self, explain: bool = True) -> SparseRetriever:
        """A retriever over the index of learned sparse vectors; `explain` as for bm25."""
        opened, library = self._open(self._needed("sparse")[0]), self.library
        side = opened.index.sparse if isinstance(opened.index, MilvusIndex) else opened.index
        index = cast(SparseIndex, side)
        return opened.lend(
            SparseRetriever(index, lambda: self._queries(index), library.passages_numbered, library.numbers_of, explain)
        )

    def _queries(self, index: SparseIndex) -> SparseQueries:
        if self.encoders.method.query.head != "IDF":
            return self.sparse_encoder()
        with self._lock:
            if self._table is None or self._table[0] is not index:
                weights = idf(index.document_frequency(), index.count)
                with opening(self.sparse_model) as folder:
                    self._table = index, InferenceFreeQuery(folder, weights)
            return self._table[1]

    def dense(self, change: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None) -> DenseRetriever:
        """A retriever over the index of dense vectors; `change` as of DenseRetriever."""
        opened = self._open(self._needed("dense")[0])
        side = opened.index.dense if isinstance(opened.index, MilvusIndex) else opened.index
        index = cast(DenseIndex, side)
        return opened.lend(DenseRetriever(index, self.encoder, self.library.passages_numbered, change))


class NothingIndexed:
    """The Retriever of a library of which nothing is indexed yet."""

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        return [[] for _ in queries]
