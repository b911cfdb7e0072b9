"""The laws of encoders, for every registered one, with every cell and with letters; bridges."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from seqgen.cells import LSTM, cells
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
from seqgen.state import outline, real
from seqgen.tokenizers import EOS, PAD, SPECIALS, Facts

VOCAB, LETTERS, VECTOR = 9, 8, 3
LENGTHS = (3, 0, 1, 6, 4)
PADDING = 8
"""A token, and one of the letters, that stand in padding only."""


def drawn(high, *shape):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(2))


def letters_of(tokens):
    """Each token is spelt by 0 to 4 letters, always the same ones."""
    table, sizes = drawn(LETTERS - 1, VOCAB, 4), torch.arange(VOCAB) % 5
    return table[tokens], sizes[tokens]


@pytest.fixture
def sources():
    """A function from lengths to tokens and letters; padding has a token and letters of its own."""

    def make(lengths=LENGTHS, time=None):
        lengths = torch.tensor(lengths, dtype=torch.long)
        time = max([*lengths.tolist(), 0]) if time is None else time
        tokens = drawn(VOCAB - 1, len(lengths), 12)[:, :time]
        letters, sizes = letters_of(tokens)
        padding = ~real(lengths, time)
        tokens = tokens.masked_fill(padding, PADDING)
        letters = letters.masked_fill(padding.unsqueeze(2), LETTERS - 1)
        return Sources(tokens, lengths, letters, sizes.masked_fill(padding, 0))

    return make


@pytest.fixture
def other_padding():
    """A function that changes all in some sources that comes after the end of something."""

    def change(sources):
        padding = ~real(sources.lengths, sources.values.shape[1])
        width = sources.letters.shape[2]
        unspelt = torch.arange(width) >= sources.letter_lengths.unsqueeze(2)
        return replace(
            sources,
            values=sources.values.masked_fill(padding, 0),
            letters=sources.letters.masked_fill(unspelt, 1).masked_fill(padding.unsqueeze(2), 2),
            letter_lengths=sources.letter_lengths.masked_fill(padding, width),
        )

    return change


@pytest.fixture
def row_of():
    """A function from sources and a row's number to that row alone, without padding."""

    def take(sources, row):
        length = int(sources.lengths[row])
        return Sources(
            sources.values[[row], :length],
            sources.lengths[[row]],
            sources.letters[[row], :length],
            sources.letter_lengths[[row], :length],
        )

    return take


@pytest.fixture
def build():
    """A function from a spec to one and the same encoder, in evaluation mode."""

    def make(spec, **others):
        torch.manual_seed(1)
        sizes = {"vocab_size": VOCAB, "letters_size": LETTERS, "vector_size": VECTOR}
        return encoders.build(spec, **{**sizes, **others}).eval()

    return make


READERS = ("recurrent", "bidirectional")
LAYERS = {"recurrent": {}, "bidirectional": {"layers": 2}}
GRU = {"name": "gru", "hidden_size": 3}


def spelt(name):
    letters = {"name": "bidirectional", "cell": GRU, "embedding": {"size": 2}}
    return {"name": name, "cell": GRU, **LAYERS[name], "letters": letters}


CASES = [
    *(name for name in encoders.names() if name not in {*READERS, "vector"}),
    *((name, cell) for name in READERS for cell in cells.names()),
    *((name, None) for name in READERS),
]


@pytest.fixture(params=CASES, ids=str)
def spec(request, small):
    if isinstance(request.param, str):
        return small(encoders, request.param)
    name, cell = request.param
    if cell is None:
        return spelt(name)
    return {"name": name, "cell": small(cells, cell), **LAYERS[name], "embedding": {"size": 4}}


@pytest.fixture
def encoder(spec, build):
    return build(spec)


def test_none_is_forgotten(build, small):
    names = {case if isinstance(case, str) else case[0] for case in CASES}
    assert names | {"vector"} == set(encoders.names())
    assert all(isinstance(build(small(encoders, name)), Encoder) for name in encoders.names())


def test_what_is_left_has_the_sizes_that_are_said(encoder, sources):
    here = sources()
    summary, memory, mask = encoder(here)
    assert summary.shape == (5, encoder.summary_size)
    time = here.values.shape[1] if encoder.memory_size else 1
    assert memory.shape == (5, time, encoder.memory_size)
    assert mask.shape == (5, time)
    assert mask.dtype == torch.bool
    assert mask.sum(1).tolist() == (here.lengths if encoder.memory_size else mask.sum(1)).tolist()
    assert not memory[~mask].any()


