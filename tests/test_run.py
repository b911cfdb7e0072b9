"""Whole runs: what they leave behind, that they repeat, and that stopping changes nothing."""

import json
import os
import random
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from disk import contents

from seqgen.cli.main import main
from seqgen.errors import CheckpointError, DataError, StoppedError
from seqgen.machine import available_cores
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


class TestTheDirectory:
    def test_its_pictures_and_its_report(self, finished_run):
        assert (finished_run / "loss.pdf").read_bytes().startswith(b"%PDF")
        assert (finished_run / "loss.png").read_bytes().startswith(b"\x89PNG")
        assert "</html>" in (finished_run / "report.html").read_text(encoding="utf-8")

    def test_the_recipe_is_the_one_that_ran(self, finished_run):
        again = read_recipe(finished_run / "recipe.yaml")
        data = f"data.path={finished_run.parent / 'text.txt'}"
        assert again == read_recipe(finished_run.parent / "tiny.yaml", [data])
        assert again.text() == (finished_run / "recipe.yaml").read_text(encoding="utf-8")

    def test_the_tokens_of_a_second(self, finished_run):
        train = read_json(finished_run, "result.json")["train"]
        assert train["tokens_per_second"] == pytest.approx(train["tokens"] / train["seconds"])

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
    """More of it is in tests/test_verify.py and tests/test_golden.py."""

    def test_a_run_that_was_interrupted_has_the_same_bytes(self, train, finished_run):
        with pytest.raises(StoppedError, match="stopped at step 6"):
            train(watch=[stop_at(6)], report=True)
        assert names(Path("run")) == FILES - ENDS
        before = (Path("run") / "report.html").read_bytes()
        assert outcome(train(resume=True, report=True)) == outcome(finished_run)
        assert (Path("run") / "report.html").read_bytes() != before

    @pytest.mark.parametrize("fed", ["false", "true"])
    def test_drawing_its_own_tokens_makes_another_run(self, fed, place, train):
        place.pairs(a + b for a in "abcdef" for b in ("", *"abcdef"))
        few = [f"model.input_feeding={fed}", "train.max_steps=2", "train.validations=1"]
        one = train(*few, recipe="pairs.yaml", out="forced")
        other = train("model.sampling={rate: 0.5}", *few, recipe="pairs.yaml")
        last = [Checkpoints(each / "checkpoints").find("last") for each in (one, other)]
        assert len({(each / "model.safetensors").read_bytes() for each in last}) == 2
        again = read_recipe(other / "recipe.yaml")
        assert again.text() == (other / "recipe.yaml").read_text(encoding="utf-8")

    def test_a_run_that_diverges_says_so(self, place, command):
        place.pairs(a + b for a in "abcdef" for b in ("", *"abcdef"))
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

    def test_threads_stay_those_that_it_began_with(self, train, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS")
        before, seen = torch.get_num_threads(), []
        with pytest.raises(StoppedError):
            train("threads=auto", watch=[stop_at(6)])
        record, began_with = read_json(Path("run"), "manifest.json"), min(2, available_cores())
        Path("run/manifest.json").write_text(json.dumps({**record, "threads": began_with}))
        train("threads=auto", resume=True, watch=[lambda _: seen.append(torch.get_num_threads())])
        assert set(seen) == {began_with}
        assert torch.get_num_threads() == before

    @pytest.mark.parametrize(
        ("override", "difference"),
        [
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


def test_every_hangul_syllable_that_was_held_out_is_spelt_right(tmp_path):
    recipe = Path(__file__).parent.parent / "recipes" / "hangul_seq2seq.yaml"
    request = RunRequest(str(recipe), ["threads=1"], tmp_path / "run", report=False)
    folder = run(request, lambda plan: None)
    result = read_json(folder, "result.json")
    assert result["test"]["examples"] == 1117
    assert result["test"]["metrics"]["exact_match"] == 1.0
    assert result["valid"]["metrics"]["exact_match"] == 1.0
    answers = read_json(folder, "answers.json")
    assert all([each["output"]] == each["references"] for each in answers)
