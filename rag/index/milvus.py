"""Milvus in place of Lucene, the sparse index and FAISS: one collection a library, a row a passage (pymilvus).

A row has the catalogue's number as its key, the passage's words (from which Milvus's own BM25 function makes a sparse
vector), its learned sparse vector and its dense vector. The catalogue stays the truth: filters are looked up there and
sent as numbers, texts are read there. Rows are written by upsert, so that applying the same changes twice is the same
as once. Consistency is "Strong": a search sees all that was acknowledged, for one process writes and others read. With
a path in place of an address Milvus Lite keeps the collection in that file, for one process at a time.

BM25 here has Milvus's English analyser for every language, no weights of fields, and an idf that may be below zero.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import EngineUnavailable, LibraryError
from rag.index.dense import DenseIndex
from rag.protocols import DenseEncoder, Report, SparseEncoder, SparseVector
from rag.records import Passage, Removal

NAME, FREQUENCY = "collection.txt", "frequency.npy"  # files of the folder
BATCH = 500  # rows written at a time
MOST_FOUND = 16_384  # Milvus's own limit of a search
MOST_WITHIN = 10_000  # numbers of one filter: more are asked for in turn
LONGEST = 65_535  # bytes of a text
ANALYSER = {
    "tokenizer": "standard",
    "filter": ["lowercase", {"type": "stop", "stop_words": ["_english_"]}, {"type": "stemmer", "language": "english"}],
}
WORDS, SPARSE, DENSE = "words", "sparse", "dense"
METRICS = {WORDS: "BM25", SPARSE: "IP", DENSE: "IP"}
Found = list[tuple[int, float]]


class MilvusIndex:
    """The collection of a library (a DerivedIndex). Its three sides are `bm25`, `sparse` and `dense`."""

    def __init__(
        self, folder: Path, uri: str, dense: Callable[[], DenseEncoder], sparse: Callable[[], SparseEncoder],
        built_with: str, bm25: tuple[float, float], picture: Callable[[str], bytes],
    ):  # fmt: skip
        """`folder` is the library's own for what Milvus does not keep; `bm25` has k1 and b. Other arguments are those
        of DenseIndex and SparseIndex."""
        self._folder, self._uri = folder, uri or str(folder / "milvus.db")
        self._dense, self._sparse, self._k1_b = dense, sparse, bm25
        self._vectors = DenseIndex(folder, dense, "", picture)  # which encodes, and keeps nothing here
        self._client: Any = None
        self._frequency: NDArray[np.int32] | None = None
        self._count: int | None = None  # of rows, until some are written
        self.collection = ""  # its name; "" while there is none, or before it is opened
        self.built_with = built_with
        self.bm25, self.sparse, self.dense = Words(self), Sparse(self), Dense(self)

    # -- a DerivedIndex ----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect. Raises LibraryError for a server that does not answer, or a file that another process has open."""
        if self._client is not None:
            return
        from pymilvus import MilvusClient

        for name in ("pymilvus", "grpc"):  # what they log is raised, or is nothing
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._explaining():
            self._client = MilvusClient(self._uri, token=os.environ.get("GLOSSATOR_MILVUS_TOKEN", ""))
            name = self._name()
            if name and self._client.has_collection(name):
                self._client.load_collection(name)
                self.collection = name
        try:
            self._frequency = np.load(self._folder / FREQUENCY, allow_pickle=False)
        except OSError:
            self._frequency = None
        except ValueError as error:
            raise LibraryError(
                f"{self._folder}/{FREQUENCY} is damaged: {error}. "
                f"Rebuild it: glossator check --library {self._folder.parent} --repair"
            ) from error

    @property
    def count(self) -> int:
        """Rows in the collection."""
        if not self.collection:
            return 0
        if self._count is None:
            with self._explaining():
                found = self._client.query(self.collection, filter="", output_fields=["count(*)"])
            self._count = int(found[0]["count(*)"])
        return self._count

    def apply(self, removals: Sequence[Removal], passages: Iterable[tuple[int, Passage]], report: Report) -> None:
        """As DerivedIndex.apply."""
        numbered = list(passages)
        if self.collection:
            for removal in removals:
                self._delete(f"number >= {removal.first_number} and number <= {removal.last_number}")
        for first in range(0, len(numbered), BATCH):
            batch = numbered[first : first + BATCH]
            dense, _ = self._vectors.vectors_of([passage for _, passage in batch], lambda *_: None)
            encoder = self._sparse()
            texts = [passage.searched for _, passage in batch]
            self.put(batch, dense, encoder.encode_documents(texts), encoder.token_ids(texts))
            report("vectors", first + len(batch), len(numbered))

    def put(
        self, batch: Sequence[tuple[int, Passage]], dense: NDArray[np.float32], sparse: Sequence[SparseVector],
        tokens: Sequence[Sequence[int]],
    ) -> None:  # fmt: skip
        """Write the rows of passages: (number, passage), dense (n, d), sparse vectors, and each one's own token ids."""
        if not self.collection:
            self._create(dense.shape[1])
        self._delete(f"number in {[number for number, _ in batch]}")  # what was there is not counted twice
        rows = [
            {
                "number": number, "passage_id": passage.passage_id, "tokens": _text_of(own), DENSE: vector.tolist(),
                SPARSE: dict(zip(terms.tolist(), weights.tolist(), strict=True)) or {0: 1e-9},
                "text": passage.searched.encode()[:LONGEST].decode("utf-8", "ignore"),
            }
            for (number, passage), vector, (terms, weights), own in zip(batch, dense, sparse, tokens, strict=True)
        ]  # fmt: skip
        with self._explaining():
            self._client.upsert(self.collection, rows)
        self._count = None
        self._count_tokens(tokens, 1)

    def commit(self) -> None:
        """As DerivedIndex.commit."""
        if self.collection:
            with self._explaining():
                self._client.flush(self.collection)
        if self._frequency is not None:
            fresh = self._folder / f"new-{FREQUENCY}"
            np.save(fresh, self._frequency)
            os.replace(fresh, self._folder / FREQUENCY)

    def close(self) -> None:
        """Let go of the server, or of the file."""
        if self._client is not None:
            self._client.close()
            self._client, self.collection, self._count = None, "", None

    def drop(self) -> None:
        """Delete the collection: it is to be built anew."""
        self.open()
        if self.collection:
            with self._explaining():
                self._client.drop_collection(self.collection)
        for name in (NAME, FREQUENCY):
            (self._folder / name).unlink(missing_ok=True)
        self._frequency = None
        self.close()

    # -- reading -----------------------------------------------------------------------------------------------------

    def search(self, side: str, query: Any, k: int, within: Sequence[int] | None, fields: Sequence[str] = ()) -> Any:
        """Rows with `number`, a score and `fields`, best first: at least k if there are so many."""
        parts: list[Sequence[int] | None] = [None]
        if within is not None:
            parts = [within[first : first + MOST_WITHIN] for first in range(0, len(within), MOST_WITHIN)]
        found: list[Any] = []
        for part in parts if self.collection else ():
            with self._explaining():
                (rows,) = self._client.search(
                    self.collection, data=[query], anns_field=side, limit=min(k + 8, MOST_FOUND),
                    output_fields=["number", *fields], search_params={"metric_type": METRICS[side]},
                    filter="" if part is None else f"number in {[int(number) for number in part]}",
                )  # fmt: skip
            # Milvus Lite gives BM25 as a distance, the best first and the lowest; Milvus as a score.
            sign = -1.0 if rows and rows[0]["distance"] < 0 and rows[0]["distance"] <= rows[-1]["distance"] else 1.0
            found += [(row["number"], sign * float(row["distance"]), row.get("entity", row)) for row in rows]
        found.sort(key=lambda row: -row[1])
        return found

    def rows(self, numbers: Sequence[int], fields: Sequence[str]) -> dict[int, Any]:
        """Number -> its row, of those that are there."""
        if not self.collection or not len(numbers):
            return {}
        with self._explaining():
            found = self._client.query(
                self.collection, filter=f"number in {[int(number) for number in numbers]}",
                output_fields=["number", *fields],
            )  # fmt: skip
        return {int(row["number"]): row for row in found}

    def document_frequency(self) -> NDArray[np.int32]:
        """As SparseIndex.document_frequency: it is counted here, beside the catalogue."""
        frequency = self._frequency
        return np.zeros(self._sparse().dimensions, dtype=np.int32) if frequency is None else frequency

    # -- parts -------------------------------------------------------------------------------------------------------

    def _name(self) -> str:
        """The name of the collection, which the library's folder keeps; "" for none."""
        try:
            return (self._folder / NAME).read_text("utf-8").strip()
        except OSError:
            return ""

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn Milvus's errors into one line."""
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, OSError, ValueError) as error:
            why = str(getattr(error, "message", "") or error).split("\n")[0][:200]
            raise EngineUnavailable(
                f"Milvus at {self._uri}: {why}. Check that it runs, and that no other process has its file open"
            ) from error

    def _create(self, dimensions: int) -> None:
        from pymilvus import DataType, Function, FunctionType

        name = f"glossator_{secrets.token_hex(8)}"
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("number", DataType.INT64, is_primary=True)
        schema.add_field("passage_id", DataType.VARCHAR, max_length=512)
        schema.add_field("text", DataType.VARCHAR, max_length=LONGEST, enable_analyzer=True, analyzer_params=ANALYSER)
        schema.add_field("tokens", DataType.VARCHAR, max_length=LONGEST)
        schema.add_field(WORDS, DataType.SPARSE_FLOAT_VECTOR)
        schema.add_field(SPARSE, DataType.SPARSE_FLOAT_VECTOR)
        schema.add_field(DENSE, DataType.FLOAT_VECTOR, dim=dimensions)
        schema.add_function(
            Function(
                name="bm25", function_type=FunctionType.BM25, input_field_names=["text"], output_field_names=[WORDS]
            )
        )
        k1, b = self._k1_b
        indexes = self._client.prepare_index_params()
        inverted = "SPARSE_INVERTED_INDEX"
        indexes.add_index(WORDS, index_type=inverted, metric_type="BM25", params={"bm25_k1": k1, "bm25_b": b})
        indexes.add_index(SPARSE, index_type=inverted, metric_type="IP")
        indexes.add_index(DENSE, index_type="FLAT", metric_type="IP")  # exact, as FAISS here; HNSW is for millions
        with self._explaining():
            self._client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Strong")
        (self._folder / NAME).write_text(name, "utf-8")
        self.collection = name

    def _delete(self, condition: str) -> None:
        with self._explaining():
            fields = ["number", "tokens"]
            while gone := self._client.query(self.collection, filter=condition, output_fields=fields, limit=MOST_FOUND):
                self._count_tokens([_numbers_of(row["tokens"]) for row in gone], -1)
                self._client.delete(self.collection, filter=f"number in {[int(row['number']) for row in gone]}")
                self._count = None

    def _count_tokens(self, tokens: Sequence[Sequence[int]], sign: int) -> None:
        if self._frequency is None:
            self._frequency = np.zeros(self._sparse().dimensions, dtype=np.int32)
        for own in tokens:
            self._frequency[list(own)] += sign


