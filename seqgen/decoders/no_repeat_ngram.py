"""The constraint `no_repeat_ngram`: no run of so many tokens comes twice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqgen.decoders.constraint import constraints
from seqgen.decoders.past import Past, PastConstraint
from seqgen.options import Size


@constraints.register("no_repeat_ngram")
class NoRepeatNgram(PastConstraint):
    """No n-gram, `size` tokens in a row, comes twice; the scores of what is possible stay.

    Paulus, Xiong and Socher 2018. The prompt is not looked at. Where all tokens are banned the
    sequence ends there.
    """

    def __init__(self, size: Size) -> None:
        if size < 1:
            raise ValueError(f"`size` must be at least 1, but is {size}")
        self.size = size

    def change(self, log_probs: Tensor, past: Past, ends: Sequence[int]) -> Tensor:
        """-inf at the last token of each n-gram whose other tokens are the last ones now."""
        generated = past.generated
        if generated.shape[1] < self.size:
            return log_probs
        ngrams = generated.unfold(1, self.size, 1)  # [rows, places, size]
        context = past.last(self.size - 1).unsqueeze(1)
        whole = (ngrams >= 0).all(-1)  # all of it is generated
        banned = whole & (ngrams[..., :-1] == context).all(-1)
        # Places that ban nothing point at a column behind the vocabulary.
        vocab = log_probs.shape[1]
        columns = torch.where(banned, ngrams[..., -1], vocab)
        mask = log_probs.new_zeros(len(log_probs), vocab + 1, dtype=torch.bool)
        return log_probs.masked_fill(mask.scatter(1, columns, True)[:, :vocab], float("-inf"))
