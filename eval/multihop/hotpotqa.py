"""HotpotQA, 2WikiMultihopQA and MuSiQue: answers, supporting facts and retrieval, with the official measures.

Setting "distractor": each question is asked over its own paragraphs. Setting "open": over one pool, a corpus of the
caller's or all paragraphs of the file. The index is one for the whole file in both, so a question's ranking does not
depend on how many others are asked.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.core.cache import Replies
from eval.core.metrics import best_answer_scores, joint_scores, set_scores
from eval.core.trials import (
    BM25,
    CLOSED_BOOK,
    ORACLE,
    RANDOM,
    Evidence,
    Running,
    Trial,
    TrialRows,
    as_hits,
    draw,
    judge_trials,
    run_trials,
)
from eval.multihop.questions import Benchmark, ContextParagraph, Fact, Question
from eval.retrieval.collection import read_corpus, read_qrels
from eval.retrieval.corpus import Corpus, Entry, open_corpus
from rag.errors import DataError
from rag.pipeline import Pipeline
from rag.protocols import Report, silent
from rag.read.cite import MARKER
from rag.records import Citation, Hit
from rag.search import open_retriever
from rag.sentences import sentence_spans
from rag.settings import Settings

DEPTH = 5  # of the rankings that R@5 and all_gold@5 look at
NO_ANSWER = "noanswer"  # the official word for an abstention


@dataclass(frozen=True, slots=True)
class Pool:
    """What is searched.

    `within`: question id -> the catalogue numbers it may find (None: all). `gold`: question id -> the ids of the
    passages that bear its answer; a gold paragraph out of reach has an id that no passage within it has.
    """

    corpus: Corpus
    within: Mapping[str, list[int]] | None
    gold: Mapping[str, frozenset[str]]

    def passage_ids(self, question: Question) -> list[str]:
        """The passages that may be found for a question, in the order of the file."""
        if self.within is None:
            return list(self.corpus.passages)
        return list(dict.fromkeys(paragraph.entry.id for paragraph in question.paragraphs))


def open_pool(
    benchmark: Benchmark,
    setting: str,
    cache: Path,
    settings: Settings,
    retrievers: Sequence[str],
    corpus_file: Path | None = None,
    qrels_file: Path | None = None,
    report: Report = silent,
) -> Pool:
    """The passages of a setting, indexed.

    Raises DataError for qrels that name a passage unknown, or have no gold passage for a question.
    """
    entries = (
        read_corpus(corpus_file)
        if corpus_file
        else list(dict.fromkeys(p.entry for question in benchmark.questions for p in question.paragraphs))
    )
    ids = {entry.id: f"{entry.document_id}#0" for entry in entries}
    if qrels_file:
        gold = _gold_of_qrels(benchmark, qrels_file, ids)
    else:
        gold = _gold_of_titles(benchmark, entries, ids, own=corpus_file is None)
    corpus = open_corpus(entries, cache, settings, retrievers, report)
    within = None
    if setting == "distractor":
        within = {
            question.id: sorted({corpus.numbers[paragraph.entry.id] for paragraph in question.paragraphs})
            for question in benchmark.questions
        }
    return Pool(corpus, within, gold)


def _gold_of_qrels(benchmark: Benchmark, file: Path, ids: Mapping[str, str]) -> dict[str, frozenset[str]]:
    qrels = read_qrels(file, ids)
    gold = {
        question.id: frozenset(ids[key] for key, grade in qrels.get(question.id, {}).items() if grade > 0)
        for question in benchmark.questions
    }
    if missing := [identity for identity, subset in gold.items() if not subset]:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(
            f"{file}: no passage is gold for question {missing[0]}{more}. Name the qrels of this question file"
        )
    return gold


def _gold_of_titles(
    benchmark: Benchmark, pool: Sequence[Entry], ids: Mapping[str, str], own: bool
) -> dict[str, frozenset[str]]:
    """The gold paragraphs of each question's context (`own`), and those of the other gold titles in the pool."""
    by_title = {html.unescape(entry.title): ids[entry.id] for entry in pool}
    gold = {}
    for question in benchmark.questions:
        present = [question.paragraphs[i] for i in question.gold] if own else []
        found = {ids[paragraph.entry.id] for paragraph in present}
        for title in set(question.gold_titles) - {paragraph.title for paragraph in present}:
            found.add(by_title.get(html.unescape(title), f"not in the pool: {title}"))
        gold[question.id] = frozenset(found)
    return gold


