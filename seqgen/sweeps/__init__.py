"""Sweeps: one recipe with many values of some keys; `Sweep` runs the trials."""

from seqgen.sweeps.sweep import FILE, Sweep
from seqgen.sweeps.trials import Outcome, Trial, read_axis, table, write_charts
