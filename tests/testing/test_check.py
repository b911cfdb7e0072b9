"""What a person wants checked: files and names."""

import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.errors import PluginError, UsageError
from seqgen.heads import LinearHead, heads
from seqgen.plugins import ROOMS
from seqgen.testing.check import ALONE, CHECKS, check_apart, find_targets, split_file

TWO = """
from seqgen.cells import LSTM, cells
from seqgen.heads import LinearHead, heads
cells.register("one")(lambda input_size: LSTM(input_size, 4))
heads.register("two")(lambda input_size, vocab_size: LinearHead(input_size, vocab_size))
"""


@pytest.fixture(autouse=True)
def _own_registries(own_registries):
    """Each test begins with the parts of the package alone."""


def test_a_name():
    assert [str(each) for each in find_targets("lstm")] == ["cells.lstm"]
    assert [str(each) for each in find_targets("decoders.greedy")] == ["decoders.greedy"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("lsmt", "no part named 'lsmt'; did you mean 'lstm'?"),
        ("cells.lsmt", "no cell named 'lsmt'; did you mean 'lstm'?"),
        ("cells.greedy", "no cell named 'greedy'"),
        ("optimizers.adamw", "there are checks for cells, heads, tokenizers, decoders, not for"),
    ],
)
def test_a_name_of_nothing(wanted, says):
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        find_targets(wanted)


def test_a_name_in_two_rooms_must_say_which():
    heads.register("lstm")(LinearHead)
    with pytest.raises(UsageError, match=r"say which: cells\.lstm, heads\.lstm"):
        find_targets("lstm")
    assert [str(each) for each in find_targets("heads.lstm")] == ["heads.lstm"]


def test_a_file_means_all_that_it_registers(place):
    place.write("two.py", TWO)
    assert [str(each) for each in find_targets("two.py")] == ["cells.one", "heads.two"]


def test_a_file_and_a_name(place):
    place.write("two.py", TWO)
    assert [str(each) for each in find_targets("two.py:two")] == ["heads.two"]


@pytest.mark.parametrize(
    ("content", "wanted", "says", "kind"),
    [
        (TWO, "two.py:tow", "registers nothing called 'tow'; did you mean 'two'", UsageError),
        ("", "two.py", "registers no part; put `@cells.register", PluginError),
        ("1/0", "two.py", "cannot be imported: ZeroDivisionError", PluginError),
    ],
)
def test_a_file_that_has_not_what_is_wanted(content, wanted, says, kind, place):
    place.write("two.py", content)
    with pytest.raises(kind, match=says):
        find_targets(wanted)


def test_every_room_with_checks_is_a_room():
    assert set(CHECKS) <= set(ROOMS)


# Checks in a process of their own: a crash, a hang and an exit are findings.


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
    code = "import sys, seqgen.testing.check, seqgen.cli.parts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_paths():
    assert split_file("a/b.py") == (Path("a/b.py"), "")
    assert split_file("a/b.py:c") == (Path("a/b.py"), "c")
    assert split_file("cells.lstm") == (None, "cells.lstm")
