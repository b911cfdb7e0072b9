"""Shares: what a sum is of another one, which may be nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from seqgen.metrics.base import Numbers

Part = tuple[str, int, int]
"""A label, and what is added to its part and to its whole."""


def share(part: Numbers, whole: Numbers, empty: float = 0.0) -> Numbers:
    """`part / whole`, both `[...]`; `empty` where the whole is nothing."""
    found = np.full(np.shape(whole), empty)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def mean_share(totals: Numbers) -> Numbers:
    """The mean `[...]` over labels of each one's share, in `[..., 2 * labels]`: the parts of all
    labels, then their wholes.

    A label whose whole is nothing is left out of the mean; where that is so for all, it is 1.
    """
    parts, wholes = np.split(totals, 2, axis=-1)
    labels = np.asarray(np.sum(wholes > 0, axis=-1), dtype=np.float64)
    return share(share(parts, wholes).sum(axis=-1), labels, empty=1.0)


def by_label(answers: Iterable[Iterable[Part]]) -> Numbers:
    """What each answer adds, `[answers, 2 * labels]` as `mean_share` takes it, sorted by label.

    It is for labels that are few beside the answers, since most of it is zeros.
    """
    rows = [list(parts) for parts in answers]
    labels = sorted({label for row in rows for label, _, _ in row})
    places = {label: place for place, label in enumerate(labels)}
    sums = np.zeros((len(rows), 2, len(labels)))
    for row, parts in zip(sums, rows, strict=True):
        for label, part, whole in parts:
            row[0, places[label]] += part
            row[1, places[label]] += whole
    return sums.reshape(len(rows), 2 * len(labels))
