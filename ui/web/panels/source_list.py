"""The sources of a conversation's answers, and which of them is shown. No Gradio here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rag.records import Answer, Citation, Hit
from ui.wording import place_text, printable, second_answer


@dataclass(frozen=True, slots=True)
class SourceList:
    """The sources of every answer of a conversation, and what of them is shown: an answer's, one of them, a page."""

    answers: tuple[tuple[str, tuple[Citation, ...]], ...] = ()  # (what they are called, the sources)
    answer: int = 0
    source: int = 0
    page: int = 0

    @property
    def sources(self) -> tuple[Citation, ...]:
        return self.answers[self.answer][1] if self.answers else ()

    @property
    def label(self) -> str:
        return self.answers[self.answer][0] if self.answers else "Sources"

    @property
    def citation(self) -> Citation | None:
        return self.sources[self.source] if self.sources else None

    @property
    def count(self) -> int:
        return sum(len(sources) for _, sources in self.answers)

    def put(self, answer: Answer) -> SourceList:
        """With the sources of one more answer; if it has none, the passages that came nearest."""
        second = second_answer(answer)
        also = (second.citation,) if second and second.citation else ()
        new = ("Sources", (*answer.citations, *also))
        if not answer.citations:
            new = ("Nearest passages", tuple(map(nearest, answer.evidence)))
        return SourceList((*self.answers, new), len(self.answers)).choose(0)

    def put_marked(self, citation: Citation) -> SourceList:
        """With the one source in which an answer is marked while the reader reads."""
        return SourceList((*self.answers, ("Marked in a passage", (citation,))), len(self.answers)).choose(0)

    def choose(self, source: int) -> SourceList:
        """Another source of the same answer, at the page where its quote starts."""
        if not 0 <= source < len(self.sources):
            return self
        return replace(self, source=source, page=self.sources[source].locator.first_page)

    def find(self, number: int) -> SourceList:
        """The citation with this number, counted through the whole conversation from 1."""
        for answer, (_, sources) in enumerate(self.answers):
            if 1 <= number <= len(sources):
                return replace(self, answer=answer).choose(number - 1)
            number -= len(sources)
        return self


def nearest(hit: Hit) -> Citation:
    """A retrieved passage as a source."""
    p = hit.passage
    return Citation(
        f"[{hit.rank}]", p.passage_id, p.document_id, p.path, p.title, p.locator, p.text, p.start, p.end,
        p.kind, p.label, p.section, p.ocr_confidence,
    )  # fmt: skip


def source_label(number: int, citation: Citation) -> str:
    """A source as the list shows it: "1. Free Culture, page 65: “Jesse had saved $12,000 …”"."""
    quote = printable(citation.quote)
    shortened = quote if len(quote) <= 160 else quote[:157] + "…"
    return f"{number}. {printable(citation.title)}, {printable(place_text(citation))}: “{shortened}”"
