"""The contract of a model: a loss for training, a start and a step for generation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from torch import Tensor, nn

from seqgen.decoders.base import Start
from seqgen.registry import Registry
from seqgen.state import State

models: Registry[Model] = Registry("model", supplied={"vocab_size"})


class Loss(NamedTuple):
    """`total` nats (a scalar with a graph) of `tokens` real targets, and the state behind them."""

    total: Tensor
    tokens: int
    state: State


class Score(NamedTuple):
    """Teacher-forced scores: `nats` and `correct: [batch, time]`, zero where a row is padding."""

    nats: Tensor
    correct: Tensor
    state: State


class Model(nn.Module, ABC):
    """A network that learns from batches and generates token by token."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first token."""

    @abstractmethod
    def loss(self, batch: Any, state: State = None) -> Loss:
        """The training loss of `batch`, from the initial state where `state` is None."""

    @abstractmethod
    def score(self, batch: Any, state: State = None) -> Score:
        """The nats of each real target, and whether the model's first choice was right."""

    @abstractmethod
    def start(self, batch: Any) -> Start:
        """Read prompts or sources; what comes back begins a search."""

    @abstractmethod
    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to log-probabilities `[rows, vocab]` and the next state."""


ModelFactory = Annotated[Callable[..., Model], models]
"""Called with `vocab_size=`, it returns the model."""
