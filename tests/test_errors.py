"""The errors that a person sees, and their exit codes."""

import inspect
import pickle
import re
import signal
from pathlib import Path

import pytest

from seqgen import errors


def test_the_exit_codes_are_the_ones_that_the_docs_name():
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    simple = {kind.__name__: getattr(kind, "exit_code", None) for kind in kinds}
    codes = {code for code in simple.values() if isinstance(code, int)}
    text = (Path(__file__).parent.parent / "docs" / "errors.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert documented == codes | {0, 1}
    assert "| 130, 143 |" in text
    assert simple["RecipeError"] == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_has_the_exit_code_that_shells_give_it(number, code):
    error = errors.StoppedError("stopped", number)
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert each.exit_code == code
        assert str(each) == "stopped"
