"""Tagged sequences as batches: every word beside its tag and its letters."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data.tagged_file import TaggedSequence
from seqgen.data.tagged_rows import TaggedRows
from seqgen.tokenizers import BOS, UNK, CharTokenizer, WholeTokenizer


def whole(texts):
    made = WholeTokenizer()
    made.fit(sorted(texts))
    return made


TOKENIZERS = {
    "source": whole({"a", "b", "ab"}),  # 4: a, 5: ab, 6: b
    "target": whole({"X", "Y"}),  # 4, 5
    "letters": CharTokenizer(alphabet="ab"),  # 4, 5
}


def rows(*texts, letters=False, most=None):
    pairs = [[word.split("/") for word in text.split()] for text in texts]
    sequences = [TaggedSequence(i, *zip(*each, strict=True)) for i, each in enumerate(pairs)]
    return TaggedRows.of(sequences, TOKENIZERS, letters, most)


def test_a_batch_as_it_is_written():
    made = rows("a/X ab/Y", "b/Y", "ba/X a/Z b/Y")
    batch = made.batch([2, 1])
    assert batch.sources.values.tolist() == [[UNK, 4, 6], [6, 0, 0]]
    assert batch.sources.lengths.tolist() == batch.lengths.tolist() == [3, 1]
    assert batch.sources.letters is None
    assert batch.targets.tolist() == [[4, UNK, 5], [5, 0, 0]]
    assert batch.inputs.tolist() == [[BOS, 4, UNK], [BOS, 0, 0]]
    assert batch.numbers.tolist() == [2, 1]
    assert (batch.tokens, batch.continues) == (4, False)
    assert made.lengths() == [(2,), (1,), (3,)]


def test_words_are_spelt():
    sources = rows("a/X ab/Y", "abab/X", letters=True, most=3).sources([0, 1])
    assert sources.letters.tolist() == [[[4, 0, 0], [4, 5, 0]], [[4, 5, 4], [0, 0, 0]]]
    assert sources.letter_lengths.tolist() == [[1, 2], [3, 0]]
    assert sources.to("meta").letters.device.type == "meta"


def test_words_tags_and_letters_are_counted():
    encoded = rows("a/X a/X ab/X", "b/Y", letters=True).encoded()
    counts = {role: each.tolist() for role, each in encoded.counts().items()}
    assert counts["source"] == [0, 0, 0, 0, 2, 1, 1]
    assert counts["target"] == [0, 0, 0, 0, 3, 1]
    assert counts["letters"] == [0, 0, 0, 0, 3, 2]
    assert encoded.size.chars == len("X X X") + len("Y")
    assert encoded.output_role == "target"


SEQUENCE = st.lists(st.sampled_from(["a/X", "ab/Y", "b/X", "abab/Y"]), min_size=1, max_size=6)


@given(st.lists(SEQUENCE, min_size=1, max_size=5))
def test_a_sequence_does_not_depend_on_its_neighbours(sequences):
    made = rows(*map(" ".join, sequences), letters=True)
    together = made.batch(range(len(sequences)))
    for row, words in enumerate(sequences):
        alone, time = made.batch([row]), len(words)
        assert int(together.lengths[row]) == int(together.sources.lengths[row]) == time
        for one, other in (
            (alone.targets, together.targets),
            (alone.inputs, together.inputs),
            (alone.sources.values, together.sources.values),
            (alone.sources.letter_lengths, together.sources.letter_lengths),
        ):
            assert torch.equal(one[0], other[row, :time])
            assert not other[row, time:].any()
        longest = alone.sources.letters.shape[2]
        assert torch.equal(alone.sources.letters[0], together.sources.letters[row, :time, :longest])


class TestForgetting:
    LONG = " ".join(["a/X ab/Y"] * 500)

    def test_a_share_of_the_words_is_unknown(self):
        made = rows(self.LONG, "b/Y", self.LONG, letters=True)
        forgetting = made.forgetting(0.25, (1, 2))
        unknown = torch.cat(forgetting.words) == UNK
        assert 0.22 < unknown.double().mean() < 0.28
        assert torch.equal(
            torch.cat(forgetting.words)[~unknown], torch.cat([*made.words])[~unknown]
        )
        assert [len(row) for row in forgetting.words] == [1000, 1, 1000]
        assert forgetting.tags is made.tags
        assert forgetting.letters is made.letters

    def test_which_ones_depends_on_the_seed_alone(self):
        made = rows(self.LONG)
        drawn = [made.forgetting(0.5, seed).words[0] for seed in ((1, 2), (1, 2), (1, 3), (2, 2))]
        assert torch.equal(drawn[0], drawn[1])
        assert not torch.equal(drawn[0], drawn[2])
        assert not torch.equal(drawn[0], drawn[3])

    @pytest.mark.parametrize("rate", [0.0, 0.999999])
    def test_the_ends_of_the_scale(self, rate):
        made = rows("a/X b/Y")
        words = made.forgetting(rate, (5, 5)).words[0].tolist()
        assert words == ([4, 6] if not rate else [UNK, UNK])
