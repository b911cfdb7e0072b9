"""The verb `list`."""

import json
import subprocess
import sys

import pytest

from seqgen.config import bundled_plans, bundled_recipes
from seqgen.plugins import ROOMS


@pytest.mark.parametrize("kind", [None, *ROOMS])
def test_as_json(kind, command):
    ended = command("list", *([kind] if kind else []), "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert list(found) == ([kind] if kind else list(ROOMS))
    for room, parts in found.items():
        assert [part["name"] for part in parts] == list(ROOMS[room].names())
        for part in parts:
            assert set(part) == {"name", "options", "summary", "where"}
            assert list(part["options"]) == list(ROOMS[room].entry(part["name"]).options)
            assert part["where"].rpartition(":")[2].isdecimal()


def test_options_come_with_their_defaults(command):
    parts = json.loads(command("list", "--json").out)
    options = {room: {p["name"]: p["options"] for p in parts[room]} for room in parts}
    assert options["cells"]["lstm"]["hidden_size"] == 256
    assert options["cells"]["stack"]["cells"] == "(required)"
    assert options["models"]["language_model"]["head"] == "linear"
    assert options["data"]["text"]["split"] == [0.8, 0.1, 0.1]
    assert "lr" not in options["optimizers"]["adamw"], "it is the recipe's train.lr"
    assert "vocab_size" not in options["embeddings"]["learned"]


def test_for_reading(command):
    ended = command("list", "cells")
    lines = ended.out.splitlines()
    assert lines[0] == "cells"
    assert any(line.startswith("  lstm_cell  One layer of `lstm`") for line in lines)
    assert any("hidden_size=256" in line for line in lines)
    assert any(line.strip().startswith("seqgen/cells/native.py:") for line in lines)
    everything = command("list").out
    assert ended.out in everything
    assert all(f"\n{room}\n" in f"\n{everything}" for room in ROOMS)


def test_lines_are_not_cut_on_a_pipe(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    summary = ROOMS["cells"].entry("lstm").summary
    assert len(summary) > 60
    assert summary in command("list", "cells").out


@pytest.mark.parametrize(
    ("kind", "near"),
    [("cell", "; did you mean 'cells'?"), ("decodres", "; did you mean 'decoders'?"), ("x", " (")],
)
def test_a_kind_that_is_none(kind, near, refusal):
    told = refusal(2, "list", kind)
    assert told.startswith(f"no kind of part named '{kind}'{near}")
    assert "tokenizers, data, corpora" in told


@pytest.mark.parametrize("kind", ["recipes", "plans"])
def test_what_comes_along(kind, command):
    known = {"recipes": bundled_recipes, "plans": bundled_plans}[kind]()
    found = json.loads(command("list", kind, "--json").out)[kind]
    assert [each["name"] for each in found] == list(known)
    assert all(each["description"] for each in found)
    assert all(bool(each["budget"]) == (kind == "recipes") for each in found)
    table = command("list", kind).out
    assert max(map(len, table.splitlines())) <= 80
    assert all(name in table for name in known)


def test_a_recipe_is_told_with_its_time(command):
    told = " ".join(command("list", "recipes").out.split())
    assert "char_rnn 120 s A character RNN, two minutes of training" in told
    assert "hangul_seq2seq 8 epochs Hangul letters" in told
    assert "lectures/char_lstm 5,000 steps The lecture's character RNN, with nn.LSTM" in told


def test_recipes_are_told_without_torch(monkeypatch, command):
    monkeypatch.setitem(sys.modules, "seqgen.plugins", None)
    assert "char_lstm" in command("list", "recipes").out


def test_a_reader_that_goes_away_is_no_fault():
    process = subprocess.Popen(
        [sys.executable, "-m", "seqgen", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    _, said = process.stderr.read(), process.stderr.close()
    assert process.wait(timeout=600) == 0
    assert not said
