"""The check that scores are scores: no token is ever chosen from NaN."""

from __future__ import annotations

import torch
from torch import Tensor

from seqgen.errors import DecodeError


def check_scores(log_probs: Tensor, sources: Tensor, moment: int) -> None:
    """A DecodeError that names the step and the source unless every row has a finite maximum.

    One maximum a row finds all three faults of `log_probs: [rows, vocab]`: NaN and +inf stay on
    top of a maximum, and it is -inf only where every token is impossible.
    """
    best = log_probs.amax(-1)
    fine = best.isfinite()
    if bool(fine.all()):
        return
    row = int((~fine).nonzero()[0])
    kind = "NaN" if bool(torch.isnan(best[row])) else f"{float(best[row])} as the best score"
    raise DecodeError(
        f"the model's scores for row {int(sources[row])} at step {moment + 1} have {kind}; "
        "no token can be chosen from them"
    )
