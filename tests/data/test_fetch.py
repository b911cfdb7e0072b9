"""Fetching from a server of our own: right, wrong, cut short, refused; nothing half done stays."""

import hashlib
import resource
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from seqgen.data.fetch import cache_folder, fetch
from seqgen.errors import DataError, SetupError

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/right")
            self.end_headers()
            return
        if self.path not in ("/right", "/unsized", "/cut", "/short", "/long", "/endless"):
            self.send_error(404)
            return
        self.send_response(200)
        length = {"/short": 10, "/long": len(BODY) + 1}.get(self.path, len(BODY))
        if self.path not in ("/unsized", "/endless"):
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(BODY[: {"/cut": 1000, "/short": 10}.get(self.path, length)])
        if self.path == "/endless":
            self.go_on()

    def go_on(self):
        try:
            while True:
                self.wfile.write(BODY)
        except ConnectionError:  # as it should be: the client has seen enough
            self.server.hung_up.set()

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        made.hung_up = threading.Event()
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture
def destination(tmp_path):
    """A place with a good file in it, which only a right one may replace."""
    path = tmp_path / "folder" / "text.txt"
    path.parent.mkdir()
    path.write_bytes(b"as it was")
    return path


def refusal(url, destination, *, kind=DataError, sha256=SHA256, **options):
    with pytest.raises(kind) as caught:
        fetch(url, sha256, len(BODY), destination, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert destination.read_bytes() == b"as it was"
    assert list(destination.parent.iterdir()) == [destination]
    return message


INSTEAD = "a local file can be given instead: data.path=FILE"


class TestRight:
    @pytest.mark.parametrize("page", ["right", "unsized", "moved"])
    def test_comes_whole_and_alone(self, url, tmp_path, page):
        destination = tmp_path / "new" / "folder" / "text.txt"
        fetch(f"{url}/{page}", SHA256, len(BODY), destination)
        assert destination.read_bytes() == BODY
        assert list(destination.parent.iterdir()) == [destination]

    def test_replaces_and_reports(self, url, destination):
        seen = []
        fetch(f"{url}/right", SHA256, len(BODY), destination, lambda *at: seen.append(at))
        assert destination.read_bytes() == BODY
        assert len(seen) > 1
        assert seen[-1] == (len(BODY), len(BODY))
        assert seen == sorted(seen)


class TestWrong:
    def test_hash(self, url, destination):
        message = refusal(f"{url}/right", destination, sha256="0123456789abcdef" * 4)
        assert message == (
            f"{url}/right: another file than expected (SHA-256 {SHA256[:16]}... instead of "
            f"0123456789abcdef...); {INSTEAD}"
        )

    @pytest.mark.parametrize(("page", "got"), [("cut", 1000), ("short", 10)])
    def test_cut_short(self, url, destination, page, got):
        message = refusal(f"{url}/{page}", destination)
        assert message == f"{url}/{page}: cut short (got {got} of {len(BODY)} bytes); {INSTEAD}"

    def test_larger_as_announced(self, url, destination):
        message = refusal(f"{url}/long", destination)
        assert f"larger than expected ({len(BODY) + 1} bytes instead of {len(BODY)})" in message

    def test_endless_is_read_no_further_than_a_byte_too_many(self, server, url, destination):
        seen = []
        message = refusal(f"{url}/endless", destination, on_progress=lambda *at: seen.append(at))
        assert f"larger than expected (more than {len(BODY)} bytes)" in message
        assert max(got for got, _ in seen) <= len(BODY)
        assert server.hung_up.wait(timeout=10)

    def test_status(self, url, destination):
        message = refusal(f"{url}/none", destination)
        assert message == f"{url}/none: the server answered 404 Not Found; {INSTEAD}"

    def test_connection_refused(self, destination):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/text.txt"
            message = refusal(url, destination)
        assert message == f"{url}: cannot be fetched: Connection refused; {INSTEAD}"

    @pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:x/", "http://a b/"])
    def test_no_url(self, url, destination):
        assert "cannot be fetched" in refusal(url, destination)

    def test_stalled(self, destination, monkeypatch):
        monkeypatch.setattr("seqgen.data.fetch.TIMEOUT_SECONDS", 0.05)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/text.txt"
            assert f"{url}: cannot be fetched: timed out" in refusal(url, destination)


class TestHere:
    def test_interrupted(self, url, destination):
        def interrupt(*at):
            raise KeyboardInterrupt

        refusal(f"{url}/right", destination, kind=KeyboardInterrupt, on_progress=interrupt)

    def test_no_space(self, url, destination):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as if the disk were full
        try:
            message = refusal(f"{url}/right", destination, kind=SetupError)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert message == f"{destination}: cannot be written: File too large"

    def test_the_folder_cannot_be_made(self, url, destination):
        with pytest.raises(SetupError, match="cannot be written: Not a directory"):
            fetch(f"{url}/right", SHA256, len(BODY), destination / "sub" / "text.txt")
        assert destination.read_bytes() == b"as it was"

    def test_the_destination_is_a_folder(self, url, destination):
        with pytest.raises(SetupError, match="folder: cannot be written: Is a directory"):
            fetch(f"{url}/right", SHA256, len(BODY), destination.parent)
        assert list(destination.parent.parent.iterdir()) == [destination.parent]


class TestCacheFolder:
    def test_is_chosen_by_the_environment(self, monkeypatch):
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        monkeypatch.setenv("SEQGEN_CACHE", "")
        assert cache_folder() == Path("/home/me/.cache/seqgen")
        monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
        assert cache_folder() == Path("/xdg/seqgen")
        monkeypatch.setenv("SEQGEN_CACHE", "/own")
        assert cache_folder() == Path("/own")
