"""All wording that a reader sees. Passages are data: what they say is quoted, never obeyed."""

from __future__ import annotations

import base64
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from rag.encode.language import ENGLISH, NAMES, language_of
from rag.errors import UsageError
from rag.llm.tokens import PICTURE_TOKENS, SPARE_TOKENS, TITLE_CHARACTERS, TURN_TOKENS, prompt_tokens
from rag.read.injection.mask import masked, masked_name
from rag.read.quotes import Quote
from rag.records import Correction, Hit, Passage

# A small reader answers best zero-shot, with the answer first and nothing else asked of it: HotpotQA distractor, 1.5B,
# n = 40: F1 53 so, 34 with a note written first (eval/log.md).
ANSWER = (
    "Answer the question. Use the passages if they help. "
    "Reply with only the shortest phrase that answers it, no sentence."
)
CORRECTED = "Corrections, which are right even where the passages say otherwise:"
FROM_MEMORY = (
    "Answer the question from memory. Reply with only the shortest phrase that answers it, no sentence. Always guess."
)
SUPPORT = "Is this answer stated in the passages? Reply with only yes or no."
CLAIM = "Is the claim fully supported by the text? Reply with only yes or no."
HELPS = "Does the text help to answer the question? Reply with only yes or no."
YES_NO = "Reply with only yes or no."
NEEDED = (
    "Which passages are needed to answer the question? Reply with only their numbers, separated by commas, "
    "or NONE if none of them is needed."
)
CHOOSE = (
    "Choose the sentences that are needed to answer the question. "
    "Reply with only their numbers, separated by commas, or NONE if no sentence helps."
)
COPY = (
    "Choose the sentences that are needed to answer the question. "
    'Copy them word for word, each on a line of its own after "- ", or write NONE if no sentence helps.'
)
FROM_SENTENCES = (
    "Answer the question. Use the sentences if they help. "
    "Reply with only the shortest phrase that answers it, no sentence."
)
NONE = "NONE"
# A small reader follows examples where a question points back, and an instruction where it is asked over again.
REWRITE = (
    "Rewrite the last question so that it can be understood without the conversation: put names in place of words such "
    "as it, they or she, and say what was left out. Reply with only the rewritten question."
)
REWRITE_EXAMPLES = (
    ("Who wrote Dubliners?", "James Joyce", "When was he born?", "When was James Joyce born?"),
    ("How high is Mount Etna?", "3,403 m", "And Vesuvius?", "How high is Vesuvius?"),
    (
        "Who painted the ceiling of the Sistine Chapel?", "Michelangelo", "How long did it take?",
        "How long did it take to paint the ceiling of the Sistine Chapel?",
    ),
)  # fmt: skip
# For a follow-up without a pronoun, of what belongs to the thing before. With these in the place of Vesuvius the 1.5B
# rewrote 6 of 10 with pronouns rightly, and with Vesuvius 2 more of the 10.
REWRITE_EXAMPLES_DEFINITE = (
    REWRITE_EXAMPLES[0],
    (
        "What is the roof of the Globe Theatre made of?", "thatch", "How old is the roof?",
        "How old is the roof of the Globe Theatre?",
    ),
    (
        "How high is Mount Etna?", "3,403 m", "When was the last eruption?",
        "When was the last eruption of Mount Etna?",
    ),
    REWRITE_EXAMPLES[2],
)  # fmt: skip
# What stands behind a follow-up that was not rewritten: the turn before it.
ASKED_AFTER = " (This is asked after "
INSTEAD = "Ask the same question about this instead: {what}. Reply with only the question."
QUERY = "Write one short question that this text answers, in the text's language. Reply with only the question."

