import math
import os

import pytest

from seqgen.errors import CheckpointError
from seqgen.reports.run_files import Figures, RunFiles, read_run


def test_a_finished_run(write_run):
    run = read_run(write_run())
    assert (run.name, run.finished, list(run.remarks)) == ("char_lstm", True, [])
    assert (len(run.train), len(run.valid), len(run.samples)) == (39, 3, 2)
    assert run.result.test.measures == {
        "nats_per_token": 1.53,
        "perplexity": 4.4,
        "bits_per_char": 2.1,
        "accuracy": 0.5,
    }


def test_a_finished_run_with_sources(write_judged):
    run = read_run(write_judged())
    assert list(run.remarks) == []
    assert [answer.wrong for answer in run.answers] == [True, False, True]
    assert run.attention[0].weights[0] == [0.75, 0.25]
    assert run.manifest.remarks == ["train.tsv: 2 rows left out"]


def test_an_empty_directory(tmp_path):
    run = read_run(tmp_path)
    assert run.name == tmp_path.name
    missing = ("recipe.yaml", "manifest.json", "metrics.jsonl", "result.json")
    assert list(run.remarks) == [f"{name} is missing" for name in missing]
    assert not run.finished


def test_no_directory(tmp_path):
    with pytest.raises(CheckpointError, match="no such run directory"):
        read_run(tmp_path / "absent")


@pytest.mark.parametrize(
    ("lines", "steps", "remark"),
    [
        (
            '{"event": "train", "step": 1, "loss": 2}\n{"event": "tr',
            [1],
            "the last line of metrics.jsonl is cut, and left out",
        ),
        (
            # Events without a step, or of another kind, are passed over.
            '{"eve\n[1]\nnull\n{"event": "train"}\n{"event": "x", "step": 1}\n'
            + "[" * 99999
            + '\n{"event": "train", "step": 1, "loss": "x"}\n{}',
            [],
            "5 lines of metrics.jsonl are damaged, and left out",
        ),
    ],
)
def test_damaged_lines_are_left_out(write_run, lines, steps, remark):
    run = read_run(write_run(metrics=lines))
    assert [event.step for event in run.train] == steps
    assert list(run.remarks) == [remark]


def test_what_was_redone_after_a_resume_counts_once(write_run):
    events = [
        *({"event": "train", "step": step, "loss": 9.0} for step in (1, 2, 3, 4)),
        {"event": "valid", "step": 4, "nats_per_token": 9.0},
        {"event": "resume", "step": 2},
        {"event": "train", "step": 3, "loss": 1.0},
    ]
    run = read_run(write_run(metrics=events))
    assert [(event.step, event.loss) for event in run.train] == [(1, 9), (2, 9), (3, 1)]
    assert run.valid == ()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", "null", '"text"', "7", "1" * 5000, "[" * 9999]
)
@pytest.mark.parametrize(
    ("name", "empty"),
    [
        ("manifest", ("{}",)),
        ("result", ("{}",)),
        ("samples", ("[]",)),
        ("answers", ("[]",)),
        ("attention", ("[]",)),
    ],
)
def test_a_damaged_file_costs_itself_and_a_remark(write_judged, content, name, empty):
    run = read_run(write_judged(**{name: content}))
    remarks = [remark for remark in run.remarks if remark.startswith(f"{name}.json is ")]
    assert len(remarks) == (content not in empty)
    assert not run.manifest.command or name != "manifest"
    assert not run.result.test or name != "result"
    assert not getattr(run, name) or name in {"manifest", "result"}


def test_a_recipe_that_is_no_utf_8(write_run):
    folder = write_run()
    (folder / "recipe.yaml").write_bytes(b"name: \xff")
    assert read_run(folder).recipe == "name: \ufffd"


def test_a_directory_in_place_of_a_file(write_run):
    folder = write_run(recipe=None)
    (folder / "recipe.yaml").mkdir()
    assert "recipe.yaml cannot be read" in read_run(folder).remarks[0]


@pytest.mark.parametrize("name", ["recipe.yaml", "metrics.jsonl", "result.json", "answers.json"])
def test_what_is_endless_or_huge_is_not_read(write_judged, name):
    folder = write_judged()
    for make, fault in (
        (os.mkfifo, "this is not a regular file; a file is needed"),
        (lambda path: path.symlink_to("/dev/zero"), "this is not a regular file; a file is needed"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
        (lambda path: [path.touch(), os.truncate(path, 1 << 40)], "larger than 1024 MiB; a file"),
    ):
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
        assert f"{name} cannot be read ({fault}" in read_run(folder).remarks[0]


def test_answers_that_metrics_were_measured_of_are_missed(write_judged):
    run = read_run(write_judged(answers=None, attention=None))
    assert list(run.remarks) == ["answers.json is missing"]


def test_damaged_entries_are_counted(write_judged):
    answer = {"source": "a", "output": "", "references": ["b"], "score": None}
    no_answers = [7, {}, {**answer, "references": []}, {**answer, "output": None}]
    no_answers += [{**answer, "references": ["b", 3]}]
    shown = {"source": ["a", "b"], "output": ["c"], "weights": [[0.5, 0.5]]}
    weights = [[[0.5]], [[0.5, 0.5], [1, 0]], [[0.5, math.nan]], [[0.5, "x"]], [[-1, 2]], "x"]
    no_maps = [7, *({**shown, "weights": each} for each in weights)]
    no_maps += [{"source": [], "output": [], "weights": []}]
    run = read_run(write_judged(answers=[answer, *no_answers], attention=[shown, no_maps[0]]))
    assert [each.references for each in run.answers] == [("b",)]
    assert list(run.remarks) == [
        "damaged entries of answers.json left out: 5",
        "damaged entry of attention.json left out: 1",
    ]


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
    events = [
        Figures(step=step, nats_per_token=loss, best=mark)
        for step, (loss, mark) in enumerate(zip(losses, marks, strict=True), start=1)
    ]
    assert RunFiles("run", valid=tuple(events)).best_step == best
