"""The files of a library's own folder that its catalogue names: what a bucket has, and what other machines copy."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from rag.library.stored_files import files_named, picture_name

# of an upload that could not be read nothing is kept but what was wrong with it
PATHS = (
    "SELECT path FROM paths JOIN documents USING (document_id) "
    "WHERE substr(path, 1, 1) NOT IN ('/', x'2f') AND status = 'ready'"
)
AUDIO = "SELECT audio FROM episodes WHERE audio <> '' AND audio NOT GLOB '/*' AND audio NOT GLOB 'http*://*'"


def named_files(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
    """The relative paths of documents, as they are stored ("uploads/cases.json#001-1"), and of recordings."""
    paths = [os.fsdecode(row[0]) for row in connection.execute(PATHS)]
    return paths, [row[0] for row in connection.execute(AUDIO)]


def own_files(connection: sqlite3.Connection) -> set[str]:
    """Every name that a file of the folder may have for what the catalogue names, pictures among them."""
    pictures = connection.execute("SELECT DISTINCT picture FROM passages WHERE picture <> ''")
    found = {picture_name(row[0]) for row in pictures}
    for paths in named_files(connection):
        found.update(name for path in paths for name in files_named(path))
    return found


def drop_copies(folder: Path, names: Iterable[str]) -> None:
    """Delete a machine's copies of files that no catalogue names any more; nothing outside of the folder."""
    for name in names:
        if ".." not in name.split("/") and not name.startswith("/"):
            (folder / name).unlink(missing_ok=True)
