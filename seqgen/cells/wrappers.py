"""The cells made of other cells: `stack`, and what changes a cell from outside.

To add a wrapper: subclass `Wrapper`, which passes on all that concerns the state. `Dropout` is what
wrappers, encoders and models draw their masks with.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import cycle, pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from seqgen.cells.base import (
    Cell,
    CellFactory,
    ReadAhead,
    Step,
    cells,
    checked_tensor,
    masked,
    read_by_steps,
    require_inner,
)
from seqgen.options import Share
from seqgen.state import State, leaves, rebuild


class Dropout(nn.Module):
    """Zero a share `rate` of the elements in training and scale up the rest (Srivastava 2014).

    torch draws one random number for each element, on one thread, which for a recurrent model
    costs up to a third of the training step. On CPUs one draw of 64 bits serves eight elements
    here, a byte each, so the rate is rounded to a multiple of 1/256: 0.2 is 51/256 = 0.1992. The
    expectation is kept exactly.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"`dropout` must be at least 0 and less than 1, but is {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """`x` of any shape."""
        if not self.training or not self.rate:
            return x
        if x.device.type != "cpu":
            return functional.dropout(x, self.rate)
        if x.dim() > 2 and not x.is_contiguous() and x.transpose(0, 1).is_contiguous():
            # torch's LSTM has time outermost in memory, also where the shape says batch. A mask in
            # the same order is multiplied twice as fast.
            return self.forward(x.transpose(0, 1)).transpose(0, 1)
        dropped = min(255, round(256 * self.rate))
        kept = 256 / (256 - dropped)
        return x * (_random_bytes(x.shape) >= dropped).to(x.dtype).mul_(kept)

    def extra_repr(self) -> str:
        """The rate."""
        return f"rate={self.rate}"


def _random_bytes(shape: torch.Size) -> Tensor:
    """Independent uniform bytes, eight of each number that torch's generator draws."""
    count = shape.numel()
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), 2**63 - 1)
    return words.view(torch.uint8)[:count].view(shape)


