"""The verb sweep: what it prints and what it refuses."""

import json

import pytest

TINY = "train.max_steps=2", "samples.length=2", "train.validate_every=2"


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, "tiny.yaml", "--set KEY=V1,V2 is missing: what to try"),
        (
            2,
            "tiny.yaml --set train.lr=1 --trials 3",
            "--trials goes with --search optuna; a grid …",
        ),
        (2, "tiny.yaml --set train.lr=1..2", "--set train.lr: a range needs --search optuna…"),
        (3, "tiny.yaml --set train.lrr=1", "--set train.lrr=1: train.lrr: not an option of…"),
        (3, "nowhere --set train.lr=1", "nowhere: no such recipe…"),
    ],
)
def test_it_refuses(code, words, said, refused, place):
    refused(code, f"sweep {words}", said)


def test_it_is_not_for_torchrun(refused, monkeypatch, place):
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(2, "sweep tiny.yaml --set train.lr=1", "a sweep is not for torchrun: …")


def test_a_sweep_ends_in_a_table_and_a_chart(output, place):
    words = ["sweep", "tiny.yaml", *TINY, "--set", "train.lr=1e-2,1e-1"]
    said = output(*words).splitlines()
    assert said[0] == "trial-0000  train.lr=0.01"
    assert said[1].split()[0] == "finished"
    assert said[4].split() == ["trial", "lr", "nats_per_token", "status"]
    assert sorted(line.split()[0] for line in said[6:8]) == ["trial-0000", "trial-0001"]
    assert said[-1] == "chart: runs/sweep/tiny/sweep.png   trials: runs/sweep/tiny/sweep.json"
    found = json.loads(output(*words, "--json"))
    assert [each["status"] for each in found["trials"]] == ["finished"] * 2
    assert (place.folder / "runs/sweep/tiny/trial-0001/report.html").exists()


def test_it_fails_where_all_trials_do(command, place):
    ended = command("sweep", "tiny.yaml", "--set", "data.window=100000")
    assert ended.code == 7
    assert ended.err.startswith("runs/sweep/tiny: all trials failed; trial-0000: text.txt: ")
