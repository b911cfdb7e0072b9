"""The best of n draws."""

import pytest

from seqgen.comparison.best_of import best_of
from seqgen.data import Example
from seqgen.metrics import Bleu, CharacterErrorRate, Measured, Metric, WordErrorRate

EXAMPLES = [Example("1", ("a",)), Example("2", ("b",))]


class Longest(Metric):
    """The longest output, which does not follow from sums."""

    better = "higher"

    def measure_all(self, answers):
        return Measured(max(len(each.output) for each in answers))


@pytest.fixture
def draws(output):
    """The reference of input 1 is drawn third and is the most probable one, that of input 2 is
    drawn second and is not."""
    return [
        [output("x", -2.0), output("y y", -3.0), output("a", -1.0)],
        [output("x", -2.0), output("b", -3.0), output("x z", -2.0)],
    ]


def test_the_most_probable_draw_and_the_best_by_the_references(draws):
    metrics = {"word_error_rate": WordErrorRate(), "longest": Longest()}
    one, two, three = best_of(draws, EXAMPLES, metrics, (1, 2, 3), "words")
    assert one == {
        "n": 1,
        "by_score": {
            "word_error_rate": 1,
            "longest": 1,
            "log_prob_per_token": -1,
            "mean_length": 1,
        },
        "oracle": {"word_error_rate": 1},
    }
    assert two["by_score"] == one["by_score"]
    assert two["oracle"] == {"word_error_rate": 0.5}
    assert three["by_score"]["word_error_rate"] == 0.5
    assert three["by_score"]["log_prob_per_token"] == pytest.approx(-3 / 4)
    assert three["oracle"] == {"word_error_rate": 0}


def test_the_oracle_of_several_metrics_is_one_for_each(draws, output):
    metrics = {"character_error_rate": CharacterErrorRate(), "bleu": Bleu()}
    [found] = best_of(draws, EXAMPLES, metrics, [3], "words")
    assert found["oracle"] == {"character_error_rate": 0, "bleu": 0}
    long = "a b c d"
    draws = [[output("a"), output(long)]]
    [found] = best_of(draws, [Example("1", (long,))], {"bleu": Bleu()}, [2], "words")
    assert found["oracle"]["bleu"] == pytest.approx(100)


def test_of_equal_scores_the_first_draw_is_taken(output):
    draws = [[output("a b", -2.0), output("c", -2.0)]]
    [found] = best_of(draws, [Example("1", ())], {}, [2], "words")
    assert found == {
        "n": 2,
        "by_score": {
            "log_prob_per_token": pytest.approx(-2 / 3),
            "mean_length": 2,
            "distinct_2": 1,
        },
        "oracle": {},
    }


def test_without_references_metrics_say_nothing(draws):
    examples = [Example("1", ()), Example("2", ("b",))]
    [found] = best_of(draws, examples, {"word_error_rate": WordErrorRate()}, [1], "words")
    assert set(found["by_score"]) == {"log_prob_per_token", "mean_length"}
    assert found["oracle"] == {}


def test_too_few_draws_are_an_error(draws):
    with pytest.raises(ValueError, match="must have at least 4 draws, but one has 3"):
        best_of(draws, EXAMPLES, {}, [1, 4], "words")
