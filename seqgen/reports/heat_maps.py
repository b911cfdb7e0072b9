"""Attention drawn as heat maps: where the model looked in the source for each output piece."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence, Set
from typing import Final

from seqgen.reports.attention import Looked
from seqgen.reports.quantities import count, percent
from seqgen.reports.run_files import RunFiles
from seqgen.reports.text import as_attribute, visible

MOST: Final = 60
"""How many pieces of either side a picture shows."""
FAINT: Final = 0.005
"""Weights below this would not be seen."""
LABEL: Final = 14
"""How many letters wide a label may be."""
TITLE: Final = 200
"""How many letters of a piece a title repeats."""
LETTER: Final = 7.3
CELL: Final = 21


def heat_maps(run: RunFiles) -> str:
    """The pictures of all answers whose attention the run wrote down."""
    if not run.attention:
        return ""
    pictures = "".join(
        f'<figure><div class="wide" tabindex="0">{heat_map(each)}</div>{_cut(each)}</figure>'
        for each in run.attention
    )
    return (
        "<p>Above stand the pieces of the source, at the left those of the output. The stronger "
        "the colour, the more the model looked there for the piece of that line.</p>"
        f'<div class="looks">{pictures}</div>'
    )


def heat_map(shown: Looked) -> str:
    """One as an inline SVG, the source from left to right, the output from top to bottom."""
    source, output = shown.source[:MOST], shown.output[:MOST]
    columns, rows = [_label(piece) for piece in source], [_label(piece) for piece in output]
    left = LETTER * max(map(_width, rows)) + 10
    lean = _lean(columns)
    leaning = 0.72 * LETTER * max(map(_width, lean), default=0)
    top, beyond = max(leaning + 18, 24.0), max(leaning, 4.0)
    width, height = left + CELL * len(source) + beyond, top + CELL * len(output) + 2
    parts = [
        f'<svg class="heat" role="img" aria-label="{_in_words(shown)}" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}">',
        f'<rect class="ground" x="{left:.1f}" y="{top:.1f}" width="{CELL * len(source)}" '
        f'height="{CELL * len(output)}"/>',
        *_columns(source, columns, lean, (left, top)),
        *_rows(output, rows, (left, top)),
        *_cells(shown, (left, top)),
        "</svg>",
    ]
    return "".join(parts)


def _lean(labels: Sequence[str]) -> frozenset[str]:
    """Those labels that would not fit a cell upright, and all if these are many."""
    wide = [label for label in labels if _width(label) > 2]
    return frozenset(labels if len(wide) > len(labels) / 5 + 1 else wide)


def _columns(
    pieces: Sequence[str], labels: Sequence[str], lean: Set[str], corner: tuple[float, float]
) -> Iterator[str]:
    left, top = corner
    for place, (piece, label) in enumerate(zip(pieces, labels, strict=True)):
        x, y = left + CELL * (place + 0.5), top - 7
        where = (
            f'transform="translate({x:.1f} {y:.1f}) rotate(-45)"'
            if label in lean
            else f'x="{x:.1f}" y="{y:.1f}" text-anchor="middle"'
        )
        yield _text(where, piece, label)


def _rows(
    pieces: Sequence[str], labels: Sequence[str], corner: tuple[float, float]
) -> Iterator[str]:
    left, top = corner
    for place, (piece, label) in enumerate(zip(pieces, labels, strict=True)):
        x, y = left - 6, top + CELL * (place + 0.5) + 4
        yield _text(f'x="{x:.1f}" y="{y:.1f}" text-anchor="end"', piece, label)


def _text(where: str, piece: str, label: str) -> str:
    return f"<text {where}>{as_attribute(label)}<title>{as_attribute(piece[:TITLE])}</title></text>"


def _cells(shown: Looked, corner: tuple[float, float]) -> Iterator[str]:
    left, top = corner
    for row, (piece, weights) in enumerate(zip(shown.output[:MOST], shown.weights, strict=False)):
        for column, weight in enumerate(weights[:MOST]):
            if weight >= FAINT:
                source = shown.source[column][:TITLE]
                told = f"{piece[:TITLE]} \u2190 {source}: {percent(weight)}"
                yield (
                    f'<rect x="{left + CELL * column:.1f}" y="{top + CELL * row:.1f}" '
                    f'width="{CELL}" height="{CELL}" fill-opacity="{min(weight, 1.0):.2f}">'
                    f"<title>{as_attribute(told)}</title></rect>"
                )


def _cut(shown: Looked) -> str:
    parts = [
        f"{count(len(pieces))} pieces of the {name}"
        for name, pieces in (("source", shown.source), ("output", shown.output))
        if len(pieces) > MOST
    ]
    if not parts:
        return ""
    return f"<figcaption>The first {MOST} of {' and of '.join(parts)}.</figcaption>"


def _in_words(shown: Looked) -> str:
    source, output = " ".join(shown.source[:MOST]), " ".join(shown.output[:MOST])
    return as_attribute(f"attention of {output} to {source}")


def _label(piece: str) -> str:
    """A piece in a few letters, spaces and marks that belong to a letter before made to show."""
    text = piece[:TITLE].replace(" ", "\u2423").replace("\n", "\u21b5").replace("\t", "\u21e5")
    text = visible(text) or "\u2205"
    if unicodedata.category(text[0]).startswith("M"):
        text = f"\u25cc{text}"
    if _width(text) <= LABEL:
        return text
    kept = text
    while _width(kept) >= LABEL:
        kept = kept[:-1]
    return f"{kept}\u2026"


def _width(text: str) -> int:
    """In letters of one column, of which those of East Asia take two."""
    return sum(
        0
        if unicodedata.category(character).startswith("M")
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
