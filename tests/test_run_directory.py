"""The manifest: what a run records of itself."""

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seqgen.errors import CheckpointError, SetupError
from seqgen.run_directory import RunDirectory
from seqgen.version import __version__


@pytest.fixture(scope="module")
def manifest(finished_run):
    return json.loads((finished_run / "manifest.json").read_bytes())


def test_what_the_run_was(manifest, finished_run):
    assert manifest["recipe"] == "tiny"
    assert manifest["seed"] == 1
    assert manifest["budget"] == "12 steps"
    assert (manifest["device"], manifest["threads"]) == ("cpu", 1)
    assert manifest["precision"] == "float32"
    assert manifest["command"]
    result = json.loads((finished_run / "result.json").read_bytes())
    assert manifest["parameters"] == result["parameters"]


def test_what_it_ran_with(manifest):
    assert manifest["seqgen"] == __version__
    assert manifest["python"] == platform.python_version()
    assert manifest["torch"] == torch.__version__
    assert {"numpy", "platform", "started"} <= set(manifest)


def test_what_it_read(manifest):
    [(path, digest)] = manifest["data"].items()
    content = Path(path).read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    parts = [manifest[f"{name}_tokens"] for name in ("train", "valid", "test")]
    assert sum(parts) == len(content.decode())
    assert manifest["train_chars"] == parts[0]
    assert manifest["vocab_size"] == len(set(content.decode())) + 4


def test_several_budgets_are_one_sentence(train):
    budgets = ["train.max_epochs=1.5", "train.max_seconds=1e4", "train.max_steps=1"]
    folder = train(*budgets, "samples.length=0")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["budget"] == "1 steps or 1.5 epochs or 10000 seconds, whichever comes first"


# The run directory: who may write there, and that files are whole or not there.


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "runs" / "one")


