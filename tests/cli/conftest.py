"""What tests of several verbs read: lines on standard input."""

import io
import sys

import pytest


@pytest.fixture
def type_in(monkeypatch):
    """A function after which standard input has these bytes."""

    def put(content):
        raw = io.BytesIO(content if isinstance(content, bytes) else content.encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw, encoding="utf-8"))

    return put
