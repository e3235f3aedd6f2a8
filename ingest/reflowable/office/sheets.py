"""Spreadsheets (.xlsx, .csv, .tsv): a part for each sheet, a line for each row, so that rows count as people see it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from ingest.plain_text import decoded
from ingest.reflowable.archive import Archive, core_facts, refusing
from ingest.reflowable.content import Content, Piece, line_of
from rag.errors import DocumentError

DAMAGED = "is damaged, or no workbook. Open it, and save it again as .xlsx"
MOST_ROWS = 200_000  # of a file: more are for a database, and take an hour to read in
MOST_COLUMNS = 500
EMPTY_ROWS = 10_000  # one after the other, behind which nothing is looked for
DELIMITERS = ",;\t|"
SAMPLE = 1 << 16


def read_workbook(data: bytes) -> Content:
    """The sheets with the values that were stored with their formulas. Raises DocumentError for a damaged file."""
    archive = Archive(data)
    archive.check_xml(leave_out="/worksheets/")  # which are large
    with refusing(DAMAGED):
        try:
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        except InvalidFileException as error:
            raise DocumentError(DAMAGED) from error
    facts = core_facts(archive)
    return Content(facts.pop("title", ""), _sheets(book), facts)


def _sheets(book: Any) -> Iterator[Piece]:
    left = MOST_ROWS
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what the file says of its size may be wrong
        rows: list[tuple[str, ...]] = []
        empty = 0
        with refusing(f"is damaged: sheet {line_of(sheet.title)} cannot be read. Save it again"):
            for cells in sheet.iter_rows(max_col=MOST_COLUMNS):
                row = tuple(_cell(cell.value, getattr(cell, "number_format", "")) for cell in cells)
                empty = 0 if any(row) else empty + 1
                if empty > EMPTY_ROWS:
                    break
                rows.append(row)
                if len(rows) > left:
                    raise _too_long()
        left -= len(rows)
        yield Piece("part", sheet.title)
        yield Piece("table", rows=tuple(rows), whole=True)


def _too_long() -> DocumentError:
    return DocumentError(f"has more than {MOST_ROWS:,} rows. Cut it in parts, or keep it in a database")


def _cell(value: Any, form: str) -> str:
    """A cell's value as its sheet shows it, or near: dates as YYYY-MM-DD, shares in per cent.

    >>> _cell(0.125, "0.0%"), _cell(3.0, "General"), _cell(datetime(2024, 5, 1), ""), _cell(True, ""), _cell(None, "")
    ('12.5%', '3', '2024-05-01', 'TRUE', '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "minutes")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (int, float)):
        if "%" in form:
            return f"{100 * value:.10g}%"
        return f"{value:.12g}" if isinstance(value, float) else str(value)
    return str(value)


def read_csv(data: bytes) -> Content:
    """The rows of a file of values between commas, semicolons, tabs or bars. Raises DocumentError for one too long."""
    text = decoded(data)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:SAMPLE], DELIMITERS)
        delimiter, quote = dialect.delimiter, dialect.quotechar or '"'
    except csv.Error:
        delimiter, quote = max(DELIMITERS, key=text[:SAMPLE].count), '"'
    rows: list[tuple[str, ...]] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=delimiter, quotechar=quote):
            rows.append(tuple(row[:MOST_COLUMNS]))
            if len(rows) > MOST_ROWS:
                raise _too_long()
    except csv.Error as error:
        raise DocumentError(f"is no table that can be read, from row {len(rows) + 1} on: {error}") from error
    return Content("", [Piece("table", rows=tuple(rows), whole=True)])
