"""Training a reader to search, take notes and answer, by reinforcement: EviNote-RAG (arXiv 2509.00877) with GRPO.

The loop and the hyper-parameters are EviNote-RAG's (its method, and code Da1yuqin/EviNoteRAG); the loss is that of
group relative policy optimisation (grpo.py). The reward is rag/train/reward.py's.

One text holds a whole trajectory: the model writes <search>, the environment puts <information> behind it, the model
writes <summary>, its note, and so on until <answer>. What the environment wrote is no action of the model's, so it is
read by it and kept out of the loss.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.encode.checkpoint import base_of
from rag.errors import DataError, ModelError
from rag.protocols import Report, silent
from rag.read.entailment import Judge
from rag.read.evinote.loop_prompts import information
from rag.read.evinote.trajectory import parse_trajectory
from rag.train.common import write_folder
from rag.train.grpo import KL, advantages, grpo_loss
from rag.train.policy import SEARCH_END, Policy, Rollout
from rag.train.reward import Reward, evidence_quality, last_note, reward

if TYPE_CHECKING:
    from torch import Tensor

# The paper's.
GROUP = 5  # rollouts a question
RATE = 1e-6
WARM_UP = 0.078  # of the updates, in which the rate rises
SEARCHES = 4  # the paper's N: turns with a search; then a last one, to answer
TOP = 3  # documents a search
BATCH = 300  # questions whose rollouts come from the same weights, or all of them if they are fewer
MINI_BATCH = 150  # of these an update
TURN_TOKENS = 1024
OBSERVATION_TOKENS = 8192

# What the paper leaves open.
WEIGHT_DECAY = 0.01
GRADIENT_NORM = 1.0
LORA_RATE = 1e-5  # adapters want about ten times the rate of the whole


Search = Callable[[str], Sequence[tuple[str, str]]]  # a query -> (title, text) of what is found, best first


@dataclass(frozen=True, slots=True)
class NoteExample:
    """A question, its gold answer and the answer's aliases, and how it is searched for."""

    question: str
    answers: tuple[str, ...]
    search: Search


@dataclass(frozen=True, slots=True)
class TrainedNoteReader:
    """What training gave: the policy, and the mean reward and loss of each step."""

    policy: Policy
    questions: int
    steps: int
    seed: int
    rewards: list[float]
    losses: list[float]


# -- rollouts ----------------------------------------------------------------------------------------------------------


def roll_out(policy: Policy, example: NoteExample) -> list[Rollout]:
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
        replies = policy.generate([rollout.ids for rollout in active], most)
        for rollout, ids in zip(active, replies, strict=True):
            rollout.add(ids, True)
        turns = zip(active, replies, strict=True)
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


def rewards_of(policy: Policy, example: NoteExample, rollouts: Sequence[Rollout], judge: Judge) -> list[Reward]:
    """The reward of each rollout of a question."""
    read = [parse_trajectory(policy.decode(rollout.ids[rollout.prompt :])) for rollout in rollouts]
    qualities = evidence_quality(example.question, example.answers, [last_note(t) for t in read], judge)
    return [reward(t, example.answers, quality) for t, quality in zip(read, qualities, strict=True)]


# -- training ----------------------------------------------------------------------------------------------------------


def train(
    examples: Sequence[NoteExample],
    policy: Policy,
    judge: Judge,
    steps: int | None = None,
    seed: int = 0,
    report: Report = silent,
) -> TrainedNoteReader:
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
    waiting: list[NoteExample] = []
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
    return TrainedNoteReader(policy, len(examples), steps, seed, rewards, losses)


@dataclass(frozen=True, slots=True)
class _ScoredRollout:
    """A rollout with what does not change while the policy learns from it."""

    rollout: Rollout
    advantage: float
    old: Tensor
    reference: Tensor


def _learnable(policy: Policy, example: NoteExample, judge: Judge) -> tuple[list[_ScoredRollout], float]:
    """GROUP rollouts of a question, and their mean reward."""
    import torch

    rollouts = roll_out(policy, example)
    totals = [scored.total for scored in rewards_of(policy, example, rollouts, judge)]
    group = []
    with torch.no_grad():
        for rollout, advantage in zip(rollouts, advantages(totals), strict=True):
            old = policy.log_probabilities(rollout)
            with policy.reference() as frozen:
                group.append(_ScoredRollout(rollout, advantage, old, policy.log_probabilities(rollout, frozen)))
    return group, sum(totals) / len(totals)


def _update(policy: Policy, mini: Sequence[_ScoredRollout], optimiser: Any) -> float:
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


def save(trained: TrainedNoteReader, out: Path, data: str, judge: str) -> None:
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
