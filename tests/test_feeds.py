"""A podcast's feed (ingest/feeds/): what is read of it, what is fetched, and what never is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ingest.child_process import Children, Limits
from ingest.feeds import fetch as fetching
from ingest.feeds.feed import FeedEpisode, is_feed, read_feed
from ingest.feeds.fetch import fetch, is_public
from ingest.feeds.subscribe import is_feed_file, subscribe
from rag.errors import DocumentError
from rag.library.catalogue import Library
from rag.settings import Ingest
from tests.conftest import Run
from tests.test_podcasts_ingest import VTT

FEED = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:podcast="https://podcastindex.org/namespace/1.0"
 xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>Old Trades</title>
<item><title>The mill</title><pubDate>Mon, 27 Feb 2023 10:00:00 +0000</pubDate>
<description>Short.</description>
<content:encoded><![CDATA[<p>Of <b>oak</b> and silk.</p><ul><li>0:00 Oak</li></ul>]]></content:encoded>
<enclosure url="{host}/mill.mp3" type="audio/mpeg" length="9"/>
<podcast:transcript url="{host}/mill.html" type="text/html"/><podcast:transcript url="{host}/mill.vtt" type="text/vtt"/>
<podcast:chapters url="{host}/mill.json" type="application/json+chapters"/></item>
<item><title>Bees &amp; <![CDATA[<i>honey</i>]]></title><pubDate>Tue, 28 Mar 2023 10:00:00 +0000</pubDate>
<enclosure url="{host}/bees.ogg" type="audio/ogg" length="9"/></item>
<item><title>Old news</title><pubDate>never</pubDate><enclosure url="file:///etc/passwd" type="audio/mpeg"/></item>
</channel></rss>"""
FILES = {
    "/mill.vtt": VTT.encode(), "/mill.json": b'{"version": "1.2.0", "chapters": [{"startTime": 0, "title": "Oak"}]}',
    "/bees.ogg": b"OggS" + bytes(100), "/large.mp3": bytes(100_000),
}  # fmt: skip


class Served:
    """Files over loopback, and what was asked: (path, Range)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.cut = 0  # bytes after which the next reply breaks off
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range", "")
                served.asked.append((self.path, asked))
                if self.path.startswith("/to/"):
                    self.send_response(302)
                    self.send_header("Location", self.path.removeprefix("/to/"))
                    self.end_headers()
                    return
                data = FEED.format(host=served.address).encode() if self.path == "/feed.xml" else FILES.get(self.path)
                if data is None:
                    self.send_error(404)
                    return
                start = int(asked[6:-1]) if asked else 0
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                cut, served.cut = served.cut, 0
                self.wfile.write(data[start : start + cut] if cut else data[start:])

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def serving() -> Iterator[Served]:
    served = Served()
    thread = threading.Thread(target=served.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.server.shutdown()
        served.server.server_close()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server on this machine, which counts as public for once."""
    monkeypatch.setattr(fetching, "is_public", lambda address: True)
    with serving() as made:
        yield made


def children() -> Children:
    return Children(threading.Semaphore(), 1, threading.Event())


