"""Each constraint with each decoder, and with each truncation and draft where decoders take those.

What is combined follows from the registries and from what parts say of themselves. Whether the
outputs are the right ones is said in tests/decoders/test_guards.py, by all sequences there are."""

import math
from dataclasses import replace
from itertools import chain, pairwise

import pytest
import torch

from seqgen.decoders import (
    Limits,
    Stopping,
    StopStrings,
    WithoutTokens,
    constrain,
    constraints,
    decoders,
    drafts,
    result_fault,
    sequence_fault,
    truncations,
    walked,
    with_stop,
)
from seqgen.decoders.base import FINISH_REASONS
from seqgen.decoders.guards import DEAD_END
from seqgen.generate import GenerationOptions
from seqgen.state import reorder
from seqgen.streaming import TextStream
from seqgen.tokenizers import CharTokenizer

from .conftest import VOCAB, installed, model_of, tokens_of

DRAWING = [name for name in decoders.names() if "truncations" in decoders.entry(name).options]
SAMPLING = [name for name in decoders.names() if "sampler" in decoders.entry(name).options]
DRAFTING = [name for name in decoders.names() if "draft" in decoders.entry(name).options]
COLD, HOT = 1e-9, 1e9


def samplers():
    """What draws: with each truncation by itself and before the next one, at all temperatures."""
    names = truncations.names()
    for name in DRAWING:
        for place, (one, other) in enumerate(pairwise([*names, names[0]])):
            temperature = (1.0, 3.0, HOT, COLD, 0.0, 0.5, math.inf)[place % 7]
            yield {"name": name, "truncations": [one], "temperature": temperature}
            yield {"name": name, "truncations": [one, other], "temperature_last": True}


STRATEGIES = [
    *({"name": name} for name in decoders.names()),
    *samplers(),
    *({"name": name, "sampler": each} for name in SAMPLING for each in [*samplers()][::2]),
    *({"name": name, "draft": draft} for name in DRAFTING for draft in drafts.names()),
]
"""Each truncation by its name, to be written out by `spelled_out`."""


def spelled_out(small, spec):
    """A strategy with the options of small parts."""
    spec = {**small(decoders, spec["name"]), **spec}
    if "sampler" in spec:
        spec["sampler"] = spelled_out(small, spec["sampler"])
    if "draft" in spec:
        spec["draft"] = small(drafts, spec["draft"])
    return spec | {
        key: [small(truncations, each) for each in spec[key]]
        for key in ("truncations",)
        if key in spec
    }


def identify(spec):
    parts = [spec["name"], *spec.get("truncations", ()), spec.get("draft")]
    return "-".join(filter(None, parts)) + (
        f"({identify(spec['sampler'])})" if "sampler" in spec else ""
    )


STOPS = StopStrings(("12", "303", "0"))
LENGTHS = [5, 2, 0, 4, 1, 5]
IDS = [7, 0, 2**40, 3, 2**32, 1]
END = 4


def text_of(tokens):
    return "".join(map(str, tokens))


class Search:
    """What a strategy finds in a constraint: for all sources, or for some of them."""

    def __init__(self, stepper, decoder, constraint, ends, stop):
        self.stepper, self.decoder, self.ends = stepper, decoder, ends
        self.chosen = [constraint, *decoder.constraints]
        self.stop = stop
        if stop:  # it forces an end, where there is one and where there is none
            window, natural = STOPS.window, END in ends
            self.stepper = stepper if natural else WithoutTokens(stepper, [END])
            self.chosen = with_stop(self.chosen, Stopping(END, natural, window, self.stopped, None))
            self.ends = tuple({*ends, END})
        self.whole = stepper.start(len(LENGTHS), torch.tensor(IDS))

    @staticmethod
    def stopped(source, recent):
        return STOPS.find(text_of(recent)) is not None

    def limits(self, rows):
        return Limits([LENGTHS[row] for row in rows], self.ends)

    def begin(self, rows):
        start = reorder(self.whole, torch.tensor(rows))
        limits = self.limits(rows)
        return constrain(self.chosen, self.stepper, start, limits, torch.tensor(rows))

    def __call__(self, rows):
        return self.decoder.decode(*self.begin(rows), self.limits(rows))


EVERY = list(range(len(LENGTHS)))


def require_form(found, ends):
    assert not result_fault(found, len(LENGTHS), VOCAB)
    for own, length in zip(found, LENGTHS, strict=True):
        assert len({each.tokens for each in own}) == len(own)
        ranks = [each.ranking_score for each in own]
        assert ranks == sorted(ranks, reverse=True)
        for each in own:
            assert not sequence_fault(each, length, ends)
            assert each.finished == (each.tokens[-1:] != () and each.tokens[-1] in ends)
            assert each.satisfied or (len(own) == 1 and not each.finished)
            # What ends has a reason.
            assert each.finished or not each.satisfied or len(each.tokens) == length
            assert each.score == pytest.approx(math.fsum(each.log_probs), rel=1e-6, abs=1e-5)


