"""The metric `accuracy`."""

from seqgen.metrics import Accuracy, ExactMatch


def test_the_share_that_is_right(answers):
    rows = answers(("Greek", "Greek"), ("Greek", "Irish"), ("Irish", "Irish"), ("Czech", "Greek"))
    found = Accuracy().measure(rows)
    assert found.value == 0.5
    assert found.details["confusion"] == {
        "Greek": {"Czech": 1, "Greek": 1},
        "Irish": {"Greek": 1, "Irish": 1},
    }
    assert found.details["classes"]["Greek"] == {
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "count": 2,
    }
    assert found.details["classes"]["Czech"]["count"] == 0


def test_each_class_of_a_source_can_be_a_row(answers):
    rows = answers(("English", "English", "Scottish"), ("Greek", "Greek"), ("Irish", "Czech"))
    assert Accuracy().measure(rows).value == ExactMatch().measure(rows).value == 2 / 3
    assert Accuracy(each_reference=True).measure(rows).value == 2 / 4


def test_an_empty_output_is_a_class_as_others_are(answers):
    found = Accuracy().measure(answers(("", "a"), ("a", "a")))
    assert found.value == 0.5
    assert found.details["confusion"] == {"a": {"": 1, "a": 1}}
