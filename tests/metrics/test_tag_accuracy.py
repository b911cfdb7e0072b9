"""The metric `tag_accuracy`."""

from seqgen.metrics import TagAccuracy


def test_the_share_of_tags_over_all_answers(answers):
    """Not the mean over sentences, which would be (2/4 + 1/1) / 2."""
    found = TagAccuracy().measure(answers(("DET NOUN NOUN X", "DET NOUN VERB ADV"), ("X", "X")))
    assert found == (3 / 5, {"correct": 3, "tags": 5})


def test_another_length_counts_as_errors(answers):
    assert TagAccuracy().measure(answers(("N V", "N V N V"))).value == 2 / 4
    assert TagAccuracy().measure(answers(("N V N V", "N V"))).value == 2 / 4
    assert TagAccuracy().measure(answers(("V N", "N V N"))).value == 0.0


def test_without_tags_nothing_is_wrong(answers):
    assert TagAccuracy().measure(answers(("", ""), (" ", ""))).value == 1.0
