from seqgen.reports.comparison.measures import (
    Measure,
    described,
    in_words,
    leading,
    span,
    timed,
    valued,
    written,
)

SHARE = Measure("m", "m", "quality", "lower", "share")
NATS = Measure("m", "m", "score", "", "nats")
BYTES = Measure("m", "m", "memory", "lower", "bytes")


def test_values_are_written_without_their_unit_in_tables_and_with_it_in_words():
    assert written(SHARE, 0.2432) == "24.32"
    assert in_words(SHARE, 0.2432) == "24.32 %"
    assert written(NATS, -0.052) == "-0.05200"
    assert in_words(NATS, -1.5) == "-1.500 nats"
    assert in_words(BYTES, 2_345_000) == "2.345 MB"
    assert written(Measure("m", "m", "speed"), 1_234_567) == "1.23 M"
    assert in_words(SHARE, None) == "\u2013"


def test_what_is_counted_in_rows_does_not_say_it_twice():
    assert in_words(Measure("m", "rows per input", "work", "lower", "rows"), 12) == "12.00"


def test_a_span_of_negative_values_has_no_two_dashes_beside_each_other():
    assert span(SHARE, 0.1, 0.2) == "10.00\u201320.00"
    assert span(NATS, -0.3, -0.2) == "-0.3000 to -0.2000"


def test_a_value_may_have_an_interval_and_a_spread():
    value = valued({"value": 2, "low": 1, "high": 3, "by_seed": [1.5, None, 2.5]})
    assert (value.low, value.high) == (1, 3)
    assert value.spread == (1.5, 2.5)
    assert value.spread_of == "2 seeds"
    assert valued({"value": 2, "by_seed": [2]}).spread is None
    assert valued({"value": None}) is None


def test_a_measure_without_a_description_is_called_by_its_name():
    [measure] = described({"some_thing": {"better": None}}).values()
    assert (measure.title, measure.group, measure.better) == ("some thing", "other", "")


def test_only_what_was_timed_is_a_measure():
    assert list(timed([{"calls": 3}, {"peak_bytes": None}])) == ["calls"]


def test_the_leading_measures_have_stand_ins():
    names = ("mean_length", "log_prob_per_token", "rows_per_input", "bleu")
    found = leading(described(dict.fromkeys(names)), "bleu", "")
    assert [each.name for each in found] == [
        "bleu",
        "log_prob_per_token",
        "mean_length",
        "rows_per_input",
    ]
