"""chapter_scores.py: from a file of episodes to the result, with a scripted reader whose replies are kept."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from eval.core.cache import Replies
from eval.podcast import chapter_run as episodes
from eval.podcast.chapter_scores import (
    BARE,
    COHESION,
    COMBINED,
    EQUAL,
    KEYPHRASE,
    NEITHER,
    NONE,
    PAUSELESS,
    PODTILE,
    RANDOM,
    READER,
    SPEAKERLESS,
    TILES,
    ChapteredEpisode,
    Cost,
    evaluate,
    read_cases,
    sample,
)
from eval.podcast.chapters_report import report, result_json, text, write
from rag.errors import DataError, ModelError, ReaderError
from rag.llm.chat import Messages, Usage
from rag.settings import load_settings
from tests.test_chapters import SUBJECTS, Scripted, Words, episode, every, said
from ui.cli.main import app

SETTINGS = load_settings(["reader.context_tokens=1000"])
TALK = episode(said("mills", 3))
PARTS = [("mills", 20), ("bees", 30), ("ships", 25)]


def time_of(second: int) -> str:
    return f"00:{second // 60:02}:{second % 60:02}.000"


def made(folder: Path, chapters: bool = True) -> Path:
    """An episodes.jsonl with an episode of three parts, and one without chapters of its maker."""
    cues, starts, second = [], [], 0
    for subject, count in PARTS:
        starts.append({"startTime": second, "title": f"Of {subject}"})
        for _, sentence in said(subject, count):
            cues.append(f"{time_of(second)} --> {time_of(second + 6)}\n<v Ada>{sentence}\n")
            second += 6
    (folder / "show").mkdir()
    for name in ("one", "two"):
        (folder / "show" / f"{name}.vtt").write_text("WEBVTT\n\n" + "\n".join(cues))
    (folder / "show" / "one.chapters.json").write_text(json.dumps({"version": "1.2.0", "chapters": starts}))
    records = [
        {"id": "show/one", "transcript": "show/one.vtt", "chapters": "show/one.chapters.json" if chapters else None},
        {"id": "show/two", "transcript": "show/two.vtt", "chapters": None},
    ]
    file = folder / "episodes.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return file


def two_of(folder: Path) -> Path:
    """The same, and both have chapters of their maker."""
    file = made(folder)
    shutil.copy(folder / "show" / "one.chapters.json", folder / "show" / "two.chapters.json")
    file.write_text(file.read_text().replace("null", '"show/two.chapters.json"'))
    return file


class Counted(Scripted):
    """Each reply takes 2 ms at least and has five tokens; what its prompt has is kept."""

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        time.sleep(0.002)
        (usage or Usage()).add({"input_tokens": len(messages[-1][1]), "output_tokens": 5})
        yield from super().stream(messages, max_tokens, usage, stop)


def silent(prompt: str) -> str:
    raise ReaderError("asked again")


def script(prompt: str) -> str:
    spoken = prompt.partition("Transcript:")[2]
    if "\n[" in prompt:
        return every(25)(prompt)
    return f"Of {next(subject for subject, _ in PARTS if set(SUBJECTS[subject]) & set(spoken.split()))}"


def test_from_a_file_to_the_result(tmp_path: Path) -> None:
    (case,) = read_cases(made(tmp_path))
    assert case.reference == (120.0, 300.0) and case.titles == ("Of mills", "Of bees", "Of ships")
    outcomes = evaluate([case], Words(), SETTINGS)
    result = result_json({"seed": 0}, outcomes, SETTINGS)
    assert (result["task"], result["n"], result["seed"]) == ("chapters", 1, 0)
    assert set(result["metrics"]) == {"Pk", "WindowDiff", "F1@30s", "boundaries", "ROUGE-L", "cosine"}
    assert set(result["methods"]) == {NONE, EQUAL, RANDOM, TILES, COHESION, PAUSELESS, SPEAKERLESS, NEITHER}
    assert set(result["titles"]) == {KEYPHRASE}
    # 45 units, window 7 or 8: a boundary of two is missed by as many windows of 37 or 38 as are long
    assert result["methods"][NONE]["metrics"]["Pk"] == pytest.approx(16 / 37)
    assert result["methods"][EQUAL]["metrics"]["F1@30s"] == pytest.approx(1.0)
    assert result["metrics"]["Pk"] == result["methods"][COHESION]["metrics"]["Pk"] < 16 / 37
    difference = result["differences"][NONE]["Pk"]["difference"]
    assert difference == pytest.approx(result["metrics"]["Pk"] - 16 / 37, abs=1e-4)
    assert result["unseen"]["n"] == 1
    json.dumps(result)
    assert "| cohesion |" in text(result)


def test_the_readers_rows_are_kept(tmp_path: Path) -> None:
    cases = read_cases(made(tmp_path))
    reader = Scripted(script)
    outcomes = evaluate(cases, Words(), SETTINGS, reader, Replies(tmp_path, SETTINGS.reader))  # type: ignore[arg-type]
    (outcome,) = outcomes
    assert outcome.cuts[READER] == [150.0, 300.0] and outcome.own_titles[READER][0] == "Subject number 0"
    assert outcome.cuts[COMBINED] == outcome.cuts[COHESION]
    assert outcome.titles[PODTILE] == ["Of mills", "Of bees", "Of ships"]
    assert outcome.title_scores[PODTILE]["ROUGE-L"] == 1 and outcome.title_scores[PODTILE]["cosine"] > 0.999
    result = result_json({}, outcomes, SETTINGS)
    assert result["default"] == {"boundaries": COMBINED, "titles": BARE} and result["metrics"]["ROUGE-L"] == 1
    assert set(result["titles"]) == {KEYPHRASE, BARE, PODTILE}
    prompts = len(reader.asked)
    with_context = [prompt for prompt in reader.asked if "Chapters so far" in prompt]
    assert prompts and with_context

    again = evaluate(cases, Words(), SETTINGS, Scripted(silent), Replies(tmp_path, SETTINGS.reader))  # type: ignore[arg-type]
    assert (again[0].cuts, again[0].titles, again[0].own_titles) == (outcome.cuts, outcome.titles, outcome.own_titles)

    write(tmp_path / "out", "episodes.jsonl", result, outcomes)
    (line,) = (tmp_path / "out" / "per_question.jsonl").read_text().splitlines()
    assert json.loads(line)["maker"]["titles"] == ["Of mills", "Of bees", "Of ships"]
    assert (tmp_path / "out" / "report.md").read_text() == report("episodes.jsonl", result)


def test_a_reply_costs_what_it_cost_when_it_was_made(tmp_path: Path) -> None:
    (case,) = read_cases(made(tmp_path))
    reader = Counted(script)
    (outcome,) = evaluate([case], Words(), SETTINGS, reader, Replies(tmp_path, SETTINGS.reader))  # type: ignore[arg-type]
    chunks = [prompt for prompt in reader.asked if "\n[" in prompt]
    read, combined, alone = (outcome.costs[name] for name in (READER, COMBINED, COHESION))
    assert len(chunks) > 1
    assert astuple(read)[1:] == (len(chunks), sum(map(len, chunks)), 5 * len(chunks))
    assert read.seconds >= 0.002 * len(chunks)
    assert combined.reader_calls == len(outcome.own_titles[COMBINED]) and combined.prompt_tokens > 0
    assert combined.seconds >= alone.seconds + 0.002 * combined.reader_calls - 1e-9
    assert astuple(alone)[1:] == (0, 0, 0) and alone.seconds > 0
    assert {outcome.costs[name].reader_calls for name in (BARE, PODTILE)} == {len(PARTS)}

    again = evaluate([case], Words(), SETTINGS, Counted(silent), Replies(tmp_path, SETTINGS.reader))[0]  # type: ignore[arg-type]
    for name in (READER, BARE, PODTILE):
        assert again.costs[name] == outcome.costs[name]
    assert astuple(again.costs[COMBINED])[1:] == astuple(combined)[1:]
    of_titles = again.costs[COMBINED].seconds - again.costs[COHESION].seconds
    assert of_titles >= 0.002 * combined.reader_calls - 1e-9


def test_costs_are_means_over_episodes_by_the_hour(tmp_path: Path) -> None:
    outcome = evaluate(read_cases(made(tmp_path)), Words(), SETTINGS)[0]
    assert outcome.case.hours == 0.125
    some = [replace(outcome, costs={READER: Cost(n * 10.0, n, n * 200, 3)}) for n in (1, 3)]
    for some_outcome in some:
        some_outcome.costs[COHESION] = Cost(1.0)
    result = result_json({"of": 11}, some, SETTINGS)
    assert result["per_hour"][READER]["metrics"] == {
        "seconds": 160.0, "reader_calls": 16.0, "prompt_tokens": 3200.0, "generated_tokens": 24.0,
    }  # fmt: skip
    assert result["per_hour"][READER]["intervals"] == {
        "seconds": [80.0, 240.0], "reader_calls": [8.0, 24.0], "prompt_tokens": [1600.0, 4800.0],
        "generated_tokens": [24.0, 24.0],
    }  # fmt: skip
    assert "| reader | 160 [80, 240] | 16.0 [8.0, 24.0] | 3,200 [1,600, 4,800] | 24.0 [24.0, 24.0] |" in text(result)
    assert "| cohesion | 8.0 [8.0, 8.0] | 0 | 0 | 0 |" in text(result)
    assert "2 of 11 episodes" in text(result) and "The reader's rows" not in text(result)
    write(tmp_path / "out", "episodes.jsonl", result, some)
    last = json.loads((tmp_path / "out" / "per_question.jsonl").read_text().splitlines()[-1])
    assert last["costs"][READER] == asdict(some[-1].costs[READER])


@given(st.integers(0, 5), st.integers(1, 12))
def test_a_sample_is_of_the_seed_and_grows(seed: int, limit: int) -> None:
    cases = [ChapteredEpisode(f"e{n}", TALK, (), ()) for n in range(9)]
    drawn = sample(cases, limit, seed)
    assert len(drawn) == min(limit, 9) and drawn == [case for case in cases if case in drawn]
    assert drawn == sample(cases, limit, seed) and sample(cases, None, seed) == cases
    assert {case.id for case in drawn} <= {case.id for case in sample(cases, limit + 1, seed)}


def test_another_seed_draws_others() -> None:
    cases = [ChapteredEpisode(f"e{n}", TALK, (), ()) for n in range(9)]
    assert len({tuple(case.id for case in sample(cases, 3, seed)) for seed in range(5)}) > 1


# ---- the command


def test_torch_reads_where_it_can_and_its_replies_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain, fast = Scripted(script), Scripted(script)
    monkeypatch.setattr(episodes, "open_encoder", lambda *of: Words())
    monkeypatch.setattr(episodes, "open_reader", lambda of: plain)
    unpacked: list[Any] = [fast]

    def in_torch(reader: object, report: object) -> object:
        assert reader is plain
        if unpacked[0] is ModelError:
            raise ModelError("no room")
        return unpacked[0]

    monkeypatch.setattr(episodes, "in_torch", in_torch)
    asked = episodes.read(two_of(tmp_path), limit=1)
    model = "http://127.0.0.1:9/v1#m"

    def run(runtime: str) -> dict[str, Any]:
        settings = load_settings([
            f"reader.model={model}", f"attribute.runtime={runtime}", "reader.context_tokens=1000",
        ])  # fmt: skip
        return episodes.run(asked, tmp_path / "cache", settings, "bm25", with_reader=True)[0]

    result = run("torch")
    assert fast.asked and not plain.asked
    assert result["models"]["reader"] == f"{model}, torch"
    assert f"The reader's rows: over 1 of 2 episodes, read by {model}, torch." in episodes.text(result)
    once = len(fast.asked)
    run("torch")
    assert len(fast.asked) == once

    assert run("reader")["models"]["reader"] == model
    assert len(plain.asked) == len(fast.asked) == once  # what torch said is not taken for llama.cpp's
    assert len(list((tmp_path / "cache" / "replies").iterdir())) == 2

    for found in (None, ModelError):  # no .gguf file; one that cannot be unpacked
        unpacked[0] = found
        assert run("torch")["models"]["reader"] == model
    assert len(plain.asked) == len(fast.asked) == once
    assert caplog.messages == ["the reader's rows take several times as long: no room"]


def test_a_part_is_drawn_by_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(episodes, "open_encoder", lambda *of: Words())
    file, out = two_of(tmp_path), tmp_path / "out"
    cases = read_cases(file)

    def run(limit: int, seed: int) -> list[str]:
        request = ["eval", "chapters", "--episodes", str(file), "--limit", str(limit), "--seed", str(seed), "--json"]
        done = CliRunner().invoke(app, [*request, "--out", str(out)])
        assert done.exit_code == 0, done.exception
        drawn = [json.loads(line)["id"] for line in (out / "per_question.jsonl").read_text().splitlines()]
        assert (json.loads(done.stdout)["n"], json.loads(done.stdout)["of"]) == (len(drawn), 2)
        return drawn

    seeds = range(4)
    assert [run(1, seed) for seed in seeds] == [[case.id for case in sample(cases, 1, seed)] for seed in seeds]
    assert not caplog.messages
    assert run(9, 0) == ["show/one", "show/two"]
    assert caplog.messages == [f"--limit 9: {file} holds 2 episodes with makers' chapters, all of them are asked"]


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    file = made(tmp_path, chapters=False)
    with pytest.raises(DataError, match="no episode has chapters"):
        read_cases(file)
    file.write_text('{"id": "a", "transcript": "none.vtt", "chapters": "x"}\n')
    with pytest.raises(DataError, match=r"record 1: .*none\.vtt"):
        read_cases(file)
