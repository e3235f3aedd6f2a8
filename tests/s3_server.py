"""An S3 server of a test's own: Ceph's gateway (Debian's radosgw), alone, with its objects in an SQLite file."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from obstore.exceptions import GenericError
from obstore.store import S3Store

from tests.processes import free_port

OLDEST = 17  # of Ceph, whose gateway can keep its objects in a file

KEY, SECRET, BUCKET = "firm", "a-secret-of-the-tests", "firm"
CONFIGURATION = """
[global]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = {folder}
log_file = {folder}/log
[client.rgw]
rgw_data = {folder}
rgw_backend_store = dbstore
rgw_config_store = dbstore
dbstore_config_uri = file://{folder}/config.db
dbstore_db_dir = {folder}
rgw_frontends = beast endpoint=127.0.0.1:{port}
"""


def _is_there() -> bool:
    """Whether this machine has a gateway that is new enough."""
    if not (shutil.which("radosgw") and shutil.which("radosgw-admin")):
        return False
    said = subprocess.run(["radosgw", "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.match(r"ceph version (\d+)", said)
    return found is not None and int(found[1]) >= OLDEST


IS_THERE = _is_there()


class S3Server:
    """Started with one user and one bucket; stopped, and started again with what it had."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="glossator-s3-"))
        self.port = free_port()
        (self._folder / "ceph.conf").write_text(CONFIGURATION.format(folder=self._folder, port=self.port))
        self._options = ["-c", str(self._folder / "ceph.conf"), "--no-mon-config", "-n", "client.rgw"]
        user = [
            "user",
            "create",
            "--uid",
            "firm",
            "--display-name",
            "Firm",
            "--access-key",
            KEY,
            "--secret-key",
            SECRET,
        ]
        subprocess.run(["radosgw-admin", *self._options, *user], check=True, capture_output=True, timeout=60)
        self.start()
        with suppress(GenericError):  # made by writing to its root; the client misses an ETag in the reply
            S3Store(
                BUCKET, endpoint=self.environment["AWS_ENDPOINT_URL"], access_key_id=KEY, secret_access_key=SECRET,
                region="default", client_options={"allow_http": True},
            ).put("", b"")  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "default",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }  # fmt: skip

    def start(self) -> None:
        with (self._folder / "out").open("ab") as out:
            self._process = subprocess.Popen(["radosgw", *self._options, "-f"], stdout=out, stderr=out)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
                return
            except HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError((self._folder / "out").read_text())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
