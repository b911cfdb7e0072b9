"""What tests of several verbs use: lines on standard input, and commands that work or are refused.

In the words of a command `@lm` stands for the folder of a finished run that continues prompts,
`@pairs` for one that answers sources, and `@copy` for a copy of the first that a test may change.
"""

import io
import re
import shlex
import sys

import pytest

RUNS = {"@lm": "finished_run", "@pairs": "pairs_run", "@copy": "copied_run"}


@pytest.fixture
def type_in(monkeypatch):
    """A function after which standard input has these bytes."""

    def put(content):
        raw = io.BytesIO(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8"))

    return put


@pytest.fixture
def with_runs(request):
    """A function that puts the folders of runs into a text."""

    def put(text):
        for name, fixture in RUNS.items():
            if name in text:
                text = text.replace(name, str(request.getfixturevalue(fixture)))
        return text

    return put


@pytest.fixture
def output(command, with_runs, place):
    """A function that runs a command which must work, and say `err`: what it prints."""

    def call(*words, err=""):
        ended = command(*(with_runs(str(each)) for each in words))
        assert (ended.code, ended.err) == (0, err)
        return ended.out

    return call


@pytest.fixture
def refused(refusal, with_runs):
    """A function that runs a command line which must end with this code and line, in which … stands
    for any text."""

    def check(code, words, said):
        line = refusal(code, *map(with_runs, shlex.split(words)))
        pattern = ".*".join(map(re.escape, with_runs(said).split("…")))
        assert re.fullmatch(pattern, line), line

    return check
