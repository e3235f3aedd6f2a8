"""Attribution of a shown answer: which documents, clauses and words of the evidence made the reader give it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from rag.answer import pictures_of
from rag.attribute.attribute import Level, attribute
from rag.attribute.estimate import estimate
from rag.attribute.fusion_game import FusionGame
from rag.attribute.game import LOG_P, ReaderGame
from rag.attribute.players import Player
from rag.attribute.shapley import Value
from rag.attribute.tree_reader import as_tree, coalition_reader, in_torch
from rag.attribute.what_if import Span, decisive, edited, random_span, replacement, sentence_around
from rag.errors import ModelError, UsageError
from rag.llm.chat import ChatModel, Usage
from rag.llm.fusion_in_decoder import as_fusion
from rag.pipeline import Pipeline
from rag.protocols import Report, silent
from rag.read.cite import MARKER
from rag.read.injection.mask import mask_injections
from rag.read.instant_answer import same_answer
from rag.read.prompts import answer_messages
from rag.read.strategies import Reading, redraft
from rag.records import Answer, Change, Hit, Passage, WhatIf

MOST_TRIED = 3  # things that may decide an answer, each changed in turn until one does
log = logging.getLogger("glossator")


def explain(
    answer: Answer,
    pipeline: Pipeline,
    strategy: str,
    level: Level,
    permutations: int | None = None,
    report: Report = silent,
    stop: Callable[[], bool] = lambda: False,
    kept: dict[str, Value] | None = None,
) -> Answer:
    """The answer with its attribution: which documents, clauses and words made the reader say it.

    The reader reads parts of the evidence again, in the form that gave the answer; what the reader did not get is no
    part of it. Where tokens are masked it is asked directly, since whatever is read off in code has none. A reader of
    passages apart encodes them once, and what is absent is masked there, which is the same as deleted. An abstention is
    not attributed. `kept` is what earlier calls for this very answer have read, and grows. Raises UsageError for an
    `experimental.absence` that the model does not support.
    """
    if answer.abstained:
        return answer
    began = time.monotonic()
    settings, usage = pipeline.settings, Usage()
    hits = mask_injections([hit for hit in answer.evidence if not hit.ignored])

    def answer_from(hits: Sequence[Hit], by: ChatModel, strategy: str) -> Value:
        reading = Reading(
            answer.question, by, settings.reader, lambda query: [], list,
            lambda shown_hits: pictures_of(shown_hits, pipeline), tuple(hits), usage, pipeline.judge, pipeline.rules,
        )  # fmt: skip
        return {redraft(reading, strategy): 1.0}

    def masked(hits: Sequence[Hit], absent: Sequence[Player]) -> Value:
        by = as_tree(reader).masking(hits, absent)
        return likely(by, hits) if by_likelihood else answer_from(hits, by, "direct")

    def likely(by: ChatModel, hits: Sequence[Hit]) -> Value:
        return {LOG_P: by.log_probability(answer_messages(answer.question, hits), shown, usage)}

    shown = MARKER.sub("", answer.answer).strip()
    by_likelihood = settings.attribute.value == "likelihood"
    absence = settings.experimental.absence
    if not pipeline.reader.judges:
        strategy = "direct"
    if not pipeline.reader.judges and level == "document" and absence in ("deleted", "masked"):
        reader = pipeline.reader
        game: ReaderGame = FusionGame(
            as_fusion(reader), answer.question, hits, settings.reader.answer_tokens, shown if by_likelihood else None,
            settings.attribute.calls, stop, report, kept,
        )  # fmt: skip
    else:
        reader, whole = _reader_of_parts(pipeline, shown, lambda by: answer_from(hits, by, strategy), report)
        game = ReaderGame(
            hits,
            lambda hits: likely(reader, hits) if by_likelihood else answer_from(hits, reader, strategy),
            None if by_likelihood else whole,
            absence,
            _unrelated(answer, pipeline) if absence == "swapped" else None,
            settings.attribute.calls,
            stop,
            report,
            masked,
            kept,
        )
    permutations = permutations or settings.attribute.permutations or None
    attribution = replace(attribute(game, shown, level, permutations), absence=absence)
    if by_likelihood:
        baseline = None if game.stopped else next(iter(answer_from((), reader, strategy)))
        attribution = replace(attribution, value="likelihood", baseline_answer=baseline)
    seconds = answer.seconds | {"attribute": round(time.monotonic() - began, 3)}
    return replace(answer, attribution=attribution, seconds=seconds)


def estimated(answer: Answer, pipeline: Pipeline, level: Level) -> Answer | None:
    """The answer with a first estimate of its attribution, in a second or two; None where there is none."""
    if answer.abstained or pipeline.span_model is None:
        return None
    hits = mask_injections([hit for hit in answer.evidence if not hit.ignored])
    found = estimate(answer.question, MARKER.sub("", answer.answer).strip(), hits, pipeline.span_model(), level)
    return None if found is None else replace(answer, attribution=found)


def _reader_of_parts(
    pipeline: Pipeline, shown: str, whole: Callable[[ChatModel], Value], report: Report
) -> tuple[ChatModel, Value | None]:
    """The reader that reads parts of the evidence, and what it says of all of it if that is known.

    The reader's own weights in torch, which read faster, if they give the answer shown, too; else the reader itself.
    """
    absence = pipeline.settings.experimental.absence
    if pipeline.settings.attribute.runtime == "torch":
        try:
            fast = in_torch(pipeline.reader, report)
        except ModelError as error:
            if absence == "masked":
                raise
            log.warning("attribution takes several times as long: %s", error)
            fast = None
        if fast is not None and (absence == "masked" or shown in (value := whole(fast))):
            return fast, None if absence == "masked" else value
    reader = coalition_reader(pipeline.reader, absence)
    return reader, None if reader.masks else {shown: 1.0}


def _unrelated(answer: Answer, pipeline: Pipeline) -> Passage:
    """What to swap in: the last passage found for the question, of another document than the evidence if there is one.

    UsageError where nothing else is found.
    """
    found = pipeline.retriever.search([answer.question], pipeline.settings.retrieve.fusion_depth)[0]
    shown = {hit.passage.passage_id for hit in answer.evidence}
    documents = {hit.passage.document_id for hit in answer.evidence}
    others = [hit.passage for hit in found if hit.passage.passage_id not in shown and hit.passage.text.strip()]
    if not others:
        raise UsageError(
            "experimental.absence=swapped: nothing but the evidence is found for the question. Use deleted or filler"
        )
    return next((passage for passage in reversed(others) if passage.document_id not in documents), others[-1])


def what_if(
    answer: Answer, pipeline: Pipeline, strategy: str, report: Report = silent, stop: Callable[[], bool] = lambda: False
) -> Answer:
    """The answer with what would change it: the reader reads copies of the evidence with one thing changed.

    The evidence as it is, then with another date, number or name for what decides, up to MOST_TRIED of these until the
    reader says something else, then with a random one changed for control; where nothing changes the answer, without
    any evidence. Three to six readings. An abstention, and an answer in whose quotes nothing of these kinds stands, has
    no changes.
    """
    if answer.abstained:
        return answer
    began, settings, usage = time.monotonic(), pipeline.settings, Usage()
    hits = mask_injections([hit for hit in answer.evidence if not hit.ignored])
    strategy = strategy if pipeline.reader.judges else "direct"
    readings = 0

    def says(hits: Sequence[Hit]) -> str:
        nonlocal readings
        readings += 1
        report("readings", readings, MOST_TRIED + 3)
        reading = Reading(
            answer.question, pipeline.reader, settings.reader, lambda query: [], list,
            lambda shown_hits: {}, tuple(hits), usage, pipeline.judge, pipeline.rules,
        )  # fmt: skip
        return redraft(reading, strategy)

    shown = MARKER.sub("", answer.answer).strip()
    tried = decisive(shown, answer.citations, hits, answer.attribution)[:MOST_TRIED]
    if not tried:
        return replace(answer, what_if=WhatIf(shown, (), None, 0))
    baseline = says(hits)
    changes = list[Change]()

    def change(span: Span, decides: bool) -> Change:
        new = replacement(span, hits)
        said = says(edited(hits, span, new))
        passage = span.hit.passage
        before = sentence_around(passage.text, span.text)
        return Change(
            span.kind, span.text, new, said, not same_answer(said, baseline), decides, passage.document_id,
            passage.title, passage.start + span.start, passage.start + span.end, before, before.replace(span.text, new),
        )  # fmt: skip

    for span in tried:
        changes.append(change(span, True))
        if changes[-1].flipped or stop():
            break
    found = next((span for span, made in zip(tried, changes, strict=False) if made.flipped), tried[0])
    control = None if stop() else random_span(found, hits, answer.question)
    if control is not None:
        changes.append(change(control, False))
    memory = None
    if not any(each.flipped for each in changes if each.decisive) and not stop():
        memory = says([])
    seconds = answer.seconds | {"what_if": round(time.monotonic() - began, 3)}
    return replace(answer, what_if=WhatIf(baseline, tuple(changes), memory, readings), seconds=seconds)
