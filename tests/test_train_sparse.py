"""sparse_training.py: made-up words and a tiny model learn them; what was cut off, damaged or absurd; the folder."""

from __future__ import annotations

import math
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from eval.retrieval.sparse_gain import ndcg_of
from rag.errors import DataError, LibraryError, ModelError, UsageError
from rag.train.checkpoints import CHECKPOINT
from rag.train.sparse.hard_negatives import TrainingPostings
from rag.train.sparse.pairs import Candidates, Pair, TrainingSet
from rag.train.sparse.sparse_recipe import Recipe
from rag.train.sparse.sparse_training import train
from rag.train.sparse.student import Student
from rag.train.sparse.training_state import State
from rag.train.sparse.training_step import Steps
from tests.conftest import ROOT
from tests.made import Words

pytestmark = pytest.mark.usefixtures("one_thread")
WORDS = Words()
TOPICS = 16
ASKED, SAID, OFTEN = ([WORDS.word() for _ in range(count)] for count in (24, 24, 12))  # ASKED[i] is SAID[i] in a query
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *ASKED, *SAID, *OFTEN, "."]


# -- a tiny model, a toy language


def tiny(folder: Path, kind: str = "BertForMaskedLM") -> Path:
    """A model with random weights and a vocabulary of whole words."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    torch.manual_seed(1)
    size = {"vocab_size": len(VOCABULARY), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    if kind.startswith("Llama"):
        config: Any = transformers.LlamaConfig(
            **size, intermediate_size=32, tie_word_embeddings=False, initializer_range=0.5, max_position_embeddings=64
        )
    else:
        config = transformers.BertConfig(**size, intermediate_size=32, initializer_range=0.3)
    getattr(transformers, kind)(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=64, **named).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("tiny") / "base")


@cache
def toy(seed: int = 0, count: int = 48) -> TrainingSet:
    """Texts that say two things among words that are often said; each is asked for in words that it does not have."""
    draw = random.Random(seed)
    said = [draw.sample(range(TOPICS), 2) for _ in range(count)]
    texts = [" ".join([*(SAID[i] for i in some), *draw.sample(OFTEN, 6)]) for some in said]
    pairs = [Pair(" ".join(ASKED[i] for i in some), (place,), "given") for place, some in enumerate(said)]
    return TrainingSet(tuple(texts), tuple(f"d{i}" for i in range(count)), tuple(range(count)), tuple(pairs))


def mined(data: TrainingSet, negatives: int = 4) -> list[Candidates]:
    """Random negatives; the teachers see the right text, on scales of their own."""
    draw, places = random.Random(5), range(len(data.texts))
    found = []
    for pair in data.pairs:
        drawn = draw.sample([i for i in places if i not in pair.positives], negatives)
        right = [1.0] * len(pair.positives) + [0.0] * negatives
        scores = {"bm25": right, "dense": [0.2 * x + 0.5 for x in right], "sparse": [9 * x for x in right]}
        found.append(
            Candidates((*pair.positives, *drawn), len(pair.positives), {n: tuple(s) for n, s in scores.items()})
        )
    return found


def recipe(**changes: Any) -> Recipe:
    return replace(
        Recipe(
            steps=12, queries=8, given=0.5, negatives=3, rate=1e-2, warm_up=2, max_tokens=16,
            teachers=("bm25", "dense"), distillation="kl", labels=1.0, penalty="flops", penalty_weight=1e-3,
            ramp_steps=4, idf_aware=True, train_idf=False, every=4, patience=9, seed=3,
            scale=1.0, free_terms=0, share=1.0, epochs=99,
        ),
        **changes,
    )  # fmt: skip


def student(
    folder: Path | str, method: str = "inference-free", data: TrainingSet | None = None, max_tokens: int = 16
) -> Student:
    return Student(method, folder, max_tokens, 8, (data or toy()).texts)


def ndcg(some: Student, data: TrainingSet | None = None) -> float:
    """Of questions over other texts than those that are learnt from."""
    held_out = data or toy(99)
    postings = TrainingPostings(some.encode_documents(held_out.texts))
    return float(
        np.mean(ndcg_of(lambda asked: np.stack([postings.products(v) for v in some.encode_queries(asked)]), held_out))
    )


def silent(what: str, done: int, total: int, note: str) -> None:
    pass


def trained(
    folder: Path | str,
    checkpoint: Path,
    how: Recipe,
    measure: Callable[[Student], float] = lambda some: 0.5,
    report: Callable[[str, int, int, str], None] = silent,
    method: str = "inference-free",
    data: TrainingSet | None = None,
    max_tokens: int = 16,
) -> tuple[Student, State]:
    data = data or toy()
    some = student(folder, method, data, max_tokens)
    return some, train(data, mined(data), some, how, measure, checkpoint, report)


def weights(some: Student) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in some.named_parameters().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def line(error: pytest.ExceptionInfo[Exception]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# -- learning


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 is added up in another order by each kind of processor, and so tiny a model learns otherwise there."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


def test_synonyms_are_learnt(model: Path, tmp_path: Path, full_precision: None) -> None:
    how = recipe(steps=90, queries=16, rate=2e-2, scale=0.3, penalty_weight=1e-2, every=45, ramp_steps=40)
    heard: list[tuple[str, int, int, str]] = []
    some, state = trained(model, tmp_path, how, ndcg, lambda *what: heard.append(what), data=toy(0, 150))
    before, *_, last = state.curve
    assert before.ndcg < 0.25 and last.ndcg > 0.5, state.curve
    assert state.curve[1].loss > 1.4 * last.loss
    assert ndcg(some) == pytest.approx(max(point.ndcg for point in state.curve), abs=0.03)
    assert [done for what, done, total, _ in heard] == list(range(91))
    assert {(what, total) for what, _, total, _ in heard} == {("training", 90)}
    assert all(re.fullmatch(r"loss \d+\.\d{3}, FLOPs \d+\.\d, nDCG@10 0\.\d{3}", note) for *_, note in heard[1:])


def test_few_queries_are_not_learnt_by_heart() -> None:
    how = Recipe(steps=500, epochs=5, queries=20, every=100)
    assert how.fitted(2000) == how == how.fitted(10**6)
    small = how.fitted(99)  # 99 * 5 / 20 = 24.75 steps
    assert (small.steps, small.every) == (25, 5)
    assert (how.fitted(1).steps, how.fitted(1).every) == (1, 1)


def test_it_is_left_at_its_best_and_ends_early(model: Path, tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def measure(some: Student) -> float:
        seen.append(weights(some))
        return [0.1, 0.5, 0.4, 0.5, 0.9][len(seen) - 1]

    some, state = trained(model, tmp_path, recipe(steps=40, patience=2), measure)
    assert (state.step, state.best_step) == (12, 4)
    assert [point.step for point in state.curve] == [0, 4, 8, 12]
    assert same(weights(some), {name: weight.half().float() for name, weight in seen[1].items()})
    assert not same(seen[1], seen[2])


@given(share=st.sampled_from([0.0, 0.25, 0.7]))
@settings(max_examples=3, deadline=None)
def test_what_is_measured_and_kept_lies_between_the_base_and_what_was_trained(
    model: Path, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    base = weights(student(model))
    measured: dict[float, list[dict[str, torch.Tensor]]] = {1.0: [], share: []}
    for how in measured:

        def measure(some: Student, seen: list[dict[str, torch.Tensor]] = measured[how]) -> float:
            seen.append(weights(some))
            return len(seen)

        some, state = trained(model, tmp_path_factory.mktemp("share"), recipe(share=how), measure)
        assert same(weights(some), {name: weight.half().float() for name, weight in measured[how][-1].items()})
        assert state.best_step == 12
    for raw, mixed in zip(measured[1.0], measured[share], strict=True):  # the training itself is the same
        for name in base:
            torch.testing.assert_close(mixed[name], base[name] + share * (raw[name] - base[name]))


def test_the_idf_aware_penalty_keeps_the_rare_terms(model: Path, tmp_path: Path, full_precision: None) -> None:
    """At about equal active terms, those of the idf-aware penalty have the higher idf (arXiv 2411.04403, section 3)."""
    found: dict[bool, tuple[float, float]] = {}
    data = toy(0, 100)
    for aware, price in ((True, 0.03), (False, 0.01)):
        how = recipe(steps=40, rate=2e-2, scale=0.3, penalty_weight=price, every=40, ramp_steps=10, idf_aware=aware)
        some, _ = trained(model, tmp_path / str(aware), how, moved, data=data)
        vectors = some.encode_documents(data.texts)
        active = np.concatenate([terms for terms, _ in vectors])
        found[aware] = len(active) / len(vectors), float(some.idf.detach().numpy()[active].mean())
    (terms, mean), (plain_terms, plain_mean) = found[True], found[False]
    assert 0.5 < terms / plain_terms < 2
    assert mean > 1.5 * plain_mean


# -- what was cut off


def moved(some: Student) -> float:
    """A measure that grows while it trains: how far the output layer's bias is from 0, where it begins."""
    return float(some._document._bias.detach().abs().sum())


