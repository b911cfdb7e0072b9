import math
import os

import pytest

from seqgen.errors import CheckpointError
from seqgen.reports.run_files import Figures, RunFiles, read_run


def test_a_finished_run(write_run):
    run = read_run(write_run())
    assert (run.name, run.finished, list(run.remarks)) == ("char_lstm", True, [])
    assert (len(run.train), len(run.valid), len(run.samples)) == (3, 4, 4)
    assert run.result.test.measures["perplexity"] == 4.4
    assert [answer.wrong for answer in run.answers] == [True, False, True]
    assert run.attention[0].weights[0] == [0.75, 0.25]
    assert run.manifest.remarks == ["train.tsv: 2 rows left out"]


def test_an_empty_directory_and_none(tmp_path):
    run = read_run(tmp_path)
    assert (run.name, run.finished) == (tmp_path.name, False)
    missing = ("recipe.yaml", "manifest.json", "metrics.jsonl", "result.json")
    assert list(run.remarks) == [f"{name} is missing" for name in missing]
    with pytest.raises(CheckpointError, match="no such run directory"):
        read_run(tmp_path / "absent")


# Events without a step, or of another kind, are passed over.
DAMAGED = ('{"eve', "[1]", "null", '{"event": "train"}', '{"event": "x", "step": 1}', "[" * 99999)


@pytest.mark.parametrize(
    ("lines", "steps", "remark"),
    [
        (['{"event": "train", "step": 1}', '{"event": "tr'], [1], "the last line of {} is cut"),
        (
            [*DAMAGED, '{"event": "train", "step": 1, "loss": "x"}', "{}"],
            [],
            "5 lines of {} are damaged",
        ),
    ],
)
def test_damaged_lines_are_left_out(write_run, lines, steps, remark):
    run = read_run(write_run(metrics="\n".join(lines)))
    assert [event.step for event in run.train] == steps
    assert list(run.remarks) == [f"{remark.format('metrics.jsonl')}, and left out"]


def test_what_was_redone_after_a_resume_counts_once(write_run):
    events = [{"event": "train", "step": step, "loss": 9.0} for step in (1, 2, 3, 4)]
    events += [{"event": "valid", "step": 4}, {"event": "resume", "step": 2}]
    run = read_run(write_run(metrics=[*events, {"event": "train", "step": 3, "loss": 1.0}]))
    assert [(event.step, event.loss) for event in run.train] == [(1, 9), (2, 9), (3, 1)]
    assert run.valid == ()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", "null", '"text"', "\x00", "7", "1" * 5000, "[" * 9999]
)
@pytest.mark.parametrize("name", ["manifest", "result", "samples", "answers", "attention"])
def test_a_damaged_file_costs_itself_and_a_remark(write_run, content, name):
    run = read_run(write_run(**{name: content}))
    is_object = name in {"manifest", "result"}
    remarks = [remark for remark in run.remarks if remark.startswith(f"{name}.json is ")]
    assert len(remarks) == (content != ("{}" if is_object else "[]"))
    part = getattr(run, name)
    assert part == type(part)()


def test_texts_that_cannot_be_read_as_such(write_run):
    folder = write_run()
    (folder / "recipe.yaml").write_bytes(b"name: \xff")
    assert read_run(folder).recipe == "name: \ufffd"
    (folder / "recipe.yaml").unlink()
    (folder / "recipe.yaml").mkdir()
    assert "recipe.yaml cannot be read" in read_run(folder).remarks[0]


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.jsonl", "result.json", "answers.json"])
def test_what_is_endless_or_huge_is_not_read(write_run, name):
    path = write_run() / name
    for make, fault in (
        (os.mkfifo, "this is not a regular file; a file is needed"),
        (lambda path: path.symlink_to("/dev/zero"), "this is not a regular file; a file is needed"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: [path.touch(), os.truncate(path, 1 << 40)], "larger than 1024 MiB; a file"),
    ):
        path.unlink(missing_ok=True)
        make(path)
        assert f"{name} cannot be read ({fault}" in read_run(path.parent).remarks[0]


def test_answers_that_metrics_were_measured_of_are_missed(write_run):
    run = read_run(write_run(answers=None, attention=None, samples=None))
    assert list(run.remarks) == ["answers.json is missing"]


def test_damaged_entries_are_counted(write_run):
    answer = {"source": "a", "output": "", "references": ["b"], "score": None}
    faults = [{"references": []}, {"output": None}, {"references": ["b", 3]}]
    answers = [answer, 7, {}, *({**answer, **fault} for fault in faults)]
    run = read_run(write_run(answers=answers, attention=[{"source": ["a"]}]))
    assert [each.references for each in run.answers] == [("b",)]
    assert list(run.remarks) == [
        "damaged entries of answers.json left out: 5",
        "damaged entry of attention.json left out: 1",
    ]


@pytest.mark.parametrize(
    "weights", [[[0.5]], [[0.5, 0.5], [1, 0]], [[0.5, math.nan]], [[0.5, "x"]], [[-1, 2]], "x", []]
)
def test_weights_that_do_not_fit_their_tokens_are_damaged(write_run, weights):
    shown = {"source": ["a", "b"], "output": ["c"], "weights": [[0.5, 0.5]]}
    empty = {"source": [], "output": [], "weights": []}
    run = read_run(write_run(attention=[shown, {**shown, "weights": weights}, empty, 7]))
    assert (len(run.attention), run.remarks[0][-2:]) == (1, " 3")


@pytest.mark.parametrize(
    ("losses", "marks", "best"),
    [
        ([4.0, 3.0, 2.0], [True, True, False], 2),  # the last that the run called its best
        ([4.0, 3.0, 3.5], [False] * 3, 2),  # else the lowest
        ([math.nan, 3.0, None], [True, False, True], 2),
        ([], [], None),
    ],
)
def test_the_best_validation(losses, marks, best):
    figures = zip((1, 2, 3), losses, marks, strict=False)
    events = [Figures(step=step, nats_per_token=loss, best=mark) for step, loss, mark in figures]
    assert RunFiles("run", valid=tuple(events)).best_step == best
