"""Where the server listens, whether others reach it there, and whether that is meant."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from rag.errors import RagError, UsageError

BACKLOG = 64  # connections accepted in one go, before the bound on them is looked at


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises RagError if the port cannot be bound."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # What is accepted has it, too. asyncio sets it only where a socket names its protocol, which these do not: a
        # reply in two writes then waits for the client's delayed acknowledgement, 40 ms (Python 3.11, Linux)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise RagError(f"{host}:{port}: {error.strerror}. Choose another --port, or --host") from error


def check_reachable(host: str, users: Path | None, no_login: bool, user_header: str = "") -> None:
    """UsageError for a server that others could reach without having to log in, unless that is what is asked for.

    And for one that believes a header which others than a proxy on this machine could send.
    """
    if user_header and not is_loopback(host):
        raise UsageError(
            f"--user-header {user_header}: whoever reaches {host} could send it. Listen on 127.0.0.1, behind the proxy"
        )
    if users is None and not no_login and not is_loopback(host):
        raise UsageError(
            f"--host {host}: whoever reaches this machine could read, add and remove every document. Have them log in "
            "(--users FILE; make it by: glossator users add NAME --users FILE), or say that you want this: --no-login"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens there.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("192.168.1.2")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
