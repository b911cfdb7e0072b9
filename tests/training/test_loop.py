"""The training loop: what a step does, when it ends, and that stopping changes no byte."""

import copy
import json
import math
import os
import random
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from seqgen.cells import Cell, cells
from seqgen.data import TokenBatch
from seqgen.errors import DecodeError, DivergedError, SetupError, StoppedError
from seqgen.state import leaves, rebuild
from seqgen.training import Fit, Validation
from seqgen.training.checkpoint import Checkpoints, load_state, load_weights

TIMES = {"seconds", "recent_seconds", "tokens_per_second"}
EACH_STEP = "train.log_every=1"


class Recorder(list):
    """A sink that keeps the events."""

    def __call__(self, event):
        self.append(event)

    def steps(self, kind="train"):
        return [event["step"] for event in self if event["event"] == kind]

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


def weights(fit):
    return {name: tensor.clone() for name, tensor in fit.model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def contents(folder):
    """All bytes of all checkpoints, but for the times in training.json and their checksum."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.name == "training.json":
            state = json.loads(path.read_bytes())
            found[str(path.relative_to(folder))] = {
                k: v for k, v in state.items() if k not in TIMES
            }
        elif path.is_file() and path.name != "checksums.json":
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def resumed(fit):
    """The fit, standing where its last checkpoint stands, if there is one."""
    folder = fit.checkpoints.find("last")
    if folder is not None:
        fit.resume(folder)
    return fit


class TestAStep:
    def test_it_is_one_step_of_the_optimizer_on_the_mean_loss(self, make_fit):
        options = ["train.max_steps=1", "train.optimizer={name: sgd}", "train.clip_norm=null"]
        fit = make_fit(*options, "train.lr=0.5")
        before = weights(fit)
        batch = fit.data.batch(0)
        loss = fit.model.loss(batch, None)
        (loss.total / loss.tokens).backward()
        expected = {name: before[name] - 0.5 * p.grad for name, p in fit.model.named_parameters()}
        fit.run()
        assert all(torch.allclose(weights(fit)[name], expected[name]) for name in expected)

    @pytest.mark.parametrize("limit", [0.05, 1e9, None])
    def test_gradients_are_clipped_by_their_norm(self, limit, make_fit):
        events = Recorder()
        options = ["train.optimizer={name: sgd}", "train.lr=1", "train.max_steps=1", EACH_STEP]
        text = "null" if limit is None else limit
        fit = make_fit(*options, f"train.clip_norm={text}", sinks=[events])
        before = weights(fit)
        fit.run()
        after = weights(fit)
        moved = math.sqrt(sum(float(((after[k] - before[k]) ** 2).sum()) for k in before))
        [norm] = events.values("gradient_norm")
        assert norm > 0.05, "the norm before clipping is what is logged"
        assert moved == pytest.approx(0.05 if limit == 0.05 else norm, rel=1e-4)

    def test_warm_up_and_schedule_reach_the_optimizer(self, make_fit):
        events = Recorder()
        options = ["train.max_steps=10", "train.warmup_steps=4", "train.lr=0.01", EACH_STEP]
        make_fit(*options, sinks=[events]).run()
        warm_up = [min(1, (step + 1) / 5) for step in range(10)]
        cosine = [(1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)]
        wanted = [0.01 * one * other for one, other in zip(warm_up, cosine, strict=True)]
        assert events.values("learning_rate") == pytest.approx(wanted)

    def test_the_learning_rate_is_what_the_step_is_taken_with(self, make_fit):
        schedule = ["train.schedule={name: linear}", "train.optimizer={name: sgd}", EACH_STEP]
        fit = make_fit("train.max_steps=4", *schedule, "train.clip_norm=null")
        sizes = []
        before = weights(fit)

        def watch(event):
            if event["event"] == "train":
                after = weights(fit)
                moved = math.sqrt(sum(float(((after[k] - before[k]) ** 2).sum()) for k in before))
                sizes.append(moved / event["gradient_norm"] / 0.01)
                before.update(after)

        fit.sinks = [watch]
        fit.run()
        assert sizes == pytest.approx([1, 0.75, 0.5, 0.25], rel=1e-3)

    def test_plateau_lowers_the_rate_when_validation_stands_still(self, make_fit):
        events = Recorder()
        plateau = "train.schedule={name: plateau, decay: 0.1, patience: 2, threshold: 1e-4}"
        fit = make_fit(plateau, "train.max_steps=12", "train.validate_every=2", EACH_STEP)
        criteria = iter([3, 2, 2, 2, 1.99999, 1, 1, 1, 1])
        fit.validate = lambda: Validation({}, next(criteria))
        fit.sinks = [events]
        fit.run()
        # Validations come after 2, 4, ... steps: 2, 2, 2 (stands still), 1.99999, 1, 1.
        tenths = [0] * 6 + [1] * 6
        assert events.values("learning_rate") == pytest.approx([0.01 * 0.1**n for n in tenths])

    def test_the_state_is_carried_within_an_epoch_only(self, make_fit):
        fit = make_fit("train.max_steps=null", "train.max_epochs=2", "data.window=64")
        per_epoch = fit.data.steps_per_epoch
        seen = []
        original = fit.model.loss

        def loss(batch, state=None):
            seen.append(state is None)
            return original(batch, state)

        fit.model.loss = loss
        fit.run()
        assert per_epoch > 2
        assert seen == ([True] + [False] * (per_epoch - 1)) * 2


class TestABudget:
    def test_steps(self, make_fit):
        events = Recorder()
        outcome = make_fit("train.max_steps=7", sinks=[events]).run()
        assert (outcome.steps, outcome.tokens) == (7, 7 * 4 * 16)
        assert outcome.stopped == "the budget was spent"
        assert events.steps() == [3, 6, 7]
        assert events.steps("valid") == [0, 4, 7]
        assert events.values("progress")[-1] == 1

    def test_epochs_may_be_parts_of_one(self, make_fit):
        options = ["train.max_steps=null", "train.validate_every=null", "train.validations=2"]
        fit = make_fit(*options, "train.max_epochs=0.25", "train.log_every=1000")
        fit.sinks = [events := Recorder()]
        steps = math.ceil(0.25 * fit.data.steps_per_epoch)
        assert fit.run().steps == steps
        assert events.steps("valid") == [0, math.ceil(steps / 2), steps]
        assert events.values("epoch")[-1] == pytest.approx(0.25, abs=1 / fit.data.steps_per_epoch)

    def test_seconds_of_training_proper(self, make_fit):
        options = ["train.max_steps=null", "train.validate_every=null", "train.validations=0"]
        fit = make_fit(*options, "train.max_seconds=0.2", EACH_STEP)
        fit.sinks = [events := Recorder()]
        outcome = fit.run()
        assert outcome.seconds >= 0.2
        assert outcome.steps == len(events.steps()) > 1
        before = events.values("seconds")[-2]
        assert before < 0.2, "the step that passes the limit is the last"
        # The schedule follows the clock: the last step began in the last part of the cosine.
        assert events.values("learning_rate")[-1] == pytest.approx(
            0.01 * (1 + math.cos(math.pi * before / 0.2)) / 2
        )

    def test_the_first_that_is_spent_ends_it(self, make_fit):
        assert make_fit("train.max_epochs=100", "train.max_steps=2").run().steps == 2
        assert make_fit("train.max_seconds=1e-9", "train.max_steps=99").run().steps == 1

    def test_a_budget_beyond_all_steps_is_one(self, make_fit):
        assert make_fit("train.max_epochs=1e30", "train.max_steps=2").run().steps == 2


class TestValidation:
    def criteria(self, fit, values):
        remaining = iter(values)
        fit.validate = lambda: Validation({}, next(remaining))

    def test_patience_counts_validations_without_a_better_one(self, make_fit):
        fit = make_fit("train.max_steps=90", "train.validate_every=1", "train.patience=3")
        self.criteria(fit, [5, 4, 4, 4.5, 3, 3, 3.5, math.nan, 1, 1])
        fit.sinks = [events := Recorder()]
        outcome = fit.run()
        assert (outcome.steps, outcome.best_step) == (7, 4)
        assert outcome.stopped == "no better validation in 3 validations"
        assert events.values("best", "valid") == [True, True, False, False, True] + [False] * 3
        assert fit.finished()

    def test_nan_is_never_the_best(self, make_fit, tmp_path):
        fit = make_fit("train.max_steps=4", "train.validate_every=1", folder=tmp_path / "c")
        self.criteria(fit, [math.nan, math.nan, 2, math.nan, math.inf])
        outcome = fit.run()
        assert outcome.best_step == 2
        assert fit.checkpoints.find("best").name == "step-00000002"
        assert fit.checkpoints.find("last").name == "step-00000004"

    def test_where_all_are_nan_there_is_no_best(self, make_fit, tmp_path):
        fit = make_fit("train.max_steps=2", "train.validate_every=1", folder=tmp_path / "c")
        self.criteria(fit, [math.nan] * 3)
        assert fit.run().best_step == 0
        assert fit.checkpoints.find("best") is None
        assert fit.checkpoints.find("last").name == "step-00000002"

    def test_without_held_out_data_the_last_is_the_best(self, make_fit, tmp_path):
        fit = make_fit("data.split=[1, 0, 0]", folder=tmp_path / "c", sinks=[events := Recorder()])
        assert fit.validate is None
        assert fit.run().best_step == 12
        assert events.steps("valid") == []
        assert fit.checkpoints.find("best") == fit.checkpoints.find("last")

    def test_how_often_changes_no_weight(self, make_fit):
        often = make_fit("train.validate_every=1", "model.dropout=0.3")
        often.run()
        never = make_fit("train.validate_every=99", "model.dropout=0.3")
        never.run()
        assert same(weights(often), weights(never))


class TestDivergence:
    def test_a_loss_that_is_not_a_number_stops_before_the_step(self, make_fit, tmp_path):
        fit = make_fit("train.validate_every=2", EACH_STEP, folder=tmp_path / "c")
        original = fit.model.loss

        def loss(batch, state=None):
            found = original(batch, state)
            return found._replace(total=found.total * math.nan) if fit.counters.step == 5 else found

        fit.model.loss = loss
        fit.sinks = [events := Recorder()]
        states = []
        fit.sinks.append(lambda event: states.append(weights(fit)))
        with pytest.raises(DivergedError) as caught:
            fit.run()
        assert "the loss is nan at step 6, so no step was taken" in str(caught.value)
        assert events.steps() == [1, 2, 3, 4, 5]
        assert same(states[-1], weights(fit)), "the weights are those before the step"
        assert fit.checkpoints.find("last").name == "step-00000004"
        assert resumed(make_fit(folder=tmp_path / "c")).counters.step == 4

    def test_a_gradient_that_is_not_finite_stops_it_too(self, make_fit):
        fit = make_fit(EACH_STEP)
        fit.model.head.project.weight.register_hook(lambda gradient: gradient * math.inf)
        before = weights(fit)
        with pytest.raises(DivergedError, match=r"the gradient norm is (inf|nan) at step 1"):
            fit.run()
        assert same(before, weights(fit))

    def test_a_huge_learning_rate_ends_so(self, make_fit):
        with pytest.raises(DivergedError, match=r"A lower train\.lr or train\.clip_norm may help"):
            make_fit("train.lr=1e30", "train.clip_norm=null", "train.max_steps=50").run()


class TestWatching:
    def test_a_watcher_that_fails_is_left_out(self, make_fit):
        def broken(event):
            raise ConnectionError("nobody listens")

        events = Recorder()
        fit = make_fit(EACH_STEP, sinks=[broken, events])
        with pytest.warns(UserWarning, match="ConnectionError: nobody listens") as warned:
            assert fit.run().steps == 12
        assert len(warned) == 1
        assert events.steps() == list(range(1, 13))


class TestPadding:
    def test_a_batch_without_a_real_target_is_skipped(self, make_fit):
        fit = make_fit("train.max_steps=3", "train.optimizer={name: sgd, momentum: 0.9}", EACH_STEP)
        original = fit.data.batch

        def batch(step):
            found = original(step)
            if step != 1:
                return found
            return TokenBatch(found.inputs, found.targets, torch.zeros(4, dtype=torch.long))

        fit.data.batch = batch
        states = []
        fit.sinks = [events := Recorder(), lambda event: states.append(weights(fit))]
        outcome = fit.run()
        assert outcome.steps == 3
        assert outcome.tokens == 2 * 64
        assert [math.isfinite(loss) for loss in events.values("loss")] == [True] * 3
        trained = [s for s, e in zip(states, events, strict=True) if e["event"] == "train"]
        assert same(trained[0], trained[1])
        assert not same(trained[1], trained[2])


class TestMemory:
    def test_too_little_of_it_is_no_defect_of_ours(self, make_fit):
        fit = make_fit()
        fit.model.loss = lambda batch, state=None: torch.empty(2**60)
        with pytest.raises(SetupError, match="not enough memory for a training step"):
            fit.run()

    def test_other_runtime_errors_are(self, make_fit):
        fit = make_fit()
        fit.model.loss = lambda batch, state=None: torch.ones(2) @ torch.ones(3)
        with pytest.raises(RuntimeError, match="size"):
            fit.run()


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
        " cell: {name: zoneout, cell: {name: gru, hidden_size: 8}}}}",
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


def poison(fit, faults):
    """Have the loss at some steps of `fit` (the first is 1) be wrong: `nan` or `inf` with all that
    follows from it, or `gradient`, where only the gradient is not finite."""
    original = fit.model.loss
    weight = next(fit.model.parameters())

    def loss(batch, state):
        found = original(batch, state)
        kind = faults.get(fit.counters.step + 1)
        if kind is None:
            return found
        if kind == "gradient":  # the root of 0 has no slope: 0 times infinity
            return found._replace(total=found.total + (weight * 0).abs().sqrt().sum())
        spoilt = [leaf * math.nan for leaf in leaves(found.state)]
        return found._replace(total=found.total * float(kind), state=rebuild(found.state, spoilt))

    fit.model.loss = loss
    return fit


def all_finite(folder):
    """Whether all tensors of all checkpoints are finite."""
    files = list(Path(folder).rglob("*.safetensors"))
    tensors = [each for file in files for each in load_file(file).values()]
    return bool(files) and all(bool(each.isfinite().all()) for each in tensors)


FAULTS = ["nan", "inf", "-inf", "gradient"]
POLICIES = ["skip", "rollback"]


class TestDoingWithoutABatch:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_it_stops_before_a_step_is_taken(self, fault, make_fit, tmp_path):
        fit = poison(make_fit("train.validate_every=3", folder=tmp_path), {5: fault})
        with pytest.raises(
            DivergedError, match=r"(loss|norm) is -?(nan|inf) at step 5, so no step"
        ):
            fit.run()
        assert fit.checkpoints.find("last").name == "step-00000003"
        assert all_finite(tmp_path)

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize(
        "options",
        [
            [],
            ["train.optimizer={name: sgd, momentum: 0.9}", "train.clip_norm=null"],
            ["train.optimizer={name: adamw, fused: true}"],
            ["train.average={name: exponential, decay: 0.6}"],
        ],
        ids=str,
    )
    def test_nothing_of_it_reaches_what_is_saved(self, options, policy, fault, make_fit, tmp_path):
        fit = make_fit(*options, f"train.on_divergence={policy}", folder=tmp_path)
        poison(fit, {2: fault, 3: fault, 7: fault, 12: fault})
        fit.sinks = [events := Recorder()]
        with pytest.warns(UserWarning, match="at step 2: ") as said:
            outcome = fit.run()
        assert len(said) == 1
        assert all_finite(tmp_path)
        assert all(bool(each.isfinite().all()) for each in weights(fit).values())
        assert events.steps("diverged") == [2, 3, 7, 12]
        assert (outcome.steps, outcome.tokens) == (12, 8 * 4 * 16)
        assert outcome.stopped == "the budget was spent; 4 times it diverged, and went on without"

    @pytest.mark.parametrize("policy", POLICIES)
    def test_a_validation_whose_scores_are_no_numbers_is_one_too(self, policy, make_fit, tmp_path):
        fit = make_fit(
            f"train.on_divergence={policy}", "train.validate_every=3", EACH_STEP, folder=tmp_path
        )
        seen = {}

        def validate():
            step = fit.counters.step
            seen[step] = weights(fit)
            if step == 6:
                raise DecodeError("the model's scores have NaN")
            return Validation({}, float(10 - step))

        fit.validate = validate
        fit.sinks = [events := Recorder()]
        with pytest.warns(UserWarning, match="validating after step 6: the model's scores"):
            outcome = fit.run()
        assert (outcome.steps, outcome.best_step) == (12, 12)
        assert events.steps("diverged") == [6]
        assert events.steps("valid") == [0, 3, 9, 12]
        saved = make_fit(f"train.on_divergence={policy}", folder=tmp_path)
        saved.resume(Checkpoints(tmp_path).find("last"))
        assert saved.counters.diverged == 1
        assert not saved.counters.due

    def test_without_a_policy_such_a_validation_ends_the_run(self, make_fit):
        def validate():
            raise DecodeError("the model's scores have NaN")

        fit = make_fit()
        fit.validate = validate
        with pytest.raises(DivergedError, match="validating after step 0: the model's scores"):
            fit.run()

    def test_a_batch_that_is_skipped_leaves_no_trace(self, make_fit):
        fit = poison(make_fit(EACH_STEP, "train.on_divergence=skip"), {5: "nan"})
        seen = []
        loss = fit.model.loss

        def watched(batch, state):
            seen.append((weights(fit), copy.deepcopy(fit._optimizer.state_dict()), state))
            return loss(batch, state)

        fit.model.loss = watched
        with pytest.warns(UserWarning, match="the loss is nan at step 5: the batch is left out"):
            fit.run()
        (before, memory, state), (after, later, fresh) = seen[4:6]
        assert same(before, after)
        assert all(
            torch.equal(one[key], later["state"][index][key])
            for index, one in memory["state"].items()
            for key in one
        )
        assert state is not None
        assert fresh is None, "what goes on behind a batch that was not read begins anew"

    def test_going_back_takes_the_best_weights_and_the_next_batches(self, make_fit, tmp_path):
        options = ["train.validate_every=2", "train.on_divergence=rollback", EACH_STEP]
        plateau = ["train.schedule={name: plateau, decay: 0.5, patience: 1, threshold: 0.9}"]
        fit = poison(make_fit(*options, *plateau, folder=tmp_path), {9: "inf"})
        criteria = iter([9, 8, 5, 6, 6, 4, 4])
        fit.validate = lambda: Validation({}, next(criteria))
        seen, steps = [], []
        batch = fit.data.batch

        def watched(step):
            steps.append(step)
            seen.append(weights(fit))
            return batch(step)

        fit.data.batch = watched
        fit.sinks = [events := Recorder()]
        with pytest.warns(UserWarning, match="step 9: back to the weights of step 4, and on with"):
            fit.run()
        first = {step: seen[steps.index(step)] for step in (4, 8, 9)}
        assert same(first[9], first[4])
        assert not same(first[8], first[4])
        rates = events.values("learning_rate")
        assert rates[9] == rates[8] < rates[0], "the schedule is not taken back"
        assert events.values("step") == list(range(1, 13))

    @pytest.mark.parametrize("policy", POLICIES)
    def test_too_many_end_it(self, policy, make_fit, tmp_path):
        options = [f"train.on_divergence={policy}", "train.max_divergences=2"]
        fit = poison(make_fit(*options, folder=tmp_path), dict.fromkeys((2, 3, 6), "nan"))
        message = (
            "step 6, after 2 batches that diverged, which is what train.max_divergences allows"
        )
        with pytest.warns(UserWarning, match="step 2"), pytest.raises(DivergedError, match=message):
            fit.run()
        assert fit.checkpoints.find("last").name == "step-00000004"
        assert all_finite(tmp_path)

    def test_without_anything_good_it_does_not_go_back(self, make_fit, tmp_path):
        for folder, criterion in ((None, 1), (tmp_path, math.nan)):
            fit = poison(make_fit("train.on_divergence=rollback", folder=folder), {2: "nan"})
            fit.validate = lambda: Validation({}, criterion)  # noqa: B023
            with pytest.raises(DivergedError, match="no checkpoint of a good validation"):
                fit.run()

    @pytest.mark.filterwarnings("ignore:the loss is:UserWarning")
    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("split", ["[0.8, 0.1, 0.1]", "[1, 0, 0]"])
    def test_stopping_changes_no_byte(self, policy, split, make_fit, memory_folder):
        overrides = [f"train.on_divergence={policy}", EACH_STEP, "model.dropout=0.2"]
        overrides += ["train.average={name: tail, begin: 0.3}", f"data.split={split}"]
        faults = {2: "nan", 3: "nan", 7: "inf", 10: "nan"}

        def made(name):
            return resumed(poison(make_fit(*overrides, folder=memory_folder / name), faults))

        whole = made("whole")
        whole.sinks = [wanted := Recorder()]
        whole.run()
        for number, stops in enumerate([[2, 3], [6], [7, 9, 10]]):
            found = Recorder()
            for stop in stops:
                fit = made(str(number))
                fit.sinks = [found, signal_at(stop, signal.SIGINT)]
                with pytest.raises(StoppedError):
                    fit.run()
            fit = made(str(number))
            fit.sinks = [found]
            fit.run()
            assert contents(memory_folder / str(number)) == contents(memory_folder / "whole")
            assert json.dumps(found.timeless()) == json.dumps(wanted.timeless())


class TestAnInterruptedValidation:
    """It is left out, and done when the run goes on."""

    OPTIONS = (
        EACH_STEP,
        "train.validate_every=4",
        "train.schedule={name: plateau, threshold: 0.5}",
        "train.average={name: exponential, decay: 0.7}",
    )

    @pytest.mark.parametrize("stops", [[0], [4], [12], [0, 0, 4, 4, 8, 12]])
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_no_byte_changes(self, number, stops, make_fit, memory_folder):
        whole = make_fit(
            *self.OPTIONS, folder=memory_folder / "whole", sinks=[wanted := Recorder()]
        )
        whole.run()
        found = Recorder()
        for stop in stops:
            fit = resumed(make_fit(*self.OPTIONS, folder=memory_folder / "c", sinks=[found]))
            validate = fit.validate

            def interrupted():
                if fit.counters.step == stop:  # noqa: B023
                    os.kill(os.getpid(), number)
                    pytest.fail("it goes on")
                return validate()  # noqa: B023

            fit.validate = interrupted
            with pytest.raises(StoppedError, match=f"stopped at step {stop}") as caught:
                fit.run()
            assert caught.value.exit_code == 128 + number
        resumed(make_fit(*self.OPTIONS, folder=memory_folder / "c", sinks=[found])).run()
        assert contents(memory_folder / "c") == contents(memory_folder / "whole")
        assert found.timeless() == wanted.timeless()


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
    def test_it_falls_back_where_there_is_no_kernel(self, fails, reason, picky, make_fit):
        cell = f"model.cell={{name: picky, fails: {fails}}}"
        fit = make_fit(cell, "train.precision=bfloat16")
        assert fit.precision == "float32"
        wanted = f"float32 in place of bfloat16, which this machine cannot do: {reason}"
        assert fit.remark == wanted
        other = make_fit(cell)
        assert other.remark == ""
        for each in (fit, other):
            each.run()
        assert same(weights(fit), weights(other)), "the trial has left nothing behind"

    def test_it_is_what_is_asked_for_where_there_is_one(self, make_fit):
        fit = make_fit("train.precision=bfloat16", "model.cell={name: gru, hidden_size: 8}")
        assert (fit.precision, fit.remark) == ("bfloat16", "")


def test_what_was_drawn_before_changes_nothing(make_fit, memory_folder):
    """A program may have drawn numbers, and may have other defaults."""
    for name in ("fresh", "used"):
        if name == "used":
            random.seed(7)
            np.random.seed(7)
            torch.manual_seed(7)
            torch.rand(3)
        make_fit("model.dropout=0.3", folder=memory_folder / name).run()
    assert contents(memory_folder / "fresh") == contents(memory_folder / "used")


class TestAnAverageOfTheWeights:
    OPTIONS = ("train.average={name: exponential, decay: 0.6}", "train.validate_every=4")

    def means(self, steps):
        """By hand, from the weights behind each step."""
        mean = steps[0]
        for number, each in enumerate(steps[1:], 1):
            decay = min(0.6, number / (9 + number))
            mean = {name: decay * mean[name] + (1 - decay) * each[name] for name in mean}
        return mean

    def test_it_is_validated_saved_and_left_in_the_model(self, make_fit, tmp_path):
        fit = make_fit(*self.OPTIONS, EACH_STEP, folder=tmp_path)
        steps, validated = [weights(fit)], []
        fit.sinks = [lambda event: event["event"] == "train" and steps.append(weights(fit))]
        validate = fit.validate

        def watched():
            validated.append(weights(fit))
            return validate()

        fit.validate = watched
        fit.run()
        assert len(steps) == 13
        for number, found in zip((0, 4, 8, 12), validated, strict=True):
            wanted = self.means(steps[: number + 1])
            assert all(torch.allclose(found[name], wanted[name], atol=1e-6) for name in wanted)
        assert same(weights(fit), validated[-1])
        assert not same(steps[-1], validated[-1])
        load_weights(fit.checkpoints.find("last"), fit.model)
        assert same(weights(fit), validated[-1])

    def test_training_itself_does_not_see_it(self, make_fit):
        losses = []
        for options in ((), self.OPTIONS[:1]):
            make_fit(*options, EACH_STEP, sinks=[events := Recorder()]).run()
            losses.append(events.values("loss"))
        assert losses[0] == losses[1]


class TestStopping:
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_changes_no_byte_of_the_result(self, kind, make_fit, memory_folder):
        """Interrupted at any step, or twice, a run ends as one that never stopped."""
        overrides = [*KINDS[kind], EACH_STEP]
        whole = make_fit(*overrides, folder=memory_folder / "whole", sinks=[wanted := Recorder()])
        steps = whole.run().steps
        assert steps >= 5
        for number, stops in enumerate([[1], [4], [2, 3], [5, steps - 1]]):
            folder = memory_folder / str(number)
            found = Recorder()
            for stop in stops:
                fit = resumed(make_fit(*overrides, folder=folder))
                fit.sinks = [found, signal_at(stop, signal.SIGINT)]
                with pytest.raises(StoppedError, match=f"stopped at step {stop}") as caught:
                    fit.run()
                assert caught.value.exit_code == 130
            fit = resumed(make_fit(*overrides, folder=folder, sinks=[found]))
            assert fit.counters.step == stops[-1]
            outcome = fit.run()
            assert outcome.steps == steps
            assert contents(folder) == contents(memory_folder / "whole")
            assert found.timeless() == wanted.timeless()

    def test_it_is_the_same_run_again_without_a_stop(self, make_fit, memory_folder):
        for name in "ab":
            make_fit("model.dropout=0.3", folder=memory_folder / name).run()
        assert contents(memory_folder / "a") == contents(memory_folder / "b")

    def test_another_seed_is_another_run(self, make_fit, memory_folder):
        for seed in (1, 2):
            make_fit(f"seed={seed}", folder=memory_folder / str(seed)).run()
        assert contents(memory_folder / "1") != contents(memory_folder / "2")

    def test_sigterm_ends_it_too(self, make_fit, memory_folder):
        fit = make_fit(EACH_STEP, folder=memory_folder / "c", sinks=[signal_at(5, signal.SIGTERM)])
        with pytest.raises(StoppedError) as caught:
            fit.run()
        assert caught.value.exit_code == 143
        assert fit.checkpoints.find("last").name == "step-00000005"

    def test_a_second_signal_ends_it_at_once(self, make_fit, memory_folder):
        twice = signal_at(6, signal.SIGINT, signal.SIGINT)
        fit = make_fit(EACH_STEP, folder=memory_folder / "c", sinks=[twice])
        with pytest.raises(KeyboardInterrupt):
            fit.run()
        assert fit.checkpoints.find("last").name == "step-00000004"
        resumed(make_fit(folder=memory_folder / "c")).run()
        make_fit(folder=memory_folder / "whole").run()
        assert contents(memory_folder / "c") == contents(memory_folder / "whole")

    def test_a_finished_one_does_nothing_more(self, make_fit, memory_folder):
        make_fit(folder=memory_folder / "c").run()
        before = contents(memory_folder / "c")
        fit = resumed(make_fit(folder=memory_folder / "c", sinks=[events := Recorder()]))
        assert fit.finished()
        assert fit.run().steps == 12
        assert events == []
        assert contents(memory_folder / "c") == before

    def test_one_that_stands_at_its_beginning_validates_once(self, make_fit, memory_folder):
        options = ["train.patience=1", "train.validate_every=99"]
        fit = make_fit(*options, folder=memory_folder / "c", sinks=[events := Recorder()])
        fit.model.loss = lambda batch, state: 1 / 0
        with pytest.raises(ZeroDivisionError):
            fit.run()
        assert fit.checkpoints.find("last").name == "step-00000000"
        fit = resumed(make_fit(*options, folder=memory_folder / "c", sinks=[events]))
        assert fit.run().steps == 12
        assert events.steps("valid") == [0, 12]


class PowerCut(BaseException):
    """What no code catches."""


class Outage:
    """The power fails before or behind one of the operations that change what is on the disk."""

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


class TestAPowerCut:
    def test_at_any_moment_of_saving_costs_no_byte(self, make_fit, memory_folder, monkeypatch):
        """Some validations are better, some not, so that `best` and `last` part and meet again."""
        criteria = {0: 5, 1: 5.5, 2: 4, 3: 3, 4: 3.5}
        template = make_fit("train.max_steps=4", "train.validate_every=1")

        def trained(folder):
            torch.manual_seed(1)
            model, checkpoints = copy.deepcopy(template.model), Checkpoints(folder)
            fit = Fit(model, template.data, template.options, template.device, checkpoints)
            fit.validate = lambda: Validation({}, criteria[fit.counters.step])
            resumed(fit).run()

        def cut_off(folder, moment):
            with monkeypatch.context() as patch:
                Outage(patch, moment)
                trained(folder)

        with monkeypatch.context() as patch:
            outage = Outage(patch)
            trained(memory_folder / "whole")
        assert outage.count > 30
        for moment in range(outage.count):
            folder = memory_folder / str(moment)
            with pytest.raises(PowerCut):
                cut_off(folder, moment)
            trained(folder)
            assert contents(folder) == contents(memory_folder / "whole"), moment
            assert load_state(Checkpoints(folder).find("last"))[0]["best_step"] == 3
            shutil.rmtree(folder)
