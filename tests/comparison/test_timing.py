"""Seconds by a clock that the test turns on by hand."""

import gc

import pytest

from seqgen.comparison.plan import SpeedOptions
from seqgen.comparison.timing import Decoded, take_times


class Clock:
    """A clock, and systems that take the seconds that they are given, one number for each time."""

    def __init__(self):
        self.now = 100.0
        self.order = ""

    def __call__(self):
        return self.now

    def system(self, label, seconds):
        times = iter(seconds)

        def decode():
            self.order += label
            self.now += next(times)
            return Decoded(4, 20)

        return decode


@pytest.fixture
def clock():
    return Clock()


def test_seconds_and_rates(clock):
    systems = {"a": clock.system("a", [9, 2, 1, 6]), "b": clock.system("b", [9, 4, 4, 4])}
    found = take_times(systems, SpeedOptions(warm_ups=1, repeats=3), clock=clock)
    assert found == {
        "a": {
            "seconds": {"min": 1, "median": 2, "max": 6},
            "sequences_per_second": 2,
            "tokens_per_second": 10,
        },
        "b": {
            "seconds": {"min": 4, "median": 4, "max": 4},
            "sequences_per_second": 1,
            "tokens_per_second": 5,
        },
    }


def test_each_round_has_every_system_once_and_begins_with_another(clock):
    systems = {label: clock.system(label, [1] * 5) for label in "abc"}
    take_times(systems, SpeedOptions(warm_ups=1, repeats=4), clock=clock)
    assert clock.order == "abcbcacababcbca"


def test_the_median_of_two_is_between_them(clock):
    options = SpeedOptions(warm_ups=0, repeats=2)
    found = take_times({"a": clock.system("a", [1, 3])}, options, clock=clock)
    assert found["a"]["seconds"] == {"min": 1, "median": 2, "max": 3}


def test_each_turn_is_announced_before_it(clock):
    told = []
    systems = {label: clock.system(label, [1] * 2) for label in "ab"}
    options = SpeedOptions(warm_ups=1, repeats=1)
    take_times(systems, options, lambda label: told.append((clock.order, label)), clock)
    assert told == [("", "a"), ("a", "b"), ("ab", "b"), ("abb", "a")]


def test_without_repeats_nothing_is_done(clock):
    options = SpeedOptions(warm_ups=2, repeats=0)
    assert take_times({"a": clock.system("a", [])}, options, clock=clock) == {}
    assert clock.order == ""


def test_no_systems(clock):
    assert take_times({}, SpeedOptions(), clock=clock) == {}


def test_a_clock_that_stands_still_gives_no_rate(clock):
    found = take_times({"a": clock.system("a", [0] * 4)}, SpeedOptions(), clock=clock)
    assert found["a"]["sequences_per_second"] is None
    assert found["a"]["tokens_per_second"] is None


def test_the_garbage_collector_is_left_as_it_was(clock):
    frozen = gc.get_freeze_count()
    with pytest.raises(StopIteration):
        take_times({"a": clock.system("a", [])}, SpeedOptions(), clock=clock)
    assert gc.get_freeze_count() == frozen
    assert gc.isenabled()
