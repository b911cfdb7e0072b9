"""The optimizers: every one that is offered takes steps and gets somewhere."""

import io
import itertools
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.options import OptionError, check_value
from seqgen.training import TrainOptions, averages, optimizers, schedules
from seqgen.training.optimization import Average, Budget, Schedule

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


def test_there_are_the_ones_that_people_ask_for():
    wanted = {"adam", "adamw", "sgd", "rmsprop", "adagrad", "radam", "nadam", "muon"}
    assert wanted <= set(optimizers.names())
    assert not {"lbfgs", "sparseadam", "optimizer"} & set(optimizers.names())


def test_lowers_the_loss(make):
    model, optimizer = make()
    before = model.loss().item()
    assert steps(model, optimizer, 200) < 0.5 * before


def test_takes_the_rate_of_the_training_loop(make, name):
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


def test_goes_on_from_its_saved_state(make):
    model, optimizer = make()
    steps(model, optimizer, 5)
    stored = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict()], stored)
    stored.seek(0)
    other, following = make()
    for each, state in zip((other, following), torch.load(stored, weights_only=True), strict=True):
        each.load_state_dict(state)
    steps(model, optimizer, 5)
    steps(other, following, 5)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_its_options_written_out_mean_the_same(make, name):
    written = optimizers.check(name).plain()
    options = {key: value for key, value in written.items() if key != "name"}
    (model, one), (other, two) = make(), make(**options)
    assert steps(model, one, 5) == steps(other, two, 5)


class TestOptions:
    def test_the_rate_is_that_of_the_section_train(self):
        with pytest.raises(OptionError, match="lr: not an option of optimizer 'adamw'"):
            optimizers.check({"name": "adamw", "lr": 0.1})

    def test_lists_become_what_torch_wants(self):
        part = optimizers.check({"name": "adamw", "betas": [0.8, 0.9], "eps": 1e-6})
        made = part(params=[torch.nn.Parameter(torch.ones(2))], lr=0.1)
        assert made.defaults["betas"] == (0.8, 0.9)
        assert made.defaults["eps"] == 1e-6

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"betas": 0.9}, "betas: must be a list"),
            ({"betas": [0.9]}, "betas: must be"),
            ({"eps": "small"}, "eps: must be a number"),
            ({"amsgrad": 1}, "amsgrad: must be true or false"),
            ({"ep": 1e-6}, "ep: not an option of optimizer 'adamw'; did you mean 'eps'"),
        ],
    )
    def test_wrong_values_are_named(self, options, message):
        with pytest.raises(OptionError, match=message):
            optimizers.check({"name": "adamw", **options})

    @pytest.mark.parametrize(
        "options", [{"eps": -1.0}, {"betas": [0.9, 1.5]}, {"weight_decay": -0.1}]
    )
    def test_what_torch_refuses_knows_its_place(self, options):
        part = optimizers.check({"name": "adamw", **options}, ("train", "optimizer"))
        with pytest.raises(OptionError, match=r"^train\.optimizer: Invalid"):
            part(params=[torch.nn.Parameter(torch.ones(2))], lr=0.1)

    def test_vectors_are_not_for_muon(self):
        with pytest.raises(OptionError, match="2D parameters"):
            optimizers.build("muon", params=[torch.nn.Parameter(torch.ones(2))], lr=0.1)


# Schedules: their shapes, and what they remember.


NAN, INF = float("nan"), float("inf")


@pytest.fixture(params=schedules.names())
def make_schedules(request, small):
    return lambda **options: schedules.build({**small(schedules, request.param), **options})


class TestEverySchedule:
    def test_is_a_schedule(self, make_schedules):
        assert isinstance(make_schedules(), Schedule)

    def test_begins_at_one_and_never_leaves_zero_to_one(self, make_schedules):
        made = make_schedules()
        assert made.factor(0.0) == 1.0
        factors = [made.factor(step / 100) for step in range(101)]
        assert all(0 <= factor <= 1 for factor in factors)

    def test_asking_changes_nothing(self, make_schedules):
        made = make_schedules()
        assert [made.factor(0.5), made.factor(0.1), made.factor(0.5)][::2] == [made.factor(0.5)] * 2

    @pytest.mark.parametrize("losses", [[], [3.0], [3.0, NAN, 2.0, 2.0], [INF, INF]])
    def test_goes_on_from_its_memory(self, make_schedules, losses):
        """Through JSON, as checkpoints store it."""
        made, other = make_schedules(), make_schedules()
        for loss in losses:
            made.observe(loss)
        other.restore(json.loads(json.dumps(made.memory())))
        for loss in (2.5, 2.0, 2.0, NAN, 1.0, 1.0, 1.0):
            assert other.factor(0.3) == made.factor(0.3)
            made.observe(loss)
            other.observe(loss)
        assert other.memory() == made.memory()


