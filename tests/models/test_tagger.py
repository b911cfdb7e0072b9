"""The model `tagger`: an output for each input, which knows one way or both."""

import pytest
import torch

from seqgen.data.batches import Sources
from seqgen.models import models
from seqgen.options import OptionError

LABELS = 6


def build(source, name):
    torch.manual_seed(1)
    cell = {"name": "lstm", "hidden_size": 5}
    encoder = {"name": name, "cell": cell, "embedding": {"size": 3}}
    return models.build({"name": "tagger", "encoder": encoder}, vocab_size=LABELS, source=source)


def changes(model, sources):
    """Whether the label at each place (rows) changes with the word at each place (columns)."""
    before = model.start(sources).context[0, :-1]
    found = []
    for place in range(sources.values.shape[1]):
        words = sources.values.clone()
        words[0, place] = (words[0, place] + 1) % 8
        after = model.start(Sources(words, sources.lengths)).context[0, :-1]
        found.append((before - after).abs().amax(1) > 1e-6)
    return torch.stack(found, 1).tolist()


def test_one_way_knows_the_words_up_to_its_own(source, sources):
    found = changes(build(source, "recurrent"), sources((4,)))
    assert found == [[column <= row for column in range(4)] for row in range(4)]


def test_two_ways_know_all_words(source, sources):
    assert changes(build(source, "bidirectional"), sources((4,))) == [[True] * 4] * 4


def test_the_head_reads_the_output_of_each_word(source, sources):
    model, here = build(source, "bidirectional"), sources()
    memory = model.encoder(here).memory
    wanted = model.head.project(memory).log_softmax(2)
    torch.testing.assert_close(model.start(here).context[:, :-1], wanted)


@pytest.mark.parametrize("encoder", ["label", "vector"])
def test_an_encoder_without_outputs_is_refused(source, encoder):
    spec = {"name": "tagger", "encoder": encoder}
    with pytest.raises(OptionError, match="`encoder` must have an output for each token"):
        models.build(spec, vocab_size=LABELS, source={**source, "vector_size": 3})
