"""What every decoder finds by models with each attention and with pairs of different cells."""

import math

import pytest
import torch

from seqgen.attentions import attentions
from seqgen.cells import cells
from seqgen.data import PairBatch, Sources
from seqgen.data.batches import padded, shift_right
from seqgen.decoders import (
    Beam,
    CoveragePenalty,
    Exact,
    Greedy,
    Limits,
    WithoutTokens,
    constrain,
    decoders,
)
from seqgen.models import models
from seqgen.tokenizers import BOS, EOS, PAD, UNK

VOCAB, SOURCE, VECTOR = 7, 9, 3
LENGTHS = (3, 0, 1, 9, 4)
"""Of the sources, in one batch."""
NEVER = (PAD, BOS, UNK)
LIMITS = Limits(7, (EOS,))

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
    """A model of a case with random weights that are sure of much, and its sources."""

    def __init__(self, case, small, lengths=LENGTHS):
        encoder, encoder_cell, cell, attention, feeding = case
        reader = {"name": encoder}
        if encoder_cell:
            reader |= {"cell": small(cells, encoder_cell), "embedding": {"size": 3}}
        spec = {
            "name": "seq2seq",
            "encoder": reader,
            "cell": small(cells, cell),
            "attention": attention,
            "embedding": {"size": 4},
            "input_feeding": feeding,
        }
        torch.manual_seed(2)
        source = {"vocab_size": SOURCE, "vector_size": VECTOR}
        self.model = models.build(spec, vocab_size=VOCAB, source=source).eval()
        self.stepper = None
        for each in self.model.parameters():
            each.data.mul_(2)
        draw = torch.Generator().manual_seed(4)
        if encoder == "vector":
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
        start = start._replace(sequence_ids=torch.tensor([7 * number + 1 for number in numbers]))
        stepper = WithoutTokens(self.stepper or self.model, NEVER)
        return decoder.decode(*constrain(decoder.constraints, stepper, start, limits), limits)

    def forced(self, number, sequences):
        """The batch of sequences for one source."""
        rows = [torch.tensor([*each], dtype=torch.long) for each in sequences]
        read = self.sources([number] * len(rows))
        return PairBatch(read, shift_right(rows), *padded(rows), torch.arange(len(rows)))

    def rescored(self, number, sequences):
        """The log-probabilities of sequences for one source, teacher-forced."""
        nats = self.model.score(self.forced(number, sequences)).nats
        return [(-own[: len(row)]).tolist() for own, row in zip(nats, sequences, strict=True)]

    def uncovered(self, number, sequences):
        """What of the source sequences have not looked at: the sum of log min(1, sum of weights)
        over its tokens."""
        weights = self.model.attention_weights(self.forced(number, sequences))
        sums = weights.sum(1)[:, : len(self.rows[number])]
        return [math.fsum(math.log(min(1, each)) for each in own) for own in sums.tolist()]

    def every(self, number, limits):
        """All that may be said of a source, with its score, the best first."""
        live, over = [()], []
        for left in reversed(range(limits.max_length)):
            longer = [(*each, token) for each in live for token in (EOS, 4, 5, 6)]
            over += [each for each in longer if each[-1] == EOS or not left]
            live = [each for each in longer if each[-1] != EOS]
        scores = [math.fsum(each) for each in self.rescored(number, over)]
        return sorted(zip(scores, over, strict=True), reverse=True)

    def require(self, decoder):
        """Scores are those of teacher forcing, and a source alone is the source in any batch."""
        whole = self.decode(decoder, LIMITS)
        for number, own in enumerate(whole):
            wanted = self.rescored(number, [each.tokens for each in own])
            for each, log_probs in zip(own, wanted, strict=True):
                assert not set(each.tokens) & set(NEVER)
                assert each.log_probs == pytest.approx(log_probs, abs=1e-5)
                assert each.score == pytest.approx(math.fsum(log_probs), abs=1e-5)
        for numbers in ([0], [1], [3], [4, 1, 2], [3, 3, 1]):
            found = self.decode(decoder, LIMITS, numbers)
            for own, number in zip(found, numbers, strict=True):
                assert [each.tokens for each in own] == [each.tokens for each in whole[number]]
                for each, other in zip(own, whole[number], strict=True):
                    assert each.log_probs == pytest.approx(other.log_probs, abs=1e-5)


