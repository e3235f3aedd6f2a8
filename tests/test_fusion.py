"""fusion_in_decoder.py and its game: a tiny random T5 as the reader, against a model that encodes everything anew."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from rag.answer import ask
from rag.attribute.attribute import attribute
from rag.attribute.fusion_game import FusionGame
from rag.attribute.players import clauses
from rag.attribute.tree_reader import coalition_reader
from rag.errors import ModelError, ReaderError, UsageError
from rag.explain import explain
from rag.llm.chat import Usage, first_line
from rag.llm.fusion_in_decoder import FusionReader, open_fusion
from rag.llm.open import open_reader
from rag.read.prompts import answer_messages, memory_messages
from rag.records import Answer, Hit
from rag.settings import ReaderSettings
from tests.parts import passage
from tests.test_torch_game import (
    ALL,
    ENDS,
    HITS,
    MAX_TOKENS,
    QUESTION,
    SUBSETS,
    answered,
    pipeline,
    said,
    save_tokenizer,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random T5, and its tokenizer, which has no chat template."""
    from transformers import T5Config, T5ForConditionalGeneration

    folder = tmp_path_factory.mktemp("fusion") / "tiny"
    words = save_tokenizer(folder)
    (folder / "chat_template.jinja").unlink()
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "relative_attention_num_buckets": 8}
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(vocab_size=words, initializer_factor=2.0, decoder_start_token_id=0, **sizes)
    )
    model.generation_config.eos_token_id = ENDS
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def reader(folder: Path) -> FusionReader:
    opened = open_reader(ReaderSettings(model=str(folder)))
    assert isinstance(opened, FusionReader)
    return opened


def anew(reader: FusionReader, hits: Sequence[Hit]) -> tuple[str, list[int], torch.Tensor]:
    """What a plain loop decodes from these passages, encoded one by one; its tokens; the encoded passages."""
    read = [f"question: {QUESTION} title: {hit.passage.title} context: {hit.passage.text}" for hit in hits]
    blocks = [reader.tokenizer(text)["input_ids"] for text in read or [f"question: {QUESTION}"]]
    with torch.inference_mode():
        states = torch.cat([reader.model.encoder(torch.tensor([block])).last_hidden_state for block in blocks], 1)
    tokens: list[int] = []
    while len(tokens) < MAX_TOKENS:
        best = int(logits(reader, states, tokens)[-1].argmax())
        if best in ENDS:
            break
        tokens.append(best)
    return reader.tokenizer.decode(tokens), tokens, states


