"""Which cells the tree of a trace has."""

import pytest

from seqgen.reports.comparison import trace_cells
from seqgen.reports.comparison.trace_cells import cells_of, in_order
from seqgen.reports.comparison.trace_content import told


def names(cells, kind):
    return [cell.token.token for cell in cells if cell.kind == kind]


def test_an_example_by_hand(branching):
    cells = cells_of(told(branching))
    assert names(cells, "kept") == ["<s>", "a", "c", "b", "d"]
    assert names(cells, "ended") == ["</s>"]
    # Behind a: x at -2.5 in all; behind the start: e at -2, while f is too improbable.
    assert names(cells, "dropped") == ["e", "x", "d", "</s>"]
    assert [cell.column for cell in cells] == [0, 1, 1, 2, 2, 3, 1, 2, 3, 3]
    assert [cell.total for cell in cells[5:]] == pytest.approx([-0.875, -2, -2.5, -2.75, -2.75])
    assert [cell.best for cell in cells if cell.best == 1] == [1] * 4
    assert cells[1].kept == {"b"}
    first, second, *_ = in_order(cells)
    assert [cells[place].token.token for place in first] == ["a", "c", "e"]
    assert [cells[place].token.token for place in second] == ["b", "x"]


def test_of_many_paths_those_to_outputs_and_the_last_are_drawn(branching, monkeypatch):
    for _ in range(4):  # more paths that were given up at the first step, each a later one
        branching["nodes"].append(
            {"parent": 0, "token": "late", "log_prob": -3.0, "considered": []}
        )
    monkeypatch.setattr(trace_cells, "MOST_NODES", 5)
    cells = cells_of(told(branching))
    assert names(cells, "kept") == ["<s>", "a", "b", "late", "late"]
    monkeypatch.setattr(trace_cells, "MOST_NODES", 1)
    assert names(cells_of(told(branching)), "kept") == ["<s>", "a", "b"]


def test_of_a_long_path_the_first_steps_are_drawn(branching, monkeypatch):
    monkeypatch.setattr(trace_cells, "MOST_STEPS", 2)
    cells = cells_of(told(branching))
    assert max(cell.column for cell in cells) == 2
    assert names(cells, "ended") == []
    assert [cell.token.token for cell in cells if cell.best == 1] == ["<s>", "a", "b"]


def test_a_step_shows_the_best_it_has_dropped():
    considered = [[str(place), -1.0 - place] for place in range(6)]
    nodes = [
        {"parent": -1, "token": "<s>", "log_prob": 0, "considered": considered},
        {"parent": 0, "token": "1", "log_prob": -2, "considered": []},
    ]
    cells = cells_of(told({"nodes": nodes, "outputs": []}))
    assert names(cells, "dropped") == ["0", "2", "3"]


def test_equal_outputs_share_a_cell(branching):
    branching["outputs"].append(branching["outputs"][0])
    [cell] = [cell for cell in cells_of(told(branching)) if cell.kind == "ended"]
    assert cell.outputs == (1, 2)
