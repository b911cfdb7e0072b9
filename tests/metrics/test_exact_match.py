"""The metric `exact_match`."""

from seqgen.metrics import ExactMatch


def test_any_reference_will_do(answers):
    rows = answers(("a b", "a b"), ("c", "x", "c"), ("a", "a b"), ("d", "D"))
    found = ExactMatch().measure(rows)
    assert found == (0.5, {"correct": 2, "answers": 4})


def test_spaces_count(answers):
    assert ExactMatch().measure(answers(("a  b", "a b"), ("a ", "a"))).value == 0.0


def test_nothing_can_be_right(answers):
    assert ExactMatch().measure(answers(("", ""), ("", "a"))).value == 0.5
