"""Training a reader to search, take notes and answer, by reinforcement: EviNote-RAG (arXiv 2509.00877) with GRPO.

The loop and the hyper-parameters are EviNote-RAG's (its method, and code Da1yuqin/EviNoteRAG); the optimiser is group
relative policy optimisation, DeepSeekMath (arXiv 2402.03300), section 4.1. The reward is rag/train/reward.py's.

One text holds a whole trajectory: the model writes <search>, the environment puts <information> behind it, the model
writes <summary>, its note, and so on until <answer>. What the environment wrote is no action of the model's, so it is
read by it and kept out of the loss.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import DataError, ModelError
from rag.protocols import Report, silent
from rag.read.prompts import information, loop_prompt
from rag.train.common import base_of, open_chat_model, with_adapters, write_folder
from rag.train.reward import Judge, Reward, evidence_quality, last_note, parse_trajectory, reward

if TYPE_CHECKING:
    from torch import Tensor

# The paper's.
GROUP = 5  # rollouts a question
RATE = 1e-6
WARM_UP = 0.078  # of the updates, in which the rate rises
KL = 0.001  # the weight of the divergence from the reference
TEMPERATURE = 1.0
SEARCHES = 4  # the paper's N: turns with a search; then a last one, to answer
TOP = 3  # documents a search
BATCH = 300  # questions whose rollouts come from the same weights, or all of them if they are fewer
MINI_BATCH = 150  # of these an update
TURN_TOKENS = 1024
OBSERVATION_TOKENS = 8192
CONTEXT_TOKENS = 16384

# What the paper leaves open.
CLIP = 0.2  # usual since PPO (arXiv 1707.06347)
WEIGHT_DECAY = 0.01
GRADIENT_NORM = 1.0
LORA_ABOVE = 200_000_000  # parameters, from which on an adapter is trained by default, not the whole
LORA_RANK = 16
LORA_RATE = 1e-5  # adapters want about ten times the rate of the whole

SEARCH_END = "</search>"

Search = Callable[[str], Sequence[tuple[str, str]]]  # a query -> (title, text) of what is found, best first


@dataclass(frozen=True, slots=True)
class Example:
    """A question, its gold answer and the answer's aliases, and how it is searched for."""

    question: str
    answers: tuple[str, ...]
    search: Search


