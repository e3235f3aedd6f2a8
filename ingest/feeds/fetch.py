"""One file from a public web address, within a size: no address of this machine or its network is ever asked.

A name is resolved once, each of its addresses looked at, and the connection made to the address that was looked at, so
that a name cannot lead elsewhere between the two (DNS rebinding). Each redirect is looked at alike. What was cut off
goes on where it stopped, if the server can.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from rag.errors import DocumentError

REDIRECTS = 5
SECONDS = 30.0  # for a connection, or the next bytes


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    >>> [is_public(each) for each in ("93.184.215.14", "127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1")]
    [True, False, False, False, False, False]
    """
    found = ipaddress.ip_address(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast


class _PublicNetwork(httpcore.NetworkBackend):
    """Connects to public addresses alone."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:  # fmt: skip
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} is not known") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(map(is_public, addresses)):
            raise DocumentError(f"{host} is an address of this machine or its network: nothing is fetched from there")
        return self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        raise DocumentError("no socket of this machine is asked")


def fetch(address: str, file: Path, most_bytes: int) -> None:
    """Bring what stands at an address to a file, unless the file is there. Raises DocumentError."""
    if file.exists():
        return
    part = file.with_name(f".{file.name}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with httpcore.ConnectionPool(network_backend=_PublicNetwork()) as pool:
            _download(pool, address, part, most_bytes)
        os.replace(part, file)
    except httpcore.TimeoutException as error:
        raise DocumentError(f"{address}: took longer than {SECONDS:g} s to answer. Try again later") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise DocumentError(f"{address}: cannot be fetched: {str(error) or type(error).__name__}. Try again") from error
    except OSError as error:
        raise DocumentError(f"{file.parent}: cannot be written: {error.strerror}") from error


def _download(pool: httpcore.ConnectionPool, address: str, part: Path, most_bytes: int) -> None:
    for _ in range(REDIRECTS + 1):
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise DocumentError(f"{address[:200]}: is no public web address")
        have = part.stat().st_size if part.exists() else 0
        headers: dict[bytes | str, bytes | str] = {
            "Host": parts.netloc,
            "User-Agent": "glossator",
            "Accept-Encoding": "identity",
        }
        headers |= {"Range": f"bytes={have}-"} if have else {}
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)
        with pool.stream("GET", address, headers=headers, extensions={"timeout": timeouts}) as reply:
            if reply.status in (301, 302, 303, 307, 308):
                location = next((value for name, value in reply.headers if name.lower() == b"location"), b"")
                address = urljoin(address, location.decode("latin-1"))
                continue
            if reply.status == 416 and have:  # there is no more than what is here
                return
            if reply.status not in (200, 206):
                raise DocumentError(f"{address}: the server says {reply.status}. Check the address")
            with part.open("ab" if reply.status == 206 else "wb") as stream:
                for chunk in reply.iter_stream():
                    stream.write(chunk)
                    if stream.tell() > most_bytes:
                        raise DocumentError(f"{address}: is larger than {most_bytes >> 20} MB, and was left out")
            return
    raise DocumentError(f"{address}: leads on and on ({REDIRECTS} redirects). Check the address")
