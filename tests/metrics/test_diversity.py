"""N-grams as numbers."""

import json
import math
import random
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from seqgen.metrics import MORE_DIVERSE, TrainingText, diversity
from seqgen.metrics.diversity import (
    Copies,
    Loop,
    copies,
    distinct,
    entropy,
    find_loop,
    looping,
    ngrams,
    repeated,
    self_bleu,
)

OUTPUTS = st.lists(st.text("abc", max_size=8), max_size=5)


def test_the_same_number_for_the_same_ngram_within_outputs():
    found = ngrams(["abab", "b", "ab"], 2)
    assert found.numbers.tolist() == [0, 1, 0, 0]  # ab ba ab | | ab, and no bb or ba between them
    assert found.owners.tolist() == [0, 0, 0, 2]
    assert found.distinct == 2


def test_tokens_are_compared_as_wholes():
    found = ngrams([["a", "bc"], ["ab", "c"], ["a", "bc"]], 2)
    assert found.distinct == 2
    assert found.numbers[0] == found.numbers[2]


@pytest.mark.parametrize("outputs", [[], [""], ["", ""], ["ab", "", "c"]])
def test_there_may_be_none(outputs):
    found = ngrams(outputs, 3)
    assert (len(found.numbers), len(found.owners), found.distinct) == (0, 0, 0)


@given(OUTPUTS, st.integers(1, 5))
def test_they_are_those_of_each_output(outputs, n):
    found = ngrams(outputs, n)
    wanted = [(o, x[i : i + n]) for o, x in enumerate(outputs) for i in range(len(x) - n + 1)]
    assert found.owners.tolist() == [owner for owner, _ in wanted]
    names = dict(zip(found.numbers.tolist(), (ngram for _, ngram in wanted), strict=True))
    assert [names[number] for number in found.numbers.tolist()] == [ngram for _, ngram in wanted]
    assert sorted(names) == list(range(found.distinct))
    assert len(set(names.values())) == found.distinct


def test_no_ngram_has_no_token():
    with pytest.raises(ValueError, match=r"^`n` must be at least 1, but is 0$"):
        ngrams(["ab"], 0)


# Distinct n-grams.


words = str.split

OUTPUTS_DISTINCT = st.lists(st.text("abc", max_size=8), max_size=5)


@pytest.mark.parametrize(
    ("n", "wanted"),
    [
        (1, 3 / 7),  # the cat sat, of 7
        (2, 3 / 5),  # "the cat" is there three times
        (3, 3 / 3),
        (4, 1 / 1),
    ],
)
def test_the_formula(n, wanted):
    outputs = [words("the cat sat the cat"), words("the cat")]
    assert distinct(outputs, n) == wanted


@pytest.mark.parametrize("outputs", [[], [[]], [["a"], ["b", "c"]]])
def test_outputs_shorter_than_n_have_none(outputs):
    assert distinct(outputs, 3) is None


@given(OUTPUTS_DISTINCT, st.integers(1, 4), st.randoms())
def test_what_holds_for_all(outputs, n, random):
    found = distinct(outputs, n)
    if found is None:
        assert all(len(each) < n for each in outputs)
        return
    assert 0 < found <= 1
    assert distinct(random.sample(outputs, len(outputs)), n) == found
    assert distinct(outputs * 2, n) == pytest.approx(found / 2)


# The entropy of n-grams.


OUTPUTS_ENTROPY = st.lists(st.text("abc", max_size=8), max_size=5)


@pytest.mark.parametrize(
    ("outputs", "n", "wanted"),
    [
        (["abcd"], 1, 2.0),
        (["ab", "cd", "ab", "ef"], 2, 0.5 * 1 + 2 * 0.25 * 2),
        (["aab"], 1, 2 / 3 * math.log2(3 / 2) + 1 / 3 * math.log2(3)),
        (["aaaa", "a"], 1, 0.0),
        (["aaaa", "a"], 2, 0.0),
    ],
)
def test_the_formula_entropy(outputs, n, wanted):
    assert entropy(outputs, n) == pytest.approx(wanted)


def test_of_one_ngram_it_is_a_plain_nought():
    assert math.copysign(1, entropy(["aaaa"], 2)) == 1


@pytest.mark.parametrize("outputs", [[], [[]], [["a"], ["b", "c"]]])
def test_outputs_shorter_than_n_have_none_entropy(outputs):
    assert entropy(outputs, 3) is None


