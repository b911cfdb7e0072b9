"""The machine: devices, threads, precision and memory."""

import os
import subprocess
import sys

import pytest
import torch

from seqgen.errors import SetupError
from seqgen.machine import (
    Threads,
    available_cores,
    choose_device,
    choose_precision,
    choose_threads,
    finish_work,
    hardware,
    memory_for,
)
from seqgen.options import OptionError, check_value

CPU = torch.device("cpu")


class TestDevice:
    def test_cpu_is_always_there(self):
        assert choose_device("cpu") == CPU

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_without_a_gpu(self):
        assert choose_device("auto") == CPU
        with pytest.raises(SetupError, match="cuda was asked for, but torch finds none"):
            choose_device("cuda")

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
    def test_with_a_gpu(self):
        assert choose_device("auto").type == choose_device("cuda").type == "cuda"

    @pytest.mark.parametrize("wanted", ["cpu", "auto"])
    def test_it_has_a_name_and_comes_to_an_end(self, wanted):
        device = choose_device(wanted)
        assert hardware(device).strip()
        finish_work(device)


class TestThreads:
    @pytest.mark.parametrize("wanted", [1, 3, 64])
    def test_a_number_is_taken_as_it_is(self, wanted):
        assert choose_threads(wanted, 1, 2) == wanted

    @pytest.mark.parametrize("wanted", [0, -1, 1025, 100_000, 10**30, 2.5, "many", True])
    def test_what_no_machine_has_is_refused(self, wanted):
        with pytest.raises(OptionError, match="must be"):
            check_value(Threads, wanted, ("threads",))

    def test_little_work_takes_one(self):
        assert choose_threads("auto", 0, 64) == choose_threads("auto", 10_000, 64) == 1

    def test_much_work_takes_what_there_is_up_to_a_limit(self):
        assert [choose_threads("auto", 10**15, cores) for cores in (1, 2, 8, 128)] == [1, 2, 8, 8]

    def test_more_work_never_takes_fewer(self):
        found = [choose_threads("auto", 10**power, 8) for power in range(16)]
        assert found == sorted(found)

    def test_cores_are_those_of_this_process(self):
        assert 1 <= available_cores() <= (os.cpu_count() or 1)


class TestPrecision:
    @pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
    def test_is_what_is_asked_for(self, wanted):
        assert choose_precision(wanted, CPU) == wanted

    def test_auto_is_one_of_them(self):
        assert choose_precision("auto", CPU) in ("float32", "bfloat16")


class TestMemory:
    def test_too_little_is_a_setup_error(self):
        with pytest.raises(SetupError) as caught, memory_for("the model; make it smaller"):
            torch.empty(2**60, dtype=torch.uint8)
        assert str(caught.value).startswith("not enough memory for the model; make it smaller: ")
        assert "\n" not in str(caught.value)

    def test_so_is_pythons_own(self):
        with pytest.raises(SetupError, match="for a list: out of memory"), memory_for("a list"):
            raise MemoryError

    @pytest.mark.parametrize("error", [RuntimeError("shapes"), ValueError("allocate")])
    def test_other_errors_pass(self, error):
        with pytest.raises(type(error), match=str(error)), memory_for("anything"):
            raise error

    def test_nothing_wrong_nothing_said(self):
        with memory_for("a tensor"):
            assert torch.ones(3).sum() == 3


SCRIPT = """
import torch
from seqgen.machine import keep_freed_memory
keep_freed_memory()
keep_freed_memory()
for size in (10, 10**6, 10**7):
    assert torch.ones(size).sum() == size
print("fine")
"""


def test_keeping_freed_memory_harms_nothing():
    """In a process of its own, since it concerns all of it."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("fine\n", "")
