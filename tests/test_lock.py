"""requirements.lock: each release by version and hash, the versions those of constraints.txt, nothing missing."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

PIN = re.compile(r"^([\w.-]+)==([\w.+!-]+)((?:\s*;[^\\]*)?(?:\s*\\\n\s+--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def locked() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    found = {canonicalize_name(name): version for name, version, _ in PIN.findall(text)}
    assert len(found) == len(re.findall(r"^\w", text, re.MULTILINE)) > 150, "each with its hashes"
    assert "://" not in text and "find-links" not in text, "no place that it was made from"
    return found


def test_versions_are_those_of_the_constraints() -> None:
    found, pinned = locked(), (ROOT / "constraints.txt").read_text("utf-8")
    for line in pinned.splitlines():
        name, exact, version = line.partition("==")
        if exact and ";" not in line and canonicalize_name(name) in found:
            assert found[canonicalize_name(name)] == version.strip(), name


def test_all_that_a_release_needs_is_there_but_torch() -> None:
    found, seen, waiting = locked(), set[str](), [("glossator", ("audio",))]
    while waiting:
        name, extras = waiting.pop()
        try:
            needed = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:  # for another system
            continue
        for requirement in needed:
            marks = [requirement.marker is None or requirement.marker.evaluate({"extra": e}) for e in (*extras, "")]
            key = canonicalize_name(requirement.name)
            if any(marks) and key not in seen and key != "torch":
                seen.add(key)
                waiting.append((requirement.name, tuple(requirement.extras)))
    assert seen - found.keys() <= {"setuptools", "pip"} and len(seen) > 150
    assert not {"torch", "triton"} & found.keys(), "its build differs by machine: it is installed before"
