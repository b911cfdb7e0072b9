"""What a search missed, and what the model has wrong."""

import math
from dataclasses import replace

import pytest

from seqgen.comparison.document import EmptyOutput, RunSearch, SystemSearch
from seqgen.comparison.search_errors import Searched, search_errors
from seqgen.data import Example
from seqgen.metrics import WordErrorRate

METRICS = {"word_error_rate": WordErrorRate()}
EXAMPLES = [Example(str(i), (reference,)) for i, reference in enumerate("abcd")]
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
        [found] = search_errors(searched, [produced("s", *seeds)], EXAMPLES, METRICS).systems
        return found

    return call


def test_what_is_known_of_the_most_probable_outputs(searched):
    mean = pytest.approx((0.1 + 0.2 + math.exp(-0.5)) / 4)
    assert search_errors(searched, [], EXAMPLES, METRICS) == RunSearch(
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
    examples = [Example(each.source, ()) for each in EXAMPLES]
    outputs = [output("a", -2.0), output("x", -2.0), output("", -0.5), "d"]
    found = search_errors(bare, [produced("s", outputs)], examples, METRICS)
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
    assert search_errors(searched, [system], EXAMPLES[:1], METRICS) == RunSearch(
        run="run",
        certain=0,
        empty=EmptyOutput(mean_probability=pytest.approx(math.exp(-2))),
        reference_reachable=1,
        quality_of_best={},
        systems=[SystemSearch(label="s", quality={}, **errors)],
    )
