"""Trials: how axes are written, and how trials are listed and drawn."""

import pytest

from seqgen.errors import RecipeError
from seqgen.sweeps import Outcome, Trial, read_axis, table, write_charts
from seqgen.sweeps.trials import Range

AXES = {
    "train.lr=1e-3,3e-3": (0.001, 0.003),
    "train.lr=1": (1,),
    "model.cell=lstm,{name: gru, layers: 2}": ("lstm", {"name": "gru", "layers": 2}),
    "train.clip_norm=null,1": (None, 1),
    "seed=1..5": Range(1, 5, False),
    "model.dropout=0.0..0.5": Range(0.0, 0.5, False),
    "train.lr=log:1e-4..1e-2": Range(1e-4, 1e-2, True),
    "model.cell.hidden_size=log:16..512": Range(16, 512, True),
    "data.path=../text.txt": ("../text.txt",),
    "a.b=1..": ("1..",),
}
REFUSED = {
    "train.lr": "must be of the form key=value,value or key=low..high",
    "train.lr=": "must be of the form",
    "=1": "must be of the form",
    "train.lr=3..1": "must be of two numbers, the lower first",
    "train.lr=1..1": "must be of two numbers, the lower first",
    "train.lr=a..b": "must be of two numbers",
    "train.lr=log:0..1": "must be of two numbers above 0, the lower first",
    "train.lr=[1": "--set train.lr=[1: ",
}


@pytest.mark.parametrize("text", AXES)
def test_values_of_a_key(text):
    key, axis = read_axis(text)
    assert (key, axis) == (text.partition("=")[0], AXES[text])
    assert [type(each) for each in axis] == [type(each) for each in AXES[text]]


def test_a_range_is_of_integers_if_both_ends_are():
    assert read_axis("a=1..5")[1].whole
    assert not read_axis("a=1..5.0")[1].whole


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_axis(text):
    with pytest.raises(RecipeError) as caught:
        read_axis(text)
    assert REFUSED[text] in str(caught.value)


def trial(number, rate, **more):
    return Trial(number, {"train.lr": rate, "model.cell": "lstm" if number % 2 else "gru"}, **more)


TRIALS = (
    trial(0, 0.1, status="finished", value=2.0, figure=2.0, validations=(3.0, 2.0)),
    trial(1, 0.001, status="failed", reason="why"),
    trial(2, 0.01, status="finished", value=1.0, figure=1.0, validations=(1.0,)),
    trial(3, 1.0, status="pruned", value=0.5, figure=0.5, validations=(0.5,)),
)


def test_the_table_has_the_best_first():
    titles, rows = table(Outcome("nats_per_token", TRIALS))
    assert titles == ["trial", "lr", "cell", "nats_per_token", "status"]
    assert [row[0] for row in rows] == ["trial-0002", "trial-0000", "trial-0003", "trial-0001"]
    assert rows[0] == ["trial-0002", "0.01", "gru", "1.000", "finished"]
    assert rows[-1][-1] == "failed"


@pytest.mark.parametrize("count", [4, 1, 0])
def test_a_chart_of_any_trials(count, tmp_path):
    write_charts(Outcome("nats_per_token", TRIALS[:count]), tmp_path)
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "sweep.pdf").read_bytes().startswith(b"%PDF")
