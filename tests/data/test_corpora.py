"""The named corpora: what is in them, and what is said when one is not here."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pydoc_data.topics import topics

import pytest

from seqgen.data.corpora import Corpus, TinyShakespeare, corpora
from seqgen.errors import DataError

BODY = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


def test_the_registry_lists_them():
    assert corpora.names() == (
        "dates",
        "hangul",
        "punctuation",
        "python_docs",
        "python_library",
        "tiny_shakespeare",
        "unicode_categories",
        "unicode_names",
    )
    for name in corpora.names():
        made = corpora.build(name)
        assert isinstance(made, Corpus)
        assert made.name == name
        assert 20 < len(corpora.entry(name).summary) < 100
    assert list(corpora.entry("dates").options) == ["count", "seed"]
    assert list(corpora.entry("punctuation").options) == ["corpus"]


class TestFromPython:
    @pytest.mark.parametrize("name", ["dates", "hangul", "punctuation", "python_docs"])
    def test_is_always_ready(self, name):
        corpus = corpora.build(name)
        corpus.fetch()
        assert corpus.ready()

    def test_python_docs(self):
        found = corpora.build("python_docs").read()
        assert found.text.startswith(topics[min(topics)] + "\n\n")
        assert len(found.text) == sum(map(len, topics.values())) + 2 * (len(topics) - 1)
        assert 400_000 < len(found.text) < 600_000
        assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()
        assert found.replaced == 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        made.asked = 0
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def small(server, cache, monkeypatch):
    """`tiny_shakespeare` as the first lines of it, from a server of our own."""
    monkeypatch.setattr(TinyShakespeare, "url", f"http://127.0.0.1:{server.server_port}/input.txt")
    monkeypatch.setattr(TinyShakespeare, "sha256", hashlib.sha256(BODY).hexdigest())
    monkeypatch.setattr(TinyShakespeare, "size", len(BODY))
    return corpora.build("tiny_shakespeare")


class TestTinyShakespeare:
    def test_says_how_to_get_it(self, cache):
        corpus = corpora.build("tiny_shakespeare")
        assert not corpus.ready()
        with pytest.raises(DataError) as caught:
            corpus.read()
        assert str(caught.value) == (
            "corpus 'tiny_shakespeare' is not here yet: seqgen data get tiny_shakespeare "
            "(or give a local file: data.path=FILE)"
        )

    def test_is_fetched_once(self, small, server, cache):
        small.fetch()
        small.fetch()
        assert server.asked == 1
        assert small.ready()
        assert small.read().text == BODY.decode()
        assert small.read().sha256 == small.sha256
        assert [path.name for path in cache.iterdir()] == ["tiny_shakespeare.txt"]

    def test_another_file_in_its_place_is_refused_and_fetched_again(self, small, cache):
        path = cache / "tiny_shakespeare.txt"
        path.write_bytes(b"\xff another")
        assert not small.ready()
        found = hashlib.sha256(b"\xff another").hexdigest()[:16]
        with pytest.raises(DataError) as caught:
            small.read()
        assert str(caught.value) == (
            f"{path}: not what corpus 'tiny_shakespeare' is (SHA-256 {found}... instead of "
            f"{small.sha256[:16]}...); fetch it again: seqgen data get tiny_shakespeare"
        )
        small.fetch()
        assert small.ready()

    def test_what_cannot_be_read_is_said(self, small, cache):
        (cache / "tiny_shakespeare.txt").mkdir()
        assert not small.ready()
        with pytest.raises(DataError, match="cannot be read: Is a directory"):
            small.read()
