"""A passage: where it is cut, and that both sides together are the text."""

from seqgen.data.base import Example
from seqgen.data.passages import passage
from seqgen.tokenizers import CharTokenizer, WordTokenizer


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
