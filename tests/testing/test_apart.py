"""Checks in a process of their own: a crash, a hang and an exit are findings."""

import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.testing.apart import ALONE, check_apart, split_file

CELL = """\
import os, signal, sys, threading, time, warnings
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
    [report] = check_apart("my_cell.py", ["hidden_size=4"], seconds=60)
    [law] = report.broken
    assert law.law == "it works in float64"
    assert law.says.startswith("it crashed (SIGSEGV) at my_cell.py:18 in step")
    outcomes = [each.outcome for each in report.findings]
    assert outcomes.count("kept") > 10, "what came before it still counts"
    assert outcomes[-1] == "not tried"


def first_step(place, does):
    place.write("my_cell.py", CELL.replace("        if torch", f"        {does}\n        if torch"))


def test_a_hang_is_a_finding_with_its_place(place):
    first_step(place, "time.sleep(999)")
    [report] = check_apart("my_cell.py:mine", seconds=2)
    [law] = report.broken
    assert law.law == FIRST
    assert law.says == "no end within 2 s (--seconds gives it longer) at my_cell.py:17 in step"


@pytest.mark.parametrize(
    ("does", "law", "says"),
    [
        ("sys.exit()", FIRST, "it ended the process with exit code 0"),
        ("print('x' * 10**6); os._exit(3)", FIRST, "ended the process with exit code 3"),
        ("os.fork()", ALONE, "the copy returns into the program"),
        ("threading.Thread(target=time.sleep, args=(999,)).start()", ALONE, "runs on (Thread-1"),
    ],
)
def test_whatever_it_does_to_the_process_is_one_finding(does, law, says, place):
    first_step(place, does)
    [report] = check_apart("my_cell.py", seconds=60)
    [found] = report.broken
    assert found.law == law
    assert says in found.says


def test_what_it_prints_is_no_finding(place):
    first_step(place, "print('x' * 10**5); warnings.warn('mind this')")
    [report] = check_apart("my_cell.py", seconds=60)
    assert report.broken == ()


def test_whoever_reads_a_report_waits_for_no_torch():
    code = "import sys, seqgen.testing.apart, seqgen.cli.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_paths():
    assert split_file("a/b.py") == (Path("a/b.py"), "")
    assert split_file("a/b.py:c") == (Path("a/b.py"), "c")
    assert split_file("cells.lstm") == (None, "cells.lstm")
