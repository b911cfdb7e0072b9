"""The laws of decoders: every registered one keeps them, and broken ones are found out."""

from functools import partial

import pytest
import torch

from seqgen.decoders import Decoder, Greedy, Hypothesis, Limits, decoders
from seqgen.testing import check_decoder
from seqgen.testing.decoder import DECODER_LAWS


@pytest.mark.parametrize("name", decoders.names())
def test_every_registered_decoder_keeps_them(name, small):
    check_decoder(small(decoders, name)).require()


class Changed(Decoder):
    """What greedy search finds, with each hypothesis, each source's list, or all of it changed."""

    def __init__(
        self, each=lambda one: one, own=lambda several: several, every=lambda found: found
    ):
        self.each, self.own, self.every = each, own, every

    def decode(self, stepper, start, limits):
        found = Greedy().decode(stepper, start, limits)
        return self.every([self.own([self.each(one) for one in own]) for own in found])


class Noisy(Decoder):
    """Greedy search in scores with noise, or filled; `noise` is made anew for each search, `times`
    is how often it takes each step."""

    def __init__(self, fill=lambda scores: scores, noise=lambda: torch.zeros, times=1):
        self.fill, self.noise, self.times = fill, noise, times

    def decode(self, stepper, start, limits):
        noise, times, fill = self.noise(), self.times, self.fill

        class Changing:
            def step(self, tokens, state, context):
                for _ in range(times):
                    scores, after = stepper.step(tokens, state, context)
                return fill(scores + 3 * noise(scores.shape)), after

        return Greedy().decode(Changing(), start, limits)


class LongerByOne(Decoder):
    def decode(self, stepper, start, limits):
        lengths = (limits.lengths(start) + 1).tolist()
        return Greedy().decode(stepper, start, Limits(lengths, limits.ends))


class Nothing:
    pass


ENDS, SCORES = "one end token and nothing after it", "scores are those of the sequence read alone"
FORM = "each source has hypotheses"
WORST = Hypothesis((), -99.0, False)
BREACHES = {
    "goes on": (
        Changed(lambda one: one._replace(tokens=one.tokens + (1,) * one.finished,
                                         log_probs=one.log_probs + (-1.0,) * one.finished)),
        ENDS, "stop at the first one",
    ),
    "never finished": (
        Changed(lambda one: one._replace(finished=False)), ENDS, "`finished` is False",
    ),
    "other score": (
        Changed(lambda one: one._replace(score=one.score / max(1, len(one.tokens)))),
        SCORES, "put others into `rank`",
    ),
    "other log-probabilities": (
        Changed(lambda one: one._replace(log_probs=tuple(2 * each for each in one.log_probs))),
        SCORES, "read alone",
    ),
    "too few log-probabilities": (
        Changed(lambda one: one._replace(log_probs=())), FORM, "a number for each of `tokens`",
    ),
    "tensors": (
        Changed(lambda one: one._replace(tokens=torch.tensor(one.tokens))), FORM, "call .tolist",
    ),
    "twice": (Changed(own=lambda own: 2 * own), "no sequence comes twice", "merge equal paths"),
    "worst first": (
        Changed(own=lambda own: [WORST, *own]), "the best comes first", "must be sorted",
    ),
    "only one": (Changed(every=lambda found: found[:1]), FORM, "a list of 1"),
    "eats NaN": (
        Noisy(lambda scores: scores.nan_to_num(0.0, 0.0)),
        "NaN and infinite scores are refused", "without a word",
    ),
    "random": (Noisy(noise=lambda: torch.randn), "the same twice", "must follow from `seed`"),
    "by place": (  # the same noise each time, but for a place in the batch
        Noisy(noise=lambda: partial(torch.randn, generator=torch.Generator().manual_seed(1))),
        "a source alone is the source in a batch", "depends on the batch",
    ),
    "raises on NaN": (
        Noisy(lambda scores: scores if scores.isfinite().all() else {}["NaN"]),
        "NaN and infinite scores are refused", "but raised KeyError: 'NaN'",
    ),
    "endless": (
        Noisy(times=6),
        "its cost is bounded by the limit", "took 120 steps",
    ),
    "something for nothing": (
        Changed(every=lambda found: found or [[WORST]]),
        "no sources, no sequences", "an empty list",
    ),
    "longer": (LongerByOne(), "limits are kept", "where `max_length` is 0"),
    "no decoder": (Nothing(), "is a decoder", "Nothing is no Decoder"),
}  # fmt: skip


@pytest.mark.parametrize(("decoder", "law", "says"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_reported_for_what_it_is(decoder, law, says):
    report = check_decoder(lambda: decoder)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(DECODER_LAWS)


def test_classes_will_do():
    check_decoder(Greedy).require()
