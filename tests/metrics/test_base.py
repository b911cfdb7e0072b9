"""The laws of metrics, for every registered one."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import DataError, PluginError
from seqgen.metrics import (
    Answer,
    Bleu,
    ExactMatch,
    Measured,
    Metric,
    MetricOfSums,
    Tally,
    by_name,
    likelihood,
    measure,
    metrics,
)
from seqgen.metrics.base import by_label, mean_share, share
from seqgen.options import OptionError

LARGEST = {
    "bleu": 100,
    "chrf": 100,
    "character_error_rate": math.inf,
    "phoneme_error_rate": math.inf,
}
"""What a value can be at most, where that is not 1."""

TEXTS = st.text("ab é", max_size=8) | st.text(max_size=8)
REFERENCES = st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
ANSWERS = st.lists(st.builds(Answer, TEXTS, TEXTS, REFERENCES), min_size=1, max_size=6)
WEIGHTS = st.lists(st.integers(0, 3), min_size=6, max_size=6)
SENTENCES = st.lists(st.text("abcé", min_size=1), min_size=4, max_size=6).map(" ".join)
"""Long enough for BLEU, which is 0 where no text has four words."""


@pytest.fixture(params=metrics.names(), scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def metric(name, small):
    return metrics.build(small(metrics, name))


def best(metric, name):
    return 0.0 if metric.better == "lower" else LARGEST.get(name, 1)


def test_is_a_metric(metric):
    assert isinstance(metric, Metric)
    assert metric.better in {"lower", "higher"}


def test_its_first_line_is_a_sentence(name):
    """`seqgen list metrics` shows it alone."""
    summary = metrics.entry(name).summary
    assert summary.endswith(".")
    assert len(summary) > 30


@given(ANSWERS)
@settings(deadline=None, max_examples=60)
def test_a_value_is_a_number_within_its_bounds(name, metric, answers):
    value = metric.measure(answers).value
    assert 0 <= value <= LARGEST.get(name, 1)
    assert math.isfinite(value)


@given(ANSWERS)
@settings(deadline=None, max_examples=30)
def test_details_are_plain_data(metric, answers):
    details = dict(metric.measure(answers).details)
    assert details
    assert json.loads(json.dumps(details, allow_nan=False)) == details


@given(ANSWERS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_the_order_of_answers_does_not_matter(metric, answers, random):
    shuffled = list(answers)
    random.shuffle(shuffled)
    assert metric.measure(shuffled) == metric.measure(answers)


@given(st.lists(st.lists(SENTENCES, min_size=1, max_size=3), min_size=1, max_size=4), st.data())
@settings(deadline=None, max_examples=30)
def test_right_outputs_have_the_best_value(name, metric, references, data):
    answers = [Answer("", data.draw(st.sampled_from(each)), tuple(each)) for each in references]
    assert metric.measure(answers).value == best(metric, name)


def test_an_error_makes_it_worse_and_a_second_one_more_so(name, metric):
    right = [Answer("", text, (text,)) for text in ("a b c d e", "f g h i j", "k l m n o")]
    values = [best(metric, name)]
    for wrong in range(3):
        right[wrong] = replace(right[wrong], output="x y z")
        values.append(metric.measure(right).value)
    assert len(set(values)) == 4
    assert values == sorted(values, reverse=metric.better == "higher")


def test_no_answers_are_a_value_error(metric):
    with pytest.raises(ValueError, match="`answers` must have at least 1 answer, but has none"):
        metric.measure([])


def test_no_references_are_a_value_error(metric):
    with pytest.raises(ValueError, match="the answer to 'two' must have at least 1 reference"):
        metric.measure([Answer("one", "a", ("a",)), Answer("two", "b", ())])


def test_texts_are_compared_as_they_are(metric):
    """A composed letter and its parts look alike, but are two texts."""
    composed, parts = Answer("", "é", ("e\u0301",)), Answer("", "e\u0301", ("é",))
    for answer in (composed, parts):
        wrong = metric.measure([answer]).value
        assert wrong == 0 if metric.better == "higher" else wrong > 0


def test_without_details_there_are_none():
    assert dict(Measured(0.5).details) == {}


@pytest.fixture(scope="module")
def of_sums(metric):
    if not isinstance(metric, MetricOfSums):
        pytest.skip("its value does not follow from sums")
    return metric


@given(ANSWERS, WEIGHTS)
@settings(deadline=None, max_examples=25)
def test_weights_on_answers_are_answers_that_come_more_than_once(of_sums, answers, weights):
    """So what is drawn has a value, whatever it lacks: the one that `measure` gives."""
    weights = np.array(weights[: len(answers)])
    if not weights.any():
        weights[0] = 1
    drawn = [each for each, weight in zip(answers, weights, strict=True) for _ in range(weight)]
    value = of_sums.value(weights @ of_sums.statistics(answers))
    assert value == pytest.approx(of_sums.measure(drawn).value, rel=1e-12, abs=1e-12)


@given(ANSWERS, ANSWERS)
@settings(deadline=None, max_examples=20)
def test_columns_of_other_answers_do_not_matter(of_sums, some, others):
    """So several systems can have columns in common."""
    together = of_sums.statistics([*some, *others])
    for answers, rows in ((some, together[: len(some)]), (others, together[len(some) :])):
        value = of_sums.value(rows.sum(axis=0))
        assert value == pytest.approx(of_sums.measure(answers).value, rel=1e-12, abs=1e-12)


SOME = [
    Answer("", "a b c d e", ("a b c d", "a b c d e")),
    Answer("", "a b x d", ("a b c d",)),
    Answer("", "", ("a",)),
    Answer("", "b", ("", "é")),
]


def test_statistics_are_whole_numbers_with_a_row_for_each_answer(of_sums):
    found = of_sums.statistics(SOME)
    assert found.dtype == np.float64
    assert found.ndim == 2
    assert len(found) == len(SOME)
    assert found.any()
    assert (found == np.round(found)).all()


def test_many_sums_have_many_values(of_sums):
    sums = of_sums.statistics(SOME).cumsum(axis=0)
    found = of_sums.value(sums[:, None])
    assert found.shape == (len(SOME), 1)
    wanted = [of_sums.measure(SOME[: count + 1]).value for count in range(len(SOME))]
    assert found[:, 0] == pytest.approx(np.array(wanted), rel=1e-12, abs=1e-12)


class TestAMetricFromOutside:
    """Of `tests`, as one of a plugin is: whatever it does wrong is one line that names it."""

    ANSWERS = (Answer("a", "b", ("c",)),)

    def measured(self, measure_all):
        kind = type("Odd", (Metric,), {"better": "lower", "measure_all": measure_all})
        return kind().measure(self.ANSWERS)

    def test_what_it_measures_is_what_it_says(self):
        found = Measured(0.25, {"a": 1})
        assert self.measured(lambda self, answers: found) is found

    @pytest.mark.parametrize("value", [np.float64(0.5), 1, math.nan])
    def test_any_number_is_a_value(self, value):
        assert self.measured(lambda self, answers: Measured(value)).value is value

    def test_what_it_raises_is_told_in_one_line(self):
        with pytest.raises(PluginError) as caught:
            self.measured(lambda self, answers: {}["a\nb"])
        assert str(caught.value).startswith("the metric Odd (")
        assert str(caught.value).endswith(r"`measure_all` raised KeyError: 'a\nb'")
        assert isinstance(caught.value.__cause__, KeyError)

    @pytest.mark.parametrize("found", [None, 0.5, Measured("0.5"), Measured(None)])
    def test_no_number_is_no_value(self, found):
        with pytest.raises(PluginError, match=r"`measure_all` must return Measured\(value\)"):
            self.measured(lambda self, answers: found)

    def test_errors_of_seqgen_pass(self):
        def refuse(self, answers):
            raise DataError("no tags here")

        with pytest.raises(DataError, match="no tags here"):
            self.measured(refuse)


# Several metrics at once.


def parts(*specs):
    return [metrics.check(spec, ("metrics", i)) for i, spec in enumerate(specs)]


def test_metrics_go_by_name_in_the_order_of_the_recipe():
    found = by_name(parts("exact_match", {"name": "bleu", "lowercase": True}, "chrf"))
    assert list(found) == ["exact_match", "bleu", "chrf"]
    assert isinstance(found["exact_match"], ExactMatch)
    assert isinstance(found["bleu"], Bleu)
    assert found["bleu"].lowercase


def test_a_name_comes_once_be_it_with_other_options():
    with pytest.raises(OptionError) as caught:
        by_name(parts("bleu", "chrf", {"name": "bleu", "lowercase": True}))
    wanted = "'bleu' is there already; results go by name, so each can come once"
    assert str(caught.value) == f"metrics.2: {wanted}"


def test_each_says_what_it_finds(answers):
    rows = answers(("a", "a"), ("b", "c"), ("d", "d"), ("e", "e"))
    found = measure(by_name(parts("word_error_rate", "exact_match")), rows)
    assert found == {
        "word_error_rate": (0.25, {"wrong": 1, "words": 4}),
        "exact_match": (0.75, {"correct": 3, "answers": 4}),
    }
    assert list(found) == ["word_error_rate", "exact_match"]


def test_without_metrics_nothing_is_measured(answers):
    assert measure(by_name([]), answers(("a", "a"))) == {}


def test_no_answers_are_a_value_error_measure():
    with pytest.raises(ValueError, match="`answers` must have at least 1"):
        measure(by_name(parts("exact_match")), [])


# Shares of sums.


def test_a_share_of_nothing_is_what_is_said():
    part, whole = np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([[2.0, 0.0], [4.0, 0.0]])
    assert share(part, whole).tolist() == [[0.5, 0.0], [0.75, 0.0]]
    assert share(part, whole, empty=1.0).tolist() == [[0.5, 1.0], [0.75, 1.0]]


def test_a_share_of_one_number():
    assert share(np.float64(1), np.float64(4)) == 0.25


def test_the_mean_leaves_out_labels_that_there_are_none_of():
    """Two labels, in three sums: 1 of 2 and 3 of 3; 1 of 2 and none; none and none."""
    totals = np.array([[1, 3, 2, 3], [1, 0, 2, 0], [0, 0, 0, 0]], dtype=float)
    assert mean_share(totals).tolist() == [0.75, 0.5, 1.0]


def test_each_label_has_two_columns_parts_first():
    answers = [[("b", 1, 1), ("a", 0, 1), ("b", 0, 1)], [], [("c", 1, 2)]]
    assert by_label(answers).tolist() == [[0, 1, 0, 1, 2, 0], [0] * 6, [0, 0, 1, 0, 0, 2]]


@pytest.mark.parametrize("answers", [[[]], [[], []]])
def test_without_labels_there_are_no_columns(answers):
    found = by_label(answers)
    assert found.shape == (len(answers), 0)
    assert mean_share(found).tolist() == [1.0] * len(answers)


# The figures of teacher-forced nats.


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
