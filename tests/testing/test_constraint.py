"""The laws of constraints: every registered one keeps them, and broken ones are found out."""

import pytest
import torch

from seqgen.decoders import Constraint, PastConstraint, constraints, intercept
from seqgen.testing import check_constraint
from seqgen.testing.constraint import CONSTRAINT_LAWS, EVERY, ConstraintCase

INF = float("inf")


@pytest.mark.parametrize("name", constraints.names())
def test_every_registered_constraint_keeps_them(name, small):
    if name == "pattern":
        pytest.importorskip("outlines_core", reason="outlines-core is not installed")
    report = check_constraint(small(constraints, name))
    report.require()
    assert [each.outcome for each in report.findings] == ["kept"] * len(CONSTRAINT_LAWS)


def test_the_walk_of_each_source_is_as_long_as_it_may_be():
    steps = [*ConstraintCase(lambda **_: Changes()).walk(EVERY)]
    assert [len(step.sources) for step in steps][:2] == [8, 7]
    assert len(steps) > 5, "repetitions need some steps"
    assert {token for step in steps for token in step.before[0].tolist()} & set(b"014 ab")


class Changes(PastConstraint):
    """No token twice in a row, and then changed."""

    def __init__(self, change=lambda scores, past: scores, least=0):
        self.last_change, self.least = change, least

    def change(self, log_probs, past, ends):
        last = past.last(1)
        log_probs = log_probs.masked_fill(torch.arange(log_probs.shape[1]) == last, -INF)
        return self.last_change(log_probs, past)

    def least_tokens(self, batch):
        return self.least


class Wraps(Constraint):
    """Returns what it is told to, of a stepper and a start."""

    def __init__(self, made):
        self.made = made

    def wrap(self, stepper, start, limits, batch):
        return self.made(stepper, start)


class Remembers(Changes):
    """Forbids a token that any search has read, not only the path's own."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def change(self, log_probs, past, ends):
        self.seen |= set(past.last(1).flatten().tolist()) - {-1, 2}
        log_probs = log_probs.clone()
        log_probs[:, sorted(self.seen)] = -INF
        return log_probs


def writes(stepper, start):
    def change(log_probs, tokens):
        log_probs[:, 0] -= 1
        return (log_probs,)

    return intercept(stepper, start, change)


def in_place(stepper, start):
    """The number of the row in the batch counts."""

    def change(log_probs, tokens, rows):
        return log_probs - 0.1 * rows.unsqueeze(1), rows

    return intercept(stepper, start, change, torch.arange(len(start.tokens)))


def counts_rows(stepper, start):
    return intercept(
        stepper, start, lambda scores, tokens: (scores - 0.1 * torch.arange(len(scores))[:, None],)
    )


def one_row(stepper, start):
    return intercept(stepper, start, lambda *given: given, torch.zeros(1))


class Counter:
    """A stepper that counts its steps in itself."""

    def __init__(self, stepper):
        self.stepper, self.steps = stepper, 0

    def step(self, tokens, state, context):
        self.steps += 1
        log_probs, state = self.stepper.step(tokens, state, context)
        return log_probs - 0.1 * self.steps, state


class Nothing:
    pass


FORM, NUMBERS = "a stepper and a start come back", "scores are numbers or minus infinity"
STATE = "what it remembers is in the state"
LEAST = "it says how many tokens it needs"
BREACHES = {
    "a stepper alone": (
        Wraps(lambda stepper, start: stepper), FORM, "must return a stepper and a start, but ret",
    ),
    "one row for all": (Wraps(one_row), FORM, "must have one batch size, but has [1, 8]"),
    "fewer tokens": (Changes(lambda scores, past: scores[:, :9]), FORM, "must be [8, 260]"),
    "a mask": (Changes(lambda scores, past: scores > -3), FORM, "scores must be numbers, not"),
    "NaN": (Changes(lambda scores, past: 0 * scores), NUMBERS, "beware of 0 times -inf"),
    "infinite": (
        Changes(lambda scores, past: scores.masked_fill(scores > -2, INF)), NUMBERS, "infinite",
    ),
    "writes into it": (
        Wraps(writes), "what it is given is left as it is", "return a new tensor",
    ),
    "revives": (
        Changes(lambda scores, past: scores.clamp(min=-50)), "what is forbidden stays forbidden",
        "-inf must stay -inf",
    ),
    "draws": (
        Changes(lambda scores, past: scores - torch.rand(len(scores), 1)), "the same twice",
        "draw nothing",
    ),
    "remembers": (Remembers(), "the same twice", "keep nothing between searches"),
    "counts in itself": (
        Wraps(lambda stepper, start: (Counter(stepper), start)), STATE,
        "what it remembers must be in the state, a row for each path",
    ),
    "by the row": (Wraps(counts_rows), STATE, "from a state that it gave before"),
    "by the place of the source": (
        Wraps(in_place), "a row alone is the row in a batch", "depend on the batch around it",
    ),
    "by the rows above": (
        Changes(lambda scores, past: scores - scores.amax(1, keepdim=True).cummax(0).values),
        "it travels with its row", "must travel with its row",
    ),
    "over the batch": (
        Changes(lambda scores, past: scores - past.lengths.amax() + scores.amax()),
        "a row alone is the row in a batch", "depend on the batch",
    ),
    "needs less than it says": (Changes(least=4), LEAST, "says 4, but "),
    "a list": (Changes(least=[1] * 8), LEAST, "must be a tensor of [8], but is a list"),
    "no constraint": (Nothing(), "is a constraint", "Nothing is no Constraint"),
}  # fmt: skip


@pytest.mark.parametrize(("constraint", "law", "says"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_reported_for_what_it_is(constraint, law, says):
    report = check_constraint(lambda: constraint)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(CONSTRAINT_LAWS)


def test_a_class_that_defines_nothing_is_told_so():
    report = check_constraint(type("Empty", (Constraint,), {}))
    assert "Empty does not define `wrap`" in report.broken[0].says
