"""The laws of decoders: every registered one keeps them, and broken ones are found out."""

import pytest
import torch

from seqgen.decoders import Decoder, Greedy, Hypothesis, decoders
from seqgen.testing import check_decoder
from seqgen.testing.decoder import DECODER_LAWS


@pytest.mark.parametrize("name", decoders.names())
def test_every_registered_decoder_keeps_them(name, small):
    check_decoder(small(decoders, name)).require()


class Nothing:
    pass


class Changed(Decoder):
    """What greedy search finds, with each hypothesis changed."""

    def decode(self, stepper, start, limits):
        found = Greedy().decode(stepper, start, limits)
        return [[self.change(one) for one in each] for each in found]

    def change(self, one):
        return one


class GoesOn(Changed):
    def change(self, one):
        return one._replace(tokens=one.tokens + (1,) * one.finished)


class NeverFinished(Changed):
    def change(self, one):
        return one._replace(finished=False)


class OtherScore(Changed):
    def change(self, one):
        return one._replace(score=one.score / max(1, len(one.tokens)))


class OtherLogProbs(Changed):
    def change(self, one):
        return one._replace(log_probs=tuple(2 * each for each in one.log_probs))


class Tensors(Changed):
    def change(self, one):
        return one._replace(tokens=torch.tensor(one.tokens))


class Twice(Changed):
    def decode(self, stepper, start, limits):
        return [2 * each for each in super().decode(stepper, start, limits)]


class WorstFirst(Changed):
    def decode(self, stepper, start, limits):
        found = super().decode(stepper, start, limits)
        return [[Hypothesis((), -99.0, False), *each] for each in found]


class OnlyOne(Changed):
    def decode(self, stepper, start, limits):
        return super().decode(stepper, start, limits)[:1]


class Eats(Changed):
    """NaN becomes a token like any other."""

    def decode(self, stepper, start, limits):
        class Filled:
            def step(self, tokens, state, context):
                log_probs, state = stepper.step(tokens, state, context)
                return log_probs.nan_to_num(0.0, 0.0), state

        return super().decode(Filled(), start, limits)


class Random(Changed):
    def decode(self, stepper, start, limits):
        class Noisy:
            def step(self, tokens, state, context):
                log_probs, state = stepper.step(tokens, state, context)
                return log_probs + 3 * torch.randn(log_probs.shape), state

        return super().decode(Noisy(), start, limits)


class ByPlace(Changed):
    """The same noise each time, but for a place in the batch."""

    def decode(self, stepper, start, limits):
        generator = torch.Generator().manual_seed(1)

        class Noisy:
            def step(self, tokens, state, context):
                log_probs, state = stepper.step(tokens, state, context)
                return log_probs + 3 * torch.randn(log_probs.shape, generator=generator), state

        return super().decode(Noisy(), start, limits)


class LongerByOne(Changed):
    def decode(self, stepper, start, limits):
        lengths = (limits.lengths(start) + 1).tolist()
        return super().decode(stepper, start, type(limits)(lengths, limits.ends))


@pytest.mark.parametrize(
    ("decoder", "law", "says"),
    [
        (GoesOn, "one end token and nothing behind it", "stop at the first one"),
        (NeverFinished, "one end token and nothing behind it", "`finished` is False"),
        (OtherScore, "scores are those of the sequence read alone", "put others into `rank`"),
        (OtherLogProbs, "scores are those of the sequence read alone", "read alone"),
        (Tensors, "each source has hypotheses", "call .tolist"),
        (Twice, "no sequence comes twice", "merge equal paths"),
        (WorstFirst, "the best comes first", "must be sorted"),
        (OnlyOne, "each source has hypotheses", "a list of 1"),
        (Eats, "NaN and infinite scores are refused", "without a word"),
        (Random, "the same twice", "must follow from `seed`"),
        (ByPlace, "a source alone is the source in a batch", "depends on the batch"),
        (LongerByOne, "limits are kept", "where `max_length` is 0"),
        (Nothing, "is a decoder", "Nothing is no Decoder"),
    ],
)
def test_a_breach_is_reported_for_what_it_is(decoder, law, says):
    report = check_decoder(decoder)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(DECODER_LAWS)


def test_classes_will_do():
    check_decoder(Changed).require()
