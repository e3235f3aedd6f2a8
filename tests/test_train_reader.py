"""rag/train/reading: the loss against the reader's probabilities, gradients, windows around answers, and resuming."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rag.errors import DataError, UsageError
from rag.span.claim_support import VERDICTS, verdicts
from rag.span.span_model import open_span_model, padded
from rag.span.span_reader import SpanAnswer, decode, read_span
from rag.span.windows import PassageText, WindowSizes
from rag.train.checkpoints import CHECKPOINT
from rag.train.common import has_bfloat16
from rag.train.reading.claims import LabelledClaim, claim_loss, fitting_claims, split_claims
from rag.train.reading.reading_examples import Example, Examples
from rag.train.reading.reading_losses import answer_loss, outputs_of, relevance_loss
from rag.train.reading.reading_questions import (
    GoldSpan,
    Label,
    ReadingQuestion,
    answer_scores,
    sample_by_source,
    split_by_article,
)
from rag.train.reading.reading_student import ReadingStudent
from rag.train.reading.reading_training import Batches, ReadingRecipe, ReadingState, held_out_f1, save, train
from rag.train.torch_functional import TrainingFunctional
from tests.test_span import tiny

pytestmark = pytest.mark.usefixtures("one_thread")
NAMES, PLACES = "ada bo cara dan eva finn".split(), "aalborg bergen cadiz dover evora faro".split()
PIECES = "[PAD] [UNK] [CLS] [SEP] where does is live in ? . yes town".split() + NAMES + PLACES
SIZES = WindowSizes(window=32, question=8, title=4, overlap=8, answer=4)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("base"), heads=0, pieces=PIECES)


def student(base: Path, seed: int = 0) -> ReadingStudent:
    return ReadingStudent(str(base), seed, SIZES)


def asked(number: int, label: Label = "span") -> ReadingQuestion:
    """Where someone lives, who is in the second of three passages; about an article of its own."""
    draw = random.Random(number)
    (name, *others), (place, *rest) = draw.sample(NAMES, 3), draw.sample(PLACES, 3)
    people, towns = [others[0], name, others[1]], [rest[0], place, rest[1]]
    texts = [f"{who} live in {town}." for who, town in zip(people, towns, strict=True)]
    start = texts[1].index(place)
    spans = (GoldSpan(1, start, start + len(place)),) if label == "span" else ()
    golds = (place,) if label == "span" else (label,) if label in ("yes", "no") else ("",)
    passages = tuple(PassageText(f"town {number} {i}", text) for i, text in enumerate(texts))
    relevant = None if label == "unanswerable" else frozenset({1})
    question = f"where does {name} live ?"
    return ReadingQuestion(f"q{number}", "made-up", question, passages, label, spans, golds, relevant)


def test_the_loss_is_the_readers_probability(base: Path) -> None:
    """Each of several questions, from the same scores: minus the logarithm of what decode says of the gold answer."""
    model = student(base)
    model.named["heads.span.weight"].data.mul_(20)
    examples = Examples([asked(i) for i in range(8)], model.tokenizer)
    seen = set()
    for index in range(8):
        example = examples.example(index, "a")
        assert example is not None
        spans, heads = outputs_of([example], model)
        found = decode(
            [PassageText("", "x" * 40)] * len(example.windows), example.windows, model.model.scores(example.windows), 4
        )
        null = Example(example.windows, example.first_tokens, example.last_tokens, "unanswerable", example.relevance)
        assert answer_loss([null], spans, heads, 4).item() == pytest.approx(-np.log(found.not_here), abs=1e-4)
        if found.kind == "span":
            window = next(w for w in example.windows if w.passage == found.passage)
            first = [int(np.flatnonzero(window.begins & (window.offsets[:, 0] == found.start))[0])]
            last = [int(np.flatnonzero(window.ends & (window.offsets[:, 1] == found.end))[0])]
            none = np.zeros(0, dtype=np.int64)
            golds = [[np.asarray(one) if w is window else none for w in example.windows] for one in (first, last)]
            gold = Example(example.windows, tuple(golds[0]), tuple(golds[1]), "span", example.relevance)
            loss = answer_loss([gold], spans, heads, 4).item()
            assert loss == pytest.approx(-np.log(found.probability), abs=1e-4)
        seen.add(found.kind)
    assert "span" in seen


def test_losses_of_several_questions_are_their_mean(base: Path) -> None:
    model = student(base)
    labels = ["span", "yes", "no", "unanswerable", "span"]
    examples = Examples([asked(i, label) for i, label in enumerate(labels)], model.tokenizer)
    made = [example for i in range(5) if (example := examples.example(i, "b")) is not None]
    together = answer_loss(made, *outputs_of(made, model), 4).item()
    apart = [answer_loss([one], *outputs_of([one], model), 4).item() for one in made]
    assert len(made) == 5 and together == pytest.approx(sum(apart) / 5, abs=1e-5)


def test_gradients_are_finite_differences(base: Path) -> None:
    model = student(base)
    examples = Examples([asked(0), asked(1, "yes"), asked(2, "unanswerable")], model.tokenizer)
    made = [example for i in range(3) if (example := examples.example(i, "c")) is not None]
    windows = [window for example in made for window in example.windows]
    ids, types, real = map(torch.from_numpy, padded(windows))
    tensors = {name: weight.detach().double() for name, weight in model._bert.weights.items()}
    model._bert = model._bert.of_tensors(tensors, TrainingFunctional())
    names = ["heads.span.weight", "heads.passage.bias", "encoder.layer.1.output.dense.bias"]
    for name in names:
        tensors[name].requires_grad_()

    def loss() -> torch.Tensor:
        spans, heads, _ = model.outputs(ids, types, real)
        return answer_loss(made, spans, heads, 4) + relevance_loss(made, heads.float()).double()

    loss().backward()  # type: ignore[no-untyped-call]
    for name in names:
        flat, gradient = tensors[name].data.view(-1), tensors[name].grad
        assert gradient is not None
        for place in random.Random(0).sample(range(len(flat)), 4):
            kept, values = flat[place].item(), []
            for step in (1e-3, -1e-3):
                flat[place] = kept + step
                values.append(loss().item())
            flat[place] = kept
            assert gradient.view(-1)[place].item() == pytest.approx((values[0] - values[1]) / 2e-3, abs=2e-4)


def test_a_window_holds_the_answer_wherever_it_stands(base: Path) -> None:
    """In a text of 200 words; the marked tokens are the answer's, in whole words."""
    tokenizer = student(base).tokenizer
    draw = random.Random(3)
    for number in range(60):
        words = draw.choices(NAMES, k=200)
        place = draw.randrange(199)
        words[place : place + 2] = ["bergen", "faro"]
        text = " ".join(words)
        start = text.index("bergen") + draw.choice([0, 2])  # the source may mark a part of a word
        span = GoldSpan(0, start, text.index("faro") + 4)
        passages = (PassageText("town", text),)
        one = ReadingQuestion(f"q{number}", "s", "where ?", passages, "span", (span,), ("x",), frozenset({0}))
        example = Examples([one], tokenizer).example(0, str(number))
        assert example is not None
        window = example.windows[0]
        assert len(window.ids) == SIZES.window
        [first], [last] = example.first_tokens[0], example.last_tokens[0]
        assert window.begins[first] and window.ends[last]
        assert text[window.offsets[first, 0] : window.offsets[last, 1]] == "bergen faro"


