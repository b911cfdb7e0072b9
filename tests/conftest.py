"""What tests of several rooms share: small parts by name, a tiny recipe and ways to run it."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from seqgen.options import REQUIRED

# Before torch is there: threads that wait for one another make tiny models up to 100 times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Nothing is fetched from a hub, whatever a library may try.
os.environ |= dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"), "1")

# On a busy machine an example may take any time.
settings.register_profile("slow", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("slow")

# Options that make a small part, for each registered part that has required ones or large
# defaults. A part that is not here is built with its defaults.
SMALL = {
    "cells": {
        "lstm": {"hidden_size": 5},
        "lstm_cell": {"hidden_size": 5},
        "gru": {"hidden_size": 5},
        "gru_cell": {"hidden_size": 5},
        "rnn": {"hidden_size": 5},
        "rnn_cell": {"hidden_size": 5},
        "variational_dropout": {"cell": {"name": "lstm", "hidden_size": 5}},
        "weight_drop": {"cell": {"name": "gru", "hidden_size": 5}},
        "zoneout": {"cell": {"name": "lstm_cell", "hidden_size": 5}, "rates": [0.1, 0.5]},
        "layer_norm_lstm": {"hidden_size": 5},
        "peephole_lstm": {"hidden_size": 5},
        "multiplicative_lstm": {"hidden_size": 5},
        "min_gru": {"hidden_size": 5},
        "min_lstm": {"hidden_size": 5},
        "sru": {"hidden_size": 5},
        "indrnn": {"hidden_size": 5},
        "slstm": {"hidden_size": 6, "heads": 2},
        "stack": {
            "cells": [{"name": "lstm_cell", "hidden_size": 4}, {"name": "lstm", "hidden_size": 5}]
        },
    },
    "tokenizers": {
        "sentencepiece": {"algorithm": "bpe", "vocab_size": 308},
        "huggingface": {"vocab_size": 270},
    },
    "embeddings": {"learned": {"size": 6}, "pretrained": {"path": "vectors.txt", "size": 6}},
    "heads": {
        "adaptive_softmax": {"cutoffs": [2, 4], "div_value": 2},
        "mixture_of_softmaxes": {"mixtures": 3, "bottleneck": 4},
    },
    "encoders": {
        "recurrent": {"cell": {"name": "lstm", "hidden_size": 5}},
        "bidirectional": {"cell": {"name": "gru", "hidden_size": 4}, "layers": 2},
        "label": {"size": 5},
    },
    "models": {
        "language_model": {"cell": {"name": "lstm", "hidden_size": 5}},
        "classifier": {
            "encoder": {"name": "recurrent", "cell": {"name": "lstm", "hidden_size": 5}}
        },
        "tagger": {
            "encoder": {"name": "bidirectional", "cell": {"name": "lstm", "hidden_size": 4}}
        },
        "seq2seq": {
            "encoder": {"name": "bidirectional", "cell": {"name": "gru", "hidden_size": 4}},
            "attention": "additive",
            "cell": {"name": "lstm", "hidden_size": 5},
            "sampling": {"rate": 0.5},
        },
    },
    "constraints": {
        "minimum_length": {"length": 3},
        "no_repeat_ngram": {"size": 2},
        "repetition_penalty": {"penalty": 2.0},
        "forbid": {"texts": ["01", "4"]},
        "forced_prefix": {"text": "10"},
        "allowed": {"texts": ["0140", "0", "44"]},
        "presence_penalty": {"penalty": 0.7, "window": 3},
        "frequency_penalty": {"penalty": -0.6},
        "sequence_bias": {"texts": {"10": 2.0, "0": -1.5, "4": 3.0}, "tokens": {1: 0.5}},
        "must_contain": {"texts": ["10", "04", "1"]},
        "pattern": {"regex": "[01]*(4|14)"},
        "guidance": {"scale": 1.7},
        "coverage_penalty": {"beta": 0.7},
        "language_model": {"run": "other"},
        "ensemble": {"runs": ["other"]},
    },
    "data": {
        "text": {"corpus": "unicode_names"},
        "pairs": {"corpus": "hangul"},
        "labelled": {"corpus": "unicode_categories"},
        "lines": {"corpus": "unicode_names"},
        "tagged": {"corpus": "punctuation", "letters": True},
        "vectors": {"vector_size": 3, "path": "texts.txt"},
    },
    "decoders": {
        "beam": {"beam_size": 3, "n_best": 3, "length_normalisation": "power"},
        "diverse_beam": {"beam_size": 4, "groups": 2, "n_best": 3},
        "exact": {"n_best": 2, "max_nodes": 200},
        "minimum_bayes_risk": {"samples": 6, "n_best": 3},
        "stochastic_beam": {"beam_size": 3},
        "top_k": {"k": 3},
    },
    "drafts": {"model": {"run": "other"}},
    "truncations": {"top_k": {"k": 3}},
}


@pytest.fixture(scope="session")
def defaults():
    """A function that returns the defaults of a factory; at `key`, tests/golden has the same."""
    from seqgen.options import default_of, options_of
    from seqgen.registry import Part, plain

    path = Path(__file__).parent / "golden" / "defaults.json"
    golden = {} if os.environ.get("GOLDEN") == "write" else json.loads(path.read_text("utf-8"))

    def check(key, factory):
        options = options_of(factory).values()
        given = {each.name: default_of(each) for each in options if each.default is not REQUIRED}
        written = {key: o.name if isinstance(o, Part) else plain(o) for key, o in given.items()}
        found = json.loads(json.dumps(written, default=str))
        assert found == golden.get(key, found), f"defaults of {key}"
        return found

    return check


@pytest.fixture(scope="session")
def small(defaults):
    """A function from a registry and a name to the spec of a small part, whose defaults it checks:
    whatever is tried on every part of a kind asks for it."""

    def spec(registry, name):
        if name == "huggingface" and find_spec("tokenizers") is None:
            pytest.skip("the extra hf is not installed")
        defaults(f"{registry.room}.{name}", registry.entry(name).factory)
        options = SMALL.get(registry.room, {}).get(name, {})
        required = [
            key
            for key, option in registry.entry(name).options.items()
            if option.default is REQUIRED and key not in options
        ]
        if required:
            pytest.fail(
                f"the {registry.kind} '{name}' cannot be built without {', '.join(required)}: "
                f"enter small values under '{registry.room}' in SMALL (tests/conftest.py)"
            )
        return {"name": name, **options}

    return spec


@pytest.fixture(scope="session")
def sources():
    """A function from lengths to sources, always of the same words and letters.

    There are 9 words, spelt by 0 to 4 of 8 letters; word 8 and letter 7 stand in padding only.
    """
    import torch

    from seqgen.data import Sources
    from seqgen.state import real

    def drawn(high, *shape):
        return torch.randint(high, shape, generator=torch.Generator().manual_seed(2))

    def make(lengths=(3, 0, 1, 6, 4), time=None):
        lengths = torch.tensor(lengths, dtype=torch.long)
        time = max([*lengths.tolist(), 0]) if time is None else time
        words, padding = drawn(8, len(lengths), 12)[:, :time], ~real(lengths, time)
        letters, sizes = drawn(7, 9, 4)[words], (torch.arange(9) % 5)[words]
        return Sources(
            words.masked_fill(padding, 8),
            lengths,
            letters.masked_fill(padding.unsqueeze(2), 7),
            sizes.masked_fill(padding, 0),
        )

    return make


@pytest.fixture(scope="session")
def other_padding():
    """A function that changes all in some sources that comes after the end of something."""
    import torch

    from seqgen.state import real

    def change(here):
        padding, width = ~real(here.lengths, here.values.shape[1]), here.letters.shape[2]
        unspelt = torch.arange(width) >= here.letter_lengths.unsqueeze(2)
        letters = here.letters.masked_fill(unspelt, 1).masked_fill(padding.unsqueeze(2), 2)
        return replace(
            here,
            values=here.values.masked_fill(padding, 0),
            letters=letters,
            letter_lengths=here.letter_lengths.masked_fill(padding, width),
        )

    return change


@pytest.fixture(scope="session")
def rows_of():
    """A function from sources and rows to these, without more padding than they need."""

    def take(here, rows):
        time = max(here.lengths[rows].tolist())
        parts = (here.values, here.letters, here.letter_lengths)
        values, letters, sizes = (each[rows, :time] for each in parts)
        return replace(
            here, values=values, lengths=here.lengths[rows], letters=letters, letter_lengths=sizes
        )

    return take


RECIPE = """\
# A recipe that trains in a tenth of a second.
data: {name: text, path: text.txt, batch_size: 4, window: 16}
model:
  name: language_model
  embedding: {size: 8}
  cell: {name: lstm, hidden_size: 16}