def shape(name, **options):
    made = schedules.build({"name": name, **options})
    return [made.factor(progress) for progress in (0.0, 0.25, 0.5, 1.0)]


class TestShapes:
    def test_constant(self):
        assert shape("constant") == [1, 1, 1, 1]

    def test_cosine(self):
        assert shape("cosine") == pytest.approx([1, (1 + math.sqrt(0.5)) / 2, 0.5, 0])
        wanted = [1, 0.2 + 0.4 * (1 + math.sqrt(0.5)), 0.6, 0.2]
        assert shape("cosine", floor=0.2) == pytest.approx(wanted)

    def test_linear(self):
        assert shape("linear") == pytest.approx([1, 0.75, 0.5, 0])
        assert shape("linear", floor=0.2) == pytest.approx([1, 0.8, 0.6, 0.2])

    @pytest.mark.parametrize("name", ["cosine", "linear"])
    def test_the_floor_is_not_left_behind_the_end(self, name):
        for floor in (0.0, 0.3, 1.0):
            made = schedules.build({"name": name, "floor": floor})
            assert made.factor(1.0 + 1e-9) == pytest.approx(floor)
            assert made.factor(2.0) == pytest.approx(floor)


def plateau(losses, **options):
    """The factor behind each loss."""
    made = schedules.build({"name": "plateau", **options})
    factors = []
    for loss in losses:
        made.observe(loss)
        factors.append(made.factor(0.5))
    return factors


class TestPlateau:
    def test_halves_where_nothing_gets_better(self):
        assert plateau([3, 2, 2, 1, 1, 1]) == [1, 1, 0.5, 0.5, 0.25, 0.125]

    def test_waits_for_its_patience_each_time_anew(self):
        assert plateau([3, 3, 2, 2, 2, 2, 2], patience=2) == [1, 1, 1, 1, 0.5, 0.5, 0.25]

    def test_better_means_by_more_than_the_threshold(self):
        assert plateau([3, 2.95, 2.85], threshold=0.1) == [1, 0.5, 0.5]
        assert plateau([3, 3 - 1e-9], threshold=0) == [1, 1]

    def test_decays_by_its_own_factor(self):
        assert plateau([1, 1, 1], decay=0.1) == pytest.approx([1, 0.1, 0.01])

    @pytest.mark.parametrize("none", [NAN, INF])
    def test_what_is_no_number_is_never_better_and_never_the_best(self, none):
        assert plateau([none, 3, none, 2.5, 2.5]) == [0.5, 0.5, 0.25, 0.25, 0.125]

    def test_remembers_how_long_it_has_waited(self):
        one, other = (schedules.build({"name": "plateau", "patience": 2}) for _ in range(2))
        one.observe(1.0)
        one.observe(1.0)
        other.restore(one.memory())
        other.observe(1.0)
        assert other.factor(0.5) == 0.5

    def test_the_progress_does_not_matter(self):
        made = schedules.build("plateau")
        made.observe(1.0)
        made.observe(1.0)
        assert {made.factor(progress) for progress in (0.0, 0.5, 1.0)} == {0.5}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "cosine", "floor": 1.5}, "floor: must be at least 0 and at most 1"),
        ({"name": "linear", "floor": -0.1}, "floor: must be at least 0 and at most 1"),
        ({"name": "plateau", "decay": 1.0}, "decay: must be greater than 0 and less than 1"),
        ({"name": "plateau", "decay": 0}, "decay: must be greater than 0 and less than 1"),
        ({"name": "plateau", "patience": 0}, "patience: must be at least 1"),
        ({"name": "plateau", "threshold": -1}, "threshold: must be at least 0"),
    ],
)
def test_options_out_of_range_are_refused(spec, message):
    with pytest.raises(OptionError, match=message):
        schedules.build(spec)


# Averages of the weights: their formulas, and that the weights themselves stay as they are.


def weights_of(*values):
    return [torch.nn.Parameter(torch.tensor([float(value), -float(value)])) for value in values]


