"""All that is said of outputs by themselves: how diverse they are, and how far degenerate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from seqgen.metrics.copies import TrainingText, copies
from seqgen.metrics.distinct import distinct
from seqgen.metrics.entropy import entropy
from seqgen.metrics.loops import looping
from seqgen.metrics.repetition import repeated
from seqgen.metrics.self_bleu import self_bleu

Outputs = Sequence[Sequence[str]]
Direction = Literal["higher", "lower"]

_SIZED: Mapping[str, Callable[[Outputs, int], float | None]] = MappingProxyType(
    {"distinct": distinct, "entropy": entropy, "repeated": repeated}
)
_SIZES = (1, 2, 3, 4)

MORE_DIVERSE: Mapping[str, Direction] = MappingProxyType(
    {
        **{f"distinct_{n}": "higher" for n in _SIZES},
        **{f"entropy_{n}": "higher" for n in _SIZES},
        **{f"repeated_{n}": "lower" for n in _SIZES},
        "self_bleu": "lower",
        "looping": "lower",
        "copied": "lower",
        "longest_copy": "lower",
    }
)
"""Every name that `diversity` gives, in its order, and whether a higher or a lower value is more
diverse. More diverse is not better: noise is the most diverse of all."""


def diversity(outputs: Outputs, training: TrainingText | None = None) -> dict[str, float]:
    """What can be said of outputs, each a sequence of tokens, without any reference.

    `distinct_1` to `distinct_4`, `entropy_1` to `entropy_4` (bits), `repeated_1` to `repeated_4`,
    `self_bleu` (0 to 100), `looping`, and with the training data `copied` (8 tokens and more) and
    `longest_copy` (tokens); shares where nothing else is said. The functions of this room have the
    formulas.

    A name is left out where its value is not defined: those with n where no output has n tokens,
    `self_bleu` of fewer than two outputs that have tokens, `looping` of none, copies of no tokens.
    No value depends on the order of the outputs, but all depend on what a token is: compare outputs
    that are split alike. Words tell more than characters, where any two texts share most n-grams.
    What ends an output (EOS) is no token of it.
    """
    found = {f"{name}_{n}": measure(outputs, n) for name, measure in _SIZED.items() for n in _SIZES}
    found["self_bleu"] = self_bleu(outputs)
    found["looping"] = looping(outputs)
    copied = None if training is None else copies(outputs, training)
    if copied is not None:
        found |= {"copied": copied.share, "longest_copy": float(copied.longest)}
    return {name: value for name, value in found.items() if value is not None}
