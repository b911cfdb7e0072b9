"""What is wrong with a plan for some runs, with its place in the plan."""

import pytest

from seqgen.comparison.plan import Plan
from seqgen.comparison.rehearsal import check_for_runs, fitting, rehearse_decoders
from seqgen.comparison.systems import systems_of
from seqgen.options import OptionError, check_options, options_of
from seqgen.trained import TrainedRun


def plan_of(*strategies, **more):
    data = {"strategies": list(strategies), **more}
    return Plan(**check_options(options_of(Plan), data, (), "a plan"))


def test_what_a_vocabulary_is_too_small_for(pairs_run):
    run = TrainedRun.load(pairs_run)
    tokens = len(run.built.tokenizer)

    def told(*strategies, runs=("run",)):
        plan = plan_of(*strategies)
        found = systems_of(plan, runs)
        with pytest.raises(OptionError) as caught:
            check_for_runs(plan, found, [run] * len(runs), runs)
        return str(caught.value)

    top_k = {"decoder": {"name": "top_k", "k": 2}, "grid": {"temperature": [1], "k": [3, 999]}}
    limit = f"`k` must be from 1 to {tokens}, the number of tokens, but is 999"
    assert told({"decoder": "greedy"}, top_k) == f"strategies.1.grid.k.1: {limit}"
    inside = {
        "decoder": {"name": "minimum_bayes_risk", "sampler": {"name": "top_k", "k": 999}},
    }
    assert told(inside) == f"strategies.0.decoder.sampler: {limit}"
    assert told(top_k, runs=("a", "b")) == f"strategies.0.grid.k.1: {limit} (of the run a)"


def test_what_does_not_go_together(pairs_run):
    run = TrainedRun.load(pairs_run)

    def told(strategy):
        plan = plan_of(strategy)
        with pytest.raises(OptionError) as caught:
            check_for_runs(plan, systems_of(plan, ["run"]), [run], ["run"])
        return str(caught.value)

    message = "`n_best` must be from 1 to `beam_size`, which is 2, but is 3"
    few = {"decoder": {"name": "beam", "n_best": 3}, "grid": {"beam_size": [2]}}
    assert told(few) == f"strategies.0.grid.beam_size.0: {message}"
    assert told({"decoder": {"name": "beam", "n_best": 3, "beam_size": 2}}) == (
        f"strategies.0.decoder: {message}"
    )


def test_right_ones_are_built_without_a_word(pairs_run):
    run = TrainedRun.load(pairs_run)
    plan = plan_of({"decoder": "greedy"}, {"decoder": "beam", "grid": {"beam_size": [2, 3]}})
    check_for_runs(plan, systems_of(plan, ["run"]), [run], ["run"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"quality": "exact_match", "inputs": {"prompts": ["a"]}},
            "quality: 'exact_match' needs references, and prompts have none",
        ),
        (
            {"quality": "exact_match", "inputs": {"file": "a.txt"}},
            "quality: 'exact_match' needs references, and lines of a file have none",
        ),
        ({"quality": "unlikeness"}, "quality: 'unlikeness' needs text that goes on"),
        ({"quality": "copied", "copies": False}, "quality: 'copied' needs `copies`, which the"),
    ],
)
def test_a_quality_that_nothing_can_have_is_told_before_decoding(more, message, pairs_run):
    run = TrainedRun.load(pairs_run)
    plan = plan_of({"decoder": "greedy"}, **more)
    with pytest.raises(OptionError) as caught:
        check_for_runs(plan, systems_of(plan, ["run"]), [run], ["run"])
    assert str(caught.value).startswith(message)
    possible = plan_of({"decoder": "greedy"}, quality="finished")
    check_for_runs(possible, systems_of(possible, ["run"]), [run], ["run"])


def test_what_a_vocabulary_is_too_small_for_may_be_left_out(pairs_run):
    run = TrainedRun.load(pairs_run)
    plan = plan_of({"decoder": {"name": "top_k", "k": 2}, "grid": {"k": [2, 999]}})
    with pytest.warns(UserWarning, match="^top_k k=999 is left out: `k` must be from 1 to "):
        [system] = fitting(systems_of(plan, ["run"]), [run])
    assert system.label == "top_k k=2"


def test_that_of_the_best_of_n_is_built_too(pairs_run):
    run = TrainedRun.load(pairs_run)
    plan = plan_of({"decoder": "greedy"}, best_of={"decoder": {"name": "top_k", "k": 999}})
    with pytest.raises(OptionError, match=r"^best_of\.decoder: `k` must be from 1 to"):
        check_for_runs(plan, systems_of(plan, ["run"]), [run], ["run"])


@pytest.mark.parametrize(
    ("grid", "path"),
    [
        ({"n_best": [3], "beam_size": [2]}, "strategies.0.grid.n_best.0"),
        ({"beam_size": [4, 2], "n_best": [3]}, "strategies.0.grid.n_best.0"),
    ],
)
def test_a_rehearsal_needs_no_run(grid, path):
    plan = plan_of({"decoder": "beam", "grid": grid})
    with pytest.raises(OptionError) as caught:
        rehearse_decoders(plan, systems_of(plan, ["run"]))
    assert str(caught.value) == (
        f"{path}: `n_best` must be from 1 to `beam_size`, which is 2, but is 3"
    )


def test_a_quality_that_there_is_not(pairs_run):
    run = TrainedRun.load(pairs_run)
    plan = plan_of({"decoder": "greedy"}, quality="exact_mach")
    with pytest.raises(
        OptionError, match=r"^quality: must be one of exact_match, .*, but is 'exact"
    ):
        check_for_runs(plan, systems_of(plan, ["run"]), [run], ["run"])
    plan = plan_of({"decoder": "greedy"}, quality="exact_match")
    check_for_runs(plan, systems_of(plan, ["run"]), [run], ["run"])
