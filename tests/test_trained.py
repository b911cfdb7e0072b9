"""A trained run as an object: the three lines of a notebook, and the runs that it may use."""

import json
import math
import re
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import seqgen
from seqgen.data import TokenBatch
from seqgen.errors import CheckpointError, DataError, PluginError, RecipeError, SetupError
from seqgen.tokenizers import BOS, CharTokenizer
from seqgen.trained import TrainedRun, load_auxiliary_runs
from seqgen.training.checkpoint import Checkpoints


@pytest.fixture(scope="module")
def run(finished_run):
    return seqgen.load(finished_run)


def recorded(folder):
    return json.loads((folder / "result.json").read_bytes())


class TestLoading:
    def test_it_has_the_weights_and_is_ready_to_generate(self, run, finished_run):
        again = TrainedRun.load(str(finished_run), overrides=["threads=1"])
        assert again.directory.folder == finished_run
        assert not again.built.model.training
        mine, same = (each.built.model.parameters() for each in (run, again))
        for one, other in zip(mine, same, strict=True):
            assert torch.equal(one, other)

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("model.cell=nothing", "model.cell: no cell named 'nothing'"),
            ("device=gpu", "override device=gpu: device: must be 'auto', 'cpu'"),
        ],
    )
    def test_a_wrong_override_is_named(self, override, message, finished_run):
        with pytest.raises(RecipeError, match=message):
            TrainedRun.load(finished_run, overrides=[override])

    @pytest.mark.parametrize("threads", ["auto", 2])
    def test_the_number_of_threads_stays_that_of_the_program(self, threads, copied_run):
        before = torch.get_num_threads()
        loaded = TrainedRun.load(copied_run, overrides=[f"threads={threads}"])
        loaded.generate("the ", max_length=3)
        loaded.evaluate("valid")
        assert torch.get_num_threads() == before

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_device_that_is_missing(self, finished_run):
        with pytest.raises(SetupError, match="cuda was requested, but torch finds no GPU here"):
            seqgen.load(finished_run, device="cuda")

    def test_it_reads_no_data(self, copied_run):
        [path] = json.loads((copied_run / "manifest.json").read_bytes())["data"]
        text = (copied_run / "recipe.yaml").read_text(encoding="utf-8")
        (copied_run / "recipe.yaml").write_text(text.replace(path, "/nowhere"), encoding="utf-8")
        loaded = seqgen.load(copied_run)
        assert loaded.generate("the ", max_length=5)
        with pytest.raises(DataError, match="/nowhere: cannot be read"):
            loaded.evaluate()

    def test_the_best_weights_or_else_the_last(self, copied_run):
        folder = copied_run / "checkpoints"
        shutil.copytree(Checkpoints(folder).find("best"), folder / "step-00000099")
        (folder / "last").write_text("step-00000099\n")
        (folder / "step-00000099" / "model.safetensors").write_bytes(b"")
        assert seqgen.load(copied_run)
        (folder / "best").unlink()
        with pytest.raises(CheckpointError, match="step-00000099"):
            seqgen.load(copied_run)

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


