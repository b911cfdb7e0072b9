"""The verb `run`."""

import json
import os
import shlex
import signal
from pathlib import Path

import pytest

from seqgen.run_directory import RunDirectory

QUICK = ["train.max_steps=2", "samples.length=4"]


@pytest.fixture
def begun(place):
    """A folder in which a run has begun."""
    place.write("run/recipe.yaml", "data: {}\n")
    place.write("run/notes.txt", "mine")
    return place.folder / "run"


class TestARun:
    def test_what_it_says(self, command, place):
        ended = command("run", "tiny.yaml")
        assert ended.code == 0
        assert ended.err == ""
        said = ended.out
        for part in (
            "tiny\n  model   2,189 parameters, 21 tokens\n",
            "  data    text.txt: train 4,692, valid 587, test 587 tokens\n",
            "  machine cpu, 1 thread, float32\n  budget  12 steps\n",
            " nats/token, ",
            "\n  the ",
            "trained 12 steps in ",
            "\n  test  ",
            "report: runs/tiny/report.html   samples: runs/tiny/samples.txt\n",
        ):
            assert part in said, said
        assert [said.count(f"step {step}  valid ") for step in (0, 4, 8, 12)] == [1] * 4
        assert (Path("runs") / "tiny" / "report.html").is_file()

    def test_json_is_the_only_thing_on_standard_output(self, command, place):
        ended = command("run", "tiny.yaml", *QUICK, "--out", "run", "--json")
        assert json.loads(ended.out) == json.loads(Path("run/result.json").read_bytes())
        assert "budget  2 steps" in ended.err
        assert ended.out.count("\n") > 10

    def test_one_that_is_there_is_resumed_or_overwritten(self, command, refusal):
        assert command("run", "tiny.yaml", *QUICK, "--out", "run").code == 0
        told = refusal(7, "run", "tiny.yaml", *QUICK, "--out", "run")
        assert (
            told == "run: has a run already; --resume it, --overwrite it, or choose another --out"
        )
        before = Path("run/manifest.json").read_bytes()
        again = command("run", "tiny.yaml", *QUICK, "--out", "run", "--resume")
        assert "  resumed at step 2\n" in again.out
        assert Path("run/manifest.json").read_bytes() == before
        Path("run/extra.txt").touch()
        anew = command("run", "tiny.yaml", *QUICK, "seed=2", "--out", "run", "--overwrite")
        assert anew.code == 0
        assert json.loads(Path("run/manifest.json").read_bytes())["seed"] == 2
        assert not Path("run/extra.txt").exists()
        told = refusal(5, "run", "tiny.yaml", *QUICK, "--out", "run", "--resume")
        assert told == "run: cannot be resumed: seed was 2 and is 1"

    def test_a_signal_ends_it_with_the_command_to_go_on(self, command, place, monkeypatch):
        from seqgen.cli.display import Display

        shown = Display.event

        def event(display, event):
            if event["event"] == "valid" and event["step"] == 4:
                os.kill(os.getpid(), signal.SIGINT)
            shown(display, event)

        with monkeypatch.context() as patch:
            patch.setattr(Display, "event", event)
            words = ["run", "tiny.yaml", "description='a b'", "--out", "my run"]
            ended = command(*words, "--overwrite")
        assert ended.code == 130
        again = shlex.split(ended.err.split("go on with: ")[1])
        assert again == ["seqgen", *words, "--resume"]
        assert ended.err.startswith("stopped at step 4; ")
        ended = command(*again[1:])
        assert ended.code == 0
        assert "  resumed at step 4\n" in ended.out


class TestADirectoryThatIsTaken:
    def test_a_run(self, begun, refusal):
        assert "has a run already" in refusal(7, "run", "tiny.yaml", "--out", "run")

    @pytest.mark.parametrize("flag", [None, "--resume", "--overwrite"])
    def test_something_else(self, flag, begun, refusal):
        (begun / "recipe.yaml").unlink()
        flags = [flag] if flag else []
        told = refusal(7, "run", "tiny.yaml", "--out", "run", *flags)
        assert told == "run: not empty and not a run; choose another with --out"

    def test_a_file(self, refusal):
        told = refusal(7, "run", "tiny.yaml", "--out", "text.txt")
        assert told == "text.txt: not a directory; choose another with --out"
        told = refusal(7, "run", "tiny.yaml", "--out", "text.txt/run")
        assert told == "text.txt/run: cannot be written: Not a directory"

    def test_a_name_that_is_too_long(self, refusal):
        told = refusal(7, "run", "tiny.yaml", "--out", "x" * 300)
        assert told.endswith(": cannot be read: File name too long")

    @pytest.mark.parametrize("flag", ["--resume", "--overwrite"])
    def test_another_run_is_writing_there(self, flag, copied_run, refusal):
        [path] = json.loads((copied_run / "manifest.json").read_bytes())["data"]
        with RunDirectory(copied_run).locked():
            told = refusal(7, "run", "tiny.yaml", f"data.path={path}", "--out", copied_run, flag)
        assert told == f"{copied_run}: another run is writing here"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_without_permission(self, place, refusal):
        (place.folder / "locked").mkdir(mode=0o500)
        told = refusal(7, "run", "tiny.yaml", "--out", "locked/run")
        assert told == "locked/run: cannot be written: Permission denied"

    def test_to_resume_and_to_overwrite_at_once(self, refusal):
        told = refusal(2, "run", "tiny.yaml", "--resume", "--overwrite")
        assert told == "--resume and --overwrite exclude one another"


class TestWrongData:
    def test_missing(self, refusal):
        told = refusal(4, "run", "tiny.yaml", "data.path=none.txt")
        assert told == "none.txt: cannot be read: No such file or directory"

    @pytest.mark.parametrize("content", [b"", b"\n\n \n", b"\xef\xbb\xbf"])
    def test_empty(self, content, place, refusal):
        place.write("text.txt", content)
        assert "text.txt: no text in it" in refusal(4, "run", "tiny.yaml")

    def test_too_short(self, place, refusal):
        place.write("text.txt", "ab" * 45)
        told = refusal(4, "run", "tiny.yaml")
        assert told == (
            "text.txt: 72 training tokens are too few: batch_size 4 and window 16 need at least 80"
        )
        told = refusal(4, "run", "tiny.yaml", "data.windows=random", "data.window=90")
        assert "72 training tokens are too few" in told

    def test_invalid_utf_8(self, place, refusal):
        place.write("text.txt", b"abc\ncaf\xe9 " * 100)
        told = refusal(4, "run", "tiny.yaml")
        assert told == "text.txt:2: invalid UTF-8 at byte 7 (set errors: replace to go on)"

    def test_a_folder(self, refusal):
        assert refusal(4, "run", "tiny.yaml", "data.path=.").startswith(".: this is a directory")

    def test_a_corpus_that_is_not_here_yet(self, place, refusal, monkeypatch):
        monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))
        told = refusal(4, "run", "shakespeare_char_lstm")
        assert "seqgen data get tiny_shakespeare" in told
        assert "data.path=FILE" in told

    def test_characters_that_the_tokenizer_refuses(self, refusal):
        told = refusal(4, "run", "tiny.yaml", "tokenizer={alphabet: printable, unk: error}")
        assert "`text` must be of known characters, but has 'é'" in told


def test_a_full_disk_has_its_exit_code(small_disk, command, place):
    disk = small_disk(16)
    ended = command("run", "tiny.yaml", *QUICK, "--out", disk / "run")
    assert ended.code == 7
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") == 1
