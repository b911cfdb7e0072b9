"""The page of `seqgen inspect`: a text tinted by what a unit of the state does."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from seqgen.reports.format import render

if TYPE_CHECKING:  # reports wait for no torch
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
    tints = _classes(bytes_of[rows[0].follower.unit]) if rows else [""] * len(pieces)
    return render(
        "units.html",
        heading=run,
        found=found,
        rows=rows,
        pieces=[(text, tint) for (text, _), tint in zip(pieces, tints, strict=True)],
        left_out=len(found.passage.text) - sum(len(text) for text, _ in pieces),
        tints=TINTS,
        widest=WIDEST,
    )


def _bytes(values: Any, tokens: Sequence[int]) -> Any:
    """How far the values of these tokens, of an array, are from the mean of all: 127 for WIDEST
    deviations, as an array of signed bytes."""
    scaled = (values - values.mean()) / max(float(values.std()), 1e-12) / WIDEST
    return (scaled[[*tokens]].clip(-1, 1) * 127).round().astype("int8")


def _classes(tints: Any) -> list[str]:
    """The class of each piece, as the script has it: n5 to n1 below the mean, p1 to p5 above."""
    levels = ((tints / 127 * TINTS + 0.5) // 1).astype(int).tolist()
    return [f"{'n' if level < 0 else 'p'}{abs(level)}" if level else "" for level in levels]
