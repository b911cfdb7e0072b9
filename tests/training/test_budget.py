"""The budget: how much of it is spent, and when a validation is due."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.training import TrainOptions
from seqgen.training.budget import Budget


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
