"""The values of a system: what each measure says of it, and of the references."""

import math
from dataclasses import replace

import pytest

import seqgen
from seqgen.comparison.plan import Plan, SignificanceOptions, Strategy
from seqgen.comparison.produced import Reference
from seqgen.comparison.quality import judge
from seqgen.comparison.values import Measurer
from seqgen.data import Example
from seqgen.decoders import decoders
from seqgen.metrics import ExactMatch
from seqgen.tokenizers import EOS

PLAN = Plan((Strategy(decoders.check("greedy")),), unit="words", copies=False)
EXAMPLES = [Example("1", ("a b c",)), Example("2", ("a b",))]


def reference(text, per_token, end=()):
    tokens = (*range(4, 4 + len(text.split())), *end)
    return Reference(text, tokens, (per_token,) * len(tokens))


def of_system(produced, measurer, run=0):
    quality = judge([produced], EXAMPLES, {"exact_match": ExactMatch()}, SignificanceOptions(), 1)
    found = replace(produced, system=replace(produced.system, run=run))
    return measurer.system(found, quality)


@pytest.fixture
def text(finished_run):
    return seqgen.load(finished_run)


@pytest.fixture
def pairs(pairs_run):
    return seqgen.load(pairs_run)


def test_all_measures_of_a_system_with_sources(pairs, produced):
    references = [[reference(each.references[0], -1.0, (EOS,)) for each in EXAMPLES]]
    measurer = Measurer([pairs], PLAN, EXAMPLES, references)
    found = of_system(produced("s", ["a b c", "a"], rows=12), measurer)
    assert found["exact_match"]["value"] == 0.5
    assert found["length_ratio"]["value"] == pytest.approx(4 / 5)
    assert found["distinct_1"]["value"] == pytest.approx(3 / 4)
    assert found["finished"]["value"] == 1
    assert found["rows_per_input"]["value"] == 6
    assert "unlikeness" not in found
    assert "copied" not in found
    assert measurer.of_references(0)["log_prob_per_token"] == {"value": -1}
    assert measurer.of_references(0)["mean_length"] == {"value": 2.5}


def test_text_is_held_against_what_the_model_of_its_own_run_says_of_references(
    text, output, produced
):
    examples = [Example("", ("a b c",))]
    references = [[reference("a b c", -2.0)], [reference("a b c", -4.0)]]
    measurer = Measurer([text, text], PLAN, examples, references)
    system = produced("s", [output("a b c", -6.0, finished=False)])
    quality = judge([], [], {}, SignificanceOptions(), 1)
    found = [
        measurer.system(replace(system, system=replace(system.system, run=run)), quality)
        for run in (0, 1)
    ]
    assert found[0]["unlikeness"]["value"] == pytest.approx(0)
    assert found[1]["unlikeness"]["value"] == pytest.approx(math.log(2) / 4)
    assert "finished" not in found[0]


def test_without_references_nothing_is_held_against_them(text, output, produced):
    measurer = Measurer([text], PLAN, [Example("", ())], [[]])
    quality = judge([], [], {}, SignificanceOptions(), 1)
    found = measurer.system(produced("s", [output("a b c", finished=False)]), quality)
    assert measurer.of_references(0) == {}
    assert not {"unlikeness", "length_ratio"} & found.keys()


def test_copies_are_looked_for_in_the_training_text_of_the_run(text, output, produced):
    training = text.built.data.training_texts()["text"][0]
    measurer = Measurer([text], replace(PLAN, copies=True), [Example("", ())], [[]])
    copied = output(" ".join(training.split()[1:11]), finished=False)
    quality = judge([], [], {}, SignificanceOptions(), 1)
    assert measurer.system(produced("s", [copied]), quality)["copied"]["value"] == 1
