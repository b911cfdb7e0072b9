"""The contract of an encoder: a source to what a decoder starts from and may look back at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple

import torch
from torch import Tensor, nn

from seqgen.data import Sources
from seqgen.embeddings import LearnedEmbedding
from seqgen.options import Size
from seqgen.registry import Registry
from seqgen.tokenizers import PAD, Facts

encoders: Registry[Encoder] = Registry(
    "encoder", supplied={"vocab_size", "letters_size", "vector_size"}
)


class Encoded(NamedTuple):
    """What an encoder leaves.

    `summary: [batch, summary_size]` is the source as a whole. `memory: [batch, source_time,
    memory_size]` has a vector for each of its tokens, of which `mask: [batch, source_time]` says
    which are real; vectors behind the end of a row are zero.
    """

    summary: Tensor
    memory: Tensor
    mask: Tensor

    @classmethod
    def without_memory(cls, summary: Tensor) -> Encoded:
        """A summary alone: one place to look back at, `[batch, 1, 0]`, where nothing stands."""
        batch = summary.shape[0]
        mask = torch.ones(batch, 1, dtype=torch.bool, device=summary.device)
        return cls(summary, summary.new_zeros(batch, 1, 0), mask)


class Encoder(nn.Module, ABC):
    """Reads sources. What it says of a row does not depend on the padding behind it.

    A `memory_size` of 0 means that there is nothing to look back at.
    """

    summary_size: int
    memory_size: int

    @abstractmethod
    def forward(self, sources: Sources) -> Encoded:
        """Read a batch of sources."""

    def initialise(self, facts: Mapping[str, Facts]) -> None:
        """Start a new run from what is known of each role's vocabulary, `source` and `letters`;
        never called on loaded weights."""


EncoderFactory = Annotated[Callable[..., Encoder], encoders]
"""Called with the sizes of the source, it returns the encoder: `vocab_size=`, and `letters_size=`
where tokens are spelt, or `vector_size=`."""


# Rows of different length: which tokens are real, when lengths matter, and reading backwards.


def real_tokens(lengths: Tensor, time: int) -> Tensor:
    """`[batch, time]`, true in front of each row's end; `lengths: [batch]`."""
    return torch.arange(time, device=lengths.device) < lengths.unsqueeze(1)


def unless_full(lengths: Tensor, time: int) -> Tensor | None:
    """`lengths: [batch]`; None where every row is `time` long, for then no cell need look at them.

    That is common, since batches have rows of like length, and it is the fastest to read.
    """
    return None if bool((lengths == time).all()) else lengths


def reverse(xs: Tensor, lengths: Tensor | None) -> Tensor:
    """`xs: [batch, time, size]` with each row's own tokens in reverse; its padding stays behind.

    Twice in a row it is `xs` again. For a row of length 3 in a batch of time 5, the tokens come
    from these places::

        place             0  1  2  3  4
        length - 1 - it   2  1  0 -1 -2      what is negative belongs to the padding,
        taken from        2  1  0  3  4      which is taken from where it stands

    A plain flip would put the padding in front, and a cell would read that first.
    """
    if lengths is None:
        return xs.flip(1)
    batch, time, size = xs.shape
    places = torch.arange(time, device=xs.device)
    mirrored = lengths.to(xs.device).unsqueeze(1) - 1 - places
    taken = torch.where(mirrored >= 0, mirrored, places)
    # One long list of all tokens of the batch: whole vectors are copied then, number by number not.
    taken = taken + time * torch.arange(batch, device=xs.device).unsqueeze(1)
    return xs.reshape(-1, size).index_select(0, taken.flatten()).view(batch, time, size)


# Bridges, from an encoder's summary to what a cell begins with. `@bridges.register("name")`.


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
        """As above."""
        return torch.tanh(self.linear(summary))


@bridges.register("copy")
class CopyBridge(Bridge):
    """The summary as it is, where it is as large as the state: for two cells of one kind."""

    def __init__(self, summary_size: int, state_size: int) -> None:
        super().__init__()
        if summary_size != state_size:
            raise ValueError(
                f"bridge `copy` needs a summary as large as the state, but they have "
                f"{summary_size} and {state_size} numbers; `linear` maps any to any"
            )

    def forward(self, summary: Tensor) -> Tensor:
        """The same."""
        return summary


@bridges.register("zeros")
class ZerosBridge(Bridge):
    """Zeros: nothing passes but what attention reads."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.state_size = state_size

    def forward(self, summary: Tensor) -> Tensor:
        """Zeros, `[batch, state_size]`."""
        return summary.new_zeros(summary.shape[0], self.state_size)


# The encoder `label`: a category, of which everything that follows is made (one to many).


@encoders.register("label")
class Label(Encoder):
    """The first token of each source as a vector of `size` numbers, and nothing to look back at.

    What stands behind that token (EOS) is not read; a source without tokens counts as padding.
    """

    memory_size = 0

    def __init__(self, vocab_size: int, size: Size = 64) -> None:
        super().__init__()
        self.embedding = LearnedEmbedding(vocab_size, size)
        self.summary_size = size

    def forward(self, sources: Sources) -> Encoded:
        """`values: [batch, source_time]`; the memory is `[batch, 1, 0]`."""
        # One place more, since there may be none at all.
        first = nn.functional.pad(sources.values, (0, 1), value=PAD)[:, 0]
        label = first.masked_fill(sources.lengths == 0, PAD)
        return Encoded.without_memory(self.embedding(label))


# The encoder `vector`: a feature vector, of which everything that follows is made.


@encoders.register("vector")
class Vector(Encoder):
    """The vector itself, with nothing to look back at, as in captioning (Vinyals et al. 2015).

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
        """`values: [batch, vector_size]`; the memory is `[batch, 1, 0]`. Errors: ValueError."""
        found = list(sources.values.shape)
        if found[1:] != [self.vector_size]:
            wanted = f"[{found[0]}, {self.vector_size}]"
            raise ValueError(f"`sources.values` must be {wanted}, but is {found}")
        return Encoded.without_memory(self.project(sources.values))
