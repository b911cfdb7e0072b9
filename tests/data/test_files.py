"""Reading text files: what is normalised, what is refused."""

import hashlib
import os

import pytest

from seqgen.data.files import TextFile, read_text
from seqgen.errors import DataError


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return to_file


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_text(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


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
        assert read_text(write(content), "replace") == wanted


class TestEncoding:
    @pytest.mark.parametrize(
        ("content", "place"),
        [
            (b"\xff", "1: invalid UTF-8 at byte 0"),
            (b"a\nb\xe9c\n", "2: invalid UTF-8 at byte 3"),
            (b"a\r\nb\rc\n\n\xc3", "5: invalid UTF-8 at byte 8"),
            (b"\xef\xbb\xbf\xed\xa0\x80", "1: invalid UTF-8 at byte 3"),
        ],
    )
    def test_a_fault_is_named_by_line_and_byte(self, write, content, place):
        path = write(content)
        assert refusal(path) == f"{path}:{place} (set errors: replace to go on)"

    def test_faults_are_counted_when_replaced(self, write):
        path = write("é\ufffd".encode() + b"\xff\r\n\xf0\x90" + "\ufffd".encode() + b"\xc3")
        found = read_text(path, "replace")
        assert found.text == "é\ufffd\ufffd\n\ufffd\ufffd\ufffd"
        assert found.replaced == 3

    @pytest.mark.parametrize("errors", ["strict", "replace"])
    def test_utf_16_is_refused(self, write, errors):
        path = write("abc".encode("utf-16"))
        assert refusal(path, errors=errors) == f"{path}: this is UTF-16; save the file as UTF-8"


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
