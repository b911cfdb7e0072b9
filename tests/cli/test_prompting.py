"""Texts as they come, on pipes and terminals, and what a person types."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from seqgen.cli.generation import DecoderOptions
from seqgen.cli.prompting import Conversation
from seqgen.trained import TrainedRun


@pytest.mark.parametrize(
    "words",
    [
        ["@lm", "--prompt", "the "],
        ["@lm", "--prompt", "the ", "--prompt", "cat"],
        ["@lm"],
        ["@lm", "--prompt", "the ", "--stop", "e", "--stop", "t"],
        ["@lm", "--prompt", "the ", "--stop", "e", "--keep-stop"],
        ["@pairs", "--prompt", "abc", "--prompt", ""],
        ["@pairs", "--prompt", "abc", "--stop", "B"],
    ],
    ids=range(7),
)
def test_a_stream_writes_what_is_written_without(output, words, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    whole = output("generate", *words, "--max-length", 20, "--decoder", "multinomial")
    more = ("--decoder", "multinomial", "--stream")
    assert output("generate", *words, "--max-length", 20, *more) == whole


@pytest.mark.parametrize("run", ["@lm", "@pairs"])
def test_piped_lines_stream(output, run, monkeypatch):
    """Line breaks of an output are written as codes, with or without."""
    found = []
    for more in ((), ("--stream",)):
        reader, writer = os.pipe()
        os.write(writer, b"the \nca\nt" if run == "@lm" else b"abc\nd\ne")
        os.close(writer)
        with os.fdopen(reader) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            found.append(output("generate", run, "--max-length", 20, *more))
    assert found[0] == found[1]
    assert found[0].count("\n") == 3


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (2, "@lm --stream --json", "--stream and --json exclude one another"),
        (2, "@lm --stream --samples 2", "--stream and --samples exclude one another"),
        (2, "@lm --stream --input x", "--stream and --input exclude one another"),
        (2, "@lm --stream --trace x", "--stream and --trace exclude one another"),
        (
            *(2, "@lm --stream --decoder beam"),
            "--stream: the decoder 'beam' compares whole texts, so it has none to show before …",
        ),
        (3, "@lm --stop ''", "--stop '': generation.stop: must be at least 1 long, but is …"),
        (2, "@lm --max-seconds 0", "…must be greater than 0…"),
    ],
)
def test_refusals_before_any_work(refused, code, words, said):
    refused(code, f"generate {words}", said)


def test_json_says_why_an_output_ended(output):
    words = ("--prompt", "the ", "--max-length", 9, "--json")
    for more, reason in (((), "length"), (("--stop", "a"), "stop"), (("--stop", "dog"), "length")):
        said = output("generate", "@lm", *words, *more)
        assert f'"finish_reason": "{reason}"' in said
        assert f'"stop": "{"a" if reason == "stop" else ""}"' in said


@contextmanager
def typing(monkeypatch, *lines):
    """Standard input is a terminal where these lines are typed, and standard output one, too."""
    master, slave = pty.openpty()
    os.write(master, "".join(f"{line}\n" for line in lines).encode() + b"\x04")
    with os.fdopen(slave) as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", terminal)
        patch.setattr(type(sys.stdout), "isatty", lambda stream: True, raising=False)
        yield
    os.close(master)


@pytest.fixture
def typed(command, with_runs, monkeypatch):
    """A function: what a command prints where these lines are typed, and what it complains of."""

    def call(words, *lines):
        with typing(monkeypatch, *lines):
            ended = command("generate", *with_runs(words).split())
        assert ended.code == 0
        first, *errors = ended.err.splitlines()
        assert first.endswith("a line; /help says what else, Ctrl-D ends")
        return ended.out.split("> ")[1:], [each for each in errors if each]

    return call


def test_a_person_at_a_terminal_gets_a_prompt(typed, output):
    shown, errors = typed("@lm --max-length 20", "the ", "cat", "", "/reset", "the ")
    one = output("generate", "@lm", "--max-length", 20, "--prompt", "the ")
    assert (shown[0], shown[4], errors) == (one, one, [])
    assert shown[1].startswith("cat")
    assert not shown[2].startswith("cat")  # it goes on where the last text ended
    shown, errors = typed("@pairs", "abc", "d")
    assert shown[:2] == [output("generate", "@pairs", "--prompt", each) for each in ("abc", "d")]


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        (["/temperature 0.5"], ["--set", "temperature=0.5"]),
        (["/seed 3"], ["--seed", "3"]),
        (["/length 5"], ["--max-length", "5"]),
        (
            ["/top_k 2", "/top_p 0.9"],
            ["--set", "truncations=[{name: top_k, k: 2}, {name: top_p, p: 0.9}]"],
        ),
        (["/top_k 2", "/top_k off"], []),
        (["/decoder top_k k=3", "/top_k 2"], ["--decoder", "top_k", "--set", "k=2"]),
        (
            ["/decoder beam n_best=2", "/n_best 1", "/beam_size 3"],
            ["--decoder", "beam", "--set", "beam_size=3"],
        ),
        (["/stop e"], ["--stop", "e"]),
        (['/stop ["e", " "]', "/keep_stop true"], ["--stop", "e", "--stop", " ", "--keep-stop"]),
        (["/stop e", "/stop off"], []),
    ],
    ids=range(10),
)
def test_options_change_on_the_way(typed, output, commands, words):
    """As the options of the command line do."""
    shown, errors = typed("@lm --decoder multinomial --max-length 20", *commands, "the ")
    given = ("generate", "@lm", "--decoder", "multinomial", "--max-length", 20, "--prompt", "the ")
    assert (shown[len(commands)], errors) == (output(*given, *words), [])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/temperature x", "/temperature x: must be a number, but is 'x'"),
        ("/temprature 1", "/temprature 1: not an option of decoder 'multinomial'; did you mean"),
        ("/temperature", "/temperature: no value"),
        ("/top_k x", "/top_k x: k: must be an integer, but is 'x'"),
        ("/decoder nothing", "/decoder nothing: no decoder named 'nothing'"),
        ("/decoder top_k", "/decoder top_k: `k` is missing"),
        ("/decoder beam beam_size=x", "/decoder beam beam_size=x: beam_size: must be an integer"),
        ("/seed -1", "/seed: must be at least 0"),
        ("/length x", "/length: must be an integer"),
        ('/stop ""', "stop: must be at least 1 long"),
        ("/stop_tokens ab", "stop_tokens: 'ab' must be one token"),
        ("/max_seconds 0", "max_seconds: must be greater than 0"),
        ("/carry x", "/carry: must be on or off"),
        ("/", "/: no command"),
    ],
)
def test_a_wrong_line_is_one_line_and_the_prompt_goes_on(typed, line, said):
    shown, errors = typed("@lm --decoder multinomial --max-length 9", line, "the ")
    [error] = errors
    assert error.startswith(said)
    assert shown[1].startswith("the ")


def test_a_wrong_source_is_one_line(typed):
    shown, errors = typed("@pairs", "a\tb", "", "/carry on", "abc")
    assert [each.split(": ")[0] for each in errors] == [
        *("standard input:1", "standard input:1", "/carry"),
    ]
    assert shown[3].strip()


def test_the_state_is_carried_on_or_reset(finished_run, capsys):
    trained = TrainedRun.load(finished_run)
    talk = Conversation(trained, DecoderOptions("greedy"), 8)
    for line in ("/carry on", "the ", "cat", "/reset", "cat", "/carry off", "//x"):
        talk.answer(line)
    first, second, fresh, slash = capsys.readouterr().out.splitlines()
    assert first == trained.generate("the ", "greedy", 8)
    assert first + second == trained.generate(first + "cat", "greedy", 8)
    assert fresh == trained.generate("cat", "greedy", 8)
    assert slash == trained.generate("/x", "greedy", 8) if "/" in trained.prompts else slash


def test_help_and_options_are_shown(typed):
    shown, errors = typed("@lm --max-length 7", "/help", "/options", "/quit")
    assert errors == []
    assert all(each in shown[0] for each in ("/temperature", "/carry", "/quit", "Ctrl-C"))
    assert '"max_length": 7' in shown[1]
    shown, _ = typed("@pairs", "/help")
    assert "/carry" not in shown[0]


def test_control_c_stops_a_text_and_not_the_program(spawn, finished_run):
    """On a terminal of its own, which is narrow."""
    master, slave = pty.openpty()
    how = {"stdin": slave, "stdout": slave, "stderr": subprocess.PIPE, "text": False}
    process = spawn("generate", finished_run, "--decoder", "multinomial", **how)
    os.close(slave)

    seen = b""

    def read_until(wanted):
        nonlocal seen
        while wanted not in seen:
            assert select.select([master], [], [], 60)[0], seen
            seen += os.read(master, 4096)
        seen = seen.partition(wanted)[2]

    read_until(b"> ")
    os.write(master, b"/length 1000000\n")
    read_until(b"> ")
    os.write(master, b"the \n")
    read_until(b"the \r\nthe ")
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    read_until(b"\r\n> ")
    os.write(master, b"/length 3\nthe \n")
    read_until(b"> the \r\nthe ")
    read_until(b"\r\n> ")
    os.write(master, b"abc")
    read_until(b"abc")
    # Where nothing is made, it is the line that is given up. A signal that comes just before
    # readline waits for a key is only seen with the next key, so there may have to be another.
    for _ in range(60):
        process.send_signal(signal.SIGINT)
        if select.select([master], [], [], 1)[0]:
            break
    read_until(b"> ")
    os.write(master, b"/quit\n")
    assert process.wait(60) == 0
    os.close(master)


def test_elsewhere_standard_input_is_read_as_before(output, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("cat "))
    own = output("generate", "@lm", "--max-length", 6)
    assert own == output("generate", "@lm", "--max-length", 6, "--prompt", "the ")
