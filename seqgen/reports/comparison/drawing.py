"""Pictures as SVG in the page's colours: a frame with two axes, and what is drawn in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from seqgen.reports.comparison.axes import Axis
from seqgen.reports.text import as_attribute

LETTER: Final = 6.3
"""How wide a letter is in a picture, about, in pixels; letters are 12 pixels high."""

SHAPES: Final = 4
"""How many shapes of marks there are."""


@dataclass(frozen=True)
class Frame:
    """A picture of `width` by `height` pixels with an axis to the right and one upwards."""

    width: int
    height: int
    x: Axis
    y: Axis
    left: int = 58
    bottom: int = 46
    top: int = 22
    right: int = 14

    def across(self, value: float) -> float:
        """The pixel of a value of the axis to the right."""
        return self.left + self.x.share(value) * (self.width - self.left - self.right)

    def up(self, value: float) -> float:
        """The pixel of a value of the axis upwards."""
        return self.height - self.bottom - self.y.share(value) * self.inner_height

    @property
    def inner_height(self) -> int:
        """The height between the axes' ends."""
        return self.height - self.bottom - self.top

    def axes(self) -> str:
        """Grid, ticks and titles."""
        base, right = self.height - self.bottom, self.width - self.right
        parts = []
        for tick, said in zip(self.y.ticks, self.y.texts, strict=True):
            y = self.up(tick)
            parts.append(line((self.left, y), (right, y), "grid"))
            parts.append(text((self.left - 7, y + 4), said, "tick", "end"))
        for x, said in _apart(self):
            parts.append(line((x, base), (x, base + 4), "stub"))
            parts.append(text((x, base + 18), said, "tick", "middle"))
        parts.append(line((self.left, base), (right, base), "axis"))
        middle = (self.left + right) / 2
        parts.append(text((middle, self.height - 6), self.x.title, "name", "middle"))
        if self.y.title:
            parts.append(_upright((13, self.top + self.inner_height / 2), self.y.title))
        return "".join(parts)


def _apart(frame: Frame) -> list[tuple[float, str]]:
    """The pixels of the ticks to the right whose numbers do not run into the one before."""
    kept: list[tuple[float, str]] = []
    end = float("-inf")
    ticks = zip(map(frame.across, frame.x.ticks), frame.x.texts, strict=True)
    for x, said in sorted(ticks):
        half = len(said) * LETTER / 2
        if x - half > end:
            kept.append((x, said))
            end = x + half + 8
    return kept


def picture(frame: Frame, inner: str, said: str) -> str:
    """The whole SVG; `said` is what it shows, in words."""
    return (
        f'<svg class="plot" role="img" aria-label="{as_attribute(said)}" '
        f'viewBox="0 0 {frame.width} {frame.height}">{frame.axes()}{inner}</svg>'
    )


def line(start: tuple[float, float], end: tuple[float, float], kind: str) -> str:
    """A straight line."""
    (x1, y1), (x2, y2) = start, end
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through the points."""
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{through}"/>'


def area(points: Sequence[tuple[float, float]], kind: str) -> str:
    """What lies within the points."""
    through = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon class="{kind}" points="{through}"/>'


def text(at: tuple[float, float], said: str, kind: str, anchor: str = "start") -> str:
    """A line of text."""
    x, y = at
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{as_attribute(said)}</text>"
    )


def _upright(at: tuple[float, float], said: str) -> str:
    x, y = at
    return (
        f'<text class="name" transform="rotate(-90 {x:.1f} {y:.1f})" x="{x:.1f}" y="{y:.1f}" '
        f'text-anchor="middle">{as_attribute(said)}</text>'
    )


def mark(at: tuple[float, float], shape: int, kind: str, title: str) -> str:
    """A point, in one of SHAPES; the title shows when a pointer rests on it."""
    x, y = at
    drawn = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5"/>',
        f'<rect x="{x - 4.6:.1f}" y="{y - 4.6:.1f}" width="9.2" height="9.2"/>',
        f'<path d="M{x:.1f} {y - 6.4:.1f}l6.4 6.4l-6.4 6.4l-6.4-6.4z"/>',
        f'<path d="M{x:.1f} {y - 6:.1f}l5.8 10.4h-11.6z"/>',
    )[shape % SHAPES]
    return f'<g class="{kind}"><title>{as_attribute(title)}</title>{drawn}</g>'
