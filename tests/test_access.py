"""Who may do what on a server with users: tokens, scopes, private libraries, rates, other sites, a proxy, the log."""

from __future__ import annotations

import datetime
import json
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import RagError, UsageError
from rag.library.catalogue import Library
from tests.conftest import Run, needs_browser
from tests.pages import Endpoint, Site, replies
from tests.pdfs import make_pdf
from ui.web.access import audit
from ui.web.access.api_tokens import Tokens, add_token, read_tokens, tokens_file
from ui.web.access.audit import AuditLog
from ui.web.access.identity import SCOPES, Identity, needed_scope
from ui.web.access.rate_limit import Buckets, Rate
from ui.web.access.users import Users, add_user

pytestmark = [pytest.mark.timeout(180)]
WORD = "a long enough word"
TODAY = datetime.date(2026, 11, 30)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ada, who is an admin, bob and eve."""
    file = tmp_path_factory.mktemp("people") / "users"
    for name in ("ada", "bob", "eve"):
        add_user(file, name, WORD, is_admin=name == "ada")
    return file


# -- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_is_good_until_its_day_its_line_and_its_user_are_gone(tmp_path: Path) -> None:
    file = tmp_path / "users"
    add_user(file, "bob", WORD)
    add_user(file, "eve", WORD)
    users = Users(file)
    token = add_token(file, "bob", "read", 1)
    tokens = Tokens(file, users)
    assert tokens.identity(token) == Identity("bob", "read", token.split("_")[1])
    assert stat.S_IMODE(tokens_file(file).stat().st_mode) == 0o600
    assert token.rpartition("_")[2] not in tokens_file(file).read_text(), "the secret itself is kept nowhere"
    wrong = (token[:-1], token + "A", token[:-1] + ("A" if token[-1] != "A" else "B"), "", "glo__", token.upper(), "é")
    assert [tokens.identity(each) for each in wrong] == [None] * len(wrong)
    other = add_token(file, "eve", "write", 1)
    mixed = f"{other.rpartition('_')[0]}_{token.rpartition('_')[2]}"
    assert tokens.identity(mixed) is None and tokens.identity(other) is not None
    lines = tokens_file(file).read_text().splitlines()
    yesterday = (datetime.date.today() - datetime.timedelta(days=1)).isoformat()
    tokens_file(file).write_text(re.sub(r"\d{4}-\d\d-\d\d", yesterday, lines[0]) + "\n")
    assert tokens.identity(token) is None, "its last day was yesterday"
    tokens_file(file).write_text("\n".join(lines))
    assert tokens.identity(token) is not None
    file.write_text("\n".join(line for line in file.read_text().splitlines() if not line.startswith("bob")))
    assert tokens.identity(token) is None, "its user is gone"
    tokens_file(file).write_text("nonsense")
    assert tokens.identity(other) is None
    with pytest.raises(RagError, match=r"tokens, line 1"):
        read_tokens(tokens_file(file))


def test_no_token_is_wider_than_its_user(people: Path) -> None:
    with pytest.raises(UsageError, match="no admin"):
        add_token(people, "bob", "admin", 1)
    with pytest.raises(UsageError, match="no such user"):
        add_token(people, "nobody", "read", 1)
    for scope, days in (("all", 1), ("read", 0), ("read", 99_999)):
        with pytest.raises(UsageError):
            add_token(people, "bob", scope, days)


def test_the_command_prints_the_token_alone(people: Path, glossator: Run) -> None:
    done = glossator("users", "token", "bob", "--users", people, "--scope", "write", "--days", 7)
    assert re.fullmatch(r"glo_[0-9a-f]{8}_[\w-]{43}\n", done.stdout) and "good for 7 days" in done.stderr
    assert Tokens(people, Users(people)).identity(done.stdout.strip())
    refused = glossator("users", "token", "nobody", "--users", people)
    assert refused.returncode == 2 and "no such user" in refused.stderr


# -- rates ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), max_size=60))
def test_nobody_is_let_through_more_often_than_the_rate(requests: list[tuple[str, float]]) -> None:
    buckets, now, taken = Buckets(Rate(at_once=3, per_second=1)), 0.0, dict[str, list[float]]()
    for user, pause in requests:
        now += pause
        wait = buckets.take(user, now)
        if wait:
            assert buckets.take(user, now + wait + 1e-6) == 0.0, "after the wait one may"
            now += wait + 1e-6
        taken.setdefault(user, []).append(now)
    for times in taken.values():
        for first, last in ((i, j) for i in range(len(times)) for j in range(i, len(times))):
            assert last - first + 1 <= 3 + (times[last] - times[first]) + 1e-3


# -- the log -------------------------------------------------------------------------------------------------------


def test_the_audit_log_keeps_what_happened_and_does_not_grow_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    assert log.last(5) == []
    log.add("ada", "asked", "Why?\x1b[31m\n" + "x" * 999, library="", token="7f")
    (entry,) = log.last(5)
    assert entry["who"] == "ada" and entry["what"].startswith("Why?[31m x") and len(entry["what"]) == 300
    assert "library" not in entry and entry["token"] == "7f"
    assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) == 0o600
    with (tmp_path / "audit.jsonl").open("a") as file:
        file.write('{"cut off')
    assert log.last(5) == [entry]
    (tmp_path / "audit.jsonl").write_text("")
    monkeypatch.setattr(audit, "MOST_BYTES", 2_000)
    for number in range(99):
        log.add("ada", "asked", f"question {number}")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 5_000
    assert [entry["what"] for entry in log.last(2)] == ["question 98", "question 97"]


# -- the server ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(people: Path, tmp_path_factory: pytest.TempPathFactory, glossator: Run) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("access")
    book = make_pdf(folder / "book.pdf", [["The lighthouse was built in 1871."]], "The Harbour Book")
    assert glossator("ingest", book, "--library", folder / "library").returncode == 0
    with Endpoint(replies({"lighthouse": "1871"})) as reader:
        options = ["--users", people, "--allow-origin", "https://app.example", "--log", "json"]
        site = Site(folder / "library", folder / "log", reader, options=options)
        yield site
        site.interrupt()


def as_user(site: Site, people: Path, name: str, scope: str = "write") -> httpx.Client:
    token = add_token(people, name, scope, 1)
    return httpx.Client(base_url=site.address, headers={"authorization": f"Bearer {token}"}, timeout=60)


@pytest.fixture(scope="module")
def clients(site: Site, people: Path) -> Iterator[dict[str, httpx.Client]]:
    opened = {
        "ada": as_user(site, people, "ada", "admin"), "bob": as_user(site, people, "bob"),
        "eve": as_user(site, people, "eve"), "bob to read": as_user(site, people, "bob", "read"),
    }  # fmt: skip
    yield opened
    for client in opened.values():
        client.close()


def test_wrong_missing_and_expired_tokens_open_nothing(site: Site, people: Path) -> None:
    token = add_token(people, "eve", "read", 1)
    lines = tokens_file(people).read_text()
    old = re.sub(rf"({token.split('_')[1]}:eve:read:)\S{{10}}", r"\g<1>2020-01-01", lines)
    for sent in ("Bearer nonsense", "Bearer", f"Bearer {token[:-2]}", "Basic YTpi", f"bearer {token}x"):
        for route in ("/v1/documents", "/v1/models", "/mcp", "/docs"):
            reply = httpx.get(f"{site.address}{route}", headers={"authorization": sent})
            assert reply.status_code == 401, (sent, route)
            assert reply.headers["content-type"] == "application/problem+json"
            assert "bearer" in reply.headers["www-authenticate"].lower()
    good = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{site.address}/v1/documents", headers=good).status_code == 200
    tokens_file(people).write_text(old)
    assert httpx.get(f"{site.address}/v1/documents", headers=good).status_code == 401
    tokens_file(people).write_text(lines)


# Each route by hand: what it takes to use it. A new one has to be added here, by whoever has thought about it.
NEEDED = {
    "read": """
        GET /v1/libraries GET /v1/conversations POST /v1/conversations GET /v1/conversations/{conversation_id}
        PATCH /v1/conversations/{conversation_id} DELETE /v1/conversations/{conversation_id}
        POST /v1/conversations/{conversation_id}/restore GET /v1/conversations/{conversation_id}/export
        POST /v1/conversations/{conversation_id}/turns GET /v1/turns/{turn_id} GET /v1/turns/{turn_id}/events
        POST /v1/turns/{turn_id}/stop PUT /v1/turns/{turn_id}/rating POST /v1/turns/{turn_id}/explanation
        GET /v1/turns/{turn_id}/explanation/events POST /v1/turns/{turn_id}/explanation/stop
        GET /v1/documents GET /v1/documents/{document_id} GET /v1/documents/{document_id}/pages/{page}.png
        GET /v1/documents/{document_id}/pages/{page} GET /v1/documents/{document_id}/text
        GET /v1/documents/{document_id}/marks GET /v1/documents/{document_id}/view GET /v1/documents/{document_id}/find
        GET /v1/documents/{document_id}/audio GET /v1/documents/{document_id}/captions.vtt
        GET /v1/search POST /v1/precedents GET /v1/suggestions GET /v1/status GET /v1/settings
        GET /v1/evaluation/events POST /v1/ask POST /v1/chat/completions POST /v1/responses GET /v1/models
        GET /v1/models/{model} POST /v1/embeddings GET /v1/concepts GET /v1/concepts/map
        POST /v1/turns/{turn_id}/what-if GET /v1/turns/{turn_id}/what-if/events
        GET /v1/corrections POST /v1/corrections DELETE /v1/corrections/{correction_id} GET /v1/corrections/export
        GET /v1/concepts/blind-spots GET /v1/concepts/{concept_id}/passages
    """,
    "write": """
        POST /v1/libraries PATCH /v1/libraries/{library_name} DELETE /v1/libraries/{library_name}
        PUT /v1/uploads/{name} DELETE /v1/uploads/{upload_id} POST /v1/documents PATCH /v1/documents/{document_id}
        DELETE /v1/documents/{document_id} POST /v1/documents/{document_id}/restore
        POST /v1/evaluation POST /v1/evaluation/stop
    """,
    "admin": "PATCH /v1/settings POST /v1/settings/test GET /v1/audit",
}


def routes_of(client: httpx.Client) -> list[tuple[str, str]]:
    paths = client.get("/v1/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def filled(path: str, **ids: str) -> str:
    return re.sub(r"{(\w+)}", lambda match: ids.get(match[1], "1"), path)


def test_every_route_needs_the_scope_that_stands_here(clients: dict[str, httpx.Client]) -> None:
    expected = {tuple(pair): scope for scope, text in NEEDED.items() for pair in zip(*[iter(text.split())] * 2)}  # noqa: B905
    routes = routes_of(clients["ada"])
    assert set(routes) == set(expected)
    for method, path in routes:
        scope = expected[method, path]
        assert needed_scope(method, filled(path)) == scope, (method, path)
        in_library = path.replace("/v1/", "/v1/libraries/abc/", 1)
        if not path.startswith(("/v1/libraries", "/v1/audit")):
            assert needed_scope(method, filled(in_library)) == scope, (method, in_library)
        for name, has in (("bob to read", "read"), ("bob", "write")):
            if SCOPES.index(has) < SCOPES.index(scope):
                reply = clients[name].request(method, filled(path), json={})
                assert reply.status_code == 403 and f"needs the scope {scope}" in reply.json()["detail"], (method, path)


BODIES: dict[str, Any] = {
    "/turns": {"question": "Why?"}, "/rating": {"rating": 1}, "/explanation": {"level": "document"},
    "/completions": {"messages": [{"role": "user", "content": "Why?"}]}, "/responses": {"input": "Why?"},
    "/embeddings": {"input": "x"},
}  # fmt: skip


def test_nobody_reaches_anothers_conversations_or_library_by_any_route(clients: dict[str, httpx.Client]) -> None:
    ada, bob = clients["ada"], clients["bob"]
    name = bob.post("/v1/libraries", json={"title": "Bob's own"}).json()["name"]
    conversation = bob.post("/v1/conversations").json()["id"]
    asked = bob.post(f"/v1/conversations/{conversation}/turns", json={"question": "When was the lighthouse built?"})
    turn = asked.json()["id"]
    ids = {"conversation_id": conversation, "turn_id": turn, "library_name": name}
    eve = clients["eve"]
    walked = 0
    for method, path in routes_of(ada):
        if "{conversation_id}" in path or "{turn_id}" in path:
            body = next((body for end, body in BODIES.items() if path.endswith(end)), {"title": "mine"})
            reply = eve.request(method, filled(path, **ids), json=body if method != "GET" else None)
            assert reply.status_code == 404, (method, path, reply.text)
            walked += 1
        if not path.startswith(("/v1/libraries", "/v1/uploads/{name}", "/v1/audit")):
            there = filled(path.replace("/v1/", f"/v1/libraries/{name}/", 1), **ids)
            reply = eve.request(method, there, json=next((b for end, b in BODIES.items() if path.endswith(end)), {}))
            refused = (403,) if needed_scope(method, path) == "admin" else (404,)
            assert reply.status_code in refused, (method, path, reply.text)
            walked += 1
    assert walked > 50
    assert eve.patch(f"/v1/libraries/{name}", json={"title": "mine"}).status_code == 404
    assert eve.delete(f"/v1/libraries/{name}").status_code == 404
    asked = eve.post("/v1/chat/completions", json={"library": name, "messages": [{"role": "user", "content": "Why?"}]})
    assert asked.status_code == 404
    assert name not in eve.get("/v1/models").text and name not in eve.get("/v1/libraries").text
    assert bob.get(f"/v1/conversations/{conversation}").json()["turns"][0]["id"] == turn
    # shared, it is there for eve, who still may not remove it
    assert bob.patch(f"/v1/libraries/{name}", json={"shared": True}).status_code == 204
    assert eve.get(f"/v1/libraries/{name}/documents").status_code == 200
    assert eve.delete(f"/v1/libraries/{name}").status_code == 422
    assert eve.patch(f"/v1/libraries/{name}", json={"shared": False}).status_code == 422
    assert bob.patch(f"/v1/libraries/{name}", json={"shared": False, "title": "Bob's again"}).status_code == 204
    assert eve.get(f"/v1/libraries/{name}/documents").status_code == 404
    assert ada.delete(f"/v1/libraries/{name}").status_code == 204, "an admin may"


@pytest.mark.parametrize(
    "trick", ["../../etc", "..%2F..%2Fetc", "x/../../y", "http:%2F%2F127.0.0.1:1%2F", "a%00b", "'; --"]
)
def test_tricks_in_every_part_of_every_path_find_nothing(clients: dict[str, httpx.Client], trick: str) -> None:
    ada = clients["ada"]
    for method, path in routes_of(ada):
        if "{" in path and "{name}" not in path:
            reply = ada.request(method, re.sub(r"{\w+}", trick, path), json={})
            assert reply.status_code in (404, 405, 422), (method, path, reply.status_code, reply.text)
            assert "root:" not in reply.text and "Traceback" not in reply.text


def test_what_was_done_is_written_down_for_admins(clients: dict[str, httpx.Client]) -> None:
    bob = clients["bob"]
    bob.post("/v1/ask", json={"question": "When was the lighthouse built?", "style": "short"})
    arrived = bob.put("/v1/uploads/note.vtt", content="WEBVTT\n\n00:00.000 --> 00:05.000\nIce in May.\n").json()["id"]
    bob.post("/v1/documents", json={"uploads": [arrived]})
    entries = clients["ada"].get("/v1/audit").json()["entries"]
    told = {(entry["who"], entry["did"], entry["what"]) for entry in entries}
    assert ("bob", "asked", "When was the lighthouse built?") in told and ("bob", "added", "note.vtt") in told
    assert all(set(entry) >= {"at", "who", "did", "what"} for entry in entries)
    assert bob.get("/v1/audit").status_code == 403


def test_mcp_knows_who_asks(site: Site, people: Path, clients: dict[str, httpx.Client]) -> None:
    """Its tools reach what the token's user may see, and a question stands in the log."""
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    from tests.test_mcp import in_a_loop_of_its_own

    name = clients["bob"].post("/v1/libraries", json={"title": "Bob's own"}).json()["name"]

    async def ask(user: str, library: str) -> Any:
        token = add_token(people, user, "read", 1)
        headers = {"authorization": f"Bearer {token}"}
        question = {"question": "When was the lighthouse built?", "style": "short", "library": library}
        http = httpx.AsyncClient(headers=headers, timeout=60)
        async with http, Client(streamable_http_client(f"{site.address}/mcp", http_client=http)) as client:
            return await client.call_tool("ask", question)

    refused = in_a_loop_of_its_own(ask("eve", name))
    assert refused.is_error and "no such library" in refused.content[0].text.lower()
    empty = in_a_loop_of_its_own(ask("bob", name))
    assert "no such library" not in empty.content[0].text.lower()
    answered = in_a_loop_of_its_own(ask("eve", ""))
    assert answered.structured_content["answer"] == "1871 [1]"
    last = clients["ada"].get("/v1/audit", params={"limit": 5}).json()["entries"]
    assert ("eve", "asked", "When was the lighthouse built?") in {(e["who"], e["did"], e["what"]) for e in last}
    clients["bob"].delete(f"/v1/libraries/{name}")


