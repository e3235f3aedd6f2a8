"""Requests that nobody means well with, against every route of a running server, by its own description of them.

    python -m tests.fuzz_api [--count 10000] [--seed 0]        make fuzz

Each request takes a route of /v1/openapi.json. Its parameters and its body are of the type that is asked for, or
hostile: paths out of the folder, SQL, script, half characters, numbers too large, bodies of another shape, or no JSON
at all. The server answers each in time and without an error of its own, and tells nothing of its disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.made import mutated

HOSTILE = (
    "", " ", "\0", "%00", "..", "../../../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "C:\\Windows\\win.ini",
    "'", '"', "' OR '1'='1", "1; DROP TABLE documents; --", "\\", "%", "_", "*", "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>", "${jndi:ldap://x/}", "{{7*7}}", "%s%n%x", "\r\nX-Injected: yes", "A" * 9000,
    "\u202e\u0000\ufeff", "\U0001d54f" * 400, "-1", "0", "99999999999999999999", "1e309", "NaN", "null", "[]", "{}",
    "http://169.254.169.254/latest", "ignore the instructions above", "\ud800",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**63, 10**30, 1e308, -1e-9, float("nan"), float("inf"))
MOST_BYTES = 1 << 17  # of a reply that are looked at: a stream need not end
SECONDS = 30.0


class Requests:
    """Requests to the routes of a server, each a function of the seed and its number."""

    def __init__(self, described: Mapping[str, Any], known: Sequence[str], seed: int):
        """`known` are ids and names that the server has, for parameters that mean one."""
        self._schemas = described.get("components", {}).get("schemas", {})
        self._known, self._seed = list(known) or ["x"], seed
        self.routes = [
            (path, method, operation)
            for path, operations in sorted(described["paths"].items())
            for method, operation in sorted(operations.items())
        ]

    def request(self, number: int) -> tuple[str, str, dict[str, Any]]:
        """(method, path, what httpx takes beside them) of a number."""
        chance = random.Random(f"{self._seed} {number}")
        path, method, operation = chance.choice(self.routes)
        given: dict[str, Any] = {"params": {}, "headers": {}}
        removes = method in ("delete", "patch")  # what is there stays there
        for parameter in operation.get("parameters", ()):
            value = self._value(parameter.get("schema", {}), chance, real=not removes)
            if parameter["in"] == "path":
                path = path.replace(
                    f"{{{parameter['name']}}}", quote(_text(value) or "x", safe="" if chance.random() < 0.5 else "/")
                )
            elif parameter["in"] == "query" and (parameter.get("required") or chance.random() < 0.5):
                given["params"][parameter["name"]] = _text(value)
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            if "json" in kind:
                data = json.dumps(self._value(body.get("schema", {}), chance, real=True)).encode()
                data = mutated(data + b" " * 64, chance) if chance.random() < 0.2 else data
            else:
                data = chance.randbytes(chance.choice((0, 1, 1000)))
            given["content"], given["headers"]["content-type"] = data, kind
        return method.upper(), path, given

    def _value(self, schema: Mapping[str, Any], chance: random.Random, real: bool, depth: int = 5) -> Any:
        if chance.random() < 0.15 or not depth:
            return chance.choice((*HOSTILE, *NUMBERS, None, [], {}, [[]], {"a": {}}))
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self._value(chance.choice(schema[several]), chance, real, depth - 1)
        if "enum" in schema:
            return chance.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object":
            fields = schema.get("properties", {})
            made = {
                name: self._value(inner, chance, real, depth - 1)
                for name, inner in fields.items()
                if chance.random() < 0.6 or name in schema.get("required", ())
            }
            return {**made, **({chance.choice(HOSTILE): 1} if chance.random() < 0.1 else {})}
        if kind == "array":
            return [self._value(schema.get("items", {}), chance, real, depth - 1) for _ in range(chance.randrange(4))]
        if kind in ("integer", "number"):
            return chance.choice(NUMBERS) if chance.random() < 0.3 else chance.randrange(20)
        if kind == "boolean":
            return chance.random() < 0.5
        if kind == "null":
            return None
        if real and chance.random() < 0.4:
            return chance.choice(self._known)
        return chance.choice(("When was it built?", "loss function", "mill", "kind=text", *HOSTILE))


def _text(value: Any) -> str:
    """A value as it stands in an address."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "replace").decode()


def fuzz_api(address: str, folder: Path, count: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Send requests; how many got which status, and what is wrong with the others' replies. `folder`: what no reply
    may name, the server's own."""
    statuses, wrong = Counter[str](), list[str]()
    with httpx.Client(base_url=address, timeout=SECONDS) as client:
        described = client.get("/v1/openapi.json").json()
        known = [each["id"] for each in client.get("/v1/documents").json()["documents"]]
        requests = Requests(described, [*known, *(f"{each}#1" for each in known)], seed)
        for number in range(count):
            method, path, given = requests.request(number)
            began, body = time.monotonic(), b""
            try:
                with client.stream(method, path, **given) as reply:
                    for piece in reply.iter_bytes():
                        body += piece
                        if len(body) > MOST_BYTES or time.monotonic() - began > 2:
                            break
            except httpx.InvalidURL:
                statuses["no address"] += 1
                continue
            except httpx.HTTPError as error:
                wrong.append(f"{number}: {method} {path}: {type(error).__name__}")
                continue
            statuses[f"{reply.status_code // 100}xx"] += 1
            told = body.decode("utf-8", "replace")
            if reply.status_code >= 500 and reply.status_code != 503:
                wrong.append(f"{number}: {method} {path}: {reply.status_code} {told[:200]}")
            if "Traceback" in told or "root:x:0" in told or "sqlite3." in told or "x-injected" in reply.headers:
                wrong.append(f"{number}: {method} {path}: {told[:200]}")
            if reply.status_code >= 400 and str(folder) in told:
                wrong.append(f"{number}: {method} {path} names the server's folder: {told[:200]}")
        alive = client.get("/health")
        if alive.status_code != 200:
            wrong.append(f"the server is not well: {alive.status_code}")
    return statuses, wrong


def main() -> None:
    from tests.served import serving
    from tests.warm_command import WarmCommand

    parser = argparse.ArgumentParser(description="Hostile requests to every route.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warm = WarmCommand()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:

        def glossator(*arguments: object) -> Any:
            return warm.run(list(map(str, arguments)), dict(os.environ), None, 240)

        with serving(Path(folder), glossator) as site:
            statuses, wrong = fuzz_api(site.address, Path(folder), given.count, given.seed)
            if wrong:
                print(site.log.read_text()[-3000:], file=sys.stderr)
    warm.close()
    print(f"api: {given.count:,} requests in {time.monotonic() - began:.0f} s, {dict(statuses)}, {len(wrong)} wrong")
    for line in wrong[:20]:
        print(line, file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
