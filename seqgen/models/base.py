"""The contract of a model: a loss for training, a start and a step for generation.

The plainest kind is here too: `language_model`, the next token from all tokens before it.

*Teacher-forced* is what reads the true tokens, whatever the model itself would have chosen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from seqgen.cells import CellFactory, Dropout, ReadAhead, cells, read_by_steps
from seqgen.data import Prompts, TokenBatch
from seqgen.decoders import Start, Stepper
from seqgen.embeddings import EmbeddingFactory, LearnedEmbedding, embeddings
from seqgen.heads import Head, HeadFactory, LinearHead, heads
from seqgen.options import Share
from seqgen.registry import Registry
from seqgen.state import State, real
from seqgen.tokenizers import Facts

models: Registry[Model] = Registry("model", supplied={"vocab_size", "source"})


class Loss(NamedTuple):
    """`total` nats (a scalar with a graph) of `tokens` real targets, and the state after them."""

    total: Tensor
    tokens: int
    state: State


class Score(NamedTuple):
    """Teacher-forced scores, each `[batch, time]` and zero where a row is padding: the nats of the
    target, whether the model's first choice was right, and that choice."""

    nats: Tensor
    correct: Tensor
    predicted: Tensor
    state: State


class Model(nn.Module, ABC):
    """A network that learns from batches. One that generates, too, is Generative."""

    @property
    def floats(self) -> torch.dtype:
        """The type of the model's numbers, in which it wants those of its batches."""
        return next((each.dtype for each in self.parameters()), torch.get_default_dtype())

    def initial_state(self, batch_size: int) -> State:
        """The state before the first token; None where nothing is carried between batches."""
        return None

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """Start a new run from what is known of each field's vocabulary, for parts that use it;
        never called on loaded weights."""

    def advance(self, progress: float) -> None:
        """Called before each step of training with the share of the budget that is spent, 0 to 1,
        for what a model changes with time, such as how often it reads its own tokens."""

    @abstractmethod
    def loss(self, batch: Any, state: State = None) -> Loss:
        """The training loss of `batch`, from the initial state where `state` is None."""

    @abstractmethod
    def score(self, batch: Any, state: State = None) -> Score:
        """The nats of each real target, and the model's first choice."""


class Generative(Model, ABC):
    """A model that generates token by token; it is a `decoders.Stepper`.

    `looks_back` says whether each token has its own attention over the tokens of the source.
    """

    looks_back: bool = False

    @abstractmethod
    def start(self, batch: Any) -> Start:
        """Read prompts or sources; what comes back begins a search."""

    def read_on(self, tokens: Tensor, state: State = None, lengths: Tensor | None = None) -> State:
        """The state after `tokens: [batch, time]`, `lengths: [batch]` of them real (None: all),
        read from `state` (None: the initial one).

        For models that continue texts, whose `start` must begin with the state of its batch, and
        come to the same. Raises ValueError for others.
        """
        what = f"a {type(self).__name__} keeps no state of a text that it could go on from"
        raise ValueError(f"{what} (it has no `read_on`)")

    @abstractmethod
    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to log-probabilities `[rows, vocab]` and the next state.

        `rows` is k times the sources of `context`: rows `i*k` to `i*k + k - 1` belong to source i.
        """

    def stepper(self, tokens: int) -> Stepper:
        """What takes the steps of a search that reads about so many `tokens`: the model itself, or
        the same with what all steps share computed first. It is good until the weights change, and
        without dropout.
        """
        return self

    def attention_weights(self, batch: Any) -> Tensor | None:
        """How much each target of `batch` attends to each token of its source, `[batch, time,
        source_time]`, teacher-forced and zero after the ends of rows; None without attention."""
        return None


ModelFactory = Annotated[Callable[..., Model], models]
"""Called with `vocab_size=` and what else `Data.sizes` says, it returns the model."""


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Switch dropout and gradients off; the model's mode is put back afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def mask_padding(values: Tensor, lengths: Tensor | None) -> Tensor:
    """`values: [batch, time]` with zeros after each row's length; as they are where it is None."""
    return values if lengths is None else values.masked_fill(~real(lengths, values.shape[1]), 0)


READ_AT_ONCE = 64
"""How many tokens of a prompt are read at once."""

SCORED_AT_ONCE = 32
"""For how many steps all log-probabilities are there at once."""


def scored(
    head: Head, hidden: Tensor, targets: Tensor, lengths: Tensor | None, state: State = None
) -> Score:
    """The Score of `targets: [batch, time]` from `hidden: [batch, time, input]`."""
    nats, choices = [], []
    parts = [torch.split(each, SCORED_AT_ONCE, 1) for each in (hidden, targets)]
    for some, wanted in zip(*parts, strict=True):
        log_probs = head.log_probs(some)
        nats.append(-log_probs.gather(-1, wanted.unsqueeze(-1)).squeeze(-1))
        choices.append(log_probs.argmax(-1))
    predicted = torch.cat(choices, 1)
    found = (torch.cat(nats, 1), predicted == targets, predicted)
    total, correct, predicted = (mask_padding(each, lengths) for each in found)
    return Score(total, correct, predicted, state)


