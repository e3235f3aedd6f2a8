"""What the parts of a learned sparse encoder are worth: weights and expansion, of queries and of passages, taken away.

The three findings of Nguyen, MacAvaney and Yates (ECIR 2023, arXiv 2303.13416), in direction only: they trained a model
for each row, here one encoder's vectors are cut down and nothing is trained. A term is a text's own if the text says
it, and expansion is every other term. Each row is scored exactly, over the whole corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.core.bootstrap import summarise
from eval.core.report import table, with_interval
from eval.retrieval.collection import Collection, Query
from eval.retrieval.corpus import Corpus
from eval.retrieval.measures import ALL_GOLD, DEPTH, Ranking, measure
from eval.retrieval.systems import differences, signed
from rag.encode.inference_free import idf
from rag.errors import UsageError
from rag.index.sparse import SparseIndex
from rag.index.vectors import Vectors, invert, starts_of
from rag.protocols import SparseEncoder, SparseVector

BINARY, OWN, EXPANDED, IDF = "binary", "own", "expanded", "idf"
SPLADE, INFERENCE_FREE = (EXPANDED, EXPANDED), (IDF, EXPANDED)
ROWS = (  # (queries, passages)
    (BINARY, BINARY),
    (BINARY, OWN),
    (BINARY, EXPANDED),
    (OWN, OWN),
    (OWN, EXPANDED),
    (EXPANDED, OWN),
    SPLADE,
    INFERENCE_FREE,
    (IDF, OWN),
)
FINDINGS = {  # what is changed: (the row with it, the row without it); the first three are the framework's
    "1. passages weighted (queries binary)": ((BINARY, OWN), (BINARY, BINARY)),
    "2. queries weighted (passages own)": ((OWN, OWN), (BINARY, OWN)),
    "3. queries expanded (passages expanded)": (SPLADE, (OWN, EXPANDED)),
    "queries weighted (passages expanded)": ((OWN, EXPANDED), (BINARY, EXPANDED)),
    "queries weighted by idf (passages expanded)": (INFERENCE_FREE, (BINARY, EXPANDED)),
    "queries expanded (passages own)": ((EXPANDED, OWN), (OWN, OWN)),
    "passages expanded (queries own)": ((OWN, EXPANDED), (OWN, OWN)),
    "passages expanded (queries idf)": (INFERENCE_FREE, (IDF, OWN)),
}
NAMES = {SPLADE: " (SPLADE)", INFERENCE_FREE: " (inference-free)"}

Pair = tuple[str, str]


def ablate(
    collection: Collection, corpus: Corpus, measures: Sequence[str] = ("R@2", "R@5", ALL_GOLD), seed: int = 0
) -> dict[str, Any]:
    """A row for each of ROWS and the paired difference of each of FINDINGS, to be printed as JSON.

    `corpus` holds the collection's entries, with a sparse index by SPLADE's encoder or by inference-free's, which
    encode passages alike. Raises UsageError for another method, and for a corpus without a sparse index.
    """
    scores = {
        pair: measure(rankings, collection.qrels) for pair, rankings in rankings_of(collection.queries, corpus).items()
    }
    rows = []
    for pair, of_queries in scores.items():
        metrics, intervals = summarise(list(of_queries.values()), seed)
        rows.append({"queries": pair[0], "passages": pair[1], "metrics": metrics, "intervals": intervals})
    findings = [
        {"finding": name, "differences": differences(scores[with_it], scores[without], measures, seed)}
        for name, (with_it, without) in FINDINGS.items()
    ]
    return {
        "task": "ablation",
        "n": len(collection.queries),
        "passages": len(collection.entries),
        "measures": list(measures),
        "seed": seed,
        "rows": rows,
        "findings": findings,
    }


def rankings_of(queries: Sequence[Query], corpus: Corpus) -> dict[Pair, dict[str, Ranking]]:
    """Row of ROWS -> query id -> its DEPTH best passages. Raises UsageError as `ablate`."""
    method = corpus.indexes.settings.sparse.method
    if method not in ("SPLADE", "inference-free"):
        raise UsageError(f"sparse.method {method}: the ablation needs expanded passages. Choose SPLADE")
    encoder = corpus.indexes.sparse_encoder()
    index = SparseIndex(corpus.indexes.library.folder / "sparse", lambda: encoder, "")
    index.open()
    vectors = index.vectors()
    if vectors is None:
        raise UsageError(f"{corpus.indexes.library.folder} has no sparse index. Open the corpus for retriever sparse")
    passages = passage_sides(vectors)
    asked = query_sides([query.text for query in queries], encoder, idf(index.document_frequency(), index.count))
    by_number = {number: key for key, number in corpus.numbers.items()}
    keys = [by_number[int(number)] for number in vectors.numbers]
    ties = np.argsort(np.argsort([corpus.passages[key].passage_id for key in keys]))  # as every Retriever's
    found: dict[Pair, dict[str, Ranking]] = {}
    for pair in ROWS:
        rankings = search(asked[pair[0]], passages[pair[1]], encoder.dimensions, ties)
        found[pair] = {
            query.id: [(keys[row], score) for row, score in ranking]
            for query, ranking in zip(queries, rankings, strict=True)
        }
    return found


def passage_sides(vectors: Vectors) -> dict[str, Vectors]:
    """Kind -> the passages so: "binary" has 1 for each own term, "own" the own terms' weights, "expanded" all."""
    rows = len(vectors.numbers)
    row_of_term = np.arange(rows).repeat(np.diff(vectors.starts))
    row_of_word = np.arange(rows).repeat(np.diff(vectors.word_starts))
    many = 1 + int(max(vectors.terms.max(initial=0), vectors.words.max(initial=0)))
    own = np.isin(row_of_term * many + vectors.terms, row_of_word * many + vectors.words)
    return {
        BINARY: replace(
            vectors,
            steps=np.ones(rows, np.float32),
            starts=vectors.word_starts,
            terms=vectors.words,
            impacts=np.ones(len(vectors.words), np.uint8),
        ),
        OWN: replace(
            vectors,
            starts=starts_of(np.bincount(row_of_term[own], minlength=rows)),
            terms=vectors.terms[own],
            impacts=vectors.impacts[own],
        ),
        EXPANDED: vectors,
    }


