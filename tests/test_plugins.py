"""Plugins: files that a recipe names, installed packages, and the rooms that they register in."""

import copy
import dataclasses
import hashlib
import importlib
import json
import math
import os
import random
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import seqgen
from seqgen.build import dry_run
from seqgen.cells import cells
from seqgen.cli.arguments import ROOM_NAMES
from seqgen.comparison.plan import Plan
from seqgen.config import ConfigFile
from seqgen.errors import PluginError, SeqgenError
from seqgen.options import OptionError, check_options, options_of
from seqgen.plugins import ROOMS, load_files, load_installed
from seqgen.recipe import Recipe
from seqgen.registry import Registry

MY_CELL = '''\
"""A cell of one's own."""

import torch

from seqgen.cells import Cell, cells
from seqgen.options import Size


@cells.register("mine")
class Mine(Cell):
    """An Elman cell that leaks."""

    def __init__(self, input_size: int, hidden_size: Size = 8, leak: float = 0.5):
        super().__init__()
        self.output_size = hidden_size
        self.leak = leak
        self.map = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size):
        return self.map.weight.new_zeros(batch_size, self.output_size)

    def step(self, x, state):
        new = torch.tanh(self.map(torch.cat([x, state], 1)))
        state = self.leak * state + (1 - self.leak) * new
        return state, state
'''


@pytest.fixture(autouse=True)
def _own_registries(own_registries):
    """Each test begins with the parts of the package alone."""


class TestAFile:
    def test_it_trains_end_to_end_from_anywhere(self, place, command, train, monkeypatch):
        place.write("recipes/my_cell.py", MY_CELL)
        text = (place.folder / "tiny.yaml").read_text(encoding="utf-8")
        text = text.replace("name: lstm, hidden_size: 16", "name: mine, leak: 0.25")
        place.write("recipes/mine.yaml", f"plugins: [my_cell.py]\n{text}")
        run = train(recipe="recipes/mine.yaml")
        assert json.loads((run / "result.json").read_bytes())["valid"]["nats_per_token"] < 3.1
        assert command("run", "recipes/mine.yaml", "--out", "run", "--resume").code == 0
        # The run is looked at from elsewhere, with its plugin named again.
        (place.folder / "elsewhere").mkdir()
        monkeypatch.chdir(place.folder / "elsewhere")
        loaded = seqgen.load("../run", plugins=["../recipes/my_cell.py"])
        assert len(loaded.generate("the ", max_length=9)) == len("the ") + 9
        plugin = ("--plugin", "../recipes/my_cell.py")
        ended = command("generate", "../run", *plugin, "--max-length", "5", "--prompt", "cat")
        assert (ended.code, ended.err) == (0, "")
        assert len(ended.out) == len("cat") + 5 + 1
        monkeypatch.chdir(place.folder)
        assert command("evaluate", "run", "--plugin", "recipes/my_cell.py").code == 0

    def test_an_override_may_name_it(self, place, command):
        place.write("my_cell.py", MY_CELL)
        overrides = ("plugins=[my_cell.py]", "model.cell=mine")
        ended = command("validate", "tiny.yaml", *overrides, "--json")
        assert ended.code == 0, ended.err
        recipe = json.loads(ended.out)
        assert recipe["model"]["cell"] == {"name": "mine", "hidden_size": 8, "leak": 0.5}
        assert recipe["plugins"] == [str(place.folder / "my_cell.py")]

    def test_its_options_are_checked_and_its_place_is_named(self, place, refusal):
        place.write("my_cell.py", MY_CELL)
        overrides = ("plugins=[my_cell.py]", "model.cell={name: mine, lek: 1}")
        told = refusal(3, "run", "tiny.yaml", *overrides)
        assert "model.cell.lek: not an option of cell 'mine'; did you mean 'leak'?" in told
        assert told.endswith("(hidden_size, leak; my_cell.py:9)")

    def test_it_is_imported_once(self, place):
        place.write("count.py", "import sys\nsys.counted = getattr(sys, 'counted', 0) + 1\n")
        try:
            for path in ("count.py", "count.py", "./count.py"):
                load_files([str((place.folder / path).resolve())])
            assert sys.counted == 1
        finally:
            del sys.counted

    def test_two_files_of_one_name_are_two_plugins(self, place):
        for folder in "ab":
            text = MY_CELL.replace('"mine"', f'"mine_{folder}"')
            load_files([str(place.write(f"{folder}/my_cell.py", text))])
        assert {"mine_a", "mine_b"} <= set(cells.names())

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("none.py", None, "no such file"),
            ("text.txt", "no Python", "not a Python file"),
            ("a.py", "import not_there", "cannot be imported: ModuleNotFoundError: No module name"),
            ("a.py", "1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
            ("a.py", "def broken(:", "cannot be imported: SyntaxError: "),
            ("a.py", "raise ValueError('two\\nlines')", "cannot be imported: ValueError: two line"),
            ("a.py", "\0", "cannot be imported: "),
        ],
    )
    def test_one_that_cannot_be_imported(self, name, content, reason, place, refusal):
        if content is not None:
            place.write(name, content)
        told = refusal(8, "run", "tiny.yaml", f"plugins=[{name}]")
        assert told.startswith(f"plugin {place.folder / name}: {reason}")
        assert content != "\0" or "null bytes" in told
        assert refusal(8, "run", "tiny.yaml", f"plugins=[{name}]") == told, "it is tried again"

    def test_a_name_that_is_taken_is_named_with_both_places(self, place, refusal):
        place.write("greedy_name.py", MY_CELL.replace('"mine"', '"lstm"'))
        told = refusal(8, "run", "tiny.yaml", "plugins=[greedy_name.py]")
        where = cells.where("lstm")
        assert told == f"greedy_name.py:9: the cell name 'lstm' is taken by {where}; choose another"
        assert where.startswith("seqgen/cells/native.py:")

    def test_they_must_be_a_list_of_paths(self, refusal):
        assert "plugins: must be a list" in refusal(3, "run", "tiny.yaml", "plugins=my_cell.py")
        assert "plugins: must be a string" in refusal(3, "run", "tiny.yaml", "plugins=[3]")


