from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.option_curves import curves_of, option_curves


def test_the_curves_of_all_runs_of_an_option_are_one(pronounced):
    points = [{"at": 3, "label": "b"}, {"at": 1, "label": "a"}]
    pronounced["curves"] = [
        {"option": "beam_size", "name": "beam", "run": "one", "points": points},
        {"option": "temperature", "name": "multinomial", "run": "one", "points": points},
        {"option": "beam_size", "name": "beam", "run": "two", "points": points},
        {"option": "k", "name": "top_k", "run": "two", "points": points[:1]},
    ]
    first, second = curves_of(comparison_of(pronounced))
    assert first.option == "beam_size"
    assert [run for run, _ in first.runs] == ["one", "two"]
    assert first.runs[0][1] == ((1, "a"), (3, "b"))
    assert second.option == "temperature"


def test_a_panel_for_each_measure_that_the_option_changes(pronounced):
    pronounced["curves"] = pronounced["curves"][:1]
    html = option_curves(comparison_of(pronounced))
    for title in ("phoneme error rate", "log-probability per token", "length to the reference"):
        assert f"<h4>{title}" in html
    assert "<h4>finished" not in html  # 100 % for each
    assert html.count("<polygon") == 1  # the error rate has intervals


def test_without_curves_there_is_no_section(told):
    told["curves"] = [{"option": "k", "points": [{"at": None}, {"at": "x"}]}, 7]
    assert option_curves(comparison_of(told)) == ""
