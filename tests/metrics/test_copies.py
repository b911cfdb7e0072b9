"""Copies of the training text."""

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.metrics.copies import Copies, TrainingText, copies

words = str.split

SONNET = words("shall i compare thee to a summer's day thou art more lovely and more temperate")


def test_the_formula():
    """Ten words are the poem's; `to be or` and the six words at the end are too few."""
    outputs = [words("well to be or") + SONNET[2:12], ["hm", *SONNET[:6]]]
    training = TrainingText([SONNET, words("to be or not to be")])
    assert copies(outputs, training) == Copies(10 / 21, 10)
    assert copies(outputs, training, size=6) == Copies(16 / 21, 10)
    assert copies(outputs, training, size=3) == Copies(19 / 21, 10)
    assert copies(outputs, training, size=11) == Copies(0.0, 10)


def test_the_longest_copy_may_be_too_short_to_count():
    training = TrainingText(["abcdefgh"])
    assert copies(["xabcx", "xx"], training) == Copies(0.0, 3)
    assert copies(["xyz"], training) == Copies(0.0, 0)
    assert copies(["abcdefgh"], training) == Copies(1.0, 8)


def test_copies_that_overlap_count_once():
    training = TrainingText(["abcdef", "defghi"])
    assert copies(["abcdefghi"], training, size=6) == Copies(1.0, 6)


def test_no_copy_goes_from_one_text_into_the_next():
    assert copies(["abcdefgh"], TrainingText(["abcd", "efgh"]), size=5) == Copies(0.0, 4)
    assert copies(["abcd", "efgh"], TrainingText(["abcdefgh"]), size=5) == Copies(0.0, 4)


def test_tokens_are_compared_as_wholes():
    assert copies([["a", "bc"]], TrainingText([["ab", "c"]]), size=1) == Copies(0.0, 0)


@pytest.mark.parametrize("outputs", [[], [""], [[], []]])
def test_without_tokens_there_is_nothing_to_copy(outputs):
    assert copies(outputs, TrainingText(["abc"])) is None


@pytest.mark.parametrize("texts", [[], [""], iter(["", ""])])
def test_of_an_empty_training_text_nothing_is_copied(texts):
    assert copies(["abcdefghi"], TrainingText(texts)) == Copies(0.0, 0)


def test_a_copy_has_at_least_one_token():
    with pytest.raises(ValueError, match=r"^`size` must be at least 1, but is 0$"):
        copies(["ab"], TrainingText(["ab"]), size=0)


def by_definition(outputs, texts, size):
    copied, longest = 0, 0
    for output in outputs:
        marked = set()
        for start in range(len(output)):
            for end in range(start + 1, len(output) + 1):
                if any(output[start:end] in text for text in texts):
                    longest = max(longest, end - start)
                    marked |= set(range(start, end)) if end - start >= size else set()
        copied += len(marked)
    return Copies(copied / sum(map(len, outputs)), longest)


TEXTS = st.lists(st.text("ab", max_size=14), max_size=4)


@given(TEXTS.filter(any), TEXTS, st.integers(1, 9))
def test_it_is_what_the_definition_says(outputs, texts, size):
    assert copies(outputs, TrainingText(texts), size) == by_definition(outputs, texts, size)


@given(st.text("ab", min_size=1, max_size=60), st.text("ab", max_size=60))
def test_the_longest_copy_of_long_texts(output, text):
    lengths = range(1, len(output) + 1)
    found = (
        n for n in lengths if any(output[i : i + n] in text for i in range(len(output) - n + 1))
    )
    assert copies([output], TrainingText([text])).longest == max(found, default=0)


@given(st.lists(st.text("abc", min_size=8, max_size=20), min_size=1, max_size=5), st.randoms())
def test_what_holds_for_all(texts, chance):
    training = TrainingText(texts)
    assert copies(texts, training) == Copies(1.0, max(map(len, texts)))
    parts = [text[chance.randrange(8) :] + "x" for text in texts]
    found = copies(parts, training)
    assert copies(chance.sample(parts, len(parts)), training) == found
    assert copies(parts * 2, training) == found


def test_memory_grows_with_the_text_and_no_faster():
    """A text that has only itself twice, and an output that is half of it: the worst case."""
    size = 100_000
    text = random.Random(0).choices("abcdefgh", k=size // 2) * 2
    tracemalloc.start()
    try:
        training = TrainingText([text])
        held = tracemalloc.get_traced_memory()[0]
        found = copies([text[: size // 2]], training)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == Copies(1.0, size // 2)
    assert held < 10 * size
    assert peak < 120 * size
