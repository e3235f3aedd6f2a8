"""REST for programs: what routes answer, how lists are read in parts, how requests are sent twice, what is refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rag.index.manager import Indexes
from rag.library.catalogue import Library
from rag.search import open_retriever
from rag.settings import load_settings
from tests.pages import Site
from tests.room import held
from tests.served import BUILT_QUESTION, CROWNS_QUESTION, events_in

pytestmark = [pytest.mark.timeout(180)]
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def site(served_site: Site) -> Site:
    return served_site


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.address, timeout=60) as opened:
        yield opened


def problem_of(reply: httpx.Response, status: int) -> str:
    """What a refusal says."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == PROBLEM
    told = reply.json()
    assert told["status"] == status and set(told) == {"type", "title", "status", "detail"}
    assert "Traceback" not in told["detail"]
    return str(told["detail"])


# -- asking --------------------------------------------------------------------------------------------------------


def test_a_question_is_answered_as_the_command_line_answers_it(client: httpx.Client, site: Site) -> None:
    answer = client.post("/v1/ask", json={"question": CROWNS_QUESTION, "style": "short"}).json()
    assert answer["answer"] == "412 crowns [1]" and answer["abstained"] is False
    (citation,) = answer["citations"]
    text = Library.open(site.library).document(citation["document_id"]).text
    assert text[citation["start"] : citation["end"]] == citation["quote"] and "412 crowns" in citation["quote"]
    assert citation["first_page"] == 2 and citation["title"] == "The Harbour Book"
    named = {"question", "answer", "abstained", "notes", "citations", "evidence", "support", "attribution", "model"}
    assert named <= set(answer)


def test_a_stream_tells_what_happens_and_ends_with_the_same_answer(client: httpx.Client) -> None:
    asked = {"question": CROWNS_QUESTION, "style": "short", "attribute": "document"}
    whole = client.post("/v1/ask", json=asked).json()
    reply = client.post("/v1/ask", json={**asked, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = events_in(reply)
    names = [name for name, _ in events]
    assert names[-2:] == ["answer", "attribution"]
    assert names.index("evidence") < names.index("words") < names.index("notes") < names.index("answer")
    told = dict(events)
    for name in ("seconds", "attribution", "tokens"):
        told["answer"].pop(name), whole.pop(name)
    assert told["answer"] == whole
    best, *others = sorted(told["attribution"]["players"], key=lambda player: -player["score"])
    assert "412 crowns" in best["text"] and best["score"] > max((other["score"] for other in others), default=0)


def test_a_follow_up_is_understood_after_its_history(client: httpx.Client) -> None:
    history = [{"question": BUILT_QUESTION, "answer": "1871"}]
    answer = client.post("/v1/ask", json={"question": "Who built it?", "history": history, "style": "short"}).json()
    assert answer["question"] == "Who built the lighthouse at Port Merrow?"
    assert answer["answer"] == "two brothers [1]"


def test_one_document_and_filters_bound_what_is_asked(client: httpx.Client, site: Site) -> None:
    mill = site.document_id("A. v. AUSTRIA")
    answer = client.post("/v1/ask", json={"question": CROWNS_QUESTION, "documents": [mill], "style": "short"}).json()
    assert {hit["document_id"] for hit in answer["evidence"]} == {mill} and answer["answer"] != "412 crowns [1]"
    found = client.post(
        "/v1/ask", json={"question": "noise at night", "filters": ["part=law"], "style": "short"}
    ).json()
    assert found["evidence"] and {hit["part"] for hit in found["evidence"]} == {"law"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"question": " "}, "empty"),
        ({"question": "x" * 5_000}, "characters"),
        ({}, "question"),
        ({"question": "Why?", "k": 0}, "k"),
        ({"question": "Why?", "ways": "x"}, "ways: is not known"),
        ({"question": "Why?", "filters": ["colour=red"]}, "FIELD"),
        ({"question": "Why?", "filters": ["date>=soon"]}, "no date"),
        ({"question": "Why?", "documents": ["../../etc/passwd"]}, "no longer in this library"),
        ({"question": "Why?", "reader": "extract", "attribute": "word"}, "Attribution"),
        ({"question": "Why?", "history": [{"answer": "x"}]}, "history.0.question"),
        ("not an object", "dictionary"),
    ],
)
def test_what_cannot_be_asked_is_said(client: httpx.Client, body: object, said: str) -> None:
    assert said in problem_of(client.post("/v1/ask", json=body), 422)


