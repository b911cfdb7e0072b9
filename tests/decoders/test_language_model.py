"""The constraint `language_model`."""

import pytest
import torch

from seqgen.decoders import LanguageModelFusion, Limits, constrain, decoders

LIMITS = Limits(6, (2,))


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
def test_scores_are_sums(deep, other, weight):
    fusion = LanguageModelFusion("other", {"other": other}.get, weight)
    start, batch = deep.start(4), torch.tensor([3, 1, 0, 7])
    stepper, begun = fusion.wrap(deep, start, LIMITS, batch)
    reading = other.start(batch)
    state, one, two = begun.state, start.state, reading.state
    for tokens in (None, torch.tensor([1, 0, 4, 3]), torch.tensor([0, 0, 1, 2])):
        first, second = (start.tokens, reading.tokens) if tokens is None else (tokens, tokens)
        found, state = stepper.step(first, state, begun.context)
        mine, one = deep.step(first, one, start.context)
        theirs, two = other.step(second, two, reading.context)
        torch.testing.assert_close(found, mine + weight * theirs)


def test_a_heavy_one_decides(deep, other):
    greedy, batch = decoders.build("greedy"), torch.arange(8)
    fusion = LanguageModelFusion("other", {"other": other}.get, 1e4)
    start = deep.start(8)
    found = greedy.decode(*constrain([fusion], deep, start, LIMITS, batch), LIMITS)
    wanted = greedy.decode(other, other.start(batch), LIMITS)
    assert [each.tokens for [each] in found] == [each.tokens for [each] in wanted]


@pytest.mark.parametrize("weight", [-0.1, float("inf"), float("nan")])
def test_other_weights_are_refused(weight):
    with pytest.raises(ValueError, match="`weight` must be at least 0 and finite, but is"):
        LanguageModelFusion("other", {}.get, weight)


def test_no_run_is_read_before_a_search_begins():
    assert LanguageModelFusion("nowhere", {}.__getitem__).run == "nowhere"
