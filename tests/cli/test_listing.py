"""The verb `list`."""

import json
import subprocess
import sys

import pytest

from seqgen.rooms import ROOMS


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
    assert any(line.strip().startswith("seqgen/cells/lstm_cell.py:") for line in lines)
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