def test_a_body_that_is_no_json_or_endlessly_deep_is_refused(client: httpx.Client) -> None:
    headers = {"content-type": "application/json"}
    assert "no JSON" in problem_of(client.post("/v1/ask", content=b'{"question": ', headers=headers), 422)
    for content in (b"[" * 200_000, b'{"question": ' * 50_000, b"\xff\xfe", b""):
        reply = client.post("/v1/ask", content=content, headers=headers)
        assert reply.status_code in (400, 422) and reply.headers["content-type"] == PROBLEM


def test_a_client_that_hangs_up_calls_its_question_off(client: httpx.Client, site: Site) -> None:
    held.clear()
    try:
        with client.stream("POST", "/v1/ask", json={"question": CROWNS_QUESTION, "stream": True}) as reply:
            for line in reply.iter_lines():
                if line == "event: evidence":
                    break
        slow = httpx.Client(base_url=site.address)
        with pytest.raises(httpx.ReadTimeout):
            slow.post("/v1/ask", json={"question": BUILT_QUESTION}, timeout=1.0)
        slow.close()
    finally:
        held.set()
    deadline = time.monotonic() + 20
    while "glossator_open_questions 0.0" not in client.get("/metrics").text:
        assert time.monotonic() < deadline, "questions that nobody waits for are gone"
        time.sleep(0.1)


def test_a_crowd_is_sent_away_with_a_time_to_come_back(client: httpx.Client, site: Site) -> None:
    held.clear()
    replies: list[httpx.Response] = []

    many = httpx.Client(base_url=site.address, timeout=60, limits=httpx.Limits(max_connections=80))

    def ask() -> None:
        replies.append(many.post("/v1/ask", json={"question": CROWNS_QUESTION, "style": "short"}))

    crowd = [threading.Thread(target=ask) for _ in range(60)]
    for one in crowd:
        one.start()
    deadline = time.monotonic() + 30
    while len(replies) < 60 - 32 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.get("/health").status_code == 200, "the others are served meanwhile"
    held.set()
    for one in crowd:
        one.join(60)
    many.close()
    refused = [reply for reply in replies if reply.status_code == 429]
    assert len(replies) == 60 and len(refused) >= 60 - 32
    assert {reply.status_code for reply in replies} == {200, 429}
    assert all(int(reply.headers["retry-after"]) > 0 and problem_of(reply, 429) for reply in refused)


# -- searching and reading -----------------------------------------------------------------------------------------


def test_search_finds_what_the_library_finds_and_explains_it(client: httpx.Client, site: Site) -> None:
    query = "the lamp of the lighthouse"
    indexes = Indexes(Library.open(site.library), load_settings())
    ours = open_retriever(indexes, "hybrid").search([query], 4)[0]
    reply = client.get("/v1/search", params={"q": query, "k": 4}).json()
    assert [hit["passage_id"] for hit in reply["hits"]] == [hit.passage.passage_id for hit in ours]
    for hit, own in zip(reply["hits"], ours, strict=True):
        assert hit["score"] == pytest.approx(own.score, abs=1e-4)
        assert sum(hit["terms"].values()) == pytest.approx(own.score, abs=1e-3)
    law = client.get("/v1/search", params={"q": "noise", "filter": ["part=law", "date>=2005"]}).json()["hits"]
    assert {hit["title"] for hit in law} == {"B. v. MALTA"}
    problem_of(client.get("/v1/search", params={"q": "noise", "filter": "part=lawn"}), 422)


def test_a_documents_text_is_read_in_parts(client: httpx.Client, site: Site) -> None:
    document = site.document_id("The Harbour Book")
    text = Library.open(site.library).document(document).text
    whole = client.get(f"/v1/documents/{document}/text").json()
    assert whole == {"text": text, "start": 0, "end": len(text), "length": len(text)}
    part = client.get(f"/v1/documents/{document}/text", params={"start": 4, "end": 14}).json()
    assert part["text"] == text[4:14]
    beyond = client.get(f"/v1/documents/{document}/text", params={"start": len(text) + 9}).json()
    assert beyond["text"] == ""
    assert "no such document" in problem_of(client.get("/v1/documents/nothing/text"), 404)


