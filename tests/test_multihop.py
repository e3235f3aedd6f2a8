"""eval/multihop/questions.py: questions of three benchmarks, and samples of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eval.multihop.questions import ContextParagraph, Question, read_questions, sample
from rag.errors import DataError
from tests.benchmarks import Fields, hotpot, musique, written
from tests.conftest import DATA, needs_data

# -- reading ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hotpot.json", "hotpot.jsonl", "hotpot.json.gz", "hotpot.jsonl.gz"])
def test_hotpotqa_in_each_form(tmp_path: Path, name: str) -> None:
    benchmark = read_questions(written(tmp_path / name, hotpot(3)))
    assert benchmark.name == "hotpotqa"
    assert [question.id for question in benchmark.questions] == ["q0", "q1", "q2"]
    first, _, third = benchmark.questions
    assert first.question == "In which town was the gardener who laid out Alder Garden born?"
    assert (first.answers, first.kind, first.stratum) == (("Aalborg",), "bridge", "bridge")
    assert (third.answers, third.kind, third.stratum) == (("yes",), "comparison", "comparison yes/no")
    # as the file writes it: what is handed in must have the title with its entity
    assert first.gold_titles == ("Alder Garden &amp; Park", "Ada Lind")
    assert first.facts == {("Alder Garden &amp; Park", 1), ("Ada Lind", 1)}
    assert first.gold == (0, 1)
    assert [paragraph.title for paragraph in first.paragraphs] == [
        "Alder Garden &amp; Park", "Ada Lind", "Aalborg | <Tea>",
    ]  # fmt: skip
    assert first.paragraphs[1].sentences == (
        "Ada Lind was a gardener.", " Ada Lind was born in Aalborg and died in 1960.",
    )  # fmt: skip


def test_hotpotqa_with_gold_paragraphs_only_or_with_some_out_of_the_context(tmp_path: Path) -> None:
    extra, fullwiki = hotpot(2)
    extra |= {"supporting_facts": None, "type": None, "supporting_titles": ["Ada Lind", "Ada Lind", "Nowhere"]}
    fullwiki["supporting_facts"] = [["Nowhere", 3], ["Bo Krantz", 1], ["Bo Krantz", 0], ["Bo Krantz", 99]]
    first, second = read_questions(written(tmp_path / "f.jsonl", [extra, fullwiki])).questions
    assert (first.facts, first.kind, first.stratum) == (None, "", "")
    assert (first.gold, first.gold_titles) == ((1,), ("Ada Lind", "Nowhere"))
    assert (second.gold, second.gold_titles) == ((1,), ("Nowhere", "Bo Krantz"))
    assert second.facts == {("Nowhere", 3), ("Bo Krantz", 1), ("Bo Krantz", 0), ("Bo Krantz", 99)}


def test_2wiki_is_told_by_its_evidences(tmp_path: Path) -> None:
    records = [record | {"evidences": [["Ada Lind", "place of birth", "Aalborg"]]} for record in hotpot(2)]
    benchmark = read_questions(written(tmp_path / "2wiki.json", records))
    assert benchmark.name == "2wiki"
    assert benchmark.questions == read_questions(written(tmp_path / "hotpot.json", hotpot(2))).questions


@pytest.mark.parametrize("name", ["musique.jsonl", "musique.json.gz"])
def test_musique(tmp_path: Path, name: str) -> None:
    benchmark = read_questions(written(tmp_path / name, musique(2)))
    first, second = benchmark.questions
    assert benchmark.name == "musique"
    assert first.answers == ("Ys", "Ker-Ys", "the town of Ys")
    assert (first.kind, second.kind, first.facts) == ("2hop", "3hop", None)
    assert (first.gold, first.gold_titles) == ((1, 2), ("Lakes", "Lakes"))
    assert [paragraph.text for paragraph in first.paragraphs][1:] == [
        "Lake 0 feeds the Orm.",
        "The Orm of 0 ends in Ys.",
    ]
    plain = [{key: value for key, value in record.items() if key != "answer_aliases"} for record in musique(1)]
    assert read_questions(written(tmp_path / "plain.json", plain)).questions[0].answers == ("Ys",)


@pytest.mark.parametrize(
    ("sentences", "text"),
    [
        (("One.", " Two.", "Three."), "One. Two. Three."),
        (("One. ", "Two."), "One. Two."),
        (("One.", "\u00a0Two.", "\n", "Three."), "One.\u00a0Two.\nThree."),
        (("", "One.", "", "Two.", ""), "One. Two."),
        ((), ""),
    ],
)
def test_a_paragraphs_text_is_its_sentences_joined(sentences: tuple[str, ...], text: str) -> None:
    paragraph = ContextParagraph("t", sentences)
    assert paragraph.text == text
    assert paragraph.entry == ContextParagraph("t", (text,)).entry  # however it was cut
    assert paragraph.entry.id != ContextParagraph("u", sentences).entry.id


@given(st.lists(st.text(max_size=4), max_size=5))
def test_each_sentence_stands_in_its_paragraph_in_order(sentences: list[str]) -> None:
    text, at = ContextParagraph("t", tuple(sentences)).text, 0
    for sentence in sentences:
        at = text.index(sentence, at) + len(sentence)
    assert text.replace(" ", "") == "".join(sentences).replace(" ", "")


@needs_data
@pytest.mark.parametrize(
    ("file", "name", "strata"),
    [
        ("hotpotqa/dev-a", "hotpotqa", {"bridge": 410, "comparison": 76, "comparison yes/no": 35}),
        ("hotpotqa/dev-extra-paragraph-gold", "hotpotqa", {"": 213, "yes/no": 47}),
        ("2wiki/dev-a", "2wiki", None),
        ("musique/train-100", "musique", None),
    ],
)
def test_the_files_at_hand_can_be_read(file: str, name: str, strata: dict[str, int] | None) -> None:
    benchmark = read_questions(DATA / f"{file}.jsonl.gz")
    assert benchmark.name == name
    if strata is None:
        assert len(benchmark.questions) == 100
    else:
        assert Counter(question.stratum for question in benchmark.questions) == strata
    for question in benchmark.questions:
        assert len(question.gold) >= 2 and len(question.gold) == len(question.gold_titles), question.id
        sentences = {p.title: len(p.sentences) for p in question.paragraphs}
        assert all(index < sentences[title] for title, index in question.facts or ()), question.id


# -- what is refused -------------------------------------------------------------------------------------------


def changed(records: list[Fields], number: int, **fields: Any) -> list[Fields]:
    """The records with fields of one of them changed, or taken out where they are ...; `number` counts from 1."""
    record = records[number - 1] | fields
    records[number - 1] = {key: value for key, value in record.items() if value is not ...}
    return records


PLACE = ["t", ["One."]]
GOLD = {"title": "t", "paragraph_text": "x", "is_supporting": True}


@pytest.mark.parametrize(
    ("records", "says"),
    [
        (changed(hotpot(3), 2, _id=...), "record 2: _id or id is missing"),
        (changed(hotpot(3), 2, _id=" "), "record 2: _id or id is empty"),
        (changed(hotpot(3), 2, question=...), "record 2: question is missing"),
        (changed(hotpot(3), 2, question="\n"), "record 2: question is empty"),
        (changed(hotpot(3), 2, question=["why"]), 'record 2: question is ["why"], not text'),
        (changed(hotpot(3), 3, answer=...), "record 3: answer is missing"),
        (changed(hotpot(3), 3, answer=None), "record 3: answer is missing"),
        (changed(hotpot(3), 3, answer=""), "record 3: answer is empty"),
        (changed(hotpot(3), 3, answer=True), "record 3: answer is true, not text"),
        (changed(hotpot(3), 2, context=...), "record 2: context is missing"),
        (changed(hotpot(3), 1, context="One."), 'record 1: context is "One.", not a list'),
        (changed(hotpot(3), 1, context=[PLACE, "t"]), "record 1: context[1] is not [title, [sentence, ...]]"),
        (changed(hotpot(3), 1, context=[["t", "One."]]), "record 1: context[0] is not [title, [sentence, ...]]"),
        (changed(hotpot(3), 1, context=[["t", [1]]]), "record 1: context[0] is not [title, [sentence, ...]]"),
        (changed(hotpot(3), 2, supporting_facts=...), "record 2: supporting_facts is missing"),
        (changed(hotpot(3), 2, supporting_facts=[]), "record 2: supporting_facts is empty"),
        (changed(hotpot(3), 2, supporting_facts=[["t"]]), "record 2: supporting_facts[0] is not [title, sentence"),
        (changed(hotpot(3), 2, supporting_facts=[["t", True]]), "record 2: supporting_facts[0] is not [title, sent"),
        (changed(hotpot(3), 2, supporting_facts=[["t", 0], ["t", "1"]]), "record 2: supporting_facts[1] is not"),
        (changed(hotpot(3), 2, supporting_facts=None, supporting_titles=[]), "record 2: supporting_"),
        (changed(hotpot(3), 2, supporting_facts=None, supporting_titles=[["t"]]), "record 2: supporting_titles"),
        (changed(hotpot(3), 2, supporting_facts=None, supporting_titles=[1]), "record 2: supporting_titles"),
        (changed(hotpot(3), 3, _id="q0"), "record 3: id q0 stands in record 1 too"),
        (changed(musique(2), 2, id=...), "record 2: id or _id is missing"),
        (changed(musique(2), 2, answer=...), "record 2: answer is missing"),
        (changed(musique(2), 2, paragraphs=...), "record 2: paragraphs is missing"),
        (changed(musique(2), 1, paragraphs=[]), "record 1: no paragraph has is_supporting"),
        (changed(musique(2), 1, paragraphs=[GOLD, {"title": "t"}]), "record 1: paragraphs[1] has no title and par"),
        (changed(musique(2), 1, paragraphs=["t"]), "record 1: paragraphs[0] has no title and paragraph_text"),
        (changed(musique(2), 2, answer_aliases="Ys"), 'record 2: answer_aliases is "Ys", not a list'),
        (changed(musique(2), 2, answer_aliases=3), "record 2: answer_aliases is 3, not a list"),
        ([{"_id": "q", "text": "Why?"}], "record 1: has neither context nor paragraphs"),
        ([{"version": "1.1", "data": []}], "(its fields: version, data)"),
        ([*hotpot(1), *musique(1)], "record 2: context is missing"),
    ],
)
def test_a_broken_question_is_named_with_its_field(tmp_path: Path, records: list[Fields], says: str) -> None:
    file = written(tmp_path / "questions.jsonl", records)
    with pytest.raises(DataError) as caught:
        read_questions(file)
    line = str(caught.value)
    assert line.startswith(f"{file}, record ") and says in line
    assert len(line.splitlines()) == 1


# -- samples ---------------------------------------------------------------------------------------------------


def question(identity: str, kind: str, answer: str = "Ys") -> Question:
    return Question(identity, "Why?", (answer,), kind, (), (), (), None)


@st.composite
def strata(draw: st.DrawFn, most: int) -> list[Question]:
    """Questions of up to so many types, mixed."""
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=most))
    kinds = draw(st.permutations([kind for kind, size in zip("abcdef", sizes, strict=False) for _ in range(size)]))
    return [question(f"q{i}", kind) for i, kind in enumerate(kinds)]


@hypothesis_settings(max_examples=60)
@given(strata(6), st.integers(0, 9), st.data())
def test_a_smaller_sample_is_part_of_a_larger_one(some: list[Question], seed: int, data: st.DataObject) -> None:
    small, large = sorted(data.draw(st.tuples(*[st.integers(1, len(some) + 2)] * 2)))
    one, two = sample(some, small, seed), sample(some, large, seed)
    assert set(map(id, one)) <= set(map(id, two))
    for limit, taken in ((small, one), (large, two)):
        assert len(taken) == min(limit, len(some))
        assert taken == [question for question in some if question in taken]  # in the file's order
    assert sample(some, small, seed) == one and sample(some, None, seed) == some


@hypothesis_settings(max_examples=60)
@given(strata(6), st.integers(0, 9), st.data())
def test_every_type_has_its_share(some: list[Question], seed: int, data: st.DataObject) -> None:
    """Within one question for the three types of HotpotQA; with more types the roundings add up, to half of each."""
    limit = data.draw(st.integers(1, len(some)))
    there, taken = (Counter(q.stratum for q in questions) for questions in (some, sample(some, limit, seed)))
    most = max(1.0, (len(there) - 1) / 2)
    for kind, size in there.items():
        assert abs(taken[kind] - limit * size / len(some)) <= most + 1e-9


def test_another_seed_is_another_sample_and_the_order_of_the_file_does_not_matter() -> None:
    some = [question(f"q{i}", "ab"[i % 2]) for i in range(40)]
    samples = [{q.id for q in sample(some, 10, seed)} for seed in range(4)]
    assert len({frozenset(ids) for ids in samples}) == 4
    assert {q.id for q in sample(some[::-1], 10, 0)} == samples[0]


@pytest.mark.parametrize("seed", range(5))
def test_rare_types_do_not_come_first(seed: int) -> None:
    some = [question("x", "rare"), *(question(f"q{i}", "common") for i in range(38)), question("y", "also rare")]
    assert [[q.kind for q in sample(some, limit, seed)] for limit in (1, 2)] == [["common"], ["common"] * 2]
    assert Counter(q.kind for q in sample(some, 21, seed))["common"] in (19, 20)


def test_yes_and_no_are_a_type_of_their_own() -> None:
    some = [question(f"q{i}", "x", answer) for i, answer in enumerate(["Ys", " YES", "no", "no one"] * 10)]
    assert Counter(q.stratum for q in sample(some, 8, 3)) == {"x": 4, "x yes/no": 4}


@needs_data
def test_a_sample_of_hotpotqa_is_in_proportion() -> None:
    questions = read_questions(DATA / "hotpotqa" / "dev-a.jsonl.gz").questions
    for limit in (20, 100, 120):
        taken = Counter(q.stratum for q in sample(questions, limit, 0))
        for kind, size in (("bridge", 410), ("comparison", 76), ("comparison yes/no", 35)):
            assert abs(taken[kind] - limit * size / 521) <= 1
