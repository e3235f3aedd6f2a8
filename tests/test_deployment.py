"""Dockerfile, compose.yaml and the systemd unit: what they name exists, and their steps are the program's.

No engine runs them here: see docs/server.md.
"""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag.settings import LibrarySettings
from tests.conftest import ROOT
from tests.test_docs import wrong

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """(instruction, its arguments), with continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_the_image_is_built_in_layers_without_root_and_bakes_weights_on_demand() -> None:
    named = [name for name, _ in instructions()]
    assert named[0] == "FROM" and named[-1] == "CMD" and "HEALTHCHECK" in named
    user = next(place for place, (name, _) in enumerate(instructions()) if name == "USER")
    root = [arguments for name, arguments in instructions()[:user] if name == "RUN"]
    assert len(root) == 1 and "pip" not in root[0], "nothing of the program is installed as root"
    copies = [arguments for name, arguments in instructions() if name == "COPY"]
    first = copies[0].split()[1:-1]
    assert all((ROOT / name).is_file() for name in first) and copies[-1].endswith(". .")
    installed = [place for place, (_, arguments) in enumerate(instructions()) if "pip install" in arguments]
    whole = next(place for place, (_, arguments) in enumerate(instructions()) if arguments.endswith(". ."))
    assert installed[0] < whole < installed[1], "dependencies are a layer that stays while the program changes"
    assert "--no-deps" in instructions()[installed[1]][1]
    baked = next(arguments for name, arguments in instructions() if name == "RUN" and "WEIGHTS" in arguments)
    assert subprocess.run(["sh", "-n", "-c", baked]).returncode == 0


@pytest.mark.parametrize("words", [arguments for name, arguments in instructions() if name == "RUN"])
def test_each_step_is_a_command_that_a_shell_reads(words: str) -> None:
    assert subprocess.run(["sh", "-n", "-c", words], capture_output=True).returncode == 0


def commands_in(text: str) -> list[list[str]]:
    found = re.findall(r"(?:\S*/)?glossator ((?:serve|models|users|ingest|doctor)[^&|;\"\]\n]*)", text)
    return [shlex.split(re.sub(r"\$\{?\w+[^ ]*", "", command)) for command in found]


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "docs/glossator.service"])
def test_their_commands_exist(file: str) -> None:
    found = commands_in((ROOT / file).read_text("utf-8"))
    assert found or file == "compose.yaml"
    for words in found:
        assert wrong([word for word in words if word != ">"]) == "", words


AWS = re.findall(r"AWS_\w+", LibrarySettings.model_fields["files"].description or "")  # which the S3 client reads


def composed() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


def test_compose_names_what_it_has() -> None:
    found = composed()
    assert set(found) == {"services", "volumes"}
    known = {"build", "image", "ports", "volumes", "environment", "mem_limit", "init", "restart", "profiles", "command"}
    for service in found["services"].values():
        assert set(service) <= known
        for mount in service["volumes"]:
            assert mount.partition(":")[0] in found["volumes"]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "published on loopback alone"
    ours = found["services"]["glossator"]
    assert (ROOT / ours["build"] / "Dockerfile").is_file() and "profiles" not in ours
    assert found["services"]["reader"]["profiles"] == ["reader"]
    for name in ours["environment"]:
        read_by_us = ("GLOSSATOR_READER_KEY", "PGPASSWORD")
        assert name in DOCKERFILE or name in read_by_us or name in AWS, name


def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(ROOT / "docs" / "glossator.service")
    assert set(unit.sections()) == {"Unit", "Service", "Install"}
    service = dict(unit["Service"])
    assert service["KillSignal"] == "SIGINT" and service["NoNewPrivileges"] == "yes"
    if shutil.which("systemd-analyze"):
        verify = ["systemd-analyze", "verify", str(ROOT / "docs" / "glossator.service")]
        done = subprocess.run(verify, text=True, capture_output=True)
        assert "Unknown" not in done.stderr and "Failed to parse" not in done.stderr
