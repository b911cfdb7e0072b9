"""Producing: what systems make of inputs, whatever the batches, and the model's own score of it."""

import math
from dataclasses import replace

import pytest

import seqgen
from seqgen.comparison.plan import Plan
from seqgen.comparison.producing import Workshop
from seqgen.comparison.systems import System
from seqgen.data import Example
from seqgen.decoders import decoders
from seqgen.tokenizers import EOS

TEXTS = ["ab", "abcde", "c", "eedd", "ba", "dcb", "a"]


@pytest.fixture(scope="module")
def run(pairs_run):
    return seqgen.load(pairs_run)


def system(name, draws=False, **options):
    return System(name, 0, decoders.check({"name": name, **options}).plain(), draws)


def flat(produced):
    return [
        (each.generated.text, each.log_probs)
        for seed in produced.outputs
        for own in seed
        for each in own
    ]


def test_the_batches_do_not_matter(run):
    plan = Plan((), seeds=2, samples=3)
    drawing = system("multinomial", draws=True, temperature=1.5)
    recipe = run.built.recipe
    found = []
    for size in (1, 4):
        evaluation = replace(recipe.evaluation, batch_size=size)
        built = replace(run.built, recipe=replace(recipe, evaluation=evaluation))
        found.append(Workshop(replace(run, built=built), plan).produce(drawing, TEXTS))
    one, many = map(flat, found)
    assert [text for text, _ in one] == [text for text, _ in many]
    for (_, alone), (_, together) in zip(one, many, strict=True):
        assert alone == pytest.approx(together, abs=1e-12)
    assert found[0].rows == found[1].rows


def test_seeds_and_samples_of_what_draws(run):
    plan = Plan((), seed=5, seeds=2, samples=3)
    produced = Workshop(run, plan).produce(system("multinomial", True, temperature=3.0), TEXTS)
    assert produced.seeds == [5, 6]
    assert [[len(own) for own in seed] for seed in produced.outputs] == [[3] * len(TEXTS)] * 2
    texts = {text for text, _ in flat(produced)}
    assert len(texts) > 2 * len(TEXTS)


def test_what_does_not_draw_comes_again(run):
    plan = Plan((), seeds=4, samples=5)
    produced = Workshop(run, plan).produce(system("beam", beam_size=3, n_best=2), TEXTS)
    assert produced.seeds == [1]
    for own in produced.outputs[0]:
        assert [own[2], own[3], own[4]] == [own[0], own[1], own[0]]
        assert own[0] != own[1]


def test_the_work_is_counted(run):
    produced = Workshop(run, Plan(())).produce(system("greedy"), TEXTS)
    tokens = [len(own[0].generated.hypothesis.tokens) for own in produced.outputs[0]]
    assert produced.rows == sum(tokens)


def test_references_and_the_empty_output(run):
    workshop = Workshop(run, Plan(()))
    [[one, other]] = workshop.references([Example("ab", ("AB", "A?B"))])
    assert one.tokens[-1] == EOS
    assert len(one.log_probs) == 3
    assert all(-20 < each <= 0 for each in one.log_probs)
    assert sum(other.log_probs) == -math.inf
    [[empty]] = workshop.references([Example("ab", ("",))])
    assert workshop.ends_at_once(["ab"]) == [sum(empty.log_probs)]


def test_the_exact_output_is_the_most_probable(run):
    workshop = Workshop(run, Plan(()))
    best = workshop.exact(TEXTS, 10_000)
    assert all(each.generated.hypothesis.complete for each in best)
    beam = workshop.produce(system("beam", beam_size=2), TEXTS)
    for sure, found in zip(best, beam.best(0), strict=True):
        assert sum(sure.log_probs) >= sum(found.log_probs) - 1e-9


def test_single_precision_is_the_runs_own(run):
    assert Workshop(run, Plan((), precision="single")).run is run
    assert Workshop(run, Plan(())).run.built.model.floats.itemsize == 8
    assert run.built.model.floats.itemsize == 4
