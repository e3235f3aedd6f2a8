"""The program of a child process (ingest/child_process.py): it limits itself, then serves one document.

    python -m ingest.worker MODULE MEMORY_MB PAGE_SECONDS

The request is a line of JSON on standard input. MODULE has a generator `serve(request, numbers)`, which yields replies
(what, value): one of the document as a whole, then one for each number that the parent asks for. A reply leaves as a
line of JSON, with the peak memory of the process. A DocumentError is the reply ("error", its message), and so is any
error that nobody foresaw, with what it is; its traceback goes to standard error. A module without `serve` has a
`main()` that reads the request and writes the output by itself.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ingest.child_process import OUT_OF_MEMORY, START_SECONDS
from rag.errors import DocumentError

AGAIN = "Open it and save it again, or leave it out"


def main() -> int:
    """Limit this process, then hand the request on standard input to the module named in the arguments."""
    name, memory_mb, page_seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    limit_process(memory_mb)
    allow_processor_time(START_SECONDS + page_seconds)
    try:
        module = import_module(name)
        if not hasattr(module, "serve"):
            return int(module.main())
        request = json.loads(sys.stdin.readline())
        try:
            for what, value in module.serve(request, _numbers(page_seconds)):
                _reply(what, value)
        except DocumentError as error:
            _reply("error", str(error))
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:
        _reply("error", f"is damaged in a way that its reader does not know ({type(error).__name__}). {AGAIN}")
        raise
    return 0


def limit_process(memory_mb: int) -> None:
    """Limit the memory of this process; it can write no file and no core dump."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # a parser has nothing to write
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_processor_time(page_seconds: float) -> None:
    """Let this process use at most `page_seconds` more seconds of a processor, give or take two.

    A child whose parent was killed thus ends by itself, at the latest when a page has used up its time.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + page_seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _numbers(page_seconds: float) -> Iterator[int]:
    """The numbers that the parent asks for, a line each; each may take `page_seconds` of a processor."""
    for line in sys.stdin:
        allow_processor_time(page_seconds)
        yield int(line)


def _reply(what: str, value: Any) -> None:
    print(json.dumps((what, value, _peak_kb())), flush=True)


def _peak_kb() -> int:
    """The peak memory of this process in KiB. Not by getrusage where possible: in Linux that counts the parent too."""
    with contextlib.suppress(OSError, StopIteration), Path("/proc/self/status").open(encoding="utf-8") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // 1024 if sys.platform == "darwin" else used


if __name__ == "__main__":
    sys.exit(main())
