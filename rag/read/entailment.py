"""Natural language inference: how likely it is that one text entails another, by a classifier of transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rag.errors import ModelError, not_loaded

JUDGE_TOKENS = 512  # premise and hypothesis together: the most that DeBERTa-v2, the paper's judge, was trained on

Judge = Callable[[Sequence[str], Sequence[str]], Sequence[float]]  # premises, hypotheses -> P(entailment), 0..1 each


def hypothesis(question: str, answer: str) -> str:
    """What the note is to entail, in the paper's words and punctuation; the question mark stands there once.

    >>> hypothesis("Where was Ada born?", "Oslo")
    'Oslo is the answer to the question:"Where was Ada born?"'
    """
    return f'{answer} is the answer to the question:"{question.strip().rstrip("?").rstrip()}?"'


def open_judge(model: Path | str, max_tokens: int = JUDGE_TOKENS, batch_size: int = 16) -> Judge:
    """A judge by transformers: a sequence classifier of natural language inference, by hub id or folder.

    The paper's is DeBERTa-v2-xlarge trained on MNLI (microsoft/deberta-v2-xlarge-mnli). Which output means entailment
    is read from the model's config. A pair of more than `max_tokens` is cut at the premise's end, and at the
    hypothesis's only if that alone takes up more than half. (The release has an empty text in place of any of more than
    512 characters, so that a longer note earns nothing.)

    Raises ModelError for a model that cannot be loaded, or has no output called entailment.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what cannot be used is said below, in one line
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        classifier: Any = AutoModelForSequenceClassification.from_pretrained(model, dtype=torch.float32).eval()
    except Exception as error:  # transformers and the hub raise many kinds; all mean that it cannot be loaded
        remedy = "Name a classifier of natural language inference: a hub id or folder that transformers can load"
        raise not_loaded(f"judge {model}", error, remedy) from error
    labels = {int(place): str(label) for place, label in classifier.config.id2label.items()}
    entailing = [place for place, label in labels.items() if label.casefold() == "entailment"]
    if len(entailing) != 1:
        raise ModelError(
            f"judge {model} has no output called entailment, but {', '.join(labels.values())}. "
            "Name a classifier of natural language inference, such as one trained on MNLI"
        )
    classifier.to("cuda" if torch.cuda.is_available() else "cpu")
    longest = getattr(classifier.config, "max_position_embeddings", max_tokens)
    longest_pair = min(max_tokens, longest, tokenizer.model_max_length)

    def judge(premises: Sequence[str], hypotheses: Sequence[str]) -> list[float]:
        """P(entailment) by softmax over the outputs, a pair at each place."""
        if len(premises) != len(hypotheses):
            raise ValueError(f"{len(premises)} premises, but {len(hypotheses)} hypotheses")
        entailments = [0.0] * len(premises)
        long = [len(tokenizer(claim)["input_ids"]) > longest_pair // 2 for claim in hypotheses]
        # Pairs that are cut alike and of like length share a batch, so little is padded.
        order = sorted(range(len(premises)), key=lambda i: (long[i], len(premises[i])))
        for cut_both in (False, True):
            chosen = [i for i in order if long[i] is cut_both]
            for first in range(0, len(chosen), batch_size):
                batch = chosen[first : first + batch_size]
                inputs = tokenizer(
                    [premises[i] for i in batch],
                    [hypotheses[i] for i in batch],
                    padding=True,
                    truncation="longest_first" if cut_both else "only_first",
                    max_length=longest_pair,
                    return_tensors="pt",
                ).to(classifier.device)
                with torch.inference_mode():
                    probabilities = classifier(**inputs).logits.softmax(1)[:, entailing[0]]  # (batch, labels) before
                for i, probability in zip(batch, probabilities.tolist(), strict=True):
                    entailments[i] = probability
        return entailments

    return judge
