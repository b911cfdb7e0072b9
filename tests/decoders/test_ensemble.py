"""The constraint `ensemble`."""

import pytest
import torch

from seqgen.decoders import Ensemble, Forbid, Limits, constrain, decoders

LIMITS = Limits(6, (2,))


@pytest.fixture
def first_scores(deep, other):
    """A function from an ensemble to the scores of its first step, and those of its members."""

    def scores(ensemble):
        start, batch = deep.start(4), torch.tensor([3, 1, 0, 7])
        stepper, begun = ensemble.wrap(Forbid(deep, [1]), start, LIMITS, batch)
        members = Forbid(deep, [1]).step(*start[:3])[0], other.step(*other.start(batch)[:3])[0]
        return stepper.step(*begun[:3])[0], *members

    return scores


def test_probabilities_are_averaged(first_scores, other):
    found, mine, theirs = first_scores(Ensemble(["other"], {"other": other}.get))
    wanted = ((mine.exp() + theirs.exp()) / 2).log()
    wanted[:, 1] = float("-inf")
    torch.testing.assert_close(found, wanted)


def test_by_weight(first_scores, other):
    ensemble = Ensemble(["other", "again"], lambda run: other, (1, 2, 3))
    found, mine, theirs = first_scores(ensemble)
    wanted = ((mine.exp() + 5 * theirs.exp()) / 6).log()
    wanted[:, 1] = float("-inf")
    torch.testing.assert_close(found, wanted)


def test_or_multiplied(first_scores, other):
    found, mine, theirs = first_scores(
        Ensemble(["other"], {"other": other}.get, (1, 3), average="product")
    )
    torch.testing.assert_close(found, 0.25 * mine + 0.75 * theirs)


@pytest.mark.parametrize("average", ["mean", "product"])
def test_a_weight_of_nothing_is_no_say(deep, other, average):
    greedy, batch = decoders.build("greedy"), torch.arange(8)

    def found(*weights):
        ensemble = Ensemble(["other"], {"other": other}.get, weights, average)
        begun = constrain([ensemble], deep, deep.start(8), LIMITS, batch)
        return [each.tokens for [each] in greedy.decode(*begun, LIMITS)]

    assert found(1, 0) == [each.tokens for [each] in greedy.decode(deep, deep.start(8), LIMITS)]
    wanted = greedy.decode(other, other.start(batch), LIMITS)
    assert found(0, 1) == [each.tokens for [each] in wanted]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1,), "`weights` must be 2, the run's own and one for each of `runs`, but are 1"),
        ((0, 0), "`weights` must be at least 0 and not all 0, but are"),
        ((2, -1), "`weights` must be at least 0 and not all 0, but are"),
        ((1, float("inf")), "`weights` must be at least 0 and not all 0, but are"),
    ],
)
def test_other_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        Ensemble(["other"], {}.get, weights)
