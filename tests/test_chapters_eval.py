"""eval/chapters.py: from a file of episodes to the result, with a scripted reader whose replies are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from eval.chapters import (
    BARE,
    COHESION,
    COMBINED,
    EQUAL,
    KEYPHRASE,
    NONE,
    PODTILE,
    RANDOM,
    READER,
    TILES,
    evaluate,
    read_cases,
)
from eval.chapters_report import report, result_json, text, write
from eval.replies import Replies
from rag.errors import DataError, ReaderError
from rag.settings import load_settings
from tests.test_chapters import SUBJECTS, Scripted, Words, every, said

SETTINGS = load_settings(["reader.context_tokens=1000"])
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
    assert set(result["methods"]) == {NONE, EQUAL, RANDOM, TILES, COHESION} and set(result["titles"]) == {KEYPHRASE}
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
    assert result["default"] == {"boundaries": COMBINED, "titles": PODTILE} and result["metrics"]["ROUGE-L"] == 1
    assert set(result["titles"]) == {KEYPHRASE, BARE, PODTILE}
    prompts = len(reader.asked)
    with_context = [prompt for prompt in reader.asked if "Chapters so far" in prompt]
    assert prompts and with_context

    def silent(prompt: str) -> str:
        raise ReaderError("asked again")

    again = evaluate(cases, Words(), SETTINGS, Scripted(silent), Replies(tmp_path, SETTINGS.reader))  # type: ignore[arg-type]
    assert again[0].cuts == outcome.cuts and again[0].titles == outcome.titles and again[0].calls == outcome.calls

    write(tmp_path / "out", "episodes.jsonl", result, outcomes)
    (line,) = (tmp_path / "out" / "per_question.jsonl").read_text().splitlines()
    assert json.loads(line)["maker"]["titles"] == ["Of mills", "Of bees", "Of ships"]
    assert (tmp_path / "out" / "report.md").read_text() == report("episodes.jsonl", result)


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    file = made(tmp_path, chapters=False)
    with pytest.raises(DataError, match="no episode has chapters"):
        read_cases(file)
    file.write_text('{"id": "a", "transcript": "none.vtt", "chapters": "x"}\n')
    with pytest.raises(DataError, match=r"record 1: .*none\.vtt"):
        read_cases(file)
