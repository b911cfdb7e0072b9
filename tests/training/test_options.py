"""The options of training: defaults and what must be said."""

import pytest

from seqgen.options import OptionError, check_value
from seqgen.training import TrainOptions


def checked(**options):
    return check_value(TrainOptions, options, ("train",))


@pytest.mark.parametrize("budget", [{"max_steps": 3}, {"max_epochs": 0.5}, {"max_seconds": 1}])
def test_any_budget_will_do(budget):
    options = checked(**budget)
    assert [options.max_steps, options.max_epochs, options.max_seconds].count(None) == 2


def test_a_budget_must_be_given():
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
