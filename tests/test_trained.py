"""A trained run as an object: the three lines of a notebook."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import seqgen
from seqgen.errors import CheckpointError, DataError, RecipeError, SetupError
from seqgen.trained import TrainedRun
from seqgen.training.checkpoint import Checkpoints


@pytest.fixture(scope="module")
def run(finished_run):
    return seqgen.load(finished_run)


def recorded(folder):
    return json.loads((folder / "result.json").read_bytes())


class TestLoading:
    def test_a_path_as_text_will_do(self, finished_run):
        assert isinstance(seqgen.load(str(finished_run)), TrainedRun)

    def test_it_reads_no_data(self, copied_run):
        manifest = json.loads((copied_run / "manifest.json").read_bytes())
        [path] = manifest["data"]
        text = (copied_run / "recipe.yaml").read_text(encoding="utf-8")
        (copied_run / "recipe.yaml").write_text(text.replace(path, "/nowhere"), encoding="utf-8")
        assert seqgen.load(copied_run).generate("the ", max_length=5)
        with pytest.raises(DataError, match="/nowhere: cannot be read"):
            seqgen.load(copied_run).evaluate()

    def test_the_best_weights_or_else_the_last(self, copied_run):
        checkpoints = Checkpoints(copied_run / "checkpoints")
        shutil.copytree(checkpoints.find("best"), copied_run / "checkpoints" / "step-00000099")
        (copied_run / "checkpoints" / "last").write_text("step-00000099\n")
        broken = copied_run / "checkpoints" / "step-00000099" / "model.safetensors"
        broken.write_bytes(b"")
        assert seqgen.load(copied_run)
        (copied_run / "checkpoints" / "best").unlink()
        with pytest.raises(CheckpointError, match="step-00000099"):
            seqgen.load(copied_run)

    def test_it_is_ready_to_evaluate(self, run):
        assert not run.built.model.training

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            (".", "no run here"),
            ("recipe.yaml", "no run here"),
            ("manifest.json", r"manifest\.json: the file is missing"),
            ("checkpoints", "no checkpoint yet"),
            ("tokenizer", "the tokenizer cannot be loaded"),
        ],
    )
    def test_what_is_missing_is_named(self, name, reason, copied_run):
        path = copied_run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(CheckpointError, match=reason):
            seqgen.load(copied_run)

    @pytest.mark.parametrize("content", ["", "{", "[]", "[1]", '["ab"]', '["b", "a"]', "\0"])
    def test_a_damaged_vocabulary_is_refused(self, content, copied_run):
        [path] = (copied_run / "tokenizer").rglob("chars.json")
        path.write_text(content)
        with pytest.raises(CheckpointError, match="tokenizer"):
            seqgen.load(copied_run)

    def test_another_vocabulary_of_the_same_size_is_refused(self, copied_run):
        [path] = (copied_run / "tokenizer").rglob("chars.json")
        path.write_text(json.dumps([*json.loads(path.read_bytes())[:-1], "\U0001f600"]))
        with pytest.raises(CheckpointError, match="not what this run began with"):
            seqgen.load(copied_run)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_device_that_is_not_there(self, finished_run):
        with pytest.raises(SetupError, match="cuda was asked for, but torch finds none here"):
            seqgen.load(finished_run, device="cuda")
        with pytest.raises(RecipeError, match="override device=gpu: device: must be 'auto', 'cpu'"):
            seqgen.load(finished_run, device="gpu")

    def test_a_recipe_that_was_changed_is_noticed(self, copied_run):
        text = (copied_run / "recipe.yaml").read_text(encoding="utf-8")
        changed = text.replace("hidden_size: 16", "hidden_size: 17")
        (copied_run / "recipe.yaml").write_text(changed, encoding="utf-8")
        with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be loaded"):
            seqgen.load(copied_run)


class TestGenerating:
    def test_the_same_seed_gives_the_same_text(self, run):
        one, again, other = (run.generate("the ", max_length=40, seed=seed) for seed in (5, 5, 6))
        assert one == again != other
        assert len(one) == len("the ") + 40

    def test_decoders_and_their_options(self, run):
        greedy = run.generate("the ", decoder="greedy", max_length=30)
        assert run.generate("the ", max_length=30, temperature=0) == greedy
        assert run.generate("the ", max_length=30, temperature=1e-4) == greedy
        wild = run.generate("the ", max_length=30, temperature=100, seed=1)
        assert wild != greedy
        assert run.generate("the ", max_length=0) == "the "
        assert len(run.generate("", max_length=3)) == 3

    @pytest.mark.parametrize(
        ("words", "how"),
        [
            ((), {}),
            (("--prompt", "cat "), {"prompt": "cat "}),
            (("--prompt", "cat ", "--seed", 5), {"prompt": "cat ", "seed": 5}),
            (("--set", "temperature=0.3"), {"temperature": 0.3}),
            (("--set", "temperature=0"), {"temperature": 0}),
            (("--decoder", "greedy", "--max-length", 9), {"decoder": "greedy", "max_length": 9}),
            (("--decoder", "top_k", "--set", "k=2"), {"decoder": "top_k", "k": 2}),
            (
                ("--decoder", "beam", "--max-length", 9, "--set", "beam_size=3"),
                {"decoder": "beam", "max_length": 9, "beam_size": 3},
            ),
            (
                ("--set", "constraints=[{name: repetition_penalty, penalty: 2}]"),
                {"constraints": [{"name": "repetition_penalty", "penalty": 2}]},
            ),
        ],
        ids=str,
    )
    def test_it_is_what_the_command_line_shows(self, words, how, run, command, finished_run):
        assert command("generate", finished_run, *words).out == run.generate(**how) + "\n"

    @pytest.mark.parametrize("decoder", [None, "greedy", "beam", "multinomial"])
    def test_so_it_is_of_sources(self, decoder, command, pairs_run):
        words = ("--decoder", decoder) if decoder else ()
        ended = command("generate", pairs_run, "--prompt", "abc", *words)
        run = seqgen.load(pairs_run)
        assert ended.out == run.generate("abc", decoder) + "\n"
        [[found, *_]] = run.continuations(["abc"], run.decoder(decoder))
        assert found.text == run.generate("abc", decoder)

    def test_only_what_comes_behind_the_prompt(self, run):
        [[found]] = run.continuations(["the "])
        assert run.generate("the ") == f"the {found.text}"

    def test_what_is_unknown_is_said(self, run):
        with pytest.warns(UserWarning, match=r"1 token of the prompts is unknown .*: 'X'"):
            assert run.generate("X", max_length=2).startswith("X")

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"decoder": "gredy"}, "did you mean 'greedy'"),
            ({"temprature": 1}, "did you mean 'temperature'"),
            ({"max_lenght": 1}, "max_lenght: not an option .*; did you mean 'max_length'"),
            ({"max_length": -1}, "max_length: must be"),
            ({"max_length": "9"}, "max_length: must be"),
            ({"seed": -1}, "seed: must be"),
            ({"prompt": ["a", "b"]}, "prompt: must be"),
            ({"name": "gredy"}, "did you mean 'greedy'"),
            ({"temperature": -1}, "must be at least 0 and at most 1000000000, but is -1"),
            ({"decoder": "greedy", "temperature": 1}, "not an option of decoder 'greedy'"),
            ({"prompt": "a\ud800"}, "lone surrogate U\\+D800 at position 1"),
        ],
    )
    def test_what_is_wrong_is_a_value_error(self, options, reason, run):
        with pytest.raises(ValueError, match=reason):
            run.generate(**options)

    def test_it_changes_nothing(self, run):
        before = run.evaluate()
        random = torch.get_rng_state()
        run.generate("the ", max_length=20)
        assert torch.equal(random, torch.get_rng_state())
        assert run.evaluate() == before


class TestEvaluating:
    @pytest.mark.parametrize("split", ["valid", "test"])
    def test_the_figures_are_those_of_the_run(self, split, run, finished_run):
        assert run.evaluate(split) == recorded(finished_run)[split]
        assert run.result == recorded(finished_run)

    def test_of_no_other_split(self, run):
        with pytest.raises(ValueError, match="`split` must be valid or test, but is 'train'"):
            run.evaluate("train")

    def test_of_one_that_the_data_does_not_have(self, finished_run):
        run = TrainedRun.load(finished_run, overrides=["data.split=[0.9, 0.1, 0]"])
        with pytest.raises(DataError, match="the data has no split 'test'"):
            run.evaluate()

    def test_of_other_data(self, finished_run, tmp_path):
        path = tmp_path / "other.txt"
        path.write_text("on a mat sat the cat and saw dogs run " * 300, encoding="utf-8")
        run = TrainedRun.load(finished_run, overrides=[f"data.path={path}"])
        assert run.evaluate()["nats_per_token"] != recorded(finished_run)["test"]["nats_per_token"]
        assert not run.data_is_the_same()
        assert TrainedRun.load(finished_run).data_is_the_same()

    def test_a_run_that_has_not_ended_has_no_result(self, copied_run):
        (copied_run / "result.json").unlink()
        with pytest.raises(CheckpointError, match="has not come to its end"):
            seqgen.load(copied_run).result  # noqa: B018
        assert Path(copied_run / "recipe.yaml").exists()