INTERRUPTING = (
    MY_CELL.replace('"mine"', '"interrupting"')
    + """
    def project(self, xs):
        import os
        import signal

        if self.training:
            os.kill(os.getpid(), signal.SIGINT)
        return xs
"""
)
MARK = "\nfrom pathlib import Path\nPath('imported').touch()\n"
LATE = '''
from seqgen.decoders import Decoder, Hypothesis, decoders

@decoders.register("late")
class Late(Decoder):
    """Ends at once."""

    def decode(self, stepper, start, limits):
        return [[Hypothesis((), 0.0, False)] for _ in start.tokens]
'''


class TestARunDirectoryOfSomeoneElse:
    """Loading one imports no code that the person did not name."""

    @pytest.fixture
    def run(self, place, train):
        place.write("my_cell.py", MY_CELL + MARK)
        few = ("train.max_steps=2", "train.validate_every=2", "samples.length=0")
        folder = train("plugins=[my_cell.py]", "model.cell=mine", *few)
        Path("imported").unlink()
        return folder

    @pytest.fixture
    def stranger(self, run, place):
        """The run in a process where nobody has imported the plugin, which lies elsewhere now."""
        cells._names_of_factories.pop(cells._entries.pop("mine").factory)
        for name in [name for name in sys.modules if name.startswith("seqgen_plugin_")]:
            del sys.modules[name]
        (place.folder / "here").mkdir()
        Path("my_cell.py").rename("here/my_cell.py")
        return run

    def test_the_manifest_keeps_the_hash(self, run, place):
        manifest = json.loads((run / "manifest.json").read_bytes())
        path = place.folder / "my_cell.py"
        assert manifest["plugins"] == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}

    def test_it_is_refused_with_the_flag_to_give(self, run, place, refusal):
        path = place.folder / "my_cell.py"
        place.write("other.py", "")
        for verb in ("generate", "evaluate"):
            assert refusal(8, verb, "run") == (
                f"run: it was trained with the plugin {path}, and code is imported only if you "
                f"name it: give --plugin {path} (in Python, plugins=[...])"
            )
            assert "give --plugin" in refusal(8, verb, "run", "--plugin", "other.py")
        assert not Path("imported").exists()

    def test_a_run_that_is_resumed_by_its_folder_imports_none_either(
        self, run, place, command, refusal
    ):
        path = place.folder / "my_cell.py"
        words = ["run", "run", "train.max_steps=4", "--resume"]
        assert f"give --plugin {path}" in refusal(8, *words)
        assert not Path("imported").exists()
        ended = command(*words, "--plugin", "my_cell.py")
        assert ended.code == 0, ended.err
        assert ConfigFile.read(run / "recipe.yaml").data["plugins"] == [str(path)]

    def test_the_line_after_an_interruption_names_it(self, place, command):
        place.write("own.py", INTERRUPTING)
        ended = command("run", "tiny.yaml", "plugins=[own.py]", "model.cell=interrupting")
        assert ended.code == 130
        line = ended.err.strip().split("\n")[-1]
        path = place.folder / "own.py"
        assert line.endswith(f"go on with: seqgen run runs/tiny --resume --plugin={path}")

    def test_a_file_of_the_same_name_will_do(self, stranger):
        with warnings.catch_warnings(action="error"):
            assert seqgen.load(stranger, plugins=["here/my_cell.py"])
        assert Path("imported").exists()

    def test_one_with_another_content_is_a_warning(self, stranger, place):
        place.write("here/my_cell.py", MY_CELL)
        with pytest.warns(UserWarning, match="not what the run was trained with"):
            seqgen.load(stranger, plugins=["here/my_cell.py"])

    def test_a_file_that_is_missing(self, stranger):
        with pytest.raises(PluginError, match=r"plugin .*my_cell\.py: no such file"):
            seqgen.load(stranger, plugins=["my_cell.py"])

    def test_a_manifest_without_hashes_will_do(self, stranger):
        manifest = json.loads((stranger / "manifest.json").read_bytes())
        (stranger / "manifest.json").write_text(json.dumps({**manifest, "plugins": 3}))
        assert seqgen.load(stranger, plugins=["here/my_cell.py"])

    def test_more_plugins_may_be_given(self, finished_run, place, command):
        place.write("late.py", LATE)
        words = ["--decoder", "late", "--max-length", "4", "--plugin", "late.py"]
        assert command("generate", finished_run, *words).out == "the \n"
        ended = command("list", "decoders", "--plugin", "late.py")
        assert "  late  Ends at once." in ended.out
        assert "late.py:" in ended.out

    def test_a_change_is_a_warning_when_the_run_is_resumed(self, run, place, train):
        place.write("my_cell.py", MY_CELL)
        few = ("train.max_steps=2", "train.validate_every=2", "samples.length=0")
        with pytest.warns(UserWarning, match=r"my_cell\.py: the file has changed since"):
            train("plugins=[my_cell.py]", "model.cell=mine", *few, resume=True)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package: a module and the entry point that names it."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def call(name, content):
        (site / f"{name}.py").write_text(content, encoding="utf-8")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[seqgen.plugins]\n{name} = {name}\n")

    yield call
    for path in site.glob("*.py"):
        sys.modules.pop(path.stem, None)


