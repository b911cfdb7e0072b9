"""Data: what is too little, too long or made up to hurt."""

import json

import pytest


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "text.txt: "),
        (b"\n \n\n", "text.txt: "),
        (b"a", "text.txt: "),
        (b"a small text", "batch_size 4 and window 16 need at least 80"),
        (b"\xef\xbb\xbf", "text.txt: "),
    ],
)
def test_too_little_text_says_how_much_is_needed(content, says, place, refused):
    place.write("text.txt", content)
    refused(4, says, "run", "tiny.yaml")


def test_one_line_of_ten_megabytes_is_trained_on(place, command):
    place.write("text.txt", b"0123456789" * 1_000_000)
    few = ("train.max_steps=2", "data.split=[0.99999, 0.000005, 0.000005]", "samples.length=2")
    ended = command("run", "tiny.yaml", "--out", "run", *few)
    assert ended.code == 0, ended.err
    assert json.loads((place.folder / "run/manifest.json").read_bytes())["data"]["text.txt"]


def test_a_prompt_of_a_hundred_thousand_tokens_is_read(finished_run, place, command):
    place.write("long.txt", "the cat " * 12_500 + "\n")
    ended = command(
        "generate", finished_run, "--input", "long.txt", "--max-length", 3, "--output", "out.txt"
    )
    assert ended.code == 0, ended.err


# A plugin tokenizer that gives ids beyond its own vocabulary, and below it.
IDS = """
import numpy as np
from seqgen.tokenizers import Tokenizer, tokenizers


@tokenizers.register("strange")
class Strange(Tokenizer):
    lossless = False

    def fit(self, texts):
        pass

    def __len__(self):
        return 9

    def encode(self, text):
        return np.full(len(text), {token}, np.int64)

    def decode(self, tokens):
        return ""

    def shown(self, token):
        return str(token)

    def files(self):
        return {{}}

    def restore(self, files):
        pass
"""
