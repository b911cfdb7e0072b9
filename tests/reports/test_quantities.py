import math

import pytest

from seqgen.reports.quantities import brief_count, count, duration, figure, percent


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.49, "1.490"),
        (0.002, "0.002"),
        (12345.6, "12,346"),
        (1e30, "1e+30"),
        (0.0, "0"),
        (None, "\u2013"),
        (math.nan, "not a number"),
        (-math.inf, "-infinite"),
    ],
)
def test_figure(value: float | None, written: str) -> None:
    assert figure(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0 s"),
        (0.25, "0.2 s"),
        (9.99, "10 s"),
        (59.6, "1 min"),
        (312.8, "5 min 13 s"),
        (3599.7, "1 h"),
        (7500, "2 h 5 min"),
        (math.inf, "infinite"),
        (None, "\u2013"),
    ],
)
def test_duration(seconds: float | None, written: str) -> None:
    assert duration(seconds) == written


@pytest.mark.parametrize(
    ("value", "exact", "brief"),
    [
        (4000, "4,000", "4,000"),
        (923713, "923,713", "924 k"),
        (1234567, "1,234,567", "1.23 M"),
        (10.0**30, "1e+30", "1e+30"),
        (math.nan, "not a number", "not a number"),
    ],
)
def test_counts(value: float, exact: str, brief: str) -> None:
    assert (count(value), brief_count(value)) == (exact, brief)


def test_percent() -> None:
    shown = [percent(value) for value in (1.0, 0.4123, 0.001, 0.00001, 0.0, math.nan)]
    assert shown == ["100.0 %", "41.2 %", "0.10 %", "<0.01 %", "0.00 %", "not a number"]
