"""The laws of truncations: every registered one keeps them, and broken ones are found out."""

import pytest
import torch

from seqgen.decoders import Truncation, truncations
from seqgen.testing import check_truncation
from seqgen.testing.truncation import TRUNCATION_LAWS, tables


@pytest.mark.parametrize("name", truncations.names())
def test_every_registered_truncation_keeps_them(name, small):
    report = check_truncation(small(truncations, name))
    report.require()
    assert [each.outcome for each in report.findings] == ["kept"] * len(TRUNCATION_LAWS)


def test_the_tables_have_what_is_hard():
    shares = tables()
    assert torch.equal(shares, tables())
    possible = (shares > 0).sum(1)
    assert {1, 11} < set(possible.tolist())
    assert any(len(row.unique()) == 1 for row in shares)
    best = shares.amax(1)
    assert best.min() < 0.1
    assert best.max() == 1
    assert ((shares == best.unsqueeze(1)).sum(1) > 1).sum() > 2


class Cut(Truncation):
    """Half the best one's probability or more, changed."""

    def __init__(self, change=lambda shares, kept: kept):
        self.change = change

    def keep(self, shares):
        kept = shares * (shares >= shares.amax(1, keepdim=True) / 2)
        return self.change(shares, kept)


class Remembers(Cut):
    def keep(self, shares):
        self.level = getattr(self, "level", 1.0) / 2
        return shares * (shares >= shares.amax(1, keepdim=True) * self.level)


class SaysItIsGreedy(Cut):
    draws = False


class Nothing:
    pass


CUTS = "it cuts and changes nothing else"
FORM = "probabilities in float64 come back"
BREACHES = {
    "leaves nothing": (
        Cut(lambda shares, kept: kept * (kept > 0.3)), CUTS, "leaves a row no token",
    ),
    "revives": (
        Cut(lambda shares, kept: kept.clamp(min=1e-3)), CUTS, "a token of probability 0 came back",
    ),
    "normalises": (
        Cut(lambda shares, kept: kept / kept.sum(1, keepdim=True)), CUTS, "as it is, or 0",
    ),
    "NaN": (
        Cut(lambda shares, kept: kept.where(shares == 0, kept / kept)), CUTS, "as it is, or 0",
    ),
    "logarithms": (Cut(lambda shares, kept: kept.log()), CUTS, "came back"),
    "single precision": (
        Cut(lambda shares, kept: kept.float()), FORM, "but returned torch.float32",
    ),
    "a mask": (Cut(lambda shares, kept: kept > 0), FORM, "but returned torch.bool"),
    "a list": (Cut(lambda shares, kept: kept.tolist()), FORM, "but is a list"),
    "fewer columns": (Cut(lambda shares, kept: kept[:, :3]), FORM, "must be [60, 11], but is [60,"),
    "over the batch": (
        Cut(lambda shares, kept: shares * ((kept > 0) | (shares >= shares.max(0).values))),
        "a row alone is the row in a batch", "depends on the rows around it",
    ),
    "draws": (
        Cut(lambda shares, kept: torch.where(torch.rand_like(kept) > 0.5, shares, kept)),
        "the same twice", "draw nothing",
    ),
    "remembers": (Remembers(), "the same twice", "remember nothing"),
    "says it is greedy": (SaysItIsGreedy(), "it draws where it says so", "one token stays, but 11"),
    "no truncation": (Nothing(), "is a truncation", "Nothing is no Truncation"),
}  # fmt: skip


@pytest.mark.parametrize(("truncation", "law", "says"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_reported_for_what_it_is(truncation, law, says):
    report = check_truncation(lambda: truncation)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report.broken
    assert says in found[law].says
    assert len(report.findings) == len(TRUNCATION_LAWS)


def test_a_class_that_defines_nothing_is_told_so():
    report = check_truncation(type("Empty", (Truncation,), {}))
    assert "Empty does not define `keep`" in report.broken[0].says