class TestGenerating:
    def test_the_same_seed_gives_the_same_text(self, run):
        one, again, other = (run.generate("the ", max_length=40, seed=seed) for seed in (5, 5, 6))
        assert one == again != other
        assert len(one) == len("the ") + 40

    def test_decoders_and_their_options(self, run):
        greedy = run.generate("the ", decoder="greedy", max_length=30)
        assert run.generate("the ", max_length=30, temperature=0) == greedy
        assert run.generate("the ", max_length=30, temperature=1e-4) == greedy
        assert run.generate("the ", max_length=30, temperature=100, seed=1) != greedy
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
            (("--set", "temperature=inf"), {"temperature": math.inf}),
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
    def test_the_text_is_what_the_command_line_shows(self, words, how, run, command, finished_run):
        assert command("generate", finished_run, *words).out == run.generate(**how) + "\n"

    @pytest.mark.parametrize("decoder", [None, "greedy", "beam", "multinomial"])
    def test_so_is_the_output_for_a_source(self, decoder, command, pairs_run):
        words = ("--decoder", decoder) if decoder else ()
        ended = command("generate", pairs_run, "--prompt", "abc", *words)
        run = seqgen.load(pairs_run)
        assert ended.out == run.generate("abc", decoder) + "\n"
        [[found, *_]] = run.continuations(["abc"], run.decoder(decoder))
        assert found.text == run.generate("abc", decoder)

    def test_continuations_do_not_repeat_the_prompt(self, run):
        [[found]] = run.continuations(["the "])
        assert run.generate("the ") == f"the {found.text}"

    def test_the_former_name_of_sequence_ids_warns(self, run):
        draw = partial(run.continuations, ["the "], run.decoder("multinomial"), 8)
        with pytest.warns(DeprecationWarning, match="is now called sequence_ids"):
            former = draw(numbers=[3])
        assert former == draw(sequence_ids=[3]) != draw()

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({"decoder": "gredy"}, "did you mean 'greedy'"),
            ({"temprature": 1}, "did you mean 'temperature'"),
            ({"max_lenght": 1}, "max_lenght: not an option .*; did you mean 'max_length'"),
            ({"max_length": -1}, "max_length: must be"),
            ({"max_length": "9"}, "max_length: must be"),
            ({"seed": -1}, "seed: must be"),
            ({"prompt": 3}, "prompt: must be"),
            ({"prompt": ["a", 3]}, "prompt.1: must be"),
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
        before, random = run.evaluate(), torch.get_rng_state()
        run.generate("the ", max_length=20)
        assert torch.equal(random, torch.get_rng_state())
        assert run.evaluate() == before


class TestEvaluating:
    def test_only_held_out_splits_are_evaluated(self, run, finished_run):
        with pytest.raises(ValueError, match="`split` must be valid or test, but is 'train'"):
            run.evaluate("train")
        without = TrainedRun.load(finished_run, overrides=["data.split=[0.9, 0.1, 0]"])
        with pytest.raises(DataError, match="the data has no split 'test'"):
            without.evaluate()

    def test_other_data(self, run, finished_run, tmp_path):
        path = tmp_path / "other.txt"
        path.write_text("on a mat sat the cat and saw dogs run " * 300, encoding="utf-8")
        other = TrainedRun.load(finished_run, overrides=[f"data.path={path}"])
        figures, own = other.evaluate(), run.result["test"]
        assert figures["nats_per_token"] != own["nats_per_token"]
        assert not other.data_is_the_same()
        assert run.data_is_the_same()

    def test_a_run_that_has_not_ended_has_no_result(self, copied_run):
        (copied_run / "result.json").unlink()
        with pytest.raises(CheckpointError, match="the run is not finished"):
            seqgen.load(copied_run).result  # noqa: B018


