"""Whole runs: what they leave behind, that they repeat, and that stopping changes nothing."""

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from seqgen.cli.main import main
from seqgen.errors import CheckpointError, DataError, SetupError, StoppedError
from seqgen.recipe import read_recipe
from seqgen.run import RunRequest, run, run_directory
from seqgen.training.checkpoint import Checkpoints, load_state

TIMES = {"seconds", "tokens_per_second"}
ENDS = {"result.json", "samples.json", "samples.txt"}
FILES = {
    *("recipe.yaml", "manifest.json", "metrics.jsonl", "tokenizer", "checkpoints", ".lock"),
    *("report.html", "loss.pdf", "loss.png", *ENDS),
}


def timeless(value):
    """The value without what the clock decided."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key not in TIMES}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def outcome(folder):
    """Everything that equal runs have in common."""
    checkpoints = Checkpoints(folder / "checkpoints")
    events = (folder / "metrics.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return {
        "best": (checkpoints.find("best") / "model.safetensors").read_bytes(),
        "last": (checkpoints.find("last") / "model.safetensors").read_bytes(),
        "training": (checkpoints.find("last") / "training.safetensors").read_bytes(),
        "events": [timeless(json.loads(event)) for event in events],
        "result": {**timeless(read_json(folder, "result.json")), "recipe": ""},
        "samples": (folder / "samples.json").read_bytes(),
    }


def read_json(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def stop_at(step, number=signal.SIGINT):
    def sink(event):
        if event["event"] == "train" and event["step"] == step:
            os.kill(os.getpid(), number)

    return sink


def names(folder):
    return {path.name for path in folder.iterdir()}


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestTheDirectory:
    def test_its_files(self, finished_run):
        assert names(finished_run) == FILES
        assert names(finished_run / "checkpoints") >= {"best", "last"}
        assert (finished_run / "loss.pdf").read_bytes().startswith(b"%PDF")
        assert (finished_run / "loss.png").read_bytes().startswith(b"\x89PNG")
        assert "</html>" in (finished_run / "report.html").read_text(encoding="utf-8")

    def test_the_recipe_is_the_one_that_ran(self, finished_run):
        again = read_recipe(finished_run / "recipe.yaml")
        data = f"data.path={finished_run.parent / 'text.txt'}"
        assert again == read_recipe(finished_run.parent / "tiny.yaml", [data])
        assert again.text() == (finished_run / "recipe.yaml").read_text(encoding="utf-8")

    def test_the_result(self, finished_run):
        result = read_json(finished_run, "result.json")
        train = result["train"]
        assert set(train) == {"steps", "tokens", "seconds", "tokens_per_second"}
        figures = {"nats_per_token", "perplexity", "bits_per_char", "bits_per_byte", "accuracy"}
        for split in ("valid", "test"):
            assert set(result[split]) >= figures
            assert 0 < result[split]["bits_per_byte"] < result[split]["bits_per_char"]
        assert (train["steps"], train["tokens"]) == (12, 12 * 4 * 16)
        assert train["tokens_per_second"] == pytest.approx(train["tokens"] / train["seconds"])
        assert result["stopped"] == "the budget was spent"

    def test_the_metrics(self, finished_run):
        events = outcome(finished_run)["events"]
        kinds = [(event["event"], event["step"]) for event in events]
        valid, train = [("valid", step) for step in (0, 4, 8, 12)], [3, 6, 9, 12]
        assert sorted(kinds) == sorted([*valid, *(("train", step) for step in train)])
        assert [step for _, step in kinds] == sorted(step for _, step in kinds)
        assert all(len(event["samples"]) == 1 for event in events if event["event"] == "valid")
        losses = [event["nats_per_token"] for event in events if event["event"] == "valid"]
        assert losses[-1] < losses[0], "it learns"

    @pytest.mark.parametrize("recipe", ["recipes/char_lstm.yaml", "lectures/char_lstm"])
    def test_it_is_below_runs_by_default(self, recipe):
        assert run_directory(RunRequest(recipe)).folder == Path("runs/char_lstm")

    def test_a_run_without_held_out_data(self, train):
        folder = train("data.split=[1, 0, 0]", "samples.length=3", report=True)
        result = read_json(folder, "result.json")
        assert result["best_step"] == 12
        assert not {"valid", "test"} & set(result)
        assert names(folder) == FILES


class TestRepeating:
    def test_the_same_recipe_gives_the_same_bytes(self, train, finished_run):
        assert outcome(train()) == outcome(finished_run)

    def test_so_does_a_run_that_was_interrupted_and_resumed(self, train, finished_run):
        with pytest.raises(StoppedError, match="stopped at step 6"):
            train(watch=[stop_at(6)], report=True)
        assert names(Path("run")) == FILES - ENDS
        before = (Path("run") / "report.html").read_bytes()
        assert outcome(train(resume=True, report=True)) == outcome(finished_run)
        assert (Path("run") / "report.html").read_bytes() != before

    def test_so_does_a_run_of_many_parts(self, train):
        parts = [
            "tokenizer={name: sentencepiece, algorithm: bpe, vocab_size: 285, sampling_alpha: 0.5}",
            "data.windows=random",
            "data.batch_size=64",  # so an epoch is five steps
            "model.cell={name: stack, dropout: 0.2, cells: [{name: lstm_cell, hidden_size: 8},"
            " {name: lstm, hidden_size: 8}]}",
            *("model.head=tied", "model.dropout=0.3", "train.optimizer={name: sgd, momentum: 0.9}"),
            *("train.schedule={name: plateau, threshold: 0.1}", "train.patience=3"),
            *("train.warmup_steps=3", "train.validate_every=2"),
        ]
        whole = outcome(train(*parts, out="whole"))
        with pytest.raises(StoppedError):
            train(*parts, watch=[stop_at(6, signal.SIGTERM)])
        assert outcome(train(*parts, resume=True)) == whole


SOURCES = """\
data: {name: pairs, path: pairs.tsv, batch_size: 8}
model:
  name: seq2seq
  encoder:
    name: bidirectional
    embedding: {size: 6}
    cell: {name: gru, hidden_size: 8}
    dropout: 0.2
    input_dropout: 0.1
  attention: additive
  embedding: {size: 6}
  cell: {name: variational_dropout, cell: {name: lstm_cell, hidden_size: 8}}
  dropout: 0.2
  input_dropout: 0.1
