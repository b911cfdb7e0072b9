"""Snapshots: all that training must remember beside the weights, as plain data and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from seqgen.errors import CheckpointError
from seqgen.models import Model
from seqgen.state import State, batch_size_of, leaves, rebuild
from seqgen.training.averages import Average
from seqgen.training.optimizers import Optimizer
from seqgen.training.schedules import Schedule


@dataclass
class Counters:
    """Where training is, and what has gathered since the last line of the log."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float = float("inf")
    best_step: int = 0
    waited: int = 0
    recent_nats: float = 0.0
    recent_tokens: int = 0
    recent_seconds: float = 0.0
    stopped: str = ""
    diverged: int = 0
    """How many batches brought no step, since their loss or gradient was not finite."""
    due: bool = False
    """Whether the validation after this step is still to come."""


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
) -> tuple[Counters, State]:
    """Undo `take`: restore optimizer, schedule, average and random streams, and the weights where
    an average stood in their place; return counters and carry."""
    state, tensors = saved
    try:
        state = {"diverged": 0, "due": False, **state}  # which runs of 0.1 may lack
        counters = Counters(**{each.name: state[each.name] for each in fields(Counters)})
        schedule.restore(state["schedule"])
        _restore_optimizer(optimizer, state["optimizer"], tensors)
        average.restore(_numbered("trained", tensors), _steps_of(average, state))
        carried: State = None
        if state["rows"]:
            like = model.initial_state(state["rows"])
            device = next(model.parameters()).device
            carried = rebuild(like, [each.to(device) for each in _numbered("carried", tensors)])
        torch.set_rng_state(tensors["random.cpu"])
        if "random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["random.cuda"])
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"the training state does not fit this recipe: {error}") from None
    return counters, carried


def _steps_of(average: Average, state: dict[str, Any]) -> int:
    """How many steps are in `average`: none where the run had another kind, or none at all yet."""
    saved = state.get("average", {})
    return int(saved["count"]) if saved.get("kind") == type(average).__name__ else 0


def _numbered(prefix: str, tensors: dict[str, Tensor]) -> list[Tensor]:
    count = sum(key.startswith(f"{prefix}.") for key in tensors)
    return [tensors[f"{prefix}.{index}"] for index in range(count)]


def _restore_optimizer(
    optimizer: Optimizer, saved: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    fresh = optimizer.state_dict()
    entries: dict[int, dict[str, Any]] = {}
    for key, value in {**saved["numbers"], **tensors}.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            entries.setdefault(int(index), {})[name] = value
    for group, before in zip(fresh["param_groups"], saved["groups"], strict=True):
        for key, value in before.items():  # JSON has no tuples: betas come back as a list
            group[key] = tuple(value) if isinstance(group.get(key), tuple) else value
    optimizer.load_state_dict({"state": entries, "param_groups": fresh["param_groups"]})