RECORD = {"seqgen": "0.1.0", "data": {}, "tokenizer_files": {"text": ["chars.json"]}}
OWN = [
    *("result.json", "samples.txt", "loss.pdf", ".report.html.12.tmp", ".metrics.jsonl.tmp"),
    *("tokenizer/text/chars.json", "tokenizer/text/.chars.json.12.tmp"),
    *("checkpoints/last", "checkpoints/.best", "checkpoints/.last.12.tmp"),
    *("checkpoints/step-00000004/model.safetensors", "checkpoints/step-00000004/checksums.json"),
    "checkpoints/.writing-step-00000008/.tmpAbC",
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


def begin(directory):
    directory.folder.mkdir(parents=True)
    directory.write_json(directory.manifest, RECORD)
    directory.write(directory.recipe, "data: {}\n")
    return directory


def names(directory):
    paths = directory.folder.rglob("*")
    return {str(path.relative_to(directory.folder)) for path in paths if not path.is_dir()}


def refusal(directory, resume=False, overwrite=False):
    with pytest.raises(SetupError) as caught:
        directory.check_free(resume=resume, overwrite=overwrite)
    return str(caught.value)


class TestWhetherItIsFree:
    @pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
    @pytest.mark.parametrize("left", [[".lock"], [".recipe.yaml.7.tmp"], ["manifest.json"]])
    def test_where_no_run_has_come_to_be(self, how, left, directory):
        directory.folder.mkdir(parents=True)
        (directory.folder / "tokenizer").mkdir()
        for name in left:
            directory.write_json(directory.folder / name, RECORD)
        directory.check_free(**{"resume": False, "overwrite": False, **how})
        if left == ["manifest.json"]:
            make(directory, "tokenizer/text/chars.json")
            directory.check_free(**{"resume": False, "overwrite": False, **how})

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_where_nothing_is(self, overwrite, directory):
        directory.check_free(resume=False, overwrite=overwrite)
        assert not directory.folder.exists()

    def test_a_run_that_is_not_there_cannot_go_on(self, directory):
        for name in ("char_lstm", "hangul"):
            begin(RunDirectory(directory.folder.with_name(name)))
        above = directory.folder.parent
        there = f"there are {above}/char_lstm, {above}/hangul"
        for name, near in [("charlstm", "; did you mean 'char_lstm'? "), ("zzz", "; ")]:
            folder = directory.folder.with_name(name)
            with pytest.raises(CheckpointError) as caught:
                RunDirectory(folder).check_free(resume=True, overwrite=False)
            wanted = f"{folder}: no run here (there is no recipe.yaml in it){near}{there}"
            assert str(caught.value) == wanted
            assert not folder.exists()

    def test_a_run_must_be_resumed_or_overwritten(self, directory):
        begin(directory)
        assert refusal(directory) == (
            f"{directory.folder}: has a run already; --resume it, --overwrite it, or choose "
            "another --out"
        )
        directory.check_free(resume=True, overwrite=False)
        directory.check_free(resume=False, overwrite=True)

    @pytest.mark.parametrize("name", ["recipe.yaml", *OWN, *FOREIGN])
    def test_what_is_no_run_is_never_touched(self, name, directory):
        make(directory, name)
        unfinished = [".tmp", ".best", ".writing-"]  # nobody misses what was never whole
        if any(part in name for part in unfinished) and name in OWN and "text/" not in name:
            return
        for how in ({}, {"overwrite": True}):
            assert "not empty and not a run; choose another with --out" in refusal(directory, **how)
        with pytest.raises(
            CheckpointError, match=r"no run here|manifest\.json: the file is missing"
        ):
            directory.check_free(resume=True, overwrite=False)
        assert names(directory) == {name}

    @pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}", '{"seqgen": 3}', "[" * 99999])
    def test_what_has_the_manifest_of_something_else_is_no_run(self, content, directory):
        begin(directory).manifest.write_text(content)
        assert "not empty and not a run; choose" in refusal(directory, overwrite=True)
        with pytest.raises(CheckpointError, match=r"manifest\.json: "):
            directory.check_free(resume=True, overwrite=False)

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
        begin(directory)
        directory.folder.chmod(0)
        assert "Permission denied" in refusal(directory)
        directory.folder.chmod(0o700)


class TestClearing:
    def test_what_a_run_writes_goes_but_the_lock(self, directory):
        make(begin(directory), *OWN)
        directory.check_free(resume=False, overwrite=True)
        with directory.locked():
            directory.clear()
            assert [path.name for path in directory.folder.iterdir()] == [".lock"]

    @pytest.mark.parametrize("name", FOREIGN)
    def test_where_something_else_is_nothing_goes(self, name, directory):
        make(begin(directory), *OWN, name)
        before = names(directory)
        line = refusal(directory, overwrite=True)
        [found] = re.findall("holds what no run wrote: (.*); move it away", line)
        assert f"{name}/".startswith(found.split(", ")[0] + "/")
        with pytest.raises(SetupError, match="holds what no run wrote"):
            directory.clear()
        assert names(directory) == before
        directory.check_free(resume=True, overwrite=False)
        with directory.locked():
            assert name in names(directory)

    def test_many_things_are_a_few_names(self, directory):
        make(begin(directory), *(f"{letter}.txt" for letter in "abcdefg"))
        assert ": a.txt, b.txt, c.txt, d.txt and 3 more; move" in refusal(directory, overwrite=True)

    def test_a_run_of_an_earlier_version(self, directory):
        """Its manifest does not say what the files of its tokenizer are."""
        make(begin(directory), "tokenizer/text/any.model")
        directory.write_json(directory.manifest, {"seqgen": "0.1.0"})
        directory.check_free(resume=False, overwrite=True)
        directory.clear()
        assert names(directory) == set()

    def test_what_makes_it_a_run_goes_last(self, directory, monkeypatch):
        make(begin(directory), *OWN)
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
        make(begin(directory), "checkpoints/step-00000004/training.json")
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
        for refuse in (
            lambda: directory.check_free(resume=True, overwrite=False),
            lambda: directory.locked().__enter__(),
        ):
            with pytest.raises(CheckpointError) as caught:
                refuse()
            assert str(caught.value) == f"{path}: this is {what}, where a run has a file"
        assert [path.name for path in foreign.iterdir()] == ["mine"]
        assert (foreign / "mine").read_text() == "mine"

    @pytest.mark.parametrize("name", ["tokenizer", "checkpoints", "tokenizer/text"])
    def test_in_place_of_a_folder(self, name, directory, tmp_path):
        begin(directory)
        (tmp_path / "foreign").mkdir()
        path = directory.folder / name
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(tmp_path / "foreign")
        with pytest.raises(CheckpointError, match="this is a link, where a run has a folder"):
            directory.check_free(resume=True, overwrite=False)

    def test_a_folder_where_a_file_will_be_written(self, directory):
        """Said at the start, and not when the report is written."""
        (begin(directory).folder / "report.html").mkdir()
        with pytest.raises(CheckpointError, match="html: this is a folder, where a run has a file"):
            directory.check_free(resume=True, overwrite=False)

    def test_the_folder_itself_may_be_reached_by_one(self, directory, tmp_path):
        begin(directory)
        (tmp_path / "link").symlink_to(directory.folder)
        linked = RunDirectory(tmp_path / "link")
        with linked.locked():
            linked.write(linked.result, "{}")
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

    def test_a_second_process_is_refused_and_a_killed_one_forgotten(self, directory):
        hold = (
            "import sys, time; from pathlib import Path\n"
            "from seqgen.run_directory import RunDirectory\n"
            "with RunDirectory(Path(sys.argv[1])).locked():\n"
            "    print('in', flush=True); time.sleep(60)\n"
        )
        command = [sys.executable, "-c", hold, str(directory.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "in\n"
            with pytest.raises(SetupError, match="another run is writing here"), directory.locked():
                pytest.fail("both are in")
            process.kill()
        with directory.locked():
            assert directory.folder.is_dir()

    def test_what_a_killed_process_was_writing_is_swept(self, directory):
        make(begin(directory), *OWN, *FOREIGN)
        before = names(directory)
        with directory.locked():
            unfinished = [".tmp", ".best", ".writing-"]
            gone = {each for each in OWN if any(part in each for part in unfinished)}
            assert names(directory) == before - gone | {".lock"}

    def test_a_lock_that_is_a_file_of_someone_else_too_is_not_emptied(self, directory, tmp_path):
        begin(directory)
        (tmp_path / "mine").write_text("mine")
        (directory.folder / ".lock").hardlink_to(tmp_path / "mine")
        with directory.locked():
            assert (tmp_path / "mine").read_text() == "mine"

    def test_where_no_folder_can_be(self, tmp_path):
        (tmp_path / "file").touch()
        for path, reason in [("file", "not a directory"), ("file/one", "Not a directory")]:
            with (
                pytest.raises(SetupError, match=f"{path}: .*{reason}"),
                RunDirectory(tmp_path / path).locked(),
            ):
                pytest.fail("it is in")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_where_nothing_may_be_written(self, tmp_path):
        tmp_path.chmod(0o500)
        with (
            pytest.raises(SetupError, match="one: cannot be written: Permission denied"),
            RunDirectory(tmp_path / "one").locked(),
        ):
            pytest.fail("it is in")


class TestFiles:
    def test_json_comes_back_but_for_numbers_that_it_cannot_hold(self, directory):
        begin(directory)
        content = {"text": "é\u2028", "numbers": [1, 0.1, float("nan")], "tuple": (1, 2)}
        directory.write_json(directory.result, content)
        wanted = {"text": "é\u2028", "numbers": [1, 0.1, None], "tuple": [1, 2]}
        assert directory.read_json(directory.result) == wanted

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b"null", b"[" * 100_000])
    def test_what_is_damaged_is_named(self, content, directory):
        begin(directory)
        directory.manifest.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"manifest\.json: (damaged|cannot be read)"):
            directory.read_json(directory.manifest)

    def test_what_is_missing_is_named(self, directory):
        with pytest.raises(CheckpointError, match=r"manifest\.json: the file is missing"):
            directory.read_json(directory.manifest)

    def test_lone_surrogates_do_not_stop_a_file(self, directory):
        begin(directory)
        directory.write(directory.metrics, "a\ud800b")
        assert directory.metrics.read_text() == "a\\ud800b"

    def test_the_old_file_stays_where_a_new_one_cannot_be_written(self, directory, small_disk):
        small = RunDirectory(small_disk(64))
        small.write(small.result, "old")
        with pytest.raises(SetupError, match=r"result\.json: cannot be written: No space left"):
            small.write(small.result, "x" * 100_000)
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
