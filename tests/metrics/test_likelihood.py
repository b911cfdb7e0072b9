"""The figures of teacher-forced nats."""

import math

import pytest

from seqgen.metrics import Tally, likelihood


def test_the_formulas():
    found = likelihood(Tally(nats=60.0, correct=5, tokens=20), chars=40, size=50)
    assert found == pytest.approx(
        {
            "nats_per_token": 3.0,
            "perplexity": math.exp(3),
            "bits_per_char": 60 / math.log(2) / 40,
            "bits_per_byte": 60 / math.log(2) / 50,
            "accuracy": 0.25,
            "tokens": 20,
        }
    )


def test_a_uniform_guess_over_2_to_the_k_costs_k_bits():
    found = likelihood(Tally(100 * 7 * math.log(2), 0, 100), chars=100, size=100)
    assert found["bits_per_char"] == pytest.approx(7)
    assert found["perplexity"] == pytest.approx(128)


def test_tallies_add_up():
    parts = [Tally(1.5, 2, 3), Tally(2.5, 0, 4), Tally(0.0, 0, 0)]
    assert sum(parts, Tally(0.0, 0, 0)) == Tally(4.0, 2, 7)


def test_a_hopeless_model_has_an_infinite_perplexity():
    found = likelihood(Tally(1e6, 0, 1), chars=1, size=1)
    assert found["perplexity"] == math.inf
    assert found["nats_per_token"] == 1e6


@pytest.mark.parametrize("nats", [math.nan, math.inf])
def test_what_is_no_number_stays_none(nats):
    found = likelihood(Tally(nats, 0, 2), chars=2, size=2)
    assert not math.isfinite(found["nats_per_token"])
    assert not math.isfinite(found["perplexity"])


@pytest.mark.parametrize("tally", [Tally(0.0, 0, 0), Tally(1.0, 0, 1)])
def test_nothing_has_no_figures(tally):
    with pytest.raises(ValueError, match="must have at least 1"):
        likelihood(tally, chars=0, size=0)
