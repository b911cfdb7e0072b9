"""Averages of the weights: their formulas, and that the weights themselves stay as they are."""

import pytest
import torch

from seqgen.options import OptionError
from seqgen.training.averages import Average, averages


def weights_of(*values):
    return [torch.nn.Parameter(torch.tensor([float(value), -float(value)])) for value in values]


def walk(average, values, progress=lambda number: 1.0):
    """Give the one weight these values after the steps 1, 2, ...; the mean after each."""
    found = []
    for number, value in enumerate(values, 1):
        with torch.no_grad():
            average.weights[0].copy_(torch.tensor([value, -value]))
        average.follow(progress(number))
        with average.held():
            found.append(average.weights[0][0].item())
    return found


@pytest.fixture(params=averages.names())
def make(request, small):
    return lambda weights: averages.build(small(averages, request.param), weights=weights)


class TestEveryAverage:
    def test_is_an_average(self, make):
        assert isinstance(make(weights_of(1)), Average)

    def test_of_weights_that_stand_still_it_is_the_weights(self, make):
        assert walk(make(weights_of(3)), [3.0] * 6) == pytest.approx([3.0] * 6)

    def test_the_weights_come_back(self, make):
        average = make(weights_of(1, 2))
        for progress in (0.2, 0.6, 1.0):
            with torch.no_grad():
                average.weights[0].mul_(3)
            average.follow(progress)
        before = [each.detach().clone() for each in average.weights]
        with pytest.raises(RuntimeError, match="in between"), average.held():
            raise RuntimeError("in between")
        assert all(torch.equal(*pair) for pair in zip(before, average.weights, strict=True))

    def test_it_lies_between_the_least_and_the_largest(self, make):
        means = walk(make(weights_of(0)), [4.0, 1.0, 3.0, 2.0], lambda number: number / 4)
        assert all(0 <= mean <= 4 for mean in means)

    def test_settled_it_stays_in_the_place_of_the_weights(self, make):
        average = make(weights_of(1))
        [*_, mean] = walk(average, [5.0, 2.0, 8.0])
        average.settle()
        assert average.weights[0][0].item() == pytest.approx(mean)

    def test_no_gradient_flows_into_it(self, make):
        average = make(weights_of(1))
        average.follow(1.0)
        with average.held() as trained:
            assert not any(each.requires_grad for each in trained)
        assert all(each.requires_grad and each.is_leaf for each in average.weights)


class TestFormulas:
    def test_none(self):
        assert walk(averages.build("none", weights=weights_of(0)), [1.0, 5.0]) == [1.0, 5.0]

    def test_exponential(self):
        """Decays 1/10, 2/11, 3/12, and then 0.3 where n / (9 + n) would be more."""
        made = averages.build({"name": "exponential", "decay": 0.3}, weights=weights_of(2))
        mean, wanted = 2.0, []
        for decay, value in zip((1 / 10, 2 / 11, 1 / 4, 0.3, 0.3), (1, 4, 2, 8, 5), strict=True):
            mean = decay * mean + (1 - decay) * value
            wanted.append(mean)
        assert walk(made, [1.0, 4.0, 2.0, 8.0, 5.0]) == pytest.approx(wanted)

    def test_tail(self):
        """The weights until half of the budget is spent, then the mean of 3; 3, 5; 3, 5, 10."""
        made = averages.build("tail", weights=weights_of(0))
        found = walk(made, [7.0, 9.0, 3.0, 5.0, 10.0], lambda number: number / 6)
        assert found == pytest.approx([7, 9, 3, 4, 6])


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "exponential", "decay": 1.0},
        {"name": "exponential", "decay": -0.1},
        {"name": "tail", "begin": 1.0},
        {"name": "tail", "begin": -1},
        {"name": "swa"},
    ],
)
def test_what_means_nothing_is_refused(spec):
    with pytest.raises(OptionError):
        averages.build(spec, weights=weights_of(1))
