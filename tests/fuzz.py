"""Mutation fuzzing of all that reads what others wrote: documents of each kind, archives, lists, backups, and the API.

    python -m tests.fuzz [TARGET]... [--count 10000] [--seed 0] [--keep FOLDER]        make fuzz

Each input is a real file with a few bytes flipped, cut, doubled or exchanged, in a zip file also within its members. It
is read as the child process reads it (ingest/worker.py), and what comes of it is checked as the parent does. A crash is
any error but ours, and the death of the process; a hang takes longer than HANG_SECONDS. An input is a function of its
target, the seed and its number, so that a finding can be read again.
"""

from __future__ import annotations

import argparse
import base64
import io
import itertools
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import RagError
from tests.made import mutated

ROOT = Path(__file__).parents[1]
HANG_SECONDS, MEMORY_MB = 20, 4096
Read = Callable[[Path], None]
Seeds = Callable[[], dict[str, bytes]]  # file name -> its bytes


@dataclass(frozen=True, slots=True)
class Target:
    """What is fuzzed: its real files, and how one is read and checked."""

    seeds: Seeds
    read: Read


@dataclass(slots=True)
class Findings:
    """What became of the inputs of a target. `crashes` and `hangs`: (number, why)."""

    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: list[tuple[int, str]] = field(default_factory=list)
    hangs: list[tuple[int, str]] = field(default_factory=list)
    slowest: float = 0.0
    seconds: float = 0.0


# -- inputs ------------------------------------------------------------------------------------------------------------