@given(OUTPUTS_ENTROPY, st.integers(1, 4), st.randoms())
def test_what_holds_for_all_entropy(outputs, n, random):
    found = entropy(outputs, n)
    counts = Counter(each[i : i + n] for each in outputs for i in range(len(each) - n + 1))
    if found is None:
        assert not counts
        return
    assert 0 <= found <= math.log2(len(counts)) + 1e-9
    assert entropy(random.sample(outputs, len(outputs)), n) == found
    assert entropy(outputs * 2, n) == pytest.approx(found)
    shares = [count / counts.total() for count in counts.values()]
    assert found == pytest.approx(-sum(share * math.log2(share) for share in shares))


# Repeated n-grams within outputs.


words_repetition = str.split

OUTPUTS_REPETITION = st.lists(st.text("abc", max_size=8), max_size=5)


@pytest.mark.parametrize(
    ("outputs", "n", "wanted"),
    [
        ([words_repetition("to be or not to be")], 1, 1 - 4 / 6),
        ([words_repetition("to be or not to be")], 2, 1 - 4 / 5),
        ([words_repetition("to be or not to be")], 3, 0.0),
        (["aaaaa", "abc"], 2, (3 / 4 + 0) / 2),  # the mean of shares, not the share of all
        (["ab", "ab"], 2, 0.0),  # what another output says is not repeated
        (["aaa", "", "b"], 2, 1 / 2),  # what is too short does not count
    ],
)
def test_the_formula_repetition(outputs, n, wanted):
    assert repeated(outputs, n) == pytest.approx(wanted)


@pytest.mark.parametrize("outputs", [[], [[]], [["a"], ["b", "c"]]])
def test_outputs_shorter_than_n_have_none_repetition(outputs):
    assert repeated(outputs, 3) is None


@given(OUTPUTS_REPETITION, st.integers(1, 4), st.randoms())
def test_what_holds_for_all_repetition(outputs, n, random):
    found = repeated(outputs, n)
    shares = []
    for each in outputs:
        own = [each[i : i + n] for i in range(len(each) - n + 1)]
        shares += [1 - len(set(own)) / len(own)] if own else []
    if found is None:
        assert not shares
        return
    assert 0 <= found < 1
    assert found == pytest.approx(sum(shares) / len(shares))
    assert repeated(random.sample(outputs, len(outputs)), n) == found
    assert repeated(outputs * 2, n) == pytest.approx(found)


# Self-BLEU.


words_self_bleu = str.split

OUTPUTS_SELF_BLEU = st.lists(st.text("abc", max_size=9), max_size=6)


def test_the_formula_self_bleu():
    outputs = [words_self_bleu("the cat sat on the mat"), words_self_bleu("the cat sat on a mat")]
    one = [5 / 6, 3 / 5, 2 / 4, 1 / 3]  # the second has "the" but once; the other way the same
    assert self_bleu(outputs) == pytest.approx(100 * math.prod(one) ** (1 / 4))


def test_all_others_are_references():
    """`ab` is in the one, `cd` in the other; `bc`, and all that is longer, is in none."""
    first = 100 * (4 / 4 * 2 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4)
    first *= math.exp(1 - 4 / 4)
    second = 100 * (2 / 2 * 1 / 1) ** (1 / 2) * math.exp(1 - 4 / 2)  # `abyy` and `abcd` are nearest
    outputs = ["abcd", "abyy", "zzcd", "ab"]
    others = [
        100 * (2 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4),  # abyy: a, b and ab
        100 * (2 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4),  # zzcd: c, d and cd
    ]
    assert self_bleu(outputs) == pytest.approx((first + second + sum(others)) / 4)


def test_a_match_counts_as_often_as_one_other_has_it():
    """Of three, the first two together have `a` three times, but no single one has."""
    found = self_bleu(["aaab", "aac", "ad"])
    assert found == pytest.approx(by_sacrebleu(["aaab", "aac", "ad"]))


def test_nothing_in_common():
    assert self_bleu(["abcd", "efgh"]) == 0.0


@pytest.mark.parametrize("outputs", [["abcdef"] * 2, ["a", "a"], ["abc", "de", "abc", "de"]])
def test_twins(outputs):
    assert self_bleu(outputs) == 100.0


@pytest.mark.parametrize("outputs", [[], ["abcd"], ["", ""], ["", "abcd", ""]])
def test_there_must_be_two_that_have_tokens(outputs):
    assert self_bleu(outputs) is None


