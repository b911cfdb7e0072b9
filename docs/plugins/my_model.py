"""The model `my_model`: the next token from the last one alone."""

import torch

from seqgen.decoders import Start
from seqgen.heads import LinearHead
from seqgen.models import Generative, Loss, mask_padding, models, scored
from seqgen.options import Size


@models.register("my_model")
class MyModel(Generative):
    """`p(token | the token before it)`, by a layer of `size` units: a bigram model."""

    def __init__(self, vocab_size: int, size: Size = 64) -> None:
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Embedding(vocab_size, size), torch.nn.Tanh())
        self.head = LinearHead(size, vocab_size)

    def loss(self, batch, state=None):
        losses = self.head.loss(self.layer(batch.inputs), batch.targets)
        return Loss(mask_padding(losses, batch.lengths).sum(), batch.tokens, None)

    def score(self, batch, state=None):
        return scored(self.head, self.layer(batch.inputs), batch.targets, batch.lengths)

    def start(self, batch):
        return Start(batch.tokens.gather(1, batch.lengths.unsqueeze(1) - 1).squeeze(1), None)

    def step(self, tokens, state, context):
        return self.head.log_probs(self.layer(tokens)), None
