"""Files to text: what is normalised, what is refused, and how a file is fetched."""

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
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import text_files
from seqgen.data.text_files import Reading, TextFile, fetch, read_long, read_text
from seqgen.errors import SetupError
from seqgen.files import cache_folder

CAN_ZSTD = any(map(importlib.util.find_spec, ("compression", "zstandard")))
REPLACE = Reading(errors="replace")
HOWS = pytest.mark.parametrize("reading", [Reading(), REPLACE])
PACKS = pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        path = tmp_path / "text.txt"
        path.write_bytes(content)
        return path

    return to_file


@pytest.fixture
def refusal(said):
    return lambda path, *reading: said(read_text, path, *reading)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


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
def test_a_text_is_normalised_once_and_hashed_as_it_is(write, content, text):
    for reading in (None, REPLACE):
        assert read_text(write(content), reading) == TextFile(text, sha256(content), 0)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "cp437"])
def test_a_text_may_be_in_another_encoding(write, encoding):
    content = "caf\xe9\r\nna\xefve\r".encode(encoding)
    assert read_text(write(content), Reading(encoding)) == TextFile(
        "café\nnaïve\n", sha256(content)
    )


class TestEncoding:
    @pytest.mark.parametrize(
        ("content", "place", "encoding"),
        [
            (b"a\nb\xe9c\n", "2: invalid UTF-8 at byte 3", "latin-1"),
            (b"Stra\xdfe, caf\xe9\n" * 50, "1: invalid UTF-8 at byte 4", "latin-1"),
            ("“so” — how naïve".encode("cp1252"), "1: invalid UTF-8 at byte 0", "cp1252"),
            ("привет".encode("cp1251"), "1: invalid UTF-8 at byte 0", "NAME"),
            ("日本語\n".encode("shift_jis"), "1: invalid UTF-8 at byte 0", "NAME"),
        ],
    )
    def test_another_one_is_guessed_and_never_replaced(
        self, write, refusal, content, place, encoding
    ):
        path = write(content)
        advice = f" (encoding: {encoding} reads it)"
        with_options, without = refusal(path, Reading()), refusal(path)
        assert with_options.startswith(f"{path}:{place}; this looks like ")
        assert with_options.endswith(advice)
        assert without == with_options.replace(advice, " (save the file as UTF-8)")

    @pytest.mark.parametrize(
        ("content", "place"),
        [
            ("éü\n".encode() * 3 + b"\xff", "4: invalid UTF-8 at byte 15"),
            (b"a\r\nb\rc\n\n\xc3", "5: invalid UTF-8 at byte 8"),  # cut short
            ("\ufeff日本\n".encode() + b"\x80", "2: invalid UTF-8 at byte 10"),
        ],
    )
    def test_utf_8_with_faults_may_be_replaced(self, write, refusal, content, place):
        path = write(content)
        assert refusal(path, Reading()) == f"{path}:{place} (set errors: replace to go on)"
        assert refusal(path) == f"{path}:{place}"

    def test_faults_are_counted_when_replaced(self, write):
        path = write("é\ufffd".encode() + b"\xff\r\n\xf0\x90" + "\ufffd".encode() + b"\xc3")
        found = read_text(path, REPLACE)
        assert (found.text, found.replaced) == ("é\ufffd\ufffd\n\ufffd\ufffd\ufffd", 3)

    @HOWS
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be"])
    def test_wide_ones_are_refused(self, write, refusal, encoding, reading):
        path = write("a text of some words".encode(encoding))
        seems = "looks like" if encoding.endswith("e") else "is"
        said = f"{path}: this {seems} {encoding.upper()}"
        assert refusal(path, reading) == f"{said}; encoding: {encoding} reads it"
        assert refusal(path) == f"{said}; save the file as UTF-8"

    @pytest.mark.parametrize("name", ["latin1x", "rot13", "a\0b", ""])
    def test_unknown_ones_are_refused(self, name):
        with pytest.raises(ValueError, match="`encoding` must be an encoding that Python knows"):
            Reading(name)

    def test_a_fault_of_another_one_is_named(self, write, refusal):
        path = write(b"abc\n\x81")
        assert refusal(path, Reading("cp1252")) == f"{path}:2: invalid cp1252 at byte 4"


