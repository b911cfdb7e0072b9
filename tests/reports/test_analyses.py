import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports import analyses
from seqgen.reports.analyses import (
    BINS,
    CHARACTERS,
    CLASSES,
    PHONEMES,
    TAGS,
    WORDS,
    Bin,
    Cycle,
    bins_for,
    find_cycle,
)
from seqgen.reports.run_files import Answer


def answer(source, output, *references):
    return Answer(source, output, references)


@pytest.mark.parametrize(
    ("unit", "output", "references", "nearest", "edits", "size"),
    [
        (CHARACTERS, "cat", ("cats", "dog"), "cats", 1, 4),
        (CHARACTERS, "", ("", "a"), "", 0, 0),
        (WORDS, "the cat sat", ("the hat sat down", "a cat"), "the hat sat down", 2, 4),
        (CHARACTERS, "ab", ("a", "abc"), "abc", 1, 3),  # ties go to the longest
        (CLASSES, "Greek", ("Dutch",), "Dutch", 1, 1),
        (TAGS, "NOUN VERB", ("VERB NOUN",), "VERB NOUN", 2, 2),
        (TAGS, "NOUN", ("NOUN VERB DET",), "NOUN VERB DET", 2, 3),
    ],
)
def test_an_answer_is_compared_with_its_nearest_reference(
    unit, output, references, nearest, edits, size
):
    found = analyses.compare(answer("s", output, *references), unit)
    assert (found.reference, found.edits, found.size) == (nearest, edits, size)


@pytest.mark.parametrize(
    "letters", [["e\u0301", "a\u0303\u0330", " ", "\U0001f468\u200d\U0001f469", "x"], ["\u0301"]]
)
def test_marks_and_joiners_stay_with_their_letter(letters):
    assert analyses.letters("".join(letters)) == letters


@pytest.mark.parametrize(
    ("metrics", "references", "unit"),
    [
        (("exact_match", "accuracy"), ("a b c",), CLASSES),
        (("tag_scores",), ("NOUN",), TAGS),
        (("exact_match", "phoneme_error_rate"), ("t",), PHONEMES),
        (("phoneme_error_rate", "bleu"), ("a",), WORDS),
        (("exact_match", "character_error_rate"), ("a b c",), CHARACTERS),
        (("exact_match",), ("2000-01-01", "1984-05-03", "a b"), CHARACTERS),
        (("exact_match",), ("a b", "c d e", "f"), WORDS),
        ((), (), CHARACTERS),
    ],
)
def test_the_unit_of_outputs(metrics, references, unit):
    answers = [answer("s", "o", reference) for reference in references]
    assert analyses.output_unit(answers, metrics) is unit


@pytest.mark.parametrize(
    ("source", "output", "unit"),
    [
        ("the third of May, 1984", CHARACTERS, WORDS),
        ("one", CHARACTERS, CHARACTERS),
        ("one", TAGS, WORDS),
    ],
)
def test_sources_are_counted_in_characters_unless_they_are_sentences(source, output, unit):
    assert analyses.source_unit([answer(source, "o", "r")], output) is unit


def described(text):
    """The text with [wrong], {missed} and | for a gap."""
    frames = {"": "{}", "wrong": "[{}]", "missed": "{{{}}}", "gap": "|"}
    parts = [frames[kind].format(stretch) for kind, stretch in text.stretches]
    return text.between.join(parts)


@pytest.mark.parametrize(
    ("unit", "output", "reference", "ours", "theirs"),
    [
        (CHARACTERS, "1984-04-03", "1984-05-03", "1984-0[4]-03", "1984-0{5}-03"),
        (CHARACTERS, "catt", "cat", "cat[t]", "cat"),
        (CHARACTERS, "ct", "cat", "c|t", "c{a}t"),
        (CHARACTERS, "", "a", "|", "{a}"),
        (CHARACTERS, "a", "", "[a]", ""),
        (CHARACTERS, "a\u0303b", "ab", "[a\u0303]b", "{a}b"),
        (WORDS, "i m sorry you .", "i m hit .", "i m [sorry you] .", "i m {hit} ."),
        (WORDS, "he is person", "he is a kind person", "he is | person", "he is {a kind} person"),
    ],
)
def test_differences_are_marked(unit, output, reference, ours, theirs):
    marked = analyses.mark_differences(output, reference, unit)
    assert tuple(map(described, marked)) == (ours, theirs)


def test_long_texts_are_cut_before_they_are_compared():
    ours, theirs = analyses.mark_differences("a" * 5000, "b" * 100, CHARACTERS)
    assert (ours.stretches, ours.more) == ([("wrong", "a" * 800)], 4200)
    assert theirs.stretches == [("missed", "b" * 100)]


