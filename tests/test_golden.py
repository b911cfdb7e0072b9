"""What an earlier release wrote, and that this one writes it again: data, texts, runs, errors.

The expectations lie in tests/golden. `GOLDEN=write python -m pytest tests/test_golden.py` writes
what this code says instead, for a change that is meant; `git diff` then shows what it changes.
Trained weights are the same to the last bit on the kind of machine that wrote them, and elsewhere
nearly so.
"""

import contextlib
import dataclasses
import hashlib
import importlib
import io
import json
import math
import os
import random
import re
import runpy
import shlex
import shutil
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import seqgen
import seqgen.testing
from seqgen.build import build_data, fit_tokenizers
from seqgen.files import sha256
from seqgen.models.seq2seq import ScheduledSampling
from seqgen.plugins import ROOMS
from seqgen.recipe import read_recipe
from seqgen.training import TrainOptions

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("GOLDEN") == "write"
PLUGINS = GOLDEN / "plugins"
RUNS = ("language_model", "seq2seq")
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "dogs", "run", "far", "café"]
OLD_NAMES = {
    *("batch", "change", "decode", "held_out valid", "held_out test", "least_tokens", "prompts"),
    *("remarks", "renew", "training_texts", "walk", "wrap"),
}
"""What of plugins/old_names.py is called by a run and by generation."""
PROMPTS = {"language_model": ["the ", "cat", ""], "seq2seq": ["abc", "de", "eabcd"]}
CLOCK = {"seconds", "tokens_per_second"}
"""What of a log or a result a clock decides."""


def stored(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


KINDS = ("batches", "decoding", "faults", "ends", "defaults")
TABLES = {name: stored(f"{name}.json") for name in KINDS}
BATCHES, DECODING, FAULTS, ENDS, DEFAULTS = TABLES.values()
FACES = stored("faces.json")


@pytest.fixture(scope="module", autouse=True)
def _written():
    """At the end, in a writing session, the tables as the tests have left them."""
    yield
    if WRITE:
        ENDS["machine"] = machine()
        for name, table in TABLES.items():
            write_table(f"{name}.json", table)


def dump(value):
    return json.dumps(value, ensure_ascii=False)


def write_table(name, table):
    lines = ",\n".join(f"{json.dumps(key)}: {dump(each)}" for key, each in table.items())
    (GOLDEN / name).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def machine():
    """What decides on the last bits of a float, as a short hash."""
    processor = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", processor)
    bits = (torch.__version__, torch.backends.cpu.get_cpu_capability(), model and model[1])
    return hashlib.sha256(repr(bits).encode()).hexdigest()[:16]


SAME_MACHINE = WRITE or ENDS["machine"] == machine()
"""Whether what was trained here must be what the tables have to the last bit."""
TRAINED = 0.0 if SAME_MACHINE else 1e-3
"""How far numbers after training may be from those of the tables."""


def agree(found, expected, place="", tolerance=1e-5):
    """Both are the same: keys in their order, words, and floats but for the tolerance."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), place
        assert list(found) == list(expected), place
        for key, value in expected.items():
            agree(found[key], value, f"{place}.{key}", tolerance)
    elif isinstance(expected, list):
        assert isinstance(found, list), place
        assert len(found) == len(expected), place
        for index, (one, two) in enumerate(zip(found, expected, strict=True)):
            agree(one, two, f"{place}.{index}", tolerance)
    elif isinstance(expected, float) and isinstance(found, float):
        near = math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)
        assert near, f"{place}: {found}, not {expected}"
    else:
        assert (found, type(found)) == (expected, type(expected)), place


def check(table, key, found, tolerance=1e-5):
    """The entry `key` of a table is what was `found`; a writing session makes it so."""
    found = json.loads(dump(found))
    if WRITE:
        table[key] = found
    agree(found, table[key], key, tolerance)


def rounded(value):
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


def write_inputs(folder):
    """The files that recipes here read, always the same ones."""
    draw = random.Random(1)
    texts = {"text.txt": " ".join(draw.choice(WORDS) for _ in range(600))}
    words = dict.fromkeys("".join(draw.choices("abcde", k=draw.randint(1, 5))) for _ in range(200))
    texts["pairs.tsv"] = "".join(f"{word}\t{word.upper()}\n" for word in words)
    words = [word for word in words for _ in range(2)]
    rows = [(f"{word}, é", word[::-1], f"n;{word[0]}") for word in words]
    texts["pairs.csv"] = "source,target,features\n" + "".join(
        f'"{a}",{b},{c}\n' for a, b, c in rows
    )
    texts["pairs.jsonl"] = "".join(dump({"in": a, "out": b}) + "\n" for a, b, _ in rows)
    texts["labels.tsv"] = "".join(f"{word}\t{word[0]}\n" for word in words)
    texts["lines.txt"] = "".join(
        " ".join(draw.choices(WORDS, k=draw.randint(0, 6))) + "\n" for _ in range(200)
    )
    sentences = [draw.choices(WORDS, k=draw.randint(1, 7)) for _ in range(80)]
    texts["tagged.tsv"] = "\n".join(
        "".join(f"{word}\t{len(word)}\n" for word in words) for words in sentences
    )
    texts["vectors.txt"] = "".join(f"{word}\n" for word in words)
    for part, start in (("train", 0), ("valid", 2000), ("test", 2200)):
        texts[f"{part}.txt"] = texts["text.txt"][start : start + 400]
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    vectors = [[len(word), ord(word[0]) / 7, ord(word[-1]) / 3] for word in words]
    np.save(folder / "vectors.npy", np.array(vectors, dtype=np.float32))
    for name in RUNS:
        shutil.copy(GOLDEN / f"{name}.yaml", folder)
        shutil.copytree(GOLDEN / name, folder / name)


class Ended(NamedTuple):
    code: int
    out: str
    err: str


def call(*words, folder):
    """Run a command line in `folder`, in this process."""
    from seqgen.cli.main import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="always", category=UserWarning),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["seqgen", *map(str, words)])
        try:
            main()
        except SystemExit as error:
            code = error.code or 0
    for stream in (out, err):
        stream.flush()
    return Ended(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def run(*words, folder):
    ended = call(*words, folder=folder)
    assert ended.code == 0, ended.err
    return ended


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the inputs and both stored runs, and a finished run of each from the start."""
    folder = tmp_path_factory.mktemp("golden")
    write_inputs(folder)
    for name in RUNS:
        run("run", f"{name}.yaml", "--out", f"{name}_whole", folder=folder)
    return folder


def hashed(digest, value):
    """Add all tensors of a batch to the hash, in the order of its fields."""
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype} {list(value.shape)}".encode())
        digest.update(value.contiguous().numpy().tobytes())
    elif dataclasses.is_dataclass(value):
        for each in dataclasses.fields(value):
            hashed(digest, getattr(value, each.name))
    else:
        digest.update(repr(value).encode())


