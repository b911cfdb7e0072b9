"""Run directories: what lies in one is never believed or executed, and named when it is wrong."""

import json
import pickle
import shutil

import pytest
from disk import Trap


def needed(run):
    """The files of a run that a verb reads to generate."""
    files = [path for path in run.rglob("*") if path.is_file()]
    kinds = ("recipe.yaml", "manifest.json", "tokenizer", "checkpoints")
    found = [each.relative_to(run) for each in files]
    return sorted(each for each in found if each.parts[0] in kinds)


def read_by(run):
    path = next(iter(json.loads((run / "manifest.json").read_bytes())["data"]))
    again = ("run", "tiny.yaml", f"data.path={path}", "--out", run, "--resume")
    return {
        "generate": ("generate", run, "--prompt", "the", "--max-length", 1),
        "evaluate": ("evaluate", run),
        "resume": (*again, "train.max_steps=13"),
    }


DAMAGES = {
    "a pickle": lambda path, trap: path.write_bytes(pickle.dumps(Trap(trap))),
    "empty": lambda path, trap: path.write_bytes(b""),
    "half": lambda path, trap: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a list in a list": lambda path, trap: path.write_bytes(b"[" * 100_000),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_file_of_a_run_is_executed_or_believed(damage, copied_run, command, tmp_path, place):
    """Each verb reads what it must: damaged, that is code 5 (3 for the recipe) in one line."""
    trap = tmp_path / "sprung"
    verbs, files = read_by(copied_run), needed(copied_run)
    assert len(files) > 5
    for index, name in enumerate(files):
        whole = (copied_run / name).read_bytes()
        DAMAGES[damage](copied_run / name, trap)
        verb = list(verbs)[index % len(verbs)] if damage != "a pickle" else "generate"
        ended = command(*verbs[verb])
        lines = [each for each in ended.err.splitlines() if not each.startswith("warning: ")]
        assert not trap.exists(), name
        assert ended.code in (0, 3, 5), (name, verb, ended.err)
        if ended.code:
            assert len(lines) == 1, (name, ended.err)
        (copied_run / name).write_bytes(whole)


def manifest(run, **changed):
    path = run / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changed}))


def test_another_machine_is_a_warning_that_the_bytes_may_differ(copied_run, command, place):
    before = {"torch": "1.0.0", "precision": "bfloat16"}
    (copied_run / "result.json").unlink()
    manifest(copied_run, **before)
    ended = command(*read_by(copied_run)["resume"])
    assert ended.code == 0, ended.err
    for key, value in before.items():
        assert f"{key} was {value} and is " in ended.err
    assert "results will not be bitwise identical" in ended.err


def test_the_same_number_of_other_tokens_is_refused(copied_run, refused):
    [path] = (copied_run / "tokenizer").rglob("chars.json")
    chars = json.loads(path.read_bytes())
    path.write_text(json.dumps([*chars[:-1], "\U0001f600"]))
    for verb, words in read_by(copied_run).items():
        line = refused(5, "tokenizer", *words)
        assert str(copied_run) in line, verb


def test_a_missing_part_is_named_and_foreign_files_stay(copied_run, refused):
    (copied_run / "checkpoints" / "mine").mkdir()
    for path in (copied_run / "checkpoints").glob("step-*"):
        shutil.rmtree(path)
    for words in read_by(copied_run).values():
        refused(5, "checkpoints", *words)
    assert (copied_run / "checkpoints" / "mine").is_dir()
