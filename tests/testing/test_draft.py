"""The laws of drafts: every registered one keeps them, and broken ones are found out."""

import pytest
import torch

from seqgen.decoders import Draft, Drafter, drafts
from seqgen.testing import check_draft
from seqgen.testing.draft import DRAFT_LAWS


@pytest.mark.parametrize("name", drafts.names())
def test_every_registered_draft_keeps_them(name, small):
    report = check_draft(small(drafts, name))
    report.require()
    assert [each.outcome for each in report.findings] == ["kept"] * len(DRAFT_LAWS)


class Repeating(Draft, Drafter):
    """The last token again; `propose` and `accept` may be others."""

    def __init__(self, *, shared=False, **methods):
        self.methods, self.shared, self.tokens = methods, shared, [0]

    def drafter(self, tokens, memory):
        if self.methods.get("drafter"):
            return self.methods["drafter"](tokens)
        own = self if self.shared else Repeating(**self.methods)
        own.tokens = tokens if self.methods.get("keeps") else [*tokens]
        return own

    def start(self, batch):
        return self.methods["start"](batch) if "start" in self.methods else None

    def propose(self, count, choose):
        own = self.methods.get("propose", lambda own, count: own.tokens[-1:] * count)
        return own(self, count)

    def accept(self, tokens):
        self.methods.get("accept", lambda own, new: own.tokens.extend(new))(self, tokens)


def goes_on_from_its_guess(own, count):
    guess = [(own.tokens[-1] + 1 + place) % 7 for place in range(count)]
    own.tokens += guess
    return guess


def drops_the_guess_when_asked_again(own, count):
    own.asked = not getattr(own, "asked", False)
    return own.tokens[-1:] * count if own.asked else []


def hides_the_end(own, tokens):
    own.tokens.append(tokens[-1])
    own.parts = getattr(own, "parts", 0) + 1


TOKENS = "it proposes tokens, no more than asked for"
TRACE = "a proposal leaves no trace"
BREACHES = {
    "more than asked for": (
        Repeating(propose=lambda own, count: [1] * (count + 1)), TOKENS, "where 1 are the most",
    ),
    "no token of the vocabulary": (
        Repeating(propose=lambda own, count: [7][:count]), TOKENS, "0 to 6, but has 7",
    ),
    "a tensor": (
        Repeating(propose=lambda own, count: torch.zeros(count).long()), TOKENS, "a Tensor",
    ),
    "tensors": (
        Repeating(propose=lambda own, count: [*torch.zeros(count).long()]), TOKENS, "of type int",
    ),
    "fails without a match": (
        Repeating(propose=lambda own, count: [own.tokens[own.tokens.index(9)]]), TOKENS,
        "ValueError: 9 is not in list",
    ),
    "no drafter": (Repeating(drafter=lambda tokens: None), TOKENS, "but returned None"),
    "goes on from its guess": (Repeating(propose=goes_on_from_its_guess), TRACE, "asked twice"),
    "drops its guess": (
        Repeating(propose=drops_the_guess_when_asked_again), TRACE, "asked twice",
    ),
    "counts the parts": (
        Repeating(accept=hides_the_end, propose=lambda own, count: [len(own.tokens) % 7][:count]),
        "tokens at once are tokens one by one", "count otherwise",
    ),
    "one memory for all texts": (
        Repeating(shared=True), "a row alone is the row in a batch", "not in the Draft",
    ),
    "changes the prompt": (
        Repeating(keeps=True), "what it is given is left as it is", "make a copy",
    ),
    "a row too few": (
        Repeating(start=lambda batch: batch.tokens[1:]),
        "what it remembers has a row for each prompt", "must have 4 rows",
    ),
    "no draft": (object(), "is a draft", "object is no Draft"),
}  # fmt: skip


@pytest.mark.parametrize(("draft", "law", "says"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_reported_for_what_it_is(draft, law, says):
    report = check_draft(lambda: draft)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(DRAFT_LAWS)


def test_a_class_that_defines_nothing_is_told_so():
    report = check_draft(type("Empty", (Draft,), {}))
    assert "Empty does not define `drafter`" in report.broken[0].says
