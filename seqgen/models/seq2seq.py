"""The model `seq2seq`: an encoder reads the source, a cell writes the target token by token.

*Input feeding* hands what attention read at a step to the cell at the next one. *Scheduled
sampling* is how often a model in training reads its own tokens, not the true ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor

from seqgen.attentions import AttentionFactory, NoAttention, attentions
from seqgen.cells import CellFactory, Dropout, cells
from seqgen.data import PairBatch, Sources
from seqgen.decoders import Attended, Start, Stepper, at_temperature
from seqgen.embeddings import EmbeddingFactory, LearnedEmbedding, embeddings
from seqgen.encoders import BridgeFactory, EncoderFactory, LinearBridge, bridges, encoders
from seqgen.heads import HeadFactory, LinearHead, heads
from seqgen.models.base import Generative, Loss, Score, mask_padding, models, scored
from seqgen.options import Share, Temperature
from seqgen.state import State, real
from seqgen.tokenizers import BOS, Facts

Fraction = Annotated[float, Field(ge=0, le=1)]

WORTH_PREPARING = 64
"""How many tokens must be read at least for the head's weights to be prepared."""

STEEPNESS = 10.0
"""Of the curve `sigmoid`: between `begin` and `end` it goes from 0.007 to 0.993 of its height."""


@dataclass(frozen=True)
class ScheduledSampling:
    """Reading the model's own tokens in training (Bengio et al. 2015), so that it learns to go on
    after its own mistakes, which teacher forcing never shows it.

    At share p of the budget each token that the model reads is replaced, with the probability
    `rate * curve(p)`, by one that it draws itself at `temperature` (0: its first choice). The curve
    is 0 before `begin` and 1 from `end` on, both shares of the budget, and in between::

        s = (p - begin) / (end - begin)
        constant 1      linear s      sigmoid 1 / (1 + exp(-10 (s - 1/2)))

    No gradient flows through what is drawn. Where the rate is not 0, training goes token by token.
    """

    rate: Fraction = 0.25
    curve: Literal["constant", "linear", "sigmoid"] = "linear"
    begin: Fraction = 0.0
    end: Fraction = 1.0
    temperature: Temperature = 1.0

    def __post_init__(self) -> None:
        if self.end < self.begin:
            raise ValueError(f"`end` must be at least `begin` ({self.begin}), but is {self.end}")
        if not 0 <= self.temperature < math.inf:
            found = self.temperature
            raise ValueError(f"`temperature` must be at least 0 and finite, but is {found}")

    def at(self, progress: float) -> float:
        """The rate at a share of the budget, 0 to 1."""
        if progress < self.begin:
            return 0.0
        if progress >= self.end or self.curve == "constant":
            return self.rate
        share = (progress - self.begin) / (self.end - self.begin)
        if self.curve == "linear":
            return self.rate * share
        return self.rate / (1 + math.exp(-STEEPNESS * (share - 0.5)))


def mixed(tokens: Tensor, log_probs: Tensor, rate: float, temperature: float) -> Tensor:
    """`tokens: [rows]`, each replaced with the probability `rate` by one drawn from `log_probs:
    [rows, vocab]`, by torch's own random numbers. Log-probabilities of NaN give any token: the loss
    will say that the model diverges."""
    drawn = log_probs.argmax(-1)
    if temperature:
        # The first token at which the cumulative probability exceeds a uniform number.
        cumulative = at_temperature(log_probs, temperature).exp().cumsum(-1)
        points = torch.rand_like(cumulative[:, -1:]) * cumulative[:, -1:]
        found = torch.searchsorted(cumulative, points, right=True).squeeze(1)
        drawn = found.clamp(max=log_probs.shape[1] - 1)  # past the end only where it is NaN
    own = torch.rand(tokens.shape, device=tokens.device) < rate
    return torch.where(own, drawn, tokens)


class Context(NamedTuple):
    """What an encoder left for each source: attention's keys, the memory (in generation attention's
    values of it), and its mask."""

    keys: Tensor
    memory: Tensor
    mask: Tensor


class WriterState(NamedTuple):
    """The cell's state; with input feeding also what was read last, `[rows, size]`; with attention
    what it has attended to, if somebody asks."""

    cell: State
    fed: Tensor | None
    attended: Attended | None