class TestAuxiliaryRuns:
    def test_each_run_is_read_once(self, run, finished_run):
        load = load_auxiliary_runs(run.built)
        model = load(str(finished_run))
        assert load(str(finished_run)) is model
        assert model is not run.built.model

    def test_reading_one_leaves_the_state_of_torch_alone(self, run, finished_run):
        torch.manual_seed(7)
        before = torch.get_rng_state()
        load_auxiliary_runs(run.built)(str(finished_run))
        assert torch.equal(torch.get_rng_state(), before)

    def test_another_vocabulary_is_refused(self, run, finished_run):
        other = CharTokenizer()
        other.fit(["another alphabet"])
        stranger = replace(run.built, tokenizers={"text": other})
        with pytest.raises(CheckpointError, match="run: its vocabulary differs from that of"):
            load_auxiliary_runs(stranger)(str(finished_run))

    def test_their_plugins_are_imported_only_if_a_person_gives_them(
        self, run, copied_run, place, own_registries
    ):
        """An auxiliary run is a directory from anyone, as is the main run."""
        path = place.write("own.py", "x = 1\n")
        with (copied_run / "recipe.yaml").open("r+", encoding="utf-8") as file:
            text = file.read().replace("plugins: []", f"plugins: [{path}]")
            file.seek(0)
            file.write(text)
        with pytest.raises(PluginError, match=r"own\.py"):
            load_auxiliary_runs(run.built)(str(copied_run))
        assert load_auxiliary_runs(run.built, ["own.py"])(str(copied_run))

    @pytest.mark.parametrize(
        "constraint",
        ["{name: ensemble, runs: [RUN]}", "{name: language_model, run: RUN, weight: 0.5}"],
    )
    def test_a_run_that_helps_itself_says_the_same(self, constraint, run, finished_run, command):
        setting = f"constraints=[{constraint.replace('RUN', str(finished_run))}]"
        words = ("--max-length", 30, "--decoder", "greedy", "--set", setting)
        text = command("generate", finished_run, *words).out
        assert text == run.generate(decoder="greedy", max_length=30) + "\n"

    def test_a_recipe_may_name_runs(self, finished_run, train):
        constraint = f"{{name: language_model, run: {finished_run}, weight: 9}}"
        helped = recorded(train(f"decoder.constraints=[{constraint}]", out="helped"))
        alone = recorded(finished_run)
        assert helped["valid"] == alone["valid"]  # the weights are the same to the last bit
        assert helped["best_step"] == alone["best_step"]

    def test_a_missing_run_stops_before_anything_is_written(self, train, place):
        before = place.files()
        with pytest.raises(CheckpointError, match="nowhere"):
            train("decoder.constraints=[{name: language_model, run: nowhere}]")
        assert place.files() == before


@pytest.fixture(scope="module")
def pairs_and_language(run_once):
    """A run that reads sources, and a language model of its targets."""
    own = ["tokenizers.target={name: char, alphabet: '01'}", "metrics=[]", "train.max_steps=2"]
    rows = (f"{n}\t{n:b}" for n in range(60))
    data = "data.path=HERE/pairs.tsv"
    pairs = run_once(data, *own, recipe="pairs.yaml", pairs=rows, out="pairs")
    files = {"lines.txt": "".join(f"{n:b}\n" for n in range(60))}
    lines = ["data={name: lines, path: HERE/lines.txt}", "tokenizer={name: char, alphabet: '01'}"]
    language = run_once(*lines, "train.max_steps=2", "samples={length: 3}", files=files)
    return TrainedRun.load(pairs), TrainedRun.load(language)


