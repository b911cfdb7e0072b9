"""The constraint `coverage_penalty`, by hand; tests/models has it against real attention."""

import math

import pytest
import torch

from seqgen.decoders import Attended, Beam, CoveragePenalty, Limits, Start, constrain
from seqgen.errors import DecodeError

END = 2
SEEN = torch.tensor([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]])
"""What each of two steps looks at: the last of three tokens is padding."""


class Looking:
    """Each of 4 tokens is as probable as any other; a step looks at the source by what it reads."""

    def step(self, tokens, state, context):
        weights = SEEN[tokens % 2].view(len(context), -1, 3)
        return torch.full((len(tokens), 4), 0.25).log(), state.after(weights, context)

    def start(self, sources=1):
        mask = torch.tensor([[True, True, False]] * sources)
        return Start(torch.zeros(sources, dtype=torch.long), Attended(), mask)


def found(beta):
    model, limits = Looking(), Limits(3, (END,))
    chosen = [CoveragePenalty(beta, looks_back=True)]
    [own] = Beam(200, 200).decode(*constrain(chosen, model, model.start(), limits), limits)
    return {each.tokens: each.score for each in own}


@pytest.mark.parametrize("beta", [0.0, 0.2, 3.0])
def test_it_is_paid_once_when_a_sequence_ends(beta):
    quarter, scores = math.log(0.25), found(beta)
    assert scores[END,] == pytest.approx(quarter + beta * math.log(0.75 * 0.25))
    # What is looked at twice counts as looked at once.
    assert scores[1, END] == pytest.approx(2 * quarter + beta * math.log(0.75))
    assert scores[0, END] == pytest.approx(2 * quarter + beta * math.log(0.5))
    assert scores[0, 1, END] == pytest.approx(3 * quarter + beta * math.log(1.0))
    # The maximum length is an end, too, or a sequence without one had the advantage.
    assert scores[0, 0, 1] == pytest.approx(3 * quarter + beta * math.log(0.75))
    assert scores[0, 0, END] == scores[0, 0, 1]


def test_what_was_never_looked_at_costs_much_and_is_possible():
    scores = CoveragePenalty(1.0, looks_back=True)
    model, limits = Looking(), Limits(1, (END,))
    start = model.start()._replace(context=torch.ones(1, 3, dtype=torch.bool))
    stepper, begun = scores.wrap(model, start, limits, None)
    log_probs, _ = stepper.step(*begun[:3])
    assert log_probs.isfinite().all()
    assert (log_probs < -80).all()


def test_nothing_is_counted_where_nobody_asks():
    model = Looking()
    _, state = model.step(*model.start()[:3])
    assert state == Attended()


def test_a_model_without_attention_is_refused():
    with pytest.raises(ValueError, match="coverage_penalty needs a model that looks back at its s"):
        CoveragePenalty(looks_back=False)
    start = Looking().start()._replace(state=(torch.zeros(1), None))
    with pytest.raises(DecodeError, match=r"the model's state has no decoders\.Attended"):
        CoveragePenalty(looks_back=True).wrap(Looking(), start, Limits(3), None)
