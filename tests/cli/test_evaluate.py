"""The verb `evaluate`."""

import json

import pytest


def result(folder):
    return json.loads((folder / "result.json").read_bytes())


@pytest.mark.parametrize(("words", "split"), [([], "test"), (["--split", "valid"], "valid")])
def test_the_figures_are_those_of_the_run(words, split, command, finished_run):
    ended = command("evaluate", finished_run, *words, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == result(finished_run)[split]


def test_for_reading(command, finished_run):
    ended = command("evaluate", finished_run)
    figures = dict(line.split() for line in ended.out.splitlines())
    wanted = result(finished_run)["test"]
    assert figures.keys() == wanted.keys()
    assert {key: float(each) for key, each in figures.items()} == pytest.approx(wanted, rel=1e-5)


def test_another_text(command, finished_run, place):
    place.write("other.txt", "the cat sat on a mat " * 300)
    ended = command("evaluate", finished_run, "data.path=other.txt", "--json")
    assert (ended.code, ended.err) == (0, "")
    figures = json.loads(ended.out)
    assert figures != result(finished_run)["test"]
    assert figures["tokens"] == 630
    assert figures["unknown"] == 0


def test_characters_that_the_model_does_not_know_are_counted(command, finished_run, place):
    place.write("other.txt", "日本 " * 2000)
    figures = json.loads(command("evaluate", finished_run, "data.path=other.txt", "--json").out)
    assert figures["unknown"] == figures["tokens"] * 2 / 3


def test_the_run_may_be_evaluated_while_its_data_has_changed(command, copied_run, place):
    manifest = json.loads((copied_run / "manifest.json").read_bytes())
    [path] = manifest["data"]
    text = (copied_run / "recipe.yaml").read_text(encoding="utf-8")
    (copied_run / "recipe.yaml").write_text(text.replace(path, "text.txt"), encoding="utf-8")
    content = (place.folder / "text.txt").read_text(encoding="utf-8")
    place.write("text.txt", content.replace("cat", "tac"))
    ended = command("evaluate", copied_run)
    assert ended.code == 0
    assert ended.err == "warning: the data is not what this run was trained on\n"


@pytest.mark.parametrize(
    ("code", "words", "told"),
    [
        (4, ["data.path=none.txt"], "none.txt: cannot be read: No such file or directory"),
        (4, ["data.split=[1, 0, 0]"], "the data has no split 'test'"),
        (3, ["data.pth=x"], "override data.pth=x: data.pth: not an option of data kind 'text'"),
        (3, ["data.path"], "override data.path: must be of the form key=value"),
        (5, ["model.cell.hidden_size=8"], "model.safetensors: cannot be loaded: "),
    ],
)
def test_what_is_wrong_is_named(code, words, told, refusal, finished_run):
    assert told in refusal(code, "evaluate", finished_run, *words)


def test_a_split_that_is_none(command, finished_run):
    ended = command("evaluate", finished_run, "--split", "train")
    assert ended.code == 2
    assert "'train' is not one of 'valid', 'test'" in ended.err


def test_no_run(refusal):
    assert refusal(5, "evaluate", "nowhere").startswith("nowhere: no run here")
