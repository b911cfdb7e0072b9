"""Pairs as tokens: lengths, unknown tokens, batches."""

import pytest
import torch

from seqgen.data.encoded_pairs import encode_pairs
from seqgen.data.padding import ended
from seqgen.data.pair_rows import PairRow
from seqgen.data.row_files import Part
from seqgen.data.sources import SourceEncoder
from seqgen.errors import DataError
from seqgen.tokenizers import BOS, EOS, PAD, UNK, CharTokenizer
from seqgen.tokenizers.whole import WholeTokenizer

ROWS = [("ab", "PL", "xy"), ("", "", ""), ("b", "SG;PL", "yyyq"), ("aq", "DU", "x")]


@pytest.fixture
def tokenizers():
    """a and b are 4 and 5; x and y are 4 and 5; PL and SG are 4 and 5, behind the source's 6."""
    made = {
        "source": CharTokenizer("ab"),
        "features": WholeTokenizer(),
        "target": CharTokenizer("xy"),
    }
    made["features"].fit(["PL", "PL", "SG"])
    return made


@pytest.fixture
def pairs(tokenizers):
    rows = [PairRow(i + 10, "", *texts) for i, texts in enumerate(ROWS)]
    return encode_pairs(Part("t.tsv", rows), SourceEncoder(tokenizers, ";"), target_of(tokenizers))


def target_of(tokenizers):
    return lambda text, seed: ended(torch.from_numpy(tokenizers["target"].encode(text)))


def test_a_batch_has_sources_inputs_targets_and_the_numbers_of_its_rows(pairs):
    batch = pairs.batched(True).collate([2, 0, 1])
    assert batch.sources.values.tolist() == [
        [11, 10, 5, EOS],
        [10, 4, 5, EOS],
        [EOS, PAD, PAD, PAD],
    ]
    assert batch.sources.lengths.tolist() == [4, 4, 1]
    assert batch.inputs.tolist() == [
        [BOS, 5, 5, 5, UNK],
        [BOS, 4, 5, PAD, PAD],
        [BOS, PAD, PAD, PAD, PAD],
    ]
    assert batch.targets.tolist() == [
        [5, 5, 5, UNK, EOS],
        [4, 5, EOS, PAD, PAD],
        [EOS, PAD, PAD, PAD, PAD],
    ]
    assert batch.lengths.tolist() == [5, 3, 1]
    assert batch.numbers.tolist() == [2, 0, 1]


def test_rows_are_sorted_by_both_lengths_and_counted_by_role(pairs):
    rows = pairs.batched(True)
    assert rows.lengths == [(4, 3), (1, 1), (4, 5), (4, 2)]
    counts = {role: own.tolist() for role, own in rows.counts().items()}
    assert counts == {
        "source": [0, 0, 4, 1, 2, 2],
        "features": [0, 0, 0, 1, 2, 1],
        "target": [0, 0, 4, 1, 2, 4],
    }
    assert set(pairs.batched(False).counts()) == {"source", "target"}
    assert (rows.size.chars, rows.size.bytes) == (7, 7)


def test_rows_that_are_too_long_are_left_out_with_a_remark(pairs):
    kept, remark = pairs.within(2, 3, "t.tsv")
    assert [row.line for row in kept.rows] == [11]
    assert [len(own) for own in kept] == [1, 1, 1]
    limits = "max_source_length 2 or max_target_length 3"
    assert remark == f"t.tsv: 3 rows (lines 10, 12, 13) longer than {limits} left out of training"


@pytest.mark.parametrize("limits", [(None, None), (3, 4), (3, None), (None, 4)])
def test_limits_do_not_count_the_end(pairs, limits):
    assert pairs.within(*limits, "t.tsv") == (pairs, "")


def test_one_limit_is_named_alone(pairs):
    kept, remark = pairs.within(None, 3, "t.tsv")
    assert [row.line for row in kept.rows] == [10, 11, 13]
    assert remark == "t.tsv: 1 row (line 12) longer than max_target_length 3 left out of training"


def test_some_row_must_be_within_the_limits(pairs):
    kept, _ = pairs.within(None, 3, "t.tsv")
    long, _ = kept.within(9, 9, "t.tsv")
    with pytest.raises(DataError, match="all 2 training rows are longer than max_source_length 1"):
        type(long)(long.rows[::2], long.sources[::2], long.targets[::2]).within(1, None, "t.tsv")


def test_rows_with_unknown_tokens_are_found_by_role(pairs):
    unknown = {role: [row.line for row in rows] for role, rows in pairs.unknown().items()}
    assert unknown == {"source": [13], "features": [13], "target": [12]}


@pytest.mark.parametrize(
    ("source", "target", "role"), [("aq", "x", "source"), ("a", "q", "target")]
)
def test_what_a_tokenizer_refuses_is_an_error_with_the_line(tokenizers, source, target, role):
    tokenizers |= {"source": CharTokenizer("ab", "error"), "target": CharTokenizer("xy", "error")}
    part = Part("t.tsv", [PairRow(1, "", "a", "", "x"), PairRow(7, "", source, "", target)])
    with pytest.raises(DataError, match=rf"^t\.tsv:7: the {role}: `text` must be of known char"):
        encode_pairs(part, SourceEncoder(tokenizers, ";"), target_of(tokenizers))


def test_seeds_reach_source_and_target(tokenizers):
    seen = []

    def target(text, seed):
        seen.append(seed)
        return torch.tensor([EOS])

    part = Part("t", [PairRow(1, "", "a", "", "x")] * 2)
    encode_pairs(part, SourceEncoder(tokenizers, ";"), target, seeds=[7, 8])
    assert seen == [7, 8]
