"""The head `linear`: one affine map and a softmax."""

from __future__ import annotations

from torch import Tensor, nn

from seqgen.heads.base import Head, heads
from seqgen.heads.chunks import float32_at_least
from seqgen.heads.cross_entropy import linear_token_losses
from seqgen.heads.unigrams import unigram_log_probs
from seqgen.options import Share
from seqgen.tokenizers.facts import Facts


@heads.register("linear")
class LinearHead(Head):
    """`softmax(W h + b)`, with weights of its own.

    `label_smoothing` concerns the loss in training, see `token_losses`. With `unigram_bias` a new
    run starts at b = log of how often each token stands in the training text.
    """

    def __init__(
        self,
        input_size: int,
        vocab_size: int,
        bias: bool = True,
        label_smoothing: Share = 0.0,
        unigram_bias: bool = False,
    ) -> None:
        super().__init__()
        if unigram_bias and not bias:
            raise ValueError("`unigram_bias` needs `bias`, but that is false")
        self.project = nn.Linear(input_size, vocab_size, bias=bias)
        self.label_smoothing = label_smoothing
        self.unigram_bias = unigram_bias

    def initialise(self, facts: Facts) -> None:
        """The bias from the counts, where that is wanted."""
        if self.unigram_bias:
            self.project.bias.data.copy_(unigram_log_probs(facts))

    def log_probs(self, hidden: Tensor) -> Tensor:
        """`[..., input] -> [..., vocab]`."""
        return float32_at_least(self.project(hidden)).log_softmax(-1)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Nats of each target, `[...]`; smoothed in training."""
        layer = (self.project.weight, self.project.bias)
        smoothing = self.label_smoothing if self.training else 0.0
        return linear_token_losses(hidden, layer, targets, smoothing)
