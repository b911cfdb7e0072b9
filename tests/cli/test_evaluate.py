"""The verb `evaluate`: the figures of the run again, or those of another text."""

import json

import pytest


def result(folder):
    return json.loads((folder / "result.json").read_bytes())


@pytest.mark.parametrize("split", ["valid", "test"])
def test_the_figures_are_those_of_the_run(command, finished_run, split):
    ended = command("evaluate", finished_run, "--split", split, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == result(finished_run)[split]


def test_lines_for_reading(command, finished_run):
    ended = command("evaluate", finished_run)
    assert ended.code == 0
    rows = dict(line.split() for line in ended.out.splitlines())
    assert list(rows) == list(result(finished_run)["test"])
    assert float(rows["bits_per_char"]) == pytest.approx(
        result(finished_run)["test"]["bits_per_char"], rel=1e-5
    )


def test_another_text(command, finished_run, place):
    place.write("other.txt", "the cat sat on a mat? " * 30)
    ended = command("evaluate", finished_run, "data.path=other.txt", "--json")
    assert (ended.code, ended.err) == (0, "")
    figures = json.loads(ended.out)
    assert figures["tokens"] == 66
    assert figures["unknown"] == 3


def test_a_text_that_has_changed_is_said(command, place):
    command("run", "tiny.yaml", "train.max_steps=1")
    place.write("text.txt", "the cat sat on a mat " * 300)
    ended = command("evaluate", "runs/tiny", "--json")
    assert ended.code == 0
    assert ended.err == "warning: the data is not what this run was trained on\n"
    assert json.loads(ended.out)["tokens"] == 630


@pytest.mark.parametrize(
    ("code", "words", "part"),
    [
        (4, ["data.path=nowhere.txt"], "nowhere.txt: cannot be read"),
        (3, ["data.pth=x"], "override data.pth=x: "),
        (3, ["model.cell.name=lsmt"], "did you mean 'lstm'?"),
        (4, ["data.split=[1, 0, 0]"], "has no split 'test'"),
        (3, ["--device", "tpu"], "tpu"),
        (5, ["model.cell.hidden_size=17"], "checkpoints"),
    ],
    ids=str,
)
def test_refusals(refusal, finished_run, code, words, part):
    assert part in refusal(code, "evaluate", finished_run, *words)


def test_no_run_there(refusal):
    assert refusal(5, "evaluate", ".").startswith(".: no run here")