def rows_of(
    questions: Sequence[Question],
    pool: Pool,
    retriever: str,
    k: int,
    seed: int,
    controls: bool,
    report: Report,
    without_gold: bool = False,
) -> TrialRows:
    """The system's row, named by its retriever, and the controls. `without_gold`: no ranking has the gold passages."""

    def searching(name: str) -> Evidence:
        finder = open_retriever(pool.corpus.indexes, name, report)

        def search(place: int, query: str) -> list[Hit]:
            question = questions[place]
            within = None if pool.within is None else pool.within[question.id]
            gone = pool.gold[question.id] if without_gold else frozenset()
            hits = finder.search([query], max(k, DEPTH) + len(gone), within)[0]
            left = [hit for hit in hits if hit.passage.passage_id not in gone][: max(k, DEPTH)]
            return [replace(hit, rank=rank) for rank, hit in enumerate(left, start=1)]

        return search

    def oracle(place: int, query: str) -> list[Hit]:
        gold = pool.gold[questions[place].id]
        subset = [pool.corpus.passages[key] for key in pool.passage_ids(questions[place])]
        return as_hits([passage for passage in subset if passage.passage_id in gold])

    def random_passages(place: int, query: str) -> list[Hit]:
        subset = [pool.corpus.passages[key] for key in pool.passage_ids(questions[place])]
        return draw(subset, max(k, DEPTH), questions[place].id, seed)

    evidence: dict[str, Evidence | None] = {retriever: searching(retriever)}
    if controls:
        if retriever != BM25:
            evidence[BM25] = searching(BM25)
        evidence |= {ORACLE: oracle, RANDOM: random_passages, CLOSED_BOOK: None}
    return TrialRows([question.question for question in questions], evidence)


# -- scores ----------------------------------------------------------------------------------------------------


def predicted(trial: Trial) -> str:
    """What is handed in as the answer: the phrase without its markers, "noanswer" for an abstention."""
    if trial.answer is None:
        return ""
    return NO_ANSWER if trial.answer.abstained else MARKER.sub("", trial.answer.answer)


def facts_of(citations: Iterable[Citation], question: Question, corpus: Corpus) -> dict[Fact, int | None]:
    """The sentences that the citations quote, and in which of the question's paragraphs each stands.

    A quote stands for each sentence with which it shares at least half of the shorter of the two. A passage that is not
    among the question's paragraphs (None) is cut into sentences by us.
    """
    facts: dict[Fact, int | None] = {}
    for citation in citations:
        place = _place_of(citation, question, corpus)
        if place is None:
            title, spans = citation.title, sentence_spans(corpus.passages[corpus.ids[citation.passage_id]].text)
        else:
            title, spans = question.paragraphs[place].title, _spans(question.paragraphs[place])
        for index, (start, end) in enumerate(spans):
            shared = min(end, citation.end) - max(start, citation.start)
            if shared * 2 >= min(end - start, citation.end - citation.start) > 0:
                facts[title, index] = place
    return facts


def _place_of(citation: Citation, question: Question, corpus: Corpus) -> int | None:
    for of_passage in (True, False):  # a corpus of the caller's has ids of its own; then the title tells
        for place, paragraph in enumerate(question.paragraphs):
            same_title = html.unescape(paragraph.title) == citation.title
            if paragraph.entry.id == corpus.ids[citation.passage_id] if of_passage else same_title:
                return place
    return None


