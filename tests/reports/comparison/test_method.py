from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.method import in_sentences, method


def test_the_sentences_of_a_comparison(pronounced):
    pronounced["plan"]["samples"] = 4
    assert in_sentences(comparison_of(pronounced)) == [
        "All strategies decoded 200 of 11,994 inputs of the test part.",
        "Each gave 4 outputs for an input; quality is that of the best of them, diversity that of "
        "all.",
        "Strategies that draw at random did so with 3 seeds; their values are the means over "
        "these.",
        "Values were computed in double precision, so that no output depends on what else was in "
        "its batch; the same command with the same seed gives the same values.",
        "Diversity counts words.",
        "Intervals at 95 % are from 1,000 bootstrap samples of the inputs.",
        "Differences from greedy were tested on the same inputs by approximate randomisation with "
        "5,000 shuffles; p is corrected for the number of strategies by Holm's method.",
        "Speed is that of the run's own precision (float32), on cpu with 1 thread, for 32 inputs "
        "in batches of 32: the median of 3 repeats after 1 warm-up, the strategies in turn.",
        "Made by seqgen 0.1.0, from seed 1 on.",
    ]


def test_what_is_not_known_is_not_said():
    assert in_sentences(comparison_of({"plan": {"precision": "single"}})) == [
        "All strategies decoded the same inputs.",
        "Nothing was timed.",
    ]


def test_measures_runs_strategies_and_plan_are_there_in_full(pronounced):
    pronounced["systems"][0]["decoder"]["forbid"] = "<script>"
    html = method(comparison_of(pronounced))
    assert "What distinct 2-grams means, in a sentence." in html
    assert "SHA-256 of the weights" in html
    assert "86" * 32 in html
    assert '{"name": "beam", "beam_size": 50}'.replace('"', "&quot;") in html
    assert "<script>" not in html
    assert "&quot;shuffles&quot;: 5000" in html
