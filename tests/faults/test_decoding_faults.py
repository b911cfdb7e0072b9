"""Decoding: scores that are none, lengths that leave nothing, more than there is."""

import json

import pytest

# A cell that works until its sixth step outside training, and then gives what is no number.
LATER = """
import torch
from seqgen.cells import Cell, cells


@cells.register("later")
class Later(Cell):
    def __init__(self, input_size: int):
        super().__init__()
        self.output_size = 4
        self.map = torch.nn.Linear(input_size, 4)

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, 1)

    def step(self, x, state):
        late = (state >= 5) & torch.tensor(not self.training)
        return torch.where(late, float("nan"), self.map(x)), state + 1
"""
DECODERS = ["greedy", "multinomial", "beam", "exact", "stochastic_beam", "minimum_bayes_risk"]


def test_scores_that_are_no_numbers_end_in_one_line_with_step_and_row(
    place, command, refused, own_registries
):
    place.write("later.py", LATER)
    few = ("train.max_steps=1", "data.split=[1, 0, 0]", "samples.length=0")
    cell = ("plugins=[later.py]", "model.cell=later")
    assert command("run", "tiny.yaml", "--out", "run", *few, *cell).code == 0
    generate = ("generate", "run", "--plugin", "later.py", "--prompt", "the", "--decoder")
    for decoder in DECODERS:
        line = refused(6, "no token can be chosen", *generate, decoder)
        assert "row 0 at step " in line
        assert command(*generate, decoder, "--max-length", 1).code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("--decoder", "beam", "--set", "beam_size=1000"),
        ("--decoder", "beam", "--n-best", 5),
        ("--decoder", "top_k", "--set", "k=21"),
        ("--max-length", 0),
        ("--max-length", 1, "--set", "temperature=0"),
        ("--set", "temperature=1e-4"),
        ("--decoder", "greedy", "--set", "constraints=[{name: no_repeat_ngram, size: 1}]"),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_more_than_there_is_or_nothing_is_no_fault(words, finished_run, command):
    """A beam wider than the vocabulary, no room, all bans at once: no crash and no NaN."""
    words = ("--max-length", 4, *words) if "--max-length" not in words else words
    ended = command("generate", finished_run, "--prompt", "the", "--json", *words)
    assert ended.code == 0, ended.err
    assert "NaN" not in ended.out
    assert json.loads(ended.out)
