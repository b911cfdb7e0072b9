"""How probable the model finds outputs."""

import math

import pytest

from seqgen.comparison.scores import log_prob, scores


def test_tokens_count_alike_and_so_do_outputs(output):
    # 3 tokens with the end, -3 in all, and 1 token, -2: 5 nats over 4 tokens, over 2 outputs.
    outputs = [[output("a b", [-1.0, -1.5, -0.5])], [output("", [-2.0])]]
    assert scores(outputs) == {
        "log_prob_per_token": -1.25,
        "log_prob_per_sequence": -2.5,
        "impossible": 0,
    }


def test_all_outputs_of_an_input_count(output):
    found = scores([[output("a", [-1.0, -1.0]), output("b", [-2.0, -2.0])]])
    assert found["log_prob_per_token"] == -1.5
    assert found["log_prob_per_sequence"] == -3


def test_outputs_that_cannot_be_are_told_apart(output):
    outputs = [[output("a", [-1.0, -math.inf])], [output("b", [-1.0, -2.0])]]
    assert scores(outputs) == {
        "log_prob_per_token": -1.5,
        "log_prob_per_sequence": -3,
        "impossible": 0.5,
    }


def test_of_impossible_outputs_alone_nothing_else_is_said(output):
    assert scores([[output("a", [-math.inf, -1.0])]]) == {"impossible": 1}


def test_outputs_without_tokens_have_no_value_per_token(output):
    empty = output("", finished=False)
    assert scores([[empty]]) == {"log_prob_per_sequence": 0, "impossible": 0}
    assert scores([]) == {}


def test_the_log_prob_of_an_output_is_the_sum(output):
    assert log_prob(output("a b", [-1.0, -1.5, -0.5])) == pytest.approx(-3)
