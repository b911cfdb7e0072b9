"""The constraint `repetition_penalty`."""

import pytest
import torch

from seqgen.decoders import Limits, RepetitionPenalty


@pytest.mark.parametrize("penalty", [0.5, 1.3, 4.0])
def test_what_came_before_is_multiplied(deep, penalty):
    start = deep.start(3)
    stepper, begun = RepetitionPenalty(penalty).wrap(deep, start, Limits(5, (2,)), None)
    state, plain_state, read = begun.state, start.state, start.tokens
    paths = [[1, 3, 1], [0, 0, 0], [4, 3, 2]]
    for step in range(4):
        found, state = stepper.step(read, state, begun.context)
        wanted, plain_state = deep.step(read, plain_state, start.context)
        for row, path in enumerate(paths):
            wanted[row, list(set(path[:step]))] *= penalty
        torch.testing.assert_close(found, wanted)
        read = torch.tensor([path[min(step, 2)] for path in paths])


def test_the_prompt_is_no_repetition(deep):
    start = deep.start(3)
    stepper, begun = RepetitionPenalty(9.0).wrap(deep, start, Limits(5), None)
    assert torch.equal(stepper.step(*begun[:3])[0], deep.step(*start[:3])[0])


@pytest.mark.parametrize("penalty", [0, -1.0, float("inf"), float("nan")])
def test_a_penalty_that_is_none_is_refused(penalty):
    with pytest.raises(ValueError, match="`penalty` must be above 0 and finite, but is"):
        RepetitionPenalty(penalty)