class TestAnInstalledPackage:
    def test_its_parts_are_there(self, install, command):
        install("plugin_of_a_friend", MY_CELL)
        listed = json.loads(command("list", "cells", "--json").out)["cells"]
        [mine] = [each for each in listed if each["name"] == "mine"]
        assert mine["summary"] == "An Elman cell that leaks."
        assert mine["options"] == {"hidden_size": 8, "leak": 0.5}
        assert mine["where"].endswith("plugin_of_a_friend.py:9")

    def test_a_broken_one_is_a_warning_and_the_rest_goes_on(self, install, command, place):
        install("plugin_that_breaks", "raise RuntimeError('two\\nlines')")
        install("plugin_that_works", MY_CELL)
        ended = command("validate", "tiny.yaml", "model.cell=mine")
        assert ended.code == 0
        assert ended.err == (
            "warning: plugin 'plugin_that_breaks' (plugin_that_breaks): RuntimeError: two lines\n"
        )

    def test_what_it_raises_is_no_defect_of_ours(self, install, command, place):
        register = "from seqgen.tokenizers import tokenizers\n\n\n@tokenizers.register('raises')\n"
        install("plugin_that_raises", f"{register}def made():\n    raise OSError('gone')\n")
        ended = command("run", "tiny.yaml", "tokenizer=raises")
        assert ended.code == 8
        assert "plugin_that_raises.py:6: the plugin broke its contract: OSError: gone" in ended.err
        assert ended.err.count("\n") == 1

    def test_one_that_takes_a_name_is_a_warning_too(self, install):
        install("plugin_that_takes", MY_CELL.replace('"mine"', '"lstm"'))
        with pytest.warns(
            UserWarning, match="the cell name 'lstm' is taken by seqgen/cells/native"
        ):
            load_installed()


# The rooms: every registry by its name, and what each of its parts must have.

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


DRAWING = """import dataclasses, hashlib, json, sys
import numpy as np
import torch
from torch import Tensor
from seqgen.cells import Dropout, cells
from seqgen.data import data
from seqgen.embeddings import embeddings
from seqgen.heads import heads
from seqgen.models import models
from seqgen.plugins import ROOMS
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
    usual = made.default_tokenizers
    fitted = {field: tokenizers.build(usual.get(field, cut)) for field in made.fields}
    for field, each in fitted.items():
        each.fit(made.training_texts()[field])
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
    *(0, -1, 2**63, 10**400, 10**5000, 1_000_000, 10**9),
    *(1e300, 1e-300, 0.5, math.nan, math.inf, "3", True),
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
    "drafts": ({**TEXT, "decoder": {"name": "speculative"}}, "decoder.draft"),
    "embeddings": (TEXT, "model.embedding"),
    "encoders": (PAIRS, "model.encoder"),
    "heads": (TEXT, "model.head"),
    "metrics": (PAIRS, "metrics.0"),
    "models": (PAIRS, "model"),
    "optimizers": (TEXT, "train.optimizer"),
    "schedules": (TEXT, "train.schedule"),
    "tokenizers": (TEXT, "tokenizer"),
    "trackers": (TEXT, "trackers.0"),
    "truncations": ({**TEXT, "decoder": {"name": "multinomial"}}, "decoder.truncations.0"),
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
            told(Recipe, stand(room, spec), dry_run)


@pytest.mark.parametrize("path", [*numbers(options_of(Recipe))], ids=".".join)
def test_and_for_any_section_of_a_recipe(path):
    for value in STRANGE:
        told(Recipe, put(TEXT, path, value), dry_run)


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
    said = told(Recipe, {**TEXT, "model": {"name": "language_model", **model}}, dry_run)
    assert not said or "must be at most" in said or "must be at least 1 and at most 1000," in said
