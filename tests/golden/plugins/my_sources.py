"""Parts for models that read sources: an attention, an encoder and a metric of one's own."""

import torch

from seqgen.attentions import ScoredAttention, attentions
from seqgen.encoders import Encoded, Encoder, encoders
from seqgen.metrics import Measured, Metric, metrics
from seqgen.options import Size


@attentions.register("my_attention")
class MyAttention(ScoredAttention):
    """The product of the cell's output and the memory, over the root of their size."""

    def scores(self, queries, keys):
        return torch.bmm(queries, keys.transpose(1, 2)) / queries.shape[-1] ** 0.5


@encoders.register("my_encoder")
class MyEncoder(Encoder):
    """A bag of tokens: the vectors of all of them, and their mean, in no order."""

    def __init__(self, vocab_size: int, size: Size = 64) -> None:
        super().__init__()
        self.summary_size = self.memory_size = size
        self.embedding = torch.nn.Embedding(vocab_size, size)

    def forward(self, sources):
        tokens, lengths = sources.values, sources.lengths.unsqueeze(1)
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths
        memory = self.embedding(tokens) * mask.unsqueeze(2)
        return Encoded(memory.sum(1) / lengths.clamp(min=1), memory, mask)


@metrics.register("my_metric")
class MyMetric(Metric):
    """The mean length of outputs over that of their first reference, in characters."""

    better = "higher"

    def measure_all(self, answers):
        ratios = [len(each.output) / max(1, len(each.references[0])) for each in answers]
        return Measured(sum(ratios) / len(ratios))
