"""The verb `run`: what it prints, and that it writes nothing when something is wrong."""

import json
import os

import pytest

from seqgen.run_directory import RunDirectory

LSMT = "model.cell.name: no cell named 'lsmt'; did you mean 'lstm'? (seqgen list cells)"


class TestOutput:
    def test_json_is_one_document(self, command, place):
        ended = command("run", "tiny.yaml", "--out", "run", "--json")
        assert ended.code == 0
        assert json.loads(ended.out) == json.loads((place.folder / "run/result.json").read_bytes())
        assert "step 12" in ended.err

    def test_lines_for_reading(self, command, place):
        words = ["run", "tiny.yaml", "train.max_steps=4", 'samples.prompts=["a\\e[2J[/x]"]']
        ended = command(*words)
        assert ended.code == 0
        assert ended.err == ""
        assert "step 4  valid" in ended.out
        assert ended.out.endswith(
            "report: runs/tiny/report.html   samples: runs/tiny/samples.txt\n"
        )
        assert r"a\x1b[2J[/x]" in ended.out, "codes in a prompt do not act"
        assert "\x1b" not in ended.out
        manifest = json.loads((place.folder / "runs/tiny/manifest.json").read_bytes())
        assert manifest["command"][1:] == words


class TestNothingIsWritten:
    def test_when_the_file_is_wrong(self, refusal, place):
        place.recipe("name: lstm", "name: lsmt")
        assert refusal(3, "run", "tiny.yaml") == f"tiny.yaml:6:16: {LSMT}"

    def test_when_an_override_is_wrong(self, refusal):
        line = refusal(3, "run", "tiny.yaml", "model.cell.name=lsmt")
        assert line == f"override model.cell.name=lsmt: {LSMT}"

    @pytest.mark.parametrize(
        ("override", "part"),
        [
            ("threads=x", "threads: must be an integer or 'auto'"),
            ("train.lr=0", "train.lr: must be greater than 0"),
            ("train.lrr=1", "did you mean 'lr'?"),
            ("train.lr", "must be of the form key=value"),
            ("model.cell.hidden_size=0", "model.cell.hidden_size: must be at least 1"),
        ],
    )
    def test_and_the_override_is_named(self, refusal, override, part):
        line = refusal(3, "run", "tiny.yaml", override)
        assert line.startswith(f"override {override}: ")
        assert part in line

    @pytest.mark.parametrize("content", ["", " \n ", "abc"])
    def test_when_the_text_is_too_short(self, refusal, place, content):
        place.write("text.txt", content)
        assert refusal(4, "run", "tiny.yaml").startswith("text.txt: ")

    def test_when_there_is_no_text(self, refusal):
        line = refusal(4, "run", "tiny.yaml", "data.path=nowhere.txt")
        assert line == "nowhere.txt: cannot be read: No such file or directory"

    @pytest.mark.parametrize("flags", [[], ["--overwrite"]])
    def test_when_the_folder_holds_something_else(self, flags, refusal, place):
        place.write("mine/letter.txt", "dear")
        line = refusal(7, "run", "tiny.yaml", "--out", "mine", *flags)
        assert line == "mine: not empty and not a run; choose another with --out"

    @pytest.mark.parametrize("folder", ["nowhere", "mine", "runs/tiny"])
    def test_when_there_is_no_run_to_go_on_with(self, folder, copied_run, refusal, place):
        place.write("mine/letter.txt", "dear")
        copied_run.rename("minn")
        line = refusal(5, "run", "tiny.yaml", "--out", folder, "--resume")
        assert line.startswith(f"{folder}: no run here (there is no recipe.yaml in it)")
        assert line.endswith("; did you mean 'minn'? there are minn") is (folder == "mine")

    def test_when_a_run_is_named_for_a_recipe(self, copied_run, refusal):
        for flags in ([], ["--overwrite"], ["--out", "other"]):
            line = refusal(2, "run", copied_run, *flags)
            assert line.startswith(f"{copied_run}: this is a run; `seqgen run {copied_run} --res")
        line = refusal(2, "run", copied_run, "--resume", "--out", "other")
        assert line == f"--out other: the run in {copied_run} goes on where it is"

    def test_when_a_thesis_is_in_the_folder(self, refusal, place):
        """And a recipe of one's own, in the current folder."""
        place.write("recipe.yaml", (place.folder / "tiny.yaml").read_text(encoding="utf-8"))
        place.write(".git/HEAD", "ref")
        place.write("thesis.tex", "mine")
        for flags in ([], ["--overwrite"]):
            line = refusal(7, "run", "recipe.yaml", "--out", ".", *flags)
            assert line == ".: not empty and not a run; choose another with --out"

    @pytest.mark.parametrize(
        ("folder", "line"),
        [
            ("text.txt", "text.txt: not a directory; choose another with --out"),
            ("text.txt/run", "text.txt/run: cannot be written: Not a directory"),
            ("x" * 300, f"{'x' * 300}: cannot be read: File name too long"),
        ],
    )
    def test_when_no_folder_can_be_there(self, folder, line, refusal):
        assert refusal(7, "run", "tiny.yaml", "--out", folder) == line

    @pytest.mark.parametrize("flag", ["--resume", "--overwrite"])
    def test_when_another_run_is_writing_there(self, flag, copied_run, refusal):
        [path] = json.loads((copied_run / "manifest.json").read_bytes())["data"]
        with RunDirectory(copied_run).locked():
            line = refusal(7, "run", "tiny.yaml", f"data.path={path}", "--out", copied_run, flag)
        assert line == f"{copied_run}: another run is writing here"

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (
                b"abc\ncaf\xe9 ",
                "text.txt:2: invalid UTF-8 at byte 7; this looks like latin-1 "
                "(encoding: latin-1 reads it)",
            ),
            (
                b"ab" * 45,
                "text.txt: 72 training tokens are too few: batch_size 4 and window 16 need at "
                "least 80",
            ),
        ],
    )
    def test_when_the_text_is_wrong(self, content, line, place, refusal):
        place.write("text.txt", content)
        assert refusal(4, "run", "tiny.yaml") == line

    @pytest.mark.parametrize(
        ("override", "part"),
        [
            ("data.path=.", ".: has no train.txt; data.train=NAME says what is read"),
            ("data={name: text, corpus: tiny_shakespeare}", "seqgen data get tiny_shakespeare"),
            ("tokenizer={alphabet: printable, unk: error}", "of known characters, but has 'é'"),
        ],
    )
    def test_when_the_data_does_not_do(self, override, part, place, refusal, monkeypatch):
        monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))
        assert part in refusal(4, "run", "tiny.yaml", override)

    def test_on_a_full_disk_that_is_said(self, small_disk, command, place):
        ended = command("run", "tiny.yaml", "--out", small_disk(16) / "run")
        assert ended.code == 7
        assert ended.err.count("\n") == 1


