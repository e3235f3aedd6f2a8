"""The server as an attacker meets it, over HTTP: its doors, one after the other.

Each law has its control: what the page itself does the same way still works.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from rag.library.catalogue import Library
from tests.conftest import Run
from tests.pages import HARBOUR, Endpoint, Site, replies
from tests.pdfs import make_pdf

pytestmark = [pytest.mark.attack, pytest.mark.timeout(120)]

SPOKEN = "WEBVTT\n\n00:00.000 --> 00:05.000\nThe harbour was closed by ice in May.\n"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Path:
    folder = tmp_path_factory.mktemp("attacked")
    harbour = make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book")
    assert glossator("ingest", harbour, "--library", folder / "library").returncode == 0
    return folder / "library"


@pytest.fixture(scope="module")
def site(library: Path) -> Iterator[Site]:
    with Endpoint(replies({"lighthouse": "1871"})) as reader:
        site = Site(library, library.parent / "log", reader, descriptors=256)
        yield site
        site.interrupt()


def paths_of(site: Site) -> list[str]:
    return sorted(path for entry in Library.open(site.library).documents() for path in entry.paths)


def upload(site: Site, name: str = "talk.vtt", content: str = SPOKEN, **headers: str) -> httpx.Response:
    return httpx.put(f"{site.address}/v1/uploads/{name}", content=content.encode(), headers=headers, timeout=30)


# -- 1. files on the server's disk ---------------------------------------------------------------------------------


def add(site: Site, upload_id: str) -> httpx.Response:
    return httpx.post(f"{site.address}/v1/documents", json={"uploads": [upload_id]}, timeout=30)


def test_a_file_on_the_servers_disk_is_not_read_and_its_existence_not_told(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.vtt"
    secret.write_text(SPOKEN.replace("harbour", "vault"))
    arrived = upload(site).json()["id"]
    before = paths_of(site)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.2)
        address = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/talk.vtt"
        asked = {
            "there": str(secret), "not there": str(tmp_path / "nothing.vtt"), "an address": address,
            "by dots": f"{arrived}/..{'/..' * 12}{secret}", "a system file": "/etc/passwd", "nothing": "",
            "another's": "0" * 32, "a pattern": "*" * 32, "the folder": ".", "a null": f"{arrived}\0",
        }  # fmt: skip
        replies = {how: add(site, upload_id) for how, upload_id in asked.items()}
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    assert {(reply.status_code, reply.json()["detail"]) for reply in replies.values()} == {
        (422, "An uploaded file is no longer here. Add it again")
    }
    assert paths_of(site) == before


def test_what_was_uploaded_is_read(site: Site) -> None:
    upload_id = upload(site, "tides.vtt", SPOKEN.replace("ice", "tides")).json()["id"]
    assert add(site, upload_id).status_code == 202
    deadline = time.monotonic() + 60
    while not any(found.endswith("uploads/tides.vtt") for found in paths_of(site)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    while httpx.get(f"{site.address}/v1/documents").json()["uploads"][0]["state"] in (
        "waiting",
        "reading",
        "preparing",
    ):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert add(site, upload_id).status_code == 422, "nothing of it stays in the folder of arrivals"


# -- 8. other sites' pages -----------------------------------------------------------------------------------------

FOREIGN = ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:1", "null", "file://", "http://[", ""]


@pytest.mark.parametrize("origin", FOREIGN)
def test_another_sites_page_may_ask_nothing(site: Site, origin: str) -> None:
    headers = {"origin": origin}
    routes = ["/v1/conversations", "/v1/documents", "/v1/precedents", "/gradio_api/queue/join", "/logout", "/"]
    assert upload(site, **headers).status_code == 403
    for route in routes:
        reply = httpx.post(f"{site.address}{route}", json={}, headers=headers)
        assert reply.status_code == 403, route
    for route in (
        "/config",
        "/v1/conversations",
        "/v1/documents/1/pages/1.png",
        "/gradio_api/queue/data?session_hash=x",
    ):
        reply = httpx.get(f"{site.address}{route}", headers=headers)
        assert reply.status_code == 403 and "access-control-allow-origin" not in reply.headers


def test_a_cross_site_form_without_an_origin_is_refused_and_the_own_page_is_not(site: Site) -> None:
    assert upload(site, **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert upload(site, **{"sec-fetch-site": "same-site"}).status_code == 403
    assert upload(site, origin=site.address, **{"sec-fetch-site": "same-origin"}).status_code == 201


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "", "[::1", "localhost:1:2"])
def test_a_name_that_is_not_ours_gets_nothing(site: Site, host: str) -> None:
    reply = httpx.get(f"{site.address}/config", headers={"host": host})
    assert reply.status_code == 400 and "--name" in reply.text


# -- 12. what describes the program, and numbers without end -------------------------------------------------------


def test_no_description_but_our_own_and_no_server_error(site: Site) -> None:
    closed = ["openapi.json", "redoc", "monitoring", "gradio_api/info", "gradio_api/openapi.json"]
    closed += ["gradio_api/file=/etc/passwd", "gradio_api/proxy=http://127.0.0.1/", "gradio_api/vibe-code"]
    for route in closed:
        assert httpx.get(f"{site.address}/{route}").status_code in (403, 404), route
    document = site.document_id("The Harbour Book")
    for number in ("99999999999999999999", "-1", "1e9", "9" * 400):
        for query in (f"marks?start=0&end={number}", f"view?start={number}", f"pages/{number}.png", f"pages/{number}"):
            assert httpx.get(f"{site.address}/v1/documents/{document}/{query}").status_code in (404, 422), query
    assert httpx.get(f"{site.address}/v1/documents/{document}/pages/1.png").status_code == 200


# -- 9. slow sockets -----------------------------------------------------------------------------------------------


def test_slow_sockets_do_not_keep_others_out(site: Site) -> None:
    with ExitStack() as held:
        for number in range(400):  # of 256 descriptors
            slow = held.enter_context(socket.create_connection(("127.0.0.1", site.port), timeout=5))
            slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * (number % 7))
        began = time.monotonic()
        for _ in range(5):
            assert httpx.get(f"{site.address}/config", timeout=5).status_code == 200
        assert time.monotonic() - began < 5
    assert "Traceback" not in site.log.read_text()


# -- 7. who may come in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_a_server_that_others_reach_needs_users(library: Path, glossator: Run, host: str) -> None:
    refused = glossator("serve", "--library", library, "--host", host, "--port", 0)
    assert refused.returncode == 2 and "--users" in refused.stderr and "--no-login" in refused.stderr


def test_without_login_it_says_so_and_answers_to_its_own_names_only(library: Path) -> None:
    with Endpoint(replies({})) as reader:
        options = ["--host", "0.0.0.0", "--no-login", "--name", "docs.example:8443"]
        site = Site(library, library.parent / "open-log", reader, options=options)
        try:
            assert "whoever reaches 0.0.0.0:0 can read" in site.log.read_text()
            for host, status in (("evil.example", 400), ("docs.example", 200), ("localhost:1", 200)):
                assert httpx.get(f"{site.address}/config", headers={"host": host}).status_code == status
            proxied = {"origin": "https://docs.example:8443", "host": "localhost"}
            assert upload(site, **proxied).status_code == 201
            assert upload(site, **(proxied | {"origin": "https://docs.example"})).status_code == 403
        finally:
            site.interrupt()