@cells.register("stack")
class Stack(Cell):
    """Each cell reads the outputs of the one below; the state is the tuple of their states.

    `cells` lists them from the bottom up, of any kinds; `dropout` is between them. With f for a
    cell, the next one reads of its input x::

        y = x + LN(f(dropout(x)))

    where `x +` is there with `residual` only, for cells whose input and output have the same size,
    and LN, a layer normalisation of the cell's own (Ba et al. 2016), with `layer_norm` only. It
    is inside the sum, so that from bottom to top there is a way on which nothing is changed
    (He et al. 2016). The lowest cell's input has no dropout.
    """

    def __init__(
        self,
        input_size: int,
        cells: Sequence[CellFactory],
        dropout: Share = 0.0,
        residual: bool = False,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        if not cells:
            raise ValueError("`cells` must be at least 1 long, but is empty")
        layers: list[Cell] = []
        sizes = [input_size]
        for make in cells:
            layers.append(make(input_size=sizes[-1]))
            sizes.append(layers[-1].output_size)
        self.cells = nn.ModuleList(layers)
        self.dropout = Dropout(dropout)
        norms = [nn.LayerNorm(size) if layer_norm else nn.Identity() for size in sizes[1:]]
        self.norms = nn.ModuleList(norms)
        self.residual = [residual and a == b for a, b in pairwise(sizes)]
        if residual and not any(self.residual):
            raise ValueError(
                "`residual` needs a cell with an output as wide as its input, but the widths are "
                f"{', '.join(map(str, sizes))}, from the bottom up"
            )
        self._changes_padding = residual or layer_norm
        self.output_size = sizes[-1]

    def initial_state(self, batch_size: int) -> tuple[State, ...]:
        return tuple(cast(Cell, each).initial_state(batch_size) for each in self.cells)

    def resample_masks(self, state: State) -> tuple[State, ...]:
        return tuple(cell.resample_masks(part) for cell, part in self._with_parts(state))

    def summary(self, state: State) -> Tensor:
        """The summaries of the cells, one after the other, from the bottom up."""
        return torch.cat([cell.summary(part) for cell, part in self._with_parts(state)], 1)

    def state_from(self, summary: Tensor) -> tuple[State, ...]:
        layers = cast(Sequence[Cell], self.cells)
        parts = torch.split(summary, [each.summary_size for each in layers], 1)
        return tuple(cell.state_from(part) for cell, part in zip(layers, parts, strict=True))

    def step(self, x: Tensor, state: State) -> Step:
        following = []
        for index, (cell, past) in enumerate(self._with_parts(state)):
            output, new = cell.step_input(self.dropout(x) if index else x, past)
            x = self._above(index, x, output)
            following.append(new)
        return x, tuple(following)

    def forward(self, xs: Tensor, state: State = None, lengths: Tensor | None = None) -> Step:
        """One cell after the other over all times, each by its fastest route."""
        pasts = self.initial_state(xs.shape[0]) if state is None else state
        following = []
        for index, (cell, past) in enumerate(self._with_parts(pasts)):
            outputs, new = cell(self.dropout(xs) if index else xs, past, lengths)
            xs = self._above(index, xs, outputs)
            following.append(new)
        if lengths is not None and self._changes_padding:
            xs = masked(xs, lengths)
        return xs, tuple(following)

    def reading_ahead(self) -> ReadAhead | None:
        """One cell after the other, those that can at once."""
        layers = [cast(Cell, each) for each in self.cells]
        fast = [each.reading_ahead() for each in layers]
        if not any(fast):
            return None
        reads = [
            own or read_by_steps(cell.step_input) for own, cell in zip(fast, layers, strict=True)
        ]

        def read(xs: Tensor, state: State) -> tuple[Tensor, list[State]]:
            following = []
            for index, (each, (_, past)) in enumerate(
                zip(reads, self._with_parts(state), strict=True)
            ):
                outputs, states = each(xs, past)
                xs = self._above(index, xs, outputs)
                following.append(states)
            return xs, [*zip(*following, strict=True)]

        return read

    def _above(self, index: int, x: Tensor, output: Tensor) -> Tensor:
        """What the next cell reads, of the input and the output of cell number `index`."""
        output = cast(Tensor, self.norms[index](output))
        return x + output if self.residual[index] else output

    def _with_parts(self, state: State) -> Iterator[tuple[Cell, State]]:
        """Each cell with its state. Raises ValueError if one is missing."""
        layers = cast(Sequence[Cell], self.cells)
        if not isinstance(state, tuple) or len(state) != len(layers):
            raise ValueError(f"`state` must be a tuple of {len(layers)} states")
        for index, (cell, part) in enumerate(zip(layers, state, strict=True)):
            require_inner(cell, part, str(index))
        return zip(layers, state, strict=True)


class Wrapper(Cell, ABC):
    """A cell around another one, `cell`, whose state it has, unless a subclass adds to it.

    A subclass defines `step`, and `forward` if it can use the fast `forward` of `cell`.
    """

    def __init__(self, input_size: int, cell: CellFactory) -> None:
        super().__init__()
        self.cell = cells.build(cell, input_size=input_size)
        self.output_size = self.cell.output_size

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    def resample_masks(self, state: State) -> State:
        return self.cell.resample_masks(state)

    def summary(self, state: State) -> Tensor:
        return self.cell.summary(state)

    def state_from(self, summary: Tensor) -> State:
        return self.cell.state_from(summary)


class VariationalState(NamedTuple):
    """The inner cell's state, and the masks `[batch, input]` and `[batch, output]`."""

    cell: State
    of_inputs: Tensor
    of_outputs: Tensor


@cells.register("variational_dropout")
class VariationalDropout(Wrapper):
    """Dropout with the same mask at all steps of a sequence (Gal and Ghahramani 2016).

    With f for the inner cell, m and n for the masks and p for the rates `input_dropout` and
    `dropout`::

        y, s' = f(m * x, s)      output = n * y      m, n = 0 with probability p, else 1 / (1 - p)

    The masks are in the state, one row for each sequence: `initial_state` draws them in training,
    `resample_masks` draws them again, and a state that was carried, moved or saved keeps its own.
    In evaluation they are ones. What a step does follows from its state alone. All gates of a cell
    read the same m * x (the paper's LSTM with tied weights).

    Of the paper's masks the one on the recurrent way is missing. From outside of a cell it could
    fall on the whole state only, and a state that is handed on from step to step (an LSTM's memory,
    all of a GRU's) would be multiplied by the mask over and over. Use `weight_drop` for that way:
    Merity et al. (2018) have both.
    """

    def __init__(
        self,
        input_size: int,
        cell: CellFactory,
        input_dropout: Share = 0.2,
        dropout: Share = 0.2,
    ) -> None:
        super().__init__(input_size, cell)
        self.input_size = input_size
        self.input_dropout = Dropout(input_dropout)
        self.dropout = Dropout(dropout)
        # Goes where the weights go, and so do the masks, also where the inner cell has no weights.
        self.one: Tensor
        self.register_buffer("one", torch.ones(()), persistent=False)

    def initial_state(self, batch_size: int) -> VariationalState:
        return self._with_masks(self.cell.initial_state(batch_size), batch_size)

    def resample_masks(self, state: State) -> VariationalState:
        past, inputs, _ = cast(VariationalState, state)
        return self._with_masks(self.cell.resample_masks(past), inputs.shape[0])

    def summary(self, state: State) -> Tensor:
        """The inner cell's, without the masks."""
        return self.cell.summary(cast(VariationalState, state).cell)

    def state_from(self, summary: Tensor) -> VariationalState:
        return self._with_masks(self.cell.state_from(summary), summary.shape[0])

    def step(self, x: Tensor, state: State) -> Step:
        past, inputs, outputs = self._checked(state, x.shape[0])
        output, following = self.cell.step_input(x * inputs.to(x.dtype), past)
        return output * outputs.to(output.dtype), VariationalState(following, inputs, outputs)

    def forward(self, xs: Tensor, state: State = None, lengths: Tensor | None = None) -> Step:
        batch = xs.shape[0]
        given = self.initial_state(batch) if state is None else state
        past, inputs, outputs = self._checked(given, batch)
        ys, following = self.cell(xs * inputs.to(xs.dtype).unsqueeze(1), past, lengths)
        ys = ys * outputs.to(ys.dtype).unsqueeze(1)
        return ys, VariationalState(following, inputs, outputs)

    def _with_masks(self, state: State, batch: int) -> VariationalState:
        """`state` with masks that are new in training and ones in evaluation."""
        inputs = self.input_dropout(self.one.new_ones(batch, self.input_size))
        outputs = self.dropout(self.one.new_ones(batch, self.output_size))
        return VariationalState(state, inputs, outputs)

    def _checked(self, state: State, batch: int) -> VariationalState:
        """`state`, with the masks' shapes checked; the inner cell checks its own part."""
        if not isinstance(state, tuple) or len(state) != 3:
            raise ValueError("`state` must be a VariationalState: the cell's state and two masks")
        past, inputs, outputs = state
        require_inner(self.cell, past, "`cell`")
        checked_tensor(inputs, batch, self.input_size)
        checked_tensor(outputs, batch, self.output_size)
        return cast(VariationalState, state)


@cells.register("weight_drop")
class WeightDrop(Wrapper):
    """DropConnect on recurrent weights (Wan et al. 2013; Merity et al. 2018).

    In training each weight that is chosen is 0 with probability `rate`, else it is divided by
    1 - `rate`; in evaluation the weights are what they are. A call draws once, for all rows and all
    times that it reads: one mask for a whole `forward`, whatever the route the inner cell takes. A
    `step` in training counts as a call, with weights drawn for that step alone.

    `weights` are patterns, as for file names, of the parameters of the inner cell that are chosen.
    A cell that this one is wrapped in should read by `forward` where one mask is wanted: put
    `zoneout` inside of it, not around it.
    """

    def __init__(
        self,
        input_size: int,
        cell: CellFactory,
        rate: Share = 0.5,
        weights: tuple[str, ...] = ("*weight_hh*", "*recurrent*"),
    ) -> None:
        super().__init__(input_size, cell)
        self.dropout = Dropout(rate)
        names = [name for name, _ in self.cell.named_parameters()]
        self.names = [name for name in names if any(fnmatchcase(name, each) for each in weights)]
        if not self.names:
            raise ValueError(
                f"`weights` must match a parameter of the cell, but {', '.join(weights)} match "
                f"none of {', '.join(names)}"
            )

    def step(self, x: Tensor, state: State) -> Step:
        if not self.training:
            return self.cell.step_input(x, state)
        dropped = {f"cell.{name}": weight for name, weight in self._dropped().items()}
        return cast(Step, functional_call(_SteppedOnce(self.cell), dropped, (x, state)))

    def forward(self, xs: Tensor, state: State = None, lengths: Tensor | None = None) -> Step:
        weights = self._dropped() if self.training else {}
        return cast(Step, functional_call(self.cell, weights, (xs, state, lengths)))

    def _dropped(self) -> dict[str, Tensor]:
        """The chosen weights by their names, with part of them zero."""
        return {name: self.dropout(self.cell.get_parameter(name)) for name in self.names}


class _SteppedOnce(nn.Module):
    """The step of a cell as a module's `forward`: `functional_call` calls nothing else."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, state: State) -> Step:
        return self.cell.step_input(x, state)


@cells.register("zoneout")
class Zoneout(Wrapper):
    """Zoneout (Krueger et al. 2017): at each step, some numbers of the state stay as they were.

    For each tensor s of the inner cell's state, s' after its step, and the tensor's rate r::

        in training      s, where a draw for this number is below r, else s'
        in evaluation    r * s + (1 - r) * s'

    `rates` are in the order of the state's tensors, for an LSTM those of hidden and memory (the
    paper has 0.05 and 0.5 on Penn Treebank); where there are fewer, they begin again, so a single
    one is for all and two are for each layer of an LSTM. Tensors of integers are left alone. As in
    the paper, s' of the hidden state is made of a memory of which nothing is zoned out yet.

    The output is zoned out too where it is one of the state's tensors, as the hidden state is for
    most cells. Only the top layer's is; to have it between layers, wrap each cell of a stack.

    Each number of the state must mean something by itself. Those of `slstm` do not: they are scaled
    by its stabiliser, and mixing old with new ones makes neither.
    """

    def __init__(
        self, input_size: int, cell: CellFactory, rates: tuple[Share, ...] = (0.1,)
    ) -> None:
        super().__init__(input_size, cell)
        self.rates = rates
        tensors = sum(leaf.is_floating_point() for leaf in leaves(self.cell.initial_state(1)))
        if not self.rates or tensors % len(self.rates):
            raise ValueError(
                f"`rates` must be one for all or one for each tensor of the state, which has "
                f"{tensors}, but there are {len(self.rates)}"
            )

    def project(self, xs: Tensor) -> Tensor:
        return self.cell.project(xs)

    def step(self, x: Tensor, state: State) -> Step:
        output, following = self.cell.step(x, state)
        rates, zoned = cycle(self.rates), []
        for old, new in zip(leaves(state), leaves(following), strict=True):
            mixed = new
            if new.is_floating_point():
                rate = next(rates)
                if self.training:
                    stays = torch.rand(new.shape, device=new.device) < rate
                    mixed = torch.where(stays, old, new)
                else:
                    mixed = rate * old + (1 - rate) * new
            zoned.append(mixed)
            output = mixed if output is new else output
        return output, rebuild(following, zoned)