Look = Callable[..., tuple[Tensor, Tensor]]
"""An attention, or its `look` in generation."""

Read = tuple[Tensor, Tensor, WriterState]
"""What the head reads, `[rows, size]`, attention's weights, and the state after that."""


class _PreparedStepper(NamedTuple):
    """A Seq2Seq as a search takes its steps, with what all steps share computed first."""

    read: Callable[[Tensor, WriterState, Context], Read]
    log_probs: Callable[[Tensor], Tensor]

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        read, _, following = self.read(tokens, cast(WriterState, state), cast(Context, context))
        return self.log_probs(read), following


@models.register("seq2seq")
class Seq2Seq(Generative):
    """Encoder to decoder: `p(token | source, tokens before it)`.

    The bridge makes the cell's first state of the encoder's summary. For each token read, the
    cell's output looks back at the source (`attention`), and the head reads the result. With
    `input_feeding` the cell gets that together with the next token (Luong et al. 2015, 3.3), which
    takes a loop over time in training; so does `sampling`, see ScheduledSampling. Without both, all
    times are read at once. `input_dropout` falls on the embedded target, `dropout` on what the head
    reads.
    """

    def __init__(
        self,
        vocab_size: int,
        source: Mapping[str, int],
        encoder: EncoderFactory,
        cell: CellFactory,
        attention: AttentionFactory = NoAttention,
        bridge: BridgeFactory = LinearBridge,
        embedding: EmbeddingFactory = LearnedEmbedding,
        head: HeadFactory = LinearHead,
        input_feeding: bool = False,
        sampling: ScheduledSampling | None = None,
        dropout: Share = 0.0,
        input_dropout: Share = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = encoders.build(encoder, **source)
        self.embedding = embeddings.build(embedding, vocab_size=vocab_size)
        self.cell, self.attention = self._writer(cell, attention, input_feeding)
        sizes = {"summary_size": self.encoder.summary_size, "state_size": self.cell.summary_size}
        self.bridge = bridges.build(bridge, **sizes)
        sizes = {"input_size": self.attention.output_size, "vocab_size": vocab_size}
        self.head = heads.build(head, **sizes, table=self.embedding.table)
        self.looks_back = self.attention.looks
        self.input_feeding = input_feeding
        self.sampling = sampling
        self.progress = 0.0
        self.dropout = Dropout(dropout)
        self.input_dropout = Dropout(input_dropout)

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        self.encoder.initialise(facts)
        self.embedding.initialise(facts["target"])
        self.head.initialise(facts["target"])

    def advance(self, progress: float) -> None:
        self.progress = progress

    def loss(self, batch: PairBatch, state: State = None) -> Loss:
        hidden, _ = self._write(batch)
        losses = self.head.loss(hidden, batch.targets)
        return Loss(mask_padding(losses, batch.lengths).sum(), batch.tokens, None)

    def score(self, batch: PairBatch, state: State = None) -> Score:
        hidden, _ = self._write(batch)
        return scored(self.head, hidden, batch.targets, batch.lengths)

    def attention_weights(self, batch: PairBatch) -> Tensor | None:
        if not self.looks_back:
            return None
        _, weights = self._write(batch)
        return weights.masked_fill(~real(batch.lengths, weights.shape[1]).unsqueeze(2), 0)

    def start(self, batch: Sources) -> Start:
        """Encode each source; the first step reads BOS."""
        state, context = self._encode(batch)
        context = context._replace(memory=self.attention.values(context.memory))
        return Start(torch.full_like(batch.lengths, BOS), state, context)

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        start, source = cast(WriterState, state), cast(Context, context)
        read, _, following = self._read(tokens, start, source, self.attention.look)
        return self.head.log_probs(read), following

    def stepper(self, tokens: int) -> Stepper:
        """Where more tokens are read than there are in the vocabulary, one with a table of what the
        cell makes of each; the head's weights are prepared for fewer, too."""
        if tokens < WORTH_PREPARING:
            return self
        look, log_probs = self.attention.look, self.head.prepared()
        vocab = len(self.embedding.table())
        if tokens < vocab:
            return _PreparedStepper(partial(self._read, look=look), log_probs)
        every = torch.arange(vocab, device=self.embedding.table().device)
        rest_size = self.attention.output_size if self.input_feeding else 0
        table, step = self.cell.tabulated(self.embedding(every), rest_size)

        def read(tokens: Tensor, state: WriterState, context: Context) -> Read:
            rest = () if state.fed is None else (state.fed.to(table.dtype),)
            output, following = step(table.index_select(0, tokens), state.cell, *rest)
            return self._look_back(output, state._replace(cell=following), context, look)

        return _PreparedStepper(read, log_probs)

    def _writer(
        self, cell: CellFactory, attention: AttentionFactory, input_feeding: bool
    ) -> tuple[Any, Any]:
        """The cell and its attention. With input feeding the cell reads what attention makes,
        whose size may follow from the cell's: both are first built on no device to find out."""

        def build(input_size: int) -> tuple[Any, Any]:
            made = cells.build(cell, input_size=input_size)
            sizes = {"query_size": made.output_size, "memory_size": self.encoder.memory_size}
            return made, attentions.build(attention, **sizes)

        input_size = self.embedding.output_size
        if input_feeding:
            with torch.device("meta"):
                input_size += build(input_size)[1].output_size
        return build(input_size)

    def _encode(self, sources: Sources) -> tuple[WriterState, Context]:
        """The first state of the cell, and the context."""
        summary, memory, mask = self.encoder(sources)
        state = self.cell.state_from(self.bridge(summary))
        size = self.attention.output_size
        fed = summary.new_zeros(len(mask), size) if self.input_feeding else None
        attended = Attended() if self.looks_back else None
        return WriterState(state, fed, attended), Context(self.attention.keys(memory), memory, mask)

    def _write(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """What the head reads for each target, `[batch, time, size]`, and attention's weights."""
        state, context = self._encode(batch.sources)
        if not batch.inputs.shape[1]:  # outputs that had no room for a token
            nothing = context.memory.new_zeros(len(context.mask), 0, self.attention.output_size)
            return nothing, nothing.new_zeros(len(nothing), 0, context.mask.shape[1])
        rate = self.sampling.at(self.progress) if self.sampling and self.training else 0.0
        if self.input_feeding or rate:
            return self._write_in_steps(batch.inputs, state, context, rate)
        embedded = self.input_dropout(self.embedding(batch.inputs))
        outputs, _ = self.cell(embedded, state.cell)
        read, weights = self.attention(outputs, *context)
        return self.dropout(read), weights

    def _write_in_steps(
        self, inputs: Tensor, state: WriterState, context: Context, rate: float
    ) -> tuple[Tensor, Tensor]:
        """As `_write`, token by token; with the probability `rate` one that the model has drawn."""
        reads: list[Tensor] = []
        weights: list[Tensor] = []
        for true in inputs.unbind(1):
            tokens = true
            if reads and rate and self.sampling:
                with torch.no_grad():
                    log_probs = self.head.log_probs(reads[-1])
                tokens = mixed(true, log_probs, rate, self.sampling.temperature)
            read, weight, state = self._read(tokens, state, context, self.attention)
            reads.append(read)
            weights.append(weight)
        return torch.stack(reads, 1), torch.stack(weights, 1)

    def _read(self, tokens: Tensor, state: WriterState, context: Context, look: Look) -> Read:
        """Read `tokens: [rows]`."""
        x = self.input_dropout(self.embedding(tokens))
        if state.fed is not None:
            x = torch.cat([x, state.fed.to(x.dtype)], -1)
        output, following = self.cell.step_input(x, state.cell)
        return self._look_back(output, state._replace(cell=following), context, look)

    def _look_back(self, output: Tensor, state: WriterState, context: Context, look: Look) -> Read:
        """As `_read`, from the output of a step of the cell, and `state` with what it left."""
        # The k rows of a source, side by side, are k queries to attention: [sources, k, query].
        sources = len(context.mask)
        queries = output.view(sources, len(output) // max(1, sources), output.shape[-1])
        read, weights = look(queries, *context)
        read = self.dropout(read.flatten(0, 1))
        fed = read if self.input_feeding else None
        attended = state.attended and state.attended.after(weights, context.mask)
        return read, weights.flatten(0, 1), WriterState(state.cell, fed, attended)
