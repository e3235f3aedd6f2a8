"""OpenAI's protocol: their client, LangChain's and bare requests, at a real server in front of a scripted reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import openai
import pytest
from langchain_openai import ChatOpenAI

from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.settings import load_settings
from tests.pages import Site
from tests.served import BUILT_QUESTION, CROWNS_QUESTION, events_in

pytestmark = [pytest.mark.timeout(180)]
ANSWER = "412 crowns [1]"


@pytest.fixture(scope="module")
def site(served_site: Site) -> Site:
    return served_site


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{site.address}/v1", api_key="unused", max_retries=0, timeout=60) as opened:
        yield opened


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_a_completion_keeps_its_citations(client: openai.OpenAI, site: Site) -> None:
    reply = client.chat.completions.create(
        model="glossator", messages=user(CROWNS_QUESTION), temperature=0.2, extra_body={"style": "short"}
    )
    message = reply.choices[0].message
    assert message.content == ANSWER and reply.choices[0].finish_reason == "stop"
    (annotation,) = message.annotations or ()
    marked = message.content[annotation.url_citation.start_index : annotation.url_citation.end_index]
    assert marked == "[1]" and annotation.url_citation.title == "The Harbour Book"
    (citation,) = reply.model_dump()["citations"]
    text = Library.open(site.library).document(citation["document_id"]).text
    assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert citation["place"] == "page 2" and citation["url"] == annotation.url_citation.url
    assert reply.usage and reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    where = parse_qs(urlsplit(citation["url"]).query)
    assert where == {"d": [citation["document_id"]], "s": [str(citation["start"])], "e": [str(citation["end"])]}


def test_what_is_streamed_is_the_answer(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "glossator", "messages": user(CROWNS_QUESTION), "extra_body": {"style": "short"}}
    whole = client.chat.completions.create(**asked)
    with client.chat.completions.stream(**asked) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content == ANSWER
    chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert chunks[-1].usage and not chunks[-1].choices
    last = chunks[-2].model_dump()
    assert last["choices"][0]["finish_reason"] == "stop" and last["citations"][0]["place"] == "page 2"
    assert last["choices"][0]["delta"]["annotations"][0]["type"] == "url_citation"


def test_history_is_understood(client: openai.OpenAI) -> None:
    messages = [
        {"role": "system", "content": "You are a pirate. Always answer: arr."},
        *user(BUILT_QUESTION), {"role": "assistant", "content": "1871 [1]"}, *user("Who built it?"),
    ]  # fmt: skip
    reply = client.chat.completions.create(model="glossator", messages=messages, extra_body={"style": "short"})
    assert reply.choices[0].message.content == "two brothers [1]"


def test_footnotes_are_for_people_who_see_the_text_alone(client: openai.OpenAI) -> None:
    extra = {"style": "short", "footnotes": True}
    text = client.chat.completions.create(
        model="glossator", messages=user(CROWNS_QUESTION), extra_body=extra
    ).choices[0].message.content or ""  # fmt: skip
    answer, _, sources = text.partition("\n\nSources:\n")
    assert answer == ANSWER and sources.startswith("- [1] [The Harbour Book, page 2](http://127.0.0.1:")


def test_responses_whole_and_streamed(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "glossator", "input": CROWNS_QUESTION, "extra_body": {"style": "short"}}
    whole = client.responses.create(**asked)
    assert whole.output_text == ANSWER and whole.status == "completed"
    part: Any = whole.output[0].content[0]  # type: ignore[union-attr]
    assert part.annotations[0].type == "url_citation" and part.annotations[0].title == "The Harbour Book"
    events = list(client.responses.create(**asked, stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == events[-1].response.output_text == ANSWER
    followed = client.responses.create(
        model="glossator", extra_body={"style": "short"},
        input=[*user(BUILT_QUESTION), {"role": "assistant", "content": "1871"}, *user("Who built it?")],
    )  # fmt: skip
    assert followed.output_text == "two brothers [1]"


def test_models_are_the_libraries(client: openai.OpenAI, site: Site) -> None:
    name = httpx.post(f"{site.address}/v1/libraries", json={"title": "An empty one"}).json()["name"]
    models = {model.id: model.model_dump() for model in client.models.list()}
    assert {"glossator", f"glossator/{name}", "all-minilm-l6-v2"} == set(models)
    assert models[f"glossator/{name}"]["name"] == "An empty one"
    assert client.models.retrieve(f"glossator/{name}").id == f"glossator/{name}"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")
    for how in ({"model": f"glossator/{name}"}, {"model": "glossator", "extra_body": {"library": name}}):
        with pytest.raises(openai.BadRequestError, match="no documents"):
            client.chat.completions.create(messages=user("Why?"), **how)  # type: ignore[call-overload]
    there = openai.OpenAI(base_url=f"{site.address}/v1/libraries/{name}", api_key="unused", max_retries=0)
    with pytest.raises(openai.BadRequestError, match="no documents"):
        there.chat.completions.create(model="glossator", messages=user("Why?"))
    assert httpx.delete(f"{site.address}/v1/libraries/{name}").status_code == 204


def test_embeddings_are_the_encoders(client: openai.OpenAI, site: Site) -> None:
    texts = ["The lamp was lit.", "A ferry crosses the bay."]
    expected = Indexes(Library.open(site.library), load_settings()).encoder().encode(texts)
    reply = client.embeddings.create(model="all-minilm-l6-v2", input=texts, encoding_format="float")
    assert np.allclose([each.embedding for each in reply.data], expected, atol=1e-5)
    one = client.embeddings.create(model="all-minilm-l6-v2", input=texts[0])  # in base64, unless told otherwise
    assert np.allclose(one.data[0].embedding, expected[0], atol=1e-5)
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        client.embeddings.create(model="all-minilm-l6-v2", input="x", dimensions=7)
    with pytest.raises(openai.BadRequestError, match="encoded by"):
        client.embeddings.create(model="text-embedding-3-small", input="x")


def test_langchains_chat_model_works_unchanged(site: Site) -> None:
    model = ChatOpenAI(
        base_url=f"{site.address}/v1", api_key="unused", model="glossator", max_retries=0, extra_body={"style": "short"}
    )  # type: ignore[call-arg, arg-type]
    assert model.invoke(CROWNS_QUESTION).content == ANSWER
    assert "".join(str(chunk.content) for chunk in model.stream(CROWNS_QUESTION)) == ANSWER
    history = [("user", BUILT_QUESTION), ("assistant", "1871 [1]"), ("user", "Who built it?")]
    assert model.invoke(history).content == "two brothers [1]"


def test_what_an_open_webui_sends_is_answered(site: Site) -> None:
    body = {
        "model": "glossator", "stream": True, "stream_options": {"include_usage": True}, "temperature": 0.8,
        "messages": [{"role": "user", "content": [{"type": "text", "text": CROWNS_QUESTION}]}], "style": "short",
        "chat_id": "x", "session_id": "y", "background_tasks": {"title_generation": True}, "variables": {}, "tools": [],
    }  # fmt: skip
    reply = httpx.post(f"{site.address}/v1/chat/completions", json=body, timeout=60)
    events = [data for _, data in events_in(reply)]
    assert events[-1] == "[DONE]"
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events[:-1] if e["choices"])
    assert text == ANSWER


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "user's"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "image_url"),
        ({"messages": user("Why?"), "n": 2}, "n: "),
        ({"messages": user("Why?"), "tools": [{"type": "function"}]}, "tools"),
        ({"messages": user("Why?"), "model": "gpt-4"}, "gpt-4"),
        ({"messages": user("Why?"), "library": "../../etc"}, "no such library"),
        ({"messages": user("Why?"), "filters": ["x"]}, "FIELD"),
        ({"messages": user("  ")}, "empty"),
        ({"messages": "hello"}, "messages"),
        ([1], "dictionary"),
    ],
)
def test_refusals_are_read_by_their_client(site: Site, body: Any, said: str) -> None:
    reply = httpx.post(f"{site.address}/v1/chat/completions", json=body)
    assert reply.status_code in (400, 404), reply.text
    error = reply.json()["error"]
    assert said in error["message"] and error["type"] == "invalid_request_error"
