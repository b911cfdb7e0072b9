"""The story of a comparison: what is checked before, the document, and the folder it lies in.

What a document holds is in test_golden.
"""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

import seqgen
from seqgen.comparison import (
    Comparison,
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
from seqgen.errors import DataError, SetupError
from seqgen.options import OptionError
from seqgen.trained import TrainedRun

GREEDY = {"decoder": "greedy"}
DRAWN = {"decoder": "multinomial", "grid": {"temperature": [0.5, 2.0]}}
SOURCES = {
    "inputs": {"most": 24},
    "seeds": 2,
    "search": {"inputs": 8},
    "best_of": {"inputs": 5, "sizes": [1, 3]},
    "significance": {"resamples": 50, "shuffles": 50},
    "speed": {"inputs": 4, "repeats": 1, "warm_ups": 0},
    "shown": 4,
    "traced": 2,
}
NO_MORE = {"speed": {"repeats": 0}, "best_of": {"inputs": 0}, "search": {"inputs": 0}, "traced": 0}
TEXT = {**NO_MORE, "inputs": {"prompts": ["ab", "ab"]}, "max_length": 20, "seeds": 2, "traced": 2}


@pytest.fixture(scope="module")
def run(pairs_run):
    return TrainedRun.load(pairs_run)


@pytest.fixture
def compared(plan_of):
    """A function from strategies, the folder of a run and options to the document."""

    def call(strategies, folder, batch_size=None, **options):
        run, plan, announced = seqgen.load(folder), plan_of(*strategies, **options), []
        if batch_size:
            recipe = run.built.recipe
            recipe = replace(recipe, evaluation=replace(recipe.evaluation, batch_size=batch_size))
            run = replace(run, built=replace(run.built, recipe=recipe))
        systems = systems_of(plan, ["run"])
        document = compare(Comparison([run], ["run"], systems, plan, announced.append))
        assert all(0 <= each.done < each.total for each in announced)
        return document

    return call


class TestCompare:
    def test_batches_do_not_matter_and_a_seed_does(self, compared, pairs_run):
        beams = {"decoder": "beam", "grid": {"beam_size": [2, 3, 4]}}
        strategies = (GREEDY, beams, DRAWN)
        document = compared(strategies, pairs_run, **SOURCES)
        again = compared(strategies, pairs_run, batch_size=5, **SOURCES)
        one, other = (document_text(replace(each, timings=None)) for each in (again, document))
        assert one == other
        assert again.timings.systems.keys() == document.timings.systems.keys()
        # No beam is less probable than greedy, nor more than exact.
        systems = map(document.system, ("greedy", "beam beam_size=2"))
        greedy, beam = (each.values["log_prob_per_sequence"].value for each in systems)
        assert greedy <= beam + 1e-9
        [search] = document.search.by_run
        assert search.certain == 8
        assert all((each.mean_gap or 0) >= 0 for each in search.systems)
        other = compared(strategies, pairs_run, **{**SOURCES, **NO_MORE, "seed": 7})
        assert (other.best_of, other.traces) == (None, [])
        for one, two in zip(document.systems, other.systems, strict=True):
            seeds = [each.values["log_prob_per_token"].by_seed for each in (one, two)]
            assert (seeds[0] != seeds[1]) == one.draws

    def test_what_cannot_satisfy_its_constraints_is_counted(self, compared, pairs_run):
        some = [{"name": "allowed", "texts": ["AB"]}, {"name": "forbid", "texts": ["B"]}]
        strategies = (GREEDY, {"decoder": {"name": "greedy", "constraints": some}})
        with pytest.warns(UserWarning, match=r"^greedy constr.*: 2 of 2 texts do not satisfy all"):
            compared(strategies, pairs_run, inputs={"most": 2}, **NO_MORE)

    def test_a_plan_holds_outputs_to_a_form_and_to_texts(self, compared, pairs_run):
        pytest.importorskip("outlines_core", reason="outlines-core is not installed")
        form = [{"name": "pattern", "regex": "[A-C]{2}[A-E]*"}]
        texts = [{"name": "must_contain", "texts": ["DE", "AA"]}]
        strategies = [
            {"decoder": {"name": "multinomial", "constraints": form}},
            {"decoder": {"name": "multinomial", "constraints": texts}},
            {"decoder": {"name": "beam", "beam_size": 3, "constraints": [*form, *texts]}},
        ]
        options = {**NO_MORE, "inputs": {"most": 20}, "max_length": 9}
        document = compared(strategies, pairs_run, **options)
        formed = [True, False, True]
        for shown in document.outputs:
            for each, of_the_form in zip(shown.by, formed, strict=True):
                assert each.satisfied
                assert re.fullmatch("[A-C]{2}[A-E]*", each.text) or not of_the_form
                assert ("DE" in each.text and "AA" in each.text) or each is shown.by[0]

    def test_no_inputs_are_refused(self, compared, pairs_run, tmp_path):
        (tmp_path / "none.tsv").write_text("")
        with pytest.raises(DataError):
            compared([GREEDY], pairs_run, inputs={"rows": str(tmp_path / "none.tsv")})

    def test_prompts_have_no_references_and_equal_ones_keep_their_traces_apart(
        self, compared, finished_run
    ):
        document = compared([GREEDY, {"decoder": "multinomial"}], finished_run, **TEXT)
        assert document.references is document.verdict.take is document.timings is None
        assert [each.label for each in document.traces] == ["greedy", "multinomial"] * 2
        assert document.traces[1].trace["outputs"] != document.traces[3].trace["outputs"]

    def test_how_a_line_goes_on_is_not_called_right_or_wrong(self, compared, train, place):
        words = [f"{one}{other}kl" for one in "abcde" for other in "fghij"]
        place.write("words.txt", "\n".join(words))
        kind = "data={name: lines, path: words.txt, split: [0.6, 0.2, 0.2]}"
        run = train(kind, "train.max_steps=5", "generation.max_length=6")
        few = {"max_length": 6, "copies": False, "inputs": {"most": 5}, "search": {"inputs": 2}}
        document = compared([GREEDY, DRAWN], run, samples=2, **{**NO_MORE, **few})
        assert document.quality == "unlikeness"
        assert document.inputs.references
        [search] = document.search.by_run
        assert search.certain == 2
        assert search.systems[0].missed is not None
        assert search.best_is_reference is search.reference_reachable is None
        assert all(each.wrong is None for each in search.systems)

    def test_a_training_text_that_cannot_be_read_is_said_first(
        self, finished_run, pairs_run, plan_of
    ):
        lost = seqgen.load(pairs_run)
        lost.built.data.path = Path("nowhere.tsv")
        announced, names, plan = [], ["one", "two"], plan_of(GREEDY, **TEXT)
        runs, systems = [seqgen.load(finished_run), lost], systems_of(plan, names)
        with pytest.raises(DataError, match="nowhere"):
            compare(Comparison(runs, names, systems, plan, announced.append))
        assert announced == []

    def test_two_runs_are_distinguished_and_certain_inputs_are_certain_for_both(
        self, pairs_run, plan_of
    ):
        names = ["one", "two"]
        plan = plan_of(GREEDY, **NO_MORE | {"search": {"inputs": 4}}, inputs={"most": 8})
        runs = [seqgen.load(pairs_run) for _ in names]
        document = compare(Comparison(runs, names, systems_of(plan, names), plan, str))
        assert [each.label for each in document.systems] == ["one: greedy", "two: greedy"]
        one, two = document.systems
        assert one.values == two.values
        assert document.search.certain == 4
        assert [each.run for each in document.search.by_run] == names


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
        assert checked(GREEDY, top_k) == f"strategies.1.grid.k.1: {limit}"
        sampler = {"name": "top_k", "k": 999}
        inside = {"decoder": {"name": "minimum_bayes_risk", "sampler": sampler}}
        assert checked(inside) == f"strategies.0.decoder.sampler: {limit}"
        of_run = f"strategies.0.grid.k.1: {limit} (of the run a)"
        assert checked(top_k, names=("a", "b")) == of_run
        best_of = {"decoder": sampler}
        assert checked(GREEDY, best_of=best_of) == f"best_of.decoder: {limit}"

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
        assert checked(GREEDY, {"decoder": "beam", "grid": {"beam_size": [2, 3]}}) is None

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
        error = checked(GREEDY, quality=quality, **more)
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
        (place.folder / "empty").mkdir()
        for folder in ("new/below", "empty"):
            check_free(place.folder / folder, overwrite=overwrite)
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
        for name, message in (("out", r"out/compare.json: cannot"), ("new", "cannot")):
            with pytest.raises(SetupError, match=f"{message} be written: No space left"):
                write(folder / name, long)
        assert names(folder / "out") == FILES
        assert json.loads((folder / "out" / "compare.json").read_bytes())["seed"] == 7
        assert not (folder / "new").exists()
