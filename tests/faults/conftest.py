"""The contract that all faults have in common."""

import pytest


@pytest.fixture
def refused(command, place):
    """A function that runs a command which must fail with `code`; returns the one line it says.

    Nothing is printed besides but warnings, no file comes, goes or changes, and the line has
    `says` in it and is neither a traceback nor the words of a library.
    """

    def check(code, says, *words):
        before = place.files()
        ended = command(*words)
        assert ended.code == code, ended.err
        assert ended.out == ""
        lines = [each for each in ended.err.splitlines() if not each.startswith("warning: ")]
        assert len(lines) == 1, ended.err
        assert says in lines[0]
        assert "Value error," not in lines[0]
        assert "Input should" not in lines[0]
        assert place.files() == before
        return lines[0]

    return check