def test_lists_are_read_in_parts(client: httpx.Client) -> None:
    every = [each["id"] for each in client.get("/v1/documents").json()["documents"]]
    assert len(every) >= 6
    found, after = [], ""
    for _ in range(9):
        part = client.get("/v1/documents", params={"limit": 2, "after": after}).json()
        assert len(part["documents"]) <= 2
        found += [each["id"] for each in part["documents"]]
        after = part["next"]
        if not after:
            break
    assert found == every
    assert "Begin again" in problem_of(client.get("/v1/documents", params={"after": "gone"}), 422)
    problem_of(client.get("/v1/documents", params={"limit": 0}), 422)
    for _ in range(3):
        client.post("/v1/conversations")
    first = client.get("/v1/conversations", params={"limit": 1}).json()
    second = client.get("/v1/conversations", params={"limit": 1, "after": first["next"]}).json()
    assert first["conversations"][0]["id"] == first["next"] != second["conversations"][0]["id"]


def test_pictures_have_etags(client: httpx.Client, site: Site) -> None:
    address = f"/v1/documents/{site.document_id('The Harbour Book')}/pages/1.png"
    first = client.get(address)
    assert first.status_code == 200 and first.content.startswith(b"\x89PNG")
    again = client.get(address, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


# -- uploads that are sent twice -----------------------------------------------------------------------------------

TIDES = "WEBVTT\n\n00:00.000 --> 00:05.000\nThe spring tide of Merrow rises eleven feet.\n"


def test_an_upload_that_is_sent_again_is_one_upload(client: httpx.Client, tmp_path: Path) -> None:
    headers = {"idempotency-key": "tides-1"}
    first = client.put("/v1/uploads/tides.vtt", content=TIDES, headers=headers)
    again = client.put("/v1/uploads/tides.vtt", content=TIDES, headers=headers)
    assert first.status_code == again.status_code == 201 and first.json() == again.json()
    other = client.put("/v1/uploads/other.vtt", content=TIDES, headers=headers)
    assert "another request" in problem_of(other, 422)
    new = {"uploads": [first.json()["id"]]}
    jobs = [client.post("/v1/documents", json=new, headers={"idempotency-key": "add-1"}) for _ in range(2)]
    assert [job.status_code for job in jobs] == [202, 202] and jobs[0].json() == jobs[1].json()
    deadline = time.monotonic() + 60
    while not any(each["title"] == "tides" for each in client.get("/v1/documents").json()["documents"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    problem_of(client.post("/v1/documents", json=new, headers={"idempotency-key": "x" * 900}), 422)


# -- the description of all that, and what is not there ------------------------------------------------------------


def test_the_description_is_served_without_a_cdn(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    for address in ("/docs/files/swagger-ui-bundle.js", "/docs/files/swagger-ui.css"):
        assert address in page.text and client.get(address).status_code == 200
    assert "//cdn" not in page.text and "https://" not in page.text
    described = client.get("/v1/openapi.json").json()
    for path in ("/v1/ask", "/v1/search", "/v1/chat/completions", "/v1/documents/{document_id}/text"):
        assert path in described["paths"]
    operations = [each["operationId"] for path in described["paths"].values() for each in path.values()]
    assert len(operations) == len(set(operations)) >= 50
    json.dumps(described)


def test_what_is_not_there_is_a_problem_and_names_the_method(client: httpx.Client) -> None:
    assert "no such address" in problem_of(client.get("/v1/nothing"), 404)
    wrong = client.delete("/v1/ask")
    problem_of(wrong, 405)
    assert wrong.headers["allow"] == "POST"
    problem_of(client.post("/v1/documents/x/pages/1"), 405)
    problem_of(client.get("/v1/ask", headers={"host": "evil.example"}), 400)
    problem_of(client.post("/v1/ask", json={}, headers={"origin": "https://evil.example"}), 403)


def test_health_metrics_and_request_ids(client: httpx.Client) -> None:
    assert client.get("/health").text == "ok" and client.get("/ready").text.startswith("ok")
    named = client.get("/v1/documents/abc/text", headers={"x-request-id": "my-id_1"})
    assert named.headers["x-request-id"] == "my-id_1"
    made = client.get("/health", headers={"x-request-id": "not\tan id" + "x" * 99}).headers["x-request-id"]
    assert len(made) == 16
    text = client.get("/metrics").text
    assert 'glossator_requests_total{method="GET",route="/v1/documents/{document_id}/text",status="404"}' in text
    assert "abc" not in text and "glossator_documents " in text
