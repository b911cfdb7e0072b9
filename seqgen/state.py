"""State, what a model remembers between two steps, with the verbs that move its rows about.

A State is a Tensor, a (named) tuple of States, or None for "nothing to remember". Batch is
dimension 0 of every tensor in it. Each verb below follows from that one rule, so no cell, model
or search ever writes its own.
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
    return cast(S, _like(state, parts))


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
    """Each row `times` times in a row: rows a, b become a, a, b, b when `times` is 2."""
    return map_state(lambda tensor: tensor.repeat_interleave(times, dim=0), state)


def concatenate(first: S, *others: State) -> S:
    """The rows of all states, one behind the other.

    Where tensors at the same place grow with the steps, so that some are longer in a dimension
    behind the batch, the others get zeros there.
    """

    def join(*parts: Tensor) -> Tensor:
        shapes = [part.shape[1:] for part in parts]
        widest = [max(sizes) for sizes in zip(*shapes, strict=True)]
        if all(list(shape) == widest for shape in shapes):
            return torch.cat(parts)
        joined = parts[0].new_zeros(sum(map(len, parts)), *widest)
        at = 0
        for part in parts:
            inside = tuple(slice(size) for size in part.shape[1:])
            joined[(slice(at, at + len(part)), *inside)] = part
            at += len(part)
        return joined

    return map_state(join, first, *others)


def detach(state: S) -> S:
    """The same values, cut off from the graph that computed them."""
    return map_state(Tensor.detach, state)


def select(mask: Tensor, if_true: S, if_false: S) -> S:
    """Row by row: `if_true` where `mask: [batch]` holds, else `if_false`."""

    def choose(one: Tensor, other: Tensor) -> Tensor:
        # mask [batch] -> [batch, 1, 1, ...], as many ones as the tensor has further dimensions.
        return torch.where(mask.view(-1, *[1] * (one.dim() - 1)), one, other)

    return map_state(choose, if_true, if_false)


def batch_size_of(state: State) -> int | None:
    """The number of rows that every tensor of `state` has; None where it has no tensor."""
    sizes = {leaf.shape[0] if leaf.dim() else 0 for leaf in leaves(state)}
    if len(sizes) > 1:
        raise ValueError(f"`state` must have one batch size, but has {sorted(sizes)}")
    return sizes.pop() if sizes else None


def outline(state: object) -> str:
    """The structure of a state in words: `(float32 [4, 8], None)`; also of what should be one."""
    if isinstance(state, Tensor):
        return f"{str(state.dtype).removeprefix('torch.')} {list(state.shape)}"
    if isinstance(state, tuple):
        return f"({', '.join(outline(part) for part in state)})"
    return "None" if state is None else type(state).__name__


def _like(template: tuple[State, ...], parts: list[State]) -> tuple[State, ...]:
    """A tuple of `parts`, of the named type of `template` where it has one."""
    make = getattr(type(template), "_make", None)
    return cast(tuple[State, ...], make(parts)) if make else tuple(parts)
