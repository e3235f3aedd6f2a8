"""Users who search and ask at a running server for some minutes: errors, latencies, and how its memory grows.

    python -m eval.server.server_load http://127.0.0.1:7860 --users 50 --seconds 600 --upload long.pdf

Each user waits 5 to 15 seconds between requests; of five requests four are searches, one a question. A reader that
answers at once (a scripted endpoint) shows what the server itself can do. With `--upload` a document is added at the
beginning and read meanwhile. Replies of 429 are counted apart: they say when to come back, and users do.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

PAUSE_SECONDS = (5.0, 15.0)
ASKED = 0.2  # share of questions among the requests
WATCH_SECONDS = 5.0
QUESTIONS = ("When was the lighthouse built?", "Which loss function trains the model?", "Who kept the light?")
WORDS = ("lighthouse lamp", "loss function", "noise at night", "the tide of a week", "harbour master")


class Load:
    """What the users have met: (kind, seconds, status) of each request; status 0 for one that was not answered."""

    def __init__(self, address: str, seconds: float):
        self.address, self.until = address, time.monotonic() + seconds
        self.replies: list[tuple[str, float, int]] = []
        self.memory: list[tuple[float, float]] = []  # (seconds since the beginning, resident bytes)

    def user(self, number: int) -> None:
        """One user, until the time is up."""
        chance = random.Random(number)
        with httpx.Client(base_url=self.address, timeout=120) as client:
            while time.monotonic() < self.until:
                time.sleep(chance.uniform(*PAUSE_SECONDS))
                asks = chance.random() < ASKED
                began = time.perf_counter()
                try:
                    if asks:
                        body = {"question": chance.choice(QUESTIONS), "style": "short"}
                        reply = client.post("/v1/ask", json=body)
                    else:
                        reply = client.get("/v1/search", params={"q": chance.choice(WORDS), "k": 8})
                    status = reply.status_code
                except httpx.HTTPError:
                    status, reply = 0, None
                self.replies.append(("ask" if asks else "search", time.perf_counter() - began, status))
                if reply is not None and status == 429:
                    time.sleep(float(reply.headers.get("retry-after", 1)))

    def watch(self) -> None:
        """The server's memory, as its metrics tell it."""
        began = time.monotonic()
        with httpx.Client(base_url=self.address, timeout=60) as client:
            while time.monotonic() < self.until:
                text = client.get("/metrics").text
                resident = re.search(r"^process_resident_memory_bytes (\S+)", text, re.M)
                if resident:
                    self.memory.append((time.monotonic() - began, float(resident[1])))
                time.sleep(WATCH_SECONDS)

    def result(self) -> dict[str, Any]:
        """Milliseconds by kind, replies by status, and MB a minute by which memory grew in the second half."""
        found: dict[str, Any] = {"replies": dict(Counter(str(status) for _, _, status in self.replies))}
        for kind in ("search", "ask"):
            times = [1000 * seconds for of, seconds, status in self.replies if of == kind and status == 200]
            if times:
                p50, p95, p99 = np.percentile(times, [50, 95, 99])
                found[kind] = {"n": len(times), "p50_ms": round(p50), "p95_ms": round(p95), "p99_ms": round(p99)}
        half = self.memory[len(self.memory) // 2 :]
        if len(half) > 2:
            seconds, resident = np.array(half).T
            found["memory_mb"] = round(resident[-1] / 1e6)
            found["memory_slope_mb_a_minute"] = round(float(np.polyfit(seconds, resident, 1)[0]) * 60 / 1e6, 2)
        return found


def upload(address: str, file: Path) -> None:
    """Add a document; it is read while the users ask."""
    arrived = httpx.put(f"{address}/v1/uploads/{file.name}", content=file.read_bytes(), timeout=300).json()["id"]
    httpx.post(f"{address}/v1/documents", json={"uploads": [arrived]}, timeout=60).raise_for_status()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("address")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--upload", type=Path)
    given = parser.parse_args()
    load = Load(given.address, given.seconds)
    if given.upload:
        upload(given.address, given.upload)
    threads = [threading.Thread(target=load.user, args=(number,)) for number in range(given.users)]
    threads.append(threading.Thread(target=load.watch))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"users": given.users, "seconds": given.seconds, **load.result()}, indent=1))


if __name__ == "__main__":
    main()
