"""How long things take on this machine: ratios within one run, since absolute seconds move with the machine's load."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from eval.core.bootstrap import percentile
from eval.pdf.extraction import read_alone
from ingest.chunk import chunk
from rag.answer import ask
from rag.attribute.attribute import PERMUTATIONS, SEED
from rag.attribute.game import MASK, ReaderGame
from rag.attribute.players import Player, clauses, disjoint, documents, words
from rag.attribute.shapley import Value
from rag.attribute.tree_reader import in_torch
from rag.children import glossator
from rag.errors import ReaderError
from rag.explain import explain
from rag.index.manager import NEEDS, Indexes
from rag.llm.chat import ChatModel, first_line
from rag.llm.tokens import TURN_TOKENS
from rag.pipeline import Pipeline
from rag.protocols import Report, silent
from rag.read.injection.mask import mask_injections
from rag.read.prompts import answer_messages
from rag.records import Answer, Attribution, Hit
from rag.search import open_retriever
from rag.settings import Settings

REPEAT = 3
WAYS = {
    "naive": "every coalition of every permutation read again: counted, not run",
    "cache": "every different coalition read once, its prompt computed again",
    "cache, prefix order": "sorted, so that a prompt is computed from where it differs from the one before",
    "the same in torch": "the reader's own weights, which read faster there, and a tree of answers that is verified",
}
TORCH = "the same in torch"
WORD_WAYS = {
    "naive": "every coalition of every permutation of all words read again: counted, not run",
    "naive, opened alone": "the same of the documents, clauses and words that were players: counted, not run",
    "hierarchy": "what `ask --attribute word` does with these settings: what matters is opened, nothing is read twice",
}


def _ingest_once(file: Path) -> tuple[float, int]:
    """Wall seconds of the whole command into a new library, and its own figure of its peak memory in MB."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            glossator("ingest", str(file), "--library", f"{folder}/library", "--json"), check=True, capture_output=True
        )
        return time.perf_counter() - began, json.loads(done.stdout)["peak_memory_mb"]


def ingest(file: Path, indexes: Indexes, settings: Settings) -> dict[str, Any]:
    """Wall time of `glossator ingest` of one PDF, over its reading alone plus the encoders' passes alone.

    Each of the three is repeated in turn, and the medians are compared. The whole command is counted: its start, its
    imports, the models' load, all indexes, the links and the catalogue.
    """
    walls, extractions, encodings, memory = [], [], [], 0
    dense, sparse = indexes.encoder(), indexes.sparse_encoder()
    for _ in range(REPEAT):
        began = time.perf_counter()
        document = read_alone(file, settings.ingest.ocr)
        extractions.append(time.perf_counter() - began)
        passages = chunk(document, settings.ingest.passage_tokens, settings.ingest.overlap_tokens)
        texts = [passage.searched for passage in passages]
        began = time.perf_counter()
        dense.encode(texts)
        sparse.encode_documents(texts)
        encodings.append(time.perf_counter() - began)
        wall, memory = _ingest_once(file)
        walls.append(wall)
    wall, extraction, encoding = (statistics.median(values) for values in (walls, extractions, encodings))
    return {
        "file": file.name,
        "pages": len(document.pages),
        "passages": len(passages),
        "ingest_seconds": round(wall, 2),
        "extraction_seconds": round(extraction, 2),
        "encoding_seconds": round(encoding, 2),
        "peak_memory_mb": memory,
        "ratio": round(wall / (extraction + encoding), 3),
    }


def retrieval(indexes: Indexes, queries: Sequence[str], k: int) -> dict[str, Any]:
    """Milliseconds a query, one at a time, of each retriever over an opened library; warm-up not counted."""
    result: dict[str, Any] = {"queries": len(queries)}
    for name in NEEDS:
        retriever = open_retriever(indexes, name)
        times = []
        for query in [*queries[:3], *queries]:
            began = time.perf_counter()
            retriever.search([query], k)
            times.append((time.perf_counter() - began) * 1000)
        times = times[3:]
        result[name] = {"p50_ms": round(percentile(times, 0.5), 2), "p95_ms": round(percentile(times, 0.95), 2)}
    return result


