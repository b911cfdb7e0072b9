"""The laws of decoders: every registered one keeps them, and broken ones are found out."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch

from seqgen.decoders import (
    CLAIMS,
    Beam,
    Decoder,
    Exact,
    Greedy,
    Hypothesis,
    Limits,
    Multinomial,
    decoders,
    truncations,
)
from seqgen.testing import check_decoder
from seqgen.testing.decoder import DECODER_LAWS


@pytest.mark.parametrize("name", decoders.names())
def test_every_registered_decoder_keeps_them(name, small):
    check_decoder(small(decoders, name)).require()


CLAIMED = {
    "greedy": {"greedy"},
    "beam": {"beam"},
    "diverse_beam": {"beam"},
    "exact": {"best"},
    "minimum_bayes_risk": set(),
    "stochastic_beam": {"sample"},
    "multinomial": {"sample", "temperature"},
    "speculative": set(),
    **{name: {"sample", "temperature"} for name in truncations.names()},
}
LAWS_OF = {claim: [law.name for law in DECODER_LAWS if law.name.startswith(f"claims {claim}:")]
           for claim in CLAIMS}  # fmt: skip


def test_each_claim_has_a_law_and_a_line_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "plugins" / "decoder.md").read_text("utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(CLAIMS)
    assert {claim: len(laws) for claim, laws in LAWS_OF.items()} == {
        "greedy": 1, "beam": 2, "best": 1, "sample": 1, "temperature": 1,
    }  # fmt: skip


@pytest.mark.parametrize("name", decoders.names())
def test_what_the_built_in_ones_claim_is_tried_and_nothing_else(name, small):
    report = check_decoder(small(decoders, name))
    found = {each.law: each.outcome for each in report.findings}
    for claim, laws in LAWS_OF.items():
        wanted = "kept" if claim in CLAIMED[name] else "not tried"
        assert {found[law] for law in laws} == {wanted}, claim
    others = {outcome for law, outcome in found.items() if not law.startswith("claims ")}
    assert others == {"kept"}


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


class SaysItDraws(Greedy):
    draws = True


class DrawsInSecret(Multinomial.__mro__[1]):
    """A sampler that says it is none."""

    claims = frozenset()

    def __init__(self, seed=0):
        super().__init__(seed, 1.0)
        self.draws = False

    def keep(self, shares):
        return shares


class Claims(Decoder):
    """Claims what it is told to, and decodes as `of` does; its weights may be another one's."""

    def __init__(self, claim, of, weights=None):
        self.claims, self.of, self.draws = claim, of, of.draws
        self.weights = weights or of.weights

    def decode(self, stepper, start, limits):
        return self.of.decode(stepper, start, limits)


def claims(claim, of, *options):
    """A factory of decoders that claim `claim`, with the options of `of` that are named."""
    if "beam_size" in options:
        return lambda beam_size=3, n_best=1: Claims(claim, of(beam_size, n_best))
    if "temperature" in options:
        return lambda seed=0, temperature=1.0: Claims(claim, of(seed, temperature))
    return lambda seed=0: Claims(claim, of(seed))


def pretends(**options):
    """A factory of decoders that draw from all, and say that it is as with these options."""
    weights = Multinomial(**options).weights
    return lambda seed=0: Claims({"sample"}, Multinomial(seed), weights)


class KeepsFew(Beam):
    """A beam of at most 5, whatever it is told."""

    def __init__(self, beam_size, n_best):
        super().__init__(min(beam_size, 5), min(n_best, 5))


class SecondBest(Greedy):
    def choose(self, log_probs, sequence_ids, step):
        return log_probs.topk(2).indices[:, int(step == 1)]


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


GREEDY, NARROW, WIDE, BEST, SAMPLE, COLD = (law for laws in LAWS_OF.values() for law in laws)
TRIED = "what it claims can be tried"
FALSE_CLAIMS = {
    "unknown": (claims({"bem"}, lambda seed: Greedy()), TRIED, "did you mean 'beam'?"),
    "a string": (claims("beam", lambda seed: Greedy()), TRIED, 'a set, such as {"beam"}'),
    "no option": (
        claims({"beam"}, lambda seed: Beam(3)), NARROW, 'claims "beam", but has no option `beam_s',
    ),
    "not greedy": (claims({"greedy"}, lambda seed: SecondBest()), GREEDY, "as greedy search does"),
    "a narrow beam that looks ahead": (
        claims({"beam"}, lambda size, n: Beam(size + 1, n), "beam_size"), NARROW,
        "with `beam_size` 1 it must find",
    ),
    "a beam that loses paths": (
        claims({"beam"}, KeepsFew, "beam_size"), WIDE, "it finds 5 sequences where",
    ),
    "a beam that keeps them for itself": (
        claims({"beam"}, lambda size, n: Beam(size, 1), "beam_size"), WIDE,
        "it finds 1 sequences where `n_best` is 125 and there are 85",
    ),
    "a search that is not exact": (
        claims({"best"}, lambda seed: Beam(2, 2)), BEST, "of all 53 sequences is [",
    ),
    "a search by another rank": (
        claims({"best"}, lambda seed: Exact(5, length_normalisation="power")), BEST, "number 4 of",
    ),
    "hotter than it says": (
        pretends(temperature=0.8), SAMPLE, "10000 draws do not follow what `weights` says",
    ),
    "draws what it must not": (
        pretends(truncations=({"name": "top_k", "k": 3},)), SAMPLE, "to which `weights` gives no",
    ),
    "always the same": (
        claims({"sample"}, lambda seed: Greedy()), SAMPLE, "came 10000 times, but",
    ),
    "never cold": (
        claims({"temperature"}, lambda seed, heat: Multinomial(seed, heat + 1), "temperature"),
        COLD, "at `temperature` 0 it must find",
    ),
    "says that it draws": (SaysItDraws, "it draws where it says so", "with another id it finds"),
    "draws in secret": (
        DrawsInSecret, "it draws where it says so", "depends on the id of a sequence; say `draws",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("decoder", "law", "says"), FALSE_CLAIMS.values(), ids=FALSE_CLAIMS)
def test_a_false_claim_is_reported_for_what_it_is(decoder, law, says):
    report = check_decoder(decoder)
    assert report.broken[0].law == law, report.broken
    assert says in report.broken[0].says


@pytest.mark.parametrize(("decoder", "law", "says"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_reported_for_what_it_is(decoder, law, says):
    report = check_decoder(lambda: decoder)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(DECODER_LAWS)


def test_classes_will_do():
    check_decoder(Greedy).require()
