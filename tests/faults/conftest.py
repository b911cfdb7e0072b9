"""The contract that all faults have in common."""

import pytest


@pytest.fixture
def refused(refusal):
    """A function that runs a command which must fail with `code`, and looks at what it says.

    `refusal` sees to one line, nothing printed and no file that came, went or changed; here the
    line must have `says` in it, and must be neither a traceback nor the words of a library.
    """

    def check(code, says, *words):
        line = refusal(code, *words)
        assert says in line, line
        assert "Traceback" not in line
        assert "Value error," not in line
        assert "Input should" not in line
        return line

    return check
