"""The laws of encoders, for every registered one, with every cell and with letters; bridges."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from seqgen.cells import cells
from seqgen.data import Sources
from seqgen.encoders import (
    Bridge,
    Encoded,
    Encoder,
    Recurrent,
    TokenVectors,
    bridges,
    encoders,
    reverse,
    unless_full,
)
from seqgen.options import OptionError
from seqgen.state import outline
from seqgen.tokenizers import EOS, PAD, SPECIALS, Facts

VOCAB, LETTERS, VECTOR = 9, 8, 3
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def build(spec, **others):
    """One and the same encoder, in evaluation mode."""
    torch.manual_seed(1)
    sizes = {"vocab_size": VOCAB, "letters_size": LETTERS, "vector_size": VECTOR}
    return encoders.build(spec, **{**sizes, **others}).eval()


LAYERS = {"recurrent": {}, "bidirectional": {"layers": 2}}
GRU = {"name": "gru", "hidden_size": 3}
SPELLER = {"name": "bidirectional", "cell": GRU, "embedding": {"size": 2}}
CASES = [
    *(name for name in encoders.names() if name not in {*LAYERS, "vector"}),
    *((name, cell) for name in LAYERS for cell in [*cells.names(), "letters"]),
]


@pytest.fixture(params=CASES, ids=str)
def encoder(request, small):
    if isinstance(request.param, str):
        return build(small(encoders, request.param))
    name, cell = request.param
    if cell == "letters":
        return build({"name": name, "cell": GRU, **LAYERS[name], "letters": SPELLER})
    embedding = {"size": 4}
    return build({"name": name, "cell": small(cells, cell), **LAYERS[name], "embedding": embedding})


def test_all_are_encoders(small):
    assert all(isinstance(build(small(encoders, name)), Encoder) for name in encoders.names())


class TestLaws:
    def test_what_is_left_has_the_sizes_that_are_said(self, encoder, sources):
        here = sources()
        summary, memory, mask = encoder(here)
        assert summary.shape == (5, encoder.summary_size)
        time = here.values.shape[1] if encoder.memory_size else 1
        assert memory.shape == (5, time, encoder.memory_size)
        assert (mask.shape, mask.dtype) == ((5, time), torch.bool)
        assert mask.sum(1).tolist() == (here.lengths.tolist() if encoder.memory_size else [1] * 5)
        assert not memory[~mask].any()

    def test_a_row_has_what_it_has_alone(self, encoder, sources, rows_of):
        """Alone a row fills its batch, which is another route through a cell."""
        here = sources()
        together = encoder(here)
        for row, length in enumerate(here.lengths.tolist()):
            alone = encoder(rows_of(here, [row]))
            torch.testing.assert_close(together.summary[[row]], alone.summary, **CLOSE)
            time = alone.memory.shape[1]
            assert time == (length if encoder.memory_size else 1)
            torch.testing.assert_close(together.memory[[row], :time], alone.memory, **CLOSE)

    def test_padding_does_not_matter_and_all_but_padding_learns(
        self, encoder, sources, other_padding
    ):
        here, found = sources(), []
        for each in (here, other_padding(here)):
            encoder.zero_grad()
            summary, memory, _ = encoder(each)
            (summary.square().sum() + memory.square().sum()).backward()
            found.append([summary, memory, *(p.grad.clone() for p in encoder.parameters())])
        torch.testing.assert_close(*found, rtol=0, atol=0)
        assert all(gradient.any() for gradient in found[0][2:])
        # Nothing but padding has the last token.
        assert not next(encoder.parameters()).grad[-1].any()

    @pytest.mark.parametrize("lengths", [(), (0,), (0, 0)], ids=str)
    @pytest.mark.parametrize("time", [0, 2])
    def test_sources_without_tokens(self, encoder, sources, lengths, time):
        summary, memory, mask = encoder(sources(lengths, time))
        assert summary.shape == (len(lengths), encoder.summary_size)
        assert torch.isfinite(summary).all()
        places = time if encoder.memory_size else 1
        assert memory.shape == (len(lengths), places, encoder.memory_size)
        assert not memory.any()
        assert mask.any() == (not encoder.memory_size and bool(lengths))


@pytest.mark.parametrize(
    ("spec", "summary_is_the_same"),
    [
        *(({"name": name, "dropout": 0.5}, True) for name in LAYERS),
        *(({"name": name, "input_dropout": 0.5}, False) for name in LAYERS),
        ({"name": "bidirectional", "layers": 2, "dropout": 0.5}, False),
    ],
    ids=str,
)
def test_dropout_falls_where_it_should_and_in_training_only(spec, summary_is_the_same, sources):
    encoder, here = build({**spec, "cell": {**GRU, "hidden_size": 32}}), sources()
    assert torch.equal(encoder(here).memory, encoder(here).memory)
    encoder.train()
    one, other = encoder(here), encoder(here)
    assert not torch.equal(one.memory, other.memory)
    assert not one.memory[~one.mask].any()
    assert torch.equal(one.summary, other.summary) == summary_is_the_same


def test_a_summary_alone_has_one_empty_place_to_look_at():
    summary, memory, mask = Encoded.without_memory(torch.ones(2, 3))
    assert summary.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert memory.shape == (2, 1, 0)
    assert mask.tolist() == [[True], [True]]


class TestBridges:
    @pytest.mark.parametrize("name", bridges.names())
    def test_every_bridge_gives_a_state_its_numbers(self, name, small):
        bridge = bridges.build(small(bridges, name), summary_size=5, state_size=5)
        assert isinstance(bridge, Bridge)
        for rows in (3, 0):
            assert bridge(torch.randn(rows, 5)).shape == (rows, 5)

    @pytest.mark.parametrize("cell", cells.names())
    def test_any_cell_begins_with_what_comes_over_the_bridge(self, small, cell):
        made = cells.build(small(cells, cell), input_size=3).eval()
        bridge = bridges.build("linear", summary_size=5, state_size=made.summary_size)
        numbers = bridge(torch.randn(3, 5))
        state = made.state_from(numbers)
        assert outline(state) == outline(made.initial_state(3))
        torch.testing.assert_close(made.summary(state), numbers)
        outputs, _ = made(torch.randn(3, 2, 3), state)
        outputs.sum().backward()
        assert bridge.linear.weight.grad.any()

    def test_what_each_makes_of_a_summary(self):
        bridge, summary = bridges.build("linear", summary_size=5, state_size=2), torch.randn(3, 5)
        with torch.no_grad():
            bridge.linear.weight.fill_(1)
            bridge.linear.bias.fill_(0.5)
        wanted = (summary.sum(1, keepdim=True) + 0.5).tanh().expand(3, 2)
        torch.testing.assert_close(bridge(summary), wanted)
        assert bridges.build("copy", summary_size=5, state_size=5)(summary) is summary
        assert bridges.build("zeros", state_size=2)(summary).tolist() == [[0, 0]] * 3

    def test_copy_wants_equal_sizes(self):
        message = "they have 5 and 6 numbers; `linear` maps any to any"
        with pytest.raises(OptionError, match=message):
            bridges.build("copy", summary_size=5, state_size=6)


class TestLabelAndVector:
    VECTORS = torch.tensor([[1, 2, 3], [-4, 0, 0.5]])
    SOURCES = Sources(VECTORS, torch.ones(2, dtype=torch.long))

    @pytest.mark.parametrize(
        ("values", "length", "label"),
        [
            ([[7, EOS]], 2, 7),
            ([[7, EOS, PAD]], 2, 7),
            ([[7, 4]], 2, 7),
            ([[5, 6]], 0, PAD),
            ([[]], 0, PAD),
        ],
    )
    def test_the_summary_is_the_vector_of_the_label(self, values, length, label):
        encoder = build({"name": "label", "size": 4})
        assert (encoder.summary_size, encoder.memory_size) == (4, 0)
        here = Sources(torch.tensor(values, dtype=torch.long), torch.tensor([length]))
        assert torch.equal(encoder(here).summary, encoder.embedding.table()[[label]])

    def test_the_summary_is_the_vector_itself(self):
        encoder = build("vector")
        summary, memory, mask = encoder(self.SOURCES)
        assert torch.equal(summary, self.VECTORS)
        assert (encoder.summary_size, encoder.memory_size) == (3, 0)
        assert (memory.shape, mask.tolist()) == ((2, 1, 0), [[True], [True]])
        none = Sources(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
        assert encoder(none).summary.shape == (0, 3)

    def test_with_a_size_it_is_mapped_into_minus_one_to_one_and_learns(self):
        encoder = build({"name": "vector", "size": 2})
        with torch.no_grad():
            encoder.project[0].weight.copy_(torch.tensor([[1, 0, 0], [0, 0.5, 2.0]]))
            encoder.project[0].bias.copy_(torch.tensor([0, 1.0]))
        summary = encoder(self.SOURCES).summary
        torch.testing.assert_close(summary, torch.tensor([[1, 8], [-4, 2.0]]).tanh())
        assert encoder.summary_size == 2
        summary.sum().backward()
        assert all(each.grad.any() for each in encoder.parameters())

    @pytest.mark.parametrize("shape", [(2, 4), (2, 3, 1), (2,)])
    def test_vectors_of_another_size_are_refused(self, shape):
        wrong = Sources(torch.zeros(shape), torch.ones(2, dtype=torch.long))
        with pytest.raises(ValueError, match=r"`sources.values` must be \[2, 3\], but is \["):
            build("vector")(wrong)


class TestReaders:
    @staticmethod
    def torchs_own(encoder):
        """The same weights as one LSTM of torch."""
        if isinstance(encoder, Recurrent):
            return encoder.cell.native
        lstm = nn.LSTM(3, 4, len(encoder.forwards), batch_first=True, bidirectional=True)
        own = zip(encoder.forwards, encoder.backwards, strict=True)
        pairs = zip(lstm.all_weights, [cell for pair in own for cell in pair], strict=True)
        with torch.no_grad():
            for weights, cell in pairs:
                for to, of in zip(weights, cell.native.all_weights[0], strict=True):
                    to.copy_(of)
        assert not torch.equal(lstm.weight_ih_l0, lstm.weight_ih_l0_reverse)
        return lstm

    @pytest.mark.parametrize("layers", [1, 2, 3])
    @pytest.mark.parametrize(("name", "ways"), [("recurrent", 1), ("bidirectional", 2)])
    def test_is_what_torch_has_row_by_row(self, sources, name, ways, layers):
        cell, here = {"name": "lstm", "hidden_size": 4}, sources()
        depth = {"layers": layers}  # which are the cell's own in one direction
        options = {"cell": {**cell, **depth}} if ways == 1 else {"cell": cell, **depth}
        encoder = build({"name": name, "embedding": {"size": 3}, **options})
        lstm = self.torchs_own(encoder)
        summary, memory, _ = encoder(here)
        assert (encoder.memory_size, encoder.summary_size) == (4 * ways, 8 * ways * layers)
        for row, length in enumerate(here.lengths.tolist()):
            if length:
                embedded = encoder.vectors.embedding(here.values[[row], :length])
                outputs, (hidden, memories) = lstm(embedded)
                torch.testing.assert_close(memory[[row], :length], outputs)
                # From the bottom up, forwards before backwards, as torch has them.
                wanted = torch.stack([hidden, memories], 1).flatten()
                torch.testing.assert_close(summary[row], wanted)
            else:
                assert not summary[row].any()

    def test_a_source_without_tokens_is_refused_by_name(self):
        with pytest.raises(OptionError, match="encoder 'recurrent' needs a `vocab_size`"):
            encoders.build({"name": "recurrent", "cell": "lstm"}, vector_size=3)


class TestTokenVectors:
    SPELLER = {
        "name": "recurrent",
        "cell": {"name": "gru", "hidden_size": 5},
        "embedding": {"size": 2},
    }

    @classmethod
    def made(cls, letters=SPELLER, letters_size=8, dropout=0.0):
        torch.manual_seed(1)
        return TokenVectors(9, letters_size, {"name": "learned", "size": 3}, letters, dropout)

    def test_without_letters_they_are_the_embedding(self, sources):
        vectors, here = self.made(letters=None), sources()
        assert vectors.output_size == 3
        assert torch.equal(vectors(here), vectors.embedding(here.values))

    def test_the_summary_of_the_letters_follows_the_embedding(self, sources):
        vectors, here = self.made(), sources()
        found, reader = vectors(here), vectors.letters
        assert vectors.output_size == found.shape[2] == 8
        assert torch.equal(found[..., :3], vectors.embedding(here.values))
        for row, length in enumerate(here.lengths.tolist()):
            for place in range(length):
                size = here.letter_lengths[row, place]
                embedded = reader.vectors.embedding(here.letters[[row], place, :size])
                wanted = reader.cell(embedded)[0][0, -1] if size else torch.zeros(5)
                torch.testing.assert_close(found[row, place, 3:], wanted)
            assert not found[row, length:, 3:].any()

    def test_dropout_falls_on_both(self, sources):
        vectors = self.made(dropout=0.5).train()
        zeros = (vectors(sources((6,) * 40)) == 0).float().mean((0, 1))
        # Two in five tokens have no or few letters; of the other numbers a half is gone.
        assert zeros[:3].sub(0.5).abs().max() < 0.15
        assert zeros[3:].min() > 0.4

    def test_letters_must_be_there(self, sources):
        message = "`letters` needs a source whose tokens are spelt, but this one has no letters"
        with pytest.raises(ValueError, match=message):
            self.made(letters_size=None)
        bare = replace(sources(), letters=None, letter_lengths=None)
        with pytest.raises(ValueError, match="`sources` must have the letters of each token"):
            self.made()(bare)
        with pytest.raises(OptionError, match="encoder 'vector' needs a `vector_size`"):
            self.made(letters="vector")

    def test_a_new_run_describes_to_each_embedding_its_own_vocabulary(self, tmp_path):
        words, marks = tmp_path / "words.txt", tmp_path / "marks.txt"
        words.write_text("cat 1 2 3\n", encoding="utf-8")
        marks.write_text("c 4 5\n", encoding="utf-8")
        letters = {**self.SPELLER, "embedding": {"name": "pretrained", "path": str(marks)}}
        vectors = TokenVectors(5, 5, {"name": "pretrained", "path": str(words)}, letters, 0.0)
        pieces = {"source": "cat", "letters": "c", "target": "dog"}
        counts = np.ones(5, dtype=np.int64)
        facts = {role: Facts((*SPECIALS, piece), counts) for role, piece in pieces.items()}
        with pytest.warns(UserWarning, match="vectors for 1 of 1 tokens"):
            vectors.initialise(facts)
        assert vectors.embedding.table()[4].tolist() == [1, 2, 3]
        assert vectors.letters.vectors.embedding.table()[4].tolist() == [4, 5]


class TestRowsOfDifferentLength:
    ROWS = torch.tensor([[1, 2, 3, 8, 9], [1, 2, 3, 4, 5], [6, 7, 8, 9, 9], [1, 9, 9, 9, 9.0]])
    ENDS = torch.tensor([3, 5, 0, 1])

    def test_lengths_matter_where_a_row_ends_early(self):
        lengths = torch.tensor([4, 4, 3])
        assert unless_full(lengths, 4) is lengths
        assert unless_full(lengths[:2], 4) is None
        assert unless_full(lengths[:2], 5) is not None
        assert unless_full(lengths[:0], 4) is None

    def test_each_row_is_reversed_within_its_own_length(self):
        found = reverse(self.ROWS.unsqueeze(2), self.ENDS).squeeze(2).tolist()
        assert found == [[3, 2, 1, 8, 9], [5, 4, 3, 2, 1], [6, 7, 8, 9, 9], [1, 9, 9, 9, 9]]
        whole = reverse(self.ROWS.unsqueeze(2), None)
        assert whole[0].flatten().tolist() == [9, 8, 3, 2, 1]
        for each in (self.ENDS[:0], torch.zeros(4, dtype=torch.long)):
            nothing = torch.zeros(len(each), 0 if len(each) else 5, 2)
            assert reverse(nothing, each).shape == nothing.shape

    def test_gradients_go_back_to_where_the_vectors_came_from(self):
        vectors = torch.zeros(4, 5, 1, requires_grad=True)
        (reverse(vectors, self.ENDS).squeeze(2) * self.ROWS).sum().backward()
        assert vectors.grad[0].flatten().tolist() == [3, 2, 1, 8, 9]
