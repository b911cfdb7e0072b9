"""Systems: what is compared, a trained run and a decoder with its options each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class System:
    """A strategy of a run. `label` is unique, `spec` is the decoder as plain data with every option
    written out, `run` the place of its run among those compared, `draws` whether its decoder takes
    a seed (its outputs may depend on it)."""

    label: str
    run: int
    spec: Mapping[str, Any]
    draws: bool