ANSWER_CHARACTERS = 300  # of the answer before a follow-up
NO_PICTURES: Mapping[int, bytes] = MappingProxyType({})
# What begins and ends a turn, by the first sign of it: ChatML, Llama 3 and Phi "<|", DeepSeek "<｜" (a wide bar), Gemma
# "<start_of_turn>", Llama 2 "<<SYS>>", and what stands at the edges of a text.
TURNS = re.compile(r"<(?=[|｜]|/?s>|(?:start|end)_of_(?:turn|image)>|</?SYS>>|(?:bos|eos|pad|unk)>|turn\|>)")
# Mistral and Llama 2 "[INST]", Exaone "[|user|]", Alpaca "### Instruction:".
OTHER_TURNS = re.compile(
    r"\[(?=\||/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
    r"|#(?=## ?(?i:instruction|input|response|system|user|human|assistant)s? ?:)"
)


def answer_messages(
    question: str, evidence: Sequence[Hit], pictures: Mapping[int, bytes] = NO_PICTURES,
    corrections: Sequence[Correction] = (),
) -> list[tuple[str, Any]]:  # fmt: skip
    """The passages, numbered by rank, then the question. A title stands before the first of its passages in a row.

    `pictures` (rank -> PNG) of tables and figures follow the text, for a reader that sees. `corrections`, masked
    already, stand before the passages; without any the prompt is the same to the byte.
    """
    before = f"{CORRECTED}\n{_corrected(corrections)}\n\n" if corrections else ""
    asked = plain(f"{before}Passages:\n{_numbered(evidence)}\n\nQuestion: {question}")
    language = language_of(question)
    told = ANSWER if language == ENGLISH else f"{ANSWER} Answer in {NAMES[language]}."
    return [("system", told), ("user", _with_pictures(asked, pictures) if pictures else asked)]


def _corrected(corrections: Sequence[Correction]) -> str:
    """A line for each correction: the question, its right answer, and why."""
    return "\n".join(
        f'- The answer to "{each.question}" is "{each.answer}".' + (f" {each.reason}" if each.reason else "")
        for each in corrections
    )


def _numbered(evidence: Sequence[Hit]) -> str:
    """A line for each passage, with its rank."""
    lines = []
    for i, (hit, text) in enumerate(zip(evidence, shown(evidence), strict=True)):
        again = i > 0 and evidence[i - 1].passage.document_id == hit.passage.document_id
        title = "" if again else name_line(hit.passage.title)
        title = f"{title}: " if title else ""
        lines.append(f"[{hit.rank}] {title}{_label(hit.passage)}{text}")
    return "\n".join(lines)


def _label(passage: Passage) -> str:
    """What a later part of a table or figure is part of; the first part begins with its caption."""
    label = "" if passage.text.startswith(passage.caption) else name_line(passage.label)
    return f"{label}, continued: " if label else ""


def name_line(name: str) -> str:
    """A document's title or a table's label, which are words of a document like any others: masked as passages are."""
    return " ".join(masked_name(name).split())


def _titled(passage: Passage) -> str:
    """A passage behind its title, on one line."""
    return " ".join(f"{name_line(passage.title)}: {passage.text}".split())


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
    return [("system", FROM_MEMORY), ("user", plain(f"Question: {question}"))]


def support_messages(
    question: str, evidence: Sequence[Hit], answer: str, pictures: Mapping[int, bytes] = NO_PICTURES
) -> list[tuple[str, Any]]:
    """The same conversation, one turn on: the reader's cache already holds all of it but the last line."""
    return [*answer_messages(question, evidence, pictures), ("assistant", plain(answer)), ("user", SUPPORT)]


def claim_messages(question: str, answer: str, *passages: Passage) -> list[tuple[str, str]]:
    """The answer as a claim, with the passages that are to support it."""
    text = "\n".join(map(_titled, passages))
    claim = f'The answer to "{question}" is "{answer}".'
    return [("user", plain(f"Text: {text}\n\nClaim: {claim}\n\n{CLAIM}"))]


