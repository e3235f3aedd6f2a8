"""`glossator eval concepts`: the concepts of one library beside other kinds of dictionaries, and what muting does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.concepts.concept_measures import ClassFit, Muting, class_fit, explained, matched, muting
from eval.core.bootstrap import bootstrap_interval
from rag.concepts.concept_dictionary import KINDS, Dictionary, Kind
from rag.concepts.concept_index import MOST_VECTORS, Concepts, open_concepts
from rag.concepts.concept_labels import (
    TITLE,
    Label,
    Vocabulary,
    best_labels,
    clear_concepts,
    clear_weights,
    held_out,
    judged,
    label_all,
)  # fmt: skip
from rag.concepts.dictionary_training import ACTIVE, distinct, size_for, train
from rag.concepts.steering import SteeredRetriever, Steering
from rag.errors import DataError, UsageError
from rag.index.manager import Indexes
from rag.protocols import Report, silent
from rag.search import open_retriever

SEEDS = 5
CONTROLS = 128  # random directions, the best of which stands beside the best concept
CLASS_LEAST, CLASSES = 30, 40  # passages that a class of the metadata must have; classes that are measured, the largest
FIELDS = ("part", "article", "show", "speaker", "chapter", "kind")
Json = dict[str, Any]
Rows = NDArray[np.float32]


class _Trial:
    """One library with its vectors, words and questions."""

    def __init__(self, indexes: Indexes, questions: Sequence[str], seed: int):
        self.indexes, self.questions, self.seed = indexes, questions, seed
        self.numbers = indexes.library.numbers()
        vectors = indexes.dense().unit_vectors(self.numbers)
        if vectors is None:
            raise UsageError(f"{indexes.library.folder}: its dense index is not up to date. Search in it once")
        self.vectors: Rows = vectors
        chosen = np.arange(len(self.numbers))
        if len(chosen) > MOST_VECTORS:
            chosen = np.sort(np.random.default_rng(0).choice(chosen, MOST_VECTORS, replace=False))
        self.rows = chosen
        named = [self.numbers[row] for row in chosen.tolist()]
        passages = indexes.library.passages_numbered(named)
        self.vocabulary = Vocabulary([passages[number] for number in named])
        # words are chosen on one half, the names that hold on a quarter, and what is reported is of the last
        self.judging = held_out(named, 0.5)
        self.reported = self.judging & held_out(named, 0.5, seed=1)
        self.encoded = indexes.encode(list(questions))
        scores = self.encoded @ self.vectors.T
        self.best = np.argsort(-scores, axis=1, kind="stable")[:, :5]

    def row(self, kind: Kind, report: Report) -> Json:
        """What one kind of dictionary is worth."""
        began = time.monotonic()
        learnt_from = distinct(self.vectors, MOST_VECTORS)
        size = size_for(len(learnt_from))
        dictionary = train(learnt_from, size, kind=kind, report=report)
        seconds = time.monotonic() - began
        parts = [explained(dictionary, q, self.vectors[best]) for q, best in zip(self.encoded, self.best, strict=True)]
        shares = [part.share for part in parts]
        held = held_out(self.numbers, 0.25)
        without = train(distinct(self.vectors[~held], MOST_VECTORS), size, kind=kind)
        codes = dictionary.codes(self.vectors[:: max(1, len(self.vectors) // 5000)])
        names = self.names(dictionary)
        return {
            "kind": kind,
            "concepts": len(dictionary.atoms),
            "seconds": round(seconds, 1),
            "l0": round(float((codes != 0).sum(axis=1).mean()), 1),
            "unexplained_variance": round(dictionary.unexplained(self.vectors), 4),
            "unexplained_variance_held_out": round(without.unexplained(self.vectors[held]), 4),
            "explained": round(1 - sum(p.left for p in parts) / sum(p.whole for p in parts), 4),
            "explained_interval": [round(value, 4) for value in bootstrap_interval(shares, self.seed)],
            "largest_three": round(float(np.mean([part.largest for part in parts])), 4),
            **names,
        }

    def names(self, dictionary: Dictionary) -> Json:
        """How many names hold, and their precision and recall on the part that neither chose nor selected them.

        The mean over names, of which one that tells no passage of that part has 0; and pooled over all of them.
        """
        ids, weights = dictionary.main_codes(self.vectors[self.rows])
        least = clear_weights(ids, weights, len(dictionary.atoms))
        has = clear_concepts(ids, weights, least)
        labels = label_all(self.vocabulary, has, ~self.judging, self.judging & ~self.reported)
        shown = best_labels(labels)
        own = [self.told(labels[i], has[:, i]) for i in shown]
        other = [self.told(labels[i], has[:, j]) for i, j in zip(shown, shown[1:] + shown[:1], strict=True)]
        right, told, having = (sum(counts) for counts in zip(*own, strict=True)) if own else (0, 0, 0)
        precisions, recalls = [r / max(t, 1) for r, t, _ in own], [r / max(h, 1) for r, _, h in own]
        return {
            "named": len(shown),
            "named_by_title": sum(all(word.startswith(TITLE) for word in labels[i].words) for i in shown),
            "precision": _mean(precisions),
            "precision_interval": [round(value, 4) for value in bootstrap_interval(precisions, self.seed)],
            "recall": _mean(recalls),
            "recall_interval": [round(value, 4) for value in bootstrap_interval(recalls, self.seed)],
            "precision_pooled": round(right / max(told, 1), 4),
            "recall_pooled": round(right / max(having, 1), 4),
            "precision_shuffled": _mean(r / max(t, 1) for r, t, _ in other),
            "recall_shuffled": _mean(r / max(h, 1) for r, _, h in other),
        }

    def told(self, label: Label, has: NDArray[np.bool_]) -> tuple[int, int, int]:
        """Of the reported part: right, told, having."""
        return judged(self.vocabulary.told(label)[self.reported], has[self.reported])

    def stability(self) -> Json:
        """How far five trainings agree: cosines of matched concepts, and of random directions."""
        learnt_from = distinct(self.vectors, MOST_VECTORS)
        size = size_for(len(learnt_from))
        atoms = [train(learnt_from, size, seed=seed).atoms for seed in range(SEEDS)]
        cosines = np.concatenate([matched(atoms[0], other) for other in atoms[1:]])
        control = matched(atoms[0], train(learnt_from, size, kind="random").atoms)
        return {
            "seeds": SEEDS, "median_cosine": round(float(np.median(cosines)), 4),
            "share_over_0.8": round(float((cosines > 0.8).mean()), 4),
            "median_cosine_random": round(float(np.median(control)), 4),
        }  # fmt: skip

    def classes(self, concepts: Concepts) -> list[ClassFit]:
        """The classes of the metadata, told by one concept each."""
        library, found = self.indexes.library, list[tuple[str, NDArray[np.bool_]]]()
        numbers = np.asarray(self.numbers)
        for field in FIELDS:
            for value in _values(library, field):
                wanted = np.isin(numbers, library.select([f"{field}={value}"]) or [])
                if CLASS_LEAST <= wanted.sum() <= len(numbers) - CLASS_LEAST:
                    found.append((f"{field}={value}", wanted))
        found.sort(key=lambda entry: -int(entry[1].sum()))
        chosen_on = ~held_out(self.numbers, 0.5)
        found = [(n, w) for n, w in found if min((w & chosen_on).sum(), (w & ~chosen_on).sum()) >= CLASS_LEAST // 3]
        codes, having = concepts.dictionary.codes(self.vectors), concepts.having(range(len(concepts.labels)))
        controls = train(self.vectors, len(concepts.labels), kind="random").atoms[:CONTROLS]
        return [
            class_fit(name, self.vectors, codes, having, concepts.dictionary, wanted, chosen_on, controls)
            for name, wanted in found[:CLASSES]
        ]

    def mutings(self, concepts: Concepts) -> dict[str, list[Muting]]:
        """For each question: its ten best before and after its largest concept is muted, in three ways.

        "muted": as the product does; "vector": by the question's vector alone; "random": another concept.
        """
        plain = open_retriever(self.indexes, "hybrid")
        rng = np.random.default_rng(self.seed)
        found: dict[str, list[Muting]] = {"muted": [], "vector": [], "random": []}
        for question in self.questions:
            hits = plain.search([question], 10)[0]
            shares: dict[int, float] = {}
            for hit in hits:
                for share in hit.concepts:
                    if share.concept_id:
                        concept = concepts.find(share.concept_id)
                        shares[concept] = shares.get(concept, 0.0) + share.share
            if not shares:
                continue
            largest = max(shares, key=lambda concept: shares[concept])
            others = [concept for concept in concepts.shown if concept not in shares] or concepts.shown
            another = int(rng.choice(others)) if others else largest
            before = [hit.passage.passage_id for hit in hits]
            ids = self._ids_with(concepts.having([largest])[:, 0], concepts)
            for how, concept in (("muted", largest), ("vector", largest), ("random", another)):
                steering = Steering(mute=(concepts.concept_id(concept),))
                retriever = open_retriever(self.indexes, "hybrid", steering=steering)
                if how == "vector":
                    retriever = _without_reranking(retriever)
                after = [hit.passage.passage_id for hit in retriever.search([question], 10)[0]]
                if (result := muting(before, after, ids)) is not None:
                    found[how].append(result)
        return found

    def _ids_with(self, having: NDArray[np.bool_], concepts: Concepts) -> set[str]:
        passages = self.indexes.library.passages_numbered(concepts.numbers[having].tolist())
        return {passage.passage_id for passage in passages.values()}


def _without_reranking(retriever: Any) -> Any:
    """A steered retriever whose ranking is changed by the question's vector alone."""
    inner = retriever._first
    return inner._first if isinstance(inner, SteeredRetriever) else inner