def test_negatives_do_not_hold_the_answer(base: Path) -> None:
    """Nor does a question that is asked of them alone have one."""
    tokenizer = student(base).tokenizer
    questions = [asked(i) for i in range(40)]
    examples = Examples(questions, tokenizer)
    labels = []
    for i, question in enumerate(questions):
        example = examples.example(i, "d")
        assert example is not None
        labels.append(example.label)
        for window, relevance in zip(example.windows, example.relevance, strict=True):
            assert (PIECES.index(question.golds[0]) in window.ids) == (relevance == 1)
        assert (1.0 in example.relevance) == (example.label == "span")
    assert 0 < labels.count("unanswerable") < 20


def test_the_split_is_by_article_and_passage() -> None:
    questions = [asked(i) for i in range(200)]
    split = split_by_article([*questions, *questions])
    held = {question.passages[1].text for question in split.held_out}
    assert 10 < len(split.held_out) < 80 and split.left_out
    assert not any(passage.text in held for question in split.learnt for passage in question.passages)
    for question in split.learnt:
        [span] = question.spans
        assert question.passages[span.passage].text[span.start : span.end] == question.golds[0]
    assert split == split_by_article([*questions, *questions])


def test_samples_of_small_sources() -> None:
    questions = [replace(asked(i), source="large" if i < 100 else "small") for i in range(104)]
    found = sample_by_source(questions, 24, 0)
    assert [question.source for question in found].count("small") == 4
    assert sample_by_source(questions, 10, 0) == found[:10] != sample_by_source(questions, 10, 1)
    assert len(sample_by_source(questions, None, 0)) == 104


