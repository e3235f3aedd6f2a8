"""filter_choices.py: the choices are the library's values, each finds what has it, and a question keeps to them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.document import Document, Episode, Page, Section, Utterance
from rag.library.catalogue import Library
from rag.library.filters import VALUES
from rag.library.kept.conversations import Conversations
from rag.locator import PageSpan, ParagraphSpan, part_of
from rag.pipeline import Pipeline
from rag.records import Answer, Hit, Passage
from rag.settings import load_settings
from tests.test_answer import ScriptedReader
from tests.test_cases import a_case
from tests.test_links_catalogue import held_by_another, to_layout_3
from ui.web.panels import filter_choices as filters
from ui.web.panels.filter_choices import FIELDS, OF_CASES, FilterChoices, filters_of, kept, words_of
from ui.web.workers import answer_worker
from ui.web.workers.answer_worker import AnswerWorker
from ui.web.workers.question_job import AskOptions
from ui.web.workers.reader_queue import ReaderQueue

RESPONDENTS = ("THE UNITED KINGDOM", "Turkey", "TURKEY (no. 2)", "Romania and Bulgaria", "Bulgaria", "")
ARTICLES = ("Article 8", "ARTICLE 8", "Article 6", "Article 6 § 1", "Article 1", "Article 1 of Protocol No. 1")
DAYS = ("", "2001-05-04", "2010-12-31", "2011-01-01")
TEXT = "One part of it. Another part of it."
MIDDLE = TEXT.index("Another")


@dataclass(frozen=True)
class Stored:
    """A document as it is put in the library, with its passages."""

    document: Document
    passages: tuple[Passage, ...]


def stored(number: int, document: Document, parts: Sequence[str], said: int) -> Stored:
    """Its text in two passages, of which the first `said` are there."""
    spans = [(0, MIDDLE), (MIDDLE, len(TEXT))][:said]
    return Stored(
        document,
        tuple(
            Passage(
                f"d{number}#{i}",
                f"d{number}",
                "",
                "",
                TEXT[start:end],
                start,
                end,
                ParagraphSpan(part) if part else PageSpan(),
            )
            for i, ((start, end), part) in enumerate(zip(spans, parts, strict=False))
        ),
    )


@st.composite
def documents(draw: st.DrawFn) -> list[Stored]:
    made = []
    for number in range(draw(st.integers(0, 5))):
        plain = Document(f"d{number}", "legal", "", TEXT, (Page(1, 0, len(TEXT)),))
        date = draw(st.sampled_from(DAYS))
        if draw(st.booleans()):
            case = a_case("A. v. B.", [], date)
            parts = [draw(st.sampled_from(("facts", "law", "opinion"))) for _ in range(2)]
            case = replace(
                case,
                parties=("A.", draw(st.sampled_from(RESPONDENTS))),
                articles=tuple(draw(st.lists(st.sampled_from(ARTICLES), unique=True, max_size=3))),
                importance=draw(st.sampled_from((None, 0, 1, 2, 4, 7))),
                sections=(Section(parts[0], 0, MIDDLE), Section(parts[1], MIDDLE, len(TEXT))),
            )
            made.append(stored(number, replace(plain, case=case), parts, draw(st.integers(1, 2))))
        else:
            who = st.sampled_from(("Ada", "ADA", "Bo", ""))
            said = Utterance(0, MIDDLE - 1, 0, 1, draw(who)), Utterance(MIDDLE, len(TEXT), 1, 2, draw(who))
            episode = Episode(draw(st.sampled_from(("Old Trades", "OLD TRADES", ""))), date=date, utterances=said)
            made.append(stored(number, replace(plain, kind="podcast", episode=episode), ("", ""), 2))
    return made


def library_of(folder: str, made: Sequence[Stored]) -> Library:
    library = Library.open(Path(folder) / "library", create=True)
    for one in made:
        name = one.document.document_id
        library.put(one.document, one.passages, f"/{name}", name, "recipe")
    return library


def countries(respondent: str) -> str:
    return re.sub(r"the | \(no\. 2\)", "", respondent.casefold())


def has(one: Stored, passage: Passage, name: str, value: str) -> bool:
    """What a filter means, said once more without SQL."""
    case, episode = one.document.case, one.document.episode
    date = (case or episode).date  # type: ignore[union-attr]
    if name in ("date>", "date<"):
        short = date[: len(value)]
        return bool(date) and (short >= value if name == "date>" else short <= value)
    if episode:
        speakers = [u.speaker.casefold() for u in episode.utterances if passage.start <= u.start < passage.end]
        found = {"show": [episode.show.casefold()], "speaker": speakers}.get(name, [])
        return value.casefold() in found
    assert case
    if name == "article":
        wanted = value.casefold()
        return any(a == wanted or a.startswith(f"{wanted} §") for a in map(str.casefold, case.articles))
    if name == "country":
        return f" {value} " in f" {countries(case.parties[1])} "
    return value == {"part": part_of(passage.locator), "importance": str(case.importance)}.get(name)


def values_in(made: Sequence[Stored]) -> dict[str, set[str]]:
    """By field, in small letters, what there is to choose."""
    cases = [one.document.case for one in made if one.document.case]
    episodes = [one.document.episode for one in made if one.document.episode]
    found = {
        "part": {part_of(passage.locator) for one in made for passage in one.passages},
        "article": {article.casefold() for case in cases for article in case.articles},
        "date": {some.date[:4] for some in (*cases, *episodes)},
        "country": {countries(case.parties[1]) for case in cases},
        "importance": {str(case.importance) for case in cases if case.importance in (1, 2, 3, 4)},
        "show": {episode.show.casefold() for episode in episodes},
        "speaker": {said.speaker.casefold() for episode in episodes for said in episode.utterances},
    }
    return {name: values - {""} for name, values in found.items()}


@given(documents(), st.data())
@settings(max_examples=25, deadline=None)
def test_the_choices_are_the_values_there_are_and_each_finds_what_has_it(
    made: list[Stored], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        library, every = library_of(folder, made), [(one, passage) for one in made for passage in one.passages]
        offered, expected = FilterChoices(library).choices(), values_in(made)

        def found(chosen: Sequence[str]) -> set[str]:
            numbers = library.select(filters_of(chosen))
            passages = library.passages_numbered(library.numbers() if numbers is None else numbers)
            return {passage.passage_id for passage in passages.values()}

        for place, (field, choices) in enumerate(zip(FIELDS, offered, strict=True)):
            assert sorted(value.casefold() for _, value in choices) == sorted(expected[field.values])
            assert all(name for name, _ in choices)
            for _, value in choices:
                having = {passage.passage_id for one, passage in every if has(one, passage, field.name, value)}
                assert found([""] * place + [value]) == having != set()
        chosen = [data.draw(st.sampled_from(["", *(value for _, value in choices)])) for choices in offered]
        pairs = [(field.name, value) for field, value in zip(FIELDS, chosen, strict=True) if value]
        all_of = {p.passage_id for one, p in every if all(has(one, p, name, value) for name, value in pairs)}
        assert found(chosen) == all_of


@given(documents(), st.data())
@settings(max_examples=25, deadline=None)
def test_a_judgment_is_kept_by_what_the_whole_of_it_has(made: list[Stored], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        library, cases = library_of(folder, made), [one for one in made if one.document.case]
        offered = FilterChoices(library).choices()
        chosen = [data.draw(st.sampled_from(["", *(value for _, value in choices)])) for choices in offered]
        named = [(f.name, value) for f, value in zip(FIELDS, chosen, strict=True) if value and f.name in OF_CASES]
        having = {
            one.document.document_id
            for one in cases
            if all(has(one, one.passages[0], name, value) for name, value in named)
        }
        ids = [one.document.document_id for one in cases]
        assert kept(library, ids, chosen) == having
        assert kept(library, ids[:1], chosen) == having.intersection(ids[:1])


def test_values_are_found_without_reading_the_passages_of_judgments_and_once_a_change(tmp_path: Path) -> None:
    library = library_of(str(tmp_path), [stored(0, Document("d0", "legal", "", TEXT, (Page(1, 0, len(TEXT)),), case=
        replace(a_case("A. v. Malta", [], "2010-12-31"), sections=(Section("law", 0, len(TEXT)),))), ("law", "law"), 2,
    )])  # fmt: skip
    with closing(sqlite3.connect(library.folder / "catalogue.sqlite")) as connection:
        connection.create_function("casefold", 1, str.casefold, deterministic=True)
        for field, statement in VALUES.items():
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            assert not [step for step in plan if re.match(r"SCAN (p|passages)\b", step)], (field, plan)
    offer, asked = FilterChoices(library), list[str]()
    values = library.values
    library.values = lambda field: asked.append(field) or values(field)  # type: ignore[func-returns-value,method-assign]
    first = offer.choices()
    assert offer.choices() is first and 0 < len(asked) <= len(FIELDS)
    assert [len(choices) for choices in first] == [1, 0, 1, 1, 1, 1, 0, 0]
    library.remove("d0")
    assert not any(offer.choices())


def test_an_older_library_offers_nothing(tmp_path: Path) -> None:
    library = library_of(str(tmp_path), [])
    to_layout_3(library.folder)
    with held_by_another(library.folder):
        assert not any(FilterChoices(Library.open(library.folder)).choices())


def test_the_order_and_the_names_by_hand() -> None:
    part, article, _, _, country, *_ = FIELDS

    def ordered(field: filters.FilterField, *values: str) -> list[str]:
        return sorted(values, key=lambda value: filters._order(field, value))

    assert ordered(part, "opinion", "law", "facts") == ["facts", "law", "opinion"]
    articles = ["Article 2", "Article 6", "Article 6 § 1", "Article 10", "Article 1 of Protocol No. 1",
                "Article 1 of Protocol No. 12", "Article 4 of Protocol No. 7"]  # fmt: skip
    assert ordered(article, *articles[::-1]) == [*articles[:5], articles[6], articles[5]]
    assert filters.name_of(country, "bosnia and herzegovina") == "Bosnia and Herzegovina"
    assert words_of(("", " ", None)) == "" and filters_of(("", " 8 ", None)) == ("article=8",)


class Within:
    """In place of an index: the passages that may be found."""

    def __init__(self, library: Library):
        self._library = library

    def search(self, queries: Sequence[str], k: int, within: Sequence[int] | None = None) -> list[list[Hit]]:
        numbers = self._library.numbers() if within is None else within
        passages = self._library.passages_numbered(numbers[:k]).values()
        return [[Hit(rank, 1.0, passage) for rank, passage in enumerate(passages, 1)] for _ in queries]


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ask a library of two judgments with a choice; (answer, requests of the reader)."""
    made = []
    for number, (respondent, article) in enumerate((("Malta", "Article 8"), ("Spain", "Article 6"))):
        case = replace(
            a_case(f"A. v. {respondent}", [], f"200{number}-05-04"),
            articles=(article,), sections=(Section("law", 0, len(TEXT)),),
        )  # fmt: skip
        document = Document(f"d{number}", "legal", case.title, TEXT, (Page(1, 0, len(TEXT)),), case=case)
        made.append(stored(number, document, ("law", "law"), 2))
    library, config = library_of(str(tmp_path), made), load_settings(())
    reader = ScriptedReader("Another part of it")
    pipeline = Pipeline(Within(library), reader, library.locate, "2 documents, 4 passages", config)  # type: ignore[arg-type]
    monkeypatch.setattr(answer_worker, "build_pipeline", lambda *_, **__: pipeline)
    conversations = Conversations(library.folder)
    reading = AnswerWorker(
        cast(Any, type("Indexes", (), {"library": library, "settings": config})), conversations, ReaderQueue()
    )

    def ask(*chosen: str, yes: float = 0.9) -> tuple[Answer, int]:
        before, reader.yes = len(reader.asked), yes
        options = AskOptions("short", filters={f.name: value for f, value in zip(FIELDS, chosen, strict=False)})
        conversation = conversations.create("").conversation_id
        turn = conversations.add_turn(conversation, "", "What is another part?", options.to_json())
        reading.start(turn, None).result.result(60)
        ended = conversations.turn(turn.turn_id, "")
        return ended.answer or cast(Any, ended.error), len(reader.asked) - before

    yield ask
    reading.close(5)


def test_a_question_keeps_to_the_filters_and_says_what_was_searched(asked: Any) -> None:
    answer, calls = asked("", "Article 8", "2000", "")
    assert {hit.passage.document_id for hit in answer.evidence} == {"d0"} and calls
    assert {citation.document_id for citation in answer.citations} == {"d0"}
    whole, _ = asked()
    assert {hit.passage.document_id for hit in whole.evidence} == {"d0", "d1"}
    unsure, _ = asked("", "Article 8", yes=0.0)
    assert unsure.abstained and "Searched: 2 passages (Article 8)." in unsure.answer


def test_filters_that_leave_nothing_are_one_sentence_and_no_call(asked: Any) -> None:
    said = "nothing in this library is within: Article 8, Spain. Change the filters, or clear them"
    assert asked("", "Article 8", "", "", "spain") == (said, 0)
    assert asked("", "", "2005", "2001")[1] == 0, "an end before its beginning"
    wrong, calls = asked("", "", "last year")
    assert "'last year' is no date" in wrong and calls == 0
