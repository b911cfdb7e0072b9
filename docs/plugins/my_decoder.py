"""The decoder `my_decoder`: the best token where the model is sure, else one that is drawn."""

import torch

from seqgen.decoders import PathDecoder, decoders
from seqgen.decoders.noise import uniform
from seqgen.options import Share


@decoders.register("my_decoder")
class MyDecoder(PathDecoder):
    """Greedy where the best token has the probability `sure` at least, else a draw."""

    claims = frozenset({"sample"})

    def __init__(self, seed: int = 0, sure: Share = 0.5) -> None:
        self.seed = seed
        self.sure = sure

    def weights(self, log_probs):
        shares = log_probs.double().softmax(-1)
        best, place = shares.max(-1, keepdim=True)
        return torch.where(best < self.sure, shares, torch.zeros_like(shares).scatter(1, place, 1))

    def choose(self, log_probs, sequence_ids, step):
        # The first token at which the weights so far add up to a share drawn from (0, 1).
        so_far = self.weights(log_probs).cumsum(-1)
        point = uniform(self.seed, sequence_ids, step).unsqueeze(1)
        return (so_far / so_far[:, -1:] < point).sum(-1)
