"""Models that read along."""

import pytest
import torch

from seqgen.decoders import Ensemble, Forbid, LanguageModelFusion, Limits, constrain, decoders
from seqgen.decoders.ensemble import read_along

LIMITS = Limits(7, (2,))


def second(log_probs, others):
    return others[0]


def test_each_reads_with_its_own_start_state_and_context(deep, other):
    batch = torch.tensor([3, 1, 0, 7, 5])
    begun = read_along((deep, deep.start(5)), [other], batch, second)
    for search in ("greedy", "beam"):
        decoder = decoders.build(search, seed=3, vocab_size=5)
        assert decoder.decode(*begun, LIMITS) == decoder.decode(other, other.start(batch), LIMITS)


# The constraint `ensemble`.


LIMITS_ENSEMBLE = Limits(6, (2,))


@pytest.fixture
def first_scores(deep, other):
    """A function from an ensemble to the scores of its first step, and those of its members."""

    def scores(ensemble):
        start, batch = deep.start(4), torch.tensor([3, 1, 0, 7])
        stepper, begun = ensemble.wrap(Forbid(deep, [1]), start, LIMITS_ENSEMBLE, batch)
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
        begun = constrain([ensemble], deep, deep.start(8), LIMITS_ENSEMBLE, batch)
        return [each.tokens for [each] in greedy.decode(*begun, LIMITS_ENSEMBLE)]

    assert found(1, 0) == [
        each.tokens for [each] in greedy.decode(deep, deep.start(8), LIMITS_ENSEMBLE)
    ]
    wanted = greedy.decode(other, other.start(batch), LIMITS_ENSEMBLE)
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


# The constraint `language_model`.


LIMITS_LANGUAGE_MODEL = Limits(6, (2,))


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
def test_scores_are_sums(deep, other, weight):
    fusion = LanguageModelFusion("other", {"other": other}.get, weight)
    start, batch = deep.start(4), torch.tensor([3, 1, 0, 7])
    stepper, begun = fusion.wrap(deep, start, LIMITS_LANGUAGE_MODEL, batch)
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
    found = greedy.decode(
        *constrain([fusion], deep, start, LIMITS_LANGUAGE_MODEL, batch), LIMITS_LANGUAGE_MODEL
    )
    wanted = greedy.decode(other, other.start(batch), LIMITS_LANGUAGE_MODEL)
    assert [each.tokens for [each] in found] == [each.tokens for [each] in wanted]


@pytest.mark.parametrize("weight", [-0.1, float("inf"), float("nan")])
def test_other_weights_are_refused_language_model(weight):
    with pytest.raises(ValueError, match="`weight` must be at least 0 and finite, but is"):
        LanguageModelFusion("other", {}.get, weight)


def test_no_run_is_read_before_a_search_begins():
    assert LanguageModelFusion("nowhere", {}.__getitem__).run == "nowhere"
