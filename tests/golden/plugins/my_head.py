"""The head `my_head`: a softmax whose logits cannot grow beyond a limit."""

import torch

from seqgen.heads import Head, heads
from seqgen.options import PositiveFloat


@heads.register("my_head")
class MyHead(Head):
    """`softmax(cap * tanh((W h + b) / cap))`: no token ever gets a probability near 0 or 1."""

    def __init__(self, input_size: int, vocab_size: int, cap: PositiveFloat = 15.0) -> None:
        super().__init__()
        self.cap = cap
        self.project = torch.nn.Linear(input_size, vocab_size)

    def log_probs(self, hidden):
        logits = self.project(hidden).float()
        return (self.cap * torch.tanh(logits / self.cap)).log_softmax(-1)

    def loss(self, hidden, targets):
        return -self.log_probs(hidden).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