def test_too_many_questions_of_one_user_are_put_off_and_not_anothers(site: Site, people: Path) -> None:
    add_user(people, "max", WORD)
    client = as_user(site, people, "max", "read")
    statuses = []
    for _ in range(25):
        reply = client.post("/v1/ask", json={"question": "When was the lighthouse built?", "reader": "extract"})
        statuses.append(reply.status_code)
        if reply.status_code == 429:
            break
    assert statuses[:-1] == [200] * (len(statuses) - 1) and statuses[-1] == 429
    assert 1 <= int(reply.headers["retry-after"]) <= 3 and "too often" in reply.json()["detail"]
    assert client.get("/v1/documents").status_code == 200, "reading goes on"
    with as_user(site, people, "eve", "read") as other:
        assert other.post("/v1/ask", json={"question": "Why?", "reader": "extract"}).status_code == 200


def test_pages_of_a_named_site_may_ask_with_a_token_and_without_cookies(site: Site, people: Path) -> None:
    origin = {"origin": "https://app.example"}
    before = httpx.options(
        f"{site.address}/v1/ask",
        headers=origin | {"access-control-request-method": "POST", "access-control-request-headers": "authorization"},
    )
    assert before.status_code == 200 and before.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-credentials" not in before.headers
    token = {"authorization": f"Bearer {add_token(people, 'bob', 'read', 1)}"}
    allowed = httpx.get(f"{site.address}/v1/documents", headers=origin | token)
    assert allowed.status_code == 200 and allowed.headers["access-control-allow-origin"] == "https://app.example"
    session = httpx.post(f"{site.address}/login", data={"name": "bob", "password": WORD}, timeout=30)
    cookie = {"cookie": session.headers["set-cookie"].partition(";")[0]}
    assert httpx.get(f"{site.address}/v1/documents", headers=cookie).status_code == 200
    assert httpx.get(f"{site.address}/v1/documents", headers=origin | cookie).status_code == 401
    other = httpx.get(f"{site.address}/v1/documents", headers={"origin": "https://evil.example"} | token)
    assert other.status_code == 403 and "access-control-allow-origin" not in other.headers