def test_a_row_has_what_it_has_alone(encoder, sources, row_of):
    here = sources()
    together = encoder(here)
    for row, length in enumerate(here.lengths.tolist()):
        alone = encoder(row_of(here, row))
        torch.testing.assert_close(together.summary[[row]], alone.summary, rtol=1e-5, atol=1e-6)
        time = alone.memory.shape[1]
        assert time == (length if encoder.memory_size else 1)
        torch.testing.assert_close(
            together.memory[[row], :time], alone.memory, rtol=1e-5, atol=1e-6
        )


def test_padding_does_not_matter_and_learns_nothing(encoder, sources, other_padding):
    here, found = sources(), []
    for each in (here, other_padding(here)):
        encoder.zero_grad()
        summary, memory, _ = encoder(each)
        (summary.square().sum() + memory.square().sum()).backward()
        gradients = [p.grad for p in encoder.parameters()]
        found.append([summary, memory, *(each.clone() for each in gradients)])
    torch.testing.assert_close(*found, rtol=0, atol=0)
    # Nothing but padding has the last token.
    assert not next(encoder.parameters()).grad[-1].any()


def test_every_parameter_learns(encoder, sources):
    summary, memory, _ = encoder(sources())
    (summary.square().sum() + memory.square().sum()).backward()
    assert all(each.grad is not None and each.grad.any() for each in encoder.parameters())