def answer(pipeline: Pipeline, questions: Sequence[str], k: int) -> dict[str, Any]:
    """Seconds to the first token and to the end of an answer, and its prompt tokens: medians over the questions."""
    answers = []
    for question in questions:
        *_, last = ask(question, pipeline, k)
        assert isinstance(last, Answer)
        answers.append(last)
    parts = ("retrieve", "first_token", "answer", "note")
    seconds = {part: round(statistics.median(a.seconds.get(part, 0.0) for a in answers), 2) for part in parts}
    totals = [a.seconds["retrieve"] + a.seconds["answer"] + a.seconds["note"] for a in answers]
    return {
        "questions": len(answers),
        "reader": pipeline.reader.name,
        "seconds": seconds | {"total": round(statistics.median(totals), 2)},
        "prompt_tokens": round(statistics.mean(a.tokens["prompt"] for a in answers)),
        "prompt_tokens_max": max(a.tokens["prompt"] for a in answers),
    }


def attribution(
    pipeline: Pipeline, questions: Sequence[str], k: int, permutations: int = 100, report: Report = silent
) -> dict[str, Any]:
    """Calls, prompt tokens and seconds of document-level Shapley values by permutations, one way against another.

    The naive way is what P permutations of D documents ask for, P (D + 1) answers; its tokens and seconds are those
    that the second way has measured, each as often as it would be spent. Tokens are counted on the prompts; those of
    the third way are the ones behind what a prompt's text shares with the one before, an estimate: the cache shares
    whole tokens, and the end of a turn is taken as TURN_TOKENS. The fourth way is there for a reader whose weights can
    be unpacked; of its tokens all that went through the model are counted. `same_answers`: the share of the coalitions
    of which the third and the fourth way say what the second says. What abstains is not attributed.
    """
    fast = in_torch(pipeline.reader, report) is not None
    ways = [way for way in WAYS if fast or way != TORCH]
    sums = {way: {"calls": 0, "prompt_tokens": 0, "seconds": 0.0} for way in ways}
    attributed = 0
    same = dict.fromkeys(ways[2:], 0)
    for question in questions:
        *_, last = ask(question, pipeline, k, strategy="direct")
        assert isinstance(last, Answer)
        hits = [hit for hit in last.evidence if not hit.ignored]
        if last.abstained or not hits:
            continue
        attributed += 1
        found = _attributed(pipeline, question, hits, permutations, report)
        for way, (calls, tokens, seconds, _) in found.items():
            _add(sums[way], calls, tokens, seconds)
        from_start = found["cache"][3]
        for way in same:
            same[way] += sum(from_start[coalition] == found[way][3][coalition] for coalition in from_start)
    cached = sums["cache"]
    return {
        "level": "document",
        "questions": attributed,
        "abstained": len(questions) - attributed,
        "reader": pipeline.reader.name,
        "k": k,
        "permutations": permutations,
        **_rounded(sums),
        "ratios": _ratios(sums),
        "same_answers": {way: round(count / cached["calls"], 4) for way, count in same.items() if cached["calls"]},
    }