def walk(average, values, progress=lambda number: 1.0):
    """Give the one weight these values after the steps 1, 2, ...; the mean after each."""
    found = []
    for number, value in enumerate(values, 1):
        with torch.no_grad():
            average.weights[0].copy_(torch.tensor([value, -value]))
        average.follow(progress(number))
        with average.held():
            found.append(average.weights[0][0].item())
    return found


@pytest.fixture(params=averages.names())
def make_averages(request, small):
    return lambda weights: averages.build(small(averages, request.param), weights=weights)


class TestEveryAverage:
    def test_is_an_average(self, make_averages):
        assert isinstance(make_averages(weights_of(1)), Average)

    def test_of_weights_that_stand_still_it_is_the_weights(self, make_averages):
        assert walk(make_averages(weights_of(3)), [3.0] * 6) == pytest.approx([3.0] * 6)

    def test_the_weights_come_back(self, make_averages):
        average = make_averages(weights_of(1, 2))
        for progress in (0.2, 0.6, 1.0):
            with torch.no_grad():
                average.weights[0].mul_(3)
            average.follow(progress)
        before = [each.detach().clone() for each in average.weights]
        with pytest.raises(RuntimeError, match="in between"), average.held():
            raise RuntimeError("in between")
        assert all(torch.equal(*pair) for pair in zip(before, average.weights, strict=True))

    def test_it_lies_between_the_least_and_the_largest(self, make_averages):
        means = walk(make_averages(weights_of(0)), [4.0, 1.0, 3.0, 2.0], lambda number: number / 4)
        assert all(0 <= mean <= 4 for mean in means)

    def test_settled_it_stays_in_the_place_of_the_weights(self, make_averages):
        average = make_averages(weights_of(1))
        [*_, mean] = walk(average, [5.0, 2.0, 8.0])
        average.settle()
        assert average.weights[0][0].item() == pytest.approx(mean)

    def test_no_gradient_flows_into_it(self, make_averages):
        average = make_averages(weights_of(1))
        average.follow(1.0)
        with average.held() as trained:
            assert not any(each.requires_grad for each in trained)
        assert all(each.requires_grad and each.is_leaf for each in average.weights)


class TestFormulas:
    def test_none(self):
        assert walk(averages.build("none", weights=weights_of(0)), [1.0, 5.0]) == [1.0, 5.0]

    def test_exponential(self):
        """Decays 1/10, 2/11, 3/12, and then 0.3 where n / (9 + n) would be more."""
        made = averages.build({"name": "exponential", "decay": 0.3}, weights=weights_of(2))
        mean, wanted = 2.0, []
        for decay, value in zip((1 / 10, 2 / 11, 1 / 4, 0.3, 0.3), (1, 4, 2, 8, 5), strict=True):
            mean = decay * mean + (1 - decay) * value
            wanted.append(mean)
        assert walk(made, [1.0, 4.0, 2.0, 8.0, 5.0]) == pytest.approx(wanted)

    def test_tail(self):
        """The weights until half of the budget is spent, then the mean of 3; 3, 5; 3, 5, 10."""
        made = averages.build("tail", weights=weights_of(0))
        found = walk(made, [7.0, 9.0, 3.0, 5.0, 10.0], lambda number: number / 6)
        assert found == pytest.approx([7, 9, 3, 4, 6])


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "exponential", "decay": 1.0},
        {"name": "exponential", "decay": -0.1},
        {"name": "tail", "begin": 1.0},
        {"name": "tail", "begin": -1},
        {"name": "swa"},
    ],
)
def test_what_means_nothing_is_refused(spec):
    with pytest.raises(OptionError):
        averages.build(spec, weights=weights_of(1))


# The budget: how much of it is spent, and when a validation is due.


def budget(steps_per_epoch=10, **options):
    return Budget(TrainOptions(**options), steps_per_epoch)


def due(made, steps, seconds=0.0):
    """The steps that call for a validation, each of them taking `seconds`."""
    shares = [made.progress(step, step * seconds) for step in range(steps + 1)]
    pairs = enumerate(itertools.pairwise(shares), 1)
    return [step for step, pair in pairs if made.validation_due(step, *pair)]


