from pathlib import Path

import pytest

from seqgen.errors import SetupError
from seqgen.whole_files import write_whole


def test_what_is_written_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "first")
    write_whole(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]


def test_what_utf8_cannot_say_becomes_a_code(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "é\ud800")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "é\\ud800"


def test_a_file_that_cannot_be_put_there_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(SetupError, match=r"taken: cannot be written: Is a directory"):
        write_whole(tmp_path / "taken", "text")
    assert [each.name for each in tmp_path.iterdir()] == ["taken"]
