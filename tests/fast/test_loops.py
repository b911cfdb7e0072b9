"""Captured loops are the loop, however readings follow each other; what stands for a CUDA graph
here runs the same work again, into the same places."""

from __future__ import annotations

import pytest
import torch
from written_cells import CHANGES, INPUT, Plain, require_same, trained

from seqgen.cells import cells, take_fast_routes
from seqgen.fast import Route, loops
from seqgen.fast.loops import CapturedLoops

LENGTHS = pytest.mark.parametrize("lengths", [None, [6, 0, 2, 5]], ids=["whole", "lengths"])
ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


def replayed(work):
    results = work()

    def again():
        for each, new in zip(results, work(), strict=True):
            each.copy_(new)

    return results, again


def impossible(work):
    raise RuntimeError("operation not permitted when stream is capturing\nand more")


def captured(cell, record=replayed):
    """The loops of `cell`, which has read a first sequence by small operations."""
    cell.route = Route(compiling=False)
    trained(cell, cell)
    [reader] = cell.route.readers.values()
    reader.loops = CapturedLoops(record)
    return reader.loops


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_captured_is_the_loop(change):
    cell = Plain(CHANGES[change]).train()
    graphs = captured(cell).graphs
    for _ in range(2):
        require_same(trained(cell, cell), trained(cell, cell.loop), 1e-5)
        with torch.no_grad():
            for each in cell.parameters():
                each.mul_(1.1)  # as a step of training does
    assert len(graphs) == 2  # forward and backward


def test_a_reading_may_begin_before_another_has_its_gradients():
    cell = Plain().train()
    graphs = captured(cell).graphs
    sequences = torch.randn(3, 4, 6, INPUT, requires_grad=True)

    def read(how):
        ends = [how(xs, cell.initial_state(4))[0].pow(2).sum() for xs in sequences]
        return [*ends, *torch.autograd.grad(sum(ends), [sequences, cell.of_hidden.weight])]

    require_same(read(cell), read(cell.loop), 1e-5)
    assert len(graphs) == 2


def test_shapes_after_the_last_graph_run_node_by_node(monkeypatch):
    monkeypatch.setattr(loops, "MOST_GRAPHS", 3)
    cell = Plain().train()
    graphs = captured(cell).graphs
    for batch in (4, 2, 5, 4):
        how = {"batch": batch}
        require_same(trained(cell, cell, **how), trained(cell, cell.loop, **how), 1e-5)
    assert [key[1:] for key in graphs] == [(6, 4), (6, 4), (6, 2)]


def test_what_cannot_be_captured_runs_in_small_operations_and_says_why():
    cell = Plain().train()
    captured(cell, impossible)
    require_same(trained(cell, cell), trained(cell, cell.loop), 1e-5)
    why = "not captured: operation not permitted when stream is capturing"
    assert cell.route.describe() == [f"derived up to 16 rows, else step by step ({why})"]


@pytest.mark.parametrize("first", [torch.inference_mode, torch.no_grad])
def test_a_graph_serves_all_readings_without_gradients(first):
    cell, xs = Plain().eval(), torch.randn(4, 6, INPUT)
    cell.route = Route(compiling=False)
    with torch.no_grad():
        cell(xs)
    [reader] = cell.route.readers.values()
    reader.loops = CapturedLoops(replayed)
    for mode in (first, torch.no_grad, torch.inference_mode):
        with mode():
            wanted, _ = cell.loop(xs, cell.initial_state(4))
            torch.testing.assert_close(cell(xs)[0], wanted)
    assert len(reader.loops.graphs) == 1


@ON_A_GPU
@LENGTHS
@pytest.mark.parametrize("change", CHANGES)
def test_a_gpu_reads_as_the_loop(change, lengths):
    cell = Plain(CHANGES[change]).cuda().train()
    cell.route = Route()

    def read(how):
        return trained(cell, lambda xs, *rest: how(xs.cuda(), *rest), lengths=lengths)

    require_same(read(cell), read(cell.loop), 1e-4)
    [how] = cell.route.describe()
    draws = "dropout" in change  # is one operation there, which draws by values
    assert how == "captured" or (draws and how.startswith("step by step"))


@ON_A_GPU
def test_a_gpu_reads_without_waiting_and_keeps_its_random_numbers():
    cell = cells.build({"name": "layer_norm_lstm", "hidden_size": 8}, input_size=INPUT).cuda()
    [route] = take_fast_routes(cell).values()
    xs, before = torch.randn(64, 6, INPUT).cuda(), torch.cuda.get_rng_state()
    cell(xs)[0].sum().backward()  # derived, checked and captured
    assert torch.equal(torch.cuda.get_rng_state(), before)
    torch.cuda.set_sync_debug_mode("error")
    try:
        cell(xs)[0].sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert route.describe() == ["captured"]
