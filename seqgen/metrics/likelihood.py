"""What teacher-forced nats say: perplexity, bits per character and per byte, accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """Sums over predicted tokens, which add up over batches: nats, hits, and how many tokens."""

    nats: float
    correct: int
    tokens: int

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.nats + other.nats, self.correct + other.correct, self.tokens + other.tokens
        )


def likelihood(tally: Tally, chars: int, size: int) -> dict[str, float]:
    """The figures of a text of `chars` characters and `size` bytes.

    `perplexity = exp(nats / tokens)` depends on the tokenizer; `bits_per_char` and
    `bits_per_byte`, `nats / ln 2` over characters and bytes, can be compared across tokenizers.
    """
    if not tally.tokens or not chars:
        raise ValueError("`tally` must have at least 1 token, but has none")
    per_token = tally.nats / tally.tokens
    return {
        "nats_per_token": per_token,
        "perplexity": math.exp(per_token) if per_token < 700 else math.inf,
        "bits_per_char": tally.nats / math.log(2) / chars,
        "bits_per_byte": tally.nats / math.log(2) / size,
        "accuracy": tally.correct / tally.tokens,
        "tokens": tally.tokens,
    }
