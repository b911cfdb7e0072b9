"""Trackers: what their programs read afterwards, what a run is with and without, what fails."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import seqgen
from seqgen.errors import DivergedError, RecipeError, StoppedError
from seqgen.run import RunRequest, run
from seqgen.trackers import LeftOut, Tracker, Tracking, trackers
from seqgen.training import Checkpoints, read_events

THREE = "trackers=[tensorboard, {name: mlflow, experiment: tiny}, wandb]"
STEPS = [3, 6, 9, 12]


def weights(folder):
    checkpoints = Checkpoints(folder / "checkpoints")
    return [
        (checkpoints.find(each) / "model.safetensors").read_bytes() for each in ("best", "last")
    ]


def state():
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    return dict(os.environ), sys.excepthook, sys.exit, random.getstate(), handlers


@pytest.fixture(scope="module")
def tracked(finished_run, tmp_path_factory):
    """The finished run once more, with three trackers, and stopped once."""
    for library in ("tensorboard", "mlflow", "wandb"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    before = state()

    def stop(event):
        if event["event"] == "train" and event["step"] == 6:
            os.kill(os.getpid(), signal.SIGINT)

    folder, announced = tmp_path_factory.mktemp("place") / "tracked", []
    request = RunRequest(str(finished_run / "recipe.yaml"), [THREE], folder, report=False)
    with pytest.raises(StoppedError, match="stopped at step 6"):
        run(request, lambda plan: None, [stop])
    run(RunRequest(str(folder), resume=True), announced.append)
    assert state() == before
    assert announced[0]["remarks"] == []
    return folder


def few(overrides, out, *, report=False, **options):
    """A request that writes few files."""
    return RunRequest("tiny.yaml", overrides, out, report=report, **options)


class TestWhatTheirProgramsRead:
    def test_weights_are_those_of_a_run_without(self, tracked, finished_run):
        assert weights(tracked) == weights(finished_run)

    def test_tensorboard(self, tracked):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        everything = {"scalars": 0, "tensors": 0, "images": 0}
        found = EventAccumulator(str(tracked / "trackers" / "tensorboard"), everything)
        found.Reload()
        losses = [(each.step, each.value) for each in found.Scalars("train/loss")]
        log = (tracked / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in log]
        wanted = [(each["step"], each["loss"]) for each in events if each["event"] == "train"]
        assert losses == [(step, pytest.approx(loss)) for step, loss in wanted]
        assert [step for step, _ in losses] == STEPS
        valid = [each.step for each in found.Scalars("valid/nats_per_token")]
        assert valid == [0, 4, 8, 12]
        result = json.loads((tracked / "result.json").read_text(encoding="utf-8"))
        [final] = found.Scalars("final/test/perplexity")
        assert final.value == pytest.approx(result["test"]["perplexity"])
        texts = found.Tensors("samples/text_summary")
        assert [each.step for each in texts] == [0, 4, 8, 12, 12]
        assert b"    the " in texts[0].tensor_proto.string_val[0]
        [curves] = found.Images("curves")
        assert (curves.step, curves.encoded_image_string[1:4]) == (12, b"PNG")
        assert "_hparams_/session_start_info" in found.PluginTagToContent("hparams")

    def test_mlflow(self, tracked, monkeypatch):
        from mlflow import MlflowClient

        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        own = tracked / "trackers" / "mlflow"
        client, name = MlflowClient((own / "store").as_uri()), (own / "id").read_text()
        found = client.get_run(name)
        assert (found.info.run_name, found.info.status) == ("tracked", "FINISHED")
        assert found.info.experiment_id == client.get_experiment_by_name("tiny").experiment_id
        assert found.data.params["model.cell.hidden_size"] == "16"
        history = client.get_metric_history(name, "train/loss")
        assert [each.step for each in history] == STEPS
        assert found.data.metrics["final/parameters"] > 1000
        samples = [each.path for each in client.list_artifacts(name, "samples")]
        assert samples == [f"samples/{step:08}.txt" for step in (0, 4, 8, 12)]
        assert "loss.png" in [each.path for each in client.list_artifacts(name)]

    def test_wandb(self, tracked):
        own = tracked / "trackers" / "wandb"
        name = (own / "id").read_text()
        sessions = sorted(own.glob(f"wandb/offline-run-*-{name}"))
        assert sessions
        files = [(each / f"run-{name}.wandb").read_bytes() for each in sessions]
        joined = b"".join(files)
        for each in (b"train/loss", b"model.cell.hidden_size", b"final/test/perplexity"):
            assert each in joined
        media = [each.name for each in own.rglob("media/*/*")]
        assert sum(each.startswith("samples") for each in media) == 5
        assert sum(each.startswith("curves") for each in media) == 1

    def test_a_run_may_take_the_place_of_another(self, tracked, place):
        folder = Path(shutil.copytree(tracked, "again", symlinks=True))
        assert any(each.is_symlink() for each in folder.rglob("*")), "wandb makes one"
        run(few(["train.max_steps=1"], folder, overwrite=True), lambda plan: None)
        assert not (folder / "trackers").exists()


@pytest.fixture
def noted(own_registries):
    """A registered tracker that notes its calls, each of which may raise; the calls."""
    calls = []

    @trackers.register("noted")
    class Noted(Tracker):
        def __init__(self, fails: str = "", seen: int = 0) -> None:
            self.fails = fails

        def note(self, what, *values):
            calls.append((what, *values))
            if what == self.fails:
                raise OSError("the server\nis away")

        def begin(self, name, folder, options):
            self.note("begin", name, [each.name for each in folder.iterdir()], dict(options))
            (folder / "mine").touch()

        def log(self, step, scalars):
            self.note("log", step, dict(scalars))

        def samples(self, step, texts):
            self.note("samples", step, list(texts))

        def figure(self, step, picture):
            self.note("figure", step, picture.name)

        def end(self, result):
            self.note("end", result)

    return calls


def tracked_by(spec, **options):
    announced = []
    run(few([f"trackers={json.dumps([spec])}"], Path("run"), **options), announced.append)
    return announced[0]["remarks"]


def test_what_one_gets(noted, place):
    assert tracked_by("noted", report=True) == []
    kinds = [each[0] for each in noted]
    assert (kinds[0], kinds[-2:]) == ("begin", ["figure", "end"])
    assert noted[0][1:3] == ("run", [])
    assert noted[0][3]["train.max_steps"] == 12
    kind = {True: "train", False: "valid"}
    logs = [(each[1], kind["train/loss" in each[2]]) for each in noted if each[0] == "log"]
    both = [(step, "train") for step in STEPS] + [(step, "valid") for step in (0, 4, 8, 12)]
    assert sorted(logs) == sorted(both)
    steps = [each[1] for each in noted[1:-1]]
    assert steps == sorted(steps)
    assert noted[-2] == ("figure", 12, "loss.png")
    assert noted[-1][1]["test/perplexity"] > 1
    assert all(type(value) in (int, float) for value in noted[-1][1].values())
    final = (Path("run") / "samples.txt").read_text(encoding="utf-8")
    assert [each[2] for each in noted if each[0] == "samples"][-1] == [final]


@pytest.mark.parametrize("fails", ["log", "samples", "figure", "end"])
def test_one_that_fails_is_left_out_and_named(fails, noted, place, finished_run):
    says = "tracker 'noted' is left out: OSError: the server is away"
    with pytest.warns(LeftOut, match=says) as caught:
        assert tracked_by({"name": "noted", "fails": fails}, report=fails == "figure") == []
    assert len(caught) == 1
    assert noted[-1][0] == fails
    assert weights(Path("run")) == weights(finished_run)


def test_one_that_cannot_begin_is_a_note(noted, place, finished_run):
    remark = "tracker 'noted' is left out: OSError: the server is away"
    assert tracked_by({"name": "noted", "fails": "begin"}) == [remark]
    assert [each[0] for each in noted] == ["begin"]
    manifest = json.loads((Path("run") / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["remarks"] == [remark]
    assert weights(Path("run")) == weights(finished_run)


def test_a_library_that_is_missing_is_named_with_what_installs_it(monkeypatch, place, command):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    ended = command("run", "tiny.yaml", "train.max_steps=1", "trackers=[mlflow]", "--out", "run")
    assert (ended.code, ended.err) == (0, "")
    needed = "tracker 'mlflow' is left out: it needs mlflow: pip install 'seqgen-toolkit[track]'"
    assert f"  note    {needed}\n" in ended.out


def test_trackio_is_told_what_its_functions_take(place):
    pytest.importorskip("trackio", reason="Trackio does not install beside the other extras")
    assert tracked_by({"name": "trackio", "project": "tests"}) == []


def test_a_run_that_fails_ends_without_a_result(noted, place):
    with pytest.raises(DivergedError):
        run(few(["trackers=[noted]", "train.lr=1e30"], Path("run")), lambda plan: None)
    assert noted[-1] == ("end", None)


def test_a_run_that_was_killed_gets_nothing_twice(noted, place):
    def kill(event):
        if event["step"] == 9:
            raise KeyboardInterrupt  # at once, without a checkpoint

    request = few(["trackers=[noted]"], Path("run"))
    with pytest.raises(KeyboardInterrupt):
        run(request, lambda plan: None, [kill])
    assert noted[-1] == ("end", None)
    first = len(noted)
    with (Path("run") / "trackers" / "sent.jsonl").open("a") as file:
        file.write(
            '{"event": "train", "step": 9}\n{"event": "va'
        )  # and it was killed while it wrote
    run(RunRequest("run", resume=True, report=False), lambda plan: None)
    again = noted[first:]
    assert again[0][:3] == ("begin", "run", ["mine"])
    assert [each[1] for each in again if each[0] == "log"] == [12, 12]
    sent = read_events(Path("run") / "trackers" / "sent.jsonl")
    assert len({(each["event"], each["step"]) for each in sent}) == len(sent) == 8


def test_a_finished_run_that_is_resumed_is_not_tracked_again(noted, place):
    tracked_by("noted")
    noted.clear()
    run(RunRequest("run", resume=True, report=False), lambda plan: None)
    assert noted == []


def test_nothing_is_written_through_a_link(noted, place):
    tracked_by("noted")
    own = Path("run") / "trackers" / "noted"
    place.write("elsewhere", "")
    (own / "link").symlink_to(place.folder / "elsewhere")
    (Path("run") / "result.json").unlink()
    noted.clear()
    run(RunRequest("run", resume=True, report=False), lambda plan: None)
    assert noted[0][2] == ["mine"]
    assert (place.folder / "elsewhere").exists()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("[tensorbord]", "trackers.0: no tracker named 'tensorbord'; did you mean 'tensorboard'?"),
        ("[{name: wandb, projekt: x}]", "trackers.0.projekt: not an option of tracker 'wandb'"),
        ("[{name: wandb, mode: somewhere}]", "mode: must be 'offline' or 'online', but is 'some"),
        ("wandb", "trackers: must be a list, but is 'wandb'"),
        ("[tensorboard, {name: tensorboard}]", "trackers.1: duplicate tracker 'tensorboard'"),
    ],
)
def test_a_wrong_name_or_option_is_an_error_of_the_recipe(spec, says, place, refusal):
    place.recipe("threads: 1", f"threads: 1\ntrackers: {spec}")
    said = refusal(3, "run", "tiny.yaml")
    assert says in said
    assert said.startswith("tiny.yaml:")


def test_from_python(noted, place, capsys):
    recipe = {"trackers": [{"name": "noted"}], "train.max_steps": 1}
    seqgen.train("tiny.yaml", recipe, out="run", progress=False)
    assert noted[-1][0] == "end"
    with pytest.raises(RecipeError, match="did you mean 'noted'"):
        seqgen.train("tiny.yaml", {"trackers": ["notd"]}, out="other", progress=False)
    assert capsys.readouterr() == ("", "")


def test_what_a_library_changes_is_changed_back(tmp_path):
    class Loud(Tracker):
        def begin(self, name, folder, options):
            os.environ["MY_TRACKER"] = "1"
            sys.exit, sys.excepthook = print, print

        def log(self, step, scalars): ...

        def end(self, result): ...

    before = state()
    with Tracking({"loud": Loud()}, tmp_path / "trackers") as tracking:
        assert tracking.begin("run", {}) == []
    assert state() == before


def test_without_trackers_there_is_no_folder(finished_run):
    assert not (finished_run / "trackers").exists()


QUIET = """
import sys
from seqgen.cli.main import main
for words in (["list", "trackers"], ["validate", "tiny.yaml", "trackers=[tensorboard, wandb]"]):
    sys.argv = ["seqgen", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code
print([each for each in ("tensorboard", "wandb", "mlflow", "trackio") if each in sys.modules])
"""


def test_commands_that_train_nothing_import_none_of_them(place):
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stderr == ""


def test_verifying_a_recipe_tracks_nothing():
    from seqgen.verify import _shortened

    assert "trackers=[]" in _shortened((), 3)
