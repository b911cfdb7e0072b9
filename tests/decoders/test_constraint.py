"""The contract of a constraint: an option that every decoder has, and wrapping in turn."""

import pytest

from seqgen.decoders import Constraint, Decoder, constrain, constraints, decoders
from seqgen.options import OptionError


class Noting(Constraint):
    """Adds its name to what the start carries."""

    def __init__(self, name):
        self.name = name

    def wrap(self, stepper, start, limits, batch):
        return [*stepper, self.name], (*start, batch)


def test_the_first_is_innermost():
    stepper, start = constrain([Noting("a"), Noting("b")], ["model"], (), None, "batch")
    assert stepper == ["model", "a", "b"]
    assert start == ("batch", "batch")


def test_without_constraints_nothing_is_wrapped():
    stepper, start = object(), object()
    assert constrain((), stepper, start, None) == (stepper, start)


@pytest.mark.parametrize("name", decoders.names())
def test_every_decoder_has_the_option(name):
    assert "constraints" in decoders.entry(name).options
    assert Decoder.constraints == ()


def test_a_constraint_that_is_not_there_is_named():
    with pytest.raises(OptionError, match="no constraint named 'nothing'") as caught:
        decoders.check({"name": "greedy", "constraints": ["nothing"]})
    assert caught.value.path == ("constraints", 0)


def test_the_registry_has_its_own_room():
    assert constraints.room == "constraints"
