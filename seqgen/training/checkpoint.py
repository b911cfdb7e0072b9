"""Checkpoints: folders `step-00001200` of weights and training state, with checksums.

A checkpoint is written under another name, flushed to the disk and then renamed, so that one
that has its name is whole. The files `last` and `best` name the checkpoints that they mean. All
tensors are in safetensors files and everything else in JSON: reading one executes nothing.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import stat
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seqgen import files
from seqgen.errors import CheckpointError, SetupError
from seqgen.models import Model
from seqgen.options import Count, NonNegativeFloat, Size, check_value, shown
from seqgen.state import State, batch_size_of, leaves, rebuild
from seqgen.training.distributed import ALONE, Processes
from seqgen.training.optimization import Average, Optimizer, Schedule

FORMAT = 1
WEIGHTS, TENSORS = "model.safetensors", "training.safetensors"
STATE, SUMS = "training.json", "checksums.json"
FILES = {WEIGHTS, TENSORS, STATE, SUMS}
POINTERS = {"last", "best"}

_NAME = re.compile(r"step-\d{8,}", re.ASCII)
_WRITING = ".writing-"
"""Before the name of a checkpoint that is not whole yet."""

_SLACK = 1 << 26
"""Bytes by which a file of tensors may be larger than they are, for their names: 64 MiB."""


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
class Moving:
    """What moves the weights in training, and remembers more than they do."""

    optimizer: Optimizer
    schedule: Schedule
    average: Average


@dataclass(frozen=True)
class _OptimizerState:
    """What of an optimizer is not a tensor."""

    numbers: Mapping[str, bool | int | float | str | None]
    groups: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class _AverageState:
    kind: str = ""
    count: Count = 0


@dataclass(frozen=True)
class _Saved:
    """The types of a training state besides the counters and tensors."""

    step: Count
    rows: Count
    schedule: Mapping[str, Any]
    optimizer: _OptimizerState
    average: _AverageState = _AverageState()
    processes: Size = 1


def own_tensors(carried: State) -> dict[str, Tensor]:
    """What each process has of its own, on the CPU: its random state and the state it carries."""
    tensors = {"random.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    return tensors | {f"carried.{index}": each.cpu() for index, each in enumerate(leaves(carried))}


def training_state(
    counters: Counters,
    carried: State,
    moving: Moving,
    trained: Sequence[Tensor] = (),
    *,
    others: Sequence[Mapping[str, Tensor]] = (),
) -> dict[str, Any]:
    """All that training must remember besides the weights: plain data, its tensors under `tensors`.

    `trained` are the weights where an average stands in their place, `others` the `own_tensors` of
    the processes after this one.
    """
    tensors = own_tensors(carried)
    tensors |= {f"trained.{index}": each for index, each in enumerate(trained)}
    for rank, own in enumerate(others, 1):
        tensors |= {f"{_prefix(rank)}{name}": each for name, each in own.items()}
    numbers: dict[str, Any] = {}
    optimizer = moving.optimizer.state_dict()
    for index, entries in optimizer["state"].items():
        for key, value in entries.items():
            target = tensors if isinstance(value, Tensor) else numbers
            target[f"optimizer.{index}.{key}"] = value
    groups = [dict(group) for group in optimizer["param_groups"]]
    for each in groups:
        del each["params"]
    return {
        **asdict(counters),
        "rows": batch_size_of(carried) or 0,
        "schedule": moving.schedule.memory(),
        "average": {"kind": type(moving.average).__name__, "count": moving.average.count},
        "optimizer": {"numbers": numbers, "groups": groups},
        **({"processes": 1 + len(others)} if others else {}),
        "tensors": tensors,
    }


def _prefix(rank: int) -> str:
    """What the names of the tensors of a process begin with."""
    return f"rank{rank}." if rank else ""


def restore_training(
    saved: tuple[dict[str, Any], dict[str, Tensor]],
    model: Model,
    moving: Moving,
    place: str = "checkpoint",
    *,
    processes: Processes = ALONE,
) -> tuple[Counters, State]:
    """Go on from a training state: restore what moves the weights, the random streams, and the
    weights where an average stood in their place; return counters and carried state.

    Raises CheckpointError, which begins with `place`, unless everything is of its type and fits,
    the number of `processes` included.
    """
    state, tensors = saved
    average, own = moving.average, _prefix(processes.rank)
    try:
        counters, typed = _checked(state, tensors, processes.count)
        memory = dict(typed.schedule)
        _check_like(memory, moving.schedule.memory(), "schedule")
        moving.schedule.restore(memory)
        _restore_optimizer(moving.optimizer, typed.optimizer, tensors)
        # None where the run had another kind of average, or none at all yet.
        is_same = typed.average.kind == type(average).__name__
        average.restore(_numbered("trained", tensors), typed.average.count if is_same else 0)
        carried: State = None
        if typed.rows:
            like = model.initial_state(typed.rows)
            device = next(model.parameters()).device
            found = _numbered(f"{own}carried", tensors)
            carried = rebuild(like, [each.to(device) for each in found])
        torch.set_rng_state(tensors[f"{own}random.cpu"])
        if f"{own}random.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors[f"{own}random.cuda"])
    except (KeyError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        message = f"{place}: the training state does not fit this recipe: {reason}"
        raise CheckpointError(message) from None
    return counters, carried


def _checked(
    state: dict[str, Any], tensors: dict[str, Tensor], count: int
) -> tuple[Counters, _Saved]:
    names = {each.name for each in fields(Counters)}
    own = {name: value for name, value in state.items() if name in names and name != "best"}
    counters: Counters = check_value(Counters, own, ())
    best = state.get("best", counters.best)
    if isinstance(best, bool) or not isinstance(best, int | float):
        raise ValueError(f"`best` must be a number, but is {shown(best)}")  # noqa: TRY004
    counters.best = float(best)  # which is infinite before there is one
    rest = {name: value for name, value in state.items() if name not in names or name == "step"}
    saved: _Saved = check_value(_Saved, rest, ())
    if saved.processes != count:
        found = f"that is {saved.processes}, but there are {count} (torchrun --nproc-per-node)"
        raise ValueError(f"it needs as many processes as wrote it: {found}")
    if saved.rows and tensors["carried.0"].shape[:1] != (saved.rows,):  # before so many are made
        raise ValueError(f"`rows` must be those of the carried state, but is {saved.rows}")
    return counters, saved


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
    """Raises ValueError unless `value`, from JSON, is of the kind of `fresh`; where that is None,
    or a key is not there, it may be any plain value."""
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


def kind_in_checkpoints(parts: tuple[str, ...]) -> str | None:
    """What a run writes at `parts`, a path in the folder of its checkpoints: a `file`, a `folder`,
    or None."""
    first, *rest = parts
    if _NAME.fullmatch(first.removeprefix(_WRITING)):
        if not rest:
            return "folder"
        return "file" if len(rest) == 1 and (rest[0] in FILES or first[0] == ".") else None
    # Those with a dot were temporary names of earlier versions.
    return "file" if not rest and files.written_as(first).removeprefix(".") in POINTERS else None


class Checkpoints:
    """The checkpoints of one run, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, model: nn.Module, state: dict[str, Any], names: tuple[str, ...]) -> None:
        """Write `state` (with its `step`) and the weights, and let `names` mean this checkpoint.

        The names change in their order: `last` comes last, since a resumed run goes back to it and
        does again what comes after it. Checkpoints that no name means any more are removed.
        Raises SetupError if the disk is full or not writable; what was there before stays.
        """
        name = f"step-{state['step']:08d}"
        temporary = self.folder / f"{_WRITING}{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _remove(temporary)
            temporary.mkdir()
            _write(temporary, model, state)
            _remove(self.folder / name)
            temporary.replace(self.folder / name)
            _sync(self.folder)
            for pointer in names:
                files.write_file(self.folder / pointer, name + "\n")
            _sync(self.folder)
        except (OSError, SafetensorError, SetupError) as error:
            raise self._given_up(name, error) from None
        for name in sorted({each.name for each in self.folder.iterdir()} - self._meant()):
            if kind_in_checkpoints((name,)) == "folder":
                try:
                    _remove(self.folder / name)
                except OSError as error:
                    what = error.strerror or error
                    warnings.warn(f"{self.folder / name}: left as it is: {what}", stacklevel=2)

    def _given_up(self, name: str, error: Exception) -> SetupError:
        """What to raise if the checkpoint `name` cannot be written; nothing is left of it."""
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        message = f"{self.folder / name}: cannot write the checkpoint: {reason}"
        with suppress(CheckpointError):
            for each in (f"{_WRITING}{name}", *({name} - self._meant())):
                with suppress(OSError):
                    _remove(self.folder / each)
            if last := self._named("last"):
                message += f"; the last one, {last}, is as it was"
        return SetupError(message)

    def find(self, pointer: str) -> Path | None:
        """The folder of the checkpoint that `pointer` (`last` or `best`) means, if there is one.

        Raises CheckpointError if there is such a name, but it does not lead to a checkpoint.
        """
        name = self._named(pointer)
        if name is None:
            return None
        if not (self.folder / name).is_dir():
            raise CheckpointError(f"{self.folder / pointer}: the checkpoint {name} is missing")
        return self.folder / name

    def _named(self, pointer: str) -> str | None:
        path = self.folder / pointer
        if not os.path.lexists(path):  # a link to nowhere is damage, and no new run
            return None
        name = files.read_bytes(path, CheckpointError, limit=1024).decode(errors="replace").strip()
        if not _NAME.fullmatch(name):
            raise CheckpointError(f"{path}: damaged, it does not name a checkpoint")
        return name

    def _meant(self) -> set[str]:
        return {name for pointer in POINTERS if (name := self._named(pointer))}