def _text_of(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))[: LONGEST - 8]


def _numbers_of(text: str) -> list[int]:
    return [int(part) for part in text.split()]


class Words:
    """What Bm25Retriever asks of its index."""

    def __init__(self, index: MilvusIndex):
        self._index = index

    def search(
        self, query: str, k: int, within: Sequence[int] | None = None, explain: bool = True
    ) -> list[tuple[str, float, dict[str, float]]]:
        """As Bm25Index.search, without contributions of terms: Milvus does not tell them."""
        rows = self._index.search(WORDS, query, k, within, ["passage_id"]) if query.strip() else []
        found = sorted(((row["passage_id"], score) for _, score, row in rows), key=lambda each: (-each[1], each[0]))
        return [(passage_id, score, {}) for passage_id, score in found[:k]]

    def terms(self, query: str, passage_ids: Sequence[str]) -> list[dict[str, float]]:
        """{} for each: as above."""
        return [{} for _ in passage_ids]


class Sparse:
    """What SparseRetriever asks of its index."""

    def __init__(self, index: MilvusIndex):
        self._index = index

    @property
    def count(self) -> int:
        return self._index.count

    def search(self, vector: SparseVector, k: int, within: Sequence[int] | None = None) -> Found:
        """As SparseIndex.search."""
        terms, weights = vector
        asked = {int(term): float(weight) for term, weight in zip(terms, weights, strict=True) if weight > 0}
        rows = self._index.search(SPARSE, asked, k, within) if asked else []
        return [(number, score) for number, score, _ in rows if score > 0]

    def contributions(self, number: int, vector: SparseVector) -> list[tuple[int, float, bool]]:
        """As SparseIndex.contributions."""
        row = self._index.rows([number], [SPARSE, "tokens"]).get(number)
        if row is None:
            return []
        held, own = {int(term): weight for term, weight in row[SPARSE].items()}, set(_numbers_of(row["tokens"]))
        shares = [(int(t), float(w) * held[int(t)]) for t, w in zip(*vector, strict=True) if int(t) in held]
        return [(term, share, term not in own) for term, share in sorted(shares, key=lambda entry: -entry[1])]

    def words(self, number: int) -> set[int]:
        """As SparseIndex.words."""
        row = self._index.rows([number], ["tokens"]).get(number)
        return set(_numbers_of(row["tokens"])) if row else set()

    def words_of(self, numbers: Sequence[int]) -> list[set[int]]:
        """As SparseIndex.words_of."""
        rows = self._index.rows(numbers, ["tokens"])
        return [set(_numbers_of(rows[number]["tokens"])) if number in rows else set() for number in numbers]

    def document_frequency(self) -> NDArray[np.int32]:
        """As SparseIndex.document_frequency."""
        return self._index.document_frequency()


class Dense:
    """What DenseRetriever asks of its index."""

    def __init__(self, index: MilvusIndex):
        self._index = index

    def search(self, vector: NDArray[np.float32], k: int, within: Sequence[int] | None = None) -> Found:
        """As DenseIndex.search."""
        return [(number, score) for number, score, _ in self._index.search(DENSE, vector.tolist(), k, within)]

    def vectors(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """As DenseIndex.vectors, at unit length."""
        held = self._index.rows(numbers, [DENSE])
        rows = [held[int(number)][DENSE] for number in numbers if int(number) in held]
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), len(rows[0]) if rows else 0)