class TestProgress:
    def test_by_steps(self):
        made = budget(max_steps=8)
        assert [made.progress(step, 99.0) for step in (0, 2, 8, 9)] == [0, 0.25, 1, 1]

    def test_by_epochs(self):
        made = budget(max_epochs=2.0)
        assert [made.progress(step, 99.0) for step in (0, 5, 20, 21)] == [0, 0.25, 1, 1]

    @pytest.mark.parametrize(("epochs", "steps"), [(0.25, 3), (1e-9, 1), (0.1, 1), (1.05, 11)])
    def test_parts_of_epochs_are_rounded_up_to_steps(self, epochs, steps):
        made = budget(max_epochs=epochs)
        assert made.progress(steps - 1, 0.0) < made.progress(steps, 0.0) == 1

    def test_by_seconds(self):
        made = budget(max_seconds=4.0)
        assert [made.progress(99, seconds) for seconds in (0, 1, 4, 5)] == [0, 0.25, 1, 1]

    def test_whatever_is_spent_first(self):
        made = budget(max_steps=10, max_epochs=5, max_seconds=100)
        assert made.progress(5, 0.0) == 0.5
        assert made.progress(5, 80.0) == 0.8
        assert budget(max_steps=1000, max_epochs=0.5).progress(5, 0.0) == 1

    def test_huge_budgets_do_not_overflow(self):
        assert 0 < budget(max_epochs=1e300).progress(1, 0.0) < 1e-9
        assert budget(max_steps=2**53).progress(2**53, 0.0) == 1

    @given(st.integers(1, 50), st.floats(0.01, 9), st.integers(1, 30))
    def test_never_falls_and_ends_at_one(self, steps, epochs, steps_per_epoch):
        made = budget(steps_per_epoch, max_steps=steps, max_epochs=epochs)
        shares = [made.progress(step, 0.0) for step in range(steps + 1)]
        assert shares == sorted(shares)
        assert (shares[0], shares[-1]) == (0, 1)


class TestValidations:
    def test_lie_evenly_over_the_budget(self):
        assert due(budget(max_steps=100, validations=4), 100) == [25, 50, 75, 100]
        assert due(budget(max_steps=10, validations=3), 10) == [4, 7, 10]
        assert due(budget(max_epochs=4, validations=4), 40) == [10, 20, 30, 40]

    def test_by_the_clock(self):
        assert due(budget(max_seconds=10.0, validations=2), 20, seconds=0.5) == [10, 20]

    def test_after_every_so_many_steps(self):
        assert due(budget(max_steps=10, validate_every=4), 10) == [4, 8, 10]
        assert due(budget(max_steps=8, validate_every=4), 8) == [4, 8]

    def test_the_end_always_has_one(self):
        assert due(budget(max_steps=10, validations=0), 10) == [10]
        assert due(budget(max_steps=10, validations=1), 10) == [10]
        assert due(budget(max_steps=10, validate_every=100), 10) == [10]

    def test_no_more_than_one_a_step(self):
        assert due(budget(max_steps=3, validations=100), 3) == [1, 2, 3]

    @given(st.integers(1, 200), st.integers(1, 40))
    def test_there_are_as_many_as_asked_for(self, steps, validations):
        found = due(budget(max_steps=steps, validations=validations), steps)
        assert len(found) == min(steps, validations)


def test_a_budget_must_be_given():
    with pytest.raises(ValueError, match="`max_steps`, `max_epochs` or `max_seconds` must say"):
        TrainOptions()


# The options of training: defaults and what must be said.


def checked(**options):
    return check_value(TrainOptions, options, ("train",))


@pytest.mark.parametrize("budget", [{"max_steps": 3}, {"max_epochs": 0.5}, {"max_seconds": 1}])
def test_any_budget_will_do(budget):
    options = checked(**budget)
    assert [options.max_steps, options.max_epochs, options.max_seconds].count(None) == 2


def test_a_budget_must_be_given_options():
    with pytest.raises(OptionError) as caught:
        checked(lr=0.1)
    assert caught.value.path == ("train",)
    assert "`max_steps`, `max_epochs` or `max_seconds` must say when to stop" in str(caught.value)


def test_steps_are_not_limited_to_what_a_small_machine_can_do():
    assert checked(max_steps=10**9, log_every=10**7).max_steps == 10**9


def test_parts_may_be_names_or_options():
    options = checked(max_steps=3, optimizer={"eps": 1e-6}, schedule="plateau")
    assert options.optimizer.name == "adamw"
    assert options.optimizer.options["eps"] == 1e-6
    assert options.optimizer.options["betas"] == (0.9, 0.999)
    assert options.schedule.name == "plateau"
    assert options.clip_norm == 1.0
    assert checked(max_steps=3, clip_norm=None).clip_norm is None