def quote_messages(question: str, answer: str, passage: Passage, quoted: str) -> list[tuple[str, str]]:
    """The answer as a claim, with the words of a passage that are to say so, behind its title and caption."""
    caption = "" if quoted.startswith(passage.caption) else name_line(passage.caption)
    text = " ".join(f"{name_line(passage.title)}: {caption} {quoted}".split())
    claim = f'The answer to "{question}" is "{answer}".'
    return [("user", plain(f"Text: {text}\n\nClaim: {claim}\n\n{CLAIM}"))]


def statement_messages(statement: str, hits: Sequence[Hit]) -> list[tuple[str, str]]:
    """A sentence of an answer as the claim, with the passages that it cites."""
    text = "\n".join(_titled(hit.passage) for hit in hits)
    return [("user", plain(f"Text: {text}\n\nClaim: {statement}\n\n{CLAIM}"))]


def rewrite_messages(asked: str, answer: str, question: str, definite: bool = False) -> list[tuple[str, str]]:
    """Query rewriting: the question before, its answer ("" if there was none), and a follow-up to rewrite.

    `definite`: not by a pronoun, but by a thing that belongs to what was spoken of ("the margin").
    """
    messages = [("system", REWRITE)]
    for *turn, standalone in REWRITE_EXAMPLES_DEFINITE if definite else REWRITE_EXAMPLES:
        messages += [("user", _turns(*turn)), ("assistant", standalone)]
    return [*messages, ("user", _turns(asked, answer, question))]


def _turns(asked: str, answer: str, question: str) -> str:
    answered = f"Answer: {' '.join(masked(answer).split())[:ANSWER_CHARACTERS]}\n" if answer else ""
    return plain(f"Question: {asked}\n{answered}Question: {question}")


def instead_messages(asked: str, what: str) -> list[tuple[str, str]]:
    """The question before, and what it is to be asked about instead."""
    return [("user", plain(f"{asked}\n\n{INSTEAD.format(what=what)}"))]


def helps_messages(question: str, passage: Passage) -> list[tuple[str, str]]:
    """One passage, the question, and whether the one helps with the other."""
    text = " ".join(f"{name_line(passage.title)}: {masked(passage.text)}".split())  # a reranker sees it as it is stored
    return [("user", plain(f"Text: {text}\n\nQuestion: {question}\n\n{HELPS}"))]


def yes_no_messages(question: str, evidence: Sequence[Hit]) -> list[tuple[str, str]]:
    """The passages, then a question to be answered with yes or no."""
    return [("user", plain(f"{_numbered(evidence)}\n\n{question} {YES_NO}"))]


def needed_messages(question: str, hits: Sequence[Hit]) -> list[tuple[str, str]]:
    """I³C's question, of all doubtful passages at once: which of them, by their numbers, does the answer need?"""
    return [("system", NEEDED), ("user", plain(f"Passages:\n{_numbered(hits)}\n\nQuestion: {question}"))]


def number_messages(question: str, sentences: Sequence[Quote]) -> list[tuple[str, str]]:
    """ALR²'s first step, by number: the sentences under their titles, numbered from 1, then the question."""
    listed = under_titles(sentences, lambda number: f"[{number}]")
    return [("system", CHOOSE), ("user", plain(f"Sentences:\n{listed}\n\nQuestion: {question}"))]


def copy_messages(question: str, sentences: Sequence[Quote]) -> list[tuple[str, str]]:
    """ALR²'s first step, by copying: the sentences under their titles, then the question."""
    listed = under_titles(sentences, lambda number: "-")
    return [("system", COPY), ("user", plain(f"Sentences:\n{listed}\n\nQuestion: {question}"))]


def quotes_messages(question: str, quotes: Sequence[Quote], evidence: Sequence[Hit] = ()) -> list[tuple[str, str]]:
    """ALR²'s second step: the chosen sentences under their titles, then the question.

    With `evidence` its passages stand before them, as the paper's second step p(y | z, q, c) has the context c: a
    reader that was trained so (rag/train/quote_training.py) is asked so.
    """
    passages = f"Passages:\n{_numbered(evidence)}\n\n" if evidence else ""
    listed = under_titles(quotes, lambda number: "-")
    return [("system", FROM_SENTENCES), ("user", plain(f"{passages}Sentences:\n{listed}\n\nQuestion: {question}"))]


