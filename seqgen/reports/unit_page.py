"""The page of `seqgen inspect`: a text tinted by what a unit of the state does."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqgen.reports.format import render
from seqgen.units import Follower, Inspection

SHOWN: Final = 8000
"""How many pieces of the text are tinted."""
TINTS: Final = 5
"""How many tints there are to either side of the mean."""
WIDEST: Final = 2
"""At so many standard deviations from the mean is the strongest tint."""


class Row(NamedTuple):
    """A choice of the list, and the activations for the script: a signed byte for each piece."""

    follower: Follower
    tints: str


def unit_page(run: str, found: Inspection) -> str:
    """The page of what was found in a text by the run called `run`.

    Its script tints the text by the unit that is chosen; without it, it is tinted by the first.
    """
    pieces = [each for each, _ in zip(found.passage.pieces, range(SHOWN), strict=False)]
    tokens = [token for _, token in pieces]
    bytes_of = {
        each.unit: _bytes(found.activations[:, each.unit], tokens) for each in found.followers
    }
    rows = [
        Row(each, base64.b64encode(bytes_of[each.unit].tobytes()).decode())
        for each in found.followers
    ]
    first = bytes_of[rows[0].follower.unit] if rows else np.zeros(len(pieces), np.int8)
    return render(
        "units.html",
        heading=run,
        found=found,
        rows=rows,
        pieces=[(text, tint) for (text, _), tint in zip(pieces, _classes(first), strict=True)],
        left_out=len(found.passage.text) - sum(len(text) for text, _ in pieces),
        tints=TINTS,
        widest=WIDEST,
    )


def _bytes(values: NDArray[np.float32], tokens: Sequence[int]) -> NDArray[np.int8]:
    """How far the values of these tokens are from the mean of all, 127 for WIDEST deviations."""
    scaled = (values - values.mean()) / max(float(values.std()), 1e-12) / WIDEST
    found: NDArray[np.int8] = np.rint(scaled[[*tokens]].clip(-1, 1) * 127).astype(np.int8)
    return found


def _classes(tints: NDArray[np.int8]) -> list[str]:
    """The class of each piece, as the script has it: n5 to n1 below the mean, p1 to p5 above."""
    levels = np.floor(tints / 127 * TINTS + 0.5).astype(int).tolist()
    return [f"{'n' if level < 0 else 'p'}{abs(level)}" if level else "" for level in levels]
