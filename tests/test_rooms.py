"""The rooms: every registry by its name, and what each of its parts must have."""

import copy
import dataclasses
import importlib
import json
import math
import re
from pathlib import Path

import pytest

from seqgen.build import rehearse
from seqgen.cli.completion import ROOM_NAMES
from seqgen.comparison.plan import Plan
from seqgen.errors import SeqgenError
from seqgen.options import OptionError, check_options, options_of, schema_of_options
from seqgen.recipe import Recipe
from seqgen.registry import Registry
from seqgen.rooms import ROOMS

PARTS = [(room, name) for room, registry in ROOMS.items() for name in registry.names()]
PACKAGE = Path(__file__).parent.parent / "seqgen"


def test_each_has_the_name_of_its_room():
    assert all(registry.room == room for room, registry in ROOMS.items())
    assert set(ROOMS) == set(ROOM_NAMES), "what the shell completes"
    assert list(ROOM_NAMES) == sorted(ROOM_NAMES)


def test_none_is_forgotten():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        if "Registry(" in path.read_text(encoding="utf-8"):
            name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            for key, value in vars(importlib.import_module(name)).items():
                if isinstance(value, Registry):
                    found[id(value)] = f"{name}.{key}"
    assert set(found) == {id(registry) for registry in ROOMS.values()}, found


@pytest.mark.parametrize(("room", "name"), PARTS)
def test_a_part_says_what_it_is_and_where_it_stands(room, name):
    entry = ROOMS[room].entry(name)
    assert entry.summary
    assert schema_of_options(entry.options)["type"] == "object"
    file, line = entry.where.rsplit(":", 1)
    if file.startswith("seqgen/"):
        lines = (PACKAGE.parent / file).read_text(encoding="utf-8").splitlines()
        assert f'register("{name}")' in lines[int(line) - 1]


STRANGE = (
    *(0, -1, 2**63, 2**64, 10**400, 10**5000, 1_000_000, 10**9),
    *(1e300, -1e300, 1e-300, 0.5, math.nan, math.inf, "3", True),
)
NUMBER = re.compile(r"\b(int|float)\b")

TEXT = {
    "data": {"name": "text", "corpus": "python_docs"},
    "model": {"name": "language_model", "cell": "lstm"},
    "train": {"max_steps": 1},
}
PAIRS = {
    "data": {"name": "pairs", "corpus": "dates"},
    "model": {"name": "seq2seq", "encoder": {"name": "recurrent", "cell": "gru"}, "cell": "lstm"},
    "train": {"max_steps": 1},
}
# Where a part of each room stands in a recipe.
STANDS = {
    "attentions": (PAIRS, "model.attention"),
    "averages": (TEXT, "train.average"),
    "bridges": (PAIRS, "model.bridge"),
    "cells": (TEXT, "model.cell"),
    "constraints": (TEXT, "decoder.constraints.0"),
    "corpora": (TEXT, "data.corpus"),
    "data": (TEXT, "data"),
    "decoders": (TEXT, "decoder"),
    "embeddings": (TEXT, "model.embedding"),
    "encoders": (PAIRS, "model.encoder"),
    "heads": (TEXT, "model.head"),
    "metrics": (PAIRS, "metrics.0"),
    "models": (PAIRS, "model"),
    "optimizers": (TEXT, "train.optimizer"),
    "schedules": (TEXT, "train.schedule"),
    "tokenizers": (TEXT, "tokenizer"),
}


def numbers(options, path=()):
    """The paths of all options that are numbers or lists of them, those of sections too."""
    for name, option in options.items():
        inner = option.annotation
        sections = [
            each
            for each in (inner, *getattr(inner, "__args__", ()))
            if dataclasses.is_dataclass(each)
        ]
        if sections:
            yield from numbers(options_of(sections[0]), (*path, name))
        elif NUMBER.search(re.sub(r"<class '(\w+)'>", r"\1", str(inner))) and "Registry" not in str(
            inner
        ):
            yield (*path, name)


def put(data, path, value):
    """`data` with the value at the path; what is on the way is made."""
    data = copy.deepcopy(data)
    tree, (*way, last) = data, path
    for step in way:
        tree = tree.setdefault(step, {})
    tree[last] = value
    return data


def told(kind, data, tried=None):
    """What is wrong with the options, in one line; "" where nothing is."""
    said = ""
    try:
        checked = kind(**check_options(options_of(kind), data, (), "it"))
        if tried is not None:
            tried(checked)
    except (OptionError, SeqgenError) as error:
        said = str(error)
    assert "\n" not in said
    assert "value error" not in said.lower()
    return said


def stand(room, spec):
    base, path = STANDS[room]
    *way, last = path.split(".")
    data = put(base, (*way, last), spec) if last != "0" else put(base, way, [spec])
    if room == "data":
        data["model"] = PAIRS["model"] if spec["name"] in ("pairs", "vectors") else data["model"]
    return data


OPTIONS = [
    (room, name, path)
    for room, name in PARTS
    for path in numbers(ROOMS[room].entry(name).options)
    if ROOMS[room].entry(name).where.startswith(("seqgen/", "<")) or room == "optimizers"
]


@pytest.mark.parametrize(("room", "name", "path"), OPTIONS, ids=str)
def test_any_number_for_any_option_of_a_part_is_taken_or_refused_in_one_line(
    room, name, path, small, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    annotation = ROOMS[room].entry(name).options[path[0]].annotation
    several = re.search("tuple|Sequence", str(annotation))
    for strange in STRANGE:
        for value in ([strange], [0.5, strange], [strange] * 3) if several else (strange,):
            spec = put({"name": name, **small(ROOMS[room], name)}, path, value)
            told(Recipe, stand(room, spec), rehearse)


@pytest.mark.parametrize("path", [*numbers(options_of(Recipe))], ids=".".join)
def test_and_for_any_section_of_a_recipe(path):
    for value in STRANGE:
        told(Recipe, put(TEXT, path, value), rehearse)


@pytest.mark.parametrize("path", [*numbers(options_of(Plan))], ids=".".join)
def test_and_for_any_section_of_a_plan(path):
    for value in STRANGE:
        told(Plan, put({"strategies": [{"decoder": "greedy"}]}, path, value))


@pytest.mark.parametrize(
    "model",
    [
        {"cell": {"name": "lstm", "hidden_size": 10**6, "layers": 10**6}},
        {"cell": {"name": "lstm", "hidden_size": 10**6, "layers": 1000}},
        {"cell": {"name": "slstm", "hidden_size": 10**6, "heads": 10**6}},
        {"cell": "gru", "embedding": {"name": "learned", "size": 10**6}},
        {
            "cell": {"name": "gru", "hidden_size": 10**6},
            "head": {"name": "mixture_of_softmaxes", "mixtures": 10**6, "bottleneck": 10**6},
        },
        {"cell": "gru", "head": {"name": "adaptive_softmax", "cutoffs": [*range(1, 400)]}},
    ],
    ids=json.dumps,
)
def test_sizes_that_are_huge_together_cost_nothing_to_validate(model):
    said = told(Recipe, {**TEXT, "model": {"name": "language_model", **model}}, rehearse)
    assert not said or "must be at most" in said or "must be at least 1 and at most 1000," in said
