"""The decoder `my_decoder`: the best token where the model is sure, else one that is drawn."""

import torch

from seqgen.decoders import PathDecoder, decoders
from seqgen.decoders.noise import uniform
from seqgen.options import Share


@decoders.register("my_decoder")
class MyDecoder(PathDecoder):
    """Greedy where the best token has the probability `sure` at least, else a draw."""

    def __init__(self, seed: int = 0, sure: Share = 0.5) -> None:
        self.seed = seed
        self.sure = sure

    def choose(self, log_probs, sequence_ids, step):
        best, token = log_probs.max(-1)
        # The first token at which the probabilities so far add up to a random number in (0, 1).
        so_far = log_probs.double().softmax(-1).cumsum(-1)
        point = uniform(self.seed, sequence_ids, step).unsqueeze(1)
        drawn = (so_far / so_far[:, -1:] < point).sum(-1)
        return torch.where(best.exp() >= self.sure, token, drawn)