def test_going_on_with_a_run_and_beginning_again(command, refusal):
    assert command("run", "tiny.yaml", "train.max_steps=3").code == 0
    assert "runs/tiny: has a run already" in refusal(7, "run", "tiny.yaml")
    ended = command("run", "tiny.yaml", "train.max_steps=6", "--resume", "--json")
    assert ended.code == 0
    assert "resumed at step 3" in ended.err
    assert json.loads(ended.out)["train"]["steps"] == 6
    ended = command("run", "tiny.yaml", "train.max_steps=2", "--overwrite", "--json")
    assert json.loads(ended.out)["train"]["steps"] == 2


def test_a_run_goes_on_without_its_recipe(command, place, monkeypatch):
    """By its folder alone, be that by a link, with overrides of what may change."""
    assert command("run", "tiny.yaml", "train.max_steps=3").code == 0
    (place.folder / "tiny.yaml").unlink()
    (place.folder / "runs/tiny").rename(place.folder / "moved")
    (place.folder / "link").symlink_to("moved")
    ended = command("run", "link", "train.max_steps=6", "--resume", "--json")
    assert ended.code == 0, ended.err
    assert "resumed at step 3" in ended.err
    assert "\ntiny\n" in f"\n{ended.err}"
    assert json.loads(ended.out)["train"]["steps"] == 6
    assert json.loads(ended.out) == json.loads((place.folder / "moved/result.json").read_bytes())


def test_it_goes_on_when_its_reader_goes(spawn, place):
    reading, writing = os.pipe()
    os.close(reading)
    process = spawn("run", "tiny.yaml", "train.max_steps=2", stdout=writing)
    os.close(writing)
    assert process.wait() == 0
    assert process.stderr.read() == ""
    result = json.loads((place.folder / "runs/tiny/result.json").read_bytes())
    assert result["train"]["steps"] == 2
