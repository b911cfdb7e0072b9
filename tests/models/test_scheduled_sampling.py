"""Scheduled sampling: the rate over a run, and what is read in place of the true tokens."""

import math
from collections import Counter

import pytest
import torch

from seqgen.models.scheduled_sampling import ScheduledSampling, mixed
from seqgen.options import OptionError, check_value
from seqgen.registry import plain


def low(share):
    """The curve `sigmoid`, written out."""
    return 0.5 / (1 + math.exp(-10 * (share - 0.5)))


class TestRate:
    @pytest.mark.parametrize(
        ("curve", "at"),
        [
            ("constant", {0: 0, 0.19: 0, 0.2: 0.5, 0.5: 0.5, 0.6: 0.5, 1: 0.5}),
            ("linear", {0: 0, 0.2: 0, 0.3: 0.125, 0.4: 0.25, 0.5: 0.375, 0.6: 0.5, 1: 0.5}),
            (
                "sigmoid",
                {0: 0, 0.19: 0, 0.2: low(0), 0.3: low(0.25), 0.4: 0.25, 0.5: low(0.75), 0.6: 0.5},
            ),
        ],
    )
    def test_by_table(self, curve, at):
        sampling = ScheduledSampling(rate=0.5, curve=curve, begin=0.2, end=0.6)
        assert {share: sampling.at(share) for share in at} == pytest.approx(at)

    @pytest.mark.parametrize("curve", ["constant", "linear", "sigmoid"])
    def test_it_never_falls_and_never_exceeds_its_height(self, curve):
        for begin, end in ((0.0, 1.0), (0.3, 0.7), (0.0, 0.0), (1.0, 1.0)):
            sampling = ScheduledSampling(rate=0.8, curve=curve, begin=begin, end=end)
            rates = [sampling.at(step / 100) for step in range(101)]
            assert rates == sorted(rates)
            assert rates[100] == 0.8
            assert not any(rates[: int(100 * begin)])

    def test_the_default_is_a_line_over_the_whole_run(self):
        sampling = ScheduledSampling()
        assert [sampling.at(share) for share in (0, 0.5, 1)] == [0, 0.125, 0.25]

    def test_a_step(self):
        sampling = ScheduledSampling(curve="linear", begin=0.5, end=0.5)
        assert (sampling.at(0.49), sampling.at(0.5)) == (0, 0.25)


class TestOptions:
    def test_what_is_written_out_can_be_read(self):
        written = plain(ScheduledSampling())
        assert check_value(ScheduledSampling, written, ()) == ScheduledSampling()

    def test_every_token_may_be_the_models_own(self):
        whole = check_value(ScheduledSampling, {"rate": 1, "begin": 1.0, "end": 1}, ())
        assert whole == ScheduledSampling(1.0, "linear", 1.0, 1.0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rate": 1.1}, "s.rate: must be at least 0 and at most 1, but is 1.1"),
            ({"rate": -0.1}, "s.rate: must be at least 0 and at most 1, but is -0.1"),
            ({"end": 2}, "s.end: must be at least 0 and at most 1, but is 2"),
            ({"begin": 0.5, "end": 0.4}, "s: `end` must be at least `begin` (0.5), but is 0.4"),
            (
                {"temperature": -1},
                "s.temperature: must be at least 0 and at most 1000000000, but is -1",
            ),
            ({"temperature": math.inf}, "s.temperature: must be at least 0 and at most 1000000000"),
            ({"temperature": math.nan}, "temperature"),
            ({"curve": "steep"}, "s.curve: must be"),
        ],
        ids=str,
    )
    def test_refusals(self, options, message):
        with pytest.raises(OptionError) as caught:
            check_value(ScheduledSampling, options, ("s",))
        assert message in str(caught.value)

    @pytest.mark.parametrize("temperature", [-1, math.inf, math.nan])
    def test_a_temperature_is_looked_at_without_a_recipe_too(self, temperature):
        with pytest.raises(ValueError, match="`temperature` must be at least 0 and finite"):
            ScheduledSampling(temperature=temperature)


def log_probs(*shares):
    return torch.tensor(shares).log()


TRUE = torch.tensor([7, 7, 7])


class TestMixed:
    def test_at_rate_zero_all_are_true(self):
        for temperature in (0.0, 1.0):
            assert torch.equal(
                mixed(TRUE, log_probs([0.5, 0.5]).expand(3, 2), 0, temperature), TRUE
            )

    def test_at_rate_one_and_temperature_zero_each_is_the_first_choice(self):
        scores = log_probs([0.2, 0.5, 0.3], [0.6, 0.2, 0.2], [0.0, 0.1, 0.9])
        assert mixed(TRUE, scores, 1, 0.0).tolist() == [1, 0, 2]

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
    def test_tokens_are_drawn_at_the_temperature(self, temperature):
        torch.manual_seed(1)
        shares, rows = [0.6, 0.3, 0.1, 0.0], 20_000
        scores = log_probs(shares).expand(rows, 4)
        counts = Counter(mixed(torch.full((rows,), 9), scores, 1, temperature).tolist())
        powers = [share ** (1 / temperature) for share in shares]
        for token, power in enumerate(powers):
            share = power / sum(powers)
            spread = 4 * math.sqrt(share * (1 - share) / rows)
            assert counts[token] / rows == pytest.approx(share, abs=spread)

    def test_a_share_of_them_is_replaced(self):
        torch.manual_seed(1)
        tokens = torch.full((20_000,), 9)
        found = mixed(tokens, log_probs([1.0, 0.0]).expand(20_000, 2), 0.3, 1.0)
        assert set(found.tolist()) == {0, 9}
        assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.015)

    def test_rows_are_replaced_independently_of_what_is_drawn(self):
        torch.manual_seed(1)
        tokens, scores = torch.full((20_000,), 9), log_probs([0.5, 0.5]).expand(20_000, 2)
        own = [token for token in mixed(tokens, scores, 0.5, 1.0).tolist() if token != 9]
        assert sum(own) / len(own) == pytest.approx(0.5, abs=0.02)

    @pytest.mark.parametrize("temperature", [1e-300, 1e-42, 1e-4, 1e30, 1e300])
    def test_any_temperature_draws_what_is_possible(self, temperature):
        scores = log_probs([0.2, 0.5, 0.3, 0.0]).expand(500, 4)
        drawn = set(mixed(torch.full((500,), 9), scores, 1, temperature).tolist())
        assert drawn == ({1} if temperature < 1 else {0, 1, 2})

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_a_model_that_diverges_can_still_be_told_by_its_loss(self, temperature):
        scores = torch.full((3, 4), math.nan)
        assert set(mixed(TRUE, scores, 1, temperature).tolist()) <= {0, 1, 2, 3}

    def test_it_repeats_with_the_state_of_torch(self):
        scores = log_probs([0.5, 0.5]).expand(100, 2)
        found = []
        for _ in range(2):
            torch.manual_seed(5)
            found.append(mixed(torch.full((100,), 9), scores, 0.5, 1.0).tolist())
        assert found[0] == found[1]
        assert found[0] != mixed(torch.full((100,), 9), scores, 0.5, 1.0).tolist()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
    def test_of_any_precision_and_of_no_rows(self, dtype):
        for rows in (0, 3):
            scores = log_probs([0.5, 0.5]).expand(rows, 2).to(dtype)
            assert mixed(TRUE[:rows], scores, 1, 1.0).shape == (rows,)
