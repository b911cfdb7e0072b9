"""What is said of a decoder from outside that breaks its contract, and of ours nothing."""

import re

import pytest

from seqgen.decoders import (
    Decoder,
    Greedy,
    Hypothesis,
    Limits,
    MinimumLength,
    Traced,
    constrain,
    held,
    watched,
)
from seqgen.errors import DecodeError, PluginError
from seqgen.testing.tables import TableModel

LIMITS = Limits(3, (2,))
RIGHT = Hypothesis((3, 2), -1.0, True, (-0.5, -0.5))


class Foreign(Decoder):
    """Returns what it is given, or raises it."""

    def __init__(self, found):
        self.found = found

    def decode(self, stepper, start, limits):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def search(found):
    model = TableModel()
    return held(Foreign(found), 5).decode(model, model.start(2), LIMITS)


def test_ours_are_left_alone_and_right_ones_find_the_same():
    greedy = Greedy()
    assert held(greedy, 5) is greedy
    assert search([[RIGHT], [RIGHT, RIGHT]]) == [[RIGHT], [RIGHT, RIGHT]]
    assert search([[Hypothesis((), 0, False)]] * 2) == [[Hypothesis((), 0, False)]] * 2


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ([], "must return a list with an entry for each of 2 sources, but returned a list of 0"),
        (None, "must return a list with an entry for each of 2 sources, but returned a NoneType"),
        ([[], [RIGHT]], "each source must have a list of at least one Hypothesis"),
        ([RIGHT, RIGHT], "each source must have a list of at least one Hypothesis"),
        ([[RIGHT], [(3, 2)]], "each result must be a Hypothesis, but one is a tuple"),
        ([[RIGHT._replace(tokens=(3, 5))]] * 2, "must be a tuple of int below vocab_size"),
        ([[RIGHT._replace(tokens=(-1, 2))]] * 2, "must be a tuple of int below vocab_size"),
        ([[RIGHT._replace(tokens=(3,) * 4)]] * 2, "has 4 tokens where `max_length` is 3"),
        ([[RIGHT._replace(tokens=(2, 3))]] * 2, "a sequence goes on behind its end token"),
        ([[RIGHT._replace(log_probs=())]] * 2, "must have a number for each of `tokens`"),
        ([[RIGHT._replace(score=float("nan"))]] * 2, "must be plain numbers, and none is NaN"),
        (KeyError("oops"), "`decode` raised KeyError: 'oops' (seqgen check "),
        (ValueError("one\ntwo"), "`decode` raised ValueError: one two (seqgen check "),
    ],
)  # fmt: skip
def test_a_breach_is_told_with_the_place(found, fault):
    with pytest.raises(PluginError, match=re.escape(fault)) as caught:
        search(found)
    assert re.match(r"the decoder Foreign \(.*test_held.py:\d+\): ", str(caught.value))
    assert "\n" not in str(caught.value)


def test_errors_of_ours_stay_what_they_are():
    with pytest.raises(DecodeError, match="no number"):
        search(DecodeError("no number"))


def test_its_constraints_are_those_of_the_decoder():
    foreign = Foreign([[RIGHT], [RIGHT]])
    foreign.constraints = (MinimumLength(1),)
    traced = Traced()
    safe = held(watched(foreign, traced), 5)
    model = TableModel()
    stepper, start = constrain(safe.constraints, model, model.start(2), LIMITS)
    assert safe.decode(stepper, start, LIMITS) == foreign.found
    [trace] = traced.traces
    with pytest.raises(PluginError, match=r"the token \d at place 0, but took no step from there"):
        trace.ends(0, [RIGHT])