metrics: [character_error_rate]
evaluation: {criterion: character_error_rate, validation_decoder: {name: beam, beam_size: 2}}
decoder: {name: multinomial, temperature: 0.8}
generation: {max_length: 5}
train: {lr: 1e-2, max_steps: 12, validate_every: 4, log_every: 3, schedule: plateau, patience: 9}
samples: {length: 4, temperatures: [0.8]}
threads: 1
"""


class TestRepeatingWithSources:
    """Models that draw their own tokens in training: in mid-epoch, in rate and in noise."""

    @pytest.fixture
    def train_pairs(self, place, train):
        words = [a + b for a in "abcdef" for b in ("", *"abcdef")]
        place.write("pairs.tsv", "".join(f"{word}\t{word.upper()}\n" for word in words))
        place.write("pairs.yaml", SOURCES)
        return partial(train, recipe="pairs.yaml")

    @pytest.mark.parametrize(
        ("sampling", "feeding"),
        [("{rate: 0.5}", "false"), ("{rate: 1, curve: sigmoid, begin: 0.3}", "true")],
    )
    def test_interrupted_and_resumed_it_gives_the_same_bytes(self, train_pairs, sampling, feeding):
        options = [f"model.sampling={sampling}", f"model.input_feeding={feeding}"]
        whole = outcome(train_pairs(*options, out="whole"))
        for step in (3, 9):
            with pytest.raises(StoppedError, match=f"stopped at step {step}"):
                train_pairs(*options, resume=step > 3, watch=[stop_at(step)])
        assert outcome(train_pairs(*options, resume=True)) == whole
        answers = [read_json(Path(run), "answers.json") for run in ("whole", "run")]
        assert answers[0] == answers[1]

    def test_sampling_makes_another_run_whose_recipe_can_be_read(self, train_pairs):
        few = ("train.max_steps=2", "train.validations=1", "train.validate_every=null")
        one = train_pairs(*few, out="forced")
        other = train_pairs("model.sampling={rate: 0.5}", *few)
        assert outcome(one)["last"] != outcome(other)["last"]
        again = read_recipe(other / "recipe.yaml")
        assert again.text() == (other / "recipe.yaml").read_text(encoding="utf-8")

    @pytest.mark.usefixtures("train_pairs")
    def test_a_run_that_diverges_says_so(self, command):
        words = ["model.sampling={rate: 1, curve: constant}", "train.lr=1e30"]
        ended = command("run", "pairs.yaml", *words, "train.clip_norm=null", "--out", "run")
        assert ended.code == 6
        assert re.match(r"the (loss|gradient norm) is nan at step \d+, so no step was", ended.err)


def wait_for_step(folder, step, running):
    """Wait until the log of the run in `folder` has come to `step`."""
    path = folder / "metrics.jsonl"
    for _ in range(60_000):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        if lines and json.loads(lines[-1])["step"] >= step:
            return
        assert running(), "the run has ended too early"
        time.sleep(0.01)
    pytest.fail(f"the run has not come to step {step} in ten minutes")


@pytest.mark.skipif(sys.platform != "linux", reason="forks a process in which torch is loaded")
def test_signals_and_kills_at_any_time_change_no_byte(place, train, spawn, fork):
    """SIGINT, SIGTERM and three times SIGKILL, each as it happens to fall."""
    options = ["train.max_steps=240", "train.validate_every=40", "train.log_every=5"]
    options += ["model.dropout=0.2", "samples.length=2"]
    whole = outcome(train(*options, out="whole"))
    kill, said = signal.SIGKILL, place.folder / "said.txt"
    endings = {signal.SIGINT: 130, signal.SIGTERM: 143, kill: -9}

    def call(words):
        sys.argv = ["seqgen", *words]
        with said.open("w", encoding="utf-8") as sys.stderr, open(os.devnull, "w") as sys.stdout:  # noqa: PTH123
            main()

    for count, number in enumerate([kill, signal.SIGINT, kill, signal.SIGTERM, kill]):
        words = ["run", "tiny.yaml", *options, "--out", "run", *(["--resume"] if count else [])]
        # One of them begins as a process of its own.
        process = spawn(*words) if number == signal.SIGINT else fork(lambda: call(words))  # noqa: B023
        wait_for_step(Path("run"), 40 * (count + 1), lambda: process.poll() is None)  # noqa: B023
        time.sleep(random.uniform(0, 0.02))
        process.send_signal(number)
        last = process.communicate()[1] if number == signal.SIGINT else None
        assert process.wait() == endings[number]
        if number != kill:
            last = (last or said.read_text()).strip().split("\n")[-1]
            assert re.fullmatch(r"stopped at step .*; go on with: seqgen run run --resume", last)
    assert outcome(train(*options, resume=True)) == whole
    assert {path.name for path in Path("run").rglob(".*")} == {".lock"}


class TestResuming:
    @pytest.fixture
    def resume(self, copied_run, train):
        """A function that resumes a copy of the finished run."""
        data = f"data.path={recorded_data(copied_run)}"
        return lambda *overrides, **how: train(data, *overrides, out=copied_run, resume=True, **how)

    @pytest.mark.parametrize("name", ["run", "runs/pears"])
    def test_a_missing_run_is_no_missing_recipe(self, name, place, copied_run):
        (place.folder / "runs").mkdir()
        copied_run.rename(place.folder / "runs" / "pair")
        with pytest.raises(CheckpointError, match=r"no run here .* there are runs/pair"):
            run(RunRequest(name, resume=True), announce=pytest.fail)
        assert [path.name for path in place.folder.iterdir() if path.is_dir()] == ["runs"]

    def test_a_finished_run_is_left_as_it_is(self, copied_run, resume):
        before, events = contents(copied_run), []
        resume(watch=[events.append])
        assert events == []
        assert before == contents(copied_run)

    @pytest.mark.parametrize(
        "lost",
        [{"checkpoints", "result.json"}, FILES - {"tokenizer", "manifest.json", ".lock"}],
        ids=["without a checkpoint", "killed in its first moment"],
    )
    def test_a_run_that_has_lost_all_begins_again(self, lost, copied_run, resume, finished_run):
        for path in (copied_run / name for name in lost):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (copied_run / ".recipe.yaml.123.tmp").write_text("data: {na")
        resume()
        assert outcome(copied_run) == outcome(finished_run)

    def test_a_run_that_has_trained_but_not_concluded_concludes(self, copied_run, resume):
        wanted, events = outcome(copied_run), []
        (copied_run / "result.json").unlink()
        (copied_run / "samples.json").unlink()
        resume(watch=[events.append])
        assert events == []
        assert outcome(copied_run) == wanted

    def test_a_larger_budget_goes_on(self, copied_run, resume):
        with pytest.warns(UserWarning, match=r"train\.max_steps was 12 and is 16"):
            resume("train.max_steps=16")
        steps = [each["step"] for each in outcome(copied_run)["events"]]
        assert steps == sorted(steps)
        assert steps[-1] == 16
        assert "max_steps: 16" in (copied_run / "recipe.yaml").read_text(encoding="utf-8")

    def test_word_vectors_are_read_only_where_there_are_no_weights(self, place, train):
        path = place.write("vectors.txt", "e 1 2 3\na 4 5 6\n")
        vectors = "model.embedding={name: pretrained, path: vectors.txt, size: 3}"
        with pytest.warns(UserWarning, match="vectors for 2 of "), pytest.raises(StoppedError):
            train(vectors, watch=[stop_at(6)])
        path.unlink()
        folder = train(vectors, resume=True)
        assert (folder / "result.json").exists()
        shutil.rmtree(folder / "checkpoints")
        (folder / "result.json").unlink()
        with pytest.raises(DataError, match=r"vectors\.txt: cannot be read"):
            train(vectors, resume=True)

    def test_another_number_of_threads_is_a_warning(self, resume):
        with (
            pytest.warns(UserWarning, match="goes on with a change: threads was 1 and is 2"),
            pytest.warns(UserWarning, match="threads was 1 and is 2: results will not be bitwise"),
        ):
            resume("threads=2")

    @pytest.mark.parametrize(
        ("override", "difference"),
        [
            ("model.cell.hidden_size=8", "model.cell.hidden_size was 16 and is 8"),
            ("model.head=tied", "model.head.name was 'linear' and is 'tied'"),
            ("seed=2", "seed was 1 and is 2"),
            ("tokenizer={alphabet: printable}", "tokenizer.alphabet was None and is 'printable'"),
            ("data.window=8", "data.window was 16 and is 8"),
            ("data.path=text.txt", "data.path was "),
            ("train.optimizer=sgd", "train.optimizer."),
        ],
    )
    def test_another_recipe_is_refused(self, override, difference, copied_run, resume):
        before = contents(copied_run)
        with pytest.raises(CheckpointError) as caught:
            resume(override)
        assert str(caught.value).startswith(f"{copied_run}: cannot be resumed: ")
        assert difference in str(caught.value)
        assert before == contents(copied_run)

    def test_other_data_under_the_same_name_is_refused(self, place, train):
        train("train.max_steps=1", "samples.length=1")
        text = (place.folder / "text.txt").read_text(encoding="utf-8")
        place.write("text.txt", text.replace("cat", "tac", 1))
        with pytest.raises(CheckpointError, match="cannot be resumed: the data has changed"):
            train("train.max_steps=1", "samples.length=1", resume=True)

    @pytest.mark.parametrize("content", [None, "", "{", "[]", "3", '"x"'])
    def test_a_damaged_manifest_is_named(self, content, copied_run, resume):
        path = copied_run / "manifest.json"
        path.unlink() if content is None else path.write_text(content)
        with pytest.raises(CheckpointError, match=r"manifest\.json: "):
            resume()

    def test_a_damaged_checkpoint_is_named(self, copied_run, resume):
        path = Checkpoints(copied_run / "checkpoints").find("last") / "training.json"
        path.write_bytes(path.read_bytes().replace(b'"step": 12', b'"step": 11'))
        with pytest.raises(CheckpointError, match=r"training\.json: damaged, its checksum"):
            resume()


def recorded_data(folder):
    """The path of the data of a run."""
    return next(iter(read_json(folder, "manifest.json")["data"]))


FAULTY = """
import torch
from seqgen.cells import Cell, cells


