"""Where values stand in a written loop, and loops over their elements.

Each value has a *place*: an array and, in its row, an offset and a stride for each axis but the
batch's. Views are places in the array of another value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import fx

from seqgen.fast.elements import UnwritableError
from seqgen.fast.trace import BATCH


@dataclass(frozen=True)
class Place:
    """Where a value stands: in row b of `array`, at `offset` plus the strides of its axes."""

    array: str
    row: int  # elements of a row; 0 where there are no rows
    offset: int
    sizes: tuple[int, ...]  # of the axes but the batch's
    strides: tuple[int, ...]

    @property
    def dense(self) -> bool:
        """Whether it is the whole of its row, in order."""
        return self.offset == 0 and math.prod(self.sizes) == self.row and self.in_order

    @property
    def in_order(self) -> bool:
        """Whether its elements follow each other without gaps."""
        pairs = zip(self.sizes, self.strides, _steps(self.sizes), strict=True)
        return all(size == 1 or one == other for size, one, other in pairs)

    @property
    def long_strides(self) -> list[int]:
        """The strides of the axes that are longer than 1."""
        return [one for size, one in zip(self.sizes, self.strides, strict=True) if size != 1]


class Loops:
    """Loops over the rows and the axes of a row. Elements are named before the loops are known."""

    def __init__(self, sizes: Sequence[int], outer: int | None = None) -> None:
        self.sizes = list(sizes)
        self.outer = len(self.sizes) if outer is None else outer
        self.arrays: list[str] = []
        self.elements: list[tuple[Place, tuple[int, ...]]] = []

    def element(self, place: Place, strides: Sequence[int]) -> str:
        """The element of `place` at the loops' indices, by its stride for each of them."""
        if place.array not in self.arrays:
            self.arrays.append(place.array)
        found = (place, tuple(strides))
        if found not in self.elements:
            self.elements.append(found)
        return f"<{self.elements.index(found)}>"

    def code(self, lines: Sequence[str], before: Sequence[str], after: Sequence[str]) -> str:
        """The body of a function. Axes that lie one in the other for all elements are one loop."""
        axes = [index for index, size in enumerate(self.sizes) if size != 1]
        loops: list[tuple[int, list[int]]] = []  # size, and the stride of each element
        outer, inside = 0, False
        for index in axes:
            strides = [each[index] for _, each in self.elements]
            size, entering = self.sizes[index], index >= self.outer and not inside
            inside = inside or entering
            if loops and not entering and loops[-1][1] == [each * size for each in strides]:
                loops[-1] = (loops[-1][0] * size, strides)
            else:
                loops.append((size, strides))
                outer += not inside
        indices = {}
        for number, (place, _) in enumerate(self.elements):
            terms = [f"row * {place.row}"] if place.row else []
            terms += [str(place.offset)] if place.offset else []
            for depth, (_, strides) in enumerate(loops):
                stride = strides[number]
                terms += [f"j{depth} * {stride}" if stride > 1 else f"j{depth}"] if stride else []
            indices[number] = f"{place.array}[{' + '.join(terms) or 0}]"
        text, margin = ["for row in range(n):"], "    "
        for depth in range(len(loops) + 1):
            if depth == outer:
                text += [margin + line for line in before]
            if depth < len(loops):
                text.append(margin + f"for j{depth} in range({loops[depth][0]}):")
                margin += "    "
        text += [margin + line for line in lines]
        text += ["    " * (outer + 1) + line for line in after]
        code = "\n".join("    " + line for line in text)
        return re.sub(r"<(\d+)>", lambda found: indices[int(found[1])], code)


def batch_axis(node: fx.Node) -> int | None:
    """The axis of the batch; None where there is none."""
    shape = list(node.meta["val"].shape)
    if any(size % BATCH == 0 and size not in (0, BATCH) for size in shape):
        raise UnwritableError("a batch that is part of another axis")
    return shape.index(BATCH) if BATCH in shape else None


def place_of(node: fx.Node, array: str) -> Place:
    """Where the value of `node` stands in its memory, if `array` is that.

    Memory is row by row, whatever the trace had. With a batch of B it had for `[heads, B, size]`
    the strides B * size, size and 1, and for its second head the offset B * size: without B these
    are size, - and 1, and size, in rows of heads * size.
    """
    value, batch = node.meta["val"], batch_axis(node)
    row = value.untyped_storage().nbytes() // value.element_size() // BATCH
    offset, *strides = (
        apart // BATCH + apart % BATCH
        for apart in (
            value.storage_offset(),
            *(value.stride(axis) for axis in range(value.dim()) if axis != batch),
        )
    )
    return Place(array, row, offset, row_sizes(node), tuple(strides))


def dense_place(array: str, node: fx.Node) -> Place:
    """A place of its own for a value like that of `node`."""
    sizes = row_sizes(node)
    return Place(array, math.prod(sizes), 0, sizes, _steps(sizes))


def row_sizes(node: fx.Node) -> tuple[int, ...]:
    """The sizes of the axes but the batch's."""
    batch = batch_axis(node)
    return tuple(s for axis, s in enumerate(node.meta["val"].shape) if axis != batch)


def _steps(sizes: Sequence[int]) -> tuple[int, ...]:
    """The strides of a value in order: of [2, 3, 4] they are 12, 4 and 1."""
    return tuple(math.prod(sizes[axis + 1 :]) for axis in range(len(sizes)))


def long_axes(node: fx.Node) -> list[int]:
    """The sizes of a row's axes, those of 1 left out."""
    return [size for size in row_sizes(node) if size != 1]


def broadcast(value: fx.Node, place: Place, node: fx.Node) -> list[int]:
    """The strides of `value`, at `place`, for the axes of `node`, which it is stretched to."""
    shape, whole = list(value.meta["val"].shape), list(node.meta["val"].shape)
    batch, own = batch_axis(node), batch_axis(value)
    strides = list(place.strides)
    if own is not None:
        strides.insert(own, 0)
        if own + len(whole) - len(shape) != batch:
            raise UnwritableError("an operation of a row with other rows")
    missing = len(whole) - len(shape)
    shape, strides = [1] * missing + shape, [0] * missing + strides
    return [
        0 if shape[axis] == 1 else strides[axis]
        for axis, size in enumerate(whole)
        if axis != batch and size != 1
    ]


def joined(node: fx.Node, whole: Place) -> Iterator[tuple[fx.Node, Place]]:
    """The parts that `node` joins at `whole`, and the place of each in there."""
    axis: int = cast(Any, node.args[1] if len(node.args) > 1 else 0) % node.meta["val"].dim()
    batch = batch_axis(node)
    if batch is None or axis == batch:
        raise UnwritableError("rows that are joined")
    stride = whole.strides[axis - int(batch < axis)]
    offset = whole.offset
    for part in cast(list[fx.Node], node.args[0]):
        yield part, Place(whole.array, whole.row, offset, row_sizes(part), whole.strides)
        offset += part.meta["val"].shape[axis] * stride
