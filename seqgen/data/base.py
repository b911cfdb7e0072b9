"""The contract of data: from options to texts, from texts and tokenizers to batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

from torch import Tensor

from seqgen.registry import Registry
from seqgen.state import State
from seqgen.tokenizers.base import Tokenizers
from seqgen.tokenizers.facts import Counts

data: Registry[Data[Any]] = Registry("data kind", room="data", supplied={"seed"})

R = TypeVar("R")
B = TypeVar("B", bound="Batch")
SplitName = Literal["valid", "test"]


class Batch(Protocol):
    """What training needs to know of a batch."""

    @property
    def continues(self) -> bool:
        """Whether the rows go on where the last batch's ended: then the state is carried over."""
        ...

    @property
    def tokens(self) -> int:
        """The number of real targets."""
        ...

    def to(self, device: Any) -> Any:
        """The same batch on `device`."""
        ...


@dataclass(frozen=True)
class TokenBatch:
    """Tokens to read and the tokens to predict from them.

    `inputs` and `targets: [batch, time]`; `lengths: [batch]` says how much of each row is real
    (None: all). `continues`: the rows go on where the last batch's rows ended, so the recurrent
    state is carried over.
    """

    inputs: Tensor
    targets: Tensor
    lengths: Tensor | None = None
    continues: bool = False

    def to(self, device: Any) -> TokenBatch:
        """The same batch on `device`."""
        lengths = None if self.lengths is None else self.lengths.to(device)
        return TokenBatch(self.inputs.to(device), self.targets.to(device), lengths, self.continues)

    @property
    def tokens(self) -> int:
        """The number of real targets."""
        return self.targets.numel() if self.lengths is None else int(self.lengths.sum())


@dataclass(frozen=True)
class Prompts:
    """What generation starts from: `tokens: [batch, time]`, each row `lengths[i] >= 1` long."""

    tokens: Tensor
    lengths: Tensor

    def to(self, device: Any) -> Prompts:
        """The same prompts on `device`."""
        return Prompts(self.tokens.to(device), self.lengths.to(device))


@dataclass(frozen=True)
class TextSize:
    """How large a part of the data is, before any tokenizer."""

    chars: int
    bytes: int


class Training(ABC, Generic[B]):
    """The training batches, a pure function of the step: resuming needs the step, no more."""

    tokens: int
    size: TextSize
    steps_per_epoch: int

    @abstractmethod
    def batch(self, step: int) -> B:
        """The batch of training step `step >= 0`; epochs follow one another without an end."""

    def counts(self) -> Mapping[str, Counts]:
        """For each role how often each id is a token of the training part, up to the largest id;
        nothing for roles that are not counted."""
        return {}


class Split(ABC, Generic[B]):
    """A held-out part, walked so that each target is seen once, from its true state."""

    tokens: int
    unknown: int
    size: TextSize

    @abstractmethod
    def walk(
        self,
        visit: Callable[[B, State], tuple[R, State]],
        initial_state: Callable[[int], State],
        batch_size: int,
    ) -> list[R]:
        """Call `visit(batch, state) -> (result, next state)` over the whole split.

        The results together do not depend on `batch_size` (within the accuracy of floats).
        """


@dataclass(frozen=True)
class Dataset(Generic[B]):
    """Encoded data, ready for training; a held-out part that the recipe leaves empty is None."""

    train: Training[B]
    valid: Split[B] | None
    test: Split[B] | None


class Data(ABC, Generic[B]):
    """A kind of data. The constructor only keeps its options; nothing is read before it is asked.

    `roles` names the texts that have a tokenizer each, `output_role` the one that is generated.
    `ends` says whether sequences end by themselves, with EOS.
    """

    roles: tuple[str, ...] = ("text",)
    output_role: str = "text"
    ends: bool

    @abstractmethod
    def training_texts(self) -> Mapping[str, Iterable[str]]:
        """For each role the texts that its tokenizer may learn from. Errors: DataError."""

    @abstractmethod
    def training(self, tokenizers: Tokenizers) -> Training[B]:
        """The training part as batches. Errors: DataError where there is too little of it."""

    @abstractmethod
    def held_out(self, name: SplitName, tokenizers: Tokenizers) -> Split[B] | None:
        """A held-out part, without encoding the others; None where there is none."""

    @abstractmethod
    def prompts(self, texts: Sequence[str], tokenizers: Tokenizers) -> Any:
        """The texts that a person gives, as the batch of a model's start; reads no data."""

    @abstractmethod
    def fingerprint(self) -> dict[str, str]:
        """The SHA-256 of each source, for the manifest."""

    def sizes(self, tokenizers: Tokenizers) -> dict[str, int]:
        """What a model must know to be built; it takes what its constructor names."""
        return {"vocab_size": len(tokenizers[self.output_role])}

    def encode(self, tokenizers: Tokenizers) -> Dataset[B]:
        """All parts."""
        valid, test = self.held_out("valid", tokenizers), self.held_out("test", tokenizers)
        return Dataset(self.training(tokenizers), valid, test)


DataFactory = Annotated[Callable[..., Data[Any]], data]
