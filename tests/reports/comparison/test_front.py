from seqgen.reports.comparison.front import front


def test_who_is_worse_at_both_is_behind():
    assert front([(1, 3), (2, 2), (3, 1), (1, 1), (2, 1)]) == [0, 1, 2]


def test_as_good_at_one_and_worse_at_the_other_is_behind():
    assert front([(1, 3), (1, 2)]) == [0]


def test_equals_are_both_on_the_front():
    assert front([(1, 1), (1, 1)]) == [0, 1]


def test_the_front_of_nothing():
    assert front([]) == []
