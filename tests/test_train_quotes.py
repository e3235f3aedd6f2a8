"""quote_training.py: the two-part loss by hand, what is learnt and what not, and a folder that is a reader."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from typer.testing import CliRunner

from eval.multihop.alignment import records_of
from eval.multihop.questions import ContextParagraph, Question, read_questions
from rag.errors import DataError, ModelError, UsageError
from rag.llm.chat import ChatModel, Usage
from rag.llm.open import open_reader
from rag.protocols import silent
from rag.read.prompts import COPY, FROM_SENTENCES, bullets, copy_messages, quotes_messages
from rag.read.quote_selection import select
from rag.read.quotes import Quote
from rag.read.strategies import Reading, quotes
from rag.records import Hit, Note
from rag.settings import ReaderSettings
from rag.train import adapters
from rag.train import quote_training as train_quotes
from rag.train.adapters import open_chat_model, reply_loss
from rag.train.checkpoints import CHECKPOINT, checkpoint_of
from rag.train.quote_training import QuoteRecord, alignment_loss, encode, save, train
from tests.conftest import DATA, needs_data
from tests.parts import passage
from ui.cli.main import app

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2 of two narrow layers with random weights; its tokenizer knows the prompts' words and all bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("reader") / "tiny"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<eos>"], initial_alphabet=letters)
    words = [COPY, FROM_SENTENCES, "Sentences:\n\nQuestion: Passages:\n[1] <system><user>"]
    tokenizer.train_from_iterator(words, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(1)
    config = Qwen2Config(vocab_size=len(fast), num_key_value_heads=2, eos_token_id=0, initializer_range=0.2, **sizes)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def record(question: str, answer: str, evidence: Sequence[int], *sentences: str) -> QuoteRecord:
    """An example whose context is one document a sentence."""
    hits = [Hit(i, 0.0, passage(0, text, f"d{i}", f"T{i}")) for i, text in enumerate(sentences, start=1)]
    context = tuple(Quote(hit, 0, len(hit.passage.text), False, 0.0) for hit in hits)
    return QuoteRecord(question, context, tuple(context[i] for i in evidence), answer)


BRIDGE = record("Who?", "Ada", [1], "It rained.", "Ada did.")
MILL = record("When was the mill sold?", "1920", [0, 2], "The mill was sold with the land.", "No.", "The land: 1920.")

# ---- the loss


def by_hand(model: Any, ids: list[int], begin: int) -> float:
    """-log p(target | prompt) of one row without padding, token by token."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    total = 0.0
    for place in range(begin, len(ids)):
        total -= float(logits[place - 1, ids[place]] - torch.logsumexp(logits[place - 1], 0))
    return total


def loss_of(model: Any, record: QuoteRecord, tokenizer: Any) -> float:
    with torch.no_grad():
        return float(alignment_loss(model, encode(record, tokenizer)))


def test_the_loss_is_the_sum_of_two_negative_log_likelihoods(tiny: Path) -> None:
    model, tokenizer = open_chat_model(str(tiny))
    for example in (BRIDGE, MILL):
        rows = encode(example, tokenizer)
        of_z, of_y = (by_hand(model, *row) for row in rows)
        assert of_z > of_y > 1  # more characters against fewer, all about equally unlikely
        assert loss_of(model, example, tokenizer) == pytest.approx(of_z + of_y, rel=1e-4)
    # Of a model that gives all logits, whatever it is asked to keep, the same.
    whole = model.forward
    model.forward = lambda **asked: whole(**asked | {"logits_to_keep": 0})
    assert loss_of(model, MILL, tokenizer) == pytest.approx(of_z + of_y, rel=1e-4)


def test_a_prompt_is_not_learnt(tiny: Path) -> None:
    model, tokenizer = open_chat_model(str(tiny))
    ids, begin = encode(BRIDGE, tokenizer)[0]
    embedded = model.get_input_embeddings()(torch.tensor(ids)[None]).detach()
    # A reply of two tokens depends on the prompt and on its own first token, and on nothing behind.
    short = ids[: begin + 2]
    seen = embedded[:, : len(short)].clone().requires_grad_()
    forward = model.forward
    model.forward = lambda input_ids, **asked: forward(inputs_embeds=seen, **asked)
    reply_loss(model, (short, begin)).backward()  # type: ignore[no-untyped-call]
    moved = seen.grad[0].abs().sum(1) > 0
    assert moved.tolist() == [True] * (begin + 1) + [False]  # the last token is predicted, and predicts nothing


