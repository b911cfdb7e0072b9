"""How likely each token is when nothing is known of its context."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.tokenizers.facts import Facts


def unigram_log_probs(facts: Facts) -> Tensor:
    """`log((count + 1) / total)`, `[vocab]`: a softmax over it gives these shares.

    One is added to each count, so that a token never seen is rare and not impossible.
    """
    if facts.counts is None:
        raise ValueError("`unigram_bias` needs counts of tokens, which this kind of data lacks")
    counts = torch.from_numpy(facts.counts).double() + 1
    return (counts / counts.sum()).log()
