"""Axes of plots: from values to places, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_DIGITS: Final = ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 5), (1, 3), (1,))

SHARE: Final = 100.0
"""What shares are multiplied by to be written: they are percents then."""


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, with ticks and what stands at them; `falling` where the low end
    is up, or right."""

    title: str
    low: float
    high: float
    ticks: tuple[float, ...]
    texts: tuple[str, ...]
    log: bool = False
    falling: bool = False

    def share(self, value: float) -> float:
        """Where the value lies, from 0 at the axis's beginning to 1 at its end."""
        low, high, here = self.low, self.high, value
        if self.log:
            low, high, here = (math.log(each) for each in (low, high, value))
        place = (here - low) / (high - low)
        return 1 - place if self.falling else place


def linear(
    values: Sequence[float], title: str, scale: float = 1.0, falling: bool = False, most: int = 6
) -> Axis:
    """An axis over all values with some room around them, and about `most` ticks at the values
    times `scale`.

    It begins at zero where the values come near it, and has no ticks where no value can be:
    below zero if none is negative, above one if all are shares.
    """
    low, high = min(values), max(values)
    room = 0.07 * (high - low) or 0.05 * abs(high) or 1.0
    bottom, top = low - room, high + room
    if low >= 0 and bottom < 0.15 * high + 1e-12:
        bottom = 0.0
    step = _step((top - bottom) / most)
    first, last = math.ceil(bottom / step - 1e-9), math.floor(top / step + 1e-9)
    ticks = (round(i * step, 12) for i in range(first, last + 1))
    least = 0.0 if low >= 0 else bottom
    largest = 1.0 if high <= 1 and scale == SHARE else top
    kept = tuple(tick for tick in ticks if least <= tick <= largest)
    return Axis(title, bottom, top, kept, alike(scale * tick for tick in kept), falling=falling)


def logarithmic(
    values: Sequence[float], title: str, scale: float = 1.0, falling: bool = False, most: int = 6
) -> Axis:
    """An axis on which equal ratios are equal distances; all values are positive."""
    low, high = min(values), max(values)
    room = max((high / low) ** 0.07, 1.1)
    bottom, top = low / room, high * room
    powers = range(math.floor(math.log10(bottom)), math.ceil(math.log10(top)) + 1)
    for digits in _DIGITS:
        every = [digit * 10.0**power for power in powers for digit in digits]
        ticks = tuple(tick for tick in every if bottom <= tick <= top)
        if len(ticks) <= most:
            break
    texts = tuple(plainly(scale * tick) for tick in ticks)
    return Axis(title, bottom, top, ticks, texts, log=True, falling=falling)


def _step(wanted: float) -> float:
    """The smallest round number that is at least as large."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * digit for digit in _ROUND if power * digit >= wanted * (1 - 1e-9))


def plainly(value: float) -> str:
    """A number with no more digits than it needs."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def alike(values: Iterable[float]) -> tuple[str, ...]:
    """Numbers with as many decimals each as one of them needs."""
    texts = [plainly(value) for value in values]
    if any("e" in text for text in texts):
        return tuple(texts)
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return tuple(f"{float(text.replace(',', '')):,.{decimals}f}" for text in texts)
