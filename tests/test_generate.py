"""Generation: prompts in, texts out, and nothing left behind."""

from typing import Any

import pytest
import torch

from seqgen.cells import cells
from seqgen.data import Data, Prompts, data
from seqgen.decoders import Greedy, Multinomial
from seqgen.generate import SAMPLES_APART, Generator
from seqgen.models import models
from seqgen.tokenizers import BOS, EOS, PAD, UNK, CharTokenizer

CPU = torch.device("cpu")
ALPHABET = "abcdefgh é\n\ufffd"


class Sentences(Data[Any]):
    """Data that ends by itself, as far as generation asks."""

    ends = True

    def training_texts(self):
        raise NotImplementedError

    training = held_out = fingerprint = training_texts

    def prompts(self, texts, tokenizers):
        return data.build({"name": "text", "corpus": "unicode_names"}, seed=1).prompts(
            texts, tokenizers
        )


def build(small, cell="lstm_cell", kind=None, dropout=0.0):
    torch.manual_seed(1)
    tokenizer = CharTokenizer(alphabet=ALPHABET)
    spec = {"name": "language_model", "cell": small(cells, cell), "dropout": dropout}
    model = models.build(spec, vocab_size=len(tokenizer))
    with torch.no_grad():
        for each in model.parameters():
            each.mul_(3)
    kind = kind or data.build({"name": "text", "corpus": "unicode_names"}, seed=1)
    return Generator(model, {"text": tokenizer}, kind, CPU)


@pytest.fixture
def generator(small):
    return build(small)


@pytest.fixture(params=[0.0, 0.8, 1.5])
def decoder(request):
    return Multinomial(7, request.param) if request.param else Greedy()


def texts_of(found):
    return [[each.text for each in row] for row in found]


PROMPTS = ["", "a", "the bad face", "h\n", "zzz"]


def test_each_prompt_has_its_continuation(generator, decoder):
    found = generator.generate(PROMPTS, decoder, 30)
    assert [row[0].prompt for row in found] == PROMPTS
    for [each] in found:
        assert len(each.text) == len(each.hypothesis.tokens) == len(each.pieces) == 30
        assert "".join(each.pieces) == each.text
        assert not each.hypothesis.finished


def test_scores_are_those_of_the_model_that_reads_the_whole(generator, decoder):
    """Tokens that no text has are left out without changing the scores of the others."""
    for [each] in generator.generate(PROMPTS, decoder, 12):
        tokenizer = generator.tokenizer
        tokens = [*(tokenizer.encode(each.prompt) if each.prompt else [BOS])]
        read = torch.tensor([[*tokens, *each.hypothesis.tokens]])
        with torch.inference_mode():
            outputs, _ = generator.model.cell(generator.model.embedding(read[:, :-1]))
            log_probs = generator.model.head.log_probs(outputs)[0, len(tokens) - 1 :]
        wanted = log_probs.gather(1, read[0, len(tokens) :, None]).squeeze(1).tolist()
        assert each.hypothesis.log_probs == pytest.approx(wanted, abs=1e-5)
        assert each.hypothesis.score == pytest.approx(sum(wanted), abs=1e-4)


def test_a_text_does_not_depend_on_its_neighbours_or_on_batches(generator, decoder):
    whole = texts_of(generator.generate(PROMPTS, decoder, 20, samples=2))
    for size in (1, 2, 5):
        parts = []
        for first in range(0, len(PROMPTS), size):
            some = PROMPTS[first : first + size]
            numbers = range(first, first + len(some))
            parts += texts_of(generator.generate(some, decoder, 20, 2, numbers))
        assert parts == whole


def test_more_samples_change_none_of_the_others(generator):
    decoder = Multinomial(7)
    few, many = (texts_of(generator.generate(PROMPTS, decoder, 20, n)) for n in (1, 4))
    assert [row[:1] for row in many] == few
    assert all(len(set(row)) == 4 for row in many)


def test_each_copy_has_a_number_of_its_own(generator):
    class Noting(Greedy):
        def decode(self, stepper, start, limits):
            self.numbers = start.numbers.tolist()
            return super().decode(stepper, start, limits)

    decoder = Noting()
    generator.generate(["a", "b"], decoder, 1, samples=2, numbers=[3, 4])
    assert decoder.numbers == [3, 3 + SAMPLES_APART, 4, 4 + SAMPLES_APART]


def test_no_prompts_no_texts(generator, decoder):
    assert generator.generate([], decoder, 5) == []


