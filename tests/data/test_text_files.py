"""Reading text files: what is normalised, what is refused."""

import bz2
import gzip
import hashlib
import importlib.util
import lzma
import os
import random
import resource
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from seqgen.data.text_files import Reading, TextFile, cache_folder, fetch, read_text
from seqgen.errors import DataError, SetupError

CAN_ZSTD = any(map(importlib.util.find_spec, ("compression", "zstandard")))


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return to_file


def refusal(path, *reading):
    with pytest.raises(DataError) as caught:
        read_text(path, *reading)
    message = str(caught.value)
    assert "\n" not in message
    return message


REPLACE = Reading(errors="replace")


class TestText:
    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"", ""),
            (b"a\nb", "a\nb"),
            (b"a\r\nb\rc\r\r\n\n", "a\nb\nc\n\n\n"),
            (b"\xef\xbb\xbfa", "a"),
            (b"\xef\xbb\xbf\xef\xbb\xbfa", "\ufeffa"),
            ("é😀 \x00\x85\u2028\ufffd".encode(), "é😀 \x00\x85\u2028\ufffd"),
        ],
    )
    def test_is_normalised_once_and_hashed_as_it_is(self, write, content, text):
        wanted = TextFile(text, hashlib.sha256(content).hexdigest(), 0)
        assert read_text(write(content)) == wanted
        assert read_text(write(content), REPLACE) == wanted

    @pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "cp437"])
    def test_may_be_in_another_encoding(self, write, encoding):
        content = "caf\xe9\r\nna\xefve\r".encode(encoding)
        found = read_text(write(content), Reading(encoding))
        assert found == TextFile("café\nnaïve\n", hashlib.sha256(content).hexdigest())


class TestEncoding:
    """What is said of a file that is no UTF-8: what it looks like, and what would read it."""

    @pytest.mark.parametrize(
        ("content", "place", "advice"),
        [
            (b"a\nb\xe9c\n", "2: invalid UTF-8 at byte 3", "latin-1"),
            (
                "Stra\xdfe, caf\xe9\n".encode("latin-1") * 50,
                "1: invalid UTF-8 at byte 4",
                "latin-1",
            ),
            (
                "\u201cso\u201d \u2014 how na\xefve".encode("cp1252"),
                "1: invalid UTF-8 at byte 0",
                "cp1252",
            ),
            (
                "\u043f\u0440\u0438\u0432\u0435\u0442".encode("cp1251"),
                "1: invalid UTF-8 at byte 0",
                "NAME",
            ),
            ("\u65e5\u672c\u8a9e\n".encode("shift_jis"), "1: invalid UTF-8 at byte 0", "NAME"),
        ],
    )
    def test_another_one_is_guessed_and_never_replaced(self, write, content, place, advice):
        path = write(content)
        with_options, without = refusal(path, Reading()), refusal(path)
        assert with_options.startswith(f"{path}:{place}; this looks like ")
        assert with_options.endswith(f" (encoding: {advice} reads it)")
        assert without == with_options.replace(
            f"encoding: {advice} reads it", "save the file as UTF-8"
        )

    @pytest.mark.parametrize(
        ("content", "place"),
        [
            ("éü\n".encode() * 3 + b"\xff", "4: invalid UTF-8 at byte 15"),
            (b"a\r\nb\rc\n\n\xc3", "5: invalid UTF-8 at byte 8"),  # cut short
            ("\ufeff日本\n".encode() + b"\x80", "2: invalid UTF-8 at byte 10"),
        ],
    )
    def test_utf_8_with_faults_may_be_replaced(self, write, content, place):
        path = write(content)
        assert refusal(path, Reading()) == f"{path}:{place} (set errors: replace to go on)"
        assert refusal(path) == f"{path}:{place}"

    def test_faults_are_counted_when_replaced(self, write):
        path = write("é\ufffd".encode() + b"\xff\r\n\xf0\x90" + "\ufffd".encode() + b"\xc3")
        found = read_text(path, REPLACE)
        assert found.text == "é\ufffd\ufffd\n\ufffd\ufffd\ufffd"
        assert found.replaced == 3

    @pytest.mark.parametrize("replace", [Reading(), REPLACE])
    @pytest.mark.parametrize(
        ("encoding", "seems"),
        [
            ("utf-16", "is"),
            ("utf-32", "is"),
            ("utf-16-le", "looks like"),
            ("utf-16-be", "looks like"),
        ],
    )
    def test_wide_ones_are_refused(self, write, encoding, seems, replace):
        path = write("a text of some words".encode(encoding))
        said = f"{path}: this {seems} {encoding.upper()}"
        assert refusal(path, replace) == f"{said}; encoding: {encoding} reads it"
        assert refusal(path) == f"{said}; save the file as UTF-8"

    @pytest.mark.parametrize("name", ["latin1x", "rot13", "a\0b", ""])
    def test_what_is_no_encoding_is_refused(self, name):
        with pytest.raises(ValueError, match="`encoding` must be an encoding that Python knows"):
            Reading(name)

    def test_a_fault_of_another_encoding_is_named(self, write):
        path = write(b"abc\n\x81")
        wanted = f"{path}:2: invalid cp1252 at byte 4"
        assert refusal(path, Reading("cp1252")) == wanted


