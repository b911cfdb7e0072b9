"""The cell `weight_drop`: around another cell, dropout of its recurrent weights."""

from __future__ import annotations

from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.func import functional_call

from seqgen.cells.base import Cell, CellFactory, cells
from seqgen.dropout import Dropout
from seqgen.options import Share
from seqgen.state import State


@cells.register("weight_drop")
class WeightDrop(Cell):
    """DropConnect on recurrent weights (Wan et al. 2013; Merity et al. 2018).

    In training each weight that is chosen is 0 with probability `rate`, else it is divided by
    1 - `rate`; in evaluation the weights are what they are. A call draws once, for all rows and all
    times that it reads: one mask for a whole `forward`, whatever the route the inner cell takes. A
    `step` in training is a call as well, with weights drawn for that step alone.

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
        super().__init__()
        self.cell = cells.build(cell, input_size=input_size)
        self.output_size = self.cell.output_size
        self.dropout = Dropout(rate)
        names = [name for name, _ in self.cell.named_parameters()]
        self.names = [
            name for name in names if any(fnmatchcase(name, pattern) for pattern in weights)
        ]
        if not self.names:
            raise ValueError(
                f"`weights` must match a parameter of the cell, but {', '.join(weights)} match "
                f"none of {', '.join(names)}"
            )

    def initial_state(self, batch_size: int) -> State:
        """The inner cell's."""
        return self.cell.initial_state(batch_size)

    def renew(self, state: State) -> State:
        """As the inner cell does; the weights are drawn at each call anyway."""
        return self.cell.renew(state)

    def summary(self, state: State) -> Tensor:
        """The inner cell's."""
        return self.cell.summary(state)

    def state_from(self, summary: Tensor) -> State:
        """The inner cell's."""
        return self.cell.state_from(summary)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """A step of the inner cell."""
        if not self.training:
            return self.cell.step_input(x, state)
        dropped = {f"cell.{name}": weight for name, weight in self._dropped().items()}
        result: tuple[Tensor, State] = functional_call(_Step(self.cell), dropped, (x, state))
        return result

    def forward(
        self, xs: Tensor, state: State = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """As `Cell.forward`, by the inner cell's route."""
        weights = self._dropped() if self.training else {}
        result: tuple[Tensor, State] = functional_call(self.cell, weights, (xs, state, lengths))
        return result

    def _dropped(self) -> dict[str, Tensor]:
        """The chosen weights by their names, with part of them zero."""
        return {name: self.dropout(self.cell.get_parameter(name)) for name in self.names}


class _Step(nn.Module):
    """The step of a cell as a module's `forward`, for `functional_call` calls nothing else."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """`Cell.step_input`."""
        return self.cell.step_input(x, state)