@dataclass
class _LanguageStepper:
    """A language model without dropout whose cell reads, by `read`, what `inputs` makes of
    tokens."""

    model: LanguageModel
    inputs: Callable[[Tensor], Tensor]
    read: Callable[[Tensor, State], tuple[Tensor, State]]

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        output, state = self.read(self.inputs(tokens), state)
        return self.model.head.log_probs(output), state

    @cached_property
    def _ahead(self) -> tuple[ReadAhead | None, Callable[[Tensor], Tensor]]:
        """What the cell can read at once, and the head, prepared when they are first needed."""
        return self.model.cell.reading_ahead(), self.model.head.prepared()

    def read_ahead(
        self, tokens: Tensor, state: State, context: State
    ) -> tuple[Tensor, list[State]]:
        """As `decoders.read_ahead`: the head, and what of the cell needs no state, for all at
        once."""
        if len(tokens) == 1:  # to the last bit as a step
            log_probs, state = self.step(tokens, state, context)
            return log_probs, [state]
        cell, log_probs_of = self._ahead
        if cell is not None:
            outputs, states = cell(self.model.embedding(tokens), state)
        else:
            outputs, states = read_by_steps(self.read)(self.inputs(tokens), state)
        return log_probs_of(outputs), states


@models.register("language_model")
class LanguageModel(Generative):
    """Embedding, cell, head: `p(token | tokens before it)`.

    `input_dropout` falls on what the cell reads, `dropout` on what the head reads.
    """

    def __init__(
        self,
        vocab_size: int,
        cell: CellFactory,
        head: HeadFactory = LinearHead,
        embedding: EmbeddingFactory = LearnedEmbedding,
        dropout: Share = 0.0,
        input_dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = embeddings.build(embedding, vocab_size=vocab_size)
        self.cell = cells.build(cell, input_size=self.embedding.output_size)
        sizes = {"input_size": self.cell.output_size, "vocab_size": vocab_size}
        self.head = heads.build(head, **sizes, table=self.embedding.table)
        self.dropout = Dropout(dropout)
        self.input_dropout = Dropout(input_dropout)

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        self.embedding.initialise(facts["text"])
        self.head.initialise(facts["text"])

    def loss(self, batch: TokenBatch, state: State = None) -> Loss:
        """In training, a state that was carried gets new masks first."""
        if self.training and state is not None:
            state = self.cell.resample_masks(state)
        hidden, state = self._read(batch.inputs, state, batch.on_host.lengths)
        losses = self.head.loss(hidden, batch.targets)
        return Loss(mask_padding(losses, batch.lengths).sum(), batch.tokens, state)

    def score(self, batch: TokenBatch, state: State = None) -> Score:
        hidden, state = self._read(batch.inputs, state, batch.on_host.lengths)
        return scored(self.head, hidden, batch.targets, batch.lengths, state)

    def start(self, batch: Prompts) -> Start:
        """Read each prompt but for its last token, which the first step reads."""
        before = batch.lengths - 1
        last = batch.tokens.gather(1, before.unsqueeze(1)).squeeze(1)
        return Start(last, self.read_on(batch.tokens[:, :-1], batch.state, before))

    def read_on(self, tokens: Tensor, state: State = None, lengths: Tensor | None = None) -> State:
        """In parts of READ_AT_ONCE tokens, counted from `state` on: that bounds the memory."""
        batch, time = tokens.shape
        state = self.initial_state(batch) if state is None else state
        lengths = torch.full((batch,), time) if lengths is None else lengths
        for begin in range(0, time, READ_AT_ONCE):
            part = tokens[:, begin : begin + READ_AT_ONCE]
            own = (lengths - begin).clamp(0, READ_AT_ONCE)
            _, state = self._read(part, state, own)
        return state

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        output, state = self.cell.step_input(self.input_dropout(self.embedding(tokens)), state)
        return self.head.log_probs(self.dropout(output)), state

    def stepper(self, tokens: int) -> Stepper:
        """Where more tokens are read than there are in the vocabulary, one with a table of what the
        cell makes of each."""
        vocab = len(self.embedding.table())
        if tokens < vocab:
            return _LanguageStepper(self, self.embedding, self.cell.step_input)
        every = torch.arange(vocab, device=self.embedding.table().device)
        table, read = self.cell.tabulated(self.embedding(every))
        return _LanguageStepper(self, partial(torch.index_select, table, 0), read)

    def _read(self, tokens: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """`[batch, time]` to what the head reads, `[batch, time, hidden]`, and the state."""
        outputs, state = self.cell(self.input_dropout(self.embedding(tokens)), state, lengths)
        return self.dropout(outputs), state