@pytest.mark.parametrize("reading", [Reading(), REPLACE, Reading("latin-1")])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04\x14\0", "a zip archive, as .docx, .xlsx and .epub files are"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
        (b"\x89PNG\r\n", "a picture"),
        (b"\x93NUMPY\x01\0", "a .npy file"),
        (gzip.compress(b"a" * 257 + b"ustar", mtime=0), "a tar archive"),
    ],
)
def test_a_binary_file_is_called_what_it_is(write, refusal, content, what, reading):
    path = write(content)
    assert refusal(path, reading) == f"{path}: this is {what}, not a text file"


@HOWS
def test_nuls_are_no_text_and_noise_is_no_encoding(write, refusal, reading):
    assert "full of NULs" in refusal(write(b"\1\0\0\7" * 50), reading)
    message = refusal(write(bytes(range(256)) * 4), Reading())
    assert message.endswith("; this looks like a binary file, not like text")


def zstd(content):
    """`content` in a frame of zstd by hand: its blocks say it as it is."""
    block = (len(content) << 3 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(content)]) + block + content


class TestPacked:
    @PACKS
    def test_it_is_unpacked_whatever_its_name(self, write, pack):
        content = pack("é\r\n".encode()) + pack(b"b")
        assert read_text(write(content)) == TextFile("é\nb", sha256(content))
        assert read_text(write(pack(b"\xe9")), Reading("latin-1")).text == "é"

    @HOWS
    @PACKS
    def test_damage_is_reported(self, write, refusal, pack, reading):
        content = pack(random.Random(1).randbytes(5000))
        assert refusal(write(content[:3000]), reading).endswith("file is cut short")
        middle = bytes(255 - byte for byte in content[1000:1100])
        path = write(content[:1000] + middle + content[1100:])
        assert "file is damaged: " in refusal(path, reading)

    @PACKS
    def test_a_bomb_is_defused(self, write, refusal, pack, monkeypatch):
        monkeypatch.setattr("seqgen.data.text_files.BOMB_SIZE", 1 << 18)
        assert "unpacks to more than" in refusal(write(pack(bytes(1 << 20))))
        text = "".join(f"line {number}\n" for number in range(40_000))
        assert read_text(write(pack(text.encode()))).text == text

    @pytest.mark.skipif(CAN_ZSTD, reason="this Python reads zstd")
    def test_zstd_names_what_it_needs(self, write, refusal):
        path = write(zstd(b"text"))
        wanted = "this is a zstd file; `pip install zstandard` lets seqgen read it"
        assert refusal(path) == f"{path}: {wanted}"

    @pytest.mark.skipif(not CAN_ZSTD, reason="neither Python 3.14 nor the package zstandard")
    def test_zstd_is_unpacked(self, write, refusal):
        content = zstd(b"text\n") + zstd(b"more")
        assert read_text(write(content)).text == "text\nmore"
        assert refusal(write(content[:-2])).endswith("zstd file is cut short")


class TestPaths:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("none.txt", "none.txt: cannot be read: No such file or directory"),
            (".", ": this is a directory; a text file is needed"),
            ("loop", "cannot be read: Too many levels of symbolic links"),
            ("pipe", "not a regular file"),
            ("none\n.txt", "none\\n.txt': cannot be read"),
            ("a\0b", "not a path"),
            ("a" * 300, "File name too long"),
        ],
    )
    def test_what_is_no_file_is_refused(self, tmp_path, refusal, name, message):
        """A pipe is not waited for."""
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        os.mkfifo(tmp_path / "pipe")
        assert message in refusal(tmp_path / name)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_unreadable(self, write, refusal):
        path = write(b"a")
        path.chmod(0)
        assert refusal(path) == f"{path}: cannot be read: Permission denied"


