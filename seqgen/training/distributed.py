"""Several processes that train one model, as `torchrun` starts them, each on its rows of a batch.

With R processes (*ranks*), whose weights are equal from the first step to the last:

- Rows: every rank makes every batch, a function of the step, and keeps the r-th of R contiguous
  parts (`Batch.cut`), of a small batch perhaps no row.
- State: a rank carries the state of its rows, which stay its own from step to step.
- Loss: each rank divides the sum over its tokens by the number of tokens in the whole batch, so the
  sum of all gradients is that of the mean over the batch, however long the rows are.
- Decisions: whatever a clock, a signal, held-out data or a plugin decides is decided by one rank
  and told to all, so no rank waits for a step that another does not take.
- Checkpoint: rank 0 writes; random states and carried states of the others are sent to it.

Gradients are added up by one all-reduce of a flat copy of them. DistributedDataParallel averages
over ranks, not over tokens, wraps `forward` (a model here has `loss`), and expects every parameter
to get a gradient from every rank; what it gains, overlap with the backward pass, is little where
parameters are few.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, Final, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous

from seqgen.errors import DivergedError, SeqgenError, SetupError, StoppedError

R = TypeVar("R")

PATIENCE: Final = timedelta(hours=1)
"""How long a rank waits for another that is alive, such as for rank 0 while it validates."""

_FAREWELL: Final = timedelta(seconds=20)
"""How long ranks that end with an error of all wait for rank 0, which has files to write."""


@dataclass(frozen=True)
class Processes:
    """This process, number `rank` of `count`. Each method must be called by all of them, in the
    same order; of a single process they are the identity.

    Raises SetupError in all methods if another process has ended or cannot be reached.
    """

    rank: int = 0
    count: int = 1

    def begin(self, model: nn.Module) -> None:
        """Give all ranks the weights of rank 0, and each random numbers of its own."""
        weights = self.by_first(model.state_dict)
        if self.rank:
            model.load_state_dict(weights)
            seeds = np.random.SeedSequence([torch.initial_seed(), self.rank])
            torch.manual_seed(int(seeds.generate_state(1)[0]))

    def share(self, batch: Any) -> Sequence[Any]:
        """The batch of this rank, if it has a row of `batch`."""
        return [batch] if self.count == 1 else batch.cut(self.count)[self.rank : self.rank + 1]

    def add_up(self, weights: Sequence[Tensor], total: Tensor) -> Tensor:
        """Replace all gradients by their sums over the ranks.

        Returns the sum of the scalars `total`, and for each of the weights how many ranks had a
        gradient (nothing if there is one rank): where none had, the sum is zeros.
        """
        if self.count == 1:
            return total.view(1)
        had = torch.tensor([float(each.grad is not None) for each in weights])
        gradients = (torch.zeros_like(p) if p.grad is None else p.grad for p in weights)
        flat = torch.cat(
            [
                *(each.flatten() for each in gradients),
                total.view(1),
                had.to(total, non_blocking=True),
            ]
        )
        with _company():
            distributed.all_reduce(flat)
        sizes = [each.numel() for each in weights]
        *sums, rest = torch.split(flat, [*sizes, 1 + len(sizes)])
        for weight, each in zip(weights, sums, strict=True):
            weight.grad = each.view_as(weight).to(weight.dtype)
        return rest

    def largest(self, number: float) -> float:
        """The largest of the ranks' numbers."""
        return self._agreed(number, distributed.ReduceOp.MAX)

    def first(self, number: float) -> float:
        """The number of rank 0."""
        return self._agreed(0.0 if self.rank else number, distributed.ReduceOp.SUM)

    def _agreed(self, number: float, operation: Any) -> float:
        if self.count == 1:
            return number
        value = torch.tensor(number, dtype=torch.float64)
        with _company():
            distributed.all_reduce(value, operation)
        return float(value)

    def by_first(self, function: Callable[[], R]) -> R:
        """What `function` returns, or the SeqgenError that it raises, in rank 0, which alone calls
        it while the others wait."""
        if self.count == 1:
            return function()
        found: list[Any] = [None]
        if self.rank == 0:
            try:
                found = [function()]
            except SeqgenError as error:
                found = [error]
        with _company():
            distributed.broadcast_object_list(found, 0)
        if isinstance(found[0], SeqgenError):
            raise found[0]
        return cast(R, found[0])

    def gathered(self, value: R) -> list[R]:
        """The values of all ranks in their order, in every rank."""
        if self.count == 1:
            return [value]
        every: list[Any] = [None] * self.count
        with _company():
            distributed.all_gather_object(every, value)
        return every

    def check_alike(self, record: dict[str, Any]) -> None:
        """Raises SetupError unless all ranks have the same `record`, whose differing key it says.

        Nobody returns before all have come here.
        """
        every = self.gathered(record)
        for rank, other in enumerate(every):
            for key, value in every[0].items():
                if other[key] != value:
                    found = f"{key} is {value} in the process of rank 0, {other[key]} in {rank}"
                    raise SetupError(f"the processes do not train the same: {found}")


ALONE: Final = Processes()


@contextmanager
def _company() -> Iterator[None]:
    """A context for what needs the other ranks. Raises SetupError if they do not answer."""
    try:
        yield
    except RuntimeError as error:  # of gloo, NCCL or the store
        reason = re.sub(r"^\[.*?\]\s*", "", str(error).strip()).split("\n")[0].split(". ")[0]
        message = "another process of this run has ended, or is out of reach"
        raise SetupError(f"{message}: {reason}") from None


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that `torchrun` has started, by the environment that it sets; else just one.

    Of an error in several of them, one line comes from the first that has it: the others end with
    the exit code alone. SIGTERM, which torchrun sends to all as soon as one has failed, is a
    StoppedError. Raises SetupError if they cannot meet.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    with _company():
        store, rank, _ = next(rendezvous("env://", timeout=PATIENCE))
        backend = "cpu:gloo,cuda:nccl" if has_gpu else "gloo"
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=count, timeout=PATIENCE
        )

    def stop(number: int, frame: FrameType | None) -> None:
        raise StoppedError("stopped", number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with warnings.catch_warnings():
            if rank:
                warnings.simplefilter("ignore", UserWarning)  # which rank 0 has, too
            yield Processes(rank, count)
    except Exception as error:
        if rank and isinstance(error, StoppedError | DivergedError):  # rank 0 has it, too
            with suppress(RuntimeError):
                store.wait(["seqgen/ended"], _FAREWELL)
        with suppress(RuntimeError):  # the store has gone with the process that had it
            if store.add("seqgen/said", 1) > 1:
                sys.exit(error.exit_code if isinstance(error, SeqgenError) else 1)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
        if rank == 0:
            with suppress(RuntimeError):
                store.set("seqgen/ended", "")
        distributed.destroy_process_group()
