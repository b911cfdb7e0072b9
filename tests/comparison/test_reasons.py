"""Why a system is the one to take."""

from dataclasses import replace

import pytest

from seqgen.comparison.reasons import Case, reasons, without_quality

MEASURES = {
    "word_error_rate": {"title": "word error rate", "better": "lower", "unit": "share"},
    "unlikeness": {"title": "unlikeness", "better": "lower", "unit": ""},
    "log_prob_per_token": {"title": "log-probability per token", "better": None, "unit": "nats"},
    "distinct_1": {"title": "distinct-1", "better": "higher", "unit": "share"},
    "distinct_2": {"title": "distinct-2", "better": "higher", "unit": "share"},
    "distinct_3": {"title": "distinct-3", "better": "higher", "unit": "share"},
}


def system(label, rows, **values):
    named = {name: {"value": value, "by_seed": [value]} for name, value in values.items()}
    return {"label": label, "run": "r", "values": {**named, "rows_per_input": {"value": rows}}}


@pytest.fixture
def case():
    """A greedy baseline, a small beam that cannot be told from the best, and a large one."""
    greedy = system("greedy", 10, word_error_rate=0.25)
    small = system("beam 2", 20, word_error_rate=0.22)
    small["against_baseline"] = {"word_error_rate": {"p_holm": 0.012}}
    large = system("beam 9", 90, word_error_rate=0.21)
    large["values"]["word_error_rate"] |= {"low": 0.19, "high": 0.23}
    found = {
        "measures": MEASURES,
        "quality": "word_error_rate",
        "baseline": "greedy",
        "systems": [greedy, small, large],
    }
    return Case(found, large, small, [small], 1, 0.95)


def test_quality_what_cannot_be_told_from_it_and_the_cost(case):
    assert reasons(case) == [
        "beam 9 is best by word error rate: 21.00 % (95 % interval 19.00 % to 23.00 %).",
        "Within one standard error of it is beam 2; of all these beam 2 takes the least work; a "
        "paired test tells it from 1 of 2 others (p by Holm below 0.05).",
        "beam 2, at 22.00 %, reads 20.00 rows per input, 2 times those of greedy, the baseline, "
        "whose word error rate is 25.00 % (p by Holm 0.012).",
    ]


def test_where_the_baseline_is_taken_it_is_held_against_the_best(case):
    greedy, small, large = case.found["systems"]
    _, near, cost = reasons(replace(case, taken=greedy, near=[small, greedy]))
    assert near.startswith("Within one standard error of it are beam 2 and greedy; of all these")
    assert cost == (
        "greedy, at 25.00 %, reads 10.00 rows per input, 0.111 times those of beam 9, the best."
    )
    _, near, cost = reasons(replace(case, best=greedy, taken=greedy, near=[small, large]))
    assert "; of all these it takes the least work; " in near
    assert cost == "It is the baseline as well, with 10.00 rows of work per input."


def test_work_that_is_not_quite_the_least_is_not_called_so(case):
    greedy, small, _ = case.found["systems"]
    less = system("beam 1", 19.9, word_error_rate=0.23)
    near = reasons(replace(case, near=[small, less]))[1]
    assert "; of all these beam 2 takes hardly more than the least work; " in near
    near = reasons(replace(case, taken=greedy, near=[greedy, small]))[1]
    assert "; of all these greedy takes the least work; " in near


def test_many_that_cannot_be_told_apart_are_counted(case):
    others = [system(f"beam {n}", n, word_error_rate=0.2) for n in range(3, 8)]
    near = reasons(replace(case, near=others))[1]
    assert near.startswith("Within one standard error of it are beam 3, beam 4, beam 5 and 2 more")


def test_where_none_is_near_it_says_so(case):
    near = reasons(replace(case, taken=case.best, near=[], told=2))[1]
    assert near == (
        "No other is within one standard error of it; a paired test tells it from 2 of 2 others "
        "(p by Holm below 0.05)."
    )


def test_without_tests_none_is_spoken_of(case):
    assert not any("test" in each for each in reasons(replace(case, near=None, taken=case.best)))


def test_errors_of_search_and_model(case):
    entry = {
        "label": "beam 2",
        "missed": 0.05,
        "quality": {"word_error_rate": 0.26},
        "outputs": 100,
        "wrong": 30,
        "model_errors": 28,
        "search_errors": 2,
    }
    search = {
        "run": "r",
        "certain": 80,
        "empty": {"best": 0.0},
        "quality_of_best": {"word_error_rate": 0.27},
        "systems": [entry],
    }
    found = {**case.found, "search": {"by_run": [{"run": "other"}, search]}}
    assert reasons(replace(case, found=found))[3:] == [
        "It missed the most probable output for 5.00 % of 80 inputs; by word error rate the most "
        "probable ones have 27.00 % and its own 26.00 %, so searching harder would not help.",
        "Of its 100 outputs there, 30 are no reference: 28 by an error of the model, which finds "
        "them at least as probable as what is right, and 2 by an error of the search.",
    ]
    better = {**search, "empty": {"best": 0.2}, "quality_of_best": {"word_error_rate": 0.1}}
    found = {**case.found, "search": {"by_run": [better]}}
    missed = reasons(replace(case, found=found))[3]
    assert ", where that is the empty one for 20.00 %; by" in missed
    assert missed.endswith("so a better search could help.")
    found = {**case.found, "search": {"by_run": [{**search, "systems": [{**entry, "missed": 0}]}]}}
    assert reasons(replace(case, found=found))[3] == (
        "It found the most probable output for each of 80 inputs where that is certain."
    )


def test_of_unlikeness_the_statistics_are_told():
    values = {"log_prob_per_token": -1.0, "distinct_1": 0.35, "distinct_2": 0.8}
    sampled = system("sampled", 1, unlikeness=0.1, distinct_3=0.9, **values)
    sampled["values"]["unlikeness"]["by_seed"] = [0.08, 0.12]
    greedy = system("greedy", 1, unlikeness=2.0, looping=0.25)
    wanted = {"log_prob_per_token": -1.4, "distinct_1": 0.36, "distinct_2": 0.8}
    found = {
        "measures": MEASURES,
        "quality": "unlikeness",
        "baseline": "greedy",
        "systems": [greedy, sampled],
        "references": {"values": {name: {"value": each} for name, each in wanted.items()}},
    }
    assert reasons(Case(found, sampled, sampled, None, 0, 0.95)) == [
        "sampled is best by unlikeness: 0.1000 (by seed 0.08 to 0.1200).",
        "sampled reads 1.000 rows per input, as many as greedy, the baseline, whose "
        "unlikeness is 2.000.",
        "Its statistics, and in brackets those of held-out text: near are distinct-1 35.00 % "
        "(36.00 %), distinct-2 80.00 % (80.00 %); further off log-probability per token -1.000 "
        "(-1.400).",
        "25.00 % of the outputs of greedy end in a loop, and 0.00 % of its own.",
    ]


def test_where_nothing_tells_a_person_is_to_look(case):
    assert "side by side" in without_quality(case.found)[1]
    assert "plot" not in without_quality(case.found)[1]  # a plot needs a measure of quality
    assert without_quality({"systems": []}) == ["No system has produced anything."]