def test_no_length_no_text(generator, decoder):
    [[each]] = generator.generate(["ab"], decoder, 0)
    assert (each.text, each.pieces, each.hypothesis.tokens) == ("", (), ())
    assert list(generator.stream("ab", decoder, 0)) == []


def test_special_tokens_never_come(small):
    decoder = Multinomial(7, 50.0)
    endless = build(small).generate(["a"] * 20, decoder, 50)
    assert not {t for [each] in endless for t in each.hypothesis.tokens} & {PAD, BOS, EOS, UNK}
    ending = build(small, kind=Sentences()).generate(["a"] * 20, decoder, 50)
    assert not {t for [each] in ending for t in each.hypothesis.tokens} & {PAD, BOS, UNK}
    finished = [each for [each] in ending if each.hypothesis.finished]
    assert finished
    for each in finished:
        assert each.hypothesis.tokens.index(EOS) == len(each.hypothesis.tokens) - 1
        assert each.pieces[-1] == "<eos>"
        assert "".join(each.pieces[:-1]) == each.text


class TestStream:
    def test_the_pieces_are_the_text(self, generator, decoder):
        for prompt in PROMPTS:
            [[each]] = generator.generate([prompt], decoder, 40)
            pieces = list(generator.stream(prompt, decoder, 40))
            assert "".join(pieces) == each.text
            assert all(pieces)

    def test_pieces_come_as_soon_as_they_are_there(self, generator):
        walk = generator.stream("a", Greedy(), 10**9)
        assert len("".join(next(walk) for _ in range(5))) >= 5
        walk.close()

    def test_the_caller_keeps_gradients_and_mode_between_pieces(self, generator):
        generator.model.train()
        weight = torch.ones(1, requires_grad=True)
        for _ in generator.stream("a", Multinomial(7), 5):
            assert not torch.is_inference_mode_enabled()
            assert generator.model.training
            (weight * 2).backward()
        assert weight.grad.item() >= 2


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_is_as_before(small, training):
    generator = build(small, dropout=0.5)
    generator.model.train(training)
    found = [texts_of(generator.generate(["a"], Multinomial(7), 30)) for _ in range(2)]
    assert found[0] == found[1]
    assert generator.first_tokens("a", 1.0) == generator.first_tokens("a", 1.0)
    assert generator.model.training == training


def test_the_mode_is_as_before_when_it_fails(generator):
    generator.model.train()
    for ask in (
        lambda: generator.generate(["\ud800"], Greedy(), 5),
        lambda: list(generator.stream("\ud800", Greedy(), 5)),
        lambda: generator.first_tokens("\ud800", 1.0),
    ):
        with pytest.raises(ValueError, match="lone surrogate"):
            ask()
        assert generator.model.training
        assert not torch.is_inference_mode_enabled()


class TestFirstTokens:
    @pytest.mark.parametrize("temperature", [1e-4, 0.5, 1.0, 100.0])
    def test_are_the_most_probable_in_order(self, generator, temperature):
        found = generator.first_tokens("ab", temperature, top=100)
        values = [each["probability"] for each in found]
        assert values == sorted(values, reverse=True)
        assert sum(values) == pytest.approx(1)
        assert len(found) == len(generator.tokenizer)
        shown = {each["token"]: each["probability"] for each in found}
        assert all(shown[special] == 0 for special in ("<pad>", "<bos>", "<eos>", "<unk>"))
        assert len(generator.first_tokens("ab", temperature)) == 8

    def test_at_zero_one_is_certain(self, generator):
        found = generator.first_tokens("ab", 0.0)
        [[greedy]] = generator.generate(["ab"], Greedy(), 1)
        assert found[0] == {"token": greedy.text, "probability": 1.0}
        assert {each["probability"] for each in found[1:]} == {0.0}

    def test_are_what_the_first_draw_draws_from(self, generator):
        found = generator.generate(["ab"], Multinomial(3, 0.7), 1, samples=5000)
        drawn = [each.text for each in found[0]]
        for each in generator.first_tokens("ab", 0.7, top=3):
            share = drawn.count(each["token"]) / 5000
            assert share == pytest.approx(each["probability"], abs=0.03)


def test_prompts_are_read_on_the_device_of_the_generator(generator):
    assert isinstance(generator.data.prompts(["a"], generator.tokenizers), Prompts)
    batch = generator.batch(["a"])
    assert generator.start(batch, generator.limits(batch, 1))[1].tokens.device == CPU


def test_limits_end_where_the_data_ends(small, generator):
    assert generator.limits(generator.batch(["a"]), 5).ends == ()
    other = build(small, kind=Sentences())
    assert other.limits(other.batch(["a"]), 5).ends == (EOS,)