class TestAuxiliaryRunsOfAModelThatReadsSources:
    def found(self, run, *constraints):
        spec = {"name": "beam", "beam_size": 4, "n_best": 4, "constraints": list(constraints)}
        every = run.continuations(["7", "", "123456"], run.decoder(spec), 5)
        return [[(each.text, each.hypothesis.score) for each in own] for own in every]

    def test_an_ensemble_of_itself_says_the_same(self, pairs_and_language):
        run, _ = pairs_and_language
        both = self.found(run, {"name": "ensemble", "runs": [str(run.directory.folder)]})
        for own, wanted in zip(both, self.found(run), strict=True):
            assert [text for text, _ in own] == [text for text, _ in wanted]
            scores = [score for _, score in wanted]
            assert [score for _, score in own] == pytest.approx(scores, abs=1e-5)

    def test_guidance_is_against_the_same_model_with_an_empty_source(self, pairs_and_language):
        run, language = pairs_and_language
        plain, guided = (
            self.found(run, {"name": "guidance", "scale": scale}) for scale in (1, 2.5)
        )
        assert plain == self.found(run)
        assert guided != plain
        # Where the source is empty there is nothing to be guided by.
        assert [text for text, _ in guided[1]] == [text for text, _ in plain[1]]
        alone = language.decoder({"name": "greedy", "constraints": [{"name": "guidance"}]})
        with pytest.raises(RecipeError, match=r"decoder\.constraints: guidance needs a model of"):
            language.continuations([""], alone, 5)

    def test_a_language_model_reads_each_output_from_its_begin(self, pairs_and_language):
        """So the best are those with the highest sum of both, of all that can be said."""
        run, language = pairs_and_language
        fusion = {"name": "language_model", "weight": 0.5, "run": str(language.directory.folder)}
        exact = {"name": "exact", "n_best": 4}
        sources = ["7", "", "123456"]
        helped = run.continuations(sources, run.decoder({**exact, "constraints": [fusion]}), 5)
        every = run.continuations(sources, run.decoder({**exact, "n_best": 99}), 5)
        for own, all_of_them in zip(helped, every, strict=True):
            assert len(all_of_them) == 31 + 32
            sums = {}
            for each in all_of_them:
                tokens = torch.tensor([[BOS, *each.hypothesis.tokens]])
                batch = TokenBatch(tokens[:, :-1], tokens[:, 1:])
                with torch.inference_mode():
                    nats = language.built.model.score(batch).nats.sum()
                sums[each.text] = each.hypothesis.score - 0.5 * float(nats)
            best = sorted(sums.values(), reverse=True)[:4]
            assert [each.hypothesis.score for each in own] == pytest.approx(best, abs=1e-5)
            assert [sums[each.text] for each in own] == pytest.approx(best, abs=1e-5)

    def test_a_model_that_reads_sources_cannot_help_one_that_has_none(self, pairs_and_language):
        pairs, language = pairs_and_language
        constraint = {"name": "ensemble", "runs": [str(pairs.directory.folder)]}
        decoder = language.decoder({"name": "greedy", "constraints": [constraint]})
        with pytest.raises(CheckpointError, match="pairs: is a sequence-to-sequence run and"):
            language.continuations([""], decoder, 5)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ("[{name: no_repeat_ngram}]", "constraints.0: `size` is missing"),
        ("no_repeat_ngram", "constraints: must be a list, but is"),
        ("[{name: forced_prefix, text: Z}]", "constraints.0: `text` 'Z' contains a token that is"),
        (
            "[{name: must_contain, texts: ['']}]",
            "constraints.0: `texts` must have tokens, but '' h",
        ),
        ("[coverage_penalty]", "constraints.0: coverage_penalty needs a model that looks back at"),
        ("[{name: pattern, regex: (}]", "constraints.0: `regex` must be a regular expression"),
        ("[{name: pattern, regex: Z}]", "constraints.0: no output of this tokenizer can match"),
    ],
)
def test_a_constraint_that_is_wrong_is_named_with_its_setting(
    refusal, finished_run, constraints, message
):
    if "pattern" in constraints:
        pytest.importorskip("outlines_core", reason="outlines-core is not installed")
    said = refusal(3, "generate", finished_run, "--set", f"constraints={constraints}")
    assert said.startswith(f"--set constraints={constraints}: ")
    assert message in said


def test_constraints_work_from_the_command_line(finished_run, command):
    setting = "constraints=[{name: no_repeat_ngram, size: 2}, {name: forced_prefix, text: dogs}]"
    ended = command("generate", finished_run, "--prompt", "the ", "--set", setting, "--json")
    assert ended.code == 0, ended.err
    [found] = json.loads(ended.out)
    assert found["text"].startswith("dogs")
    assert len({found["text"][i : i + 2] for i in range(60)}) == 60


