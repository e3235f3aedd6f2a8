"""rag/llm/decode.py: what is cheap is what plain greedy decoding says, on tiny random models in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random
from typing import Any

import pytest
import torch

from rag.errors import ModelError
from rag.llm.decode import Decoded
from rag.llm.fusion_decoder import FusionDecoder
from rag.llm.tree_decoder import VERIFIED, TreeDecoder
from rag.llm.tries import Trie

pytestmark = pytest.mark.usefixtures("one_thread")
ENDS = range(1, 10)  # of 100 tokens; with so many, answers have different lengths
MAX_TOKENS = 8
SUBSETS = list(product([False, True], repeat=5))
Tokens = tuple[int, ...]


# ---- models and questions


@cache
def causal(kind: str, attention: str) -> Any:
    """With weights large enough for the answer to depend on the documents, and small enough for some to agree."""
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    config: Any = {"llama": LlamaConfig, "qwen2": Qwen2Config}[kind](
        vocab_size=100,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        attn_implementation=attention,
    )
    torch.manual_seed(0)
    return {"llama": LlamaForCausalLM, "qwen2": Qwen2ForCausalLM}[kind](config).eval()


@cache
def t5(attention: str = "sdpa") -> Any:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=100,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        relative_attention_num_buckets=8,
        initializer_factor=2.0,
        decoder_start_token_id=0,
        attn_implementation=attention,
    )
    return T5ForConditionalGeneration(config).eval()


@dataclass(frozen=True, slots=True)
class Question:
    """Random tokens: an instruction, five documents, a question."""

    before: list[int]
    documents: list[list[int]]
    behind: list[int]

    def prompt(self, present: Sequence[bool]) -> list[int]:
        kept = [token for document, is_in in zip(self.documents, present, strict=True) if is_in for token in document]
        return [*self.before, *kept, *self.behind]

    def absent(self, present: Sequence[bool]) -> list[bool]:
        """Of each token of the whole prompt, whether it is in a document that is absent."""
        masked = [not is_in for document, is_in in zip(self.documents, present, strict=True) for _ in document]
        return [False] * len(self.before) + masked + [False] * len(self.behind)


def question(seed: int) -> Question:
    random = Random(seed)

    def words(least: int, most: int) -> list[int]:
        return [random.randrange(10, 100) for _ in range(random.randint(least, most))]

    return Question(words(2, 5), [words(2, 8) for _ in range(5)], words(2, 5))


def shuffled(seed: int) -> list[tuple[bool, ...]]:
    return Random(seed).sample(SUBSETS, len(SUBSETS))


# ---- the references: transformers' own greedy search, and whole passes without a cache


def cut(generated: Sequence[int]) -> Tokens:
    """What stands before the first end token."""
    ends = [place for place, token in enumerate(generated) if token in ENDS]
    return tuple(generated[: ends[0] if ends else MAX_TOKENS])


def greedy(model: Any, prompts: Sequence[Sequence[int]]) -> list[Tokens]:
    longest = max(map(len, prompts))
    padded = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    rows = model.generate(
        padded, attention_mask=mask, do_sample=False, max_new_tokens=MAX_TOKENS, eos_token_id=[*ENDS], pad_token_id=0
    )
    return [cut(row) for row in rows[:, longest:].tolist()]


def masked_scores(model: Any, prompt: Sequence[int], absent: Sequence[bool], said: Sequence[int]) -> torch.Tensor:
    """(said + 1, vocabulary): the scores behind the prompt and each token said, the absent masked where they stand."""
    tokens = torch.tensor([[*prompt, *said]])
    mask = torch.tensor([[not gone for gone in absent] + [True] * len(said)], dtype=torch.long)
    with torch.inference_mode():
        output = model(input_ids=tokens, attention_mask=mask, position_ids=torch.arange(tokens.shape[1])[None])
    scores: torch.Tensor = output.logits[0, len(prompt) - 1 :]
    return scores


def greedily(scores: Callable[[list[int]], torch.Tensor]) -> Tokens:
    """Greedy decoding by a function from what was said to the scores of what follows in its last row."""
    said: list[int] = []
    while len(said) < MAX_TOKENS:
        token = int(scores(said)[-1].argmax())
        if token in ENDS:
            break
        said.append(token)
    return tuple(said)


def forced(scores: torch.Tensor, answer: Sequence[int]) -> list[float]:
    """log P of each token of the answer, and of any end behind it, from (answer + 1, vocabulary) scores."""
    probabilities = scores.double().softmax(1)
    said = [probabilities[place, token] for place, token in enumerate(answer)]
    return torch.stack([*said, probabilities[-1, list(ENDS)].sum()]).log().tolist()


def fused_scores(model: Any, passages: Sequence[Sequence[int]], said: Sequence[int]) -> torch.Tensor:
    """(said + 1, vocabulary): each passage encoded anew, and only these."""
    with torch.inference_mode():
        states = [model.encoder(input_ids=torch.tensor([passage])).last_hidden_state for passage in passages]
        output = model(encoder_outputs=(torch.cat(states, 1),), decoder_input_ids=torch.tensor([[0, *said]]))
    scores: torch.Tensor = output.logits[0]
    return scores


def read(asked: Question, present: Sequence[bool]) -> list[list[int]]:
    """The passages of a coalition as a T5 reads them, each with the question; of none, the question alone."""
    some = [asked.behind + document for document, is_in in zip(asked.documents, present, strict=True) if is_in]
    return some or [asked.behind]


def fusion(model: Any, asked: Question, **switches: Any) -> FusionDecoder:
    return FusionDecoder(model, read(asked, [True] * 5), asked.behind, ENDS, MAX_TOKENS, **switches)


def close(ours: Sequence[float] | None, theirs: Sequence[float]) -> bool:
    return ours is not None and list(ours) == pytest.approx(list(theirs), abs=1e-4)


# ---- causal models


def test_answers_of_500_coalitions_are_greedy_ones() -> None:
    accepted = begun = decodes = 0
    kinds = [("llama", "eager"), ("qwen2", "sdpa"), ("llama", "sdpa"), ("qwen2", "eager")]
    for seed in range(16):
        model, asked = causal(*kinds[seed % 4]), question(seed)
        prompts = [asked.prompt(present) for present in shuffled(seed)]
        decoder = TreeDecoder(model, ENDS, MAX_TOKENS)
        ours = [decoder.decode(prompt).tokens for prompt in prompts]
        assert ours == greedy(model, prompts)
        assert len(set(ours)) > 5
        assert decoder.spent.accepted + decoder.spent.resumed == len(prompts)
        accepted += decoder.spent.accepted
        decodes += decoder.spent.decoded_tokens
        begun += sum(map(len, ours))
    assert accepted > 50  # of 512
    assert decodes < begun  # the tree knew the rest


def spent(model: Any, prompts: Sequence[Sequence[int]], **switches: Any) -> tuple[list[Tokens], Any]:
    decoder = TreeDecoder(model, ENDS, MAX_TOKENS, **switches)
    return [decoder.decode(prompt).tokens for prompt in prompts], decoder.spent


def test_what_each_trick_saves_is_counted() -> None:
    model, asked = causal("llama", "sdpa"), question(0)
    prompts = sorted(asked.prompt(present) for present in SUBSETS)
    answers, plain = spent(model, prompts, share_prefix=False, speculate=False)
    said = [len(answer) for answer in answers]
    assert plain.prompt_tokens == sum(map(len, prompts)) and plain.tree_tokens == 0
    assert plain.decoded_tokens == sum(min(length, MAX_TOKENS - 1) for length in said)
    assert plain.passes == plain.decoded_tokens + len(prompts)

    same, shared = spent(model, prompts, speculate=False)
    distinct = Trie()
    for prompt in prompts:
        distinct.insert(prompt)
    assert same == answers
    assert shared.prompt_tokens == len(distinct) - 1  # in this order each is read once
    assert (shared.decoded_tokens, shared.passes) == (plain.decoded_tokens, plain.passes)

    same, tried = spent(model, prompts)
    assert same == answers
    assert tried.accepted > 0 and tried.passes < shared.passes and tried.decoded_tokens < shared.decoded_tokens
    assert tried.prompt_tokens == shared.prompt_tokens
    same, tried = spent(model, prompts, share_prefix=False)
    assert same == answers and tried.prompt_tokens == plain.prompt_tokens


@pytest.mark.parametrize("verified", [0, 1, 3, 10])
def test_only_the_nodes_most_seen_go_through_the_model(verified: int) -> None:
    model, asked = causal("llama", "sdpa"), question(6)
    prompts = sorted(asked.prompt(present) for present in SUBSETS)
    answers, whole = spent(model, prompts, verified=10**6)
    same, some = spent(model, prompts, verified=verified)
    assert same == answers and len(set(answers)) > 5
    assert some.tree_tokens <= verified * len(prompts) < whole.tree_tokens  # a tree of all is read in every pass
    assert some.decoded_tokens >= whole.decoded_tokens and (verified or some.accepted == answers.count(()))
    decoder = TreeDecoder(model, ENDS, MAX_TOKENS, verified=verified)
    for given in ((55, 66, 77), answers[-1]):  # it goes through the model however rare it is
        ours = [decoder.decode(prompt, answer=given) for prompt in prompts]
        assert [each.tokens for each in ours] == answers
        for each, prompt in zip(ours[::7], prompts[::7], strict=True):
            theirs = forced(masked_scores(model, prompt, [False] * len(prompt), given), given)
            assert close(each.log_probabilities, theirs)
    assert VERIFIED >= MAX_TOKENS  # in these tests a whole answer is tried at least


def test_an_answer_seen_before_takes_one_pass_and_one_token_of_the_prompt() -> None:
    prompt = question(1).prompt([True] * 5)
    decoder = TreeDecoder(causal("qwen2", "sdpa"), ENDS, MAX_TOKENS)
    answer = decoder.decode(prompt)
    passes, tokens = decoder.spent.passes, decoder.spent.prompt_tokens
    assert decoder.decode(prompt) == answer
    assert (decoder.spent.passes, decoder.spent.prompt_tokens) == (passes + 1, tokens + 1)
    assert decoder.spent.accepted == 1 and decoder.spent.tree_tokens == len(answer.tokens)


def test_the_order_of_prompts_changes_nothing() -> None:
    model, asked = causal("qwen2", "sdpa"), question(2)
    prompts = sorted(asked.prompt(present) for present in SUBSETS)
    answers, _ = spent(model, prompts)
    assert spent(model, prompts[::-1])[0] == answers[::-1]
    order = Random(0).sample(range(len(prompts)), len(prompts))
    assert spent(model, [prompts[i] for i in order])[0] == [answers[i] for i in order]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_masked_in_place_is_an_attention_mask(attention: str) -> None:
    model, asked = causal("llama", attention), question(3)
    whole = asked.prompt([True] * 5)
    decoder = TreeDecoder(model, ENDS, MAX_TOKENS)
    given = [11, 12, 13]
    in_place, deleted = [], []
    for present in shuffled(3)[:20]:
        absent = asked.absent(present)
        ours = decoder.decode(whole, absent, given)
        assert ours.tokens == greedily(lambda said, absent=absent: masked_scores(model, whole, absent, said))
        assert close(ours.log_probabilities, forced(masked_scores(model, whole, absent, given), given))
        in_place.append(ours.tokens)
        deleted.append(decoder.decode(asked.prompt(present)).tokens)  # another mask, and the same decoder
    assert deleted == greedy(model, [asked.prompt(present) for present in shuffled(3)[:20]])
    assert in_place != deleted and len(set(in_place)) > 5


@pytest.mark.parametrize("switches", [{}, {"speculate": False}, {"share_prefix": False}], ids=str)
def test_log_probabilities_are_teacher_forced(switches: dict[str, bool]) -> None:
    model, asked = causal("qwen2", "sdpa"), question(4)
    decoder = TreeDecoder(model, ENDS, MAX_TOKENS, **switches)
    shown = decoder.decode(asked.prompt([True] * 5)).tokens
    assert len(shown) > 1
    for given in (shown, shown[:1], (), (55, 66), tuple(range(20, 20 + MAX_TOKENS + 2))):  # the last is too long to say
        for present in SUBSETS[::5]:
            prompt = asked.prompt(present)
            theirs = forced(masked_scores(model, prompt, [False] * len(prompt), given), given)
            passes = decoder.spent.passes
            assert close(decoder.log_probabilities(prompt, given), theirs)
            assert decoder.spent.passes == passes + 1
            ours = decoder.decode(prompt, answer=given)
            assert close(ours.log_probabilities, theirs)
            assert [ours.tokens] == greedy(model, [prompt])


def test_a_pass_that_fails_leaves_the_decoder_right() -> None:
    model, asked = causal("llama", "sdpa"), question(5)
    prompts = [asked.prompt(present) for present in shuffled(5)[:6]]
    decoder = TreeDecoder(model, ENDS, MAX_TOKENS)
    decoder.decode(prompts[0])

    def fail(*_: object) -> None:
        raise MemoryError

    hook = model.model.layers[1].register_forward_pre_hook(fail)  # the first layer's keys are in the cache then
    with pytest.raises(MemoryError):
        decoder.decode(prompts[1])
    hook.remove()
    assert [decoder.decode(prompt).tokens for prompt in prompts] == greedy(model, prompts)


def test_models_and_requests_that_cannot_be_served_are_named() -> None:
    from transformers import BartConfig, BartForConditionalGeneration, MistralConfig, MistralForCausalLM

    small = {"vocab_size": 100, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    mistral = MistralForCausalLM(MistralConfig(**small, **heads, sliding_window=8))
    with pytest.raises(ModelError, match="DynamicSlidingWindowLayer"):
        TreeDecoder(mistral, ENDS)
    bart = BartForConditionalGeneration(
        BartConfig(vocab_size=100, d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16,
                   decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2)
    )  # fmt: skip
    with pytest.raises(ModelError, match="no relative positions"):
        FusionDecoder(bart, [[11]], [12], ENDS)

    decoder = TreeDecoder(causal("llama", "sdpa"), ENDS)
    for prompt, absent in (([], None), ([11, 12], [False, True]), ([11, 12], [False])):
        with pytest.raises(ValueError, match="last token"):
            decoder.decode(prompt, absent)
    with pytest.raises(ValueError, match="end token"):
        decoder.decode([11], answer=[11, 1])
    with pytest.raises(ValueError, match="no tokens"):
        FusionDecoder(t5(), [[11], []], [12], ENDS)
    with pytest.raises(ValueError, match="there are 2 passages"):
        FusionDecoder(t5(), [[11], [12]], [13], ENDS).decode([[True, False, True]])


# ---- encoder-decoders


def test_fused_answers_of_500_coalitions_are_greedy_ones() -> None:
    from transformers.modeling_outputs import BaseModelOutput

    accepted = 0
    for seed in range(16):
        model, asked = t5(["sdpa", "eager"][seed % 2]), question(seed)
        subsets = shuffled(seed)
        decoder = fusion(model, asked)
        ours: list[Decoded] = []
        for first in (0, 1, 8):  # one alone; a batch that knows its answer; and one that knows many
            ours += decoder.decode(subsets[first : {0: 1, 1: 8, 8: 32}[first]])
        with torch.inference_mode():
            encoded = {
                tuple(passage): model.encoder(torch.tensor([passage])).last_hidden_state[0]
                for passage in [*read(asked, [True] * 5), asked.behind]
            }
        states = [torch.cat([encoded[tuple(passage)] for passage in read(asked, present)]) for present in subsets]
        padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        mask = torch.tensor([[place < len(state) for place in range(padded.shape[1])] for state in states]).long()
        rows = model.generate(
            encoder_outputs=BaseModelOutput(padded), attention_mask=mask, do_sample=False,
            max_new_tokens=MAX_TOKENS, eos_token_id=[*ENDS], pad_token_id=0,
        )  # fmt: skip
        theirs = [cut(row) for row in rows[:, 1:].tolist()]
        assert [each.tokens for each in ours] == theirs
        assert len(set(theirs)) > 5
        assert decoder.spent.accepted + decoder.spent.resumed == 32
        accepted += decoder.spent.accepted
    assert accepted > 50  # of 512


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_encoded_once_is_as_encoded_anew(attention: str) -> None:
    model, asked = t5(attention), question(20)
    decoder = fusion(model, asked)
    given = (55, 66, 77)
    ours = decoder.log_probabilities(SUBSETS, given)
    for present, row in zip(SUBSETS, ours, strict=True):
        assert close(row, forced(fused_scores(model, read(asked, present), given), given))
    assert decoder.spent.prompt_tokens == sum(map(len, read(asked, [True] * 5))) + len(asked.behind)
    assert decoder.spent.passes == 1


@pytest.mark.parametrize("speculate", [True, False])
def test_fused_answers_and_log_probabilities_at_once(speculate: bool) -> None:
    model, asked = t5(), question(21)
    plain = fusion(model, asked, speculate=False)
    answers = [each.tokens for each in plain.decode(SUBSETS)]
    decoder = fusion(model, asked, speculate=speculate)
    for given in (answers[-1], (), (55, 66), tuple(range(20, 20 + MAX_TOKENS + 2))):
        ours = decoder.decode(SUBSETS, given)
        assert [each.tokens for each in ours] == answers
        for each, row in zip(ours, plain.log_probabilities(SUBSETS, given), strict=True):
            assert close(each.log_probabilities, row)


def test_fused_answers_seen_before_take_few_passes() -> None:
    decoder = fusion(t5(), question(22))
    answers = decoder.decode(SUBSETS)
    assert decoder.spent.passes == max(min(len(each.tokens) + 1, MAX_TOKENS) for each in answers)
    decoded = decoder.spent.decoded_tokens
    assert decoder.decode(SUBSETS[:1]) == answers[:1]
    before = decoder.spent.passes
    assert decoder.decode(SUBSETS) == answers
    assert decoder.spent.decoded_tokens == decoded and decoder.spent.accepted == 33
    assert decoder.spent.passes - before <= before