def require_rescored(search, found, weights):
    """Each sequence read alone has the scores that were found, and no token that is impossible, or
    that `weights` give no chance; where it is not satisfied, nothing can come next."""
    every = [(row, each) for row in EVERY if LENGTHS[row] for each in found[row]]
    rows = [row for row, _ in every]
    stepper, (tokens, state, context, _) = search.begin(rows)
    for step in range(max(LENGTHS)):
        log_probs, state = stepper.step(tokens, state, context)
        chances = weights(log_probs) if weights else log_probs.exp()
        best = log_probs.amax(1).tolist()
        for place, (_, each) in enumerate(every):
            if step < len(each.tokens):
                token = each.tokens[step]
                assert float(log_probs[place, token]) == pytest.approx(
                    each.log_probs[step], abs=1e-4
                )
                assert best[place] > DEAD_END
                assert float(chances[place, token]) > 0
            elif step == len(each.tokens) and not each.satisfied:
                assert best[place] == DEAD_END
        tokens = torch.tensor([(*each.tokens, *[0] * 7)[step] for _, each in every])


def require_stopped(found, natural):
    for own in found:
        for each in own:
            content = each.tokens[: len(each.tokens) - each.finished]
            match = STOPS.find(text_of(content))
            assert match is None or match.end == len(content)
            if not natural and each.finished:  # nothing else ends it
                assert match
                assert each.log_probs[-1] == 0


def require_streamed(search, found):
    tokens, given = ([[] for _ in EVERY] for _ in range(2))
    walk = search.decoder.walk(*search.begin(EVERY), search.limits(EVERY))
    for extension in walk:
        for source, token, log_prob, _ in zip(*(x.tolist() for x in extension), strict=True):
            tokens[source].append(token)
            given[source].append(log_prob)
    for own, length, *steps in zip(found, LENGTHS, tokens, given, strict=True):
        assert own == [walked(*map(tuple, steps), search.ends, length)]


@pytest.mark.parametrize("spec", STRATEGIES, ids=identify)
def test_what_every_combination_keeps(small, supplied, deep, spec):
    """In several batches, where the end comes by itself, by a stop string, or never."""
    given = {"seed": 3, **supplied}
    ways_each = 2 if len(spec) == 1 else 1
    spec = spelled_out(small, spec)
    decoder, again = (decoders.build(spec, **given) for _ in range(2))
    sampler = decoders.build(spec["sampler"], **given) if "sampler" in spec else decoder
    weights = sampler.weights if "sample" in sampler.claims and sampler.streams else None
    satisfied = set()
    for place, name in enumerate(installed(constraints.names())):
        constraint = constraints.build(small(constraints, name), **supplied)
        ways = [((2,), False), ((END,), True), ((), False), ((), True)]
        ways = ways[place % 4 :] + ways[: place % 4]
        for ends, stop in ways[:ways_each]:
            search = Search(deep, decoder, constraint, ends, stop)
            found = search(EVERY)
            require_form(found, search.ends)
            require_rescored(search, found, weights)
            satisfied.update(each.satisfied for own in found for each in own)
            if stop:
                require_stopped(found, bool(ends))
            if decoder.streams:
                require_streamed(search, found)
            search.decoder = again
            for rows in ([0], [5, 3, 2]):
                assert search(rows) == [found[row] for row in rows]
            if "draft" in decoders.entry(spec["name"]).options:
                alone = Search(deep, sampler, constraint, ends, stop)
                assert tokens_of(alone(EVERY)) == tokens_of(found)
    assert satisfied == {True, False}


STOPPED = [
    {"stop": ("01",)},
    {"stop": ("b0", "4"), "keep_stop": True},
    {"stop_tokens": ("a",)},
    {"stop": ("1 ", "44"), "stop_tokens": ("b",), "keep_stop": True},
    {},
]
PROMPTS = ["", "0", "ab 1"]


@pytest.fixture(scope="module")
def generators():
    """Of texts that have no end of their own, and of lines."""
    tokenizer = CharTokenizer(alphabet="014 ab")
    made = [model_of(tokenizer, kind) for kind in ("text", "lines")]
    for each in made:
        each.model.double()
    return made


def plainly(output):
    """An output but for what varies in its last bits."""
    made = output.hypothesis
    return output.text, made._replace(score=0.0, log_probs=(), rank=None)


@pytest.mark.parametrize(
    "spec", [each for each in STRATEGIES if not {"truncations", "sampler"} & {*each}], ids=identify
)
def test_outputs_stop_and_stream_in_every_constraint(small, generators, spec):
    tokenizer = generators[0].tokenizer
    usable = [n for n in constraints.names() if "looks_back" not in constraints.entry(n).needed]
    for place, name in enumerate(installed(usable)):  # the models have no source
        generator, options = generators[place % 2], STOPPED[place % len(STOPPED)]
        generator = replace(generator, options=GenerationOptions(**options))
        given = {
            "vocab_size": len(tokenizer),
            "encode": lambda text: tokenizer.encode(text).tolist(),
            "contents": tokenizer.contents,
            "load": lambda run, model=generator.model: model,
        }
        chosen = small(constraints, name)
        made = {**spelled_out(small, spec), "constraints": [chosen]}
        decoder = decoders.build(made, seed=3, **given)
        found = generator.generate(PROMPTS, decoder, 6)
        row = place % len(PROMPTS)
        [alone] = generator.generate([PROMPTS[row]], decoder, 6, sequence_ids=[row])
        assert [*map(plainly, alone)] == [*map(plainly, found[row])]
        for each in chain(*found):
            assert each.hypothesis.finish_reason in FINISH_REASONS
            stop = each.hypothesis.stop
            assert not stop or options.get("keep_stop", False) == each.text.endswith(stop)
            assert stop or not any(one in each.text for one in options.get("stop", ()))
        if decoder.streams:
            stream = TextStream("", generator.stream(PROMPTS[row], decoder, 6, row))
            assert "".join(stream) == alone[0].text
            assert plainly(stream.output) == plainly(alone[0])
