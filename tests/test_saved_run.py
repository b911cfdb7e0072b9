"""A run directory read back, and the runs that help another one."""

import json
from dataclasses import replace

import pytest
import torch

from seqgen.data.batches import TokenBatch
from seqgen.errors import CheckpointError, PluginError, RecipeError
from seqgen.saved_run import read_run, runs_beside
from seqgen.tokenizers import BOS, CharTokenizer
from seqgen.trained import TrainedRun


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


PAIRS = """\
data: {name: pairs, path: pairs.tsv, batch_size: 8}
tokenizers: {source: char, target: {name: char, alphabet: "01"}}
model:
  name: seq2seq
  encoder: {name: recurrent, embedding: {size: 4}, cell: {name: gru, hidden_size: 5}}
  attention: general
  embedding: {size: 4}
  cell: {name: lstm, hidden_size: 5}
train: {max_steps: 2, validations: 1}
samples: {length: 3, temperatures: [0]}
threads: 1
"""


class TestHelpForAModelThatReadsSources:
    @pytest.fixture
    def pairs_run(self, place, train):
        place.write("pairs.tsv", "".join(f"{n}\t{n:b}\n" for n in range(60)))
        place.write("pairs.yaml", PAIRS)
        return train(recipe="pairs.yaml", out="pairs")

    @pytest.fixture
    def language_run(self, place, train):
        place.write("lines.txt", "".join(f"{n:b}\n" for n in range(60)))
        lines = ["data={name: lines, path: lines.txt}", "tokenizer={name: char, alphabet: '01'}"]
        return train(*lines, "train.max_steps=2", "samples={length: 3}", out="lines")

    def found(self, run, *constraints):
        spec = {"name": "beam", "beam_size": 4, "n_best": 4, "constraints": list(constraints)}
        every = run.continuations(["7", "", "123456"], run.decoder(spec), 5)
        return [[(each.text, each.hypothesis.score) for each in own] for own in every]

    def test_an_ensemble_of_itself_says_the_same(self, pairs_run):
        run = TrainedRun.load(pairs_run)
        plain = self.found(run)
        both = self.found(run, {"name": "ensemble", "runs": [str(pairs_run)]})
        for own, wanted in zip(both, plain, strict=True):
            assert [each[0] for each in own] == [each[0] for each in wanted]
            for each, other in zip(own, wanted, strict=True):
                assert each[1] == pytest.approx(other[1], abs=1e-5)

    def test_a_language_model_reads_each_output_from_its_begin(self, pairs_run, language_run):
        """So the best are those with the highest sum of both, of all that can be said."""
        run, fusion = TrainedRun.load(pairs_run), {"name": "language_model", "weight": 0.5}
        exact = {"name": "exact", "n_best": 4}
        spec = {**exact, "constraints": [{**fusion, "run": str(language_run)}]}
        sources = ["7", "", "123456"]
        helped = run.continuations(sources, run.decoder(spec), 5)
        every = run.continuations(sources, run.decoder({**exact, "n_best": 99}), 5)
        language = TrainedRun.load(language_run).built.model
        for own, known in zip(helped, every, strict=True):
            assert len(known) == 31 + 32
            sums = {}
            for each in known:
                tokens = torch.tensor([[BOS, *each.hypothesis.tokens]])
                with torch.inference_mode():
                    nats = language.score(TokenBatch(tokens[:, :-1], tokens[:, 1:])).nats.sum()
                sums[each.text] = each.hypothesis.score - 0.5 * float(nats)
            best = sorted(sums.values(), reverse=True)[:4]
            assert [each.hypothesis.score for each in own] == pytest.approx(best, abs=1e-5)
            assert [sums[each.text] for each in own] == pytest.approx(best, abs=1e-5)

    def test_a_model_that_reads_sources_cannot_help_one_that_has_none(
        self, pairs_run, language_run
    ):
        run = TrainedRun.load(language_run)
        decoder = run.decoder(
            {"name": "greedy", "constraints": [{"name": "ensemble", "runs": [str(pairs_run)]}]}
        )
        with pytest.raises(CheckpointError, match="pairs: reads sources, which the run that it"):
            run.continuations([""], decoder, 5)


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
