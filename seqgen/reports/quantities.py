"""How numbers are written for a person."""

from __future__ import annotations

import math


def figure(value: float | None) -> str:
    """Four significant digits: 1.420, 12,345, 1.2e+09; a dash for what is not there."""
    if value is None:
        return "\u2013"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("infinite" if value > 0 else "-infinite")
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    # Zeros at the end only where they make numbers beside each other comparable.
    return f"{value:#.4g}" if 0.1 <= abs(value) < 1000 else f"{value:.4g}"


def count(value: float | None) -> str:
    """A whole number with its digits in threes."""
    if value is None or not abs(value) < 1e15:
        return figure(value)
    return f"{value:,.0f}"


def counted(number: int, name: str, plural: str = "") -> str:
    """So many of what is called `name`: 1 edit, 2 edits; `plural` where an s does not do."""
    return f"{count(number)} {name if number == 1 else plural or name + 's'}"


def brief_count(value: float | None) -> str:
    """A count in three digits where it has more than five: 87,210 or 1.24 M."""
    if value is None or not 1e5 <= value < 1e15:
        return count(value)
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value / 1e3:.3g} k"


def percent(probability: float | None) -> str:
    """A share of one in percent, with three digits at most."""
    if probability is None or not math.isfinite(probability):
        return figure(probability)
    shown = 100 * probability
    if 0 < shown < 0.01:
        return "<0.01 %"
    return f"{shown:.1f} %" if shown >= 1 else f"{shown:.2f} %"


def share(part: float | None) -> str:
    """A share of one in percent, fine enough to compare good models: 99.02 %."""
    if part is None or not math.isfinite(part):
        return figure(part)
    shown = f"{100 * part:,.2f} %"
    if shown == "100.00 %" and part < 1:
        return ">99.99 %"
    return "<0.01 %" if shown == "0.00 %" and part > 0 else shown


def duration(seconds: float | None) -> str:
    """A time in its two largest units: 45 s, 5 min 12 s, 2 h 5 min."""
    if seconds is None or not math.isfinite(seconds):
        return figure(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole, 60, ("min", "s"))
    return _two_units(round(whole / 60), 60, ("h", "min"))


def _two_units(amount: int, per_large: int, names: tuple[str, str]) -> str:
    large, small = divmod(amount, per_large)
    return f"{large:,} {names[0]} {small} {names[1]}" if small else f"{large:,} {names[0]}"
