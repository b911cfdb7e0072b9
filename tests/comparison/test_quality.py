"""What metrics say of the best outputs, the best of n draws, and what searches missed."""

import math
from dataclasses import replace

import numpy as np
import pytest

from seqgen.comparison.document import BestOfPoint, EmptyOutput, RunSearch, SystemSearch, Value
from seqgen.comparison.plan import SignificanceOptions
from seqgen.comparison.quality import (
    AdditiveMetric,
    Searched,
    answers_of,
    best_of,
    judge,
    measured,
    search_errors,
)
from seqgen.data import Example
from seqgen.metrics import (
    Answer,
    Bleu,
    CharacterErrorRate,
    ExactMatch,
    Measured,
    Metric,
    TagScores,
    WordErrorRate,
    confidence_interval,
    paired_statistics,
    paired_test,
)

OPTIONS = SignificanceOptions(level=0.9, resamples=200, shuffles=300)
EXAMPLES = [Example("1", ("a",)), Example("2", ("b", "c"))]
ERRORS = {"word_error_rate": WordErrorRate()}


class MedianLength(Metric):
    better = "lower"

    def measure_all(self, answers):
        return Measured(float(np.median([len(each.output) for each in answers])))


class Longest(MedianLength):
    """The longest output, which does not follow from sums."""

    def measure_all(self, answers):
        return Measured(max(len(each.output) for each in answers))


def right(*outputs):
    """Answers to inputs 0, 1, ..., of which each `r` is right."""
    return [Answer(f"input {i}", each, ("r",)) for i, each in enumerate(outputs)]


def judged(metric, **systems):
    return AdditiveMetric(metric, systems, OPTIONS, seed=3)


class TestAdditiveMetric:
    def test_the_value_is_over_all_seeds_and_each_has_its_own(self):
        found = judged(WordErrorRate(), a=[right(*"rrxx"), right(*"rrrx")]).value("a")
        assert (found.value, found.by_seed) == (3 / 8, [1 / 2, 1 / 4])

    def test_the_interval_draws_inputs_and_not_outputs(self):
        """Three seeds that say the same know no more than one."""
        one, three = (
            judged(WordErrorRate(), a=[right(*"rrxxrxrx")] * seeds).value("a") for seeds in (1, 3)
        )
        assert (three.value, three.low, three.high) == (one.value, one.low, one.high)
        statistics = np.array([[each == "x", 1.0] for each in "rrxxrxrx"])
        options = {"seed": 3, "samples": 200, "level": 0.9}
        interval = confidence_interval(statistics, WordErrorRate().value, **options)
        assert (one.low, one.high) == interval

    def test_tests_are_those_of_two_systems_alone(self):
        """Looking at all systems at once, each answer once, changes nothing."""
        texts = ["a b c d e", "b c d e a", "c d e a b", "d e a b c"]
        answers = {
            label: [Answer(text, " ".join(sorted(text.split())[:keep]), (text,)) for text in texts]
            for label, keep in [("long", 5), ("middle", 4), ("short", 3)]
        }
        found = judged(Bleu(), **{label: [own] for label, own in answers.items()}).against("short")
        assert list(found) == ["long", "middle"]
        both = paired_statistics(Bleu(), answers["middle"], answers["short"])
        wanted = paired_test(*both, Bleu().value, seed=3, samples=300, level=0.9)
        middle = found["middle"]
        assert (middle.delta, middle.low, middle.high, middle.p_value) == wanted

    def test_tags_that_only_another_system_gives_change_nothing(self):
        one, other = Answer("x y", "A B", ("A B",)), Answer("x y", "C C", ("A B",))
        found = judged(TagScores(), one=[[one]], other=[[other]])
        assert found.value("one").value == 1
        assert found.single("other", 0) == 0

    def test_p_values_are_corrected_for_all_that_are_tested(self):
        wrong = {f"{n}": [right(*"x" * n, *"r" * (12 - n))] for n in (0, 6, 12)}
        found = judged(WordErrorRate(), **wrong).against("0").values()
        assert [each.delta for each in found] == [0.5, 1.0]
        low, high = sorted((each.p_value, each.p_holm) for each in found)
        assert low[1] == pytest.approx(2 * low[0])
        assert high[1] == pytest.approx(max(low[1], high[0]))

    def test_a_system_with_one_seed_weighs_as_much_as_one_with_several(self):
        one, three = [right(*"rrxx")], [right(*"rrxx")] * 3
        found = judged(WordErrorRate(), one=one, three=three, two=[right(*"rxxx")] * 2)
        same = found.against("one")["three"]
        assert (same.delta, same.p_value) == (0, 1)
        assert found.against("two")["three"].delta == pytest.approx(-1 / 4)
        # Two inputs cannot be significant, however often each is drawn.
        found = judged(WordErrorRate(), one=[right("r", "r")] * 9, other=[right("x", "x")] * 9)
        assert found.against("other")["one"].p_value > 0.4

    def test_the_order_of_systems_does_not_matter(self):
        systems = {"a": [right(*"rxrx")], "b": [right(*"rrrx")], "c": [right(*"xxxx")]}
        one = judged(WordErrorRate(), **systems)
        other = judged(WordErrorRate(), **dict(reversed(systems.items())))
        assert one.against("b") == other.against("b")
        assert one.value("c") == other.value("c")


