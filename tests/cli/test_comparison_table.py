"""The table of a comparison in terminals of many widths."""

import io

import pytest

from seqgen.cli.comparison_table import show_table
from seqgen.cli.terminal import Terminal

HEADERS = [
    "strategy",
    "word error rate, % \u2193",
    "log-probability per token, nats",
    "finished, %",
]
LABEL = "beam beam_size=10 length_normalisation=power (take)"
ROWS = [
    [LABEL, "24.00 (21.00\u201327.00)", "-0.1", "100"],
    ["[/x] greedy (baseline)", "25.00 (22.00\u201328.00)", "-0.12", "99.50"],
]


def shown(width, headers=HEADERS, rows=ROWS):
    file = io.StringIO()
    terminal = width is not None
    console = Terminal(
        file=file, width=width, highlight=False, soft_wrap=True, force_terminal=terminal,
        color_system=None,
    )  # fmt: skip
    left_out = show_table(console, headers, rows)
    return left_out, file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("width", "left_out"), [(200, 0), (100, 0), (80, 0), (70, 1), (55, 2), (40, 2), (20, 2)]
)
def test_columns_that_do_not_fit_are_left_out_and_nothing_is_cut(width, left_out):
    found, lines = shown(width)
    assert found == left_out
    text = "\n".join(lines)
    for row in ROWS:
        for cell in row[1 : len(row) - left_out]:
            assert cell in text
    assert "\u2026" not in text
    if width > 20:
        assert max(map(len, lines)) <= width


def test_words_of_titles_and_labels_stay_whole():
    for width in (80, 70, 60):
        text = "\n".join(shown(width)[1])
        for word in ["strategy", "beam_size=10", "length_normalisation=power", "(baseline)"]:
            assert word in text
    assert "log-probability" in "\n".join(shown(80)[1])


def test_where_there_is_no_room_for_a_table_values_stand_below_labels():
    _, lines = shown(20)
    assert lines[:2] == [LABEL, "  word error rate, % \u2193: 24.00 (21.00\u201327.00)"]


@pytest.mark.parametrize("width", range(45, 110))
def test_short_labels_always_stand_in_a_table(width):
    rows = [["greedy (take, baseline)", *ROWS[0][1:]], ["beam beam_size=10", *ROWS[1][1:]]]
    _, lines = shown(width, rows=rows)
    assert "25.00 (22.00" in next(line for line in lines if line.startswith("beam"))
    assert "24.00 (21.00" in next(line for line in lines if line.startswith("greedy (take"))
    assert max(map(len, lines)) <= width


def test_a_pipe_has_room_for_everything():
    left_out, lines = shown(None, rows=[["x" * 300, *ROWS[0][1:]], ROWS[1]])
    assert left_out == 0
    assert len([line for line in lines if "x" * 300 in line and "24.00 (21.00" in line]) == 1


def test_labels_do_not_act():
    assert any("[/x] greedy" in line for line in shown(100)[1])
