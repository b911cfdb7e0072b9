"""Training: parts from outside that break their contract, wherever they are used."""

import pytest

from seqgen.plugins import loaded_files

# For each kind of part of a recipe without sources, what makes tiny.yaml use one called `outside`.
USES = {
    "tokenizers": "tokenizer=outside",
    "data": "data=outside",
    "embeddings": "model.embedding=outside",
    "cells": "model.cell=outside",
    "heads": "model.head=outside",
    "models": "model=outside",
    "optimizers": "train.optimizer=outside",
    "schedules": "train.schedule=outside",
    "averages": "train.average=outside",
    "decoders": "decoder=outside",
    "constraints": "decoder.constraints=[outside]",
}
PLUGIN = """
from seqgen.plugins import ROOMS


@ROOMS["{room}"].register("outside")
{body}
"""
# What a factory may do that no part does, and what is said of it.
BREACHES = {
    "raises": ('def made():\n    raise RuntimeError("two\\nlines")', "RuntimeError: two lines"),
    "is no such part": ("class Empty:\n    def __init__(self): pass", "'Empty' object has no"),
    "returns nothing": ("def made():\n    return None", "returned None"),
}


@pytest.mark.parametrize("breach", BREACHES)
@pytest.mark.parametrize("room", USES)
def test_a_part_from_outside_is_named_and_not_called_a_defect_of_ours(
    room, breach, place, command, own_registries
):
    body, says = BREACHES[breach]
    place.write("outside.py", PLUGIN.format(room=room, body=body))
    few = ("train.max_steps=1", "samples.length=1", "plugins=[outside.py]")
    ended = command("run", "tiny.yaml", "--out", "run", *few, USES[room])
    assert ended.code == 8, ended.err
    line = ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert "outside.py:" in line
    assert says in line


SHORT = """
from torch import nn
from seqgen.heads import Head, heads


@heads.register("short")
class Short(Head):
    def __init__(self, input_size: int, vocab_size: int):
        super().__init__()
        self.map = nn.Linear(input_size, vocab_size - 1)

    def log_probs(self, hidden):
        return self.map(hidden).log_softmax(-1)

    def loss(self, hidden, targets):
        return -self.log_probs(hidden).gather(-1, targets[..., None])[..., 0]
"""


def test_where_only_our_code_is_seen_the_plugins_in_use_are_named(place, command, own_registries):
    place.write("short.py", SHORT)
    ended = command("run", "tiny.yaml", "--out", "run", "plugins=[short.py]", "model.head=short")
    assert ended.code in (1, 8)
    assert "short.py" in ended.err.splitlines()[-1]
    assert any(file.endswith("short.py") for file in loaded_files())


EMPTY = """
from dataclasses import dataclass
from seqgen.data import TextData, data
from seqgen.data.text import StreamSplit


@data.register("empty")
@dataclass(eq=False)
class Empty(TextData):
    def held_out(self, name, tokenizers):
        split = super().held_out(name, tokenizers)
        return StreamSplit(split.stream[:1], split.size, 0) if name == "{name}" else split
"""


@pytest.mark.parametrize("name", ["valid", "test"])
def test_a_split_without_tokens_is_named_before_training(name, place, refused, own_registries):
    place.write("empty.py", EMPTY.replace("{name}", name))
    says = f"its {name} split has 0 tokens"
    line = refused(8, says, "run", "tiny.yaml", "plugins=[empty.py]", "data.name=empty")
    assert "empty.py:" in line


def test_too_little_memory_is_said_before_any_file(refused):
    refused(7, "not enough memory", "run", "tiny.yaml", "model.cell.hidden_size=1000000")
