"""What the parent does with a document takes time in proportion to it, however the document is made up."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ingest.legal.citations import citations
from ingest.legal.judgment import read_judgment
from ingest.long_text import WINDOW, sentences_in
from ingest.pdf.assemble import assemble, references
from ingest.podcast.chapters import chapters_of
from ingest.podcast.cohesion import MOST_SENTENCES, best_cuts
from ingest.podcast.formats.cues import Cue
from ingest.podcast.formats.transcript import read_transcript
from ingest.podcast.utterances import sentences, with_times
from ingest.text_passages import stretches
from rag import bounds
from rag.document import Document, Episode, Page, Region
from rag.sentences import sentence_spans
from tests.parts import assert_linear
from tests.test_bounds import Hashed, block
from tests.test_judgment import ECTHR, WHOLE

BOX = (0.0, 0.0, 1.0, 1.0)


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """The collector would look through all that other tests hold, and only while the larger document is worked on."""
    gc.disable()
    yield
    gc.enable()


def _stretches(text: str) -> None:
    """Of a document in which each line is a paragraph, and none a heading."""
    starts = [0, *(n + 1 for n, letter in enumerate(text) if letter == "\n"), len(text) + 1]
    regions = tuple(Region("text", start, end - 1, 1, BOX) for start, end in pairwise(starts) if end - 1 > start)
    stretches(Document("d", "pdf", "", text, (Page(1, 0, len(text)),), regions=regions), 45)


def at_the_edge(text: str) -> None:
    """Lines at the bottom of five pages, where running feet are looked for, each with the number of its page."""

    def page(number: int) -> dict[str, Any]:
        lines = [[f"{line} {number}", [[0, 0, 200, 300, []]]] for line in text.split("\n")]
        return {"width": 600.0, "height": 800.0, "ocr": False, "blocks": [block("text") | {"lines": lines}]}

    assemble(lambda: map(page, range(1, 6)), [])


def floating(text: str) -> None:
    """A page of figures between lines of text that go on."""
    blocks = [block("figure" if number % 2 else "text", line) for number, line in enumerate(text.split("\n"))]
    assemble(lambda: iter([{"width": 600.0, "height": 800.0, "ocr": False, "blocks": blocks}]), [])


def mentioned(text: str) -> None:
    regions = (Region("table", 0, 1, 1, BOX, "Table 1"), Region("text", 1, len(text), 1, BOX))
    references(text, regions)


PARENT: dict[str, tuple[Callable[[str], object], Callable[[int], str], int]] = {  # what is done, to what, how large
    "sentences in quotation marks": (
        lambda text: sentences_in(text, 0, len(text)), lambda size: "``a. " * (size // 5), 24_000),
    "numbers in the last line of a page": (at_the_edge, lambda size: " ".join(map(str, range(size // 6))), 6_000),
    "numbers in many last lines": (at_the_edge, lambda size: "\n".join(f"a{n}" for n in range(size // 40)), 6_000),
    "figures between lines": (floating, lambda size: "\n".join(["And so."] * (size // 20)), 60_000),
    "mentions of a table": (mentioned, lambda size: "see Table 1 and " * (size // 16), 6_000),
    "mentions in sentences": (mentioned, lambda size: "See Table 1 here. " * (size // 18), 6_000),
    "paragraphs without a heading": (_stretches, lambda size: "a b\n" * (size // 4), 96_000),
}  # fmt: skip


@pytest.mark.parametrize("what", PARENT)
def test_it_grows_no_faster_than_the_document(what: str) -> None:
    work, made, size = PARENT[what]
    assert_linear(work, made(size), made(8 * size))


def test_a_judgment_of_citations_grows_no_faster_than_they_do() -> None:
    style = ECTHR.citations
    numbers = "See B v. Spain, nos. " + ", ".join(f"{n}/01" for n in range(1, 200)) + ". "

    def text(count: int) -> str:
        return numbers + "See B v. Spain, § 1. See B, cited above. " * count

    assert_linear(lambda raw: citations(raw, style), text(100), text(800))
    found = citations(text(20_000), style)
    assert len(found) == bounds.CITATIONS
    assert max(len(cited.application_numbers) for cited in found) <= bounds.CITED_NUMBERS
    assert sum(len(cited.application_numbers) for cited in found) <= 10 * len(found) + bounds.CITED_NUMBERS


def test_a_judgment_with_absurd_numbers_is_read() -> None:
    absurd = "9" * 5_000  # int() refuses so many digits
    law = f"THE LAW\nALLEGED VIOLATION OF ARTICLE 8 §§ {absurd}-{absurd} OF PROTOCOL No. {absurd}\n"
    case = read_judgment(WHOLE.replace("THE LAW\n", law), ECTHR)
    assert case.citations == read_judgment(WHOLE, ECTHR).citations
    assert "Article 8" in case.articles


def test_windows_change_no_sentence_of_a_text_with_paragraphs() -> None:
    paragraph = "The mill (of 1871) turns. “It grinds,” he said. See Art. 8. " * 40 + "\n\n"
    text = paragraph * (3 * WINDOW // len(paragraph))
    assert sentences_in(text, 0, len(text)) == sentence_spans(text)
    start, end = text.index("turns") - 9, len(text) - 100
    found = sentences_in(text, start, end)
    assert found[0][0] >= start and found[-1][1] <= end
    assert all(before[1] <= behind[0] for before, behind in pairwise(found))


@pytest.mark.parametrize("text", ["a" * 150_000, "``a. " * 40_000, "a. " * 60_000, "\n" * 70_000 + "a", "" * 10])
def test_no_character_of_a_long_text_is_lost(text: str) -> None:
    found = sentences_in(text, 0, len(text))
    between = pairwise([0, *(offset for span in found for offset in span), len(text)])
    assert not any(text[start:end].strip() for start, end in list(between)[::2])


# -- chapters of ours --------------------------------------------------------------------------------------------------


def test_a_chapter_has_no_more_sentences_than_may_be() -> None:
    cuts = best_cuts(np.zeros(7_000), 1.0, np.full(7_000, -3.0))  # all in one second: every way to cut is possible
    assert cuts[0] == 0
    assert max(np.diff([*cuts, 7_000])) <= MOST_SENTENCES


def spoken(cues: list[Cue]) -> Document:
    text, utterances = sentences(with_times(cues)[0])
    return Document("d", "podcast", "", text, (Page(1, 0, len(text)),), episode=Episode(utterances=utterances))


def test_there_are_no_more_chapters_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CHAPTERS", 5)
    cues = [
        Cue(f"W{n} is it so?" if n % 2 else f"Words {n}. " * 70, n * 60.0, n * 60.0 + 60, "AB"[n % 2])
        for n in range(60)
    ]
    document = spoken(cues)
    chapters = list(chapters_of(document, "cohesion", Hashed(), None))
    assert len(chapters) == 5
    assert document.episode and chapters[-1].end == document.episode.utterances[-1].end
    assert all(before.end == behind.start for before, behind in pairwise(chapters))


# -- in the child, which has limits of its own ------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_long_name_of_a_speaker_is_looked_at_once(form: str) -> None:
    def text(raw: str) -> bytes:
        if form == "html":
            return f"<time>0:00</time><cite>{raw}</cite>{'<p>a.</p>' * (len(raw) // 20)}".encode()
        rest: list[dict[str, Any]] = [{"startTime": n, "body": "a."} for n in range(len(raw) // 40)]
        return json.dumps({"segments": [{"startTime": 0, "body": "a.", "speaker": raw}, *rest]}).encode()

    name = f"a.{form}"
    assert_linear(lambda raw: read_transcript(text(raw), name), "s" * 6_000, "s" * 48_000)
    assert {len(cue.speaker) for cue in read_transcript(text("s" * 5_000), name).cues} == {bounds.NAME}
