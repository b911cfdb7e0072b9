"""The parts of training: optimizers, schedules, averages, the budget, and the options."""

import itertools
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.options import OptionError, check_value
from seqgen.training import Average, Schedule, TrainOptions, averages, optimizers, schedules
from seqgen.training.optimization import Budget

NAN, INF = float("nan"), float("inf")

# Those that move slowly or fast by nature get a rate of their own.
RATES = {"adadelta": 1.0, "adafactor": 0.1, "sgd": 0.1, "asgd": 0.1, "muon": 0.05}
MATRICES_ONLY = {"muon"}
RATE_ONLY_AT_FIRST = {"rprop"}  # later steps have sizes of their own: schedules do nothing to it


class Quadratic(torch.nn.Module):
    """The distance of a matrix and a vector from a goal, whose loss is 0 at best."""

    def __init__(self, vectors):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        shapes = [(3, 4), (4,)] if vectors else [(3, 4)]
        self.goals = [torch.randn(shape, generator=generator) for shape in shapes]
        starts = [torch.randn(shape, generator=generator) for shape in shapes]
        self.found = torch.nn.ParameterList(starts)

    def loss(self):
        pairs = zip(self.found, self.goals, strict=True)
        return sum((found - goal).square().sum() for found, goal in pairs)


def steps(model, optimizer, count):
    for _ in range(count):
        optimizer.zero_grad(set_to_none=True)
        loss = model.loss()
        loss.backward()
        optimizer.step()
    return model.loss().item()


@pytest.fixture(params=optimizers.names())
def name(request):
    return request.param


@pytest.fixture
def make(name, small):
    """A function that returns a fresh problem and the optimizer for it."""

    def build(**options):
        model = Quadratic(vectors=name not in MATRICES_ONLY)
        spec = {**small(optimizers, name), **options}
        rate = RATES.get(name, 0.05)
        return model, optimizers.build(spec, params=list(model.parameters()), lr=rate)

    return build


class TestOptimizers:
    def test_there_are_the_ones_that_people_ask_for(self):
        wanted = {"adam", "adamw", "sgd", "rmsprop", "adagrad", "radam", "nadam", "muon"}
        assert wanted <= set(optimizers.names())
        assert not {"lbfgs", "sparseadam", "optimizer"} & set(optimizers.names())

    def test_it_lowers_the_loss_and_its_options_can_be_written_out(self, make, name):
        model, optimizer = make()
        before = model.loss().item()
        assert steps(model, optimizer, 200) < 0.5 * before
        written = optimizers.check(name).plain()
        del written["name"]
        assert steps(*make(), 5) == steps(*make(**written), 5)

    def test_it_takes_the_rate_of_the_training_loop(self, make, name):
        model, optimizer = make()
        if name in RATE_ONLY_AT_FIRST:
            (other, slow), _ = make(), steps(model, optimizer, 1)
            steps(other, slow, 1)
            slow.param_groups[0]["lr"] = 0.0
            assert steps(other, slow, 3) == steps(model, optimizer, 3)
            return
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        weight = [each.detach().clone() for each in model.parameters()]
        steps(model, optimizer, 1)
        assert all(map(torch.equal, model.parameters(), weight))


ONE = [torch.nn.Parameter(torch.ones(2))]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"lr": 0.1}, "lr: not an option of optimizer 'adamw'"),  # it is that of `train`
        ({"betas": 0.9}, "betas: must be a list"),
        ({"betas": [0.9]}, "betas: must be"),
        ({"eps": "small"}, "eps: must be a number"),
        ({"amsgrad": 1}, "amsgrad: must be true or false"),
        ({"ep": 1e-6}, "ep: not an option of optimizer 'adamw'; did you mean 'eps'"),
        *(
            (options, r"^train\.optimizer: Invalid")  # what torch refuses knows its place
            for options in ({"eps": -1.0}, {"betas": [0.9, 1.5]}, {"weight_decay": -0.1})
        ),
        ({"name": "muon"}, "2D parameters"),
    ],
)
def test_options_of_optimizers_are_checked(spec, message):
    made = optimizers.check({"name": "adamw", "betas": [0.8, 0.9]})(params=ONE, lr=0.1)
    assert made.defaults["betas"] == (0.8, 0.9)  # lists become what torch wants
    with pytest.raises(OptionError, match=message):
        optimizers.check({"name": "adamw", **spec}, ("train", "optimizer"))(params=ONE, lr=0.1)


