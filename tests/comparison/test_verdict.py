"""Which system to take, and why."""

import math
from dataclasses import replace

import pytest

from seqgen.comparison.document import (
    Difference,
    EmptyOutput,
    Measure,
    References,
    RunSearch,
    Search,
    SystemResult,
    SystemSearch,
    Value,
)
from seqgen.comparison.verdict import Case, quality_measure, reasons, verdict

MEASURES = {
    each.id: each
    for each in [
        Measure("word_error_rate", "word error rate", "quality", "lower", "share", ""),
        Measure("bleu", "BLEU", "quality", "higher", "points", ""),
        Measure("unlikeness", "unlikeness", "quality", "lower", "", ""),
        Measure("log_prob_per_token", "log-probability per token", "score", None, "nats", ""),
        *(
            Measure(f"distinct_{n}", f"distinct-{n}", "diversity", "higher", "share", "")
            for n in (1, 2, 3)
        ),
    ]
}


def difference(delta=0.0, error=0.0, p_holm=0.5):
    """A difference whose 95 % interval has this standard error."""
    low, high = delta - 1.96 * error, delta + 1.96 * error
    return Difference(delta=delta, low=low, high=high, p_value=0.5, p_holm=p_holm)


def system(label, rows, **values):
    return SystemResult(
        label=label,
        run="r",
        decoder={},
        draws=False,
        seeds=[1],
        values={
            **{name: Value(value=value, by_seed=[value]) for name, value in values.items()},
            "rows_per_input": Value(value=rows),
        },
        against_baseline={},
    )


@pytest.fixture
def found(document_of):
    """A function from systems by label, each with its quality and its rows per input, to a
    document; the first is the baseline."""

    def make(systems, name="word_error_rate", **more):
        own = [system(label, rows, **{name: value}) for label, (value, rows) in systems.items()]
        baseline = next(iter(systems), "")
        parts = {"measures": MEASURES, "quality": name, "baseline": baseline, "systems": own}
        return document_of(**{**parts, **more})

    return make


@pytest.fixture
def taken(found):
    """A function from systems to what is taken where the differences from the best have these
    standard errors."""

    def call(systems, errors=(), name="word_error_rate", **more):
        def against(best):
            return {
                label: difference(systems[label][0] - systems[best][0], error)
                for label, error in errors
                if label != best
            }

        return verdict(found(systems, name, **more), against).take

    return call


GREEDY_AND_BEAMS = {"greedy": (0.25, 10), "beam 2": (0.22, 20), "beam 9": (0.21, 90)}
EQUAL = {"b": (0.2, 10), "a": (0.2, 10), "c": (0.2, 20)}


@pytest.mark.parametrize(
    ("wanted", "known", "measure"),
    [
        (None, MEASURES, "word_error_rate"),
        ("bleu", MEASURES, "bleu"),
        ("distinct_2", MEASURES, "distinct_2"),
        (None, {"distinct_2": MEASURES["distinct_2"]}, None),
    ],
)
def test_the_first_measure_of_quality_is_the_one_unless_another_is_wanted(wanted, known, measure):
    assert quality_measure(wanted, known) == measure


@pytest.mark.parametrize("wrong", ["blue", "log_prob_per_token"])
def test_a_measure_without_a_better_side_is_refused(wrong):
    better = "word_error_rate, bleu, unlikeness, distinct_1, distinct_2, distinct_3"
    with pytest.raises(ValueError, match=f"quality: must be one of {better}, but is '{wrong}'"):
        quality_measure(wrong, MEASURES)


