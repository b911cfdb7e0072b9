"""What a trace says, whatever the file holds."""

import pytest

from seqgen.reports.comparison.trace_content import NOBODY, Candidate, told


def test_an_example_by_hand(branching):
    content = told(branching)
    assert [node.depth for node in content.nodes] == [0, 1, 1, 2, 2]
    assert [node.total for node in content.nodes] == pytest.approx([0, -0.5, -1.5, -0.75, -1.75])
    assert content.way(3) == [0, 1, 3]
    assert content.children() == [[1, 2], [3], [4], [], []]
    assert content.given_up() == [4]
    [output] = content.outputs
    steps = content.steps(output)
    assert [step.token for step in steps] == [("a", -0.5), ("b", -0.25), ("</s>", -0.125)]
    assert [step.total for step in steps] == pytest.approx([-0.5, -0.75, -0.875])
    assert [step.considered[0].token for step in steps] == ["a", "b", "</s>"]


@pytest.mark.parametrize(
    "trace",
    [
        {},
        {"nodes": None, "outputs": 7, "left_out": "x"},
        {"nodes": [[], 3], "outputs": ["x"]},
    ],
)
def test_what_is_foreign_is_nothing(trace):
    content = told(trace)
    assert (content.nodes, content.outputs, content.left_out) == ((), (), 0)


def test_what_is_lacking_in_a_node_is_not_known():
    nodes = [
        {"parent": 5, "considered": [["a"], ["b", "x"], [1, 2], 3, ["c", -1]]},
        {"parent": 9, "token": 3, "log_prob": None},
        {"parent": True, "token": "x", "log_prob": float("nan")},
        {"parent": -1, "token": "y", "log_prob": -1},
    ]
    content = told({"nodes": nodes, "outputs": [{"node": 44, "text": "t"}, {"node": 1}]})
    assert content.nodes[0].considered == (Candidate("b", None), Candidate("c", -1.0))
    assert [node.parent for node in content.nodes] == [NOBODY, 0, 0, 0]
    assert [node.total for node in content.nodes] == [0.0, None, None, -1.0]
    first, second = content.outputs
    assert first.node == NOBODY
    assert content.steps(first) == []
    assert [step.total for step in content.steps(second)] == [None, None]
    assert (first.finished, first.complete, first.rank) == (None, True, None)