@pytest.mark.parametrize("name", BATCHES)
def test_batches_are_what_they_were(name, place, monkeypatch):
    """The first three epochs of training, and each held-out part."""
    monkeypatch.chdir(place)
    (place / "batches.yaml").write_text(
        f"{BATCHES[name]['recipe']}\nmodel: {{name: language_model, cell: lstm}}\n"
        "train: {max_steps: 1}\n"
    )
    recipe = read_recipe(place / "batches.yaml", ())
    data = build_data(recipe)
    fingerprint = data.fingerprint() if data.training_texts() else {}
    if name.startswith("python") and fingerprint != BATCHES[name].get("fingerprint") and not WRITE:
        pytest.skip("this Python comes with other documentation")
    tokenizers = fit_tokenizers(recipe, data)
    training = data.training(tokenizers)
    digest = hashlib.sha256()
    steps = training.steps_per_epoch
    for step in range(3 * steps):
        hashed(digest, training.batch(step))
    found = {"recipe": BATCHES[name]["recipe"], "fingerprint": fingerprint, "steps": steps}
    found |= {"tokens": training.tokens, "train": digest.hexdigest()}
    found["vocab"] = [len(each) for each in tokenizers.values()]
    found["parts"] = BATCHES[name].get("parts", ["valid", "test"])  # a large one is left out
    for part in found["parts"]:
        split = data.held_out(part, tokenizers)
        digest = hashlib.sha256()

        def visit(batch, state, digest=digest):
            hashed(digest, batch)
            return None, state

        if split is not None:
            walk = getattr(split, "evaluate", None) or split.walk  # by its new or its old name
            walk(visit, lambda rows: torch.zeros(rows, 1), 16)
            found[part] = [split.tokens, split.unknown, digest.hexdigest()]
    check(BATCHES, name, found)


def test_what_a_recipe_leaves_out_is_what_it_was(defaults):
    parts = {"train": TrainOptions, "models.seq2seq.sampling": ScheduledSampling}
    for room, registry in ROOMS.items():
        entries = {f"{room}.{name}": registry.entry(name) for name in registry.names()}
        # Others are torch's optimizers, and what tests have registered.
        own = {key: each for key, each in entries.items() if each.where.startswith("seqgen/")}
        parts |= {key: each.factory for key, each in own.items()}
    for key, factory in parts.items():
        check(DEFAULTS, key, defaults(key, factory))


