"""How long outputs are."""

import pytest

from seqgen.comparison.lengths import length, length_of, lengths


def test_end_tokens_do_not_count(output):
    assert length(output("a b")) == 2
    assert length(output("a b", finished=False)) == 2
    assert length(output("")) == 0
    assert length_of(()) == 0


def test_lengths_beside_references(output):
    # 2 + 4 + 0 + 1 = 7 tokens, where references have 2 * (3 + 1) = 8.
    outputs = [[output("a b"), output("a b c d")], [output(""), output("a", finished=False)]]
    assert lengths(outputs, [3, 1], ends=True) == {
        "mean_length": 1.75,
        "length_ratio": pytest.approx(7 / 8),
        "finished": 0.75,
    }


def test_what_is_not_known_is_left_out(output):
    assert lengths([[output("a b", finished=False)]], None, ends=False) == {"mean_length": 2}
    assert lengths([[output("")]], [0], ends=True) == {"mean_length": 0, "finished": 1}
    assert lengths([], None, ends=True) == {}
