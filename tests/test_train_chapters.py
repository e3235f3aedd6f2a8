"""podtile_training.py: examples are what the reader is asked, the loss by hand, and a folder that is a reader."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from ingest.podcast import podtile_training as train_chapters
from ingest.podcast.chapters import by_reader
from ingest.podcast.podtile import MARK, ROLE, Chapteriser, Room, parsed
from ingest.podcast.podtile_training import ChapterExample, chapter_loss, examples_of, save, train
from rag.document import Chapter, Document
from rag.errors import DataError, UsageError
from rag.llm.chat import ChatModel
from rag.llm.open import open_reader
from rag.protocols import silent
from rag.settings import ReaderSettings
from rag.train import adapters
from rag.train.adapters import Row, open_chat_model, row_of
from tests.test_chapters import episode, said
from tests.test_chapters_eval import made
from tests.test_train_quotes import TEMPLATE
from ui.cli.main import app

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As that of tests/test_train_quotes.py, with a tokenizer that knows the words of this prompt."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("reader") / "tiny"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<eos>"], initial_alphabet=letters)
    words = [ROLE, MARK, "Episode: About it: Chapters so far:\n- \nTranscript:\n[ <system><user> Here came up."]
    tokenizer.train_from_iterator(words, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(1)
    config = Qwen2Config(vocab_size=len(fast), num_key_value_heads=2, eos_token_id=0, initializer_range=0.2, **sizes)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def chaptered(starts: dict[int, str], sentences: int = 40) -> Document:
    """An episode whose maker's chapters begin at these sentences."""
    document = episode(said("mills", sentences))
    assert document.episode
    spoken = document.episode.utterances
    begun = [*starts, len(spoken)]
    ends = [spoken[number].start if number < len(spoken) else spoken[-1].end for number in begun]
    chapters = [
        Chapter(title, ends[place], ends[place + 1], spoken[number].start_seconds, 0.0, "maker")
        for place, (number, title) in enumerate(starts.items())
    ]
    return replace(document, episode=replace(document.episode, chapters=tuple(chapters)))


STARTS = {0: "Wind and corn", 11: "The miller", 12: "“Stones”", 30: "Flour"}
ROOM = Room(512, 64)


# ---- examples


def encode(example: ChapterExample, tokenizer: Any) -> Row:
    return row_of(example.messages, example.target, tokenizer)


def test_examples_are_the_prompts_of_the_reader_and_the_replies_that_give_the_chapters(tiny: Path) -> None:
    _, tokenizer = open_chat_model(str(tiny))
    document = chaptered(STARTS)
    assert document.episode
    examples = examples_of(document, tokenizer, ROOM)
    assert len(examples) > 2
    titles = [(number, title.strip("“”")) for number, title in STARTS.items()]
    assert [chapter for example in examples for chapter in parsed(example.target)] == titles
    assert "" in {example.target for example in examples}  # a chunk within a chapter

    class Replying(ChatModel):
        """Says what the examples have, and is asked what they ask."""

        name = "replying"

        def __init__(self) -> None:
            self.left = list(examples)

        def stream(self, messages: Any, max_tokens: int, usage: Any = None, stop: Any = ()) -> Any:
            example = self.left.pop(0)
            assert list(messages) == list(example.messages)
            yield example.target

        def count(self, messages: Any) -> int:
            turns = [{"role": role, "content": content} for role, content in messages]
            return len(tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)["input_ids"])

    reader = Replying()
    found = list(by_reader(document, Chapteriser(document, reader, ROOM)))  # type: ignore[arg-type]
    # "Stones" begins 6 seconds behind the chapter before, which is no chapter of its own for Chapteriser
    assert reader.left == [] and set(found) <= set(titles) and len(found) == 3
    for example in examples:
        ids, begin = encode(example, tokenizer)
        assert begin <= ROOM.prompt
        assert tokenizer.decode(ids[begin:]) == f"{example.target}<eos>"
    assert "Chapters so far" not in examples[0].messages[1][1]
    assert "Chapters so far:\n- Wind and corn" in examples[-1].messages[1][1]


def test_an_episode_without_chapters_of_its_maker_gives_none(tiny: Path) -> None:
    _, tokenizer = open_chat_model(str(tiny))
    assert examples_of(episode(said("bees", 5)), tokenizer, ROOM) == []
    assert examples_of(Document("d", "text", "", "words", ()), tokenizer, ROOM) == []