def test_every_kind_of_data_has_its_hashes():
    from seqgen.data import corpora, data

    recipes = " ".join(each["recipe"] for each in BATCHES.values())
    # One is fetched, and the other is read for four seconds and another one in each Python.
    left_out = {"tiny_shakespeare", "python_library"}
    for name in {*data.names(), *corpora.names()} - left_out:
        assert re.search(rf"\b{name}\b", recipes), name


def test_every_decoder_and_constraint_has_its_samples():
    from seqgen.decoders import constraints, decoders, truncations

    specs = dump([each["decoder"] for each in DECODING.values()])
    assert {*decoders.names(), *constraints.names(), *truncations.names()} <= set(
        re.findall(r"\w+", specs)
    )


@pytest.fixture(scope="module")
def loaded(place):
    """Both stored runs, loaded."""
    return {name: seqgen.load(place / name) for name in RUNS}


@pytest.mark.parametrize("name", DECODING)
def test_decoders_choose_what_they_chose(name, place, loaded, monkeypatch):
    """Texts, tokens and scores for one seed, and whether a sequence came to its end."""
    monkeypatch.chdir(place)
    case = {key: each for key, each in DECODING[name].items() if key != "outputs"}
    if "pattern" in name:
        pytest.importorskip("outlines_core", reason="outlines-core is not installed")
    own = loaded[case["run"]]
    decoder = own.decoder(case["decoder"], 5)
    outputs = own.continuations(PROMPTS[case["run"]], decoder, 8, case["samples"])
    found = [
        [[one.text, *rounded(json.loads(dump(one.hypothesis[:7])))] for one in each]
        for each in outputs
    ]
    check(DECODING, name, {**case, "outputs": found})


def untimed(value):
    if isinstance(value, dict):
        return {key: untimed(each) for key, each in value.items() if key not in CLOCK}
    return [untimed(each) for each in value] if isinstance(value, list) else value


def end_of(folder):
    """All that a run has at its end, but for pages, pictures and what a clock decides."""

    def read(name):
        return json.loads((folder / name).read_text("utf-8"))

    last = folder / "checkpoints" / "step-00000120"
    weights = {
        key: [list(each.shape), float(each.double().sum()), float(each.double().abs().sum())]
        for key, each in sorted(load_file(last / "model.safetensors").items())
    }
    kept = ("data", "tokenizers", "parameters", "steps_per_epoch")
    result = read("result.json")
    result.pop("recipe")  # which is the name of the folder
    return untimed({
        "sha256": {each: sha256(last / f"{each}.safetensors") for each in ("model", "training")},
        "files": sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*")),
        "weights": weights,
        "log": [json.loads(line) for line in (folder / "metrics.jsonl").read_bytes().splitlines()],
        "result": result,
        "manifest": {key: read("manifest.json")[key] for key in kept},
        "recipe": (folder / "recipe.yaml").read_text("utf-8"),
        "samples": [(folder / "samples.txt").read_text("utf-8"), read("samples.json")],
    })  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
class TestRuns:
    def test_a_run_ends_as_it_ended(self, name, place):
        found = end_of(place / f"{name}_whole")
        if not SAME_MACHINE:
            found["sha256"] = ENDS[name]["sha256"]
        check(ENDS, name, found, TRAINED)

    def test_a_stored_run_generates_and_is_evaluated_the_same(
        self, name, place, loaded, monkeypatch
    ):
        monkeypatch.chdir(place)
        own, prompts = loaded[name], PROMPTS[name][:2]
        texts = [own.generate(prompt, seed=3) for prompt in prompts]
        texts.append(own.generate(prompts[0], "beam", 6, beam_size=2))
        words = [f"--prompt={each}" for each in prompts]
        words += ["--seed", 3, "--samples", 2, "--json"]
        lines = json.loads(run("generate", name, *words, folder=place).out)
        found = {"texts": texts, "test": own.evaluate("test"), "json": rounded(lines)}
        check(ENDS, f"{name} loaded", found)

    def test_a_stored_run_goes_on_to_the_same_end(self, name, place):
        shutil.copytree(place / name, place / f"{name}_resumed")
        ended = run("run", f"{name}_resumed", "--resume", folder=place)
        found, whole = (end_of(place / f"{name}_{each}") for each in ("resumed", "whole"))
        if not SAME_MACHINE:
            found["sha256"] = whole["sha256"]
        agree(found, whole, tolerance=TRAINED)
        assert "warning: " not in ended.err or not SAME_MACHINE

    def test_a_comparison_finds_what_it_found(self, name, place):
        plan = shutil.copy(GOLDEN / f"plan_{name}.yaml", place)
        words = ("compare", name, "--plan", Path(plan).name, "--out", f"compare_{name}")
        run(*words, folder=place)
        text = (place / f"compare_{name}" / "compare.json").read_text("utf-8")
        document = json.loads(text)
        assert text == json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for key in ("format", "seqgen", "timings"):
            assert document.pop(key), key
        path = GOLDEN / f"compare_{name}.json"
        if WRITE:
            write_table(path.name, document)
        agree(document, stored(path.name), tolerance=0.0 if SAME_MACHINE else 1e-5)