def test_a_feed_is_read_with_the_best_transcript_and_web_addresses_alone(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(FEED.format(host="https://example.org"))
    assert is_feed_file(tmp_path / "feed.xml")
    feed = read_feed(tmp_path / "feed.xml", Limits(30, 1024), children())
    assert feed.show == "Old Trades"
    assert feed.episodes == (
        FeedEpisode(
            "The mill", "2023-02-27", "Of oak and silk.\n• 0:00 Oak", "https://example.org/mill.vtt", ".vtt",
            "https://example.org/mill.json", "https://example.org/mill.mp3", ".mp3",
        ),
        FeedEpisode("Bees & <i>honey</i>", "2023-03-28", "", "", "", "", "https://example.org/bees.ogg", ".ogg"),
        FeedEpisode("Old news", "", "", "", "", "", "", ""),
    )  # fmt: skip


def test_the_newest_episodes_come_with_what_lies_beside_them_and_once(served: Served, tmp_path: Path) -> None:
    library = Library.open(tmp_path / "library", create=True)
    folder, missing = subscribe(f"{served.address}/feed.xml", library, Ingest(), 2)
    assert missing == []
    names = sorted(file.name.partition(" ")[2].rpartition(" ")[0] + "".join(file.suffixes) for file in folder.iterdir())
    assert names == [
        "Bees i honey i.meta.md",
        "Bees i honey i.ogg",
        "The mill.chapters.json",
        "The mill.meta.md",
        "The mill.vtt",
    ]
    asked = [path for path, _ in served.asked]
    assert asked == ["/feed.xml", "/bees.ogg", "/mill.vtt", "/mill.json"], "no recording where there is a transcript"
    again, missing = subscribe(f"{served.address}/feed.xml", library, Ingest(), 3)
    assert (again, [path for path, _ in served.asked[4:]]) == (folder, ["/feed.xml"])
    assert missing == ["Old news: the feed names neither a transcript nor a recording"]


def test_a_download_that_was_cut_off_goes_on(served: Served, tmp_path: Path) -> None:
    served.cut = 40_000
    with pytest.raises(DocumentError, match="cannot be fetched"):
        fetch(f"{served.address}/large.mp3", tmp_path / "a.mp3", 1 << 20)
    assert not (tmp_path / "a.mp3").exists()
    fetch(f"{served.address}/large.mp3", tmp_path / "a.mp3", 1 << 20)
    assert (tmp_path / "a.mp3").read_bytes() == FILES["/large.mp3"]
    assert served.asked[-1] == ("/large.mp3", "bytes=40000-")


def test_what_is_too_large_missing_or_endless_is_one_line(served: Served, tmp_path: Path) -> None:
    for path, most, line in (
        ("/large.mp3", 1_000, "is larger than"),
        ("/none", 1_000, "the server says 404"),
        (f"/to/{served.address}/to/" + "/to/" * 9, 1_000, "redirects"),
        ("/to/ftp://example.org/a", 9, "no public web address"),
    ):
        with pytest.raises(DocumentError, match=line) as error:
            fetch(f"{served.address}{path}", tmp_path / "b.mp3", most)
        assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "b.mp3").exists()


@pytest.mark.attack
def test_nothing_of_this_machine_or_its_network_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as served:
        port = served.server.server_address[1]
        hosts = [
            "127.0.0.1",
            "localhost",
            "0.0.0.0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "2130706433",
            "127.1",
            "0x7f000001",
        ]
        for host in hosts:
            with pytest.raises(DocumentError):
                fetch(f"http://{host}:{port}/mill.vtt", tmp_path / "c.vtt", 1_000)
        for address in (
            "http://169.254.169.254/latest",
            "http://10.0.0.1/a",
            "http://u:p@example.org/",
            "file:///etc/passwd",
        ):
            with pytest.raises(DocumentError):
                fetch(address, tmp_path / "c.vtt", 1_000)
        assert served.asked == []
        # a public server that leads to a private one
        first = [True]
        monkeypatch.setattr(fetching, "is_public", lambda address: first.pop() if first else is_public(address))
        with pytest.raises(DocumentError, match="nothing is fetched from there"):
            fetch(f"http://127.0.0.1:{port}/to/http://localhost:{port}/mill.vtt", tmp_path / "c.vtt", 1_000)
        assert [path for path, _ in served.asked] == [f"/to/http://localhost:{port}/mill.vtt"]
    assert not (tmp_path / "c.vtt").exists()


def test_a_hostile_feed_is_refused(tmp_path: Path) -> None:
    entity = '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    (tmp_path / "feed.xml").write_text(f'<?xml version="1.0"?>{entity}<rss><channel><title>&x;</title></channel></rss>')
    with pytest.raises(DocumentError, match="defines entities"):
        read_feed(tmp_path / "feed.xml", Limits(30, 1024), children())
    assert not is_feed(b"<html><body>rss")


def test_a_saved_feed_is_ingested_from_the_command_line(glossator: Run, tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(FEED.format(host="http://127.0.0.1:9"))
    done = glossator("ingest", tmp_path / "feed.xml", "--library", tmp_path / "library", "--limit", 1)
    assert done.returncode == 1
    assert "nothing is fetched from there" in done.stderr
    assert "Traceback" not in done.stderr
