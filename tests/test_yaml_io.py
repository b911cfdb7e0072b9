"""YAML text to plain data: scalars, places, refusals, limits."""

import math
import time
import tracemalloc
from contextlib import suppress
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import RecipeError
from seqgen.yaml_io import Mark, dump, load_document, parse_value


def load(content):
    content = content.encode() if isinstance(content, str) else content
    return load_document(content, "r.yaml")


def refusal(content):
    with pytest.raises(RecipeError) as caught:
        load(content)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


SCALARS = [
    *[("", None), ("~", None), ("null", None), ("Null", None), ("NULL", None), ("nULL", "nULL")],
    *[("true", True), ("True", True), ("TRUE", True), ("tRUE", "tRUE")],
    *[("false", False), ("False", False), ("FALSE", False)],
    *[("0", 0), ("010", 10), ("-3", -3), ("+3", 3), ("0o17", 15), ("0x1F", 31), ("0o8", "0o8")],
    *[("0b1", "0b1"), ("1_000", "1_000"), ("-0x1", "-0x1"), ("٣", "٣"), ("9" * 100, 10**100 - 1)],
    *[("1e-3", 1e-3), ("3e-4", 3e-4), ("1E5", 1e5), (".5", 0.5), ("1.", 1.0), ("-1.5e+3", -1500.0)],
    *[(".inf", math.inf), ("-.Inf", -math.inf), ("+.INF", math.inf), (".", "."), ("e5", "e5")],
    *[(word, word) for word in ("no", "on", "yes", "off", "y", "12:30", "1:2", "=", "2026-01-02")],
    *[("inf", "inf"), ("nan", "nan"), ("1e", "1e"), ("a b", "a b"), ("./x/y.txt", "./x/y.txt")],
    *[("'1'", "1"), ('"no"', "no"), ("'null'", "null"), ('""', "")],
    ('"a\\n\\x1b\\U0001F600"', "a\n\x1b😀"),
]


class TestScalars:
    @pytest.mark.parametrize(("written", "meant"), SCALARS)
    def test_plain_ones_are_yaml_1_2_and_quoted_ones_are_strings(self, written, meant):
        found = load(f"a: {written}\n").data["a"]
        assert found == meant
        assert type(found) is type(meant)

    def test_not_a_number(self):
        for written in (".nan", ".NaN", ".NAN", dump(math.nan)):
            assert math.isnan(load(f"a: {written}").data["a"])

    def test_block_scalars_are_strings(self):
        assert load("a: |\n  1\nb: >-\n  1\n  2\n").data == {"a": "1\n", "b": "1 2"}

    def test_keys_are_strings_as_written(self):
        keys = ["no", "1", "1e-3", "null", "~", "0x1F", "<<"]
        text = "".join(f"{key}: 1\n" for key in keys[:-1]) + "'<<': 1\n"
        assert list(load(text).data) == keys


class TestPlaces:
    TEXT = (
        "# c\nmodel:\n  name: lm\n  cells:\n    - {name: lstm, size: 2}\n    - gru\n"
        "lr:   1e-3\ne:\n"
    )

    def test_every_key_and_value_has_one(self):
        document = load(self.TEXT)
        assert document.data["model"]["cells"][0] == {"name": "lstm", "size": 2}
        places = {  # of a key, where there is one, and of its value
            (): (None, Mark(2, 1)),
            ("model",): (Mark(2, 1), Mark(3, 3)),
            ("model", "name"): (Mark(3, 3), Mark(3, 9)),
            ("model", "cells"): (Mark(4, 3), Mark(5, 5)),
            ("model", "cells", 0): (None, Mark(5, 7)),
            ("model", "cells", 0, "name"): (Mark(5, 8), Mark(5, 14)),
            ("model", "cells", 0, "size"): (Mark(5, 20), Mark(5, 26)),
            ("model", "cells", 1): (None, Mark(6, 7)),
            ("lr",): (Mark(7, 1), Mark(7, 7)),
            ("e",): (Mark(8, 1), Mark(8, 3)),
        }
        assert document.keys == {path: key for path, (key, _) in places.items() if key}
        assert document.values == {path: value for path, (_, value) in places.items()}

    @pytest.mark.parametrize("line_end", ["\r\n", "\r"])
    def test_they_do_not_depend_on_line_ends_nor_on_a_byte_order_mark(self, line_end):
        text = "\ufeff" + self.TEXT.replace("\n", line_end)
        assert load(text) == load(self.TEXT)

    def test_wide_characters_count_as_one(self):
        assert load("é😀: {ü: 1}").keys["é😀", "ü"] == Mark(1, 6)


