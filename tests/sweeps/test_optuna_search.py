"""The search: it depends on the trials and the seed, and ends what is worse than the median."""

import pytest

from seqgen.errors import SetupError
from seqgen.sweeps.optuna_search import load_optuna, suggested
from seqgen.sweeps.trials import Range, Trial

AXES = {
    "lr": Range(1e-4, 1.0, True),
    "size": Range(8, 64, False),
    "cell": ("lstm", {"name": "gru"}),
}


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna", reason="Optuna, of the extra sweep, is not installed")


def finished(number, lr):
    """The nearer the rate is to 0.01, the better."""
    value = abs(lr - 0.01)
    settings = {"lr": lr, "size": 8, "cell": "lstm"}
    return Trial(number, settings, "finished", value, value, (9.0, value + 1, value))


OTHERS = [finished(number, 10.0 ** -(number % 4)) for number in range(12)]
SETTINGS = {"lr": 0.5, "size": 8, "cell": "lstm"}


def test_the_same_trials_and_seed_give_the_same_suggestion(optuna):
    first, _ = suggested(AXES, OTHERS, seed=3)
    again, _ = suggested(AXES, OTHERS, seed=3)
    other, _ = suggested(AXES, OTHERS, seed=4)
    assert first == again != other
    assert 1e-4 <= first["lr"] <= 1
    assert type(first["size"]) is int
    assert first["cell"] in AXES["cell"]


def test_it_looks_where_trials_were_good(optuna):
    rates = sorted(suggested(AXES, OTHERS, seed=seed)[0]["lr"] for seed in range(21))
    assert 1e-3 < rates[10] < 0.1


def test_trials_of_other_axes_or_other_fates_do_no_harm(optuna):
    strange = [
        Trial(20, {**SETTINGS, "lr": 50.0}, "finished", 1.0, 1.0, (1.0,)),
        Trial(21, {**SETTINGS, "cell": "rnn"}, "finished", 1.0, 1.0, (1.0,)),
        Trial(22, SETTINGS, "failed", reason="why"),
        Trial(23, SETTINGS, "finished", None, None, (None,)),
        Trial(24, SETTINGS),
        Trial(25, SETTINGS, "pruned", 2.0, 2.0, (2.0,)),
    ]
    assert 1e-4 <= suggested(AXES, strange, seed=1)[0]["lr"] <= 1


def test_what_is_worse_than_the_median_ends(optuna):
    found, prune = suggested(AXES, OTHERS, seed=1, settings=SETTINGS)
    assert found == SETTINGS
    assert [prune([9.5]), prune([9.5, 0.5]), prune([9.5, 0.5, 8.0])] == [False, False, True]
    _, prune = suggested(AXES, OTHERS, seed=1)
    assert [prune([9.5]), prune([9.5, None])] == [False, True]


def test_without_the_library_it_says_what_to_install():
    try:
        load_optuna()
    except SetupError as error:
        assert str(error).endswith("needs Optuna: pip install 'seqgen-toolkit[sweep]'")  # noqa: PT017
