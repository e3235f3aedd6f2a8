"""eval/core/files.py: the same records from every form of a file, and a broken one named with its record and field."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eval.core.files import Record, read_records
from rag.errors import DataError, UsageError
from tests.benchmarks import written

FORMS = ["data.json", "data.jsonl", "data.json.gz", "data.jsonl.gz"]
TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, st.lists, max_leaves=4)


@hypothesis_settings(max_examples=40)
@given(records=st.lists(st.dictionaries(TEXT, VALUES), min_size=1, max_size=4))
def test_the_form_of_a_file_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("forms")
    for form in FORMS:
        file = written(folder / form, records)
        assert read_records(file) == [Record(file, i, fields) for i, fields in enumerate(records, start=1)]


def test_what_it_is_called_does_not_matter_either(tmp_path: Path) -> None:
    array = written(tmp_path / "a.jsonl", '\ufeff [{"x": 1},\n {"x": 2}]')
    lines = written(tmp_path / "b.json", '{"x": 1}\r\n\n{"x": 2}')
    zipped = written(tmp_path / "c.json", gzip.compress(b'{"x": 1}'))
    assert [record.fields["x"] for record in read_records(array)] == [1, 2]
    assert [(record.number, record.fields["x"]) for record in read_records(lines)] == [(1, 1), (3, 2)]
    assert [record.fields["x"] for record in read_records(zipped)] == [1]


def test_a_record_gives_a_field_by_the_first_of_its_names_and_of_its_kind() -> None:
    record = Record(Path("f"), 7, {"a": None, "b": "x", "n": 3, "yes": True, "blank": " ", "list": [1]})
    assert (record.get(str, "a", "b"), record.get(str, "n"), record.get(int, "n")) == ("x", "3", 3)
    assert (record.get(bool, "yes"), record.get(list, "list"), record.get(str, "blank")) == (True, [1], " ")
    for call, what in [
        (lambda: record.get(str, "a", "c"), "a or c is missing"),
        (lambda: record.get(str, "list"), "list is [1], not text"),
        (lambda: record.get(list, "b"), 'b is "x", not a list'),
        (lambda: record.get(int, "yes"), "yes is true, not a whole number"),
        (lambda: record.get(str, "yes"), "yes is true, not text"),
        (lambda: record.text("blank"), "blank is empty"),
    ]:
        with pytest.raises(DataError) as caught:
            call()
        assert str(caught.value) == f"f, record 7: {what}. Mend the file, or name another"


ONE = b'{"x": 1}\n'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no record"),
        (b" \n\n", "holds no record"),
        (b"[]", "holds no record"),
        (gzip.compress(b"", mtime=0), "holds no record"),
        (b"[1, 2", "not JSON"),
        (b'[{"x": 1}', "not JSON"),
        (b'[{"x": 1}] {"x": 2}', "not JSON"),
        (ONE + b'{"x": ', "record 2: not JSON"),
        (ONE + b"\n3\n", "record 3: 3 is not an object"),
        (b'[{"x": 1}, ["x"]]', 'record 2: ["x"] is not an object'),
        (gzip.compress(ONE * 99, mtime=0)[:-9], "damaged gzip"),
        (gzip.compress(ONE, mtime=0)[:12], "damaged gzip"),
        (b"\x1f\x8b\x08nonsense, and more of it", "damaged gzip"),
        (b'{"x": "\xff"}', "not UTF-8 text"),
        (ONE + b'{"x": 1, "name": ["caf\\ud83d"]}', "record 2: name holds half a character"),
        (b"[" * 200_000, "not JSON"),
        (b'{"x": ' * 200_000, "record 1: not JSON"),
    ],
)
def test_a_broken_file_is_named_in_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    file = written(tmp_path / "data.jsonl", content)
    with pytest.raises(DataError) as caught:
        read_records(file)
    line = str(caught.value)
    assert str(file) in line and says in line
    assert len(line.splitlines()) == 1 and len(line) < 400
    line.encode()  # it can be printed


def test_both_halves_of_a_character_are_one(tmp_path: Path) -> None:
    (record,) = read_records(written(tmp_path / "data.jsonl", rb'{"x": "\ud83d\ude00 \\ud83d"}'))
    assert record.fields["x"] == "\N{GRINNING FACE} \\ud83d"


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    for missing in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(UsageError, match="no such file"):
            read_records(missing)
