"""The search of a sweep by Optuna: what to try next, and which trials end early."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from seqgen.errors import SetupError
from seqgen.sweeps.trials import Axis, Range, Trial

Prune = Callable[[Sequence[float | None]], bool]
"""Whether a trial with these validations should go no further."""


def load_optuna() -> Any:
    """The library. Raises SetupError that says how to install it."""
    try:
        import optuna
    except ImportError:
        message = "--search optuna needs Optuna: pip install 'seqgen-toolkit[sweep]'"
        raise SetupError(message) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def suggested(
    axes: Mapping[str, Axis],
    trials: Sequence[Trial],
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], Prune]:
    """What to try after `trials`, or `settings`, and whether to go on with it.

    The study is made anew from what the file says, so it depends on that and the seed alone.
    """
    optuna = load_optuna()
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    pruner = optuna.pruners.MedianPruner(n_warmup_steps=1)  # the first may be of no training
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    distributions = {key: _distribution(optuna, axis) for key, axis in axes.items()}
    states = {
        "running": optuna.trial.TrialState.RUNNING,
        "finished": optuna.trial.TrialState.COMPLETE,
        "pruned": optuna.trial.TrialState.PRUNED,
        "failed": optuna.trial.TrialState.FAIL,
    }

    def parameters(values: Mapping[str, Any]) -> dict[str, Any]:
        ranges = {key for key, axis in axes.items() if isinstance(axis, Range)}
        return {k: v if k in ranges else json.dumps(v) for k, v in values.items()}

    for each in trials:
        known = {n: v for n, v in enumerate(each.validations) if v is not None}
        valued = each.status == "finished" and each.value is not None
        state = states["failed" if each.status == "finished" and not valued else each.status]
        with suppress(ValueError):  # of a value that is outside the axes by now
            study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    params=parameters(each.settings),
                    distributions=distributions,
                    value=each.value if valued else None,
                    intermediate_values=known,
                )
            )
    if settings is not None:
        study.enqueue_trial(parameters(settings))
    trial = study.ask(distributions)

    def prune(validations: Sequence[float | None]) -> bool:
        last = validations[-1]
        trial.report(math.nan if last is None else last, len(validations) - 1)
        return bool(trial.should_prune())

    found = {
        key: trial.params[key] if isinstance(axis, Range) else json.loads(trial.params[key])
        for key, axis in axes.items()
    }
    return found, prune


def _distribution(optuna: Any, axis: Axis) -> Any:
    if not isinstance(axis, Range):
        return optuna.distributions.CategoricalDistribution([json.dumps(each) for each in axis])
    if axis.whole:
        return optuna.distributions.IntDistribution(axis.low, axis.high, log=axis.log)
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)
