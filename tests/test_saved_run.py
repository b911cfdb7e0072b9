"""A run directory read back, and the runs that help another one."""

import json
from dataclasses import replace

import pytest
import torch

from seqgen.errors import CheckpointError, PluginError, RecipeError
from seqgen.saved_run import read_run, runs_beside
from seqgen.tokenizers import CharTokenizer


@pytest.fixture(scope="module")
def built(finished_run):
    return read_run(finished_run)[1]


def test_it_has_the_weights_and_is_ready_to_generate(built, finished_run):
    directory, again = read_run(str(finished_run), overrides=["threads=1"])
    assert directory.folder == finished_run
    assert not again.model.training
    for one, other in zip(built.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no run here"):
        read_run(tmp_path)


def test_an_override_that_is_wrong_is_named(finished_run):
    with pytest.raises(RecipeError, match=r"model\.cell"):
        read_run(finished_run, overrides=["model.cell=nothing"])


class TestBeside:
    def test_each_run_is_read_once(self, built, finished_run):
        load = runs_beside(built)
        model = load(str(finished_run))
        assert load(str(finished_run)) is model
        assert model is not built.model

    def test_torch_goes_on_as_if_nothing_had_been_read(self, built, finished_run):
        torch.manual_seed(7)
        before, threads = torch.get_rng_state(), torch.get_num_threads()
        runs_beside(built)(str(finished_run))
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.get_num_threads() == threads

    def test_other_tokens_are_refused(self, built, finished_run):
        other = CharTokenizer()
        other.fit(["another alphabet"])
        stranger = replace(built, tokenizers={"text": other})
        with pytest.raises(CheckpointError, match="run: its tokens are not those of the run"):
            runs_beside(stranger)(str(finished_run))


def test_plugins_are_imported_only_for_whom_they_were_given(
    built, train, place, own_registries, finished_run
):
    """A run that helps is a directory from anyone, as is the run that it helps."""
    place.write("own.py", "x = 1\n")
    helper = str(train("plugins=[own.py]", f"data.path={finished_run.parent / 'text.txt'}"))
    with pytest.raises(PluginError, match=r"own\.py"):
        runs_beside(built)(helper)
    assert runs_beside(built, ["own.py"])(helper)


def test_a_run_that_helps_itself_says_the_same(finished_run, command):
    """An ensemble of a model and itself, and a language model without weight."""

    def texts(*words):
        ended = command("generate", finished_run, "--json", "--max-length", 30, *words)
        assert ended.code == 0, ended.err
        return [each["text"] for each in json.loads(ended.out)]

    plain = texts("--decoder", "greedy")
    for constraint in (
        f"{{name: ensemble, runs: [{finished_run}]}}",
        f"{{name: language_model, run: {finished_run}, weight: 0.5}}",
    ):
        assert texts("--decoder", "greedy", "--set", f"constraints=[{constraint}]") == plain


def test_a_recipe_may_name_runs(finished_run, train, place):
    overrides = f"decoder.constraints=[{{name: language_model, run: {finished_run}, weight: 9}}]"
    with_help = json.loads((train(overrides, out="helped") / "result.json").read_bytes())
    alone = json.loads((finished_run / "result.json").read_bytes())
    assert with_help["valid"] == alone["valid"]  # the weights are the same to the last bit
    assert with_help["best_step"] == alone["best_step"]


def test_a_run_that_is_not_there_stops_before_anything_is_written(train, place):
    before = place.files()
    with pytest.raises(CheckpointError, match="nowhere"):
        train("decoder.constraints=[{name: language_model, run: nowhere}]")
    assert place.files() == before


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ("[{name: no_repeat_ngram, size: 0}]", "constraints.0.size: must be"),
        ("[{name: no_repeat_ngram}]", "constraints.0: `size` is missing"),
        ("[{name: no_repeat_gram, size: 3}]", "did you mean 'no_repeat_ngram'?"),
        ("[{name: no_repeat_ngram, sizes: 3}]", "constraints.0.sizes: not an option"),
        ("no_repeat_ngram", "constraints: must be a list, but is"),
        ("[{name: allowed, texts: []}]", "constraints.0: `texts` must have at least 1 text"),
        ("[{name: forced_prefix, text: Z}]", "constraints.0: `text` 'Z' must be known"),
        ("[{name: ensemble, runs: [], weights: [1, 2]}]", "constraints.0: `weights` must be 1"),
    ],
)
def test_a_constraint_that_is_wrong_is_named_with_its_setting(
    refusal, finished_run, constraints, message
):
    said = refusal(3, "generate", finished_run, "--set", f"constraints={constraints}")
    assert said.startswith(f"--set constraints={constraints}: ")
    assert message in said


def test_constraints_work_from_the_command_line(finished_run, command):
    setting = "constraints=[{name: no_repeat_ngram, size: 2}, {name: forced_prefix, text: dogs}]"
    ended = command("generate", finished_run, "--prompt", "the ", "--set", setting, "--json")
    assert ended.code == 0, ended.err
    [found] = json.loads(ended.out)
    assert found["text"].startswith("dogs")
    pairs = [found["text"][i : i + 2] for i in range(60)]
    assert len(set(pairs)) == 60
