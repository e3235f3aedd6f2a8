"""The whole road as a Runnable in LangChain's chains, with a real reader and with a scripted one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableLambda

from rag.chains import GlossatorRunnable
from rag.errors import LibraryError, UsageError
from rag.settings import Settings, settings_of
from tests.conftest import Run
from tests.pages import HARBOUR, Endpoint
from tests.pdfs import make_pdf
from tests.room import reads
from tests.served import BUILT_QUESTION, CROWNS_QUESTION


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Path:
    folder = tmp_path_factory.mktemp("runnable")
    book = make_pdf(folder / "harbour.pdf", HARBOUR, "The Harbour Book")
    assert glossator("ingest", book, "--library", folder / "library").returncode == 0
    return folder / "library"


def test_the_whole_road_is_a_runnable(library: Path) -> None:
    with Endpoint(reads) as reader:
        model = f"http://127.0.0.1:{reader.server_port}/v1#scripted"
        road = GlossatorRunnable.from_library(library, reader_model=model, retrieve_k=2, style="short")
        assert isinstance(road, Runnable)
        result = road.invoke(CROWNS_QUESTION)
        assert result["input"] == CROWNS_QUESTION and result["answer"] == "412 crowns [1]" and not result["abstained"]
        assert len(result["context"]) == 1 and all(isinstance(each, Document) for each in result["context"])
        (citation,) = result["citations"]
        assert citation["place"] == "page 2" and "412 crowns" in citation["quote"]
        chain = RunnableLambda(lambda word: f"How many {word} had the Merrow Guild saved?") | road
        chain = chain | RunnableLambda(lambda result: result["answer"])
        assert chain.batch(["crowns", "crowns"]) == ["412 crowns [1]"] * 2
        assert [step["answer"] for step in road.stream(CROWNS_QUESTION)] == ["412 crowns [1]"]
        history = [HumanMessage(BUILT_QUESTION), AIMessage("1871 [1]")]
        followed = road.invoke({"input": "Who built it?", "chat_history": history})
        assert followed["answer"] == "two brothers [1]" and followed["input"] == "Who built it?"
        as_pairs = road.invoke(
            {"input": "Who built it?", "chat_history": [("user", BUILT_QUESTION), ("assistant", "1871")]}
        )
        assert as_pairs["answer"] == followed["answer"]


def test_the_reading_model_alone_needs_no_reader(library: Path) -> None:
    road = GlossatorRunnable.from_library(library, strategy="extract", reader_model="http://127.0.0.1:1/v1#nobody")
    result = road.invoke(CROWNS_QUESTION)
    assert "412" in result["answer"] and result["citations"][0]["place"] == "page 2"


def test_what_is_wrong_is_said(library: Path, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="no library"):
        GlossatorRunnable.from_library(tmp_path / "nowhere")
    for wrong in ({"retrieve_z": 1}, {"retrieve": 1}, {"nothing_k": 1}, {"retrieve_k": 0}):
        with pytest.raises(UsageError, match="settings"):
            GlossatorRunnable.from_library(library, **wrong)
    road = GlossatorRunnable.from_library(library, strategy="extract", filters=["colour=red"])
    with pytest.raises(UsageError, match="FIELD"):
        road.invoke("Why?")
    with pytest.raises(UsageError, match="empty"):
        road.invoke({"input": ""})
    with pytest.raises(UsageError, match="chat_history"):
        road.invoke({"query": "Why?"})


@given(st.sampled_from([(stage, key) for stage, value in Settings() for key in type(value).model_fields]))
def test_every_setting_is_a_keyword(setting: tuple[str, str]) -> None:
    stage, key = setting
    value = getattr(getattr(Settings(), stage), key)
    assert getattr(getattr(settings_of(**{f"{stage}_{key}": value}), stage), key) == value
