"""Reading tagged sequences: what the lines mean, and what is refused with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data.files import TextFile
from seqgen.data.rows import Layout
from seqgen.data.tagged_file import TaggedSequence, parse_tagged
from seqgen.errors import DataError


def parsed(text):
    sequences, note = parse_tagged(TextFile(text, "hash"), "t.tsv")
    assert not note
    return sequences


def test_blank_lines_stand_between_sequences():
    assert parsed("\nthe\tDET\ncat\tNOUN\n\n  \nruns\tVERB") == [
        TaggedSequence(2, ("the", "cat"), ("DET", "NOUN")),
        TaggedSequence(6, ("runs",), ("VERB",)),
    ]


WORD = st.text(st.characters(exclude_characters=" \t\n", exclude_categories=["Cs"]), min_size=1)
TAG = WORD.filter(lambda tag: tag.split() == [tag])
SEQUENCES = st.lists(st.lists(st.tuples(WORD, TAG), min_size=1, max_size=4), min_size=1)


@given(SEQUENCES)
def test_what_is_written_is_read(sequences):
    text = "\n\n".join("\n".join("\t".join(pair) for pair in each) for each in sequences)
    for found, wanted in zip(parsed(text + "\n"), sequences, strict=True):
        assert list(zip(found.words, found.tags, strict=True)) == wanted


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat", "must be a word, a tab and its tag, but has no tab"),
        ("cat NOUN", "must be a word, a tab and its tag, but has no tab"),
        ("cat\tNOUN\tx", "must be a word, a tab and its tag, but has 2 tabs"),
        ("cat\tNOUN\t", "must be a word, a tab and its tag, but has 2 tabs"),
        ("\tNOUN", "the word is empty"),
        ("cat\t", "the tag is empty"),
        ("\t", "the word is empty"),
        ("New York\tNOUN", "the word 'New York' has a space in it; write another sign there"),
        ("cat\tNOUN ", "the tag 'NOUN ' has a space in it"),
        ("cat\tNO\u00a0UN", "the tag 'NO\\xa0UN' has a space in it"),
        (" \tNOUN", "the word ' ' has a space in it"),
    ],
)
def test_a_wrong_line_is_named(line, message):
    with pytest.raises(DataError) as caught:
        parsed(f"a\tB\n\nthe\tDET\n{line}\nend\tX\n")
    assert str(caught.value).startswith(f"t.tsv:4: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.tsv: no sequences in it (an empty file)"),
        ("\n  \n", "t.tsv: no sequences in it (2 lines, all of them blank)"),
    ],
)
def test_a_file_without_sequences_is_refused(text, message):
    with pytest.raises(DataError) as caught:
        parsed(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "text", "columns", "note"),
    [
        (
            "t.conllu",
            "1\tthe\tDET\n2\tcat\tNOUN\n\n1\truns\tVERB\n",
            {"source": 2, "target": 3},
            False,
        ),
        ("t.tsv", "form\tupos\nthe\tDET\ncat\tNOUN\n\nruns\tVERB\n", ("source", "target"), True),
        ("t.csv", "word,tag\nthe,DET\ncat,NOUN\n\nruns,VERB\n", ("source", "target"), True),
        (
            "t.jsonl",
            '{"w": ["the", "cat"], "t": ["DET", "NOUN"]}\n{"w": ["runs"], "t": ["VERB"]}\n',
            {"source": "w", "target": "t"},
            False,
        ),
    ],
)
def test_other_tables_are_read(name, text, columns, note):
    found, said = parse_tagged(TextFile.of(text), name, Layout(columns))
    assert [(each.words, each.tags) for each in found] == [
        (("the", "cat"), ("DET", "NOUN")),
        (("runs",), ("VERB",)),
    ]
    assert bool(said) == note


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"source": ["a", "b"], "target": ["X"]}', "t.jsonl:1: 2 words, but 1 tags"),
        (
            '{"source": "a b", "target": ["X"]}',
            "t.jsonl:1: 'source' must be a list of texts, but",
        ),
        ('{"source": ["a", 3], "target": ["X"]}', "t.jsonl:1: 'source' must be a list of texts"),
        ('\n{"source": ["a b"], "target": ["X"]}', "t.jsonl:2: the word 'a b' has a space in it"),
        ('{"source": [], "target": []}', "t.jsonl: no sequences in it (1 lines, all of them bl"),
    ],
)
def test_wrong_lists_are_named(text, message):
    with pytest.raises(DataError) as caught:
        parse_tagged(TextFile.of(text), "t.jsonl")
    assert str(caught.value).startswith(message)