def _spans(paragraph: ContextParagraph) -> list[tuple[int, int]]:
    """Each sentence's span in the passage, whose text is the sentences without HTML entities, joined."""
    spans, end = [], 0
    for i in range(len(paragraph.sentences)):
        upto = len(html.unescape(replace(paragraph, sentences=paragraph.sentences[: i + 1]).text))
        text = html.unescape(paragraph.sentences[i])
        spans.append((upto - len(text.lstrip()), upto))
        end = upto
    assert end == len(html.unescape(paragraph.text))
    return spans


def scores(trial: Trial, question: Question, gold: frozenset[str], facts: Collection[Fact]) -> dict[str, float | None]:
    """Every measure of one trial, 0..1 (tokens apart); None where it does not apply. A failed trial scores 0."""
    answer = trial.answer
    em, f1, precision, recall = best_answer_scores(predicted(trial), question.answers)
    values: dict[str, float | None] = {"em": em, "f1": f1}
    if question.facts is not None:
        sp = set_scores(set(facts), question.facts)
        joint = joint_scores((em, f1, precision, recall), sp)
        values |= {"sp_em": sp[0], "sp_f1": sp[1], "joint_em": joint[0], "joint_f1": joint[1]}
    draft = best_answer_scores(MARKER.sub("", trial.draft), question.answers)
    values |= {"draft_em": draft[0], "draft_f1": draft[1]}
    if trial.row != CLOSED_BOOK:
        found = [hit.passage.passage_id for hit in trial.hits]
        values |= {f"R@{k}": len(gold & set(found[:k])) / len(gold) for k in (2, 5)}
        values["all_gold@5"] = float(gold <= set(found[:5]))
    values["abstained"] = float(answer is not None and answer.abstained)
    values["failed"] = float(trial.error is not None)
    tokens = answer.tokens if answer is not None else {}
    values |= {f"{name}_tokens": tokens.get(name) for name in ("prompt", "generated")}
    values["reader_calls"] = float(trial.calls)
    if answer is not None and answer.copied is not None:
        values["copied"], values["invented"] = map(float, answer.copied)
    if answer is not None and answer.notes and question.facts is not None:
        values["note_recall"] = _noted(answer.notes[-1].text, question)
    return values


def _noted(note: str, question: Question) -> float | None:
    """The share of the gold sentences that stand in the note, of those that the question's paragraphs have."""
    gold = [
        " ".join(html.unescape(sentence).split())
        for paragraph in question.paragraphs
        for index, sentence in enumerate(paragraph.sentences)
        if (paragraph.title, index) in (question.facts or ())
    ]
    return sum(sentence in note for sentence in gold) / len(gold) if gold else None


# -- the whole evaluation --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MultihopOutcome:
    """A trial with its question, the facts it cites, and its scores."""

    question: Question
    trial: Trial
    facts: dict[Fact, int | None]
    scores: dict[str, float | None]


def evaluate(
    questions: Sequence[Question],
    pool: Pool,
    pipeline: Pipeline,
    rows: TrialRows,
    k: int,
    strategy: str,
    replies: Replies,
    jobs: int = 1,
    report: Running = lambda done, total, score: None,
) -> dict[str, list[MultihopOutcome]]:
    """Ask every question in every row: row -> its outcomes in the order of the questions. Errors as of run_trials."""

    def judge(trial: Trial) -> MultihopOutcome:
        question = questions[trial.place]
        facts = facts_of(trial.answer.citations if trial.answer else (), question, pool.corpus)
        return MultihopOutcome(question, trial, facts, scores(trial, question, pool.gold[question.id], facts))

    def note(first: Sequence[MultihopOutcome]) -> str:
        ems, f1s = ([outcome.scores[name] or 0.0 for outcome in first] for name in ("em", "f1"))
        return f"EM {sum(ems) / len(ems):.2f} F1 {sum(f1s) / len(f1s):.2f}"

    return judge_trials(run_trials(rows, pipeline, k, strategy, replies, jobs), rows, judge, note, report)