# Fetching from a server of our own: right, wrong, cut short, refused; nothing half done stays.
BODY = bytes(range(256)) * 1000
SHA256 = sha256(BODY)
OTHER = "0123456789abcdef" * 4
LENGTHS = {"/right": len(BODY), "/cut": len(BODY), "/short": 10, "/long": len(BODY) + 1}


def answer(request):
    """`do_GET` of the server."""
    if request.path == "/moved":
        request.send_response(302)
        request.send_header("Location", "/right")
        request.end_headers()
        return
    if request.path not in (*LENGTHS, "/unsized", "/endless"):
        request.send_error(404)
        return
    request.send_response(200)
    if request.path in LENGTHS:
        request.send_header("Content-Length", str(LENGTHS[request.path]))
    request.end_headers()
    request.wfile.write(BODY[: {"/cut": 1000, "/short": 10}.get(request.path, len(BODY))])
    try:
        while request.path == "/endless":
            request.wfile.write(BODY)
    except ConnectionError:  # as it should be: the client has seen enough
        request.server.hung_up.set()


class TestFetch:
    @pytest.fixture
    def server(self, serve):
        server, self.url = serve(answer)
        server.hung_up = threading.Event()
        return server

    @pytest.fixture
    def url(self, server):
        return self.url

    @pytest.fixture
    def destination(self, tmp_path):
        """A place with a good file in it, which only a right one may replace."""
        path = tmp_path / "folder" / "text.txt"
        path.parent.mkdir()
        path.write_bytes(b"as it was")
        return path

    @pytest.fixture
    def refused(self, destination):
        """A function that fetches what must not come: what it says."""

        def message(url, kind="DataError", hashed=SHA256, on_progress=None):
            with pytest.raises(BaseException, match=r"^[^\n]*$") as caught:
                fetch(url, hashed, len(BODY), destination, on_progress)
            assert caught.typename == kind
            assert destination.read_bytes() == b"as it was"
            assert list(destination.parent.iterdir()) == [destination]
            return str(caught.value)

        return message

    @pytest.mark.parametrize("page", ["right", "unsized", "moved"])
    def test_it_comes_whole_and_alone(self, url, tmp_path, page):
        destination = tmp_path / "new" / "folder" / "text.txt"
        fetch(f"{url}/{page}", SHA256, len(BODY), destination)
        assert destination.read_bytes() == BODY
        assert list(destination.parent.iterdir()) == [destination]

    def test_it_replaces_and_reports(self, url, destination):
        seen = []
        fetch(f"{url}/right", SHA256, len(BODY), destination, lambda *at: seen.append(at))
        assert destination.read_bytes() == BODY
        assert len(seen) > 1
        assert seen[-1] == (len(BODY), len(BODY))
        assert seen == sorted(seen)

    @pytest.mark.parametrize(
        ("page", "hashed", "message"),
        [
            ("right", OTHER, f"another file than expected (SHA-256 {SHA256[:16]}... instead of 01"),
            (
                "cut",
                SHA256,
                f"cut short (got 1000 of {len(BODY)} bytes); a local file can be given",
            ),
            ("short", SHA256, f"cut short (got 10 of {len(BODY)} bytes)"),
            (
                "long",
                SHA256,
                f"larger than expected ({len(BODY) + 1} bytes instead of {len(BODY)})",
            ),
            ("none", SHA256, "the server answered 404 Not Found"),
        ],
    )
    def test_another_file_is_refused(self, url, refused, page, hashed, message):
        found = refused(f"{url}/{page}", hashed=hashed)
        assert found.startswith(f"{url}/{page}: {message}")
        assert found.endswith("; a local file can be given instead: data.path=FILE")

    def test_an_endless_one_is_read_no_further_than_a_byte_too_many(self, server, url, refused):
        seen = []
        message = refused(f"{url}/endless", on_progress=lambda *at: seen.append(at))
        assert f"larger than expected (more than {len(BODY)} bytes)" in message
        assert max(got for got, _ in seen) <= len(BODY)
        assert server.hung_up.wait(timeout=10)

    def test_a_closed_port_and_a_silent_server_are_named(self, refused, monkeypatch):
        monkeypatch.setattr("seqgen.data.text_files.TIMEOUT_SECONDS", 0.05)
        with socket.socket() as port:
            port.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{port.getsockname()[1]}/text.txt"
            assert f"{url}: cannot be fetched: Connection refused; a local" in refused(url)
            port.listen()
            assert f"{url}: cannot be fetched: timed out" in refused(url)

    @pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:x/", "http://a b/"])
    def test_what_is_no_url_is_refused(self, refused, url):
        assert "cannot be fetched" in refused(url)

    def test_nothing_stays_when_it_is_interrupted_or_the_disk_is_full(
        self, url, refused, destination
    ):
        def interrupt(*at):
            raise KeyboardInterrupt

        refused(f"{url}/right", kind="KeyboardInterrupt", on_progress=interrupt)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as if the disk were full
        try:
            message = refused(f"{url}/right", kind="SetupError")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert message == f"{destination}: cannot be written: File too large"

    @pytest.mark.parametrize(
        ("place", "reason"), [("text.txt/sub/text.txt", "Not a directory"), (".", "Is a directory")]
    )
    def test_a_place_that_cannot_be_written_is_named(self, url, destination, place, reason, said):
        page, there = f"{url}/right", destination.parent / place
        message = said(fetch, page, SHA256, len(BODY), there, kind=SetupError)
        assert message == f"{there}: cannot be written: {reason}"
        assert list(destination.parent.iterdir()) == [destination]
        assert list(destination.parent.parent.iterdir()) == [destination.parent]
        assert destination.read_bytes() == b"as it was"


