"""The run directory: its manifest, who may write there, and what may be removed."""

import hashlib
import json
import os
import platform
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from seqgen.build import build, build_data, fit_tokenizers
from seqgen.errors import CheckpointError, SetupError
from seqgen.files import write_file
from seqgen.run import load_recipe
from seqgen.run_directory import RunDirectory, manifest
from seqgen.version import __version__


def test_the_manifest(finished_run):
    written = json.loads((finished_run / "manifest.json").read_bytes())
    result = json.loads((finished_run / "result.json").read_bytes())
    [(path, digest)] = written.pop("data").items()
    content = Path(path).read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    parts = [written[f"{name}_tokens"] for name in ("train", "valid", "test")]
    assert sum(parts) == len(content.decode())
    expected = {
        **{"recipe": "tiny", "seed": 1, "budget": "12 steps", "device": "cpu", "threads": 1},
        **{"precision": "float32", "parameters": result["parameters"], "train_chars": parts[0]},
        **{"vocab_size": len(set(content.decode())) + 4, "seqgen": __version__},
        **{"python": platform.python_version(), "torch": torch.__version__},
    }
    assert expected.items() <= written.items()
    assert written["command"]
    assert {"numpy", "platform", "started"} <= written.keys()


@pytest.mark.usefixtures("place")
def test_several_budgets_are_one_sentence():
    budgets = ["train.max_epochs=1.5", "train.max_seconds=1e4", "train.max_steps=1"]
    recipe, file = load_recipe("tiny.yaml", budgets)
    data = build_data(recipe)
    tokenizers = fit_tokenizers(recipe, data)
    built = build(recipe, data, tokenizers)
    budget = manifest(built, data.encode(tokenizers), file, ["seqgen"])["budget"]
    assert budget == "1 steps or 1.5 epochs or 10000 seconds, whichever comes first"


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "runs" / "one")


RECORD = {"seqgen": "0.1.0", "data": {}, "tokenizer_files": {"text": ["chars.json"]}}
UNFINISHED = [  # temporary files, which nobody misses
    *(".report.html.12.tmp", ".metrics.jsonl.tmp", "tokenizer/text/.chars.json.12.tmp"),
    *("checkpoints/.best", "checkpoints/.last.12.tmp"),
    "checkpoints/.writing-step-00000008/.tmpAbC",
]
OWN = [
    *("result.json", "samples.txt", "loss.pdf", "tokenizer/text/chars.json", "checkpoints/last"),
    *("checkpoints/step-00000004/model.safetensors", "checkpoints/step-00000004/checksums.json"),
    *UNFINISHED,
]
FOREIGN = [
    *("thesis.tex", ".git/HEAD", ".notes.tmp", "recipe.yml", "compare/compare.json"),
    *("tokenizer/README", "tokenizer/text/mine.json", "tokenizer/text/.mine.tmp"),
    *("tokenizer/other/chars.json", "tokenizer/text/deep/chars.json"),
    *("checkpoints/notes.txt", "checkpoints/step-1/mine", "checkpoints/step-00000004/mine"),
    *("checkpoints/step-00000004/model.safetensors.bak", "checkpoints/step-00000004/x/y"),
]


def make(directory, *names):
    for name in names:
        path = directory.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")


def begin(directory, *names):
    directory.folder.mkdir(parents=True)
    directory.write_json(directory.manifest, RECORD)
    write_file(directory.recipe, "data: {}\n")
    make(directory, *names)
    return directory


def names(directory):
    paths = directory.folder.rglob("*")
    return {str(path.relative_to(directory.folder)) for path in paths if not path.is_dir()}


def refusal(directory, resume=False, overwrite=False, error=SetupError):
    with pytest.raises(error) as caught:
        directory.check_free(resume=resume, overwrite=overwrite)
    return str(caught.value)


