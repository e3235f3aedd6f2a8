"""chapter_queries.py and chapter_run.py: hits by hand, what each row searches, the command on two episodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from eval.podcast import chapter_run as episodes
from eval.podcast.chapter_queries import (
    BLANK,
    MAKERS,
    OUR_TITLES,
    OURS,
    ROWS,
    UNCUT,
    CachedEncoder,
    EpisodeQuery,
    RankedRow,
    chaptered,
    evaluate,
    rank_of,
    read_queries,
    rows_of,
    scores_of,
    text,
    with_retrieval,
)
from eval.podcast.chapter_scores import BARE, COMBINED
from ingest.podcast.chapters import chapters_of
from rag.errors import DataError, ReaderError
from rag.locator import TimeSpan
from rag.records import Hit
from rag.settings import load_settings
from tests.parts import passage
from tests.test_chapters import Scripted, Words
from tests.test_chapters_eval import made, script
from ui.cli.main import app

SETTINGS = load_settings(["ingest.passage_tokens=60", "ingest.overlap_tokens=0"])
QUERIES = [  # the episode's parts: mills to 120 s, bees to 300, ships to 450
    {"id": "q0", "episode": "show/one", "query": "A mill grinds corn in the wind", "start": 0, "end": 120},
    {"id": "q1", "episode": "show/one", "query": "The queen of the hive", "start": 120, "end": 300.0},
    {"id": "q2", "episode": "show/one", "query": "Anchor and mast", "start": 300, "end": None},
]


def asked_of(folder: Path) -> tuple[Path, Path]:
    """Two episodes of the same words, one with chapters of its maker, which is asked about."""
    queries = folder / "queries.jsonl"
    queries.write_text("".join(f"{json.dumps(record)}\n" for record in QUERIES))
    return made(folder), queries


# ---- hits


def hit(document: str, start: float | None, end: float | None) -> Hit:
    return Hit(1, 1.0, replace(passage(0, "words", document), locator=TimeSpan(start, end)))


@pytest.mark.parametrize(
    ("document", "start", "end", "expected"),
    [
        ("a", 60.0, 90.0, True),
        ("a", 0.0, 50.1, True),  # its last tenth of a second
        ("a", 0.0, 50.0, False),  # ends where the query begins
        ("a", 100.0, 110.0, False),  # begins where it ends
        ("a", 0.0, 500.0, True),
        ("b", 60.0, 90.0, False),  # another episode
        ("a", None, None, False),  # a passage that nobody speaks
    ],
)
def test_a_hit_is_spoken_in_the_episode_and_the_seconds(
    document: str, start: float | None, end: float | None, expected: bool
) -> None:
    assert EpisodeQuery("q", "a", "words", 50.0, 100.0).is_in(hit(document, start, end)) is expected


@given(st.lists(st.booleans(), max_size=10))
def test_the_first_hit_counts(right: list[bool]) -> None:
    query = EpisodeQuery("q", "a", "words", 0.0, 10.0)
    rank = rank_of(query, [hit("a" if ours else "b", 0.0, 1.0) for ours in right])
    assert rank == (right.index(True) + 1 if any(right) else 0)
    scores = scores_of(rank)
    assert scores["R@1"] <= scores["RR@10"] <= max(scores["R@5"], 1 / 6)
    assert (scores["RR@10"] == 0) == (not any(right))


# ---- the files


def test_queries_of_other_episodes_are_left_out(tmp_path: Path) -> None:
    _, file = asked_of(tmp_path)
    queries = read_queries(file, ["show/one"])
    assert [(query.id, query.start_seconds, query.end_seconds) for query in queries] == [
        ("q0", 0, 120), ("q1", 120, 300), ("q2", 300, float("inf")),
    ]  # fmt: skip
    assert read_queries(file, ["show/two"]) == []


@pytest.mark.parametrize(("start", "end"), [(5, 5), (9, 5), ("0", 5), (None, 5)])
def test_seconds_that_are_none_are_said(tmp_path: Path, start: object, end: object) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text(json.dumps({"id": "q", "episode": "a", "query": "words", "start": start, "end": end}))
    with pytest.raises(DataError, match=r"record 1: start .* are not two seconds in order"):
        read_queries(file, ["a"])


def test_queries_about_no_episode_are_said(tmp_path: Path) -> None:
    file, queries = asked_of(tmp_path)
    queries.write_text(json.dumps(QUERIES[0] | {"episode": "show/two"}))  # which has no chapters of its maker
    with pytest.raises(DataError, match=r"no query is about an episode of .*episodes\.jsonl with chapters"):
        episodes.read(file, queries)


# ---- rows


def test_chapters_of_each_kind(tmp_path: Path) -> None:
    file, _ = asked_of(tmp_path)
    one, two = documents = episodes.read_episodes(file)
    kinds = chaptered(documents, Words(), lambda *what: None)
    assert set(kinds) == {row.chapters for row in rows_of("hybrid")}
    cut = {kind: [d.episode.chapters for d in some if d.episode] for kind, some in kinds.items()}
    assert cut[UNCUT] == [(), ()]
    assert cut[OURS] == [tuple(chapters_of(d, "cohesion", Words(), None)) for d in documents]  # type: ignore[arg-type]
    places = {kind: [[(c.start, c.end) for c in some] for some in chapters] for kind, chapters in cut.items()}
    assert places[BLANK] == places[OURS] and {c.title for some in cut[BLANK] for c in some} == {""}
    assert places[OUR_TITLES] == places[MAKERS]
    assert [c.title for c in cut[MAKERS][0]] == ["Of mills", "Of bees", "Of ships"]
    assert cut[MAKERS][1] == cut[OURS][1]  # its maker made none
    ours = [c.title for c in cut[OUR_TITLES][0]]
    assert len(set(ours)) == 3 and not set(ours) & {"Of mills", "Of bees", "Of ships"}
    assert (one.text, two.text) == tuple(d.text for d in kinds[OUR_TITLES])


def test_each_row_differs_from_its_base_in_one_thing() -> None:
    rows = {row.name: row for row in rows_of("hybrid")}
    assert len(rows) == len(ROWS) + 2
    for row in rows.values():
        if row.base:
            base = rows[row.base]
            if row.retriever != "bm25":  # an encoder sees the title with the text: so the base's titles are empty
                assert (base.chapters, row.chapters) == (BLANK, OURS)
                continue
            same_passages = base.chapters == row.chapters or {base.chapters, row.chapters} == {MAKERS, OUR_TITLES}
            assert [not same_passages, base.description != row.description, base.titles != row.titles].count(True) == 1


def test_titles_and_descriptions_are_searched_where_a_row_says_so(tmp_path: Path) -> None:
    file = made(tmp_path)
    chapters = tmp_path / "show" / "one.chapters.json"
    chapters.write_text(chapters.read_text().replace("Of bees", "Apiculture"))
    (tmp_path / "show" / "two.meta.md").write_text("---\ndescription: on zeppelins\n---\n")
    documents = episodes.read_episodes(file)
    assert [d.episode.description for d in documents if d.episode] == ["", "on zeppelins"]
    asked = [
        EpisodeQuery("title", "show/one", "Apiculture", 120.0, 300.0),  # said by nobody
        EpisodeQuery("about", "show/two", "zeppelins", 0.0, 450.0),
    ]
    found = {f.row.name: f for f in evaluate(documents, asked, Words(), tmp_path / "cache", SETTINGS)}
    assert list(found) == [row.name for row in ROWS]
    leaking = next(name for name in found if "leak" in name)
    assert {name: f.ranks[0] for name, f in found.items() if f.ranks[0]} == {leaking: 1}
    assert {name: bool(f.ranks[1]) for name, f in found.items()} == {row.name: row.description for row in ROWS}
    passages = {row.chapters: found[row.name].passages for row in ROWS}
    assert passages[MAKERS] == passages[OUR_TITLES]
    again = evaluate(documents, asked, Words(), tmp_path / "cache", SETTINGS)  # over the libraries that are there
    assert [f.ranks for f in again] == [f.ranks for f in found.values()]


def test_no_text_is_encoded_twice() -> None:
    seen: list[str] = []

    class Counting(Words):
        def encode(
            self, texts: Sequence[str], report: Callable[[int], None] = lambda count: None
        ) -> NDArray[np.float32]:
            seen.extend(texts)
            return super().encode(texts)

    encoder = CachedEncoder(Counting())
    first, again = encoder.encode(["a b", "c", "a b"]), encoder.encode(["c", "d"])
    assert seen == ["a b", "c", "d"]
    assert np.array_equal(first, Words().encode(["a b", "c", "a b"]))
    assert np.array_equal(again, Words().encode(["c", "d"]))


# ---- the result


def test_the_result_by_hand() -> None:
    queries = [EpisodeQuery(str(i), "fossda/cat-allman" if i < 2 else "new", "words", 0.0, 1.0) for i in range(4)]
    ranks = {row.name: (0, 0, 0, 0) for row in ROWS} | {ROWS[2].name: (0, 2, 6, 1), ROWS[3].name: (1, 2, 5, 0)}
    found = [RankedRow(row, 10, ranks[row.name]) for row in ROWS]
    result = with_retrieval({"metrics": {"Pk": 0.5}, "intervals": {"Pk": [0.4, 0.6]}}, queries, found)
    assert result["metrics"] == {"Pk": 0.5, "R@1": 0.25, "R@5": 0.75, "RR@10": pytest.approx((1 + 1 / 2 + 1 / 5) / 4)}
    retrieval = result["retrieval"]
    assert retrieval["system"] == ROWS[3].name and ROWS[3].titles and ROWS[3].chapters == OURS
    titles = retrieval["differences"][ROWS[3].name]
    assert titles["base"] == ROWS[2].name
    assert titles["R@5"]["difference"] == pytest.approx(0.75 - 0.5)
    assert titles["R@1"]["difference"] == 0 and titles["R@1"]["interval"][0] < 0 < titles["R@1"]["interval"][1]
    assert retrieval["unseen"]["n"] == 2  # those of the episode that numbers were chosen on are left out
    assert retrieval["unseen"]["rows"][ROWS[3].name]["metrics"]["R@5"] == 0.5
    assert f"| {ROWS[3].name} | 10 | 0.250 [0.00, 0.75] | 0.750" in text(result)


def test_what_the_reader_says_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [script]
    monkeypatch.setattr(episodes, "open_encoder", lambda *of: Words())
    monkeypatch.setattr(episodes, "open_reader", lambda of: Scripted(lambda prompt: said[0](prompt)))
    asked = episodes.read(made(tmp_path))
    small = load_settings(["reader.context_tokens=1000", "attribute.runtime=reader"])

    def run() -> dict[str, Any]:
        return episodes.run(asked, tmp_path / "cache", small, "bm25", with_reader=True)[0]

    def silent(prompt: str) -> str:
        raise ReaderError("asked again")

    result = run()
    assert result["default"] == {"boundaries": COMBINED, "titles": BARE} and result["metrics"]["ROUGE-L"] == 1
    said[0] = silent
    assert run()["methods"] == result["methods"]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(episodes, "open_encoder", lambda *of: Words())
    file, queries = asked_of(tmp_path)
    request = ["eval", "chapters", "--episodes", str(file), "--cache", str(tmp_path / "cache"), "--json"]
    done = CliRunner().invoke(app, [*request, "--limit", "1"])
    assert done.exit_code == 0, done.exception
    alone = json.loads(done.stdout)
    assert (alone["task"], alone["n"], alone["of"]) == ("chapters", 1, 1)
    assert "retrieval" not in alone and {"Pk", "WindowDiff", "F1@30s", "ROUGE-L"} <= set(alone["metrics"])
    out = tmp_path / "out"
    request += ["--queries", str(queries), "--retriever", "bm25", "--out", str(out)]
    done = CliRunner().invoke(app, request)
    assert done.exit_code == 0, done.exception
    result = json.loads(done.stdout)
    assert {name: row["metrics"] for name, row in result["methods"].items()} == {
        name: row["metrics"] for name, row in alone["methods"].items()
    }
    assert set(result["metrics"]) == {*alone["metrics"], "R@1", "R@5", "RR@10"} == set(result["intervals"])
    least = {"cosine": -1.0}
    assert all(least.get(name, 0) <= value <= 1 for name, value in result["metrics"].items() if name != "boundaries")
    assert result["retrieval"]["n"] == 3 and set(result["retrieval"]["rows"]) == {row.name for row in ROWS}
    # Two episodes of the same words: a passage of the other one is as good, and one of the two is the first.
    assert result["retrieval"]["rows"][ROWS[0].name]["metrics"]["R@5"] == 1.0
    lines = [json.loads(line) for line in (out / "queries.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["q0", "q1", "q2"]
    assert (out / "retrieval.md").read_text() == text(result)
    assert {file.name for file in out.iterdir()} == {
        "per_question.jsonl", "report.md", "queries.jsonl", "retrieval.md",
    }  # fmt: skip
