"""The contract of an encoder, a source to what a decoder starts from and may look back at; bridges.

The *summary* of a source is one vector, its *memory* a vector for each of its tokens. A *bridge*
makes what a decoder's cell begins with of the summary. Two encoders that read one thing only,
`label` and `vector`, have no memory.
"""

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
        """Start a new run from what is known of each role's vocabulary, `source` and `letters`;
        never called on loaded weights."""


EncoderFactory = Annotated[Callable[..., Encoder], encoders]
"""Called with the sizes of the source, it returns the encoder: `vocab_size=`, and `letters_size=`
where tokens are spelt, or `vector_size=`."""


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
    """The summary as it is, where it is as large as the state: for two cells of one kind."""

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
    """Zeros: nothing passes but what attention reads."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.state_size = state_size

    def forward(self, summary: Tensor) -> Tensor:
        return summary.new_zeros(summary.shape[0], self.state_size)


@encoders.register("label")
class Label(Encoder):
    """The first token of each source as a vector of `size` numbers, and nothing to look back at.

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
        """Raises ValueError unless `values` are `[batch, vector_size]`."""
        found = list(sources.values.shape)
        if found[1:] != [self.vector_size]:
            wanted = f"[{found[0]}, {self.vector_size}]"
            raise ValueError(f"`sources.values` must be {wanted}, but is {found}")
        return Encoded.without_memory(self.project(sources.values))
