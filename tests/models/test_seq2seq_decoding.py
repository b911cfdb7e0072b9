"""The laws of decoding, for models with each attention and with pairs of different cells."""

import math

import pytest
import torch

from seqgen.attentions import attentions
from seqgen.cells import cells
from seqgen.data import PairBatch, Sources
from seqgen.data.batches import begun, padded
from seqgen.decoders import Beam, Exact, Forbid, Greedy, Limits, Start, decoders
from seqgen.models import models
from seqgen.tokenizers import BOS, EOS, PAD, UNK

VOCAB, SOURCE, VECTOR = 7, 9, 3
LENGTHS, FEW = (3, 0, 1, 9, 4), (3, 0, 6)
"""Of the sources, in one batch."""
NEVER = (PAD, BOS, UNK)
LIMITS, TINY = Limits(7, (EOS,)), Limits(4, (EOS,))

# Encoder, its cell, the model's cell, attention, and whether that is fed to the cell.
CASES = (
    ("recurrent", "lstm", "gru", "none", False),
    ("recurrent", "gru", "lstm_cell", "dot", True),
    ("recurrent", "multiplicative_lstm", "stack", "dot", False),
    ("bidirectional", "stack", "slstm", "general", False),
    ("recurrent", "slstm", "weight_drop", "general", True),
    ("bidirectional", "zoneout", "variational_dropout", "additive", True),
    ("recurrent", "min_gru", "peephole_lstm", "additive", False),
    ("label", "", "min_lstm", "none", True),
    ("vector", "", "zoneout", "none", False),
)


class Speaker:
    """A model, and the sources that it speaks of."""

    def __init__(self, model, lengths=LENGTHS):
        self.model = model
        self.stepper = Forbid(model, NEVER)
        draw = torch.Generator().manual_seed(4)
        if type(model.encoder).__name__ == "Vector":
            self.rows = list(torch.randn(len(lengths), VECTOR, generator=draw))
        else:
            self.rows = [torch.randint(4, SOURCE, (each,), generator=draw) for each in lengths]

    def sources(self, numbers):
        rows = [self.rows[number] for number in numbers]
        if rows[0].is_floating_point():
            return Sources(torch.stack(rows), torch.ones(len(rows), dtype=torch.long))
        return Sources(*padded(rows))

    def decode(self, decoder, limits, numbers=None):
        """What is found for the sources of these numbers, all at once."""
        numbers = range(len(self.rows)) if numbers is None else numbers
        start = self.model.start(self.sources(numbers))
        named = Start(*start[:3], torch.tensor([7 * number + 1 for number in numbers]))
        return decoder.decode(self.stepper, named, limits)

    def rescored(self, number, sequences):
        """The log-probabilities of sequences for one source, teacher-forced."""
        rows = [torch.tensor([*each], dtype=torch.long) for each in sequences]
        read = self.sources([number] * len(rows))
        batch = PairBatch(read, begun(rows), *padded(rows), torch.arange(len(rows)))
        nats = self.model.score(batch).nats
        return [(-own[: len(row)]).tolist() for own, row in zip(nats, rows, strict=True)]

    def every(self, number, limits):
        """All that may be said of a source, with its score, the best first."""
        live, over = [()], []
        for left in reversed(range(limits.max_length)):
            longer = [(*each, token) for each in live for token in (EOS, 4, 5, 6)]
            over += [each for each in longer if each[-1] == EOS or not left]
            live = [each for each in longer if each[-1] != EOS]
        scores = [math.fsum(each) for each in self.rescored(number, over)]
        return sorted(zip(scores, over, strict=True), reverse=True)


def model_of(case, small):
    """A model with random weights that are sure of much."""
    encoder, encoder_cell, cell, attention, feeding = case
    reader = {"name": encoder}
    if encoder_cell:
        reader |= {"cell": small(cells, encoder_cell), "embedding": {"size": 3}}
    parts = {"encoder": reader, "cell": small(cells, cell), "attention": attention}
    spec = {"name": "seq2seq", **parts, "embedding": {"size": 4}, "input_feeding": feeding}
    torch.manual_seed(2)
    source = {"vocab_size": SOURCE, "vector_size": VECTOR}
    model = models.build(spec, vocab_size=VOCAB, source=source).eval()
    for each in model.parameters():
        each.data.mul_(2)
    return model


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, filter(None, case))))
def speak(request, small):
    """A function from lengths to the Speaker of a case."""
    model = model_of(request.param, small)
    with torch.inference_mode():
        yield lambda lengths=LENGTHS: Speaker(model, lengths)


def test_the_cases_have_each_attention_and_pairs_of_different_cells():
    assert {case[3] for case in CASES} == set(attentions.names())
    assert all(one != other for _, one, other, *_ in CASES)


def sequences(found):
    return [[each.tokens for each in own] for own in found]


