"""The check that tokens given in options are tokens that a model knows."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.tokenizers import UNK


def check_known(tokens: Sequence[int], vocab_size: int, what: str) -> None:
    """A ValueError unless all of `tokens` can be generated; `what` says whose tokens they are."""
    for token in tokens:
        if not 0 <= token < vocab_size:
            raise ValueError(f"{what} must have tokens from 0 to {vocab_size - 1}, but has {token}")
        if token == UNK:
            raise ValueError(f"{what} must be known to the tokenizer, but has an unknown symbol")
