"""The contract of a cell: one step of recurrence over a batch-first state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated

import torch
from torch import Tensor, nn

from seqgen.cells.rehearsal import rehearsed
from seqgen.registry import Registry
from seqgen.state import State, leaves, rebuild, select

cells: Registry[Cell] = Registry("cell", supplied={"input_size"}, finishing=rehearsed)


class Cell(nn.Module, ABC):
    """One step of recurrence. A subclass sets `output_size` and defines two methods.

    Batch is dimension 0 of every tensor of the state, and a step keeps the structure and the shapes
    that the initial state has. Everything else (reading a sequence,
    rows of different length, carrying and reordering states) is derived from these two.
    """

    output_size: int

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""

    @abstractmethod
    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Read `x: [batch, input]` (or a slice of what `project` returned).

        Returns the output `[batch, output_size]` and the next state.
        """

    def project(self, xs: Tensor) -> Tensor:
        """The part of the step that does not need the state, for all times at once.

        `[batch, time, input] -> [batch, time, projected]`; the default passes `xs` on.
        """
        return xs

    def renew(self, state: State) -> State:
        """`state`, but with what stays for a whole sequence drawn again, such as a dropout mask.

        Training calls it where it carries a state from one window of a text to the next, so that
        each window has masks of its own. The default returns `state`: most cells draw nothing. A
        cell that owns other cells passes it on to them.
        """
        return state

    def summary(self, state: State) -> Tensor:
        """What of `state` another network may read, `[batch, n]` with a fixed n.

        The default has all its numbers, one tensor behind the other. A cell whose state has what
        means nothing to others (masks, a scale) leaves that out, here and in `state_from`.
        """
        floats = [leaf.flatten(1) for leaf in leaves(state) if leaf.is_floating_point()]
        if not floats:
            raise ValueError(f"the state of {type(self).__name__} has no numbers to read or set")
        return torch.cat(floats, 1)

    @property
    def summary_size(self) -> int:
        """The n of `summary`."""
        return self.summary(self.initial_state(1)).shape[1]

    def state_from(self, summary: Tensor) -> State:
        """The initial state, but for the numbers of `summary: [batch, n]`, which another network
        (an encoder's bridge) has worked out."""
        state = self.initial_state(summary.shape[0])
        filled, used = [], 0
        for leaf in leaves(state):
            size = leaf.shape[1:].numel() if leaf.is_floating_point() else 0
            numbers = summary[:, used : used + size]
            filled.append(numbers.reshape(leaf.shape).to(leaf.dtype) if size else leaf)
            used += size
        return rebuild(state, filled)

    def step_input(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`project` and `step` for a single input `x: [batch, input]`."""
        return self.step(self.project(x.unsqueeze(1)).squeeze(1), state)

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Read `xs: [batch, time, input]`, from the initial state where `state` is None.

        With `lengths: [batch]`, row i keeps the state that it has after `lengths[i]` inputs and
        its later outputs are zero. Returns outputs `[batch, time, output_size]` and the state.
        """
        batch, time, _ = xs.shape
        if state is None:
            state = self.initial_state(batch)
        if time == 0:
            return xs.new_zeros(batch, 0, self.output_size), state
        outputs = []
        for moment, x in enumerate(self.project(xs).unbind(1)):
            output, following = self.step(x, state)
            if lengths is not None:
                goes_on = lengths > moment
                following = select(goes_on, following, state)
                output = output.masked_fill(~goes_on.unsqueeze(1), 0)
            outputs.append(output)
            state = following
        return torch.stack(outputs, 1), state


CellFactory = Annotated[Callable[..., Cell], cells]
"""What a part that owns a cell takes: called with `input_size=`, it returns the cell."""
