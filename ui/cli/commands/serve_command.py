"""The command `serve`: the web page over a library."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ui.cli.options import LibraryOption
from ui.cli.shared import open_indexes
from ui.web.access.reach import check_reachable, listen


class LogFormat(str, Enum):
    text = "text"
    json = "json"


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
    origins: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", help="A site whose pages may use /v1: https://app.example. Repeatable."),
    ] = None,
    user_header: Annotated[
        str,
        typer.Option(
            "--user-header",
            help="The header in which a proxy on this machine says who asks: X-Forwarded-User of an OIDC proxy, say.",
        ),
    ] = "",
    no_ingest: Annotated[
        bool, typer.Option("--no-ingest", help="Leave what is uploaded to `glossator worker`, another process.")
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option("--log", help="json: the log as JSON lines, with a line for each request.")
    ] = LogFormat.text,
) -> None:
    """Serve a library: the page, REST, OpenAI's protocol and MCP."""
    from ui.web.access.api_tokens import read_tokens, tokens_file
    from ui.web.access.users import Users  # argon2

    check_reachable(host, users, no_login, user_header)
    listen(host, port).close()  # a port that is taken is reported before anything heavy is loaded
    if users:  # so is what is wrong with them
        Users(users)
        read_tokens(tokens_file(users))
    indexes = open_indexes(library, create=True)
    from ui.web.server import serve as serve_site  # Gradio
    from ui.web.site import Reach
    from ui.web.telemetry import log_as_json, log_no_requests

    (log_as_json if log_format is LogFormat.json else log_no_requests)()
    serve_site(indexes, host, port, Reach(names or (), origins or (), users, user_header), folders or (), not no_ingest)
