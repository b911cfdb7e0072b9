"""The story of a comparison: what is checked before, the document, and the folder it lies in."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import seqgen
from seqgen.comparison import (
    Comparison,
    Plan,
    Strategy,
    applicable,
    check_for_runs,
    check_free,
    compare,
    document_text,
    dry_run_decoders,
    systems_of,
    write,
)
from seqgen.comparison.document import SystemResult
from seqgen.comparison.plan import (
    BestOfOptions,
    InputOptions,
    SearchOptions,
    SignificanceOptions,
    SpeedOptions,
)
from seqgen.decoders import decoders
from seqgen.errors import DataError, SetupError
from seqgen.options import OptionError
from seqgen.trained import TrainedRun


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
TEXT = Plan(
    (strategy("greedy"), strategy("multinomial")),
    inputs=InputOptions(most=3, prompt_size=10),
    max_length=40,
    seeds=2,
    samples=2,
    best_of=BestOfOptions(0, decoders.check("multinomial")),
    speed=SpeedOptions(repeats=0),
    traced=1,
)


def compared(plan, *folders, batch_size=None):
    runs = [seqgen.load(folder) for folder in folders]
    if batch_size is not None:
        recipe = runs[0].built.recipe
        evaluation = replace(recipe.evaluation, batch_size=batch_size)
        built = replace(runs[0].built, recipe=replace(recipe, evaluation=evaluation))
        runs = [replace(runs[0], built=built)]
    names = [f"run{index}" for index in range(len(runs))]
    announced = []
    comparison = Comparison(runs, names, systems_of(plan, names), plan, announced.append)
    document = compare(comparison)
    assert all(0 <= each.done < each.total for each in announced)
    return document


def value(system, measure):
    return system.values[measure].value


@pytest.fixture(scope="module")
def document(pairs_run):
    return compared(PLAN, pairs_run)


class TestSources:
    def test_the_batches_do_not_matter(self, document, pairs_run):
        again = compared(PLAN, pairs_run, batch_size=5)
        one, other = (document_text(replace(each, timings=None)) for each in (again, document))
        assert one == other
        assert again.timings.systems.keys() == document.timings.systems.keys()

    def test_another_seed_draws_other_outputs(self, document, pairs_run):
        best_of = replace(PLAN.best_of, inputs=0)
        few = {"traced": 0, "search": SearchOptions(0), "speed": TEXT.speed, "best_of": best_of}
        other = compared(replace(PLAN, seed=7, **few), pairs_run)
        assert other.best_of is None
        assert other.traces == []
        for one, two in zip(document.systems, other.systems, strict=True):
            seeds = [each.values["log_prob_per_token"].by_seed for each in (one, two)]
            assert (seeds[0] != seeds[1]) == one.draws

    def test_every_system_has_every_measure(self, document):
        assert all(each.values.keys() >= document.measures.keys() for each in document.systems)
        assert (document.quality, document.baseline) == ("exact_match", "greedy")
        named = {"distinct_2", "length_ratio", "finished", "rows_per_input"}
        assert named <= document.measures.keys()
        assert document.references.values["length_ratio"].value == 1.0

    def test_no_beam_is_less_probable_than_greedy_nor_more_than_exact(self, document):
        beam = document.system("beam beam_size=2")
        greedy = value(document.system("greedy"), "log_prob_per_sequence")
        assert greedy <= value(beam, "log_prob_per_sequence") + 1e-9
        [search] = document.search.by_run
        assert search.certain == 8
        assert all((each.mean_gap or 0) >= 0 for each in search.systems)

    def test_what_is_shown_is_what_was_asked_for(self, document):
        assert len(document.outputs) == 4
        assert len(document.traces) == 2 * len(document.systems)
        assert [each.n for each in document.best_of.by_run[0].points] == [1, 3]
        assert [each.option for each in document.curves] == ["beam_size"]

    def test_it_is_what_reports_are_made_of(self, document, tmp_path):
        write(tmp_path / "out", document)
        assert document.verdict.take in (tmp_path / "out/compare.html").read_text("utf-8")

    def test_what_cannot_satisfy_its_constraints_is_counted(self, pairs_run):
        some = [{"name": "allowed", "texts": ["AB"]}, {"name": "forbid", "texts": ["B"]}]
        strategies = (strategy("greedy"), strategy("greedy", constraints=some))
        inputs = InputOptions(most=2)
        plan = replace(PLAN, strategies=strategies, inputs=inputs, traced=0, speed=TEXT.speed)
        with pytest.warns(UserWarning, match=r"^greedy constr.*: 2 of 2 texts do not satisfy all"):
            compared(plan, pairs_run)

    def test_no_inputs_are_refused(self, pairs_run, tmp_path):
        (tmp_path / "none.tsv").write_text("")
        with pytest.raises(DataError):
            compared(replace(PLAN, inputs=InputOptions(rows=tmp_path / "none.tsv")), pairs_run)


class TestText:
    def test_running_text_is_compared_with_how_it_goes_on(self, finished_run):
        document = compared(TEXT, finished_run)
        assert document.quality == "unlikeness"
        assert document.search is document.timings is None
        assert document.references.values["mean_length"].value == 40
        assert value(document.systems[1], "mean_length") == 40
        assert len(document.traces) == 2

    def test_prompts_have_no_references_and_equal_ones_keep_their_traces_apart(self, finished_run):
        inputs = InputOptions(prompts=("ab", "ab"))
        document = compared(replace(TEXT, inputs=inputs, traced=2), finished_run)
        assert document.references is document.verdict.take is None
        assert [each.label for each in document.traces] == ["greedy", "multinomial"] * 2
        assert document.traces[1].trace["outputs"] != document.traces[3].trace["outputs"]

    def test_how_a_line_goes_on_is_not_called_right_or_wrong(self, train, place):
        words = [f"{one}{other}kl" for one in "abcde" for other in "fghij"]
        place.write("words.txt", "\n".join(words))
        kind = "data={name: lines, path: words.txt, split: [0.6, 0.2, 0.2]}"
        run = train(kind, "train.max_steps=5", "generation.max_length=6")
        few = {"inputs": InputOptions(most=5), "search": SearchOptions(inputs=2)}
        document = compared(replace(TEXT, max_length=6, copies=False, **few), run)
        assert document.quality == "unlikeness"
        assert document.inputs.references
        [search] = document.search.by_run
        assert search.certain == 2
        assert search.systems[0].missed is not None
        assert search.best_is_reference is search.reference_reachable is None
        assert all(each.wrong is None for each in search.systems)

    def test_a_training_text_that_cannot_be_read_is_said_first(self, finished_run, pairs_run):
        lost = seqgen.load(pairs_run)
        lost.built.data.path = Path("nowhere.tsv")
        announced, names = [], ["one", "two"]
        plan = replace(TEXT, inputs=InputOptions(prompts=("ab",)))
        runs, systems = [seqgen.load(finished_run), lost], systems_of(plan, names)
        with pytest.raises(DataError, match="nowhere"):
            compare(Comparison(runs, names, systems, plan, announced.append))
        assert announced == []

    def test_two_runs_are_told_apart(self, finished_run):
        document = compared(replace(TEXT, traced=0), finished_run, finished_run)
        labels = ["run0: greedy", "run0: multinomial", "run1: greedy", "run1: multinomial"]
        assert [each.label for each in document.systems] == labels
        values = [each.values for each in document.systems]
        assert values[:2] == values[2:]


@pytest.fixture(scope="module")
def run(pairs_run):
    return TrainedRun.load(pairs_run)


class TestChecks:
    """What is wrong with a plan for some runs, with its place in the plan."""

    @pytest.fixture
    def checked(self, run, plan_of):
        """A function from a plan, as strategies and options, to the error about it, else None."""

        def call(*strategies, names=("run",), **more):
            plan = plan_of(*strategies, **more)
            runs = [run] * len(names)
            comparison = Comparison(runs, names, systems_of(plan, names), plan, print)
            try:
                check_for_runs(comparison)
            except OptionError as error:
                return str(error)

        return call

    def test_what_a_vocabulary_is_too_small_for(self, checked, run):
        tokens = len(run.built.tokenizer)
        top_k = {"decoder": {"name": "top_k", "k": 2}, "grid": {"temperature": [1], "k": [3, 999]}}
        limit = f"`k` must be from 1 to {tokens}, the number of tokens, but is 999"
        assert checked({"decoder": "greedy"}, top_k) == f"strategies.1.grid.k.1: {limit}"
        sampler = {"name": "top_k", "k": 999}
        inside = {"decoder": {"name": "minimum_bayes_risk", "sampler": sampler}}
        assert checked(inside) == f"strategies.0.decoder.sampler: {limit}"
        of_run = f"strategies.0.grid.k.1: {limit} (of the run a)"
        assert checked(top_k, names=("a", "b")) == of_run
        best_of = {"decoder": sampler}
        assert checked({"decoder": "greedy"}, best_of=best_of) == f"best_of.decoder: {limit}"

    def test_it_may_be_left_out(self, run, plan_of):
        plan = plan_of({"decoder": {"name": "top_k", "k": 2}, "grid": {"k": [2, 999]}})
        with pytest.warns(UserWarning, match="^top_k k=999 is left out: `k` must be from 1 to "):
            [system] = applicable(systems_of(plan, ["run"]), [run])
        assert system.label == "top_k k=2"

    @pytest.mark.parametrize(
        ("decoder", "grid", "place"),
        [
            ({"name": "beam", "n_best": 3}, {"beam_size": [2]}, "grid.beam_size.0"),
            ({"name": "beam", "n_best": 3, "beam_size": 2}, {}, "decoder"),
            ("beam", {"n_best": [3], "beam_size": [2]}, "grid.n_best.0"),
            ("beam", {"beam_size": [4, 2], "n_best": [3]}, "grid.n_best.0"),
        ],
    )
    def test_what_does_not_go_together_is_said_with_and_without_a_run(
        self, decoder, grid, place, checked, plan_of
    ):
        strategy = {"decoder": decoder, "grid": grid}
        message = "`n_best` must be from 1 to `beam_size`, which is 2, but is 3"
        assert checked(strategy) == f"strategies.0.{place}: {message}"
        plan = plan_of(strategy)
        with pytest.raises(OptionError) as caught:
            dry_run_decoders(plan, systems_of(plan, ["run"]))
        assert str(caught.value) == f"strategies.0.{place}: {message}"

    def test_right_ones_are_built_without_a_word(self, checked):
        grid = {"beam_size": [2, 3]}
        assert checked({"decoder": "greedy"}, {"decoder": "beam", "grid": grid}) is None

    @pytest.mark.parametrize(
        ("quality", "more", "message"),
        [
            ("exact_match", {"inputs": {"prompts": ["a"]}},
             "'exact_match' needs references, and prompts have none"),
            ("exact_match", {"inputs": {"file": "a.txt"}},
             "'exact_match' needs references, and lines of a file have none"),
            ("unlikeness", {}, "'unlikeness' needs text that goes on"),
            ("copied", {"copies": False}, "'copied' needs `copies`, which the"),
            ("longest_copy", {"copies": False}, "'longest_copy' needs `copies`, which the"),
            ("exact_mach", {}, "must be one of exact_match, "),
            ("exact_match", {}, None),
            ("finished", {"inputs": {"prompts": ["a"]}}, None),
        ],
    )  # fmt: skip
    def test_a_quality_that_nothing_can_have(self, quality, more, message, checked):
        error = checked({"decoder": "greedy"}, quality=quality, **more)
        if message is None:
            assert error is None
        else:
            assert error.startswith(f"quality: {message}")


FILES = {"compare.json", "compare.html", "compare.md"}


def names(folder):
    return {each.name for each in folder.iterdir()}


@pytest.fixture
def small(document_of):
    """A document of one system."""
    about = {"run": "a", "decoder": {"name": "greedy"}, "draws": False, "seeds": [1]}
    system = SystemResult(label="greedy [/x]", values={}, against_baseline={}, **about)
    return document_of(systems=[system])


class TestCheckFree:
    @pytest.mark.parametrize("overwrite", [True, False])
    def test_a_new_place_and_an_empty_folder_are(self, place, overwrite):
        check_free(place.folder / "new" / "below", overwrite=overwrite)
        (place.folder / "empty").mkdir()
        check_free(place.folder / "empty", overwrite=overwrite)
        assert not (place.folder / "new").exists()

    def test_a_comparison_is_if_it_may_be_overwritten(self, place, small):
        write(place.folder / "out", small)
        check_free(place.folder / "out", overwrite=True)
        with pytest.raises(SetupError, match=r"out: has a comparison already; --overwrite it"):
            check_free(place.folder / "out", overwrite=False)

    def test_what_an_interrupted_one_left_is_no_hindrance(self, place, small):
        place.write("out/.compare.1.tmp/compare.json", "{")
        check_free(place.folder / "out", overwrite=False)
        place.write("out/compare.json", document_text(small))
        check_free(place.folder / "out", overwrite=True)
        write(place.folder / "out", small)
        assert names(place.folder / "out") == FILES

    @pytest.mark.parametrize("name", ["notes.txt", ".git/HEAD", "compare.html/x", "checkpoints/x"])
    def test_what_lies_there_too_is_named_and_stays(self, name, place, small):
        write(place.folder / "out", small)
        if name.startswith("compare"):
            (place.folder / "out/compare.html").unlink()
        place.write(f"out/{name}", "mine")
        before, named = place.files(), name.split("/")[0]
        with pytest.raises(SetupError, match=f"out: holds what no comparison wrote: {named}; move"):
            check_free(place.folder / "out", overwrite=True)
        assert place.files() == before

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"systems": []}'])
    def test_a_file_of_the_same_name_is_no_comparison(self, content, place):
        place.write("out/compare.json", content)
        with pytest.raises(SetupError, match=r"out: not empty and not a comparison"):
            check_free(place.folder / "out", overwrite=True)

    @pytest.mark.parametrize("overwrite", [True, False])
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("out", r"out: not empty and not a comparison"),
            ("text.txt", r"text.txt: not a directory"),
            ("text.txt/x", r"text.txt/x: not a directory"),
            ("x" * 300, r"cannot be read: File name too long"),
            ("link", r"link: cannot be written"),
        ],
    )
    def test_something_else_never_is(self, name, message, place, overwrite):
        place.write("out/notes.txt", "mine")
        (place.folder / "link").symlink_to("nowhere")
        with pytest.raises(SetupError, match=message):
            check_free(place.folder / name, overwrite=overwrite)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
    @pytest.mark.parametrize("name", ["closed", "closed/new/below"])
    def test_where_nothing_can_be_written(self, place, name):
        (place.folder / "closed").mkdir(mode=0o500)
        with pytest.raises(SetupError, match=r"cannot be written: no permission in .*closed"):
            check_free(place.folder / name, overwrite=False)


class TestWrite:
    def test_all_files_in_place_of_an_older_comparison(self, place, small):
        folder = place.folder / "deep" / "out"
        write(folder, small)
        assert names(folder) == FILES
        assert (folder / "compare.json").read_text(encoding="utf-8") == document_text(small)
        assert "greedy [/x]" in (folder / "compare.html").read_text(encoding="utf-8")
        place.write("deep/out/notes.txt", "mine")
        write(folder, replace(small, seed=8))
        assert names(folder) == {*FILES, "notes.txt"}
        assert json.loads((folder / "compare.json").read_bytes())["seed"] == 8

    def test_none_where_one_cannot_be_made(self, place, small):
        with pytest.raises(TypeError):
            write(place.folder / "out", replace(small, plan={"x": object()}))
        assert not (place.folder / "out").exists()

    def test_a_full_disk(self, small_disk, small):
        folder = small_disk(128)
        write(folder / "out", small)
        long = replace(small, description="x" * 200_000)
        with pytest.raises(SetupError, match=r"out/compare.json: cannot be written: No space left"):
            write(folder / "out", long)
        assert names(folder / "out") == FILES
        assert json.loads((folder / "out" / "compare.json").read_bytes())["seed"] == 7
        with pytest.raises(SetupError, match=r"cannot be written: No space left"):
            write(folder / "new", long)
        assert not (folder / "new").exists()
