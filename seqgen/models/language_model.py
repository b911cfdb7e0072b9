"""The model `language_model`: the next token from all tokens before it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from seqgen.cells import CellFactory, cells
from seqgen.data import Prompts, TokenBatch
from seqgen.decoders import Start
from seqgen.dropout import Dropout
from seqgen.embeddings import EmbeddingFactory, LearnedEmbedding, embeddings
from seqgen.heads import HeadFactory, LinearHead, heads
from seqgen.models.base import Generative, Loss, Score, mask_padding, models, scored
from seqgen.options import Share
from seqgen.state import State
from seqgen.tokenizers import Facts


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
        hidden, state = self._read(batch.inputs, state, batch.lengths)
        losses = self.head.loss(hidden, batch.targets)
        return Loss(mask_padding(losses, batch.lengths).sum(), batch.tokens, state)

    def score(self, batch: TokenBatch, state: State = None) -> Score:
        hidden, state = self._read(batch.inputs, state, batch.lengths)
        return scored(self.head, hidden, batch.targets, batch.lengths, state)

    def start(self, batch: Prompts) -> Start:
        """Read each prompt but for its last token, which the first step reads."""
        before = batch.lengths - 1
        last = batch.tokens.gather(1, before.unsqueeze(1)).squeeze(1)
        _, state = self._read(batch.tokens[:, :-1], None, before)
        return Start(last, state)

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        output, state = self.cell.step_input(self.input_dropout(self.embedding(tokens)), state)
        return self.head.log_probs(self.dropout(output)), state

    def _read(self, tokens: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        """`[batch, time]` to what the head reads, `[batch, time, hidden]`, and the state."""
        outputs, state = self.cell(self.input_dropout(self.embedding(tokens)), state, lengths)
        return self.dropout(outputs), state