def stop_at(step: int, stop: Callable[[], None]) -> Callable[[str, int, int, str], None]:
    def report(what: str, done: int, total: int, note: str) -> None:
        if done == step:
            stop()

    return report


def interrupt() -> None:
    raise KeyboardInterrupt


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("way", ["interrupted", "killed", "interrupted before a checkpoint"])
def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(model: Path, tmp_path: Path, way: str) -> None:
    how = recipe(train_idf=True)
    whole, state = trained(model, tmp_path / "whole", how, moved)
    if way == "killed":
        code = (
            "import sys, torch; from tests.test_train_sparse import *; torch.set_num_threads(1)\n"
            "trained(Path(sys.argv[1]), Path(sys.argv[2]), recipe(train_idf=True), moved, stop_at(10, kill))"
        )
        ended = subprocess.run([sys.executable, "-c", code, model, tmp_path / "cut"], cwd=ROOT, timeout=400)
        assert ended.returncode == -signal.SIGKILL
    else:
        with pytest.raises(KeyboardInterrupt):
            trained(model, tmp_path / "cut", how, moved, stop_at(10 if way == "interrupted" else 2, interrupt))
    assert (tmp_path / "cut" / CHECKPOINT).is_file() == (way != "interrupted before a checkpoint")
    heard: list[int] = []
    again, resumed = trained(model, tmp_path / "cut", how, moved, lambda what, done, total, note: heard.append(done))
    assert heard[0] == (0 if way == "interrupted before a checkpoint" else 9)
    assert same(weights(whole), weights(again)) and resumed.best_step == state.best_step == 12
    assert not same(weights(whole), weights(student(model)))
    assert whole.change.any()
    assert [replace(p, loss=0, flops=0) for p in resumed.curve] == [replace(p, loss=0, flops=0) for p in state.curve]
    assert [p.loss for p in resumed.curve[1:]] == [p.loss for p in state.curve[1:]]


