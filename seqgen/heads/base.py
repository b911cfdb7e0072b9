"""The contract of a head: hidden vectors to log-probabilities of tokens, and their loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

from torch import Tensor, nn

from seqgen.registry import Registry
from seqgen.tokenizers import Facts

heads: Registry[Head] = Registry("head", supplied={"input_size", "vocab_size", "table"})


class Head(nn.Module, ABC):
    """What a hidden vector says about the next token."""

    @abstractmethod
    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`, natural logarithms that sum to one in probability."""

    @abstractmethod
    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Nats of each target: `[..., input]` and `[...]` to `[...]`.

        Need not hold the log-probabilities of all targets at once.
        """

    def initialise(self, facts: Facts) -> None:
        """Start a new run from what is known of the vocabulary; never called on loaded weights."""


HeadFactory = Annotated[Callable[..., Head], heads]
"""Called with `input_size=`, `vocab_size=` and `table=`, it returns the head.

`table` is the method of the embedding that returns its vectors, `[vocab, embedding]`.
"""
