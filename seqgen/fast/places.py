"""Where values stand in a written loop, and loops over their elements.

Each value has a *place*: an array and, in its row, an offset and a stride for each axis but the
batch's. Views are places in the array of another value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
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
        pairs = zip(self.sizes, self.strides, _steps(self.sizes), strict=True)
        whole = self.offset == 0 and math.prod(self.sizes) == self.row
        return whole and all(size == 1 or one == other for size, one, other in pairs)

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

    def code(self, lines: Sequence[str], before: str, after: str) -> str:
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
                if strides[number]:
                    terms.append(
                        f"j{depth} * {strides[number]}" if strides[number] > 1 else f"j{depth}"
                    )
            indices[number] = f"{place.array}[{' + '.join(terms) or 0}]"
        text = ["for row in range(n):"]
        for depth in range(outer):
            text.append("    " * (depth + 1) + f"for j{depth} in range({loops[depth][0]}):")
        margin = "    " * (outer + 1)
        text += [margin + before] if before else []
        inner = margin
        for depth in range(outer, len(loops)):
            text.append(inner + f"for j{depth} in range({loops[depth][0]}):")
            inner += "    "
        text += [inner + line for line in lines]
        text += [margin + after] if after else []
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
    rest = [axis for axis in range(value.dim()) if axis != batch]
    row = value.untyped_storage().nbytes() // value.element_size() // BATCH
    apart = [value.stride(axis) // BATCH + value.stride(axis) % BATCH for axis in rest]
    offset = value.storage_offset() // BATCH + value.storage_offset() % BATCH
    return Place(array, row, offset, tuple(value.shape[axis] for axis in rest), tuple(apart))


def dense_place(array: str, node: fx.Node) -> Place:
    """A place of its own for a value like that of `node`."""
    batch = batch_axis(node)
    sizes = tuple(s for axis, s in enumerate(node.meta["val"].shape) if axis != batch)
    return Place(array, math.prod(sizes), 0, sizes, _steps(sizes))


def _steps(sizes: Sequence[int]) -> tuple[int, ...]:
    """The strides of a value in order: of [2, 3, 4] they are 12, 4 and 1."""
    return tuple(math.prod(sizes[axis + 1 :]) for axis in range(len(sizes)))


def long_axes(node: fx.Node) -> tuple[int, ...]:
    """The sizes of a row's axes, those of 1 left out."""
    batch = batch_axis(node)
    return tuple(s for axis, s in enumerate(node.meta["val"].shape) if axis != batch and s != 1)


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
    found = []
    for axis, size in enumerate(whole):
        if axis == batch or size == 1:
            continue
        index = axis - missing
        found.append(strides[index] if index >= 0 and shape[index] != 1 else 0)
    return found


def joined_axis(node: fx.Node) -> int:
    """Of a row's axes, the one along which `node` joins."""
    dimensions = node.meta["val"].dim()
    axis: int = cast(Any, node.args[1] if len(node.args) > 1 else 0) % dimensions
    batch = batch_axis(node)
    if batch is None or axis == batch:
        raise UnwritableError("rows that are joined")
    return axis - int(batch < axis)
