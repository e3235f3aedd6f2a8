"""Files of claims: JSON lines with a claim, a text, and the label supports, refutes or unknown.

`binary` records know supported from not supported alone: their "unknown" stands for both others.
"""

from __future__ import annotations

from pathlib import Path

from eval.core.files import Record, read_records
from rag.span.claim_support import VERDICTS
from rag.train.reading.claims import LabelledClaim


def read_claims(file: Path) -> list[LabelledClaim]:
    """The claims of a file. DataError for a record without a field, UsageError for a file that is not there."""
    return [claim_of(record) for record in read_records(file)]


def is_claim(record: Record) -> bool:
    """Whether a record is a claim, not a question."""
    return "claim" in record.fields


def claim_of(record: Record) -> LabelledClaim:
    """A record as a claim."""
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
