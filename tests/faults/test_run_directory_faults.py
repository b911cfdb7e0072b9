"""Faults of the run directory: damage, full and read-only disks, other people, a killed end."""

import copy
import hashlib
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from disk import contents, huge

from seqgen.cli.displays import Display
from seqgen.conclusion import read_result
from seqgen.errors import SeqgenError, SetupError
from seqgen.files import write_file
from seqgen.reports import write_report
from seqgen.reports.run_files import read_run
from seqgen.run import RunRequest, run
from seqgen.run_directory import FILES, REPORT, RunDirectory
from seqgen.trained import TrainedRun
from seqgen.training.checkpoint import Checkpoints


def resume(folder, *overrides, report=False):
    request = RunRequest(str(folder), overrides, resume=True, report=report)
    return run(request, lambda plan: None)


@pytest.fixture
def copied_pairs(pairs_run, tmp_path):
    return Path(shutil.copytree(pairs_run, tmp_path / "run"))


def test_the_modes_of_all_files_follow_the_umask(command, place, pairs_run):
    overrides = [f"data.path={pairs_run.parent / 'pairs.tsv'}", "train.max_steps=2"]
    umask = 0o027  # something else for each: the user, the group and others
    before, old = set(place.folder.rglob("*")), os.umask(umask)
    try:
        for words in (
            ["run", pairs_run.parent / "pairs.yaml", *overrides, "--out", "run"],
            ["compare", "run", "--decoder", "greedy", "--most", "2", "--out", "compared"],
            ["generate", "run", "--prompt", "ab", "--trace", "trace.json"],
            ["generate", "run", "--input", "text.txt", "--output", "out.txt"],
            ["evaluate", "run", "--answers", "answers.tsv"],
            ["new", "cell", "my_new_cell"],
        ):
            ended = command(*words)
            assert ended.code == 0, ended.err
    finally:
        os.umask(old)
    made = set(place.folder.rglob("*")) - before
    assert {path.name for path in made} >= {*FILES, ".lock", "compare.html", "model.safetensors"}
    for path in made:
        wanted = (0o777 if path.is_dir() else 0o666) & ~umask
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


@pytest.mark.parametrize("name", sorted(FILES - {"recipe.yaml", "manifest.json", "metrics.jsonl"}))
def test_what_a_killed_end_lacks_is_made_when_it_goes_on(name, copied_pairs):
    before = contents(copied_pairs)
    (copied_pairs / name).unlink()
    (copied_pairs / f".{name}.123.tmp").write_text("half")
    resume(copied_pairs, report=name in REPORT)
    assert contents(copied_pairs) == before


class TestDisks:
    def test_a_full_one_keeps_the_last_checkpoint_and_says_so(self, place, train, small_disk):
        overrides = ["train.max_steps=8", "samples.length=2"]
        whole = contents(train(*overrides, out="whole") / "checkpoints")
        disk = small_disk(1000)

        def fill(event):
            if event["step"] == 6:
                with (disk / "filler").open("wb", 0) as file:
                    while file.write(b"\0" * 4096) == 4096:
                        pass

        with (
            warnings.catch_warnings(action="ignore", category=UserWarning),
            pytest.raises(SetupError) as caught,
        ):
            train(*overrides, out=disk / "run", watch=[fill])
        assert str(caught.value).startswith(
            f"{disk}/run/checkpoints/step-00000008: cannot write the checkpoint: "
        )
        assert str(caught.value).endswith("; the last one, step-00000004, is as it was")
        left = {path.name for path in (disk / "run").rglob("*")}
        assert "step-00000004" in left
        assert not [name for name in left if name.endswith(".tmp") or name.startswith(".w")]
        (disk / "filler").unlink()
        train(*overrides, out=disk / "run", resume=True)
        [found, wanted] = (
            {path.name: content for path, content in each.items() if path.suffix != ".json"}
            for each in (contents(disk / "run/checkpoints"), whole)
        )
        assert found == wanted

    def test_a_read_only_one_is_said_and_read(self, small_disk, finished_run):
        folder = Path(shutil.copytree(finished_run, small_disk(2000) / "run"))
        remount = ["mount", "-o", "remount,ro", str(folder.parent)]
        subprocess.run(remount, check=True, capture_output=True)
        with pytest.raises(SetupError, match="run: cannot be written: Read-only file system"):
            resume(folder, "train.max_steps=14")
        assert TrainedRun.load(folder).generate("the ", max_length=3)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="becomes another person")
@pytest.mark.parametrize(("umask", "code"), [(0o022, 7), (0o002, 0)])
def test_a_folder_of_someone_else(umask, code, memory_folder, fork):
    """It can be written by those who may, such as a group."""
    nobody, before = 65534, os.umask(umask)

    def write():
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)
        try:
            with directory.locked():
                write_file(directory.result, "[]")
        except SetupError as error:
            sys.exit(error.exit_code)

    try:
        memory_folder.chmod(0o755)
        directory = RunDirectory(memory_folder / "run")
        with directory.locked():
            write_file(directory.result, "{}")
        for path in (directory.folder, *directory.folder.iterdir()):
            os.chown(path, 0, nobody)
        assert fork(write).wait() == code
        assert directory.result.read_text() == ("[]" if code == 0 else "{}")
    finally:
        os.umask(before)


def endless(path):
    path.symlink_to("/dev/zero")


NEEDED = ["recipe.yaml", "manifest.json", "metrics.jsonl", "chars.json", "last", "best"]
NEEDED += ["model.safetensors", "training.safetensors", "training.json", "checksums.json"]


