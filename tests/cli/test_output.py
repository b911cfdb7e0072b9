"""Files written line by line: whole in the end, honest in between."""

import os
import sys
import threading
from pathlib import Path

import pytest

from seqgen.cli.output import line_file
from seqgen.errors import SetupError


def interrupted(path, lines):
    """Write them, and then come to no end."""
    with line_file(path) as write:
        write("first\n" * bool(lines))
        write(lines)
        raise KeyboardInterrupt


def test_it_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("as before")
    with line_file(path) as write:
        write("a\n")
        assert (tmp_path / "out.txt.part").read_text() == "a\n"
        write("b\u00fc\n")
        assert path.read_text() == "as before"
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt"]
    assert path.read_text(encoding="utf-8") == "a\nb\u00fc\n"


def test_what_was_done_stays_beside_it(tmp_path):
    path = tmp_path / "out.txt"
    kept = pytest.warns(UserWarning, match=r"out\.txt\.part has the lines that were done")
    with kept, pytest.raises(KeyboardInterrupt):
        interrupted(path, "a\n")
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt.part"]


def test_nothing_done_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "out.txt", "")
    assert [*tmp_path.iterdir()] == []


def test_a_full_disk(small_disk):
    folder = small_disk(16)
    with pytest.raises(SetupError, match=r"out\.txt: cannot be written: No space left"):
        interrupted(folder / "out.txt", "a" * 80_000 + "\n")
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize("name", [".", "no/out.txt", "x" * 300, "file/out.txt"])
def test_where_nothing_can_be_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with (
        pytest.raises(SetupError, match=r": cannot be written: [A-Z]"),
        line_file(Path(name)),
    ):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_device_stays_a_device():
    with line_file(Path(os.devnull)) as write:
        write("a\n")
    assert Path(os.devnull).is_char_device()


def test_a_pipe_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    with line_file(path) as write:
        write("a\n")
        write("b\n")
    reader.join(5)
    assert read == ["a\nb\n"]
    assert path.is_fifo()


@pytest.mark.parametrize("path", [None, Path("-")])
def test_standard_output_has_lines_as_they_are(path, capsysbinary):
    with line_file(path) as write:
        write("\x1b[m\u00fc\u202e\n")
        assert capsysbinary.readouterr().out == "\x1b[m\u00fc\u202e\n".encode()


def test_a_terminal_has_nothing_that_acts_on_it(capsysbinary, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with line_file(None) as write:
        write("\x1b[m\u00fc\t\u202e\n")
    assert capsysbinary.readouterr().out == "\\x1b[m\u00fc\t\\u202e\n".encode()
