"""Each property of a text, on texts made by hand."""

from pathlib import Path

import numpy as np
import pytest

from seqgen.units import PROPERTIES

# A digit for each character; in both a line end is written as |.
TABLE = [
    ("letter", "aB1é_ |.", "11010000"),
    ("vowel", "queue, Äpfel|", "0111100100100"),
    ("capital", "aBcDÉ1|x", "01011000"),
    ("digit", "a1 22.b|", "01011000"),
    ("space", "a b| c", "010110"),
    ("punctuation", "a,b_c (d)", "010100101"),
    ("line end", "a|b||c", "010110"),
    ("after a vowel", "cat eye", "0010011"),
    ("after a capital", "aBCd", "0011"),
    ("after a digit", "1a22b", "01011"),
    ("after a space", "a b|c", "00101"),
    ("after punctuation", "a.b)c", "00101"),
    ("after a line end", "a|b||c", "001011"),
    ("position in the word", "to be_2, 3", "1201234001"),
    ("in a capitalized word", "The cat Is B2", "1110000011010"),
    ("position in the line", "abc|de||f", "012301200"),
    ("position in the sentence", "Hi. Go! a||b", "123012301201"),
    ("indentation of the line", "a|  b c|   |d", "0012222012300"),
    ("in the indentation", "a|  b  c| d", "00110000010"),
    ("in a comment", "a # b|c #d", "0011100011"),
    ("inside double quotes", 'a "b c" d', "001111000"),
    ("inside double quotes", 'a "b\\"c" d', "0011111000"),
    ("inside double quotes", 'a "b||c d', "001110000"),
    ("inside single quotes", "it's 'a b' c", "000001111000"),
    ("inside curved quotes", "a \u201cb\u201d \u00abc\u00bb", "001100110"),
    ("inside round brackets", "a (b (c) d) e", "0011111111000"),
    ("inside square brackets", "[a](b)", "110000"),
    ("inside braces", "{a} }b{c", "11000011"),
    ("depth of brackets", "f([x], {y}) )", "0122111221000"),
]


@pytest.mark.parametrize(
    ("name", "text", "digits"), TABLE, ids=[f"{row}-{each[0]}" for row, each in enumerate(TABLE)]
)
def test_a_property_of_each_character(name, text, digits):
    found = PROPERTIES[name](text.replace("|", "\n"))
    assert "".join(str(int(each)) for each in found) == digits


def test_each_is_in_the_table_and_in_the_docs():
    assert {each for each, *_ in TABLE} == set(PROPERTIES)
    page = (Path(__file__).parents[2] / "docs/inspect.md").read_text(encoding="utf-8")
    assert [each for each in PROPERTIES if f"`{each}`" not in page] == []


@pytest.mark.parametrize("name", PROPERTIES)
def test_each_looks_back_only(name):
    text = 'A "quoted" (x[1]) it\'s 2 b.\n  # y{z} \u201cW\u201d\n\n\tEnd. 3\\"o"\n'
    whole = PROPERTIES[name](text)
    assert whole.dtype == np.float64
    for end in range(len(text) + 1):
        assert PROPERTIES[name](text[:end]).tolist() == whole[:end].tolist()
