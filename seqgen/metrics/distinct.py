"""Distinct n-grams: how many of all n-grams of all outputs are different ones."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.metrics.ngrams import ngrams


def distinct(outputs: Sequence[Sequence[str]], n: int) -> float | None:
    """`distinct n-grams / n-grams` of the tokens of all outputs together: distinct-n.

    Above 0 and at most 1, where no n-gram comes twice; None where no output has n tokens. By Li et
    al. (2016), who divide by the number of tokens; the number of n-grams, which is usual since,
    lets it reach 1 for every n. It falls as more tokens are looked at (Liu et al. 2022), so compare
    it between outputs of about the same number and length.
    """
    found = ngrams(outputs, n)
    return found.distinct / len(found.numbers) if len(found.numbers) else None
