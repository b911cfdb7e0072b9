"""What a law is: kept, broken or not tried, and whatever a part raises is a finding."""

import warnings

import pytest
import torch

from seqgen.testing.laws import (
    BreachError,
    Finding,
    Law,
    NotTriedError,
    Report,
    describe,
    try_laws,
    unwatched,
)


def breach(case):
    raise BreachError(f"{case} is wrong; fix it")


def no_matter(case):
    raise NotTriedError("it has no weights")


def fault(case):
    raise KeyError("two\nlines")


def fine(case):
    warnings.warn("it is noisy", stacklevel=1)
    torch.rand(3)


def interrupt(case):
    raise KeyboardInterrupt


def outcomes(*laws, watch=unwatched):
    report = try_laws("mine", laws, "this", watch)
    return {each.law: (each.outcome, each.says) for each in report.findings}


def test_each_outcome_has_its_sentence():
    tests = {"a": fine, "b": breach, "c": no_matter, "d": fault}
    found = outcomes(*(Law(name, test, "do so") for name, test in tests.items()))
    outcome, says = found.pop("d")
    assert found == {
        "a": ("kept", ""),
        "b": ("broken", "this is wrong; fix it"),
        "c": ("not tried", "it has no weights"),
    }
    assert outcome == "broken"
    assert says.startswith("KeyError: ")
    assert says.endswith("): do so")
    assert "test_laws.py:" in says, "the place of the part, not of the check"


def test_a_law_that_needs_a_broken_one_is_blocked():
    needs = {"a": (breach, ()), "b": (fault, ("a",)), "c": (fine, ()), "d": (fine, ("c", "b"))}
    found = outcomes(*(Law(name, test, "", needed) for name, (test, needed) in needs.items()))
    assert found["b"] == ("not tried", "blocked by: a")
    assert found["c"] == ("kept", "")
    assert found["d"] == ("not tried", "blocked by: a"), "the root, not what waits for it"


def test_an_observer_sees_each_law_before_it_is_tried():
    seen = []
    outcomes(Law("a", fine, ""), Law("b", breach, ""), watch=lambda *event: seen.append(event))
    events = [(name, found and found.outcome) for name, found in seen]
    assert events == [("a", None), ("a", "kept"), ("b", None), ("b", "broken")]


def test_the_random_numbers_of_others_are_left_alone():
    before = torch.get_rng_state()
    outcomes(Law("a", fine, ""))
    assert torch.equal(torch.get_rng_state(), before)


def test_control_c_is_no_finding():
    with pytest.raises(KeyboardInterrupt):
        outcomes(Law("a", interrupt, ""))


def test_a_report_requires():
    Report("mine", (Finding("a", "kept"), Finding("b", "not tried", "x"))).require()
    broken = Report("mine", (Finding("a", "broken", "fix it"), Finding("b", "kept")))
    with pytest.raises(AssertionError, match="mine breaks 1 law\na: fix it"):
        broken.require()


def test_an_error_without_words_has_its_name():
    assert describe(ValueError()) == "ValueError"
