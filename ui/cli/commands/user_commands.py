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


UsersOption = Annotated[
    Path | None,
    typer.Option(
        "--users", envvar="GLOSSATOR_USERS", help="The file (default: users in the platform's configuration folder)."
    ),
]


@users_app.command("add")
def users_add(
    name: Annotated[str, typer.Argument(help="Letters, digits or . @ + - _", metavar="NAME")],
    users: UsersOption = None,
    is_admin: Annotated[
        bool, typer.Option("--admin", help="They may also change settings and read the audit log.")
    ] = False,
) -> None:
    """Add a user, or give one a new password. It is asked for twice, or read from standard input where that is no
    terminal. To remove a user, delete the line: it counts at once."""
    from ui.web.access.users import add_user  # argon2

    file = _file(users)
    is_new = add_user(file, name, _password(), is_admin)
    print(
        f"{name}: {'added to' if is_new else 'new password in'} {file}. Serve with it: glossator serve --users {file}"
    )


@users_app.command("token")
def users_token(
    name: Annotated[str, typer.Argument(help="A user of the file.", metavar="NAME")],
    users: UsersOption = None,
    scope: Annotated[str, typer.Option("--scope", help="What it permits: read, write or admin.")] = "read",
    days: Annotated[int, typer.Option("--days", help="For how many days it is good.")] = 90,
) -> None:
    """Make an API token for a user and print it: it is kept nowhere. To revoke it, delete its line in USERS.tokens."""
    from ui.web.access.api_tokens import add_token, tokens_file  # argon2

    file = _file(users)
    print(add_token(file, name, scope, days))
    print(f"for {name}, to {scope}, good for {days} days; its line is in {tokens_file(file)}", file=sys.stderr)


def _file(users: Path | None) -> Path:
    return users or user_config_path("glossator") / "users"


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass("Password: ")
    if getpass("The same again: ") != password:
        raise UsageError("the two passwords are not the same. Run it again")
    return password
