"""What a terminal shows while an answer is written: its draft, erased when the answer is there, and progress below."""

from __future__ import annotations

import shutil

from ui.cli.progress import Progress


class Draft:
    """What has been printed of a draft. `shown`: whether it is printed at all; progress always is."""

    def __init__(self, shown: bool):
        self._shown = shown
        self._text = ""
        self._progress: Progress | None = None

    def write(self, piece: str) -> None:
        if self._shown:
            piece = "".join(sign for sign in piece if sign == "\n" or sign.isprintable())
            self._text += piece
            print(piece, end="", flush=True)

    def report(self, what: str, done: int, total: int, note: str) -> None:
        """Progress on standard error, on a line below the draft."""
        if self._progress is None:
            if self._text:
                self.write("\n")
            self._progress = Progress().__enter__()
        self._progress(what, done, total, note)

    def erase(self) -> None:
        """Leave the cursor where the draft began."""
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None
        if self._text:
            width = shutil.get_terminal_size().columns
            rows = sum(max(0, len(line) - 1) // width for line in self._text.split("\n")) + self._text.count("\n")
            print(f"\r\033[{rows}A\033[J" if rows else "\r\033[K", end="", flush=True)
            self._text = ""
