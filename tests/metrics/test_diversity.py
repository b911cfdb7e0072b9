"""What outputs say by themselves: n-grams, self-BLEU, loops, copies, and all of them in a table."""

import json
import math
import random
import tracemalloc
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from seqgen.metrics import MORE_DIVERSE, TrainingText, diversity, find_loop, looping
from seqgen.metrics.diversity import Copies, Loop, copies, distinct, entropy, ngrams, repeated
from seqgen.metrics.diversity import self_bleu as bleu

OUTPUTS = st.lists(st.text("abc", max_size=9), max_size=6)
SIZED = (distinct, entropy, repeated)
words = str.split


def parts(output, n):
    return [output[i : i + n] for i in range(len(output) - n + 1)]


def test_the_same_id_for_the_same_ngram_within_outputs():
    found = ngrams(["abab", "b", "ab"], 2)
    assert found.ids.tolist() == [0, 1, 0, 0]  # ab ba ab | | ab, and no bb or ba between them
    assert found.owners.tolist() == [0, 0, 0, 2]
    assert found.distinct == 2
    found = ngrams([["a", "bc"], ["ab", "c"], ["a", "bc"]], 2)  # tokens are compared as wholes
    assert found.distinct == 2
    assert found.ids[0] == found.ids[2]
    with pytest.raises(ValueError, match=r"^`n` must be at least 1, but is 0$"):
        ngrams(["ab"], 0)


@given(OUTPUTS, st.integers(1, 5))
def test_ngrams_are_those_of_each_output(outputs, n):
    found = ngrams(outputs, n)
    wanted = [(owner, ngram) for owner, each in enumerate(outputs) for ngram in parts(each, n)]
    assert found.owners.tolist() == [owner for owner, _ in wanted]
    names = dict(zip(found.ids.tolist(), (ngram for _, ngram in wanted), strict=True))
    assert [names[each] for each in found.ids.tolist()] == [ngram for _, ngram in wanted]
    assert sorted(names) == list(range(found.distinct))
    assert len(set(names.values())) == found.distinct


TO_BE = words("to be or not to be")
CATS = [words("the cat sat the cat"), words("the cat")]


@pytest.mark.parametrize(
    ("measure", "outputs", "n", "wanted"),
    [
        (distinct, CATS, 1, 3 / 7),  # the cat sat, of 7
        (distinct, CATS, 2, 3 / 5),  # "the cat" is there three times
        (distinct, CATS, 3, 3 / 3),
        (distinct, CATS, 4, 1 / 1),
        (entropy, ["abcd"], 1, 2.0),
        (entropy, ["ab", "cd", "ab", "ef"], 2, 0.5 * 1 + 2 * 0.25 * 2),
        (entropy, ["aab"], 1, 2 / 3 * math.log2(3 / 2) + 1 / 3 * math.log2(3)),
        (entropy, ["aaaa", "a"], 1, 0.0),
        (entropy, ["aaaa", "a"], 2, 0.0),
        (repeated, [TO_BE], 1, 1 - 4 / 6),
        (repeated, [TO_BE], 2, 1 - 4 / 5),
        (repeated, [TO_BE], 3, 0.0),
        (repeated, ["aaaaa", "abc"], 2, (3 / 4 + 0) / 2),  # the mean of shares, not that of all
        (repeated, ["ab", "ab"], 2, 0.0),  # what another output says is not repeated
        (repeated, ["aaa", "", "b"], 2, 1 / 2),  # what is too short does not count
        *(
            (measure, outputs, 3, None)
            for measure in SIZED
            for outputs in ([], [[]], [["a"], ["b", "c"]])
        ),
    ],
)
def test_the_formulas_of_ngrams(measure, outputs, n, wanted):
    found = measure(outputs, n)
    assert found == (None if wanted is None else pytest.approx(wanted))
    assert found is None or math.copysign(1, found) == 1


@given(OUTPUTS, st.integers(1, 4), st.randoms())
def test_measures_of_ngrams_are_what_their_definitions_say(outputs, n, random):
    counts = Counter(ngram for each in outputs for ngram in parts(each, n))
    own = [parts(each, n) for each in outputs if len(each) >= n]
    found = [measure(outputs, n) for measure in SIZED]
    shuffled = random.sample(outputs, len(outputs))
    assert [measure(shuffled, n) for measure in SIZED] == found
    if not counts:
        assert found == [None, None, None]
        return
    shares = [count / counts.total() for count in counts.values()]
    assert found == pytest.approx(
        [
            len(counts) / counts.total(),
            -sum(share * math.log2(share) for share in shares),
            sum(1 - len(set(each)) / len(each) for each in own) / len(own),
        ],
        abs=1e-12,
    )
    assert 0 <= found[1] <= math.log2(len(counts)) + 1e-9
    twice = [measure(outputs * 2, n) for measure in SIZED]
    assert twice == pytest.approx([found[0] / 2, *found[1:]])