def test_one_that_was_done_is_not_trained_again(model: Path, tmp_path: Path) -> None:
    once, _ = trained(model, tmp_path, recipe(), moved)
    heard: list[int] = []
    again, state = trained(model, tmp_path, recipe(), moved, lambda what, done, total, note: heard.append(done))
    assert not heard and same(weights(once), weights(again)) and state.step == 12


def test_a_checkpoint_of_another_training_is_refused(model: Path, tmp_path: Path) -> None:
    trained(model, tmp_path, recipe(steps=4))
    others: list[dict[str, Any]] = [
        {"how": recipe(steps=4, rate=2e-2)}, {"how": recipe(steps=4, seed=4)}, {"how": recipe(steps=4), "data": toy(1)},
        {"how": recipe(steps=4), "method": "SPLADE"}, {"how": recipe(steps=4), "max_tokens": 17},
    ]  # fmt: skip
    for other in others:
        with pytest.raises(UsageError, match="holds a training of other data or with other options") as error:
            trained(model, tmp_path, **other)
        assert str(tmp_path) in line(error) and "Remove it" in line(error)
    trained(model, tmp_path, recipe(steps=4))


def test_a_damaged_checkpoint_is_refused(model: Path, tmp_path: Path) -> None:
    trained(model, tmp_path, recipe(steps=4))
    file = tmp_path / CHECKPOINT
    whole = file.read_bytes()
    tensors = load_file(file)
    for damage in (b"", b"no such format", whole[:100], whole[:-1]):
        file.write_bytes(damage)
        with pytest.raises(UsageError, match=rf"{CHECKPOINT} cannot be read: .* Remove it, and begin again") as error:
            trained(model, tmp_path, recipe(steps=4))
        line(error)
    for record in ({}, {"record": "{"}, {"record": "[]"}):
        save_file(tensors, file, record)
        with pytest.raises(UsageError, match="cannot be read"):
            trained(model, tmp_path, recipe(steps=4))


