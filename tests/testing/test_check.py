"""Checks in a process of their own: a crash, a hang and an exit are findings."""

import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.testing.check import ALONE, check_apart, split_file

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
HANG = "time.sleep(999)"
THREAD = "threading.Thread(target=time.sleep, args=(999,)).start()"
THREAD += "; print('x' * 10**5); warnings.warn('what it prints is no finding')"


def test_a_crash_is_a_finding_with_its_place(place):
    crash = "            os.kill(os.getpid(), 11)"
    place.write("my_cell.py", CELL.replace("            pass", crash))
    [report] = check_apart("my_cell.py", ["hidden_size=4"], seconds=60)
    [law] = report.broken
    assert law.law == "it works in float64"
    assert law.says.startswith("it crashed (SIGSEGV) at my_cell.py:18 in step")
    outcomes = [each.outcome for each in report.findings]
    assert outcomes.count("kept") > 10, "what came before it still counts"
    assert outcomes[-1] == "not tried"
    assert report.findings[-1].says == "the process died during: it works in float64"


@pytest.mark.parametrize(
    ("does", "law", "says"),
    [
        (
            HANG,
            FIRST,
            "no end within 2 s (--seconds gives it longer) at my_cell.py:17",
        ),
        ("sys.exit()", FIRST, "it ended the process with exit code 0"),
        ("print('x' * 10**6); os._exit(3)", FIRST, "ended the process with exit code 3"),
        ("os.fork()", ALONE, "the copy returns into the program"),
        (THREAD, ALONE, "runs on (Thread-1"),
    ],
)
def test_whatever_it_does_to_the_process_is_one_finding(does, law, says, place):
    place.write("my_cell.py", CELL.replace("        if torch", f"        {does}\n        if torch"))
    [report] = check_apart("my_cell.py:mine", seconds=2 if does == HANG else 60)
    [found] = report.broken
    assert found.law == law
    assert says in found.says


def test_reading_a_report_does_not_import_torch():
    code = "import sys, seqgen.testing.check, seqgen.cli.parts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a/b.py", (Path("a/b.py"), "")),
        ("a/b.py:c", (Path("a/b.py"), "c")),
        ("cells.lstm", (None, "cells.lstm")),
    ],
)
def test_paths(wanted, found):
    assert split_file(wanted) == found