def made(name: str, seeds: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """The input of a number: the name of the file that it was made of, and its bytes."""
    chance = random.Random(f"{name} {seed} {number}")
    file = chance.choice(sorted(seeds))
    data = seeds[file]
    if data.startswith(b"PK\x03\x04") and chance.random() < 0.8:
        return file, _with_mutated_members(data, chance)
    return file, mutated(data, chance)


def _with_mutated_members(data: bytes, chance: random.Random) -> bytes:
    """A zip file packed again, some of its members changed, left out or called otherwise."""
    packed, changed = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    chosen = set(chance.sample(packed.namelist(), min(len(packed.namelist()), chance.randint(1, 3))))
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as out:
        for name in packed.namelist():
            how = chance.random() if name in chosen else 1.0
            content = packed.read(name)
            if how < 0.1:
                continue
            if how < 0.2:
                name = chance.choice(packed.namelist())
            out.writestr(name, mutated(content, chance) if how < 0.95 and name in chosen else content)
    return changed.getvalue()


# -- targets -----------------------------------------------------------------------------------------------------------


def _served(module: str, request: dict[str, Any], numbers: Sequence[int] = ()) -> list[tuple[str, Any]]:
    """The replies of a child's module, through JSON, as they arrive in the parent."""
    from importlib import import_module

    replies = import_module(module).serve(request, iter(numbers))
    return [tuple(json.loads(json.dumps(reply))) for reply in replies]


def _reflowable(*kinds: str) -> Target:
    def seeds() -> dict[str, bytes]:
        from tests.reflowable_files import write_all

        with tempfile.TemporaryDirectory() as folder:
            files = write_all(Path(folder))
            return {files[kind].name: files[kind].read_bytes() for kind in kinds}

    def read(file: Path) -> None:
        from ingest.reflowable.reflowable_reading import CHILD, checked_document

        ((_, opened),) = _served(CHILD, {"path": str(file), "name": file.name})
        checked_document(opened)

    return Target(seeds, read)


def _files(*patterns: str) -> Seeds:
    return lambda: {file.name: file.read_bytes() for pattern in patterns for file in sorted(ROOT.glob(pattern))}


def _read_pdf(file: Path) -> None:
    from ingest.pdf.extract import OUTLINE

    request = {"path": str(file), "passwords": ["baz"], "ocr": False}
    _served("ingest.pdf.extract", request, [OUTLINE, 1, 2])


def _pdfs() -> dict[str, bytes]:
    from tests.pdfs import make_pdf

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "made.pdf"
        make_pdf(file, [["The frigate sailed from Amaranth.", "Its cargo was salt."], ["Table 1. Cargo", "Salt 12"]])
        golden = sorted((ROOT / "tests" / "golden").glob("*.pdf"))
        return {each.name: each.read_bytes() for each in (file, *golden) if each.stat().st_size < 200_000}


def _read_judgment(file: Path) -> None:
    from ingest.legal.case_reading import checked_case, checked_members

    module, request = "ingest.legal.case_files", {"path": str(file)}
    members = checked_members(_served(module, request)[0][1])
    for what, value in _served(module, request, range(min(3, len(members))))[1:]:
        if what == "case":
            checked_case(value)


def _judgments() -> dict[str, bytes]:
    files = [file for file in sorted((ROOT / "examples" / "judgments").rglob("*")) if file.is_file()]
    found = {file.name: file.read_bytes() for file in files if file.stat().st_size < 300_000}
    texts = {name: data.decode("utf-8", "replace") for name, data in found.items()}
    records = [{"itemid": name, "text": text[:20_000], "title": name} for name, text in sorted(texts.items())]
    return {**found, "cases.jsonl": "\n".join(map(json.dumps, records)).encode()}


def _read_transcript(file: Path) -> None:
    from ingest.podcast.episode_reading import CHILD, checked_transcript
    from ingest.podcast.sidecars import sidecars

    for beside in sidecars(file):
        beside.unlink()  # of another input
    (reply,) = _served(CHILD, {"path": str(file)})
    checked_transcript(reply[1])


def _transcripts() -> dict[str, bytes]:
    files = (ROOT / "tests" / "golden" / "transcripts").iterdir()
    golden = {file.name: file.read_bytes() for file in files if file.suffix != ".txt" or file.name == "times.txt"}
    return {name: data for name, data in golden.items() if name != "README.md"}


def _read_chapters(file: Path) -> None:
    """A file of chapters or notes, beside a transcript that is whole."""
    from tests.test_podcasts_ingest import VTT

    talk = file.parent / "talk.vtt"
    talk.write_text(VTT)
    ending = "".join(file.suffixes)
    beside = talk.with_name(f"talk{ending}")
    os.replace(file, beside)
    try:
        from ingest.podcast.episode_reading import CHILD, checked_transcript

        (reply,) = _served(CHILD, {"path": str(talk)})
        checked_transcript(reply[1])
    finally:
        beside.unlink()


CHAPTERS = {
    "a.chapters.json": b"""{"version": "1.2.0", "title": "T",
"chapters": [{"startTime": 0, "title": "One"}, {"startTime": 5.5, "title": "Two"}]}""",
    "a.psc": b"""<psc:chapters xmlns:psc="http://podlove.org/simple-chapters">
<psc:chapter start="00:00:01.5" title="One"/><psc:chapter start="5" title="Two"/></psc:chapters>""",
    "a.chapters.vtt": b"WEBVTT\n\n00:00:00.000 --> 00:00:05.000\nOne\n\n00:00:05.000 --> 00:00:09.000\nTwo\n",
    "a.meta.md": b"""---
title: "A talk"
show: Mills
published: 2023-05-02
audio: https://example.org/a.mp3
---
Words.
""",
    "a.shownotes.md": b"## Chapters\n- [00:00](x) One\n- (00:05) Two\n\nMore *words*.\n",
}


def _read_feed(file: Path) -> None:
    _served("ingest.feeds.feed", {"path": str(file)})


FEED = b"""<?xml version="1.0"?><rss xmlns:podcast="https://podcastindex.org/namespace/1.0"
xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"><channel><title>Mills</title>
<item><title>The wheel</title><pubDate>Tue, 02 May 2023 10:00:00 +0000</pubDate>
<description>&lt;p&gt;Of wheels.&lt;/p&gt;</description><enclosure url="https://example.org/a.mp3" type="audio/mpeg"/>
<podcast:transcript url="https://example.org/a.vtt" type="text/vtt"/>
<podcast:chapters url="https://example.org/a.json" type="application/json+chapters"/></item>
<item><title>The race</title><enclosure url="https://example.org/b.mp3" type="audio/mpeg"/></item></channel></rss>"""


def _recordings() -> dict[str, bytes]:
    """A second of sound, as WAV, and the beginning of the MP3 that comes with gradio."""
    import wave

    import gradio

    made = io.BytesIO()
    with wave.open(made, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(random.Random(1).randbytes(16_000))
    speech = Path(gradio.__file__).parent / "media_assets" / "audio" / "cate_blanch.mp3"
    return {"a.wav": made.getvalue(), "b.mp3": speech.read_bytes()[:60_000]}


def _read_recording(file: Path) -> None:
    from ingest.audio.sound import seconds_of_file, sound

    seconds_of_file(file)
    assert sum(len(piece) for piece in sound(file)) <= 16_000 * 3600


def _archives() -> dict[str, bytes]:
    from tests.test_unpack import mail, tarred

    members = {"a.txt": b"Words.\n" * 50, "deep/b.csv": b"a;b\n1;2\n", "c/d/e.md": b"# Head\n"}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name, data)
    attached = mail([("a.txt", b"Words."), ("b.csv", b"a;b")], mail([("c.txt", b"x")]))
    return {"a.zip": packed.getvalue(), "b.tar.gz": tarred(members), "c.eml": attached}


def _read_archive(file: Path) -> None:
    from ingest.folders import packed_files, unpack

    below = file.parent / "below"
    shutil.rmtree(below, ignore_errors=True)
    before = set(file.parent.iterdir())
    replies = packed_files.serve({"path": str(file)}, itertools.count())  # what the child does, in this process
    pieces = ((value["name"], base64.b64decode(value["data"])) for what, value in replies if what == "piece")
    unpack._keep(below, pieces, max(1 << 20, unpack.MOST_RATIO * file.stat().st_size))
    assert set(file.parent.iterdir()) <= {*before, below}, "it wrote elsewhere"
    assert not [path for path in below.rglob("*") if path.is_symlink()]


def _lists() -> dict[str, bytes]:
    from tests.test_references import BIB, CSL, RIS, zotero

    with tempfile.TemporaryDirectory() as folder:
        database = (zotero(Path(folder)) / "zotero.sqlite").read_bytes()
    lists = {"a.bib": BIB.encode(), "a.ris": RIS.encode(), "a.json": json.dumps(CSL).encode()}
    return {**lists, "zotero.sqlite": database}


def _read_references(file: Path) -> None:
    from ingest.references.bibliography import read_list
    from ingest.references.zotero import DATABASE, read_database

    (read_database if file.name == DATABASE else read_list)(file).find("The mill at Kolm", "10.1000/m", file)


def _backups() -> dict[str, bytes]:
    from rag.library.catalogue import Library
    from rag.library.copies.backup import write_backup

    with tempfile.TemporaryDirectory() as folder:
        library = Library.open(Path(folder) / "library", create=True)
        library.keep_picture(b"\x89PNG")
        for name in ("a.tar", "a.tar.gz"):
            write_backup(library, Path(folder) / name)
        return {name: (Path(folder) / name).read_bytes() for name in ("a.tar", "a.tar.gz")}


def _read_backup(file: Path) -> None:
    from rag.library.copies.restore import read_backup

    restored = file.parent / "restored"
    shutil.rmtree(restored, ignore_errors=True)
    read_backup(file, restored)


TARGETS: dict[str, Target] = {
    "pdf": Target(_pdfs, _read_pdf),
    "legal": Target(_judgments, _read_judgment),
    "podcast": Target(_transcripts, _read_transcript),
    "chapters": Target(lambda: CHAPTERS, _read_chapters),
    "word": _reflowable("word"),
    "slides": _reflowable("slides"),
    "ebook": _reflowable("ebook"),
    "sheet": _reflowable("sheet", "csv"),
    "web": _reflowable("web"),
    "email": _reflowable("email"),
    "text": _reflowable("text", "notes"),
    "audio": Target(_recordings, _read_recording),
    "feed": Target(lambda: {"feed.xml": FEED}, _read_feed),
    "archive": Target(_archives, _read_archive),
    "references": Target(_lists, _read_references),
    "backup": Target(_backups, _read_backup),
}


# -- running -----------------------------------------------------------------------------------------------------------


def fuzz(name: str, numbers: Sequence[int], seed: int = 0, keep: Path | None = None) -> Findings:
    """Read the inputs of these numbers, in a process that is replaced when it dies or hangs."""
    findings, left, began = Findings(), list(numbers), time.monotonic()
    seeds = TARGETS[name].seeds()
    forking = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as scratch:
        while left:
            results = forking.SimpleQueue()
            process = forking.Process(target=_work, args=(name, seeds, left, seed, Path(scratch), results))
            process.start()
            begun = list(_followed(process, results, findings))
            left = left[left.index(begun[-1]) + 1 :] if begun else []
    if keep:
        for number, _ in (*findings.crashes, *findings.hangs):
            file, data = made(name, seeds, seed, number)
            (keep / f"{name}-{number}-{file}").write_bytes(data)
    findings.seconds = time.monotonic() - began
    return findings


def _followed(process: Any, results: Any, findings: Findings) -> Iterator[int]:
    """The numbers that a process began; its outcomes are counted, its death and its hanging noted."""
    number, since = -1, time.monotonic()
    while True:
        if results.empty():
            if not process.is_alive() and results.empty():
                break
            if number >= 0 and time.monotonic() - since > HANG_SECONDS:
                process.kill()
                process.join()
                findings.hangs.append((number, f"longer than {HANG_SECONDS} s"))
                return
            time.sleep(0.01)
            continue
        what, value = results.get()
        if what == "begin":
            number, since = value, time.monotonic()
            yield number
        elif what == "end":
            findings.slowest = max(findings.slowest, time.monotonic() - since)
            findings.outcomes[value] += 1
            number = -1 if value == "done" else number
        else:
            findings.crashes.append((number, value))
    process.join()
    if process.exitcode:
        findings.crashes.append((number, f"the process died: {process.exitcode}"))


def _work(name: str, seeds: dict[str, bytes], numbers: Sequence[int], seed: int, scratch: Path, results: Any) -> None:
    """In the process: read one input after the other."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # parsers complain
    if Path("/proc/self/statm").exists():  # elsewhere memory is not limited
        forked = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()  # what is there already
        resource.setrlimit(resource.RLIMIT_AS, (forked + (MEMORY_MB << 20),) * 2)
    folder = scratch / str(os.getpid())
    for number in numbers:
        file, data = made(name, seeds, seed, number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / file).write_bytes(data)
        results.put(("begin", number))
        try:
            TARGETS[name].read(folder / file)
            results.put(("end", "read"))
        except RagError as error:
            one_line = len(str(error).splitlines()) == 1
            results.put(("end", "refused") if one_line else ("crash", f"a message of several lines: {error}"))
        except MemoryError:
            results.put(("end", "out of memory"))
        except BaseException as error:  # noqa: BLE001  # what else comes of it is what is looked for
            at = traceback.extract_tb(error.__traceback__)[-1]
            where = [
                f
                for f in traceback.extract_tb(error.__traceback__)
                if str(ROOT) in f.filename and "fuzz" not in f.filename
            ]
            ours = where[-1] if where else at
            results.put(("crash", f"{type(error).__name__}: {error} at {Path(ours.filename).name}:{ours.lineno}"[:300]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutation fuzzing.")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all of them by default")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that were found")
    given = parser.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    print("| target | inputs | read | refused | crashes | hangs | slowest, s | s |\n|---|---|---|---|---|---|---|---|")
    bad = 0
    for name in given.targets or TARGETS:
        found = fuzz(name, range(given.first, given.first + given.count), given.seed, given.keep)
        bad += len(found.crashes) + len(found.hangs)
        row = (name, f"{given.count:,}", found.outcomes["read"], found.outcomes["refused"], len(found.crashes),
               len(found.hangs), f"{found.slowest:.1f}", f"{found.seconds:.0f}")  # fmt: skip
        print(f"| {' | '.join(map(str, row))} |", flush=True)
        kinds = Counter(why.partition(" at ")[2] or why for _, why in found.crashes)
        for where, times in kinds.most_common(12):
            number, why = next((n, w) for n, w in found.crashes if (w.partition(" at ")[2] or w) == where)
            print(f"  {times} x, such as {number}: {why}", file=sys.stderr, flush=True)
        for number, why in found.hangs[:5]:
            print(f"  {number}: {why}", file=sys.stderr, flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
