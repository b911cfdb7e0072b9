"""What is exported: equal for other sizes, and refused by name where it cannot be.

A few parts of each kind, since a model takes seconds: `benchmarks/export.py --parts` tries all.
"""

import io
from dataclasses import replace

import pytest
import torch
from torch import nn

from seqgen.cells import Cell, cells
from seqgen.export import contents
from seqgen.export.networks import TOLERANCE, networks
from seqgen.models import evaluating, models
from seqgen.trained import TrainedRun

LSTM = {"name": "lstm", "hidden_size": 5}
READER = {"name": "recurrent", "cell": LSTM, "embedding": {"size": 4}}


@pytest.fixture
def with_model(finished_run, pairs_run):
    """A function from the spec of a model to a run that has it, with random weights."""

    def make(spec):
        name = spec["name"]
        run = TrainedRun.load(finished_run if name == "language_model" else pairs_run, "cpu")
        torch.manual_seed(1)
        sizes = run.built.data.sizes(run.built.tokenizers)
        sizes.get("source", {})["letters_size"] = 7
        known = models.entry(name).supplied
        model = models.build(spec, **{key: sizes[key] for key in sizes if key in known}).eval()
        return replace(run, built=replace(run.built, model=model))

    return make


def test_a_cell_in_small_operations_is_exported_as_onnx(with_model, small):
    """Which is checked where it is written, for batches of other sizes, too."""
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    run = with_model({"name": "language_model", "cell": small(cells, "slstm")})
    assert contents(run, "onnx").keys() == {"step.onnx"}


SPECS = {
    "cells in small operations": lambda small: {
        **{"name": "seq2seq", "attention": "additive", "input_feeding": True},
        "cell": small(cells, "peephole_lstm"),
        "encoder": {**READER, "cell": small(cells, "slstm")},
    },
    "tagger": lambda small: {"name": "tagger", "encoder": READER, "head": "mixture_of_softmaxes"},
    "tied, one-hot": lambda small: {
        **{"name": "language_model", "cell": LSTM, "embedding": "one_hot", "head": "tied"},
    },
}


@pytest.mark.parametrize("name", SPECS)
def test_parts_are_exported_for_torch(name, with_model, small):
    """Read again, the programs give what the networks give: the same inputs, the same outputs."""
    run = with_model(SPECS[name](small))
    files = contents(run, "torch")
    with evaluating(run.built.model):
        every = networks(run)
    assert [*files] == [f"{each}.pt2" for each in every]
    for each, network in every.items():
        program = torch.export.load(io.BytesIO(files[f"{each}.pt2"])).module(check_guards=False)
        with torch.no_grad():
            found, wanted = (some(*network.examples[2]) for some in (program, network.module))
        for one, other in zip(found, wanted, strict=True):
            assert one.double().allclose(other.double(), atol=TOLERANCE)


class Turning(Cell):
    """A cell whose step depends on what is in the numbers, or on how many rows there are."""

    def __init__(self, how):
        super().__init__()
        self.output_size, self.how = 5, how
        self.linear = nn.Linear(10, 5)

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 5)

    def step(self, x, state):
        state = torch.tanh(self.linear(torch.cat([x, state], 1)))
        if self.how == "numbers" and state.sum() > 0:
            state = -state
        if self.how == "rows" and len(x) == 6:
            state = -state
        return state, state


@pytest.mark.parametrize("how", ["numbers", "rows"])
def test_what_depends_on_the_data_is_refused(how, with_model, said):
    run = with_model({"name": "language_model", "cell": LSTM, "embedding": {"size": 5}})
    run.built.model.cell = Turning(how)
    found = said(contents, run, "torch", kind=ValueError)
    assert found.startswith("the step of this run cannot be exported: ")


def test_letters_are_refused(with_model, said):
    run = with_model({"name": "tagger", "encoder": {**READER, "letters": READER}})
    found = said(contents, run, "torch", kind=ValueError)
    assert found == (
        "the encoder of this run cannot be exported: `sources` must have the letters of each "
        "token, but has none"
    )


def test_the_names_are_those_of_the_state(translator):
    described = [each["name"] for each in translator.runner.states + translator.runner.contexts]
    assert described == ["state.cell.0", "context.keys", "context.memory", "context.mask"]
    inputs = {each.name for each in translator.runner.stepper.get_inputs()}
    assert inputs <= {"tokens", *described}
    assert translator.runner.stepper.get_outputs()[0].name == "log_probs"


def test_log_probabilities_are_those_of_the_run(translator, few_words):
    """Teacher-forced, for a batch of another size than any that was traced."""
    runner, run = translator.runner, translator.run
    batch = run.built.data.prompts(few_words(9, 5), run.built.tokenizers)
    made = runner.encoder.run(
        None, {"source": batch.values.numpy(), "lengths": batch.lengths.numpy()}
    )
    tokens = torch.randint(4, 9, (9, 4), generator=torch.Generator().manual_seed(0))
    names = [each["name"] for each in runner.states + runner.contexts]
    states, contexts = made[: len(runner.states)], made[len(runner.states) :]
    model = run.built.model
    with evaluating(model):
        read, state, context, _ = model.start(batch)
        for column in [read, *tokens.unbind(1)]:
            log_probs, state = model.step(column, state, context)
            feed = dict(zip(names, [*states, *contexts], strict=True))
            known = {each.name for each in runner.stepper.get_inputs()}
            feed = {key: each for key, each in feed.items() if key in known}
            found, *states = runner.stepper.run(None, {"tokens": column[:, None].numpy(), **feed})
            assert torch.from_numpy(found[:, 0]).allclose(log_probs, atol=TOLERANCE)
