"""Which files of a folder are left out (ingest/folders/ignore.py)."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from ingest.read import find_files


def taken(folder: Path) -> list[str]:
    files = find_files(folder, folder / "library")
    return [str(cast(Path, file).relative_to(folder)) for file in files]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("Words.\n")


def test_what_describes_a_folder_is_left_out_and_can_be_taken_back_in(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "README.md", "deep/readme.txt", "deep/LICENSE.txt", "deep/b.md")
    assert taken(tmp_path) == ["a.txt", "deep/b.md"]
    (tmp_path / ".glossatorignore").write_text("!README.md\nb.*\n")
    assert taken(tmp_path) == ["README.md", "a.txt"]
    assert find_files(tmp_path / "deep" / "readme.txt", tmp_path / "library") == [tmp_path / "deep" / "readme.txt"]


def test_the_innermost_ignore_file_that_names_a_file_decides(tmp_path: Path) -> None:
    write(tmp_path, "drafts/one.txt", "drafts/two.txt", "final/one.txt", "old/three.txt", "old/kept/four.txt")
    (tmp_path / ".glossatorignore").write_text("one.txt\n/old/\n")
    (tmp_path / "drafts" / ".glossatorignore").write_text("!one.txt\ntwo.txt\n")
    assert taken(tmp_path) == ["drafts/one.txt"]


def test_an_ignore_file_of_any_bytes_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    (tmp_path / ".glossatorignore").write_bytes(b"\xff\xfe\x00[\n**/**/\n\\\n")
    assert taken(tmp_path) == ["a.txt"]
