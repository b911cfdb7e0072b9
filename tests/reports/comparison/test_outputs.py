from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.outputs import grouped, outputs


def made(**texts):
    return [{"label": label, "text": text} for label, text in texts.items()]


def test_those_who_made_the_same_stand_together_the_best_first(pronounced):
    pronounced["outputs"] = [
        {"input": "x", "references": ["a b"], "by": made(greedy="a c", other="a b", exact="a b")}
    ]
    comparison = comparison_of(pronounced)
    found = grouped(comparison, pronounced["outputs"][0])
    # `exact` has the better quality, `other` is no strategy of the table.
    assert [(each.text, each.labels) for each in found] == [
        ("a b", ("exact", "other")),
        ("a c", ("greedy",)),
    ]


def test_what_differs_from_the_nearest_reference_is_marked(pronounced):
    pronounced["outputs"] = [
        {
            "input": "x",
            "references": ["q r s t", "a b c"],
            "by": made(greedy="a X c", exact="a b c"),
        }
    ]
    html = outputs(comparison_of(pronounced))
    assert 'a <mark class="wrong">X</mark> c' in html
    assert html.count('class="right"') == 1
    assert "2 different outputs" in html


def test_what_goes_on_with_a_prompt_is_compared_with_nothing(told):
    html = outputs(comparison_of(told))
    assert "<mark" not in html
    assert html.count("<details") == 2


def test_the_first_ones_are_open(pronounced):
    html = outputs(comparison_of(pronounced))
    assert html.count("<details") == 12
    assert html.count('<details class="input" open>') == 5


def test_an_empty_output_and_one_without_references(pronounced):
    pronounced["outputs"] = [{"input": "", "by": made(greedy="")}, {"input": "y"}, 7]
    html = outputs(comparison_of(pronounced))
    assert html.count("(empty)") == 2  # the first input and its output
    assert "<mark" not in html


def test_without_outputs_there_is_no_section(told):
    assert outputs(comparison_of({**told, "outputs": []})) == ""