def test_prompts_are_the_readers_and_targets_end(tiny: Path) -> None:
    _, tokenizer = open_chat_model(str(tiny))
    hits = [quote.hit for quote in MILL.context]
    asked = [copy_messages(MILL.question, MILL.context), quotes_messages(MILL.question, MILL.evidence, hits)]
    targets = [bullets(MILL.evidence), "1920"]
    for (ids, begin), messages, target in zip(encode(MILL, tokenizer), asked, targets, strict=True):
        prompt = "".join(f"<{role}>{content}\n" for role, content in messages) + "<assistant>"
        assert tokenizer.decode(ids[:begin]) == prompt
        assert tokenizer.decode(ids[begin:]) == f"{target}<eos>"
    assert bullets(MILL.evidence) == "- The mill was sold with the land.\n- The land: 1920."
    nothing = encode(record("Who?", "nobody", [], "It rained."), tokenizer)[0]
    assert tokenizer.decode(nothing[0][nothing[1] :]) == "NONE<eos>"


# ---- the training


def test_the_loss_falls_and_a_seed_is_kept(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_quotes, "RATE", 5e-3)
    heard: list[tuple[str, int, int]] = []

    def once(seed: int, report: Any = silent) -> tuple[list[float], dict[str, torch.Tensor]]:
        trained = train([BRIDGE, MILL, BRIDGE], *open_chat_model(str(tiny)), 3, seed, report)
        return trained.losses, trained.model.state_dict()

    (losses, weights), (same, same_weights), (other, _) = once(3, lambda *what: heard.append(what)), once(3), once(4)
    assert losses == same != other
    assert losses[0] > losses[1] > losses[2]
    before = open_chat_model(str(tiny))[0].state_dict()
    assert weights.keys() == before.keys()  # merged: no adapter is left
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
    changed = {name for name in weights if not torch.equal(weights[name], before[name])}
    assert changed == {name for name in weights if "proj.weight" in name}  # the linear layers, and not the head
    assert heard == [("training", done, 9) for done in range(1, 10)]


def test_the_seed_draws_the_adapters(tiny: Path) -> None:
    heads = [train([BRIDGE], *open_chat_model(str(tiny)), 1, seed).model.state_dict() for seed in (3, 4)]
    assert any(not torch.equal(heads[0][name], heads[1][name]) for name in heads[0])
    before = torch.random.get_rng_state()
    train([BRIDGE], *open_chat_model(str(tiny)))
    assert torch.equal(torch.random.get_rng_state(), before)  # and leaves everybody else's draws alone


def test_the_first_epochs_loss_is_the_models_before_the_first_step(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "has_bfloat16", lambda device: False)  # which rounds
    model, tokenizer = open_chat_model(str(tiny))
    before = (loss_of(model, BRIDGE, tokenizer) + loss_of(model, MILL, tokenizer)) / 2
    assert train([BRIDGE, MILL], model, tokenizer).losses == [pytest.approx(before, rel=1e-4)]  # both in one step
    assert (loss_of(model, BRIDGE, tokenizer) + loss_of(model, MILL, tokenizer)) / 2 < before  # merged into the model


def test_a_training_that_was_cut_off_goes_on(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_quotes, "BATCH", 2)
    few, folder = [BRIDGE, MILL, BRIDGE], tmp_path / "partial"
    whole = train(few, *open_chat_model(str(tiny)), 3, 1)
    heard: list[int] = []

    def cut(what: str, done: int, total: int) -> None:
        heard.append(done)
        if done == 5:  # in the third step, whose examples are read again
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(few, *open_chat_model(str(tiny)), 3, 1, cut, folder)
    resumed = train(few, *open_chat_model(str(tiny)), 3, 1, lambda what, done, total: heard.append(done), folder)
    assert heard == [1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]
    assert resumed.losses == whole.losses
    weights = whole.model.state_dict()
    assert all(torch.equal(weights[name], weight) for name, weight in resumed.model.state_dict().items())
    with pytest.raises(UsageError, match="a training of other data or with other options"):
        train([MILL, BRIDGE, BRIDGE], *open_chat_model(str(tiny)), 3, 1, silent, folder)
    (folder / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes()[:1000])
    with pytest.raises(UsageError, match="cannot be read"):
        train(few, *open_chat_model(str(tiny)), 3, 1, silent, folder)


