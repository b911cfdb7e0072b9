from seqgen.reports.comparison.best_of import best_of, best_of_points, spec_of
from seqgen.reports.comparison.document import comparison_of


def test_two_lines_for_what_both_ways_of_choosing_have(pronounced):
    html = best_of(comparison_of(pronounced))
    assert "multinomial temperature=1.0" in html
    assert "on 100 inputs" in html
    assert html.count("<polyline") == 2
    assert "<title>by the references, n 16: 3.03 %</title>" in html


def test_the_points_are_in_the_order_of_n_and_lack_what_is_not_known(pronounced):
    comparison = comparison_of(pronounced)
    measure = comparison.measures["phoneme_error_rate"]
    run = {
        "points": [
            {"n": 4, "oracle": {"phoneme_error_rate": 0.25}},
            {"n": 1, "oracle": {"phoneme_error_rate": 0.5}},
            {"n": 2, "oracle": {"phoneme_error_rate": None}},
        ]
    }
    assert [(n, value.value) for n, value in best_of_points(run, "oracle", measure)] == [
        (1, 0.5),
        (4, 0.25),
    ]
    assert best_of_points(run, "by_score", measure) == []


def test_without_it_there_is_no_section(told):
    assert best_of(comparison_of(told)) == ""


def test_a_decoder_on_one_line():
    decoder = {"name": "beam", "beam_size": 5, "constraints": [], "sampler": {"name": "top_k"}}
    assert spec_of(decoder) == 'beam beam_size=5 sampler={"name": "top_k"}'
