"""The laws of metrics, for every registered one, and the figures of likelihoods."""

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
    Measured,
    Metric,
    MetricOfSums,
    Tally,
    by_name,
    likelihood,
    measure,
    metrics,
)
from seqgen.metrics.base import share
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


@pytest.fixture(scope="module")
def of_sums(metric):
    if not isinstance(metric, MetricOfSums):
        pytest.skip("its value does not follow from sums")
    return metric


def best(metric, name):
    return 0.0 if metric.better == "lower" else LARGEST.get(name, 1)


def nearly(value):
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def test_it_says_what_it_is(name, metric):
    """`seqgen list metrics` shows the first line alone."""
    assert metric.better in {"lower", "higher"}
    assert metric in {metric}, "it has a hash"
    assert Answer("a", "b", ()).finished
    summary = metrics.entry(name).summary
    assert summary.endswith(".")
    assert len(summary) > 30


@given(ANSWERS, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_a_value_is_within_its_bounds_and_details_are_plain_data(name, metric, answers, random):
    found = metric.measure(answers)
    assert 0 <= found.value <= LARGEST.get(name, 1)
    assert math.isfinite(found.value)
    details = dict(found.details)
    assert details
    assert json.loads(json.dumps(details, allow_nan=False)) == details
    random.shuffle(answers)
    assert metric.measure(answers) == found, "the order of answers matters"


@given(st.lists(st.lists(SENTENCES, min_size=1, max_size=3), min_size=1, max_size=4), st.data())
@settings(max_examples=30)
def test_right_outputs_have_the_best_value(name, metric, references, data):
    answers = [Answer("", data.draw(st.sampled_from(each)), tuple(each)) for each in references]
    assert metric.measure(answers).value == best(metric, name)


def test_each_error_makes_it_worse(name, metric):
    answers = [Answer("", text, (text,)) for text in ("a b c d e", "f g h i j", "k l m n o")]
    values = [best(metric, name)]
    for wrong in range(3):
        answers[wrong] = replace(answers[wrong], output="x y z")
        values.append(metric.measure(answers).value)
    assert len(set(values)) == 4
    assert values == sorted(values, reverse=metric.better == "higher")


def test_without_answers_or_references_there_is_no_value(metric):
    for answers, message in [
        ([], "`answers` must have at least 1 answer, but has none"),
        ([Answer("", "a", ("a",)), Answer("two", "b", ())], "to 'two' must have at least 1 ref"),
    ]:
        with pytest.raises(ValueError, match=message):
            metric.measure(answers)


def test_texts_are_compared_as_they_are(metric):
    """A composed letter and its parts look alike, but are two texts."""
    for answer in (Answer("", "é", ("e\u0301",)), Answer("", "e\u0301", ("é",))):
        wrong = metric.measure([answer]).value
        assert wrong == 0 if metric.better == "higher" else wrong > 0


@given(ANSWERS, WEIGHTS, ANSWERS)
@settings(max_examples=25)
def test_weights_on_answers_are_answers_that_come_more_than_once(of_sums, answers, weights, others):
    """So what is drawn has a value, whatever it lacks: the one that `measure` gives. And columns
    of other answers do not matter, so that several systems can have them in common."""
    weights = np.array(weights[: len(answers)])
    if not weights.any():
        weights[0] = 1
    drawn = [each for each, weight in zip(answers, weights, strict=True) for _ in range(weight)]
    value = of_sums.value(weights @ of_sums.statistics(answers))
    assert value == nearly(of_sums.measure(drawn).value)
    together = of_sums.statistics([*answers, *others])
    for some, rows in ((answers, together[: len(answers)]), (others, together[len(answers) :])):
        assert of_sums.value(rows.sum(axis=0)) == nearly(of_sums.measure(some).value)


def test_statistics_are_whole_numbers_and_many_sums_have_many_values(of_sums):
    some = [
        Answer("", "a b c d e", ("a b c d", "a b c d e")),
        Answer("", "a b x d", ("a b c d",)),
        Answer("", "", ("a",)),
        Answer("", "b", ("", "é")),
    ]
    found = of_sums.statistics(some)
    assert (found.dtype, found.ndim, len(found)) == (np.float64, 2, len(some))
    assert found.any()
    assert (found == np.round(found)).all()
    values = of_sums.value(found.cumsum(axis=0)[:, None])
    assert values.shape == (len(some), 1)
    wanted = [of_sums.measure(some[: count + 1]).value for count in range(len(some))]
    assert values[:, 0] == nearly(np.array(wanted))


class TestAMetricFromOutside:
    """Of `tests`, as one of a plugin is: whatever it does wrong is one line that names it."""

    def measured(self, measure_all, base=Metric):
        kind = type("Odd", (base,), {"better": "lower", "measure_all": measure_all})
        return kind().measure((Answer("a", "b", ("c",)),))

    @pytest.mark.parametrize("value", [0.25, np.float64(0.5), 1, math.nan])
    def test_any_number_is_a_value(self, value):
        found = Measured(value)
        assert self.measured(lambda self, answers: found) is found
        assert dict(found.details) == {}

    def test_what_it_raises_is_shown_in_one_line(self):
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

    def test_of_sums_it_needs_no_details(self):
        class Length(MetricOfSums):
            better = "higher"

            def statistics(self, answers):
                return np.array([[len(each.output)] for each in answers], dtype=float)

            def value(self, totals):
                return totals[..., 0]

        assert Length().measure([Answer("", "abc", ("",))] * 2) == (6.0, {})


def parts(*specs):
    return [metrics.check(spec, ("metrics", i)) for i, spec in enumerate(specs)]


def test_metrics_go_by_name_in_the_order_of_the_recipe(answers):
    assert list(by_name(parts("exact_match", {"name": "bleu", "lowercase": True}, "chrf"))) == [
        *("exact_match", "bleu", "chrf")
    ]
    rows = answers(("a", "a"), ("b", "c"), ("d", "d"), ("e", "e"))
    found = measure(by_name(parts("word_error_rate", "exact_match")), rows)
    wanted = {
        "word_error_rate": (0.25, {"wrong": 1, "words": 4}),
        "exact_match": (0.75, {"correct": 3, "answers": 4}),
    }
    assert list(found.items()) == list(wanted.items())
    assert measure(by_name([]), rows) == {}
    with pytest.raises(OptionError) as caught:
        by_name(parts("bleu", "chrf", {"name": "bleu", "lowercase": True}))
    assert str(caught.value) == "metrics.2: duplicate metric 'bleu'"


def test_a_share_of_nothing_is_what_is_said():
    part, whole = np.array([[1.0, 0.0], [3.0, 2.0]]), np.array([[2.0, 0.0], [4.0, 0.0]])
    assert share(part, whole).tolist() == [[0.5, 0.0], [0.75, 0.0]]
    assert share(part, whole, empty=1.0).tolist() == [[0.5, 1.0], [0.75, 1.0]]
    assert share(np.float64(1), np.float64(4)) == 0.25


def test_the_figures_of_nats():
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
    guess = likelihood(Tally(100 * 7 * math.log(2), 0, 100), chars=100, size=100)
    assert (guess["bits_per_char"], guess["perplexity"]) == pytest.approx((7, 128))
    hopeless = likelihood(Tally(1e6, 0, 1), chars=1, size=1)
    assert (hopeless["perplexity"], hopeless["nats_per_token"]) == (math.inf, 1e6)
    for nats in (math.nan, math.inf):
        found = likelihood(Tally(nats, 0, 2), chars=2, size=2)
        assert not math.isfinite(found["nats_per_token"])
        assert not math.isfinite(found["perplexity"])


def test_tallies_add_up_and_nothing_has_no_figures():
    tallies = [Tally(1.5, 2, 3), Tally(2.5, 0, 4), Tally(0.0, 0, 0)]
    assert sum(tallies, Tally(0.0, 0, 0)) == Tally(4.0, 2, 7)
    for tally in (Tally(0.0, 0, 0), Tally(1.0, 0, 1)):
        with pytest.raises(ValueError, match="must have at least 1"):
            likelihood(tally, chars=0, size=0)