def word_attribution(pipeline: Pipeline, questions: Sequence[str], k: int, report: Report = silent) -> dict[str, Any]:
    """Calls, prompt tokens and seconds of scores down to words: what they would be naively, and what they are.

    The naive way is what P permutations of n words ask for, P (n + 1) answers; titles, which are no words, would come
    on top. It takes as many tokens a call as the prompts that were read have on average, and as many seconds a token as
    the answer shown took. The hierarchy is run as the settings say, `attribute.calls` among them. Its prompt tokens are
    counted behind what a prompt shares with the one before, as in `attribution`. `scored` of `words` have a value, and
    `stopped` says why questions ended early: values are then of fewer permutations, or of none on the lower levels.
    """
    permutations = pipeline.settings.attribute.permutations or PERMUTATIONS["word"]
    sums = {way: {"calls": 0, "prompt_tokens": 0, "seconds": 0.0} for way in WORD_WAYS}
    attributed = all_words = scored = 0
    stopped: list[str] = []
    for question in questions:
        *_, last = ask(question, pipeline, k, strategy="direct")
        assert isinstance(last, Answer)
        hits = disjoint(mask_injections([hit for hit in last.evidence if not hit.ignored]))
        if last.abstained or not hits:
            continue
        attributed += 1
        number = sum(len(words(clause, hit)) for hit in hits for clause in clauses(hit))
        found, costs = _by_words(pipeline, last, hits, permutations * (number + 1), report)
        for way, cost in costs.items():
            _add(sums[way], *cost)
        all_words += number
        scored += sum(player.kind == "word" for player in found.players)
        stopped += [found.stopped] if found.stopped else []
    return {
        "level": "word",
        "questions": attributed,
        "abstained": len(questions) - attributed,
        "reader": pipeline.reader.name,
        "k": k,
        "permutations": permutations,
        "budget": pipeline.settings.attribute.calls,
        "words": all_words,
        "scored": scored,
        "stopped": stopped,
        **_rounded(sums),
        "ratios": _ratios(sums),
    }


def _by_words(
    pipeline: Pipeline, answer: Answer, hits: Sequence[Hit], naive: int, report: Report
) -> tuple[Attribution, dict[str, Cost]]:
    """An answer attributed down to words, and what each way of WORD_WAYS costs. `naive`: the calls of the first."""
    count = pipeline.reader.count
    kept: dict[str, Value] = {}  # by the prompt, in the order in which they were read
    explained = explain(answer, pipeline, "direct", "word", report=report, kept=kept)
    found = explained.attribution
    assert found is not None
    head = answer_messages("", [])[:-1]
    read = [[*head, ("user", prompt.replace(MASK, "") + answer.question)] for prompt in kept]
    read = read[max(0, len(read) - found.reader_calls) :]  # what all of the evidence says may be known from the answer
    each = statistics.mean(map(count, read)) if read else 0.0
    pace = answer.seconds["answer"] / count(answer_messages(answer.question, hits))
    before = ["", *(messages[-1][1] for messages in read)]
    tokens = sum(_processed(count, messages, earlier) for messages, earlier in zip(read, before, strict=False))
    counted = {"naive": naive, "naive, opened alone": found.naive_reader_calls}
    return found, {
        **{way: (calls, round(calls * each), calls * each * pace) for way, calls in counted.items()},
        "hierarchy": (found.reader_calls, tokens, explained.seconds["attribute"]),
    }


def _add(row: dict[str, Any], calls: int, tokens: int, seconds: float) -> None:
    row["calls"] += calls
    row["prompt_tokens"] += tokens
    row["seconds"] += seconds