def query_sides(
    texts: Sequence[str], encoder: SparseEncoder, weights: NDArray[np.float32]
) -> dict[str, list[SparseVector]]:
    """Kind -> the queries so, as `passage_sides`; "idf" has for each own term what `weights`, (terms,), says."""
    sides: dict[str, list[SparseVector]] = {kind: [] for kind in (BINARY, OWN, EXPANDED, IDF)}
    encoded = encoder.encode_documents(texts)  # SPLADE's one model reads queries as it reads passages
    for (terms, values), words in zip(encoded, encoder.token_ids(texts), strict=True):
        present, token_ids = np.isin(terms, words), np.asarray(words, np.int32)
        sides[BINARY].append((token_ids, np.ones(len(token_ids), np.float32)))
        sides[OWN].append((terms[present], values[present]))
        sides[EXPANDED].append((terms, values))
        sides[IDF].append((token_ids, weights[token_ids]))
    return sides


def search(
    queries: Sequence[SparseVector], passages: Vectors, dimensions: int, ties: NDArray[np.int64]
) -> list[list[tuple[int, float]]]:
    """Of each query the DEPTH rows of `passages` with the largest inner products above 0, with these, best first.

    Equal scores stand in the order of `ties`, (rows,). Sums are 32-bit, term by term, as the index's own.
    """
    postings = invert(passages, dimensions)
    rankings = []
    for terms, weights in queries:
        scores = np.zeros(len(passages.numbers), np.float32)
        for term, weight in zip(terms, weights, strict=True):
            subset = slice(postings.offsets[term], postings.offsets[term + 1])
            scores[postings.slots[subset]] += weight * postings.slot_impacts[subset]  # a passage has a term once
        scores *= passages.steps
        best = np.lexsort((ties, -scores))[:DEPTH]
        rankings.append([(int(row), float(scores[row])) for row in best if scores[row] > 0])
    return rankings


def ablation_text(result: Mapping[str, Any], title: str) -> str:
    """The result of ablate as Markdown: the rows, then the findings."""
    measures = result["measures"]
    rows = [
        [
            row["queries"],
            row["passages"] + NAMES.get((row["queries"], row["passages"]), ""),
            *(with_interval(name, row["metrics"], row["intervals"]) for name in measures),
        ]
        for row in result["rows"]
    ]
    found = [
        [finding["finding"], *(signed(finding["differences"][name]) for name in measures)]
        for finding in result["findings"]
    ]
    lines = [
        f"## {title}: {result['n']:,} queries, {result['passages']:,} passages",
        "",
        "binary: 1 for each of the text's own terms; own: the encoder's weights of these; expanded: of all terms.",
        "",
        *table(["queries", "passages", *measures], rows),
        "",
        "What each changes, paired; p two-sided, each by itself:",
        "",
        *table(["", *measures], found),
    ]
    return "\n".join(lines) + "\n"