def _remove(folder: Path) -> None:
    """Remove a checkpoint. Raises OSError, with nothing removed, if it is a link or there is
    something in it that no checkpoint has."""
    if not os.path.lexists(folder):
        return
    if files.kind_of(folder) != "folder":
        raise OSError(f"{folder.name} is not a folder of a checkpoint")
    for each in folder.iterdir():
        if files.kind_of(each) != kind_in_checkpoints((folder.name, each.name)):
            raise OSError(f"{each.name} in it is not of a checkpoint")
    shutil.rmtree(folder)


def _write(folder: Path, model: nn.Module, state: dict[str, Any]) -> None:
    tensors = {key: tensor.clone().contiguous() for key, tensor in state.pop("tensors").items()}
    weights, firsts = model.state_dict(), _first_names(model).values()
    own = {name: weights[name].clone().contiguous() for name in dict.fromkeys(firsts)}
    (folder / STATE).write_text(json.dumps(state), encoding="ascii")
    mode = stat.S_IMODE((folder / STATE).stat().st_mode)  # by the umask
    for name, content in ((WEIGHTS, own), (TENSORS, tensors)):
        save_file(content, folder / name)
        (folder / name).chmod(mode)  # which that library makes for the owner alone
    sums = {name: files.sha256(folder / name) for name in (WEIGHTS, TENSORS, STATE)}
    record = json.dumps({"format": FORMAT, "sha256": sums})
    (folder / SUMS).write_text(record, encoding="ascii")
    for path in (*folder.iterdir(), folder):
        _sync(path)