FORBIDDEN = (0, 7, 27, 127, 133, 0x2028, 0xFEFF, 0xFFFE)
REFUSED = [
    ("a: 1\na: 2", "2:1: a: duplicate key; the first is at 1:1"),
    ("m:\n  a: 1\n  'a': 2", "3:3: m.a: duplicate key; the first is at 2:3"),
    ("m: [{a: 1, a: 2}]", "1:12: m.0.a: duplicate key; the first is at 1:6"),
    ("a: !!python/object/apply:os.system [ls]", "1:4: the tag '!!python/object/apply:os.system'"),
    *[(f"a: {tag} 1", "1:4: the tag") for tag in ("!", "!x", "!!str", "!<tag:x>")],
    ("!!map {a: 1}", "1:1: the tag '!!map'"),
    ("!x a: 1", "1:1: the tag '!x'"),
    ("%TAG !x! tag:x\n---\na: 1", "1:1: a % directive"),
    ("%YAML 1.1\n---\na: no", "1:1: a % directive"),
    ("a: &x 1", "1:4: the anchor '&x'; write the value twice"),
    ("&x a: 1", "1:1: the anchor '&x'; write the value twice"),
    ("a: *x", "1:4: the alias '*x'; write the value twice"),
    ("? [a]\n: b", "1:3: a list or mapping as a key"),
    ("<<: {a: 1}", "1:1: the merge key <<"),
    ("a: 1\n---\nb: 1", "2:1: a second document"),
    ("", "1:1: the file must hold a mapping (key: value), but is empty"),
    ("# only this\n\n", "1:1: the file must hold a mapping (key: value), but is empty"),
    ("---\n", "2:1: the file must hold a mapping (key: value), but is empty"),
    ("- a\n", '1:1: the file must hold a mapping (key: value), but is ["a"]'),
    ("\nhello", "2:1: the file must hold a mapping (key: value), but is 'hello'"),
    ("a:\n\t- b", "2:1: a tab"),
    ("a: b\tc", "1:5: a tab"),
    *[(f"a: x{chr(code)}", f"1:5: the character U+{code:04X}") for code in FORBIDDEN],
    ("a: é\nb: é".encode("latin-1"), "1:4: byte 3 (0xe9) is not UTF-8"),
    ("# ä\r\nb: é".encode() + b"\xff", "2:5: byte 11 (0xff) is not UTF-8"),
    (b"\xef\xbb\xbfa: \xff", "1:4: byte 6 (0xff) is not UTF-8"),
    ("a: 1".encode("utf-16"), "1:1: this is UTF-16; save the file as UTF-8"),
    (b"\xfe\xff" + "a: 1".encode("utf-16-be"), "1:1: this is UTF-16"),
    ("a: " + "1" * 101, "1:4: an integer of 101 digits; at most 100 are read"),
    ("a: [1, 0x" + "1" * 5000 + "]", "1:8: an integer of 5000 digits"),
    ("a: [1, 2", "1:9: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence"),
    ("a: b: c", "1:5: a ':' where none can be"),
    ("  a: 1\n b: 2", "2:2: this belongs to nothing before it"),
    ("a: @x", "1:4: found character '@' that cannot start any token"),
    ('a: "\\UFFFFFFFF"', "1:7: a number in an escape or a directive that is out of range"),
    ('a: "\\ud83d\\ude00"', "1:4: half a character"),
    ('"\\ud83d": 1', "1:1: half a character"),
]


