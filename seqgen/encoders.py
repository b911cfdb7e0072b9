"""Encoders, which read sources. To add one: subclass `Encoder`, `@encoders.register("name")`.

The *summary* of a source is one vector, its *memory* a vector for each of its tokens, which a
decoder may look back at. A *bridge* makes what a decoder's cell begins with of the summary; to add
one: `@bridges.register("name")`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple, cast

import torch
from torch import Tensor, nn

from seqgen.cells import Cell, CellFactory, Dropout, cells
from seqgen.data import Sources
from seqgen.embeddings import EmbeddingFactory, LearnedEmbedding, embeddings
from seqgen.options import Few, Share, Size
from seqgen.registry import Registry
from seqgen.state import real
from seqgen.tokenizers import PAD, Facts

__all__ = ["Encoded", "Encoder", "EncoderFactory", "bridges", "encoders"]

encoders: Registry[Encoder] = Registry(
    "encoder", supplied={"vocab_size", "letters_size", "vector_size"}
)


class Encoded(NamedTuple):
    """What an encoder leaves.

    `summary: [batch, summary_size]` is the source as a whole. `memory: [batch, source_time,
    memory_size]` has a vector for each of its tokens, of which `mask: [batch, source_time]` says
    which are real; vectors after the end of a row are zero.
    """

    summary: Tensor
    memory: Tensor
    mask: Tensor

    @classmethod
    def without_memory(cls, summary: Tensor) -> Encoded:
        """A summary alone: one empty place to look back at, `[batch, 1, 0]`."""
        batch = summary.shape[0]
        mask = torch.ones(batch, 1, dtype=torch.bool, device=summary.device)
        return cls(summary, summary.new_zeros(batch, 1, 0), mask)


class Encoder(nn.Module, ABC):
    """Reads sources. What it returns for a row does not depend on the padding after it.

    A `memory_size` of 0 means that there is nothing to look back at.
    """

    summary_size: int
    memory_size: int

    @abstractmethod
    def forward(self, sources: Sources) -> Encoded:
        """Read a batch of sources."""

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """Start a new run from what is known of each field's vocabulary, `source` and `letters`;
        never called on loaded weights."""


EncoderFactory = Annotated[Callable[..., Encoder], encoders]
"""Called with the sizes of the source, it returns the encoder: `vocab_size=`, and `letters_size=`
where tokens are spelt, or `vector_size=`."""


@encoders.register("label")
class Label(Encoder):
    """The first token of each source as a vector of `size` numbers; no memory for attention.

    What comes after that token (EOS) is not read; a source without tokens counts as padding.
    """

    memory_size = 0

    def __init__(self, vocab_size: int, size: Size = 64) -> None:
        super().__init__()
        self.embedding = LearnedEmbedding(vocab_size, size)
        self.summary_size = size

    def forward(self, sources: Sources) -> Encoded:
        # One place more, since there may be none at all.
        first = nn.functional.pad(sources.values, (0, 1), value=PAD)[:, 0]
        label = first.masked_fill(sources.lengths == 0, PAD)
        return Encoded.without_memory(self.embedding(label))


@encoders.register("vector")
class Vector(Encoder):
    """The vector itself; no memory for attention, as in captioning (Vinyals et al. 2015).

    With `size` it is `tanh(W v + b)`, of that many numbers: for large vectors in front of a bridge.
    """

    memory_size = 0

    def __init__(self, vector_size: int, size: Size | None = None) -> None:
        super().__init__()
        linear = () if size is None else (nn.Linear(vector_size, size), nn.Tanh())
        self.project = nn.Sequential(*linear)
        self.vector_size = vector_size
        self.summary_size = vector_size if size is None else size

    def forward(self, sources: Sources) -> Encoded:
        """Raises ValueError unless `values` are `[batch, vector_size]`."""
        found = list(sources.values.shape)
        if found[1:] != [self.vector_size]:
            wanted = f"[{found[0]}, {self.vector_size}]"
            raise ValueError(f"`sources.values` must be {wanted}, but is {found}")
        return Encoded.without_memory(self.project(sources.values))


@encoders.register("recurrent")
class Recurrent(Encoder):
    """A cell reads each source; the cell decides how deep it is (`layers`, or a `stack`).

    The memory are the cell's outputs, the summary is what it remembers after the last token (for
    an LSTM its hidden and memory of every layer). `letters` is an encoder for the letters of each
    token, see TokenVectors. `input_dropout` falls on what the cell reads, `dropout` on the memory.
    """

    def __init__(
        self,
        vocab_size: int,
        cell: CellFactory,
        embedding: EmbeddingFactory = LearnedEmbedding,
        letters: EncoderFactory | None = None,
        dropout: Share = 0.0,
        input_dropout: Share = 0.0,
        letters_size: int | None = None,
    ) -> None:
        super().__init__()
        self.vectors = TokenVectors(vocab_size, letters_size, embedding, letters, input_dropout)
        self.cell = cells.build(cell, input_size=self.vectors.output_size)
        self.dropout = Dropout(dropout)
        self.memory_size = self.cell.output_size
        self.summary_size = self.cell.summary_size

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        self.vectors.initialise(facts)

    def forward(self, sources: Sources) -> Encoded:
        """A row without tokens has the cell's initial state for its summary."""
        time = sources.values.shape[1]
        lengths = unless_full(sources.on_host.lengths, time)
        outputs, state = self.cell(self.vectors(sources), None, lengths)
        mask = real(sources.lengths, time)
        return Encoded(self.cell.summary(state), self.dropout(outputs), mask)


