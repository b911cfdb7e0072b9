import pytest

from seqgen.reports.comparison.axes import SHARE, alike, linear, logarithmic, plainly


def test_a_linear_axis_has_round_ticks_around_its_values():
    axis = linear([20.0, 30.0], "t", most=4)
    assert (axis.low, axis.high) == pytest.approx((19.3, 30.7))
    assert axis.ticks == (20, 25, 30)
    assert axis.texts == ("20", "25", "30")
    assert axis.share(20) == pytest.approx(0.7 / 11.4)
    assert axis.share(25) == pytest.approx(0.5)


def test_falling_axes_begin_at_their_high_end():
    axis = linear([20.0, 30.0], "t", falling=True)
    assert axis.share(axis.high) == pytest.approx(0)
    assert axis.share(axis.low) == pytest.approx(1)


def test_shares_are_in_percent_and_have_no_tick_above_all():
    axis = linear([0.5, 1.0], "t", SHARE)
    assert axis.ticks[-1] == 1
    assert axis.texts == ("50", "60", "70", "80", "90", "100")


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [5.0], [-3.0], [1e-9, 2e-9], [0.0, 3.0]])
def test_an_axis_of_any_values_holds_them(values):
    axis = linear(values, "t")
    assert axis.low < axis.high
    assert all(0 <= axis.share(value) <= 1 for value in values)
    assert all(0 <= axis.share(tick) <= 1 for tick in axis.ticks)
    assert len(axis.texts) == len(axis.ticks) > 0
    if min(values) >= 0:
        assert min(axis.ticks) >= 0


def test_equal_ratios_are_equal_distances_on_a_log_axis():
    axis = logarithmic([10.0, 1000.0], "t")
    assert axis.share(100) == pytest.approx(0.5)
    assert axis.share(100) - axis.share(10) == pytest.approx(axis.share(1000) - axis.share(100))
    assert axis.texts == ("10", "30", "100", "300", "1,000")


def test_a_log_axis_of_one_value():
    axis = logarithmic([7.0], "t")
    assert axis.share(7) == pytest.approx(0.5)
    assert axis.texts == ("7",)


def test_numbers_beside_each_other_have_as_many_decimals():
    assert alike([0.985, 0.9875, 0.99]) == ("0.9850", "0.9875", "0.9900")
    assert alike([500, 1000]) == ("500", "1,000")
    assert alike([1e-9, 2e-9]) == ("1e-09", "2e-09")
    assert plainly(0.5) == "0.5"
