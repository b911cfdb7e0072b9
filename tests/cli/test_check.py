"""The verb `check`."""

import json

BROKEN = """
import torch
from seqgen.cells import Cell, cells

@cells.register("second")
class Second(Cell):
    def __init__(self, input_size: int):
        super().__init__()
        self.output_size = 2
        self.map = torch.nn.Linear(input_size, 2)

    def initial_state(self, batch_size):
        return torch.zeros(1, batch_size, 2)

    def step(self, x, state):
        return self.map(x), state

cells.register("[red]owner[/x]")(lambda input_size, width: Second(input_size))
"""


def test_a_part_that_keeps_all_laws(command):
    ended = command("check", "cells.lstm_cell", "--set", "hidden_size=3")
    assert (ended.code, ended.err) == (0, "")
    assert "cells.lstm_cell" in ended.out
    assert "a row alone is the row in a batch" in ended.out
    assert "broken" not in ended.out


def test_a_file_with_two_parts_that_do_not(command, place):
    place.write("second.py", BROKEN)
    ended = command("check", "second.py")
    assert ended.code == 8
    assert ended.err == "cells.[red]owner[/x], cells.second: 2 laws broken\n"
    [line] = [line for line in ended.out.splitlines() if "must be dimension 0" in line]
    assert "a state tensor of [1, 4, 2]: batch must be dimension 0" in line
    assert "`width` is missing" in ended.out
    assert "say it with --set" in ended.out


def test_for_programs(command, place):
    place.write("broken.py", "import sys\nprint('noise')\nsys.exit(3)")
    ended = command("check", "broken.py", "--json")
    assert ended.code == 8
    [found] = json.loads(ended.out)
    assert found["part"] == "broken.py"
    [law] = found["laws"]
    assert (law["law"], law["outcome"]) == ("is imported", "broken")
    assert law["says"] == "it ended the process with exit code 3; the last it said: noise"


def test_a_file_that_is_not_there(refusal):
    assert refusal(2, "check", "none.py") == "none.py: no such file"
    assert "no part named 'lsmt'; did you mean 'lstm'?" in refusal(2, "check", "lsmt")


def test_settings_must_be_settings(refusal):
    assert refusal(3, "check", "lstm", "--set", "x").startswith("--set x: must be of the form")
