"""Outputs and systems, written out, as tests of measures need them."""

import pytest

from seqgen.comparison.decode import Output, Produced
from seqgen.comparison.systems import System
from seqgen.decoders import Hypothesis
from seqgen.generate import Generated
from seqgen.tokenizers import EOS


def make_output(text, log_prob=0.0, finished=True, complete=True):
    """An output whose tokens are the words of `text`, with an end token where it is `finished`; all
    its tokens have the same share of `log_prob`, or the `log_prob`s that are listed."""
    pieces = (*text.split(), *(["<eos>"] if finished else []))
    tokens = (*range(4, 4 + len(text.split())), *([EOS] if finished else []))
    if isinstance(log_prob, float):
        log_prob = [log_prob / len(tokens)] * len(tokens) if tokens else []
    log_probs = tuple(log_prob)
    hypothesis = Hypothesis(tokens, sum(log_probs), finished, log_probs, complete=complete)
    return Output(Generated("source", text, hypothesis, pieces), log_probs)


@pytest.fixture
def output():
    """A function from a text to an output, see `make_output`."""
    return make_output


@pytest.fixture
def produced():
    """A function from a label and for each seed its outputs, one an input (or a list of them), to
    what a system produced. Texts stand for outputs."""

    def listed(own):
        every = own if isinstance(own, list) else [own]
        return [make_output(each) if isinstance(each, str) else each for each in every]

    def make(label, *seeds, rows=0):
        system = System(label, 0, {"name": label}, draws=len(seeds) > 1)
        outputs = [[listed(own) for own in seed] for seed in seeds]
        return Produced(system, range(1, len(seeds) + 1), outputs, rows)

    return make