def test_words_have_their_tags():
    rows = [("we saw it", "PRON NOUN PRON", "PRON VERB PRON"), ("we saw", "PRON", "PRON VERB")]
    compared = [analyses.compare(answer(*row), TAGS) for row in rows]
    assert analyses.words_with_tags(compared[0])[1] == ("saw", "NOUN", "VERB")
    assert analyses.words_with_tags(compared[1]) == []


@pytest.mark.parametrize(
    ("text", "pieces", "stretches"),
    [
        ("a b", ["a", " ", "b"], ["a", " ", "b"]),
        ("the cat sat", ["the", "cat", "sat"], ["the", " cat", " sat"]),
        ("the cat", ["\u2581the", "\u2581c", "at"], ["the", " c", "at"]),
        ("the cat", ["the", "cat", "</s>"], ["the", " cat", ""]),
        ("a  b", ["a", "", "b"], ["a", "", "  b"]),
        ("", [], []),
        ("the cat", ["the", "dog"], None),
        ("the cat", ["the"], None),
    ],
)
def test_pieces_are_aligned_with_their_text(text, pieces, stretches):
    assert analyses.align(text, pieces) == stretches


@given(st.lists(st.text(max_size=4), max_size=8))
def test_pieces_that_make_up_the_text_are_their_own_stretches(pieces):
    assert analyses.align("".join(pieces), pieces) == pieces


PHRASE = "the first the counters to "


@pytest.mark.parametrize(
    ("text", "cycle"),
    [
        ("of that day, " + 4 * PHRASE + PHRASE[:7], Cycle(len("of that day,"), PHRASE)),
        ("e senator:\nTh" * 5, Cycle(0, "senator:\nThe ")),  # it begins with a word
        ("ab" * 20, Cycle(0, "ab")),  # the shortest period
        ("a" * 20, Cycle(0, "a")),
        ("xyzq" + "abc" * 10, Cycle(4, "abc")),  # from the first character that is periodic
        ("xyzc" + "abc" * 10, Cycle(3, "cab")),
        (("a" * 500 + "b") * 400, Cycle(0, "a" * 500 + "b")),  # in no quadratic time
        ("", None),
        ("a", None),
        ("hahaha", None),
        ("The end...", None),
        (2 * PHRASE, None),
        ("To be, or not to be, that is the question: whether 'tis nobler", None),
        (4 * PHRASE + "and there it ends, out of the cycle", None),
        ("".join(map(chr, range(100, 400))) + "ab" * 20, None),  # less than a third
    ],
)
def test_the_cycle_that_a_text_ends_in(text, cycle):
    assert find_cycle(text) == cycle


@given(st.text("ab ", max_size=60))
def test_the_unit_of_a_cycle_is_what_the_text_repeats(text):
    if (cycle := find_cycle(text)) is not None:
        repeated = text[cycle.start : cycle.start + len(cycle.unit)]
        assert cycle.unit in 2 * repeated


@pytest.mark.parametrize(
    ("wrong", "answers", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (1, 1, 0.2065, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_of_wilson(wrong, answers, low, high):
    assert Bin(1, 1, answers, wrong).interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_rate(pair):
    found = Bin(1, 1, wrong=pair[0], answers=pair[1])
    low, high = found.interval
    assert 0 <= low <= found.rate + 1e-12
    assert found.rate - 1e-12 <= high <= 1


@pytest.mark.parametrize(
    ("lengths", "ranges"),
    [
        ([], []),
        ([3], [(3, 3)]),
        ([2, 3, 3, 5], [(2, 2), (3, 3), (4, 4), (5, 5)]),
        (list(range(1, 21)), [(1, 1), *((n, n + 1) for n in range(2, 19, 2)), (20, None)]),
        ([1] * 30 + [2] * 30 + [900], [(1, 1), (2, 2), (3, None)]),
    ],
)
def test_the_bins(lengths, ranges):
    assert [(each.low, each.high) for each in bins_for(lengths)] == ranges


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_each_length_has_one_bin_and_bins_are_few(lengths):
    bins = bins_for(lengths)
    assert len(bins) <= BINS + 2
    for length in lengths:
        assert sum(b.low <= length <= (math.inf if b.high is None else b.high) for b in bins) == 1


def test_errors_are_counted_where_their_source_belongs():
    rows = [("ab", "x", "y"), ("cd", "xx", "xx"), ("abcd", "xyz", "xy")]
    answers = [answer(*row) for row in rows]
    found = analyses.errors_by_length(answers, CHARACTERS, CHARACTERS)
    assert found == [Bin(2, 2, 2, 1, 1, 3), Bin(4, 4, 1, 1, 1, 2)]
    assert (found[0].rate, found[1].edit_rate) == (0.5, 0.5)
