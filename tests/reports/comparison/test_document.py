import json

import pytest

from seqgen.errors import CheckpointError
from seqgen.reports.comparison.document import comparison_of, read_comparison


def test_the_fields_of_a_document(pronounced, write_document):
    comparison = read_comparison(write_document(pronounced))
    assert comparison.take == "beam beam_size=5"
    assert comparison.alpha == pytest.approx(0.05)
    assert comparison.runs == ["g2p"]
    sampled = comparison.row("multinomial temperature=1.0")
    error = pronounced["systems"][11]["values"]["phoneme_error_rate"]
    assert sampled.values["phoneme_error_rate"].spread == (
        min(error["by_seed"]),
        max(error["by_seed"]),
    )
    assert sampled.values["phoneme_error_rate"].spread_of == "3 seeds"
    assert sampled.changes["phoneme_error_rate"].p_holm < 0.05
    assert comparison.row("no such") is None


def test_what_was_timed_is_a_measure_like_others():
    speeds = {"seconds": {"min": 1, "median": 2, "max": 4}, "sequences_per_second": 16, "calls": 9}
    comparison = comparison_of(
        {
            "systems": [{"label": "a"}, {"label": "b"}],
            "timings": {"repeats": 3, "systems": {"a": speeds}},
        }
    )
    assert list(comparison.measures) == ["sequences_per_second", "calls"]
    values = comparison.row("a").values
    assert values["sequences_per_second"].spread == (8, 32)
    assert values["sequences_per_second"].spread_of == "3 repeats"
    assert values["calls"].spread is None
    assert comparison.row("b").values == {}


def test_the_best_is_first_by_whichever_way_is_better():
    systems = [{"label": name, "values": {"m": {"value": i}}} for i, name in enumerate("abc")]
    systems.insert(1, {"label": "none"})
    document = {"systems": systems, "quality": "m"}
    for better, order in (("higher", "cba"), ("lower", "abc")):
        measures = {"m": {"group": "quality", "better": better}}
        rows = comparison_of({**document, "measures": measures}).best_first()
        assert [row.label for row in rows] == [*order, "none"]
    rows = comparison_of({**document, "measures": {"m": {}}}).best_first()
    assert [row.label for row in rows] == ["a", "none", "b", "c"]  # as in the plan


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ("[]", "damaged, it does not hold a mapping"),
        ('{"format": 1}', "its format is not 2, which this seqgen reads"),
    ],
)
def test_a_file_that_is_no_comparison(write_document, text, reason):
    folder = write_document(text)
    with pytest.raises(CheckpointError, match=rf"compare\.json: {reason}"):
        read_comparison(folder)


def test_a_folder_without_a_comparison(tmp_path):
    with pytest.raises(CheckpointError, match=r"compare\.json: the file is missing"):
        read_comparison(tmp_path)


def test_foreign_values_are_left_out():
    document = json.loads(
        '{"systems": [7, {"label": 3}, {"label": "a", "values": {"m": 1, "n": {"value": NaN},'
        '"o": {"value": 1e999}, "p": {"value": 2, "low": 1}}, "against_baseline": {"p": {}}}],'
        '"measures": {"p": null}, "references": [], "timings": "never", "runs": {}}'
    )
    [row] = comparison_of(document).rows
    assert {name: value.value for name, value in row.values.items()} == {"p": 2}
    assert row.values["p"].low is None
    assert row.changes == {}
