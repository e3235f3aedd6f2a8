"""A child that a hostile document has taken over replies what it likes: the parent takes nothing that does it harm."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.chunk import chunk
from ingest.legal.case_files import case_of
from ingest.legal.case_reading import checked_case, checked_members
from ingest.pdf.assemble import assemble, geometry
from ingest.pdf.pdf_reading import checked_outline, checked_page
from ingest.podcast import chapter_store as chaptering
from ingest.podcast.episode import read_podcast
from ingest.podcast.episode_reading import checked_transcript
from ingest.read_context import Member
from rag import bounds
from rag.document import Document, Episode, Page
from rag.errors import DocumentError
from rag.index.manager import Indexes
from rag.library import cases, episodes
from rag.library.catalogue import Library
from tests.test_bounds import assert_bounded
from tests.test_judgment import WHOLE
from tests.test_podcasts_ingest import MAKERS, META, SRT, VTT, NoIndexes, halves, ingested

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
PAGE = {
    "width": 600.0, "height": 800.0, "ocr": False,
    "blocks": [
        {"kind": "heading", "box": [50.0, 700.0, 300.0, 720.0], "label": "", "level": 1, "size": 14.0, "caption": 0,
         "picture": None, "confidence": None, "lines": [["1 Mills", [[0, 0, 7000, 7200, [500, 600, 700]]]]]},
        {"kind": "table", "box": [50.0, 500.0, 300.0, 600.0], "label": "Table 1", "level": 0, "size": 9.0, "caption": 1,
         "picture": PICTURE, "confidence": 0.9, "lines": [["Table 1. Mills", []], ["wind | water", []]]},
        {"kind": "text", "box": [50.0, 300.0, 300.0, 400.0], "label": "", "level": 0, "size": 10.0, "caption": 0,
         "picture": None, "confidence": None, "lines": [["Table 1 has the mills.", [[0, 0, 300, 310, [5, 6]]]]]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an honest child replies, for each kind of reply."""
    folder = tmp_path_factory.mktemp("said")
    for name, text in {"m.vtt": VTT, "m.meta.md": META, "m.chapters.json": json.dumps(MAKERS)}.items():
        (folder / name).write_text(text)
    read, case = read_podcast(folder / "m.vtt", "", ""), case_of(WHOLE)
    transcript = {"title": read.title, "text": read.text, "warnings": ["a warning"]}
    transcript["episode"] = episodes.to_json(read.episode or Episode())
    honest = {
        "transcript": transcript,
        "case": {"title": case.title, "text": WHOLE, "warnings": [], "case": cases.to_json(case)},
        "page": PAGE,
        "members": [astuple(Member("1", "a" * 16, "b" * 16)), astuple(Member("2", error="no text"))],
        "outline": {"title": "Mills", "outline": [[1, "Wind", 1], [2, "Sails", 2]], "author": "A. Miller"},
    }
    return cast(dict[str, Any], json.loads(json.dumps(honest)))


def believed(kind: str, value: Any) -> Document | None:
    """The document that the parent makes of a reply; None where there is none."""
    if kind == "transcript":
        title, text, warnings, episode = checked_transcript(value)
        return Document("d" * 16, "podcast", title, text, (Page(1, 0, len(text)),), warnings, episode=episode)
    if kind == "case":
        title, text, warnings, case = checked_case(value)
        return Document("d" * 16, "legal", title, text, (Page(1, 0, len(text)),), warnings, case=case)
    if kind == "members":
        assert all(len(Member(*row).key) <= bounds.NAME for row in checked_members(value))
        return None
    page = checked_page("page", PAGE if kind == "outline" else value)[1]
    _, outline = checked_outline(2, value if kind == "outline" else {"title": "", "outline": [], "author": ""}, 2)
    read = assemble(lambda: iter([page, page]), outline["outline"])
    regions = tuple(replace(region, picture=None) for region in read.regions)
    return Document("d" * 16, "pdf", outline["title"], read.text, read.pages, (), read.raw_offsets, regions)


