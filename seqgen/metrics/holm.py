"""Holm's correction: p-values of several tests that are looked at together."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of m tests, adjusted for one another, in the order given (Holm 1979).

    From the smallest on, p_1 <= ... <= p_m: `adjusted_i = min(1, max over j <= i of (m - j + 1) *
    p_j)`. Calling different what is below 0.05 then calls anything different by mistake with a
    probability of at most 0.05 in all, however the tests hang together. It finds whatever
    Bonferroni's correction, m times each p, would find, and more.

    Errors: ValueError where a p-value is not between 0 and 1.
    """
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise ValueError(f"`p_values` must be between 0 and 1, but one is {p_value}")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(highest, 1.0)
    return adjusted
