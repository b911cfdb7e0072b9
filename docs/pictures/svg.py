"""Picture, a small SVG that reads well on light and on dark paper."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

# The picture has paper of its own, so that it does not matter on what it is put.
STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
text.mono { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
text.small { font-size: 12px; } text.title { font-weight: 600; }
line, path { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.paper { fill: #ffffff; } .panel { fill: #eef1f4; }
.ink { fill: #1f252c; } .muted { fill: #57606b; }
.blue { fill: #2b6cb0; } .orange { fill: #c2410c; } .green { fill: #2f7d4f; }
.grid-line { stroke: #d5dae0; stroke-width: 1; } .ink-line { stroke: #1f252c; }
.muted-line { stroke: #7b8592; } .blue-line { stroke: #2b6cb0; } .orange-line { stroke: #c2410c; }
.green-line { stroke: #2f7d4f; }
@media (prefers-color-scheme: dark) {
.paper { fill: #14181d; } .panel { fill: #262e37; }
.ink { fill: #e4e8ed; } .muted { fill: #a0abb7; }
.blue { fill: #74b0f4; } .orange { fill: #f79a5d; } .green { fill: #7fcf9f; }
.grid-line { stroke: #343d47; } .ink-line { stroke: #e4e8ed; } .muted-line { stroke: #8a95a2; }
.blue-line { stroke: #74b0f4; } .orange-line { stroke: #f79a5d; } .green-line { stroke: #7fcf9f; }
}
"""

LETTER = 8.4
"""How wide a monospaced letter is drawn."""

Point = tuple[float, float]


class Picture:
    """Shapes in the order in which they are drawn; `label` says in words what they show.

    All places are in pixels from the top left corner. `style` names classes of STYLE.
    """

    def __init__(self, width: float, height: float, label: str) -> None:
        self.size = width, height
        self.label = label
        self.shapes: list[str] = []
        self.box(0, 0, width, height, "paper", radius=10)

    def box(
        self, x: float, y: float, width: float, height: float, style: str, **more: float
    ) -> None:
        """A rectangle; `radius` rounds its corners, `opacity` lets it fade."""
        extra = f' rx="{_n(more["radius"])}"' if "radius" in more else ""
        extra += f' fill-opacity="{more["opacity"]:.3f}"' if "opacity" in more else ""
        size = f'width="{_n(width)}" height="{_n(height)}"'
        self._add(f'<rect x="{_n(x)}" y="{_n(y)}" {size} class="{style}"{extra}/>')

    def dot(self, x: float, y: float, radius: float, style: str) -> None:
        """A circle; a style that ends in `-line` gives a ring."""
        ring = ' fill="none"' if style.endswith("-line") else ""
        self._add(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" class="{style}"{ring}/>')

    def text(
        self, x: float, y: float, text: str, style: str = "ink", anchor: str = "start"
    ) -> None:
        """One line; `y` is its base line, `anchor` start, middle or end."""
        where = f'x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" xml:space="preserve"'
        self._add(f'<text {where} class="{style}">{escape(text)}</text>')

    def runs(self, x: float, y: float, width: float, parts: Iterable[tuple[str, str]]) -> None:
        """One line of `width` in a monospaced face, of parts with a style each."""
        inner = "".join(
            f'<tspan class="{style}">{escape(text)}</tspan>' for text, style in parts if text
        )
        where = f'x="{_n(x)}" y="{_n(y)}" textLength="{_n(width)}" xml:space="preserve"'
        self._add(f'<text {where} class="mono">{inner}</text>')

    def line(self, points: Sequence[Point], style: str, dashed: bool = False) -> None:
        """Straight from point to point."""
        way = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        dash = ' stroke-dasharray="4 4"' if dashed else ""
        self._add(f'<path d="M{way}" class="{style}"{dash}/>')

    def arrow(self, start: Point, end: Point, style: str = "muted-line") -> None:
        """A straight arrow."""
        (x, y), (right, below) = start, end
        length = ((right - x) ** 2 + (below - y) ** 2) ** 0.5
        along = (right - x) / length * 6, (below - y) / length * 6
        across = -along[1] * 0.6, along[0] * 0.6
        back = right - along[0], below - along[1]
        self.line([start, end], style)
        tip = (back[0] + across[0], back[1] + across[1]), end
        self.line([*tip, (back[0] - across[0], back[1] - across[1])], style)

    def save(self, path: Path) -> None:
        """Write it; equal pictures give equal bytes."""
        width, height = self.size
        head = (
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
            f'viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" height="{_n(height)}" '
            f"aria-label={quoteattr(self.label)}>"
        )
        body = "\n".join([head, f"<style>{STYLE}</style>", *self.shapes, "</svg>", ""])
        path.write_text(body, encoding="utf-8", newline="\n")

    def _add(self, shape: str) -> None:
        self.shapes.append(shape)


def _n(number: float) -> str:
    """A number as short as can be, to a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")


def readable(text: str) -> str:
    """Spaces alone and breaks as signs."""
    text = text.replace("\n", "↵")
    return "␣" if text == " " else text
