"""Verifying that stopping changes nothing: what passes, and what is found."""

import sys

import pytest

from seqgen.errors import PluginError, RecipeError
from seqgen.verify import Ended, verify_resume, work

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, so that torch is there")


@pytest.fixture
def verify(place, finished_run, fork):
    """Verifies a recipe in processes that are copies of this one, where all is loaded."""

    def launch(part):
        said = place.folder / "said"

        def do():
            with said.open("w") as sys.stderr:
                work(part)

        return Ended(fork(do).wait(), said.read_text())

    def call(*overrides, recipe="tiny.yaml", at=()):
        return verify_resume(recipe, overrides, at, launch=launch)

    return call


def test_text_passes(verify):
    parts = [
        "tokenizer={name: sentencepiece, vocab_size: 280, sampling_alpha: 0.3}",
        "data.batch_size=64",  # so an epoch is a few steps
        "model.dropout=0.2",
        "train.average={name: exponential, decay: 0.7}",
        "train.patience=1",
    ]
    proof = verify(*parts, at=[1, 4])
    assert (proof.epoch, proof.steps, proof.stops, proof.first) == (4, 6, (1, 4), None)
    what = [each.what for each in proof.compared]
    assert what[0] == "log"
    assert {"best: weights", "last: weights", "samples.json", "result.json"}.issubset(what)


def test_a_state_in_bfloat16_passes(verify):
    proof = verify("train.precision=bfloat16", "model.cell.name=lstm", at=[2])
    assert proof.first is None


@pytest.mark.parametrize(
    "parts",
    [
        ["model.sampling={rate: 0.5}", "model.cell.name=lstm_cell"],
        [
            "model.sampling={rate: 1, curve: sigmoid, begin: 0.3}",
            *("model.input_feeding=true", "model.input_dropout=0.1", "model.encoder.dropout=0.2"),
            "model.cell={name: variational_dropout, cell: {name: lstm_cell, hidden_size: 8}}",
            *("train.schedule=plateau", "train.patience=9", "evaluation.criterion=exact_match"),
            "evaluation.validation_decoder={name: beam, beam_size: 2}",
        ],
    ],
    ids=["plain", "with noise"],
)
def test_pairs_pass_beyond_an_epoch(parts, place, verify):
    """In mid-epoch, with tokens that the model draws itself, in rate and in noise."""
    place.pairs([a + b for a in "abcdef" for b in ("", *"abcdefgh")] * 2)
    proof = verify("data.batch_size=8", *parts, recipe="pairs.yaml")
    assert proof.epoch == 11
    assert (proof.steps, proof.stops) == (15, (1, 6, 8, 11, 12))
    assert proof.first is None
    assert "answers.json" in [each.what for each in proof.compared]


CELL = """\
import itertools, random
import torch
from torch import nn
from seqgen.cells import Cell, cells

@cells.register("odd")
class Odd(Cell):
    def __init__(self, input_size: int, hidden_size: int = 8) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.linear = nn.Linear(input_size + hidden_size, hidden_size)
        self.seen = 0

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.output_size)

    def step(self, x, state):
        noise = 0
        if self.training:
            noise = {noise}
        state = torch.tanh(self.linear(torch.cat([x, state], -1)) + noise)
        return state, state

    def count(self):
        self.seen += 1
        return self.seen * 1e-3
"""

DATA = """\
from dataclasses import dataclass
from seqgen.data import data
from seqgen.data.lines import LinesData

@data.register("odd_lines")
@dataclass(eq=False)
class Odd(LinesData):
    def training(self, tokenizers):
        found = super().training(tokenizers)
        original, calls = found.batch, []
        def batch(step):
            calls.append(step)
            return original(len(calls))
        found.batch = batch
        return found
"""


LINES = "data={name: odd_lines, train: lines.txt, valid: lines.txt, batch_size: 4}"
FINGERPRINT = """
    def fingerprint(self):
        import os
        return {"odd": str(os.getpid())}
"""


@pytest.mark.parametrize(
    ("noise", "first"),
    [("self.count()", 2), ("random.random()", 1)],
    ids=["a counter outside of the state", "random numbers of Python"],
)
def test_a_cell_that_remembers_is_found(noise, first, place, verify):
    place.write("odd.py", CELL.replace("{noise}", noise))
    proof = verify("model.cell=odd", "plugins=[odd.py]", at=[1])
    assert proof.first.what == "log"
    assert proof.first.difference.startswith(f"step {first} (train): loss is ")
    assert "last: weights" in [each.what for each in proof.compared if each.difference]


def test_data_whose_order_depends_on_the_calls_is_found(place, verify):
    place.write("odd.py", DATA)
    place.write("lines.txt", "".join(f"line {n} of some\n" for n in range(100)))
    proof = verify(LINES, "plugins=[odd.py]", at=[2])
    assert proof.first.difference.startswith("step 3 (train): loss is ")


def test_data_that_differs_between_processes_is_found(place, verify):
    place.write("odd.py", DATA + FINGERPRINT)
    place.write("lines.txt", "".join(f"line {n} of some\n" for n in range(100)))
    with pytest.raises(PluginError, match=r"stopped after step 2 does not go on: .*the data has"):
        verify(LINES, "plugins=[odd.py]", at=[2])


def test_what_is_wrong_with_the_recipe_is_said(verify):
    with pytest.raises(RecipeError, match=r"override model.cell=lstn: .*did you mean 'lstm'"):
        verify("model.cell=lstn")


def test_the_verb(place, command):
    """In processes of its own, with another order of sets in each."""
    ended = command("verify-resume", "tiny.yaml", "--at", "1")
    assert ended.code == 0, ended.err
    assert "3 steps, stopped after 1; an epoch has " in ended.out
    assert "the same" in ended.out
    assert "differs" not in ended.out
