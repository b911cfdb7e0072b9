"""The samples of a run."""

import json

import pytest

import seqgen
from seqgen.samples import final_samples, samples_as_text, samples_at_validation


@pytest.fixture(scope="module")
def built(finished_run):
    return seqgen.load(finished_run).built


@pytest.fixture(scope="module")
def samples(built):
    options = built.recipe.samples
    return final_samples(built.generator(), options, options.prompts, seed=1)


def test_each_prompt_at_each_temperature(samples, built):
    assert [each["temperature"] for each in samples] == [0.0, 0.8]
    for each in samples:
        assert each["prompt"] == "the "
        assert "".join(each["pieces"]) == each["text"]
        assert len(each["log_probs"]) == len(each["pieces"]) == built.recipe.samples.length
        assert all(log_prob <= 0 for log_prob in each["log_probs"])
        assert not each["finished"]


def test_the_first_tokens_are_the_most_probable_ones(samples):
    greedy, warm = (each["first"] for each in samples)
    assert [each["probability"] for each in greedy[:2]] == [1.0, 0.0]
    chances = [each["probability"] for each in warm]
    assert chances == sorted(chances, reverse=True)
    assert 0 < sum(chances) <= 1 + 1e-9
    assert greedy[0]["token"] == samples[0]["pieces"][0] == warm[0]["token"]


def test_they_are_those_that_the_run_has_written(samples, finished_run):
    assert json.loads((finished_run / "samples.json").read_bytes()) == samples
    text = (finished_run / "samples.txt").read_text(encoding="utf-8")
    assert text == samples_as_text(samples)


def test_the_same_numbers_at_each_validation(built):
    one, two = (
        samples_at_validation(
            built.generator(), built.recipe.decoder(seed=3, vocab_size=20), ["the ", "cat"], 20
        )
        for _ in range(2)
    )
    assert one == two
    assert [each["prompt"] for each in one] == ["the "]
    assert len(one[0]["text"]) == 20


def test_of_sources_several_are_watched(place, train):
    place.write("pairs.tsv", "".join(f"{n}\t{n:b}\n" for n in range(60)))
    place.write(
        "pairs.yaml",
        """\
data: {name: pairs, path: pairs.tsv, batch_size: 8}
model:
  name: seq2seq
  encoder: {name: recurrent, embedding: {size: 6}, cell: {name: gru, hidden_size: 6}}
  embedding: {size: 6}
  cell: {name: gru, hidden_size: 6}
train: {max_steps: 2, validations: 1}
samples: {length: 4}
threads: 1
""",
    )
    seen = []
    train(recipe="pairs.yaml", watch=[seen.append])
    [samples, *_] = [event["samples"] for event in seen if event["event"] == "valid"]
    assert len({each["prompt"] for each in samples}) == 3
    assert not any(each["continues"] for each in samples)


def test_as_text(samples):
    lines = samples_as_text(samples).split("\n")
    assert lines[0] == "=== greedy ==="
    assert lines[1].startswith("the ")
    assert "=== temperature 0.8 ===" in lines


def test_prompts_that_the_tokenizer_refuses_are_the_recipes_fault(place, refusal):
    place.recipe('prompts: ["the "]', "prompts: [日]")
    told = refusal(3, "run", "tiny.yaml", "tokenizer={unk: error}")
    assert told.startswith("tiny.yaml:13:20: samples.prompts: `text` must be of known characters")


def test_a_decoder_that_does_not_suit_the_vocabulary_is_too(place, refusal, own_registries):
    place.write("picky.py", PICKY)
    override = "decoder={name: picky, top: 1000}"
    told = refusal(3, "run", "tiny.yaml", "plugins=[picky.py]", override)
    assert told == (
        f"override {override}: decoder: `top` must be at most 21, the number of tokens, but is 1000"
    )


PICKY = """
from seqgen.decoders import PathDecoder, decoders


@decoders.register("picky")
class Picky(PathDecoder):
    def __init__(self, vocab_size: int, top: int = 1):
        if top > vocab_size:
            tokens = f"{vocab_size}, the number of tokens"
            raise ValueError(f"`top` must be at most {tokens}, but is {top}")

    def choose(self, log_probs, numbers, moment):
        return log_probs.argmax(-1)
"""
