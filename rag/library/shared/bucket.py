"""A library's own files in an S3 bucket: its pictures and uploads, of which the folder has copies.

    s3://BUCKET/PREFIX/<name of the library's folder>/pictures/<sha256>.png, .../uploads/talk.vtt, .../unpacked/...

What the catalogue names is in the bucket first, so another machine fetches it when it is first read there. Keys, region
and endpoint are AWS's usual variables of the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
AWS_ENDPOINT_URL for any server that is not Amazon's).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

from rag.errors import LibraryError, UsageError, first_line_of

FILE = "bucket.json"  # in the library's folder: where its files are
SCHEME = "s3://"
CHUNK = 1 << 20  # bytes
RETRIES = 3


class Bucket:
    """The files of the library in one folder, by their names relative to it. Safe from any thread.

    Every method raises LibraryError where the server does not answer, or refuses.
    """

    def __init__(self, folder: Path, address: str, name: str):
        """`address` is s3://bucket/prefix, `name` tells its libraries apart. UsageError for another address."""
        parts = urlsplit(address)
        if not address.startswith(SCHEME) or not parts.netloc or parts.query or parts.fragment:
            raise UsageError("library.files is no address of a bucket. Write it as s3://bucket/prefix")
        self.folder, self.address = folder, address
        self._bucket, self._prefix = parts.netloc, "/".join(filter(None, (parts.path.strip("/"), name)))
        self._lock = threading.Lock()
        self._opened: Any = None

    def send(self, names: Iterable[str]) -> None:
        """Put these files of the folder there, unless they are; one that the folder has not is passed over."""
        for name in names:
            file = self.folder / name
            if not file.is_file():
                continue
            with self._explaining():
                about, there = file.stat(), self._about(name)
                same = there and there["size"] == about.st_size
                if not (there and same and there["last_modified"].timestamp() >= about.st_mtime):
                    self._store.put(key_of(name), file)

    def bring(self, name: str, is_right: Callable[[bytes], bool] | None = None) -> None:
        """Fetch a file that the folder has not; nothing happens where the bucket has not got it either.

        Bytes that are not `is_right` are not kept. LibraryError for these.
        """
        target = self.folder / name
        if target.exists():
            return
        with self._explaining():
            try:
                chunks = self._store.get(key_of(name)).stream(min_chunk_size=CHUNK)
            except FileNotFoundError:
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f".{target.name[:80]}.{threading.get_ident()}.new")
            try:
                with fresh.open("wb") as out:
                    for chunk in chunks:
                        out.write(chunk)
                if is_right is not None and not is_right(fresh.read_bytes()):
                    raise LibraryError(f"{self.address} has other bytes for {name}. Ingest its document again")
                os.replace(fresh, target)
            finally:
                fresh.unlink(missing_ok=True)

    def remove(self, names: Iterable[str]) -> None:
        """Delete these there, as far as it has them."""
        if keys := [key_of(name) for name in names]:
            with self._explaining():
                self._store.delete(keys)

    def keys(self, below: str = "") -> set[str]:
        """What is there, or below a folder of it, by `key_of` their names."""
        with self._explaining():
            return {entry["path"] for batch in self._store.list(below or None) for entry in batch}

    def _about(self, name: str) -> Any:
        try:
            return self._store.head(key_of(name))
        except FileNotFoundError:
            return None

    @property
    def _store(self) -> Any:
        with self._lock:
            if self._opened is None:
                from obstore.store import S3Store

                endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT", "")
                self._opened = S3Store(
                    self._bucket,
                    prefix=self._prefix,
                    client_options={
                        "connect_timeout": "5s",
                        "timeout": "60s",
                        "allow_http": endpoint.startswith("http://"),
                    },
                    retry_config={"max_retries": RETRIES},
                )
            return self._opened

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, PermissionError) as error:
            raise LibraryError(
                f"{self.address} does not answer: {first_line_of(error)}. Check library.files, the server and "
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL"
            ) from error


def key_of(name: str) -> str:
    """A file's name as a bucket can have it: one that holds bytes that are no text is written in per cent signs."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return quote_from_bytes(os.fsencode(name))
    return name


def bucket_of(folder: Path) -> Bucket | None:
    """Where the files of the library in a folder are; None where they are there alone."""
    if not os.path.isfile(folder / FILE):
        return None
    try:
        about = json.loads((folder / FILE).read_text("utf-8"))
        return _bucket(folder.absolute(), str(about["address"]), str(about["name"]))
    except (OSError, ValueError, LookupError, TypeError, UsageError) as error:
        raise LibraryError(f"{folder / FILE} cannot be read: {error}. Delete it, and set library.files") from error


def join(folder: Path, address: str, names: Iterable[str]) -> None:
    """Make a bucket the place of a library's files, of which it gets these. Raises LibraryError, UsageError."""
    name = folder.resolve().name
    Bucket(folder.absolute(), address, name).send(names)
    fresh = folder / f"{FILE}.new"
    fresh.write_text(json.dumps({"address": address, "name": name}), "utf-8")
    os.replace(fresh, folder / FILE)


@cache
def _bucket(folder: Path, address: str, name: str) -> Bucket:
    return Bucket(folder, address, name)