class TestStopsAndStreams:
    @pytest.mark.parametrize(
        "options",
        [{}, {"stop": "a"}, {"stop": ["sat", "a"], "keep_stop": True}, {"stop_tokens": (" ",)}],
    )
    def test_a_stream_is_the_text_in_pieces(self, run, options):
        for decoder in ("greedy", "multinomial"):
            stream = run.stream("the ", decoder, 30, 3, **options)
            pieces = [*stream]
            assert pieces[0] == "the "
            assert "".join(pieces) == run.generate("the ", decoder, 30, 3, **options)
            assert stream.output.hypothesis.finish_reason == ("stop" if options else "length")

    def test_a_stream_goes_on_from_a_state(self, run):
        state = run.state("the cat ")
        stream = run.stream("sat", "multinomial", 20, 3, state=state)
        assert "".join(stream) == run.generate("sat", "multinomial", 20, 3, state=state)
        whole = run.generate("the cat sat", "multinomial", 20, 3)
        assert f"the cat {stream.output.prompt}{stream.output.text}" == whole
        with pytest.raises(ValueError, match="`state` must be one of this run, but is of another"):
            run.stream("sat", state=replace(state, run="another"))

    def test_a_stop_string_that_no_output_has_is_a_warning(self, run):
        said = r"stop: no output can contain ('~'|'ä\\n'); no tokens make it"
        for given in ("~", ["a", "ä\n"]):
            with pytest.warns(UserWarning, match=said):
                run.generate("the ", "greedy", 5, stop=given)
        assert run.generating(max_seconds=9).built.recipe.generation.max_seconds == 9

    def test_sources_stream_too(self, pairs_run):
        pairs = seqgen.load(pairs_run)
        assert "".join(pairs.stream("abc")) == pairs.generate("abc")

    def test_the_run_itself_stays_as_it_is(self, run):
        whole = run.generate("the ", "greedy", 30)
        ended = run.generating(stop="e")
        assert ended.built.recipe.generation.stop == ("e",)
        assert run.built.recipe.generation.stop == ()
        assert ended.built.model is run.built.model
        assert run.generate("the ", "greedy", 30) == whole
        assert ended.generating(stop=()).generate("the ", "greedy", 30) == whole

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"stop": ""}, r'stop: must be at least 1 long, but is \[""\]'),
            ({"stop": ["a", ""]}, r'stop: must be at least 1 long, but is \["a", ""\]'),
            ({"stop": 5}, "stop: must be a list, but is 5"),
            ({"stop_tokens": "at"}, "stop_tokens: 'at' must be one token, but is 2 tokens"),
            ({"max_seconds": 0}, "max_seconds: must be greater than 0"),
            ({"keep_stops": True}, "keep_stops: not an option .*did you mean 'keep_stop'"),
            ({"decoder": "beam"}, "the decoder 'beam' compares whole texts"),
        ],
    )
    def test_what_is_wrong_is_said_before_the_first_piece(self, run, options, message):
        with pytest.raises(ValueError, match=message):
            run.stream("the ", **options)

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ('generation.stop=[a, ""]', r'generation.stop: must be at least 1 long, but is \["a"'),
            ("generation.stop_tokens=[ab]", "generation.stop_tokens: 'ab' must be one token"),
        ],
    )
    def test_a_recipe_is_refused_in_one_line(self, override, message, finished_run):
        with pytest.raises(RecipeError, match=rf"override {re.escape(override)}: {message}"):
            TrainedRun.load(finished_run, overrides=[override])


class TestInspecting:
    TEXT = "the cat sat on a mat and\nsaw dogs run far café the cat\n"

    def test_a_property_of_ones_own(self, run):
        properties = {"c": lambda text: np.array([float(each == "c") for each in text])}
        with pytest.warns(UserWarning, match="2 tokens of the text are unknown"):
            found = run.inspect(self.TEXT, properties=properties)
        assert found.properties == ("c",)
        assert {each.property for each in found.followers} == {"c"}
        assert found.activations.shape == (len(self.TEXT), 32)

    def test_the_loss_is_that_of_the_model(self, run):
        with pytest.warns(UserWarning, match="unknown"):
            found = run.inspect(self.TEXT)
        tokens = torch.tensor([[BOS, *run.built.tokenizer.encode(self.TEXT)]])
        with torch.inference_mode():
            score = run.built.model.score(TokenBatch(tokens[:, :-1], tokens[:, 1:]))
        assert found.nats_per_token == pytest.approx(float(score.nats.mean()), abs=1e-5)
        assert found.ablated_nats_per_token == pytest.approx(found.nats_per_token, abs=1e-5)

    def test_of_a_long_text_the_beginning(self, run, monkeypatch):
        monkeypatch.setattr("seqgen.trained.INSPECTED", 30)
        with (
            pytest.warns(UserWarning, match="unknown"),
            pytest.warns(UserWarning, match="novel: only the first 30 characters are read"),
        ):
            found = run.inspect(self.TEXT, "novel")
        assert found.passage.text == self.TEXT[:30]

    def test_what_a_tokenizer_refuses(self, run):
        with pytest.raises(DataError, match="novel: `text` must be Unicode characters"):
            run.inspect("a\n\ud800", "novel")
