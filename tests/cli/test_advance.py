"""How far a work is, on a pipe."""

from seqgen.cli.advance import Advance
from seqgen.cli.terminal import Terminal


def shown(capsys, *events):
    advance = Advance(Terminal(highlight=False, soft_wrap=True))
    advance.begin()
    for share, text in events:
        advance.show(share, text)
    advance.end()
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
