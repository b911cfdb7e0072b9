"""Round times along an axis of steps."""

from __future__ import annotations

from itertools import pairwise

from seqgen.reports.series import Points


def time_ticks(seconds: Points, most: int) -> Points:
    """(step, time) for round times within the clock's range, `most` of them or fewer."""
    first, last = seconds[0][1], seconds[-1][1]
    spacing = _spacing((last - first) / most)
    ticks: Points = []
    time = spacing * -(-first // spacing)
    while time <= last:
        ticks.append((_step_at(time, seconds), time))
        time += spacing
    return ticks


def _spacing(least: float) -> float:
    """The first round time that is no less than `least`."""
    minute, hour, day = 60.0, 3600.0, 86400.0
    few = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
    round_times = [n / 1000 for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)]
    round_times += [n * unit for unit in (1, minute) for n in few]
    round_times += [n * hour for n in (1, 2, 3, 6, 12)]
    round_times += [n * day * 10**power for power in range(12) for n in (1, 2, 5)]
    return next((time for time in round_times if time >= least), least)


def _step_at(time: float, seconds: Points) -> float:
    for (step, start), (next_step, end) in pairwise(seconds):
        if start <= time <= end:
            share = (time - start) / (end - start) if end > start else 0.0
            return step + share * (next_step - step)
    return seconds[-1][0]
