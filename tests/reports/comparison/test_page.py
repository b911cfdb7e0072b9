import copy
import json

import pytest

from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.page import page

NASTY = "[/x]\x00\x1b[31m\u202e\ud800<script>alert(1)</script>\"'&|\r\n\t" + "w" * 300
PARTS = ("measures", "systems", "references", "search", "curves", "best_of")
OTHERS = ("verdict", "outputs", "traces", "timings", "plan", "runs", "inputs", "quality")


@pytest.fixture
def checked(read_html):
    """A function that makes the page of a document and reads it."""

    def check(document):
        found = read_html(page(comparison_of(document)))
        assert found.tags.count("script") == 1
        assert all(link.removeprefix("#") in found.ids for link in found.links)
        return found

    return check


def test_all_sections_of_a_full_comparison(checked, pronounced):
    found = checked(pronounced)
    for name in (
        "strategies",
        "trade-offs",
        "curves",
        "search",
        "best-of",
        "outputs",
        "traces",
        "method",
    ):
        assert name in found.ids
    before = found.text.index("All strategies")
    assert found.text.index("Take beam beam_size=5") < before


def test_a_language_model_has_the_sections_that_it_can_have(checked, told):
    found = checked(told)
    assert "trade-offs" in found.ids
    assert not {"search", "best-of", "traces"} & set(found.ids)


@pytest.mark.parametrize("key", PARTS)
@pytest.mark.parametrize("value", [None, [], {}, "text"])
def test_any_part_may_be_missing_or_foreign(checked, pronounced, key, value):
    checked({**pronounced, key: value})


@pytest.mark.parametrize("key", OTHERS)
@pytest.mark.parametrize("value", [None, [7], {"by_run": [7]}, 3])
def test_so_may_the_others(checked, pronounced, key, value):
    checked({**pronounced, key: value})


def test_one_strategy_alone(checked, pronounced):
    pronounced["systems"] = pronounced["systems"][:1]
    pronounced["curves"] = []
    assert "trade-offs" not in checked(pronounced).ids


def test_sixty_strategies_of_two_runs(checked, pronounced):
    systems = []
    for run in ("g2p", "other"):
        for i in range(30):
            each = copy.deepcopy(pronounced["systems"][i % 14])
            systems.append({**each, "label": f"{each['label']} {run} {i}", "run": run})
    pronounced |= {"systems": systems, "runs": [{"name": "g2p"}, {"name": "other"}]}
    assert checked(pronounced).text.count("g2p 0") > 1


def test_hostile_texts_do_nothing(checked, pronounced):
    text = json.dumps(pronounced).replace("beam beam_size=5", json.dumps(NASTY)[1:-1])
    document = json.loads(text)
    document |= {"description": NASTY, "runs": [{"name": NASTY, "data": {NASTY: NASTY}}]}
    for each in document["outputs"]:
        each |= {"input": NASTY, "references": [NASTY]}
        each["by"][0]["text"] = NASTY + "x"
    document["measures"]["phoneme_error_rate"] |= {"title": NASTY, "about": NASTY, "unit": NASTY}
    found = checked(document)
    assert "alert(1)" in found.text
    for hidden in "\x00\x1b\u202e\ud800":
        assert hidden not in found.text


def test_numbers_that_are_no_numbers(checked, pronounced):
    for each in pronounced["systems"][:6]:
        each["values"] = {name: {"value": None} for name in each["values"]}
    pronounced["systems"][7]["values"]["phoneme_error_rate"]["value"] = float("nan")
    pronounced["systems"][8]["values"]["distinct_2"] = {"value": 0.0, "by_seed": [None, 0.0]}
    checked(pronounced)