@dataclass(slots=True)
class Rollout:
    """Token ids: `prompt` of them are the prompt; `generated` says which of those behind it the model wrote."""

    ids: list[int]
    prompt: int
    generated: list[bool] = field(default_factory=list)
    searches: int = 0

    def add(self, ids: Sequence[int], generated: bool) -> None:
        self.ids += ids
        self.generated += [generated] * len(ids)


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gave: the policy, and the mean reward and loss of each step."""

    policy: Policy
    questions: int
    steps: int
    seed: int
    rewards: list[float]
    losses: list[float]


# -- arithmetic --------------------------------------------------------------------------------------------------------


def advantages(rewards: Sequence[float]) -> list[float]:
    """How much better than its group each rollout is: (r - mean) / standard deviation; all 0 where rewards are equal.

    DeepSeekMath, section 4.1.2; the deviation is the sample's (n - 1), as in the release's framework (verl).

    >>> advantages([0.0, 1.0, 2.0]), advantages([0.1, 0.1, 0.1])
    ([-1.0, 0.0, 1.0], [0.0, 0.0, 0.0])
    """
    if len(set(rewards)) < 2:
        return [0.0] * len(rewards)
    mean = sum(rewards) / len(rewards)
    deviation = (sum((r - mean) ** 2 for r in rewards) / (len(rewards) - 1)) ** 0.5
    return [(r - mean) / deviation for r in rewards]


def kl_estimate(new: Tensor, reference: Tensor) -> Tensor:
    """The divergence from the reference at each token, q / p - log(q / p) - 1 with q the reference's probability.

    Log-probabilities in, one each. Never negative, unbiased and of low variance: "k3" of Schulman's note on estimating
    it (2020), DeepSeekMath's equation 4.
    """
    ratio = reference - new
    return ratio.exp() - ratio - 1


def grpo_loss(new: Tensor, old: Tensor, reference: Tensor, generated: Tensor, advantage: float) -> Tensor:
    """The loss of one rollout, a mean over the tokens that the model generated: DeepSeekMath, equation 3.

    Log-probabilities (tokens,) by the weights as they are, as they were when the rollout was made, and as they were
    before training; `generated` is a mask (tokens,) with at least one True.
    """
    import torch

    new, old, reference = new[generated], old[generated], reference[generated]
    ratio = (new - old).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * advantage)
    return (KL * kl_estimate(new, reference) - gain).mean()


# -- the policy --------------------------------------------------------------------------------------------------------


class Policy:
    """A causal language model that is trained, its tokenizer, and its frozen reference.

    `model` is a hub id or folder for transformers. With `lora` (None: if it has more than LORA_ABOVE parameters) only
    an adapter is trained, whose first weights are drawn by `seed`, and the reference is the model without it; else the
    reference is a copy. All is in full precision: bf16, with 8 bits, would round most steps of 1e-6 away. Raises
    ModelError for a model that is not to be had, or is no chat model, since a reader must be one.
    """

    def __init__(self, model: str, lora: bool | None = None, seed: int = 0):
        loaded, self.tokenizer = open_chat_model(model)
        self.name = model
        self.lora = loaded.num_parameters() > LORA_ABOVE if lora is None else lora
        self._ends = self._end_ids(loaded)
        longest = getattr(loaded.config.get_text_config(), "max_position_embeddings", None) or CONTEXT_TOKENS
        self.context = min(longest, CONTEXT_TOKENS)
        if self.lora:
            self.model: Any = with_adapters(loaded, LORA_RANK, seed)
        else:
            from copy import deepcopy

            self.model = loaded
            self._frozen = deepcopy(loaded).eval().requires_grad_(False)
        # No dropout, or a token's probability would differ between two passes with the same weights.
        self.model.eval()

    def _end_ids(self, loaded: Any) -> list[int]:
        named = loaded.generation_config.eos_token_id
        some = named if isinstance(named, list) else [named, self.tokenizer.eos_token_id]
        return sorted({int(end) for end in some if end is not None})

    def parameters(self) -> list[Any]:
        """What is trained."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def prompt(self, question: str) -> list[int]:
        """The tokens of the prompt for a question, up to where the model's own words begin."""
        message = {"role": "user", "content": loop_prompt(question)}
        text = self.tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        return self.encode(text)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def generate(self, rows: Sequence[Sequence[int]], most: int) -> list[list[int]]:
        """What the model says next behind each row of tokens, drawn: up to </search>, its end, or `most` tokens."""
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        width, pad = max(map(len, rows)), self._ends[0] if self._ends else 0
        ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows], device=self.model.device)
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=self.model.device)
        # All that models set by themselves is set back: what is drawn must have the probabilities that the loss sees.
        drawn = GenerationConfig(
            do_sample=True, temperature=TEMPERATURE, top_k=0, top_p=1.0, repetition_penalty=1.0, max_new_tokens=most,
            eos_token_id=self._ends or None, pad_token_id=pad,
        )  # fmt: skip
        # As transformers' stop_strings, which fail with tokenizers that do not know the letters a to f.
        tail = 2 * len(SEARCH_END)  # tokens; some may be empty

        def asks(ids: Tensor, scores: object, **more: object) -> Tensor:
            said = [self.decode(row) for row in ids[:, max(width, ids.shape[1] - tail) :].tolist()]
            return torch.tensor([SEARCH_END in some for some in said], device=ids.device)

        with torch.no_grad():
            whole = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=drawn,
                stopping_criteria=StoppingCriteriaList([asks]),
            )
        return [self._own(row[width:]) for row in whole.tolist()]

    def _own(self, ids: list[int]) -> list[int]:
        """Without the padding that a row gets which is done before others. Its end is its own, and learned."""
        ended = next((place + 1 for place, token in enumerate(ids) if token in self._ends), len(ids))
        return ids[: min(ended, self._behind_search(ids[:ended]))]

    def _behind_search(self, ids: Sequence[int]) -> int:
        """How many of the tokens it takes until </search> is there; all, if it is not."""
        return bisect_left(range(len(ids)), True, key=lambda count: SEARCH_END in self.decode(ids[:count]))

    def log_probabilities(self, rollout: Rollout, model: Any = None) -> Tensor:
        """log P of each token behind the prompt, (tokens,), by the policy, or by another model."""
        import torch

        model = model or self.model
        ids = torch.tensor([rollout.ids], device=model.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, rollout.prompt - 1 : -1].float() / TEMPERATURE
        chosen: Tensor = logits.gather(1, ids[0, rollout.prompt :, None])[:, 0] - logits.logsumexp(1)
        return chosen

    @contextmanager
    def reference(self) -> Iterator[Any]:
        """The model as it was before training."""
        if self.lora:
            with self.model.disable_adapter():
                yield self.model
        else:
            yield self._frozen

    def save(self, folder: Path) -> None:
        """Weights, an adapter merged into them, and tokenizer."""
        model = self.model.merge_and_unload() if self.lora else self.model
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


