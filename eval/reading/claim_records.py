"""Claims in files of reading data: a claim, a text, and the label supports, refutes or unknown.

`binary` records know supported from not supported alone: their "unknown" stands for both others.
"""

from __future__ import annotations

from eval.core.files import Record
from rag.span.claim_support import VERDICTS
from rag.train.reading.claims import LabelledClaim


def is_claim(record: Record) -> bool:
    """Whether a record is a claim, not a question."""
    return "claim" in record.fields


def claim_of(record: Record) -> LabelledClaim:
    """A record as a claim. Raises DataError for one without a field, or with another label."""
    label = record.text("label")
    verdict = next((verdict for verdict in VERDICTS if verdict == label), None)
    if verdict is None:
        raise record.error(f"label is {label}, not one of {', '.join(VERDICTS)}")
    return LabelledClaim(
        id=record.text("id"),
        source=record.text("source"),
        claim=record.text("claim"),
        text=record.text("text"),
        verdict=verdict,
        binary=record.fields.get("binary", False) is True,
    )
