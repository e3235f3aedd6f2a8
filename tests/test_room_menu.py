"""What stands behind the menu: libraries, evaluations, settings, and folders of the server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import DataError, UsageError
from rag.settings import Settings, load_settings
from tests.test_answer_view import an_answer
from tests.test_room_parts import QUESTION, Site, site
from ui.web.api.document_routes import allowed
from ui.web.library.page_settings import CHANGEABLE, PageSettings, changed, values_of
from ui.web.workers import answer_worker, evaluation_worker
from ui.web.workers.evaluation_worker import TestQuestion, Way, own_questions, result_of, scores_of

__all__ = ["site"]  # the fixture
TestQuestion.__test__ = False  # type: ignore[attr-defined]


def test_libraries_are_made_switched_between_and_removed(site: Site) -> None:
    first = site.get("/libraries")["libraries"]
    assert [(each["name"], each["title"], each["own"]) for each in first] == [("", "library", False)]
    name = site.send("POST", "/libraries", {"title": "  Case <b>law</b>\n"}, 201)["name"]
    assert [each["title"] for each in site.get("/libraries")["libraries"]] == ["library", "Case <b>law</b>"]
    inside = f"/libraries/{name}"
    assert site.get(f"{inside}/documents")["documents"] == [] and len(site.get("/documents")["documents"]) == 1
    conversation = site.send("POST", f"{inside}/conversations", status=201)["id"]
    site.get(f"/conversations/{conversation}", 404)
    said = site.send("POST", f"{inside}/conversations/{conversation}/turns", {"question": QUESTION}, 422)
    assert "no documents to search yet" in said["detail"]
    for wrong in ("", " \n ", "x" * 81):
        site.send("POST", "/libraries", {"title": wrong}, 422)
    site.send("DELETE", "/libraries/none", status=404)
    for path in ("%2e%2e", "%2e%2e%2f%2e%2e", "x/../../etc", name + "x", name.upper() + "a"):
        assert site.client.get(f"/v1/libraries/{path}/documents").status_code == 404
    folder = site.library.folder / "libraries" / name
    assert (folder / "name.txt").is_file()
    site.send("DELETE", inside, status=204)
    assert not folder.exists() and site.get("/libraries")["libraries"] == first
    site.get(f"{inside}/documents", 404)


# ---- evaluation


def test_files_of_questions_are_read_and_what_is_wrong_with_them_is_named(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text('question,answer,why\n"Who, and when?",Ada,x\nIs it there?,,\n', "utf-8-sig")
    assert own_questions(table) == [TestQuestion("Who, and when?", ("Ada",)), TestQuestion("Is it there?", ())]
    lines = tmp_path / "mine.jsonl"
    lines.write_text('{"question": "a?", "answers": ["x", "y"]}\n{"question": "b?", "answer": "z"}\n')
    assert own_questions(lines) == [TestQuestion("a?", ("x", "y")), TestQuestion("b?", ("z",))]
    lines.write_text('{"question": "a?", "context": []}\n')
    assert own_questions(lines) is None
    for content, said in (
        ("who,what\na,b\n", "names no columns question and answer"),
        ("question,answer\n", "holds no question"),
        ("question,answer\n ,b\n", "record 1: question is empty"),
    ):
        table.write_text(content)
        with pytest.raises(DataError, match=said):
            own_questions(table)


def test_scores_of_an_answer_by_hand() -> None:
    quoted = replace(
        an_answer("412 crowns [2]"), citations=(replace(an_answer("x").citations[0], quote="saved 412 crowns"),)
    )
    assert scores_of(quoted, ["412 crowns"]) == {"em": 1.0, "f1": 1.0, "cited": 1.0, "answered": 1.0}
    half = scores_of(quoted, ["412"])
    assert half["em"] == 0.0 and half["f1"] == pytest.approx(2 / 3) and half["cited"] == 1.0
    assert scores_of(quoted, ["nine"])["cited"] == 0.0
    nothing = replace(quoted, abstained=True)
    assert scores_of(nothing, ["412"]) == {"em": 0.0, "f1": 0.0, "cited": None, "answered": 0.0}
    assert scores_of(nothing, [])["f1"] == 1.0 and scores_of(quoted, [])["f1"] == 0.0
    assert scores_of("the endpoint is not there", [])["f1"] == 0.0


def test_two_ways_are_compared_in_pairs() -> None:
    ways = Way("hybrid", "notes"), Way("bm25", "notes")
    found = result_of({ways[0]: [{"f1": 0.0}] * 20, ways[1]: [{"f1": 1.0}] * 20}, {ways[0]: [1.0, 3.0], ways[1]: [0.5]})
    assert [row["measures"]["f1"] for row in found["rows"]] == [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    assert [row["seconds"] for row in found["rows"]] == [2.0, 0.5]
    assert found["difference"]["difference"] == 1.0 and found["difference"]["interval"] == [1.0, 1.0]
    assert result_of({ways[0]: [{"f1": 1.0}]}, {ways[0]: [1.0]})["difference"] is None


def test_an_evaluation_is_run_and_can_be_stopped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        evaluation_worker, "build_pipeline", lambda indexes, *_, **__: answer_worker.build_pipeline(indexes)
    )
    asked = "\n".join(json.dumps({"question": QUESTION, "answer": a}) for a in ("Another part of it", "no"))
    upload = site.client.put("/v1/uploads/mine.jsonl", content=asked.encode()).json()["id"]
    ways = [{"retriever": "hybrid", "strategy": "direct"}, {"retriever": "bm25", "strategy": "direct"}]
    site.send("POST", "/evaluation", {"upload": upload, "ways": ways}, 202)
    job = site.parts.evaluations.last
    assert job is not None
    job.result.result(60)
    told = site.get("/evaluation/events")
    *questions, result = [event for event in told["events"] if event["kind"] != "doing"]
    assert [question["expected"] for question in questions] == [["Another part of it"], ["no"]] and not told["open"]
    assert result["complete"] and [row["n"] for row in result["rows"]] == [2, 2]
    assert result["rows"][0]["measures"]["em"][0] == 0.5 and result["difference"]["difference"] == 0.0
    assert questions[0]["answers"][0]["source"]["title"] == "A Book"
    site.send("POST", "/evaluation", {"upload": "0" * 32}, 422)
    site.send("POST", "/evaluation", {"upload": upload}, 422)  # it was deleted when it was read
    broken = site.client.put("/v1/uploads/broken.jsonl", content=b"{").json()["id"]
    site.send("POST", "/evaluation", {"upload": broken}, 202)
    last = site.parts.evaluations.last
    assert last is not None
    last.result.result(60)
    (failed,) = site.get("/evaluation/events")["events"]
    assert failed["error"].startswith("broken.jsonl") and str(site.library.folder.parent) not in failed["error"]
    site.send("POST", "/evaluation/stop", status=204)


# ---- settings


@given(st.integers(1, 1000), st.sampled_from(["bm25", "hybrid"]), st.floats(0, 1), st.sampled_from(["ollama:a:b", ""]))
def test_changed_settings_are_those_asked_for_and_no_others(k: int, retriever: str, share: float, model: str) -> None:
    base = load_settings(["reader.api_key=secret", "retrieve.links=false"])
    values: dict[str, Any] = {"retrieve.k": k, "retrieve.retriever": retriever, "reader.min_probability": share}
    values |= {"reader.model": model} if model else {}
    found = changed(base, values)
    assert values_of(found) == values_of(base) | values
    assert found.reader.api_key == "secret" and found.retrieve.links is False and found.dense == base.dense


def test_settings_are_kept_and_what_may_not_be_set_is_refused(tmp_path: Path) -> None:
    kept = PageSettings(tmp_path, Settings())
    assert kept.load() == Settings()
    kept.change(values_of(Settings()) | {"retrieve.k": 9})
    assert json.loads((tmp_path / "page-settings.json").read_text()) == {"retrieve.k": 9}, "the rest stays the server's"
    assert PageSettings(tmp_path, load_settings(["retrieve.links=false"])).load().retrieve.k == 9
    for wrong in ({"reader.model": "/etc/passwd"}, {"reader.model": "all-minilm-l6-v2"}, {"retrieve.k": 0},
                  {"retrieve.retriever": "magic"}, {"reader.api_key": "x"}, {"retrieve.k": "many"}):  # fmt: skip
        with pytest.raises(UsageError):
            kept.change(wrong)
    assert kept.load().retrieve.k == 9
    (tmp_path / "page-settings.json").write_text("{")
    assert kept.load() == Settings()


def test_settings_are_changed_through_the_page_unless_people_log_in(site: Site) -> None:
    found = site.get("/settings")
    assert set(found["values"]) == set(CHANGEABLE) and found["changeable"]
    assert "qwen2.5-coder-1.5b" in [each["name"] for each in found["readers"]]
    assert site.send("PATCH", "/settings", {"values": {"retrieve.k": 3}})["values"]["retrieve.k"] == 3
    assert site.indexes.settings.retrieve.k == 3
    assert "cannot be changed" in site.send("PATCH", "/settings", {"values": {"dense.model": "x"}}, 422)["detail"]
    refused = site.send("POST", "/settings/test", {"model": "/etc/passwd"}, 422)
    assert "name a model of the list" in refused["detail"]
    unreachable = site.send("POST", "/settings/test", {"model": "http://127.0.0.1:9/v1#x"}, 503)
    assert "127.0.0.1:9" in unreachable["detail"]


# ---- folders of the server


def test_only_what_lies_in_an_allowed_folder_may_be_added_by_its_path(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in" / "deep", tmp_path / "in-side"
    for folder in (inside, outside):
        folder.mkdir(parents=True)
    (tmp_path / "in" / "out").symlink_to(outside)
    roots = [tmp_path / "in"]
    assert allowed(str(inside), roots) == inside and allowed(f"{inside}/../deep/", roots) == inside
    for wrong in (outside, tmp_path, tmp_path / "in" / "out", f"{inside}/../../in-side", tmp_path / "in" / "x", "a\0b"):
        with pytest.raises(UsageError, match="no folder that may be added"):
            allowed(str(wrong), roots)
        with pytest.raises(UsageError):
            allowed(str(inside), [])