@pytest.mark.parametrize("make", [os.mkfifo, endless, huge, os.mkdir])
def test_what_is_no_file_of_sane_size_blocks_nothing(make, copied_run):
    """Whichever it is, and whoever reads it: one line, or it is not needed."""
    data = f"data.path={data_of(copied_run)}"
    files = [path for path in copied_run.rglob("*") if path.is_file() and path.name != ".lock"]
    for path in files:
        aside = path.rename(copied_run.parent / "aside")
        make(path)
        if make is not huge or path.name in NEEDED:
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                assert not attempt(lambda: resume(copied_run, data, "train.max_steps=14"))
        attempt(lambda: TrainedRun.load(copied_run))
        attempt(lambda: read_result(RunDirectory(copied_run)))
        read_run(copied_run)
        path.rmdir() if path.is_dir() else path.unlink()
        aside.rename(path)


def data_of(folder):
    return next(iter(json.loads((folder / "manifest.json").read_bytes())["data"]))


PLAIN = [None, True, -1, 2.5, 1e308, 10**30, "x", "", [], {}, [[1]], {"a": {}}, [None] * 3]


def places(value, path=()):
    """The paths to all values in JSON."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value[:3]) if isinstance(value, list) else items
    for key, each in items:
        yield from places(each, (*path, key))


def mutations(content, count):
    """So many copies of it, each with a value of another type in one of its places, or without."""
    draw, every = random.Random(1), list(places(content))
    for number in range(count):
        path, changed = every[number % len(every)], copy.deepcopy(content)
        if not path:
            yield draw.choice(PLAIN)
            continue
        above = changed
        for key in path[:-1]:
            above = above[key]
        others = [each for each in PLAIN if type(each) is not type(above[path[-1]])]
        if isinstance(above, dict) and draw.random() < 0.2:
            del above[path[-1]]
        else:
            above[path[-1]] = draw.choice(others)
        yield changed


def attempt(action):
    """Whether it came to its end: nothing but an error of ours, in one line, may keep it."""
    said = ""
    try:
        action()
    except SeqgenError as error:
        said = str(error)
    assert "\n" not in said
    return not said


class TestTypes:
    """JSON with values of wrong types, behind right checksums."""

    @pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
    def test_of_the_training_state(self, optimizer, make_trainer, memory_folder):
        overrides = [f"train.optimizer={optimizer}", "train.schedule=plateau", "model.dropout=0.1"]
        overrides += ["train.average=tail"]
        make_trainer(*overrides, folder=memory_folder).run()
        checkpoint = Checkpoints(memory_folder).find("last")
        sums = json.loads((checkpoint / "checksums.json").read_bytes())
        content = json.loads((checkpoint / "training.json").read_bytes())
        fit, refused = None, 0
        for changed in mutations(content, 90):
            text = json.dumps(changed).encode()
            (checkpoint / "training.json").write_bytes(text)
            sums["sha256"]["training.json"] = hashlib.sha256(text).hexdigest()
            (checkpoint / "checksums.json").write_text(json.dumps(sums))
            fit = make_trainer(*overrides, "train.max_steps=13")
            refused += not attempt(lambda: (fit.resume(checkpoint), fit.run()))  # noqa: B023
        assert 45 < refused < 90

    def test_of_the_checksums(self, make_trainer, memory_folder):
        make_trainer(folder=memory_folder).run()
        checkpoint = Checkpoints(memory_folder).find("last")
        sums = json.loads((checkpoint / "checksums.json").read_bytes())
        for changed in mutations(sums, 25):
            (checkpoint / "checksums.json").write_text(json.dumps(changed))
            assert not attempt(lambda: make_trainer().resume(checkpoint)) or changed == sums

    def test_of_the_manifest(self, copied_pairs):
        path, directory = copied_pairs / "manifest.json", RunDirectory(copied_pairs)
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            for changed in mutations(json.loads(path.read_bytes()), 25):
                path.write_text(json.dumps(changed))
                attempt(lambda: TrainedRun.load(copied_pairs).data_is_the_same())
                attempt(lambda: directory.check_free(resume=False, overwrite=True))
                if isinstance(changed, list | dict) and len(changed) % 2:
                    attempt(lambda: resume(copied_pairs))
        write_report(copied_pairs)

    def test_of_the_result(self, copied_pairs, capsys):
        path, directory = copied_pairs / "result.json", RunDirectory(copied_pairs)
        display, shown = Display(), 0
        for changed in mutations(json.loads(path.read_bytes()), 120):
            path.write_text(json.dumps(changed))
            shown += attempt(lambda: display.conclude(read_result(directory), copied_pairs))
            read_run(copied_pairs)
        assert 20 < shown < 100

    def test_of_answers_and_attention(self, copied_pairs):
        for name in ("answers.json", "attention.json", "samples.json"):
            path = copied_pairs / name
            for changed in mutations(json.loads(path.read_bytes()), 40):
                path.write_text(json.dumps(changed))
                read_run(copied_pairs)
        write_report(copied_pairs)

    def test_of_a_tokenizer(self, copied_run):
        [path] = (copied_run / "tokenizer").rglob("*.json")
        for changed in mutations(json.loads(path.read_bytes()), 30):
            path.write_text(json.dumps(changed))
            assert not attempt(lambda: TrainedRun.load(copied_run))


def test_a_log_of_brackets_is_cut_back_and_remarked_on(copied_run):
    data = f"data.path={data_of(copied_run)}"
    with (copied_run / "metrics.jsonl").open("a") as log:
        log.write("[" * 100_000 + '\n{"event": "train", "step": "x"}\n')
    write_report(copied_run)
    assert "metrics.jsonl are damaged" in (copied_run / "report.html").read_text()
    with pytest.warns(UserWarning, match="max_steps"):
        resume(copied_run, data, "train.max_steps=14")
    assert "[[" not in (copied_run / "metrics.jsonl").read_text()