class TestJudge:
    @pytest.fixture
    def quality(self, produced):
        systems = [
            produced("sure", ["a", "x"]),
            produced("drawn", [["a", "xx"], "c"], [["x", "a"], "b"]),
        ]
        return judge(systems, EXAMPLES, {**ERRORS, "plain": MedianLength()}, OPTIONS, seed=1)

    def test_the_best_output_of_each_input_counts(self, quality):
        rate, plain = quality["word_error_rate"], quality["plain"]
        assert rate.value("sure").value == 0.5
        drawn = rate.value("drawn")
        assert (drawn.value, drawn.low, drawn.high, drawn.by_seed) == (0.25, 0, 0.5, [0, 0.5])
        assert plain.value("drawn") == Value(value=1, by_seed=[1, 1])
        # An input alone is that of the first seed.
        assert [each.single("drawn", 0) for each in (rate, plain)] == [0, 1]
        assert rate.single("sure", 1) == 1

    def test_tests_are_against_a_system_and_are_kept(self, quality):
        found = quality["word_error_rate"].against("sure")
        assert list(found) == ["drawn"]
        assert found["drawn"].delta == -0.25
        assert quality["word_error_rate"].against("sure") is found
        assert quality["plain"].against("sure") == {}

    def test_without_references_nothing_is_judged(self, produced):
        for examples in ([EXAMPLES[0], Example("2", ())], []):
            system = produced("a", ["a", "b"])
            found = judge([system], examples, {"exact_match": ExactMatch()}, OPTIONS, seed=1)
            assert found == {}

    def test_answers_have_the_score_of_the_model(self, output):
        found = answers_of([output("a", -2.0, finished=False)], EXAMPLES[:1])
        assert found == [Answer("1", "a", ("a",), -2, False)]

    def test_over_several_seeds_sums_are_of_all_and_others_a_mean(self):
        seeds = [right("x", "xx", "r"), right("x", "x", "r")]
        assert measured(WordErrorRate(), seeds) == pytest.approx(4 / 6)
        assert measured(MedianLength(), seeds) == 1


class TestBestOf:
    EXAMPLES = (Example("1", ("a",)), Example("2", ("b",)))

    @pytest.fixture
    def draws(self, output):
        """The reference of input 1 is drawn third and is the most probable one, that of input 2 is
        drawn second and is not."""
        return [
            [output("x", -2.0), output("y y", -3.0), output("a", -1.0)],
            [output("x", -2.0), output("b", -3.0), output("x z", -2.0)],
        ]

    def test_the_most_probable_draw_and_the_best_by_the_references(self, draws):
        metrics = {**ERRORS, "longest": Longest()}
        one, two, three = best_of(draws, self.EXAMPLES, metrics, (1, 2, 3), "words")
        alone = {"log_prob_per_token": -1, "mean_length": 1}
        by_score = {"word_error_rate": 1, "longest": 1, **alone}
        assert one == BestOfPoint(n=1, by_score=by_score, oracle={"word_error_rate": 1})
        assert two == BestOfPoint(n=2, by_score=by_score, oracle={"word_error_rate": 0.5})
        assert three.by_score["word_error_rate"] == 0.5
        assert three.by_score["log_prob_per_token"] == pytest.approx(-3 / 4)
        assert three.oracle == {"word_error_rate": 0}

    def test_the_oracle_of_several_metrics_is_one_for_each(self, draws, output):
        metrics = {"character_error_rate": CharacterErrorRate(), "bleu": Bleu()}
        [found] = best_of(draws, self.EXAMPLES, metrics, [3], "words")
        assert found.oracle == {"character_error_rate": 0, "bleu": 0}
        draws, examples = [[output("a"), output("a b c d")]], [Example("1", ("a b c d",))]
        [found] = best_of(draws, examples, {"bleu": Bleu()}, [2], "words")
        assert found.oracle["bleu"] == pytest.approx(100)

    def test_of_equal_scores_the_first_draw_is_taken(self, output):
        draws = [[output("a b", -2.0), output("c", -2.0)]]
        [found] = best_of(draws, [Example("1", ())], {}, [2], "words")
        score = pytest.approx(-2 / 3)
        by_score = {"log_prob_per_token": score, "mean_length": 2, "distinct_2": 1}
        assert (found.by_score, found.oracle) == (by_score, {})

    def test_without_references_metrics_say_nothing(self, draws):
        examples = [Example("1", ()), Example("2", ("b",))]
        [found] = best_of(draws, examples, ERRORS, [1], "words")
        assert set(found.by_score) == {"log_prob_per_token", "mean_length"}
        assert found.oracle == {}

    def test_too_few_draws_are_an_error(self, draws):
        with pytest.raises(ValueError, match="must have at least 4 draws, but one has 3"):
            best_of(draws, self.EXAMPLES, {}, [1, 4], "words")


