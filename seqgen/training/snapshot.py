"""Snapshots: all that training must remember beside the weights, as plain data and tensors."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from seqgen.errors import CheckpointError
from seqgen.models import Model
from seqgen.options import Count, NonNegativeFloat, check_value
from seqgen.plain_values import shown
from seqgen.state import State, batch_size_of, leaves, rebuild
from seqgen.training.averages import Average
from seqgen.training.optimizers import Optimizer
from seqgen.training.schedules import Schedule

Plain = bool | int | float | str | None


@dataclass
class Counters:
    """Where training is, and what has gathered since the last line of the log."""

    step: Count = 0
    tokens: Count = 0
    seconds: NonNegativeFloat = 0.0
    best: float = float("inf")
    best_step: Count = 0
    waited: Count = 0
    recent_nats: float = 0.0
    recent_tokens: Count = 0
    recent_seconds: NonNegativeFloat = 0.0
    stopped: str = ""
    diverged: Count = 0
    """How many batches brought no step, since their loss or gradient was not finite."""
    due: bool = False
    """Whether the validation after this step is still to come."""


@dataclass(frozen=True)
class _OptimizerState:
    """What of an optimizer is not a tensor."""

    numbers: Mapping[str, Plain]
    groups: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class _AverageState:
    kind: str = ""
    count: Count = 0


@dataclass(frozen=True)
class _Saved:
    """The types of what `take` gives besides the counters and tensors."""

    step: Count
    rows: Count
    schedule: Mapping[str, Any]
    optimizer: _OptimizerState
    average: _AverageState = _AverageState()


def take(
    counters: Counters,
    carried: State,
    optimizer: Optimizer,
    schedule: Schedule,
    average: Average,
    trained: Sequence[Tensor] = (),
) -> dict[str, Any]:
    """Everything as plain data, its tensors apart under `tensors`.

    `trained` are the weights where an average stands in their place.
    """
    tensors: dict[str, Tensor] = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    for index, leaf in enumerate(leaves(carried)):
        tensors[f"carried.{index}"] = leaf
    for index, weight in enumerate(trained):
        tensors[f"trained.{index}"] = weight
    numbers: dict[str, Any] = {}
    optimizer_state = optimizer.state_dict()
    for index, entries in optimizer_state["state"].items():
        for key, value in entries.items():
            target = tensors if isinstance(value, Tensor) else numbers
            target[f"optimizer.{index}.{key}"] = value
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        for group in optimizer_state["param_groups"]
    ]
    return {
        **asdict(counters),
        "rows": batch_size_of(carried) or 0,
        "schedule": schedule.memory(),
        "average": {"kind": type(average).__name__, "count": average.count},
        "optimizer": {"numbers": numbers, "groups": groups},
        "tensors": tensors,
    }


def put_back(
    saved: tuple[dict[str, Any], dict[str, Tensor]],
    model: Model,
    optimizer: Optimizer,
    schedule: Schedule,
    average: Average,
    place: str = "checkpoint",
) -> tuple[Counters, State]:
    """Undo `take`: restore optimizer, schedule, average and random streams, and the weights where
    an average stood in their place; return counters and carry.

    Raises CheckpointError, which begins with `place`, unless everything is of the type and fits.
    """
    state, tensors = saved
    try:
        counters, typed = _checked(state, tensors)
        _restore_schedule(schedule, typed.schedule)
        _restore_optimizer(optimizer, typed.optimizer, tensors)
        # None where the run had another kind of average, or none at all yet.
        is_same = typed.average.kind == type(average).__name__
        average.restore(_numbered("trained", tensors), typed.average.count if is_same else 0)
        carried: State = None
        if typed.rows:
            like = model.initial_state(typed.rows)
            device = next(model.parameters()).device
            carried = rebuild(like, [each.to(device) for each in _numbered("carried", tensors)])
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
    except (KeyError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{place}: the training state does not fit this recipe: {reason}"
        ) from None
    return counters, carried


def _checked(state: dict[str, Any], tensors: dict[str, Tensor]) -> tuple[Counters, _Saved]:
    """The counters and the rest by their types. Raises ValueError."""
    names = {each.name for each in fields(Counters)}
    own = {name: value for name, value in state.items() if name in names and name != "best"}
    counters: Counters = check_value(Counters, own, ())
    best = state.get("best", counters.best)
    if isinstance(best, bool) or not isinstance(best, int | float):
        raise ValueError(f"`best` must be a number, but is {shown(best)}")  # noqa: TRY004
    counters.best = float(best)  # which is infinite before there is one
    rest = {name: value for name, value in state.items() if name not in names or name == "step"}
    saved: _Saved = check_value(_Saved, rest, ())
    if saved.rows and tensors["carried.0"].shape[:1] != (saved.rows,):  # before so many are made
        raise ValueError(f"`rows` must be those of the carried state, but is {saved.rows}")
    return counters, saved


def _restore_schedule(schedule: Schedule, memory: Mapping[str, Any]) -> None:
    """Raises ValueError unless `memory` is made of what the schedule itself would remember."""
    fresh = schedule.memory()
    _check_like(dict(memory), fresh, "schedule")
    schedule.restore(dict(memory))


def _numbered(prefix: str, tensors: dict[str, Tensor]) -> list[Tensor]:
    count = sum(key.startswith(f"{prefix}.") for key in tensors)
    return [tensors[f"{prefix}.{index}"] for index in range(count)]


def _restore_optimizer(
    optimizer: Optimizer, saved: _OptimizerState, tensors: dict[str, Tensor]
) -> None:
    fresh = optimizer.state_dict()
    options = inspect.signature(type(optimizer)).parameters.keys() - {"lr"}
    entries: dict[int, dict[str, Any]] = {}
    for key, value in {**saved.numbers, **tensors}.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            entries.setdefault(int(index), {})[name] = value
    for group, before in zip(fresh["param_groups"], saved.groups, strict=True):
        # Its options are the recipe's; the rate of the last step comes back, and what it counts.
        counted = {key: value for key, value in before.items() if key not in options}
        _check_like(counted, group, "optimizer")
        for key, value in counted.items():  # JSON has no tuples
            group[key] = tuple(value) if isinstance(group.get(key), tuple) else value
    optimizer.load_state_dict({"state": entries, "param_groups": fresh["param_groups"]})


def _check_like(value: object, fresh: object, place: str) -> None:
    """A ValueError unless `value`, from JSON, is of the kind of `fresh`; where that is None, or a
    key is not there, it may be any plain value."""
    if isinstance(fresh, dict) and isinstance(value, dict):
        for key, each in value.items():
            _check_like(each, fresh.get(key), f"{place}.{key}")
    elif isinstance(fresh, list | tuple) and isinstance(value, list | tuple):
        if len(fresh) != len(value):
            raise ValueError(f"`{place}` must be {len(fresh)} long, but is {len(value)}")
        for index, (each, like) in enumerate(zip(value, fresh, strict=True)):
            _check_like(each, like, f"{place}.{index}")
    else:
        kind, wanted = _json_kind(value), _json_kind(fresh)
        if isinstance(value, int) and abs(value) > 2**53:
            raise ValueError(f"`{place}` must be at most 2**53, but is {shown(value)}")
        if kind in (dict, list) or (fresh is not None and kind is not wanted):
            raise ValueError(f"`{place}` must be like {shown(fresh)}, but is {shown(value)}")


def _json_kind(value: object) -> type:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float
    return list if isinstance(value, tuple) else type(value)