def by_sacrebleu(outputs):
    scorer = BLEU(smooth_method="floor", smooth_value=0.1, effective_order=True, tokenize="none")
    texts = [" ".join(each) for each in outputs if each]
    if len(texts) < 2:
        return None
    rest = [texts[:i] + texts[i + 1 :] for i in range(len(texts))]
    scores = [scorer.sentence_score(*each).score for each in zip(texts, rest, strict=True)]
    return sum(scores) / len(scores)


def test_self_bleu_by_hand():
    outputs = [words("the cat sat on the mat"), words("the cat sat on a mat")]
    one = [5 / 6, 3 / 5, 2 / 4, 1 / 3]  # the second has "the" but once; the other way the same
    assert bleu(outputs) == pytest.approx(100 * math.prod(one) ** (1 / 4))
    # All others are references. `ab` is in the one, `cd` in the other; `bc`, and all that is
    # longer, is in none.
    first = 100 * (4 / 4 * 2 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4)
    others = 100 * (2 / 4 * 1 / 3 * 0.1 / 2 * 0.1 / 1) ** (1 / 4)  # a, b and ab; c, d and cd
    last = 100 * (2 / 2 * 1 / 1) ** (1 / 2) * math.exp(1 - 4 / 2)  # `abyy` and `abcd` are nearest
    found = bleu(["abcd", "abyy", "zzcd", "ab"])
    assert found == pytest.approx((first + 2 * others + last) / 4)


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        (["abcd", "efgh"], 0.0),
        ([["a b"], ["a", "b"]], 0.0),
        (["abcdef"] * 2, 100.0),
        (["a", "a"], 100.0),
        (["abc", "de", "abc", "de"], 100.0),
        ([[" ", "\n", "a b", ""]] * 2, 100.0),  # tokens may hold anything
        *((outputs, None) for outputs in ([], ["abcd"], ["", ""], ["", "abcd", ""])),
    ],
)
def test_self_bleu_of_twins_strangers_and_none(outputs, wanted):
    assert bleu(outputs) == wanted


@given(OUTPUTS, st.randoms())
@example(["aaab", "aac", "ad"], random.Random(0))
@settings(max_examples=60)
def test_self_bleu_is_what_sacrebleu_says_of_each(outputs, random):
    """A match counts as often as one other has it: in `aaab`, `a` counts twice."""
    found, wanted = bleu(outputs), by_sacrebleu(outputs)
    assert found == (None if wanted is None else pytest.approx(wanted))
    assert bleu(random.sample(outputs, len(outputs))) == found
    assert found is None or 0 <= found <= 100
    if any(outputs):
        assert bleu(outputs * 2) == pytest.approx(100.0)


KING = words("and then the king said that")


@pytest.mark.parametrize(
    ("tokens", "shortest", "wanted"),
    [
        ("xyz" + "abcd" * 3, 12, Loop(3, 4)),
        ("xyd" + "abcd" * 3 + "ab", 12, Loop(2, 4)),  # begins before the block, ends within it
        ("a" * 12, 12, Loop(0, 1)),
        (["no", *KING * 3], 12, Loop(1, 6)),
        (("a" * 500 + "b") * 400, 12, Loop(0, 501)),  # in no quadratic time
        ("abcd" * 2 + "abc", 12, None),  # not quite three times
        ("a" * 11, 12, None),  # too short
        ("abcd" * 5 + "x", 12, None),  # it ends otherwise
        ("", 12, None),
        ("ab" * 3, 6, Loop(0, 2)),
        ("ab" * 3, 7, None),
        ("aaaa", 0, Loop(0, 1)),
    ],
)
def test_a_loop_is_what_an_output_ends_in(tokens, shortest, wanted):
    assert find_loop(tokens, shortest) == wanted


def loop_by_definition(tokens, shortest):
    """Each period, from the shortest on: how long the end repeats by it."""
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
def test_loops_are_what_the_definition_says(tokens, shortest):
    assert find_loop(tokens, shortest) == loop_by_definition(tokens, shortest)
    assert find_loop(list(tokens), shortest) == find_loop(tokens, shortest)


def test_the_share_of_outputs_by_hand():
    outputs = ["xyz" + "abcd" * 3, "To be, or not to be", "", "a" * 40]
    assert looping(outputs) == 2 / 4
    assert looping(outputs, shortest=20) == 1 / 4
    assert looping([KING, ["no", *KING * 3]]) == 1 / 2
    assert looping([]) is None
    assert looping([""]) == 0.0


SONNET = words("shall i compare thee to a summer's day thou art more lovely and more temperate")
QUOTES = [words("well to be or") + SONNET[2:12], ["hm", *SONNET[:6]]]
"""Ten words are the poem's; `to be or` and the six words at the end are too few."""