KINDS = ("transcript", "case", "page", "members", "outline")


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_reply_is_believed(said: dict[str, Any], kind: str) -> None:
    document = believed(kind, said[kind])
    if kind == "transcript":
        assert document and document.episode and len(document.episode.chapters) == 2
    if kind == "case":
        assert document and document.case == case_of(WHOLE)
    assert checked_page("bad", "why " * 500)[1].endswith("…")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to each value within JSON."""
    yield path
    if isinstance(value, (list, dict)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*path, key))


def with_value(reply: Any, path: Sequence[Any], value: Any) -> Any:
    """A copy of JSON with another value at a path."""
    reply = copy.deepcopy(reply)
    if not path:
        return value
    holder = reply
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return reply


ODD = [None, True, -1, 0, 1, 7, 1.5, 10**30, 10**400, math.nan, math.inf, "", "x", "\ud800", "x" * 5000, [], [[]], {},
       [1, 2], ["x"], "2000-01-01", "../../x"]  # fmt: skip


@pytest.mark.attack
@pytest.mark.parametrize("kind", KINDS)
def test_no_reply_breaks_the_parent(said: dict[str, Any], kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    library = Library.open(tmp_path_factory.mktemp("taken") / "library", create=True)
    paths = list(places(said[kind]))

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(changes=st.lists(st.tuples(st.sampled_from(paths), st.sampled_from(ODD)), min_size=1, max_size=2))
    def replied(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
        value = said[kind]
        for path, odd in changes:
            with suppress(TypeError, LookupError):  # the change before may have taken its place away
                value = with_value(value, path, odd)
        document, refused = None, "the parser returned "
        try:
            document = believed(kind, value)
        except DocumentError as error:
            refused = str(error)
        assert refused.startswith("the parser returned ") and len(refused) < 500
        if document:
            assert_bounded(document)
            runs = list(geometry([value], frozenset())) if kind == "page" else ()
            library.put(document, chunk(document, 180, 30), "/x", "x", "", runs)
            stored = library.document("d" * 16)
            assert (stored.text, stored.episode) == (document.text, document.episode)

    replied()


LIES = [
    ("transcript", ("title", "x" * 301), "text of at most 300"),
    ("transcript", ("text", "\ud800"), "surrogates"),
    ("transcript", ("warnings", ["x"] * 101), "at most 100 entries"),
    ("transcript", ("episode", 4, 0, [0, 10**6, 0.0, 1.0, "", None]), "outside the text"),
    ("transcript", ("episode", 4, 1, [0, 10, 0.0, 1.0, "", None]), "not in order"),
    ("transcript", ("episode", 4, 0, [0, 11, 0.0, 1.0, "", None]), "white space"),
    ("transcript", ("episode", 4, 0, 2, math.nan), "no number"),
    ("transcript", ("episode", 4, 0, 4, "x" * 101), "at most 100 characters"),
    ("transcript", ("episode", 5, 1, 1, 10), "not in order|does not begin"),
    ("transcript", ("episode", 5, 0, 5, "ours"), "does not begin"),
    ("transcript", ("episode", 2, "tomorrow"), "a date"),
    ("transcript", ("episode", 3, "/etc/passwd"), "does not lie beside it"),
    ("case", ("case", 5, 10**30), "from 1 to 4"),
    ("case", ("case", 0, "star chamber"), "nobody knows"),
    ("case", ("case", 3, ["1/01"] * 1001), "at most 1,000 entries"),
    ("case", ("case", 7, []), "leave some of the text out"),
    ("case", ("case", 8, 1, [2, 0, 5]), "not in order"),
    ("case", ("case", 11, 0, 2, [[5, 10**6]]), "outside the text"),
    ("page", ("blocks", 0, "kind", "script"), "another kind"),
    ("page", ("blocks", 0, "box", [0, 0, 0]), "values to unpack"),
    ("page", ("blocks", 0, "box", 0, 10**400), "from -1e\\+300|too large"),
    ("page", ("blocks", 1, "caption", 3), "from 0 to 2"),
    ("page", ("blocks", 1, "picture", "PHN2Zz4="), "no PNG"),
    ("page", ("blocks", 0, "lines", 0, 1, [[8, 0, 1, 2, [3]]]), "from 0 to 7"),
    ("page", ("blocks", 0, "lines", 0, 0, "x" * 1_000_001), "1,000,0.. characters"),
    ("members", (0, ["1", "../../library", "", ""]), "no hash"),
    ("members", (0, ["x" * 101, "", "", ""]), "at most 100 characters"),
    ("outline", ("outline", [[1, "x", 1]] * 5001), "at most 5,000 entries"),
    ("outline", ("outline", 0, 2, 10**30), "no number"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "why"), LIES, ids=lambda value: None if isinstance(value, str) else "")
def test_a_lie_is_named(said: dict[str, Any], kind: str, change: tuple[Any, ...], why: str) -> None:
    with pytest.raises(DocumentError, match=f"^the parser returned .*({why}).*leave it out$"):
        believed(kind, with_value(said[kind], change[:-1], change[-1]))


def test_a_pdf_has_no_more_pages_than_its_bytes_can_hold() -> None:
    for pages in (0, 3, 10**12, True, "2", None):
        with pytest.raises(DocumentError, match=r"^the parser returned an outline"):
            checked_outline(pages, {"title": "", "outline": [], "author": ""}, 2)


class Taken:
    """In place of ChildProcess: a child that says what its document tells it to."""

    says: Any = None
    peak_kb = 0

    def __init__(self, module: str, request: dict[str, Any], *rest: object):
        self.opened = [["1", "a" * 16, "", ""]] if module == "ingest.legal.case_files" else self.says

    def ask(self, page: int) -> tuple[str, Any]:
        return "case", self.says

    def close(self) -> None:
        pass


@pytest.mark.attack
@pytest.mark.parametrize("says", [None, 7, [], {}, {"title": 5}, {"title": "", "text": "x", "warnings": []}, "x" * 9])
def test_a_child_that_was_taken_over_costs_its_document_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: Any
) -> None:
    monkeypatch.setattr(chaptering, "chapters_of", halves)
    indexes = cast(Indexes, NoIndexes(Library.open(tmp_path / "library", create=True)))
    (tmp_path / "bees.srt").write_text(SRT)
    (tmp_path / "case.jsonl").write_text(json.dumps({"itemid": "1", "text": WHOLE}))
    monkeypatch.setattr(Taken, "says", says)
    with monkeypatch.context() as patch:
        patch.setattr("ingest.child_process.ChildProcess", Taken)
        patch.setattr("ingest.legal.case_reading.ChildProcess", Taken)
        outcomes = ingested(indexes, tmp_path / "bees.srt", tmp_path / "case.jsonl").documents
    assert [outcome.status for outcome in outcomes] == ["failed", "failed"]
    assert all("the parser returned " in (outcome.error or "") for outcome in outcomes)
