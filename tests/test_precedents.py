"""rag/legal/precedents.py: nothing later is found, nor any version of the case itself; the scorers by hand."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.document import Finding
from rag.errors import UsageError
from rag.legal.citation_graph import citations_among, expand
from rag.legal.court_cases import FIELDS, CourtCase, Field, Scores, candidates, undated
from rag.legal.pooling import Pooling, attention_pool, late_interaction, mean_pool
from rag.legal.precedents import NEEDED, SCORERS, Nearest, Precedents, Scorer
from rag.legal.section_index import RECORD, SectionIndex
from rag.read.rules.finding_question import FindingQuestion, answer, read_question
from rag.records import Passage

WORDS = "abandon border custody detain eviction father garden hearing".split()


def case(
    case_id: str,
    date: str = "",
    numbers: Sequence[str] = (),
    facts: Sequence[str] = (),
    law: Sequence[str] = (),
    cites: Sequence[str] = (),
) -> CourtCase:
    """A case whose passages stand one behind the other."""
    parts: dict[str, tuple[Passage, ...]] = {}
    start = 0
    for name, texts in (("facts", facts), ("law", law)):
        passages = []
        for i, text in enumerate(texts):
            end = start + len(text)
            passages.append(Passage(f"{case_id}#{name}{i}", case_id, f"{case_id} v. Utopia", "", text, start, end))
            start = end + 1
        parts[name] = tuple(passages)
    return CourtCase(case_id, date, tuple(numbers), parts, tuple(cites))


class CommonWords(SectionIndex):
    """Whole sections by how many words they share: as SectionIndex, without Java."""

    def __init__(self, cases: Sequence[CourtCase]):
        self._cases = {case.case_id: case for case in cases}

    def search(self, text: str, field: Field, within: Sequence[str]) -> Scores:
        asked = Counter(text.split())
        found = {key: (asked & Counter(self._cases[key].text(field).split())).total() for key in within}
        return {key: float(score) for key, score in sorted(found.items(), key=lambda e: (-e[1], e[0])) if score}


def common_words(passages: Sequence[Passage]) -> Nearest:
    """The same for passages, by different words."""

    def nearest(text: str, k: int, within: Sequence[int]) -> list[tuple[int, float]]:
        asked = set(text.split())
        found = [(n, float(len(asked & set(passages[n].text.split())))) for n in within]
        return sorted((entry for entry in found if entry[1]), key=lambda entry: (-entry[1], entry[0]))[:k]

    return nearest


def vectors(passages: Sequence[Passage]) -> NDArray[np.float32]:
    rows = np.asarray([[passage.text.split().count(word) for word in WORDS] for passage in passages], dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(min=1e-9)


drawn = np.random.default_rng(0)
POOLING = Pooling(
    drawn.normal(size=(len(WORDS), len(WORDS))).astype(np.float32), drawn.normal(size=len(WORDS)).astype(np.float32)
)


def precedents(
    cases: Sequence[CourtCase], concepts: Callable[[str], Sequence[str]] = lambda text: text.split()[:2]
) -> Precedents:
    passages = [passage for one in cases for passage in one.passages("both")]
    places = {passage.passage_id: place for place, passage in enumerate(passages)}
    words = common_words(passages)
    return Precedents(
        cases,
        CommonWords(cases),
        vectors,
        {"bm25": words, "sparse": words},
        lambda ids: {key: places[key] for key in ids if key in places},
        POOLING,
        concepts,
    )


texts = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), max_size=3)
dates = st.sampled_from(["", "1999-12-31", "2000-01-01", "2000-01-02", "2001-06-30"])


@st.composite
def libraries(draw: st.DrawFn) -> list[CourtCase]:
    ids = [f"c{i}" for i in range(draw(st.integers(2, 7)))]
    numbers = st.lists(st.sampled_from(["1/90", "2/90", "3/90", "4/90"]), max_size=2)
    return [
        case(i, draw(dates), draw(numbers), draw(texts), draw(texts), draw(st.lists(st.sampled_from(ids), max_size=4)))
        for i in ids
    ]


# ---- laws over random libraries


@settings(max_examples=80, deadline=None)
@given(libraries(), st.sampled_from(FIELDS), st.sampled_from(FIELDS), st.sampled_from(list(SCORERS)))
def test_nothing_later_is_found_and_no_version_of_the_case_itself(
    cases: list[CourtCase], asked: Field, field: Field, scorer: Scorer
) -> None:
    query, finder = cases[0], precedents(cases)
    found = finder.rank(query, asked, field, scorer)
    by_id = {one.case_id: one for one in cases}
    for case_id in found:
        other = by_id[case_id]
        assert case_id != query.case_id and not set(other.application_numbers) & set(query.application_numbers)
        assert not query.date or "" < other.date < query.date
    hits = finder.search(query, 3, asked, field, scorer)
    assert [hit.passage.document_id for hit in hits] == list(found)[:3]
    assert [hit.score for hit in hits] == list(found.values())[:3] == sorted(found.values(), reverse=True)[:3]
    assert all(sum((hit.terms or {}).values()) == pytest.approx(hit.score) for hit in hits)


@settings(max_examples=60, deadline=None)
@given(libraries(), st.sampled_from(FIELDS), st.sampled_from(list(SCORERS)), st.data())
def test_what_comes_later_changes_nothing(
    cases: list[CourtCase], field: Field, scorer: Scorer, data: st.DataObject
) -> None:
    """Neither the cases that are no candidates, whatever they say and cite, nor what the query's own case cites."""
    query = cases[0]
    found = precedents(cases).rank(query, "facts", field, scorer)
    eligible = {one.case_id for one in candidates(query, cases)}
    ids = [one.case_id for one in cases]
    other = [
        one if one.case_id in eligible else replace(one, cites=tuple(data.draw(st.lists(st.sampled_from(ids)))))
        for one in cases
    ]
    assert precedents(other).rank(other[0], "facts", field, scorer) == found
    left = [one for one in cases if one.case_id in eligible]
    assert precedents(left).rank(replace(query, cites=()), "facts", field, scorer) == found


