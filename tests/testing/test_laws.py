"""What a law is: kept, broken or not tried, and whatever a part raises is a finding."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from seqgen.testing.laws import (
    ALONE,
    BreachError,
    Finding,
    Law,
    NotTriedError,
    Report,
    check_apart,
    describe,
    split_file,
    try_laws,
    unwatched,
)


def breach(case):
    raise BreachError(f"{case} is wrong; fix it")


def no_matter(case):
    raise NotTriedError("it has no weights")


def fault(case):
    raise KeyError("two\nlines")


def fine(case):
    warnings.warn("it is noisy", stacklevel=1)
    torch.rand(3)


def interrupt(case):
    raise KeyboardInterrupt


def outcomes(*laws, watch=unwatched):
    report = try_laws("mine", laws, "this", watch)
    return {each.law: (each.outcome, each.says) for each in report.findings}


def test_each_outcome_has_its_sentence():
    tests = {"a": fine, "b": breach, "c": no_matter, "d": fault}
    found = outcomes(*(Law(name, test, "do so") for name, test in tests.items()))
    outcome, says = found.pop("d")
    assert found == {
        "a": ("kept", ""),
        "b": ("broken", "this is wrong; fix it"),
        "c": ("not tried", "it has no weights"),
    }
    assert outcome == "broken"
    assert says.startswith("KeyError: ")
    assert says.endswith("): do so")
    assert "test_laws.py:" in says, "the place of the part, not of the check"


def test_a_law_that_needs_a_broken_one_is_blocked():
    needs = {"a": (breach, ()), "b": (fault, ("a",)), "c": (fine, ()), "d": (fine, ("c", "b"))}
    found = outcomes(*(Law(name, test, "", needed) for name, (test, needed) in needs.items()))
    assert found["b"] == ("not tried", "blocked by: a")
    assert found["c"] == ("kept", "")
    assert found["d"] == ("not tried", "blocked by: a"), "the root, not what waits for it"


def test_an_observer_sees_each_law_before_it_is_tried():
    seen = []
    outcomes(Law("a", fine, ""), Law("b", breach, ""), watch=lambda *event: seen.append(event))
    events = [(name, found and found.outcome) for name, found in seen]
    assert events == [("a", None), ("a", "kept"), ("b", None), ("b", "broken")]


def test_the_random_numbers_of_others_are_left_alone():
    before = torch.get_rng_state()
    outcomes(Law("a", fine, ""))
    assert torch.equal(torch.get_rng_state(), before)


def test_control_c_is_no_finding():
    with pytest.raises(KeyboardInterrupt):
        outcomes(Law("a", interrupt, ""))


def test_a_report_requires():
    Report("mine", (Finding("a", "kept"), Finding("b", "not tried", "x"))).require()
    broken = Report("mine", (Finding("a", "broken", "fix it"), Finding("b", "kept")))
    with pytest.raises(AssertionError, match="mine breaks 1 law\na: fix it"):
        broken.require()


def test_an_error_without_words_has_its_name():
    assert describe(ValueError()) == "ValueError"


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
    code = "import sys, seqgen.testing.laws, seqgen.cli.parts; sys.exit('torch' in sys.modules)"
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