def test_tokens_may_hold_anything():
    assert self_bleu([[" ", "\n", "a b", ""], [" ", "\n", "a b", ""]]) == 100.0
    assert self_bleu([["a b"], ["a", "b"]]) == 0.0


def by_sacrebleu(outputs):
    scorer = BLEU(smooth_method="floor", smooth_value=0.1, effective_order=True, tokenize="none")
    texts = [" ".join(each) for each in outputs if each]
    if len(texts) < 2:
        return None
    rest = [texts[:i] + texts[i + 1 :] for i in range(len(texts))]
    scores = [scorer.sentence_score(*each).score for each in zip(texts, rest, strict=True)]
    return sum(scores) / len(scores)


@given(OUTPUTS_SELF_BLEU)
@settings(deadline=None)
def test_it_is_what_sacrebleu_says_of_each(outputs):
    found = self_bleu(outputs)
    assert found == (None if found is None else pytest.approx(by_sacrebleu(outputs)))
    assert (found is None) == (by_sacrebleu(outputs) is None)


@given(OUTPUTS_SELF_BLEU, st.randoms())
@settings(deadline=None)
def test_what_holds_for_all_self_bleu(outputs, random):
    found = self_bleu(outputs)
    assert self_bleu(random.sample(outputs, len(outputs))) == found
    if any(outputs):
        assert self_bleu(outputs * 2) == pytest.approx(100.0)
    assert found is None or 0 <= found <= 100


# Loops at the end of outputs.


words_loops = str.split

WORDS = words_loops("and then the king said that")


@pytest.mark.parametrize(
    ("tokens", "wanted"),
    [
        ("xyz" + "abcd" * 3, Loop(3, 4)),
        ("xyd" + "abcd" * 3 + "ab", Loop(2, 4)),  # it begins before the block, and ends within it
        ("a" * 12, Loop(0, 1)),
        (["no", *WORDS * 3], Loop(1, 6)),
        ("abcd" * 2 + "abc", None),  # not quite three times
        ("a" * 11, None),  # too short
        ("abcd" * 5 + "x", None),  # it ends otherwise
        ("", None),
    ],
)
def test_written_out(tokens, wanted):
    assert find_loop(tokens) == wanted


def test_how_many_tokens_must_go_round():
    assert find_loop("ab" * 3, shortest=6) == Loop(0, 2)
    assert find_loop("ab" * 3, shortest=7) is None
    assert find_loop("aaaa", shortest=0) == Loop(0, 1)


def by_definition(tokens, shortest):
    """Each period, from the shortest on: how long the end goes round by it."""
    for period in range(1, len(tokens) + 1):
        start = len(tokens) - period
        while start > 0 and tokens[start - 1] == tokens[start - 1 + period]:
            start -= 1
        if len(tokens) - start >= max(3 * period, shortest):
            return Loop(start, period)
    return None


LOOPING = st.builds(
    lambda start, block, end: start + 4 * block + block[:end],
    *[st.text("ab")] * 2,
    st.integers(0, 9),
)


@given(st.text("ab", max_size=30) | LOOPING, st.integers(0, 12))
def test_it_is_what_the_definition_says(tokens, shortest):
    assert find_loop(tokens, shortest) == by_definition(tokens, shortest)
    assert find_loop(list(tokens), shortest) == find_loop(tokens, shortest)


def test_a_long_output_takes_no_quadratic_time():
    assert find_loop(("a" * 500 + "b") * 400) == Loop(0, 501)


def test_the_share_of_outputs():
    outputs = ["xyz" + "abcd" * 3, "To be, or not to be", "", "a" * 40]
    assert looping(outputs) == 2 / 4
    assert looping(outputs, shortest=20) == 1 / 4
    assert looping([WORDS, ["no", *WORDS * 3]]) == 1 / 2


def test_of_no_outputs_there_is_no_share():
    assert looping([]) is None
    assert looping([""]) == 0.0


@given(st.lists(LOOPING, max_size=5), st.randoms())
def test_neither_order_nor_number_matters(outputs, random):
    assert looping(random.sample(outputs, len(outputs))) == looping(outputs)
    assert looping(outputs * 2) == looping(outputs)


# Copies of the training text.


words_copies = str.split

SONNET = words_copies(
    "shall i compare thee to a summer's day thou art more lovely and more temperate"
)


