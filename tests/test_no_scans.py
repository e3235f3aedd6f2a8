"""What a question reads of a library of 2,000 documents: rows that it has to do with, and never those of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rag.answer import ask
from rag.document import Case, Document, Finding, Page, Section
from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.llm.chat import Usage
from rag.locator import ParagraphSpan
from rag.pipeline import build_pipeline
from rag.read.rules.court_finding import CourtFinding
from rag.records import Answer, Hit, Passage
from rag.search import open_retriever
from rag.settings import load_settings
from tests.test_answer import ScriptedReader

DOCUMENTS = 2_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Judgments "d0" to "d1999" with a law part and an operative part; "d7" is A7 v. Austria, no. 7/01."""
    library = Library.open(tmp_path_factory.mktemp("scans") / "library", create=True)
    for number in range(DOCUMENTS):
        name, title = f"d{number}", f"A{number} v. Austria"
        text = f"The mill of {title} was loud.\nHolds that there has been a violation of Article 8;\n"
        law_end = text.index("\n") + 1
        sections = (Section("law", 0, law_end), Section("operative", law_end, len(text)))
        finding = Finding("Article 8", True, ((law_end, len(text) - 1),))
        numbers, date = (f"{number}/01",), "2001-01-01"
        case = Case("ecthr", title, (f"A{number}", "Austria"), numbers, date, 2, (), sections, (), (), (), (finding,))
        passages = [
            Passage(f"{name}#{i}", name, title, "", text[s.start : s.end], s.start, s.end, ParagraphSpan(s.kind))
            for i, s in enumerate(sections)
        ]
        document = Document(name, "legal", title, text, (Page(1, 0, len(text)),), case=case)
        library.put(document, passages, f"/{name}", name, "")
    return library


def scans(library: Library, read: Callable[[], object]) -> list[str]:
    """The steps of all statements of a reading that go through a whole table or index."""
    statements: list[str] = []
    connection = library._connection()
    connection.set_trace_callback(statements.append)
    try:
        read()
    finally:
        connection.set_trace_callback(None)
    assert statements, "nothing was read"
    plans = [row["detail"] for sql in statements for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    return [step for step in plans if step.startswith("SCAN") and "json_each" not in step]


@pytest.mark.parametrize(
    "question", ["Was there a violation of Article 8 in A7 v. Austria?", "Was Article 8 violated in A7 (no. 7/01)?"]
)
def test_a_question_on_a_finding_reads_the_cases_of_that_name_or_number(library: Library, question: str) -> None:
    hits = [Hit(1, 1.0, passage) for passage in library.passages(["d7#0"]).values()]
    found = CourtFinding(library).propose(question, hits, ScriptedReader(), Usage())
    assert found is not None and found.answer == "Yes" and len(found.quotes) == 1
    assert scans(library, lambda: CourtFinding(library).propose(question, hits, ScriptedReader(), Usage())) == []


def test_a_search_and_its_answer_read_what_was_found(library: Library) -> None:
    def read() -> None:
        passage = library.passages(["d7#0"])["d7#0"]
        numbers = library.numbers_of(["d7#0", "d8#0"])
        library.passages_numbered(list(numbers.values()))
        named = library.named_in("What was loud in A7 v. Austria?", 3)
        assert named == {"d7"}
        library.first_passages(list(named))
        links = library.links_from(["d7#0"])
        library.links_to(["d7"]), library.namesakes(["A7 v. Austria"]), library.mention_counts(["d7", *links])
        library.labelled(["Table 1"]), library.table_of(passage), library.documents(["d7"])
        library.pages_of("d7", 0, 9), library.paragraphs_of("d7", 0, 9), library.episode("d7"), library.case("d7")

    assert scans(library, read) == []


def test_a_whole_question_reads_no_table_from_end_to_end(library: Library) -> None:
    """The parts put together, the search by BM25, the answer with its citations."""
    settings = load_settings(["reader.model=http://127.0.0.1:9/v1#nobody"])
    indexes = Indexes(library, settings)
    with indexes.updating(names=["lexical"]):
        pass
    open_retriever(indexes, "bm25"), library.size()  # what is counted once a generation
    answers: list[object] = []

    def question() -> None:
        pipeline = replace(build_pipeline(indexes, "bm25"), reader=ScriptedReader("It was loud"))
        answers.extend(ask("What was loud in A7 v. Austria?", pipeline, 5))

    assert scans(library, question) == []
    assert isinstance(answers[-1], Answer) and answers[-1].citations


def test_the_size_is_counted_once_a_generation(library: Library) -> None:
    assert library.size() == (DOCUMENTS, 2 * DOCUMENTS)
    assert scans(library, lambda: (library.size(), library.passage_count)) == []
    library.put_failure("failed", "pdf", "", "why", "/failed", "failed", "")
    assert library.size() == (DOCUMENTS, 2 * DOCUMENTS), "what cannot be read cannot be searched"
    library.remove("d0")
    assert library.size() == (DOCUMENTS - 1, 2 * DOCUMENTS - 2)
    assert library.passage_count == len(library.numbers())