def test_a_line_of_json_for_each_request_with_its_id_and_user(site: Site, clients: dict[str, httpx.Client]) -> None:
    clients["bob"].get("/v1/documents", headers={"x-request-id": "find-me"})
    time.sleep(0.2)
    lines = [json.loads(line) for line in site.log.read_text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("request_id") == "find-me"]
    assert (line["user"], line["route"], line["status"], line["level"]) == ("bob", "/v1/documents", 200, "info")
    assert httpx.get(f"{site.address}/health").status_code == 200, "without a token"
    assert httpx.get(f"{site.address}/metrics").status_code == 401


# -- behind a proxy ------------------------------------------------------------------------------------------------


def test_a_proxy_may_say_who_asks_and_nobody_else_can(people: Path, tmp_path: Path, glossator: Run) -> None:
    Library.open(tmp_path / "library", create=True)
    refused = glossator("serve", "--library", tmp_path / "library", "--host", "0.0.0.0", "--user-header", "X-User")
    assert refused.returncode == 2 and "behind the proxy" in refused.stderr
    with Endpoint(replies({})) as reader:
        options = ["--users", people, "--user-header", "X-Forwarded-User", "--name", "docs.example"]
        site = Site(tmp_path / "library", tmp_path / "log", reader, options=options)
        try:
            proxied = {"host": "docs.example"}
            for name in ("", "a b", "x" * 99, "é"):
                headers = proxied | {"x-forwarded-user": name.encode()}
                assert httpx.get(f"{site.address}/v1/documents", headers=headers).status_code == 401
            assert httpx.get(site.address, headers=proxied).status_code == 401
            kim = proxied | {"x-forwarded-user": "kim@example.org"}
            made = httpx.post(f"{site.address}/v1/conversations", headers=kim)
            assert made.status_code == 201
            own = httpx.get(f"{site.address}/v1/conversations", headers=kim).json()["conversations"]
            assert [each["id"] for each in own] == [made.json()["id"]]
            other = httpx.get(f"{site.address}/v1/conversations", headers=proxied | {"x-forwarded-user": "lee"})
            assert other.json()["conversations"] == []
            assert httpx.get(f"{site.address}/v1/audit", headers=kim).status_code == 403
            ada = httpx.get(f"{site.address}/v1/audit", headers=proxied | {"x-forwarded-user": "ada"})
            assert ada.status_code == 200, "whom the users file calls an admin"
        finally:
            site.interrupt()