def test_the_order_of_the_rows_is_that_of_the_sources(encoder, sources):
    here, order = sources(), torch.tensor([4, 1, 0, 3, 2])
    moved = Sources(
        here.values[order], here.lengths[order], here.letters[order], here.letter_lengths[order]
    )
    for one, other in zip(encoder(here), encoder(moved), strict=True):
        torch.testing.assert_close(one[order], other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lengths", [(), (0,), (0, 0)], ids=str)
@pytest.mark.parametrize("time", [0, 2])
def test_sources_without_tokens(encoder, sources, lengths, time):
    summary, memory, mask = encoder(sources(lengths, time))
    assert summary.shape == (len(lengths), encoder.summary_size)
    assert torch.isfinite(summary).all()
    places = time if encoder.memory_size else 1
    assert memory.shape == (len(lengths), places, encoder.memory_size)
    assert not memory.any()
    assert mask.any() == (not encoder.memory_size and bool(lengths))


def test_rows_that_fill_the_batch_take_another_route_to_the_same_end(encoder, sources):
    full = encoder(sources((4, 4, 4)))
    among = encoder(sources((4, 4, 4), 5))
    torch.testing.assert_close(full.summary, among.summary, rtol=1e-5, atol=1e-6)
    time = full.memory.shape[1]
    torch.testing.assert_close(full.memory, among.memory[:, :time], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("where", ["dropout", "input_dropout"])
def test_dropout_is_in_training_only(build, sources, name, where):
    encoder, here = build({"name": name, "cell": GRU, where: 0.5}), sources()
    encoder.train()
    one, other = encoder(here), encoder(here)
    assert not torch.equal(one.memory, other.memory)
    assert not one.memory[~one.mask].any()
    assert torch.equal(one.summary, other.summary) == (where == "dropout")
    encoder.eval()
    assert torch.equal(encoder(here).memory, encoder(here).memory)


def test_a_summary_alone_has_one_empty_place_to_look_at():
    summary, memory, mask = Encoded.without_memory(torch.ones(2, 3))
    assert summary.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert memory.shape == (2, 1, 0)
    assert mask.tolist() == [[True], [True]]


@pytest.fixture
def summary():
    return torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", bridges.names())
def test_every_bridge_gives_a_state_its_numbers(name):
    bridge = bridges.build(name, summary_size=5, state_size=5)
    assert isinstance(bridge, Bridge)
    for rows in (3, 0):
        assert bridge(torch.randn(rows, 5)).shape == (rows, 5)


@pytest.mark.parametrize("cell", cells.names())
def test_any_cell_begins_with_what_comes_over_the_bridge(small, cell, summary):
    made = cells.build(small(cells, cell), input_size=3).eval()
    size = made.summary(made.initial_state(1)).shape[1]
    bridge = bridges.build("linear", summary_size=5, state_size=size)
    numbers = bridge(summary)
    state = made.state_from(numbers)
    assert outline(state) == outline(made.initial_state(3))
    torch.testing.assert_close(made.summary(state), numbers)
    outputs, _ = made(torch.randn(3, 2, 3), state)
    outputs.sum().backward()
    assert bridge.linear.weight.grad.any()


def test_what_each_bridge_makes_of_a_summary(summary):
    bridge = bridges.build("linear", summary_size=5, state_size=2)
    with torch.no_grad():
        bridge.linear.weight.fill_(1)
        bridge.linear.bias.fill_(0.5)
    wanted = (summary.sum(1, keepdim=True) + 0.5).tanh().expand(3, 2)
    torch.testing.assert_close(bridge(summary), wanted)
    assert bridges.build("copy", summary_size=5, state_size=5)(summary) is summary
    assert bridges.build("zeros", state_size=2)(summary).tolist() == [[0, 0]] * 3


def test_copy_wants_equal_sizes():
    with pytest.raises(OptionError, match="they have 5 and 6 numbers; `linear` maps any to any"):
        bridges.build("copy", summary_size=5, state_size=6)


class TestLabel:
    """The first token, and nothing else."""

    @pytest.fixture
    def encoder(self, build):
        return build({"name": "label", "size": 4})

    def test_the_summary_is_the_vector_of_the_label(self, encoder):
        here = Sources(torch.tensor([[7, EOS], [5, EOS]]), torch.ones(2) * 2)
        summary, memory, mask = encoder(here)
        assert torch.equal(summary, encoder.embedding.table()[[7, 5]])
        assert (encoder.summary_size, encoder.memory_size) == (4, 0)
        assert memory.shape == (2, 1, 0)
        assert mask.all()

    def test_what_comes_after_the_label_is_not_read(self, encoder):
        pairs = (torch.tensor([[7, EOS, PAD]]), torch.tensor([[7, 4]]))
        one, other = (encoder(Sources(each, torch.tensor([2]))).summary for each in pairs)
        assert torch.equal(one, other)

    def test_no_label_is_padding_whatever_stands_there(self, encoder):
        for values in (torch.tensor([[5, 6]]), torch.zeros(1, 0, dtype=torch.long)):
            summary = encoder(Sources(values, torch.tensor([0]))).summary
            assert torch.equal(summary, encoder.embedding.table()[[PAD]])


class TestVector:
    """The vector itself, or a map of it."""

    VECTORS = torch.tensor([[1, 2, 3], [-4, 0, 0.5]])
    SOURCES = Sources(VECTORS, torch.ones(2, dtype=torch.long))

    def test_the_summary_is_the_vector(self, build):
        encoder = build("vector")
        summary, memory, mask = encoder(self.SOURCES)
        assert torch.equal(summary, self.VECTORS)
        assert (encoder.summary_size, encoder.memory_size) == (3, 0)
        assert (memory.shape, mask.tolist()) == ((2, 1, 0), [[True], [True]])
        none = Sources(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
        assert encoder(none).summary.shape == (0, 3)

    def test_with_a_size_it_is_mapped_into_minus_one_to_one_and_learns(self, build):
        encoder = build({"name": "vector", "size": 2})
        with torch.no_grad():
            encoder.project[0].weight.copy_(torch.tensor([[1, 0, 0], [0, 0.5, 2.0]]))
            encoder.project[0].bias.copy_(torch.tensor([0, 1.0]))
        wanted = torch.tensor([[1, 8], [-4, 2.0]]).tanh()
        summary = encoder(self.SOURCES).summary
        torch.testing.assert_close(summary, wanted)
        assert encoder.summary_size == 2
        summary.sum().backward()
        assert all(each.grad.any() for each in encoder.parameters())

    @pytest.mark.parametrize("shape", [(2, 4), (2, 3, 1), (2,)])
    def test_vectors_of_another_size_are_refused(self, build, shape):
        wrong = Sources(torch.zeros(shape), torch.ones(2, dtype=torch.long))
        with pytest.raises(ValueError, match=r"`sources.values` must be \[2, 3\], but is \["):
            build("vector")(wrong)


def reader(name, layers, build):
    """A small one of LSTMs, whose layers are the cell's own in one direction."""
    cell, here = {"name": "lstm", "hidden_size": 4}, {"layers": layers}
    options = {"cell": cell, **here} if name == "bidirectional" else {"cell": {**cell, **here}}
    return build({"name": name, "embedding": {"size": 3}, **options})


def torchs_own(encoder):
    """The same weights as one LSTM of torch."""
    if not hasattr(encoder, "forwards"):
        return encoder.cell.native
    lstm = nn.LSTM(3, 4, len(encoder.forwards), batch_first=True, bidirectional=True)
    own = zip(encoder.forwards, encoder.backwards, strict=True)
    pairs = zip(lstm.all_weights, [cell for pair in own for cell in pair], strict=True)
    with torch.no_grad():
        for weights, cell in pairs:
            for to, of in zip(weights, cell.native.all_weights[0], strict=True):
                to.copy_(of)
    return lstm


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(("name", "ways"), [("recurrent", 1), ("bidirectional", 2)])
def test_is_what_torch_has_row_by_row(build, sources, name, ways, layers):
    encoder, here = reader(name, layers, build), sources()
    lstm = torchs_own(encoder)
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


def test_takes_classes_and_partials_as_well_as_parts_of_recipes(sources):
    encoder = Recurrent(9, cell=partial(LSTM, hidden_size=4), letters=None)
    assert encoder(sources()).memory.shape == (5, 6, 4)


def test_a_source_without_tokens_is_refused_by_name():
    with pytest.raises(OptionError, match="encoder 'recurrent' needs a `vocab_size`"):
        encoders.build({"name": "recurrent", "cell": "lstm"}, vector_size=3)


@pytest.fixture(params=[1, 2, 3])
def bidirectional(build, request):
    return reader("bidirectional", request.param, build)


def test_rows_that_fill_the_batch_are_what_torch_has(bidirectional, sources):
    here = sources((4, 4, 4))
    outputs, _ = torchs_own(bidirectional)(bidirectional.vectors.embedding(here.values))
    torch.testing.assert_close(bidirectional(here).memory, outputs)


def test_the_first_token_knows_the_last_and_the_last_the_first(bidirectional, sources):
    here = sources((5,))
    for changed, far in ((4, 0), (0, 4)):
        other = here.values.clone()
        other[0, changed] = (other[0, changed] + 1) % 8
        before = bidirectional(here).memory[0, far]
        after = bidirectional(type(here)(other, here.lengths)).memory[0, far]
        assert not torch.allclose(before, after)


def test_directions_have_weights_of_their_own(bidirectional):
    for one, other in zip(bidirectional.forwards, bidirectional.backwards, strict=True):
        assert not torch.equal(one.native.weight_ih_l0, other.native.weight_ih_l0)


def test_dropout_is_between_layers_too(build, sources):
    cell = {"name": "gru", "hidden_size": 32}
    spec = {"name": "bidirectional", "cell": cell, "dropout": 0.5}
    for layers, same in ((1, True), (2, False)):
        encoder = build({**spec, "layers": layers}).train()
        one, other = encoder(sources()), encoder(sources())
        assert torch.equal(one.summary, other.summary) == same
        assert not torch.equal(one.memory, other.memory)


# What is read of each token: its embedding, and its letters.


SPELLER = {
    "name": "recurrent",
    "cell": {"name": "gru", "hidden_size": 5},
    "embedding": {"size": 2},
}


def made(letters=SPELLER, letters_size=8, embedding="learned", dropout=0.0):
    torch.manual_seed(1)
    embedding = {"name": embedding, **({"size": 3} if embedding == "learned" else {})}
    return TokenVectors(9, letters_size, embedding, letters, dropout)


def test_without_letters_they_are_the_embedding(sources):
    vectors, here = made(letters=None), sources()
    assert vectors.output_size == 3
    assert torch.equal(vectors(here), vectors.embedding(here.values))


def test_the_summary_of_the_letters_follows_the_embedding(sources):
    vectors, here = made(), sources()
    found = vectors(here)
    assert vectors.output_size == found.shape[2] == 8
    assert torch.equal(found[..., :3], vectors.embedding(here.values))
    reader = vectors.letters
    for row, length in enumerate(here.lengths.tolist()):
        for place in range(length):
            size = here.letter_lengths[row, place]
            embedded = reader.vectors.embedding(here.letters[[row], place, :size])
            wanted = reader.cell(embedded)[0][0, -1] if size else torch.zeros(5)
            torch.testing.assert_close(found[row, place, 3:], wanted)
        assert not found[row, length:, 3:].any()


def test_what_is_spelt_alike_is_read_alike(sources):
    here = sources((2,))
    letters, sizes = here.letters.clone(), here.letter_lengths.clone()
    letters[0, 1], sizes[0, 1] = letters[0, 0], sizes[0, 0]
    one, other = made()(replace(here, letters=letters, letter_lengths=sizes))[0, :, 3:]
    torch.testing.assert_close(one, other)


def test_dropout_falls_on_both(sources):
    vectors = made(dropout=0.5).train()
    zeros = (vectors(sources((6,) * 40)) == 0).float().mean((0, 1))
    # Two in five tokens have no or few letters; of the other numbers a half is gone.
    assert zeros[:3].sub(0.5).abs().max() < 0.15
    assert zeros[3:].min() > 0.4


def test_letters_that_no_source_has_are_refused():
    message = "`letters` needs a source whose tokens are spelt, but this one has no letters"
    with pytest.raises(ValueError, match=message):
        made(letters_size=None)


def test_a_batch_without_letters_is_refused(sources):
    bare = replace(sources(), letters=None, letter_lengths=None)
    with pytest.raises(ValueError, match="`sources` must have the letters of each token"):
        made()(bare)


def test_what_reads_letters_needs_tokens_too():
    with pytest.raises(OptionError, match="encoder 'vector' needs a `vector_size`"):
        made(letters="vector")


def test_a_new_run_tells_each_embedding_of_its_own_vocabulary(tmp_path):
    words, marks = tmp_path / "words.txt", tmp_path / "marks.txt"
    words.write_text("cat 1 2 3\n", encoding="utf-8")
    marks.write_text("c 4 5\n", encoding="utf-8")
    letters = {**SPELLER, "embedding": {"name": "pretrained", "path": str(marks)}}
    embedding = {"name": "pretrained", "path": str(words)}
    vectors = TokenVectors(5, 5, embedding, letters, 0.0)
    counts = np.ones(5, dtype=np.int64)
    facts = {
        "source": Facts((*SPECIALS, "cat"), counts),
        "letters": Facts((*SPECIALS, "c"), counts),
        "target": Facts((*SPECIALS, "dog"), counts),
    }
    with pytest.warns(UserWarning, match="vectors for 1 of 1 tokens"):
        vectors.initialise(facts)
    assert vectors.embedding.table()[4].tolist() == [1, 2, 3]
    assert vectors.letters.vectors.embedding.table()[4].tolist() == [4, 5]


# Rows of different length: when lengths matter, and rows backwards.


def test_lengths_matter_where_a_row_ends_early():
    lengths = torch.tensor([4, 4, 3])
    assert unless_full(lengths, 4) is lengths
    assert unless_full(lengths[:2], 4) is None
    assert unless_full(lengths[:2], 5) is not None
    assert unless_full(lengths[:0], 4) is None


ROWS = torch.tensor([[1, 2, 3, 8, 9], [1, 2, 3, 4, 5], [6, 7, 8, 9, 9], [1, 9, 9, 9, 9.0]])
ENDS = torch.tensor([3, 5, 0, 1])


def test_each_row_is_reversed_within_its_own_length():
    found = reverse(ROWS.unsqueeze(2), ENDS).squeeze(2)
    assert found.tolist() == [[3, 2, 1, 8, 9], [5, 4, 3, 2, 1], [6, 7, 8, 9, 9], [1, 9, 9, 9, 9]]
    assert reverse(ROWS.unsqueeze(2), None)[0].flatten().tolist() == [9, 8, 3, 2, 1]


def test_twice_is_as_before():
    vectors = torch.randn(4, 5, 3)
    for lengths in (ENDS, None):
        assert torch.equal(reverse(reverse(vectors, lengths), lengths), vectors)


def test_gradients_go_back_to_where_the_vectors_came_from():
    vectors = torch.zeros(4, 5, 1, requires_grad=True)
    (reverse(vectors, ENDS).squeeze(2) * ROWS).sum().backward()
    assert vectors.grad[0].flatten().tolist() == [3, 2, 1, 8, 9]


def test_there_may_be_no_rows_and_no_time():
    assert reverse(torch.zeros(0, 5, 2), ENDS[:0]).shape == (0, 5, 2)
    assert reverse(torch.zeros(4, 0, 2), torch.zeros(4, dtype=torch.long)).shape == (4, 0, 2)
