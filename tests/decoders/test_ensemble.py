"""Models that generate together: the constraints `ensemble`, `language_model` and `guidance`."""

import pytest
import torch

from seqgen.decoders import Ensemble, Guidance, LanguageModelFusion, Limits, WithoutTokens
from seqgen.decoders.ensemble import combine_models

from .conftest import build, constrained, tokens_of

LIMITS = Limits(6, (2,))
BATCH = torch.tensor([3, 1, 0, 7])


@pytest.mark.parametrize("search", ["greedy", "beam"])
def test_each_reads_with_its_own_start_state_and_context(deep, other, search):
    begun = combine_models(deep, deep.start(4), [other], BATCH, lambda first, others: others[0])
    found = build(search).decode(*begun, LIMITS)
    assert found == build(search).decode(other, other.start(BATCH), LIMITS)


@pytest.mark.parametrize(
    ("runs", "weights", "average", "wanted"),
    [
        (["other"], (), "mean", lambda mine, theirs: ((mine.exp() + theirs.exp()) / 2).log()),
        (
            ["other", "other"],
            (1, 2, 3),
            "mean",
            lambda mine, theirs: ((mine.exp() + 5 * theirs.exp()) / 6).log(),
        ),
        (["other"], (1, 3), "product", lambda mine, theirs: 0.25 * mine + 0.75 * theirs),
    ],
)
def test_probabilities_are_averaged_by_weight_or_multiplied(
    deep, other, runs, weights, average, wanted
):
    ensemble = Ensemble(runs, {"other": other}.get, weights, average)
    own, start = WithoutTokens(deep, [1]), deep.start(4)
    stepper, begun = ensemble.wrap(own, start, LIMITS, BATCH)
    mine, theirs = own.step(*start[:3])[0], other.step(*other.start(BATCH)[:3])[0]
    expected = wanted(mine, theirs)
    expected[:, 1] = float("-inf")  # what is impossible to the run's own model stays so
    torch.testing.assert_close(stepper.step(*begun[:3])[0], expected)


@pytest.mark.parametrize("average", ["mean", "product"])
def test_a_weight_of_nothing_is_no_say(deep, other, average):
    batch, greedy = torch.arange(8), build("greedy")
    for weights, model in (((1, 0), deep), ((0, 1), other)):
        ensemble = Ensemble(["other"], {"other": other}.get, weights, average)
        found = constrained(greedy, [ensemble], deep, deep.start(8), LIMITS, batch)
        start = deep.start(8) if model is deep else other.start(batch)
        assert tokens_of(found) == tokens_of(greedy.decode(model, start, LIMITS))


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
def test_scores_of_a_language_model_are_added(deep, other, weight):
    fusion = LanguageModelFusion("other", {"other": other}.get, weight)
    start, theirs = deep.start(4), other.start(BATCH)
    stepper, begun = fusion.wrap(deep, start, LIMITS, BATCH)
    state, one, two = begun.state, start.state, theirs.state
    for tokens in (None, torch.tensor([1, 0, 4, 3]), torch.tensor([0, 0, 1, 2])):
        first, second = (start.tokens, theirs.tokens) if tokens is None else (tokens, tokens)
        found, state = stepper.step(first, state, begun.context)
        mine, one = deep.step(first, one, start.context)
        added, two = other.step(second, two, theirs.context)
        torch.testing.assert_close(found, mine + weight * added)


def test_no_run_is_read_before_a_search_begins():
    assert LanguageModelFusion("nowhere", {}.__getitem__).run == "nowhere"


# The constraint `guidance`.
@pytest.mark.parametrize("scale", [0.0, 0.5, 1.5, 4.0])
def test_what_the_source_makes_more_probable_is_favoured(deep, other, scale):
    guidance = Guidance({None: other}.get, scale)
    own, start, theirs = WithoutTokens(deep, [1]), deep.start(4), other.start(BATCH)
    stepper, begun = guidance.wrap(own, start, LIMITS, BATCH)
    state, one, two = begun.state, start.state, theirs.state
    for tokens in (None, torch.tensor([1, 0, 4, 3]), torch.tensor([0, 0, 1, 2])):
        first, second = (start.tokens, theirs.tokens) if tokens is None else (tokens, tokens)
        found, state = stepper.step(first, state, begun.context)
        mine, one = own.step(first, one, start.context)
        alone, two = other.step(second, two, theirs.context)
        wanted = (alone + scale * (mine - alone)).log_softmax(1)
        torch.testing.assert_close(found, wanted if scale else found)
        assert (found[:, 1] == float("-inf")).all()
        if not scale:
            kept = torch.where(mine.isfinite(), alone, float("-inf")).log_softmax(1)
            torch.testing.assert_close(found, kept)
