"""The encoder `my_encoder`: a bag of tokens, in no order."""

import torch

from seqgen.encoders import Encoded, Encoder, encoders
from seqgen.options import Size


@encoders.register("my_encoder")
class MyEncoder(Encoder):
    """The vectors of all tokens, and their mean."""

    def __init__(self, vocab_size: int, size: Size = 64) -> None:
        super().__init__()
        self.summary_size = self.memory_size = size
        self.embedding = torch.nn.Embedding(vocab_size, size)

    def forward(self, sources):
        tokens, lengths = sources.values, sources.lengths.unsqueeze(1)
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths
        memory = self.embedding(tokens) * mask.unsqueeze(2)
        return Encoded(memory.sum(1) / lengths.clamp(min=1), memory, mask)