# -- what goes wrong


@pytest.mark.parametrize("every", [1, 4])
def test_a_loss_that_is_no_number_ends_it(model: Path, tmp_path: Path, every: int) -> None:
    with pytest.raises(ModelError, match=r"the loss is no number any more at step \d+\. Nothing was changed") as error:
        trained(model, tmp_path / "checkpoint", recipe(rate=1e30, every=every), ndcg)
    assert "--recipe rate=1e+29" in line(error)
    assert not list(tmp_path.iterdir())


def test_weights_that_are_no_numbers_are_noticed_at_once(model: Path, tmp_path: Path) -> None:
    poisoned = student(model)
    with torch.no_grad():
        next(iter(poisoned.named_parameters().values()))[7] = math.nan
    with pytest.raises(ModelError, match="at step 1"):
        train(toy(), mined(toy()), poisoned, recipe(), lambda some: 0.0, tmp_path / "checkpoint", silent)
    with pytest.raises(ModelError, match="weights that are negative or no numbers"):  # before it began
        train(toy(), mined(toy()), poisoned, recipe(), ndcg, tmp_path / "checkpoint", silent)


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes.\nBacktrace"),
        RuntimeError("CUDA out of memory. Tried to allocate 9 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_short_memory_is_said(model: Path, tmp_path: Path, failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def text_features(some: Student, texts: Sequence[str], max_tokens: int, half: bool = False) -> torch.Tensor:
        raise failure

    monkeypatch.setattr(Student, "text_features", text_features)
    with pytest.raises(LibraryError, match="out of memory at step 1, 8 queries a step") as error:
        trained(model, tmp_path, recipe())
    assert "--recipe queries=4" in line(error)


def test_less_of_a_text_may_be_learnt_than_is_measured(model: Path) -> None:
    some = student(model)
    begins, ends = " ".join(OFTEN[:6]), " ".join(SAID[:6])  # six tokens, and [CLS] and [SEP]
    whole = f"{begins} {ends}"
    torch.testing.assert_close(some.text_features([whole], 8), some.text_features([begins], 16))
    assert not torch.equal(some.text_features([whole], 16), some.text_features([begins], 16))
    torch.testing.assert_close(some.text_features([whole], 99), some.text_features([whole], 16))  # what is indexed
    terms, weights = some.encode_documents([whole])[0]
    learnt = some.text_features([whole], 16)[0].detach()
    np.testing.assert_allclose(learnt[torch.from_numpy(terms)], weights, rtol=1e-5)


def test_another_error_is_not_called_short_memory(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def text_features(some: Student, texts: Sequence[str], max_tokens: int, half: bool = False) -> torch.Tensor:
        raise RuntimeError("elements of the tensor refer to a single memory location")

    monkeypatch.setattr(Student, "text_features", text_features)
    with pytest.raises(RuntimeError, match="single memory location"):
        trained(model, tmp_path, recipe())


@pytest.mark.parametrize(
    ("name", "value"), [("steps", 0), ("queries", 0), ("every", 0), ("patience", 0), ("negatives", -1), ("rate", -1.0),
                        ("given", 1.5), ("given", -0.1), ("labels", math.nan), ("max_tokens", 1)],
)  # fmt: skip
def test_a_recipe_that_cannot_be_followed_is_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"recipe: {name} is"):
        recipe(**{name: value})


# -- a step


@pytest.mark.parametrize("distillation", ["kl", "margin", "none"])
@pytest.mark.parametrize("labels", [0.0, 1.0])
@pytest.mark.parametrize("penalty", ["flops", "l1"])
def test_every_loss_takes_a_step(model: Path, tmp_path: Path, distillation: Any, labels: float, penalty: Any) -> None:
    how = recipe(steps=1, distillation=distillation, labels=labels, penalty=penalty, ramp_steps=0)
    some, state = trained(model, tmp_path, how, moved)
    assert math.isfinite(state.curve[-1].loss) and state.best_step == 1
    assert all(weight.isfinite().all() for weight in weights(some).values())


@pytest.mark.parametrize("distillation", ["kl", "margin"])
def test_a_query_without_negatives_of_its_own_takes_a_step(model: Path, tmp_path: Path, distillation: Any) -> None:
    some = student(model)
    how = recipe(steps=1, distillation=distillation)
    state = train(toy(), mined(toy(), 0), some, how, moved, tmp_path, silent)
    assert math.isfinite(state.curve[-1].loss)


def test_there_must_be_something_to_tell_apart(model: Path, tmp_path: Path) -> None:
    lonely = toy().part([0], toy().pairs[:1])
    with pytest.raises(DataError, match="no passage to tell the right one"):
        train(lonely, mined(lonely, 0), student(model), recipe(), lambda some: 0.0, tmp_path, silent)


@given(
    kinds=st.lists(st.sampled_from(["given", "title", "sentence"]), min_size=2, max_size=30),
    queries=st.integers(1, 9),
    share=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    negatives=st.integers(0, 3),
    positives=st.integers(1, 3),
    seed=st.integers(0, 9),
)
@settings(max_examples=80, deadline=None)
def test_steps_draw_every_pair_once_before_any_again(
    kinds: list[str], queries: int, share: float, negatives: int, positives: int, seed: int
) -> None:
    size = positives + 2
    pairs = tuple(Pair(f"q{i}", tuple(range(positives)), kind) for i, kind in enumerate(kinds))
    data = TrainingSet(("x",) * size, ("d",) * size, tuple(range(size)), pairs)
    made = [Candidates(tuple(range(size)), positives, {}) for _ in pairs]
    how = recipe(queries=queries, given=share, negatives=negatives, seed=seed)
    steps = [Steps(data, made, how).drawn(step) for step in range(12)]
    of_kind = {True: kinds.count("given"), False: len(kinds) - kinds.count("given")}
    mix = round(queries * share) if all(of_kind.values()) else queries * bool(of_kind[True])
    whole = Steps(data, made, how)
    order: dict[bool, list[int]] = {True: [], False: []}
    for number, drawn in enumerate(steps):
        assert whole.drawn(number) == drawn  # a function of its number
        assert Counter(kinds[place] == "given" for place, _ in drawn)[True] == mix and len(drawn) == queries
        for place, some in drawn:
            order[kinds[place] == "given"].append(place)
            assert len(set(some)) == len(some) == min(2, positives) + min(negatives, 2)
            assert [i < positives for i in some] == [True] * min(2, positives) + [False] * min(negatives, 2)
    for kind, places in order.items():
        for first in range(0, len(places), max(1, of_kind[kind])):
            epoch = places[first : first + of_kind[kind]]
            assert len(set(epoch)) == len(epoch)