class TestRefusals:
    @pytest.mark.parametrize(("content", "message"), REFUSED)
    def test_say_where_and_what_on_one_line(self, content, message):
        assert refusal(content).startswith(f"r.yaml:{message}")

    def test_a_line_1_2_directive_and_a_document_start_are_fine(self):
        assert load("%YAML 1.2\n---\na: 1\n...\n").data == {"a": 1}


def bomb():
    return "".join(f"a{i}: &a{i} [{f'*a{i - 1}, ' * 9 if i else ''}]\n" for i in range(30))


HOSTILE = {
    "alias bomb": (bomb(), "the anchor"),
    "recursive alias": ("a: &a [*a]", "the anchor"),
    "deep block": ("".join(" " * i + "a:\n" for i in range(300)), "33:33: nested more than 32"),
    "deep flow": ("a: " + "[" * 3000 + "]" * 3000, "1:36: nested more than 32 deep"),
    "open lists": ("[" * 65536, "1:33: nested more than 32 deep"),
    "open lists, a line each": ("a:\n  " + "[\n  " * 16000, "nested more than 32 deep"),
    "open mappings": ("a: " + "{a: " * 16000, "nested more than 32 deep"),
    "open block lists": ("- " * 32000, "1:65: nested more than 32 deep"),
    "300 KB": ("a: 1\n" * 60_000, "1:1: more than 64 KiB of text (300000 bytes)"),
    "5000 digits": ("a: " + "1" * 5000, "an integer of 5000 digits"),
    "one byte too many": ("a: " + "x" * (64 * 1024 - 2), "more than 64 KiB"),
}


class TestLimits:
    @pytest.mark.parametrize("name", HOSTILE)
    def test_hostile_files_are_refused_at_once(self, name):
        content, message = HOSTILE[name]
        began = time.monotonic()
        tracemalloc.start()
        try:
            assert message in refusal(content)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 20_000_000
        assert time.monotonic() - began < 5  # a guard only; it takes some hundredths of a second

    def test_the_deepest_and_the_largest_are_read(self):
        assert load("a: " + "[" * 31 + "]" * 31).data["a"]
        assert load("".join(" " * i + "a:\n" for i in range(32))).data["a"]
        assert len(load("a: " + "x" * (64 * 1024 - 3)).data["a"]) == 64 * 1024 - 3

    def test_what_follows_a_refusal_is_not_scanned(self):
        assert "1:36: nested" in refusal("a: " + "[" * 40 + " @ 'never ends")


class TestParseValue:
    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            *[case for case in SCALARS if case[0]],
            ("[0.9, 0.99]", [0.9, 0.99]),
            ("{name: lstm}", {"name": "lstm"}),
            ("[{a: [1, no]}, '#']", [{"a": [1, "no"]}, "#"]),
            *[("b=c", "b=c"), ("a#b", "a#b"), (" x ", "x"), ("https://x/y", "https://x/y")],
        ],
    )
    def test_reads_scalars_and_flow_collections(self, text, meant):
        found = parse_value(text)
        assert found == meant
        assert type(found) is type(meant)

    @pytest.mark.parametrize(
        "text",
        [
            *[
                "",
                " ",
                "# c",
                "a # c",
                "a: b",
                "- a",
                "--- a",
                "a ...\n",
                "|",
                "> ",
                "[a",
                "[a]]",
                "'a' b",
            ],
            *["*", "*a", "&a b", "@x", "%x", "!x", "!!int 1", "a\tb", "a\nb", "\0", "\udc80", "x:"],
            *["? a", "-", "1" * 101, "[" * 40, "{a: 1, a: 2}", "{<<: 1}", "x" * 70_000, "... "],
        ],
    )
    def test_anything_else_is_a_short_value_error(self, text):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            parse_value(text)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
        assert text.strip() or "the value is empty" in str(caught.value)