@pytest.mark.parametrize(
    ("outputs", "texts", "size", "wanted"),
    [
        (QUOTES, [SONNET, TO_BE], 8, Copies(10 / 21, 10)),
        (QUOTES, [SONNET, TO_BE], 6, Copies(16 / 21, 10)),
        (QUOTES, [SONNET, TO_BE], 3, Copies(19 / 21, 10)),
        (QUOTES, [SONNET, TO_BE], 11, Copies(0.0, 10)),
        (["xabcx", "xx"], ["abcdefgh"], 8, Copies(0.0, 3)),  # the longest is too short to count
        (["xyz"], ["abcdefgh"], 8, Copies(0.0, 0)),
        (["abcdefgh"], ["abcdefgh"], 8, Copies(1.0, 8)),
        (["abcdefghi"], ["abcdef", "defghi"], 6, Copies(1.0, 6)),  # what overlaps counts once
        (["abcdefgh"], ["abcd", "efgh"], 5, Copies(0.0, 4)),  # not from one text into the next
        (["abcd", "efgh"], ["abcdefgh"], 5, Copies(0.0, 4)),
        ([["a", "bc"]], [["ab", "c"]], 1, Copies(0.0, 0)),  # tokens are compared as wholes
        *((outputs, ["abc"], 8, None) for outputs in ([], [""], [[], []])),
        *((["abcdefghi"], texts, 8, Copies(0.0, 0)) for texts in ([], [""], ["", ""])),
    ],
)
def test_copies_by_hand(outputs, texts, size, wanted):
    assert copies(outputs, TrainingText(iter(texts)), size) == wanted
    with pytest.raises(ValueError, match=r"^`size` must be at least 1, but is 0$"):
        copies(outputs, TrainingText(texts), size=0)


def copies_by_definition(outputs, texts, size):
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
LONG = st.lists(st.text("ab", min_size=1, max_size=60), min_size=1, max_size=1)


@given(TEXTS.filter(any) | LONG, TEXTS | LONG, st.integers(1, 9))
def test_copies_are_what_the_definition_says(outputs, texts, size):
    assert copies(outputs, TrainingText(texts), size) == copies_by_definition(outputs, texts, size)


@given(st.lists(st.text("abc", min_size=8, max_size=20), min_size=1, max_size=5), st.randoms())
def test_copies_of_all_of_it_and_in_any_order(texts, chance):
    training = TrainingText(texts)
    assert copies(texts, training) == Copies(1.0, max(map(len, texts)))
    some = [text[chance.randrange(8) :] + "x" for text in texts]
    found = copies(some, training)
    assert copies(chance.sample(some, len(some)), training) == copies(some * 2, training) == found


def test_memory_grows_with_the_text_and_no_faster():
    """A text that has only itself twice, and an output that is half of it: the worst case."""
    size = 100_000
    text = random.Random(0).choices("abcdefgh", k=size // 2) * 2
    tracemalloc.start()
    try:
        training = TrainingText([text])
        kept = tracemalloc.get_traced_memory()[0]
        found = copies([text[: size // 2]], training)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == Copies(1.0, size // 2)
    assert kept < 10 * size
    assert peak < 120 * size


PLAY = words("the king said that the queen said that the king is not here to day")
LOOPS = [[start, *words("and the king") * 5] for start in ("then", "so")]
VARIED = [PLAY[3:14], words("no one knows who came in at night or why it was done")]


def test_every_name_has_its_value_and_direction():
    found = diversity(VARIED, TrainingText([PLAY]))
    assert list(found) == list(MORE_DIVERSE)
    assert all(type(value) is float for value in found.values())
    assert json.loads(json.dumps(found)) == found
    assert set(MORE_DIVERSE) - set(diversity(VARIED)) == {"copied", "longest_copy"}
    training = TrainingText([["and", "the", "king"] * 9])
    loops, varied = (diversity(outputs, training) for outputs in (LOOPS, VARIED))
    for name, direction in MORE_DIVERSE.items():
        more, less = (varied, loops) if direction == "higher" else (loops, varied)
        assert more[name] > less[name], name
    found = diversity(["aab" * 4, "ab"], TrainingText(["b" + "aab" * 3]))
    some = {"distinct_1": 2 / 14, "distinct_2": 3 / 12, "entropy_3": entropy(["aab" * 4], 3)}
    some |= {"repeated_4": 1 - 3 / 9, "looping": 1 / 2, "copied": 12 / 14, "longest_copy": 10.0}
    assert {name: found[name] for name in some} == pytest.approx(some)


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


@given(st.lists(st.text("abc", min_size=4, max_size=16), min_size=1, max_size=5), st.randoms())
@settings(max_examples=40)
def test_the_order_changes_nothing_and_saying_all_twice_is_less_diverse(outputs, random):
    training = TrainingText(["abcabcabcab", "ccccbbbbaaaa"])
    found = diversity(outputs, training)
    assert diversity(random.sample(outputs, len(outputs)), training) == found
    assert all(math.isfinite(value) and value >= 0 for value in found.values())
    twice = diversity(outputs * 2)
    assert all(twice[f"distinct_{n}"] < found[f"distinct_{n}"] for n in (1, 2, 3, 4))
    assert twice["self_bleu"] >= found.get("self_bleu", 0.0)
    for name in ("looping", *(f"repeated_{n}" for n in (1, 2, 3, 4))):
        assert twice[name] == pytest.approx(found[name])