def one_line(text, folder):
    """The line of an error, with no path of this machine and no place in the package."""
    lines = [each for each in text.splitlines() if not each.startswith("warning: ")]
    assert len(lines) == 1, text
    line = lines[0].replace(str(folder), "PLACE")
    return re.sub(r"seqgen/[\w/]+\.py:\d+", "seqgen/PLACE.py:LINE", line)


def files_of(folder):
    paths = sorted(each for each in folder.rglob("*") if each.is_file() and each.name != ".lock")
    return {str(each): each.read_bytes() for each in paths}


@pytest.mark.parametrize("name", FAULTS)
def test_an_error_is_the_line_that_it_was(name, tmp_path):
    """The same exit code, place and line; nothing is printed besides, and no file is touched."""
    fault = FAULTS[name]
    write_inputs(tmp_path)
    for path, content in fault.get("files", {}).items():
        target = tmp_path / path
        if content is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode("latin-1"))
    if "replace" in fault:
        recipe = tmp_path / "language_model.yaml"
        text = recipe.read_text("utf-8")
        assert fault["replace"][0] in text
        recipe.write_bytes(text.replace(*fault["replace"], 1).encode())
    before = files_of(tmp_path)
    ended = call(*shlex.split(fault["words"]), folder=tmp_path)
    assert ended.out == ""
    assert files_of(tmp_path) == before
    check(FAULTS, name, {**fault, "code": ended.code, "line": one_line(ended.err, tmp_path)})


@pytest.mark.usefixtures("own_registries")  # each begins with the parts of the package alone
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestPlugins:
    """Files that people have written for, or been given by, an earlier release."""

    KINDS = pytest.mark.parametrize("kind", ["cell", "head", "tokenizer", "decoder"])

    @KINDS
    @pytest.mark.parametrize("whose", ["a", "my"])
    def test_a_part_is_loaded_and_keeps_the_laws(self, whose, kind, tmp_path):
        name, check_part = f"{whose}_{kind}", getattr(seqgen.testing, f"check_{kind}")
        words = ("list", f"{kind}s", "--plugin", PLUGINS / f"{name}.py", "--json")
        listed = run(*words, folder=tmp_path)
        assert f'"{name}"' in listed.out
        assert listed.err == ""
        check_part(name).require()

    @KINDS
    def test_the_recipe_that_came_with_it_is_right(self, kind, tmp_path):
        run("validate", PLUGINS / f"a_{kind}.yaml", folder=tmp_path)

    @KINDS
    def test_the_test_that_came_with_it_passes(self, kind, monkeypatch):
        monkeypatch.syspath_prepend(str(PLUGINS))
        try:
            test = runpy.run_path(str(PLUGINS / f"check_a_{kind}.py"))
            test[f"test_it_keeps_the_laws_of_{kind}s"]()
        finally:
            sys.modules.pop(f"a_{kind}", None)

    @pytest.mark.parametrize("recipe", ["a_cell", "a_decoder", "my_sources", "old_names"])
    def test_a_recipe_trains_and_generates(self, recipe, tmp_path):
        write_inputs(tmp_path)
        small = "data.path=text.txt data.batch_size=4 samples.length=5 threads=1"
        words = [*small.split(), "train.max_steps=2", "train.validations=1"]
        words = words if recipe.startswith("a_") else []
        run("run", PLUGINS / f"{recipe}.yaml", *words, "--out", "run", folder=tmp_path)
        words = ("--plugin", PLUGINS / f"{recipe}.py", "--prompt", "ab", "--prompt", "c")
        ended = run("generate", "run", *words, "--max-length", 3, "--json", folder=tmp_path)
        assert len(json.loads(ended.out)) == 2
        if recipe == "old_names":
            plugins = [name for name in sys.modules if name.startswith("seqgen_plugin_")]
            parts = [each for name in plugins if hasattr(each := sys.modules[name], "OldCell")]
            assert parts[0].CALLED == OLD_NAMES
            assert parts[0].things.build({"name": "one", "twice": True}) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("module", FACES)
def test_names_that_a_room_offered_are_there(module):
    """A name may be an alias that warns; so may a public attribute of a contract."""
    found = importlib.import_module(module)
    for name, attributes in FACES[module].items():
        part = getattr(found, name)
        assert [each for each in attributes if not hasattr(part, each)] == [], name