def _values(library: Any, field: str) -> list[str]:
    try:
        return [*library.values(field)]
    except KeyError:
        return ["text", "table", "figure"] if field == "kind" else []


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return round(float(np.mean(listed)), 4) if listed else 0.0


def read_questions(file: Path, limit: int | None) -> list[str]:
    """The questions of a JSONL file of records with "question", "query" or "text". Raises DataError."""
    found = []
    try:
        for line in file.read_text("utf-8").splitlines():
            if line.strip():
                record = json.loads(line)
                found.append(next(record[key] for key in ("question", "query", "text") if record.get(key)))
    except (OSError, ValueError, StopIteration, TypeError) as error:
        raise DataError(f"{file}: a line for each question is wanted, JSON with question, query or text") from error
    if not found:
        raise DataError(f"{file}: no questions. Name another file")
    return found[:limit]


def run(
    indexes: Indexes, questions: Sequence[str], kinds: Sequence[Kind] = KINDS, seed: int = 0, report: Report = silent
) -> Json:
    """All figures of one library. Raises UsageError for one without concepts."""
    concepts = open_concepts(indexes)
    if concepts is None:
        raise UsageError(f"{indexes.library.folder} has no concepts. Ingest 50 passages or more into it")
    began = time.monotonic()
    trial = _Trial(indexes, questions, seed)
    rows = [trial.row(kind, report) for kind in kinds]
    fits = trial.classes(concepts)
    steered = trial.mutings(concepts)
    metrics: Json = {f"{row['kind']}/{name}": row[name] for row in rows for name in (
        "explained", "named", "precision", "recall", "precision_pooled", "precision_shuffled",
        "unexplained_variance",
    )}  # fmt: skip
    for how, results in steered.items():
        metrics |= {f"{how}/left": _mean(r.target for r in results), f"{how}/kept": _mean(r.others for r in results)}
    metrics |= {
        "class/ceiling": _mean(fit.ceiling for fit in fits), "class/concept": _mean(fit.concept for fit in fits),
        "class/random": _mean(fit.random for fit in fits), "class/split": _mean(fit.split for fit in fits),
        "class/absorbed": _mean(fit.absorbed for fit in fits),
    }  # fmt: skip
    intervals = {
        f"{how}/{name}": [round(value, 4) for value in bootstrap_interval([getattr(r, field) for r in results], seed)]
        for how, results in steered.items()
        for name, field in (("left", "target"), ("kept", "others"))
    }
    return {
        "task": "concepts", "passages": len(trial.numbers), "n": len(questions), "active": ACTIVE, "kinds": rows,
        "stability": trial.stability(), "classes": [asdict(fit) for fit in fits], "metrics": metrics,
        "intervals": intervals, "muted_questions": len(steered["muted"]), "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip


def concepts_text(result: Json) -> str:
    """The tables for people."""
    columns = ("concepts", "l0", "unexplained_variance", "unexplained_variance_held_out", "explained", "largest_three",
               "named", "precision", "recall", "precision_pooled", "precision_shuffled", "seconds")  # fmt: skip
    heads = ("concepts", "L0", "unexpl.", "held out", "explained", "three", "named", "prec.", "recall", "pooled P",
             "shuf. P", "seconds")  # fmt: skip
    lines = [f"{result['passages']:,} passages, {result['n']} questions", ""]
    lines.append(f"{'':9}" + "".join(f"{head:>10}" for head in heads))
    for row in result["kinds"]:
        lines.append(f"{row['kind']:9}" + "".join(f"{row[column]:>10}" for column in columns))
    stable = result["stability"]
    lines += ["", f"{stable['seeds']} seeds: median cosine of matched concepts {stable['median_cosine']}, over 0.8: "
              f"{stable['share_over_0.8']}; of random directions {stable['median_cosine_random']}"]  # fmt: skip
    metrics = result["metrics"]
    lines.append("")
    lines += [
        f"{how:7} {metrics[f'{how}/left']:.2f} of the concept's passages left in the ten best, "
        f"{metrics[f'{how}/kept']:.2f} of the others kept"
        for how in ("muted", "vector", "random")
    ]
    lines.append("")
    lines.append(
        f"{'class of the metadata':40}{'n':>7}{'ceiling':>9}{'concept':>9}{'random':>8}{'split':>7}{'absorbed':>10}"
    )
    lines += [
        f"{fit['name'][:39]:40}{fit['passages']:7}{fit['ceiling']:9.2f}{fit['concept']:9.2f}{fit['random']:8.2f}"
        f"{fit['split']:7}{fit['absorbed']:10.2f}"
        for fit in result["classes"]
    ]
    return "\n".join(lines)