# -- rollouts ----------------------------------------------------------------------------------------------------------


def roll_out(policy: Policy, example: Example) -> list[Rollout]:
    """GROUP trajectories for a question. Raises ModelError if the prompt leaves no room in the model's context."""
    prompt = policy.prompt(example.question)
    if len(prompt) >= policy.context:
        raise ModelError(
            f"model {policy.name} has a context of {policy.context} tokens, and the prompt alone takes {len(prompt)}. "
            "Name one with a longer context"
        )
    rollouts = [Rollout(list(prompt), len(prompt)) for _ in range(GROUP)]
    active = rollouts
    while active:
        most = min(TURN_TOKENS, policy.context - max(len(rollout.ids) for rollout in active))
        said = policy.generate([rollout.ids for rollout in active], most)
        for rollout, ids in zip(active, said, strict=True):
            rollout.add(ids, True)
        turns = zip(active, said, strict=True)
        active = [rollout for rollout, ids in turns if _searched(policy, rollout, ids, example.search)]
    return rollouts


def _searched(policy: Policy, rollout: Rollout, said: Sequence[int], search: Search) -> bool:
    """Whether what the model said last asks for a search and it may go on; what was found then stands behind it."""
    before, asks, _ = policy.decode(said).partition(SEARCH_END)
    answered = parse_trajectory(policy.decode(rollout.ids[rollout.prompt :])).answer is not None
    if not asks or answered or rollout.searches == SEARCHES:
        return False
    query = before.rpartition("<search>")[2].strip() if "<search>" in before else ""
    found = policy.encode(information((search(query) if query else [])[:TOP]))[:OBSERVATION_TOKENS]
    ids = [*policy.encode("\n\n<information>"), *found, *policy.encode("</information>\n\n")]
    if len(rollout.ids) + len(ids) >= policy.context:
        return False
    rollout.searches += 1
    rollout.add(ids, False)
    return True


def rewards_of(policy: Policy, example: Example, rollouts: Sequence[Rollout], judge: Judge) -> list[Reward]:
    """The reward of each rollout of a question."""
    read = [parse_trajectory(policy.decode(rollout.ids[rollout.prompt :])) for rollout in rollouts]
    qualities = evidence_quality(example.question, example.answers, [last_note(t) for t in read], judge)
    return [reward(t, example.answers, quality) for t, quality in zip(read, qualities, strict=True)]


# -- training ----------------------------------------------------------------------------------------------------------