def test_the_formula_copies():
    """Ten words are the poem's; `to be or` and the six words at the end are too few."""
    outputs = [words_copies("well to be or") + SONNET[2:12], ["hm", *SONNET[:6]]]
    training = TrainingText([SONNET, words_copies("to be or not to be")])
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


def test_tokens_are_compared_as_wholes_copies():
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


def by_definition_copies(outputs, texts, size):
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
def test_it_is_what_the_definition_says_copies(outputs, texts, size):
    assert copies(outputs, TrainingText(texts), size) == by_definition_copies(outputs, texts, size)


@given(st.text("ab", min_size=1, max_size=60), st.text("ab", max_size=60))
def test_the_longest_copy_of_long_texts(output, text):
    lengths = range(1, len(output) + 1)
    found = (
        n for n in lengths if any(output[i : i + n] in text for i in range(len(output) - n + 1))
    )
    assert copies([output], TrainingText([text])).longest == max(found, default=0)


@given(st.lists(st.text("abc", min_size=8, max_size=20), min_size=1, max_size=5), st.randoms())
def test_what_holds_for_all_copies(texts, chance):
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


# All measures of outputs by themselves, in one table.


words_diversity = str.split

PLAY = words_diversity("the king said that the queen said that the king is not here to day")
LOOPS = [
    ["then", *words_diversity("and the king") * 5],
    ["so", *words_diversity("and the king") * 5],
]
VARIED = [PLAY[3:14], words_diversity("no one knows who came in at night or why it was done")]


def test_every_name_and_which_way_is_more_diverse():
    found = diversity(VARIED, TrainingText([PLAY]))
    assert list(found) == list(MORE_DIVERSE)
    assert all(type(value) is float for value in found.values())
    assert json.loads(json.dumps(found)) == found


def test_the_values_are_those_of_their_functions():
    found = diversity(["aab" * 4, "ab"], TrainingText(["b" + "aab" * 3]))
    assert found["distinct_1"] == 2 / 14
    assert found["distinct_2"] == 3 / 12  # aa ab ba
    assert found["entropy_3"] == pytest.approx(entropy(["aab" * 4], 3))
    assert found["repeated_4"] == pytest.approx(1 - 3 / 9)
    assert found["looping"] == 1 / 2
    assert (found["copied"], found["longest_copy"]) == (12 / 14, 10.0)


def test_each_direction_tells_loops_from_texts_that_vary():
    training = TrainingText([["and", "the", "king"] * 9])
    loops, varied = (diversity(outputs, training) for outputs in (LOOPS, VARIED))
    for name, direction in MORE_DIVERSE.items():
        more, less = (varied, loops) if direction == "higher" else (loops, varied)
        assert more[name] > less[name], name


def test_without_training_text_nothing_is_said_of_copies():
    assert set(MORE_DIVERSE) - set(diversity(VARIED)) == {"copied", "longest_copy"}


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        ([], set()),
        ([""], {"looping"}),
        (["", ""], {"looping"}),
        (["ab"], {"looping", "copied", "longest_copy"}),
        (["ab", ""], {"looping", "copied", "longest_copy"}),
        (["ab", "c"], {"looping", "copied", "longest_copy", "self_bleu"}),
    ],
)
def test_what_is_not_defined_is_left_out(outputs, wanted):
    sized = {f"{name}_{n}" for name in ("distinct", "entropy", "repeated") for n in (1, 2)}
    wanted = wanted | (sized if any(outputs) else set())
    assert set(diversity(outputs, TrainingText(["abc"]))) == wanted


@given(st.lists(st.text("abc", max_size=16), max_size=5), st.randoms())
@settings(deadline=None)
def test_the_order_of_outputs_changes_nothing(outputs, random):
    training = TrainingText(["abcabcabcab", "ccccbbbbaaaa"])
    found = diversity(outputs, training)
    assert diversity(random.sample(outputs, len(outputs)), training) == found
    assert all(math.isfinite(value) and value >= 0 for value in found.values())


@given(st.lists(st.text("abc", min_size=4, max_size=16), min_size=1, max_size=5))
@settings(deadline=None)
def test_saying_all_twice_is_less_diverse(outputs):
    once, twice = diversity(outputs), diversity(outputs * 2)
    assert all(twice[f"distinct_{n}"] < once[f"distinct_{n}"] for n in (1, 2, 3, 4))
    assert twice["self_bleu"] >= once.get("self_bleu", 0.0)
    for name in ("looping", *(f"repeated_{n}" for n in (1, 2, 3, 4))):
        assert twice[name] == pytest.approx(once[name])