class TestTake:
    @pytest.mark.parametrize(
        ("systems", "errors", "label"),
        [
            # The least work of those within a standard error of the best.
            (GREEDY_AND_BEAMS, {"greedy": 0.02, "beam 2": 0.011}, "beam 2"),
            (GREEDY_AND_BEAMS, {"greedy": 0.041, "beam 2": 0.011}, "greedy"),
            (GREEDY_AND_BEAMS, {"greedy": 0.02, "beam 2": 0.009}, "beam 9"),
            # What equals the best is near without any spread.
            ({"small": (0.2, 5), "large": (0.2, 9)}, {"small": 0.0, "large": 0.0}, "small"),
            # Without tests the best is taken.
            (GREEDY_AND_BEAMS, {}, "beam 9"),
            # Hardly less work is no reason to take what is worse.
            ({"best": (0.1, 50), "a": (0.2, 10.2), "b": (0.3, 10)}, {"a": 0.5, "b": 0.5}, "a"),
            ({"best": (0.1, 50), "a": (0.2, 12), "b": (0.3, 10)}, {"a": 0.5, "b": 0.5}, "b"),
            # A system of unknown quality is not taken.
            ({"a": (math.nan, 1), "b": (0.3, 5)}, {}, "b"),
            # Of equal ones the baseline, which is the first here.
            (EQUAL, dict.fromkeys(EQUAL, 0.1), "b"),
            (dict(reversed(EQUAL.items())), dict.fromkeys(EQUAL, 0.1), "a"),
        ],
    )
    def test_quality_first_and_then_the_cost(self, systems, errors, label, taken):
        assert taken(systems, errors.items()) == label

    @pytest.mark.parametrize("systems", [EQUAL, dict(reversed(EQUAL.items()))])
    def test_ties_go_to_the_first_label_where_none_is_the_baseline(self, systems, taken):
        assert taken(systems, baseline="") == "a"

    def test_higher_may_be_better(self, taken):
        assert taken({"a": (30.0, 1), "b": (31.0, 5), "c": (12.0, 1)}, name="bleu") == "b"

    @pytest.mark.parametrize("level", [1e-300, 0.5, 0.9999999999999999])
    def test_no_level_is_too_near_to_its_bounds(self, level, taken):
        systems = {"greedy": (0.25, 10), "beam": (0.2, 50)}
        errors = [("greedy", 0.01)]
        assert taken(systems, errors, plan={"significance": {"level": level}}) in systems

    def test_the_tests_are_those_against_the_best(self, found):
        asked = []
        verdict(found(GREEDY_AND_BEAMS), lambda label: asked.append(label) or {})
        assert asked == ["beam 9"]

    def test_of_equally_good_ones_the_one_that_draws_nothing(self, found):
        document = found({"a": (0.2, 9.9), "b": (0.2, 10)})
        drawing = [replace(document.systems[0], draws=True), document.systems[1]]
        assert verdict(replace(document, systems=drawing), lambda best: {}).take == "b"

    def test_where_nothing_tells_none_is_taken_and_a_person_is_to_look(self, found):
        given = verdict(replace(found(GREEDY_AND_BEAMS), quality=None), lambda label: {})
        assert given.take is None
        assert "no references, or no metric" in given.why[0]
        assert "side by side" in given.why[1]
        assert "plot" not in given.why[1]  # a plot needs a measure of quality
        nothing = verdict(replace(found({}), quality=None), lambda label: {})
        assert nothing.why == ["No system has produced anything."]


@pytest.fixture
def case(found):
    """A greedy baseline, a small beam that cannot be told from the best, and a large one."""
    document = found(GREEDY_AND_BEAMS)
    greedy, small, large = document.systems
    tested = difference(p_holm=0.012)
    small = replace(small, against_baseline={"word_error_rate": tested})
    interval = Value(value=0.21, low=0.19, high=0.23)
    large = replace(large, values={**large.values, "word_error_rate": interval})
    document = replace(document, systems=[greedy, small, large])
    tests = {"greedy": difference(p_holm=0.01), "beam 2": difference()}
    return Case(document, "word_error_rate", large, small, [small], tests)


