"""MCP over stdio and over HTTP, by the SDK's own client: tools, structured content beside text, resources, refusals."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from mcp.shared.exceptions import MCPError

from rag.library.catalogue import Library
from tests.conftest import command
from tests.pages import Site
from tests.served import CROWNS_QUESTION

pytestmark = [pytest.mark.timeout(180)]
TOOLS = {"search", "ask", "open", "documents", "precedents", "chapters"}


@pytest.fixture(scope="module")
def site(served_site: Site) -> Site:
    return served_site


def over_http(site: Site, do: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Client(f"{site.address}/mcp") as client:
            return await do(client)

    return in_a_loop_of_its_own(run())


def over_stdio(site: Site, do: Callable[[Client], Awaitable[Any]]) -> Any:
    reader = f"reader.model=http://127.0.0.1:{site.reader.server_port}/v1#scripted"
    program, *arguments = command("--set", reader, "mcp", "--library", site.library)
    server = StdioServerParameters(command=str(program), args=[str(each) for each in arguments])

    async def run() -> Any:
        async with Client(stdio_client(server, errlog=sys.__stderr__)) as client:
            return await do(client)

    return in_a_loop_of_its_own(run())


def in_a_loop_of_its_own(coroutine: Any) -> Any:
    """What it gives. In a thread: a browser that an earlier test has opened keeps a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def text_of(result: Any) -> str:
    return str(result.content[0].text)


async def a_session(client: Client) -> dict[str, Any]:
    """What an assistant would do: look what there is, search, ask, open."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    listed = await client.call_tool("documents", {})
    found = await client.call_tool("search", {"query": "the lamp of the lighthouse", "k": 3})
    answer = await client.call_tool("ask", {"question": CROWNS_QUESTION, "style": "short"})
    cited = answer.structured_content["citations"][0]
    opened = await client.call_tool("open", {"document": cited["document_id"], "page": 2})
    resources = (await client.list_resources()).resources
    whole = await client.read_resource(f"glossator://documents/{cited['document_id']}")
    return {
        "tools": tools, "listed": listed, "found": found, "answer": answer, "opened": opened, "resources": resources,
        "whole": whole.contents[0].text,
    }  # fmt: skip


@pytest.mark.parametrize("how", [over_http, over_stdio])
def test_an_assistants_session(site: Site, how: Callable[..., Any]) -> None:
    told = how(site, a_session)
    assert set(told["tools"]) == TOOLS
    assert all(tool.annotations.read_only_hint and tool.output_schema for tool in told["tools"].values())
    entries = Library.open(site.library).documents()
    assert {each["document_id"] for each in told["listed"].structured_content["documents"]} == {
        entry.document_id for entry in entries
    }
    first = told["found"].structured_content["hits"][0]
    assert first["title"] == "The Harbour Book" and first["text"] in text_of(told["found"]) and first["why"]
    answer = told["answer"].structured_content
    (citation,) = answer["citations"]
    text = Library.open(site.library).document(citation["document_id"]).text
    assert answer["answer"] == "412 crowns [1]" and not answer["abstained"]
    assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert "The Harbour Book, page 2: “" in text_of(told["answer"]) and citation["quote"] in text_of(told["answer"])
    assert told["opened"].structured_content["place"] == "page 2"
    assert told["opened"].structured_content["text"] in text and "412 crowns" in text_of(told["opened"])
    assert len(told["resources"]) == len(entries) and told["whole"] == text
    if how is over_http:
        place = f"d={citation['document_id']}&s={citation['start']}&e={citation['end']}"
        assert citation["url"] == f"{site.address}/?{place}"
    else:
        assert citation["url"] == ""


def test_judgments_and_episodes(site: Site) -> None:
    async def session(client: Client) -> tuple[Any, ...]:
        return (
            await client.call_tool("precedents", {"document": "B. v. MALTA"}),
            await client.call_tool("chapters", {"document": "Kolm mill"}),
            await client.call_tool("open", {"document": "B. v. MALTA", "paragraph": 60}),
            await client.call_tool("open", {"document": "B. v. MALTA", "start": 10}),
        )

    precedents, chapters, paragraph, middle = over_http(site, session)
    assert not precedents.is_error, text_of(precedents)
    assert precedents.structured_content["hits"][0]["title"] == "A. v. AUSTRIA"
    listed = chapters.structured_content["chapters"]
    assert listed[0]["title"] == "The mill" and listed[0]["start_seconds"] == 0
    assert paragraph.structured_content["place"] == "§ 60" and "noise may disturb" in text_of(paragraph)
    text = Library.open(site.library).document(site.document_id("B. v. MALTA")).text
    assert middle.structured_content["text"] == text[10 : middle.structured_content["end"]]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("ask", {"question": ""}, "empty"),
        ("ask", {}, "question"),
        ("ask", {"question": "Why?", "style": "loud"}, "style"),
        ("ask", {"question": "Why?", "document": "no such book"}, "no document is called so"),
        ("ask", {"question": "Why?", "filters": ["x"]}, "FIELD=VALUE"),
        ("search", {"query": "x", "k": 0}, "k"),
        ("search", {"query": "x", "library": "../../etc"}, "no such library"),
        ("open", {"document": "../../etc/passwd"}, "no document is called so"),
        ("open", {"document": "http://127.0.0.1:1/x"}, "no document is called so"),
        ("open", {"document": "Harbour", "page": 9}, "no page 9"),
        ("open", {"document": "Harbour", "paragraph": 1}, "no paragraph"),
        ("open", {"document": " "}, "name a document"),
        ("precedents", {"document": "Harbour"}, "no judgment"),
        ("chapters", {"document": "Harbour"}, "no episode"),
    ],
)
def test_wrong_arguments_are_told_to_the_assistant(site: Site, tool: str, arguments: Any, said: str) -> None:
    result = over_http(site, lambda client: client.call_tool(tool, arguments))
    assert result.is_error and said.lower() in text_of(result).lower()
    assert "Traceback" not in text_of(result) and str(Path.home()) not in text_of(result)


def test_a_resource_and_a_tool_that_are_not_there(site: Site) -> None:
    async def refused(client: Client) -> list[str]:
        told = []
        for address in ("glossator://documents/nothing", "glossator://documents/..%2F..%2Fetc", "file:///etc/passwd"):
            try:
                await client.read_resource(address)
            except MCPError as error:
                told.append(str(error))
        return told

    assert len(over_http(site, refused)) == 3


def test_a_page_of_another_site_reaches_no_tool(site: Site) -> None:
    import httpx

    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"accept": "application/json, text/event-stream"}
    for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
        reply = httpx.post(f"{site.address}/mcp", json=call, headers=accept | headers)
        assert reply.status_code in (400, 403)
