"""Evaluation: one set of figures, however many lanes are read at once."""

import math

import pytest
import torch

from seqgen.cells import Cell, cells
from seqgen.data import LinesData, TextSize, TokenBatch
from seqgen.data.text import StreamSplit
from seqgen.data.text_files import TextFile
from seqgen.errors import SeqgenError
from seqgen.evaluate import evaluate, score_rows
from seqgen.heads import heads
from seqgen.models import LanguageModel
from seqgen.tokenizers import CharTokenizer

VOCAB, TOKENS = 11, 4500
CPU = torch.device("cpu")


class Counter(Cell):
    """Never forgets: its state is the sum of everything that it has read."""

    def __init__(self, input_size):
        super().__init__()
        self.output_size = 2 * input_size

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.output_size // 2)

    def step(self, x, state):
        state = state + x
        return torch.cat([state.sin(), x], 1), state


class Chaos(Counter):
    """Never forgets either: the least difference between two states grows until it is all."""

    def step(self, x, state):
        state = (3.99 * state * (1 - state) + 0.01 * x.sigmoid()).clamp(0.01, 0.99)
        return torch.cat([state, x], 1), state


OWN = {"counter": Counter, "chaos": Chaos}

# At twice their weights these are chaotic: what another batch size rounds otherwise would grow.
SCALES = {"layer_norm_lstm": 1, "multiplicative_lstm": 1}

# At twice its weights this one would add up all that it has read.
OF_A_STREAM = {"indrnn": {"bound": 0.9}}


@pytest.fixture(scope="module", params=[*cells.names(), *OWN])
def model(request, small):
    torch.manual_seed(1)
    spec = (
        {**small(cells, request.param), **OF_A_STREAM.get(request.param, {})}
        if request.param not in OWN
        else None
    )
    cell = OWN.get(request.param) or cells.check(spec)
    made = LanguageModel(VOCAB, cell, heads.check("linear"), dropout=0.5)
    with torch.no_grad():
        for each in made.parameters():
            each.mul_(SCALES.get(request.param, 2))  # so that the state matters
    return made


@pytest.fixture(scope="module")
def split():
    tokens = torch.randint(4, VOCAB, (TOKENS + 1,), generator=torch.Generator().manual_seed(2))
    return StreamSplit(tokens, TextSize(TOKENS, 2 * TOKENS), 17)


@pytest.fixture(scope="module")
def one_reading(model, split):
    """Nats and correct tokens of the stream, from end to end in a single batch of one row."""
    stream = split.stream.unsqueeze(0)
    with torch.inference_mode():
        score = model.eval().score(TokenBatch(stream[:, :-1], stream[:, 1:]))
    return float(score.nats.double().sum()), int(score.correct.sum())


@pytest.mark.parametrize("batch_size", [1, 2, 7, 32])
def test_the_figures_are_those_of_one_reading(model, split, one_reading, batch_size):
    nats, correct = one_reading
    assert evaluate(model, split, CPU, batch_size) == pytest.approx(
        {
            "nats_per_token": nats / TOKENS,
            "perplexity": math.exp(nats / TOKENS),
            "bits_per_char": nats / math.log(2) / TOKENS,
            "bits_per_byte": nats / math.log(2) / TOKENS / 2,
            "accuracy": correct / TOKENS,
            "tokens": TOKENS,
            "unknown": 17,
            "unknown_share": 17 / TOKENS,
        },
        rel=1e-6,
    )


def test_the_state_matters_here(model, split, one_reading):
    """Or the test above would show nothing: fresh states at every 100th token cost something."""
    nats, _ = one_reading
    stream = split.stream
    rows = TokenBatch(stream[:TOKENS].view(-1, 100), stream[1:].view(-1, 100))
    with torch.inference_mode():
        fresh = float(model.eval().score(rows).nats.double().sum())
    assert abs(fresh / nats - 1) > 1e-5


def test_a_short_split(model):
    short = StreamSplit(torch.tensor([1, 4, 5]), TextSize(2, 2), 0)
    assert evaluate(model, short, CPU)["tokens"] == 2


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_is_as_before(model, split, training):
    part = StreamSplit(split.stream[:401], TextSize(400, 800), 0)
    model.train(training)
    found = [evaluate(model, part, CPU, 4) for _ in range(2)]
    assert found[0] == found[1]
    assert model.training == model.cell.training == training


def test_the_mode_is_as_before_when_it_fails(model, split):
    broken = StreamSplit(torch.full((10,), VOCAB + 5), TextSize(9, 9), 0)
    model.train()
    with pytest.raises((IndexError, SeqgenError)):
        evaluate(model, broken, CPU)
    assert model.training
    assert not torch.is_inference_mode_enabled()


class TestRows:
    @pytest.fixture
    def rows(self):
        """Seven lines, the last but one of them with a sign that is not known."""
        tokenizer = CharTokenizer()
        tokenizer.fit(["abcdefg"])
        text = TextFile.of("abc\ng\n\nabcdefgabcdefg\ngfe\nxax\nb")
        lines = LinesData(path=None, train="none.txt")
        return lines.parse_rows(text, "text", {"text": tokenizer}), len(tokenizer)

    @pytest.mark.parametrize("batch_size", [1, 2, 32])
    def test_each_is_scored_for_itself(self, rows, batch_size):
        split, vocab = rows
        torch.manual_seed(1)
        model = LanguageModel(vocab, cells.check({"name": "gru", "hidden_size": 5}))
        scores = score_rows(model, split, CPU, batch_size)
        assert [len(each.log_probs) for each in scores] == [4, 2, 1, 15, 4, 4, 2]
        assert [each.unknown for each in scores] == [0, 0, 0, 0, 0, 2, 0]
        for each in scores:
            assert each.score == pytest.approx(sum(each.log_probs))
        nats = evaluate(model, split, CPU)["nats_per_token"]
        assert -sum(each.score for each in scores) / 32 == pytest.approx(nats)
        alone = score_rows(model, split, CPU, 1)
        for one, other in zip(scores, alone, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-6)
