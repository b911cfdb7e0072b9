"""All measures, in the order of columns."""

from seqgen.comparison.catalogue import all_measures
from seqgen.metrics import WordErrorRate


def test_each_measure_comes_once_metrics_first_and_explains_itself():
    found = all_measures({"word_error_rate": WordErrorRate()})
    names = [each.id for each in found]
    assert names[:4] == [
        "word_error_rate",
        "unlikeness",
        "log_prob_per_token",
        "log_prob_per_sequence",
    ]
    assert len(set(names)) == len(names)
    assert all(each.title and each.about.endswith(".") for each in found)
    groups = list(dict.fromkeys(each.group for each in found))
    assert groups == ["quality", "score", "diversity", "length", "work"]