def logits(reader: FusionReader, states: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
    with torch.inference_mode():
        output = reader.model(encoder_outputs=(states,), decoder_input_ids=torch.tensor([[0, *tokens]]))
    scores: torch.Tensor = output.logits[0]
    return scores


# ---- the reader


def test_it_says_what_passages_encoded_one_by_one_say(reader: FusionReader) -> None:
    found = set()
    for hits in ([], HITS[:1], HITS[1:3], HITS):
        messages = answer_messages(QUESTION, hits)
        expected, tokens, states = anew(reader, hits)
        usage = Usage()
        assert "".join(reader.stream(messages, MAX_TOKENS, usage)) == expected
        assert (
            (usage.prompt, usage.generated) == (reader.count(messages), len(tokens)) == (states.shape[1], len(tokens))
        )
        found.add(expected)
    assert len(found) > 2
    assert reader.going_on() is reader and coalition_reader(reader) is reader


def test_a_given_answers_log_probability_is_that_of_one_plain_pass(reader: FusionReader) -> None:
    for hits in (HITS, []):
        spelled = reader.tokenizer("Clyde Foundry", add_special_tokens=False)["input_ids"]
        logs = logits(reader, anew(reader, hits)[2], spelled).double().log_softmax(1)
        expected = sum(float(logs[place, token]) for place, token in enumerate(spelled))
        expected += float(logs[-1, ENDS].logsumexp(0))
        told = reader.log_probability(answer_messages(QUESTION, hits), "Clyde Foundry")
        assert told == pytest.approx(expected, abs=1e-4)


def test_what_is_encoded_together(reader: FusionReader) -> None:
    def texts(messages: Sequence[tuple[str, object]]) -> list[str]:
        return [reader.tokenizer.decode(block, skip_special_tokens=True) for block in reader.blocks(messages)]

    untitled = Hit(1, 1.0, passage(0, "No colon\nhere.", "d1"))
    assert texts(answer_messages("Why?\n\nQuestion: so?", [untitled, HITS[1]])) == [
        "question: Why?\n\nQuestion: so? context: No colon here.",
        "question: Why?\n\nQuestion: so? title: T2 context: Clyde Foundry built it, 90 pounds.",
    ]
    assert texts(answer_messages(QUESTION, [])) == [f"question: {QUESTION}"]
    (whole,) = texts(memory_messages(QUESTION))
    assert whole.startswith("Answer the question from memory.") and whole.endswith(f"Question: {QUESTION}")
    (long,) = reader.blocks(answer_messages(QUESTION, [Hit(1, 1.0, passage(0, "bridge " * 900, "d1", title="T"))]))
    assert len(long) == 256


def test_what_cannot_be_had_of_it_is_said(reader: FusionReader, folder: Path, tmp_path: Path) -> None:
    from transformers import BartConfig, BartForConditionalGeneration

    with pytest.raises(ReaderError, match=r"judges nothing.*--reader direct"):
        reader.yes_probability(answer_messages(QUESTION, HITS))
    with pytest.raises(UsageError, match=r"masked: no token of reader .* it reads passages apart"):
        coalition_reader(reader, "masked")
    with pytest.raises(ModelError, match="T5-like"):
        open_fusion(str(tmp_path / "nowhere"))
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    more = {"decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    BartForConditionalGeneration(BartConfig(vocab_size=save_tokenizer(tmp_path), **sizes, **more)).save_pretrained(
        tmp_path
    )
    with pytest.raises(ModelError, match=r"BartForConditionalGeneration has no relative positions. Name a T5-like"):
        open_reader(ReaderSettings(model=str(tmp_path)))


# ---- asked and explained


def test_it_is_asked_directly_whatever_is_wanted(reader: FusionReader, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "glossator"):
        *_, found = ask(QUESTION, pipeline(reader), 4, strategy="notes")
    assert isinstance(found, Answer) and (found.notes, found.support) == ((), None)
    assert "it does not support notes and is asked directly, for a phrase" in caplog.text
    caplog.clear()
    direct = answered(pipeline(reader))
    assert (direct.answer, caplog.text) == (found.answer, "")
    assert direct.answer.partition(" [")[0] == first_line(anew(reader, HITS)[0])


@pytest.mark.parametrize("absence", ["deleted", "masked"])
def test_an_answer_is_explained_by_masks_over_passages_encoded_once(
    reader: FusionReader, absence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = pipeline(reader, f"experimental.absence={absence}")
    answer = answered(some)
    passes: list[int] = []
    encoder = reader.model.encoder.forward
    monkeypatch.setattr(reader.model.encoder, "forward", lambda *a, **b: passes.append(1) or encoder(*a, **b))
    told = explain(answer, some, "notes", "document").attribution
    assert told is not None and (told.stopped, told.absence, told.reader_calls) == ("", absence, 16)
    assert len(passes) == 5, "four passages and the question alone"
    assert told.baseline_answer == first_line(anew(reader, [])[0])
    changed = 1 - (told.baseline_answer == told.answer)
    assert math.fsum(player.score for player in told.players) == pytest.approx(changed)


def test_the_mask_says_what_a_new_reading_says(reader: FusionReader) -> None:
    """Values of the game that masks, and of the one that reads every coalition anew, with fillers or without."""
    game = FusionGame(reader, QUESTION, HITS, MAX_TOKENS)
    found = game(SUBSETS)
    for present in SUBSETS:
        hits = [HITS[player.rank - 1] for player in sorted(present, key=lambda player: player.rank)]
        (text,) = found[present]
        assert text == first_line(said(reader, answer_messages(QUESTION, hits)))
        assert text == first_line(anew(reader, hits)[0])
    assert len({next(iter(value)) for value in found.values()}) > 4
    assert game.calls == 16 and game.decoder.spent.passes <= MAX_TOKENS  # all in one batch


def test_clauses_fillers_and_nats_are_read_too(reader: FusionReader) -> None:
    answer = answered(pipeline(reader))
    told = explain(answer, pipeline(reader), "direct", "clause", 2).attribution
    assert (
        told is not None and told.stopped == "" and {"document", "clause"} >= {player.kind for player in told.players}
    )
    filled = explain(answer, pipeline(reader, "experimental.absence=filler"), "direct", "document").attribution
    assert filled is not None and (filled.stopped, filled.absence) == ("", "filler")
    nats = explain(answer, pipeline(reader, "attribute.value=likelihood"), "direct", "document").attribution
    assert nats is not None and (nats.stopped, nats.value) == ("", "likelihood")
    shown = answer.answer.partition(" [")[0]
    with_all, without = (reader.log_probability(answer_messages(QUESTION, hits), shown) for hits in (HITS, []))
    assert math.fsum(player.score for player in nats.players) == pytest.approx(with_all - without, abs=1e-3)


def test_a_fused_game_ends_as_any(reader: FusionReader) -> None:
    game = FusionGame(reader, QUESTION, HITS, MAX_TOKENS)
    shown = next(iter(game([ALL])[ALL]))
    short = FusionGame(reader, QUESTION, HITS, MAX_TOKENS, budget=7)
    assert "7 calls are the limit" in attribute(short, shown, "document").stopped and short.calls <= 7
    halted = FusionGame(reader, QUESTION, HITS, MAX_TOKENS, stop=lambda: True)
    assert attribute(halted, shown, "document").stopped == "cancelled" and halted.calls == 0
    with pytest.raises(UsageError, match="whole documents"):
        game([frozenset(clauses(HITS[0]))])
