"""The commands backup, restore and move."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ui.cli.options import JsonOption, LibraryOption
from ui.cli.shared import open_indexes, print_json, progress

if TYPE_CHECKING:
    from rag.library.copies.backup import Backup

FileArgument = Annotated[Path, typer.Argument(help="The backup: a .tar file, or .tar.gz.", metavar="FILE")]


def backup(file: FileArgument, library: LibraryOption, as_json: JsonOption = False) -> None:
    """Write a library to one file, also while it is served: what is asked and said meanwhile goes on.

    It holds what the library's folder does, not files that were ingested where they lie."""
    from rag.library.catalogue import Library
    from rag.library.copies.backup import write_backup

    with progress() as report:
        made = write_backup(Library.open(library), file, report)
    _say("wrote", str(file), made, as_json)


def restore(file: FileArgument, library: LibraryOption, as_json: JsonOption = False) -> None:
    """Make a library of a backup, in a folder that is new or empty."""
    from rag.library.copies.restore import read_backup

    with progress() as report:
        made = read_backup(file, library, report)
    _say("restored", str(library), made, as_json)


def move(
    library: LibraryOption,
    to: Annotated[str, typer.Option("--to", help="Milvus: its address, or a file for Milvus Lite.", metavar="URI")],
    as_json: JsonOption = False,
) -> None:
    """Copy what a library is searched by to Milvus; what was cut off goes on. The library's own indexes stay."""
    from rag.index.move.copy_to_milvus import copy_to_milvus

    with progress() as report:
        moved = copy_to_milvus(open_indexes(library), to, report)
    if as_json:
        print_json({"passages": moved.passages, "before": moved.before, "uri": to})
        return
    print(f"copied {moved.passages - moved.before:,} of {moved.passages:,} passages to {to}, and compared them")
    print('to search there, set library.engine = "milvus" and library.uri to this address (settings.toml, or --set)')


def _say(what: str, where: str, made: Backup, as_json: bool) -> None:
    if as_json:
        counts = {"documents": made.documents, "libraries": made.libraries, "files": made.files, "bytes": made.bytes}
        print_json({"file": str(made.file), **counts, "seconds": round(made.seconds, 3)})
        return
    more = f" and {made.libraries} more libraries" if made.libraries else ""
    print(f"{what} {where}: {made.documents} documents{more}, {made.bytes / 1e6:,.1f} MB, {made.seconds:.1f} s")
