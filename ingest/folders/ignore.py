"""Which files of a folder are left out: those that its ignore file names, and those that describe a folder.

A file `.glossatorignore` holds patterns as .gitignore does, for its folder and those below; "!README.md" takes back in
what is left out otherwise. A file that is named itself is always read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from ingest.plain_text import decoded

NAME = ".glossatorignore"
LARGEST = 1 << 20  # bytes that are read of an ignore file
ALWAYS = GitIgnoreSpec.from_lines(
    f"{name}{ending}"
    for name in ("[Rr][Ee][Aa][Dd][Mm][Ee]", "LICEN[CS]E", "COPYING", "NOTICE", "CHANGELOG", "CHANGES", "CONTRIBUTING")
    for ending in ("", ".md", ".txt", ".html")
)


@dataclass(frozen=True, slots=True)
class Ignored:
    """The ignore files above some files: (folder, patterns), the outermost first."""

    rules: tuple[tuple[Path, GitIgnoreSpec], ...] = ()

    def within(self, folder: Path) -> Ignored:
        """What is ignored in a folder: as above it, and what its own ignore file names. Raises OSError."""
        rules = self.rules or ((folder, ALWAYS),)
        file = folder / NAME
        if not file.is_file():
            return Ignored(rules)
        with file.open("rb") as stream:
            text = decoded(stream.read(LARGEST), is_cut=True)
        return Ignored((*rules, (folder, GitIgnoreSpec.from_lines(text.splitlines()))))

    def names(self, path: Path) -> bool:
        """Whether a file or folder is left out: the last ignore file that says something of it decides."""
        for folder, spec in reversed(self.rules):
            relative = path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "")
            if (included := spec.check_file(relative).include) is not None:
                return bool(included)
        return False
