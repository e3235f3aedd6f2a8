"""The indexes derived from a library's catalogue: bring them up to date, check them, search them.

Each index folder has a `built.json`: the catalogue generation it holds, what it was built with, and its size. It is
written after the index itself, so after a kill an index is at worst ahead of its record, and applying the same changes
again changes nothing. A stale index gets the changes since its generation; a damaged one is made anew; both are logged.
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
from hashlib import sha256
from pathlib import Path

from rag.encode.dense_encoder import fingerprint_of_trained, folder_of, open_encoder
from rag.encode.heads import METHODS, Method
from rag.encode.inference_free import InferenceFreeQuery, idf
from rag.encode.sparse_encoder import SparseTextEncoder, open_sparse_encoder
from rag.errors import IndexMismatch, LibraryBusy, LibraryError, UsageError
from rag.index.bm25 import Bm25Index, Bm25Retriever
from rag.index.dense import DenseIndex, DenseRetriever
from rag.index.sparse import SparseIndex, SparseRetriever
from rag.library.catalogue import Library
from rag.llm.chat import open_reader
from rag.models.registry import catalogue, fingerprint
from rag.protocols import DenseEncoder, DerivedIndex, PictureEncoder, Report, Retriever, SparseQueries, silent
from rag.records import Hit
from rag.retrieve.feedback import FeedbackRetriever
from rag.retrieve.fuse import HybridRetriever
from rag.retrieve.rerank import (
    AttributionReranker,
    CrossEncoderReranker,
    ReaderReranker,
    Reranker,
    RerankingRetriever,
)
from rag.retrieve.sampler import SamplingRetriever
from rag.retrieve.second_hop import LinkedRetriever
from rag.retrieve.term_scores import ExplainedRetriever
from rag.settings import Settings
from rag.train.common import base_of
from rag.train.sparse.sparse_training import TRAINED

RETRY_SECONDS = (0.05, 0.2, 0.5)
CHECKPOINT_SECONDS = 30.0
FIRST_CHECKPOINT_SECONDS = 1.0  # then twice as long each time, so that a new library can be searched while it grows
INDEXES = ("lexical", "sparse", "dense")
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
        self._encoder: DenseEncoder | None = None
        self._sparse_encoder: tuple[str, SparseTextEncoder] | None = None  # its model's fingerprint first
        self._reranker_opened: Reranker | None = None
        self._encoder_lock = threading.Lock()
        self._table: tuple[DerivedIndex, InferenceFreeQuery] | None = None  # made from this opened index
        self._searching: dict[str, tuple[Built, DerivedIndex]] = {}  # name -> its record when it was opened, index

    # -- the parts -----------------------------------------------------------------------------------------------

    def _folder(self, name: str) -> Path:
        return self.library.folder / name

    def _index(self, name: str) -> DerivedIndex:
        folder = self._folder(name)
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
            side = " ".join(map(str, astuple(self._method().document)))  # of queries nothing is indexed
            with_what = f"{_fingerprint(self.sparse_model)}, {side}, {sparse.max_tokens} tokens"
            return SparseIndex(folder, self.sparse_encoder, with_what)
        dense = self.settings.dense
        with_what = f"{_fingerprint(dense.model)} of {dense.max_tokens} tokens"
        return DenseIndex(folder, self.encoder, with_what, self.library.picture)

    def encoder(self) -> DenseEncoder:
        """The dense encoder of the settings: a name in models.toml, a folder, or a hub id."""
        with self._encoder_lock:
            if self._encoder is None:
                dense = self.settings.dense
                self._encoder = open_encoder(dense.model, dense.max_tokens, dense.batch_size)
            return self._encoder

    def sparse_encoder(self) -> SparseTextEncoder:
        """The library's own sparse encoder, or that of the settings, as `encoder`."""
        with self._encoder_lock:
            model = self.sparse_model
            which = _fingerprint(model)  # another process may have trained one since
            if self._sparse_encoder is None or self._sparse_encoder[0] != which:
                sparse = self.settings.sparse
                query_folder = folder_of(sparse.query_model) if sparse.query_model else None
                self._sparse_encoder = (
                    which,
                    open_sparse_encoder(
                        sparse.method, folder_of(model), query_folder, sparse.max_tokens, sparse.batch_size
                    ),
                )
            return self._sparse_encoder[1]

    @property
    def own_encoder(self) -> Path:
        """Where the library's own sparse encoder lies, if it was trained one (`glossator train sparse`)."""
        return self.library.folder / "encoder"

    @property
    def sparse_model(self) -> str:
        """The library's own sparse encoder while the settings name what it was trained from; else the settings'."""
        named = self.settings.sparse.model
        try:
            base = json.loads((self.own_encoder / TRAINED).read_text("utf-8"))["base"]
        except (OSError, ValueError, KeyError, TypeError):  # there is none, or nothing that we wrote
            return named
        return str(self.own_encoder) if base == base_of(named) else named

    def _method(self) -> Method:
        name = self.settings.sparse.method
        if name not in METHODS:
            raise UsageError(f"settings: sparse.method {name!r}: choose one of {', '.join(METHODS)}")
        return METHODS[name]

    def _built(self, name: str) -> Built:
        try:
            return Built(**json.loads((self._folder(name) / "built.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return Built()  # no record is the record of nothing: all is applied again

    def _record(self, name: str, built: Built) -> None:
        fresh = self._folder(name) / "built.json.new"
        fresh.write_text(json.dumps(asdict(built)), "utf-8")
        os.replace(fresh, self._folder(name) / "built.json")

    def check_settings(self, names: Sequence[str]) -> None:
        """IndexMismatch if one of these was built with something else than the settings ask for."""
        for name in names:
            built_with, wanted = self._built(name).built_with, self._index(name).built_with
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
        built, index, generation = self._built(name), self._index(name), self.library.generation
        if not built.built_with:
            return None
        try:
            index.open()
            # Behind the catalogue it may be ahead of its record; level with it, the two must agree.
            if built.generation == generation and index.count != built.count:
                return f"{self._folder(name)}: {index.count} passages, its record says {built.count}"
        except LibraryError as error:
            return str(error)
        finally:
            index.close()
        return None

    # -- writing (the caller holds the writer's lock) ------------------------------------------------------------

    @contextmanager
    def updating(self, report: Report = silent, names: Sequence[str] = INDEXES) -> Iterator[Callable[[], None]]:
        """Yields a function that applies the catalogue's changes.

        They are on disk after a second, two, four, ... at most 30, and at the end. With `names` only these indexes get
        them: a search by words needs no encoder.
        """
        self.check_settings(names)
        for name in names:
            if damage := self._damage(name):
                log.warning("%s. It is made anew from the catalogue now", damage)
            if damage or not self._built(name).built_with:  # files without a record may be anything
                shutil.rmtree(self._folder(name), ignore_errors=True)
        indexes = {name: self._index(name) for name in names}
        applied = {name: self._built(name).generation for name in names}
        saved_at, saved = time.monotonic(), dict(applied)
        pause = FIRST_CHECKPOINT_SECONDS

        def save() -> None:
            nonlocal saved_at, pause
            for name, index in indexes.items():
                if applied[name] > saved[name] or not self._built(name).built_with:
                    index.commit()
                    self._record(name, Built(applied[name], index.built_with, index.count))
                    saved[name] = applied[name]
            self.library.forget_removals(min(self._built(name).generation for name in INDEXES))
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

    def rebuild(self, report: Report = silent) -> None:
        """Make every index anew from the catalogue, with the present settings."""
        for name in INDEXES:
            shutil.rmtree(self._folder(name), ignore_errors=True)
        with self.updating(report):
            pass

    def rebuild_sparse(self, change: Callable[[], None], report: Report = silent) -> None:
        """Make the sparse index anew, if it was made at all, after `change` has put another encoder in its place.

        The old index goes first: after a kill there is none, and the next search makes it with whichever encoder lies
        there.
        """
        built = bool(self._built("sparse").built_with)
        shutil.rmtree(self._folder("sparse"), ignore_errors=True)
        change()
        if built:
            with self.updating(report, ["sparse"]):
                pass

    def problems(self) -> list[str]:
        """What is wrong with the indexes: damage, staleness, other settings; by name, empty when all is well."""
        found = []
        for name in INDEXES:
            built, wanted, generation = self._built(name), self._index(name).built_with, self.library.generation
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
        """The retriever bm25, sparse, dense or hybrid over the newest state of the indexes it needs.

        A stale or damaged index is mended first, unless another process is writing. Raises UsageError for another
        name, IndexMismatch, and LibraryError for an index that cannot be mended.
        """
        if name not in NEEDS:
            raise UsageError(f"--retriever {name}: choose one of {', '.join(NEEDS)}")
        self.check_settings(NEEDS[name])
        if self.library.generation > 0:  # else whoever is about to fill the library would find it locked
            self._mend(NEEDS[name], report)
        if not all(self._built(needed).built_with for needed in NEEDS[name]):
            return _Nothing()  # nothing is stored, or another process is about to write them for the first time
        opening: dict[str, Callable[[], Retriever]] = {
            "bm25": self._bm25, "sparse": self._sparse, "dense": self._dense, "hybrid": self._hybrid
        }  # fmt: skip
        return opening[name]()

    def _mend(self, names: Sequence[str], report: Report) -> None:
        generation = self.library.generation
        opened = [name in self._searching and self._searching[name][0].generation == generation for name in names]
        if all(opened):
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

    def _open(self, name: str) -> DerivedIndex:
        built = self._built(name)
        opened_at, index = self._searching.get(name, (Built(), None))
        if index is None or opened_at != built:
            index = self._index(name)
            for pause in (*RETRY_SECONDS, 0.0):
                try:
                    index.open()
                    break
                except LibraryError:
                    if not pause or not self._others_write():
                        raise
                    time.sleep(pause)
                    built = self._built(name)
            self._searching[name] = (built, index)
        return index

    def _hybrid(self) -> Retriever:
        """All retrievers fused, with what the settings put before and behind that."""
        settings, feedback = self.settings.retrieve, self.settings.feedback
        weights = {"bm25": settings.bm25_weight, "sparse": settings.sparse_weight, "dense": settings.dense_weight}
        if not sum(weights.values()):
            raise UsageError("settings: retrieve.bm25_weight, sparse_weight and dense_weight are all 0: raise one")
        bm25, sparse, dense = self._bm25(explain=False), self._sparse(explain=False), self._dense()
        parts: dict[str, Retriever] = {"bm25": bm25, "sparse": sparse, "dense": dense}
        fusion = settings.fusion_depth, weights, settings.fusion, settings.rank_constant
        first: Retriever = HybridRetriever(parts, *fusion)
        if feedback.method != "none":
            words = HybridRetriever({"bm25": bm25, "sparse": sparse}, *fusion)
            first = FeedbackRetriever(
                dense,
                words,
                self.library.numbers_of,
                feedback.method,
                interpolation=feedback.interpolation,
                sparse_weight=1 - weights["dense"] / sum(weights.values()),
                fusion_depth=settings.fusion_depth,
            )
        if settings.links:
            first = LinkedRetriever(first, self.library, sparse)
        if self.settings.rerank.model:
            first = RerankingRetriever(first, self._reranker(), self.settings.rerank.depth)
        first = SamplingRetriever(
            first,
            settings.fusion_depth,
            self.library.labelled,
            self.library.numbers_of,
            lambda: isinstance(self.encoder(), PictureEncoder),
        )
        return ExplainedRetriever(first, {"bm25": bm25, "sparse": sparse})

    def _reranker(self) -> Reranker:
        model, reader = self.settings.rerank.model, self.settings.reader
        if self._reranker_opened is None:
            if model == "reader":
                self._reranker_opened = ReaderReranker(open_reader(reader))
            elif model == "attribution":
                self._reranker_opened = AttributionReranker(open_reader(reader), reader)
            else:
                self._reranker_opened = CrossEncoderReranker(model)
        return self._reranker_opened

    def _bm25(self, explain: bool = True) -> Bm25Retriever:
        index = self._open("lexical")
        assert isinstance(index, Bm25Index)
        return Bm25Retriever(index, self.library.passages, explain)

    def _sparse(self, explain: bool = True) -> SparseRetriever:
        index = self._open("sparse")
        assert isinstance(index, SparseIndex)
        library = self.library
        return SparseRetriever(
            index, lambda: self._queries(index), library.passages_numbered, library.numbers_of, explain
        )

    def _queries(self, index: SparseIndex) -> SparseQueries:
        if self._method().query.head != "IDF":
            return self.sparse_encoder()
        if self._table is None or self._table[0] is not index:
            weights = idf(index.document_frequency(), index.count)
            self._table = index, InferenceFreeQuery(folder_of(self.sparse_model), weights)
        return self._table[1]

    def _dense(self) -> DenseRetriever:
        index = self._open("dense")
        assert isinstance(index, DenseIndex)
        return DenseRetriever(index, self.encoder, self.library.passages_numbered)


class _Nothing:
    """The Retriever of a library of which nothing is indexed yet."""

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        return [[] for _ in queries]


def _fingerprint(model: str) -> str:
    return fingerprint(model) if model in catalogue() else fingerprint_of_trained(model) or _of_trained(model) or model


def _of_trained(model: str) -> str | None:
    """Of a sparse encoder that our trainer wrote, the first 12 hex digits of its record's sha256; None of another.

    Without its folder's name: a library with an encoder of its own may be moved.
    """
    record = Path(model, TRAINED)
    return f"trained@{sha256(record.read_bytes()).hexdigest()[:12]}" if record.is_file() else None
