"""Any text in any encoding; files written line by line: whole in the end, honest in between."""

import io
import json
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

from seqgen.cli.main import main
from seqgen.cli.output import line_file
from seqgen.errors import SetupError
from seqgen.run import RunRequest, run


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


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out.txt.part").symlink_to("mine")
    with line_file(tmp_path / "out.txt") as write:
        write("a\n")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "out.txt").read_text() == "a\n"


def test_finished_lines_stay_in_a_part_file(tmp_path):
    path = tmp_path / "out.txt"
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, "")
    assert [*tmp_path.iterdir()] == [], "nothing done leaves nothing"
    kept = pytest.warns(UserWarning, match=r"out\.txt\.part has the lines that were done")
    with kept, pytest.raises(KeyboardInterrupt):
        interrupted(path, "a\n")
    assert [each.name for each in tmp_path.iterdir()] == ["out.txt.part"]


def test_a_full_disk(small_disk):
    folder = small_disk(16)
    with pytest.raises(SetupError, match=r"out\.txt: cannot be written: No space left"):
        interrupted(folder / "out.txt", "a" * 80_000 + "\n")
    assert [*folder.iterdir()] == []


@pytest.mark.parametrize("name", [".", "no/out.txt", "x" * 300, "file/out.txt"])
def test_where_nothing_can_be_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(SetupError, match=r": cannot be written: [A-Z]"), line_file(Path(name)):
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


# Text that few encodings have, and that acts on terminals and pages.
ODD = "the \U0001f600 \u65e5\u672c\u8a9e caf\u00e9 \u202eabc\u202c [/x] \x1b[m \u201c \u2192 "
ENCODINGS = ["ascii", "cp1252", "utf-16"]
LM = """\
description: "odd \u2013 \U0001f600 text"
data: {name: text, path: odd.txt, batch_size: 4, window: 16}
model: {name: language_model, embedding: {size: 8}, cell: {name: lstm, hidden_size: 8}}
train: {max_steps: 2, validate_every: 1}
samples: {prompts: ["the \U0001f600"], length: 30, temperatures: [1]}
threads: 1
"""
PAIRS = """\
data: {name: pairs, path: odd.tsv, batch_size: 32}
model:
  name: seq2seq
  encoder: {name: recurrent, embedding: {size: 8}, cell: {name: gru, hidden_size: 8}}
  cell: {name: gru, hidden_size: 8}
metrics: [exact_match]
train: {max_steps: 2, validations: 1}
generation: {max_length: 8}
threads: 1
"""


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    texts = {
        "odd.txt": ODD * 60,
        "odd.tsv": "".join(
            f"{ODD[i : i + 5].strip()}{i}\t{ODD[i + 1 : i + 6]}\u2192\n" for i in range(40)
        ),
        "lm.yaml": LM,
        "pairs.yaml": PAIRS,
        "in.txt": "a\U0001f600\u65e5\nb\u202e\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("lm", "pairs"):
            run(RunRequest(f"{name}.yaml", [], Path(name)), lambda plan: None)
    return folder


class AtTerminal(io.TextIOWrapper):
    """A stream that someone looks at."""

    def isatty(self):
        return True


class Streams(NamedTuple):
    code: int
    out: bytes
    err: bytes


@pytest.fixture
def in_encoding(odd_folder, monkeypatch):
    """A function that runs a command whose output and errors are pipes of an encoding, strict as
    Python makes them."""

    def call(encoding, *words, named=True, kind=io.TextIOWrapper):
        monkeypatch.chdir(odd_folder)
        if named:
            monkeypatch.setenv("PYTHONIOENCODING", encoding)
        raw = [io.BytesIO(), io.BytesIO()]
        out, err = (kind(each, encoding=encoding) for each in raw)
        with monkeypatch.context() as patch, warnings.catch_warnings(action="ignore"):
            patch.setattr(sys, "argv", ["seqgen", *map(str, words)])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as ended:
                main()
        for each in (out, err):
            each.flush()
        return Streams(ended.value.code or 0, *(each.getvalue() for each in raw))

    return call


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("code", "command"),
    [
        (0, "--help"),
        (0, "generate --help"),
        (0, "list cells"),
        (0, "validate lm.yaml"),
        (0, "new cell caf{unique}"),
        (0, "run lm.yaml --out \u65e5{unique}"),
        (0, "generate lm"),
        (0, "generate lm --samples 2 --decoder multinomial"),
        (0, "generate lm --prompt \U0001f600\x1b"),
        (0, "generate lm --input in.txt"),
        (0, "generate pairs --input in.txt"),
        (0, "generate pairs --input in.txt --decoder beam --n-best 2"),
        (0, "generate pairs --prompt \u65e5"),
        (0, "evaluate pairs"),
        (2, "r\u00fcn\U0001f600"),
        (3, "validate lm.yaml train.lr=\U0001f600\u202e"),
        (3, "generate lm --prompt \udcff"),
        (5, "evaluate \udcff\u65e5"),
        (5, "evaluate no\u2192where"),
    ],
    ids=str,
)  # fmt: skip
def test_any_text_in_any_encoding(code, command, encoding, in_encoding):
    words = [each.replace("{unique}", encoding.replace("-", "")) for each in command.split(" ")]
    ended = in_encoding(encoding, *words)
    assert ended.code == code, ended.err
    out, err = (each.decode(encoding) for each in ended[1:])
    assert "Traceback" not in err
    if code:
        assert (out, err.count("\n")) == ("", 1)
    else:
        assert "\n" in out
    acts = set("\x1b\u202e") & set(out + err)
    assert not acts or "--input" in command  # such lines are for programs, which get them exactly


