"""The run directory: who may write there, and that files are whole or not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.errors import CheckpointError, SetupError
from seqgen.run_directory import RunDirectory


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "runs" / "one")


def begin(directory):
    directory.folder.mkdir(parents=True)
    directory.write(directory.recipe, "data: {}\n")
    return directory


def refusal(directory, resume=False, overwrite=False):
    with pytest.raises(SetupError) as caught:
        directory.check_free(resume=resume, overwrite=overwrite)
    return str(caught.value)


class TestWhetherItIsFree:
    @pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
    @pytest.mark.parametrize("left", [[], [".lock"], [".recipe.yaml.7.tmp"], ["manifest.json"]])
    def test_where_nothing_is_or_no_run_has_come_to_be(self, how, left, directory):
        directory.check_free(**{"resume": False, "overwrite": False, **how})
        assert not directory.folder.exists()
        directory.folder.mkdir(parents=True)
        (directory.folder / "tokenizer").mkdir()
        for name in left:
            (directory.folder / name).touch()
        directory.check_free(**{"resume": False, "overwrite": False, **how})

    def test_a_run_must_be_resumed_or_overwritten(self, directory):
        begin(directory)
        assert refusal(directory) == (
            f"{directory.folder}: has a run already; --resume it, --overwrite it, or choose "
            "another --out"
        )
        directory.check_free(resume=True, overwrite=False)
        directory.check_free(resume=False, overwrite=True)

    @pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}])
    @pytest.mark.parametrize("name", ["thesis.txt", ".git", ".hidden", "recipe.yml"])
    def test_what_is_no_run_is_never_touched(self, how, name, directory):
        directory.folder.mkdir(parents=True)
        (directory.folder / name).touch()
        assert "not empty and not a run; choose another with --out" in refusal(directory, **how)

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
    def test_everything_goes_but_the_lock(self, directory):
        begin(directory)
        (directory.folder / "checkpoints" / "step-1").mkdir(parents=True)
        directory.write(directory.metrics, "{}\n")
        (directory.folder / "link").symlink_to("/")
        with directory.locked():
            directory.clear()
            assert [path.name for path in directory.folder.iterdir()] == [".lock"]

    def test_what_makes_it_a_run_goes_last(self, directory, monkeypatch):
        begin(directory)
        directory.checkpoints.mkdir()
        monkeypatch.setattr("shutil.rmtree", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            directory.clear()
        assert directory.exists()


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
