"""The encoder `vector`: a feature vector, of which everything that follows is made."""

from __future__ import annotations

from torch import nn

from seqgen.data.batches import Sources
from seqgen.encoders.base import Encoded, Encoder, encoders
from seqgen.options import Size


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
