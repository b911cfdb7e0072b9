"""The contract of data: what every kind says before it reads, old names, pieces and passages."""

import pytest

from seqgen.data import Data, Example, TextSize, data
from seqgen.data.base import passage, pieces_of, unknown_pieces, with_pieces
from seqgen.tokenizers import CharTokenizer, WordTokenizer, tokenizers


@pytest.mark.parametrize("name", data.names())
def test_every_kind_says_its_fields_before_it_reads(name, small):
    """Recipes are checked by building; data that is missing must not get in the way."""
    kind = data.build(small(data, name), seed=1)
    assert isinstance(kind, Data)
    assert kind.output_field in kind.fields
    assert isinstance(kind.ends, bool)
    sizes = kind.sizes({field: range(7 + i) for i, field in enumerate(kind.fields)})
    assert sizes.keys() <= {"vocab_size", "source"}
    assert all(isinstance(size, int) for size in sizes.get("source", {}).values())
    assert sizes["vocab_size"] == 7 + kind.fields.index(kind.output_field)


class TestOldNames:
    def test_what_a_subclass_defines_by_an_old_name_counts(self):
        with pytest.warns(DeprecationWarning, match=r"Old\.\w+ is now called ") as caught:

            class Old(Data):
                roles = ("letters",)
                output_role = "letters"

                def given(self, file, name, tokenizers):
                    return "rows"

        assert len(caught) == 3
        Old.__abstractmethods__ = frozenset()
        made = Old()
        assert (made.fields, made.output_field) == (("letters",), "letters")
        assert made.parse_rows(None, "", {}) == "rows"

    def test_they_can_be_read_and_set_with_a_warning(self, small):
        kind = data.build(small(data, "text"), seed=1)
        with pytest.warns(DeprecationWarning, match="TextData.roles is now called fields"):
            assert kind.roles == ("text",)
        with pytest.warns(DeprecationWarning, match="TextData.roles is now called fields"):
            kind.roles = ("other",)
        assert kind.fields == ("other",)
        with pytest.warns(DeprecationWarning, match="is now called default_tokenizers"):
            assert type(kind).usual_tokenizers == {}


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
def test_pieces_are_tokens_as_the_text_has_them(spec, text, pieces, unknown):
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
def test_pieces_take_the_places_of_unknown_tokens(spec, tokens, pieces, text):
    tokenizer = tokenizers.build(tokenizers.check(spec))
    tokenizer.fit(["a cat a"])
    assert with_pieces(tokenizer.decode, tokens, pieces) == text


def test_where_unknown_is_shown_otherwise_it_stays():
    def shown(tokens):
        return " ".join("?" if token == 3 else str(token) for token in tokens)

    assert with_pieces(shown, [7, 3], {1: "x"}) == "7 ?"


@pytest.mark.parametrize(
    ("size", "prompt", "rest"), [(1, "a", "bcd"), (0, "", "abcd"), (9, "abcd", "")]
)
def test_a_passage_is_cut_after_the_prompt(size, prompt, rest):
    tokenizer = CharTokenizer(alphabet="abcd")
    assert passage([*tokenizer.encode("abcd")], size, tokenizer) == Example(prompt, (rest,))


def test_a_space_between_two_words_belongs_to_the_second():
    tokenizer = WordTokenizer()
    tokenizer.fit(["one two"])
    assert passage(tokenizer.encode("one two").tolist(), 1, tokenizer) == Example("one", (" two",))


def test_the_size_of_texts_is_in_characters_and_bytes():
    assert TextSize.of(["ab", "", "cé"]) == TextSize(4, 5)
    assert TextSize.of([]) == TextSize(0, 0)