class Silent:
    """A reader that was trained to copy, and finds nothing to copy."""

    name, copies = "silent", True

    def stream(self, messages: Any, max_tokens: int, usage: Any = None, stop: Any = ()) -> Iterator[str]:
        yield "NONE"

    def count(self, messages: Any) -> int:
        return sum(len(content) for _, content in messages)


def test_a_reader_learns_to_copy_and_to_answer(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_quotes, "RATE", 1e-2)
    monkeypatch.setattr(train_quotes, "BATCH", 1)
    untrained = open_reader(ReaderSettings(model=str(tiny)))
    hits = [quote.hit for quote in BRIDGE.context]
    before = select(untrained, BRIDGE.question, hits, "words", 500, Usage())
    assert before.hallucination_rate == 1  # nothing that random weights write is in the evidence
    trained = train([BRIDGE], *open_chat_model(str(tiny)), 80)
    save(trained, str(tiny), tmp_path / "out", "toy")
    reader = open_reader(ReaderSettings(model=str(tmp_path / "out")))
    assert (untrained.copies, reader.copies) == (False, True)
    settings = ReaderSettings(context_tokens=900, answer_tokens=24)
    reading = Reading(BRIDGE.question, reader, settings, lambda query: (), list, lambda hits: {}, tuple(hits))
    note, *pieces = quotes(reading)  # as --reader quotes asks it: in the two prompts of its training
    assert isinstance(note, Note) and note.text == "[2] Ada did."
    assert (reading.draft, reading.copied, pieces) == ("Ada", (1, 0), ["Ada"])
    assert [quote.text for quote in reading.quotes] == ["Ada did."]
    assert reading.support is None and reading.found
    nothing = Reading("Who?", cast(ChatModel, Silent()), settings, lambda query: (), list, lambda hits: {}, tuple(hits))
    list(quotes(nothing))
    assert nothing.support == 0 and not nothing.found


def test_a_trained_reader_is_stored_in_the_precision_of_its_base(tiny: Path, tmp_path: Path) -> None:
    halved, out = tmp_path / "halved", tmp_path / "out"
    model, tokenizer = open_chat_model(str(tiny))
    model.bfloat16().save_pretrained(halved)
    tokenizer.save_pretrained(halved)
    save(train([BRIDGE], *open_chat_model(str(halved))), str(halved), out, "toy")
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tiny, halved, out)]
    assert sizes[1] == pytest.approx(sizes[2], rel=0.01) and sizes[2] < 0.6 * sizes[0]
    assert open_chat_model(str(out))[0].dtype == torch.float32  # trained on in full precision again


def test_what_cannot_be_trained_from_is_said(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = open_chat_model(str(tiny))
    with pytest.raises(DataError, match="no question with gold sentences"):
        train([], model, tokenizer)
    longest = max(len(ids) for ids, _ in encode(BRIDGE, tokenizer))
    monkeypatch.setattr(adapters, "MAX_TOKENS", longest)
    trained = train([MILL, BRIDGE, MILL], model, tokenizer)
    assert (trained.examples, trained.left_out) == (1, 2)
    monkeypatch.setattr(adapters, "MAX_TOKENS", longest - 1)
    with pytest.raises(DataError, match=f"none of 1 .* short enough for {longest - 1} tokens"):
        train([BRIDGE], model, tokenizer)
    with pytest.raises(ModelError, match=r"--model .*nowhere cannot be loaded"):
        open_chat_model(str(tmp_path / "nowhere"))
    model.save_pretrained(tmp_path / "mute")
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path / "mute")
    with pytest.raises(ModelError, match="no chat template"):
        open_chat_model(str(tmp_path / "mute"))


# ---- records from questions

CONTEXT = (
    ContextParagraph("The Mill", ("The mill stood here.", " ", " It was sold by A &amp; B.")),
    ContextParagraph("A &amp; B", ("They died in 1920.", "They died in 1920.")),
)


def question(facts: set[tuple[str, int]] | None, answers: tuple[str, ...] = ("A &amp; B", "A and B")) -> Question:
    titles = ("The Mill", "A &amp; B")
    return Question(
        "q", "Who?", answers, "bridge", CONTEXT, (0, 1), titles, None if facts is None else frozenset(facts)
    )


