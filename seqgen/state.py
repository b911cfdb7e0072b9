"""State, what a model remembers between two steps, and the functions that move its rows.

A State is a Tensor, a (named) tuple of States, or None for "nothing to remember". Batch is
dimension 0 of every tensor in it. Every function below follows from that one rule, so no cell,
model or search writes its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor

State = Tensor | tuple["State", ...] | None

S = TypeVar("S", bound=State)


def map_state(function: Callable[..., Tensor], state: S, *others: State) -> S:
    """Apply `function` to each tensor of `state`, with those at the same places of `others`."""
    if state is None:
        return cast(S, None)
    if isinstance(state, Tensor):
        return cast(S, function(state, *others))
    parts = [
        map_state(function, part, *(cast(tuple[State, ...], other)[index] for other in others))
        for index, part in enumerate(state)
    ]
    make = getattr(type(state), "_make", tuple)  # a named tuple stays one
    return cast(S, make(parts))


def leaves(state: State) -> Iterator[Tensor]:
    """The tensors of `state`, in a fixed order (depth first)."""
    if isinstance(state, Tensor):
        yield state
    elif state is not None:
        for part in state:
            yield from leaves(part)


def rebuild(like: S, tensors: Sequence[Tensor]) -> S:
    """A state of the same structure as `like`, made of `tensors` in the order of `leaves`."""
    expected = sum(1 for _ in leaves(like))
    if len(tensors) != expected:
        raise ValueError(f"`tensors` must have {expected} tensors, but has {len(tensors)}")
    remaining = iter(tensors)
    return map_state(lambda _: next(remaining), like)


def reorder(state: S, rows: Tensor) -> S:
    """The rows of `state` at the indices `rows: [new_batch]`, which may repeat or skip rows."""
    return map_state(lambda tensor: tensor.index_select(0, rows), state)


def repeat(state: S, times: int) -> S:
    """Each row repeated `times` times: rows a, b become a, a, b, b if `times` is 2."""
    return map_state(lambda tensor: tensor.repeat_interleave(times, dim=0), state)


def share(rows: int, index: int, count: int) -> slice:
    """Which of `rows` rows are in part `index` of `count` parts, all of about the same size."""
    return slice(rows * index // count, rows * (index + 1) // count)


def part(state: S, index: int, count: int) -> S:
    """The rows of part `index` of `count`, as `share` divides them."""
    return map_state(lambda tensor: tensor[share(len(tensor), index, count)], state)


def concatenate(first: S, *others: State) -> S:
    """The rows of all states, one after the other.

    Where tensors at the same place grow with the steps, so that some are longer in a dimension
    after the batch, the others are filled up with zeros.
    """

    def join(*parts: Tensor) -> Tensor:
        widest = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
        if all(list(part.shape[1:]) == widest for part in parts):
            return torch.cat(parts)
        joined = parts[0].new_zeros(sum(map(len, parts)), *widest)
        for part, rows in zip(parts, torch.split(joined, list(map(len, parts))), strict=True):
            rows[(slice(None), *map(slice, part.shape[1:]))].copy_(part)
        return joined

    return map_state(join, first, *others)


def detach(state: S) -> S:
    """The same values, detached from the graph."""
    return map_state(Tensor.detach, state)


def select(mask: Tensor, if_true: S, if_false: S) -> S:
    """Row by row: `if_true` where `mask: [batch]` holds, else `if_false`."""

    def choose(one: Tensor, other: Tensor) -> Tensor:
        # mask [batch] -> [batch, 1, 1, ...], as many ones as the tensor has further dimensions.
        return torch.where(mask.view(-1, *[1] * (one.dim() - 1)), one, other)

    return map_state(choose, if_true, if_false)


def real(lengths: Tensor, time: int) -> Tensor:
    """`[batch, time]`, true before the end of each row; `lengths: [batch]`."""
    return torch.arange(time, device=lengths.device) < lengths.unsqueeze(1)


def batch_size_of(state: State) -> int | None:
    """The number of rows that every tensor of `state` has; None where it has no tensor."""
    sizes = {leaf.shape[0] if leaf.dim() else 0 for leaf in leaves(state)}
    if len(sizes) > 1:
        raise ValueError(f"`state` must have one batch size, but has {sorted(sizes)}")
    return sizes.pop() if sizes else None


def outline(state: object) -> str:
    """The structure of a state, or of what should be one, in words: `(float32 [4, 8], None)`."""
    if isinstance(state, Tensor):
        return f"{str(state.dtype).removeprefix('torch.')} {list(state.shape)}"
    if isinstance(state, tuple):
        return f"({', '.join(outline(part) for part in state)})"
    return "None" if state is None else type(state).__name__
