"""`make run` as the README gives it: from this checkout to a chat whose citation opens the right page."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from rag.errors import ModelError
from rag.models.registry import path_of
from tests.conftest import ROOT, needs_browser
from tests.processes import free_port

QUESTION = "On what GPU was the SPECTER model trained?"  # "a single Titan V GPU", page 5
SCREENSHOT = ROOT / "build" / "make-run.png"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), needs_browser]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `make run` ends in, over a library of its own."""
    if not (ROOT / ".venv" / "installed").exists():
        pytest.skip("this checkout was not installed by make")
    try:
        path_of("qwen2.5-coder-1.5b")
    except ModelError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("run")
    port = free_port()
    log = folder / "log"
    with log.open("w") as out:
        running = subprocess.Popen(
            ["make", "run", f"LIBRARY={folder}/library", f"PORT={port}"],
            cwd=ROOT, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while f"glossator: open http://127.0.0.1:{port}" not in log.read_text():
            assert running.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(running.pid, signal.SIGINT)
        running.wait(30)


def test_the_example_is_answered_with_a_citation_that_opens_its_page(address: str, browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    box = page.get_by_role("textbox", name="Question", exact=True)
    box.fill(QUESTION)
    box.press("Enter")
    page.locator(".turn .answer .chip").first.wait_for(timeout=180_000)
    assert "Titan V" in page.locator(".turn .answer").inner_text()

    page.locator(".turn .answer .chip").first.click()
    page.locator(".sheet .mark").first.wait_for()
    page.wait_for_function("() => document.querySelector('.sheet img')?.naturalWidth > 0")
    assert re.search(r"page 5\b", page.locator(".reading .place").inner_text())
    picture = Image.open(BytesIO(page.locator(".sheet").screenshot())).convert("RGB")
    marked = sum(count for count, (r, g, b) in picture.getcolors(1 << 24) if r > 200 and g > 180 and b < 120)
    assert marked > 500, "the quoted words are marked in yellow"
    SCREENSHOT.parent.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOT)
    assert Path(SCREENSHOT).stat().st_size > 10_000
