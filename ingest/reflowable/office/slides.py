"""Slides (.pptx): a part for each slide, its title, text in the order of reading, tables, pictures and notes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pptx
from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER
from pptx.exc import PythonPptxError

from ingest.reflowable.archive import Archive, core_facts, refusing
from ingest.reflowable.content import Content, Piece, clean, line_of
from ingest.reflowable.office.word import NO_TITLE
from rag.errors import DocumentError

FURNITURE = (PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.HEADER)
DAMAGED = "is damaged, or no presentation. Open it, and save it again as .pptx"
DEEPEST = 10  # groups within groups


def read_slides(data: bytes) -> Content:
    """The presentation. Raises DocumentError for a damaged one."""
    archive = Archive(data)
    archive.check_xml()
    facts = core_facts(archive)
    title = facts.pop("title", "")
    title = "" if NO_TITLE.match(title) or title == "PowerPoint Presentation" else title
    with _refusing_damage():
        slides = list(pptx.Presentation(io.BytesIO(data)).slides)
        return Content(title or (_title(slides[0]) if slides else ""), _pieces(slides), facts)


@contextmanager
def _refusing_damage() -> Iterator[None]:
    with refusing(DAMAGED):
        try:
            yield
        except PythonPptxError as error:
            raise DocumentError(DAMAGED) from error


def _title(slide: Any) -> str:
    shape = slide.shapes.title
    return line_of(shape.text_frame.text) if shape is not None and shape.has_text_frame else ""


def _pieces(slides: list[Any]) -> Iterator[Piece]:
    with _refusing_damage():
        for slide in slides:
            yield from _of_slide(slide)


def _of_slide(slide: Any) -> Iterator[Piece]:
    title = _title(slide)
    yield Piece("part", title)
    if title:
        yield Piece("heading", title, level=0)
    shapes = sorted(slide.shapes, key=lambda shape: (shape.top or 0, shape.left or 0))
    for shape in shapes:
        if slide.shapes.title is None or shape.shape_id != slide.shapes.title.shape_id:
            yield from _of_shape(shape, DEEPEST)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = clean(slide.notes_slide.notes_text_frame.text)
        if notes:
            yield Piece("aside", f"Notes: {notes}")


def _of_shape(shape: Any, depth: int) -> Iterator[Piece]:
    if shape.is_placeholder and shape.placeholder_format.type in FURNITURE:
        return
    if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
        for inner in shape.shapes if depth else ():
            yield from _of_shape(inner, depth - 1)
    elif getattr(shape, "has_table", False) and shape.has_table:
        table = shape.table
        rows = tuple(tuple(cell.text for cell in row.cells) for row in table.rows)
        yield Piece("table", rows=rows, head=True if table.first_row else None)
    elif getattr(shape, "has_chart", False) and shape.has_chart:
        yield from _of_chart(shape.chart)
    elif hasattr(shape, "image"):
        yield from _of_picture(shape)
    elif shape.has_text_frame:
        for paragraph in shape.text_frame.paragraphs:
            text = clean("".join(run.text for run in paragraph.runs).replace("\v", "\n"))
            if text:
                yield Piece("text", text)


def _of_picture(shape: Any) -> Iterator[Piece]:
    try:
        words = line_of(shape._element.nvPicPr.cNvPr.get("descr") or "")
        yield Piece("figure", words, picture=shape.image.blob)
    except (KeyError, ValueError, AttributeError):  # a picture that is linked, or of a kind that nobody knows
        return


def _of_chart(chart: Any) -> Iterator[Piece]:
    """The numbers of a chart as a table: a row for each category."""
    try:
        plot = chart.plots[0]
        categories = [str(each) for each in plot.categories]
        series = [(str(each.name), list(each.values)) for each in plot.series]
        title = (
            line_of(chart.chart_title.text_frame.text) if chart.has_title and chart.chart_title.has_text_frame else ""
        )
    except (KeyError, ValueError, AttributeError, IndexError, TypeError):
        return
    rows = [["", *(name for name, _ in series)]]
    for i, category in enumerate(categories):
        rows.append([category, *(f"{v[i]:g}" if i < len(v) and v[i] is not None else "" for _, v in series)])
    yield Piece("table", title, rows=tuple(map(tuple, rows)), head=True)
