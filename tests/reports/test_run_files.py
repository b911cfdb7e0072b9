import os
from collections.abc import Callable
from pathlib import Path

import pytest

from seqgen.errors import CheckpointError
from seqgen.reports.run_files import read_run

Writer = Callable[..., Path]


def test_a_finished_run(write_run: Writer) -> None:
    run = read_run(write_run())
    assert run.name == "char_lstm"
    assert run.remarks == ()
    assert (len(run.train), len(run.valid), len(run.samples)) == (39, 3, 2)


def test_an_empty_directory(tmp_path: Path) -> None:
    run = read_run(tmp_path)
    assert run.name == tmp_path.name
    missing = ("recipe.yaml", "manifest.json", "metrics.jsonl", "result.json")
    assert run.remarks == tuple(f"{name} is missing" for name in missing)


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such run directory"):
        read_run(tmp_path / "absent")


def test_a_cut_last_line_is_left_out(write_run: Writer) -> None:
    run = read_run(write_run(metrics='{"event": "train", "step": 1, "loss": 2}\n{"event": "tr'))
    assert [record["step"] for record in run.train] == [1]
    assert run.remarks == ("the last line of metrics.jsonl is cut, and left out",)


def test_foreign_and_damaged_lines_are_left_out(write_run: Writer) -> None:
    lines = (
        '{"eve\n[1]\nnull\n{"event": "train"}\n{"event": "x", "step": 1}\n' + "[" * 99999 + "\n{}"
    )
    run = read_run(write_run(metrics=lines))
    assert run.train == run.valid == ()
    assert run.remarks == ("2 lines of metrics.jsonl are damaged, and left out",)


def test_what_was_done_again_after_a_resume_counts_once(write_run: Writer) -> None:
    events = [
        *({"event": "train", "step": step, "loss": 9.0} for step in (1, 2, 3, 4)),
        {"event": "valid", "step": 4, "nats_per_token": 9.0},
        {"event": "resume", "step": 2},
        {"event": "train", "step": 3, "loss": 1.0},
    ]
    run = read_run(write_run(metrics=events))
    assert [(record["step"], record["loss"]) for record in run.train] == [(1, 9), (2, 9), (3, 1)]
    assert run.valid == ()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "\x00", "1" * 5000])
def test_json_of_any_other_kind_is_as_good_as_none(write_run: Writer, content: str) -> None:
    run = read_run(write_run(manifest=content, result=content, samples=content))
    assert run.manifest == run.result == {}
    assert run.samples == ()


def test_a_recipe_that_is_no_utf_8(write_run: Writer) -> None:
    folder = write_run()
    (folder / "recipe.yaml").write_bytes(b"name: \xff")
    assert read_run(folder).recipe == "name: \ufffd"


def test_a_directory_in_place_of_a_file(write_run: Writer) -> None:
    folder = write_run(recipe=None)
    (folder / "recipe.yaml").mkdir()
    assert "recipe.yaml cannot be read" in read_run(folder).remarks[0]


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.jsonl", "result.json", "answers.json"])
def test_what_is_endless_or_huge_is_not_read(write_judged: Writer, name: str) -> None:
    folder = write_judged()
    for make, fault in (
        (os.mkfifo, "this is not a regular file; a file is needed"),
        (lambda path: path.symlink_to("/dev/zero"), "this is not a regular file; a file is needed"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: [path.touch(), os.truncate(path, 1 << 40)], "larger than 1024 MiB; a file"),
    ):
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
        remarks = read_run(folder).remarks
        assert f"{name} cannot be read ({fault}" in remarks[0]


def test_a_finished_run_with_sources(write_judged: Writer) -> None:
    run = read_run(write_judged())
    assert run.remarks == ()
    assert [answer.wrong for answer in run.answers] == [True, False, True]
    assert run.attention[0].weights[0] == [0.75, 0.25]


def test_answers_that_metrics_were_measured_of_are_missed(write_judged: Writer) -> None:
    run = read_run(write_judged(answers=None, attention=None))
    assert run.remarks == ("answers.json is missing",)


@pytest.mark.parametrize("content", ["", "{", "{}", "null", "7", "[" * 99999])
def test_damaged_answers_and_attention_are_remarked_on(write_judged: Writer, content: str) -> None:
    run = read_run(write_judged(answers=content, attention=content))
    assert run.answers == run.attention == ()
    assert [remark.split()[0] for remark in run.remarks] == ["answers.json", "attention.json"]


def test_damaged_entries_are_counted(write_judged: Writer) -> None:
    good = {"source": "a", "output": "", "references": ["b", 3], "score": None}
    bad = [7, {}, {**good, "references": []}, {**good, "output": None}]
    run = read_run(write_judged(answers=[good, *bad], attention=[{"source": ["a"]}]))
    assert [answer.references for answer in run.answers] == [("b",)]
    assert run.remarks == (
        "damaged entries of answers.json left out: 4",
        "damaged entry of attention.json left out: 1",
    )
