from hypothesis import given
from hypothesis import strategies as st

from seqgen.reports.time_ticks import time_ticks


@given(st.lists(st.floats(0, 1e7), min_size=2, unique=True).map(sorted), st.sampled_from([4, 6, 8]))
def test_time_ticks_are_few_and_within_the_run(times: list[float], most: int) -> None:
    seconds = [(float(step), time) for step, time in enumerate(times)]
    ticks = time_ticks(seconds, most)
    assert len(ticks) <= most + 1
    assert all(0 <= step <= len(times) - 1 for step, _ in ticks)
