"""What tests of data share: messages of one line, tokenizers for each field, a server."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from seqgen.errors import DataError
from seqgen.tokenizers import CharTokenizer, tokenizers


@pytest.fixture
def said():
    """A function that makes a call which must fail: what it says, in one line."""

    def message(call, *values, kind=DataError, **options):
        with pytest.raises(kind) as caught:
            call(*values, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message


@pytest.fixture
def fit():
    """A function that fits to a kind of data its default tokenizers, else `char`, or given ones."""

    def fitted(kind, **given):
        texts, made = kind.training_texts(), {}
        for field in kind.fields:
            default = kind.default_tokenizers.get(field, "char")
            made[field] = given[field] if field in given else tokenizers.build(default)
            made[field].fit(texts[field])
        return made

    return fitted


class Doubling(CharTokenizer):
    """Pieces that the seed draws: each character, or each character twice."""

    samples = True

    def sample(self, text, seed):
        tokens = self.encode(text)
        return tokens.repeat(2) if seed % 2 else tokens


@pytest.fixture
def doubling():
    return Doubling


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
