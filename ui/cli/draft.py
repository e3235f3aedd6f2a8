"""The draft of an answer on a terminal, as it is written; it is erased when the answer is there."""

from __future__ import annotations

import shutil


class Draft:
    """What has been printed of a draft. `shown`: whether anything is printed at all."""

    def __init__(self, shown: bool):
        self._shown = shown
        self._text = ""

    def write(self, piece: str) -> None:
        if self._shown:
            piece = "".join(sign for sign in piece if sign == "\n" or sign.isprintable())
            self._text += piece
            print(piece, end="", flush=True)

    def erase(self) -> None:
        """Leave the cursor where the draft began."""
        if self._text:
            width = shutil.get_terminal_size().columns
            rows = sum(max(0, len(line) - 1) // width for line in self._text.split("\n")) + self._text.count("\n")
            print(f"\r\033[{rows}A\033[J" if rows else "\r\033[K", end="", flush=True)
            self._text = ""
