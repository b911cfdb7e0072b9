"""The stepper `Forbid`: probability zero for some tokens, nothing else changed."""

import pytest
import torch

from seqgen.decoders import Forbid


@pytest.mark.parametrize("tokens", [[], [0], [3, 1], [1, 1], [0, 1, 2, 3, 4]])
def test_only_the_forbidden_scores_change(table, tokens):
    start = table.start(4)
    before, _ = table.step(*start[:3])
    found, _ = Forbid(table, tokens).step(*start[:3])
    assert torch.isneginf(found[:, tokens]).all()
    others = [token for token in range(5) if token not in tokens]
    assert torch.equal(found[:, others], before[:, others])


def test_what_the_stepper_returned_is_left_alone(table):
    scores = torch.zeros(2, 5)

    class Fixed:
        def step(self, tokens, state, context):
            return scores, state

    Forbid(Fixed(), [1]).step(torch.zeros(2), None, None)
    assert not scores.any()


def test_the_state_passes_through(deep):
    start = deep.start(4)
    _, wanted = deep.step(*start[:3])
    _, found = Forbid(deep, [1]).step(*start[:3])
    assert torch.equal(found, wanted)


def test_one_may_wrap_another(table):
    found, _ = Forbid(Forbid(table, [0]), [2]).step(*table.start(1)[:3])
    assert found.isneginf().tolist() == [[True, False, True, False, False]]
