"""The pieces of a model under our ids."""

import json
import os
from pathlib import Path

import pytest

from seqgen.tokenizers import SPECIALS, UNK
from seqgen.tokenizers.pieces import NONE, Pieces, load_model, packed, read_model, unpacked
from seqgen.tokenizers.sentencepiece import ModelSize, train_model


@pytest.fixture(scope="module")
def pieces():
    return Pieces.of(load_model(train_model(["a cat\na mat"], ModelSize("bpe", 270, True, 1.0))))


def test_ids_of_our_own_models_stay(pieces):
    assert pieces.theirs == tuple(range(270))
    assert pieces.from_theirs.tolist()[4:] == list(range(4, 270))


def test_spaces_and_bytes_are_what_they_stand_for(pieces):
    assert pieces.shown[:6] == (*SPECIALS, "\n", "<0x00>")
    assert pieces.content[4:6] == (b"\n", b"\x00")
    assert {" ", "a", "<0x61>"} <= set(pieces.shown)
    assert [text.encode() for text in pieces.shown[261:]] == list(pieces.content[261:])


def test_text_is_spelled_in_bytes_where_it_is_no_piece(pieces):
    assert pieces.spelled("\n") == [4]
    assert pieces.spelled("é") == [5 + 0xC3, 5 + 0xA9]
    assert NONE.spelled("é") == [UNK, UNK]


# Loading a SentencePiece model: only whole ones.


@pytest.fixture(scope="module")
def content():
    return train_model(["a cat and a mat"], ModelSize("bpe", 275, True, 1.0))


def test_a_whole_file_is_read(content, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(content)
    assert read_model(path) == content
    assert load_model(content).get_piece_size() == 275


def test_every_shorter_file_is_refused(content, tmp_path):
    path = tmp_path / "model"
    for size in (0, 1, len(content) // 2, *range(len(content) - 60, len(content))):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="is no SentencePiece model, or was cut short"):
            read_model(path)


@pytest.mark.parametrize("foreign", [b"garbage", bytes(range(256)), b"\xff" * 40, b"\x1a\x00"])
def test_foreign_files_are_refused(foreign, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(foreign)
    with pytest.raises(ValueError, match=r"no SentencePiece model|cannot be loaded"):
        load_model(read_model(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"`model_file` .*none cannot be read: No such file"):
        read_model(tmp_path / "none")


@pytest.mark.parametrize("ours", [True, False])
def test_what_was_packed_is_unpacked(ours):
    files = packed(b"content", ours)
    assert unpacked(files) == (b"content", ours)
    assert json.loads(files["model.json"])["ours"] is ours


def test_another_model_than_the_record_says_is_refused():
    files = packed(b"content", True)
    for wrong in ({**files, "model.spm": b"contenT"}, {**files, "model.json": b"{}"}, {}):
        with pytest.raises(ValueError, match=r"`model\.spm` must be what `model\.json` has"):
            unpacked(wrong)


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ValueError, match="not a regular file; a SentencePiece model is needed"):
            read_model(path)
