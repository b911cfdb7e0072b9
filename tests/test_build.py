"""Building: sizes from the tokenizer to the model, and what can be tried without data."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seqgen.build import build, build_data, build_decoder, dry_run, fit_tokenizers
from seqgen.options import OptionError
from seqgen.recipe import read_recipe


@pytest.fixture
def build_from(place):
    """A function that builds tiny.yaml with overrides."""

    def build_it(*overrides):
        recipe = read_recipe(Path("tiny.yaml"), overrides)
        data = build_data(recipe)
        return build(recipe, data, fit_tokenizers(recipe, data))

    return build_it


def test_sizes_pass_from_part_to_part(build_from):
    built = build_from("model.head=tied")
    vocabulary = len(built.tokenizer)
    assert built.model.embedding.weight.shape == (vocabulary, 8)
    hidden = built.model.cell(torch.zeros(2, 3, 8))[0]
    assert built.model.head.log_probs(hidden).shape == (2, 3, vocabulary)


def test_shared_weights_count_once(build_from):
    # embedding, one LSTM layer, and the head: a map to the embedding's size and biases
    tokens = len(build_from().tokenizer)
    lstm = 4 * 16 * (8 + 16 + 2)
    assert build_from().parameters == tokens * 8 + lstm + tokens * (16 + 1)
    assert build_from("model.head=tied").parameters == tokens * 8 + lstm + 16 * 8 + tokens


def test_the_seed_draws_the_weights(build_from):
    one, again, other = (build_from(f"seed={seed}").model.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_the_vocabulary_is_that_of_the_training_text(build_from, place):
    place.write("text.txt", "ab" * 500 + "Z" * 200)
    assert len(build_from("data.window=4").tokenizer) == 4 + 2


def test_threads_are_the_recipes_while_it_computes(build_from):
    before = torch.get_num_threads()
    for threads in (2, 1):
        built = build_from(f"threads={threads}")
        assert torch.get_num_threads() == before
        with built.computing():
            assert built.threads == built.most_threads == torch.get_num_threads() == threads
    assert torch.get_num_threads() == before == build_from("threads=auto").most_threads


def test_a_decoder_draws_from_its_seed(build_from):
    built = build_from()
    assert build_decoder(built.recipe.decoder, built, seed=7).seed == 7


def test_unknown_words_are_replaced_only_by_models_with_attention(build_from):
    with pytest.raises(OptionError, match=r"^generation\.replace_unknown: needs a model that"):
        build_from("generation.replace_unknown=true")


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("data.split=[0.5, 0.5, 0.5]", ("data",)),
        ("model.cell={name: lstm, dropout: 0.5}", ("model", "cell")),
        ("model.cell={name: stack, cells: []}", ("model", "cell")),
        ("train.optimizer={weight_decay: -1}", ("train", "optimizer")),
        ("generation.replace_unknown=true", ("generation", "replace_unknown")),
    ],
)
def test_a_dry_run_refuses_options_that_do_not_go_together(override, path, place):
    with pytest.raises(OptionError) as caught:
        dry_run(read_recipe(Path("tiny.yaml"), [override]))
    assert caught.value.path == path


RECIPES = ("char_lstm", "lectures/names_rnn", "translate_fra_eng", "tag_upos")
"""With weights that are drawn, an identity as embedding, and states that are put together."""


def test_a_dry_run_imports_neither_a_compiler_nor_symbols():
    code = f"""
import sys, torch
from seqgen.build import dry_run
from seqgen.run import load_recipe

before = torch.optim.Optimizer.add_param_group
for name in {RECIPES!r}:
    dry_run(load_recipe(name, [])[0])
    assert torch.optim.Optimizer.add_param_group is before
print({{"torch._dynamo", "sympy", "torchtext", "matplotlib"}} & {{*sys.modules}})
"""
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_a_dry_run_reads_and_makes_nothing(place):
    (place.folder / "text.txt").unlink()
    before = place.files()
    dry_run(read_recipe(Path("tiny.yaml"), ["model.cell.hidden_size=1000000"]))
    assert place.files() == before