@encoders.register("bidirectional")
class Bidirectional(Encoder):
    """Two cells of one kind in each layer (Schuster and Paliwal 1997; Graves et al. 2013).

    One reads a row from its first token to its last, the other from its last to its first. Their
    outputs for a token stand side by side; the next of the `layers` reads both, so each layer has
    seen the whole source, where a cell with layers of its own has two ways that meet at the top.
    The memory are the outputs of the top layer.

    The summary has what each cell remembers at its end, of all layers from the bottom up, forwards
    before backwards: a bridge then learns itself what a decoder of several layers needs of it.

    `letters` is an encoder for the letters of each token, see TokenVectors. `input_dropout` falls
    on what the lowest layer reads, `dropout` on each layer's outputs: between layers, and on the
    memory.
    """

    def __init__(
        self,
        vocab_size: int,
        cell: CellFactory,
        layers: Few = 1,
        embedding: EmbeddingFactory = LearnedEmbedding,
        letters: EncoderFactory | None = None,
        dropout: Share = 0.0,
        input_dropout: Share = 0.0,
        letters_size: int | None = None,
    ) -> None:
        super().__init__()
        self.vectors = TokenVectors(vocab_size, letters_size, embedding, letters, input_dropout)
        self.forwards, self.backwards = nn.ModuleList(), nn.ModuleList()
        size, self.summary_size = self.vectors.output_size, 0
        for _ in range(layers):
            pair = [cells.build(cell, input_size=size) for _ in range(2)]
            self.forwards.append(pair[0])
            self.backwards.append(pair[1])
            size = sum(each.output_size for each in pair)
            self.summary_size += sum(each.summary_size for each in pair)
        self.memory_size = size
        self.dropout = Dropout(dropout)

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        self.vectors.initialise(facts)

    def forward(self, sources: Sources) -> Encoded:
        """A row without tokens has the cells' initial states for its summary."""
        time = sources.values.shape[1]
        lengths = unless_full(sources.on_host.lengths, time)
        xs: Tensor = self.vectors(sources)
        summaries = []
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            ahead, last = forwards(xs, None, lengths)
            back, first = backwards(reverse(xs, lengths), None, lengths)
            xs = self.dropout(torch.cat([ahead, reverse(back, lengths)], 2))
            summaries += [cast(Cell, forwards).summary(last), cast(Cell, backwards).summary(first)]
        return Encoded(torch.cat(summaries, 1), xs, real(sources.lengths, time))


