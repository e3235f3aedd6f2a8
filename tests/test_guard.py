"""guard.py, arrivals.py, connections.py with small limits, in front of the real upload route."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from ui.web import connections
from ui.web.access import guard
from ui.web.access.guard import Guard
from ui.web.api import document_routes
from ui.web.connections import BoundedProtocol
from ui.web.library.arrivals import UNCLAIMED_SECONDS, Arrivals
from ui.web.library.idempotency import FirstReplies

pytestmark = [pytest.mark.attack, pytest.mark.timeout(60)]
QUOTA = 300_000


class Server:
    """The guarded route of uploads, in a thread: its address and its folder of arrivals."""

    def __init__(self, folder: Path, claimed: list[Path]):
        folder.mkdir()
        app, arrivals = FastAPI(), Arrivals(folder, QUOTA)
        app.include_router(document_routes.arriving, prefix="/v1")
        app.include_router(document_routes.routes, prefix="/v1")
        app.state.arrivals, app.state.first_replies = arrivals, FirstReplies()
        self.folder = folder
        guarded = Guard(app, ["localhost", "127.0.0.1"], arrivals, lambda: claimed)
        config = uvicorn.Config(guarded, port=0, http=BoundedProtocol, ws="none", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def files(self) -> list[str]:
        return sorted(file.name for file in self.folder.rglob("*") if file.is_file())

    def upload(self, size: int, name: str = "a.pdf") -> httpx.Response:
        content = f"{name}".encode().ljust(size, b".")
        return httpx.put(f"{self.address}/v1/uploads/{name}", content=content, timeout=20)

    def raw(self, request: bytes) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(request)
        return connection


@pytest.fixture
def claimed() -> list[Path]:
    return []


@pytest.fixture
def server(tmp_path: Path, claimed: list[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(guard, "LOOK_EVERY", 10_000)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.8)
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)
    running = Server(tmp_path / "arrivals", claimed)
    yield running
    running.stop()


def eventually(holds, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return bool(holds())


def head_of(length: int | str) -> bytes:
    sized = f"content-length: {length}" if isinstance(length, int) else "transfer-encoding: chunked"
    return f"PUT /v1/uploads/a.pdf HTTP/1.1\r\nhost: localhost\r\n{sized}\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def test_all_uploads_together_have_a_quota(server: Server, claimed: list[Path]) -> None:
    assert server.upload(200_000).status_code == 201
    refused = server.upload(150_000, "b.pdf")
    assert refused.status_code == 413 and "too large" in refused.text
    with closing(server.raw(head_of("chunked") + b"".join(chunk(b"x" * 50_000) for _ in range(4)))) as endless:
        assert endless.recv(999).startswith(b"HTTP/1.1 413")  # no length was named
    assert eventually(lambda: server.files() == ["a.pdf"])
    old = time.time() - UNCLAIMED_SECONDS - 9
    (kept,) = server.folder.rglob("a.pdf")
    os.utime(kept, (old, old))
    claimed.append(kept)
    assert server.upload(1000, "c.pdf").status_code == 201
    assert server.files() == ["a.pdf", "c.pdf"], "what ingestion waits to read stays, however old"
    assert server.upload(250_000, "d.pdf").status_code == 413, "and counts"
    claimed.clear()
    assert server.upload(250_000, "d.pdf").status_code == 201, "it is deleted when nobody has claimed it"
    assert server.files() == ["c.pdf", "d.pdf"]


def test_nothing_stays_of_an_upload_that_failed(server: Server) -> None:
    cut = server.raw(head_of(100_000) + b"x" * 50_000)
    assert eventually(lambda: len(server.files()) == 1)
    cut.close()
    assert eventually(lambda: not server.files())
    several = [server.raw(head_of(100_000) + b"x" * 30_000) for _ in range(3)]
    assert eventually(lambda: len(server.files()) == 3)
    several.pop().close()
    with closing(several[0]), closing(several[1]):
        time.sleep(0.1)
        assert len(server.files()) >= 2, "those that are under way are left alone"
    assert eventually(lambda: not server.files())


def test_a_body_that_does_not_come_is_not_waited_for(server: Server) -> None:
    began = time.monotonic()
    with closing(server.raw(head_of(100_000) + b"x" * 10)) as slow:
        while time.monotonic() - began < 5:
            try:
                slow.sendall(b"x")
            except OSError:
                break
            slow.settimeout(0.1)
            try:
                reply = slow.recv(999)
            except TimeoutError:
                continue
            assert reply.startswith(b"HTTP/1.1 408")
            break
        else:
            raise AssertionError("a byte now and then kept it open")
    assert eventually(lambda: not server.files())
    with closing(server.raw(b"PATCH /v1/documents/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n")) as j:
        assert j.recv(99).startswith(b"HTTP/1.1 408")
    large = f"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {guard.MOST_BODY + 1}\r\n\r\n"
    with closing(server.raw(large.encode())) as other:
        assert other.recv(99).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("request_", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"\r\n\r\n"])
def test_headers_that_do_not_come_are_not_waited_for(server: Server, request_: bytes) -> None:
    began = time.monotonic()
    with closing(server.raw(request_)) as slow:
        assert slow.recv(9) in (b"", b"HTTP/1.1 ")
    assert time.monotonic() - began < 6
    first = b"GET /robots.txt HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with closing(server.raw(first)) as again:  # nor those of a second request on a connection that is kept
        assert again.recv(1 << 16).startswith(b"HTTP/1.1 ")
        again.sendall(b"GET / HTTP/1.1\r\nx")
        began = time.monotonic()
        while again.recv(1 << 16):
            pass
    assert time.monotonic() - began < 4


def test_the_folder_of_arrivals_holds_uploads_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "arrivals"
    (folder / "abc").mkdir(parents=True)
    (folder / "abc" / "a.pdf").write_text("x")
    (tmp_path / "b.pdf").write_text("x")
    (folder / "abc" / "link.pdf").symlink_to(tmp_path / "b.pdf")
    (folder / "out").symlink_to(tmp_path)
    (folder / "tmpx").write_text("x")
    arrivals = Arrivals(folder)
    assert arrivals.holds(str(folder / "abc" / "a.pdf"))
    inside, outside = folder / "abc", tmp_path / "b.pdf"
    refused = [outside, folder, inside, folder / "tmpx", inside / "link.pdf", folder / "out" / "b.pdf", inside / "no"]
    for path in [*map(str, refused), f"{inside}/../../b.pdf", f"{inside}/../abc/a.pdf", "abc/a.pdf", "", "\0", None, 7]:
        assert not arrivals.holds(path), path
