"""What a document says: which system to take and why, values with their timings, the table."""

import math
from dataclasses import replace

import pytest

from seqgen.comparison import Measure, terminal_rows
from seqgen.comparison.document import (
    Difference,
    EmptyOutput,
    References,
    RunSearch,
    Search,
    SystemResult,
    SystemSearch,
    Value,
)
from seqgen.comparison.results import quality_measure, reasons, verdict

DASH = "\u2013"
SHARE = Measure("m", "m", "quality", "lower", "share", "")
NATS = Measure("m", "m", "score", None, "nats", "")
BYTES = Measure("m", "m", "memory", "lower", "bytes", "")
ROWS = Measure("m", "rows per input", "work", "lower", "rows", "")
SPEED = Measure("m", "m", "speed", "higher", "", "")


@pytest.mark.parametrize(
    ("measure", "value", "in_table", "in_text"),
    [
        (SHARE, 0.2432, "24.32", "24.32 %"),
        (SHARE, None, DASH, DASH),
        (NATS, -0.052, "-0.05200", "-0.05200 nats"),  # as many digits as its neighbours
        (NATS, -1.5, "-1.500", "-1.500 nats"),
        (BYTES, 2_345_000, "2.345", "2.345 MB"),
        (SPEED, 1_234_567, "1.23 M", "1.23 M"),
        (ROWS, 12, "12.00", "12.00"),  # the title says what is counted
    ],
)
def test_a_value_in_a_table_and_in_words(measure, value, in_table, in_text):
    assert measure.written(value) == in_table
    assert measure.in_words(value) == in_text


def test_spans_and_headers():
    assert SHARE.span((0.1, 0.2)) == "10.00\u201320.00"
    assert NATS.span((-0.3, -0.2)) == "-0.3000 to -0.2000"  # no two dashes side by side
    assert [each.header for each in (SHARE, SPEED, NATS)] == ["m, % \u2193", "m \u2191", "m, nats"]


@pytest.mark.parametrize(
    ("p_holm", "better", "alpha", "found"),
    [
        (0.01, "lower", 0.05, "better"),
        (0.01, "higher", 0.05, "worse"),
        (0.01, None, 0.05, "different"),
        (0.5, "lower", 0.5, ""),
        (None, "lower", 0.05, ""),
    ],
)
def test_what_a_difference_from_the_baseline_means(p_holm, better, alpha, found, small, pronounced):
    change = {"delta": -0.1, "low": None, "high": None, "p_value": 0.001, "p_holm": p_holm}
    changes, systems = {"a": change, "b": {**change, "delta": None}}, {"a": {"error": 1}, "b": {}}
    significance = {**pronounced["plan"]["significance"], "level": 1 - alpha}
    plan = {**pronounced["plan"], "significance": significance}
    results = small(systems, changes, plan=plan)
    measure = replace(results.quality, better=better)
    known, unknown = (results.document.system(label) for label in "ab")
    assert results.verdict_on(known, measure) == found
    assert results.verdict_on(unknown, measure) == ""


def test_a_value_may_have_an_interval_and_a_spread(small):
    value = {"value": 2, "low": 1, "high": 3, "by_seed": [1.5, None, 2.5]}
    results = small({"a": {"error": value}, "b": {"error": {"value": None}}})
    found = results.values["a"]["error"]
    assert (found.interval, found.spread, found.spread_of) == ((1, 3), (1.5, 2.5), "2 seeds")
    assert found.range == (1, 3)
    assert results.values["b"] == {}
    [found] = small({"a": {"error": {"value": 2, "low": 1, "by_seed": [2]}}}).values["a"].values()
    assert (found.interval, found.spread, found.range) == (None, None, (2, 2))


def test_what_was_timed_is_a_measure_like_the_others(small, pronounced):
    timing = pronounced["timings"]["systems"]["greedy"]
    timing |= {"sequences_per_second": 16, "tokens_per_second": None, "calls": 9}
    timing["seconds"] = {"min": 1, "median": 2, "max": 4}
    timings = {**pronounced["timings"], "systems": {"a": timing}}
    results = small({"a": {"error": 0.5}, "b": {"error": 0.25}}, timings=timings)
    assert list(results.measures)[1:] == ["sequences_per_second", "calls", "peak_bytes"]
    values = results.values["a"]
    assert values["sequences_per_second"].spread == (8, 32)
    assert values["sequences_per_second"].spread_of == "3 repeats"
    assert values["calls"].spread is None
    assert list(results.values["b"]) == ["error"]


def test_the_leading_measures_have_stand_ins(read, pronounced, prose):
    leading, others = ([each.id for each in read(one).leading()] for one in (pronounced, prose))
    assert leading[:3] == ["phoneme_error_rate", "log_prob_per_token", "distinct_2"]
    assert leading[3:] == ["length_ratio", "finished", "sequences_per_second"]
    assert others[3:] == ["mean_length", "finished", "rows_per_input"]


