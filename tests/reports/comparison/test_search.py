from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.search import in_sentences, search


def run_of(**more):
    return {"run": "g2p", "certain": 4, **more}


def test_the_sentences_say_what_is_known(pronounced):
    pronounced["search"] = {"inputs": 5, "certain": 4, "max_nodes": 2000}
    comparison = comparison_of(pronounced)
    found = in_sentences(
        comparison,
        run_of(
            empty={"mean_probability": 0.25, "best": 0.5},
            reference_reachable=3,
            best_is_reference=0.75,
            best_beats_reference=0.25,
            quality_of_best={"phoneme_error_rate": 0.125},
        ),
    )
    assert found == [
        "The most probable output was found for 4 of 5 inputs within 2,000 nodes.",
        "It is a reference for 75.0 % of them, and for 25.0 % the model prefers it to every "
        "reference.",
        "The phoneme error rate of the most probable outputs is 12.50 %.",
        "The empty output has a probability of 25.0 % on average, and is the most probable one "
        "for 50.0 % of the inputs.",
        "The model can say a reference at all for 3 of 5 inputs.",
    ]
    assert in_sentences(comparison, {"empty": {"mean_probability": 0.5}}) == [
        "The empty output has a probability of 50.0 % on average."
    ]


def test_wrong_outputs_are_bars_of_two_parts(pronounced):
    pronounced["search"] = {
        "by_run": [
            run_of(
                systems=[
                    {
                        "label": "a",
                        "outputs": 10,
                        "wrong": 5,
                        "search_errors": 1,
                        "model_errors": 4,
                    },
                    {"label": "<b>", "outputs": 10, "wrong": 0, "search_errors": 0},
                    {"label": "c", "missed": 0.25},
                ]
            )
        ]
    }
    html = search(comparison_of(pronounced))
    assert 'class="search-error" style="width: 20.0%"' in html
    assert 'class="model-error" style="width: 80.0%"' in html
    assert "50.00 %" in html
    assert "<b>" not in html.split("<tbody>")[1]


def test_without_it_there_is_no_section(told):
    assert search(comparison_of(told)) == ""
    told["search"] = {"by_run": []}
    assert search(comparison_of(told)) == ""
