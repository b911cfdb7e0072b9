"""How far a work is, on a pipe."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.cli.displays import Display, Terminal, plain_table, show_table


def shown(capsys, *events):
    with Display() as display:
        display.begin()
        for share, text in events:
            display.advance(share, text)
    return capsys.readouterr().out.splitlines()


def test_a_few_lines_of_much_work(capsys):
    lines = shown(capsys, *((each / 1000, f"piece {each}") for each in range(1000)))
    assert len(lines) == 20
    assert lines[:2] == ["  0%  piece 0", "  5%  piece 50"]


def test_all_of_little_work_and_then_the_next(capsys):
    work = [(each / 4, f"a{each}") for each in range(4)]
    lines = shown(capsys, *work, (0, "b0"), (0.5, "b1"))
    assert lines == ["  0%  a0", " 25%  a1", " 50%  a2", " 75%  a3", "  0%  b0", " 50%  b1"]


def test_nothing_acts(capsys):
    assert shown(capsys, (0.5, "[/x]\x1b[31m")) == [" 50%  [/x]\\x1b[31m"]


# What a run shows: plain lines on a pipe, a bar in a terminal, nothing that acts.
PLAN = {
    "recipe": "tiny",
    "description": "with [/x] and \x1b[31m",
    "parameters": 12345,
    "vocab_size": 70,
    "data": {"a.txt": "00"},
    "remarks": [],
    "train_tokens": 100,
    "valid_tokens": 10,
    "device": "cpu",
    "threads": 2,
    "precision": "float32",
    "budget": "3 steps",
    "fast": {},
    "resumed_at": None,
}


def train(step, steps=100):
    return {
        "event": "train",
        "step": step,
        "progress": step / steps,
        "seconds": step / 10,
        "loss": 2.5,
        "tokens_per_second": 1234.0,
    }


def valid(text, best=True):
    sample = {"prompt": "the ", "text": text, "continues": True}
    figures = {"nats_per_token": 2.0, "bits_per_char": 2.9}
    return {"event": "valid", "step": 3, **figures, "best": best, "samples": [sample]}


def shown_display(capsys, *events, plan=None):
    with Display() as display:
        display.announce({**PLAN, **(plan or {})})
        for event in events:
            display.event(event)
    return capsys.readouterr().out


def test_what_a_run_will_do(capsys):
    assert shown_display(capsys) == (
        "tiny: with [/x] and \\x1b[31m\n"
        "  model   12,345 parameters, 70 tokens\n"
        "  data    a.txt: train 100, valid 10 tokens\n"
        "  machine cpu, 2 threads, float32\n"
        "  budget  3 steps\n"
    )
    assert "\n  note    3 rows left out\n" in shown_display(
        capsys, plan={"remarks": ["3 rows left out"]}
    )
    assert "  machine cpu, 1 thread, float32\n" in shown_display(capsys, plan={"threads": 1})
    assert shown_display(capsys, plan={"resumed_at": 7}).endswith("  resumed at step 7\n")


def test_a_pipe_gets_some_plain_lines(capsys):
    lines = shown_display(capsys, *(train(step) for step in range(1, 101))).splitlines()[5:]
    assert 19 <= len(lines) <= 21
    assert lines[0] == "  1%  step 1  loss 2.500  1,234 tokens/s  9.9 s left"
    assert lines[-1] == "100%  step 100  loss 2.500  1,234 tokens/s  0 s left"


@pytest.mark.parametrize(
    "text", ["[/x][bold]\x1b[31m", "a\nb\r\x00c\u202e", "\ud800", "日本" * 500]
)
def test_samples_do_not_act_on_the_terminal(text, capsys):
    told = shown_display(capsys, valid(text), valid(text, best=False))
    lines = told.splitlines()[5:]
    assert len(lines) == 4
    assert lines[0] == "step 3  valid 2.000 nats/token, 2.900 bits/char  best"
    assert lines[2] == "step 3  valid 2.000 nats/token, 2.900 bits/char"
    assert lines[1].startswith("  the ")
    assert len(lines[1]) <= 102
    assert not set("\x1b\x00\r\u202e") & set(told)


def test_other_events_are_left_to_others(capsys):
    assert shown_display(capsys, {"event": "weather"}) == shown_display(capsys)


def test_the_end(capsys):
    figures = {"bits_per_char": 1.5, "nats_per_token": 1.04, "perplexity": None, "accuracy": 0.5}
    result = {
        "train": {"steps": 12, "seconds": 75, "tokens_per_second": 1000.0},
        "stopped": "the budget was spent",
        "test": figures,
    }
    Display().conclude(result, Path("runs/tiny"))
    assert capsys.readouterr().out == (
        "trained 12 steps in 1 min 15 s, 1,000 tokens/s; the budget was spent\n"
        "  test  1.500 bits/char, 1.040 nats/token, perplexity \u2013, accuracy 50.0%\n"
        "report: runs/tiny/report.html   samples: runs/tiny/samples.txt\n"
    )


@pytest.fixture
def at_terminal(monkeypatch):
    """A function that shows a run at a terminal of 60 columns with an encoding; what it got."""

    def show(encoding, recipe, sample):
        raw = io.BytesIO()
        terminal = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
        monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "60")
        with Display() as display:
            display.announce({**PLAN, "recipe": recipe})
            display.event(train(50))
            display.event(valid(sample))
        terminal.flush()
        return raw.getvalue().decode(encoding)

    return show


def test_a_terminal_gets_a_bar(at_terminal):
    told = at_terminal("utf-8", "tiny", "x" * 200)
    assert "━" in told
    assert "step 50" in told
    assert "x" * 52 in told
    assert "x" * 53 not in told
    assert "\x1b[?25h" in told, "the cursor is back"


def test_a_terminal_without_the_letters(at_terminal):
    """The bar and what is measured by its width are codes from the start."""
    told = at_terminal("cp1252", "\u65e5\u202e", "\U0001f600" * 200)
    assert "\\u65e5\\u202e" in told
    [line] = [each for each in told.splitlines() if "\\ud83d" in each]
    assert len(line.split("the ")[1].split("\x1b")[0]) == 52


def test_work_goes_on_when_the_reader_goes_away():
    code = (
        "import sys, time; sys.path.insert(0, '.')\n"
        "from seqgen.cli.displays import Display\n"
        f"plan = {PLAN!r}\n"
        "sys.stdin.read()\n"
        "with Display() as display:\n"
        "    for _ in range(3):\n"
        "        display.announce(plan)\n"
        "print('done', file=sys.stderr)"
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", code], **pipes)
    process.stdout.close()
    process.stdin.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=600) == 0
    assert said == b"done" + os.linesep.encode()


def test_metrics_and_outputs_of_sources(capsys):
    event = {**valid("x"), "metrics": {"word_error_rate": 0.25, "bleu": 31.5}}
    event["samples"] = [{"prompt": "abc", "text": "A B C", "continues": False}]
    told = shown_display(capsys, event)
    assert "2.900 bits/char, word error rate 0.2500, bleu 31.50  best\n" in told
    assert "  abc \u2192 A B C\n" in told


# The table of a comparison in terminals of many widths.
HEADERS = [
    "strategy",
    "word error rate, % \u2193",
    "log-probability per token, nats",
    "finished, %",
]
LABEL = "beam beam_size=10 length_normalisation=power (take)"
ROWS = [
    [LABEL, "24.00 (21.00\u201327.00)", "-0.1", "100"],
    ["[/x] greedy (baseline)", "25.00 (22.00\u201328.00)", "-0.12", "99.50"],
]


def shown_comparison_table(width, headers=HEADERS, rows=ROWS):
    file = io.StringIO()
    terminal = width is not None
    console = Terminal(
        file=file, width=width, highlight=False, soft_wrap=True, force_terminal=terminal,
        color_system=None,
    )  # fmt: skip
    left_out = show_table(console, headers, rows)
    return left_out, file.getvalue().splitlines()


@pytest.mark.parametrize("width", [200, 80, 40, 20])
def test_a_plain_table_is_folded_and_never_cut(width):
    row = ("not tried", "what it remembers has a row for each prompt", "blocked by: it is a draft")
    table = plain_table()
    table.add_row(*row)
    file = io.StringIO()
    Terminal(file=file, width=width, force_terminal=True, color_system=None).print(table)
    told = file.getvalue()
    assert max(map(len, told.splitlines())) <= width
    assert sorted("".join(told.split())) == sorted("".join(row).replace(" ", ""))


@pytest.mark.parametrize(
    ("width", "left_out"), [(200, 0), (100, 0), (80, 0), (70, 1), (55, 2), (40, 2), (20, 2)]
)
def test_columns_that_do_not_fit_are_left_out_and_nothing_is_cut(width, left_out):
    found, lines = shown_comparison_table(width)
    assert found == left_out
    text = "\n".join(lines)
    for row in ROWS:
        for cell in row[1 : len(row) - left_out]:
            assert cell in text
    assert "\u2026" not in text
    if width > 20:
        assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [80, 70, 60])
def test_words_of_titles_and_labels_stay_whole(width):
    text = "\n".join(shown_comparison_table(width)[1])
    words = ["strategy", "beam_size=10", "length_normalisation=power", "[/x] greedy", "(baseline)"]
    assert all(word in text for word in words)
    assert "log-probability" in text or width < 80


def test_where_there_is_no_room_for_a_table_values_stand_below_labels():
    _, lines = shown_comparison_table(20)
    assert lines[:2] == [LABEL, "  word error rate, % \u2193: 24.00 (21.00\u201327.00)"]


@pytest.mark.parametrize("width", range(45, 110))
def test_short_labels_always_stand_in_a_table(width):
    rows = [["greedy (take, baseline)", *ROWS[0][1:]], ["beam beam_size=10", *ROWS[1][1:]]]
    _, lines = shown_comparison_table(width, rows=rows)
    assert "25.00 (22.00" in next(line for line in lines if line.startswith("beam"))
    assert "24.00 (21.00" in next(line for line in lines if line.startswith("greedy (take"))
    assert max(map(len, lines)) <= width


def test_a_pipe_has_room_for_everything():
    left_out, lines = shown_comparison_table(None, rows=[["x" * 300, *ROWS[0][1:]], ROWS[1]])
    assert left_out == 0
    assert len([line for line in lines if "x" * 300 in line and "24.00 (21.00" in line]) == 1
