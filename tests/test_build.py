"""Building: sizes from the tokenizer to the model, and what can be tried without data."""

from pathlib import Path

import pytest
import torch

from seqgen.build import build, build_data, build_decoder, fit_tokenizers, rehearse
from seqgen.errors import SetupError
from seqgen.options import OptionError
from seqgen.recipe import read_recipe


def built_from(*overrides):
    recipe = read_recipe(Path("tiny.yaml"), overrides)
    data = build_data(recipe)
    tokenizers = fit_tokenizers(recipe, data)
    return build(recipe, data, tokenizers)


class TestBuilding:
    def test_sizes_pass_from_part_to_part(self, place):
        built = built_from("model.head=tied")
        vocabulary = len(built.tokenizer)
        assert built.model.embedding.weight.shape == (vocabulary, 8)
        hidden = built.model.cell(torch.zeros(2, 3, 8))[0]
        assert built.model.head.log_probs(hidden).shape == (2, 3, vocabulary)

    def test_shared_weights_count_once(self, place):
        # embedding, one LSTM layer, and the head: a map to the embedding's size and biases
        tokens = len(built_from().tokenizer)
        lstm = 4 * 16 * (8 + 16 + 2)
        assert built_from().parameters == tokens * 8 + lstm + tokens * (16 + 1)
        assert built_from("model.head=tied").parameters == tokens * 8 + lstm + 16 * 8 + tokens

    def test_the_seed_draws_the_weights(self, place):
        one, again, other = (built_from(f"seed={seed}").model.state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(one[key], again[key]) for key in one)
        assert not all(torch.equal(one[key], other[key]) for key in one)

    def test_the_vocabulary_is_that_of_the_training_text(self, place):
        place.write("text.txt", "ab" * 500 + "Z" * 200)
        assert len(built_from("data.window=4").tokenizer) == 4 + 2

    def test_threads_are_the_recipes(self, place):
        before = torch.get_num_threads()
        try:
            assert built_from("threads=2").threads == torch.get_num_threads() == 2
            assert built_from().threads == torch.get_num_threads() == 1
        finally:
            torch.set_num_threads(before)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
    def test_a_device_that_is_not_there(self, place):
        with pytest.raises(SetupError, match="device=cpu"):
            built_from("device=cuda")

    def test_the_decoder_draws_from_the_recipes_seed_or_another(self, place):
        recipe = read_recipe(Path("tiny.yaml"), ["seed=7"])
        tokenizer = built_from().tokenizer
        assert build_decoder(recipe, tokenizer).seed == 7
        assert build_decoder(recipe, tokenizer, seed=0).seed == 0

    def test_what_is_unknown_is_replaced_by_models_that_look_back(self, place):
        with pytest.raises(OptionError, match=r"^generation\.replace_unknown: needs a model that"):
            built_from("generation.replace_unknown=true")


class TestRehearsing:
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
    def test_options_that_do_not_go_together(self, override, path, place):
        with pytest.raises(OptionError) as caught:
            rehearse(read_recipe(Path("tiny.yaml"), [override]))
        assert caught.value.path == path

    def test_it_reads_and_makes_nothing(self, place):
        (place.folder / "text.txt").unlink()
        before = place.files()
        rehearse(read_recipe(Path("tiny.yaml"), ["model.cell.hidden_size=1000000"]))
        assert place.files() == before