def test_records_have_the_datas_own_sentences() -> None:
    (made,) = records_of([question({("A &amp; B", 1), ("The Mill", 2)})])
    assert (made.question, made.answer) == ("Who?", "A & B")
    assert [(quote.hit.rank, quote.hit.passage.title, quote.text) for quote in made.context] == [
        (1, "The Mill", "The mill stood here."),
        (1, "The Mill", "It was sold by A & B."),
        (2, "A & B", "They died in 1920."),
        (2, "A & B", "They died in 1920."),
    ]
    assert made.evidence == (made.context[1], made.context[3])
    assert made.context[3].start > made.context[2].end  # the second of two alike
    assert [quote.holds for quote in made.context] == [False, True, False, False]


def test_of_two_paragraphs_with_one_title_the_first_is_meant() -> None:
    paragraphs = (ContextParagraph("Ada", ("She was first.",)), ContextParagraph("Ada", ("She was second.",)))
    asked = Question("q", "Who?", ("Ada",), "", paragraphs, (0,), ("Ada",), frozenset({("Ada", 0)}))
    assert [quote.text for quote in records_of([asked])[0].evidence] == ["She was first."]


@pytest.mark.parametrize("facts", [None, set(), {("The Mill", 0), ("Gone", 0)}, {("The Mill", 1)}, {("The Mill", 3)}])
def test_questions_without_their_gold_sentences_are_left_out(facts: set[tuple[str, int]] | None) -> None:
    assert records_of([question(facts)]) == []


@needs_data
def test_records_of_hotpotqa() -> None:
    questions = read_questions(DATA / "hotpotqa" / "train-small.jsonl.gz").questions
    records = records_of(questions)
    assert len(records) == len(questions) == 200
    for asked, made in zip(questions, records, strict=True):
        assert asked.facts is not None and len(made.evidence) == len(asked.facts)
        assert set(made.evidence) <= set(made.context)
        assert {quote.hit.passage.title for quote in made.context} <= {html.unescape(p.title) for p in asked.paragraphs}
    assert records_of(read_questions(DATA / "musique" / "train-100.jsonl.gz").questions) == []


# ---- the command


def hotpotqa(identity: str, facts: list[list[Any]]) -> str:
    context = [["The Mill", ["The mill stood here.", " It was sold to Ada."]], ["Ada", ["Ada died in 1920."]]]
    fields = {"question": "When did the mill's owner die?", "answer": "1920", "type": "bridge", "level": "easy"}
    return json.dumps({"_id": identity, **fields, "supporting_facts": facts, "context": context})


def test_training_from_questions_to_a_folder_that_is_a_reader(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data, out = tmp_path / "train.jsonl", tmp_path / "trained"
    gold: list[list[Any]] = [["The Mill", 1], ["Ada", 0]]
    data.write_text("\n".join([hotpotqa("1", gold), hotpotqa("2", gold), hotpotqa("3", [["Gone", 0]])]))
    (tmp_path / "trained.new").mkdir()  # of one that was killed
    request = ["train", "quotes", "--data", str(data), "--model", str(tiny), "--out", str(out), "--epochs", "2"]
    done = CliRunner().invoke(app, [*request, "--json"])
    assert done.exit_code == 0, done.exception
    result = json.loads(done.stdout)
    assert "1 of 3 questions are left out: 1 without gold sentences among their paragraphs, 0 too long" in caplog.text
    assert (result["examples"], result["left_out"]) == (2, {"without_evidence": 1, "too_long": 0})
    assert result["losses"][1] < result["losses"][0]
    record = json.loads((out / "trained.json").read_text())
    assert (record["base"], record["data"], record["losses"]) == (str(tiny), "train.jsonl", result["losses"])
    assert not (tmp_path / "trained.new").exists() and not checkpoint_of(out).exists()
    assert not [file.name for file in out.iterdir() if "adapter" in file.name]
    reader = open_reader(ReaderSettings(model=str(out)))
    assert "".join(reader.stream([("user", "Who?")], 5))
    again = CliRunner().invoke(app, request)
    assert isinstance(again.exception, UsageError) and "is there already" in str(again.exception)


def test_a_sample_is_drawn_by_the_seed(tiny: Path, tmp_path: Path) -> None:
    data = tmp_path / "train.jsonl"
    data.write_text("\n".join(hotpotqa(str(i), [["Ada", 0]]) for i in range(5)))
    request = ["train", "quotes", "--data", str(data), "--model", str(tiny), "--limit", "2", "--seed", "7"]
    done = CliRunner().invoke(app, [*request, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.exception
    assert "trained from 2 questions" in done.stdout
    assert f"--set reader.model={tmp_path / 'out'}" in done.stdout
