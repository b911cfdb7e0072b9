from pathlib import Path

import pytest

from seqgen.errors import CheckpointError
from seqgen.json_files import read_mapping


def test_a_mapping_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, null]}')
    assert read_mapping(tmp_path / "a.json") == {"a": [1, None]}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "the file is missing"),
        (b'{"a": ', "cannot be read: Expecting value"),
        (b"[" * 100_000, "cannot be read: maximum recursion depth"),
        (b"[1]", "damaged, it does not hold a mapping"),
    ],
)
def test_what_is_no_mapping_is_said_with_the_file(
    tmp_path: Path, content: bytes | None, fault: str
) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"a.json: {fault}"):
        read_mapping(tmp_path / "a.json")
