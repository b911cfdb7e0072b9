"""The most bytes at once, of allocations that are known."""

import pytest
import torch

from seqgen.comparison.memory import peak_bytes

MEGABYTE = 1_000_000
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.fixture(params=DEVICES)
def device(request):
    return torch.device(request.param)


@pytest.fixture
def allocate(device):
    """A function that makes a tensor of so many bytes."""
    return lambda size: torch.empty(size, dtype=torch.uint8, device=device)


def test_the_most_at_once_and_not_the_sum(device, allocate):
    def work():
        large = allocate(10 * MEGABYTE)
        del large
        allocate(5 * MEGABYTE)

    assert peak_bytes(work, device) == pytest.approx(10 * MEGABYTE, rel=0.03)


def test_what_is_held_together_adds_up(device, allocate):
    def work():
        kept = [allocate(5 * MEGABYTE)]
        for _ in range(10):
            allocate(2 * MEGABYTE)
        kept.append(allocate(4 * MEGABYTE))

    assert peak_bytes(work, device) == pytest.approx(9 * MEGABYTE, rel=0.03)


def test_what_was_there_before_does_not_count(device, allocate):
    before = allocate(20 * MEGABYTE).fill_(1)
    peak = peak_bytes(lambda: (before.add_(1), allocate(10 * MEGABYTE)), device)
    assert peak == pytest.approx(10 * MEGABYTE, rel=0.03)


def test_nothing(device):
    assert peak_bytes(lambda: None, device) == 0


def test_what_an_operation_takes_inside_counts():
    def work():
        """A sort of one column: the values, their places, and a copy of the column inside."""
        rows.sort(0)

    rows = torch.rand(100_000, 3)
    outside = 3 * 100_000 * (4 + 8)
    assert peak_bytes(work, torch.device("cpu")) > outside


def test_it_is_the_same_each_time():
    lstm = torch.nn.LSTM(8, 16)

    def work():
        with torch.no_grad():
            lstm(torch.ones(20, 4, 8))[0].log_softmax(-1).topk(3)

    peaks = {peak_bytes(work, torch.device("cpu")) for _ in range(3)}
    assert len(peaks) == 1
    assert peaks.pop() > 20 * 4 * 16 * 4


def test_nothing_is_said(capfd):
    peak_bytes(lambda: torch.ones(10), torch.device("cpu"))
    assert capfd.readouterr() == ("", "")


def test_a_failure_passes_and_leaves_nothing_behind(device, allocate):
    def work():
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        peak_bytes(work, device)
    assert peak_bytes(lambda: allocate(MEGABYTE), device) == pytest.approx(MEGABYTE, rel=0.1)