@settings(max_examples=50, deadline=None)
@given(libraries())
def test_every_other_case_is_a_candidate_or_later_or_refused(cases: list[CourtCase]) -> None:
    query = cases[0]
    eligible, refused = {one.case_id for one in candidates(query, cases)}, set(undated(query, cases))
    for one in cases[1:]:
        version = set(one.application_numbers) & set(query.application_numbers)
        later = query.date and one.date >= query.date
        assert (one.case_id in eligible) == (not version and not later and one.case_id not in refused)
    assert not eligible & refused and (query.date or not refused)


@settings(max_examples=50, deadline=None)
@given(libraries())
def test_edges_go_back_in_time_and_stay_inside(cases: list[CourtCase]) -> None:
    edges = citations_among(cases)
    dates = {one.case_id: one.date for one in cases}
    for one in cases:
        for cited in edges[one.case_id]:
            assert cited in one.cites and cited != one.case_id
            assert not (one.date and dates[cited]) or dates[cited] < one.date


# ---- values by hand


def test_expansion_by_hand() -> None:
    # a (at 1) cites c and d, b (at 0.5, so a quarter) cites d; the last, c, is at 0. One cites c, two cite d
    cites = {"a": frozenset("cd"), "b": frozenset("d"), "c": frozenset[str](), "d": frozenset[str]()}
    cited, together = expand({"a": 3.0, "b": 2.0, "c": 1.0}, cites, best=3)
    assert cited == pytest.approx({"d": (1 + 1 / 4) / 4**0.5, "c": 1 / 3**0.5})
    assert together == {}  # c and d are cited together, but neither is among the best above 0
    _, together = expand({"c": 2.0, "b": 1.0}, cites, best=1)
    assert together == pytest.approx({"d": 1 / (1 * 2) ** 0.5})  # one case cites both


def test_circular_citations_end() -> None:
    circle = [case("a", cites=["b"]), case("b", cites=["a"])]
    cited, together = expand({"a": 1.0}, citations_among(circle), best=5)
    assert (list(cited), together) == (["b"], {})


