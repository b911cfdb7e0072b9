"""Outputs and systems, written out, as tests of measures need them."""

import pytest

from seqgen.comparison import Document, Plan, System
from seqgen.comparison.decode import Output, Produced
from seqgen.comparison.document import FORMAT, InputsInfo, Verdict
from seqgen.decoders import Hypothesis
from seqgen.generate import Generated
from seqgen.options import check_options, options_of
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


@pytest.fixture
def plan_of():
    """A function from strategies and options to a checked plan."""

    def make(*strategies, **more):
        data = {"strategies": list(strategies), **more}
        return Plan(**check_options(options_of(Plan), data, (), "a plan"))

    return make


@pytest.fixture
def document_of():
    """A function from some parts of a document to one whose other parts are empty."""
    inputs = InputsInfo(origin="test", count=1, of=1, continues=False, references=True, ends=True)
    nothing = dict.fromkeys(("quality", "diversity", "references", "search", "best_of", "timings"))
    empty = {
        **nothing,
        **{name: [] for name in ("runs", "systems", "curves", "outputs", "traces")},
        **{"format": FORMAT, "seqgen": "0.1.0", "description": "", "seed": 7, "inputs": inputs},
        "plan": {"significance": {"level": 0.95}},
        "measures": {},
        "baseline": "greedy",
        "verdict": Verdict(take=None, why=[]),
    }
    return lambda **parts: Document(**{**empty, **parts})
