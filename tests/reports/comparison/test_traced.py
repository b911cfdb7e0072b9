from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.traced import traced


def test_the_traces_of_an_input_stand_together(pronounced):
    [trace] = pronounced["traces"]
    pronounced["traces"] = [
        trace,
        {**trace, "label": "beam beam_size=5"},
        {**trace, "input": "<other>", "label": "beam beam_size=5"},
    ]
    html = traced(comparison_of(pronounced))
    assert html.count('class="traced"') == 2
    assert "&lt;other&gt;" in html
    assert html.count("<details open><summary>beam beam_size=5</summary>") == 1
    assert html.count("<summary>beam beam_size=2</summary>") == 1


def test_inputs_that_are_alike_stand_apart(pronounced):
    [trace] = pronounced["traces"]
    two = [trace, {**trace, "label": "other"}]
    pronounced["traces"] = [*two, *two]
    html = traced(comparison_of(pronounced))
    first, second = html.split('class="traced"')[1:]
    for part in (first, second):
        assert part.count("<summary>") == 2
        assert part.count("<summary>other</summary>") == 1


def test_more_traces_than_a_page_can_hold_are_counted(pronounced, monkeypatch):
    from seqgen.reports.comparison import traced as module

    pronounced["traces"] = pronounced["traces"] * 3
    whole = module.traced(comparison_of(pronounced))
    assert "more trace" not in whole
    monkeypatch.setattr(module, "MOST", len(module.trace_html(pronounced["traces"][0]["trace"])))
    assert "2 more traces in compare.json." in module.traced(comparison_of(pronounced))


def test_without_traces_there_is_no_section(told):
    assert traced(comparison_of(told)) == ""