class TestBinary:
    @pytest.mark.parametrize("reading", [Reading(), REPLACE, Reading("latin-1")])
    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (b"%PDF-1.7\n", "a PDF document"),
            (b"PK\x03\x04\x14\0", "a zip archive, as .docx, .xlsx and .epub files are"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
            (b"\x89PNG\r\n", "a picture"),
            (b"\x93NUMPY\x01\0", "a .npy file"),
            (gzip.compress(b"a" * 257 + b"ustar"), "a tar archive"),
        ],
    )
    def test_is_said_to_be_what_it_is(self, write, content, what, reading):
        path = write(content)
        assert refusal(path, reading) == f"{path}: this is {what}, not a text file"

    @pytest.mark.parametrize("reading", [Reading(), REPLACE])
    def test_nuls_are_no_text(self, write, reading):
        assert "full of NULs" in refusal(write(b"\1\0\0\7" * 50), reading)

    def test_noise_is_no_encoding(self, write):
        message = refusal(write(bytes(range(256)) * 4), Reading())
        assert message.endswith("; this looks like a binary file, not like text")


def zstd(content):
    """`content` in a frame of zstd by hand: its blocks say it as it is."""
    block = (len(content) << 3 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(content)]) + block + content


class TestPacked:
    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_is_unpacked_whatever_its_name(self, write, pack):
        content = pack("é\r\n".encode()) + pack(b"b")
        assert read_text(write(content)) == TextFile("é\nb", hashlib.sha256(content).hexdigest())
        latin = pack("é".encode("latin-1"))
        assert read_text(write(latin), Reading("latin-1")).text == "é"

    @pytest.mark.parametrize("reading", [Reading(), REPLACE])
    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_damage_is_said(self, write, pack, reading):
        content = pack(random.Random(1).randbytes(5000))
        path = write(content[:3000])
        assert refusal(path, reading).endswith("file is cut short")
        middle = bytes(255 - byte for byte in content[1000:1100])
        path = write(content[:1000] + middle + content[1100:])
        assert "file is damaged: " in refusal(path, reading)

    @pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
    def test_a_bomb_is_defused(self, write, pack, monkeypatch):
        monkeypatch.setattr("seqgen.data.text_files.BOMB_SIZE", 1 << 20)
        path = write(pack(bytes(5 << 20)))
        assert "unpacks to more than" in refusal(path)
        text = "".join(f"line {number}\n" for number in range(200_000))
        assert read_text(write(pack(text.encode()))).text == text

    @pytest.mark.skipif(CAN_ZSTD, reason="this Python reads zstd")
    def test_zstd_says_what_it_needs(self, write):
        path = write(zstd(b"text"))
        wanted = "this is a zstd file; `pip install zstandard` lets seqgen read it"
        assert refusal(path) == f"{path}: {wanted}"

    @pytest.mark.skipif(not CAN_ZSTD, reason="neither Python 3.14 nor the package zstandard")
    def test_zstd_is_unpacked(self, write):
        content = zstd(b"text\n") + zstd(b"more")
        assert read_text(write(content)).text == "text\nmore"
        assert refusal(write(content[:-2])).endswith("zstd file is cut short")


