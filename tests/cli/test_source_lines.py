"""Outputs as lines: nothing in them is taken for a line's end, or a column's."""

import json

import pytest

from seqgen.cli.source_lines import (
    Source,
    best_line,
    json_line,
    json_text,
    one_cell,
    one_line,
    table,
)
from seqgen.decoders import Hypothesis
from seqgen.generate import Generated

BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def output(text, score=-1.5, rank=None):
    return Generated("abc", text, Hypothesis((5, 2), score, True, (-1.0, -0.5), rank), (text, ""))


SOURCE = Source(7, "abc", asked=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\n", r"a\r\n"),
        ("\v\f\x85", r"\x0b\x0c\x85"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("a\tb \\n \x00ü", "a\tb \\n \x00ü"),
    ],
)
def test_line_breaks_are_written_as_codes(text, shown):
    assert one_line(text) == shown


def test_a_cell_has_no_tabs_either():
    assert one_cell("a\tb\n") == r"a\tb\n"


def test_one_line_for_a_source():
    assert best_line(continues=False)(SOURCE, [output("x\ny"), output("z")]) == "x\\ny\n"
    assert best_line(continues=True)(SOURCE, [output("x\ny"), output("z")]) == "abcx\\ny\n"
    assert best_line(continues=False)(SOURCE, []) == "\n"


def test_a_row_for_an_output():
    rows = table(SOURCE, [output("x\ty\n", -0.25), output(BREAKS, -1e-9)])
    assert len(rows.splitlines()) == 2
    assert rows.startswith("7\t1\t-0.250000\tx\\ty\\n\n7\t2\t-0.000000\t")
    assert table(SOURCE, []) == ""


def test_an_object_for_a_source():
    line = json_line(SOURCE, [output(BREAKS, -1.5, rank=-0.75)])
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {
        "number": 7,
        "source": "abc",
        "outputs": [
            {
                "text": BREAKS,
                "tokens": [5, 2],
                "pieces": [BREAKS, ""],
                "log_probs": [-1.0, -0.5],
                "score": -1.5,
                "rank": -0.75,
                "finished": True,
                "complete": True,
                "satisfied": True,
                "finish_reason": "",
                "stop": "",
            }
        ],
    }


def test_json_does_not_act_on_a_terminal():
    wild = "\x1b\x9b\u202e\u2066ü"
    line = json_text(wild)
    assert line == '"\\u001b\\u009b\\u202e\\u2066ü"\n'
    assert json.loads(line) == wild