class TokenVectors(nn.Module):
    """A vector for each token: `[batch, source_time, output_size]`.

    With `letters`, an encoder of its own reads the letters of each token, and its summary is joined
    to the embedding (Ling et al. 2015; Lample et al. 2016): so words that were rare in training, or
    not there at all, are known by their spelling. `dropout` falls on the whole.
    """

    def __init__(
        self,
        vocab_size: int,
        letters_size: int | None,
        embedding: EmbeddingFactory,
        letters: EncoderFactory | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embeddings.build(embedding, vocab_size=vocab_size)
        self.output_size = self.embedding.output_size
        self.letters = None
        if letters is not None:
            if letters_size is None:
                raise ValueError(
                    "`letters` needs a source whose tokens are spelt, but this one has no letters"
                )
            self.letters = encoders.build(letters, vocab_size=letters_size)
            self.output_size += self.letters.summary_size
        self.dropout = Dropout(dropout)

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """The embedding knows the `source`; what reads letters has these as its source."""
        self.embedding.initialise(facts["source"])
        if self.letters is not None:
            self.letters.initialise({"source": facts["letters"]})

    def forward(self, sources: Sources) -> Tensor:
        """Also after the ends of rows, where the vectors mean nothing."""
        vectors: Tensor = self.embedding(sources.values)
        if self.letters is not None:
            here = sources.on_host
            if here.letters is None or here.letter_lengths is None:
                raise ValueError("`sources` must have the letters of each token, but has none")
            # Only the real tokens, as rows of a batch of their own; zeros stand in padding.
            mask = real(here.lengths, here.values.shape[1])
            spelt = Sources(here.letters[mask], here.letter_lengths[mask]).to(vectors.device)
            places = mask.flatten().nonzero().squeeze(1).to(vectors.device, non_blocking=True)
            summary: Tensor = self.letters(spelt).summary
            zeros = summary.new_zeros(mask.numel(), summary.shape[1])
            spelt_as = zeros.index_copy(0, places, summary).view(*mask.shape, summary.shape[1])
            vectors = torch.cat([vectors, spelt_as], 2)
        return cast(Tensor, self.dropout(vectors))


def unless_full(lengths: Tensor, time: int) -> Tensor | None:
    """`lengths: [batch]`; None where every row is `time` long, for then no cell need look at them.

    That is common, since batches have rows of like length, and it is the fastest to read. What is
    exported is for all batches.
    """
    if torch.compiler.is_exporting():
        return lengths
    return None if bool((lengths == time).all()) else lengths


def reverse(xs: Tensor, lengths: Tensor | None) -> Tensor:
    """`xs: [batch, time, size]` with each row's own tokens in reverse; its padding stays in place.

    Twice in a row it is `xs` again. For a row of length 3 in a batch of time 5, the tokens come
    from these places::

        place             0  1  2  3  4
        length - 1 - it   2  1  0 -1 -2      what is negative belongs to the padding,
        taken from        2  1  0  3  4      which is taken from where it stands

    A plain flip would put the padding first, and a cell would read that first.
    """
    if lengths is None:
        return xs.flip(1)
    batch, time, size = xs.shape
    places = torch.arange(time, device=xs.device)
    mirrored = lengths.to(xs.device, non_blocking=True).unsqueeze(1) - 1 - places
    taken = torch.where(mirrored >= 0, mirrored, places)
    # One long list of all tokens of the batch: whole vectors are copied then, not single numbers.
    taken = taken + time * torch.arange(batch, device=xs.device).unsqueeze(1)
    return xs.reshape(-1, size).index_select(0, taken.flatten()).view(batch, time, size)


bridges: Registry[Bridge] = Registry("bridge", supplied={"summary_size", "state_size"})


class Bridge(nn.Module, ABC):
    """`[batch, summary_size] -> [batch, state_size]`, what `Cell.state_from` takes."""

    @abstractmethod
    def forward(self, summary: Tensor) -> Tensor:
        """The numbers of the first state."""


BridgeFactory = Annotated[Callable[..., Bridge], bridges]
"""Called with `summary_size=` and `state_size=`, it returns the bridge."""


@bridges.register("linear")
class LinearBridge(Bridge):
    """tanh(W s + b), for an encoder and a decoder of any kinds and sizes."""

    def __init__(self, summary_size: int, state_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(summary_size, state_size)

    def forward(self, summary: Tensor) -> Tensor:
        return torch.tanh(self.linear(summary))


@bridges.register("copy")
class CopyBridge(Bridge):
    """The summary as it is, if it is as large as the state: for two cells of one kind."""

    def __init__(self, summary_size: int, state_size: int) -> None:
        super().__init__()
        if summary_size != state_size:
            raise ValueError(
                f"bridge `copy` needs a summary as large as the state, but they have "
                f"{summary_size} and {state_size} numbers; `linear` maps any to any"
            )

    def forward(self, summary: Tensor) -> Tensor:
        return summary


@bridges.register("zeros")
class ZerosBridge(Bridge):
    """Zeros: only attention passes on what the encoder read."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.state_size = state_size

    def forward(self, summary: Tensor) -> Tensor:
        return summary.new_zeros(summary.shape[0], self.state_size)
