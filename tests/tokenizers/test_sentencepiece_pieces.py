"""The pieces of a model under our ids."""

import pytest

from seqgen.tokenizers import SPECIALS, UNK
from seqgen.tokenizers.sentencepiece_model import load_model
from seqgen.tokenizers.sentencepiece_pieces import NONE, Pieces
from seqgen.tokenizers.sentencepiece_training import ModelSize, train_model


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
