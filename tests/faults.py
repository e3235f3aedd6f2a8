"""Fault injection: kills at random moments, errors at each write, a flipped bit in each file, a clock that jumps.

    python -m tests.faults [kills|writes|flips|clock]... [--count N] [--seed N]        make faults

Each part prints how many faults were survived of those injected. Survived is: what was acknowledged before is there and
whole, `check` finds nothing (or names the damage and `--repair` mends it), and the same command again ends where an
undisturbed one ends. A flipped bit is found, or changes no answer; never a wrong answer without a word.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.copies.restore import read_backup
from rag.library.kept.conversations import Conversations
from rag.settings import load_settings
from tests.conftest import command
from tests.test_bad_input import copied

ANIMALS = ("otter", "beaver")
NEW = ("lynx", "marten")
State = dict[str, Any]


@dataclass(slots=True)
class Survived:
    """What became of the faults of a part: by kind, and what is wrong with those not survived."""

    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


# -- a library, and what is in it --------------------------------------------------------------------------------------


def story(folder: Path, animal: str, paragraphs: int = 12) -> Path:
    """A text about an animal that no other document names."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"The {animal} of paragraph {n} swims in the river. It eats fish." for n in range(paragraphs)]
    (folder / f"{animal}.txt").write_text("\n\n".join([f"Tales of the {animal}", *lines]) + "\n")
    return folder / f"{animal}.txt"


