"""All measures of outputs by themselves, in one table."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.metrics import MORE_DIVERSE, TrainingText, diversity
from seqgen.metrics.entropy import entropy

words = str.split

PLAY = words("the king said that the queen said that the king is not here to day")
LOOPS = [["then", *words("and the king") * 5], ["so", *words("and the king") * 5]]
VARIED = [PLAY[3:14], words("no one knows who came in at night or why it was done")]


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
