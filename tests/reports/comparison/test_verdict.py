import re

import pytest

from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.verdict import heading, inputs_in_words, summary, verdict


def test_what_to_take_why_and_its_figures(pronounced):
    html = verdict(comparison_of(pronounced))
    assert '<p class="take">Take <strong>beam beam_size=5</strong></p>' in html
    assert "against 8.50 % for <b>greedy</b> (p = 0.02" in html
    assert "<b>7.42<i> %</i></b><span>phoneme error rate" in html
    assert "greedy 8.50" in html
    assert "references 21.66" in html
    assert "finished" not in html  # 100 % for each of them


def test_a_label_is_not_marked_inside_a_longer_one(pronounced):
    pronounced["verdict"]["why"] = ["beam beam_size=50 is no beam beam_size=5. <i>"]
    html = verdict(comparison_of(pronounced))
    assert re.findall("<li>(.*?)</li>", html)[0] == (
        "<b>beam beam_size=50</b> is no <b>beam beam_size=5</b>. &lt;i&gt;"
    )


def test_no_verdict_is_said_too(told):
    told["verdict"] = {"take": None, "why": ["Nothing says what is better."]}
    html = verdict(comparison_of(told))
    assert "No strategy stands out" in html
    assert "Nothing says what is better." in html
    assert "cards" not in html


def test_the_heading_is_the_description_or_the_runs(pronounced, told):
    assert heading(comparison_of(pronounced)) == "Which search for pronunciations?"
    assert summary(comparison_of(pronounced)) == (
        "14 strategies of g2p on 200 of 11,994 inputs of the test part."
    )
    assert heading(comparison_of(told)) == "shakespeare"
    told["runs"].append({"name": "other"})
    assert heading(comparison_of(told)) == "shakespeare, other"
    assert summary(comparison_of(told)).startswith("9 strategies of 2 runs on 100 of")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"origin": "test", "count": 5, "of": 5}, "5 inputs of the test part"),
        ({"origin": "valid", "count": 1, "of": 9}, "1 of 9 inputs of the validation part"),
        ({"origin": "file", "count": 2, "of": 2}, "2 inputs of a file"),
        ({"origin": "prompts", "count": 2}, "2 prompts of the plan"),
        ({}, "the same inputs"),
    ],
)
def test_inputs_in_words(inputs, said):
    assert inputs_in_words(comparison_of({"inputs": inputs})) == said