@cells.register("faulty")
class Faulty(Cell):
    def __init__(self, input_size: int):
        super().__init__()
        self.output_size = 4
        self.map = torch.nn.Linear(input_size, 4)
        self.reads = 0

    def initial_state(self, batch_size):
        return None

    def step(self, x, state):
        return self.map(x), state

    def project(self, xs):
        self.reads += self.training
        return xs * float("nan") if self.training and self.reads == 6 else xs
"""


def test_divergence_keeps_the_last_checkpoint(place, command, own_registries):
    place.write("faulty.py", FAULTY)
    faulty = ["plugins=[faulty.py]", "model.cell=faulty"]
    ended = command("run", "tiny.yaml", *faulty, "--out", "run")
    assert ended.code == 6
    assert ended.err.startswith("the loss is nan at step 6, so no step was taken; the last ")
    assert ended.err.count("\n") == 1
    folder = Checkpoints(Path("run/checkpoints")).find("last")
    assert load_state(folder)[0]["step"] == 4
    assert "</html>" in Path("run/report.html").read_text(encoding="utf-8")
    assert not Path("run/result.json").exists()


def test_a_full_disk_costs_nothing_but_time(place, train, small_disk, finished_run):
    disk = small_disk(120)
    with pytest.raises((SetupError, OSError), match=r"(?i)cannot|no space"):
        train(out=disk / "run")
    small_disk(4000)
    assert outcome(train(out=disk / "run", resume=True)) == outcome(finished_run)


def test_every_hangul_syllable_that_was_held_out_is_spelt_right(tmp_path):
    recipe = Path(__file__).parent.parent / "recipes" / "hangul_seq2seq.yaml"
    few = ["threads=1", "train.max_epochs=5"]
    request = RunRequest(str(recipe), few, tmp_path / "run", report=False)
    folder = run(request, lambda plan: None)
    result = read_json(folder, "result.json")
    assert result["test"]["examples"] == 1117
    assert result["test"]["metrics"]["exact_match"] == 1.0
    assert result["valid"]["metrics"]["exact_match"] == 1.0
    answers = read_json(folder, "answers.json")
    assert all([each["output"]] == each["references"] for each in answers)