@pytest.mark.parametrize(
    ("general", "own", "folder"),
    [("", "", "/home/me/.cache/seqgen"), ("/xdg", "", "/xdg/seqgen"), ("/xdg", "/own", "/own")],
)
def test_the_cache_folder_is_chosen_by_the_environment(monkeypatch, general, own, folder):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", general)
    monkeypatch.setenv("SEQGEN_CACHE", own)
    assert cache_folder() == Path(folder)


@given(
    st.text(st.sampled_from("ab é你😀\n\r\t\x85\u2028\ufeff"), max_size=40),
    st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-8-sig", "latin-1", "shift_jis"]),
    st.integers(1, 9),
    st.integers(0, 45),
)
def test_a_large_file_is_read_in_parts_as_a_small_one_whole(text, encoding, chunk, place):
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "LARGE", 1)
        patch.setattr(text_files, "_CHUNK", chunk)
        path = Path(folder, "text.txt")
        path.write_bytes(text.encode(encoding, "ignore"))
        reading = Reading(encoding)
        found = read_long(path, reading)
        if found is None:
            assert not path.stat().st_size
            return
        whole, (long, sha256) = read_text(path, reading), found
        assert (str(long), long.chars, sha256) == (whole.text, len(whole.text), whole.sha256)
        assert "".join(long.read(place)) == whole.text[place:]


@pytest.mark.parametrize(
    ("content", "reading"),
    [
        (b"ab", Reading()),
        (gzip.compress(b"abcd" * 9), Reading()),
        (b"abc\xff", Reading()),
        (b"abcd", REPLACE),
        (None, Reading()),
    ],
    ids=["small", "packed", "faulty", "faults are replaced", "not there"],
)
def test_what_is_read_whole_however_large(content, reading, tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "LARGE", 3)
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    assert read_long(path, reading) is None


def test_a_large_file_that_is_no_text_is_refused(tmp_path, monkeypatch, said):
    monkeypatch.setattr(text_files, "LARGE", 3)
    path = tmp_path / "text.txt"
    path.write_bytes(b"%PDF-1.7 and so on")
    assert said(read_long, path, Reading()) == said(read_text, path, Reading())
