"""rag/attribute/tree_reader.py: coalitions played with tiny random models are what the same weights say plainly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import ask
from rag.attribute.game import ReaderGame
from rag.attribute.players import Player, absent_spans, clauses, complement, documents
from rag.attribute.tree_reader import TreeReader, coalition_reader, masked_tokens
from rag.errors import UsageError
from rag.explain import explain
from rag.llm.chat import ChatModel, Messages, Usage
from rag.llm.langchain_chat import LangChainChat
from rag.llm.open import open_reader
from rag.pipeline import Pipeline
from rag.read.prompts import ANSWER, answer_messages
from rag.records import Answer, Hit
from rag.settings import ReaderSettings, load_settings
from tests.parts import passage
from tests.test_answer import ScriptedRetriever

pytestmark = pytest.mark.usefixtures("one_thread")
QUESTION = "Who built it?"
TEXTS = ["The Tarn Bridge is old.", "Clyde Foundry built it, 90 pounds.", "Tomatoes want sun.", "It opened in 1911."]
HITS = [Hit(i, 1 / i, passage(0, text, f"d{i}", title=f"T{i}")) for i, text in enumerate(TEXTS, start=1)]
ALL = frozenset(documents(HITS))
SUBSETS = [frozenset(some) for n in range(5) for some in combinations(documents(HITS), n)]
MAX_TOKENS = 6
ENDS = [0, *range(2, 62)]  # of some 500 tokens; with so many, answers have different lengths
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def save_tokenizer(folder: Path) -> int:
    """One that knows the prompts' words and all bytes, and begins every text with a mark; how many tokens it has."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    marks = ["<eos>", "<s>", *(f"<end{number}>" for number in ENDS[1:])]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=marks, initial_alphabet=letters)
    tokenizer.train_from_iterator([ANSWER, "Passages:\n[1] Question: <system><user><assistant>", *TEXTS], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<eos>", bos_token="<s>",
        additional_special_tokens=marks[2:],
    )  # fmt: skip
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    return len(fast)


def save_reader(folder: Path, penalty: float = 1.0) -> Path:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    words = save_tokenizer(folder)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(3)
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=words, num_key_value_heads=2, initializer_range=0.3, **sizes))
    model.generation_config.eos_token_id = ENDS
    model.generation_config.pad_token_id = 0
    model.generation_config.repetition_penalty = penalty
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ChatModel:
    return open_reader(ReaderSettings(model=str(save_reader(tmp_path_factory.mktemp("reader") / "tiny"))))


def said(reader: ChatModel, messages: Messages) -> str:
    return "".join(reader.stream(messages, MAX_TOKENS))


# ---- a causal model


def test_it_says_what_the_plain_reader_says(reader: ChatModel) -> None:
    tree = coalition_reader(reader)
    assert isinstance(tree, TreeReader)
    game = ReaderGame(HITS, lambda hits: {}, absence="filler")
    asked = [answer_messages(QUESTION, some) for one in SUBSETS for some in (game.evidence(one), _deleted(one))]
    asked.append([("user", "Why?"), ("assistant", "So."), ("user", "No.")])
    plain = [said(reader, messages) for messages in asked]
    assert [said(tree, messages) for messages in asked] == plain and len(set(plain)) > 5
    stop = plain[-1][1:2]
    assert "".join(tree.stream(asked[-1], MAX_TOKENS, stop=[stop])) == plain[-1][: plain[-1].index(stop)]
    usage = Usage()
    list(tree.stream(asked[-1], MAX_TOKENS, usage))
    assert usage.prompt == reader.count(asked[-1]) + 1  # and the mark that it begins with
    spent = tree.decoders[MAX_TOKENS].spent
    assert spent.accepted > 0 and spent.prompt_tokens < sum(map(reader.count, asked)) * 2 / 3


def _deleted(present: frozenset[Player]) -> list[Hit]:
    return [hit for hit in HITS if any(player.rank == hit.rank for player in present)]


