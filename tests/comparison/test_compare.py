"""The story of a comparison, from runs and a plan to a document that does not change."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import seqgen
from seqgen.comparison.compare import compare
from seqgen.comparison.contest import Contest
from seqgen.comparison.plan import (
    BestOfOptions,
    InputOptions,
    Plan,
    SearchOptions,
    SignificanceOptions,
    SpeedOptions,
    Strategy,
)
from seqgen.comparison.systems import systems_of
from seqgen.decoders import decoders
from seqgen.errors import DataError
from seqgen.options import for_json
from seqgen.reports.comparison import write_comparison


def strategy(name, grid=None, **options):
    return Strategy(decoders.check({"name": name, **options}), grid)


PLAN = Plan(
    (
        strategy("greedy"),
        strategy("beam", {"beam_size": (2, 3, 4)}),
        strategy("multinomial", {"temperature": (0.5, 2.0)}),
    ),
    inputs=InputOptions(most=24),
    seeds=2,
    search=SearchOptions(inputs=8),
    best_of=BestOfOptions(5, decoders.check("multinomial"), (1, 3)),
    significance=SignificanceOptions(resamples=50, shuffles=50),
    speed=SpeedOptions(inputs=4, repeats=1, warm_ups=0),
    shown=4,
    traced=2,
)


def compared(plan, *folders, batch_size=None):
    runs = [seqgen.load(folder) for folder in folders]
    if batch_size is not None:
        runs = [in_batches_of(batch_size, run) for run in runs]
    names = [f"run{place}" for place in range(len(runs))]
    told = []
    contest = Contest(runs, names, systems_of(plan, names), told.append)
    document = compare(contest, plan)
    assert all(0 <= each.done < each.total for each in told)
    return document


def in_batches_of(size, run):
    recipe = run.built.recipe
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, batch_size=size))
    return replace(run, built=replace(run.built, recipe=recipe))


def untimed(document):
    return json.dumps({key: each for key, each in document.items() if key != "timings"})


@pytest.fixture(scope="module")
def document(pairs_run):
    return compared(PLAN, pairs_run)


class TestSources:
    def test_the_batches_do_not_matter(self, document, pairs_run):
        again = compared(PLAN, pairs_run, batch_size=5)
        assert untimed(again) == untimed(document)
        assert again["timings"]["systems"].keys() == document["timings"]["systems"].keys()

    def test_another_seed_draws_other_outputs(self, document, pairs_run):
        other = compared(replace(PLAN, seed=7, traced=0, search=SearchOptions(0)), pairs_run)
        drawn = {each["label"]: each["draws"] for each in document["systems"]}
        for one, two in zip(document["systems"], other["systems"], strict=True):
            score = [each["values"]["log_prob_per_token"]["by_seed"] for each in (one, two)]
            assert (score[0] != score[1]) == drawn[one["label"]]

    def test_every_system_has_every_measure(self, document):
        for system in document["systems"]:
            assert system["values"].keys() >= document["measures"].keys()
        assert document["quality"] == "exact_match"
        assert document["baseline"] == "greedy"
        assert {"distinct_2", "length_ratio", "finished", "rows_per_input"} <= document[
            "measures"
        ].keys()
        assert document["references"]["values"]["length_ratio"]["value"] == 1.0

    def test_no_beam_is_less_probable_than_greedy_nor_more_than_exact(self, document):
        value = {
            each["label"]: each["values"]["log_prob_per_sequence"]["value"]
            for each in document["systems"]
        }
        assert value["greedy"] <= value["beam beam_size=2"] + 1e-9
        [search] = document["search"]["by_run"]
        assert search["certain"] == 8
        assert all(each.get("mean_gap", 0) >= 0 for each in search["systems"])

    def test_what_is_shown_is_what_was_asked_for(self, document):
        assert len(document["outputs"]) == 4
        assert len(document["traces"]) == 2 * len(document["systems"])
        assert [each["n"] for each in document["best_of"]["by_run"][0]["points"]] == [1, 3]
        assert [each["option"] for each in document["curves"]] == ["beam_size"]

    def test_it_is_what_reports_are_made_of(self, document, tmp_path):
        content = json.dumps(for_json(document), allow_nan=False)
        (tmp_path / "compare.json").write_text(content, encoding="utf-8")
        write_comparison(tmp_path)
        assert document["verdict"]["take"] in (tmp_path / "compare.html").read_text("utf-8")

    def test_what_cannot_satisfy_its_constraints_is_counted(self, pairs_run):
        some = [{"name": "allowed", "texts": ["AB"]}, {"name": "forbid", "texts": ["B"]}]
        strategies = (strategy("greedy"), strategy("greedy", constraints=some))
        plan = replace(PLAN, strategies=strategies, inputs=InputOptions(most=2), traced=0)
        with pytest.warns(UserWarning, match=r"^greedy constr.*: 2 of 2 texts do not satisfy all"):
            compared(plan, pairs_run)


class TestText:
    PLAN = Plan(
        (strategy("greedy"), strategy("multinomial")),
        inputs=InputOptions(most=3, prompt_size=10),
        max_length=40,
        seeds=2,
        samples=2,
        best_of=BestOfOptions(0, decoders.check("multinomial")),
        speed=SpeedOptions(repeats=0),
        traced=1,
    )

    def test_running_text_is_held_against_how_it_goes_on(self, finished_run):
        document = compared(self.PLAN, finished_run)
        assert document["quality"] == "unlikeness"
        assert document["search"] is None
        assert document["timings"] is None
        assert document["references"]["values"]["mean_length"]["value"] == 40
        assert document["systems"][1]["values"]["mean_length"]["value"] == 40
        assert len(document["traces"]) == 2

    def test_inputs_that_are_alike_keep_their_traces_apart(self, finished_run):
        twice = replace(self.PLAN, inputs=InputOptions(prompts=("ab", "ab")), traced=2)
        traces = compared(twice, finished_run)["traces"]
        assert [each["label"] for each in traces] == ["greedy", "multinomial"] * 2
        assert traces[1]["trace"]["outputs"] != traces[3]["trace"]["outputs"]

    def test_how_a_line_goes_on_is_not_called_right_or_wrong(self, train, place):
        words = [f"{one}{other}kl" for one in "abcde" for other in "fghij"]
        place.write("words.txt", "\n".join(words))
        kind = "data={name: lines, path: words.txt, split: [0.6, 0.2, 0.2]}"
        run = train(kind, "train.max_steps=5", "generation.max_length=6")
        few = {"inputs": InputOptions(most=5), "search": SearchOptions(inputs=2)}
        plan = replace(self.PLAN, max_length=6, copies=False, **few)
        document = compared(plan, run)
        assert document["quality"] == "unlikeness"
        assert document["inputs"]["references"]
        [search] = document["search"]["by_run"]
        assert search["certain"] == 2
        assert "missed" in search["systems"][0]
        assert not {"best_is_reference", "reference_reachable"} & search.keys()
        assert not any("wrong" in each for each in search["systems"])

    def test_what_is_wrong_with_a_training_text_is_told_first(self, finished_run, pairs_run):
        lost = seqgen.load(pairs_run)
        lost.built.data.path = Path("nowhere.tsv")
        told = []
        plan = replace(self.PLAN, inputs=InputOptions(prompts=("ab",)))
        systems = systems_of(plan, ["one", "two"])
        contest = Contest([seqgen.load(finished_run), lost], ["one", "two"], systems, told.append)
        with pytest.raises(DataError, match="nowhere"):
            compare(contest, plan)
        assert told == []

    def test_two_runs_are_told_apart(self, finished_run):
        document = compared(replace(self.PLAN, traced=0), finished_run, finished_run)
        labels = [each["label"] for each in document["systems"]]
        assert labels == ["run0: greedy", "run0: multinomial", "run1: greedy", "run1: multinomial"]
        values = [each["values"] for each in document["systems"]]
        assert values[:2] == values[2:]

    def test_prompts_have_no_references(self, finished_run):
        inputs = InputOptions(prompts=("the ", "a"))
        document = compared(replace(self.PLAN, inputs=inputs, traced=0), finished_run)
        assert document["references"] is None
        assert document["verdict"]["take"] is None


def test_no_inputs_are_refused(pairs_run, tmp_path):
    (tmp_path / "none.tsv").write_text("")
    inputs = InputOptions(rows=tmp_path / "none.tsv")
    with pytest.raises(DataError):
        compared(replace(PLAN, inputs=inputs), pairs_run)
