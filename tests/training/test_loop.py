"""The training loop: what a step does, when it ends, and that stopping changes no byte."""

import copy
import json
import math
import os
import random
import shutil
import signal
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.overrides import TorchFunctionMode

from seqgen.cells import Cell, cells, take_fast_routes
from seqgen.data import TokenBatch
from seqgen.errors import DecodeError, DivergedError, SetupError, StoppedError
from seqgen.state import leaves, rebuild
from seqgen.training import Checkpoints, Fit, Trainer, Validation, load_state, load_weights

TIMES = {"seconds", "recent_seconds", "tokens_per_second"}
EACH_STEP = "train.log_every=1"


class Recorder(list):
    """A sink that keeps the events."""

    def __call__(self, event):
        self.append(event)

    def steps(self, kind="train"):
        return self.values("step", kind)

    def values(self, key, kind="train"):
        return [event[key] for event in self if event["event"] == kind]

    def timeless(self):
        return [{key: event[key] for key in event if key not in TIMES} for event in self]


def signal_at(step, *numbers):
    """A sink that sends signals to this process as soon as the event of `step` comes."""

    def sink(event):
        if event["event"] == "train" and event["step"] == step:
            for number in numbers:
                os.kill(os.getpid(), number)

    return sink


def weights(trainer):
    return {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def distance(one, other):
    return math.sqrt(sum(float(((one[key] - other[key]) ** 2).sum()) for key in one))


def contents(folder):
    """All bytes of all checkpoints, but for the times in training.json and their checksum."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "training.json":
            state = json.loads(path.read_bytes())
            found[name] = {key: state[key] for key in state if key not in TIMES}
        elif path.is_file() and path.name != "checksums.json":
            found[name] = path.read_bytes()
    return found


def resumed(trainer):
    """The trainer, standing where its last checkpoint stands, if there is one."""
    folder = trainer.checkpoints.find("last")
    if folder is not None:
        trainer.resume(folder)
    return trainer


def stopped_at(stops, make, found):
    """The outcome of a run that was interrupted after these steps, now by Ctrl-C and now by
    SIGTERM, whose events went to `found`; `make` gives its trainer anew."""
    for stop, number in zip(stops, cycle((signal.SIGINT, signal.SIGTERM))):
        trainer = resumed(make())
        trainer.sinks = [found, signal_at(stop, number)]
        with pytest.raises(StoppedError, match=f"stopped at step {stop}") as caught:
            trainer.run()
        assert caught.value.exit_code == 128 + number
    trainer = resumed(make())
    trainer.sinks = [found]
    assert trainer.counters.step == stops[-1]
    return trainer.run()


def with_criteria(trainer, values):
    """Have each validation of `trainer` find the next of `values`."""
    remaining = iter(values)
    trainer.validate = lambda: Validation({}, next(remaining))
    return trainer


class TestAStep:
    def test_it_is_one_step_of_the_optimizer_on_the_mean_loss(self, make_trainer):
        options = ["train.max_steps=1", "train.optimizer={name: sgd}", "train.clip_norm=null"]
        trainer = make_trainer(*options, "train.lr=0.5")
        before = weights(trainer)
        loss = trainer.model.loss(trainer.data.batch(0), None)
        (loss.total / loss.tokens).backward()
        parameters = trainer.model.named_parameters()
        expected = {name: before[name] - 0.5 * each.grad for name, each in parameters}
        trainer.run()
        assert all(torch.allclose(weights(trainer)[name], expected[name]) for name in expected)
        assert Fit is Trainer

    @pytest.mark.parametrize("limit", [0.05, 1e9, None])
    def test_gradients_are_clipped_by_their_norm(self, limit, make_trainer):
        options = ["train.optimizer={name: sgd}", "train.lr=1", "train.max_steps=1", EACH_STEP]
        clip = f"train.clip_norm={'null' if limit is None else limit}"
        trainer = make_trainer(*options, clip, sinks=[events := Recorder()])
        before = weights(trainer)
        trainer.run()
        [norm] = events.values("gradient_norm")
        assert norm > 0.05, "the norm before clipping is what is logged"
        moved = distance(before, weights(trainer))
        assert moved == pytest.approx(0.05 if limit == 0.05 else norm, rel=1e-4)

    def test_warm_up_and_schedule_reach_the_optimizer(self, make_trainer):
        options = ["train.max_steps=10", "train.warmup_steps=4", "train.lr=0.01", EACH_STEP]
        make_trainer(*options, sinks=[events := Recorder()]).run()
        warm_up = [min(1, (step + 1) / 5) for step in range(10)]
        cosine = [(1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)]
        wanted = [0.01 * one * other for one, other in zip(warm_up, cosine, strict=True)]
        assert events.values("learning_rate") == pytest.approx(wanted)

    def test_the_learning_rate_is_what_the_step_is_taken_with(self, make_trainer):
        schedule = ["train.schedule={name: linear}", "train.optimizer={name: sgd}", EACH_STEP]
        trainer = make_trainer("train.max_steps=4", *schedule, "train.clip_norm=null")
        sizes, before = [], weights(trainer)

        def watch(event):
            if event["event"] == "train":
                sizes.append(distance(before, weights(trainer)) / event["gradient_norm"] / 0.01)
                before.update(weights(trainer))

        trainer.sinks = [watch]
        trainer.run()
        assert sizes == pytest.approx([1, 0.75, 0.5, 0.25], rel=1e-3)

    def test_plateau_lowers_the_rate_when_validation_stands_still(self, make_trainer):
        plateau = "train.schedule={name: plateau, decay: 0.1, patience: 2, threshold: 1e-4}"
        options = ["train.max_steps=12", "train.validate_every=2", EACH_STEP]
        trainer = make_trainer(plateau, *options, sinks=[events := Recorder()])
        with_criteria(trainer, [3, 2, 2, 2, 1.99999, 1, 1, 1, 1]).run()
        # Validations come after 2, 4, ... steps: 2, 2, 2 (stands still), 1.99999, 1, 1.
        tenths = [0] * 6 + [1] * 6
        assert events.values("learning_rate") == pytest.approx([0.01 * 0.1**n for n in tenths])

    def test_the_state_is_carried_within_an_epoch_only(self, make_trainer):
        trainer = make_trainer("train.max_steps=null", "train.max_epochs=2", "data.window=64")
        per_epoch, seen, loss = trainer.data.steps_per_epoch, [], trainer.model.loss
        trainer.model.loss = lambda batch, state: seen.append(state is None) or loss(batch, state)
        trainer.run()
        assert per_epoch > 2
        assert seen == ([True] + [False] * (per_epoch - 1)) * 2

    def test_a_batch_without_a_real_target_is_skipped(self, make_trainer):
        options = ["train.max_steps=3", "train.optimizer={name: sgd, momentum: 0.9}", EACH_STEP]
        trainer, states = make_trainer(*options), []
        original = trainer.data.batch

        def batch(step):
            found = original(step)
            none = torch.zeros(4, dtype=torch.long)
            return TokenBatch(found.inputs, found.targets, none) if step == 1 else found

        trainer.data.batch = batch
        trainer.sinks = [events := Recorder(), lambda event: states.append(weights(trainer))]
        outcome = trainer.run()
        assert (outcome.steps, outcome.tokens) == (3, 2 * 64)
        assert [math.isfinite(loss) for loss in events.values("loss")] == [True] * 3
        trained = [s for s, e in zip(states, events, strict=True) if e["event"] == "train"]
        assert same(trained[0], trained[1])
        assert not same(trained[1], trained[2])

    def test_a_sink_that_fails_is_removed(self, make_trainer):
        def broken(event):
            raise ConnectionError("nobody listens")

        trainer = make_trainer(EACH_STEP, sinks=[broken, events := Recorder()])
        message = r"event sink \S*broken failed and was removed: ConnectionError: nobody listens"
        with pytest.warns(UserWarning, match=message) as warned:
            assert trainer.run().steps == 12
        assert len(warned) == 1
        assert events.steps() == list(range(1, 13))

    def test_only_too_little_memory_is_no_defect_of_ours(self, make_trainer):
        trainer = make_trainer()
        trainer.model.loss = lambda batch, state=None: torch.empty(2**60)
        with pytest.raises(SetupError, match="not enough memory for a training step"):
            trainer.run()
        trainer.model.loss = lambda batch, state=None: torch.ones(2) @ torch.ones(3)
        with pytest.raises(RuntimeError, match="size"):
            trainer.run()


class TestABudget:
    def test_steps(self, make_trainer):
        outcome = make_trainer("train.max_steps=7", sinks=[events := Recorder()]).run()
        assert (outcome.steps, outcome.tokens) == (7, 7 * 4 * 16)
        assert outcome.stopped == "the budget was spent"
        assert events.steps() == [3, 6, 7]
        assert events.steps("valid") == [0, 4, 7]
        assert events.values("progress")[-1] == 1

    def test_epochs_may_be_parts_of_one(self, make_trainer):
        options = ["train.max_steps=null", "train.validate_every=null", "train.validations=2"]
        options += ["train.max_epochs=0.25", "train.log_every=1000"]
        trainer = make_trainer(*options, sinks=[events := Recorder()])
        per_epoch = trainer.data.steps_per_epoch
        steps = math.ceil(0.25 * per_epoch)
        assert trainer.run().steps == steps
        assert events.steps("valid") == [0, math.ceil(steps / 2), steps]
        assert events.values("epoch")[-1] == pytest.approx(0.25, abs=1 / per_epoch)

    def test_seconds_of_training_proper(self, make_trainer):
        options = ["train.max_steps=null", "train.validate_every=null", "train.validations=0"]
        options += ["train.max_seconds=0.2", EACH_STEP]
        outcome = make_trainer(*options, sinks=[events := Recorder()]).run()
        assert outcome.seconds >= 0.2
        assert outcome.steps == len(events.steps()) > 1
        tokens, seconds = (np.diff([0, *events.values(key)]) for key in ("tokens", "seconds"))
        assert events.values("tokens_per_second") == pytest.approx(tokens / seconds)
        before = events.values("seconds")[-2]
        assert before < 0.2, "the step that passes the limit is the last"
        # The schedule follows the clock: the last step began in the last part of the cosine.
        wanted = 0.01 * (1 + math.cos(math.pi * before / 0.2)) / 2
        assert events.values("learning_rate")[-1] == pytest.approx(wanted)

    @pytest.mark.parametrize(
        ("limit", "steps"), [("epochs=100", 2), ("seconds=1e-9", 1), ("epochs=1e30", 2)]
    )
    def test_the_first_that_is_spent_ends_it(self, limit, steps, make_trainer):
        assert make_trainer(f"train.max_{limit}", "train.max_steps=2").run().steps == steps


@pytest.mark.parametrize(
    ("fast", "steps", "wanted"), [("auto", 9, False), ("auto", 200, True), ("never", 200, False)]
)
def test_fast_routes_are_for_long_runs_unless_they_are_refused(fast, steps, wanted, make_trainer):
    trainer = make_trainer(f"train.fast={fast}", f"train.max_steps={steps}")
    assert trainer.wants_fast is wanted


class TestValidation:
    def test_patience_counts_validations_without_a_better_one(self, make_trainer):
        options = ["train.max_steps=90", "train.validate_every=1", "train.patience=3"]
        trainer = make_trainer(*options, sinks=[events := Recorder()])
        with_criteria(trainer, [5, 4, 4, 4.5, 3, 3, 3.5, math.nan, 1, 1])
        outcome = trainer.run()
        assert (outcome.steps, outcome.best_step) == (7, 4)
        assert outcome.stopped == "no better validation in 3 validations"
        assert events.values("best", "valid") == [True, True, False, False, True] + [False] * 3
        assert trainer.finished()

    @pytest.mark.parametrize(
        ("criteria", "best"),
        [([math.nan, math.nan, 2, math.nan, math.inf], 2), ([math.nan] * 5, 0)],
    )
    def test_nan_is_never_the_best(self, criteria, best, make_trainer, tmp_path):
        trainer = make_trainer("train.max_steps=4", "train.validate_every=1", folder=tmp_path)
        assert with_criteria(trainer, criteria).run().best_step == best
        found = trainer.checkpoints.find("best")
        assert found is None if best == 0 else found.name == "step-00000002"
        assert trainer.checkpoints.find("last").name == "step-00000004"

    def test_without_held_out_data_the_last_is_the_best(self, make_trainer, tmp_path):
        split = "data.split=[1, 0, 0]"
        trainer = make_trainer(split, folder=tmp_path, sinks=[events := Recorder()])
        assert trainer.validate is None
        assert trainer.run().best_step == 12
        assert events.steps("valid") == []
        assert trainer.checkpoints.find("best") == trainer.checkpoints.find("last")

    def test_how_often_changes_no_weight(self, make_trainer):
        found = []
        for every in (1, 99):
            trainer = make_trainer(f"train.validate_every={every}", "model.dropout=0.3")
            trainer.run()
            found.append(weights(trainer))
        assert same(*found)


def poison(trainer, faults):
    """Have the loss at some steps of `trainer` (the first is 1) be wrong: `nan` or `inf` with all
    that follows from it, or `gradient`, where only the gradient is not finite."""
    original = trainer.model.loss
    weight = next(trainer.model.parameters())

    def loss(batch, state):
        found = original(batch, state)
        kind = faults.get(trainer.counters.step + 1)
        if kind is None:
            return found
        if kind == "gradient":  # the root of 0 has no slope: 0 times infinity
            return found._replace(total=found.total + (weight * 0).abs().sqrt().sum())
        spoilt = [leaf * math.nan for leaf in leaves(found.state)]
        return found._replace(total=found.total * float(kind), state=rebuild(found.state, spoilt))

    trainer.model.loss = loss
    return trainer


def all_finite(folder):
    """Whether all tensors of all checkpoints are finite."""
    files = list(Path(folder).rglob("*.safetensors"))
    tensors = [each for file in files for each in load_file(file).values()]
    return bool(files) and all(bool(each.isfinite().all()) for each in tensors)


FAULTS = ["nan", "inf", "-inf", "gradient"]
POLICIES = ["skip", "rollback"]
EVERY_PART = [
    [],
    ["train.optimizer={name: sgd, momentum: 0.9}", "train.clip_norm=null"],
    ["train.optimizer={name: adamw, fused: true}"],
    ["train.average={name: exponential, decay: 0.6}"],
]
policies = pytest.mark.parametrize("policy", POLICIES)


def fails(model):
    raise DecodeError("the model's scores have NaN")


class TestDivergence:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_it_stops_before_a_step_is_taken(self, fault, make_trainer, tmp_path):
        options = ["train.validate_every=3", EACH_STEP]
        trainer = poison(make_trainer(*options, folder=tmp_path), {5: fault})
        states = []
        trainer.sinks = [events := Recorder(), lambda event: states.append(weights(trainer))]
        message = r"the (loss|gradient norm) is -?(nan|inf) at step 5, so no step was taken"
        with pytest.raises(DivergedError, match=message):
            trainer.run()
        assert events.steps() == [1, 2, 3, 4]
        assert same(states[-1], weights(trainer)), "the weights are those before the step"
        assert all_finite(tmp_path)
        assert resumed(make_trainer(folder=tmp_path)).counters.step == 3

    def test_a_gradient_or_a_learning_rate_can_be_the_cause(self, make_trainer):
        trainer = make_trainer(EACH_STEP)
        trainer.model.head.project.weight.register_hook(lambda gradient: gradient * math.inf)
        with pytest.raises(DivergedError, match=r"the gradient norm is (inf|nan) at step 1"):
            trainer.run()
        with pytest.raises(DivergedError, match=r"A lower train\.lr or train\.clip_norm may help"):
            make_trainer("train.lr=1e30", "train.clip_norm=null", "train.max_steps=50").run()

    @pytest.mark.parametrize("fault", FAULTS)
    @policies
    @pytest.mark.parametrize("options", EVERY_PART, ids=str)
    def test_nothing_of_it_reaches_what_is_saved(
        self, options, policy, fault, make_trainer, tmp_path
    ):
        trainer = make_trainer(*options, f"train.on_divergence={policy}", folder=tmp_path)
        poison(trainer, {2: fault, 3: fault, 7: fault, 12: fault})
        trainer.sinks = [events := Recorder()]
        with pytest.warns(UserWarning, match="at step 2: ") as said:
            outcome = trainer.run()
        assert len(said) == 1
        assert all_finite(tmp_path)
        assert all(bool(each.isfinite().all()) for each in weights(trainer).values())
        assert events.steps("diverged") == [2, 3, 7, 12]
        assert (outcome.steps, outcome.tokens) == (12, 8 * 4 * 16)
        assert outcome.stopped == "the budget was spent; 4 times it diverged, and went on without"

    @policies
    def test_a_validation_whose_scores_are_no_numbers_is_one(self, policy, make_trainer, tmp_path):
        policy = f"train.on_divergence={policy}"
        trainer = make_trainer(policy, "train.validate_every=3", EACH_STEP, folder=tmp_path)

        def validate():
            step = trainer.counters.step
            return fails(trainer) if step == 6 else Validation({}, float(10 - step))

        trainer.validate = validate
        trainer.sinks = [events := Recorder()]
        with pytest.warns(UserWarning, match="validating after step 6: the model's scores"):
            outcome = trainer.run()
        assert (outcome.steps, outcome.best_step) == (12, 12)
        assert events.steps("diverged") == [6]
        assert events.steps("valid") == [0, 3, 9, 12]
        saved = resumed(make_trainer(policy, folder=tmp_path)).counters
        assert (saved.diverged, saved.due) == (1, False)
        trainer = make_trainer()  # without a policy it ends the run
        trainer.validate = lambda: fails(trainer)
        with pytest.raises(DivergedError, match="validating after step 0: the model's scores"):
            trainer.run()

    def test_a_batch_that_is_skipped_leaves_no_trace(self, make_trainer):
        trainer = poison(make_trainer(EACH_STEP, "train.on_divergence=skip"), {5: "nan"})
        seen, loss = [], trainer.model.loss

        def watched(batch, state):
            memory = copy.deepcopy(trainer._optimizer.state_dict()["state"])
            seen.append((weights(trainer), memory, state))
            return loss(batch, state)

        trainer.model.loss = watched
        with pytest.warns(UserWarning, match="the loss is nan at step 5: the batch is left out"):
            trainer.run()
        (before, memory, state), (after, later, fresh) = seen[4:6]
        assert same(before, after)
        assert all(same(memory[index], later[index]) for index in memory)
        assert state is not None
        assert fresh is None, "what follows a batch that was not read begins anew"

    def test_going_back_takes_the_best_weights_and_the_next_batches(self, make_trainer, tmp_path):
        options = ["train.validate_every=2", "train.on_divergence=rollback", EACH_STEP]
        options += ["train.schedule={name: plateau, decay: 0.5, patience: 1, threshold: 0.9}"]
        trainer = poison(make_trainer(*options, folder=tmp_path), {9: "inf"})
        with_criteria(trainer, [9, 8, 5, 6, 6, 4, 4])
        first, batch = {}, trainer.data.batch
        trainer.data.batch = lambda step: first.setdefault(step, weights(trainer)) and batch(step)
        trainer.sinks = [events := Recorder()]
        with pytest.warns(UserWarning, match="step 9: back to the weights of step 4, and on with"):
            trainer.run()
        assert same(first[9], first[4])
        assert not same(first[8], first[4])
        rates = events.values("learning_rate")
        assert rates[9] == rates[8] < rates[0], "the schedule is not taken back"
        assert events.steps() == list(range(1, 13))

    @policies
    def test_too_many_end_it(self, policy, make_trainer, tmp_path):
        options = [f"train.on_divergence={policy}", "train.max_divergences=2"]
        faults = dict.fromkeys((2, 3, 6), "nan")
        trainer = poison(make_trainer(*options, folder=tmp_path), faults)
        message = "step 6, after 2 batches that diverged, which is what train.max_divergences allow"
        with pytest.warns(UserWarning, match="step 2"), pytest.raises(DivergedError, match=message):
            trainer.run()
        assert trainer.checkpoints.find("last").name == "step-00000004"
        assert all_finite(tmp_path)

    def test_without_anything_good_it_does_not_go_back(self, make_trainer, tmp_path):
        for folder, criterion in ((None, 1), (tmp_path, math.nan)):
            trainer = make_trainer("train.on_divergence=rollback", folder=folder)
            with_criteria(poison(trainer, {2: "nan"}), [criterion] * 9)
            with pytest.raises(DivergedError, match="no checkpoint of a good validation"):
                trainer.run()

    @pytest.mark.filterwarnings("ignore:the loss is:UserWarning")
    @policies
    @pytest.mark.parametrize("split", ["[0.8, 0.1, 0.1]", "[1, 0, 0]"])
    def test_stopping_changes_no_byte(self, policy, split, make_trainer, memory_folder):
        overrides = [f"train.on_divergence={policy}", EACH_STEP, "model.dropout=0.2"]
        overrides += ["train.average={name: tail, begin: 0.3}", f"data.split={split}"]

        def make(name):
            trainer = make_trainer(*overrides, folder=memory_folder / name)
            return poison(trainer, {2: "nan", 3: "nan", 7: "inf", 10: "nan"})

        whole = make("whole")
        whole.sinks = [wanted := Recorder()]
        whole.run()
        for name, stops in (("a", [2, 3, 6]), ("b", [7, 9, 10])):
            stopped_at(stops, lambda: make(name), found := Recorder())  # noqa: B023
            assert contents(memory_folder / name) == contents(memory_folder / "whole")
            assert json.dumps(found.timeless()) == json.dumps(wanted.timeless())


class TestPrecision:
    """A cell for which there is no kernel in bfloat16 stands for a machine that has none."""

    @pytest.fixture
    def picky(self, own_registries):
        @cells.register("picky")
        class Picky(Cell):
            def __init__(self, input_size: int, fails: str = "forward") -> None:
                super().__init__()
                self.output_size = input_size
                self.weight = nn.Parameter(torch.rand(input_size))
                self.fails = fails

            def initial_state(self, batch_size):
                return torch.zeros(batch_size, self.output_size)

            def step(self, x, state):
                output = torch.tanh(x * self.weight + state)
                if torch.is_autocast_enabled("cpu"):
                    if self.fails == "forward":
                        raise RuntimeError("could not create a primitive. More\nof it")
                    output.register_hook(self.refuse)
                return output, output

            def refuse(self, gradient):
                raise RuntimeError("no backward here")

    @pytest.mark.parametrize(
        ("fails", "reason"),
        [("forward", "could not create a primitive"), ("backward", "no backward here")],
    )
    def test_it_falls_back_where_there_is_no_kernel(self, fails, reason, picky, make_trainer):
        cell = f"model.cell={{name: picky, fails: {fails}}}"
        trainer, other = make_trainer(cell, "train.precision=bfloat16"), make_trainer(cell)
        assert trainer.precision == "float32"
        wanted = f"float32 in place of bfloat16, which this machine cannot do: {reason}"
        assert (trainer.remark, other.remark) == (wanted, "")
        for each in (trainer, other):
            each.run()
        assert same(weights(trainer), weights(other)), "the trial has left nothing behind"

    def test_it_is_what_is_asked_for_where_there_is_one(self, make_trainer):
        cell = "model.cell={name: gru, hidden_size: 8}"
        trainer = make_trainer("train.precision=bfloat16", cell)
        assert (trainer.precision, trainer.remark) == ("bfloat16", "")


class Asked(TorchFunctionMode):
    """Counts how often Python asks a tensor for its values, for which a GPU makes it wait."""

    ASKING = ("tolist", "item", "cpu", "numpy", "nonzero", "__bool__", "__int__", "__float__")

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.count += func in [getattr(torch.Tensor, name) for name in self.ASKING]
        return func(*args, **(kwargs or {}))


class TestWaiting:
    @pytest.mark.parametrize("options", ["train.accumulate=2", "model.dropout=0.2", "fast"])
    def test_only_whether_all_is_finite_is_asked_and_once_a_step(self, options, make_trainer):
        fast = options == "fast"
        cell = {True: "layer_norm_lstm", False: "lstm"}[fast]
        given = [] if fast else [options]
        trainer = make_trainer(f"model.cell={{name: {cell}, hidden_size: 8}}", *given)
        if fast:
            for route in take_fast_routes(trainer.model).values():
                route.compiling = False
            trainer._read(trainer.data.batch(0))  # which derives and checks it
        with Asked() as asked:
            total, _ = trainer._read(trainer.data.batch(1))
        assert asked.count == 0
        with Asked() as asked:
            trainer._gather_gradients(total)
        assert asked.count == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
class TestOnAGpu:
    OPTIONS = ("device=cuda", "train.max_steps=6", EACH_STEP)

    def test_it_learns_as_on_a_cpu(self, make_trainer):
        found = []
        for options in (self.OPTIONS, ("device=cpu", *self.OPTIONS[1:])):
            make_trainer(*options, sinks=[events := Recorder()]).run()
            found.append(events.values("loss"))
        assert found[0] == pytest.approx(found[1], rel=1e-3)

    @pytest.mark.parametrize("precision", ["float32", "bfloat16"])
    @pytest.mark.parametrize("parts", [1, 2])
    def test_reading_a_batch_does_not_wait(self, parts, precision, make_trainer):
        options = [f"train.precision={precision}", f"train.accumulate={parts}"]
        trainer = make_trainer(*self.OPTIONS, *options)
        assert trainer.run().steps == 6
        torch.cuda.set_sync_debug_mode("error")
        try:
            total, _ = trainer._read(trainer.data.batch(6))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert math.isfinite(float(total))

    def test_it_learns_the_same_by_a_captured_loop(self, make_trainer):
        found = []
        for fast in (True, False):
            cell = "model.cell={name: layer_norm_lstm, hidden_size: 8}"
            trainer = make_trainer(*self.OPTIONS, cell, sinks=[events := Recorder()])
            if fast:
                assert trainer.take_fast_routes() == {"cell": "captured"}
            trainer.run()
            found.append(events.values("loss"))
        assert found[0] == pytest.approx(found[1], rel=1e-3)

    def test_stopping_changes_no_byte(self, make_trainer, memory_folder):
        def make(name, **how):
            options = (*self.OPTIONS, "model.dropout=0.3")
            return make_trainer(*options, folder=memory_folder / name, **how)

        make("whole", sinks=[wanted := Recorder()]).run()
        stopped_at([2, 3], lambda: make("a"), found := Recorder())
        assert contents(memory_folder / "a") == contents(memory_folder / "whole")
        assert found.timeless() == wanted.timeless()


class TestAnAverageOfTheWeights:
    OPTIONS = ("train.average={name: exponential, decay: 0.6}", "train.validate_every=4", EACH_STEP)

    def test_it_is_validated_saved_and_left_in_the_model(self, make_trainer, tmp_path):
        trainer = make_trainer(*self.OPTIONS, folder=tmp_path)
        steps, validated, validate = [weights(trainer)], [], trainer.validate
        trainer.validate = lambda: validated.append(weights(trainer)) or validate()
        trainer.sinks = [lambda event: event["event"] == "train" and steps.append(weights(trainer))]
        trainer.run()
        assert len(steps) == 13
        means = [steps[0]]  # by hand, from the weights after each step
        for number, each in enumerate(steps[1:], 1):
            decay, mean = min(0.6, number / (9 + number)), means[-1]
            means.append({name: decay * mean[name] + (1 - decay) * each[name] for name in mean})
        for found, wanted in zip(validated, means[::4], strict=True):
            assert all(torch.allclose(found[name], wanted[name], atol=1e-6) for name in wanted)
        assert same(weights(trainer), validated[-1])
        assert not same(steps[-1], validated[-1])
        load_weights(trainer.checkpoints.find("last"), trainer.model)
        assert same(weights(trainer), validated[-1])

    def test_training_itself_does_not_see_it(self, make_trainer):
        losses = []
        for options in (self.OPTIONS[1:], self.OPTIONS):
            make_trainer(*options, sinks=[events := Recorder()]).run()
            losses.append(events.values("loss"))
        assert losses[0] == losses[1]


class TestAnInterruptedValidation:
    """It is left out, and done when the run goes on."""

    OPTIONS = (
        EACH_STEP,
        "train.validate_every=4",
        "train.schedule={name: plateau, threshold: 0.5}",
        "train.average={name: exponential, decay: 0.7}",
    )

    @pytest.mark.parametrize(
        ("number", "stops"),
        [(signal.SIGINT, [0, 0, 4, 4, 8, 12]), (signal.SIGTERM, [0]), (signal.SIGTERM, [4, 12])],
    )
    def test_no_byte_changes(self, number, stops, make_trainer, memory_folder):
        def make(name, sink):
            return make_trainer(*self.OPTIONS, folder=memory_folder / name, sinks=[sink])

        make("whole", wanted := Recorder()).run()
        found = Recorder()
        for stop in stops:
            trainer = resumed(make("c", found))
            validate = trainer.validate

            def interrupted():
                if trainer.counters.step == stop:  # noqa: B023
                    os.kill(os.getpid(), number)
                    pytest.fail("it goes on")
                return validate()  # noqa: B023

            trainer.validate = interrupted
            with pytest.raises(StoppedError, match=f"stopped at step {stop}") as caught:
                trainer.run()
            assert caught.value.exit_code == 128 + number
        resumed(make("c", found)).run()
        assert contents(memory_folder / "c") == contents(memory_folder / "whole")
        assert found.timeless() == wanted.timeless()


KINDS = {
    "lanes": [],
    "random windows": ["data.windows=random"],
    "dropout": ["model.dropout=0.3", "model.input_dropout=0.2"],
    "lstm of two layers": ["model.cell={name: lstm, hidden_size: 8, layers: 2, dropout: 0.3}"],
    "lstm_cell": ["model.cell={name: lstm_cell, hidden_size: 12}"],
    "stack": [
        "model.cell={name: stack, dropout: 0.3, cells: [{name: lstm_cell, hidden_size: 8},"
        " {name: lstm, hidden_size: 12}]}",
        "data.windows=random",
    ],
    "masks in the state": [
        "model.cell={name: variational_dropout, cell: {name: weight_drop, rate: 0.3,"
        " cell: {name: zoneout, cell: {name: gru, hidden_size: 8}}}}"
    ],
    "tied": ["model.head=tied", "train.warmup_steps=5"],
    "sgd with momentum": ["train.optimizer={name: sgd, momentum: 0.9}", "train.lr=0.5"],
    "rmsprop": ["train.optimizer={name: rmsprop, momentum: 0.5, centered: true}"],
    "plateau": ["train.schedule={name: plateau, threshold: 0.5}", "train.validate_every=2"],
    "exponential average": ["train.average={name: exponential, decay: 0.7}"],
    "average of the tail": ["train.average={name: tail, begin: 0.3}", "train.validate_every=3"],
    "patience": ["train.patience=2", "train.lr=0.2", "train.validate_every=1"],
    "epochs": [
        "train.max_steps=null",
        "train.max_epochs=2",
        "data.batch_size=16",
        "data.window=48",
    ],
    "one long batch": ["data.batch_size=1", "data.window=200", "model.embedding=one_hot"],
}


class TestStopping:
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_changes_no_byte_of_the_result(self, kind, make_trainer, memory_folder):
        def make(name, **how):
            return make_trainer(*KINDS[kind], EACH_STEP, folder=memory_folder / name, **how)

        steps = make("whole", sinks=[wanted := Recorder()]).run().steps
        assert steps >= 5
        for name, stops in {"a": [1, steps - 1], "b": [2, 3, 4]}.items():
            outcome = stopped_at(stops, lambda: make(name), found := Recorder())  # noqa: B023
            assert outcome.steps == steps
            assert contents(memory_folder / name) == contents(memory_folder / "whole")
            assert found.timeless() == wanted.timeless()

    def test_only_the_seed_decides(self, make_trainer, memory_folder):
        """A program may have drawn numbers before, and may have other defaults."""
        found = []
        for name, seed in (("one", 1), ("again", 1), ("other", 2)):
            folder = memory_folder / name
            make_trainer("model.dropout=0.3", f"seed={seed}", folder=folder).run()
            found.append(contents(folder))
            for draw in (random.seed, np.random.seed, torch.manual_seed, torch.rand):
                draw(7)
        assert found[0] == found[1] != found[2]

    def test_a_second_signal_ends_it_at_once(self, make_trainer, memory_folder):
        sinks = [signal_at(6, signal.SIGINT, signal.SIGINT)]
        trainer = make_trainer(EACH_STEP, folder=memory_folder / "c", sinks=sinks)
        with pytest.raises(KeyboardInterrupt):
            trainer.run()
        assert trainer.checkpoints.find("last").name == "step-00000004"
        resumed(make_trainer(folder=memory_folder / "c")).run()
        make_trainer(folder=memory_folder / "whole").run()
        assert contents(memory_folder / "c") == contents(memory_folder / "whole")

    def test_a_finished_one_does_nothing_more(self, make_trainer, memory_folder):
        make_trainer(folder=memory_folder).run()
        before = contents(memory_folder)
        trainer = resumed(make_trainer(folder=memory_folder, sinks=[events := Recorder()]))
        assert trainer.finished()
        assert trainer.run().steps == 12
        assert events == []
        assert contents(memory_folder) == before

    def test_one_that_stands_at_its_beginning_validates_once(self, make_trainer, memory_folder):
        options = ["train.patience=1", "train.validate_every=99"]
        trainer = make_trainer(*options, folder=memory_folder, sinks=[events := Recorder()])
        trainer.model.loss = lambda batch, state: 1 / 0
        with pytest.raises(ZeroDivisionError):
            trainer.run()
        assert trainer.checkpoints.find("last").name == "step-00000000"
        trainer = resumed(make_trainer(*options, folder=memory_folder, sinks=[events]))
        assert trainer.run().steps == 12
        assert events.steps("valid") == [0, 12]


class PowerCut(BaseException):
    """What no code catches."""


class Outage:
    """The power fails before or after one of the operations that change what is on the disk."""

    def __init__(self, patch, at=None):
        self.count = 0
        self.at = at
        for owner, name in [(Path, "replace"), (shutil, "rmtree"), (Path, "mkdir")]:
            patch.setattr(owner, name, self._wrapped(getattr(owner, name)))

    def _wrapped(self, operation):
        def wrapper(*arguments, **options):
            self._pass()
            result = operation(*arguments, **options)
            self._pass()
            return result

        return wrapper

    def _pass(self):
        if self.count == self.at:
            raise PowerCut
        self.count += 1


def test_a_power_cut_at_any_write_costs_no_byte(make_trainer, memory_folder, monkeypatch):
    """Some validations are better, some not, so that `best` and `last` part and meet again."""
    criteria = {0: 5, 1: 5.5, 2: 4, 3: 3, 4: 3.5}
    template = make_trainer("train.max_steps=4", "train.validate_every=1")

    def train(folder, moment=None):
        torch.manual_seed(1)
        model, checkpoints = copy.deepcopy(template.model), Checkpoints(folder)
        trainer = Trainer(model, template.data, template.options, template.device, checkpoints)
        trainer.validate = lambda: Validation({}, criteria[trainer.counters.step])
        with monkeypatch.context() as patch:
            outage = Outage(patch, moment)
            resumed(trainer).run()
        return outage.count

    count = train(memory_folder / "whole")
    assert count > 30
    for moment in range(count):
        folder = memory_folder / str(moment)
        with pytest.raises(PowerCut):
            train(folder, moment)
        train(folder)
        assert contents(folder) == contents(memory_folder / "whole"), moment
        assert load_state(Checkpoints(folder).find("last"))[0]["best_step"] == 3
        shutil.rmtree(folder)
