"""The training loop: batches in, a trained model out, and events on the way."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_, get_total_norm

from seqgen.cells import take_fast_routes
from seqgen.data import Training
from seqgen.errors import DecodeError, DivergedError, StoppedError
from seqgen.machine import choose_precision, keep_random_state, memory_for
from seqgen.models import Loss, Model
from seqgen.state import State, concatenate, detach, part
from seqgen.training import checkpoint
from seqgen.training.checkpoint import Checkpoints, Counters, Moving
from seqgen.training.distributed import ALONE, Processes
from seqgen.training.log import Event, Signals
from seqgen.training.optimization import Budget, TrainOptions

Sink = Callable[[Event], None]


class Validation(NamedTuple):
    """What a validation found: `figures` for the log, and the `criterion` by which the best
    checkpoint is chosen and schedules look; lower is better, NaN is never better."""

    figures: Event
    criterion: float


@dataclass(frozen=True)
class Outcome:
    """What training came to; `stopped` says why it ended."""

    steps: int
    tokens: int
    seconds: float
    best_step: int
    stopped: str


@dataclass
class Trainer:
    """One training run, from wherever it stands to the end of its budget.

    `validate` looks at held-out data; `sinks` are called with each event. With several `processes`
    each has a trainer, made and run alike; only that of rank 0 validates and writes, and only it
    should have sinks.
    """

    model: Model
    data: Training[Any]
    options: TrainOptions
    device: torch.device
    checkpoints: Checkpoints | None = None
    validate: Callable[[], Validation] | None = None
    sinks: Sequence[Sink] = ()
    counters: Counters = field(default_factory=Counters)
    processes: Processes = ALONE

    def __post_init__(self) -> None:
        options = self.options
        self._parameters = [each for each in self.model.parameters() if each.requires_grad]
        self._optimizer = options.optimizer(params=self._parameters, lr=options.lr)
        self._schedule = options.schedule()
        self._average = options.average(weights=self._parameters)
        self._moving = Moving(self._optimizer, self._schedule, self._average)
        self._budget = Budget(options, self.data.steps_per_epoch)
        self.precision = choose_precision(options.precision, self.device)
        self.remark = ""
        """What a person should know of it; nothing where all is as the options say."""
        self._carried: State = None
        self._norm = 0.0
        self._warned = False
        self._saved_step: int | None = None  # None: nothing has been saved or resumed yet
        self.processes.begin(self.model)
        if self.precision == "bfloat16":
            self._try_bfloat16()

    def _try_bfloat16(self) -> None:
        """Fall back to float32 where this machine lacks a kernel for something the model does."""
        try:
            self._read_and_forget()
        except RuntimeError as error:
            if "allocate" not in str(error):  # else it is about memory, which training will say
                reason = " ".join(str(error).split()).split(". ")[0]
                what = "float32 in place of bfloat16, which this machine cannot do"
                self.precision, self.remark = "float32", f"{what}: {reason}"

    def _read_and_forget(self) -> None:
        """Read one batch, forward and backward, of which nothing stays."""
        try:
            with keep_random_state(self.device):
                for batch in self._parts(self.data.batch(0)):
                    self._loss(batch.to(self.device), None).total.backward()  # type: ignore[no-untyped-call]
        finally:
            self._optimizer.zero_grad(set_to_none=True)

    @property
    def wants_fast(self) -> bool:
        """Whether fast routes pay in this run."""
        return self.options.fast == "auto" and self._budget.is_long()

    def take_fast_routes(self) -> dict[str, str]:
        """Let cells read by fast routes; the cells' names and how they will read.

        One batch is read and forgotten, so that all is derived and compiled before the first step.
        """
        routes = take_fast_routes(self.model) if self.precision == "float32" else {}
        if routes:
            self.model.train()
            self._read_and_forget()
        return {name: "; ".join(route.describe()) for name, route in routes.items()}

    def resume(self, folder: Path) -> None:
        """Go on from the checkpoint in `folder`."""
        checkpoint.load_weights(folder, self.model)
        saved = checkpoint.load_state(folder)
        self.counters, self._carried = checkpoint.restore_training(
            saved, self.model, self._moving, str(folder), processes=self.processes
        )
        self._saved_step = self.counters.step

    def run(self) -> Outcome:
        """Train until the budget is spent, validation stops improving or a signal comes.

        A signal ends a validation, which a resumed run does again. Raises DivergedError before a
        step with a NaN could be taken, StoppedError on a signal after a checkpoint was written.
        """
        counters = self.counters
        self.model.train()
        with memory_for("a training step; it needs a smaller batch or model"), Signals() as signals:
            if counters.step == 0 and self._saved_step is None:  # not even that was saved before
                counters.due = True
            self._validate_if_due(signals)
            while not self.finished():
                before = self._progress()
                self._step()
                self._log()
                counters.due = self._budget.validation_due(counters.step, before, self._progress())
                self._validate_if_due(signals)
                if number := self.processes.largest(signals.received or 0):
                    self._stop(int(number))
        self._average.finalize()
        why = counters.stopped or "the budget was spent"
        if counters.diverged:
            why += f"; {counters.diverged} times it diverged, and went on without"
        return Outcome(counters.step, counters.tokens, counters.seconds, counters.best_step, why)

    def _step(self) -> None:
        """One batch: loss, gradients, update. All that happens here counts as training time."""
        began = time.perf_counter()
        counters = self.counters
        self._set_learning_rate()
        batch = self.data.batch(counters.step)
        self.model.advance(self._progress())
        self._optimizer.zero_grad(set_to_none=True)
        total, state = self._read(batch)
        fault, nats = "", 0.0
        if batch.tokens:
            nats, self._norm = self._gather_gradients(total)
            if not math.isfinite(nats):
                fault = f"the loss is {nats} at step {counters.step + 1}"
            elif not math.isfinite(self._norm):
                fault = f"the gradient norm is {self._norm} at step {counters.step + 1}"
        if fault:
            self._diverge(fault, counters.step + 1, "the batch is left out")
        elif batch.tokens:
            self._optimizer.step()
        seconds = self.processes.first(time.perf_counter() - began)
        counters.step += 1
        counters.seconds += seconds
        counters.recent_seconds += seconds
        if fault:
            return
        self._carried = state
        counters.tokens += batch.tokens
        counters.recent_nats += nats
        counters.recent_tokens += batch.tokens
        self._average.update(self._progress())

    def _set_learning_rate(self) -> None:
        warmup = min(1.0, (self.counters.step + 1) / (self.options.warmup_steps + 1))
        for group in self._optimizer.param_groups:
            group["lr"] = self.options.lr * warmup * self._schedule.factor(self._progress())

    def _loss(self, batch: Any, state: State) -> Loss:
        lower = self.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=lower):
            return self.model.loss(batch, state)

    def _parts(self, batch: Any) -> list[Any]:
        """What this process reads of a batch, part by part."""
        count = self.options.accumulate
        own = self.processes.share(batch)
        return [each for share in own for each in (share.cut(count) if count > 1 else [share])]

    def _read(self, batch: Any) -> tuple[Tensor, State]:
        """Add the gradients of the mean loss over the tokens of `batch` from this process's rows.
        Returns their loss in nats, a scalar on the device, and the state after them."""
        parts, carried = self._parts(batch), self._carried if batch.continues else None
        total, states = torch.zeros((), device=self.device), []
        for index, each in enumerate(parts):
            loss = self._loss(each.to(self.device), part(carried, index, len(parts)))
            if batch.tokens:
                (loss.total / batch.tokens).backward()
            total = total + loss.total.detach()
            states.append(detach(loss.state))
        return total, concatenate(*states) if states[1:] else next(iter(states), None)

    def _gather_gradients(self, total: Tensor) -> tuple[float, float]:
        """Add up over all processes, and clip. Returns the loss of all in nats, and the norm of all
        gradients before clipping.

        Here, once a step, the loop waits for the device: a step that is not finite is not taken.
        """
        limit, weights = self.options.clip_norm, self._parameters
        sums = self.processes.add_up(weights, total)
        if limit is not None:
            norm = clip_grad_norm_(weights, limit)
        else:
            norm = get_total_norm([each.grad for each in weights if each.grad is not None])
        nats, *counts, found = torch.cat([sums, norm.view(1).to(sums.device)]).tolist()
        for weight, count in zip(weights, counts, strict=bool(counts)):
            if not count:  # what no process had a gradient for is left alone by the optimizer
                weight.grad = None
        return nats, found

    def _diverge(self, fault: str, step: int, done: str) -> None:
        """Go on after a `fault` that came with `step`; `done` says what `skip` does with it.

        Raises DivergedError if that is not wanted, or was done too often.
        """
        counters, options = self.counters, self.options
        kept = "the last checkpoint is as it was"
        if options.on_divergence == "stop":
            raise DivergedError(
                f"{fault}, so no step was taken; {kept}. "
                "A lower train.lr or train.clip_norm may help; train.on_divergence=skip goes on"
            )
        if counters.diverged >= options.max_divergences:
            times = f"after {counters.diverged} batches that diverged"
            allowed = "which is what train.max_divergences allows"
            raise DivergedError(f"{fault}, {times}, {allowed}; {kept}")
        counters.diverged += 1
        self._carried = None  # the batch was not read, so nothing continues it
        if options.on_divergence == "rollback":
            back = self._roll_back(fault)
            done = f"back to the weights of step {back}, and on with other batches"
        self._emit({"event": "diverged", "step": step, "fault": fault, "done": done})
        if not self._warned:
            self._warned = True
            warnings.warn(f"{fault}: {done} (metrics.jsonl has every time)", stacklevel=2)

    def _roll_back(self, fault: str) -> int:
        """Take weights, optimizer and average from the best checkpoint; returns its step.

        Not from the last one, since that depends on when a run was stopped.
        """
        counters = self.counters
        folder = None if self.checkpoints is None else self.checkpoints.find("best")
        saved = None if folder is None else checkpoint.load_state(folder)
        if folder is None or saved is None or saved[0].get("step") != counters.best_step:
            raise DivergedError(
                f"{fault}, and there is no checkpoint of a good validation to go back to"
            )
        memory = self._schedule.memory()
        with keep_random_state(self.device):  # they go on, and so does the schedule
            checkpoint.load_weights(folder, self.model)
            checkpoint.restore_training(saved, self.model, self._moving, processes=self.processes)
        self._schedule.restore(memory)
        self._set_learning_rate()
        return counters.best_step

    def _validate_if_due(self, signals: Signals) -> None:
        if not self.counters.due:
            return
        try:
            self._validate(signals)
        except StoppedError as error:
            self._saved_step = None  # a checkpoint from before would not say what is due
            self._stop(error.signal_number)

    def _validate(self, signals: Signals) -> None:
        """Validate, note whether it is the best so far, and write a checkpoint."""
        counters = self.counters
        if self.validate is None:  # the latest is the best that is known
            counters.best_step, counters.due = counters.step, False
            self._save("best", "last")
            return
        figures: Event | None = None
        try:
            validate = partial(self._found_by, self.validate, signals)
            figures, criterion = self.processes.by_first(validate)
        except DecodeError as error:  # the weights are finite, and what they make of a text is not
            fault = f"validating after step {counters.step}: {error}"
            if self.options.on_divergence == "stop":
                raise DivergedError(f"{fault}. A lower train.lr may help") from None
            self._diverge(fault, counters.step, "it counts as no better one")
            criterion = float("nan")
        counters.due = False
        better = criterion < counters.best  # false for NaN
        if better:
            counters.best, counters.best_step, counters.waited = criterion, counters.step, 0
        else:
            counters.waited += 1
        if counters.step:
            self._schedule.observe(criterion)
        patience = self.options.patience
        if patience is not None and counters.waited >= patience:
            counters.stopped = f"no better validation in {patience} validations"
        if figures is not None:
            where = {"step": counters.step, "tokens": counters.tokens, "seconds": counters.seconds}
            about = {"criterion": criterion, "best": better}
            self._emit({"event": "valid", **figures, **where, **about})
        self._save(*(["best"] if better else []), "last")

    def _found_by(self, validate: Callable[[], Validation], signals: Signals) -> Validation:
        with self._average.applied(), signals.interrupting():
            return validate()

    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.counters.stopped) or self._progress() >= 1

    def _progress(self) -> float:
        return self._budget.progress(self.counters.step, self.counters.seconds)

    def _stop(self, number: int) -> NoReturn:
        self._save("last")
        raise StoppedError(f"stopped at step {self.counters.step}", number)

    def _save(self, *names: str) -> None:
        is_saved = self._saved_step == self.counters.step and "best" not in names
        if self.checkpoints is None or is_saved:
            return
        carried = self._carried if self.data.batch(self.counters.step).continues else None
        _, *others = self.processes.gathered(checkpoint.own_tensors(carried))
        if self.processes.rank == 0:
            with self._average.applied() as trained:
                state = checkpoint.training_state(
                    self.counters, carried, self._moving, trained=trained, others=others
                )
                self.checkpoints.save(self.model, state, names)
        self.processes.largest(0)  # nobody goes on, or ends, before it is written
        self._saved_step = self.counters.step

    def _log(self) -> None:
        counters = self.counters
        if counters.step % self.options.log_every and self._progress() < 1:
            return
        self._emit(
            {
                "event": "train",
                "step": counters.step,
                "epoch": counters.step / self.data.steps_per_epoch,
                "progress": self._progress(),
                "loss": counters.recent_nats / max(1, counters.recent_tokens),
                "learning_rate": self._optimizer.param_groups[0]["lr"],
                "gradient_norm": self._norm,
                "tokens": counters.tokens,
                "seconds": counters.seconds,
                "tokens_per_second": counters.recent_tokens / max(1e-9, counters.recent_seconds),
            }
        )
        counters.recent_nats, counters.recent_tokens, counters.recent_seconds = 0.0, 0, 0.0

    def _emit(self, event: Event) -> None:
        for sink in tuple(self.sinks):
            try:
                sink(event)
            except Exception as error:  # whatever watches a run must not end it
                self.sinks = [each for each in self.sinks if each is not sink]
                name = getattr(sink, "__qualname__", type(sink).__name__)
                text = f"event sink {name} failed and was removed: {type(error).__name__}: {error}"
                warnings.warn(text, stacklevel=2)
