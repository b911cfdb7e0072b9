"""How far the statistics of outputs are from those of held-out text."""

import math

import pytest

from seqgen.comparison.unlikeness import COMPARED, unlikeness


def values(log_prob_per_token, *distinct):
    return dict(
        zip(COMPARED, [{"value": each} for each in (log_prob_per_token, *distinct)], strict=True)
    )


def test_an_example_by_hand(output):
    # Words: 2 different of 6, 2 pairs of 5, 2 triples of 4; -6 nats over 6 tokens.
    outputs = [[output("a b a b a b", -6.0, finished=False)]]
    wanted = values(-2.0, 0.5, 0.8, 1.0)
    distances = [math.log(2), math.log(0.5 / (1 / 3)), math.log(0.8 / 0.4), math.log(2)]
    found = unlikeness(outputs, wanted, "words")
    assert found == {"unlikeness": pytest.approx(sum(distances) / 4)}


def test_it_is_nothing_for_the_same_text(output):
    outputs = [[output("a b a b a b", -6.0, finished=False)]]
    assert unlikeness(outputs, values(-1.0, 1 / 3, 0.4, 0.5), "words")["unlikeness"] == (
        pytest.approx(0)
    )


def test_more_outputs_of_an_input_do_not_count_as_more_text(output):
    one, other = output("a b c", -3.0, finished=False), output("a b c", -6.0, finished=False)
    wanted = values(-1.0, 1.0, 1.0, 1.0)
    # The second text says nothing else than the first, but each says nothing twice.
    assert unlikeness([[one, other]], wanted, "words")["unlikeness"] == (
        pytest.approx(math.log(2) / 8)
    )


def test_what_has_no_ratio_is_a_hundredfold_away(output):
    sure = [[output("a b c", 0.0, finished=False)]]
    found = unlikeness(sure, values(-1.0, 1.0, 1.0, 1.0), "words")
    assert found["unlikeness"] == pytest.approx(math.log(100) / 4)


def test_it_is_left_out_where_a_statistic_is_lacking(output):
    short = [[output("a b", -3.0, finished=False)]]
    assert unlikeness(short, values(-1.0, 1.0, 1.0, 1.0), "words") == {}
    long = [[output("a b c", -3.0, finished=False)]]
    assert unlikeness(long, {}, "words") == {}
    assert unlikeness([], values(-1.0, 1.0, 1.0, 1.0), "words") == {}