def assert_scored_as_taught(speaker, found):
    for number, own in enumerate(found):
        taught = speaker.rescored(number, [each.tokens for each in own])
        for each, log_probs in zip(own, taught, strict=True):
            assert each.log_probs == pytest.approx(log_probs, abs=1e-5)
            assert each.score == pytest.approx(math.fsum(log_probs), abs=1e-5)


@pytest.mark.parametrize("name", decoders.names())
def test_every_decoder(speak, small, name):
    speaker, decoder = speak(), decoders.build(small(decoders, name), seed=3, vocab_size=VOCAB)
    whole = speaker.decode(decoder, LIMITS)
    assert_scored_as_taught(speaker, whole)
    for own in whole:  # each ends once, and the best comes first
        assert own
        assert len({each.tokens for each in own}) == len(own)
        ranks = [each.score if each.rank is None else each.rank for each in own]
        assert ranks == sorted(ranks, reverse=True)
        for each in own:
            assert not set(each.tokens) & set(NEVER)
            assert EOS not in each.tokens[:-1]
            assert each.finished == (each.tokens[-1:] == (EOS,))
            assert each.finished or len(each.tokens) == 7
    for numbers in ([0], [1], [3], [4, 1, 2], [3, 3, 1]):  # a source alone is that in any batch
        found = speaker.decode(decoder, LIMITS, numbers)
        assert sequences(found) == [sequences(whole)[number] for number in numbers]
        for own, number in zip(found, numbers, strict=True):
            for each, other in zip(own, whole[number], strict=True):
                assert each.log_probs == pytest.approx(other.log_probs, abs=1e-5)


def test_a_beam_of_one_is_greedy_is_the_first_of_one(speak):
    speaker = speak()
    wanted = sequences(speaker.decode(Greedy(), LIMITS))
    for spec in (
        {"name": "beam", "beam_size": 1},
        {"name": "top_k", "k": 1, "temperature": 2.0},
        {"name": "multinomial", "temperature": 0},
    ):
        search = decoders.build(spec, seed=3, vocab_size=VOCAB)
        assert sequences(speaker.decode(search, LIMITS)) == wanted


def test_a_wide_beam_and_exact_find_what_all_sequences_have(speak):
    speaker = speak(FEW)
    beam, exact = (speaker.decode(search, TINY) for search in (Beam(150, 150), Exact(20)))
    for number in range(3):
        every = speaker.every(number, TINY)
        assert len(every) == 40 + 81
        assert 0 < math.fsum(math.exp(score) for score, _ in every) < 1
        scores, tokens = [score for score, _ in every], {each for _, each in every}
        assert [each.score for each in beam[number]] == pytest.approx(scores, abs=1e-5)
        assert {each.tokens for each in beam[number]} == tokens
        assert [each.score for each in exact[number]] == pytest.approx(scores[:20], abs=1e-5)
        assert exact[number][0].tokens == beam[number][0].tokens == every[0][1]
        assert all(each.complete for each in exact[number])


def test_the_first_do_not_depend_on_how_many_are_wanted_and_exact_has_the_best(speak):
    speaker = speak(FEW)
    for make in (lambda n: Beam(6, n), Exact):
        most = sequences(speaker.decode(make(6), TINY))
        for few in (1, 2, 4):
            assert sequences(speaker.decode(make(few), TINY)) == [own[:few] for own in most]
    best = [own[0].score for own in speaker.decode(Exact(), TINY)]
    for size in (1, 2, 5):
        found = [own[0].score for own in speaker.decode(Beam(size), TINY)]
        assert all(one <= other + 1e-5 for one, other in zip(found, best, strict=True))


def test_sources_that_may_say_nothing_stay_in_their_place(speak):
    speaker, limits = speak(), Limits([0, 2, 0, 5, 1], (EOS,))
    for search in (Greedy(), Beam(3, 2)):
        for number, own in enumerate(speaker.decode(search, limits)):
            room = limits.max_length[number]
            assert all(len(each.tokens) <= room for each in own)
            [alone] = speaker.decode(search, Limits(room, (EOS,)), [number])
            assert [each.tokens for each in own] == [each.tokens for each in alone]


@pytest.mark.parametrize(
    ("encoder_cell", "cell"),
    list(zip(cells.names(), cells.names()[7:] + cells.names()[:7], strict=True)),
)
def test_every_cell_is_searched_as_it_is_scored(small, encoder_cell, cell):
    case = ("recurrent", encoder_cell, cell, "general", cell < encoder_cell)
    with torch.inference_mode():
        speaker = Speaker(model_of(case, small))
        whole = speaker.decode(Beam(4, 4), LIMITS)
        assert_scored_as_taught(speaker, whole)
        for number, own in enumerate(sequences(whole)):
            assert own == sequences(speaker.decode(Beam(4, 4), LIMITS, [number]))[0]
