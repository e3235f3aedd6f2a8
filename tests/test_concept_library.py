"""Concepts of a real library: made, kept while it grows, damaged, explained, muted, mapped; its blind spots."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ingest.build import build
from ingest.uploads import remove_document
from rag.concepts.blind_spots import blind_spots
from rag.concepts.concept_index import (
    FILE,
    FOLDER,
    Concepts,
    concept_problems,
    lacks_concepts,
    open_concepts,
    rebuild_concepts,
    update_concepts,
)  # fmt: skip
from rag.concepts.concept_map import concept_map, passages_with
from rag.concepts.naming import name_concepts
from rag.concepts.steering import Steering, ranks_before
from rag.errors import UsageError
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.library.kept.conversations import AskedQuestion, Conversations
from rag.search import open_retriever
from rag.settings import load_settings
from tests.conftest import ROOT, Run
from tests.test_answer import ScriptedReader

CASES = ("dees-v-hungary-2010", "moreno-gomez-v-spain-2004", "dakus-v-ukraine-2017", "pibernik-v-croatia-2004")
QUESTION = "May a tenant be evicted without a court order?"


def cases(*names: str) -> list[Path]:
    return [ROOT / "examples" / "judgments" / f"{name}.txt" for name in names]


def opened(folder: Path) -> Indexes:
    return Indexes(Library.open(folder, create=True), load_settings())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("concepts") / "library"
    indexes = opened(folder)
    build(cases(*CASES), indexes.library, indexes, indexes.settings.ingest)
    return folder


@pytest.fixture
def library(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "library"))


def concepts_of(indexes: Indexes) -> Concepts:
    found = open_concepts(indexes)
    assert found is not None
    return found


def test_an_ingestion_makes_them_and_they_are_checked_and_made_again(library: Path) -> None:
    indexes = opened(library)
    found = concepts_of(indexes)
    assert list(found.numbers) == indexes.library.numbers() and concept_problems(indexes) == []
    assert len(found.shown) >= 3 and all(found.label(concept) for concept in found.shown)
    file = library / FOLDER / FILE
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    assert not lacks_concepts(indexes)
    (problem,) = concept_problems(indexes)
    assert str(file) in problem and "--repair" in problem
    assert open_concepts(indexes) is None  # searched all the same
    hits = open_retriever(indexes, "hybrid").search([QUESTION], 3)[0]
    assert len(hits) == 3 and not any(hit.concepts for hit in hits)
    with indexes.library.writing("a test"):
        rebuild_concepts(indexes)
    again = concepts_of(indexes)
    assert again.fingerprint == found.fingerprint and again.labels == found.labels  # the same from the same passages


def test_a_document_more_or_less_keeps_them_and_a_kill_leaves_the_ones_before(library: Path) -> None:
    indexes = opened(library)
    before = concepts_of(indexes)
    gone = indexes.library.find(str(cases("dees-v-hungary-2010")[0]))
    with indexes.library.writing("a test"):
        with indexes.updating():
            remove_document(indexes.library, gone)
        assert "stale" in concept_problems(indexes)[0]
        assert (
            len(open_retriever(indexes, "hybrid").search([QUESTION], 3)[0]) == 3
        )  # before they are brought up to date
        (library / FOLDER / f"{FILE}.new").write_bytes(b"half")  # what a kill in the middle of writing leaves
        update_concepts(indexes)
    after = concepts_of(indexes)
    assert after.fingerprint == before.fingerprint and concept_problems(indexes) == []
    assert list(after.numbers) == indexes.library.numbers() and len(after.numbers) < len(before.numbers)
    kept = np.isin(before.numbers, after.numbers)
    assert np.array_equal(before.ids[kept], after.ids) and np.array_equal(before.weights[kept], after.weights)
    build(cases("dees-v-hungary-2010"), indexes.library, indexes, indexes.settings.ingest)
    grown = concepts_of(indexes)
    assert grown.fingerprint == before.fingerprint and len(grown.numbers) == len(before.numbers)


def test_a_library_of_before_there_were_any_is_well_and_repair_makes_them(library: Path, glossator: Run) -> None:
    shutil.rmtree(library / FOLDER)
    assert lacks_concepts(opened(library))
    assert glossator("check", "--library", library).returncode == 0
    assert glossator("check", "--repair", "--library", library).returncode == 0
    assert open_concepts(opened(library)) is not None


def test_a_small_library_has_none_and_says_so(tmp_path: Path, glossator: Run) -> None:
    indexes = opened(tmp_path / "library")
    (tmp_path / "note.srt").write_text("1\n00:00:00,000 --> 00:00:04,000\nAda: The mill was built in 1911.\n")
    build([tmp_path / "note.srt"], indexes.library, indexes, indexes.settings.ingest)
    assert open_concepts(indexes) is None and concept_problems(indexes) == [] and len(indexes.library.numbers()) == 1
    for arguments in (["search", "mill", "--mute", "x"], ["concepts"]):
        ended = glossator(*arguments, "--library", tmp_path / "library")
        assert ended.returncode == 2 and "50 passages" in ended.stderr and ended.stderr.count("\n") == 1


def test_the_dense_part_of_a_hit_splits_into_concepts_and_a_remainder(library: Path) -> None:
    indexes = opened(library)
    found = concepts_of(indexes)
    for name in ("hybrid", "dense"):
        hits = open_retriever(indexes, name).search([QUESTION], 8)[0]
        split = [hit for hit in hits if hit.concepts]
        assert len(split) >= 5
        for hit in split:
            dense = hit.score if hit.terms is None else hit.terms["dense"]
            assert sum(share.share for share in hit.concepts) == pytest.approx(dense, abs=1e-5)
            assert hit.concepts[-1].concept_id == "" and all(share.concept_id for share in hit.concepts[:-1])
            assert all(share.label == found.label(found.find(share.concept_id)) for share in hit.concepts[:-1])
    assert not any(hit.concepts for hit in open_retriever(indexes, "bm25").search([QUESTION], 8)[0])


def strongest(indexes: Indexes, question: str) -> int:
    """The concept with a name that the best hits owe most to."""
    found = concepts_of(indexes)
    shares: dict[int, float] = {}
    for hit in open_retriever(indexes, "hybrid").search([question], 10)[0]:
        for share in hit.concepts[:-1]:
            concept = found.find(share.concept_id)
            shares[concept] = shares.get(concept, 0.0) + share.share
    return max(shares, key=lambda concept: shares[concept])


@pytest.mark.parametrize("name", ["hybrid", "dense"])
def test_what_is_muted_falls_what_is_boosted_rises_and_scores_still_add_up(library: Path, name: str) -> None:
    indexes = opened(library)
    found = concepts_of(indexes)
    concept = strongest(indexes, QUESTION)
    numbers = indexes.library.numbers_of

    def strength(hits: list[object]) -> float:
        ids = [hit.passage.passage_id for hit in hits]  # type: ignore[attr-defined]
        return float(found.strengths([numbers(ids)[each] for each in ids], [concept]).mean())

    plain = open_retriever(indexes, name).search([QUESTION], 10)[0]
    muted = open_retriever(indexes, name, steering=Steering(mute=(found.concept_id(concept),))).search([QUESTION], 10)[
        0
    ]
    boosted = open_retriever(indexes, name, steering=Steering(boost=(found.concept_id(concept),))).search(
        [QUESTION], 10
    )[0]
    assert strength(muted) < strength(plain) <= strength(boosted) + 1e-6  # type: ignore[arg-type]
    for hits in (muted, boosted):
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        for hit in hits:
            assert hit.terms is None or sum(hit.terms.values()) == pytest.approx(hit.score, abs=1e-5)
    before = ranks_before(muted, open_retriever(indexes, name), QUESTION)
    assert all(before[hit.passage.passage_id] == hit.rank for hit in plain if hit.passage.passage_id in before)


def test_concepts_are_found_by_id_and_name_and_others_are_refused_in_one_line(library: Path, glossator: Run) -> None:
    found = concepts_of(opened(library))
    concept = found.shown[0]
    assert found.find(found.concept_id(concept)) == found.find(found.label(concept).upper()) == concept
    for name, said in (
        ("0000-3", "other concepts now"), ("nothing like it", "no concept of this library"), ("", "no concept"),
        (f"{found.fingerprint}-9999", "other concepts now"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            found.find(name)
    everything = [found.concept_id(concept) for concept in range(len(found.labels))]
    for options, said in (
        ([*(f"--mute={each}" for each in everything)], "mute at most 8"),
        ([f"--mute={everything[0]}", f"--boost={everything[0]}"], "muted and boosted"),
        (["--mute", "0000-1"], "other concepts now"),
    ):  # fmt: skip
        ended = glossator("search", QUESTION, "--library", library, *options)
        assert ended.returncode == 2 and said in ended.stderr and ended.stderr.count("\n") == 1


def test_search_tells_concepts_and_where_a_hit_was_before(library: Path, glossator: Run) -> None:
    indexes = opened(library)
    found, concept = concepts_of(indexes), strongest(indexes, QUESTION)
    ended = glossator("search", QUESTION, "--library", library, "--json", "-k", 5, "--mute", found.concept_id(concept))
    hits = json.loads(ended.stdout)["hits"]
    assert all("rank_before" in hit for hit in hits) and any(hit["rank_before"] != hit["rank"] for hit in hits)
    assert all(set(share) == {"concept_id", "label", "share"} for hit in hits for share in hit.get("concepts", []))
    text = glossator("search", QUESTION, "--library", library, "-k", 5, "--mute", found.concept_id(concept)).stdout
    assert ", was " in text and "meaning" in text
    listed = json.loads(glossator("concepts", "--library", library, "--json").stdout)
    assert [row["concept_id"] for row in listed["concepts"]] == [found.concept_id(each) for each in found.shown]
    assert 0 < len(listed["concepts"]) <= 32 < listed["all"] + 1
    every = json.loads(glossator("concepts", "--library", library, "--json", "--all").stdout)["concepts"]
    assert len(every) == listed["all"]


def test_the_map_counts_passages_and_its_columns_are_documents_years_and_parts(library: Path) -> None:
    indexes = opened(library)
    found, stored = concepts_of(indexes), indexes.library
    drawn = concept_map(found, stored, "document")
    assert [column.title for column in drawn.columns] == [
        "MORENO GÓMEZ v. SPAIN", "PIBERNIK v. CROATIA", "DEÉS v. HUNGARY", "DAKUS v. UKRAINE"
    ]  # fmt: skip  # by year
    having, owners = found.having(range(len(found.labels))), stored.owners()
    for i, concept in enumerate(drawn.concepts):
        for j, column in enumerate(drawn.columns):
            of = [row for row, number in enumerate(found.numbers.tolist()) if owners[number] == column.key]
            assert drawn.counts[i][j] == int(having[of, concept].sum()) and column.passages == len(of)
    by_year = concept_map(found, stored, "year")
    assert [column.key for column in by_year.columns] == ["2004", "2010", "2017"]
    one = drawn.columns[0].key
    parts = concept_map(found, stored, "part", one)
    assert sum(column.passages for column in parts.columns) == drawn.columns[0].passages
    with pytest.raises(UsageError, match="choose one of"):
        concept_map(found, stored, "colour")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="of one document"):
        concept_map(found, stored, "part")
    concept = found.shown[0]
    passages = passages_with(found, stored, concept)
    strengths = found.strengths([stored.numbers_of([p.passage_id])[p.passage_id] for p in passages], [concept])[:, 0]
    assert len(passages) > 0 and list(strengths) == sorted(strengths, reverse=True)


def test_blind_spots_are_what_was_asked_in_vain_and_what_was_never_found(library: Path) -> None:
    indexes = opened(library)
    found = concepts_of(indexes)
    noise = indexes.library.passages_numbered(found.numbers.tolist())
    seen = next(p for p in noise.values() if "noise" in p.text.lower())
    asked = [AskedQuestion(QUESTION, False, ()) for _ in range(3)]
    asked += [AskedQuestion("How loud was the noise at night?", True, (seen.passage_id,)) for _ in range(9)]
    spots = blind_spots(asked, found, indexes.encoder().encode, indexes.library.numbers_of)
    assert spots.asked == 12
    assert all(QUESTION in spot.questions and spot.unanswered == 3 for spot in spots.wanted) and (
        spots.wanted or spots.unmatched == (QUESTION,)
    )
    row = found.numbers.tolist().index(indexes.library.numbers_of([seen.passage_id])[seen.passage_id])
    held = found.having(range(len(found.labels)))[row]
    assert spots.unseen and not any(held[spot.concept] for spot in spots.unseen)
    empty = blind_spots([], found, indexes.encoder().encode, indexes.library.numbers_of)
    assert empty.wanted == empty.unseen == empty.unmatched == ()


def test_questions_that_were_asked_come_from_the_conversations_of_their_owner(library: Path) -> None:
    kept = Conversations(library)
    for owner in ("ada", "bob"):
        turn = kept.add_turn(kept.create(owner).conversation_id, owner, f"Asked by {owner}?", {})
        kept.end_turn(turn.turn_id, "done", {"standalone": f"{owner}'s question"})
    assert [each.question for each in kept.asked("ada")] == ["ada's question"]
    assert {each.question for each in kept.asked()} == {"ada's question", "bob's question"}


def test_the_reader_names_concepts_and_a_name_of_another_dictionary_is_not_taken(library: Path) -> None:
    indexes = opened(library)
    found = concepts_of(indexes)
    named = name_concepts(indexes, found, ScriptedReader("noise at night"))
    assert 0 < len(named.names) <= 32 and {name.text for name in named.names.values()} == {"noise at night"}
    again = concepts_of(indexes)
    assert again.names == named.names
    holding = [concept for concept, name in again.names.items() if name.holds]
    assert all(again.label(concept) == "noise at night" for concept in holding)
    names = library / FOLDER / "names.json"
    names.write_text(json.dumps(json.loads(names.read_text()) | {"of": "0000"}))
    assert concepts_of(indexes).names == {}
