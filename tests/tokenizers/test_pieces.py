"""A SentencePiece model: only a whole one is loaded, and its pieces stand under our ids."""

import os
from pathlib import Path

import pytest

from seqgen.tokenizers import SPECIALS, UNK
from seqgen.tokenizers.pieces import NONE, Pieces, load_model, read_model
from seqgen.tokenizers.sentencepiece import train_model


@pytest.fixture(scope="module")
def content():
    return train_model(["a cat\na mat"], "bpe", 270, coverage=1.0)


@pytest.fixture
def read(tmp_path):
    """A function that reads a model file of some content."""

    def call(content):
        (tmp_path / "model").write_bytes(content)
        return read_model(tmp_path / "model")

    return call


def test_pieces_are_what_they_stand_for(content):
    pieces = Pieces.of(load_model(content))
    assert pieces.theirs == tuple(range(270))  # the ids of our own models stay
    assert pieces.from_theirs.tolist()[4:] == list(range(4, 270))
    assert pieces.shown[:6] == (*SPECIALS, "\n", "<0x00>")
    assert pieces.content[4:6] == (b"\n", b"\x00")
    assert {" ", "a", "<0x61>"} <= set(pieces.shown)
    assert [text.encode() for text in pieces.shown[261:]] == list(pieces.content[261:])
    assert pieces.spelled("\n") == [4]
    assert pieces.spelled("é") == [5 + 0xC3, 5 + 0xA9]
    assert NONE.spelled("é") == [UNK, UNK]


def test_only_a_whole_file_is_read(content, read):
    assert read(content) == content
    for size in (0, 1, len(content) // 2, *range(len(content) - 60, len(content))):
        with pytest.raises(ValueError, match="is no SentencePiece model, or was cut short"):
            read(content[:size])


@pytest.mark.parametrize(
    "foreign", [b"garbage", bytes(range(256)), b"\xff" * 40, b"\x1a\x00", b"\x1b", b"\x0a" * 3]
)
def test_foreign_files_are_refused(foreign, read):
    with pytest.raises(ValueError, match=r"no SentencePiece model|cannot be loaded"):
        load_model(read(foreign))


def test_what_is_no_file_is_not_waited_for(tmp_path):
    with pytest.raises(ValueError, match=r"`model_file` .*none cannot be read: No such file"):
        read_model(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="not a regular file; a SentencePiece model is needed"):
            read_model(path)
