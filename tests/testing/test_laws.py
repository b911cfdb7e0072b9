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
    told,
    try_laws,
    unwatched,
)


def breach(case):
    raise BreachError(f"{case} is wrong; mend it")


def no_matter(case):
    raise NotTriedError("it has no weights")


def fault(case):
    raise KeyError("two\nlines")


def fine(case):
    warnings.warn("it is noisy", stacklevel=1)
    torch.rand(3)


def outcomes(*laws, watch=unwatched):
    report = try_laws("mine", laws, "this", watch)
    return {each.law: (each.outcome, each.says) for each in report.findings}


def test_each_outcome_has_its_sentence():
    found = outcomes(
        Law("a", fine, ""), Law("b", breach, ""), Law("c", no_matter, ""), Law("d", fault, "do so")
    )
    assert found["a"] == ("kept", "")
    assert found["b"] == ("broken", "this is wrong; mend it")
    assert found["c"] == ("not tried", "it has no weights")
    outcome, says = found["d"]
    assert outcome == "broken"
    assert says.startswith("KeyError: ")
    assert says.endswith("): do so")
    assert "test_laws.py:" in says, "the place of the part, not of the check"


def test_what_needs_a_broken_law_is_not_tried():
    found = outcomes(
        Law("a", breach, ""), Law("b", fault, "", ("a",)), Law("c", fine, "", ()),
        Law("d", fine, "", ("c", "b")),
    )  # fmt: skip
    assert found["b"] == ("not tried", "first mend: a")
    assert found["c"] == ("kept", "")
    assert found["d"] == ("not tried", "first mend: a"), "the root, not what waits for it"


def test_who_watches_sees_each_law_before_it_is_tried():
    seen = []
    outcomes(Law("a", fine, ""), Law("b", breach, ""), watch=lambda *event: seen.append(event))
    assert [(name, found and found.outcome) for name, found in seen] == [
        ("a", None), ("a", "kept"), ("b", None), ("b", "broken"),
    ]  # fmt: skip


def test_nothing_is_drawn_from_the_generator_of_others():
    before = torch.get_rng_state()
    outcomes(Law("a", fine, ""))
    assert torch.equal(torch.get_rng_state(), before)


def test_control_c_is_no_finding():
    def interrupt(case):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outcomes(Law("a", interrupt, ""))


def test_a_report_requires():
    Report("mine", (Finding("a", "kept"), Finding("b", "not tried", "x"))).require()
    broken = Report("mine", (Finding("a", "broken", "mend it"), Finding("b", "kept")))
    with pytest.raises(AssertionError, match="mine breaks 1 law\na: mend it"):
        broken.require()


def test_an_error_without_words_has_its_name():
    assert told(ValueError()) == "ValueError"
