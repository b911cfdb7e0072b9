"""The verb `run`: what it prints, and that it writes nothing when something is wrong."""

import json
import os

import pytest

LSMT = "model.cell.name: no cell named 'lsmt'; did you mean 'lstm'? (seqgen list cells)"


class TestOutput:
    def test_json_is_one_document(self, command, place):
        ended = command("run", "tiny.yaml", "--out", "run", "--json")
        assert ended.code == 0
        assert json.loads(ended.out) == json.loads((place.folder / "run/result.json").read_bytes())
        assert "step 12" in ended.err

    def test_lines_for_reading(self, command, place):
        ended = command("run", "tiny.yaml", "train.max_steps=4")
        assert ended.code == 0
        assert ended.err == ""
        assert "step 4  valid" in ended.out
        assert ended.out.endswith(
            "report: runs/tiny/report.html   samples: runs/tiny/samples.txt\n"
        )

    def test_the_manifest_has_the_command_line(self, command, place):
        command("run", "tiny.yaml", "train.max_steps=1", "--out", "run")
        manifest = json.loads((place.folder / "run/manifest.json").read_bytes())
        assert manifest["command"][1:] == [
            "run", "tiny.yaml", "train.max_steps=1", "--out", "run",
        ]  # fmt: skip

    def test_a_control_code_of_a_prompt_is_printed_visibly(self, command, place):
        prompt = 'samples.prompts=["a\\e[2J[/x]"]'
        ended = command("run", "tiny.yaml", prompt, "train.max_steps=1")
        assert ended.code == 0
        assert r"a\x1b[2J[/x]" in ended.out
        assert "\x1b" not in ended.out


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

    def test_when_a_run_is_there(self, refusal, command, place):
        assert command("run", "tiny.yaml", "train.max_steps=1").code == 0
        assert "runs/tiny: has a run already" in refusal(7, "run", "tiny.yaml")

    def test_when_the_folder_holds_something_else(self, refusal, place):
        place.write("mine/letter.txt", "dear")
        line = refusal(7, "run", "tiny.yaml", "--out", "mine")
        assert line == "mine: not empty and not a run; choose another with --out"


def test_going_on_with_a_run(command, place):
    assert command("run", "tiny.yaml", "train.max_steps=3").code == 0
    ended = command("run", "tiny.yaml", "train.max_steps=6", "--resume")
    assert ended.code == 0
    assert "resumed at step 3" in ended.out
    assert json.loads((place.folder / "runs/tiny/result.json").read_bytes())["train"]["steps"] == 6


def test_beginning_again(command, place):
    assert command("run", "tiny.yaml", "train.max_steps=3").code == 0
    ended = command("run", "tiny.yaml", "train.max_steps=2", "--overwrite", "--json")
    assert json.loads(ended.out)["train"]["steps"] == 2


def test_it_goes_on_when_its_reader_goes(spawn, place):
    reading, writing = os.pipe()
    os.close(reading)
    process = spawn("run", "tiny.yaml", "train.max_steps=2", stdout=writing)
    os.close(writing)
    assert process.wait() == 0
    assert process.stderr.read() == ""
    result = json.loads((place.folder / "runs/tiny/result.json").read_bytes())
    assert result["train"]["steps"] == 2