def test_pooling_by_hand() -> None:
    rows = np.asarray([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert mean_pool(rows) == pytest.approx(np.asarray([2, 1]) / 5**0.5)
    assert not mean_pool(np.zeros((0, 2), np.float32)).any()
    query = np.asarray([0, 1], dtype=np.float32)
    weights = np.exp([0, 0, 2])  # cosines 0, 0 and 1 over 0.5
    wanted = np.asarray([weights[0] + weights[1], weights[2]])
    assert attention_pool(rows, query, 0.5) == pytest.approx(wanted / np.linalg.norm(wanted))
    assert attention_pool(rows, query, 1e6) == pytest.approx(mean_pool(rows), abs=1e-5)  # all alike
    assert late_interaction(np.asarray([[0, 1], [0.6, 0.8]], np.float32), rows) == pytest.approx((1 + 0.8) / 2)


def test_a_section_has_what_passages_share_once() -> None:
    text = "One two. Three four. Five."
    spans = [(0, 20), (9, 26)]
    passages = tuple(Passage(f"p{s}", "a", "", "", text[s:e], s, e) for s, e in spans)
    assert CourtCase("a", "", (), {"facts": passages}).text("facts").replace("\n", "") == text


def test_the_default_follows_citations_and_says_so() -> None:
    cases = [
        case("cited", "1990-01-01", facts=["garden"], law=["garden"]),
        case("like", "1995-01-01", facts=["custody father hearing"], law=["custody"], cites=["cited"]),
        case("unlike", "1996-01-01", facts=["garden"], law=["garden border"]),
        case("query", "2000-01-01", facts=["custody father hearing"], law=["custody"]),
    ]
    hits = precedents(cases).search(cases[-1], 5)
    assert [hit.passage.document_id for hit in hits][:2] == ["like", "cited"]
    assert hits[1].links == ("cited by like v. Utopia",) and set(hits[1].terms or {}) == {"cited"}
    assert precedents(cases).search(cases[-1], 5, scorer="bm25")[0].links == ()


def test_the_passage_shown_shares_the_rarest_words() -> None:
    cases = [
        case("a", "1990-01-01", facts=["the court heard", "the eviction of the father", "the hearing"]),
        case("b", "1991-01-01", facts=["the court heard the father"]),
        case("query", "2000-01-01", facts=["the eviction and the hearing of the court", "heard"]),
    ]
    best = precedents(cases).search(cases[-1], 2, field="facts", scorer="bm25")
    assert {hit.passage.document_id: hit.passage.text for hit in best}["a"] in (
        "the eviction of the father",
        "the hearing",
    )


def test_what_a_scorer_lacks_is_said() -> None:
    cases = [case("a", "1990-01-01", facts=["garden"]), case("b", "1991-01-01", facts=["garden"])]
    bare = Precedents(cases, CommonWords(cases))
    for scorer, needed in SCORERS.items():
        if needed:
            with pytest.raises(UsageError, match=re.escape(f"--scorer {scorer}: needs {NEEDED[needed[0]]}")):
                bare.rank(cases[1], scorer=scorer)
        else:
            assert list(bare.rank(cases[1], scorer=scorer)) == ["a"]
    with pytest.raises(UsageError, match=f"--scorer trained: needs {NEEDED['pooling']}"):
        Precedents(cases, CommonWords(cases), vectors).rank(cases[1], scorer="trained")
    with pytest.raises(UsageError, match=r"--scorer none: choose one of bm25, .*, concepts"):
        bare.rank(cases[1], scorer="none")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="-k 0"):
        bare.search(cases[1], 0)


def test_feedback_finds_what_shares_words_with_the_best_alone() -> None:
    cases = [
        case("bridge", "1990-01-01", facts=["custody custody eviction eviction"]),
        case("beyond", "1991-01-01", facts=["eviction eviction"]),
        case("query", "2000-01-01", facts=["custody"]),
    ]
    assert list(precedents(cases).rank(cases[-1], "facts", "facts", "bm25")) == ["bridge"]
    found = precedents(cases).rank(cases[-1], "facts", "facts", "feedback")
    assert list(found) == ["bridge", "beyond"] and found["beyond"] > 0


def test_concepts_raise_what_the_facts_have_no_word_of() -> None:
    cases = [
        case("like", "1990-01-01", facts=["father father hearing"]),
        case("meant", "1991-01-01", facts=["custody"]),
        case("query", "2000-01-01", facts=["father hearing"]),
    ]
    finder = precedents(cases, lambda text: ("custody", "detain"))
    assert list(finder.rank(cases[-1], scorer="hybrid")) == ["like", "meant"]
    assert finder.rank(cases[-1], scorer="hybrid")["meant"] == 0
    hits = finder.search(cases[-1], 2, scorer="concepts")
    assert [set(hit.terms or {}) for hit in hits] == [{"bm25", "sparse"}, {"concepts"}]
    assert list(precedents(cases, lambda text: ()).rank(cases[-1], scorer="concepts")) == ["like", "meant"]


def test_each_passage_of_the_question_asks_for_itself() -> None:
    cases = [
        case("long", "1990-01-01", facts=["custody garden detain eviction"]),
        case("close", "1991-01-01", facts=["custody father", "hearing"]),
        case("query", "2000-01-01", facts=["custody father", "garden hearing", "garden eviction detain"]),
    ]
    # Of what the first passage asks, long has 1 word and close 2; of the second's each 1; of the third's 3 and none.
    for scorer in ("sparse", "bm25-passages"):
        assert precedents(cases).rank(cases[-1], scorer=scorer) == pytest.approx({"long": 2 / 3, "close": 2 / 3})
    assert precedents(cases[1:]).rank(cases[-1], scorer="sparse") == {"close": 2 / 3}, "nothing for the third"
    assert precedents(cases).rank(replace(cases[-1], parts={}), scorer="sparse") == {}


def test_the_default_weighs_words_and_learned_vectors_alike_and_what_the_best_cite() -> None:
    cases = [
        case("far", "1989-01-01", facts=["garden"]),
        case("cited", "1990-01-01", facts=["prison"]),
        case("like", "1991-01-01", facts=["custody father"], cites=["cited"]),
        case("query", "2000-01-01", facts=["custody father garden", "garden garden"]),
    ]
    hits = precedents(cases).search(cases[-1], 5)
    parts = {hit.passage.document_id: hit.terms for hit in hits}
    # BM25: of the words like has 2 and far 1; passages: like 2 and 0, far 1 and 1, so min-max 1 + 0 and 0 + 1, halved.
    whole = 1 + 1 + 2 * (0.2 + 0.2)
    assert parts["like"] == pytest.approx({"bm25": 1 / whole, "sparse": 1 / whole})
    assert parts["far"] == pytest.approx({"bm25": 0.5 / whole, "sparse": 1 / whole})
    assert parts["cited"] == pytest.approx({"cited": 0.4 / whole}) and list(parts) == ["like", "far", "cited"]


# ---- with Lucene


def test_a_synthetic_court_cites_by_reasoning(tmp_path: Path) -> None:
    """Cases of one doctrine cite each other and share the words of their reasoning; what happened hints at it."""
    draw = random.Random(0)
    doctrines = [[f"doctrine{d}word{i}" for i in range(100)] for d in range(6)]
    stories = [[f"story{s}word{i}" for i in range(30)] for s in range(6)]
    cases: list[CourtCase] = []
    for i in range(60):
        doctrine = draw.randrange(6)
        story = doctrine if draw.random() < 0.3 else draw.randrange(6)
        cites = [one.case_id for one in cases if one.case_id.endswith(f"d{doctrine}")][-3:]
        facts = " ".join(draw.choices(stories[story], k=60) + draw.choices(doctrines[doctrine], k=1))
        law = " ".join(draw.choices(doctrines[doctrine], k=60))
        cases.append(case(f"c{i:02}d{doctrine}", f"{1960 + i}-01-01", [f"{i}/60"], [facts], [law], cites))
    index = SectionIndex(tmp_path / "sections")
    index.build(cases)
    index.open()
    try:
        finder = Precedents(cases, index)

        def recall(asked: Field, field: Field, scorer: Scorer) -> float:
            shares = []
            for one in (one for one in cases[20:] if one.cites):
                first = list(finder.rank(one, asked, field, scorer))[:10]
                shares.append(len(set(first) & set(one.cites)) / len(one.cites))
            return sum(shares) / len(shares)

        by_facts = recall("law", "facts", "bm25")
        assert recall("law", "law", "bm25") > by_facts + 0.2, by_facts
        assert recall("facts", "facts", "graph") > recall("facts", "facts", "bm25")
    finally:
        index.close()


def test_a_query_of_thousands_of_different_words(tmp_path: Path) -> None:
    words = [f"w{i}x" for i in range(6_000)]
    cases = [
        case("few", "1990-01-01", facts=[" ".join(words[:100])]),
        case("many", "1991-01-01", facts=[" ".join(words[100:3_000])]),
        case("empty", "1992-01-01", law=["nothing"]),
        case("query", "2000-01-01", facts=[" ".join(words)]),
    ]
    index = SectionIndex(tmp_path / "sections")
    index.build(cases)
    index.open()
    try:
        assert list(Precedents(cases, index).rank(cases[-1], "facts", "facts", "bm25")) == ["many", "few"]
        assert Precedents(cases, index).rank(replace(cases[-1], date="1980-01-01"), "facts", "facts", "graph") == {}
    finally:
        index.close()


# ---- questions on findings


def finding(article: str, violation: bool | None, *spans: tuple[int, int]) -> Finding:
    return Finding(article, violation, spans or ((0, 1),))


A, B = "A. v. Austria", "A. and Others v. Malta"
P1 = "of Protocol No. 1"


@pytest.mark.parametrize(
    ("question", "article", "violation", "named"),
    [
        (f"Did the Court find a violation of Article 8 in {A} (no. 1/01)?", "Article 8", True, A),
        (f"Did the Court find no violation of Article 6 § 1 of the Convention in {A}?", "Article 6 § 1", False, A),
        (
            f"Did the Court hold that there had been a breach of Article 1 {P1} in the case of {A}?",
            f"Article 1 {P1}",
            True,
            A,
        ),
        ("Was there a violation of Article 2 of the First Protocol?", f"Article 2 {P1}", True, ""),
        (f"Was Article 5 § 3 violated in {B} (nos. 1/01 and 2/01)?", "Article 5 § 3", True, B),
    ],
)
def test_questions_that_are_read(question: str, article: str, violation: bool, named: str) -> None:
    found = read_question(question)
    assert found is not None and (found.article, found.violation, found.case) == (article, violation, named)


@pytest.mark.parametrize(
    "question",
    [
        "Why did the Court find a violation of Article 8 in A. v. Austria?",
        "Did the Court find a violation of Article 8 or of Article 13 in A. v. Austria?",
        "Did the applicant allege a violation of Article 8 in A. v. Austria?",
        "Did the Court find a violation in A. v. Austria?",
        "Did the Court find a violation of Article 8 in A. v. Austria? And of Article 13 in B. v. Austria?",
        "Did the Court not find a violation of Article 8 in A. v. Austria?",
        "How many violations of Article 8 were there?",
        "",
    ],
)
def test_questions_in_other_words_are_left_alone(question: str) -> None:
    assert read_question(question) is None


def test_answers_by_hand() -> None:
    outcome = [
        finding("Article 6 § 1", True, (10, 20)),
        finding("Article 6 § 3", False, (30, 40)),
        finding("Article 8", False, (50, 60)),
        finding("Article 13", None, (70, 80), (90, 95)),
        finding("Article 1 of Protocol No. 1", True, (100, 110)),
    ]

    def ask(article: str, violation: bool = True) -> tuple[bool, tuple[tuple[int, int], ...]] | None:
        return answer(FindingQuestion(article, violation, "", ""), outcome)

    assert ask("Article 8") == (False, ((50, 60),)) and ask("Article 8", False) == (True, ((50, 60),))
    assert ask("Article 6 § 1") == (True, ((10, 20),)) and ask("Article 6 § 3") == (False, ((30, 40),))
    assert ask("Article 6") == (True, ((10, 20),)) and ask("Article 6", False) is None  # one part yes, one no
    assert ask("Article 8 § 1") == (False, ((50, 60),)) and ask("Article 6 § 2") is None
    assert ask("Article 13") == (True, ((70, 80), (90, 95))) and ask("Article 13", False) is None
    assert ask("Article 1 of Protocol No. 1") == (True, ((100, 110),)) == ask("Article 1")
    assert ask("Article 1 of Protocol No. 4") is None and ask("Article 3") is None


# ---- the index of sections


def test_an_index_that_followed_changes_finds_what_a_new_one_finds(tmp_path: Path) -> None:
    """Also where it was killed between its indexes and its record, and applies the same changes again."""
    versions = {
        key: case(key, "2000-01-01", facts=[f"{key} harbour ice {word}"], law=[f"{word} sluice"])
        for key, word in (("a", "mill"), ("b", "weir"), ("c", "ferry"), ("a2", "heron"))
    }
    changed = replace(versions["a2"], case_id="a")
    states: list[dict[str, tuple[int, CourtCase]]] = [
        {"a": (1, versions["a"]), "b": (1, versions["b"])},
        {"a": (3, changed), "b": (1, versions["b"]), "c": (2, versions["c"])},
        {"b": (1, versions["b"]), "c": (4, versions["c"])},
        {},
        {"c": (5, versions["c"])},
    ]
    followed = SectionIndex(tmp_path / "followed")
    for state in states:
        read: list[str] = []

        def of(ids: Sequence[str], state: dict[str, tuple[int, CourtCase]] = state) -> list[CourtCase]:
            read.extend(ids)  # noqa: B023 (called at once)
            return [state[key][1] for key in ids]

        generations = {key: generation for key, (generation, _) in state.items()}
        before = (tmp_path / "followed" / RECORD).read_bytes() if followed.recorded() else None
        followed.update(generations, of)
        if before is not None and state:
            (tmp_path / "followed" / RECORD).write_bytes(before)  # as after a kill
            followed.update(generations, of)
        read.clear()
        followed.update(generations, of)
        assert read == [], "nothing changed"
        if not state:
            continue
        new = SectionIndex(tmp_path / "new")
        new.build([one for _, one in state.values()])
        for index in (followed, new):
            index.open()
        for text in ("harbour mill heron", "sluice weir", "ferry ice"):
            for field in FIELDS:
                assert followed.search(text, field, ["c", "b", "a"]) == pytest.approx(
                    new.search(text, field, ["a", "b", "c", "unknown"])
                )
        for index in (followed, new):
            index.close()
