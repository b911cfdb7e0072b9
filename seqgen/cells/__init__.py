"""Cells, one step of recurrence each. To add one: subclass `Cell`, `@cells.register("name")`."""

from seqgen.cells.base import Cell, CellFactory, cells
from seqgen.cells.gru import GRU
from seqgen.cells.gru_cell import GRUCell
from seqgen.cells.indrnn import IndRNN
from seqgen.cells.layer_norm_lstm import LayerNormLSTM
from seqgen.cells.lstm import LSTM, LSTMState
from seqgen.cells.lstm_cell import LSTMCell
from seqgen.cells.min_gru import MinGRU
from seqgen.cells.min_lstm import MinLSTM
from seqgen.cells.multiplicative_lstm import MultiplicativeLSTM
from seqgen.cells.peephole_lstm import PeepholeLSTM
from seqgen.cells.rnn import RNN
from seqgen.cells.rnn_cell import RNNCell
from seqgen.cells.slstm import SLSTM, SLSTMState
from seqgen.cells.sru import SRU
from seqgen.cells.stack import Stack
from seqgen.cells.variational_dropout import VariationalDropout, VariationalState
from seqgen.cells.weight_drop import WeightDrop
from seqgen.cells.zoneout import Zoneout

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SLSTM",
    "SRU",
    "Cell",
    "CellFactory",
    "GRUCell",
    "IndRNN",
    "LSTMCell",
    "LSTMState",
    "LayerNormLSTM",
    "MinGRU",
    "MinLSTM",
    "MultiplicativeLSTM",
    "PeepholeLSTM",
    "RNNCell",
    "SLSTMState",
    "Stack",
    "VariationalDropout",
    "VariationalState",
    "WeightDrop",
    "Zoneout",
    "cells",
]
