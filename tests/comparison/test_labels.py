"""What decoders are called."""

import pytest

from seqgen.comparison.labels import LONGEST, decoder_label
from seqgen.decoders import decoders


@pytest.mark.parametrize(
    ("spec", "also", "label"),
    [
        ("greedy", [], "greedy"),
        ("beam", [], "beam"),
        ({"name": "beam", "beam_size": 5}, [], "beam"),
        ({"name": "beam", "beam_size": 5}, ["beam_size"], "beam beam_size=5"),
        ({"name": "beam", "alpha": 0.5, "n_best": 2}, [], "beam n_best=2 alpha=0.5"),
        ({"name": "top_k", "k": 3}, [], "top_k k=3"),
        ({"name": "multinomial", "temperature": 1}, ["temperature"], "multinomial temperature=1.0"),
        ("beam", ["beam_size", "alpha"], "beam beam_size=5 alpha=1.0"),
        ({"name": "beam", "alpha": 0.5}, ["n_best"], "beam alpha=0.5 n_best=1"),
        (
            {"name": "minimum_bayes_risk", "sampler": {"temperature": 0.5}},
            [],
            "minimum_bayes_risk sampler.temperature=0.5",
        ),
        (
            {"name": "minimum_bayes_risk", "sampler": {"name": "top_k", "k": 4}, "samples": 8},
            ["samples"],
            "minimum_bayes_risk sampler=top_k sampler.k=4 samples=8",
        ),
        ("minimum_bayes_risk", ["sampler"], "minimum_bayes_risk sampler=multinomial"),
        (
            {"name": "greedy", "constraints": [{"name": "no_repeat_ngram", "size": 3}]},
            ["constraints"],
            "greedy constraints=[no_repeat_ngram size=3]",
        ),
        (
            {"name": "greedy", "constraints": [{"name": "no_repeat_ngram", "size": 3}]},
            ["constraints.0.size"],
            "greedy constraints=[no_repeat_ngram size=3] constraints.0.size=3",
        ),
        ("greedy", ["constraints"], "greedy constraints=[]"),
        ("greedy", ["name"], "greedy name=greedy"),
        (
            "minimum_bayes_risk",
            ["sampler.name"],
            "minimum_bayes_risk sampler.name=multinomial",
        ),
        (
            {
                "name": "greedy",
                "constraints": [
                    {"name": "minimum_length", "length": 3},
                    {"name": "forced_prefix", "text": "a b"},
                ],
            },
            [],
            'greedy constraints=[minimum_length length=3, forced_prefix text="a b"]',
        ),
    ],
)  # fmt: skip
def test_the_name_and_what_is_worth_saying(spec, also, label):
    assert decoder_label(decoders.check(spec), also) == label


def test_one_option_may_be_left_out():
    part = decoders.check({"name": "top_p", "p": 0.5, "temperature": 0.7})
    assert decoder_label(part) == "top_p p=0.5 temperature=0.7"
    assert decoder_label(part, without="temperature") == "top_p p=0.5"


def test_long_values_are_cut():
    texts = [f"word{number}" for number in range(1000)]
    part = decoders.check({"name": "greedy", "constraints": [{"name": "allowed", "texts": texts}]})
    label = decoder_label(part)
    assert label.startswith("greedy constraints=[allowed texts=[word0, word1, ")
    assert label.endswith("...")
    assert len(label) == len("greedy constraints=") + LONGEST