@pytest.mark.parametrize("name", schedules.names())
class TestEverySchedule:
    def test_it_begins_at_one_and_depends_on_the_progress_alone(self, name, small):
        made = schedules.build(small(schedules, name))
        assert isinstance(made, Schedule)
        factors = [made.factor(step / 100) for step in range(101)]
        assert factors[0] == 1.0
        assert all(0 <= factor <= 1 for factor in factors)
        assert [made.factor(step / 100) for step in range(101)] == factors

    @pytest.mark.parametrize("losses", [[], [3.0], [3.0, NAN, 2.0, 2.0], [INF, INF]])
    def test_it_goes_on_from_its_memory(self, name, small, losses):
        """Through JSON, as checkpoints store it."""
        made, other = (schedules.build(small(schedules, name)) for _ in range(2))
        for loss in losses:
            made.observe(loss)
        other.restore(json.loads(json.dumps(made.memory())))
        for loss in (2.5, 2.0, 2.0, NAN, 1.0, 1.0, 1.0):
            assert other.factor(0.3) == made.factor(0.3)
            made.observe(loss)
            other.observe(loss)
        assert other.memory() == made.memory()


HALF = math.sqrt(0.5)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"name": "constant"}, [1, 1, 1, 1, 1]),
        ({"name": "cosine"}, [1, (1 + HALF) / 2, 0.5, 0, 0]),
        ({"name": "cosine", "floor": 0.2}, [1, 0.2 + 0.4 * (1 + HALF), 0.6, 0.2, 0.2]),
        ({"name": "cosine", "floor": 1.0}, [1, 1, 1, 1, 1]),
        ({"name": "linear"}, [1, 0.75, 0.5, 0, 0]),
        ({"name": "linear", "floor": 0.2}, [1, 0.8, 0.6, 0.2, 0.2]),
    ],
)
def test_the_shape_of_a_schedule_which_ends_at_its_floor(spec, wanted):
    made = schedules.build(spec)
    found = [made.factor(progress) for progress in (0.0, 0.25, 0.5, 1.0, 2.0)]
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("losses", "options", "wanted"),
    [
        ([3, 2, 2, 1, 1, 1], {}, [1, 1, 0.5, 0.5, 0.25, 0.125]),
        ([3, 3, 2, 2, 2, 2, 2], {"patience": 2}, [1, 1, 1, 1, 0.5, 0.5, 0.25]),
        ([3, 2.95, 2.85], {"threshold": 0.1}, [1, 0.5, 0.5]),
        ([3, 3 - 1e-9], {"threshold": 0}, [1, 1]),
        ([1, 1, 1], {"decay": 0.1}, [1, 0.1, 0.01]),
        ([NAN, 3, NAN, 2.5, 2.5], {}, [0.5, 0.5, 0.25, 0.25, 0.125]),  # NaN is never better
        ([INF, 3, INF, 2.5, 2.5], {}, [0.5, 0.5, 0.25, 0.25, 0.125]),
    ],
)
def test_a_plateau_lowers_the_rate_where_nothing_gets_better(losses, options, wanted):
    made, found = schedules.build({"name": "plateau", **options}), []
    for loss in losses:
        made.observe(loss)
        found.append(made.factor(0.5))
        assert made.factor(0.0) == made.factor(1.0) == found[-1]  # the progress does not matter
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cosine", {"floor": 1.5}, "must be at least 0 and at most 1"),
        ("linear", {"floor": -0.1}, "must be at least 0 and at most 1"),
        ("plateau", {"decay": 1.0}, "must be greater than 0 and less than 1"),
        ("plateau", {"decay": 0}, "must be greater than 0 and less than 1"),
        ("plateau", {"patience": 0}, "must be at least 1"),
        ("plateau", {"threshold": -1}, "must be at least 0"),
        ("exponential", {"decay": 1.0}, "must be at least 0 and less than 1"),
        ("exponential", {"decay": -0.1}, "must be at least 0 and less than 1"),
        ("tail", {"begin": 1.0}, "must be at least 0 and less than 1"),
        ("tail", {"begin": -1}, "must be at least 0 and less than 1"),
        ("swa", {"begin": 0.5}, "no average named 'swa'"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    registry = schedules if name in schedules.names() else averages
    with pytest.raises(OptionError, match=message):
        registry.check({"name": name, **options})


def weights_of(*values):
    return [torch.nn.Parameter(torch.tensor([float(value), -float(value)])) for value in values]


def walk(average, values, progress=lambda number: 1.0):
    """Give the one weight these values after the steps 1, 2, ...; the mean after each."""
    found = []
    for number, value in enumerate(values, 1):
        with torch.no_grad():
            average.weights[0].copy_(torch.tensor([value, -value]))
        average.update(progress(number))
        with average.applied():
            found.append(average.weights[0][0].item())
    return found


@pytest.mark.parametrize("name", averages.names())
class TestEveryAverage:
    @pytest.fixture
    def make(self, name, small):
        return lambda *values: averages.build(small(averages, name), weights=weights_of(*values))

    def test_it_lies_between_the_weights_and_stays_in_their_place_at_the_end(self, make):
        assert isinstance(make(1), Average)
        assert walk(make(3), [3.0] * 6) == pytest.approx([3.0] * 6)
        average = make(0)
        means = walk(average, [4.0, 1.0, 3.0, 2.0], lambda number: number / 4)
        assert all(0 <= mean <= 4 for mean in means)
        average.finalize()
        assert average.weights[0][0].item() == pytest.approx(means[-1])

    def test_the_weights_come_back_and_no_gradient_flows_into_it(self, make):
        average = make(1, 2)
        for progress in (0.2, 0.6, 1.0):
            with torch.no_grad():
                average.weights[0].mul_(3)
            average.update(progress)
        before = [each.detach().clone() for each in average.weights]
        with average.applied() as trained:
            assert not any(each.requires_grad for each in trained)
        with pytest.raises(RuntimeError, match="in between"), average.applied():
            raise RuntimeError("in between")
        assert all(map(torch.equal, before, average.weights))
        assert all(each.requires_grad and each.is_leaf for each in average.weights)


@pytest.mark.parametrize(
    ("spec", "values", "wanted"),
    [
        ({"name": "none"}, [1.0, 5.0], [1.0, 5.0]),
        # The weights until half of the budget is spent, then the mean of 3; 3, 5; 3, 5, 10.
        ({"name": "tail"}, [7.0, 9.0, 3.0, 5.0, 10.0], [7, 9, 3, 4, 6]),
        # Decays 1/10 from the weight 2 on, 2/11, 3/12, then 0.3 where n / (9 + n) would be more.
        (
            {"name": "exponential", "decay": 0.3},
            [1.0, 4.0, 2.0, 8.0],
            [1.1, 191 / 55, 521 / 220, 0.3 * 521 / 220 + 0.7 * 8],
        ),
    ],
)
def test_the_formulas_of_averages(spec, values, wanted):
    made = averages.build(spec, weights=weights_of(2))
    assert walk(made, values, lambda number: number / 6) == pytest.approx(wanted)


def test_an_average_of_an_earlier_release_works_and_warns():
    with pytest.warns(DeprecationWarning, match=r"Old\.\w+ is now called ") as said:

        class Old(Average):
            done = ()

            def follow(self, progress):
                self.done = (*self.done, progress)

            def held(self):
                return "the context"

            def settle(self):
                self.done = (*self.done, "settled")

    assert len(said) == 3
    old = Old(weights_of(1))
    old.update(0.5)
    old.finalize()
    assert (old.done, old.applied()) == ((0.5, "settled"), "the context")
    with pytest.warns(DeprecationWarning, match="NoAverage.held is now called applied"):
        assert averages.build("none", weights=[]).held().__enter__() == []
    with pytest.raises(AttributeError, match="no attribute 'hold'"):
        averages.build("none", weights=[]).hold()


def budget(steps_per_epoch=10, **options):
    return Budget(TrainOptions(**options), steps_per_epoch)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        *(
            ({"max_steps": 200, **more}, True)
            for more in ({}, {"max_seconds": 20, "max_epochs": 20})
        ),
        *(
            ({"max_steps": 200, **more}, False)
            for more in ({"max_seconds": 19}, {"max_epochs": 19})
        ),
        ({"max_steps": 199}, False),
    ],
)
def test_a_run_of_200_steps_or_20_seconds_is_long(options, wanted):
    assert budget(**options).is_long() is wanted