train:
  lr: 1e-2
  max_steps: 12
  validate_every: 4
  log_every: 3
decoder: {name: multinomial, temperature: 0.8}
samples: {prompts: ["the "], length: 20, temperatures: [0, 0.8]}
threads: 1
"""
PAIRS_RECIPE = """\
data: {name: pairs, path: pairs.tsv, batch_size: 32}
model:
  name: seq2seq
  encoder: {name: bidirectional, embedding: {size: 8}, cell: {name: gru, hidden_size: 16}}
  attention: general
  embedding: {size: 8}
  cell: {name: gru, hidden_size: 16}
metrics: [exact_match]
train: {lr: 2e-2, max_steps: 60, validations: 1}
generation: {max_length: 12}
threads: 1
"""
WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "dogs", "run", "far", "café"]


def words(count, seed=1):
    """`count` words of a small language, always the same ones."""
    draw = random.Random(seed)
    return " ".join(draw.choice(WORDS) for _ in range(count))


class Place:
    """A folder of one's own, which is the current one, with text.txt and tiny.yaml in it."""

    def __init__(self, folder):
        self.folder = folder
        self.write("text.txt", words(1500))
        self.write("tiny.yaml", RECIPE)

    def write(self, name, content):
        """A file of the folder, from text or bytes; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def recipe(self, old="", new=""):
        """The recipe with `old` replaced by `new`, as tiny.yaml."""
        assert old in RECIPE
        return self.write("tiny.yaml", RECIPE.replace(old, new, 1))

    def pairs(self, rows):
        """Words or rows of pairs.tsv, of which a word is to be written in capitals; pairs.yaml."""
        lines = (row if "\t" in row else f"{row}\t{row.upper()}" for row in rows)
        self.write("pairs.tsv", "".join(f"{line}\n" for line in lines))
        return self.write("pairs.yaml", PAIRS_RECIPE)

    def files(self):
        """All files below the folder, with their contents, but for what Python compiles."""
        paths = sorted(
            path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".pyc"
        )
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


@pytest.fixture
def memory_folder():
    """A folder in memory where there is one: many checkpoints then wait for no disk."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=parent, prefix="seqgen-tests-") as folder:
        yield Path(folder)


