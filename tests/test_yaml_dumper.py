"""Plain data to YAML text that reads back as the same data."""

import math
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.yaml_loader import dump, load_document, parse_value


def load(text):
    return load_document(text.encode(), "r.yaml")


TRICKY = [
    *["", "~", "null", "true", "no", "on", "y", "12:30", "1e-3", "010", "0o7", "0x1F", ".5", "1."],
    *[
        ".inf",
        ".nan",
        "inf",
        "nan",
        "<<",
        "=",
        "- a",
        "a: b",
        "a #b",
        "#",
        "---",
        "...",
        "%a",
        "!a",
    ],
    *["2026-01-02", "1_000", "a\nb", "\n", " a", "a ", "a\tb", "\x00\x1b\x7f", "\x85\u2028\ufeff"],
    *[
        "\U0001f600",
        "\U000e0001",
        "\uffff",
        "\\",
        '"',
        "'",
        "é",
        "a,b",
        "[a]",
        "{a}",
        "x:",
        "C:\\x",
    ],
]
CHARACTERS = st.characters(exclude_categories=["Cs"])
STRINGS = st.one_of(
    st.text(CHARACTERS, max_size=12),
    st.text("-:#,[]{}&*!|>'\"%@`?= \n\r\t0123456789.eExo+~/", max_size=8),
    st.sampled_from(TRICKY),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), STRINGS)
DATA = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(STRINGS, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(one, other):
    """Equal, with equal types and equal signs of zero, and in the same order."""
    return repr(one) == repr(other)


class TestDump:
    @given(st.dictionaries(STRINGS, DATA, max_size=4))
    @settings(max_examples=200, deadline=None)
    def test_reads_back_the_same(self, data):
        assert same(load(dump(data)).data, data)

    @pytest.mark.parametrize("text", TRICKY)
    def test_tricky_strings(self, text):
        for data in ({"a": text}, {text: text}, {"a": [text, text]}, {"a": [{text: [{}]}]}):
            assert load(dump(data)).data == data

    @given(LEAVES | st.lists(LEAVES, max_size=3))
    @settings(max_examples=100, deadline=None)
    def test_a_short_value_is_an_override_too(self, value):
        line = dump(value).rstrip("\n")
        if not line.startswith("-") or not isinstance(value, list):
            assert same(parse_value(line), value)

    def test_is_easy_to_read(self):
        data = {
            "seed": 1,
            "model": {
                "name": "language model",
                "cells": [{"name": "lstm", "sizes": (2, 3)}, "gru"],
            },
            "betas": [0.9, 0.999],
            "lr": 1e-3,
            "path": PurePosixPath("data/é.txt"),
            "words": ["a" * 50, "b" * 50],
            "strings": ["1e-3", "no", "null", "0o7", "12:30", "", "a\nb", "\x1b", "a: b"],
            "nested": [["c" * 90], []],
            "nothing": {"list": [], "mapping": {}, "null": None, "no": False, "inf": math.inf},
        }
        assert dump(data) == (
            "seed: 1\n"
            "model:\n"
            "  name: language model\n"
            "  cells:\n"
            "    - name: lstm\n"
            "      sizes: [2, 3]\n"
            "    - gru\n"
            "betas: [0.9, 0.999]\n"
            "lr: 0.001\n"
            "path: data/é.txt\n"
            "words:\n"
            f"  - {'a' * 50}\n"
            f"  - {'b' * 50}\n"
            'strings: ["1e-3", "no", "null", "0o7", "12:30", "", "a\\nb", "\\x1b", "a: b"]\n'
            "nested:\n"
            f"  - - {'c' * 90}\n"
            "  - []\n"
            "nothing:\n"
            "  list: []\n"
            "  mapping: {}\n"
            '  "null": null\n'
            '  "no": false\n'
            "  inf: .inf\n"
        )
        back = load(dump(data)).data
        assert back == {**data, "path": "data/é.txt", "model": back["model"]}
        assert back["model"]["cells"][0]["sizes"] == [2, 3]

    def test_nan(self):
        assert math.isnan(load(dump({"a": math.nan})).data["a"])

    def test_what_no_recipe_can_hold_is_refused(self):
        endless: list[object] = []
        endless.append(endless)
        for data in (endless, {"a": "\ud800"}, {"a" * 2000: 1}, {"a": 10**100}):
            with pytest.raises(ValueError, match=r"deep|half|longer|digits"):
                dump(data)
        for data in ({1: 2}, {"a": {1, 2}}, {"a": b"x"}):
            with pytest.raises(TypeError, match=r"must be a string|cannot write"):
                dump(data)