def forced(model: Any, ids: Sequence[int], absent: Sequence[bool], answer: Sequence[int]) -> torch.Tensor:
    """(answer + 1, vocabulary): log P of what follows, the absent masked where they stand, by one whole pass."""
    tokens = torch.tensor([[*ids, *answer]])
    mask = torch.tensor([[*(not gone for gone in absent), *[True] * len(answer)]]).long()
    with torch.inference_mode():
        output = model(input_ids=tokens, attention_mask=mask, position_ids=torch.arange(tokens.shape[1])[None])
    logs: torch.Tensor = output.logits[0, len(ids) - 1 :].double().log_softmax(1)
    return logs


def test_masked_is_an_attention_mask(reader: ChatModel) -> None:
    tree = coalition_reader(reader, "masked")
    assert isinstance(tree, TreeReader) and reader.weights is not None
    model, tokenizer = reader.weights
    messages = answer_messages(QUESTION, HITS)
    text = "".join(f"<{role}>{content}\n" for role, content in messages) + "<assistant>"
    encoded = tokenizer(text, return_offsets_mapping=True)
    begins = [text.index(f"[{rank}] ") for rank in range(1, 5)]
    lines = [range(begin, text.index("\n", begin)) for begin in begins]
    answers = []
    for present in SUBSETS:
        gone = [line for line, player in zip(lines, documents(HITS), strict=True) if player not in present]
        absent = [any(place in line for place in range(a, b) for line in gone) for a, b in encoded["offset_mapping"]]
        answer: list[int] = []
        while len(answer) < MAX_TOKENS:
            best = int(forced(model, encoded["input_ids"], absent, answer)[-1].argmax())
            if best in ENDS:
                break
            answer.append(best)
        masking = tree.masking(HITS, complement(HITS, present))
        assert said(masking, messages) == tokenizer.decode(answer)
        answers.append(tuple(answer))
    assert len(set(answers)) > 5 and said(tree, messages) == said(reader, messages)


def test_an_answers_log_probability_comes_with_the_reply(reader: ChatModel) -> None:
    tree = coalition_reader(reader)
    assert isinstance(tree, TreeReader) and reader.weights is not None
    model, tokenizer = reader.weights
    for hits in (HITS, HITS[1:3], []):
        messages = answer_messages(QUESTION, hits)
        ids = tokenizer("".join(f"<{role}>{content}\n" for role, content in messages) + "<assistant>")["input_ids"]
        for text in ("Clyde Foundry", "in 1911", ""):
            spelled = tokenizer(text, add_special_tokens=False)["input_ids"]
            if set(spelled) & set(ENDS):
                continue
            logs = forced(model, ids, [False] * len(ids), spelled)
            expected = sum(float(logs[place, token]) for place, token in enumerate(spelled))
            expected += float(logs[-1, ENDS].logsumexp(0))
            passes = tree.decoders[MAX_TOKENS].spent.passes if tree.decoders else 0
            reply, thought = tree.answered(messages, MAX_TOKENS, text)
            assert reply == said(reader, messages) and thought == pytest.approx(expected, abs=1e-4)
            assert tree.decoders[MAX_TOKENS].spent.passes <= passes + MAX_TOKENS  # no pass but the reply's own
            assert tree.log_probability(messages, text) == pytest.approx(expected, abs=1e-4)


def test_a_reader_is_greedy_whatever_its_weights_come_with(reader: ChatModel, tmp_path: Path) -> None:
    shy = open_reader(ReaderSettings(model=str(save_reader(tmp_path / "shy", penalty=9.0))))
    for hits in (HITS, HITS[:2]):
        assert said(shy, answer_messages(QUESTION, hits)) == said(reader, answer_messages(QUESTION, hits))


# ---- answers explained


def pipeline(reader: ChatModel, *overrides: str, hits: Sequence[Hit] = HITS) -> Pipeline:
    settings = load_settings([f"reader.answer_tokens={MAX_TOKENS}", "reader.support_threshold=0", *overrides])
    return Pipeline(ScriptedRetriever(list(hits)), reader, lambda *span: (1, 1), "", settings)  # type: ignore[arg-type]


def answered(some: Pipeline) -> Answer:
    *_, answer = ask(QUESTION, some, 4, strategy="direct")
    assert isinstance(answer, Answer) and not answer.abstained
    return answer


