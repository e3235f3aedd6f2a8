"""Naming the concepts of a library by the reader: the one that `glossator concepts --name` asks for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rag.concepts.concept_index import FOLDER, Concepts
from rag.concepts.concept_labels import held_out
from rag.concepts.reader_names import ReaderName, ask_name, examples, judged_name, write_names
from rag.index.manager import Indexes
from rag.llm.chat import ChatModel, Usage
from rag.protocols import Report, silent

MOST_NAMED = 32  # concepts that are named in one go: those that most passages have


def name_concepts(indexes: Indexes, concepts: Concepts, reader: ChatModel, report: Report = silent) -> Concepts:
    """The same concepts, those that most passages have named by the reader; kept after each, so that it can be ended.

    A name is made from half of the passages and judged on the other. Raises ReaderError.
    """
    numbers = concepts.numbers.tolist()
    unit = indexes.dense().unit_vectors(numbers)
    if unit is None:  # they are behind the index until the next ingestion
        return concepts
    chosen_on = ~held_out(numbers, 0.5)
    names, usage = dict(concepts.names), Usage()
    wanted = np.argsort(-concepts.counts(), kind="stable")[:MOST_NAMED].tolist()
    for done, concept in enumerate(wanted, start=1):
        has = concepts.having([concept])[:, 0]
        strengths = concepts.strengths(numbers, [concept])[:, 0]
        near = (unit - concepts.dictionary.mean) @ concepts.dictionary.atoms[concept]
        with_it, without_it = examples(has, strengths, near, chosen_on)
        shown = indexes.library.passages_numbered([numbers[row] for row in (*with_it, *without_it)])
        texts = [[shown[numbers[row]].text for row in rows] for rows in (with_it, without_it)]
        text = ask_name(texts[0], texts[1], reader, usage) if texts[0] else ""
        if text:
            names[concept] = judged_name(text, indexes.encode([text])[0], unit, has, chosen_on)
        else:
            names[concept] = ReaderName("", 0.0, 0.0)
        write_names(indexes.library.folder / FOLDER, concepts.fingerprint, names)
        report("concepts", done, len(wanted))
    return replace(concepts, names=names)