def _rounded(sums: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {way: row | {"seconds": round(row["seconds"], 1)} for way, row in sums.items()}


def _ratios(sums: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """How many times as much the naive way takes as each other."""
    naive = sums["naive"]
    return {
        way: {what: round(naive[what] / row[what], 2) if row[what] else None for what in row}
        for way, row in sums.items()
        if way != "naive"
    }


def attribution_text(result: Mapping[str, Any]) -> str:
    """The result as a table for a terminal, of either level."""
    by_words = result["level"] == "word"
    known = WORD_WAYS if by_words else WAYS
    lines = [
        f"{result['questions']} questions attributed to {'the words of ' * by_words}{result['k']} documents at most, "
        f"{result['permutations']} permutations, reader {result['reader']}; against the naive way in brackets",
        f"{'':20} {'calls':>16} {'prompt tokens':>24} {'seconds':>18}",
    ]
    ways = [way for way in known if way in result]
    for way in ways:
        row, ratios = result[way], result["ratios"].get(way, {})
        cells = [f"{row[what]:,}" + (f" ({ratios[what]} x)" if ratios.get(what) else "") for what in row]
        lines.append(f"{way:20} {cells[0]:>16} {cells[1]:>24} {cells[2]:>18}")
    lines += [f"{way}: {known[way]}" for way in ways]
    if by_words:
        lines.append(f"values out: of {result['scored']:,} of {result['words']:,} words, those in what was opened")
        lines += [f"ended early, {count} x: {why}" for why, count in Counter(result["stopped"]).items()]
        return "\n".join(lines)
    lines += [
        f"{way}: same answers as with the cache alone: {share:.1%}" for way, share in result["same_answers"].items()
    ]
    return "\n".join(lines)


Cost = tuple[int, int, float]  # calls, prompt tokens, seconds
Said = dict[frozenset[Player], str]


def _attributed(
    pipeline: Pipeline, question: str, hits: Sequence[Hit], permutations: int, report: Report
) -> dict[str, tuple[int, int, float, Said]]:
    """(calls, prompt tokens, seconds, what each coalition says) of each way."""
    generator = np.random.default_rng(SEED)
    game = ReaderGame(hits, lambda subset: {})
    players = documents(game.hits)
    orders = [generator.permutation(len(players)).tolist() for _ in range(permutations)]
    visits = [frozenset(players[i] for i in order[:n]) for order in orders for n in range(len(players) + 1)]
    distinct = list(dict.fromkeys(visits))

    from_start: Said = {}
    seconds: dict[frozenset[Player], float] = {}
    tokens: dict[frozenset[Player], int] = {}
    for done, coalition in enumerate(distinct, start=1):
        messages = answer_messages(question, game.evidence(coalition))
        tokens[coalition] = pipeline.reader.count(messages)
        began = time.perf_counter()
        from_start[coalition] = _reply_of(pipeline.reader, messages, pipeline.settings)
        seconds[coalition] = time.perf_counter() - began
        report("coalitions, each from the start", done, len(distinct))

    reader, before, processed, spent = pipeline.reader.going_on(), "", 0, 0.0

    def read(subset: Sequence[Hit]) -> Value:
        nonlocal before, processed, spent
        messages = answer_messages(question, subset)
        processed += _processed(pipeline.reader.count, messages, before)
        before = messages[-1][1]
        began = time.perf_counter()
        reply = _reply_of(reader, messages, pipeline.settings)
        spent += time.perf_counter() - began
        return {reply: 1.0}

    ordered = ReaderGame(hits, read, budget=len(distinct), report=report)
    values = ordered(distinct)
    if ordered.stopped:
        raise ReaderError(ordered.stopped)
    found = {
        "naive": (len(visits), sum(map(tokens.__getitem__, visits)), sum(map(seconds.__getitem__, visits)), {}),
        "cache": (len(distinct), sum(tokens.values()), sum(seconds.values()), from_start),
        "cache, prefix order": (ordered.calls, processed, spent, _answers(values)),
    }
    fast = in_torch(pipeline.reader)
    if fast is not None:
        began = time.perf_counter()

        def verified(subset: Sequence[Hit]) -> Value:
            return {_reply_of(fast, answer_messages(question, subset), pipeline.settings): 1.0}

        alike = ReaderGame(hits, verified, budget=len(distinct), report=report)
        values = alike(distinct)
        tokens_spent = sum(decoder.spent.tokens for decoder in fast.decoders.values())
        found[TORCH] = (alike.calls, tokens_spent, time.perf_counter() - began, _answers(values))
    return found


def _answers(values: Mapping[frozenset[Player], Value]) -> Said:
    return {coalition: next(iter(value)) for coalition, value in values.items()}


def _reply_of(reader: ChatModel, messages: Sequence[tuple[str, Any]], settings: Settings) -> str:
    return first_line("".join(reader.stream(messages, settings.reader.answer_tokens)))


def _processed(
    count: Callable[[Sequence[tuple[str, Any]]], int], messages: Sequence[tuple[str, Any]], before: str
) -> int:
    """Tokens of the prompt behind what its last message shares with the one before; all of it where nothing was."""
    if not before:
        return count(messages)
    *head, (role, text) = messages
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, text, strict=False)))
    return count(messages) - count([*head, (role, text[:shared])]) + TURN_TOKENS
