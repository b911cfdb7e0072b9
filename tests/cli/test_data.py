"""The verb `data`."""

import hashlib
import json
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest

from seqgen.data import corpora
from seqgen.data.corpora import TinyShakespeare

CONTENT = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, *words):
        pass


@pytest.fixture
def server(place, monkeypatch):
    """A server on loopback from which the corpus comes."""
    place.write("site/input.txt", CONTENT)
    monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=place.folder / "site")) as server:
        url = f"http://127.0.0.1:{server.server_port}/input.txt"
        monkeypatch.setattr(TinyShakespeare, "url", url)
        monkeypatch.setattr(TinyShakespeare, "size", len(CONTENT))
        monkeypatch.setattr(TinyShakespeare, "sha256", hashlib.sha256(CONTENT).hexdigest())
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield url
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def test_the_listing(command, monkeypatch, place):
    monkeypatch.setenv("SEQGEN_CACHE", str(place.folder / "cache"))
    ended = command("data", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = {each["name"]: each for each in json.loads(ended.out)}
    assert list(found) == list(corpora.names())
    assert found["unicode_names"]["ready"]
    assert not found["tiny_shakespeare"]["ready"]
    assert all(each["summary"] for each in found.values())
    told = command("data").out
    assert "unicode_names  (ready)\n    " in told
    assert "tiny_shakespeare  (not here yet: seqgen data get tiny_shakespeare)" in told


def test_getting_one_makes_it_ready(command, server, place):
    assert command("data", "get", "tiny_shakespeare") == (0, "tiny_shakespeare: ready\n", "")
    assert (place.folder / "cache" / "tiny_shakespeare.txt").read_bytes() == CONTENT
    assert "tiny_shakespeare  (ready)" in command("data").out
    (place.folder / "site" / "input.txt").unlink()
    assert command("data", "get", "tiny_shakespeare").code == 0, "it is not fetched again"


def test_getting_one_that_comes_along_does_nothing(command):
    assert command("data", "get", "unicode_names") == (0, "unicode_names: ready\n", "")


def test_a_wrong_file_is_refused(refusal, server, place):
    place.write("site/input.txt", CONTENT.replace(b"speak", b"sneak"))
    told = refusal(4, "data", "get", "tiny_shakespeare")
    assert told.startswith(f"{server}: another file than expected (SHA-256 ")
    assert told.endswith("; a local file can be given instead: data.path=FILE")


def test_without_a_network(refusal, server, monkeypatch):
    monkeypatch.setattr(TinyShakespeare, "url", "http://127.0.0.1:9/input.txt")
    assert "cannot be fetched: Connection refused" in refusal(4, "data", "get", "tiny_shakespeare")


def test_a_name_that_is_none(refusal):
    told = refusal(2, "data", "get", "tiny_shakespear")
    assert "no corpus named 'tiny_shakespear'; did you mean 'tiny_shakespeare'?" in told


PLUGIN = '''
from pathlib import Path

from seqgen.data.corpora import Corpus, corpora
from seqgen.data.text_files import TextFile


@corpora.register("mine")
class Mine(Corpus):
    """What I wrote myself."""

    name = "mine"

    def ready(self):
        return Path("mine.txt").exists()

    def read(self):
        return TextFile.of(Path("mine.txt").read_text())

    def fetch(self, on_progress=None):
        Path("mine.txt").write_text("mine")
'''


@pytest.mark.usefixtures("own_registries")
def test_a_corpus_of_a_plugin_is_listed(command, place):
    place.write("corpus.py", PLUGIN)
    found = json.loads(command("data", "--plugin", "corpus.py", "--json").out)
    assert {"name": "mine", "ready": False, "summary": "What I wrote myself."} in found


@pytest.mark.usefixtures("own_registries")
@pytest.mark.parametrize(
    "words",
    [
        ("data", "get", "mine", "--plugin", "corpus.py"),
        ("data", "--plugin", "corpus.py", "get", "mine"),
    ],
)
def test_a_corpus_of_a_plugin_can_be_got(words, command, place):
    place.write("corpus.py", PLUGIN)
    assert command(*words) == (0, "mine: ready\n", "")
    assert (place.folder / "mine.txt").read_text() == "mine"


def test_a_plugin_that_is_not_there(refusal, place):
    for words in (["data"], ["data", "get", "unicode_names"]):
        told = refusal(8, *words, "--plugin", "none.py")
        assert told == f"plugin {place.folder / 'none.py'}: no such file"
