"""Cells, one step of recurrence each. To add one: subclass `Cell`, `@cells.register("name")`."""

from seqgen.cells.base import Cell, CellFactory, ReadAhead, cells, read_by_steps, take_fast_routes
from seqgen.cells.gated import SLSTM, LayerNormLSTM, MultiplicativeLSTM, PeepholeLSTM, SLSTMState
from seqgen.cells.linear import SRU, IndRNN, MinGRU, MinLSTM
from seqgen.cells.native import GRU, LSTM, RNN, GRUCell, LSTMCell, LSTMState, RNNCell
from seqgen.cells.wrappers import (
    Dropout,
    Stack,
    VariationalDropout,
    VariationalState,
    WeightDrop,
    Wrapper,
    Zoneout,
)

__all__ = ["Cell", "CellFactory", "Wrapper", "cells"]
