"""The command `worker`: reads what is uploaded to servers over a library, in a process of its own."""

from __future__ import annotations

import sys
import threading

from rag.errors import LibraryError
from ui.cli.options import LibraryOption
from ui.cli.shared import open_indexes
from ui.wording import printable

LOOK_SECONDS = 0.5
END_SECONDS = 20.0  # for what is being read to be put back


def worker(library: LibraryOption) -> None:
    """Read what is uploaded to `glossator serve --no-ingest` over the same library. Several share the work; what one
    that is killed was reading another takes up. Ctrl-C puts it back."""
    from ui.web.workers.upload_worker import UploadWorker

    indexes = open_indexes(library)
    uploads = UploadWorker(indexes)
    uploads.take_up()
    print(f"glossator: reading what is uploaded to {library}", file=sys.stderr, flush=True)
    told = set[str]()
    try:
        while not threading.Event().wait(LOOK_SECONDS):
            try:
                rows = uploads.rows()
            except LibraryError:
                continue
            for row in rows:
                if row.state in ("ready", "unchanged", "failed", "locked", "stopped") and row.upload_id not in told:
                    told.add(row.upload_id)
                    print(f"{row.state}: {printable(row.name)} {printable(row.error)}".strip(), flush=True)
    except KeyboardInterrupt:  # the way to end it
        pass
    finally:
        uploads.close(END_SECONDS)