def test_a_measure_that_is_the_same_for_all_distinguishes_nothing(read, pronounced):
    results = read(pronounced)
    assert not results.distinguishes(results.measures["finished"])
    assert results.distinguishes(results.measures["distinct_2"])
    for each in pronounced["systems"]:
        each["values"]["phoneme_error_rate"] = {"value": 0.5}
    results = read(pronounced)
    assert results.distinguishes(results.quality)  # what systems are ranked by is always kept


def test_the_best_quality_comes_first_with_its_interval_and_its_mark(small):
    change = {"delta": -0.25, "low": None, "high": None, "p_value": 0.001, "p_holm": 0.004}
    systems = {
        "greedy": {"error": {"value": 0.5, "low": 0.4, "high": 0.625}},
        "beam": {"error": 0.25},
        "lost": {},
    }
    results = small(systems, {"beam": change}, baseline="greedy", take="beam")
    table = results.plain_table([results.quality])
    assert table.headers == ["strategy", "error, % \u2193"]
    assert table.rows == [
        ["beam (recommended)", "25.00 \u25b2"],
        ["greedy (baseline)", "50.00 (40.00\u201362.50)"],
        ["lost", DASH],
    ]
    results = small(systems, {"beam": change}, baseline="beam", take="beam")
    assert results.plain_table([]).rows[0] == ["beam (recommended, baseline)"]


def test_the_table_of_a_terminal(read, pronounced):
    headers, rows = terminal_rows(read(pronounced).document)
    assert headers[1:3] == ["phoneme error rate, % \u2193", "log-probability per token, nats"]
    assert len(rows) == 15
    assert rows[-1] == ["references", DASH, "-0.3100", "21.66", DASH, DASH, DASH]


def test_labels_show_what_would_act_in_a_terminal(small):
    results = small({"\x1b[31m[/x]\u202e": {"error": 0.5}})
    assert terminal_rows(results.document)[1][0][0] == "\\x1b[31m[/x]\\u202e"


MEASURES = {
    name: Measure(name, title, group, better, unit, "")
    for name, title, group, better, unit in [
        ("word_error_rate", "word error rate", "quality", "lower", "share"),
        ("bleu", "BLEU", "quality", "higher", "points"),
        ("unlikeness", "unlikeness", "quality", "lower", ""),
        ("log_prob_per_token", "log-probability per token", "score", None, "nats"),
        *((f"distinct_{n}", f"distinct-{n}", "diversity", "higher", "share") for n in (1, 2, 3)),
    ]
}


def difference(delta=0.0, error=0.0, p_holm=0.5):
    """A difference whose 95 % interval has this standard error."""
    low, high = delta - 1.96 * error, delta + 1.96 * error
    return Difference(delta=delta, low=low, high=high, p_value=0.5, p_holm=p_holm)


def system(label, rows, **values):
    known = {name: Value(value=value, by_seed=[value]) for name, value in values.items()}
    known["rows_per_input"] = Value(value=rows)
    about = {"run": "r", "decoder": {}, "draws": False, "seeds": [1], "against_baseline": {}}
    return SystemResult(label=label, values=known, **about)


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

    def test_without_a_quality_measure_nothing_is_recommended(self, found):
        given = verdict(replace(found(GREEDY_AND_BEAMS), quality=None), lambda label: {})
        assert given.take is None
        assert "no references, or no metric" in given.why[0]
        assert "side by side" in given.why[1]
        assert "plot" not in given.why[1]  # a plot needs a measure of quality
        nothing = verdict(replace(found({}), quality=None), lambda label: {})
        assert nothing.why == ["No system has produced anything."]


@pytest.fixture
def said(found):
    """A function from changes to the reasons for a small beam, which cannot be told from a large
    one; the baseline is greedy. Systems are named by their places, 0 to 2."""
    document = found(GREEDY_AND_BEAMS)
    greedy, small, large = document.systems
    small = replace(small, against_baseline={"word_error_rate": difference(p_holm=0.012)})
    interval = Value(value=0.21, low=0.19, high=0.23)
    large = replace(large, values={**large.values, "word_error_rate": interval})
    systems = [greedy, small, large]
    tests = {"greedy": difference(p_holm=0.01), "beam 2": difference()}

    def call(best=2, taken=1, near=(1,), tests=tests, search=None):
        own = [systems[each] if isinstance(each, int) else each for each in near]
        whole = replace(document, systems=systems, search=search)
        return reasons(whole, systems[best], systems[taken], own, tests)

    return call


def beams(*sizes):
    return [system(f"beam {size}", size, word_error_rate=0.2) for size in sizes]


