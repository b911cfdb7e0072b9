"""The laws that every part with weights keeps, whatever it reads and returns: `network_laws`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from seqgen.state import State, leaves, map_state
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, NotTriedError

WEIGHTS = (
    "what it learns is registered",
    "the same twice in evaluation mode",
    "it works on any device",
    "it works in float64",
    "gradients reach every parameter",
    "weights are saved and loaded",
)
"""The names of the laws, in their order."""


@dataclass(frozen=True)
class NetworkCase(ABC):
    """How to build a part with weights, what it reads and what comes of it."""

    factory: Callable[..., Any]

    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """What the program supplies when it builds one."""

    @abstractmethod
    def given(self) -> Any:
        """What the part reads, always the same; it can be moved by `.to`, or is a State."""

    @abstractmethod
    def read(self, module: Any, given: Any) -> State:
        """All numbers that the part makes of it."""

    def learned_from(self, given: Any) -> list[Tensor]:
        """Those of the tensors in `given` that a gradient must reach, too."""
        return []

    def total(self, module: Any, given: Any) -> Tensor:
        """What training would make small: by default a sum of all numbers, no two alike."""
        return torch.stack(
            [(each * torch.linspace(1, 2, each.numel()).view(each.shape)).sum()
             for each in leaves(self.read(module, given)) if each.is_floating_point()]
        ).sum()  # fmt: skip

    def make(self, seed: int = 1, **place: Any) -> Any:
        """The part with weights from `seed`, in evaluation mode, at `device=` or in `dtype=`."""
        torch.manual_seed(seed)
        made = self.factory(**self.sizes())
        return made.to(**place).eval() if place else made.eval()

    def outputs(self, module: nn.Module) -> State:
        """What it makes of what is given, without a graph."""
        with torch.no_grad():
            return self.read(module, self.given())


def moved(given: Any, **place: Any) -> Any:
    """What a part reads at another place; a `dtype` is that of numbers, not of tokens."""
    dtype = place.get("dtype")
    if not isinstance(given, Tensor | tuple) and given is not None:
        return given.to(place.get("device", "cpu"), dtype)

    def move(each: Tensor) -> Tensor:
        return each.to(place.get("device", "cpu"), dtype if each.is_floating_point() else None)

    return map_state(move, given)


def _registered(case: NetworkCase) -> None:
    require.registered(case.make())


def _same_twice(case: NetworkCase) -> None:
    made = case.make()
    says = "the same was read in another way in evaluation mode; draw nothing there"
    require.same(case.outputs(made), case.outputs(made), says, 0.0)


def _device(case: NetworkCase) -> None:
    made, given = case.make(device="meta"), moved(case.given(), device="meta")

    def read() -> Iterator[tuple[str, State]]:
        yield "what it returned", case.read(made, given)

    require.same_device(read, MADE)


def _double(case: NetworkCase) -> None:
    made, given = case.make(dtype=torch.float64), moved(case.given(), dtype=torch.float64)
    found = map_state(lambda each: each.float(), case.read(made, given))
    wanted = map_state(lambda each: each.float(), case.read(case.make(), case.given()))
    require.same(found, wanted, "numbers in float64 are not those in float32")


def _gradients_reach(case: NetworkCase) -> None:
    made, given = case.make(), case.given()
    made.train()
    sources = case.learned_from(given)
    for each in sources:
        each.requires_grad_()
    if not sources and not any(each.requires_grad for each in made.parameters()):
        raise NotTriedError("it learns nothing")
    total = case.total(made, given)
    require.finite(total, "what it returned", "in training")
    if not total.requires_grad:
        raise BreachError("no gradient comes back; beware of .detach(), .data and torch.no_grad()")
    torch.autograd.backward(total)
    require.learned(made)
    reached = all(each.grad is not None and bool(each.grad.any()) for each in sources)
    require.that(reached, "no gradient reaches what it reads, so nothing below would learn")


def _saved(case: NetworkCase) -> None:
    require.saved(case.make, case.outputs)


MADE = "make tensors by `.new_zeros(...)` of what is read, and `register_buffer` for constants"

N = TypeVar("N", bound=NetworkCase)


def network_laws(advice: str, needs: tuple[str, ...]) -> tuple[Law[Any], ...]:
    """The laws of `WEIGHTS`, for parts that keep the laws that these `needs`."""
    stable = (*needs, *WEIGHTS[:2])
    return (
        Law(WEIGHTS[0], _registered, advice, needs),
        Law(WEIGHTS[1], _same_twice, advice, needs),
        Law(WEIGHTS[2], _device, MADE, stable),
        Law(WEIGHTS[3], _double, MADE, (*stable, WEIGHTS[2])),
        Law(WEIGHTS[4], _gradients_reach, advice, stable),
        Law(WEIGHTS[5], _saved, advice, stable),
    )