# ---- the loss


def test_the_loss_is_that_of_the_reply_alone(tiny: Path) -> None:
    model, tokenizer = open_chat_model(str(tiny))
    row, begin = encode(ChapterExample([("user", "Where?")], "3: Bees"), tokenizer)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(row)[None]).logits[0].double()
        by_hand = [
            float(torch.logsumexp(logits[place - 1], 0) - logits[place - 1, row[place]])
            for place in range(begin, len(row))
        ]
        assert len(by_hand) > 3  # the end token among them
        assert float(chapter_loss(model, ((row, begin),))) == pytest.approx(sum(by_hand) / len(by_hand), rel=1e-5)


# ---- the training

FEW = [ChapterExample([("user", f"[{n}] Here bees came up.")], f"{n}: Bees") for n in range(5)]


def test_the_loss_falls_and_a_seed_is_kept(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_chapters, "RATE", 5e-3)
    heard: list[tuple[str, int, int]] = []

    def once(seed: int, report: Any = silent) -> tuple[list[float], dict[str, torch.Tensor]]:
        trained = train(FEW, *open_chat_model(str(tiny)), 3, seed, report)
        return trained.losses, trained.model.state_dict()

    (losses, weights), (same, same_weights), (other, _) = once(3, lambda *what: heard.append(what)), once(3), once(4)
    assert losses == same != other
    assert losses[0] > losses[1] > losses[2]
    before = open_chat_model(str(tiny))[0].state_dict()
    assert weights.keys() == before.keys()  # merged: no adapter is left
    assert all(torch.equal(weights[name], same_weights[name]) for name in weights)
    assert heard == [("training", done, 15) for done in range(1, 16)]


def test_a_reader_learns_to_chapterise(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_chapters, "RATE", 1e-2)
    document = chaptered({0: "Wind", 5: "Stones"}, 10)
    model, tokenizer = open_chat_model(str(tiny))
    room = Room(2048, 64)
    (example,) = examples_of(document, tokenizer, room)
    trained = train([example], model, tokenizer, 60)
    save(trained, str(tiny), tmp_path / "out", "toy", room)
    reader = open_reader(ReaderSettings(model=str(tmp_path / "out")))
    assert list(by_reader(document, Chapteriser(document, reader, room))) == [(0, "Wind"), (5, "Stones")]
    record = json.loads((tmp_path / "out" / "trained.json").read_text())
    assert (record["task"], record["context_tokens"], record["examples"]) == ("chapters", 2048, 1)
    assert record["losses"] == trained.losses and trained.losses[-1] < 0.3


def test_what_cannot_be_trained_from_is_said(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = open_chat_model(str(tiny))
    with pytest.raises(DataError, match="no episode with chapters of its maker"):
        train([], model, tokenizer)
    long = ChapterExample([("user", "bees " * 50)], "0: Bees")
    limit = len(encode(long, tokenizer)[0]) - 1
    monkeypatch.setattr(adapters, "MAX_TOKENS", limit)
    trained = train([long, FEW[0]], model, tokenizer)
    assert (trained.examples, trained.left_out) == (1, 1)
    with pytest.raises(DataError, match=f"none of 1 parts of episodes is short enough for {limit} tokens"):
        train([long], model, tokenizer)


# ---- the command


def test_training_from_a_file_of_episodes(tiny: Path, tmp_path: Path) -> None:
    file, out = made(tmp_path), tmp_path / "trained"
    request = ["--set", "reader.context_tokens=1024", "train", "chapters", "--episodes", str(file)]
    request += ["--model", str(tiny), "--out", str(out), "--epochs", "2"]
    done = CliRunner().invoke(app, [*request, "--json"])
    assert done.exit_code == 0, done.exception
    result = json.loads(done.stdout)
    assert (result["task"], result["episodes"], result["left_out"]) == ("train chapters", 1, {"too_long": 0})
    assert result["examples"] > 1 and result["losses"][1] < result["losses"][0]
    assert json.loads((out / "trained.json").read_text())["data"] == "episodes.jsonl"
    assert not [file.name for file in out.iterdir() if "adapter" in file.name]
    again = CliRunner().invoke(app, request)
    assert isinstance(again.exception, UsageError) and "is there already" in str(again.exception)