@pytest.mark.parametrize("absence", ["deleted", "filler", "masked"])
def test_an_answer_is_explained_and_its_scores_add_up(reader: ChatModel, absence: str) -> None:
    some = pipeline(reader, f"experimental.absence={absence}")
    answer = answered(some)
    told = explain(answer, some, "direct", "document").attribution
    assert told is not None and (told.stopped, told.absence, told.permutations) == ("", absence, 0)
    assert told.reader_calls == 16  # the whole evidence, too: it is read to see that it is the answer shown
    changed = 1 - (told.baseline_answer == told.answer)
    assert math.fsum(player.score for player in told.players) == pytest.approx(changed)
    assert len(told.players) == 4


def test_clauses_are_masked_too_for_as_many_permutations_as_set(reader: ChatModel) -> None:
    some = pipeline(reader, "experimental.absence=masked", "attribute.permutations=3")
    answer = answered(some)
    told = explain(answer, some, "direct", "clause").attribution
    assert told is not None and told.permutations == 3 and told.stopped == ""
    assert explain(answer, some, "direct", "clause", 2).attribution.permutations == 2  # type: ignore[union-attr]
    assert explain(answer, some, "direct", "clause").attribution == told


def test_another_answer_than_the_one_shown_is_said(reader: ChatModel) -> None:
    some = pipeline(reader)
    other = replace(answered(some), answer="by heart")
    told = explain(other, some, "direct", "document").attribution
    assert told is not None and "not the answer shown" in told.stopped
    assert [player.score for player in told.players] == [0] * 4
    told = explain(other, some, "direct", "clause", 2).attribution
    assert told is not None and "not the answer shown" in told.stopped


@pytest.mark.parametrize("level", ["document", "clause"])
def test_by_likelihood_scores_add_up_to_what_the_evidence_adds_in_nats(reader: ChatModel, level: str) -> None:
    some = pipeline(reader, "attribute.value=likelihood")
    answer = answered(some)
    told = explain(answer, some, "direct", level, 2).attribution  # type: ignore[arg-type]
    assert told is not None and (told.stopped, told.value) == ("", "likelihood")
    shown = answer.answer.partition(" [")[0]
    with_all, without = (
        coalition_reader(reader).log_probability(answer_messages(QUESTION, hits), shown) for hits in (HITS, [])
    )
    documents_alone = [player.score for player in told.players if player.kind == "document"]
    assert math.fsum(documents_alone) == pytest.approx(with_all - without, abs=1e-3)
    assert (
        told.baseline_answer
        == said(coalition_reader(reader), answer_messages(QUESTION, [])).strip().splitlines()[0].strip()
    )


def test_an_unrelated_passage_is_swapped_in(reader: ChatModel) -> None:
    other = Hit(5, 0.1, passage(0, "Snow lies deep.", "d9", title="X"))
    some = pipeline(reader, "experimental.absence=swapped", hits=[*HITS, other])
    answer = answered(some)
    told = explain(answer, some, "direct", "document").attribution
    assert told is not None and told.absence == "swapped"
    nothing = pipeline(reader, "experimental.absence=swapped", hits=answer.evidence)
    with pytest.raises(UsageError, match="swapped: nothing but the evidence"):
        explain(answer, nothing, "direct", "document")


def test_tokens_that_cannot_be_masked_are_an_error_and_other_readers_are_read_plainly(reader: ChatModel) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    class Plain(ChatModel):
        name, sees = "plain", False

        def going_on(self) -> Plain:
            return self

        def stream(self, *_: object, **__: object) -> Iterator[str]:
            yield "?"

    with pytest.raises(UsageError, match=r"masked: no token of reader plain .* not run by transformers"):
        coalition_reader(Plain(), "masked")  # type: ignore[arg-type]
    assert isinstance(coalition_reader(Plain()), Plain)  # type: ignore[arg-type]
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    mistral = MistralForCausalLM(MistralConfig(vocab_size=9, num_key_value_heads=2, sliding_window=8, **sizes))
    assert reader.weights is not None
    sliding = LangChainChat(reader._model, "sliding", weights=(mistral, reader.weights[1]))
    assert type(coalition_reader(sliding)) is LangChainChat
    with pytest.raises(UsageError, match="SlidingWindow"):
        coalition_reader(sliding, "masked")