def test_scores_are_those_of_squad() -> None:
    def scores(text: str, label: Label) -> tuple[float, float]:
        return answer_scores(SpanAnswer("span", text, None, 0, 0, 1.0, 0.0, ()), asked(0, label))

    place = asked(0).golds[0]
    assert scores(f"The {place}.", "span") == (1, 1) and scores("", "span") == (0, 0)
    assert scores(f"{place} town", "span") == (0, pytest.approx(2 / 3))
    assert scores("", "unanswerable") == (1, 1) and scores("town", "unanswerable") == (0, 0)
    assert scores("yes", "yes") == (1, 1) and scores("no", "yes") == (0, 0)


def test_each_epoch_has_each_question_once() -> None:
    batches, again = (Batches(list(range(29)), 5, 0) for _ in range(2))
    first, second = ([i for step in range(6 * e, 6 * e + 6) for i in batches.of_step(step)] for e in range(2))
    assert batches.of_epoch == 6 and first != second
    assert sorted(first) == sorted(second) == list(range(29))
    assert [batches.of_step(step) for step in (8, 3)] == [again.of_step(step) for step in (8, 3)]


def claimed(number: int) -> LabelledClaim:
    """Where someone lives, and a text that says so, says another place, or speaks of someone else."""
    draw = random.Random(number)
    (name, other), (place, elsewhere) = draw.sample(NAMES, 2), draw.sample(PLACES, 2)
    verdict = VERDICTS[number % 3]
    who = other if verdict == "unknown" else name
    where = elsewhere if verdict == "refutes" else place
    return LabelledClaim(f"c{number}", "made-up", f"{name} live in {place}.", f"{who} live in {where}.", verdict)


def test_the_loss_of_claims_is_what_the_support_head_says(base: Path) -> None:
    """Minus the mean logarithm of the verdict's probability; of a binary claim, that it is not supported."""
    made = student(base)
    model = made.model
    claims = [claimed(i) for i in range(6)]
    said = verdicts(model, [claim.claim for claim in claims], [claim.text for claim in claims])
    assert all(sum(each.values()) == pytest.approx(1) for each in said)
    wanted = -np.mean([np.log(each[claim.verdict]) for claim, each in zip(claims, said, strict=True)])
    assert claim_loss(claims, made, half=False).item() == pytest.approx(wanted, abs=1e-4)
    binary = [replace(claim, binary=True) for claim in claims if claim.verdict != "refutes"]
    shares = [
        each["supports"] if claim.verdict == "supports" else 1 - each["supports"]
        for claim, each in zip(claims, said, strict=True)
        if claim.verdict != "refutes"
    ]
    assert claim_loss(binary, made, half=False).item() == pytest.approx(-np.log(shares).mean(), abs=1e-4)


def test_a_long_text_supports_a_claim_as_far_as_its_best_window(base: Path) -> None:
    model = student(base).model
    claim = "ada live in faro."
    text = " ".join(random.Random(0).choices(NAMES + PLACES, k=90))
    windows = model.tokenizer.windows(claim, [PassageText("", text)])
    scores = [np.exp(one) / np.exp(one).sum() for one in model.support_scores(windows)]
    [said, empty] = verdicts(model, [claim, ""], [text, ""])
    assert len(windows) > 3 and said["supports"] == pytest.approx(max(float(one[0]) for one in scores))
    assert sum(empty.values()) == pytest.approx(1)
    long = LabelledClaim("c", "s", claim, text, "supports")
    assert fitting_claims([long, claimed(0)], model.tokenizer) == [claimed(0)]


def test_claims_are_held_out_by_their_text() -> None:
    claims = [claimed(i) for i in range(300)]
    learnt, held = split_claims(claims)
    assert len(learnt) + len(held) == 300 and 5 < len(held) < 90
    assert not {claim.text for claim in learnt} & {claim.text for claim in held}


