"""Checks in a process of their own: a crash, a hang and an exit are findings."""

from seqgen.testing.apart import check_apart

CELL = """\
import os, signal, sys, time
import torch
from seqgen.cells import Cell, cells


@cells.register("mine")
class Mine(Cell):
    def __init__(self, input_size: int, hidden_size: int = 5):
        super().__init__()
        self.output_size = hidden_size
        self.map = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, self.output_size)

    def step(self, x, state):
        if torch.is_tensor(state) and self.map.weight.dtype is torch.float64:
            pass
        state = torch.tanh(self.map(torch.cat([x, state], 1)))
        return state, state
"""
FIRST = "a step returns an output and a state"


def test_a_crash_is_a_finding_with_its_place(place):
    place.write(
        "my_cell.py", CELL.replace("            pass", "            os.kill(os.getpid(), 11)")
    )
    [report] = check_apart("my_cell.py", ["hidden_size=4"])
    [law] = report.broken
    assert law.law == "it works in float64"
    assert law.says.startswith("it crashed (SIGSEGV) at my_cell.py:18 in step")
    outcomes = [each.outcome for each in report.findings]
    assert outcomes.count("kept") > 10, "what came before it still counts"
    assert outcomes[-1] == "not tried"


def test_a_hang_is_a_finding_with_its_place(place):
    place.write("my_cell.py", CELL.replace("            pass", "            time.sleep(999)"))
    [report] = check_apart("my_cell.py:mine", seconds=2)
    [law] = report.broken
    assert law.law == "it works in float64"
    assert law.says == "no end within 2 s at my_cell.py:18 in step"