SEARCHED = [Example(str(i), (reference,)) for i, reference in enumerate("abcd")]
THIRD, TWO_THIRDS = pytest.approx(1 / 3), pytest.approx(2 / 3)


@pytest.fixture
def searched(output):
    """The most probable outputs are: the reference; a wrong one; the empty one; not certain."""
    unsure = output("d", -3.0, complete=False)
    return Searched(
        "run",
        best=[output("a", -1.0), output("x", -2.0), output("", -0.5), unsure],
        empty=[math.log(0.1), math.log(0.2), -0.5, -math.inf],
        references=[[-1.0], [-4.0], [-math.inf], [-3.0]],
    )


@pytest.fixture
def missed(searched, produced):
    """A function from what a system found, seed by seed, to what it missed."""

    def call(*seeds):
        [found] = search_errors(searched, [produced("s", *seeds)], SEARCHED, ERRORS).systems
        return found

    return call


def test_what_is_known_of_the_most_probable_outputs(searched):
    mean = pytest.approx((0.1 + 0.2 + math.exp(-0.5)) / 4)
    assert search_errors(searched, [], SEARCHED, ERRORS) == RunSearch(
        run="run",
        certain=3,
        empty=EmptyOutput(mean_probability=mean, best=THIRD),
        reference_reachable=3,
        best_is_reference=THIRD,
        best_beats_reference=TWO_THIRDS,
        quality_of_best={"word_error_rate": TWO_THIRDS},
        systems=[],
    )


def test_what_a_system_missed_and_whose_fault_it_is(missed, output):
    # Of certain inputs it finds the first, misses the second by 3 nats and the third by 1.5. All
    # but the first are wrong: for "y" and "w" the reference is more probable, for "z" it is not.
    outputs = [output("a", -1.0), output("y", -5.0), output("z", -2.0), output("w", -3.5)]
    gaps = {"mean_gap": pytest.approx(2.25), "largest_gap": pytest.approx(3)}
    errors = {"outputs": 4, "wrong": 3, "search_errors": 2, "model_errors": 1}
    quality = {"word_error_rate": TWO_THIRDS}
    wanted = SystemSearch(label="s", missed=TWO_THIRDS, quality=quality, **gaps, **errors)
    assert missed(outputs) == wanted


def test_all_seeds_count_and_the_best_output_of_each(missed, output):
    good = [[output("a", -1.0), output("y", -9.0)], output("x", -2.0), output("", -0.5), "d"]
    bad = [output("x", -2.0), output("x", -2.0), output("", -0.5), "d"]
    found = missed(good, bad)
    assert found.missed == pytest.approx(1 / 6)
    assert found.mean_gap == found.largest_gap == 1
    assert (found.outputs, found.wrong, found.search_errors) == (8, 5, 1)
    assert found.quality["word_error_rate"] == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        (-1.0 - 5e-7, -2.0 + 5e-7, 0),  # rounding is no search error
        ([-1.0, -math.inf], -2.0, 1 / 3),  # an impossible output misses by no size
    ],
)
def test_what_has_no_gap(first, second, share, missed, output):
    found = missed([output("a", first), output("x", second), output("", -0.5), "d"])
    assert found.missed == pytest.approx(share)
    assert found.mean_gap is None


def test_without_references_only_the_search_is_spoken_of(searched, output, produced):
    bare = replace(searched, references=[()] * 4)
    examples = [Example(each.source, ()) for each in SEARCHED]
    outputs = [output("a", -2.0), output("x", -2.0), output("", -0.5), "d"]
    found = search_errors(bare, [produced("s", outputs)], examples, ERRORS)
    assert found == RunSearch(
        run="run",
        certain=3,
        empty=found.empty,
        systems=[SystemSearch(label="s", missed=THIRD, mean_gap=1, largest_gap=1, quality={})],
    )


def test_without_a_certain_search_only_references_decide(output, produced):
    searched = Searched("run", [output("a", -1.0, complete=False)], [-2.0], [[-1.0]])
    system = produced("s", [output("x", -2.0)])
    errors = {"outputs": 1, "wrong": 1, "search_errors": 1, "model_errors": 0}
    assert search_errors(searched, [system], SEARCHED[:1], ERRORS) == RunSearch(
        run="run",
        certain=0,
        empty=EmptyOutput(mean_probability=pytest.approx(math.exp(-2))),
        reference_reachable=1,
        quality_of_best={},
        systems=[SystemSearch(label="s", quality={}, **errors)],
    )
