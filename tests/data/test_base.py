"""What all kinds of data hand over: batches."""

import pytest
import torch

from seqgen.data import Data, Example, Prompts, TokenBatch, data
from seqgen.data.base import passage, pieces_of, unknown_pieces, with_pieces
from seqgen.tokenizers import CharTokenizer, WordTokenizer, tokenizers


@pytest.fixture(params=data.names())
def kind(request, small):
    return data.build(small(data, request.param), seed=1)


def test_every_kind_says_its_roles_before_it_reads(kind):
    """Recipes are checked by building; data that is missing must not get in the way."""
    assert isinstance(kind, Data)
    assert kind.output_role in kind.roles
    assert isinstance(kind.ends, bool)
    sizes = kind.sizes({role: range(7 + i) for i, role in enumerate(kind.roles)})
    assert sizes.keys() <= {"vocab_size", "source"}
    assert all(isinstance(size, int) for size in sizes.get("source", {}).values())
    assert sizes["vocab_size"] == 7 + kind.roles.index(kind.output_role)


@pytest.mark.parametrize(("lengths", "tokens"), [(None, 12), ([4, 0, 1], 5), ([0, 0, 0], 0)])
def test_a_batch_counts_its_real_targets(lengths, tokens):
    inputs = torch.zeros(3, 4, dtype=torch.long)
    given = None if lengths is None else torch.tensor(lengths)
    assert TokenBatch(inputs, inputs, given).tokens == tokens


def test_a_batch_moves_as_a_whole():
    inputs = torch.arange(6).view(2, 3)
    for lengths in (None, torch.tensor([1, 2])):
        moved = TokenBatch(inputs, inputs + 1, lengths, continues=True).to("meta")
        assert moved.continues
        assert {moved.inputs.device.type, moved.targets.device.type} == {"meta"}
        assert (moved.lengths is None) == (lengths is None)
        assert lengths is None or moved.lengths.device.type == "meta"


def test_prompts_move_as_a_whole():
    moved = Prompts(torch.zeros(2, 3), torch.tensor([3, 1])).to("meta")
    assert {moved.tokens.device.type, moved.lengths.device.type} == {"meta"}


# Tokens as they stand in a text, above all those that are unknown.


LETTERS = {"name": "word", "pattern": "[a-z]+"}  # which drops all else


@pytest.mark.parametrize(
    ("spec", "text", "pieces", "unknown"),
    [
        ("char", "a cut", ["a", " ", "c", "u", "t"], ["u"]),
        ("char", "cat", ["c", "a", "t"], []),
        ("char", "", [], []),
        ("char", "x", ["x"], ["x"]),
        ("word", "a dog  a cat x", ["a", "dog", "a", "cat", "x"], ["dog", "x"]),
        ("whole", "a", ["a"], []),
        ("whole", "dog", ["dog"], ["dog"]),
        ("whole", "a dog", ["a dog"], ["a dog"]),
        ("byte", "ü", ["<0xC3>", "<0xBC>"], []),
        (LETTERS, "cat-zork 42 a", ["cat", "zork", "a"], ["zork"]),
        (LETTERS, "zork-42 zork", ["zork", "zork"], ["zork", "zork"]),
        ({**LETTERS, "lower": True}, "İ CAT Zork!", ["İ", "cat", "Zork"], ["İ", "Zork"]),
    ],
)
def test_pieces(spec, text, pieces, unknown):
    tokenizer = tokenizers.build(tokenizers.check(spec))
    tokenizer.fit(["a", "cat", "a", "cat", " "] if spec == "whole" else ["a cat a cat"])
    assert pieces_of(text, tokenizer) == pieces
    assert unknown_pieces(text, tokenizer) == unknown


@pytest.mark.parametrize(
    ("spec", "tokens", "pieces", "text"),
    [
        ("char", [3, 4, 3], {0: "x", 2: "y"}, "x y"),
        ("char", [3, 4, 3], {2: "xyz"}, "\ufffd xyz"),
        ("char", [3, 3, 2], {0: "\ufffd", 1: "y"}, "\ufffdy"),
        ("char", [5, 4], {}, "a "),
        ("word", [4, 3, 5, 3, 2], {1: "dog", 3: ""}, "a dog cat "),
        ("word", [1, 3, 2], {1: "\ufffd \ufffd"}, "\ufffd \ufffd"),
        ("whole", [3], {0: "a dog"}, "a dog"),
        # Half of a character stands before it.
        ("byte", [4 + 0xC3, 3, 4 + 65], {1: "x"}, "\ufffdxA"),
    ],
)
def test_pieces_in_the_place_of_what_is_unknown(spec, tokens, pieces, text):
    tokenizer = tokenizers.build(tokenizers.check(spec))
    tokenizer.fit(["a cat a"])
    assert with_pieces(tokenizer.decode, tokens, pieces) == text


def test_where_unknown_is_shown_otherwise_it_stays():
    def shown(tokens):
        return " ".join("?" if token == 3 else str(token) for token in tokens)

    assert with_pieces(shown, [7, 3], {1: "x"}) == "7 ?"


# A passage: where it is cut, and that both sides together are the text.


def test_it_is_cut_behind_the_prompt():
    tokenizer = CharTokenizer(alphabet="abcd")
    tokens = tokenizer.encode("abcd").tolist()
    assert passage(tokens, 1, tokenizer) == Example("a", ("bcd",))
    assert passage(tokens, 0, tokenizer) == Example("", ("abcd",))
    assert passage(tokens, 9, tokenizer) == Example("abcd", ("",))


def test_a_space_between_two_words_belongs_to_the_second():
    tokenizer = WordTokenizer()
    tokenizer.fit(["one two"])
    assert passage(tokenizer.encode("one two").tolist(), 1, tokenizer) == Example("one", (" two",))
