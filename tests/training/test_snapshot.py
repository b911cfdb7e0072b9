"""Snapshots: everything that training remembers goes out as plain data and comes back."""

import json
import math
from dataclasses import asdict

import pytest
import torch

from seqgen.errors import CheckpointError
from seqgen.state import leaves
from seqgen.training import averages, optimizers, schedules
from seqgen.training.snapshot import Counters, put_back, take

OPTIONS = {
    "adamw": {"betas": [0.8, 0.99], "amsgrad": True},
    "sgd": {"momentum": 0.9},
    "rmsprop": {"centered": True, "momentum": 0.5},
}
ONLY_FOR_MATRICES = {"muon"}


def fresh(name="adamw", seed=1, schedule="plateau"):
    """A small model, its optimizer and a schedule."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2, bias=name not in ONLY_FOR_MATRICES)
    options = {"name": name, **OPTIONS.get(name, {})}
    optimizer = optimizers.build(options, params=list(model.parameters()), lr=0.1)
    return model, optimizer, schedules.build(schedule)


def none():
    return averages.build("none", weights=[])


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.rand(4, 3)).square().sum().backward()
    optimizer.step()


class Carrying(torch.nn.Linear):
    """A model whose state is a pair of a tensor and a pair."""

    def initial_state(self, rows):
        return torch.zeros(rows, 2), (torch.zeros(rows, 3), None)


def through_json(taken):
    """What a checkpoint makes of a snapshot: JSON, and tensors of their own."""
    tensors = {key: tensor.clone() for key, tensor in taken.pop("tensors").items()}
    return json.loads(json.dumps(taken)), tensors


class TestRoundTrip:
    @pytest.mark.parametrize("name", optimizers.names())
    def test_an_optimizer_goes_on_as_if_nothing_had_been(self, name):
        model, optimizer, schedule = fresh(name)
        for _ in range(3):
            step(model, optimizer)
        saved = through_json(take(Counters(step=3), None, optimizer, schedule, none()))
        weights = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        step(model, optimizer)

        again, other, another = fresh(name, seed=7)
        again.load_state_dict(weights)
        counters, carried = put_back(saved, again, other, another, none())
        assert (counters.step, carried) == (3, None)
        step(again, other)  # draws the same numbers, since the random stream is back too
        for key, tensor in model.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[key])

    def test_counters_and_schedule(self):
        _, optimizer, schedule = fresh()
        for loss in (3.0, 2.0, 2.0, 2.0):
            schedule.observe(loss)
        counters = Counters(7, 70, 1.5, 0.25, 5, 2, 0.5, 3, 0.75, "done")
        saved = through_json(take(counters, None, optimizer, schedule, none()))
        _, other, another = fresh()
        found = put_back(saved, torch.nn.Linear(1, 1), other, another, none())
        assert asdict(found[0]) == asdict(counters)
        assert another.memory() == schedule.memory()
        assert another.factor(0.5) == schedule.factor(0.5) < 1

    def test_a_best_that_is_not_there_yet_is_infinite(self):
        _, optimizer, schedule = fresh()
        saved = through_json(take(Counters(), None, optimizer, schedule, none()))
        found, _ = put_back(saved, torch.nn.Linear(1, 1), optimizer, schedule, none())
        assert math.inf in asdict(found).values()

    def test_the_carried_state_keeps_its_shape(self):
        _, optimizer, schedule = fresh()
        state = (torch.rand(4, 2), (torch.rand(4, 3), None))
        saved = through_json(take(Counters(), state, optimizer, schedule, none()))
        _, carried = put_back(saved, Carrying(1, 1), optimizer, schedule, none())
        assert carried[1][1] is None
        for one, other in zip(leaves(carried), leaves(state), strict=True):
            assert torch.equal(one, other)


class TestAnAverage:
    @pytest.mark.parametrize("name", averages.names())
    def test_the_weights_and_their_mean_come_back(self, name):
        model, optimizer, schedule = fresh()
        average = averages.build(name, weights=list(model.parameters()))
        for _ in range(3):
            step(model, optimizer)
            average.follow(0.75)
        with average.held() as trained:
            state = take(Counters(), None, optimizer, schedule, average, trained)
            saved = through_json(state)
            kept = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        again, other, another = fresh(seed=7)
        resumed = averages.build(name, weights=list(again.parameters()))
        again.load_state_dict(kept)
        put_back(saved, again, other, another, resumed)
        for _ in range(2):
            for one, two in zip(model.parameters(), again.parameters(), strict=True):
                assert torch.equal(one, two)
            torch.manual_seed(3)
            step(model, optimizer)
            average.follow(1.0)
            torch.manual_seed(3)
            step(again, other)
            resumed.follow(1.0)
        with average.held(), resumed.held():
            for one, two in zip(model.parameters(), again.parameters(), strict=True):
                assert torch.equal(one, two)

    def test_a_checkpoint_from_before_there_were_averages_begins_one(self):
        model, optimizer, schedule = fresh()
        saved = through_json(take(Counters(), None, optimizer, schedule, none()))
        del saved[0]["average"]
        average = averages.build("tail", weights=list(model.parameters()))
        with torch.no_grad():
            model.weight.fill_(4.0)  # loaded from the checkpoint
        put_back(saved, model, optimizer, schedule, average)
        with average.held():
            assert (model.weight == 4.0).all()

    def test_one_of_another_kind_begins_anew_with_the_weights(self):
        model, optimizer, schedule = fresh()
        before = averages.build("exponential", weights=list(model.parameters()))
        for _ in range(5):
            step(model, optimizer)
            before.follow(1.0)
        with before.held() as trained:
            saved = through_json(take(Counters(), None, optimizer, schedule, before, trained))
            after = averages.build("tail", weights=list(model.parameters()))
            put_back(saved, model, optimizer, schedule, after)
        after.follow(1.0)
        with after.held():
            for one, two in zip(model.parameters(), trained, strict=True):
                assert torch.equal(one, two)

    def test_weights_of_another_model_are_refused(self):
        model, optimizer, schedule = fresh()
        average = averages.build("exponential", weights=list(model.parameters()))
        state = take(Counters(), None, optimizer, schedule, average, [torch.zeros(5, 5)] * 2)
        with pytest.raises(CheckpointError, match="does not fit this recipe"):
            put_back(through_json(state), model, optimizer, schedule, average)


class TestWhatDoesNotFit:
    @pytest.fixture
    def saved(self):
        model, optimizer, schedule = fresh()
        step(model, optimizer)
        state = (torch.rand(4, 2), (torch.rand(4, 3), None))
        return through_json(take(Counters(), state, optimizer, schedule, none()))

    def refused(self, saved, model=None, optimizer=None):
        own, fitting, schedule = fresh()
        with pytest.raises(CheckpointError, match="the training state does not fit this recipe"):
            put_back(saved, model or Carrying(1, 1), optimizer or fitting, schedule, none())
        assert own is not None

    @pytest.mark.parametrize("key", ["step", "schedule", "optimizer", "rows"])
    def test_a_missing_part(self, key, saved):
        del saved[0][key]
        self.refused(saved)

    @pytest.mark.parametrize("key", ["random.cpu", "carried.1"])
    def test_a_missing_tensor(self, key, saved):
        del saved[1][key]
        self.refused(saved)

    def test_a_random_stream_of_another_size(self, saved):
        saved[1]["random.cpu"] = torch.zeros(3, dtype=torch.uint8)
        self.refused(saved)

    def test_a_state_of_another_model(self, saved):
        class Other(torch.nn.Linear):
            def initial_state(self, rows):
                return torch.zeros(rows, 2)

        self.refused(saved, model=Other(1, 1))

    def test_an_optimizer_with_other_groups(self, saved):
        saved[0]["optimizer"]["groups"] *= 2
        self.refused(saved)
