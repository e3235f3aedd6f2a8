"""Where the system has no libgomp, as in slim container images, the embedded reader says so in one line."""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
from pathlib import Path

import pytest

from rag.library.catalogue import Library
from tests.conftest import LIGHT_READER, ROOT, command

FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64")


def libgomp() -> Path | None:
    found = (file for folder in FOLDERS for file in Path(folder).glob("**/libgomp.so.1"))
    return next((file.resolve() for file in found), None)


@pytest.mark.attack
def test_a_reader_without_libgomp_says_what_to_install(tmp_path: Path) -> None:
    file, unshare = libgomp(), shutil.which("unshare")
    if file is None or unshare is None or ctypes.util.find_library("gomp") is None:
        pytest.skip("no libgomp of the system's to hide, or no namespaces")
    Library.open(tmp_path / "library", create=True)
    ask = command("--set", LIGHT_READER, "ask", "When was it built?", "--library", tmp_path / "library")
    hide = f'mount --bind /dev/null {file} && exec "$@"'
    done = subprocess.run([unshare, "-rm", "sh", "-c", hide, "sh", *ask], capture_output=True, text=True, timeout=100)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no namespace to hide it in: {done.stderr.strip()}")
    assert done.returncode == 1 and done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if "cannot be loaded" in line]
    assert "libgomp" in line and "apt-get install libgomp1" in line and "Traceback" not in done.stderr


def test_the_image_installs_it() -> None:
    assert "libgomp1" in (ROOT / "Dockerfile").read_text()