@pytest.fixture
def small_disk(tmp_path):
    """A function that makes a disk of so many KiB, or gives the one it made another size."""
    folder = tmp_path / "disk"

    def mount(size):
        remount = "remount," if folder.exists() else ""
        folder.mkdir(exist_ok=True)
        options = f"{remount}size={size}k"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            mounted = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            pytest.skip("there is no command mount")
        if mounted.returncode:
            pytest.skip("mounting needs more rights")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys):
    """A function that runs the command line in this process: `command("run", "tiny.yaml")`."""
    from seqgen.cli.main import main

    def call(*words):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["seqgen", *map(str, words)])
        with (
            warnings.catch_warnings(action="always", category=UserWarning),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        out, err = capsys.readouterr()
        return Ended(ended.value.code or 0, out, err)

    return call


@pytest.fixture
def refusal(command, place):
    """A function that runs a command which must fail with `code`: the one line that it says.

    Nothing may be printed besides, and no file may come, go or change.
    """

    def call(code, *words):
        before = place.files()
        ended = command(*words)
        assert ended.code == code, ended.err
        assert ended.out == ""
        assert ended.err.endswith("\n")
        assert ended.err.count("\n") == 1, ended.err
        assert place.files() == before
        return ended.err.removesuffix("\n")

    return call


@pytest.fixture
def said():
    """A function that makes a call which must fail: what it says, in one line."""

    from seqgen.errors import SeqgenError

    def message(call, *values, kind=SeqgenError, **options):
        with pytest.raises(kind) as caught:
            call(*values, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message


@pytest.fixture
def serve(monkeypatch):
    """A function that starts a server with a `do_GET` of its own; returns it and its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    started = []

    def start(answer):
        silent = {"do_GET": answer, "log_message": lambda *_: None}
        server = HTTPServer(("127.0.0.1", 0), type("Handler", (BaseHTTPRequestHandler,), silent))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server, f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def train(place):
    """A function that runs a recipe without the command line; returns the run directory.

    `watch` is called with each event; a report is written only with `report`.
    """
    from seqgen.run import RunRequest, run

    def call(*overrides, watch=(), recipe="tiny.yaml", **how):
        how["out"] = Path(how.get("out", "run"))
        request = RunRequest(recipe, overrides, **{"report": False, **how})
        return run(request, lambda plan: None, list(watch))

    return call


@pytest.fixture(scope="session")
def run_once(tmp_path_factory):
    """A function that runs a recipe, for tests that only read the run; returns the run directory.

    It runs in a folder of its own, which has tiny.yaml, text.txt, pairs.yaml with the rows `pairs`
    and the `files` in it, and stands for HERE in overrides.
    """
    from seqgen.run import RunRequest, run

    def call(*overrides, recipe="tiny.yaml", pairs=(), files=(), out="run", report=False):
        place = Place(tmp_path_factory.mktemp("place"))
        place.pairs(pairs)
        for name, content in dict(files).items():
            place.write(name, content)
        overrides = [each.replace("HERE", str(place.folder)) for each in overrides]
        path, out = str(place.folder / recipe), place.folder / out
        return run(RunRequest(path, overrides, out, report=report), lambda plan: None)

    return call


@pytest.fixture(scope="session")
def finished_run(run_once):
    """A run that has come to its end, for all tests that only read it."""
    return run_once("data.path=HERE/text.txt", report=True)


@pytest.fixture(scope="session")
def few_words():
    """A function from a count to so many words of up to 5 letters, always the same ones."""

    def words(count, seed=1):
        draw = random.Random(seed)
        return ["".join(draw.choices("abcde", k=draw.randint(1, 5))) for _ in range(count)]

    return words


@pytest.fixture(scope="session")
def pairs_run(run_once, few_words):
    """A run that has half learned to write a word in capitals."""
    words = dict.fromkeys(few_words(500))
    return run_once("data.path=HERE/pairs.tsv", recipe="pairs.yaml", pairs=words, report=True)


@pytest.fixture
def copied_run(finished_run, tmp_path):
    """A copy of the finished run, for tests that damage it."""
    return Path(shutil.copytree(finished_run, tmp_path / "copied"))


@pytest.fixture
def own_registries():
    """What a test registers, and the plugins that it imports, are gone after it."""
    from seqgen.plugins import ROOMS

    tables = [
        table
        for registry in ROOMS.values()
        for table in (registry._entries, registry._names_of_factories)
    ]
    before = [dict(table) for table in tables]
    modules = set(sys.modules)
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)
    for name in set(sys.modules) - modules:
        if name.startswith("seqgen_plugin_"):
            del sys.modules[name]


@pytest.fixture
def make_trainer(place):
    """A function that builds the Trainer of tiny.yaml with overrides, checkpoints in `folder`."""
    from seqgen.build import build, build_data, fit_tokenizers
    from seqgen.evaluate import evaluate
    from seqgen.recipe import read_recipe
    from seqgen.training import Checkpoints, Trainer, Validation

    def make(*overrides, folder=None, sinks=()):
        recipe = read_recipe(Path("tiny.yaml"), overrides)
        data = build_data(recipe)
        tokenizers = fit_tokenizers(recipe, data)
        dataset = data.encode(tokenizers)
        built = build(recipe, data, tokenizers)

        def validate():
            figures = evaluate(built.model, dataset.valid, built.device)
            return Validation(figures, figures["nats_per_token"])

        checkpoints = Checkpoints(Path(folder)) if folder else None
        trainer = Trainer(built.model, dataset.train, recipe.train, built.device, checkpoints)
        trainer.validate = validate if dataset.valid else None
        trainer.sinks = sinks
        return trainer

    return make


class Fork:
    """A copy of this process, where torch is loaded, that calls `action` and ends."""

    def __init__(self, action):
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            self.pid = os.fork()  # which newer Pythons warn of where there are threads
        self.code = None
        if self.pid == 0:
            code = 1
            try:
                action()
                code = 0
            except SystemExit as end:
                code = end.code or 0
            finally:
                os._exit(code)

    def send_signal(self, number):
        os.kill(self.pid, number)

    def poll(self, how=os.WNOHANG):
        if self.code is None:
            pid, status = os.waitpid(self.pid, how)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self):
        return self.poll(0)


@pytest.fixture
def fork():
    """A function that calls another one in a copy of this process, which is killed at the end."""
    started = []

    def call(action):
        started.append(Fork(action))
        return started[-1]

    yield call
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.fixture
def spawn():
    """A function that starts `python -m seqgen ...`; whatever still runs at the end is killed."""
    started = []

    def call(*words, **how):
        command = [sys.executable, "-m", "seqgen", *map(str, words)]
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **how}
        started.append(subprocess.Popen(command, **how))
        return started[-1]

    yield call
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def golden():
    """A function that holds a text against a file of tests/golden; GOLDEN=write writes the file.

    Of a style sheet and a script, the file has the hash.
    """

    def digest(found):
        return f"{found[1]}{hashlib.sha256(found[3].encode()).hexdigest()[:16]}</{found[2]}>"

    def check(name, text):
        path = Path(__file__).parent / "golden" / name
        text = re.sub(r"(<(style|script)\b[^>]*>)(.*?)</\2>", digest, text, flags=re.DOTALL)
        if os.environ.get("GOLDEN") == "write":
            path.write_text(text, encoding="utf-8", newline="\n")
        assert text == path.read_text(encoding="utf-8")

    return check


@pytest.fixture(scope="session")
def browser():
    """A Chromium, where there is one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; make browser installs it where it may")
    # Chromium refuses to run as root inside its own sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=arguments)
        except sync_api.Error as error:
            pytest.skip(f"Chromium does not start here: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def open_file(browser):
    """A function that opens a page; at the end, nothing was amiss and nothing was fetched but the
    file itself."""
    said, requests, files, contexts = [], [], set(), []

    def open_it(path, width=1280, scheme="light"):
        files.add(path.as_uri())
        size = {"width": width, "height": 900}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme, offline=True))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert said == []
    assert {url.partition("#")[0] for url in requests} == files


class _ReadHtml(HTMLParser):
    """The text of a page and its tags with their attributes; its elements nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []
        self.ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        assert len(self.ids) == len(set(self.ids))
        self.links = [attributes["href"] for _, attributes in self.tags if "href" in attributes]

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        self.open += [] if tag in {"meta", "input", "wbr"} else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def well_made():
    """A function that reads a page, and fails where it is not well made."""
    return _ReadHtml
