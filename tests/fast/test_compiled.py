"""Compiled loops are the loop; one compilation for each way of writing them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from written_cells import CHANGES, INPUT, Plain, require_same, require_the_loop, trained

from seqgen.cells import cells
from seqgen.fast import Route

pytest.importorskip("numba", reason="loops are compiled by numba")
from seqgen.fast import kernels

pytestmark = pytest.mark.skipif(not kernels.HAS_PRODUCT, reason="torch has no sgemm to call")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory, monkeypatch):
    """Loops are kept for the tests of one process, and not among the user's."""
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def everything(cell, y):
    """All kinds of loops in one step: views, sums, maxima, joined parts, functions, masks."""
    left, right = torch.cat([y[:, 3:], y[:, :3]], 1).chunk(2, 1)
    y = cell.above(torch.cat([left.tanh(), torch.maximum(left, right)], 1))
    y = nn.functional.layer_norm(y, y.shape[-1:]) * torch.softmax(y, 1)
    y = y.masked_fill(y > 99, -torch.inf)
    return nn.functional.dropout(nn.functional.gelu(y), 0.4, cell.training)


@pytest.mark.parametrize("lengths", [None, [6, 0, 2, 5]], ids=["whole", "lengths"])
def test_a_step_with_everything(lengths):
    cell = Plain(everything).train()
    assert require_the_loop(cell, Route(), lengths=lengths) == ["compiled"]


@pytest.mark.parametrize(
    ("options", "batch"),
    [
        ({"name": "slstm", "heads": 2}, 4),
        ({"name": "slstm", "heads": 2}, 1),
        ({"name": "peephole_lstm"}, 4),
    ],
    ids=["products for each head", "a row alone", "views of what is computed twice"],
)
def test_cells_of_many_kinds(options, batch):
    cell = cells.build({**options, "hidden_size": 4}, input_size=INPUT).train()
    assert require_the_loop(cell, Route(), batch=batch) == ["compiled"]


@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("rows", [1, 3])
def test_products_of_one_row_and_of_many(rows, transposed):
    a, b = torch.randn(rows, 7), torch.randn(7, 5)
    given = b.t().contiguous() if transposed else b
    found = torch.empty(rows, 5)
    kind = (7, 5, given.shape[1], transposed)
    flat = [each.view(-1).numpy() for each in (a, given, found)]
    kernels.product(kernels.sizes(rows, 7, 5, *kind), *flat, *kind)
    torch.testing.assert_close(found, a @ b)


def test_rows_are_the_same_on_one_thread_and_on_two():
    cell = Plain().train()
    cell.route = Route()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        wanted = trained(cell, cell)
        torch.set_num_threads(2)
        require_same(trained(cell, cell), wanted, 1e-6)
    finally:
        torch.set_num_threads(before)


def test_what_has_no_loop_is_done_in_small_operations():
    cell = Plain(lambda cell, y: y.cumsum(1)).train()
    assert "not compiled: no loop for" in require_the_loop(cell, Route())[0]


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "loops").mkdir()
    (tmp_path / "loops").chmod(0o777)
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path))
    cell = Plain(CHANGES["nothing"]).train()
    assert "can be written to by others" in require_the_loop(cell, Route())[0]


@pytest.mark.parametrize(
    ("function", "low", "high"),
    [
        ("tanh", -12, 12),
        ("sigmoid", -30, 30),
        ("exp", -100, 88),
        ("log", 1e-6, 1e6),
        ("log1p", -0.9, 9),
    ],
)
def test_functions_are_as_exact_as_said(function, low, high):
    from numba import njit

    written = getattr(kernels, function)

    @njit(**{**kernels.FAST, "cache": False})
    def apply(xs, ys):
        for index in range(len(xs)):
            ys[index] = written(xs[index])

    xs = torch.linspace(low, high, 10_001)
    ys = torch.empty_like(xs)
    apply(xs.numpy(), ys.numpy())
    wanted = getattr(torch, function)(xs.double())
    assert ((ys - wanted).abs() <= 3e-7 * wanted.abs().clamp(min=1)).all()
    edges = torch.tensor([float("inf"), float("nan")])
    if function != "sigmoid":
        ys = torch.empty_like(edges)
        apply(edges.numpy(), ys.numpy())
        torch.testing.assert_close(ys, getattr(torch, function)(edges), equal_nan=True)