@pytest.mark.parametrize(
    ("options", "places", "shares"),
    [
        ({"max_steps": 8}, [(0, 99), (2, 99), (8, 99), (9, 99)], [0, 0.25, 1, 1]),
        ({"max_epochs": 2.0}, [(0, 99), (5, 99), (20, 99), (21, 99)], [0, 0.25, 1, 1]),
        ({"max_seconds": 4.0}, [(99, 0), (99, 1), (99, 4), (99, 5)], [0, 0.25, 1, 1]),
        ({"max_steps": 10, "max_epochs": 5, "max_seconds": 100}, [(5, 0), (5, 80)], [0.5, 0.8]),
        ({"max_steps": 1000, "max_epochs": 0.5}, [(5, 0)], [1]),
        ({"max_steps": 2**53}, [(2**53, 0)], [1]),
    ],
)
def test_the_progress_is_that_of_whatever_is_spent_first(options, places, shares):
    made = budget(**options)
    assert [made.progress(*place) for place in places] == shares


@pytest.mark.parametrize(("epochs", "steps"), [(0.25, 3), (1e-9, 1), (0.1, 1), (1.05, 11)])
def test_parts_of_epochs_are_rounded_up_to_steps(epochs, steps):
    made = budget(max_epochs=epochs)
    assert made.progress(steps - 1, 0.0) < made.progress(steps, 0.0) == 1
    assert 0 < budget(max_epochs=1e300).progress(1, 0.0) < 1e-9


