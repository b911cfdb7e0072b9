"""What is said of a decoder from outside that breaks its contract, and of ours nothing."""

import re

import pytest
import torch

from seqgen.decoders import (
    AllowedBy,
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
from seqgen.decoders.scores import check_scores
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


class ForeignGreedy(Decoder):
    """Follows the best token as one from outside may: it knows of no dead ends."""

    def decode(self, stepper, start, limits):
        tokens, state, context = start[:3]
        taken, given = [], []
        for step in range(limits.max_length):
            log_probs, state = stepper.step(tokens, state, context)
            check_scores(log_probs, torch.arange(len(tokens)), step)
            best, tokens = log_probs.max(-1)
            taken.append(tokens.tolist())
            given.append(best.tolist())
        found = []
        for own, log_probs in zip(zip(*taken, strict=True), zip(*given, strict=True), strict=True):
            size = own.index(2) + 1 if 2 in own else len(own)
            score = sum(log_probs[:size])
            found.append([Hypothesis(own[:size], score, 2 in own, log_probs[:size])])
        return found


@pytest.mark.parametrize("length", [0, 1, 2, 4])
def test_where_constraints_leave_nothing_one_from_outside_ends_as_ours_do(length):
    model = TableModel()
    until = AllowedBy(lambda tokens: [1, 3, 4] if len(tokens) < length else [])
    limits = Limits(4, (2,))
    begun = constrain([until], model, model.start(3), limits)
    found = held(ForeignGreedy(), 5).decode(*begun, limits)
    for [one], [ours] in zip(found, Greedy().decode(*begun, limits), strict=True):
        assert one.tokens == ours.tokens
        assert one.score == pytest.approx(ours.score)
        assert len(one.tokens) == length
        assert (one.finished, one.satisfied) == (False, length == 4) == ours[2:3] + ours[-1:]
