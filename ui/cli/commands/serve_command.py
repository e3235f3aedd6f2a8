"""The command `serve`: the web page over a library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.cli.options import LibraryOption
from ui.cli.shared import open_indexes
from ui.web.reach import check_reachable, listen


def serve(
    library: LibraryOption,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 7860,
    users: Annotated[
        Path | None,
        typer.Option("--users", envvar="GLOSSATOR_USERS", help="Who may log in: a file made by `glossator users add`."),
    ] = None,
    no_login: Annotated[
        bool,
        typer.Option(
            "--no-login",
            help="Listen beyond this machine without --users: whoever reaches it can read, add and remove documents.",
        ),
    ] = False,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", help="A name by which browsers reach the server, such as docs.example.org. Repeatable."),
    ] = None,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder",
            exists=True,
            file_okay=False,
            help="A folder of this machine whose files may be added on the page by their path. Repeatable.",
        ),
    ] = None,
) -> None:
    """Open the web page over a library."""
    from ui.web.users import Users  # argon2

    check_reachable(host, users, no_login)
    listen(host, port).close()  # a port that is taken is reported before anything heavy is loaded
    known = Users(users) if users else None
    indexes = open_indexes(library, create=True)
    from ui.web.server import serve as serve_page  # Gradio

    serve_page(indexes, host, port, names or (), known, folders or ())