def test_attention_of_the_training_is_torchs() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, 2, 11, 8, requires_grad=True) for _ in range(3))
    mask = torch.rand(3, 1, 1, 11) < 0.7
    mask[..., 0] = True
    found = []
    for functional in (TrainingFunctional(), torch.nn.functional):
        states = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        gradients = torch.autograd.grad(states.square().sum(), (query, key, value))
        found.append((states, *gradients))
    for own, theirs in zip(*found, strict=True):
        torch.testing.assert_close(own, theirs, atol=1e-5, rtol=1e-4)


# -- the training ------------------------------------------------------------------------------------------------------


RECIPE = ReadingRecipe(epochs=2, questions=4, rate=3e-3, every=5)


def once(
    base: Path, checkpoint: Path, recipe: ReadingRecipe = RECIPE, stop: int = 0
) -> tuple[ReadingStudent, ReadingState]:
    def report(what: str, done: int, total: int, note: str) -> None:
        if done == stop:
            raise KeyboardInterrupt

    questions = [asked(i) for i in range(40)]
    made, claims = student(base, recipe.seed), [claimed(i) for i in range(30)]
    return made, train(questions, [asked(i) for i in range(40, 60)], made, recipe, checkpoint, report, claims)


@pytest.mark.parametrize("stop", [3, 5, 12, 19])
def test_a_training_that_was_cut_off_goes_on_with_the_same_curve(base: Path, tmp_path: Path, stop: int) -> None:
    whole, state = once(base, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        once(base, tmp_path / "cut", stop=stop)
    assert (tmp_path / "cut" / CHECKPOINT).is_file() == (stop >= 5)
    again, resumed = once(base, tmp_path / "cut")
    assert resumed.curve == state.curve and resumed.best_step == state.best_step
    assert all(torch.equal(again.named[name], weight) for name, weight in whole.named.items())


def test_the_best_of_the_last_quarter_is_kept(base: Path, tmp_path: Path) -> None:
    made, state = once(base, tmp_path / "all", replace(RECIPE, every=2))
    late = [point for point in state.curve if point.step > 15]
    assert [point.step for point in late] == [16, 18, 20]
    assert state.best_step == max(late, key=lambda point: point.f1).step
    f1 = held_out_f1(made, [asked(i) for i in range(40, 60)], has_bfloat16("cpu"))
    assert f1 == next(point.f1 for point in late if point.step == state.best_step)


def test_another_training_does_not_go_on_from_it(base: Path, tmp_path: Path) -> None:
    once(base, tmp_path)
    with pytest.raises(UsageError, match="other data or with other options"):
        once(base, tmp_path, ReadingRecipe(epochs=2, questions=4, rate=3e-3, every=5, seed=1))
    with pytest.raises(DataError, match="no question"):
        train([], [], student(base), RECIPE, tmp_path / "none", lambda *_: None)


def test_it_learns_and_is_read_again_as_it_was_saved(base: Path, tmp_path: Path) -> None:
    made, state = once(base, tmp_path / "checkpoint", ReadingRecipe(epochs=40, questions=8, rate=5e-3, every=50))
    assert max(point.f1 for point in state.curve) > 0.6, state.curve
    save(made, state, RECIPE, {"files": ["a"]}, tmp_path / "out")
    model = open_span_model(tmp_path / "out", SIZES)
    right = [read_span(model, (one := asked(i)).question, one.passages).text == one.golds[0] for i in range(60, 100)]
    assert sum(right) > 20
    questions = [asked(i) for i in range(60, 80)]
    claims = [claimed(i) for i in range(30)]  # as many as it was shown; their kind is beyond so small a model
    said = verdicts(model, [claim.claim for claim in claims], [claim.text for claim in claims])
    assert sum(max(each, key=lambda v: each[v]) == c.verdict for each, c in zip(said, claims, strict=True)) > 20
    further = ReadingStudent(str(tmp_path / "out"), 0, SIZES)  # a training may go on with other questions
    assert held_out_f1(further, questions, half=False) == pytest.approx(held_out_f1(made, questions, half=False))
    with pytest.raises(UsageError, match="is there already"):
        save(made, state, RECIPE, {}, tmp_path / "out")
