"""Sweeps: which trials are made, what is kept of them, and that nothing stops the others."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from seqgen.errors import CheckpointError, RecipeError, SetupError, StoppedError, UsageError
from seqgen.sweeps import Sweep, read_axis

STEPS = ["train.max_steps=4", "train.validate_every=2", "samples.length=2", "train.log_every=1"]


@pytest.fixture
def sweep(place):
    """A function that makes a sweep of tiny.yaml from axes such as `train.lr=1,2`."""

    def make(*axes, overrides=(), **how):
        how = {"folder": Path("sweep"), "report": False, **how}
        return Sweep("tiny.yaml", [*STEPS, *overrides], dict(map(read_axis, axes)), **how)

    return make


class Watch(list):
    """What is told of a sweep: the trials that began, and events."""

    def __init__(self, look=lambda event: None):
        super().__init__()
        self.look, self.events = look, []

    def run(self, sweep):
        return sweep.run(self.append, lambda trial: None, self.event)

    def event(self, event):
        self.events.append(event)
        self.look(event)

    def names(self):
        return [each.name for each in self]


def saved():
    return json.loads(Path("sweep/sweep.json").read_text())


def interrupt(event):
    if event["event"] == "train" and event["step"] == 3:
        os.kill(os.getpid(), signal.SIGINT)


def test_finished_trials_are_kept_and_failed_ones_tried_again(sweep):
    """One value leaves too little text, which only the data show."""
    axes = ["data.window=16,100000", "train.lr=1e-2,1e-1"]
    job, watch = sweep(*axes), Watch()
    job.check()
    outcome = watch.run(job)
    assert [[*each.settings.values()] for each in watch] == [
        [window, lr] for window in (16, 100000) for lr in (0.01, 0.1)
    ]
    assert [each.status for each in outcome.trials] == ["finished", "finished", "failed", "failed"]
    assert "training tokens are too few" in outcome.trials[2].reason
    for each in outcome.trials[:2]:
        assert len(each.validations) == 3
        assert each.value == each.figure == min(each.validations)
        result = json.loads(Path("sweep", each.name, "result.json").read_text())
        assert each.value == pytest.approx(result["valid"]["nats_per_token"])
    content = saved()
    assert (content["keys"], content["criterion"]) == (
        ["data.window", "train.lr"],
        "nats_per_token",
    )
    assert [each["status"] for each in content["trials"]] == [e.status for e in outcome.trials]
    again = Watch()
    assert again.run(sweep(*axes)) == outcome
    assert again.names() == ["trial-0002", "trial-0003"]
    more = Watch()
    more.run(sweep("data.window=16", "train.lr=1e-2,1e-1,1"))
    assert more.names() == ["trial-0002", "trial-0003", "trial-0004"]


def test_an_interrupted_sweep_goes_on_where_it_was(sweep):
    with pytest.raises(StoppedError, match="sweep/trial-0000: stopped at step 3; the same command"):
        Watch(interrupt).run(sweep("train.lr=1e-2,1e-1"))
    assert [each["status"] for each in saved()["trials"]] == ["running"]
    watch = Watch()
    outcome = watch.run(sweep("train.lr=1e-2,1e-1"))
    assert [each.status for each in outcome.trials] == ["finished", "finished"]
    steps = [event["step"] for event in watch.events if event["event"] == "train"]
    assert steps == [4, 1, 2, 3, 4]
    assert Watch().run(sweep("train.lr=1e-2,1e-1", folder=Path("whole"))) == outcome


@pytest.mark.skipif(sys.platform != "linux", reason="forks, so that torch is there")
def test_two_processes_share_a_sweep(sweep, fork):
    def work():
        Watch().run(sweep("seed=1,2,3,4"))

    assert [each.wait() for each in [fork(work), fork(work)]] == [0, 0]
    trials = saved()["trials"]
    assert [each["status"] for each in trials] == ["finished"] * 4
    assert [each["settings"]["seed"] for each in trials] == [1, 2, 3, 4]


def test_a_search_prunes_and_goes_on(sweep):
    pytest.importorskip("optuna", reason="Optuna, of the extra sweep, is not installed")
    axes = ["train.lr=log:1e-5..1", "model.cell.hidden_size=4..8"]
    first = Watch().run(sweep(*axes, search="optuna", trials=4))
    outcome = Watch().run(sweep(*axes, search="optuna", trials=12))
    assert outcome.trials[:4] == first.trials
    assert len(outcome.trials) == 12
    assert {each.status for each in outcome.trials} == {"finished", "pruned"}
    best, *_ = outcome.ranked()
    assert best.value == min(each.value for each in outcome.trials if each.status == "finished")
    alone = Watch().run(sweep(*axes, search="optuna", trials=5, folder=Path("alone")))
    assert alone.trials == outcome.trials[:5]


def test_what_is_refused_before_a_trial_runs(sweep, place):
    before = place.files()
    for axes, kind, said in [
        (["train.lr=1,-1"], RecipeError, "--set train.lr=-1: train.lr: must be greater than 0"),
        (["train.lrr=1"], RecipeError, "--set train.lrr=1: train.lrr: not an option"),
        (["seed=1..3"], UsageError, "a range needs --search optuna; a grid needs values: 1,3"),
        ([f"seed={','.join(map(str, range(1001)))}"], UsageError, "at most 1,000 trials, but"),
    ]:
        with pytest.raises(kind, match=said):
            sweep(*axes).check()
    assert place.files() == before


def test_what_is_in_the_folder_is_not_touched(sweep, place):
    place.write("sweep/notes.txt", "mine")
    with pytest.raises(SetupError, match="sweep: not empty and not a sweep; choose another"):
        Watch().run(sweep("seed=1"))
    other = Path("other")
    Watch().run(sweep("seed=1", folder=other))
    for job, what in [
        (sweep("train.lr=1", folder=other), "keys"),
        (sweep("seed=1", overrides=["train.lr=1"], folder=other), "recipe"),
    ]:
        with pytest.raises(CheckpointError, match=f"other: has a sweep with another `{what}`"):
            Watch().run(job)
    damaged = {**json.loads((other / "sweep.json").read_text()), "trials": [{"number": -1}]}
    place.write("other/sweep.json", json.dumps(damaged))
    with pytest.raises(CheckpointError, match="damaged"):
        Watch().run(sweep("seed=1", folder=other))
