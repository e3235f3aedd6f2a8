"""Small files of question benchmarks, and an endpoint that answers them as it is told to."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Fields = dict[str, Any]
GARDENS = ["Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir"]
PEOPLE = ["Ada Lind", "Bo Krantz", "Cara Moss", "Dan Urquhart", "Eva Stark", "Finn Holm"]
TOWNS = ["Aalborg", "Bergen", "Cadiz", "Dover", "Evora", "Faro"]


def hotpot(count: int = 6) -> list[Fields]:
    """Questions in HotpotQA's fields. The third paragraph of each is no gold; every third answer is yes."""
    records = []
    for i in range(count):
        garden, person, town = f"{GARDENS[i]} Garden &amp; Park", PEOPLE[i], TOWNS[i]
        place = [f"{garden} is a park in the north.", f" It was laid out by {person} in 19{i:02}."]
        life = [f"{person} was a gardener.", f" {person} was born in {town} and died in 19{60 + i}."]
        other = [f"The {town} Tea Company has a garden in each town.", " It sells tea."]
        asked = f"In which town was the gardener who laid out {GARDENS[i]} Garden born?"
        yes = f"Was {person} the gardener who laid out {GARDENS[i]} Garden?"
        records.append(
            {
                "_id": f"q{i}",
                "question": yes if i % 3 == 2 else asked,
                "answer": "yes" if i % 3 == 2 else town,
                "type": "comparison" if i % 3 == 2 else "bridge",
                "level": "hard",
                "supporting_facts": [[garden, 1], [person, 1]],
                "context": [[garden, place], [person, life], [f"{town} | <Tea>", other]],
            }
        )
    return records


def musique(count: int = 2) -> list[Fields]:
    """Questions in MuSiQue's fields; both gold paragraphs of the first have one title."""
    return [
        {
            "id": f"{2 + i}hop__{i}",
            "paragraphs": [
                {"idx": 0, "title": "Moors", "paragraph_text": f"Moor {i} is wet. It is cold.", "is_supporting": False},
                {"idx": 1, "title": "Lakes", "paragraph_text": f"Lake {i} feeds the Orm.", "is_supporting": True},
                {"idx": 2, "title": "Lakes", "paragraph_text": f"The Orm of {i} ends in Ys.", "is_supporting": True},
            ],
            "question": f"Where does the river that lake {i} feeds end?",
            "question_decomposition": [],
            "answer": "Ys",
            "answer_aliases": ["Ker-Ys", "the town of Ys"],
            "answerable": True,
        }
        for i in range(count)
    ]


def written(file: Path, records: Sequence[Any] | str | bytes) -> Path:
    """A file of these: an array for .json, else a line each; gzipped if its name says so."""
    if isinstance(records, bytes):
        data = records
    elif isinstance(records, str):
        data = records.encode()
    elif ".jsonl" in file.name:
        data = "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records).encode()
    else:
        data = json.dumps(records).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" and not isinstance(records, bytes) else data)
    return file


class Endpoint:
    """An endpoint of OpenAI's protocol on loopback, as `answering` runs it.

    `replies`: question -> (reply, probability of yes), "Faro" and 0.9 for any other. `asked` has the question of every
    request. A question in `failing` gets status 400. The first `together` requests are held until so many are there;
    one for `stuck` is held for good, its `stuck_at`th (from 0).
    """

    def __init__(self, replies: dict[str, tuple[str, float]], prompt_tokens: int = 21):
        self.replies, self.prompt_tokens = replies, prompt_tokens
        self.address = ""
        self.asked: list[str] = []
        self.failing: set[str] = set()
        self.in_flight = self.most_in_flight = 0
        self.together = threading.Barrier(1)
        self.stuck, self.stuck_at = "", 0
        self.is_stuck, self.let_go = threading.Event(), threading.Event()
        self.lock = threading.Lock()

    def handle(self, request: Fields) -> tuple[int, str, str]:
        """Status, content type and body of the reply."""
        words = " ".join(str(message["content"]) for message in request["messages"])
        question = next((question for question in self.replies if question in words), words)
        with self.lock:
            self.asked.append(question)
            first = len(self.asked) <= self.together.parties
            stuck = question == self.stuck and self.asked.count(question) == self.stuck_at + 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if first:
                self.together.wait(20)
            if stuck:
                self.is_stuck.set()
                self.let_go.wait(60)
            if question in self.failing:
                return 400, "application/json", json.dumps({"error": {"message": "the model is asleep"}})
            return 200, *_reply(request, *self.replies.get(question, ("Faro", 0.9)), self.prompt_tokens)
        finally:
            with self.lock:
                self.in_flight -= 1


def _reply(request: Fields, text: str, yes: float, prompt_tokens: int) -> tuple[str, str]:
    import math

    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 3, "total_tokens": prompt_tokens + 3}
    if request.get("stream"):
        chunks: list[Fields] = [
            {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": usage},
        ]
        whole["object"] = "chat.completion.chunk"
        lines = [f"data: {json.dumps(whole | chunk)}\n\n" for chunk in chunks]
        return "text/event-stream", "".join(lines) + "data: [DONE]\n\n"
    tokens = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in (("yes", yes), ("no", 1 - yes))]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "yes"},
        "finish_reason": "length",
        "logprobs": {"content": [{**tokens[0], "top_logprobs": tokens}]},
    }
    return "application/json", json.dumps({**whole, "choices": [choice], "usage": usage})


@contextmanager
def answering(replies: dict[str, tuple[str, float]], prompt_tokens: int = 21) -> Iterator[Endpoint]:
    endpoint = Endpoint(replies, prompt_tokens)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, kind, body = endpoint.handle(request)
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())
            except ConnectionError:
                pass  # it was killed

        def log_message(self, *arguments: object) -> None:
            """Not on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    endpoint.address = f"http://127.0.0.1:{server.server_port}/v1#m"
    try:
        yield endpoint
    finally:
        endpoint.let_go.set()
        server.shutdown()
        server.server_close()