def train(
    examples: Sequence[Example],
    policy: Policy,
    judge: Judge,
    steps: int | None = None,
    seed: int = 0,
    report: Report = silent,
) -> Trained:
    """Train the policy: each step draws BATCH questions and GROUP rollouts each, and updates once a MINI_BATCH.

    Without `steps` each question comes once (the paper's one epoch), and so it does before any comes again. The same
    seed gives the same weights on the same machine. Raises DataError without an example.
    """
    import torch

    if not examples:
        raise DataError("there is no question to train from. Name other data")
    draw = random.Random(seed)
    batch = min(BATCH, len(examples))
    steps = -(-len(examples) // batch) if steps is None else steps
    rising = max(1.0, WARM_UP * steps * -(-batch // MINI_BATCH))  # updates
    rate = LORA_RATE if policy.lora else RATE
    optimiser = torch.optim.AdamW(policy.parameters(), weight_decay=WEIGHT_DECAY)
    waiting: list[Example] = []
    rewards, losses, updates = [], [], 0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for step in range(steps):
            while len(waiting) < batch:
                waiting += draw.sample(list(examples), len(examples))
            chosen, waiting = waiting[:batch], waiting[batch:]
            groups, means = [], []
            for done, example in enumerate(chosen):
                report("rollouts", step * batch + done, steps * batch)
                group, mean = _learnable(policy, example, judge)
                groups.append(group)
                means.append(mean)
            summed = 0.0
            for first in range(0, batch, MINI_BATCH):
                updates += 1
                for weights in optimiser.param_groups:
                    weights["lr"] = rate * min(1.0, updates / rising)
                mini = [each for group in groups[first : first + MINI_BATCH] for each in group]
                summed += _update(policy, mini, optimiser)
            rewards.append(round(sum(means) / batch, 6))
            losses.append(round(summed / (batch * GROUP), 6))
        report("rollouts", steps * batch, steps * batch)
    return Trained(policy, len(examples), steps, seed, rewards, losses)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """A rollout with what does not change while it is learned from."""

    rollout: Rollout
    advantage: float
    old: Tensor
    reference: Tensor


def _learnable(policy: Policy, example: Example, judge: Judge) -> tuple[list[_Remembered], float]:
    """GROUP rollouts of a question, and their mean reward."""
    import torch

    rollouts = roll_out(policy, example)
    totals = [scored.total for scored in rewards_of(policy, example, rollouts, judge)]
    group = []
    with torch.no_grad():
        for rollout, advantage in zip(rollouts, advantages(totals), strict=True):
            old = policy.log_probabilities(rollout)
            with policy.reference() as frozen:
                group.append(_Remembered(rollout, advantage, old, policy.log_probabilities(rollout, frozen)))
    return group, sum(totals) / len(totals)


def _update(policy: Policy, mini: Sequence[_Remembered], optimiser: Any) -> float:
    """One step of the optimiser; the sum of the losses. A rollout at a time, so that one must fit the memory."""
    import torch

    optimiser.zero_grad()
    summed = 0.0
    for each in mini:
        new = policy.log_probabilities(each.rollout)
        generated = torch.tensor(each.rollout.generated, device=new.device)
        loss = grpo_loss(new, each.old, each.reference, generated, each.advantage)
        (loss / len(mini)).backward()  # type: ignore[no-untyped-call]
        summed += loss.item()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), GRADIENT_NORM)
    optimiser.step()
    return summed


# -- the folder --------------------------------------------------------------------------------------------------------


def save(trained: Trained, out: Path, data: str, judge: str) -> None:
    """Write the folder that reader.model can name: trained with the questions of `data`. UsageError if it is there."""
    policy = trained.policy

    def write(folder: Path) -> dict[str, Any]:
        policy.save(folder)
        return {
            "task": "notes",
            "base": base_of(policy.name),
            "judge": judge,
            "lora": policy.lora,
            "data": data,
            "questions": trained.questions,
            "steps": trained.steps,
            "seed": trained.seed,
            "group": GROUP,
            "rate": LORA_RATE if policy.lora else RATE,
            "kl": KL,
            "rewards": trained.rewards,
            "losses": trained.losses,
        }

    write_folder(out, write)