def run(*arguments: object, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The program, after the command `before` that starts it, to its end."""
    done = [*before, *command(*arguments)]
    return subprocess.run(done, capture_output=True, text=True, timeout=300, check=False)


def template(folder: Path) -> Path:
    """The folder with papers of two animals, and the library of them, with a conversation of one turn."""
    for animal in ANIMALS:
        story(folder / "papers", animal)
    done = run("ingest", folder / "papers", "--library", folder / "library")
    assert done.returncode == 0, done.stderr
    conversations = Conversations(folder / "library")
    turn = conversations.add_turn(conversations.create("").conversation_id, "", "What swims?", {})
    conversations.end_turn(turn.turn_id, "stopped", {})
    return folder


def state(library: Path) -> State:
    """Documents with their passages, what searches find, and what `check` says."""
    opened = Library.open(library)
    indexes = Indexes(opened, load_settings())
    hits = {
        f"{name} {animal}": [
            (hit.passage.title, hit.passage.text) for hit in indexes.retriever(name).search([animal], 3)[0]
        ]
        for name in ("bm25", "dense", "sparse")
        for animal in (*ANIMALS, *NEW)
    }
    documents = {
        entry.title: hashlib.sha256(opened.document(entry.document_id).text.encode()).hexdigest()
        for entry in opened.documents()
    }
    return {"documents": documents, "hits": hits, "problems": opened.problems() + indexes.problems()}


# -- kills -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """What is killed: its command over a copy of the template, and what has to hold after it was run again."""

    arguments: Callable[[Path], tuple[object, ...]]
    check: Callable[[Path, State], str]  # (folder, the undisturbed state) -> what is wrong, or ""
    prepare: Callable[[Path], None] = lambda folder: None


def _same(folder: Path, wanted: State) -> str:
    found = state(folder / "library")
    return "" if found == wanted else f"another state: {_difference(found, wanted)}"


def _difference(found: State, wanted: State) -> str:
    return "; ".join(f"{key}: {str(found[key])[:150]}" for key in wanted if found.get(key) != wanted[key])


def _backup_is_whole(folder: Path, wanted: State) -> str:
    for file in folder.glob("b.tar"):
        try:
            read_backup(file, folder / "restored")
        except RagError as error:
            return f"half a backup: {error}"
        found = state(folder / "restored")
        return "" if found == wanted else f"another state: {_difference(found, wanted)}"
    return "no backup after the second run"


def _restored_is_whole(folder: Path, wanted: State) -> str:
    found = state(folder / "restored")
    return "" if found == wanted else f"another state: {_difference(found, wanted)}"


def _new_papers(folder: Path) -> None:
    for animal in NEW:
        story(folder / "papers", animal, 60)
    story(folder / "papers", "otter", 14)


def _backed_up(folder: Path) -> None:
    assert run("backup", folder / "b.tar", "--library", folder / "library").returncode == 0


def _without_vectors(folder: Path) -> None:
    for name in ("dense", "lexical", "sparse"):
        shutil.rmtree(folder / "library" / name)


KILLED: dict[str, Work] = {
    "ingest": Work(lambda f: ("ingest", f / "papers", "--library", f / "library"), _same, _new_papers),
    "remove": Work(lambda f: ("remove", f / "papers" / "otter.txt", "--library", f / "library"), _same),
    "rebuild": Work(lambda f: ("check", "--repair", "--library", f / "library"), _same, _without_vectors),
    "backup": Work(lambda f: ("backup", f / "b.tar", "--library", f / "library"), _backup_is_whole),
    "restore": Work(lambda f: ("restore", f / "b.tar", "--library", f / "restored"), _restored_is_whole, _backed_up),
}


def kills(count: int, seed: int, folder: Path) -> Survived:
    """Each work killed at moments that are spread over its time by chance, and run again; and conversations."""
    result, chance = Survived(), random.Random(seed)
    made = template(folder / "template")
    each = max(1, count // (len(KILLED) + 2))
    for name, work in KILLED.items():
        first = copied(made, folder / name)
        _moved(first)
        work.prepare(first)
        began = time.monotonic()
        whole = copied(first, folder / f"{name} whole")
        _moved(whole)
        done = run(*work.arguments(whole))
        assert done.returncode == 0, done.stderr
        seconds = time.monotonic() - began
        wanted = state(whole / ("restored" if name == "restore" else "library"))
        for number in range(each):
            there = copied(first, folder / f"{name} {number}")
            _moved(there)
            _killed(work.arguments(there), seconds * (number + chance.random()) / each)
            result.faults[f"kill -9: {name}"] += 1
            if wrong := _after(there, name, work, wanted):
                result.wrong.append(f"{name}, kill {number}: {wrong}")
            else:
                shutil.rmtree(there)
    _conversation_kills(each, chance, made, folder, result)
    _training_kills(each, chance, folder, result)
    return result


def _moved(folder: Path) -> None:
    """Tell a copied library that its documents lie beside it: they have the same bytes and other paths."""
    library = Library.open(folder / "library")
    with library.writing("a copy"):
        for entry in library.documents():
            for path in library.files_of(entry.document_id):
                here = folder / "papers" / path.name
                if path != here:
                    library.add_path(entry.document_id, str(here), str(here))
                    library.forget_path(path)


def _killed(arguments: tuple[object, ...], seconds: float) -> None:
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _after(folder: Path, name: str, work: Work, wanted: State) -> str:
    """What is wrong after a kill, before and after the same command again."""
    before = state(folder / "library") if name != "rebuild" else {"problems": []}
    if name in ("backup", "restore") and before["problems"]:
        return f"the library itself: {before['problems']}"
    if damaged := [text for text in before["problems"] if "does not quote" in text or "integrity" in text]:
        return f"the catalogue: {damaged}"
    if name == "restore" and (folder / "restored").exists():
        return work.check(folder, wanted)
    done = run(*work.arguments(folder))
    gone = name == "remove" and "no document is" in done.stderr
    if done.returncode and not gone:
        return f"the second run: {done.stderr.strip()}"
    return work.check(folder, wanted)


TALK = """
import sys
from rag.library.kept.conversations import Conversations
conversations = Conversations(__import__("pathlib").Path(sys.argv[1]))
conversation = conversations.create("").conversation_id
print(conversation, flush=True)
while True:
    print(conversations.add_turn(conversation, "", "What?", {}).turn_id, flush=True)
"""


def _conversation_kills(count: int, chance: random.Random, made: Path, folder: Path, result: Survived) -> None:
    """Every turn whose writing was acknowledged is there."""
    library = copied(made / "library", folder / "talk")
    for number in range(count):
        process = subprocess.Popen([sys.executable, "-c", TALK, str(library)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        conversation = process.stdout.readline().strip()
        time.sleep(0.2 * chance.random())
        process.kill()
        told = process.stdout.read().split("\n")[:-1]
        process.wait()
        there = {turn.turn_id for turn in Conversations(library).turns(conversation, "")}
        result.faults["kill -9: conversation"] += 1
        if set(told) - there:
            result.wrong.append(f"conversation, kill {number}: {len(set(told) - there)} of {len(told)} turns are lost")
    if found := Library.open(library).problems():
        result.wrong.append(f"conversations: {found}")


TRAIN = """
import sys, pathlib
from tests.test_train_reader import RECIPE, asked, claimed, student, train
from tests.test_span import tiny
base = pathlib.Path(sys.argv[1]) / "base"
base.exists() or tiny(base)
made = student(base, RECIPE.seed)
state = train([asked(i) for i in range(40)], [asked(i) for i in range(40, 60)], made, RECIPE,
              pathlib.Path(sys.argv[1]) / sys.argv[2], lambda *_: None, [claimed(i) for i in range(30)])
print([(point.step, point.f1, point.loss) for point in state.curve])
"""


def _training_kills(count: int, chance: random.Random, folder: Path, result: Survived) -> None:
    """A training that was killed goes on to the same curve."""
    (folder / "training").mkdir()
    once = [sys.executable, "-c", TRAIN, str(folder / "training")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    wanted = subprocess.run([*once, "whole"], capture_output=True, text=True, env=environment, check=True).stdout
    seconds = time.monotonic() - began
    for number in range(count):
        process = subprocess.Popen([*once, f"{number}"], stdout=subprocess.DEVNULL, env=environment)
        time.sleep(seconds * (0.3 + 0.7 * (number + chance.random()) / count))
        process.kill()
        process.wait()
        again = subprocess.run([*once, f"{number}"], capture_output=True, text=True, env=environment, check=False)
        result.faults["kill -9: training"] += 1
        if again.stdout != wanted:
            result.wrong.append(f"training, kill {number}: {(again.stdout or again.stderr)[-200:]}")


# -- errors at writes --------------------------------------------------------------------------------------------------

ERRORS = ("ENOSPC", "EIO")
WRITES = "write,pwrite64,pwritev,writev,ftruncate,fsync,fdatasync,rename,renameat,renameat2,mkdir,unlink"


def writes(count: int, seed: int, folder: Path) -> Survived:
    """An ingestion of a changed and two new documents, whose Nth call that writes fails: disk full, or an I/O error.

    N goes over all calls on files below the library, evenly. By strace.
    """
    result = Survived()
    if not shutil.which("strace"):
        raise SystemExit("errors at writes are injected by strace, which is not installed: apt-get install strace")
    made = template(folder / "template")
    _new_papers(made)
    for name in ("named", "whole"):  # first which files there are, then how many calls on them
        whole = copied(made, folder / name)
        _moved(whole)
        paths = _paths(whole / "library", folder / "calls") if name == "whole" else ()
        calls = _traced(whole, paths, folder / "calls", ())
    names = [path.relative_to(whole / "library") for path in paths]
    wanted = state(whole / "library")
    lines = (folder / "calls").read_text(errors="replace").splitlines()
    total = sum("(" in line and not line.startswith(("+", "-")) for line in lines)
    assert calls.returncode == 0 and total > 50, calls.stderr
    for number in range(count):
        nth = 1 + number * total // count
        for error in ERRORS:
            there = copied(made, folder / f"{nth} {error}")
            _moved(there)
            inject = ("-e", f"inject={WRITES}:error={error}:when={nth}")
            failed = _traced(there, [there / "library" / name for name in names], folder / "failed", inject)
            result.faults[f"{error} at a write"] += 1
            wrong = ""
            if failed.returncode not in (0, 1) or "Traceback" in failed.stderr:
                wrong = f"exit {failed.returncode}: {failed.stderr.strip()[-300:]}"
            else:
                done = run("ingest", there / "papers", "--library", there / "library")
                wrong = done.stderr.strip() if done.returncode else _same(there, wanted)
            if wrong:
                result.wrong.append(f"{error} at call {nth} of {total}: {wrong}")
            shutil.rmtree(there)
    return result


def _traced(
    folder: Path, paths: Sequence[Path], log: Path, inject: tuple[str, ...]
) -> subprocess.CompletedProcess[str]:
    """An ingestion whose calls on these paths are written down, or all on files, with their names, without paths."""
    seen = [option for path in paths for option in ("-P", str(path))]
    traced = WRITES if paths else f"{WRITES},openat"
    before = ("strace", "-f", "-qq", "-y", "-o", str(log), "-e", f"trace={traced}", *seen, *inject)
    return run("ingest", folder / "papers", "--library", folder / "library", "--jobs", "1", before=before)


def _paths(library: Path, log: Path) -> list[Path]:
    """The files of a library that an ingestion of another copy of it, which is called "named", wrote to."""
    other = str(library).replace("/whole/", "/named/")
    found = set(re.findall(rf"[<\"]{re.escape(other)}(/[^>\"]*)?[>\"]", log.read_text(errors="replace")))
    return [library, *sorted(library / name[1:] for name in found if len(name) > 1)]


# -- flipped bits ------------------------------------------------------------------------------------------------------


def flips(count: int, seed: int, folder: Path) -> Survived:
    """A bit flipped in each file of a library, `count` times each: found by `check`, refused, or without effect."""
    result, chance = Survived(), random.Random(seed)
    made = template(folder / "template")
    wanted = state(made / "library")
    files = [path.relative_to(made / "library") for path in sorted((made / "library").rglob("*")) if path.is_file()]
    files = [file for file in files if not file.name.endswith((".lock", "writer.json", "-wal", "-shm"))]
    for file in files:
        size = (made / "library" / file).stat().st_size
        for _ in range(count if size else 0):
            there = copied(made / "library", folder / "flipped")
            data = bytearray((there / file).read_bytes())
            at = chance.randrange(size)
            data[at] ^= 1 << chance.randrange(8)
            (there / file).write_bytes(data)
            what = _of_flipped(there, wanted)
            result.faults[f"a flipped bit {what}"] += 1
            if what.startswith("WRONG"):
                result.wrong.append(f"{file}, byte {at}: {what}")
            shutil.rmtree(there)
    return result


def _of_flipped(library: Path, wanted: State) -> str:
    """What came of a flipped bit: asked first what `check` says, then whether answers are those of before."""
    checked = run("check", "--library", library)
    if checked.returncode:
        named = "problem" in checked.stdout or checked.stderr.startswith("glossator: ")
        if not named or "Traceback" in checked.stderr:
            return f"WRONG: {checked.stderr.strip()[-200:]}"
        return "found by check"
    try:
        found = state(library)
    except RagError:
        return "refused"
    same = found["documents"] == wanted["documents"] and found["hits"] == wanted["hits"]
    return "without effect" if same else f"WRONG without a word: {_difference(found, wanted)}"


# -- clocks ------------------------------------------------------------------------------------------------------------


def clock(count: int, seed: int, folder: Path) -> Survived:
    """Ingestions and searches while the clock jumps forth and back by up to ten years, by faketime."""
    result, chance = Survived(), random.Random(seed)
    if not shutil.which("faketime"):
        raise SystemExit("clocks jump by faketime, which is not installed: apt-get install faketime")
    made = template(folder / "template")
    for number in range(count):
        days = chance.choice((-3650, -365, -1, 1, 365, 3650))
        before = ("faketime", "-f", f"{days:+d}d")
        animal = f"animal{number}"
        story(made / "papers", animal)
        added = run("ingest", made / "papers", "--library", made / "library", before=before)
        found = run("search", animal, "--library", made / "library", "--retriever", "bm25", "--json", before=before)
        checked = run("check", "--library", made / "library")
        result.faults["clock jumps"] += 1
        hits = json.loads(found.stdout)["hits"] if found.returncode == 0 else []
        if added.returncode or checked.returncode or not hits or animal not in hits[0]["text"]:
            result.wrong.append(f"{days:+d} days: {added.stderr} {found.stderr} {checked.stdout}".strip()[-400:])
    return result


PARTS: dict[str, tuple[Callable[[int, int, Path], Survived], int]] = {
    "kills": (kills, 200), "writes": (writes, 60), "flips": (flips, 6), "clock": (clock, 8),
}  # fmt: skip


@contextmanager
def _scratch(keep: Path | None) -> Iterator[Path]:
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fault injection.")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--count", type=int, help="faults of a part (of flips: in each file)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    logging.getLogger("glossator").setLevel(logging.ERROR)  # copies are brought up to date
    bad = 0
    for name in given.parts or PARTS:
        part, usual = PARTS[name]
        began = time.monotonic()
        with _scratch(given.keep and given.keep / name) as folder:
            result = part(given.count or usual, given.seed, folder)
        bad += len(result.wrong)
        for kind, number in sorted(result.faults.items()):
            print(f"| {kind} | {number} |")
        print(f"{name}: {sum(result.faults.values()) - len(result.wrong)} of {sum(result.faults.values())} survived, "
              f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        for line in result.wrong[:30]:
            print(f"  {line}", file=sys.stderr, flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