class TestWhetherItIsFree:
    @pytest.mark.parametrize("how", ["resume", "overwrite", ""])
    @pytest.mark.parametrize("left", [".lock", ".recipe.yaml.7.tmp", "manifest.json"])
    def test_after_a_run_that_was_killed_before_it_wrote_a_recipe(self, how, left, directory):
        (directory.folder / "tokenizer").mkdir(parents=True)
        directory.write_json(directory.folder / left, RECORD)
        options = {"resume": how == "resume", "overwrite": how == "overwrite"}
        directory.check_free(**options)
        if left == "manifest.json":
            make(directory, "tokenizer/text/chars.json")
            directory.check_free(**options)

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_where_there_is_nothing(self, overwrite, directory):
        directory.check_free(resume=False, overwrite=overwrite)
        assert not directory.folder.exists()

    def test_a_missing_run_cannot_be_resumed(self, directory):
        missing = RunDirectory(directory.folder.with_name("zzz"))
        begin(directory)
        line = refusal(missing, resume=True, error=CheckpointError)
        wanted = "no run here (there is no recipe.yaml in it); there are"
        assert line == f"{missing.folder}: {wanted} {directory.folder}"
        assert not missing.folder.exists()

    def test_a_run_must_be_resumed_or_overwritten(self, directory):
        ways = "--resume it, --overwrite it, or choose another --out"
        line = refusal(begin(directory))
        assert line == f"{directory.folder}: has a run already; {ways}"
        directory.check_free(resume=True, overwrite=False)
        directory.check_free(resume=False, overwrite=True)

    @pytest.mark.parametrize("name", ["recipe.yaml", *OWN, *FOREIGN])
    def test_a_folder_without_a_run_is_never_touched(self, name, directory):
        make(directory, name)
        if name in UNFINISHED and "text/" not in name:
            return
        for overwrite in (False, True):
            line = refusal(directory, overwrite=overwrite)
            assert "not empty and not a run; choose another with --out" in line
        line = refusal(directory, resume=True, error=CheckpointError)
        assert re.search(r"no run here|manifest\.json: the file is missing", line)
        assert names(directory) == {name}

    @pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}", '{"seqgen": 3}', "[" * 99999])
    def test_a_folder_with_another_manifest_is_no_run(self, content, directory):
        begin(directory).manifest.write_text(content)
        assert "not empty and not a run; choose" in refusal(directory, overwrite=True)
        assert "manifest.json: " in refusal(directory, resume=True, error=CheckpointError)

    def test_a_file_or_a_dangling_link(self, tmp_path):
        (tmp_path / "file").touch()
        (tmp_path / "link").symlink_to("nowhere")
        for name in ("file", "link"):
            assert "not a directory; choose" in refusal(RunDirectory(tmp_path / name))

    def test_a_name_that_no_folder_can_have(self, tmp_path):
        directory = RunDirectory(tmp_path / ("x" * 300))
        assert not directory.exists()
        assert "File name too long" in refusal(directory)
        with pytest.raises(CheckpointError, match="no run here"):
            directory.require()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_folder_that_may_not_be_read(self, directory):
        begin(directory).folder.chmod(0)
        assert "Permission denied" in refusal(directory)
        directory.folder.chmod(0o700)


class TestClearing:
    def test_all_files_of_a_run_go_except_the_lock(self, directory):
        begin(directory, *OWN).check_free(resume=False, overwrite=True)
        with directory.locked():
            directory.clear()
            assert [path.name for path in directory.folder.iterdir()] == [".lock"]

    @pytest.mark.parametrize("name", FOREIGN)
    def test_nothing_goes_where_there_is_something_else(self, name, directory):
        before = names(begin(directory, *OWN, name))
        line = refusal(directory, overwrite=True)
        [found] = re.findall("holds what no run wrote: (.*); move it away", line)
        assert f"{name}/".startswith(found.split(", ")[0] + "/")
        with pytest.raises(SetupError, match="holds what no run wrote"):
            directory.clear()
        assert names(directory) == before
        directory.check_free(resume=True, overwrite=False)
        with directory.locked():
            assert name in names(directory)

    def test_many_foreign_files_are_a_few_names(self, directory):
        begin(directory, *(f"{letter}.txt" for letter in "abcdefg"))
        assert ": a.txt, b.txt, c.txt, d.txt and 3 more; move" in refusal(directory, overwrite=True)

    def test_a_manifest_of_an_earlier_version_lists_no_files_of_tokenizers(self, directory):
        begin(directory, "tokenizer/text/any.model")
        directory.write_json(directory.manifest, {"seqgen": "0.1.0"})
        directory.check_free(resume=False, overwrite=True)
        directory.clear()
        assert names(directory) == set()

    def test_what_makes_it_a_run_goes_last(self, directory, monkeypatch):
        begin(directory, *OWN)
        monkeypatch.setattr("pathlib.Path.unlink", lambda path, missing_ok: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            directory.clear()
        assert directory.exists()
        assert directory.record() == RECORD


class TestLinks:
    """Nothing is written through one, wherever it is."""

    @pytest.mark.parametrize("name", [".lock", "metrics.jsonl", *OWN])
    @pytest.mark.parametrize("how", ["file", "folder", "nowhere", "pipe"])
    def test_in_place_of_a_file(self, name, how, directory, tmp_path):
        begin(directory, "checkpoints/step-00000004/training.json")
        foreign = tmp_path / "foreign"
        foreign.mkdir()
        (foreign / "mine").write_text("mine")
        path = directory.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if how == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(foreign / {"file": "mine", "folder": "", "nowhere": "new"}[how])
        what = "not a regular file" if how == "pipe" else "a link"
        expected = f"{path}: this is {what}, where a run has a file"
        assert refusal(directory, resume=True, error=CheckpointError) == expected
        with pytest.raises(CheckpointError) as caught, directory.locked():
            pytest.fail("it is in")
        assert str(caught.value) == expected
        assert [path.name for path in foreign.iterdir()] == ["mine"]
        assert (foreign / "mine").read_text() == "mine"

    @pytest.mark.parametrize("name", ["tokenizer", "checkpoints", "tokenizer/text"])
    def test_in_place_of_a_folder(self, name, directory, tmp_path):
        path = begin(directory).folder / name
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(tmp_path)
        line = refusal(directory, resume=True, error=CheckpointError)
        assert "this is a link, where a run has a folder" in line

    def test_a_folder_in_place_of_a_file_is_refused_at_the_start(self, directory):
        (begin(directory).folder / "report.html").mkdir()
        line = refusal(directory, resume=True, error=CheckpointError)
        assert "html: this is a folder, where a run has a file" in line

    def test_the_folder_itself_may_be_reached_by_one(self, directory, tmp_path):
        begin(directory)
        (tmp_path / "link").symlink_to(directory.folder)
        linked = RunDirectory(tmp_path / "link")
        with linked.locked():
            write_file(linked.result, "{}")
        assert directory.result.read_text() == "{}"


class TestTheLock:
    def test_a_second_one_is_refused(self, directory):
        with (
            directory.locked(),
            pytest.raises(SetupError, match="one: another run is writing here"),
            directory.locked(),
        ):
            pytest.fail("both are in")
        with directory.locked():
            assert (directory.folder / ".lock").exists()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process")
    def test_a_second_process_is_refused_and_a_killed_one_forgotten(self, directory, fork):
        reader, writer = os.pipe()

        def hold():
            with directory.locked():
                os.write(writer, b"in")
                time.sleep(600)

        process = fork(hold)
        assert os.read(reader, 2) == b"in"
        with pytest.raises(SetupError, match="another run is writing here"), directory.locked():
            pytest.fail("both are in")
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        with directory.locked():
            assert directory.folder.is_dir()

    def test_what_a_killed_process_was_writing_is_swept(self, directory):
        before = names(begin(directory, *OWN, *FOREIGN))
        with directory.locked():
            assert names(directory) == before - set(UNFINISHED) | {".lock"}

    def test_a_lock_that_is_hard_linked_to_another_file_is_not_emptied(self, directory, tmp_path):
        begin(directory)
        (tmp_path / "mine").write_text("mine")
        (directory.folder / ".lock").hardlink_to(tmp_path / "mine")
        with directory.locked():
            assert (tmp_path / "mine").read_text() == "mine"

    @pytest.mark.parametrize(
        ("path", "reason"), [("file", "not a directory"), ("file/one", "Not a directory")]
    )
    def test_where_no_folder_can_be(self, path, reason, tmp_path):
        (tmp_path / "file").touch()
        directory = RunDirectory(tmp_path / path)
        with pytest.raises(SetupError, match=f"{path}: .*{reason}"), directory.locked():
            pytest.fail("it is in")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_where_nothing_may_be_written(self, tmp_path):
        tmp_path.chmod(0o500)
        reason = "one: cannot be written: Permission denied"
        with pytest.raises(SetupError, match=reason), RunDirectory(tmp_path / "one").locked():
            pytest.fail("it is in")


class TestFiles:
    def test_json_comes_back_but_for_numbers_that_it_cannot_hold(self, directory):
        begin(directory)
        content = {"text": "é\u2028", "numbers": [1, 0.1, float("nan")], "tuple": (1, 2)}
        directory.write_json(directory.result, content)
        wanted = {"text": "é\u2028", "numbers": [1, 0.1, None], "tuple": [1, 2]}
        assert directory.read_json(directory.result) == wanted

    def test_the_old_file_stays_if_a_new_one_cannot_be_written(self, small_disk):
        small = RunDirectory(small_disk(64))
        write_file(small.result, "old")
        with pytest.raises(SetupError, match=r"result\.json: cannot be written: No space left"):
            write_file(small.result, "x" * 100_000)
        assert small.result.read_text() == "old"
        assert [path.name for path in small.folder.iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("runs", "; there are runs/char_lstm, runs/hangul"),
        ("runs/charlstm", "; did you mean 'char_lstm'? there are runs/char_lstm, runs/hangul"),
        ("char_lstm", "; did you mean 'char_lstm'? there are runs/char_lstm, runs/hangul"),
        ("runs/hangul/report.html", "; there are runs/hangul"),
        ("nowhere/at/all", "; there are runs/char_lstm, runs/hangul"),
        ("other", "; there are other/one"),
        ("x" * 300, "; there are runs/char_lstm, runs/hangul"),
    ],
)
def test_runs_that_are_near_are_named(asked, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/char_lstm", "runs/hangul", "other/one"):
        begin(RunDirectory(Path(name)))
    (tmp_path / "runs" / "hangul" / "report.html").touch()
    with pytest.raises(CheckpointError) as caught:
        RunDirectory(Path(asked)).require()
    assert str(caught.value) == f"{asked}: no run here (there is no recipe.yaml in it){told}"