@needs_browser
@pytest.mark.slow
def test_a_browser_lets_no_other_site_in(site: Site, people: Path, browser: Any, tmp_path: Path) -> None:
    """Cross-site requests and a rebound name, from a page that a real browser has loaded from elsewhere."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Evil(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>evil</title>")

        def log_message(self, *arguments: object) -> None:
            """Not on stderr."""

    evil = ThreadingHTTPServer(("127.0.0.1", 0), Evil)
    threading.Thread(target=evil.serve_forever, daemon=True).start()
    page = browser.new_context().new_page()
    try:
        page.goto(f"{site.address}/login")
        page.get_by_label("Name").fill("bob")
        page.get_by_label("Password").fill(WORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Question").wait_for()
        ask = """async ([address, options]) => {
          try { const reply = await fetch(address, options); return [reply.status, (await reply.text()).slice(0, 60)]; }
          catch (error) { return [0, String(error)]; } }"""
        own = page.evaluate(ask, ["/v1/conversations", {"method": "POST"}])
        assert own[0] == 201
        before = page.evaluate(ask, ["/v1/conversations", {}])[1]
        page.goto(f"http://127.0.0.1:{evil.server_port}/")
        for options in (
            {"method": "POST", "credentials": "include"},
            {"method": "POST", "credentials": "include", "mode": "no-cors"},
            {"method": "DELETE", "credentials": "include"},
            {"credentials": "include"},
        ):
            reply = page.evaluate(ask, [f"{site.address}/v1/conversations", options])
            assert reply[0] == 0 and "conversations" not in reply[1]
        rebound = page.evaluate(ask, [f"http://rebound.localhost:{site.port}/v1/conversations", {}])
        assert rebound[0] == 0
        page.goto(site.address)
        assert page.evaluate(ask, ["/v1/conversations", {}])[1] == before, "nothing was made or removed"
    finally:
        page.context.close()
        evil.shutdown()