class TestReasons:
    def test_the_reasons_are_quality_what_is_near_and_cost(self, said):
        assert said() == [
            "beam 9 is best by word error rate: 21.00 % (95 % interval 19.00 % to 23.00 %).",
            "Within one standard error of it is beam 2; of all these, beam 2 takes the least work; "
            "a paired test distinguishes it from 1 of 2 others (p by Holm below 0.05).",
            "beam 2, at 22.00 %, reads 20.00 rows per input, 2 times those of greedy, the "
            "baseline, whose word error rate is 25.00 % (p by Holm 0.012).",
        ]

    @pytest.mark.parametrize(
        ("changes", "place", "sentence"),
        [
            # The baseline is compared with the best.
            ({"taken": 0, "near": [1, 0]}, 1, "are beam 2 and greedy; of all these, greedy takes"),
            ({"taken": 0, "near": [1, 0]}, 2, "greedy, at 25.00 %, reads 10.00 rows per input, "
             "0.111 times those of beam 9, the best."),
            ({"best": 0, "taken": 0, "near": [1, 2]}, 1, "; of all these, it takes the least work"),
            ({"best": 0, "taken": 0, "near": [1, 2]}, 2,
             "The recommended strategy is the baseline; it reads 10.00 rows per input."),
            # Work that is not quite the least is not called so.
            ({"near": [1, *beams(19.9)]}, 1, "; of all these, beam 2 takes hardly more than the"),
            ({"near": [1, *beams(25)]}, 1, "; of all these, beam 2 takes the least work; "),
            ({"near": [1, *beams(25)], "taken": 0}, 1, " these, greedy takes the least work; "),
            # Many are counted.
            ({"near": beams(3, 4, 5, 6, 7)}, 1, "it are beam 3, beam 4, beam 5 and 2 more; of all"),
            ({"taken": 2, "near": [], "tests": dict.fromkeys("ab", difference(p_holm=0.01))}, 1,
             "No other is within one standard error of it; a paired test distinguishes it "
             "from 2 of 2 others (p by Holm below 0.05)."),
        ],
    )  # fmt: skip
    def test_what_is_near_and_what_it_costs(self, changes, place, sentence, said):
        assert sentence in said(**changes)[place]

    def test_a_label_with_a_line_break_stays_in_its_sentence(self, said):
        assert len(said(near=[system("a\nb", 20, word_error_rate=0.2)])) == 3

    def test_without_tests_nothing_is_said_of_them(self, said):
        assert not any("test" in each for each in said(tests={}))

    @pytest.mark.parametrize(
        ("own", "whole", "sentences"),
        [
            ({}, {}, [
                "It missed the most probable output for 5.00 % of 80 inputs; the word error rate "
                "of the most probable outputs is 27.00 % and that of its own 26.00 %, so searching "
                "harder would not help.",
                "Of its 100 outputs there, 30 match no reference: 28 are model errors, at least as "
                "probable to the model as every reference, and 2 are search errors.",
            ]),
            ({"wrong": 0}, {"empty": EmptyOutput(best=0.2),
                            "quality_of_best": {"word_error_rate": 0.1}}, [
                "It missed the most probable output for 5.00 % of 80 inputs, which is the empty "
                "output for 20.00 %; the word error rate of the most probable outputs is 10.00 % "
                "and that of its own 26.00 %, so a better search could help.",
            ]),
            ({"wrong": None, "quality": {}}, {}, [
                "It missed the most probable output for 5.00 % of 80 inputs."
            ]),
            ({"wrong": 0, "missed": 0.0}, {}, [
                "It found the most probable output for all 80 inputs where that output is known "
                "for certain."
            ]),
        ],
    )  # fmt: skip
    def test_errors_of_search_and_model(self, own, whole, sentences, said):
        errors = {"outputs": 100, "wrong": 30, "model_errors": 28, "search_errors": 2}
        quality = {"word_error_rate": 0.26}
        beam = SystemSearch(**{"label": "beam 2", "missed": 0.05, "quality": quality, **errors})
        run = RunSearch(
            run="r",
            certain=80,
            empty=EmptyOutput(best=0.0),
            quality_of_best={"word_error_rate": 0.27},
            systems=[replace(beam, **own)],
        )
        runs = [replace(run, run="other", systems=[]), replace(run, **whole)]
        search = Search(inputs=80, certain=80, max_nodes=9, by_run=runs)
        assert said(search=search)[3:] == sentences

    def test_unlikeness_comes_with_its_statistics(self, document_of):
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
        assert reasons(document, sampled, sampled, [], {}) == [
            "sampled is best by unlikeness: 0.1000 (by seed 0.08 to 0.1200).",
            "sampled reads 1.000 rows per input, as many as greedy, the baseline, whose "
            "unlikeness is 2.000.",
            "Its statistics, with those of held-out text in brackets; close: distinct-1 35.00 % "
            "(36.00 %), distinct-2 80.00 % (80.00 %); further off: log-probability per token "
            "-1.000 (-1.400).",
            "25.00 % of the outputs of greedy end in a loop, but only 0.00 % of its own.",
        ]
        others = reasons(document, greedy, greedy, [], {})
        assert not any("end in a loop" in each for each in others)
