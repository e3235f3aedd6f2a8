"""ingest/podcast/chapters.py and what it is made of: coverage, order, titles, the reader's prompts, resuming, time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eval.podcast.chapter_scores import boundary_scores
from ingest.podcast.chapters import chapters_of, titles_by_reader
from ingest.podcast.cohesion import LONGEST, SHORTEST, SPREAD, USUAL, SentenceVectors, best_cuts, cohesion_cuts
from ingest.podcast.keyphrases import Keyphrases
from ingest.podcast.podtile import Room, clean
from rag.document import Chapter, Document, Episode, Utterance
from rag.errors import ReaderError, UsageError
from rag.llm.chat import ChatModel, Messages, Usage

SUBJECTS = {
    "mills": "mill corn wind stone sail flour miller granary hopper gear".split(),
    "bees": "bee honey hive queen comb wax swarm nectar drone pollen".split(),
    "ships": "ship mast harbour anchor cargo deck sailor rope tide keel".split(),
    "stars": "star telescope orbit comet lens eclipse moon planet galaxy dust".split(),
}


def episode(sentences: Sequence[tuple[str, str]], seconds: float = 6.0, title: str = "On trades") -> Document:
    """An episode of (speaker, sentence), each as long as the others."""
    text, utterances = "", []
    for number, (speaker, said) in enumerate(sentences):
        start = len(text)
        text += f"{said} "
        utterances.append(Utterance(start, start + len(said), number * seconds, (number + 1) * seconds, speaker))
    about = Episode("A show", "Four people speak of their trades.", utterances=tuple(utterances))
    return Document("d", "podcast", title, text, (), episode=about)


def said(subject: str, number: int, seed: int = 0) -> list[tuple[str, str]]:
    chance = random.Random(f"{subject}{seed}")
    return [("", f"Here {' '.join(chance.choices(SUBJECTS[subject], k=6))} came up.") for _ in range(number)]


def stitched(seed: int) -> tuple[Document, list[float]]:
    """An episode of parts about one subject each, without speakers, and the seconds where the later ones begin."""
    chance = random.Random(seed)
    sentences: list[tuple[str, str]] = []
    cuts = []
    before = ""
    for part in range(8):
        before = chance.choice([subject for subject in SUBJECTS if subject != before])
        cuts.append(len(sentences) * 6.0)
        sentences += said(before, chance.randint(14, 50), seed * 100 + part)
    return episode(sentences), cuts[1:]


class Words:
    """Vectors of words by chance, the same for the same word; a sentence's is their mean."""

    def __init__(self) -> None:
        self.most = 0

    def encode(self, texts: Sequence[str], report: Callable[[int], None] = lambda count: None) -> NDArray[np.float32]:
        self.most = max(self.most, len(texts))
        rows = np.array([np.sum([_vector(word) for word in text.split()], axis=0) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


_VECTORS: dict[str, NDArray[np.float64]] = {}


def _vector(word: str) -> NDArray[np.float64]:
    if word not in _VECTORS:
        seed = list(word.encode())
        _VECTORS[word] = np.random.default_rng(seed).standard_normal(32)
    return _VECTORS[word]


class Scripted(ChatModel):
    """Replies as its script says; a token is three characters."""

    name = "scripted"

    def __init__(self, script: Callable[[str], str], limit: int = 0):
        self.script, self.limit = script, limit
        self.asked: list[str] = []

    def stream(
        self, messages: Messages, max_tokens: int, usage: Usage | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        assert not self.limit or self.count(messages) + max_tokens <= self.limit
        self.asked.append(messages[-1][1])
        yield self.script(messages[-1][1])

    def count(self, messages: Messages) -> int:
        return sum(len(content) // 3 + 4 for _, content in messages)


def numbers(prompt: str) -> list[int]:
    """Of the sentences in a prompt."""
    return [int(line[1 : line.index("]")]) for line in prompt.split("\n") if line.startswith("[")]


def every(step: int) -> Callable[[str], str]:
    return lambda prompt: "\n".join(f"{n}: Subject number {n}" for n in numbers(prompt) if n % step == 0)


def read(document: Document, reader: Scripted, done: Sequence[Chapter] = (), context: int = 600) -> list[Chapter]:
    return list(chapters_of(document, "reader", None, reader, done=done, context_tokens=context))  # type: ignore[arg-type]


def assert_whole(document: Document, chapters: Sequence[Chapter]) -> None:
    assert document.episode
    utterances = document.episode.utterances
    assert (chapters[0].start, chapters[0].start_seconds) == (utterances[0].start, utterances[0].start_seconds)
    assert (chapters[-1].end, chapters[-1].end_seconds) == (utterances[-1].end, utterances[-1].end_seconds)
    for before, behind in pairwise(chapters):
        assert (before.end, before.end_seconds) == (behind.start, behind.start_seconds)
    starts = {(u.start, u.start_seconds) for u in utterances}
    assert all(chapter.start < chapter.end and chapter.source == "ours" for chapter in chapters)
    assert {(chapter.start, chapter.start_seconds) for chapter in chapters} <= starts
    titles = [chapter.title.casefold() for chapter in chapters]
    assert all(titles) and len(set(titles)) == len(titles)


# ---- whatever the reader says

LINES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "[", "- ", "Chapter ", "**"]),
    st.integers(-3, 90),
    st.sampled_from([": ", "] ", " - ", ". ", "", " | "]),
    st.sampled_from(["", "Bees", "bees", "The mill", '"The mill"', "***", "x " * 80, "Title: Sails", "\ud800"]),
)
REPLIES = st.lists(st.lists(LINES, max_size=12).map("\n".join), min_size=1, max_size=8)
TALK = episode([*said("mills", 30), *said("bees", 30)])


@settings(max_examples=60, deadline=None)
@given(REPLIES, st.sampled_from([512, 700, 4096]))
def test_chapters_are_whole_whatever_the_reader_says(replies: list[str], context: int) -> None:
    reader = Scripted(lambda prompt: replies[len(reader.asked) % len(replies)], context)
    assert_whole(TALK, read(TALK, reader, context=context))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(0, 5000), st.sampled_from([512, 900]))