SIGNS = st.text("-:#,[]{}&*!|>'\"%@`?=<~ \n\\ux019aé.", max_size=40).map(str.encode)


@given(SIGNS | st.binary(max_size=20))
@settings(max_examples=100)
def test_any_file_is_read_or_refused(content):
    with suppress(RecipeError):
        assert isinstance(load(content).data, dict)


# Plain data to YAML text that reads back as the same data.
TRICKY = [
    *["", "~", "null", "true", "no", "on", "y", "12:30", "1e-3", "010", "0o7", "0x1F", ".5", "1."],
    *[".inf", ".nan", "inf", "nan", "<<", "=", "- a", "a: b", "a #b", "#", "---", "...", "%a"],
    *["!a", "2026-01-02", "1_000", "a\nb", "\n", " a", "a ", "a\tb", "\x00\x1b\x7f"],
    *["\x85\u2028\ufeff", "\U0001f600", "\U000e0001", "\uffff", "\\", '"', "'", "é", "a,b"],
    *["[a]", "{a}", "x:", "C:\\x"],
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
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)
READABLE = f"""\
seed: 1
model:
  name: language model
  cells:
    - name: lstm
      sizes: [2, 3]
    - gru
betas: [0.9, 0.999]
lr: 0.001
path: data/é.txt
words:
  - {"a" * 50}
  - {"b" * 50}
strings: ["1e-3", "no", "null", "0o7", "12:30", "", "a\\nb", "\\x1b", "a: b"]
nested:
  - - {"c" * 90}
  - []
nothing:
  list: []
  mapping: {{}}
  "null": null
  "no": false
  inf: .inf
"""


ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


class TestDump:
    @given(st.dictionaries(STRINGS, DATA, max_size=4))
    @settings(max_examples=200)
    def test_reads_back_the_same(self, data):
        # With equal types and signs of zero, and in the same order.
        assert repr(load(dump(data)).data) == repr(data)

    @pytest.mark.parametrize("text", TRICKY)
    def test_tricky_strings(self, text):
        for data in ({"a": text}, {text: text}, {"a": [text, text]}, {"a": [{text: [{}]}]}):
            assert load(dump(data)).data == data

    @given(LEAVES | st.lists(LEAVES, max_size=3))
    @settings(max_examples=100)
    def test_a_short_value_is_an_override_too(self, value):
        line = dump(value).rstrip("\n")
        if not line.startswith("-") or not isinstance(value, list):
            assert repr(parse_value(line)) == repr(value)

    def test_is_easy_to_read(self):
        model = {"name": "language model", "cells": [{"name": "lstm", "sizes": (2, 3)}, "gru"]}
        data = {
            "seed": 1,
            "model": model,
            "betas": [0.9, 0.999],
            "lr": 1e-3,
            "path": PurePosixPath("data/é.txt"),
            "words": ["a" * 50, "b" * 50],
            "strings": ["1e-3", "no", "null", "0o7", "12:30", "", "a\nb", "\x1b", "a: b"],
            "nested": [["c" * 90], []],
            "nothing": {"list": [], "mapping": {}, "null": None, "no": False, "inf": math.inf},
        }
        assert dump(data) == READABLE
        model["cells"][0]["sizes"] = [2, 3]
        assert load(READABLE).data == {**data, "path": "data/é.txt"}

    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            (ENDLESS, ValueError, "deep"),
            ({"a": "\ud800"}, ValueError, "half"),
            ({"a" * 2000: 1}, ValueError, "longer"),
            ({"a": 10**100}, ValueError, "digits"),
            ({1: 2}, TypeError, "must be a string"),
            ({"a": {1, 2}}, TypeError, "cannot write"),
            ({"a": b"x"}, TypeError, "cannot write"),
        ],
    )
    def test_what_no_recipe_can_hold_is_refused(self, data, error, message):
        with pytest.raises(error, match=message):
            dump(data)