@given(st.integers(1, 50), st.floats(0.01, 9), st.integers(1, 30))
def test_the_progress_never_falls_and_ends_at_one(steps, epochs, steps_per_epoch):
    made = budget(steps_per_epoch, max_steps=steps, max_epochs=epochs)
    shares = [made.progress(step, 0.0) for step in range(steps + 1)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)


def due(made, steps, seconds=0.0):
    """The steps that call for a validation, each of them taking `seconds`."""
    shares = [made.progress(step, step * seconds) for step in range(steps + 1)]
    pairs = enumerate(itertools.pairwise(shares), 1)
    return [step for step, pair in pairs if made.validation_due(step, *pair)]


@pytest.mark.parametrize(
    ("options", "steps", "wanted"),
    [
        ({"max_steps": 100, "validations": 4}, 100, [25, 50, 75, 100]),
        ({"max_steps": 10, "validations": 3}, 10, [4, 7, 10]),
        ({"max_epochs": 4, "validations": 4}, 40, [10, 20, 30, 40]),
        ({"max_seconds": 10.0, "validations": 2}, 20, [10, 20]),
        ({"max_steps": 10, "validate_every": 4}, 10, [4, 8, 10]),
        ({"max_steps": 8, "validate_every": 4}, 8, [4, 8]),
        *(
            ({"max_steps": 10, **options}, 10, [10])  # the end always has one
            for options in ({"validations": 0}, {"validations": 1}, {"validate_every": 100})
        ),
        ({"max_steps": 3, "validations": 100}, 3, [1, 2, 3]),  # no more than one a step
    ],
)
def test_validations_lie_evenly_over_the_budget(options, steps, wanted):
    assert due(budget(**options), steps, seconds=0.5) == wanted


@given(st.integers(1, 200), st.integers(1, 40))
def test_there_are_as_many_validations_as_asked_for(steps, validations):
    found = due(budget(max_steps=steps, validations=validations), steps)
    assert len(found) == min(steps, validations)


def test_what_a_recipe_leaves_out(defaults):
    assert defaults("train", TrainOptions)["max_steps"] is None


def checked(**options):
    return check_value(TrainOptions, options, ("train",))


@pytest.mark.parametrize("budget", [{"max_steps": 3}, {"max_epochs": 0.5}, {"max_seconds": 1}])
def test_any_budget_will_do_and_one_must_be_given(budget):
    options = checked(**budget)
    assert [options.max_steps, options.max_epochs, options.max_seconds].count(None) == 2
    with pytest.raises(ValueError, match="`max_steps`, `max_epochs` or `max_seconds` must say"):
        TrainOptions()
    with pytest.raises(OptionError, match="`max_seconds` must say when to stop") as caught:
        checked(lr=0.1)
    assert caught.value.path == ("train",)


def test_parts_may_be_names_or_options():
    options = checked(max_steps=10**9, optimizer={"eps": 1e-6}, schedule="plateau")
    assert options.max_steps == 10**9  # more than a small machine can do
    assert options.optimizer.name == "adamw"
    assert options.optimizer.options["eps"] == 1e-6
    assert options.optimizer.options["betas"] == (0.9, 0.999)
    assert options.schedule.name == "plateau"
    assert options.clip_norm == 1.0
    assert checked(max_steps=3, clip_norm=None).clip_norm is None