# ---- which tokens are masked


@given(
    text=st.text(alphabet="ab \n", max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=12),
    ends=st.lists(st.integers(0, 30), max_size=6, unique=True),
)
def test_a_token_is_masked_if_nothing_of_it_is_present(text: str, cuts: list[int], ends: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    tokens = [(0, 0), *pairwise(places)]
    bounds = sorted(ends)[: len(ends) // 2 * 2]
    spans = list(zip(bounds[::2], bounds[1::2], strict=True))
    gone = {place for start, end in spans for place in range(start, end)}
    for (start, end), masked in zip(tokens, masked_tokens(text, tokens, spans), strict=True):
        words = [place for place in range(start, end) if not text[place].isspace()]
        matter = range(words[0], words[-1] + 1) if words else range(start, end)
        assert masked == (len(matter) > 0 and gone.issuperset(matter))


def test_masked_tokens_of_clauses_leave_the_words_that_are_there(reader: ChatModel) -> None:
    assert reader.weights is not None
    tokenizer = reader.weights[1]
    text = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in answer_messages(QUESTION, HITS)], tokenize=False
    )
    encoded = tokenizer(text, return_offsets_mapping=True)
    spans = absent_spans(text, HITS, [clauses(HITS[1])[2], *clauses(HITS[3])])
    masked = masked_tokens(text, encoded["offset_mapping"], spans)
    kept = tokenizer.decode([token for token, gone in zip(encoded["input_ids"], masked, strict=True) if not gone])
    assert "Clyde Foundry built it," in kept and "Tomatoes want sun." in kept and "Question: Who" in kept
    assert "pounds" not in kept and "1911" not in kept and "[4]" not in kept


# ---- attention, a control of `eval attribution`


def test_attention_is_that_of_one_plain_pass(reader: ChatModel) -> None:
    assert reader.weights is not None
    model, tokenizer = reader.weights
    played = TreeReader(reader)
    messages = answer_messages(QUESTION, HITS)
    for _ in range(2):  # what the cache holds changes nothing
        shares = played.attended(messages, "Clyde Foundry", HITS)
        list(played.stream(messages, MAX_TOKENS))
    prompt = played._prompt(messages)[0]
    answer = tokenizer("Clyde Foundry", add_special_tokens=False)["input_ids"]
    model.set_attn_implementation("eager")
    with torch.inference_mode():
        output = model(input_ids=torch.tensor([[*prompt, *answer[:-1]]]), output_attentions=True)
    model.set_attn_implementation("sdpa")
    steps = slice(len(prompt) - 1, None)
    mean = torch.stack([layer[0, :, steps, : len(prompt)].mean((0, 1)) for layer in output.attentions]).mean(0)
    text = tokenizer.decode(prompt)
    for i, share in enumerate(shares):
        masked = TreeReader(reader).masking(HITS, [documents(HITS)[i]])._prompt(messages)[1]
        assert masked is not None and share == pytest.approx(mean[torch.tensor(masked)].sum().item(), abs=1e-5), text
    assert 0 < sum(shares) < 1


def test_the_first_tokens_say_yes_or_no(reader: ChatModel) -> None:
    """P(yes) / (P(yes) + P(no)) over the ten likeliest, from one plain pass."""
    assert reader.weights is not None
    model = reader.weights[0]
    played = TreeReader(reader)
    messages = answer_messages(QUESTION, HITS)
    with torch.inference_mode():
        scores = model(input_ids=torch.tensor([played._prompt(messages)[0]])).logits[0, -1].float().softmax(0)
    top = scores.topk(10)
    found = played._decoder(20).following(played._prompt(messages)[0], 10)
    assert list(found) == top.indices.tolist() and list(found.values()) == pytest.approx(top.values.tolist(), abs=1e-5)
    assert 0 <= played.yes_probability(messages) <= 1
