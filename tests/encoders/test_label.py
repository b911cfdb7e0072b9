"""The encoder `label`: the first token, and nothing else."""

import torch

from seqgen.data.batches import Sources
from seqgen.tokenizers import EOS, PAD

LABEL = {"name": "label", "size": 4}


def test_the_summary_is_the_vector_of_the_label(build):
    encoder = build(LABEL)
    summary, memory, mask = encoder(Sources(torch.tensor([[7, EOS], [5, EOS]]), torch.ones(2) * 2))
    assert torch.equal(summary, encoder.embedding.table()[[7, 5]])
    assert (encoder.summary_size, encoder.memory_size) == (4, 0)
    assert memory.shape == (2, 1, 0)
    assert mask.all()


def test_what_stands_behind_the_label_is_not_read(build):
    encoder = build(LABEL)
    one = Sources(torch.tensor([[7, EOS, PAD]]), torch.tensor([2]))
    other = Sources(torch.tensor([[7, 4]]), torch.tensor([2]))
    assert torch.equal(encoder(one).summary, encoder(other).summary)


def test_no_label_is_padding_whatever_stands_there(build):
    encoder = build(LABEL)
    for values in (torch.tensor([[5, 6]]), torch.zeros(1, 0, dtype=torch.long)):
        summary = encoder(Sources(values, torch.tensor([0]))).summary
        assert torch.equal(summary, encoder.embedding.table()[[PAD]])