def test_the_context_limit_is_never_passed(lengths: list[int], description: int, context: int) -> None:
    document = episode([("Ada", " ".join(["granary"] * length) + ".") for length in lengths], title="T" * 300)
    assert document.episode
    about = Episode(description="word " * (description // 5), utterances=document.episode.utterances)
    document = Document("d", "podcast", document.title, document.text, (), episode=about)
    reader = Scripted(every(5), context)  # asserts it
    chapters = read(document, reader, context=context)
    assert [n for prompt in reader.asked for n in numbers(prompt)] == list(range(len(lengths)))
    assert_whole(document, chapters)
    titled = Scripted(lambda prompt: "A title", context)
    arguments = (document, "combined", Words(), titled)
    assert_whole(document, list(chapters_of(*arguments, context_tokens=context)))  # type: ignore[arg-type]


def test_a_context_that_holds_nothing_is_said() -> None:
    with pytest.raises(ReaderError, match="context_tokens"):
        read(TALK, Scripted(every(5)), context=60)


# ---- PODTILE's context


def test_earlier_titles_stand_in_the_prompts_of_later_chunks() -> None:
    reader = Scripted(every(10), 600)
    chapters = read(TALK, reader)
    assert len(reader.asked) > 2 and len(chapters) == 6
    for prompt in reader.asked:
        first = numbers(prompt)[0]
        assert "Episode: On trades" in prompt and "Four people speak of their trades." in prompt
        for number in range(0, 60, 10):
            assert (f"- Subject number {number}\n" in prompt) == (number < first)


def test_only_the_first_chunk_begins_with_a_chapter_that_the_reader_does_not_name() -> None:
    reader = Scripted(lambda prompt: "")
    (chapter,) = read(TALK, reader)
    assert len(reader.asked) > 2 and chapter.title == Keyphrases(TALK.text).title(
        0, TALK.episode.utterances[numbers(reader.asked[0])[-1]].end if TALK.episode else 0
    )
    named = read(TALK, Scripted(lambda prompt: f"{numbers(prompt)[0]}: Chunk at {numbers(prompt)[0]}"))
    assert [chapter.title for chapter in named] == [f"Chunk at {numbers(p)[0]}" for p in reader.asked]


@pytest.mark.parametrize("context", [True, False])
def test_titles_by_the_reader_see_the_episode_and_those_before_only_with_context(context: bool) -> None:
    reader = Scripted(lambda prompt: "Title: The trade.\nIt is about")
    titles = list(titles_by_reader(TALK, [0, 10, 40], reader, Room.of(4096), context=context))  # type: ignore[arg-type]
    assert titles[0] == "The trade" and len(reader.asked) == len(set(titles)) == 3
    assert all(("Episode: On trades" in prompt) == context for prompt in reader.asked)
    assert all(("- The trade\n" in prompt) == context for prompt in reader.asked[1:])


def test_titles_of_combined_are_of_the_chapter_alone_and_never_repeat() -> None:
    document, _ = stitched(1)
    reader = Scripted(lambda prompt: "Title: The trade.\nIt is about")
    chapters = list(chapters_of(document, "combined", Words(), reader))  # type: ignore[arg-type]
    assert_whole(document, chapters)
    assert chapters[0].title == "The trade" and not any("The trade" in prompt for prompt in reader.asked)
    plain = list(chapters_of(document, "cohesion", Words(), None))
    assert [c.start for c in plain] == [c.start for c in chapters]
    assert len({c.title.casefold() for c in chapters}) == len(chapters)  # the other replies are no titles any more


@pytest.mark.parametrize("method", ["reader", "combined", "cohesion"])
def test_what_was_stopped_goes_on_as_if_it_had_not_been(method: str) -> None:
    document, _ = stitched(2)

    def script(prompt: str) -> str:
        return every(9)(prompt) if "[" in prompt else f"Title {len(prompt)}"

    def chapters(done: Sequence[Chapter] = ()) -> list[Chapter]:
        arguments = (document, method, Words(), Scripted(script))
        return list(chapters_of(*arguments, done=done, context_tokens=700))  # type: ignore[arg-type]

    whole = chapters()
    assert len(whole) > 4
    for count in range(len(whole) + 1):
        assert chapters(whole[:count]) == whole[count:]


def test_resuming_asks_only_for_what_is_missing() -> None:
    whole, reader, again = Scripted(every(10)), Scripted(every(10)), Scripted(every(10))
    chapters = read(TALK, whole)
    read(TALK, reader, chapters[:4])
    read(TALK, again, chapters)
    assert reader.asked == whole.asked[-len(reader.asked) :] and 0 < len(reader.asked) < len(whole.asked)
    assert not again.asked


def test_chapters_stream() -> None:
    reader = Scripted(every(10))
    stream = chapters_of(TALK, "reader", None, reader, context_tokens=600)  # type: ignore[arg-type]
    next(stream)
    assert len(reader.asked) == 1


# ---- cohesion


def test_stitched_episodes_are_cut_better_than_by_chance_or_evenly() -> None:
    found, even, chance = [], [], []
    for seed in range(6):
        document, cuts = stitched(seed)
        assert document.episode
        end = document.episode.utterances[-1].end_seconds
        starts = [u.start_seconds for u in document.episode.utterances]
        ours = [starts[number] for number in cohesion_cuts(SentenceVectors(document, Words()))[1:]]
        drawn = random.Random(seed).sample(starts[1:], len(cuts))
        equal = [end * part / (len(cuts) + 1) for part in range(1, len(cuts) + 1)]
        for scores, some in ((found, ours), (even, equal), (chance, drawn)):
            scores.append(boundary_scores(cuts, some, 0.0, end))
    for measure in ("Pk", "WindowDiff"):
        ours, equal_, random_ = (sum(s[measure] for s in scores) / 6 for scores in (found, even, chance))
        assert ours < 0.6 * min(equal_, random_)
    assert sum(s["F1@30s"] for s in found) / 6 > 0.6


def test_a_chapter_begins_with_the_question_rather_than_its_answer() -> None:
    answer = [("Eda", sentence) for _, sentence in said("mills", 24)]
    question = [("Ada", "And what came next?")]
    starts = cohesion_cuts(SentenceVectors(episode([*answer, *question, *answer, *question, *answer]), Words()))
    assert {24, 49} <= set(starts) and not {25, 50} & set(starts)


def with_pause(document: Document, before: int, seconds: float) -> Document:
    """The episode with nothing said for some seconds before a sentence."""
    assert document.episode
    later = [
        replace(u, start_seconds=u.start_seconds + seconds, end_seconds=u.end_seconds + seconds)
        for u in document.episode.utterances[before:]
    ]
    utterances = (*document.episode.utterances[:before], *later)
    return replace(document, episode=replace(document.episode, utterances=utterances))


def test_a_chapter_begins_behind_a_pause_where_nobody_is_named() -> None:
    talk = episode([("", text) for _, text in said("mills", 60)])
    for before in (25, 30, 35):
        assert before in cohesion_cuts(SentenceVectors(with_pause(talk, before, 5.0), Words()))


def test_a_pause_within_a_turn_begins_no_chapter() -> None:
    talk = episode([("Ada", text) for _, text in said("mills", 30)] + [("Eda", text) for _, text in said("mills", 30)])
    usual = cohesion_cuts(SentenceVectors(talk, Words()))
    assert cohesion_cuts(SentenceVectors(with_pause(talk, 17, 5.0), Words())) == usual


@given(st.lists(st.integers(-3, 6), min_size=1, max_size=9), st.integers(5, 40))
def test_cuts_are_the_best_of_all(evidence: list[int], seconds: int) -> None:
    n = len(evidence)
    borders = [float(i * seconds) for i in range(n + 1)]
    usual = USUAL * borders[-1] ** 0.5

    def worth(cuts: Sequence[int]) -> float:
        total = 0.0
        for first, behind in zip(cuts, [*cuts[1:], n], strict=True):
            length = borders[behind] - borders[first]
            if length > LONGEST * usual and behind > first + 1:
                return -np.inf
            total += -0.5 * (np.log(max(1, length) / usual) / SPREAD) ** 2 - 50 * (length < SHORTEST)
        return total + sum(evidence[i] for i in cuts[1:])

    every_way = [(0, *some) for size in range(n) for some in combinations(range(1, n), size)]
    chosen = best_cuts(np.array(borders[:-1]), borders[-1], np.array(evidence, dtype=float))
    assert worth(chosen) == pytest.approx(max(map(worth, every_way)))


def test_ten_hours_take_memory_and_time_in_proportion() -> None:
    def seconds(hours: int) -> tuple[float, int]:
        document = episode([*said("mills", 75), *said("bees", 75)] * (4 * hours))
        words = Words()
        started = time.process_time()
        chapters = list(chapters_of(document, "cohesion", words, None))
        assert_whole(document, chapters)
        return time.process_time() - started, words.most

    seconds(1)  # the words' vectors
    (short, _), (long, most) = seconds(2), seconds(10)
    assert long < 12 * short + 0.1 and most <= 512


# ---- edges


def test_an_episode_without_sentences_has_no_chapters() -> None:
    assert list(chapters_of(episode([]), "cohesion", Words(), None)) == []
    assert list(chapters_of(Document("d", "pdf", "", "", ()), "reader", None, Scripted(every(1)))) == []  # type: ignore[arg-type]


def test_one_sentence_is_one_chapter() -> None:
    document = episode([("Ada", "Um, yeah.")])
    (chapter,) = chapters_of(document, "cohesion", Words(), None)
    assert chapter == Chapter("Um, yeah", 0, 9, 0.0, 6.0)


@pytest.mark.parametrize("method", ["cohesion", "reader", "combined", "other"])
def test_a_method_without_its_model_is_refused(method: str) -> None:
    with pytest.raises(UsageError, match="chapters: "):
        list(chapters_of(TALK, method, None, None))


# ---- titles


def test_a_keyphrase_is_what_a_part_says_and_the_rest_does_not() -> None:
    text = "We spoke of the Summer of Code at the fair. " * 5 + "The fair was loud and the fair was long. " * 60
    keyphrases = Keyphrases(text)
    title = keyphrases.title(0, 220)
    assert title.startswith("Summer of Code")
    other = keyphrases.title(0, 220, [title])
    assert other.casefold() != title.casefold()
    assert all(title.split()[0][0].isupper() and len(title.split()) <= 6 for title in (title, other))


@given(st.text(max_size=200), st.lists(st.text(max_size=5), max_size=3))
def test_a_keyphrase_always_says_something_new(text: str, taken: list[str]) -> None:
    first = Keyphrases(text).title(0, len(text), taken)
    assert first and first.casefold() not in {title.casefold() for title in taken}
    second = Keyphrases(text).title(0, len(text), [*taken, first])
    assert second.casefold() != first.casefold()


@given(st.text(max_size=300), st.floats(-1, 1))
def test_phrases_that_are_all_alike_stay_in_their_order(text: str, cosine: float) -> None:
    same = Keyphrases(text).title(0, len(text), (), lambda phrases: np.full(len(phrases), cosine, dtype=np.float32))
    assert same == Keyphrases(text).title(0, len(text))


def test_a_keyphrase_is_what_a_part_is_about() -> None:
    """A name that is dropped twice counts for less than the subject, which is said once in each of its words."""
    text = "Wolfram told Wolfram so. The mill's sails turn the stone, and the stone grinds corn to flour. "
    rest = "Bees make honey all summer. " * 60

    def likeness(phrases: Sequence[str]) -> NDArray[np.float32]:
        return np.array([0.05 if "Wolfram" in phrase else 0.6 for phrase in phrases], dtype=np.float32)

    keyphrases = Keyphrases(text + rest)
    assert "Wolfram" in keyphrases.title(0, len(text))
    assert "Wolfram" not in keyphrases.title(0, len(text), (), likeness)


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ('**"The  mill"**', "The mill"),
        ("Chapter 3: Bees.", "Bees"),
        ("...", ""),
        ("granary " * 20, " ".join(["granary"] * 10)),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_title_without_what_is_around_it(written: str, title: str) -> None:
    assert clean(written) == title


def test_a_title_does_not_say_a_word_and_its_plural() -> None:
    text = "It is a podcast. These are podcasts. This is a microphone. " * 4 + "Bees make honey. " * 200
    said = Keyphrases(text).title(0, 230).casefold()
    assert "podcast" in said and "microphone" in said and said.count("podcast") == 1
    text = "A type class is Haskell's own. The classes are checked by the compiler. " * 4 + "Bees make honey. " * 200
    said = Keyphrases(text).title(0, 280).casefold()
    assert said.count("class") <= 1 and "'s" not in said
