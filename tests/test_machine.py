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
    computing,
    finish_work,
    hardware,
    keep_random_state,
    memory_for,
)
from seqgen.options import OptionError, check_value

CPU = torch.device("cpu")


def test_the_device_is_a_gpu_where_there_is_one():
    assert choose_device("cpu") == CPU
    if torch.cuda.is_available():
        assert choose_device("auto").type == choose_device("cuda").type == "cuda"
    else:
        assert choose_device("auto") == CPU
        with pytest.raises(SetupError, match="cuda was requested, but torch finds no"):
            choose_device("cuda")
    for device in (CPU, choose_device("auto")):
        assert hardware(device).strip()
        finish_work(device)


@pytest.mark.parametrize("device", dict.fromkeys([CPU, choose_device("auto")]), ids=str)
def test_random_numbers_go_on_as_if_none_had_been_drawn(device):
    def draw():
        return torch.rand(3, device=device).tolist() + torch.rand(3).tolist()

    torch.manual_seed(1)
    wanted = draw()
    torch.manual_seed(1)
    with keep_random_state(device):
        torch.manual_seed(2)
        assert draw() != wanted
    assert draw() == wanted


@pytest.mark.parametrize(
    ("wanted", "work", "cores", "threads"),
    [
        *((number, 1, 2, number) for number in (1, 3, 64)),  # a number is taken as it is
        *(("auto", work, 64, 1) for work in (0, 10_000)),
        *(("auto", 10**15, cores, min(cores, 8)) for cores in (1, 2, 8, 128)),
    ],
)
def test_much_work_takes_many_threads(wanted, work, cores, threads):
    assert choose_threads(wanted, work, cores) == threads
    found = [choose_threads("auto", 10**power, 8) for power in range(16)]
    assert found == sorted(found)
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_less_work_makes_a_thread_of_a_step_worthwhile():
    threads = [choose_threads("auto", work, 3, per_thread=10) for work in (0, 19, 20, 29, 10**9)]
    assert threads == [1, 1, 2, 2, 3]


def test_threads_are_put_back_after_an_error_too():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), computing(2):
        torch.ones(torch.get_num_threads() + 1) @ torch.ones(2)
    with computing():
        assert torch.get_num_threads() == before
        torch.set_num_threads(2)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("said", "most"), [("1", 1), ("1000", 1000), ("0", 1), ("2,1", 1000)])
def test_a_user_says_how_many_cores_there_are(said, most, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    every = available_cores()
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert available_cores() == min(every, most)


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    whole = available_cores()
    for processes, cores in ((1, whole), (2, max(1, whole // 2)), (10 * whole, 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
        assert available_cores() == cores


@pytest.mark.parametrize("wanted", [0, -1, 1025, 100_000, 10**30, 2.5, "many", True])
def test_threads_that_no_machine_has_are_refused(wanted):
    with pytest.raises(OptionError, match="must be"):
        check_value(Threads, wanted, ("threads",))


def test_the_precision_is_what_is_asked_for():
    for wanted in ("float32", "bfloat16"):
        assert choose_precision(wanted, CPU) == wanted
    assert choose_precision("auto", CPU) in ("float32", "bfloat16")


def test_too_little_memory_is_a_setup_error():
    with pytest.raises(SetupError) as caught, memory_for("the model; make it smaller"):
        torch.empty(2**60, dtype=torch.uint8)
    assert str(caught.value).startswith("not enough memory for the model; make it smaller: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(SetupError, match="for a list: out of memory"), memory_for("a list"):
        raise MemoryError
    for error in (RuntimeError("shapes"), ValueError("allocate")):
        with pytest.raises(type(error), match=str(error)), memory_for("anything"):
            raise error
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