def test_a_table_in_an_encoding_without_arrows(in_encoding):
    words = ("--decoder", "greedy", "--decoder", "beam", "--most", 2, "--out", "to\u2192")
    ended = in_encoding("cp1252", "compare", "pairs", *words)
    assert (ended.code, ended.err) == (0, b"")
    lines = ended.out.decode("cp1252").splitlines()
    table = [line for line in lines if "|" in line]
    assert any("\\u2191" in line for line in table)  # more is better
    assert len(table) > 3
    assert len({len(line) for line in table}) == 1
    assert lines[-1] == "report: to\\u2192/compare.html"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_json_in_any_encoding(encoding, in_encoding):
    prompt = f"{ODD}\x9b\u2028\u00ad"
    words = ("generate", "lm", "--json", "--decoder", "multinomial", "--prompt", prompt)
    found = [json.loads(in_encoding(each, *words).out.decode(each)) for each in (encoding, "utf-8")]
    assert found[0] == found[1]
    assert found[0][0]["prompt"] == prompt


def test_a_pipe_gets_utf_8_unless_the_environment_says_otherwise(in_encoding, monkeypatch):
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    words = ("generate", "lm", "--prompt", "caf\u00e9 \u65e5")
    ended = in_encoding("cp1252", *words, named=False)
    assert ended.out.decode("utf-8").startswith("caf\u00e9 \u65e5")
    assert in_encoding("cp1252", *words).out.startswith(b"caf\xe9 \\u65e5")


def test_a_terminal_keeps_its_encoding(in_encoding, odd_folder, monkeypatch):
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for words in (("run", "lm.yaml", "--out", "bar"), ("generate", "lm", "--input", "in.txt")):
        ended = in_encoding("cp1252", *words, named=False, kind=AtTerminal)
        assert ended.code == 0, ended.err
        assert b"\\ud83d\\ude00" in ended.out
    assert b"\\u202e" in ended.out


@pytest.mark.parametrize(
    "words", [["--version"], ["--help"], ["list", "cells"], ["generate", "lm"]]
)
def test_streams_that_are_closed_no_files_or_full(words, monkeypatch, odd_folder):
    monkeypatch.chdir(odd_folder)
    monkeypatch.setattr(sys, "argv", ["seqgen", *words])

    def code(**streams):
        for name, stream in streams.items():
            monkeypatch.setattr(sys, name, stream)
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0

    for streams in ({"stdout": None, "stderr": None}, {}):
        assert code(**streams) == 0
        sys.stdout.close()
        sys.stderr.close()
    out, err = io.StringIO(), io.StringIO()
    assert code(stdout=out, stderr=err) == 0
    assert out.getvalue()
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        assert code(stdout=full, stderr=err) == 7
    assert err.getvalue() == "standard output: cannot be written: No space left on device\n"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        assert code(stdout=full, stderr=full) == 7


def test_nothing_is_said_at_the_exit(spawn):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        process = spawn("--version", stdout=full)
        assert process.wait(60) == 7
        assert process.stderr.read().count("\n") == 1
    process = spawn("list", "cells")
    process.stdout.close()
    process.stdout = None
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
