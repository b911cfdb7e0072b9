"""Encoders that read token by token, in one direction or two: outputs and memory, row by row."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from seqgen.cells import LSTM
from seqgen.encoders import Recurrent, encoders
from seqgen.encoders.readers import TokenVectors, reverse, unless_full
from seqgen.options import OptionError
from seqgen.tokenizers import SPECIALS, Facts


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
def encoder(build, request):
    return reader("bidirectional", request.param, build)


def test_rows_that_fill_the_batch_are_what_torch_has(encoder, sources):
    here = sources((4, 4, 4))
    outputs, _ = torchs_own(encoder)(encoder.vectors.embedding(here.values))
    torch.testing.assert_close(encoder(here).memory, outputs)


def test_the_first_token_knows_the_last_and_the_last_the_first(encoder, sources):
    here = sources((5,))
    for changed, far in ((4, 0), (0, 4)):
        other = here.values.clone()
        other[0, changed] = (other[0, changed] + 1) % 8
        before = encoder(here).memory[0, far]
        after = encoder(type(here)(other, here.lengths)).memory[0, far]
        assert not torch.allclose(before, after)


def test_directions_have_weights_of_their_own(encoder):
    for one, other in zip(encoder.forwards, encoder.backwards, strict=True):
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


LETTERS = {
    "name": "recurrent",
    "cell": {"name": "gru", "hidden_size": 5},
    "embedding": {"size": 2},
}


def made(letters=LETTERS, letters_size=8, embedding="learned", dropout=0.0):
    torch.manual_seed(1)
    embedding = {"name": embedding, **({"size": 3} if embedding == "learned" else {})}
    return TokenVectors(9, letters_size, embedding, letters, dropout)


def test_without_letters_they_are_the_embedding(sources):
    vectors, here = made(letters=None), sources()
    assert vectors.output_size == 3
    assert torch.equal(vectors(here), vectors.embedding(here.values))


def test_the_summary_of_the_letters_stands_behind_the_embedding(sources):
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
    letters = {**LETTERS, "embedding": {"name": "pretrained", "path": str(marks)}}
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
LENGTHS = torch.tensor([3, 5, 0, 1])


def test_each_row_is_reversed_within_its_own_length():
    found = reverse(ROWS.unsqueeze(2), LENGTHS).squeeze(2)
    assert found.tolist() == [[3, 2, 1, 8, 9], [5, 4, 3, 2, 1], [6, 7, 8, 9, 9], [1, 9, 9, 9, 9]]
    assert reverse(ROWS.unsqueeze(2), None)[0].flatten().tolist() == [9, 8, 3, 2, 1]


def test_twice_is_as_before():
    vectors = torch.randn(4, 5, 3)
    for lengths in (LENGTHS, None):
        assert torch.equal(reverse(reverse(vectors, lengths), lengths), vectors)


def test_gradients_go_back_to_where_the_vectors_came_from():
    vectors = torch.zeros(4, 5, 1, requires_grad=True)
    (reverse(vectors, LENGTHS).squeeze(2) * ROWS).sum().backward()
    assert vectors.grad[0].flatten().tolist() == [3, 2, 1, 8, 9]


def test_there_may_be_no_rows_and_no_time():
    assert reverse(torch.zeros(0, 5, 2), LENGTHS[:0]).shape == (0, 5, 2)
    assert reverse(torch.zeros(4, 0, 2), torch.zeros(4, dtype=torch.long)).shape == (4, 0, 2)
