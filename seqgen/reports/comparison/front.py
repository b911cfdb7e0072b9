"""The Pareto front: those that nothing else is as good as at one thing and better at another."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points on the front, where more is better of both numbers."""
    found = []
    for i, (x, y) in enumerate(points):
        beaten = any(a >= x and b >= y and (a > x or b > y) for a, b in points)
        if not beaten:
            found.append(i)
    return found
