import pytest

from seqgen.errors import CheckpointError, SetupError
from seqgen.reports.comparison import write_comparison


def test_the_reports_lie_beside_what_they_are_made_of(pronounced, write_document):
    folder = write_document(pronounced)
    write_comparison(folder)
    names = {"compare.json", "compare.html", "compare.md"}
    assert {path.name for path in folder.iterdir()} == names
    first = (folder / "compare.html").read_bytes()
    assert b"Which search for pronunciations?" in first
    write_comparison(folder)
    assert (folder / "compare.html").read_bytes() == first


def test_nothing_is_written_of_a_damaged_document(write_document):
    folder = write_document("{")
    with pytest.raises(CheckpointError):
        write_comparison(folder)
    assert {path.name for path in folder.iterdir()} == {"compare.json"}


def test_a_report_that_cannot_be_written(pronounced, write_document):
    folder = write_document(pronounced)
    (folder / "compare.md").mkdir()
    with pytest.raises(SetupError, match=r"compare\.md: cannot be written"):
        write_comparison(folder)
