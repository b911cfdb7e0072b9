"""The picture that no run is needed for: the patterns of recurrence."""

from __future__ import annotations

from svg import Picture

STEP, LEVEL, SIDE = 44, 58, 26
LEGEND = [("orange", "what is read"), ("green", "what is remembered"), ("blue", "what is said")]


def patterns() -> Picture:
    """Which boxes a pattern has and what passes between them, one panel for each."""
    picture = Picture(
        900,
        540,
        "Six panels: one to one, one to many, many to one, many to many in step, out of step, and "
        "a stack of two layers. Inputs are below, states in the middle, outputs above.",
    )
    panels = [
        ("one to one", "a word → its category", [0], [0], [0]),
        ("one to many", "a category → a name", [0], [0, 1, 2, 3], [0, 1, 2, 3]),
        ("many to one", "a name → its category", [0, 1, 2, 3], [0, 1, 2, 3], [3]),
        ("many to many, in step", "words → tags", [0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]),
        ("many to many, out of step", "a date → its ISO form", [0, 1, 2], [*range(6)], [3, 4, 5]),
    ]
    for place, (title, example, inputs, states, outputs) in enumerate(panels):
        left, top = 30 + place % 3 * 300, 20 + place // 3 * 240
        _titles(picture, left, top, title, example)
        _panel(picture, left + 10, top + 68, (inputs, states, outputs))
    left, top = 630, 260
    _titles(picture, left, top, "two layers", "each reads the one below")
    _stack(picture, left + 10, top + 68)
    for place, (style, text) in enumerate(LEGEND):
        picture.box(30 + place * 190, 508, 14, 14, style, radius=3)
        picture.text(52 + place * 190, 520, text, "muted small")
    return picture


def _titles(picture: Picture, left: float, top: float, title: str, example: str) -> None:
    picture.text(left, top + 16, title, "ink title")
    picture.text(left, top + 36, example, "muted small")


def _panel(
    picture: Picture, left: float, top: float, rows: tuple[list[int], list[int], list[int]]
) -> None:
    """Outputs above, states between, inputs below."""
    inputs, states, outputs = rows
    for step in states:
        if step + 1 in states:
            _sideways(picture, left, top + LEVEL, step)
        _box(picture, left, top + LEVEL, step, "green")
    for step in inputs:
        _upwards(picture, left, top + 2 * LEVEL, step)
        _box(picture, left, top + 2 * LEVEL, step, "orange")
    for step in outputs:
        _upwards(picture, left, top + LEVEL, step)
        _box(picture, left, top, step, "blue")
        if step - 1 in outputs and step not in inputs:  # what was written is read next
            x = left + step * STEP
            start = (x - STEP + SIDE, top + SIDE * 0.75)
            picture.arrow(start, (x + SIDE * 0.2, top + LEVEL - 2), "blue-line")


def _stack(picture: Picture, left: float, top: float) -> None:
    level = LEVEL * 0.78
    for row, style in enumerate(["blue", "green", "green", "orange"]):
        for step in range(4):
            if style == "green" and step < 3:
                _sideways(picture, left, top + row * level, step)
            if row:
                x = left + step * STEP + SIDE / 2
                y = top + row * level
                picture.arrow((x, y), (x, y - level + SIDE + 2))
            _box(picture, left, top + row * level, step, style)


def _box(picture: Picture, left: float, y: float, step: int, style: str) -> None:
    picture.box(left + step * STEP, y, SIDE, SIDE, style, radius=5)


def _upwards(picture: Picture, left: float, y: float, step: int) -> None:
    x = left + step * STEP + SIDE / 2
    picture.arrow((x, y), (x, y - LEVEL + SIDE + 2))


def _sideways(picture: Picture, left: float, y: float, step: int) -> None:
    x = left + step * STEP + SIDE
    picture.arrow((x, y + SIDE / 2), (x + STEP - SIDE - 2, y + SIDE / 2))
