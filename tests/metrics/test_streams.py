"""Answers as streams."""

from seqgen.metrics.streams import streams


def test_a_stream_for_each_reference(answers):
    rows = answers(("a", "b"), ("c", "d", "", "e"), ("f", "g", "h"))
    outputs, references = streams(rows)
    assert outputs == ["a", "c", "f"]
    assert references == [("b", "d", "g"), (None, "", "h"), (None, "e", None)]
