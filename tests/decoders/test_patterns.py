"""Texts that match a regular expression: by any tokenizer and search, and nothing else."""

import random
import re
from itertools import product

import pytest
import torch

from seqgen.decoders import Limits, Pattern, decoders
from seqgen.tokenizers import EOS, ByteTokenizer, CharTokenizer, Tokenizer

from .conftest import BATCH, TOKENIZERS, build, constrained, fitted, model_of, spelled

pytest.importorskip("outlines_core", reason="outlines-core, of the extra structured, is missing")

REGEXES = [
    r"(a|the) (cat|d.g|mat)( (sat|ate))*",
    r"the( [^ \n]+){1,3}",
    r"[^x]{3,9}(5|2|t)",
    r"(?s:.)*(cat|1999)",
]


@pytest.mark.parametrize("search", ["greedy", "multinomial", {"name": "beam", "beam_size": 4}])
@pytest.mark.parametrize("name", TOKENIZERS)
def test_each_of_a_thousand_outputs_matches(name, search):
    """With an end token and room for anything; without one, where all the room is used."""
    tokenizer = fitted(name)
    draws = search == "multinomial"
    for kind, regex in product(("lines", "text"), REGEXES):
        decoder = decoders.build(search, seed=3, vocab_size=len(tokenizer))
        decoder.constraints = (Pattern(regex, contents=tokenizer.contents),)
        most = 25 if kind == "lines" else 14
        samples = 125 if draws else 1
        [found] = model_of(tokenizer, kind).generate([""], decoder, most, samples=samples)
        if kind == "text" and not all(each.hypothesis.satisfied for each in found):
            assert not any(each.hypothesis.satisfied for each in found)  # no text is as long
            continue
        assert len(found) == samples
        for each in found:
            assert each.hypothesis.satisfied
            assert re.fullmatch(regex, each.text), each.text
            if kind == "text":
                assert len(each.hypothesis.tokens) == most


def every_text(tokenizer, most):
    """All texts of up to so many tokens, each with the token ids that make it."""
    ids = range(3, len(tokenizer))
    return {
        tokens: tokenizer.decode(tokens)
        for size in range(most + 1)
        for tokens in product(ids, repeat=size)
        if 3 not in tokens
    }


@pytest.mark.parametrize("regex", ["a|ab", "(ab)*?b?", "", "a{2}|.*b.", "[^b]+", "a*€|ab", ".*\n?"])
@pytest.mark.parametrize("tokenizer", [CharTokenizer("ab€\n"), CharTokenizer("a")])
def test_exactly_the_texts_that_match_are_possible(regex, tokenizer):
    every = every_text(tokenizer, 4)
    wanted = {tokens for tokens, text in every.items() if re.fullmatch(regex, text)}
    if not wanted:
        with pytest.raises(ValueError, match="no output of this tokenizer can match"):
            Pattern(regex, contents=tokenizer.contents)
        return
    pattern = Pattern(regex, contents=tokenizer.contents)
    assert pattern.least_tokens(None) == min(map(len, wanted))
    decoder = decoders.build({"name": "beam", "beam_size": 999, "n_best": 999})
    decoder.constraints = (pattern,)
    [found] = model_of(tokenizer).generate([""], decoder, 5)
    got = {tuple(t for t in each.hypothesis.tokens if t != EOS) for each in found}
    assert {each for each in got if len(each) < 5} == wanted


def test_bytes_of_a_character_are_several_tokens():
    tokenizer, draw = ByteTokenizer(), random.Random(1)
    pattern = Pattern("[é€😀]+", contents=tokenizer.contents)
    assert pattern.least_tokens(None) == 2
    for _ in range(20):
        text = "".join(draw.choices("é€😀e", k=3))
        node = torch.tensor([0])
        for token in tokenizer.encode(text):
            node = pattern.graph.follow(node, torch.tensor([token]))
        assert bool(pattern.graph.lacking[node] == 0) == ("e" not in text)


def test_without_an_end_token_the_length_is_that_of_a_match(deep):
    matches = Pattern("(14|0){2}", contents=spelled)
    for most, wanted in ((1, 0), (2, 2), (3, 3), (4, 4), (5, 0)):
        found = constrained("greedy", [matches], deep, deep.start(BATCH), Limits(most))
        assert {len(each.tokens) for [each] in found} == {wanted}
        assert {each.satisfied for [each] in found} == {wanted > 0}


class Silent(ByteTokenizer):
    def contents(self):
        return Tokenizer.contents(self)


@pytest.mark.parametrize(
    ("regex", "tokenizer", "message"),
    [
        ("(", ByteTokenizer(), "`regex` must be a regular expression .*'\\(': missing \\)"),
        ("a)|(b", ByteTokenizer(), "`regex` must be .*: unbalanced parenthesis"),
        ("^a$", ByteTokenizer(), "`regex` must be .*: anchors, look-around, "),
        (r"\bfoo", ByteTokenizer(), "`regex` must be .*: anchors, look-around, "),
        ("x|y+", CharTokenizer("ab"), "no output of this tokenizer can match the `regex` 'x|y\\+'"),
        ("[a&&b]", ByteTokenizer(), "no output of this tokenizer can match"),
        ("a", Silent(), "this tokenizer does not say what its tokens add to a text"),
    ],
)
def test_what_cannot_be_is_refused(regex, tokenizer, message):
    with pytest.raises(ValueError, match=message):
        Pattern(regex, contents=tokenizer.contents)


def test_impossible_tokens_lead_nowhere(even):
    """Neither the rest of a search nor a beam that is wider than there are texts."""
    matches = Pattern("0|14", contents=spelled)
    beam = build({"name": "beam", "beam_size": 9, "n_best": 9})
    [found] = constrained(beam, [matches], even, even.start(1), Limits(5, (2,)))
    assert [each.tokens for each in found] == [(0, 2), (1, 4, 2)]
