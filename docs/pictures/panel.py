"""Panel, a part of a picture with two axes, in which points stand for values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from axes import Axis
from svg import Picture, Point


@dataclass(frozen=True)
class Panel:
    """`x` runs to the right and `y` upwards, `left` and `top` are where the inner corner is.

    All sizes are in pixels; numbers and titles stand outside.
    """

    picture: Picture
    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def draw(self, title: str, note: str = "") -> None:
        """Grid, numbers, and titles: above the panel its own, below it that of `x`."""
        base, right = self.top + self.height, self.left + self.width
        for tick, text in zip(self.y.ticks, self.y.texts, strict=True):
            _, y = self.at(self.x.low, tick)
            self.picture.line([(self.left, y), (right, y)], "grid-line")
            self.picture.text(self.left - 8, y + 4, text, "muted small", "end")
        for tick, text in zip(self.x.ticks, self.x.texts, strict=True):
            x, _ = self.at(tick, self.y.low)
            self.picture.line([(x, base), (x, base + 4)], "muted-line")
            self.picture.text(x, base + 19, text, "muted small", "middle")
        self.picture.line([(self.left, base), (right, base)], "muted-line")
        self.picture.text(self.left - 36, self.top - 28, title, "ink title")
        self.picture.text(self.left - 36, self.top - 11, note or self.y.title, "muted small")
        self.picture.text(
            self.left + self.width / 2, base + 38, self.x.title, "muted small", "middle"
        )

    def at(self, x: float, y: float) -> Point:
        """Where a value stands."""
        across, up = self.x.share(x), self.y.share(y)
        return self.left + across * self.width, self.top + (1 - up) * self.height

    def curve(self, values: Sequence[Point], style: str, dots: bool = True) -> None:
        """The values joined by a line in a colour of the pictures, each marked by a dot."""
        points = [self.at(*each) for each in values]
        self.picture.line(points, f"{style}-line")
        for x, y in points if dots else ():
            self.picture.dot(x, y, 3.5, style)

    def level(self, value: float, text: str) -> None:
        """A dashed line across at a value of `y`, and what it is."""
        _, y = self.at(self.x.low, value)
        self.picture.line([(self.left, y), (self.left + self.width, y)], "muted-line", dashed=True)
        self.picture.text(self.left + self.width, y - 6, text, "muted small", "end")

    def upright(self, value: float, text: str) -> None:
        """A dashed line upwards at a value of `x`, and what it is."""
        x, _ = self.at(value, self.y.low)
        self.picture.line([(x, self.top), (x, self.top + self.height)], "muted-line", dashed=True)
        self.picture.text(x + 6, self.top + self.height - 8, text, "muted small")