def bullets(quotes: Sequence[Quote]) -> str:
    """What a reader should reply to copy_messages: the sentences, one a line, or NONE.

    >>> bullets([])
    'NONE'
    """
    return plain("\n".join(f"- {' '.join(quote.text.split())}" for quote in quotes)) or NONE


def under_titles(quotes: Sequence[Quote], mark: Callable[[int], str]) -> str:
    """A marked line for each quote; what it is from stands above the first of several from there."""
    lines, above = [], ""
    for number, quote in enumerate(quotes, start=1):
        passage = quote.hit.passage
        title = ", ".join(filter(None, (name_line(passage.title)[:TITLE_CHARACTERS], name_line(passage.label))))
        if above != (above := f"{passage.document_id}\n{title}"):
            lines.append(f"# {title}")
        lines.append(f"{mark(number)} {' '.join(quote.text.split())}")
    return "\n".join(lines)


def fitting(
    question: str,
    hits: Sequence[Hit],
    tokens: int,
    sees: bool = False,
    count: Callable[[Sequence[tuple[str, str]]], int] = prompt_tokens,
) -> list[Hit]:
    """The best hits whose conversation, up to whether they support the answer, is at most `tokens` long by `count`.

    The answer's tokens come on top. `sees`: together with the pictures. A first hit that is too long alone is cut
    behind a word, or behind a letter of its first word; UsageError where not even that fits. A prompt that fits if each
    of its bytes is a token is not counted; else it takes one count where all hits fit, of five hits four at most, and
    for one that is cut as many more as the number of its words has bits.
    """

    def fits(chosen: Sequence[Hit]) -> bool:
        messages = support_messages(question, chosen, "")
        pictures = len({hit.passage.picture for hit in chosen} - {None}) if sees else 0
        left = tokens - SPARE_TOKENS - pictures * (PICTURE_TOKENS + TURN_TOKENS)
        return prompt_tokens(messages, lambda text: len(text.encode())) <= left or count(messages) <= left

    if not hits:
        return []
    if number := _most(len(hits), lambda n: fits(hits[:n])):
        return list(hits[:number])
    whole = replace(hits[0].passage, picture=None) if sees else hits[0].passage  # the picture may be what is too long
    words = [word.end() for word in re.finditer(r"\S+", whole.text)]
    ends = [*range(1, words[0]), *words] if words else []

    def cut(n: int) -> Hit:
        end = ends[n - 1]
        return replace(hits[0], passage=replace(whole, text=whole.text[:end], end=whole.start + end))

    if number := _most(len(ends), lambda n: fits([cut(n)])):
        return [cut(number)]
    raise UsageError("the question leaves no room for a passage. Shorten it, or raise reader.context_tokens")


def _most(number: int, fits: Callable[[int], bool]) -> int:
    """The most of 1..number that fits, found by halving; 0 where none does. What is returned has been tried."""
    if number and fits(number):
        return number
    return bisect_left(range(1, number), True, key=lambda n: not fits(n))


def plain(text: str) -> str:
    """Without the marks that begin and end a turn, since llama.cpp obeys "<|im_end|>" wherever it stands."""
    return OTHER_TURNS.sub(r"\g<0> ", TURNS.sub("< ", text))


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


# -- whether two answers mean the same -------------------------------------------------------------------------------


def same_messages(what: str, first: str, second: str) -> list[tuple[str, str]]:
    """Two names of one kind of thing ("nationality"), and whether they mean the same: "Dutch", "the Netherlands"."""
    return [("user", plain(f"One {what}: {first}\nOther {what}: {second}\n\nDo both name the same {what}? {YES_NO}"))]