cases = pytest.mark.parametrize(
    "case", CASES, ids=lambda each: "-".join(map(str, filter(None, each)))
)


def test_the_cases_have_each_attention_and_pairs_of_different_cells():
    assert {case[3] for case in CASES} == set(attentions.names())
    assert all(one != other for _, one, other, *_ in CASES)


@cases
@pytest.mark.parametrize("name", decoders.names())
@torch.inference_mode()
def test_every_decoder_finds_what_the_model_scores(case, name, small):
    Speaker(case, small).require(decoders.build(small(decoders, name), seed=3, vocab_size=VOCAB))


@cases
@torch.inference_mode()
def test_a_wide_beam_and_exact_find_what_all_sequences_have(case, small):
    speaker, tiny = Speaker(case, small, (3, 0, 6)), Limits(4, (EOS,))
    beam, exact = speaker.decode(Beam(150, 150), tiny), speaker.decode(Exact(20), tiny)
    for number in range(3):
        every = speaker.every(number, tiny)
        assert len(every) == 40 + 81
        assert 0 < math.fsum(math.exp(score) for score, _ in every) < 1
        scores, tokens = [score for score, _ in every], {each for _, each in every}
        assert [each.score for each in beam[number]] == pytest.approx(scores, abs=1e-5)
        assert {each.tokens for each in beam[number]} == tokens
        assert [each.score for each in exact[number]] == pytest.approx(scores[:20], abs=1e-5)
        assert exact[number][0].tokens == beam[number][0].tokens == every[0][1]
        assert all(each.complete for each in exact[number])


@pytest.mark.parametrize("place", range(len(cells.names())), ids=cells.names())
@torch.inference_mode()
def test_every_cell_is_searched_as_it_is_scored(small, place):
    encoder_cell, cell = cells.names()[place], (cells.names() * 2)[place + 7]
    Speaker(("recurrent", encoder_cell, cell, "general", cell < encoder_cell), small).require(
        Beam(4, 4)
    )


@pytest.mark.parametrize("case", [each for each in CASES if each[3] != "none"], ids=str)
@pytest.mark.parametrize("prepared", [False, True])
@torch.inference_mode()
def test_a_coverage_penalty_is_paid_at_the_end_for_what_was_not_looked_at(case, prepared, small):
    """By each attention, with tables for the cell's input and without."""
    speaker, tiny, beta = Speaker(case, small, (3, 0, 6, 1)), Limits(4, (EOS,)), 0.7
    speaker.stepper = speaker.model.stepper(1000) if prepared else None
    wide, exact, narrow, greedy = Beam(150, 150), Exact(20), Beam(1), Greedy()
    for each in (wide, exact, narrow, greedy):
        each.constraints = (CoveragePenalty(beta, looks_back=True),)
    whole = speaker.decode(wide, tiny)
    for number in range(4):
        plain, tokens = zip(*speaker.every(number, tiny), strict=True)
        lost = speaker.uncovered(number, tokens)
        assert bool(len(speaker.rows[number]) > 1) == (min(lost) < -0.1)
        wanted = {
            each: one + beta * other for each, one, other in zip(tokens, plain, lost, strict=True)
        }
        best = sorted(wanted.values(), reverse=True)
        assert len(whole[number]) == len(wanted)
        assert [each.score for each in whole[number]] == pytest.approx(best, abs=1e-4)
        for each in whole[number]:
            assert each.score == pytest.approx(wanted[each.tokens], abs=1e-4)
            assert sum(each.log_probs) == pytest.approx(each.score, abs=1e-4)
        found, [alone] = (
            speaker.decode(exact, tiny, [number])[0],
            speaker.decode(wide, tiny, [number]),
        )
        assert [each.score for each in found] == pytest.approx(best[:20], abs=1e-4)
        assert [each.tokens for each in alone] == [each.tokens for each in whole[number]]
        [[one]], [[other]] = (speaker.decode(each, tiny, [number]) for each in (narrow, greedy))
        assert one.tokens == other.tokens
        assert one.score == pytest.approx(wanted[one.tokens], abs=1e-4)
