"""PDF -> title and the text of each page, by pypdf. Runs in the limited child process of worker.py."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ingest.mend import mend
from rag.errors import DocumentError

NO_TITLE = re.compile(
    r"^(untitled.*|microsoft (word|powerpoint) - .*|.*\.(docx?|pdf|tex|dvi|indd|qxd|rtf)|\W*|\d+)$", re.I
)


def read_pdf(path: Path, passwords: Sequence[str], first_page: int = 1) -> Iterator[tuple[str, Any]]:
    """Yields ("open", page count), then ("page", (number, text)) or ("bad", (number, why)) from `first_page` on, and
    behind page 1 ("title", text): it is looked for on that page, and must not cost the document if the page hangs.

    Raises DocumentError for a file that is encrypted (and no password opens it) or not to be read at all.
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.disable(logging.CRITICAL)  # pypdf warns of every flaw of every file
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not any(reader.decrypt(password) for password in ("", *passwords)):
            tried = "no password that was given opens it" if passwords else "it needs a password"
            raise DocumentError(f"encrypted: {tried}. Give the right one (--password TEXT)")
        count = len(reader.pages)
        if not count:
            raise DocumentError("damaged: it has no pages. Open and save it anew")
        yield "open", count
    except DocumentError:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError) as error:
        raise DocumentError(f"damaged: {type(error).__name__}: {_line(error)}. Open and save it anew") from error
    for number in range(first_page, count + 1):
        yield _page(reader, number)
        if number == 1:
            yield "title", _title(reader)


def _page(reader: Any, number: int) -> tuple[str, tuple[int, str]]:
    # pypdf raises nearly anything on a damaged page; whatever it is, the other pages are still worth having.
    try:
        return "page", (number, reader.pages[number - 1].extract_text())
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001
        return "bad", (number, f"{type(error).__name__}: {_line(error)}")


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0][:200]


def _title(reader: Any) -> str:
    """The title in the metadata if it reads like one, else the largest words of the first page, else ""."""
    try:
        stated = reader.metadata.title if reader.metadata else None
    except Exception:  # noqa: BLE001  # as in _page: a damaged metadata entry is no reason to lose the document
        stated = None
    title = " ".join(mend(stated)[0].split()) if isinstance(stated, str) else ""
    if not title or NO_TITLE.match(title):
        title = mend(_largest_words(reader.pages[0]))[0] if len(reader.pages) else ""
    return title[:300]


def _largest_words(page: Any) -> str:
    """The words of the first page in the largest letters that make words, line by line.

    Small capitals, at about 4/5 of the letters' size, belong to them; the marks of footnotes, at about 2/3, do not.
    """
    lines: list[list[tuple[float, str]]] = [[]]

    def visit(text: str, user_matrix: Any, text_matrix: Any, font: Any, size: float) -> None:
        scale = abs(text_matrix[0] * user_matrix[0] + text_matrix[1] * user_matrix[2]) or abs(text_matrix[1])
        for number, piece in enumerate(text.split("\n")):
            if number:
                lines.append([])
            lines[-1].append((round(size * scale, 1), piece))

    try:
        page.extract_text(visitor_text=visit)
    except Exception:  # noqa: BLE001  # as in _page
        return ""
    for size in sorted({size for line in lines for size, _ in line}, reverse=True):
        words = " ".join(" ".join(_words_of_size(line, size) for line in lines).split())
        if 8 <= len(words) <= 250 and len(words.split()) >= 2 and sum(map(str.isalpha, words)) > len(words) / 2:
            return words
    return ""


def _words_of_size(line: Sequence[tuple[float, str]], size: float) -> str:
    """The line's letters of about this size or larger; "" if most of them are not of just this size."""
    large = [(piece_size, piece) for piece_size, piece in line if piece_size >= 0.75 * size]
    letters = sum(len(piece.strip()) for _, piece in large)
    exact = sum(len(piece.strip()) for piece_size, piece in large if piece_size == size)
    return "".join(piece for _, piece in large) if 2 * exact > letters else ""
