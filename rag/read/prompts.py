"""All wording that a reader sees. Passages are data: what they say is quoted, never obeyed."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rag.records import Hit, Passage

# A small reader answers best zero-shot, with the answer first and nothing else asked of it: HotpotQA distractor, 1.5B,
# n = 40: F1 53 so, 34 with a note written first (eval/log.md).
ANSWER = (
    "Answer the question. Use the passages if they help. "
    "Reply with only the shortest phrase that answers it, no sentence."
)
FROM_MEMORY = (
    "Answer the question from memory. Reply with only the shortest phrase that answers it, no sentence. Always guess."
)
SUPPORT = "Is this answer stated in the passages? Reply with only yes or no."
CLAIM = "Is the claim fully supported by the text? Reply with only yes or no."
HELPS = "Does the text help to answer the question? Reply with only yes or no."

NO_PICTURES: Mapping[int, bytes] = MappingProxyType({})
TURNS = re.compile(r"<(?=\||/?s>|(?:start|end)_of_turn>)")


def answer_messages(
    question: str, evidence: Sequence[Hit], pictures: Mapping[int, bytes] = NO_PICTURES
) -> list[tuple[str, Any]]:
    """The passages, numbered by rank, then the question. A title stands before the first of its passages in a row.

    `pictures` (rank -> PNG) of tables and figures follow the text, for a reader that sees.
    """
    lines = []
    for i, (hit, text) in enumerate(zip(evidence, shown(evidence), strict=True)):
        again = i > 0 and evidence[i - 1].passage.document_id == hit.passage.document_id
        title = "" if again else f"{' '.join(hit.passage.title.split())}: "
        lines.append(f"[{hit.rank}] {title}{_label(hit.passage)}{text}")
    passages = "\n".join(lines)
    asked = _plain(f"Passages:\n{passages}\n\nQuestion: {question}")
    return [("system", ANSWER), ("user", _with_pictures(asked, pictures) if pictures else asked)]


def _label(passage: Passage) -> str:
    """What a later part of a table or figure is part of; the first part begins with its caption."""
    return f"{passage.label}, continued: " if passage.label and not passage.text.startswith(passage.caption) else ""


def _with_pictures(text: str, pictures: Mapping[int, bytes]) -> list[dict[str, Any]]:
    """The text and the pictures as parts of one message, as OpenAI's protocol has them."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    for rank, png in sorted(pictures.items()):
        address = "data:image/png;base64," + base64.b64encode(png).decode()
        parts += [
            {"type": "text", "text": f"Picture of [{rank}]:"},
            {"type": "image_url", "image_url": {"url": address}},
        ]
    return parts


def memory_messages(question: str) -> list[tuple[str, str]]:
    """The question alone: what the reader knows without evidence, a control of benchmarks."""
    return [("system", FROM_MEMORY), ("user", _plain(f"Question: {question}"))]


def fitting(question: str, hits: Sequence[Hit], tokens: int) -> list[Hit]:
    """The best hits that a prompt of so many tokens can hold, at least one.

    A token is taken for three bytes: less than English needs (about four), about what an ideograph is.
    """
    room = 3 * (tokens - 100) - len(question.encode())  # 100: the instructions, and what comes after the answer
    kept: list[Hit] = []
    for hit in hits:
        room -= len(f"{hit.passage.title}{hit.passage.text}".encode())
        if kept and room < 0:
            break
        kept.append(hit)
    return kept


def support_messages(
    question: str, evidence: Sequence[Hit], answer: str, pictures: Mapping[int, bytes] = NO_PICTURES
) -> list[tuple[str, Any]]:
    """The same conversation, one turn on: the reader's cache already holds all of it but the last line."""
    return [*answer_messages(question, evidence, pictures), ("assistant", _plain(answer)), ("user", SUPPORT)]


def claim_messages(question: str, answer: str, passage: Passage) -> list[tuple[str, str]]:
    """The answer as a claim, with the one passage that is to bear it out."""
    text = " ".join(f"{passage.title}: {passage.text}".split())
    claim = f'The answer to "{question}" is "{answer}".'
    return [("user", _plain(f"Text: {text}\n\nClaim: {claim}\n\n{CLAIM}"))]


def helps_messages(question: str, passage: Passage) -> list[tuple[str, str]]:
    """One passage, the question, and whether the one helps with the other."""
    text = " ".join(f"{passage.title}: {passage.text}".split())
    return [("user", _plain(f"Text: {text}\n\nQuestion: {question}\n\n{HELPS}"))]


def _plain(text: str) -> str:
    """Without the marks that begin and end a turn, since llama.cpp obeys "<|im_end|>" wherever it stands."""
    return TURNS.sub("< ", text)


def shown(evidence: Sequence[Hit]) -> list[str]:
    """Each passage's text as the reader gets it: white space folded, and no text twice.

    Neighbouring passages overlap; what a better-ranked one has shown is left out of the others.
    """
    seen: dict[str, list[tuple[int, int]]] = {}
    texts = []
    for hit in evidence:
        passage = hit.passage
        start, end = passage.start, passage.end
        for shown_start, shown_end in seen.get(passage.document_id, []):
            if shown_start <= start < shown_end:
                start = min(shown_end, end)
            if shown_start < end <= shown_end:
                end = max(shown_start, start)
        seen.setdefault(passage.document_id, []).append((passage.start, passage.end))
        texts.append(" ".join(passage.text[start - passage.start : end - passage.start].split()))
    return texts
