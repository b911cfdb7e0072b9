"""The rooms: every registry by its name, and what each of its parts must have."""

import copy
import dataclasses
import importlib
import json
import math
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
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


DRAWING = """import dataclasses, hashlib, json, sys
import numpy as np
import torch
from torch import Tensor
from seqgen.cells import cells
from seqgen.data import data
from seqgen.dropout import Dropout
from seqgen.embeddings import embeddings
from seqgen.heads import heads
from seqgen.models import models
from seqgen.rooms import ROOMS
from seqgen.state import leaves
from seqgen.tokenizers import tokenizers
from seqgen.trained import TrainedRun

small, run, used = json.load(sys.stdin)
if used:  # a program that has drawn numbers before is none the worse
    torch.manual_seed(5), torch.rand(7)
torch.set_num_threads(1)
found = {}

def plain(value):
    if isinstance(value, Tensor):
        return [str(value.dtype), value.tolist()]
    if dataclasses.is_dataclass(value):
        return [plain(each) for each in vars(value).values()]
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return repr(value)

def note(room, name, *values):
    found[f"{room}.{name}"] = hashlib.sha256(repr(plain(values)).encode()).hexdigest()

def spec(room, name):
    return {"name": name, **small.get(room, {}).get(name, {})}

text = open("text.txt").read()
for name in tokenizers.names():
    made = tokenizers.build(spec("tokenizers", name))
    made.fit([text])
    note("tokenizers", name, made.fingerprint(), made.sample(text, 1).tolist())
for algorithm in ("unigram", "bpe"):
    made = tokenizers.build({"name": "sentencepiece", "algorithm": algorithm, "vocab_size": 280,
                             "sampling_alpha": 0.3})
    made.fit([text])
    note("tokenizers", algorithm, *(made.sample(text, seed).tolist() for seed in (1, 2)))
for name in data.names():
    made = data.build(spec("data", name), seed=3)
    pieces = {"name": "sentencepiece", "algorithm": "bpe", "sampling_alpha": 0.5}
    size = {"text": 285, "lines": 270, "vectors": 270}.get(name)
    cut = {**pieces, "vocab_size": size} if size else "char"
    usual = made.usual_tokenizers
    fitted = {role: tokenizers.build(usual.get(role, cut)) for role in made.roles}
    for role, each in fitted.items():
        each.fit(made.training_texts()[role])
    train = made.encode(fitted).train
    steps = [0, 1, train.steps_per_epoch, 2 * train.steps_per_epoch + 1]
    note("data", name, *(train.batch(step) for step in steps))
for room, registry, sizes in (
    ("cells", cells, {"input_size": 6}),
    ("embeddings", embeddings, {"vocab_size": 9}),
    ("heads", heads, {"input_size": 6, "vocab_size": 9, "table": lambda: torch.ones(9, 6)}),
    ("models", models, {"vocab_size": 9, "source": {"vocab_size": 9}}),
):
    for name in registry.names():
        torch.manual_seed(3)
        made = registry.build(spec(room, name), **sizes)
        drawn = [plain(list(made.state_dict().values()))]
        if room == "cells":
            made.train()
            outputs, state = made(torch.rand(2, 5, 6), made.initial_state(2), None)
            drawn += [outputs, *leaves(state)]
        note(room, name, *drawn)
torch.manual_seed(3)
note("dropout", "dropout", Dropout(0.5)(torch.ones(40)))
trained = TrainedRun.load(run)
for name in ROOMS["decoders"].names():
    texts = trained.continuations(["the ", "a c"], trained.decoder(spec("decoders", name)), 6)
    note("decoders", name, *([each.text for each in own] for own in texts))
print(json.dumps(found))
"""


def test_what_parts_draw_is_the_same_in_every_process(place, finished_run, small):
    """Whatever the order of sets in it, and whatever has been drawn there before."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcde", k=draw.randint(1, 5))) for _ in range(60)]
    place.write("pairs.tsv", "".join(f"{word}\t{word[::-1]}\n" for word in words))
    place.write("lines.txt", "".join(f"{word} {word}\n" for word in words))
    place.write("tagged.txt", "".join(f"{word}\t{word[0]}\n\n" for word in words))
    np.save("lines.npy", np.ones((60, 3), dtype=np.float32))
    place.write("vectors.txt", "the 1 2 3 4 5 6\ncat 6 5 4 3 2 1\n")
    specs = {
        room: {name: small(ROOMS[room], name) for name in ROOMS[room].names()}
        for room in ("tokenizers", "cells", "embeddings", "heads", "models", "decoders")
    }
    specs["data"] = {
        "text": {"path": "text.txt", "batch_size": 4, "window": 16},
        "pairs": {"path": "pairs.tsv", "batch_size": 4},
        "labelled": {"path": "pairs.tsv", "batch_size": 4},
        "lines": {"path": "lines.txt", "batch_size": 4},
        "tagged": {"path": "tagged.txt", "batch_size": 4},
        "vectors": {"path": "lines.txt", "vector_size": 3, "batch_size": 4},
    }
    found = []
    for seed, used in (("1", False), ("2", True)):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", DRAWING],
            input=json.dumps([specs, str(finished_run), used]),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    one, other = found
    assert {"data.text", "cells.zoneout", "tokenizers.bpe", "decoders.top_p"} <= one.keys()
    assert [part for part in one if one[part] != other[part]] == []


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