class TestPaths:
    def test_missing(self, tmp_path):
        path = tmp_path / "none.txt"
        assert refusal(path) == f"{path}: cannot be read: No such file or directory"

    def test_a_directory(self, tmp_path):
        assert refusal(tmp_path) == f"{tmp_path}: this is a directory; a text file is needed"

    def test_a_symlink_loop(self, tmp_path):
        path = tmp_path / "loop"
        path.symlink_to(path)
        assert "cannot be read: Too many levels of symbolic links" in refusal(path)

    def test_a_pipe_is_not_waited_for(self, tmp_path):
        path = tmp_path / "pipe"
        os.mkfifo(path)
        assert "not a regular file" in refusal(path)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_unreadable(self, write):
        path = write(b"a")
        path.chmod(0)
        assert refusal(path) == f"{path}: cannot be read: Permission denied"

    def test_odd_names(self, tmp_path):
        assert "none\\n.txt': cannot be read" in refusal(tmp_path / "none\n.txt")
        assert "not a path" in refusal(tmp_path / "a\0b")
        assert "File name too long" in refusal(tmp_path / ("a" * 300))


# Fetching from a server of our own: right, wrong, cut short, refused; nothing half done stays.


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


def refusal_fetch(url, destination, *, kind=DataError, sha256=SHA256, **options):
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
        message = refusal_fetch(f"{url}/right", destination, sha256="0123456789abcdef" * 4)
        assert message == (
            f"{url}/right: another file than expected (SHA-256 {SHA256[:16]}... instead of "
            f"0123456789abcdef...); {INSTEAD}"
        )

    @pytest.mark.parametrize(("page", "got"), [("cut", 1000), ("short", 10)])
    def test_cut_short(self, url, destination, page, got):
        message = refusal_fetch(f"{url}/{page}", destination)
        assert message == f"{url}/{page}: cut short (got {got} of {len(BODY)} bytes); {INSTEAD}"

    def test_larger_as_announced(self, url, destination):
        message = refusal_fetch(f"{url}/long", destination)
        assert f"larger than expected ({len(BODY) + 1} bytes instead of {len(BODY)})" in message

    def test_endless_is_read_no_further_than_a_byte_too_many(self, server, url, destination):
        seen = []
        message = refusal_fetch(
            f"{url}/endless", destination, on_progress=lambda *at: seen.append(at)
        )
        assert f"larger than expected (more than {len(BODY)} bytes)" in message
        assert max(got for got, _ in seen) <= len(BODY)
        assert server.hung_up.wait(timeout=10)

    def test_status(self, url, destination):
        message = refusal_fetch(f"{url}/none", destination)
        assert message == f"{url}/none: the server answered 404 Not Found; {INSTEAD}"

    def test_connection_refused(self, destination):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/text.txt"
            message = refusal_fetch(url, destination)
        assert message == f"{url}: cannot be fetched: Connection refused; {INSTEAD}"

    @pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:x/", "http://a b/"])
    def test_no_url(self, url, destination):
        assert "cannot be fetched" in refusal_fetch(url, destination)

    def test_stalled(self, destination, monkeypatch):
        monkeypatch.setattr("seqgen.data.text_files.TIMEOUT_SECONDS", 0.05)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/text.txt"
            assert f"{url}: cannot be fetched: timed out" in refusal_fetch(url, destination)


class TestHere:
    def test_interrupted(self, url, destination):
        def interrupt(*at):
            raise KeyboardInterrupt

        refusal_fetch(f"{url}/right", destination, kind=KeyboardInterrupt, on_progress=interrupt)

    def test_no_space(self, url, destination):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as if the disk were full
        try:
            message = refusal_fetch(f"{url}/right", destination, kind=SetupError)
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
