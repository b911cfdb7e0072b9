"""Schedules: their shapes, and what they remember."""

import json
import math

import pytest

from seqgen.options import OptionError
from seqgen.training.schedules import Schedule, schedules

NAN, INF = float("nan"), float("inf")


@pytest.fixture(params=schedules.names())
def make(request, small):
    return lambda **options: schedules.build({**small(schedules, request.param), **options})


class TestEverySchedule:
    def test_is_a_schedule(self, make):
        assert isinstance(make(), Schedule)

    def test_begins_at_one_and_never_leaves_zero_to_one(self, make):
        made = make()
        assert made.factor(0.0) == 1.0
        factors = [made.factor(step / 100) for step in range(101)]
        assert all(0 <= factor <= 1 for factor in factors)

    def test_asking_changes_nothing(self, make):
        made = make()
        assert [made.factor(0.5), made.factor(0.1), made.factor(0.5)][::2] == [made.factor(0.5)] * 2

    @pytest.mark.parametrize("losses", [[], [3.0], [3.0, NAN, 2.0, 2.0], [INF, INF]])
    def test_goes_on_from_its_memory(self, make, losses):
        """Through JSON, as checkpoints store it."""
        made, other = make(), make()
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
