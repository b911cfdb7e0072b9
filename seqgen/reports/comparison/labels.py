"""Finding room for the labels of points, so that none lies on another or on a point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

from seqgen.reports.comparison.drawing import LETTER, Frame, line, text

LINE_LETTERS: Final = (27, 42)
"""How many letters a line of a label has at most: the first where there is room for it so."""

LINES: Final = 3
"""How many lines a label has at most."""

_HEIGHT: Final = 13.0
_POINT: Final = 6.0
_NEAR: Final = 9.0


@dataclass(frozen=True)
class Box:
    """A rectangle of a picture, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two have a part in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, other: Box) -> bool:
        """Whether all of it lies in the other one."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def lines_of(label: str, most: int) -> list[str]:
    """A label in lines of at most so many letters; what does not fit is cut."""
    lines = wrap(label, most, break_on_hyphens=False) or [""]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"{lines[LINES - 1][: most - 1]}\u2026"]
    return lines


def placed(
    frame: Frame, wanted: Sequence[tuple[str, tuple[float, float]]], points: Sequence[Box]
) -> str:
    """The labels beside their points as SVG, those that find room; the first ones choose first.

    `points` are the places of all points, which no label may cover.
    """
    taken = list(points)
    bounds = Box(frame.left + 2, 0, frame.width, frame.height - frame.bottom)
    drawn = []
    for label, at in wanted:
        for far, lines, box in _choices(label, at):
            if box.within(bounds) and not any(box.meets(each) for each in taken):
                taken.append(box)
                drawn.append(_drawn(lines, at, box, far > _NEAR))
                break
    return "".join(drawn)


def around(at: tuple[float, float]) -> Box:
    """The place that a point takes."""
    x, y = at
    return Box(x - _POINT, y - _POINT, x + _POINT, y + _POINT)


def _choices(label: str, at: tuple[float, float]) -> Iterator[tuple[float, list[str], Box]]:
    """All ways to write a label, with how far each is from its point."""
    for lines in (lines_of(label, most) for most in LINE_LETTERS):
        width, height = LETTER * max(map(len, lines)), _HEIGHT * len(lines)
        for far, box in _places(at, width, height):
            yield far, lines, box


def _places(at: tuple[float, float], width: float, height: float) -> Iterator[tuple[float, Box]]:
    """Boxes around a point, the nearest first, with how far they are."""
    x, y = at
    for far in (_NEAR, 20.0, 32.0, 46.0, 62.0, 80.0):
        slant = 0.8 * far
        for left, top in (
            (x + far, y - height / 2),
            (x - far - width, y - height / 2),
            (x - width / 2, y - far - height),
            (x - width / 2, y + far),
            (x + slant, y + slant - _HEIGHT / 2),
            (x - slant - width, y + slant - _HEIGHT / 2),
            (x + slant, y - slant - height + _HEIGHT / 2),
            (x - slant - width, y - slant - height + _HEIGHT / 2),
        ):
            yield far, Box(left, top, left + width, top + height)


def _drawn(lines: Sequence[str], at: tuple[float, float], box: Box, far: bool) -> str:
    written = "".join(
        text((box.left, box.top + _HEIGHT * (i + 1) - 3), said, "label")
        for i, said in enumerate(lines)
    )
    if not far:
        return written
    x = min(max(at[0], box.left), box.right)
    y = min(max(at[1], box.top), box.bottom)
    return line(at, (x, y), "leader") + written
