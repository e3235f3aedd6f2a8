"""The commands of `users`: who may log in to `glossator serve --users FILE`."""

from __future__ import annotations

import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer
from platformdirs import user_config_path

from rag.errors import UsageError

users_app = typer.Typer(no_args_is_help=True, help="Who may log in to a server: the file of `serve --users`.")


@users_app.callback()
def _group() -> None:
    """Keeps `add` a command of its own while it is the only one."""


@users_app.command("add")
def users_add(
    name: Annotated[str, typer.Argument(help="Letters, digits or . @ + - _", metavar="NAME")],
    users: Annotated[
        Path | None,
        typer.Option(
            "--users",
            envvar="GLOSSATOR_USERS",
            help="The file (default: users in the platform's configuration folder).",
        ),
    ] = None,
) -> None:
    """Add a user, or give one a new password. It is asked for twice, or read from standard input where that is no
    terminal. To remove a user, delete the line: it counts at once."""
    from ui.web.users import add_user  # argon2

    file = users or user_config_path("glossator") / "users"
    is_new = add_user(file, name, _password())
    print(
        f"{name}: {'added to' if is_new else 'new password in'} {file}. Serve with it: glossator serve --users {file}"
    )


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password: ")
    if getpass("The same again: ") != password:
        raise UsageError("the two passwords are not the same. Run it again")
    return password
