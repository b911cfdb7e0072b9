"""Outputs and systems, written out, as tests of measures need them."""

import json
from pathlib import Path

import pytest

from seqgen.comparison import Document, Plan, Results, System, read_document
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
    significance = {"level": 0.95, "resamples": 1000, "shuffles": 5000}
    empty = {
        **dict.fromkeys(("quality", "diversity", "references", "search", "best_of", "timings")),
        **{name: [] for name in ("runs", "systems", "curves", "outputs", "traces")},
        **{"format": FORMAT, "seqgen": "0.1.0", "description": "", "seed": 7, "inputs": inputs},
        "plan": {
            "samples": 1,
            "precision": "double",
            "unit": "words",
            "significance": significance,
        },
        **{"measures": {}, "baseline": "greedy", "verdict": Verdict(take=None, why=[])},
    }
    return lambda **parts: Document(**{**empty, **parts})


PAGES = Path(__file__).parents[1] / "golden" / "pages"


@pytest.fixture
def pronounced():
    """Fourteen strategies of a model that reads sources: a document as plain data to change."""
    return json.loads((PAGES / "pronounced.json").read_text(encoding="utf-8"))


@pytest.fixture
def prose():
    """Nine strategies of a language model, without metrics, timings and search errors."""
    return json.loads((PAGES / "prose.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder_of(tmp_path):
    """A function that writes a document, or any text, as compare.json; returns its folder."""

    def write(document):
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / "compare.json").write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def read(folder_of):
    """A function from a document as plain data to its results."""
    return lambda document: Results(read_document(folder_of(document)))


@pytest.fixture
def small(read, pronounced):
    """A function from systems, by label with their values, and their differences from the baseline
    in error, to the results of a document that has nothing else but what is changed."""
    nothing = {"search": None, "best_of": None, "references": None, "timings": None}
    nothing |= {"curves": [], "outputs": [], "traces": []}
    measures = {
        "error": ("error", "quality", "lower", "share"),
        "distinct_2": ("distinct", "diversity", "higher", ""),
        "rows_per_input": ("work", "work", "lower", "rows"),
    }

    def make(systems, differences=(), take=None, **changed):
        known = {name for values in systems.values() for name in values} | {"error"}
        document = {**pronounced, **nothing, "baseline": "", "quality": "error"}
        document["measures"] = {
            name: dict(zip(("title", "group", "better", "unit"), each, strict=True), about="")
            for name, each in measures.items()
            if name in known
        }
        about = {"run": "g2p", "decoder": {}, "draws": False, "seeds": [1]}
        document["systems"] = []
        for label, own in systems.items():
            values = {
                name: value if isinstance(value, dict) else {"value": value}
                for name, value in own.items()
            }
            tests = {"error": differences[label]} if label in differences else {}
            system = {"label": label, "values": values, "against_baseline": tests, **about}
            document["systems"].append(system)
        document["verdict"] = {"take": take, "why": []}
        return read({**document, **changed})

    return make