def _first_names(model: nn.Module) -> dict[str, str]:
    """The name under which each tensor is saved: a tied one is saved once, under its first name."""
    first: dict[int, str] = {}
    named = model.state_dict(keep_vars=True)
    return {name: first.setdefault(id(tensor), name) for name, tensor in named.items()}


def _sync(path: Path) -> None:
    """Wait until it is on the disk (a folder cannot be opened on Windows)."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_weights(folder: Path, model: nn.Module) -> None:
    """Fill `model` with the weights of a checkpoint, every one of them. Raises CheckpointError."""

    def fill(path: Path) -> None:
        found, names = load_file(path), _first_names(model)
        lacking, unknown = set(names.values()) - found.keys(), found.keys() - set(names.values())
        for what, keys in (("lacks", lacking), ("has, unlike the model,", unknown)):
            if keys:
                raise ValueError(f"it {what} {', '.join(sorted(keys))}")
        model.load_state_dict({name: found[first] for name, first in names.items()})

    sizes = [each.numel() * each.element_size() for each in model.state_dict().values()]
    _read(folder, WEIGHTS, fill, limit=sum(sizes) + _SLACK)


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The training state and its tensors. Raises CheckpointError."""
    weights = folder / WEIGHTS
    # An optimizer keeps some copies of the weights, none of them sixteen.
    limit = 16 * weights.stat().st_size if weights.is_file() else 0
    tensors = _read(folder, TENSORS, load_file, limit=limit + files.RECORD_LIMIT)
    return _read(folder, STATE, files.read_mapping, limit=files.MAPPING_LIMIT), tensors


def _read(folder: Path, name: str, read: Callable[[Path], Any], limit: int) -> Any:
    """What `read` makes of a file of a checkpoint, whose checksum is looked at first: a flipped bit
    loads without a word. Raises CheckpointError."""
    path, record = folder / name, folder / SUMS
    sums = files.read_mapping(record, limit=files.MAPPING_LIMIT)
    if not isinstance(sums.get("sha256"), dict):
        raise CheckpointError(f"{record}: damaged, there are no checksums in it")
    if sums.get("format") != FORMAT:
        raise CheckpointError(f"{record}: the format is {shown(sums.get('format'))}, not {FORMAT}")
    if not os.path.lexists(path):
        raise CheckpointError(f"{path}: the file is missing")
    if files.sha256(path, limit=limit) != sums["sha256"].get(name):
        raise CheckpointError(f"{path}: damaged, its checksum is not the one it was written with")
    try:
        return read(path)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be loaded: {reason}") from None