class TestReasons:
    def test_quality_what_cannot_be_told_from_it_and_the_cost(self, case):
        assert reasons(case) == [
            "beam 9 is best by word error rate: 21.00 % (95 % interval 19.00 % to 23.00 %).",
            "Within one standard error of it is beam 2; of all these beam 2 takes the least work; "
            "a paired test tells it from 1 of 2 others (p by Holm below 0.05).",
            "beam 2, at 22.00 %, reads 20.00 rows per input, 2 times those of greedy, the "
            "baseline, whose word error rate is 25.00 % (p by Holm 0.012).",
        ]

    def test_the_baseline_is_compared_with_the_best(self, case):
        greedy, small, large = case.document.systems
        _, near, cost = reasons(replace(case, taken=greedy, near=[small, greedy]))
        assert near.startswith("Within one standard error of it are beam 2 and greedy; of all")
        assert cost == (
            "greedy, at 25.00 %, reads 10.00 rows per input, 0.111 times those of beam 9, the best."
        )
        _, near, cost = reasons(replace(case, best=greedy, taken=greedy, near=[small, large]))
        assert "; of all these it takes the least work; " in near
        assert cost == "It is the baseline as well, with 10.00 rows of work per input."

    @pytest.mark.parametrize(
        ("rows", "taken", "said"),
        [
            (19.9, "beam 2", "beam 2 takes hardly more than the least work; "),
            (25.0, "beam 2", "beam 2 takes the least work; "),
            (25.0, "greedy", "greedy takes the least work; "),
        ],
    )
    def test_work_that_is_not_quite_the_least_is_not_called_so(self, rows, taken, said, case):
        _, small, _ = case.document.systems
        near = [small, system("beam 1", rows, word_error_rate=0.23)]
        changed = replace(case, near=near, taken=case.document.system(taken))
        assert f"; of all these {said}" in reasons(changed)[1]

    def test_many_that_cannot_be_told_apart_are_counted(self, case):
        others = [system(f"beam {n}", n, word_error_rate=0.2) for n in range(3, 8)]
        near = reasons(replace(case, near=others))[1]
        assert near.startswith("Within one standard error of it are beam 3, beam 4, beam 5 and 2 m")

    def test_where_none_is_near_it_says_so(self, case):
        tests = dict.fromkeys(["greedy", "beam 2"], difference(p_holm=0.01))
        assert reasons(replace(case, taken=case.best, near=[], tests=tests))[1] == (
            "No other is within one standard error of it; a paired test tells it from 2 of 2 "
            "others (p by Holm below 0.05)."
        )
        assert not any("test" in each for each in reasons(replace(case, tests={})))

    @pytest.mark.parametrize(
        ("own", "whole", "said"),
        [
            ({}, {}, [
                "It missed the most probable output for 5.00 % of 80 inputs; by word error rate "
                "the most probable ones have 27.00 % and its own 26.00 %, so searching harder "
                "would not help.",
                "Of its 100 outputs there, 30 are no reference: 28 by an error of the model, which "
                "finds them at least as probable as what is right, and 2 by an error of the "
                "search.",
            ]),
            ({"wrong": 0}, {"empty": EmptyOutput(best=0.2),
                            "quality_of_best": {"word_error_rate": 0.1}}, [
                "It missed the most probable output for 5.00 % of 80 inputs, where that is the "
                "empty one for 20.00 %; by word error rate the most probable ones have 10.00 % and "
                "its own 26.00 %, so a better search could help.",
            ]),
            ({"wrong": None, "quality": {}}, {}, [
                "It missed the most probable output for 5.00 % of 80 inputs."
            ]),
            ({"wrong": 0, "missed": 0.0}, {}, [
                "It found the most probable output for each of 80 inputs where that is certain."
            ]),
        ],
    )  # fmt: skip
    def test_errors_of_search_and_model(self, own, whole, said, case):
        system = SystemSearch(
            label="beam 2",
            missed=0.05,
            quality={"word_error_rate": 0.26},
            outputs=100,
            wrong=30,
            model_errors=28,
            search_errors=2,
        )
        run = RunSearch(
            run="r",
            certain=80,
            empty=EmptyOutput(best=0.0),
            quality_of_best={"word_error_rate": 0.27},
            systems=[replace(system, **own)],
        )
        runs = [replace(run, run="other", systems=[]), replace(run, **whole)]
        search = Search(inputs=80, certain=80, max_nodes=9, by_run=runs)
        found = reasons(replace(case, document=replace(case.document, search=search)))
        assert found[3:] == said

    def test_of_unlikeness_the_statistics_are_told(self, document_of):
        values = {"log_prob_per_token": -1.0, "distinct_1": 0.35, "distinct_2": 0.8}
        sampled = system("sampled", 1, unlikeness=0.1, distinct_3=0.9, **values)
        by_seed = Value(value=0.1, by_seed=[0.08, 0.12])
        sampled = replace(sampled, values={**sampled.values, "unlikeness": by_seed})
        greedy = system("greedy", 1, unlikeness=2.0, looping=0.25)
        wanted = {"log_prob_per_token": -1.4, "distinct_1": 0.36, "distinct_2": 0.8}
        document = document_of(
            measures=MEASURES,
            quality="unlikeness",
            systems=[greedy, sampled],
            references=References(values={key: Value(value=each) for key, each in wanted.items()}),
        )
        case = Case(document, "unlikeness", sampled, sampled, [], {})
        assert reasons(case) == [
            "sampled is best by unlikeness: 0.1000 (by seed 0.08 to 0.1200).",
            "sampled reads 1.000 rows per input, as many as greedy, the baseline, whose "
            "unlikeness is 2.000.",
            "Its statistics, and in brackets those of held-out text: near are distinct-1 35.00 % "
            "(36.00 %), distinct-2 80.00 % (80.00 %); further off log-probability per token -1.000 "
            "(-1.400).",
            "25.00 % of the outputs of greedy end in a loop, and 0.00 % of its own.",
        ]
        others = Case(document, "unlikeness", greedy, greedy, [], {})
        assert not any("end in a loop" in each for each in reasons(others))
